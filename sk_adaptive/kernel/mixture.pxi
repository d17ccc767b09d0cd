"""Models side by side of which the mean is one model, weighted by how well each has predicted.

After each step a weight is multiplied by exp(-rate * loss of the step), as in the aggregating
algorithm (Vovk 1990), and the weights are divided by their sum. A fixed share of the whole then goes
to all in the proportion of the first weights (Herbster and Warmuth 1998): no model falls so far
behind that it could not come back when the stream has changed.

A model that a step would have made non-finite is out for good. Its weight is 0 then, which no other's
ever is, and so are its coefficients: Python sees to that between two steps.
"""


@cython.final
cdef class Mixture:
    """What a step does to the weights of the models.

    Parameters
    ----------
    mixture : Mixture
        Its arrays ``weights`` and ``failed`` are changed in place.
    n_outputs : int
        Of one model.
    """

    cdef:
        double[::1] weights
        # after each step, to models that are not out
        const double[::1] handed_out
        # of the last step: whether it would have made the model non-finite
        unsigned char[::1] failed
        double rate, share
        Py_ssize_t n_outputs, n_models
        # of the mean, one number for each output: raw predictions, targets that become
        # derivatives, values; and of each model the loss of the step
        double[:, ::1] of_mean
        double[::1] of_models
        # whether no model is out
        bint complete
        # of the mean, before the step
        double loss

    def __init__(self, mixture, Py_ssize_t n_outputs):
        self.weights = mixture.weights
        self.handed_out = mixture.handed_out
        self.failed = mixture.failed
        self.rate = mixture.mixing_rate
        self.share = mixture.share
        self.complete = mixture.complete
        self.n_outputs = n_outputs
        self.n_models = self.weights.shape[0]
        self.of_mean = np.zeros((3, room_for_losses(n_outputs)))
        self.of_models = np.empty(self.n_models)

    cdef void begin(self) noexcept nogil:
        self.loss = 0.0
        memset(&self.failed[0], 0, self.n_models)

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
        cdef Py_ssize_t model, k
        cdef bint finite = True
        for model in range(self.n_models):
            self.of_models[model] = 0.0
            for k in range(model * self.n_outputs, (model + 1) * self.n_outputs):
                self.of_models[model] += losses[k]
            if not isfinite(self.of_models[model]):
                self.failed[model] = True
                finite = False
        return finite

    cdef void add_loss(
        self, Loss loss, const double* raw_predictions, const double* targets,
        const double* factors,
    ) noexcept nogil:
        """Add the loss of the mean. Raw predictions of a model that is out are finite."""
        cdef Py_ssize_t model, k
        cdef double* mean = &self.of_mean[0, 0]
        cdef double* derivatives = &self.of_mean[1, 0]
        cdef double* values = &self.of_mean[2, 0]
        for k in range(self.n_outputs):
            mean[k] = 0.0
            for model in range(self.n_models):
                mean[k] += self.weights[model] * raw_predictions[model * self.n_outputs + k]
            derivatives[k] = targets[k]
        loss.evaluate_outputs(mean, derivatives, values, self.n_outputs)
        for k in range(self.n_outputs):
            self.loss += factors[k] * values[k]

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
            sum = o.next_intercept[0, k] + o.next_intercept[1, k] + o.next_intercept[2, k]
            if not isfinite(sum):
                self.failed[k // self.n_outputs] = found = True
        if found:
            return  # the coefficients have not made their step
        for j in range(touch.n):
            for k in range(o.m.n_outputs):
                i = j * o.m.width + k
                sum = o.m.w[i] + o.m.first[i]
                if o.passes.has_second:
                    sum += o.m.second[i]
                if o.passes.has_metric:
                    sum += o.m.metric[i]
                if not isfinite(sum):
                    self.failed[k // self.n_outputs] = True

    cdef void update(self) noexcept nogil:
        """Take in what each model has lost in the step."""
        cdef const double* losses = &self.of_models[0]
        cdef Py_ssize_t model
        cdef double* weight = &self.weights[0]
        cdef const double* handed_out = &self.handed_out[0]
        cdef double least = INFINITY, total = 0.0, kept
        for model in range(self.n_models):
            if weight[model] > 0 and losses[model] < least:
                least = losses[model]
        # without a branch, for it to be vectorised; a weight of 0 stays 0
        for model in range(self.n_models):
            weight[model] *= exp_of_negative(min(0.0, -self.rate * (losses[model] - least)))
        for model in range(self.n_models):
            total += weight[model]
        kept = (1 - self.share) / total
        for model in range(self.n_models):
            weight[model] = kept * weight[model] + handed_out[model]
