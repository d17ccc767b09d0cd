"""Threads take turns at an estimator, and a call that fails leaves it as it was."""

import os
from contextlib import contextmanager
from functools import cache, wraps
from threading import RLock
from weakref import WeakSet

_turns = WeakSet()


class Turn:
    """A reentrant lock that a forked process can take, whoever held it when it was forked."""

    def __init__(self):
        self._lock = RLock()
        _turns.add(self)

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *exception):
        self._lock.release()

    def renew(self):
        """Forget the lock if nobody can let go of it: another thread, which a child lacks.

        The thread that forked goes on in the child, and keeps its own.
        """
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = RLock()


def _renew_turns():
    for turn in list(_turns):
        turn.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)


def turn_of(estimator):
    """The lock that whoever reads or changes the estimator's model holds."""
    # in one operation, as two threads may be the first
    attributes = estimator.__dict__
    return attributes.get("_turn") or attributes.setdefault("_turn", Turn())


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
        with turn_of(estimator), unchanged_if_it_fails(estimator):
            return fit(estimator, *arguments, **named)

    return locked_fit
