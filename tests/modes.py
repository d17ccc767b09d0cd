"""Every optimizer, and each form of its lazy updates, as parameters of a test.

Of `pytest.mark.pairs` a mode is one factor, which meets all values of each other. Where an
optimizer's arithmetic is not what is tested, optimizers and forms are two. The fixture
`parameters` has both as an estimator's.
"""

from itertools import product

import pytest

from sk_adaptive.kernel.optimizers import OPTIMIZERS

FORMS = ("exact", "masked")

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
every_form = pytest.mark.parametrize("sparse_update", FORMS)
every_mode = pytest.mark.parametrize(
    ("optimizer", "sparse_update"), list(product(OPTIMIZERS, FORMS))
)
