"""Averages of weights over the learning-rate sum, as integrals that records hold.

A step counts by its learning rate, and while the penalty makes a weight flow, the average is
over the flow. A record ends with the ``integral`` of each weight over the sum, up to
``integrated``, both in double precision. An idle weight's is a closed form again, and adds up as the
flow does. What momentum is still to do is treated as in the weight itself: an exactly lazy record
holds the integral with all of the tail's, over the sum to come, and a touch takes off what has not
come yet.

Averages are only ever read out: steps do the same with and without them. To begin later is to
subtract, once, what the integrals are by then.
"""


cdef inline double weight_of_average(double x) noexcept nogil:
    """(x - 1 + exp(-x)) / x^2, which is 1/2 at 0."""
    if x > 0.05:
        return (x + expm1(-x)) / (x * x)
    return 1. / 2 - x * (1. / 6 - x * (1. / 24 - x * (1. / 120 - x * (1. / 720 - x * (
        1. / 5040 - x * (1. / 40320 - x * (1. / 362880)))))))


cdef double integral_from_zero(double w, double span, double l1, double l2) noexcept nogil:
    cdef double size = fabs(w), loss
    if l1 > 0:
        # until it stops at zero
        span = min(span, log1p(l2 * size / l1) / l2 if l2 > 0 else size / l1)
    loss = span * span * weight_of_average(l2 * span)
    return copysign(size * span - (l2 * size + l1) * loss, w)


cdef double integral_of_flow(
    double w, double begin, double end, double l1, double l2
) noexcept nogil:
    """Of dw/dS = -(l2 w + l1 sign w), stopped at zero, from S = begin to end, w being that at 0."""
    if begin == 0:
        return integral_from_zero(w, end, l1, l2)
    return integral_from_zero(w, end, l1, l2) - integral_from_zero(w, begin, l1, l2)


cdef inline unsigned char* record_of(
    Optimizer o, const Touch* touch, Py_ssize_t j
) noexcept nogil:
    return o.m.memory + touch.columns[j] * o.m.layout.stride


cdef inline double charged_up_to(Optimizer o, const unsigned char* record) noexcept nogil:
    """In double precision: weights of a record with averages are charged when they are integrated."""
    return (<const double*>(record + o.m.layout.integrated))[0]


cdef void load_integrals(Optimizer o, const Touch* touch) noexcept nogil:
    """Load the integrals of weights after step t, of what has been read whole."""
    cdef Py_ssize_t j, k, i
    cdef const unsigned char* record
    cdef const double* integrals
    for j in range(touch.n):
        record = record_of(o, touch, j)
        integrals = <const double*>(record + o.m.layout.integral)
        for k in range(o.m.n_outputs):
            i = j * o.m.width + k
            o.integral[i] = (
                integrals[k]
                + o.integral_while_idle(
                    record, k, 0, o.clock.learning_rate_sum - charged_up_to(o, record))
                - o.integral_of_tail(i, k))


cdef void store_integrals(
    Optimizer o, const Touch* touch, double integrated
) noexcept nogil:
    """What has been read whole, and changed, as integrated up to this learning-rate sum."""
    cdef Py_ssize_t j, k
    cdef unsigned char* record
    for j in range(touch.n):
        record = record_of(o, touch, j)
        for k in range(o.m.n_outputs):
            (<double*>(record + o.m.layout.integral))[k] = o.integral[j * o.m.width + k]
        (<double*>(record + o.m.layout.integrated))[0] = integrated


cdef bint is_average_due(Optimizer o) noexcept nogil:
    return o.clock.average_start == INFINITY and o.clock.t + 1 >= o.average


cdef bint begin_average(Optimizer o) noexcept nogil:
    """Let all integrals be 0 as of now; False if there is no memory."""
    cdef Sweep sweep
    cdef Py_ssize_t start = 0, j, k
    cdef double* integrals
    if not o.reserve(SWEEP):
        return False
    while o.clock.t > 0 and start < o.n_features:
        read_sweep(o, &sweep, NULL, start, o.n_features, True)
        load_integrals(o, &sweep.touch)
        for j in range(sweep.touch.n):
            integrals = <double*>(record_of(o, &sweep.touch, j) + o.m.layout.integral)
            for k in range(o.m.n_outputs):
                if o.integral[j * o.m.width + k] != 0:
                    integrals[k] -= o.integral[j * o.m.width + k]
        start += SWEEP
    for k in range(o.m.n_outputs):
        o.intercept_integral[k] = 0.0
    o.clock.average_start = o.clock.learning_rate_sum
    return True
