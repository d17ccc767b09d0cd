/* Records with one output, into arrays that loops run over side by side, and back.

   A record is a sequence of reals: with `forgets` the step that it is of, an int64; then
   numbers: `n_arrays` of them from arrays, and with `penalised` what has been charged. With AVX2
   four records at a time are transposed in registers, which takes a third of the
   instructions of copying number by number, and that is most of what a step does.

   n_arrays, penalised and forgets are literals, for all tests on them to vanish. Meanwhile
   records of a row to come are fetched, two by two: all at once, processors would drop some. */

#ifndef SKA_RECORDS_H
#define SKA_RECORDS_H

#ifdef __AVX2__
#include <immintrin.h>
#endif

enum { SKA_MOST_ARRAYS = 4 };

#if defined(__AVX2__) && !defined(SKA_SINGLE)

/* The first four reals of four records; what goes to NULL is dropped. */
SKA_INLINE void ska_take_four(const double *const *p, double *a, double *b, double *c, double *d) {
    const __m256d p0 = _mm256_loadu_pd(p[0]), p1 = _mm256_loadu_pd(p[1]);
    const __m256d p2 = _mm256_loadu_pd(p[2]), p3 = _mm256_loadu_pd(p[3]);
    const __m256d even_01 = _mm256_unpacklo_pd(p0, p1), odd_01 = _mm256_unpackhi_pd(p0, p1);
    const __m256d even_23 = _mm256_unpacklo_pd(p2, p3), odd_23 = _mm256_unpackhi_pd(p2, p3);
    _mm256_storeu_pd(a, _mm256_permute2f128_pd(even_01, even_23, 0x20));
    _mm256_storeu_pd(b, _mm256_permute2f128_pd(odd_01, odd_23, 0x20));
    _mm256_storeu_pd(c, _mm256_permute2f128_pd(even_01, even_23, 0x31));
    if (d)
        _mm256_storeu_pd(d, _mm256_permute2f128_pd(odd_01, odd_23, 0x31));
}

SKA_INLINE void ska_take_two(const double *const *p, ptrdiff_t from, double *a, double *b) {
    const __m128d p0 = _mm_loadu_pd(p[0] + from), p1 = _mm_loadu_pd(p[1] + from);
    const __m128d p2 = _mm_loadu_pd(p[2] + from), p3 = _mm_loadu_pd(p[3] + from);
    _mm_storeu_pd(a, _mm_unpacklo_pd(p0, p1));
    _mm_storeu_pd(a + 2, _mm_unpacklo_pd(p2, p3));
    if (b) {
        _mm_storeu_pd(b, _mm_unpackhi_pd(p0, p1));
        _mm_storeu_pd(b + 2, _mm_unpackhi_pd(p2, p3));
    }
}

SKA_INLINE void ska_put_four(double *const *p, __m256d a, __m256d b, __m256d c, __m256d d) {
    const __m256d ab_02 = _mm256_unpacklo_pd(a, b), ab_13 = _mm256_unpackhi_pd(a, b);
    const __m256d cd_02 = _mm256_unpacklo_pd(c, d), cd_13 = _mm256_unpackhi_pd(c, d);
    _mm256_storeu_pd(p[0], _mm256_permute2f128_pd(ab_02, cd_02, 0x20));
    _mm256_storeu_pd(p[1], _mm256_permute2f128_pd(ab_13, cd_13, 0x20));
    _mm256_storeu_pd(p[2], _mm256_permute2f128_pd(ab_02, cd_02, 0x31));
    _mm256_storeu_pd(p[3], _mm256_permute2f128_pd(ab_13, cd_13, 0x31));
}

SKA_INLINE void ska_put_two(double *const *p, ptrdiff_t to, __m256d a, __m256d b) {
    const __m256d ab_02 = _mm256_unpacklo_pd(a, b), ab_13 = _mm256_unpackhi_pd(a, b);
    _mm_storeu_pd(p[0] + to, _mm256_castpd256_pd128(ab_02));
    _mm_storeu_pd(p[1] + to, _mm256_castpd256_pd128(ab_13));
    _mm_storeu_pd(p[2] + to, _mm256_extractf128_pd(ab_02, 1));
    _mm_storeu_pd(p[3] + to, _mm256_extractf128_pd(ab_13, 1));
}

