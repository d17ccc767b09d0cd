/* The passes over a row for models with several outputs: LANES outputs of a feature at a time. See
   kind.h.

   Few outputs fit into few vectors. Their loop is unrolled, for what belongs to the outputs to stay
   in registers: the settings, the derivatives, the raw predictions. Read from memory for each
   feature they take as long as a third of all the rest.

   A record is an array by itself, so nothing is transposed. The weights of the row go to the
   working set, as the step needs them again; moments are read again from the record, which is
   still in the cache. Every other record of the row to come is fetched in each of the two
   passes; those of a batch, which is ahead of itself, in the first. */

#ifdef FIRST_INCLUSION

/* What all outputs of a record share. */
typedef struct {
    vec decay_first, decay_second, owed;
} NAME(age);

SKA_INLINE NAME(age) NAME(age_of)(
    const ska_model *m, int64_t t, const unsigned char *record) {
    NAME(age) age = {v_all(1), v_all(1), v_all(0)};
#if AGED
    const double steps = (double)(t - *(const int64_t *)(record + m->layout.last_step));
    age.decay_first = v_all((real)ska_power(steps, m->log2_decay_first));
    if (HAS_SECOND)
        age.decay_second = v_all((real)ska_power(steps, m->log2_decay_second));
#endif
#if PENALISED
    age.owed = v_all(m->learning_rate_sum - *(const real *)(record + m->layout.charged));
#endif
    (void)m, (void)t, (void)record;
    return age;
}

SKA_INLINE void NAME(load)(
    const ska_model *m, const unsigned char *record, ptrdiff_t k, int n_lanes, ska_lanes *c) {
    c->w = c->second = c->metric = v_all(0);
    if (HAS_WEIGHT)
        c->w = ska_load_numbers((const real *)(record + m->layout.weight), k, n_lanes);
    c->first = ska_load_numbers((const real *)(record + m->layout.first), k, n_lanes);
    if (HAS_SECOND)
        c->second = ska_load_numbers((const real *)(record + m->layout.second), k, n_lanes);
    if (HAS_METRIC)
        c->metric = ska_load_numbers((const real *)(record + m->layout.metric), k, n_lanes);
}

SKA_INLINE void NAME(store_outputs)(
    const ska_model *m, unsigned char *record, ptrdiff_t k, int n_lanes, const ska_lanes *c) {
    if (HAS_WEIGHT)
        ska_store_numbers((real *)(record + m->layout.weight), k, n_lanes, c->w);
    ska_store_numbers((real *)(record + m->layout.first), k, n_lanes, c->first);
    if (HAS_SECOND)
        ska_store_numbers((real *)(record + m->layout.second), k, n_lanes, c->second);
    if (HAS_METRIC)
        ska_store_numbers((real *)(record + m->layout.metric), k, n_lanes, c->metric);
}

SKA_INLINE void NAME(store_time)(const ska_model *m, unsigned char *record) {
#if AGED
    *(int64_t *)(record + m->layout.last_step) = m->t;
#endif
#if PENALISED
    *(real *)(record + m->layout.charged) = m->charged_after_store;
#endif
    (void)m, (void)record;
}

SKA_INLINE vec NAME(gradients_of)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, ptrdiff_t k) {
    if (touch->x == NULL)
        return v_load(m->g + j * m->width + k);
    return touch->x[j] * v_load(touch->derivative + k);
}

/* Outputs from k on, to the working set; returns the weights. */
SKA_INLINE vec NAME(read_vector)(
    const ska_model *m, const ska_settings *h, const NAME(age) *age, const unsigned char *record,
    ptrdiff_t j, ptrdiff_t k, int n_lanes, int whole, ptrdiff_t width, vec *largest_moment) {
    ska_lanes c;
    NAME(load)(m, record, k, n_lanes, &c);
    NAME(refresh)(m, h, &c, age->decay_first, age->decay_second, age->owed);
#ifdef RULE_SIZE
    *largest_moment = v_max(*largest_moment, RULE_SIZE(&c));
#else
    (void)largest_moment;
#endif
    if (whole)
        NAME(put)(m, j * width + k, &c);
    else
        v_store(m->w + j * width + k, c.w);
    return c.w;
}

/* One step of outputs from k on. */
SKA_INLINE void NAME(move_vector)(
    const ska_model *m, const ska_settings *h, const NAME(age) *age, const ska_touch *touch,
    unsigned char *record, ptrdiff_t j, ptrdiff_t k, int n_lanes, ptrdiff_t width) {
    ska_lanes c;
    NAME(load)(m, record, k, n_lanes, &c);
#if AGED
    c.first *= age->decay_first;
    c.second *= age->decay_second;
#endif
    c.w = v_load(m->w + j * width + k);
    RULE_STEP(m, h, &c, NAME(gradients_of)(m, touch, j, k), PENALISED);
    NAME(store_outputs)(m, record, k, n_lanes, &c);
    (void)age;
}

#endif

SKA_INLINE unsigned char *BY_INDEX(record_of)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j) {
    return m->memory + ((const INDEX *)touch->columns)[j] * m->layout.stride;
}

/* Fetch record j of those ahead if it is this pass's turn: those whose number is `turn`, of two
   turns or one. */
SKA_INLINE void BY_INDEX(fetch)(
    const ska_model *m, const ska_touch *touch, ptrdiff_t j, const int turn, const int n_turns) {
    if ((j & (n_turns - 1)) == turn && j < touch->n_ahead)
        ska_prefetch_array(
            m->memory + ((const INDEX *)touch->ahead)[j] * m->layout.stride, m->fetched_size);
}

