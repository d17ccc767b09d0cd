"""scikit-learn's own tests on our estimators: what fails has a reason. Takes minutes."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.full
@pytest.mark.parametrize("name", ["swapped_suites.py", "swapped_search.py"])
def test_what_fails_has_a_reason(name):
    pytest.importorskip("sklearn", "1.9", reason="the reasons are of the tests of 1.9")
    script = Path(__file__).with_name(name)
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
