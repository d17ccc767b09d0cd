"""What the benchmarks share: the real sets if their folder is given, generators, options.

The folder of the real sets holds a ``load.py`` with ``load(name)``, which returns X (a list of str
or a CSR matrix), y and ``test`` (the mask of the given split, or None).
"""

import argparse
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split

FOLDER_VARIABLE = "SK_ADAPTIVE_DATA"
QUICK_ROWS = 2000
MOST_CHARACTERS_OF_PAIRS = 3_000_000


class Split(NamedTuple):
    """Rows to train on and rows to test on."""

    X_train: Any
    y_train: np.ndarray
    X_test: Any
    y_test: np.ndarray

    def astype(self, dtype):
        return self._replace(
            X_train=self.X_train.astype(dtype, copy=False),
            X_test=self.X_test.astype(dtype, copy=False),
        )


# -- options that all scripts have --


def parser(description):
    """An argument parser with --data and --quick."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--data",
        type=Path,
        default=os.environ.get(FOLDER_VARIABLE),
        metavar="FOLDER",
        help=f"folder of the real data sets, with load.py (or set {FOLDER_VARIABLE}); "
        "generated rows stand in for a set without it",
    )
    made.add_argument("--quick", action="store_true", help="few rows, few settings: does it run?")
    return made


# -- real sets --


@cache
def _loader(folder):
    path = Path(folder) / "load.py"
    if not path.is_file():
        raise SystemExit(f"the folder of data sets needs a load.py with load(name): no {path}")
    spec = importlib.util.spec_from_file_location("benchmark_load", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What stands in for a set that is not there: the kind of target, and of rows.
STAND_INS = {
    "adult": "clicks",
    "frappe86k": "clicks",
    "criteo80k": "clicks",
    "sms_spam": 2,
    "california": "regression",
    "mr": 2,
    "clickbait": 2,
    "trec6": 6,
    "banking77": 77,
    "20news": 20,
    "clinc150": 150,
}


def load_split(name, arguments, seed=0):
    """A set's `Split`, with a name that says whether it is real.

    Text becomes tf-idf with sublinear counts: of words and pairs of words, of words where there
    are more than 3 million characters. Test rows of classes that no training row has are left out.
    Without a given split, a fifth of the rows at random is for the test. With one, other seeds
    than 0 leave a random tenth of the training rows out. With --quick, there are a few rows of it.
    """
    if arguments.data is None:
        print(f"# {name}: generated rows instead; for the set, give --data or {FOLDER_VARIABLE}")
        return f"({name})", _stand_in(name, arguments.quick)
    X, y, test = _loader(arguments.data).load(name)
    rows = np.arange(len(y))
    if test is None:
        train, test = train_test_split(rows, test_size=0.2, random_state=seed)
    else:
        train, test = rows[~test], rows[test]
        if seed:
            kept = np.random.default_rng(seed).random(train.size) < 0.9
            train = train[kept]
    if arguments.quick:
        train, test = (_some(part) for part in (train, test))
    if isinstance(X, list):
        ngrams = (1, 1) if sum(map(len, X)) > MOST_CHARACTERS_OF_PAIRS else (1, 2)
        vectorizer = TfidfVectorizer(ngram_range=ngrams, sublinear_tf=True)
        X_train = vectorizer.fit_transform([X[row] for row in train])
        X_test = vectorizer.transform([X[row] for row in test])
    else:
        X_train, X_test = X[train], X[test]
    split = Split(X_train, y[train], X_test, y[test])
    return name, split if y.dtype.kind == "f" else _without_new_classes(split)


def load_texts(name, arguments):
    """The texts of a set, their classes, and the mask of the given split or None."""
    X, y, test = _loader(arguments.data).load(name)
    if arguments.quick:
        rows = _some(np.arange(len(y)))
        X, y = [X[row] for row in rows], y[rows]
    return X, y, test


def load_stream(name, arguments, seed=0, **vectorizer):
    """All rows of a set, in a random order, and its name as in `load_split`.

    Text becomes tf-idf of words and pairs of words with sublinear counts, which are those of the
    whole set, or what other parameters of TfidfVectorizer make of it.
    """
    if arguments.data is None:
        name, split = load_split(name, arguments)
        X, y = (
            sp.vstack([split.X_train, split.X_test], format="csr"),
            np.r_[split.y_train, split.y_test],
        )
    else:
        X, y, _ = _loader(arguments.data).load(name)
        if isinstance(X, list):
            vectorizer = {"ngram_range": (1, 2), "sublinear_tf": True, **vectorizer}
            X = TfidfVectorizer(**vectorizer).fit_transform(X)
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[:QUICK_ROWS] if arguments.quick else order
    return name, sp.csr_matrix(X)[order], np.asarray(y)[order]


def load_ordered(name, arguments):
    """Rows and labels of a stream in its own order; None without the folder of data sets."""
    if arguments.data is None:
        return None
    X, y, *_ = _loader(arguments.data).load_stream(name)
    part = slice(QUICK_ROWS if arguments.quick else None)
    return sp.csr_matrix(X, dtype=np.float64)[part], np.asarray(y)[part]


def _without_new_classes(split):
    known = np.isin(split.y_test, split.y_train)
    return split._replace(X_test=split.X_test[known], y_test=split.y_test[known])


def _some(rows):
    # not in the order of a file, which may begin with one class
    return np.random.default_rng(0).permutation(rows)[:QUICK_ROWS]


def _stand_in(name, quick):
    kind = STAND_INS[name]
    n_rows = 2 * QUICK_ROWS if quick else 40_000
    if kind == "clicks":
        X, y = click_like(n_rows, 1 << 16)
    elif kind == "regression":
        X, y = regression_like(n_rows)
    else:
        X, y = zipf_text(n_rows, 1 << 14, n_classes=kind, entries_per_row=20)
    return Split(
        *(part[rows] for rows in (slice(None, -1000), slice(-1000, None)) for part in (X, y))
    )


def automatic_rate(estimator, X, y):
    """What eta0="auto" would be, found on some of the rows, with none set aside to try others."""
    few = clone(estimator).set_params(eta0="auto", max_iter=1, tol=None, early_stopping=False)
    return few.fit(X[:QUICK_ROWS], y[:QUICK_ROWS]).eta0_


def loss_of(model, X, y):
    """The log loss of a classifier, and 1 - R2 of a regressor."""
    if hasattr(model, "predict_proba"):
        return log_loss(y, model.predict_proba(X), labels=model.classes_)
    return 1 - r2_score(y, model.predict(X))


# -- generators --


def zipf_text(
    n_rows, n_features, *, n_classes=2, entries_per_row=75, uniform=False, dtype=np.float64, seed=0
):
    """Rows like tf-idf text: about so many non-zeros each, of norm 1, words drawn by Zipf's law.

    With `uniform`, all words are equally frequent. The class is that of the largest of
    n_classes linear functions and noise.
    """
    rng = np.random.default_rng(seed)
    # frequent words are not neighbours in memory
    position = rng.permutation(n_features)
    weight = rng.standard_normal((n_features, n_classes), np.float32)
    # grows with the rank of the word as the logarithm of the inverse frequency does
    rarity = np.ones(n_features)
    if not uniform:
        rarity[position] += np.log1p(np.arange(n_features))
    blocks, labels = [], []
    for start in range(0, n_rows, 10_000):
        n = min(10_000, n_rows - start)
        if uniform:
            word = rng.integers(n_features, size=(n, entries_per_row))
        else:
            word = _zipf(rng, n, n_features, entries_per_row)
        row = np.repeat(np.arange(n), word.shape[1])
        block = sp.csr_matrix(
            (np.ones(word.size), (row, position[word.ravel()])), shape=(n, n_features)
        )
        block.sum_duplicates()
        block.data = (1.0 + np.log(block.data)) * rarity[block.indices]
        norm = np.sqrt(np.add.reduceat(block.data**2, block.indptr[:-1]))
        block.data /= np.repeat(norm, np.diff(block.indptr))
        margin = block @ weight + rng.gumbel(scale=0.3, size=(n, n_classes))
        labels.append(margin.argmax(axis=1))
        blocks.append(block.astype(dtype))
    return sp.vstack(blocks, format="csr"), np.concatenate(labels)


def _zipf(rng, n_rows, n_values, per_row):
    """Values of which the k-th is drawn about in proportion to 1 / (k + 10), for each row.

    So many that about per_row different ones are left in a row.
    """
    draws = int(per_row * 1.04)
    offset = 10.0
    u = rng.random((n_rows, draws))
    value = offset * (1.0 + n_values / offset) ** u - offset
    return np.minimum(value.astype(np.int64), n_values - 1)


def click_like(n_rows, n_features, *, n_columns=34, seed=0):
    """Rows like hashed clicks: a one for each of the columns, of 3 to a million categories.

    About 22 % are positive.
    """
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(3, 1e6, n_columns).astype(np.int64)
    value = np.exp(rng.random((n_rows, n_columns)) * np.log(sizes)).astype(np.int64)
    key = value * n_columns + np.arange(n_columns)
    # a multiplicative hash, of which the upper bits are good
    indices = ((key * 0x9E3779B97F4A7C1) % (1 << 61) >> 20) % n_features
    X = sp.csr_matrix(
        (np.ones(indices.size), indices.ravel(), np.arange(n_rows + 1) * n_columns),
        shape=(n_rows, n_features),
    )
    X.sum_duplicates()
    X.data[:] = 1.0
    weight = rng.normal(scale=1.2 / np.sqrt(n_columns), size=n_features)
    margin = X @ weight - 1.2
    return X, (rng.random(n_rows) < 1 / (1 + np.exp(-margin))).astype(np.int64)


def regression_like(n_rows, *, n_features=200, n_columns=8, seed=0):
    """Sparse rows of standard normal values; a linear target that half of the features serve."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, n_features, n_columns / n_features, "csr", rng=rng)
    X.data = rng.normal(size=X.data.size)
    weight = rng.normal(size=n_features) * (rng.random(n_features) < 0.5)
    return X, X @ weight + 1.0 + rng.normal(scale=0.5, size=n_rows)
