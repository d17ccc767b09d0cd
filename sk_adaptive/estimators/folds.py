"""The rows of each fold of a search, as a model of ours learns them and is scored on them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from ..data.check import check_weights
from ..data.new_rows import part_as_new
from .ours import class_weight_of, rows_of, see, see_again
from .pipelines import Transformed
from .scorers import RowsToScore


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


def _with_weight(training, rows, fold):
    rows = training.with_weight(rows)
    if not rows.size:
        raise ValueError(f"The sample weights of all rows to learn in fold {fold} are zero.")
    return rows


def _weight_and_offset_of_model(fit_params):
    unknown = [name for name in fit_params if name not in ("sample_weight", "offset")]
    if unknown:
        raise TypeError(
            "A search passes sample_weight and offset to the models that it trains, and not "
            f"{unknown}: they start anew, and are validated on the rows that `cv` holds out."
        )
    return fit_params.get("sample_weight"), fit_params.get("offset")


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

    Those held out are scored as new rows, see `part_as_new`. In a pipeline the transformers of a
    fold see to that, which do not know these rows.

    Parameters
    ----------
    given : Given
    model : AdaptiveSGD
    """

    def __init__(self, given, model):
        super().__init__(given)
        # what is wrong with all of them
        X, _ = see(clone(model), given.X, given.y)
        weight, self._offset = _weight_and_offset_of_model(given.fit_params)
        self._weight = check_weights(weight, X)

    def parts(self, model):
        given = self._given
        try:
            X, self._y = see(model, given.X, given.y)
            self._training = rows_of(
                model, X, self._y, self._weight, find_features=True, offset=self._offset
            )
        except Exception as error:
            return [error] * len(given.splits)
        self._features = self._training.features()
        return super().parts(model)

    def _part(self, model, fold):
        given, training = self._given, self._training
        learned, _ = given.splits[fold]
        scored = []
        for rows in given.scored(fold):
            X = _safe_indexing(given.X, rows) if given.has_scorers else None
            y = _safe_indexing(given.y, rows)
            data = part_as_new(training, training.with_weight(learned), rows)
            has_changed = data.indices.size < np.diff(training.indptr)[rows].sum()
            if has_changed and (isinstance(X, np.ndarray) or sp.issparse(X)):
                X = data.rows_like(X)
            data = replace(data, class_weight=class_weight_of(model, self._y[rows]))
            loss = given.loss_on(data, rows)
            scored.append(RowsToScore(fold, X, y, X, loss, given.params_of(rows)))
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

    def _part(self, model, fold):
        given, transformed, model = self._given, self._transformed[fold], clone(model)
        if isinstance(transformed, Exception):
            raise transformed
        weight, offset = _weight_and_offset_of_model(transformed.fit_params)
        # a fold may lack classes
        X, y = see(model, transformed.X, transformed.y, all_y=given.y)
        training = rows_of(model, X, y, weight, find_features=True, offset=offset)
        scored = []
        for place, rows in enumerate(given.scored(fold)):
            y_scored, of_model = _safe_indexing(given.y, rows), transformed.others[place]
            data = rows_of(model, *see_again(model, of_model, y_scored, [X.dtype]), None)
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
