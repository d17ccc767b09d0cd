"""Bounds of coefficients, and factors of their penalties: what is asked for feature by feature."""

from dataclasses import dataclass

import numpy as np

from ..kernel.optimizers import OPTIMIZERS


@dataclass(frozen=True, eq=False)
class Controls:
    """What coefficients of features have to keep to; the same for all outputs.

    Attributes
    ----------
    low, high : float64 ndarrays of shape (n_features,) or (1,)
        The least and the largest coefficient: not positive, and not negative.
    factor : float64 ndarray of shape (n_features,) or (1,)
        What the penalty is multiplied by, not negative.
    """

    low: np.ndarray
    high: np.ndarray
    factor: np.ndarray

    def __eq__(self, other):
        return isinstance(other, Controls) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(self.arrays(), other.arrays(), strict=True)
        )

    # as instances hold arrays
    __hash__ = None

    def arrays(self):
        return self.low, self.high, self.factor

    @property
    def has_bounds(self):
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    @property
    def has_factors(self):
        return bool((self.factor != 1).any())

    @property
    def has_unit(self):
        """Whether a bound is a number that depends on the unit of its feature."""
        return any(np.any(np.isfinite(each) & (each != 0)) for each in (self.low, self.high))

    def check(self, n_features):
        """Refuse arrays for another number of features."""
        for name, array in zip(("bounds", "bounds", "penalty_factor"), self.arrays(), strict=True):
            if array.size not in (1, n_features):
                raise ValueError(
                    f"{name} has {array.size:,} numbers, but there are {n_features:,} features."
                )

    def of(self, features):
        """The controls of some of the features."""
        return Controls(*(each if each.size == 1 else each[features] for each in self.arrays()))

    def for_kernel(self, dtype):
        """The arrays in the precision of the model, bounds no further out than they are."""
        low, high, factor = (np.ascontiguousarray(each, dtype) for each in self.arrays())
        nothing = np.zeros(1, dtype)
        low = np.where(low < self.low, np.nextafter(low, nothing), low)
        high = np.where(high > self.high, np.nextafter(high, nothing), high)
        return low, high, factor

    def clip(self, coef, features):
        """Coefficients of shape (n_outputs, n), of these features, within the bounds.

        Means of numbers within may be rounded to some that are not.
        """
        low, high, _ = self.of(features).for_kernel(coef.dtype)
        return np.clip(coef, low, high)


def check_controls(estimator):
    """Refuse bounds and factors that are none, and those that other parameters do not go with."""
    if estimator.bounds is not None and len(estimator.bounds) != 2:
        raise ValueError(f"bounds must be a pair (low, high). Got {estimator.bounds!r}.")
    controls = controls_of(estimator)
    if controls is None:
        return
    if controls.has_unit and estimator.normalize not in (False, "auto"):
        raise ValueError(
            "bounds other than 0 and infinity belong to the features as given, and "
            f"normalize={estimator.normalize!r} learns them in other units: set normalize to False "
            "or 'auto'."
        )
    spec = OPTIMIZERS[estimator.optimizer]
    if estimator.sparse_update == "masked" or not spec.has_momentum:
        return
    penalised = estimator.penalty is not None and estimator.alpha != 0
    averages = not isinstance(estimator.average, str) and estimator.average
    if controls.has_bounds and (penalised or averages):
        what, other = ("a penalty", "penalty=None") if penalised else ("average", "average=False")
        raise ValueError(
            f"positive and bounds do not go with {what} and the exact "
            f"optimizer={estimator.optimizer!r}: its momentum moves idle coefficients against "
            "bounds in a way that is not known in one piece. Set sparse_update='masked' or "
            f"{other}, or take an optimizer without momentum."
        )
    if controls.has_factors and penalised and spec.decoupled:
        raise ValueError(
            f"penalty_factor does not go with optimizer={estimator.optimizer!r}, whose idle "
            "coefficients move by a momentum that decays as the weights do: set "
            "sparse_update='masked', or take another optimizer."
        )


def controls_of(estimator):
    """The `Controls` that an estimator's parameters ask for, or None.

    Raises
    ------
    ValueError
        If they are not arrays of numbers, or of other numbers than they may be.
    """
    bounds, factor = estimator.bounds, estimator.penalty_factor
    if bounds is None and factor is None and not estimator.positive:
        return None
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    low, high = _by_feature("bounds", low), _by_feature("bounds", high)
    if estimator.positive:
        low = np.maximum(low, 0.0)
    if not (np.all(low <= 0) and np.all(high >= 0)):
        raise ValueError(
            "bounds must be a pair (low, high) with low <= 0 <= high for each feature: the "
            f"coefficient of a feature that has not occurred is 0. Got {bounds!r}."
        )
    factor = _by_feature("penalty_factor", 1.0 if factor is None else factor)
    if not (np.all(factor >= 0) and np.all(np.isfinite(factor))):
        raise ValueError("penalty_factor must be finite and not negative.")
    controls = Controls(low, high, factor)
    return controls if controls.has_bounds or controls.has_factors else None


def _by_feature(name, values):
    try:
        values = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not made of numbers: {error}") from error
    if values.ndim > 1:
        raise ValueError(f"{name} must have a number for each feature, or one for all.")
    return np.atleast_1d(values)
