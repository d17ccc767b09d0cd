"""The kernel is compiled for several sets of instructions: all of them learn the same."""

import numpy as np
import pytest
from comparison import relative_difference

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive._cpu import instruction_sets
from sk_adaptive._registry import OPTIMIZERS, kernel

# Of each precision: its rounding, times what the steps of an epoch may make of it.
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-3}


@pytest.fixture
def use(monkeypatch):
    """A function that makes models use a set of instructions."""

    def choose(instruction_set):
        monkeypatch.setenv("SK_ADAPTIVE_KERNEL", instruction_set)
        kernel.cache_clear()
        return kernel(np.float64).__name__

    yield choose
    kernel.cache_clear()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_all_sets_learn_the_same(optimizer, sparse_update, dtype, use, zipf_rows):
    _, X, y = zipf_rows
    # several outputs and batches have loops of their own
    several = np.where(X[:, 0].toarray().ravel() > 0.5, 2, y)
    for penalty, batch_size, target in (
        ("l2", 1, y),
        (None, 1, y),
        ("elasticnet", 1, y),
        ("l2", 16, y),
        ("l2", 1, several),
    ):
        learned = {}
        for instruction_set in instruction_sets():
            name = use(instruction_set)
            model = AdaptiveSGDClassifier(
                optimizer=optimizer,
                sparse_update=sparse_update,
                penalty=penalty,
                alpha=1e-3,
                l1_ratio=0.2,
                batch_size=batch_size,
                max_iter=1,
                tol=None,
                random_state=0,
            )
            learned[name] = model.fit(X.astype(dtype), target).coef_
        first, *others = learned.values()
        for other in others:
            assert relative_difference(other, first) < TOLERANCE[dtype]


def test_each_set_has_a_kernel_and_unknown_ones_are_refused(use):
    names = {use(instruction_set) for instruction_set in instruction_sets()}
    assert f"sk_adaptive._kernel_float64_{instruction_sets()[-1]}" in names
    with pytest.raises(ImportError, match=r"SK_ADAPTIVE_KERNEL='altivec'"):
        use("altivec")
