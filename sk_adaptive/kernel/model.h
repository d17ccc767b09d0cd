/* What the passes over a row work on: a model and the rows that touch it. */

#ifndef SKA_MODEL_H
#define SKA_MODEL_H

#include "_loss_loops.h"
#include "layout.h"

enum { SKA_MOST_TERMS = 24, SKA_NODES = 48 };

/* A model with K outputs. Numbers of an output may differ between outputs: K of them,
   filled up to whole vectors. */
typedef struct {
    unsigned char *memory; /* the records */
    ska_layout layout;
    ptrdiff_t n_outputs;
    ptrdiff_t width;        /* K up to whole vectors, or 1 for one output */
    ptrdiff_t fetched_size; /* bytes of a record to prefetch: of a long one not all */
    int has_l1;
    int exact;

    /* by output */
    real *eta;    /* learning rate of the step */
    real *rate;   /* the same as a multiple of the rate that all outputs share */
    real *l1, *l2; /* strengths of the penalty, times `rate` */
    real *eps;
    real *kept;    /* decoupled decay: what is left of a weight after the step in hand */

    /* after step t */
    int64_t t;
    real learning_rate_sum;   /* penalties are charged by it */
    real increment;           /* of that sum, by the step in hand */
    real charged_after_store; /* up to which sum the step in hand charges weights */

    /* what the rules share between all features */
    real memory_1, share_1, memory_2, share_2;   /* of the moments: b and 1 - b */
    double log2_decay_first, log2_decay_second;  /* of what a record holds of them, per idle step */
    real step_correction, root_correction;       /* Adam: 1 / (1 - b1^t), 1 / sqrt(1 - b2^t) */
    real dither_first, dither_weight;            /* single precision, see `ska_last_digit` */
    int n_moments, n_chebyshev, n_terms;         /* Adam's tail, see _tail.pyx */
    real moments[SKA_MOST_TERMS], chebyshev[SKA_NODES];
    const double *terms_c, *terms_z;

    /* The working set: weights, moments and inverse metrics of the touched features, n x width
       numbers each, and the gradients of a mini-batch. */
    real *w, *first, *second, *metric, *g;
    real *sums; /* `width` numbers */
    real *decay_first, *decay_second; /* of each touched feature with several outputs */
} ska_model;

/* Features touched at once: those of a row, with x, or those of a mini-batch or of a part of the
   model, without. */
typedef struct {
    const void *columns; /* int32 or int64 */
    ptrdiff_t n;
    const real *x;
    const void *ahead; /* the features of a row to come, to be fetched meanwhile */
    ptrdiff_t n_ahead;
    const real *derivative; /* of the loss by each output's raw prediction; `width` numbers */
    /* what reading finds */
    double *raw_prediction; /* of the row, without intercepts */
    real largest_x, largest_moment;
} ska_touch;

/* Gradients of each feature in turn, for several outputs: x times derivatives that all features of a
   row share, or once those that each feature of a batch has for itself. */
typedef struct {
    const real *x, *derivative;
    ptrdiff_t x_step, derivative_step;
} ska_gradients;

static const real ska_one = 1;

SKA_INLINE ska_gradients ska_gradients_of(
    const ska_model *m, const ska_touch *touch, ptrdiff_t k) {
    ska_gradients g = {touch->x, touch->derivative + k, 1, 0};
    if (touch->x == NULL) {
        g.x = &ska_one;
        g.derivative = m->g + k;
        g.x_step = 0;
        g.derivative_step = m->width;
    }
    return g;
}

SKA_INLINE void ska_next_gradients(ska_gradients *g) {
    g->x += g->x_step;
    g->derivative += g->derivative_step;
}

/* What a pass does with LANES coefficients at once. */
typedef struct {
    vec w, first, second, metric;
} ska_lanes;

/* The numbers of their outputs. */
typedef struct {
    vec eta, rate, l1, l2, eps, kept;
} ska_settings;

/* The passes of an optimizer for records of one kind. Of pairs the second is for int64 columns. */
typedef struct {
    /* what such a record holds beside the first moment */
    int has_step, has_weight, has_second, has_metric, has_charged;
    /* Weights and moments after step t, to the working set; with x the raw predictions. With
       several outputs the weights only, unless `whole`. */
    void (*read[2])(const ska_model *, ska_touch *, int whole);
    /* After `read`: one step, straight to the records. */
    void (*move[2])(const ska_model *, const ska_touch *);
    /* After a whole `read`: one step of the working set. Returns whether all of it is finite. */
    int (*step)(const ska_model *, const ska_touch *);
    /* The working set, as it is after step t, to the records. */
    void (*store[2])(const ska_model *, const ska_touch *);
    /* From weights after step t in the working set to what records hold. */
    void (*settle)(const ska_model *, ptrdiff_t n);
} ska_passes;

/* Of the n outputs of a row, in arrays with room for whole SKA_LOSSES_AT_ONCE: multiply values and
   derivatives by factors, derivatives also by `share`. Add the values to the losses and the
   derivatives to those of the intercepts, and copy these. Returns whether derivatives and raw
   predictions are finite. */
