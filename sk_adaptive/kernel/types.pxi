"""The names of the C headers: what a pass is given, and what it does."""

# see `_state.CLOCK`
cdef struct Clock:
    int64_t t
    double learning_rate_sum, average_start


cdef extern from "kernel/model.h":
    ctypedef double real
    enum:
        LANES
        CACHE_LINE "SKA_CACHE_LINE"
        ABSENT "SKA_ABSENT"
    double HARMLESS
    double LEAST_LOGARITHM "SKA_LEAST_LOGARITHM"
    real REAL_TINY
    real absolute "REAL_ABS"(real x) noexcept nogil
    bint are_finite "ska_are_finite"(const double* numbers, Py_ssize_t n) noexcept nogil
    void prefetch "ska_prefetch"(const void* address) noexcept nogil
    void prefetch_array "ska_prefetch_array"(const void* address, Py_ssize_t size) noexcept nogil
    Py_ssize_t padded "ska_padded"(Py_ssize_t n) noexcept nogil

    ctypedef struct Layout "ska_layout":
        Py_ssize_t stride, last_step, weight, first, second, metric, charged, integral, integrated

    ctypedef struct Model "ska_model":
        unsigned char* memory
        Layout layout
        Py_ssize_t n_outputs, width, fetched_size
        bint has_l1, exact
        real* eta
        real* rate
        real* l1
        real* l2
        real* eps
        real* kept
        int64_t t
        real learning_rate_sum, increment, charged_after_store
        real memory_1, share_1, memory_2, share_2
        double log2_decay_first, log2_decay_second
        real step_correction, root_correction, dither_first, dither_weight
        int n_moments, n_chebyshev, n_terms
        real* moments
        real* chebyshev
        const double* terms_c
        const double* terms_z
        real* w
        real* first
        real* second
        real* metric
        real* g
        real* decay_first
        real* decay_second
        real* sums

    ctypedef struct Touch "ska_touch":
        const void* columns
        Py_ssize_t n
        const real* x
        const void* ahead
        Py_ssize_t n_ahead
        const real* derivative
        double* raw_prediction
        real largest_x, largest_moment

    bint multiply_row "ska_multiply_row"(
        const double* raw_prediction, const double* factors, const double* values, double* losses,
        double* derivatives, double* of_intercepts, real* copies, Py_ssize_t n, double share,
        double* largest_size) noexcept nogil

    void add_sizes "ska_add_sizes"(
        const real* w, Py_ssize_t n, Py_ssize_t width, double* sizes, double* squares) noexcept nogil

    ctypedef struct Passes "ska_passes":
        bint has_step, has_weight, has_second, has_metric, has_charged
        void (**read)(const Model*, Touch*, bint) noexcept nogil
        void (**move)(const Model*, const Touch*) noexcept nogil
        int (*step)(const Model*, const Touch*) noexcept nogil
        void (**store)(const Model*, const Touch*) noexcept nogil
        void (*settle)(const Model*, Py_ssize_t) noexcept nogil
