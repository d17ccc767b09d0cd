"""The losses by name, and the estimator parameters that each takes.

A new loss is a class in `losses_of_classes.pxi` or `losses_of_numbers.pxi`, and an entry here.
Nothing else knows their names.
"""

from dataclasses import dataclass

from . import _losses


@dataclass(frozen=True)
class LossSpec:
    """How estimators make a loss.

    Attributes
    ----------
    make : type
        The class, which takes the values of `parameters`.
    parameters : tuple of str
        The estimator parameters it takes.
    multinomial : type or None
        The class of the loss of several classes at once, where there is one.
    """

    make: type
    parameters: tuple = ()
    multinomial: type | None = None

    def loss_of(self, estimator):
        """The loss with the parameters of an estimator."""
        if not self.parameters:
            # in a third of the time, in each call that learns a row
            return self.make()
        return self.make(*[getattr(estimator, name) for name in self.parameters])


_SHARED_LOSSES = {
    "squared_error": LossSpec(_losses.SquaredError),
    "huber": LossSpec(_losses.Huber, ("epsilon",)),
    "epsilon_insensitive": LossSpec(_losses.EpsilonInsensitive, ("epsilon",)),
    "squared_epsilon_insensitive": LossSpec(_losses.SquaredEpsilonInsensitive, ("epsilon",)),
}

CLASSIFICATION_LOSSES = {
    "log_loss": LossSpec(_losses.LogLoss, multinomial=_losses.MultinomialLogLoss),
    "hinge": LossSpec(_losses.Hinge),
    "squared_hinge": LossSpec(_losses.SquaredHinge),
    "modified_huber": LossSpec(_losses.ModifiedHuber),
    "perceptron": LossSpec(_losses.Perceptron),
    **_SHARED_LOSSES,
}

REGRESSION_LOSSES = {
    **_SHARED_LOSSES,
    "quantile": LossSpec(_losses.Quantile, ("quantile",)),
    "expectile": LossSpec(_losses.Expectile, ("expectile",)),
    "poisson": LossSpec(_losses.Poisson),
    "gamma": LossSpec(_losses.Gamma),
    "tweedie": LossSpec(_losses.Tweedie, ("power",)),
    "log_loss": LossSpec(_losses.SoftLogLoss),
}
