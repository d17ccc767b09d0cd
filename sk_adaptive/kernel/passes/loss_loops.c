/* See loss_loops.h. SKA_SET is the name of the set of instructions. */

#include "exponential.h"
#include "loss_loops.h"

static void log_losses(
    const double *restrict p, double *restrict gradients, double *restrict values, ptrdiff_t n) {
    ptrdiff_t start;
    int k;
    for (start = 0; start < n; start += SKA_LOSSES_AT_ONCE) {
        for (k = 0; k < SKA_LOSSES_AT_ONCE; k++) {
            const double y = gradients[start + k], z = y * p[start + k];
            const double e = ska_exp_of_negative(z > 0 ? -z : z);
            gradients[start + k] = -y * (z > 0 ? e : 1.0) / (1.0 + e);
            values[start + k] = ska_log_of_1_plus(e) - (z < 0 ? z : 0.0);
        }
    }
}

static void softmax_loss(
    const double *restrict p, double *restrict gradients, double *restrict values, ptrdiff_t n) {
    ptrdiff_t k, target = 0;
    double largest = p[0], total = 0.0;
    for (k = 0; k < n; k++) {
        largest = p[k] > largest ? p[k] : largest;
        target = gradients[k] > 0 ? k : target;
    }
    /* No exponential of a positive number, and one of zero: neither overflow nor 0 / 0. */
    for (k = 0; k < n; k++) {
        gradients[k] = ska_exp_of_negative(p[k] - largest);
        values[k] = 0.0;
    }
    for (k = 0; k < n; k++)
        total += gradients[k];
    for (k = 0; k < n; k++)
        gradients[k] /= total;
    gradients[target] -= 1.0;
    values[0] = log(total) + largest - p[target];
}

const ska_loss_loops SKA_JOIN(ska_loss_loops, SKA_SET) = {log_losses, softmax_loss};
