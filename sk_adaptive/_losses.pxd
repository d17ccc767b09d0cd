cdef class Loss:
    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil
