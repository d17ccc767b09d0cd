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

/* Write the rows from `start` to `stop`: columns of the matrix and their values, sorted and without
   duplicates, and the number of entries up to the end of each row. Returns how many entries there
   are, or what went wrong; then `at` has the row and the column. */
static int64_t ska_write_rows(const ska_plan *plan, int64_t start, int64_t stop, int32_t *indices, void *data,
                              int64_t *row_ends, int64_t *at) {
    int64_t n_columns = plan->n_columns, n_crosses = plan->n_crosses, n_entries = 0;
    int64_t width = n_columns + n_crosses, fits = (1 << 15) / (n_columns + 1);
    int block = fits < 8 ? 8 : fits > 256 ? 256 : (int)fits;
    int is_single = plan->is_single, result = 0, has_values = 0;
    uint32_t *hashes = malloc(n_columns * block * sizeof *hashes + 1);
    uint64_t *members = malloc(n_columns * sizeof *members + 1);
    double *values = malloc(n_columns * block * sizeof *values + 1);
    double *row_values = malloc(width * sizeof *row_values + 1);
    uint64_t *entries = malloc(2 * width * sizeof *entries + 1);
    const double **of_column = calloc(n_columns + 1, sizeof *of_column);
    if (!hashes || !members || !values || !row_values || !entries || !of_column) {
        result = SKA_NO_MEMORY;
        goto end;
    }
    for (int64_t c = 0; c < n_columns; c++)
        if (ska_makes_values(&plan->columns[c])) {
            of_column[c] = values + c * block;
            has_values = 1;
        }
    for (int64_t begin = start; begin < stop; begin += block) {
        int n_rows = (int)(stop - begin < block ? stop - begin : block);
        for (int64_t c = 0; c < n_columns; c++) {
            double *to = of_column[c] ? values + c * block : NULL;
            int64_t row = ska_read_column(&plan->columns[c], begin, n_rows, hashes + c * block, to);
            if (row >= 0) {
                result = SKA_INFINITE;
                at[0] = row;
                at[1] = c;
                goto end;
            }
        }
        for (int r = 0; r < n_rows; r++) {
            int64_t n = 0;
            for (int64_t c = 0; c < n_columns; c++) {
                uint32_t hash = hashes[c * block + r];
                double value = of_column[c] ? of_column[c][r] : 1;
                if (n_crosses) members[c] = ska_member(hash);
                row_values[n] = value;
                entries[n] = (uint64_t)ska_column_of(plan->features, hash) << 32 | (uint64_t)n;
                n += value != 0;
            }
            for (int64_t k = 0; k < n_crosses; k++) {
                const int32_t *m = plan->members + plan->ends[k], *stop_m = plan->members + plan->ends[k + 1];
                uint64_t sum = 0;
                double value = 1;
                for (; m < stop_m; m++) {
                    sum += members[*m];
                    if (has_values && of_column[*m]) value *= of_column[*m][r];
                }
                row_values[n] = value;
                entries[n] = (uint64_t)ska_column_of(plan->features, ska_cross(sum)) << 32 | (uint64_t)n;
                n += value != 0;
            }
            const uint64_t *sorted = ska_sorted(entries, entries + width, n, plan->features.bits);
            if (sorted == NULL) {
                result = SKA_NO_MEMORY;
                goto end;
            }
            for (int64_t k = 0; k < n;) {
                uint32_t column = (uint32_t)(sorted[k] >> 32);
                double value = 0;
                do value += row_values[(uint32_t)sorted[k++]];
                while (k < n && sorted[k] >> 32 == column);
                indices[n_entries] = (int32_t)column;
                ska_put(data, n_entries++, value, is_single);
            }
            row_ends[begin + r - start] = n_entries;
        }
    }
end:
    free(hashes);
    free(members);
    free(values);
    free(row_values);
    free(entries);
    free((void *)of_column);
    return result ? result : n_entries;
}

#endif
