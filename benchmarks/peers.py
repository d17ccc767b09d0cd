"""Everything beside everything else: speed, memory and latency of this package and its peers.

The peers are scikit-learn's linear models and, where they are installed, Vowpal Wabbit, xLearn,
torch, river, lightning, Snap ML, Cyanure, liblinear and fastText; `_peers.py` and `_more_peers.py`
have what is run of each. One that can't be imported is in
the tables with the reason. All run in one process, in turns, and medians of the rounds count.
Where nothing else is said they have one thread and are timed in processor time. Parts:

epoch    time per non-zero of an epoch
target   seconds to a test log loss that the best peer reaches
optimum  seconds to the optimum of a penalised objective, beside its solvers
memory   peak memory of a fit over the data
growth   time against the number of features, and of rows
batches  mini-batches of 32 to 4096 rows, beside torch
floor    the least time that the memory allows, by a loop without arithmetic
latency  learning and predicting single rows

Results go to results.json; parts that are not run again stay in it. From it come results.md and the
plots. For figures to be read, let the machine do nothing else.
"""

import os

# before NumPy and torch are there to read it
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
import warnings
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import _data
import _parts
import _report
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import sk_adaptive

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "vowpalwabbit",
    "xlearn",
    "river",
    "sklearn-contrib-lightning",
    "snapml",
    "cyanure",
    "liblinear-multicore",
    "fasttext-community",
)


def processor():
    """The processor's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def commit():
    """The commit of the checkout, "-changed" if its code is not that of the commit; or None."""
    folder = Path(__file__).resolve().parent.parent
    git = partial(subprocess.run, cwd=folder, capture_output=True, text=True, check=True)
    code = ("sk_adaptive", "benchmarks", "meson.build")
    try:
        name = git(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
        changed = git(["git", "status", "--porcelain", "--", *code]).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{name}-changed" if changed else name


def machine():
    versions = {"sk_adaptive": sk_adaptive.__version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def parse_arguments():
    parser = _data.parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("peers"), help="folder of the results")
    parser.add_argument(
        "--parts",
        type=lambda text: text.split(","),
        default=list(_parts.PARTS),
        help="only these, with commas between",
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all models (5)")
    parser.add_argument(
        "--brief", action="store_true", help="all parts on all rows, with less time for each model"
    )
    parser.add_argument(
        "--from-json", action="store_true", help="run nothing: tables and plots from results.json"
    )
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(_parts.PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.quick:
        arguments.rounds = 1
    return arguments


def main():
    arguments = parse_arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FutureWarning)
    warnings.filterwarnings("ignore", "Sparse invariant checks")
    if arguments.memory_of:
        return _parts.measure_memory(arguments.memory_of, arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not arguments.from_json:
        with threadpool_limits(1):
            for name in arguments.parts:
                begin = time.perf_counter()
                print(f"# {name}", flush=True)
                entries = _parts.PARTS[name](arguments)
                results[name] = {
                    "machine": machine(),
                    "date": f"{datetime.now():%Y-%m-%d}",
                    "rounds": arguments.rounds,
                    "brief": arguments.brief,
                    "quick": arguments.quick,
                    "seconds": round(time.perf_counter() - begin, 1),
                    "entries": entries,
                }
                path.write_text(json.dumps(results, indent=1) + "\n")
    _report.write(results, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
