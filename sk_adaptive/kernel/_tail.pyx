"""What Adam's coefficients still move by while they are idle: the momentum's tail, in O(1).

A coefficient with the moments m and s = sqrt(v) after step t that stays idle still moves, at step
t + i, by

    u_i = eta_{t+i} a_i m b1^i / (s z_i + eps),
    a_i = 1 / (1 - b1^(t+i)),  z_i = b2^(i/2) / sqrt(1 - b2^(t+i)).

So a record holds the *carried* weight, where the coefficient would end if it stayed idle for ever:
w_t - T(t, m, s) with T = sum_i u_i. A touch at step t + 1 then finds w_t by adding T at the *present*
t and moments, whatever happened to the rates in between. With c_i = eta_{t+i} a_i b1^i and
r = 1 / (s z_0 + eps), expanding about z_0 gives

    T = m r sum_p M_p (s r)^p,   M_p = sum_i c_i (z_0 - z_i)^p,

whose M_p all features share. The remainder after P terms is largest for eps = 0, where it is known
in advance; P is chosen for it to be below rounding. Where no P up to MOST_MOMENTS will do (in the
first steps, where 1 - b2^t changes fast, and for beta_1^2 close to beta_2) the sum, which is

    T = m r sum_i c_i / (1 - x (z_0 - z_i) / z_0),  x = s r z_0 in [0, 1],

is interpolated at Chebyshev's nodes; and where these will not do, its terms are summed for each
coefficient.

The M_p of a block of steps come from those of the block's end by a recursion backwards in t:
c_{i+1}(t) is b1 c_i(t+1), and z_0(t) - z_{i+1}(t) is delta + sqrt(b2) (z_0 - z_i)(t+1) with
delta = z_0(t) - z_1(t), so the binomial theorem gives M_p(t) from M_0..M_p (t+1). All terms are
positive, hence stable. Blocks lie at fixed multiples of t: whoever asks for the M_p of a step gets
the same bits.

With decoupled decay (AdamW) the weights shrink by d_t = 1 - eta_t alpha at each step; c_i is then
divided by d_{t+1} ... d_{t+i}, so that the tail is in the units of step t.

Averages. The tail still to come after i steps, T_i, counts in the step t + i by the growth of the
learning-rate sum S. So the integral of the tail is J = sum_i dS_{t+i} T_i = sum_i e_i u_i, where
e_i is how much S has grown from step t to t + i - 1. It has the same expansion, with
N_p = sum_i e_i c_i (z_0 - z_i)^p in place of M_p; as e_{i+1}(t) is dS_{t+1} + e_i(t+1), the recursion
takes b1 (dS_{t+1} M_p + N_p)(t+1).

All of this is double precision and happens once a step, not once a feature.
"""

from libc.math cimport INFINITY, acos, ceil, cos, exp, expm1, fabs, log, log1p, pow, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

# The moments are shared over a block of so many steps, and sums have at most so many terms.
cdef enum:
    FIRST_BLOCK = 64
    LAST_BLOCK = 512
    MOST_TERMS = 1 << 14

# Powers below this are zero: smaller ones change nothing.
cdef double LEAST_POWER = 1e-30


cdef inline double power_of(double log_base, double k) noexcept nogil:
    # base 0 has the logarithm -inf, and 0^0 is 1
    cdef double value = exp(log_base * k) if k else 1.0
    return value if value > LEAST_POWER else 0.0


