/* The passes over a row for models with several outputs: LANES outputs of a feature at a time. See
   kind.h.

   A pass goes over the row once for each block of at most SKA_FEW vectors. The loop over these is
   unrolled, for what belongs to the outputs to stay in registers: the settings, the derivatives, the
   raw predictions. Read from memory for each feature they take as long as a third of all the rest.

   A record is an array by itself, so nothing is transposed. The weights of the row go to the
   working set, as the step needs them again; moments are read again from the record, which is
   still in the cache. How much these have decayed is found first, for a vector of records at a time.
   The records of the row to come are fetched in turns by both passes over all blocks; those of a
   batch, which is ahead of itself, by the first. */

#ifdef FIRST_INCLUSION

/* LANES outputs of a record from number k on. What `numbers` points at is the record, or so many
   numbers behind it as outputs are passed over. */
SKA_INLINE void NAME(load)(
    const ska_model *m, const unsigned char *numbers, ptrdiff_t k, int n_lanes, ska_lanes *c) {
    c->w = c->second = c->metric = v_all(0);
    if (HAS_WEIGHT)
        c->w = ska_load_numbers((const real *)(numbers + WORD_OF_WEIGHT * sizeof(real)), k, n_lanes);
    c->first = ska_load_numbers((const real *)(numbers + m->layout.first), k, n_lanes);
    if (HAS_SECOND)
        c->second = ska_load_numbers((const real *)(numbers + m->layout.second), k, n_lanes);
    if (HAS_METRIC)
        c->metric = ska_load_numbers((const real *)(numbers + m->layout.metric), k, n_lanes);
}

SKA_INLINE void NAME(store_outputs)(
    const ska_model *m, unsigned char *numbers, ptrdiff_t k, int n_lanes, const ska_lanes *c) {
    if (HAS_WEIGHT)
        ska_store_numbers((real *)(numbers + WORD_OF_WEIGHT * sizeof(real)), k, n_lanes, c->w);
    ska_store_numbers((real *)(numbers + m->layout.first), k, n_lanes, c->first);
    if (HAS_SECOND)
        ska_store_numbers((real *)(numbers + m->layout.second), k, n_lanes, c->second);
    if (HAS_METRIC)
        ska_store_numbers((real *)(numbers + m->layout.metric), k, n_lanes, c->metric);
}

SKA_INLINE void NAME(store_time)(const ska_model *m, unsigned char *record) {
#if AGED
    *(int64_t *)record = m->t;
#endif
#if PENALISED
    *(real *)(record + m->layout.charged) = m->charged_after_store;
#endif
    (void)m, (void)record;
}

#endif

SKA_INLINE unsigned char *BY_INDEX(record_of)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j) {
    return m->memory + ((const INDEX *)touch->columns)[j] * m->layout.stride;
}

#if AGED
/* What moments of each record are multiplied by, as all its outputs are as old. */
SKA_INLINE void BY_INDEX(find_decays)(const ska_model *restrict m, const ska_touch *restrict touch) {
    ptrdiff_t j;
    int i;
    for (j = 0; j < touch->n; j += LANES) {
        double steps[LANES] = {0};
        ska_ages age;
        for (i = 0; i < LANES && j + i < touch->n; i++)
            steps[i] = (double)(m->t - *(const int64_t *)BY_INDEX(record_of)(m, touch, j + i));
        age = ska_ages_of(steps);
        v_store(m->decay_first + j, ska_powers(&age, m->log2_decay_first));
        if (HAS_SECOND)
            v_store(m->decay_second + j, ska_powers(&age, m->log2_decay_second));
    }
}
#endif

/* Fetch a record of those ahead. */
SKA_INLINE void BY_INDEX(fetch)(const ska_model *m, const ska_touch *touch, ptrdiff_t j) {
    ska_prefetch_array(
        m->memory + ((const INDEX *)touch->ahead)[j] * m->layout.stride, m->fetched_size);
}

