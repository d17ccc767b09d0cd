"""n_jobs: no bit depends on it, threads are there when they are asked for, and never too many."""

import os
import signal
import threading
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from joblib import Parallel, delayed, parallel_config
from modes import every_form, every_optimizer
from threadpoolctl import threadpool_limits

from sk_adaptive import (
    AdaptiveGridSearchCV,
    AdaptiveSGDClassifier,
    AdaptiveSGDRegressor,
)
from sk_adaptive import _threads as threads_module
from sk_adaptive.kernel._losses import Hinge
from sk_adaptive.kernel.optimizers import OPTIMIZERS, kernel
from sk_adaptive.training import parts

N_ROWS, N_FEATURES, N_OUTPUTS = 120, 60, 20
FIXED = {"max_iter": 3, "tol": None, "random_state": 0}


@pytest.fixture(autouse=True)
def _little_is_worth_it(monkeypatch):
    monkeypatch.setattr(parts, "LEAST_WORK", 0)
    monkeypatch.setattr(threads_module, "LEAST_PRODUCTS", 0)


@pytest.fixture(scope="module")
def X():
    return sp.random(N_ROWS, N_FEATURES, 0.1, format="csr", random_state=0)


def targets(kind):
    rng = np.random.default_rng(1)
    if kind == "classes":
        return rng.permutation(np.arange(N_ROWS) % N_OUTPUTS)
    if kind == "labels":
        return (rng.random((N_ROWS, N_OUTPUTS)) < 0.2).astype(int)
    return rng.normal(size=(N_ROWS, N_OUTPUTS))


# The loss of each kind has another way through the kernel: all in one, one by one, and none.
KINDS = {
    "classes": (AdaptiveSGDClassifier, {"multi_class": "ovr"}),
    "weighted classes": (AdaptiveSGDClassifier, {"loss": "log_loss", "multi_class": "ovr"}),
    "margins": (AdaptiveSGDClassifier, {"loss": "hinge"}),
    "labels": (AdaptiveSGDClassifier, {}),
    "numbers": (AdaptiveSGDRegressor, {"loss": "huber"}),
}


def model_and_targets(kind, **parameters):
    estimator, own = KINDS[kind]
    if kind == "weighted classes":
        own = {**own, "class_weight": {k: 1 + k % 3 for k in range(N_OUTPUTS)}}
    known = kind in ("labels", "numbers")
    y = targets(kind if known else "classes")
    return estimator(**FIXED, **own, **parameters), y


def numbers_of(model, X):
    """All that training and prediction have come to, as bytes."""
    predict = getattr(model, "decision_function", model.predict)
    arrays = [model.coef_, model.intercept_, predict(X), *model.optimizer_state_.values()]
    arrays += [np.array(getattr(model, "loss_curve_", [])), np.array(model.progressive_loss_)]
    arrays.append(np.array(getattr(model, "validation_scores_", None) or []))
    return [np.asarray(array).tobytes() for array in arrays]


def parts_of_models(monkeypatch):
    """The numbers of parts of all models to come that have several."""
    made, init = [], parts.ModelInParts.__init__

    def counted(model, *arguments, **named):
        init(model, *arguments, **named)
        if len(model._parts) > 1:
            made.append(len(model._parts))

    monkeypatch.setattr(parts.ModelInParts, "__init__", counted)
    return made


# -- the same bits --


@pytest.mark.values
@every_form
@every_optimizer
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_bit_depends_on_the_number_of_threads(X, monkeypatch, parameters, kind, dtype):
    """More threads than there are cores, and than there are parts."""
    X = X.astype(dtype)
    for batch_size, early_stopping, numbers in ((1, True, (1, 2, 8)), (16, False, (1, 3))):
        results, made = [], []
        for n_jobs in numbers:
            model, y = model_and_targets(kind, batch_size=batch_size, n_jobs=n_jobs, **parameters)
            with monkeypatch.context() as patch:
                teams = parts_of_models(patch)
                model.set_params(early_stopping=early_stopping).fit(X, y)
                made.append(max(teams, default=1))
            results.append(numbers_of(model, X))
            model.set_params(early_stopping="auto").partial_fit(X, y)
            results[-1] += numbers_of(model, X)
        assert made[0] == 1 and min(made[1:]) > 1
        assert all(result == results[0] for result in results)


@pytest.mark.values
@every_optimizer
@pytest.mark.parametrize(
    "parameters",
    [
        {"average": True},
        {"penalty": "elasticnet", "alpha": 1e-3},
        {"normalize": True},
        {"refit": True, "early_stopping": True},
        {"refit": False, "early_stopping": True, "scoring": "r2"},
        {"learning_rate": "adaptive", "tol": 1.0, "max_iter": 8},
        {"warm_start": True},
    ],
    ids=lambda parameters: "-".join(map(str, parameters)),
)
def test_no_bit_depends_on_it_whatever_else_is_asked_for(X, optimizer, parameters):
    if parameters.get("learning_rate", "constant") not in OPTIMIZERS[optimizer].learning_rates:
        pytest.skip(f"{optimizer} has no such schedule")
    results = []
    for n_jobs in (1, 3):
        model, y = model_and_targets("numbers", optimizer=optimizer, n_jobs=n_jobs)
        model.set_params(**parameters).fit(X, y)
        results.append(numbers_of(model.fit(X, y), X))
    assert results[0] == results[1]


