"""What models side by side differ by: the rate, how long sums are remembered, and eps."""

import numpy as np

# Of one model: the rate over the automatic one; the part of its sums that an occurrence leaves,
# NaN for that of the hyperparameters; eps over the automatic one; and how much the model counts
# before anything is learned.
SETTING = np.dtype(
    [
        ("rate", np.float64),
        ("rho", np.float64),
        ("eps", np.float64),
        ("first_weight", np.float64),
    ]
)

# partial_fit compares so many rates, each twice the one before. They are the automatic one times
# powers of 2, for the products with them to be exact.
N_RATES = 8
# What the least is the power of: where moments age, a single pass wants more.
LEAST_POWER, LEAST_POWER_AGED = -4, -2
# The models of so many start with equal weights, each larger one with half the weight of the one
# before: they spoil the mean of the first rows.
N_EQUAL = 5

# A search has more models, of the rates with these numbers. They start with a sixteenth of the
# weight, as a stream that stays does not need them. Where sums may be forgotten they are those that
# forget, with this rho, for streams that change; elsewhere those of a small eps, for few rows. All
# optimizers have those of a large eps, whose first steps are short. The factors of eps are those of
# the sizes of gradients that it stands for.
FORGETTING = ((2, 0.99), (3, 0.99), (0, 0.9), (1, 0.9))
SMALL_EPS = ((0, 0.1), (1, 0.1), (2, 0.1), (3, 0.1))
LARGE_EPS = ((4, 10.0), (5, 10.0), (6, 10.0), (7, 10.0))
MORE_WEIGHT = 1 / 16


def first_settings(hyperparameters):
    """The models that are to be compared: an array of the type `SETTING`."""
    spec = hyperparameters.spec
    powers = (LEAST_POWER_AGED if spec.ages else LEAST_POWER) + np.arange(N_RATES)
    rates = 2.0**powers
    weights = 2.0 ** np.minimum(0, N_EQUAL - 1 - np.arange(N_RATES))
    models = [(rate, np.nan, 1.0, weight) for rate, weight in zip(rates, weights, strict=True)]
    if hyperparameters.rate_is == "search":
        if spec.forgets and "rho" in hyperparameters.automatic:
            models += [(rates[k], rho, 1.0, weights[k] * MORE_WEIGHT) for k, rho in FORGETTING]
        if "eps" in hyperparameters.automatic:
            eps = LARGE_EPS if spec.forgets else SMALL_EPS + LARGE_EPS
            models += [
                (rates[k], np.nan, factor**spec.eps_power, weights[k] * MORE_WEIGHT)
                for k, factor in eps
            ]
    return np.array(models, SETTING)
