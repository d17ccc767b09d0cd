"""Single passes over arrays, of which NumPy would make several."""

from libc.float cimport DBL_MIN, FLT_MIN
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

ctypedef fused number:
    float
    double

# the bits of a number
ctypedef fused word:
    uint32_t
    uint64_t

# Entries that are looked at together: few enough to stay in the first cache.
cdef enum:
    BLOCK = 1 << 11

# Entries that are sorted by comparing all with all, which a few vector instructions do.
cdef enum:
    RUN = 32


def scan(
    const word[::1] numbers,
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
    Py_ssize_t n_features,
    unsigned char[::1] occurs,
):
    """Whether a CSR matrix is canonical, and whether its numbers are neither zero nor infinite.

    Parameters
    ----------
    numbers : uint32 or uint64 array
        The bits of float32 or float64 numbers.
    indices : int32 array
    indptr : int64 array
        From 0 to at most the number of indices.
    n_features : int
    occurs : array of one bit a feature, or of none
        The bits of features that occur are set, if the matrix is canonical.

    Returns
    -------
    ordered : bool
        Whether indptr rises, and in each row the indices, from at least 0 to less than n_features.
    ordinary : bool
        Whether no number is zero, infinite or NaN; without meaning if not ordered.
    """
    cdef Py_ssize_t n_rows = indptr.shape[0] - 1, row = 0, first, start, stop, i
    cdef bint ordinary = True, ordered = True, marks = occurs.shape[0] > 0
    with nogil:
        for i in range(n_rows):
            ordered &= indptr[i] <= indptr[i + 1]
        while row < n_rows and ordered:
            # a row, and those after it as far as they are short
            first, start = row, indptr[row]
            row += 1
            while row < n_rows and indptr[row + 1] - start <= BLOCK:
                row += 1
            stop = indptr[row]
            if start == stop:
                continue
            if not rows_are_ordered(&indices[0], &indptr[0], first, row, n_features):
                ordered = False
                break
            ordinary = ordinary and are_ordinary(&numbers[start], stop - start)
            if marks:
                for i in range(start, stop):
                    occurs[indices[i] >> 3] |= <unsigned char>(1 << (indices[i] & 7))
    return ordered, ordinary


cdef inline bint rows_are_ordered(
    const int32_t* indices, const int64_t* indptr, Py_ssize_t first, Py_ssize_t end,
    Py_ssize_t n_features,
) noexcept nogil:
    # All places where indices fall, less those between two rows. The count has the width of the
    # indices, for the loop to be vectorised.
    cdef int32_t n_falls = 0
    cdef Py_ssize_t i, row, start, stop
    for i in range(indptr[first], indptr[end] - 1):
        n_falls += indices[i + 1] <= indices[i]
    for row in range(first, end):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        if indices[start] < 0 or indices[stop - 1] >= n_features:
            return False
        if start > indptr[first]:
            n_falls -= indices[start] <= indices[start - 1]
    return n_falls == 0


cdef inline bint are_ordinary(const word* numbers, Py_ssize_t n) noexcept nogil:
    # Without its sign, a number is zero if subtracting 1 sets the highest bit, and not finite
    # if adding 1 to its exponent does.
    cdef word sign = <word>1 << (31 if word is uint32_t else 63)
    cdef word exponent = <word>1 << (23 if word is uint32_t else 52)
    cdef word size, found = 0
    cdef Py_ssize_t i
    for i in range(n):
        size = numbers[i] & ~sign
        found |= (size - 1) | (size + exponent)
    return not found & sign


