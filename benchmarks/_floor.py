"""The least time of an epoch that the memory allows: compiles and calls floor.c."""

import ctypes
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("floor.c")
# The record of AdaGrad: weight, inverse metric, charge, and what fills it up to a power of two.
FIELDS = 4
CACHE_LINE = 64
# How many rows ahead records are fetched into the second and the first cache. 0: not at all.
DISTANCES = [(far, near) for near in (0, 1, 2, 4, 8) for far in (0, 8, 16, 32)]


def compiled():
    """The library that floor.c makes. Raises OSError where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise OSError("no C compiler: there is no `cc`")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", library, SOURCE]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"cc fails on floor.c: {done.stderr.strip()}")
        return ctypes.CDLL(library)


def _aligned_zeros(n_features, dtype):
    """Records that begin at a cache line."""
    n_bytes = n_features * FIELDS * dtype.itemsize
    buffer = np.zeros(n_bytes + CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n_bytes].view(dtype)


class Floor:
    """Passes over the rows of X in shuffled orders.

    Parameters
    ----------
    X : CSR matrix, float64 or float32, int32 indices
    y : array of shape (n_rows,)
    """

    def __init__(self, X, y):
        self._pass = getattr(compiled(), f"pass_{X.dtype.name}")
        self._pass.restype = ctypes.c_double
        self._X = X
        self._y = np.asarray(y, np.float64)
        self._records = _aligned_zeros(X.shape[1], X.dtype)
        self._generator = np.random.default_rng(0)
        self._order = np.arange(X.shape[0], dtype=np.int64)
        self.distances = (0, 0)

    def seconds(self):
        """The time of one pass: shuffling the order, as an epoch does, and the loop."""
        begin = time.process_time()
        self._generator.shuffle(self._order)
        X = self._X
        arrays = X.indptr, X.indices, X.data, self._y, self._records
        self._pass(
            ctypes.c_void_p(self._order.ctypes.data),
            ctypes.c_int64(X.shape[0]),
            *(ctypes.c_void_p(array.ctypes.data) for array in arrays),
            *map(ctypes.c_int64, self.distances),
        )
        return time.process_time() - begin

    def tune(self, rounds=2):
        """Keep the distances of the fastest pass; all of them, by the time of each."""
        taken = {}
        self.seconds()
        for _ in range(rounds):
            for distances in DISTANCES:
                self.distances = distances
                taken[distances] = min(self.seconds(), taken.get(distances, np.inf))
        self.distances = min(taken, key=taken.get)
        return taken
