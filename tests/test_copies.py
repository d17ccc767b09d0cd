"""An optimizer is its class, an entry in the registry and a twin: nothing else knows its name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sk_adaptive.kernel.optimizers import OPTIMIZERS

TESTS = Path(__file__).resolve().parent


def pytest_of(name, *arguments, **environment):
    """What pytest says of the tests that have this name in their ids."""
    # of neither xdist, within whose workers it may run, nor a cache
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "-q", "-k", name, *arguments, "--ignore", __file__, TESTS],
        cwd=TESTS.parent,
        env={**os.environ, "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(name, marks=[] if name == "rmsprop" else pytest.mark.full)
        for name in OPTIMIZERS
    ],
)
def test_a_copy_passes_every_test_of_the_original(optimizer):
    """Registered under another name by an entry and a twin."""
    copy = f"copy_of_{optimizer}"
    listed = pytest_of(optimizer, "--collect-only", SK_ADAPTIVE_COPY=optimizer)
    tests = re.findall(r"^tests\S+::.*$", listed, re.MULTILINE)
    of_original = {test for test in tests if re.search(rf"\b{optimizer}\b", test)}
    # The name of the default is in no representation of an estimator, and so in fewer ids.
    assert of_original
    assert of_original <= {test.replace(copy, optimizer) for test in tests if copy in test}
    results = pytest_of(copy, SK_ADAPTIVE_COPY=optimizer)
    assert re.search(r"^\d+ passed", results.splitlines()[-1])
