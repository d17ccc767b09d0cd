cdef class Loss:
    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil
    cdef void evaluate_outputs(
        self, const double* p, double* gradients, double* values, Py_ssize_t n
    ) noexcept nogil


# Losses of several outputs are computed so many at once, and arrays of them have room for that.
cdef extern from "passes/loss_loops.h":
    enum:
        LOSSES_AT_ONCE "SKA_LOSSES_AT_ONCE"


cdef inline Py_ssize_t room_for_losses(Py_ssize_t n) noexcept nogil:
    return (n + LOSSES_AT_ONCE - 1) // LOSSES_AT_ONCE * LOSSES_AT_ONCE


cdef inline void set_targets(
    double* targets, double* factors, Py_ssize_t K, const double* of_row, Py_ssize_t n_targets,
    const double* class_weight, bint coupled, double weight,
) noexcept nogil:
    """What each of K outputs is told of a row, and the factors of their losses.

    of_row holds a target for each output, or where n_targets is less than K the number of the
    class, whose output's target is 1 and all others' -1; the class may be of none of these
    outputs. class_weight holds K factors for targets that are not positive, and then K for those that
    are, or is NULL. The factor of outputs that are coupled is that of the class. All are
    multiplied by the weight of the row.
    """
    cdef Py_ssize_t k, code = -1
    if n_targets == K:
        for k in range(K):
            targets[k] = of_row[k]
    else:
        for k in range(K):
            targets[k] = -1.0
        if 0 <= of_row[0] < K:
            code = <Py_ssize_t>of_row[0]
            targets[code] = 1.0
    if class_weight == NULL:
        for k in range(K):
            factors[k] = weight
    elif coupled:
        for k in range(K):
            factors[k] = weight * class_weight[K + code]
    else:
        for k in range(K):
            factors[k] = weight * class_weight[k + (K if targets[k] > 0 else 0)]