SKA_INLINE void ska_take_records(
    const double *const *p, double *const *array, int64_t *last, const int n_numbers,
    const int forgets) {
    /* One after the other, as they stand in the record; a step is a number of 8 bytes too. */
    double *column[SKA_MOST_ARRAYS + 3] = {NULL};
    const int n = n_numbers + forgets;
    int i;
    if (forgets)
        column[0] = (double *)last;
    for (i = 0; i < n_numbers; i++)
        column[forgets + i] = array[i];
    if (n == 2)
        ska_take_two(p, 0, column[0], column[1]);
    else
        ska_take_four(p, column[0], column[1], column[2], column[3]);
    if (n > 4)
        ska_take_two(p, 4, column[4], column[5]);
}

SKA_INLINE void ska_put_records(
    double *const *p, const double *const *array, int64_t t, double charged, ptrdiff_t j,
    const int n_arrays, const int penalised, const int forgets) {
    __m256d column[SKA_MOST_ARRAYS + 3];
    const int n = forgets + n_arrays + penalised;
    int i;
    for (i = 0; i < SKA_MOST_ARRAYS + 3; i++)
        column[i] = _mm256_set1_pd(charged);
    if (forgets)
        column[0] = _mm256_castsi256_pd(_mm256_set1_epi64x(t));
    for (i = 0; i < n_arrays; i++)
        column[forgets + i] = _mm256_loadu_pd(array[i] + j);
    /* What is not used of 32 or 64 bytes may be overwritten. */
    if (n == 2)
        ska_put_two(p, 0, column[0], column[1]);
    else
        ska_put_four(p, column[0], column[1], column[2], column[3]);
    if (n > 4)
        ska_put_two(p, 4, column[4], column[5]);
}

#elif defined(__AVX2__)

SKA_INLINE void ska_take_four(
    const float *const *p, ptrdiff_t from, float *a, float *b, float *c, float *d) {
    __m128 p0 = _mm_loadu_ps(p[0] + from), p1 = _mm_loadu_ps(p[1] + from);
    __m128 p2 = _mm_loadu_ps(p[2] + from), p3 = _mm_loadu_ps(p[3] + from);
    _MM_TRANSPOSE4_PS(p0, p1, p2, p3);
    _mm_storeu_ps(a, p0);
    if (b)
        _mm_storeu_ps(b, p1);
    if (c)
        _mm_storeu_ps(c, p2);
    if (d)
        _mm_storeu_ps(d, p3);
}

/* The step and the first two numbers. */
SKA_INLINE void ska_take_dated(const float *const *p, int64_t *last, float *a, float *b) {
    const __m128d p0 = _mm_loadu_pd((const double *)p[0]), p1 = _mm_loadu_pd((const double *)p[1]);
    const __m128d p2 = _mm_loadu_pd((const double *)p[2]), p3 = _mm_loadu_pd((const double *)p[3]);
    const __m128 ab_01 = _mm_castpd_ps(_mm_unpackhi_pd(p0, p1));
    const __m128 ab_23 = _mm_castpd_ps(_mm_unpackhi_pd(p2, p3));
    _mm_storeu_pd((double *)last, _mm_unpacklo_pd(p0, p1));
    _mm_storeu_pd((double *)last + 2, _mm_unpacklo_pd(p2, p3));
    _mm_storeu_ps(a, _mm_shuffle_ps(ab_01, ab_23, 0x88));
    _mm_storeu_ps(b, _mm_shuffle_ps(ab_01, ab_23, 0xdd));
}

SKA_INLINE void ska_take_pairs(const float *const *p, float *a, float *b) {
    const __m128d pairs_01 = _mm_loadh_pd(
        _mm_load_sd((const double *)p[0]), (const double *)p[1]);
    const __m128d pairs_23 = _mm_loadh_pd(
        _mm_load_sd((const double *)p[2]), (const double *)p[3]);
    const __m128 ab_01 = _mm_castpd_ps(pairs_01), ab_23 = _mm_castpd_ps(pairs_23);
    _mm_storeu_ps(a, _mm_shuffle_ps(ab_01, ab_23, 0x88));
    _mm_storeu_ps(b, _mm_shuffle_ps(ab_01, ab_23, 0xdd));
}

