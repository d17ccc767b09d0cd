/* AdaGrad: G = rho G + g^2; w -= eta g / sqrt(G + eps). Duchi, Hazan, Singer (2011), with rho = 1.

   `first` is r = 1 / sqrt(G + eps), or 0 before the first gradient, which a gradient turns to
   r / sqrt(1 + (g r)^2): one root and one division give the step, the state and the metric
   of the charge. While idle G does not change, so the charge is composite mirror descent.

   With rho < 1 an occurrence takes a part of G off first: in units of r^-2 = G + eps it takes off
   (1 - rho) (1 - eps r^2). */

#ifndef SKA_ADAGRAD_H
#define SKA_ADAGRAD_H

#include "rule.h"

SKA_INLINE void adagrad_step(
    const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged) {
    const vec r = c->first;
    const mask seen = v_above(r, v_all(0)), moved = v_differs(g, v_all(0));
    const vec start = v_select(seen, r, v_all(1)), q = g * start, p = q * q;
    vec square = v_select(seen, v_all(1), h->eps) + p, growth = p;
    if (m->forgets) {
        const vec forgotten = v_select(seen & moved, h->forgotten, v_all(0)), share = h->eps * r * r;
        growth = p - v_rounded(forgotten * (1 - share));
        square = v_select(seen, (1 - forgotten) + forgotten * share, h->eps) + p;
        /* with rho = 0 the square of a gradient may vanish beside the one before */
        square = v_max(square, v_all(REAL_TINY));
    }
#ifdef SKA_SINGLE
    /* r / root as r - r growth / (root (root + 1)), exact to rounding where the change is small */
    const vec root = v_sqrt(square);
    const mask small = seen & v_above(v_all(1), growth);
    const vec part = v_select(small, growth, v_select(moved, v_all(1), v_all(0)))
        / v_select(small, root * (root + 1), root);
    const vec change = r * part + m->dither_first * ska_last_digit(r);
    c->first = v_select(small, v_select(moved, r - change, r), start * part);
    c->w = v_select(
        moved, c->w - (h->eta * g * c->first + m->dither_weight * ska_last_digit(c->w)), c->w);
#else
    c->first = v_select(seen | moved, v_over_root(start, square), v_all(0));
    c->w = c->w - h->eta * g * c->first;
#endif
    c->w = ska_within(c, c->w);
    (void)growth, (void)charged;
    c->first += p * 0; /* NaN if the square of the gradient overflows */
}

SKA_INLINE void adagrad_step_intercepts(
    const ska_intercepts *i, ptrdiff_t n, double *G, double *unused, const double *g, double *step) {
    ptrdiff_t k;
    (void)unused;
    for (k = 0; i->kept != NULL && k < n; k++)
        G[k] *= g[k] != 0 ? i->kept[k] : 1;
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
