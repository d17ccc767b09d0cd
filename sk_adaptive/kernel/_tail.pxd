from libc.stdint cimport int64_t

cdef enum:
    MOST_MOMENTS = 24
    NODES = 48


cdef class Tail:
    cdef:
        readonly double b1, b2, eta0, power_t, decay
        double log_b1, log_b2, tolerance
        bint exact, averaged, stationary
        readonly int n_terms
        # after step t: 1 / (1 - b1^t), 1 / sqrt(1 - b2^t), and the tables
        int64_t prepared_t
        readonly double a_0, z_0
        readonly int n_moments
        double[MOST_MOMENTS] moments, integrals
        # Where n_moments is negative: Chebyshev's coefficients of the sum, if n_chebyshev
        # is positive, and cos(k pi / (2 NODES)).
        readonly int n_chebyshev
        double[NODES] chebyshev
        double[4 * NODES] cosine
        # c_i, z_i, e_i; and of an idle coefficient what is left after i steps
        double* c
        double* z
        double* e
        double* left_of_first
        double* left_of_root
        # moments after the steps block_start, block_start + 1, ..., block_end
        int64_t block_start, block_end
        int block_moments
        double* block
        double* integrals_block
        # Pascal's triangle
        double[MOST_MOMENTS][MOST_MOMENTS] binomial

    cdef bint prepare(self, int64_t t) noexcept nogil
    cdef double sum(self, double m, double s, double eps) noexcept nogil
    cdef double integral(self, double m, double s, double eps) noexcept nogil
    cdef double size(self) noexcept nogil
    cdef double learning_rate(self, int64_t t) noexcept nogil
    cdef double growth_of_sum(self, double eta) noexcept nogil
    cdef double bias_1(self, int64_t t) noexcept nogil
    cdef double bias_2(self, int64_t t) noexcept nogil
    cdef void fill_terms(self, int64_t t) noexcept nogil
    cdef int moments_needed(self, double z_0) noexcept nogil
    cdef void sum_moments(
        self, double z_0, double* moments, int n_moments, const double* e) noexcept nogil
    cdef void economize(self) noexcept nogil
    cdef void interpolate(self) noexcept nogil
    cdef void fill_block(self, int64_t t) noexcept nogil
    cdef void step_back(
        self, int64_t u, double z_0, double z_next, double* here, const double* later,
        double* here_integrals, const double* later_integrals) noexcept nogil
    cdef double summed(
        self, double m, double s, double eps, const double* moments, const double* e
    ) noexcept nogil
