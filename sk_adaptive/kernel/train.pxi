"""The loop over the rows: select, read, predict, derivatives, step."""

# What can end it early.
cdef enum:
    DONE = 0
    NOT_FINITE = 1
    OUT_OF_MEMORY = 2


@cython.final
cdef class Derivatives:
    """The losses of a step's rows, and their derivatives by the raw predictions."""

    cdef:
        Loss loss
        const double[:, ::1] class_weight
        Py_ssize_t n_outputs, width
        double[::1] raw_prediction, of_row, of_intercepts
        # of all rows of the step, each filled up to whole vectors
        real[:, ::1] of_rows
        double loss_sum
        # the largest derivative of each row, summed over the rows
        double largest
        bint flat

    def __init__(self, Loss loss not None, class_weight, Optimizer o, Py_ssize_t batch_size):
        self.loss = loss
        self.class_weight = class_weight
        self.n_outputs = o.m.n_outputs
        self.width = o.m.width
        self.raw_prediction = np.empty(self.n_outputs)
        self.of_row = np.empty(self.n_outputs)
        self.of_intercepts = np.empty(self.n_outputs)
        self.of_rows = np.zeros(
            (batch_size, self.width), np.float32 if sizeof(real) == 4 else np.float64)

    cdef void begin(self) noexcept nogil:
        cdef Py_ssize_t k
        self.loss_sum = self.largest = 0.0
        self.flat = True
        for k in range(self.n_outputs):
            self.of_intercepts[k] = 0.0

    cdef bint add_row(
        self, Py_ssize_t i, const double* target, Py_ssize_t n_targets, double weight,
        Py_ssize_t size, const double[:, ::1] intercept,
    ) noexcept nogil:
        """Row i of `size`, whose raw prediction lacks the intercept; False if it is not finite."""
        cdef Py_ssize_t k
        cdef double largest = 0.0
        cdef bint finite = True
        for k in range(self.n_outputs):
            self.raw_prediction[k] += intercept[0, k]
        self.loss_sum += weight * self.loss.evaluate_outputs(
            target, n_targets, &self.raw_prediction[0], &self.of_row[0], self.n_outputs,
            &self.class_weight[0, 0] if self.class_weight.shape[0] else NULL)
        weight /= size
        for k in range(self.n_outputs):
            self.of_row[k] *= weight
            self.of_rows[i, k] = <real>self.of_row[k]
            self.of_intercepts[k] += self.of_row[k]
            self.flat = self.flat and self.of_row[k] == 0
            largest = max(largest, fabs(self.of_row[k]))
            finite = finite and isfinite(self.raw_prediction[k]) and isfinite(self.of_row[k])
        self.largest += largest
        return finite


def train(Optimizer optimizer not None, training, const int64_t[::1] rows):
    """Learn the rows in the order given, `training.batch_size` of them a step.

    Parameters
    ----------
    optimizer : Optimizer
        Changed: its records, intercept and clock.
    training : TrainingData
        Its CSR matrix is canonical, without explicit zeros, and of this kernel's precision.
    rows : array

    Returns
    -------
    loss_sum : float
        The weighted losses of the rows, each before its step, summed.
    failed : int
        The place in ``rows`` where the step begins that would have overflowed
        and was not done, or -1.
    """
    if rows.shape[0] == 0:
        return 0.0, -1
    if training.indices.dtype == np.int32:
        return learn_rows[int32_t](optimizer, training, rows, training.indices, training.indptr)
    return learn_rows[int64_t](optimizer, training, rows, training.indices, training.indptr)


