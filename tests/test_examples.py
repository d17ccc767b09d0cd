"""Each example runs by itself, in a new process. Takes minutes: `python -m pytest -m full`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(
    path
    for path in (Path(__file__).parent.parent / "examples").glob("*.py")
    if not path.name.startswith("_")
)


def test_there_are_examples():
    assert len(SCRIPTS) > 10


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example(script, tmp_path):
    """Without an error or a warning, and from any folder."""
    if script.name.startswith("plot_"):
        pytest.importorskip("matplotlib")
    if script.name == "dask_partitions.py":
        pytest.importorskip("distributed")
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "Warning" not in run.stderr
    assert run.stdout
