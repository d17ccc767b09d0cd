"""What every optimizer has and does: the state of a model, its clock, and a step."""

# Of a record, a row ahead: more would drive out those of the row in hand.
cdef enum:
    MOST_FETCHED_LINES = 64

# The fields of a record that are no moments, see `_state.record_dtype`.
OTHER_FIELDS = {"last_step", "coef", "inverse_metric", "charged", "integral", "integrated"}


cdef inline void copy_numbers(double* to, const double* numbers, Py_ssize_t n) noexcept nogil:
    """memcpy, of few without a call."""
    if n == 3:
        to[0], to[1], to[2] = numbers[0], numbers[1], numbers[2]
    else:
        memcpy(to, numbers, n * sizeof(double))


cdef class Batches


cdef class Optimizer:
    """Lazy state of a linear model.

    The numbers eta0, l1, l2 and eps are one for all outputs, or one for each.

    Parameters
    ----------
    records : ndarray of shape (n_features,), of the dtype of `_state.record_dtype`
        Changed in place.
    intercept : float64 ndarray of shape (3, n_outputs)
        The intercepts and their two moments. Changed in place.
    clock : ndarray of shape (), of the dtype `_state.CLOCK`
        Steps done, their learning-rate sum, of the rate of `unit`, and that sum when averaging
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
    unit : (float, float), default=None
        The rate eta0 and the strength l2 whose learning-rate sum is that of the records. None:
        those of the first output.
    """

    cdef:
        Model m
        const Passes* passes
        readonly object records
        unsigned char[::1] memory
        Clock[::1] shared_clock
        Clock* clock
        double[:, ::1] intercept, next_intercept
        double intercept_scaling
        Py_ssize_t n_features
        # the rate and the growth of the learning-rate sum by a step are those of the unit
        double power_t, eta, increment, unit_eta0, unit_l2
        # by output
        double[::1] eta0, rate, l1, l2, eps
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

    def __init__(
        self, records, intercept, clock, *, n_outputs, eta0, power_t, l1, l2, eps, exact, average,
        intercept_integral, intercept_scaling=1.0, unit=None,
    ):
        self.records = records
        self.memory = records.view(np.uint8)
        self.intercept = intercept
        self.next_intercept = np.empty((5, n_outputs))
        self.intercept_scaling = intercept_scaling
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
        fields = records.dtype.fields
        self.passes = self.passes_for("charged" in fields, "last_step" in fields, n_outputs > 1)
        self.m.layout = layout_of(records.dtype, n_outputs, self.passes)
        self.m.fetched_size = min(
            self.m.layout.stride, <Py_ssize_t>(MOST_FETCHED_LINES * CACHE_LINE))
        self.eta0, self.l1, self.l2, self.eps = (
            np.array(np.broadcast_to(np.asarray(value, np.float64), n_outputs))
            for value in (eta0, l1, l2, eps))
        self.unit_eta0, self.unit_l2 = unit or (self.eta0[0], self.l2[0])
        self.set_numbers()

    cdef set_numbers(self):
        """Give the passes what belongs to the outputs."""
        cdef Py_ssize_t k
        # The lanes behind the last output have no gradients and no penalty: other numbers do not
        # matter.
        self.numbers = np.ones((7, self.m.width), np.float32 if sizeof(real) == 4 else np.float64)
        self.numbers[2:4] = 0
        self.m.eta = &self.numbers[0, 0]
        self.m.rate = &self.numbers[1, 0]
        self.m.l1 = &self.numbers[2, 0]
        self.m.l2 = &self.numbers[3, 0]
        self.m.eps = &self.numbers[4, 0]
        self.m.kept = &self.numbers[5, 0]
        self.m.sums = &self.numbers[6, 0]
        self.rate = (
            np.divide(self.eta0, self.unit_eta0) if self.unit_eta0 else np.ones(self.m.n_outputs))
        self.m.has_l1 = False
        unit = self.growth_of_sum(self.unit_eta0, self.unit_l2)
        for k in range(self.m.n_outputs):
            self.eps[k] = max(self.eps[k], <double>REAL_TINY)
            growth = self.growth_of_sum(self.rate[k] * self.unit_eta0, self.l2[k])
            share = growth / unit if unit else 1.0
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

    cdef const Passes* passes_for(self, bint charged, bint aged, bint several):
        """Those of its rule."""
        raise NotImplementedError

    cdef void prepare(self) noexcept nogil:
        """Compute what all features share after step t, and `largest_harmless`."""
        pass

    cdef void intercept_steps(
        self, double* first, double* second, const double* g, double* step
    ) noexcept nogil:
        """The textbook's step t of each intercept, to be subtracted; moments change."""
        pass

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
        if old.passes.has_metric:
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
        if self.passes.has_charged:
            inverse_metric = self.inverse_metric(record, k)
        return integral_of_flow(
            (<const real*>(record + self.m.layout.weight))[k], begin, end,
            self.m.l1[k] * inverse_metric, self.m.l2[k] * inverse_metric)

    cdef double inverse_metric(self, const unsigned char* record, Py_ssize_t k) noexcept nogil:
        """Of the charge."""
        if self.passes.has_metric:
            return (<const real*>(record + self.m.layout.metric))[k]
        return 1.0

    cdef void integrate_step(self, const Touch* touch, bint wide) noexcept nogil:
        """Take into the integrals what the step adds that a record does not owe after it.

        The records are still those of before the step.
        """
        pass

    # -- time --

    cdef double learning_rate(self, int64_t t) noexcept nogil:
        return self.unit_eta0 if self.power_t == 0 else self.unit_eta0 / pow(<double>t, self.power_t)

    cdef void set_time(self, int64_t t) noexcept nogil:
        """Give the passes what they need for step t: the last one of the clock, or the next."""
        cdef Py_ssize_t k
        self.m.t = t
        self.m.learning_rate_sum = <real>self.clock.learning_rate_sum
        if t > 0:
            self.eta = self.learning_rate(t)
            self.increment = self.growth_of_sum(self.eta, self.unit_l2)
            self.m.increment = <real>self.increment
            self.m.charged_after_store = <real>(
                self.clock.learning_rate_sum + (self.increment if self.charges_its_step() else 0))
            for k in range(self.m.n_outputs):
                self.m.eta[k] = <real>(self.eta * self.rate[k])
        self.prepare()

    cdef bint is_harmless(self, double gradient, double moment) noexcept nogil:
        """Whether no number of a step with such sizes can overflow."""
        return (
            gradient < self.largest_harmless and moment < self.largest_harmless
            and self.unit_eta0 < self.largest_harmless)

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
        self, Touch* touch, bint wide, const double* intercept_gradient, bint harmless
    ) noexcept nogil:
        """One step on what has been read; False, and nothing done, if it overflows.

        intercept_gradient is NULL for a model without intercept. A touch of no features is a step
        without gradients.
        """
        cdef bint careful = self.averaged or not harmless, finite = True
        cdef Py_ssize_t k
        if careful and self.m.n_outputs > 1:
            self.passes.read[wide](&self.m, touch, True)
        if self.averaged:
            load_integrals(self, touch, wide)
        self.set_time(self.clock.t + 1)
        if intercept_gradient != NULL:
            finite = self.step_intercepts(intercept_gradient)
        if careful and finite:
            finite = self.passes.step(&self.m, touch)
        if not finite:
            self.set_time(self.clock.t)
            return False
        if not careful:
            self.passes.move[wide](&self.m, touch)
        else:
            if self.averaged:
                self.integrate_step(touch, wide)
            self.passes.store[wide](&self.m, touch)
            if self.averaged:
                store_integrals(self, touch, wide)
        if intercept_gradient != NULL:
            copy_numbers(
                &self.intercept[0, 0], &self.next_intercept[0, 0], 3 * self.m.n_outputs)
            if self.averaged:
                for k in range(self.m.n_outputs):
                    self.intercept_integral[k] += self.increment * self.intercept[0, k]
        self.clock.t += 1
        self.clock.learning_rate_sum += self.increment
        self.m.learning_rate_sum = <real>self.clock.learning_rate_sum
        return True

    cdef bint step_intercepts(self, const double* gradient) noexcept nogil:
        """Those after step t, to `next_intercept`; False if one is not finite."""
        cdef Py_ssize_t n = self.m.n_outputs, k
        cdef double scale = self.intercept_scaling
        cdef double* next = &self.next_intercept[0, 0]
        cdef double* g = next + 3 * n
        cdef double* step = next + 4 * n
        copy_numbers(next, &self.intercept[0, 0], 3 * n)
        for k in range(n):
            g[k] = scale * gradient[k]
        self.intercept_steps(next + n, next + 2 * n, g, step)
        for k in range(n):
            next[k] -= scale * step[k]
        return are_finite(next, 3 * n)

    # -- what Python reads and changes, see readout.pxi --

    def weights(self, const int64_t[::1] features, real[:, :] out):
        """Write the weights after step t, charges and tails included, to out (n_outputs, n).

        Or their averages, once there is a step in them.
        """
        read_weights(self, features, out)

    def penalties(self, const int64_t[::1] features):
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


