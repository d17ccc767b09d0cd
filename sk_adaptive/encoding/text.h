/* Documents to rows, as scikit-learn's HashingVectorizer makes them.

   A document becomes UTF-8 and a list of units in it: words with a space between them, or characters.
   An n-gram is n units in a row, so its bytes are next to each other, and it is hashed where it lies. */

#ifndef SKA_ENCODING_TEXT_H
#define SKA_ENCODING_TEXT_H

#include "columns.h"

enum ska_analyzer { SKA_WORD, SKA_CHAR, SKA_CHAR_WB };

typedef struct {
    const void *data;
    int64_t n;
    int kind; /* bytes of a character; 0 for one byte and only ASCII */
} ska_document;

typedef struct { const uint8_t *bytes; uint32_t hash; uint32_t n; } ska_stop_word;

typedef struct {
    int analyzer, lowercase, binary, norm, alternate_sign, is_single;
    int not_space;  /* words are of all that is not white space */
    int64_t least;  /* characters of a word */
    int64_t min_n, max_n;
    ska_features features;
    ska_stop_word *stop_words; /* a table of which the hash tells the place, or NULL */
    uint32_t stop_mask;
    uint8_t is_unit[128], is_space[128], lower[128];
} ska_text_plan;

typedef struct {
    int32_t *indices;
    void *data;
    int64_t n, room;
    uint8_t *bytes;
    int64_t bytes_room;
    int64_t *begins, *ends; /* of units */
    int64_t n_units, units_room;
    uint32_t *entries; /* a column and the sign of the hash */
    int64_t n_entries, entries_room;
} ska_output;

#define SKA_SURROGATE (-3)

