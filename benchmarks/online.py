"""Online learning: the latency of one row, and the speed of small batches.

The first table has the time of `partial_fit` and `predict_proba` on one row of 39 ones, for ever
more features, in microseconds: the median and the 99th percentile, beside
SGDClassifier(loss="log_loss"), all models taking turns row by row, in processor time. It should not
follow the number of features.

The second one has rows per second in calls of 1, 10, 100 and 1000 rows, from rows that are in
memory in the form each library takes: a CSR matrix; dictionaries (river, whose learn_many would
take data frames with a column for each feature, so that learn_one stands for it); text that Vowpal
Wabbit has parsed before the clock starts. All learn logistic regression. A library that is not
installed is said to be missing.
"""

import time
from itertools import cycle

import _data
import numpy as np
from sklearn.linear_model import SGDClassifier

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS

COLUMNS = 39


def sgd():
    return SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01)


def percentiles(seconds):
    return 1e6 * np.percentile(seconds, [50, 99])


# -- one row --


def latencies(models, X, y, seconds):
    """Of each model the times of learning and of predicting single rows, in turns.

    Each model goes on until so many seconds are up for it, at least 20 rows.
    """
    taken = {name: ([], []) for name in models}
    rows = [X[i] for i in range(X.shape[0])]
    labels = [y[i : i + 1] for i in range(X.shape[0])]
    for model in models.values():
        model.partial_fit(X[:500], y[:500], classes=[0, 1])
        # what the first call allocates is not part of it
        model.partial_fit(rows[0], labels[0])
        model.predict_proba(rows[0])
    for row, label in zip(rows[500:], labels[500:], strict=True):
        unfinished = False
        for name, model in models.items():
            learned, predicted = taken[name]
            if len(learned) >= 20 and sum(learned) + sum(predicted) > seconds:
                continue
            unfinished = True
            begin = time.process_time()
            model.predict_proba(row)
            between = time.process_time()
            model.partial_fit(row, label)
            learned.append(time.process_time() - between)
            predicted.append(between - begin)
        if not unfinished:
            break
    return taken


def latency_table(n_rows, all_bits, seconds):
    print("microseconds a row of 39 ones, median and 99th percentile")
    print(
        f"{'features':>9} {'model':16}{'partial_fit':>12}{'p99':>9}{'ratio':>9}"
        f"{'predict_proba':>15}{'p99':>9}{'ratio':>9}"
    )
    for bits in all_bits:
        X, y = _data.click_like(n_rows, 1 << bits, n_columns=COLUMNS)
        models = {name: AdaptiveSGDClassifier(optimizer=name) for name in OPTIMIZERS}
        taken = latencies({"SGDClassifier": sgd(), **models}, X, y, seconds)
        base = [percentiles(part)[0] for part in taken["SGDClassifier"]]
        for name, parts in taken.items():
            line = f"{f'2^{bits}':>9} {name:16}"
            for part, reference, width in zip(parts, base, (12, 15), strict=True):
                median, p99 = percentiles(part)
                line += f"{median:{width}.1f}{p99:9.1f}{median / reference:9.4f}"
            print(line, flush=True)


# -- batches --


class Sklearn:
    """An estimator with partial_fit."""

    def __init__(self, model):
        self.model = model

    def prepare(self, X, y, size):
        return [(X[i : i + size], y[i : i + size]) for i in range(0, X.shape[0], size)]

    def begin(self, X, y):
        self.model.partial_fit(X, y, classes=[0, 1])

    def learn(self, batch):
        self.model.partial_fit(*batch)


class River:
    """Logistic regression by AdaGrad, a row at a time."""

    def __init__(self):
        from river import linear_model, optim

        self.model = linear_model.LogisticRegression(optim.AdaGrad(0.05))

    def prepare(self, X, y, size):
        rows = [
            (
                dict(
                    zip(
                        X.indices[X.indptr[i] : X.indptr[i + 1]].tolist(),
                        X.data[X.indptr[i] : X.indptr[i + 1]].tolist(),
                        strict=True,
                    )
                ),
                bool(y[i]),
            )
            for i in range(X.shape[0])
        ]
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def begin(self, X, y):
        pass

    def learn(self, batch):
        for row, label in batch:
            self.model.learn_one(row, label)


class VowpalWabbit:
    """Its defaults, with the logistic loss."""

    def __init__(self):
        from vowpalwabbit import Workspace

        self.workspace = Workspace("--loss_function logistic -b 20 --quiet")

    def prepare(self, X, y, size):
        lines = [
            f"{2 * y[i] - 1} | "
            + " ".join(
                f"{j}:{value}"
                for j, value in zip(
                    X.indices[X.indptr[i] : X.indptr[i + 1]],
                    X.data[X.indptr[i] : X.indptr[i + 1]],
                    strict=True,
                )
            )
            for i in range(X.shape[0])
        ]
        parsed = [self.workspace.example(line) for line in lines]
        return [parsed[i : i + size] for i in range(0, len(parsed), size)]

    def begin(self, X, y):
        pass

    def learn(self, batch):
        for example in batch:
            self.workspace.learn(example)


def learners():
    """Makers of what takes batches, by name; None for what is missing."""
    made = {"SGDClassifier": lambda: Sklearn(sgd())}
    for name in OPTIMIZERS:
        made[name] = lambda name=name: Sklearn(AdaptiveSGDClassifier(optimizer=name))
    for name, peer in (("river", River), ("Vowpal Wabbit", VowpalWabbit)):
        try:
            peer()
        except ImportError:
            peer = None
        made[name] = peer
    return made


def speed(make, X, y, size, seconds):
    """Rows per second in calls of so many rows, over and over for so many seconds."""
    learner = make()
    learner.begin(X, y)
    batches = learner.prepare(X, y, size)
    learner.learn(batches[0])
    n_rows = 0
    begin = time.process_time()
    for batch in cycle(batches):
        learner.learn(batch)
        n_rows += size
        taken = time.process_time() - begin
        if taken > seconds:
            return n_rows / taken


def speed_table(n_rows, bits, sizes, seconds):
    print(f"\nrows per second of {COLUMNS} ones among 2^{bits} features, in calls of so many rows")
    print(f"{'':16}" + "".join(f"{size:>12}" for size in sizes))
    X, y = _data.click_like(n_rows, 1 << bits, n_columns=COLUMNS)
    for name, make in learners().items():
        if make is None:
            print(f"{name:16}{'missing':>12}")
            continue
        speeds = [speed(make, X, y, size, seconds) for size in sizes]
        print(f"{name:16}" + "".join(f"{one:12,.0f}" for one in speeds), flush=True)


def main():
    parser = _data.parser(__doc__)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="for each model and size of call (2)"
    )
    arguments = parser.parse_args()
    quick = arguments.quick
    seconds = 0.05 if quick else arguments.seconds
    n_rows = 2000 if quick else 6000
    latency_table(n_rows, (14, 18) if quick else (14, 18, 22, 24), seconds)
    speed_table(n_rows, 20, (1, 10, 100, 1000), seconds)


if __name__ == "__main__":
    main()
