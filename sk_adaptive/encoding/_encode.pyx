"""Columns of tables where they lie, and what turns them and documents into rows of a sparse matrix."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

cdef extern from "Python.h":
    int PyUnicode_CheckExact(PyObject *)
    int PyUnicode_IS_COMPACT_ASCII(PyObject *)
    void *PyUnicode_DATA(PyObject *)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *)
    int PyUnicode_KIND(PyObject *)

cdef extern from "arrow.h":
    cdef struct ArrowSchema:
        const char *format
        const char *name
        int64_t n_children
        ArrowSchema **children
        ArrowSchema *dictionary
        void (*release)(ArrowSchema *)
    cdef struct ArrowArray:
        int64_t length, null_count, offset
        const void **buffers
        ArrowArray **children
        ArrowArray *dictionary
        void (*release)(ArrowArray *)
    cdef struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *)
        int (*get_next)(ArrowArrayStream *, ArrowArray *)
        const char *(*get_last_error)(ArrowArrayStream *)

cdef extern from "text.h" nogil:
    ctypedef struct ska_prefix:
        uint32_t state
    ctypedef struct ska_text:
        const uint8_t *bytes
        size_t n
    ctypedef struct ska_features:
        pass
    ctypedef struct ska_entries:
        int kind
        int64_t first, stride
        const uint8_t *data
        const void *offsets
        const uint8_t **buffers
        const uint8_t *valid
        int64_t valid_first
    ctypedef struct ska_column:
        ska_entries entries, codes
        const uint32_t *hashes
        int role, skips_missing
        ska_prefix prefix
        uint32_t own, missing
    ctypedef struct ska_plan:
        int64_t n_columns
        const ska_column *columns
        int64_t n_crosses
        const int32_t *ends
        const int32_t *members
        ska_features features
        int is_single
    ctypedef struct ska_document:
        const void *data
        int64_t n
        int kind
    ctypedef struct ska_stop_word:
        const uint8_t *bytes
        uint32_t hash, n
    ctypedef struct ska_text_plan:
        int analyzer, lowercase, binary, norm, alternate_sign, is_single, not_space
        int64_t least, min_n, max_n
        ska_features features
        ska_stop_word *stop_words
        uint32_t stop_mask
    ctypedef struct ska_output:
        int32_t *indices
        void *data
        int64_t n
    int SKA_NULL, SKA_TEXT32, SKA_TEXT64, SKA_VIEWS, SKA_BITS, SKA_BOOLS, SKA_I8, SKA_I16, SKA_I32, SKA_I64
    int SKA_U8, SKA_U16, SKA_U32, SKA_U64, SKA_F32, SKA_F64, SKA_HASHES
    int SKA_CATEGORY, SKA_VALUE, SKA_BIN, SKA_NO_MEMORY, SKA_INFINITE, SKA_SURROGATE
    ska_prefix ska_with_bytes(ska_prefix, const uint8_t *, size_t)
    uint32_t ska_hash(const ska_prefix *, const uint8_t *, size_t)
    uint64_t ska_member(uint32_t)
    uint32_t ska_cross(uint64_t)
    ska_features ska_features_of(uint32_t)
    uint32_t ska_column_of(ska_features, uint32_t)
    bint ska_is_valid(const ska_entries *, int64_t)
    int64_t ska_integer(const ska_entries *, int64_t)
    double ska_number(const ska_entries *, int64_t)
    ska_text ska_text_of(const ska_entries *, int64_t, uint8_t *)
    ska_text ska_bin_of(double, uint8_t *)
    uint32_t ska_hash_of_entry(const ska_column *, int64_t)
    int64_t ska_write_rows(const ska_plan *, int64_t, int64_t, int32_t *, void *, int64_t *, int64_t *)
    void ska_init_text_plan(ska_text_plan *)
    int ska_hash_documents(const ska_text_plan *, const ska_document *, int64_t, ska_output *, int64_t *)
    void ska_free_output(ska_output *)

ROLES = {"category": SKA_CATEGORY, "value": SKA_VALUE, "log_bins": SKA_BIN}
NUMPY_KINDS = {
    "?": SKA_BOOLS, "i1": SKA_I8, "i2": SKA_I16, "i4": SKA_I32, "i8": SKA_I64,
    "u1": SKA_U8, "u2": SKA_U16, "u4": SKA_U32, "u8": SKA_U64, "f4": SKA_F32, "f8": SKA_F64,
}
# by the format of Arrow's C interface, with the bytes of a number
ARROW_KINDS = {
    b"n": (SKA_NULL, 0), b"b": (SKA_BITS, 0), b"c": (SKA_I8, 1), b"s": (SKA_I16, 2), b"i": (SKA_I32, 4),
    b"l": (SKA_I64, 8), b"C": (SKA_U8, 1), b"S": (SKA_U16, 2), b"I": (SKA_U32, 4), b"L": (SKA_U64, 8),
    b"f": (SKA_F32, 4), b"g": (SKA_F64, 8), b"u": (SKA_TEXT32, 0), b"z": (SKA_TEXT32, 0),
    b"U": (SKA_TEXT64, 0), b"Z": (SKA_TEXT64, 0), b"vu": (SKA_VIEWS, 0), b"vz": (SKA_VIEWS, 0),
}
ARROW_NAMES = {"t": "dates or times", "d": "decimals", "+": "nested values", "w": "bytes of one size", "e": "float16"}

# -- hashes --


cdef uint32_t hash_of(bytes text):
    cdef ska_prefix nothing
    memset(&nothing, 0, sizeof(nothing))
    return ska_hash(&nothing, text, len(text))


def hash_text(bytes text):
    """The hash of a feature's name."""
    return hash_of(text)


