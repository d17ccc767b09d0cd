"""Solvers of the penalised objective, and fastText, as `_peers.Peer`.

datatable's Ftrl takes columns of a table, not rows of a matrix: it is in `end_to_end.py`. glum's
solvers need the pairs of all features: it is in `controls.py`.
"""

import importlib

import numpy as np
from _peers import Estimator, OfLast, Peer, WithFile, clock_of
from scipy.special import expit

STRENGTHS = (0.01, 0.1, 1, 10, 100)


class SnapML(Estimator):
    """Dual coordinate descent, by IBM's Snap ML. C is one over its regulariser."""

    note = "dual coordinate descent"

    def __init__(self, n_threads=1):
        snapml = importlib.import_module("snapml")
        # so little that only max_iter stops it
        estimator = snapml.LogisticRegression(
            fit_intercept=True, tol=1e-30, random_state=0, n_jobs=n_threads
        )
        super().__init__(
            estimator, "regularizer", tuple(1 / C for C in STRENGTHS), clock=clock_of(n_threads)
        )


class Cyanure(Estimator):
    """Incremental MISO or SVRG with Catalyst's or QNing's acceleration, by Cyanure."""

    note = "variance reduction, accelerated"

    def __init__(self, n_threads=1):
        cyanure = importlib.import_module("cyanure.estimators")
        estimator = cyanure.Classifier(
            loss="logistic",
            penalty="l2",
            tol=1e-30,
            fit_intercept=True,
            verbose=False,
            random_state=0,
            n_threads=n_threads,
        )
        super().__init__(estimator, "lambda_1", STRENGTHS, clock=clock_of(n_threads))

    def value_for(self, X, y, value):
        # the strength on the mean loss
        return 1 / (value * X.shape[0])

    def probabilities(self, X):
        # its predict_proba is no logistic function of the score
        coef, intercept = np.ravel(self._model.coef_), np.ravel(self._model.intercept_)
        return expit(X @ coef + intercept)


class LiblinearMulticore(Peer):
    """The trust region of liblinear, whose products several cores share."""

    grid = STRENGTHS
    unit = "iteration"
    least_rows = 10**9
    note = "stops by its tolerance"

    def __init__(self, n_threads=1):
        self._module = importlib.import_module("liblinear.liblinearutil")
        self._n_threads = n_threads
        self.clock = clock_of(n_threads)
        self._rows = OfLast(lambda X, y: self._module.problem(np.asarray(y), X))

    def fit(self, X, y, epochs, value=None):
        problem = self._rows(X, y)
        # its option -e is the only one that says when it ends: each "epoch" is a tenth of it
        options = f"-s 0 -q -B 1 -m {self._n_threads} -e {0.1 ** (1 + epochs / 5):g}"
        options += f" -c {1.0 if value is None else value}"
        begin = self.clock()
        self._model = self._module.train(problem, options)
        return self.clock() - begin

    def probabilities(self, X):
        coef, intercept = self._model.get_decfun()
        raw = X @ np.asarray(coef)[: X.shape[1]] + intercept
        return expit(raw if self._model.get_labels()[0] == 1 else -raw)


class FastText(WithFile):
    """Supervised fastText: features are words, whose values it does not see."""

    grid = (0.05, 0.1, 0.25, 0.5, 1.0)
    note = "an embedding of 10 numbers a word; no values of features"

    def __init__(self, n_threads=1):
        super().__init__()
        self._module = importlib.import_module("fasttext")
        self._n_threads = n_threads
        self.clock = clock_of(n_threads)

    def _write(self, X, y):
        path = self._path("rows")
        with open(path, "w") as file:
            for label, line in zip(y, _words(X), strict=True):
                file.write(f"__label__{label} {line}\n")
        return path

    def fit(self, X, y, epochs, value=None):
        path = self._file(X, y)
        begin = self.clock()
        self._model = self._module.train_supervised(
            path,
            lr=0.1 if value is None else value,
            dim=10,
            epoch=epochs,
            minCount=1,
            bucket=1,
            thread=self._n_threads,
            verbose=0,
        )
        return self.clock() - begin

    def probabilities(self, X):
        found = []
        for line in _words(X):
            labels, probabilities = self._model.predict(line)
            found.append(probabilities[0] if labels[0] == "__label__1" else 1 - probabilities[0])
        return np.array(found)


def _words(X):
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        yield " ".join(f"w{feature}" for feature in X.indices[start:stop])
