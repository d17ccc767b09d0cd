"""Columns that most rows have, centred and scaled, as tables of numbers need it.

A year, a time or a zip code is far from 0 in every row, and may be far larger than the columns
beside it: neither a rate nor an intercept suits both. The model is then one of centred and scaled
columns inside. What users see of it, coefficients and intercepts, belongs to the columns as given.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from ..kernel.sizes import FAR_OUT, within_reach
from ._scan import standardise
from .check import typical_row
from .new_rows import has_one_norm

# Of each column that is centred and scaled, by feature.
COLUMN = np.dtype([("feature", np.int64), ("mean", np.float64), ("size", np.float64)])

NO_COLUMNS = np.empty(0, COLUMN)

# Columns that more than this share of the rows have.
LEAST_SHARE = 0.3

# Fewer rows do not tell means and sizes.
LEAST_ROWS = 100

# So many rows, or not quite twice as many, spread over all, tell them.
ROWS_LOOKED_AT = 1000


def columns_of(training, rows):
    """The columns to centre and scale, as these rows tell them.

    None where rows have one norm, as those of text have, and where they are few. Sizes are in the
    unit of the other columns, for all to stay in proportion when X is in another unit.

    Returns
    -------
    columns : array of the type `COLUMN`
    """
    if rows.size < LEAST_ROWS or has_one_norm(training, rows):
        return NO_COLUMNS
    part = training.part(rows[:: max(1, rows.size // ROWS_LOOKED_AT)])
    n_rows = part.n_rows
    features, counts = np.unique(part.indices, return_counts=True)
    features = features[counts > LEAST_SHARE * n_rows].astype(np.int64)
    if not features.size:
        return NO_COLUMNS
    matrix = sp.csr_matrix((part.data, part.indices, part.indptr), (n_rows, part.n_features))
    means, sizes = _means_and_sizes(
        matrix[:, features].toarray().astype(np.float64, copy=False), training.fit_intercept
    )
    # one that is the same in all rows, but for rounding, stays what it is
    varies = (sizes > 1e-6 * np.abs(means)) & np.isfinite(sizes)
    columns = np.empty(features.size, COLUMN)
    columns["feature"], columns["mean"] = features, means
    columns["size"] = sizes / _unit_of_others(part, features)
    return columns[varies & (columns["size"] > 0)]


def _means_and_sizes(values, centres):
    """Of each column, of which few values may be far out: the mean and the standard deviation."""
    middle = np.median(values, axis=0) if centres else np.zeros(values.shape[1])
    values = values - middle
    for column in values.T:
        reach = within_reach(np.abs(column), FAR_OUT).max()
        np.clip(column, -reach, reach, out=column)
    means = values.mean(axis=0) if centres else middle
    return middle + means, np.sqrt(((values - means) ** 2).mean(axis=0))


def _unit_of_others(part, features):
    """The typical largest entry of other columns; 1 if there is none."""
    others = ~np.isin(part.indices, features)
    if not others.any():
        return 1.0
    row_of = np.repeat(np.arange(part.n_rows), np.diff(part.indptr))[others]
    indptr = np.zeros_like(part.indptr)
    np.cumsum(np.bincount(row_of, minlength=part.n_rows), out=indptr[1:])
    largest, *_ = typical_row(part.data[others], indptr, np.arange(part.n_rows, dtype=np.int64))
    return largest


def standardised(training, columns):
    """`TrainingData` with these columns centred and scaled, so that all rows have them."""
    if not columns.size:
        return training
    n_entries = training.indices.size + training.n_rows * columns.size
    data = np.empty(n_entries, training.data.dtype)
    indices = np.empty(n_entries, training.indices.dtype)
    indptr = np.empty(training.n_rows + 1, training.indptr.dtype)
    n_entries = standardise(
        training.data,
        training.indices,
        training.indptr,
        columns["feature"].copy(),
        columns["mean"].copy(),
        columns["size"].copy(),
        data,
        indices,
        indptr,
    )
    return replace(training, data=data[:n_entries], indices=indices[:n_entries], indptr=indptr)
