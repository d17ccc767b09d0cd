"""What the textbook has, read out of records."""

import numpy as np


def textbook_moments(model):
    """The moments of the textbook as of now, by name: float64 of shape (n_outputs, n_features).

    Of a mixture they are the means.
    """
    return {name: model.mean(values) for name, values in _moments_of_all(model).items()}


def effective_learning_rates(model):
    """What the last step multiplied a gradient by, or the first will: (n_outputs, n_features)."""
    numbers, t = model.hyperparameters, model.t
    *_, squares = _moments_of_all(model).values()
    rate = _rates_of_outputs(model) / max(t, 1) ** numbers.power_t
    divisor = numbers.spec.divisor(squares, _eps_of_outputs(model), t, **numbers.parameters)
    return model.mean(rate / divisor)


def _rates_of_outputs(model):
    return np.reshape(model.by_output().eta0, (-1, 1))


def _eps_of_outputs(model):
    return np.reshape(model.by_output().eps, (-1, 1))


def _moments_of_all(model):
    """The moments of each model of a mixture."""
    numbers, records = model.hyperparameters, model.records
    moments = {}
    for moment in numbers.spec.moments:
        values = records[moment.field].T.astype(np.float64)
        values = moment.textbook(values, _eps_of_outputs(model), _rates_of_outputs(model))
        if numbers.ages:
            # masked moments have no time
            values *= numbers.parameters[moment.memory] ** (model.t - records["last_step"])
        moments[moment.name] = values
    return moments
