"""The measurements of peers.py. Each part takes the options and returns a list of flat dicts."""

import json
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import _data
import _optimum
import _peers
import _timing
import numpy as np
import scipy.sparse as sp
from _floor import Floor
from _memory import forget_peak, memory_of_process
from sklearn.metrics import log_loss

TUNE_ROWS = 100_000
TEST_ROWS = 20_000
TUNE_EPOCHS = tuple(2**k for k in range(9))
CURVE_EPOCHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
# A fit as long as this is timed once.
LONG_SECONDS = 3.0
TOLERANCE = 1.005
SETS = ("adult", "criteo80k", "mr", "clickbait")
MEMORY_ROWS = 200_000
SIZES = (32, 256, 1024, 4096)


class Effort(NamedTuple):
    """How much is run.

    Attributes
    ----------
    text_rows, text_bits, click_rows, click_bits : int
        Sizes of what is generated, of features as powers of two.
    epoch_seconds : float
        A peer that needs more for an epoch does it on fewer rows, and the time is scaled.
    tune_seconds, curve_seconds, small_curve_seconds : float
        In "target", for each of the values of the parameter that is tuned, and for the curve of
        the best, on generated and on real rows: no further fit begins after so many seconds.
    optimum_seconds : float
        In "optimum", no longer fit follows one that took so long; on generated rows, three times
        as long.
    grid : tuple
        The first of these values that is tried, and the end.
    memory_seconds : float
        In "memory", what a process may take.
    """

    text_rows: int = 200_000
    text_bits: int = 18
    click_rows: int = 1_000_000
    click_bits: int = 22
    epoch_seconds: float = 0.3
    tune_seconds: float = 0.5
    curve_seconds: float = 6.0
    small_curve_seconds: float = 2.0
    optimum_seconds: float = 3.0
    grid: tuple = (0, None)
    memory_seconds: float = 60.0


FULL = Effort()
# curve_seconds stays: a peer whose epoch takes longer would be left out
BRIEF = FULL._replace(
    epoch_seconds=0.15, tune_seconds=0.15, small_curve_seconds=1.0, optimum_seconds=1.0
)
QUICK = Effort(2000, 14, 2000, 16, 0.01, 0.01, 0.05, 0.05, 0.02, (2, 4), 20.0)


def effort(arguments):
    return QUICK if arguments.quick else BRIEF if arguments.brief else FULL


def say(entry):
    print(json.dumps(entry), flush=True)
    return entry


# -- rows --


@cache
def generated(name, size):
    """The rows of 'text' or 'clicks', by an `Effort`."""
    if name == "text":
        return _data.zipf_text(size.text_rows, 1 << size.text_bits)
    return _data.click_like(size.click_rows, 1 << size.click_bits, n_columns=39)


def no_folder(workload):
    return say({"workload": workload, "missing": "no --data folder was given"})


def as_precision(X, precision):
    """X with values of another type, sharing the rest."""
    if X.dtype == precision:
        return X
    return sp.csr_matrix((X.data.astype(precision), X.indices, X.indptr), X.shape)


def enough_rows(peer, X, y, seconds):
    """How many rows an epoch of so many seconds has, and about the seconds of one over all."""

    def second_epoch(n):
        first = peer.fit(X[:n], y[:n], 1)
        return first, first if peer.passes_alone else peer.fit(X[:n], y[:n], 2) - first

    most = min(X.shape[0], peer.most_rows)
    n = min(peer.least_rows, most)
    whole, taken = second_epoch(n)
    while n < most and taken < seconds / 4 and whole < 4 * seconds:
        n = min(4 * n, most)
        whole, taken = second_epoch(n)
    of_row = max(taken, 1e-9) / n
    return min(most, max(peer.least_rows, int(seconds / of_row))), of_row * X.shape[0]


def seconds_of_epoch(peer, X, y):
    fit = partial(peer.fit, X, y)
    return fit(1) if peer.passes_alone else _timing.epoch_and_fit(fit)[0]