/* `few` vectors of outputs, which the compiler knows, from the block's first on. The model and the
   touch are copied, as for all that a compiler knows what is stored might change them. */
SKA_INLINE void BY_INDEX(read_block)(
    const ska_model *restrict model, ska_touch *restrict given, int whole, int block,
    const int few) {
    const ska_model local = *model, *m = &local;
    const ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, first = block * (SKA_FEW * LANES), n_turns = ska_n_turns(m, touch);
    const int last_lanes = ska_lanes_from(first + (few - 1) * LANES, m->n_outputs);
    ska_settings h[SKA_FEW];
    vec largest_moment = v_all(0), sum[SKA_FEW];
    real largest_x = 0;
    ptrdiff_t j, at = first, turn = block;
    int i;
    SKA_UNROLLED
    for (i = 0; i < few; i++) {
        h[i] = ska_settings_from(m, first + i * LANES);
        sum[i] = v_all(0);
    }
    for (j = 0; j < n; j++, at += m->width) {
        const unsigned char *record = BY_INDEX(record_of)(m, touch, j);
        const vec decay_first = v_all(AGED ? m->decay_first[j] : 1);
        const vec decay_second = v_all(AGED && HAS_SECOND ? m->decay_second[j] : 1);
        vec owed = v_all(0);
        const real x_j = touch->x != NULL ? touch->x[j] : 0;
        if (j == turn && j < touch->n_ahead) {
            BY_INDEX(fetch)(m, touch, j);
            turn += n_turns;
        }
#if PENALISED
        owed = v_all(m->learning_rate_sum) - v_all(*(const real *)(record + m->layout.charged));
#endif
        largest_x = REAL_ABS(x_j) > largest_x ? REAL_ABS(x_j) : largest_x;
        SKA_UNROLLED
        for (i = 0; i < few; i++) {
            ska_lanes c;
            NAME(load)(
                m, record + first * sizeof(real), i * LANES, i + 1 < few ? LANES : last_lanes, &c);
            NAME(refresh)(m, &h[i], &c, decay_first, decay_second, owed);
#ifdef RULE_SIZE
            largest_moment = v_max(largest_moment, RULE_SIZE(&c));
#endif
            if (whole)
                NAME(put)(m, at + i * LANES, &c);
            else
                v_store(m->w + at + i * LANES, c.w);
            sum[i] += x_j * c.w;
        }
    }
    for (; turn < touch->n_ahead; turn += n_turns)
        BY_INDEX(fetch)(m, touch, turn);
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        v_store(m->sums + first + i * LANES, sum[i]);
    given->largest_moment = v_largest(largest_moment);
    if (block && mine.largest_moment > given->largest_moment)
        given->largest_moment = mine.largest_moment;
    given->largest_x = largest_x;
}

static void BY_INDEX(read_several)(
    const ska_model *restrict m, ska_touch *restrict touch, int whole) {
    ptrdiff_t k;
    int block;
#if AGED
    BY_INDEX(find_decays)(m, touch);
#endif
    for (block = 0; block < ska_n_blocks(m); block++)
        switch (ska_vectors_of(m, block)) {
        case 1: BY_INDEX(read_block)(m, touch, whole, block, 1); break;
        case 2: BY_INDEX(read_block)(m, touch, whole, block, 2); break;
        default: BY_INDEX(read_block)(m, touch, whole, block, 3);
        }
    for (k = 0; touch->x != NULL && k < m->n_outputs; k++)
        touch->raw_prediction[k] = m->sums[k];
}

