/* What the loop over the rows and the passes know of each other: a model, the features that a step
   touches, and the table of what is compiled for each set of instructions. No vectors here. */

#ifndef SKA_INTERFACE_H
#define SKA_INTERFACE_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "sets.h"

#ifdef SKA_SINGLE
typedef float real;
#define REAL_TINY FLT_MIN
#define REAL_EPSILON FLT_EPSILON
/* The square of this, and sums of some such squares, do not overflow. */
#define HARMLESS 1e18
#else
typedef double real;
#define REAL_TINY DBL_MIN
#define REAL_EPSILON DBL_EPSILON
#define HARMLESS 1e150
#endif

/* Prefetches go into the second level: the first is small, and full of the row in hand. */
#if defined(__GNUC__) || defined(__clang__)
#define SKA_INLINE static inline __attribute__((always_inline))
#define SKA_RARELY(condition) __builtin_expect(!!(condition), 0)
#define ska_prefetch(address) __builtin_prefetch((address), 0, 2)
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <xmmintrin.h>
#define SKA_INLINE static __forceinline
#define SKA_RARELY(condition) (condition)
#define ska_prefetch(address) _mm_prefetch((const char *)(address), _MM_HINT_T1)
#else
#define SKA_INLINE static inline
#define SKA_RARELY(condition) (condition)
#define ska_prefetch(address) ((void)(address))
#endif

enum { SKA_CACHE_LINE = 64 };

SKA_INLINE void ska_prefetch_array(const void *address, ptrdiff_t size) {
    const char *line = (const char *)((uintptr_t)address & ~(uintptr_t)(SKA_CACHE_LINE - 1));
    const char *end = (const char *)address + size;
    for (; line < end; line += SKA_CACHE_LINE)
        ska_prefetch(line);
}

/* Where a record has what.

   A record is a feature's whole state, contiguous: the step that it is of, an int64 (if moments
   age while idle); for each output the weight, the moments and the inverse metric; the
   learning-rate sum up to which its weights are charged; and for averages, in double
   precision, the integrals of the weights and the sum that they go up to. Not every optimizer has
   all of these. `layout_of` in optimizer.pxi reads the offsets off the records' dtype, once; nothing
   else counts fields. */
enum { SKA_ABSENT = -1 };

typedef struct {
    ptrdiff_t stride; /* bytes from one record to the next */
    ptrdiff_t last_step, weight, first, second, metric, charged, integral, integrated;
} ska_layout;

/* Logarithms to the base 2 of what moments decay by are not less, see exponential.h. */
#define SKA_LEAST_LOGARITHM -1e6

enum { SKA_MOST_TERMS = 24, SKA_NODES = 48 };

/* A model with K outputs. Numbers of an output may differ between outputs: K of them,
   filled up to whole vectors. */
typedef struct {
    unsigned char *memory; /* the records */
    ska_layout layout;
    ptrdiff_t n_outputs;
    ptrdiff_t width;        /* K up to whole vectors, or 1 for one output */
    ptrdiff_t fetched_size; /* bytes of a record to prefetch: of a long one not all */
    int has_l1;
    int exact;
    int forgets; /* whether any of `forgotten` is not 0 */

    /* by output */
    real *eta;    /* learning rate of the step */
    real *rate;   /* the same as a multiple of the rate that all outputs share */
    real *l1, *l2; /* strengths of the penalty, times `rate` */
    real *eps;
    real *shrinkage; /* decoupled decay: what a weight is multiplied by in the step in hand */
    real *forgotten; /* of sums over all occurrences, the part that an occurrence takes off */

    /* after step t */
    int64_t t;
    real learning_rate_sum;   /* penalties are charged by it */
    real increment;           /* of that sum, by the step in hand */
    real charged_after_store; /* up to which sum the step in hand charges weights */

    /* what the rules share between all features */
    real memory_1, share_1, memory_2, share_2;   /* of the moments: b and 1 - b */
    double log2_decay_first, log2_decay_second;  /* of what a record holds of them, per idle step */
    real step_correction, root_correction;       /* Adam: 1 / (1 - b1^t), 1 / sqrt(1 - b2^t) */
    real dither_first, dither_weight;            /* single precision, see `ska_last_digit` */
    int n_moments, n_chebyshev, n_terms;         /* Adam's tail, see _tail.pyx */
    real moments[SKA_MOST_TERMS], chebyshev[SKA_NODES];
    const double *terms_c, *terms_z;

    /* The working set: weights, moments and inverse metrics of the touched features, n x width
       numbers each, and the gradients of a mini-batch. */
    real *w, *first, *second, *metric, *g;
    real *sums; /* `width` numbers */
    real *decay_first, *decay_second; /* of each touched feature with several outputs */

    /* Where weights are controlled: the kind of the records; and by feature, or with a step of 0 for
       all, the least and the largest weight, and what the penalty is multiplied by. */
    const void *kind;
    const real *low, *high, *factor;
    ptrdiff_t low_step, high_step, factor_step;
} ska_model;

