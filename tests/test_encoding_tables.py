"""Tables that are not as they should be: the right result, or an error that says what is wrong."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction import FeatureHasher

from sk_adaptive import ColumnHasher


def hashed(rows):
    """FeatureHasher's matrix of rows of strings."""
    return FeatureHasher(input_type="string", alternate_sign=False).transform(rows)


def assert_hashed(table, rows, **parameters):
    """The matrix is that of these features."""
    X, wanted = ColumnHasher(**parameters).transform(table), hashed(rows)
    assert X.shape == wanted.shape
    assert (wanted != X).nnz == 0


def refused(message, table, error=TypeError, **parameters):
    """The error says so, and fitting and transforming are alike."""
    for method in ("transform", "fit_transform"):
        with pytest.raises(error, match=message):
            getattr(ColumnHasher(**parameters), method)(table)


def test_mixed_types_in_a_column():
    table = pd.DataFrame({"a": ["x", 7, 2.5, True, b"y", None, np.int16(3)]})
    names = ["a=x", "a=7", "a=2.5", "a=True", "a=y", "a is missing", "a=3"]
    assert_hashed(table, [[name] for name in names])
    refused("column 'a' has values that are no numbers", table, ValueError, numeric={"a": "value"})


def test_values_that_are_neither_strings_nor_numbers():
    for value in ({}, [1], datetime.date(2026, 1, 2), decimal.Decimal("1.5"), 1j, object()):
        table = pd.DataFrame({"a": ["x", "y", value]})
        with pytest.raises(TypeError, match=rf"column 'a', row 2: .* {type(value).__name__}: make"):
            ColumnHasher().transform(table)
    # but decimals are numbers where they are to be
    table = pd.DataFrame({"a": [decimal.Decimal("1.5"), None]})
    X = ColumnHasher(numeric={"a": "value"}, missing="ignore").transform(table)
    assert X.data.tolist() == [1.5]


def test_missing_values_of_all_kinds():
    values = [None, np.nan, pd.NA, pd.NaT, float("nan"), np.float32("nan")]
    assert_hashed(pd.DataFrame({"a": ["x", *values]}), [["a=x"]] + [["a is missing"]] * 6)
    assert_hashed(pd.DataFrame({"a": [None, None]}), [["a is missing"]] * 2)
    assert_hashed(
        [["x", None], ["y", np.nan]], [["x0=x", "x1 is missing"], ["x0=y", "x1 is missing"]]
    )


def test_infinite_numbers():
    table = pd.DataFrame({"a": [1.0, 2.0, -np.inf], "b": ["x"] * 3})
    refused("column 'a', row 2: the number is infinite", table, ValueError)
    refused("column 'a', row 2", table.astype({"a": np.float32}), ValueError, numeric="log_bins")
    assert_hashed(table, [["a=1", "b=x"], ["a=2", "b=x"], ["a=-inf", "b=x"]], numeric="category")
    # beyond the rows that are hashed at a time
    many = pd.DataFrame({"a": np.r_[np.zeros(100_000), np.inf]})
    refused("column 'a', row 100000", many, ValueError, n_jobs=2)


def test_empty_tables():
    for table in (pd.DataFrame({"a": [], "b": []}), np.empty((0, 2))):
        X = ColumnHasher(interactions="all").transform(table)
        assert X.shape == (0, 2**20)
        assert X.nnz == 0
        with pytest.raises(ValueError, match="0 rows"):
            ColumnHasher().fit(table)
    refused(r"0 feature\(s\)", pd.DataFrame(index=[0, 1]), ValueError)
    refused(r"0 feature\(s\)", np.empty((3, 0)), ValueError)


def test_names_that_are_there_twice():
    table = pd.DataFrame([["x", "y"]], columns=["a", "a"])
    refused("two columns are called 'a'", table, ValueError)
    refused("two columns are called '1'", table.set_axis([1, "1"], axis=1), ValueError)


def test_lone_surrogates():
    table = pd.DataFrame({"a": ["x", "y\udc80"]}, dtype=object)
    refused(r"column 'a', row 1: 'y\\udc80' has a surrogate", table, ValueError)
    table = pd.DataFrame([["x"]], columns=pd.Index(["\ud800"], dtype=object))
    refused("the name of column .* surrogate", table, ValueError)


def test_embedded_nul():
    values = ["a\0", "a", "\0", "", "\0\0\0\0a"]
    for kind in (object, "category", "string"):
        table = pd.DataFrame({"c": values}, dtype=kind)
        # older pandas take "a" and "a\\0" for the same category
        assert_hashed(table, [[f"c={value}"] for value in table["c"]])


def test_a_string_of_ten_megabytes():
    value = "0123456789" * 10**6
    assert_hashed(
        pd.DataFrame({"a": [value, "x", "é" + value]}), [[f"a={value}"], ["a=x"], [f"a=é{value}"]]
    )


