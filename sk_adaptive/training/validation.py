"""Rows that `fit` does not learn: given or set aside, and the score on them."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import islice
from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import check_scoring
from sklearn.metrics._scorer import _PassthroughScorer

from .._threads import sparse_products
from ..data.new_rows import part_as_new

# early_stopping="auto" sets rows aside where they count as at least so many, see `n_telling`.
LEAST_ROWS = 50

# Where rows count as so many, rates are compared on a part of them. Then all are learned but those
# that are enough to tell when to stop.
MANY_ROWS = 1 << 19
ENOUGH_ROWS = 1 << 13
SHARE_COMPARED = 1 / 8

# Raw predictions of several models are there at once up to so many, or of one model.
MOST_RAW_PREDICTIONS = 1 << 24


def check_validation_data(estimator, X_val, y_val, sample_weight_val, offset_val, offset):
    """Refuse a part of them without the others, or all where they have no use."""
    if X_val is None and y_val is None:
        for name, value in (("sample_weight_val", sample_weight_val), ("offset_val", offset_val)):
            if value is not None:
                raise ValueError(f"{name} is provided, but X_val and y_val were not provided.")
        return
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val are passed to fit while at the same time early_stopping is False. "
            "When passing X_val and y_val to fit, early_stopping should be True or 'auto'."
        )
    if (offset is None) != (offset_val is None):
        missing = "offset_val" if offset_val is None else "offset"
        raise ValueError(
            f"{missing} was not provided: with X_val there are both offset and offset_val, or "
            "neither. Pass zeros where there are none."
        )


@dataclass(frozen=True)
class RowsToLearn:
    """Which rows `fit` learns, and which tell how.

    Attributes
    ----------
    rows : int64 ndarray
        Those with a weight, without those that are set aside.
    score : callable or None
        Scores what has coefficients and intercepts, on other rows. None: there are none.
    all_rows : int64 ndarray or None
        With those set aside, to be learned when these have told how. None: they are not.
    sample : (int64 ndarray, callable) or None
        Some of `rows`, on which rates are compared, and their score. None: all of them.
    """

    rows: np.ndarray
    score: Callable | None = None
    all_rows: np.ndarray | None = None
    sample: tuple | None = None

    @property
    def learned(self):
        """The rows of the result."""
        return self.rows if self.all_rows is None else self.all_rows

    @property
    def compares(self):
        """Whether other rates may be tried."""
        return self.all_rows is not None or self.sample is not None


def rows_to_learn(estimator, X, y, training, given, judge, starts_anew):
    """Which rows to learn.

    Parameters
    ----------
    estimator : AdaptiveSGD
    X, y : arrays or matrices
        Validated.
    training : TrainingData
        Of X and y.
    given : tuple or None
        `X_val` and `y_val` of `fit`, validated, and the `TrainingData` of them.
    judge : callable
        Takes a model, and returns an estimator that has learned it.
    starts_anew : bool
        Whether only the features of learned rows will have coefficients.

    Returns
    -------
    RowsToLearn
    """
    all_rows = training.rows_with_weight()
    fraction = estimator.validation_fraction
    count = n_telling(training, all_rows) if given is None and estimator.early_stopping else 0.0
    if given is not None:
        sets_aside = False
    elif estimator.early_stopping == "auto":
        sets_aside = fraction * count >= LEAST_ROWS and estimator.tol is not None
    else:
        sets_aside = estimator.early_stopping
    if not sets_aside:
        if not all_rows.size:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        score = None
        if given is not None:
            X_val, y_val, validation = given
            held_out = validation.rows_with_weight()
            score = _score(estimator, X_val, y_val, validation, held_out, judge)
        return RowsToLearn(all_rows, score)
    are_many = estimator.refit and count >= MANY_ROWS
    if are_many:
        fraction = min(fraction, ENOUGH_ROWS / count)
    split = one_split(training.target_type, y, fraction, estimator.random_state)
    rows, held_out = parts_with_weight(training, *split)

    def score_after(rows):
        part = part_as_new(training, rows, held_out) if starts_anew else training.part(held_out)
        return _score(estimator, X, y, training, held_out, judge, part)

    if are_many:
        # of rows that are in a random order
        sample, rows = np.sort(rows[: int(SHARE_COMPARED * rows.size)]), np.sort(rows)
        return RowsToLearn(rows, score_after(rows), sample=(sample, score_after(sample)))
    return RowsToLearn(rows, score_after(rows), all_rows if estimator.refit else None)


def n_telling(training, rows):
    """How many rows of equal say tell as much as these do.

    The say of a row is its weighted gradient before anything is learned, by its raw prediction:
    ten rows of a rare class are ten and ten more, whatever the class weights and however many
    the others are; outliers are few.
    """
    if not rows.size:
        return 0.0
    say = training.target_type.gradients_of_constants(training, rows)
    largest = say.max(initial=0.0)
    if not 0 < largest < np.inf:
        return 0.0
    say /= largest
    return float(say.sum() ** 2 / (say @ say))


def one_split(target_type, y, fraction, random_state):
    """Rows to train on, and a fraction of the rows to validate on."""
    splitter = target_type.splitter(y, fraction)(test_size=fraction, random_state=random_state)
    return next(splitter.split(np.zeros((y.shape[0], 1)), y))


def parts_with_weight(training, rows, held_out):
    """The rows to train on, and the rows to validate on, that have a weight."""
    rows, held_out = training.with_weight(rows.astype(np.int64)), training.with_weight(held_out)
    # in the order of SGDClassifier, whose message on weights that are all zero this is
    for part, what in ((held_out, "validation"), (rows, "training")):
        if not part.size:
            raise ValueError(
                f"The sample weights for {what} set are all zero, consider using a "
                "different random state."
            )
    return rows, held_out


def _score(estimator, X, y, training, rows, judge, part=None):
    """The function that scores a model on these rows of X and y, or on what `part` has for them."""
    if estimator.scoring == "loss":
        return ValidationLoss(training.part(rows) if part is None else part, estimator.n_jobs)
    X = X[rows] if part is None else part.rows_like(X)
    score = scorer_on(estimator, X, y[rows], weights_for_scorers(training, rows))
    offset = training.offset_of(rows)
    return lambda parts: score(judge(parts.whole())._beside(offset))


def weights_for_scorers(training, rows):
    """Of these rows, factors of their classes included; None where all are 1."""
    weight = training.target_type.weights_for_scorers(training)
    return None if weight is None else weight[rows]


class ValidationLoss:
    """The negative mean loss on rows that are not learned from, without the penalty.

    Parameters
    ----------
    rows : TrainingData
        Of these rows only.
    n_jobs : int or None
        Of the threads that predict.

    Attributes
    ----------
    row_losses : ndarray of shape (n_rows,)
        What each row adds to the mean loss, of the model that was scored last.
    """

    def __init__(self, rows, n_jobs):
        self._rows, self._n_jobs = rows, n_jobs
        # Only the weights of the features that occur are read.
        self._features = rows.features()
        # quicker than a search, and pages that are not touched take no memory
        column = np.empty(rows.n_features, rows.indices.dtype)
        column[self._features] = np.arange(self._features.size)
        self._X = sp.csr_matrix(
            (rows.data.astype(np.float64), column[rows.indices], rows.indptr),
            shape=(rows.n_rows, self._features.size),
        )

    def __call__(self, model):
        (raw_predictions,) = self.raw_predictions(model)
        self.row_losses = self._losses(raw_predictions)
        return -float(self.row_losses.sum())

    def raw_predictions(self, model, n_models=1):
        """Raw predictions of each of several models side by side: float64, (n_rows, n_outputs)."""
        coef = model.coefficients(self._features)
        intercept = model.intercepts()
        # for many at once one pass over the rows, and for all of them perhaps no room
        at_once = max(1, MOST_RAW_PREDICTIONS * n_models // (self._rows.n_rows * len(coef)))
        each = zip(np.split(coef, n_models), np.split(intercept, n_models), strict=True)
        while batch := list(islice(each, at_once)):
            weights, constants = map(np.concatenate, zip(*batch, strict=True))
            products = sparse_products(self._X, weights, self._n_jobs)
            for raw_predictions in np.split(products + constants, len(batch), axis=1):
                yield raw_predictions + self.offset if self.offset.size else raw_predictions

    @property
    def offset(self):
        """Of these rows, see `TrainingData`."""
        return self._rows.offset

    def of(self, raw_predictions):
        """The negative mean loss of a model with these raw predictions."""
        return -float(self._losses(raw_predictions).sum())

    def _losses(self, raw_predictions):
        """What each row adds to the mean loss."""
        rows = self._rows
        losses = rows.loss.row_losses(rows.targets, raw_predictions, rows.class_weight)
        weight = rows.weight_or_none
        return losses / losses.size if weight is None else losses * (weight / weight.sum())


def scorer_on(estimator, X, y, sample_weight):
    """A function of a model that returns its score by `scoring`, not 'loss', on these rows."""
    scorer = check_scoring(estimator, estimator.scoring)
    weights = {}
    if sample_weight is not None and takes_weights(scorer):
        weights["sample_weight"] = sample_weight

    def score(model):
        value = scorer(model, X, y, **weights)
        if not isinstance(value, Real):
            raise ValueError(f"scoring must return a number, got {value!r} ({type(value)})")
        return float(value)

    return score


def takes_weights(scorer):
    """Whether a scorer, or a function in place of one, takes `sample_weight`."""
    if isinstance(scorer, _PassthroughScorer):
        scorer = scorer._estimator.score
    # what a scorer of scikit-learn calls, which takes anything itself
    function = getattr(scorer, "_score_func", scorer)
    try:
        parameters = signature(function).parameters
    except ValueError:
        # of a function that does not say
        return False
    any_name = any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())
    return "sample_weight" in parameters or (any_name and function is scorer)
