"""Averages over the steps: lazily exact, and training knows nothing of them."""

import pickle
from itertools import product

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of
from modes import FORMS
from reference import TWINS

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

ETA0 = 0.1
RATES = {"constant": lambda t: ETA0, "invscaling": lambda t: ETA0 / t**0.5}
PENALTIES = {None: (0.0, 0.0), "l2": (0.0, 0.01), "l1": (0.01, 0.0), "elasticnet": (0.003, 0.007)}
NUMBERS = {"rho": 0.97, "beta_1": 0.9, "beta_2": 0.999}
UPDATES = list(product(OPTIMIZERS, FORMS))
N_CLASSES = 3
BETAS = [(0.0, 0.9), (0.9, 0.9), (0.9, 0.999), (0.95, 0.9999)]
DECOUPLED_BETAS = [(0.8, 0.9), (0.8, 0.99)]


def numbers_of(optimizer):
    return {name: NUMBERS[name] for name in OPTIMIZERS[optimizer].parameters}


def make(optimizer, update, make=AdaptiveSGDClassifier, **parameters):
    fixed = {"eta0": ETA0, "eps": 1e-8, "average": True, "alpha": 0.01, "l1_ratio": 0.3}
    return make(
        optimizer=optimizer,
        sparse_update=update,
        **{**fixed, **numbers_of(optimizer), **parameters},
    )


@pytest.fixture(scope="module")
def rows(zipf_rows):
    """Some rows as CSR matrix, and one of three classes for each."""
    _, X, _ = zipf_rows
    X = X[:210]
    rng = np.random.default_rng(1)
    return X, np.argmax(X @ rng.normal(size=(X.shape[1], N_CLASSES)), axis=1)


def learn(model, rows, start=0, stop=None, **settings):
    """Learn some of the rows by one call."""
    X, classes = (part[start:stop] for part in rows)
    first = {} if isinstance(model, AdaptiveSGDRegressor) else {"classes": range(N_CLASSES)}
    return model.partial_fit(X, classes, **first, **settings)


# --- what they are ---


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_mean_of_the_weights_after_each_step(rows, optimizer, update, batch_size, dtype):
    """Without a penalty; and under a rate that changes, each step counts by its rate."""
    rows = rows[0].astype(dtype), rows[1]
    fixed = {"penalty": None, "batch_size": batch_size}
    models = [make(optimizer, update, average=average, **fixed) for average in (True, 5)]
    plain = make(optimizer, update, average=False, **fixed)
    coefs, intercepts, rates = [], [], []
    for step, start in enumerate(range(0, min(60 * batch_size, 210), batch_size)):
        rate = ETA0 if step < 20 else ETA0 / 3
        for model in (plain, *models):
            model.set_params(eta0=rate)
            learn(model, rows, start, start + batch_size)
        coefs.append(plain.coef_)
        intercepts.append(plain.intercept_)
        rates.append(rate)
        for model, begin in zip(models, (0, 4), strict=True):
            # before there is a step in the average, it is the weights
            begin = min(begin, step)
            coef = np.average(coefs[begin:], axis=0, weights=rates[begin:])
            intercept = np.average(intercepts[begin:], axis=0, weights=rates[begin:])
            tolerance = 1e-10 if dtype == np.float64 else 1e-4
            assert relative_difference(model.coef_, coef) < tolerance
            assert relative_difference(model.intercept_, intercept) < tolerance
            assert model.coef_.dtype == dtype


def dense_step(optimizer, update, schedule, l1, l2, n_features):
    numbers = {"eps": 1e-8, **numbers_of(optimizer)}
    n = n_features + 1, n_features
    if update == "masked":
        return TWINS[optimizer].masked(*n, l1=l1, l2=l2, **numbers)
    return TWINS[optimizer].step(*n, rate=RATES[schedule], l1=l1, l2=l2, **numbers)


