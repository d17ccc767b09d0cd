"""Multiples of what is automatic, and columns scaled beside numbers that are not."""

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from modes import every_optimizer
from sklearn.base import clone
from sklearn.preprocessing import normalize

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor

FIXED = {"max_iter": 3, "tol": None, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    """Rows with two columns of numbers, and two targets of other units."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(400, 2)) * [1, 100] + [0, 5000]
    X = sp.hstack([numbers, sp.random(400, 30, 0.1, random_state=0)], format="csr")
    y = np.column_stack([(numbers - [0, 5000]) @ [1, -0.01], X[:, 2:] @ rng.normal(size=30)])
    return X, y * [1e4, 1e-2]


@every_optimizer
def test_they_are_so_many_times_the_automatic_numbers(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDRegressor(optimizer=optimizer, **FIXED).fit(X, y)
    other = clone(model).set_params(eta0="0.5*auto", eps="10*auto", alpha="1e2*auto").fit(X, y)
    assert other.eta0_ == 0.5 * model.eta0_
    np.testing.assert_allclose(other.eps_, 10 * model.eps_)
    before, now = (each._model.by_output() for each in (model, other))
    np.testing.assert_allclose(now.eta0, 0.5 * np.array(before.eta0))
    # a decay of its own is that of the rate of all targets
    np.testing.assert_allclose(now.l2, 100 * np.array(before.l2))
    assert_same_model(clone(model).set_params(eta0="1*auto", eps="auto").fit(X, y), model)


@every_optimizer
def test_fit_tries_no_other_rate(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDRegressor(optimizer=optimizer, early_stopping=True, **FIXED)
    model.set_params(average=False)
    once = clone(model).set_params(early_stopping=False, eta0="0.1*auto").fit(X, y)
    model.set_params(eta0="0.1*auto").fit(X, y)
    assert model.eta0_ == once.eta0_
    assert_same_model(once.set_params(max_iter=model.best_iteration_).fit(X, y), model)


@every_optimizer
def test_streams_may_change_the_multiple(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDRegressor(optimizer=optimizer, eta0="0.5*auto").partial_fit(X[:200], y[:200])
    rate, eps = model.eta0_, model.eps_
    model.set_params(eta0="0.125*auto", eps="4*auto").partial_fit(X[200:], y[200:])
    assert model.eta0_ == rate / 4
    np.testing.assert_allclose(model.eps_, 4 * eps)
    assert model._model.n_models == 1


@pytest.mark.parametrize("value", ["3auto", "auto*3", "0*auto", "-1*auto", "inf*auto", "nan*auto"])
@pytest.mark.parametrize("name", ["eta0", "eps", "alpha"])
def test_what_is_none_is_refused(rows, name, value):
    X, y = rows
    with pytest.raises(ValueError, match=rf"'{name}' parameter .*a multiple such as '3\*auto'"):
        AdaptiveSGDRegressor(**{name: value}).fit(X, y)


@every_optimizer
@pytest.mark.parametrize("streams", [False, True])
def test_numbers_may_be_of_scaled_columns(rows, optimizer, streams):
    """The automatic rate written out is the same model then."""
    X, y = rows
    y = y[:, 0]

    def learned(**parameters):
        model = AdaptiveSGDRegressor(optimizer=optimizer, **FIXED, **parameters)
        return model.partial_fit(X, y) if streams else model.fit(X, y)

    model = learned(eta0="1*auto")
    assert model._model.columns.size == 2
    by_number = learned(eta0=model.eta0_, normalize="standardize")
    assert relative_difference(by_number.coef_, model.coef_) < 1e-9
    assert not learned(eta0=model.eta0_)._model.columns.size


def test_rows_of_one_norm_are_not_scaled(rows):
    X = normalize(rows[0][:, 1:])
    y = X[:, 5].toarray().ravel() > 0
    models = [AdaptiveSGDClassifier(eta0=0.1, **FIXED, normalize=n) for n in ("standardize", False)]
    assert_same_model(*(model.fit(X, y) for model in models))


@every_optimizer
@pytest.mark.parametrize("rate", ["constant", "adaptive"])
def test_a_fit_of_so_many_epochs_ends_with_a_mean_if_asked_to(rows, optimizer, rate):
    X, y = rows
    model = AdaptiveSGDRegressor(optimizer=optimizer, eta0="0.1*auto", learning_rate=rate, **FIXED)
    if rate == "adaptive":
        # a mean of what all rates have led to
        model.set_params(tol=1.0, n_iter_no_change=1, max_iter=4, average="suffix").fit(X, y)
        last = clone(model).set_params(average=False).fit(X, y)
        assert last.eta0_ == model.eta0_ < 0.1 * clone(model).set_params(max_iter=1).fit(X, y).eta0_
        assert not np.allclose(model.coef_, last.coef_)
        return
    found = clone(model).set_params(early_stopping=True).fit(X, y)
    model.set_params(average="suffix", max_iter=found.best_iteration_)
    assert_same_model(model.fit(X, y), found)
