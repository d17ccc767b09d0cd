/* What differs between compilers, processors and precisions.

   Plain C11 wherever it runs. With AVX2, GCC and Clang have vectors as a type: +, -, *, / and
   comparisons are written as for numbers, so that a rule (adagrad.h, ...) is the same text for four
   doubles, for eight floats and, without AVX2 or with another compiler, for one number. The few
   functions that operators don't cover begin with v_. C++ or intrinsics throughout would have done
   as well: the first asks users for another compiler, the second hides the formulas. */

#ifndef SKA_PLATFORM_H
#define SKA_PLATFORM_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKA_SINGLE
typedef float real;
#define REAL_SQRT sqrtf
#define REAL_ABS fabsf
#define REAL_TINY FLT_MIN
#define REAL_EPSILON FLT_EPSILON
/* The square of this, and sums of some such squares, do not overflow. */
#define HARMLESS 1e18
#else
typedef double real;
#define REAL_SQRT sqrt
#define REAL_ABS fabs
#define REAL_TINY DBL_MIN
#define REAL_EPSILON DBL_EPSILON
#define HARMLESS 1e150
#endif

/* Prefetches go into the second level: the first is small, and full of the row in hand. */
#if defined(__GNUC__) || defined(__clang__)
#define SKA_INLINE static inline __attribute__((always_inline))
#define SKA_RARELY(condition) __builtin_expect(!!(condition), 0)
#define ska_prefetch(address) __builtin_prefetch((address), 0, 2)
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <xmmintrin.h>
#define SKA_INLINE static __forceinline
#define SKA_RARELY(condition) (condition)
#define ska_prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
#else
#define SKA_INLINE static inline
#define SKA_RARELY(condition) (condition)
#define ska_prefetch(address) ((void)(address))
#endif

/* Names of functions that are made for each rule and kind of record. */
#define SKA_JOIN_(a, b) a##_##b
#define SKA_JOIN(a, b) SKA_JOIN_(a, b)
#define SKA_NAME_(a, b, c, d) a##_##b##_##c##d
#define SKA_NAME(a, b, c, d) SKA_NAME_(a, b, c, d)

enum { SKA_CACHE_LINE = 64 };

SKA_INLINE void ska_prefetch_array(const void *address, ptrdiff_t size) {
    const char *line = (const char *)((uintptr_t)address & ~(uintptr_t)(SKA_CACHE_LINE - 1));
    const char *end = (const char *)address + size;
    for (; line < end; line += SKA_CACHE_LINE)
        ska_prefetch(line);
}

#if defined(__AVX2__) && (defined(__GNUC__) || defined(__clang__))

#define SKA_VECTORS
#include <immintrin.h>

typedef real vec __attribute__((vector_size(32)));
enum { LANES = 32 / sizeof(real) };

#ifdef SKA_SINGLE
typedef int32_t mask __attribute__((vector_size(32)));
#define V_(name) _mm256_##name##_ps
#else
typedef int64_t mask __attribute__((vector_size(32)));
#define V_(name) _mm256_##name##_pd
#endif

SKA_INLINE vec v_all(real x) { return V_(set1)(x); }
SKA_INLINE vec v_load(const real *from) { return V_(loadu)(from); }
SKA_INLINE void v_store(real *to, vec a) { V_(storeu)(to, a); }
SKA_INLINE vec v_sqrt(vec a) { return V_(sqrt)(a); }
SKA_INLINE vec v_max(vec a, vec b) { return V_(max)(a, b); }
SKA_INLINE vec v_min(vec a, vec b) { return V_(min)(a, b); }
SKA_INLINE vec v_abs(vec a) { return V_(andnot)(v_all((real)-0.0), a); }
SKA_INLINE vec v_select(mask m, vec yes, vec no) { return V_(blendv)(no, yes, (vec)m); }
SKA_INLINE int v_any(mask m) { return V_(movemask)((vec)m); }

