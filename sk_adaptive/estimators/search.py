"""The search estimator: what GridSearchCV is, for estimators that can be trained side by side."""

import time
import warnings
from contextlib import nullcontext
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.metrics._scorer import _check_multimetric_scoring, _MultimetricScorer
from sklearn.model_selection import GridSearchCV, check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.validation import _check_method_params, _num_samples

from .._callbacks import begin_search
from .._input import check_weights
from .._threads import Threads, n_threads_of
from ..training.epochs import warn_of_few_epochs
from .candidates import Search, ours
from .folds import Given, one_split_of
from .scorers import LossScorer, takes_weights

# What `fit` may leave.
FITTED = (
    "best_estimator_",
    "best_index_",
    "best_params_",
    "best_score_",
    "cv_results_",
    "feature_names_in_",
    "multimetric_",
    "n_splits_",
    "refit_time_",
    "scorer_",
)


class AdaptiveGridSearchCV(GridSearchCV):
    """GridSearchCV for the estimators of this package, which trains candidates side by side."""

    _parameter_constraints: dict = {
        name: constraint
        for name, constraint in {
            **GridSearchCV._parameter_constraints,
            "param_grid": [dict, list, StrOptions({"auto"})],
            # a name that is none is refused without a list of all names
            "scoring": [str, callable, list, tuple, dict, None],
            "cv": ["cv_object", Interval(Real, 0, 1, closed="neither")],
            "prune": ["boolean"],
        }.items()
        if name != "pre_dispatch"
    }

    def __init__(
        self,
        estimator,
        param_grid="auto",
        *,
        scoring="loss",
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        error_score=np.nan,
        return_train_score=False,
        prune=True,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.cv = cv
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.prune = prune

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags = get_tags(self.estimator).target_tags
        return tags

    @_fit_context(prefer_skip_nested_validation=False)  # the estimator is not validated yet
    def fit(self, X, y=None, **params):
        """Find the best candidate, and learn all rows with it."""
        # -- prepare --
        name, _ = ours(self.estimator)
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        scorer, metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params)
        scorers = scorer._scorers if isinstance(scorer, _MultimetricScorer) else {metric: scorer}
        given = self._given(X, y, params, scorer, scorers, name)
        task = begin_search(self, self.refit, X=X, y=y, metadata=_weights_in(params))
        search = Search(
            self.estimator,
            self.param_grid,
            given,
            scorers,
            self.refit,
            self.prune,
            self.error_score,
            self.n_jobs,
            self.verbose,
        )
        if self.verbose:
            n_splits, n_candidates = len(given.splits), len(search.candidates)
            print(
                f"Fitting {n_splits} folds for each of {n_candidates} candidates, totalling "
                f"{n_splits * n_candidates} fits"
            )

        # -- search --
        with Threads(n_threads_of(self.n_jobs)) as threads:
            search.run(threads, task)
        found = self._found(search, scorer, given)

        # -- learn all rows --
        if self.refit:
            candidate = search.candidates[found["best_index_"]]
            best = found["best_estimator_"] = search.best_estimator(candidate)
            with nullcontext() if task is None else task.refit(best):
                begin = time.perf_counter()
                best.fit(X, y, **given.fit_params)
                found["refit_time_"] = time.perf_counter() - begin
            if hasattr(best, "feature_names_in_"):
                found["feature_names_in_"] = best.feature_names_in_
            if search.is_unfinished(candidate):
                model = ours(search.with_parameters(candidate))[1]
                warn_of_few_epochs("mean score of the best candidate", model.max_iter, 4)

        # -- publish --
        for attribute in FITTED:
            self.__dict__.pop(attribute, None)
        self.__dict__.update(found)
        if task is not None:
            task.end()
        return self

    def _get_scorers(self):
        """The scorer, and the name of the score that decides, as in GridSearchCV."""
        scoring = self.scoring
        if scoring is None:
            return check_scoring(self.estimator, None), "score"
        if callable(scoring):
            return scoring, "score"
        if isinstance(scoring, str):
            return _scorer_of(scoring), "score"
        if isinstance(scoring, dict):
            scoring = {name: _scorer_of(each) for name, each in scoring.items()}
        elif _are_names(scoring):
            scoring = {name: _scorer_of(name) for name in scoring}
        scorers = _check_multimetric_scoring(self.estimator, scoring)
        self._check_refit_for_multimetric(scorers)
        raises = self.error_score == "raise"
        return _MultimetricScorer(scorers=scorers, raise_exc=raises), self.refit

    def _given(self, X, y, params, scorer, scorers, name):
        """What is given to the folds, of validated arguments of `fit`."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            fit_params, split_params = routed.estimator.fit, routed.splitter.split
            score_params = dict.fromkeys(scorers, routed.scorer.score)
            if isinstance(scorer, _MultimetricScorer):
                of_scorers = process_routing(scorer, "score", **routed.scorer.score)
                score_params = {name: of_scorers[name].score for name in scorers}
        else:
            fit_params = dict(params)
            split_params = {"groups": fit_params.pop("groups", None)}
            score_params = self._weights_of_scorers(params, scorers, name)
        loss_weight = next(
            (
                score_params[name].get("sample_weight")
                for name, each in scorers.items()
                if isinstance(each, LossScorer)
            ),
            None,
        )
        # of so many rows
        loss_weight = check_weights(loss_weight, np.empty((_num_samples(X), 0)))
        splits = self._splits(X, y, split_params)
        for fold, (_, held_out) in enumerate(splits):
            if loss_weight is not None and not np.any(loss_weight[held_out]):
                raise ValueError(
                    f"The sample weights of all rows held out in fold {fold} are zero."
                )
        return Given(
            X, y, splits, fit_params, score_params, loss_weight, bool(self.return_train_score)
        )

    def _weights_of_scorers(self, params, scorers, name):
        """What each scorer takes beside the rows, without metadata routing."""
        weight = params.get("sample_weight")
        score_params = {}
        for metric, scorer in scorers.items():
            of_scorer = weight
            if isinstance(scorer, LossScorer) and weight is None:
                # they are part of what the model minimises
                of_scorer = params.get(f"{name}__sample_weight")
            elif weight is not None and not takes_weights(scorer):
                of_scorer = None
                warnings.warn(
                    f"The scoring {metric}={scorer} does not support sample_weight, so the rows "
                    "held out count alike in it.",
                    UserWarning,
                    # the caller of fit
                    stacklevel=5,
                )
            score_params[metric] = {} if of_scorer is None else {"sample_weight": of_scorer}
        return score_params

    def _splits(self, X, y, split_params):
        """Of each fold the rows to learn and the rows held out, as numbers."""
        if isinstance(self.cv, Real) and not isinstance(self.cv, Integral):
            pairs = [one_split_of(ours(self.estimator)[1], y, self.cv)]
        else:
            splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
            n_splits = splitter.get_n_splits(X, y, **split_params)
            pairs = list(splitter.split(X, y, **split_params))
            if len(pairs) != n_splits:
                raise ValueError(
                    "cv.split and cv.get_n_splits return inconsistent results. Expected "
                    f"{n_splits} splits, got {len(pairs)}"
                )
        if not pairs:
            raise ValueError(
                # the words of GridSearchCV, for programs that look for them
                "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            )
        everything = np.arange(_num_samples(X), dtype=np.int64)
        # masks become numbers
        splits = [tuple(everything[part] for part in pair) for pair in pairs]
        for fold, (learned, held_out) in enumerate(splits):
            if not (learned.size and held_out.size):
                part = "held out" if learned.size else "to learn"
                raise ValueError(f"cv={self.cv!r} leaves no rows {part} in fold {fold}.")
        return splits

    def _found(self, search, scorer, given):
        """The attributes that tell of the search."""
        candidates = search.candidates
        self._tell_of_failures(candidates)
        # A scorer that returns a dict tells its names where it does not fail.
        names = list(max((each[0] for each in _scores_of(candidates) if each), key=len))
        multimetric = isinstance(scorer, _MultimetricScorer) or names != ["score"]
        out = []
        for candidate in candidates:
            for course, scores in zip(candidate.courses, candidate.scores, strict=True):
                entry = {"fit_time": course.fit_time, "score_time": course.score_time}
                for place, part in enumerate(("test", "train")[: 1 + given.scores_training]):
                    values = scores[place] if scores else {}
                    values = {name: values.get(name, self.error_score) for name in names}
                    entry[f"{part}_scores"] = values if multimetric else values["score"]
                out.append(entry)
        results = self._format_results(
            [candidate.parameters for candidate in candidates],
            len(given.splits),
            out,
            {
                "n_iter": [candidate.n_iter for candidate in candidates],
                "stopped_by": [candidate.stopped_by for candidate in candidates],
            },
        )
        found = {
            "cv_results_": results,
            "multimetric_": multimetric,
            "n_splits_": len(given.splits),
            "scorer_": scorer._scorers if isinstance(scorer, _MultimetricScorer) else scorer,
        }
        if multimetric:
            self._check_refit_for_multimetric(names)
        metric = self.refit if multimetric else "score"
        means = None if callable(self.refit) else results.get(f"mean_test_{metric}")
        self._tell_of_problems(search.problems, means)
        if self.refit or not multimetric:
            index = self._select_best_index(self.refit, metric, results)
            found |= {"best_index_": index, "best_params_": results["params"][index]}
            if means is not None:
                found["best_score_"] = means[index]
        return found

    def _tell_of_failures(self, candidates):
        """Warn of fits that failed, or raise where all have."""
        failed = [
            (candidate, fold, course.error)
            for candidate in candidates
            for fold, course in enumerate(candidate.courses)
            if course.error is not None
        ]
        if not failed:
            return
        n_fits = sum(len(candidate.courses) for candidate in candidates)
        reasons = {}
        for candidate, fold, error in failed:
            reason = f"{type(error).__name__}: {error}"
            reasons.setdefault(reason, f"- first with {candidate.parameters} in fold {fold}: ")
        told = "\n".join(where + reason for reason, where in reasons.items())
        if len(failed) == n_fits:
            raise ValueError(
                f"All the {n_fits} fits failed. error_score='raise' raises what they raise.\n{told}"
            )
        warnings.warn(
            f"{len(failed)} fits failed out of a total of {n_fits}. Their scores are "
            f"{self.error_score}. error_score='raise' raises what they raise.\n{told}",
            FitFailedWarning,
            # the caller of fit
            stacklevel=5,
        )

    def _tell_of_problems(self, problems, means):
        """Warn of scores that are no numbers, or raise where there is no other to choose by."""
        if not problems:
            return
        told = "; ".join(
            f"{name!r} in fold {fold}: {reason}" for (fold, name), reason in problems.items()
        )
        if self.refit and means is not None and np.isnan(means).all():
            raise ValueError(f"No candidate has a mean score, as scoring failed. {told}")
        warnings.warn(
            f"Scoring failed, and where it raised the score is {self.error_score}. {told}",
            UserWarning,
            stacklevel=5,
        )


def _are_names(scoring):
    """Whether they are names, of which none is twice: scikit-learn refuses others."""
    names = [name for name in scoring if isinstance(name, str)]
    return len({*names}) == len(scoring) > 0


def _scorer_of(scoring):
    """The scorer of this name; what is no name as it is."""
    if not isinstance(scoring, str):
        return scoring
    if scoring == "loss":
        return LossScorer()
    if scoring not in get_scorer_names():
        # the names are many
        raise ValueError(
            f"{scoring!r} is not a valid scoring value: it should be 'loss', or one of the names "
            "that sklearn.metrics.get_scorer_names() returns."
        )
    return get_scorer(scoring)


def _scores_of(candidates):
    return [scores for candidate in candidates for scores in candidate.scores]


def _weights_in(params):
    """What callbacks are told of arguments of `fit`."""
    weight = params.get("sample_weight")
    return None if weight is None else {"sample_weight": weight}
