"""What an installation says of itself and holds."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from importlib.resources import files
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import sklearn

import sk_adaptive

CHECKOUT = Path(__file__).resolve().parent.parent


def test_a_bug_report_tells_versions_and_instructions():
    instruction_set = "baseline"  # which each processor has, and few use
    ran = subprocess.run(
        # -P: not the folder of the checkout, which is not compiled
        [sys.executable, "-P", "-m", "sk_adaptive"],
        env={**os.environ, "SK_ADAPTIVE_KERNEL": instruction_set},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    told = dict(line.strip().split(": ", 1) for line in ran.stdout.splitlines() if ": " in line)
    assert told["sk_adaptive"] == sk_adaptive.__version__
    assert told["instructions"].split(",")[0] == instruction_set
    assert told["sklearn"] == sklearn.__version__
    assert told["python"].split()[0] == sys.version.split()[0]


def test_a_checkout_says_that_it_is_not_compiled():
    """Where the compiled modules are missing, as in the folder of the checkout."""
    if list(CHECKOUT.glob("sk_adaptive/_cyutility*.so")):
        pytest.skip("this checkout is compiled in place")
    ran = subprocess.run(
        [sys.executable, "-c", "import sk_adaptive"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last == (
        "ImportError: sk_adaptive is not compiled: install it, and import it from elsewhere"
    )


def test_programs_that_are_frozen_find_all_compiled_modules():
    """Their tools follow import statements of Python, and cannot look into a compiled module."""
    finder = ModuleFinder(excludes=["numpy", "scipy", "sklearn", "joblib", "skl2onnx", "onnx"])
    package = Path(str(files(sk_adaptive)))
    finder.path = [str(package.parent), *sys.path]
    finder.import_hook("sk_adaptive")
    compiled = {
        ".".join([*path.parent.relative_to(package.parent).parts, path.name.partition(".")[0]])
        for suffix in EXTENSION_SUFFIXES
        for path in package.rglob(f"*{suffix}")
    }
    assert len(compiled) >= 7
    assert compiled <= set(finder.modules)


def test_one_version():
    """Of the metadata, which Meson makes, of the package, and of what tells people."""
    assert version("sk-adaptive") == sk_adaptive.__version__
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {sk_adaptive.__version__}\n" in citation
    date = re.search(r"^date-released: (\S+)$", citation, re.MULTILINE).group(1)
    changes = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {sk_adaptive.__version__} ({date})\n" in changes


def test_the_recipe_of_conda_has_the_version_and_the_requirements():
    recipe = CHECKOUT / ".ci/conda/recipe.yaml"
    if not recipe.exists():
        pytest.skip("the source distribution has no recipe")
    lines = [line.strip() for line in recipe.read_text(encoding="utf-8").splitlines()]
    assert f'version: "{sk_adaptive.__version__}"' in lines
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"]["dependencies"] + project["build-system"]["requires"]
    assert {f"- {need.lower().replace('>=', ' >=')}" for need in needed} <= set(lines)


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
