"""What is chosen from the data serves every unit of it: rate, eps, start, and when to stop."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from loss_targets import ADDITIVE, WITH_UNIT, link_of, targets_for
from modes import every_form, every_mode, every_optimizer
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sk_adaptive import (
    AdaptiveSGDClassifier,
    AdaptiveSGDRegressor,
)
from sk_adaptive.estimators import base
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.kernel.sizes import mean_size, within_reach
from sk_adaptive.model import hyperparameters
from sk_adaptive.training import refit, validation
from sk_adaptive.training.refit import Trial

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
    """Two epochs of one that keeps no unit: no penalty, epsilon in y's unit."""
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "random_state": 0}
    return AdaptiveSGDRegressor(loss, epsilon=0.05 * unit, **{**fixed, **parameters})


def classifier(loss="log_loss", **parameters):
    """Two epochs of one that keeps no unit, as `regressor`."""
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "random_state": 0}
    return AdaptiveSGDClassifier(loss, **{**fixed, **parameters})


@pytest.mark.pairs
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", WITH_UNIT)
@every_form
@every_optimizer
def test_predictions_follow_the_unit_of_y(rows, optimizer, sparse_update, loss, factor):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update}
    model = regressor(loss, **parameters).fit(X, y)
    scaled = regressor(loss, factor, **parameters).fit(X, factor * y)
    np.testing.assert_allclose(scaled.predict(X), factor * model.predict(X), rtol=1e-9)


@pytest.mark.parametrize("loss", ADDITIVE)
@every_optimizer
def test_a_distant_zero_of_y_costs_nothing(rows, optimizer, loss):
    X, y = rows
    # of a size at which the sums are exact
    y = np.round(y * 2**20) / 2**20
    # A narrow huber jumps to and fro about its kinks, which makes rounding grow.
    model = regressor(loss, unit=20, optimizer=optimizer).fit(X, y)
    shifted = regressor(loss, unit=20, optimizer=optimizer).fit(X, y + 2.0**10)
    np.testing.assert_allclose(shifted.predict(X) - 2.0**10, model.predict(X), atol=1e-4 * y.std())


@pytest.mark.values
@pytest.mark.parametrize("factor", FACTORS)
@every_form
@every_optimizer
def test_coefficients_follow_the_unit_of_X(rows, optimizer, sparse_update, factor):
    X, y = rows
    # An intercept is a feature that is always 1, in whatever unit the others are.
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "fit_intercept": False}
    for loss in REGRESSION_LOSSES:
        targets = targets_for(loss, y)
        model = regressor(loss, **parameters).fit(X, targets)
        scaled = regressor(loss, **parameters).fit(factor * X, targets)
        np.testing.assert_allclose(factor * scaled.coef_, model.coef_, rtol=1e-9, atol=1e-12)
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "random_state": 0}
    for loss in CLASSIFICATION_LOSSES:
        classifier = AdaptiveSGDClassifier(loss, **parameters, **fixed)
        coef = classifier.fit(X, y > np.median(y)).coef_
        scaled = classifier.fit(factor * X, y > np.median(y)).coef_
        np.testing.assert_allclose(factor * scaled, coef, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("loss", WITH_UNIT)
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
    # what is far out counts as less
    half_square = within_reach(half_square[used], 100)
    least_gain = 0.03 * (weight[used] * half_square).mean()
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
    for value in (3.0, 1e6) if loss in WITH_UNIT else (0.0, 0.3, 1.0):
        model = AdaptiveSGDRegressor(loss, random_state=0).fit(X, np.full(y.size, value))
        assert model.n_iter_ < 100
        # AdaGrad scales up even the gradients that are rounding only
        np.testing.assert_allclose(model.predict(X), value, rtol=0.1, atol=0.02)


@every_mode
@pytest.mark.parametrize("make", [regressor, classifier])
def test_a_rate_that_was_found_does_the_same_when_given(rows, make, optimizer, sparse_update):
    """Whatever else the rows tell: the start, eps, the penalty and the intercept's size."""
    X, y = rows
    y = y if make is regressor else y > 1
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "penalty": "l2"}
    auto = make(**mode).fit(X, y)
    assert_same_model(make(**mode, eta0=auto.eta0_).fit(X, y), auto)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_nothing_is_taken_from_rows_where_rate_and_eps_are_given(rows, loss):
    X, y = rows[0], targets_for(loss, rows[1])
    numbers = {"eta0": 0.03, "eps": 1e-3, "penalty": "l2"}
    model = regressor(loss, **numbers).fit(X, y)
    from_zero = regressor(loss, **numbers, alpha=hyperparameters.AUTOMATIC_ALPHA)
    assert_same_model(from_zero.fit(X, y, intercept_init=[0.0]), model)
    # steps of nothing show where it starts
    still = regressor(loss, eta0=1e-300, eps=1.0).partial_fit(X, y)
    np.testing.assert_allclose(still.intercept_, 0, atol=1e-200)


