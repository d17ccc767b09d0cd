"""sk_adaptive: stochastic gradient descent with a step of its own for each feature."""

import warnings

import numpy as np
from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning

from sk_adaptive import AdaptiveSGDClassifier


class Solver(BaseSolver):
    name = "sk_adaptive"
    requirements = ["pip::sk-adaptive"]
    parameters = {"optimizer": ["adagrad", "ftrl"]}
    # n_iter are epochs
    sampling_strategy = "iteration"

    def set_objective(self, X, y, lmbd, fit_intercept):
        self.X, self.y = X, y
        self.model = AdaptiveSGDClassifier(
            loss="log_loss",
            optimizer=self.optimizer,
            penalty="l2",
            # the package has the mean of the losses in place of their sum
            alpha=lmbd / X.shape[0],
            fit_intercept=fit_intercept,
            tol=None,
            early_stopping=False,
            random_state=0,
        )
        warnings.filterwarnings("ignore", category=ConvergenceWarning)

    def run(self, n_iter):
        if n_iter == 0:
            self.beta = np.zeros(self.X.shape[1] + self.model.fit_intercept)
            return
        self.model.set_params(max_iter=n_iter).fit(self.X, self.y)
        parts = [self.model.coef_.ravel()]
        if self.model.fit_intercept:
            parts.append(self.model.intercept_)
        self.beta = np.concatenate(parts)

    def get_result(self):
        return {"beta": self.beta}
