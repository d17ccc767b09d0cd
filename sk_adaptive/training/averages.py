"""The mean of the weights of a run, of which later ones count more."""

import numpy as np

from .steps import Learned

# Weights are taken in so many times an epoch.
TIMES_AN_EPOCH = 4

# Those of the k-th time count nearly by this power of k: half of the mean is of the last sixth.
POWER = 3


def pieces_of(order, batch_size):
    """The rows of an epoch in pieces, after each of which weights are taken in."""
    n_batches = -(-order.size // batch_size)
    size = batch_size * max(1, -(-n_batches // TIMES_AN_EPOCH))
    return [order[start : start + size] for start in range(0, order.size, size)]


class RunningMean:
    """The mean of the weights that a model has had, each by its time (Shamir and Zhang 2013).

    It is asked as a `ModelInParts` is.

    Parameters
    ----------
    features : int64 ndarray
        The features that may have weights, sorted.
    n_features : int
    """

    def __init__(self, features, n_features):
        self._features, self._n_features = features, n_features
        self._coef = self._intercept = self._parts = None
        self._n_taken = 0

    def learn(self, parts, order, learned):
        """Let the parts learn an epoch, and take their weights in; see `ModelInParts.learn`."""
        self._parts = parts
        for rows in pieces_of(order, parts.batch_size):
            piece = Learned()
            parts.learn(rows, piece)
            learned.n_rows += piece.n_rows
            learned.add_told(piece.told)
            so_far = learned.losses
            learned.losses = piece.losses if so_far is None else so_far + piece.losses
            self.take_in(parts)

    def take_in(self, model):
        """Take in the weights that a model has now."""
        coef, intercept = model.coefficients(self._features), model.intercepts()
        self._n_taken += 1
        if self._coef is None:
            self._coef, self._intercept = coef, intercept.copy()
            return
        share = (POWER + 1) / (self._n_taken + POWER)
        coef -= self._coef
        coef *= coef.dtype.type(share)
        self._coef += coef
        self._intercept += share * (intercept - self._intercept)

    def kept(self, outputs=slice(None)):
        """What `put_into` takes: the mean as of now, of these outputs."""
        return self._coef[outputs].copy(), self._intercept[outputs].copy()

    def keep(self, outputs):
        """Go on with these outputs only."""
        if self._coef is not None:
            self._coef, self._intercept = self.kept(outputs)

    def put_into(self, model, kept=None):
        """Let the weights of a model be the mean, or one that was kept before."""
        coef, intercept = (self._coef, self._intercept) if kept is None else kept
        whole = np.zeros((coef.shape[0], self._n_features), coef.dtype)
        whole[:, self._features] = coef
        model.set_coefficients(whole)
        model.set_intercepts(intercept)

    def coefficients(self, features):
        """The mean of these features' weights: of shape (n_outputs, n)."""
        if features.size == self._n_features == self._features.size:
            return self._coef.copy()
        # those that are not among them have never had a weight
        places = np.searchsorted(self._features, features)
        places = np.minimum(places, max(self._features.size - 1, 0))
        if not self._features.size:
            return np.zeros((self._coef.shape[0], features.size), self._coef.dtype)
        return np.where(self._features[places] == features, self._coef[:, places], 0)

    def intercepts(self):
        return self._intercept

    def whole(self):
        """A model of its own with these weights."""
        model = self._parts.whole().copy()
        self.put_into(model)
        return model
