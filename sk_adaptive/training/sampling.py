"""Sampling the frequent one of two classes: fewer rows to learn, and the same objective."""

from dataclasses import dataclass, replace

import numpy as np

LARGEST_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Sampling:
    """Which rows of the frequent class are learned, each for as many as it stands for.

    Attributes
    ----------
    share : float
        Of the rows of the frequent class, those that are learned.
    frequent : int
        The target of that class, -1 or 1.
    seed : int
    """

    share: float
    frequent: int
    seed: int

    def weighted(self, training):
        """Training data in which rows of the frequent class weigh 1 over the share as much."""
        weight = np.where(training.targets[:, 0] == self.frequent, 1 / self.share, 1.0)
        if training.sample_weight.size:
            weight *= training.sample_weight
        return replace(training, sample_weight=weight)

    def of(self, rows, training, epoch, numbers=None):
        """The rows among these that are learned in an epoch: a function of it and of the row.

        Parameters
        ----------
        rows : int64 ndarray
        training : TrainingData
        epoch : int
        numbers : int64 ndarray, default=rows
            What is drawn by.
        """
        numbers = rows if numbers is None else numbers
        chosen = _uniform(numbers, epoch, self.seed) < self.share
        return rows[chosen | (training.targets[rows, 0] != self.frequent)]


def sampling_of(estimator, training, rows, seed):
    """The sampling that an estimator asks for, by the classes of these rows; or None.

    Raises
    ------
    ValueError
        If there are not two classes.
    """
    share = getattr(estimator, "majority_sampling", None)
    if share is None:
        return None
    if training.n_outputs > 1:
        raise ValueError("majority_sampling is for two classes, of which one is frequent.")
    more = np.count_nonzero(training.targets[rows, 0] > 0) * 2 > rows.size
    return Sampling(float(share), 1 if more else -1, seed)


def _uniform(numbers, epoch, seed):
    """Numbers in [0, 1) by the finalizer of splitmix64, of a counter for each row and epoch."""
    with np.errstate(over="ignore"):
        key = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(epoch)
        key = _mixed(np.array([key]))
        mixed = _mixed(numbers.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03) + key)
    return (mixed >> np.uint64(11)) * 2.0**-53


def _mixed(keys):
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
