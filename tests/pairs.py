"""Which cases of a product have every pair of values: what `pytest.mark.pairs` leaves of a test.

A bug is nearly always one of a value or of two values together. Where a test runs for each
optimizer, precision, penalty and so on, the default run has cases enough for each two values of
two of its decorators to meet in one of them; `python -m pytest -m full` has all others.
"""

import heapq
from collections import Counter
from itertools import combinations

import pytest


def cover(cases):
    """The indices of cases that have every pair of values that there is in all of them.

    Greedily: next is the case with most new pairs, of these the one whose values have been taken
    least often, of these the first. A case is a sequence of hashable values, one for each factor.
    """
    cases = [tuple(enumerate(case)) for case in cases]
    pairs = [set(combinations(case, min(len(case), 2))) for case in cases]
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


def choice(test):
    """What a test has of each factor: as its mark names them, or else one for each decorator.

    A factor is the name of an argument, or several names with commas, as pytest has it.
    """
    decorators = [mark.args[0] for mark in test.iter_markers("parametrize")]
    chosen = []
    for names in test.get_closest_marker("pairs").args or decorators:
        names = names.replace(",", " ").split() if isinstance(names, str) else names
        # the values are the same objects in each test, and need not be hashable
        chosen.append(tuple(id(test.callspec.params[name]) for name in names))
    return chosen


def leave_pairs(tests):
    """Mark as `full` all tests of a function that has the mark `pairs`, but for a cover."""
    of_function = {}
    for test in tests:
        if test.get_closest_marker("pairs"):
            of_function.setdefault(test.nodeid.partition("[")[0], []).append(test)
    for cases in of_function.values():
        kept = set(cover([choice(test) for test in cases]))
        for index, test in enumerate(cases):
            if index not in kept:
                test.add_marker(pytest.mark.full)
