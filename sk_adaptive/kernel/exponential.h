/* Exponentials to rounding, without branches and tables.

   Adding 1.5 * 2^52 (single precision: 2^23) rounds a number to a whole one, n, and leaves n in
   the lowest bits, which are shifted to where the exponent is. The rest is a Taylor series; the
   longer one has its even and odd powers apart, which halves the wait for one another. */

#ifndef SKA_KERNEL_EXPONENTIAL_H
#define SKA_KERNEL_EXPONENTIAL_H

#include "platform.h"

/* Powers below 2^this are 0: they change nothing, and products with them would be denormal, which
   processors are slow at. Logarithms of bases are not less than SKA_LEAST_LOGARITHM. */
#define SKA_LEAST_EXPONENT -100.0
#define SKA_LEAST_LOGARITHM -1e6

/* Doubles, side by side where there are vectors: ages are counted in them also by float builds. */
#ifdef SKA_VECTORS
typedef double dvec __attribute__((vector_size(32)));
typedef int64_t dbits __attribute__((vector_size(32)));
#else
typedef double dvec;
#endif

/* x rounded, as its low bits, and what is left of x. */
SKA_INLINE dvec ska_rounded(dvec x, dvec *rest) {
    const dvec rounder = x * 0 + 6755399441055744.0, rounded = x + rounder;
    *rest = x - (rounded - rounder);
    return rounded;
}

/* 2^(n + f) for n as `ska_rounded` has it and |f| <= 1/2: the series of exp(f ln 2). */
SKA_INLINE dvec ska_power_of_two(dvec n, dvec f) {
    const dvec ff = f * f;
    dvec even = 2.5678435993488196e-11 * ff + 7.054911620801121e-09;
    dvec odd = 1.3691488853904124e-12 * ff + 4.44553827187081e-10, p;
    even = even * ff + 1.3215486790144305e-06;
    odd = odd * ff + 1.0178086009239696e-07;
    even = even * ff + 0.00015403530393381606;
    odd = odd * ff + 1.5252733804059838e-05;
    even = even * ff + 0.009618129107628477;
    odd = odd * ff + 0.0013333558146428441;
    even = even * ff + 0.2402265069591007;
    odd = odd * ff + 0.055504108664821576;
    even = even * ff + 1.0;
    odd = odd * ff + 0.6931471805599453;
    p = even + f * odd;
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

/* base^age of one feature. */
SKA_INLINE double ska_power(double age, double log2_base) {
    const double x = age * log2_base;
    const double bounded = x > SKA_LEAST_EXPONENT ? x : SKA_LEAST_EXPONENT;
#ifdef SKA_VECTORS
    dvec f, n = ska_rounded((dvec){bounded, bounded, bounded, bounded}, &f);
    const double power = ska_power_of_two(n, f)[0];
#else
    dvec f, n = ska_rounded(bounded, &f);
    const double power = ska_power_of_two(n, f);
#endif
    return x > SKA_LEAST_EXPONENT ? power : 0.0;
}

/* Ages of LANES features: whole numbers as doubles. */
#if defined(SKA_VECTORS) && defined(SKA_SINGLE)

/* Lanes 0, 1, 4, 5 and 2, 3, 6, 7: as unpacking leaves them. */
typedef struct {
    dvec first, second;
} ska_ages;

SKA_INLINE vec ska_join(dvec first, dvec second) {
    const __m256 both = _mm256_insertf128_ps(
        _mm256_castps128_ps256(_mm256_cvtpd_ps(first)), _mm256_cvtpd_ps(second), 1);
    return (vec)_mm256_permute4x64_pd((__m256d)both, 0xd8);
}

SKA_INLINE dvec ska_bounded_exponent(dvec age, double log2_base) {
    return _mm256_max_pd(age * log2_base, _mm256_set1_pd(SKA_LEAST_EXPONENT));
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
    const mask n = (mask)_mm256_shuffle_ps((__m256)n_first, (__m256)n_second, 0x88);
    vec p = 1.5252734e-05f * f + 1.5403530e-04f;
    p = p * f + 1.3333558e-03f;
    p = p * f + 9.6181291e-03f;
    p = p * f + 5.5504109e-02f;
    p = p * f + 2.4022651e-01f;
    p = p * f + 6.9314718e-01f;
    p = p * f + 1.0f;
    return v_select(x > (real)SKA_LEAST_EXPONENT, (vec)((mask)p + (n << 23)), v_all(0));
}

#else

typedef dvec ska_ages;

SKA_INLINE vec ska_powers(const ska_ages *age, double log2_base) {
#ifdef SKA_VECTORS
    const vec x = *age * log2_base, bounded = v_max(x, v_all(SKA_LEAST_EXPONENT));
    dvec f, n = ska_rounded(bounded, &f);
    return v_select(x > SKA_LEAST_EXPONENT, ska_power_of_two(n, f), v_all(0));
#else
    return (real)ska_power(*age, log2_base);
#endif
}

#endif

/* (exp(x) - 1) / x for |x| < 1/64 */
SKA_INLINE vec ska_growth_of_small(vec x) {
    vec p = (real)(1. / 5040) * x + (real)(1. / 720);
    p = p * x + (real)(1. / 120);
    p = p * x + (real)(1. / 24);
    p = p * x + (real)(1. / 6);
    p = p * x + (real)0.5;
    return p * x + (real)1;
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
    scale = (vec)(((mask)rounded << 23) + 0x3f800000);
#elif defined(SKA_VECTORS)
    scale = (vec)(((mask)rounded << 52) + 0x3ff0000000000000);
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
