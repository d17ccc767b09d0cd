"""A rate that nobody has to choose: models of several rates side by side, and their mean."""

from contextlib import suppress
from functools import partial

import numpy as np

from .first_rows import N_FIRST, Memory, first_row_dtype, have_come_again, weights_before
from .model import Model
from .records import record_dtype, touched
from .settings import first_settings

# eta0="auto" settles after so many rows on the rate that has predicted best.
ROWS_OF_SEARCH = 1 << 15

# Of the weights of all models, the part that is handed out anew after each step. The more, the
# sooner another rate takes over when the stream changes, and the more the others disturb.
SHARE = 1e-4

# Features that are read at once: all of them, of all models, would take several times the memory.
FEATURES_AT_ONCE = 1 << 14


def kind_of_model(hyperparameters, compares):
    """The class that `partial_fit` starts with: a mixture, if losses are to tell the rate."""
    return Mixture if compares and hyperparameters.rate_is != "given" else Model


def as_it_goes_on(model, hyperparameters, compares, columns):
    """The model under other hyperparameters. With another kind of them it starts anew.

    It does so from its coefficients and intercepts, and so does one that has not learned a row,
    with the columns given.
    """
    if model.t and model.is_same_kind(hyperparameters):
        return model.successor(hyperparameters)
    coef = model.coefficients()
    successor = kind_of_model(hyperparameters, compares)(
        hyperparameters,
        model.n_features,
        model.n_outputs,
        model.dtype,
        coef,
        model.intercepts(),
        model.scale,
        columns,
    )
    successor.progressive_loss[...] = model.progressive_loss
    return successor