static void ska_init_text_plan(ska_text_plan *plan) {
    for (int c = 0; c < 128; c++) {
        plan->is_space[c] = (uint8_t)Py_UNICODE_ISSPACE(c);
        plan->is_unit[c] = plan->not_space ? !plan->is_space[c] : Py_UNICODE_ISALNUM(c) || c == '_';
        plan->lower[c] = (uint8_t)(plan->lowercase && c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
}

static int ska_grow(void **array, int64_t size) {
    void *larger = realloc(*array, (size_t)size);
    if (larger) *array = larger;
    return larger != NULL;
}

static int ska_more_entries(ska_output *out, int64_t more) {
    if (out->n_entries + more <= out->entries_room) return 1;
    out->entries_room = 2 * (out->n_entries + more);
    return ska_grow((void **)&out->entries, 2 * out->entries_room * (int64_t)sizeof *out->entries);
}

static int ska_more_units(ska_output *out) {
    if (out->n_units < out->units_room) return 1;
    out->units_room = 2 * out->units_room + 1024;
    return ska_grow((void **)&out->begins, out->units_room * 8) && ska_grow((void **)&out->ends, out->units_room * 8);
}

static void ska_free_output(ska_output *out) {
    free(out->indices);
    free(out->data);
    free(out->bytes);
    free(out->begins);
    free(out->ends);
    free(out->entries);
}

static inline uint32_t ska_character(const ska_document *document, int kind, int64_t i) {
    if (kind <= 1) return ((const uint8_t *)document->data)[i];
    return kind == 2 ? ((const uint16_t *)document->data)[i] : ((const uint32_t *)document->data)[i];
}

/* Write a character as UTF-8; return the bytes, or NULL for a surrogate, which has none. */
static inline uint8_t *ska_put_utf8(uint8_t *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    if (c >= 0xd800 && c < 0xe000) return NULL;
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *to++ = (uint8_t)(c >> 6 * more | (0xf0u << (3 - more) & 0xff));
    while (more--) *to++ = (uint8_t)(0x80 | (c >> 6 * more & 0x3f));
    return to;
}

static inline int ska_in_stop_words(const ska_text_plan *plan, const uint8_t *bytes, size_t n) {
    static const ska_prefix nothing = {0};
    uint32_t hash = ska_hash(&nothing, bytes, n), at = hash & plan->stop_mask;
    for (; plan->stop_words[at].bytes; at = (at + 1) & plan->stop_mask) {
        const ska_stop_word *word = &plan->stop_words[at];
        if (word->hash == hash && word->n == n && memcmp(word->bytes, bytes, n) == 0) return 1;
    }
    return 0;
}

static inline int ska_first_bit(uint64_t bits) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(bits);
#else
    int at = 0;
    for (; !(bits & 1); bits >>= 1) at++;
    return at;
#endif
}

/* Fill `bytes` and the units of ASCII words: which characters are of words is a bit for each, so that
   there is a branch for each end of a word and none for each character. */
static int ska_split_ascii_words(const ska_text_plan *plan, const ska_document *document, ska_output *out) {
    const uint8_t *from = (const uint8_t *)document->data;
    int64_t n = document->n, begin = 0;
    uint8_t *text = out->bytes, *to = text + n + 16;
    uint64_t before = 0;
    out->n_units = 0;
    if (plan->lowercase) for (int64_t i = 0; i < n; i++) text[i] = from[i] + (uint8_t)(((uint8_t)(from[i] - 'A') < 26) << 5);
    else memcpy(text, from, (size_t)n);
    for (int64_t at = 0; at <= n; at += 64) {
        int most = n - at < 64 ? (int)(n - at) : 64;
        uint64_t bits = 0;
        for (int k = 0; k < most; k++) bits |= (uint64_t)plan->is_unit[from[at + k]] << k;
        uint64_t edges = bits ^ (bits << 1 | before);
        before = bits >> 63;
        for (; edges; edges &= edges - 1) {
            int k = ska_first_bit(edges);
            int64_t end = at + k, size = end - begin;
            if (bits >> k & 1) {
                begin = end;
                continue;
            }
            if (size < plan->least) continue;
            if (plan->stop_words && ska_in_stop_words(plan, text + begin, (size_t)size)) continue;
            if (!ska_more_units(out)) return SKA_NO_MEMORY;
            if (plan->max_n == 1) {
                out->begins[out->n_units] = begin;
                out->ends[out->n_units++] = end;
                continue;
            }
            /* words of an n-gram have one space between them */
            if (size <= 16) memcpy(to, text + begin, 16);
            else memcpy(to, text + begin, (size_t)size);
            out->begins[out->n_units] = to - out->bytes;
            to += size;
            out->ends[out->n_units++] = to - out->bytes;
            *to++ = ' ';
        }
    }
    return 0;
}

/* Fill `bytes` and the units of a document. */
static int ska_split(const ska_text_plan *plan, const ska_document *document, ska_output *out) {
    uint8_t *to = out->bytes, *before = to;
    int64_t n_characters = 0;
    int was_space = 0, kind = document->kind;
    out->n_units = 0;
    if (!ska_more_units(out)) return SKA_NO_MEMORY;
    if (plan->analyzer == SKA_CHAR_WB) {
        out->begins[0] = 0;
        out->ends[out->n_units++] = 1;
        *to++ = ' ';
    }
    for (int64_t i = 0; i <= document->n; i++) {
        uint32_t c = i < document->n ? ska_character(document, kind, i) : ' ';
        int is_ascii = kind == 0 || c < 128;
        if (plan->analyzer == SKA_WORD) {
            int in_word = i < document->n;
            if (in_word && is_ascii) in_word = plan->is_unit[c];
            else if (in_word) in_word = plan->not_space ? !Py_UNICODE_ISSPACE(c) : Py_UNICODE_ISALNUM(c);
            if (in_word) {
                n_characters++;
                to = ska_put_utf8(to, is_ascii ? plan->lower[c] : c);
                if (to == NULL) return SKA_SURROGATE;
            } else if (n_characters) {
                if (n_characters < plan->least
                    || (plan->stop_words && ska_in_stop_words(plan, before, (size_t)(to - before)))) {
                    to = before;
                } else {
                    if (!ska_more_units(out)) return SKA_NO_MEMORY;
                    out->begins[out->n_units] = before - out->bytes;
                    out->ends[out->n_units++] = to - out->bytes;
                    *to++ = ' ';
                    before = to;
                }
                n_characters = 0;
            }
            continue;
        }
        int is_space = is_ascii ? plan->is_space[c] : Py_UNICODE_ISSPACE(c);
        if (plan->analyzer == SKA_CHAR) {
            if (i == document->n) break;
            if (is_space) {
                /* two white characters or more are a space; one stays what it is */
                if (was_space == 1) {
                    to = out->bytes + out->begins[out->n_units - 1];
                    *to++ = ' ';
                    out->ends[out->n_units - 1] = to - out->bytes;
                }
                if (was_space++) continue;
            } else {
                was_space = 0;
            }
        } else if (is_space) {
            c = ' ';
            if (to[-1] == ' ') continue;
        }
        if (!ska_more_units(out)) return SKA_NO_MEMORY;
        out->begins[out->n_units] = to - out->bytes;
        to = ska_put_utf8(to, is_ascii && c < 128 ? plan->lower[c] : c);
        if (to == NULL) return SKA_SURROGATE;
        out->ends[out->n_units++] = to - out->bytes;
    }
    return 0;
}

/* Add the n-grams of `n` units among those from `first` to `last`. */
static inline int ska_add_ngrams(const ska_text_plan *plan, ska_output *out, int64_t first, int64_t last, int64_t n) {
    static const ska_prefix nothing = {0};
    if (last - first < n) return 1;
    if (!ska_more_entries(out, last - first - n + 1)) return 0;
    for (int64_t i = first; i + n <= last; i++) {
        int64_t begin = out->begins[i];
        uint32_t hash = ska_hash(&nothing, out->bytes + begin, (size_t)(out->ends[i + n - 1] - begin));
        out->entries[out->n_entries++] = ska_column_of(plan->features, hash) << 1 | hash >> 31;
    }
    return 1;
}

static int ska_all_ngrams(const ska_text_plan *plan, ska_output *out) {
    if (plan->analyzer != SKA_CHAR_WB) {
        for (int64_t n = plan->min_n; n <= plan->max_n && n <= out->n_units; n++)
            if (!ska_add_ngrams(plan, out, 0, out->n_units, n)) return 0;
        return 1;
    }
    /* a word is what is from a space to the next, with both; a short one counts once */
    for (int64_t first = 0, i = 1; i < out->n_units; i++) {
        if (out->bytes[out->begins[i]] != ' ') continue;
        int64_t size = i + 1 - first;
        for (int64_t n = plan->min_n; n <= plan->max_n; n++) {
            if (!ska_add_ngrams(plan, out, first, i + 1, n < size ? n : size)) return 0;
            if (n >= size) break;
        }
        first = i;
    }
    return 1;
}

/* Merge equal columns, divide by the norm, and append the row. */
static int ska_append_row(const ska_text_plan *plan, ska_output *out) {
    int64_t n = out->n_entries, first = out->n;
    const uint32_t *sorted =
        ska_sort_with_signs(out->entries, out->entries + out->entries_room, n, plan->features.bits);
    if (sorted == NULL) return 0;
    if (out->n + n > out->room) {
        out->room = 2 * (out->n + n);
        if (!ska_grow((void **)&out->indices, out->room * 4)) return 0;
        if (!ska_grow(&out->data, out->room * (plan->is_single ? 4 : 8))) return 0;
    }
    double norm = 0;
    for (int64_t k = 0; k < n;) {
        uint32_t column = sorted[k] >> 1;
        int64_t count = 0;
        do count += plan->alternate_sign && sorted[k] & 1 ? -1 : 1;
        while (++k < n && sorted[k] >> 1 == column);
        double value = plan->binary ? 1 : (double)count;
        out->indices[out->n] = (int32_t)column;
        ska_put(out->data, out->n++, value, plan->is_single);
        norm += plan->norm == 2 ? value * value : fabs(value);
    }
    if (plan->norm == 0 || norm == 0) return 1;
    if (plan->norm == 2) norm = sqrt(norm);
    for (int64_t k = first; k < out->n; k++) {
        if (plan->is_single) ((float *)out->data)[k] = (float)(((float *)out->data)[k] / norm);
        else ((double *)out->data)[k] /= norm;
    }
    return 1;
}

/* Append the rows of documents to `out`, and where each ends to `row_ends`; returns 0, or what went wrong. */
static int ska_hash_documents(const ska_text_plan *plan, const ska_document *documents, int64_t n, ska_output *out,
                              int64_t *row_ends) {
    for (int64_t i = 0; i < n; i++) {
        const ska_document *document = &documents[i];
        int64_t most = 4 * document->n + 64;
        if (most > out->bytes_room) {
            out->bytes_room = 2 * most;
            if (!ska_grow((void **)&out->bytes, out->bytes_room)) return SKA_NO_MEMORY;
        }
        int is_simple = document->kind == 0 && plan->analyzer == SKA_WORD;
        int error = is_simple ? ska_split_ascii_words(plan, document, out) : ska_split(plan, document, out);
        if (error) return error;
        out->n_entries = 0;
        if (!ska_more_entries(out, 1) || !ska_all_ngrams(plan, out) || !ska_append_row(plan, out)) return SKA_NO_MEMORY;
        row_ends[i] = out->n;
    }
    return 0;
}

#endif
