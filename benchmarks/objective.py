"""How close training comes to the optimum of the penalised objective.

The optimum is scikit-learn's, solved to a tight tolerance: LogisticRegression (binary with L2 and
with L1, and multinomial for the softmax), Ridge, ElasticNet. For each optimizer the table has the
relative distance of the training objective to it, in percent, at the best of a few initial
learning rates. The schedule is "adaptive": the rate is divided by 5 whenever the objective
improves no more. AdaGrad and FTRL should come within 0.1 %, RMSProp and Adam with a long memory
within 1 %. With their default memory they are biased for features that are rarer than it, so that
they may stay far away whatever the rate. "zeros" is the number of coefficients that are zero in
both solutions, and behind the slash of those that are in one only. A single row's gradient drives
coefficients off zero, so with an L1 penalty training ends with epochs of one step, over all rows,
at a small rate; not so with FTRL, whose zeros are of all gradients so far.

Of binary problems there are lines of other solvers, where they are installed: Cyanure, with L2 Snap
ML, and with L1 skglm and celer, each with a tight tolerance; the second call counts, as the first
one may compile. Seconds are by the clock.
"""

import time
import warnings
from dataclasses import dataclass

import _data
import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

LONG_MEMORY = 1 - 1e-6

# Optimizer, memory, settings, and the initial rates as factors of what "auto" gives.
RUNS = [
    ("adagrad", "", {}, (3, 10, 30)),
    ("ftrl", "", {}, (3, 10, 30)),
    ("rmsprop", "long", {"rho": LONG_MEMORY}, (3, 10, 30)),
    ("adam", "long", {"beta_2": LONG_MEMORY}, (0.3, 1, 3)),
    ("rmsprop", "default", {}, (0.03, 0.3, 3)),
    ("adam", "default", {}, (0.03, 0.3, 3)),
]
SCHEDULE = {
    "learning_rate": "adaptive",
    "tol": 1e-6,
    "n_iter_no_change": 5,
    # the optimum is that of all rows
    "early_stopping": False,
}


@dataclass
class Problem:
    """A set, and an objective on its training rows: the mean loss and a penalty.

    The penalty has the strength alpha on the mean loss, which is C = 1 / (alpha * n_rows) for
    LogisticRegression and alpha * n_rows for Ridge.
    """

    set_name: str
    peer: str
    alpha: float
    l1_ratio: float = 0.0

    @property
    def classifies(self):
        return self.peer == "LogisticRegression"

    def estimator(self, **settings):
        kind = AdaptiveSGDClassifier if self.classifies else AdaptiveSGDRegressor
        return kind(
            penalty="elasticnet" if self.l1_ratio else "l2",
            l1_ratio=self.l1_ratio,
            alpha=self.alpha,
            random_state=0,
            **settings,
        )

    def solve(self, X, y):
        if self.classifies:
            ways = {"solver": "newton-cg", "tol": 1e-7, "max_iter": 1000}
            if self.l1_ratio:
                ways = {"solver": "saga", "tol": 1e-7, "max_iter": 5000, "random_state": 0}
            peer = LogisticRegression(C=1 / (self.alpha * len(y)), l1_ratio=self.l1_ratio, **ways)
        elif self.peer == "Ridge":
            peer = Ridge(self.alpha * len(y), tol=1e-12, solver="sparse_cg", max_iter=100_000)
        else:
            peer = ElasticNet(self.alpha, l1_ratio=self.l1_ratio, tol=1e-10, max_iter=100_000)
        return peer.fit(X, y)

    def objective(self, model, X, y):
        coef = np.atleast_2d(model.coef_)
        margin = X @ coef.T + model.intercept_
        if self.classifies:
            if margin.shape[1] == 1:
                margin = np.hstack([np.zeros_like(margin), margin])
            own = np.searchsorted(model.classes_, y)
            loss = -log_softmax(margin, axis=1)[np.arange(len(y)), own].mean()
        else:
            loss = 0.5 * np.mean((y - margin[:, 0]) ** 2)
        norm = self.l1_ratio * np.abs(coef).sum() + (1 - self.l1_ratio) / 2 * np.sum(coef**2)
        return loss + self.alpha * norm


PROBLEMS = [
    Problem("adult", "LogisticRegression", alpha=1e-4),
    Problem("adult", "LogisticRegression", alpha=1e-3, l1_ratio=1.0),
    Problem("frappe86k", "LogisticRegression", alpha=1e-5),
    Problem("california", "Ridge", alpha=1e-4),
    Problem("california", "ElasticNet", alpha=1e-2, l1_ratio=0.5),
    Problem("trec6", "LogisticRegression", alpha=1e-5),
    Problem("banking77", "LogisticRegression", alpha=1e-5),
]


