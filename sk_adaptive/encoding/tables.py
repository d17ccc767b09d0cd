"""Tables of every kind, as columns of pieces that lie in memory. Imports no library of tables."""

import sys

import numpy as np
import scipy.sparse as sp

from ._columns import Column, arrow_columns

# Rows of which Python's strings are hashed before they become rows of the matrix.
MOST_ROWS = 1 << 16


class Table:
    """The columns of a table.

    Parameters
    ----------
    X : DataFrame of pandas or polars, Table or RecordBatch of pyarrow, any other object that
        exports Arrow's C stream, or 2-d array of numbers, strings or objects

    Attributes
    ----------
    names : list of str
        Columns of an array are called "x0", "x1", ..., as in scikit-learn.
    has_names : bool
        Whether all names are strings, and the table's own.
    columns : list of list of Column
        The pieces of each column, from the first row to the last.
    n_rows : int

    Raises
    ------
    TypeError, ValueError
        If it is no table, has no column, or two of the same name, or a column has values that are
        neither strings nor numbers.
    """

    def __init__(self, X):
        pandas = sys.modules.get("pandas")
        if sp.issparse(X):
            raise TypeError("sparse data was passed: ColumnHasher takes columns of a table")
        if pandas is not None and isinstance(X, pandas.DataFrame):
            names, self.n_rows = list(X.columns), len(X)
            self.columns = [_of_pandas(series, name, pandas) for name, series in X.items()]

        elif hasattr(X, "__arrow_c_stream__") and not _is_pandas(X, pandas):
            names, self.columns = arrow_columns(X)
            self.n_rows = sum(piece.n for piece in self.columns[0]) if self.columns else 0
        else:
            X = _as_array(X)
            names = [f"x{k}" for k in range(X.shape[1])]
            self.n_rows = len(X)
            self.columns = [[_of_array(X[:, k], name)] for k, name in enumerate(names)]
        if not self.columns:
            raise ValueError(
                f"0 feature(s) (shape=({self.n_rows}, 0)) while a minimum of 1 is required."
            )
        self.has_names = not isinstance(X, np.ndarray) and all(
            isinstance(name, str) for name in names
        )
        self.names = [str(name) for name in names]
        for name in self.names:
            if not name.isascii() and name != name.encode(errors="replace").decode():
                raise ValueError(
                    f"the name of column {name!r} has a surrogate, which UTF-8 cannot encode"
                )
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"two columns are called {twice!r}")

    def batches(self):
        """Slices of rows in which each column has one piece: first row, number, columns."""
        ends = {0, self.n_rows, *range(0, self.n_rows, MOST_ROWS)}
        for pieces in self.columns:
            ends.update(np.cumsum([piece.n for piece in pieces]).tolist())
        at = [0] * len(self.columns)
        begins = [0] * len(self.columns)
        first = 0
        for end in sorted(ends - {0}):
            columns = []
            for k, pieces in enumerate(self.columns):
                while begins[k] + pieces[at[k]].n <= first:
                    begins[k] += pieces[at[k]].n
                    at[k] += 1
                columns.append(pieces[at[k]][first - begins[k] : end - begins[k]])
            yield first, end - first, columns
            first = end


def _is_pandas(X, pandas):
    return pandas is not None and isinstance(X, pandas.Series | pandas.Index)


def _as_array(X):
    array = np.asarray(X)
    if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
        # a list with a number or a missing value in it, which are no strings
        array = np.asarray(X, dtype=object)
    if array.ndim != 2:
        raise ValueError(
            f"Expected a table, got an array of {array.ndim} dimension(s). Reshape your data into "
            "rows and columns."
        )
    return array


def _of_array(array, name):
    """A column of a NumPy array of one dimension."""
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r}")
    if kind in "UST" or (kind == "O" and type(array) is not np.ndarray):
        array = np.asarray(array, dtype=object)
    elif kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    elif kind not in "biufO":
        what = "dates or times" if kind in "mM" else f"values of dtype {array.dtype}"
        raise TypeError(f"column {name!r} has {what}: make strings or numbers of them")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return Column.of_array(array)


def _of_pandas(series, name, pandas):
    """The pieces of a column, or of an index, of pandas."""
    dtype, array = series.dtype, series.array
    if isinstance(dtype, np.dtype):
        return [_of_array(series.to_numpy(), name)]
    if isinstance(dtype, pandas.CategoricalDtype):
        codes, categories = np.asarray(array.codes), array.categories
        if isinstance(categories.dtype, pandas.IntervalDtype):
            categories = categories.astype(str)
        pieces = ()
        if len(categories) <= len(codes):
            pieces = _of_pandas(categories, name, pandas)
        else:
            # only those that occur need to be hashed
            used, codes = np.unique(codes, return_inverse=True)
            codes -= np.count_nonzero(used < 0)
            categories = categories.take(used[used >= 0])
        if len(pieces) != 1:
            pieces = [_of_array(np.asarray(categories, dtype=object), name)]
        return [pieces[0].coded(Column.of_array(codes))]
    if getattr(dtype, "storage", "") == "pyarrow" or isinstance(dtype, pandas.ArrowDtype):
        return arrow_columns(_as_chunked(array), name=str(name))[1][0] or [
            Column.of_array(np.empty(0))
        ]
    if isinstance(dtype, pandas.StringDtype | pandas.SparseDtype):
        kind = object if isinstance(dtype, pandas.StringDtype) else dtype.subtype
        return [_of_array(np.asarray(array, dtype=kind), name)]
    plain = getattr(dtype, "numpy_dtype", None)
    if plain is None or plain.kind not in "biuf":
        raise TypeError(
            f"column {name!r} has values of dtype {dtype}: make strings or numbers of them"
        )
    # numbers and booleans beside which there is a mask of those that are missing
    valid = np.packbits(~array.isna(), bitorder="little")
    return [Column.of_array(array.to_numpy(dtype=plain, na_value=0), valid)]


def _as_chunked(array):
    """pyarrow's chunked array of a column that pandas keeps in Arrow."""
    exported = array.__arrow_array__()
    if hasattr(exported, "__arrow_c_stream__"):
        return exported
    return sys.modules["pyarrow"].chunked_array([exported])
