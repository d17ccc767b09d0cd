"""A model whose outputs are learned by several threads, each of which has some of them."""

import threading
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from .._threads import parts_of
from ..kernel.optimizers import kernel
from .steps import Learned, TrainingFailure, learn

# To share less than this, entries times outputs, takes longer than to learn it.
LEAST_WORK = 1 << 18

# The least that a vector of processors has room for. A part of one output would be computed in
# another way.
LEAST_LANES = 4

# Models of a mixture keep so many raw predictions, and losses, until their mean takes them in.
MOST_KEPT = 1 << 20

# Parts take turns at the threads, after each such share of the rows.
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
    """The outputs of each part lie between two of these: those of whole models, of several.

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
class Part:
    """Some of the outputs.

    Attributes
    ----------
    outputs : int64 ndarray
        Consecutive numbers.
    model : Model
    training : TrainingData
        What they are told.
    learned : Learned
        Of the last rows.
    failed_row : int or None
        The first row of the step that could not be done, if there was one.
    """

    outputs: np.ndarray
    model: Any
    training: Any
    learned: Learned | None = None
    failed_row: int | None = None


class ModelInParts:
    """A model that learns in parts by output, one of them or as many as threads can share.

    Threads share nothing but the rows, which nobody writes. An output is told the same as beside
    the others, and sums are made in the same order: so no bit depends on the number of threads.

    Parameters
    ----------
    model : Model
        Of all outputs. Where there are several parts it is as it was until `whole`. Each is some of
        the outputs, or of a mixture some of the models.
    training : TrainingData
    n_rows : int
        How many rows it will learn.
    features : int32 ndarray
        The features whose records are not those of a new model, or that occur.
    threads : Threads
    is_new : bool
        Whether the records have nothing yet.
    """

    def __init__(self, model, training, n_rows, features, threads, is_new):
        self._model, self._features, self._threads = model, features, threads
        self._is_gathered = True
        if not can_share(training, n_rows, threads, model.n_models):
            outputs = np.arange(model.intercept.shape[1])
            self._parts = [Part(outputs, model, training)]
            return
        ends = _ends_of_parts(training, threads.n_threads, model.n_models)
        begun = features[:0] if is_new else features
        self._parts = threads.run(
            [partial(self._part, training, begun, first, last) for first, last in pairwise(ends)]
        )

    @property
    def batch_size(self):
        return self._parts[0].training.batch_size

    def _part(self, training, begun, first, last):
        outputs = np.arange(first, last)
        if self._model.n_models == 1:
            training = training.of_outputs(first, last)
        return Part(outputs, self._model.part(outputs, begun), training)

    def _run(self, function):
        """function(part) for all of them at once."""
        return self._threads.run([partial(function, part) for part in self._parts])

    def learn(self, rows, learned):
        """Learn these rows in this order; see `steps.learn`.

        After a failure, or when it was interrupted, the parts are of no use any more.
        """
        if self._model.n_models > 1 and len(self._parts) > 1:
            self._learn_mixture(rows, learned)
        else:
            self._learn(rows, learned)

    def _learn_mixture(self, rows, learned):
        """Let the models learn rows, a few at a time, and then do to the mixture what they do.

        After a failure the mixture is as it was.
        """
        mixture, training = self._model, self._parts[0].training
        n_all = mixture.intercept.shape[1]
        size = -(-max(1, MOST_KEPT // n_all) // training.batch_size) * training.batch_size
        mix = kernel(training.data.dtype).mix
        learned.losses = np.zeros(1)
        names = "weights", "unit", "occurred"
        before = [getattr(mixture, name).copy() for name in names]
        try:
            for start in range(0, rows.size, size):
                part = rows[start : start + size]
                kept = np.empty((part.size, n_all)), np.empty((part.size, n_all))
                self._learn(part, Learned(), kept)
                told = np.zeros(3)
                if not mix(mixture, training, part, *kept, learned.losses, told):
                    raise TrainingFailure(int(part[0]))
                learned.add_told(tuple(told.tolist()))
                learned.n_rows += part.size
        except BaseException:
            for name, values in zip(names, before, strict=True):
                getattr(mixture, name)[...] = values
            raise

    def _learn(self, rows, learned, kept=None):
        parts = self._parts
        if len(parts) == 1:
            learn(parts[0].model, parts[0].training, rows, learned)
            return
        self._is_gathered = False
        for part in parts:
            part.learned = Learned()
        turn = -(-rows.size // (N_TURNS * self.batch_size)) * self.batch_size
        waiting, lock = list(parts), threading.Lock()

        def work():
            while not self._threads.interrupted:
                with lock:
                    if not waiting:
                        return
                    part = min(waiting, key=lambda part: part.learned.n_rows)
                    waiting.remove(part)
                self._take_turn(part, rows[: part.learned.n_rows + turn], kept)
                if part.learned.n_rows < rows.size and part.failed_row is None:
                    with lock:
                        waiting.append(part)

        self._threads.run([work] * min(self._threads.n_threads, len(parts)))
        first = min(parts, key=lambda part: part.learned.n_rows)
        learned.n_rows = first.learned.n_rows
        if first.failed_row is not None:
            raise TrainingFailure(first.failed_row)
        learned.losses = np.concatenate([part.learned.losses for part in parts])

    def _take_turn(self, part, rows, kept):
        if kept is not None:
            first, last = part.outputs[[0, -1]]
            kept = tuple(array[:, first : last + 1] for array in kept)
        try:
            learn(part.model, part.training, rows, part.learned, self._threads, kept)
        except TrainingFailure as failure:
            part.failed_row = failure.row

    def whole(self):
        """Return the model, with all that its parts have become."""
        if not self._is_gathered:
            self._put_intercepts()
            self._run(self._put_records)
            self._is_gathered = True
        return self._model

    def whole_by_this_thread(self):
        """Return the model as `whole` does, without other threads."""
        self._put_intercepts()
        for part in self._parts:
            self._put_records(part)
        self._is_gathered = True
        return self._model

    def _put_intercepts(self):
        for part in self._parts:
            self._model.put_intercepts(part.model, part.outputs)

    def _put_records(self, part):
        self._model.put_records(part.model, part.outputs, self._features)

    def coefficients(self, features):
        """Compute the weights of these features as of now: of shape (n_outputs, n)."""
        if len(self._parts) == 1:
            return self._model.coefficients(features)
        return np.concatenate(self._run(lambda part: part.model.coefficients(features)))

    def intercepts(self):
        """Compute the intercepts as of now."""
        if len(self._parts) > 1:
            self._put_intercepts()
        columns = self._model.column_features()
        return self._model.intercepts(self.coefficients(columns) if columns.size else None)

    def penalties(self, features):
        """Of each output the penalty of the weights of these features."""
        return np.concatenate(self._run(lambda part: part.model.penalties(features)))
