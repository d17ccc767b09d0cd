"""
Training on partitions with Dask (a script)
===========================================

One model that visits them, or one model each, averaged.

A cluster of processes is started here; with the address of a scheduler it may be one of machines.
The rows stay with the workers, only models travel.

- In turn: the model goes from partition to partition. That is one pass of `partial_fit`, bit for
  bit, and takes as long; it is for rows that do not fit on one machine, or must not leave
  theirs. (dask-ml's Incremental does the same.)
- Averaged: each partition trains a model of its own, all at the same time. After each round
  their coefficients and intercepts are averaged, and all go on from there, each with the state of
  the optimizer that it has. It is another algorithm, for when there are many workers: it takes a
  few rounds to be as good.

Needs ``dask`` and ``distributed``.
"""

import argparse
from contextlib import nullcontext
from copy import deepcopy

import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.metrics import log_loss, roc_auc_score

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher

SIZES = [5, 50, 500, 5000, 50_000]


def partition(number, n_rows, n_features):
    """Hashed rows and clicks; those of one worker might be read from its disk."""
    truth = np.random.default_rng(0)
    weights = [truth.normal(0, 0.7, size) for size in SIZES]
    rng = np.random.default_rng([1, number])
    # the logarithm of a value is uniform: Zipf's law
    values = np.exp(rng.random((n_rows, len(SIZES))) * np.log(SIZES)).astype(int)
    margin = sum(weight[column] for weight, column in zip(weights, values.T, strict=True))
    clicks = (rng.random(n_rows) < 1 / (1 + np.exp(1.5 - margin))).astype(int)
    return ColumnHasher(n_features, numeric="category").transform(values), clicks


def learn(model, rows, average=None):
    """The model after these rows, from the average if there is one."""
    X, clicks = rows
    # what a task is given belongs to Dask
    model = deepcopy(model)
    if average is not None:
        model.coef_, model.intercept_ = average
    return model.partial_fit(X, clicks, classes=[0, 1])


def weights_of(model):
    return model.coef_, model.intercept_


def in_turn(client, partitions):
    """A model that has visited one partition after the other."""
    model = AdaptiveSGDClassifier()
    for rows in partitions:
        model = client.submit(learn, model, rows)
    return model.result()


def averaged(client, partitions, rounds, report):
    """The average of models that learn side by side."""
    models, average = [AdaptiveSGDClassifier()] * len(partitions), None
    for number in range(1, rounds + 1):
        models = [
            client.submit(learn, model, rows, average)
            for model, rows in zip(models, partitions, strict=True)
        ]
        parts = client.gather([client.submit(weights_of, model) for model in models])
        average = [np.mean(part, axis=0) for part in zip(*parts, strict=True)]
        model = models[0].result()
        model.coef_, model.intercept_ = average
        report(f"averaged, round {number}", model)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scheduler", help="its address (a cluster of processes is started)")
    parser.add_argument("--workers", type=int, default=2, help="processes to start (2)")
    parser.add_argument("--partitions", type=int, default=4, help="parts of the rows (4)")
    parser.add_argument("--rows", type=int, default=25_000, help="of a partition (25,000)")
    parser.add_argument("--bits", type=int, default=16, help="hash to 2^BITS features (16)")
    parser.add_argument("--rounds", type=int, default=3, help="of averaging (3)")
    arguments = parser.parse_args()
    shape = arguments.rows, 1 << arguments.bits
    X_test, y_test = partition(arguments.partitions, *shape)

    def report(name, model):
        probability = model.predict_proba(X_test)[:, 1]
        print(
            f"{name:20}{log_loss(y_test, probability):10.4f}"
            f"{roc_auc_score(y_test, probability):10.4f}",
            flush=True,
        )

    print(f"{'':20}{'log loss':>10}{'AUC':>10}")
    single = AdaptiveSGDClassifier()
    for number in range(arguments.partitions):
        single = learn(single, partition(number, *shape))
    report("single process", single)
    if arguments.scheduler:
        cluster = nullcontext(arguments.scheduler)
    else:
        cluster = LocalCluster(
            n_workers=arguments.workers, threads_per_worker=1, dashboard_address=None
        )
    with cluster as address, Client(address) as client:
        partitions = [
            client.submit(partition, number, *shape) for number in range(arguments.partitions)
        ]
        visitor = in_turn(client, partitions)
        report("Dask, in turn", visitor)
        assert np.array_equal(visitor.coef_, single.coef_)
        averaged(client, partitions, arguments.rounds, report)


if __name__ == "__main__":
    main()