def nanoseconds(factories, X, y, arguments, all_rows=()):
    """Of each peer what an epoch takes per non-zero, in turns.

    Parameters
    ----------
    factories : dict of name -> callable
    X, y : rows
    arguments : options
    all_rows : container
        Names of those that are fast enough for all rows.

    Returns
    -------
    list of dict
    """
    peers, missing = _peers.available(factories)
    entries = {name: {"name": name, "missing": reason} for name, reason in missing.items()}
    measures = {}
    of_precision = {p: as_precision(X, p) for p in ("float64", "float32")}
    for name, peer in peers.items():
        matrix = of_precision[peer.precision]
        entry = {"name": name, "precision": peer.precision, "unit": peer.unit, "note": peer.note}
        try:
            n = X.shape[0]
            if name not in all_rows:
                n = enough_rows(peer, matrix, y, effort(arguments).epoch_seconds)[0]
            part = matrix if n == X.shape[0] else matrix[:n]
            # what is made once is made now
            peer.fit(part, y[:n], 1)
        except Exception as error:
            entries[name] = entry | {"failed": _peers.reason(error)}
            continue
        entries[name] = entry | {"rows": n, "all_rows": X.shape[0], "base": peer.base}
        measures[name] = partial(_nanoseconds_of_epoch, peer, part, y[:n])
    for name, values in _timing.in_turns(measures, arguments.rounds).items():
        entries[name] |= {"ns": float(np.median(values)), "rounds": values}
    for entry in entries.values():
        base = entries.get(entry.get("base"), {}).get("ns")
        if base:
            entry["ratio"] = entry["ns"] / base
    return [entries[name] for name in factories]


def _nanoseconds_of_epoch(peer, X, y):
    return 1e9 * seconds_of_epoch(peer, X, y) / X.nnz


# -- epoch --


def epoch(arguments):
    """Shuffled epochs of everything; of some in float32, or in the order of the rows."""
    entries = []
    factories = _peers.PEERS | _peers.VARIANTS
    fast = {*_peers.OURS, _peers.BASE, *_peers.VARIANTS}
    for workload in ("text", "clicks", "classes"):
        if workload != "classes":
            X, y = generated(workload, effort(arguments))
        elif arguments.data is None:
            entries.append(no_folder(workload))
            continue
        else:
            X, y = _data.load_split("20news", arguments)[1][:2]
            if arguments.quick:
                X, y = X[:200], y[:200]
        for entry in nanoseconds(factories, X, y, arguments, fast):
            entries.append(say({"workload": workload} | entry))
    return entries


# -- target --


def loss_on(peer, X, y):
    """The log loss, infinite for a model that has diverged."""
    probabilities = peer.probabilities(X)
    if not np.all(np.isfinite(probabilities)):
        return np.inf
    return float(log_loss(y, np.clip(probabilities, 1e-15, 1 - 1e-15)))


def curve(peer, train, test, value, all_epochs, seconds):
    """(epochs, seconds, loss) of longer and longer fits, until they overfit or took so long."""
    points = []
    spent, least = 0.0, np.inf
    for epochs in all_epochs:
        try:
            taken = peer.fit(*train, epochs, value)
            loss = loss_on(peer, *test)
        except ValueError:
            # the step was too large
            break
        points.append((epochs, taken, loss))
        spent += taken
        least = min(least, loss)
        overfits = all(loss > 1.02 * least for _, _, loss in points[-2:])
        if spent > seconds or overfits:
            break
    return points


def tuned(peer, X, y, grid, seconds):
    """The value of the grid that leads to the least loss on the last tenth of these rows."""
    cut = X.shape[0] * 9 // 10
    train, test = (X[:cut], y[:cut]), (X[cut:], y[cut:])
    least = {}
    for value in grid:
        points = curve(peer, train, test, value, TUNE_EPOCHS, seconds)
        least[value] = min((loss for _, _, loss in points), default=np.inf)
    return min(least, key=least.get)


def target_of(workload, split, arguments):
    """Tunes all, finds the target from the peers, and times who reaches it."""
    entries = {}
    allowed = effort(arguments)
    limit = allowed.small_curve_seconds if workload in SETS else allowed.curve_seconds
    tests = {p: (as_precision(split.X_test, p), split.y_test) for p in ("float64", "float32")}
    trains = {p: (as_precision(split.X_train, p), split.y_train) for p in tests}
    few = {p: (X[-TUNE_ROWS:], y[-TUNE_ROWS:]) for p, (X, y) in trains.items()}
    for name, make in _peers.TUNED.items():
        # one at a time, as each keeps what it has made of the rows
        peers, missing = _peers.available({name: make})
        if missing:
            entries[name] = {"name": name, "missing": missing[name]}
            continue
        peer = peers[name]
        entry = entries[name] = {"name": name, "precision": peer.precision, "ours": peer.ours}
        begin = time.perf_counter()
        train, test = trains[peer.precision], tests[peer.precision]
        _, seconds = enough_rows(peer, *train, limit / 2)
        if seconds > limit:
            entry["failed"] = f"an epoch takes about {seconds:.2g} s"
            continue
        grid = peer.grid[slice(*allowed.grid)]
        entry["value"] = tuned(peer, *few[peer.precision], grid, allowed.tune_seconds)
        entry["at_end_of_grid"] = entry["value"] in (grid[0], grid[-1])
        entry["curve"] = curve(peer, train, test, entry["value"], CURVE_EPOCHS, limit)
        entry["least"] = min((loss for _, _, loss in entry["curve"]), default=None)
        took = time.perf_counter() - begin
        print(f"# {workload}: {name} {entry['value']:g} {entry['least']} {took:.0f} s", flush=True)
        del peer, peers
    of_peers = [e["least"] for e in entries.values() if not e.get("ours") and e.get("least")]
    target = TOLERANCE * min(of_peers)
    measures = {}
    for name, entry in entries.items():
        reached = next((p for p in entry.get("curve", ()) if p[2] <= target), None)
        if reached is None:
            continue
        entry["epochs"], entry["seconds"], _ = reached
        if entry["seconds"] < LONG_SECONDS:
            train = trains[entry["precision"]]
            peer = _peers.TUNED[name]()
            measures[name] = partial(peer.fit, *train, entry["epochs"], entry["value"])
    for name, seconds in _timing.medians(_timing.in_turns(measures, arguments.rounds)).items():
        entries[name]["seconds"] = float(seconds)
    fastest = min(
        (e["seconds"] for e in entries.values() if "seconds" in e and not e["ours"]), default=None
    )
    for entry in entries.values():
        entry["target"] = target
        if "seconds" in entry and fastest:
            entry["ratio"] = entry["seconds"] / fastest
    return [{"workload": workload} | entries[name] for name in _peers.TUNED]