@pytest.mark.pairs
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    ("optimizer", "update", "schedule"),
    [
        (optimizer, update, schedule)
        for (optimizer, update), schedule in product(UPDATES, RATES)
        if schedule in OPTIMIZERS[optimizer].learning_rates
    ],
)
def test_lazy_is_dense(zipf_rows, optimizer, update, penalty, schedule, batch_size):
    X, X_sparse, y = zipf_rows
    l1, l2 = PENALTIES[penalty]
    decoupled = OPTIMIZERS[optimizer].decoupled and l2 > 0
    average, n_steps = 30, 100
    step = dense_step(optimizer, update, schedule, l1, l2, X.shape[1])
    before = {}

    def step_and_look(w, g, eta, t):
        step(w, g, eta, t)
        if t == average - 1:
            before["integral"] = step.integral.copy()

    few = slice(n_steps * batch_size)
    rate = RATES[schedule]
    reference.train(step_and_look, X[few], y[few], "log_loss", rate, batch_size=batch_size)
    eta = np.array([rate(t) for t in range(1, n_steps + 1)])
    growth = -np.log1p(-eta * l2) / l2 if decoupled else eta
    integral, span = step.integral, growth.sum()
    expected = {1: integral / span}
    expected[average] = (integral - before["integral"]) / growth[average - 1 :].sum()
    for first, weights in expected.items():
        model = make(
            optimizer,
            update,
            average=first,
            penalty=penalty,
            learning_rate=schedule,
            batch_size=batch_size,
            eps=1e-8,
        )
        for start in range(0, n_steps, 25):
            few = slice(start * batch_size, (start + 25) * batch_size)
            model.partial_fit(X_sparse[few], y[few], classes=[-1, 1])
        assert relative_difference(weights_of(model), weights) < 1e-10


@pytest.mark.parametrize("schedule", RATES)
@pytest.mark.parametrize(
    ("optimizer", "betas"),
    [
        pytest.param(name, betas, id=f"{name}-{betas[0]}-{betas[1]}")
        for name, spec in OPTIMIZERS.items()
        if "beta_1" in spec.parameters
        for betas in (DECOUPLED_BETAS if spec.decoupled else BETAS)
    ],
)
def test_momentum_of_every_age(zipf_rows, optimizer, betas, schedule):
    """From the first steps, of which tails are summed, to where their tables do not change."""
    X, X_sparse, y = zipf_rows
    numbers = {"eps": 1e-8, "beta_1": betas[0], "beta_2": betas[1]}
    n = X.shape[1] + 1, X.shape[1]
    decoupled = OPTIMIZERS[optimizer].decoupled
    if decoupled:  # the dense sums of its tails are dear
        penalty, stops = "l2", (1, 64, 65, 500)
        l1, l2 = PENALTIES[penalty]
        step = TWINS[optimizer].step(*n, rate=RATES[schedule], l1=l1, l2=l2, **numbers)
    else:
        penalty, stops = None, (1, 64, 65, 500, 2000)
        step = TWINS[optimizer].dense(*n, **numbers)
    integrals = []

    def step_and_look(w, g, eta, t):
        step(w, g, eta, t)
        if t in stops:
            integrals.append(step.integral.copy())

    rows = slice(stops[-1])
    reference.train(step_and_look, X[rows], y[rows], "log_loss", RATES[schedule])
    model = make(
        optimizer,
        "exact",
        penalty=penalty,
        learning_rate=schedule,
        eps=1e-8,
        beta_1=betas[0],
        beta_2=betas[1],
    )
    start = 0
    for stop, integral in zip(stops, integrals, strict=True):
        model.partial_fit(X_sparse[start:stop], y[start:stop], classes=[-1, 1])
        start = stop
        eta = np.array([RATES[schedule](t) for t in range(1, stop + 1)])
        span = (-np.log1p(-eta * l2) / l2).sum() if decoupled else eta.sum()
        assert relative_difference(weights_of(model), integral / span) < 1e-10


# --- what they leave alone ---


