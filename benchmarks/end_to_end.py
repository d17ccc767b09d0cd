"""From a table, a file or texts to a trained model and its predictions, beside the peers.

Each line of a table is a process of its own: seconds of the processor and of the clock from the
rows as they are given to a model that has learned them once, rows a second by the processor's time,
seconds to the predictions of new rows, the peak of memory over what the process had with the rows
at hand, and the loss on the new rows. A peer that is not installed has a "-". Parts:

clicks   generated clicks in a DataFrame of --rows rows, 26 columns of strings and --numbers of
         numbers: without crosses, and with ten
file     the same rows from a CSV file, in chunks; Vowpal Wabbit from its own text, without a cache
foods    the generated benchmark of Fwumious Wabbit, rebuilt from its description: 12 columns,
         one cross, "does this animal eat this food", from its text file
text     20news and sms_spam
steps    time per non-zero of each step, in one process: the encoders beside scikit-learn's
pairs    test loss of fit with and without interactions="all" on tables, beside Vowpal Wabbit's
         -q :: and datatable's Ftrl with the same pairs, after one pass

For figures to be read, let the machine do nothing else.
"""

import argparse
import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import combinations

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import _data
import numpy as np
import pandas as pd
import scipy.sparse as sp
from _memory import forget_peak, memory_of_process
from _table_peers import BITS, LETTERS, TEN, ftrl, names_and_strings, peers_of, wabbit
from scipy.special import expit
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor, ColumnHasher, TextHasher

# -- rows --


def clicks(n_rows, n_numbers, seed=0):
    """Columns of 3 to a million values by Zipf's law, counts, and clicks that depend on pairs."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(3, 1e6, 26).astype(int)
    values = np.exp(rng.random((n_rows, 26)) * np.log(sizes)).astype(np.int64)
    truth = np.random.default_rng(1)
    margin = np.full(n_rows, -1.5)
    for k, size in enumerate(sizes):
        margin += truth.normal(0, 1.2 / np.sqrt(26), size + 1)[values[:, k]]
    for left, right in TEN[:3]:
        pair = values[:, int(left[1:])] * 7919 + values[:, int(right[1:])]
        margin += truth.normal(0, 0.5, 1 << 16)[pair % (1 << 16)]
    numbers = np.exp(rng.normal(1, 1.5, (n_rows, n_numbers))).astype(np.int64)
    margin += np.log1p(numbers) @ truth.normal(0, 0.1, n_numbers)
    table = {}
    for k in range(26):
        # one Python string for each value, as a reader of files makes them
        codes, distinct = pd.factorize(values[:, k])
        text = np.array([f"{v * 2654435761 % 2**32:08x}" for v in distinct.tolist()], dtype=object)
        table[f"C{k}"] = pd.Series(text[codes], dtype=object)
    table = pd.DataFrame(table | {f"I{k}": numbers[:, k] for k in range(n_numbers)})
    return table, (rng.random(n_rows) < expit(margin)).astype(int)


def foods(n_rows, seed=0):
    """Animals, foods and ten columns of noise; herbivores eat plants, carnivores meat."""
    rng = np.random.default_rng(seed)
    diet, kind = rng.integers(2, size=(2, n_rows))

    def column(names, codes):
        return pd.Categorical.from_codes(codes.astype(np.int16), names)

    table = {
        "A": column(
            [f"{d}-{k}" for d in ("Herbivore", "Carnivore") for k in range(1000)],
            1000 * diet + rng.integers(1000, size=n_rows),
        ),
        "B": column(
            [f"{d}-{k}" for d in ("Plant", "Meat") for k in range(1000)],
            1000 * kind + rng.integers(1000, size=n_rows),
        ),
    }
    for name in "CDEFGHIJKL":
        names = [f"{name}{k}" for k in range(10_000)]
        table[name] = column(names, rng.integers(10_000, size=n_rows))
    return pd.DataFrame(table), (diet == kind).astype(int)


def write_wabbit(path, table, y):
    """Vowpal Wabbit's text: a namespace of one letter for each column."""
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, len(y), 100_000):
            part, columns = table[start : start + 100_000], []
            for letter, name in zip(LETTERS, part, strict=False):
                of_number = "n:" if part[name].dtype.kind in "if" else ""
                columns.append([f"|{letter} {of_number}{v}" for v in part[name].tolist()])
            labels = np.where(y[start : start + 100_000], "1", "-1")
            for label, *fields in zip(labels, *columns, strict=True):
                file.write(f"{label} {' '.join(fields)}\n")


