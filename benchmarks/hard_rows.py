"""What the defaults make of rows and targets that are not well-behaved, beside peers.

Generated rows of several kinds: numbers that are far out, targets of several units learned
together, columns whose mean is far larger than their spread, rare classes with class_weight. Each
cell is the score of a default fit on test rows: accuracy, R2 of the worst target, or average
precision for rare classes. The peers are SGD's
defaults and, after StandardScaler(with_mean=False), SGD's and LogisticRegression's or Ridge's; !
marks what is more than .05 below the best of them. Run it with two versions of the package for a
before and after. It needs no data.
"""

import argparse
import warnings

import numpy as np
import scipy.sparse as sp
from defaults import combinations, head, row, short
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import average_precision_score, r2_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor

MOST_BELOW = 0.05
N_TEST = 2000
UNITS = (1e6, 1.0, 1e-3)


def numbers(generator, n_rows, n_columns=12):
    """Columns of one scale, and what is to be learned."""
    X = generator.normal(size=(n_rows + N_TEST, n_columns))
    return X, X @ generator.normal(size=n_columns)


def entry(generator):
    """One entry of 999,999 among the numbers."""
    X, raw = numbers(generator, 1000)
    y = raw + 0.3 * generator.normal(size=raw.size) > 0
    X[generator.integers(1000), generator.integers(12)] = 999_999.0
    return X, y


def amount(generator):
    """One row of a hundred has an amount of up to 50,000 beside one-hot columns."""
    n_rows = 4000 + N_TEST
    columns = [np.eye(size)[generator.integers(size, size=n_rows)] for size in (5, 20, 50, 7)]
    X = np.concatenate(columns, axis=1)
    raw = X @ generator.normal(size=X.shape[1])
    y = raw + 0.5 * generator.normal(size=n_rows) > 0
    rare = generator.random(n_rows) < 0.01
    amounts = np.where(rare, 50_000 * generator.random(n_rows), 0)
    return sp.csr_matrix(np.c_[X, amounts]), y


def beside(column):
    """Rows of four useful columns and one of these."""

    def make(generator):
        X, raw = numbers(generator, 3000, 4)
        y = raw + 0.1 * generator.normal(size=raw.size) > 0
        return np.c_[X, column(generator, raw.size)], y

    return make


def beside_numbers(column):
    """Rows as those of `beside`, with numbers as targets."""

    def make(generator):
        X, raw = numbers(generator, 3000, 4)
        y = raw + 0.1 * generator.normal(size=raw.size)
        return np.c_[X, column(generator, raw.size)], y

    return make


def years(generator, size):
    return 2000 + generator.integers(25, size=size)


def times(generator, size):
    return 1.7e9 + generator.integers(10**7, size=size)


def zip_codes(generator, size):
    return generator.integers(10_000, 100_000, size=size)


def far_targets(count):
    """So many targets of a million."""

    def make(generator):
        X, y = numbers(generator, 3000)
        y += 0.1 * generator.normal(size=y.size)
        y[generator.choice(3000, count, replace=False)] = 1e6
        return X, y

    return make


def several(generator):
    """Targets of three sizes."""
    X = generator.normal(size=(3000 + N_TEST, 12))
    y = X @ generator.normal(size=(12, 3)) + 0.1 * generator.normal(size=(X.shape[0], 3))
    return X, y * UNITS


def rare(generator):
    """Sparse rows of 3,000 features, one in eight of them positive."""
    n_rows = 8000 + N_TEST
    X = sp.random(n_rows, 3000, density=20 / 3000, random_state=generator, format="csr")
    raw = X @ generator.normal(size=3000)
    raw = raw / raw.std() + 0.3 * generator.normal(size=n_rows)
    return X, raw > np.quantile(raw, 0.88)


def quantile_peer(loss):
    """The loss of SGDRegressor that is the same for the median."""
    return {"loss": "epsilon_insensitive", "epsilon": 0.0} if loss == "quantile" else {"loss": loss}


# The rows, the task, and what the estimators are given.
KINDS = {
    "an entry of 999,999": (entry, "classes", {}),
    "amounts in few rows": (amount, "classes", {}),
    "a year": (beside(years), "classes", {}),
    "a Unix time": (beside(times), "classes", {}),
    "a zip code": (beside(zip_codes), "classes", {}),
    "a year, numbers": (beside_numbers(years), "numbers", {"loss": "squared_error"}),
    **{
        f"{count} of 1e6, {loss}": (far_targets(count), "numbers", {"loss": loss})
        for loss in ("squared_error", "huber", "epsilon_insensitive", "quantile")
        for count in (1, 20)
        if (loss, count) != ("squared_error", 20)
    },
    "three units": (several, "numbers", {"loss": "squared_error"}),
    "balanced, rare": (rare, "rare", {"class_weight": "balanced"}),
}


def peers_of(task, parameters, seed):
    """SGD, and SGD and the model that is fitted to convergence after StandardScaler."""
    if task == "numbers":
        sgd = SGDRegressor(**quantile_peer(parameters["loss"]), random_state=seed)
        converged = Ridge()
    else:
        sgd = SGDClassifier(loss="log_loss", random_state=seed, **parameters)
        converged = LogisticRegression(max_iter=300, **parameters)
    scaled = [
        make_pipeline(StandardScaler(with_mean=False), clone(one)) for one in (sgd, converged)
    ]
    return [sgd, *scaled]


def score_of(model, X, y, task):
    """After a fit on all rows but those of the test: of several targets that of the worst."""
    several_targets = y.ndim > 1 and not isinstance(model, AdaptiveSGDRegressor)
    model = MultiOutputRegressor(model) if several_targets else model
    try:
        model.fit(X[:-N_TEST], y[:-N_TEST])
    except ValueError:
        # SGDRegressor overflows
        return -np.inf
    X, y = X[-N_TEST:], y[-N_TEST:]
    if task == "classes":
        return model.score(X, y)
    if task == "rare":
        return average_precision_score(y, model.decision_function(X))
    return float(np.min(r2_score(y, model.predict(X), multioutput="raw_values")))


def cell(score, best=-np.inf):
    text = f"{score:.3f}" if score > -10 else "< -10"
    return text + ("!" if score < best - MOST_BELOW else "")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of numbers that are far out, and of convergence
    modes = list(combinations())
    widths = (32, 8)
    head("score", "SGD", "SGD, sc.", "conv, sc.", *(short(*mode) for mode in modes))
    failed = dict.fromkeys(modes, 0)
    for name in arguments.kinds:
        make, task, parameters = KINDS[name]
        estimator = AdaptiveSGDRegressor if task == "numbers" else AdaptiveSGDClassifier
        for seed in range(1 if arguments.quick else arguments.seeds):
            X, y = make(np.random.default_rng(seed))
            peers = [score_of(peer, X, y, task) for peer in peers_of(task, parameters, seed)]
            cells = [cell(score) for score in peers]
            for optimizer, update in modes:
                mode = {"optimizer": optimizer, "sparse_update": update, "random_state": seed}
                score = score_of(estimator(**mode, **parameters), X, y, task)
                failed[optimizer, update] += score < max(peers) - MOST_BELOW
                cells.append(cell(score, max(peers)))
            row(f"{name}, {seed}", *cells, widths=widths)
    row("more than .05 below", "", "", "", *failed.values(), widths=widths)


if __name__ == "__main__":
    main()
