"""Sampling the frequent class: processor seconds, test log loss and calibration by the share.

Generated clicks of 1 and 3 %, and the sets of clicks. Each line is of a share of the rows without a
click, and has seconds, log loss and calibration (the sum of the probabilities over the clicks) on
rows that were not learned: of a `fit` with nothing tuned, the mean of three seeds; and of four
epochs with the rate --eta0, without looking at other rows.
"""

import time

import _data
import numpy as np
import scipy.sparse as sp
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier

SHARES = (None, 0.5, 0.25, 0.1)


def generated(n_rows, rate, n_features=1 << 18, n_entries=39):
    """Rows of ones in columns of a Zipf distribution, and clicks of this rate."""
    rng = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, n_features + 1) ** 1.1)
    columns = np.searchsorted(shares / shares[-1], rng.random((n_rows, n_entries)))
    indptr = np.arange(0, columns.size + 1, n_entries)
    X = sp.csr_matrix((np.ones(columns.size), columns.ravel(), indptr), (n_rows, n_features))
    X.sum_duplicates()
    margin = X @ rng.normal(scale=0.35, size=n_features)
    low, high = -20.0, 5.0
    for _ in range(50):
        middle = (low + high) / 2
        is_high = (1 / (1 + np.exp(-margin - middle))).mean() > rate
        low, high = (low, middle) if is_high else (middle, high)
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-margin - middle))).astype(int)
    n_learned = n_rows * 4 // 5
    return _data.Split(X[:n_learned], y[:n_learned], X[n_learned:], y[n_learned:])


def measured(split, **parameters):
    """Seconds, test loss and calibration."""
    model = AdaptiveSGDClassifier(**parameters)
    begin = time.process_time()
    model.fit(split.X_train, split.y_train)
    seconds = time.process_time() - begin
    probability = model.predict_proba(split.X_test)[:, 1]
    return (
        seconds,
        log_loss(split.y_test, probability),
        probability.sum() / np.count_nonzero(split.y_test == model.classes_[1]),
    )


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--rows", type=int, default=600_000, help="generated rows (600,000)")
    parser.add_argument("--eta0", type=float, default=0.05, help="the rate of four epochs (0.05)")
    arguments = parser.parse_args()
    n_rows = 20_000 if arguments.quick else arguments.rows
    splits = [(f"clicks {rate:.0%}", generated(n_rows, rate)) for rate in (0.01, 0.03)]
    splits += [_data.load_split(name, arguments) for name in ("avazu_small", "criteo80k")]
    titles = ("fit s", "loss", "calib.", "4 ep. s", "loss", "calib.")
    print(f"{'':14}{'share':>6}" + "".join(f"{title:>9}" for title in titles))
    four = {"max_iter": 4, "tol": None, "early_stopping": False, "eta0": arguments.eta0}
    for name, split in splits:
        for share in SHARES:
            named = {"majority_sampling": share}
            fits = [measured(split, random_state=seed, **named) for seed in range(3)]
            fixed = measured(split, random_state=0, **named, **four)
            numbers = [*np.mean(fits, axis=0), *fixed]
            print(
                f"{name:14}{share or 'all':>6}" + "".join(f"{number:9.4f}" for number in numbers),
                flush=True,
            )


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    main()
