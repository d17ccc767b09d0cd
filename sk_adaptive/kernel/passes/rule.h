/* What the rule of an optimizer is made of, and what passes are made of by it.

   A rule is a handful of functions on LANES coefficients at once (adagrad.h and its neighbours). The
   passes (one_output.h, several_outputs.h) are inline functions of a constant kind of record: for each
   rule, for records that are charged and age or not, the compiler makes a copy in which nothing is
   left of the kind, see passes.c. */

#ifndef SKA_RULE_H
#define SKA_RULE_H

#include "layout.h"

/* What a pass does with LANES coefficients at once. If they are controlled, weights stay between two
   bounds, one of which is not positive and the other not negative, and the time of the penalty's flow is
   multiplied by a factor. Weights are clipped after the optimizer's step, which is the projection in its
   metric; the flow then goes towards 0, and so stays within. */
typedef struct {
    vec w, first, second, metric;
    vec low, high, factor;
    int controlled;
} ska_lanes;

/* The numbers of their outputs. */
typedef struct {
    vec eta, rate, l1, l2, eps, shrinkage, forgotten;
} ska_output_numbers;

typedef struct {
    /* One step with the gradients g: from coefficients as they are after step t - 1 to what records
       hold after step t. If they are charged, and the rule charges its step, by the penalty, too. */
    void (*step)(
        const ska_model *m, const ska_output_numbers *h, ska_lanes *c, vec g, int charged);
    /* The weight after step t from what a record holds, all decayed and charged, and the inverse; or
       NULL where that is the weight. */
    void (*refresh)(const ska_model *m, const ska_output_numbers *h, ska_lanes *c);
    void (*settle)(const ska_model *m, const ska_output_numbers *h, ska_lanes *c);
    /* The largest size of moments that might overflow, or NULL. */
    vec (*size)(const ska_lanes *c);
    /* The textbook's step of the intercepts, before scaling; their moments change. */
    void (*step_intercepts)(
        const ska_intercepts *i, ptrdiff_t n, double *first, double *second, const double *g,
        double *step);
    int metric_is_first; /* the first moment is the inverse metric of the charge */
} ska_rule;

/* A kind of record, which is known when a pass is compiled; but not where weights are controlled, for
   all kinds of which there is one copy. */
typedef struct {
    const ska_rule *rule;
    ska_fields has;
    int controlled;
} ska_kind;

/* Where the numbers of a record with one output are, in words; the weight is there with several, too. */
SKA_INLINE int ska_word_of_weight(const ska_kind *kind) {
    return kind->has.step ? SKA_WORDS_OF_STEP : 0;
}
SKA_INLINE int ska_word_of_first(const ska_kind *kind) {
    return ska_word_of_weight(kind) + kind->has.weight;
}
SKA_INLINE int ska_word_of_second(const ska_kind *kind) { return ska_word_of_first(kind) + 1; }
SKA_INLINE int ska_word_of_metric(const ska_kind *kind) {
    return ska_word_of_second(kind) + kind->has.second;
}
SKA_INLINE int ska_word_of_charged(const ska_kind *kind) {
    return ska_word_of_metric(kind) + kind->has.metric;
}
SKA_INLINE int ska_n_words(const ska_kind *kind) {
    return ska_word_of_charged(kind) + kind->has.charged;
}

/* w after the penalty's flow dw/dtau = -(l2 w + l1 sign w), stopped at zero, for the time tau. */
SKA_INLINE vec ska_flow(vec w, vec tau, const ska_output_numbers *h, int has_l1) {
    vec u = h->l2 * tau;
    const vec share = ska_mean_of_decay(&u);
    if (!has_l1)
        return w - w * (u * share);
    {
        const vec size = v_abs(w);
        const vec rest = v_max(size - share * (size * u + h->l1 * tau), v_all(0));
        return v_select(v_above(v_all(0), w), -rest, rest);
    }
}

/* The weight, clipped where there are bounds. NaN stays NaN. */
SKA_INLINE vec ska_within(const ska_lanes *c, vec w) {
    if (!c->controlled)
        return w;
    w = v_select(v_above(w, c->high), c->high, w);
    return v_select(v_above(c->low, w), c->low, w);
}

