"""What can be passed in: formats, precisions, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive._input import ROWS_OF_RATE, check_structure, kernel_matrix, natural_rate
from sk_adaptive._registry import OPTIMIZERS
from sk_adaptive._scan import is_ordered, zeros_and_finiteness

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


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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


@pytest.mark.parametrize("integer", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_canonical_matrix_is_not_copied(rows, dtype, integer):
    X = rows[0].astype(dtype)
    X.indices, X.indptr = X.indices.astype(integer), X.indptr.astype(integer)
    X.has_canonical_format = True
    for taken, given in zip(kernel_matrix(X, dtype), (X.data, X.indices, X.indptr), strict=True):
        assert taken.dtype == given.dtype and np.shares_memory(taken, given)


def test_kernel_matrix_is_canonical_without_zeros(rows):
    X, _ = rows
    for change in (shuffled_halves, with_zeros, with_room, with_unlike_integers):
        given = change(X)
        before = bytes_of(given)
        data, indices, indptr = kernel_matrix(given, np.float64)
        np.testing.assert_array_equal(indptr, X.indptr)
        np.testing.assert_array_equal(indices, X.indices)
        np.testing.assert_allclose(data, X.data, rtol=1e-15)
        assert indices.dtype == indptr.dtype
        assert bytes_of(given) == before


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


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_single_precision_is_close_to_double(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "max_iter": 3, "tol": None, "random_state": 0}
    double = AdaptiveSGDClassifier(**parameters).fit(X, y)
    single = AdaptiveSGDClassifier(**parameters).fit(X.astype(np.float32), y)
    np.testing.assert_allclose(
        single.coef_, double.coef_, rtol=0, atol=1e-4 * np.abs(double.coef_).max()
    )


# --- what is refused ---


def damaged(X, name, position, value):
    X = X.copy()
    getattr(X, name)[position] = value
    return X


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
@pytest.mark.parametrize("column", [-1, 20, 2**31 - 1])
def test_a_column_index_outside_names_its_row(rows, method, column):
    X, y = rows
    entry = int(X.indptr[42]) + 1
    assert entry < X.indptr[43]
    bad = damaged(X, "indices", entry, column)
    with pytest.raises(ValueError, match=f"row 42 has the column index {column}, of 20"):
        getattr(AdaptiveSGDRegressor().partial_fit(X, y), method)(bad, y)


@pytest.mark.parametrize("position", [0, 50, -1])
def test_a_damaged_indptr_is_refused(rows, position):
    X, _ = rows
    for value in (10**6, -1):
        with pytest.raises(ValueError, match="damaged CSR matrix: its indptr"):
            check_structure(damaged(X, "indptr", position, value))


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


BAD_PARAMETERS = {
    "loss": ["no_loss", None],
    "optimizer": ["sgd", None],
    "penalty": ["l3"],
    "alpha": [-1e-9, "1", np.nan],
    "l1_ratio": [-0.1, 1.1],
    "fit_intercept": [None],
    "max_iter": [0, 1.5],
    "tol": [-1.0],
    "shuffle": [None],
    "batch_size": [0, 2.5],
    "learning_rate": ["optimal"],
    "eta0": [0.0, -1.0, "large"],
    "power_t": [-0.5],
    "rho": [1.0, -0.1],
    "beta_1": [1.0, -0.1],
    "beta_2": [0.0, 1.0],
    "eps": [0.0, -1e-8],
    "sparse_update": ["lazy"],
    "epsilon": [-0.1],
    "early_stopping": ["yes"],
    "validation_fraction": [0.0, 1.0],
    "n_iter_no_change": [0],
    "warm_start": ["no"],
    "verbose": [-1],
    "random_state": ["seed"],
}
BAD_PARAMETERS_OF_ONE = {
    AdaptiveSGDClassifier: {"class_weight": ["heavy"], "multi_class": ["ovo"]},
    AdaptiveSGDRegressor: {"quantile": [0.0, 1.0]},
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bad_parameter_values_name_the_parameter(rows, estimator, method):
    X, y = rows
    bad = {**BAD_PARAMETERS, **BAD_PARAMETERS_OF_ONE[estimator]}
    # none is forgotten
    assert set(estimator().get_params()) == set(bad)
    for name, values in bad.items():
        for value in values:
            model = estimator(**{name: value})
            with pytest.raises(ValueError, match=f"The {name!r} parameter of {estimator.__name__}"):
                getattr(model, method)(X, y)
            assert not hasattr(model, "coef_")


def test_parameters_that_do_not_fit_together(rows):
    X, y = rows
    for parameters, message in [
        ({"penalty": "elasticnet", "l1_ratio": None}, "l1_ratio must be set"),
        ({"optimizer": "adamw", "eta0": 10.0, "alpha": 0.1}, r"eta0 \* alpha must be less than 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            AdaptiveSGDClassifier(**parameters).fit(X, y)
    with pytest.raises(ValueError, match="early_stopping should be False"):
        AdaptiveSGDClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        AdaptiveSGDClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])


def with_value(X, value):
    return damaged(X, "data", 3, value)


def row_weight(y, value):
    weight = np.ones(len(y))
    weight[11] = value
    return weight


def with_target(y, value):
    return np.where(np.arange(len(y)) == 4, value, y)


BAD_INPUT = {
    "NaN in X": ("NaN", lambda X, y: ((with_value(X, np.nan), y), {})),
    "infinity in X": ("infinity", lambda X, y: ((with_value(X, np.inf), y), {})),
    "NaN in dense X": ("NaN", lambda X, y: ((with_value(X, np.nan).toarray(), y), {})),
    "features": (
        "X has 19 features, but .* is expecting 20",
        lambda X, y: ((X[:, :19], y), {}),
    ),
    "rows": ("inconsistent numbers of samples", lambda X, y: ((X, y[1:]), {})),
    "column index": (
        "row 0 has the column index 99",
        lambda X, y: ((damaged(X, "indices", 0, 99), y), {}),
    ),
    "negative weight": (
        "Negative values in data passed to `sample_weight`, the first at row 11",
        lambda X, y: ((X, y), {"sample_weight": row_weight(y, -1.0)}),
    ),
    "NaN weight": (
        "sample_weight contains NaN",
        lambda X, y: ((X, y), {"sample_weight": row_weight(y, np.nan)}),
    ),
    "infinite weight": (
        "sample_weight contains infinity",
        lambda X, y: ((X, y), {"sample_weight": row_weight(y, np.inf)}),
    ),
    "number of weights": (
        "sample_weight.shape",
        lambda X, y: ((X, y), {"sample_weight": np.ones(len(y) - 1)}),
    ),
    "NaN in y": ("y contains NaN", lambda X, y: ((X, with_target(y, np.nan)), {})),
}
ONLY_PARTIAL_FIT = {
    AdaptiveSGDClassifier: {
        "unknown class": (
            "`y` has classes not in `self.classes_`",
            lambda X, y: ((X, with_target(y, 2)), {}),
        ),
        "other classes": (
            "is not the same as on last call",
            lambda X, y: ((X, y), {"classes": [0, 1, 2]}),
        ),
    },
    AdaptiveSGDRegressor: {
        "other shape": (
            "of the calls before was",
            lambda X, y: ((X, np.column_stack([y, y])), {}),
        ),
    },
}
ONLY_FIT = {
    "all weights zero": (
        "Sample weights must contain at least one non-zero",
        lambda X, y: ((X, y), {"sample_weight": np.zeros(len(y))}),
    ),
    "coef_init": ("coef_init does not match", lambda X, y: ((X, y), {"coef_init": np.ones(3)})),
    "intercept_init": (
        "intercept_init does not match",
        lambda X, y: ((X, y), {"intercept_init": np.ones(3)}),
    ),
    "coef_init not finite": (
        "coef_init contains NaN or infinity",
        lambda X, y: ((X, y), {"coef_init": np.full(X.shape[1], np.nan)}),
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_bad_input_costs_nobody_a_model(rows, estimator, optimizer):
    X, y = rows
    first = {"classes": [0, 1]} if estimator is AdaptiveSGDClassifier else {}
    model = estimator(optimizer=optimizer).partial_fit(X, y, **first)
    twin = estimator(optimizer=optimizer).partial_fit(X, y, **first)
    cases = [("partial_fit", *case) for case in BAD_INPUT.values()]
    cases += [("partial_fit", *case) for case in ONLY_PARTIAL_FIT[estimator].values()]
    # fit may have another number of features than the calls before
    cases += [("fit", *case) for name, case in BAD_INPUT.items() if name != "features"]
    cases += [("fit", *case) for case in ONLY_FIT.values()]
    for method, message, make in cases:
        positional, named = make(X, y)
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(*positional, **named)
        assert_same_model(model, twin)
        assert model.n_features_in_ == X.shape[1]
    model.partial_fit(X[::-1], y[::-1])
    twin.partial_fit(X[::-1], y[::-1])
    assert_same_model(model, twin)


def test_a_failed_first_call_leaves_no_model(rows):
    X, y = rows
    for estimator in ESTIMATORS:
        for _, make in BAD_INPUT.values():
            positional, named = make(X, y)
            if positional[0].shape[1] != X.shape[1]:
                continue
            model = estimator()
            with pytest.raises(ValueError):
                model.fit(*positional, **named)
            assert set(vars(model)) == set(vars(estimator()))


def test_one_class_is_refused(rows):
    X, y = rows
    for method, named in (("fit", {}), ("partial_fit", {"classes": [1]})):
        with pytest.raises(ValueError, match="The number of classes has to be greater than one"):
            getattr(AdaptiveSGDClassifier(), method)(X, np.ones_like(y), **named)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        AdaptiveSGDClassifier().partial_fit(X, y)


def test_poisson_needs_targets_that_are_not_negative(rows):
    X, y = rows
    negative = y.astype(float)
    negative[17] = -0.5
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"'poisson' requires y >= 0; it is -0.5 at row 17"):
            getattr(AdaptiveSGDRegressor(loss="poisson"), method)(X, negative)


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
    return natural_rate(data, indptr, np.arange(len(indptr) - 1))


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
    for X in (np.empty((0, 3)), np.zeros((5, 3)), np.full((2, 2), 1e300), np.full((2, 2), 1e-320)):
        assert rate_of(X) == 1.0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
def test_automatic_rate_is_a_multiple_of_the_natural_one(rows, optimizer, sparse_update):
    X, y = rows
    spec = OPTIMIZERS[optimizer]
    factor = spec.rate if sparse_update == "exact" else spec.masked_rate
    model = AdaptiveSGDClassifier(optimizer=optimizer, sparse_update=sparse_update)
    np.testing.assert_allclose(model.partial_fit(X, y, classes=[0, 1]).eta0_, factor * rate_of(X))
    eta0 = model.eta0_
    # it is settled by the first call
    assert model.partial_fit(100 * X, y).eta0_ == eta0


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scan_finds_each_single_fault(index, dtype):
    # longer than a block of what is counted at once, with rows that are empty
    rng = np.random.default_rng(0)
    n_features, n_rows = 50, 600
    dense = (rng.random((n_rows, n_features)) < 0.3) * rng.random((n_rows, n_features))
    dense[[0, 7, 8, -1]] = 0
    X = sp.csr_matrix(dense.astype(dtype))
    indices, indptr = X.indices.astype(index), X.indptr.astype(index)
    assert is_ordered(indices, indptr, n_features)
    assert zeros_and_finiteness(X.data) == (False, True)
    assert not is_ordered(indices, indptr, int(indices.max()))
    starts = set(indptr.tolist())
    for place in [*rng.choice(X.nnz, size=40, replace=False).tolist(), 0, X.nnz - 1]:
        for column in (-1, n_features):
            changed = indices.copy()
            changed[place] = column
            assert not is_ordered(changed, indptr, n_features)
        if place not in starts:
            changed = indices.copy()
            changed[place] = changed[place - 1]
            assert not is_ordered(changed, indptr, n_features)
        for number, found in (
            (0, (True, True)),
            (np.nan, (False, False)),
            (-np.inf, (False, False)),
        ):
            data = X.data.copy()
            data[place] = number
            assert zeros_and_finiteness(data) == found
