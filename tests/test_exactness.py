"""Lazy is exact: the kernels against the dense textbook algorithms.

The default run has 2,000 steps. `python -m pytest -m full` adds all settings on 12,000 steps,
during most of which some of the features are idle.
"""

from functools import partial
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

TOLERANCE = 1e-10
ETA0 = 0.1
RATES = {"constant": lambda t: ETA0, "invscaling": lambda t: ETA0 / t**0.5}
PENALTIES = {None: (0.0, 0.0), "l2": (0.0, 0.01), "l1": (0.01, 0.0), "elasticnet": (0.003, 0.007)}
EPS = [1e-10, 1e-8, 1e-3, 1e-1]
BETA_1 = [0.0, 0.8, 0.9, 0.95]
BETA_2 = [0.9, 0.99, 0.999, 0.9999]
BETAS = [(beta_1, beta_2) for beta_1, beta_2 in product(BETA_1, BETA_2) if beta_1 < beta_2**0.5]
FEW_EPS = [1e-10, 1e-3, 1e-1]
FEW_BETAS = [(0.0, 0.9), (0.9, 0.9), (0.9, 0.999), (0.95, 0.9999)]
CHARGED_BETAS = [(0.0, 0.9), (0.9, 0.999), (0.95, 0.9999)]


def settings_of(optimizer, eps=EPS, betas=BETAS):
    """All combinations of the numbers that an optimizer takes."""
    own = [{}]
    if "rho" in OPTIMIZERS[optimizer].parameters:
        own = [{"rho": rho} for rho in sorted({0.99, OPTIMIZERS[optimizer].parameters["rho"]})]
    elif OPTIMIZERS[optimizer].parameters:
        own = [{"beta_1": beta_1, "beta_2": beta_2} for beta_1, beta_2 in betas]
    return [{"eps": one, **other} for one, other in product(eps, own)]


def is_charged(optimizer, penalty):
    """Whether the textbook has no such penalty, so that our definition is the reference."""
    return penalty not in TWINS[optimizer].penalties


CASES = [
    (optimizer, penalty, schedule)
    for optimizer, penalty, schedule in product(OPTIMIZERS, PENALTIES, RATES)
    if schedule in OPTIMIZERS[optimizer].learning_rates
]
TEXTBOOK = [case for case in CASES if not is_charged(*case[:2])]
CHARGED = [case for case in CASES if is_charged(*case[:2])]


def dense_step(optimizer, penalty, schedule, settings, n_features, make=None):
    """The step of one dense model for each of the settings, see `reference.train`."""
    n_models = len(settings)
    numbers = {}
    for name in settings[0]:
        values = [one[name] for one in settings]
        numbers[name] = values[0] if len(set(values)) == 1 else np.tile(values, n_features + 1)
    if penalty is not None:
        numbers["l1"], numbers["l2"] = PENALTIES[penalty]
    if make is None and is_charged(optimizer, penalty):
        make = partial(TWINS[optimizer].charged, rate=RATES[schedule])
    make = make or TWINS[optimizer].dense
    return make((n_features + 1) * n_models, n_features * n_models, **numbers)


def check(
    data, step, settings, schedule, batch_size, penalty, stops, *, loss="log_loss", **parameters
):
    """Train lazily, with a look at the weights at each of the stops, and compare."""
    X, X_sparse, y = data
    expected = reference.train(
        step,
        X,
        y,
        loss,
        RATES[schedule],
        batch_size=batch_size,
        n_models=len(settings),
        record=stops,
    )
    make = AdaptiveSGDRegressor if loss == "squared_error" else AdaptiveSGDClassifier
    first = {} if loss == "squared_error" else {"classes": [-1, 1]}
    for k, one in enumerate(settings):
        model = make(
            loss=loss,
            penalty=penalty,
            alpha=0.01,
            l1_ratio=0.3,
            eta0=ETA0,
            learning_rate=schedule,
            batch_size=batch_size,
            **one,
            **parameters,
        )
        start = 0
        for stop, weights in zip(stops, expected, strict=True):
            rows = slice(start, stop * batch_size)
            model.partial_fit(X_sparse[rows], y[rows], **first)
            start = stop * batch_size
            assert relative_difference(weights_of(model), weights[k]) < TOLERANCE, (stop, one)


