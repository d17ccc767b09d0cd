"""Bounds of coefficients, and factors of their penalties."""

import copy
import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of
from modes import every_form, every_mode, every_optimizer
from reference import TWINS, schedule_for

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

ETA0, ALPHA, L1_RATIO = 0.1, 0.01, 0.3
N_FEATURES = 40
RNG = np.random.default_rng(3)
# some of them 0 on both sides, and some without bounds
LOW = -RNG.choice([0.0, 0.05, 0.3, np.inf], N_FEATURES)
HIGH = RNG.choice([0.0, 0.05, 0.3, np.inf], N_FEATURES)
FACTOR = RNG.choice([0.0, 0.5, 1.0, 20.0], N_FEATURES)
NUMBERS = {"eta0": ETA0, "eps": 0.01, "alpha": ALPHA, "l1_ratio": L1_RATIO}


def refuses_bounds(optimizer, sparse_update):
    return OPTIMIZERS[optimizer].has_momentum and sparse_update == "exact"


def refuses_factors(optimizer, sparse_update):
    return refuses_bounds(optimizer, sparse_update) and OPTIMIZERS[optimizer].decoupled


def controls_for(optimizer, sparse_update, penalty):
    """The parameters of a mode, and the factors and bounds of the twin."""
    parameters, low, high, factor = {"penalty": penalty}, -np.inf, np.inf, 1.0
    if penalty is None or not refuses_bounds(optimizer, sparse_update):
        parameters["bounds"] = LOW, HIGH
        low, high = (np.append(each, end) for each, end in ((LOW, -np.inf), (HIGH, np.inf)))
    if not (penalty is not None and refuses_factors(optimizer, sparse_update)):
        parameters["penalty_factor"] = FACTOR
        factor = np.append(FACTOR, 1.0)
    return parameters, (low, high), factor


@pytest.mark.pairs
@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@pytest.mark.parametrize("penalty", [None, "l2", "elasticnet"])
@every_mode
def test_lazy_is_projected_at_every_step(
    zipf_rows, optimizer, sparse_update, penalty, schedule, batch_size
):
    """The dense algorithm, projected after each gradient step, and charged by the factors."""
    X, X_sparse, y = zipf_rows
    X, X_sparse, y = X[:1000], X_sparse[:1000], y[:1000]
    schedule = schedule_for(optimizer, schedule)
    parameters, bounds, factor = controls_for(optimizer, sparse_update, penalty)

    def rate(t):
        return ETA0 if schedule == "constant" else ETA0 / t**0.5

    model = AdaptiveSGDClassifier(
        optimizer=optimizer, sparse_update=sparse_update, learning_rate=schedule,
        batch_size=batch_size, **NUMBERS, **parameters,
    )  # fmt: skip
    spec, twin = OPTIMIZERS[optimizer], TWINS[optimizer]
    numbers = {
        name: value if (given := getattr(model, name)) is None else given
        for name, value in spec.parameters.items()
    }
    if penalty is not None:
        share = L1_RATIO if penalty == "elasticnet" else 0.0
        numbers |= {"l1": ALPHA * share, "l2": ALPHA * (1 - share)}
        if "penalty_factor" in parameters:
            numbers["factor"] = factor
    if "bounds" in parameters:
        numbers["bounds"] = bounds
    make = twin.masked if sparse_update == "masked" else twin.dense
    if sparse_update == "exact" and penalty not in twin.penalties:
        make, numbers["rate"] = twin.charged, rate
    step = make(N_FEATURES + 1, N_FEATURES, eps=0.01, **numbers)
    stops = [100 // batch_size, 900 // batch_size, 1000 // batch_size]
    expected = reference.train(step, X, y, "log_loss", rate, batch_size=batch_size, record=stops)
    start, is_at_bound = 0, 0
    for stop, weights in zip(stops, expected, strict=True):
        rows = slice(start, stop * batch_size)
        model.partial_fit(X_sparse[rows], y[rows], classes=[-1, 1])
        start = stop * batch_size
        assert relative_difference(weights_of(model), weights[0]) < 1e-10
        coef = model.coef_[0]
        if "bounds" in parameters:
            assert np.all(coef >= LOW) and np.all(coef <= HIGH)
            # the penalty of the last step moves it off again
            is_at_bound += sum(np.isclose(coef, bound, rtol=0.05).sum() for bound in (LOW, HIGH))
            np.testing.assert_array_equal(coef[(LOW == 0) & (HIGH == 0)], 0)
    assert is_at_bound or "bounds" not in parameters


@pytest.mark.values
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_mode
def test_bounds_hold_after_every_row(zipf_rows, optimizer, sparse_update, dtype):
    """Exactly, also of numbers that float32 does not have, in averages and in the mean of rates."""
    _, X, y = zipf_rows
    X = X.astype(dtype)
    penalty = None if refuses_bounds(optimizer, sparse_update) else "l2"
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "penalty": penalty}
    average = not refuses_bounds(optimizer, sparse_update)
    models = [
        AdaptiveSGDClassifier(**mode, bounds=(-0.1, 0.3)),
        AdaptiveSGDClassifier(**mode, bounds=(-0.1, 0.3), eta0=0.5, average=average),
        AdaptiveSGDClassifier(**mode, positive=True, eta0="search", batch_size=3),
        AdaptiveSGDClassifier(**mode, positive=True, normalize=True),
        AdaptiveSGDClassifier(**mode, positive=True, normalize="standardize"),
    ]
    for row in range(60):
        for model in models:
            model.partial_fit(X[row], y[row : row + 1], classes=[-1, 1])
            assert model.coef_.dtype == dtype
            low, high = (0.0, np.inf) if model.positive else model.bounds
            coef = model.coef_.astype(np.float64)
            assert np.all(coef >= low) and np.all(coef <= high)
    for model in models:
        assert np.any(model.coef_ > 0)
        assert np.any(model.coef_ == 0 if model.positive else model.coef_ < 0)


