"""Candidates of a search: trained side by side in every fold, scored, and given up."""

import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from .._threads import parts_of
from .epochs import EPOCHS_OF_GRACE, OVERFLOW_ADVICE, Convergence
from .side_by_side import SideBySide, bytes_of_records, clock_rate_of, groups_of

# With fewer outputs a thread learns as long: a vector of processors has room for so many.
OUTPUTS_A_THREAD = 8

# Records of more outputs, which no longer fit into the caches, take longer than several passes.
OUTPUTS_A_RECORD = 128


@dataclass
class Course:
    """What a candidate has come to in a fold.

    Attributes
    ----------
    convergence : Convergence
        Of the training objective.
    error : Exception or None
        What made it fail.
    scores : tuple of (dict of str to float)
        By the name of the metric: on the rows held out, and perhaps on those learned. None: it was
        not scored.
    n_epochs : int
    fit_time, score_time : float
        Seconds: its share of what the candidates of a record took together.
    """

    convergence: Convergence
    error: Exception | None = None
    scores: tuple | None = None
    n_epochs: int = 0
    has_stalled: bool = False
    fit_time: float = 0.0
    score_time: float = 0.0


@dataclass
class Candidate:
    """A candidate, as it stands in all folds.

    Attributes
    ----------
    number : int
    parameters : dict
    averages : bool
        Whether its scores are those of the mean of its last weights.
    courses : list of Course
        Of each fold.
    convergence : Convergence
        Of the mean score.
    means : list of float
        The mean over the folds, after each epoch, of the score that decides.
    n_iter : int
        The best number of epochs.
    scores : list of `Course.scores`
        Of each fold, after that number of epochs.
    stopped_by : {'tol', 'pruned', 'max_iter', 'callback', 'failed'} or None
        Why it is not learned any more; None: it is.
    """

    number: int
    parameters: dict
    averages: bool = False
    courses: list = field(default_factory=list)
    convergence: Convergence | None = None
    means: list = field(default_factory=list)
    n_iter: int = 0
    scores: list = field(default_factory=list)
    stopped_by: str | None = None

    @property
    def best(self):
        return max(self.means, default=-np.inf)

    @property
    def has_failed(self):
        return any(course.error is not None for course in self.courses)

    def take_scores(self):
        """Let the scores and the number of epochs be those of now."""
        self.scores = [course.scores for course in self.courses]
        self.n_iter = max(course.n_epochs for course in self.courses)

    def fail(self):
        """Let it have failed, in some folds, with the scores of now in the others."""
        self.take_scores()
        self.stopped_by = "failed"

    def take_mean(self, mean):
        """Take in the mean score of an epoch."""
        # of equal ones the first
        if not mean <= self.best:
            self.take_scores()
        self.means.append(mean)
        if np.isnan(mean):
            self.stopped_by = "failed"
        elif self.convergence.is_stalled(-mean):
            self.stopped_by = "tol"

    def is_hopeless(self, best):
        """Whether it will hardly come to this score.

        Learning curves flatten, as logarithms at least. This one would stay below if it rose, in as
        many epochs again, as much as in the second half so far.
        """
        n = len(self.means)
        if n < EPOCHS_OF_GRACE:
            return False
        half = (n - 1) // 2
        gain = self.means[-1] - self.means[half - 1]
        return max(self.means) + max(gain, 0.0) < best


