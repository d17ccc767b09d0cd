"""A rate that nobody has to choose: models of several rates side by side, and their mean."""

import numpy as np

from .model import Model

# partial_fit searches so many rates, each twice the one before. They are the automatic one times
# powers of 2, for the products with them to be exact.
N_RATES = 8
# What the least is the power of: where moments age, a single pass wants more.
LEAST_POWER, LEAST_POWER_AGED = -4, -2
# The models of so many start with equal weights, each larger one with half the weight of the one
# before: they spoil the mean of the first rows.
N_EQUAL = 5

# Of the weights of all models, the part that is handed out anew after each step. The more, the
# sooner another rate takes over when the stream changes, and the more the others disturb.
SHARE = 1e-4

# Features that are read at once: all of them, of all models, would take several times the memory.
FEATURES_AT_ONCE = 1 << 14


def first_multiples(hyperparameters):
    """The rates that a search starts with, over the automatic one."""
    least = LEAST_POWER_AGED if hyperparameters.spec.ages else LEAST_POWER
    return 2.0 ** np.arange(least, least + N_RATES)


def first_weights(n_models):
    """The weights of the models before anything is learned."""
    weights = 2.0 ** np.minimum(0, N_EQUAL - 1 - np.arange(n_models))
    return weights / weights.sum()


def stream_model(hyperparameters, *arguments, **named):
    """A model that `partial_fit` starts with: a mixture, if the rate is searched for.

    The other arguments are those of `Model`.
    """
    kind = Mixture if hyperparameters.searches else Model
    return kind(hyperparameters, *arguments, **named)


def as_it_goes_on(model, hyperparameters):
    """The model under other hyperparameters. With another kind of them it starts anew.

    It does so from its coefficients and intercepts.
    """
    if model.is_same_kind(hyperparameters):
        return model.successor(hyperparameters)
    coef = model.coefficients()
    successor = stream_model(
        hyperparameters,
        model.n_features,
        model.n_outputs,
        model.dtype,
        coef,
        model.intercepts(),
        model.scale,
        model.columns,
    )
    successor.progressive_loss[...] = model.progressive_loss
    return successor