@every_mode
def test_bounds_and_factors_that_say_nothing_change_nothing(zipf_rows, optimizer, sparse_update):
    _, X, y = zipf_rows
    parameters = {
        "optimizer": optimizer, "sparse_update": sparse_update, "max_iter": 2, "tol": None,
        "normalize": False, "random_state": 0,
    }  # fmt: skip
    model = AdaptiveSGDClassifier(**parameters).fit(X, y)
    named = {
        "bounds": (-np.inf, np.full(N_FEATURES, np.inf)),
        "penalty_factor": np.ones(N_FEATURES),
    }
    assert_same_model(AdaptiveSGDClassifier(**parameters, **named).fit(X, y), model)
    # far away, or 1 but for a feature that does not occur: other passes, the same numbers
    if not refuses_bounds(optimizer, sparse_update):
        far = AdaptiveSGDClassifier(**parameters, bounds=(-1e6, 1e6)).fit(X, y)
        np.testing.assert_allclose(far.coef_, model.coef_, rtol=1e-9, atol=1e-12)


@every_mode
def test_a_factor_is_another_alpha_for_its_feature(zipf_rows, optimizer, sparse_update):
    """0 is a feature without penalty, and the same factor for all another alpha."""
    if refuses_factors(optimizer, sparse_update):
        pytest.skip("is refused")
    _, X, y = zipf_rows
    parameters = {
        "optimizer": optimizer, "sparse_update": sparse_update, "max_iter": 2, "tol": None,
        "penalty": "elasticnet", "random_state": 0, "average": True, **NUMBERS,
    }  # fmt: skip

    def fit(**named):
        return AdaptiveSGDClassifier(**{**parameters, **named}).fit(X, y)

    def assert_same(model, other):
        np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-8)

    assert_same(fit(penalty_factor=np.zeros(N_FEATURES)), fit(penalty=None))
    if not OPTIMIZERS[optimizer].decoupled:
        assert_same(fit(penalty_factor=np.full(N_FEATURES, 4.0), alpha=0.01), fit(alpha=0.04))
    # a column that is there twice is two columns
    rows = sp.hstack([X, X]).tocsr()
    factor = np.r_[np.full(N_FEATURES, 0.0), np.full(N_FEATURES, 300.0)]
    model = AdaptiveSGDClassifier(**parameters, penalty_factor=factor).fit(rows, y)
    free, charged = np.split(np.abs(model.coef_[0]), 2)
    assert np.all(charged <= free) and charged.sum() < 0.5 * free.sum()


