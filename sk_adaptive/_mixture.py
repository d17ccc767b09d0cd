"""A rate that nobody has to choose: models of several rates side by side, and their mean."""

import numpy as np

from . import _state

# Of the weights of all models, the part that is handed out anew after each step. The more, the
# sooner another rate takes over when the stream changes, and the more the others disturb.
SHARE = 1e-4


class Mixture:
    """How the kernel weights the models of a state that has several.

    Parameters
    ----------
    state : dict
        Its ``mixture`` is changed in place.
    training : TrainingData

    Attributes
    ----------
    weights : float64 ndarray of shape (n_models,)
    handed_out : float64 ndarray of shape (n_models,)
        What is added to the weights after each step.
    failed : uint8 ndarray of shape (n_models,)
        Those that the last step would have made non-finite.
    rate, share : float
        See kernel/mixture.pxi.
    complete : bool
        Whether no model is out.
    """

    def __init__(self, state, training):
        self._state = state
        self.weights = state["mixture"][1]
        self.failed = np.zeros(self.weights.size, np.uint8)
        self.rate = mixing_rate(_state.units_of(state["settings"]), training)
        self.share = SHARE
        self._count()

    def _count(self):
        alive = self.weights > 0
        self.complete = bool(alive.all())
        first = _state.first_weights(self.weights.size) * alive
        self.handed_out = self.share * (first / first.sum())

    def drop_failed(self):
        """Go on without the models that failed; False, and nothing done, if none would be left."""
        failed = self.failed > 0
        alive = self.weights > 0
        if not (failed & alive).any() or not (alive & ~failed).any():
            return False
        _state.without_models(self._state, failed)
        self._count()
        return True


def mixing_rate(units, training):
    """What losses are multiplied by for them to count as logarithms of likelihoods.

    The losses of classes are taken as they are, over the mean weight of the first rows. Others
    have the unit of the target: the size of a derivative times how far raw predictions have to
    go, both of the first rows, which for the squared error is the square of the mean distance from
    the median.
    """
    unit = units.gradient * units.coef
    if not unit > 0:
        # these rows have not told it: no model has learned anything
        return 0.0
    if training.of_classes:
        return training.loss.typical_derivative_of_classes(training.n_outputs) / unit
    return 1 / unit
