"""Which records a step touches, and what is fetched meanwhile: rows by themselves, and batches."""

# How many rows ahead the entries of a row are fetched, and its place and target; each is needed to
# find the next. The records of a row with several outputs would drive out those of the next but one.
cdef enum:
    RECORDS_AHEAD = 2
    LONG_RECORDS_AHEAD = 1
    ENTRIES_AHEAD = 6
    PLACES_AHEAD = 14


cdef struct Rows:
    # the entries of a canonical CSR matrix without explicit zeros
    const real* data
    # the rows to learn, in this order
    const int64_t* order
    Py_ssize_t n
    # of all rows: targets, and weights or NULL
    const double* targets
    Py_ssize_t n_targets
    const double* weights
    # or NULL, of so many outputs
    const double* offsets
    Py_ssize_t n_offsets


cdef inline double weight_of(const Rows* rows, int64_t row) noexcept nogil:
    return rows.weights[row] if rows.weights != NULL else 1.0


cdef inline const double* offset_of(const Rows* rows, int64_t row) noexcept nogil:
    return rows.offsets + row * rows.n_offsets if rows.offsets != NULL else NULL


cdef inline int64_t row_at(
    const Rows* rows, const int32_t* indices, const int64_t* indptr, Py_ssize_t position, bint again
) noexcept nogil:
    """The row at this place, while what rows some places on consist of is fetched.

    All of it, or if those rows are seen again within a batch their numbers only. A function that
    only fetches would have no effect in the eyes of compilers, which drop its calls.
    """
    cdef int64_t row
    cdef Py_ssize_t n
    if position + PLACES_AHEAD < rows.n:
        row = rows.order[position + PLACES_AHEAD]
        prefetch(&indptr[row])
        prefetch(rows.targets + row * rows.n_targets)
        if rows.weights != NULL:
            prefetch(rows.weights + row)
        if rows.offsets != NULL:
            prefetch(rows.offsets + row * rows.n_offsets)
    if position + ENTRIES_AHEAD < rows.n:
        row = rows.order[position + ENTRIES_AHEAD]
        n = indptr[row + 1] - indptr[row]
        if not again:
            prefetch_array(indices + indptr[row], n * sizeof(int32_t))
        prefetch_array(rows.data + indptr[row], n * sizeof(real))
    return rows.order[position]


cdef inline void select_row(
    const Rows* rows, const int32_t* indices, const int64_t* indptr, Py_ssize_t position,
    Py_ssize_t records_ahead, Touch* touch,
) noexcept nogil:
    """Name the records of a row, and those of a row to come."""
    cdef int64_t row = row_at(rows, indices, indptr, position, False)
    touch.columns = indices + indptr[row]
    touch.x = rows.data + indptr[row]
    touch.n = indptr[row + 1] - indptr[row]
    touch.n_ahead = 0
    if position + records_ahead < rows.n:
        row = rows.order[position + records_ahead]
        touch.ahead = indices + indptr[row]
        touch.n_ahead = indptr[row + 1] - indptr[row]
