"""Targets that are one of several classes, or labels."""

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .check import integer_classes
from .class_values import (
    all_same,
    as_given,
    codes_of,
    factors_of,
    is_text,
    words,
)
from .targets import NO_CLASS_WEIGHTS, Targets

# What a label is, and how the kernel is told a label or one of two classes.
ZERO_ONE = np.array([0, 1])
SIGNS = np.array([[-1.0], [1.0]])


# -- the y of a first call --


def find_classes(y, classes=None, complete=True):
    """Find the classes, or the labels, of a model whose first y this is.

    Parameters
    ----------
    y : array or CSR matrix
        As scikit-learn's validation returns it.
    classes : array-like, default=None
        All classes, or the names of the labels.
    complete : bool, default=True
        Whether y has all classes, where nobody has named them.

    Returns
    -------
    y : ndarray or CSR matrix
        Checked: ready for `encode`.
    classes : ndarray of shape (n_classes,) or (n_labels,)
        Sorted, if they are classes.
    label_format : {"dense", "sparse"} or None
        Of a y that has several labels a row. None if it has one class a row.
    """
    y, label_format = categories_of(y)
    if label_format is not None:
        classes = np.arange(y.shape[1]) if classes is None else _names_of_labels(classes, y)
    elif classes is not None:
        classes = _sorted_classes(classes)
    elif complete:
        few = integer_classes(y)
        classes = _sorted_classes(np.unique(y)) if few is None else few
    else:
        raise ValueError("classes must be passed on the first call to partial_fit.")
    if classes.size < 2:
        raise ValueError(
            f"The number of classes has to be greater than one; got {classes.size} class"
        )
    return y, classes, label_format


def categories_of(y):
    """Classes or labels, and the format of labels, or None."""
    few = isinstance(y, np.ndarray) and integer_classes(y) is not None
    if not (few or sp.issparse(y)):
        y = words(y, "y")
    # type_of_target would find the few "binary" or "multiclass", in more time
    kind = "multiclass" if few else type_of_target(y, input_name="y")
    if kind == "multilabel-indicator":
        return y, "sparse" if sp.issparse(y) else "dense"
    if sp.issparse(y):
        if y.shape[1] == 1:
            raise ValueError(
                "A sparse y has a column for each label, and at least two of them; this one has a "
                "single column. If that is the class of each row, pass y.toarray().ravel()."
            )
        raise ValueError(
            "A sparse y must be an indicator matrix: a column of 0 and 1 for each label."
        )
    y = column_or_1d(y, warn=True)
    if kind not in ("binary", "multiclass"):
        check_classification_targets(y)
    return y, None


def _sorted_classes(classes):
    """The classes that users name, or that a y has, in the types of SGDClassifier's."""
    values = words(_as_array(classes), "classes")
    if values.ndim == 1 and is_text(values):
        # unique_labels would take zeros from the ends of words
        return np.unique(values)
    # of what is no array, it says so
    return unique_labels(values if values.ndim else classes)


def _as_array(classes):
    return np.asarray(as_given(classes, "classes"))


def _names_of_labels(classes, y):
    """The argument `classes` of a label matrix as an array, in the order of the columns."""
    names = words(_as_array(classes), "classes")
    if names.shape != (y.shape[1],) or np.unique(names).size < names.size:
        raise ValueError(
            "A y that is a matrix of labels needs no `classes`. If they are passed they name the "
            f"labels: one name for each of the {y.shape[1]} columns, in their order. Got "
            f"classes={classes!r}."
        )
    return names


# -- the targets of a model --


