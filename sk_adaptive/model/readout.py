"""What is read out of records: the textbook's moments, and products with few rows."""

import numpy as np
import scipy.sparse as sp


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


def product_of_entries(X, weights):
    """X @ coef.T, bit for bit, from the weights of each entry's feature, (n_outputs, n_entries)."""
    n_rows, n_entries = X.shape[0], weights.shape[1]
    data = X.data[:n_entries]
    if n_rows == 1:
        # in turn from the left, as a sparse product does
        sums = np.cumsum(weights * data, axis=1)
        return sums[:, -1:].T if n_entries else np.zeros((1, sums.shape[0]), sums.dtype)
    places = sp.csr_matrix((data, np.arange(n_entries), X.indptr), (n_rows, n_entries))
    return places @ weights.T