class Mixture(Model):
    """The mean of several models whose outputs follow one another in the records.

    Parameters are those of `Model`; `n_outputs` is that of one of the models, and all of them
    start from `coef` and `intercept`.

    Attributes
    ----------
    multiples : float64 ndarray of shape (n_models,)
        The rates of the models over ``hyperparameters.eta0``.
    weights : float64 ndarray of shape (n_models,)
        Of the mean. The weight 0 is that of a model that is out for good.
    handed_out : float64 ndarray of shape (n_models,)
        What is added to the weights after each step.
    failed : uint8 ndarray of shape (n_models,)
        Models that the last step would have made non-finite.
    mixing_rate : float
        What losses are multiplied by, see `weigh_by`.
    share : float
        See `SHARE`.
    complete : bool
        Whether no model is out.
    """

    SMALL_ARRAYS = (*Model.SMALL_ARRAYS, "multiples", "weights")

    def __init__(self, hyperparameters, *arguments, multiples=None, **named):
        if multiples is None:
            multiples = first_multiples(hyperparameters)
        self.multiples = multiples
        self.weights = first_weights(multiples.size)
        self.begin_mixing()
        super().__init__(hyperparameters, *arguments, **named)

    def begin_mixing(self):
        """Make what the kernel needs besides, before `weigh_by`."""
        self.failed = np.zeros(self.n_models, np.uint8)
        self.mixing_rate, self.share = 0.0, SHARE
        self._count()

    def _count(self):
        alive = self.weights > 0
        self.complete = bool(alive.all())
        first = first_weights(self.n_models) * alive
        self.handed_out = self.share * (first / first.sum())

    @property
    def n_models(self):
        return self.multiples.size

    @property
    def rates(self):
        """The learning rate of each model."""
        # An infinite one times a gradient of 0 would be no number.
        with np.errstate(over="ignore"):
            rates = self.hyperparameters.eta0 * self.multiples
            return np.minimum(rates, np.finfo(self.dtype).max / 2)

    @property
    def learning_rate(self):
        """The mean of the rates."""
        return float(self.rates @ self.weights)

    def by_output(self):
        numbers, shape = self.hyperparameters, (self.n_models, self.n_outputs)
        eps, l1, l2 = (
            np.broadcast_to(value, shape).ravel() for value in (numbers.eps, numbers.l1, numbers.l2)
        )
        if numbers.spec.decoupled and numbers.eta0:
            # A decay of its own has the rate of eta0 in all models.
            multiples = np.repeat(self.multiples, self.n_outputs)
            if numbers.rates:
                multiples = multiples * np.tile(numbers.rates, self.n_models)
            l1, l2 = l1 / multiples, l2 / multiples
        rates = self.rates[:, np.newaxis]
        if numbers.rates:
            with np.errstate(over="ignore"):
                rates = np.minimum(rates * np.array(numbers.rates), np.finfo(self.dtype).max / 2)
        eta0 = np.broadcast_to(rates, shape).ravel()
        return numbers.with_numbers(eta0=eta0, eps=eps, l1=l1, l2=l2, rates=())

    def mean(self, values):
        by_model = values.reshape(self.n_models, self.n_outputs, *values.shape[1:])
        # in turn, so that a part of the features gives the same, bit for bit
        total = np.zeros(by_model.shape[1:], values.dtype)
        for weight, of_model in zip(self.weights, by_model, strict=True):
            if weight > 0:
                total += weight.astype(values.dtype) * of_model
        return total

    def _read(self, features, n_jobs):
        out = np.empty((self.n_outputs, features.size), self.dtype)
        for start in range(0, features.size, FEATURES_AT_ONCE):
            part = features[start : start + FEATURES_AT_ONCE]
            of_all = np.empty((self.intercept.shape[1], part.size), self.dtype)
            self.optimizer.weights(part, of_all)
            out[:, start : start + part.size] = self.mean(of_all)
        return out

    def is_same_kind(self, hyperparameters):
        return super().is_same_kind(hyperparameters) and hyperparameters.searches

    def _empty(self, hyperparameters):
        other = Mixture(
            hyperparameters,
            self.n_features,
            self.n_outputs,
            self.dtype,
            scale=self.scale,
            columns=self.columns,
            multiples=self.multiples,
        )
        other.weights[...] = self.weights
        other.mixing_rate = self.mixing_rate
        other._count()
        return other

    def weigh_by(self, training):
        """Let losses of these rows' kind count as logarithms of likelihoods.

        The losses of classes are taken as they are, over the mean weight of the first rows. Others
        have the unit of the target: the size of a derivative times how far raw predictions have to
        go, both of the first rows, which for the squared error is the square of the mean distance
        from the median.
        """
        scales = self.hyperparameters.scales
        unit = scales.gradient * scales.coef
        if not unit > 0:
            # these rows have not told it: no model has learned anything
            self.mixing_rate = 0.0
        else:
            self.mixing_rate = training.target_type.unit_of_derivative() / unit

    def drop_failed(self):
        """Go on without the models that failed; False, and nothing done, if none would be left."""
        failed = self.failed > 0
        alive = self.weights > 0
        if not (failed & alive).any() or not (alive & ~failed).any():
            return False
        left = np.where(failed, 0.0, self.weights)
        self.weights[...] = left / left.sum()
        self._count()
        # nothing is left of them, as if they had never learned
        outputs = np.repeat(failed, self.n_outputs)
        for array in (self.intercept, self.intercept_integral):
            array[..., outputs] = 0
        for name in self.records.dtype.names:
            field = self.records[name]
            # few: pages of features that have not occurred stay untouched
            for output in np.flatnonzero(outputs) if field.ndim == 2 else ():
                field[np.flatnonzero(field[:, output]), output] = 0
        return True
