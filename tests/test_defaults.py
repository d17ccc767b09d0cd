"""What is chosen from the data serves every unit of it: the rate, the start, the stopping rule."""

import numpy as np
import pytest
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive._registry import CLASSIFICATION_LOSSES, OPTIMIZERS, REGRESSION_LOSSES

ADDITIVE_LOSSES = [name for name, spec in REGRESSION_LOSSES.items() if not spec.log_link]

# Powers of two, so that rounding is the same in both units.
FACTORS = [2.0**10, 2.0**-10]


@pytest.fixture(scope="module")
def rows():
    """Sparse rows and a positive target with noise."""
    rng = np.random.default_rng(0)
    X = sp.random(301, 40, density=0.1, random_state=0, format="csr")
    y = np.exp(X @ rng.normal(size=40) + 0.3 * rng.normal(size=301))
    return X, y


def regressor(loss="squared_error", unit=1.0, **parameters):
    """Two epochs of one that keeps no unit: no penalty, epsilon in y's unit, eps next to zero."""
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "eps": 1e-30, "random_state": 0}
    return AdaptiveSGDRegressor(loss, epsilon=0.05 * unit, **{**fixed, **parameters})


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_predictions_follow_the_unit_of_y(rows, optimizer, sparse_update, loss, factor):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update}
    model = regressor(loss, **parameters).fit(X, y)
    scaled = regressor(loss, factor, **parameters).fit(X, factor * y)
    np.testing.assert_allclose(scaled.predict(X), factor * model.predict(X), rtol=1e-9)


