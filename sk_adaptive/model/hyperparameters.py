"""The numbers that the records of a model depend on, and the scales that automatic ones follow."""

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from ..kernel.optimizers import OPTIMIZERS
from .controls import Controls, controls_of

# What alpha="auto" is where everything has the scale 1.
AUTOMATIC_ALPHA = 3e-7

# Steps are counted with 64 bits, of which the kernel needs some for itself.
LAST_STEP = 2**60 - 1


class Scales(NamedTuple):
    """What is typical of the first rows: the units of X, of y and of the sample weights.

    Attributes
    ----------
    intercept : float
        The size of the constant feature that the intercept is the coefficient of.
    gradient : float
        Of one row's loss by a coefficient, before anything is learned; 0 where rows have not
        told it.
    coef : float
        The size of a coefficient that matters.
    rows_a_step : float
        Of the first batches.
    gradients, coefs : tuple of float
        Of several targets, over the geometric means that `gradient` and `coef` then are.
    shares : tuple of float
        Factors of the losses of several targets.
    eps : float
        What has been found to suit, times the eps that the others tell.
    """

    intercept: float = 1.0
    gradient: float = 0.0
    coef: float = 1.0
    rows_a_step: float = 1.0
    gradients: tuple = ()
    coefs: tuple = ()
    shares: tuple = ()
    eps: float = 1.0


@dataclass(frozen=True)
class Hyperparameters:
    """What records are written under. Numbers that may differ by output are tuples where they do.

    Attributes
    ----------
    optimizer : str
        A name of the registry.
    sparse_update : {"exact", "masked"}
    normalize : bool
    rate_is : {"given", "auto", "search"}
        What the parameter eta0 asks for: see `mixture`.
    scales : Scales
        What automatic numbers were derived from.
    eta0 : float or tuple of float
        The learning rate, as "auto" or "adaptive" have made it; 0 before "auto" has seen a row.
    rates : tuple of float
        Where several targets have automatic rates, what each is over `eta0`.
    multiple : float
        How many times the automatic rate was asked for.
    eps, l1, l2 : float or tuple of float
    power_t : float
        0 for a constant rate.
    average : int
        The step whose weights are the first in the average; 0: there is none.
    parameters : dict of str to float
        What the optimizer takes besides. `rho` may be a tuple, too.
    automatic : tuple of str
        Of "eps" and "rho" those that nobody has given.
    controls : Controls or None
        What coefficients have to keep to, in the unit of the features as given.
    """

    optimizer: str
    sparse_update: str
    normalize: bool
    rate_is: str
    scales: Scales
    eta0: float | tuple
    eps: float | tuple
    l1: float | tuple
    l2: float | tuple
    power_t: float
    average: int
    parameters: dict
    rates: tuple = ()
    multiple: float = 1.0
    automatic: tuple = ()
    controls: Controls | None = None

    @property
    def spec(self):
        return OPTIMIZERS[self.optimizer]

    @property
    def ages(self):
        """Whether idle moments age."""
        return self.spec.ages and self.sparse_update == "exact"

    @property
    def forgets(self):
        """Whether sums are forgotten by occurrences."""
        return self.spec.forgets and bool(np.min(self.parameters["rho"]) < 1)

    def with_numbers(self, **numbers):
        return replace(self, **numbers)

    def by_output(self):
        """With the rate of each output. A decay of its own is that of `eta0` for all of them."""
        if not self.rates:
            return self
        rates = np.array(self.rates)
        numbers = {"eta0": self.eta0 * rates, "rates": ()}
        if self.spec.decoupled:
            numbers |= {"l1": self.l1 / rates, "l2": self.l2 / rates}
        return self.with_numbers(
            **{name: tuple(np.ravel(values).tolist()) for name, values in numbers.items()}
        )

    def saved(self):
        """A dict of numbers and strings."""
        saved = {**asdict(self), "scales": dict(self.scales._asdict())}
        if self.controls is None:
            del saved["controls"]
        return saved

    @classmethod
    def of_saved(cls, saved):
        numbers = {**saved, "scales": Scales(**saved["scales"])}
        if "controls" in saved:
            numbers["controls"] = Controls(**saved["controls"])
        return cls(**numbers)


# The hyperparameters that may be tuples, of a number for each output.
BY_OUTPUT = ("eta0", "eps", "l1", "l2")


