"""Rows set aside, made what new rows are: without the features that no learned row has.

People vectorise text before `fit` sees it. So a row that is set aside has words that no learned row
has. They keep a part of its norm at weights of 0, and its other words count less. A new row has
none of them: the vectorizer does not know them, and gives the others the whole norm.
"""

from dataclasses import replace

import numpy as np

from ._scan import sizes_of_rows

# So many rows, spread over all, tell whether rows have one norm.
ROWS_LOOKED_AT = 2000

# Norms are the same up to what rows that were stored with few digits have lost.
TOLERANCE = 1e-3


def part_as_new(training, learned, rows):
    """Some rows as the model would see them if it were given them later.

    Where rows have one norm, as tf-idf rows have, those of the part lose the features that no
    learned row has, and get their norm back. Elsewhere nothing changes.

    Parameters
    ----------
    training : TrainingData
    learned : int64 ndarray
        The rows that are learned.
    rows : int64 ndarray
        The rows of the part.

    Returns
    -------
    TrainingData
        Of the part.
    """
    part = training.part(rows)
    if not has_one_norm(training, learned):
        return part
    known = np.zeros(training.n_features, bool)
    of_learned = training.part(learned)
    known[of_learned.indices] = True
    kept = known[part.indices]
    if kept.all():
        return part
    lengths = np.diff(part.indptr)
    row_of = np.repeat(np.arange(rows.size), lengths)
    before = _norms(part.data, row_of, rows.size)
    row_of, data = row_of[kept], part.data[kept]
    after = _norms(data, row_of, rows.size)
    # A row without any of its words is empty, as a new one is.
    factors = np.divide(before, after, out=np.ones(rows.size), where=after > 0)
    indptr = np.zeros_like(part.indptr)
    np.cumsum(np.bincount(row_of, minlength=rows.size), out=indptr[1:])
    return replace(
        part,
        data=(data * factors[row_of]).astype(part.data.dtype, copy=False),
        indices=part.indices[kept],
        indptr=indptr,
    )


def has_one_norm(training, rows):
    """Whether these rows have one norm that a vectorizer has given them.

    The norm of one-hot rows is one, too, if each has as many ones: but nobody gives them the norm
    of a new row back. Rows with as many entries each are taken to be of that kind.
    """
    sample = np.ascontiguousarray(rows[:: max(1, rows.size // ROWS_LOOKED_AT)])
    lengths = training.indptr[sample + 1] - training.indptr[sample]
    lengths = lengths[lengths > 0]
    if not lengths.size or np.ptp(lengths) == 0:
        return False
    sizes = np.empty((2, sample.size))
    n_rows = sizes_of_rows(training.data, training.indptr, sample, sizes)
    squares = sizes[1, :n_rows]
    if not np.finfo(np.float64).tiny < squares.min() <= squares.max() < np.inf:
        # squares of extreme entries are no numbers
        part = training.part(sample)
        data, _ = _in_unit(part.data)
        sizes_of_rows(data, part.indptr, np.arange(sample.size), sizes)
    return bool(squares.max() <= (1 + TOLERANCE) ** 2 * squares.min())


def _norms(data, row_of, n_rows):
    """The norm of each row."""
    sizes, unit = _in_unit(data)
    return unit * np.sqrt(np.bincount(row_of, sizes * sizes, n_rows))


def _in_unit(data):
    """Entries over about the largest of them, whose squares are numbers; and what they are over."""
    # powers of 2 leave the bits what they are
    largest = np.abs(data).max(initial=0.0)
    unit = float(2.0 ** np.clip(np.frexp(largest)[1], -1000, 1000))
    return data.astype(np.float64) / unit, unit
