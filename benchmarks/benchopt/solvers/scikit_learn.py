"""scikit-learn's LogisticRegression."""

import warnings

import numpy as np
from benchopt import BaseSolver
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


class Solver(BaseSolver):
    name = "scikit-learn"
    requirements = ["scikit-learn"]
    parameters = {"solver": ["lbfgs", "liblinear", "saga"]}
    sampling_strategy = "iteration"

    def set_objective(self, X, y, lmbd, fit_intercept):
        self.X, self.y = X, y
        self.model = LogisticRegression(
            C=1 / lmbd, fit_intercept=fit_intercept, solver=self.solver, tol=1e-12, random_state=0
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
