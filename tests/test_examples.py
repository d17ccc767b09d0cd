"""Each example runs by itself, in a new process: that takes minutes, `python -m pytest -m full`.

Those that take files are tried on short ones and on what other programs make of them.
"""

import codecs
import gzip
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))


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


# --- files ---


def clicks(n_rows):
    """Categories, of which some attract clicks, and the clicks."""
    rng = np.random.default_rng(0)
    values = rng.integers(8, size=(n_rows, 3))
    return values, (rng.random(n_rows) < np.where(values[:, 0] < 3, 0.9, 0.1)).astype(int)


def as_svmlight(values, clicked):
    rows = zip(clicked, values, strict=True)
    return "".join(
        f"{label} " + " ".join(f"{8 * i + v}:1" for i, v in enumerate(row)) + "\n"
        for label, row in rows
    )


def as_criteo(values, clicked):
    """13 integers, of which there is none, and 26 categories, of which there are three."""
    rows = zip(clicked, values, strict=True)
    return "".join(
        "\t".join([str(label), *[""] * 13, *map(str, row), *[""] * 23]) + "\n"
        for label, row in rows
    )


def as_csv(values, clicked):
    rows = zip(clicked, values, strict=True)
    return "click,a,b,c\n" + "".join(
        ",".join(map(str, [label, *row])) + "\n" for label, row in rows
    )


# The script, how many losses a line of its table has, and the format.
FORMATS = {
    "svmlight": ("click_through.py", 4, as_svmlight),
    "Criteo": ("click_through.py", 4, as_criteo),
    "CSV": ("out_of_core.py", 1, as_csv),
}
every_format = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture
def run_on(monkeypatch, capsys):
    """A function that runs a script on a file; what it printed, and what it ended with."""

    def run(script, path, *options):
        spec = spec_from_file_location(script.removesuffix(".py"), EXAMPLES / script)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, "argv", [script, str(path), "--bits", "12", *options])
        error = None
        try:
            module.main()
        except SystemExit as ended:
            error = ended.code
        return capsys.readouterr().out, error

    return run


def losses(run, n_columns):
    """The rows and the losses of each line of the table."""
    printed, error = run
    assert error is None
    lines = [line.split() for line in printed.splitlines()]
    return [line[: n_columns + 1] for line in lines if len(line) > n_columns and "0." in line[1]]


@every_format
def test_a_byte_order_mark_is_no_part_of_the_first_line(run_on, name, tmp_path):
    script, n_columns, form = FORMATS[name]
    text = form(*clicks(300)).encode()
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "marked").write_bytes(codecs.BOM_UTF8 + text)
    (tmp_path / "marked.gz").write_bytes(gzip.compress(codecs.BOM_UTF8 + text))
    plain, *others = (
        losses(run_on(script, tmp_path / name), n_columns)
        for name in ("plain", "marked", "marked.gz")
    )
    assert plain
    for other in others:
        assert other == plain


@every_format
def test_a_short_file_has_lines_in_the_table(run_on, name, tmp_path):
    script, n_columns, form = FORMATS[name]
    (tmp_path / "rows").write_text(form(*clicks(1700)))
    table = losses(run_on(script, tmp_path / "rows"), n_columns)
    assert "1,700" in [line[0] for line in table]


@pytest.mark.parametrize("name", ["svmlight", "Criteo"])
def test_a_short_file_is_learned_while_it_is_predicted(run_on, name, tmp_path):
    script, n_columns, form = FORMATS[name]
    (tmp_path / "rows").write_text(form(*clicks(3000)))
    table = losses(run_on(script, tmp_path / "rows"), n_columns)
    _, rate_only, adaptive, *_ = map(float, [0, *table[-1][1:]])
    # the clicks can be told to 0.325
    assert adaptive < 0.4 < 0.6 < rate_only
    _, _, of_small_chunks, *_ = losses(
        run_on(script, tmp_path / "rows", "--chunk", "100"), n_columns
    )[-1]
    assert abs(adaptive - float(of_small_chunks)) < 0.02


@pytest.mark.parametrize(
    ("script", "text", "message"),
    [
        ("click_through.py", "", "is empty"),
        ("click_through.py", "1 3:1\n # none\n", "line 2: expected 'label index:value"),
        ("click_through.py", "label,I1\n1,3\n", "line 1: expected 'label index:value"),
        ("click_through.py", "1\t3\n", "line 1: expected 40 tab-separated fields, found 2"),
        ("out_of_core.py", "", "has no column 'click'"),
        ("out_of_core.py", "click,a\n", "has no rows"),
        ("out_of_core.py", "click,a\n1,2\nyes,2\n", "line 3: 'click' is 'yes', not 0 or 1"),
        ("out_of_core.py", "a,click\n1,1\n2\n", "line 3: 'click' is None, not 0 or 1"),
        ("out_of_core.py", "click,a\n1,2,3\n", "line 2 has more fields than the header"),
    ],
)
def test_a_file_that_is_not_of_the_format_is_said_so(run_on, script, text, message, tmp_path):
    (tmp_path / "rows").write_text(text)
    _, error = run_on(script, tmp_path / "rows")
    assert message in error


def test_a_model_of_another_number_of_features_is_said_so(run_on, tmp_path):
    (tmp_path / "rows").write_text(as_csv(*clicks(20)))
    options = "out_of_core.py", tmp_path / "rows", "--model", str(tmp_path / "model.pickle")
    assert run_on(*options)[1] is None
    assert run_on(*options)[1] is None
    assert "has 2^12 features: --bits 12" in run_on(*options, "--bits", "10")[1]


@pytest.mark.parametrize("script", ["click_through.py", "out_of_core.py"])
def test_a_file_that_is_not_there(run_on, script, tmp_path):
    assert "error: " in run_on(script, tmp_path / "rows")[1]
