"""The candidates of a search: which are trained side by side, in what order, and how they start."""

import math
import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures
from sklearn.utils import check_random_state

from ..data.columns import NO_COLUMNS, columns_of, standardised
from ..kernel.optimizers import OPTIMIZERS
from ..model.hyperparameters import divides_by_largest
from ..training.epochs import FitOptions
from ..training.memory import memory_limit
from ..training.race import Candidate, Course, Fold, Race
from ..training.sampling import LARGEST_SEED, sampling_of
from ..training.start import (
    averages_last,
    least_gain,
    standardises,
    start_of,
    takes_from_rows,
)
from .folds import SharedRows, TransformedRows
from .ours import check, ours
from .pipelines import last_step_of
from .scorers import LossScorer, ScoreSideBySide

# param_grid="auto": multiples of the automatic strength, and by multiples of eps those of the rate
# that suit it. With a larger eps the first steps of a coefficient are shorter, so that its rate may
# be larger. A smaller one is for rare words that tell much.
STRENGTHS = (1, 1e4)
RATES_BY_EPS = {1: (1 / 3, 1, 3), 10: (1, 3), 100: (3,), 0.01: (1,)}
# Where moments age, rates are so many times as large.
FASTER = 3

# Models that differ in these only are trained side by side.
SIDE_BY_SIDE = ("eta0", "alpha", "l1_ratio", "eps")


