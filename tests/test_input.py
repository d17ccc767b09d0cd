"""What can be passed in: formats, precisions, and what is refused."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_optimizer
from sklearn.base import clone

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.data._scan import scan
from sk_adaptive.data.check import ROWS_OF_RATE, integer_classes, kernel_matrix, typical_row
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.model.settings import first_settings

ESTIMATORS = [AdaptiveSGDClassifier, AdaptiveSGDRegressor]


@pytest.fixture
def rows():
    """A canonical CSR matrix with an empty row and an empty column, and labels."""
    rng = np.random.default_rng(0)
    X = sp.random(120, 20, density=0.2, random_state=0, format="lil")
    X[7], X[:, 5] = 0, 0
    X = X.tocsr()
    X.sort_indices()
    return X, np.where(X @ rng.normal(size=20) > 0, 1, 0)


def with_int64(X):
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def with_unlike_integers(X):
    X = X.copy()
    X.indptr = X.indptr.astype(np.int64)
    return X


def shuffled_halves(X):
    """Each entry as two halves, in no order within the row."""
    rng = np.random.default_rng(0)
    order = np.concatenate(
        [
            start + rng.permutation(np.repeat(np.arange(stop - start), 2))
            for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]
    )
    return sp.csr_matrix((X.data[order] / 2, X.indices[order], X.indptr * 2), shape=X.shape)


def with_zeros(X):
    """With an explicit zero for every entry that is not there in the first rows."""
    dense = X[:30].toarray()
    n_rows, n_features = dense.shape
    indptr = np.arange(n_rows + 1) * n_features
    full = sp.csr_matrix(
        (dense.ravel(), np.tile(np.arange(n_features), n_rows), indptr), shape=dense.shape
    )
    return sp.vstack([full, X[30:]], format="csr")


def with_room(X):
    """Arrays that are longer than what indptr says."""
    X = X.copy()
    X.data = np.concatenate([X.data, [np.nan]])
    X.indices = np.concatenate([X.indices, [X.shape[1] + 5]]).astype(X.indices.dtype)
    return X


FORMATS = {
    "CSR matrix": sp.csr_matrix,
    "CSR array": sp.csr_array,
    "CSC matrix": sp.csc_matrix,
    "CSC array": sp.csc_array,
    "COO": sp.coo_matrix,
    "COO array": sp.coo_array,
    "LIL": sp.lil_matrix,
    "DOK": sp.dok_matrix,
    "BSR": sp.bsr_matrix,
    "int64 CSR": with_int64,
    "int32 indices, int64 indptr": with_unlike_integers,
    "dense": lambda X: X.toarray(),
    "dense, by columns": lambda X: np.asfortranarray(X.toarray()),
    "strided": lambda X: np.repeat(X.toarray(), 2, axis=1)[:, ::2],
    "list": lambda X: X.toarray().tolist(),
    "pandas": lambda X: pd.DataFrame(X.toarray()),
    "sparse pandas": pd.DataFrame.sparse.from_spmatrix,
    "not canonical": shuffled_halves,
    "explicit zeros": with_zeros,
}


def bytes_of(X):
    if isinstance(X, np.ndarray):
        return X.tobytes()
    if sp.issparse(X) and hasattr(X, "indptr"):
        return X.data.tobytes() + X.indices.tobytes() + X.indptr.tobytes()
    if sp.issparse(X) and X.format == "coo":
        return X.data.tobytes() + X.row.tobytes() + X.col.tobytes()
    return None


@pytest.mark.values
@pytest.mark.parametrize("name", FORMATS)
@every_optimizer
def test_every_format_trains_alike_and_stays_as_it_was(rows, optimizer, name):
    X, y = rows
    parameters = {"optimizer": optimizer, "max_iter": 3, "tol": None, "random_state": 0}
    expected = AdaptiveSGDClassifier(**parameters).fit(X, y)
    given = FORMATS[name](X)
    before = bytes_of(given)
    model = AdaptiveSGDClassifier(**parameters).fit(given, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        model.decision_function(given), expected.decision_function(X), rtol=1e-10, atol=1e-12
    )
    model = AdaptiveSGDClassifier(**parameters).partial_fit(given, y, classes=[0, 1])
    expected = AdaptiveSGDClassifier(**parameters).partial_fit(X, y, classes=[0, 1])
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-12, atol=1e-14)
    assert bytes_of(given) == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_canonical_matrix_is_not_copied(rows, dtype):
    X = rows[0].astype(dtype)
    X.has_canonical_format = True
    data, indices, indptr = kernel_matrix(X, dtype)
    assert np.shares_memory(data, X.data) and np.shares_memory(indices, X.indices)
    assert (data.dtype, indices.dtype, indptr.dtype) == (dtype, np.int32, np.int64)


@pytest.mark.parametrize("column", [2**32, 2**32 + 1, -(2**32), 2**63 - 1])
def test_columns_beyond_32_bits_do_not_wrap_around(rows, column):
    """Modulo 2^32 they would be columns that there are."""
    X, y = rows
    X = with_int64(X)
    model = AdaptiveSGDClassifier().fit(X, y)
    row = int(np.argmax(np.diff(X.indptr) > 0))
    X.indices[X.indptr[row]] = column
    for call in (
        lambda: model.fit(X, y),
        lambda: model.partial_fit(X, y),
        lambda: model.predict(X),
    ):
        with pytest.raises(ValueError, match=f"row {row} has the column index {column}"):
            call()


def test_kernel_matrix_is_canonical_without_zeros(rows):
    X, _ = rows
    for change in (shuffled_halves, with_zeros, with_room, with_unlike_integers):
        given = change(X)
        before = bytes_of(given)
        data, indices, indptr = kernel_matrix(given, np.float64)
        np.testing.assert_array_equal(indptr, X.indptr)
        np.testing.assert_array_equal(indices, X.indices)
        np.testing.assert_allclose(data, X.data, rtol=1e-15)
        assert (indices.dtype, indptr.dtype) == (np.int32, np.int64)
        assert bytes_of(given) == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_any_length_are_put_in_order(dtype):
    # around the lengths at which what is sorted together and merged changes
    rng = np.random.default_rng(0)
    lengths = [0, 1, 2, 31, 32, 33, 0, 63, 64, 65, 96, 97, 129, 1000, 0]
    columns = [np.sort(rng.choice(2**30, size=n, replace=False)) for n in lengths]
    indices, indptr = np.concatenate(columns), np.cumsum([0, *lengths])
    data = rng.normal(size=indices.size).astype(dtype)
    order = np.concatenate(
        [start + rng.permutation(n) for start, n in zip(indptr[:-1], lengths, strict=True)]
    ).astype(int)
    shape = (len(lengths), 2**30)
    sorted_data, sorted_indices, _ = kernel_matrix(
        sp.csr_matrix((data[order], indices[order], indptr), shape), dtype
    )
    np.testing.assert_array_equal(sorted_indices, indices)
    np.testing.assert_array_equal(sorted_data, data)
    # the same column twice, near and far
    for row in np.flatnonzero(np.array(lengths) > 1):
        one, other = indptr[row] + rng.choice(lengths[row], size=2, replace=False)
        twice = indices[order]
        twice[one] = twice[other]
        summed = kernel_matrix(sp.csr_matrix((data[order], twice, indptr), shape), dtype)
        assert summed[1].size == indices.size - 1
        assert (np.diff(summed[1][indptr[row] : indptr[row + 1] - 1]) > 0).all()
        np.testing.assert_allclose(
            summed[0][summed[1] == twice[other]].sum(dtype=dtype),
            data[order][twice == twice[other]].sum(dtype=dtype),
            rtol=1e-5,
        )


def test_read_only_memory_maps(rows, tmp_path):
    X, y = rows
    expected = AdaptiveSGDClassifier(random_state=0, max_iter=3, tol=None).fit(X, y)
    arrays = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        arrays.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sp.csr_matrix(tuple(arrays), shape=X.shape, copy=False)
    np.save(tmp_path / "y.npy", y)
    y_mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    weight = np.ones(len(y))
    weight.flags.writeable = False
    model = AdaptiveSGDClassifier(random_state=0, max_iter=3, tol=None)
    assert_same_model(model.fit(mapped, y_mapped, sample_weight=weight), expected)


@every_optimizer
def test_mapped_rows_are_learned_where_they_are(optimizer, tmp_path):
    """So a matrix may be larger than the memory."""
    n_rows, n_features, width = 30_000, 5000, 100
    rng = np.random.default_rng(0)
    arrays = {
        "data": rng.normal(size=n_rows * width),
        "indices": np.sort(
            rng.integers(n_features // width, size=(n_rows, width), dtype=np.int32)
            + np.arange(0, n_features, n_features // width, dtype=np.int32)
        ).ravel(),
        "indptr": np.arange(0, n_rows * width + 1, width, dtype=np.int32),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    size = sum(array.nbytes for array in arrays.values())
    del arrays
    X = sp.csr_matrix(
        tuple(
            np.load(tmp_path / f"{name}.npy", mmap_mode="r")
            for name in ("data", "indices", "indptr")
        ),
        shape=(n_rows, n_features),
    )
    y = np.arange(n_rows) % 2
    model = AdaptiveSGDClassifier(optimizer=optimizer, eta0=0.1, max_iter=1, tol=None)
    tracemalloc.start()
    try:
        model.fit(X, y).partial_fit(X, y).predict(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # that of the targets, the order of the rows, the model, and some rows to tell the rate by
    assert peak < size / 8


@pytest.mark.parametrize("estimator", ESTIMATORS)
@every_optimizer
@pytest.mark.parametrize(
    ("given", "kept"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float64)]
    + [(integer, np.float64) for integer in (np.int64, np.int32, np.uint8, bool)],
)
def test_precision(rows, estimator, optimizer, given, kept):
    X = (rows[0].toarray() * 10).astype(given)
    y = rows[1]
    model = estimator(optimizer=optimizer, max_iter=3, tol=None).fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == kept
    if estimator is AdaptiveSGDRegressor:
        assert model.predict(X.astype(kept)).dtype == kept
    first = {"classes": [0, 1]} if estimator is AdaptiveSGDClassifier else {}
    model = estimator(optimizer=optimizer).partial_fit(X, y, **first)
    # that of the first call stays
    other = np.float64 if kept == np.float32 else np.float32
    assert model.partial_fit(X.astype(other), y).coef_.dtype == kept


SPARSE_TYPES = ["bool", "int8", "uint16", "int64", "float32", "float64"]


def sparse_frame(dense, dtype):
    """Sparse columns of this type, whose fill value is 0 or False."""
    dtype = np.dtype(dtype)
    columns = enumerate(dense.T.astype(dtype))
    return pd.DataFrame(
        {f"x{i}": pd.arrays.SparseArray(x, fill_value=dtype.type()) for i, x in columns}
    )


@pytest.mark.parametrize("dtype", SPARSE_TYPES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_sparse_columns_of_every_type(rows, estimator, dtype):
    """What validation lets through as it is, is cast."""
    X, y = rows[0].toarray() > 0, rows[1]
    frame, expected = sparse_frame(X, dtype), sp.csr_matrix(X, dtype=np.float64)
    settings = {"random_state": 0, "max_iter": 3, "tol": None}
    model = estimator(**settings).fit(frame, y)
    twin = estimator(**settings).fit(expected, y)
    assert_same_model(model, twin)
    # a dense and a sparse product may add up in another order
    np.testing.assert_allclose(model.predict(frame), twin.predict(expected), rtol=1e-12)
    assert_same_model(model.partial_fit(frame, y), twin.partial_fit(expected, y))
    first = {"classes": [0, 1]} if estimator is AdaptiveSGDClassifier else {}
    named = pd.DataFrame(X, columns=frame.columns, dtype=np.float32)
    single = estimator().partial_fit(named, y, **first)
    assert single.partial_fit(frame, y).coef_.dtype == np.float32
    model, twin = (
        estimator(early_stopping=True, **settings).fit(rows, y, X_val=rows, y_val=y)
        for rows in (frame, expected)
    )
    assert_same_model(model, twin)


def test_dummies_of_categories(rows):
    """As a table of categories becomes one of sparse columns."""
    y = rows[1]
    letters = pd.Series(list("abcde" * len(y))[: len(y)])
    model = AdaptiveSGDClassifier(random_state=0).fit(pd.get_dummies(letters, sparse=True), y)
    twin = AdaptiveSGDClassifier(random_state=0).fit(pd.get_dummies(letters, dtype=float), y)
    assert_same_model(model, twin)


@every_optimizer
def test_single_precision_is_close_to_double(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "max_iter": 3, "tol": None, "random_state": 0}
    double = AdaptiveSGDClassifier(**parameters).fit(X, y)
    single = AdaptiveSGDClassifier(**parameters).fit(X.astype(np.float32), y)
    np.testing.assert_allclose(
        single.coef_, double.coef_, rtol=0, atol=1e-4 * np.abs(double.coef_).max()
    )


# --- what there is little to learn from ---


def test_empty_rows_and_columns(rows):
    X, y = rows
    model = AdaptiveSGDRegressor(penalty=None, shuffle=False, max_iter=2, tol=None).fit(X, y)
    assert model.coef_[5] == 0
    only_empty = sp.csr_matrix((30, 4))
    model = AdaptiveSGDRegressor(learning_rate="adaptive").fit(only_empty, np.full(30, 2.0))
    np.testing.assert_array_equal(model.coef_, 0)
    np.testing.assert_allclose(model.predict(only_empty), 2.0, atol=0.01)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("make", [np.empty, sp.csr_matrix])
def test_nothing_to_learn_from_is_refused(estimator, method, make):
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        getattr(estimator(), method)(make((10, 0)), np.arange(10) % 2)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        getattr(estimator(), method)(make((0, 3)), np.empty(0))


def test_weights_that_are_all_zero_are_no_step(rows):
    X, y = rows
    model = AdaptiveSGDClassifier().partial_fit(X, y, classes=[0, 1])
    coef, t = model.coef_, model.t_
    model.partial_fit(X, y, sample_weight=np.zeros(len(y)))
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.t_ == t


# --- the rate that the rows suggest ---


def rate_of(X):
    data, _, indptr = kernel_matrix(sp.csr_matrix(X), np.float64)
    largest, norm, _ = typical_row(data, indptr, np.arange(len(indptr) - 1))
    return largest / norm / norm


def test_natural_rate(rows):
    X, _ = rows
    rate = rate_of(X)
    norms = X.multiply(X).sum(axis=1)
    np.testing.assert_allclose(rate, np.sum(np.abs(X).max(axis=1).toarray()) / norms.sum())
    for factor in (1e-6, -0.5, 3.0, 1e9):
        np.testing.assert_allclose(rate_of(factor * X), rate / abs(factor))
    order = np.random.default_rng(0).permutation(X.shape[0])
    assert X.shape[0] < ROWS_OF_RATE
    np.testing.assert_allclose(rate_of(X[order]), rate)
    np.testing.assert_allclose(rate_of(X[:, ::-1]), rate)
    # rows of k ones
    np.testing.assert_allclose(rate_of(np.tile([1, 1, 0, 1, 1], (3 * ROWS_OF_RATE, 1))), 1 / 4)


@pytest.mark.filterwarnings("error")
def test_natural_rate_where_there_is_none():
    for X in (np.empty((0, 3)), np.zeros((5, 3))):
        assert rate_of(X) == 1.0
    # The squares of such entries are not numbers of the precision.
    assert rate_of(np.full((2, 2), 1e200)) == 1e-200


@every_optimizer
@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
def test_automatic_rate_is_a_multiple_of_the_natural_one(rows, optimizer, sparse_update):
    X, y = rows
    spec = OPTIMIZERS[optimizer]
    factor, hurry = spec.rate[sparse_update], spec.hurry[sparse_update]
    model = AdaptiveSGDClassifier(optimizer=optimizer, sparse_update=sparse_update)
    fitted = clone(model).set_params(max_iter=1, tol=None).fit(X, y)
    np.testing.assert_allclose(fitted.eta0_, factor * rate_of(X))
    many = clone(model).set_params(max_iter=1, tol=None)
    multinomial = many.fit(X, np.arange(y.size) % 8).eta0_
    ovr = many.set_params(multi_class="ovr").fit(X, np.arange(y.size) % 8).eta0_
    np.testing.assert_allclose(ovr, factor * rate_of(X))
    follows = spec.rate_follows and sparse_update == "exact"
    np.testing.assert_allclose(multinomial, (2 if follows else 1) * factor * rate_of(X))
    batches = clone(model).set_params(max_iter=1, tol=None, batch_size=25).fit(X, y).eta0_
    np.testing.assert_allclose(batches, (5 if follows else 1) * factor * rate_of(X))
    # partial_fit is a pass
    eta0 = model.partial_fit(X, y, classes=[0, 1])._model.hyperparameters.eta0
    np.testing.assert_allclose(eta0, hurry * factor * rate_of(X))
    # it is settled by the first call, and times what is compared with it
    assert model.partial_fit(100 * X, y)._model.hyperparameters.eta0 == eta0
    np.testing.assert_array_equal(
        model.mixture_rates_, eta0 * first_settings(model._model.hyperparameters)["rate"]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scan_finds_each_single_fault(dtype):
    # longer than a block of what is counted at once, with rows that are empty
    rng = np.random.default_rng(0)
    n_features, n_rows = 50, 600
    dense = (rng.random((n_rows, n_features)) < 0.3) * rng.random((n_rows, n_features))
    dense[[0, 7, 8, -1]] = 0
    dense[:, [3, 17]] = 0
    X = sp.csr_matrix(dense.astype(dtype))
    indices, indptr = X.indices, X.indptr.astype(np.int64)
    bits = f"u{np.dtype(dtype).itemsize}"
    numbers = X.data.view(bits)
    occurs = np.zeros(-(-n_features // 8), np.uint8)
    assert scan(numbers, indices, indptr, n_features, occurs) == (True, True)
    found = np.unpackbits(occurs, count=n_features, bitorder="little")
    np.testing.assert_array_equal(found, dense.any(axis=0))

    def is_ordered(indices, n_features):
        return scan(numbers, indices, indptr, n_features, np.empty(0, np.uint8))[0]

    assert not is_ordered(indices, int(indices.max()))
    starts = set(indptr.tolist())
    for place in [*rng.choice(X.nnz, size=40, replace=False).tolist(), 0, X.nnz - 1]:
        for column in (-1, n_features):
            changed = indices.copy()
            changed[place] = column
            assert not is_ordered(changed, n_features)
        if place not in starts:
            changed = indices.copy()
            changed[place] = changed[place - 1]
            assert not is_ordered(changed, n_features)
        least, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        for number in (0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, least, -least, most, -most):
            data = X.data.copy()
            data[place] = number
            ordinary = bool(number != 0 and np.isfinite(number))
            nothing = np.empty(0, np.uint8)
            scanned = scan(data.view(bits), indices, indptr, n_features, nothing)
            assert scanned == (True, ordinary)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_integer_classes_are_the_unique_ones(dtype):
    rng = np.random.default_rng(0)
    for least, most in ((-128, 127), (0, 1), (5, 5), (-3, 40)):
        y = rng.integers(least, most, endpoint=True, size=600).astype(dtype)
        classes = integer_classes(y)
        np.testing.assert_array_equal(classes, np.unique(y))
        assert classes.dtype == y.dtype
    extremes = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max] * 3, dtype)
    for other in (
        extremes,
        np.array([]),
        np.arange(4.0),
        np.array(["a", "b"]),
        np.eye(3, dtype=int),
    ):
        assert integer_classes(other) is None
