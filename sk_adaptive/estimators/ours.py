"""The estimators that a search trains, and all that it asks of them that is private."""

from itertools import takewhile

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _num_samples

from ..training.validation import one_split
from .base import PRECISIONS, AdaptiveSGD
from .classifier import AdaptiveSGDClassifier
from .pipelines import last_step_of
from .regressor import AdaptiveSGDRegressor

OURS = AdaptiveSGDClassifier, AdaptiveSGDRegressor
PREDICTIONS = "predict", "predict_proba", "predict_log_proba", "decision_function", "score"


def ours(estimator):
    """The estimator of ours that this is, or that is its last step, and the name of that step.

    Raises
    ------
    TypeError
        If it is another.
    """
    name, model = last_step_of(estimator)
    if not isinstance(model, AdaptiveSGD):
        raise TypeError(
            "AdaptiveGridSearchCV trains AdaptiveSGDClassifier and AdaptiveSGDRegressor, alone or "
            f"as the last step of a Pipeline. Got {estimator!r}. GridSearchCV trains any estimator."
        )
    if type(model).fit not in [each.fit for each in OURS]:
        raise TypeError(
            f"{type(model).__name__} has a `fit` of its own, which AdaptiveGridSearchCV does not "
            "call: it trains candidates side by side. GridSearchCV calls it."
        )
    return name, model


def predicts_as_ours(model):
    """Whether no class between the model's and ours predicts, or scores, in a way of its own."""
    theirs = takewhile(lambda each: each not in OURS, type(model).__mro__)
    return not any(name in PREDICTIONS for each in theirs for name in vars(each))


def see(model, X, y, all_y=None):
    """X and y checked; the model knows them as those of its first call, and all classes."""
    X, y = model._validate(X, y, PRECISIONS, reset=True)
    if all_y is None:
        y = model._find_targets(y)
    else:
        nothing = np.zeros((_num_samples(all_y), 1))
        _, all_y = clone(model)._validate(nothing, all_y, PRECISIONS, reset=True)
        model._find_targets(all_y)
        y = model._targets.check(y)
    model._targets.check_whole(y)
    return X, y


def see_again(model, X, y, dtypes):
    """X, in one of these types, and y of a later call, checked."""
    X, y = model._validate(X, y, dtypes, reset=False)
    return X, model._targets.check(y)


def rows_of(model, X, y, sample_weight, **named):
    """`TrainingData` of X and y that have been checked; see `training_data`."""
    return model._training_data(model._targets, X, y, sample_weight, **named)


def in_own_units(training):
    """`TrainingData` in which each of several targets counts in its own unit."""
    rows = training.rows_with_weight()
    return training.in_shares(training.target_type.shares(training, rows))


def check(model):
    """Refuse parameters that are not valid, or don't go together."""
    model._validate_params()
    model._check_parameters(for_fit=True)


def class_weight_of(model, y):
    """The class weights, see `TrainingData`, of rows that have these targets, which are checked."""
    _, class_weight = model._targets.encode(y)
    return class_weight


def one_split_of(model, y, share):
    """Rows to learn, and a share of all rows to hold out, as early stopping does."""
    model = clone(model)
    _, y = see(model, np.zeros((_num_samples(y), 1)), y)
    return one_split(model._targets, y, share, model.random_state)
