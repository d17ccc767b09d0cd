"""
Learning from a file larger than memory (a script)
==================================================

Chunk by chunk, with memory flat.

Rows are read from a CSV file with a header, hashed (one feature for each column and value, so that
no dictionary of values has to be kept) and learned once, in their order. Memory is that of
the model and of one chunk, whatever the length of the file: the table shows the peak so far. The
progressive loss is that of each row just before it was learned. The model is
saved while it learns, to a new file that takes the place of the old one, so that there is a whole
one at any time; the same command with --model goes on from there.

Without a file, one is generated in a temporary folder.
"""

import argparse
import csv
import gzip
import os
import pickle
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher

try:
    import resource
except ImportError:  # Windows
    resource = None


def peak_memory():
    """Of this process so far, in megabytes."""
    if resource is None:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def generate(path, n_rows, seed=0):
    """A CSV file of clicks: categories by Zipf's law, of which some attract clicks."""
    rng = np.random.default_rng(seed)
    sizes = [5, 50, 500, 5000, 50_000, 500_000]
    weights = [rng.normal(0, 0.7, size) for size in sizes]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["click", *(f"C{i}" for i in range(len(sizes)))])
        for start in range(0, n_rows, 10_000):
            n = min(10_000, n_rows - start)
            values = np.exp(rng.random((n, len(sizes))) * np.log(sizes)).astype(int)
            margin = sum(weight[column] for weight, column in zip(weights, values.T, strict=True))
            clicks = rng.random(n) < 1 / (1 + np.exp(1.5 - margin))
            writer.writerows(
                [int(click), *row] for click, row in zip(clicks, values.tolist(), strict=True)
            )


def read_rows(path, target):
    """The values of one row after the other, None where one is missing, and its label."""
    opener = gzip.open if path.suffix == ".gz" else open
    # some programs begin a file with a byte-order mark, which is not a part of the first name
    with opener(path, "rt", newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        if target not in (reader.fieldnames or ()):
            sys.exit(f"error: {path} has no column {target!r}")
        for row in reader:
            where = f"error: {path}, line {reader.line_num}"
            if None in row:
                sys.exit(f"{where} has more fields than the header")
            label = row.pop(target)
            if label not in ("0", "1"):
                sys.exit(f"{where}: {target!r} is {label!r}, not 0 or 1")
            yield [value or None for value in row.values()], int(label)


def read_chunks(path, target, size):
    """The values of so many rows at a time, and their labels."""
    rows = read_rows(path, target)
    while chunk := list(islice(rows, size)):
        values, labels = zip(*chunk, strict=True)
        yield np.array(values, dtype=object), np.array(labels)


def save(path, model):
    """A reader, or a crash, finds the old file or the new one, and never a part of one."""
    new = path.with_suffix(path.suffix + ".new")
    with open(new, "wb") as file:
        pickle.dump(model, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def run(path, target, model, model_path, n_features, chunk, every):
    hasher = ColumnHasher(n_features, missing="ignore", dtype=np.float32)
    print(f"{path.stat().st_size / 1e6:.1f} MB of rows")
    print(f"{'rows':>10}{'progressive loss':>18}{'rows/s':>10}{'peak MB':>9}")
    seen = reported = 0
    begin = time.perf_counter()

    def report():
        save(model_path, model)
        speed = seen / (time.perf_counter() - begin)
        print(f"{seen:10,}{model.progressive_loss_:18.4f}{speed:10,.0f}{peak_memory():9.0f}")
        # the next line is of the rows to come
        model.reset_progressive_loss()

    for values, labels in read_chunks(path, target, chunk):
        model.partial_fit(hasher.transform(values), labels, classes=[0, 1])
        seen += len(labels)
        if seen - reported >= every:
            report()
            reported = seen
    if not seen:
        sys.exit(f"error: {path} has no rows")
    if reported < seen:
        report()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="?", type=Path, help="a CSV file with a header, plain or .gz")
    parser.add_argument("--target", default="click", help="the column of 0 and 1 (click)")
    parser.add_argument("--model", type=Path, help="to go on from, if it exists, and to save to")
    parser.add_argument("--rows", type=int, default=200_000, help="to generate (200,000)")
    parser.add_argument("--bits", type=int, default=18, help="hash to 2^BITS features (18)")
    parser.add_argument("--chunk", type=int, default=5000, help="rows in memory at a time (5000)")
    parser.add_argument("--every", type=int, default=25_000, help="rows a line (25,000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, model_path = arguments.path, arguments.model or Path(folder) / "model.pickle"
        if path is None:
            path = Path(folder) / "clicks.csv"
            generate(path, arguments.rows)
        elif not path.is_file():
            sys.exit(f"error: there is no file {path}")
        if model_path.exists():
            with open(model_path, "rb") as file:
                model = pickle.load(file)
            if model.n_features_in_ != 1 << arguments.bits:
                bits = model.n_features_in_.bit_length() - 1
                sys.exit(f"error: {model_path} has 2^{bits} features: --bits {bits}")
        else:
            model = AdaptiveSGDClassifier()
        run(
            path,
            arguments.target,
            model,
            model_path,
            1 << arguments.bits,
            arguments.chunk,
            arguments.every,
        )


if __name__ == "__main__":
    main()
