"""Scores of a search: the loss as a scorer, and scorers on models that are still in training."""

from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.metrics._scorer import _BaseScorer, _PassthroughScorer
from sklearn.utils.metadata_routing import MetadataRequest

from .base import PRECISIONS, NameOfScorer
from .ours import in_own_units, predicts_as_ours, rows_of, see_again
from .pipelines import Recorder, last_step_of, with_last_step


class LossScorer:
    """``scoring="loss"``: the negative mean of the losses of rows, without the penalty.

    Sample weights and class weights are part of it. 'balanced' class weights are those of the rows
    that are scored. So are the units of several targets, in which each of them counts.
    """

    def __call__(self, estimator, X, y, sample_weight=None, offset=None):
        name, model = last_step_of(estimator)
        if name:
            recorder = Recorder(model).fit(None)
            X = with_last_step(estimator, recorder).predict(X)
        (raw_predictions,) = model._raw_predictions(X, offset=offset)
        X, y = see_again(model, X, y, PRECISIONS)
        rows = in_own_units(rows_of(model, X, y, sample_weight, offset=offset))
        losses = rows.loss.row_losses(
            rows.targets, raw_predictions.astype(np.float64, copy=False), rows.class_weight
        )
        return -float(np.average(losses, weights=rows.weight_or_none))

    def __repr__(self):
        return "the loss"

    def _accept_sample_weight(self):
        return True

    def get_metadata_routing(self):
        request = MetadataRequest(owner="loss")
        request.score.add_request(param="sample_weight", alias=True)
        request.score.add_request(param="offset", alias=True)
        return request


def are_names(scoring):
    """Whether they are names, of which none is twice: scikit-learn refuses others."""
    names = [name for name in scoring if isinstance(name, str)]
    return len({*names}) == len(scoring) > 0


def scorer_of(scoring):
    """The scorer of this name; what is no name as it is."""
    if not isinstance(scoring, str):
        return scoring
    if scoring == "loss":
        return LossScorer()
    if scoring not in get_scorer_names():
        raise ValueError(f"scoring should be {NameOfScorer()}. Got {scoring!r}.")
    return get_scorer(scoring)


def _asks_predictions_only(scorer):
    """Whether a scorer looks at nothing of a model but what it predicts."""
    return isinstance(scorer, (_PassthroughScorer, _BaseScorer, LossScorer))


@dataclass
class RowsToScore:
    """Rows that models are scored on.

    Attributes
    ----------
    fold : int
    X, y
        As the estimator of the search gets them.
    of_model : matrix
        X as the model gets it, the very object.
    loss : ValidationLoss
        On these rows.
    params : dict of str to dict
        By the name of the scorer: what it takes beside.
    """

    fold: int
    X: Any
    y: Any
    of_model: Any
    loss: Any
    params: dict


class ScoreSideBySide:
    """The scores of candidates that learn side by side.

    Parameters
    ----------
    scorers : dict of str to callable
        By the name of the metric. A single one may return a dict itself.
    estimator : estimator
        The model, or a fitted pipeline with another last step.
    model : AdaptiveSGD
        Knows the rows, but has learned nothing.
    parameters : dict of int to dict
        What the model of each candidate has of its own.
    rows : list of RowsToScore
        Those held out, and perhaps those learned.
    error_score : float or 'raise'
    problems : dict of (int, str) to str
        By the fold and the name of the metric: why a score is no number. It is added to.
    """

    def __init__(self, scorers, estimator, model, parameters, rows, error_score, problems):
        self._scorers, self._estimator, self._model = scorers, estimator, model
        self._parameters, self._rows = parameters, rows
        self._error_score, self._problems = error_score, problems
        self._is_loss = all(isinstance(scorer, LossScorer) for scorer in scorers.values())
        # A scorer may look at whatever a model has, and so may predictions of a subclass.
        self._needs_model = not self._is_loss and not (
            predicts_as_ours(model) and all(map(_asks_predictions_only, scorers.values()))
        )

    def __call__(self, record, places):
        """For each of these places the scores on each of the rows, or the exception of a failure.

        Parameters
        ----------
        record : SideBySide
        places : list of int
        """
        by_rows = [self._scores(record, places, rows) for rows in self._rows]
        results = []
        for scores in zip(*by_rows, strict=True):
            errors = [each for each in scores if isinstance(each, Exception)]
            results.append(errors[0] if errors else scores)
        return results

    def _scores(self, record, places, rows):
        if self._needs_model:
            offset = rows.loss.offset
            judges = [self._model_of(record, place)._beside(offset) for place in places]
            return [self._scores_of(judge, rows) for judge in judges]
        if len(places) == 1:
            raw_predictions = rows.loss.raw_predictions(record.model_of(places[0]))
            return [self._scores_by(next(raw_predictions), record, places[0], rows)]
        raw_predictions = rows.loss.raw_predictions(record.weights, record.members.size)
        return [
            self._scores_by(raw, record, place, rows)
            for place, raw in enumerate(raw_predictions)
            if place in places
        ]

    def _scores_by(self, raw_predictions, record, place, rows):
        """The scores of a model with these raw predictions."""
        if not np.isfinite(raw_predictions).all():
            return ValueError(f"Raw predictions are not finite on rows of fold {rows.fold}.")
        if self._is_loss:
            return dict.fromkeys(self._scorers, rows.loss.of(raw_predictions))

        def known_predictions(X, *names, offset=None):
            """In place of `AdaptiveSGD._raw_predictions`: with the offset of these rows."""
            if X is not rows.of_model:
                return self._model_of(record, place)._raw_predictions(X, *names, offset=offset)
            return raw_predictions, *(getattr(self._model, name) for name in names)

        judge = self._copy(record, place, record.model)
        judge._raw_predictions = known_predictions
        return self._scores_of(judge, rows)

    def _model_of(self, record, place):
        return self._copy(record, place, record.model_of(place))

    def _copy(self, record, place, model):
        """An estimator with the parameters of a candidate, which is this model."""
        estimator = object.__new__(type(self._model))
        own = self._parameters[int(record.members[place])]
        estimator.__dict__.update(self._model.__dict__, **own)
        estimator.__dict__.update(_model=model, _cache={}, _sparse_coef=False)
        # threads take turns at each estimator by itself
        estimator.__dict__.pop("_turn", None)
        return estimator

    def _scores_of(self, model, rows):
        """The scores of a model, asked as the last step of the estimator that it is part of."""
        judge, scores = with_last_step(self._estimator, model), {}
        for name, scorer in self._scorers.items():
            try:
                value = scorer(judge, rows.X, rows.y, **rows.params[name])
            except Exception as error:
                if self._error_score == "raise":
                    raise
                self._tell(rows, name, f"{type(error).__name__}: {error}")
                value = self._error_score
            values = value if isinstance(value, dict) else {name: value}
            scores |= {each: self._number(value, each) for each, value in values.items()}
        for name, value in scores.items():
            if np.isnan(value):
                self._tell(rows, name, "it returned NaN")
        return scores

    def _tell(self, rows, name, reason):
        self._problems.setdefault((rows.fold, name), reason)

    def _number(self, value, name):
        value = value.item() if hasattr(value, "item") and np.size(value) == 1 else value
        if not isinstance(value, Number):
            raise ValueError(
                f"scoring must return a number, got {value!r} ({type(value)}) instead. "
                f"(scorer={name})"
            )
        return value