/* The first n of LANES numbers; the other lanes are 0, or stay unwritten. */
SKA_INLINE __m256i ska_first_lanes(int n) {
#ifdef SKA_SINGLE
    static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
#else
    static const int64_t lanes[8] = {-1, -1, -1, -1};
#endif
    return _mm256_loadu_si256((const __m256i *)(lanes + LANES - n));
}
SKA_INLINE vec v_load_part(const real *from, int n) {
    return V_(maskload)(from, ska_first_lanes(n));
}
SKA_INLINE void v_store_part(real *to, vec a, int n) {
    V_(maskstore)(to, ska_first_lanes(n), a);
}

#else

typedef real vec;
typedef int mask;
enum { LANES = 1 };

SKA_INLINE vec v_all(real x) { return x; }
SKA_INLINE vec v_load(const real *from) { return *from; }
SKA_INLINE void v_store(real *to, vec a) { *to = a; }
SKA_INLINE vec v_sqrt(vec a) { return REAL_SQRT(a); }
SKA_INLINE vec v_max(vec a, vec b) { return a > b ? a : b; }
SKA_INLINE vec v_min(vec a, vec b) { return a < b ? a : b; }
SKA_INLINE vec v_abs(vec a) { return REAL_ABS(a); }
SKA_INLINE vec v_select(mask m, vec yes, vec no) { return m ? yes : no; }
SKA_INLINE int v_any(mask m) { return m; }
SKA_INLINE vec v_load_part(const real *from, int n) { return n ? *from : 0; }
SKA_INLINE void v_store_part(real *to, vec a, int n) {
    if (n)
        *to = a;
}

#endif

/* a, rounded: no product in it may be fused with a sum that it is used in. */
SKA_INLINE vec v_rounded(vec a) {
#if defined(__GNUC__) && defined(__x86_64__)
    __asm__("" : "+x"(a));
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__("" : "+w"(a));
#endif
    return a;
}

SKA_INLINE ptrdiff_t ska_padded(ptrdiff_t n) { return (n + LANES - 1) / LANES * LANES; }

SKA_INLINE real v_largest(vec a) {
    real lane[LANES], largest;
    int k;
    v_store(lane, a);
    largest = lane[0];
    for (k = 1; k < LANES; k++)
        largest = lane[k] > largest ? lane[k] : largest;
    return largest;
}

/* Whether all lanes are finite, of a sum of finite numbers times 0: infinities became NaN there. */
SKA_INLINE int v_is_zero(vec a) {
    real lane[LANES];
    int k, zero = 1;
    v_store(lane, a);
    for (k = 0; k < LANES; k++)
        zero = zero && lane[k] == 0;
    return zero;
}

/* A sum of products in double precision, also of floats. */
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)
typedef struct {
    __m256d low, high;
} ska_sum;
SKA_INLINE void ska_add_products(ska_sum *sum, vec a, vec b) {
    const __m256d a_low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    const __m256d b_low = _mm256_cvtps_pd(_mm256_castps256_ps128(b));
    const __m256d a_high = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
    const __m256d b_high = _mm256_cvtps_pd(_mm256_extractf128_ps(b, 1));
    sum->low += a_low * b_low;
    sum->high += a_high * b_high;
}
SKA_INLINE double ska_total(const ska_sum *sum) {
    double lane[4];
    _mm256_storeu_pd(lane, sum->low + sum->high);
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}
#else
typedef struct {
#ifdef SKA_VECTORS
    vec lanes;
#else
    double lanes;
#endif
} ska_sum;
SKA_INLINE void ska_add_products(ska_sum *sum, vec a, vec b) {
#ifdef SKA_VECTORS
    sum->lanes += a * b;
#else
    sum->lanes += (double)a * b;
#endif
}
SKA_INLINE double ska_total(const ska_sum *sum) {
#ifdef SKA_VECTORS
    return (sum->lanes[0] + sum->lanes[1]) + (sum->lanes[2] + sum->lanes[3]);
#else
    return sum->lanes;
#endif
}
#endif

#endif
