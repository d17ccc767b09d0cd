"""Everything that happens once an epoch: order, objective, validation, stopping, progress."""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._threads import Threads
from ..model.records import allocate
from .averages import RunningMean
from .parts import ModelInParts
from .sampling import Sampling
from .steps import Learned, TrainingFailure

# The "adaptive" schedule divides the rate by this, until it is less than this share of the first.
RATE_DIVISOR = 5.0
LEAST_SHARE = 1e-6

# The first sentence is scikit-learn's, for programs that look for it.
OVERFLOW_ADVICE = (
    "Scaling input data with StandardScaler or MinMaxScaler might help. So might MaxAbsScaler, "
    "which keeps sparse rows sparse, or a smaller eta0."
)

# Runs are compared from this epoch on: the first ones of a small rate are behind in any case.
EPOCHS_OF_GRACE = 3


@dataclass
class Convergence:
    """The stopping rule of SGDClassifier: no gain of tol for some epochs in a row.

    Attributes
    ----------
    tol : float or None
        None: never stop.
    patience : int
        How many epochs in a row.
    relative : float
        Times the best value it is enough, where that is less than tol.
    """

    tol: float | None
    patience: int
    relative: float = np.inf
    best: float = np.inf
    without_gain: int = 0

    def is_stalled(self, value):
        """Take in an epoch's value, of which less is better."""
        if self.tol is not None and value > self.best - self._least_gain():
            self.without_gain += 1
        else:
            self.without_gain = 0
        self.best = min(self.best, value)
        return self.without_gain >= self.patience

    def _least_gain(self):
        if np.isfinite(self.relative) and np.isfinite(self.best):
            return min(self.tol, self.relative * abs(self.best))
        return self.tol


class Checkpoint:
    """A model at one moment, in a buffer that the next such moment overwrites.

    Parameters
    ----------
    features : int32 ndarray
        The features whose records are not those of a new model.
    """

    def __init__(self, features):
        self._features = features
        self._records = None
        self._words = None
        self._rest = None

    def keep(self, model):
        """Copy this model."""
        self._records = model.records
        if self._words is None:
            n_words = self._records.dtype.itemsize // np.dtype(np.uint64).itemsize
            self._words = np.empty((self._features.size, n_words), np.uint64)
        # any other mode makes another copy first
        np.take(_words_of(self._records), self._features, axis=0, out=self._words, mode="clip")
        self._rest = model.with_arrays(records=None).copy()

    def restored(self, model):
        """The model that was kept, in the records of this one if they are still the same array."""
        records = model.records
        if records is not self._records:
            # A new learning rate has settled what was pending in each record, with its own clock.
            records = allocate(records.shape[0], records.dtype)
        _words_of(records)[self._features] = self._words
        return self._rest.with_arrays(records=records)


def _words_of(records):
    return records.view(np.uint64).reshape(records.shape[0], -1)


@dataclass
class Progress:
    """What a run has come to.

    Attributes
    ----------
    model : Model
    loss_curve : list of float
        The objective of each epoch.
    validation_scores : list of float or None
        None without validation.
    row_losses : ndarray or None
        What each row that is scored adds to the loss, at the best score. None with other scores.
    best_iteration : int
        The epoch, counted from 1, of the best score.
    divisions : list of int
        The epochs after which the rate was divided.
    stopped_by : {"tol", "callback", "max_iter"} or None
        None while it runs.
    is_unfinished : bool
        Whether max_iter ended it and the last epoch was the best.
    """

    model: object
    loss_curve: list = field(default_factory=list)
    validation_scores: list | None = None
    row_losses: np.ndarray | None = None
    best_iteration: int = 0
    divisions: list = field(default_factory=list)
    stopped_by: str | None = None
    is_unfinished: bool = False

    @property
    def n_iter(self):
        return len(self.loss_curve)


