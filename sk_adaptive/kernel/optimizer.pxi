"""What every optimizer has and does: the state of a model, its clock, and a step."""

# Of a record, a row ahead: more would drive out those of the row in hand.
cdef enum:
    MOST_FETCHED_LINES = 64

# The fields of a record that are no moments, see `records.record_dtype`.
OTHER_FIELDS = {
    "last_step", "coef", "inverse_metric", "forgotten", "charged", "integral", "integrated"}
# Of them those that passes know as the metric.
METRICS = {"inverse_metric", "forgotten"}


cdef class Batches


cdef class Optimizer:
    """Lazy state of a linear model.

    The numbers eta0, l1, l2 and eps are one for all outputs, or one for each.

    Parameters
    ----------
    records : ndarray of shape (n_features,), of the dtype of `records.record_dtype`
        Changed in place.
    intercept : float64 ndarray of shape (3, n_outputs)
        The intercepts and their two moments. Changed in place.
    clock : ndarray of shape (), of the dtype `records.CLOCK`
        Steps done, their learning-rate sum, of the rate `clock_rate`, and that sum when averaging
        began, infinity if it has not. Changed in place, and nowhere else kept: whoever else
        writes to it is heeded from the next call on.
    n_outputs : int
    eta0 : float or sequence of float
    power_t : float
        The learning rate of step t is eta0 / t^power_t.
    l1, l2 : float or sequence of float
        Strengths of the penalties.
    eps : float or sequence of float
        Raised to the least normal number of the precision, for 1 / eps to be finite.
    exact : bool
        Whether idle coefficients follow the dense algorithm, or stay (masked).
    average : int
        The step whose weights are the first in the average; 0: there is none.
    intercept_integral : float64 ndarray of shape (n_outputs,)
        Of the intercepts over the learning-rate sum since averaging began. Changed in place.
    intercept_scaling : float
        An intercept is this times the coefficient of a constant feature of this size.
    controls : tuple of three arrays, default=None
        The least weights, the largest, and factors of the penalty: one for each feature, or one for
        all. None: weights are not controlled.
    clock_rate : (float, float), default=None
        The rate eta0 and the strength l2 whose learning-rate sum is that of the records. None:
        those of the first output.
    """

    # the name of the rule of a subclass, see passes/passes.c
    rule = None

    cdef:
        Model m
        Intercepts intercepts
        const Passes* passes
        readonly object records
        unsigned char[::1] memory
        Clock[::1] shared_clock
        Clock* clock
        double[:, ::1] intercept, room_for_intercepts
        Py_ssize_t n_features
        # the rate and the strength of L2 of the clock, and the growth of its sum by a step
        double power_t, increment, clock_eta0, clock_l2
        # by output
        double[::1] eta0, rate, l1, l2, eps, decay
        double least_eps
        real[:, ::1] numbers
        # Gradients and moments up to this size can't make a step overflow.
        double largest_harmless
        # the working set, of so many numbers in each array
        Py_ssize_t capacity
        void* buffer
        double* integral
        # None before the first mini-batch
        Batches batches
        # averages
        bint averaged
        int64_t average
        double[::1] intercept_integral
        # of `controls`
        bint is_controlled
        const real[::1] low, high, factor

    def __init__(
        self, records, intercept, clock, *, n_outputs, eta0, power_t, l1, l2, eps, exact, average,
        intercept_integral, intercept_scaling=1.0, clock_rate=None, controls=None,
    ):
        self.records = records
        self.memory = records.view(np.uint8)
        self.intercept = intercept
        self.room_for_intercepts = np.empty((5, n_outputs))
        self.intercepts.scaling = intercept_scaling
        self.intercepts.values = &self.intercept[0, 0]
        self.intercepts.next = &self.room_for_intercepts[0, 0]
        self.intercepts.gradient = &self.room_for_intercepts[3, 0]
        self.intercepts.step = &self.room_for_intercepts[4, 0]
        # of no step yet
        self.intercepts.eta = NAN
        self.n_features = records.shape[0]
        # a memoryview has an axis at least
        self.shared_clock = clock.reshape(1)
        self.clock = &self.shared_clock[0]
        self.power_t = power_t
        self.averaged = average > 0
        self.average = average
        self.intercept_integral = intercept_integral
        self.capacity = 0
        self.m.memory = &self.memory[0]
        self.m.n_outputs = n_outputs
        self.m.width = padded(n_outputs) if n_outputs > 1 else 1
        self.m.exact = exact
        self.is_controlled = controls is not None
        self.passes = passes_of(
            type(self).rule, records.dtype, n_outputs > 1, self.is_controlled)
        self.m.kind = self.passes.controlled
        if self.is_controlled:
            self.low, self.high, self.factor = controls
            self.m.low = &self.low[0]
            self.m.high = &self.high[0]
            self.m.factor = &self.factor[0]
            self.m.low_step, self.m.high_step, self.m.factor_step = (
                1 if numbers.shape[0] > 1 else 0 for numbers in controls)
        self.m.layout = layout_of(records.dtype, n_outputs, self.passes)
        self.m.fetched_size = min(
            self.m.layout.stride, <Py_ssize_t>(MOST_FETCHED_LINES * CACHE_LINE))
        self.eta0, self.l1, self.l2, self.eps = (
            np.array(np.broadcast_to(np.asarray(value, np.float64), n_outputs))
            for value in (eta0, l1, l2, eps))
        self.clock_eta0, self.clock_l2 = clock_rate or (self.eta0[0], self.l2[0])
        self.set_numbers()

    cdef set_numbers(self):
        """Give the passes what belongs to the outputs."""
        cdef Py_ssize_t k
        # The lanes behind the last output have no gradients and no penalty: other numbers do not
        # matter.
        self.numbers = np.ones((8, self.m.width), np.float32 if sizeof(real) == 4 else np.float64)
        self.numbers[2:4] = 0
        self.numbers[7] = 0
        self.m.eta = &self.numbers[0, 0]
        self.m.rate = &self.numbers[1, 0]
        self.m.l1 = &self.numbers[2, 0]
        self.m.l2 = &self.numbers[3, 0]
        self.m.eps = &self.numbers[4, 0]
        self.m.shrinkage = &self.numbers[5, 0]
        self.m.sums = &self.numbers[6, 0]
        self.m.forgotten = &self.numbers[7, 0]
        self.rate = (
            np.divide(self.eta0, self.clock_eta0) if self.clock_eta0 else np.ones(self.m.n_outputs))
        self.decay = np.zeros(self.m.n_outputs)
        self.intercepts.rate = &self.rate[0]
        self.intercepts.eps = &self.eps[0]
        self.m.has_l1 = False
        of_clock = self.growth_of_sum(self.clock_eta0, self.clock_l2)
        for k in range(self.m.n_outputs):
            self.eps[k] = max(self.eps[k], <double>REAL_TINY)
            self.decay[k] = self.decay_of(self.l2[k])
            growth = self.growth_of_sum(self.rate[k] * self.clock_eta0, self.l2[k])
            share = growth / of_clock if of_clock else 1.0
            if self.power_t and abs(share - self.rate[k]) > 1e-15 * share:
                raise ValueError(
                    "outputs of different decays need a constant learning rate: else their "
                    "learning-rate sums are not proportional")
            self.m.rate[k] = <real>self.rate[k]
            self.m.l1[k] = <real>(share * self.l1[k])
            self.m.l2[k] = <real>(share * self.l2[k])
            self.m.eps[k] = <real>self.eps[k]
            self.m.has_l1 = self.m.has_l1 or self.l1[k] > 0
        self.least_eps = min(self.eps)

    def __dealloc__(self):
        free(self.buffer)

    # -- what an optimizer defines --

    cdef void prepare(self) noexcept nogil:
        """Compute what all features share after step t, and `largest_harmless`."""
        pass

    cdef double decay_of(self, double l2) noexcept nogil:
        """The strength of the decay of an output of this l2, applied before each step."""
        return 0.0

    cdef double growth_of_sum(self, double eta, double l2) noexcept nogil:
        """What a step of the rate eta adds to the learning-rate sum of an output of this l2."""
        return eta

    cdef bint charges_its_step(self) noexcept nogil:
        """Whether a step charges itself, so that a record does not owe it."""
        return False

    cdef void take_over(self, Optimizer old, Py_ssize_t n) noexcept nogil:
        """Moments of another optimizer of the class, n numbers of its working set, as this one's."""
        memcpy(self.m.first, old.m.first, n * sizeof(real))
        memcpy(self.m.second, old.m.second, n * sizeof(real))
        if old.passes.has.metric:
            memcpy(self.m.metric, old.m.metric, n * sizeof(real))
        else:
            memset(self.m.metric, 0, n * sizeof(real))

    cdef double integral_of_tail(self, Py_ssize_t i, Py_ssize_t k) noexcept nogil:
        """Over the sum to come, of what number i of the working set still moves if idle."""
        return 0.0

    cdef double integral_while_idle(
        self, const unsigned char* record, Py_ssize_t k, double begin, double end
    ) noexcept nogil:
        """Of the weight that a record has, while the learning-rate sum grows from begin to end.

        Both since the record was charged.
        """
        cdef double inverse_metric = 1.0
        if self.passes.has.charged:
            inverse_metric = self.inverse_metric(record, k) * self.factor_of(self.feature_of(record))
        return integral_of_flow(
            (<const real*>(record + self.m.layout.weight))[k], begin, end,
            self.m.l1[k] * inverse_metric, self.m.l2[k] * inverse_metric)

    cdef inline Py_ssize_t feature_of(self, const unsigned char* record) noexcept nogil:
        return (record - self.m.memory) // self.m.layout.stride

    cdef inline double factor_of(self, Py_ssize_t feature) noexcept nogil:
        """What the penalty of a feature is multiplied by."""
        return self.m.factor[feature * self.m.factor_step] if self.is_controlled else 1.0

    cdef inline double bound_of(self, Py_ssize_t feature, bint below) noexcept nogil:
        """The largest size of the weight of a feature that is less than 0, or more."""
        if below:
            return -self.m.low[feature * self.m.low_step]
        return self.m.high[feature * self.m.high_step]

    cdef double inverse_metric(self, const unsigned char* record, Py_ssize_t k) noexcept nogil:
        """Of the charge."""
        if self.passes.has.metric:
            return (<const real*>(record + self.m.layout.metric))[k]
        return 1.0

    cdef void integrate_step(self, const Touch* touch) noexcept nogil:
        """Take into the integrals what the step adds that a record does not owe after it.

        The records are still those of before the step.
        """
        pass

    # -- time --

    cdef double learning_rate(self, int64_t t) noexcept nogil:
        return self.clock_eta0 if self.power_t == 0 else self.clock_eta0 / pow(<double>t, self.power_t)

    cdef void set_time(self, int64_t t) noexcept nogil:
        """Give the passes what they need for step t: the last one of the clock, or the next."""
        cdef double eta
        self.m.t = t
        self.m.learning_rate_sum = <real>self.clock.learning_rate_sum
        if t > 0:
            eta = self.learning_rate(t)
            if eta != self.intercepts.eta:
                self.intercepts.eta = eta
                self.increment = self.growth_of_sum(eta, self.clock_l2)
                self.m.increment = <real>self.increment
                kernel.set_rates(&self.m, eta, &self.rate[0], &self.decay[0])
            self.m.charged_after_store = <real>self.sum_after_store()
        self.prepare()

    cdef double sum_after_store(self) noexcept nogil:
        """The learning-rate sum up to which the step in hand charges weights."""
        return self.clock.learning_rate_sum + (self.increment if self.charges_its_step() else 0)

    cdef bint is_harmless(self, double gradient, double moment) noexcept nogil:
        """Whether no number of a step with such sizes can overflow."""
        return (
            gradient < self.largest_harmless and moment < self.largest_harmless
            and self.clock_eta0 < self.largest_harmless)

    # -- the working set --

    cdef bint reserve(self, Py_ssize_t n) noexcept nogil:
        """Make room for n features in the working set; False if there is no memory."""
        # whole vectors, whose last may begin at the last feature
        n = padded(n * self.m.width) + LANES
        if n <= self.capacity:
            return True
        n += n // 4
        cdef Py_ssize_t size = (n * sizeof(real) + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
        free(self.buffer)
        self.capacity = 0
        self.buffer = malloc(
            6 * size + CACHE_LINE + (n * sizeof(double) if self.averaged else 0))
        if self.buffer == NULL:
            return False
        cdef char* start = <char*>self.buffer
        start += -<uintptr_t>start & (CACHE_LINE - 1)
        self.m.w = <real*>start
        self.m.first = <real*>(start + size)
        self.m.second = <real*>(start + 2 * size)
        self.m.metric = <real*>(start + 3 * size)
        self.m.g = <real*>(start + 4 * size)
        # two for each feature, which has more outputs than one where they are used
        self.m.decay_first = <real*>(start + 5 * size)
        self.m.decay_second = <real*>(start + 5 * size + size // 2)
        self.integral = <double*>(start + 6 * size)
        self.capacity = n
        return True

    cdef bint learn(
        self, Touch* touch, const double* intercept_gradient, bint harmless
    ) noexcept nogil:
        """One step on what has been read; False, and nothing done, if it overflows.

        intercept_gradient is NULL for a model without intercept. A touch of no features is a step
        without gradients.
        """
        cdef bint careful = self.averaged or not harmless, finite = True
        cdef Py_ssize_t k
        if careful and self.m.n_outputs > 1:
            self.passes.read(&self.m, touch, True)
        if self.averaged:
            load_integrals(self, touch)
        self.set_time(self.clock.t + 1)
        if intercept_gradient != NULL:
            finite = self.passes.step_intercepts(&self.m, &self.intercepts, intercept_gradient)
        if careful and finite:
            finite = self.passes.step(&self.m, touch)
        if not finite:
            self.set_time(self.clock.t)
            return False
        if not careful:
            self.passes.move(&self.m, touch)
        else:
            if self.averaged:
                self.integrate_step(touch)
            self.passes.store(&self.m, touch)
            if self.averaged:
                store_integrals(self, touch, self.sum_after_store())
        if intercept_gradient != NULL:
            for k in range(3 * self.m.n_outputs):
                self.intercepts.values[k] = self.intercepts.next[k]
            if self.averaged:
                for k in range(self.m.n_outputs):
                    self.intercept_integral[k] += self.increment * self.intercept[0, k]
        self.clock.t += 1
        self.clock.learning_rate_sum += self.increment
        self.m.learning_rate_sum = <real>self.clock.learning_rate_sum
        return True

    # -- what Python reads and changes, see readout.pxi --

    def weights(self, const int32_t[::1] features, real[:, :] out):
        """Write the weights after step t, charges and tails included, to out (n_outputs, n).

        Or their averages, once there is a step in them.
        """
        read_weights(self, features, out)

    def penalties(self, const int32_t[::1] features):
        """Of each output the penalty of the weights of these features after step t.

        NaN if one is not finite.
        """
        return penalties_of(self, features)

    def continue_as(self, Optimizer other not None, real[:, ::1] coef):
        """Hand the state over to an optimizer of the same class and other parameters.

        Everything is brought up to date under the old parameters, and becomes what records hold
        under the new ones. The weights become those of ``coef``, of shape (n_outputs,
        n_features), or where it is empty stay as they are; averages as well.
        """
        hand_over(self, other, coef)


cdef const Passes* passes_of(rule, dtype, bint several, bint controlled) except NULL:
    """The passes of a rule for records of this dtype. TypeError if there are none."""
    cdef const Passes* passes
    cdef Py_ssize_t i
    fields = dtype.names
    step, weight, second, metric, charged = (
        "last_step" in fields, "coef" in fields, len(moments_of(dtype)) > 1,
        bool(METRICS.intersection(fields)), "charged" in fields)
    for i in range(kernel.n_passes):
        passes = &kernel.passes[i]
        if (passes.rule.decode() == rule and passes.several == several
                and passes.has.step == step and passes.has.weight == weight
                and passes.has.second == second and passes.has.metric == metric
                and passes.has.charged == charged
                and (passes.controlled != NULL) == controlled):
            return passes
    raise TypeError(f"records of the fields {dtype} are not those of this optimizer")


cdef moments_of(dtype):
    """The names of a record's moments."""
    return [name for name in dtype.names if name not in OTHER_FIELDS]


cdef Layout layout_of(dtype, Py_ssize_t n_outputs, const Passes* passes):
    """Where a record of this dtype has what. TypeError if the passes look elsewhere."""
    cdef Layout layout
    fields, moments = dtype.fields, moments_of(dtype)

    def offset(name):
        return fields[name][1] if name in fields else ABSENT

    layout.stride = dtype.itemsize
    layout.last_step = offset("last_step")
    layout.weight = offset("coef")
    layout.first = offset(moments[0])
    layout.second = offset(moments[1]) if len(moments) > 1 else ABSENT
    layout.metric = max(map(offset, METRICS))
    layout.charged = offset("charged")
    layout.integral = offset("integral")
    layout.integrated = offset("integrated")
    in_order = [
        (layout.last_step, 8), (layout.weight, 0), (layout.first, 0), (layout.second, 0),
        (layout.metric, 0), (layout.charged, sizeof(real))]
    place = 0
    for found, size in in_order:
        if found not in (ABSENT, place):
            raise TypeError(f"records of the fields {dtype} are in another order")
        if found != ABSENT:
            place += size or n_outputs * sizeof(real)
    if fields[moments[0]][0].base.itemsize != sizeof(real):
        raise TypeError(f"records of the fields {dtype} are of another precision")
    return layout
