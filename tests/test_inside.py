"""What can be seen of an optimizer: its moments and step sizes are those of the textbook."""

import pickle
from itertools import product

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from modes import every_optimizer
from reference import TWINS, schedule_for

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

ETA0 = 0.1
EPS = 1e-6
N_CLASSES = 3
PARAMETERS = {"rho": 0.95, "beta_1": 0.8, "beta_2": 0.99}
STOPS = (1, 60, 200)
STATES = [(name, update) for name, update in product(OPTIMIZERS, ("exact", "masked"))]


@pytest.fixture(scope="module")
def rows(zipf_rows):
    X, _, _ = zipf_rows
    X = X[: STOPS[-1]]
    rng = np.random.default_rng(1)
    classes = np.argmax(X @ rng.normal(size=(X.shape[1], N_CLASSES)), axis=1)
    assert np.unique(classes).size == N_CLASSES
    return X, classes


def oracle(optimizer, update, n_features, n_outputs):
    """The dense step for the coefficients of all outputs and the intercepts."""
    numbers = {name: PARAMETERS[name] for name in OPTIMIZERS[optimizer].parameters}
    n = (n_features + 1) * n_outputs, n_features * n_outputs
    if update == "masked":
        return TWINS[optimizer].masked(*n, eps=EPS, **numbers)
    return TWINS[optimizer].dense(*n, eps=EPS, **numbers)


def textbook_rate(optimizer, state, t, eta, eps=EPS):
    numbers = {name: PARAMETERS[name] for name in OPTIMIZERS[optimizer].parameters}
    return eta / TWINS[optimizer].metric(state, t, eps, **numbers)


def make(optimizer, update, make=AdaptiveSGDClassifier, **parameters):
    own = {name: PARAMETERS[name] for name in OPTIMIZERS[optimizer].parameters}
    fixed = {"eta0": ETA0, "eps": EPS, "learning_rate": schedule_for(optimizer), **own}
    return make(optimizer=optimizer, sparse_update=update, **{**fixed, **parameters})


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("optimizer", "update"), STATES)
def test_state_is_the_textbooks(rows, optimizer, update, dtype):
    """In the midst of training, for several outputs, and what has never occurred has zeros."""
    X, classes = rows
    X = X.astype(dtype)
    d = X.shape[1]
    model = make(optimizer, update, penalty=None)
    power = 0.5 if model.learning_rate == "invscaling" else 0.0

    def rate(t):
        return ETA0 / t**power

    start = 0
    for stop in STOPS:
        model.partial_fit(sp.csr_matrix(X[start:stop]), classes[start:stop], range(N_CLASSES))
        start = stop
        step = oracle(optimizer, update, d, N_CLASSES)
        reference.train_softmax(step, X[:stop].astype(float), classes, N_CLASSES, rate)
        tolerance = 1e-10 if dtype == np.float64 else 1e-4
        assert model.optimizer_state_.keys() == step.state.keys()
        state = {}
        for name, values in step.state.items():
            state[name] = values.reshape(d + 1, N_CLASSES)[:d].T
            actual = model.optimizer_state_[name]
            assert actual.shape == model.coef_.shape
            assert relative_difference(actual, state[name]) < tolerance
            assert not actual[:, ~X[:stop].any(axis=0)].any()
        expected = textbook_rate(optimizer, state, stop, rate(stop))
        actual = model.effective_learning_rate_
        assert actual.shape == model.coef_.shape
        np.testing.assert_allclose(actual, expected, rtol=tolerance * 10)


