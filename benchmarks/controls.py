"""Offsets, bounds, penalty factors and the losses of insurance, against solvers of the optimum.

A generated table of claims: 100,000 rows of 20 categorical columns with 250 levels each, so 5,000
one-hot columns, of Zipf frequencies; the exposure of each row; claims, which are a Poisson number;
their mean cost, which is gamma; and the cost a year, which is Tweedie. The optimum is that of glum,
by a tight tolerance. Non-negative least squares with L1 are those of scikit-learn's Lasso and
ElasticNet on `california`, standardised, if there is a folder of sets.

For each problem: the relative distance of the objective to the optimum in percent, CPU seconds, and
how many coefficients are at their bounds, to a thousandth. "auto" is `fit` with a number as
`alpha` and ``early_stopping=False``, as the optimum is that of all rows; "adaptive" goes on to
the optimum with ``learning_rate="adaptive"``, from three times the automatic rate and with 64
rows a step.
"""

import time
import warnings
from importlib.util import find_spec

import _data
import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso

from sk_adaptive import AdaptiveSGDRegressor

N_ROWS, N_COLUMNS, N_LEVELS = 100_000, 20, 250
ALPHA = 1e-4
POWER = 1.5
SCHEDULE = {"learning_rate": "adaptive", "tol": 1e-6, "max_iter": 1000}


def claims(n_rows, seed=0):
    """One-hot rows, exposure, and three targets of them: numbers, mean costs and costs a year."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, N_LEVELS + 1)
    levels = rng.choice(N_LEVELS, size=(n_rows, N_COLUMNS), p=shares / shares.sum())
    columns = levels + N_LEVELS * np.arange(N_COLUMNS)
    indptr = np.arange(0, n_rows * N_COLUMNS + 1, N_COLUMNS)
    shape = n_rows, N_COLUMNS * N_LEVELS
    X = sp.csr_matrix((np.ones(columns.size), columns.ravel(), indptr), shape)
    exposure = rng.uniform(0.1, 1, n_rows)
    effects = rng.normal(scale=0.3, size=(2, shape[1]))
    rate, cost = np.exp(X @ effects.T - [1.5, 0]).T
    number = rng.poisson(rate * exposure)
    total = cost * rng.gamma(2.0 * np.maximum(number, 1)) / 2.0 * (number > 0)
    mean = cost * rng.gamma(2.0, size=n_rows) / 2.0
    return X, exposure, {"poisson": number.astype(float), "gamma": mean, "tweedie": total}


def half_deviance(loss, y, raw):
    """Of each row, less a constant of y."""
    if loss == "squared_error":
        return (y - raw) ** 2 / 2
    if loss == "poisson":
        return np.exp(raw) - y * raw
    if loss == "gamma":
        return y * np.exp(-raw) + raw
    return np.exp((2 - POWER) * raw) / (2 - POWER) + y * np.exp((1 - POWER) * raw) / (POWER - 1)


def objective(problem, coef, intercept):
    raw = problem["X"] @ coef + intercept + problem.get("offset", 0)
    l1_ratio = problem.get("l1_ratio", 0.0)
    factor = problem.get("factor", np.ones(coef.size))
    penalty = l1_ratio * np.abs(coef) + (1 - l1_ratio) * coef**2 / 2
    loss = half_deviance(problem["loss"], problem["y"], raw).mean()
    return loss + problem["alpha"] * (factor * penalty).sum()


def timed(function):
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = function()
    return result, time.process_time() - begin


def ours(problem, **settings):
    model = AdaptiveSGDRegressor(
        problem["loss"], power=POWER, penalty="elasticnet", alpha=problem["alpha"],
        l1_ratio=problem.get("l1_ratio", 0.0), bounds=problem.get("bounds"),
        penalty_factor=problem.get("factor"), early_stopping=False, random_state=0, **settings,
    )  # fmt: skip
    model.fit(problem["X"], problem["y"], offset=problem.get("offset"))
    return model.coef_, model.intercept_[0]


def glum(problem):
    from glum import GeneralizedLinearRegressor, TweedieDistribution

    family = TweedieDistribution(POWER) if problem["loss"] == "tweedie" else problem["loss"]
    low, high = problem.get("bounds", (None, None))
    n_features, factor = problem["X"].shape[1], problem.get("factor")
    model = GeneralizedLinearRegressor(
        family=family, link="log", alpha=problem["alpha"], l1_ratio=problem.get("l1_ratio", 0.0),
        P1="identity" if factor is None else factor, P2="identity" if factor is None else factor,
        lower_bounds=None if low is None else np.full(n_features, low),
        upper_bounds=None if high is None else np.full(n_features, high),
        max_iter=1000, gradient_tol=1e-6,
    )  # fmt: skip
    X = sp.csc_matrix(problem["X"])
    model.fit(X, problem["y"], offset=problem.get("offset"))
    return model.coef_, model.intercept_


def sklearn(problem):
    kind = Lasso if problem["l1_ratio"] == 1 else ElasticNet
    named = {} if kind is Lasso else {"l1_ratio": problem["l1_ratio"]}
    model = kind(problem["alpha"], positive=True, max_iter=100_000, tol=1e-8, **named)
    model.fit(problem["X"], problem["y"])
    return model.coef_, model.intercept_


def claims_problems(n_rows):
    X, exposure, targets = claims(n_rows)
    factor = np.repeat(np.linspace(0.2, 5.0, N_COLUMNS), N_LEVELS)
    for loss, y in targets.items():
        base = {"X": X, "y": y, "loss": loss, "alpha": ALPHA}
        if loss != "gamma":
            base["offset"] = np.log(exposure)
        yield loss, base
        yield f"{loss}, bounds", {**base, "bounds": (-0.1, 0.2)}
        if loss == "poisson":
            yield f"{loss}, positive", {**base, "bounds": (0.0, np.inf)}
            yield f"{loss}, factors", {**base, "factor": factor}


def california_problems(arguments):
    _, split = _data.load_split("california", arguments)
    X, y = split.X_train.toarray(), split.y_train
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    base = {"X": X, "y": y, "loss": "squared_error", "bounds": (0.0, np.inf)}
    for alpha in (0.01, 0.1):
        yield f"Lasso(positive), alpha={alpha}", {**base, "alpha": alpha, "l1_ratio": 1.0}
        yield f"ElasticNet(positive), alpha={alpha}", {**base, "alpha": alpha, "l1_ratio": 0.5}


def report(name, problem, solve):
    results = {
        "peer": timed(lambda: solve(problem)),
        "auto": timed(lambda: ours(problem, tol=3e-4)),
        "adaptive": timed(lambda: ours(problem, eta0="3*auto", batch_size=64, **SCHEDULE)),
    }
    optimum = objective(problem, *results["peer"][0])
    for kind, (solution, seconds) in results.items():
        distance = 100 * (objective(problem, *solution) - optimum) / abs(optimum)
        line = f"{name:32} {kind:9} {distance:9.4f} %  {seconds:8.2f} s"
        for end in problem.get("bounds", ()):
            if np.isfinite(end):
                line += f"  {np.sum(np.abs(solution[0] - end) < 1e-3 * (abs(end) or 1))} at {end}"
        print(line, flush=True)


def main():
    arguments = _data.parser(__doc__).parse_args()
    n_rows = _data.QUICK_ROWS if arguments.quick else N_ROWS
    if find_spec("glum") is None:
        print("glum is not installed: no table of claims")
    else:
        for name, problem in claims_problems(n_rows):
            report(name, problem, glum)
    if arguments.data:
        for name, problem in california_problems(arguments):
            report(name, problem, sklearn)


if __name__ == "__main__":
    main()
