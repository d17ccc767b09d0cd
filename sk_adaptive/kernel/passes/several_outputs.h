/* The passes over a row for models with several outputs: LANES outputs of a feature at a time.

   A pass goes over the row once for each block of at most SKA_FEW vectors. The loop over these is
   unrolled, for what belongs to the outputs to stay in registers: the numbers of the outputs, the derivatives, the
   raw predictions. Read from memory for each feature they take as long as a third of all the rest.

   A record is an array by itself, so nothing is transposed. The weights of the row go to the
   working set, as the step needs them again; moments are read again from the record, which is
   still in the cache. How much these have decayed is found first, for a vector of records at a time.
   The records of the row to come are fetched in turns by both passes over all blocks; those of a
   batch, which is ahead of itself, by the first. */

#ifndef SKA_SEVERAL_OUTPUTS_H
#define SKA_SEVERAL_OUTPUTS_H

#include "rule.h"

/* Before a loop of at most SKA_FEW rounds, whose number the compiler knows. */
enum { SKA_FEW = 3 };
#if defined(__GNUC__) && !defined(__clang__)
#define SKA_UNROLLED _Pragma("GCC unroll 3")
#else
#define SKA_UNROLLED
#endif

/* Vectors of outputs in blocks of at most SKA_FEW, and those of one block. */
SKA_INLINE int ska_n_blocks(const ska_model *m) {
    return (int)((m->width + SKA_FEW * LANES - 1) / (SKA_FEW * LANES));
}

SKA_INLINE int ska_vectors_of(const ska_model *m, int block) {
    const ptrdiff_t rest = m->width / LANES - block * SKA_FEW;
    return rest < SKA_FEW ? (int)rest : SKA_FEW;
}

/* The number of passes that fetch records. */
SKA_INLINE int ska_n_turns(const ska_model *m, const ska_touch *touch) {
    return touch->x != NULL ? 2 * ska_n_blocks(m) : ska_n_blocks(m);
}

SKA_INLINE ska_output_numbers ska_numbers_from(const ska_model *m, ptrdiff_t k) {
    ska_output_numbers h;
    h.eta = v_load(m->eta + k);
    h.rate = v_load(m->rate + k);
    h.l1 = v_load(m->l1 + k);
    h.l2 = v_load(m->l2 + k);
    h.eps = v_load(m->eps + k);
    h.shrinkage = v_load(m->shrinkage + k);
    h.forgotten = v_load(m->forgotten + k);
    return h;
}

/* Gradients of each feature in turn: x times derivatives that all features of a row share, or once
   those that each feature of a batch has for itself. */
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

/* Whether moments age: all outputs of a record do together, so that passes for those that might serve
   for those that do not, too. */
SKA_INLINE int ska_does_age(const ska_kind *kind, const ska_model *m) {
    return kind->has.step && m->layout.last_step != SKA_ABSENT;
}

/* LANES outputs of a record from number k on. What `numbers` points at is the record, or so many
   numbers behind it as outputs are passed over. */
SKA_INLINE void ska_load(
    const ska_kind *kind, const ska_model *m, const unsigned char *numbers, ptrdiff_t k, int n_lanes,
    ska_lanes *c) {
    c->w = c->second = c->metric = v_all(0);
    if (kind->has.weight)
        c->w = ska_load_numbers((const real *)(numbers + m->layout.weight), k, n_lanes);
    c->first = ska_load_numbers((const real *)(numbers + m->layout.first), k, n_lanes);
    if (kind->has.second)
        c->second = ska_load_numbers((const real *)(numbers + m->layout.second), k, n_lanes);
    if (kind->has.metric)
        c->metric = ska_load_numbers((const real *)(numbers + m->layout.metric), k, n_lanes);
}

SKA_INLINE void ska_store_outputs(
    const ska_kind *kind, const ska_model *m, unsigned char *numbers, ptrdiff_t k, int n_lanes,
    const ska_lanes *c) {
    if (kind->has.weight)
        ska_store_numbers((real *)(numbers + m->layout.weight), k, n_lanes, c->w);
    ska_store_numbers((real *)(numbers + m->layout.first), k, n_lanes, c->first);
    if (kind->has.second)
        ska_store_numbers((real *)(numbers + m->layout.second), k, n_lanes, c->second);
    if (kind->has.metric)
        ska_store_numbers((real *)(numbers + m->layout.metric), k, n_lanes, c->metric);
}

SKA_INLINE void ska_store_time(const ska_kind *kind, const ska_model *m, unsigned char *record) {
    if (ska_does_age(kind, m))
        *(int64_t *)record = m->t;
    if (kind->has.charged)
        *(real *)(record + m->layout.charged) = m->charged_after_store;
}

