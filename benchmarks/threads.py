"""What cores gain, by ``n_jobs``: wall time with one thread over that with more.

1. Several outputs: an epoch (a fit of eleven less one of three, over eight), a fit of eleven,
   and a fit with all defaults, of classes one-vs-rest and of labels; and ours over SGDClassifier's
   with as many threads, fit of eleven and epoch. In turns, the median of the rounds. The serial
   share of the fit of eleven follows, and what more cores would gain (Amdahl), as far as there are
   outputs.
2. The same epochs while another process computes without end: with one thread, and with as many
   as there are cores.
3. Predictions of all rows, and reading coefficients out.
4. A search over 15 settings, with five folds and with one.
5. One partial_fit of all rows with ``eta0="search"``, whose eight models threads share.
"""

import multiprocessing
import os
import time
from functools import partial

import _data
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier

N_CLASSES = 20
MORE_CORES = (4, 8, 16, 32)
# The first epoch touches new memory.
FEW, MANY = 3, 11


def seconds(call, *arguments):
    begin = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begin


def model_of(n_jobs, **parameters):
    return AdaptiveSGDClassifier(multi_class="ovr", random_state=0, n_jobs=n_jobs, **parameters)


def fixed(n_jobs, n_epochs):
    """A fit of so many epochs and nothing else."""
    return model_of(n_jobs, tol=None, early_stopping=False, max_iter=n_epochs)


def peer(y, n_jobs, n_epochs):
    model = SGDClassifier(loss="log_loss", tol=None, max_iter=n_epochs, random_state=0)
    if y.ndim == 2:
        return OneVsRestClassifier(model, n_jobs=n_jobs)
    return model.set_params(n_jobs=n_jobs)


def epoch_and_fit(make, X, y):
    """The seconds of an epoch after the first few, and of a whole fit: of ``make(n_epochs)``."""
    few, many = (seconds(make(n_epochs).fit, X, y) for n_epochs in (FEW, MANY))
    return (many - few) / (MANY - FEW), many


def sets_of(arguments):
    """X and y by name."""
    n_rows = 2000 if arguments.quick else 40_000
    X, y = _data.zipf_text(n_rows, 1 << 17, n_classes=N_CLASSES)
    sets = {"text, 20 classes": (X, y), "text, float32": (X.astype(np.float32), y)}
    labels = np.random.default_rng(0).random((n_rows, N_CLASSES)) < 0.1
    labels[np.arange(n_rows), y] = True
    sets["text, 20 labels"] = X, labels.astype(int)
    for name in ("20news", "banking77"):
        name, split = _data.load_split(name, arguments)
        # sorted once, and not by each fit
        split.X_train.sort_indices()
        sets[name] = split.X_train, split.y_train
    return sets


def outputs(sets, rounds, n_jobs):
    print(
        f"{'rows':20}{'epoch ms':>9}{'ns/nnz':>8}{'gain':>6}{f'fit of {MANY}':>10}{'gain':>6}"
        f"{'default':>9}{'gain':>6}{'/ SGD':>7}{'epoch':>7}{'serial':>8}  gain of {MORE_CORES}"
    )
    for name, (X, y) in sets.items():
        found = []
        for _ in range(rounds):
            times = []
            for n in (1, n_jobs):
                times += epoch_and_fit(partial(fixed, n), X, y)
                times.append(seconds(model_of(n).fit, X, y))
            found.append([*times, *epoch_and_fit(partial(peer, y, n_jobs), X, y)])
        found = np.median(found, axis=0)
        (epoch, fit, default), more, (sgd_epoch, sgd) = found[:3], found[3:6], found[6:]
        serial = min(1, max(0.0, (n_jobs * more[1] / fit - 1) / (n_jobs - 1)))
        gains = [1 / (serial + (1 - serial) / n) for n in MORE_CORES]
        print(
            f"{name:20}{1000 * epoch:9.1f}{1e9 * epoch / X.nnz:8.1f}{epoch / more[0]:6.2f}"
            f"{1000 * fit:10.1f}{fit / more[1]:6.2f}{1000 * default:9.1f}{default / more[2]:6.2f}"
            f"{more[1] / sgd:7.2f}{more[0] / sgd_epoch:7.2f}{serial:8.2f}  "
            + ", ".join(f"{gain:.1f}" for gain in gains),
            flush=True,
        )


