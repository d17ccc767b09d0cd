"""The measurements of peers.py. Each part takes the options and returns a list of flat dicts."""

from functools import cache, partial

import _data
import _timing
import numpy as np
import scipy.sparse as sp
from _floor import Floor

from sk_adaptive import AdaptiveSGDClassifier

# -- rows --


@cache
def generated(name, quick):
    """The rows of 'text' or 'clicks'."""
    if name == "text":
        return _data.zipf_text(2000 if quick else 200_000, 1 << 18)
    return _data.click_like(3000 if quick else 1_000_000, 1 << 22, n_columns=39)


def as_precision(X, precision):
    """X with values of another type, sharing the rest."""
    if X.dtype == precision:
        return X
    return sp.csr_matrix((X.data.astype(precision), X.indices, X.indptr), X.shape)


# -- floor --


def floor(arguments):
    """The time of AdaGrad's epoch beside that of a loop that only moves the memory."""
    entries = []
    for workload in ("text", "clicks"):
        X64, y = generated(workload, arguments.quick)
        for precision in ("float64", "float32"):
            X = as_precision(X64, precision)
            try:
                least = Floor(X, y)
            except OSError as error:
                return [{"workload": workload, "name": "floor", "missing": str(error)}]
            least.tune()
            model = AdaptiveSGDClassifier(tol=None, random_state=0)
            fit = partial(_timing.seconds_of_fit, model, X, y)
            taken = _timing.in_turns(
                {"adagrad": lambda fit=fit: _timing.epoch_and_fit(fit)[0], "floor": least.seconds},
                arguments.rounds,
            )
            kernel, bound = (
                {"ns": 1e9 * np.median(taken[name]) / X.nnz} for name in ("adagrad", "floor")
            )
            entries.append(
                {
                    "workload": workload,
                    "precision": precision,
                    "adagrad": kernel["ns"],
                    "floor": bound["ns"],
                    "ratio": kernel["ns"] / bound["ns"],
                    "rows_ahead": list(least.distances),
                }
            )
            print(entries[-1], flush=True)
    return entries


PARTS = {"floor": floor}


def measure_memory(name, folder):
    raise NotImplementedError
