/* FTRL-Proximal: follow the regularised leader. McMahan et al. (2013).

   With s = sqrt(n + eps), n the sum of squared gradients, the paper's z times the learning rate is

       z += eta g - (s_new - s) w,   w = -(z - sign(z) l1 S) / (s + l2 S), or 0 where |z| <= l1 S,

   where S is the learning-rate sum: the penalty of each step, summed up. So a weight is a closed
   form of the state and of time, nothing is owed while idle, and no record keeps a time. Without
   a penalty w is -z / s, and the step that of AdaGrad. In these units the rate may change from
   step to step.

   With rho < 1 each occurrence discounts all that was summed up before: n, z, and S, too,

       n = rho n + g^2,   z = rho z + eta g - (s_new - rho s) w,   S = rho S.

   A weight with w and s as above does not change by that alone. What a coefficient has forgotten of
   the learning-rate sum is in its record then.

   `first` is z, `second` is s, or 0 before the first gradient; `metric` is what S is less, or 0. */

#ifndef SKA_FTRL_H
#define SKA_FTRL_H

#include "adagrad.h"

SKA_INLINE vec ftrl_root(const ska_output_numbers *h, const ska_lanes *c) {
    return v_max(c->second, v_sqrt(h->eps));
}

/* Of the learning-rate sum, what penalties count by. */
SKA_INLINE vec ftrl_sum(const ska_model *m, const ska_lanes *c) {
    return m->learning_rate_sum - c->metric;
}

SKA_INLINE void ftrl_refresh(const ska_model *m, const ska_output_numbers *h, ska_lanes *c) {
    const vec sum = ska_charged_time(c, ftrl_sum(m, c)), over = v_abs(c->first) - h->l1 * sum;
    const vec size = over / (ftrl_root(h, c) + h->l2 * sum);
    c->w = v_select(
        v_above(over, v_all(0)), v_select(v_above(c->first, v_all(0)), -size, size), v_all(0));
}

/* Where the weight is 0, z may be anything that makes it 0. */
SKA_INLINE void ftrl_settle(const ska_model *m, const ska_output_numbers *h, ska_lanes *c) {
    const vec sum = ska_charged_time(c, ftrl_sum(m, c)), limit = h->l1 * sum;
    const vec z = c->w * (ftrl_root(h, c) + h->l2 * sum);
    c->first = v_select(
        v_differs(c->w, v_all(0)), v_select(v_above(c->w, v_all(0)), -z - limit, limit - z),
        v_max(-limit, v_min(limit, c->first)));
}

SKA_INLINE void ftrl_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    /* of two products in a sum compilers may fuse either: outputs would differ by where they are */
    const vec s = ftrl_root(h, c), p = v_rounded(g * g), pull = v_rounded(h->eta * g);
    const mask moved = v_differs(g, v_all(0));
    vec growth = p, square = s * s + p, forgotten = v_all(0), change;
    if (m->forgets) {
        const vec sum = s * s - h->eps;
        forgotten = v_select(moved, h->forgotten, forgotten);
        growth = p - forgotten * sum;
        /* with rho = 1 beside other outputs what it is without them */
        square = v_select(
            v_above(forgotten, v_all(0)), ((1 - forgotten) * sum + h->eps) + p, square);
        c->metric += forgotten * ftrl_sum(m, c);
    }
    growth /= v_sqrt(square) + s;
#ifdef SKA_SINGLE
    growth += v_select(moved, m->dither_first * ska_last_digit(s), v_all(0));
    change = pull - growth * c->w + m->dither_weight * ska_last_digit(c->first);
#else
    change = pull - growth * c->w;
#endif
    if (m->forgets)
        change -= forgotten * (c->first + s * c->w);
    (void)m, (void)charged;
    c->first = v_select(moved, c->first + change, c->first);
    c->second = v_select(moved, s + growth, c->second);
}

SKA_INLINE vec ftrl_size(const ska_lanes *c) { return v_max(v_abs(c->first), c->second); }

/* The intercept has no penalty, so its step is that of AdaGrad. */
static const ska_rule ftrl = {
    .step = ftrl_step,
    .refresh = ftrl_refresh,
    .settle = ftrl_settle,
    .size = ftrl_size,
    .step_intercepts = adagrad_step_intercepts,
};

#endif
