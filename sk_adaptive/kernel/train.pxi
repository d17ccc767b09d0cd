"""The loop over the rows: select, read, predict, derivatives, step."""

# What can end it early.
cdef enum:
    DONE = 0
    NOT_FINITE = 1
    OUT_OF_MEMORY = 2


def train(
    Optimizer optimizer not None, training, const int64_t[::1] rows, mixture=None, losses=None,
    kept=None,
):
    """Learn the rows in the order given, `training.batch_size` of them a step.

    Parameters
    ----------
    optimizer : Optimizer
        Changed: its records, intercept and clock.
    training : TrainingData
        Its CSR matrix is canonical, without explicit zeros, and of this kernel's precision.
    rows : array
    mixture : Mixture, default=None
        The weights of the models side by side, which is changed.
    losses : float64 ndarray, default=None
        What the call before has returned, to add to.
    kept : pair of float64 arrays of shape (n_rows, n_outputs), (n_steps, n_outputs), default=None
        Filled with the raw predictions of the rows, each before its step, and with the losses of
        the steps: see `mix`.

    Returns
    -------
    losses : float64 ndarray of shape (n_outputs,)
        The weighted losses of the rows, each before its step, summed: of each output of the
        optimizer, or of the first for all where the loss couples outputs. With a mixture one
        number, of the mean of the models.
    failed : int
        The place in ``rows`` where the step begins that would have overflowed
        and was not done, or -1.
    told : tuple of float
        Of a model with one output, summed over the rows: the derivatives by raw predictions, the
        weights of the rows whose target is positive, and those of the others.
    """
    cdef:
        Optimizer o = optimizer
        const real[::1] data = training.data
        const int32_t[::1] indices = training.indices
        const int64_t[::1] indptr = training.indptr
        const double[:, ::1] targets = training.targets
        const double[::1] weights = training.sample_weight
        const double[:, ::1] offsets = training.offset
        # More rows than there are make one step.
        Py_ssize_t batch_size = min(training.batch_size, rows.shape[0])
        ModelWeights models = None if mixture is None else ModelWeights(mixture, training)
        Derivatives derivatives = Derivatives(training, o, batch_size, models)
        Batches batches
        bint fit_intercept = training.fit_intercept
        const int32_t* columns = &indices[0] if indices.shape[0] else NULL
        Py_ssize_t position = 0, size, k
        double[::1] sums
        double[3] told = [0.0, 0.0, 0.0]
        double[:, :] losses_of_steps
        Rows chosen
        int status = DONE
    if losses is None:
        losses = np.zeros(derivatives.n_all if models is None else 1)
    sums = losses
    if kept is not None:
        derivatives.kept, losses_of_steps = kept
    if batch_size > 1 and o.batches is None:
        o.batches = Batches(o.n_features)
    batches = o.batches
    # a row without entries has a place, too
    chosen.data = &data[0] if data.shape[0] else o.m.eta
    chosen.order = &rows[0]
    chosen.n = rows.shape[0]
    chosen.targets = &targets[0, 0]
    chosen.n_targets = targets.shape[1]
    chosen.weights = &weights[0] if weights.shape[0] else NULL
    chosen.offsets = &offsets[0, 0] if offsets.shape[0] else NULL
    chosen.n_offsets = offsets.shape[1]
    with nogil:
        o.set_time(o.clock.t)
        while position < chosen.n and status == DONE:
            if o.averaged and is_average_due(o) and not begin_average(o):
                status = OUT_OF_MEMORY
                break
            if batch_size == 1:
                size = 1
                status = learn_row(
                    o, &chosen, columns, &indptr[0], position, derivatives, fit_intercept)
            else:
                size = min(batch_size, chosen.n - position)
                status = learn_batch(
                    o, &chosen, columns, &indptr[0], position, size, derivatives, batches,
                    fit_intercept)
            if status == DONE:
                if models is not None:
                    sums[0] += models.loss
                    models.update()
                else:
                    for k in range(derivatives.n_all):
                        sums[k] += derivatives.losses[k]
                for k in range(3):
                    told[k] += derivatives.told[k]
                for k in range(derivatives.kept.shape[1]):
                    losses_of_steps[position // batch_size, k] = derivatives.losses[k]
                position += size
    if status != DONE and models is not None:
        models.take_back()
    if status == OUT_OF_MEMORY:
        raise MemoryError
    return losses, position if status == NOT_FINITE else -1, (told[0], told[1], told[2])


cdef inline int learn_row(
    Optimizer o, const Rows* rows, const int32_t* indices, const int64_t* indptr,
    Py_ssize_t position, Derivatives derivatives, bint fit_intercept,
) noexcept nogil:
    cdef Touch touch
    cdef int64_t row = rows.order[position]
    select_row(
        rows, indices, indptr, position,
        RECORDS_AHEAD if o.m.n_outputs == 1 else LONG_RECORDS_AHEAD, &touch)
    if not o.reserve(touch.n):
        return OUT_OF_MEMORY
    touch.raw_prediction = derivatives.raw_prediction
    o.passes.read(&o.m, &touch, False)
    derivatives.begin(position)
    if not derivatives.add_row(
            0, rows.targets + row * rows.n_targets, rows.n_targets, weight_of(rows, row), 1,
            o.intercept, offset_of(rows, row)):
        return NOT_FINITE
    return step(o, &touch, derivatives, touch.largest_x, fit_intercept)


cdef inline int learn_batch(
    Optimizer o, const Rows* rows, const int32_t* indices, const int64_t* indptr,
    Py_ssize_t position, Py_ssize_t size, Derivatives derivatives, Batches batches, bint fit_intercept,
) noexcept nogil:
    cdef Touch touch
    cdef Py_ssize_t i, n
    cdef int64_t row
    cdef double largest_x = 0.0
    cdef const real* x
    cdef const int32_t* place
    if not (select_batch(o, rows, indices, indptr, position, size, batches, &touch)
            and o.reserve(touch.n)):
        return OUT_OF_MEMORY
    o.passes.read(&o.m, &touch, False)
    derivatives.begin(position)
    place = batches.place
    for i in range(size):
        row = row_at(rows, indices, indptr, position + i, True)
        n = indptr[row + 1] - indptr[row]
        x = rows.data + indptr[row]
        kernel.predict_in_batch(&o.m, x, place, n, derivatives.raw_prediction)
        if not derivatives.add_row(
                i, rows.targets + row * rows.n_targets, rows.n_targets, weight_of(rows, row), size,
                o.intercept, offset_of(rows, row)):
            return NOT_FINITE
        largest_x = max(largest_x, <double>kernel.largest_size(x, n))
        place += n
    memset(o.m.g, 0, padded(touch.n * o.m.width) * sizeof(real))
    place = batches.place
    for i in range(size):
        row = row_at(rows, indices, indptr, position + i, True)
        n = indptr[row + 1] - indptr[row]
        kernel.add_gradients(
            &o.m, rows.data + indptr[row], place, n, derivatives.of_rows + i * derivatives.width)
        place += n
    touch.n_ahead = 0
    return step(o, &touch, derivatives, largest_x, fit_intercept)


cdef inline int step(
    Optimizer o, Touch* touch, Derivatives derivatives, double largest_x, bint fit_intercept,
) noexcept nogil:
    touch.derivative = derivatives.of_rows
    if derivatives.flat:
        # nothing to learn: all features of the step stay idle
        touch.n = touch.n_ahead = 0
    if o.learn(
            touch, derivatives.of_intercepts if fit_intercept else NULL,
            o.is_harmless(derivatives.largest * largest_x, touch.largest_moment)):
        return DONE
    if derivatives.models is not None:
        derivatives.models.find_failed_step(o, touch, fit_intercept)
    return NOT_FINITE
