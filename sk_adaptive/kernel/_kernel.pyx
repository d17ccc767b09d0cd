"""The optimizers, lazily exact, and the loop over the rows.

Design
------
1. A feature's whole state (its K weights, its moments, the time it was last
   brought up to date) is one contiguous record, a power of two or a multiple
   of 64 bytes long, so that a touch costs one cache line. Records of coming
   rows are prefetched: the shuffled order is known in advance, and nothing
   gains more.

2. A step makes two passes over a row. The first loads the records, several at a time,
   transposes them in registers, brings them up to date and multiplies them into the
   raw predictions; the second takes the step and stores. Passes over buffers are what
   costs, not arithmetic.

3. The rule of an optimizer is a few lines of C on a vector of lanes (kernel/adagrad.h
   and its neighbours), from which the passes are made by inclusion (kernel/passes.h),
   for one output and several, for each kind of record. The precision is a type of the C
   compiler, and this file is compiled once for each precision and set of instructions. What
   vectors are, and why not C++ or intrinsics, is said in kernel/platform.h.

4. A step happens whole or not at all. What the first pass has read tells whether the step
   might overflow. If not, the second pass writes as it goes; else it works on the
   working set, which is written back when all of it is known to be finite.

5. The methods of an optimizer are virtual, and so are a loss's: they are called once a
   step, for dozens of features.

6. The intercept is active at every step, so it needs no laziness: it is kept
   in float64 beside the records and moved by the textbook update.

7. A type that varies with the build can't be shared between modules. So the parts of the
   kernel are textual inclusions (kernel/*.pxi), one translation unit.

Time
----
``t`` counts finished steps. eta_t is the learning rate of step t. Penalties
are charged by the flow dw/dtau = -(l2 w + l1 sign w) / h, stopped at zero. The charge which a
feature owes for its idle time is a function of the growth of one number since then, the sum of the
learning rates: charging tau1 and then tau2 is charging tau1 + tau2. The inverse metric, 1/h, is as of
the last gradient, and 0 for a coefficient that has not had one, which is not charged.

A coefficient whose gradient is zero is idle, whether its feature was absent,
the loss was flat or the gradients of a mini-batch cancelled.

A record in single precision keeps the sum in single precision too: what is charged
is the difference of two rounded sums, and these differences add up to the
rounded whole, whatever the rounding of each.

Outputs
-------
The rate, the penalties and eps may differ between outputs. Records keep one time for all: the
learning-rate sum of the optimizer's unit. Those of the outputs are multiples of it, so that their
penalties are multiplied instead.
"""

import numpy as np

cimport cython
from libc.math cimport INFINITY, NAN, copysign, expm1, fabs, isfinite, log, log1p, pow, sqrt
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from sk_adaptive.kernel._losses cimport Loss, room_for_losses, set_targets
from sk_adaptive.kernel._tail cimport Tail

include "types.pxi"
include "optimizer.pxi"
include "averages.pxi"
include "readout.pxi"
include "adagrad.pxi"
include "rmsprop.pxi"
include "adam.pxi"
include "ftrl.pxi"
include "rows.pxi"
include "batches.pxi"
include "model_weights.pxi"
include "derivatives.pxi"
include "train.pxi"
