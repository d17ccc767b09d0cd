/* All that is compiled for each set of instructions: the passes of each rule for each kind of record,
   and the loops. SKA_SET is the name of the set. */

#include "adagrad.h"
#include "adam.h"
#include "ftrl.h"
#include "loops.h"
#include "one_output.h"
#include "rmsprop.h"
#include "several_outputs.h"

/* Intercepts after step t. */
SKA_INLINE int ska_step_intercepts(
    const ska_rule *rule, const ska_model *m, const ska_intercepts *i, const double *gradient) {
    const ptrdiff_t n = m->n_outputs;
    double *next = i->next;
    ptrdiff_t k;
    if (n == 1) /* without a call */
        memcpy(next, i->values, 3 * sizeof(double));
    else
        memcpy(next, i->values, 3 * n * sizeof(double));
    for (k = 0; k < n; k++)
        i->gradient[k] = i->scaling * gradient[k];
    rule->step_intercepts(i, n, next + n, next + 2 * n, i->gradient, i->step);
    for (k = 0; k < n; k++)
        next[k] -= i->scaling * i->step[k];
    return ska_are_finite(next, 3 * n);
}

#define INTERCEPTS(rule)                                                                           \
    static int rule##_intercepts_after_step(                                                       \
        const ska_model *m, const ska_intercepts *i, const double *gradient) {                     \
        return ska_step_intercepts(&rule, m, i, gradient);                                         \
    }
INTERCEPTS(adagrad)
INTERCEPTS(rmsprop)
INTERCEPTS(adam)
INTERCEPTS(adamw)
INTERCEPTS(ftrl)

/* The kinds of records that there are, and whether moments age unless they are masked. */
#define ALL_KINDS(OF)                                                                              \
    /* rule,    step, weight, second, metric, charged, ages */                                     \
    OF(adagrad, 0,    1,      0,      0,      0,       0)                                          \
    OF(adagrad, 0,    1,      0,      0,      1,       0)                                          \
    OF(rmsprop, 0,    1,      0,      0,      0,       1)                                          \
    OF(rmsprop, 0,    1,      0,      1,      1,       1)                                          \
    OF(rmsprop, 1,    1,      0,      0,      0,       1)                                          \
    OF(rmsprop, 1,    1,      0,      1,      1,       1)                                          \
    OF(adam,    0,    1,      1,      0,      0,       1)                                          \
    OF(adam,    0,    1,      1,      1,      1,       1)                                          \
    OF(adam,    1,    1,      1,      0,      0,       1)                                          \
    OF(adam,    1,    1,      1,      1,      1,       1)                                          \
    OF(adamw,   0,    1,      1,      0,      0,       1)                                          \
    OF(adamw,   0,    1,      1,      0,      1,       1)                                          \
    OF(adamw,   1,    1,      1,      0,      0,       1)                                          \
    OF(adamw,   1,    1,      1,      0,      1,       1)                                          \
    OF(ftrl,    0,    0,      1,      0,      0,       0)                                          \
    OF(ftrl,    0,    0,      1,      1,      0,       0)

/* The passes for one of them: copies of the inline functions, in which the kind is known. Those of
   several outputs do not depend on `step`, see `ska_does_age`. */
#define NAME(rule, step, metric, charged) rule##_##step##metric##charged
#define FUNCTIONS(rule, step, weight, second, metric, charged, ages)                               \
    static const ska_kind NAME(rule, step, metric, charged) = {                                            \
        &rule, {step, weight, second, metric, charged}, 0};                                        \
    static const ska_kind SKA_JOIN(controlled, NAME(rule, step, metric, charged)) = {              \
        &rule, {step, weight, second, metric, charged}, 1};                                        \
    FUNCTIONS_OF(NAME(rule, step, metric, charged), one)                                                   \
    IF_##step##ages(FUNCTIONS_OF(NAME(rule, step, metric, charged), several))
