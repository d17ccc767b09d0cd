"""The optimizers by name, and the kernel that has them in each precision.

A new optimizer is a rule and a class in this folder, and an entry here. Nothing else knows their
names.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import _kernel_float32, _kernel_float64

_KERNELS = {np.dtype(np.float32): _kernel_float32, np.dtype(np.float64): _kernel_float64}


def kernel(dtype):
    """The kernel module of this precision."""
    return _KERNELS[np.dtype(dtype)]


@dataclass(frozen=True)
class Moment:
    """What a record keeps of each coefficient beside its weight, and what the textbook has of it.

    Attributes
    ----------
    field : str
        Its name in a record.
    name : str
        The textbook's name of what `optimizer_state_` shows.
    textbook : callable
        Takes the field, in double precision, ``eps`` and the learning rate; returns what the
        textbook has.
    memory : str or None
        The estimator parameter that the textbook multiplies it by at each step without gradient.
        None: it does not age.
    """

    field: str
    name: str
    textbook: Callable
    memory: str | None = None


def _as_it_is(value, eps, eta0):
    return value


def _square(root, eps, eta0):
    return root * root


def _sum_of_squares(inverse_root, eps, eta0):
    # 0 stands for a coefficient that has not had a gradient. Rounding may leave less than eps.
    with np.errstate(divide="ignore", over="ignore"):
        squares = np.maximum(1 / (inverse_root * inverse_root) - eps, 0)
        return np.where(inverse_root > 0, squares, 0.0)


def _over_rate(value, eps, eta0):
    # one rate for all outputs, or one for each; 0 before "auto" has seen a row
    return value / eta0 if np.all(eta0) else np.zeros_like(value)


def _square_less_eps(root, eps, eta0):
    return np.maximum(root * root - eps, 0)


def _root_of_sum(G, eps, t, rho):
    return np.sqrt(G + eps)


def _root(v, eps, t, rho):
    return np.sqrt(v) + eps


def _corrected_root(v, eps, t, beta_1, beta_2):
    correction = -np.expm1(t * np.log1p(beta_2 - 1)) if t else 1.0
    return np.sqrt(v / correction) + eps


@dataclass(frozen=True)
class OptimizerSpec:
    """What an optimizer of the kernel is like.

    Attributes
    ----------
    kernel_class : str
        Its name in the kernel.
    moments : tuple of Moment
        In the order of a record. The last one is that of the squares of gradients.
    divisor : callable
        Takes the textbook's last moment, ``eps``, the number of steps done and `parameters`;
        returns what the learning rate is divided by.
    parameters : dict of float
        The estimator parameters it takes, besides ``eps``, and what each is by default.
    eps : dict of float
        By ``sparse_update``: ``eps=None`` is this times a typical gradient to the power of
        `eps_power`.
    rate : dict of float
        By ``sparse_update``: ``eta0="auto"`` is this times what `start.automatic_rate` makes of
        the rows.
    hurry : dict of float
        By ``sparse_update``: how many times as much suits a single pass over rows of classes.
    rate_follows : bool
        Whether an exact rate grows with the number of classes of the softmax, and with the batch.
    eps_power : int
        2 where ``eps`` is added to squares of gradients.
    metric : {"stored", "moment", "none"}
        Of the charge of the penalty, as of the last gradient: records hold its inverse; or a
        moment is that; or it is 1.
    decoupled : bool
        Whether the weights decay before each step, by the learning rate times the strength of the
        penalty.
    weight_is_derived : bool
        Whether moments and time tell the weight, penalty included. Records then hold none, and
        nothing is charged.
    has_momentum : bool
        Whether idle coefficients move, unless they are masked.
    learning_rates : tuple of str
        The values of the parameter `learning_rate` that it takes.
    """

    kernel_class: str
    moments: tuple
    divisor: Callable
    parameters: dict
    eps: dict
    rate: dict
    hurry: dict = field(default_factory=lambda: {"exact": 3.0, "masked": 3.0})
    rate_follows: bool = False
    eps_power: int = 1
    metric: str = "stored"
    decoupled: bool = False
    weight_is_derived: bool = False
    has_momentum: bool = False
    learning_rates: tuple = ("constant", "invscaling", "adaptive")

    @property
    def ages(self):
        """Whether idle moments age, so that "exact" and "masked" differ."""
        return any(moment.memory is not None for moment in self.moments)

    @property
    def forgets(self):
        """Whether `rho` is of sums over occurrences. It may then differ between outputs."""
        return "rho" in self.parameters and not self.ages


_ADAM_MOMENTS = (
    Moment("first_moment", "first_moment", _as_it_is, "beta_1"),
    Moment("root_second_moment", "second_moment", _square, "beta_2"),
)

OPTIMIZERS = {
    "adagrad": OptimizerSpec(
        "AdaGrad",
        (Moment("inverse_root", "sum_of_squared_gradients", _sum_of_squares),),
        _root_of_sum,
        {"rho": 1.0},
        eps={"exact": 1.0, "masked": 1.0},
        rate={"exact": 2.0, "masked": 2.0},
        eps_power=2,
        metric="moment",
    ),
    "rmsprop": OptimizerSpec(
        "RMSProp",
        (Moment("root_mean_square", "mean_squared_gradient", _square, "rho"),),
        _root,
        {"rho": 0.99},
        eps={"exact": 0.03, "masked": 0.3},
        rate={"exact": 0.004, "masked": 0.1},
        hurry={"exact": 9.0, "masked": 3.0},
        rate_follows=True,
    ),
    "adam": OptimizerSpec(
        "Adam",
        _ADAM_MOMENTS,
        _corrected_root,
        {"beta_1": 0.9, "beta_2": 0.999},
        eps={"exact": 0.03, "masked": 0.1},
        rate={"exact": 0.005, "masked": 0.05},
        hurry={"exact": 9.0, "masked": 3.0},
        rate_follows=True,
        has_momentum=True,
    ),
    "adamw": OptimizerSpec(
        "AdamW",
        _ADAM_MOMENTS,
        _corrected_root,
        {"beta_1": 0.9, "beta_2": 0.999},
        eps={"exact": 0.03, "masked": 0.1},
        rate={"exact": 0.005, "masked": 0.05},
        hurry={"exact": 9.0, "masked": 3.0},
        rate_follows=True,
        metric="none",
        decoupled=True,
        has_momentum=True,
    ),
    "ftrl": OptimizerSpec(
        "FTRL",
        (
            Moment("scaled_z", "z", _over_rate),
            Moment("root_n", "n", _square_less_eps),
        ),
        _root_of_sum,
        {"rho": 1.0},
        eps={"exact": 1.0, "masked": 1.0},
        rate={"exact": 2.0, "masked": 2.0},
        eps_power=2,
        weight_is_derived=True,
        learning_rates=("constant", "adaptive"),
    ),
}