class CategoryTargets(Targets):
    """Classes or labels.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,) or (n_labels,)
    loss : Loss
    class_weight : dict, list of dict, "balanced" or None
    label_format : {"dense", "sparse"} or None
        Of labels, see `find_classes`.
    """

    # for the message that they are others
    _about_classes = ""

    def __init__(self, classes, loss, class_weight, label_format=None):
        self.classes, self.loss, self.label_format = classes, loss, label_format
        self._class_weight = class_weight

    @property
    def n_outputs(self):
        return self.classes.size

    @property
    def occurs_later(self):
        return self.n_outputs > 1 and not self.loss.couples_outputs

    def decision(self, raw_predictions):
        """Raw predictions in the shape of scikit-learn's decision functions."""
        return raw_predictions.ravel() if raw_predictions.shape[1] == 1 else raw_predictions

    def probabilities(self, raw_predictions, exclusive, of_loss):
        """What this function of the loss makes of raw predictions, of each class."""
        return of_loss(raw_predictions, exclusive=exclusive)

    def check(self, y):
        y, label_format = categories_of(y)
        if (label_format is None) != (self.label_format is None):
            kinds = "one class per row", "several labels per row"
            now, before = kinds if label_format is None else reversed(kinds)
            raise ValueError(f"y has {now}, but y of the previous calls had {before}.")
        return y

    def check_classes(self, classes):
        # looked at as they are, which is quicker, and then as what they may mean
        for named in (_as_array, self._named):
            values = named(classes)
            if values.shape == self.classes.shape and all_same(values, self.classes):
                return
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, "
            f"was: {self.classes!r}{self._about_classes}"
        )

    def starting_point(self, training, rows):
        if not training.fit_intercept:
            return None, 1.0
        if training.offset.size:
            offset = training.offset_of(rows)
            return self.loss.best_constants_beside(offset, *self._each(training, rows)), 1.0
        return self.loss.best_constants(*self._weights(training, rows)), 1.0

    def typical_derivative(self, training, rows):
        return float(self._mean_weight(training, rows) * self.unit_of_derivative())

    def least_loss(self, training, rows):
        if training.offset.size:
            return self._loss_of_start(training, rows)
        positive, negative = self._weights(training, rows)
        return self.loss.least_loss_of_constants(positive, negative, training.fit_intercept)

    def unit_of_derivative(self):
        return self.loss.typical_derivative_of_classes(self.n_outputs)

    def compares_models(self, training):
        nothing = np.zeros((1, self.n_outputs))
        return self.loss.row_losses(training.targets[:1], nothing, NO_CLASS_WEIGHTS).any()

    def _loss_of_start(self, training, rows):
        """The weighted loss of the model before training, offsets added."""
        constants, _ = self.starting_point(training, rows)
        raw_predictions = training.offset_of(rows) + (0.0 if constants is None else constants)
        losses = self.loss.row_losses(
            training.targets[rows], raw_predictions, training.class_weight
        )
        if training.sample_weight.size:
            losses = losses * training.sample_weight[rows]
        return float(losses.sum())

    def _each(self, training, rows):
        """For each row and output the target, 1 or -1, and the weight of the loss."""
        targets = training.targets[rows]
        if targets.shape[1] == self.n_outputs:
            signs = targets
        else:
            signs = np.where(targets == np.arange(self.n_outputs), 1.0, -1.0)
        weights = np.ones(signs.shape)
        if training.class_weight.size:
            weights = np.where(signs > 0, training.class_weight[1], training.class_weight[0])
        if training.sample_weight.size:
            weights = weights * training.sample_weight[rows, np.newaxis]
        return signs, weights

    def _weights(self, training, rows):
        """For each output the weight of the rows whose target is 1, and of those with -1."""
        targets = training.targets[rows]
        weight = training.sample_weight[rows] if training.sample_weight.size else None
        positive = self._positive(targets, weight)
        negative = (rows.size if weight is None else weight.sum()) - positive
        if training.class_weight.size:
            positive, negative = training.class_weight[::-1] * [positive, negative]
        return positive, negative


