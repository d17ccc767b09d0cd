/* The passes over a row for models with one output: LANES features at a time.

   Pass 1, `read`, goes over the row once: records are loaded and transposed in registers, brought
   up to date, multiplied into the raw prediction; weights and moments go to the working set.
   The prefetches of the row to come are spread over it: all at once, processors would drop some.
   Pass 2, `move`, takes the step and stores. Nothing else is a pass, unless the step might
   overflow. */

#ifndef SKA_ONE_OUTPUT_H
#define SKA_ONE_OUTPUT_H

#include "rule.h"

SKA_INLINE ska_output_numbers ska_numbers_of_all(const ska_model *m) {
    ska_output_numbers h;
    h.eta = v_all(m->eta[0]);
    h.rate = v_all(m->rate[0]);
    h.l1 = v_all(m->l1[0]);
    h.l2 = v_all(m->l2[0]);
    h.eps = v_all(m->eps[0]);
    h.shrinkage = v_all(m->shrinkage[0]);
    h.forgotten = v_all(m->forgotten[0]);
    return h;
}

SKA_INLINE vec ska_gradients_of_lanes(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes) {
    if (touch->x == NULL)
        return v_load(m->g + j);
    return touch->derivative[0] * ska_load_numbers(touch->x, j, n_lanes);
}

/* The records of features j to j + LANES - 1; what is behind the last one is `other`. */
SKA_INLINE void ska_find(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes, unsigned char *other,
    unsigned char **record) {
    const int32_t *columns = touch->columns + j;
    int k;
    for (k = 0; k < LANES; k++)
        record[k] = k < n_lanes ? m->memory + columns[k] * m->layout.stride : other;
}

SKA_INLINE void ska_read_lanes(
    const ska_kind *kind, const ska_model *m, const ska_output_numbers *h, const ska_touch *touch,
    ptrdiff_t j, int n_lanes, ska_sum *sum, vec *largest_x, vec *largest_moment) {
    static const uint64_t nothing[SKA_MOST_WORDS] = {0};
    unsigned char *record[LANES];
    vec word[SKA_MOST_WORDS], decay_first = v_all(1), decay_second = v_all(1), owed = v_all(0), x;
    ska_lanes c;
    ska_control(kind, m, touch->columns + j, n_lanes, &c);
    ska_find(m, touch, j, n_lanes, (unsigned char *)nothing, record);
    ska_load_words((const unsigned char *const *)record, ska_n_words(kind), word);
    c.w = kind->has.weight ? word[ska_word_of_weight(kind)] : v_all(0);
    c.first = word[ska_word_of_first(kind)];
    c.second = kind->has.second ? word[ska_word_of_second(kind)] : v_all(0);
    c.metric = kind->has.metric ? word[ska_word_of_metric(kind)] : v_all(0);
    if (kind->has.step) {
        const ska_ages age = ska_ages_at(m->t, (const unsigned char *const *)record, word);
        decay_first = ska_powers(&age, m->log2_decay_first);
        if (kind->has.second)
            decay_second = ska_powers(&age, m->log2_decay_second);
    }
    if (kind->has.charged)
        owed = m->learning_rate_sum - word[ska_word_of_charged(kind)];
    ska_refresh(kind, m, h, &c, decay_first, decay_second, owed);
    ska_put(kind, m, j, &c);
    if (kind->rule->size != NULL)
        *largest_moment = v_max(*largest_moment, kind->rule->size(&c));
    if (touch->x == NULL)
        return;
    x = ska_load_numbers(touch->x, j, n_lanes);
    *largest_x = v_max(*largest_x, v_abs(x));
    ska_add_products(sum, c.w, x);
}

