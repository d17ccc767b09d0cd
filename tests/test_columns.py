"""normalize="auto": columns that most rows have are centred and scaled, inside only."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from modes import every_form, every_mode, every_optimizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.data.columns import COLUMN, LEAST_ROWS, columns_of, standardised
from sk_adaptive.data.targets import NumberTargets
from sk_adaptive.data.training_data import training_data
from sk_adaptive.kernel.losses import REGRESSION_LOSSES
from sk_adaptive.training.refit import Trial

every_seed = pytest.mark.parametrize("seed", range(3))


def table(seed=0, n=1500):
    """Numbers of several units beside one-hot columns."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 4)) * [1, 1000, 1e-3, 1] + [0, 50_000, 0, 2000]
    one_hot = OneHotEncoder().fit_transform(rng.integers(20, size=(n, 2)))
    weight = rng.normal(size=one_hot.shape[1])
    signal = ((numbers - [0, 50_000, 0, 2000]) / [1, 1000, 1e-3, 1]) @ [1, -1, 2, 0.5]
    X = sp.hstack([sp.csr_matrix(numbers), one_hot], format="csr")
    return X, signal + one_hot @ weight + 0.3 * rng.normal(size=n)


def data_of(X, fit_intercept=True):
    loss = REGRESSION_LOSSES["squared_error"].make()
    return training_data(
        NumberTargets((), loss, ""),
        X,
        np.zeros(X.shape[0]),
        None,
        batch_size=1,
        fit_intercept=fit_intercept,
    )


# -- the columns --


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_rows_are_less_the_means_and_over_the_sizes(dtype, index):
    X = sp.random(50, 9, 0.4, "csr", random_state=0, dtype=dtype)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    columns = np.array([(0, 0.5, 2.0), (4, -1.0, 0.25), (8, 0.0, 3.0)], COLUMN)
    made = standardised(data_of(X), columns)
    expected = X.toarray().astype(float)
    expected[:, [0, 4, 8]] = (expected[:, [0, 4, 8]] - [0.5, -1, 0]) / [2, 0.25, 3]
    matrix = sp.csr_matrix((made.data, made.indices, made.indptr), X.shape)
    np.testing.assert_array_equal(matrix.toarray(), expected.astype(dtype))
    assert matrix.has_canonical_format
    assert made.data.all()
    assert made.data.dtype == dtype


def test_those_that_most_rows_have_are_found():
    X, _ = table()
    columns = columns_of(data_of(X), np.arange(X.shape[0]))
    assert columns["feature"].tolist() == [0, 1, 2, 3]
    numbers = X[:, :4].toarray()
    np.testing.assert_allclose(columns["size"], numbers.std(axis=0), rtol=0.1)
    assert (np.abs(columns["mean"] - numbers.mean(axis=0)) < 0.1 * columns["size"]).all()


def test_a_number_that_stands_for_none_moves_neither_mean_nor_size():
    X, _ = table()
    rows = np.arange(X.shape[0])
    before = columns_of(data_of(X), rows)
    X = X.tolil()
    X[rows[::100], 0] = 999_999
    after = columns_of(data_of(X.tocsr()), rows)
    np.testing.assert_allclose(after["size"], before["size"], rtol=0.5)
    assert (np.abs(after["mean"] - before["mean"]) < 0.2 * before["size"]).all()


def other_rows(kind):
    rng = np.random.default_rng(0)
    words = sp.random(500, 300, 0.05, "csr", random_state=0)
    return {
        "text": normalize(sp.hstack([words, np.full((500, 1), 0.1)], format="csr")),
        "ids": OneHotEncoder().fit_transform(rng.integers(50, size=(500, 6))),
        "few rows": sp.csr_matrix(rng.normal(size=(LEAST_ROWS - 1, 4))),
        "a constant": sp.csr_matrix(np.column_stack([np.full(500, 3.0), rng.random(500) < 0.1])),
    }[kind]


