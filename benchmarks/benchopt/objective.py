"""Logistic regression with an L2 penalty, as benchopt's benchmark_logreg_l2 defines it."""

import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "L2 Logistic Regression"
    parameters = {"lmbd": [0.1, 1.0], "fit_intercept": [True]}
    min_benchopt_version = "1.6"

    def set_data(self, X, y):
        self.X, self.y = X, y

    def get_objective(self):
        return {"X": self.X, "y": self.y, "lmbd": self.lmbd, "fit_intercept": self.fit_intercept}

    def get_one_result(self):
        return {"beta": np.zeros(self.X.shape[1] + self.fit_intercept)}

    def evaluate_result(self, beta):
        weights, intercept = (beta[:-1], beta[-1]) if self.fit_intercept else (beta, 0.0)
        margins = self.y * (self.X @ weights + intercept)
        return {"value": np.logaddexp(0, -margins).sum() + self.lmbd / 2 * (weights @ weights)}
