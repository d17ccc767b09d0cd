"""The rows of each fold of a search, as a model of ours learns them and is scored on them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params, _num_samples

from .._base import PRECISIONS
from .._data import NO_CLASS_WEIGHTS, NO_WEIGHTS, training_data
from .._input import check_weights
from .._validation_rows import ValidationLoss, one_split
from .pipelines import Transformed
from .scorers import RowsToScore


@dataclass
class Given:
    """What a search is given.

    Attributes
    ----------
    X, y
        As users pass them.
    splits : list of pair of int64 ndarray
        Of each fold the rows to learn, and the rows held out.
    fit_params : dict
        For `fit` of the estimator.
    score_params : dict of str to dict
        For each scorer.
    loss_weight : ndarray or None
        The sample weights of the losses of rows that are scored.
    scores_training : bool
        Whether rows that are learned are scored, too.
    """

    X: Any
    y: Any
    splits: list
    fit_params: dict
    score_params: dict
    loss_weight: Any
    scores_training: bool

    def scored(self, fold):
        """Numbers of the rows that are scored in a fold: those held out, and perhaps the others."""
        learned, held_out = self.splits[fold]
        return [held_out, learned] if self.scores_training else [held_out]

    def params_of(self, rows):
        """What the scorers take of these rows."""
        return {
            name: _check_method_params(self.X, params, indices=rows)
            for name, params in self.score_params.items()
        }

    def loss_on(self, data, rows):
        """The loss on these rows, which `data` has without sample weights that count."""
        weight = NO_WEIGHTS if self.loss_weight is None else self.loss_weight[rows]
        # the folds have the threads
        return ValidationLoss(replace(data, sample_weight=weight), n_jobs=1)


@dataclass
class Part:
    """The rows of a fold, for models that differ in nothing that rows are prepared by.

    Attributes
    ----------
    model : AdaptiveSGD
        Has seen what the rows are like, and has learned nothing.
    training : TrainingData
    rows : int64 ndarray
        The rows to learn.
    features : int64 ndarray
        All features that occur.
    estimator : estimator
        What scorers are to ask, but for its last step.
    scored : list of RowsToScore
    seconds : pair of float
        What it took to fit transformers, and to transform the rows that are scored.
    """

    model: Any
    training: Any
    rows: np.ndarray
    features: np.ndarray
    estimator: Any
    scored: list
    seconds: tuple = (0.0, 0.0)


# -- private methods of estimators are called here, and in `scorers` --


def see(model, X, y, all_y=None):
    """X and y checked; the model knows them as those of its first call, and the classes of all y."""
    X, y = model._validate(X, y, PRECISIONS, reset=True)
    model._begin_fit(y if all_y is None else all_y)
    return X, y


def see_again(model, X, y, dtype):
    """X and y of a later call, checked."""
    X, y = model._validate(X, y, [dtype], reset=False)
    model._check_validation_targets(y)
    return X, y


def check(model):
    """Refuse parameters that are not valid, or don't go together."""
    model._validate_params()
    model._check_parameters(for_fit=True)


def one_split_of(model, y, share):
    """Rows to learn, and a share of all rows to hold out, as early stopping does."""
    model = clone(model)
    # a subclass may have no such parameter
    model.validation_fraction = share
    _, y = see(model, np.zeros((_num_samples(y), 1)), y)
    return one_split(model, y)


def class_weight_of(model, y):
    _, _, class_weight = model._encode(y)
    return NO_CLASS_WEIGHTS if class_weight is None else class_weight


# -- --


def _with_weight(training, rows, fold):
    rows = training.with_weight(rows)
    if not rows.size:
        raise ValueError(f"The sample weights of all rows to learn in fold {fold} are zero.")
    return rows


def _weight_of_model(fit_params):
    unknown = [name for name in fit_params if name != "sample_weight"]
    if unknown:
        raise TypeError(
            f"A search passes sample_weight to the models that it trains, and not {unknown}: they "
            "start anew, and are validated on the rows that `cv` holds out."
        )
    return fit_params.get("sample_weight")