def multiple_of(value):
    """How many times the automatic number a parameter asks for; None where it is a number itself.

    ``"3*auto"`` is three times as much, as ``"1.25*mean"`` is in scikit-learn's SelectFromModel.

    Raises
    ------
    ValueError
        If it is a string, and no multiple.
    """
    if value is None:
        return 1.0
    if not isinstance(value, str):
        return None
    if value in ("auto", "search"):
        return 1.0
    factor, star, automatic = value.partition("*")
    factor = float(factor)
    if star + automatic != "*auto" or not 0 < factor < np.inf:
        raise ValueError(f"{value!r} is no multiple of 'auto'.")
    return factor


def divides_by_largest(estimator):
    """Whether features are divided by the largest size they have had."""
    return not isinstance(estimator.normalize, str) and bool(estimator.normalize)


def hyperparameters_of(estimator, scales, eta0):
    """Hyperparameters as an estimator's parameters ask for them.

    Parameters
    ----------
    estimator : AdaptiveSGD
    scales : Scales
        What ``eps=None`` and ``alpha="auto"`` follow.
    eta0 : float
        The learning rate.
    """
    spec = OPTIMIZERS[estimator.optimizer]
    # where rows have not told it, any number will do: there has been no step yet
    gradient = _by_target(scales.gradient or 1.0, scales.gradients)
    coef = _by_target(scales.coef, scales.coefs)
    shares = _by_target(1.0, scales.shares)
    multiple = multiple_of(estimator.eps)
    if multiple is None:
        # the gradients of a target are multiplied by its share
        eps = estimator.eps * shares**spec.eps_power
    else:
        # of a feature that one row of a batch has
        gradient_of_step = gradient / scales.rows_a_step
        multiple *= scales.eps
        eps = multiple * spec.eps[estimator.sparse_update] * gradient_of_step**spec.eps_power
    l1, l2 = _penalties_of(estimator, scales, gradient, coef, shares)
    return Hyperparameters(
        optimizer=estimator.optimizer,
        sparse_update=estimator.sparse_update,
        normalize=divides_by_largest(estimator),
        rate_is=estimator.eta0 if estimator.eta0 in ("auto", "search") else "given",
        scales=scales,
        eta0=float(eta0),
        eps=_numbers(eps),
        l1=l1,
        l2=l2,
        power_t=float(estimator.power_t) if estimator.learning_rate == "invscaling" else 0.0,
        # "auto" and "suffix" have no part in the records
        average=0 if isinstance(estimator.average, str) else min(int(estimator.average), LAST_STEP),
        parameters={name: _parameter(estimator, name) for name in spec.parameters},
        rates=scales.coefs if isinstance(estimator.eta0, str) else (),
        multiple=multiple_of(estimator.eta0) or 1.0,
        automatic=tuple(
            name for name in ("eps", "rho") if getattr(estimator, name) in (None, "auto")
        ),
        controls=controls_of(estimator),
    )


def _parameter(estimator, name):
    value = getattr(estimator, name)
    return OPTIMIZERS[estimator.optimizer].parameters[name] if value is None else float(value)


def _by_target(mean, ratios):
    """A number, or of several targets an array."""
    return mean * np.array(ratios) if ratios else mean


def _numbers(values):
    """A float, or a tuple of them where they differ."""
    values = np.atleast_1d(np.asarray(values, np.float64)).tolist()
    return values[0] if len(set(values)) == 1 else tuple(values)


def _penalties_of(estimator, scales, gradient, coef, shares):
    """The strengths of L1 and L2, of each target where they differ."""
    if estimator.penalty is None:
        return 0.0, 0.0
    l1_share = {"l2": 0.0, "l1": 1.0}.get(estimator.penalty, estimator.l1_ratio)
    decoupled = OPTIMIZERS[estimator.optimizer].decoupled
    multiple = multiple_of(estimator.alpha)
    if multiple is None:
        l1 = l2 = float(estimator.alpha) * (1.0 if decoupled else shares)
    elif decoupled:
        # A decay of the weights has no unit of the loss, but the inverse one of the rate.
        l1 = multiple * AUTOMATIC_ALPHA
        l2 = l1 / scales.coef
    else:
        # The penalty's gradient on a typical coefficient is a share of the loss's.
        l1 = multiple * AUTOMATIC_ALPHA * gradient
        l2 = l1 / coef
    return _numbers(l1 * l1_share), _numbers(l2 * (1 - l1_share))