#define IF_00(code) code
#define IF_11(code) code
#define IF_01(code)
#define FUNCTIONS_OF(kind, outputs) FUNCTIONS_OF_(kind, outputs)
#define FUNCTIONS_OF_(kind, outputs)                                                               \
    static void read_##outputs##_##kind(                                                           \
        const ska_model *restrict m, ska_touch *restrict touch, int whole) {                       \
        ska_read_##outputs(&kind, m, touch, whole);                                                \
    }                                                                                              \
    static void move_##outputs##_##kind(                                                           \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_move_##outputs(&kind, m, touch);                                                       \
    }                                                                                              \
    static int step_##outputs##_##kind(                                                            \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        return ska_step_##outputs(&kind, m, touch);                                                \
    }                                                                                              \
    static void store_##outputs##_##kind(                                                          \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_store_##outputs(&kind, m, touch);                                                      \
    }                                                                                              \
    static void settle_##outputs##_##kind(                                                         \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_settle_##outputs(&kind, m, touch);                                                     \
    }
ALL_KINDS(FUNCTIONS)

/* Those of all kinds where weights are controlled: the kind is looked up as they run. */
#define CONTROLLED (*(const ska_kind *)m->kind)
#define FUNCTIONS_OF_ANY(outputs)                                                                  \
    static void read_##outputs##_any(                                                              \
        const ska_model *restrict m, ska_touch *restrict touch, int whole) {                       \
        ska_read_##outputs(&CONTROLLED, m, touch, whole);                                          \
    }                                                                                              \
    static void move_##outputs##_any(                                                              \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_move_##outputs(&CONTROLLED, m, touch);                                                 \
    }                                                                                              \
    static int step_##outputs##_any(                                                               \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        return ska_step_##outputs(&CONTROLLED, m, touch);                                          \
    }                                                                                              \
    static void store_##outputs##_any(                                                             \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_store_##outputs(&CONTROLLED, m, touch);                                                \
    }                                                                                              \
    static void settle_##outputs##_any(                                                            \
        const ska_model *restrict m, const ska_touch *restrict touch) {                            \
        ska_settle_##outputs(&CONTROLLED, m, touch);                                               \
    }
FUNCTIONS_OF_ANY(one)
FUNCTIONS_OF_ANY(several)

#define ENTRIES(rule, step, weight, second, metric, charged, ages)                                 \
    ENTRY(rule, step, weight, second, metric, charged, 0, NULL, one,                               \
          NAME(rule, step, metric, charged)),                                                      \
    ENTRY(rule, step, weight, second, metric, charged, 1, NULL, several,                           \
          NAME(rule, ages, metric, charged)),                                                      \
    ENTRY(rule, step, weight, second, metric, charged, 0,                                          \
          &SKA_JOIN(controlled, NAME(rule, step, metric, charged)), one, any),                     \
    ENTRY(rule, step, weight, second, metric, charged, 1,                                          \
          &SKA_JOIN(controlled, NAME(rule, step, metric, charged)), several, any),
#define ENTRY(rule, step, weight, second, metric, charged, is_several, controlled, outputs, kind)  \
    {#rule,                                                                                        \
     {step, weight, second, metric, charged},                                                      \
     is_several,                                                                                   \
     controlled,                                                                                   \
     ENTRIES_OF(rule, kind, outputs)}
#define ENTRIES_OF(rule, kind, outputs)                                                            \
    SKA_JOIN(read_##outputs, kind), SKA_JOIN(move_##outputs, kind),                                \
        SKA_JOIN(step_##outputs, kind), SKA_JOIN(store_##outputs, kind),                           \
        SKA_JOIN(settle_##outputs, kind), rule##_intercepts_after_step
static const ska_passes passes[] = {ALL_KINDS(ENTRIES)};

const ska_kernel SKA_JOIN(SKA_KERNEL, SKA_SET) = {
    LANES,
    passes,
    sizeof passes / sizeof *passes,
    ska_set_rates,
    ska_multiply_row,
    ska_predict_in_batch,
    ska_add_gradients,
    ska_largest_size,
    ska_add_sizes,
    ska_mean_of_models,
    ska_reweigh,
};
