/* RMSProp: v = rho v + (1 - rho) g^2; w -= eta g / (sqrt(v) + eps). Tieleman and Hinton (2012).

   `first` is sqrt(v), which has twice the range of v. */

#include "model.h"

SKA_INLINE void rmsprop_step(const ska_model *m, const ska_settings *h, ska_lanes *c, vec g) {
    const vec s = v_sqrt(m->memory_1 * c->first * c->first + m->share_1 * g * g);
    const vec r = (real)1 / (s + h->eps);
    const mask moved = v_differs(g, v_all(0));
    c->w -= h->eta * g * r;
    c->metric = v_select(moved, r, c->metric);
    c->first = m->exact ? s : v_select(moved, s, c->first);
}

#define RULE rmsprop
#define RULE_METRIC_IS_STORED
#define RULE_AGES
#define RULE_SIZE(c) (c)->first
#include "passes.h"
