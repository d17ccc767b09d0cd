"""The estimators that a search trains, and all that it asks of them that is private."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _num_samples

from .._base import PRECISIONS, AdaptiveSGD
from .._data import NO_CLASS_WEIGHTS
from .._validation_rows import one_split
from .pipelines import last_step_of


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
    return name, model


def see(model, X, y, all_y=None):
    """X and y checked; the model knows them as those of its first call, and all classes."""
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


def class_weight_of(model, y):
    _, _, class_weight = model._encode(y)
    return NO_CLASS_WEIGHTS if class_weight is None else class_weight


def one_split_of(model, y, share):
    """Rows to learn, and a share of all rows to hold out, as early stopping does."""
    model = clone(model)
    # a subclass may have no such parameter
    model.validation_fraction = share
    _, y = see(model, np.zeros((_num_samples(y), 1)), y)
    return one_split(model, y)
