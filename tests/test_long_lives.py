"""Models that have seen more steps than 32 bits, or a double, can count."""

import copy
from itertools import product

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of
from modes import every_optimizer
from reference import TWINS, schedule_for

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

# those whose dense reference has a penalty
PENALISED = [name for name in OPTIMIZERS if "l2" in TWINS[name].penalties]
NUMBERS = {"rho": 0.99, "beta_1": 0.9, "beta_2": 0.999, "eps": 1e-8}


def with_state(model, **changes):
    """A copy of the model with other entries of its state, or of its state's clock."""
    attributes = copy.deepcopy(model.__getstate__())
    state = attributes["_model"]
    for name, value in changes.items():
        (state["clock"] if name in state["clock"].dtype.names else state)[name] = value
    changed = type(model).__new__(type(model))
    changed.__setstate__(attributes)
    return changed


def dense_step(optimizer, n_features, **strengths):
    own = {name: NUMBERS[name] for name in ("eps", *OPTIMIZERS[optimizer].parameters)}
    return TWINS[optimizer].dense(n_features + 1, n_features, **own, **strengths)


@pytest.mark.parametrize("begin", [2**31 - 5, 2**53 - 100])
@pytest.mark.parametrize(
    ("optimizer", "alpha", "power_t"),
    [
        (optimizer, alpha, power_t)
        for optimizer, alpha, power_t in product(OPTIMIZERS, (0.0, 0.01), (0.0, 0.05))
        if (optimizer in PENALISED or not alpha)
        and (schedule_for(optimizer) == "invscaling" or not power_t)
    ],
)
def test_late_steps(zipf_rows, optimizer, alpha, power_t, begin):
    """Those of the textbook with such a t, which has no bias to correct any more."""
    X, X_sparse, y = (rows[:400] for rows in zipf_rows)
    eta0 = 0.1 * begin**power_t
    step = dense_step(optimizer, X.shape[1], **({"l2": alpha} if alpha else {}))
    expected = reference.train(
        lambda w, g, eta, t: step(w, g, eta, float(begin + t)),
        X,
        y,
        "log_loss",
        lambda t: eta0 / float(begin + t) ** power_t,
    )[0]
    model = AdaptiveSGDClassifier(
        optimizer=optimizer,
        alpha=alpha,
        eta0=eta0,
        learning_rate="invscaling" if power_t else "constant",
        power_t=power_t,
        **NUMBERS,
    )
    # no step yet, but a state
    model.partial_fit(X_sparse, y, classes=[-1, 1], sample_weight=np.zeros(len(y)))
    model = with_state(model, t=begin)
    for start in range(0, len(y), 100):
        rows = slice(start, start + 100)
        model.partial_fit(X_sparse[rows], y[rows])
        assert model.t_ == begin + start + 101
    assert relative_difference(weights_of(model), expected) < 1e-10


@every_optimizer
@pytest.mark.parametrize("penalised", [False, True])
def test_a_billion_idle_steps(zipf_rows, optimizer, penalised):
    """What they do to a feature is a closed form: the clock alone has to move."""
    if penalised and optimizer not in PENALISED:
        pytest.skip(f"the reference of {optimizer} has no penalty")
    n_steps, block = 10**9, 1000
    X, X_sparse, y = (rows[:300] for rows in zipf_rows)
    # that of adagrad is divided by the root of its sum of squares
    alpha = 1e-8 if penalised else 0.0
    # Two blocks of idle steps, step by step: momentum is gone after the first, and the
    # second shows what each of the others does.
    idle = np.zeros((2 * block, X.shape[1]))
    step = dense_step(optimizer, X.shape[1], **({"l2": alpha} if penalised else {}))
    after = reference.train(
        step,
        np.vstack([X, idle]),
        np.append(y, np.resize([-1, 1], 2 * block)),
        "log_loss",
        lambda t: 0.1,
        record=[len(y), len(y) + block, len(y) + 2 * block],
    )
    now, first, second = (weights[0, :-1] for weights in after)
    seen = first != 0
    n_blocks = n_steps / block - 2
    factor = np.divide(second, first, out=np.ones_like(first), where=seen)
    if OPTIMIZERS[optimizer].weight_is_derived:
        # the inverse grows by as much in each block
        expected = second / (1 + n_blocks * (1 - factor))
    else:
        expected = second * factor**n_blocks
    model = AdaptiveSGDClassifier(optimizer=optimizer, alpha=alpha, eta0=0.1, **NUMBERS)
    model.partial_fit(X_sparse, y, classes=[-1, 1])
    assert relative_difference(model.coef_[0], now) < 1e-10
    state = model.__getstate__()["_model"]
    one_more = copy.deepcopy(model).partial_fit(sp.csr_matrix((1, X.shape[1])), [1])
    total = state["clock"]["learning_rate_sum"]
    charge = one_more.__getstate__()["_model"]["clock"]["learning_rate_sum"] - total
    later = with_state(
        model,
        t=state["clock"]["t"] + n_steps,
        learning_rate_sum=total + n_steps * charge,
    )
    assert relative_difference(later.coef_[0], expected) < 1e-7
    if penalised:
        assert relative_difference(later.coef_[0], now) > 0.01
    # a touch finds the same
    row = sp.csr_matrix(np.ones((1, X.shape[1])))
    margin = later.decision_function(row)
    np.testing.assert_allclose(margin, expected.sum() + later.intercept_, rtol=1e-6)
    later.partial_fit(row, [-1 if margin > 0 else 1])
    assert later.t_ == n_steps + len(y) + 2
    assert abs(later.decision_function(row) - margin) > 1e-3


