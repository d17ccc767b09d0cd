"""Losses: the value and the derivative with respect to the margin, one class each.

Design
------
- A loss sees one target ``y`` and one margin ``p`` (the linear model's output)
  and returns the value and the derivative in one call: both need the same
  exponential, and the training loop always wants both.
- The call is virtual. It happens once a row and output, beside dozens of
  memory accesses, so specialising the training loop over the loss would buy
  nothing and cost compile time.
- Losses of classification take y in {-1, +1}. So do the losses of regression
  when a classifier uses them: least squares on +-1 targets and so on.
- Everything is double, also in a float32 model: a row has one margin.
"""

import numpy as np

from libc.math cimport exp, fabs, log, log1p

cdef extern from "_exponential.h":
    double exp_of_negative "ska_exp_double"(double x) noexcept nogil

# Factors of at most 2 whose product does not overflow.
cdef enum:
    MAX_FACTORS = 1000


cdef class Loss:
    """A loss function of a target and a margin."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        gradient[0] = 0.0
        return 0.0

    cdef double evaluate_outputs(
        self, const double* y, Py_ssize_t n_targets, const double* margins, double* gradients,
        Py_ssize_t K, const double* class_weight,
    ) noexcept nogil:
        """The sum over K outputs, and the derivative by each margin.

        y holds a target for each output, or where n_targets is less than K the number of
        the class, whose output's target is 1 and all others' -1. class_weight holds factors
        for outputs whose target is not positive, then for those whose target is; or it is NULL.
        """
        cdef Py_ssize_t k
        cdef double target, value, factor, total = 0.0
        for k in range(K):
            if n_targets == K:
                target = y[k]
            else:
                target = 1.0 if <Py_ssize_t>y[0] == k else -1.0
            value = self.evaluate(target, margins[k], &gradients[k])
            if class_weight != NULL:
                factor = class_weight[K + k] if target > 0 else class_weight[k]
                value *= factor
                gradients[k] *= factor
            total += value
        return total

    def __call__(self, y, p):
        """Value and derivative at arrays of targets and margins.

        Parameters
        ----------
        y, p : array-like of the same shape
            Targets and margins.

        Returns
        -------
        value, gradient : ndarrays of the shape of y
        """
        y, p = np.broadcast_arrays(np.asarray(y, np.float64), np.asarray(p, np.float64))
        value = np.empty(y.shape)
        gradient = np.empty(y.shape)
        cdef const double[::1] targets = np.ravel(y)
        cdef const double[::1] margins = np.ravel(p)
        cdef double[::1] values = value.reshape(-1)
        cdef double[::1] derivatives = gradient.reshape(-1)
        cdef Py_ssize_t i
        for i in range(targets.shape[0]):
            values[i] = self.evaluate(targets[i], margins[i], &derivatives[i])
        return value, gradient


cdef class LogLoss(Loss):
    """log(1 + exp(-y p)): logistic regression."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        # The exponential of a negative number never overflows, whatever the margin.
        cdef double z = y * p
        cdef double e = exp(-fabs(z))
        if z > 0:
            gradient[0] = -y * e / (1.0 + e)
            return log1p(e)
        gradient[0] = -y / (1.0 + e)
        return log1p(e) - z

    cdef double evaluate_outputs(
        self, const double* y, Py_ssize_t n_targets, const double* margins, double* gradients,
        Py_ssize_t K, const double* class_weight,
    ) noexcept nogil:
        cdef Py_ssize_t k, start = 0
        cdef double total = 0.0, product, z, e
        if K == 1 and class_weight == NULL:
            z = y[0] * margins[0]
            e = exp_of_negative(-fabs(z))
            gradients[0] = -y[0] * (e if z > 0 else 1.0) / (1.0 + e)
            return log(1.0 + e) - (z if z < 0 else 0.0)
        if class_weight != NULL:
            return Loss.evaluate_outputs(
                self, y, n_targets, margins, gradients, K, class_weight)
        # The same without calls, for it to be vectorised; and one logarithm of the product
        # of 1 + e in place of the sum of logarithms.
        for k in range(K):
            gradients[k] = y[k] if n_targets == K else -1.0
        if n_targets != K:
            gradients[<Py_ssize_t>y[0]] = 1.0
        while start < K:
            product = 1.0
            for k in range(start, min(start + MAX_FACTORS, K)):
                z = gradients[k] * margins[k]
                e = exp_of_negative(-fabs(z))
                total -= z if z < 0 else 0.0
                product *= 1.0 + e
                gradients[k] *= -(e if z > 0 else 1.0) / (1.0 + e)
            total += log(product)
            start += MAX_FACTORS
        return total


cdef class MultinomialLogLoss(Loss):
    """-log softmax(p)_y: multinomial logistic regression. Its outputs are not independent."""

    cdef double evaluate_outputs(
        self, const double* y, Py_ssize_t n_targets, const double* margins, double* gradients,
        Py_ssize_t K, const double* class_weight,
    ) noexcept nogil:
        cdef Py_ssize_t k, target = <Py_ssize_t>y[0]
        cdef double largest = margins[0], total = 0.0, factor = 1.0
        for k in range(1, K):
            largest = margins[k] if margins[k] > largest else largest
        # No exponential of a positive number, and one of zero: neither overflow nor 0 / 0.
        for k in range(K):
            gradients[k] = exp_of_negative(margins[k] - largest)
        for k in range(K):
            total += gradients[k]
        if class_weight != NULL:
            factor = class_weight[K + target]
        for k in range(K):
            gradients[k] *= factor / total
        gradients[target] -= factor
        return factor * (log(total) + largest - margins[target])


cdef class Hinge(Loss):
    """max(0, threshold - y p): the linear SVM at 1, the perceptron at 0."""

    cdef double threshold

    def __cinit__(self, double threshold=1.0):
        self.threshold = threshold

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double z = y * p
        # At the threshold itself the subgradient is -y: a perceptron that
        # starts at zero has to move.
        if z <= self.threshold:
            gradient[0] = -y
            return self.threshold - z
        gradient[0] = 0.0
        return 0.0


cdef class SquaredHinge(Loss):
    """max(0, 1 - y p)^2."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double z = 1.0 - y * p
        if z > 0:
            gradient[0] = -2.0 * y * z
            return z * z
        gradient[0] = 0.0
        return 0.0


cdef class ModifiedHuber(Loss):
    """max(0, 1 - y p)^2 where y p >= -1, and -4 y p below (Zhang 2004)."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double z = y * p
        if z >= 1.0:
            gradient[0] = 0.0
            return 0.0
        if z >= -1.0:
            gradient[0] = -2.0 * y * (1.0 - z)
            return (1.0 - z) * (1.0 - z)
        gradient[0] = -4.0 * y
        return -4.0 * z


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


cdef class Poisson(Loss):
    """exp(p) - y p: half the Poisson deviance with a log link, less a constant of y."""

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double mean = exp(p)
        gradient[0] = mean - y
        return mean - y * p
