"""The optimizers, lazily exact, and the loop over the rows.

Design
------
1. A feature's whole state (its K weights, its moments, the time it was last
   brought up to date) is one contiguous record, a power of two or a multiple
   of 64 bytes long, so that a touch costs one cache line. Records of coming
   rows are prefetched: the shuffled order is known in advance, and nothing
   gains more.

2. A step copies the records of the features that it touches side by side into
   buffers (the working set), does all its arithmetic there, and copies them
   back. The arithmetic is plain loops over contiguous arrays, which compilers
   vectorise, and each optimizer is little more than its formula. A loop
   takes at most five arrays, as compilers check only so many for overlap. With
   many outputs it runs over blocks of features that stay in the first cache. There
   a record is an array by itself, and AdaGrad, whose arithmetic is short, does without
   the copies (see `works_in_place`).

3. Buffers are filled up to a multiple of LANES with zeros, which every formula
   leaves alone, and sums run in LANES parts: no loop has a remainder, and none
   waits for its own last result.

4. Nothing is written back before the new state is known to be finite: a step
   happens whole or not at all.

5. The methods of an optimizer are virtual: they are called once a step, for
   dozens of features. The precision is a type of the C compiler, and this file is
   compiled once for each precision and set of instructions. So the only static
   (fused) type is that of the CSR's indices.

6. The intercept is active at every step, so it needs no laziness: it is kept
   in float64 beside the records and moved by the textbook update.

Time
----
``t`` counts finished steps. eta_t is the learning rate of step t. Penalties
are charged by the flow dw/dtau = -(l2 w + l1 sign w) / h, stopped at zero.
``charged`` is S_t, the sum over all steps of eta, so that the charge which a
feature owes for its idle time is a function of S_now - S_then: charging tau1
and then tau2 is charging tau1 + tau2. ``metric`` is 1/h as of the last
gradient, and 0 for a coefficient that has not had one, which is not charged.

A coefficient whose gradient is zero is idle, whether its feature was absent,
the loss was flat or the gradients of a mini-batch cancelled.

A record in single precision keeps S in single precision too: what is charged
is the difference of two rounded sums, and these differences add up to the
rounded whole, whatever the rounding of each.

Averages
--------
Weights are averaged over S: a step counts by its learning rate, and while the penalty
makes a weight flow, the average is over the flow. A record then ends with the ``integral``
of each weight over S, up to ``integrated``, both in double precision. An idle weight's is a
closed form again, and adds up as the flow does. What momentum is still to do is
treated as in the weight itself: an exactly lazy record holds the integral with
all of the tail's, over the S to come, and a touch takes off what has not come yet.

Averages are only ever read out: steps do the same with and without them. To begin
later is to subtract, once, what the integrals are by then.
"""

import numpy as np

cimport cython
from libc.math cimport (
    acos, ceil, copysign, cos, exp, expm1, fabs, INFINITY, isfinite, log, log1p, pow, sqrt
)
from libc.stdint cimport int32_t, int64_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from sk_adaptive._losses cimport Loss

cdef extern from *:
    """
    #include <float.h>
    #include <math.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    /* Into the second level: the first is small, and full of the row in hand. Always inlined:
       GCC takes a function that does nothing but prefetch for one without effect, and
       drops its calls. */
    #if defined(__GNUC__) || defined(__clang__)
    #define SKA_INLINE static inline __attribute__((always_inline))
    #define ska_prefetch(address) __builtin_prefetch((address), 0, 2)
    #define ska_prefetch_first(address) __builtin_prefetch((address), 0, 3)
    #elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    #include <xmmintrin.h>
    #define SKA_INLINE static __forceinline
    #define ska_prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
    #define ska_prefetch_first(address) _mm_prefetch((const char *)(address), _MM_HINT_T0)
    #else
    #define SKA_INLINE static inline
    #define ska_prefetch(address) ((void)(address))
    #define ska_prefetch_first(address) ((void)(address))
    #endif

    #define SKA_CACHE_LINE 64

    SKA_INLINE void ska_prefetch_array(const void *address, ptrdiff_t size) {
        const char *line = (const char *)((uintptr_t)address & ~(uintptr_t)(SKA_CACHE_LINE - 1));
        const char *end = (const char *)address + size;
        for (; line < end; line += SKA_CACHE_LINE)
            ska_prefetch(line);
    }

    /* Of what has been fetched into the second level, from there into the first. */
    SKA_INLINE void ska_prefetch_near(const void *address, ptrdiff_t size) {
        const char *line = (const char *)address;
        const char *end = line + size;
        for (; line < end; line += SKA_CACHE_LINE)
            ska_prefetch_first(line);
    }

    #ifdef SKA_SINGLE
    typedef float ska_real;
    #define ska_sqrt sqrtf
    #define ska_fabs fabsf
    #define ska_expm1 ska_expm1_single
    #define SKA_TINY FLT_MIN
    #define SKA_EPSILON FLT_EPSILON
    typedef int32_t ska_count;
    #else
    typedef double ska_real;
    #define ska_sqrt sqrt
    #define ska_fabs fabs
    #define ska_expm1 ska_expm1_double
    #define SKA_TINY DBL_MIN
    #define SKA_EPSILON DBL_EPSILON
    typedef int64_t ska_count;
    #endif

    /* Short loops, once a record, can't afford to find out whether arrays overlap. */
    typedef ska_real *restrict ska_out;
    typedef const ska_real *restrict ska_in;

    #include "_exponential.h"
    #include "_records.h"
    """
    ctypedef double real "ska_real"
    ctypedef real* restricted "ska_out"
    ctypedef const real* const_restricted "ska_in"
    ctypedef int64_t count "ska_count"
    real root "ska_sqrt"(real x) noexcept nogil
    real magnitude "ska_fabs"(real x) noexcept nogil
    real expm1_of_negative "ska_expm1"(real x) noexcept nogil
    real TINY "SKA_TINY"
    real EPSILON "SKA_EPSILON"
    enum:
        CACHE_LINE "SKA_CACHE_LINE"
    void ska_prefetch(const void* address) noexcept nogil
    void prefetch_near "ska_prefetch_near"(const void* address, Py_ssize_t size) noexcept nogil
    void prefetch_array "ska_prefetch_array"(const void* address, Py_ssize_t size) noexcept nogil
    enum:
        MOST_ARRAYS "SKA_MOST_ARRAYS"
    void copy_in "ska_copy_in"(
        real** arrays, int64_t* last, const unsigned char* memory, const int64_t* offset,
        Py_ssize_t n, const int64_t* ahead, Py_ssize_t n_ahead, int n_arrays, bint penalised,
        bint forgets) noexcept nogil
    void copy_out "ska_copy_out"(
        real** arrays, int64_t t, real charged, unsigned char* memory, const int64_t* offset,
        Py_ssize_t n, const int64_t* ahead, Py_ssize_t n_ahead, int n_arrays, bint penalised,
        bint forgets) noexcept nogil

ctypedef fused index:
    int32_t
    int64_t

# Rows whose records are fetched ahead of the one being learned, and rows whose
# entries are, and whose targets and places are: each is needed to find the next.
cdef enum:
    RECORDS_AHEAD = 2
    ENTRIES_AHEAD = 6
    ROWS_AHEAD = 10
    SLOTS_AHEAD = 8
    MAX_PREFETCHED_LINES = 8

# What can end a run of the row loop early.
cdef enum:
    DONE = 0
    NOT_FINITE = 1
    OUT_OF_MEMORY = 2

# Elements that a loop handles side by side; those charged at once; and those that the
# arithmetic of a step runs over at once.
cdef enum:
    LANES = 8
    CHARGE_BLOCK = 64
    BLOCK = 1024

# Features handled at once where all of them are read or rewritten.
cdef enum:
    SWEEP = 256

# The expansion of Adam's momentum tail: at most so many moments, shared over
# a block of so many steps, and sums of at most so many terms.
cdef enum:
    MAX_MOMENTS = 24
    FIRST_BLOCK = 64
    LAST_BLOCK = 512
    MAX_TERMS = 1 << 14
    NODES = 48
    SMALL_POWERS = 256

# The square of this, and sums of some such squares, do not overflow in single precision.
cdef double HARMLESS = 1e18

# Powers below this are zero: smaller ones change nothing, and products with them would
# be denormal, which processors are slow at.
cdef double NO_POWER = 1e-30


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """n up to a multiple of LANES."""
    return (n + LANES - 1) & ~<Py_ssize_t>(LANES - 1)


@cython.final
cdef class PowerTable:
    """base^k for whole k >= 0 without a call of pow, from tables that stay in cache."""

    cdef:
        double logarithm
        double[SMALL_POWERS] low, middle, high

    def __cinit__(self, double log_base):
        cdef int i
        self.logarithm = log_base
        for i in range(SMALL_POWERS):
            self.low[i] = self.power(i)
            self.middle[i] = self.power(<double>i * SMALL_POWERS)
            self.high[i] = self.power(<double>i * SMALL_POWERS * SMALL_POWERS)

    cdef double power(self, double k) noexcept nogil:
        # base 0 has the logarithm -inf, and 0^0 is 1
        cdef double value = exp(self.logarithm * k) if k else 1.0
        return value if value > NO_POWER else 0.0

    cdef inline double get(self, int64_t k) noexcept nogil:
        # what takes long to come back is rare, and processors foresee it
        if k < SMALL_POWERS * SMALL_POWERS:
            return self.low[k & 255] * self.middle[k >> 8]
        if k < SMALL_POWERS * SMALL_POWERS * SMALL_POWERS:
            return self.low[k & 255] * self.middle[(k >> 8) & 255] * self.high[k >> 16]
        return self.power(<double>k)


# --- The arithmetic: loops over n elements (features x outputs) side by side ---

cdef inline real expm1_of_small(real x) noexcept nogil:
    """For |x| < 1/64."""
    return x * (<real>1 + x * (<real>0.5 + x * (<real>(1. / 6) + x * (<real>(1. / 24) + x * (
        <real>(1. / 120) + x * (<real>(1. / 720) + x * <real>(1. / 5040)))))))


