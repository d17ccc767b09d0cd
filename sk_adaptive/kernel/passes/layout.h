/* Records with one output, LANES at a time: words from memory into lanes and back. */

#ifndef SKA_LAYOUT_H
#define SKA_LAYOUT_H

#include "exponential.h"

/* The numbers of a record in their order, as words of sizeof(real); a step is eight bytes long. */
enum { SKA_WORDS_OF_STEP = 8 / sizeof(real), SKA_MOST_WORDS = 8 };

#ifdef SKA_VECTORS
/* t - step. Added to the bits of the number 2^52 it gives those of 2^52 + (t - step). Exact up to
   2^52, which takes a lifetime of a million steps a second; beyond that too large. */
SKA_INLINE dvec ska_age(int64_t t, dbits step) {
    return (dvec)(t - step + 0x4330000000000000) - 4503599627370496.0;
}
#endif

#ifdef SKA_VECTORS

/* A piece of a record is what fills 16 bytes. A vector is made of the pieces of every so many-th
   record. */
enum { SKA_IN_PIECE = 16 / sizeof(real) };

SKA_INLINE vec ska_load_pieces(const unsigned char *const *record, int at) {
    const ptrdiff_t place = at * sizeof(real);
    __m256d two, more;
    two = _mm256_insertf128_pd(
        _mm256_castpd128_pd256(_mm_loadu_pd((const double *)(record[0] + place))),
        _mm_loadu_pd((const double *)(record[SKA_IN_PIECE] + place)), 1);
#ifdef __AVX512DQ__
    more = _mm256_insertf128_pd(
        _mm256_castpd128_pd256(
            _mm_loadu_pd((const double *)(record[2 * SKA_IN_PIECE] + place))),
        _mm_loadu_pd((const double *)(record[3 * SKA_IN_PIECE] + place)), 1);
    return (vec)_mm512_insertf64x4(_mm512_castpd256_pd512(two), more, 1);
#else
    (void)more;
    return (vec)two;
#endif
}

SKA_INLINE void ska_store_pieces(unsigned char *const *record, int at, vec pieces) {
    const ptrdiff_t place = at * sizeof(real);
#ifdef __AVX512DQ__
    const __m256d two = _mm512_castpd512_pd256((__m512d)pieces);
    const __m256d more = _mm512_extractf64x4_pd((__m512d)pieces, 1);
    _mm_storeu_pd(
        (double *)(record[2 * SKA_IN_PIECE] + place), _mm256_castpd256_pd128(more));
    _mm_storeu_pd(
        (double *)(record[3 * SKA_IN_PIECE] + place), _mm256_extractf128_pd(more, 1));
#else
    const __m256d two = (__m256d)pieces;
#endif
    _mm_storeu_pd((double *)(record[0] + place), _mm256_castpd256_pd128(two));
    _mm_storeu_pd((double *)(record[SKA_IN_PIECE] + place), _mm256_extractf128_pd(two, 1));
}

#endif

#if defined(SKA_VECTORS) && !defined(SKA_SINGLE)

/* A record of an odd number of words is padded by one, which may be overwritten. */
SKA_INLINE void ska_load_words(const unsigned char *const *record, const int n, vec *word) {
    int at;
    for (at = 0; at < n; at += 2) {
        const vec even = ska_load_pieces(record, at), odd = ska_load_pieces(record + 1, at);
        word[at] = V_(unpacklo)(even, odd);
        word[at + 1] = V_(unpackhi)(even, odd);
    }
}

SKA_INLINE void ska_store_words(unsigned char *const *record, const int n, const vec *word) {
    int at;
    for (at = 0; at < n; at += 2) {
        ska_store_pieces(record, at, V_(unpacklo)(word[at], word[at + 1]));
        ska_store_pieces(record + 1, at, V_(unpackhi)(word[at], word[at + 1]));
    }
}

SKA_INLINE ska_ages ska_ages_at(int64_t t, const unsigned char *const *record, const vec *word) {
    (void)record;
    return ska_age(t, (dbits)word[0]);
}

SKA_INLINE void ska_set_step(int64_t t, vec *word) { word[0] = (vec)((dbits){0} + t); }

#elif defined(SKA_VECTORS)

