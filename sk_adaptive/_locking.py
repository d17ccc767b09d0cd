"""Threads take turns at an estimator, and a call that fails leaves it as it was."""

import os
from contextlib import contextmanager
from functools import cache, wraps
from threading import RLock
from weakref import ref

# A weak reference to each estimator, and its lock, by the estimator's id: a subclass may have no
# hash, or call two estimators equal. A lock is no attribute, as those are saved, copied and
# compared.
_locks = {}

# The ids of estimators that a thread which this process does not have was at when it was forked.
_left_midway = set()


def lock_of(estimator):
    """The lock that whoever reads or changes the estimator's state holds."""
    known, lock = _locks.get(id(estimator), (None, None))
    return lock if known is not None and known() is estimator else _new_lock(estimator)


def _new_lock(estimator):
    key, lock = id(estimator), RLock()

    def forget(_, locks=_locks):
        locks.pop(key, None)

    # Nobody else takes it before the estimator is fit to be used.
    with lock:
        _, agreed = _locks.setdefault(key, (ref(estimator, forget), lock))
        if agreed is lock and key in _left_midway:
            _left_midway.discard(key)
            estimator._end_step()
    return agreed


def _renew_locks():
    """In a forked process, forget the locks that nobody can let go of: those of other threads.

    The thread that forked goes on in the child, and keeps its own.
    """
    for key, (_, lock) in list(_locks.items()):
        if lock.acquire(blocking=False):
            lock.release()
        else:
            del _locks[key]
            _left_midway.add(key)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


@cache
def parameter_constraints(estimator_class):
    """The constraints of all parameters that training reads, which a subclass may not take."""
    constraints = {}
    for base in reversed(estimator_class.__mro__):
        constraints.update(vars(base).get("_parameter_constraints", {}))
    return constraints


@cache
def parameter_names(estimator_class):
    """What training reads, and what a subclass takes beside."""
    own = estimator_class._get_param_names()
    return tuple(dict.fromkeys([*parameter_constraints(estimator_class), *own]))


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