SKA_INLINE void ska_read_one(
    const ska_kind *kind, const ska_model *restrict m, ska_touch *restrict touch, int whole) {
    const ska_output_numbers h = ska_numbers_of_all(m);
    const ptrdiff_t n = touch->n, stride = m->layout.stride, n_ahead = touch->n_ahead;
    const int32_t *ahead = touch->ahead;
    const ptrdiff_t at_once = n >= LANES ? n_ahead / (n / LANES) + 1 : n_ahead;
    ptrdiff_t j, fetched = 0;
    ska_sum sum = {0};
    vec largest_x = v_all(0), largest_moment = v_all(0);
    (void)whole; /* the working set always is */
    for (j = 0; j + LANES <= n; j += LANES) {
        const ptrdiff_t until = fetched + at_once < n_ahead ? fetched + at_once : n_ahead;
        for (; fetched < until; fetched++)
            ska_fetch_feature(kind, m, ahead[fetched], stride);
        ska_read_lanes(kind, m, &h, touch, j, LANES, &sum, &largest_x, &largest_moment);
    }
    for (; fetched < n_ahead; fetched++)
        ska_fetch_feature(kind, m, ahead[fetched], stride);
    if (j < n)
        ska_read_lanes(kind, m, &h, touch, j, (int)(n - j), &sum, &largest_x, &largest_moment);
    touch->largest_moment = v_largest(largest_moment);
    if (touch->x != NULL) {
        touch->largest_x = v_largest(largest_x);
        touch->raw_prediction[0] = ska_total(&sum);
    }
}

SKA_INLINE void ska_store_lanes(
    const ska_kind *kind, const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes,
    const ska_lanes *c) {
    uint64_t sink[SKA_MOST_WORDS];
    unsigned char *record[LANES];
    vec word[SKA_MOST_WORDS];
    int i;
    for (i = 0; i < SKA_MOST_WORDS; i++)
        word[i] = v_all(0);
    ska_find(m, touch, j, n_lanes, (unsigned char *)sink, record);
    if (kind->has.step)
        ska_set_step(m->t, word);
    if (kind->has.weight)
        word[ska_word_of_weight(kind)] = c->w;
    word[ska_word_of_first(kind)] = c->first;
    if (kind->has.second)
        word[ska_word_of_second(kind)] = c->second;
    if (kind->has.metric)
        word[ska_word_of_metric(kind)] = c->metric;
    if (kind->has.charged)
        word[ska_word_of_charged(kind)] = v_all(m->charged_after_store);
    ska_store_words(record, ska_n_words(kind), word);
}

SKA_INLINE void ska_move_lanes(
    const ska_kind *kind, const ska_model *m, const ska_output_numbers *h, const ska_touch *touch,
    ptrdiff_t j, int n_lanes) {
    ska_lanes c;
    ska_control(kind, m, touch->columns + j, n_lanes, &c);
    ska_take(kind, m, j, &c);
    kind->rule->step(m, h, &c, ska_gradients_of_lanes(m, touch, j, n_lanes), kind->has.charged);
    ska_store_lanes(kind, m, touch, j, n_lanes, &c);
}

SKA_INLINE void ska_move_one(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    const ska_output_numbers h = ska_numbers_of_all(m);
    const ptrdiff_t n = touch->n;
    ptrdiff_t j;
    for (j = 0; j + LANES <= n; j += LANES)
        ska_move_lanes(kind, m, &h, touch, j, LANES);
    if (j < n)
        ska_move_lanes(kind, m, &h, touch, j, (int)(n - j));
}

SKA_INLINE void ska_store_one(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    ska_lanes c;
    ptrdiff_t j;
    for (j = 0; j < touch->n; j += LANES) {
        ska_take(kind, m, j, &c);
        ska_store_lanes(kind, m, touch, j, ska_lanes_from(j, touch->n), &c);
    }
}

SKA_INLINE int ska_step_one(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    const ska_output_numbers h = ska_numbers_of_all(m);
    vec check = v_all(0);
    ptrdiff_t j;
    for (j = 0; j < touch->n; j += LANES) {
        const int n_lanes = ska_lanes_from(j, touch->n);
        ska_lanes c;
        ska_control(kind, m, touch->columns + j, n_lanes, &c);
        ska_take(kind, m, j, &c);
        kind->rule->step(m, &h, &c, ska_gradients_of_lanes(m, touch, j, n_lanes), kind->has.charged);
        ska_put(kind, m, j, &c);
        check += ska_check(kind, &c);
    }
    return v_is_zero(check);
}

SKA_INLINE void ska_settle_one(
    const ska_kind *kind, const ska_model *restrict m, const ska_touch *restrict touch) {
    const ska_output_numbers h = ska_numbers_of_all(m);
    ptrdiff_t j;
    for (j = 0; kind->rule->settle != NULL && j < touch->n; j += LANES) {
        ska_lanes c;
        ska_control(kind, m, touch->columns + j, ska_lanes_from(j, touch->n), &c);
        ska_take(kind, m, j, &c);
        kind->rule->settle(m, &h, &c);
        ska_put(kind, m, j, &c);
    }
}

#endif
