/* See _loss_loops.h. SKA_SET is the name of the set of instructions. */

#include "loss_loops.h"
#include "_exponential_old.h"

static void log_losses(
    const double *restrict p, double *restrict gradients, double *restrict values, ptrdiff_t n) {
    ptrdiff_t start;
    int k;
    for (start = 0; start < n; start += SKA_LOSSES_AT_ONCE) {
        for (k = 0; k < SKA_LOSSES_AT_ONCE; k++) {
            const double y = gradients[start + k], z = y * p[start + k];
            const double e = ska_exp_double(z > 0 ? -z : z);
            gradients[start + k] = -y * (z > 0 ? e : 1.0) / (1.0 + e);
            values[start + k] = ska_log_of_1_plus(e) - (z < 0 ? z : 0.0);
        }
    }
}

static void exponentials(double *x, ptrdiff_t n) {
    ptrdiff_t k;
    for (k = 0; k < n; k++)
        x[k] = ska_exp_double(x[k]);
}

const ska_loss_loops SKA_JOIN(ska_loss_loops, SKA_SET) = {log_losses, exponentials};
