/* Exponentials to rounding that have no branch and no table, unlike the library's, so that
   loops over them are vectorised.

   x = n ln 2 + r with |r| <= ln 2 / 2; the Taylor series of expm1(r); and
   expm1(x) = 2^n expm1(r) + (2^n - 1). Adding 1.5 * 2^52 (single precision: 2^23) to
   x / ln 2 rounds it and leaves n in the lowest bits, which are shifted to where the
   exponent is. */

#ifndef SKA_EXPONENTIAL_H
#define SKA_EXPONENTIAL_H

#include <stdint.h>
#include <string.h>

/* 2^n and expm1(r) for -700 <= x <= 0 */
static inline void ska_split_exponential(double x, double *scale, double *p) {
    const double magic = 6755399441055744.0;
    double t = x * 1.4426950408889634 + magic;
    double n = t - magic;
    double r = x - n * 0.693147180369123816490; /* ln 2, the leading bits */
    double q = 1.0 / 6227020800.0;
    int64_t bits;
    r = r - n * 1.90821492927058770002e-10; /* and the rest */
    q = q * r + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    *p = r + r * r * q;
    memcpy(&bits, &t, sizeof bits);
    bits = (int64_t)((uint64_t)bits << 52) + 0x3ff0000000000000;
    memcpy(scale, &bits, sizeof bits);
}

/* exp(x) for x <= 0; 1e-304 below -700 */
static inline double ska_exp_double(double x) {
    double scale, p;
    ska_split_exponential(x > -700.0 ? x : -700.0, &scale, &p);
    return scale * p + scale;
}

/* exp(x) - 1 for x <= 0, which below the clamp is -1 to rounding */
static inline double ska_expm1_double(double x) {
    double scale, p;
    ska_split_exponential(x > -700.0 ? x : -700.0, &scale, &p);
    return scale * p + (scale - 1.0);
}

static inline float ska_expm1_single(float x) {
    const float magic = 12582912.0f;
    float t, n, r, p, scale;
    int32_t bits;
    x = x > -87.0f ? x : -87.0f;
    t = x * 1.44269504f + magic;
    n = t - magic;
    r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = r + r * r * p;
    memcpy(&bits, &t, sizeof bits);
    bits = (int32_t)((uint32_t)bits << 23) + 0x3f800000;
    memcpy(&scale, &bits, sizeof scale);
    return scale * p + (scale - 1.0f);
}

#endif
