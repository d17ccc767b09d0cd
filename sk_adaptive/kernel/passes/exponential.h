/* Exponentials and a logarithm, to rounding. They have no branch and no table, unlike the library's,
   so that loops over them are vectorised.

   Adding 1.5 * 2^52 (single precision: 2^23) rounds a number to a whole one, n, and leaves n in
   the lowest bits, which are shifted to where the exponent is. The rest is a polynomial, summed in
   pairs, pairs of pairs and so on (Estrin): with few steps that have to wait for one another, as
   processors wait in these passes more than they compute. */

#ifndef SKA_EXPONENTIAL_H
#define SKA_EXPONENTIAL_H

#include "vectors.h"

/* -- of single numbers, in double precision -- */

/* exp(x) for x <= 0; 1e-304 below -700. x = n ln 2 + r with |r| <= ln 2 / 2, and the Taylor series of
   exp(r) - 1. */
SKA_INLINE double ska_exp_of_negative(double x) {
    const double rounder = 6755399441055744.0, bounded = x > -700.0 ? x : -700.0;
    const double t = bounded * 1.4426950408889634 + rounder, n = t - rounder;
    /* ln 2, the leading bits, and the rest */
    double r = bounded - n * 0.693147180369123816490, rr, r4, p, scale;
    uint64_t bits;
    r = r - n * 1.90821492927058770002e-10;
    rr = r * r;
    r4 = rr * rr;
    p = (1.0 / 479001600.0 + 1.0 / 6227020800.0 * r) * rr
        + (1.0 / 3628800.0 + 1.0 / 39916800.0 * r);
    p = p * r4 + ((1.0 / 40320.0 + 1.0 / 362880.0 * r) * rr + (1.0 / 720.0 + 1.0 / 5040.0 * r));
    p = p * r4 + ((1.0 / 24.0 + 1.0 / 120.0 * r) * rr + (0.5 + 1.0 / 6.0 * r));
    p = r + rr * p;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits << 52) + 0x3ff0000000000000;
    memcpy(&scale, &bits, sizeof bits);
    return scale * p + scale;
}

/* log(1 + x) for 0 <= x <= 1: 2 artanh(f / (2 + f)) with 1 + f half of 1 + x where that is nearer to
   1. */
SKA_INLINE double ska_log_of_1_plus(double x) {
    const double far = x > 0.4142135623730950488 ? 1.0 : 0.0;
    const double f = far > 0.0 ? 0.5 * (x - 1.0) : x;
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double zz = z * z, z4 = zz * zz;
    double q = 1.0 / 23.0 * zz + (1.0 / 19.0 + 1.0 / 21.0 * z);
    q = q * z4 + ((1.0 / 15.0 + 1.0 / 17.0 * z) * zz + (1.0 / 11.0 + 1.0 / 13.0 * z));
    q = q * z4 + ((1.0 / 7.0 + 1.0 / 9.0 * z) * zz + (1.0 / 3.0 + 1.0 / 5.0 * z));
    return far * 0.693147180559945309417 + (2.0 * s + 2.0 * s * z * q);
}

/* -- of vectors -- */

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
    return d_of_words(d_words(p) + (d_words(n) << 52));
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

/* exp(x) - 1 for x <= 0, not less than SKA_LEAST_LOG: x = n ln 2 + f, and the Taylor series. */
#ifdef SKA_SINGLE
#define SKA_LEAST_LOG -87.0f
#else
#define SKA_LEAST_LOG -700.0
#endif
SKA_INLINE vec ska_expm1_of_negative(vec x) {
    /* 1 / k! */
    static const real share[] = {
        1, 1, 0.5, (real)(1. / 6), (real)(1. / 24), (real)(1. / 120), (real)(1. / 720),
        (real)(1. / 5040), (real)(1. / 40320), (real)(1. / 362880), (real)(1. / 3628800),
        (real)(1. / 39916800), (real)(1. / 479001600), (real)(1. / 6227020800)};
#ifdef SKA_SINGLE
    const real rounder = 12582912.0f, log2_e = 1.44269504f;
    const real ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const int mantissa = 23, n_terms = 7;
    const uint32_t one = 0x3f800000;
#else
    const real rounder = 6755399441055744.0, log2_e = 1.4426950408889634;
    const real ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    const int mantissa = 52, n_terms = 13;
    const uint64_t one = 0x3ff0000000000000;
#endif
    const vec rounded = x * log2_e + rounder, n = rounded - rounder;
    const vec f = (x - n * ln2_high) - n * ln2_low;
    const vec scale = v_of_words((v_words(rounded) << mantissa) + one);
    vec p = v_all(share[n_terms]);
    int k;
    for (k = n_terms - 1; k >= 2; k--)
        p = p * f + share[k];
    p = f + f * f * p;
    return scale * p + (scale - 1);
}

/* (1 - exp(-u)) / u for u >= 0, the mean of an exponential decay over the time u. What is as good as
   an infinite time becomes a finite one. */
SKA_INLINE vec ska_mean_of_decay(vec *u) {
    vec of_large;
    if (!SKA_RARELY(v_any_above(*u, (real)0.015625)))
        return ska_growth_of_small(-*u);
    *u = v_min(*u, v_all(-SKA_LEAST_LOG));
    of_large = -ska_expm1_of_negative(-*u) / *u;
    return v_select(v_above(*u, v_all((real)0.015625)), of_large, ska_growth_of_small(-*u));
}

#endif
