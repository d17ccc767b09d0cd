"""Threads take turns at an estimator, and a call that fails leaves it as it was."""

from contextlib import contextmanager
from functools import cache, wraps
from threading import RLock
from weakref import WeakKeyDictionary

# The lock of each estimator. It is no attribute, as those are saved, copied and compared.
_locks = WeakKeyDictionary()


def lock_of(estimator):
    """The lock that whoever reads or changes the estimator's state holds."""
    lock = _locks.get(estimator)
    return _locks.setdefault(estimator, RLock()) if lock is None else lock


@cache
def parameter_names(estimator_class):
    return tuple(estimator_class._get_param_names())


@contextmanager
def unchanged_if_it_fails(estimator):
    """Take back all attributes if the block raises, so that bad input costs nobody a model."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        now = estimator.__dict__
        # The block changes no parameters, but another thread may have. All attributes are set
        # at once, as Ctrl-C can come between two statements.
        names = parameter_names(type(estimator))
        parameters = {name: now[name] for name in names if name in now}
        estimator.__dict__ = {**before, **parameters}
        raise


def one_at_a_time(fit):
    """Run `fit` under the estimator's lock, and take back what it did if it fails.

    The outermost decorator: what scikit-learn's does for callbacks belongs to it.
    """

    @wraps(fit)
    def locked_fit(estimator, *arguments, **named):
        with lock_of(estimator), unchanged_if_it_fails(estimator):
            return fit(estimator, *arguments, **named)

    return locked_fit
