/* The passes over a row for models with one output: LANES features at a time. See kind.h.

   Pass 1, `read`, goes over the row once: records are loaded and transposed in registers, brought
   up to date, multiplied into the raw prediction; weights and moments go to the working set.
   The prefetches of the row to come are spread over it: all at once, processors would drop some.
   Pass 2, `move`, takes the step and stores. Nothing else is a pass, unless the step might
   overflow. */

#ifdef FIRST_INCLUSION

SKA_INLINE vec NAME(gradients)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes) {
    if (touch->x == NULL)
        return v_load(m->g + j);
    return touch->derivative[0] * ska_load_numbers(touch->x, j, n_lanes);
}

#endif

/* The records of features j to j + LANES - 1; what is behind the last one is `other`. */
SKA_INLINE void BY_INDEX(find)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes, unsigned char *other,
    unsigned char **record) {
    const INDEX *columns = (const INDEX *)touch->columns + j;
    int k;
    for (k = 0; k < LANES; k++)
        record[k] = k < n_lanes ? m->memory + columns[k] * m->layout.stride : other;
}

SKA_INLINE void BY_INDEX(read_lanes)(
    const ska_model *m, const ska_settings *h, const ska_touch *touch, ptrdiff_t j, int n_lanes,
    ska_sum *sum, vec *largest_x, vec *largest_moment) {
    static const uint64_t nothing[SKA_MOST_WORDS] = {0};
    unsigned char *record[LANES];
    vec word[SKA_MOST_WORDS], decay_first = v_all(1), decay_second = v_all(1), owed = v_all(0), x;
    ska_lanes c;
    BY_INDEX(find)(m, touch, j, n_lanes, (unsigned char *)nothing, record);
    ska_load_words((const unsigned char *const *)record, N_WORDS, word);
    c.w = HAS_WEIGHT ? word[WORD_OF_WEIGHT] : v_all(0);
    c.first = word[WORD_OF_FIRST];
    c.second = HAS_SECOND ? word[WORD_OF_SECOND] : v_all(0);
    c.metric = HAS_METRIC ? word[WORD_OF_METRIC] : v_all(0);
#if AGED
    {
        const ska_ages age = ska_ages_at(m->t, (const unsigned char *const *)record, word);
        decay_first = ska_powers(&age, m->log2_decay_first);
        if (HAS_SECOND)
            decay_second = ska_powers(&age, m->log2_decay_second);
    }
#endif
#if PENALISED
    owed = m->learning_rate_sum - word[WORD_OF_CHARGED];
#endif
    NAME(refresh)(m, h, &c, decay_first, decay_second, owed);
    NAME(put)(m, j, &c);
#ifdef RULE_SIZE
    *largest_moment = v_max(*largest_moment, RULE_SIZE(&c));
#else
    (void)largest_moment;
#endif
    if (touch->x == NULL)
        return;
    x = ska_load_numbers(touch->x, j, n_lanes);
    *largest_x = v_max(*largest_x, v_abs(x));
    ska_add_products(sum, c.w, x);
}

static void BY_INDEX(read_one)(const ska_model *restrict m, ska_touch *restrict touch, int whole) {
    const ska_settings h = ska_settings_of_all(m);
    const ptrdiff_t n = touch->n, stride = m->layout.stride, n_ahead = touch->n_ahead;
    const INDEX *ahead = (const INDEX *)touch->ahead;
    const ptrdiff_t at_once = n >= LANES ? n_ahead / (n / LANES) + 1 : n_ahead;
    ptrdiff_t j, fetched = 0;
    ska_sum sum = {0};
    vec largest_x = v_all(0), largest_moment = v_all(0);
    (void)whole;
    for (j = 0; j + LANES <= n; j += LANES) {
        const ptrdiff_t until = fetched + at_once < n_ahead ? fetched + at_once : n_ahead;
        for (; fetched < until; fetched++)
            ska_prefetch(m->memory + ahead[fetched] * stride);
        BY_INDEX(read_lanes)(m, &h, touch, j, LANES, &sum, &largest_x, &largest_moment);
    }
    for (; fetched < n_ahead; fetched++)
        ska_prefetch(m->memory + ahead[fetched] * stride);
    if (j < n)
        BY_INDEX(read_lanes)(m, &h, touch, j, (int)(n - j), &sum, &largest_x, &largest_moment);
    touch->largest_moment = v_largest(largest_moment);
    if (touch->x != NULL) {
        touch->largest_x = v_largest(largest_x);
        touch->raw_prediction[0] = ska_total(&sum);
    }
}

