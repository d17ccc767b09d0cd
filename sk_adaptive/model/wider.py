"""A model with more outputs than another, which go on as some of its own do."""

import numpy as np

from .mixture import Mixture
from .records import take_outputs, touched


def with_outputs(model, outputs):
    """Return a model whose outputs are copies of these, of each model side by side.

    Parameters
    ----------
    model : Model
    outputs : int ndarray
        Any number of times each.
    """
    first = model.n_outputs * np.arange(model.n_models)[:, np.newaxis]
    of_all = (first + outputs).ravel()
    other = model.empty(model.hyperparameters, len(outputs))
    other.clock_rate = model.clock_rate
    other.clock[...] = model.clock
    other.intercept[...] = model.intercept[:, of_all]
    other.intercept_integral[...] = model.intercept_integral[of_all]
    other.progressive_loss[...] = model.progressive_loss
    features = touched(model.records)
    take_outputs(model.records, other.records, of_all, features, features)
    if isinstance(model, Mixture) and model.occurred[0] == model.n_outputs:
        # of the softmax all count; otherwise more than there were have not occurred
        other.occurred[0] = other.n_outputs
    return other