@pytest.mark.parametrize("loss", ADDITIVE_LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_distant_zero_of_y_costs_nothing(rows, optimizer, loss):
    X, y = rows
    # of a size at which the sums are exact
    y = np.round(y * 2**20) / 2**20
    model = regressor(loss, optimizer=optimizer).fit(X, y)
    shifted = regressor(loss, optimizer=optimizer).fit(X, y + 2.0**10)
    np.testing.assert_allclose(shifted.predict(X) - 2.0**10, model.predict(X), atol=1e-4 * y.std())


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_coefficients_follow_the_unit_of_X(rows, optimizer, sparse_update, factor):
    X, y = rows
    # An intercept is a feature that is always 1, in whatever unit the others are.
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "fit_intercept": False}
    for loss in REGRESSION_LOSSES:
        model = regressor(loss, **parameters).fit(X, y)
        scaled = regressor(loss, **parameters).fit(factor * X, y)
        np.testing.assert_allclose(factor * scaled.coef_, model.coef_, rtol=1e-9, atol=1e-12)
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "eps": 1e-30, "random_state": 0}
    for loss in CLASSIFICATION_LOSSES:
        classifier = AdaptiveSGDClassifier(loss, **parameters, **fixed)
        coef = classifier.fit(X, y > np.median(y)).coef_
        scaled = classifier.fit(factor * X, y > np.median(y)).coef_
        np.testing.assert_allclose(factor * scaled, coef, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_stopping_does_not_depend_on_the_unit_of_y(rows, loss, factor):
    X, y = rows
    model = regressor(loss, max_iter=100, tol=1e-2).fit(X, y)
    scaled = regressor(loss, factor, max_iter=100, tol=1e-2).fit(X, factor * y)
    assert model.n_iter_ == scaled.n_iter_ < 100
    stricter = regressor(loss, max_iter=100, tol=1e-4).fit(X, y)
    assert stricter.n_iter_ >= model.n_iter_


def test_tol_is_a_share_of_the_loss_of_the_median(rows):
    X, y = rows
    weight = 50.0 * np.random.default_rng(1).integers(0, 3, y.size)
    used = weight > 0
    half_square = (y - np.median(y[used])) ** 2 / 2
    least_gain = 0.03 * (weight * half_square)[used].mean()
    model = regressor(max_iter=100, tol=0.03).fit(X, y, sample_weight=weight)
    best, idle = np.inf, []
    for objective in model.loss_curve_:
        idle.append(objective > best - least_gain)
        best = min(best, objective)
    assert all(idle[-5:])
    assert not any(all(idle[end - 5 : end]) for end in range(5, len(idle)))


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_fit_stops_where_nothing_is_to_be_learned(rows, loss):
    X, y = rows
    for value in (3.0, 1e6):
        model = AdaptiveSGDRegressor(loss, random_state=0).fit(X, np.full(y.size, value))
        assert model.n_iter_ < 100
        # AdaGrad scales up even the gradients that are rounding only
        np.testing.assert_allclose(model.predict(X), value, rtol=0.1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_auto_is_a_rate_and_a_start(rows, optimizer):
    X, y = rows
    auto = regressor(optimizer=optimizer).fit(X, y)
    explicit = regressor(optimizer=optimizer, eta0=auto.eta0_)
    explicit.fit(X, y, intercept_init=[np.median(y)])
    np.testing.assert_array_equal(explicit.coef_, auto.coef_)
    np.testing.assert_array_equal(explicit.intercept_, auto.intercept_)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_an_explicit_rate_is_taken_as_it_is(rows, loss):
    X, y = rows
    model = regressor(loss, eta0=0.03).fit(X, y)
    from_zero = regressor(loss, eta0=0.03).fit(X, y, intercept_init=[0.0])
    assert model.eta0_ == 0.03
    np.testing.assert_array_equal(model.coef_, from_zero.coef_)
    np.testing.assert_array_equal(model.intercept_, from_zero.intercept_)


def test_a_start_that_is_given_is_kept(rows):
    X, y = rows
    # steps of nothing show where it starts
    assert regressor(eps=1e300).partial_fit(X, y).intercept_ == np.median(y)
    assert regressor(eps=1e300, fit_intercept=False).partial_fit(X, y).intercept_ == 0
    model = regressor(warm_start=True).fit(X, y)
    again = regressor().fit(X, y, coef_init=model.coef_, intercept_init=model.intercept_)
    np.testing.assert_array_equal(model.fit(X, y).coef_, again.coef_)
    zero_coef = regressor().fit(X, y, coef_init=np.zeros(X.shape[1]))
    zero_intercept = regressor().fit(X, y, intercept_init=[0.0])
    np.testing.assert_array_equal(zero_coef.intercept_, zero_intercept.intercept_)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_rows_without_weight_do_not_count(rows, loss):
    X, y = rows
    weight = np.r_[np.ones(y.size), np.zeros(50)]
    X_more, y_more = sp.vstack([X, 100 * X[:50]]).tocsr(), np.r_[y, np.full(50, 1e6)]
    model = regressor(loss, shuffle=False).fit(X, y)
    more = regressor(loss, shuffle=False).fit(X_more, y_more, sample_weight=weight)
    assert more.eta0_ == model.eta0_
    np.testing.assert_array_equal(more.coef_, model.coef_)
    np.testing.assert_array_equal(
        regressor(loss).partial_fit(X_more, y_more, weight).intercept_,
        regressor(loss).partial_fit(X, y).intercept_,
    )


@pytest.mark.parametrize("loss", ADDITIVE_LOSSES)
def test_a_first_row_alone_tells_the_size_of_y(rows, loss):
    X, _ = rows
    row = X[np.flatnonzero(np.diff(X.indptr))[0]]
    rate = {y: regressor(loss).partial_fit(row, [y]).eta0_ for y in (0.0, 1.0, -512.0)}
    assert rate[0.0] == rate[1.0] > 0
    assert rate[-512.0] == pytest.approx(512 * rate[1.0])


def test_targets_share_a_rate_between_their_own(rows):
    X, y = rows
    own = [regressor().fit(X, target).eta0_ for target in (y, 64 * y)]
    both = regressor().fit(X, np.column_stack([y, 64 * y])).eta0_
    assert both == pytest.approx(np.sqrt(own[0] * own[1]))
    # a constant one has no say
    constant = np.zeros(y.size)
    assert regressor().fit(X, np.column_stack([constant, y])).eta0_ == pytest.approx(own[0])


@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_tuned_learns_something(rows, optimizer, sparse_update):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "random_state": 0}
    for loss in REGRESSION_LOSSES:
        model = AdaptiveSGDRegressor(loss, **parameters).fit(X, 1000 * y)
        assert model.score(X, 1000 * y) > 0
    for loss in CLASSIFICATION_LOSSES:
        classes = y > np.quantile(y, 0.6)
        model = AdaptiveSGDClassifier(loss, **parameters).fit(X, classes)
        assert model.score(X, classes) > max(classes.mean(), 1 - classes.mean())