def compute_for_ever():
    while True:
        sum(range(10_000))


def busy(sets, rounds, n_jobs):
    print(f"\n{'rows, a busy core':20}{'epoch ms':>9}{'more':>9}{'ratio':>7}")
    other = multiprocessing.Process(target=compute_for_ever, daemon=True)
    other.start()
    try:
        for name, (X, y) in sets.items():
            found = []
            for _ in range(rounds):
                times = []
                for n in (1, n_jobs):
                    epoch, _ = epoch_and_fit(partial(fixed, n), X, y)
                    times.append(epoch)
                found.append(times)
            one, more = np.median(found, axis=0)
            print(
                f"{name:20}{1000 * one:9.1f}{1000 * more:9.1f}{more / one:7.2f}",
                flush=True,
            )
    finally:
        other.terminate()


def predictions(sets, rounds, n_jobs):
    print(f"\n{'rows':20}{'predict ms':>11}{'gain':>6}{'coef_ ms':>10}{'gain':>6}")
    for name, (X, y) in sets.items():
        model = fixed(1, 1).fit(X, y)
        found = []
        for _ in range(rounds):
            times = []
            for n in (1, n_jobs):
                model.n_jobs = n
                times.append(seconds(model.predict, X))
                model.__dict__["_cache"].clear()
                times.append(seconds(partial(getattr, model, "coef_")))
            found.append(times)
        predict, coef, more_predict, more_coef = np.median(found, axis=0)
        print(
            f"{name:20}{1000 * predict:11.1f}{predict / more_predict:6.2f}{1000 * coef:10.1f}"
            f"{coef / more_coef:6.2f}",
            flush=True,
        )


def searches(arguments, rounds, n_jobs):
    print(f"\n{'search of 15':20}{'folds':>6}{'seconds':>9}{'gain':>6}")
    n_rows = 2000 if arguments.quick else 40_000
    X, y = _data.zipf_text(n_rows, 1 << 17)
    grid = {"eta0": [0.03, 0.1, 0.3], "alpha": np.geomspace(1e-8, 1e-4, 5)}
    model = AdaptiveSGDClassifier(max_iter=5, tol=None)
    for cv, n_folds in ((5, 5), (0.2, 1)):
        found = [
            [
                seconds(AdaptiveGridSearchCV(model, grid, cv=cv, refit=False, n_jobs=n).fit, X, y)
                for n in (1, n_jobs)
            ]
            for _ in range(rounds)
        ]
        one, more = np.median(found, axis=0)
        print(f"{'text':20}{n_folds:6d}{one:9.2f}{one / more:6.2f}", flush=True)


def search_of_stream(sets, rounds, n_jobs):
    print(f"\n{'search in partial_fit':24}{'ms':>8}{'gain':>6}")
    for name, (X, y) in sets.items():
        classes = None if y.ndim == 2 else np.unique(y)
        for multi_class in ("ovr",) if y.ndim == 2 else ("ovr", "multinomial"):
            found = []
            for _ in range(rounds):
                models = [model_of(n, eta0="search") for n in (1, n_jobs)]
                for model in models:
                    # the first call touches new memory
                    model.set_params(multi_class=multi_class).partial_fit(X[:99], y[:99], classes)
                found.append([seconds(model.partial_fit, X, y) for model in models])
            one, more = np.median(found, axis=0)
            print(f"{name + ', ' + multi_class:24}{1000 * one:8.1f}{one / more:6.2f}", flush=True)


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all models (3)")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count(), help="threads (all cores)")
    parser.add_argument(
        "--parts", nargs="*", type=int, default=[1, 2, 3, 4, 5], help="only these of the above"
    )
    arguments = parser.parse_args()
    rounds, n_jobs = 1 if arguments.quick else arguments.rounds, max(2, arguments.n_jobs)
    sets = sets_of(arguments)
    if 1 in arguments.parts:
        outputs(sets, rounds, n_jobs)
    if 2 in arguments.parts:
        busy(sets, rounds, n_jobs)
    if 3 in arguments.parts:
        predictions(sets, rounds, n_jobs)
    if 4 in arguments.parts:
        searches(arguments, rounds, n_jobs)
    if 5 in arguments.parts:
        search_of_stream(sets, rounds, n_jobs)


if __name__ == "__main__":
    main()
