"""Training: order, chunks, stopping, weights, interruption, what is kept between calls."""

import contextlib
import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import joblib
import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of
from modes import FORMS, every_form, every_mode, every_optimizer
from reference import TWINS, schedule_for
from sklearn import config_context, get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training import steps

# What the first rows would tell: they are not the same in what is compared.
FIXED = {"eta0": 0.05, "eps": 1e-6}
every_penalty = pytest.mark.parametrize("penalty", [None, "elasticnet"])


@pytest.fixture(scope="module")
def rows(zipf_rows):
    """The first sparse rows, and labels."""
    _, X, y = zipf_rows
    return X[:400], y[:400]


def with_penalty(parameters, penalty):
    """The penalty, with a schedule, and none of the numbers that the first rows would tell."""
    schedule = schedule_for(parameters["optimizer"]) if penalty else "constant"
    return {**parameters, **FIXED, "penalty": penalty, "alpha": 1e-3, "learning_rate": schedule}


@pytest.fixture
def parameters(optimizer, sparse_update, penalty):
    return with_penalty({"optimizer": optimizer, "sparse_update": sparse_update}, penalty)


def start(X, y, **parameters):
    """A model after its first rows."""
    return AdaptiveSGDClassifier(**parameters).partial_fit(X[:200], y[:200], classes=[-1, 1])


# --- calls of partial_fit and epochs of fit ---


@pytest.mark.pairs
@every_penalty
@every_mode
@pytest.mark.parametrize("batch_size", [1, 4])
def test_chunks_are_the_whole_and_an_epoch_of_fit(rows, parameters, batch_size):
    X, y = rows
    parameters = {**parameters, "batch_size": batch_size}
    whole = AdaptiveSGDClassifier(**parameters).partial_fit(X, y, classes=[-1, 1])
    epoch = AdaptiveSGDClassifier(shuffle=False, max_iter=1, tol=None, **parameters).fit(X, y)
    assert_same_model(epoch, whole)
    chunks = AdaptiveSGDClassifier(**parameters)
    for part in range(0, X.shape[0], 20):
        chunks.partial_fit(X[part : part + 20], y[part : part + 20], classes=[-1, 1])
        # none of these may matter
        chunks.coef_  # noqa: B018
        chunks.intercept_  # noqa: B018
        chunks.predict(X[:5])
        chunks.score(X, y)
        pickle.dumps(chunks)
    assert_same_model(chunks, whole)


@every_penalty
@every_mode
def test_a_saved_model_goes_on_as_the_original(rows, parameters, tmp_path):
    X, y = rows
    model = start(X, y, **parameters)
    joblib.dump(model, tmp_path / "model.joblib")
    copies = [
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
    ]
    model.partial_fit(X[200:], y[200:])
    for other in copies:
        assert_same_model(other.partial_fit(X[200:], y[200:]), model)


@pytest.mark.pairs
@every_penalty
@every_form
@every_optimizer
def test_skops_needs_to_trust_nothing_but_the_estimator(rows, parameters):
    skops = pytest.importorskip("skops.io")
    X, y = rows
    for model in (
        start(X, y, **parameters),
        AdaptiveSGDRegressor(**parameters).partial_fit(X[:200], y[:200]),
        AdaptiveSGDClassifier(max_iter=2, tol=None, random_state=0, **parameters).fit(X, y % 3),
    ):
        saved = skops.dumps(model)
        untrusted = skops.get_untrusted_types(data=saved)
        assert [name.rpartition(".")[2] for name in untrusted] == [type(model).__name__]
        other = skops.loads(saved, trusted=untrusted)
        labels = y[200:] if -1 in getattr(model, "classes_", [-1]) else y[200:] % 3
        assert_same_model(other.partial_fit(X[200:], labels), model.partial_fit(X[200:], labels))