cdef learn_rows(
    Optimizer o, training, const int64_t[::1] order, const index[::1] indices,
    const index[::1] indptr,
):
    cdef:
        const real[::1] data = training.data
        const double[:, ::1] targets = training.targets
        const double[::1] weights = training.sample_weight
        # More rows than there are make one step.
        Py_ssize_t batch_size = min(training.batch_size, order.shape[0])
        Derivatives derivatives = Derivatives(
            training.loss, training.class_weight, o, batch_size)
        Batches batches
        bint fit_intercept = training.fit_intercept
        const index* columns = &indices[0] if indices.shape[0] else NULL
        Py_ssize_t position = 0, size
        double loss_sum = 0.0
        Rows rows
        int status = DONE
    if batch_size > 1 and o.batches is None:
        o.batches = Batches(o.n_features)
    batches = o.batches
    # a row without entries has a place, too
    rows.data = &data[0] if data.shape[0] else o.m.eta
    rows.order = &order[0]
    rows.n = order.shape[0]
    rows.targets = &targets[0, 0]
    rows.n_targets = targets.shape[1]
    rows.weights = &weights[0] if weights.shape[0] else NULL
    with nogil:
        o.set_time(o.m.t)
        while position < rows.n and status == DONE:
            if o.averaged and is_average_due(o) and not begin_average(o):
                status = OUT_OF_MEMORY
                break
            if batch_size == 1:
                size = 1
                status = learn_row(
                    o, &rows, columns, &indptr[0], position, derivatives, fit_intercept)
            else:
                size = min(batch_size, rows.n - position)
                status = learn_batch(
                    o, &rows, columns, &indptr[0], position, size, derivatives, batches,
                    fit_intercept)
            if status == DONE:
                loss_sum += derivatives.loss_sum
                position += size
    if status == OUT_OF_MEMORY:
        raise MemoryError
    return loss_sum, (position if status == NOT_FINITE else -1)


cdef inline int learn_row(
    Optimizer o, const Rows* rows, const index* indices, const index* indptr, Py_ssize_t position,
    Derivatives derivatives, bint fit_intercept,
) noexcept nogil:
    cdef Touch touch
    cdef bint wide = sizeof(index) == sizeof(int64_t)
    cdef int64_t row = rows.order[position]
    select_row(
        rows, indices, indptr, position,
        RECORDS_AHEAD if o.m.n_outputs == 1 else LONG_RECORDS_AHEAD, &touch)
    if not o.reserve(touch.n):
        return OUT_OF_MEMORY
    touch.raw_prediction = &derivatives.raw_prediction[0]
    o.passes.read[wide](&o.m, &touch, False)
    derivatives.begin()
    if not derivatives.add_row(
            0, rows.targets + row * rows.n_targets, rows.n_targets,
            rows.weights[row] if rows.weights != NULL else 1.0, 1, o.intercept):
        return NOT_FINITE
    return step(o, &touch, wide, derivatives, touch.largest_x, fit_intercept)


cdef inline int learn_batch(
    Optimizer o, const Rows* rows, const index* indices, const index* indptr, Py_ssize_t position,
    Py_ssize_t size, Derivatives derivatives, Batches batches, bint fit_intercept,
) noexcept nogil:
    cdef Touch touch
    cdef bint wide = sizeof(index) == sizeof(int64_t)
    cdef Py_ssize_t i, n
    cdef int64_t row
    cdef double largest_x = 0.0
    cdef const real* x
    cdef const int32_t* place
    if not (select_batch(o, rows, indices, indptr, position, size, batches, &touch)
            and o.reserve(touch.n)):
        return OUT_OF_MEMORY
    o.passes.read[wide](&o.m, &touch, False)
    derivatives.begin()
    place = batches.place
    for i in range(size):
        row = rows.order[position + i]
        n = indptr[row + 1] - indptr[row]
        x = rows.data + indptr[row]
        predict_in_batch(o, x, place, n, &derivatives.raw_prediction[0])
        if not derivatives.add_row(
                i, rows.targets + row * rows.n_targets, rows.n_targets,
                rows.weights[row] if rows.weights != NULL else 1.0, size, o.intercept):
            return NOT_FINITE
        largest_x = max(largest_x, <double>largest_size(x, n))
        place += n
    memset(o.m.g, 0, padded(touch.n * o.m.width) * sizeof(real))
    place = batches.place
    for i in range(size):
        row = rows.order[position + i]
        n = indptr[row + 1] - indptr[row]
        add_gradients(o, rows.data + indptr[row], place, n, &derivatives.of_rows[i, 0])
        place += n
    touch.n_ahead = 0
    return step(o, &touch, wide, derivatives, largest_x, fit_intercept)


cdef inline int step(
    Optimizer o, Touch* touch, bint wide, Derivatives derivatives, double largest_x,
    bint fit_intercept,
) noexcept nogil:
    touch.derivative = &derivatives.of_rows[0, 0]
    if derivatives.flat:
        # nothing to learn: all features of the step stay idle
        touch.n = touch.n_ahead = 0
    if o.learn(
            touch, wide, &derivatives.of_intercepts[0] if fit_intercept else NULL,
            o.is_harmless(derivatives.largest * largest_x, touch.largest_moment)):
        return DONE
    return NOT_FINITE
