/* What the rule of an optimizer is made of, and what passes are made of by it.

   A rule is a handful of functions on LANES coefficients at once (adagrad.h and its neighbours). The
   passes (one_output.h, several_outputs.h) are inline functions of a constant kind of record: for each
   rule, for records that are charged and age or not, the compiler makes a copy in which nothing is
   left of the kind, see passes.c. */

#ifndef SKA_RULE_H
#define SKA_RULE_H

#include "layout.h"

/* What a pass does with LANES coefficients at once. */
typedef struct {
    vec w, first, second, metric;
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

/* A kind of record, which is known when a pass is compiled. */
typedef struct {
    const ska_rule *rule;
    ska_fields has;
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
        c->w = ska_flow(c->w, owed, h, m->has_l1);
    }
    if (kind->rule->refresh != NULL)
        kind->rule->refresh(m, h, c);
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

/* How many lanes are in use from number k of n on. */
SKA_INLINE int ska_lanes_from(ptrdiff_t k, ptrdiff_t n) {
    return n - k < LANES ? (int)(n - k) : LANES;
}

#endif
