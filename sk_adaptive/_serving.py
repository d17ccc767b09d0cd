"""Coefficients without an optimizer: the part of a stripped state that predicts.

See `_state` for what such a state consists of.
"""

import numpy as np
import scipy.sparse as sp

# Finding entries one by one costs about as much as filling in so many places of a table.
LOOKUP_COST = 16


def entries_of(blocks, n_features):
    """The coefficients that are not zero, feature by feature.

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
    names = "features", "outputs", "coef"
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


class KeptCoefficients:
    """What the kernel's optimizer is for a whole state, as far as predictions need it.

    Parameters
    ----------
    state : dict
        A stripped one.

    Attributes
    ----------
    rows : ndarray of shape (n_kept + 1, n_outputs)
        Zeros, and then the coefficients of each feature that has one.
    """

    def __init__(self, state):
        self._n_features = state["n_features"]
        # sorted, as they are in the state
        self._kept, row = np.unique(state["features"], return_inverse=True)
        n_outputs = state["intercept"].shape[1]
        self.rows = np.zeros((self._kept.size + 1, n_outputs), state["coef"].dtype)
        self.rows[row.ravel() + 1, state["outputs"]] = state["coef"]

    def find(self, features):
        """The row of each of these features, which is 0 for one that has no coefficient."""
        n_kept = self._kept.size
        if features.size > self._n_features // LOOKUP_COST:
            row = np.zeros(self._n_features, np.int32 if n_kept < 2**31 else np.int64)
            row[self._kept] = np.arange(1, n_kept + 1)
            return row[features]
        # searchsorted copies all that it searches in if the types differ
        features = features.astype(self._kept.dtype)
        row = np.searchsorted(self._kept, features)
        known = row < n_kept
        known[known] = self._kept[row[known]] == features[known]
        return np.where(known, row + 1, 0)

    def weights(self, features, out):
        """Write the coefficients of these features to out, of shape (n_outputs, n)."""
        out[...] = self.rows[self.find(features)].T

    def products(self, X):
        """X @ coef.T of a CSR matrix, bit for bit."""
        indices = X.indices[: X.indptr[-1]]
        shape = X.shape[0], self.rows.shape[0]
        small = sp.csr_matrix((X.data[: indices.size], self.find(indices), X.indptr), shape)
        return small @ self.rows


def csr_of(state):
    """The coefficients of a stripped state, as a CSR matrix of shape (n_outputs, n_features)."""
    shape = state["intercept"].shape[1], state["n_features"]
    return sp.csr_matrix((state["coef"], (state["outputs"], state["features"])), shape)


def check_entries(state, n_features, require):
    """Refuse coefficients of a saved state that do not fit together."""
    require(
        state["n_features"] == n_features,
        f"it is of {state['n_features']!r} features, but the model has {n_features}",
    )
    coef = state["coef"]
    require(
        isinstance(coef, np.ndarray) and coef.ndim == 1 and coef.dtype in (np.float32, np.float64),
        "coef is no array of numbers",
    )
    require(np.all(np.isfinite(coef)), "coef contains NaN or infinity")
    for name, size in (("features", n_features), ("outputs", state["intercept"].shape[1])):
        place = state[name]
        require(
            isinstance(place, np.ndarray) and place.shape == coef.shape and place.dtype.kind == "u",
            f"{name} are not one whole number a coefficient",
        )
        require(not place.size or place.max() < size, f"{name} are beyond the model's")
    require(np.all(np.diff(state["features"].astype(np.int64)) >= 0), "features are not sorted")
