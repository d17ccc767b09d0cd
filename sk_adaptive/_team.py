"""One model whose outputs are learned by several threads, each of which owns some of them."""

import threading
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from . import _state
from ._learning import Learned, TrainingFailure, learn
from ._threads import parts_of
from .kernel.optimizers import kernel

# To share less than this, entries times outputs, takes longer than to learn it.
LEAST_WORK = 1 << 18

# The least that a vector of processors has room for. A part of one output would be computed in
# another way.
LEAST_LANES = 4

# Models of a mixture keep so many raw predictions, and losses, until their mean takes them in.
MOST_KEPT = 1 << 20

# Members take turns at the threads, after each such share of the rows.
N_TURNS = 16


def is_enough(training, n_rows, n_models=1):
    """Whether there is enough to learn, of several models side by side."""
    entries_per_row = training.indices.shape[0] / max(1, training.n_rows)
    return n_rows * entries_per_row * training.n_outputs * n_models >= LEAST_WORK


def can_share(training, n_rows, threads, n_models=1):
    """Whether there are threads, outputs for each, and enough rows for it to pay."""
    return (
        threads.n_threads > 1
        and is_enough(training, n_rows, n_models)
        and len(_ends_of_parts(training, threads.n_threads, n_models)) > 2
    )


def _ends_of_parts(training, n_threads, n_models=1):
    """The outputs of each member lie between two of these: those of whole models, of several.

    Vectors of them are at most as many as a thread's share, for all to come to an end together.
    """
    n_outputs = training.n_outputs
    if n_models == 1 and training.loss.couples_outputs:
        return [0, n_outputs]
    n_units, of_unit = (n_outputs, 1) if n_models == 1 else (n_models, n_outputs)
    lanes = max(LEAST_LANES, kernel(training.data.dtype).N_LANES)
    n_vectors = -(-n_units * of_unit // lanes)
    n_parts = -(-n_vectors // max(1, n_vectors // n_threads))
    return [0, *(of_unit * part.stop for part in parts_of(n_units, n_parts))]


@dataclass(eq=False)
class Member:
    """Some of the outputs.

    Attributes
    ----------
    outputs : int64 ndarray
        Consecutive numbers.
    state : dict
    optimizer : Optimizer
    training : TrainingData
        What they are told.
    learned : Learned
        Of the last rows.
    failed_row : int or None
        The first row of the step that could not be done, if there was one.
    """

    outputs: np.ndarray
    state: dict
    optimizer: Any
    training: Any
    learned: Learned | None = None
    failed_row: int | None = None


class Team:
    """What an optimizer is to the rest of the package, with outputs that are learned in parallel.

    Threads share nothing but the rows, which nobody writes. An output is told the same as beside
    the others, and sums are made in the same order: so no bit depends on the number of threads.

    Parameters
    ----------
    state : dict
        Of all outputs. It is as it was until `put_intercepts` and `gather`. Each member is some of
        the outputs, or of a mixture some of the models.
    training : TrainingData
    features : int32 ndarray
        The features whose records are not those of a new state, or that occur.
    threads : Threads
    is_new : bool
        Whether the records of the state have nothing yet.
    """

    def __init__(self, state, training, features, threads, is_new):
        self._state, self._features, self._threads = state, features, threads
        self._n_models = _state.n_models_of(state)
        ends = _ends_of_parts(training, threads.n_threads, self._n_models)
        begun = features[:0] if is_new else features
        self._members = threads.run(
            [partial(self._member, training, begun, first, last) for first, last in pairwise(ends)]
        )
        self._is_gathered = True

    def _member(self, training, begun, first, last):
        outputs = np.arange(first, last)
        state = _state.of_outputs(_state.side_by_side(self._state), outputs, begun)
        optimizer = _state.make_optimizer(state)
        if self._n_models == 1:
            training = training.of_outputs(first, last)
        return Member(outputs, state, optimizer, training)

    def _run(self, function):
        """function(member) for all of them at once."""
        return self._threads.run([partial(function, member) for member in self._members])

    def learn(self, rows, learned, mixture=None):
        """Learn these rows in this order; see `_learning.learn`.

        After a failure, or when it was interrupted, the team is of no use any more, and the mixture
        is as it was.
        """
        if mixture is None:
            self._learn(rows, learned)
            return
        weights = mixture.weights.copy()
        try:
            self._learn_mixture(rows, learned, mixture)
        except BaseException:
            mixture.weights[...] = weights
            raise

    def _learn_mixture(self, rows, learned, mixture):
        """Rows by the models, a few at a time, and then what their steps do to the mixture."""
        training, n_all = self._members[0].training, self._state["intercept"].shape[1]
        size = -(-max(1, MOST_KEPT // n_all) // training.batch_size) * training.batch_size
        mix = kernel(training.data.dtype).mix
        learned.losses = np.zeros(1)
        for start in range(0, rows.size, size):
            part = rows[start : start + size]
            kept = np.empty((part.size, n_all)), np.empty((part.size, n_all))
            self._learn(part, Learned(), kept)
            if not mix(mixture, training, part, *kept, learned.losses):
                raise TrainingFailure(int(part[0]))
            learned.n_rows += part.size

    def _learn(self, rows, learned, kept=None):
        self._is_gathered = False
        members = self._members
        for member in members:
            member.learned = Learned()
        batch_size = members[0].training.batch_size
        turn = -(-rows.size // (N_TURNS * batch_size)) * batch_size
        waiting, lock = list(members), threading.Lock()

        def work():
            while not self._threads.interrupted:
                with lock:
                    if not waiting:
                        return
                    member = min(waiting, key=lambda member: member.learned.n_rows)
                    waiting.remove(member)
                self._take_turn(member, rows[: member.learned.n_rows + turn], kept)
                if member.learned.n_rows < rows.size and member.failed_row is None:
                    with lock:
                        waiting.append(member)

        self._threads.run([work] * min(self._threads.n_threads, len(members)))
        first = min(members, key=lambda member: member.learned.n_rows)
        learned.n_rows = first.learned.n_rows
        if first.failed_row is not None:
            raise TrainingFailure(first.failed_row)
        learned.losses = np.concatenate([member.learned.losses for member in members])

    def _take_turn(self, member, rows, kept):
        if kept is not None:
            first, last = member.outputs[[0, -1]]
            kept = tuple(array[:, first : last + 1] for array in kept)
        try:
            learn(
                member.optimizer,
                member.training,
                rows,
                member.learned,
                threads=self._threads,
                kept=kept,
            )
        except TrainingFailure as failure:
            member.failed_row = failure.row

    def put_intercepts(self):
        """Let the intercepts and the clock of the state be what those of its parts have become."""
        for member in self._members:
            _state.put_intercepts(self._state, member.state, member.outputs)

    def gather(self):
        """The same of the records; return the optimizer of the state."""
        if not self._is_gathered:
            self._run(self._put_records)
            self._is_gathered = True
        return _state.make_optimizer(self._state)

    def _put_records(self, member):
        _state.put_records(self._state, member.state, member.outputs, self._features)

    def put_all(self):
        """Both, in one thread; return the optimizer of the state."""
        self.put_intercepts()
        for member in self._members:
            self._put_records(member)
        return _state.make_optimizer(self._state)

    # -- see the kernel's Optimizer --

    def weights(self, features, out):
        def write(member):
            first, last = member.outputs[[0, -1]]
            member.optimizer.weights(features, out[first : last + 1])

        self._run(write)

    def penalties(self, features):
        return np.concatenate(self._run(lambda member: member.optimizer.penalties(features)))


def train_rows(optimizer, training, rows, progressive_loss=None, mixture=None, threads=None):
    """Learn these rows in this order; return the losses of outputs, see `Learned`.

    Parameters
    ----------
    optimizer : Optimizer or Team
    progressive_loss : float64 ndarray of shape (2,), default=None
        Increased by the sum of the losses and that of the weights, also for the rows before a
        failure.
    mixture : Mixture, default=None
        Losses are those of the mean then.
    threads : Threads, default=None
        Which may interrupt. A team has its own.

    Raises
    ------
    TrainingFailure
        Naming the first row of the step that was not done. All before it were, but by a team.
    """
    learned = Learned()
    try:
        if isinstance(optimizer, Team):
            optimizer.learn(rows, learned)
        else:
            learn(optimizer, training, rows, learned, mixture, threads)
    finally:
        if progressive_loss is not None:
            learned.add_to(progressive_loss, rows, training)
    return learned.losses