@every_mode
def test_a_rate_that_is_asked_for_later_is_found(rows, optimizer, sparse_update):
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    model = regressor(**mode, eta0=0.1, eps=0.1).partial_fit(X[:9], y[:9])
    model.set_params(eta0="auto", eps=None).partial_fit(X, y)
    fresh = regressor(**mode).partial_fit(X, y)
    # of which the new one finds a multiple
    assert model.eta0_ == fresh._model.hyperparameters.eta0
    assert model.eps_ == fresh.eps_


def test_a_start_that_is_given_is_kept(rows):
    X, y = rows
    # steps of nothing show where it starts
    start = regressor(eps=1e300).partial_fit(X, y).intercept_
    np.testing.assert_allclose(start, np.median(y), rtol=1e-12)
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
    y = targets_for(loss, y)
    far = 1e6 if loss in WITH_UNIT else 1.0
    X_more, y_more = sp.vstack([X, 100 * X[:50]]).tocsr(), np.r_[y, np.full(50, far)]
    model = regressor(loss, shuffle=False).fit(X, y)
    more = regressor(loss, shuffle=False).fit(X_more, y_more, sample_weight=weight)
    assert (more.eta0_, more.eps_) == (model.eta0_, model.eps_)
    np.testing.assert_array_equal(more.coef_, model.coef_)
    np.testing.assert_array_equal(
        regressor(loss).partial_fit(X_more, y_more, weight).intercept_,
        regressor(loss).partial_fit(X, y).intercept_,
    )


@pytest.mark.parametrize("loss", WITH_UNIT)
def test_a_first_row_alone_tells_the_size_of_y(rows, loss):
    X, _ = rows
    row = X[np.flatnonzero(np.diff(X.indptr))[0]]
    units = (1.0, 512.0) if loss == "gamma" else (0.0, 1.0, 512.0)
    models = {y: regressor(loss, y or 1.0).partial_fit(row, [y]) for y in units}
    rate, eps = ({y: getattr(models[y], name) for y in models} for name in ("eta0_", "eps_"))
    # the step is the rate times a gradient, over a root that `eps` is in
    in_unit = {"squared_error", "squared_epsilon_insensitive", "huber", "expectile", "poisson"}
    unit_of_gradient = 512**0.5 if loss == "tweedie" else 512 if loss in in_unit else 1
    unit_of_rate = 1 if link_of(loss) == "log" else 512
    assert all(rate[y] == rate[1.0] > 0 for y in units[:-1])
    assert rate[512.0] == pytest.approx(unit_of_rate * rate[1.0])
    assert min(eps.values()) > 0
    assert eps[512.0] == pytest.approx(unit_of_gradient**2 * eps[1.0])


def test_eta0_is_the_geometric_mean_of_several_targets_rates(rows):
    X, y = rows
    own = [regressor().fit(X, target).eta0_ for target in (y, 64 * y)]
    both = regressor().fit(X, np.column_stack([y, 64 * y])).eta0_
    assert both == pytest.approx(np.sqrt(own[0] * own[1]))


@every_mode
def test_nothing_tuned_learns_something(rows, optimizer, sparse_update):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "random_state": 0}
    for loss in REGRESSION_LOSSES:
        targets = 1000 * y if loss in WITH_UNIT else targets_for(loss, y - 1)
        model = AdaptiveSGDRegressor(loss, **parameters).fit(X, targets)
        assert model.score(X, targets) > 0
    for loss in CLASSIFICATION_LOSSES:
        classes = y > np.quantile(y, 0.6)
        model = AdaptiveSGDClassifier(loss, **parameters).fit(X, classes)
        assert model.score(X, classes) > max(classes.mean(), 1 - classes.mean())


