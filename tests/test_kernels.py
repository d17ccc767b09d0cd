"""Passes are compiled for several sets of instructions: all of them learn the same."""

import os
import subprocess
import sys
from itertools import product
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
def learned(zipf_rows, tmp_path_factory):
    """The coefficients of each set of instructions, by the names of their parameters."""
    folder = tmp_path_factory.mktemp("sets")
    X, _, y = zipf_rows
    np.savez(folder / "rows.npz", X=X, y=y)
    script = Path(__file__).with_name("learned_by_set.py")
    result = {}
    for instruction_set in instruction_sets():
        path = folder / f"{instruction_set}.npz"
        ran = run(script, folder / "rows.npz", path, instruction_set=instruction_set)
        assert ran.returncode == 0, ran.stderr
        with np.load(path) as coefficients:
            result[instruction_set] = dict(coefficients)
    return result


@pytest.mark.parametrize("dtype", TOLERANCE)
@every_form
@every_optimizer
def test_all_sets_learn_the_same(learned, optimizer, sparse_update, dtype):
    for case, (first, *others) in product(CASES, [list(learned.values())]):
        name = f"{optimizer} {sparse_update} {dtype} {case}"
        for other in others:
            assert relative_difference(other[name], first[name]) < TOLERANCE[dtype]


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_the_environment_chooses(instruction_set):
    """All modules follow it, and vectors are as long as the set's."""
    program = """
from sk_adaptive.kernel import _kernel_float32, _kernel_float64
for module in (_kernel_float32, _kernel_float64):
    print(module.INSTRUCTION_SET, module.N_LANES)
"""
    ran = run("-P", "-c", program, instruction_set=instruction_set)
    size = {"baseline": 0, "avx2": 32, "avx512": 64}[instruction_set]
    expected = [f"{instruction_set} {max(1, size // itemsize)}" for itemsize in (4, 8)]
    assert ran.stdout.splitlines() == expected


def test_a_set_that_the_processor_lacks_is_refused():
    ran = run("-P", "-c", "import sk_adaptive", instruction_set="altivec")
    assert ran.returncode and "ImportError: SK_ADAPTIVE_KERNEL='altivec'" in ran.stderr
