"""What is chosen from the data serves every unit of it: rate, eps, start, and when to stop."""

import pickle
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from sklearn.base import clone

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor, _validation_rows
from sk_adaptive._registry import CLASSIFICATION_LOSSES, OPTIMIZERS, REGRESSION_LOSSES

ADDITIVE_LOSSES = [name for name, spec in REGRESSION_LOSSES.items() if not spec.make.log_link]

# Powers of two, so that rounding is the same in both units.
FACTORS = [2.0**10, 2.0**-10]

every_mode = pytest.mark.parametrize(
    ("optimizer", "sparse_update"), list(product(OPTIMIZERS, ("exact", "masked")))
)


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
    # A narrow huber jumps to and fro about its kinks, which makes rounding grow.
    model = regressor(loss, unit=20, optimizer=optimizer).fit(X, y)
    shifted = regressor(loss, unit=20, optimizer=optimizer).fit(X, y + 2.0**10)
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
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "random_state": 0}
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
    for eps in (None, auto.eps_):
        explicit = regressor(optimizer=optimizer, eta0=auto.eta0_, eps=eps)
        assert_same_model(explicit.fit(X, y, intercept_init=[np.median(y)]), auto)
        assert explicit.eps_ == auto.eps_


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
    assert (more.eta0_, more.eps_) == (model.eta0_, model.eps_)
    np.testing.assert_array_equal(more.coef_, model.coef_)
    np.testing.assert_array_equal(
        regressor(loss).partial_fit(X_more, y_more, weight).intercept_,
        regressor(loss).partial_fit(X, y).intercept_,
    )


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_a_first_row_alone_tells_the_size_of_y(rows, loss):
    X, _ = rows
    row = X[np.flatnonzero(np.diff(X.indptr))[0]]
    models = {y: regressor(loss, y or 1.0).partial_fit(row, [y]) for y in (0.0, 1.0, 512.0)}
    rate, eps = ({y: getattr(models[y], name) for y in models} for name in ("eta0_", "eps_"))
    # the step is the rate times a gradient, over a root that `eps` is in
    in_unit = {"squared_error", "squared_epsilon_insensitive", "huber", "poisson"}
    unit_of_gradient = 512 if loss in in_unit else 1
    unit_of_rate = 1 if REGRESSION_LOSSES[loss].make.log_link else 512
    assert rate[0.0] == rate[1.0] > 0
    assert rate[512.0] == pytest.approx(unit_of_rate * rate[1.0])
    assert eps[0.0] > 0
    assert eps[512.0] == pytest.approx(unit_of_gradient**2 * eps[1.0])


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


# --- eps ---


def classifier(loss="log_loss", **parameters):
    """Two epochs of one that keeps no unit, as `regressor`."""
    fixed = {"max_iter": 2, "tol": None, "penalty": None, "random_state": 0}
    return AdaptiveSGDClassifier(loss, **{**fixed, **parameters})


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
    assert model.eps_ == of_gradient(entry * np.abs(y - np.median(y)).mean(), **mode)
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


@pytest.mark.parametrize("factor", [2.0**20, 1e-5])
@every_mode
def test_only_the_shares_of_weights_matter(rows, optimizer, sparse_update, factor):
    X, y = rows
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    weight = np.random.default_rng(0).uniform(0.5, 2, y.size)
    # the best margin of Poisson's is near a logarithm, which sees rounding
    cases = [(regressor(loss, **mode), y) for loss in REGRESSION_LOSSES]
    targets = (y > 1, classes_of(y), np.eye(3, dtype=int)[classes_of(y)])
    cases += [(classifier(loss, **mode), y > 1) for loss in CLASSIFICATION_LOSSES]
    cases += [(classifier(**mode), target) for target in targets]
    for model, target in cases:
        coef = model.fit(X, target, sample_weight=weight).coef_
        scaled = model.fit(X, target, sample_weight=factor * weight)
        assert relative_difference(scaled.coef_, coef) < 1e-9
    for target in targets:
        names = (0, 1) if target.ndim == 2 else np.unique(target).tolist()
        model = classifier(**mode)
        coef = model.set_params(class_weight=dict.fromkeys(names, 2.0)).fit(X, target).coef_
        scaled = model.set_params(class_weight=dict.fromkeys(names, 2.0 * factor)).fit(X, target)
        assert relative_difference(scaled.coef_, coef) < 1e-9


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


@pytest.mark.filterwarnings("error")
@every_mode
def test_whatever_the_rows_the_model_is_finite(rows, optimizer, sparse_update):
    X, y = (part[:80] for part in rows)
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    cases = [
        (regressor(loss, **mode), target)
        for target in (y, np.zeros(y.size), np.full(y.size, 3.0), 1e-12 * y)
        for loss in (REGRESSION_LOSSES if target.any() else ADDITIVE_LOSSES)
    ]
    # with one of these there is nothing to be learned by huber, or by epsilon_insensitive
    cases += [
        (classifier(loss, epsilon=epsilon, **mode), y > 1)
        for epsilon in (0.0, 1.0)
        for loss in CLASSIFICATION_LOSSES
    ]
    for unit in (0.0, 1e-12, 1.0):
        for model, target in cases:
            # an intercept is a feature of the unit 1
            model.set_params(fit_intercept=unit in (0.0, 1.0))
            model.fit((unit * X).astype(np.float32 if unit == 1 else np.float64), target)
            assert 0 < model.eps_ < np.inf
            assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()


# --- early stopping ---


@pytest.fixture
def many_rows(rows, monkeypatch):
    """Rows that are one more than few."""
    X, y = rows
    monkeypatch.setattr(_validation_rows, "MANY_ROWS", y.size - 1)
    return X, y


def sets_aside(model, *arguments, **named):
    return model.fit(*arguments, **named).validation_scores_ is not None


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_early_stopping_is_for_many_rows_or_rows_given(rows, make, monkeypatch):
    X, y = rows
    y = (y > 1).astype(int)
    given = {"X_val": X[:50], "y_val": y[:50]}
    assert not sets_aside(make(), X, y)
    assert sets_aside(make(), X, y, **given)
    monkeypatch.setattr(_validation_rows, "MANY_ROWS", y.size - 1)
    few = np.ones(y.size)
    few[7] = 0
    assert sets_aside(make(), X, y)
    # a row without weight is no row
    assert not sets_aside(make(), X, y, sample_weight=few)
    assert not sets_aside(make(tol=None, max_iter=2), X, y)
    assert not sets_aside(make(early_stopping=False), X, y)
    monkeypatch.setattr(_validation_rows, "MANY_ROWS", y.size)
    assert not sets_aside(make(), X, y)
    first = {"classes": [0, 1]} if make is AdaptiveSGDClassifier else {}
    monkeypatch.setattr(_validation_rows, "MANY_ROWS", 1)
    whole = make().partial_fit(X, y, **first)
    assert_same_model(whole, make(early_stopping=False).partial_fit(X, y, **first))
    assert whole.t_ == 1 + y.size


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_it_is_early_stopping_that_is_switched_on(many_rows, make):
    X, y = many_rows
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


def test_classes_that_cannot_be_in_both_parts_are_no_obstacle(many_rows):
    X, y = many_rows
    single = classes_of(y)
    single[5] = 9
    # more classes than a part has rows
    for target in (single, np.arange(y.size) % 50):
        model = AdaptiveSGDClassifier(random_state=0)
        assert sets_aside(model, X, target)
        np.testing.assert_array_equal(model.classes_, np.unique(target))
        with pytest.raises(ValueError, match="class"):
            model.set_params(early_stopping=True).fit(X, target)