def as_table(X):
    """The columns that a one-hot matrix was made of: as long as no row has two of neighbours."""
    X = sp.csc_matrix(X)
    columns, of = {}, {}
    used, name = np.zeros(X.shape[0], bool), None
    for feature in range(X.shape[1]):
        part = slice(X.indptr[feature], X.indptr[feature + 1])
        rows, data = X.indices[part], X.data[part]
        if not (data == 1).all():
            column = np.zeros(X.shape[0])
            column[rows] = data
            columns[f"number {feature}"], name = column, None
            continue
        if name is None or used[rows].any():
            name, used = f"field {feature}", np.zeros(X.shape[0], bool)
            of[name] = np.full(X.shape[0], None, dtype=object)
        of[name][rows] = str(feature)
        used[rows] = True
    fields = {name: pd.Series(values, dtype=object) for name, values in of.items()}
    return pd.DataFrame(fields | columns)


# -- measures --


def measure(part, name, folder):
    """A line of the table, in this process."""
    with open(f"{folder}/job.pickle", "rb") as file:
        job, new, y_new = pickle.load(file)
    call = peers_of(part)[name]
    kind = next((k for k in ("category", "str") if f", {k}" in name), "object")
    if part != "text":
        strings = {c: kind for c in job["table"] if job["table"][c].dtype.kind not in "if"}
        new = new.astype(strings)
        job["table"] = job["table"].astype(strings)
    if part == "file":
        del job["table"]
    n_rows = len(job["y"])
    forget_peak()
    before = memory_of_process("VmRSS") or 0
    clock, begin = time.perf_counter(), time.process_time()
    predict = call(job)
    clock, seconds = time.perf_counter() - clock, time.process_time() - begin
    peak = (memory_of_process("VmHWM") or 0) - before
    begin = time.process_time()
    probabilities = predict(new)
    return {
        "seconds": seconds / job.get("share", 1),
        "clock": clock / job.get("share", 1),
        "rows": n_rows / seconds * job.get("share", 1),
        "predict": time.process_time() - begin,
        "memory": peak,
        "loss": log_loss(y_new, np.clip(probabilities, 1e-12, 1)),
    }


def table_of(part, job, new, y_new, rounds, only):
    """Print the lines of a part; the best of the rounds counts."""
    with tempfile.TemporaryDirectory() as folder:
        job["folder"] = folder
        if part != "text":
            job["names"] = list(job["table"])
            job["wabbit"], job["wabbit_new"] = f"{folder}/rows.vw", f"{folder}/new.vw"
            write_wabbit(job["wabbit"], job["table"], job["y"])
            write_wabbit(job["wabbit_new"], new, y_new)
        if part == "file":
            job["csv"], job["csv_new"] = f"{folder}/rows.csv", f"{folder}/new.csv"
            job["table"].assign(y=job["y"]).to_csv(job["csv"], index=False)
            new.assign(y=y_new).to_csv(job["csv_new"], index=False)
        with open(f"{folder}/job.pickle", "wb") as file:
            pickle.dump((job, new, y_new), file)
        print(f"{'':42}{'s':>8}{'by clock':>10}{'rows/s':>12}{'predict s':>11}{'MB':>8}{'loss':>9}")
        for name in peers_of(part):
            if only and only not in name:
                continue
            best = None
            for _ in range(rounds):
                command = [sys.executable, __file__, "--measure", part, name, folder]
                run = subprocess.run(command, capture_output=True, text=True)
                if run.returncode:
                    reason = run.stderr.strip().splitlines()[-1][:70]
                    break
                line = json.loads(run.stdout.splitlines()[-1])
                best = line if best is None or line["seconds"] < best["seconds"] else best
            if best is None:
                print(f"{name:42}{'-':>8}  {reason}", flush=True)
                continue
            print(
                f"{name:42}{best['seconds']:8.3f}{best['clock']:10.3f}{best['rows']:12,.0f}"
                f"{best['predict']:11.3f}{best['memory'] / 1e6:8.0f}{best['loss']:9.4f}",
                flush=True,
            )