SKA_INLINE void ska_put_four(
    float *const *p, ptrdiff_t to, __m128 a, __m128 b, __m128 c, __m128 d) {
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(p[0] + to, a);
    _mm_storeu_ps(p[1] + to, b);
    _mm_storeu_ps(p[2] + to, c);
    _mm_storeu_ps(p[3] + to, d);
}

SKA_INLINE void ska_put_dated(float *const *p, int64_t t, __m128 a, __m128 b) {
    const __m128 step = _mm_castsi128_ps(_mm_set1_epi64x(t));
    const __m128 ab_01 = _mm_unpacklo_ps(a, b), ab_23 = _mm_unpackhi_ps(a, b);
    _mm_storeu_ps(p[0], _mm_movelh_ps(step, ab_01));
    _mm_storeu_ps(p[1], _mm_shuffle_ps(step, ab_01, 0xe4));
    _mm_storeu_ps(p[2], _mm_movelh_ps(step, ab_23));
    _mm_storeu_ps(p[3], _mm_shuffle_ps(step, ab_23, 0xe4));
}

SKA_INLINE void ska_put_pairs(float *const *p, __m128 a, __m128 b) {
    const __m128d ab_01 = _mm_castps_pd(_mm_unpacklo_ps(a, b));
    const __m128d ab_23 = _mm_castps_pd(_mm_unpackhi_ps(a, b));
    _mm_storel_pd((double *)p[0], ab_01);
    _mm_storeh_pd((double *)p[1], ab_01);
    _mm_storel_pd((double *)p[2], ab_23);
    _mm_storeh_pd((double *)p[3], ab_23);
}

SKA_INLINE void ska_take_records(
    const float *const *p, float *const *array, int64_t *last, const int n_numbers,
    const int forgets) {
    float *column[SKA_MOST_ARRAYS + 3] = {NULL};
    int i;
    for (i = 0; i < n_numbers; i++)
        column[i] = array[i];
    if (forgets) {
        ska_take_dated(p, last, column[0], column[1]);
        if (n_numbers > 2)
            ska_take_four(p, 4, column[2], column[3], column[4], NULL);
    } else if (n_numbers == 2) {
        ska_take_pairs(p, column[0], column[1]);
    } else {
        ska_take_four(p, 0, column[0], column[1], column[2], column[3]);
        if (n_numbers > 4)
            for (i = 0; i < 4; i++)
                column[4][i] = p[i][4];
    }
}

SKA_INLINE void ska_put_records(
    float *const *p, const float *const *array, int64_t t, float charged, ptrdiff_t j,
    const int n_arrays, const int penalised, const int forgets) {
    __m128 column[SKA_MOST_ARRAYS + 3];
    const int n_numbers = n_arrays + penalised;
    int i;
    for (i = 0; i < SKA_MOST_ARRAYS + 3; i++)
        column[i] = _mm_set1_ps(charged);
    for (i = 0; i < n_arrays; i++)
        column[i] = _mm_loadu_ps(array[i] + j);
    /* What is not used of 16 or 32 bytes may be overwritten. */
    if (forgets) {
        ska_put_dated(p, t, column[0], column[1]);
        if (n_numbers > 2)
            ska_put_four(p, 4, column[2], column[3], column[4], column[5]);
    } else if (n_numbers == 2) {
        ska_put_pairs(p, column[0], column[1]);
    } else {
        ska_put_four(p, 0, column[0], column[1], column[2], column[3]);
        if (n_numbers > 4)
            for (i = 0; i < 4; i++)
                p[i][4] = charged;
    }
}

#endif

/* To arrays, and `last`: what is charged is the last array. Fetches every other record ahead. */
SKA_INLINE void ska_records_in(
    ska_real *const *array, int64_t *last, const unsigned char *memory, const int64_t *offset,
    ptrdiff_t n, const int64_t *ahead, ptrdiff_t n_ahead, const int n_numbers, const int forgets) {
    /* On the stack, where no store can change them. */
    ska_real *a[SKA_MOST_ARRAYS + 1];
    ptrdiff_t j = 0;
    int i;
    for (i = 0; i < n_numbers; i++)
        a[i] = array[i];
#ifdef __AVX2__
    for (; j + 4 <= n; j += 4) {
        const ska_real *p[4];
        ska_real *to[SKA_MOST_ARRAYS + 1];
        if (j / 2 + 1 < n_ahead) {
            ska_prefetch(memory + ahead[j / 2]);
            ska_prefetch(memory + ahead[j / 2 + 1]);
        }
        for (i = 0; i < 4; i++)
            p[i] = (const ska_real *)(memory + offset[j + i]);
        for (i = 0; i < n_numbers; i++)
            to[i] = a[i] + j;
        ska_take_records(p, to, forgets ? last + j : NULL, n_numbers, forgets);
    }
#endif
    for (; j < n; j++) {
        const unsigned char *record = memory + offset[j];
        if (!(j & 1) && j / 2 < n_ahead)
            ska_prefetch(memory + ahead[j / 2]);
        if (forgets)
            last[j] = *(const int64_t *)record;
        for (i = 0; i < n_numbers; i++)
            a[i][j] = ((const ska_real *)(record + (forgets ? 8 : 0)))[i];
    }
}

