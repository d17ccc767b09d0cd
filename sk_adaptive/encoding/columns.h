/* The columns of a table where they lie, and the rows of the matrix that is made of them. */

#ifndef SKA_ENCODING_COLUMNS_H
#define SKA_ENCODING_COLUMNS_H

#include <math.h>

#include "hash.h"

/* How entries are kept. Texts have offsets of 32 or 64 bits, or Arrow's views of 16 bytes each. */
enum ska_kind {
    SKA_NULL, SKA_TEXT32, SKA_TEXT64, SKA_VIEWS, SKA_BITS, SKA_BOOLS, SKA_I8, SKA_I16, SKA_I32, SKA_I64,
    SKA_U8, SKA_U16, SKA_U32, SKA_U64, SKA_F32, SKA_F64, SKA_HASHES
};

/* Entries of one kind; number i of them is first + i of the buffers. */
typedef struct {
    int kind;
    int64_t first;
    int64_t stride;       /* bytes from a number to the next */
    const uint8_t *data;  /* numbers, hashes, views, bits, or the bytes of texts */
    const void *offsets;
    const uint8_t **buffers; /* of the bytes of views */
    const uint8_t *valid;    /* a bit for each entry, or NULL if none is missing */
    int64_t valid_first;
} ska_entries;

/* What becomes of a column: a category, its number, or the bin of the number's logarithm. */
enum ska_role { SKA_CATEGORY, SKA_VALUE, SKA_BIN };

typedef struct {
    ska_entries entries;    /* of the column, or of its dictionary */
    ska_entries codes;      /* which entry of the dictionary each row has; SKA_NULL: there is none */
    const uint32_t *hashes; /* of all entries of the dictionary, or NULL */
    int role;
    int skips_missing;
    ska_prefix prefix; /* "column=" */
    uint32_t own;      /* hash of "column", the feature of a number */
    uint32_t missing;  /* hash of "column is missing" */
} ska_column;

static inline int ska_is_valid(const ska_entries *e, int64_t i) {
    if (e->valid == NULL) return 1;
    i += e->valid_first;
    return e->valid[i >> 3] >> (i & 7) & 1;
}

static inline int64_t ska_integer(const ska_entries *e, int64_t i) {
    const uint8_t *at = e->data + (e->first + i) * e->stride;
    switch (e->kind) {
        case SKA_I8: return *(const int8_t *)at;
        case SKA_I16: return *(const int16_t *)at;
        case SKA_I32: return *(const int32_t *)at;
        case SKA_U8: return *at;
        case SKA_U16: return *(const uint16_t *)at;
        case SKA_U32: return *(const uint32_t *)at;
        case SKA_BOOLS: return *at != 0;
        case SKA_BITS: i += e->first; return e->data[i >> 3] >> (i & 7) & 1;
        default: return *(const int64_t *)at;
    }
}

static inline double ska_number(const ska_entries *e, int64_t i) {
    const uint8_t *at = e->data + (e->first + i) * e->stride;
    switch (e->kind) {
        case SKA_F32: return *(const float *)at;
        case SKA_F64: return *(const double *)at;
        case SKA_U64: return (double)*(const uint64_t *)at;
        default: return (double)ska_integer(e, i);
    }
}

/* The text of an entry: where it is, or written to `room`, which takes 24 bytes. */
typedef struct { const uint8_t *bytes; size_t n; } ska_text;

static inline ska_text ska_decimal(uint64_t size, int negative, uint8_t *room) {
    uint8_t *end = room + 24, *at = end;
    do *--at = (uint8_t)('0' + size % 10); while (size /= 10);
    if (negative) *--at = '-';
    ska_text text = {at, (size_t)(end - at)};
    return text;
}

static inline ska_text ska_text_of(const ska_entries *e, int64_t i, uint8_t *room) {
    ska_text text;
    int64_t at = e->first + i;
    if (e->kind == SKA_TEXT32) {
        const int32_t *ends = (const int32_t *)e->offsets + at;
        text.bytes = e->data + ends[0];
        text.n = (size_t)(ends[1] - ends[0]);
    } else if (e->kind == SKA_TEXT64) {
        const int64_t *ends = (const int64_t *)e->offsets + at;
        text.bytes = e->data + ends[0];
        text.n = (size_t)(ends[1] - ends[0]);
    } else if (e->kind == SKA_VIEWS) {
        const int32_t *view = (const int32_t *)(e->data + 16 * at);
        text.n = (size_t)view[0];
        text.bytes = view[0] <= 12 ? (const uint8_t *)(view + 1) : e->buffers[view[2]] + view[3];
    } else {
        int64_t number = ska_integer(e, i);
        if (e->kind == SKA_BITS || e->kind == SKA_BOOLS) {
            text.bytes = (const uint8_t *)(number ? "True" : "False");
            text.n = number ? 4 : 5;
        } else {
            int negative = number < 0 && e->kind != SKA_U64;
            text = ska_decimal(negative ? 0 - (uint64_t)number : (uint64_t)number, negative, room);
        }
    }
    return text;
}

