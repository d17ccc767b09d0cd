"""What the tests share."""

import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from pairs import leave_pairs

# `python -m pytest` puts the working directory first on the path. In a checkout that has the
# folder sk_adaptive/, which is not compiled: the tests are of the installed package.
CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != CHECKOUT]

# before the tests that loop over the registry, which it may add to
import reference  # noqa: E402, F401

from sk_adaptive.kernel.optimizers import OPTIMIZERS  # noqa: E402


@pytest.fixture(scope="session")
def zipf_rows():
    """Dense rows of Zipf features, some of them idle for nearly all of the time, and labels."""
    rng = np.random.default_rng(0)
    n, d = 2000, 40
    p = 1 / np.arange(1, d + 1) ** 1.5
    p /= p.sum()
    X = np.zeros((n, d))
    for i in range(n):
        features = np.unique(rng.choice(d, size=6, p=p))
        X[i, features] = rng.normal(size=features.size)
    X[:, -3:] = 0
    X[3, -1], X[n - 5, -1] = 1.0, 0.5
    X[100, -2], X[150, -2] = 1.0, -1.0
    X[2, -3] = 2.0
    y = np.where(X @ rng.normal(size=d) + rng.normal(size=n) > 0, 1, -1)
    return X, sp.csr_matrix(X), y


@pytest.fixture
def parameters(optimizer, sparse_update):
    """The mode of a test, see modes.py, as parameters of an estimator."""
    mode = {"optimizer": optimizer, "sparse_update": sparse_update}
    if sparse_update == "masked" and OPTIMIZERS[optimizer].forgets:
        # masked is exact where nothing ages: the second mode is one that forgets
        mode["rho"] = 0.95
    return mode


@pytest.fixture
def kernel_calls(monkeypatch):
    """Put a function around each call of the kernel's training."""

    # not before the path is right
    from sk_adaptive.training import steps

    def install(around):
        real = steps.kernel

        def kernel(dtype):
            def train(optimizer, training, rows, mixture, losses, kept):
                call = partial(real(dtype).train, mixture=mixture, losses=losses, kept=kept)
                return around(call, optimizer, training, rows)

            return SimpleNamespace(train=train)

        monkeypatch.setattr(steps, "kernel", kernel)

    return install


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    leave_pairs(items)
    # First, so that one worker of xdist has them all, and joblib's processes start once.
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)
