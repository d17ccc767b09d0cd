"""From what users pass to what the kernel takes."""

import math
from inspect import signature

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight

from ..kernel.sizes import FAR_OUT, mean_size
from ._scan import scan, sizes_of_rows, sort_rows

# Weights that are all zero are no error in partial_fit. scikit-learn 1.9 refuses them unless
# told otherwise. Older versions allow them, and don't know the parameter.
ALLOW_ZERO_WEIGHTS = (
    {"allow_all_zero_weights": True}
    if "allow_all_zero_weights" in signature(_check_sample_weight).parameters
    else {}
)

OF_DAMAGED_ROWS = "X is a damaged CSR matrix: its indptr does not rise from 0, row by row"

# The kernel counts columns with 32 bits.
MOST_FEATURES = np.iinfo(np.int32).max

# where nobody asks which features occur
NOTHING = np.empty(0, np.uint8)

# of no row, for no output
NO_OFFSET = np.empty((0, 0))

# `typical_row` looks at so many rows, or not quite twice as many.
ROWS_OF_RATE = 2000


def kernel_matrix(X, dtype, estimator_name=None, occurs=NOTHING):
    """data, int32 indices and int64 indptr of a canonical CSR matrix without explicit zeros.

    Parameters
    ----------
    X : validated array or CSR matrix
        Not changed: duplicates are summed, and zeros dropped, on a copy.
    dtype : float32 or float64
    estimator_name : str, default=None
        For the message about NaN.
    occurs : uint8 array of one bit a feature, or of none, default=of none
        The bits of features that occur are set.

    Raises
    ------
    ValueError
        If a number is not finite, there are too many features, or the CSR arrays do not fit
        together: the kernel follows its indices unchecked.
    """
    if X.shape[1] > MOST_FEATURES:
        raise ValueError(
            f"X has n_features={X.shape[1]:,}, but {MOST_FEATURES:,} are the most: hash to fewer "
            "(n_features of ColumnHasher and TextHasher), or leave out columns without entries."
        )
    if not sp.issparse(X):
        X = sp.csr_matrix(X)
    _check_frame(X)
    arrays = _entries(X, dtype)
    ordered, ordinary = scan_arrays(arrays, X.shape[1], occurs)
    if not ordered:
        check_structure(X)
        arrays = _in_order(arrays) or _entries(_without_duplicates(X), dtype)
        _, ordinary = scan_arrays(arrays, X.shape[1], occurs)
    if not ordinary:
        if not np.isfinite(arrays[0]).all():
            assert_all_finite(X, input_name="X", estimator_name=estimator_name)
        X = sp.csr_matrix(arrays, X.shape, copy=True)
        X.eliminate_zeros()
        arrays = _entries(X, dtype)
        scan_arrays(arrays, X.shape[1], occurs)
    return arrays


def _in_order(arrays):
    """Copies of data and indices with each row's indices ascending; None if one occurs twice."""
    data, indices, indptr = arrays
    out_data, out_indices = np.empty_like(data), np.empty_like(indices)
    bits = f"u{data.itemsize}"
    if not sort_rows(data.view(bits), indices, indptr, out_data.view(bits), out_indices):
        return None
    return out_data, out_indices, indptr


def _without_duplicates(X):
    X = X.copy()
    X.sum_duplicates()
    return X


def scan_arrays(arrays, n_features, occurs):
    """`_scan.scan` of data, indices and indptr."""
    data, indices, indptr = arrays
    occurs[...] = 0
    return scan(data.view(f"u{data.itemsize}"), indices, indptr, n_features, occurs)


def in_precision(X, dtypes):
    """Validated X in one of these types: scikit-learn leaves sparse data frames as they are."""
    return X if X.dtype in dtypes else X.astype(dtypes[0])


def _entries(X, dtype):
    """data, indices and indptr in the types of the kernel, without room behind the entries."""
    n_entries = int(X.indptr[-1])
    data, indices = X.data[:n_entries], X.indices[:n_entries]
    if indices.dtype != np.int32:
        # before a number wraps around
        _check_columns(X)
    return (
        np.ascontiguousarray(data, dtype),
        np.ascontiguousarray(indices, np.int32),
        np.ascontiguousarray(X.indptr, np.int64),
    )


def is_ready(X, n_features, dtypes):
    """Whether scikit-learn's validation, which takes a hundred rows' time, would return X as it is.

    Provided that its numbers are finite, which `kernel_matrix` finds out, and its indices right,
    which that or `check_structure` does.
    """
    return (
        type(X) in (sp.csr_matrix, sp.csr_array)
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == n_features
        and X.data.dtype in dtypes
    )


def is_in_order(X):
    """Whether a CSR matrix is sound in structure, sorted, and of finite numbers other than zero.

    One that is not may still be a good one; `check_structure` takes three times as long.
    """
    _check_frame(X)
    return scan_arrays(_entries(X, X.dtype), X.shape[1], NOTHING) == (True, True)


