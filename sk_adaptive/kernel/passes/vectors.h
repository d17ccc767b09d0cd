/* Vectors, where the compiler and the set of instructions have them.

   Plain C11 wherever it runs. With AVX2 and AVX-512, GCC and Clang have vectors as a type: +, -, *
   and / are written as for numbers, so that a rule (adagrad.h, ...) is the same text for four or
   eight doubles, for eight or sixteen floats and, without AVX2 or with another compiler, for one
   number. Functions for comparisons, and the few that operators don't cover, begin with v_. C++ or
   intrinsics throughout would have done as well: the first asks users for another compiler, the
   second hides the formulas. */

#ifndef SKA_VECTORS_H
#define SKA_VECTORS_H

#include <math.h>
#include <string.h>

#include "interface.h"

#ifdef SKA_SINGLE
#define REAL_SQRT sqrtf
#define REAL_ABS fabsf
#else
#define REAL_SQRT sqrt
#define REAL_ABS fabs
#endif

#if defined(__AVX2__) && (defined(__GNUC__) || defined(__clang__))

#define SKA_VECTORS
#include <immintrin.h>

/* Intrinsics for vectors of the precision and of doubles, and integers as long as its numbers. */
#ifdef __AVX512DQ__
#define SKA_VECTOR_SIZE 64
#define SKA_WIDE(name) _mm512_##name
#else
#define SKA_VECTOR_SIZE 32
#define SKA_WIDE(name) _mm256_##name
#endif
#define D_(name) SKA_JOIN(SKA_WIDE(name), pd)
#ifdef SKA_SINGLE
#define V_(name) SKA_JOIN(SKA_WIDE(name), ps)
typedef int32_t bits __attribute__((vector_size(SKA_VECTOR_SIZE)));
typedef uint32_t words __attribute__((vector_size(SKA_VECTOR_SIZE)));
#else
#define V_(name) SKA_JOIN(SKA_WIDE(name), pd)
typedef int64_t bits __attribute__((vector_size(SKA_VECTOR_SIZE)));
typedef uint64_t words __attribute__((vector_size(SKA_VECTOR_SIZE)));
#endif
typedef real vec __attribute__((vector_size(SKA_VECTOR_SIZE)));
enum { LANES = SKA_VECTOR_SIZE / sizeof(real) };

SKA_INLINE vec v_all(real x) { return V_(set1)(x); }
SKA_INLINE vec v_load(const real *from) { return V_(loadu)(from); }
SKA_INLINE void v_store(real *to, vec a) { V_(storeu)(to, a); }
SKA_INLINE vec v_sqrt(vec a) { return V_(sqrt)(a); }
SKA_INLINE vec v_max(vec a, vec b) { return V_(max)(a, b); }
SKA_INLINE vec v_min(vec a, vec b) { return V_(min)(a, b); }
SKA_INLINE vec v_abs(vec a) { return V_(andnot)(v_all((real)-0.0), a); }

#ifdef __AVX512DQ__

/* Comparisons, as a bit for each lane. Compilers make vectors of those that operators make, and need
   twice the instructions. */
#ifdef SKA_SINGLE
typedef __mmask16 mask;
#define V_MASK_(name) _mm512_##name##_ps_mask
#else
typedef __mmask8 mask;
#define V_MASK_(name) _mm512_##name##_pd_mask
#endif
SKA_INLINE mask v_above(vec a, vec b) { return V_MASK_(cmp)(a, b, _CMP_GT_OQ); }
SKA_INLINE mask v_differs(vec a, vec b) { return V_MASK_(cmp)(a, b, _CMP_NEQ_UQ); }
SKA_INLINE vec v_select(mask m, vec yes, vec no) { return V_(mask_blend)(m, no, yes); }
#ifndef SKA_SINGLE
/* a / sqrt(b): the processor's first 14 bits, and three terms of what they lack. A root and a
   division keep the divider busy for as long as all the rest of a step takes. */
#define SKA_HAS_OVER_ROOT
SKA_INLINE vec v_over_root(vec a, vec b) {
    const vec y = _mm512_rsqrt14_pd(b), e = 1 - (b * y) * y;
    return a * (y + (y * e) * (0.5 + e * (0.375 + e * 0.3125)));
}
#endif
SKA_INLINE int v_any_above(vec a, real b) { return v_above(a, v_all(b)) != 0; }

/* The first n of LANES numbers; the other lanes are 0, or stay unwritten. */
SKA_INLINE vec v_load_part(const real *from, int n) {
    return V_(maskz_loadu)((1 << n) - 1, from);
}
SKA_INLINE void v_store_part(real *to, vec a, int n) { V_(mask_storeu)(to, (1 << n) - 1, a); }