SKA_INLINE unsigned char *ska_record_of(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j) {
    return m->memory + touch->columns[j] * m->layout.stride;
}

/* What moments of each record are multiplied by, as all its outputs are as old. */
SKA_INLINE void ska_find_decays(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    ptrdiff_t j;
    int i;
    for (j = 0; j < touch->n; j += LANES) {
        double steps[LANES] = {0};
        ska_ages age;
        for (i = 0; i < LANES && j + i < touch->n; i++)
            steps[i] = (double)(m->t - *(const int64_t *)ska_record_of(m, touch, j + i));
        age = ska_ages_of(steps);
        v_store(m->decay_first + j, ska_powers(&age, m->log2_decay_first));
        if (kind->has.second)
            v_store(m->decay_second + j, ska_powers(&age, m->log2_decay_second));
    }
}

/* Fetch a record of those ahead. */
SKA_INLINE void ska_fetch(const ska_model *m, const ska_touch *touch, ptrdiff_t j) {
    ska_prefetch_array(m->memory + touch->ahead[j] * m->layout.stride, m->fetched_size);
}

/* `few` vectors of outputs, which the compiler knows, from the block's first on. The model and the
   touch are copied, as for all that a compiler knows what is stored might change them. */
SKA_INLINE void ska_read_block(
    const ska_kind *kind, const ska_model *restrict model, ska_touch *restrict given, int whole,
    int block, const int few) {
    const ska_model local = *model, *m = &local;
    const ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, first = block * (SKA_FEW * LANES), n_turns = ska_n_turns(m, touch);
    const int last_lanes = ska_lanes_from(first + (few - 1) * LANES, m->n_outputs);
    const int aged = ska_does_age(kind, m);
    ska_output_numbers h[SKA_FEW];
    vec largest_moment = v_all(0), sum[SKA_FEW];
    real largest_x = 0;
    ptrdiff_t j, at = first, turn = block;
    int i;
    SKA_UNROLLED
    for (i = 0; i < few; i++) {
        h[i] = ska_numbers_from(m, first + i * LANES);
        sum[i] = v_all(0);
    }
    for (j = 0; j < n; j++, at += m->width) {
        const unsigned char *record = ska_record_of(m, touch, j);
        const vec decay_first = v_all(aged ? m->decay_first[j] : 1);
        const vec decay_second = v_all(aged && kind->has.second ? m->decay_second[j] : 1);
        vec owed = v_all(0);
        const real x_j = touch->x != NULL ? touch->x[j] : 0;
        if (j == turn && j < touch->n_ahead) {
            ska_fetch(m, touch, j);
            turn += n_turns;
        }
        if (kind->has.charged)
            owed = v_all(m->learning_rate_sum)
                - v_all(*(const real *)(record + m->layout.charged));
        largest_x = REAL_ABS(x_j) > largest_x ? REAL_ABS(x_j) : largest_x;
        SKA_UNROLLED
        for (i = 0; i < few; i++) {
            ska_lanes c;
            ska_control(kind, m, touch->columns + j, 1, &c);
            ska_load(
                kind, m, record + first * sizeof(real), i * LANES,
                i + 1 < few ? LANES : last_lanes, &c);
            ska_refresh(kind, m, &h[i], &c, decay_first, decay_second, owed);
            if (kind->rule->size != NULL)
                largest_moment = v_max(largest_moment, kind->rule->size(&c));
            if (whole)
                ska_put(kind, m, at + i * LANES, &c);
            else
                v_store(m->w + at + i * LANES, c.w);
            sum[i] += x_j * c.w;
        }
    }
    for (; turn < touch->n_ahead; turn += n_turns)
        ska_fetch(m, touch, turn);
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        v_store(m->sums + first + i * LANES, sum[i]);
    given->largest_moment = v_largest(largest_moment);
    if (block && mine.largest_moment > given->largest_moment)
        given->largest_moment = mine.largest_moment;
    given->largest_x = largest_x;
}

SKA_INLINE void ska_read_several(
    const ska_kind *kind, const ska_model *restrict m, ska_touch *restrict touch, int whole) {
    ptrdiff_t k;
    int block;
    if (ska_does_age(kind, m))
        ska_find_decays(kind, m, touch);
    for (block = 0; block < ska_n_blocks(m); block++)
        switch (ska_vectors_of(m, block)) {
        case 1: ska_read_block(kind, m, touch, whole, block, 1); break;
        case 2: ska_read_block(kind, m, touch, whole, block, 2); break;
        default: ska_read_block(kind, m, touch, whole, block, 3);
        }
    for (k = 0; touch->x != NULL && k < m->n_outputs; k++)
        touch->raw_prediction[k] = m->sums[k];
}

