"""Times of epochs, fits, rows, streams and searches, on generated rows."""

import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier

OPTIMIZERS = ["adagrad", "rmsprop", "adam", "adamw", "ftrl"]


def generated(n_rows, n_features, entries_per_row, n_classes=2, seed=0):
    """Rows of words by Zipf's law, of one norm, and classes that depend on them."""
    rng = np.random.default_rng(seed)
    words = np.exp(rng.random((n_rows, entries_per_row)) * np.log(n_features)).astype(np.int64) - 1
    indptr = np.arange(0, words.size + 1, entries_per_row)
    X = sp.csr_matrix((np.ones(words.size), words.ravel(), indptr), (n_rows, n_features))
    X.sum_duplicates()
    X = sp.csr_matrix(X / np.sqrt(X.multiply(X).sum(axis=1)))
    margins = 4 * (X @ rng.normal(size=(n_features, n_classes)))
    return X, np.argmax(margins + rng.gumbel(size=margins.shape), axis=1)


class _Quiet:
    def setup(self, *_):
        warnings.simplefilter("ignore", ConvergenceWarning)


class Epoch(_Quiet):
    """One epoch of rows like text."""

    params = (OPTIMIZERS, ["exact", "masked"], ["float64", "float32"], [2, 20])
    param_names = ("optimizer", "sparse_update", "dtype", "n_classes")

    def setup(self, optimizer, sparse_update, dtype, n_classes):
        super().setup()
        self.X, self.y = generated(10_000, 1 << 17, 60, n_classes)
        self.X = self.X.astype(dtype)
        self.model = AdaptiveSGDClassifier(
            optimizer=optimizer,
            sparse_update=sparse_update,
            multi_class="ovr",
            eta0=0.1,
            max_iter=1,
            tol=None,
            random_state=0,
        )

    def time_fit(self, *_):
        self.model.fit(self.X, self.y)


class Defaults(_Quiet):
    """The whole of fit, of a stream, and of a search, with nothing given."""

    def setup(self):
        super().setup()
        self.X, self.y = generated(10_000, 1 << 17, 60)
        self.model = AdaptiveSGDClassifier(random_state=0)

    def time_fit(self):
        self.model.fit(self.X, self.y)

    def time_stream(self):
        model = AdaptiveSGDClassifier()
        for start in range(0, 10_000, 1000):
            rows = slice(start, start + 1000)
            model.partial_fit(self.X[rows], self.y[rows], classes=[0, 1])

    def time_search(self):
        AdaptiveGridSearchCV(self.model, cv=3).fit(self.X, self.y)

    def peakmem_fit(self):
        self.model.fit(self.X, self.y)


class Row(_Quiet):
    """One row at a time."""

    params = (["auto", "search", 0.1],)
    param_names = ("eta0",)

    def setup(self, eta0):
        super().setup()
        X, y = generated(3000, 1 << 17, 60)
        self.model = AdaptiveSGDClassifier(eta0=eta0).partial_fit(X[1000:], y[1000:], [0, 1])
        self.rows = [X[row] for row in range(1000)]
        self.y = y

    def time_partial_fit(self, _):
        for row, x in enumerate(self.rows):
            self.model.partial_fit(x, self.y[row : row + 1])

    def time_predict(self, _):
        for x in self.rows:
            self.model.predict(x)
