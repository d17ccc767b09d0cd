/* Adam: m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= eta mhat / (sqrt(vhat) + eps), with
   mhat = m / (1 - b1^t), vhat = v / (1 - b2^t). Kingma and Ba (2015). AdamW: w *= 1 - eta alpha
   before that. Loshchilov and Hutter (2019).

   `first` is m, `second` is s = sqrt(v). A record holds the carried weight, where the coefficient
   would end if it stayed idle for ever: w_t - T(t, m, s) with the momentum's tail T, see _tail.pyx.
   A touch adds T of the present moments; a step subtracts that of the moments after it.

   Bounds. While idle a weight moves one way, that of -m. So what the tail makes of it, clipped, is where
   a projection at every step would lead; and a step clips between what it moves and the tail to come.
   A penalty would pull back in the meantime, and there is none.

   Penalties. A touched coefficient is charged for its step as it is (composite mirror
   descent). While idle the carried weight is charged, not the tail: so that charging tau1 and then
   tau2 is charging tau1 + tau2 here too. */

#ifndef SKA_ADAM_H
#define SKA_ADAM_H

#include "rule.h"

SKA_INLINE vec adam_four_moments(const real *moments, vec y, vec yy) {
    return (moments[1] * y + moments[0]) + yy * (moments[3] * y + moments[2]);
}

/* u such that the tail is m r u, with r = 1 / (s z_0 + eps) and y = s r. */
SKA_INLINE vec adam_tail_by_moments(const ska_model *m, vec y) {
    /* by fours, so that few sums wait for one another */
    const vec yy = y * y, yyyy = yy * yy;
    vec u = adam_four_moments(m->moments, y, yy), power = yyyy;
    int p;
    for (p = 4; p < m->n_moments; p += 4) {
        u += power * adam_four_moments(m->moments + p, y, yy);
        power *= yyyy;
    }
    return u;
}

/* The same from Chebyshev's coefficients by Clenshaw's rule at 2 x - 1 with x = y z_0; and where
   there are none from the sum's terms themselves. */
static vec adam_tail_without_moments(
    const ska_model *m, const ska_output_numbers *h, vec y, vec s, vec first) {
    if (m->n_chebyshev) {
        const vec point = (real)4 * (y * m->root_correction) - (real)2;
        vec later = v_all(0), last = v_all(0), here;
        int p;
        for (p = m->n_chebyshev - 1; p > 0; p--) {
            here = point * later - last + m->chebyshev[p];
            last = later;
            later = here;
        }
        return (real)0.5 * point * later - last + m->chebyshev[0];
    } else {
        real roots[LANES], moments[LANES], eps[LANES], u[LANES];
        int i, k;
        v_store(roots, s);
        v_store(moments, first);
        v_store(eps, h->eps);
        for (k = 0; k < LANES; k++) {
            double total_0 = 0, total_1 = 0;
            if (moments[k] != 0)
                for (i = 1; i < m->n_terms; i += 2) {
                    total_0 += m->terms_c[i] / (roots[k] * m->terms_z[i] + eps[k]);
                    total_1 += m->terms_c[i + 1] / (roots[k] * m->terms_z[i + 1] + eps[k]);
                }
            u[k] = (real)((total_0 + total_1) * ((double)roots[k] * m->root_correction + eps[k]));
        }
        return v_load(u);
    }
}

SKA_INLINE vec adam_tail_factor(
    const ska_model *m, const ska_output_numbers *h, vec y, vec s, vec first) {
    if (SKA_RARELY(m->n_moments < 0))
        return adam_tail_without_moments(m, h, y, s, first);
    return adam_tail_by_moments(m, y);
}

SKA_INLINE vec adam_inverse_metric(const ska_model *m, const ska_output_numbers *h, const ska_lanes *c) {
    return (real)1 / (c->second * m->root_correction + h->eps);
}

/* What a step subtracts a touch has to add to the last digit, or zeros would not be exact. */
SKA_INLINE vec adam_tail(const ska_model *m, const ska_output_numbers *h, const ska_lanes *c, vec r) {
    return v_rounded(
        h->rate * (r * c->first) * adam_tail_factor(m, h, c->second * r, c->second, c->first));
}