@pytest.mark.pairs
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("penalty", [None, "l2", "elasticnet"])
@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_training_is_the_same_bit_for_bit(rows, optimizer, update, penalty, batch_size):
    for targets in (rows[1], (rows[1] > 0).astype(int)):
        plain, *others = (
            make(optimizer, update, average=average, penalty=penalty, batch_size=batch_size)
            for average in (False, True, 17)
        )
        for model in (plain, *others):
            model.partial_fit(rows[0], targets, classes=np.unique(targets))
        for model in others:
            for name in plain._model.records.dtype.names:
                np.testing.assert_array_equal(
                    model._model.records[name], plain._model.records[name]
                )
            np.testing.assert_array_equal(model._model.intercept, plain._model.intercept)
            assert model.progressive_loss_ == plain.progressive_loss_
            for name, values in model.optimizer_state_.items():
                np.testing.assert_array_equal(values, plain.optimizer_state_[name])


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("average", [True, 40])
@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_parts_are_the_whole(rows, optimizer, update, average, dtype):
    """However the rows are split, with rows of no weight, and saved and read on the way."""
    rows = rows[0].astype(dtype), rows[1]
    whole = learn(make(optimizer, update, average=average), rows)
    parts = make(optimizer, update, average=average)
    for start, stop in ((0, 1), (1, 38), (38, 39), (39, 150), (150, None)):
        learn(parts, rows, start, stop)
        _ = parts.coef_
        parts = pickle.loads(pickle.dumps(parts))
    assert_same_model(parts, whole)
    doubled = sp.vstack([rows[0], rows[0]]).tocsr(), np.tile(rows[1], 2)
    weight = np.repeat([1, 0], rows[0].shape[0])
    half = learn(make(optimizer, update, average=average), doubled, sample_weight=weight)
    assert_same_model(half, whole)
    epoch = make(optimizer, update, average=average, max_iter=1, tol=None, shuffle=False).fit(*rows)
    assert_same_model(epoch, whole)


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_a_step_that_overflows_is_not_in_it(rows, optimizer, update):
    X, _ = rows
    y = np.asarray(X.sum(axis=1)).ravel()
    bad = np.append(y[:50], [1e308] * 2)
    settings = {"penalty": "l2", "loss": "squared_error", "eta0": ETA0}
    good = make(optimizer, update, AdaptiveSGDRegressor, **settings).partial_fit(X[:50], y[:50])
    model = make(optimizer, update, AdaptiveSGDRegressor, **settings)
    model.partial_fit(X[:2], y[:2])
    with pytest.raises(ValueError, match="overflow"):
        model.partial_fit(sp.vstack([X[2:50], X[50:52] * 1e300]).tocsr(), bad[2:])
    assert_same_model(model, good)


# --- beside everything else ---


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_predictions_are_made_with_the_average(rows, optimizer, update):
    model = learn(make(optimizer, update), rows)
    margins = rows[0] @ model.coef_.T + model.intercept_
    np.testing.assert_allclose(model.decision_function(rows[0]), margins, rtol=1e-12)
    for row in range(5):  # the weights of the row's features only
        np.testing.assert_allclose(
            model.decision_function(rows[0][row]), margins[[row]], rtol=1e-12
        )
    plain = learn(make(optimizer, update, average=False), rows)
    assert relative_difference(model.coef_, plain.coef_) > 1e-2


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_settings_change_on_the_way(rows, optimizer, update):
    """The average goes on; where it is switched on, it begins there."""
    plain = make(optimizer, update, average=False, penalty=None)
    model = make(optimizer, update, penalty=None)
    late = make(optimizer, update, average=False, penalty=None)
    coefs, rates = [], []
    for start in range(90):
        if start == 30:
            for one in (plain, model, late):
                one.set_params(eps=1e-3, eta0=2 * ETA0)
        if start == 60:
            late.set_params(average=3)
        for one in (plain, model, late):
            learn(one, rows, start, start + 1)
        coefs.append(plain.coef_)
        rates.append(plain.eta0)
    expected = np.average(coefs, axis=0, weights=rates)
    assert relative_difference(model.coef_, expected) < 1e-10
    assert relative_difference(late.coef_, np.mean(coefs[60:], axis=0)) < 1e-10
    for one in (model, late):
        one.set_params(average=False)
        learn(one, rows, 90, 91)
    learn(plain, rows, 90, 91)
    assert relative_difference(model.coef_, plain.coef_) < 1e-10
    assert relative_difference(late.coef_, plain.coef_) < 1e-10


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_a_later_first_step_set_on_the_way(rows, optimizer, update):
    model = learn(make(optimizer, update, average=5, eps=1e-3), rows, 0, 30)
    whole = learn(make(optimizer, update, average=61, eps=1e-3), rows)
    plain = learn(make(optimizer, update, average=False, eps=1e-3), rows, 0, 50)
    learn(model.set_params(average=61), rows, 30, 50)
    assert relative_difference(model.coef_, plain.coef_) < 1e-10
    learn(model, rows, 50)
    assert relative_difference(model.coef_, whole.coef_) < 1e-10
    assert relative_difference(model.intercept_, whole.intercept_) < 1e-10


