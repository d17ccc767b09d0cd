"""What the arrays of a CSR matrix are like, in one pass over each: it takes as long as reading them."""

from libc.float cimport DBL_MIN, FLT_MIN
from libc.stdint cimport int32_t, int64_t

ctypedef fused number:
    float
    double

ctypedef fused index:
    int32_t
    int64_t

# Counts of so many are vectorised, as they need no more bits than what they are of.
cdef enum:
    BLOCK = 1 << 12


def is_ordered(const index[::1] indices, const index[::1] indptr, Py_ssize_t n_features):
    """Whether the indices of each row rise, from at least 0 to less than n_features.

    Parameters
    ----------
    indices : array
    indptr : array
        Rises from 0 to at most the number of indices.
    n_features : int
    """
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1, n = indptr[n_rows], row, start = 0
    cdef Py_ssize_t n_falls = 0
    if n == 0:
        return True
    with nogil:
        # All places where they fall, less those between two rows.
        while start < n - 1:
            n_falls += falls(&indices[start], min(n - 1 - start, <Py_ssize_t>BLOCK))
            start += BLOCK
        for row in range(n_rows):
            if indptr[row] == indptr[row + 1]:
                continue
            if indices[indptr[row]] < 0 or indices[indptr[row + 1] - 1] >= n_features:
                n_falls += n
            if indptr[row] > 0:
                n_falls -= indices[indptr[row]] <= indices[indptr[row] - 1]
    return n_falls == 0


cdef inline Py_ssize_t falls(const index* indices, Py_ssize_t n) noexcept nogil:
    cdef index count = 0
    cdef Py_ssize_t i
    for i in range(n):
        count += indices[i + 1] <= indices[i]
    return count


def zeros_and_finiteness(const number[::1] data):
    """Whether a number is zero, and whether all are finite."""
    cdef Py_ssize_t n = data.shape[0], start = 0
    cdef bint any_zero = False, finite = True
    with nogil:
        while start < n:
            look(&data[start], min(n - start, <Py_ssize_t>BLOCK), &any_zero, &finite)
            start += BLOCK
    return any_zero, finite


cdef inline void look(
    const number* data, Py_ssize_t n, bint* any_zero, bint* finite
) noexcept nogil:
    # counted in integers of the width of the numbers, for the loops to be vectorised
    cdef Py_ssize_t i
    cdef int32_t single = 0, single_infinite = 0
    cdef int64_t whole = 0, whole_infinite = 0
    if number is float:
        for i in range(n):
            single += data[i] == 0
            # inf and NaN times zero are NaN, which is not equal to zero
            single_infinite += data[i] * 0 != 0
    else:
        for i in range(n):
            whole += data[i] == 0
            whole_infinite += data[i] * 0 != 0
    any_zero[0] |= single > 0 or whole > 0
    finite[0] &= single_infinite == 0 and whole_infinite == 0


def normalised(
    const number[::1] data,
    const index[::1] indices,
    const index[::1] indptr,
    const int64_t[::1] rows,
    number[::1] scale,
    number[::1] out,
):
    """Each entry of these rows over the largest size that its feature has had so far.

    Parameters
    ----------
    data, indices, indptr : arrays
        Of a CSR matrix without explicit zeros.
    rows : int64 array
        Their order is that of time.
    scale : array of shape (n_features,)
        The largest sizes, 0 for none; raised in place. They are never so small that a weight
        over one might be infinite.
    out : array
        Of the shape of data.
    """
    cdef Py_ssize_t k, row, i
    with nogil:
        for k in range(rows.shape[0]):
            row = rows[k]
            for i in range(indptr[row], indptr[row + 1]):
                out[i] = data[i] / raised(&scale[indices[i]], data[i])


def raise_scale(
    const number[::1] data,
    const index[::1] indices,
    const index[::1] indptr,
    const int64_t[::1] rows,
    number[::1] scale,
):
    """`normalised` without its result: only the sizes are raised."""
    cdef Py_ssize_t k, row, i
    with nogil:
        for k in range(rows.shape[0]):
            row = rows[k]
            for i in range(indptr[row], indptr[row + 1]):
                raised(&scale[indices[i]], data[i])


cdef inline number raised(number* scale, number value) noexcept nogil:
    cdef number size = value if value > 0 else -value
    cdef number least = <number>((1 << 20) * (FLT_MIN if number is float else DBL_MIN))
    if size > scale[0]:
        scale[0] = max(size, least)
    return scale[0]


def mark(const index[::1] indices, unsigned char[::1] occurs):
    """Set the elements that the indices name to 1."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(indices.shape[0]):
            occurs[indices[i]] = 1
