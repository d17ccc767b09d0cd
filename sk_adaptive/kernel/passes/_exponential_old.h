/* The exponential and a logarithm, to rounding. They have no branch and no table, unlike the
   library's, so that loops over them are vectorised. Polynomials are summed in pairs, pairs of pairs
   and so on (Estrin), as a row has to wait for them.

   The exponential: x = n ln 2 + r with |r| <= ln 2 / 2; the Taylor series of expm1(r); and
   exp(x) = 2^n expm1(r) + 2^n. Adding 1.5 * 2^52 to x / ln 2 rounds it and leaves n in the lowest
   bits, which are shifted to where the exponent is. */

#ifndef SKA_OLD_EXPONENTIAL_H
#define SKA_OLD_EXPONENTIAL_H

#include <stdint.h>
#include <string.h>

/* exp(x) for x <= 0; 1e-304 below -700 */
static inline double ska_exp_double(double x) {
    const double magic = 6755399441055744.0;
    double bounded = x > -700.0 ? x : -700.0;
    double t = bounded * 1.4426950408889634 + magic;
    double n = t - magic;
    double r = bounded - n * 0.693147180369123816490; /* ln 2, the leading bits */
    double p, rr, r4, scale;
    int64_t bits;
    r = r - n * 1.90821492927058770002e-10; /* and the rest */
    rr = r * r;
    r4 = rr * rr;
    p = (1.0 / 479001600.0 + 1.0 / 6227020800.0 * r) * rr
        + (1.0 / 3628800.0 + 1.0 / 39916800.0 * r);
    p = p * r4 + ((1.0 / 40320.0 + 1.0 / 362880.0 * r) * rr + (1.0 / 720.0 + 1.0 / 5040.0 * r));
    p = p * r4 + ((1.0 / 24.0 + 1.0 / 120.0 * r) * rr + (0.5 + 1.0 / 6.0 * r));
    p = r + rr * p;
    memcpy(&bits, &t, sizeof bits);
    bits = (int64_t)((uint64_t)bits << 52) + 0x3ff0000000000000;
    memcpy(&scale, &bits, sizeof bits);
    return scale * p + scale;
}

/* log(1 + x) for 0 <= x <= 1, likewise: 2 artanh(f / (2 + f)) with 1 + f half of 1 + x where that
   is nearer to 1. */
static inline double ska_log_of_1_plus(double x) {
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

#endif
