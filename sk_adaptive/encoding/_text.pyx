"""Documents to rows of a sparse matrix."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from sk_adaptive.encoding._columns cimport (
    PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND, PyObject, int64_t, uint8_t, uint32_t, uintptr_t,
    ska_document, ska_features_of, ska_free_output, ska_hash_documents, ska_init_text_plan, ska_output,
    ska_stop_word, ska_text_plan, SKA_SURROGATE,
)

import numpy as np

from ._columns import hash_text


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
            hash = at = hash_text(word)
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
        cdef int64_t *ends = <int64_t *><uintptr_t>row_ends.ctypes.data
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
            memcpy(<void *><uintptr_t>indices.ctypes.data, out.indices, out.n * 4)
            memcpy(<void *><uintptr_t>data.ctypes.data, out.data, out.n * data.itemsize)
            return indices, data, row_ends
        finally:
            free(found)
            ska_free_output(&out)