def test_a_first_step_beyond_all_counting_never_comes(rows):
    plain = learn(make("adagrad", "exact", average=False), rows)
    never = learn(make("adagrad", "exact", average=2**64), rows)
    np.testing.assert_array_equal(never.coef_, plain.coef_)


@pytest.mark.parametrize("penalty", [None, "elasticnet"])
@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_assigned_weights_are_weights_and_average(rows, optimizer, update, penalty):
    model = learn(make(optimizer, update, penalty=penalty), rows)
    plain = learn(make(optimizer, update, penalty=penalty, average=False), rows)
    other = np.random.default_rng(0).normal(size=model.coef_.shape)
    intercept = model.intercept_
    for one in (model, plain):
        one.coef_ = other
    np.testing.assert_allclose(model.coef_, other, rtol=1e-12)
    np.testing.assert_array_equal(model.intercept_, intercept)
    for one in (model, plain):
        one.intercept_ = [1, 2, 3]
    np.testing.assert_allclose(model.intercept_, [1, 2, 3], rtol=1e-12)
    before = model.t_ - 1
    for one in (model, plain):
        learn(one, rows, 0, 1)
    if penalty is None:
        expected = (before * other + plain.coef_) / (before + 1)
        assert relative_difference(model.coef_, expected) < 1e-10
    assert relative_difference(plain.coef_, model.set_params(average=False).coef_) > 0


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_warm_start_begins_at_the_average(rows, optimizer, update):
    settings = {"warm_start": True, "max_iter": 2, "tol": None, "random_state": 0}
    model = make(optimizer, update, **settings).fit(*rows)
    fresh = make(optimizer, update, **settings)
    fresh.fit(
        *rows,
        coef_init=model.coef_,
        intercept_init=model._model.intercepts(),
    )
    assert_same_model(model.fit(*rows), fresh)


@pytest.mark.parametrize("average", [True, 250])
@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_early_stopping_judges_the_average(rows, optimizer, update, average):
    """And restores that of the best epoch."""
    X, classes = rows
    settings = {"average": average, "random_state": 0, "early_stopping": True, "max_iter": 8}
    model = make(optimizer, update, **settings, tol=None)
    model.fit(X[:100], classes[:100], X_val=X[100:], y_val=classes[100:])
    probabilities = model.predict_proba(X[100:])[np.arange(110), classes[100:]]
    best = np.argmax(model.validation_scores_)
    np.testing.assert_allclose(np.log(probabilities).mean(), model.validation_scores_[best])
    settings["max_iter"] = int(best) + 1
    twin = make(optimizer, update, **settings, tol=None)
    twin.fit(X[:100], classes[:100], X_val=X[100:], y_val=classes[100:])
    assert_same_model(model, twin)


@pytest.mark.parametrize(("optimizer", "update"), UPDATES)
def test_normalised_features(rows, optimizer, update):
    """The average is of the weights of the features over their sizes."""
    X, classes = rows
    size = abs(X).max(axis=0).toarray().ravel()
    settings = {"max_iter": 3, "tol": None, "random_state": 0}
    model = make(optimizer, update, normalize=True, **settings).fit(X, classes)
    twin = make(optimizer, update, **settings).fit(X @ sp.diags_array(1 / size), classes)
    assert relative_difference(model.coef_, twin.coef_ / size) < 1e-10
    other = np.random.default_rng(0).normal(size=model.coef_.shape)
    model.coef_ = other
    assert relative_difference(model.coef_, other) < 1e-10


@pytest.mark.parametrize("average", [0, False])
def test_off(rows, average):
    plain = AdaptiveSGDClassifier(random_state=0).fit(*rows)
    model = AdaptiveSGDClassifier(random_state=0, average=average).fit(*rows)
    assert_same_model(model, plain)
    assert "integral" not in model._model.records.dtype.names
