"""Models side by side of which the mean is one model, weighted by how well each has predicted.

After each step a weight is multiplied by exp(-rate * loss of the step), as in the aggregating
algorithm (Vovk 1990), and the weights are divided by their sum. A fixed share of the whole then goes
to all in the proportion of the first weights (Herbster and Warmuth 1998): no model falls so far
behind that it could not come back when the stream has changed. Losses have the unit of the sample
weights of now, which may grow along a stream.

Of outputs that are learned each by itself, those of classes and labels that have not occurred so far do
not count: with them, how many such there are would be told by the weights. Losses are summed in the
order in which classes have occurred.

A model that a step would have made non-finite is out for good. Its weight is 0 then, which no other's
ever is, and so are its coefficients: Python sees to that between two steps.
"""


cdef enum:
    # the unit follows the sample weights of about so many steps
    STEPS_OF_UNIT = 256


@cython.final
cdef class ModelWeights:
    """What a step does to the weights of the models.

    Parameters
    ----------
    mixture : Mixture
        Its arrays ``weights``, ``unit``, ``failed`` and ``occurred`` are changed in place.
    training : TrainingData
        Whose outputs are those of one model.
    """

    cdef:
        double[::1] weights
        # after each step, to models that are not out
        const double[::1] handed_out
        # of the last step: whether it would have made the model non-finite
        unsigned char[::1] failed
        double rate, share
        # the mean sample weight of the first rows, and of about the last ones
        double[::1] unit
        # of the rows of the step: their weights, summed, and their number
        double weight
        Py_ssize_t n_rows
        Py_ssize_t n_outputs, n_models
        # so many outputs, the first, are in the loss of the mean
        Py_ssize_t n_known
        # how many outputs of one model have a class that has occurred, now and before the step, and
        # which they are, in that order
        int64_t[::1] occurred, order
        int64_t n_before
        unsigned char[::1] has_occurred
        # of the mean, one number for each output: raw predictions, targets that become
        # derivatives, values; and of each model the loss of the step
        double[:, ::1] of_mean
        double[::1] of_models
        # whether no model is out
        bint complete
        # whether the weights stay what they are
        bint paused
        # of the mean, before the step
        double loss

    def __init__(self, mixture, training):
        self.weights = mixture.weights
        self.handed_out = mixture.handed_out
        self.failed = mixture.failed
        self.rate = mixture.mixing_rate
        self.share = mixture.share
        self.unit = mixture.unit
        self.complete = mixture.complete
        self.paused = mixture.pause[0] > 0
        self.n_outputs = n_outputs = training.n_outputs
        self.n_known = training.n_known
        self.n_models = self.weights.shape[0]
        self.of_mean = np.zeros((3, room_for_losses(n_outputs)))
        self.of_models = np.empty(self.n_models)
        self.occurred = mixture.occurred
        self.order = self.occurred[1:]
        self.has_occurred = has_occurred = np.zeros(n_outputs, np.uint8)
        has_occurred[mixture.occurred[1:1 + mixture.occurred[0]]] = 1
        self.n_before = self.occurred[0]

    cdef void begin(self) noexcept nogil:
        self.loss = self.weight = 0.0
        self.n_rows = 0
        self.n_before = self.occurred[0]
        memset(&self.failed[0], 0, self.n_models)

    cdef void notice(self, const double* targets) noexcept nogil:
        """Let the outputs whose target is 1 count from now on."""
        cdef Py_ssize_t k
        if self.occurred[0] == self.n_outputs:
            return
        for k in range(self.n_outputs):
            if targets[k] > 0 and not self.has_occurred[k]:
                self.has_occurred[k] = True
                self.order[self.occurred[0]] = k
                self.occurred[0] += 1

    cdef void take_back(self) noexcept nogil:
        """Let a step that was not done leave no trace."""
        self.occurred[0] = self.n_before

    cdef void leave_out(self, double* numbers) noexcept nogil:
        """Let the numbers of the models that are out be 0, of one for each output."""
        cdef Py_ssize_t k
        if self.complete:
            return
        for k in range(self.n_models * self.n_outputs):
            if self.weights[k // self.n_outputs] == 0:
                numbers[k] = 0.0

    cdef bint check_losses(self, const double* losses) noexcept nogil:
        """Sum those of each model's outputs, and name the models for which they are not finite.

        False if there are any.
        """
        cdef Py_ssize_t model, k, first
        cdef bint finite = True
        cdef double rest
        for model in range(self.n_models):
            first = model * self.n_outputs
            self.of_models[model] = rest = 0.0
            for k in range(self.occurred[0]):
                self.of_models[model] += losses[first + self.order[k]]
            if self.occurred[0] < self.n_outputs:
                for k in range(self.n_outputs):
                    rest += losses[first + k]
            if not isfinite(self.of_models[model] + rest):
                self.failed[model] = True
                finite = False
        return finite

    cdef void add_loss(
        self, Loss loss, const double* raw_predictions, const double* targets,
        const double* factors, double weight, double* told,
    ) noexcept nogil:
        """Add the loss of the mean on a row of this sample weight, and what `train` tells of it.

        Raw predictions of a model that is out are finite.
        """
        cdef Py_ssize_t k
        cdef double* mean = &self.of_mean[0, 0]
        cdef double* derivatives = &self.of_mean[1, 0]
        cdef double* values = &self.of_mean[2, 0]
        kernel.mean_of_models(
            &self.weights[0], raw_predictions, self.n_models, self.n_outputs, mean)
        for k in range(self.n_outputs):
            derivatives[k] = targets[k]
        loss.evaluate_outputs(mean, derivatives, values, self.n_outputs)
        for k in range(self.n_known):
            self.loss += factors[k] * values[k]
        if self.n_outputs == 1:
            told[0] += factors[0] * derivatives[0]
            told[1 if targets[0] > 0 else 2] += factors[0]
        self.weight += weight
        self.n_rows += 1

    cdef void find_failed_row(
        self, const double* raw_prediction, const double* derivative
    ) noexcept nogil:
        """Name the models for which one of these is not finite."""
        cdef Py_ssize_t k
        for k in range(self.n_models * self.n_outputs):
            if not (isfinite(raw_prediction[k]) and isfinite(derivative[k])):
                self.failed[k // self.n_outputs] = True

    cdef void find_failed_step(self, Optimizer o, const Touch* touch, bint intercept) noexcept nogil:
        """Name the models that a step which was not done would have made non-finite."""
        cdef Py_ssize_t j, k, i
        cdef bint found = False
        cdef double sum
        for k in range(o.m.n_outputs if intercept else 0):
            sum = 0.0
            for i in range(3):
                sum += o.intercepts.next[i * o.m.n_outputs + k]
            if not isfinite(sum):
                self.failed[k // self.n_outputs] = found = True
        if found:
            return  # the coefficients have not made their step
        for j in range(touch.n):
            for k in range(o.m.n_outputs):
                i = j * o.m.width + k
                sum = o.m.w[i] + o.m.first[i]
                if o.passes.has.second:
                    sum += o.m.second[i]
                if o.passes.has.metric:
                    sum += o.m.metric[i]
                if not isfinite(sum):
                    self.failed[k // self.n_outputs] = True

    cdef void update(self) noexcept nogil:
        """Take in what each model has lost in the step, in the unit of the weights of now."""
        cdef double ratio = 1.0
        if self.paused:
            return
        if self.unit[1] > 0:
            self.unit[1] += (self.weight / self.n_rows - self.unit[1]) / STEPS_OF_UNIT
            ratio = self.unit[0] / self.unit[1]
        kernel.reweigh(
            &self.weights[0], &self.of_models[0], &self.handed_out[0], self.n_models,
            self.rate * ratio, self.share)


def mix(
    mixture, training, const int64_t[::1] rows, double[:, ::1] raw_predictions,
    const double[:, ::1] losses_of_steps, double[::1] total, double[::1] told,
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
    told : float64 ndarray of shape (3,)
        As in `train`.

    Returns
    -------
    finite : bool
        Whether all losses are. If not, the mixture is of no use any more.
    """
    cdef:
        ModelWeights m = ModelWeights(mixture, training)
        Loss loss = training.loss
        const double[:, ::1] targets = training.targets
        const double[::1] weights = training.sample_weight
        const double[:, ::1] class_weight = training.class_weight
        const double* of_classes = &class_weight[0, 0] if class_weight.shape[0] else NULL
        Py_ssize_t K = training.n_outputs, batch_size = training.batch_size
        double[:, ::1] buffer = np.zeros((2, K))
        double* of_outputs = &buffer[0, 0]
        double* factors = &buffer[1, 0]
        double weight
        bint coupled = loss.couples_outputs
        Py_ssize_t i
        int64_t row
        bint finite = True
    with nogil:
        for i in range(rows.shape[0]):
            if i % batch_size == 0:
                m.begin()
            row = rows[i]
            weight = weights[row] if weights.shape[0] else 1.0
            set_targets(
                of_outputs, factors, K, &targets[row, 0], targets.shape[1], of_classes, coupled,
                weight)
            m.notice(of_outputs)
            m.add_loss(loss, &raw_predictions[i, 0], of_outputs, factors, weight, &told[0])
            if (i + 1) % batch_size == 0 or i + 1 == rows.shape[0]:
                total[0] += m.loss
                finite = m.check_losses(&losses_of_steps[i // batch_size, 0])
                if not finite:
                    break
                m.update()
    return finite