@pytest.mark.pairs
@every_form
@every_optimizer
@pytest.mark.parametrize("kind", ["several", "softmax", "numbers"])
def test_outputs_forms_of_rows_threads_and_parts_agree(zipf_rows, optimizer, sparse_update, kind):
    _, X, _ = zipf_rows
    penalty = None if refuses_bounds(optimizer, sparse_update) else "elasticnet"
    parameters, _, _ = controls_for(optimizer, sparse_update, penalty)
    parameters |= {"optimizer": optimizer, "sparse_update": sparse_update, **NUMBERS}
    margins = X @ np.random.default_rng(0).normal(size=(N_FEATURES, 5))
    estimator = AdaptiveSGDRegressor if kind == "numbers" else AdaptiveSGDClassifier
    targets = {"several": (margins > 0).astype(int), "softmax": margins.argmax(axis=1)}
    targets = targets.get(kind, margins)
    first = {"classes": np.arange(5)} if kind == "softmax" else {}
    whole = estimator(**parameters).partial_fit(X, targets, **first)
    assert np.all(whole.coef_ >= LOW) and np.all(whole.coef_ <= HIGH)
    near = [np.isclose(whole.coef_, bound, rtol=0.05) & (bound != 0) for bound in (LOW, HIGH)]
    assert np.any(near[0]) and np.any(near[1])
    parts = estimator(**parameters)
    for part in (slice(0, 300), slice(300, 301), slice(301, 2000)):
        parts.partial_fit(X[part], targets[part], **first)
        parts = pickle.loads(pickle.dumps(copy.deepcopy(parts)))
        _ = parts.coef_
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    dense = estimator(**parameters).partial_fit(X.toarray(), targets, **first)
    np.testing.assert_array_equal(dense.coef_, whole.coef_)
    if kind == "softmax":
        return
    X, targets = sp.vstack([X] * 3).tocsr(), np.vstack([targets] * 3)
    fixed = {"max_iter": 2, "tol": None, "random_state": 0}
    one, two = (
        estimator(**parameters, **fixed, n_jobs=n_jobs).fit(X, targets) for n_jobs in (1, 2)
    )
    assert_same_model(two, one)
    for k in (0, 4):
        alone = estimator(**parameters, **fixed).fit(X, targets[:, k])
        np.testing.assert_allclose(alone.coef_.ravel(), one.coef_[k], rtol=1e-9, atol=1e-12)


@every_optimizer
def test_the_objective_counts_factors(zipf_rows, optimizer):
    _, X, y = zipf_rows
    model = AdaptiveSGDClassifier(
        optimizer=optimizer, sparse_update="masked", penalty_factor=FACTOR, penalty="elasticnet",
        max_iter=1, tol=None, early_stopping=False, random_state=0, **{**NUMBERS, "alpha": 1.0},
    ).fit(X, y)  # fmt: skip
    w = np.abs(model.coef_[0])
    penalty = np.sum(FACTOR * (L1_RATIO * w + (1 - L1_RATIO) * w**2 / 2))
    if OPTIMIZERS[optimizer].decoupled:
        penalty = 0.0
    np.testing.assert_allclose(model.loss_curve_[0] - model.progressive_loss_, penalty, rtol=1e-8)


def test_new_bounds_hold_from_the_next_step_on(zipf_rows):
    _, X, y = zipf_rows
    for optimizer in OPTIMIZERS:
        model = AdaptiveSGDClassifier(optimizer=optimizer, penalty=None, eta0=0.3)
        model.partial_fit(X[:500], y[:500], classes=[-1, 1])
        assert np.any(model.coef_ < 0)
        model.set_params(positive=True).partial_fit(X[500:501], y[500:501])
        assert np.all(model.coef_ >= 0) and np.any(model.coef_ > 0)
        stream = copy.deepcopy(model).set_params(positive=False).partial_fit(X, y)
        assert np.any(stream.coef_ < 0)
        # and coefficients that are given are brought within
        model.coef_ = np.linspace(-1, 1, N_FEATURES)[np.newaxis]
        expected = np.maximum(np.linspace(-1, 1, N_FEATURES), 0)
        np.testing.assert_allclose(model.coef_[0], expected, atol=1e-12)
        warm = AdaptiveSGDClassifier(
            optimizer=optimizer, penalty=None, positive=True, max_iter=1, tol=None
        ).fit(X, y, coef_init=-np.ones((1, N_FEATURES)))
        assert np.all(warm.coef_ >= 0)


