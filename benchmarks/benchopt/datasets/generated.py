"""Rows of words by Zipf's law, and labels that depend on them."""

import numpy as np
import scipy.sparse as sp
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "Zipf"
    parameters = {"n_samples, n_features": [(20_000, 50_000)]}

    def get_data(self):
        rng = np.random.default_rng(0)
        words = np.exp(rng.random((self.n_samples, 60)) * np.log(self.n_features)).astype(np.int64)
        indptr = np.arange(0, words.size + 1, words.shape[1])
        shape = self.n_samples, self.n_features
        X = sp.csr_matrix((np.ones(words.size), words.ravel() - 1, indptr), shape)
        X.sum_duplicates()
        X.data = 1 + np.log(X.data)
        X = sp.diags(1 / np.sqrt(X.multiply(X).sum(axis=1).A1)) @ X
        margin = 4 * (X @ rng.normal(size=self.n_features))
        y = np.where(rng.random(self.n_samples) < 1 / (1 + np.exp(-margin)), 1.0, -1.0)
        return {"X": sp.csr_matrix(X), "y": y}
