"""Losses of targets that are numbers. A classifier uses some of them, with targets of 1 and -1."""

cdef class SquaredError(Loss):
    """(p - y)^2 / 2."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        gradient[0] = p - y
        return 0.5 * (p - y) * (p - y)


cdef class Huber(Loss):
    """(p - y)^2 / 2 within epsilon of the target, linear beyond."""

    cdef double epsilon

    def __cinit__(self, double epsilon):
        self.epsilon = epsilon

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double r = p - y
        if fabs(r) <= self.epsilon:
            gradient[0] = r
            return 0.5 * r * r
        gradient[0] = self.epsilon if r > 0 else -self.epsilon
        return self.epsilon * (fabs(r) - 0.5 * self.epsilon)


cdef class EpsilonInsensitive(Loss):
    """max(0, |p - y| - epsilon): the linear SVR."""

    cdef double epsilon

    def __cinit__(self, double epsilon):
        self.epsilon = epsilon

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double r = p - y
        if fabs(r) <= self.epsilon:
            gradient[0] = 0.0
            return 0.0
        gradient[0] = 1.0 if r > 0 else -1.0
        return fabs(r) - self.epsilon


cdef class SquaredEpsilonInsensitive(Loss):
    """max(0, |p - y| - epsilon)^2."""

    cdef double epsilon

    def __cinit__(self, double epsilon):
        self.epsilon = epsilon

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double r = p - y
        cdef double excess = fabs(r) - self.epsilon
        if excess <= 0:
            gradient[0] = 0.0
            return 0.0
        gradient[0] = 2.0 * excess if r > 0 else -2.0 * excess
        return excess * excess


cdef class Quantile(Loss):
    """The pinball loss, whose minimiser is the given quantile of the target."""

    cdef double quantile

    def __cinit__(self, double quantile):
        self.quantile = quantile

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double r = y - p
        if r > 0:
            gradient[0] = -self.quantile
            return self.quantile * r
        if r < 0:
            gradient[0] = 1.0 - self.quantile
            return (self.quantile - 1.0) * r
        gradient[0] = 0.0
        return 0.0


cdef class Expectile(Loss):
    """The squared error, with the given share of its weight on targets above (Newey, Powell 1987).

    At a half it is (p - y)^2 / 2.
    """

    cdef double expectile

    def __cinit__(self, double expectile):
        self.expectile = expectile

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double r = p - y
        cdef double share = self.expectile if r < 0 else 1.0 - self.expectile
        gradient[0] = 2.0 * share * r
        return share * r * r


cdef class LossOfMeans(Loss):
    """Half the deviance of a mean exp(p) whose variance is a power of it, less a constant of y."""

    link = "log"

    def fit_intercept_only(self, targets, offset=None):
        """The logarithm of the mean, or 0 for an output whose targets are all zero."""
        if offset is None:
            mean = targets.mean(axis=0)
        else:
            # where the derivatives add up to 0, in units of the offsets in which nothing overflows
            unit = offset.max(axis=0), offset.min(axis=0)
            high, low = 2 - self.power, 1 - self.power
            mean = (targets * np.exp(low * (offset - unit[1]))).mean(axis=0)
            mean /= np.exp(high * (offset - unit[0])).mean(axis=0)
            return np.where(
                mean > 0, np.log(np.where(mean > 0, mean, 1)) + low * unit[1] - high * unit[0], 0.0)
        return np.log(mean, out=np.zeros_like(mean), where=mean > 0)

    def scale(self, targets, constant):
        """Of logarithms, whatever the unit of the targets."""
        return np.ones(targets.shape[1])

    def typical_derivative(self, targets, constant):
        # Of constant targets, the best of which has no derivative, that of a target of 0.
        size = mean_size(np.abs(self(targets, constant)[1]))
        varies = (size > 0) & (np.ptp(targets, axis=0) > 0)
        of_0 = np.abs(self(0.0, np.atleast_2d(constant))[1]).mean(axis=0)
        return _sizes_or_1(np.where(varies, size, of_0))

    def excess(self, targets, constant):
        # The loss of a perfect prediction is not zero.
        perfect = np.log(np.maximum(targets, np.finfo(np.float64).tiny))
        return self(targets, constant)[0] - self(targets, perfect)[0]


cdef class Poisson(LossOfMeans):
    """exp(p) - y p: half the Poisson deviance with a log link, less a constant of y."""

    requirement = "y >= 0"
    power = 1.0

    def are_valid(self, targets):
        return targets >= 0

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double mean = exp(p)
        gradient[0] = mean - y
        return mean - y * p


cdef class Gamma(LossOfMeans):
    """y exp(-p) + p: half the gamma deviance with a log link, less a constant of y."""

    requirement = "y > 0"
    power = 2.0

    def are_valid(self, targets):
        return targets > 0

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double ratio = y * exp(-p)
        gradient[0] = 1.0 - ratio
        return ratio + p


cdef class Tweedie(LossOfMeans):
    """Half the Tweedie deviance with a log link, less a constant of y.

    With a power q of 1 it is that of Poisson, with 2 that of gamma, and between them
    exp((2 - q) p) / (2 - q) + y exp((1 - q) p) / (q - 1). Outside of [1, 2] it is not convex.
    """

    cdef readonly double power

    def __cinit__(self, double power):
        self.power = power

    @property
    def requirement(self):
        return "y >= 0" if self.power < 2 else "y > 0"

    def are_valid(self, targets):
        return targets >= 0 if self.power < 2 else targets > 0

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double above = 2.0 - self.power, below = self.power - 1.0
        cdef double of_mean = exp(above * p), of_target = y * exp(-below * p) if y > 0 else 0.0
        gradient[0] = of_mean - of_target
        return (of_mean / above if above > 0 else p) + (of_target / below if below > 0 else -y * p)


cdef class SoftLogLoss(Loss):
    """log(1 + exp(p)) - y p: the log loss of a probability y of the second class."""

    link = "logit"
    requirement = "0 <= y <= 1"

    def are_valid(self, targets):
        return (targets >= 0) & (targets <= 1)

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        # See `LogLoss`, whose losses of both classes these are, in the shares y and 1 - y.
        cdef double e = exp(-fabs(p)), size = log1p(e)
        if p > 0:
            gradient[0] = ((1.0 - y) - y * e) / (1.0 + e)
            return size + (1.0 - y) * p
        gradient[0] = ((1.0 - y) * e - y) / (1.0 + e)
        return size - y * p

    # As of classes, for targets of 0 and 1 to be learned as classes are.

    def fit_intercept_only(self, targets, offset=None):
        """The log odds of the mean, see `LogLoss.best_constants`."""
        mean = targets.mean(axis=0)
        if offset is None:
            return np.log((mean + SHARE_ADDED) / (1 - mean + SHARE_ADDED))
        mean = (mean + SHARE_ADDED) / (1 + 2 * SHARE_ADDED)
        return log_odds_beside(offset, mean, np.ones((1, 1)))

    def scale(self, targets, constant):
        return np.ones(targets.shape[1])

    def typical_derivative(self, targets, constant):
        return np.full(targets.shape[1], self.unit_of_derivative())

    def unit_of_derivative(self):
        return 0.5