/* Words `at` to `at + 3`. */
SKA_INLINE void ska_load_four(const unsigned char *const *record, int at, vec *word) {
    const vec a = ska_load_pieces(record, at), b = ska_load_pieces(record + 1, at);
    const vec c = ska_load_pieces(record + 2, at), d = ska_load_pieces(record + 3, at);
    const vec ab = V_(unpacklo)(a, b), AB = V_(unpackhi)(a, b);
    const vec cd = V_(unpacklo)(c, d), CD = V_(unpackhi)(c, d);
    word[at] = V_(shuffle)(ab, cd, 0x44);
    word[at + 1] = V_(shuffle)(ab, cd, 0xee);
    word[at + 2] = V_(shuffle)(AB, CD, 0x44);
    word[at + 3] = V_(shuffle)(AB, CD, 0xee);
}

SKA_INLINE void ska_store_four(unsigned char *const *record, int at, const vec *word) {
    const vec ab = V_(unpacklo)(word[at], word[at + 1]);
    const vec AB = V_(unpackhi)(word[at], word[at + 1]);
    const vec cd = V_(unpacklo)(word[at + 2], word[at + 3]);
    const vec CD = V_(unpackhi)(word[at + 2], word[at + 3]);
    ska_store_pieces(record, at, V_(shuffle)(ab, cd, 0x44));
    ska_store_pieces(record + 1, at, V_(shuffle)(ab, cd, 0xee));
    ska_store_pieces(record + 2, at, V_(shuffle)(AB, CD, 0x44));
    ska_store_pieces(record + 3, at, V_(shuffle)(AB, CD, 0xee));
}

/* Records of two words are eight bytes long; longer ones are padded to whole fours, and what they
   do not use may be overwritten. */
SKA_INLINE void ska_load_words(const unsigned char *const *record, const int n, vec *word) {
    int at;
    if (n == 2) {
        dvec a = {0}, b = {0};
        for (at = 0; at < LANES / 2; at++) {
            const int k = at / 2 * 4 + at % 2;
            memcpy((char *)&a + 8 * at, record[k], 8);
            memcpy((char *)&b + 8 * at, record[k + 2], 8);
        }
        word[0] = V_(shuffle)((vec)a, (vec)b, 0x88);
        word[1] = V_(shuffle)((vec)a, (vec)b, 0xdd);
        return;
    }
    for (at = 0; at < n; at += 4)
        ska_load_four(record, at, word);
}

SKA_INLINE void ska_store_words(unsigned char *const *record, const int n, const vec *word) {
    int at;
    if (n == 2) {
        const dvec a = (dvec)V_(unpacklo)(word[0], word[1]);
        const dvec b = (dvec)V_(unpackhi)(word[0], word[1]);
        for (at = 0; at < LANES / 2; at++) {
            const int k = at / 2 * 4 + at % 2;
            memcpy(record[k], (const char *)&a + 8 * at, 8);
            memcpy(record[k + 2], (const char *)&b + 8 * at, 8);
        }
        return;
    }
    for (at = 0; at < n; at += 4)
        ska_store_four(record, at, word);
}

SKA_INLINE ska_ages ska_ages_at(int64_t t, const unsigned char *const *record, const vec *word) {
    ska_ages age;
    (void)record;
    age.first = ska_age(t, (dbits)V_(unpacklo)(word[0], word[1]));
    age.second = ska_age(t, (dbits)V_(unpackhi)(word[0], word[1]));
    return age;
}

SKA_INLINE void ska_set_step(int64_t t, vec *word) {
    word[0] = (vec)((bits){0} + (int32_t)(uint32_t)t);
    word[1] = (vec)((bits){0} + (int32_t)(uint32_t)(t >> 32));
}

#else

SKA_INLINE void ska_load_words(const unsigned char *const *record, const int n, vec *word) {
    memcpy(word, record[0], n * sizeof(real));
}

SKA_INLINE void ska_store_words(unsigned char *const *record, const int n, const vec *word) {
    memcpy(record[0], word, n * sizeof(real));
}

SKA_INLINE ska_ages ska_ages_at(int64_t t, const unsigned char *const *record, const vec *word) {
    (void)word;
    return (double)(t - *(const int64_t *)record[0]);
}

SKA_INLINE void ska_set_step(int64_t t, vec *word) { memcpy(word, &t, sizeof t); }

#endif

#endif
