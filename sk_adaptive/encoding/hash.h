/* The hash of a feature, its column of the matrix, and the entries of a row in their order.

   A feature is the 32 bits of MurmurHash3 (x86, 32 bits, seed 0) of its bytes, as in scikit-learn's
   FeatureHasher: "column=value". All values of a table's column begin with the same bytes, so the
   state after them is computed once.

   A cross is hashed from the hashes of its members, and no string is made of it:

     member(h) = m ^ m >> 32, where m = (k ^ k >> 32) * SKA_SECOND and k = (h + 1) * SKA_FIRST
     cross     = the upper 32 bits of (s ^ s >> 32) * SKA_FIRST, where s = sum of the members

   with 64-bit numbers. A sum does not depend on the order of the members. It is mixed once more,
   because two values whose members agree in some bits would otherwise share the columns of all
   their crosses. */

#ifndef SKA_ENCODING_HASH_H
#define SKA_ENCODING_HASH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SKA_FIRST 0x9E3779B97F4A7C15ull
#define SKA_SECOND 0xD6E8FEB86659FD93ull

/* -- MurmurHash3 -- */

/* What is hashed already: whole blocks of four bytes, and up to three bytes of the next one. */
typedef struct {
    uint32_t state;
    uint32_t length;
    uint64_t rest;
    int rest_bits;
} ska_prefix;

static inline uint32_t ska_rotated(uint32_t x, int by) { return x << by | x >> (32 - by); }

static inline uint32_t ska_scrambled(uint32_t block) {
    return ska_rotated(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static inline uint32_t ska_with_block(uint32_t state, uint32_t block) {
    return ska_rotated(state ^ ska_scrambled(block), 13) * 5 + 0xe6546b64u;
}

static inline ska_prefix ska_with_bytes(ska_prefix at, const uint8_t *bytes, size_t n) {
    size_t i = 0;
    at.length += (uint32_t)n;
    for (; i + 4 <= n; i += 4) {
        uint32_t block;
        memcpy(&block, bytes + i, 4);
        at.rest |= (uint64_t)block << at.rest_bits;
        at.state = ska_with_block(at.state, (uint32_t)at.rest);
        at.rest >>= 32;
    }
    uint64_t last = 0;
    if (n >= 4) {
        /* without a branch: bytes that are hashed already are shifted out */
        uint32_t block;
        memcpy(&block, bytes + n - 4, 4);
        last = (uint64_t)block >> 8 * (4 - (n - i));
    } else {
        for (size_t k = 0; k < n; k++) last |= (uint64_t)bytes[k] << 8 * k;
    }
    at.rest |= last << at.rest_bits;
    at.rest_bits += 8 * (int)(n - i);
    if (at.rest_bits >= 32) {
        at.state = ska_with_block(at.state, (uint32_t)at.rest);
        at.rest >>= 32;
        at.rest_bits -= 32;
    }
    return at;
}

/* The hash of the prefix and these bytes after it. */
static inline uint32_t ska_hash(const ska_prefix *prefix, const uint8_t *bytes, size_t n) {
    ska_prefix end = ska_with_bytes(*prefix, bytes, n);
    uint32_t h = end.state ^ ska_scrambled((uint32_t)end.rest) ^ end.length;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* -- crosses -- */

static inline uint64_t ska_member(uint32_t hash) {
    uint64_t m = (hash + 1ull) * SKA_FIRST;
    m = (m ^ m >> 32) * SKA_SECOND;
    return m ^ m >> 32;
}

static inline uint32_t ska_cross(uint64_t sum_of_members) {
    return (uint32_t)((sum_of_members ^ sum_of_members >> 32) * SKA_FIRST >> 32);
}

/* -- columns of the matrix -- */

typedef struct {
    uint32_t n;
    uint32_t mask; /* n - 1 if n is a power of two, else 0 */
    int bits;      /* of the largest column */
} ska_features;

static inline ska_features ska_features_of(uint32_t n) {
    ska_features features = {n, n & (n - 1) ? 0 : n - 1, 0};
    while (features.bits < 32 && (n - 1) >> features.bits) features.bits++;
    return features;
}

/* The hash as a signed number, without its sign, modulo the number of features. */
static inline uint32_t ska_column_of(ska_features features, uint32_t hash) {
    uint32_t size = hash >> 31 ? 0u - hash : hash;
    return features.mask ? size & features.mask : size % features.n;
}

/* -- the entries of a row -- */

/* Functions that sort `n` entries, which have the column above their lowest `SHIFT` bits; `other` has
   room for as many. Columns are hashes, so buckets of their upper bits have about one entry each.
   Then each entry takes the place of its neighbour if that is larger, without a branch that would be
   predicted in vain, and insertion does the rest. They return where the sorted entries are, or NULL
   if there is no memory. */
#define SKA_DEFINE_SORT(NAME, ENTRY, SHIFT)                                                          \
    static inline ENTRY *NAME(ENTRY *entries, ENTRY *other, int64_t n, int bits) {                   \
        enum { FEW = 8, ON_STACK = 1 << 11, MOST_BITS = 20 };                                        \
        if (n > FEW) {                                                                               \
            uint32_t some[ON_STACK], *ends = some, end = 0;                                          \
            int of_bucket = 1;                                                                       \
            while (of_bucket < MOST_BITS && (int64_t)1 << of_bucket < n + n / 4) of_bucket++;        \
            if (of_bucket > bits) of_bucket = bits;                                                  \
            int shift = SHIFT + bits - of_bucket;                                                    \
            int64_t n_buckets = (int64_t)1 << of_bucket;                                             \
            if (n_buckets > ON_STACK) ends = (uint32_t *)malloc(n_buckets * sizeof *ends);           \
            if (ends == NULL) return NULL;                                                           \
            memset(ends, 0, n_buckets * sizeof *ends);                                               \
            for (int64_t i = 0; i < n; i++) ends[entries[i] >> shift]++;                             \
            for (int64_t b = 0; b < n_buckets; b++) {                                                \
                uint32_t size = ends[b];                                                             \
                ends[b] = end;                                                                       \
                end += size;                                                                         \
            }                                                                                        \
            for (int64_t i = 0; i < n; i++) other[ends[entries[i] >> shift]++] = entries[i];         \
            if (ends != some) free(ends);                                                            \
            entries = other;                                                                         \
            ENTRY largest = entries[0];                                                              \
            for (int64_t i = 1; i < n; i++) {                                                        \
                ENTRY entry = entries[i];                                                            \
                entries[i - 1] = entry < largest ? entry : largest;                                  \
                largest = entry < largest ? largest : entry;                                         \
            }                                                                                        \
            entries[n - 1] = largest;                                                                \
        }                                                                                            \
        for (int64_t i = 1; i < n; i++) {                                                            \
            ENTRY entry = entries[i];                                                                \
            int64_t at = i;                                                                          \
            for (; at > 0 && entries[at - 1] > entry; at--) entries[at] = entries[at - 1];           \
            entries[at] = entry;                                                                     \
        }                                                                                            \
        return entries;                                                                              \
    }

/* A column and where its value is; a column alone; a column and the sign of its hash. */
SKA_DEFINE_SORT(ska_sort_with_places, uint64_t, 32)
SKA_DEFINE_SORT(ska_sort_columns, uint32_t, 0)
SKA_DEFINE_SORT(ska_sort_with_signs, uint32_t, 1)

#endif