# --- eps ---


def of_gradient(size, optimizer, sparse_update="exact"):
    """What `eps` is where a gradient before the first step is typically of this size."""
    spec = OPTIMIZERS[optimizer]
    return pytest.approx(spec.eps[sparse_update] * size**spec.eps_power)


def classes_of(y):
    return np.digitize(y, np.quantile(y, [0.3, 0.6]))


@every_mode
def test_eps_is_of_a_typical_gradient(rows, optimizer, sparse_update):
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    largest = abs(X).max(axis=1).toarray().ravel()
    entry = largest[largest > 0].mean()
    model = regressor(**mode).fit(X, y)
    assert model.eps_ == of_gradient(entry * mean_size(np.abs(y - np.median(y))), **mode)
    weight = np.random.default_rng(0).integers(0, 4, y.size)
    present = weight > 0
    typical = largest[present & (largest > 0)].mean() * weight[present].mean()
    for target, derivative in ((classes_of(y), 2 / 3), (y > 1, 1 / 2)):
        assert classifier(**mode).fit(X, target).eps_ == of_gradient(entry * derivative, **mode)
        model = classifier(**mode).fit(X, target, sample_weight=weight)
        assert model.eps_ == of_gradient(typical * derivative, **mode)
    for batch_size in (4, 10 * y.size):
        # of a feature that one row of the batch has
        gradient = entry / 2 / min(batch_size, y.size)
        model = classifier(batch_size=batch_size, **mode).fit(X, y > 1)
        assert model.eps_ == of_gradient(gradient, **mode)
    explicit = classifier(eps=0.125, **mode).fit(X, y > 1)
    assert explicit.eps_ == 0.125


@pytest.mark.values
@pytest.mark.parametrize("factor", [2.0**20, 1e-5])
@every_form
@every_optimizer
def test_only_the_shares_of_weights_matter(rows, optimizer, sparse_update, factor):
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    weight = np.random.default_rng(0).uniform(0.5, 2, y.size)
    # Any other factor than a power of two rounds the weights, and steps carry that on.
    tolerance = 1e-9 if factor > 1 else 1e-6
    # the best margin of Poisson's is near a logarithm, which sees rounding
    cases = [(regressor(loss, **mode), targets_for(loss, y)) for loss in REGRESSION_LOSSES]
    targets = (y > 1, classes_of(y), np.eye(3, dtype=int)[classes_of(y)])
    cases += [(classifier(loss, **mode), y > 1) for loss in CLASSIFICATION_LOSSES]
    cases += [(classifier(**mode), target) for target in targets]
    for model, target in cases:
        coef = model.fit(X, target, sample_weight=weight).coef_
        scaled = model.fit(X, target, sample_weight=factor * weight)
        assert relative_difference(scaled.coef_, coef) < tolerance
    for target in targets:
        names = (0, 1) if target.ndim == 2 else np.unique(target).tolist()
        model = classifier(**mode)
        coef = model.set_params(class_weight=dict.fromkeys(names, 2.0)).fit(X, target).coef_
        scaled = model.set_params(class_weight=dict.fromkeys(names, 2.0 * factor)).fit(X, target)
        assert relative_difference(scaled.coef_, coef) < tolerance


@every_mode
def test_the_first_rows_settle_eps(rows, optimizer, sparse_update):
    """As they settle the rate; whatever else the calls to come change."""
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    model = regressor(**mode)
    assert not hasattr(model, "eps_")
    eps = model.partial_fit(X[:50], y[:50]).eps_
    assert eps == regressor(**mode, eta0=0.1).partial_fit(X[:50], y[:50]).eps_
    # without weight they are no rows
    nothing = np.zeros(50)
    later = regressor(**mode).partial_fit(100 * X[50:100], 9 * y[50:100], nothing)
    assert later.partial_fit(X[:50], y[:50]).eps_ == eps
    for change in ({}, {"alpha": 0.1}, {"eta0": 0.01}, {"loss": "huber"}, {"penalty": "l1"}):
        model.set_params(**change).partial_fit(100 * X, 100 * y)
        model = pickle.loads(pickle.dumps(model))
        assert model.eps_ == eps
    assert model.set_params(eps=0.25).partial_fit(X, y).eps_ == 0.25
    assert model.set_params(eps=None).partial_fit(X, y).eps_ == eps
    # another optimizer starts anew
    for name in OPTIMIZERS:
        if name != model.optimizer:
            model.set_params(optimizer=name).partial_fit(X, y)
            assert model.eps_ == clone(model).partial_fit(X, y).eps_
    # fit looks at its own rows, also where it starts from weights
    model = regressor(**mode, warm_start=True).fit(X, y)
    fresh = regressor(**mode).fit(4 * X, y, coef_init=model.coef_, intercept_init=model.intercept_)
    assert fresh.eps_ > model.eps_
    assert_same_model(model.fit(4 * X, y), fresh)
    assert model.partial_fit(X, y).eps_ == fresh.eps_


