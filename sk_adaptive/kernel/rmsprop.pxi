"""RMSProp, whose step is in passes/rmsprop.h."""

cdef double log2_of(double base) noexcept nogil:
    """The logarithm to the base 2, bounded for base 0."""
    return max(log1p(base - 1) / log(2.0), LEAST_LOGARITHM) if base > 0 else LEAST_LOGARITHM


@cython.final
cdef class RMSProp(Optimizer):

    rule = "rmsprop"

    def __init__(self, *arrays, rho, **kwargs):
        super().__init__(*arrays, **kwargs)
        self.intercepts.memory_1 = rho
        self.m.memory_1 = <real>rho
        self.m.share_1 = <real>(1 - rho)
        # records hold the root
        self.m.log2_decay_first = 0.5 * log2_of(rho)
        self.largest_harmless = HARMLESS