def test_categories_that_are_numbers_dates_or_intervals():
    table = pd.DataFrame({"a": pd.Categorical([7, 8, 7])})
    assert_hashed(table, [["a=7"], ["a=8"], ["a=7"]])
    table = pd.DataFrame({"a": pd.Categorical([0.5, 8, None])})
    assert_hashed(table, [["a=0.5"], ["a=8"], ["a is missing"]])
    table = pd.DataFrame({"a": pd.cut([1, 5], [0, 3, 6])})
    assert_hashed(table, [["a=(0, 3]"], ["a=(3, 6]"]])
    table = pd.DataFrame({"a": pd.Categorical([datetime.date(2026, 1, 2)])})
    refused("column 'a', category 0: datetime.date.* is of type date: make strings", table)
    refused(
        "column 'a' has dates", pd.DataFrame({"a": pd.Categorical(pd.to_datetime(["2026-01-02"]))})
    )


def test_dates():
    days = pd.to_datetime(["2026-01-02"])
    for table in (
        pd.DataFrame({"when": days}),
        pd.DataFrame({"when": days - days}),
        days.to_numpy()[:, None],
    ):
        refused("column '(when|x0)' has dates or times: make strings or numbers of them", table)
    for values in (days.tz_localize("UTC"), pd.PeriodIndex(days, freq="D")):
        refused("column 'when' has values of dtype", pd.DataFrame({"when": values}))
    assert_hashed(pd.DataFrame({"when": days.astype(str)}), [["when=2026-01-02"]])


def test_integers_that_are_negative_or_big():
    values = [-1, -(2**63), 2**63 - 1, 0]
    names = [[f"a={value}"] for value in values]
    table = pd.DataFrame({"a": values})
    assert_hashed(table, names, numeric="category")
    assert_hashed(table.astype("Int64"), names, numeric="category")
    assert_hashed(table.astype(object), names)
    table = pd.DataFrame({"a": np.array([2**64 - 1, 2**63], dtype=np.uint64)})
    assert_hashed(table, [[f"a={2**64 - 1}"], [f"a={2**63}"]], numeric="category")
    assert ColumnHasher().transform(table).data.tolist() == [2.0**64, 2.0**63]


def test_bytes():
    assert_hashed(np.array([[b"x"], [b"\xff\0"]], dtype=object)[:1], [["x0=x"]])
    assert_hashed(np.array([[b"x"]]), [["x0=x"]])
    X = ColumnHasher().transform(np.array([[b"\xff"]], dtype=object))
    assert (
        FeatureHasher(input_type="string", alternate_sign=False).transform([[b"x0=\xff"]]) != X
    ).nnz == 0


def test_booleans():
    names = [["a=True"], ["a=False"]]
    assert_hashed(pd.DataFrame({"a": [True, False]}), names)
    assert_hashed(pd.DataFrame({"a": [True, False]}, dtype=object), names)
    assert_hashed(pd.DataFrame({"a": pd.array([True, False], dtype="boolean")}), names)
    assert_hashed(np.array([[True], [False]]), [["x0=True"], ["x0=False"]])


def test_a_thousand_columns():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(5, size=(20, 1000)).astype(str)).add_prefix("c")
    rows = [[f"{name}={value}" for name, value in row.items()] for _, row in table.iterrows()]
    assert_hashed(table, rows)
    X = ColumnHasher(interactions="all", dtype=np.float32).transform(table[:1])
    assert X.sum() == 1000 + 1000 * 999 // 2


def test_what_is_no_table():
    refused("sparse data was passed", sp.csr_matrix([[1.0]]))
    refused("Reshape your data", pd.Series(["a"]), ValueError)
    refused("Reshape your data", ["a", "b"], ValueError)
    refused("Reshape your data", np.zeros((2, 2, 2)), ValueError)
    refused("Complex data not supported", np.array([[1j]]), ValueError)
    refused("values of dtype", np.zeros((2, 1), dtype=[("a", int)]))


def test_columns_that_are_not_those_of_fit():
    table = pd.DataFrame({"a": ["x"], "b": ["y"], "c": [1]})
    hasher = ColumnHasher().fit(table)
    with pytest.raises(ValueError, match=r"the columns are not those of fit: 'b' missing$"):
        hasher.transform(table.drop(columns="b"))
    with pytest.raises(ValueError, match="'b' missing, and 'd' not seen at fit time"):
        hasher.transform(table.rename(columns={"b": "d"}))
    with pytest.raises(ValueError, match="no column names"):
        hasher.transform(table.to_numpy())
    with pytest.raises(ValueError, match="X has 2 features, but ColumnHasher is expecting 3"):
        ColumnHasher().fit(table.to_numpy()).transform(table[["a", "b"]].to_numpy())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"interactions": [("a", "z")]}, "interactions names 'z', which is no column of the table"),
        ({"interactions": ["a", "z"]}, "interactions names 'z'"),
        ({"interactions": [("a",)]}, "two names or more in a tuple, each once"),
        ({"interactions": [("a", "a")]}, "two names or more in a tuple, each once"),
        ({"interactions": ["a", ("a", "b")]}, "both names and tuples of names: 'a'"),
        ({"interactions": "some"}, "interactions"),
        ({"numeric": {"z": "value"}}, "numeric names 'z', which is no column of the table"),
        ({"numeric": {"a": "bins"}}, r"numeric\['a'\] must be one of"),
        ({"numeric": {"c": "value"}}, "column 'c' has values that are no numbers"),
        ({"numeric": "bins"}, "numeric"),
        ({"missing": "drop"}, "missing"),
        ({"n_features": 0}, "n_features"),
        ({"n_features": 2**31}, "n_features"),
        ({"dtype": np.int32}, "dtype must be np.float64 or np.float32"),
    ],
)
def test_parameters_that_are_not_as_they_should_be(parameters, message):
    table = pd.DataFrame({"a": ["x"], "b": ["y"], "c": pd.Categorical(["z"])})
    refused(message, table, ValueError, **parameters)


