"""scikit-learn's own tests on our estimators: what fails has a reason. Takes minutes."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.full
def test_what_fails_has_a_reason():
    pytest.importorskip("sklearn", "1.9", reason="the reasons are of the tests of 1.9")
    script = Path(__file__).with_name("swapped_suites.py")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