def test_rows_of_classes_without_weight_settle_nothing(rows):
    X, y = rows
    labels = (y > 1).astype(int)
    model = classifier(class_weight={0: 0.0, 1: 1.0})
    for row in range(50):
        model.partial_fit(X[row], labels[row : row + 1], classes=[0, 1])
    told = np.flatnonzero((labels == 1) & (np.diff(X.indptr) > 0))[0]
    assert model.eps_ == of_gradient(abs(X[told]).max() / 2, "adagrad")


@pytest.mark.values
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [0.0, 1e-12, 1.0])
@every_mode
def test_whatever_the_rows_the_model_is_finite(rows, optimizer, sparse_update, unit):
    X, y = (part[:40] for part in rows)
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    cases = [
        (regressor(loss, **mode), target if loss in ADDITIVE else targets_for(loss, target))
        for target in (y, np.zeros(y.size), np.full(y.size, 3.0), 1e-12 * y)
        for loss in REGRESSION_LOSSES
        if target.any() or link_of(loss) != "log"
    ]
    # with one of these there is nothing to be learned by huber, or by epsilon_insensitive
    cases += [
        (classifier(loss, epsilon=epsilon, **mode), y > 1)
        for epsilon in (0.0, 1.0)
        for loss in CLASSIFICATION_LOSSES
    ]
    for model, target in cases:
        # an intercept is a feature of the unit 1
        model.set_params(fit_intercept=unit in (0.0, 1.0))
        model.fit((unit * X).astype(np.float32 if unit == 1 else np.float64), target)
        assert 0 < model.eps_ < np.inf
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()


# --- units ---

# The largest is the square root of the largest number, nearly; float32 has less room.
EXTREMES = {np.float64: [1e-150, 1e-24, 1e-3, 1e24, 1e150], np.float32: [1e-12, 1e-3, 1e12]}


@pytest.mark.values
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", EXTREMES)
@pytest.mark.parametrize("batch_size", [1, 8])
@every_mode
def test_no_unit_matters(rows, optimizer, sparse_update, batch_size, dtype):
    """Neither that of X, of y nor of the weights: with intercept and penalty, fit and partial_fit.

    float32 rounds what is scaled by other numbers than powers of two.
    """
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "batch_size": batch_size}
    # The penalty matters as much as it can by itself.
    mode.update(penalty="l2", max_iter=5, tol=None, random_state=0)
    X = X.astype(dtype)
    tolerance = 1e-6 if dtype is np.float64 else 0.05

    def check(scaled, plain, unit):
        difference = scaled.astype(np.float64) / unit - plain
        assert np.abs(difference).max() < tolerance * np.abs(plain - np.median(plain)).max()

    for learn in ("fit", "partial_fit"):
        regressor = getattr(AdaptiveSGDRegressor(**mode), learn)(X, y)
        classifiers = []
        for target in (y > 1, classes_of(y)):
            first = {} if learn == "fit" else {"classes": np.unique(target)}
            plain = getattr(AdaptiveSGDClassifier(**mode), learn)(X, target, **first)
            classifiers.append((plain, target, first))
        for factor in EXTREMES[dtype]:
            factor = 2.0 ** np.round(np.log2(factor))
            X_scaled = (X * dtype(factor)).astype(dtype)
            weight = np.full(y.size, factor)
            for rows_of, target, unit, named in (
                (X_scaled, y, 1.0, {}),
                (X, factor * y, factor, {}),
                (X, y, 1.0, {"sample_weight": weight}),
            ):
                other = getattr(AdaptiveSGDRegressor(**mode), learn)(rows_of, target, **named)
                check(other.predict(rows_of), regressor.predict(X), unit)
            for plain, target, first in classifiers:
                for rows_of, named in ((X_scaled, {}), (X, {"sample_weight": weight})):
                    other = AdaptiveSGDClassifier(**mode)
                    getattr(other, learn)(rows_of, target, **first, **named)
                    check(other.decision_function(rows_of), plain.decision_function(X), 1.0)


