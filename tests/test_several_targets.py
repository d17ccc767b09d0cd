"""Several targets are learned as each would be alone: rate, eps, penalty, share of the loss."""

import pickle
import warnings

import numpy as np
import pytest
from comparison import assert_same_model, relative_difference
from modes import every_form, every_mode, every_optimizer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from sk_adaptive import AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

UNITS = [1e6, 1.0, 1e-3]


def rows_of(seed=0, units=UNITS):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 12)) * (rng.random((1500, 12)) < 0.5)
    y = X @ rng.normal(size=(12, 3)) + 0.1 * rng.normal(size=(1500, 3))
    return X, y * units


def alone(optimizer, tolerance=1e-9):
    """How far the coefficients of single targets may be from those of the same beside others."""
    # the decay of adamw is one for all targets, and their rates are powers of 2 of one
    return 0.3 if OPTIMIZERS[optimizer].decoupled else tolerance


@pytest.mark.pairs
@every_form
@every_optimizer
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"alpha": 1e-4, "penalty": "elasticnet"},
        {"eps": 1e-4, "batch_size": 7},
        {"average": True},
        {"loss": "poisson"},
        {"learning_rate": "invscaling", "power_t": 0.1},
    ],
)
def test_each_is_what_it_would_be_alone(optimizer, sparse_update, parameters):
    X, y = rows_of()
    if parameters.get("loss") == "poisson":
        y = np.abs(y) / UNITS * [30, 1, 0.2]
    if parameters.get("learning_rate", "constant") not in OPTIMIZERS[optimizer].learning_rates:
        pytest.skip(f"{optimizer} has no such schedule")
    if OPTIMIZERS[optimizer].decoupled and "alpha" in parameters:
        pytest.skip("a number is refused as the decay of the largest target")
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, **parameters}
    fixed = {"max_iter": 3, "tol": None, "random_state": 0}
    model = AdaptiveSGDRegressor(**mode, **fixed).fit(X, y)
    stream = AdaptiveSGDRegressor(**mode).partial_fit(X, y)._model
    for k in range(3):
        one = AdaptiveSGDRegressor(**mode, **fixed).fit(X, y[:, k])
        assert relative_difference(model.coef_[k], one.coef_) < alone(optimizer)
        one = AdaptiveSGDRegressor(**mode).partial_fit(X, y[:, k])._model
        if OPTIMIZERS[optimizer].decoupled:
            continue
        # of the rates side by side those that lead somewhere
        features, places = stream.all_features(), np.arange(4)
        of_target = stream.part(3 * places + k, features).coefficients()
        for actual, expected in zip(
            of_target, one.part(places, features).coefficients(), strict=True
        ):
            assert relative_difference(actual, expected) < alone(optimizer)


@pytest.mark.values
@every_mode
@pytest.mark.parametrize("seed", range(3))
def test_units_of_targets_do_not_matter(optimizer, sparse_update, seed):
    X, y = rows_of(seed)
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    models = [
        AdaptiveSGDRegressor(**mode, random_state=0).fit(X[:1000], y[:1000]),
        AdaptiveSGDRegressor(**mode).partial_fit(X[:1000], y[:1000]),
        AdaptiveSGDRegressor(**mode, eta0="search").partial_fit(X[:1000], y[:1000]),
    ]
    for model in models:
        predicted = model.predict(X[1000:])
        scores = r2_score(y[1000:], predicted, multioutput="raw_values")
        assert scores.min() > 0.92


@pytest.mark.parametrize("powers", [(40, 0, -30), (3, 3, 3)])
def test_other_units_are_the_same_bits(powers):
    X, y = rows_of()
    factors = 2.0 ** np.array(powers)
    parameters = {"early_stopping": True, "max_iter": 5, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AdaptiveSGDRegressor(**parameters).fit(X, y)
        scaled = AdaptiveSGDRegressor(**parameters).fit(X, factors * y)
    np.testing.assert_allclose(scaled.coef_ / factors[:, np.newaxis], model.coef_, rtol=1e-9)
    assert scaled.n_iter_ == model.n_iter_


def test_each_has_its_share_in_the_loss():
    X, y = rows_of()
    _, noise = rows_of(1)
    # two targets are noise; the third one is told by the rows set aside as if it were alone
    y[:, :2] = noise[:, :2]
    given = {"X_val": X[1000:], "y_val": y[1000:]}
    parameters = {"random_state": 0, "max_iter": 3, "tol": None}
    model = AdaptiveSGDRegressor(**parameters).fit(X[:1000], y[:1000], **given)
    in_units = AdaptiveSGDRegressor(**parameters).fit(
        X[:1000], y[:1000] / UNITS, X_val=X[1000:], y_val=y[1000:] / UNITS
    )
    ratio = np.array(model.validation_scores_) / in_units.validation_scores_
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.05)


@pytest.mark.parametrize("eta0", ["auto", "search"])
def test_a_stream_goes_on_after_it_was_saved(eta0):
    X, y = rows_of()
    stream = AdaptiveSGDRegressor(eta0=eta0).partial_fit(X[:500], y[:500])
    loaded = pickle.loads(pickle.dumps(stream))
    for model in (stream, loaded):
        model.partial_fit(X[500:], y[500:])
    assert_same_model(loaded, stream)
    assert loaded.progressive_loss_ == stream.progressive_loss_
    assert loaded.eps_.shape == (3,)
    for values in (*stream.optimizer_state_.values(), stream.effective_learning_rate_):
        assert values.shape == (3, 12)
        assert np.isfinite(values).all()


def test_a_constant_target_has_no_say():
    X, y = rows_of()
    y[:, 1] = 0
    model = AdaptiveSGDRegressor(random_state=0).fit(X, y)
    assert not model.predict(X)[:, 1].any()
    scores = r2_score(y[:, [0, 2]], model.predict(X)[:, [0, 2]], multioutput="raw_values")
    assert scores.min() > 0.95


def test_the_rate_of_a_single_target_is_a_number():
    X, y = rows_of()
    for target in (y[:, 0], y[:, :1]):
        model = AdaptiveSGDRegressor(random_state=0).fit(X, target)
        assert isinstance(model.eps_, float)
        assert isinstance(model.eta0_, float)
