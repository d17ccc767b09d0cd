/* Where a record has what.

   A record is a feature's whole state, contiguous: the step that it is of, an int64 (if moments
   age while idle); for each output the weight, the moments and the inverse metric; the
   learning-rate sum up to which its weights are charged; and for averages, in double
   precision, the integrals of the weights and the sum that they go up to. Not every optimizer has
   all of these. `layout_of` in optimizer.pxi reads the offsets off the records' dtype, once; nothing
   else counts fields. */

#ifndef SKA_LAYOUT_H
#define SKA_LAYOUT_H

#include "exponential.h"

enum { SKA_ABSENT = -1 };

typedef struct {
    ptrdiff_t stride; /* bytes from one record to the next */
    ptrdiff_t last_step, weight, first, second, metric, charged, integral, integrated;
} ska_layout;

/* -- records with one output, LANES at a time: words from memory into lanes and back -- */

/* The numbers of a record in their order, as words of sizeof(real); a step is eight bytes long. */
enum { SKA_WORDS_OF_STEP = 8 / sizeof(real), SKA_MOST_WORDS = 8 };

#ifdef SKA_VECTORS
/* t - step: exact up to 2^53, and to rounding beyond. */
SKA_INLINE dvec ska_age(int64_t t, dbits step) {
    const dbits age = t - step;
    const dvec low = (dvec)((age & 0xffffffff) | 0x4330000000000000);
    const dvec high = (dvec)((dbits)((age >> 32) | 0x4530000000000000));
    return low + (high - 19342813118337666422669312.0);
}
#endif

#if defined(SKA_VECTORS) && !defined(SKA_SINGLE)

/* Words `at` and `at + 1`; the lower halves have lanes 0 and 1, the upper ones 2 and 3. */
SKA_INLINE void ska_load_two(const unsigned char *const *record, int at, vec *word) {
    const double *p[4];
    __m256d even, odd;
    int k;
    for (k = 0; k < 4; k++)
        p[k] = (const double *)record[k] + at;
    even = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p[0])), _mm_loadu_pd(p[2]), 1);
    odd = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p[1])), _mm_loadu_pd(p[3]), 1);
    word[at] = _mm256_unpacklo_pd(even, odd);
    word[at + 1] = _mm256_unpackhi_pd(even, odd);
}

SKA_INLINE void ska_store_two(unsigned char *const *record, int at, const vec *word) {
    const __m256d even = _mm256_unpacklo_pd(word[at], word[at + 1]);
    const __m256d odd = _mm256_unpackhi_pd(word[at], word[at + 1]);
    _mm_storeu_pd((double *)record[0] + at, _mm256_castpd256_pd128(even));
    _mm_storeu_pd((double *)record[1] + at, _mm256_castpd256_pd128(odd));
    _mm_storeu_pd((double *)record[2] + at, _mm256_extractf128_pd(even, 1));
    _mm_storeu_pd((double *)record[3] + at, _mm256_extractf128_pd(odd, 1));
}

/* A record of an odd number of words is padded by one, which may be overwritten. */
SKA_INLINE void ska_load_words(const unsigned char *const *record, const int n, vec *word) {
    int at;
    for (at = 0; at < n; at += 2)
        ska_load_two(record, at, word);
}

SKA_INLINE void ska_store_words(unsigned char *const *record, const int n, const vec *word) {
    int at;
    for (at = 0; at < n; at += 2)
        ska_store_two(record, at, word);
}

SKA_INLINE ska_ages ska_ages_at(int64_t t, const unsigned char *const *record, const vec *word) {
    (void)record;
    return ska_age(t, (dbits)word[0]);
}

SKA_INLINE void ska_set_step(int64_t t, vec *word) { word[0] = (vec)((dbits){t, t, t, t}); }

#elif defined(SKA_VECTORS)

SKA_INLINE __m256 ska_both(const unsigned char *low, const unsigned char *high, int at) {
    return _mm256_insertf128_ps(
        _mm256_castps128_ps256(_mm_loadu_ps((const float *)low + at)),
        _mm_loadu_ps((const float *)high + at), 1);
}