def sort_rows(
    const word[::1] numbers,
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
    word[::1] out_numbers,
    int32_t[::1] out_indices,
):
    """Write the rows of a CSR matrix with ascending indices.

    Vectorizers of text leave a row's words in the order of their first appearance.

    Parameters
    ----------
    numbers : uint32 or uint64 array
        The bits of the entries.
    indices : int32 array
        Not negative.
    indptr : int64 array
        Rising.
    out_numbers, out_indices : arrays
        Of the shapes of numbers and indices.

    Returns
    -------
    distinct : bool
        Whether no row has an index twice. If one has, what was written has no meaning.
    """
    cdef Py_ssize_t row, i, start, n, longest = 1
    cdef bint distinct = True
    cdef uint64_t* keys
    cdef uint64_t* ordered
    for row in range(indptr.shape[0] - 1):
        longest = max(longest, indptr[row + 1] - indptr[row])
    keys = <uint64_t*>malloc(2 * longest * sizeof(uint64_t))
    if keys == NULL:
        raise MemoryError
    with nogil:
        for row in range(indptr.shape[0] - 1):
            start, n = indptr[row], indptr[row + 1] - indptr[row]
            if n == 0:
                continue
            distinct = sort_runs(&indices[start], n, keys)
            if not distinct:
                break
            ordered = merge_runs(keys, keys + longest, n)
            for i in range(n):
                out_indices[start + i] = <int32_t>(ordered[i] >> 32)
                out_numbers[start + i] = numbers[start + <int64_t>(ordered[i] & 0xFFFFFFFFu)]
            for i in range(start + 1, start + n):
                distinct &= out_indices[i - 1] != out_indices[i]
            if not distinct:
                break
    free(keys)
    return distinct


cdef bint sort_runs(const int32_t* indices, Py_ssize_t n, uint64_t* keys) noexcept nogil:
    # Sorted runs of keys: the index above, the place in the row below. Returns whether those of
    # each run are distinct.
    cdef int32_t[RUN] run
    cdef int32_t[RUN] place
    cdef Py_ssize_t first = 0, i, j, size, sum_of_places
    while first < n:
        size = min(<Py_ssize_t>RUN, n - first)
        for i in range(RUN):
            run[i] = indices[first + i] if i < size else 0
            place[i] = 0
        # all places at once, for the loop to be vectorised
        for j in range(size):
            for i in range(RUN):
                place[i] += run[j] < run[i]
        sum_of_places = 0
        for i in range(size):
            sum_of_places += place[i]
            keys[first + place[i]] = (<uint64_t>run[i] << 32) | <uint64_t>(first + i)
        # equal ones have the same place
        if 2 * sum_of_places != size * (size - 1):
            return False
        first += size
    return True


cdef uint64_t* merge_runs(uint64_t* keys, uint64_t* room, Py_ssize_t n) noexcept nogil:
    # Merges pairs of runs until one is left, and returns which of the arrays has it.
    cdef Py_ssize_t width = RUN, first, middle, end, i, j, k
    cdef bint second
    while width < n:
        first = 0
        while first < n:
            middle, end = min(first + width, n), min(first + 2 * width, n)
            i, j, k = first, middle, first
            while i < middle and j < end:
                second = keys[j] < keys[i]
                room[k] = keys[j] if second else keys[i]
                i += not second
                j += second
                k += 1
            memcpy(room + k, keys + i, (middle - i) * sizeof(uint64_t))
            memcpy(room + k + middle - i, keys + j, (end - j) * sizeof(uint64_t))
            first = end
        keys, room = room, keys
        width *= 2
    return keys


def sizes_of_rows(
    const number[::1] data, const int64_t[::1] indptr, const int64_t[::1] rows, double[:, ::1] out
):
    """Write the largest absolute value of each of these rows, and the sum of its squares.

    Parameters
    ----------
    data, indptr : arrays
        Of a CSR matrix without explicit zeros.
    rows : int64 array
    out : float64 array of shape (2, n_rows)
        Rows without entries are left out.

    Returns
    -------
    n : int
        How many of the rows have entries.
    """
    cdef Py_ssize_t k, i, start, stop, n = 0
    cdef double size, largest, squares
    with nogil:
        for k in range(rows.shape[0]):
            start, stop = indptr[rows[k]], indptr[rows[k] + 1]
            if start == stop:
                continue
            largest = squares = 0.0
            for i in range(start, stop):
                size = data[i] if data[i] > 0 else -data[i]
                largest = max(largest, size)
                squares += size * size
            out[0, n], out[1, n] = largest, squares
            n += 1
    return n


