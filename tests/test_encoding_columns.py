"""ColumnHasher: what its matrix is, whatever table the columns come in."""

import pickle
import threading
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction import FeatureHasher
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher, TextHasher
from sk_adaptive.encoding import _columns

N_ROWS = 5000


@parametrize_with_checks(
    [ColumnHasher(), ColumnHasher(interactions="all", numeric="category", n_jobs=2), TextHasher()]
)
def test_estimator(estimator, check):
    check(estimator)


def assert_same(X, Y):
    """Bit for bit."""
    assert X.shape == Y.shape
    for name in ("indptr", "indices", "data"):
        assert getattr(X, name).dtype == getattr(Y, name).dtype
        np.testing.assert_array_equal(getattr(X, name), getattr(Y, name))


def hashed(rows, n_features=2**20):
    """FeatureHasher's matrix of rows of strings."""
    hasher = FeatureHasher(n_features, input_type="string", alternate_sign=False)
    return hasher.transform(rows)


@pytest.fixture(scope="module")
def strings():
    """Columns of few and of many values, of all lengths, and of more than ASCII."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {f"C{k}": rng.integers(10**k, size=N_ROWS).astype(str) for k in range(1, 7)}
    )
    table["größe"] = rng.choice(["klein", "groß", "日本", "", "a\0b", "x" * 1000, "🙂"], N_ROWS)
    return table.astype(object)


def tables_of(strings):
    """The same values in tables of many kinds."""
    yield "object", strings
    yield "string", strings.astype("string")
    yield "default", pd.DataFrame({name: strings[name].tolist() for name in strings})
    yield "categorical", strings.astype("category")
    yield "rows", strings.iloc[::-1].iloc[::-1]
    try:
        import pyarrow as pa
    except ImportError:
        pass
    else:
        table = pa.Table.from_pandas(strings, preserve_index=False)
        yield "string[pyarrow]", strings.astype("string[pyarrow]")
        yield "ArrowDtype", strings.astype(pd.ArrowDtype(pa.large_string()))
        yield "Table", table
        yield "chunks", pa.concat_tables([table[:7], table[7:7], table[7:4000], table[4000:]])
        yield "sliced", pa.concat_tables([table[-13:], table])[13:]
        yield "RecordBatch", table.to_batches()[0]
        yield "RecordBatchReader", table.to_reader(max_chunksize=999)
        yield "dictionary", pa.table({name: table[name].dictionary_encode() for name in strings})
        yield "large", table.cast(pa.schema([(name, pa.large_string()) for name in strings]))
        yield "binary", table.cast(pa.schema([(name, pa.binary()) for name in strings]))
        mixed = strings.astype("string[pyarrow]")
        mixed["C1"] = mixed["C1"].astype("category")
        mixed["C2"] = strings["C2"].astype(int).astype("category")
        yield "mixed", pd.concat([mixed[:100], mixed[100:]])
    try:
        import polars as pl
    except ImportError:
        pass
    else:
        frame = pl.DataFrame({name: strings[name].tolist() for name in strings})
        yield "polars", frame
        yield "polars, chunks", pl.concat([frame[:100], frame[100:]], rechunk=False)
        yield "polars, categorical", frame.with_columns(pl.all().cast(pl.Categorical))


def test_the_matrix_is_that_of_feature_hasher_in_any_table(strings):
    rows = [
        [f"{name}={value}" for name, value in zip(strings.columns, row, strict=True)]
        for row in strings.to_numpy()
    ]
    wanted = hashed(rows)
    assert wanted.has_canonical_format
    kinds = []
    for kind, table in tables_of(strings):
        X = ColumnHasher().transform(table)
        assert_same(X, wanted)
        assert X.indices.dtype == np.int32
        kinds.append(kind)
    assert len(kinds) >= 5
    # many rows share a column, and are added up
    assert_same(ColumnHasher(10).transform(strings), hashed(rows, 10))
    assert_same(ColumnHasher(1).transform(strings), hashed(rows, 1))
    # hashes of -2**31 would be one too many for the largest number of features
    most = 2**31 - 1
    assert_same(ColumnHasher(most).transform(strings), hashed(rows, most))


def test_the_order_of_columns_does_not_matter(strings):
    for interactions in (None, "all", [("C1", "C3"), ("C2", "größe", "C4")]):
        hasher = ColumnHasher(interactions=interactions)
        assert_same(hasher.transform(strings), hasher.transform(strings[strings.columns[::-1]]))
        fitted = clone(hasher).fit(strings)
        assert_same(hasher.transform(strings), fitted.transform(strings[strings.columns[::-1]]))


@pytest.mark.parametrize("interactions", [None, "all"])
def test_threads_change_no_bit(strings, interactions):
    table = pd.concat([strings] * 4).assign(number=np.arange(4.0 * N_ROWS) % 7)
    # and more rows than are hashed at a time
    table = pd.concat([table] * 4) if interactions is None else table
    hasher = ColumnHasher(997, interactions=interactions)
    wanted = hasher.transform(table)
    assert_same(wanted, hasher.set_params(n_jobs=3).transform(table))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(hasher.transform(table))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for X in results:
        assert_same(wanted, X)


def test_rows_in_chunks_are_the_rows(strings):
    hasher = ColumnHasher(interactions="all")
    chunks = [hasher.transform(strings[start : start + 7]) for start in range(0, 70, 7)]
    chunks = sp.vstack(chunks, format="csr")
    assert (chunks != hasher.transform(strings[:70])).nnz == 0
    for kind in ("category", "string"):
        part = strings.astype(kind)[3:5]
        assert_same(hasher.transform(part), hasher.transform(strings[3:5]))


# -- numbers --


def columns_of(names):
    """The columns of the matrix that features of these names have."""
    return [_columns.column_of(_columns.hash_text(name.encode()), 2**20) for name in names]


def dense(X, names):
    return X[:, columns_of(names)].toarray()


NUMBERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", ">f8"]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_of_every_type(dtype):
    numbers = np.array([3, 0, 17, 100], dtype=dtype)
    for table in (pd.DataFrame({"n": numbers}), pd.DataFrame({"n": np.repeat(numbers, 2)[::2]})):
        X = ColumnHasher().transform(table)
        np.testing.assert_array_equal(dense(X, ["n"])[:, 0], [3, 0, 17, 100])
        assert X.nnz == 3
        X = ColumnHasher(numeric="category").transform(table)
        assert_same(X, hashed([["n=3"], ["n=0"], ["n=17"], ["n=100"]]))
        X = ColumnHasher(numeric="log_bins").transform(table)
        assert_same(X, hashed([["n=b1"], ["n=0"], ["n=b8"], ["n=b21"]]))
        X = ColumnHasher(dtype=np.float32).transform(table)
        assert X.dtype == np.float32


@pytest.mark.parametrize(
    "same",
    [
        [7, 7.0, "7", b"7", np.int8(7), np.float32(7)],
        [-3, -3.0, "-3"],
        [0, -0.0, "0"],
        [0.1, np.float32(0.1), "0.1"],
        [True, "True", np.True_],
        [2**60, "1152921504606846976"],
        [10**30, str(10**30)],
        [None, float("nan"), pd.NA, pd.NaT],
    ],
    ids=repr,
)
def test_a_value_is_the_same_category_in_any_column(same):
    """As an object, as an object among others, and in a column of its type."""
    hasher = ColumnHasher(numeric="category")
    tables = [np.array([[value]], dtype=object) for value in same]
    tables += [np.array([[value], ["a"]], dtype=object)[:1] for value in same]
    tables += [np.array([[value]]) for value in same if np.array(value).dtype.kind in "biufUS"]
    tables += [
        pd.DataFrame({"x0": pd.Categorical([value, "another"])})[:1]
        for value in same
        if not pd.isna(value)
    ]
    wanted = hasher.transform(tables[0])
    assert wanted.nnz == 1
    for table in tables:
        assert_same(hasher.transform(table), wanted)


def test_whole_numbers_beside_missing_ones_stay_the_categories_they_are():
    """pandas makes floats of integers where one is missing."""
    hasher = ColumnHasher(numeric="category")
    whole = pd.DataFrame({"n": [1, 2, 30]})
    with_missing = pd.DataFrame({"n": [1, 2, None, 30]})
    assert with_missing["n"].dtype == float
    wanted = hasher.transform(whole)
    assert_same(hasher.transform(with_missing)[[0, 1, 3]], wanted)
    assert_same(hasher.transform(with_missing.astype("Int64"))[[0, 1, 3]], wanted)


def test_log_bins_are_criteos():
    numbers = np.array([-1e300, -8.5, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 2.5, 3, 100, 1e6, 1e300])

    def bin_of(number):
        if abs(number) <= 2:
            return str(int(np.floor(number)))
        return f"{'-' * (number < 0)}b{int(np.log(abs(number)) ** 2)}"

    X = ColumnHasher(numeric="log_bins").transform(numbers[:, None])
    assert_same(X, hashed([[f"x0={bin_of(number)}"] for number in numbers.tolist()]))


def test_roles_by_column():
    table = pd.DataFrame(
        {"id": [7, 8], "price": [1.5, 2.5], "flag": [True, False], "count": ["3", "50"]}
    )
    numeric = {"id": "category", "flag": "value", "count": "log_bins"}
    X = ColumnHasher(numeric=numeric).transform(table.astype({"count": object}))
    assert X.nnz == 7
    np.testing.assert_array_equal(dense(X, ["price", "flag"]), [[1.5, 1], [2.5, 0]])
    np.testing.assert_array_equal(
        dense(X, ["id=7", "id=8", "count=b1", "count=b15"]), [[1, 0, 1, 0], [0, 1, 0, 1]]
    )


def test_missing_values_have_their_own_feature_or_none():
    table = pd.DataFrame(
        {
            "object": ["a", None, np.nan],
            "category": pd.Categorical(["a", None, "b"]),
            "string": pd.array(["a", None, "b"], dtype="string"),
            "float": [2.0, np.nan, 0.0],
            "Int64": pd.array([2, None, 3], dtype="Int64"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
        }
    )
    names = [f"{name} is missing" for name in table]
    own = ColumnHasher(interactions="all").transform(table)
    np.testing.assert_array_equal(dense(own, names), [[0] * 6, [1] * 6, [1, 0, 0, 0, 0, 0]])
    # six features and fifteen crosses, but for the number that is 0
    assert np.diff(own.indptr).tolist() == [21, 21, 15]
    none = ColumnHasher(missing="ignore", interactions="all").transform(table)
    assert not dense(none, names).any()
    assert np.diff(none.indptr).tolist() == [21, 0, 4 + 6]
    for numeric in ("category", "log_bins"):
        none = ColumnHasher(missing="ignore", numeric=numeric).transform(table)
        assert np.diff(none.indptr).tolist() == [6, 0, 5]


# -- crosses --


def test_crosses_are_pinned():
    """What models have learned depends on these numbers: they never change."""
    site, ad = _columns.hash_text(b"site=7"), _columns.hash_text(b"ad=3")
    assert (site, ad) == (1726377057, 4160500703)
    assert _columns.hash_cross([site, ad]) == 3388350887
    assert _columns.hash_cross([ad, site]) == 3388350887
    assert _columns.hash_cross([site, ad, _columns.hash_text(b"user=1")]) == 3701081754
    assert _columns.hash_cross([0, 2**32 - 1]) == 1859732297


def cross_in_python(hashes):
    """The documented hash of a cross."""
    first, second, bits = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 2**64 - 1

    def member(hash):
        m = (hash + 1) * first & bits
        m = (m ^ m >> 32) * second & bits
        return m ^ m >> 32

    total = sum(map(member, hashes)) & bits
    return ((total ^ total >> 32) * first & bits) >> 32


def test_crosses_are_hashed_as_documented(strings):
    crosses = [("C1", "C2"), ("C6", "größe", "C3"), ("C5", "C4")]
    table = strings[:50].assign(n=np.arange(50.0))
    X = ColumnHasher(2**30, interactions=[*crosses, ("n", "C1")]).transform(table)
    dense = {}
    for row, (_, values) in enumerate(table.iterrows()):
        hash_of = {
            name: _columns.hash_text(b"n" if name == "n" else f"{name}={value}".encode())
            for name, value in values.items()
        }
        features = [(hash_of[name], 1) for name in strings]
        features += [(cross_in_python([hash_of[name] for name in cross]), 1) for cross in crosses]
        pair = cross_in_python([hash_of["n"], hash_of["C1"]])
        features += [(hash_of["n"], values["n"]), (pair, values["n"])]
        for hash, value in features:
            signed = hash - 2**32 if hash >> 31 else hash
            if value:
                key = row, abs(signed) % 2**30
                dense[key] = dense.get(key, 0) + value
    assert dense == {
        (row, column): X[row, column] for row, column in zip(*X.nonzero(), strict=True)
    }


def test_interactions_are_tuples_or_all_pairs_of_names(strings):
    names = ["C1", "C3", "größe"]
    pairs = list(combinations(names, 2))
    wanted = ColumnHasher(interactions=pairs).transform(strings)
    assert wanted.nnz > 9 * N_ROWS
    assert_same(ColumnHasher(interactions=names).transform(strings), wanted)
    # a cross that is there twice counts once, in any order
    twice = [*pairs, ("C3", "C1"), ["größe", "C3"]]
    assert_same(ColumnHasher(interactions=twice).transform(strings), wanted)
    every = ColumnHasher(interactions=list(combinations(strings.columns, 2))).transform(strings)
    assert_same(ColumnHasher(interactions="all").transform(strings), every)


def test_crosses_spread_over_the_matrix_as_random_numbers_do():
    """Pairs of a few values collide about as often as numbers drawn at random."""
    n_values, n_features = 300, 2**16
    left, right = np.divmod(np.arange(n_values**2), n_values)
    table = pd.DataFrame({"a": left, "b": right})
    hasher = ColumnHasher(n_features, interactions="all", numeric="category")
    X = hasher.transform(table) - ColumnHasher(n_features, numeric="category").transform(table)
    X.eliminate_zeros()
    n_used = np.count_nonzero(np.bincount(X.indices, minlength=n_features))
    expected = n_features * (1 - np.exp(-(n_values**2) / n_features))
    assert abs(n_used - expected) < 0.01 * expected
    # also those of one value with all others
    of_one = np.unique(X[left == 5].indices).size
    assert of_one > n_values * (1 - 3 * n_values / n_features)


def test_numbers_with_crosses_sort_and_add_up(strings):
    """A table of numbers takes another way through the same hashes."""
    crosses = [("C1", "C2"), ("C4", "C5")]
    plain = ColumnHasher(50, interactions=crosses).transform(strings)
    X = ColumnHasher(50, interactions=crosses).transform(strings.assign(zero=0.0))
    assert_same(plain, X)


# -- the rest of a transformer --


def test_explain_names_what_the_largest_coefficients_belong_to():
    table = pd.DataFrame({"site": ["a", "b", "a", None], "ad": [1, 1, 2, 2], "n": [0.5, 2, 3, 4]})
    hasher = ColumnHasher(interactions=[("site", "ad")], numeric={"ad": "category"})
    coef = np.zeros(hasher.n_features)
    names = ["site=a", "n", "site is missing"]
    coef[columns_of(names)] = [3, -5, 1]
    pair = _columns.hash_cross([_columns.hash_text(b"site=b"), _columns.hash_text(b"ad=1")])
    coef[_columns.column_of(pair, hasher.n_features)] = 4
    wanted = [("n", -5), ("site=b & ad=1", 4), ("site=a", 3), ("site is missing", 1)]
    for kind in (table, table.astype({"site": "category", "ad": "category"})):
        assert hasher.explain(coef, kind, n=4) == wanted
    model = AdaptiveSGDClassifier().partial_fit(hasher.transform(table), [0, 1, 0, 1], [0, 1])
    assert len(hasher.explain(model, table, n=3)) == 3
    two = hasher.explain(np.array([coef, 2 * coef]), table, n=1)
    assert two[0][0] == "n"
    np.testing.assert_array_equal(two[0][1], [-5, -10])
    # features that share a column
    (name, coefficient), *_ = ColumnHasher(1).explain(np.array([2.0]), table[["site"]])
    assert name == "site=a or site=b or site is missing"
    assert coefficient == 2
    with pytest.raises(ValueError, match=r"7 features.*n_features=1048576"):
        hasher.explain(np.ones(7), table)


def test_penalty_factors_by_column_are_those_of_its_features():
    table = np.array([[f"a{k % 3}", f"b{k % 5}", f"c{k % 2}"] for k in range(40)])
    for n_features in (8, 2**16):
        hasher = ColumnHasher(n_features, interactions=[("x0", "x1")])
        factors = {"x0": 0.5, "x2": 3.0, "interactions": 7.0}
        result = hasher.penalty_factor(factors, table)
        assert result.shape == (n_features,) and result.dtype == np.float64
        expected = np.ones(n_features)
        expected[hasher.transform(table).indices] = 7.0
        alone = ColumnHasher(n_features)
        # the least of several last
        names = sorted(range(3), key=lambda k: -factors.get(f"x{k}", 1.0))
        for k in names:
            # the hash is of the column's name
            others = np.full(table.shape, None, object)
            others[:, k] = table[:, k]
            rows = alone.set_params(missing="ignore").transform(others)
            expected[rows.indices] = factors.get(f"x{k}", 1.0)
        np.testing.assert_array_equal(result, expected)
    with pytest.raises(ValueError, match="factors names 'site', which is no column"):
        hasher.penalty_factor({"site": 2.0}, table)


def test_a_pipeline_from_a_table_to_probabilities(strings):
    y = (strings["C1"].astype(int) + strings["C2"].astype(int)) % 2
    model = make_pipeline(ColumnHasher(interactions=["C1", "C2"]), AdaptiveSGDClassifier())
    assert model.fit(strings, y).score(strings, y) > 0.95
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(strings), model.predict_proba(strings))
    assert "ColumnHasher" in model[0]._repr_html_()
    assert model[0].feature_names_in_.tolist() == list(strings)


def test_the_result_is_sparse_whatever_output_is_set(strings):
    assert not hasattr(ColumnHasher(), "set_output")
    with config_context(transform_output="pandas"):
        assert sp.issparse(ColumnHasher().fit_transform(strings))


def test_rows_of_a_read_only_table(strings):
    array = strings.to_numpy().copy()
    array.flags.writeable = False
    numbers = np.arange(12.0).reshape(6, 2)
    numbers.flags.writeable = False
    assert ColumnHasher().transform(array).shape[0] == N_ROWS
    assert_same(ColumnHasher().transform(numbers), ColumnHasher().transform(np.array(numbers)))


def test_a_table_is_not_changed(strings):
    before = pickle.dumps(strings)
    ColumnHasher(interactions="all").fit_transform(strings)
    assert pickle.dumps(strings) == before
