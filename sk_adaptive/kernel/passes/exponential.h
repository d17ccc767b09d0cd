/* Exponentials to rounding, without branches and tables.

   Adding 1.5 * 2^52 (single precision: 2^23) rounds a number to a whole one, n, and leaves n in
   the lowest bits, which are shifted to where the exponent is. The rest is a polynomial, summed in
   pairs, pairs of pairs and so on (Estrin): with few steps that have to wait for one another, as
   processors wait in these passes more than they compute. */

#ifndef SKA_EXPONENTIAL_H
#define SKA_EXPONENTIAL_H

#include "vectors.h"

/* Powers below 2^this are 0: they change nothing, and products with them would be denormal, which
   processors are slow at. Logarithms of bases are not less than SKA_LEAST_LOGARITHM. */
#define SKA_LEAST_EXPONENT -100.0

/* x rounded, as its low bits, and what is left of x. */
SKA_INLINE dvec ska_rounded(dvec x, dvec *rest) {
    const dvec rounded = x + 6755399441055744.0;
    *rest = x - (rounded - 6755399441055744.0);
    return rounded;
}

/* 2^(n + f) for n as `ska_rounded` has it and |f| <= 1/2: a minimax polynomial, which is off by at
   most 2e-17, and not at all where f is 0. */
SKA_INLINE dvec ska_power_of_two(dvec n, dvec f) {
    const dvec ff = f * f, ffff = ff * ff;
    const dvec p_0 = 0.6931471805599453 * f + 1.0;
    const dvec p_2 = 0.0555041086648216 * f + 0.24022650695910097;
    const dvec p_4 = 0.0013333558146416936 * f + 0.009618129107606888;
    const dvec p_6 = 1.525273382983612e-05 * f + 0.0001540353044173605;
    const dvec p_8 = 1.0178062445845774e-07 * f + 1.321544258792169e-06;
    const dvec p_10 = 4.4549605981865186e-10 * f + 7.072585949269223e-09;
    dvec p = (p_8 + ff * p_10) * ffff + (p_4 + ff * p_6);
    p = p * ffff + (p_0 + ff * p_2);
#ifdef SKA_VECTORS
    return (dvec)((dbits)p + ((dbits)n << 52));
#else
    {
        uint64_t bits, shift;
        memcpy(&bits, &p, sizeof bits);
        memcpy(&shift, &n, sizeof shift);
        bits += shift << 52;
        memcpy(&p, &bits, sizeof p);
        return p;
    }
#endif
}

/* Ages of LANES features: whole numbers as doubles. */
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)

/* Of each four lanes the first two and the last two: as unpacking leaves them. */
typedef struct {
    dvec first, second;
} ska_ages;

SKA_INLINE ska_ages ska_ages_of(const double *age) {
    ska_ages ages;
    double pairs[2][LANES / 2];
    int i;
    for (i = 0; i < LANES; i++)
        pairs[i / 2 % 2][i / 4 * 2 + i % 2] = age[i];
    memcpy(&ages, pairs, sizeof ages);
    return ages;
}

SKA_INLINE vec ska_join(dvec first, dvec second) {
#ifdef __AVX512DQ__
    const __m512 both = _mm512_insertf32x8(
        _mm512_castps256_ps512(_mm512_cvtpd_ps(first)), _mm512_cvtpd_ps(second), 1);
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    return (vec)_mm512_permutexvar_pd(order, (__m512d)both);
#else
    const __m256 both = _mm256_insertf128_ps(
        _mm256_castps128_ps256(_mm256_cvtpd_ps(first)), _mm256_cvtpd_ps(second), 1);
    return (vec)_mm256_permute4x64_pd((__m256d)both, 0xd8);
#endif
}

SKA_INLINE dvec ska_bounded_exponent(dvec age, double log2_base) {
    return D_(max)(age * log2_base, D_(set1)(SKA_LEAST_EXPONENT));
}