SKA_INLINE void BY_INDEX(move_block)(
    const ska_model *restrict model, const ska_touch *restrict given, int block, const int few) {
    const ska_model local = *model, *m = &local;
    const ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, first = block * (SKA_FEW * LANES), n_turns = ska_n_turns(m, touch);
    const int last_lanes = ska_lanes_from(first + (few - 1) * LANES, m->n_outputs);
    const int is_last = block + 1 == ska_n_blocks(m);
    ska_settings h[SKA_FEW];
    ska_gradients g = ska_gradients_of(m, touch, first);
    ptrdiff_t j, at = first, turn = ska_n_blocks(m) + block;
    int i;
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        h[i] = ska_settings_from(m, first + i * LANES);
    for (j = 0; j < n; j++, at += m->width, ska_next_gradients(&g)) {
        unsigned char *record = BY_INDEX(record_of)(m, touch, j);
        if (j == turn && j < touch->n_ahead) {
            BY_INDEX(fetch)(m, touch, j);
            turn += n_turns;
        }
        SKA_UNROLLED
        for (i = 0; i < few; i++) {
            ska_lanes c;
            const int n_lanes = i + 1 < few ? LANES : last_lanes;
            NAME(load)(m, record + first * sizeof(real), i * LANES, n_lanes, &c);
#if AGED
            c.first *= v_all(m->decay_first[j]);
            if (HAS_SECOND)
                c.second *= v_all(m->decay_second[j]);
#endif
            c.w = v_load(m->w + at + i * LANES);
            RULE_STEP(m, &h[i], &c, *g.x * v_load(g.derivative + i * LANES), PENALISED);
            NAME(store_outputs)(m, record + first * sizeof(real), i * LANES, n_lanes, &c);
        }
        if (is_last)
            NAME(store_time)(m, record);
    }
    for (; turn < touch->n_ahead; turn += n_turns)
        BY_INDEX(fetch)(m, touch, turn);
}

static void BY_INDEX(move_several)(const ska_model *restrict m, const ska_touch *restrict touch) {
    int block;
    for (block = 0; block < ska_n_blocks(m); block++)
        switch (ska_vectors_of(m, block)) {
        case 1: BY_INDEX(move_block)(m, touch, block, 1); break;
        case 2: BY_INDEX(move_block)(m, touch, block, 2); break;
        default: BY_INDEX(move_block)(m, touch, block, 3);
        }
}

static void BY_INDEX(store_several)(const ska_model *restrict m, const ska_touch *restrict touch) {
    ptrdiff_t j, k;
    for (j = 0; j < touch->n; j++) {
        unsigned char *record = BY_INDEX(record_of)(m, touch, j);
        for (k = 0; k < m->n_outputs; k += LANES) {
            ska_lanes c;
            NAME(take)(m, j * m->width + k, &c);
            NAME(store_outputs)(m, record, k, ska_lanes_from(k, m->n_outputs), &c);
        }
        NAME(store_time)(m, record);
    }
}

#ifdef FIRST_INCLUSION

static int NAME(step_several)(const ska_model *restrict m, const ska_touch *restrict touch) {
    vec check = v_all(0);
    ska_gradients g = ska_gradients_of(m, touch, 0);
    ptrdiff_t j, k;
    for (j = 0; j < touch->n; j++, ska_next_gradients(&g))
        for (k = 0; k < m->n_outputs; k += LANES) {
            const ska_settings h = ska_settings_from(m, k);
            ska_lanes c;
            NAME(take)(m, j * m->width + k, &c);
            RULE_STEP(m, &h, &c, *g.x * v_load(g.derivative + k), PENALISED);
            NAME(put)(m, j * m->width + k, &c);
            check += NAME(check)(&c);
        }
    return v_is_zero(check);
}

static void NAME(settle_several)(const ska_model *restrict m, ptrdiff_t n) {
#ifdef RULE_SETTLE
    ptrdiff_t j, k;
    for (j = 0; j < n; j++)
        for (k = 0; k < m->n_outputs; k += LANES) {
            const ska_settings h = ska_settings_from(m, k);
            ska_lanes c;
            NAME(take)(m, j * m->width + k, &c);
            RULE_SETTLE(m, &h, &c);
            NAME(put)(m, j * m->width + k, &c);
        }
#endif
    (void)m, (void)n;
}

#endif