cdef inline real largest(const real* a, Py_ssize_t n) noexcept nogil:
    """Of n numbers that are not negative, n being a multiple of LANES."""
    cdef real[LANES] lane
    cdef real result = 0
    cdef Py_ssize_t i
    cdef int k
    for k in range(LANES):
        lane[k] = 0
    for i in range(n // LANES):
        for k in range(LANES):
            lane[k] = a[LANES * i + k] if a[LANES * i + k] > lane[k] else lane[k]
    for k in range(LANES):
        result = lane[k] if lane[k] > result else result
    return result


cdef void charge(real* w, const real* tau, Py_ssize_t n, real l1, real l2) noexcept nogil:
    """Let w flow for the time tau: the closed form of dw/dtau = -(l2 w + l1 sign w)."""
    cdef Py_ssize_t start = 0, size
    # In blocks, for a rare feature, long idle, to slow down only its neighbours.
    while start < n:
        size = min(n - start, <Py_ssize_t>CHARGE_BLOCK)
        charge_block(w + start, tau + start, size, l1, l2, largest(tau + start, size))
        start += CHARGE_BLOCK


cdef inline double mean_loss(double x) noexcept nogil:
    """(x - 1 + exp(-x)) / x^2, which is 1/2 at 0."""
    if x > 0.05:
        return (x + expm1(-x)) / (x * x)
    return 1. / 2 - x * (1. / 6 - x * (1. / 24 - x * (1. / 120 - x * (1. / 720 - x * (
        1. / 5040 - x * (1. / 40320 - x * (1. / 362880)))))))


cdef double integral_of_flow(double w, double span, double l1, double l2) noexcept nogil:
    """Of what `charge` makes of w, while S grows by span; l1 and l2 times the inverse metric."""
    cdef double size = fabs(w), loss
    if l1 > 0:
        # until it stops at zero
        span = min(span, log1p(l2 * size / l1) / l2 if l2 > 0 else size / l1)
    loss = span * span * mean_loss(l2 * span)
    return copysign(size * span - (l2 * size + l1) * loss, w)


cdef void charge_owed(
    real* w, real* tau, const real* metric, Py_ssize_t n, real charged, real l1, real l2
) noexcept nogil:
    """The same for the time since S was tau. metric is NULL where it is 1 everywhere."""
    cdef Py_ssize_t start = 0, size
    cdef real longest
    while start < n:
        size = min(n - start, <Py_ssize_t>CHARGE_BLOCK)
        if metric == NULL:
            longest = owe(tau + start, size, charged)
        else:
            longest = owe_by_metric(tau + start, metric + start, size, charged)
        charge_block(w + start, tau + start, size, l1, l2, longest)
        start += CHARGE_BLOCK


cdef inline real owe(restricted tau, Py_ssize_t n, real charged) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        tau[i] = charged - tau[i]
    return largest(tau, n)


cdef inline real owe_by_metric(
    restricted tau, const_restricted metric, Py_ssize_t n, real charged
) noexcept nogil:
    cdef real[LANES] lane
    cdef real result = 0, time
    cdef Py_ssize_t i
    cdef int k
    for k in range(LANES):
        lane[k] = 0
    for i in range(n // LANES):
        for k in range(LANES):
            time = (charged - tau[LANES * i + k]) * metric[LANES * i + k]
            lane[k] = time if time > lane[k] else lane[k]
            tau[LANES * i + k] = time
    for k in range(LANES):
        result = lane[k] if lane[k] > result else result
    return result


cdef inline void charge_block(
    restricted w, const_restricted tau, Py_ssize_t n, real l1, real l2, real longest
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real rise, size
    cdef real threshold = l1 / l2 if l2 > 0 else <real>0
    if l1 == 0:
        if l2 * longest < <real>0.015625:
            for i in range(n):
                w[i] += w[i] * expm1_of_small(-l2 * tau[i])
        else:
            for i in range(n):
                w[i] += w[i] * expm1_of_negative(-l2 * tau[i])
    elif l2 == 0:
        for i in range(n):
            size = magnitude(w[i]) - l1 * tau[i]
            size = size if size > 0 else 0
            w[i] = size if w[i] >= 0 else -size
    elif l2 * longest < <real>0.015625:
        for i in range(n):
            rise = expm1_of_small(-l2 * tau[i])
            size = magnitude(w[i])
            size = size + (size + threshold) * rise
            size = size if size > 0 else 0
            w[i] = size if w[i] >= 0 else -size
    else:
        for i in range(n):
            rise = expm1_of_negative(-l2 * tau[i])
            size = magnitude(w[i])
            size = size + (size + threshold) * rise
            size = size if size > 0 else 0
            w[i] = size if w[i] >= 0 else -size


cdef bint all_finite(const real* a, const real* b, Py_ssize_t n) noexcept nogil:
    """Whether all sums a + b are finite: inf and NaN times zero are NaN, which stays."""
    cdef real[LANES] lane
    cdef real total = 0
    cdef Py_ssize_t i
    cdef int k
    for k in range(LANES):
        lane[k] = 0
    for i in range(n // LANES):
        for k in range(LANES):
            lane[k] += (a[LANES * i + k] + b[LANES * i + k]) * <real>0
    for k in range(LANES):
        total += lane[k]
    return total == 0


cdef double dot(const real* a, const real* b, Py_ssize_t n) noexcept nogil:
    cdef double[LANES] lane
    cdef double total = 0.0
    cdef Py_ssize_t i
    cdef int k
    for k in range(LANES):
        lane[k] = 0.0
    for i in range(n // LANES):
        for k in range(LANES):
            lane[k] += <double>a[LANES * i + k] * <double>b[LANES * i + k]
    for i in range(n // LANES * LANES, n):
        total += <double>a[i] * <double>b[i]
    for k in range(LANES):
        total += lane[k]
    return total


cdef double dot_at(
    const real* a, const real* b, const int32_t* place, Py_ssize_t n
) noexcept nogil:
    """The same where element j of b is at place[j]."""
    cdef double total_0 = 0.0, total_1 = 0.0, total_2 = 0.0, total_3 = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        total_0 += <double>a[i] * <double>b[place[i]]
        total_1 += <double>a[i + 1] * <double>b[place[i + 1]]
        total_2 += <double>a[i + 2] * <double>b[place[i + 2]]
        total_3 += <double>a[i + 3] * <double>b[place[i + 3]]
        i += 4
    while i < n:
        total_0 += <double>a[i] * <double>b[place[i]]
        i += 1
    return (total_0 + total_1) + (total_2 + total_3)


cdef void multiply(real* a, const real* b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        a[i] *= b[i]


cdef void subtract(real* a, const real* b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        a[i] -= b[i]


# AdaGrad's r is 1 / sqrt(G + eps), or 0 before the first gradient.
#
# In single precision a frequent feature's r and weight would stop changing after some million
# steps, when what a step changes is less than half of their last digit. So before they are
# rounded a fraction of the last digit, from -1/2 to 1/2, is added that is another in each step:
# what is lost in one step is gained in others.

cdef inline real fraction(int64_t t, uint64_t stride) noexcept nogil:
    """Of step t: a Weyl sequence, which fills the range more evenly than random numbers."""
    return <real>((<double>((<uint64_t>t * stride) >> 32) + 0.5) / 4294967296.0 - 0.5)


cdef inline real last_digit(real x) noexcept nogil:
    """What the last binary digit of x is worth, with the sign of x."""
    return (x + x * (<real>0.75 * EPSILON)) - x


cdef inline real adagrad_ratio(real r, real g) noexcept nogil:
    """The gradient by the root of what was before it, if there was any."""
    return g * r if r > 0 else g


cdef inline real adagrad_root(real r, real g, real q, real eps, real dither) noexcept nogil:
    """r after the gradient g, whose ratio is q."""
    cdef real p = q * q, s = root((<real>1 if r > 0 else eps) + p), part
    cdef bint small
    if sizeof(real) == 8:
        return (r if r > 0 else <real>(g != 0)) / s
    # r / s as r - r p / (s (s + 1)), whose change is exact to rounding where it is small
    small = r > 0 and p < 1
    part = (p if small else <real>(g != 0)) / (s * (s + 1) if small else s)
    if small:
        return r - (r * part + (dither * last_digit(r) if g != 0 else 0))
    return (r if r > 0 else <real>1) * part


cdef inline real adagrad_weight(real w, real change, real g, real dither) noexcept nogil:
    """w less the change that the gradient g makes."""
    if sizeof(real) == 8:
        return w - change
    return w - (change + (dither * last_digit(w) if g != 0 else 0))


cdef void adagrad_step(
    restricted w, restricted r, const_restricted g, Py_ssize_t n, real factor, real eta, real eps,
    real dither_r, real dither_w,
) noexcept nogil:
    """For the gradients factor g. r becomes NaN if their square overflows."""
    cdef Py_ssize_t i
    cdef real gradient, q, r_new
    for i in range(n):
        gradient = factor * g[i]
        q = adagrad_ratio(r[i], gradient)
        r_new = adagrad_root(r[i], gradient, q, eps, dither_r)
        w[i] = adagrad_weight(w[i], eta * gradient * r_new, gradient, dither_w)
        r[i] = r_new + q * q * <real>0


cdef inline void adagrad_read(
    restricted w, const_restricted stored, const_restricted r, Py_ssize_t K, real tau
) noexcept nogil:
    """The K weights of a record, charged for tau, which is l2 times the S that they owe."""
    cdef Py_ssize_t k
    cdef count n_long = 0
    for k in range(K):
        w[k] = stored[k] + stored[k] * expm1_of_small(-tau * r[k])
        n_long += tau * r[k] >= <real>0.015625
    if n_long:
        for k in range(K):
            w[k] = stored[k] + stored[k] * expm1_of_negative(-tau * r[k])


cdef inline void adagrad_write(
    restricted stored, restricted r, const_restricted w, const_restricted g,
    Py_ssize_t K, real x, real eta, real eps, real dither_r, real dither_w,
) noexcept nogil:
    """`adagrad_step` from the weights w to a record, for the gradients g x."""
    cdef Py_ssize_t k
    cdef real gradient
    for k in range(K):
        gradient = g[k] * x
        r[k] = adagrad_root(r[k], gradient, adagrad_ratio(r[k], gradient), eps, dither_r)
        stored[k] = adagrad_weight(w[k], eta * gradient * r[k], gradient, dither_w)


cdef inline void add_multiple(
    restricted sums, const_restricted w, Py_ssize_t K, real x
) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(K):
        sums[k] += x * w[k]


cdef void rmsprop_step(
    restricted w, restricted s, restricted metric, const_restricted g, Py_ssize_t n,
    real eta, real rho, real share, real eps, bint masked,
) noexcept nogil:
    """s is the root of the textbook's v, and share 1 - rho, which is exact only in advance."""
    cdef Py_ssize_t i
    cdef real s_new, r
    for i in range(n):
        s_new = root(rho * s[i] * s[i] + share * g[i] * g[i])
        r = <real>1 / (s_new + eps)
        w[i] -= eta * g[i] * r
        metric[i] = r if g[i] != 0 else metric[i]
        s[i] = s[i] if masked and g[i] == 0 else s_new


cdef void adam_moments(
    restricted m, restricted s, const_restricted g, Py_ssize_t n, real b1, real share_1, real b2,
    real share_2, bint masked
) noexcept nogil:
    """s is the root of the textbook's v, and shares are 1 - b1 and 1 - b2."""
    cdef Py_ssize_t i
    cdef real m_new, s_new
    for i in range(n):
        m_new = b1 * m[i] + share_1 * g[i]
        s_new = root(b2 * s[i] * s[i] + share_2 * g[i] * g[i])
        m[i] = m[i] if masked and g[i] == 0 else m_new
        s[i] = s[i] if masked and g[i] == 0 else s_new


cdef void adam_metric(
    restricted r, restricted y, const_restricted s, Py_ssize_t n, real z_0, real eps
) noexcept nogil:
    """r = 1 / (sqrt(vhat) + eps), and y = s r, the variable of the tail's expansion."""
    cdef Py_ssize_t i
    for i in range(n):
        r[i] = <real>1 / (s[i] * z_0 + eps)
        y[i] = s[i] * r[i]


cdef void polynomial(
    restricted value, const_restricted y, Py_ssize_t n, const double* coefficients, int n_coefficients
) noexcept nogil:
    """Horner's rule, four coefficients a pass, so that the loop has no inner loop."""
    cdef Py_ssize_t i
    cdef int p = n_coefficients - 4
    cdef real c0, c1, c2, c3
    if p < 0:
        memset(value, 0, n * sizeof(real))
        return
    c0, c1 = <real>coefficients[p], <real>coefficients[p + 1]
    c2, c3 = <real>coefficients[p + 2], <real>coefficients[p + 3]
    for i in range(n):
        value[i] = ((c3 * y[i] + c2) * y[i] + c1) * y[i] + c0
    p -= 4
    while p >= 0:
        c0, c1 = <real>coefficients[p], <real>coefficients[p + 1]
        c2, c3 = <real>coefficients[p + 2], <real>coefficients[p + 3]
        for i in range(n):
            value[i] = (((value[i] * y[i] + c3) * y[i] + c2) * y[i] + c1) * y[i] + c0
        p -= 4


cdef void chebyshev_sum(
    real* value, const real* y, Py_ssize_t n, const double* c, int n_coefficients, real z_0
) noexcept nogil:
    """Clenshaw's rule at 2 x - 1 with x = y z_0, for n a multiple of LANES."""
    cdef Py_ssize_t start = 0
    while start < n:
        chebyshev_lanes(value + start, y + start, c, n_coefficients, z_0)
        start += LANES


cdef inline void chebyshev_lanes(
    restricted value, const_restricted y, const double* c, int n_coefficients, real z_0
) noexcept nogil:
    cdef real[LANES] point, later, last
    cdef real coefficient, here
    cdef int k, p
    for k in range(LANES):
        point[k] = 4 * (y[k] * z_0) - 2
        later[k] = last[k] = 0
    for p in range(n_coefficients - 1, 0, -1):
        coefficient = <real>c[p]
        for k in range(LANES):
            here = coefficient + point[k] * later[k] - last[k]
            last[k] = later[k]
            later[k] = here
    coefficient = <real>c[0]
    for k in range(LANES):
        value[k] = coefficient + <real>0.5 * point[k] * later[k] - last[k]


cdef void clear_masked(real* m, const real* g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        m[i] = 0 if g[i] == 0 else m[i]


cdef void update_metric(real* metric, const real* r, const real* g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        metric[i] = r[i] if g[i] != 0 else metric[i]


# --- Records in and out of the working set ---

cdef inline void copy(real* to, const real* numbers, Py_ssize_t n) noexcept nogil:
    """For a few dozen numbers: shorter than a call of memcpy."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = numbers[i]


# --- The optimizers ---

cdef class Optimizer:
    """Lazy state of a linear model, and what every optimizer does with it.

    Parameters
    ----------
    records : ndarray of shape (n_features,), of the dtype of `_state.record_dtype`
        Changed in place.
    intercept : float64 ndarray of shape (3, n_outputs)
        The intercepts and their moments. Changed in place.
    n_outputs : int
    t : int
        Steps done.
    charged : float
        S_t.
    eta0, power_t : float
        The learning rate of step t is eta0 / t^power_t.
    l1, l2 : float
        Strengths of the penalties.
    eps : float
        At least the least normal number of the precision, for 1 / eps to be finite.
    exact : bool
        Whether idle coefficients follow the dense algorithm, or stay (masked).
    average : int
        The step whose weights are the first in the average; 0: there is none.
    average_start : float
        S when averaging began; infinity: it has not.
    intercept_integral : float64 ndarray of shape (n_outputs,)
        Of the intercepts over S since then. Changed in place.
    """

    cdef:
        # the state
        readonly object records, intercept_array
        unsigned char[::1] memory
        double[:, ::1] intercept
        Py_ssize_t n_features, n_outputs, stride, fetched_size
        # stride is this power of two, or it is 0
        int shift
        # What a record holds: with `forgets` last_step, an int64; n_arrays times n_outputs
        # numbers, the weights, the moments and with `has_metric` the inverse metrics; and
        # with `penalised` the number charged.
        bint forgets, has_second, has_metric, penalised
        int n_arrays
        # time
        readonly int64_t t
        readonly double charged
        double eta0, power_t, eta, increment, l1, l2, eps
        bint exact
        # how the moments age while idle; None: they do not
        PowerTable first_age, second_age
        # The working set: where the records of n features are, in bytes, and n x n_outputs
        # weights, moments, metrics, pending charges, gradients and three scratch arrays.
        Py_ssize_t n, capacity, block
        const int64_t* offset
        int64_t[SWEEP] sweep_offset
        void* buffer
        real* w
        real* first
        real* second
        real* metric
        real* tau
        real* g
        real* scratch_1
        real* scratch_2
        real* scratch_3
        # and of each feature the step up to which its record was
        int64_t* last
        # Averages: where a record has its integrals, and those of the working set.
        bint averaged
        int64_t average
        readonly double average_start
        double[::1] intercept_integral
        Py_ssize_t integral_place
        double* integral
        # A step on one row: its entries, and the loss's derivatives by the margins.
        const real* x
        # The same entries where `move` itself is to multiply them by the derivative, else NULL.
        const real* row
        const double* by_margin
        # Where the records of a row to come are, to be fetched meanwhile. They are spread over
        # what else there is to do: all at once, processors wait for them, or drop some.
        const int64_t* ahead
        Py_ssize_t n_ahead, n_fetched

    def __init__(
        self, records, intercept, *, n_outputs, t, charged, eta0, power_t, l1, l2, eps, exact,
        average, average_start, intercept_integral,
    ):
        fields = records.dtype.fields
        if fields["coef"][0].base.itemsize != sizeof(real):
            raise TypeError("records must have the precision of this kernel")
        self.records = records
        self.intercept_array = intercept
        self.memory = records.view(np.uint8)
        self.intercept = intercept
        self.n_features = records.shape[0]
        self.n_outputs = n_outputs
        self.stride = records.dtype.itemsize
        self.shift = 0
        while <Py_ssize_t>1 << self.shift < self.stride:
            self.shift += 1
        if <Py_ssize_t>1 << self.shift != self.stride:
            self.shift = 0
        # Of a long record processors fetch the rest by themselves.
        self.fetched_size = min(self.stride, <Py_ssize_t>(MAX_PREFETCHED_LINES * CACHE_LINE))
        self.forgets = "last_step" in fields
        self.has_metric = "inverse_metric" in fields
        self.penalised = "charged" in fields
        self.averaged = "integral" in fields
        self.n_arrays = len(fields) - self.forgets - self.penalised - 2 * self.averaged
        self.average = average
        self.average_start = average_start
        self.intercept_integral = intercept_integral
        self.integral_place = fields["integral"][1] if self.averaged else 0
        self.has_second = self.n_arrays - self.has_metric > 2
        self.t = t
        self.charged = charged
        self.eta0 = eta0
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.eps = max(eps, TINY)
        self.exact = exact
        self.first_age = self.second_age = None
        self.capacity = 0
        self.row = NULL
        self.ahead = NULL
        self.n_ahead = self.n_fetched = 0
        # whole features, and a multiple of LANES
        self.block = max(<Py_ssize_t>LANES, BLOCK // self.n_outputs & ~<Py_ssize_t>(LANES - 1))

    def __dealloc__(self):
        free(self.buffer)

    # -- what an optimizer defines, for n elements of the working set from `start` on --

    cdef void bring_up_to_date(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """Turn carried weights, as records hold them, into weights after step t."""
        pass

    cdef void put_to_rest(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """The inverse of bring_up_to_date."""
        pass

    cdef void take_over(self, Optimizer old, Py_ssize_t n) noexcept nogil:
        """The working set of another optimizer of the class, up to date, as this one's."""
        memcpy(self.w, old.w, n * sizeof(real))
        memcpy(self.first, old.first, n * sizeof(real))
        memcpy(self.second, old.second, n * sizeof(real))
        if old.has_metric:
            memcpy(self.metric, old.metric, n * sizeof(real))
        else:
            memset(self.metric, 0, n * sizeof(real))

    cdef const real* inverse_metric(self, Py_ssize_t start) noexcept nogil:
        """What turns the S that weights owe into the times that they flow for; NULL: all 1."""
        return self.metric + start if self.has_metric else NULL

    cdef void step(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """Move the weights by their gradients: step t, which has begun."""
        pass

    cdef void step_intercept(self, double* b, double* m, double* v, double g) noexcept nogil:
        """The textbook update of one intercept."""
        pass

    cdef void prepare(self) noexcept nogil:
        """Compute what all features share after step t."""
        pass

    cdef double charge_of(self, double eta) noexcept nogil:
        """What a step adds to S."""
        return eta

    cdef double charged_at_store(self) noexcept nogil:
        """S up to which the weights that a step stores are charged: the step is still owed."""
        return self.charged

    # -- in place: what an optimizer may define to learn one row without the working set --

    cdef bint works_in_place(self) noexcept nogil:
        """Whether the three methods below are defined."""
        return False

    cdef void read_row(self, double* margins) noexcept nogil:
        """Weights after step t to `w`, and the row's margins without intercept."""
        pass

    cdef bint is_bounded(self) noexcept nogil:
        """Whether no number of a record can overflow in this step."""
        return False

    cdef void write_row(self) noexcept nogil:
        """Step from `w` to the records."""
        pass

    # -- what all of them share --

    cdef inline void fetch_half(self, Py_ssize_t j) noexcept nogil:
        """Fetch of the records ahead what is due with feature j of 2 n, for several outputs."""
        while self.n_fetched * 2 * self.n < (j + 1) * self.n_ahead:
            prefetch_array(&self.memory[0] + self.ahead[self.n_fetched], self.fetched_size)
            self.n_fetched += 1

    cdef double learning_rate(self, int64_t t) noexcept nogil:
        return self.eta0 if self.power_t == 0 else self.eta0 / pow(<double>t, self.power_t)

    cdef bint reserve(self, Py_ssize_t n) noexcept nogil:
        """Make room for n features in the working set; False if there is no memory."""
        if n <= self.capacity and self.capacity > 0:
            return True
        n += n // 4 + 1
        # A buffer begins at a cache line; the steps, eight bytes each, come last.
        cdef Py_ssize_t room = 2 * CACHE_LINE, size = n * self.n_outputs * sizeof(real)
        size = (size + room - 1) // CACHE_LINE * CACHE_LINE
        free(self.buffer)
        self.capacity = 0
        self.buffer = malloc(
            9 * size + n * sizeof(int64_t) + CACHE_LINE
            + (n * self.n_outputs * sizeof(double) if self.averaged else 0))
        if self.buffer == NULL:
            return False
        cdef char* start = <char*>self.buffer
        start += -<uintptr_t>start & (CACHE_LINE - 1)
        self.w = <real*>start
        self.first = <real*>(start + size)
        self.second = <real*>(start + 2 * size)
        self.metric = <real*>(start + 3 * size)
        self.tau = <real*>(start + 4 * size)
        self.g = <real*>(start + 5 * size)
        self.scratch_1 = <real*>(start + 6 * size)
        self.scratch_2 = <real*>(start + 7 * size)
        self.scratch_3 = <real*>(start + 8 * size)
        self.last = <int64_t*>(start + 9 * size)
        self.integral = <double*>(self.last + n)
        self.capacity = n
        return True

    cdef void load(self) noexcept nogil:
        """Weights and moments after step t of the n features named by `offset`."""
        cdef Py_ssize_t start = 0, n
        cdef Py_ssize_t K = self.n_outputs
        while start < self.n:
            n = min(self.block, self.n - start)
            self.clear_last((start + n) * K)
            if K == 1:
                self.copy_in_single(start, n)
            else:
                self.copy_in_outputs(start, n)
            if self.forgets:
                self.age(start, n)
            if self.penalised:
                charge_owed(
                    self.w + start * K, self.tau + start * K, self.inverse_metric(start * K),
                    padded(n * K), <real>self.charged, <real>self.l1, <real>self.l2)
            self.bring_up_to_date(start * K, padded(n * K))
            start += n

    cdef void name_arrays(self, Py_ssize_t start, real** arrays) noexcept nogil:
        """The arrays of a record's numbers in their order there; what is charged goes to tau."""
        cdef int n = 2
        arrays[0] = self.w + start
        arrays[1] = self.first + start
        if self.has_second:
            arrays[n] = self.second + start
            n += 1
        if self.has_metric:
            arrays[n] = self.metric + start
            n += 1
        arrays[n] = self.tau + start

    cdef void copy_in_single(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef real* arrays[MOST_ARRAYS + 1]
        cdef Py_ssize_t n_ahead = self.n_ahead - self.n_fetched
        self.name_arrays(start, arrays)
        copy_in(
            arrays, self.last + start, &self.memory[0], self.offset + start, n,
            self.ahead + self.n_fetched, n_ahead, self.n_arrays, self.penalised, self.forgets)
        self.n_fetched += min(n_ahead, (n + 1) >> 1)

    cdef void copy_in_outputs(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t j, k, K = self.n_outputs
        cdef const real* numbers
        cdef real* tau
        for j in range(start, start + n):
            self.fetch_half(j)
            numbers = <const real*>(
                &self.memory[0] + self.offset[j] + (8 if self.forgets else 0))
            if self.forgets:
                self.last[j] = (<const int64_t*>numbers - 1)[0]
            copy(self.w + j * K, numbers, K)
            copy(self.first + j * K, numbers + K, K)
            if self.has_second:
                copy(self.second + j * K, numbers + 2 * K, K)
            if self.has_metric:
                copy(self.metric + j * K, numbers + (self.n_arrays - 1) * K, K)
            if self.penalised:
                tau = self.tau + j * K
                for k in range(K):
                    tau[k] = numbers[self.n_arrays * K]

    cdef void clear_last(self, Py_ssize_t n) noexcept nogil:
        """Zeros to the last LANES of n elements up to a multiple of LANES, some of them to stay.

        Before they are filled: so many as that are one or two instructions.
        """
        cdef Py_ssize_t last = padded(n) - LANES
        if last < 0:
            return
        memset(self.w + last, 0, LANES * sizeof(real))
        memset(self.first + last, 0, LANES * sizeof(real))
        memset(self.second + last, 0, LANES * sizeof(real))
        memset(self.metric + last, 0, LANES * sizeof(real))
        memset(self.tau + last, 0, LANES * sizeof(real))
        memset(self.g + last, 0, LANES * sizeof(real))

    cdef void age(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """Let moments of `n` features decay from the last step they are of to step t."""
        cdef Py_ssize_t K = self.n_outputs
        cdef const int64_t* last = self.last + start
        if self.has_second and K == 1:
            decay_both(
                self.first + start, self.second + start, last, self.t, n, self.first_age,
                self.second_age)
            return
        decay(self.first + start * K, last, self.t, n, K, self.first_age)
        if self.has_second:
            decay(self.second + start * K, last, self.t, n, K, self.second_age)

    cdef void store(self) noexcept nogil:
        """The working set to the records, brought up to date to the end of step t."""
        if self.n_outputs == 1:
            self.copy_out_single()
        else:
            self.copy_out_outputs()

    cdef void copy_out_single(self) noexcept nogil:
        cdef real* arrays[MOST_ARRAYS + 1]
        self.name_arrays(0, arrays)
        copy_out(
            arrays, self.t, <real>self.charged_at_store(), &self.memory[0], self.offset, self.n,
            self.ahead + self.n_fetched, self.n_ahead - self.n_fetched, self.n_arrays,
            self.penalised, self.forgets)

    cdef void copy_out_outputs(self) noexcept nogil:
        cdef Py_ssize_t j, K = self.n_outputs
        cdef real* numbers
        cdef real charged = <real>self.charged_at_store()
        for j in range(self.n):
            self.fetch_half(self.n + j)
            numbers = <real*>(&self.memory[0] + self.offset[j] + (8 if self.forgets else 0))
            if self.forgets:
                (<int64_t*>numbers - 1)[0] = self.t
            copy(numbers, self.w + j * K, K)
            copy(numbers + K, self.first + j * K, K)
            if self.has_second:
                copy(numbers + 2 * K, self.second + j * K, K)
            if self.has_metric:
                copy(numbers + (self.n_arrays - 1) * K, self.metric + j * K, K)
            if self.penalised:
                numbers[self.n_arrays * K] = charged

    cdef bint move(self) noexcept nogil:
        """Step the whole working set; False if it is not finite then.

        Of the moments that of the squares is looked at, which overflows first.
        """
        cdef Py_ssize_t start = 0, n, K = self.n_outputs
        cdef real* squares = self.second if self.has_second else self.first
        while start < self.n * K:
            n = padded(min(self.block * K, self.n * K - start))
            self.step(start, n)
            if not all_finite(self.w + start, squares + start, n):
                return False
            start += n
        return True

    cdef bint advance(
        self, bint in_place, const double* intercept_gradient, double* intercept_after
    ) noexcept nogil:
        """Do one step on the loaded working set; False, and nothing done, if it overflows.

        intercept_gradient is NULL for a model without intercept;
        intercept_after is room for 3 x n_outputs numbers. In place: after `read_row`, the step
        being bounded.
        """
        cdef Py_ssize_t k, K = self.n_outputs
        cdef bint finite
        if self.averaged:
            self.load_integrals()
        self.t += 1
        self.eta = self.learning_rate(self.t)
        self.increment = self.charge_of(self.eta)
        self.prepare()
        finite = in_place or self.move()
        if intercept_gradient != NULL and finite:
            for k in range(K):
                intercept_after[k] = self.intercept[0, k]
                intercept_after[K + k] = self.intercept[1, k]
                intercept_after[2 * K + k] = self.intercept[2, k]
                self.step_intercept(
                    &intercept_after[k], &intercept_after[K + k], &intercept_after[2 * K + k],
                    intercept_gradient[k],
                )
            for k in range(3 * K):
                finite = finite and isfinite(intercept_after[k])
        if not finite:
            self.t -= 1
            self.prepare()
            return False
        if self.averaged:
            self.integrate_step()
        if in_place:
            self.write_row()
        else:
            self.store()
        if self.averaged:
            self.store_integrals()
        if intercept_gradient != NULL:
            for k in range(K):
                self.intercept[0, k] = intercept_after[k]
                self.intercept[1, k] = intercept_after[K + k]
                self.intercept[2, k] = intercept_after[2 * K + k]
        if self.averaged:
            for k in range(K):
                self.intercept_integral[k] += self.increment * self.intercept[0, k]
        self.charged += self.increment
        return True

    # -- averages --

    cdef double integral_of_tail(self, Py_ssize_t i) noexcept nogil:
        """Over all S to come, of the momentum tail of an element of the working set, if idle."""
        return 0.0

    cdef void integrate_step(self) noexcept nogil:
        """Take into the integrals what the step adds that a record does not owe after it.

        The records are still those of before the step.
        """
        pass

    cdef int metric_place(self) noexcept nogil:
        """The place of the inverse metric among a record's arrays; 0: it is 1 everywhere."""
        return self.n_arrays - 1 if self.has_metric else 0

    cdef inline double* integrals_of(self, Py_ssize_t j) noexcept nogil:
        """The integrals in the record of feature j, and after them the S that they go up to."""
        return <double*>(&self.memory[0] + self.offset[j] + self.integral_place)

    cdef inline double owed_integral(
        self, Py_ssize_t j, Py_ssize_t k, double charged
    ) noexcept nogil:
        """Of a weight as the record has it, from when that has been integrated up to S."""
        cdef const real* numbers = <const real*>(
            &self.memory[0] + self.offset[j] + (8 if self.forgets else 0))
        cdef Py_ssize_t K = self.n_outputs, metric = self.metric_place()
        cdef double r = numbers[metric * K + k] if metric else 1.0
        return integral_of_flow(
            numbers[k], charged - self.integrals_of(j)[K], self.l1 * r, self.l2 * r)

    cdef void load_integrals(self) noexcept nogil:
        """Those after step t, of the loaded working set."""
        cdef Py_ssize_t j, k, K = self.n_outputs
        for j in range(self.n):
            for k in range(K):
                self.integral[j * K + k] = (
                    self.integrals_of(j)[k] + self.owed_integral(j, k, self.charged)
                    - self.integral_of_tail(j * K + k))

    cdef void store_integrals(self) noexcept nogil:
        cdef Py_ssize_t j, k, K = self.n_outputs
        cdef double* integrals
        for j in range(self.n):
            integrals = self.integrals_of(j)
            for k in range(K):
                integrals[k] = self.integral[j * K + k]
            integrals[K] = self.charged_at_store()

    cdef bint is_average_due(self) noexcept nogil:
        return self.average_start == INFINITY and self.t + 1 >= self.average

    cdef bint begin_average(self) noexcept nogil:
        """Let all integrals be 0 as of now; False if there is no memory."""
        cdef Py_ssize_t start = 0, j, k, K = self.n_outputs
        if not self.reserve(SWEEP):
            return False
        while self.t > 0 and start < self.n_features:
            self.load_sweep(NULL, start, min(<Py_ssize_t>SWEEP, self.n_features - start))
            self.load_integrals()
            for j in range(self.n):
                for k in range(K):
                    if self.integral[j * K + k] != 0:
                        self.integrals_of(j)[k] -= self.integral[j * K + k]
            start += SWEEP
        for k in range(K):
            self.intercept_integral[k] = 0.0
        self.average_start = self.charged
        return True

    cdef bint takes_row(self) noexcept nogil:
        """Whether `move` multiplies `row` by the derivative itself."""
        return False

    cdef void load_sweep(self, const int64_t* features, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
        """Load n features: those from `first` on, of the list `features` if it is not NULL."""
        cdef Py_ssize_t j
        self.n = n
        self.n_ahead = self.n_fetched = 0
        self.offset = self.sweep_offset
        for j in range(n):
            self.sweep_offset[j] = (first + j if features == NULL else features[first + j]) * self.stride
        self.load()

    def weights(self, const int64_t[::1] features, real[:, ::1] out):
        """Write the weights after step t, charges and tails included, to out (n_outputs, n).

        Or their averages, once there is a step in them.
        """
        cdef Py_ssize_t start = 0, j, k, K = self.n_outputs, n_all = features.shape[0]
        cdef double span = self.charged - self.average_start
        if not self.reserve(SWEEP):
            raise MemoryError
        with nogil:
            self.prepare()
            while start < n_all:
                self.load_sweep(&features[0], start, min(<Py_ssize_t>SWEEP, n_all - start))
                if self.averaged and span > 0:
                    self.load_integrals()
                    for j in range(self.n * K):
                        self.w[j] = <real>(self.integral[j] / span)
                for k in range(K):
                    for j in range(self.n):
                        out[k, start + j] = self.w[j * K + k]
                start += SWEEP

    def penalty(self, const int64_t[::1] features):
        """The penalty of the weights of these features after step t; NaN if one is not finite."""
        cdef Py_ssize_t start = 0, i, n_all = features.shape[0]
        cdef double total = 0.0, size
        if not self.penalised:
            return 0.0
        if not self.reserve(SWEEP):
            raise MemoryError
        with nogil:
            self.prepare()
            while start < n_all:
                self.load_sweep(&features[0], start, min(<Py_ssize_t>SWEEP, n_all - start))
                for i in range(self.n * self.n_outputs):
                    size = fabs(self.w[i])
                    total += self.l1 * size + 0.5 * self.l2 * size * size
                start += SWEEP
        return total

    def continue_as(self, Optimizer other not None, real[:, ::1] coef):
        """Hand the state over to an optimizer of the same class and other parameters.

        Everything is brought up to date under the old parameters and put
        to rest under the new ones. The weights become those of ``coef``,
        of shape (n_outputs, n_features), or where it is empty stay as they are; averages as well.
        """
        if type(self) is not type(other):
            raise TypeError("the other optimizer must be of the same class")
        cdef Py_ssize_t start = 0, j, k, K = self.n_outputs, n_all = self.n_features
        cdef bint replace = coef.shape[0] > 0
        cdef double span = max(self.charged - self.average_start, 0.0)
        if not (self.reserve(SWEEP) and other.reserve(SWEEP)):
            raise MemoryError
        other.t = self.t
        other.charged = self.charged
        with nogil:
            self.prepare()
            other.prepare()
            while start < n_all:
                self.load_sweep(NULL, start, min(<Py_ssize_t>SWEEP, n_all - start))
                if self.averaged:
                    self.load_integrals()
                if replace:
                    for k in range(K):
                        for j in range(self.n):
                            self.w[j * K + k] = coef[k, start + j]
                            if self.averaged:
                                self.integral[j * K + k] = span * coef[k, start + j]
                if self.sweep_has_state():  # untouched records stay untouched memory
                    other.n = self.n
                    other.offset = other.sweep_offset
                    for j in range(self.n):
                        other.sweep_offset[j] = (start + j) * other.stride
                    other.take_over(self, padded(self.n * K))
                    other.put_to_rest(0, padded(self.n * K))
                    other.store()
                    if other.averaged:
                        for j in range(self.n * K):
                            other.integral[j] = (
                                (self.integral[j] if self.averaged else 0.0)
                                + other.integral_of_tail(j))
                        other.store_integrals()
                start += SWEEP

    cdef bint sweep_has_state(self) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.n * self.n_outputs):
            if self.w[i] != 0 or self.first[i] != 0 or (self.has_second and self.second[i] != 0):
                return True
            if self.averaged and self.integral[i] != 0:
                return True
        return False


cdef void decay(
    real* moment, const int64_t* last, int64_t t, Py_ssize_t n, Py_ssize_t K, PowerTable age
) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef real factor
    if K == 1:
        for j in range(n):
            moment[j] *= <real>age.get(t - last[j])
    else:
        for j in range(n):
            factor = <real>age.get(t - last[j])
            for k in range(K):
                moment[j * K + k] *= factor


cdef void decay_both(
    real* first, real* second, const int64_t* last, int64_t t, Py_ssize_t n,
    PowerTable first_age, PowerTable second_age,
) noexcept nogil:
    """The same for both moments at once, whose places in the tables are the same."""
    cdef Py_ssize_t j
    cdef int64_t k
    for j in range(n):
        k = t - last[j]
        first[j] *= <real>first_age.get(k)
        second[j] *= <real>second_age.get(k)


@cython.final
cdef class AdaGrad(Optimizer):
    """G += g^2; w -= eta g / sqrt(G + eps).

    Duchi, Hazan, Singer (2011). Records hold r = 1 / sqrt(G + eps), which a gradient
    turns to r / sqrt(1 + (g r)^2): one root and one division give the step, the state and the
    metric of the charge. While idle G does not change, so the charge is composite mirror descent.
    """

    cdef real dither_r, dither_w

    cdef void prepare(self) noexcept nogil:
        # multiples of the golden section and of the root of 2, which have nothing in common
        self.dither_r = fraction(self.t, 11400714819323198485u)
        self.dither_w = fraction(self.t, 7640891576956012808u)

    cdef bint works_in_place(self) noexcept nogil:
        return self.n_outputs > 1 and self.l1 == 0

    cdef bint takes_row(self) noexcept nogil:
        return self.n_outputs == 1

    cdef bint move(self) noexcept nogil:
        cdef Py_ssize_t whole = self.n & ~<Py_ssize_t>(LANES - 1), rest = self.n - whole
        cdef real factor
        if self.row == NULL:
            return Optimizer.move(self)
        factor = <real>self.by_margin[0]
        adagrad_step(
            self.w, self.first, self.row, whole, factor, <real>self.eta, <real>self.eps,
            self.dither_r, self.dither_w)
        if rest:
            copy(self.g + whole, self.row + whole, rest)
            adagrad_step(
                self.w + whole, self.first + whole, self.g + whole, LANES, factor,
                <real>self.eta, <real>self.eps, self.dither_r, self.dither_w)
        return all_finite(self.w, self.first, padded(self.n))

    cdef inline void read_record(self, Py_ssize_t j) noexcept nogil:
        cdef Py_ssize_t K = self.n_outputs
        cdef const real* numbers = <const real*>(&self.memory[0] + self.offset[j])
        cdef double pending = self.charged - numbers[2 * K] if self.penalised else 0.0
        adagrad_read(self.w + j * K, numbers, numbers + K, K, <real>(self.l2 * pending))

    cdef void load(self) noexcept nogil:
        cdef Py_ssize_t j, K = self.n_outputs
        if not self.works_in_place():
            Optimizer.load(self)
            return
        self.clear_last(self.n * K)
        for j in range(self.n):
            self.read_record(j)
            copy(
                self.first + j * K,
                <const real*>(&self.memory[0] + self.offset[j]) + K, K)

    cdef void read_row(self, double* margins) noexcept nogil:
        cdef Py_ssize_t j, k, K = self.n_outputs
        cdef real* sums = self.scratch_1
        memset(sums, 0, K * sizeof(real))
        for j in range(self.n):
            self.fetch_half(j)
            if j + 2 < self.n:
                prefetch_near(&self.memory[0] + self.offset[j + 2], self.fetched_size)
            self.read_record(j)
            add_multiple(sums, self.w + j * K, K, self.x[j])
        for k in range(K):
            margins[k] = sums[k]

    cdef void write_row(self) noexcept nogil:
        cdef Py_ssize_t j, k, K = self.n_outputs
        cdef real* numbers
        cdef real* g = self.scratch_1
        for k in range(K):
            g[k] = <real>self.by_margin[k]
        for j in range(self.n):
            self.fetch_half(self.n + j)
            numbers = <real*>(&self.memory[0] + self.offset[j])
            adagrad_write(
                numbers, numbers + K, self.w + j * K, g, K, self.x[j], <real>self.eta,
                <real>self.eps, self.dither_r, self.dither_w)
            if self.penalised:
                numbers[2 * K] = <real>self.charged

    cdef bint is_bounded(self) noexcept nogil:
        # r is at most 1 / sqrt(eps), and a step at most eta
        cdef double size = 0.0, largest_x = 0.0
        cdef Py_ssize_t j, k
        for k in range(self.n_outputs):
            size = max(size, fabs(self.by_margin[k]))
        for j in range(self.n):
            largest_x = max(largest_x, fabs(self.x[j]))
        return size * largest_x * max(1.0, 1 / sqrt(self.eps)) < HARMLESS and self.eta < HARMLESS

    cdef const real* inverse_metric(self, Py_ssize_t start) noexcept nogil:
        return self.first + start

    cdef int metric_place(self) noexcept nogil:
        return 1

    cdef void take_over(self, Optimizer old, Py_ssize_t n) noexcept nogil:
        Optimizer.take_over(self, old, n)
        cdef Py_ssize_t i
        cdef double G
        if self.eps != old.eps:
            for i in range(n):
                if self.first[i] > 0:
                    G = max(1 / (<double>self.first[i] * self.first[i]) - old.eps, 0.0)
                    self.first[i] = <real>(1 / sqrt(G + self.eps))

    cdef void step(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        adagrad_step(
            self.w + start, self.first + start, self.g + start, n, <real>1, <real>self.eta,
            <real>self.eps, self.dither_r, self.dither_w)

    cdef void step_intercept(self, double* b, double* G, double* unused, double g) noexcept nogil:
        G[0] += g * g
        b[0] -= self.eta * g / sqrt(G[0] + self.eps)


@cython.final
cdef class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2; w -= eta g / (sqrt(v) + eps).

    Tieleman and Hinton (2012). Records hold sqrt(v), which has twice
    the range of v. While idle v is multiplied by rho a step; w rests.
    """

    cdef double rho

    def __init__(self, records, intercept, *, rho, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.rho = rho
        self.first_age = PowerTable(0.5 * log(rho) if rho > 0 else -INFINITY)

    cdef void step(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        rmsprop_step(
            self.w + start, self.first + start, self.metric + start, self.g + start, n,
            <real>self.eta, <real>self.rho, <real>(1 - self.rho), <real>self.eps, not self.exact)

    cdef void step_intercept(self, double* b, double* v, double* unused, double g) noexcept nogil:
        v[0] = self.rho * v[0] + (1 - self.rho) * g * g
        b[0] -= self.eta * g / (sqrt(v[0]) + self.eps)


cdef class Adam(Optimizer):
    """m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= eta mhat / (sqrt(vhat) + eps).

    Kingma and Ba (2015); mhat = m / (1 - b1^t), vhat = v / (1 - b2^t).
    Records hold s = sqrt(v).

    The momentum tail. A coefficient with the moments m and s after step t
    that stays idle still moves, at step t + i by

        u_i = eta_{t+i} a_i m b1^i / (s z_i + eps),
        a_i = 1 / (1 - b1^(t+i)),  z_i = b2^(i/2) / sqrt(1 - b2^(t+i)).

    So a record holds the *carried* weight, where the coefficient would end if
    it stayed idle for ever: w_t - T(t, m, s) with T = sum_i u_i. A touch at
    step t + 1 then finds w_t by adding T at the *present* t and moments, whatever
    happened to the rates in between. With c_i = eta_{t+i} a_i b1^i and
    r = 1 / (s z_0 + eps), expanding about z_0 gives

        T = m r sum_p M_p (s r)^p,   M_p = sum_i c_i (z_0 - z_i)^p,

    whose M_p all features share. The remainder after P terms is largest for
    eps = 0, where it is known in advance; P is chosen for it to be below
    rounding. Where no P up to MAX_MOMENTS will do (in the first steps, where
    1 - b2^t changes fast, and for beta_1^2 close to beta_2) the sum, which is

        T = m r sum_i c_i / (1 - x (z_0 - z_i) / z_0),  x = s r z_0 in [0, 1],

    is interpolated at Chebyshev's nodes; and where these will not do, its terms are
    summed for each coefficient.

    The M_p of a block of steps come from those of the block's end by a
    recursion backwards in t: c_{i+1}(t) is b1 c_i(t+1), and
    z_0(t) - z_{i+1}(t) is delta + sqrt(b2) (z_0 - z_i)(t+1) with
    delta = z_0(t) - z_1(t), so the binomial theorem gives M_p(t) from M_0..M_p
    (t+1). All terms are positive, hence stable. Blocks lie at fixed multiples of t:
    whoever asks for the M_p of a step gets the same bits.

    Penalties. A touched coefficient is charged for its step as it is (composite
    mirror descent). While idle the carried weight is charged, not the tail: so that
    charging tau1 and then tau2 is charging tau1 + tau2 here too.

    Averages. The tail still to come after i steps, T_i, counts in the step t + i by the growth
    of S. So the integral of the tail is J = sum_i dS_{t+i} T_i = sum_i e_i u_i, where e_i is how
    much S has grown from step t to t + i - 1. It has the same expansion, with
    N_p = sum_i e_i c_i (z_0 - z_i)^p in place of M_p; as e_{i+1}(t) is dS_{t+1} + e_i(t+1), the
    recursion takes b1 (dS_{t+1} M_p + N_p)(t+1).

    With decoupled decay (AdamW) the weights shrink by d_t = 1 - eta_t alpha
    at each step; c_i is then divided by d_{t+1} ... d_{t+i}, so that the tail
    is in the units of step t.
    """

    cdef:
        double b1, b2, log_b1, log_b2, tolerance
        bint flat_metric
        int n_terms
        # after step t: 1 / (1 - b1^t), 1 / sqrt(1 - b2^t), and the tail's tables
        int64_t prepared_t
        double a_0, z_0
        int n_moments
        double[MAX_MOMENTS] moments
        # Where n_moments is negative: Chebyshev's coefficients of the sum, if n_chebyshev
        # is positive, and cos(k pi / (2 NODES)).
        int n_chebyshev
        double[NODES] chebyshev
        double[4 * NODES] cosine
        double* c
        double* z
        # the same of the integral of the tail, if there are averages: e_i and N_p
        double* e
        double[MAX_MOMENTS] integrals
        double* integrals_block
        # moments after the steps block_start, block_start + 1, ..., block_end
        int64_t block_start, block_end
        int block_moments
        double* block
        bint stationary
        # Pascal's triangle
        double[MAX_MOMENTS][MAX_MOMENTS] binomial

    def __init__(self, records, intercept, *, beta_1, beta_2, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.b1 = beta_1
        self.b2 = beta_2
        self.log_b1 = log(beta_1) if beta_1 > 0 else -INFINITY
        # beta_2 may be very close to 1: the logarithm from the difference, which is exact
        self.log_b2 = log1p(beta_2 - 1)
        self.first_age = PowerTable(self.log_b1)
        self.second_age = PowerTable(0.5 * self.log_b2)
        # A tail's terms shrink by this factor a step, at least
        cdef double ratio = self.b1 / (sqrt(self.b2) * (1 - self.eta0 * self.decay()))
        if ratio <= 0:
            self.n_terms = 1 if ratio == 0 else MAX_TERMS + 1
        elif ratio < 1:
            self.n_terms = <int>min(ceil(log(1e-18) / log(ratio)) + 1, MAX_TERMS + 1.0)
        else:
            self.n_terms = MAX_TERMS + 1
        if self.exact and self.n_terms > MAX_TERMS:
            raise ValueError(
                f"sparse_update='exact' needs beta_1 < sqrt(beta_2) * (1 - eta0 * alpha) "
                f"with some room (the alpha only for adamw): else the steps of an idle coefficient "
                f"hardly shrink. Got beta_1={beta_1!r}, beta_2={beta_2!r}"
                + (f", eta0 * alpha={self.eta0 * self.decay()!r}" if self.decay() else "")
            )
        self.tolerance = 1e-9 if sizeof(real) < 8 else 1e-15
        self.prepared_t = -1
        self.block_start = self.block_end = -1
        cdef int p, r
        for p in range(MAX_MOMENTS):
            self.binomial[p][0] = 1.0
            for r in range(1, p + 1):
                self.binomial[p][r] = self.binomial[p - 1][r - 1] + (
                    self.binomial[p - 1][r] if r < p else 0.0)
        for p in range(4 * NODES):
            self.cosine[p] = cos(acos(-1.0) * p / (2 * NODES))
        self.c = <double*>calloc(self.n_terms + 1, sizeof(double))
        self.z = <double*>calloc(self.n_terms + 1, sizeof(double))
        self.block = <double*>calloc((LAST_BLOCK + 1) * MAX_MOMENTS, sizeof(double))
        if self.c == NULL or self.z == NULL or self.block == NULL:
            raise MemoryError
        if self.averaged:
            self.e = <double*>calloc(self.n_terms + 1, sizeof(double))
            self.integrals_block = <double*>calloc((LAST_BLOCK + 1) * MAX_MOMENTS, sizeof(double))
            if self.e == NULL or self.integrals_block == NULL:
                raise MemoryError

    def __dealloc__(self):
        free(self.c)
        free(self.z)
        free(self.e)
        free(self.block)
        free(self.integrals_block)

    cdef double decay(self) noexcept nogil:
        """The strength of a decay that is applied to the weights before each step."""
        return 0.0

    cdef double charged_at_store(self) noexcept nogil:
        return self.charged + self.increment

    cdef inline double bias_2(self, int64_t t) noexcept nogil:
        """sqrt(1 - b2^t), from expm1 as b2^t may be close to 1."""
        return sqrt(-expm1(<double>t * self.log_b2))

    cdef inline double bias_1(self, int64_t t) noexcept nogil:
        """1 - b1^t."""
        return -expm1(<double>t * self.log_b1) if self.b1 > 0 else 1.0

    cdef void fill_terms(self, int64_t t) noexcept nogil:
        """c_i, z_i and with averages e_i after step t, for i = 1 ... n_terms."""
        cdef int i
        cdef double eta, decayed = 1.0, elapsed = 0.0
        for i in range(1, self.n_terms + 1):
            eta = self.learning_rate(t + i)
            decayed *= 1 - eta * self.decay()
            self.c[i] = eta / self.bias_1(t + i) * self.first_age.get(i) / decayed
            self.z[i] = self.second_age.get(i) / self.bias_2(t + i)
            if self.averaged:
                self.e[i] = elapsed
                # a tail is in the units of its step
                elapsed += self.charge_of(eta) * decayed

    cdef int moments_needed(self, double z_0) noexcept nogil:
        """The least P whose remainder is below the tolerance for the filled terms; -1: none.

        The remainder for eps = 0 is sum_i c_i / z_i ((z_0 - z_i) / z_0)^P.
        """
        cdef int i, P
        cdef double whole = 0.0, remainder, size
        for i in range(1, self.n_terms + 1):
            whole += self.c[i] / self.z[i]
        for P in range(4, MAX_MOMENTS + 1, 4):
            remainder = 0.0
            for i in range(1, self.n_terms + 1):
                size = self.c[i] / self.z[i] * pow(fabs(1 - self.z[i] / z_0), P)
                remainder += size
            if remainder <= self.tolerance * whole:
                return P
        return -1

    cdef void sum_moments(
        self, double z_0, double* moments, int n_moments, const double* e
    ) noexcept nogil:
        """M_p of the filled terms, or with e not NULL N_p."""
        cdef int i, p
        cdef double term
        for p in range(n_moments):
            moments[p] = 0.0
        for i in range(self.n_terms, 0, -1):
            term = self.c[i] if e == NULL else self.c[i] * e[i]
            for p in range(n_moments):
                moments[p] += term
                term *= z_0 - self.z[i]

    cdef void interpolate(self) noexcept nogil:
        """Chebyshev's coefficients of the sum over the filled terms, as a function of 2 x - 1."""
        cdef int i, j, k
        cdef double x, total, rest = 0.0
        cdef double[NODES] value
        for j in range(NODES):
            x = 0.5 * (1 + self.cosine[2 * j + 1])
            total = 0.0
            for i in range(1, self.n_terms + 1):
                total += self.c[i] / (1 - x * (1 - self.z[i] / self.z_0))
            value[j] = total
        for k in range(NODES):
            total = 0.0
            for j in range(NODES):
                total += value[j] * self.cosine[k * (2 * j + 1) % (4 * NODES)]
            self.chebyshev[k] = total * (2.0 if k else 1.0) / NODES
        # Those are dropped that together are below rounding; the sum is largest at x = 1, and
        # its coefficients shrink geometrically.
        self.n_chebyshev = NODES
        while self.n_chebyshev > 1:
            rest += fabs(self.chebyshev[self.n_chebyshev - 1])
            if rest > self.tolerance * self.chebyshev[0]:
                break
            self.n_chebyshev -= 1
        if self.n_chebyshev > NODES - 2:
            self.n_chebyshev = 0

    cdef void fill_block(self, int64_t t) noexcept nogil:
        """Moments for the block of steps that t lies in."""
        cdef int64_t length = FIRST_BLOCK, u
        cdef int p, r
        cdef double z_0, z_next, delta, q = sqrt(self.b2), factor, first, power
        cdef double* here
        cdef double* later
        cdef double* here_integrals
        cdef double* later_integrals = NULL
        cdef double growth
        cdef double[MAX_MOMENTS] powers
        while length < LAST_BLOCK and 2 * length <= t:
            length *= 2
        self.block_start = t - t % length
        self.block_end = self.block_start + length
        # The first step of a block needs the most moments.
        self.block_moments = -1
        if self.block_start > 0:
            self.fill_terms(self.block_start)
            self.block_moments = self.moments_needed(1.0 / self.bias_2(self.block_start))
        if self.block_moments < 0:
            return
        z_next = 1.0 / self.bias_2(self.block_end)
        self.fill_terms(self.block_end)
        later = self.block + (self.block_end - self.block_start) * MAX_MOMENTS
        self.sum_moments(z_next, later, self.block_moments, NULL)
        if self.averaged:
            later_integrals = self.integrals_block + (later - self.block)
            self.sum_moments(z_next, later_integrals, self.block_moments, self.e)
        for u in range(self.block_end - 1, self.block_start - 1, -1):
            here = self.block + (u - self.block_start) * MAX_MOMENTS
            z_0 = 1.0 / self.bias_2(u)
            delta = z_0 - q * z_next
            first = self.learning_rate(u + 1)
            growth = self.charge_of(first)
            factor = self.b1 / (1 - first * self.decay())
            first /= self.bias_1(u + 1)
            # powers[p - r] holds delta^(p-r)
            power = 1.0
            for p in range(self.block_moments):
                powers[p] = power
                power *= delta
            power = 1.0
            for p in range(self.block_moments):
                here[p] = first * powers[p]
            for r in range(self.block_moments):
                for p in range(r, self.block_moments):
                    here[p] += self.binomial[p][r] * powers[p - r] * (power * later[r])
                power *= q
            for p in range(self.block_moments):
                here[p] *= factor
            if self.averaged:
                here_integrals = self.integrals_block + (here - self.block)
                for p in range(self.block_moments):
                    here_integrals[p] = 0.0
                power = self.b1
                for r in range(self.block_moments):
                    for p in range(r, self.block_moments):
                        here_integrals[p] += self.binomial[p][r] * powers[p - r] * (
                            power * (growth * later[r] + later_integrals[r]))
                    power *= q
                later_integrals = here_integrals
            later = here
            z_next = z_0

    cdef void prepare(self) noexcept nogil:
        cdef int64_t t = self.t
        cdef int p
        cdef double* moments
        if t == self.prepared_t:
            return
        self.prepared_t = t
        if t == 0:
            # no coefficient has a moment yet
            self.a_0 = self.z_0 = 0.0
            self.n_moments = 0
            return
        # The bias corrections are 1 to rounding after some time: with a
        # constant rate nothing changes any more.
        if self.power_t == 0 and t * self.log_b2 < -40 and t * self.log_b1 < -40:
            if not self.stationary:
                self.stationary = True
                self.a_0 = self.z_0 = 1.0
                if self.exact:
                    # the terms after any later step
                    self.fill_terms(t)
                    self.n_moments = self.moments_needed(1.0)
                    if self.n_moments > 0:
                        self.sum_moments(1.0, self.moments, self.n_moments, NULL)
                        if self.averaged:
                            self.sum_moments(1.0, self.integrals, self.n_moments, self.e)
                    else:
                        self.interpolate()
                else:
                    self.n_moments = 0
            return
        self.stationary = False
        self.a_0 = 1.0 / self.bias_1(t)
        self.z_0 = 1.0 / self.bias_2(t)
        self.n_moments = 0
        if not self.exact:
            return
        # A step belongs to the block that it begins or is inside of.
        if not self.block_start <= t < self.block_end:
            self.fill_block(t)
        self.n_moments = self.block_moments
        if self.n_moments < 0:
            self.fill_terms(t)
            self.interpolate()
        else:
            moments = self.block + (t - self.block_start) * MAX_MOMENTS
            for p in range(self.n_moments):
                self.moments[p] = moments[p]
                if self.averaged:
                    self.integrals[p] = self.integrals_block[moments + p - self.block]

    cdef void bring_up_to_date(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i
        cdef real* w = self.w + start
        cdef real* tail = self.scratch_3 + start
        if self.exact and self.t > 0:
            self.fill_tail(start, n)
            for i in range(n):
                w[i] += tail[i]

    cdef void put_to_rest(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        if self.exact and self.t > 0:
            self.fill_tail(start, n)
            subtract(self.w + start, self.scratch_3 + start, n)

    cdef void fill_tail(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """T(t, m, s) of each element, to scratch_3."""
        cdef Py_ssize_t i
        cdef const real* m = self.first + start
        cdef real* r = self.scratch_1 + start
        cdef real* y = self.scratch_2 + start
        cdef real* u = self.scratch_3 + start
        adam_metric(r, y, self.second + start, n, <real>self.z_0, <real>self.eps)
        self.fill_tail_factor(start, n)
        for i in range(n):
            u[i] *= r[i] * m[i]

    cdef void fill_tail_factor(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """u such that the tail is m r u, to scratch_3, from y = s r in scratch_2."""
        cdef Py_ssize_t j
        cdef int i
        cdef const real* m = self.first + start
        cdef const real* s = self.second + start
        cdef real* u = self.scratch_3 + start
        cdef double total_0, total_1
        if self.n_moments >= 0:
            polynomial(u, self.scratch_2 + start, n, self.moments, self.n_moments)
            return
        if self.n_chebyshev:
            chebyshev_sum(
                u, self.scratch_2 + start, n, self.chebyshev, self.n_chebyshev, <real>self.z_0)
            return
        for j in range(n):
            u[j] = 0
            if m[j] != 0:
                total_0 = total_1 = 0.0
                for i in range(1, self.n_terms, 2):
                    total_0 += self.c[i] / (s[j] * self.z[i] + self.eps)
                    total_1 += self.c[i + 1] / (s[j] * self.z[i + 1] + self.eps)
                u[j] = <real>((total_0 + total_1) * (s[j] * self.z_0 + self.eps))

    cdef void step(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        """Moments, step, this step's charge, and what of the tail is to come."""
        cdef Py_ssize_t i
        cdef real* w = self.w + start
        cdef const real* m = self.first + start
        cdef const real* g = self.g + start
        cdef real* r = self.scratch_1 + start
        cdef real* y = self.scratch_2 + start
        cdef real* u = self.scratch_3 + start
        cdef real eta = <real>(self.eta * self.a_0), factor
        cdef bint linear = self.flat_metric and self.l1 == 0
        if linear and self.l2 > 0:
            # The decay is linear: it commutes with all the rest.
            factor = <real>(1 - self.eta * self.l2)
            for i in range(n):
                w[i] *= factor
        adam_moments(
            self.first + start, self.second + start, g, n, <real>self.b1, <real>(1 - self.b1),
            <real>self.b2, <real>(1 - self.b2), not self.exact)
        adam_metric(r, y, self.second + start, n, <real>self.z_0, <real>self.eps)
        if self.has_metric:
            update_metric(self.metric + start, r, g, n)
        if self.exact:
            self.fill_tail_factor(start, n)
        else:
            memset(u, 0, n * sizeof(real))
            clear_masked(r, g, n)
        multiply(r, m, n)
        # Now eta r is the step, and u r the tail after it.
        if linear or not self.penalised:
            for i in range(n):
                w[i] -= r[i] * (eta + u[i])
        elif self.flat_metric:
            # The charge comes before the step. An idle coefficient is charged without
            # its tail, in the units of the step before.
            factor = <real>(1 / (1 - self.eta * self.l2))
            for i in range(n):
                w[i] -= 0 if g[i] != 0 else factor * r[i] * (eta + u[i])
                u[i] = r[i] * (eta + u[i]) if g[i] != 0 else 0
            for i in range(n):
                r[i] = <real>self.increment
            charge(w, r, n, <real>self.l1, <real>self.l2)
            subtract(w, u, n)
        else:
            # The charge comes after the step, and an idle coefficient's after its tail.
            for i in range(n):
                w[i] -= r[i] * (eta if g[i] != 0 else eta + u[i])
                u[i] = r[i] * u[i] if g[i] != 0 else 0
            for i in range(n):
                r[i] = <real>self.increment * self.metric[start + i]
            charge(w, r, n, <real>self.l1, <real>self.l2)
            subtract(w, u, n)

    cdef double sum_tail(
        self, Py_ssize_t i, const double* moments, const double* e
    ) noexcept nogil:
        """The tail of an element from M_p, or its integral from N_p and e_i."""
        cdef double m = self.first[i], s = self.second[i], r, total = 0.0
        cdef int p
        if m == 0:
            return 0.0
        if self.n_moments >= 0:
            r = 1 / (s * self.z_0 + self.eps)
            for p in range(self.n_moments - 1, -1, -1):
                total = total * (s * r) + moments[p]
            return m * r * total
        for p in range(self.n_terms, 0, -1):
            total += self.c[p] * (1.0 if e == NULL else e[p]) / (s * self.z[p] + self.eps)
        return m * total

    cdef double integral_of_tail(self, Py_ssize_t i) noexcept nogil:
        return self.sum_tail(i, self.integrals, self.e)

    cdef void integrate_step(self) noexcept nogil:
        # A record is charged for its step, so it does not owe this step's integral. That of an
        # idle coefficient is of the flow, as that of an absent one is.
        cdef Py_ssize_t j, k, i, K = self.n_outputs
        cdef double after = self.charged + self.increment
        for j in range(self.n):
            for k in range(K):
                i = j * K + k
                if self.g[i] != 0:
                    self.integral[i] += self.increment * self.w[i]
                else:
                    self.integral[i] += (
                        self.owed_integral(j, k, after) - self.owed_integral(j, k, self.charged))
                self.integral[i] += self.increment * self.sum_tail(i, self.moments, NULL)
                self.integral[i] += self.integral_of_tail(i)

    cdef void step_intercept(self, double* b, double* m, double* v, double g) noexcept nogil:
        m[0] = self.b1 * m[0] + (1 - self.b1) * g
        v[0] = self.b2 * v[0] + (1 - self.b2) * g * g
        b[0] -= self.eta * (m[0] * self.a_0) / (sqrt(v[0]) * self.z_0 + self.eps)


@cython.final
cdef class AdamW(Adam):
    """w *= 1 - eta alpha, then as Adam. Loshchilov and Hutter (2019).

    The decay is the penalty's flow with the metric 1, in which S grows so that
    the flow over a step is the factor 1 - eta l2, and it applies to every
    coefficient at every step, before the step.
    """

    def __init__(self, records, intercept, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.flat_metric = True

    cdef double decay(self) noexcept nogil:
        return self.l2

    cdef double charge_of(self, double eta) noexcept nogil:
        return -log1p(-eta * self.l2) / self.l2 if self.l2 > 0 else eta


# --- The row loop ---

@cython.final
cdef class RowLoop:
    """Buffers of one training run: margins, gradients, and where the records of a step are."""

    cdef:
        double* margins
        double* gradients
        double* intercept_gradient
        double* intercept_after
        # Rows by themselves: offsets of the records of this row and of those ahead.
        int64_t* ring[RECORDS_AHEAD + 1]
        Py_ssize_t[RECORDS_AHEAD + 1] ring_capacity
        Py_ssize_t looked_at
        # Mini-batches: a feature may occur in several rows. The table maps features to
        # places in the working set: open addressing, at most half full, so that its size
        # follows the batch and not n_features. A slot holds a feature, or -1, and its place.
        Py_ssize_t entries_capacity
        int bits
        int64_t* table
        int64_t* feature
        int64_t* offset
        int32_t* place_of_entry
        int64_t* used

    def __cinit__(self, Py_ssize_t K, Py_ssize_t batch_size):
        self.margins = <double*>calloc(batch_size * K, sizeof(double))
        self.gradients = <double*>calloc(batch_size * K, sizeof(double))
        self.intercept_gradient = <double*>calloc(K, sizeof(double))
        self.intercept_after = <double*>calloc(3 * K, sizeof(double))
        if (self.margins == NULL or self.gradients == NULL
                or self.intercept_gradient == NULL or self.intercept_after == NULL):
            raise MemoryError

    def __dealloc__(self):
        cdef int i
        free(self.margins)
        free(self.gradients)
        free(self.intercept_gradient)
        free(self.intercept_after)
        for i in range(RECORDS_AHEAD + 1):
            free(self.ring[i])
        free(self.table)
        free(self.feature)
        free(self.offset)
        free(self.place_of_entry)
        free(self.used)

    cdef bint reserve(self, Py_ssize_t n_entries) noexcept nogil:
        """Make room for a mini-batch of so many entries; False if there is no memory."""
        if self.table == NULL and not self.widen(0):
            return False
        if n_entries <= self.entries_capacity:
            return True
        n_entries += n_entries // 4
        if not (
            grow(<void**>&self.feature, n_entries * sizeof(int64_t))
            and grow(<void**>&self.offset, n_entries * sizeof(int64_t))
            and grow(<void**>&self.place_of_entry, n_entries * sizeof(int32_t))
            and grow(<void**>&self.used, n_entries * sizeof(int64_t))
        ):
            return False
        self.entries_capacity = n_entries
        return True

    cdef inline Py_ssize_t home(self, int64_t feature) noexcept nogil:
        """Where to look for a feature first. Fibonacci hashing: neighbours are far apart."""
        return (<uint64_t>feature * <uint64_t>11400714819323198485u) >> (64 - self.bits)

    cdef inline Py_ssize_t slot_of(self, int64_t feature) noexcept nogil:
        """Where it is, or where it belongs."""
        cdef Py_ssize_t slot = self.home(feature), last = (<Py_ssize_t>1 << self.bits) - 1
        while self.table[2 * slot] != feature and self.table[2 * slot] != -1:
            slot = (slot + 1) & last
        return slot

    cdef bint widen(self, Py_ssize_t n) noexcept nogil:
        """Make a table of four times the size for its n features; False if there is no memory."""
        cdef Py_ssize_t i, size = <Py_ssize_t>2 << (self.bits + 2)
        cdef int64_t* table = <int64_t*>malloc(size * sizeof(int64_t))
        if table == NULL:
            return False
        free(self.table)
        self.table = table
        self.bits += 2
        for i in range(size):
            table[i] = -1
        for i in range(n):
            self.used[i] = self.slot_of(self.feature[i])
            table[2 * self.used[i]] = self.feature[i]
            table[2 * self.used[i] + 1] = i
        return True


cdef bint grow(void** memory, size_t size) noexcept nogil:
    cdef void* grown = realloc(memory[0], size)
    if grown == NULL:
        return False
    memory[0] = grown
    return True


cdef inline bint look_ahead(
    RowLoop loop, Optimizer o, const index* columns, Py_ssize_t n, Py_ssize_t position
) noexcept nogil:
    """Find the records of a row to come; False if there is no memory."""
    cdef Py_ssize_t j, slot = position % (RECORDS_AHEAD + 1), stride = o.stride
    cdef int64_t* offset
    if n > loop.ring_capacity[slot]:
        if not grow(<void**>&loop.ring[slot], 2 * n * sizeof(int64_t)):
            return False
        loop.ring_capacity[slot] = 2 * n
    offset = loop.ring[slot]
    if o.shift > 0:
        for j in range(n):
            offset[j] = <int64_t>columns[j] << o.shift
    else:
        for j in range(n):
            offset[j] = columns[j] * stride
    return True


cdef bint take_row(
    RowLoop loop, Optimizer o, const index* columns, const real* x, const index* indptr,
    const int64_t* rows, Py_ssize_t n_rows, Py_ssize_t position,
) noexcept nogil:
    """Name the records of one row to the optimizer, and those of a row to come."""
    # records of several outputs are so long that they would drive each other out
    cdef Py_ssize_t row, n, later = position + (RECORDS_AHEAD if o.n_outputs == 1 else 1)
    if position + ROWS_AHEAD < n_rows:
        ska_prefetch(&indptr[rows[position + ROWS_AHEAD]])
    if position + ENTRIES_AHEAD < n_rows:
        row = rows[position + ENTRIES_AHEAD]
        n = indptr[row + 1] - indptr[row]
        prefetch_array(columns + indptr[row], n * sizeof(index))
        prefetch_array(x + indptr[row], n * sizeof(real))
    # at the start the rows up to the one ahead, then always one more
    while loop.looked_at < n_rows and loop.looked_at <= position + RECORDS_AHEAD:
        row = rows[loop.looked_at]
        n = indptr[row + 1] - indptr[row]
        if not look_ahead(loop, o, columns + indptr[row], n, loop.looked_at):
            return False
        loop.looked_at += 1
    row = rows[position]
    o.n = indptr[row + 1] - indptr[row]
    o.offset = loop.ring[position % (RECORDS_AHEAD + 1)]
    o.x = x + indptr[row]
    o.n_ahead = o.n_fetched = 0
    if later < n_rows:
        row = rows[later]
        o.ahead = loop.ring[later % (RECORDS_AHEAD + 1)]
        o.n_ahead = indptr[row + 1] - indptr[row]
    return o.reserve(o.n)


cdef bint take_batch(
    RowLoop loop, Optimizer o, const index* columns, const real* x, const index* indptr,
    const int64_t* rows, Py_ssize_t n_rows, Py_ssize_t size,
) noexcept nogil:
    """Name the records of the first `size` of n_rows rows to the optimizer, each once."""
    cdef Py_ssize_t i, j, row, end, slot, n_entries = 0, n = 0
    cdef int64_t feature
    for i in range(size):
        n_entries += indptr[rows[i] + 1] - indptr[rows[i]]
    if not loop.reserve(n_entries):
        return False
    n_entries = 0
    for i in range(size):
        if i + ENTRIES_AHEAD < n_rows:
            row = rows[i + ENTRIES_AHEAD]
            prefetch_array(columns + indptr[row], (indptr[row + 1] - indptr[row]) * sizeof(index))
            prefetch_array(x + indptr[row], (indptr[row + 1] - indptr[row]) * sizeof(real))
        end = indptr[rows[i] + 1]
        for j in range(indptr[rows[i]], end):
            if j + SLOTS_AHEAD < end:
                ska_prefetch(&loop.table[2 * loop.home(columns[j + SLOTS_AHEAD])])
            feature = columns[j]
            slot = loop.slot_of(feature)
            if loop.table[2 * slot] == -1:
                if 2 * n >= <Py_ssize_t>1 << loop.bits:
                    if not loop.widen(n):
                        return False
                    slot = loop.slot_of(feature)
                loop.table[2 * slot] = loop.feature[n] = feature
                loop.table[2 * slot + 1] = n
                loop.used[n] = slot
                loop.offset[n] = feature * o.stride
                prefetch_array(&o.memory[0] + loop.offset[n], o.fetched_size)
                n += 1
            loop.place_of_entry[n_entries] = <int32_t>loop.table[2 * slot + 1]
            n_entries += 1
    for i in range(n):
        loop.table[2 * loop.used[i]] = -1
    o.n = n
    o.n_ahead = o.n_fetched = 0
    o.offset = loop.offset
    return o.reserve(n)


cdef inline void prefetch_target(
    const double* targets, Py_ssize_t n_targets, const double* weights, Py_ssize_t row
) noexcept nogil:
    ska_prefetch(targets + row * n_targets)
    if weights != NULL:
        ska_prefetch(weights + row)


cdef void margins_of_row(
    double* margins, const real* x, const int32_t* place, Py_ssize_t n, Optimizer o
) noexcept nogil:
    """Margins of one row, without intercept; place is NULL where the working set is the row."""
    cdef Py_ssize_t j, k, K = o.n_outputs
    cdef real* sums = o.scratch_1
    if K == 1 and place == NULL:
        margins[0] = dot(x, o.w, n)
        return
    if K == 1:
        margins[0] = dot_at(x, o.w, place, n)
        return
    memset(sums, 0, K * sizeof(real))
    for j in range(n):
        add_multiple(sums, o.w + (j if place == NULL else place[j]) * K, K, x[j])
    for k in range(K):
        margins[k] = sums[k]


cdef void gradients_of_row(
    real* g, const real* x, const int32_t* place, Py_ssize_t n, const double* gradients,
    Py_ssize_t K,
) noexcept nogil:
    """Gradients by the weights from those by the margins; added up where place is not NULL."""
    cdef Py_ssize_t j, k
    cdef real* at
    cdef real gradient
    if place == NULL and K == 1:
        gradient = <real>gradients[0]
        for j in range(n):
            g[j] = gradient * x[j]
    elif place == NULL:
        for j in range(n):
            at = g + j * K
            for k in range(K):
                at[k] = <real>gradients[k] * x[j]
    elif K == 1:
        gradient = <real>gradients[0]
        for j in range(n):
            g[place[j]] += gradient * x[j]
    else:
        for j in range(n):
            at = g + place[j] * K
            for k in range(K):
                at[k] += <real>gradients[k] * x[j]


def train(optimizer, training, rows):
    """Learn the rows in the order given, `training.batch_size` of them a step.

    Parameters
    ----------
    optimizer : Optimizer
        Changed: its records, intercept, t and charged.
    training : TrainingData
        See there. Its rows are those that `rows` counts.
    rows : int64 array

    Returns
    -------
    loss_sum : float
        The weighted losses of the rows, each before its step, summed.
    failed : int
        The place in ``rows`` where the step begins that would have overflowed
        and was not done, or -1.
    """
    return train_arrays(
        optimizer, training.loss, training.data, training.indices, training.indptr,
        training.targets, training.sample_weight, training.class_weight, rows,
        training.batch_size, training.fit_intercept)


def train_arrays(
    Optimizer optimizer not None,
    Loss loss not None,
    const real[::1] data,
    const index[::1] indices,
    const index[::1] indptr,
    const double[:, ::1] targets,
    const double[::1] sample_weight,
    const double[:, ::1] class_weight,
    const int64_t[::1] rows,
    Py_ssize_t batch_size,
    bint fit_intercept,
):
    """`train`, for the types of the arrays."""
    cdef:
        Py_ssize_t K = optimizer.n_outputs, n_rows = rows.shape[0], n_targets = targets.shape[1]
        RowLoop loop = RowLoop(K, batch_size)
        Py_ssize_t position = 0, size, i, k, row, n, n_entries
        double loss_sum = 0.0, batch_loss, weight
        double* gradients
        double* intercept_gradient = loop.intercept_gradient if fit_intercept else NULL
        const real* x = &data[0] if data.shape[0] else NULL
        const index* columns = &indices[0] if indices.shape[0] else NULL
        const double* weights = &sample_weight[0] if sample_weight.shape[0] else NULL
        const double* by_class = &class_weight[0, 0] if class_weight.shape[0] else NULL
        const int32_t* place = NULL
        bint flat, bounded, in_place = batch_size == 1 and optimizer.works_in_place()
        bint by_row = batch_size == 1 and optimizer.takes_row()
        int status = DONE
    if n_rows == 0:
        return 0.0, -1
    with nogil:
        optimizer.prepare()
        while position < n_rows:
            size = min(batch_size, n_rows - position)
            if optimizer.averaged and optimizer.is_average_due() and not optimizer.begin_average():
                status = OUT_OF_MEMORY
                break
            if batch_size == 1:
                if not take_row(loop, optimizer, columns, x, &indptr[0], &rows[0], n_rows, position):
                    status = OUT_OF_MEMORY
            elif not take_batch(
                    loop, optimizer, columns, x, &indptr[0], &rows[position],
                    n_rows - position, size):
                status = OUT_OF_MEMORY
            if status != DONE:
                break
            if in_place:
                optimizer.read_row(loop.margins)
            else:
                optimizer.load()
            # -- losses, and the gradients of their mean --
            flat = True
            n_entries = 0
            batch_loss = 0.0
            for k in range(K):
                loop.intercept_gradient[k] = 0.0
            for i in range(size):
                row = rows[position + i]
                n = indptr[row + 1] - indptr[row]
                if position + i + ROWS_AHEAD < n_rows:
                    prefetch_target(
                        &targets[0, 0], n_targets, weights, rows[position + i + ROWS_AHEAD])
                if batch_size > 1:
                    place = loop.place_of_entry + n_entries
                if not in_place:
                    margins_of_row(loop.margins, x + indptr[row], place, n, optimizer)
                if fit_intercept:
                    for k in range(K):
                        loop.margins[k] += optimizer.intercept[0, k]
                n_entries += n
                weight = weights[row] if weights != NULL else 1.0
                gradients = loop.gradients + i * K
                batch_loss += weight * loss.evaluate_outputs(
                    &targets[row, 0], n_targets, loop.margins, gradients, K, by_class)
                for k in range(K):
                    gradients[k] *= weight / size
                    loop.intercept_gradient[k] += gradients[k]
                    flat = flat and gradients[k] == 0
                    if not isfinite(loop.margins[k]) or not isfinite(gradients[k]):
                        status = NOT_FINITE
            if status != DONE:
                break
            optimizer.by_margin = loop.gradients
            optimizer.row = NULL
            bounded = in_place and optimizer.is_bounded()
            if in_place and not bounded and not flat:
                optimizer.load()
            if flat:
                # nothing to learn: all features of the step stay idle
                optimizer.n = 0
            elif bounded:
                pass  # `write_row` reads the row itself
            elif by_row:
                optimizer.row = optimizer.x
            elif batch_size == 1:
                gradients_of_row(
                    optimizer.g, x + indptr[rows[position]], NULL, optimizer.n, loop.gradients, K)
            else:
                memset(optimizer.g, 0, optimizer.n * K * sizeof(real))
                n_entries = 0
                for i in range(size):
                    row = rows[position + i]
                    n = indptr[row + 1] - indptr[row]
                    gradients_of_row(
                        optimizer.g, x + indptr[row], loop.place_of_entry + n_entries, n,
                        loop.gradients + i * K, K)
                    n_entries += n
            if not optimizer.advance(bounded, intercept_gradient, loop.intercept_after):
                status = NOT_FINITE
                break
            loss_sum += batch_loss
            position += size
    if status == OUT_OF_MEMORY:
        raise MemoryError
    return loss_sum, (position if status == NOT_FINITE else -1)