def test_a_saved_model_goes_on_in_a_new_process(rows, tmp_path):
    X, y = rows
    models = [
        start(X, y, **with_penalty({"optimizer": optimizer, "sparse_update": form}, penalty))
        for optimizer, form, penalty in product(OPTIMIZERS, FORMS, (None, "elasticnet"))
    ]
    joblib.dump(models, tmp_path / "models.joblib")
    (tmp_path / "saved.pickle").write_bytes(pickle.dumps((models, X[200:], y[200:])))
    program = """
import joblib, pickle
with open("saved.pickle", "rb") as file:
    models, X, y = pickle.load(file)
models += joblib.load("models.joblib", mmap_mode="r")
for model in models:
    model.partial_fit(X, y)
with open("learned.pickle", "wb") as file:
    pickle.dump(models, file)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    learned = pickle.loads((tmp_path / "learned.pickle").read_bytes())
    for model in models:
        model.partial_fit(X[200:], y[200:])
    for other, model in zip(learned, [*models, *models], strict=True):
        assert_same_model(other, model)


@pytest.mark.pairs
@every_penalty
@every_form
@every_optimizer
@pytest.mark.parametrize("mmap_mode", ["r", "r+", "c"])
@pytest.mark.parametrize("kind", ["average", "normalize"])
def test_a_mapped_model_leaves_its_file_as_it_was(rows, parameters, mmap_mode, kind, tmp_path):
    X, y = rows
    file = tmp_path / "model.joblib"
    model = start(X, y, **parameters, **{kind: True})
    joblib.dump(model, file)
    saved = file.read_bytes()
    mapped = joblib.load(file, mmap_mode=mmap_mode)
    mapped.predict(X)
    for each in (mapped, model):
        each.partial_fit(X[200:], y[200:])
    assert_same_model(mapped, model)
    for each in (mapped, model):
        each.set_params(alpha=1e-3).partial_fit(X[:50], y[:50])
    assert_same_model(mapped, model)
    mapped.reset_progressive_loss()
    mapped.intercept_ = [0.25]
    mapped.coef_ = mapped.coef_ + 1
    assert mapped.intercept_ == 0.25
    mapped.partial_fit(X, y)
    del mapped
    assert file.read_bytes() == saved


def test_arrays_in_the_memory_of_others_are_not_learned_into(rows):
    """As those that a process shares with others, or that came by network."""
    X, y = rows
    model, buffers = start(X, y, normalize=True), []
    plain = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    shared = [bytearray(buffer.raw()) for buffer in buffers]
    assert shared
    before = [bytes(buffer) for buffer in shared]
    other = pickle.loads(plain, buffers=shared)
    assert_same_model(other.partial_fit(X, y), model.partial_fit(X, y))
    assert shared == before


@pytest.mark.pairs
@every_penalty
@every_form
@every_optimizer
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_few_rows_are_predicted_as_many(parameters, n_classes):
    """They are read out by themselves, if no coefficients have been before."""
    X = sp.random(300, 5000, density=0.001, random_state=0, format="csr")
    y = np.arange(300) % n_classes
    model = AdaptiveSGDClassifier(**parameters).partial_fit(X, y, classes=np.arange(n_classes))
    several = [X[3], X[5:20], X[[7, 7, 8]], sp.csr_array((4, 5000))]
    margins = [model.decision_function(part) for part in several]
    assert np.any(model.coef_)
    for part, expected in zip(several, margins, strict=True):
        np.testing.assert_array_equal(model.decision_function(part), expected)


def test_a_copy_is_another_model(rows):
    X, y = rows
    model = start(X, y)
    before = weights_of(model)
    other = copy.deepcopy(model).partial_fit(X[200:], y[200:])
    other.intercept_ = [5.0]
    other.coef_ = np.ones_like(other.coef_)
    np.testing.assert_array_equal(weights_of(model), before)


def test_fit_forgets_what_was_before(rows):
    X, y = rows
    parameters = {"max_iter": 2, "tol": None, "random_state": 0}
    expected = AdaptiveSGDClassifier(**parameters).fit(X, y)
    model = start(X[:, ::-1], y, **parameters)
    assert_same_model(model.fit(X, y), expected)


# --- weights ---


@pytest.mark.pairs
@every_penalty
@every_mode
@pytest.mark.parametrize("batch_size", [1, 4])
def test_weight_zero_is_absent(rows, parameters, batch_size):
    X, y = rows
    weight = np.random.default_rng(0).integers(0, 2, size=len(y))
    present = weight > 0
    parameters = {**parameters, "batch_size": batch_size, "max_iter": 2, "tol": None}
    model = AdaptiveSGDClassifier(shuffle=False, **parameters)
    expected = AdaptiveSGDClassifier(shuffle=False, **parameters)
    model.fit(X, y, sample_weight=weight)
    assert_same_model(model, expected.fit(X[present], y[present]))
    model.partial_fit(X, y, sample_weight=weight)
    assert_same_model(model, expected.partial_fit(X[present], y[present]))


@every_optimizer
def test_a_weight_in_a_batch_is_a_number_of_copies(rows, optimizer):
    """The step's gradient is the mean over its rows: the batch has to count its copies."""
    X, y = rows
    n_rows = len(y)
    copies = np.random.default_rng(0).integers(1, 4, size=n_rows)
    weight = copies * (n_rows / copies.sum())
    parameters = {"optimizer": optimizer, "max_iter": 20, "tol": None, **FIXED}
    repeated = AdaptiveSGDClassifier(batch_size=int(copies.sum()), **parameters)
    repeated.fit(sp.csr_matrix(np.repeat(X.toarray(), copies, axis=0)), np.repeat(y, copies))
    weighted = AdaptiveSGDClassifier(batch_size=n_rows, **parameters)
    weighted.fit(X, y, sample_weight=weight)
    assert relative_difference(weights_of(weighted), weights_of(repeated)) < 1e-10