class Search:
    """The candidates of a search, and their training.

    Parameters
    ----------
    search : AdaptiveGridSearchCV
    given : Given
    scorers : dict of str to callable
        See `ScoreSideBySide`.

    Attributes
    ----------
    candidates : list of Candidate
    problems : dict
        See `ScoreSideBySide`.
    """

    def __init__(self, search, given, scorers):
        self._search, self._given, self._scorers = search, given, scorers
        self._estimator, self._error_score = clone(search.estimator), search.error_score
        param_grid = search.param_grid
        self._name, model = last_step_of(self._estimator)
        self._prefix = f"{self._name}__" if self._name else ""
        self._rows = None
        is_automatic = isinstance(param_grid, str)
        if is_automatic or not any(self._name in each for each in ParameterGrid(param_grid)):
            # otherwise the grid replaces it
            ours(self._estimator)
        if not self._name:
            self._rows = SharedRows(given, model)
        if is_automatic:
            param_grid = self._automatic_grid(model)
        self.candidates = [
            Candidate(number, parameters)
            for number, parameters in enumerate(ParameterGrid(param_grid))
        ]
        self._models = [ours(self.with_parameters(candidate))[1] for candidate in self.candidates]
        self.problems, self._best = {}, -np.inf
        self._fixes_epochs = any(
            f"{self._prefix}max_iter" in candidate.parameters for candidate in self.candidates
        )

    def _automatic_grid(self, model):
        """Multiples of the automatic numbers."""
        check(model)
        # a subclass may have no such parameters
        names = {*model.get_params()} - ({"alpha"} if model.penalty is None else set())
        ages = OPTIMIZERS[model.optimizer].ages and model.sparse_update == "exact"
        faster = FASTER if ages else 1
        grid = []
        for eps, rates in RATES_BY_EPS.items():
            multiples = {
                "eta0": [faster * rate for rate in rates],
                "alpha": STRENGTHS,
                "eps": [eps],
            }
            if eps == 1 or {"eta0", "eps"} <= names:
                grid.append(
                    {
                        self._prefix + name: [
                            "auto" if n == 1 else f"{round(n, 2):g}*auto" for n in values
                        ]
                        for name, values in multiples.items()
                        if name in names
                    }
                )
        return grid

    # -- groups --

    def _groups(self):
        """Lists of lists of candidates: with the same transformers, and side by side.

        In the order of their first candidates.
        """
        by_transformers = {}
        side_by_side = {self._prefix + name for name in SIDE_BY_SIDE}
        for candidate in self.candidates:
            kinds = set(), set()
            for name, value in candidate.parameters.items():
                if name not in side_by_side:
                    of_model = name == self._name or name.startswith(self._prefix)
                    kinds[of_model].add((name, _identity(value)))
            kinds[True].add(_preparation_of(self._models[candidate.number]))
            of_transformers, of_model = map(frozenset, kinds)
            groups = by_transformers.setdefault(of_transformers, {})
            groups.setdefault(of_model, []).append(candidate)
        return [list(groups.values()) for groups in by_transformers.values()]

    def run(self, threads, task):
        """Train and score all candidates.

        Parameters
        ----------
        threads : Threads
        task : SearchTask or None
        """
        groups = self._groups()
        if task is not None:
            task.begin_search(sum(len(of_transformers) for of_transformers in groups))
        for of_transformers in groups:
            if self._rows is None or (len(groups) > 1 and self._name):
                # the memory is needed for the next ones
                self._rows = None
                pipeline = self.with_parameters(of_transformers[0][0])
                self._rows = TransformedRows(self._given, pipeline, self._search.n_jobs)
            n_candidates = sum(map(len, of_transformers))
            for group in of_transformers:
                self._train(group, n_candidates, threads, task)
        # the memory is needed for all rows
        self._rows = None
        if task is not None:
            task.end_search()

    def with_parameters(self, candidate):
        """The estimator with the parameters of a candidate."""
        # parameters may be estimators, which are not to be fitted
        return clone(self._estimator).set_params(**clone(candidate.parameters, safe=False))

    def finds_epochs(self, model):
        """Whether the number of epochs is found for this model."""
        if self._fixes_epochs or not model.early_stopping:
            return False
        return not (model.early_stopping == "auto" and model.tol is None)

    # -- training --

    def _train(self, group, n_candidates, threads, task):
        """Train candidates side by side."""
        models, valid = {}, []
        for candidate in group:
            model = models[candidate.number] = self._models[candidate.number]
            try:
                check(model)
                valid.append(candidate)
            except ValueError as error:
                candidate.courses = [Course(None, error) for _ in self._given.splits]
                candidate.fail()
        if valid:
            model = models[valid[0].number]
            if model.learning_rate == "adaptive":
                raise ValueError(
                    "learning_rate='adaptive' divides the rate of each candidate at another epoch, "
                    "so candidates can't be trained side by side. Use 'constant' or 'invscaling', "
                    "or scikit-learn's GridSearchCV."
                )
            self._race(valid, models, n_candidates, threads, task)
        if self._error_score == "raise":
            for candidate in group:
                for course in candidate.courses:
                    if course.error is not None:
                        raise course.error

    def _race(self, group, models, n_candidates, threads, task):
        model = models[group[0].number]
        options = FitOptions(
            max_iter=model.max_iter,
            tol=model.tol,
            n_iter_no_change=model.n_iter_no_change,
            shuffle=model.shuffle,
            seed=check_random_state(model.random_state).randint(LARGEST_SEED),
            adaptive=False,
            verbose=self._search.verbose,
        )
        finds_epochs = self.finds_epochs(model)
        models = {candidate.number: models[candidate.number] for candidate in group}
        folds, gains, averages = [], [], None
        for part in self._rows.parts(model):
            if isinstance(part, Exception):
                nothing = np.empty(0, dtype=np.int64)
                failed = dict.fromkeys(models, part)
                folds.append(
                    Fold(None, nothing, nothing, None, NO_COLUMNS, failed, options, None, 1)
                )
                continue
            part = _with_own_units(part, model)
            if averages is None:
                averages = averages_last(model, part.training, part.rows, finds_epochs)
                options = replace(options, averages=averages)
            unit = clone(model)
            # a subclass may have no such parameter
            unit.scoring = "loss"
            gains.append(least_gain(unit, part.training, part.rows, validated=finds_epochs))
            sampling = sampling_of(unit, part.training, part.rows, options.seed)
            tol = None if finds_epochs else gains[-1]
            of_fold = replace(options, tol=tol, sampling=sampling)
            folds.append(self._fold(part, models, of_fold, threads))
            for course in folds[-1].courses.values():
                # transformers are shared by the candidates
                course.fit_time, course.score_time = np.divide(part.seconds, n_candidates)
        _check_memory(folds, len(group))
        for fold in folds:
            fold.begin()
        for candidate in group:
            candidate.averages = bool(averages)
        if finds_epochs and self._decides_by_loss() and gains and model.tol is not None:
            options = replace(options, tol=float(np.mean(gains)))
        if task is not None:
            task.begin_group(options.max_iter)
        race = Race(group, folds, options, threads, task)
        if finds_epochs:
            self._best = race.find_epochs(self._mean_score, self._search.prune, self._best)
        else:
            race.learn()
        if task is not None:
            task.end_group()

    def _fold(self, part, models, options, threads):
        training, scale, columns = _prepared(part.model, part.training, part.rows)
        starts = {}
        for number, model in models.items():
            try:
                starts[number] = start_of(model, training, part.rows, one_pass=False)
            except ValueError as error:
                # a rate and a strength that don't go together
                starts[number] = error
        score = ScoreSideBySide(
            self._scorers,
            part.estimator,
            part.model,
            {number: _own_parameters(model) for number, model in models.items()},
            part.scored,
            self._error_score,
            self.problems,
        )
        n_parts = threads.n_threads // math.gcd(threads.n_threads, len(self._given.splits))
        return Fold(
            training, part.rows, part.features, scale, columns, starts, options, score, n_parts
        )

    # -- the best candidate --

    def best_estimator(self, candidate):
        """The estimator that is to learn all rows, not fitted."""
        estimator = self.with_parameters(candidate)
        _, model = ours(estimator)
        if self.finds_epochs(model):
            model.max_iter, model.tol = max(1, candidate.n_iter), None
        # Attributes, as a subclass may have no such parameters.
        model.early_stopping = False
        if candidate.averages:
            model.average = "suffix"
        return estimator

    def is_unfinished(self, candidate):
        """Whether more epochs would have helped this candidate."""
        model = self._models[candidate.number]
        return (
            self.finds_epochs(model)
            and model.tol is not None
            and candidate.stopped_by == "max_iter"
            and candidate.n_iter == model.max_iter
        )

    # -- what went wrong --

    def tell_of_failures(self):
        """Warn of fits that failed, or raise where all have, as GridSearchCV does."""
        first, fits = {}, []
        scored = any(scores for candidate in self.candidates for scores in candidate.scores)
        for candidate in self.candidates:
            errors = [course.error for course in candidate.courses]
            for fold, error in enumerate(errors):
                if not scored:
                    # those that ended as they had failed in another fold
                    error = error or next(filter(None, errors))
                if error is not None:
                    told = f"{type(error).__name__}: {error}"
                    where = f"first with {candidate.parameters} in fold {fold}"
                    error = first.setdefault(told, f"{told}\n({where})\n")
                fits.append({"fit_error": error})
        _warn_or_raise_about_fit_failures(fits, self._error_score)

    def tell_of_problems(self, means):
        """Warn of scores that are no numbers, or raise where there is no other to choose by."""
        if not self.problems:
            return
        told = "; ".join(
            f"{name!r} in fold {fold}: {reason}" for (fold, name), reason in self.problems.items()
        )
        if self._search.refit and means is not None and np.isnan(means).all():
            raise ValueError(f"No candidate has a mean score, as scoring failed. {told}")
        warnings.warn(
            f"Scoring failed, and where it raised the score is {self._error_score}. {told}",
            UserWarning,
            stacklevel=5,
        )

    # -- the score that decides --

    def _deciding(self, names):
        """The name of the score that decides: that which `refit` names, or the first."""
        refit = self._search.refit
        return refit if isinstance(refit, str) and refit in names else next(iter(names))

    def _decides_by_loss(self):
        return isinstance(self._scorers[self._deciding(self._scorers)], LossScorer)

    def _mean_score(self, scores):
        """The mean over the folds of the score that decides."""
        of_folds = [held_out for held_out, *_ in scores]
        # A scorer that returns a dict tells its names where it does not fail.
        name = self._deciding(max(of_folds, key=len))
        return float(np.mean([each.get(name, self._error_score) for each in of_folds]))