SKA_INLINE void BY_INDEX(store_lanes)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, int n_lanes, const ska_lanes *c) {
    uint64_t sink[SKA_MOST_WORDS];
    unsigned char *record[LANES];
    vec word[SKA_MOST_WORDS];
    int i;
    for (i = 0; i < SKA_MOST_WORDS; i++)
        word[i] = v_all(0);
    BY_INDEX(find)(m, touch, j, n_lanes, (unsigned char *)sink, record);
#if AGED
    ska_set_step(m->t, word);
#endif
    if (HAS_WEIGHT)
        word[WORD_OF_WEIGHT] = c->w;
    word[WORD_OF_FIRST] = c->first;
    if (HAS_SECOND)
        word[WORD_OF_SECOND] = c->second;
    if (HAS_METRIC)
        word[WORD_OF_METRIC] = c->metric;
    if (PENALISED)
        word[WORD_OF_CHARGED] = v_all(m->charged_after_store);
    ska_store_words(record, N_WORDS, word);
}

SKA_INLINE void BY_INDEX(move_lanes)(
    const ska_model *m, const ska_settings *h, const ska_touch *touch, ptrdiff_t j, int n_lanes) {
    ska_lanes c;
    NAME(take)(m, j, &c);
    RULE_STEP(m, h, &c, NAME(gradients)(m, touch, j, n_lanes), PENALISED);
    BY_INDEX(store_lanes)(m, touch, j, n_lanes, &c);
}

static void BY_INDEX(move_one)(const ska_model *restrict m, const ska_touch *restrict touch) {
    const ska_settings h = ska_settings_of_all(m);
    const ptrdiff_t n = touch->n;
    ptrdiff_t j;
    for (j = 0; j + LANES <= n; j += LANES)
        BY_INDEX(move_lanes)(m, &h, touch, j, LANES);
    if (j < n)
        BY_INDEX(move_lanes)(m, &h, touch, j, (int)(n - j));
}

static void BY_INDEX(store_one)(const ska_model *restrict m, const ska_touch *restrict touch) {
    ska_lanes c;
    ptrdiff_t j;
    for (j = 0; j < touch->n; j += LANES) {
        NAME(take)(m, j, &c);
        BY_INDEX(store_lanes)(m, touch, j, ska_lanes_from(j, touch->n), &c);
    }
}

#ifdef FIRST_INCLUSION

static int NAME(step_one)(const ska_model *restrict m, const ska_touch *restrict touch) {
    const ska_settings h = ska_settings_of_all(m);
    vec check = v_all(0);
    ptrdiff_t j;
    for (j = 0; j < touch->n; j += LANES) {
        const int n_lanes = ska_lanes_from(j, touch->n);
        ska_lanes c;
        NAME(take)(m, j, &c);
        RULE_STEP(m, &h, &c, NAME(gradients)(m, touch, j, n_lanes), PENALISED);
        NAME(put)(m, j, &c);
        check += NAME(check)(&c);
    }
    return v_is_zero(check);
}

static void NAME(settle_one)(const ska_model *restrict m, ptrdiff_t n) {
#ifdef RULE_SETTLE
    const ska_settings h = ska_settings_of_all(m);
    ptrdiff_t j;
    for (j = 0; j < n; j += LANES) {
        ska_lanes c;
        NAME(take)(m, j, &c);
        RULE_SETTLE(m, &h, &c);
        NAME(put)(m, j, &c);
    }
#endif
    (void)m, (void)n;
}

#endif