class Mixture(Model):
    """The mean of several models whose outputs follow one another in the records.

    Parameters are those of `Model`; `n_outputs` is that of one of the models, and all of them
    start from `coef` and `intercept`.

    Attributes
    ----------
    settings : array of shape (n_models,) and the type `SETTING`
        What the models differ by.
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
    unit : float64 ndarray of shape (2,)
        The mean sample weight of the first rows, and that of now.
    first_rows : array of the type `first_row_dtype`
        The first rows of the stream.
    occurred : int64 ndarray of shape (1 + n_outputs,)
        How many outputs of a model have losses that count, and then these, in the order in which
        they are summed: of classes and labels that are learned each by itself, those that have
        occurred, in the order of the first time.
    pause : int64 ndarray of shape (2,)
        The step up to which the weights stay what they are, as known rows come again, or 0; and
        after how many steps it is seen whether they still do.
    """

    SMALL_ARRAYS = (*Model.SMALL_ARRAYS, "settings", "weights", "unit", "first_rows", "pause")
    SMALL_ARRAYS += ("occurred",)

    def __init__(self, hyperparameters, n_features, n_outputs, *arguments, settings=None, **named):
        if settings is None:
            settings = first_settings(hyperparameters)
        self.settings = settings
        self.weights = settings["first_weight"] / settings["first_weight"].sum()
        self.unit = np.zeros(2)
        self.first_rows = np.zeros(N_FIRST, first_row_dtype(settings.size))
        self.pause = np.zeros(2, np.int64)
        self.occurred = np.arange(-1, n_outputs)
        self.occurred[0] = 0
        self.begin_mixing()
        super().__init__(hyperparameters, n_features, n_outputs, *arguments, **named)

    def begin_mixing(self):
        """Make what the kernel needs besides, before `weigh_by`."""
        self._memory = None
        self.failed = np.zeros(self.n_models, np.uint8)
        self.mixing_rate, self.share = 0.0, SHARE
        self._count()

    def _count(self):
        alive = self.weights > 0
        self.complete = bool(alive.all())
        first = self.settings["first_weight"] * alive
        self.handed_out = self.share * (first / first.sum())

    @property
    def n_models(self):
        return self.settings.size

    @property
    def rates(self):
        """The learning rate of each model."""
        # An infinite one times a gradient of 0 would be no number.
        with np.errstate(over="ignore"):
            rates = self.hyperparameters.eta0 * self.settings["rate"]
            return np.minimum(rates, np.finfo(self.dtype).max / 2)

    def record_dtype(self, n_outputs, dtype):
        forgets = self.hyperparameters.spec.forgets and np.min(self.memories) < 1
        return record_dtype(self.hyperparameters, n_outputs, dtype, bool(forgets))

    @property
    def memories(self):
        """The `rho` of each model."""
        numbers, rho = self.hyperparameters, self.settings["rho"]
        is_common = "rho" not in numbers.automatic or np.isnan(rho)
        return np.where(is_common, numbers.parameters["rho"], rho)

    @property
    def eps(self):
        """The `eps` of each model, or of each of its targets: (n_models,) or with these."""
        numbers = self.hyperparameters
        if "eps" not in numbers.automatic:
            return np.broadcast_to(numbers.eps, (self.n_models, *np.shape(numbers.eps)))
        return np.multiply.outer(self.settings["eps"], numbers.eps)

    @property
    def learning_rate(self):
        """The mean of the rates."""
        return float(self.rates @ self.weights)

    def by_output(self):
        numbers, shape = self.hyperparameters, (self.n_models, self.n_outputs)
        l1, l2 = (np.broadcast_to(value, shape).ravel() for value in (numbers.l1, numbers.l2))
        eps = np.broadcast_to(self.eps.reshape(self.n_models, -1), shape).ravel()
        parameters = numbers.parameters
        if numbers.spec.forgets:
            parameters = parameters | {"rho": np.repeat(self.memories, self.n_outputs)}
        if numbers.spec.decoupled and numbers.eta0:
            # A decay of its own has the rate of eta0 in all models.
            multiples = np.repeat(self.settings["rate"], self.n_outputs)
            if numbers.rates:
                multiples = multiples * np.tile(numbers.rates, self.n_models)
            l1, l2 = l1 / multiples, l2 / multiples
        rates = self.rates[:, np.newaxis]
        if numbers.rates:
            with np.errstate(over="ignore"):
                rates = np.minimum(rates * np.array(numbers.rates), np.finfo(self.dtype).max / 2)
        eta0 = np.broadcast_to(rates, shape).ravel()
        return numbers.with_numbers(
            eta0=eta0, eps=eps, l1=l1, l2=l2, rates=(), parameters=parameters
        )

    def mean(self, values):
        by_model = values.reshape(self.n_models, self.n_outputs, *values.shape[1:])
        # in turn, so that a part of the features gives the same, bit for bit
        total = np.zeros(by_model.shape[1:], values.dtype)
        # plain numbers, which take half the time of a row
        weights = self.weights.astype(values.dtype).tolist()
        for weight, of_model in zip(weights, by_model, strict=True):
            if weight > 0:
                total += weight * of_model
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
        return self.is_alike(hyperparameters) and hyperparameters.rate_is != "given"

    def empty(self, hyperparameters, n_outputs=None):
        other = super().empty(hyperparameters, n_outputs, settings=self.settings)
        for name in ("weights", "unit", "first_rows", "pause"):
            getattr(other, name)[...] = getattr(self, name)
        other.occurred[: self.occurred.size] = self.occurred
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
        if not training.target_type.occurs_later:
            self.occurred[0] = self.n_outputs
        scales = self.hyperparameters.scales
        unit = scales.gradient * scales.coef
        if not unit > 0:
            # these rows have not told it: no model has learned anything
            self.mixing_rate = 0.0
            return
        self.mixing_rate = training.target_type.unit_of_derivative() / unit
        if not self.unit.all():
            weights = training.sample_weight
            self.unit[...] = weights[weights > 0].mean() if weights.any() else 1.0

    def _of_model(self, number):
        """The hyperparameters of one of the models, as if they were given."""
        numbers = self.hyperparameters
        parameters = dict(numbers.parameters)
        if numbers.spec.forgets:
            parameters["rho"] = float(self.memories[number])
        eps = self.eps[number]
        return numbers.with_numbers(
            eta0=float(self.rates[number]),
            eps=tuple(eps.tolist()) if eps.ndim else float(eps),
            parameters=parameters,
        )

    # -- rows that come again --

    @property
    def memory(self):
        """What finds rows among the first ones, kept as its table takes longer than a row."""
        if self._memory is None or self._memory.rows is not self.first_rows:
            self._memory = Memory(self.first_rows)
        return self._memory

    def watch(self, keys, batch_size):
        """Notice rows of the stream that come again, and stop weighing models while they do.

        Parameters
        ----------
        keys : uint64 ndarray
            Of the rows to come, in their order.
        batch_size : int

        Yields
        ------
        position : int
            So many of the rows are to be learned first.
        act : callable
            To be called then.
        """
        begin, counts = self.t, self.first_rows["count"]
        for position, place in self.memory.hits(keys):
            step = begin + position // batch_size
            yield from self._ends_of_pause(begin, step, batch_size)
            if counts[place] or self.pause[0]:
                self.memory.count(position, place)
            else:
                yield (step - begin) * batch_size, partial(self._come_again, place, step)
        yield from self._ends_of_pause(begin, begin + keys.size // batch_size, batch_size)

    def _come_again(self, place, step):
        """Take in that one of the first rows has come for the second time."""
        rows = self.first_rows
        rows["count"][place], rows["step"][place] = 1, step
        rows["weights"][place] = self.weights
        if have_come_again(rows):
            weights = weights_before(rows) * (self.weights > 0)
            if self.complete:
                self.weights[...] = weights
            elif weights.any():
                self.weights[...] = weights / weights.sum()
            rows["count"] = 0
            self.pause[...] = 2 * step, step

    def what_acts_change(self):
        """Copies of the arrays that the functions of `watch` change, for `take_back`."""
        return {name: getattr(self, name).copy() for name in ("first_rows", "pause", "weights")}

    def take_back(self, before):
        for name, array in before.items():
            getattr(self, name)[...] = array
        self._memory = None

    def _ends_of_pause(self, begin, step, batch_size):
        while 0 < self.pause[0] <= step:
            yield (int(self.pause[0]) - begin) * batch_size, self._look_again

    def _look_again(self):
        """Go on weighing if few of the first rows have come again during a pause."""
        rows = self.first_rows
        come_again = 2 * np.count_nonzero(rows["count"]) >= np.count_nonzero(rows["key"])
        rows["count"] = 0
        self.pause[...] = (self.pause.sum(), self.pause[1]) if come_again else 0

    # -- models that are out, and the one that is left --

    def settled(self):
        """The model of the rate that has predicted best, alone, which goes on as it would here.

        With a decay of its own from now on at its own rate, as if that were given.
        """
        features = touched(self.records)
        # of equal ones the first
        for place in np.argsort(-self.weights, kind="stable"):
            outputs = np.arange(place * self.n_outputs, (place + 1) * self.n_outputs)
            model = self.part(outputs, features)
            model.progressive_loss[...] = self.progressive_loss
            numbers = self._of_model(place)
            if not numbers.spec.decoupled:
                model.hyperparameters = numbers
                return model
            # a rate may be too large for this decay, as that of "auto" is not
            with suppress(ValueError):
                if numbers.eta0 * np.max(numbers.l2) < 1:
                    return model.successor(numbers)
        raise AssertionError("the automatic rate has been refused")

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
