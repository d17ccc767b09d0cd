"""Which set of instructions is in use, and what models learn with it, for test_kernels.py."""

import sys
from itertools import product

import numpy as np
import reference  # noqa: F401, which may add to the registry
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel import _kernel_float32, _kernel_float64
from sk_adaptive.kernel.optimizers import OPTIMIZERS

# several outputs and batches have loops of their own
CASES = {
    "l2": {"penalty": "l2"},
    "none": {"penalty": None},
    "elasticnet": {"penalty": "elasticnet"},
    "batches": {"penalty": "l2", "batch_size": 16},
    "several": {"penalty": "l2"},
}


def learn(X, y):
    """Coefficients by the names of their parameters."""
    several = np.where(X[:, 0].toarray().ravel() > 0.5, 2, y)
    return {
        f"{optimizer} {sparse_update} {dtype} {case}": AdaptiveSGDClassifier(
            optimizer=optimizer,
            sparse_update=sparse_update,
            alpha=1e-3,
            l1_ratio=0.2,
            max_iter=1,
            tol=None,
            random_state=0,
            **parameters,
        )
        .fit(X.astype(dtype), several if case == "several" else y)
        .coef_
        for optimizer, sparse_update, dtype, (case, parameters) in product(
            OPTIMIZERS, ("exact", "masked"), ("float32", "float64"), CASES.items()
        )
    }


if __name__ == "__main__":
    for module in (_kernel_float32, _kernel_float64):
        print(module.INSTRUCTION_SET, module.N_LANES)
    given, learned = sys.argv[1:]
    with np.load(given) as arrays:
        np.savez(learned, **learn(sp.csr_matrix(arrays["X"]), arrays["y"]))