@pytest.mark.parametrize("kind", ["text", "ids", "few rows", "a constant"])
def test_other_rows_have_none(kind):
    X = other_rows(kind).astype(float)
    assert not columns_of(data_of(X), np.arange(X.shape[0])).size
    y = np.arange(X.shape[0]) % 2
    models = [
        AdaptiveSGDClassifier(normalize=normalize, random_state=0).fit(X, y)
        for normalize in ("auto", False)
    ]
    assert_same_model(*models)


def test_without_an_intercept_nothing_is_centred():
    X, y = table()
    columns = columns_of(data_of(X, fit_intercept=False), np.arange(X.shape[0]))
    assert columns.size == 4
    assert not columns["mean"].any()
    model = AdaptiveSGDRegressor(fit_intercept=False, random_state=0).fit(X, y)
    assert not model.intercept_.any()


@pytest.mark.parametrize(
    "parameters", [{"eta0": 0.1}, {"eps": 1e-3}, {"alpha": 1e-4}, {"normalize": False}]
)
def test_numbers_are_in_the_unit_of_the_columns_as_given(parameters):
    X, y = table()
    X = X @ sp.diags(1 / abs(X).max(axis=0).toarray().ravel())
    model = AdaptiveSGDRegressor(random_state=0, **parameters).fit(X, y)
    assert not model._model.columns.size
    automatic = AdaptiveSGDRegressor(penalty=None, random_state=0).fit(X, y)
    assert automatic._model.columns.size


# -- what it is good for --


def score_of_peer(peer, X, y, n):
    """Of one that learns the first n rows of scaled columns."""
    X = X.toarray()
    return make_pipeline(StandardScaler(), peer).fit(X[:n], y[:n]).score(X[n:], y[n:])


@pytest.mark.values
@every_seed
@every_mode
def test_units_and_distances_from_zero_ruin_nothing(optimizer, sparse_update, seed):
    X, y = table(seed)
    least = score_of_peer(Ridge(), X, y, 1000) - 0.05
    labels = (y > 0).astype(int)
    least_accuracy = score_of_peer(LogisticRegression(), X, labels, 1000) - 0.05
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "random_state": 0}
    model = AdaptiveSGDRegressor(**mode).fit(X[:1000], y[:1000])
    assert model.score(X[1000:], y[1000:]) > least
    model = AdaptiveSGDClassifier(**mode).fit(X[:1000], labels[:1000])
    assert model.score(X[1000:], labels[1000:]) > least_accuracy


@pytest.mark.parametrize("eta0", ["auto", "search"])
def test_in_streams_too(eta0):
    X, y = table(n=3000)
    labels = (y > 0).astype(int)
    model = AdaptiveSGDClassifier(eta0=eta0)
    for start in range(0, 2500, 250):
        part = slice(start, start + 250)
        model.partial_fit(X[part], labels[part], classes=[0, 1])
    best = score_of_peer(LogisticRegression(), X, labels, 2500)
    assert model.score(X[2500:], labels[2500:]) > best - 0.05


# -- what users see --


def fitted(kind, mode):
    X, y = table()
    if kind == "fit":
        return AdaptiveSGDRegressor(**mode, random_state=0).fit(X[:1000], y[:1000])
    if kind == "classes":
        model = AdaptiveSGDClassifier(**mode, random_state=0)
        return model.fit(X[:1000], np.digitize(y[:1000], [-1, 1]))
    eta0 = "search" if kind == "search" else "auto"
    average = 100 if kind == "average" else False
    stream = AdaptiveSGDRegressor(**mode, eta0=eta0, average=average)
    return stream.partial_fit(X[:500], y[:500]).partial_fit(X[500:1000], y[500:1000])


KINDS = ["fit", "classes", "stream", "search", "average"]


