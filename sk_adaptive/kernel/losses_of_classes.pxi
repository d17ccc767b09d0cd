"""Losses of classes, whose targets are 1 and -1."""

cdef class LogLoss(Loss):
    """log(1 + exp(-y p)): logistic regression."""

    has_probabilities = True

    def best_constants(self, positive, negative):
        """The log odds, each share a hundredth more: a class may be missing from the first rows."""
        more = SHARE_ADDED * (positive + negative)
        return np.log((positive + more) / (negative + more)) if more.all() else None

    def best_constants_beside(self, offset, signs, weights):
        total = weights.sum(axis=0)
        if not total.all():
            return None
        share = ((signs > 0) * weights).sum(axis=0) / total
        share = (share + SHARE_ADDED) / (1 + 2 * SHARE_ADDED)
        return log_odds_beside(offset, share, weights)

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        # The exponential of a negative number never overflows, whatever the margin.
        cdef double z = y * p
        cdef double e = exp(-fabs(z))
        if z > 0:
            gradient[0] = -y * e / (1.0 + e)
            return log1p(e)
        gradient[0] = -y / (1.0 + e)
        return log1p(e) - z

    cdef void evaluate_outputs(
        self, const double* p, double* gradients, double* values, Py_ssize_t n
    ) noexcept nogil:
        cdef double y = gradients[0], z, e
        if n > 1:
            loops.log_losses(p, gradients, values, n)
            return
        # the same as `evaluate`, but in absolute rounding, and quicker
        z = y * p[0]
        e = exp_of_negative(-fabs(z))
        gradients[0] = -y * (e if z > 0 else 1.0) / (1.0 + e)
        values[0] = log(1.0 + e) - (z if z < 0 else 0.0)

    def probabilities(self, raw_predictions, exclusive):
        """Probabilities of classes, of shape (n_rows, n_classes).

        Parameters
        ----------
        raw_predictions : float64 ndarray of shape (n_rows, n_outputs)
            With two classes of the second one only.
        exclusive : bool
            Whether a row has exactly one of the classes.
        """
        if not exclusive:
            return expit(raw_predictions)
        if raw_predictions.shape[1] == 1:
            return np.hstack([expit(-raw_predictions), expit(raw_predictions)])
        # those of each class against the rest, over their sum
        return softmax(log_expit(raw_predictions), axis=1)

    def log_probabilities(self, raw_predictions, exclusive):
        """The logarithms of `probabilities`, exact where those are 0 to rounding."""
        if not exclusive:
            return log_expit(raw_predictions)
        if raw_predictions.shape[1] == 1:
            return log_softmax(
                np.hstack([np.zeros_like(raw_predictions), raw_predictions]), axis=1)
        return log_softmax(log_expit(raw_predictions), axis=1)


cdef class MultinomialLogLoss(Loss):
    """-log softmax(p)_y: multinomial logistic regression."""

    has_probabilities = True
    couples_outputs = True

    cdef void evaluate_outputs(
        self, const double* p, double* gradients, double* values, Py_ssize_t n
    ) noexcept nogil:
        loops.softmax_loss(p, gradients, values, n)

    def probabilities(self, raw_predictions, exclusive):
        """See `LogLoss.probabilities`."""
        return softmax(raw_predictions, axis=1)

    def log_probabilities(self, raw_predictions, exclusive):
        """See `LogLoss.log_probabilities`."""
        return log_softmax(raw_predictions, axis=1)

    def best_constants(self, positive, negative):
        """The logarithms of the shares, see `LogLoss.best_constants`."""
        more = SHARE_ADDED * positive.sum()
        if not more > 0:
            return None
        logits = np.log(positive + more)
        return logits - logits.mean()

    def best_constants_beside(self, offset, signs, weights):
        # each share of the predictions is brought to that of the classes (iterative scaling)
        of_row = (weights * (signs > 0)).max(axis=1, keepdims=True)
        more = SHARE_ADDED * of_row.sum()
        if not more > 0:
            return None
        shares = (of_row * (signs > 0)).sum(axis=0) + more
        shares /= shares.sum()
        logits = np.log(shares)
        for _ in range(ROUNDS):
            predicted = (of_row * softmax(logits + offset, axis=1)).sum(axis=0) / of_row.sum()
            logits += np.log(shares) - np.log(np.maximum(predicted, np.finfo(np.float64).tiny))
        return logits - logits.mean()

    def typical_derivative_of_classes(self, n_outputs):
        return 1 - 1 / n_outputs

    def least_loss_of_constants(self, positive, negative, fit_intercept):
        shares = positive / positive.sum() if fit_intercept else 1 / positive.size
        return float(-xlogy(positive, shares).sum())


cdef class Hinge(Loss):
    """max(0, threshold - y p) with a threshold of 1: the linear SVM."""

    cdef double threshold

    def __cinit__(self):
        self.threshold = 1.0

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        cdef double z = y * p
        # At the threshold itself the subgradient is -y: a perceptron that
        # starts at zero has to move.
        if z <= self.threshold:
            gradient[0] = -y
            return self.threshold - z
        gradient[0] = 0.0
        return 0.0


cdef class Perceptron(Hinge):
    """max(0, -y p)."""

    def __cinit__(self):
        self.threshold = 0.0


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

    has_probabilities = True

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

    def probabilities(self, raw_predictions, exclusive):
        """See `LogLoss.probabilities`."""
        probabilities = (np.clip(raw_predictions, -1, 1) + 1) / 2
        if not exclusive:
            return probabilities
        if probabilities.shape[1] == 1:
            return np.hstack([1 - probabilities, probabilities])
        # where every class says no, all are as likely
        probabilities[~probabilities.any(axis=1)] = 1
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def log_probabilities(self, raw_predictions, exclusive):
        """The logarithms of `probabilities`."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities(raw_predictions, exclusive))
