/* Loops that are the same whatever the optimizer. */

#ifndef SKA_LOOPS_H
#define SKA_LOOPS_H

#include "exponential.h"
#include "loss_loops.h"

/* Whether all of n numbers are finite. As compilers leave the order of sums alone there are several
   at once, the last of which overlap with those before. A few are looked at one by one, without
   an array that would be written in parts and read as a whole, which processors wait for. */
enum { SKA_AT_ONCE = 8 };

SKA_INLINE int ska_are_finite(const double *numbers, ptrdiff_t n) {
    double check[SKA_AT_ONCE] = {0}, of_few = 0;
    int i, finite = 1;
    ptrdiff_t k;
    if (n < SKA_AT_ONCE) {
        for (k = 0; k < n; k++)
            of_few += numbers[k] * 0;
        return of_few == 0;
    }
    for (k = 0; k < n; k += SKA_AT_ONCE) {
        k = k < n - SKA_AT_ONCE ? k : n - SKA_AT_ONCE;
        for (i = 0; i < SKA_AT_ONCE; i++)
            check[i] += numbers[k + i] * 0;
    }
    for (i = 0; i < SKA_AT_ONCE; i++)
        finite &= check[i] == 0;
    return finite;
}

/* -- numbers of the outputs -- */

/* Set what depends on the learning rate, which is eta times each output's rate. */
static void ska_set_rates(
    const ska_model *m, double eta, const double *restrict rate, const double *restrict decay) {
    ptrdiff_t k;
    for (k = 0; k < m->n_outputs; k++) {
        m->eta[k] = (real)(eta * rate[k]);
        m->shrinkage[k] = (real)(1 - eta * rate[k] * decay[k]);
    }
}

/* Of the n outputs of a row, in arrays with room for whole SKA_LOSSES_AT_ONCE: multiply values and
   derivatives by factors, derivatives also by `share`. Add the values to the losses and the
   derivatives to those of the intercepts, and copy these. Returns whether derivatives and raw
   predictions are finite. */
static int ska_multiply_row(
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

/* -- rows of a mini-batch, whose entries' features are numbered by `place` -- */

/* Raw predictions of a row, without intercepts. */
static void ska_predict_in_batch(
    const ska_model *m, const real *x, const int32_t *place, ptrdiff_t n, double *raw_prediction) {
    const ptrdiff_t width = m->width;
    const real *w = m->w;
    ptrdiff_t j, k;
    if (m->n_outputs == 1) {
        double total_0 = 0, total_1 = 0, total_2 = 0, total_3 = 0;
        for (j = 0; j + 4 <= n; j += 4) {
            total_0 += (double)x[j] * w[place[j]];
            total_1 += (double)x[j + 1] * w[place[j + 1]];
            total_2 += (double)x[j + 2] * w[place[j + 2]];
            total_3 += (double)x[j + 3] * w[place[j + 3]];
        }
        for (; j < n; j++)
            total_0 += (double)x[j] * w[place[j]];
        raw_prediction[0] = (total_0 + total_1) + (total_2 + total_3);
        return;
    }
    memset(m->sums, 0, width * sizeof(real));
    for (j = 0; j < n; j++) {
        const real *restrict at = w + place[j] * width;
        real *restrict sums = m->sums;
        for (k = 0; k < width; k++)
            sums[k] += x[j] * at[k];
    }
    for (k = 0; k < m->n_outputs; k++)
        raw_prediction[k] = m->sums[k];
}

/* Add the gradients of a row. */
static void ska_add_gradients(
    const ska_model *m, const real *x, const int32_t *place, ptrdiff_t n, const real *derivative) {
    const ptrdiff_t width = m->width;
    ptrdiff_t j, k;
    if (width == 1) {
        for (j = 0; j < n; j++)
            m->g[place[j]] += derivative[0] * x[j];
        return;
    }
    for (j = 0; j < n; j++) {
        real *restrict at = m->g + place[j] * width;
        for (k = 0; k < width; k++)
            at[k] += derivative[k] * x[j];
    }
}

/* The largest size of n numbers. */
static real ska_largest_size(const real *x, ptrdiff_t n) {
    real largest[SKA_AT_ONCE] = {0}, result = 0;
    ptrdiff_t i;
    int k;
    for (i = 0; i + SKA_AT_ONCE <= n; i += SKA_AT_ONCE)
        for (k = 0; k < SKA_AT_ONCE; k++)
            largest[k] = REAL_ABS(x[i + k]) > largest[k] ? REAL_ABS(x[i + k]) : largest[k];
    for (; i < n; i++)
        largest[0] = REAL_ABS(x[i]) > largest[0] ? REAL_ABS(x[i]) : largest[0];
    for (k = 0; k < SKA_AT_ONCE; k++)
        result = largest[k] > result ? largest[k] : result;
    return result;
}

/* -- the penalty -- */

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

/* -- models side by side, see model_weights.pxi -- */

/* The weighted mean of the models' numbers, which are n_outputs each. */
static void ska_mean_of_models(
    const double *restrict weights, const double *restrict numbers, ptrdiff_t n_models,
    ptrdiff_t n_outputs, double *restrict mean) {
    ptrdiff_t model, k;
    for (k = 0; k < n_outputs; k++)
        mean[k] = 0;
    for (model = 0; model < n_models; model++)
        for (k = 0; k < n_outputs; k++)
            mean[k] += weights[model] * numbers[model * n_outputs + k];
}

/* Multiply weights by exp(-rate * loss), divide them by their sum, and hand a share of the whole out
   anew. A weight of 0 stays 0. */
static void ska_reweigh(
    double *restrict weights, const double *restrict losses, const double *restrict handed_out,
    ptrdiff_t n_models, double rate, double share) {
    double least = INFINITY, total = 0, factor;
    ptrdiff_t model;
    for (model = 0; model < n_models; model++)
        if (weights[model] > 0 && losses[model] < least)
            least = losses[model];
    for (model = 0; model < n_models; model++) {
        const double exponent = -rate * (losses[model] - least);
        weights[model] *= ska_exp_of_negative(exponent < 0 ? exponent : 0);
    }
    for (model = 0; model < n_models; model++)
        total += weights[model];
    factor = (1 - share) / total;
    for (model = 0; model < n_models; model++)
        weights[model] = factor * weights[model] + handed_out[model];
}

#endif
