"""The oracle itself: the dense reference against torch's dense optimizers."""

import numpy as np
import pytest
import reference
from comparison import relative_difference

torch = pytest.importorskip("torch")

N_COORDINATES = 30
N_STEPS = 400
ETA0 = 0.1
MOMENTUM = {"beta_1": 0.9, "beta_2": 0.99}


def adamw(parameters, **settings):
    return torch.optim.AdamW(parameters, weight_decay=0.05, **settings)


# torch adds AdaGrad's eps outside the root and the reference inside: they are the same
# where eps is too small to change any sum of squares. It can't be 0, for coordinates without a
# gradient so far.
CASES = {
    "adagrad": (torch.optim.Adagrad, {"eps": 1e-300}, {"eps": 1e-300}),
    "rmsprop": (
        torch.optim.RMSprop,
        {"alpha": 0.95, "eps": 1e-3},
        {"rho": 0.95, "eps": 1e-3},
    ),
    "adam": (torch.optim.Adam, {"betas": (0.9, 0.99), "eps": 1e-3}, {**MOMENTUM, "eps": 1e-3}),
    "adamw": (adamw, {"betas": (0.9, 0.99), "eps": 1e-3}, {**MOMENTUM, "eps": 1e-3, "l2": 0.05}),
}


@pytest.mark.parametrize("power_t", [0.0, 0.5])
@pytest.mark.parametrize("optimizer", CASES)
def test_reference_is_the_textbook(optimizer, power_t):
    make_torch, torch_settings, settings = CASES[optimizer]
    rng = np.random.default_rng(0)
    start = rng.normal(size=N_COORDINATES)
    occurs = 1 / np.arange(1, N_COORDINATES + 1)

    w = start.copy()
    step = getattr(reference, optimizer)(N_COORDINATES, N_COORDINATES, **settings)
    tensor = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    peer = make_torch([tensor], lr=ETA0, **torch_settings)
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