/* Criteo's: small numbers have bins of one, and the square of the logarithm's those above. */
static inline ska_text ska_bin_of(double number, uint8_t *room) {
    double size = fabs(number);
    if (size <= 2) return ska_decimal((uint64_t)fabs(floor(number)), number < 0, room);
    double logarithm = log(size);
    ska_text text = ska_decimal((uint64_t)(logarithm * logarithm), 0, room);
    room = (uint8_t *)text.bytes;
    *--room = 'b';
    if (number < 0) *--room = '-';
    text.n += (size_t)(text.bytes - room);
    text.bytes = room;
    return text;
}

static inline uint32_t ska_hash_of_entry(const ska_column *c, int64_t i) {
    uint8_t room[24];
    if (c->entries.kind == SKA_HASHES) return ((const uint32_t *)c->entries.data)[c->entries.first + i];
    ska_text text = ska_text_of(&c->entries, i, room);
    return ska_hash(&c->prefix, text.bytes, text.n);
}

static inline int ska_makes_values(const ska_column *c) {
    if (c->role == SKA_VALUE) return 1;
    return c->skips_missing && (c->entries.valid || c->codes.kind || c->role == SKA_BIN || !c->entries.kind);
}

/* Hashes of `n` rows from `start`, and with `values` (see ska_makes_values) their values, 0 where
   there is no feature. Returns -1, or the row whose number is infinite. */
static int64_t ska_read_column(const ska_column *c, int64_t start, int n, uint32_t *hashes, double *values) {
    double of_missing = c->skips_missing ? 0 : 1;
    for (int k = 0; k < n; k++) {
        int64_t i = start + k;
        uint32_t hash = c->missing;
        double value = of_missing;
        if (c->role != SKA_CATEGORY) {
            double number = ska_is_valid(&c->entries, i) && c->entries.kind ? ska_number(&c->entries, i) : NAN;
            if (number == number) {
                if (number - number != 0) return i;
                if (c->role == SKA_VALUE) {
                    hash = c->own;
                    value = number;
                } else {
                    uint8_t room[24];
                    ska_text text = ska_bin_of(number, room);
                    hash = ska_hash(&c->prefix, text.bytes, text.n);
                    value = 1;
                }
            }
        } else {
            int64_t entry = i;
            int is_there = c->entries.kind != SKA_NULL;
            if (c->codes.kind) {
                is_there &= ska_is_valid(&c->codes, i);
                if (is_there) entry = ska_integer(&c->codes, i);
                /* pandas has -1 where a category is missing */
                is_there &= entry >= 0;
            }
            if (is_there && ska_is_valid(&c->entries, entry)) {
                hash = c->hashes ? c->hashes[entry] : ska_hash_of_entry(c, entry);
                value = 1;
            }
        }
        hashes[k] = hash;
        if (values) values[k] = value;
    }
    return -1;
}

/* What rows are made of. */
typedef struct {
    int64_t n_columns;
    const ska_column *columns;
    int64_t n_crosses;
    const int32_t *ends;    /* of each cross in `members`, from a first 0 */
    const int32_t *members; /* numbers of columns */
    ska_features features;
    int is_single; /* data is float32 */
} ska_plan;

#define SKA_NO_MEMORY (-1)
#define SKA_INFINITE (-2)

static inline void ska_put(void *data, int64_t at, double value, int is_single) {
    if (is_single) ((float *)data)[at] = (float)value;
    else ((double *)data)[at] = value;
}

/* The entries of a row in which all values are 1: their number. */
static inline int64_t ska_row_of_ones(const ska_plan *plan, const uint32_t *hashes, int64_t stride,
                                      uint64_t *members, uint32_t *entries, int32_t *indices, void *data) {
    int64_t n_columns = plan->n_columns, width = n_columns + plan->n_crosses, n = 0;
    for (int64_t c = 0; c < n_columns; c++) entries[c] = ska_column_of(plan->features, hashes[c * stride]);
    if (plan->n_crosses) {
        for (int64_t c = 0; c < n_columns; c++) members[c] = ska_member(hashes[c * stride]);
        const int32_t *m = plan->members;
        for (int64_t k = 0; k < plan->n_crosses; k++) {
            uint64_t sum = members[m[0]] + members[m[1]];
            const int32_t *stop = plan->members + plan->ends[k + 1];
            for (m += 2; m < stop; m++) sum += members[*m];
            entries[n_columns + k] = ska_column_of(plan->features, ska_cross(sum));
        }
    }
    const uint32_t *sorted = ska_sort_columns(entries, entries + width, width, plan->features.bits);
    if (sorted == NULL) return SKA_NO_MEMORY;
    int64_t n_equal = 0;
    for (int64_t k = 1; k < width; k++) n_equal += sorted[k] == sorted[k - 1];
    if (n_equal == 0) {
        memcpy(indices, sorted, width * sizeof *indices);
        if (plan->is_single) for (; n < width; n++) ((float *)data)[n] = 1;
        else for (; n < width; n++) ((double *)data)[n] = 1;
        return n;
    }
    for (int64_t k = 0; k < width; n++) {
        int64_t first = k;
        do k++; while (k < width && sorted[k] == sorted[first]);
        indices[n] = (int32_t)sorted[first];
        ska_put(data, n, (double)(k - first), plan->is_single);
    }
    return n;
}

