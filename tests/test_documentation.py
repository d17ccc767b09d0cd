"""The documentation: its examples run, and docstrings have the form that they should have."""

import doctest
import inspect
import re
import shutil
from pathlib import Path

import pytest

import sk_adaptive
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS

CHECKOUT = Path(__file__).resolve().parent.parent
# a block of code, and what it prints if the page says so
EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)

# those with code to run; a distribution may be without them
PAGES = [
    page
    for page in (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")))
    if page.exists() and EXAMPLE.search(page.read_text(encoding="utf-8"))
]
SLOW = {"start_tuning"}  # whole searches
REGISTRY = {
    "optimizer": {"AdaptiveSGDClassifier": OPTIMIZERS, "AdaptiveSGDRegressor": OPTIMIZERS},
    "loss": {
        "AdaptiveSGDClassifier": CLASSIFICATION_LOSSES,
        "AdaptiveSGDRegressor": REGRESSION_LOSSES,
    },
}

# Checks of numpydoc that these docstrings do not follow.
EXCEPTIONS = {
    "ES01": "a summary that says it all needs no extended one",
    "SA01": "a method has its neighbours on the same page",
    "EX01": "the examples of an estimator are in its class and in the user guide",
    "RT02": "what is returned has a name, as in scikit-learn",
    "RT03": "of self, and of what the summary says, there is nothing more to say",
}


def public_names():
    """What is public, with the methods of estimators that are not scikit-learn's."""
    yield "sk_adaptive.onnx.register"
    for name in sk_adaptive.__all__:
        thing = getattr(sk_adaptive, name)
        yield f"sk_adaptive.{name}"
        if inspect.isclass(thing):
            for method, function in inspect.getmembers(thing, callable):
                if not method.startswith("_") and function.__module__.startswith("sk_adaptive"):
                    yield f"sk_adaptive.{name}.{method}"


@pytest.mark.parametrize("name", list(public_names()))
def test_form_of_docstrings(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    errors = [error for error in validate(name)["errors"] if error[0] not in EXCEPTIONS]
    assert not errors


@pytest.mark.parametrize("name", sk_adaptive.__all__)
def test_examples_of_docstrings(name):
    public = getattr(sk_adaptive, name)
    tests = doctest.DocTestFinder().find(public, name, globs={})
    assert any(test.examples for test in tests)
    runner = doctest.DocTestRunner()
    for test in tests:
        assert runner.run(test).failed == 0


@pytest.mark.parametrize("parameter", REGISTRY)
@pytest.mark.parametrize("name", ["AdaptiveSGDClassifier", "AdaptiveSGDRegressor"])
def test_choices_are_those_of_the_registry(name, parameter):
    """What the docstring lists for a parameter; of an optimizer it has the formula, too."""
    text = inspect.getdoc(getattr(sk_adaptive, name))
    listed = re.search(rf"^{parameter} : {{(.*?)}}, +default", text, re.DOTALL | re.MULTILINE)
    copies = {known for known in REGISTRY[parameter][name] if known.startswith("copy_of_")}
    known = set(REGISTRY[parameter][name]) - copies
    assert set(re.findall(r"'(\w+)'", listed.group(1))) == known
    if parameter == "optimizer":
        assert set(re.findall(r"^    - '(\w+)': ``", text, re.MULTILINE)) >= known


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.full] if page.stem in SLOW else [])
        for page in PAGES
    ],
)
def test_examples_of_pages(page, monkeypatch, tmp_path, capsys):
    """The blocks of a page, one after the other, as a reader would run them."""
    shutil.copytree(CHECKOUT / "examples" / "data", tmp_path / "examples" / "data")
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    variables = {"__name__": "__main__"}
    for found in EXAMPLE.finditer(text):
        line = text.count("\n", 0, found.start(1))
        code = compile("\n" * line + found.group(1), page, "exec")
        try:
            exec(code, variables)
        except ImportError as missing:
            ours = (missing.name or "").split(".")[0] in ("sk_adaptive", "sklearn")
            # which scikit-learn has since 1.9
            if ours and missing.name != "sklearn.callback":
                raise
            pytest.skip(f"the page needs more than is installed: {missing}")
        printed = capsys.readouterr().out
        assert found.group(2) in (None, printed)


MARKDOWN = [
    page
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "examples/data/*.md")
    for page in sorted(CHECKOUT.glob(pattern))
    if "_build" not in page.parts and "auto_examples" not in page.parts
]
CODE = re.compile(r"^( *)(`{3,}).*?^\1\2|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def anchors(page):
    """The names of the headings of a page, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_within_the_checkout(page):
    if not (CHECKOUT / "docs" / "benchmarks").exists():
        pytest.skip("the source distribution lacks some of the linked files")
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^()\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if target.parent.name == "auto_examples":
            # which the gallery makes of the examples
            target = CHECKOUT / "examples" / target.with_suffix(".py").name
            found = target.exists() or target.stem == "index"
        else:
            found = target.exists() and (not anchor or anchor in anchors(target))
        if not found:
            broken.append(link)
    assert not broken


def tables(page):
    """The tables of a page, each a dict of rows, which are dicts of cells by the column's name."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE):
        names, _, *rows = (
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in block.splitlines()
        )
        found.append({row[0]: dict(zip(names[1:], row[1:], strict=False)) for row in rows})
    return found


def test_figures_of_the_readme_are_those_of_the_pages():
    """Measuring anew changes the pages; the README has to follow."""
    results = CHECKOUT / "docs" / "benchmarks" / "results.md"
    if not results.exists():
        pytest.skip("the source distribution lacks the results")
    speed, loss = tables(CHECKOUT / "README.md")[:2]
    epochs = dict(zip(("text", "clicks", "classes"), tables(results), strict=False))
    columns = {
        "text, 2^18 features": "text",
        "a million hashed clicks": "clicks",
        "20 classes of text": "classes",
    }
    for name, row in speed.items():
        assert row == {title: epochs[part][name]["ratio"] for title, part in columns.items()}
    measured = tables(CHECKOUT / "docs" / "defaults.md")[0]
    for name, row in loss.items():
        assert row == {column: measured[name][column].split()[0].rstrip("!") for column in row}


def test_table_of_parameters(monkeypatch):
    """It is made from signatures, docstrings and the registry: none is missing or without words."""
    pytest.importorskip("numpydoc")
    monkeypatch.syspath_prepend(CHECKOUT / "docs")
    import parameter_table

    estimators = (sk_adaptive.AdaptiveSGDClassifier, sk_adaptive.AdaptiveSGDRegressor)
    rows = {row[0].split("``")[1]: row for row in parameter_table.rows()}
    assert set(rows) == {name for each in estimators for name in inspect.signature(each).parameters}
    assert all(len(meaning) > 10 for _, meaning, *_ in rows.values())
    for name, (_, _, _, users, _) in rows.items():
        specs = OPTIMIZERS.items()
        known = {optimizer for optimizer, spec in specs if name in spec.parameters}
        assert not known or set(re.findall(r"``(\w+)``", users)) == known
    assert "regressor only" in rows["quantile"][0]
    assert rows["normalize"][-1] == "no"
    assert rows["max_iter"][-1] == "``1000``"
