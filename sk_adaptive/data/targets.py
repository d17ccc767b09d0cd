"""What targets are: one of several classes, labels, or numbers.

A `Targets` object has all that depends on which of these a model has: how to check and encode what
users pass as y, how to decode predictions, and what encoded targets tell before anything is
learned. Classes and labels are in `categories`.
"""

from abc import abstractmethod

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import assert_all_finite

from ..kernel.sizes import FAR_OUT, within_reach

NO_CLASS_WEIGHTS = np.empty((0, 0))

# From raw predictions to predictions.
_INVERSE_LINKS = {"identity": np.asarray, "log": np.exp, "logit": expit}


class Targets:
    """What the targets of a model are; the base of several kinds.

    Where encoded targets tell something, `training` is the `TrainingData` that has them, and `rows`
    are numbers of its rows.

    Attributes
    ----------
    loss : Loss
    n_outputs : int
    """

    # The noise of the last steps of a single pass stays, and is larger where targets are numbers.
    # By how much its steps are to be shorter.
    shorter_steps = 1

    # Whether they are numbers.
    is_number = False

    # Whether outputs, each learned by itself, are of classes or labels that may occur late.
    occurs_later = False

    # -- from users and back --

    @abstractmethod
    def check(self, y):
        """A y of a later call, which scikit-learn has validated, ready for `encode`."""

    @abstractmethod
    def ready(self, y, n_rows):
        """What validation and `check` would make of y, if that is known at a glance; else None."""

    def check_whole(self, y):
        """Refuse the y of a whole `fit` if nothing can be learned from it."""

    def check_classes(self, classes):
        """Refuse the argument `classes` of a later call if it is not what it was."""

    @abstractmethod
    def encode(self, y, class_weighted=True):
        """Make of checked targets what the kernel takes.

        Returns
        -------
        targets : array of shape (n_rows, n_outputs) or (n_rows, 1)
        class_weight : float64 ndarray of shape (2, n_outputs) or (0, 0)
            See `TrainingData`.
        """

    @abstractmethod
    def decode(self, raw_predictions):
        """What a model with these raw predictions, of shape (n_rows, n_outputs), predicts."""

    @property
    def n_known(self):
        """How many outputs, the first ones, are of what has been named."""
        return self.n_outputs

    def as_shown(self, values):
        """Values of shape (n_outputs, n_features) in the shape of `coef_`."""
        return values

    def check_offset(self):
        """Refuse offsets where there are to be none."""

    def splitter(self, y, fraction):
        """The class of model_selection that sets a fraction of the rows aside."""
        return ShuffleSplit

    # -- what encoded targets tell before anything is learned --

    def of_outputs(self, targets, first, last):
        """The encoded targets of some of the outputs, of a loss that does not couple them."""
        return np.ascontiguousarray(targets[:, first:last])

    def weights_for_scorers(self, training):
        """The sample weights, times the factors of the rows' classes; None where all are 1."""
        return training.weight_or_none

    @abstractmethod
    def starting_point(self, training, rows):
        """Intercepts to start from, or None, and how far raw predictions will go from there.

        The latter, and the typical derivative, are arrays of several targets' or numbers.
        """

    @abstractmethod
    def typical_derivative(self, training, rows):
        """The size of the derivative of a row's weighted loss by its raw prediction.

        Positive, or 0 if these rows teach nothing.
        """

    @abstractmethod
    def gradients_of_constants(self, training, rows):
        """How much each row pulls at the intercepts of a model without coefficients, nearly."""

    @abstractmethod
    def least_loss(self, training, rows):
        """The least weighted sum of the losses of these rows without coefficients."""

    def shares(self, training, rows):
        """Factors of the losses of several targets, for each to count in its own unit; or none."""
        return ()

    def unit_of_derivative(self):
        """The typical derivative of a row of weight 1 where that is known, otherwise 1."""
        return 1.0

    def compares_models(self, training):
        """Whether the loss tells models apart that have learned next to nothing."""
        return True


def find_numbers(y):
    """Targets that are numbers, which scikit-learn has validated, ready for `encode`."""
    y = y.toarray() if sp.issparse(y) else y
    # a None among objects becomes NaN, which scikit-learn has not seen
    y = y.astype(np.float64) if y.dtype.kind == "O" else y
    assert_all_finite(y, input_name="y")
    return y


