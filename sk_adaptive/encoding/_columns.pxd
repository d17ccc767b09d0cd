"""The C code of the encoders."""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t

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