@every_optimizer
def test_class_weight_is_a_row_weight(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "max_iter": 2, "tol": None, "random_state": 0}
    balance = {label: len(y) / (2 * np.sum(y == label)) for label in (-1, 1)}
    for class_weight, factors in [
        ({-1: 0.5, 1: 3.0}, {-1: 0.5, 1: 3.0}),
        ({1: 2.0}, {-1: 1.0, 1: 2.0}),
        ("balanced", balance),
    ]:
        by_class = AdaptiveSGDClassifier(class_weight=class_weight, **parameters).fit(X, y)
        by_row = AdaptiveSGDClassifier(**parameters)
        by_row.fit(X, y, sample_weight=np.where(y == 1, factors[1], factors[-1]))
        assert relative_difference(weights_of(by_class), weights_of(by_row)) < 1e-12
    # both at once are multiplied
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    both = AdaptiveSGDClassifier(class_weight={1: 2.0}, **parameters)
    both.fit(X, y, sample_weight=weight)
    by_row = AdaptiveSGDClassifier(**parameters)
    by_row.fit(X, y, sample_weight=np.where(y == 1, 2 * weight, weight))
    assert relative_difference(weights_of(both), weights_of(by_row)) < 1e-12


# --- order ---


def test_random_state_decides_on_the_order(rows):
    X, y = rows
    parameters = {"max_iter": 3, "tol": None}

    def fitted(seed, **more):
        return AdaptiveSGDClassifier(random_state=seed, **parameters, **more).fit(X, y)

    assert_same_model(fitted(0), fitted(0))
    assert_same_model(fitted(np.random.RandomState(5)), fitted(5))
    assert np.any(fitted(0).coef_ != fitted(1).coef_)
    assert_same_model(fitted(0, shuffle=False), fitted(1, shuffle=False))
    # one batch of all rows has no order
    whole = [fitted(seed, batch_size=len(y)) for seed in (0, 1)]
    assert relative_difference(weights_of(whole[0]), weights_of(whole[1])) < 1e-12


# --- stopping ---