SKA_INLINE void adam_refresh(const ska_model *m, const ska_output_numbers *h, ska_lanes *c) {
    if (m->exact && m->t > 0)
        c->w += adam_tail(m, h, c, adam_inverse_metric(m, h, c));
}

SKA_INLINE void adam_settle(const ska_model *m, const ska_output_numbers *h, ska_lanes *c) {
    if (m->exact && m->t > 0)
        c->w -= adam_tail(m, h, c, adam_inverse_metric(m, h, c));
}

/* Moments, and what they move a coefficient by: now, and if it stays idle from here on. */
SKA_INLINE void adam_moments(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, vec *now, vec *later) {
    const mask moved = v_differs(g, v_all(0));
    const vec first = m->memory_1 * c->first + m->share_1 * g;
    const vec second = v_sqrt(m->memory_2 * c->second * c->second + m->share_2 * g * g);
    vec r;
    c->first = m->exact ? first : v_select(moved, first, c->first);
    c->second = m->exact ? second : v_select(moved, second, c->second);
    r = adam_inverse_metric(m, h, c);
    *now = h->eta * m->step_correction * (r * c->first);
    c->metric = v_select(moved, r, c->metric);
    if (m->exact) {
        *later = adam_tail(m, h, c, r);
    } else {
        *later = v_all(0);
        *now = v_select(moved, *now, v_all(0));
    }
}

/* The charge comes after the step, and that of a coefficient without gradient after its tail. */
SKA_INLINE void adam_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    const mask moved = v_differs(g, v_all(0));
    vec now, later;
    adam_moments(m, h, c, g, &now, &later);
    if (!charged) {
        if (c->controlled)
            c->w = ska_within(c, c->w - now) - later;
        else
            c->w -= now + later;
        return;
    }
    c->w -= now + v_select(moved, v_all(0), later);
    if (c->controlled) {
        /* if there are bounds, nothing comes later */
        c->w = ska_within(c, c->w);
        c->w = ska_flow(c->w, m->increment * c->metric * c->factor, h, m->has_l1);
        c->w -= v_select(moved, later, v_all(0));
        return;
    }
    c->w = ska_flow(c->w, m->increment * c->metric, h, m->has_l1) - v_select(moved, later, v_all(0));
}

/* The decay comes before the step. Without L1 it is linear and so commutes with all the rest; with
   it an idle coefficient is charged without its tail, in the units of the step before. */
SKA_INLINE void adamw_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    const mask moved = v_differs(g, v_all(0));
    vec now, later, w;
    if (!charged) {
        adam_step(m, h, c, g, 0);
        return;
    }
    w = c->w;
    adam_moments(m, h, c, g, &now, &later);
    if (c->controlled) { /* masked */
        c->w = ska_flow(w, ska_charged_time(c, v_all(m->increment)), h, m->has_l1);
        c->w = ska_within(c, c->w - now);
        return;
    }
    if (!m->has_l1) {
        c->w = w * h->shrinkage - (now + later);
        return;
    }
    w -= v_select(moved, v_all(0), (now + later) / h->shrinkage);
    c->w = ska_flow(w, v_all(m->increment), h, 1) - v_select(moved, now + later, v_all(0));
}

SKA_INLINE vec adam_size(const ska_lanes *c) { return v_max(v_abs(c->first), c->second); }

SKA_INLINE void adam_step_intercepts(
    const ska_intercepts *i, ptrdiff_t n, double *m, double *v, const double *g, double *step) {
    const double b1 = i->memory_1, b2 = i->memory_2;
    ptrdiff_t k;
    for (k = 0; k < n; k++) {
        m[k] = b1 * m[k] + (1 - b1) * g[k];
        v[k] = b2 * v[k] + (1 - b2) * g[k] * g[k];
    }
    for (k = 0; k < n; k++)
        step[k] = i->eta * i->rate[k] * (m[k] * i->step_correction)
            / (sqrt(v[k]) * i->root_correction + i->eps[k]);
}

static const ska_rule adam = {
    .step = adam_step,
    .refresh = adam_refresh,
    .settle = adam_settle,
    .size = adam_size,
    .step_intercepts = adam_step_intercepts,
};

static const ska_rule adamw = {
    .step = adamw_step,
    .refresh = adam_refresh,
    .settle = adam_settle,
    .size = adam_size,
    .step_intercepts = adam_step_intercepts,
};

#endif
