"""
Click-through prediction on a stream (a script)
===============================================

Hashed categories, learned once, in their order.

Each row is predicted before it is learned. The log loss of these predictions (the progressive
log loss) tells how a model does that is always up to date. AdaptiveSGDClassifier and SGDClassifier,
with its own schedule and with a constant rate, learn the same rows; "rate only" predicts the share
of clicks so far. Memory is that of one chunk of rows and of the models.

A chunk is predicted as a whole, then learned. So chunks are small at first, a hundred rows, and
grow with the rows that have been learned: a short file is not predicted by models that have seen
nothing.
"""

import argparse
import gzip
import math
import sys
import time
from itertools import chain, islice
from pathlib import Path

import numpy as np
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher

N_INTEGERS, N_CATEGORIES = 13, 26
COLUMNS = [f"I{i}" for i in range(1, N_INTEGERS + 1)] + [
    f"C{i}" for i in range(1, N_CATEGORIES + 1)
]

# Rows of the first chunk, and what share a later one is of the rows before it.
FIRST_CHUNK, SHARE = 100, 0.1
# Rows of the first line of the table. A later line has at most as many as all lines before it.
FIRST_LINE = 1000


class BadLine(ValueError):
    """A line that is not what its format says."""


def parse_criteo(line):
    """The label and the values of a line, None where one is missing."""
    label, *fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        raise BadLine(f"expected {len(COLUMNS) + 1} tab-separated fields, found {len(fields) + 1}")
    if label not in ("0", "1"):
        raise BadLine(f"the label is {label!r}, not 0 or 1")
    values = [text or None for text in fields]
    for i, text in enumerate(values[:N_INTEGERS]):
        try:
            values[i] = None if text is None else int(text)
        except ValueError:
            raise BadLine(f"column {COLUMNS[i]} is {text!r}, not an integer") from None
    return int(label), values


def parse_svmlight(line):
    """The label and the (index, value) pairs of a line. A label is a click if positive."""
    entries = []
    try:
        label, *pairs = line.split("#", 1)[0].split()
        clicked = float(label) > 0
        for pair in pairs:
            index, value = pair.split(":")
            if index != "qid":
                entries.append((index, float(value)))
    except ValueError:
        raise BadLine(
            "expected 'label index:value index:value ...', or the tab-separated fields of Criteo's"
        ) from None
    if not all(math.isfinite(value) for _, value in entries):
        raise BadLine("a value is not finite")
    return int(clicked), entries


def read_file(path):
    """The kind of rows, see `encoder`, and an iterator of (label, row), line by line."""
    opener = gzip.open if path.suffix == ".gz" else open
    # some programs begin a file with a byte-order mark, which is not a part of the first line
    file = opener(path, "rt", encoding="utf-8-sig", errors="replace")
    numbered = ((n, line.rstrip("\r\n")) for n, line in enumerate(file, 1))
    lines = ((n, line) for n, line in numbered if line.strip(" ") and not line.startswith("#"))
    first = next(lines, None)
    if first is None:
        raise SystemExit(f"{path} is empty: there is nothing to learn")
    is_criteo = "\t" in first[1]
    parse = parse_criteo if is_criteo else parse_svmlight

    def rows():
        with file:
            for number, line in chain([first], lines):
                try:
                    yield parse(line)
                except BadLine as error:
                    raise BadLine(f"{path}, line {number}: {error}") from None

    return "integers and categories" if is_criteo else "pairs", rows()


def encoder(kind, n_features):
    """What makes a sparse matrix of a list of rows.

    Parameters
    ----------
    kind : {"pairs", "categories", "integers and categories"}
        Rows are pairs of an index and a value, or have a value for each column. Integers become
        bins of their logarithm.
    n_features : int
    """
    if kind == "pairs":
        # the names of a row's features are its own, so there are no columns for ColumnHasher;
        # all signs positive: a one stays a one
        hasher = FeatureHasher(n_features, input_type="pair", alternate_sign=False)
        return hasher.transform
    integers = range(N_INTEGERS) if kind == "integers and categories" else ()
    numeric = {f"x{i}": "log_bins" for i in integers}
    hasher = ColumnHasher(n_features, numeric=numeric, missing="ignore")
    return lambda rows: hasher.transform(np.array(list(rows), dtype=object))


def generate_rows(n_rows, drift, seed):
    """Rows shaped like click data, from a logistic ground truth.

    Categories are drawn by Zipf's law from 3 to a million values a column, so that most are
    rare. With drift the weights turn by that many radians over the stream.
    """
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(3, 1e6, len(COLUMNS)).astype(int)
    scale = 1.2 / math.sqrt(len(COLUMNS))
    start, end = ([rng.normal(0, scale, size) for size in sizes] for _ in range(2))
    block = 1000
    for done in range(0, n_rows, block):
        n = min(block, n_rows - done)
        # the logarithm of a value is uniform: Zipf's law
        values = np.exp(rng.random((n, len(COLUMNS))) * np.log(sizes)).astype(int)
        angle = drift * done / n_rows
        margin = np.full(n, -1.5)
        for i in range(len(COLUMNS)):
            column = values[:, i]
            margin += math.cos(angle) * start[i][column] + math.sin(angle) * end[i][column]
        labels = rng.random(n) < 1 / (1 + np.exp(-margin))
        for label, row in zip(labels.tolist(), values.tolist(), strict=True):
            yield int(label), row


