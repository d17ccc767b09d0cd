"""The seconds to the optimum of one penalised objective, of this package and of solvers.

The objective is the mean log loss and alpha / 2 times the squared norm, without an intercept, which
some of the solvers would penalise. Its optimum is the least value that any fit has reached. Each
solver is given more and more iterations, or a smaller and smaller tolerance, from the start each
time. The shortest fit that comes within 1 % and within 0.1 % counts, by the clock, as some of them
use two threads.
"""

import importlib
import time
from functools import partial

import _data
import _timing
import numpy as np
from sklearn.linear_model import LogisticRegression

from sk_adaptive import AdaptiveSGDClassifier

# 'text' is generated
ALPHAS = {"text": 1e-6, "adult": 1e-4, "criteo80k": 1e-5, "mr": 1e-5, "clickbait": 1e-5}
DISTANCES = (1e-2, 1e-3)
ITERATIONS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512)
TOLERANCES = tuple(10 ** (-k / 2) for k in range(1, 15))
FACTORS = (1, 3, 10, 30)


class Solver:
    """A way to the optimum; `solve(X, y, alpha, effort)` returns the coefficients.

    Attributes
    ----------
    efforts : tuple
        Numbers of iterations or tolerances.
    ours : bool
        Whether it is this package.
    prepare : callable
        Makes of X and y, off the clock, what `solve` takes.
    """

    efforts = ITERATIONS
    ours = False

    def prepare(self, X, y):
        return X, y

    def solve(self, X, y, alpha, effort):
        raise NotImplementedError


class Adaptive(Solver):
    """This package at a multiple of its automatic rate."""

    ours = True

    def __init__(self, factor, **settings):
        self._factor = factor
        self._settings = settings

    def prepare(self, X, y):
        estimator = AdaptiveSGDClassifier(alpha=1e-6, tol=None, random_state=0, **self._settings)
        self._rate = self._factor * _data.automatic_rate(estimator, X, y)
        return X, y

    def solve(self, X, y, alpha, effort):
        model = AdaptiveSGDClassifier(
            alpha=alpha,
            eta0=self._rate,
            max_iter=effort,
            tol=None,
            fit_intercept=False,
            random_state=0,
            **self._settings,
        )
        return model.fit(X, y).coef_[0]


class Estimator(Solver):
    """An estimator of `make(alpha, n_rows)`, whose `max_iter` alone stops it."""

    def __init__(self, make):
        self._make = make

    def solve(self, X, y, alpha, effort):
        model = self._make(alpha, len(y)).set_params(max_iter=effort)
        return np.ravel(model.fit(X, y).coef_)


COMMON = {"tol": 1e-30, "fit_intercept": False, "random_state": 0}


def scikit_learn(solver):
    return Estimator(
        lambda alpha, n: LogisticRegression(C=1 / (alpha * n), solver=solver, **COMMON)
    )


def snapml(n_threads):
    """Dual coordinate descent."""
    make = importlib.import_module("snapml").LogisticRegression
    return Estimator(lambda alpha, n: make(regularizer=alpha * n, n_jobs=n_threads, **COMMON))


def cyanure(n_threads):
    """Variance reduction, accelerated."""
    make = importlib.import_module("cyanure.estimators").Classifier
    settings = {"loss": "logistic", "penalty": "l2", "verbose": False, "n_threads": n_threads}
    return Estimator(lambda alpha, n: make(lambda_1=alpha, **settings, **COMMON))


class LiblinearMulticore(Solver):
    """The trust region of liblinear."""

    efforts = TOLERANCES

    def __init__(self, n_threads):
        self._n_threads = n_threads
        self._module = importlib.import_module("liblinear.liblinearutil")

    def prepare(self, X, y):
        self._n_features = X.shape[1]
        return self._module.problem(np.where(y == 1, 1, -1), X), y

    def solve(self, X, y, alpha, effort):
        options = f"-s 0 -q -m {self._n_threads} -e {effort:g} -c {1 / (alpha * len(y)):.12g}"
        model = self._module.train(X, options)
        coef = np.zeros(self._n_features)
        found = np.asarray(model.get_decfun()[0])
        coef[: found.size] = found
        return coef if model.get_labels()[0] == 1 else -coef