# --- single precision, of a feature touched so often that its steps are tiny ---


every_late_optimizer = pytest.mark.parametrize(
    "accumulating", [name for name, spec in OPTIMIZERS.items() if not spec.ages]
)


def late_record(optimizer, coef, G):
    """What a record has of a coefficient whose squared gradients are G in all."""
    if OPTIMIZERS[optimizer].weight_is_derived:
        return {"scaled_z": -coef * np.sqrt(G), "root_n": np.sqrt(G)}
    return {"coef": coef, "inverse_root": 1 / np.sqrt(G)}


def late_model(optimizer, estimator, dtype, coef, G, **parameters):
    """A model of one feature, with its rows."""
    n_rows = 500_000
    X = sp.csr_matrix(np.ones((n_rows, 1), dtype))
    model = estimator(
        optimizer=optimizer, eta0=0.1, penalty=None, fit_intercept=False, **parameters
    )
    first = {"classes": [0, 1]} if estimator is AdaptiveSGDClassifier else {}
    model.partial_fit(X[:2], [0, 1], **first)
    records = model.__getstate__()["_model"]["records"].copy()
    for name, value in late_record(optimizer, coef, G).items():
        records[name] = value
    return with_state(model, records=records), X


@every_late_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sum_of_squares_goes_on_growing(accumulating, dtype):
    G = 5e7
    model, X = late_model(
        accumulating, AdaptiveSGDRegressor, dtype, 0.0, G, loss="epsilon_insensitive", epsilon=0.0
    )
    n_rows = X.shape[0]
    # gradients of -1 and 1
    model.partial_fit(X, np.resize([-1e6, 1e6], n_rows))
    (*_, squares) = model.optimizer_state_.values()
    np.testing.assert_allclose(squares - G, n_rows, rtol=0.05)


@every_late_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_small_steps_weigh_as_much_as_few_large_ones(accumulating, dtype):
    """Steps of the frequent class are of the size of the weight's rounding, the others are not."""
    p = 0.01
    coef = np.log(p / (1 - p))
    y = (np.random.default_rng(0).random(500_000) < p).astype(int)
    truth, X = late_model(accumulating, AdaptiveSGDClassifier, np.float64, coef, 1e7)
    truth.partial_fit(X, y)
    model, X = late_model(accumulating, AdaptiveSGDClassifier, dtype, coef, 1e7)
    model.partial_fit(X, y)
    assert abs(truth.coef_ - coef) > 1e-4
    np.testing.assert_allclose(model.coef_, truth.coef_, atol=1e-4)


@every_optimizer
@pytest.mark.parametrize("power_t", [0.0, 0.25])
def test_whoever_writes_the_clock_is_heeded(zipf_rows, optimizer, power_t):
    """An optimizer that has been at work keeps no time of its own."""
    if power_t and schedule_for(optimizer) != "invscaling":
        pytest.skip(f"{optimizer} has no such schedule")
    _, X, y = (rows[:400] for rows in zipf_rows)
    model = AdaptiveSGDClassifier(
        optimizer=optimizer,
        eta0=0.1,
        alpha=1e-3,
        learning_rate="invscaling" if power_t else "constant",
        power_t=power_t,
        average=True,
    )
    model.partial_fit(X, y, classes=[-1, 1])
    clock = model._model.clock
    later = {"t": int(clock["t"]) + 100, "learning_rate_sum": float(clock["learning_rate_sum"]) * 2}
    twin = with_state(model, **later)
    for name, value in later.items():
        clock[name] = value
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))
