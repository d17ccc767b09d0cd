"""Outputs of one record may differ in rate, memory, penalty and eps: models by themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
from comparison import relative_difference
from modes import every_optimizer

from sk_adaptive import AdaptiveSGDRegressor
from sk_adaptive.kernel._losses import LogLoss, MultinomialLogLoss
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.model.hyperparameters import Scales, hyperparameters_of
from sk_adaptive.model.model import Model
from sk_adaptive.training.steps import learn_all

RATES = (0.05, 0.2, 0.1, 0.02, 0.3)
L1 = (0.0, 0.01, 0.003, 0.02, 0.0)
L2 = (0.01, 0.0, 0.003, 0.02, 0.0)
EPS = (1e-3, 1e-2, 1e-1, 1e-3, 1.0)
RHO = (1.0, 0.9, 0.99, 0.0, 1.0)


def learned(rows, optimizer, batch_size, n_classes, **numbers):
    """Weights and losses of a model for each rate, all learning the same classes."""
    _, X, y = rows
    rates = np.repeat(numbers["eta0"], n_classes)
    hyperparameters = hyperparameters_of(AdaptiveSGDRegressor(optimizer=optimizer), Scales(), 0.0)
    by_output = {name: tuple(np.repeat(values, n_classes)) for name, values in numbers.items()}
    by_output = {"l1": 0.0, "l2": 0.0, **by_output}
    if "rho" in by_output:
        by_output["parameters"] = {"rho": by_output.pop("rho")}
    model = Model(hyperparameters.with_numbers(**by_output), X.shape[1], rates.size, np.float64)
    classes = np.arange(X.shape[0]) % n_classes
    training = SimpleNamespace(
        data=X.data,
        indices=X.indices,
        indptr=X.indptr.astype(np.int64),
        targets=(y if n_classes == 1 else classes)[:, np.newaxis].astype(np.float64),
        sample_weight=np.empty(0),
        offset=np.empty((0, 0)),
        class_weight=np.linspace(0.5, 2, 2 * n_classes).reshape(2, n_classes),
        loss=LogLoss() if n_classes == 1 else MultinomialLogLoss(),
        n_outputs=n_classes,
        batch_size=batch_size,
        fit_intercept=True,
    )
    losses = learn_all(model, training, np.arange(X.shape[0], dtype=np.int64))
    weights = np.vstack([model.coefficients().T, model.intercepts()])
    return np.split(weights, rates.size // n_classes, axis=1), losses.reshape(-1, n_classes).sum(
        axis=1
    )


@pytest.mark.parametrize("n_classes", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7])
@every_optimizer
def test_models_side_by_side_are_what_each_would_be_alone(
    zipf_rows, optimizer, batch_size, n_classes
):
    numbers = {"eta0": RATES, "eps": EPS}
    if not OPTIMIZERS[optimizer].decoupled:
        numbers |= {"l1": L1, "l2": L2}
    if OPTIMIZERS[optimizer].forgets:
        numbers |= {"rho": RHO}
    together, losses = learned(zipf_rows, optimizer, batch_size, n_classes, **numbers)
    for k in range(len(RATES)):
        of_one = {name: values[k : k + 1] for name, values in numbers.items()}
        alone, loss = learned(zipf_rows, optimizer, batch_size, n_classes, **of_one)
        assert relative_difference(together[k], alone[0]) < 1e-12, k
        assert losses[k] == pytest.approx(loss[0], rel=1e-12), k


@pytest.mark.parametrize("optimizer", [name for name, spec in OPTIMIZERS.items() if spec.decoupled])
def test_momentum_of_outputs_that_decay_differently_is_refused(zipf_rows, optimizer):
    with pytest.raises(ValueError, match="different decays"):
        learned(zipf_rows, optimizer, 1, 1, eta0=RATES, l2=L2)
