"""A model that only predicts: the coefficients that are not zero, and intercepts."""

from copy import copy
from functools import partial

import numpy as np
import scipy.sparse as sp

# Features that are read at once.
FEATURES_AT_ONCE = 1 << 14

# Finding entries one by one costs about as much as filling in so many places of a table.
LOOKUP_COST = 16


def served_model(model):
    """What predictions need of a model that learns.

    Parameters
    ----------
    model : Model
    """
    features = model.all_features()
    # a few at a time, as there may not be memory for all outputs of all features
    blocks = (
        model.coefficients(features[start : start + FEATURES_AT_ONCE])
        for start in range(0, features.size, FEATURES_AT_ONCE)
    )
    return ServedModel(
        # the mean of several rates is one
        model.hyperparameters.with_numbers(eta0=model.learning_rate, controls=None),
        model.n_features,
        entries_of(blocks, model.n_features),
        model.intercepts(),
        model.clock.copy(),
        model.progressive_loss.copy(),
    )


def entries_of(blocks, n_features):
    """The coefficients that are not zero, feature by feature: features, outputs, coefficients.

    Parameters
    ----------
    blocks : iterable of ndarray of shape (n_outputs, n)
        The coefficients of all features, so many at a time.
    n_features : int
    """
    parts, first = [], 0
    for coef in blocks:
        features, outputs = np.nonzero(coef.T)
        parts.append(
            (
                (first + features).astype(np.min_scalar_type(n_features - 1)),
                outputs.astype(np.min_scalar_type(coef.shape[0] - 1)),
                coef[outputs, features],
            )
        )
        first += coef.shape[1]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


class ServedModel:
    """Coefficients that are not zero, and intercepts.

    Parameters
    ----------
    hyperparameters : Hyperparameters
    n_features : int
    entries : tuple of ndarrays
        The feature of each coefficient, in ascending order; its output; the coefficient itself,
        float64 or float32.
    intercept : float64 ndarray of shape (n_outputs,)
    clock : array of the type `CLOCK`
        Which does not go on.
    progressive_loss : float64 ndarray of shape (5,)
    """

    def __init__(self, hyperparameters, n_features, entries, intercept, clock, progressive_loss):
        self.hyperparameters = hyperparameters
        self.n_features = n_features
        self.features, self.outputs, self.coef = entries
        self.intercept = intercept
        self.clock = clock
        self.progressive_loss = progressive_loss
        # zeros, and then the coefficients of each feature that has one
        self._kept, row = np.unique(self.features, return_inverse=True)
        self._rows = np.zeros((self._kept.size + 1, intercept.size), self.coef.dtype)
        self._rows[row.ravel() + 1, self.outputs] = self.coef

    @property
    def n_outputs(self):
        return self.intercept.size

    @property
    def dtype(self):
        return self.coef.dtype

    @property
    def t(self):
        return int(self.clock["t"])

    @property
    def learning_rate(self):
        return self.hyperparameters.eta0

    def copy(self):
        """The model itself, whose arrays nobody changes, with a progressive loss of its own."""
        other = copy(self)
        other.progressive_loss = self.progressive_loss.copy()
        return other

    def coefficients(self, features=None, n_jobs=1):
        """Coefficients of these features, or of all: ndarray of shape (n_outputs, n)."""
        if features is None:
            features = np.arange(self.n_features)
        return np.ascontiguousarray(self._rows[self._find(features)].T)

    def sparse_coefficients(self):
        """The coefficients as a CSR matrix of shape (n_outputs, n_features)."""
        shape = self.n_outputs, self.n_features
        return sp.csr_matrix((self.coef, (self.outputs, self.features)), shape)

    def intercepts(self):
        return self.intercept

    def product(self, X):
        """A function that returns X @ coef.T of a CSR matrix, bit for bit."""
        return partial(self._product, X)

    def _product(self, X):
        indices = X.indices[: X.indptr[-1]]
        shape = X.shape[0], self._rows.shape[0]
        small = sp.csr_matrix((X.data[: indices.size], self._find(indices), X.indptr), shape)
        return small @ self._rows

    def _find(self, features):
        """The row of each of these features, which is 0 for one that has no coefficient."""
        n_kept = self._kept.size
        if features.size > self.n_features // LOOKUP_COST:
            row = np.zeros(self.n_features, np.int32)
            row[self._kept] = np.arange(1, n_kept + 1)
            return row[features]
        # searchsorted copies all that it searches in if the types differ
        features = features.astype(self._kept.dtype)
        row = np.searchsorted(self._kept, features)
        known = row < n_kept
        known[known] = self._kept[row[known]] == features[known]
        return np.where(known, row + 1, 0)

    def with_coefficients(self, coef):
        """This model with other coefficients."""
        entries = entries_of([coef], self.n_features)
        return self._like(entries, self.intercept)

    def with_intercepts(self, values):
        """This model with other intercepts."""
        return self._like((self.features, self.outputs, self.coef), np.array(values))

    def _like(self, entries, intercept):
        return ServedModel(
            self.hyperparameters,
            self.n_features,
            entries,
            intercept,
            self.clock,
            self.progressive_loss,
        )
