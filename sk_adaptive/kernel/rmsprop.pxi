"""RMSProp, whose step is in rmsprop.h."""

cdef extern from "kernel/rmsprop.h":
    const Passes* rmsprop_passes(bint charged, bint aged, bint several) noexcept nogil


cdef double log2_of(double base) noexcept nogil:
    """The logarithm to the base 2, bounded for base 0."""
    return max(log1p(base - 1) / log(2.0), LEAST_LOGARITHM) if base > 0 else LEAST_LOGARITHM


@cython.final
cdef class RMSProp(Optimizer):

    cdef double rho

    def __init__(self, *arrays, rho, **kwargs):
        super().__init__(*arrays, **kwargs)
        self.rho = rho
        self.m.memory_1 = <real>rho
        self.m.share_1 = <real>(1 - rho)
        # records hold the root
        self.m.log2_decay_first = 0.5 * log2_of(rho)
        self.largest_harmless = HARMLESS

    cdef const Passes* passes_for(self, bint charged, bint aged, bint several):
        return rmsprop_passes(charged, aged, several)

    cdef void intercept_steps(
        self, double* v, double* unused, const double* g, double* step
    ) noexcept nogil:
        cdef const double* rate = &self.rate[0]
        cdef const double* eps = &self.eps[0]
        cdef double eta = self.eta, rho = self.rho
        cdef Py_ssize_t k
        for k in range(self.m.n_outputs):
            v[k] = rho * v[k] + (1 - rho) * g[k] * g[k]
        for k in range(self.m.n_outputs):
            step[k] = eta * rate[k] * g[k] / (sqrt(v[k]) + eps[k])
