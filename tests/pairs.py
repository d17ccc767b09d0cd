"""Which cases of a product are enough: what `pytest.mark.pairs` and `values` leave of a test.

A bug is nearly always one of a value or of two values together. Where a test runs for each
optimizer, precision, penalty and so on, the default run has cases enough for each two values of
two of its decorators to meet in one of them; with `values` for each value to be in one, where
decorators have nothing to do with each other. `python -m pytest -m full` has all others.
"""

import heapq
from collections import Counter
from itertools import combinations

import pytest


def cover(cases, size=2):
    """The indices of cases that have every pair of values that there is, or each value for size 1.

    Greedily: next is the case with most new pairs, of these the one whose values have been taken
    least often, of these the first. A case is a sequence of hashable values, one for each factor.
    """
    cases = [tuple(enumerate(case)) for case in cases]
    pairs = [set(combinations(case, min(len(case), size))) for case in cases]
    covered, taken, chosen = set(), Counter(), []

    def place(index):
        return -len(pairs[index] - covered), sum(taken[value] for value in cases[index]), index

    queue = [place(index) for index in range(len(cases))]
    heapq.heapify(queue)
    while queue:
        index = heapq.heappop(queue)[-1]
        now = place(index)
        # No place gets better, so who is still before the next one is before all.
        if queue and now > queue[0]:
            heapq.heappush(queue, now)
        elif now[0]:
            chosen.append(index)
            covered |= pairs[index]
            taken.update(cases[index])
    return sorted(chosen)


def choice(test, mark):
    """What a test has of each factor: as its mark names them, or else one for each decorator.

    A factor is the name of an argument, or several names with commas, as pytest has it.
    """
    decorators = [decorator.args[0] for decorator in test.iter_markers("parametrize")]
    chosen = []
    for names in mark.args or decorators:
        names = names.replace(",", " ").split() if isinstance(names, str) else names
        # the values are the same objects in each test, and need not be hashable
        chosen.append(tuple(id(test.callspec.params[name]) for name in names))
    return chosen


def leave_pairs(tests):
    """Mark as `full` all tests of a function that has one of the marks, but for a cover."""
    of_function = {}
    for test in tests:
        for name, size in (("pairs", 2), ("values", 1)):
            if mark := test.get_closest_marker(name):
                key = test.nodeid.partition("[")[0], size
                of_function.setdefault(key, []).append((test, choice(test, mark)))
    for (_, size), cases in of_function.items():
        kept = set(cover([chosen for _, chosen in cases], size))
        for index, (test, _) in enumerate(cases):
            if index not in kept:
                test.add_marker(pytest.mark.full)