# -- Arrow --

try:
    import pyarrow as pa
except ImportError:
    pa = None
needs_arrow = pytest.mark.skipif(pa is None, reason="pyarrow is not installed")


@needs_arrow
def test_types_of_arrow_that_are_neither_strings_nor_numbers():
    for column, what in (
        (pa.array([[1]]), "nested values"),
        (pa.array([{"b": 1}]), "nested values"),
        (pa.array([datetime.date(2026, 1, 2)]), "dates or times"),
        (pa.array([datetime.datetime(2026, 1, 2)]), "dates or times"),
        (pa.array([decimal.Decimal("1.5")]), "decimals"),
        (pa.array([b"ab"], pa.binary(2)), "bytes of one size"),
        (pa.array([datetime.date(2026, 1, 2)]).dictionary_encode(), "dates or times"),
    ):
        refused(f"column 'a' has {what}: make strings or numbers", pa.table({"a": column}))


@needs_arrow
def test_a_dictionary_of_arrow_with_unused_and_missing_entries():
    many = [f"v{k}" for k in range(1000)]
    codes = pa.array([3, None, 999, 3], pa.uint16())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(many))
    rows = [["a=v3"], ["a is missing"], ["a=v999"], ["a=v3"]]
    assert_hashed(pa.table({"a": column}), rows)
    assert_hashed(pa.table({"a": column[1:3]}), rows[1:3])
    # an entry may be missing, too; also where all of it is hashed
    for entries in (["x", None], ["x", None, *many]):
        column = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1, None]), pa.array(entries))
        assert_hashed(pa.table({"a": column}), [["a is missing"], ["a=x"]] + [["a is missing"]] * 2)
        X = ColumnHasher(missing="ignore").transform(pa.table({"a": column}))
        assert np.diff(X.indptr).tolist() == [0, 1, 0, 0]


@needs_arrow
def test_slices_and_chunks_of_arrow():
    values = [None if k % 5 == 0 else f"v{k % 17}" for k in range(100)]
    flags, numbers = [k % 3 == 0 for k in range(100)], [float(k) for k in range(100)]
    table = pa.table({"s": values, "b": flags, "n": numbers})
    wanted = ColumnHasher(interactions="all").transform(table)
    cut = pa.concat_tables([table[:3], table[3:3], table[3:64], table[64:]])
    for sliced, rows in (
        (cut, slice(None)),
        (cut[9:70], slice(9, 70)),
        (table[11:], slice(11, None)),
    ):
        X = ColumnHasher(interactions="all").transform(sliced)
        assert (wanted[rows] != X).nnz == 0
    batch = table.to_batches()[0][5:50]
    assert (ColumnHasher(interactions="all").transform(batch) != wanted[5:50]).nnz == 0


@needs_arrow
def test_no_rows_of_arrow():
    table = pa.table({"a": pa.array([], pa.string()), "n": pa.array([], pa.int64())})
    assert ColumnHasher(interactions="all").transform(table).shape == (0, 2**20)
    frame = pd.DataFrame({"a": pd.array([], dtype="string[pyarrow]"), "b": []})
    assert ColumnHasher(interactions="all").transform(frame).shape == (0, 2**20)
    refused(r"0 feature\(s\)", pa.table({}), ValueError)


@needs_arrow
def test_numbers_and_nulls_of_arrow():
    table = pa.table({"n": pa.array([1, None, 3], pa.int8()), "null": pa.nulls(3)})
    assert_hashed(
        table,
        [
            ["n=1", "null is missing"],
            ["n is missing", "null is missing"],
            ["n=3", "null is missing"],
        ],
        numeric="category",
    )
    assert np.diff(ColumnHasher(missing="ignore").transform(table).indptr).tolist() == [1, 0, 1]
    refused("Reshape your data", pa.chunked_array([["a"]]), ValueError)
    with pytest.raises(ValueError, match="column 's' has values that are no numbers"):
        ColumnHasher(numeric={"s": "value"}).transform(pa.table({"s": ["1"]}))


@needs_arrow
def test_a_stream_of_arrow_that_fails():
    def batches():
        yield pa.record_batch({"a": ["x"]})
        raise OSError("the disk is gone")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.string())]), batches())
    with pytest.raises(ValueError, match=r"ended early: .*the disk is gone"):
        ColumnHasher().transform(reader)
