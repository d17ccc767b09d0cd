"""eta0="auto" in partial_fit: rates side by side for a while, then the best of them alone."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_mode, every_optimizer
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.estimators import stream
from sk_adaptive.model.first_rows import LEAST_FIRST, N_FIRST
from sk_adaptive.model.mixture import Mixture

ROWS = 150


@pytest.fixture(autouse=True)
def settles_soon(monkeypatch):
    monkeypatch.setattr(stream, "ROWS_OF_SEARCH", ROWS)


@pytest.fixture(scope="module")
def rows(zipf_rows):
    # each of them differs from the others
    dense, _, y = zipf_rows
    X = np.column_stack([dense[:240], np.linspace(0.1, 0.2, 240)])
    return sp.csr_matrix(X), y[:240]


def learn(model, X, y, *, starts=(), weight=None, between=lambda model: model):
    """The model after all rows, in a call for each part, which `between` may replace meanwhile."""
    named = {"classes": np.unique(y)} if isinstance(model, AdaptiveSGDClassifier) else {}
    for start, stop in pairwise([0, *starts, X.shape[0]]):
        if weight is not None:
            named["sample_weight"] = weight[start:stop]
        model = between(model.partial_fit(X[start:stop], y[start:stop], **named))
        named = {}
    return model


def is_settled(model):
    return not isinstance(model._model, Mixture)


# --- settling ---


@every_mode
def test_the_best_rate_goes_on_alone(rows, parameters):
    """From where it was among the others, with records of its own only."""
    X, y = rows
    before = learn(AdaptiveSGDClassifier(average=False, **parameters), X[: ROWS - 1], y[: ROWS - 1])
    assert not is_settled(before)
    mixture = pickle.loads(pickle.dumps(before)).set_params(eta0="search")
    mixture.partial_fit(X[ROWS - 1 : ROWS], y[ROWS - 1 : ROWS])
    best = np.argmax(mixture.mixture_weights_)
    alone = mixture._model.part(np.array([best]), mixture._model.all_features())
    after = before.partial_fit(X[ROWS - 1 : ROWS], y[ROWS - 1 : ROWS])
    assert is_settled(after)
    assert after.eta0_ == mixture.mixture_rates_[best]
    np.testing.assert_allclose(after.coef_, alone.coefficients(), rtol=1e-12)
    np.testing.assert_allclose(after.intercept_, alone.intercepts(), rtol=1e-12)
    assert after.progressive_loss_ == pytest.approx(mixture.progressive_loss_, rel=1e-12)
    assert after._model.records.itemsize < mixture._model.records.itemsize / 3
    with pytest.raises(AttributeError, match="single model"):
        _ = after.mixture_weights_


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("named", [{}, {"normalize": True}, {"average": True, "penalty": "l1"}])
@every_mode
def test_split_is_whole_also_when_saved_in_between(
    rows, parameters, dtype, batch_size, n_classes, named
):
    X, y = rows[0].astype(dtype), rows[1]
    y = y if n_classes == 2 else np.arange(y.size) % 3
    model = AdaptiveSGDClassifier(batch_size=batch_size, **named, **parameters)
    # what is automatic is known from the rows of the first call
    starts = [42, 140, 147, 161, 203]
    whole = learn(model, X, y, starts=starts[:1])
    model = AdaptiveSGDClassifier(batch_size=batch_size, **named, **parameters)
    split = learn(
        model, X, y, starts=starts, between=lambda model: pickle.loads(pickle.dumps(model))
    )
    assert is_settled(whole)
    assert_same_model(split, whole)
    assert split.eta0_ == whole.eta0_


def test_several_targets_settle_together(rows):
    X, y = rows
    targets = np.column_stack([1e6 * (X @ np.ones(X.shape[1])), y])
    model = learn(AdaptiveSGDRegressor(), X, targets, starts=[100, 149])
    whole = learn(AdaptiveSGDRegressor(), X, targets, starts=[100])
    assert is_settled(model)
    assert_same_model(model, whole)


@every_optimizer
def test_threads_change_no_bit(rows, monkeypatch, optimizer):
    from sk_adaptive.training import parts

    monkeypatch.setattr(parts, "LEAST_WORK", 0)
    X, y = rows
    y = np.arange(y.size) % 12
    models = [
        learn(AdaptiveSGDClassifier(optimizer=optimizer, multi_class="ovr", n_jobs=n_jobs), X, y)
        for n_jobs in (1, 2)
    ]
    assert is_settled(models[0])
    assert_same_model(*models)


def test_a_change_that_has_no_part_in_it_changes_no_bit(rows):
    X, y = rows
    models = [learn(AdaptiveSGDClassifier(), X[:200], y[:200]) for _ in range(2)]
    models[1].set_params(n_jobs=2, max_iter=7)
    for model in models:
        model.partial_fit(X[200:], y[200:])
    assert_same_model(*models)


@every_optimizer
def test_the_search_goes_on_after_another_penalty(rows, optimizer):
    """And is not begun anew: what was learned in it decides as well."""
    X, y = rows
    model = learn(AdaptiveSGDClassifier(optimizer=optimizer), X[:100], y[:100])
    weights = model.mixture_weights_
    model.set_params(alpha=1e-5).partial_fit(X[:1], y[:1], sample_weight=[0.0])
    np.testing.assert_array_equal(model.mixture_weights_, weights)
    assert is_settled(model.partial_fit(X[100:], y[100:]))


def test_a_decay_turns_no_signs(rows):
    """Where the decay of a rate would be 1 or more, another rate goes on."""
    X, y = rows
    rate = AdaptiveSGDClassifier(optimizer="adamw").partial_fit(X, y, classes=[-1, 1])
    eta0 = rate._model.hyperparameters.eta0
    model = learn(AdaptiveSGDClassifier(optimizer="adamw", alpha=0.05 / eta0), X, y)
    assert is_settled(model)
    model.set_params(verbose=1).partial_fit(X[:1], y[:1])
    assert model.eta0_ * model.alpha < 1


def test_a_loss_that_tells_no_rate_is_not_searched_with(rows):
    X, y = rows
    assert is_settled(learn(AdaptiveSGDClassifier("perceptron"), X[:100], y[:100]))
    model = learn(AdaptiveSGDClassifier(), X[:100], y[:100])
    assert not is_settled(model)
    assert is_settled(model.set_params(loss="perceptron").partial_fit(X[100:], y[100:]))


def test_many_outputs_are_learned_at_one_rate(rows):
    """Unless a search is asked for: eight models of them take eight times the memory."""
    X = rows[0][:100]
    y = np.arange(100) % 2 + np.zeros((257, 1), int)
    assert is_settled(AdaptiveSGDClassifier().partial_fit(X, y.T, classes=range(257)))
    assert not is_settled(AdaptiveSGDClassifier().partial_fit(X, y[:256].T, classes=range(256)))
    search = AdaptiveSGDClassifier(eta0="search")
    assert not is_settled(search.partial_fit(X, y.T, classes=range(257)))


def test_very_many_features_are_learned_at_one_rate(rows, monkeypatch):
    X, y = (part[:50] for part in rows)
    for n_features in (X.shape[1], stream.MOST_WEIGHTS + 1):
        wide = sp.csr_matrix((X.data, X.indices, X.indptr), (50, n_features))
        model = AdaptiveSGDClassifier().partial_fit(wide, y, classes=[-1, 1])
        assert is_settled(model) == (n_features > stream.MOST_WEIGHTS)
    labels = np.c_[y, y[::-1]] > 0
    for most, settled in ((2 * X.shape[1], False), (2 * X.shape[1] - 1, True)):
        monkeypatch.setattr(stream, "MOST_WEIGHTS", most)
        assert is_settled(AdaptiveSGDClassifier().partial_fit(X, labels, classes=[0, 1])) == settled


def test_assigned_coefficients_are_searched_from(rows):
    X, y = rows
    model = AdaptiveSGDClassifier()
    model.coef_, model.intercept_ = np.zeros((1, X.shape[1])), np.zeros(1)
    assert not is_settled(learn(model, X[:100], y[:100]))
    assert is_settled(learn(AdaptiveSGDClassifier().fit(X, y), X[:100], y[:100]))


# --- rows that come again ---


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_rows_that_come_again_end_the_search(rows, monkeypatch, batch_size, shuffled):
    """At once in order, and within a pass in any order; with the best rate of the first pass."""
    monkeypatch.setattr(stream, "ROWS_OF_SEARCH", 1000)
    X, y = rows
    X, y = X[:100], y[:100]
    model = learn(AdaptiveSGDClassifier(batch_size=batch_size), X, y)
    best = model.mixture_rates_[np.argmax(model.mixture_weights_)]
    order = np.random.default_rng(0).permutation(100) if shuffled else np.arange(100)
    learned = 50
    if shuffled:
        assert not is_settled(model.partial_fit(X[order[:learned]], y[order[:learned]]))
    else:
        learned = 0
    # so many of the rows that were first
    model.partial_fit(X[order[learned:][:50]], y[order[learned:][:50]])
    assert is_settled(model)
    assert model.eta0_ == best


@every_optimizer
def test_weights_stay_while_rows_come_again(rows, optimizer):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(optimizer=optimizer, eta0="search"), X, y)
    weights = model.mixture_weights_
    for _ in range(3):
        model.partial_fit(X, y)
        np.testing.assert_array_equal(model.mixture_weights_, weights)
    # new rows, after as many as before the rows came again
    other = X.copy()
    other.data = other.data[::-1].copy()
    model.partial_fit(other, y)
    other.data *= 1.5
    model.partial_fit(other, y).partial_fit(other[:50], y[:50])
    assert (model.mixture_weights_ != weights).any()


def test_split_is_whole_also_where_rows_come_again(rows):
    X, y = rows
    again = sp.vstack([X, X, X, X, X]), np.tile(y, 5)
    models = [
        learn(AdaptiveSGDClassifier(eta0="search"), *again, starts=[42, *starts])
        for starts in ([], [239, 241, 270, 300, 301, 484, 720, 1000])
    ]
    assert models[0]._model.pause[0] > 0
    assert_same_model(*models)
    for name in ("weights", "first_rows", "pause"):
        np.testing.assert_array_equal(*(getattr(model._model, name) for model in models))


def test_rows_that_are_alike_do_not_come_again():
    """Rows of few ids are drawn again and again."""
    rng = np.random.default_rng(0)
    ids = rng.integers([0, 9, 16], [9, 16, 21], size=(3000, 3))
    X = sp.csr_matrix((np.ones(9000), ids.ravel(), np.arange(0, 9001, 3)), (3000, 21))
    y = rng.integers(0, 2, 3000)
    model = learn(AdaptiveSGDClassifier(eta0="search"), X, y)
    counts = model._model.first_rows["count"]
    assert np.count_nonzero(model._model.first_rows["key"]) == N_FIRST
    assert model._model.pause[0] == 0
    assert np.median(counts) > 1


def test_few_rows_are_not_known_to_come_again(rows):
    X, y = rows
    X, y = X[: LEAST_FIRST - 1], y[: LEAST_FIRST - 1]
    model = AdaptiveSGDClassifier(eta0="search")
    for _ in range(5):
        model.partial_fit(X, y, classes=[-1, 1])
    assert model._model.pause[0] == 0


def test_rows_that_were_not_learned_are_not_remembered(rows):
    """Nor counted, where a row in the middle of a call can't be learned."""
    X, y = rows
    bad = sp.csr_matrix(np.full((1, X.shape[1]), 1e300))
    X, y = sp.vstack([X[:20], X[:70], bad, X[70:90], X[:60]], format="csr"), np.arange(171.0)
    y[:20], y[20:40] = y[20:40], y[:20].copy()
    models = [AdaptiveSGDRegressor(eta0="search").partial_fit(X[20:40], y[20:40]) for _ in "ab"]
    with pytest.raises(ValueError, match="at row 90"):
        models[0].partial_fit(X, y)
    models[1].partial_fit(X[:90], y[:90])
    for name in ("weights", "first_rows", "pause"):
        np.testing.assert_array_equal(*(getattr(model._model, name) for model in models))