def hash_cross(hashes):
    """The hash of a cross of features with these hashes."""
    cdef uint64_t total = 0
    for each in hashes:
        total += ska_member(each)
    return ska_cross(total)


def column_of(hash, n_features):
    """The column of the matrix that a hash belongs to."""
    return ska_column_of(ska_features_of(n_features), hash)


def text_of(value):
    """The text of a value as a category, as bytes; None where it is missing.

    A whole number is written without a fraction, as a table turns whole numbers into floats where one is missing.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (bool, np.bool_)):
        return b"True" if value else b"False"
    if isinstance(value, (float, np.floating)):
        if value != value:
            return None
        if not -2.0**53 < value < 2.0**53 or value != int(value):
            return str(value).encode()
    elif not isinstance(value, (int, np.integer)):
        raise TypeError(f"is of type {type(value).__name__}: make strings or numbers of such values")
    return str(int(value)).encode()


# -- columns --

cdef enum:
    CACHE_BITS = 12


cdef struct Cached:
    PyObject *value
    uint32_t hash
    bint is_there


cdef inline uintptr_t address_of(array):
    return array.__array_interface__["data"][0]


cdef class Column:
    """Consecutive rows of a column of a table.

    Attributes
    ----------
    n : int
        How many.
    """

    cdef ska_column c
    # as they were before Python's own were hashed
    cdef ska_entries source
    cdef readonly Py_ssize_t n
    cdef Py_ssize_t n_entries
    cdef bytes name
    # what owns the memory, and Python's own values with the place of the first
    cdef list kept
    cdef object objects
    cdef Py_ssize_t first_object

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))
        self.kept = []

    @staticmethod
    def of_array(array, valid=None):
        """A column of a NumPy array of numbers, booleans or objects; `valid` has a bit for each entry."""
        cdef Column column = Column()
        column.n = column.n_entries = len(array)
        column.kept = [array, valid]
        if array.dtype == object:
            column.objects = array
        else:
            column.c.entries.kind = NUMPY_KINDS[array.dtype.str[1:].replace("b1", "?")]
            column.c.entries.data = <const uint8_t *>address_of(array)
            column.c.entries.stride = array.strides[0]
        if valid is not None:
            column.c.entries.valid = <const uint8_t *>address_of(valid)
        column.source = column.c.entries
        return column

    def coded(self, Column codes):
        """The column that has this one's entries, which are a dictionary, by these codes."""
        cdef Column column = self[:]
        column.c.codes = codes.c.entries
        column.n = codes.n
        column.kept = self.kept + codes.kept
        return column

    def __getitem__(self, rows):
        """A slice of rows, which shares the memory."""
        cdef Column column = Column()
        cdef Py_ssize_t first
        first, stop, _ = rows.indices(self.n)
        column.c, column.source, column.name = self.c, self.source, self.name
        column.kept, column.objects = self.kept, self.objects
        column.first_object, column.n_entries, column.n = self.first_object, self.n_entries, stop - first
        if self.c.codes.kind:
            column.c.codes.first += first
            column.c.codes.valid_first += first
        else:
            column.c.entries.first += first
            column.c.entries.valid_first += first
            column.source.first += first
            column.source.valid_first += first
            column.first_object += first
            column.n_entries = column.n
        return column

    @property
    def is_number(self):
        """Whether it has numbers, which may be more than categories."""
        return not self.c.codes.kind and SKA_I8 <= self.c.entries.kind <= SKA_F64

    def as_numbers(self):
        """The column if it has numbers or booleans, or one of the numbers that its objects are."""
        if not self.c.codes.kind and self.objects is None and not SKA_TEXT32 <= self.c.entries.kind <= SKA_VIEWS:
            return self
        if self.c.codes.kind or self.objects is None:
            raise TypeError
        return Column.of_array(np.array(self.objects, dtype=np.float64))

    def prepare(self, name, role, skips_missing):
        """Say what it is called and what is made of it; a dictionary is hashed if it has fewer entries than rows."""
        self.name = name.encode()
        cdef bytes prefix = self.name + b"="
        cdef uint32_t *hashes
        self.c.role, self.c.skips_missing = ROLES[role], skips_missing
        memset(&self.c.prefix, 0, sizeof(self.c.prefix))
        self.c.prefix = ska_with_bytes(self.c.prefix, prefix, len(prefix))
        self.c.own = hash_of(self.name)
        self.c.missing = hash_of(self.name + b" is missing")
        if not self.c.codes.kind:
            return
        if self.is_hashed_by_python():
            self.hash_values()
        elif self.n_entries <= self.n:
            table = np.empty(self.n_entries, np.uint32)
            hashes = <uint32_t *>address_of(table)
            for i in range(self.n_entries):
                hashes[i] = ska_hash_of_entry(&self.c, i)
            self.c.hashes = hashes
            self.kept = [*self.kept, table]

    cdef bint is_hashed_by_python(self):
        return self.c.role == SKA_CATEGORY and (
            self.objects is not None or self.source.kind == SKA_F32 or self.source.kind == SKA_F64
        )

    def hash_values(self):
        """Hash the values whose text is Python's: objects, and floats that are categories."""
        if not self.is_hashed_by_python() or self.c.entries.kind == SKA_HASHES:
            return
        hashes, bits = np.empty(self.n_entries, np.uint32), np.zeros(self.n_entries // 8 + 1, np.uint8)
        cdef uint32_t *hash = <uint32_t *>address_of(hashes)
        cdef uint8_t *valid = <uint8_t *>address_of(bits)
        cdef Py_ssize_t i
        cdef const uint8_t *at = NULL
        cdef Py_ssize_t stride = 0
        cdef PyObject *value
        # of values that were there lately: tables often have one object for equal strings
        cdef Cached *cache = <Cached *>malloc(sizeof(Cached) << CACHE_BITS)
        cdef Cached *found
        if cache == NULL:
            raise MemoryError
        memset(cache, 0, sizeof(Cached) << CACHE_BITS)
        try:
            if self.objects is not None:
                stride = self.objects.strides[0]
                at = <const uint8_t *>address_of(self.objects) + self.first_object * stride
            for i in range(self.n_entries):
                if at == NULL:
                    found = cache
                    number = self.float_at(i)
                    self.hash_one(i, <PyObject *>number, found)
                else:
                    value = (<PyObject **>(at + i * stride))[0]
                    found = &cache[<uint32_t>(<uintptr_t>value >> 4) * 0x9E3779B1u >> (32 - CACHE_BITS)]
                    if found.value != value:
                        self.hash_one(i, value, found)
                hash[i] = found.hash
                valid[i >> 3] |= found.is_there << (i & 7)
        finally:
            free(cache)
        self.c.entries.kind = SKA_HASHES
        self.c.entries.data, self.c.entries.first = <const uint8_t *>hash, 0
        self.c.entries.valid, self.c.entries.valid_first = valid, 0
        self.kept = [*self.kept, hashes, bits]

    cdef float_at(self, Py_ssize_t i):
        if not ska_is_valid(&self.source, i):
            return None
        number = ska_number(&self.source, i)
        return np.float32(number) if self.source.kind == SKA_F32 else number

    cdef int hash_one(self, Py_ssize_t i, PyObject *value, Cached *found) except -1:
        found.is_there = True
        if PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value):
            found.hash = ska_hash(&self.c.prefix, <const uint8_t *>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
        else:
            try:
                text = text_of(<object>value)
            except (TypeError, UnicodeEncodeError) as error:
                where = f"column {self.name.decode()!r}, row {self.first_object + i}: {<object>value!r:.80} "
                if isinstance(error, TypeError):
                    raise TypeError(f"{where}{error}") from None
                raise ValueError(f"{where}has a surrogate, which UTF-8 cannot encode") from None
            found.is_there = text is not None
            found.hash = ska_hash(&self.c.prefix, <bytes>text, len(text)) if found.is_there else 0
        found.value = value
        return 0

    def feature(self, Py_ssize_t i):
        """The name of a row's feature, and its hash."""
        cdef uint8_t room[24]
        cdef ska_text text
        cdef bytes name = self.name + b" is missing"
        cdef Py_ssize_t entry = i
        is_there = self.source.kind or self.objects is not None
        if self.c.codes.kind:
            is_there = is_there and ska_is_valid(&self.c.codes, i)
            entry = ska_integer(&self.c.codes, i) if is_there else 0
        if is_there and entry >= 0 and ska_is_valid(&self.source, entry):
            if self.is_hashed_by_python():
                objects = self.objects
                value = text_of(self.float_at(entry) if objects is None else objects[self.first_object + entry])
                name = name if value is None else self.name + b"=" + value
            elif self.c.role == SKA_CATEGORY:
                text = ska_text_of(&self.source, entry, room)
                name = self.name + b"=" + text.bytes[:text.n]
            else:
                number = ska_number(&self.source, entry)
                if number == number:
                    text = ska_bin_of(number, room)
                    name = self.name if self.c.role == SKA_VALUE else self.name + b"=" + text.bytes[:text.n]
        return name.decode(errors="backslashreplace"), hash_of(name)


# -- Arrow --


cdef class ArrowBatch:
    """What owns the memory of a batch."""

    cdef ArrowArray array

    def __cinit__(self):
        memset(&self.array, 0, sizeof(self.array))

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef Column arrow_column(ArrowSchema *schema, ArrowArray *array, int64_t first, ArrowBatch owner, str name):
    cdef Column column = Column()
    cdef bytes form = schema.format
    if form not in ARROW_KINDS or (schema.dictionary != NULL and schema.dictionary.format not in ARROW_KINDS):
        of = form if form not in ARROW_KINDS else schema.dictionary.format
        what = ARROW_NAMES.get(of[:1].decode(), f"Arrow's format {of.decode()!r}")
        raise TypeError(f"column {name!r} has {what}: make strings or numbers of them")
    column.kept = [owner]
    column.n = column.n_entries = array.length - first
    kind, column.c.entries.stride = ARROW_KINDS[form]
    column.c.entries.kind = kind
    column.c.entries.first = column.c.entries.valid_first = array.offset + first
    if kind != SKA_NULL:
        if array.null_count:
            column.c.entries.valid = <const uint8_t *>array.buffers[0]
        column.c.entries.data = <const uint8_t *>array.buffers[1]
        if kind in (SKA_TEXT32, SKA_TEXT64):
            column.c.entries.offsets, column.c.entries.data = array.buffers[1], <const uint8_t *>array.buffers[2]
        column.c.entries.buffers = <const uint8_t **>array.buffers + 2
    column.source = column.c.entries
    if schema.dictionary == NULL:
        return column
    return arrow_column(schema.dictionary, array.dictionary, 0, owner, name).coded(column)


def arrow_columns(exporter, name=""):
    """The columns of a table, or the one of an array, that exports Arrow's C stream.

    Returns
    -------
    dict of name -> list of Column
    """
    capsule = exporter.__arrow_c_stream__()
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    cdef ArrowSchema schema
    cdef ArrowBatch batch
    if stream.get_schema(stream, &schema):
        raise ValueError(f"Arrow's stream has no schema: {error_of(stream)}")
    try:
        is_table = schema.format[:2] == b"+s"
        if not is_table and not name:
            raise ValueError("Expected a table, got a single column. Reshape your data into a table of one column.")
        names = [schema.children[k].name.decode() for k in range(schema.n_children)] if is_table else [name]
        columns = [[] for _ in names]
        while True:
            batch = ArrowBatch()
            if stream.get_next(stream, &batch.array):
                raise ValueError(f"Arrow's stream ended early: {error_of(stream)}")
            if batch.array.release == NULL:
                return names, columns
            for k, each in enumerate(names):
                if is_table:
                    column = arrow_column(schema.children[k], batch.array.children[k], batch.array.offset, batch, each)
                    columns[k].append(column[: batch.array.length])
                else:
                    columns[k].append(arrow_column(&schema, &batch.array, 0, batch, each))
    finally:
        if schema.release != NULL:
            schema.release(&schema)


cdef error_of(ArrowArrayStream *stream):
    cdef const char *message = stream.get_last_error(stream)
    return "" if message == NULL else message.decode(errors="replace")


# -- rows --


def write_rows(columns, ends, members, n_features, start, stop, indices, data, row_ends):
    """Write rows of the matrix; return how many entries they have.

    Parameters
    ----------
    columns : list of Column
    ends, members : int32 arrays
        Where each cross ends in `members`, from a first 0, and the numbers of its columns.
    n_features, start, stop : int
    indices, data : arrays with room for all entries, int32, and float32 or float64
    row_ends : int64 array of the rows' number
    """
    cdef ska_plan plan
    cdef int64_t n, first = start, last = stop
    cdef int64_t[2] at
    cdef ska_column *copies = <ska_column *>malloc(len(columns) * sizeof(ska_column) + 1)
    cdef int32_t *to = <int32_t *>address_of(indices)
    cdef void *values = <void *>address_of(data)
    cdef int64_t *counts = <int64_t *>address_of(row_ends)
    if copies == NULL:
        raise MemoryError
    try:
        for k, column in enumerate(columns):
            copies[k] = (<Column>column).c
        plan.n_columns, plan.columns, plan.n_crosses = len(columns), copies, len(ends) - 1
        plan.ends, plan.members = <const int32_t *>address_of(ends), <const int32_t *>address_of(members)
        plan.features, plan.is_single = ska_features_of(n_features), data.dtype == np.float32
        with nogil:
            n = ska_write_rows(&plan, first, last, to, values, counts, at)
    finally:
        free(copies)
    if n == SKA_NO_MEMORY:
        raise MemoryError
    if n == SKA_INFINITE:
        raise InfiniteNumber(at[0], (<Column>columns[at[1]]).name.decode())
    return n


class InfiniteNumber(Exception):
    """A number of a row and a column is infinite."""


# -- documents --


cdef class TextHashing:
    """What turns documents into rows; the parameters are those of HashingVectorizer."""

    cdef ska_text_plan plan
    cdef object kept

    def __cinit__(self, analyzer, pattern, stop_words, ngram_range, norm, dtype, **flags):
        memset(&self.plan, 0, sizeof(self.plan))
        self.plan.analyzer = ("word", "char", "char_wb").index(analyzer)
        self.plan.not_space, self.plan.least = pattern
        self.plan.min_n, self.plan.max_n = ngram_range
        self.plan.norm = (None, "l1", "l2").index(norm)
        self.plan.is_single = dtype == np.float32
        self.plan.lowercase, self.plan.binary = flags["lowercase"], flags["binary"]
        self.plan.alternate_sign = flags["alternate_sign"]
        self.plan.features = ska_features_of(flags["n_features"])
        ska_init_text_plan(&self.plan)
        if stop_words and analyzer == "word":
            self._set_stop_words(stop_words)

    def __dealloc__(self):
        free(self.plan.stop_words)

    def _set_stop_words(self, stop_words):
        cdef bytes word
        cdef uint32_t hash, mask = (2 << (2 * len(stop_words)).bit_length()) - 1
        self.kept = [each.encode() for each in stop_words]
        self.plan.stop_words = <ska_stop_word *>malloc((mask + 1) * sizeof(ska_stop_word))
        if self.plan.stop_words == NULL:
            raise MemoryError
        memset(self.plan.stop_words, 0, (mask + 1) * sizeof(ska_stop_word))
        self.plan.stop_mask = mask
        for word in self.kept:
            hash = at = hash_of(word)
            while self.plan.stop_words[at & mask].bytes != NULL:
                at += 1
            self.plan.stop_words[at & mask] = ska_stop_word(<const uint8_t *>word, hash, len(word))

    def rows(self, list documents):
        """The rows of documents, all of them exactly str.

        Returns
        -------
        indices, data, row_ends : arrays, or None if a document has a surrogate, which UTF-8 cannot encode
        """
        cdef Py_ssize_t i, n = len(documents)
        cdef ska_output out
        cdef int error
        row_ends = np.empty(n, np.int64)
        cdef int64_t *ends = <int64_t *>address_of(row_ends)
        cdef ska_document *found = <ska_document *>malloc(n * sizeof(ska_document) + 1)
        if found == NULL:
            raise MemoryError
        memset(&out, 0, sizeof(out))
        kept = []
        try:
            for i in range(n):
                text = documents[i]
                if self.plan.lowercase and not text.isascii():
                    text = text.lower()
                kept.append(text)
                found[i].data = PyUnicode_DATA(<PyObject *>text)
                found[i].n = PyUnicode_GET_LENGTH(<PyObject *>text)
                found[i].kind = 0 if text.isascii() else PyUnicode_KIND(<PyObject *>text)
            with nogil:
                error = ska_hash_documents(&self.plan, found, n, &out, ends)
            if error == SKA_SURROGATE:
                return None
            if error:
                raise MemoryError
            dtype = np.float32 if self.plan.is_single else np.float64
            indices, data = np.empty(out.n, np.int32), np.empty(out.n, dtype)
            memcpy(<void *><uintptr_t>address_of(indices), out.indices, out.n * 4)
            memcpy(<void *><uintptr_t>address_of(data), out.data, out.n * data.itemsize)
            return indices, data, row_ends
        finally:
            free(found)
            ska_free_output(&out)
