"""The time of an epoch, beside that of SGDClassifier(loss="log_loss") in the same process.

All models take turns, and the median of the rounds counts, in processor time. "epoch" is what one
more epoch takes, "fit" the whole call of five. The ratios are to SGDClassifier in the same
precision: below 1 is faster. The second table has the time per non-zero of a pass of partial_fit,
for the same number of non-zeros a row among ever more features, drawn uniformly or by Zipf's law:
it should grow only as caches miss more often, and must not follow the number of features.
"""

import _data
import _timing
import numpy as np
from sklearn.linear_model import SGDClassifier

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS


def adaptive(**settings):
    return AdaptiveSGDClassifier(tol=None, random_state=0, **settings)


def all_models():
    sgd = SGDClassifier(loss="log_loss", tol=None, random_state=0)
    models = {"SGDClassifier": sgd, "adagrad, no penalty": adaptive(penalty=None)}
    for optimizer in OPTIMIZERS:
        models[optimizer] = adaptive(optimizer=optimizer)
    for optimizer, spec in OPTIMIZERS.items():
        if spec.ages:
            models[f"{optimizer}, masked"] = adaptive(optimizer=optimizer, sparse_update="masked")
    return models


def compare(name, X, y, rounds):
    for dtype in (np.float64, np.float32):
        X = X.astype(dtype)
        taken = _timing.times(all_models(), X, y, rounds)
        base = taken["SGDClassifier"]
        for model, (epoch, fit) in taken.items():
            print(
                f"{name:18}{np.dtype(dtype).name:8} {model:20}{1000 * epoch:10.1f}"
                f"{1e9 * epoch / X.nnz:10.1f}{epoch / base[0]:8.2f}{1000 * fit:10.1f}"
                f"{fit / base[1]:8.2f}",
                flush=True,
            )


def growth(n_rows, rounds, all_bits):
    models = ["SGDClassifier", *(name for name, spec in OPTIMIZERS.items() if not spec.decoupled)]
    print(f"\n{'features':>10} {'drawn':10}{'nnz/row':>8}  ns per non-zero and pass:")
    print(" " * 29 + "".join(f"{name:>15}" for name in models))
    for uniform in (True, False):
        for bits in all_bits:
            X, y = _data.zipf_text(n_rows, 1 << bits, uniform=uniform)
            chosen = {name: model for name, model in all_models().items() if name in models}
            taken = _timing.pass_times(chosen, X, y, rounds)
            print(
                f"{f'2^{bits}':>10} {'uniform' if uniform else 'Zipf':10}{X.nnz / n_rows:8.1f}"
                + "".join(f"{1e9 * taken[name] / X.nnz:15.1f}" for name in models),
                flush=True,
            )


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all models (5)")
    arguments = parser.parse_args()
    quick = arguments.quick
    rounds = 2 if quick else arguments.rounds
    print(
        f"{'rows':18}{'precision':9}{'model':20}{'epoch ms':>10}{'ns/nnz':>10}{'ratio':>8}", end=""
    )
    print(f"{'fit ms':>10}{'ratio':>8}")
    name, clicks = _data.load_split("criteo80k", arguments)
    compare(name, clicks.X_train, clicks.y_train, rounds)
    n_rows = 5000 if quick else 200_000
    compare(f"text {n_rows // 1000}k x 2^18", *_data.zipf_text(n_rows, 1 << 18), rounds)
    growth(2000 if quick else 20_000, rounds, (16, 18, 20) if quick else (16, 20, 24))


if __name__ == "__main__":
    main()