#else

typedef bits mask;
SKA_INLINE mask v_above(vec a, vec b) { return a > b; }
SKA_INLINE mask v_differs(vec a, vec b) { return a != b; }
SKA_INLINE vec v_select(mask m, vec yes, vec no) { return V_(blendv)(no, yes, (vec)m); }
SKA_INLINE int v_any_above(vec a, real b) { return V_(movemask)((vec)(a > b)); }

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

#endif

#else

typedef real vec;
#ifdef SKA_SINGLE
typedef uint32_t words;
#else
typedef uint64_t words;
#endif
typedef int mask;
enum { LANES = 1 };

SKA_INLINE mask v_above(vec a, vec b) { return a > b; }
SKA_INLINE mask v_differs(vec a, vec b) { return a != b; }
SKA_INLINE vec v_all(real x) { return x; }
SKA_INLINE vec v_load(const real *from) { return *from; }
SKA_INLINE void v_store(real *to, vec a) { *to = a; }
SKA_INLINE vec v_sqrt(vec a) { return REAL_SQRT(a); }
SKA_INLINE vec v_max(vec a, vec b) { return a > b ? a : b; }
SKA_INLINE vec v_min(vec a, vec b) { return a < b ? a : b; }
SKA_INLINE vec v_abs(vec a) { return REAL_ABS(a); }
SKA_INLINE vec v_select(mask m, vec yes, vec no) { return m ? yes : no; }
SKA_INLINE int v_any_above(vec a, real b) { return a > b; }
SKA_INLINE vec v_load_part(const real *from, int n) { return n ? *from : 0; }
SKA_INLINE void v_store_part(real *to, vec a, int n) {
    if (n)
        *to = a;
}

#endif

#ifndef SKA_HAS_OVER_ROOT
SKA_INLINE vec v_over_root(vec a, vec b) { return a / v_sqrt(b); }
#endif

/* a, rounded: no product in it may be fused with a sum that it is used in. */
SKA_INLINE vec v_rounded(vec a) {
#if defined(__GNUC__) && defined(__x86_64__)
    __asm__("" : "+v"(a));
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__("" : "+w"(a));
#endif
    return a;
}

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

/* Doubles, side by side where there are vectors: also float builds count and sum in them. */
#ifdef SKA_VECTORS
typedef double dvec __attribute__((vector_size(SKA_VECTOR_SIZE)));
typedef int64_t dbits __attribute__((vector_size(SKA_VECTOR_SIZE)));
typedef uint64_t dwords __attribute__((vector_size(SKA_VECTOR_SIZE)));
#else
typedef double dvec;
typedef uint64_t dwords;
#endif

/* The bits of numbers, and numbers of bits. */
#define SKA_REINTERPRET(name, from, to)                                                            \
    SKA_INLINE to name(from a) {                                                                   \
        to b;                                                                                      \
        memcpy(&b, &a, sizeof b);                                                                  \
        return b;                                                                                  \
    }
SKA_REINTERPRET(v_words, vec, words)
SKA_REINTERPRET(v_of_words, words, vec)
SKA_REINTERPRET(d_words, dvec, dwords)
SKA_REINTERPRET(d_of_words, dwords, dvec)

/* A sum of products in double precision. */
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)
typedef struct {
    dvec low, high;
} ska_sum;
#ifdef __AVX512DQ__
#define SKA_LOW(a) _mm512_cvtps_pd(_mm512_castps512_ps256(a))
#define SKA_HIGH(a) _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))
#else
#define SKA_LOW(a) _mm256_cvtps_pd(_mm256_castps256_ps128(a))
#define SKA_HIGH(a) _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))
#endif
SKA_INLINE void ska_add_products(ska_sum *sum, vec a, vec b) {
    sum->low += SKA_LOW(a) * SKA_LOW(b);
    sum->high += SKA_HIGH(a) * SKA_HIGH(b);
}
#else
typedef struct {
    dvec low;
} ska_sum;
SKA_INLINE void ska_add_products(ska_sum *sum, vec a, vec b) { sum->low += (dvec)a * b; }
#endif
SKA_INLINE double ska_total(const ska_sum *sum) {
    double lane[sizeof(dvec) / sizeof(double)];
    int n = sizeof(dvec) / sizeof(double), k;
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)
    const dvec lanes = sum->low + sum->high;
#else
    const dvec lanes = sum->low;
#endif
    memcpy(lane, &lanes, sizeof lane);
    /* in pairs */
    for (; n > 1; n /= 2)
        for (k = 0; k < n / 2; k++)
            lane[k] = lane[2 * k] + lane[2 * k + 1];
    return lane[0];
}

#endif