/* base^age of each. What is left after rounding, which is small, needs single precision only. */
SKA_INLINE vec ska_powers(const ska_ages *age, double log2_base) {
    const dvec first = ska_bounded_exponent(age->first, log2_base);
    const dvec second = ska_bounded_exponent(age->second, log2_base);
    dvec f_first, f_second;
    const dvec n_first = ska_rounded(first, &f_first), n_second = ska_rounded(second, &f_second);
    const vec f = ska_join(f_first, f_second);
    const vec x = ska_join(first, second);
    /* the low halves of both, in the order of the lanes */
    const bits n = (bits)V_(shuffle)((vec)n_first, (vec)n_second, 0x88);
    const vec ff = f * f;
    const vec p_4 = 1.3390863e-03f * f + 9.6180826e-03f;
    const vec p_2 = 5.5503571e-02f * f + 2.4022651e-01f;
    const vec p_0 = 6.9314719e-01f * f + 1.0f;
    const vec p = ((1.5453163e-04f * ff + p_4) * ff + p_2) * ff + p_0;
    return v_select(v_above(x, v_all((real)SKA_LEAST_EXPONENT)), (vec)((bits)p + (n << 23)), v_all(0));
}

#else

typedef dvec ska_ages;

SKA_INLINE ska_ages ska_ages_of(const double *age) {
    ska_ages ages;
    memcpy(&ages, age, sizeof ages);
    return ages;
}

SKA_INLINE vec ska_powers(const ska_ages *age, double log2_base) {
    const dvec x = *age * log2_base;
    dvec f, n, power;
#ifdef SKA_VECTORS
    n = ska_rounded(v_max(x, v_all(SKA_LEAST_EXPONENT)), &f);
    power = ska_power_of_two(n, f);
    return v_select(v_above(x, v_all(SKA_LEAST_EXPONENT)), power, v_all(0));
#else
    n = ska_rounded(x > SKA_LEAST_EXPONENT ? x : SKA_LEAST_EXPONENT, &f);
    power = ska_power_of_two(n, f);
    return x > SKA_LEAST_EXPONENT ? (real)power : 0;
#endif
}

#endif

/* (exp(x) - 1) / x for |x| < 1/64 */
SKA_INLINE vec ska_growth_of_small(vec x) {
    const vec xx = x * x;
    const vec p_4 = (real)(1. / 720) * x + (real)(1. / 120);
    const vec p_2 = (real)(1. / 24) * x + (real)(1. / 6);
    const vec p_0 = (real)0.5 * x + (real)1;
    return (((real)(1. / 5040) * xx + p_4) * xx + p_2) * xx + p_0;
}

/* exp(x) - 1 for x <= 0, which below the bound is -1 to rounding. */
SKA_INLINE vec ska_expm1_of_negative(vec x) {
#ifdef SKA_SINGLE
    const real bound = -87.0f, rounder = 12582912.0f, log2_e = 1.44269504f;
    const real ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
#else
    const real bound = -700.0, rounder = 6755399441055744.0, log2_e = 1.4426950408889634;
    const real ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
#endif
    const vec y = v_max(x, v_all(bound)), rounded = y * log2_e + rounder, n = rounded - rounder;
    const vec f = (y - n * ln2_high) - n * ln2_low;
    vec p, scale;
#ifdef SKA_SINGLE
    p = (real)(1. / 5040) * f + (real)(1. / 720);
#else
    p = (real)(1. / 6227020800) * f + (real)(1. / 479001600);
    p = p * f + (real)(1. / 39916800);
    p = p * f + (real)(1. / 3628800);
    p = p * f + (real)(1. / 362880);
    p = p * f + (real)(1. / 40320);
    p = p * f + (real)(1. / 5040);
    p = p * f + (real)(1. / 720);
#endif
    p = p * f + (real)(1. / 120);
    p = p * f + (real)(1. / 24);
    p = p * f + (real)(1. / 6);
    p = p * f + (real)0.5;
    p = f + f * f * p;
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)
    scale = (vec)(((bits)rounded << 23) + 0x3f800000);
#elif defined(SKA_VECTORS)
    scale = (vec)(((bits)rounded << 52) + 0x3ff0000000000000);
#elif defined(SKA_SINGLE)
    {
        uint32_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        bits = (bits << 23) + 0x3f800000u;
        memcpy(&scale, &bits, sizeof scale);
    }
#else
    {
        uint64_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        bits = (bits << 52) + 0x3ff0000000000000u;
        memcpy(&scale, &bits, sizeof scale);
    }
#endif
    return scale * p + (scale - 1);
}

#endif