def test_a_search_and_automatic_settings_keep_to_them(zipf_rows):
    _, X, y = zipf_rows
    model = AdaptiveSGDClassifier(bounds=(LOW, HIGH), penalty_factor=FACTOR, random_state=0)
    search = AdaptiveGridSearchCV(model, cv=3).fit(X, y)
    coef = search.best_estimator_.coef_[0]
    assert np.all(coef >= LOW) and np.all(coef <= HIGH) and search.best_score_ > -0.7
    grid = {"positive": [False, True], "bounds": [None, (LOW, HIGH)]}
    groups = AdaptiveGridSearchCV(model, grid, cv=3).fit(X, y)
    assert np.unique(groups.cv_results_["mean_test_score"]).size == 4
    model.fit(X, y).strip_optimizer()
    assert np.all(model.coef_.toarray() >= LOW) and np.all(model.coef_.toarray() <= HIGH)


def test_what_is_not_meant_is_refused(zipf_rows):
    _, X, y = zipf_rows
    model = AdaptiveSGDClassifier(max_iter=1, tol=None).fit(X, y)
    before = model.coef_
    short = np.zeros(N_FEATURES - 1)
    for parameters, message in (
        ({"bounds": (0.1, 1.0)}, "low <= 0 <= high"),
        ({"bounds": (-1.0, np.full(N_FEATURES, -1e-9))}, "low <= 0 <= high"),
        ({"bounds": (np.nan, 1.0)}, "low <= 0 <= high"),
        ({"bounds": (-1.0,)}, r"bounds must be a pair \(low, high\)"),
        ({"bounds": ("a", 1.0)}, "bounds is not made of numbers"),
        ({"bounds": (-1.0, np.ones((1, N_FEATURES)))}, "bounds must have a number for each"),
        ({"bounds": (short, 1.0)}, "bounds has 39 numbers, but there are 40 features"),
        ({"penalty_factor": short}, "penalty_factor has 39 numbers, but there are 40 features"),
        ({"penalty_factor": -np.ones(N_FEATURES)}, "penalty_factor must be finite and not neg"),
        ({"bounds": (-1.0, 1.0), "normalize": True}, "normalize=True learns them in other units"),
        (
            {"bounds": (-1.0, 1.0), "normalize": "standardize"},
            "normalize='standardize' learns them",
        ),
        ({"positive": True, "optimizer": "adam"}, "positive and bounds do not go with a penalty"),
        (
            {"positive": True, "optimizer": "adamw", "penalty": None, "average": True},
            "positive and bounds do not go with average",
        ),
        (
            {"penalty_factor": 2 * np.ones(N_FEATURES), "optimizer": "adamw"},
            "penalty_factor does not go with optimizer='adamw'",
        ),
    ):
        for method in ("fit", "partial_fit"):
            other = copy.deepcopy(model).set_params(**parameters)
            with pytest.raises(ValueError, match=message):
                getattr(other, method)(X, y)
            np.testing.assert_array_equal(other.coef_, before)


def test_damaged_controls_are_refused(zipf_rows):
    """The kernel follows them unchecked."""
    _, X, y = zipf_rows
    model = AdaptiveSGDClassifier(bounds=(LOW, HIGH), max_iter=1, tol=None).fit(X, y)
    for damage in ({"low": LOW[:-1]}, {"factor": np.ones((1, 1))}, {"high": HIGH.astype(object)}):
        state = copy.deepcopy(model.__getstate__())
        state["_model"]["hyperparameters"]["controls"] |= damage
        with pytest.raises(ValueError, match="saved state of the model is damaged"):
            AdaptiveSGDClassifier().__setstate__(state)