class ClassTargets(CategoryTargets):
    """One of three classes or more a row, which is encoded as the number of the class."""

    def ready(self, y, n_rows):
        if type(y) not in (np.ndarray, list):
            return None
        values = np.asarray(y)
        if values.shape != (n_rows,):
            return None
        if type(y) is list and values.dtype.kind == "U" and values.tolist() != y:
            # NumPy has made text of numbers, or taken zeros from its end
            return None
        values = words(values, "y")
        # of a kind that classes are of, so none is continuous; `encode` finds what is no class
        kind, known = values.dtype.kind, self.classes.dtype.kind
        ready = kind == known in "biuUf" or (kind in "biu" and known in "biuf")
        if ready and (kind != "f" or np.isfinite(values).all()):
            return values
        return None

    def check(self, y):
        y = super().check(y)
        # as what the model predicts, for scorers to compare
        return y if y.dtype.kind == self.classes.dtype.kind else self.classes[self._codes(y)]

    def _named(self, classes):
        return _sorted_classes(classes)

    def _codes(self, y):
        """The number of each row's class."""
        codes, known = codes_of(y, self.classes)
        if np.count_nonzero(known) < known.size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. "
                f"'y' has {np.unique(y)}."
                + (" Text is never a number." if is_text(y) != is_text(self.classes) else "")
            )
        return codes

    def encode(self, y, class_weighted=True):
        codes = self._codes(y)
        factors = self._factors(codes) if class_weighted else None
        return self._by_output(codes, factors)

    def _factors(self, codes):
        """The factor of each class by `class_weight`, or None."""
        if self._class_weight is None:
            return None
        if isinstance(self._class_weight, list):
            raise ValueError(
                "class_weight is a list, of a dict for each label, but y has one class per row: "
                "it should be a dict, 'balanced' or None."
            )
        if self._class_weight == "balanced":
            counts = np.bincount(codes, minlength=self.classes.size)
            # what does not occur, as in a fold of a search, needs no weight
            return codes.size / (self.classes.size * np.maximum(counts, 1))
        return factors_of(self._class_weight, self.classes)

    def _by_output(self, codes, factors):
        """Encoded classes, and class weights."""
        if factors is None:
            return codes[:, np.newaxis], NO_CLASS_WEIGHTS
        # a row counts as its own class does, for all outputs
        return codes[:, np.newaxis], np.vstack([np.ones_like(factors), factors])

    def decode(self, raw_predictions):
        return self.classes[raw_predictions.argmax(axis=1)]

    def splitter(self, y, fraction):
        # A class of one row is not for both parts, nor are more classes than a part has rows.
        rarest, n_classes = np.unique(y, return_counts=True)[1].min(), self.classes.size
        share = min(fraction, 1 - fraction)
        few = rarest < 2 or n_classes > int(share * y.shape[0])
        return ShuffleSplit if few else StratifiedShuffleSplit

    def of_outputs(self, targets, first, last):
        # numbers that are out of bounds are those of other classes
        return targets - first

    def gradients_of_constants(self, training, rows):
        targets, weight = training.targets[rows], training.sample_weight
        positive, _ = self._weights(training, rows)
        codes = targets[:, 0].astype(np.intp)
        share = positive / (positive.sum() or 1.0)
        sizes = 1 - share[codes]
        if training.class_weight.size:
            sizes *= training.class_weight[1, codes]
        return sizes * weight[rows] if weight.size else sizes

    def weights_for_scorers(self, training):
        weight = training.weight_or_none
        if not training.class_weight.size:
            return weight
        factors = self._factors_of_rows(training)
        return factors if weight is None else weight * factors

    def _factors_of_rows(self, training):
        """The factor of the class of each row."""
        return training.class_weight[1, training.targets[:, 0].astype(np.intp)]

    def _positive(self, targets, weight):
        """For each output the weight of the rows it is to be positive for."""
        codes = targets[:, 0].astype(np.intp)
        return np.bincount(codes, weight, self.n_outputs).astype(np.float64, copy=False)

    def _mean_weight(self, training, rows):
        """The mean weight of a row, its class counted, by which an output's derivative grows."""
        positive, _ = self._weights(training, rows)
        # of the raw prediction of the row's own class
        return positive.sum() / rows.size