@pytest.mark.values("optimizer", "cv,n_classes")
@every_optimizer
@pytest.mark.parametrize("cv", [0.3, 3])
@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_no_bit_of_a_search_depends_on_it(X, optimizer, cv, n_classes):
    """Also where candidates fail or are given up, so that few are left in one thread."""
    rng = np.random.default_rng(2)
    estimator = AdaptiveSGDClassifier if n_classes else AdaptiveSGDRegressor
    grid = {"eta0": [0.003, 0.01, 0.1, 1.0, 1e300], "alpha": [1e-6, 1e-4, 1e-2]}
    y = rng.integers(n_classes, size=N_ROWS) if n_classes else rng.normal(size=N_ROWS)
    results = []
    for n_jobs in (1, 3, 8):
        model = estimator(optimizer=optimizer, max_iter=8, random_state=0)
        search = AdaptiveGridSearchCV(model, grid, cv=cv, n_jobs=n_jobs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
        names = ("mean_test_score", "n_iter", "rank_test_score")
        results.append([search.cv_results_[name].tobytes() for name in names])
        results[-1] += numbers_of(search.best_estimator_, X)
    assert results[1:] == results[:1] * 2


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_coefficients_are_read_by_threads(monkeypatch, n_outputs):
    monkeypatch.setattr("sk_adaptive.model.model.LEAST_COEFFICIENTS", 0)
    rng = np.random.default_rng(0)
    X = sp.random(200, 5001, 0.01, format="csr", random_state=0)
    y = rng.normal(size=(200, n_outputs))
    for optimizer in ("adam", "adagrad"):
        models = [
            AdaptiveSGDRegressor(optimizer=optimizer, n_jobs=n_jobs, **FIXED).fit(X, y)
            for n_jobs in (1, 3)
        ]
        assert_same_model(*models)


@pytest.mark.values
@every_form
@every_optimizer
@pytest.mark.parametrize("kind", ["classes", "softmax", "weighted classes", "labels", "numbers"])
def test_no_bit_of_a_search_in_partial_fit_depends_on_it(X, monkeypatch, parameters, kind):
    """The weights of its models, which threads learn apart, are those of all together."""
    softmax = kind == "softmax"
    # so that the mean takes them in more than once a call
    monkeypatch.setattr(parts, "MOST_KEPT", 40 * 8 * N_OUTPUTS)
    for batch_size, numbers in ((1, (1, 3, 8)), (16, (1, 3))):
        results, made = [], []
        for n_jobs in numbers:
            model, y = model_and_targets("classes" if softmax else kind, **parameters)
            model.set_params(eta0="search", batch_size=batch_size, n_jobs=n_jobs)
            if softmax:
                model.set_params(multi_class="multinomial")
            named = {} if kind in ("labels", "numbers") else {"classes": np.arange(N_OUTPUTS)}
            with monkeypatch.context() as patch:
                teams = parts_of_models(patch)
                results.append([])
                for _ in range(2):
                    model.partial_fit(X, y, sample_weight=1 + np.arange(N_ROWS) % 2, **named)
                    results[-1] += [*numbers_of(model, X), model.mixture_weights_.tobytes()]
                made.append(max(teams, default=1))
        assert made[0] == 1 and min(made[1:]) > 1
        assert all(result == results[0] for result in results)


# -- all or nothing --


@pytest.fixture(scope="module")
def bad(X):
    """The same rows, of which one makes steps overflow."""
    bad = X.copy()
    bad.data[bad.indptr[77] : bad.indptr[78]] = 1e300
    return bad


@every_optimizer
def test_rows_before_an_overflow_are_learned(X, bad, optimizer):
    """Threads fail at different rows, or not at all. What was to be learned is."""
    models = []
    for n_jobs in (1, 3):
        model, y = model_and_targets("numbers", optimizer=optimizer, n_jobs=n_jobs)
        model.set_params(loss="squared_error").partial_fit(X, y)
        with pytest.raises(ValueError, match="at row 77"):
            model.partial_fit(bad, y)
        models.append(model)
    assert_same_model(*models)
    assert numbers_of(models[0].partial_fit(X, y), X) == numbers_of(models[1].partial_fit(X, y), X)


@every_optimizer
def test_models_of_a_search_that_overflow_are_out_as_on_one_thread(X, bad, optimizer):
    models = []
    for n_jobs in (1, 3):
        model, y = model_and_targets("numbers", optimizer=optimizer, n_jobs=n_jobs)
        model.set_params(loss="squared_error", eta0="search").partial_fit(X, y)
        for rows in (bad, X):
            try:
                model.partial_fit(rows, y)
            except ValueError as failure:
                assert "at row 77" in str(failure)
        models.append(model)
    assert_same_model(*models)


@every_optimizer
def test_a_fit_that_overflows_names_the_same_row(bad, optimizer):
    messages = []
    for n_jobs in (1, 3):
        model, y = model_and_targets("numbers", optimizer=optimizer, n_jobs=n_jobs)
        model.set_params(loss="squared_error", eta0=0.1, penalty=None, early_stopping=False)
        with pytest.raises(ValueError, match=r"at epoch #1, row") as raised:
            model.fit(bad, y)
        messages.append(str(raised.value))
        assert "coef_" not in vars(model) and "_model" not in vars(model)
    assert messages[0] == messages[1]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_ctrl_c_ends_all_threads_and_leaves_the_model_as_it_was(X, method, monkeypatch):
    monkeypatch.setattr("sk_adaptive.training.steps.ENTRIES_PER_CALL", 1)
    model, y = model_and_targets("labels", n_jobs=3)
    model.partial_fit(X, y)
    before, t = numbers_of_now(model, X), model.t_
    real, main = parts.learn, threading.get_ident()

    def learn(*arguments, **named):
        assert threading.get_ident() != main
        signal.pthread_kill(main, signal.SIGINT)
        # until the main thread has seen it
        threads = named["threads"]
        end = time.monotonic() + 30
        while not threads.interrupted and time.monotonic() < end:
            time.sleep(0.001)
        return real(*arguments, **named)

    monkeypatch.setattr(parts, "learn", learn)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            getattr(model.set_params(max_iter=1000), method)(X, y)
    finally:
        signal.signal(signal.SIGINT, handler)
    monkeypatch.undo()
    assert model.t_ == t
    assert numbers_of_now(model, X) == before
    assert not pool_threads()


def pool_threads():
    """Those that do not end by themselves, as one does that Ctrl-C has hit while it started."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        left = [thread for thread in threading.enumerate() if "sk_adaptive" in thread.name]
        if not left:
            break
        time.sleep(0.01)
    return left


def numbers_of_now(model, X):
    return [model.coef_.tobytes(), model.intercept_.tobytes(), model.predict(X).tobytes()]


# -- how many --


def test_no_thread_is_started_until_one_is_asked_for(X, monkeypatch):
    def refuse(*_):
        raise AssertionError("a pool of threads")

    monkeypatch.setattr(threads_module, "ThreadPoolExecutor", refuse)
    model, y = model_and_targets("labels")
    model.fit(X, y).partial_fit(X, y).predict(X)
    with pytest.raises(AssertionError, match="a pool of threads"):
        model.set_params(n_jobs=2).partial_fit(X, y)


def test_none_is_left_and_a_fork_can_go_on(X):
    model, y = model_and_targets("labels", n_jobs=2)
    model.fit(X, y)
    assert not pool_threads()
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child == 0:
        model.partial_fit(X, y).predict(X)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_few_outputs_and_coupled_ones_stay_on_one_thread(X, monkeypatch):
    made = parts_of_models(monkeypatch)
    classes = targets("classes")
    AdaptiveSGDClassifier(n_jobs=4, **FIXED).fit(X, classes)  # the softmax
    AdaptiveSGDClassifier(n_jobs=4, multi_class="ovr", **FIXED).fit(X, classes % 4)
    # eight models
    search = AdaptiveSGDClassifier(n_jobs=4, eta0="search", eps=1.0, rho=1.0)
    search.partial_fit(X, classes % 2, [0, 1])
    lanes = kernel(np.float64).N_LANES
    assert made == ([] if lanes >= 8 else [2])
    assert search.predict(X).shape == classes.shape


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 1), (1, 1), (3, 3), (-1, os.cpu_count())])
def test_n_jobs_means_what_it_means_in_scikit_learn(n_jobs, expected):
    assert threads_module.n_threads_of(n_jobs) == expected
    with parallel_config("threading", n_jobs=2):
        assert threads_module.n_threads_of(n_jobs) == (2 if n_jobs is None else expected)


def test_zero_threads_are_refused(X):
    model, y = model_and_targets("labels", n_jobs=0)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        model.fit(X, y)


def test_a_limit_of_threadpoolctl_is_obeyed(monkeypatch):
    monkeypatch.setattr(threads_module, "_first_limit", 4)
    with threadpool_limits(limits=1, user_api="openmp"):
        assert threads_module.n_threads_of(4) == 1


@pytest.mark.processes
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_of_joblib_do_not_start_more_threads_than_their_share(backend):
    found = Parallel(n_jobs=2, backend=backend)(
        delayed(threads_module.n_threads_of)(8) for _ in range(4)
    )
    assert max(found) <= max(1, os.cpu_count() // 2)


def test_our_own_threads_start_no_others():
    with threads_module.Threads(2) as threads:
        assert threads.run([lambda: threads_module.n_threads_of(4)] * 4) == [1] * 4
    assert threads_module.n_threads_of(4) == 4


def test_parts_are_even_and_never_of_one_output():
    for n_outputs in range(2, 300):
        for n_threads in (2, 3, 8):
            training = SimpleNamespace(n_outputs=n_outputs, data=np.empty(0), loss=Hinge())
            sizes = np.diff(parts._ends_of_parts(training, n_threads))
            assert sizes.sum() == n_outputs
            assert sizes.min() >= 2 and sizes.max() - sizes.min() <= 1
