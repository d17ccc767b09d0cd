"""The oracle itself: the dense reference against torch's dense optimizers."""

import numpy as np
import pytest
from comparison import relative_difference
from reference import TWINS

from sk_adaptive.kernel.optimizers import OPTIMIZERS

torch = pytest.importorskip("torch")

N_COORDINATES = 30
N_STEPS = 400
ETA0 = 0.1


@pytest.mark.parametrize("power_t", [0.0, 0.5])
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if TWINS[name].torch])
def test_reference_is_the_textbook(optimizer, power_t):
    twin = TWINS[optimizer]
    torch_name, torch_settings, settings = twin.torch
    rng = np.random.default_rng(0)
    start = rng.normal(size=N_COORDINATES)
    occurs = 1 / np.arange(1, N_COORDINATES + 1)

    w = start.copy()
    step = twin.dense(N_COORDINATES, N_COORDINATES, **settings)
    tensor = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    peer = getattr(torch.optim, torch_name)([tensor], lr=ETA0, **torch_settings)
    for t in range(1, N_STEPS + 1):
        # Each at its own weights, so that a difference would grow.
        touched = rng.random(N_COORDINATES) < occurs
        target = rng.normal(size=N_COORDINATES)
        eta = ETA0 / t**power_t
        step(w, touched * (w - target), eta, t)
        peer.param_groups[0]["lr"] = eta
        with torch.no_grad():
            tensor.grad = torch.from_numpy(touched) * (tensor - torch.from_numpy(target))
        peer.step()
    assert relative_difference(tensor.detach().numpy(), w) < 1e-10
    # it has gone somewhere
    assert relative_difference(start, w) > 0.05
