"""A process that forks while another of its threads learns: the child's models are of use."""

import os
import pickle
import signal
import threading
import time
import traceback
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_optimizer

from sk_adaptive import AdaptiveSGDClassifier

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    features = rng.zipf(1.3, size=400 * 20) % 3000
    X = sp.csr_matrix((np.ones(features.size), features, np.arange(0, 8001, 20)), (400, 3000))
    X.sum_duplicates()
    return X, rng.integers(2, size=400)


def run_in_child(function, seconds=60):
    """Call it in a forked process, which has to end well and in time."""
    with warnings.catch_warnings():
        # of threads, which this is about
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    end = time.monotonic() + seconds
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child waits for ever")
        time.sleep(0.01)
    assert ended[1] == 0


class Held:
    """A thread that is in the midst of something with a model."""

    def __init__(self, model):
        self._model, self._release, self._holds = model, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self):
        with self._model._lock:
            self._holds.set()
            self._release.wait()

    def __enter__(self):
        self._thread.start()
        self._holds.wait()

    def __exit__(self, *error):
        self._release.set()
        self._thread.join()


@every_optimizer
def test_a_child_waits_for_no_thread_that_it_does_not_have(rows, optimizer):
    X, y = rows
    model, expected = (
        AdaptiveSGDClassifier(optimizer=optimizer).partial_fit(X[:300], y[:300], classes=[0, 1])
        for _ in range(2)
    )
    expected.partial_fit(X[300:], y[300:])

    def in_child():
        model.predict(X)
        model.partial_fit(X[300:], y[300:])
        assert_same_model(model, expected)
        assert_same_model(pickle.loads(pickle.dumps(model)), expected)

    with Held(model):
        run_in_child(in_child)
    # and it takes none from whoever goes on here
    model.partial_fit(X[300:], y[300:])
    assert_same_model(model, expected)


def test_who_forks_while_it_has_the_model_keeps_it(rows):
    X, y = rows
    model = AdaptiveSGDClassifier().partial_fit(X, y, classes=[0, 1])

    def in_child():
        model.partial_fit(X, y)
        thread = threading.Thread(target=model.predict, args=(X,), daemon=True)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive(), "the forking thread holds the lock, in the child too"

    with model._lock:
        run_in_child(in_child)


@every_optimizer
def test_a_child_of_a_learning_thread_does_not_hang(rows, optimizer):
    """Its model may be in the midst of a step. Without `fit` it learns on from there."""
    X, y = rows
    model = AdaptiveSGDClassifier(optimizer=optimizer, batch_size=20)
    model.partial_fit(X, y, classes=[0, 1])
    stop = threading.Event()

    def learn():
        while not stop.is_set():
            model.partial_fit(X, y)

    def in_child():
        assert np.isfinite(model.decision_function(X)).all()
        model.partial_fit(X, y)
        assert np.isfinite(model.coef_).all()

    thread = threading.Thread(target=learn)
    thread.start()
    try:
        for _ in range(5):
            run_in_child(in_child)
    finally:
        stop.set()
        thread.join()


@every_optimizer
def test_a_fit_of_another_thread_leaves_the_child_the_model_of_before(
    rows, kernel_calls, optimizer
):
    X, y = rows
    model = AdaptiveSGDClassifier(optimizer=optimizer, random_state=0, max_iter=2, tol=None)
    before = pickle.loads(pickle.dumps(model.fit(X, y)))
    inside, release = threading.Event(), threading.Event()

    def wait_within(train, *arguments):
        result = train(*arguments)
        inside.set()
        release.wait()
        return result

    kernel_calls(wait_within)
    thread = threading.Thread(target=model.fit, args=(X[:200], y[:200]))
    thread.start()
    inside.wait()
    try:
        run_in_child(lambda: assert_same_model(model, before))
    finally:
        release.set()
        thread.join()
