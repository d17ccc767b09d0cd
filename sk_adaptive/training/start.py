"""What rows tell before anything is learned: eps, eta0, intercepts, and the unit of tol."""

import warnings
from dataclasses import dataclass

import numpy as np

from ..data.check import typical_row
from ..data.new_rows import has_one_norm
from ..kernel.optimizers import OPTIMIZERS
from ..kernel.sizes import geometric_mean
from ..model.controls import controls_of
from ..model.hyperparameters import (
    Hyperparameters,
    Scales,
    divides_by_largest,
    hyperparameters_of,
    multiple_of,
)

# A typical gradient and a typical coefficient are taken to be within these bounds, for products
# of two of them to be numbers of the precision.
BOUNDS = {np.float32: (1e-18, 1e18), np.float64: (1e-153, 1e153)}

# Where the root of the mean squared norm is so many times that of typical rows, a few are far out.
UNLIKE = 3.0

# A validation loss of less than one over this times that of the best constant is so small that
# `tol` is in proportion to it.
SMALL_SHARE = 10.0

# Rows whose size is so many times that of the first ones, or less than its inverse, need others.
FAR = 100.0


@dataclass(frozen=True)
class Start:
    """How training starts.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    intercept : ndarray of shape (n_outputs,) or None
        None: 0.
    """

    hyperparameters: Hyperparameters
    intercept: np.ndarray | None = None


def takes_from_rows(estimator):
    """Whether rows tell anything: not where both eta0 and eps are numbers."""
    return _is_automatic(estimator.eta0) or _is_automatic(estimator.eps)


def standardises(estimator):
    """Whether columns that most rows have are to be centred and scaled.

    With ``normalize="auto"`` a number as eta0, eps or alpha is in the unit of the columns as given.
    """
    if not isinstance(estimator.normalize, str):
        return False
    if estimator.normalize == "standardize":
        return True
    numbers = [estimator.eta0, estimator.eps]
    if estimator.penalty is not None:
        numbers.append(estimator.alpha)
    # bounds and factors are of the coefficients of columns as given
    return all(map(_is_automatic, numbers)) and controls_of(estimator) is None


def _is_automatic(number):
    return multiple_of(number) is not None


def start_of(estimator, training, rows, one_pass):
    """The start of an estimator on these rows; with normalize they have to be normalised.

    Parameters
    ----------
    estimator : AdaptiveSGD
    training : TrainingData
    rows : int64 ndarray
    one_pass : bool
        Whether each row is learned once, or over and over.

    Returns
    -------
    Start

    Raises
    ------
    ValueError
        If the decay of adamw would turn the signs of weights.
    """
    if not (takes_from_rows(estimator) and rows.size):
        # without rows the next call will tell
        eta0 = 0.0 if isinstance(estimator.eta0, str) else float(estimator.eta0)
        return Start(hyperparameters_of(estimator, Scales(), eta0))
    largest, norm, far_out = typical_row(training.data, training.indptr, rows)
    if far_out > UNLIKE and not divides_by_largest(estimator):
        _warn_of_rows_far_out(one_pass)
    intercept, scale = training.target_type.starting_point(training, rows)
    gradient = largest * training.target_type.typical_derivative(training, rows)
    bounds = BOUNDS[training.data.dtype.type]
    gradient, gradients = _mean_and_ratios(gradient)
    scale, coefs = _mean_and_ratios(scale)
    if OPTIMIZERS[estimator.optimizer].decoupled:
        # for all targets to have the same decay, to the last bit
        coefs = tuple(2.0 ** np.round(np.log2(coefs)))
    scales = Scales(
        intercept=float(np.clip(norm, *bounds)),
        # 0 where these rows teach nothing: then the next call will tell
        gradient=float(np.clip(gradient, *bounds)) if gradient > 0 else 0.0,
        coef=float(np.clip(scale / largest, *bounds)),
        rows_a_step=float(min(training.batch_size, rows.size)),
        gradients=gradients,
        coefs=coefs,
        shares=training.shares,
    )
    if isinstance(estimator.eta0, str):
        rate = automatic_rate(estimator, training, one_pass, scales.rows_a_step)
        eta0 = multiple_of(estimator.eta0) * rate * scale * (largest / norm) / norm
    else:
        eta0 = float(estimator.eta0)
    hyperparameters = hyperparameters_of(estimator, scales, eta0)
    check_decay(estimator, hyperparameters)
    return Start(hyperparameters, intercept)


def _mean_and_ratios(sizes):
    """Of several targets the geometric mean, and what each is over it; of one number itself."""
    if np.size(sizes) == 1:
        return float(np.ravel(sizes)[0]), ()
    if not (sizes > 0).all():
        # weights of 0: these rows teach nothing
        return 0.0, ()
    mean = geometric_mean(sizes)
    return mean, tuple((sizes / mean).tolist())