@dataclass(frozen=True)
class FitOptions:
    """What a fit was asked for, beside what its records depend on.

    Attributes
    ----------
    max_iter, n_iter_no_change : int
    tol : float or None
        In the unit of what decides on stopping.
    relative_tol : float
        See `Convergence.relative`.
    shuffle : bool
    seed : int
        Of the order of the rows.
    adaptive : bool
        Whether to divide the learning rate when there is no gain any more.
    verbose : int
    divisions : tuple of int
        The epochs after which to divide the rate in any case.
    keeps_model : bool
        Whether somebody wants the model of the best epoch, and not only its number and score.
    rival : list of float or None
        The scores of another run: when this one is behind, it ends.
    n_threads : int
        How many may learn the outputs.
    averages : bool
        Whether the weights that are scored, and those of the result, are a `RunningMean`.
    sampling : Sampling or None
        Which rows are learned in each epoch. The training data have their weights.
    """

    max_iter: int
    tol: float | None
    n_iter_no_change: int
    shuffle: bool
    seed: int
    adaptive: bool
    verbose: int
    divisions: tuple = ()
    keeps_model: bool = True
    rival: list | None = None
    n_threads: int = 1
    averages: bool = False
    sampling: Sampling | None = None
    relative_tol: float = np.inf


def fit_epochs(model, training, rows, features, options, validation_score=None, task=None):
    """Train for up to max_iter epochs.

    Parameters
    ----------
    model : Model
        Changed in place.
    training : TrainingData
    rows : int64 ndarray
        The rows to learn.
    features : int32 ndarray or None
        The features whose weights are not zero for good, whose penalty counts, where records
        have nothing yet. None: all features, whose records may have something.
    options : FitOptions
    validation_score : callable, default=None
        Takes a `ModelInParts` and returns the score that decides on stopping, and on the epoch
        whose model is that of the result.
    task : FitTask, default=None
        Told of each epoch.

    Returns
    -------
    Progress

    Raises
    ------
    NotFinite
        If a step, the objective or a score would not be finite.
    """
    with Threads(options.n_threads) as threads:
        return _fit_epochs(
            model, training, rows, features, options, validation_score, task, threads
        )