/* The same with the values of columns, where there are any; what is 0 has no entry. */
static inline int64_t ska_row_of_values(const ska_plan *plan, const uint32_t *hashes, const double *values,
                                        const uint8_t *has_values, int64_t stride, uint64_t *members,
                                        uint64_t *entries, double *row_values, int32_t *indices, void *data) {
    int64_t n_columns = plan->n_columns, width = n_columns + plan->n_crosses, n_found = 0, n = 0;
    for (int64_t c = 0; c < n_columns; c++) {
        uint32_t hash = hashes[c * stride];
        double value = has_values[c] ? values[c * stride] : 1;
        members[c] = ska_member(hash);
        row_values[n_found] = value;
        entries[n_found] = (uint64_t)ska_column_of(plan->features, hash) << 32 | (uint64_t)n_found;
        n_found += value != 0;
    }
    for (int64_t k = 0; k < plan->n_crosses; k++) {
        const int32_t *m = plan->members + plan->ends[k], *stop = plan->members + plan->ends[k + 1];
        uint64_t sum = 0;
        double value = 1;
        for (; m < stop; m++) {
            sum += members[*m];
            value *= has_values[*m] ? values[*m * stride] : 1;
        }
        row_values[n_found] = value;
        entries[n_found] = (uint64_t)ska_column_of(plan->features, ska_cross(sum)) << 32 | (uint64_t)n_found;
        n_found += value != 0;
    }
    const uint64_t *sorted = ska_sort_with_places(entries, entries + width, n_found, plan->features.bits);
    if (sorted == NULL) return SKA_NO_MEMORY;
    for (int64_t k = 0; k < n_found; n++) {
        uint64_t column = sorted[k] >> 32;
        double value = 0;
        do value += row_values[(uint32_t)sorted[k++]];
        while (k < n_found && sorted[k] >> 32 == column);
        indices[n] = (int32_t)column;
        ska_put(data, n, value, plan->is_single);
    }
    return n;
}

/* Write the rows from `start` to `stop`: columns of the matrix and their values, sorted and without
   duplicates, and the number of entries up to the end of each row. Returns how many entries there
   are, or what went wrong; then `at` has the row and the column. */
static int64_t ska_write_rows(const ska_plan *plan, int64_t start, int64_t stop, int32_t *indices, void *data,
                              int64_t *row_ends, int64_t *at) {
    int64_t n_columns = plan->n_columns, width = n_columns + plan->n_crosses, fits = (1 << 15) / (n_columns + 1);
    int64_t block = fits < 8 ? 8 : fits > 256 ? 256 : fits, n_entries = 0, result = 0;
    int has_any = 0;
    uint32_t *hashes = malloc(n_columns * block * sizeof *hashes + 1);
    double *values = malloc(n_columns * block * sizeof *values + 1);
    uint64_t *members = malloc(n_columns * sizeof *members + 1);
    uint64_t *entries = malloc(2 * width * sizeof *entries + 1);
    double *row_values = malloc(width * sizeof *row_values + 1);
    uint8_t *has_values = malloc(n_columns + 1);
    if (!hashes || !values || !members || !entries || !row_values || !has_values) result = SKA_NO_MEMORY;
    for (int64_t c = 0; c < n_columns && !result; c++)
        has_any |= has_values[c] = (uint8_t)ska_makes_values(&plan->columns[c]);
    for (int64_t begin = start; begin < stop && !result; begin += block) {
        int64_t n_rows = stop - begin < block ? stop - begin : block;
        for (int64_t c = 0; c < n_columns; c++) {
            double *to = has_values[c] ? values + c * block : NULL;
            int64_t row = ska_read_column(&plan->columns[c], begin, (int)n_rows, hashes + c * block, to);
            if (row >= 0) {
                at[0] = row;
                at[1] = c;
                result = SKA_INFINITE;
                n_rows = 0;
            }
        }
        for (int64_t r = 0; r < n_rows; r++) {
            void *to = plan->is_single ? (void *)((float *)data + n_entries) : (void *)((double *)data + n_entries);
            int64_t n = has_any ? ska_row_of_values(plan, hashes + r, values + r, has_values, block, members, entries,
                                                    row_values, indices + n_entries, to)
                                : ska_row_of_ones(plan, hashes + r, block, members, (uint32_t *)entries,
                                                  indices + n_entries, to);
            if (n < 0) {
                result = n;
                break;
            }
            n_entries += n;
            row_ends[begin + r - start] = n_entries;
        }
    }
    free(hashes);
    free(values);
    free(members);
    free(entries);
    free(row_values);
    free(has_values);
    return result ? result : n_entries;
}

#endif
