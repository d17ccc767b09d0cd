"""Typical sizes, which no extreme number sets."""

import numpy as np

# What is more than so many times the median counts as that.
FAR_OUT = 10.0


def mean_size(sizes, far_out=FAR_OUT):
    """The mean of sizes, not negative, in which those that are far out count as less.

    Zeros do not count for the median: half of the targets may be the same.

    Parameters
    ----------
    sizes : float64 ndarray of shape (n,) or (n, n_outputs)
    far_out : float
        How many times the median. The square of it, for sizes that are squares.

    Returns
    -------
    mean : float or ndarray of shape (n_outputs,)
    """
    if sizes.ndim > 1:
        return np.array([mean_size(of_output, far_out) for of_output in sizes.T])
    return float(within_reach(sizes, far_out).mean())


def geometric_mean(sizes):
    """The geometric mean of positive sizes, of one of them without rounding."""
    largest = sizes.max()
    return float(largest * np.exp(np.log(sizes / largest).mean()))


def within_reach(sizes, far_out=FAR_OUT):
    """Sizes of shape (n,), of which those that are far out are what just is not."""
    # a row at a time, as streams come
    if sizes.size == 1:
        return sizes
    some = sizes[sizes > 0]
    return np.minimum(sizes, far_out * np.median(some)) if some.size else sizes