class Progressive:
    """A model, the losses of its predictions since the last report and in all, its time."""

    def __init__(self, model):
        self.model = model
        self.fitted = False
        self.recent, self.total, self.seconds = 0.0, 0.0, 0.0

    def take(self, X, y):
        """Predict, then learn."""
        begin = time.perf_counter()
        # who has seen nothing knows nothing
        probability = self.model.predict_proba(X)[:, 1] if self.fitted else np.full(len(y), 0.5)
        self.model.partial_fit(X, y, classes=[0, 1])
        self.seconds += time.perf_counter() - begin
        self.fitted = True
        self.add(y, probability)

    def add(self, y, probability):
        loss = log_loss(y, probability, labels=[0, 1], normalize=False)
        self.recent += loss
        self.total += loss


def chunks(rows, largest):
    """Lists of consecutive rows, see FIRST_CHUNK."""
    seen = 0
    while chunk := list(islice(rows, min(largest, max(FIRST_CHUNK, int(SHARE * seen))))):
        seen += len(chunk)
        yield chunk


def run(rows, encode, models, largest_chunk, every):
    """Learn the stream and print the table."""
    names = ["rate only", *models]
    tracks = [Progressive(model) for model in models.values()]
    rate_only = Progressive(None)
    columns = [rate_only, *tracks]
    print(f"{'':>12}{'progressive log loss of the rows since the line before':^64}{'rows/s':>12}")
    print(f"{'rows':>12}" + "".join(f"{name:>16}" for name in names) + f"{'in all':>12}")
    seen = reported = clicks = 0
    due = min(FIRST_LINE, every)
    begin = time.perf_counter()

    def report(label, losses):
        speed = seen / (time.perf_counter() - begin)
        print(f"{label:>12}" + "".join(f"{loss:16.4f}" for loss in losses) + f"{speed:12,.0f}")

    def report_recent():
        report(f"{seen:,}", [track.recent / (seen - reported) for track in columns])
        for track in columns:
            track.recent = 0.0

    for chunk in chunks(rows, largest_chunk):
        X = encode([row for _, row in chunk])
        y = np.array([label for label, _ in chunk])
        for track in tracks:
            track.take(X, y)
        rate_only.add(y, np.full(len(y), (clicks + 1) / (seen + 2)))
        seen += len(y)
        clicks += int(y.sum())
        if seen >= due:
            report_recent()
            reported, due = seen, seen + min(seen, every)
    if reported < seen:
        report_recent()
    report("all", [track.total / seen for track in columns])
    print(f"\n{seen:,} rows, {clicks / seen:.1%} clicks. Predicting and learning alone:")
    for name, track in zip(models, tracks, strict=True):
        print(f"  {name:16}{seen / track.seconds:12,.0f} rows/s")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path",
        nargs="?",
        type=Path,
        help="a tab-separated file as Criteo's (label, 13 integers, 26 categories, empty where "
        "missing) or an svmlight file, plain or .gz; without it, rows are generated",
    )
    parser.add_argument("--rows", type=int, help="stop after so many rows (generated: 200,000)")
    parser.add_argument("--bits", type=int, default=20, help="hash to 2^BITS features (20)")
    parser.add_argument(
        "--chunk", type=int, default=5000, help="rows a call of partial_fit at most (5000)"
    )
    parser.add_argument(
        "--every", type=int, default=20_000, help="rows a line of the table at most (20000)"
    )
    parser.add_argument(
        "--drift", type=float, default=0.0, help="radians the generated truth turns by (0)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the generated rows (0)")
    parser.add_argument("--optimizer", default="adagrad", help="the update rule (adagrad)")
    parser.add_argument("--sparse-update", default="exact", choices=["exact", "masked"])
    parser.add_argument(
        "--eta0", type=float, help="the learning rate (chosen from the first chunk)"
    )
    arguments = parser.parse_args()
    for name in ("rows", "chunk", "every"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            parser.error(f"--{name} must be at least 1")
    if not 1 <= arguments.bits <= 30:
        parser.error("--bits must be between 1 and 30")

    try:
        if arguments.path is None:
            kind = "categories"
            rows = generate_rows(arguments.rows or 200_000, arguments.drift, arguments.seed)
        else:
            kind, rows = read_file(arguments.path)
            rows = islice(rows, arguments.rows)
        models = {
            "adaptive SGD": AdaptiveSGDClassifier(
                optimizer=arguments.optimizer,
                sparse_update=arguments.sparse_update,
                eta0=arguments.eta0 or "auto",
            ),
            "SGD, defaults": SGDClassifier(loss="log_loss", random_state=0),
            "SGD, constant": SGDClassifier(
                loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0
            ),
        }
        run(rows, encoder(kind, 1 << arguments.bits), models, arguments.chunk, arguments.every)
    except (BadLine, OSError, EOFError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