/* `few`: the number of vectors, known to the compiler; 0 if there are more than SKA_FEW. */
SKA_INLINE void BY_INDEX(read_all)(
    const ska_model *restrict model, ska_touch *restrict given, const int whole, const int few, const int plain) {
    ska_model local = *model, *m = &local;
    ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, K = m->n_outputs, width = few ? few * LANES : m->width;
    const real *x = touch->x;
    real *restrict sums = m->sums;
    ska_settings h[SKA_FEW];
    vec largest_moment = v_all(0), sum[SKA_FEW];
    real largest_x = 0;
    const int n_turns = x != NULL ? 2 : 1;
    ptrdiff_t j, k;
    int i;
    if (plain) {
        local.has_l1 = 0;
        if (x == NULL || n < 0) __builtin_unreachable();
    }
    memset(sums, 0, width * sizeof(real));
    SKA_UNROLLED
    for (i = 0; i < few; i++) {
        h[i] = ska_settings_from(m, i * LANES);
        sum[i] = v_all(0);
    }
    for (j = 0; j < n; j++) {
        const unsigned char *record = BY_INDEX(record_of)(m, touch, j);
        const NAME(age) age = NAME(age_of)(m, m->t, record);
        const real x_j = x != NULL ? x[j] : 0;
        BY_INDEX(fetch)(m, touch, j, 0, n_turns);
        largest_x = REAL_ABS(x_j) > largest_x ? REAL_ABS(x_j) : largest_x;
        SKA_UNROLLED
        for (i = 0; i < few; i++)
            sum[i] += x_j * NAME(read_vector)(
                m, &h[i], &age, record, j, i * LANES,
                i + 1 < few ? LANES : (int)K - i * LANES, whole, width, &largest_moment);
        for (k = 0; !few && k < width; k += LANES) {
            const ska_settings h_k = ska_settings_from(m, k);
            const vec w = NAME(read_vector)(
                m, &h_k, &age, record, j, k, ska_lanes_from(k, K), whole, width, &largest_moment);
            v_store(sums + k, v_load(sums + k) + x_j * w);
        }
    }
    for (; j < touch->n_ahead; j++)
        BY_INDEX(fetch)(m, touch, j, 0, n_turns);
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        v_store(sums + i * LANES, sum[i]);
    given->largest_moment = v_largest(largest_moment);
    given->largest_x = largest_x;
    for (k = 0; x != NULL && k < K; k++)
        touch->raw_prediction[k] = sums[k];
}

static void BY_INDEX(read_several)(
    const ska_model *restrict m, ska_touch *restrict touch, int whole) {
    const int plain = !whole && touch->x != NULL && !m->has_l1;
    switch (plain ? m->width / LANES : 0) {
    case 1: BY_INDEX(read_all)(m, touch, 0, 1, 1); break;
    case 2: BY_INDEX(read_all)(m, touch, 0, 2, 1); break;
    case 3: BY_INDEX(read_all)(m, touch, 0, 3, 1); break;
    default: BY_INDEX(read_all)(m, touch, whole, 0, 0);
    }
}

SKA_INLINE void BY_INDEX(move_all)(
    const ska_model *restrict model, const ska_touch *restrict given, const int few) {
    const ska_model local = *model, *m = &local;
    const ska_touch mine = *given, *touch = &mine;
    const ptrdiff_t n = touch->n, K = m->n_outputs, width = few ? few * LANES : m->width;
    ska_settings h[SKA_FEW];
    ptrdiff_t j, k;
    int i;
    if (few && touch->x == NULL) __builtin_unreachable();
    SKA_UNROLLED
    for (i = 0; i < few; i++)
        h[i] = ska_settings_from(m, i * LANES);
    for (j = 0; j < n; j++) {
        unsigned char *record = BY_INDEX(record_of)(m, touch, j);
        const NAME(age) age = NAME(age_of)(m, m->t - 1, record); /* step t has begun */
        BY_INDEX(fetch)(m, touch, j, 1, 2);
        SKA_UNROLLED
        for (i = 0; i < few; i++)
            NAME(move_vector)(
                m, &h[i], &age, touch, record, j, i * LANES,
                i + 1 < few ? LANES : (int)K - i * LANES, width);
        for (k = 0; !few && k < width; k += LANES) {
            const ska_settings h_k = ska_settings_from(m, k);
            NAME(move_vector)(
                m, &h_k, &age, touch, record, j, k, ska_lanes_from(k, K), width);
        }
        NAME(store_time)(m, record);
    }
    for (; j < touch->n_ahead; j++)
        BY_INDEX(fetch)(m, touch, j, 1, 2);
}

static void BY_INDEX(move_several)(const ska_model *restrict m, const ska_touch *restrict touch) {
    switch (touch->x != NULL ? m->width / LANES : 0) {
    case 1: BY_INDEX(move_all)(m, touch, 1); break;
    case 2: BY_INDEX(move_all)(m, touch, 2); break;
    case 3: BY_INDEX(move_all)(m, touch, 3); break;
    default: BY_INDEX(move_all)(m, touch, 0);
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
    ptrdiff_t j, k;
    for (j = 0; j < touch->n; j++)
        for (k = 0; k < m->n_outputs; k += LANES) {
            const ska_settings h = ska_settings_from(m, k);
            ska_lanes c;
            NAME(take)(m, j * m->width + k, &c);
            RULE_STEP(m, &h, &c, NAME(gradients_of)(m, touch, j, k), PENALISED);
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