@pytest.mark.parametrize("penalty", [None, "l2", "elasticnet"])
@pytest.mark.parametrize(("optimizer", "update"), STATES)
def test_looking_changes_nothing(rows, optimizer, update, penalty):
    X, classes = rows
    models = [make(optimizer, update, penalty=penalty, alpha=0.01) for _ in range(2)]
    for start in range(0, len(X), 50):
        for model in models:
            model.partial_fit(X[start : start + 50], classes[start : start + 50], range(N_CLASSES))
        saved = pickle.dumps(models[0])
        before = {name: values.copy() for name, values in models[0].optimizer_state_.items()}
        for values in (*models[0].optimizer_state_.values(), models[0].effective_learning_rate_):
            assert np.isfinite(values).all()
            with pytest.raises(ValueError, match="read-only"):
                values[...] = 1
        with pytest.raises(TypeError):
            models[0].optimizer_state_["first_moment"] = 1
        reloaded = pickle.loads(saved).optimizer_state_
        for name, values in before.items():
            np.testing.assert_array_equal(models[0].optimizer_state_[name], values)
            np.testing.assert_array_equal(reloaded[name], values)
        assert_same_model(*models)


@pytest.mark.parametrize(("optimizer", "update"), STATES)
def test_shape_is_that_of_coef(rows, optimizer, update):
    X, classes = rows
    regressor = make(optimizer, update, AdaptiveSGDRegressor).fit(X, classes)
    sparse = make(optimizer, update).fit(X, classes).sparsify()
    for model in (regressor, sparse):
        for values in (*model.optimizer_state_.values(), model.effective_learning_rate_):
            assert isinstance(values, np.ndarray)
            assert values.shape == model.coef_.shape


@pytest.mark.parametrize(("optimizer", "update"), STATES)
def test_before_the_first_step(rows, optimizer, update):
    X, classes = rows
    model = make(optimizer, update)
    for name in ("optimizer_state_", "effective_learning_rate_"):
        assert not hasattr(model, name)
    model.partial_fit(X, classes, range(N_CLASSES), sample_weight=np.zeros(len(X)))
    for values in model.optimizer_state_.values():
        assert not values.any()
    largest = textbook_rate(optimizer, model.optimizer_state_, 1, ETA0)
    np.testing.assert_allclose(model.effective_learning_rate_, largest)


@pytest.mark.parametrize(("optimizer", "update"), STATES)
def test_new_settings_leave_the_moments(rows, optimizer, update):
    X, classes = rows
    model = make(optimizer, update, learning_rate="constant")
    model.partial_fit(X, classes, range(N_CLASSES))
    before, coef = model.optimizer_state_, model.coef_
    model.set_params(eta0=2 * ETA0, eps=100 * EPS)
    model.partial_fit(X, classes, sample_weight=np.zeros(len(X)))
    assert relative_difference(model.coef_, coef) < 1e-6
    for name, values in model.optimizer_state_.items():
        if name != TWINS[optimizer].moment_of_weight:
            np.testing.assert_allclose(values, before[name], rtol=1e-9, atol=1e-15)
    expected = textbook_rate(optimizer, before, len(X), 2 * ETA0, 100 * EPS)
    np.testing.assert_allclose(model.effective_learning_rate_, expected, rtol=1e-9)


@every_optimizer
@pytest.mark.parametrize("estimator", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_what_is_handed_out_as_a_copy_is_read_only(rows, estimator, optimizer, n_outputs):
    """A change of one element would be lost: it raises instead. Assigning is for changes."""
    X, classes = rows
    y = classes > 0 if n_outputs == 1 else np.eye(3)[classes % 3]
    model = estimator(optimizer=optimizer).partial_fit(
        X,
        y,
        **({"classes": [0, 1]} if estimator is AdaptiveSGDClassifier and n_outputs == 1 else {}),
    )
    before = pickle.dumps(model)
    arrays = []
    for form in (model.densify, model.sparsify):
        form()
        for name in [name for name in dir(model) if name.endswith("_") and name[0] != "_"]:
            # what is in the dict of the estimator is no copy
            value = None if name in vars(model) else getattr(model, name, None)
            parts = value.values() if hasattr(value, "values") else [value]
            for part in parts:
                arrays += [part.data, part.indices, part.indptr] if sp.issparse(part) else [part]
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    # coef_ twice, of which one has three arrays, intercept_, the rate and the moments
    assert len(arrays) >= 2 * 3 + 2
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    with pytest.raises(ValueError, match="read-only"):
        model.intercept_ += 1
    assert pickle.dumps(model.densify()) == before
    model.intercept_ = model.intercept_ + 1
    assert pickle.dumps(model) != before