@pytest.mark.pairs("optimizer,penalty", "schedule", "batch_size")
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("optimizer", "penalty", "schedule"), TEXTBOOK)
def test_every_optimizer(zipf_rows, optimizer, penalty, schedule, batch_size):
    n_rows, n_features = zipf_rows[0].shape
    settings = settings_of(optimizer, FEW_EPS, FEW_BETAS)
    step = dense_step(optimizer, penalty, schedule, settings, n_features)
    stops = [1, 150, -(-n_rows // batch_size)]
    check(zipf_rows, step, settings, schedule, batch_size, penalty, stops, optimizer=optimizer)


@pytest.mark.pairs("optimizer,penalty", "schedule", "batch_size")
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("optimizer", "penalty", "schedule"), CHARGED)
def test_penalty_beside_momentum(zipf_rows, optimizer, penalty, schedule, batch_size):
    """The penalty charges an idle coefficient without its momentum tail."""
    n_rows = 300
    X, X_sparse, y = (rows[:n_rows] for rows in zipf_rows)
    for betas in CHARGED_BETAS:
        settings = settings_of(optimizer, [1e-8, 1e-1], [betas])
        step = dense_step(optimizer, penalty, schedule, settings, X.shape[1])
        stops = [1, -(-n_rows // batch_size)]
        data = X, X_sparse, y
        check(data, step, settings, schedule, batch_size, penalty, stops, optimizer=optimizer)


@pytest.mark.parametrize("loss", ["hinge", "squared_error"])
@every_optimizer
def test_other_losses(zipf_rows, optimizer, loss):
    """A row outside of the hinge's margin leaves all of its features idle."""
    n_rows, n_features = zipf_rows[0].shape
    settings = settings_of(optimizer, [1e-8], FEW_BETAS)
    schedule = schedule_for(optimizer)
    step = dense_step(optimizer, None, schedule, settings, n_features)
    check(zipf_rows, step, settings, schedule, 1, None, [n_rows], loss=loss, optimizer=optimizer)


@pytest.mark.parametrize(
    ("optimizer", "penalty", "schedule"),
    [case for case in CASES if case[1] and not OPTIMIZERS[case[0]].decoupled],
)
def test_where_nothing_is_idle_the_penalty_is_a_proximal_step(optimizer, penalty, schedule):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(250, 8))
    data = X, sp.csr_matrix(X), np.where(X[:, 0] + rng.normal(size=250) > 0, 1, -1)
    settings = settings_of(optimizer, FEW_EPS, FEW_BETAS)
    make = TWINS[optimizer].composite or TWINS[optimizer].dense
    step = dense_step(optimizer, penalty, schedule, settings, X.shape[1], make)
    check(data, step, settings, schedule, 1, penalty, [1, 250], optimizer=optimizer)


@pytest.mark.pairs
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@every_optimizer
def test_masked(zipf_rows, optimizer, penalty, batch_size):
    n_rows, n_features = zipf_rows[0].shape
    l1, l2 = PENALTIES[penalty]
    one, *_ = settings_of(optimizer, [1e-8], [(0.9, 0.999)])
    step = TWINS[optimizer].masked(n_features + 1, n_features, l1=l1, l2=l2, **one)
    check(
        zipf_rows,
        step,
        [one],
        "constant",
        batch_size,
        penalty,
        [-(-n_rows // batch_size)],
        optimizer=optimizer,
        sparse_update="masked",
    )


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_masked_is_exact_for_adagrad(zipf_rows, penalty, batch_size):
    _, X, y = zipf_rows
    parameters = {"penalty": penalty, "alpha": 0.01, "batch_size": batch_size}
    exact = AdaptiveSGDClassifier(**parameters).partial_fit(X, y, classes=[-1, 1])
    masked = AdaptiveSGDClassifier(sparse_update="masked", **parameters)
    assert_same_model(masked.partial_fit(X, y, classes=[-1, 1]), exact)


@pytest.mark.parametrize(
    "optimizer", [name for name, spec in OPTIMIZERS.items() if "beta_1" in spec.parameters]
)
def test_momentum_that_grows_while_idle_is_refused(zipf_rows, optimizer):
    _, X, y = zipf_rows
    for beta_1, beta_2 in product([*BETA_1, 0.99, 0.999], BETA_2):
        model = AdaptiveSGDClassifier(optimizer=optimizer, beta_1=beta_1, beta_2=beta_2, eta0=0.1)
        if (beta_1, beta_2) in BETAS:
            model.partial_fit(X, y, classes=[-1, 1])
        elif beta_1 >= beta_2**0.5:
            with pytest.raises(ValueError, match=r"beta_1 < sqrt\(beta_2\)"):
                model.partial_fit(X, y, classes=[-1, 1])
            model.set_params(sparse_update="masked").partial_fit(X, y, classes=[-1, 1])


# --- the long run ---

N_STEPS = 12_000


@pytest.fixture(scope="module", params=[1, 7])
def long_run(request):
    """A batch size and rows for N_STEPS steps. The last features are idle for most of them."""
    batch_size = request.param
    rng = np.random.default_rng(0)
    n_rows, n_features = N_STEPS * batch_size, 16
    p = 1 / np.arange(1, n_features + 1) ** 2.0
    drawn = rng.choice(n_features, size=(n_rows, 3), p=p / p.sum())
    X = np.zeros((n_rows, n_features))
    X[np.arange(n_rows)[:, np.newaxis], drawn] = rng.normal(size=drawn.shape)
    X[:, -4:] = 0
    for feature, steps in enumerate([(0, 11_500), (90, 91, 10_200, 11_990), (40,), (11_999,)]):
        X[np.array(steps) * batch_size, -1 - feature] = rng.normal(size=len(steps))
    y = np.where(X @ rng.normal(size=n_features) + rng.normal(size=n_rows) > 0, 1, -1)
    return batch_size, (X, sp.csr_matrix(X), y)


@pytest.mark.full
@pytest.mark.parametrize(("optimizer", "penalty", "schedule"), CASES)
def test_long_idle_features(long_run, optimizer, penalty, schedule):
    batch_size, data = long_run
    if is_charged(optimizer, penalty):
        # the sum of a tail at each step is dear
        groups = [settings_of(optimizer, [1e-8, 1e-1], [betas]) for betas in CHARGED_BETAS]
    else:
        groups = [settings_of(optimizer)]
    for settings in groups:
        step = dense_step(optimizer, penalty, schedule, settings, data[0].shape[1])
        stops = [1, 100, 10_000, N_STEPS]
        check(data, step, settings, schedule, batch_size, penalty, stops, optimizer=optimizer)
