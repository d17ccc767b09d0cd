"""Passes are compiled for several sets of instructions: all of them learn the same."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from comparison import relative_difference
from learned_by_set import CASES
from modes import every_form, every_optimizer

from sk_adaptive.kernel._cpu import instruction_sets

# Of each precision: its rounding, times what the steps of an epoch may make of it.
TOLERANCE = {"float64": 1e-12, "float32": 1e-3}


def run(*command, instruction_set):
    """A Python that uses the set of instructions."""
    environment = {**os.environ, "SK_ADAPTIVE_KERNEL": instruction_set}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def told(zipf_rows, tmp_path_factory):
    """By the set of instructions: coefficients by the names of parameters, and what is printed."""
    folder = tmp_path_factory.mktemp("sets")
    X, _, y = (rows[:1000] for rows in zipf_rows)
    np.savez(folder / "rows.npz", X=X, y=y)
    script = Path(__file__).with_name("learned_by_set.py")
    result = {}
    for instruction_set in instruction_sets():
        path = folder / f"{instruction_set}.npz"
        ran = run(script, folder / "rows.npz", path, instruction_set=instruction_set)
        assert ran.returncode == 0, ran.stderr
        with np.load(path) as coefficients:
            result[instruction_set] = dict(coefficients), ran.stdout.splitlines()
    return result


@pytest.mark.parametrize("dtype", TOLERANCE)
@every_form
@every_optimizer
def test_all_sets_learn_the_same(told, optimizer, sparse_update, dtype):
    first, *others = (coefficients for coefficients, _ in told.values())
    for case in CASES:
        name = f"{optimizer} {sparse_update} {dtype} {case}"
        for other in others:
            assert relative_difference(other[name], first[name]) < TOLERANCE[dtype]


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_the_environment_chooses(told, instruction_set):
    """All modules follow it, and vectors are as long as the set's."""
    size = {"baseline": 0, "avx2": 32, "avx512": 64}[instruction_set]
    expected = [f"{instruction_set} {max(1, size // itemsize)}" for itemsize in (4, 8)]
    assert told[instruction_set][1] == expected


def test_a_set_that_the_processor_lacks_is_refused():
    ran = run("-P", "-c", "import sk_adaptive", instruction_set="altivec")
    assert ran.returncode and "ImportError: SK_ADAPTIVE_KERNEL='altivec'" in ran.stderr