def target(arguments):
    """Processor seconds of the shortest fit whose test log loss reaches the target."""
    entries = []
    for workload in ("text", "clicks", *SETS):
        if workload not in SETS:
            X, y = generated(workload, effort(arguments))
            cut = max(X.shape[0] * 9 // 10, X.shape[0] - TEST_ROWS)
            split = _data.Split(X[:cut], y[:cut], X[cut:], y[cut:])
        elif arguments.data is None:
            entries.append(no_folder(workload))
            continue
        else:
            split = _data.load_split(workload, arguments)[1]
        entries += [say(entry) for entry in target_of(workload, split, arguments)]
    return entries


# -- optimum --


def optimum(arguments):
    """Seconds to within 1 % and 0.1 % of the optimum of one penalised objective."""
    entries = []
    limit = effort(arguments).optimum_seconds
    for workload in ("text", *SETS):
        if workload == "text":
            X, y = generated(workload, effort(arguments))
        elif arguments.data is None:
            entries.append(no_folder(workload))
            continue
        else:
            X, y = _data.load_split(workload, arguments)[1][:2]
        longest = limit if workload in SETS else 3 * limit
        entries += map(say, _optimum.of_set(workload, X, y, longest, arguments.rounds))
    return entries


# -- memory --


def memory(arguments):
    """Peak memory of an epoch on 'clicks', in a process for each, over what was there before."""
    entries = []
    limit = effort(arguments).memory_seconds
    X, y = generated("clicks", effort(arguments))
    n = min(MEMORY_ROWS, X.shape[0])
    X, y = X[:n], y[:n]
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "y": y}
        for name, array in arrays.items():
            np.save(Path(folder) / f"{name}.npy", array)
        data_bytes = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        script = Path(__file__).with_name("peers.py")
        for name in list(_peers.PEERS)[:: 7 if arguments.quick else 1]:
            entry = {"workload": "clicks", "rows": n, "data_bytes": data_bytes, "name": name}
            command = [sys.executable, script, "--memory-of", name, "--out", folder]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
                last = (done.stderr if done.returncode else done.stdout).strip().splitlines()[-1]
                entry |= {"failed": last} if done.returncode else json.loads(last)
            except subprocess.TimeoutExpired:
                entry["failed"] = f"not within {limit:.0f} s"
            entries.append(say(entry))
    return entries


def measure_memory(name, folder):
    """Fit once and print what it took, in a process of its own."""
    peers, missing = _peers.available({name: _peers.PEERS[name]})
    if missing:
        print(json.dumps({"missing": missing[name]}))
        return
    peer = peers[name]
    data, indices, indptr, y = (
        np.load(folder / f"{part}.npy") for part in ("data", "indices", "indptr", "y")
    )
    X = as_precision(
        sp.csr_matrix((data, indices, indptr), (indptr.size - 1, 1 << FULL.click_bits)),
        peer.precision,
    )
    del data
    # what loading the code takes is no part of it
    tiny = sp.csr_matrix((np.ones(8), np.arange(8) % 4, np.arange(9)), (8, 4))
    peer.fit(as_precision(tiny, peer.precision), np.arange(8) % 2, 1)
    before = memory_of_process("VmRSS")
    if before is None:
        print(json.dumps({"missing": "the system does not tell the memory of a process"}))
        return
    forget_peak()
    n = min(X.shape[0], peer.most_rows)
    peer.fit(X[:n] if n < X.shape[0] else X, y[:n], 1)
    print(json.dumps({"bytes": memory_of_process("VmHWM") - before, "rows": n}))


