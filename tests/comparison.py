"""How the tests compare results."""

import numpy as np


def relative_difference(actual, expected):
    """The largest difference over the largest size."""
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


def weights_of(model):
    """Coefficients and then the intercept of a model with one output."""
    return np.append(model.coef_.ravel(), model.intercept_)


def assert_same_model(actual, expected):
    """Both have the same weights and clock, bit for bit."""
    np.testing.assert_array_equal(actual.coef_, expected.coef_)
    np.testing.assert_array_equal(actual.intercept_, expected.intercept_)
    assert actual.t_ == expected.t_


def own_attributes(model):
    """What the model has, but for the lock that threads take turns by."""
    return {name: value for name, value in vars(model).items() if name != "_turn"}
