/* Loops over the outputs of a row, compiled for each set of instructions. */

#ifndef SKA_LOSS_LOOPS_H
#define SKA_LOSS_LOOPS_H

#include <stddef.h>

#include "sets.h"

enum { SKA_LOSSES_AT_ONCE = 8 };

typedef struct {
    /* Values and derivatives of the logistic losses of n targets, which `gradients` holds at first.
       All arrays have room for a multiple of SKA_LOSSES_AT_ONCE. */
    void (*log_losses)(const double *p, double *gradients, double *values, ptrdiff_t n);
    /* exp(x), of numbers that are not positive */
    void (*exponentials)(double *x, ptrdiff_t n);
} ska_loss_loops;

SKA_TABLES(ska_loss_loops, ska_loss_loops)

#endif