/* The inverse; all records become those of step t, charged for so much. Fetches the rest. */
SKA_INLINE void ska_records_out(
    ska_real *const *array, int64_t t, ska_real charged, unsigned char *memory,
    const int64_t *offset, ptrdiff_t n, const int64_t *ahead, ptrdiff_t n_ahead,
    const int n_arrays, const int penalised, const int forgets) {
    const ska_real *a[SKA_MOST_ARRAYS];
    ptrdiff_t j;
    int i;
    for (i = 0; i < n_arrays; i++)
        a[i] = array[i];
    for (j = n; j < n_ahead; j++)
        ska_prefetch(memory + ahead[j]);
    j = 0;
#ifdef __AVX2__
    for (; j + 4 <= n; j += 4) {
        ska_real *p[4];
        for (i = 0; i < 4; i++) {
            if (j + i < n_ahead)
                ska_prefetch(memory + ahead[j + i]);
            p[i] = (ska_real *)(memory + offset[j + i]);
        }
        ska_put_records(p, a, t, charged, j, n_arrays, penalised, forgets);
    }
#endif
    for (; j < n; j++) {
        unsigned char *record = memory + offset[j];
        ska_real *numbers = (ska_real *)(record + (forgets ? 8 : 0));
        if (j < n_ahead)
            ska_prefetch(memory + ahead[j]);
        if (forgets)
            *(int64_t *)record = t;
        for (i = 0; i < n_arrays; i++)
            numbers[i] = a[i][j];
        if (penalised)
            numbers[n_arrays] = charged;
    }
}

/* What kinds of records there are. */
#define SKA_OF_A_KIND(n_arrays, penalised, forgets, call)                                          \
    switch (((n_arrays) * 2 + (penalised)) * 2 + (forgets)) {                                      \
    case 8: call(2, 0, 0); break;                                                                  \
    case 9: call(2, 0, 1); break;                                                                  \
    case 10: call(2, 1, 0); break;                                                                 \
    case 12: call(3, 0, 0); break;                                                                 \
    case 13: call(3, 0, 1); break;                                                                 \
    case 14: call(3, 1, 0); break;                                                                 \
    case 15: call(3, 1, 1); break;                                                                 \
    case 18: call(4, 1, 0); break;                                                                 \
    case 19: call(4, 1, 1); break;                                                                 \
    }

static void ska_copy_in(
    ska_real *const *array, int64_t *last, const unsigned char *memory, const int64_t *offset,
    ptrdiff_t n, const int64_t *ahead, ptrdiff_t n_ahead, int n_arrays, int penalised,
    int forgets) {
#define SKA_IN(n_arrays, penalised, forgets)                                                       \
    ska_records_in(                                                                                \
        array, last, memory, offset, n, ahead, n_ahead, (n_arrays) + (penalised), forgets)
    SKA_OF_A_KIND(n_arrays, penalised, forgets, SKA_IN)
#undef SKA_IN
}

static void ska_copy_out(
    ska_real *const *array, int64_t t, ska_real charged, unsigned char *memory,
    const int64_t *offset, ptrdiff_t n, const int64_t *ahead, ptrdiff_t n_ahead, int n_arrays,
    int penalised, int forgets) {
#define SKA_OUT(n_arrays, penalised, forgets)                                                      \
    ska_records_out(                                                                               \
        array, t, charged, memory, offset, n, ahead, n_ahead, n_arrays, penalised, forgets)
    SKA_OF_A_KIND(n_arrays, penalised, forgets, SKA_OUT)
#undef SKA_OUT
}

#endif
