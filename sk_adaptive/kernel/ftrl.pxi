"""FTRL-Proximal, whose step is in passes/ftrl.h."""

cdef inline double mean_of_inverse(double x) noexcept nogil:
    """log(1 + x) / x, which is 1 at 0."""
    return log1p(x) / x if x > 0 else 1.0


cdef inline double mean_of_share(double x) noexcept nogil:
    """(x - log(1 + x)) / x^2, which is 1/2 at 0."""
    cdef double total = 0.0
    cdef int n
    if x > 0.05:
        return (x - log1p(x)) / (x * x)
    for n in range(12, 1, -1):
        total = 1.0 / n - x * total
    return total


@cython.final
cdef class FTRL(Accumulating):

    rule = "ftrl"

    cdef void take_over(self, Optimizer old, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i, k
        Optimizer.take_over(self, old, n)
        for i in range(n):
            k = i % self.m.width if self.m.n_outputs > 1 else 0
            if k < self.m.n_outputs and self.eps[k] != old.eps[k] and self.m.second[i] > 0:
                self.m.second[i] = <real>sqrt(
                    max(<double>self.m.second[i] * self.m.second[i] - old.eps[k], 0.0)
                    + self.eps[k])

    cdef double integral_while_idle(
        self, const unsigned char* record, Py_ssize_t k, double begin, double end
    ) noexcept nogil:
        # Of (|z| - l1 S) / (s + l2 S) up to where it is 0; S counts from the first step.
        cdef double z = (<const real*>(record + self.m.layout.first))[k]
        cdef double root = max(
            <double>(<const real*>(record + self.m.layout.second))[k], sqrt(self.eps[k]))
        cdef double factor = self.factor_of(self.feature_of(record))
        cdef double l1 = factor * self.m.l1[k], l2 = factor * self.m.l2[k], bound, held = 0.0
        cdef double forgotten = (
            (<const real*>(record + self.m.layout.metric))[k] if self.passes.has.metric else 0.0)
        cdef double start = charged_up_to(self, record) - forgotten + begin, span = end - begin
        cdef double over = fabs(z) - l1 * start, divisor = root + l2 * start
        if over <= 0:
            return 0.0
        if self.is_controlled:
            bound = self.bound_of(self.feature_of(record), z > 0)
            if over > bound * divisor:
                # as long as it would be beyond
                held = (over - bound * divisor) / (l1 + bound * l2) if l1 + bound * l2 > 0 else span
                held = min(held, span)
                over -= l1 * held
                divisor += l2 * held
                span -= held
                if over <= 0:
                    return 0.0
        if l1 > 0:
            span = min(span, over / l1)
        return -copysign(
            (bound * held if held > 0 else 0.0)
            + span / divisor * (
                over * mean_of_inverse(l2 * span / divisor)
                - l1 * span * mean_of_share(l2 * span / divisor)), z)
