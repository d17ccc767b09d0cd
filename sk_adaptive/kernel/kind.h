/* The passes of the optimizer RULE for records that have been charged (PENALISED) or not, and of
   which moments age (AGED) or not: see passes.h. */

#define NAME(part) SKA_NAME(RULE, part, PENALISED, AGED)

#if defined(RULE_METRIC_IS_STORED) && PENALISED
#define HAS_METRIC 1
#else
#define HAS_METRIC 0
#endif

/* Where the numbers of a record with one output are, in words. The weight is there with several, too. */
#define WORD_OF_WEIGHT (AGED * SKA_WORDS_OF_STEP)
#define WORD_OF_FIRST (WORD_OF_WEIGHT + HAS_WEIGHT)
#define WORD_OF_SECOND (WORD_OF_FIRST + 1)
#define WORD_OF_METRIC (WORD_OF_FIRST + 1 + HAS_SECOND)
#define WORD_OF_CHARGED (WORD_OF_METRIC + HAS_METRIC)
#define N_WORDS (WORD_OF_CHARGED + PENALISED)

/* From what records hold to weights and moments after step t. `owed` is what the learning-rate sum
   has grown by since they were charged. */
SKA_INLINE void NAME(refresh)(
    const ska_model *m, const ska_settings *h, ska_lanes *c, vec decay_first, vec decay_second,
    vec owed) {
#if AGED
    c->first *= decay_first;
    c->second *= decay_second;
#endif
#if PENALISED
#if defined(RULE_METRIC_IS_FIRST)
    owed *= c->first;
#elif HAS_METRIC
    owed *= c->metric;
#endif
    c->w = ska_flow(c->w, owed, h, m->has_l1);
#endif
#ifdef RULE_REFRESH
    RULE_REFRESH(m, h, c);
#endif
    (void)m, (void)h, (void)c, (void)decay_first, (void)decay_second, (void)owed;
}

/* Of the working set: only what this kind has is moved. */
SKA_INLINE void NAME(take)(const ska_model *m, ptrdiff_t at, ska_lanes *c) {
    c->w = v_load(m->w + at);
    c->first = v_load(m->first + at);
    c->second = HAS_SECOND ? v_load(m->second + at) : v_all(0);
    c->metric = HAS_METRIC ? v_load(m->metric + at) : v_all(0);
}

SKA_INLINE void NAME(put)(const ska_model *m, ptrdiff_t at, const ska_lanes *c) {
    v_store(m->w + at, c->w);
    v_store(m->first + at, c->first);
    if (HAS_SECOND)
        v_store(m->second + at, c->second);
    if (HAS_METRIC)
        v_store(m->metric + at, c->metric);
}

/* 0 in each lane, unless something is not finite there. */
SKA_INLINE vec NAME(check)(const ska_lanes *c) {
    return (HAS_SECOND ? c->w + c->first + c->second : c->w + c->first) * (real)0;
}

#define INDEX int32_t
#define BY_INDEX(part) SKA_JOIN(NAME(part), 32)
#define FIRST_INCLUSION
#include "one_output.h"
#include "several_outputs.h"
#undef FIRST_INCLUSION
#undef INDEX
#undef BY_INDEX
#define INDEX int64_t
#define BY_INDEX(part) SKA_JOIN(NAME(part), 64)
#include "one_output.h"
#include "several_outputs.h"
#undef INDEX
#undef BY_INDEX

#define PASSES(outputs)                                                                            \
    {                                                                                              \
        AGED, HAS_WEIGHT, HAS_SECOND, HAS_METRIC, PENALISED,                                       \
        {SKA_JOIN(NAME(read_##outputs), 32), SKA_JOIN(NAME(read_##outputs), 64)},                  \
        {SKA_JOIN(NAME(move_##outputs), 32), SKA_JOIN(NAME(move_##outputs), 64)},                  \
        NAME(step_##outputs),                                                                      \
        {SKA_JOIN(NAME(store_##outputs), 32), SKA_JOIN(NAME(store_##outputs), 64)},                \
        NAME(settle_##outputs)                                                                     \
    }
static const ska_passes NAME(passes)[2] = {
    PASSES(one), PASSES(several)};

#undef PASSES
#undef NAME
#undef HAS_METRIC
#undef WORD_OF_WEIGHT
#undef WORD_OF_FIRST
#undef WORD_OF_SECOND
#undef WORD_OF_METRIC
#undef WORD_OF_CHARGED
#undef N_WORDS