/* Words `at` to `at + 3`. */
SKA_INLINE void ska_load_four(const unsigned char *const *record, int at, vec *word) {
    const __m256 a = ska_both(record[0], record[4], at), b = ska_both(record[1], record[5], at);
    const __m256 c = ska_both(record[2], record[6], at), d = ska_both(record[3], record[7], at);
    const __m256 ab = _mm256_unpacklo_ps(a, b), AB = _mm256_unpackhi_ps(a, b);
    const __m256 cd = _mm256_unpacklo_ps(c, d), CD = _mm256_unpackhi_ps(c, d);
    word[at] = _mm256_shuffle_ps(ab, cd, 0x44);
    word[at + 1] = _mm256_shuffle_ps(ab, cd, 0xee);
    word[at + 2] = _mm256_shuffle_ps(AB, CD, 0x44);
    word[at + 3] = _mm256_shuffle_ps(AB, CD, 0xee);
}

SKA_INLINE void ska_store_four(unsigned char *const *record, int at, const vec *word) {
    const __m256 ab = _mm256_unpacklo_ps(word[at], word[at + 1]);
    const __m256 AB = _mm256_unpackhi_ps(word[at], word[at + 1]);
    const __m256 cd = _mm256_unpacklo_ps(word[at + 2], word[at + 3]);
    const __m256 CD = _mm256_unpackhi_ps(word[at + 2], word[at + 3]);
    const __m256 part[4] = {
        _mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee),
        _mm256_shuffle_ps(AB, CD, 0x44), _mm256_shuffle_ps(AB, CD, 0xee)};
    int k;
    for (k = 0; k < 4; k++) {
        _mm_storeu_ps((float *)record[k] + at, _mm256_castps256_ps128(part[k]));
        _mm_storeu_ps((float *)record[k + 4] + at, _mm256_extractf128_ps(part[k], 1));
    }
}

SKA_INLINE __m128d ska_two_words(const unsigned char *low, const unsigned char *high) {
    return _mm_loadh_pd(_mm_load_sd((const double *)low), (const double *)high);
}

/* Records of two words are eight bytes long; longer ones are padded to whole fours, and what they
   do not use may be overwritten. */
SKA_INLINE void ska_load_words(const unsigned char *const *record, const int n, vec *word) {
    int at;
    if (n == 2) {
        const __m256 a = (__m256)_mm256_insertf128_pd(
            _mm256_castpd128_pd256(ska_two_words(record[0], record[1])),
            ska_two_words(record[4], record[5]), 1);
        const __m256 b = (__m256)_mm256_insertf128_pd(
            _mm256_castpd128_pd256(ska_two_words(record[2], record[3])),
            ska_two_words(record[6], record[7]), 1);
        word[0] = _mm256_shuffle_ps(a, b, 0x88);
        word[1] = _mm256_shuffle_ps(a, b, 0xdd);
        return;
    }
    for (at = 0; at < n; at += 4)
        ska_load_four(record, at, word);
}

SKA_INLINE void ska_store_words(unsigned char *const *record, const int n, const vec *word) {
    int at, k;
    if (n == 2) {
        const __m256d pairs[2] = {
            (__m256d)_mm256_unpacklo_ps(word[0], word[1]),
            (__m256d)_mm256_unpackhi_ps(word[0], word[1])};
        for (k = 0; k < 2; k++) {
            _mm_storel_pd((double *)record[2 * k], _mm256_castpd256_pd128(pairs[k]));
            _mm_storeh_pd((double *)record[2 * k + 1], _mm256_castpd256_pd128(pairs[k]));
            _mm_storel_pd((double *)record[2 * k + 4], _mm256_extractf128_pd(pairs[k], 1));
            _mm_storeh_pd((double *)record[2 * k + 5], _mm256_extractf128_pd(pairs[k], 1));
        }
        return;
    }
    for (at = 0; at < n; at += 4)
        ska_store_four(record, at, word);
}

SKA_INLINE ska_ages ska_ages_at(int64_t t, const unsigned char *const *record, const vec *word) {
    ska_ages age;
    (void)record;
    age.first = ska_age(t, (dbits)_mm256_unpacklo_ps(word[0], word[1]));
    age.second = ska_age(t, (dbits)_mm256_unpackhi_ps(word[0], word[1]));
    return age;
}

SKA_INLINE void ska_set_step(int64_t t, vec *word) {
    word[0] = (vec)_mm256_set1_epi32((int32_t)(uint32_t)t);
    word[1] = (vec)_mm256_set1_epi32((int32_t)(uint32_t)(t >> 32));
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