class Signs:
    """What encoded targets tell that are -1 and 1 for each output."""

    def of_outputs(self, targets, first, last):
        return np.ascontiguousarray(targets[:, first:last])

    def gradients_of_constants(self, training, rows):
        targets, weight = training.targets[rows], training.sample_weight
        positive, negative = self._weights(training, rows)
        share = positive / np.where(positive + negative > 0, positive + negative, 1.0)
        sizes = np.where(targets > 0, 1 - share, share)
        if training.class_weight.size:
            sizes *= np.where(targets > 0, training.class_weight[1], training.class_weight[0])
        sizes = sizes.sum(axis=1)
        return sizes * weight[rows] if weight.size else sizes

    def _positive(self, targets, weight):
        if weight is None:
            return np.count_nonzero(targets > 0, axis=0).astype(np.float64)
        return weight @ (targets > 0)

    def _mean_weight(self, training, rows):
        positive, negative = self._weights(training, rows)
        return (positive + negative).mean() / rows.size


class TwoClassTargets(Signs, ClassTargets):
    """One of two classes a row, which has one output: 1 for the second class, -1 for the first."""

    n_outputs = 1

    def _by_output(self, codes, factors):
        targets = SIGNS.take(codes, axis=0)
        return targets, NO_CLASS_WEIGHTS if factors is None else factors[:, np.newaxis]

    def _factors_of_rows(self, training):
        return np.where(training.targets > 0, *training.class_weight[::-1])[:, 0]

    def decode(self, raw_predictions):
        return self.classes[(raw_predictions.ravel() > 0).astype(np.intp)]


class LabelTargets(Signs, CategoryTargets):
    """Labels, of which a row has any number."""

    _about_classes = ". They are the names of the columns of y, in their order. None are needed."

    def ready(self, y, n_rows):
        if type(y) in (np.ndarray, list):
            y = np.asarray(y)
            # `encode` finds what is neither 0 nor 1
            if y.shape == (n_rows, self.n_outputs) and y.dtype.kind in "biu":
                return y
        return None

    def _named(self, classes):
        return words(_as_array(classes), "classes")

    def encode(self, y, class_weighted=True):
        y = y.toarray() if sp.issparse(y) else y
        n_labels = y.shape[1]
        if n_labels != self.n_outputs:
            raise ValueError(f"y has {n_labels} labels, but {self.n_outputs} are expected.")
        if not np.all((y == 0) | (y == 1)):
            raise ValueError("With several labels per row, y must contain only 0 and 1.")
        class_weight = NO_CLASS_WEIGHTS
        if class_weighted and self._class_weight is not None:
            class_weight = self._factors(y)
        return 2.0 * y - 1.0, class_weight

    def _factors(self, y):
        """The factors of 0 and of 1, of shape (2, n_labels)."""
        n_rows, n_labels = y.shape
        if isinstance(self._class_weight, str):
            counts = np.vstack([n_rows - y.sum(axis=0), y.sum(axis=0)])
            # what does not occur needs no weight
            return n_rows / (2.0 * np.where(counts > 0, counts, n_rows / 2.0))
        of_labels = self._class_weight
        if isinstance(of_labels, dict):
            of_labels = [of_labels] * n_labels
        if [isinstance(of_label, dict) for of_label in of_labels] != [True] * n_labels:
            raise ValueError(
                f"class_weight should be a dict, or a list of {n_labels} dicts, one for each "
                f"label. Got {of_labels!r}."
            )
        for of_label in of_labels:
            others = [key for key in of_label if key not in (0, 1)]
            if others:
                raise ValueError(
                    "Each label of a row is 0 or 1, and these are the keys of class_weight, not "
                    f"{others}. A list of dicts, one for each label, tells labels apart."
                )
        return np.column_stack([factors_of(of_label, ZERO_ONE) for of_label in of_labels])

    def decode(self, raw_predictions):
        labels = (raw_predictions > 0).astype(np.int64)
        return sp.csr_matrix(labels) if self.label_format == "sparse" else labels