@pytest.mark.values
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@every_mode
def test_the_automatic_penalty_has_a_unit(rows, monkeypatch, optimizer, sparse_update, penalty):
    """Also a strong one, which decides on the weights."""
    X, y = rows
    monkeypatch.setattr(hyperparameters, "AUTOMATIC_ALPHA", 0.05)
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "penalty": penalty}
    for loss in ADDITIVE:
        model = regressor(loss, **mode).fit(X, y)
        free = regressor(loss, **{**mode, "penalty": None}).fit(X, y)
        assert np.abs(model.coef_).sum() < 0.999 * np.abs(free.coef_).sum()
        for factor in FACTORS:
            scaled = regressor(loss, factor, **mode).fit(X, factor * y)
            np.testing.assert_allclose(scaled.coef_, factor * model.coef_, rtol=1e-7, atol=1e-9)
            scaled = regressor(loss, **mode).fit(factor * X, y)
            np.testing.assert_allclose(factor * scaled.coef_, model.coef_, rtol=1e-7, atol=1e-9)
            weight = np.full(y.size, factor)
            scaled = regressor(loss, **mode).fit(X, y, sample_weight=weight)
            np.testing.assert_allclose(scaled.coef_, model.coef_, rtol=1e-7, atol=1e-9)


@every_mode
def test_the_intercept_is_the_coefficient_of_a_constant_column(rows, optimizer, sparse_update):
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "eta0": 0.05}
    norm = np.sqrt(X.multiply(X).sum() / (np.diff(X.indptr) > 0).sum())
    model = regressor(**mode).fit(X, y)
    column = sp.hstack([X, np.full((y.size, 1), norm)]).tocsr()
    units = {"eps": model.eps_, "fit_intercept": False}
    twin = regressor(**mode, **units).fit(column, y - np.median(y))
    np.testing.assert_allclose(twin.coef_[:-1], model.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(norm * twin.coef_[-1] + np.median(y), model.intercept_, rtol=1e-9)


# --- rows set aside, epochs and rate found, all rows learned ---


@pytest.fixture
def telling_rows(rows, monkeypatch):
    """Rows that are just enough to set some aside, whatever the target."""
    X, y = rows
    monkeypatch.setattr(validation, "LEAST_ROWS", 0.1)
    return X, y


def sets_aside(model, *arguments, **named):
    return model.fit(*arguments, **named).validation_scores_ is not None


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_early_stopping_is_for_rows_that_tell_or_rows_given(rows, make, monkeypatch):
    X, y = rows
    if make is AdaptiveSGDClassifier:
        y = (y > np.median(y)).astype(int)
    else:
        # whose gradients are all of a size
        make = partial(make, "quantile")
    given = {"X_val": X[:50], "y_val": y[:50]}
    n_telling = 0.1 * y.size
    monkeypatch.setattr(validation, "LEAST_ROWS", n_telling + 0.1)
    assert not sets_aside(make(), X, y)
    assert sets_aside(make(), X, y, **given)
    monkeypatch.setattr(validation, "LEAST_ROWS", n_telling - 0.1)
    assert sets_aside(make(), X, y)
    assert sets_aside(make(), X, y, sample_weight=np.full(y.size, 1e-30))
    # a row without weight is no row, and rows of little weight say little
    weight = np.where(np.arange(y.size) % 3, 1.0, 0.0)
    assert not sets_aside(make(), X, y, sample_weight=weight)
    assert not sets_aside(make(), X, y, sample_weight=weight + 1e-3)
    assert not sets_aside(make(tol=None, max_iter=2), X, y)
    assert not sets_aside(make(early_stopping=False), X, y)
    first = {"classes": [0, 1]} if make is AdaptiveSGDClassifier else {}
    monkeypatch.setattr(validation, "LEAST_ROWS", 1)
    whole = make().partial_fit(X, y, **first)
    assert_same_model(whole, make(early_stopping=False).partial_fit(X, y, **first))
    assert whole.t_ == 1 + y.size


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 1e6}])
def test_rows_of_rare_classes_decide(class_weight):
    """Whatever their weights: so few of them can't tell when to stop."""
    rng = np.random.default_rng(0)
    X = sp.random(5000, 30, density=0.2, random_state=0, format="csr")
    for n_rare, told in ((3, False), (60, False), (600, True)):
        y = np.zeros(5000, dtype=int)
        y[rng.permutation(5000)[:n_rare]] = 1
        labels = np.column_stack([y, 1 - y])
        for target in (y, labels):
            weight = class_weight if target is y or class_weight is None else "balanced"
            model = AdaptiveSGDClassifier(class_weight=weight, max_iter=10, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                assert sets_aside(model, X, target) == told


def test_balanced_rare_rows_are_found():
    """As the rows that are set aside have none or one of them, say little of recall."""
    rng = np.random.default_rng(0)
    X = sp.random(20_000, 200, density=0.05, random_state=0, format="csr")
    for n_rare in (2, 20):
        y = np.zeros(20_000, dtype=int)
        rare = rng.permutation(20_000)[:n_rare]
        y[rare] = 1
        own = sp.csr_matrix((np.ones(n_rare), (rare, np.arange(n_rare) % 3)), (20_000, 3))
        columns = sp.hstack([X, own]).tocsr()
        model = AdaptiveSGDClassifier(class_weight="balanced", random_state=0)
        assert (model.fit(columns, y).predict(columns[rare]) == 1).all()


@pytest.mark.pairs
@every_form
@every_optimizer
@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_all_rows_are_learned_for_the_epochs_that_were_best(
    telling_rows, make, optimizer, sparse_update
):
    X, y = telling_rows
    y = y if make is AdaptiveSGDRegressor else classes_of(y)
    weight = np.random.default_rng(0).integers(0, 3, y.size)
    for fixed in ({"eta0": 0.1}, {"eta0": 0.1, "learning_rate": "adaptive"}, {}):
        fixed = {"average": False, "random_state": 0, **fixed}
        mode = {"optimizer": optimizer, "sparse_update": sparse_update, **fixed}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = make(max_iter=20, **mode).fit(X, y, sample_weight=weight)
        scores = np.array(model.validation_scores_)
        assert model.best_iteration_ == scores.argmax() + 1 == model.n_iter_
        assert len(model.loss_curve_) == model.n_iter_
        assert model.t_ == 1 + model.n_iter_ * np.count_nonzero(weight)
        if "learning_rate" in fixed:
            continue
        # what was found on the rows set aside
        found = {"eta0": model.eta0_, "eps": f"{model._model.hyperparameters.scales.eps}*auto"}
        again = make(**{**mode, **found}, max_iter=model.n_iter_, tol=None)
        assert_same_model(again.fit(X, y, sample_weight=weight), model)


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_the_rate_is_the_one_that_predicts_the_rows_set_aside_best(telling_rows, make, monkeypatch):
    X, y = telling_rows
    # of so few rows nothing is more than noise
    monkeypatch.setattr(refit, "ERRORS", 0.0)
    y = y if make is AdaptiveSGDRegressor else classes_of(y)
    chosen = set()
    for step in (1, 2, 3, 5, 8):
        model = make(random_state=0, max_iter=30, n_iter_no_change=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X[::step], y[::step])
            off = clone(model).set_params(early_stopping=False, tol=None, max_iter=30)
            automatic = off.fit(X[::step], y[::step]).eta0_
            fixed = clone(model).set_params(eta0=automatic).fit(X[::step], y[::step])
        numbers = round(model.eta0_ / automatic, 6), round(model.eps_ / off.eps_, 6)
        chosen.add(numbers)
        best, best_of_fixed = max(model.validation_scores_), max(fixed.validation_scores_)
        assert best > best_of_fixed if numbers != (1, 1) else best == best_of_fixed
    assert chosen <= {(1, 1), (3, 10), (3, 100), (3, 1), (9, 1), (round(1 / 3, 6), 1), (1, 0.01)}
    assert len(chosen) > 1


def test_a_rate_that_overflows_is_not_taken(telling_rows, monkeypatch):
    X, y = telling_rows
    monkeypatch.setattr(base, "trials_for", lambda _: (Trial(1e300), Trial(1e200)))
    model = AdaptiveSGDRegressor(random_state=0).fit(X, y)
    monkeypatch.setattr(base, "trials_for", lambda _: ())
    assert_same_model(model, AdaptiveSGDRegressor(random_state=0).fit(X, y))


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_without_refit_the_model_is_that_of_the_best_epoch(telling_rows, make):
    X, y = telling_rows
    y = (y > 1).astype(int)
    part = make(refit=False, random_state=0).fit(X, y)
    assert part.t_ == 1 + part.best_iteration_ * (y.size - int(np.ceil(0.1 * y.size)))
    assert part.n_iter_ == len(part.validation_scores_)
    # rows that were given are not learned, and nothing is set aside
    given = {"X_val": X[:50], "y_val": y[:50]}
    for refits in (True, False):
        model = make(refit=refits, random_state=0).fit(X, y, **given)
        assert model.t_ == 1 + model.best_iteration_ * y.size
        assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_)


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_it_is_early_stopping_that_is_switched_on(telling_rows, make):
    X, y = telling_rows
    y = (y > 1).astype(int)
    given = {"X_val": X[:50], "y_val": y[:50]}
    for named in ({}, given):
        on = make(early_stopping=True, random_state=0).fit(X, y, **named)
        model = make(random_state=0).fit(X, y, **named)
        assert_same_model(model, on)
        assert model.validation_scores_ == on.validation_scores_
        assert model.n_iter_ == on.n_iter_
    off = make(early_stopping=False, random_state=0).fit(X, y)
    assert np.any(off.coef_ != model.coef_)


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_classes_that_cannot_be_in_both_parts_are_no_obstacle(telling_rows, early_stopping):
    X, y = telling_rows
    single = classes_of(y)
    single[5] = 9
    # more classes than a part has rows
    for target in (single, np.arange(y.size) % 50):
        for more in ({}, {"class_weight": "balanced"}, {"multi_class": "ovr"}):
            model = AdaptiveSGDClassifier(early_stopping=early_stopping, random_state=0, **more)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                assert sets_aside(model, X, target)
            np.testing.assert_array_equal(model.classes_, np.unique(target))
            # all rows are learned
            assert (model.t_ - 1) % y.size == 0


