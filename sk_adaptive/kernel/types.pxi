"""The names of the C headers: what a pass is given, and what it does. And the table in use."""

from ._cpu import instruction_set

# see `records.CLOCK`
cdef struct Clock:
    int64_t t
    double learning_rate_sum, average_start


cdef extern from "passes/interface.h":
    ctypedef double real
    enum:
        CACHE_LINE "SKA_CACHE_LINE"
        ABSENT "SKA_ABSENT"
    double HARMLESS
    double LEAST_LOGARITHM "SKA_LEAST_LOGARITHM"
    real REAL_TINY
    void prefetch "ska_prefetch"(const void* address) noexcept nogil
    void prefetch_array "ska_prefetch_array"(const void* address, Py_ssize_t size) noexcept nogil

    ctypedef struct Layout "ska_layout":
        Py_ssize_t stride, last_step, weight, first, second, metric, charged, integral, integrated

    ctypedef struct Model "ska_model":
        unsigned char* memory
        Layout layout
        const void* kind
        Py_ssize_t n_outputs, width, fetched_size
        const real* low
        const real* high
        const real* factor
        Py_ssize_t low_step, high_step, factor_step
        bint has_l1, exact, forgets
        real* eta
        real* rate
        real* l1
        real* l2
        real* eps
        real* shrinkage
        real* forgotten
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

    ctypedef struct Intercepts "ska_intercepts":
        double scaling, eta, memory_1, memory_2, step_correction, root_correction
        const double* rate
        const double* eps
        const double* kept
        double* values
        double* next
        double* gradient
        double* step

    ctypedef struct Touch "ska_touch":
        const int32_t* columns
        Py_ssize_t n
        const real* x
        const int32_t* ahead
        Py_ssize_t n_ahead
        const real* derivative
        double* raw_prediction
        real largest_x, largest_moment

    ctypedef struct Fields "ska_fields":
        bint step, weight, second, metric, charged

    ctypedef struct Passes "ska_passes":
        const char* rule
        Fields has
        bint several
        const void* controlled
        void (*read)(const Model*, Touch*, bint whole) noexcept nogil
        void (*move)(const Model*, const Touch*) noexcept nogil
        bint (*step)(const Model*, const Touch*) noexcept nogil
        void (*store)(const Model*, const Touch*) noexcept nogil
        void (*settle)(const Model*, const Touch*) noexcept nogil
        bint (*step_intercepts)(
            const Model*, const Intercepts*, const double* gradient) noexcept nogil

    ctypedef struct Kernel "ska_kernel":
        Py_ssize_t lanes
        const Passes* passes
        Py_ssize_t n_passes
        void (*set_rates)(
            const Model*, double eta, const double* rate, const double* decay) noexcept nogil
        bint (*multiply_row)(
            const double* raw_prediction, const double* factors, const double* values,
            double* losses, double* derivatives, double* of_intercepts, real* copies, Py_ssize_t n,
            double share, double* largest_size) noexcept nogil
        void (*predict_in_batch)(
            const Model*, const real* x, const int32_t* place, Py_ssize_t n, double* raw_prediction
        ) noexcept nogil
        void (*add_gradients)(
            const Model*, const real* x, const int32_t* place, Py_ssize_t n, const real* derivative
        ) noexcept nogil
        real (*largest_size)(const real* x, Py_ssize_t n) noexcept nogil
        void (*add_sizes)(
            const real* w, Py_ssize_t n, Py_ssize_t width, double* sizes, double* squares
        ) noexcept nogil
        void (*mean_of_models)(
            const double* weights, const double* numbers, Py_ssize_t n_models, Py_ssize_t n_outputs,
            double* mean) noexcept nogil
        void (*reweigh)(
            double* weights, const double* losses, const double* handed_out, Py_ssize_t n_models,
            double rate, double share) noexcept nogil

    const Kernel* kernel_of "ska_kernel_of"(const char* instruction_set)


# Its name, and how many numbers a vector has.
INSTRUCTION_SET = instruction_set()
cdef const Kernel* kernel = kernel_of(INSTRUCTION_SET.encode())
cdef Py_ssize_t LANES = kernel.lanes
N_LANES = LANES


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """n numbers, filled up to whole vectors."""
    return (n + LANES - 1) & -LANES
