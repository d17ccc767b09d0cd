"""Online learning: what a call costs, what ends it early, threads, saved states, validation."""

import copy
import pickle
import threading
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, own_attributes, relative_difference
from modes import every_mode, every_optimizer
from numpy.lib.recfunctions import repack_fields
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES
from sk_adaptive.model import model as models
from sk_adaptive.model.saved import VERSION
from sk_adaptive.training import steps

ESTIMATORS = [AdaptiveSGDClassifier, AdaptiveSGDRegressor]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


@pytest.fixture(scope="module")
def rows(zipf_rows):
    """The first sparse rows, and labels."""
    _, X, y = zipf_rows
    return X[:300], y[:300]


def first_call(estimator):
    """What the first call of partial_fit needs beside rows and targets."""
    return {"classes": [-1, 1]} if estimator is AdaptiveSGDClassifier else {}


def start(X, y, estimator=AdaptiveSGDClassifier, **parameters):
    """A model after its first rows."""
    return estimator(**parameters).partial_fit(X[:100], y[:100], **first_call(estimator))


# --- what a call costs ---


def in_another_format(X):
    """The same rows, which have to be validated and converted."""
    return sp.coo_matrix(X)


@every_estimator
@every_mode
def test_ready_rows_are_not_validated_again_and_give_the_same(
    rows, estimator, parameters, monkeypatch
):
    X, y = rows
    model, twin = (start(X, y, estimator, **parameters) for _ in range(2))
    weight = np.random.default_rng(0).uniform(size=len(y))
    expected = []
    for row in range(100, 110):
        part = slice(row, row + 1)
        expected.append(twin.predict(in_another_format(X[part])))
        twin.partial_fit(
            in_another_format(X[part]), list(y[part]), sample_weight=list(weight[part])
        )

    def refuse(*arguments, **named):
        raise AssertionError("validated")

    model.partial_fit(X[100:101], y[100:101], sample_weight=np.zeros(1))
    for name in ("estimators.base.validate_data", "data.check._check_sample_weight"):
        monkeypatch.setattr(f"sk_adaptive.{name}", refuse)
    monkeypatch.setattr(estimator, "_validate", refuse)
    monkeypatch.setattr(estimator, "_validate_params", refuse)
    predicted = []
    for row in range(100, 110):
        part = slice(row, row + 1)
        predicted.append(model.predict(X[part]))
        model.partial_fit(X[part], y[part], sample_weight=weight[part])
    np.testing.assert_array_equal(predicted, expected)
    assert_same_model(model, twin)


