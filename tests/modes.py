"""Every optimizer in every way of its lazy updates, as parameters of a test."""

import pytest

from sk_adaptive.kernel.optimizers import OPTIMIZERS

every_mode = pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(
            {"optimizer": optimizer, "sparse_update": sparse_update},
            id=f"{optimizer}-{sparse_update}",
        )
        for optimizer in OPTIMIZERS
        for sparse_update in ("exact", "masked")
    ],
)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
