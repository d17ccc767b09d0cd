"""Classes and labels that appear while a stream is learned.

A class that has not occurred has had the same rows as any other such class, all as negatives, from
the same start. So all of them have the same state, and outputs that nobody has named yet are
theirs: a class that appears takes one of these over, and is then, bit for bit, what it would be if
it had been named at the start.
"""

from numbers import Integral

import numpy as np

from .categories import ClassTargets, LabelTargets, TwoClassTargets, categories_of
from .class_values import codes_of, is_text, words

# Outputs are added by so many, which vectors of processors are no longer than, and by a share of
# those that there are.
AT_ONCE = 8
SHARE = 0.25


def grows(classes):
    """Whether the argument `classes` says that names come later: "grow" or ("grow", number)."""
    if isinstance(classes, tuple) and len(classes) == 2 and isinstance(classes[1], Integral):
        classes = classes[0]
    return isinstance(classes, str) and classes == "grow"


def n_outputs_for(n_known, most):
    """How many outputs a model of so many known classes has, of which `most` will be, or None."""
    if most is not None:
        return most
    wanted = max(n_known + 1, int((1 + SHARE) * n_known))
    return -(-wanted // AT_ONCE) * AT_ONCE


def names_of_labels(y):
    """The names of the columns of a table of labels, if these are text; or None."""
    names = np.asarray(getattr(y, "columns", ()))
    if names.size < 2:
        return None
    names = words(names, "the columns of y")
    return names if is_text(names) else None


def in_order(y, names, known):
    """A table of labels with its columns in the order of the names that are known, then others.

    Labels that it lacks are 0.
    """
    places = {name: place for place, name in enumerate(names.tolist())}
    values = np.asarray(y)
    nothing = np.zeros(values.shape[0], values.dtype)
    columns = [values[:, places[name]] if name in places else nothing for name in known.tolist()]
    new = [place for name, place in places.items() if name not in set(known.tolist())]
    return np.column_stack([*columns, values[:, new]]), np.append(known, names[new])


def first_categories(y, classes, names=None):
    """Find the classes or labels of a first y, where others come later.

    Parameters
    ----------
    y : array or CSR matrix
        As scikit-learn's validation returns it.
    classes : "grow" or ("grow", int)
        The number is that of all there will be.
    names : ndarray of shape (n_labels,), default=None
        Of labels.

    Returns
    -------
    y, classes, label_format
        See `find_classes`.
    most : int or None
    """
    y, label_format = categories_of(y)
    if label_format is None:
        known = np.unique(y)
    else:
        known = np.arange(y.shape[1]) if names is None else names
    most = None if isinstance(classes, str) else int(classes[1])
    _check_number(known.size, most)
    return y, known, label_format, most


def _check_number(n_known, most):
    if most is not None and n_known > most:
        raise ValueError(f"y brings {n_known} classes or labels, but there are to be {most}.")


class GrowingTargets:
    """What classes and labels that appear later have in common.

    Parameters
    ----------
    places : int64 ndarray of shape (n_classes,)
        The output of each class. They are the first ones.
    n_outputs : int
    """

    def __init__(self, *arguments, places, n_outputs):
        super().__init__(*arguments)
        self.places, self._n_outputs = places, n_outputs

    @property
    def n_outputs(self):
        return self._n_outputs

    @property
    def n_known(self):
        return self.classes.size

    def as_shown(self, values):
        return values[self.places]

    def decision(self, raw_predictions):
        raw = self.of_classes(raw_predictions)
        if self.n_known == 2 and self.label_format is None:
            return raw[:, 1] - raw[:, 0]
        return raw.ravel() if self.n_known == 1 else raw

    def of_classes(self, raw_predictions):
        """Predictions by the outputs that are classes, in the order of the classes."""
        # C-ordered, for sums over classes to be those of a model that was told all of them
        return raw_predictions.take(self.places, axis=1)

    def probabilities(self, raw_predictions, exclusive, of_loss):
        # the softmax is that of all outputs, the others are of each by itself
        if self.loss.couples_outputs:
            return self.of_classes(of_loss(raw_predictions, exclusive=exclusive))
        return of_loss(self.of_classes(raw_predictions), exclusive=exclusive)

    def check_classes(self, classes):
        if not grows(classes):
            super().check_classes(classes)

    def check_offset(self):
        # which have a column for each output
        raise ValueError("offset is not supported where classes or labels appear later.")

    def grown(self, new, most):
        """All classes with new ones, the output of each, and how many outputs there have to be."""
        classes = _joined(self.classes, new)
        _check_number(classes.size, most)
        places = np.append(self.places, self.n_known + np.arange(new.size))
        order = self._order(classes)
        n_outputs = self._n_outputs
        if most is None and classes.size >= n_outputs:
            n_outputs = n_outputs_for(classes.size, most)
        return classes[order], places[order], n_outputs


class GrowingClassTargets(GrowingTargets, ClassTargets):
    """One of several classes a row, of which more may appear."""

    def check(self, y):
        # of a kind that `grown` is to compare
        return super(ClassTargets, self).check(y)

    def decode(self, raw_predictions):
        return self.classes[self.of_classes(raw_predictions).argmax(axis=1)]

    def _codes(self, y):
        return self.places[super()._codes(y)]

    def _factors(self, codes):
        if self._class_weight is None:
            return None
        if not isinstance(self._class_weight, dict):
            return super()._factors(codes)
        # keys may be classes to come
        factors = np.ones(self._n_outputs)
        factors[self.places] = [self._class_weight.get(one, 1.0) for one in self.classes.tolist()]
        if not np.all((factors >= 0) & (factors < np.inf)):
            raise ValueError(f"class_weight must be finite and not negative. Got {factors}.")
        return factors

    def new_classes(self, y, names):
        """Classes of this y that are not known, in the order of the rows."""
        _, known = codes_of(y, self.classes)
        if known.all():
            return self.classes[:0]
        new, first = np.unique(y[~known], return_index=True)
        if is_text(new) != is_text(self.classes):
            # which says that text is never a number
            super()._codes(y)
        return new[np.argsort(first)]

    def _order(self, classes):
        return np.argsort(classes, kind="stable")


class GrowingLabelTargets(GrowingTargets, LabelTargets):
    """Labels, of which more may appear."""

    def ready(self, y, n_rows):
        # of so many columns as there are labels
        if type(y) in (np.ndarray, list):
            y = np.asarray(y)
            if y.shape == (n_rows, self.n_known) and y.dtype.kind in "biu":
                return y
        return None

    def encode(self, y, class_weighted=True):
        y = y.toarray() if hasattr(y, "toarray") else y
        if y.shape[1] != self.n_known:
            raise ValueError(f"y has {y.shape[1]} labels, but {self.n_known} are expected.")
        if isinstance(self._class_weight, list):
            raise ValueError("class_weight should be a dict where labels appear later.")
        nothing = np.zeros((y.shape[0], self._n_outputs - self.n_known), y.dtype)
        return super().encode(np.hstack([y, nothing]), class_weighted)

    def decode(self, raw_predictions):
        return super().decode(self.of_classes(raw_predictions))

    def new_classes(self, y, names):
        """Labels of this y that are not known; `names` are those of all its columns, or None."""
        if names is not None:
            return names[self.n_known :]
        if is_text(self.classes) and y.shape[1] > self.n_known:
            raise ValueError(
                f"y has {y.shape[1]} columns without names, but the labels have names: "
                f"{self.classes}."
            )
        return np.arange(self.n_known, y.shape[1])

    def _order(self, classes):
        return np.arange(classes.size)


def _joined(classes, new):
    """The classes and new ones, in one type that both have."""
    if classes.dtype.kind != new.dtype.kind and not is_text(classes):
        cast = new.astype(classes.dtype)
        new = cast if np.all(cast == new) else new
    joined = np.concatenate([classes, new])
    if joined.dtype.kind == "f" and classes.dtype.kind in "iu" and new.dtype.kind in "iu":
        raise ValueError(f"The classes {new} do not fit beside {classes} in one type of integers.")
    return joined


def targets_of_categories(
    classes, label_format, loss, multinomial, class_weight, places=None, n_outputs=None
):
    """The targets of a classifier.

    Parameters
    ----------
    classes, label_format, class_weight
        See `CategoryTargets`.
    loss : Loss
        Of each class against the rest, or of each label.
    multinomial : type or None
        Of the loss to take in its place for three classes or more.
    places, n_outputs
        See `GrowingTargets`. None where all classes are known.
    """
    of_classes = loss if multinomial is None else multinomial()
    if places is not None:
        growth = {"places": places, "n_outputs": n_outputs}
        if label_format is not None:
            return GrowingLabelTargets(classes, loss, class_weight, label_format, **growth)
        return GrowingClassTargets(classes, of_classes, class_weight, **growth)
    if label_format is not None:
        return LabelTargets(classes, loss, class_weight, label_format)
    if classes.size == 2:
        return TwoClassTargets(classes, loss, class_weight)
    return ClassTargets(classes, of_classes, class_weight)
