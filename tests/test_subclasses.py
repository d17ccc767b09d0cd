"""Estimators that users derive from ours train as ours do with the same parameters."""

import pickle
import threading
from numbers import Real

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, own_attributes
from modes import every_optimizer
from reference import schedule_for
from sklearn.base import clone
from sklearn.utils._param_validation import Interval

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor


class NoParameter(AdaptiveSGDClassifier):
    def __init__(self):
        super().__init__(alpha=0.01)


class OneParameter(AdaptiveSGDClassifier):
    def __init__(self, alpha=0.01):
        super().__init__(alpha=alpha)


class TwoParameters(AdaptiveSGDClassifier):
    def __init__(self, alpha=0.01, eta0="auto"):
        super().__init__(alpha=alpha, eta0=eta0)


class ParameterOfItsOwn(AdaptiveSGDClassifier):
    _parameter_constraints = {
        **AdaptiveSGDClassifier._parameter_constraints,
        "strength": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, strength=0.1):
        super().__init__(alpha=strength / 10)
        self.strength = strength


class AttributeOfTheClass(AdaptiveSGDClassifier):
    """A parameter that nobody sets."""

    alpha = property(lambda self: 0.01, lambda self, value: None)

    def __init__(self):
        super().__init__()


class OneParameterRegressor(AdaptiveSGDRegressor):
    def __init__(self, alpha=0.01):
        super().__init__(alpha=alpha)


SUBCLASSES = [
    NoParameter,
    OneParameter,
    TwoParameters,
    ParameterOfItsOwn,
    AttributeOfTheClass,
    OneParameterRegressor,
]
every_subclass = pytest.mark.parametrize("subclass", SUBCLASSES)


@pytest.fixture(scope="module")
def rows():
    X = sp.random(80, 12, density=0.3, random_state=0, format="csr")
    return X, np.arange(80) % 2


def base_of(subclass):
    return (
        AdaptiveSGDRegressor
        if issubclass(subclass, AdaptiveSGDRegressor)
        else (AdaptiveSGDClassifier)
    )


def first_call(model):
    return {} if isinstance(model, AdaptiveSGDRegressor) else {"classes": [0, 1]}


@every_optimizer
@every_subclass
def test_a_stream(rows, subclass, optimizer):
    """Also after changes of attributes that the subclass does not take as parameters."""
    X, y = rows
    model, expected = subclass(), base_of(subclass)(alpha=0.01)
    changes = [
        {"optimizer": optimizer},
        {},
        {"penalty": "l1"},
        {"eta0": 0.3},
        {},
        {"learning_rate": schedule_for(optimizer), "fit_intercept": False},
    ]
    for number, change in enumerate(changes):
        part = slice(10 * number, 10 * number + 10)
        for each in (model, expected):
            for name, value in change.items():
                setattr(each, name, value)
            each.partial_fit(X[part], y[part], **({} if number else first_call(each)))
    assert_same_model(model, expected)


@every_subclass
def test_fit_clone_and_pickle(rows, subclass):
    X, y = rows
    settings = {"random_state": 0, "max_iter": 3, "tol": None}
    expected = base_of(subclass)(alpha=0.01, **settings).fit(X, y)
    model = subclass()
    for name, value in settings.items():
        setattr(model, name, value)
    assert_same_model(model.fit(X, y), expected)
    again = pickle.loads(pickle.dumps(model))
    for each in (again, expected):
        each.partial_fit(X[:9], y[:9])
    assert_same_model(again, expected)
    new = clone(model)
    assert not hasattr(new, "coef_")
    assert new.get_params() == model.get_params()


@every_subclass
def test_what_training_reads_is_checked(rows, subclass):
    """In every call, whether or not it is a parameter of the subclass."""
    X, y = rows
    model = subclass()
    for bad in ({"penalty": "l3"}, {"rho": 2.0}, {"optimizer": "sgd"}):
        (name, value), good = *bad.items(), getattr(model, next(iter(bad)))
        setattr(model, name, value)
        for method in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=f"The {name!r} parameter of {subclass.__name__}"):
                method(X, y)
        setattr(model, name, good)
        model.partial_fit(X, y, **first_call(model))


def test_a_parameter_of_its_own_is_checked(rows):
    X, y = rows
    model = ParameterOfItsOwn().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="The 'strength' parameter of ParameterOfItsOwn"):
        model.set_params(strength=-1.0).partial_fit(X, y)


class WithoutTheBase(AdaptiveSGDClassifier):
    """Does not call the constructor that sets the parameters."""

    def __init__(self, alpha=0.01):
        self.alpha = alpha


def test_a_parameter_that_is_missing_is_an_error_and_no_model(rows):
    X, y = rows
    model = WithoutTheBase()
    for method, named in ((model.fit, {}), (model.partial_fit, {"classes": [0, 1]})):
        with pytest.raises(AttributeError, match="'WithoutTheBase' object has no attribute"):
            method(X, y, **named)
        assert set(own_attributes(model)) == {"alpha"}


class Equal(AdaptiveSGDClassifier):
    """All are equal, and so none has a hash."""

    def __eq__(self, other):
        return isinstance(other, Equal)


class EqualHash(Equal):
    def __hash__(self):
        return 0


@pytest.mark.parametrize("subclass", [Equal, EqualHash])
def test_equality_of_a_users_own(rows, subclass):
    """Whatever a subclass takes for equal, each estimator is one by itself."""
    X, y = rows
    model = subclass(random_state=0).fit(X, y)
    expected = AdaptiveSGDClassifier(random_state=0).fit(X, y)
    for each in (model, expected):
        each.partial_fit(X[:9], y[:9])
    assert_same_model(model, expected)
    # another one does not wait
    twin = subclass(random_state=0)
    with model._lock:
        thread = threading.Thread(target=twin.fit, args=(X, y), daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
    del twin, thread
    assert_same_model(model, expected)
