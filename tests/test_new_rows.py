"""Rows set aside are scored as new rows are, which have no word that no learned row has."""

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.data.new_rows import part_as_new
from sk_adaptive.data.targets import NumberTargets
from sk_adaptive.data.training_data import training_data
from sk_adaptive.kernel.losses import REGRESSION_LOSSES

N_ROWS, N_LEARNED, N_WORDS = 600, 500, 300
LEARNED, SET_ASIDE = np.arange(N_LEARNED), np.arange(N_LEARNED, N_ROWS)


@pytest.fixture(scope="module")
def texts():
    """Sentences of frequent words, rare ones, and one that no other sentence has."""
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.3, (N_ROWS, 8)), N_WORDS)
    lengths = rng.integers(2, 9, N_ROWS)
    return [
        " ".join([f"w{word}" for word in row[:length]] + [f"own{k}"])
        for k, (row, length) in enumerate(zip(words, lengths, strict=True))
    ]


def part_of(X):
    """What is made of the rows set aside."""
    loss = REGRESSION_LOSSES["squared_error"].make()
    training = training_data(
        NumberTargets((), loss, "squared_error"),
        sp.csr_matrix(X),
        np.zeros(X.shape[0]),
        None,
        batch_size=1,
        fit_intercept=True,
    )
    part = part_as_new(training, LEARNED, SET_ASIDE)
    return sp.csr_matrix((part.data, part.indices, part.indptr), (SET_ASIDE.size, X.shape[1]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
def test_they_are_what_a_vectorizer_of_the_learned_rows_makes_of_them(texts, dtype, unit):
    everything = CountVectorizer().fit(texts)
    X = unit * normalize(everything.transform(texts).astype(dtype))
    known = CountVectorizer().fit(texts[:N_LEARNED])
    expected = unit * normalize(known.transform(texts[N_LEARNED:]).astype(dtype))
    of_known = [everything.vocabulary_[word] for word in known.get_feature_names_out()]
    part = part_of(X)
    tolerance = {"rtol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(part[:, of_known].toarray(), expected.toarray(), **tolerance)
    # and nothing else is left
    assert part.nnz == expected.nnz
    assert part.dtype == dtype


def kinds_of_rows(texts):
    counts = CountVectorizer().fit_transform(texts).astype(float)
    rng = np.random.default_rng(1)
    ids = rng.integers(2000, size=N_ROWS) + 200 * np.arange(3)[:, np.newaxis]
    hashed = sp.csr_matrix(
        (np.ones(3 * N_ROWS), (np.tile(np.arange(N_ROWS), 3), ids.ravel())), (N_ROWS, 3000)
    )
    hashed.sum_duplicates()
    return {
        "counts": counts,
        "ids": hashed,
        "text beside a number": sp.hstack(
            [normalize(counts), rng.normal(size=(N_ROWS, 1))], format="csr"
        ),
    }


@pytest.mark.parametrize("kind", ["counts", "ids", "text beside a number"])
def test_rows_of_no_common_norm_stay_what_they_are(texts, kind):
    X = kinds_of_rows(texts)[kind]
    assert np.setdiff1d(X[SET_ASIDE].indices, X[LEARNED].indices).size
    assert abs(part_of(X) - X[SET_ASIDE]).nnz == 0


def test_rows_of_equal_lengths_and_norms_are_not_taken_for_text():
    rng = np.random.default_rng(2)
    ids = np.arange(N_ROWS) // 2, N_ROWS + rng.integers(50, size=N_ROWS)
    X = sp.csr_matrix(
        (np.tile([1.0, 2.0], N_ROWS), np.column_stack(ids).ravel(), np.arange(N_ROWS + 1) * 2),
        (N_ROWS, N_ROWS + 50),
    )
    assert abs(part_of(X) - X[SET_ASIDE]).nnz == 0


@pytest.fixture(scope="module")
def text_rows(texts):
    X = normalize(CountVectorizer().fit_transform(texts).astype(float))
    own = X @ np.random.default_rng(3).normal(size=X.shape[1])
    return X, np.where(own > 0, "yes", "no")


@pytest.mark.parametrize("dense", [False, True])
def test_scorers_get_them_too(text_rows, dense):
    X, y = text_rows
    X = X.toarray() if dense else X
    seen = []

    def scorer(estimator, X, y):
        seen.append(X)
        return estimator.score(X, y)

    model = AdaptiveSGDClassifier(
        early_stopping=True, scoring=scorer, max_iter=2, tol=None, random_state=0
    ).fit(X, y)
    assert model.validation_scores_ is not None
    rows = seen[0]
    assert sp.issparse(rows) != dense
    rows = sp.csr_matrix(rows)
    norms = np.sqrt(rows.power(2).sum(axis=1))
    np.testing.assert_allclose(norms[norms > 0], 1)
    # a word that one row has is in none of those that are learned
    own = np.flatnonzero(np.bincount(sp.csr_matrix(X).indices) == 1)
    assert not np.isin(own, rows.indices).any()


def test_weights_of_before_count_for_the_features_they_have(text_rows):
    X, y = text_rows
    parameters = {"early_stopping": True, "refit": False, "max_iter": 3, "random_state": 0}
    before = AdaptiveSGDClassifier(**parameters).fit(X, y)
    warm = AdaptiveSGDClassifier(**parameters, warm_start=True).fit(X, y)
    warm.coef_, warm.intercept_ = before.coef_, before.intercept_
    given = AdaptiveSGDClassifier(**parameters)
    given.fit(X, y, coef_init=before.coef_, intercept_init=before.intercept_)
    assert_same_model(warm.fit(X, y), given)
    assert warm.validation_scores_ == given.validation_scores_
