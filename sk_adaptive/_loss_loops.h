/* Loops over the outputs of a row, compiled for each set of instructions. */

#ifndef SKA_LOSS_LOOPS_H
#define SKA_LOSS_LOOPS_H

#include <stddef.h>
#include <string.h>

enum { SKA_LOSSES_AT_ONCE = 8 };

typedef struct {
    /* Values and derivatives of the logistic losses of n targets, which `gradients` holds at first.
       All arrays have room for a multiple of SKA_LOSSES_AT_ONCE. */
    void (*log_losses)(const double *p, double *gradients, double *values, ptrdiff_t n);
    /* exp(x), of numbers that are not positive */
    void (*exponentials)(double *x, ptrdiff_t n);
} ska_loss_loops;

extern const ska_loss_loops ska_loss_loops_baseline;
#ifdef SKA_HAS_AVX2
extern const ska_loss_loops ska_loss_loops_avx2;
#endif
#ifdef SKA_HAS_AVX512
extern const ska_loss_loops ska_loss_loops_avx512;
#endif

/* Those for a set of instructions, or NULL. */
static inline const ska_loss_loops *ska_loss_loops_of(const char *instruction_set) {
#ifdef SKA_HAS_AVX512
    if (!strcmp(instruction_set, "avx512"))
        return &ska_loss_loops_avx512;
#endif
#ifdef SKA_HAS_AVX2
    if (!strcmp(instruction_set, "avx2"))
        return &ska_loss_loops_avx2;
#endif
    return strcmp(instruction_set, "baseline") ? NULL : &ska_loss_loops_baseline;
}

#endif