def check_structure(X):
    """Refuse a CSR matrix whose indices point outside of it."""
    _check_frame(X)
    if (X.indptr[1:] < X.indptr[:-1]).any():
        raise ValueError(OF_DAMAGED_ROWS)
    _check_columns(X)


def _check_frame(X):
    """Refuse what can't be scanned."""
    n_rows, indptr, indices = X.shape[0], X.indptr, X.indices
    if not X.data.ndim == indices.ndim == indptr.ndim == 1:
        raise ValueError("X is a damaged CSR matrix: its arrays must have one dimension")
    if indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise ValueError("X is a damaged CSR matrix: its indices and indptr must be integers")
    if indptr.shape[0] != n_rows + 1 or indptr[0] != 0:
        raise ValueError(OF_DAMAGED_ROWS)
    if int(indptr[-1]) > min(indices.shape[0], X.data.shape[0]):
        raise ValueError("X is a damaged CSR matrix: its indptr refers to more entries than it has")


def _check_columns(X):
    n_features, n_entries = X.shape[1], int(X.indptr[-1])
    used = X.indices[:n_entries]
    if n_entries and (used.min() < 0 or used.max() >= n_features):
        entry = int(np.flatnonzero((used < 0) | (used >= n_features))[0])
        row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
        raise ValueError(
            f"X is a damaged CSR matrix: row {row} has the column index {used[entry]}, "
            f"of {n_features} columns"
        )


def check_weights(sample_weight, X):
    """float64 weights of the rows, or None where all are 1.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or their number is not that of the rows.
    """
    if sample_weight is None:
        return None
    weight = sample_weight
    # scikit-learn takes longer about what needs nothing than a row takes
    ready = (
        type(weight) is np.ndarray
        and weight.dtype == np.float64
        and weight.shape == (X.shape[0],)
        and weight.flags.c_contiguous
        and np.isfinite(weight).all()
    )
    if not ready:
        weight = _check_sample_weight(weight, X, dtype=np.float64, **ALLOW_ZERO_WEIGHTS)
    if np.any(weight < 0):
        raise ValueError(
            "Negative values in data passed to `sample_weight`, the first at row "
            f"{int(np.argmax(weight < 0))}."
        )
    return weight


def check_offset(offset, n_rows, n_outputs, name="offset"):
    """float64 offsets of shape (n_rows, n_outputs), or NO_OFFSET where there are none.

    Raises
    ------
    ValueError
        If they are not a number for each row and output, or not finite.
    """
    if offset is None:
        return NO_OFFSET
    try:
        values = np.asarray(offset, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from error
    if values.ndim == 1 and n_outputs == 1:
        values = values[:, np.newaxis]
    if values.shape != (n_rows, n_outputs):
        expected = (n_rows,) if n_outputs == 1 else (n_rows, n_outputs)
        raise ValueError(
            f"{name} has the shape {np.shape(offset)}, but there are {n_rows} row(s) and "
            f"{n_outputs} output(s): it must have the shape {expected}."
        )
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite; it is {values[row]} at row {row}.")
    return np.ascontiguousarray(values)


def integer_classes(y):
    """The numbers that occur in y, sorted, if they are integers of a small range; else None.

    Counting takes a tenth of the time of numpy.unique.
    """
    if y.ndim != 1 or y.dtype.kind != "i" or not y.size:
        return None
    least, most = int(y.min()), int(y.max())
    if most - least >= y.size // 2:
        return None
    counts = np.bincount(y.astype(np.intp, copy=False) - least)
    return (np.flatnonzero(counts) + least).astype(y.dtype)


def typical_row(data, indptr, rows):
    """What these rows are like; 1 where none has an entry.

    A sample of them tells it well enough.

    Returns
    -------
    largest : float
        The mean largest entry of a row. Rows that are far out count as less, see `mean_size`.
    norm : float
        The root of the mean squared norm.
    far_out : float
        How many times as large that root is where rows that are far out count as they are.
    """
    step = rows.size // ROWS_OF_RATE
    sample = np.ascontiguousarray(rows[::step]) if step > 1 else rows
    sizes = np.empty((2, sample.size))
    n_rows = sizes_of_rows(data, indptr, sample, sizes)
    if n_rows == 0:
        return 1.0, 1.0, 1.0
    if n_rows == 1:
        # as streams come, of which the first rows are looked at one by one
        largest, square = sizes[:, 0].tolist()
        norm = math.sqrt(square)
        return largest, norm if 0 < norm < math.inf else largest, 1.0
    largest = mean_size(sizes[0, :n_rows])
    squares = sizes[1, :n_rows]
    mean_square = mean_size(squares, FAR_OUT**2)
    norm = math.sqrt(mean_square)
    if not 0 < norm < np.inf:
        # the squares of extreme entries are not numbers of the precision
        return largest, largest, 1.0
    return largest, norm, math.sqrt(squares.mean() / mean_square)
