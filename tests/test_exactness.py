"""Lazy is exact: the kernels against the dense textbook algorithms."""

import numpy as np
import pytest
import reference

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive._registry import OPTIMIZERS

ETA0 = 0.1
RATES = {"constant": lambda t: ETA0, "invscaling": lambda t: ETA0 / t**0.5}
PENALTIES = {None: (0.0, 0.0), "l2": (0.0, 0.01), "l1": (0.01, 0.0), "elasticnet": (0.003, 0.007)}


def difference(data, step, schedule, batch_size, penalty, **parameters):
    X, X_sparse, y = data
    model = AdaptiveSGDClassifier(
        penalty=penalty,
        alpha=0.01,
        l1_ratio=0.3,
        eta0=ETA0,
        learning_rate=schedule,
        batch_size=batch_size,
        **parameters,
    ).partial_fit(X_sparse, y, classes=[-1, 1])
    weights = np.append(model.coef_.ravel(), model.intercept_)
    expected = reference.train(step, X, y, "log_loss", RATES[schedule], batch_size=batch_size)
    return np.max(np.abs(weights - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("eps", [1e-10, 1e-8, 1e-3, 1e-1])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("schedule", RATES)
@pytest.mark.parametrize("optimizer", ["adagrad", "rmsprop"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_without_momentum(zipf_rows, optimizer, penalty, schedule, batch_size, eps):
    d = zipf_rows[0].shape[1]
    l1, l2 = PENALTIES[penalty]
    memory = {"rho": 0.99} if optimizer == "rmsprop" else {}
    step = getattr(reference, optimizer)(d + 1, d, eps=eps, l1=l1, l2=l2, **memory)
    error = difference(zipf_rows, step, schedule, batch_size, penalty, optimizer=optimizer, eps=eps)
    assert error < 1e-10


@pytest.mark.parametrize("eps", [1e-10, 1e-3, 1e-1])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("schedule", RATES)
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.9), (0.9, 0.9), (0.95, 0.9999)])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_with_momentum(zipf_rows, optimizer, betas, schedule, batch_size, eps):
    d = zipf_rows[0].shape[1]
    parameters = {"eps": eps, "beta_1": betas[0], "beta_2": betas[1]}
    penalty = "l2" if optimizer == "adamw" else None
    decay = {"l2": 0.01} if optimizer == "adamw" else {}
    step = getattr(reference, optimizer)(d + 1, d, **parameters, **decay)
    error = difference(
        zipf_rows, step, schedule, batch_size, penalty, optimizer=optimizer, **parameters
    )
    assert error < 1e-10


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked(zipf_rows, optimizer, penalty):
    d = zipf_rows[0].shape[1]
    l1, l2 = PENALTIES[penalty]
    step = reference.masked(
        optimizer, d + 1, d, eps=1e-8, l1=l1, l2=l2, rho=0.99, beta_1=0.9, beta_2=0.999
    )
    error = difference(
        zipf_rows,
        step,
        "constant",
        1,
        penalty,
        optimizer=optimizer,
        sparse_update="masked",
        eps=1e-8,
    )
    assert error < 1e-10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_chunks_equal_the_whole_bit_for_bit(zipf_rows, optimizer, batch_size):
    _, X, y = zipf_rows
    parameters = {
        "optimizer": optimizer,
        "batch_size": batch_size,
        "eta0": 0.05,
        "shuffle": False,
    }
    whole = AdaptiveSGDClassifier(**parameters).partial_fit(X, y, classes=[-1, 1])
    epoch = AdaptiveSGDClassifier(max_iter=1, tol=None, **parameters).fit(X, y)
    chunks = AdaptiveSGDClassifier(**parameters)
    for start in range(0, X.shape[0], 15):
        rows = slice(start, start + 15)
        chunks.partial_fit(X[rows], y[rows], classes=[-1, 1])
        chunks.coef_  # noqa: B018 - reading must change nothing
    np.testing.assert_array_equal(chunks.coef_, whole.coef_)
    np.testing.assert_array_equal(epoch.coef_, whole.coef_)
    np.testing.assert_array_equal(chunks.intercept_, whole.intercept_)
