"""Everything that happens once an epoch: order, objective, stopping, progress."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import _state
from ._registry import kernel
from ._scan import mark, normalised

# Entries (times outputs) that the kernel learns between two looks at signals:
# a small fraction of a second.
ENTRIES_PER_CALL = 1 << 20

# Marking the feature of an entry takes about as long as an epoch's look at a feature; with
# so many entries a feature, hardly one of them never occurs.
ENTRIES_PER_FEATURE = 32

# The "adaptive" schedule divides the rate by this, until it is so small.
RATE_DIVISOR = 5.0
LEAST_RATE = 1e-6


class TrainingFailure(ValueError):
    """A step would have made the model non-finite."""

    def __init__(self, row):
        super().__init__(row)
        self.row = row


@dataclass
class TrainingData:
    """What the kernel learns from.

    Attributes
    ----------
    data, indices, indptr : ndarrays
        Of a canonical CSR matrix without explicit zeros.
    targets : float64 ndarray of shape (n_rows, n_outputs) or (n_rows, 1)
        Numbers, or -1 and 1, of each output; or for several outputs the number of the class.
    sample_weight : float64 ndarray of shape (n_rows,) or (0,)
        Empty where all are 1.
    class_weight : float64 ndarray of shape (2, n_outputs) or (0, 0)
        Of outputs whose target is -1, and 1. Empty where all are 1.
    loss : Loss
    n_outputs, batch_size : int
    fit_intercept : bool
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray
    class_weight: np.ndarray
    loss: Any
    n_outputs: int
    batch_size: int
    fit_intercept: bool

    def normalised(self, rows, scale):
        """With the entries of these rows over the sizes of their features, see `normalised`."""
        # those of other rows are never looked at
        out = np.zeros_like(self.data)
        normalised(self.data, self.indices, self.indptr, rows, scale, out)
        return replace(self, data=out)


def train_rows(optimizer, training, rows, progressive_loss=None):
    """Learn these rows in this order; the weighted sum of their losses before their steps.

    `progressive_loss`, if given, is increased by this sum and by that of the weights, also for
    the rows before a failure.

    Raises
    ------
    TrainingFailure
        Naming the first row of the step that was not done. All before it were.
    """
    n_rows = max(1, training.targets.shape[0])
    entries_per_row = max(1.0, training.indices.shape[0] / n_rows) * training.n_outputs
    train = kernel(training.data.dtype).train
    steps = max(1, int(ENTRIES_PER_CALL / (entries_per_row * training.batch_size)))
    chunk = steps * training.batch_size
    loss_sum = 0.0
    # Between two calls Python handles Ctrl-C, with the state at the end of a step.
    for start in range(0, rows.shape[0], chunk):
        part = rows[start : start + chunk]
        part_sum, failed = train(
            optimizer,
            training.loss,
            training.data,
            training.indices,
            training.indptr,
            training.targets,
            training.sample_weight,
            training.class_weight,
            part,
            training.batch_size,
            training.fit_intercept,
        )
        if progressive_loss is not None:
            learned = part if failed < 0 else part[:failed]
            weights = training.sample_weight
            weight_sum = weights[learned].sum() if weights.size else learned.size
            progressive_loss += (part_sum, weight_sum)
        if failed >= 0:
            raise TrainingFailure(int(part[failed]))
        loss_sum += part_sum
    return loss_sum


@dataclass
class Convergence:
    """The stopping rule of SGDClassifier: no gain of tol for some epochs in a row.

    Attributes
    ----------
    tol : float or None
        None: never stop.
    patience : int
        How many epochs in a row.
    """

    tol: float | None
    patience: int
    best: float = np.inf
    without_gain: int = 0

    def is_stalled(self, value):
        """Take in an epoch's value, of which less is better."""
        if self.tol is not None and value > self.best - self.tol:
            self.without_gain += 1
        else:
            self.without_gain = 0
        self.best = min(self.best, value)
        return self.without_gain >= self.patience


