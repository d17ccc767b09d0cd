"""Outputs of one record may differ in their rate, penalty and eps."""

from types import SimpleNamespace

import numpy as np
import pytest
from comparison import relative_difference

from sk_adaptive import AdaptiveSGDRegressor, _state
from sk_adaptive._losses import SquaredError
from sk_adaptive._registry import OPTIMIZERS
from sk_adaptive._training import train_rows

RATES = (0.05, 0.2, 0.1, 0.02, 0.3)
L1 = (0.0, 0.01, 0.003, 0.02, 0.0)
L2 = (0.01, 0.0, 0.003, 0.02, 0.0)
EPS = (1e-3, 1e-2, 1e-1, 1e-3, 1.0)


def learned(rows, optimizer, batch_size, **numbers):
    """The weights of one output for each rate, all learning the same targets."""
    _, X, y = rows
    rates = np.atleast_1d(numbers.pop("eta0"))
    n_outputs = rates.size
    settings = _state.settings_of(AdaptiveSGDRegressor(optimizer=optimizer), _state.Units())
    settings |= {"l1": 0.0, "l2": 0.0, **numbers}
    state = _state.new_state(settings, tuple(rates), X.shape[1], n_outputs, np.float64)
    training = SimpleNamespace(
        data=X.data,
        indices=X.indices,
        indptr=X.indptr,
        targets=np.repeat(np.asarray(y, np.float64)[:, np.newaxis], n_outputs, axis=1),
        sample_weight=np.empty(0),
        class_weight=np.empty((0, 0)),
        loss=SquaredError(),
        n_outputs=n_outputs,
        batch_size=batch_size,
        fit_intercept=True,
    )
    model = _state.make_optimizer(state)
    train_rows(model, training, np.arange(X.shape[0], dtype=np.int64))
    _state.save_clock(state, model)
    return np.vstack([_state.coefficients(state).T, _state.intercepts(state)])


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_output_is_what_a_model_of_its_own_would_be(zipf_rows, optimizer, batch_size):
    by_output = {"eps": EPS}
    if not OPTIMIZERS[optimizer].decoupled:
        by_output |= {"l1": L1, "l2": L2}
    together = learned(zipf_rows, optimizer, batch_size, eta0=RATES, **by_output)
    for k, rate in enumerate(RATES):
        numbers = {name: values[k] for name, values in by_output.items()}
        alone = learned(zipf_rows, optimizer, batch_size, eta0=rate, **numbers)
        assert relative_difference(together[:, k], alone[:, 0]) < 1e-12, k


@pytest.mark.parametrize("optimizer", [name for name, spec in OPTIMIZERS.items() if spec.decoupled])
def test_momentum_of_outputs_that_decay_differently_is_refused(zipf_rows, optimizer):
    with pytest.raises(ValueError, match="different decays"):
        learned(zipf_rows, optimizer, 1, eta0=RATES, l2=L2)
