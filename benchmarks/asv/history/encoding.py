"""Times of the encoders, on generated columns and texts."""

import numpy as np
import pandas as pd

from sk_adaptive import ColumnHasher, TextHasher


class Columns:
    """26 columns of a table, as strings and as categories, without and with crosses."""

    params = (["object", "category"], [False, True])
    param_names = ("dtype", "crosses")

    def setup(self, dtype, crosses):
        rng = np.random.default_rng(0)
        values = np.exp(rng.random((20_000, 26)) * np.log(10_000)).astype(int).astype(str)
        names = [f"c{k}" for k in range(26)]
        self.table = pd.DataFrame(values, columns=names, dtype=object).astype(dtype)
        pairs = [("c0", "c1"), ("c2", "c3"), ("c4", "c5")]
        self.hasher = ColumnHasher(interactions=pairs if crosses else None).fit(self.table)

    def time_transform(self, *_):
        self.hasher.transform(self.table)


class Texts:
    """Texts of 50 words, as words and as pairs of words."""

    params = ([(1, 1), (1, 2)],)
    param_names = ("ngram_range",)

    def setup(self, ngram_range):
        rng = np.random.default_rng(0)
        words = np.array([f"word{k}" for k in range(20_000)])
        chosen = np.exp(rng.random((5000, 50)) * np.log(20_000)).astype(int) - 1
        self.texts = [" ".join(row) for row in words[chosen]]
        self.hasher = TextHasher(ngram_range=ngram_range).fit(self.texts)

    def time_transform(self, _):
        self.hasher.transform(self.texts)