class NumberTargets(Targets):
    """Targets that are numbers.

    Parameters
    ----------
    shape : tuple of int
        Of the targets of a row: empty where y is no matrix.
    loss : Loss
    loss_name : str
        For messages.
    """

    shorter_steps = 3
    is_number = True

    def __init__(self, shape, loss, loss_name):
        self.shape, self.loss, self._loss_name = shape, loss, loss_name
        self.n_outputs = shape[0] if shape else 1

    def check(self, y):
        y = find_numbers(y)
        if y.shape[1:] != self.shape:
            raise ValueError(
                f"y has the shape {y.shape}, but y of the previous calls had the shape "
                f"{('n_samples', *self.shape)}."
            )
        return y

    def ready(self, y, n_rows):
        if type(y) in (np.ndarray, list):
            y = np.asarray(y)
            ready = y.shape == (n_rows, *self.shape) and y.dtype.kind in "fiu"
            if ready and np.isfinite(y).all():
                return y
        return None

    def check_whole(self, y):
        if self.loss.link == "log" and not np.all(np.any(y, axis=0)):
            raise ValueError(f"loss={self._loss_name!r} requires a y that is not all zero.")

    def encode(self, y, class_weighted=True):
        if self.loss.requirement is not None:
            valid = self.loss.are_valid(y).reshape(y.shape[0], -1).all(axis=1)
            if not valid.all():
                row = int(np.argmin(valid))
                raise ValueError(
                    f"loss={self._loss_name!r} requires {self.loss.requirement}; it is {y[row]} at "
                    f"row {row}."
                )
        return y if self.shape else y[:, np.newaxis], NO_CLASS_WEIGHTS

    def decode(self, raw_predictions):
        predictions = raw_predictions.reshape(raw_predictions.shape[0], *self.shape)
        return _INVERSE_LINKS[self.loss.link](predictions)

    def as_shown(self, values):
        return values if self.shape else values[0]

    def starting_point(self, training, rows):
        targets, constants, raw_predictions = self._baseline(training, rows)
        scale = self.loss.scale(targets, raw_predictions)
        return constants if training.fit_intercept else None, scale

    def typical_derivative(self, training, rows):
        weight = training.sample_weight
        targets, _, raw_predictions = self._baseline(training, rows)
        size = self.loss.typical_derivative(targets, raw_predictions)
        if training.class_weight.size:
            size = size * training.class_weight[0]
        return size * float(weight[rows].mean()) if weight.size else size

    def gradients_of_constants(self, training, rows):
        weight = training.sample_weight
        targets, _, raw_predictions = self._baseline(training, rows)
        gradients = np.abs(self.loss(targets, raw_predictions)[1])
        if training.class_weight.size:
            gradients *= training.class_weight[0]
        sizes = gradients.sum(axis=1)
        return sizes * weight[rows] if weight.size else sizes

    def least_loss(self, training, rows):
        targets, _, raw_predictions = self._baseline(training, rows)
        losses = self.loss.excess(targets, raw_predictions)
        if training.class_weight.size:
            losses = losses * training.class_weight[0]
        # which may be squares
        losses = sum(within_reach(of_output, FAR_OUT**2) for of_output in losses.T)
        if training.sample_weight.size:
            losses = losses * training.sample_weight[rows]
        return float(losses.sum())

    def shares(self, training, rows):
        if self.n_outputs == 1 or not rows.size:
            return ()
        targets, _, raw_predictions = self._baseline(training, rows)
        derivatives = self.loss.typical_derivative(targets, raw_predictions)
        units = np.log2(derivatives) + np.log2(self.loss.scale(targets, raw_predictions))
        # powers of 2, so that nothing is rounded
        powers = np.clip(np.round(units.mean() - units), -1000, 1000)
        return tuple((2.0**powers).tolist()) if powers.any() else ()

    def unit_of_derivative(self):
        return self.loss.unit_of_derivative()

    def _baseline(self, training, rows):
        """The targets, and the best intercepts and raw predictions of a model without coefficients.

        Of the latter a row is enough where there are no offsets.
        """
        targets, constants = training.targets[rows], np.zeros(training.n_outputs)
        offset = training.offset_of(rows) if training.offset.size else None
        if training.fit_intercept:
            constants = self.loss.fit_intercept_only(targets, offset)
        return targets, constants, constants if offset is None else constants + offset
