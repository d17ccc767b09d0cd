"""What a search is given: rows, folds, and what goes to whom of the arguments of `fit`."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import _check_method_params, _num_samples

from ..data.check import check_offset, check_weights
from ..data.training_data import NO_WEIGHTS
from ..training.validation import ValidationLoss, takes_weights
from .ours import in_own_units, one_split_of, ours
from .pipelines import last_step_of
from .scorers import LossScorer


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
    offset : array-like or None
        What is added to raw predictions of the model.
    scores_training : bool
        Whether rows that are learned are scored, too.
    has_scorers : bool
        Whether there is a score that is not the loss, and asks for predictions.
    """

    X: Any
    y: Any
    splits: list
    fit_params: dict
    score_params: dict
    loss_weight: Any
    offset: Any
    scores_training: bool
    has_scorers: bool

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
        """The loss on these rows, of which `data` has no sample weights and offsets that count."""
        weight = NO_WEIGHTS if self.loss_weight is None else self.loss_weight[rows]
        offset = None if self.offset is None else _safe_indexing(self.offset, rows)
        data = replace(
            data, sample_weight=weight, offset=check_offset(offset, rows.size, data.n_outputs)
        )
        # the folds have the threads
        return ValidationLoss(in_own_units(data), n_jobs=1)


def given_to(search, X, y, params, scorer):
    """What is given to a search.

    Parameters
    ----------
    search : AdaptiveGridSearchCV
    X, y : indexable rows and targets
    params : dict
        The other arguments of `fit`, checked.
    scorer : callable
        Of all scores.

    Returns
    -------
    Given
    """
    scorers = scorers_in(scorer)
    if get_config()["enable_metadata_routing"]:
        routed = process_routing(search, "fit", **params)
        fit_params, split_params = routed.estimator.fit, routed.splitter.split
        score_params = dict.fromkeys(scorers, routed.scorer.score)
        if isinstance(scorer, _MultimetricScorer):
            of_scorers = process_routing(scorer, "score", **routed.scorer.score)
            score_params = {name: of_scorers[name].score for name in scorers}
    else:
        fit_params = dict(params)
        split_params = {"groups": fit_params.pop("groups", None)}
        score_params = _weights_of_scorers(search, params, scorers)
    losses = [name for name, each in scorers.items() if isinstance(each, LossScorer)]
    weight = score_params[losses[0]].get("sample_weight") if losses else None
    # of so many rows
    weight = check_weights(weight, np.empty((_num_samples(X), 0)))
    splits = _splits(search, X, y, split_params)
    for fold, (_, held_out) in enumerate(splits):
        if weight is not None and not np.any(weight[held_out]):
            raise ValueError(f"The sample weights of all rows held out in fold {fold} are zero.")
    return Given(
        X,
        y,
        splits,
        fit_params,
        score_params,
        weight,
        _offset_of_model(search, fit_params),
        scores_training=bool(search.return_train_score),
        has_scorers=len(losses) < len(scorers),
    )


def _offset_of_model(search, fit_params):
    name, _ = last_step_of(search.estimator)
    # of a pipeline the first without metadata routing
    return fit_params.get(f"{name}__offset", fit_params.get("offset"))


def scorers_in(scorer):
    """The scorers by name; one that is alone is called 'score'."""
    return scorer._scorers if isinstance(scorer, _MultimetricScorer) else {"score": scorer}


def _weights_of_scorers(search, params, scorers):
    """What each scorer takes beside the rows, without metadata routing."""
    weight = params.get("sample_weight")
    score_params = {}
    for name, scorer in scorers.items():
        of_scorer = weight
        if isinstance(scorer, LossScorer) and weight is None:
            # they are part of what the model minimises
            of_scorer = params.get(f"{last_step_of(search.estimator)[0]}__sample_weight")
        elif weight is not None and not takes_weights(scorer):
            of_scorer = None
            warnings.warn(
                f"The scoring {name}={scorer} does not support sample_weight, so the rows held "
                "out count alike in it.",
                UserWarning,
                # the caller of fit
                stacklevel=5,
            )
        score_params[name] = {} if of_scorer is None else {"sample_weight": of_scorer}
    return score_params


def _splits(search, X, y, split_params):
    """Of each fold the rows to learn and the rows held out, as numbers."""
    cv = search.cv
    if isinstance(cv, Real) and not isinstance(cv, Integral):
        pairs = [one_split_of(ours(search.estimator)[1], y, cv)]
    else:
        splitter = check_cv(cv, y, classifier=is_classifier(search.estimator))
        n_splits = splitter.get_n_splits(X, y, **split_params)
        pairs = list(splitter.split(X, y, **split_params))
        if len(pairs) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{n_splits} splits, got {len(pairs)}"
            )
    if not pairs:
        raise ValueError(
            # the words of GridSearchCV, for programs that look for them
            "No fits were performed. Was the CV iterator empty? Were there no candidates?"
        )
    everything = np.arange(_num_samples(X), dtype=np.int64)
    # masks become numbers
    splits = [tuple(everything[part] for part in pair) for pair in pairs]
    for fold, (learned, held_out) in enumerate(splits):
        if not (learned.size and held_out.size):
            part = "held out" if learned.size else "to learn"
            raise ValueError(f"cv={cv!r} leaves no rows {part} in fold {fold}.")
    return splits
