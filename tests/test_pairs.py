"""What the mark `pairs` leaves of a product: every pair of values, in few cases."""

from itertools import combinations, product
from math import prod

import pytest
from pairs import cover

pytest_plugins = "pytester"


def pairs_of(case):
    return set(combinations(enumerate(case), 2))


@pytest.mark.parametrize("sizes", [(5, 2), (10, 4, 2), (5, 5, 5, 5), (131, 5, 2), (3, 2, 2, 2, 2)])
def test_every_pair_of_values_is_in_a_case(sizes):
    cases = list(product(*map(range, sizes)))
    chosen = [cases[index] for index in cover(cases)]
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, cases))
    # There are no fewer than the pairs of the two largest factors, and never many more.
    least = prod(sorted(sizes)[-2:])
    assert least <= len(chosen) <= 1.4 * least
    # each value is taken as often as the others of its factor, or nearly so
    for values in zip(*chosen, strict=True):
        times = [values.count(value) for value in set(values)]
        assert max(times) - min(times) <= max(2, 0.1 * max(times))


def test_pairs_that_there_are_not_are_not_missed():
    cases = [case for case in product("abc", range(3), range(3)) if case[:2] != ("b", 1)]
    chosen = [cases[index] for index in cover(cases)]
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, cases))


def test_each_value_is_taken_where_pairs_are_not_asked_for():
    assert cover([("a",), ("b",), ("a",)]) == [0, 1]
    cases = list(product(range(7), "abc"))
    chosen = [cases[index] for index in cover(cases, size=1)]
    assert [number for number, _ in chosen] == list(range(7))
    # in turns
    assert sorted([letter for _, letter in chosen]) == list("aaabbcc")


def test_a_test_runs_for_its_pairs_and_all_others_are_full(pytester):
    pytester.makepyfile(
        conftest="""
import pytest
from pairs import leave_pairs

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    leave_pairs(items)
""",
        test_it="""
import pytest

@pytest.mark.pairs
@pytest.mark.parametrize("a", [[], {}, 2])
@pytest.mark.parametrize("b,c", [(0, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("d", range(2))
def test_by_decorator(a, b, c, d):
    pass

@pytest.mark.pairs("a", "b, d", "c")
@pytest.mark.parametrize("a", range(2))
@pytest.mark.parametrize("b, c", [(b, c) for b in range(2) for c in range(2)])
@pytest.mark.parametrize("d", range(2))
def test_by_name(a, b, c, d):
    pass

@pytest.mark.values
@pytest.mark.parametrize("a", range(5))
@pytest.mark.parametrize("b", [[], {}])
def test_of_values(a, b):
    pass

@pytest.mark.parametrize("a", range(3))
def test_of_another_kind(a):
    pass
""",
    )
    chosen = pytester.inline_run("-m", "not full", "-W", "ignore")
    assert chosen.countoutcomes() == [10 + 8 + 5 + 3, 0, 0]
    others = pytester.inline_run("-m", "full", "-W", "ignore")
    assert others.countoutcomes() == [8 + 8 + 5, 0, 0]