SKA_INLINE void ska_move_block(
    const ska_kind *kind, const ska_model *restrict model, const ska_touch *restrict given, int block,
    const int few) {
    const ska_model local = *model, *m = &local;
    const ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, first = block * (SKA_FEW * LANES), n_turns = ska_n_turns(m, touch);
    const int last_lanes = ska_lanes_from(first + (few - 1) * LANES, m->n_outputs);
    const int is_last = block + 1 == ska_n_blocks(m);
    const int aged = ska_does_age(kind, m);
    ska_output_numbers h[SKA_FEW];
    ska_gradients g = ska_gradients_of(m, touch, first);
    ptrdiff_t j, at = first, turn = ska_n_blocks(m) + block;
    int i;
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        h[i] = ska_numbers_from(m, first + i * LANES);
    for (j = 0; j < n; j++, at += m->width, ska_next_gradients(&g)) {
        unsigned char *record = ska_record_of(m, touch, j);
        const vec decay_first = v_all(aged ? m->decay_first[j] : 1);
        const vec decay_second = v_all(aged && kind->has.second ? m->decay_second[j] : 1);
        if (j == turn && j < touch->n_ahead) {
            ska_fetch(m, touch, j);
            turn += n_turns;
        }
        SKA_UNROLLED
        for (i = 0; i < few; i++) {
            ska_lanes c;
            const int n_lanes = i + 1 < few ? LANES : last_lanes;
            ska_control(kind, m, touch->columns + j, 1, &c);
            ska_load(kind, m, record + first * sizeof(real), i * LANES, n_lanes, &c);
            c.first *= decay_first;
            c.second *= decay_second;
            c.w = v_load(m->w + at + i * LANES);
            kind->rule->step(
                m, &h[i], &c, *g.x * v_load(g.derivative + i * LANES), kind->has.charged);
            ska_store_outputs(kind, m, record + first * sizeof(real), i * LANES, n_lanes, &c);
        }
        if (is_last)
            ska_store_time(kind, m, record);
    }
    for (; turn < touch->n_ahead; turn += n_turns)
        ska_fetch(m, touch, turn);
}

SKA_INLINE void ska_move_several(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    int block;
    for (block = 0; block < ska_n_blocks(m); block++)
        switch (ska_vectors_of(m, block)) {
        case 1: ska_move_block(kind, m, touch, block, 1); break;
        case 2: ska_move_block(kind, m, touch, block, 2); break;
        default: ska_move_block(kind, m, touch, block, 3);
        }
}

SKA_INLINE void ska_store_several(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    ptrdiff_t j, k;
    for (j = 0; j < touch->n; j++) {
        unsigned char *record = ska_record_of(m, touch, j);
        for (k = 0; k < m->n_outputs; k += LANES) {
            ska_lanes c;
            ska_take(kind, m, j * m->width + k, &c);
            ska_store_outputs(kind, m, record, k, ska_lanes_from(k, m->n_outputs), &c);
        }
        ska_store_time(kind, m, record);
    }
}

SKA_INLINE int ska_step_several(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    vec check = v_all(0);
    ska_gradients g = ska_gradients_of(m, touch, 0);
    ptrdiff_t j, k;
    for (j = 0; j < touch->n; j++, ska_next_gradients(&g))
        for (k = 0; k < m->n_outputs; k += LANES) {
            const ska_output_numbers h = ska_numbers_from(m, k);
            ska_lanes c;
            ska_control(kind, m, touch->columns + j, 1, &c);
            ska_take(kind, m, j * m->width + k, &c);
            kind->rule->step(m, &h, &c, *g.x * v_load(g.derivative + k), kind->has.charged);
            ska_put(kind, m, j * m->width + k, &c);
            check += ska_check(kind, &c);
        }
    return v_is_zero(check);
}

SKA_INLINE void ska_settle_several(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    ptrdiff_t j, k;
    for (j = 0; kind->rule->settle != NULL && j < touch->n; j++)
        for (k = 0; k < m->n_outputs; k += LANES) {
            const ska_output_numbers h = ska_numbers_from(m, k);
            ska_lanes c;
            ska_control(kind, m, touch->columns + j, 1, &c);
            ska_take(kind, m, j * m->width + k, &c);
            kind->rule->settle(m, &h, &c);
            ska_put(kind, m, j * m->width + k, &c);
        }
}

#endif