# Of each name the solvers of which the fastest counts.
SOLVERS = {
    "adagrad": [partial(Adaptive, factor) for factor in FACTORS],
    "adagrad, averaged": [partial(Adaptive, factor, average="suffix") for factor in FACTORS],
    "ftrl": [partial(Adaptive, factor, optimizer="ftrl") for factor in FACTORS],
    **{
        f"LogisticRegression, {solver}": [partial(scikit_learn, solver)]
        for solver in ("lbfgs", "newton-cg", "saga", "liblinear")
    },
    **{
        name + (", 2 threads" if n_threads == 2 else ""): [partial(make, n_threads)]
        for name, make in (
            ("Snap ML", snapml),
            ("Cyanure", cyanure),
            ("liblinear, multicore", LiblinearMulticore),
        )
        for n_threads in (1, 2)
    },
}


def objective(coef, X, y, alpha):
    margin = X @ coef
    return float(
        np.mean(np.logaddexp(0, np.where(y == 1, -margin, margin))) + alpha / 2 * coef @ coef
    )


def seconds_of(solver, prepared, alpha, effort):
    begin = time.perf_counter()
    solver.solve(*prepared, alpha, effort)
    return time.perf_counter() - begin


def curve(solver, X, y, alpha, limit):
    """(effort, seconds, objective) with more and more effort, until a fit takes so long."""
    prepared = solver.prepare(X, y)
    # what is loaded at the first call is loaded now
    solver.solve(*prepared, alpha, solver.efforts[0])
    points = []
    for effort in solver.efforts:
        begin = time.perf_counter()
        coef = solver.solve(*prepared, alpha, effort)
        taken = time.perf_counter() - begin
        points.append((effort, taken, objective(coef, X, y, alpha)))
        if taken > limit:
            break
    return points


def of_set(workload, X, y, limit, rounds):
    """Of each solver the seconds to within DISTANCES of the optimum, and the curves."""
    alpha = ALPHAS[workload]
    tight = LogisticRegression(
        C=1 / (alpha * len(y)), solver="newton-cg", tol=1e-8, max_iter=200, fit_intercept=False
    )
    optimum = objective(tight.fit(X, y).coef_[0], X, y, alpha)
    entries, curves = {}, {}
    for name, makers in SOLVERS.items():
        entries[name] = {"name": name, "workload": workload, "alpha": alpha}
        try:
            solvers = [make() for make in makers]
            curves[name] = [(s, curve(s, X, y, alpha, limit)) for s in solvers]
        # whatever a broken installation raises
        except Exception as error:
            entries[name]["missing"] = f"{type(error).__name__}: {error}".partition("\n")[0]
            continue
        entries[name]["ours"] = solvers[0].ours
        least = min(point[2] for _, points in curves[name] for point in points)
        entries[name]["least"] = least
        optimum = min(optimum, least)
        print(f"# {workload}: {name} {least:.8g}", flush=True)
    measures = {}
    for name, of_solvers in curves.items():
        for distance in DISTANCES:
            reached = [
                (point[1], solver, point[0])
                for solver, points in of_solvers
                for point in [next((p for p in points if p[2] <= (1 + distance) * optimum), None)]
                if point is not None
            ]
            if reached:
                _, solver, effort = min(reached, key=lambda found: found[0])
                entries[name][f"effort_{distance:g}"] = effort
                measures[name, distance] = partial(
                    seconds_of, solver, solver.prepare(X, y), alpha, effort
                )
    taken = _timing.medians(_timing.in_turns(measures, rounds))
    for (name, distance), seconds in taken.items():
        entries[name][f"seconds_{distance:g}"] = float(seconds)
    for entry in entries.values():
        if "least" in entry:
            entry["distance"] = entry.pop("least") / optimum - 1
    for distance in DISTANCES:
        key = f"seconds_{distance:g}"
        others = [e[key] for e in entries.values() if key in e and not e["ours"]]
        for entry in entries.values():
            if key in entry and others:
                entry[f"ratio_{distance:g}"] = entry[key] / min(others)
    return list(entries.values())
