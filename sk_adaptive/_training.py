"""Everything that happens once an epoch: order, objective, validation, stopping, progress."""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from . import _state
from ._learning import TrainingFailure
from ._team import Team, can_share, train_rows
from ._threads import Threads
from ._validation_rows import ValidationLoss

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


class Checkpoint:
    """A state at one moment, in a buffer that the next such moment overwrites.

    Parameters
    ----------
    features : int32 ndarray
        The features whose records are not those of a new state.
    """

    def __init__(self, features):
        self._features = features
        self._records = None
        self._words = None
        self._rest = None

    def keep(self, state):
        """Copy this state."""
        self._records = state["records"]
        if self._words is None:
            n_words = self._records.dtype.itemsize // np.dtype(np.uint64).itemsize
            self._words = np.empty((self._features.size, n_words), np.uint64)
        # any other mode makes another copy first
        np.take(_words_of(self._records), self._features, axis=0, out=self._words, mode="clip")
        self._rest = _state.snapshot({**state, "records": None})

    def restored(self, state):
        """The state that was kept, in the records of this one if they are still the same array."""
        records = state["records"]
        if records is not self._records:
            # A new learning rate has settled what was pending in each record, with its own clock.
            records = _state.allocate(records.shape[0], records.dtype)
        _words_of(records)[self._features] = self._words
        return {**self._rest, "records": records}


def _words_of(records):
    return records.view(np.uint64).reshape(records.shape[0], -1)


@dataclass
class Progress:
    """What a run has come to.

    Attributes
    ----------
    state : dict
    loss_curve : list of float
        The objective of each epoch.
    validation_scores : list of float or None
        None without validation.
    best_iteration : int
        The epoch, counted from 1, of the best score.
    divisions : list of int
        The epochs after which the rate was divided.
    stopped_by : {"tol", "callback", "max_iter"} or None
        None while it runs.
    is_unfinished : bool
        Whether max_iter ended it and the last epoch was the best.
    """

    state: dict
    loss_curve: list = field(default_factory=list)
    validation_scores: list | None = None
    best_iteration: int = 0
    divisions: list = field(default_factory=list)
    stopped_by: str | None = None
    is_unfinished: bool = False

    @property
    def n_iter(self):
        return len(self.loss_curve)


@dataclass(frozen=True)
class RunSettings:
    """What a fit was asked for, beside what its records depend on.

    Attributes
    ----------
    max_iter, n_iter_no_change : int
    tol : float or None
        In the unit of what decides on stopping.
    shuffle : bool
    seed : int
        Of the order of the rows.
    adaptive : bool
        Whether to divide the learning rate when there is no gain any more.
    verbose : int
    divisions : tuple of int
        The epochs after which to divide the rate in any case.
    keeps_state : bool
        Whether somebody wants the state of the best epoch, and not only its number and score.
    rival : list of float or None
        The scores of another run: when this one is behind, it ends.
    n_threads : int
        How many may learn the outputs.
    """

    max_iter: int
    tol: float | None
    n_iter_no_change: int
    shuffle: bool
    seed: int
    adaptive: bool
    verbose: int
    divisions: tuple = ()
    keeps_state: bool = True
    rival: list | None = None
    n_threads: int = 1


