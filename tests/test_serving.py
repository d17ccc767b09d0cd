"""A stripped model has what predictions need and nothing else, and predicts the same."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_optimizer
from sklearn.exceptions import NotFittedError

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.model import served

N_FEATURES = 5000
KINDS = ("binary", "softmax", "ovr", "labels", "one target", "targets")


@pytest.fixture(scope="module")
def rows():
    """Rows of which some features are never seen, and targets of each kind."""
    rng = np.random.default_rng(0)
    n, seen = 300, 40
    X = np.zeros((n, N_FEATURES))
    X[:, rng.permutation(N_FEATURES)[:seen]] = rng.normal(size=(n, seen)) * (
        rng.random((n, seen)) < 0.2
    )
    X = sp.csr_matrix(X)
    margins = X @ rng.normal(size=(N_FEATURES, 3))
    return X, {
        "binary": margins[:, 0] > 0,
        "softmax": margins.argmax(axis=1),
        "ovr": margins.argmax(axis=1),
        "labels": (margins > 0).astype(int),
        "one target": margins[:, 0],
        "targets": margins,
    }


def trained(rows, kind, optimizer="adagrad", **parameters):
    X, targets = rows
    regresses = "target" in kind
    if kind == "ovr":
        parameters["multi_class"] = "ovr"
    model = (AdaptiveSGDRegressor if regresses else AdaptiveSGDClassifier)(
        optimizer=optimizer, random_state=0, max_iter=2, tol=None, **parameters
    )
    return model.fit(X, targets[kind])


def results(model, X):
    """All that a model predicts."""
    names = ("decision_function", "predict", "predict_proba", "predict_log_proba")
    return [getattr(model, name)(X) for name in names if hasattr(model, name)]


def assert_same_results(actual, expected, X):
    for ours, theirs in zip(results(actual, X), results(expected, X), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@every_optimizer
def test_it_predicts_the_same(rows, optimizer, kind, dtype):
    X, targets = rows[0].astype(dtype), rows[1]
    model = trained((X, targets), kind, optimizer, penalty="l1", alpha=1e-3)
    small = copy.deepcopy(model)
    assert small.strip_optimizer() is small
    # few rows are predicted by their features, many by all coefficients
    for part in (X, X[:1], X[5:7], sp.csr_matrix((2, N_FEATURES), dtype=dtype)):
        assert_same_results(small, model, part)
    for ours, theirs in zip(results(small, X.toarray()), results(model, X.toarray()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9 if dtype == np.float64 else 1e-3)
    # and the numbers that it knows are those of before
    assert sp.issparse(small.coef_)
    assert small.coef_.dtype == small.intercept_.dtype == dtype
    np.testing.assert_array_equal(small.coef_.toarray(), np.atleast_2d(model.coef_))
    assert small.coef_.nnz == np.count_nonzero(model.coef_) < model.coef_.size
    for name in ("t_", "eta0_", "eps_", "progressive_loss_", "n_iter_", "loss_curve_"):
        np.testing.assert_array_equal(getattr(small, name), getattr(model, name))
    # stripping twice is stripping once
    assert_same_model(copy.deepcopy(small).strip_optimizer().densify(), model)


@pytest.mark.parametrize(
    "parameters",
    [{"normalize": True}, {"average": True}, {"average": 50, "normalize": True}],
    ids=str,
)
@every_optimizer
def test_it_keeps_what_coef_shows(rows, optimizer, parameters):
    """Coefficients of features as they are, and averages where there are."""
    X, _ = rows
    for kind in ("binary", "softmax"):
        model = trained(rows, kind, optimizer, **parameters)
        small = copy.deepcopy(model).strip_optimizer()
        assert_same_results(small, model, X)
        np.testing.assert_array_equal(small.coef_.toarray(), model.coef_)
        np.testing.assert_array_equal(small.intercept_, model.intercept_)


@pytest.mark.parametrize("kind", KINDS)
@every_optimizer
def test_it_is_small_however_it_is_saved(rows, optimizer, kind, tmp_path):
    X, _ = rows
    model = trained(rows, kind, optimizer)
    size = len(pickle.dumps(model))
    n_weights = np.count_nonzero(model.coef_)
    small = copy.deepcopy(model).strip_optimizer()
    saved = pickle.dumps(small)
    # a feature, an output and a number; and what every estimator has
    assert len(saved) < min(13 * n_weights + 6000, size / 5)
    joblib.dump(small, tmp_path / "small.joblib")
    others = [
        pickle.loads(saved),
        joblib.load(tmp_path / "small.joblib"),
        joblib.load(tmp_path / "small.joblib", mmap_mode="r"),
    ]
    for other in others:
        assert_same_results(other, model, X)
        assert_same_results(other, model, X[:2])
        # saved again
        assert len(pickle.dumps(other)) < len(saved) + 100


@every_optimizer
def test_skops_needs_to_trust_nothing_but_the_estimator(rows, optimizer):
    skops = pytest.importorskip("skops.io")
    X, _ = rows
    for kind in KINDS:
        small = trained(rows, kind, optimizer).strip_optimizer()
        saved = skops.dumps(small)
        untrusted = skops.get_untrusted_types(data=saved)
        assert [name.rpartition(".")[2] for name in untrusted] == [type(small).__name__]
        assert_same_results(skops.loads(saved, trusted=untrusted), small, X)


@pytest.mark.parametrize("kind", ["binary", "softmax", "targets"])
@every_optimizer
def test_it_can_not_learn_on(rows, optimizer, kind):
    X, targets = rows
    model = trained(rows, kind, optimizer)
    small = copy.deepcopy(model).strip_optimizer()
    before = pickle.dumps(small)
    for changes in ({}, {"penalty": None}, {"eta0": 0.1}):
        with pytest.raises(ValueError, match=r"can't learn on: strip_optimizer\(\)"):
            small.set_params(**changes).partial_fit(X, targets[kind])
        small.set_params(**{name: getattr(model, name) for name in changes})
    for name in ("optimizer_state_", "effective_learning_rate_"):
        assert not hasattr(small, name)
        with pytest.raises(AttributeError, match=r"strip_optimizer\(\) has left"):
            getattr(small, name)
    assert pickle.dumps(small) == before
    # fit starts anew
    assert_same_model(small.fit(X, targets[kind]), model.fit(X, targets[kind]))
    assert small.optimizer_state_.keys() == model.optimizer_state_.keys()
    assert not sp.issparse(small.coef_)


@every_optimizer
def test_a_warm_start_takes_its_coefficients(rows, optimizer):
    X, targets = rows
    for kind in ("binary", "softmax"):
        model = trained(rows, kind, optimizer, warm_start=True)
        small = copy.deepcopy(model).strip_optimizer()
        assert_same_model(small.fit(X, targets[kind]), model.fit(X, targets[kind]))
        small.strip_optimizer()
        with pytest.raises(ValueError, match="Set warm_start=False"):
            small.fit(X[:, :-1], targets[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_and_intercepts_can_be_assigned(rows, kind):
    """As after throwing away rows of one class, whose share is put right by the intercept."""
    X, _ = rows
    model = trained(rows, kind)
    small = copy.deepcopy(model).strip_optimizer()
    for each in (small, model):
        each.intercept_ = each.intercept_ + 0.5
    assert_same_results(small, model, X)
    coef = np.where(np.abs(model.coef_) < np.abs(model.coef_).mean(), 0, model.coef_)
    model.coef_, small.coef_ = coef, sp.csr_matrix(coef)
    assert_same_model(copy.deepcopy(small).densify(), model)
    assert len(pickle.dumps(small)) < len(pickle.dumps(model)) / 5


def test_it_is_made_of_a_few_features_at_a_time(rows, monkeypatch):
    X, _ = rows
    for kind in ("binary", "softmax"):
        model = trained(rows, kind)
        whole = copy.deepcopy(model).strip_optimizer()
        monkeypatch.setattr(served, "FEATURES_AT_ONCE", 999)
        assert_same_results(model.strip_optimizer(), whole, X)
        assert (model.coef_ != whole.coef_).nnz == 0


def test_what_has_no_weight_at_all(rows):
    X, _ = rows
    model = trained(rows, "binary", penalty="l1", alpha=1e3).strip_optimizer()
    assert model.coef_.nnz == 0
    np.testing.assert_array_equal(model.decision_function(X), np.tile(model.intercept_, 300))
    np.testing.assert_array_equal(model.decision_function(X[:2]), np.tile(model.intercept_, 2))


def test_before_there_is_a_model():
    with pytest.raises(NotFittedError):
        AdaptiveSGDClassifier().strip_optimizer()


def test_a_stream_is_stripped_and_goes_on_from_a_copy(rows):
    X, targets = rows
    y = targets["binary"]
    stream = AdaptiveSGDClassifier().partial_fit(X[:100], y[:100], classes=[False, True])
    twin = copy.deepcopy(stream)
    served = copy.deepcopy(stream).strip_optimizer()
    assert_same_results(served, stream, X)
    # the original does not notice
    assert_same_model(stream.partial_fit(X[100:], y[100:]), twin.partial_fit(X[100:], y[100:]))


DAMAGES = {
    "incomplete": ("KeyError", lambda s: {k: v for k, v in s.items() if k != "features"}),
    "neither form": (
        "intercept",
        lambda s: {k: v for k, v in s.items() if k != "coef"},
    ),
    "other number of features": ("features", lambda s: {**s, "n_features": 7}),
    "feature beyond": (
        "features are beyond",
        lambda s: {**s, "features": np.full_like(s["features"], N_FEATURES)},
    ),
    "output beyond": ("outputs are beyond", lambda s: {**s, "outputs": s["outputs"] + np.uint8(3)}),
    "not sorted": ("not sorted", lambda s: {**s, "features": s["features"][::-1].copy()}),
    "fewer features": ("one whole number", lambda s: {**s, "features": s["features"][1:]}),
    "fractions": ("one whole number", lambda s: {**s, "outputs": s["outputs"] * 1.0}),
    "words": ("no array of numbers", lambda s: {**s, "coef": s["coef"].astype(str)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused(rows, damage):
    message, spoil = DAMAGES[damage]
    saved = trained(rows, "softmax").strip_optimizer().__getstate__()
    with pytest.raises(ValueError, match=f"saved state.*{message}"):
        AdaptiveSGDClassifier().__setstate__({**saved, "_model": spoil(saved["_model"])})
    AdaptiveSGDClassifier().__setstate__(saved)
