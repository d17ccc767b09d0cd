"""Mini-batches: the features of several rows, each once.

Of each feature of the model there is the number that it had when it was last in a batch. Numbers
go up from batch to batch, so that those from `base` on are of the batch in hand, and nothing has
to be cleared. Whether a feature is new decides what is added, and never where to go on: processors
could not foresee it.
"""

cdef enum:
    MOST_NUMBERS = 0xffffffff
    # So many rows ahead numbers and records are fetched; records again so many places ahead in the
    # list of features, as those of a large batch have left the cache.
    NUMBERS_AHEAD = 2
    FEATURES_AHEAD = 24


@cython.final
cdef class Batches:
    """The features of a batch, and for each entry of its rows the place of its feature."""

    cdef:
        Py_ssize_t n_features, capacity
        uint32_t[::1] numbers
        uint32_t* number
        uint64_t base
        # the features and the places
        int32_t* features
        int32_t* place

    def __cinit__(self, Py_ssize_t n_features):
        self.n_features = n_features
        # in huge pages where NumPy's arrays are
        self.numbers = np.zeros(max(n_features, 1), np.uint32)
        self.number = &self.numbers[0]
        self.base = 1

    def __dealloc__(self):
        free(self.features)

    cdef bint reserve(self, Py_ssize_t n_entries) noexcept nogil:
        """Make room for a batch of so many entries; False if there is no memory."""
        if self.base + n_entries > MOST_NUMBERS:
            memset(self.number, 0, self.n_features * sizeof(uint32_t))
            self.base = 1
        if n_entries < self.capacity:
            return True
        # one more, as each entry is written to the list, new or not
        n_entries += n_entries // 4 + 1
        free(self.features)
        self.capacity = 0
        self.features = <int32_t*>malloc(2 * n_entries * sizeof(int32_t))
        if self.features == NULL:
            return False
        self.place = self.features + n_entries
        self.capacity = n_entries
        return True


cdef bint select_batch(
    Optimizer o, const Rows* rows, const int32_t* indices, const int64_t* indptr,
    Py_ssize_t position, Py_ssize_t size, Batches batches, Touch* touch,
) noexcept nogil:
    """Name the records of `size` rows from this place on; False if there is no memory."""
    cdef Py_ssize_t i, j, ahead, last_ahead, n_entries = 0
    cdef int64_t row
    cdef uint32_t known, base, place, n = 0
    cdef uint32_t* number = batches.number
    cdef int32_t* features
    cdef int32_t* places
    for i in range(size):
        row = rows.order[position + i]
        n_entries += indptr[row + 1] - indptr[row]
    if not batches.reserve(n_entries):
        return False
    base = <uint32_t>batches.base
    features = batches.features
    places = batches.place
    for i in range(size):
        # of a row to come as many as this one has entries, and then the rest
        ahead = last_ahead = 0
        if position + i + NUMBERS_AHEAD < rows.n:
            row = rows.order[position + i + NUMBERS_AHEAD]
            ahead = indptr[row]
            last_ahead = indptr[row + 1]
        row = row_at(rows, indices, indptr, position + i, False)
        for j in range(indptr[row], indptr[row + 1]):
            if ahead < last_ahead:
                prefetch(&number[indices[ahead]])
                prefetch(o.m.memory + indices[ahead] * o.m.layout.stride)
                ahead += 1
            known = number[indices[j]]
            # of a new feature the difference wraps around to more than n
            place = min(known - base, n)
            number[indices[j]] = base + place
            features[n] = indices[j]
            places[0] = <int32_t>place
            places += 1
            n += known < base
        while ahead < last_ahead:
            prefetch(&number[indices[ahead]])
            prefetch(o.m.memory + indices[ahead] * o.m.layout.stride)
            ahead += 1
    batches.base += n
    touch.columns = features
    touch.n = n
    touch.x = NULL
    touch.ahead = features + FEATURES_AHEAD
    touch.n_ahead = max(touch.n - FEATURES_AHEAD, 0)
    return True