@dataclass
class Progress:
    """What `fit_epochs` has to tell of a run."""

    state: dict
    n_iter: int
    loss_curve: list
    converged: bool


def fit_epochs(
    state,
    training,
    rows,
    features,
    *,
    max_iter,
    tol,
    n_iter_no_change,
    shuffle,
    seed,
    adaptive,
    verbose,
    validation_score=None,
):
    """Train for up to max_iter epochs.

    Parameters
    ----------
    state : dict
        Changed in place.
    training : TrainingData
    rows : int64 ndarray
        The rows to learn.
    features : int64 ndarray
        The features whose weights are not zero for good, whose penalty counts.
    max_iter, n_iter_no_change : int
    tol : float or None
    shuffle : bool
    seed : int
    adaptive : bool
        Whether to divide the learning rate when there is no gain any more.
    verbose : int
    validation_score : callable, default=None
        Takes a state and returns the score that decides on stopping.

    Returns
    -------
    Progress
    """
    generator = np.random.default_rng(seed)
    order = rows.copy()
    convergence = Convergence(tol, n_iter_no_change)
    loss_curve = []
    begin = time.perf_counter()
    optimizer = _state.make_optimizer(state)
    for epoch in range(1, max_iter + 1):
        if shuffle:
            generator.shuffle(order)
        try:
            # later the rows have been seen
            progressive_loss = state["progressive_loss"] if epoch == 1 else None
            loss = train_rows(optimizer, training, order, progressive_loss) / order.shape[0]
        except TrainingFailure as failure:
            raise _overflow(epoch, failure.row) from None
        objective = loss + optimizer.penalty(features)
        if not np.isfinite(objective):
            raise _overflow(epoch, None)
        loss_curve.append(objective)
        _state.save_clock(state, optimizer)
        value = objective
        if validation_score is not None:
            score = validation_score(state)
            value = -score
        if verbose:
            _print_epoch(state, epoch, loss, objective, begin)
            if validation_score is not None:
                print(f"Validation score: {score:f}")
        if convergence.is_stalled(value):
            if adaptive and state["eta0"] > LEAST_RATE:
                state = _state.with_settings(state, state["settings"], state["eta0"] / RATE_DIVISOR)
                optimizer = _state.make_optimizer(state)
                convergence.without_gain = 0
            else:
                if verbose:
                    print(
                        f"Convergence after {epoch} epochs took "
                        f"{time.perf_counter() - begin:.2f} seconds"
                    )
                return Progress(state, epoch, loss_curve, True)
    return Progress(state, max_iter, loss_curve, False)


def features_of(training, n_features):
    """The features that occur in the data, or all where finding out would take longer."""
    if n_features * ENTRIES_PER_FEATURE <= training.indices.shape[0]:
        return np.arange(n_features, dtype=np.int64)
    occurs = np.zeros(n_features, np.uint8)
    mark(training.indices, occurs)
    return np.flatnonzero(occurs).astype(np.int64, copy=False)


def _overflow(epoch, row):
    where = f"at epoch #{epoch}" if row is None else f"at epoch #{epoch}, row {row}"
    return ValueError(
        f"Floating-point under-/overflow occurred {where}. Scaling input data with "
        "MaxAbsScaler or StandardScaler, or a smaller eta0, might help."
    )


def _print_epoch(state, epoch, loss, objective, begin):
    coef = _state.coefficients(state)
    print(f"-- Epoch {epoch}")
    print(
        f"Norm: {np.linalg.norm(coef):.2f}, NNZs: {np.count_nonzero(coef)}, "
        f"Bias: {np.array2string(state['intercept'][0], precision=6)}, T: {state['t']}, "
        f"Avg. loss: {loss:f}, Objective: {objective:f}"
    )
    print(f"Total training time: {time.perf_counter() - begin:.2f} seconds.")