# --- sample weights that grow ---


@every_optimizer
def test_growing_weights_are_no_growing_losses(zipf_rows, optimizer):
    """With weights of recency, from 1e-6 to 1, the mean is as good as one rate on new rows."""
    _, X, y = zipf_rows
    X, y, X_test, y_test = X[:1500], y[:1500], X[1500:], y[1500:]
    weight = np.geomspace(1e-6, 1, 1500)
    model = learn(
        AdaptiveSGDClassifier(optimizer=optimizer, eta0="search"), X, y, starts=[99], weight=weight
    )
    losses = [log_loss(y_test, model.predict_proba(X_test))]
    for rate in model.mixture_rates_:
        single = AdaptiveSGDClassifier(optimizer=optimizer, eta0=rate)
        single = learn(single, X, y, starts=[99], weight=weight)
        losses.append(log_loss(y_test, single.predict_proba(X_test)))
    assert losses[0] < 1.1 * min(losses[1:])


def test_the_unit_of_weights_does_not_matter(zipf_rows):
    _, X, y = zipf_rows
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    models = [
        learn(AdaptiveSGDClassifier(eta0="search"), X, y, weight=factor * weight)
        for factor in (1.0, 2.0**-20)
    ]
    np.testing.assert_allclose(*(model.mixture_weights_ for model in models), rtol=1e-9)