cdef class Tail:
    """The tables of a model's tails.

    Parameters
    ----------
    beta_1, beta_2 : float
    eta0, power_t : float
        The learning rate of step t is eta0 / t^power_t.
    decay : float
        The strength of a decay that is applied to the weights before each step, or 0.
    tolerance : float
        What sums may be wrong by, relative to them.
    exact : bool
        Whether idle coefficients move at all.
    averaged : bool
        Whether the integrals are needed.
    """

    def __cinit__(
        self, double beta_1, double beta_2, double eta0, double power_t, double decay,
        double tolerance, bint exact, bint averaged,
    ):
        cdef int i, p, r
        # A tail's terms shrink by this factor a step, at least
        cdef double ratio = beta_1 / (sqrt(beta_2) * (1 - eta0 * decay))
        self.b1 = beta_1
        self.b2 = beta_2
        self.eta0 = eta0
        self.power_t = power_t
        self.decay = decay
        self.tolerance = tolerance
        self.exact = exact
        self.averaged = averaged
        self.log_b1 = log(beta_1) if beta_1 > 0 else -INFINITY
        # beta_2 may be very close to 1: the logarithm from the difference, which is exact
        self.log_b2 = log1p(beta_2 - 1)
        if ratio <= 0:
            self.n_terms = 1 if ratio == 0 else MOST_TERMS + 1
        elif ratio < 1:
            self.n_terms = <int>min(ceil(log(1e-18) / log(ratio)) + 1, MOST_TERMS + 1.0)
        else:
            self.n_terms = MOST_TERMS + 1
        if exact and self.n_terms > MOST_TERMS:
            raise ValueError(
                f"sparse_update='exact' needs beta_1 < sqrt(beta_2) * (1 - eta0 * alpha) "
                f"with some room (the alpha only for adamw): else the steps of an idle coefficient "
                f"hardly shrink. Got beta_1={beta_1!r}, beta_2={beta_2!r}"
                + (f", eta0 * alpha={eta0 * decay!r}" if decay else "")
            )
        self.prepared_t = -1
        self.block_start = self.block_end = -1
        for p in range(MOST_MOMENTS):
            self.binomial[p][0] = 1.0
            for r in range(1, p + 1):
                self.binomial[p][r] = self.binomial[p - 1][r - 1] + (
                    self.binomial[p - 1][r] if r < p else 0.0)
        for p in range(4 * NODES):
            self.cosine[p] = cos(acos(-1.0) * p / (2 * NODES))
        self.c = <double*>calloc(5 * (self.n_terms + 1), sizeof(double))
        self.block = <double*>calloc(
            (2 if averaged else 1) * (LAST_BLOCK + 1) * MOST_MOMENTS, sizeof(double))
        if self.c == NULL or self.block == NULL:
            raise MemoryError
        self.z = self.c + self.n_terms + 1
        self.e = self.z + self.n_terms + 1
        self.left_of_first = self.e + self.n_terms + 1
        self.left_of_root = self.left_of_first + self.n_terms + 1
        self.integrals_block = self.block + (LAST_BLOCK + 1) * MOST_MOMENTS
        for i in range(self.n_terms + 1):
            self.left_of_first[i] = power_of(self.log_b1, i)
            self.left_of_root[i] = power_of(0.5 * self.log_b2, i)

    def __dealloc__(self):
        free(self.c)
        free(self.block)

    def tail_and_integral(self, int64_t t, double m, double s, double eps):
        """What a coefficient with these moments after step t still moves by, and its integral.

        From the tables; and the same as the plain sums of the terms, for comparison.
        """
        cdef int i
        cdef double total = 0.0, integral = 0.0, term
        self.prepare(t)
        result = self.sum(m, s, eps), self.integral(m, s, eps) if self.averaged else 0.0
        if t > 0:
            self.fill_terms(t)
            for i in range(self.n_terms, 0, -1):
                term = m * self.c[i] / (s * self.z[i] + eps)
                total += term
                integral += self.e[i] * term
            # the tables that the terms belong to are gone
            self.prepared_t = self.block_start = self.block_end = -1
            self.stationary = False
        return result, (total, integral)

    cdef double learning_rate(self, int64_t t) noexcept nogil:
        return self.eta0 if self.power_t == 0 else self.eta0 / pow(<double>t, self.power_t)

    cdef double growth_of_sum(self, double eta) noexcept nogil:
        return -log1p(-eta * self.decay) / self.decay if self.decay > 0 else eta

    cdef double bias_2(self, int64_t t) noexcept nogil:
        """sqrt(1 - b2^t), from expm1 as b2^t may be close to 1."""
        return sqrt(-expm1(<double>t * self.log_b2))

    cdef double bias_1(self, int64_t t) noexcept nogil:
        """1 - b1^t."""
        return -expm1(<double>t * self.log_b1) if self.b1 > 0 else 1.0

    cdef void fill_terms(self, int64_t t) noexcept nogil:
        """c_i, z_i and with averages e_i after step t, for i = 1 ... n_terms."""
        cdef int i
        cdef double eta, kept = 1.0, elapsed = 0.0
        for i in range(1, self.n_terms + 1):
            eta = self.learning_rate(t + i)
            kept *= 1 - eta * self.decay
            self.c[i] = eta / self.bias_1(t + i) * self.left_of_first[i] / kept
            self.z[i] = self.left_of_root[i] / self.bias_2(t + i)
            if self.averaged:
                self.e[i] = elapsed
                # a tail is in the units of its step
                elapsed += self.growth_of_sum(eta) * kept

    cdef int moments_needed(self, double z_0) noexcept nogil:
        """The least P whose remainder is below the tolerance for the filled terms; -1: none.

        The remainder for eps = 0 is sum_i c_i / z_i ((z_0 - z_i) / z_0)^P.
        """
        cdef int i, P
        cdef double whole = 0.0, remainder, size
        for i in range(1, self.n_terms + 1):
            whole += self.c[i] / self.z[i]
        for P in range(4, MOST_MOMENTS + 1, 4):
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

    cdef void economize(self) noexcept nogil:
        """Shorten the sums over p by Chebyshev's polynomials, if z_0 is 1 and so s r in [0, 1].

        Of the polynomials of degree p that start with x^p, T_p(2 x - 1) / 2^(2p-1) is smallest
        there, 1 / 2^(2p-1) at most; so that much is lost if it is subtracted. (Lanczos 1938)
        """
        cdef int n = self.n_moments, p, r
        cdef double scale, share, lost = 0.0, lost_integral = 0.0
        cdef double[MOST_MOMENTS][MOST_MOMENTS] polynomial
        memset(polynomial, 0, sizeof(polynomial))
        polynomial[0][0] = polynomial[1][1] = 1.0
        polynomial[1][0] = -0.5
        # each over its leading coefficient: P_(p+1) = (x - 1/2) P_p - P_(p-1) / 16, but for P_2
        for p in range(1, n - 1):
            for r in range(p + 2):
                polynomial[p + 1][r] = (polynomial[p][r - 1] if r else 0.0) - polynomial[p][r] / 2
                if r < p:
                    polynomial[p + 1][r] -= polynomial[p - 1][r] / (16 if p > 1 else 8)
        for p in range(n - 1, 0, -1):
            scale = pow(2.0, 1 - 2 * p)
            lost += scale * fabs(self.moments[p])
            lost_integral += scale * fabs(self.integrals[p])
            if lost > self.tolerance * self.moments[0] or (
                    self.averaged and lost_integral > self.tolerance * self.integrals[0]):
                break
            share = self.moments[p]
            for r in range(p + 1):
                self.moments[r] -= share * polynomial[p][r]
            if self.averaged:
                share = self.integrals[p]
                for r in range(p + 1):
                    self.integrals[r] -= share * polynomial[p][r]
            # whole fours
            self.n_moments = (p + 3) // 4 * 4

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
        cdef double z_0, z_next
        cdef double* here
        cdef double* later
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
        later = self.block + (self.block_end - self.block_start) * MOST_MOMENTS
        self.sum_moments(z_next, later, self.block_moments, NULL)
        if self.averaged:
            self.sum_moments(
                z_next, self.integrals_block + (later - self.block), self.block_moments, self.e)
        for u in range(self.block_end - 1, self.block_start - 1, -1):
            here = later - MOST_MOMENTS
            z_0 = 1.0 / self.bias_2(u)
            self.step_back(
                u, z_0, z_next, here, later, self.integrals_block + (here - self.block),
                self.integrals_block + (later - self.block))
            later = here
            z_next = z_0

    cdef void step_back(
        self, int64_t u, double z_0, double z_next, double* here, const double* later,
        double* here_integrals, const double* later_integrals,
    ) noexcept nogil:
        """The moments after step u from those after step u + 1; their integrals with averages."""
        cdef int p, r
        cdef double q = sqrt(self.b2), delta = z_0 - q * z_next
        cdef double first = self.learning_rate(u + 1), growth = self.growth_of_sum(first)
        cdef double factor = self.b1 / (1 - first * self.decay), power = 1.0
        cdef double[MOST_MOMENTS] powers
        first /= self.bias_1(u + 1)
        # powers[p - r] holds delta^(p-r)
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
        if not self.averaged:
            return
        for p in range(self.block_moments):
            here_integrals[p] = 0.0
        power = self.b1
        for r in range(self.block_moments):
            for p in range(r, self.block_moments):
                here_integrals[p] += self.binomial[p][r] * powers[p - r] * (
                    power * (growth * later[r] + later_integrals[r]))
            power *= q

    cdef bint prepare(self, int64_t t) noexcept nogil:
        """Find the tables after step t; False if they are those of the call before."""
        cdef int p
        cdef double* moments
        if t == self.prepared_t:
            return False
        self.prepared_t = t
        if t == 0:
            # no coefficient has a moment yet
            self.a_0 = self.z_0 = 0.0
            self.n_moments = 0
            self.stationary = False
            return True
        # The bias corrections are 1 to rounding after some time: with a
        # constant rate nothing changes any more.
        if self.power_t == 0 and t * self.log_b2 < -40 and t * self.log_b1 < -40:
            if self.stationary:
                return False
            self.stationary = True
            self.a_0 = self.z_0 = 1.0
            self.n_moments = 0
            if self.exact:
                # the terms after any later step
                self.fill_terms(t)
                self.n_moments = self.moments_needed(1.0)
                if self.n_moments > 0:
                    self.sum_moments(1.0, self.moments, self.n_moments, NULL)
                    if self.averaged:
                        self.sum_moments(1.0, self.integrals, self.n_moments, self.e)
                    self.economize()
                else:
                    self.interpolate()
            return True
        self.stationary = False
        self.a_0 = 1.0 / self.bias_1(t)
        self.z_0 = 1.0 / self.bias_2(t)
        self.n_moments = 0
        if not self.exact:
            return True
        # A step belongs to the block that it begins or is inside of.
        if not self.block_start <= t < self.block_end:
            self.fill_block(t)
        self.n_moments = self.block_moments
        if self.n_moments < 0:
            self.fill_terms(t)
            self.interpolate()
            return True
        moments = self.block + (t - self.block_start) * MOST_MOMENTS
        for p in range(self.n_moments):
            self.moments[p] = moments[p]
            if self.averaged:
                self.integrals[p] = self.integrals_block[moments + p - self.block]
        return True

    cdef double size(self) noexcept nogil:
        """At least what a tail is, times eps, for a moment of 1."""
        cdef int i
        cdef double total = 0.0
        if self.n_moments > 0:
            return self.moments[0]
        if self.n_moments < 0:
            for i in range(1, self.n_terms + 1):
                total += self.c[i]
        return total

    cdef double summed(
        self, double m, double s, double eps, const double* moments, const double* e
    ) noexcept nogil:
        """A tail from M_p, or its integral from N_p and e_i."""
        cdef double r, total = 0.0
        cdef int p
        if m == 0:
            return 0.0
        if self.n_moments >= 0:
            r = 1 / (s * self.z_0 + eps)
            for p in range(self.n_moments - 1, -1, -1):
                total = total * (s * r) + moments[p]
            return m * r * total
        for p in range(self.n_terms, 0, -1):
            total += self.c[p] * (1.0 if e == NULL else e[p]) / (s * self.z[p] + eps)
        return m * total

    cdef double sum(self, double m, double s, double eps) noexcept nogil:
        """The tail of a coefficient with the moments m and s."""
        return self.summed(m, s, eps, self.moments, NULL)

    cdef double integral(self, double m, double s, double eps) noexcept nogil:
        """Of the tail over the learning-rate sum to come."""
        return self.summed(m, s, eps, self.integrals, self.e)