def _fit_epochs(model, training, rows, features, options, validation_score, task, threads):
    starts_anew = features is not None
    features = features if starts_anew else model.all_features()
    generator = np.random.default_rng(options.seed)
    order = rows.copy()
    convergence = Convergence(options.tol, options.n_iter_no_change, options.relative_tol)
    progress = Progress(model)
    if validation_score is not None:
        progress.validation_scores, checkpoint = [], Checkpoint(features)
    begin = time.perf_counter()
    parts = ModelInParts(model, training, rows.size, features, threads, starts_anew)
    mean = RunningMean(features, model.n_features) if options.averages else None
    best_mean = None
    least_rate = LEAST_SHARE * model.learning_rate
    for epoch in range(1, options.max_iter + 1):
        if task is not None:
            if mean is None:
                parts.whole()
            task.begin_epoch(progress)
        if options.shuffle:
            generator.shuffle(order)
        chosen = order
        if options.sampling is not None:
            chosen = options.sampling.of(order, training, epoch)
        learned = Learned()
        try:
            if mean is None:
                parts.learn(chosen, learned)
            else:
                mean.learn(parts, chosen, learned)
        except TrainingFailure as failure:
            raise _overflow(epoch, failure.row) from None
        if epoch == 1:
            # later the rows have been seen
            learned.add_to(model.progressive_loss, chosen, training)
        objective = learned.losses.sum() / order.shape[0] + parts.penalties(features).sum()
        if not np.isfinite(objective):
            raise _overflow(epoch, None)
        progress.loss_curve.append(objective)
        value = objective
        if validation_score is None:
            progress.best_iteration = epoch
        else:
            score = validation_score(parts if mean is None else mean)
            if not np.isfinite(score):
                raise NotFinite(f"The validation score is {score} after epoch #{epoch}.")
            # of equal ones the first
            if not progress.validation_scores or score > max(progress.validation_scores):
                if options.keeps_model:
                    checkpoint.keep(parts.whole())
                    best_mean = None if mean is None else mean.kept()
                progress.best_iteration = epoch
                progress.row_losses = getattr(validation_score, "row_losses", None)
            progress.validation_scores.append(score)
            value = -score
        if options.verbose:
            parts.intercepts()
            _print_epoch(progress, options.max_iter, time.perf_counter() - begin)
        stop = False
        if task is not None:
            # a mean is a model of its own, of which nothing is learned on
            progress.model = parts.whole() if mean is None else mean.whole()
            stop = task.end_epoch(progress)
        stalled = convergence.is_stalled(value)
        if stalled and not (options.adaptive and model.learning_rate > least_rate):
            progress.stopped_by = "tol"
        elif stop:
            progress.stopped_by = "callback"
        elif epoch == options.max_iter:
            progress.stopped_by = "max_iter"
            progress.is_unfinished = progress.best_iteration == epoch
        elif options.rival is not None and _is_behind(progress.validation_scores, options.rival):
            progress.stopped_by = "rival"
        if progress.stopped_by is not None:
            break
        if stalled or epoch in options.divisions:
            progress.divisions.append(epoch)
            numbers = parts.whole().hyperparameters
            model = model.successor(numbers.with_numbers(eta0=numbers.eta0 / RATE_DIVISOR))
            progress.model = model
            parts = ModelInParts(model, training, rows.size, features, threads, is_new=False)
            convergence.without_gain = 0
    if options.keeps_model and progress.best_iteration < epoch:
        progress.model = checkpoint.restored(model)
    elif options.keeps_model:
        progress.model = parts.whole()
    if options.keeps_model and mean is not None:
        mean.put_into(progress.model, best_mean)
    if options.verbose:
        print(
            f"Stopped by {progress.stopped_by} after {epoch} epochs and "
            f"{time.perf_counter() - begin:.2f} s. The best epoch is {progress.best_iteration}"
        )
    return progress


def _is_behind(scores, rival):
    """Whether the last score is worse than the rival's at that epoch, and all are than its best."""
    epoch = len(scores)
    if epoch < EPOCHS_OF_GRACE or epoch > len(rival):
        return False
    return scores[-1] < rival[epoch - 1] and max(scores) < max(rival)


class NotFinite(ValueError):
    """A step, the objective or a score would not be finite."""


def _overflow(epoch, row):
    where = f"at epoch #{epoch}" if row is None else f"at epoch #{epoch}, row {row}"
    return NotFinite(f"Floating-point under-/overflow occurred {where}. {OVERFLOW_ADVICE}")


def warn_of_few_epochs(what, max_iter, stacklevel=6):
    """Warn whoever called fit that the last epoch was the best."""
    warnings.warn(
        # the words of SGDClassifier, for programs that look for them
        "Maximum number of iteration reached before convergence. Consider increasing "
        f"max_iter to improve the fit. The {what} was best after the last of "
        f"max_iter={max_iter} epochs.",
        ConvergenceWarning,
        # of the caller of fit, which two decorators wrap
        stacklevel=stacklevel,
    )


def _print_epoch(progress, max_iter, seconds):
    model, epoch = progress.model, progress.n_iter
    rate = model.learning_rate / model.t**model.hyperparameters.power_t
    parts = [
        f"Epoch {epoch:{len(str(max_iter))}} of {max_iter}: learning rate {rate:.3g}",
        f"objective {progress.loss_curve[-1]:.6g}",
        f"{seconds:.2f} s",
        f"at most {seconds / epoch * (max_iter - epoch):.2f} s left",
    ]
    if progress.validation_scores is not None:
        parts.insert(2, f"validation score {progress.validation_scores[-1]:.6g}")
    print(", ".join(parts))
