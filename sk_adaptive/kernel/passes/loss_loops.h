/* Loops over the outputs of a row, compiled for each set of instructions. */

#ifndef SKA_LOSS_LOOPS_H
#define SKA_LOSS_LOOPS_H

#include <stddef.h>

#include "sets.h"

enum { SKA_LOSSES_AT_ONCE = 8 };

/* Values and derivatives by the raw predictions p of n outputs, whose targets, 1 or -1, `gradients`
   holds at first. */
typedef struct {
    /* log(1 + exp(-y p)) of each. All arrays have room for a multiple of SKA_LOSSES_AT_ONCE. */
    void (*log_losses)(const double *p, double *gradients, double *values, ptrdiff_t n);
    /* -log softmax(p) of the one whose target is 1; the values of the others are 0. */
    void (*softmax_loss)(const double *p, double *gradients, double *values, ptrdiff_t n);
} ska_loss_loops;

SKA_TABLES(ska_loss_loops, ska_loss_loops)

#endif