# -- growth --


def growth(arguments):
    """A pass of partial_fit against the number of features, and of rows."""
    quick = arguments.quick
    entries = []
    all_bits = (14, 16) if quick else (14, 16, 18, 20, 22, 24, 26)
    n_rows = 2000 if quick else 20_000
    for drawn in ("uniformly", "by Zipf's law"):
        for bits in all_bits:
            X, y = _data.zipf_text(n_rows, 1 << bits, uniform=drawn == "uniformly")
            entries += _passes(X, y, arguments.rounds, {"against": "features", "drawn": drawn})
    powers = (3, 4) if quick else (4, 5, 6, 7)
    for power in powers:
        X, y = _data.click_like(10**power, 1 << 20, n_columns=10)
        entries += _passes(X, y, arguments.rounds, {"against": "rows"})
    return entries


def _passes(X, y, rounds, about):
    models = {name: _peers.PEERS[name]().estimator for name in ("adagrad", "adam", _peers.BASE)}
    about = about | {"rows": X.shape[0], "features": X.shape[1]}
    taken = _timing.pass_times(models, X, y, rounds)
    return [
        say(about | {"name": name, "ns": 1e9 * float(seconds) / X.nnz})
        for name, seconds in taken.items()
    ]


# -- batches --


def batches(arguments):
    """Epochs of mini-batches, beside torch at the same size."""
    entries = []
    for workload in ("text", "clicks"):
        X, y = generated(workload, effort(arguments))
        for size in SIZES:
            ours = {
                f"{name}, {precision}": partial(
                    _peers.Adaptive, precision, optimizer=name, batch_size=size
                )
                for name in ("adagrad", "adam")
                for precision in ("float64", "float32")
            }
            torch = {
                f"torch {name}, float32": partial(_peers.Torch, name, size)
                for name in ("Adagrad", "SparseAdam")
            }
            for entry in nanoseconds(ours | torch, X, y, arguments):
                entries.append(say({"workload": workload, "batch_size": size} | entry))
    return entries


# -- floor --


def floor(arguments):
    """The time of AdaGrad's epoch beside that of a loop that only moves the memory."""
    entries = []
    for workload in ("text", "clicks"):
        X64, y = generated(workload, effort(arguments))
        for precision in ("float64", "float32"):
            X = as_precision(X64, precision)
            try:
                least = Floor(X, y)
            except OSError as error:
                return [say({"name": "floor", "missing": str(error)})]
            least.tune()
            peer = _peers.Adaptive(optimizer="adagrad")
            measures = {"adagrad": partial(seconds_of_epoch, peer, X, y), "floor": least.seconds}
            taken = _timing.medians(_timing.in_turns(measures, arguments.rounds))
            entry = {name: 1e9 * float(seconds) / X.nnz for name, seconds in taken.items()}
            entries.append(
                say(
                    {"workload": workload, "precision": precision}
                    | entry
                    | {"ratio": entry["adagrad"] / entry["floor"], "rows_ahead": least.distances}
                )
            )
    return entries


# -- latency --


def latency(arguments):
    """Learning and predicting rows of 'clicks' one at a time, by a model that has seen others."""
    X, y = generated("clicks", effort(arguments))
    n = 200 if arguments.quick else 2000
    X, y = X[: 2 * n], y[: 2 * n]
    rows = [X[row] for row in range(2 * n)]
    entries = []
    for name, make in _peers.SINGLE_ROWS.items():
        entry = {"name": name}
        try:
            prepare, learn, predict = make(X.shape[1])
            prepared = [prepare(row) for row in rows]
            for part, calls in (("learn", range(n)), ("predict", range(n, 2 * n))):
                taken = []
                for row in calls:
                    begin = time.perf_counter_ns()
                    if part == "learn":
                        learn(prepared[row], int(y[row]))
                    else:
                        predict(prepared[row])
                    taken.append(time.perf_counter_ns() - begin)
                    if sum(taken) > 10e9:
                        break
                # the first calls load code and allocate
                median, late = np.quantile(taken[len(taken) // 10 :], (0.5, 0.99)) / 1000
                entry |= {f"{part}_us": float(median), f"{part}_p99_us": float(late)}
        except Exception as error:
            entry["missing"] = _peers.reason(error)
        entries.append(say(entry))
    return entries


PARTS = {
    "epoch": epoch,
    "target": target,
    "optimum": optimum,
    "memory": memory,
    "growth": growth,
    "batches": batches,
    "floor": floor,
    "latency": latency,
}
