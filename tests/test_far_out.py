"""A few extreme numbers set no unit: neither those of rows nor those of targets."""

import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from modes import every_mode
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.sizes import mean_size, within_reach

every_seed = pytest.mark.parametrize("seed", range(3))
ROBUST = ["huber", "epsilon_insensitive", "quantile"]


# -- sizes --


@pytest.mark.parametrize("factor", [2.0**300, 2.0**-300])
def test_typical_sizes_have_the_unit_of_the_numbers(factor):
    sizes = np.random.default_rng(0).lognormal(sigma=3, size=999)
    assert (sizes > 10 * np.median(sizes)).any()
    assert mean_size(factor * sizes) == factor * mean_size(sizes)


def test_usual_sizes_have_their_mean():
    sizes = np.abs(np.random.default_rng(0).normal(size=(1000, 2)))
    sizes[:, 1] *= 1e6
    np.testing.assert_allclose(mean_size(sizes), sizes.mean(axis=0))
    assert mean_size(np.zeros(5)) == 0
    assert mean_size(np.array([1e30])) == 1e30


def test_few_sizes_move_the_mean_little():
    sizes = np.ones(1000)
    sizes[:10] = 1e300
    assert mean_size(sizes) == pytest.approx(1.09)
    assert within_reach(sizes).max() == 10


def test_zeros_do_not_hide_what_is_typical():
    sizes = np.zeros(1000)
    sizes[:100] = 1
    assert mean_size(sizes) == pytest.approx(0.1)


# -- rows --


def one_entry(rng):
    """A number that stands for a missing one, in one of a thousand rows."""
    X = rng.normal(size=(3000, 12))
    y = (X @ rng.normal(size=12) + 0.3 * rng.normal(size=3000) > 0).astype(int)
    X[rng.integers(1000), rng.integers(12)] = 999_999
    return X, y, 1000


def an_amount(rng):
    """One row of a hundred has an amount beside its one-hot columns."""
    values = np.column_stack([rng.integers(m, size=6000) for m in (5, 20, 50, 7)])
    one_hot = OneHotEncoder().fit_transform(values)
    y = one_hot @ rng.normal(size=one_hot.shape[1]) + 0.5 * rng.normal(size=6000) > 0
    amount = sp.random(6000, 1, 0.01, "csr", random_state=rng) * 50_000
    return sp.hstack([one_hot, amount], format="csr"), y.astype(int), 4000


def peer():
    return make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=300))


@cache
def with_peer(kind, seed):
    """Rows of a kind, how many of them are learned, and what a peer scores on the others."""
    X, y, n = kind(np.random.default_rng(seed))
    return X, y, n, peer().fit(X[:n], y[:n]).score(X[n:], y[n:])


@pytest.mark.values
@every_seed
@pytest.mark.parametrize("kind", [one_entry, an_amount])
@every_mode
def test_few_entries_ruin_nothing(kind, seed, optimizer, sparse_update):
    X, y, n, best = with_peer(kind, seed)
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "random_state": 0}
    with pytest.warns(UserWarning, match="normalize=True, or by StandardScaler"):
        model = AdaptiveSGDClassifier(**parameters).fit(X[:n], y[:n])
    # masked steps on an entry that is rare are as long as those on others
    allowed = 0.08 if sparse_update == "masked" else 0.05
    assert model.score(X[n:], y[n:]) > best - allowed


@pytest.mark.parametrize("kind", [one_entry, an_amount])
def test_nor_in_the_first_rows_of_a_stream(kind):
    X, y, n = kind(np.random.default_rng(0))
    # the rows that are far out come first
    far = np.asarray(abs(X[:n]).max(axis=1).todense() if sp.issparse(X) else abs(X[:n]).max(axis=1))
    order = np.argsort(-np.ravel(far))
    rest = np.random.default_rng(1).permutation(order[10:])
    order = np.r_[order[:10], rest]
    model = AdaptiveSGDClassifier()
    with pytest.warns(UserWarning, match="normalize=True"):
        model.partial_fit(X[order[:500]], y[order[:500]], classes=[0, 1])
    model.partial_fit(X[order[500:]], y[order[500:]])
    best = peer().fit(X[:n], y[:n]).score(X[n:], y[n:])
    assert model.score(X[n:], y[n:]) > best - 0.05


def usual_rows(rng):
    table = rng.normal(size=(500, 8))
    return {
        "numbers": table,
        "long tails": np.exp(table),
        "text": normalize(sp.random(500, 300, 0.05, "csr", random_state=rng)),
        "ids": OneHotEncoder().fit_transform(rng.integers(50, size=(500, 6))),
        "empty rows": sp.random(500, 300, 0.002, "csr", random_state=rng),
    }


@pytest.mark.parametrize("kind", ["numbers", "long tails", "text", "ids", "empty rows"])
def test_usual_rows_are_no_reason_to_warn(kind):
    X = usual_rows(np.random.default_rng(0))[kind]
    y = np.arange(500) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdaptiveSGDClassifier(random_state=0).fit(X, y)
        AdaptiveSGDClassifier().partial_fit(X, y, classes=[0, 1])


def test_normalised_rows_are_no_reason_either():
    X, y, n = one_entry(np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AdaptiveSGDClassifier(normalize=True, random_state=0).fit(X[:n], y[:n])


@pytest.mark.parametrize("stream", [False, True])
def test_the_warning_is_the_callers(stream):
    X, y, n = one_entry(np.random.default_rng(0))
    model = AdaptiveSGDClassifier()
    with pytest.warns(UserWarning, match="far larger") as caught:
        if stream:
            model.partial_fit(X[:n], y[:n], classes=[0, 1])
        else:
            model.fit(X[:n], y[:n])
    assert caught[0].filename == __file__


# -- targets --


def targets_far_out(seed, n_far_out):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4000, 12))
    y = X @ rng.normal(size=12) + 0.1 * rng.normal(size=4000)
    # among the first rows, for a stream
    y[rng.choice(500, n_far_out, replace=False)] = 1e6
    return X, y


@pytest.mark.values
@every_seed
@pytest.mark.parametrize("n_far_out", [1, 20])
@pytest.mark.parametrize("loss", ROBUST)
@every_mode
def test_few_targets_ruin_nothing(loss, n_far_out, seed, optimizer, sparse_update):
    X, y = targets_far_out(seed, n_far_out)
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "random_state": 0}
    model = AdaptiveSGDRegressor(loss, **parameters).fit(X[:3000], y[:3000])
    assert model.score(X[3000:], y[3000:]) > 0.95
    stream = AdaptiveSGDRegressor(loss, **parameters)
    for start in range(0, 3000, 500):
        stream.partial_fit(X[start : start + 500], y[start : start + 500])
    assert stream.score(X[3000:], y[3000:]) > 0.95


def test_targets_of_which_most_are_zero_are_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 12))
    y = np.where(rng.random(4000) < 0.2, X @ rng.normal(size=12), 0)
    model = AdaptiveSGDRegressor(random_state=0).fit(X[:3000], y[:3000])
    best = Ridge().fit(X[:3000], y[:3000]).score(X[3000:], y[3000:])
    assert model.score(X[3000:], y[3000:]) > best - 0.02