class Fold:
    """A group of candidates, on the rows of one fold.

    Parameters
    ----------
    training : TrainingData
        Normalised, if that is asked for.
    rows : int64 ndarray
        The rows to learn.
    features : int64 ndarray
        All features that occur.
    scale : ndarray of shape (n_features,) or None
        With normalize, the sizes of the features.
    columns : array of the type `COLUMN`
        The columns that are centred and scaled in `training`.
    starts : dict of int to (Start or Exception)
        By the number of the candidate: how it starts, or why it can't.
    options : FitOptions
        Its `tol` is of the training objective, with None for no end by that. With `averages` the
        means of the candidates' last weights are scored.
    score : callable
        Takes a SideBySide and places in it; returns `Course.scores`, or the exception, of each.
    n_parts : int
        How many threads may learn the candidates, where there are enough of them.

    Attributes
    ----------
    courses : dict of int to Course
    running : set of int
        The candidates that are still learned.
    """

    def __init__(self, training, rows, features, scale, columns, starts, options, score, n_parts):
        self._training, self._features, self._scale = training, features, scale
        self._columns, self._averages = columns, options.averages
        self._order, self._shuffle = rows.copy(), options.shuffle
        self._sampling, self._chosen, self._epoch = options.sampling, self._order, 0
        self._learned = training
        if self._sampling is not None:
            self._learned = self._sampling.weighted(training)
        self._generator = np.random.default_rng(options.seed)
        self._tol, self._score = options.tol, score
        self.courses = {
            number: Course(
                Convergence(options.tol, options.n_iter_no_change),
                start if isinstance(start, Exception) else None,
            )
            for number, start in starts.items()
        }
        numbers = [number for number, course in self.courses.items() if course.error is None]
        starts = [starts[number] for number in numbers]
        self.running = set(numbers)
        self._plan = []
        for places in groups_of(starts) if starts else []:
            clock_rate = clock_rate_of([starts[place] for place in places])
            n_outputs = len(places) * training.n_outputs
            least, most = (-(-n_outputs // n) for n in (OUTPUTS_A_RECORD, OUTPUTS_A_THREAD))
            for part in parts_of(len(places), max(least, min(n_parts, most))):
                of_part = places[part]
                members = [numbers[place] for place in of_part]
                self._plan.append((members, [starts[place] for place in of_part], clock_rate))
        self._records = None

    @property
    def n_features(self):
        """How many features occur."""
        return self._features.size

    def n_bytes(self):
        """What the records take."""
        return sum(
            bytes_of_records(starts, self._training, self.n_features) for _, starts, _ in self._plan
        )

    def begin(self):
        """Allocate the records."""
        self._records = [
            SideBySide(
                members,
                starts,
                self._training,
                self._features,
                self._scale,
                clock_rate,
                self._columns,
                self._averages,
            )
            for members, starts, clock_rate in self._plan
        ]

    def begin_epoch(self, threads):
        """What is to be called to learn all rows once, in any order or at once."""
        if self._shuffle:
            self._generator.shuffle(self._order)
        self._epoch += 1
        if self._sampling is not None:
            self._chosen = self._sampling.of(self._order, self._training, self._epoch)
        return [partial(self._learn, record, threads) for record in self._records]

    def _learn(self, record, threads):
        begin, learning = time.perf_counter(), self._places(record)
        failed = {*record.learn(self._learned, self._chosen, threads)}
        failed.update(record.members[~np.isfinite(record.losses)].tolist())
        seconds = time.perf_counter() - begin
        for number in learning:
            course = self.courses[number]
            course.n_epochs += 1
            course.fit_time += seconds / len(learning)
            if number in failed:
                course.error = ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{course.n_epochs}. "
                    f"{OVERFLOW_ADVICE}"
                )

    def _places(self, record, among=None):
        """The place in a record of each candidate that is still learned, and among these."""
        running = self.running if among is None else self.running & among
        return {
            number: place
            for place, number in enumerate(record.members.tolist())
            if number in running and self.courses[number].error is None
        }

    def stalled(self):
        """Take in the training objectives of the epoch; return whose have stalled."""
        for record in self._records if self._tol is not None else []:
            objectives = record.losses / self._order.size + record.penalties()
            for number, place in self._places(record).items():
                course = self.courses[number]
                course.has_stalled = course.convergence.is_stalled(objectives[place])
        return {number for number in self.running if self.courses[number].has_stalled}

    def score(self, candidates):
        """Score these candidates, those of them that are still learned."""
        for record in self._records:
            places = self._places(record, candidates)
            begin = time.perf_counter()
            scores = self._score(record, list(places.values())) if places else []
            seconds = time.perf_counter() - begin
            for number, of_candidate in zip(places, scores, strict=True):
                course = self.courses[number]
                course.score_time += seconds / len(places)
                if isinstance(of_candidate, Exception):
                    course.error = of_candidate
                else:
                    course.scores = of_candidate

    def keep(self, candidates):
        """Learn these on, and the others no more than is no trouble."""
        self.running &= {n for n in candidates if self.courses[n].error is None}
        for record in self._records:
            if record.members.size:
                record.keep(list(self.running))
        self._records = [record for record in self._records if self._places(record)]


class Race:
    """The epochs of a group of candidates, and who is still in it.

    Parameters
    ----------
    candidates : list of Candidate
    folds : list of Fold
        Of these candidates.
    options : FitOptions
        Its `tol` is of the mean score.
    threads : Threads
    task : SearchTask or None
        Told of each epoch.
    """

    def __init__(self, candidates, folds, options, threads, task):
        self._candidates, self._folds, self._options = candidates, folds, options
        self._threads, self._task = threads, task
        self._n_epochs, self._begin = 0, time.perf_counter()
        for candidate in candidates:
            candidate.courses = [fold.courses[candidate.number] for fold in folds]
            candidate.convergence = Convergence(options.tol, options.n_iter_no_change)

    def find_epochs(self, mean_score, prunes, best):
        """Learn each candidate until its mean score has stalled, and find the best epoch.

        Parameters
        ----------
        mean_score : callable
            Takes the `Course.scores` of all folds and returns the number that decides.
        prunes : bool
            Whether to give up candidates that are hopeless.
        best : float
            The best mean score of other groups.

        Returns
        -------
        best : float
            The best mean score of all.
        """
        running = self._unfailed(self._candidates)
        while running:
            ended_by = self._learn()
            self._score([{each.number for each in running}] * len(self._folds))
            running = self._unfailed(running)
            for each in running:
                each.take_mean(mean_score([course.scores for course in each.courses]))
            best = max([best, *(each.best for each in running if each.stopped_by != "failed")])
            for each in running:
                if each.stopped_by is None:
                    hopeless = prunes and each.is_hopeless(best)
                    each.stopped_by = ended_by or ("pruned" if hopeless else None)
            running = [each for each in running if each.stopped_by is None]
            for fold in self._folds:
                fold.keep({each.number for each in running})
            self._print(len(running), best)
        return best

    def _unfailed(self, running):
        """Take out those that have failed in a fold, with their scores in the others."""
        for each in running:
            if each.has_failed:
                each.fail()
        return [each for each in running if not each.has_failed]

    def learn(self):
        """Learn each candidate in each fold as long as `fit` does without early stopping."""
        ended_by = None
        while any(fold.running for fold in self._folds):
            ended_by = self._learn()
            ended = [fold.stalled() for fold in self._folds]
            if ended_by is not None:
                ended = [fold.running for fold in self._folds]
            self._score(ended)
            for fold, of_fold in zip(self._folds, ended, strict=True):
                fold.keep(fold.running - of_fold)
            self._print(len(set().union(*(fold.running for fold in self._folds))))
        for each in self._candidates:
            each.take_scores()
            stalled = all(course.has_stalled for course in each.courses)
            each.stopped_by = "failed" if each.has_failed else "tol" if stalled else ended_by

    def _learn(self):
        """Learn an epoch in all folds; return what makes it the last one, or None."""
        self._n_epochs += 1
        if self._task is not None:
            self._task.begin_epoch()
        threads = self._threads
        threads.run([call for fold in self._folds for call in fold.begin_epoch(threads)])
        if self._task is not None and self._task.end_epoch():
            return "callback"
        return "max_iter" if self._n_epochs == self._options.max_iter else None

    def _score(self, candidates):
        """Score in each fold the candidates that are given for it."""
        pairs = zip(self._folds, candidates, strict=True)
        self._threads.run([partial(fold.score, of_fold) for fold, of_fold in pairs])

    def _print(self, n_running, best=-np.inf):
        if self._options.verbose:
            parts = [
                f"Epoch {self._n_epochs} of {self._options.max_iter}: {n_running} of "
                f"{len(self._candidates)} candidates go on"
            ]
            if best > -np.inf:
                parts.append(f"best mean score {best:.6g}")
            print(", ".join([*parts, f"{time.perf_counter() - self._begin:.2f} s"]))
