"""Losses: one class each, with all that is known of a loss.

Design
------
- A loss sees one target ``y`` and one raw prediction ``p``, the linear model's output, and
  returns the value and the derivative by ``p`` in one call: both need the same exponential,
  and the training loop always wants both.
- The call is virtual. It happens once a row, beside dozens of memory accesses. Specialising the
  training loop over the loss would gain nothing and cost compile time.
- With twenty outputs a loop over their exponentials takes a quarter of the time of a row, unless it
  is vectorised: the loops of `passes/loss_loops.c` are compiled for each set of instructions.
- Losses of classification take y in {-1, +1}. So do the losses of regression when a classifier
  uses them: least squares on +-1 targets and so on.
- Everything is double, also in a float32 model: a row has one raw prediction.
- Estimators ask the class for everything else: probabilities, the inverse of its link, what a
  model without coefficients predicts and loses. They know no loss by its name.
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax, xlogy

from ._cpu import instruction_set
from .sizes import mean_size

from libc.math cimport exp, fabs, log, log1p
from libc.string cimport memcpy

cdef extern from "passes/exponential.h":
    double exp_of_negative "ska_exp_of_negative"(double x) noexcept nogil

cdef extern from "passes/loss_loops.h":
    ctypedef struct LossLoops "ska_loss_loops":
        void (*log_losses)(
            const double* p, double* gradients, double* values, Py_ssize_t n) noexcept nogil
        void (*softmax_loss)(
            const double* p, double* gradients, double* values, Py_ssize_t n) noexcept nogil
    const LossLoops* loss_loops_of "ska_loss_loops_of"(const char* instruction_set)

cdef const LossLoops* loops = loss_loops_of(instruction_set().encode())

# For a class of any share one of these raw predictions is as good as the best, to a few percent.
GRID = np.linspace(-20, 20, 401)

# Constants beside offsets are found in so many rounds.
ROUNDS = 40

# Training starts from the shares of the classes and this much more of each.
SHARE_ADDED = 0.01


cdef class Loss:
    """A loss function of a target and a raw prediction.

    Attributes
    ----------
    link : {"identity", "log", "logit"}
        What raw predictions are of predictions.
    requirement : str or None
        What `are_valid` asks of targets of regression, for a message.
    has_probabilities : bool
        Whether there are `probabilities` and `log_probabilities`.
    couples_outputs : bool
        Whether an output's gradient depends on the other outputs.
    """

    link = "identity"
    requirement = None
    has_probabilities = False
    couples_outputs = False

    cdef double evaluate(self, double y, double p, double* gradient) noexcept nogil:
        gradient[0] = 0.0
        return 0.0

    cdef void evaluate_outputs(
        self, const double* p, double* gradients, double* values, Py_ssize_t n
    ) noexcept nogil:
        """Values and derivatives of n outputs, whose targets `gradients` holds at first.

        The value of a loss that couples outputs is that of the first, and the others' are 0. What
        is behind the last output, up to a multiple of LOSSES_AT_ONCE, may be overwritten, but not
        by a loss that couples outputs.
        """
        cdef Py_ssize_t k
        for k in range(n):
            values[k] = self.evaluate(gradients[k], p[k], &gradients[k])

    def __call__(self, y, p):
        """Value and derivative at arrays of targets and raw predictions.

        Parameters
        ----------
        y, p : array-like of the same shape
            Targets and raw predictions.

        Returns
        -------
        value, gradient : ndarrays of the shape of y
        """
        y, p = np.broadcast_arrays(np.asarray(y, np.float64), np.asarray(p, np.float64))
        value = np.empty(y.shape)
        gradient = np.empty(y.shape)
        cdef const double[::1] targets = np.ravel(y)
        cdef const double[::1] raw_predictions = np.ravel(p)
        cdef double[::1] values = value.reshape(-1)
        cdef double[::1] derivatives = gradient.reshape(-1)
        cdef Py_ssize_t i
        for i in range(targets.shape[0]):
            values[i] = self.evaluate(targets[i], raw_predictions[i], &derivatives[i])
        return value, gradient

    def row_losses(self, targets, raw_predictions, class_weight):
        """The loss of each row, as training sees it.

        Parameters
        ----------
        targets, class_weight : float64 ndarrays
            See `TrainingData`.
        raw_predictions : array of shape (n_rows, n_outputs)

        Returns
        -------
        losses : float64 ndarray of shape (n_rows,)
        """
        cdef const double[:, ::1] y = targets
        cdef const double[:, ::1] p = np.ascontiguousarray(raw_predictions, np.float64)
        cdef const double[:, ::1] by_class = class_weight
        cdef const double* of_classes = &by_class[0, 0] if by_class.shape[0] else NULL
        cdef Py_ssize_t K = p.shape[1], i, k
        cdef bint coupled = self.couples_outputs
        cdef double[:, ::1] buffer = np.zeros((4, room_for_losses(K)))
        cdef double* of_row = &buffer[0, 0]
        cdef double* gradients = &buffer[1, 0]
        cdef double* values = &buffer[2, 0]
        cdef double* factors = &buffer[3, 0]
        losses = np.zeros(p.shape[0])
        cdef double[::1] sums = losses
        with nogil:
            for i in range(p.shape[0]):
                memcpy(of_row, &p[i, 0], K * sizeof(double))
                set_targets(gradients, factors, K, &y[i, 0], y.shape[1], of_classes, coupled, 1.0)
                self.evaluate_outputs(of_row, gradients, values, K)
                for k in range(K):
                    sums[i] += factors[k] * values[k]
        return losses

    # -- targets of regression --

    def are_valid(self, targets):
        """Whether each target is one that the loss is for, where there is a `requirement`."""
        return np.ones(targets.shape, bool)

    # -- before anything is learned, from targets of regression: shape (n_rows, n_outputs) --

    def fit_intercept_only(self, targets, offset=None):
        """The intercepts of a model without coefficients, to which offsets are added.

        The median, whatever the loss: a few outliers do not move it.
        """
        return np.median(targets if offset is None else targets - offset, axis=0)

    # -- the same, where `constant` are raw predictions: one of each output, or also of each row --

    def scale(self, targets, constant):
        """How far raw predictions of each output have to go from a constant, typically."""
        distance = mean_size(np.abs(targets - constant))
        # Of constant targets only their size is known.
        distance = np.where(distance > 0, distance, mean_size(np.abs(targets)))
        return _sizes_or_1(distance)

    def typical_derivative(self, targets, constant):
        """The size of the derivative by a raw prediction at a constant, of each output."""
        size = mean_size(np.abs(self(targets, constant)[1]))
        # Of constant targets only their size is known: they are compared with a prediction of 0.
        of_size = mean_size(np.abs(self(targets, 0.0)[1]))
        varies = (size > 0) & (np.ptp(targets, axis=0) > 0)
        return _sizes_or_1(np.where(varies, size, of_size))

    def excess(self, targets, constant):
        """By how much the losses of a constant exceed those of a perfect prediction."""
        return self(targets, constant)[0]

    def unit_of_derivative(self):
        """The typical derivative where that does not depend on the targets, otherwise 1."""
        return 1.0

    # -- the same of classes, whose targets are 1 and -1 --

    def typical_derivative_of_classes(self, n_outputs):
        """The size of the derivative by the raw prediction of a row's class."""
        return float(np.abs(self([-1.0, 1.0], 0.0)[1]).max())

    def best_constants(self, positive, negative):
        """Intercepts to start from, or None: those of a model without coefficients.

        Parameters
        ----------
        positive, negative : arrays of shape (n_outputs,)
            The weights of the rows whose target is 1, and of those whose target is -1.
        """
        return None

    def best_constants_beside(self, offset, signs, weights):
        """What `best_constants` is where offsets are added.

        Parameters
        ----------
        offset, signs, weights : arrays of shape (n_rows, n_outputs)
            The last are of the losses of these targets.
        """
        return None

    def least_loss_of_constants(self, positive, negative, fit_intercept):
        """The weighted loss of the best constant, or of 0 without intercept.

        Parameters
        ----------
        positive, negative : arrays of shape (n_outputs,)
            The weights of the rows whose target is 1, and of those whose target is -1.
        fit_intercept : bool
        """
        constants = GRID if fit_intercept else np.zeros(1)
        losses = np.outer(positive, self(1.0, constants)[0])
        losses += np.outer(negative, self(-1.0, constants)[0])
        return float(losses.min(axis=1).sum())


def log_odds_beside(offset, share, weights):
    """Constants for which the mean probability of each output, offsets added, is this share."""
    logit = np.log(share / (1 - share))
    low, high = logit - offset.max(axis=0), logit - offset.min(axis=0)
    total = np.broadcast_to(weights, offset.shape).sum(axis=0)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        above = (weights * expit(middle + offset)).sum(axis=0) > share * total
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _sizes_or_1(sizes):
    """Sizes, with 1 where they are not positive and finite."""
    return np.where((sizes > 0) & np.isfinite(sizes), sizes, 1.0)


include "losses_of_classes.pxi"
include "losses_of_numbers.pxi"
