"""The losses of a step's rows, and their derivatives."""


@cython.final
cdef class Derivatives:
    """The losses of a step's rows, and their derivatives by the raw predictions.

    Of one model, or of several side by side: as many as its outputs go into the optimizer's. Each
    is told the same targets. With a mixture, which may be None, the model is the mean of them.
    """

    cdef:
        Loss loss
        ModelWeights models
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
        # of the step's rows, of a model with one output: see `train`
        double[3] told

    def __init__(self, training, Optimizer o, Py_ssize_t batch_size, ModelWeights models):
        cdef Py_ssize_t room
        self.loss = training.loss
        self.models = models
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
        self.told[0] = self.told[1] = self.told[2] = 0.0
        if self.models is not None:
            self.models.begin()

    cdef bint add_row(
        self, Py_ssize_t i, const double* target, Py_ssize_t n_targets, double weight,
        Py_ssize_t size, const double[:, ::1] intercept, const double* offset,
    ) noexcept nogil:
        """Row i of `size`, whose raw prediction lacks the intercept; False if it is not finite.

        It lacks the offset of each output of a model, too, unless that is NULL.
        """
        cdef Py_ssize_t k, start = 0
        cdef double largest
        cdef bint finite
        if self.n_all == 1:
            if offset != NULL:
                self.raw_prediction[0] += offset[0]
            return self.add_number(i, target[0], weight, size, intercept[0, 0])
        set_targets(
            self.of_row, self.factors, self.n_outputs, target, n_targets,
            &self.class_weight[0, 0] if self.class_weight.shape[0] else NULL, self.coupled, weight)
        for k in range(self.n_outputs, self.n_all):
            self.of_row[k] = self.of_row[k - self.n_outputs]
            self.factors[k] = self.factors[k - self.n_outputs]
        for k in range(self.n_all):
            self.raw_prediction[k] += intercept[0, k]
        if offset != NULL:
            for k in range(self.n_all):
                self.raw_prediction[k] += offset[k % self.n_outputs]
        for k in range(self.kept.shape[1]):
            self.kept[self.position + i, k] = self.raw_prediction[k]
        if self.models is not None:
            self.models.leave_out(self.raw_prediction)
            self.models.notice(self.of_row)
            self.models.add_loss(
                self.loss, self.raw_prediction, self.of_row, self.factors, weight, self.told)
        while start < self.n_all:
            self.loss.evaluate_outputs(
                self.raw_prediction + start, self.of_row + start, self.values + start,
                self.n_together)
            start += self.n_together
        if self.models is not None:
            self.models.leave_out(self.of_row)
        finite = kernel.multiply_row(
            self.raw_prediction, self.factors, self.values, self.losses, self.of_row,
            self.of_intercepts, self.of_rows + i * self.width, self.n_all, 1.0 / size, &largest)
        if self.models is not None:
            if not finite:
                self.models.find_failed_row(self.raw_prediction, self.of_row)
            finite = self.models.check_losses(self.losses) and finite
        # each output would be idle by itself
        self.flat = False
        self.largest += largest
        return finite

    cdef bint add_number(
        self, Py_ssize_t i, double target, double weight, Py_ssize_t size, double intercept
    ) noexcept nogil:
        """`add_row` of a model with one output."""
        cdef double derivative
        self.raw_prediction[0] += intercept
        self.of_row[0] = target
        self.loss.evaluate_outputs(self.raw_prediction, self.of_row, self.values, 1)
        if self.class_weight.shape[0]:
            weight *= self.class_weight[1 if target > 0 else 0, 0]
        self.losses[0] += weight * self.values[0]
        self.told[0] += weight * self.of_row[0]
        self.told[1 if target > 0 else 2] += weight
        derivative = self.of_row[0] * weight / size
        self.of_rows[i] = <real>derivative
        self.of_intercepts[0] += derivative
        self.flat = self.flat and derivative == 0
        self.largest += fabs(derivative)
        return isfinite(self.raw_prediction[0]) and isfinite(derivative)