SKA_INLINE int ska_multiply_row(
    const double *restrict raw_prediction, const double *restrict factors,
    const double *restrict values, double *restrict losses, double *restrict derivatives,
    double *restrict of_intercepts, real *restrict copies, ptrdiff_t n, double share,
    double *restrict largest_size) {
    double check[SKA_LOSSES_AT_ONCE] = {0}, largest[SKA_LOSSES_AT_ONCE] = {0};
    int i, finite = 1;
    ptrdiff_t k;
    for (k = 0; k < n; k += SKA_LOSSES_AT_ONCE)
        for (i = 0; i < SKA_LOSSES_AT_ONCE; i++) {
            const double derivative = derivatives[k + i] * factors[k + i] * share;
            const double size = fabs(derivative);
            losses[k + i] += factors[k + i] * values[k + i];
            derivatives[k + i] = derivative;
            of_intercepts[k + i] += derivative;
            copies[k + i] = (real)derivative;
            largest[i] = size > largest[i] ? size : largest[i];
            check[i] += raw_prediction[k + i] * 0 + derivative * 0;
        }
    *largest_size = 0;
    for (i = 0; i < SKA_LOSSES_AT_ONCE; i++) {
        *largest_size = largest[i] > *largest_size ? largest[i] : *largest_size;
        finite &= check[i] == 0;
    }
    return finite;
}

/* Add the sizes and the squares of n features' weights, by output. */
SKA_INLINE void ska_add_sizes_of_lanes(
    const real *restrict w, ptrdiff_t n, ptrdiff_t width, double *restrict sizes,
    double *restrict squares, const int lanes) {
    double size[LANES] = {0}, square[LANES] = {0};
    ptrdiff_t j;
    int i;
    for (j = 0; j < n; j++, w += width)
        for (i = 0; i < lanes; i++) {
            size[i] += fabs((double)w[i]);
            square[i] += (double)w[i] * w[i];
        }
    for (i = 0; i < lanes; i++) {
        sizes[i] += size[i];
        squares[i] += square[i];
    }
}

static void ska_add_sizes(
    const real *w, ptrdiff_t n, ptrdiff_t width, double *sizes, double *squares) {
    ptrdiff_t k;
    if (width == 1)
        ska_add_sizes_of_lanes(w, n, width, sizes, squares, 1);
    else
        for (k = 0; k < width; k += LANES)
            ska_add_sizes_of_lanes(w + k, n, width, sizes + k, squares + k, LANES);
}

/* Numbers from k on, of which there are n_lanes. */
SKA_INLINE vec ska_load_numbers(const real *numbers, ptrdiff_t k, int n_lanes) {
    return n_lanes == LANES ? v_load(numbers + k) : v_load_part(numbers + k, n_lanes);
}

SKA_INLINE void ska_store_numbers(real *numbers, ptrdiff_t k, int n_lanes, vec a) {
    if (n_lanes == LANES)
        v_store(numbers + k, a);
    else
        v_store_part(numbers + k, a, n_lanes);
}

/* How many lanes are in use from number k of n on. */
SKA_INLINE int ska_lanes_from(ptrdiff_t k, ptrdiff_t n) {
    return n - k < LANES ? (int)(n - k) : LANES;
}

/* Vectors of outputs in blocks of at most SKA_FEW, and those of one block. */
SKA_INLINE int ska_n_blocks(const ska_model *m) {
    return (int)((m->width + SKA_FEW * LANES - 1) / (SKA_FEW * LANES));
}

SKA_INLINE int ska_vectors_of(const ska_model *m, int block) {
    const ptrdiff_t rest = m->width / LANES - block * SKA_FEW;
    return rest < SKA_FEW ? (int)rest : SKA_FEW;
}

/* The number of passes that fetch records: see several_outputs.h. */
SKA_INLINE int ska_n_turns(const ska_model *m, const ska_touch *touch) {
    return touch->x != NULL ? 2 * ska_n_blocks(m) : ska_n_blocks(m);
}

SKA_INLINE ska_settings ska_settings_of_all(const ska_model *m) {
    ska_settings h;
    h.eta = v_all(m->eta[0]);
    h.rate = v_all(m->rate[0]);
    h.l1 = v_all(m->l1[0]);
    h.l2 = v_all(m->l2[0]);
    h.eps = v_all(m->eps[0]);
    h.kept = v_all(m->kept[0]);
    return h;
}

SKA_INLINE ska_settings ska_settings_from(const ska_model *m, ptrdiff_t k) {
    ska_settings h;
    h.eta = v_load(m->eta + k);
    h.rate = v_load(m->rate + k);
    h.l1 = v_load(m->l1 + k);
    h.l2 = v_load(m->l2 + k);
    h.eps = v_load(m->eps + k);
    h.kept = v_load(m->kept + k);
    return h;
}

/* w after the penalty's flow dw/dtau = -(l2 w + l1 sign w), stopped at zero, for the time tau. */
SKA_INLINE vec ska_flow(vec w, vec tau, const ska_settings *h, int has_l1) {
    vec u = h->l2 * tau;
    vec share; /* (1 - exp(-u)) / u */
    if (SKA_RARELY(v_any_above(u, (real)0.015625))) {
        /* beyond that a weight is 0 to rounding */
        u = v_min(u, v_all((real)(sizeof(real) == 8 ? 700 : 87)));
        share = v_select(
            v_above(u, v_all((real)0.015625)), -ska_expm1_of_negative(-u) / u,
            ska_growth_of_small(-u));
    } else {
        share = ska_growth_of_small(-u);
    }
    if (!has_l1)
        return w - w * (u * share);
    {
        const vec size = v_abs(w);
        const vec rest = v_max(size - share * (size * u + h->l1 * tau), v_all(0));
        return v_select(v_above(v_all(0), w), -rest, rest);
    }
}

/* In single precision a frequent feature's moment and weight would stop changing after some
   million steps, when a step changes less than half of their last digit. So before they are
   rounded a fraction of the last digit, from -1/2 to 1/2, is added that is another in each step:
   what is lost in one step is gained in others. This is what the last binary digit of x is worth,
   with the sign of x. */
SKA_INLINE vec ska_last_digit(vec x) { return (x + x * (real)(0.75 * REAL_EPSILON)) - x; }

#endif