def test_only_max_iter_stops_without_tol(rows):
    X, y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = AdaptiveSGDClassifier(max_iter=37, tol=None, batch_size=7).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 37
    assert model.t_ == 1 + 37 * -(-len(y) // 7)


def test_tol_stops_where_the_objective_stalls(rows):
    X, y = rows
    for patience in (1, 4):
        model = AdaptiveSGDClassifier(
            tol=1e-2, n_iter_no_change=patience, max_iter=1000, random_state=0
        )
        curve = model.fit(X, y).loss_curve_
        assert model.n_iter_ == len(curve) < 1000
        share = np.mean(y == 1)
        least_gain = -1e-2 * (share * np.log(share) + (1 - share) * np.log(1 - share))
        stalled = [
            all(
                curve[epoch - i] > min(curve[: epoch - i], default=np.inf) - least_gain
                for i in range(patience)
            )
            for epoch in range(patience - 1, len(curve))
        ]
        assert stalled == [False] * (len(stalled) - 1) + [True]


def test_no_convergence_is_a_warning(rows):
    X, y = rows
    with pytest.warns(ConvergenceWarning, match="Consider increasing max_iter") as caught:
        AdaptiveSGDClassifier(max_iter=1).fit(X, y)
    assert caught[0].filename == __file__


@pytest.mark.pairs
@every_optimizer
@pytest.mark.parametrize("penalty", [None, "l2", "elasticnet"])
@pytest.mark.parametrize("batch_size", [1, 20])
def test_loss_curve_is_the_objective(rows, optimizer, penalty, batch_size):
    """Losses just before the steps, by their weights, and the penalty at the epoch's end."""
    n_rows = 40
    X, y = rows
    X, y = X[:n_rows], y[:n_rows]
    alpha, l1_ratio = 0.01, 0.3
    weight = np.random.default_rng(0).uniform(0.5, 2, size=n_rows)
    parameters = {
        "optimizer": optimizer,
        "penalty": penalty,
        "alpha": alpha,
        "l1_ratio": l1_ratio,
        "batch_size": batch_size,
        **FIXED,
    }
    model = AdaptiveSGDClassifier(shuffle=False, max_iter=2, tol=None, **parameters)
    model.fit(X, y, sample_weight=weight)
    loss = CLASSIFICATION_LOSSES["log_loss"].make()
    twin = AdaptiveSGDClassifier(**parameters)
    # no step yet, but a margin to ask for
    twin.partial_fit(X, y, classes=[-1, 1], sample_weight=np.zeros(n_rows))
    ratio = {None: 0, "l2": 0, "elasticnet": l1_ratio}[penalty]
    for objective in model.loss_curve_:
        total = 0.0
        for first in range(0, n_rows, batch_size):
            batch = slice(first, first + batch_size)
            values, _ = loss(y[batch], twin.decision_function(X[batch]))
            total += weight[batch] @ values
            twin.partial_fit(X[batch], y[batch], sample_weight=weight[batch])
        w = twin.coef_
        charge = alpha * (ratio * np.abs(w).sum() + (1 - ratio) * np.sum(w**2) / 2)
        # a decoupled decay is no part of an objective
        adds = penalty and not OPTIMIZERS[optimizer].decoupled
        expected = total / n_rows + (charge if adds else 0)
        np.testing.assert_allclose(objective, expected, rtol=1e-10)


@every_optimizer
def test_objectives_do_not_depend_on_the_unit_of_the_rows(rows, optimizer):
    """With what is automatic; and so training stops after the same epoch."""
    X, y = rows
    # powers of 2, so that rounding is the same
    models = [
        AdaptiveSGDClassifier(optimizer=optimizer, early_stopping=False, random_state=0).fit(
            unit * X, y
        )
        for unit in (1.0, 2.0**-26)
    ]
    np.testing.assert_allclose(models[1].loss_curve_, models[0].loss_curve_, rtol=1e-6)
    assert models[1].n_iter_ == models[0].n_iter_


@every_optimizer
def test_adaptive_divides_the_rate_by_five(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "alpha": 1e-3, "tol": 1e-4, "max_iter": 1000}
    constant = AdaptiveSGDClassifier(random_state=0, **parameters).fit(X, y)
    model = AdaptiveSGDClassifier(learning_rate="adaptive", random_state=0, **parameters).fit(X, y)
    divisions = np.log(constant.eta0_ / model.eta0_) / np.log(5)
    assert divisions > 1
    np.testing.assert_allclose(divisions, round(divisions))
    assert model.eta0_ <= 1e-6 * constant.eta0_ < 5 * model.eta0_
    # the same until the first division
    n_iter = constant.n_iter_
    np.testing.assert_allclose(model.loss_curve_[:n_iter], constant.loss_curve_)
    assert model.loss_curve_[-1] < constant.loss_curve_[-1]
    # the rate that it led to is that of the rows to come
    eta0 = model.eta0_
    assert model.partial_fit(X, y).eta0_ == eta0


@pytest.mark.parametrize("estimator", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_early_stopping_trains_on_the_other_rows(rows, estimator):
    X, y = rows
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    parameters = {"shuffle": False, "eta0": 0.1, "average": False, "random_state": 3}
    model = estimator(early_stopping=True, refit=False, validation_fraction=0.25, **parameters)
    model.fit(X, y, sample_weight=weight)
    assert model.n_iter_ < model.max_iter
    splitter = StratifiedShuffleSplit if estimator is AdaptiveSGDClassifier else ShuffleSplit
    (train, _) = next(splitter(test_size=0.25, random_state=3).split(X, y))
    twin = estimator(max_iter=model.best_iteration_, tol=None, **parameters)
    assert_same_model(model, twin.fit(X[train], y[train], sample_weight=weight[train]))


def test_early_stopping_needs_weight_on_both_sides(rows):
    X, y = rows
    splitter = StratifiedShuffleSplit(test_size=0.1, random_state=0)
    train, held_out = next(splitter.split(X, y))
    for part, name in ((train, "training"), (held_out, "validation")):
        weight = np.ones(len(y))
        weight[part] = 0
        with pytest.raises(ValueError, match=f"sample weights for {name} set are all zero"):
            AdaptiveSGDClassifier(early_stopping=True, random_state=0).fit(
                X, y, sample_weight=weight
            )


# --- where it starts from, and changes from outside ---


@every_optimizer
def test_initial_coefficients(rows, optimizer):
    X, y = rows
    coef = np.random.default_rng(0).normal(size=X.shape[1])
    parameters = {"optimizer": optimizer, "max_iter": 1, "tol": None, "shuffle": False, "eta0": 0.1}
    # a rate of nearly nothing shows where it starts
    model = AdaptiveSGDClassifier(**{**parameters, "eta0": 1e-300})
    for shape in (coef.shape, (1, coef.size)):
        model.fit(X, y, coef_init=coef.reshape(shape), intercept_init=0.5)
        np.testing.assert_allclose(model.coef_[0], coef, rtol=1e-14)
        np.testing.assert_allclose(model.intercept_, 0.5)
    # warm_start is the same of the call before, and moments start anew
    first = AdaptiveSGDClassifier(**parameters).fit(X, y)
    given = AdaptiveSGDClassifier(**parameters)
    given.fit(X, y, coef_init=first.coef_, intercept_init=first.intercept_)
    warm = AdaptiveSGDClassifier(warm_start=True, **parameters).fit(X, y)
    assert_same_model(warm, first)
    assert_same_model(warm.fit(X, y), given)
    assert np.any(given.coef_ != first.coef_)
    # what is passed goes first
    warm.fit(X, y, coef_init=first.coef_, intercept_init=first.intercept_)
    assert_same_model(warm, given)


def test_warm_start_with_another_number_of_features_is_refused(rows):
    X, y = rows
    model = AdaptiveSGDClassifier(warm_start=True).fit(X, y)
    before = model.coef_
    with pytest.raises(ValueError, match="Set warm_start=False"):
        model.fit(X[:, :-1], y)
    np.testing.assert_array_equal(model.coef_, before)
    assert model.n_features_in_ == X.shape[1]


@pytest.mark.skipif("sparse_interface" not in get_config(), reason="scikit-learn before 1.9")
@every_optimizer
def test_sparse_coefficients_are_what_scikit_learn_is_set_to(rows, optimizer):
    X, y = rows
    model = start(X, y, optimizer=optimizer)
    for kind, expected in (("sparray", sp.csr_array), ("spmatrix", sp.csr_matrix)):
        with config_context(sparse_interface=kind):
            for form in (copy.deepcopy(model).sparsify(), copy.deepcopy(model).strip_optimizer()):
                assert type(form.coef_) is expected
                np.testing.assert_allclose(form.decision_function(X), model.decision_function(X))


@every_optimizer
def test_sparsify_changes_no_result(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "penalty": "l1", "alpha": 0.1}
    model, twin = start(X, y, **parameters), start(X, y, **parameters)
    assert sp.issparse(model.sparsify().coef_)
    assert not isinstance(model.coef_, sp.sparray)
    assert model.coef_.nnz == np.count_nonzero(twin.coef_)
    np.testing.assert_array_equal(model.coef_.toarray(), twin.coef_)
    np.testing.assert_allclose(model.decision_function(X), twin.decision_function(X))
    np.testing.assert_allclose(
        model.decision_function(X.toarray()), twin.decision_function(X), atol=1e-14
    )
    assert sp.issparse(pickle.loads(pickle.dumps(model)).coef_)
    model.partial_fit(X[200:], y[200:])
    assert sp.issparse(model.coef_)
    assert_same_model(model.densify(), twin.partial_fit(X[200:], y[200:]))


@every_penalty
@every_mode
def test_coefficients_can_be_assigned(rows, parameters):
    X, y = rows
    model, twin = start(X, y, **parameters), start(X, y, **parameters)
    with pytest.raises(ValueError, match="read-only"):
        model.coef_[0, 0] = 1.0
    # to assign what is there already changes nothing but the last digits
    model.coef_ = model.coef_
    model.intercept_ = model.intercept_
    for each in (model, twin):
        each.partial_fit(X[200:], y[200:])
    assert relative_difference(weights_of(model), weights_of(twin)) < 1e-12
    new = np.random.default_rng(0).normal(size=(1, X.shape[1]))
    strided = np.asfortranarray(np.repeat(new, 2, axis=1))[:, ::2]
    for value in (new, new[0], sp.csr_matrix(new), new.tolist(), strided):
        model.coef_, model.intercept_ = value, [0.5]
        np.testing.assert_allclose(model.coef_, new, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(model.decision_function(X), X @ new[0] + 0.5)
    for bad in (new[:, 1:], np.full(X.shape[1], np.nan)):
        with pytest.raises(ValueError, match="coef_"):
            model.coef_ = bad
        with pytest.raises(ValueError, match="intercept_"):
            model.intercept_ = bad
    np.testing.assert_allclose(weights_of(model), [*new[0], 0.5], rtol=1e-12, atol=1e-14)


NUMBERS = {"eta0": 0.1, "alpha": 0.01, "eps": 1e-2, "rho": 0.99, "beta_1": 0.9, "beta_2": 0.999}
OTHER_NUMBERS = {"eta0": 0.02, "alpha": 0.1, "eps": 1e-5, "rho": 0.9, "beta_1": 0.8, "beta_2": 0.99}


def numbers_of(optimizer):
    """The numbers that an optimizer's twin has, too."""
    own = ["eta0", "eps", *OPTIMIZERS[optimizer].parameters]
    return [*own, "alpha"] if "l2" in TWINS[optimizer].penalties else own


@pytest.mark.parametrize(
    ("optimizer", "changed"),
    [(optimizer, name) for optimizer in OPTIMIZERS for name in numbers_of(optimizer)],
)
def test_numbers_may_change_between_calls(zipf_rows, optimizer, changed):
    """Moments and the clock stay, and steps to come are those of the new number."""
    X, X_sparse, y = (rows[:1000] for rows in zipf_rows)
    own = numbers_of(optimizer)
    penalty = "l2" if "alpha" in own else None
    change_at = 500
    # The reference reads its numbers at each step: arrays can change them.
    numbers = {name: np.array([NUMBERS[name]]) for name in own}

    def rate(t):
        numbers[changed][0] = (NUMBERS if t <= change_at else OTHER_NUMBERS)[changed]
        return numbers["eta0"][0]

    strengths = {name: numbers[name] for name in own if name not in ("eta0", "alpha")}
    if penalty:
        strengths["l2"] = numbers["alpha"]
    step = TWINS[optimizer].dense(X.shape[1] + 1, X.shape[1], **strengths)
    expected = reference.train(step, X, y, "log_loss", rate)[0]
    model = AdaptiveSGDClassifier(
        optimizer=optimizer, penalty=penalty, **{name: NUMBERS[name] for name in own}
    )
    model.partial_fit(X_sparse[:change_at], y[:change_at], classes=[-1, 1])
    model.set_params(**{changed: OTHER_NUMBERS[changed]})
    model.partial_fit(X_sparse[change_at:], y[change_at:])
    assert relative_difference(weights_of(model), expected) < 1e-10


@every_optimizer
def test_another_optimizer_starts_anew_from_the_weights(rows, optimizer):
    X, y = rows
    for change in ({"optimizer": optimizer}, {"sparse_update": "masked"}):
        old = {"optimizer": "adam", "sparse_update": "exact", **FIXED}
        if optimizer == "adam" and "optimizer" in change:
            old["optimizer"] = "adagrad"
        model = start(X, y, **old)
        fresh = AdaptiveSGDClassifier(shuffle=False, max_iter=1, tol=None, **{**old, **change})
        fresh.fit(X[200:], y[200:], coef_init=model.coef_, intercept_init=model.intercept_)
        model.set_params(**change).partial_fit(X[200:], y[200:])
        assert_same_model(model, fresh)


@every_optimizer
def test_another_optimizer_takes_what_is_automatic_from_the_rows_anew(rows, optimizer):
    X, y = rows
    other = "adam" if optimizer == "adagrad" else "adagrad"
    # columns would stay those of the first call
    model = AdaptiveSGDClassifier(optimizer=other, normalize=False)
    model.partial_fit(X, y, classes=np.unique(y))
    fresh = AdaptiveSGDClassifier(optimizer=optimizer, normalize=False)
    fresh.partial_fit(X[200:], y[200:], classes=np.unique(y))
    model.set_params(optimizer=optimizer).partial_fit(X[200:], y[200:])
    # rates are compared anew
    np.testing.assert_array_equal(model.mixture_rates_, fresh.mixture_rates_)
    assert model.eps_ == fresh.eps_


# --- numbers that overflow ---


@every_optimizer
def test_fit_that_overflows_names_the_epoch_and_costs_nothing(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDRegressor(optimizer=optimizer, eta0=0.1).partial_fit(X, y)
    twin = copy.deepcopy(model)
    hot = X.copy()
    hot.data[:] = 1e200
    with pytest.raises(ValueError, match=r"overflow occurred at epoch #1, row \d+.*smaller eta0"):
        model.fit(hot, y * 1e200)
    assert_same_model(model, twin)
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


@every_optimizer
def test_the_epoch_of_an_overflow_is_the_one_it_happens_in(optimizer):
    # The first row has a margin of zero and no loss, before the second has been learned.
    X, y = np.array([[1e200], [1.0]]), np.array([0.0, 1.0])
    model = AdaptiveSGDRegressor(
        optimizer=optimizer, eta0=0.1, eps=1e-6, fit_intercept=False, shuffle=False, tol=None
    )
    with pytest.raises(ValueError, match="at epoch #2, row 0"):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
    assert model.set_params(max_iter=1).fit(X, y).coef_ > 0


@pytest.mark.pairs
@every_penalty
@every_mode
@pytest.mark.parametrize("batch_size", [1, 4])
def test_partial_fit_that_overflows_keeps_the_rows_before(rows, parameters, batch_size):
    """A step happens whole or not at all."""
    X, y = rows
    y = y.astype(float)
    parameters = {**parameters, "batch_size": batch_size}
    model, twin = (AdaptiveSGDRegressor(**parameters).partial_fit(X, y) for _ in range(2))
    bad_row = 54
    hot = X[:80].copy()
    # one of the row's entries: the step of the others would be harmless
    hot.data[hot.indptr[bad_row + 1] - 1] = 1e200
    y_hot = y[:80].copy()
    y_hot[bad_row] = 1e200
    learned = bad_row - bad_row % batch_size
    with pytest.raises(ValueError, match=f"overflow occurred at row {learned}.*rows before it"):
        model.partial_fit(hot, y_hot)
    twin.partial_fit(X[:learned], y[:learned])
    assert_same_model(model, twin)
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


# --- interruption and threads ---


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_an_interrupted_fit_leaves_the_model_of_before(rows):
    X, y = rows
    model = start(X, y, max_iter=10**8, tol=None)
    twin = copy.deepcopy(model)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        # hours before it would end
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_same_model(model, twin)
    assert_same_model(model.partial_fit(X, y), twin.partial_fit(X, y))


@pytest.fixture
def ctrl_c_interrupts():
    """Python does not see to it in processes that a shell has started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_interrupted_partial_fit_stops_between_two_steps(
    rows, kernel_calls, monkeypatch, ctrl_c_interrupts, batch_size
):
    X, y = rows
    monkeypatch.setattr(steps, "ENTRIES_PER_CALL", 256)
    model = start(X, y, batch_size=batch_size)
    twin = copy.deepcopy(model)
    learned = []

    def interrupted(train, optimizer, training, rows):
        result = train(optimizer, training, rows)
        learned.extend(rows)
        if len(learned) > 100:
            signal.raise_signal(signal.SIGINT)
        return result

    kernel_calls(interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    monkeypatch.undo()
    n = len(learned)
    assert 100 < n < len(y) and n % batch_size == 0
    twin.partial_fit(X[:n], y[:n])
    assert_same_model(model, twin)
    assert_same_model(model.partial_fit(X[n:], y[n:]), twin.partial_fit(X[n:], y[n:]))


def test_rows_of_an_interrupted_call_are_let_go(rows, kernel_calls):
    """A traceback that refers to itself would keep them until the garbage is collected."""
    X, y = rows
    model = start(X, y)

    def interrupted(train, *arguments):
        train(*arguments)
        raise KeyboardInterrupt

    kernel_calls(interrupted)

    def call():
        given = X[200:].copy()
        with contextlib.suppress(KeyboardInterrupt):
            model.partial_fit(given, y[200:])
        return weakref.ref(given)

    gc.collect()
    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()
    assert model.t_ == 1 + len(y)


def test_the_kernel_comes_back_often_enough_for_signals(kernel_calls):
    """No call of the kernel learns more than a fraction of a second takes."""
    n_rows = 30_000
    X = sp.csr_matrix(np.ones((n_rows, 100)))
    entries = []

    def counted(train, optimizer, training, rows):
        entries.append(len(rows) * 100)
        return train(optimizer, training, rows)

    kernel_calls(counted)
    AdaptiveSGDRegressor(eta0=0.01).partial_fit(X, np.arange(n_rows) % 2)
    assert sum(entries) == X.nnz
    assert len(entries) > 1
    assert max(entries) <= steps.ENTRIES_PER_CALL


def test_the_kernel_releases_the_gil(kernel_calls):
    counter, done, advances = 0, False, []

    def count():
        nonlocal counter
        while not done:
            counter += 1
            time.sleep(0)

    def watched(train, *arguments):
        before = counter
        result = train(*arguments)
        advances.append(counter - before)
        return result

    kernel_calls(watched)
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=count)
    # Rows of an intercept alone are cheap to make and still take the kernel its time.
    X, y = sp.csr_matrix((1_000_000, 1)), np.arange(1_000_000) % 2
    try:
        # Python itself takes no lock from a thread any more: only who gives it up, loses it.
        sys.setswitchinterval(1000)
        thread.start()
        for _ in range(20):
            AdaptiveSGDRegressor(eta0=0.01).partial_fit(X, y)
            if max(advances) > 0:
                break
    finally:
        done = True
        sys.setswitchinterval(interval)
        thread.join()
    assert max(advances) > 0


def test_models_train_side_by_side(rows):
    X, y = rows

    def fitted(optimizer):
        return AdaptiveSGDClassifier(
            optimizer=optimizer, max_iter=30, tol=None, random_state=0
        ).fit(X, y)

    names = [*OPTIMIZERS] * 2
    with ThreadPoolExecutor(4) as pool:
        for model, name in zip(pool.map(fitted, names), names, strict=True):
            assert_same_model(model, fitted(name))


@every_optimizer
def test_a_model_is_saved_in_the_same_bytes(rows, optimizer):
    """Whatever the memory had before that its copy is made in."""
    X, y = rows
    model = start(X, y, optimizer=optimizer)
    saved = pickle.dumps(model)
    size = len(saved) // 4
    for fill in range(1, 40):
        litter = [np.full(size + step, fill, np.uint8) for step in range(0, 3 * size, 64)]
        del litter
        assert pickle.dumps(model) == saved
