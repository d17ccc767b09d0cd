"""Learning rows by the kernel, a few at a time for Ctrl-C to be seen."""

import math
from operator import add

from ..kernel.optimizers import kernel
from ..model.mixture import Mixture

# Entries (times outputs) that the kernel learns between two looks at signals:
# a small fraction of a second.
ENTRIES_PER_CALL = 1 << 20


class TrainingFailure(ValueError):
    """A step would have made the model non-finite."""

    def __init__(self, row):
        super().__init__(row)
        self.row = row


class Learned:
    """How far the learning of some rows has come, whatever ended it.

    Attributes
    ----------
    losses : float64 ndarray or None
        Those of the rows, summed, see the kernel's `train`. None before the first.
    n_rows : int
    told : tuple of float or None
        Of one output, see the kernel's `train`.
    """

    def __init__(self):
        self.losses, self.n_rows = None, 0
        self.told = None

    def add_to(self, progressive_loss, rows, training):
        """Take what these rows tell, each before it was learned, into sums, see `Model`."""
        if self.losses is None:
            return
        weights, learned = training.sample_weight, rows[: self.n_rows]
        # quicker than to add a pair
        progressive_loss[0] += math.fsum(self.losses[: training.n_known].tolist())
        progressive_loss[1] += weights[learned].sum() if weights.size else learned.size
        if training.n_outputs == 1:
            residual, positive, negative = self.told
            progressive_loss[2] += residual
            progressive_loss[3] += positive
            progressive_loss[4] += negative

    def add_told(self, told):
        """Add what more rows tell."""
        if self.told is None:
            self.told = told
        elif told is not None:
            self.told = tuple(map(add, self.told, told))


def learn(model, training, rows, learned, threads=None, kept=None):
    """Learn these rows in this order.

    Parameters
    ----------
    model : Model
        Of a mixture a model that fails is dropped as long as another is left.
    training : TrainingData
    rows : int64 ndarray
    learned : Learned
        Changed.
    threads : Threads, default=None
        Which may interrupt.
    kept : pair of ndarrays, default=None
        See the kernel's `train`.

    Raises
    ------
    TrainingFailure
        Naming the first row of the step that was not done. All before it were.
    """
    n_rows = max(1, training.targets.shape[0])
    entries_per_row = max(1.0, training.indices.shape[0] / n_rows) * training.n_outputs
    entries_per_row *= model.n_models
    mixture = model if isinstance(model, Mixture) else None
    train = kernel(training.data.dtype).train
    steps = max(1, int(ENTRIES_PER_CALL / (entries_per_row * training.batch_size)))
    chunk = steps * training.batch_size
    # Between two calls Python handles Ctrl-C, with the state at the end of a step.
    while learned.n_rows < rows.shape[0]:
        if threads is not None and threads.interrupted:
            return
        part = rows[learned.n_rows : learned.n_rows + chunk]
        of_part = None
        if kept is not None:
            raw_predictions, losses = kept
            first = learned.n_rows // training.batch_size
            of_part = raw_predictions[learned.n_rows :], losses[first:]
        learned.losses, failed, told = train(
            model.optimizer, training, part, mixture, learned.losses, of_part
        )
        learned.add_told(told)
        learned.n_rows += part.size if failed < 0 else failed
        if failed >= 0 and not (mixture is not None and mixture.drop_failed()):
            raise TrainingFailure(int(part[failed]))


def learn_all(model, training, rows, progressive_loss=None, threads=None):
    """Learn these rows in this order; return the losses of outputs, see `Learned`.

    Parameters
    ----------
    model : Model
    training : TrainingData
    rows : int64 ndarray
    progressive_loss : float64 ndarray of shape (5,), default=None
        See `Model`. Increased, also for the rows before a failure.
    threads : Threads, default=None
        Which may interrupt.

    Raises
    ------
    TrainingFailure
        Naming the first row of the step that was not done. All before it were.
    """
    learned = Learned()
    try:
        learn(model, training, rows, learned, threads)
    finally:
        if progressive_loss is not None:
            learned.add_to(progressive_loss, rows, training)
    return learned.losses
