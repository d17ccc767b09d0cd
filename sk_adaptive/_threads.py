"""Threads for work that releases the interpreter's lock: how many there may be, and to run it."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

# OpenMP's limit when this module was imported: the environment's. Whatever is less has been set
# since, as by threadpoolctl.
_first_limit = _openmp_effective_n_threads()

# Of each thread whether it is one of ours, which starts no others.
_here = threading.local()


def n_threads_of(n_jobs):
    """How many threads `n_jobs` asks for, as far as others have left them.

    Parameters
    ----------
    n_jobs : int or None
        As in scikit-learn: None is 1, or what a context of joblib says; -1 is all cores.

    Raises
    ------
    ValueError
        If it is 0.
    """
    n_threads = effective_n_jobs(n_jobs)
    if n_threads == 1 or getattr(_here, "is_ours", False):
        return 1
    backend, _ = get_active_backend()
    limit = _openmp_effective_n_threads()
    if backend.nesting_level:
        # In a worker of joblib's the other workers have their share of the cores. A process is
        # told its share by OpenMP's limit; a thread is not.
        is_process = threading.current_thread() is threading.main_thread()
        return min(n_threads, limit) if is_process else 1
    return min(n_threads, limit) if limit < _first_limit else n_threads


class Threads:
    """Threads that are there from the first call that needs them until the context is left.

    They are Python's: what they run is in C or Cython for nearly all of its time. None outlives the
    call of the user's, so that there is none to be missed after a fork.

    Parameters
    ----------
    n_threads : int

    Attributes
    ----------
    interrupted : bool
        Whether what is running should end as soon as it can.
    """

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self.interrupted = False
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def run(self, calls):
        """Make the calls, which take no arguments, and return their results in this order.

        If one fails, the others are made as well, and then the first exception is raised. Ctrl-C
        sets `interrupted`, and there are no calls after that.
        """
        if self.n_threads == 1 or len(calls) == 1:
            return [call() for call in calls]
        return self._run(calls)

    def run_one(self, call):
        """Make a call that Ctrl-C does not end in the middle of it."""
        self._run([call])

    def _run(self, calls):
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads, "sk_adaptive")
        try:
            # the configuration of scikit-learn belongs to a thread
            futures = [self._pool.submit(_call, get_config(), call) for call in calls]
            wait(futures)
        except BaseException:
            self.interrupted = True
            self._pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _call(config, call):
    _here.is_ours = True
    with config_context(**config):
        return call()


def parts_of(n, n_parts):
    """Equal slices of so many things."""
    n_parts = max(1, min(n, n_parts))
    return [slice(n * k // n_parts, n * (k + 1) // n_parts) for k in range(n_parts)]


# With less work than this threads take longer than they save: products of a number and a
# coefficient, and coefficients that are read.
LEAST_PRODUCTS = 1 << 24
LEAST_COEFFICIENTS = 1 << 19


def sparse_products(X, coef, n_jobs):
    """X @ coef.T of a CSR matrix, by threads that share its rows.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_features)
    coef : array of shape (n_outputs, n_features)
    n_jobs : int or None
    """
    n_rows = X.shape[0]
    if X.nnz * coef.shape[0] < LEAST_PRODUCTS or (n_threads := n_threads_of(n_jobs)) == 1:
        return X @ coef.T
    # once, and not by each thread
    by_feature = np.ascontiguousarray(coef.T)
    # rows of about as many entries
    ends = np.searchsorted(X.indptr, np.linspace(0, X.nnz, n_threads + 1)[1:-1])
    ends = [0, *ends.tolist(), n_rows]

    def products(start, stop):
        first, last = X.indptr[start], X.indptr[stop]
        arrays = X.data[first:last], X.indices[first:last], X.indptr[start : stop + 1] - first
        return sp.csr_matrix(arrays, shape=(stop - start, X.shape[1])) @ by_feature

    with Threads(n_threads) as threads:
        return np.concatenate(
            threads.run([partial(products, *part) for part in pairwise(ends) if part[0] < part[1]])
        )
