/* RMSProp: v = rho v + (1 - rho) g^2; w -= eta g / (sqrt(v) + eps). Tieleman and Hinton (2012).

   `first` is sqrt(v), which has twice the range of v. */

#ifndef SKA_RMSPROP_H
#define SKA_RMSPROP_H

#include "rule.h"

SKA_INLINE void rmsprop_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    const vec s = v_sqrt(m->memory_1 * c->first * c->first + m->share_1 * g * g);
    const vec r = (real)1 / (s + h->eps);
    const mask moved = v_differs(g, v_all(0));
    (void)charged;
    c->w = ska_within(c, c->w - h->eta * g * r);
    c->metric = v_select(moved, r, c->metric);
    c->first = m->exact ? s : v_select(moved, s, c->first);
}

SKA_INLINE vec rmsprop_size(const ska_lanes *c) { return c->first; }

SKA_INLINE void rmsprop_step_intercepts(
    const ska_intercepts *i, ptrdiff_t n, double *v, double *unused, const double *g, double *step) {
    ptrdiff_t k;
    (void)unused;
    for (k = 0; k < n; k++)
        v[k] = i->memory_1 * v[k] + (1 - i->memory_1) * g[k] * g[k];
    for (k = 0; k < n; k++)
        step[k] = i->eta * i->rate[k] * g[k] / (sqrt(v[k]) + i->eps[k]);
}

static const ska_rule rmsprop = {
    .step = rmsprop_step,
    .size = rmsprop_size,
    .step_intercepts = rmsprop_step_intercepts,
};

#endif
