"""Rows that `fit` does not learn: given or set aside, and the score on them."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import check_scoring

from . import _state
from ._data import training_data
from ._start import gradients_of_constant

# early_stopping="auto" sets rows aside where they count as at least so many, see `n_telling`.
LEAST_ROWS = 50


def check_validation_data(estimator, X_val, y_val, sample_weight_val):
    """Refuse a part of the three without the others, or all where they have no use."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val is provided, but X_val and y_val were not provided."
            )
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


def rows_to_learn(estimator, X, y, training, given):
    """The rows to learn, a function that scores a model on other rows, or None, and all rows.

    Parameters
    ----------
    estimator : AdaptiveSGD
    X, y : arrays or matrices
        Validated.
    training : TrainingData
        Of X and y.
    given : tuple
        `X_val`, `y_val` and `sample_weight_val` of `fit`.

    Returns
    -------
    rows : int64 ndarray
        Those with a weight.
    score : callable or None
        Takes a state and its optimizer.
    all_rows : int64 ndarray
        `rows` and those set aside.
    """
    all_rows = training.with_weight(np.arange(training.n_rows, dtype=np.int64))
    if given[0] is not None:
        sets_aside = False
    elif estimator.early_stopping == "auto":
        told_by = estimator.validation_fraction * n_telling(training, all_rows)
        sets_aside = told_by >= LEAST_ROWS and estimator.tol is not None
    else:
        sets_aside = estimator.early_stopping
    if not sets_aside:
        if not all_rows.size:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        if given[0] is not None:
            return all_rows, _score_on_given_rows(estimator, *given, X.dtype), all_rows
        return all_rows, None, all_rows
    rows, held_out = _split(estimator, y, training)
    return rows, _score_on_held_out_rows(estimator, X, y, training, held_out), all_rows


def n_telling(training, rows):
    """How many rows of equal say tell as much as these do.

    The say of a row is its weighted gradient before anything is learned, by its raw prediction:
    ten rows of a rare class are ten and ten more, whatever the class weights and however many
    the others are; outliers are few.
    """
    say = gradients_of_constant(training, rows)
    largest = say.max(initial=0.0)
    if not 0 < largest < np.inf:
        return 0.0
    say /= largest
    return float(say.sum() ** 2 / (say @ say))


def _split(estimator, y, training):
    """Rows to train on and rows to validate on, both with a weight."""
    split = estimator._splitter(y)(
        test_size=estimator.validation_fraction, random_state=estimator.random_state
    )
    rows, held_out = next(split.split(np.zeros((y.shape[0], 1)), y))
    rows, held_out = training.with_weight(rows.astype(np.int64)), training.with_weight(held_out)
    # in the order of SGDClassifier, whose message on weights that are all zero this is
    for part, what in ((held_out, "validation"), (rows, "training")):
        if not part.size:
            raise ValueError(
                f"The sample weights for {what} set are all zero, consider using a "
                "different random state."
            )
    return rows, held_out


def _score_on_held_out_rows(estimator, X, y, training, rows):
    if estimator.scoring == "loss":
        return ValidationLoss(training.part(rows))
    weight = estimator._weights_for_scorers(y, training.weight_or_none)
    return _scorer(estimator, X[rows], y[rows], None if weight is None else weight[rows])


def _score_on_given_rows(estimator, X, y, sample_weight, dtype):
    """On rows of their own, to which no class weights belong."""
    try:
        X, y = estimator._validate(X, y, [dtype], reset=False)
        estimator._check_validation_targets(y)
        validation = training_data(estimator, X, y, sample_weight, class_weighted=False)
        rows = validation.with_weight(np.arange(validation.n_rows))
        if not rows.size:
            raise ValueError("Sample weights must contain at least one non-zero number.")
    except ValueError as error:
        raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
    if estimator.scoring == "loss":
        return ValidationLoss(validation.part(rows))
    weight = validation.weight_or_none
    return _scorer(estimator, X[rows], y[rows], None if weight is None else weight[rows])


class ValidationLoss:
    """The negative mean loss on rows that are not learned from, without the penalty.

    Parameters
    ----------
    rows : TrainingData
        Of these rows only.
    """

    def __init__(self, rows):
        self._rows = rows
        # Only the weights of the features that occur are read.
        self._features = rows.features()
        columns = np.searchsorted(self._features, rows.indices)
        self._X = sp.csr_matrix(
            (rows.data.astype(np.float64), columns, rows.indptr),
            shape=(rows.n_rows, self._features.size),
        )

    def __call__(self, state, optimizer):
        rows = self._rows
        coef = _state.coefficients(state, self._features, optimizer)
        raw_predictions = self._X @ coef.T + _state.intercepts(state)
        losses = rows.loss.row_losses(rows.targets, raw_predictions, rows.class_weight)
        return -float(np.average(losses, weights=rows.weight_or_none))


def _scorer(estimator, X, y, sample_weight):
    """The score of `scoring`, one of scikit-learn's or a function of the user's."""
    scorer = check_scoring(estimator, estimator.scoring)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    # without a copy of the model that there may be; and X is an array by now
    judge = type(estimator).__new__(type(estimator))
    judge.__dict__.update(estimator.__dict__, _sparse_coef=False)
    judge.__dict__.pop("feature_names_in_", None)

    def score(state, optimizer):
        judge.__dict__.update(_state=state, _cache={"optimizer": optimizer})
        value = scorer(judge, X, y, **weights)
        if not isinstance(value, Real):
            raise ValueError(f"scoring must return a number, got {value!r} ({type(value)})")
        return float(value)

    return score
