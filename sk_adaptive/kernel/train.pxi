"""The loop over the rows: select, read, predict, derivatives, step."""

# Numbers in a vector, for Python.
N_LANES = LANES

# What can end it early.
cdef enum:
    DONE = 0
    NOT_FINITE = 1
    OUT_OF_MEMORY = 2


@cython.final
cdef class Derivatives:
    """The losses of a step's rows, and their derivatives by the raw predictions.

    Of one model, or of several side by side: as many as its outputs go into the optimizer's. Each
    is told the same targets. With a mixture, which may be None, the model is the mean of them.
    """

    cdef:
        Loss loss
        Mixture mixture
        const double[:, ::1] class_weight
        # of one model; of all; of those whose losses are computed at once; and of all, with room for
        # whole vectors
        Py_ssize_t n_outputs, n_all, n_together, width
        bint coupled
        void* buffer
        double* raw_prediction
        # of the row, first targets and then derivatives
        double* of_row
        double* of_intercepts
        # of each output: of the row; what they are multiplied by; of the step
        double* values
        double* factors
        double* losses
        # of all rows of the step, `width` numbers each
        real* of_rows
        # where raw predictions are kept, if they are, and of which row the step's first are
        double[:, :] kept
        Py_ssize_t position
        # the largest derivative of each row, summed over the rows
        double largest
        bint flat

    def __init__(self, training, Optimizer o, Py_ssize_t batch_size, Mixture mixture):
        cdef Py_ssize_t room
        self.loss = training.loss
        self.mixture = mixture
        self.class_weight = training.class_weight
        self.n_outputs = training.n_outputs
        self.n_all = o.m.n_outputs
        self.coupled = self.loss.couples_outputs
        self.n_together = self.n_outputs if self.coupled else self.n_all
        room = room_for_losses(self.n_all)
        self.width = max(room, o.m.width) if self.n_all > 1 else 1
        self.buffer = calloc(
            6 * room * sizeof(double) + batch_size * self.width * sizeof(real), 1)
        if self.buffer == NULL:
            raise MemoryError
        self.raw_prediction = <double*>self.buffer
        self.of_row = self.raw_prediction + room
        self.of_intercepts = self.of_row + room
        self.values = self.of_intercepts + room
        self.factors = self.values + room
        self.losses = self.factors + room
        self.of_rows = <real*>(self.losses + room)

    def __dealloc__(self):
        free(self.buffer)

    cdef void begin(self, Py_ssize_t position) noexcept nogil:
        cdef Py_ssize_t k
        self.position = position
        for k in range(self.n_all):
            self.of_intercepts[k] = self.losses[k] = 0.0
        self.largest = 0.0
        self.flat = True
        if self.mixture is not None:
            self.mixture.begin()

    cdef bint add_row(
        self, Py_ssize_t i, const double* target, Py_ssize_t n_targets, double weight,
        Py_ssize_t size, const double[:, ::1] intercept,
    ) noexcept nogil:
        """Row i of `size`, whose raw prediction lacks the intercept; False if it is not finite."""
        cdef Py_ssize_t k, start = 0
        cdef double largest
        cdef bint finite
        if self.n_all == 1:
            return self.add_number(i, target[0], weight, size, intercept[0, 0])
        set_targets(
            self.of_row, self.factors, self.n_outputs, target, n_targets,
            &self.class_weight[0, 0] if self.class_weight.shape[0] else NULL, self.coupled, weight)
        for k in range(self.n_outputs, self.n_all):
            self.of_row[k] = self.of_row[k - self.n_outputs]
            self.factors[k] = self.factors[k - self.n_outputs]
        for k in range(self.n_all):
            self.raw_prediction[k] += intercept[0, k]
        for k in range(self.kept.shape[1]):
            self.kept[self.position + i, k] = self.raw_prediction[k]
        if self.mixture is not None:
            self.mixture.leave_out(self.raw_prediction)
            self.mixture.add_loss(self.loss, self.raw_prediction, self.of_row, self.factors)
        while start < self.n_all:
            self.loss.evaluate_outputs(
                self.raw_prediction + start, self.of_row + start, self.values + start,
                self.n_together)
            start += self.n_together
        if self.mixture is not None:
            self.mixture.leave_out(self.of_row)
        finite = multiply_row(
            self.raw_prediction, self.factors, self.values, self.losses, self.of_row,
            self.of_intercepts, self.of_rows + i * self.width, self.n_all, 1.0 / size, &largest)
        if self.mixture is not None:
            if not finite:
                self.mixture.find_failed_row(self.raw_prediction, self.of_row)
            finite = self.mixture.check_losses(self.losses) and finite
        # each output would be idle by itself
        self.flat = False
        self.largest += largest
        return finite

    cdef bint add_number(
        self, Py_ssize_t i, double target, double weight, Py_ssize_t size, double intercept
    ) noexcept nogil:
        """The same of a model with one output."""
        cdef double derivative
        self.raw_prediction[0] += intercept
        self.of_row[0] = target
        self.loss.evaluate_outputs(self.raw_prediction, self.of_row, self.values, 1)
        if self.class_weight.shape[0]:
            weight *= self.class_weight[1 if target > 0 else 0, 0]
        self.losses[0] += weight * self.values[0]
        derivative = self.of_row[0] * weight / size
        self.of_rows[i] = <real>derivative
        self.of_intercepts[0] += derivative
        self.flat = self.flat and derivative == 0
        self.largest += fabs(derivative)
        return isfinite(self.raw_prediction[0]) and isfinite(derivative)


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
    """
    if training.indices.dtype == np.int32:
        return learn_rows[int32_t](
            optimizer, training, rows, training.indices, training.indptr, mixture, losses, kept)
    return learn_rows[int64_t](
        optimizer, training, rows, training.indices, training.indptr, mixture, losses, kept)


cdef learn_rows(
    Optimizer o, training, const int64_t[::1] order, const index[::1] indices,
    const index[::1] indptr, of_models, losses, kept,
):
    cdef:
        const real[::1] data = training.data
        const double[:, ::1] targets = training.targets
        const double[::1] weights = training.sample_weight
        # More rows than there are make one step.
        Py_ssize_t batch_size = min(training.batch_size, order.shape[0])
        Mixture mixture = None if of_models is None else Mixture(of_models, training.n_outputs)
        Derivatives derivatives = Derivatives(training, o, batch_size, mixture)
        Batches batches
        bint fit_intercept = training.fit_intercept
        const index* columns = &indices[0] if indices.shape[0] else NULL
        Py_ssize_t position = 0, size, k
        double[::1] sums
        double[:, :] losses_of_steps
        Rows rows
        int status = DONE
    if losses is None:
        losses = np.zeros(derivatives.n_all if mixture is None else 1)
    sums = losses
    if kept is not None:
        derivatives.kept, losses_of_steps = kept
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
        o.set_time(o.clock.t)
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
                if mixture is not None:
                    sums[0] += mixture.loss
                    mixture.update()
                else:
                    for k in range(derivatives.n_all):
                        sums[k] += derivatives.losses[k]
                for k in range(derivatives.kept.shape[1]):
                    losses_of_steps[position // batch_size, k] = derivatives.losses[k]
                position += size
    if status == OUT_OF_MEMORY:
        raise MemoryError
    return losses, position if status == NOT_FINITE else -1


def mix(
    mixture, training, const int64_t[::1] rows, double[:, ::1] raw_predictions,
    const double[:, ::1] losses_of_steps, double[::1] total,
):
    """Do to a mixture what the steps of its models do, which were trained without it.

    Parameters
    ----------
    mixture : Mixture
        Without models that are out. Its weights are changed.
    training, rows
        As in `train`.
    raw_predictions, losses_of_steps : float64 ndarrays
        What was kept of all outputs of all models.
    total : float64 ndarray of shape (1,)
        Increased by the losses of the mean.

    Returns
    -------
    finite : bool
        Whether all losses are. If not, the mixture is of no use any more.
    """
    cdef:
        Mixture m = Mixture(mixture, training.n_outputs)
        Loss loss = training.loss
        const double[:, ::1] targets = training.targets
        const double[::1] weights = training.sample_weight
        const double[:, ::1] class_weight = training.class_weight
        const double* of_classes = &class_weight[0, 0] if class_weight.shape[0] else NULL
        Py_ssize_t K = training.n_outputs, batch_size = training.batch_size
        double[:, ::1] buffer = np.zeros((2, K))
        double* of_outputs = &buffer[0, 0]
        double* factors = &buffer[1, 0]
        bint coupled = loss.couples_outputs
        Py_ssize_t i
        int64_t row
        bint finite = True
    with nogil:
        for i in range(rows.shape[0]):
            if i % batch_size == 0:
                m.begin()
            row = rows[i]
            set_targets(
                of_outputs, factors, K, &targets[row, 0], targets.shape[1], of_classes, coupled,
                weights[row] if weights.shape[0] else 1.0)
            m.add_loss(loss, &raw_predictions[i, 0], of_outputs, factors)
            if (i + 1) % batch_size == 0 or i + 1 == rows.shape[0]:
                total[0] += m.loss
                finite = m.check_losses(&losses_of_steps[i // batch_size, 0])
                if not finite:
                    break
                m.update()
    return finite


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
    touch.raw_prediction = derivatives.raw_prediction
    o.passes.read[wide](&o.m, &touch, False)
    derivatives.begin(position)
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
    derivatives.begin(position)
    place = batches.place
    for i in range(size):
        row = row_at(rows, indices, indptr, position + i, True)
        n = indptr[row + 1] - indptr[row]
        x = rows.data + indptr[row]
        predict_in_batch(o, x, place, n, derivatives.raw_prediction)
        if not derivatives.add_row(
                i, rows.targets + row * rows.n_targets, rows.n_targets,
                rows.weights[row] if rows.weights != NULL else 1.0, size, o.intercept):
            return NOT_FINITE
        largest_x = max(largest_x, <double>largest_size(x, n))
        place += n
    memset(o.m.g, 0, padded(touch.n * o.m.width) * sizeof(real))
    place = batches.place
    for i in range(size):
        row = row_at(rows, indices, indptr, position + i, True)
        n = indptr[row + 1] - indptr[row]
        add_gradients(o, rows.data + indptr[row], place, n, derivatives.of_rows + i * derivatives.width)
        place += n
    touch.n_ahead = 0
    return step(o, &touch, wide, derivatives, largest_x, fit_intercept)


cdef inline int step(
    Optimizer o, Touch* touch, bint wide, Derivatives derivatives, double largest_x,
    bint fit_intercept,
) noexcept nogil:
    touch.derivative = derivatives.of_rows
    if derivatives.flat:
        # nothing to learn: all features of the step stay idle
        touch.n = touch.n_ahead = 0
    if o.learn(
            touch, wide, derivatives.of_intercepts if fit_intercept else NULL,
            o.is_harmless(derivatives.largest * largest_x, touch.largest_moment)):
        return DONE
    if derivatives.mixture is not None:
        derivatives.mixture.find_failed_step(o, touch, fit_intercept)
    return NOT_FINITE
