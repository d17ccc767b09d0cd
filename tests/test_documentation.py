"""The examples of the docstrings and of the README run."""

import doctest
import re
from pathlib import Path

import pytest

import sk_adaptive


@pytest.mark.parametrize("name", sk_adaptive.__all__)
def test_examples_of_the_docstrings(name):
    public = getattr(sk_adaptive, name)
    tests = doctest.DocTestFinder().find(public, name, globs={})
    assert any(test.examples for test in tests)
    runner = doctest.DocTestRunner()
    for test in tests:
        assert runner.run(test).failed == 0


def test_examples_of_the_readme(capsys):
    readme = Path(__file__).parent.parent / "README.md"
    examples = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        exec(example, {})
    assert capsys.readouterr().out