def least(call, rounds):
    """Seconds of the processor, the least of the rounds."""
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return min(taken)


def steps(arguments):
    """Time per non-zero of encoders alone."""
    table, _ = clicks(arguments.rows, 0)
    categories, n_entries = table.astype("category"), 26 * arguments.rows
    fresh = pd.DataFrame(
        {name: [(t + " ")[:-1] for t in table[name]] for name in table}, dtype=object
    )
    encoder = OneHotEncoder(handle_unknown="ignore").fit(categories)
    hasher = FeatureHasher(1 << BITS, input_type="string", alternate_sign=False)
    part = table[: max(1, arguments.rows // 10)]
    calls = {
        "OneHotEncoder, categorical": (lambda: encoder.transform(categories), 1),
        "FeatureHasher, strings made": (lambda: hasher.transform(names_and_strings(part)), 10),
    }
    tables = {"categorical": categories, "strings": fresh, "one string a value": table}
    try:
        tables["Arrow strings"] = importlib.import_module("pyarrow").table(table)
    except ImportError:
        print("Arrow strings: -")
    for name, each in tables.items():
        calls[f"ColumnHasher, {name}"] = partial(ColumnHasher(1 << BITS).transform, each), 1
    print(f"{arguments.rows:,} rows of 26 columns{'':23}{'ns a non-zero':>14}")
    seconds = {}
    for name, (call, share) in calls.items():
        seconds[name] = share * least(call, arguments.rounds)
        print(f"{name:48}{seconds[name] / n_entries * 1e9:14.1f}")
    for name, wanted, rows in (
        ("ten crosses", TEN, arguments.rows),
        ("325 crosses", "all", 20_000),
    ):
        some = categories[:rows]
        plain = least(partial(ColumnHasher(1 << BITS).transform, some), arguments.rounds)
        hash_all = partial(ColumnHasher(1 << BITS, interactions=wanted).transform, some)
        n_crosses = len(some) * (10 if wanted is TEN else 325)
        more = least(hash_all, arguments.rounds) - plain
        print(f"{f'a cross, of {name}':48}{more / n_crosses * 1e9:14.1f}")
    for name in ("sms_spam", "20news"):
        documents, _, _ = text_rows(name, arguments)
        for parameters in (
            {},
            {"ngram_range": (1, 2)},
            {"analyzer": "char_wb", "ngram_range": (3, 5)},
        ):
            some = documents[: 1000 if parameters.get("analyzer") else 5000]
            times, n_entries = [], TextHasher(**parameters).transform(some).nnz
            for kind in (HashingVectorizer, TextHasher):
                call = partial(kind(**parameters).transform, some)
                times.append(least(call, 1 if kind is HashingVectorizer else arguments.rounds))
            a, b = (t / n_entries * 1e9 for t in times)
            print(
                f"{name}, {parameters or 'words'!s:44} {a:6.0f} {b:6.0f}  {a / b:.1f} times as fast"
            )


def text_rows(name, arguments):
    if arguments.data is None:
        rng = np.random.default_rng(0)
        words = np.array([f"word{k}" for k in range(20_000)])
        y = rng.integers(2, size=3000)
        X = [" ".join(words[(rng.zipf(1.3, 60) + 3 * label) % len(words)]) for label in y]
        return X, y, np.arange(3000) >= 2000
    X, y, test = _data._loader(arguments.data)(name)
    return X, y, np.arange(len(y)) % 4 == 0 if test is None else test


def pairs(arguments):
    """Test losses with and without all pairs of columns."""
    titles = ("fit", "pairs", "one pass", "pairs", "VW", "pairs", "Ftrl", "pairs")
    print(f"{'':14}" + "".join(f"{title:>9}" for title in titles))
    for name in ("frappe86k", "avazu_small", "adult", "ml100k"):
        if arguments.data is None:
            table, y = clicks(4000, 0)
            table, test, name = table.iloc[:, :6], np.arange(4000) >= 3000, f"({name})"
        else:
            X, y, test = _data._loader(arguments.data)(name)
            table = as_table(X)
            test = np.random.default_rng(0).random(len(y)) < 0.2 if test is None else test
        of_numbers = len(np.unique(y)) > 2
        line = []
        for interactions in (None, "all"):
            hasher = ColumnHasher(1 << BITS, interactions=interactions, missing="ignore")
            X = hasher.transform(table)
            kind = AdaptiveSGDRegressor if of_numbers else AdaptiveSGDClassifier
            model = kind(random_state=0).fit(X[~test], y[~test])
            line.append(_data.loss_of(model, X[test], y[test]))
            if not of_numbers:
                model = kind(random_state=0).partial_fit(X[~test], y[~test], [0, 1])
                line.append(_data.loss_of(model, X[test], y[test]))
        if not of_numbers:
            line = [line[k] for k in (0, 2, 1, 3)] + of_peers(table, y, test)
        print(f"{name:14}" + "".join(f"{loss:9.4f}" for loss in line), flush=True)


def of_peers(table, y, test):
    """Losses of Vowpal Wabbit and of Ftrl after one pass, without and with all pairs."""
    found = []
    every = list(combinations(table, 2))
    with tempfile.TemporaryDirectory() as folder:
        for call in (wabbit, ftrl):
            for interactions in (None, every):
                job = {"table": table[~test], "y": y[~test], "names": list(table)}
                job |= {"wabbit": f"{folder}/rows.vw", "wabbit_new": f"{folder}/new.vw"}
                write_wabbit(job["wabbit"], table[~test].fillna("none"), y[~test])
                write_wabbit(job["wabbit_new"], table[test].fillna("none"), y[test])
                try:
                    probability = call(interactions, job)(table[test])
                    found.append(log_loss(y[test], np.clip(probability, 1e-12, 1 - 1e-12)))
                except ImportError:
                    found.append(np.nan)
    return found


def main():
    parser = _data.parser(__doc__)
    parser.add_argument(
        "--rows", type=int, default=200_000, help="generated rows to learn (200,000)"
    )
    parser.add_argument("--numbers", type=int, default=0, help="columns of numbers beside 26 (0)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (3)")
    parser.add_argument("--only", default="", help="only the lines with this in their name")
    parser.add_argument(
        "--parts",
        type=lambda text: text.split(","),
        default=["steps", "clicks", "file", "foods", "text", "pairs"],
        help="only these, with commas between",
    )
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        return print(json.dumps(measure(*arguments.measure)))
    if arguments.quick:
        arguments.rows, arguments.rounds = 2000, 1
    for part in arguments.parts:
        if part in ("steps", "pairs"):
            print(f"# {part}")
            {"steps": steps, "pairs": pairs}[part](arguments)
        elif part == "text":
            for name in ("sms_spam", "20news"):
                X, y, test = text_rows(name, arguments)
                # not in the order of the file, which may begin with one class
                rows = np.random.default_rng(0).permutation(len(y))
                learned, held_out = rows[~test[rows]], rows[test[rows]]
                print(f"# {name}, {len(learned):,} rows")
                job = {"table": [X[k] for k in learned], "y": y[learned]}
                new = [X[k] for k in held_out]
                table_of(part, job, new, y[held_out], arguments.rounds, arguments.only)
        else:
            n_new = max(1000, arguments.rows // 4)
            n = arguments.rows + n_new
            table, y = foods(n) if part == "foods" else clicks(n, arguments.numbers)
            print(f"# {part}, {arguments.rows:,} rows of {table.shape[1]} columns")
            job = {"table": table[:-n_new], "y": y[:-n_new]}
            table_of(part, job, table[-n_new:], y[-n_new:], arguments.rounds, arguments.only)
    return None


if __name__ == "__main__":
    main()
