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
   takes at most five arrays, as compilers check only so many for overlap.

3. Nothing is written back before the new state is known to be finite: a step
   happens whole or not at all.

4. The methods of an optimizer are virtual: they are called once a step, for
   dozens of features. Only the element types are static (fused), for records
   (float, double) and for the row loop (and the type of the CSR's indices).

5. The intercept is active at every step, so it needs no laziness: it is kept
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
"""

import numpy as np

cimport cython
from libc.limits cimport LLONG_MAX
from libc.math cimport ceil, exp, expm1, fabs, fabsf, INFINITY, isfinite, log, log1p, pow, sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from sk_adaptive._losses cimport Loss

cdef extern from *:
    """
    /* Into the second level: the first is small, and full of the row in hand. */
    #if defined(__GNUC__) || defined(__clang__)
    #define ska_prefetch(address) __builtin_prefetch((address), 0, 2)
    #elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    #include <xmmintrin.h>
    #define ska_prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
    #else
    #define ska_prefetch(address) ((void)(address))
    #endif
    """
    void ska_prefetch(const void* address) noexcept nogil

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* exp(x) - 1 for x <= 0, to rounding. Unlike the library's it has no branch and
       no table, so that loops over it are vectorised.

       x = n ln 2 + r with |r| <= ln 2 / 2; the Taylor series of expm1(r); and
       expm1(x) = 2^n expm1(r) + (2^n - 1). Adding 1.5 * 2^52 to x / ln 2 rounds it and
       leaves n in the lowest bits, which are shifted to where a double has its exponent.
       Below the clamp the result is -1 to rounding. */
    static inline double ska_expm1(double x) {
        const double magic = 6755399441055744.0;
        double t, n, r, p, scale;
        int64_t bits;
        x = x > -700.0 ? x : -700.0;
        t = x * 1.4426950408889634 + magic;
        n = t - magic;
        r = x - n * 0.693147180369123816490;       /* ln 2, the leading bits */
        r = r - n * 1.90821492927058770002e-10;    /* and the rest */
        p = 1.0 / 6227020800.0;
        p = p * r + 1.0 / 479001600.0;
        p = p * r + 1.0 / 39916800.0;
        p = p * r + 1.0 / 3628800.0;
        p = p * r + 1.0 / 362880.0;
        p = p * r + 1.0 / 40320.0;
        p = p * r + 1.0 / 5040.0;
        p = p * r + 1.0 / 720.0;
        p = p * r + 1.0 / 120.0;
        p = p * r + 1.0 / 24.0;
        p = p * r + 1.0 / 6.0;
        p = p * r + 0.5;
        p = r + r * r * p;
        memcpy(&bits, &t, sizeof bits);
        bits = (int64_t)((uint64_t)bits << 52) + 0x3ff0000000000000;
        memcpy(&scale, &bits, sizeof scale);
        return scale * p + (scale - 1.0);
    }

    static inline float ska_expm1f(float x) {
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
    """
    double ska_expm1(double x) noexcept nogil
    float ska_expm1f(float x) noexcept nogil

ctypedef fused real:
    float
    double

ctypedef fused index:
    int32_t
    int64_t

# Rows whose records are fetched ahead of the one being learned, and rows whose
# entries are, and whose targets and places are: each is needed to find the next.
cdef enum:
    RECORDS_AHEAD = 2
    ENTRIES_AHEAD = 6
    ROWS_AHEAD = 10
    CACHE_LINE = 64
    MAX_PREFETCHED_LINES = 8

# What can end a run of the row loop early.
cdef enum:
    DONE = 0
    NOT_FINITE = 1
    OUT_OF_MEMORY = 2

# Coefficients charged at once.
cdef enum:
    CHARGE_BLOCK = 16

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
    SMALL_POWERS = 256


cdef inline real root(real x) noexcept nogil:
    if real is float:
        return sqrtf(x)
    else:
        return sqrt(x)


cdef inline real magnitude(real x) noexcept nogil:
    if real is float:
        return fabsf(x)
    else:
        return fabs(x)


cdef inline void prefetch_array(const void* address, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t offset
    for offset in range(0, size, 64):
        ska_prefetch(<const char*>address + offset)


cdef class PowerTable:
    """base^k for whole k >= 0 without a call of pow, from tables that stay in cache."""

    cdef:
        double logarithm
        double[SMALL_POWERS] low, middle, high

    def __cinit__(self, double log_base):
        cdef int i
        self.logarithm = log_base
        for i in range(SMALL_POWERS):
            # base 0 has the logarithm -inf, and 0^0 is 1
            self.low[i] = exp(log_base * i) if i else 1.0
            self.middle[i] = exp(log_base * i * SMALL_POWERS) if i else 1.0
            self.high[i] = exp(log_base * i * SMALL_POWERS * SMALL_POWERS) if i else 1.0

    cdef inline double get(self, int64_t k) noexcept nogil:
        if k < SMALL_POWERS:
            return self.low[k]
        if k < SMALL_POWERS * SMALL_POWERS:
            return self.low[k & 255] * self.middle[k >> 8]
        if k < SMALL_POWERS * SMALL_POWERS * SMALL_POWERS:
            return self.low[k & 255] * self.middle[(k >> 8) & 255] * self.high[k >> 16]
        return exp(self.logarithm * <double>k)


# --- The arithmetic: loops over n elements (features x outputs) side by side ---

cdef inline real expm1_of_small(real x) noexcept nogil:
    """For |x| < 1/64."""
    return x * (1 + x * (<real>0.5 + x * (<real>(1. / 6) + x * (<real>(1. / 24) + x * (
        <real>(1. / 120) + x * (<real>(1. / 720) + x * <real>(1. / 5040)))))))


cdef inline real expm1_of_tiny(real x) noexcept nogil:
    """For |x| < 1/4096."""
    return x * (1 + x * (<real>0.5 + x * (<real>(1. / 6) + x * <real>(1. / 24))))


cdef inline real expm1_of_negative(real x) noexcept nogil:
    if real is float:
        return ska_expm1f(x)
    else:
        return ska_expm1(x)


cdef void charge(real* w, const real* tau, Py_ssize_t n, real l1, real l2) noexcept nogil:
    """Let w flow for the time tau: the closed form of dw/dtau = -(l2 w + l1 sign w)."""
    cdef Py_ssize_t start = 0
    # In blocks, for a rare feature, long idle, to slow down only its neighbours.
    while start < n:
        charge_block(w + start, tau + start, min(n - start, <Py_ssize_t>CHARGE_BLOCK), l1, l2)
        start += CHARGE_BLOCK


cdef inline void charge_block(
    real* w, const real* tau, Py_ssize_t n, real l1, real l2
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real rise, size, longest = 0
    cdef real threshold = l1 / l2 if l2 > 0 else 0
    for i in range(n):
        longest = tau[i] if tau[i] > longest else longest
    if l1 == 0:
        if l2 * longest < 0.000244140625:
            for i in range(n):
                w[i] += w[i] * expm1_of_tiny(-l2 * tau[i])
        elif l2 * longest < 0.015625:
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
    elif l2 * longest < 0.015625:
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
    cdef Py_ssize_t i, whole = n - n % 4
    cdef real s_0 = 0, s_1 = 0, s_2 = 0, s_3 = 0
    # four sums that need not wait for each other
    for i in range(0, whole, 4):
        s_0 += (a[i] + b[i]) * 0
        s_1 += (a[i + 1] + b[i + 1]) * 0
        s_2 += (a[i + 2] + b[i + 2]) * 0
        s_3 += (a[i + 3] + b[i + 3]) * 0
    for i in range(whole, n):
        s_0 += (a[i] + b[i]) * 0
    return s_0 + s_1 + s_2 + s_3 == 0


cdef void adagrad_step(
    real* w, real* G, real* metric, const real* g, Py_ssize_t n, real eta, real eps
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real r
    for i in range(n):
        G[i] += g[i] * g[i]
        r = 1 / root(G[i] + eps)
        w[i] -= eta * g[i] * r
        metric[i] = r if g[i] != 0 else metric[i]


cdef void rmsprop_step(
    real* w, real* s, real* metric, const real* g, Py_ssize_t n,
    real eta, real rho, real eps, bint masked,
) noexcept nogil:
    """s is the root of the textbook's v."""
    cdef Py_ssize_t i
    cdef real s_new, r
    for i in range(n):
        s_new = root(rho * s[i] * s[i] + (1 - rho) * g[i] * g[i])
        r = 1 / (s_new + eps)
        w[i] -= eta * g[i] * r
        metric[i] = r if g[i] != 0 else metric[i]
        s[i] = s[i] if masked and g[i] == 0 else s_new


cdef void adam_moments(
    real* m, real* s, const real* g, Py_ssize_t n, real b1, real b2, bint masked
) noexcept nogil:
    """s is the root of the textbook's v."""
    cdef Py_ssize_t i
    cdef real m_new, s_new
    for i in range(n):
        m_new = b1 * m[i] + (1 - b1) * g[i]
        s_new = root(b2 * s[i] * s[i] + (1 - b2) * g[i] * g[i])
        m[i] = m[i] if masked and g[i] == 0 else m_new
        s[i] = s[i] if masked and g[i] == 0 else s_new


cdef void adam_metric(
    real* r, real* y, const real* s, Py_ssize_t n, real z_0, real eps
) noexcept nogil:
    """r = 1 / (sqrt(vhat) + eps), and y = s r, the variable of the tail's expansion."""
    cdef Py_ssize_t i
    for i in range(n):
        r[i] = 1 / (s[i] * z_0 + eps)
        y[i] = s[i] * r[i]


cdef void polynomial(
    real* value, const real* y, Py_ssize_t n, const double* coefficients, int n_coefficients
) noexcept nogil:
    """Horner's rule, four coefficients a pass, so that the loop has no inner loop."""
    cdef Py_ssize_t i
    cdef int p = n_coefficients - 4
    cdef real c0, c1, c2, c3
    for i in range(n):
        value[i] = 0
    while p >= 0:
        c0 = <real>coefficients[p]
        c1 = <real>coefficients[p + 1]
        c2 = <real>coefficients[p + 2]
        c3 = <real>coefficients[p + 3]
        for i in range(n):
            value[i] = (((value[i] * y[i] + c3) * y[i] + c2) * y[i] + c1) * y[i] + c0
        p -= 4


cdef void subtract(real* w, const real* u, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        w[i] -= u[i]


cdef void clear_masked(real* m, const real* g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        m[i] = 0 if g[i] == 0 else m[i]


cdef void update_metric(real* metric, const real* r, const real* g, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        metric[i] = r[i] if g[i] != 0 else metric[i]


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
    exact : bool
        Whether idle coefficients follow the dense algorithm, or stay (masked).
    """

    cdef:
        # the state
        readonly object records, intercept_array
        unsigned char[::1] memory
        double[:, ::1] intercept
        Py_ssize_t n_features, n_outputs, stride
        bint single
        # where a record has what, in bytes; -1: it has no such field. The moments
        # follow the weights; the last step comes first.
        Py_ssize_t at_coef, at_metric, at_charged, at_step
        bint has_second
        # time
        readonly int64_t t
        readonly double charged
        double eta0, power_t, eta, increment, l1, l2
        bint exact, flat_metric
        # how the moments age while idle; None: they do not
        PowerTable first_age, second_age
        int64_t first_forgotten
        # the working set: where the records of n features are, in bytes, and n x n_outputs
        # weights, moments, metrics, pending charges, gradients and three scratch arrays.
        # The offsets are the optimizer's own, or lent by who has them already.
        Py_ssize_t n, capacity
        const int64_t* offset
        int64_t* own_offset
        void* w
        void* first
        void* second
        void* metric
        void* tau
        void* g
        void* scratch_1
        void* scratch_2
        void* scratch_3

    def __cinit__(self, *args, **kwargs):
        self.capacity = 0

    def __init__(
        self, records, intercept, *, n_outputs, t, charged, eta0, power_t, l1, l2, exact
    ):
        fields = records.dtype.fields
        self.records = records
        self.intercept_array = intercept
        self.memory = records.view(np.uint8)
        self.intercept = intercept
        self.n_features = records.shape[0]
        self.n_outputs = n_outputs
        self.stride = records.dtype.itemsize
        self.single = fields["coef"][0].base == np.float32
        moments = [name for name in records.dtype.names if name not in (
            "coef", "inverse_metric", "charged", "last_step")]
        self.at_coef = fields["coef"][1]
        self.has_second = len(moments) > 1
        self.at_metric = fields["inverse_metric"][1] if "inverse_metric" in fields else -1
        self.at_charged = fields["charged"][1] if "charged" in fields else -1
        self.at_step = fields["last_step"][1] if "last_step" in fields else -1
        self.t = t
        self.charged = charged
        self.eta0 = eta0
        self.power_t = power_t
        self.l1 = l1
        self.l2 = l2
        self.exact = exact
        self.flat_metric = False
        self.first_age = self.second_age = None
        self.first_forgotten = LLONG_MAX

    def __dealloc__(self):
        free(self.own_offset)
        free(self.w)
        free(self.first)
        free(self.second)
        free(self.metric)
        free(self.tau)
        free(self.g)
        free(self.scratch_1)
        free(self.scratch_2)
        free(self.scratch_3)

    # -- what an optimizer defines --

    cdef void bring_up_to_date(self) noexcept nogil:
        """Turn what the records hold into weights and moments after step t."""
        pass

    cdef void step(self) noexcept nogil:
        """Move the working set by its gradients: step t, which has begun."""
        pass

    cdef void put_to_rest(self) noexcept nogil:
        """The inverse of bring_up_to_date: what records hold from weights after step t."""
        pass

    cdef void step_intercept(self, double* b, double* m, double* v, double g) noexcept nogil:
        """The textbook update of one intercept."""
        pass

    cdef void prepare(self) noexcept nogil:
        """Compute what all features share after step t."""
        pass

    # -- what all of them share --

    cdef double learning_rate(self, int64_t t) noexcept nogil:
        return self.eta0 if self.power_t == 0 else self.eta0 / pow(<double>t, self.power_t)

    cdef double charge_of(self, double eta) noexcept nogil:
        """What a step adds to S."""
        return eta

    cdef bint reserve(self, Py_ssize_t n) noexcept nogil:
        """Make room for n features in the working set; False if there is no memory."""
        if n <= self.capacity:
            return True
        n += n // 4
        # Doubles throughout: single precision uses half of each.
        cdef Py_ssize_t size = n * self.n_outputs * sizeof(double)
        if not (
            grow(<void**>&self.own_offset, n * sizeof(int64_t))
            and grow(&self.w, size) and grow(&self.first, size) and grow(&self.second, size)
            and grow(&self.metric, size) and grow(&self.tau, size) and grow(&self.g, size)
            and grow(&self.scratch_1, size) and grow(&self.scratch_2, size)
            and grow(&self.scratch_3, size)
        ):
            return False
        self.capacity = n
        return True

    cdef inline void prefetch(self, int64_t offset) noexcept nogil:
        ska_prefetch(&self.memory[0] + offset)
        if self.stride > CACHE_LINE:
            prefetch_array(
                &self.memory[0] + offset + CACHE_LINE,
                min(self.stride - CACHE_LINE, <Py_ssize_t>(CACHE_LINE * MAX_PREFETCHED_LINES)))

    cdef void load(self) noexcept nogil:
        """Weights and moments after step t of the n features named in the working set."""
        if self.single:
            gather(<float*>self.w, self)
        else:
            gather(<double*>self.w, self)
        self.bring_up_to_date()

    cdef void store(self) noexcept nogil:
        if self.single:
            scatter(<float*>self.w, self)
        else:
            scatter(<double*>self.w, self)

    cdef bint working_set_is_finite(self) noexcept nogil:
        """Of the moments, that of the squares, which overflows first."""
        cdef Py_ssize_t n = self.n * self.n_outputs
        cdef void* squares = self.second if self.has_second else self.first
        if self.single:
            return all_finite(<float*>self.w, <float*>squares, n)
        return all_finite(<double*>self.w, <double*>squares, n)

    cdef bint advance(self, const double* intercept_gradient, double* intercept_after) noexcept nogil:
        """Do one step on the loaded working set; False, and nothing done, if it overflows.

        intercept_gradient is NULL for a model without intercept;
        intercept_after is room for 3 x n_outputs numbers.
        """
        cdef Py_ssize_t k, K = self.n_outputs
        cdef bint finite = True
        self.t += 1
        self.eta = self.learning_rate(self.t)
        self.increment = self.charge_of(self.eta)
        self.prepare()
        if self.n:
            self.step()
            finite = self.working_set_is_finite()
        if intercept_gradient != NULL and finite:
            for k in range(K):
                intercept_after[k] = self.intercept[0, k]
                intercept_after[K + k] = self.intercept[1, k]
                intercept_after[2 * K + k] = self.intercept[2, k]
                self.step_intercept(
                    &intercept_after[k], &intercept_after[K + k], &intercept_after[2 * K + k],
                    intercept_gradient[k],
                )
            finite = all_finite(intercept_after, intercept_after + K, 2 * K)
        if not finite:
            self.t -= 1
            self.prepare()
            return False
        if self.n:
            self.store()
        if intercept_gradient != NULL:
            for k in range(K):
                self.intercept[0, k] = intercept_after[k]
                self.intercept[1, k] = intercept_after[K + k]
                self.intercept[2, k] = intercept_after[2 * K + k]
        self.charged += self.increment
        return True

    cdef double charged_at_store(self) noexcept nogil:
        """S up to which the weights that a step stores are charged: the step is still owed."""
        return self.charged

    cdef void name_features(self, const int64_t[::1] features, Py_ssize_t start) noexcept nogil:
        cdef Py_ssize_t j
        self.n = min(<Py_ssize_t>SWEEP, features.shape[0] - start)
        for j in range(self.n):
            self.own_offset[j] = features[start + j] * self.stride
        self.offset = self.own_offset

    def weights(self, const int64_t[::1] features, real[:, ::1] out):
        """Write the weights after step t, charges and tails included, to out (n_outputs, n)."""
        cdef Py_ssize_t start = 0, j, k, K = self.n_outputs, n_all = features.shape[0]
        cdef real* w
        if not self.reserve(SWEEP):
            raise MemoryError
        with nogil:
            self.prepare()
            while start < n_all:
                self.name_features(features, start)
                self.load()
                w = <real*>self.w
                for k in range(K):
                    for j in range(self.n):
                        out[k, start + j] = w[j * K + k]
                start += SWEEP

    def penalty(self, const int64_t[::1] features):
        """The penalty of the weights of these features after step t; NaN if one is not finite."""
        cdef Py_ssize_t start = 0, i, n_all = features.shape[0]
        cdef double total = 0.0, size
        if not self.reserve(SWEEP):
            raise MemoryError
        with nogil:
            self.prepare()
            while start < n_all:
                self.name_features(features, start)
                self.load()
                for i in range(self.n * self.n_outputs):
                    size = fabs((<float*>self.w)[i] if self.single else (<double*>self.w)[i])
                    total += self.l1 * size + 0.5 * self.l2 * size * size
                start += SWEEP
        return total

    def continue_as(self, Optimizer other not None, real[:, ::1] coef):
        """Hand the state over to an optimizer of the same class and other parameters.

        Everything is brought up to date under the old parameters and put
        to rest under the new ones. The weights become those of ``coef``,
        of shape (n_outputs, n_features), or where it is empty stay as they are.
        """
        if type(self) is not type(other) or self.single != other.single:
            raise TypeError("the other optimizer must be of the same class and precision")
        if self.single != (sizeof(real) == sizeof(float)):
            raise TypeError("coef must have the precision of the records")
        cdef Py_ssize_t start = 0, j, k, K = self.n_outputs, n_all = self.n_features
        cdef bint replace = coef.shape[0] > 0
        cdef size_t size
        if not (self.reserve(SWEEP) and other.reserve(SWEEP)):
            raise MemoryError
        other.t = self.t
        other.charged = self.charged
        with nogil:
            self.prepare()
            other.prepare()
            while start < n_all:
                self.n = other.n = min(<Py_ssize_t>SWEEP, n_all - start)
                for j in range(self.n):
                    self.own_offset[j] = (start + j) * self.stride
                    other.own_offset[j] = (start + j) * other.stride
                self.offset = self.own_offset
                other.offset = other.own_offset
                self.load()
                if replace:
                    for k in range(K):
                        for j in range(self.n):
                            (<real*>self.w)[j * K + k] = coef[k, start + j]
                start += SWEEP
                if not has_state(<real*>self.w, self):
                    continue  # untouched records stay untouched memory
                size = self.n * K * sizeof(real)
                memcpy(other.w, self.w, size)
                memcpy(other.first, self.first, size)
                memcpy(other.second, self.second, size)
                if self.at_metric >= 0:
                    memcpy(other.metric, self.metric, size)
                else:
                    memset(other.metric, 0, size)
                other.put_to_rest()
                other.store()


cdef bint has_state(const real* w, Optimizer o) noexcept nogil:
    cdef Py_ssize_t i
    cdef const real* first = <real*>o.first
    cdef const real* second = <real*>o.second
    for i in range(o.n * o.n_outputs):
        if w[i] != 0 or first[i] != 0 or (o.has_second and second[i] != 0):
            return True
    return False


cdef bint grow(void** memory, size_t size) noexcept nogil:
    cdef void* grown = realloc(memory[0], size)
    if grown == NULL:
        return False
    memory[0] = grown
    return True


cdef inline void copy_in(real* w, Optimizer o, Py_ssize_t K) noexcept nogil:
    """The records, with moments aged and the charge for the idle time as tau.

    Called with K = 1 as a literal, too, for the inner loops to vanish.
    """
    cdef real* first = <real*>o.first
    cdef real* second = <real*>o.second
    cdef real* metric = <real*>o.metric
    cdef real* tau = <real*>o.tau
    cdef const int64_t* offset = o.offset
    cdef unsigned char* memory = &o.memory[0]
    cdef unsigned char* record
    cdef real* numbers
    cdef Py_ssize_t j, k, n = o.n
    cdef Py_ssize_t at_coef = o.at_coef, at_metric = o.at_metric
    cdef Py_ssize_t at_charged = o.at_charged, at_step = o.at_step
    cdef bint has_second = o.has_second
    cdef int64_t t = o.t, idle, forgotten = o.first_forgotten
    cdef real charged = <real>o.charged, pending = 0, first_factor = 1, second_factor = 1
    for j in range(n):
        record = memory + offset[j]
        numbers = <real*>(record + at_coef)
        if at_charged >= 0:
            pending = charged - (<real*>(record + at_charged))[0]
        if at_step >= 0:
            idle = t - (<int64_t*>record)[0]
            first_factor = <real>o.first_age.get(idle) if idle < forgotten else 0
            if has_second:
                second_factor = <real>o.second_age.get(idle)
        for k in range(K):
            w[j * K + k] = numbers[k]
            first[j * K + k] = numbers[K + k] * first_factor
            if has_second:
                second[j * K + k] = numbers[2 * K + k] * second_factor
            if at_metric >= 0:
                metric[j * K + k] = (<real*>(record + at_metric))[k]
                tau[j * K + k] = pending * metric[j * K + k]
            elif at_charged >= 0:
                tau[j * K + k] = pending


cdef inline void copy_out(const real* w, Optimizer o, Py_ssize_t K) noexcept nogil:
    """The working set to the records, charged and brought up to date to the end of step t."""
    cdef const real* first = <real*>o.first
    cdef const real* second = <real*>o.second
    cdef const real* metric = <real*>o.metric
    cdef const int64_t* offset = o.offset
    cdef unsigned char* memory = &o.memory[0]
    cdef unsigned char* record
    cdef real* numbers
    cdef Py_ssize_t j, k, n = o.n
    cdef Py_ssize_t at_coef = o.at_coef, at_metric = o.at_metric
    cdef Py_ssize_t at_charged = o.at_charged, at_step = o.at_step
    cdef bint has_second = o.has_second
    cdef int64_t t = o.t
    cdef real charged = <real>o.charged_at_store()
    for j in range(n):
        record = memory + offset[j]
        numbers = <real*>(record + at_coef)
        if at_charged >= 0:
            (<real*>(record + at_charged))[0] = charged
        if at_step >= 0:
            (<int64_t*>record)[0] = t
        for k in range(K):
            numbers[k] = w[j * K + k]
            numbers[K + k] = first[j * K + k]
            if has_second:
                numbers[2 * K + k] = second[j * K + k]
            if at_metric >= 0:
                (<real*>(record + at_metric))[k] = metric[j * K + k]


cdef void gather(real* w, Optimizer o) noexcept nogil:
    if o.n_outputs == 1:
        copy_in(w, o, 1)
    else:
        copy_in(w, o, o.n_outputs)
    if o.at_charged >= 0:
        charge(w, <real*>o.tau, o.n * o.n_outputs, <real>o.l1, <real>o.l2)


cdef void scatter(real* w, Optimizer o) noexcept nogil:
    if o.n_outputs == 1:
        copy_out(w, o, 1)
    else:
        copy_out(w, o, o.n_outputs)


@cython.final
cdef class AdaGrad(Optimizer):
    """G += g^2; w -= eta g / sqrt(G + eps).

    Duchi, Hazan, Singer (2011). G does not change while idle, so
    the charge with the metric sqrt(G + eps) is composite mirror descent.
    """

    cdef double eps

    def __init__(self, records, intercept, *, eps, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.eps = eps

    cdef void step(self) noexcept nogil:
        cdef Py_ssize_t n = self.n * self.n_outputs
        if self.single:
            adagrad_step(
                <float*>self.w, <float*>self.first, <float*>self.metric, <float*>self.g, n,
                <float>self.eta, <float>self.eps)
        else:
            adagrad_step(
                <double*>self.w, <double*>self.first, <double*>self.metric, <double*>self.g, n,
                self.eta, self.eps)

    cdef void step_intercept(self, double* b, double* G, double* unused, double g) noexcept nogil:
        G[0] += g * g
        b[0] -= self.eta * g / sqrt(G[0] + self.eps)


@cython.final
cdef class RMSProp(Optimizer):
    """v = rho v + (1 - rho) g^2; w -= eta g / (sqrt(v) + eps).

    Tieleman and Hinton (2012). Records hold sqrt(v), which has twice
    the range of v. While idle v is multiplied by rho a step; w rests.
    """

    cdef double rho, eps

    def __init__(self, records, intercept, *, rho, eps, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.rho = rho
        self.eps = eps
        self.first_age = PowerTable(0.5 * log(rho) if rho > 0 else -INFINITY)

    cdef void step(self) noexcept nogil:
        cdef Py_ssize_t n = self.n * self.n_outputs
        if self.single:
            rmsprop_step(
                <float*>self.w, <float*>self.first, <float*>self.metric, <float*>self.g, n,
                <float>self.eta, <float>self.rho, <float>self.eps, not self.exact)
        else:
            rmsprop_step(
                <double*>self.w, <double*>self.first, <double*>self.metric, <double*>self.g, n,
                self.eta, self.rho, self.eps, not self.exact)

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
    1 - b2^t changes fast, and for beta_1^2 close to beta_2) the c_i
    are summed for each coefficient.

    The M_p of a block of steps come from those of the block's end by a
    recursion backwards in t: c_{i+1}(t) is b1 c_i(t+1), and
    z_0(t) - z_{i+1}(t) is delta + sqrt(b2) (z_0 - z_i)(t+1) with
    delta = z_0(t) - z_1(t), so the binomial theorem gives M_p(t) from M_0..M_p
    (t+1). All terms are positive, hence stable. Blocks lie at fixed multiples of t:
    whoever asks for the M_p of a step gets the same bits.

    Penalties. A touched coefficient is charged for its step as it is (composite
    mirror descent). While idle the carried weight is charged, not the tail: so that
    charging tau1 and then tau2 is charging tau1 + tau2 here too.

    With decoupled decay (AdamW) the weights shrink by d_t = 1 - eta_t alpha
    at each step; c_i is then divided by d_{t+1} ... d_{t+i}, so that the tail
    is in the units of step t.
    """

    cdef:
        double b1, b2, eps, log_b1, log_b2, tolerance
        int n_terms
        # after step t: 1 / (1 - b1^t), 1 / sqrt(1 - b2^t), and the tail's tables
        int64_t prepared_t
        double a_0, z_0
        int n_moments
        double[MAX_MOMENTS] moments
        double* c
        double* z
        # moments after the steps block_start, block_start + 1, ..., block_end
        int64_t block_start, block_end
        int block_moments
        double* block
        bint stationary
        # Pascal's triangle
        double[MAX_MOMENTS][MAX_MOMENTS] binomial

    def __init__(self, records, intercept, *, beta_1, beta_2, eps, **kwargs):
        super().__init__(records, intercept, **kwargs)
        self.b1 = beta_1
        self.b2 = beta_2
        self.eps = eps
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
        self.first_forgotten = max(self.n_terms, 1)
        self.tolerance = 1e-9 if self.single else 1e-15
        self.prepared_t = -1
        self.block_start = self.block_end = -1
        cdef int p, r
        for p in range(MAX_MOMENTS):
            self.binomial[p][0] = 1.0
            for r in range(1, p + 1):
                self.binomial[p][r] = self.binomial[p - 1][r - 1] + (
                    self.binomial[p - 1][r] if r < p else 0.0)
        self.c = <double*>calloc(self.n_terms + 1, sizeof(double))
        self.z = <double*>calloc(self.n_terms + 1, sizeof(double))
        self.block = <double*>calloc((LAST_BLOCK + 1) * MAX_MOMENTS, sizeof(double))
        if self.c == NULL or self.z == NULL or self.block == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.c)
        free(self.z)
        free(self.block)

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
        """c_i and z_i after step t, for i = 1 ... n_terms."""
        cdef int i
        cdef double eta, decayed = 1.0
        for i in range(1, self.n_terms + 1):
            eta = self.learning_rate(t + i)
            decayed *= 1 - eta * self.decay()
            self.c[i] = eta / self.bias_1(t + i) * self.first_age.get(i) / decayed
            self.z[i] = self.second_age.get(i) / self.bias_2(t + i)

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

    cdef void sum_moments(self, double z_0, double* moments, int n_moments) noexcept nogil:
        """M_p of the filled terms."""
        cdef int i, p
        cdef double term
        for p in range(n_moments):
            moments[p] = 0.0
        for i in range(self.n_terms, 0, -1):
            term = self.c[i]
            for p in range(n_moments):
                moments[p] += term
                term *= z_0 - self.z[i]

    cdef void fill_block(self, int64_t t) noexcept nogil:
        """Moments for the block of steps that t lies in."""
        cdef int64_t length = FIRST_BLOCK, u
        cdef int p, r
        cdef double z_0, z_next, delta, q = sqrt(self.b2), factor, first, power
        cdef double* here
        cdef double* later
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
        self.sum_moments(z_next, later, self.block_moments)
        for u in range(self.block_end - 1, self.block_start - 1, -1):
            here = self.block + (u - self.block_start) * MAX_MOMENTS
            z_0 = 1.0 / self.bias_2(u)
            delta = z_0 - q * z_next
            first = self.learning_rate(u + 1)
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
                        self.sum_moments(1.0, self.moments, self.n_moments)
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
        else:
            moments = self.block + (t - self.block_start) * MAX_MOMENTS
            for p in range(self.n_moments):
                self.moments[p] = moments[p]

    cdef void bring_up_to_date(self) noexcept nogil:
        if self.single:
            add_tail(<float*>self.w, self, 1)
        else:
            add_tail(<double*>self.w, self, 1)

    cdef void put_to_rest(self) noexcept nogil:
        if self.single:
            add_tail(<float*>self.w, self, -1)
        else:
            add_tail(<double*>self.w, self, -1)

    cdef void step(self) noexcept nogil:
        if self.single:
            adam_step(<float*>self.w, self)
        else:
            adam_step(<double*>self.w, self)

    cdef void step_intercept(self, double* b, double* m, double* v, double g) noexcept nogil:
        m[0] = self.b1 * m[0] + (1 - self.b1) * g
        v[0] = self.b2 * v[0] + (1 - self.b2) * g * g
        b[0] -= self.eta * (m[0] * self.a_0) / (sqrt(v[0]) * self.z_0 + self.eps)


cdef void tail_factor(real* u, const real* y, Adam o) noexcept nogil:
    """u such that the tail is m r u, from y = s r."""
    cdef Py_ssize_t j, n = o.n * o.n_outputs
    cdef int i
    cdef const real* m = <real*>o.first
    cdef const real* s = <real*>o.second
    cdef double total_0, total_1, s_j, eps = o.eps
    if o.n_moments >= 0:
        polynomial(u, y, n, o.moments, o.n_moments)
        return
    for j in range(n):
        u[j] = 0
        if m[j] != 0:
            s_j = s[j]
            total_0 = total_1 = 0.0
            for i in range(1, o.n_terms, 2):
                total_0 += o.c[i] / (s_j * o.z[i] + eps)
                total_1 += o.c[i + 1] / (s_j * o.z[i + 1] + eps)
            u[j] = <real>((total_0 + total_1) * (s_j * o.z_0 + eps))


cdef void add_tail(real* w, Adam o, int sign) noexcept nogil:
    """Between carried weights (at rest) and weights after step t: w += sign T."""
    cdef Py_ssize_t i, n = o.n * o.n_outputs
    cdef real* m = <real*>o.first
    cdef real* r = <real*>o.scratch_1
    cdef real* y = <real*>o.scratch_2
    cdef real* u = <real*>o.scratch_3
    if not o.exact or o.t == 0:
        return
    adam_metric(r, y, <real*>o.second, n, <real>o.z_0, <real>o.eps)
    tail_factor(u, y, o)
    for i in range(n):
        u[i] *= r[i] * m[i]
    for i in range(n):
        w[i] += sign * u[i]


cdef void adam_step(real* w, Adam o) noexcept nogil:
    """Moments, step, this step's charge, and what of the tail is to come."""
    cdef Py_ssize_t i, n = o.n * o.n_outputs
    cdef real* m = <real*>o.first
    cdef real* s = <real*>o.second
    cdef real* g = <real*>o.g
    cdef real* metric = <real*>o.metric
    cdef real* r = <real*>o.scratch_1
    cdef real* y = <real*>o.scratch_2
    cdef real* u = <real*>o.scratch_3
    cdef real eta = <real>(o.eta * o.a_0), factor
    if o.flat_metric and o.l1 == 0:
        # The decay is linear: it commutes with all the rest.
        factor = <real>(1 - o.eta * o.l2)
        for i in range(n):
            w[i] *= factor
    adam_moments(m, s, g, n, <real>o.b1, <real>o.b2, not o.exact)
    adam_metric(r, y, s, n, <real>o.z_0, <real>o.eps)
    if o.at_metric >= 0:
        update_metric(metric, r, g, n)
    if o.exact:
        tail_factor(u, y, o)
    else:
        memset(u, 0, n * sizeof(real))
        clear_masked(r, g, n)
    for i in range(n):
        r[i] *= m[i]
    # Now eta r is the step, and u r the tail after it.
    if o.at_charged < 0 or (o.flat_metric and o.l1 == 0):
        for i in range(n):
            w[i] -= r[i] * (eta + u[i])
    elif o.flat_metric:
        # The charge comes before the step. An idle coefficient is charged without
        # its tail, in the units of the step before.
        factor = <real>(1 / (1 - o.eta * o.l2))
        for i in range(n):
            w[i] -= 0 if g[i] != 0 else factor * r[i] * (eta + u[i])
            u[i] = r[i] * (eta + u[i]) if g[i] != 0 else 0
        for i in range(n):
            r[i] = <real>o.increment
        charge(w, r, n, <real>o.l1, <real>o.l2)
        subtract(w, u, n)
    else:
        # The charge comes after the step, and an idle coefficient's after its tail.
        for i in range(n):
            w[i] -= r[i] * (eta if g[i] != 0 else eta + u[i])
            u[i] = r[i] * u[i] if g[i] != 0 else 0
        for i in range(n):
            r[i] = <real>o.increment * metric[i]
        charge(w, r, n, <real>o.l1, <real>o.l2)
        subtract(w, u, n)


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

cdef class RowLoop:
    """Buffers of one training run: margins, gradients, and a mini-batch's features.

    In a mini-batch a feature may occur in several rows. The table maps
    features to places in the working set: open addressing, at most half full,
    so that its size follows the batch and not n_features.
    """

    cdef:
        Py_ssize_t K, batch_size
        double* margins
        double* gradients
        double* intercept_gradient
        double* intercept_after
        Py_ssize_t n_slots
        int64_t* keys
        int32_t* places
        int32_t* place_of_entry
        int64_t* used
        Py_ssize_t entries_capacity
        int bits
        # rows by themselves: offsets of the records of this row and of those ahead
        int64_t* ring[RECORDS_AHEAD + 1]
        Py_ssize_t ring_capacity[RECORDS_AHEAD + 1]

    def __cinit__(self, Py_ssize_t K, Py_ssize_t batch_size):
        self.K = K
        self.batch_size = batch_size
        self.margins = <double*>calloc(batch_size * K, sizeof(double))
        self.gradients = <double*>calloc(batch_size * K, sizeof(double))
        self.intercept_gradient = <double*>calloc(K, sizeof(double))
        self.intercept_after = <double*>calloc(3 * K, sizeof(double))
        if (self.margins == NULL or self.gradients == NULL
                or self.intercept_gradient == NULL or self.intercept_after == NULL):
            raise MemoryError

    def __dealloc__(self):
        free(self.margins)
        free(self.gradients)
        free(self.intercept_gradient)
        free(self.intercept_after)
        free(self.keys)
        free(self.places)
        free(self.place_of_entry)
        free(self.used)
        cdef int i
        for i in range(RECORDS_AHEAD + 1):
            free(self.ring[i])

    cdef bint reserve(self, Py_ssize_t n_entries) noexcept nogil:
        cdef Py_ssize_t i
        if n_entries <= self.entries_capacity:
            return True
        n_entries += n_entries // 4
        self.bits = 4
        while (<Py_ssize_t>1 << self.bits) < 2 * n_entries:
            self.bits += 1
        self.n_slots = <Py_ssize_t>1 << self.bits
        if not (
            grow(<void**>&self.keys, self.n_slots * sizeof(int64_t))
            and grow(<void**>&self.places, self.n_slots * sizeof(int32_t))
            and grow(<void**>&self.place_of_entry, n_entries * sizeof(int32_t))
            and grow(<void**>&self.used, n_entries * sizeof(int64_t))
        ):
            return False
        for i in range(self.n_slots):
            self.keys[i] = -1
        self.entries_capacity = n_entries
        return True


cdef inline bint look_ahead(
    const index* columns, Py_ssize_t n, RowLoop loop, Py_ssize_t position, Optimizer o
) noexcept nogil:
    """Find and fetch the records of a row to come; False if there is no memory."""
    cdef Py_ssize_t j, slot = position % (RECORDS_AHEAD + 1), stride = o.stride
    cdef int64_t* offset
    if n > loop.ring_capacity[slot]:
        if not grow(<void**>&loop.ring[slot], 2 * n * sizeof(int64_t)):
            return False
        loop.ring_capacity[slot] = 2 * n
    offset = loop.ring[slot]
    for j in range(n):
        offset[j] = columns[j] * stride
        o.prefetch(offset[j])
    return True


cdef void margins_of_row(
    double* margins, const real* w, const real* x, const int32_t* place,
    Py_ssize_t n, Optimizer o, bint fit_intercept,
) noexcept nogil:
    """Margins of one row; place is NULL where the working set is the row itself."""
    cdef Py_ssize_t j, k, at, K = o.n_outputs
    cdef double total_0 = 0.0, total_1 = 0.0, total_2 = 0.0, total_3 = 0.0
    if K == 1 and place == NULL:
        # four sums that need not wait for each other
        for j in range(0, n - n % 4, 4):
            total_0 += <double>x[j] * w[j]
            total_1 += <double>x[j + 1] * w[j + 1]
            total_2 += <double>x[j + 2] * w[j + 2]
            total_3 += <double>x[j + 3] * w[j + 3]
        for j in range(n - n % 4, n):
            total_0 += <double>x[j] * w[j]
        margins[0] = (total_0 + total_1) + (total_2 + total_3)
    else:
        for k in range(K):
            margins[k] = 0.0
        for j in range(n):
            at = (j if place == NULL else place[j]) * K
            for k in range(K):
                margins[k] += <double>x[j] * w[at + k]
    if fit_intercept:
        for k in range(K):
            margins[k] += o.intercept[0, k]


cdef bint loss_of_row(
    double* loss_sum, double* gradients, const double* margins, Loss loss, double y,
    double weight, const double* positive_weight, const double* negative_weight,
    Py_ssize_t K, bint classification,
) noexcept nogil:
    """Weighted losses and their gradients, one for each output; False if one is not finite."""
    cdef Py_ssize_t k
    cdef double target = y, value, size
    cdef bint finite = True
    for k in range(K):
        if K > 1:
            target = 1.0 if <Py_ssize_t>y == k else -1.0
        size = weight
        if classification:
            size *= positive_weight[k] if target > 0 else negative_weight[k]
        value = loss.evaluate(target, margins[k], &gradients[k])
        gradients[k] *= size
        if not isfinite(margins[k]) or not isfinite(gradients[k]):
            finite = False
        loss_sum[0] += size * value
    return finite


def train(
    Optimizer optimizer not None,
    Loss loss not None,
    const real[::1] data,
    const index[::1] indices,
    const index[::1] indptr,
    const double[::1] y,
    const double[::1] sample_weight,
    const double[::1] positive_weight,
    const double[::1] negative_weight,
    const int64_t[::1] rows,
    Py_ssize_t batch_size,
    bint fit_intercept,
    bint classification,
):
    """Learn the rows in the order given, `batch_size` of them a step.

    Parameters
    ----------
    optimizer : Optimizer
        Changed: its records, intercept, t and charged.
    loss : Loss
    data, indices, indptr : arrays of a canonical CSR matrix without explicit zeros
        ``data`` of the precision of the records.
    y : array of shape (n_rows,)
        Targets: numbers, or -1 and 1, or with several outputs the class's number.
    sample_weight : array of shape (n_rows,)
        Empty where all are 1.
    positive_weight, negative_weight : arrays of shape (n_outputs,)
        For classification: factors of the weight by the sign of the target.
    rows : array
    batch_size : int
    fit_intercept, classification : bool

    Returns
    -------
    loss_sum : float
        The weighted losses of the rows, each before its step, summed.
    failed : int
        The place in ``rows`` where the step begins that would have overflowed
        and was not done, or -1.
    """
    if optimizer.single != (sizeof(real) == sizeof(float)):
        raise TypeError("data must have the precision of the records")
    cdef:
        Py_ssize_t K = optimizer.n_outputs
        RowLoop loop = RowLoop(K, batch_size)
        Py_ssize_t position = 0, looked_at = 0, size, i, j, k, row, start, n, n_entries, offset
        Py_ssize_t n_rows = rows.shape[0]
        double loss_sum = 0.0, weight
        double* intercept_gradient = loop.intercept_gradient if fit_intercept else NULL
        const real* x = &data[0] if data.shape[0] else NULL
        const index* columns = &indices[0] if indices.shape[0] else NULL
        bint weighted = sample_weight.shape[0] > 0, flat
        int status = DONE
        real* g
        uint64_t slot
        int32_t place
        int64_t feature
    with nogil:
        optimizer.prepare()
        while position < n_rows:
            size = min(batch_size, n_rows - position)
            # -- which features this step touches --
            if batch_size == 1:
                if position + ROWS_AHEAD < n_rows:
                    row = rows[position + ROWS_AHEAD]
                    ska_prefetch(&indptr[row])
                    ska_prefetch(&y[row])
                    if weighted:
                        ska_prefetch(&sample_weight[row])
                if position + ENTRIES_AHEAD < n_rows:
                    row = rows[position + ENTRIES_AHEAD]
                    n = indptr[row + 1] - indptr[row]
                    prefetch_array(columns + indptr[row], n * sizeof(index))
                    prefetch_array(x + indptr[row], n * sizeof(real))
                # at the start the rows up to the one ahead, then always one more
                while looked_at < n_rows and looked_at <= position + RECORDS_AHEAD:
                    row = rows[looked_at]
                    if not look_ahead(
                        columns + indptr[row], indptr[row + 1] - indptr[row], loop, looked_at,
                        optimizer,
                    ):
                        status = OUT_OF_MEMORY
                        break
                    looked_at += 1
                row = rows[position]
                optimizer.n = indptr[row + 1] - indptr[row]
                optimizer.offset = loop.ring[position % (RECORDS_AHEAD + 1)]
                if status != DONE or not optimizer.reserve(optimizer.n):
                    status = OUT_OF_MEMORY
                    break
            else:
                n_entries = 0
                for i in range(size):
                    row = rows[position + i]
                    n_entries += indptr[row + 1] - indptr[row]
                if not loop.reserve(n_entries) or not optimizer.reserve(n_entries):
                    status = OUT_OF_MEMORY
                    break
                n_entries = 0
                optimizer.n = 0
                optimizer.offset = optimizer.own_offset
                for i in range(size):
                    row = rows[position + i]
                    for j in range(indptr[row], indptr[row + 1]):
                        feature = columns[j]
                        # Fibonacci hashing: neighbouring features far apart
                        slot = (<uint64_t>feature * <uint64_t>11400714819323198485u) >> (64 - loop.bits)
                        while loop.keys[slot] != feature and loop.keys[slot] != -1:
                            slot = (slot + 1) & (loop.n_slots - 1)
                        if loop.keys[slot] == -1:
                            loop.keys[slot] = feature
                            loop.places[slot] = <int32_t>optimizer.n
                            loop.used[optimizer.n] = slot
                            optimizer.own_offset[optimizer.n] = feature * optimizer.stride
                            optimizer.prefetch(optimizer.own_offset[optimizer.n])
                            optimizer.n += 1
                        loop.place_of_entry[n_entries] = loop.places[slot]
                        n_entries += 1
                for i in range(optimizer.n):
                    loop.keys[loop.used[i]] = -1
            # -- predict --
            optimizer.load()
            flat = True
            offset = 0
            for i in range(size):
                row = rows[position + i]
                start = indptr[row]
                n = indptr[row + 1] - start
                margins_of_row(
                    &loop.margins[i * K], <real*>optimizer.w, x + start,
                    NULL if batch_size == 1 else loop.place_of_entry + offset,
                    n, optimizer, fit_intercept)
                offset += n
                weight = sample_weight[row] if weighted else 1.0
                if not loss_of_row(
                    &loss_sum, &loop.gradients[i * K], &loop.margins[i * K], loss, y[row],
                    weight, &positive_weight[0], &negative_weight[0], K, classification,
                ):
                    status = NOT_FINITE
                    break
            if status != DONE:
                break
            # -- gradients of the batch's mean loss --
            for k in range(K):
                loop.intercept_gradient[k] = 0.0
            for i in range(size):
                for k in range(K):
                    loop.gradients[i * K + k] /= size
                    loop.intercept_gradient[k] += loop.gradients[i * K + k]
                    if loop.gradients[i * K + k] != 0:
                        flat = False
            if flat:
                # nothing to learn: all features of the step stay idle
                optimizer.n = 0
            elif batch_size == 1:
                g = <real*>optimizer.g
                start = indptr[rows[position]]
                if K == 1:
                    weight = loop.gradients[0]
                    for j in range(optimizer.n):
                        g[j] = <real>(weight * x[start + j])
                else:
                    for j in range(optimizer.n):
                        for k in range(K):
                            g[j * K + k] = <real>(loop.gradients[k] * x[start + j])
            else:
                g = <real*>optimizer.g
                memset(g, 0, optimizer.n * K * sizeof(real))
                offset = 0
                for i in range(size):
                    row = rows[position + i]
                    for j in range(indptr[row], indptr[row + 1]):
                        place = loop.place_of_entry[offset]
                        offset += 1
                        for k in range(K):
                            g[place * K + k] += <real>(loop.gradients[i * K + k] * x[j])
            # -- move --
            if not optimizer.advance(intercept_gradient, loop.intercept_after):
                status = NOT_FINITE
                break
            position += size
    if status == OUT_OF_MEMORY:
        raise MemoryError
    return loss_sum, (position if status == NOT_FINITE else -1)
