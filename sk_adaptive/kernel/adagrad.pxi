"""AdaGrad, whose step is in passes/adagrad.h."""

cdef inline real fraction(int64_t t, uint64_t stride) noexcept nogil:
    """Of step t, from -1/2 to 1/2: a Weyl sequence, more even than random numbers."""
    return <real>((<double>((<uint64_t>t * stride) >> 32) + 0.5) / 4294967296.0 - 0.5)


cdef class Accumulating(Optimizer):
    """What AdaGrad and FTRL share: sums of squared gradients that do not age while idle.

    Parameters
    ----------
    rho : float or sequence of float
        Of such a sum, the part that is left at an occurrence.
    """

    cdef double[::1] kept

    def __init__(self, *arrays, rho, **kwargs):
        super().__init__(*arrays, **kwargs)
        self.kept = np.array(np.broadcast_to(np.asarray(rho, np.float64), self.m.n_outputs))
        self.m.forgets = min(self.kept) < 1
        self.intercepts.kept = &self.kept[0] if self.m.forgets else NULL
        for k in range(self.m.n_outputs):
            self.m.forgotten[k] = <real>(1 - self.kept[k])

    cdef void prepare(self) noexcept nogil:
        # multiples of the golden section and of the root of 2, which have nothing in common
        self.m.dither_first = fraction(self.m.t, 11400714819323198485u)
        self.m.dither_weight = fraction(self.m.t, 7640891576956012808u)
        # a gradient is divided by at least sqrt(eps)
        self.largest_harmless = HARMLESS * min(1.0, sqrt(self.least_eps))


@cython.final
cdef class AdaGrad(Accumulating):

    rule = "adagrad"

    cdef double inverse_metric(self, const unsigned char* record, Py_ssize_t k) noexcept nogil:
        return (<const real*>(record + self.m.layout.first))[k]

    cdef void take_over(self, Optimizer old, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i, k
        cdef double G
        Optimizer.take_over(self, old, n)
        for i in range(n):
            k = i % self.m.width if self.m.n_outputs > 1 else 0
            if k < self.m.n_outputs and self.eps[k] != old.eps[k] and self.m.first[i] > 0:
                G = max(1 / (<double>self.m.first[i] * self.m.first[i]) - old.eps[k], 0.0)
                self.m.first[i] = <real>(1 / sqrt(G + self.eps[k]))
