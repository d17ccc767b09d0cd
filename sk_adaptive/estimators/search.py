"""The search estimator: what GridSearchCV is, for estimators that can be trained side by side."""

import time
from contextlib import nullcontext
from numbers import Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics import check_scoring
from sklearn.metrics._scorer import _check_multimetric_scoring, _MultimetricScorer
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params

from .._threads import Threads, n_threads_of
from ..data.class_values import as_given
from ..training.epochs import warn_of_few_epochs
from .base import NameOfScorer
from .best import PredictsBest
from .callbacks import begin_search
from .candidates import Search
from .given import given_to, scorers_in
from .scorers import are_names, scorer_of

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


class AdaptiveGridSearchCV(PredictsBest):
    """:class:`~sklearn.model_selection.GridSearchCV` that trains candidates side by side.

    It searches parameters of :class:`AdaptiveSGDClassifier` or :class:`AdaptiveSGDRegressor`, alone
    or behind the transformers of a pipeline, and has the parameters, attributes and methods of
    GridSearchCV. Candidates that differ only in `eta0`, `alpha`, `l1_ratio` and `eps` are trained
    in one pass over the rows of a fold, in which each learns what it would learn alone. The
    transformers of a fold are fitted and applied once for each combination of their own parameters.
    And the search finds the number of epochs: it scores each candidate after every epoch.

    Parameters
    ----------
    estimator : estimator or Pipeline
        One of the two estimators, or a pipeline that ends in one. `fit` works on copies.
    param_grid : dict, list of dict or 'auto', default='auto'
        The values to try, as in GridSearchCV. 'auto': fourteen candidates of multiples of what is
        automatic, each with the automatic strength of the penalty and 10,000 times as much. With
        the automatic `eps` a third of the automatic learning rate, that rate and three times as
        much; with ten times `eps` the latter two; with a hundred times the last; with a
        hundredth the automatic rate. With exact 'rmsprop', 'adam' and 'adamw' the rates are three
        times as large. What is automatic is derived from the rows that a fold learns.
    scoring : str, callable, list, tuple, dict or None, default='loss'
        The score on the rows held out. 'loss' is the negative mean of the estimator's losses,
        without the penalty; sample weights and class weights are part of it. Everything else is as
        in GridSearchCV; None is the score of the estimator. With several scores, the one that
        `refit` names decides about the number of epochs, otherwise the first.
    n_jobs : int or None, default=None
        Threads that share the folds and, where it helps, the candidates of a fold; and processes,
        or what ``joblib.parallel_config`` says, in which the transformers of the folds are fitted.
        None is one, or what that context says; -1 is one for each core. The result does not depend
        on it.
    refit : bool, str or callable, default=True
        Whether to learn all rows with the best candidate, as in GridSearchCV.
    cv : int, splitter, iterable, float or None, default=None
        The folds, as in GridSearchCV. None: 5 folds. A number in (0, 1) is the share of the rows
        that a single fold holds out at random, stratified by class.
    verbose : int, default=0
        If 1 or more, `fit` prints a line for each epoch.
    error_score : float or 'raise', default=np.nan
        The score of a candidate in a fold where it fails, or where the scorer raises. 'raise'
        raises what they raise.
    return_train_score : bool, default=False
        Whether `cv_results_` has the scores on the rows that are learned, too. They are computed
        whenever those on the rows held out are.
    prune : bool, default=True
        Whether to give up candidates that are hopeless: from the third epoch on, those whose mean
        score would stay below the best one so far even if it rose, in as many epochs again, as much
        as in the second half of its epochs. Used only where the number of epochs is found.

    Attributes
    ----------
    cv_results_ : dict of str to array
        A row for each candidate, with the keys of GridSearchCV. Besides, ``n_iter`` is the number
        of epochs after which these are its scores, and ``stopped_by`` tells why it was not learned
        on: 'tol', 'max_iter', 'pruned', 'callback', or 'failed' in a fold. Times are a candidate's
        share of the time of the pass, and of its transformers.
    best_estimator_ : estimator
        The estimator with the best parameters, which has learned all rows, for as many epochs as
        were best. Its `max_iter` is that number. Its `average` is 'suffix' if the means of the
        candidates' last weights were scored.
    best_params_ : dict
        The parameters of the best candidate.
    best_score_ : float
        The mean score of the best candidate.
    best_index_ : int
        The row of the best candidate in `cv_results_`.
    scorer_ : callable or dict of str to callable
        The scorer, or the scorers by name.
    n_splits_ : int
        The number of folds.
    refit_time_ : float
        Seconds that it took to learn all rows.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        The classes, of a classifier.
    n_features_in_ : int
        Number of features seen during fit, where the estimator tells.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, where all are strings.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Searches any estimator, with a fit for each candidate.
    AdaptiveSGDClassifier : A classifier to search parameters of.
    AdaptiveSGDRegressor : A regressor to search parameters of.

    Notes
    -----
    The number of epochs is found unless the estimator has ``early_stopping=False``, or 'auto' with
    ``tol=None``, or `max_iter` is in the grid. A candidate then ends when, for `n_iter_no_change`
    epochs in a row, its mean score has risen less than `tol` above its best, with
    ``scoring='loss'`` less than `tol` times the loss of the best constant. Otherwise each candidate
    learns each fold as `fit` does without early stopping, and is scored once, as by GridSearchCV.

    Where the number of epochs is found, ``average='auto'`` scores means of weights as `fit` does.
    ``normalize='auto'`` scales columns of candidates whose `eta0`, `eps` and `alpha` are automatic,
    by the rows that a fold learns; for numbers there is 'standardize'. In rows of one norm, as
    those of text have, a word that no row to learn has is not scored, and the row gets its norm
    back: so is a new row, as its vectorizer does not know that word. In a pipeline the transformers
    of the fold see to that. Scorers that ask for predictions get those of such rows; a function
    gets the rows themselves, if X is an array or a sparse matrix.

    Other parameters form groups, which are trained one after the other. So do candidates whose
    columns are scaled and others, and those of whom a number is derived from the rows and those
    with both `eta0` and `eps` given. There is no
    ``learning_rate='adaptive'``, with which each candidate would divide its rate at another epoch.
    Candidates of an exact 'adamw' whose ``eta0 * alpha`` differ can't share a pass either. They are
    trained one after the other, as exactly and not as fast.

    The models of a group in all folds are in memory at once: M candidates on k folds take about
    M * k times the memory of a model for each feature that occurs. ``cv=0.1`` has a single fold.

    A model knows all classes of y, also those that the rows of its fold lack.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), AdaptiveSGDClassifier(random_state=0))
    >>> search = AdaptiveGridSearchCV(model, cv=3).fit(X, y)
    >>> sorted(search.best_params_)
    ['adaptivesgdclassifier__alpha', 'adaptivesgdclassifier__eps', 'adaptivesgdclassifier__eta0']
    >>> len(search.cv_results_["params"])
    14
    >>> print(f"{(search.predict(X) == y).mean():.2f}")
    0.99
    """

    _parameter_constraints: dict = {
        name: constraint
        for name, constraint in {
            **GridSearchCV._parameter_constraints,
            "param_grid": [dict, list, StrOptions({"auto"})],
            "scoring": [NameOfScorer(), callable, list, tuple, dict, None],
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
        """Find the best candidate, and learn all rows with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Training data. It is not changed.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_outputs)
            Targets, as the estimator takes them.
        **params : dict of str to object
            As in GridSearchCV: `groups` for the splitter, and `sample_weight` for the estimator and
            for the scorers that take it, or ``step__sample_weight`` for the last step of a
            pipeline. ``scoring='loss'`` takes the weights of that step, too. And `offset`, or
            ``step__offset``, for the estimator; all scores are those of predictions with it.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the estimator is none that this search can train.
        ValueError
            If the input is not valid, or if every candidate fails. The search is then what it was
            before the call, as it is if a callback raises.
        MemoryError
            If there is not the memory that all candidates of a group take; it says how much.
        """
        # -- prepare --
        scorer, _ = self._get_scorers()
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        X, y = indexable(X, as_given(y, "y"))
        params = _check_method_params(X, params)
        given = given_to(self, X, y, params, scorer)
        weight = params.get("sample_weight")
        metadata = None if weight is None else {"sample_weight": weight}
        task = begin_search(self, self.refit, X=X, y=y, metadata=metadata)
        search = Search(self, given, scorers_in(scorer))
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
                warn_of_few_epochs("mean score of the best candidate", candidate.n_iter, 4)

        # -- publish --
        before = self.__dict__
        kept = {name: value for name, value in before.items() if name not in FITTED}
        self.__dict__ = {**kept, **found}
        try:
            if task is not None:
                task.end()
        except BaseException:
            self.__dict__ = before
            raise
        return self

    def score(self, X, y=None, **params):
        """Score the best model, see `scoring`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Rows.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_outputs)
            Targets, as the estimator takes them.
        **params : dict of str to object
            As in GridSearchCV.

        Returns
        -------
        score : float
        """
        return super().score(X, as_given(y, "y"), **params)

    def _get_scorers(self):
        """The scorer, and the name of the score that decides, as in GridSearchCV."""
        scoring = self.scoring
        if scoring is None:
            return check_scoring(self.estimator, None), "score"
        if callable(scoring):
            return scoring, "score"
        if isinstance(scoring, str):
            return scorer_of(scoring), "score"
        if isinstance(scoring, dict):
            scoring = {name: scorer_of(each) for name, each in scoring.items()}
        elif are_names(scoring):
            scoring = {name: scorer_of(name) for name in scoring}
        scorers = _check_multimetric_scoring(self.estimator, scoring)
        self._check_refit_for_multimetric(scorers)
        raises = self.error_score == "raise"
        return _MultimetricScorer(scorers=scorers, raise_exc=raises), self.refit

    def _found(self, search, scorer, given):
        """The attributes that tell of the search."""
        candidates = search.candidates
        search.tell_of_failures()
        # A scorer that returns a dict tells its names where it does not fail.
        scored = [each[0] for candidate in candidates for each in candidate.scores if each]
        names = list(max(scored, key=len))
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
        search.tell_of_problems(means)
        if self.refit or not multimetric:
            index = self._select_best_index(self.refit, metric, results)
            found |= {"best_index_": index, "best_params_": results["params"][index]}
            if means is not None:
                found["best_score_"] = means[index]
        return found
