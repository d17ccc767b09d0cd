"""An optimizer is its class, an entry in the registry and a twin: nothing else knows its name.

As a script, `python tests/test_copies.py rmsprop`, it runs the tests of a copy of rmsprop; of some
files, if they are named behind.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sk_adaptive.kernel.optimizers import OPTIMIZERS

TESTS = Path(__file__).resolve().parent

# What would fail first where the name of an optimizer counted.
SOME = (
    "test_exactness.py",
    "test_online.py",
    "test_settings_by_output.py",
)


@pytest.mark.parametrize(
    ("optimizer", "files"),
    [
        pytest.param("rmsprop", SOME, id="rmsprop, some"),
        *(pytest.param(name, (), id=name, marks=pytest.mark.full) for name in OPTIMIZERS),
    ],
)
def test_a_copy_passes_every_test_of_the_original(optimizer, files):
    """Registered under another name by an entry and a twin."""
    ran = subprocess.run(
        [sys.executable, __file__, optimizer, *files],
        cwd=TESTS.parent,
        env={**os.environ, "PYTEST_ADDOPTS": "", "SK_ADAPTIVE_COPY": optimizer},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^\d+ passed", ran.stdout.splitlines()[-1])


class OfCopy:
    """Leaves pytest the tests of a copy, which has a test for each of the original."""

    def __init__(self, optimizer):
        self.optimizer, self.copy = optimizer, f"copy_of_{optimizer}"

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items):
        tests = [item.nodeid for item in items]
        of_original = {test for test in tests if re.search(rf"\b{self.optimizer}\b", test)}
        of_copy = {test.replace(self.copy, self.optimizer) for test in tests if self.copy in test}
        # The name of the default is in no representation of an estimator, and so in fewer ids.
        assert of_original and of_original <= of_copy, of_original - of_copy
        yield  # to the choice of marks
        items[:] = [item for item in items if self.copy in item.nodeid]


if __name__ == "__main__":
    # of neither xdist, within whose workers it may run, nor a cache
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--ignore", __file__]
    _, optimizer, *files = sys.argv
    paths = [str(TESTS / file) for file in files] or [str(TESTS)]
    sys.exit(pytest.main([*options, *paths], plugins=[OfCopy(optimizer)]))
