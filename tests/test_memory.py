"""Memory that a model takes of the system: as much as its features touch, unless pages are huge."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
if not Path("/proc/self/smaps_rollup").exists():
    pytest.skip("the system does not tell what is resident", allow_module_level=True)

# In a process of its own, as NumPy reads its variable when it is imported. Prints what a bare array
# takes of which each 2 MB are written to once; then for each optimizer, every other one with
# averages, what a few features take, what the records take once each page is written to, and how
# long they are.
PROGRAM = """
import ctypes
import sys

if sys.argv[1] == "small":
    # PR_SET_THP_DISABLE: no huge pages for this process
    assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0

import numpy as np
import scipy.sparse as sp
from sk_adaptive import AdaptiveSGDClassifier

sys.path.append(sys.argv[2])
import reference  # it may add to the registry
from sk_adaptive.kernel.optimizers import OPTIMIZERS

N_FEATURES, PAGE, HUGE_PAGE = 2**20, 4096, 2**21


def resident():
    with open("/proc/self/smaps_rollup") as file:
        return 1024 * int(file.read().split("Rss:")[1].split()[0])


def batch(features):
    X = sp.csr_matrix(
        (np.ones(features.size), features, np.arange(0, features.size + 1, 10)),
        shape=(features.size // 10, N_FEATURES),
    )
    X.sum_duplicates()
    return X, np.arange(X.shape[0]) % 2


X, y = batch(np.random.default_rng(0).integers(N_FEATURES, size=150))
# what a first call imports and allocates once is not of a model
AdaptiveSGDClassifier().partial_fit(X, y, classes=[0, 1]).predict(X)

before = resident()
bare = np.zeros(2**25, np.uint8)
bare[::HUGE_PAGE] = 1
print(resident() - before, bare.size)
del bare
for place, optimizer in enumerate(OPTIMIZERS):
    before = resident()
    model = AdaptiveSGDClassifier(optimizer=optimizer, average=place % 2 == 1)
    model.partial_fit(X, y, classes=[0, 1]).predict(X)
    model.partial_fit(X, y)
    taken = resident() - before
    pages = model._model.records.view(np.uint8)[::PAGE]
    pages |= pages
    print(taken, resident() - before, model._model.records.nbytes)
    del model, pages
"""


def measured(pages, huge_pages="1"):
    """Of a bare array what it takes and its length, and what PROGRAM prints of each model."""
    ran = subprocess.run(
        # -P: not the folder of the checkout, which is not compiled
        [sys.executable, "-P", "-c", PROGRAM, pages, str(Path(__file__).parent)],
        env={**os.environ, "NUMPY_MADVISE_HUGEPAGE": huge_pages},
        capture_output=True,
        text=True,
        check=True,
    )
    bare, *models = (tuple(map(int, line.split())) for line in ran.stdout.splitlines())
    return bare, models


def assert_that_only_touched_pages_are_taken(models):
    assert models
    for taken, taken_by_all_pages, size in models:
        # The measure sees pages that are written to ...
        assert taken_by_all_pages > 0.9 * size
        # ... of which 150 features touch 150 of the thousands.
        assert taken < size / 10


def chosen():
    """Which memory the system gives huge pages to: "always", "madvise" (if asked) or "never"."""
    if not HUGE_PAGES.exists():
        pytest.skip("the system has no transparent huge pages")
    return HUGE_PAGES.read_text().split("[")[1].split("]")[0]


def test_untouched_pages_take_no_memory():
    """In pages of 4 kB, whatever the system and NumPy are set to."""
    _, models = measured("small")
    assert_that_only_touched_pages_are_taken(models)


def test_small_pages_can_be_asked_for():
    if chosen() == "always":
        pytest.skip("huge pages are for all memory, whatever NumPy asks for")
    _, models = measured("any", huge_pages="0")
    assert_that_only_touched_pages_are_taken(models)


def test_huge_pages_take_the_memory_of_all_features():
    """The default of NumPy, where the system has huge pages left and NumPy asks for them."""
    system = chosen()
    (taken_by_bare, size_of_bare), models = measured("any")
    if system == "never":
        assert_that_only_touched_pages_are_taken(models)
        return
    if taken_by_bare < 0.9 * size_of_bare:
        pytest.skip("NumPy's zeroed arrays do not come in huge pages here")
    for taken, _, size in models:
        assert size / 4 < taken < size + size / 10