# --- what is said ---


def test_more_epochs_are_advised_only_where_the_last_was_the_best(rows):
    X, y = rows
    given = {"X_val": X[:50], "y_val": y[:50]}
    falling, rising = iter(range(9, 0, -1)), iter(range(9))
    model = AdaptiveSGDRegressor(early_stopping=True, max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(scoring=lambda *arguments: float(next(falling))).fit(X, y, **given)
    assert (model.stopped_by_, model.best_iteration_) == ("max_iter", 1)
    model.set_params(scoring=lambda *arguments: float(next(rising)))
    with pytest.warns(ConvergenceWarning, match="score on the validation rows was best.*=3 epochs"):
        model.fit(X, y, **given)
    with pytest.warns(ConvergenceWarning, match="The objective was best.*=3 epochs"):
        model.set_params(early_stopping=False, scoring="loss").fit(X, y)


def test_an_impossible_decay_says_where_the_rate_is_from(rows):
    X, y = rows
    message = r"eta0 \* alpha must be less than 1.*found from the rows.*alpha='auto'"
    with pytest.raises(ValueError, match=message):
        AdaptiveSGDRegressor(optimizer="adamw", alpha=1e6).fit(X, y)
    # nothing set, nothing to complain of
    AdaptiveSGDRegressor(optimizer="adamw", max_iter=2, tol=None).fit(1e-9 * X, 1e9 * y)


def test_first_rows_unlike_the_next_are_told(rows):
    X, y = rows
    model = AdaptiveSGDRegressor().partial_fit(1e-5 * X[:3], y[:3])
    with pytest.warns(UserWarning, match="entries of these rows.*first call.*eta0"):
        model.partial_fit(X[3:9], y[3:9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for numbers in ({}, {"eta0": 0.1, "eps": 0.1}):
            other = AdaptiveSGDRegressor(**numbers).partial_fit(X[:3], y[:3])
            for row in range(3, 9):
                other.partial_fit(X[row], y[row : row + 1])
        given = AdaptiveSGDRegressor(eta0=0.1, eps=0.1).partial_fit(1e-5 * X[:3], y[:3])
        given.partial_fit(X[3:9], y[3:9])
