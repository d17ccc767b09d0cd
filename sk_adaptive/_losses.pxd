cdef class Loss:
    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil
    cdef double evaluate_outputs(
        self, const double* y, Py_ssize_t n_targets, const double* raw_predictions,
        double* gradients, Py_ssize_t K, const double* of_negative, const double* of_positive,
    ) noexcept nogil
    cdef void evaluate_models(
        self, const double* y, Py_ssize_t n_targets, const double* raw_predictions,
        double* gradients, Py_ssize_t K, const double* of_negative, const double* of_positive,
        Py_ssize_t n_models, double* values,
    ) noexcept nogil