cdef Layout layout_of(dtype, Py_ssize_t n_outputs, const Passes* passes):
    """Where a record of this dtype has what. TypeError if the passes are for others."""
    cdef Layout layout
    fields = dtype.fields
    names = [name for name in dtype.names if name not in OTHER_FIELDS]

    def offset(name):
        return fields[name][1] if name in fields else ABSENT

    layout.stride = dtype.itemsize
    layout.last_step = offset("last_step")
    layout.weight = offset("coef")
    layout.first = offset(names[0])
    layout.second = offset(names[1]) if len(names) > 1 else ABSENT
    layout.metric = offset("inverse_metric")
    layout.charged = offset("charged")
    layout.integral = offset("integral")
    layout.integrated = offset("integrated")
    expected = [
        (passes.has_step, layout.last_step, 8), (passes.has_weight, layout.weight, 0),
        (True, layout.first, 0), (passes.has_second, layout.second, 0),
        (passes.has_metric, layout.metric, 0), (passes.has_charged, layout.charged, sizeof(real)),
    ]
    place = 0
    for is_there, found, size in expected:
        if found != (place if is_there else ABSENT):
            raise TypeError(f"records of the fields {dtype} are not those of this optimizer")
        place += (size or n_outputs * sizeof(real)) if is_there else 0
    if len(names) > 2 or fields[names[0]][0].base.itemsize != sizeof(real):
        raise TypeError(f"records of the fields {dtype} are not those of this optimizer")
    return layout