def _identity(value):
    """What is the same for values that are the same for certain."""
    try:
        hash(value)
    except TypeError:
        return type(value), id(value)
    return type(value), value


def _preparation_of(model):
    """What is the same for models that learn rows of the same form, and targets of one unit."""
    try:
        check(model)
    except ValueError:
        return None
    return standardises(model), takes_from_rows(model)


def _own_parameters(model):
    return {name: getattr(model, name) for name in SIDE_BY_SIDE}


def _with_own_units(part, model):
    """A part whose targets count in their own units, if rows tell the model anything."""
    if not takes_from_rows(model):
        return part
    shares = part.training.target_type.shares(part.training, part.rows)
    return replace(part, training=part.training.in_shares(shares))


def _prepared(model, training, rows):
    """Rows to learn as `normalize` asks for, the sizes of their features, and centred columns."""
    if divides_by_largest(model):
        scale = training.scale_of(rows)
        return training.normalised(rows, scale), scale, NO_COLUMNS
    columns = columns_of(training, rows) if standardises(model) else NO_COLUMNS
    return standardised(training, columns), None, columns


def _check_memory(folds, n_candidates):
    """Refuse records that there is no memory for, before they are touched."""
    n_bytes = sum(fold.n_bytes() for fold in folds)
    if n_bytes > memory_limit():
        n_features = max(fold.n_features for fold in folds)
        raise MemoryError(
            f"{n_candidates} candidates side by side in {len(folds)} fold(s) need "
            f"{n_bytes / 1e9:,.1f} GB for the {n_features:,} features that occur. Fewer candidates "
            "need less, and so do cv=0.1, which holds out one part of the rows, float32 rows, and "
            "fewer features."
        )