WORDS = np.array(["no", "yes"])
# Columns that a first call may see, of the codes 0 and 1.
COLUMNS = {
    "objects": lambda code: WORDS[code].astype(object),
    "series of words": lambda code: pd.Series(WORDS[code]),
    "nullable words": lambda code: pd.Series(WORDS[code], dtype="string"),
    "categories": lambda code: pd.Series(WORDS[code]).astype("category"),
    "words": lambda code: WORDS[code],
    "nullable integers": lambda code: pd.Series(code).astype("Int64"),
    "nullable booleans": lambda code: pd.Series(code > 0).astype("boolean"),
    "floats": lambda code: code.astype(float),
    "integers": lambda code: code,
    "booleans": lambda code: code > 0,
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", COLUMNS)
def test_classes_of_any_column_are_ready(rows, monkeypatch, name, method):
    """They have the type that SGDClassifier gives them, and a row is as quick as of any other.

    But integers and booleans that may be missing stay what they are: `fit` of SGDClassifier makes
    floats of them.
    """
    X, y = rows
    code, make = (y > 0).astype(int), COLUMNS[name]
    first = {} if method == "fit" else {"classes": make(code[:50])}
    model, peer = (
        getattr(estimator(random_state=0), method)(X, make(code), **first)
        for estimator in (AdaptiveSGDClassifier, SGDClassifier)
    )
    as_they_are = name.startswith("nullable") and name != "nullable words"
    assert model.classes_.dtype == (
        make(code).dtype.numpy_dtype if as_they_are else peer.classes_.dtype
    )
    np.testing.assert_array_equal(model.classes_, peer.classes_)
    assert model.predict(X).dtype == model.classes_.dtype
    twin = pickle.loads(pickle.dumps(model))
    for row in range(20):
        twin.partial_fit(in_another_format(X[row]), make(code[row : row + 1]))
    labels = model.classes_[code]
    ways = [labels, labels.tolist()]
    if labels.dtype.kind == "U":
        ways.append(labels.astype(object))
    else:
        ways += [code, code > 0]
    # parameters are looked at once more after another call than partial_fit
    model.partial_fit(X[0], labels[:1])
    monkeypatch.setattr(
        AdaptiveSGDClassifier,
        "_validate",
        lambda *arguments, **named: pytest.fail("validated"),
    )
    for row in range(1, 20):
        model.partial_fit(X[row], ways[row % len(ways)][row : row + 1])
    assert_same_model(model, twin)


@every_optimizer
@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_call_takes_memory_by_the_number_of_features(optimizer, n_classes):
    n_features = 1 << 18
    places = np.random.default_rng(0).integers(n_features, size=(20, 39))
    X = sp.csr_matrix((np.ones(places.size), places.ravel(), 39 * np.arange(21)), (20, n_features))
    y = np.arange(20) % n_classes
    model = AdaptiveSGDClassifier(optimizer=optimizer)
    model.partial_fit(X, y, classes=np.arange(n_classes)).score(X, y)
    calls = [
        lambda: model.partial_fit(X[3], y[3:4]),
        lambda: model.partial_fit(in_another_format(X[4:7]), y[4:7]),
        lambda: model.coef_,
        lambda: model.predict(X[3]),
        lambda: model.predict_proba(X[4:7]),
        lambda: model.score(X, y),
    ]
    for call in calls:
        tracemalloc.start()
        try:
            call()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (peak > n_features) == (call is calls[2])


@pytest.mark.parametrize(
    "classes",
    [[0, 1], [0.0, 1.0], [False, True], ["no", "yes"], [-5, 3, 2**40]],
    ids=lambda classes: type(classes[0]).__name__,
)
def test_what_is_no_class_is_refused(rows, classes):
    X, _ = rows
    y = np.resize(classes, X.shape[0])
    model, twin = (AdaptiveSGDClassifier().partial_fit(X, y, classes=classes) for _ in range(2))
    others = [7, -7, 0.5, 2, np.nan, "maybe", "zzz", "", None, 2**70, True]
    for other in others:
        if any(other == label for label in classes):
            continue
        for wrap in (list, np.array):
            with pytest.raises((ValueError, TypeError)):
                model.partial_fit(X[0], wrap([other]))
    assert_same_model(model, twin)


@every_estimator
def test_parameters_are_checked_whenever_they_change(rows, estimator):
    X, y = rows
    model, twin = (start(X, y, estimator) for _ in range(2))
    for name, value in (("alpha", -1.0), ("eta0", "fast"), ("batch_size", 0), ("loss", "none")):
        before = getattr(model, name)
        model.set_params(**{name: value})
        for _ in range(2):
            with pytest.raises(ValueError, match=f"The {name!r} parameter"):
                model.partial_fit(X, y)
        model.set_params(**{name: before})
    model.set_params(early_stopping=True)
    with pytest.raises(ValueError, match="early_stopping should be False"):
        model.partial_fit(X, y)
    model.set_params(early_stopping=False)
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


@every_estimator
def test_another_number_of_outputs_is_refused(rows, estimator):
    """The kernel would follow the number of a class behind its outputs."""
    X, y = rows
    model = start(X, y, estimator)
    if estimator is AdaptiveSGDClassifier:
        model.classes_ = np.array([-1, 0, 1])
    else:
        model._target_shape = (2,)
        y = np.column_stack([y, y])
    with pytest.raises(ValueError, match="output"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("labels", [[[0, 2]], [[-1, 1]], [[5, 5]]])
def test_labels_are_zero_or_one(labels):
    model = AdaptiveSGDClassifier()
    with pytest.raises(ValueError, match="must contain only 0 and 1"):
        model.partial_fit(np.ones((1, 3)), np.array(labels))


@pytest.mark.parametrize("factor", [-1.0, np.nan, np.inf])
def test_factors_of_classes_are_finite_and_not_negative(rows, factor):
    X, y = rows
    for method in ("fit", "partial_fit"):
        model = AdaptiveSGDClassifier(class_weight={1: factor})
        named = first_call(AdaptiveSGDClassifier) if method == "partial_fit" else {}
        with pytest.raises(ValueError, match="class_weight must be"):
            getattr(model, method)(X, y, **named)


# --- weights of zero ---


@every_estimator
@every_mode
def test_a_batch_without_weight_is_no_call(rows, estimator, parameters):
    X, y = rows
    named = first_call(estimator)
    nothing = np.zeros(50)
    expected = estimator(**parameters)
    expected.partial_fit(X[:50], y[:50], **named).partial_fit(X[50:100], y[50:100])
    model = estimator(**parameters)
    # rows of another size, whose rate would be another
    model.partial_fit(100 * X[50:100], 7 * y[50:100] ** 2 - 6, sample_weight=nothing, **named)
    assert model.t_ == 1
    np.testing.assert_array_equal(model.decision_function(X) if named else model.predict(X), 0)
    model.partial_fit(X[:50], y[:50])
    model.partial_fit(9 * X[100:150], y[100:150], sample_weight=nothing)
    model.partial_fit(X[50:100], y[50:100])
    assert_same_model(model, expected)
    assert (model.eta0_, model.eps_) == (expected.eta0_, expected.eps_)
    assert model.progressive_loss_ == expected.progressive_loss_


# --- what ends a call early ---


class Stop:
    """Around the kernel's training: ends the third call of it in one of several ways."""

    def __init__(self, way):
        self.way = way
        self.calls = 0

    def __call__(self, train, optimizer, training, rows):
        self.calls += 1
        if self.calls != 3:
            return train(optimizer, training, rows)
        if self.way == "Ctrl-C after it":
            train(optimizer, training, rows)
        if self.way == "no memory within it":
            # whole steps, as the kernel would
            train(optimizer, training, rows[: training.batch_size])
            raise MemoryError
        raise KeyboardInterrupt


every_way = pytest.mark.parametrize(
    "way", ["Ctrl-C before it", "Ctrl-C after it", "no memory within it"]
)


@every_mode
@every_way
@pytest.mark.parametrize("batch_size", [1, 4])
def test_what_was_learned_before_the_end_stays(
    rows, kernel_calls, monkeypatch, parameters, way, batch_size
):
    X, y = rows
    for begun in (False, True):
        parameters = {**parameters, "batch_size": batch_size, "eta0": 0.1, "eps": 1e-6}
        model, twin = (AdaptiveSGDClassifier(**parameters) for _ in range(2))
        named = first_call(AdaptiveSGDClassifier)
        if begun:
            model.partial_fit(X[:99], y[:99], **named)
            twin.partial_fit(X[:99], y[:99], **named)
        monkeypatch.setattr(steps, "ENTRIES_PER_CALL", 128)
        kernel_calls(Stop(way))
        with pytest.raises(MemoryError if "memory" in way else KeyboardInterrupt):
            model.partial_fit(X[100:], y[100:], **named)
        monkeypatch.undo()
        n_steps = model.t_ - (twin.t_ if begun else 1)
        stop = 100 + n_steps * batch_size
        assert 100 < stop < len(y)
        twin.partial_fit(X[100:stop], y[100:stop], **named)
        assert_same_model(model, twin)
        assert_same_model(pickle.loads(pickle.dumps(model)), twin)
        if "before" in way:
            np.testing.assert_allclose(model.progressive_loss_, twin.progressive_loss_)
        model.partial_fit(X[stop:], y[stop:])
        assert_same_model(model, twin.partial_fit(X[stop:], y[stop:]))


@every_optimizer
@every_way
def test_a_fit_that_is_stopped_leaves_the_model_of_before(
    rows, kernel_calls, monkeypatch, optimizer, way
):
    X, y = rows
    for model in (AdaptiveSGDClassifier(optimizer=optimizer), start(X, y, optimizer=optimizer)):
        attributes = own_attributes(model)
        twin = copy.deepcopy(model)
        # in the third epoch
        kernel_calls(Stop(way))
        with pytest.raises(MemoryError if "memory" in way else KeyboardInterrupt):
            model.fit(X[:, ::-1][:, 5:], 2 * y)
        monkeypatch.undo()
        assert own_attributes(model).keys() == attributes.keys()
        assert all(vars(model)[name] is value for name, value in attributes.items())
        named = first_call(AdaptiveSGDClassifier)
        assert_same_model(model.partial_fit(X, y, **named), twin.partial_fit(X, y, **named))


@every_optimizer
def test_ctrl_c_after_the_kernel_has_returned_loses_no_step(rows, monkeypatch, optimizer):
    """The steps have been done on the arrays by then."""
    X, y = rows
    begun = [start(X, y, optimizer=optimizer) for _ in range(2)]
    unlearned = [AdaptiveSGDClassifier(optimizer=optimizer) for _ in range(2)]

    def interrupt(*arguments):
        raise KeyboardInterrupt

    for model, twin in (begun, unlearned):
        with monkeypatch.context() as patched:
            patched.setattr(steps.Learned, "add_to", interrupt)
            with pytest.raises(KeyboardInterrupt):
                model.partial_fit(X[100:], y[100:], classes=[-1, 1])
        twin.partial_fit(X[100:], y[100:], classes=[-1, 1])
        assert_same_model(pickle.loads(pickle.dumps(model)), twin)
        assert_same_model(model, twin)
        assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


@every_estimator
@every_mode
def test_a_first_call_that_learns_nothing_leaves_no_model(rows, monkeypatch, estimator, parameters):
    X, y = rows
    named = first_call(estimator)
    model = estimator(**parameters, eta0=0.1, alpha=1e-6)
    before = own_attributes(model)
    hot = X.copy()
    hot.data[:] = 1e200
    with pytest.raises(ValueError, match="overflow occurred at row 0"):
        model.partial_fit(hot, y, **named)
    assert own_attributes(model) == before

    def no_memory(*arguments):
        raise MemoryError

    for owner, name in ((models, "allocate"), (models.Model, "_new_optimizer")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, no_memory)
            with pytest.raises(MemoryError):
                model.partial_fit(X, y, **named)
        assert own_attributes(model) == before
    model.set_params(optimizer="adam", sparse_update="exact", beta_1=0.9, beta_2=0.5)
    with pytest.raises(ValueError, match="sparse_update='exact' needs beta_1"):
        model.partial_fit(X, y, **named)
    assert own_attributes(model).keys() == before.keys()


@every_mode
def test_no_memory_for_other_parameters_changes_nothing(rows, monkeypatch, parameters):
    X, y = rows
    model, twin = (start(X, y, **parameters) for _ in range(2))

    def no_memory(*arguments):
        raise MemoryError

    model.set_params(alpha=0.1)
    with monkeypatch.context() as patched:
        patched.setattr(models, "allocate", no_memory)
        with pytest.raises(MemoryError):
            model.partial_fit(X, y)
        with pytest.raises(MemoryError):
            model.fit(X, y)
        with pytest.raises(MemoryError):
            model.coef_ = np.ones(X.shape[1])
    assert_same_model(model, twin)
    model.set_params(alpha=twin.alpha)
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


# --- threads ---


@contextmanager
def side_by_side(*functions):
    """Call each over and over in a thread of its own, until the block ends."""
    done = threading.Event()
    failures = []

    def repeat(function):
        try:
            while not done.is_set():
                function()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=repeat, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@every_optimizer
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_model_is_read_while_it_learns(optimizer, n_classes):
    """All readings are of one moment each, between two steps.

    Two features that are 1 in every row, and the intercept, have the same gradients and thus
    the same weights between any two steps. Of the three records the first and the last are far
    from each other.
    """
    n_rows, n_features = 2000, 1 << 10
    rng = np.random.default_rng(0)
    X = sp.random(n_rows, n_features, density=8 / n_features, random_state=0, format="lil")
    X[:, 0] = X[:, n_features - 1] = 1.0
    X = X.tocsr()
    y = rng.integers(n_classes, size=n_rows)
    # with eps given, too, the intercept is the coefficient of a feature that is 1
    model = AdaptiveSGDClassifier(optimizer=optimizer, eta0=0.1, eps=1e-6, penalty=None)
    model.partial_fit(X[:1], y[:1], classes=np.arange(n_classes))
    corner = sp.csr_matrix(([1.0, 1.0], ([0, 1], [0, n_features - 1])), shape=(3, n_features))
    calls = [0, 0]

    def check(margins):
        # the weights of both and the intercept, and the intercept
        np.testing.assert_allclose(margins[:2], 2 * margins[[2, 2]], rtol=1e-6, atol=1e-12)

    def read_rows():
        check(model.decision_function(corner).reshape(3, -1))

    def read_all():
        check(model.decision_function(corner.toarray()).reshape(3, -1))
        coef = model.coef_
        np.testing.assert_allclose(coef[:, 0], coef[:, -1], rtol=1e-6, atol=1e-12)
        assert np.isfinite(model.predict_proba(X[:5])).all()

    def save():
        check(pickle.loads(pickle.dumps(model)).decision_function(corner).reshape(3, -1))

    def learn(i):
        model.partial_fit(X, y)
        calls[i] += 1

    with side_by_side(read_rows, read_all, save):
        writers = [
            threading.Thread(target=lambda i=i: [learn(i) for _ in range(3)]) for i in range(2)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert calls == [3, 3]
    assert model.t_ == 2 + 6 * n_rows
    # all steps were done whole and one after the other: each pass is of the same rows
    twin = AdaptiveSGDClassifier(optimizer=optimizer, eta0=0.1, eps=1e-6, penalty=None)
    twin.partial_fit(X[:1], y[:1], classes=np.arange(n_classes))
    for _ in range(6):
        twin.partial_fit(X, y)
    assert_same_model(model, twin)


@every_optimizer
def test_many_threads_may_predict(rows, optimizer):
    X, y = rows
    wide = sp.hstack([X[:50], sp.csr_matrix((50, 5000))], format="csr")
    model = AdaptiveSGDClassifier(optimizer=optimizer).fit(wide, y[:50])
    expected = [model.predict_proba(wide[row]) for row in range(50)]

    def read():
        for row in range(50):
            np.testing.assert_array_equal(model.predict_proba(wide[row]), expected[row])
        model.coef_  # noqa: B018

    with side_by_side(read, read, read, read):
        time.sleep(0.05)


def test_the_first_calls_of_several_threads_make_one_model(rows):
    X, y = rows
    for _ in range(10):
        model = AdaptiveSGDClassifier()
        barrier = threading.Barrier(4)

        def learn(model=model, barrier=barrier):
            barrier.wait()
            model.partial_fit(X, y, classes=[-1, 1])

        threads = [threading.Thread(target=learn) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert model.t_ == 1 + 4 * len(y)


def test_readers_find_the_old_model_or_the_new_one(rows):
    """fit changes the number of features and the classes; a reader never sees half of it."""
    X, y = rows
    wide = sp.hstack([X, X], format="csr")
    model = AdaptiveSGDClassifier(max_iter=2, tol=None).fit(X, y)

    def read():
        for part, labels in ((X, [-1, 1]), (wide, [3, 4, 5])):
            try:
                assert np.isin(model.predict(part[:3]), labels).all()
            except ValueError as failure:
                assert "features" in str(failure)

    with side_by_side(read, read):
        for _ in range(10):
            model.fit(wide, np.arange(len(y)) % 3 + 3)
            model.fit(X, y)


# --- saved states ---


def test_a_copy_has_arrays_of_its_own(rows):
    X, y = rows
    model, twin = (start(X, y) for _ in range(2))
    other = copy.copy(model)
    model.partial_fit(X, y)
    assert_same_model(other, twin)


@every_optimizer
def test_what_is_saved_is_plain(rows, optimizer):
    """Nothing of this package and of the kernel, which others need not have."""
    X, y = rows
    model = start(X, y, optimizer=optimizer)
    model.predict(X)
    state = model.__getstate__()
    assert "_cache" not in state
    for value in state["_model"].values():
        assert type(value) in (int, float, str, dict, np.ndarray)
    numbers = dict(state["_model"]["hyperparameters"])
    for some in (numbers.pop("scales"), numbers.pop("parameters"), numbers):
        assert {type(value) for value in some.values()} <= {str, int, float, bool, tuple}


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def number_of(records):
    """A field that has a number for each output."""
    return next(records[name] for name, kind in records.dtype.fields.items() if kind[0].shape)


def respaced(records):
    """The same records, packed, or where they are so, padded."""
    packed = repack_fields(records)
    if packed.dtype != records.dtype:
        return packed
    fields = records.dtype.fields
    wide = np.dtype(
        {
            "names": [*fields],
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": 2 * records.dtype.itemsize,
        }
    )
    return records.astype(wide)


def with_numbers(saved, **numbers):
    return {**saved, "hyperparameters": {**saved["hyperparameters"], **numbers}}


DAMAGES = {
    "of another version": (
        f"version {VERSION} only",
        lambda s: {**s, "version": VERSION - 1},
    ),
    "without version": ("version None", lambda s: {k: s[k] for k in s if k != "version"}),
    "no dict": ("version None", lambda s: list(s)),
    "incomplete": ("clock", lambda s: {k: s[k] for k in s if k != "clock"}),
    "short records": ("records", lambda s: {**s, "records": s["records"][1:]}),
    "tabular records": ("records", lambda s: {**s, "records": s["records"][:, np.newaxis]}),
    "records of numbers": ("records", lambda s: {**s, "records": number_of(s["records"])[:, 0]}),
    "records of other sizes": ("records", lambda s: {**s, "records": respaced(s["records"])}),
    "no array": ("dtype", lambda s: {**s, "records": s["records"].tolist()}),
    "records of other hyperparameters": ("records", lambda s: with_numbers(s, average=1)),
    "more outputs": ("intercept_integral", lambda s: {**s, "intercept": np.zeros((3, 2))}),
    "flat intercept": ("shape", lambda s: {**s, "intercept": s["intercept"][0]}),
    "no intercept": ("no intercept", lambda s: {**s, "intercept": s["intercept"][:, :0]}),
    "single intercept": (
        "float64",
        lambda s: {**s, "intercept": s["intercept"].astype(np.float32)},
    ),
    "negative t": ("t is -1", lambda s: {**s, "clock": changed(s["clock"], "t", -1)}),
    "t too large": ("t is", lambda s: {**s, "clock": changed(s["clock"], "t", 2**62)}),
    "two clocks": ("clock", lambda s: {**s, "clock": np.stack([s["clock"], s["clock"]])}),
    "a clock of numbers": ("clock", lambda s: {**s, "clock": np.zeros(())}),
    "no hyperparameters": ("TypeError", lambda s: {**s, "hyperparameters": None}),
    "unknown optimizer": ("no optimizer 'sgd'", lambda s: with_numbers(s, optimizer="sgd")),
    "hyperparameters incomplete": (
        "eps",
        lambda s: {
            **s,
            "hyperparameters": {k: v for k, v in s["hyperparameters"].items() if k != "eps"},
        },
    ),
    "no average": ("intercept_integral", lambda s: {**s, "intercept_integral": np.zeros(2)}),
    "no progressive loss": (
        "progressive_loss",
        lambda s: {**s, "progressive_loss": np.zeros(3)},
    ),
}


@every_optimizer
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused(rows, optimizer, damage):
    X, y = rows
    saved = start(X, y, optimizer=optimizer).__getstate__()
    message, spoil = DAMAGES[damage]
    model = AdaptiveSGDClassifier()
    with pytest.raises(ValueError, match=f"saved (model|state).*{message}"):
        model.__setstate__({**saved, "_model": spoil(saved["_model"])})
    with pytest.raises(NotFittedError):
        model.predict(X)
    # as it is, it is taken
    model.__setstate__(saved)
    model.predict(X)


@every_optimizer
def test_records_of_steps_to_come_are_refused(rows, optimizer):
    X, y = rows
    saved = start(X, y, optimizer=optimizer).__getstate__()
    records = saved["_model"]["records"]
    if "last_step" not in records.dtype.names:
        pytest.skip("no record knows its step")
    for step in (-1, 10**6):
        records["last_step"][0] = step
        with pytest.raises(ValueError, match="step to come"):
            AdaptiveSGDClassifier().__setstate__(saved)


def test_the_number_of_features_is_that_of_the_records(rows):
    X, y = rows
    saved = start(X, y).__getstate__()
    for n_features in (X.shape[1] + 1, None):
        with pytest.raises(ValueError, match="records"):
            AdaptiveSGDClassifier().__setstate__({**saved, "n_features_in_": n_features})


# --- progressive validation ---


def losses_one_by_one(model, X, y, weight, batch_size):
    """The losses of rows before they were learned, by predictions of a model that learns them."""
    loss = CLASSIFICATION_LOSSES["log_loss"].make()
    losses = []
    for first in range(0, X.shape[0], batch_size):
        part = slice(first, first + batch_size)
        values, _ = loss(y[part].astype(float), model.decision_function(X[part]))
        losses.extend(values)
        model.partial_fit(X[part], y[part], sample_weight=weight[part])
    return np.array(losses)


@every_mode
@pytest.mark.parametrize("batch_size", [1, 4])
def test_progressive_loss_is_of_rows_before_they_were_learned(rows, parameters, batch_size):
    X, y = rows
    weight = np.random.default_rng(0).uniform(0, 2, size=len(y))
    weight[::7] = 0
    parameters = {**parameters, "batch_size": batch_size, "eta0": 0.1, "eps": 1e-6}
    model, twin = (start(X, y, **parameters) for _ in range(2))
    model.reset_progressive_loss()
    assert np.isnan(model.progressive_loss_)
    losses = losses_one_by_one(twin, X, y, weight, batch_size)
    # steps of the same rows, as zero weights fill no step
    present = np.flatnonzero(weight)
    if batch_size > 1:
        twin, weight = start(X, y, **parameters), np.where(weight > 0, weight, 1.0)
        present = np.arange(len(y))
        losses = losses_one_by_one(twin, X, y, weight, batch_size)
    for part in np.split(present, [40, 44, 100]):
        model.partial_fit(X[part], y[part], sample_weight=weight[part])
        model = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(model.progressive_loss_, np.average(losses, weights=weight))
    # without weights all are one
    model.reset_progressive_loss().partial_fit(X[:50], y[:50])
    losses = losses_one_by_one(twin, X[:50], y[:50], np.ones(50), batch_size)
    np.testing.assert_allclose(model.progressive_loss_, losses.mean())


@every_optimizer
def test_progressive_loss_of_a_fit_is_that_of_its_first_epoch(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "penalty": None, "random_state": 0, "eta0": 0.1}
    model = AdaptiveSGDClassifier(max_iter=3, tol=None, **parameters)
    for _ in range(2):
        model.fit(X, y)
        np.testing.assert_allclose(model.progressive_loss_, model.loss_curve_[0])
    # rows to come are added
    loss, n_rows = model.progressive_loss_, len(y)
    twin = copy.deepcopy(model)
    losses = losses_one_by_one(twin, X[:50], y[:50], np.ones(50), 1)
    model.partial_fit(X[:50], y[:50])
    np.testing.assert_allclose(
        model.progressive_loss_, (n_rows * loss + losses.sum()) / (n_rows + 50)
    )


@every_optimizer
@pytest.mark.parametrize("batch_size", [1, 4])
def test_progressive_loss_counts_the_rows_before_a_failure(rows, optimizer, batch_size):
    X, y = rows
    parameters = {"optimizer": optimizer, "batch_size": batch_size, "eta0": 0.1}
    model, twin = (start(X, y, AdaptiveSGDRegressor, **parameters) for _ in range(2))
    hot = X.copy()
    hot.data[hot.indptr[42]] = 1e200
    with pytest.raises(ValueError, match="overflow"):
        model.partial_fit(hot, np.where(np.arange(len(y)) == 42, 1e200, y))
    learned = 42 - 42 % batch_size
    twin.partial_fit(X[:learned], y[:learned])
    np.testing.assert_allclose(model.progressive_loss_, twin.progressive_loss_)


@every_optimizer
def test_progressive_loss_outlives_other_parameters_and_weights(rows, optimizer):
    X, y = rows
    model = start(X, y)
    expected = model.progressive_loss_
    nothing = np.zeros(len(y))
    model.coef_ = np.ones(X.shape[1])
    model.intercept_ = [0.5]
    model.set_params(alpha=0.1).partial_fit(X, y, sample_weight=nothing)
    model.set_params(optimizer=optimizer).partial_fit(X, y, sample_weight=nothing)
    assert model.progressive_loss_ == expected


@every_estimator
def test_no_progressive_loss_before_there_is_a_model(estimator):
    assert not hasattr(estimator(), "progressive_loss_")
    with pytest.raises(NotFittedError):
        estimator().reset_progressive_loss()


# --- coefficients that are assigned before fit ---


@every_estimator
@every_optimizer
def test_coefficients_assigned_before_fit_are_those_to_start_from(rows, estimator, optimizer):
    """As programs do that share one model's coefficients among many places."""
    X, y = rows
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=X.shape[1]), np.array([0.3])
    named = first_call(estimator)
    parameters = {"optimizer": optimizer, "eta0": 0.1, "eps": 1e-3, "alpha": 1e-4}
    model = estimator(**parameters, warm_start=True, max_iter=2, tol=None, random_state=0)
    assert not hasattr(model, "coef_")
    model.coef_, model.intercept_ = coef, intercept
    np.testing.assert_array_equal(model.coef_, coef)
    fitted = clone(model).fit(X, y, coef_init=coef, intercept_init=intercept)
    assert_same_model(copy.deepcopy(model).fit(X, y), fitted)
    # a stream goes on from them, whether classes are assigned or passed
    stream = copy.deepcopy(model).partial_fit(X, y, **named)
    if named:
        model.classes_ = np.array(named["classes"])
        model.coef_ = coef[np.newaxis]
    raw = X @ coef + intercept[0]
    expected = np.where(raw > 0, 1, -1) if named else raw
    np.testing.assert_allclose(copy.deepcopy(model).predict(X), expected)
    again = copy.deepcopy(model).partial_fit(X, y)
    assert_same_model(again, stream)
    from_zero = clone(model).partial_fit(X, y, **named)
    assert relative_difference(stream.coef_, from_zero.coef_) > 0.01
    # they are not those of a fit without warm_start
    cold = clone(model).set_params(warm_start=False)
    cold.coef_ = coef
    assert_same_model(cold.fit(X, y), clone(cold).fit(X, y))


def test_coefficients_of_another_shape_are_refused_when_they_are_used(rows):
    X, y = rows
    model = AdaptiveSGDClassifier(warm_start=True)
    with pytest.raises(ValueError, match="coef_ is not an array of numbers"):
        model.coef_ = "many"
    assert not hasattr(model, "coef_")
    model.coef_ = np.zeros((1, 3))
    with pytest.raises(ValueError, match="shape"):
        model.fit(X, y)
    model.coef_ = np.zeros((4, X.shape[1]))
    with pytest.raises(ValueError, match="coef_ has 4 row"):
        model.partial_fit(X, y, classes=[-1, 1])
    model.coef_ = np.full((1, X.shape[1]), np.nan)
    with pytest.raises(ValueError, match="coef_ contains NaN"):
        model.fit(X, y)
