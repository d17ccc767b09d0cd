"""Columns of tables where they lie, and the rows of a sparse matrix that are made of them."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

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
ARROW_NAMES = {
    "t": "dates or times", "d": "decimals", "+": "nested values", "w": "bytes of one size", "e": "float16"
}

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

    A whole number is written without a fraction: a table makes floats of whole numbers where one is missing.
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
        """A column of an array of numbers, booleans or objects; `valid` has a bit for each entry."""
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
        column.c, column.name, column.kept, column.objects = self.c, self.name, self.kept, self.objects
        column.first_object, column.n_entries, column.n = self.first_object, self.n_entries, stop - first
        if self.c.codes.kind:
            column.c.codes.first += first
            column.c.codes.valid_first += first
        else:
            column.c.entries.first += first
            column.c.entries.valid_first += first
            column.first_object += first
            column.n_entries = column.n
        return column

    @property
    def is_number(self):
        """Whether it has numbers, which may be more than categories."""
        return not self.c.codes.kind and SKA_I8 <= self.c.entries.kind <= SKA_F64

    def as_numbers(self):
        """The column if it has numbers or booleans, or one of the numbers that its objects are."""
        if self.c.codes.kind or SKA_TEXT32 <= self.c.entries.kind <= SKA_VIEWS:
            raise TypeError
        return self if self.objects is None else Column.of_array(np.array(self.objects, dtype=np.float64))

    def prepare(self, name, role, skips_missing):
        """Say what it is called and what is made of it."""
        self.name = name.encode()
        cdef bytes prefix = self.name + b"="
        self.c.role, self.c.skips_missing = ROLES[role], skips_missing
        memset(&self.c.prefix, 0, sizeof(self.c.prefix))
        self.c.prefix = ska_with_bytes(self.c.prefix, prefix, len(prefix))
        self.c.own = hash_of(self.name)
        self.c.missing = hash_of(self.name + b" is missing")
        if role == "category" and self.c.entries.kind in (SKA_F32, SKA_F64):
            self.objects = np.array([self.float_at(i) for i in range(self.n_entries)], dtype=object)

    def hash_dictionary(self):
        """Hash the entries of a dictionary once, if there are fewer of them than rows."""
        cdef uint32_t *hashes
        cdef Py_ssize_t i
        if self.c.codes.kind and self.objects is not None:
            self.hash_objects()
        elif self.c.codes.kind and self.n_entries <= self.n:
            table = np.empty(self.n_entries, np.uint32)
            hashes = <uint32_t *>address_of(table)
            with nogil:
                for i in range(self.n_entries):
                    hashes[i] = ska_hash_of_entry(&self.c, i)
            self.c.hashes = hashes
            self.kept = [*self.kept, table]

    cdef float_at(self, Py_ssize_t i):
        number = ska_number(&self.c.entries, i) if ska_is_valid(&self.c.entries, i) else None
        return np.float32(number) if number is not None and self.c.entries.kind == SKA_F32 else number

    def hash_objects(self):
        """Hash the values that are Python's objects, if that has not been done."""
        if self.objects is None or self.c.role != SKA_CATEGORY or self.c.entries.kind == SKA_HASHES:
            return
        hashes, bits = np.empty(self.n_entries, np.uint32), np.zeros(self.n_entries // 8 + 1, np.uint8)
        cdef uint32_t *hash = <uint32_t *>address_of(hashes)
        cdef uint8_t *valid = <uint8_t *>address_of(bits)
        cdef Py_ssize_t i, stride = self.objects.strides[0]
        cdef const uint8_t *at = <const uint8_t *>address_of(self.objects) + self.first_object * stride
        cdef PyObject *value
        # of values that were there lately: tables often have one object for equal strings
        cdef Cached *cache = <Cached *>malloc(sizeof(Cached) << CACHE_BITS)
        cdef Cached *found
        if cache == NULL:
            raise MemoryError
        memset(cache, 0, sizeof(Cached) << CACHE_BITS)
        try:
            for i in range(self.n_entries):
                value = (<PyObject **>(at + i * stride))[0]
                found = &cache[<uint32_t>(<uintptr_t>value >> 4) * 0x9E3779B1u >> (32 - CACHE_BITS)]
                if found.value != value:
                    self.hash_object(i, value, found)
                hash[i] = found.hash
                valid[i >> 3] |= found.is_there << (i & 7)
        finally:
            free(cache)
        self.c.entries.kind = SKA_HASHES
        self.c.entries.data, self.c.entries.first = <const uint8_t *>hash, 0
        self.c.entries.valid, self.c.entries.valid_first = valid, 0
        self.kept = [*self.kept, hashes, bits]

    cdef int hash_object(self, Py_ssize_t i, PyObject *value, Cached *found) except -1:
        found.is_there = True
        if PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value):
            found.hash = ska_hash(
                &self.c.prefix, <const uint8_t *>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value)
            )
        else:
            try:
                text = text_of(<object>value)
            except (TypeError, UnicodeEncodeError) as error:
                kind = "category" if self.c.codes.kind else "row"
                where = f"column {self.name.decode()!r}, {kind} {self.first_object + i}: "
                where += f"{repr(<object>value):.80} "
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
        is_there = self.c.entries.kind or self.objects is not None
        if self.c.codes.kind:
            is_there = is_there and ska_is_valid(&self.c.codes, i)
            entry = ska_integer(&self.c.codes, i) if is_there else 0
        if is_there and entry >= 0 and ska_is_valid(&self.c.entries, entry):
            if self.objects is not None:
                value = text_of(self.objects[self.first_object + entry])
                name = name if value is None else self.name + b"=" + value
            elif self.c.role == SKA_CATEGORY:
                text = ska_text_of(&self.c.entries, entry, room)
                name = self.name + b"=" + text.bytes[:text.n]
            else:
                number = ska_number(&self.c.entries, entry)
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
            column.c.entries.offsets = array.buffers[1]
            column.c.entries.data = <const uint8_t *>array.buffers[2]
        column.c.entries.buffers = <const uint8_t **>array.buffers + 2
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
    cdef ArrowSchema *of
    cdef ArrowArray *part
    cdef ArrowBatch batch
    if stream.get_schema(stream, &schema):
        raise ValueError(f"Arrow's stream has no schema: {error_of(stream)}")
    try:
        is_table = schema.format[:2] == b"+s"
        if not is_table and not name:
            raise ValueError("Expected a table, got a column. Reshape your data into a table of one column.")
        names = [name]
        if is_table:
            names = [schema.children[k].name.decode() for k in range(schema.n_children)]
        columns = [[] for _ in names]
        while True:
            batch = ArrowBatch()
            if stream.get_next(stream, &batch.array):
                raise ValueError(f"Arrow's stream ended early: {error_of(stream)}")
            if batch.array.release == NULL:
                return names, columns
            for k, each in enumerate(names):
                of = schema.children[k] if is_table else &schema
                part = batch.array.children[k] if is_table else &batch.array
                first = batch.array.offset if is_table else 0
                columns[k].append(arrow_column(of, part, first, batch, each)[: batch.array.length])
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
