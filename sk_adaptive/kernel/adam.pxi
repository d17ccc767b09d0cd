"""Adam and AdamW, whose steps are in passes/adam.h. The momentum's tail is that of _tail.pyx."""

cdef class Adam(Optimizer):

    rule = "adam"

    cdef Tail tail
    # the step whose tail the model has
    cdef int64_t prepared_t

    def __init__(self, *arrays, beta_1, beta_2, **kwargs):
        cdef double decay
        super().__init__(*arrays, **kwargs)
        decay = self.decay_of(self.clock_l2)
        for k in range(self.m.n_outputs):
            if self.m.exact and self.rate[k] * self.decay[k] != decay:
                raise ValueError("outputs of different decays have different momentum tails")
        self.intercepts.memory_1 = beta_1
        self.intercepts.memory_2 = beta_2
        self.m.memory_1 = <real>beta_1
        self.m.share_1 = <real>(1 - beta_1)
        self.m.memory_2 = <real>beta_2
        self.m.share_2 = <real>(1 - beta_2)
        self.m.log2_decay_first = log2_of(beta_1)
        # records hold the root of the second moment
        self.m.log2_decay_second = 0.5 * log2_of(beta_2)
        self.tail = Tail(
            beta_1, beta_2, self.clock_eta0, self.power_t, decay,
            1e-9 if sizeof(real) < 8 else 1e-15, self.m.exact, self.averaged)
        self.m.terms_c = self.tail.c
        self.m.terms_z = self.tail.z
        self.m.n_terms = self.tail.n_terms
        self.prepared_t = -1

    cdef bint charges_its_step(self) noexcept nogil:
        return True

    cdef void prepare(self) noexcept nogil:
        cdef int p
        if self.m.t == self.prepared_t:
            return
        self.prepared_t = self.m.t
        if not self.tail.prepare(self.m.t):
            return  # it is the same as before
        self.intercepts.step_correction = self.tail.a_0
        self.intercepts.root_correction = self.tail.z_0
        self.m.step_correction = <real>self.tail.a_0
        self.m.root_correction = <real>self.tail.z_0
        self.m.n_moments = self.tail.n_moments
        self.m.n_chebyshev = self.tail.n_chebyshev
        for p in range(self.tail.n_moments):
            self.m.moments[p] = <real>self.tail.moments[p]
        if self.tail.n_moments < 0:
            for p in range(self.tail.n_chebyshev):
                self.m.chebyshev[p] = <real>self.tail.chebyshev[p]
        # A moment is divided by at least eps, now and in each of the tail's terms.
        self.largest_harmless = HARMLESS * min(1.0, self.least_eps) / (1 + self.tail.size())

    cdef double integral_of_tail(self, Py_ssize_t i, Py_ssize_t k) noexcept nogil:
        return self.rate[k] * self.tail.integral(self.m.first[i], self.m.second[i], self.eps[k])

    cdef void integrate_step(self, const Touch* touch) noexcept nogil:
        # A record is charged for its step, so it does not owe this step's integral. That of an
        # idle coefficient is of the flow, as that of an absent one is.
        cdef Py_ssize_t j, k, i
        cdef double before, g
        cdef const unsigned char* record
        for j in range(touch.n):
            record = record_of(self, touch, j)
            before = self.clock.learning_rate_sum - charged_up_to(self, record)
            for k in range(self.m.n_outputs):
                i = j * self.m.width + k
                g = self.m.g[i] if touch.x == NULL else touch.x[j] * touch.derivative[k]
                if g != 0:
                    self.integral[i] += self.increment * self.m.w[i]
                else:
                    self.integral[i] += self.integral_while_idle(
                        record, k, before, before + self.increment)
                self.integral[i] += self.increment * self.rate[k] * self.tail.sum(
                    self.m.first[i], self.m.second[i], self.eps[k])
                self.integral[i] += self.integral_of_tail(i, k)


@cython.final
cdef class AdamW(Adam):
    """The decay is the penalty's flow with the metric 1, in which the learning-rate sum grows so that
    the flow over a step is the factor 1 - eta l2; it applies to every coefficient at every step,
    before the step.
    """

    rule = "adamw"

    cdef double decay_of(self, double l2) noexcept nogil:
        return l2

    cdef double growth_of_sum(self, double eta, double l2) noexcept nogil:
        return -log1p(-eta * l2) / l2 if l2 > 0 else eta
