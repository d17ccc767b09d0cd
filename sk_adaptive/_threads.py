"""Threads for work that releases the interpreter's lock: how many there may be, and to run it."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

# OpenMP's limit when this module was imported: the environment's. Whatever is less has been set
# since, as by threadpoolctl.
_first_limit = _openmp_effective_n_threads()


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
    if n_threads == 1:
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
        sets `interrupted`.
        """
        if self.n_threads == 1 or len(calls) == 1:
            return [call() for call in calls]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_threads)
        # the configuration of scikit-learn belongs to a thread
        futures = [self._pool.submit(_with_config, get_config(), call) for call in calls]
        try:
            wait(futures)
        except BaseException:
            self.interrupted = True
            wait(futures)
            self.interrupted = False
            raise
        return [future.result() for future in futures]


def _with_config(config, call):
    with config_context(**config):
        return call()


def parts_of(n, n_parts):
    """Equal slices of so many things."""
    n_parts = max(1, min(n, n_parts))
    return [slice(n * k // n_parts, n * (k + 1) // n_parts) for k in range(n_parts)]