def _warn_of_rows_far_out(one_pass):
    warnings.warn(
        "A few rows have entries that are far larger than those of the others. eta0 and eps follow "
        "the others, and from the large entries little will be learned. Look for numbers that "
        "stand for something else, or bring the features to one scale: by normalize=True, or by "
        "StandardScaler, with with_mean=False for sparse rows.",
        UserWarning,
        # the caller of partial_fit, or of fit
        stacklevel=8 if one_pass else 7,
    )


def automatic_rate(estimator, training, one_pass, rows_a_step):
    """The rate where rows and targets are of the unit 1.

    A step of AdaGrad changes each weight by about the rate, so that of the raw prediction is the
    rate times the row's 1-norm. `start_of` multiplies by the mean largest entry over the mean
    squared norm, which is 1 over the number of ones for one-hot rows and shrinks like a weight as
    the entries grow.
    """
    spec, update = OPTIMIZERS[estimator.optimizer], estimator.sparse_update
    rate, faster = spec.rate[update], 1.0
    if spec.rate_follows and update == "exact":
        if training.loss.couples_outputs:
            # What the rows of other classes leave of the moments is far below eps.
            rate *= np.sqrt(training.n_outputs / 2)
        # Fewer steps of the same length are to go as far.
        faster = np.sqrt(rows_a_step)
    if one_pass:
        faster = max(faster, spec.hurry[update] / training.target_type.shorter_steps)
    return rate * faster


def averages_last(estimator, training, rows, validated):
    """Whether the weights that `fit` ends with are the mean of the last ones.

    With ``average="auto"`` they are where the last steps leave noise, and other rows are scored:
    with targets that are numbers, with an optimizer whose steps do not shrink by themselves, and
    with rows that no vectorizer has given one norm.
    """
    if estimator.average != "auto":
        return isinstance(estimator.average, str)
    if not validated or estimator.learning_rate == "adaptive":
        return False
    return (
        training.target_type.is_number
        or OPTIMIZERS[estimator.optimizer].ages
        or not has_one_norm(training, rows)
    )


def warn_of_other_scales(estimator, training, rows, scales):
    """Say it where rows are far from those that told the scales, which stay."""
    told = scales.gradient > 0 and takes_from_rows(estimator)
    if not told or not rows.size or divides_by_largest(estimator):
        return
    _, norm, _ = typical_row(training.data, training.indptr, rows)
    ratio = norm / scales.intercept
    if not 1 / FAR < ratio < FAR:
        warnings.warn(
            f"The entries of these rows are {ratio:.0e} times as large as those of the first call "
            "of partial_fit, from which eta0 and eps were derived. Give the first call rows like "
            "those to come, or set eta0 and eps.",
            UserWarning,
            # the caller of partial_fit
            stacklevel=5,
        )


def check_decay(estimator, hyperparameters):
    """Refuse a decay of adamw that would turn the signs of weights."""
    eta0 = hyperparameters.eta0
    # that is automatic follows the rate of each target, a number is the same for all
    rates = eta0 if _is_automatic(estimator.alpha) else hyperparameters.by_output().eta0
    largest = np.max(np.multiply(rates, hyperparameters.l2))
    if hyperparameters.spec.decoupled and largest >= 1:
        found = ", which was found from the rows" if isinstance(estimator.eta0, str) else ""
        raise ValueError(
            f"eta0 * alpha must be less than 1 with optimizer={estimator.optimizer!r}, as weights "
            f"are multiplied by 1 - eta0 * alpha. Got eta0={eta0!r}{found}, "
            f"alpha={estimator.alpha!r}. alpha='auto' follows the unit of the rows."
        )


def least_relative_gain(estimator):
    """What share of the validation loss is gain enough, where that is less than `least_gain`.

    The loss of some rows falls to a hundredth of what it was, and goes on falling.
    """
    if estimator.tol is None or estimator.scoring != "loss":
        return np.inf
    return SMALL_SHARE * estimator.tol


def least_gain(estimator, training, rows, validated):
    """What an epoch has to gain: `tol` in the unit of what decides on stopping, or None."""
    if estimator.tol is None or (validated and estimator.scoring != "loss"):
        return estimator.tol
    loss = training.target_type.least_loss(training, rows)
    if validated and training.sample_weight.size:
        # the validation loss is a mean by weight
        loss /= training.sample_weight[rows].sum()
    else:
        loss /= rows.size
    return estimator.tol * (loss if 0 < loss < np.inf else 1.0)