def others(problem, n_rows):
    """Names and makers of other solvers of a binary problem, with an L1 or an L2 penalty."""
    alpha, is_l1 = problem.alpha, problem.l1_ratio == 1

    def snapml():
        from snapml import LogisticRegression

        return LogisticRegression(
            regularizer=alpha * n_rows, fit_intercept=True, tol=1e-7, max_iter=1000, random_state=0
        )

    def cyanure():
        from cyanure.estimators import Classifier

        return Classifier(
            loss="logistic",
            penalty="l1" if is_l1 else "l2",
            lambda_1=alpha,
            tol=1e-7,
            fit_intercept=True,
            max_iter=1000,
            verbose=False,
            random_state=0,
            n_threads=1,
        )

    def skglm():
        from skglm import SparseLogisticRegression

        return SparseLogisticRegression(alpha, tol=1e-8, max_iter=1000)

    def celer():
        from celer import LogisticRegression

        return LogisticRegression(1 / (alpha * n_rows), tol=1e-10)

    yield "Cyanure", cyanure
    if is_l1:
        yield from (("skglm", skglm), ("celer, no intercept", celer))
    else:
        yield "Snap ML", snapml


def settle_zeros(model, X, y):
    """Go on with exact gradients, which leave a coefficient at zero whose optimum is there."""
    eta0 = 1e-3
    if model.optimizer == "rmsprop":
        # its first steps are not corrected for the empty memory
        eta0 *= np.sqrt(1 - model._model.hyperparameters.parameters["rho"])
    model.set_params(
        warm_start=True, batch_size=len(y), learning_rate="constant", eta0=eta0, tol=None
    )
    return model.set_params(max_iter=100).fit(X, y)


def best_run(problem, X, y, settings, factors, epochs):
    """The least objective, and of that run the initial rate, epochs, seconds and model."""
    runs = []
    auto = _data.automatic_rate(problem.estimator(**settings), X, y)
    for factor in factors:
        model = problem.estimator(max_iter=epochs, eta0=factor * auto, **SCHEDULE, **settings)
        begin = time.perf_counter()
        model.fit(X, y)
        done = model.n_iter_
        if problem.l1_ratio and not OPTIMIZERS[model.optimizer].weight_is_derived:
            settle_zeros(model, X, y)
        seconds = time.perf_counter() - begin
        runs.append((problem.objective(model, X, y), factor * auto, done, seconds, model))
    return min(runs, key=lambda run: run[0])


def zeros(model, peer):
    ours, theirs = np.ravel(model.coef_) == 0, np.ravel(peer.coef_) == 0
    return f"{np.sum(ours & theirs)}/{np.sum(ours ^ theirs)}"


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=300, help="at most so many epochs (300)")
    parser.add_argument("--sets", nargs="*", help="only problems on these sets")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    epochs = min(arguments.epochs, 20) if arguments.quick else arguments.epochs
    print(f"# at most {epochs} epochs of {SCHEDULE}, batch_size=1, float64; long: {LONG_MEMORY}")
    header = f"{'set':11} {'peer':22}{'alpha':>6} {'optimizer':8} {'memory':8}"
    print(header + f"{'distance %':>11}{'zeros':>14}{'eta0':>10}{'epochs':>7}{'seconds':>8}")
    # a problem of many classes takes long even on few rows
    for problem in PROBLEMS[:-1] if arguments.quick else PROBLEMS:
        if arguments.sets and problem.set_name not in arguments.sets:
            continue
        name, data = _data.load_split(problem.set_name, arguments)
        X, y = data.X_train, data.y_train
        begin = time.perf_counter()
        peer = problem.solve(X, y)
        seconds = time.perf_counter() - begin
        optimum = problem.objective(peer, X, y)
        peer_name = problem.peer + (" L1" if problem.l1_ratio == 1 else "")
        print(f"{name:11} {peer_name:22}{problem.alpha:6.0e} {'':17}{'optimum':>11}", end="")
        print(f"{np.sum(np.ravel(peer.coef_) == 0):14d}{'':17}{seconds:8.1f}", flush=True)
        is_binary = problem.classifies and len(np.unique(y)) == 2
        for other, make in others(problem, len(y)) if is_binary else ():
            try:
                model = make()
                for _ in range(2):
                    begin = time.perf_counter()
                    model.fit(X, y)
                    seconds = time.perf_counter() - begin
            # whatever a broken installation raises
            except Exception:
                print(f"{'':41}{other:17}{'-':>11}", flush=True)
                continue
            value = problem.objective(model, X, y)
            print(f"{'':41}{other:17}{100 * (value / optimum - 1):11.4f}", end="")
            print(f"{zeros(model, peer):>14}{'':17}{seconds:8.1f}", flush=True)
        for optimizer, memory, settings, factors in RUNS:
            value, eta0, done, seconds, model = best_run(
                problem, X, y, {"optimizer": optimizer, **settings}, factors, epochs
            )
            print(f"{'':41}{optimizer:8} {memory:8}{100 * (value / optimum - 1):11.4f}", end="")
            print(f"{zeros(model, peer):>14}{eta0:10.3g}{done:7d}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
