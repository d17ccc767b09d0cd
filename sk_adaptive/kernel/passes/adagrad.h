/* AdaGrad: G += g^2; w -= eta g / sqrt(G + eps). Duchi, Hazan, Singer (2011).

   `first` is r = 1 / sqrt(G + eps), or 0 before the first gradient, which a gradient turns to
   r / sqrt(1 + (g r)^2): one root and one division give the step, the state and the metric
   of the charge. While idle G does not change, so the charge is composite mirror descent. */

#ifndef SKA_ADAGRAD_H
#define SKA_ADAGRAD_H

#include "rule.h"

SKA_INLINE void adagrad_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    const vec r = c->first;
    const mask seen = v_above(r, v_all(0)), moved = v_differs(g, v_all(0));
    const vec start = v_select(seen, r, v_all(1)), q = g * start, p = q * q;
    const vec square = v_select(seen, v_all(1), h->eps) + p;
#ifdef SKA_SINGLE
    /* r / root as r - r p / (root (root + 1)), whose change is exact to rounding where it is small */
    const vec root = v_sqrt(square);
    const mask small = seen & v_above(v_all(1), p);
    const vec part = v_select(small, p, v_select(moved, v_all(1), v_all(0)))
        / v_select(small, root * (root + 1), root);
    const vec change = r * part + m->dither_first * ska_last_digit(r);
    c->first = v_select(small, v_select(moved, r - change, r), start * part);
    c->w = v_select(
        moved, c->w - (h->eta * g * c->first + m->dither_weight * ska_last_digit(c->w)), c->w);
#else
    c->first = v_select(seen | moved, v_over_root(start, square), v_all(0));
    c->w = c->w - h->eta * g * c->first;
#endif
    (void)m, (void)charged;
    c->first += p * 0; /* NaN if the square of the gradient overflows */
}

SKA_INLINE void adagrad_step_intercepts(
    const ska_intercepts *i, ptrdiff_t n, double *G, double *unused, const double *g, double *step) {
    ptrdiff_t k;
    (void)unused;
    for (k = 0; k < n; k++)
        G[k] += g[k] * g[k];
    for (k = 0; k < n; k++)
        step[k] = i->eta * i->rate[k] * g[k] / sqrt(G[k] + i->eps[k]);
}

static const ska_rule adagrad = {
    .step = adagrad_step,
    .step_intercepts = adagrad_step_intercepts,
    .metric_is_first = 1,
};

#endif
