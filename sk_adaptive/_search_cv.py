"""Rate, strength and number of epochs by cross-validation, all settings in one pass a fold."""

import math
import os
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy.stats import rankdata
from sklearn.base import is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import PRECISIONS
from ._callbacks import begin_search
from ._start import start_of
from ._threads import Threads, parts_of
from ._validation_rows import (
    ValidationLoss,
    one_split,
    parts_with_weight,
    scorer_on,
    weights_for_scorers,
)
from .training.epochs import (
    EPOCHS_OF_GRACE,
    OVERFLOW_ADVICE,
    Convergence,
    fit_epochs,
    warn_of_few_epochs,
)
from .training.side_by_side import SideBySide, bytes_of_records, clock_rate_of, groups_of

# eta0s="auto" and alphas="auto": times the automatic ones of all rows.
RATES = (1 / 3, 1.0, 3.0)
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)

# With fewer outputs a thread learns as long: a vector of processors has room for so many.
OUTPUTS_A_THREAD = 8


class SearchCV:
    """What the estimators that search add to their base class, which `_base` names.

    Whatever that reads as `eta0`, `alpha` and `l1_ratio` is what the search found.
    """

    _parameter_constraints: dict = {
        "eta0s": ["array-like", StrOptions({"auto"})],
        "alphas": ["array-like", StrOptions({"auto"})],
        "l1_ratios": ["array-like"],
        "learning_rate": [StrOptions({"constant", "invscaling"})],
        "cv": ["cv_object", Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "early_stopping": ["boolean"],
        "prune": ["boolean"],
        # no parameters, see above
        "eta0": "no_validation",
        "alpha": "no_validation",
        "l1_ratio": "no_validation",
    }

    # what training reads, and a search has no use for
    warm_start = False
    validation_fraction = 0.1

    @property
    def eta0(self):
        return self._found("eta0", "auto")

    @property
    def alpha(self):
        return self._found("alpha", "auto")

    @property
    def l1_ratio(self):
        return self._found("l1_ratio", next(iter(self.l1_ratios), None))

    def _found(self, name, otherwise):
        return self.__dict__.get("best_params_", {}).get(name, otherwise)

    def _check_early_stopping_of_stream(self):
        # it is of `fit` only
        pass

    def _alone(self, **parameters):
        """The estimator that does not search, of these parameters, as far as `fit` has come."""
        # a subclass may take other parameters
        names = self._base._get_param_names()
        alone = self._base(**{name: getattr(self, name) for name in names})
        alone.set_params(early_stopping=False, **parameters)
        for name in ("n_features_in_", "classes_", "_label_format", "_target_shape"):
            if name in self.__dict__:
                setattr(alone, name, self.__dict__[name])
        return alone

    # -- fit --

    def _search(self, X, y, sample_weight, groups):
        """The whole of fit, but for the guard that takes back what fails."""
        # -- prepare --
        self._check_parameters(for_fit=True)
        given = X
        X, y = self._validate(X, y, PRECISIONS, reset=True)
        y = self._find_targets(y)
        self._targets.check_whole(y)
        training = self._training_data(self._targets, X, y, sample_weight, find_features=True)
        rows = training.with_weight(np.arange(training.n_rows, dtype=np.int64))
        if not rows.size:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        splits = self._splits(X, y, groups, training)
        candidates = self._candidates(training, rows)
        settings = self._fit_options(training, rows, validated=True)
        weight = training.weight_or_none
        task = begin_search(
            self,
            self.refit,
            self.max_iter,
            X=given if "feature_names_in_" in self.__dict__ else X,
            y=y,
            metadata=None if weight is None else {"sample_weight": weight},
        )

        # -- search --
        models = [self._alone(**parameters) for parameters in candidates]
        threads = Threads(settings.n_threads)
        n_parts = threads.n_threads // math.gcd(threads.n_threads, len(splits))
        folds = [
            Fold(models, X, y, training, learned, held_out, settings, n_parts)
            for learned, held_out in splits
        ]
        features = training.features()
        _check_memory(folds, features, len(candidates))
        for fold in folds:
            fold.begin(features)
        race = Race(candidates, settings, self.early_stopping, self.prune)
        with threads:
            race.run(folds, threads, task)
        if task is not None:
            task.end_search()
        n_folds = len(folds)
        del folds, fold  # the memory is needed for the model
        found = race.results(n_folds)

        # -- publish --
        for name in ("_model", "_cache", "n_iter_", "loss_curve_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(found)
        if race.is_unfinished():
            warn_of_few_epochs("mean score of the best setting", self.max_iter)
        if self.refit:
            self._learn_all(models[self.best_index_], training, rows, settings, task)
        if task is not None:
            task.end()
        return self

    def _splits(self, X, y, groups, training):
        """Of each fold the rows to learn and the rows to score on, those with a weight."""
        if isinstance(self.cv, Real) and not isinstance(self.cv, Integral):
            splits = [one_split(training.target_type, y, self.cv, self.random_state)]
        else:
            if groups is not None:
                check_consistent_length(y, groups)
            splitter = check_cv(self.cv, y, classifier=is_classifier(self))
            splits = splitter.split(X, y, groups)
        everything = np.arange(training.n_rows)
        # masks become numbers
        return [
            parts_with_weight(training, everything[learned], everything[held_out])
            for learned, held_out in splits
        ]

    def _candidates(self, training, rows):
        """The parameters of each setting, in the order of ParameterGrid."""
        l1_ratios = [None]
        if self.penalty == "elasticnet":
            l1_ratios = _numbers("l1_ratios", self.l1_ratios, lambda v: (v >= 0) & (v <= 1))
        rates = alphas = None
        if not _is_auto(self.eta0s):
            rates = _numbers("eta0s", self.eta0s, lambda v: v > 0)
        if self.penalty is None:
            alphas = [None]
        elif not _is_auto(self.alphas):
            alphas = _numbers("alphas", self.alphas, lambda v: v >= 0)
        columns = []
        for l1_ratio in l1_ratios:
            start = start_of(
                self._alone(eta0="auto", alpha="auto", l1_ratio=l1_ratio or 0.0),
                training,
                rows,
                one_pass=False,
            )
            if rates is None:
                rates = [factor * start.hyperparameters.eta0 for factor in RATES]
            numbers = start.hyperparameters
            columns.append(alphas or _automatic_alphas(numbers, self.penalty, l1_ratio))
        return [
            {
                name: value
                for name, value in (("alpha", alpha), ("eta0", rate), ("l1_ratio", l1_ratio))
                if value is not None
            }
            for of_ratios in zip(*columns, strict=True)
            for rate in rates
            for alpha, l1_ratio in zip(of_ratios, l1_ratios, strict=True)
        ]

    def _learn_all(self, model, training, rows, settings, task):
        """Learn all rows from the start, for as many epochs as were best."""
        scale = None
        if self.normalize:
            scale = training.scale_of(rows)
            training = training.normalised(rows, scale)
        start = start_of(model, training, rows, one_pass=False)
        model = self._model_to_fit(training, start, start.hyperparameters.eta0, scale, None, None)
        # hooks of callbacks see those of the model so far in their place
        best_iteration, stopped_by = self.best_iteration_, self.stopped_by_
        scores = self.validation_scores_
        settings = replace(settings, max_iter=best_iteration, tol=None)
        told = None if task is None else task.begin_refit(settings.max_iter)
        features = training.features()
        progress = fit_epochs(model, training, rows, features, settings, None, told)
        progress.validation_scores, progress.best_iteration = scores, best_iteration
        if progress.stopped_by != "callback":
            progress.stopped_by = stopped_by
        self._become(progress)
        if told is not None:
            told.end(progress)


def _is_auto(values):
    return isinstance(values, str) and values == "auto"


def _numbers(name, values, allowed):
    """Values of a parameter as a list of floats."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(f"{name} has to be a list of numbers, not {values!r}.")
    if not np.all(allowed(numbers) & np.isfinite(numbers)):
        raise ValueError(f"{name} has a number that is out of bounds: {values!r}.")
    return numbers.tolist()


def _automatic_alphas(numbers, penalty, l1_ratio):
    """Multiples of the alpha whose penalty has the gradient of "auto" on a typical coefficient.

    With an elastic net "auto" is no one number, as its two strengths are of different units.
    """
    share = {"l2": 0.0, "l1": 1.0}.get(penalty, l1_ratio)
    coef = numbers.scales.coef
    automatic = (numbers.l1 + numbers.l2 * coef) / (share + (1 - share) * coef)
    return [factor * automatic for factor in STRENGTHS]


class Fold:
    """All settings, on the rows of one fold.

    Parameters
    ----------
    models : list of AdaptiveSGD
        An estimator of each setting.
    X, y : arrays or matrices
        Validated.
    training : TrainingData
        Of X and y.
    rows, held_out : int64 ndarrays
        To learn, and to score on.
    settings : FitOptions
    n_parts : int
        How many threads may learn the settings, where there are enough of them.
    """

    def __init__(self, models, X, y, training, rows, held_out, settings, n_parts):
        self._order = rows.copy()
        self._shuffle = settings.shuffle
        self._generator = np.random.default_rng(settings.seed)
        self._score = ScoreSideBySide(models[0], X, y, training, held_out)
        self._scale = None
        if models[0].normalize:
            self._scale = training.scale_of(rows)
            training = training.normalised(rows, self._scale)
        self._training = training
        self.refused = {}
        starts = {}
        for number, model in enumerate(models):
            try:
                starts[number] = start_of(model, training, rows, one_pass=False)
            except ValueError as error:
                # a rate and a strength that don't go together
                self.refused[number] = str(error)
        numbers, starts = list(starts), list(starts.values())
        self._plan = []
        for places in groups_of(starts) if starts else []:
            unit = clock_rate_of([starts[place] for place in places])
            most = -(-len(places) * training.n_outputs // OUTPUTS_A_THREAD)
            for part in parts_of(len(places), min(n_parts, most)):
                of_part = places[part]
                members = [numbers[place] for place in of_part]
                self._plan.append((members, [starts[place] for place in of_part], unit))
        self._groups = None

    def n_bytes(self, n_features):
        """What the records of so many features take."""
        return sum(
            bytes_of_records(starts, self._training, n_features) for _, starts, _ in self._plan
        )

    def begin(self, features):
        """Allocate the records, whose features are these at most."""
        self._groups = [
            SideBySide(members, starts, self._training, features, self._scale, unit)
            for members, starts, unit in self._plan
        ]

    def begin_epoch(self, threads):
        """What is to be called to learn all rows once, in any order or at once.

        Each call returns the settings that a step would have made infinite.
        """
        if self._shuffle:
            self._generator.shuffle(self._order)
        return [
            partial(group.learn, self._training, self._order, threads) for group in self._groups
        ]

    def scores(self):
        """The score of each setting that is in a record."""
        scores = {}
        for group in self._groups:
            if group.members.size:
                scores |= zip(group.members.tolist(), self._score(group), strict=True)
        return scores

    def keep(self, members):
        """Learn these on, and the others no more than is no trouble."""
        for group in self._groups:
            if group.members.size:
                group.keep(members)
        self._groups = [group for group in self._groups if group.members.size]


class ScoreSideBySide:
    """The score, by `scoring`, of each of several models on rows that are not learned.

    Parameters
    ----------
    estimator : AdaptiveSGD
        Any of them.
    X, y : arrays or matrices
        Validated.
    training : TrainingData
        Of X and y.
    rows : int64 ndarray
    """

    def __init__(self, estimator, X, y, training, rows):
        self._estimator = estimator
        # the folds have the threads
        self._loss = ValidationLoss(training.part(rows), n_jobs=1)
        self._scorer = None
        if estimator.scoring != "loss":
            weight = weights_for_scorers(training, rows)
            self._scorer = scorer_on(estimator, X[rows], y[rows], weight)

    def __call__(self, group):
        """Their scores, in the order of the members."""
        if callable(self._estimator.scoring):
            # it may look at whatever a model has
            places = range(group.members.size)
            return [self._scorer(self._judge(_model=group.model_of(place))) for place in places]
        raw_predictions = self._loss.raw_predictions(group.model, group.members.size)
        return [self._score_of(raw, group.model) for raw in raw_predictions]

    def _score_of(self, raw, model):
        if not np.isfinite(raw).all():
            return np.nan
        if self._scorer is None:
            return self._loss.of(raw)
        # Scorers that have a name ask for predictions of these rows and nothing else.
        judge = self._judge(_model=model)
        judge._raw_predictions = partial(_known_predictions, self._estimator, raw)
        return self._scorer(judge)

    def _judge(self, **attributes):
        judge = type(self._estimator).__new__(type(self._estimator))
        judge.__dict__.update(self._estimator.__dict__, _cache={}, _sparse_coef=False, **attributes)
        judge.__dict__.pop("_turn", None)
        return judge


def _known_predictions(estimator, raw, X, *names):
    """In place of `AdaptiveSGD._raw_predictions`."""
    return raw, *(getattr(estimator, name) for name in names)


def _check_memory(folds, features, n_settings):
    """Refuse records that the machine has no memory for, before they are touched."""
    n_bytes = sum(fold.n_bytes(features.size) for fold in folds)
    if n_bytes > physical_memory():
        raise MemoryError(
            f"{n_settings} settings side by side in {len(folds)} fold(s) need {n_bytes / 1e9:,.1f} "
            f"GB for the {features.size:,} features that occur. Fewer settings need less, and so "
            "do cv=0.1, which holds out one part of the rows, float32 rows, and fewer features."
        )


def physical_memory():
    """The bytes that this machine has; infinite where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return np.inf


@dataclass
class Setting:
    """A setting in the race.

    Attributes
    ----------
    parameters : dict
    convergence : Convergence
    scores : list of ndarray of shape (n_folds,)
        After each epoch that was scored.
    stopped_by : {'tol', 'pruned', 'max_iter', 'callback', 'failed'} or None
        Why it is not learned any more; None: it is.
    """

    parameters: dict
    convergence: Convergence
    scores: list = field(default_factory=list)
    stopped_by: str | None = None

    @property
    def mean_scores(self):
        return [float(scores.mean()) for scores in self.scores]

    @property
    def best_score(self):
        if self.stopped_by == "failed" or not self.scores:
            return -np.inf
        return max(self.mean_scores)

    def is_hopeless(self, best):
        """Whether it will hardly come to this score.

        Learning curves flatten. This one would stay below if it went on as steeply as in the
        second half so far, for as many epochs again.
        """
        means = self.mean_scores
        n = len(means)
        if n < EPOCHS_OF_GRACE:
            return False
        half = (n - 1) // 2
        gain = (means[-1] - means[half - 1]) / (n - half)
        return max(means) + n * max(gain, 0.0) < best


class Race:
    """The epochs of all settings, and who is still in it.

    Parameters
    ----------
    candidates : list of dict
        The parameters of each setting.
    run_settings : FitOptions
    finds_epochs : bool
        Whether settings are scored after every epoch, or after the last one only.
    prunes : bool
        Whether the hopeless ones are given up.
    """

    def __init__(self, candidates, run_settings, finds_epochs, prunes):
        self._run_settings = run_settings
        self._finds_epochs, self._prunes = finds_epochs, prunes
        tol, patience = run_settings.tol, run_settings.n_iter_no_change
        self._settings = [
            Setting(parameters, Convergence(tol, patience)) for parameters in candidates
        ]
        self._n_epochs = 0

    def run(self, folds, threads, task):
        """Learn epoch by epoch, in all folds at once."""
        begin, max_iter = time.perf_counter(), self._run_settings.max_iter
        self._fail({number for fold in folds for number in fold.refused})
        while self._running():
            self._n_epochs += 1
            if task is not None:
                task.begin_epoch()
            failed = threads.run([call for fold in folds for call in fold.begin_epoch(threads)])
            self._fail({number for of_call in failed for number in of_call})
            stop = task is not None and task.end_epoch()
            is_last = stop or self._n_epochs == max_iter
            if self._finds_epochs or is_last:
                self._take_in(threads.run([fold.scores for fold in folds]))
            if is_last:
                for number in self._running():
                    self._settings[number].stopped_by = "callback" if stop else "max_iter"
            if self._run_settings.verbose:
                self._print(time.perf_counter() - begin)
            for fold in folds:
                fold.keep(self._running())

    def _running(self):
        """The numbers of the settings that are still learned."""
        return [k for k, setting in enumerate(self._settings) if setting.stopped_by is None]

    def _fail(self, numbers):
        for number in numbers:
            if self._settings[number].stopped_by is None:
                self._settings[number].stopped_by = "failed"

    def _take_in(self, of_folds):
        """The scores after an epoch: of each fold those of its settings."""
        for number in self._running():
            setting = self._settings[number]
            scores = np.array([scores[number] for scores in of_folds])
            if not np.isfinite(scores).all():
                setting.stopped_by = "failed"
                continue
            setting.scores.append(scores)
            if setting.convergence.is_stalled(-float(scores.mean())):
                setting.stopped_by = "tol"
        if self._prunes:
            best = max(setting.best_score for setting in self._settings)
            for number in self._running():
                if self._settings[number].is_hopeless(best):
                    self._settings[number].stopped_by = "pruned"

    def _print(self, seconds):
        parts = [
            f"Epoch {self._n_epochs} of {self._run_settings.max_iter}: {len(self._running())} of "
            f"{len(self._settings)} settings go on"
        ]
        best = max(self._settings, key=lambda setting: setting.best_score)
        if best.scores:
            parts.append(f"best mean score {best.best_score:.6g} with {best.parameters}")
        print(", ".join([*parts, f"{seconds:.2f} s"]))

    def results(self, n_folds):
        """The attributes that tell of the search."""
        settings = self._settings
        failed = [setting for setting in settings if setting.stopped_by == "failed"]
        if len(failed) == len(settings):
            raise ValueError(
                f"Floating-point under-/overflow occurred with every setting. {OVERFLOW_ADVICE}"
            )
        if failed:
            warnings.warn(
                f"{len(failed)} of {len(settings)} settings failed, as a step would have made a "
                "coefficient infinite, a score was not finite, or the rate and the strength do "
                "not go together. Their scores are NaN: "
                f"{[setting.parameters for setting in failed]}",
                FitFailedWarning,
                # the caller of fit, which two decorators wrap
                stacklevel=6,
            )
        scores = np.full((len(settings), n_folds), np.nan)
        n_iter = np.zeros(len(settings), dtype=np.int64)
        for number, setting in enumerate(settings):
            if setting.stopped_by != "failed":
                # of equal ones the first
                epoch = int(np.argmax(setting.mean_scores))
                scores[number] = setting.scores[epoch]
                n_iter[number] = epoch + 1 if self._finds_epochs else self._n_epochs
        means = scores.mean(axis=1)
        best = int(np.nanargmax(means))
        self.best = settings[best]
        parameters = [setting.parameters for setting in settings]
        results = {
            f"param_{name}": np.ma.array([each[name] for each in parameters])
            for name in parameters[0]
        }
        results["params"] = parameters
        results |= {f"split{k}_test_score": scores[:, k] for k in range(n_folds)}
        results["mean_test_score"] = means
        results["std_test_score"] = scores.std(axis=1)
        last = np.nanmin(means) - 1
        ranks = rankdata(-np.where(np.isnan(means), last, means), method="min")
        results["rank_test_score"] = ranks.astype(np.int32)
        results["n_iter"] = n_iter
        results["stopped_by"] = np.array([setting.stopped_by for setting in settings])
        return {
            "cv_results_": results,
            "best_index_": best,
            "best_params_": dict(self.best.parameters),
            "best_score_": float(means[best]),
            "best_iteration_": int(n_iter[best]),
            "validation_scores_": self.best.mean_scores,
            "stopped_by_": self.best.stopped_by,
            "n_splits_": n_folds,
        }

    def is_unfinished(self):
        """Whether more epochs would have helped the best setting."""
        n_iter, max_iter = len(self.best.scores), self._run_settings.max_iter
        return (
            self._finds_epochs
            and self._run_settings.tol is not None
            and self.best.stopped_by == "max_iter"
            and int(np.argmax(self.best.mean_scores)) + 1 == n_iter == max_iter
        )
