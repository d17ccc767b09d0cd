"""Training many classes in one pass: time, time to an accuracy, and memory.

1. Time of an epoch (and of a fit of five) for AdaGrad, one-vs-rest and with the softmax, as a ratio
   to SGDClassifier(loss="log_loss") in the same process and precision: below 1 is faster. In
   turns, the median of the rounds counts, in processor time.
2. Time until a fit has SGDClassifier's best test accuracy: fits of ever more epochs, each the
   whole call. Both have their default learning rates.
3. Time of an epoch against the number of classes, over that of two classes: it should grow no
   faster than the number.
4. Peak of the memory that a fit allocates, over the size of the model's state, for many classes:
   as NumPy's allocations tell, and, where the system has it, as the peak of the process.
"""

import argparse
import subprocess
import sys
import tracemalloc

import _data
import _timing
import numpy as np
from _memory import forget_peak, memory_of_process
from sklearn.linear_model import SGDClassifier

from sk_adaptive import AdaptiveSGDClassifier

EPOCHS = (1, 2, 3, 4, 6, 8, 11, 15, 20)


def all_models():
    return {
        "SGDClassifier": SGDClassifier(loss="log_loss", tol=None, random_state=0),
        "adagrad, ovr": AdaptiveSGDClassifier(multi_class="ovr", tol=None, random_state=0),
        "adagrad, softmax": AdaptiveSGDClassifier(tol=None, random_state=0),
    }


def compare(name, data, rounds):
    n_classes = len(np.unique(data.y_train))
    for dtype in (np.float64, np.float32):
        X = data.X_train.astype(dtype)
        taken = _timing.times(all_models(), X, data.y_train, rounds)
        base = taken["SGDClassifier"]
        for model, (epoch, fit) in taken.items():
            print(
                f"{name:18}{n_classes:8d} {np.dtype(dtype).name:10}{model:18}{1000 * epoch:10.1f}"
                f"{epoch / base[0]:8.2f}{1000 * fit:10.1f}{fit / base[1]:8.2f}",
                flush=True,
            )


def time_to_accuracy(name, data, epochs):
    """Prints when each model is as good as SGDClassifier gets."""
    curves = {}
    for model_name, model in all_models().items():
        curve = curves[model_name] = []
        for n in epochs:
            seconds = _timing.seconds_of_fit(model, data.X_train, data.y_train, n)
            curve.append((model.score(data.X_test, data.y_test), seconds, n))
    goal = max(accuracy for accuracy, _, _ in curves["SGDClassifier"])
    base = None
    for model_name, curve in curves.items():
        reached = next((point for point in curve if point[0] >= goal), None)
        best = max(accuracy for accuracy, _, _ in curve)
        if reached is None:
            print(f"{name:18}{model_name:18}{goal:8.4f}{best:8.4f}   not in {epochs[-1]} epochs")
            continue
        base = base or reached[1]
        print(
            f"{name:18}{model_name:18}{goal:8.4f}{best:8.4f}{reached[2]:8d}{reached[1]:10.3f}"
            f"{reached[1] / base:8.2f}",
            flush=True,
        )


def growth(n_rows, rounds, class_counts):
    X, _ = _data.zipf_text(n_rows, 1 << 17)
    rng = np.random.default_rng(0)
    two = None
    for n_classes in class_counts:
        y = rng.integers(n_classes, size=n_rows)
        models = all_models()
        del models["SGDClassifier"]
        taken = {name: epoch for name, (epoch, _) in _timing.times(models, X, y, rounds).items()}
        two = two or taken
        for model, epoch in taken.items():
            print(
                f"{n_classes:8d} {model:18}{1000 * epoch:10.1f}{epoch / two[model]:10.2f}"
                f"{1e9 * epoch / X.nnz / n_classes:14.2f}",
                flush=True,
            )


def measure_memory(dtype, n_classes, n_features):
    """Fit once and print a line, in a process of its own."""
    # every feature occurs: the memory of one that does not is never touched
    n_rows = max(2000, n_features // 12)
    X, _ = _data.zipf_text(n_rows, n_features, uniform=True, dtype=np.dtype(dtype))
    y = np.arange(n_rows) % n_classes
    # what loading the code takes is no part of it
    AdaptiveSGDClassifier(max_iter=1, tol=None).fit(X[:100], y[:100] % 2)
    model = AdaptiveSGDClassifier(multi_class="ovr", max_iter=1, tol=None)
    before = memory_of_process("VmRSS")
    forget_peak()
    tracemalloc.start()
    model.fit(X, y)
    _, allocated = tracemalloc.get_traced_memory()
    size = model._model.records.nbytes
    line = f"{n_classes:8d} {n_features:9d} {dtype:10}{size / 1e6:10.1f}{allocated / size:11.3f}"
    if before is not None:
        line += f"{(memory_of_process('VmHWM') - before) / size:10.3f}"
    print(line)


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all models (3)")
    parser.add_argument(
        "--parts", nargs="*", type=int, default=[1, 2, 3, 4], help="only these of the above"
    )
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        dtype, *sizes = arguments.memory_of
        return measure_memory(dtype, *map(int, sizes))
    quick = arguments.quick
    rounds = 1 if quick else arguments.rounds

    sets = {}
    if {1, 2} & set(arguments.parts):
        for set_name in ("20news",) if quick else ("20news", "banking77"):
            name, data = _data.load_split(set_name, arguments)
            sets[name] = data
    if 1 in arguments.parts:
        print(f"{'rows':18}{'classes':>8} {'precision':10}{'model':18}", end="")
        print(f"{'epoch ms':>10}{'ratio':>8}{'fit ms':>10}{'ratio':>8}")
        for name, data in sets.items():
            compare(name, data, rounds)
        n_rows = 2000 if quick else 100_000
        X, y = _data.zipf_text(n_rows, 1 << 17, n_classes=20)
        compare(f"text {n_rows // 1000}k x 2^17", _data.Split(X, y, X, y), rounds)
    if 2 in arguments.parts:
        print(
            f"\n{'rows':18}{'model':18}{'goal':>8}{'best':>8}{'epochs':>8}{'seconds':>10}{'ratio':>8}"
        )
        for name, data in sets.items():
            time_to_accuracy(name, data, EPOCHS[:3] if quick else EPOCHS)
    if 3 in arguments.parts:
        print(f"\n{'classes':>8} {'model':18}{'epoch ms':>10}{'over two':>10}{'ns/nnz/class':>14}")
        growth(1000 if quick else 10_000, rounds, (2, 20) if quick else (2, 20, 77, 150))
    if 4 in arguments.parts:
        print(f"\n{'classes':>8} {'features':>9} {'precision':10}{'state MB':>10}", end="")
        print(f"{'allocated':>11}{'process':>10}   peak over the state", flush=True)
        for dtype in ("float32", "float64"):
            size = ["20", str(1 << 14)] if quick else ["150", str(1 << 18)]
            subprocess.run([sys.executable, __file__, "--memory-of", dtype, *size], check=True)


if __name__ == "__main__":
    main()