@pytest.mark.pairs
@pytest.mark.parametrize("kind", KINDS)
@every_form
@every_optimizer
def test_the_model_is_that_of_the_scaled_columns(optimizer, sparse_update, kind):
    model = fitted(kind, {"optimizer": optimizer, "sparse_update": sparse_update})
    X, _ = table()
    columns = model._model.columns
    assert columns.size == 4
    made = standardised(data_of(X), columns)
    matrix = sp.csr_matrix((made.data, made.indices, made.indptr), X.shape)
    inside = model._model.with_arrays(columns=columns[:0])
    expected = matrix @ inside.coefficients().T + inside.intercepts()
    raw, *_ = model._raw_predictions(X)
    np.testing.assert_allclose(raw, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


@pytest.mark.pairs
@pytest.mark.parametrize("kind", KINDS)
@every_form
@every_optimizer
def test_assignments_are_what_is_read(optimizer, sparse_update, kind):
    model = fitted(kind, {"optimizer": optimizer, "sparse_update": sparse_update})
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=model.coef_.shape), model.intercept_
    model.coef_ = coef
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=1e-6)
    model.intercept_ = 2 * intercept
    np.testing.assert_allclose(model.intercept_, 2 * intercept, rtol=1e-6)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-12)


def test_weights_to_start_from_are_those_of_the_columns_as_given():
    X, _ = table()
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=X.shape[1]), 3.0
    model = AdaptiveSGDRegressor(max_iter=1, tol=None, random_state=0)
    start = model._model_to_fit(
        data_of(X),
        type("Start", (), {"hyperparameters": fitted("fit", {})._model.hyperparameters}),
        Trial(),
        None,
        coef,
        intercept,
        fitted("fit", {})._model.columns,
    )
    np.testing.assert_allclose(start.coefficients()[0], coef, rtol=1e-12)
    np.testing.assert_allclose(start.intercepts(), intercept, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_models_go_on_as_they_were(kind):
    model = fitted(kind, {})
    X, y = table()
    y = np.digitize(y, [-1, 1]) if kind == "classes" else y
    loaded = pickle.loads(pickle.dumps(model))
    assert_same_model(loaded, model)
    for one in (model, loaded):
        one.partial_fit(X[1000:], y[1000:])
    assert_same_model(loaded, model)
    predicted = model.predict(X)
    np.testing.assert_allclose(model.strip_optimizer().predict(X), predicted, rtol=1e-9)


def test_a_split_stream_is_the_whole_one():
    X, y = table()
    whole = AdaptiveSGDRegressor().partial_fit(X[:500], y[:500]).partial_fit(X[500:], y[500:])
    split = AdaptiveSGDRegressor().partial_fit(X[:500], y[:500])
    for row in range(500, X.shape[0]):
        split.partial_fit(X[row], y[row : row + 1])
    assert_same_model(split, whole)


@pytest.mark.parametrize("factor", [2.0**20, 2.0**-20])
@pytest.mark.parametrize("dense", [False, True])
def test_the_unit_of_all_columns_does_not_matter(factor, dense):
    X, y = table()
    X = X.toarray()[:, :4] if dense else X
    model = AdaptiveSGDRegressor(random_state=0).fit(X, y)
    scaled = AdaptiveSGDRegressor(random_state=0).fit(factor * X, y)
    np.testing.assert_array_equal(factor * scaled.coef_, model.coef_)
    np.testing.assert_array_equal(scaled.intercept_, model.intercept_)


def test_single_precision_is_near():
    X, y = table()
    double = AdaptiveSGDRegressor(random_state=0).fit(X, y)
    single = AdaptiveSGDRegressor(random_state=0).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    predicted = single.predict(X[:100].astype(np.float32))
    assert relative_difference(predicted, double.predict(X[:100])) < 1e-2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_give_the_same(n_jobs):
    X, y = table(n=3000)
    labels = np.column_stack([y > level for level in np.linspace(-3, 3, 20)]).astype(int)
    model = AdaptiveSGDClassifier(n_jobs=n_jobs, early_stopping=True, random_state=0, max_iter=4)
    alone = AdaptiveSGDClassifier(early_stopping=True, random_state=0, max_iter=4)
    assert_same_model(model.fit(X, labels), alone.fit(X, labels))
    stream = AdaptiveSGDClassifier(n_jobs=n_jobs).partial_fit(X, labels)
    assert_same_model(stream, AdaptiveSGDClassifier().partial_fit(X, labels))
