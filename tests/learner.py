"""A process that learns a stream and saves its model every now and then, see test_killed.py."""

import os
import pickle
import time

import numpy as np
import reference  # noqa: F401 - it may add to the registry
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier

N_FEATURES = 1 << 13
ROWS_A_BATCH = 10


def batch(number):
    """Rows and labels of this place in the stream."""
    rng = np.random.default_rng(number)
    features = rng.zipf(1.3, size=ROWS_A_BATCH * 20) % N_FEATURES
    indptr = np.arange(0, features.size + 1, 20)
    X = sp.csr_matrix((np.ones(features.size), features, indptr), (ROWS_A_BATCH, N_FEATURES))
    X.sum_duplicates()
    return X, rng.integers(2, size=ROWS_A_BATCH)


def load(path):
    """How many batches have been learned, and the model."""
    with open(path, "rb") as file:
        return pickle.load(file)


def save(path, n_batches, model):
    """Whoever looks finds the old file or the new one, and never a part of one.

    Against a loss of power the file would have to be flushed and synced, too.
    """
    new = path.with_suffix(".new")
    with open(new, "wb") as file:
        pickle.dump((n_batches, model), file)
    os.replace(new, path)


def learn(path, optimizer, n_batches, every, linger=False):
    """Go on from the last save to the end of the stream; and linger there, to be killed."""
    if path.exists():
        begin, model = load(path)
    else:
        begin, model = 0, AdaptiveSGDClassifier(optimizer=optimizer)
    for number in range(begin, n_batches):
        X, y = batch(number)
        model.partial_fit(X, y, classes=[0, 1])
        if (number + 1) % every == 0 or number + 1 == n_batches:
            save(path, number + 1, model)
    while linger:
        time.sleep(1)
