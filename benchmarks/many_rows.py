"""What a default fit of very many rows costs, and what it achieves.

Generated clicks, texts and ratings of 20 non-zeros a row or so, of powers of the frequency as ids
and words have them. The cost of a default fit is its processor time over that of one epoch of all
rows, a third of the difference between fits of four epochs and of one. Test loss: log loss, for
ratings 1 - R2.
Run it with two versions of the package for a before and after. It needs no data.
"""

import argparse
import time
import warnings

import numpy as np
import scipy.sparse as sp
from defaults import head, row
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor

N_TEST = 200_000
# How many values the columns of ids have.
SIZES = (2, 3, 7, 12, 24, 31, 60, 120, 300, 500)
SIZES += (1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000, 100_000, 200_000, 400_000)
N_WORDS = 200_000


def ids(generator, n_rows):
    """One-hot rows, and a raw prediction of the standard deviation 1."""
    indices, first = np.empty((n_rows, len(SIZES)), np.int32), 0
    raw = np.zeros(n_rows)
    for k, size in enumerate(SIZES):
        values = generator.random(n_rows)
        # frequencies fall as 1 / rank
        values = size**values - 1 if size > 30 else size * values
        values = np.minimum(values, size - 1).astype(np.int32)
        indices[:, k] = first + values
        raw += generator.normal(size=size)[values]
        first += size
    indptr = np.arange(0, indices.size + 1, len(SIZES))
    X = sp.csr_matrix((np.ones(indices.size, np.float32), indices.ravel(), indptr), (n_rows, first))
    return X, raw / raw.std()


def clicks(generator, n_rows):
    X, raw = ids(generator, n_rows)
    return X, 1.2 * raw - 2 + generator.logistic(size=n_rows) > 0


def ratings(generator, n_rows):
    X, raw = ids(generator, n_rows)
    return X, raw + 0.7 * generator.normal(size=n_rows)


def texts(generator, n_rows):
    """Tf-idf rows of 8 to 32 words, half of which matter."""
    lengths = generator.integers(8, 33, size=n_rows)
    words = np.minimum(N_WORDS ** generator.random(lengths.sum()) - 1, N_WORDS - 1)
    indptr = np.r_[0, np.cumsum(lengths)]
    counts = np.ones(words.size, np.float32), words.astype(np.int32), indptr
    X = sp.csr_matrix(counts, (n_rows, N_WORDS))
    X.sum_duplicates()
    X = sp.csr_matrix(TfidfTransformer(sublinear_tf=True).fit_transform(X), dtype=np.float32)
    raw = X @ (generator.normal(size=N_WORDS) * (generator.random(N_WORDS) < 0.5))
    return X, 3 * raw / raw.std() + generator.logistic(size=n_rows) > 0


KINDS = {"clicks": clicks, "texts": texts, "ratings": ratings}


def timed_fit(model, X, y):
    begin = time.process_time()
    model.fit(X, y)
    return time.process_time() - begin


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--optimizers", nargs="+", default=["adagrad"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    n_rows = 20_000 if arguments.quick else arguments.rows
    head("rows", "seed", "optimizer", "loss", "epochs", "seconds", "worth")
    for name in arguments.kinds:
        estimator = AdaptiveSGDRegressor if name == "ratings" else AdaptiveSGDClassifier
        for seed in range(arguments.seeds):
            X, y = KINDS[name](np.random.default_rng(seed), n_rows + N_TEST)
            X, X_test, y, y_test = X[:n_rows], X[n_rows:], y[:n_rows], y[n_rows:]
            for optimizer in arguments.optimizers:
                mode = {"optimizer": optimizer, "random_state": seed}
                one, four = (
                    timed_fit(estimator(max_iter=n, tol=None, **mode), X, y) for n in (1, 4)
                )
                model = estimator(**mode)
                seconds = timed_fit(model, X, y)
                if name == "ratings":
                    loss = 1 - model.score(X_test, y_test)
                else:
                    loss = log_loss(y_test, model.predict_proba(X_test))
                worth = f"{3 * seconds / (four - one):.1f}"
                cells = f"{loss:.5f}", model.best_iteration_, f"{seconds:.1f}", worth
                row(name, seed, optimizer, *cells)


if __name__ == "__main__":
    main()