def normalised(
    const number[::1] data,
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
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
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
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


def standardise(
    const number[::1] data,
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
    const int64_t[::1] columns,
    const double[::1] means,
    const double[::1] sizes,
    number[::1] out_data,
    int32_t[::1] out_indices,
    int64_t[::1] out_indptr,
):
    """Write the rows with these columns less their means and over their sizes.

    Parameters
    ----------
    data, indices, indptr : arrays
        Of a canonical CSR matrix.
    columns : int64 array
        Sorted.
    means, sizes : float64 arrays
    out_data, out_indices, out_indptr : arrays
        With room for all columns in each row. Zeros are left out.

    Returns
    -------
    n : int
        The number of entries written.
    """
    cdef Py_ssize_t row, i, j, stop, n = 0, n_columns = columns.shape[0]
    cdef int64_t feature
    cdef double value
    with nogil:
        out_indptr[0] = 0
        for row in range(indptr.shape[0] - 1):
            i, stop, j = indptr[row], indptr[row + 1], 0
            while i < stop or j < n_columns:
                if j == n_columns or (i < stop and indices[i] < columns[j]):
                    feature, value = indices[i], data[i]
                    i += 1
                else:
                    feature, value = columns[j], -means[j]
                    if i < stop and indices[i] == feature:
                        value = data[i] - means[j]
                        i += 1
                    value = value / sizes[j]
                    j += 1
                out_data[n], out_indices[n] = <number>value, <int32_t>feature
                n += out_data[n] != 0
            out_indptr[row + 1] = n
    return n


cdef inline uint64_t mixed(uint64_t h, uint64_t bits) noexcept nogil:
    h = (h ^ bits) * <uint64_t>0x9E3779B97F4A7C15u
    return h ^ (h >> 32)


def keys_of_rows(
    const word[::1] numbers,
    const int32_t[::1] indices,
    const int64_t[::1] indptr,
    const uint64_t[:, ::1] targets,
    const int64_t[::1] rows,
    uint64_t[::1] keys,
):
    """Write a hash of each of these rows and its targets, which is never 0.

    Parameters
    ----------
    numbers : uint32 or uint64 array
        The bits of the entries of a canonical CSR matrix.
    indices, indptr : arrays
        Of this matrix.
    targets : uint64 array
        The bits of the targets.
    rows : int64 array
    keys : uint64 array of the same shape
        Written to.
    """
    cdef Py_ssize_t i, j, n_targets = targets.shape[1]
    cdef int64_t row
    cdef uint64_t key
    with nogil:
        for i in range(rows.shape[0]):
            row, key = rows[i], 1
            for j in range(n_targets):
                key = mixed(key, targets[row, j])
            for j in range(indptr[row], indptr[row + 1]):
                key = mixed(mixed(key, <uint64_t>indices[j]), numbers[j])
            keys[i] = key | 1


def copy_pieces(
    const unsigned char[:, ::1] source,
    unsigned char[:, ::1] target,
    const int32_t[::1] source_rows,
    const int32_t[::1] target_rows,
    const int64_t[:, ::1] pieces,
):
    """Copy pieces of rows into rows.

    Parameters
    ----------
    source, target : arrays of bytes
    source_rows, target_rows : int32 arrays of the same shape
    pieces : array of shape (n_pieces, 3)
        Of each where it begins in a row of the source, and of the target, and its size.
    """
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(source_rows.shape[0]):
            for j in range(pieces.shape[0]):
                memcpy(
                    &target[target_rows[i], pieces[j, 1]], &source[source_rows[i], pieces[j, 0]],
                    pieces[j, 2])