/* The intercepts' step. They are active at every step, so they need no laziness: they are kept in
   double precision beside the records and moved by the textbook update. */
typedef struct {
    double scaling;          /* an intercept is this times the coefficient of a feature of this size */
    double eta;              /* of the step, of the rate that all outputs share */
    double memory_1, memory_2;
    double step_correction, root_correction;
    /* by output */
    const double *rate, *eps;
    const double *kept;      /* of sums over all steps, at each step; NULL: all */
    double *values;          /* of the intercepts, and then of their two moments */
    double *next;            /* the same after the step */
    double *gradient, *step; /* room */
} ska_intercepts;

/* Features touched at once: those of a row, with x, or those of a mini-batch or of a part of the
   model, without. */
typedef struct {
    const int32_t *columns;
    ptrdiff_t n;
    const real *x;
    const int32_t *ahead; /* the features of a row to come, to be fetched meanwhile */
    ptrdiff_t n_ahead;
    const real *derivative; /* of the loss by each output's raw prediction; `width` numbers */
    /* what reading finds */
    double *raw_prediction; /* of the row, without intercepts */
    real largest_x, largest_moment;
} ska_touch;

/* What records hold beside the first moment: the step that they are of, where moments age; the weight,
   where moments do not tell it; the second moment; the inverse metric of the penalty's charge, where
   no moment is that; and what they have been charged up to, if there is a penalty. */
typedef struct {
    int step, weight, second, metric, charged;
} ska_fields;

/* The passes of a rule for records of one kind, with one output or several. */
typedef struct {
    const char *rule;
    ska_fields has;
    int several;
    const void *controlled; /* the kind, if weights are */
    /* Weights and moments after step t, to the working set; with x the raw predictions. With
       several outputs the weights only, unless `whole`. */
    void (*read)(const ska_model *, ska_touch *, int whole);
    /* After `read`: one step, straight to the records. */
    void (*move)(const ska_model *, const ska_touch *);
    /* After a whole `read`: one step of the working set. Returns whether all of it is finite. */
    int (*step)(const ska_model *, const ska_touch *);
    /* The working set, as it is after step t, to the records. */
    void (*store)(const ska_model *, const ska_touch *);
    /* From weights after step t in the working set to what records hold. */
    void (*settle)(const ska_model *, const ska_touch *);
    /* The intercepts after step t, to `next`. Returns whether all of them are finite. */
    int (*step_intercepts)(const ska_model *, const ska_intercepts *, const double *gradient);
} ska_passes;

/* What is compiled for each set of instructions, in each precision. The loops are described in
   loops.h. */
typedef struct {
    ptrdiff_t lanes; /* numbers in a vector */
    const ska_passes *passes;
    ptrdiff_t n_passes;
    void (*set_rates)(const ska_model *, double eta, const double *rate, const double *decay);
    int (*multiply_row)(
        const double *raw_prediction, const double *factors, const double *values, double *losses,
        double *derivatives, double *of_intercepts, real *copies, ptrdiff_t n, double share,
        double *largest_size);
    void (*predict_in_batch)(
        const ska_model *, const real *x, const int32_t *place, ptrdiff_t n, double *raw_prediction);
    void (*add_gradients)(
        const ska_model *, const real *x, const int32_t *place, ptrdiff_t n, const real *derivative);
    real (*largest_size)(const real *x, ptrdiff_t n);
    void (*add_sizes)(
        const real *w, ptrdiff_t n, ptrdiff_t width, double *sizes, double *squares);
    void (*mean_of_models)(
        const double *weights, const double *numbers, ptrdiff_t n_models, ptrdiff_t n_outputs,
        double *mean);
    void (*reweigh)(
        double *weights, const double *losses, const double *handed_out, ptrdiff_t n_models,
        double rate, double share);
} ska_kernel;

#ifdef SKA_SINGLE
#define SKA_KERNEL ska_kernel_float32
#else
#define SKA_KERNEL ska_kernel_float64
#endif
SKA_TABLES(ska_kernel, SKA_KERNEL)
#define ska_kernel_of SKA_JOIN(SKA_KERNEL, of)

#endif
