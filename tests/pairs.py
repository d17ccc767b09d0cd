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


def factors(test):
    """What each decorator of a test has chosen; its values need not be hashable."""
    params = dict(test.callspec.params)
    chosen = []
    for mark in test.iter_markers("parametrize"):
        names = mark.args[0]
        names = names.replace(",", " ").split() if isinstance(names, str) else names
        chosen.append(tuple(id(params.pop(name)) for name in names))
    # the rest is of fixtures
    return [*chosen, *map(id, params.values())]


def leave_pairs(tests):
    """Mark as `full` all tests of a function that has the mark `pairs`, but for a cover."""
    of_function = {}
    for test in tests:
        if test.get_closest_marker("pairs"):
            of_function.setdefault(test.nodeid.partition("[")[0], []).append(test)
    for cases in of_function.values():
        kept = set(cover([factors(test) for test in cases]))
        for index, test in enumerate(cases):
            if index not in kept:
                test.add_marker(pytest.mark.full)