class RowsOfFolds:
    """The rows of a search, fold by fold."""

    def __init__(self, given):
        self._given = given

    def parts(self, model):
        """Of each fold the `Part`, or the exception that it raises."""
        parts = []
        for fold in range(len(self._given.splits)):
            try:
                parts.append(self._part(model, fold))
            except Exception as error:
                parts.append(error)
        return parts


class SharedRows(RowsOfFolds):
    """The rows of a search without transformers, which all folds share.

    Parameters
    ----------
    given : Given
    model : AdaptiveSGD
    """

    def __init__(self, given, model):
        super().__init__(given)
        # what is wrong with all of them
        X, _ = see(clone(model), given.X, given.y)
        self._weight = check_weights(_weight_of_model(given.fit_params), X)

    def example(self, model):
        """A model, and rows that tell of automatic rates and strengths: all of them."""
        X, y = see(model, self._given.X, self._given.y)
        training = training_data(model, X, y, self._weight)
        return model, training, training.with_weight(np.arange(training.n_rows))

    def parts(self, model):
        given = self._given
        try:
            X, self._y = see(model, given.X, given.y)
            self._training = training_data(model, X, self._y, self._weight, find_features=True)
        except Exception as error:
            return [error] * len(given.splits)
        self._features = self._training.features()
        return super().parts(model)

    def _part(self, model, fold):
        given, training = self._given, self._training
        scored = []
        for rows in given.scored(fold):
            X, y = _safe_indexing(given.X, rows), _safe_indexing(given.y, rows)
            data = training.part(rows)
            data = replace(data, class_weight=class_weight_of(model, self._y[rows]))
            loss = given.loss_on(data, rows)
            scored.append(RowsToScore(fold, X, y, X, loss, given.params_of(rows)))
        learned, _ = given.splits[fold]
        training = replace(training, class_weight=class_weight_of(model, self._y[learned]))
        rows = _with_weight(training, learned, fold)
        return Part(model, training, rows, self._features, model, scored)


class TransformedRows(RowsOfFolds):
    """The rows of a search behind the transformers of a pipeline, which each fold fits anew.

    Parameters
    ----------
    given : Given
    pipeline : Pipeline
    n_jobs : int or None
    """

    def __init__(self, given, pipeline, n_jobs):
        super().__init__(given)
        self._y = None
        X, y = given.X, given.y
        self._transformed = Parallel(n_jobs=n_jobs)(
            delayed(_transformed)(
                clone(pipeline),
                _safe_indexing(X, learned),
                _safe_indexing(y, learned),
                _check_method_params(X, given.fit_params, indices=learned),
                [_safe_indexing(X, rows) for rows in given.scored(fold)],
            )
            for fold, (learned, _) in enumerate(given.splits)
        )

    def example(self, model):
        """A model, and rows that tell of automatic rates and strengths: those of the first fold."""
        part = self._part(model, 0)
        return part.model, part.training, part.rows

    def _part(self, model, fold):
        given, transformed, model = self._given, self._transformed[fold], clone(model)
        if isinstance(transformed, Exception):
            raise transformed
        if self._y is None:
            # a fold may lack classes
            _, self._y = see(clone(model), np.zeros((_num_samples(given.y), 1)), given.y)
        weight = _weight_of_model(transformed.fit_params)
        X, y = see(model, transformed.X, transformed.y, self._y)
        training = training_data(model, X, y, weight, find_features=True)
        scored = []
        for place, rows in enumerate(given.scored(fold)):
            y_scored, of_model = _safe_indexing(given.y, rows), transformed.others[place]
            data = training_data(model, *see_again(model, of_model, y_scored, X.dtype), None)
            loss, params = given.loss_on(data, rows), given.params_of(rows)
            rows_of_search = transformed.rows[place]
            scored.append(RowsToScore(fold, rows_of_search, y_scored, of_model, loss, params))
        return Part(
            model,
            training,
            _with_weight(training, np.arange(training.n_rows, dtype=np.int64), fold),
            training.features(),
            transformed.pipeline,
            scored,
            (transformed.fit_time, transformed.transform_time),
        )


def _transformed(*arguments):
    """`Transformed`, or the exception that a transformer has raised."""
    try:
        return Transformed(*arguments)
    except Exception as error:
        return error