def fit_epochs(state, training, rows, features, settings, validation_score=None, task=None):
    """Train for up to max_iter epochs.

    Parameters
    ----------
    state : dict
        Changed in place.
    training : TrainingData
    rows : int64 ndarray
        The rows to learn.
    features : int32 ndarray or None
        The features whose weights are not zero for good, whose penalty counts, where records
        have nothing yet. None: all features, whose records may have something.
    settings : RunSettings
    validation_score : callable, default=None
        Takes a state and its optimizer and returns the score that decides on stopping, and on
        the epoch whose state is that of the result.
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
    with Threads(settings.n_threads) as threads:
        return _fit_epochs(
            state, training, rows, features, settings, validation_score, task, threads
        )


def _fit_epochs(state, training, rows, features, settings, validation_score, task, threads):
    starts_anew = features is not None
    features = features if starts_anew else _state.all_features(state)

    def optimizer_of(state, is_new):
        if can_share(training, rows.size, threads):
            return Team(state, training, features, threads, is_new)
        return _state.make_optimizer(state)

    def gathered():
        """An optimizer of the state, whose records are as of now."""
        return optimizer.gather() if isinstance(optimizer, Team) else optimizer

    generator = np.random.default_rng(settings.seed)
    order = rows.copy()
    convergence = Convergence(settings.tol, settings.n_iter_no_change)
    progress = Progress(state)
    if validation_score is not None:
        progress.validation_scores, checkpoint = [], Checkpoint(features)
    begin = time.perf_counter()
    optimizer = optimizer_of(state, starts_anew)
    least_rate = LEAST_SHARE * state["eta0"]
    for epoch in range(1, settings.max_iter + 1):
        if task is not None:
            task.begin_epoch(progress, gathered())
        if settings.shuffle:
            generator.shuffle(order)
        try:
            # later the rows have been seen
            progressive_loss = state["progressive_loss"] if epoch == 1 else None
            losses = train_rows(optimizer, training, order, progressive_loss)
        except TrainingFailure as failure:
            raise _overflow(epoch, failure.row) from None
        objective = losses.sum() / order.shape[0] + optimizer.penalties(features).sum()
        if not np.isfinite(objective):
            raise _overflow(epoch, None)
        progress.loss_curve.append(objective)
        if isinstance(optimizer, Team):
            optimizer.put_intercepts()
        value = objective
        if validation_score is None:
            progress.best_iteration = epoch
        else:
            reads_weights_only = isinstance(validation_score, ValidationLoss)
            score = validation_score(state, optimizer if reads_weights_only else gathered())
            if not np.isfinite(score):
                raise NotFinite(f"The validation score is {score} after epoch #{epoch}.")
            # of equal ones the first
            if not progress.validation_scores or score > max(progress.validation_scores):
                if settings.keeps_state:
                    gathered()
                    checkpoint.keep(state)
                progress.best_iteration = epoch
            progress.validation_scores.append(score)
            value = -score
        if settings.verbose:
            _print_epoch(progress, settings.max_iter, time.perf_counter() - begin)
        stop = task is not None and task.end_epoch(progress, gathered())
        stalled = convergence.is_stalled(value)
        if stalled and not (settings.adaptive and state["eta0"] > least_rate):
            progress.stopped_by = "tol"
        elif stop:
            progress.stopped_by = "callback"
        elif epoch == settings.max_iter:
            progress.stopped_by = "max_iter"
            progress.is_unfinished = progress.best_iteration == epoch
        elif settings.rival is not None and _is_behind(progress.validation_scores, settings.rival):
            progress.stopped_by = "rival"
        if progress.stopped_by is not None:
            break
        if stalled or epoch in settings.divisions:
            progress.divisions.append(epoch)
            gathered()
            state = _state.with_settings(state, state["settings"], state["eta0"] / RATE_DIVISOR)
            progress.state = state
            optimizer = optimizer_of(state, is_new=False)
            convergence.without_gain = 0
    if settings.keeps_state and progress.best_iteration < epoch:
        progress.state = checkpoint.restored(state)
    elif settings.keeps_state:
        gathered()
    if settings.verbose:
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


def warn_of_few_epochs(what, max_iter):
    """Warn whoever called fit that the last epoch was the best."""
    warnings.warn(
        # the words of SGDClassifier, for programs that look for them
        "Maximum number of iteration reached before convergence. Consider increasing "
        f"max_iter to improve the fit. The {what} was best after the last of "
        f"max_iter={max_iter} epochs.",
        ConvergenceWarning,
        # the caller of fit, which two decorators wrap
        stacklevel=6,
    )


def _print_epoch(progress, max_iter, seconds):
    state, epoch = progress.state, progress.n_iter
    rate = state["eta0"] / int(state["clock"]["t"]) ** state["settings"]["power_t"]
    parts = [
        f"Epoch {epoch:{len(str(max_iter))}} of {max_iter}: learning rate {rate:.3g}",
        f"objective {progress.loss_curve[-1]:.6g}",
        f"{seconds:.2f} s",
        f"at most {seconds / epoch * (max_iter - epoch):.2f} s left",
    ]
    if progress.validation_scores is not None:
        parts.insert(2, f"validation score {progress.validation_scores[-1]:.6g}")
    print(", ".join(parts))
