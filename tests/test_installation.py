"""What an installation says of itself and holds."""

import re
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import sklearn

import sk_adaptive
from sk_adaptive._base import PRECISIONS
from sk_adaptive._cpu import instruction_sets
from sk_adaptive._registry import kernel

CHECKOUT = Path(__file__).resolve().parent.parent


def test_versions_are_told():
    ran = subprocess.run(
        # -P: not the folder of the checkout, which is not compiled
        [sys.executable, "-P", "-m", "sk_adaptive"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    told = dict(line.strip().split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert told["sk_adaptive"] == sk_adaptive.__version__
    assert told["numpy"] == np.__version__
    assert told["scikit-learn"] == sklearn.__version__
    assert told["python"].split()[0] == sys.version.split()[0]
    for name in ("scipy", "compiler", "flags", "Cython", "machine"):
        assert told[name]


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_the_kernel_in_use_is_told(instruction_set, monkeypatch, capsys):
    monkeypatch.setenv("SK_ADAPTIVE_KERNEL", instruction_set)
    kernel.cache_clear()
    try:
        sk_adaptive.show_versions()
        used = kernel(np.float64).__name__
    finally:
        kernel.cache_clear()
    told = capsys.readouterr().out
    for dtype in PRECISIONS:
        assert f"kernel of {np.dtype(dtype)}: {used.rpartition('_')[2]}\n" in told


def test_one_version():
    """Of the metadata, which Meson makes, of the package, and of what tells people."""
    assert version("sk-adaptive") == sk_adaptive.__version__
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {sk_adaptive.__version__}\n" in citation
    date = re.search(r"^date-released: (\S+)$", citation, re.MULTILINE).group(1)
    changes = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {sk_adaptive.__version__} ({date})\n" in changes


def test_what_is_installed():
    """No sources that nobody runs."""
    found, folders = set(), [files(sk_adaptive)]
    for folder in folders:
        for entry in folder.iterdir():
            if not entry.is_dir():
                found.add(entry.name.rpartition(".")[2])
            elif entry.name != "__pycache__":
                folders.append(entry)
    assert found <= {"py", "so", "pyd"}


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a Python that has no choice"
)
def test_a_free_threaded_python_stays_so():
    """Importing the package, its kernels too, turns no global lock on."""
    program = """
import sys, sklearn
before = sys._is_gil_enabled()
import sk_adaptive
sk_adaptive.AdaptiveSGDRegressor().fit([[1.0], [2.0]], [1, 2])
print(before, sys._is_gil_enabled())
"""
    told = subprocess.run(
        [sys.executable, "-P", "-W", "error::RuntimeWarning", "-c", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert told[0] == told[1]