/* What the penalty counts by. */
SKA_INLINE vec ska_charged_time(const ska_lanes *c, vec time) {
    return c->controlled ? time * c->factor : time;
}

/* In single precision a frequent feature's moment and weight would stop changing after some
   million steps, when a step changes less than half of their last digit. So before they are
   rounded a fraction of the last digit, from -1/2 to 1/2, is added that is another in each step:
   what is lost in one step is gained in others. This is what the last binary digit of x is worth,
   with the sign of x. */
SKA_INLINE vec ska_last_digit(vec x) { return (x + x * (real)(0.75 * REAL_EPSILON)) - x; }

/* -- what passes of one output and of several have in common -- */

/* From what records hold to weights and moments after step t. `owed` is what the learning-rate sum
   has grown by since they were charged. */
SKA_INLINE void ska_refresh(
    const ska_kind *kind, const ska_model *m, const ska_output_numbers *h, ska_lanes *c,
    vec decay_first, vec decay_second, vec owed) {
    c->first *= decay_first;
    c->second *= decay_second;
    if (kind->has.charged) {
        if (kind->rule->metric_is_first)
            owed *= c->first;
        if (kind->has.metric)
            owed *= c->metric;
        c->w = ska_flow(c->w, ska_charged_time(c, owed), h, m->has_l1);
    }
    if (kind->rule->refresh != NULL)
        kind->rule->refresh(m, h, c);
    c->w = ska_within(c, c->w);
}

/* Of the working set: only what this kind has is moved. */
SKA_INLINE void ska_take(const ska_kind *kind, const ska_model *m, ptrdiff_t at, ska_lanes *c) {
    c->w = v_load(m->w + at);
    c->first = v_load(m->first + at);
    c->second = kind->has.second ? v_load(m->second + at) : v_all(0);
    c->metric = kind->has.metric ? v_load(m->metric + at) : v_all(0);
}

SKA_INLINE void ska_put(const ska_kind *kind, const ska_model *m, ptrdiff_t at, const ska_lanes *c) {
    v_store(m->w + at, c->w);
    v_store(m->first + at, c->first);
    if (kind->has.second)
        v_store(m->second + at, c->second);
    if (kind->has.metric)
        v_store(m->metric + at, c->metric);
}

/* 0 in each lane, unless something is not finite there. */
SKA_INLINE vec ska_check(const ska_kind *kind, const ska_lanes *c) {
    return (kind->has.second ? c->w + c->first + c->second : c->w + c->first) * (real)0;
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

SKA_INLINE vec ska_of_features(
    const real *values, ptrdiff_t step, const int32_t *columns, int n_lanes) {
    real of_lanes[LANES];
    int k;
    if (step == 0)
        return v_all(values[0]);
    if (n_lanes == 1)
        return v_all(values[columns[0]]);
    for (k = 0; k < LANES; k++)
        of_lanes[k] = values[columns[k < n_lanes ? k : 0]];
    return v_load(of_lanes);
}

/* The bounds and factors of features, of which there are n_lanes; or of all lanes those of the first. */
SKA_INLINE void ska_control(
    const ska_kind *kind, const ska_model *m, const int32_t *columns, int n_lanes, ska_lanes *c) {
    c->controlled = kind->controlled;
    if (!kind->controlled)
        return;
    c->low = ska_of_features(m->low, m->low_step, columns, n_lanes);
    c->high = ska_of_features(m->high, m->high_step, columns, n_lanes);
    c->factor = ska_of_features(m->factor, m->factor_step, columns, n_lanes);
}

/* Fetch what there is of a feature, whose record is so many bytes long. */
SKA_INLINE void ska_fetch_feature(
    const ska_kind *kind, const ska_model *m, int32_t column, ptrdiff_t stride) {
    ska_prefetch(m->memory + column * stride);
    if (!kind->controlled)
        return;
    ska_prefetch(m->low + column * m->low_step);
    ska_prefetch(m->high + column * m->high_step);
    ska_prefetch(m->factor + column * m->factor_step);
}

/* How many lanes are in use from number k of n on. */
SKA_INLINE int ska_lanes_from(ptrdiff_t k, ptrdiff_t n) {
    return n - k < LANES ? (int)(n - k) : LANES;
}

#endif
