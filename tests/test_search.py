"""AdaptiveGridSearchCV: what it finds is what GridSearchCV would have found."""

import pickle
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, get_scorer, make_scorer, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, Normalizer, StandardScaler

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.estimators import candidates as of_candidates
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training import memory
from sk_adaptive.training.race import Candidate

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)

weights_are_scored = pytest.mark.skipif(
    not hasattr(GridSearchCV, "_check_scorers_accept_sample_weight"),
    reason="GridSearchCV passes weights to scorers since scikit-learn 1.7",
)

GRID = {"alpha": [0.0, 1e-2], "eta0": [0.01, 0.03, 0.1]}
FIXED = {"max_iter": 3, "tol": None, "random_state": 0, "early_stopping": False}
FINDING = {**FIXED, "early_stopping": True}


@pytest.fixture(scope="module")
def rows(zipf_rows):
    _, X, y = zipf_rows
    return X[:300], y[:300]


def classifier(**parameters):
    return AdaptiveSGDClassifier(**{**FIXED, **parameters})


def search_of(estimator=None, grid=GRID, **parameters):
    estimator = classifier() if estimator is None else estimator
    return AdaptiveGridSearchCV(estimator, grid, **{"cv": 3, **parameters})


def targets_of(kind, X, y):
    """The model and the targets of a kind."""
    if kind == "numbers":
        return AdaptiveSGDRegressor(**FIXED), X @ np.linspace(-1, 1, X.shape[1])
    if kind == "several numbers":
        weights = np.linspace(-1, 1, 2 * X.shape[1]).reshape(-1, 2)
        return AdaptiveSGDRegressor(**FIXED), X @ weights
    if kind == "classes":
        y = np.array(["a", "b", "c"])[(X.getnnz(axis=1) + (y > 0)) % 3]
    if kind == "labels":
        y = np.column_stack([y > 0, X.getnnz(axis=1) % 2]).astype(int)
    return classifier(), y


def model_of(estimator):
    return model_of(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def assert_same_search(actual, expected, rtol=1e-8):
    """Both have found the same, and the same model."""
    results = actual.cv_results_
    assert results["params"] == expected.cv_results_["params"]
    for name, values in expected.cv_results_.items():
        if name.endswith(("test_score", "train_score")) or "_test_" in name:
            np.testing.assert_allclose(results[name], values, rtol=rtol, atol=1e-10, err_msg=name)
        if name.startswith("param_"):
            assert type(results[name]) is type(values)
            assert results[name].dtype == values.dtype
            np.testing.assert_array_equal(results[name].mask, values.mask)
            np.testing.assert_array_equal(results[name], values)
    assert set(results) - set(expected.cv_results_) <= {"n_iter", "stopped_by"}
    assert not set(expected.cv_results_) - set(results)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert getattr(actual, name) == getattr(expected, name)
    assert actual.best_score_ == pytest.approx(expected.best_score_)
    assert_same_model(model_of(actual.best_estimator_), model_of(expected.best_estimator_))


def compare(X, y, estimator, grid=GRID, cv=3, scoring="neg_log_loss", named=None, **parameters):
    """Fit both searches, and assert that they are the same."""
    own = search_of(estimator, grid, scoring=scoring, cv=cv, **parameters)
    own.fit(X, y, **(named or {}))
    # the loss is a scorer, too
    scoring = own.scorer_ if scoring == "loss" else scoring
    expected = GridSearchCV(estimator, grid, scoring=scoring, cv=cv, **parameters)
    assert_same_search(own, expected.fit(X, y, **(named or {})))
    return own, expected


# -- the same as GridSearchCV --


@every_optimizer
@pytest.mark.parametrize("kind", ["signs", "classes", "labels", "numbers", "several numbers"])
def test_a_search_is_a_grid_search(rows, optimizer, kind):
    X, y = rows
    model, y = targets_of(kind, X, y)
    compare(X, y, model.set_params(optimizer=optimizer), scoring="loss", cv=2)


@pytest.mark.values
@pytest.mark.parametrize(
    "parameters",
    [
        {"normalize": True},
        {"average": True},
        {"batch_size": 8, "fit_intercept": False},
        {"loss": "hinge", "penalty": "l1", "shuffle": False},
        {"eps": 0.1, "learning_rate": "invscaling"},
        {"class_weight": {-1: 1.0, 1: 3.0}},
        {"class_weight": "balanced"},
        {"max_iter": 30, "tol": 1e-2, "n_iter_no_change": 2},
    ],
    ids=lambda parameters: "-".join(map(str, parameters)),
)
@pytest.mark.parametrize("form", [np.asarray, sp.csc_array, pd.DataFrame])
def test_parameters_of_the_estimator_count(rows, parameters, form):
    """Weights of classes are those of the rows that are learned, and training ends as it does."""
    X, y = rows
    X = form(X.toarray())
    if isinstance(X, pd.DataFrame):
        X.columns = [f"x{k}" for k in X.columns]
    own, _ = compare(X, y, classifier(**parameters), scoring="roc_auc", return_train_score=True)
    if "tol" in parameters:
        assert np.unique(own.cv_results_["n_iter"]).size > 1
        assert "tol" in own.cv_results_["stopped_by"]


@weights_are_scored
@pytest.mark.parametrize(
    ("kind", "class_weight"),
    [
        ("signs", None),
        ("signs", {-1: 1.0, 1: 3.0}),
        ("signs", "balanced"),
        ("labels", {0: 1.0, 1: 3.0}),
        ("labels", "balanced"),
        ("numbers", None),
    ],
)
def test_the_loss_is_a_scorer(rows, kind, class_weight):
    """It weighs the rows held out as the model weighs those that it learns."""
    X, y = rows
    model, y = targets_of(kind, X, y)
    if class_weight is not None:
        model.set_params(class_weight=class_weight)
    weight = np.where(np.arange(X.shape[0]) % 4 == 1, 0.0, 1.5)
    own, _ = compare(X, y, model, scoring="loss", named={"sample_weight": weight})
    score = partial(own.scorer_, own.best_estimator_)
    assert own.score(X, y) == score(X, y)
    assert score(X, y, sample_weight=weight) == pytest.approx(score(X, y, sample_weight=2 * weight))
    if class_weight != "balanced":
        kept = weight > 0
        assert score(X, y, sample_weight=weight) == pytest.approx(score(X[kept], y[kept]))


def test_anything_else_is_searched_in_groups(rows):
    X, y = rows
    grid = [
        {"eta0": [0.03, 0.1], "optimizer": ["adagrad", "adam"], "batch_size": [1, 4]},
        {"alpha": [1e-4, 1e-2], "loss": ["log_loss", "modified_huber"], "eps": [0.1, None]},
        {"l1_ratio": [0.2, 0.9], "penalty": ["elasticnet"], "max_iter": [2, 4]},
        {"average": [True, 100], "class_weight": [{-1: 1.0, 1: 2.0}, None]},
    ]
    own, _ = compare(X, y, classifier(), grid=grid)
    assert len(own.cv_results_["params"]) == 8 + 8 + 4 + 4


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (None, True),
        ("f1", False),
        (["accuracy", "roc_auc"], "roc_auc"),
        ({"own": make_scorer(accuracy_score), "loss": "loss"}, "own"),
        (["accuracy", "neg_log_loss"], False),
        (("accuracy", "roc_auc"), lambda results: results["mean_test_roc_auc"].argmin()),
    ],
)
def test_any_scorer_and_refit(rows, scoring, refit):
    X, y = rows
    parameters = {"scoring": scoring, "refit": refit, "cv": 3}
    own = search_of(**parameters).fit(X, y)
    if isinstance(scoring, dict):
        parameters["scoring"] = own.scorer_
    expected = GridSearchCV(classifier(), GRID, **parameters).fit(X, y)
    assert set(vars(own)) - {"prune"} == set(vars(expected)) - {"pre_dispatch", "_checked_cv_orig"}
    for name, values in expected.cv_results_.items():
        if "_test_" in name:
            np.testing.assert_allclose(own.cv_results_[name], values)
    for name in ("best_index_", "best_params_", "best_score_"):
        assert getattr(own, name, None) == pytest.approx(getattr(expected, name, None))
    if refit is False:
        with pytest.raises(AttributeError) as raised:
            own.predict(X)
        assert "`refit=False`" in str(raised.value.__cause__)
    else:
        assert_same_model(own.best_estimator_, expected.best_estimator_)


def scores_of_model(model, X, y):
    """Look at what only a model of its own has."""
    assert isinstance(model.eta0, str) or model.eta0_ == model.eta0
    raw = X @ model.coef_[0] + model.intercept_
    np.testing.assert_allclose(model.decision_function(X), raw)
    hits = np.where(raw > 0, 1, -1) == y
    return {"right": hits.mean(), "sparse": -np.count_nonzero(model.coef_)}


def test_functions_get_a_model_of_their_own(rows):
    X, y = rows
    own, _ = compare(X, y, classifier(penalty="l1"), scoring=scores_of_model, refit="right")
    by_name = search_of(classifier(penalty="l1"), scoring="accuracy").fit(X, y)
    np.testing.assert_array_equal(
        own.cv_results_["mean_test_right"], by_name.cv_results_["mean_test_score"]
    )
    with pytest.raises(ValueError, match="refit must be set"):
        search_of(scoring=scores_of_model).fit(X, y)


def test_folds_are_those_of_the_splitter(rows):
    X, y = rows
    groups = np.arange(X.shape[0]) // 10
    compare(X, y, classifier(), cv=GroupKFold(3), named={"groups": groups})
    pairs = list(KFold(3).split(X))
    masks = [tuple(np.isin(np.arange(X.shape[0]), part) for part in pair) for pair in pairs]
    by_pairs, by_masks = (search_of(cv=cv).fit(X, y) for cv in (iter(pairs), masks))
    assert_same_search(by_masks, by_pairs)


def test_a_share_is_one_fold_stratified(rows):
    X, y = rows
    own = search_of(classifier(early_stopping=True), cv=0.2).fit(X, y)
    assert own.n_splits_ == 1
    assert "split1_test_score" not in own.cv_results_
    # the split of a fit that sets rows aside, with the same seed
    best = classifier(
        **own.best_params_, early_stopping=True, validation_fraction=0.2, refit=False
    ).fit(X, y)
    assert max(best.validation_scores_) == pytest.approx(own.best_score_)


def test_a_fold_knows_all_classes(rows):
    X, _ = rows
    y = np.arange(X.shape[0]) // 100
    for estimator, grid in (
        (classifier(class_weight="balanced"), GRID),
        (make_pipeline(MaxAbsScaler(), classifier()), {"adaptivesgdclassifier__eta0": [0.1]}),
    ):
        own = search_of(estimator, grid, cv=KFold(3)).fit(X, y)
        assert np.isfinite(own.cv_results_["mean_test_score"]).all()
        assert own.classes_.tolist() == [0, 1, 2]


def test_threads_change_nothing(rows):
    X, y = rows
    _, y = targets_of("classes", X, y)
    one, two = (
        search_of(classifier(**FINDING), {**GRID, "average": [True, False]}, n_jobs=n).fit(X, y)
        for n in (None, 2)
    )
    for name, values in one.cv_results_.items():
        assert np.array_equal(values, two.cv_results_[name]) or name == "params" or "time" in name
    assert_same_model(one.best_estimator_, two.best_estimator_)


# -- pipelines --

FITS = []


class Counting(TransformerMixin, BaseEstimator):
    """A transformer that multiplies, and counts what it does."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        FITS.append(("fit", X.shape[0]))
        self.mean_ = np.abs(X).mean()
        return self

    def transform(self, X):
        FITS.append(("transform", X.shape[0]))
        return X * (self.factor / self.mean_)


def pipeline_of(*transformers, **parameters):
    return make_pipeline(*transformers, classifier(**parameters))


@pytest.mark.parametrize("scoring", ["loss", "roc_auc", scores_of_model, ["loss", "accuracy"]])
def test_transformers_work_once_for_each_combination_of_theirs(rows, scoring):
    """And once more for all rows in the end."""
    X, y = rows
    if callable(scoring):

        def scoring(pipeline, X, y):
            assert [name for name, _ in pipeline.steps][-1] == "adaptivesgdclassifier"
            return scores_of_model(pipeline[-1], pipeline[:-1].transform(X), y)["right"]

    refit = "accuracy" if isinstance(scoring, list) else True
    grid = {
        **{f"adaptivesgdclassifier__{name}": values for name, values in GRID.items()},
        "adaptivesgdclassifier__optimizer": ["adagrad", "adam"],
        "counting__factor": [1.0, 2.0],
    }
    FITS.clear()
    own = search_of(pipeline_of(Counting()), grid, scoring=scoring, refit=refit).fit(X, y)
    assert len(own.cv_results_["params"]) == 24
    # fit_transform, and transform of the rows held out
    assert FITS == 2 * 3 * [("fit", 200), ("transform", 200), ("transform", 100)] + [
        ("fit", 300),
        ("transform", 300),
    ]
    if scoring == "roc_auc":
        expected = GridSearchCV(pipeline_of(Counting()), grid, cv=3, scoring=scoring)
        assert_same_search(own, expected.fit(X, y))


def test_a_pipeline_is_its_transforms_by_hand(rows):
    """Of rows to learn and rows held out, also if these are not transformed in the same way."""
    X, y = rows
    X = X.toarray()
    halved = FunctionTransformer(partial(np.multiply, 0.5))
    estimator = Pipeline([("scale", StandardScaler()), ("none", "passthrough"), ("last", halved)])
    estimator = make_pipeline(estimator, classifier())
    grid = {f"adaptivesgdclassifier__{name}": values for name, values in GRID.items()}
    compare(X, y, estimator, grid, return_train_score=True)
    scores = []
    for learned, held_out in KFold(3).split(X):
        scaler = StandardScaler().fit(X[learned])
        model = classifier(**GRID_POINT).fit(0.5 * scaler.transform(X[learned]), y[learned])
        scores.append(
            get_scorer("neg_log_loss")(model, 0.5 * scaler.transform(X[held_out]), y[held_out])
        )
    by_hand = search_of(estimator, grid, cv=KFold(3), scoring="neg_log_loss").fit(X, y)
    of_splits = [by_hand.cv_results_[f"split{k}_test_score"][4] for k in range(3)]
    assert by_hand.cv_results_["params"][4] == {
        f"adaptivesgdclassifier__{name}": value for name, value in GRID_POINT.items()
    }
    np.testing.assert_allclose(of_splits, scores)


GRID_POINT = {"alpha": 1e-2, "eta0": 0.03}


def test_steps_and_pipelines_within_may_be_searched(rows):
    X, y = rows
    X = X.toarray()
    within = Pipeline([("scale", StandardScaler()), ("model", classifier())])
    estimator = Pipeline([("first", MaxAbsScaler()), ("then", within)])
    grid = [
        {"then__model__eta0": [0.03, 0.1], "then__scale__with_mean": [True, False]},
        {"first": ["passthrough", StandardScaler()], "then__model__alpha": [1e-2]},
        {"then__model": [classifier(optimizer="adam"), classifier(loss="modified_huber")]},
    ]
    compare(X, y, estimator, grid, scoring="loss")


def test_weights_and_memory_of_a_pipeline(rows, tmp_path):
    X, y = rows
    grid = {"adaptivesgdclassifier__eta0": [0.03, 0.1]}
    weight = 1.0 + np.arange(X.shape[0]) % 3
    named = {"adaptivesgdclassifier__sample_weight": weight}
    own, _ = compare(X, y, pipeline_of(MaxAbsScaler()), grid, scoring="accuracy", named=named)
    cached = clone(own.estimator).set_params(memory=str(tmp_path))
    for _ in range(2):
        assert_same_search(search_of(cached, grid, scoring="accuracy").fit(X, y, **named), own)
    # the loss is weighted as it is learned
    loss = search_of(own.estimator, grid).fit(X, y, **named)
    alone = search_of(classifier(), {"eta0": [0.03, 0.1]})
    scaled = make_pipeline(FunctionTransformer(), classifier())
    scaled = search_of(scaled, grid).fit(X, y, **named)
    alone.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        scaled.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert loss.best_score_ != scaled.best_score_


@pytest.mark.processes
def test_words_are_searched_with_processes_too():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [f"word{k % 7} word{k % 3} common" for k in range(60)]
    y = np.arange(60) % 3 == 0
    pipeline = make_pipeline(TfidfVectorizer(), classifier())
    grid = {
        "tfidfvectorizer__ngram_range": [(1, 1), (1, 2)],
        "adaptivesgdclassifier__eta0": [0.1, 1.0],
    }
    own, _ = compare(texts, y, pipeline, grid, scoring="accuracy")
    other = search_of(pipeline, grid, scoring="accuracy", n_jobs=2).fit(texts, y)
    assert_same_search(other, own, rtol=0)
    assert own.predict(["word0 word0"]).tolist() == [True]
    assert not hasattr(own, "n_features_in_")


# -- what is automatic --

AUTOMATIC = {"eta0": ["auto", "3*auto"], "eps": [None, "10*auto"], "alpha": ["auto", "100*auto"]}


@pytest.fixture(scope="module")
def table():
    """Numbers of several units beside one-hot columns, and two targets of other units."""
    rng = np.random.default_rng(0)
    numbers, ids = rng.normal(size=(300, 3)), np.eye(8)[rng.integers(8, size=300)]
    y = numbers @ rng.normal(size=(3, 2)) + ids @ rng.normal(size=(8, 2))
    X = np.hstack([numbers * [1, 1e3, 1e-2] + [0, 5e4, 1], ids])
    return sp.csr_matrix(X), (y + 0.3 * rng.normal(size=y.shape)) * [2.0**20, 2.0**-10]


@every_optimizer
def test_columns_and_targets_have_the_units_of_each_fold(table, optimizer):
    X, y = table
    model = AdaptiveSGDRegressor(**FIXED, optimizer=optimizer)
    own, _ = compare(X, y, model, AUTOMATIC, scoring="loss", cv=2)
    assert own.best_estimator_._model.columns.size == 3
    # numbers of another unit than those that are automatic
    grid = [AUTOMATIC, {"eta0": [0.1], "normalize": ["standardize", False, "auto"]}]
    compare(X, y[:, 0] > 0, classifier(optimizer=optimizer), grid, scoring="loss", cv=2)


@every_optimizer
def test_targets_of_any_unit_are_searched_together(table, optimizer):
    X, y = table
    model = AdaptiveSGDRegressor(optimizer=optimizer, random_state=0)
    own, scaled = (
        AdaptiveGridSearchCV(model, cv=2).fit(X, targets) for targets in (y, y * [1, 2.0**30])
    )
    assert scaled.best_params_ == own.best_params_
    scores = [each.cv_results_["mean_test_score"] for each in (own, scaled)]
    np.testing.assert_allclose(scores[1], 2.0**30 * scores[0], rtol=1e-6)
    assert r2_score(y, own.predict(X), multioutput="raw_values").min() > 0.9


@pytest.mark.parametrize("scoring", ["loss", "accuracy", scores_of_model])
@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_matrix.toarray])
def test_rows_held_out_are_what_the_vectorizer_of_the_fold_makes_of_them(scoring, form):
    """Rows that were vectorised before have words that no learned row has."""
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.3, (300, 8)), 500)
    texts = [" ".join(f"w{word}" for word in row[: 2 + k % 6]) for k, row in enumerate(words)]
    y = np.where((words < 3).sum(axis=1) + rng.normal(size=300) > 4, 1, -1)
    vectorizer = make_pipeline(CountVectorizer(), Normalizer())
    grid = {"eta0": ["auto", 1.0], "alpha": [1e-3]}
    refit = "right" if callable(scoring) else True
    alone = search_of(classifier(**FINDING), grid, scoring=scoring, refit=refit)
    alone.fit(form(vectorizer.fit_transform(texts)), y)
    if callable(scoring):

        def scoring(pipeline, X, y):
            return scores_of_model(pipeline[-1], pipeline[:-1].transform(X), y)

    piped = search_of(
        make_pipeline(vectorizer, classifier(**FINDING)),
        {f"adaptivesgdclassifier__{name}": values for name, values in grid.items()},
        scoring=scoring,
        refit=refit,
    ).fit(texts, y)
    metric = refit if callable(scoring) else "score"
    name = f"mean_test_{metric}"
    np.testing.assert_allclose(alone.cv_results_[name], piped.cv_results_[name], rtol=1e-9)


# -- the number of epochs --


@pytest.mark.values
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy"])
@pytest.mark.parametrize("average", ["auto", False])
def test_the_epoch_is_the_best_of_all(rows, scoring, average):
    """As if each number of epochs had been a search of its own; of equal ones the first."""
    X, y = rows
    own = search_of(classifier(**FINDING, average=average), scoring=scoring, prune=False)
    own.fit(X, y)
    # of these rows the weights that are scored are means
    average = "suffix" if average == "auto" else average
    model = classifier(average=average)
    by_epoch = np.array(
        [
            GridSearchCV(clone(model).set_params(max_iter=epoch), GRID, cv=3, scoring=scoring)
            .fit(X, y)
            .cv_results_["mean_test_score"]
            for epoch in range(1, 4)
        ]
    )
    np.testing.assert_allclose(own.cv_results_["mean_test_score"], by_epoch.max(axis=0))
    np.testing.assert_array_equal(own.cv_results_["n_iter"], by_epoch.argmax(axis=0) + 1)
    n_iter = own.cv_results_["n_iter"][own.best_index_]
    expected = classifier(**own.best_params_, max_iter=int(n_iter), average=average)
    assert own.best_estimator_.average == average
    assert_same_model(own.best_estimator_, expected.fit(X, y))
    assert_same_model(clone(own.best_estimator_).fit(X, y), own.best_estimator_)


@pytest.mark.parametrize(
    ("parameters", "grid", "finds"),
    [
        ({"early_stopping": True}, {}, True),
        ({"early_stopping": "auto", "tol": 1e-3}, {}, True),
        ({"early_stopping": "auto"}, {}, False),
        ({"early_stopping": False, "tol": 1e-3}, {}, False),
        ({"early_stopping": True}, {"max_iter": [3]}, False),
        ({"early_stopping": False}, {"early_stopping": [True]}, True),
    ],
)
@pytest.mark.filterwarnings("ignore:Maximum number of iteration reached")
def test_when_the_number_of_epochs_is_found(rows, parameters, grid, finds):
    X, y = rows
    model = classifier(**parameters, average=False)
    own = search_of(model, {"eta0": [0.1, 1e3], **grid}).fit(X, y)
    # the second one is best after its first epoch
    assert (own.cv_results_["n_iter"][1] < 3) == finds
    assert own.best_estimator_.early_stopping is False


def test_a_candidate_ends_where_its_mean_score_stalls(rows):
    X, y = rows
    whole = search_of(classifier(**{**FINDING, "max_iter": 30}), prune=False).fit(X, y)
    assert set(whole.cv_results_["stopped_by"]) == {"max_iter"}
    model = classifier(**{**FINDING, "max_iter": 30, "tol": 1e-3, "n_iter_no_change": 2})
    own = search_of(model, prune=False).fit(X, y)
    stopped = own.cv_results_["stopped_by"] == "tol"
    assert stopped.any()
    assert np.all(own.cv_results_["n_iter"][stopped] < 30)
    # those that went on have lost nothing by it
    same = own.cv_results_["n_iter"] == whole.cv_results_["n_iter"]
    assert same.any()
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"][same], whole.cv_results_["mean_test_score"][same]
    )


@pytest.mark.parametrize("more", [{}, {"average": [False, True]}])
def test_hopeless_candidates_are_given_up_and_the_choice_stays(rows, more):
    X, y = rows
    grid = {"eta0": [0.1, 0.2, 1e-5], "alpha": [0.0, 1e-3], **more}
    model = classifier(**{**FINDING, "max_iter": 12})
    whole = search_of(model, grid, prune=False).fit(X, y)
    own = search_of(model, grid).fit(X, y)
    pruned = own.cv_results_["stopped_by"] == "pruned"
    assert np.all(pruned[own.cv_results_["param_eta0"] == 1e-5])
    assert "pruned" not in whole.cv_results_["stopped_by"]
    assert own.best_params_ == whole.best_params_
    assert_same_model(own.best_estimator_, whole.best_estimator_)


@pytest.mark.parametrize(
    ("means", "best", "hopeless"),
    [
        ([0.1, 0.2], 0.9, False),  # too early to say
        ([0.1, 0.2, 0.3], 0.51, True),  # 0.3 + 0.2 is less
        ([0.1, 0.2, 0.3], 0.49, False),
        ([0.5, 0.3, 0.2], 0.51, True),  # it does not even grow
        ([0.5, 0.3, 0.2], 0.5, False),
        ([0.0, 0.1, 0.4, 0.42, 0.44], 0.77, False),  # 0.44 + 0.34 is more
        ([0.0, 0.3, 0.4, 0.42, 0.44], 0.59, True),  # only the second half counts: 0.58
    ],
)
def test_hopeless_is_what_would_not_come_up_by_rising_as_much_again(means, best, hopeless):
    assert Candidate(0, {}, means=means).is_hopeless(best) == hopeless


def test_a_best_candidate_that_has_not_ended_is_a_warning(rows):
    X, y = rows
    model = classifier(early_stopping=True, max_iter=2, tol=1e-3)
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as record:
        search_of(model).fit(X, y)
    assert [warning.filename for warning in record] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search_of(classifier(early_stopping=True, max_iter=2)).fit(X, y)


# -- automatic grids --


@pytest.mark.values
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@pytest.mark.parametrize("optimizer", ["adagrad", "adamw"], ids=["sums", "decays"])
def test_automatic_grids_are_of_multiples(rows, optimizer, penalty):
    """Each fold, and whoever learns with the best parameters, derives the numbers from its rows."""
    X, y = rows
    model = classifier(optimizer=optimizer, penalty=penalty)
    own = AdaptiveGridSearchCV(model, scoring="neg_log_loss", cv=3)
    own.fit(X, y)
    grid = own.cv_results_["params"]
    n_strengths = 1 if penalty is None else len(of_candidates.STRENGTHS)
    assert len(grid) == n_strengths * sum(map(len, of_candidates.RATES_BY_EPS.values()))
    by_hand = [{name: [value] for name, value in each.items()} for each in grid]
    expected = GridSearchCV(model, by_hand, scoring="neg_log_loss", cv=3).fit(X, y)
    assert_same_search(own, expected)
    assert_same_model(clone(model).set_params(**own.best_params_).fit(X, y), own.best_estimator_)


def test_an_automatic_grid_of_a_pipeline_is_of_transformed_rows(rows):
    X, y = rows
    kinds = [AdaptiveGridSearchCV(pipeline_of(MaxAbsScaler()), cv=3) for _ in range(2)]
    one, other = (own.fit(unit * X, y) for own, unit in zip(kinds, (1, 2.0**10), strict=True))
    assert set(one.best_params_) == {
        f"adaptivesgdclassifier__{n}" for n in ("alpha", "eps", "eta0")
    }
    assert_same_search(other, one)


def test_units_of_the_rows_do_not_matter(rows):
    X, y = rows
    one, other = (AdaptiveGridSearchCV(classifier(), cv=3).fit(X * unit, y) for unit in (1, 1e-3))
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"], rtol=1e-6
    )
    assert one.best_index_ == other.best_index_


# -- weights, routing --


@weights_are_scored
def test_weights_go_where_they_are_taken(rows):
    X, y = rows
    weight = 1.0 + np.arange(X.shape[0]) % 3
    named = {"sample_weight": weight}
    compare(X, y, classifier(class_weight={-1: 1.0, 1: 2.0}), scoring="accuracy", named=named)
    without = make_scorer(lambda y, predicted: accuracy_score(y, predicted))
    scoring = {"own": without, "accuracy": "accuracy", "function": scores_alone}
    with pytest.warns(UserWarning, match="own=.* does not support sample_weight"):
        own = search_of(scoring=scoring, refit="own").fit(X, y, **named)
    plain = search_of(scoring="accuracy").fit(X, y)
    assert own.cv_results_["mean_test_own"] == pytest.approx(own.cv_results_["mean_test_function"])
    assert own.cv_results_["mean_test_own"][-1] != own.cv_results_["mean_test_accuracy"][-1]
    assert plain.best_score_ != own.best_score_


def scores_alone(model, X, y):
    return model.score(X, y)


@pytest.mark.processes
@pytest.mark.parametrize("scoring", ["loss", "accuracy", ["loss", "accuracy"]])
@pytest.mark.parametrize("piped", [False, True])
def test_metadata_is_routed(rows, scoring, piped):
    X, y = rows
    weight, groups = 1.0 + np.arange(X.shape[0]) % 3, np.arange(X.shape[0]) // 10
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=1)
        accuracy = get_scorer("accuracy").set_score_request(sample_weight="sample_weight")
        if scoring != "loss":
            scoring = accuracy if scoring == "accuracy" else {"loss": "loss", "acc": accuracy}
        estimator, prefix = model, ""
        if piped:
            estimator = make_pipeline(MaxAbsScaler(), model)
            prefix = "adaptivesgdclassifier__"
        grid = {prefix + name: values for name, values in GRID.items()}
        parameters = {"cv": GroupKFold(3), "refit": "acc" if isinstance(scoring, dict) else True}
        own = search_of(estimator, grid, scoring=scoring, **parameters)
        own.fit(X, y, sample_weight=weight, groups=groups)
        scoring = own.scorer_
        expected = GridSearchCV(estimator, grid, scoring=scoring, **parameters)
        expected.fit(X, y, sample_weight=weight, groups=groups)
        assert_same_search(own, expected)
        if piped:
            # also to other processes
            other = own.set_params(n_jobs=2).fit(X, y, sample_weight=weight, groups=groups)
            assert_same_search(other, expected)
        with pytest.raises(TypeError, match="unexpected argument"):
            own.fit(X, y, weights=weight)


def test_other_arguments_of_fit_are_refused(rows):
    X, y = rows
    with pytest.raises(TypeError, match="passes sample_weight and offset to the models"):
        search_of().fit(X, y, coef_init=np.zeros((1, X.shape[1])))


# -- what fails --


@pytest.mark.parametrize("finds", [False, True])
@pytest.mark.parametrize("error_score", [np.nan, -9.0])
def test_candidates_that_fail_have_the_error_score(rows, finds, error_score):
    X, y = rows
    X = X.astype(np.float32)
    y = X @ np.linspace(-1, 1, X.shape[1], dtype=np.float32)
    model = AdaptiveSGDRegressor(**(FINDING if finds else FIXED))
    grid = {"alpha": [0.0], "eta0": [0.01, 1e30, 0.1], "power_t": [0.5]}
    parameters = {"error_score": error_score}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"):
        own = search_of(model, grid, **parameters).fit(X, y)
    results = own.cv_results_
    np.testing.assert_array_equal(results["mean_test_score"][1], error_score)
    assert results["stopped_by"].tolist() == ["max_iter", "failed", "max_iter"]
    assert results["rank_test_score"].max() == results["rank_test_score"][1] == 3
    alone = search_of(model, {**grid, "eta0": [0.01, 0.1]}).fit(X, y)
    np.testing.assert_allclose(
        results["mean_test_score"][[0, 2]], alone.cv_results_["mean_test_score"], rtol=1e-5
    )
    with pytest.raises(ValueError, match="under-/overflow occurred at epoch #1"):
        search_of(model, grid, error_score="raise").fit(X, y)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"eta0": [0.1, -1.0]}, "'eta0' parameter"),
        ({"optimizer": ["adagrad", "sgd"]}, "'optimizer' parameter"),
        ({"penalty": ["l2", "elasticnet"], "l1_ratio": [None]}, "l1_ratio must be set"),
        ({"optimizer": ["adamw"], "eta0": [0.01], "alpha": [0.0, 200.0]}, "eta0 \\* alpha"),
        ({"loss": ["log_loss", "hinge"], "multi_class": ["multinomial"]}, "needs loss='log_loss'"),
    ],
)
def test_parameters_that_do_not_work_fail_alone(rows, grid, message):
    X, y = rows
    with pytest.warns(FitFailedWarning, match=message):
        own = search_of(grid=grid).fit(X, y)
    assert own.best_params_ == own.cv_results_["params"][0]
    assert np.isnan(own.cv_results_["mean_test_score"]).tolist() == [False, True]
    last = {name: values[-1:] for name, values in grid.items()}
    with pytest.raises(ValueError, match=f"(?s)All the 3 fits failed.*{message}.*first with"):
        search_of(grid=last).fit(X, y)


def test_transformers_that_fail_fail_their_candidates(rows):
    X, y = rows
    grid = {
        "standardscaler__with_mean": [True, False],
        "adaptivesgdclassifier__eta0": [0.03, 0.1],
    }
    with pytest.warns(FitFailedWarning, match="Cannot center sparse matrices"):
        own = search_of(pipeline_of(StandardScaler()), grid).fit(X, y)
    assert np.isnan(own.cv_results_["mean_test_score"]).sum() == 2
    assert own.best_params_["standardscaler__with_mean"] is False


@pytest.mark.parametrize("finds", [False, True])
def test_a_score_that_is_no_number_names_the_fold_and_the_scorer(rows, finds):
    X, y = rows
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    model = classifier(early_stopping=finds)
    one_class = [(np.arange(0, 300, 2), np.arange(1, 300, 2)), (np.arange(300), np.arange(20))]
    scorer = make_scorer(area_or_nan, response_method="decision_function")
    scoring = {"loss": "loss", "area": scorer}
    with pytest.warns(UserWarning, match="'area' in fold 1: it returned NaN") as record:
        own = search_of(model, scoring=scoring, refit="loss", cv=one_class).fit(X, y)
    assert not any("StandardScaler" in str(each.message) for each in record)
    assert np.isnan(own.cv_results_["split1_test_area"]).all()
    assert np.isfinite(own.cv_results_["split0_test_area"]).all()
    before = pickle.dumps(vars(own))
    with pytest.raises(ValueError, match=r"No candidate has a mean score.*'area' in fold 1"):
        own.set_params(refit="area").fit(X, y)
    own.set_params(refit="loss")
    assert pickle.dumps(vars(own)) == before


def area_or_nan(y, raw):
    return roc_auc_score(y, raw) if np.unique(y).size > 1 else np.nan


def test_a_scorer_that_raises_has_the_error_score(rows):
    X, y = rows

    def scoring(model, X, y):
        if model.eta0 > 0.05:
            raise RuntimeError("no score today")
        return 1.0

    with pytest.warns(UserWarning, match="'score' in fold 0: RuntimeError: no score today"):
        own = search_of(scoring=scoring, error_score=-1.0).fit(X, y)
    raises = own.cv_results_["param_eta0"] > 0.05
    np.testing.assert_array_equal(own.cv_results_["mean_test_score"], np.where(raises, -1.0, 1.0))
    with pytest.raises(RuntimeError, match="no score today"):
        search_of(scoring=scoring, error_score="raise").fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"estimator": SGDClassifier()}, TypeError, "GridSearchCV trains any estimator"),
        ({"estimator": make_pipeline(SGDClassifier())}, TypeError, "GridSearchCV trains any"),
        ({"estimator": classifier(learning_rate="adaptive")}, ValueError, "learning_rate='adap"),
        ({"grid": {"etha": [0.1]}}, ValueError, "Invalid parameter 'etha'"),
        ({"grid": {"eta0": 0.1}}, TypeError, "needs to be a list"),
        ({"grid": {"eta0": []}}, ValueError, "need a non-empty sequence|non-empty"),
        ({"grid": "all"}, ValueError, "'param_grid' parameter"),
        ({"cv": 1.5}, ValueError, "'cv' parameter"),
        ({"cv": 1}, ValueError, "'cv' parameter|k-fold"),
        ({"cv": []}, ValueError, "No fits were performed"),
        ({"cv": iter(())}, ValueError, "No fits were performed"),
        ({"cv": [(range(9), [])]}, ValueError, "leaves no rows held out in fold 0"),
        ({"cv": [([0, 1], [2]), ([], [3])]}, ValueError, "leaves no rows to learn in fold 1"),
        ({"scoring": "acuracy"}, ValueError, "The 'scoring' parameter .* Got 'acuracy'"),
        ({"scoring": ["loss", "acuracy"]}, ValueError, "get_scorer_names.. returns. Got 'acuracy'"),
        ({"scoring": []}, ValueError, "Empty list"),
        ({"scoring": ["loss", "accuracy"]}, ValueError, "refit must be set to a scorer key"),
        ({"prune": "yes"}, ValueError, "'prune' parameter"),
        ({"error_score": "nan"}, ValueError, "'error_score' parameter"),
    ],
)
def test_bad_parameters_are_refused_by_name(rows, parameters, error, message):
    X, y = rows
    with pytest.raises(error, match=message) as raised:
        search_of(**parameters).fit(X, y)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("piped", [False, True])
def test_rows_without_weight_name_the_fold(rows, piped):
    X, y = rows
    weight = (np.arange(X.shape[0]) < 100).astype(float)
    name, estimator, grid = "sample_weight", classifier(), GRID
    if piped:
        name, estimator, grid = f"model__{name}", Pipeline([("model", classifier())]), {}
    with pytest.raises(ValueError, match="rows held out in fold 1 are zero"):
        search_of(estimator, grid, cv=KFold(3)).fit(X, y, **{name: weight})
    of_functions = search_of(estimator, grid, cv=KFold(3), scoring=scores_alone)
    with pytest.warns(FitFailedWarning, match="rows to learn in fold 0 are zero"):
        of_functions.fit(X, y, **{name: weight})


def test_a_fold_that_fails_ends_candidates_whose_epochs_are_found(rows):
    """No candidate has a mean score then, whatever it has come to in other folds."""
    X, y = rows
    weight = (np.arange(X.shape[0]) < 100).astype(float)
    search = search_of(classifier(**FINDING), cv=KFold(3), scoring=scores_alone)
    with pytest.raises(ValueError, match=r"(?s)All the 18 fits failed.*rows to learn in fold 0"):
        search.fit(X, y, sample_weight=weight)


@every_optimizer
def test_memory_that_there_is_not_is_refused_with_the_figure(rows, optimizer, monkeypatch):
    X, y = rows
    taken = []
    real = of_candidates.Fold.begin

    def begin(fold):
        real(fold)
        taken.append(sum(record.model.records.nbytes for record in fold._records))
        assert fold.n_bytes() == taken[-1] > 0

    monkeypatch.setattr(of_candidates.Fold, "begin", begin)
    search = search_of(classifier(optimizer=optimizer))
    search.fit(X, y)
    monkeypatch.setattr(of_candidates, "memory_limit", lambda: sum(taken) - 1)
    with pytest.raises(MemoryError, match=r"6 candidates side by side in 3 fold\(s\) need 0.0 GB"):
        search.fit(X, y)


def test_memory_is_what_the_container_may_have(tmp_path, monkeypatch):
    assert 1e8 < memory.memory_limit() < 1e14
    own = tmp_path / "self"
    monkeypatch.setattr(memory, "OWN_CGROUPS", own)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    whole = memory.memory_limit()
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    own.write_text("0::/outer/inner\n")
    assert memory.memory_limit() == whole
    (tmp_path / "outer" / "inner" / "memory.max").write_text("max\n")
    (tmp_path / "outer" / "memory.max").write_text("12345678\n")
    assert memory.memory_limit() == 12345678
    # version 1, in a container that shows the path of the host
    own.write_text("5:cpu:/\n4:memory,hugetlb:/docker/1234\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("7654321\n")
    assert memory.memory_limit() == 7654321


# -- an estimator like the others --


def test_methods_and_attributes_are_those_of_the_best_estimator(rows):
    X, y = rows
    names = [f"x{k}" for k in range(X.shape[1])]
    frame = pd.DataFrame(X.toarray(), columns=names)
    own = search_of(scoring=None).fit(frame, y)
    best = own.best_estimator_
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(own, method)(frame), getattr(best, method)(frame))
    assert own.score(frame, y) == best.score(frame, y)
    assert own.n_features_in_ == len(names)
    assert own.feature_names_in_.tolist() == names
    assert own.classes_.tolist() == [-1, 1]
    assert own.refit_time_ > 0
    times = [name for name in own.cv_results_ if name.endswith("_time")]
    assert len(times) == 4
    assert all(np.all(own.cv_results_[name] >= 0) for name in times)
    assert own.cv_results_["mean_fit_time"].min() > 0
    assert not hasattr(own, "transform")
    assert not hasattr(search_of(classifier(loss="hinge")), "predict_proba")
    with pytest.raises(NotFittedError):
        search_of().predict(X)
    best.partial_fit(frame, y)
    copy = pickle.loads(pickle.dumps(own))
    assert_same_model(copy.best_estimator_, best)
    assert "AdaptiveSGDClassifier" in own._repr_html_()


@pytest.mark.parametrize("error", ["input", "scorer", "refit"])
def test_a_fit_that_fails_changes_nothing(rows, error):
    X, y = rows
    own = search_of().fit(X, y)
    before = {name: id(value) for name, value in vars(own).items()}
    again = clone(own)
    if error == "input":
        X = X.copy()
        X.data[0] = np.nan
    elif error == "scorer":
        own.scoring, own.error_score = (lambda *arguments: 1 / 0), "raise"
    else:
        own.refit = lambda results: 99
    for name in ("scoring", "error_score", "refit"):
        before[name] = id(getattr(own, name))
    with pytest.raises((ValueError, ZeroDivisionError, IndexError)):
        own.fit(X, y)
    assert {name: id(value) for name, value in vars(own).items()} == before
    assert not vars(again).keys() - {*again.get_params(deep=False)}


def test_a_second_fit_leaves_nothing_of_the_first(rows):
    X, y = rows
    own = search_of().fit(pd.DataFrame(X.toarray()).add_prefix("x"), y)
    own.set_params(refit=False).fit(X, y)
    assert not {"best_estimator_", "feature_names_in_", "refit_time_"} & {*vars(own)}
    assert not hasattr(own, "n_features_in_")


class Short(AdaptiveSGDClassifier):
    """A subclass with another signature, and a method of its own."""

    def __init__(self, eta0=0.1, alpha=1e-3):
        super().__init__(eta0=eta0, alpha=alpha, **FIXED)

    def decision_function(self, X):
        return 2 * (X @ self.coef_[0])


class Halved(AdaptiveSGDClassifier):
    def fit(self, X, y):
        return super().fit(0.5 * X, y)


class Finding(AdaptiveSGDClassifier):
    """A subclass that leaves out parameters that a search reads."""

    def __init__(self, eta0=0.1):
        super().__init__(eta0=eta0, **FINDING)


def test_subclasses_are_searched_as_they_are(rows):
    X, y = rows
    own, _ = compare(X, y, Short(), scoring="roc_auc")
    assert type(own.best_estimator_) is Short
    own = AdaptiveGridSearchCV(Finding(), cv=3).fit(X, y)
    assert set(own.best_params_) == {"eta0"}
    assert own.best_estimator_.n_iter_ == own.cv_results_["n_iter"][own.best_index_]
    with pytest.raises(TypeError, match="Halved has a `fit` of its own"):
        AdaptiveGridSearchCV(Halved()).fit(X, y)


def test_verbose_prints_a_line_for_each_epoch(rows, capsys):
    X, y = rows
    search_of(classifier(**FINDING), verbose=1, prune=False).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Fitting 3 folds for each of 6 candidates, totalling 18 fits"
    assert [line.split(":")[0] for line in lines[1:]] == [f"Epoch {k} of 3" for k in (1, 2, 3)]
    assert "6 of 6 candidates" in lines[1]
    search_of().fit(X, y)
    assert not capsys.readouterr().out


class Watch:
    """A callback that counts, and stops a level."""

    max_propagation_depth = None

    def __init__(self, stop_at=None, raise_at=None):
        self.stop_at, self.raise_at, self.names = stop_at, raise_at, []

    def setup(self, estimator, context):
        self.names = []

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        parent = "nothing" if context.parent is None else context.parent.task_name
        self.names.append((parent, context.task_name))
        if self.names[-1] == self.raise_at:
            raise RuntimeError("no more")
        return self.names.count(self.stop_at) == 1 and self.names[-1] == self.stop_at


@pytest.mark.skipif(
    not hasattr(AdaptiveGridSearchCV, "set_callbacks"), reason="scikit-learn older than 1.9"
)
@pytest.mark.parametrize("finds", [False, True])
def test_callbacks_are_told_of_every_epoch_and_may_stop_both_parts(rows, finds):
    X, y = rows
    model, grid = classifier(early_stopping=finds), {**GRID, "average": [False, True]}
    watch = Watch()
    plain = search_of(model, grid).fit(X, y)
    own = search_of(model, grid).set_callbacks(watch).fit(X, y)
    assert_same_search(own, plain, rtol=0)
    assert watch.names.count(("candidates", "epoch")) == 2 * 3
    assert watch.names.count(("search", "candidates")) == 2
    assert watch.names.count(("fit", "epoch")) == own.best_estimator_.n_iter_
    assert watch.names[-1] == ("nothing", "fit")
    own = search_of(model).set_callbacks(Watch(("candidates", "epoch"))).fit(X, y)
    assert set(own.cv_results_["stopped_by"]) == {"callback"}
    assert np.all(own.cv_results_["n_iter"] == 1)
    own = search_of(model).set_callbacks(Watch(("fit", "epoch"))).fit(X, y)
    assert (own.best_estimator_.n_iter_, own.best_estimator_.stopped_by_) == (1, "callback")


@pytest.mark.skipif(
    not hasattr(AdaptiveGridSearchCV, "set_callbacks"), reason="scikit-learn older than 1.9"
)
@pytest.mark.parametrize(
    "task", [("candidates", "epoch"), ("fit", "search"), ("fit", "fit"), ("nothing", "fit")]
)
def test_a_callback_that_raises_changes_nothing(rows, task):
    X, y = rows
    own = search_of().fit(X, y).set_callbacks(Watch(raise_at=task))
    before = dict(vars(own))
    with pytest.raises(RuntimeError, match="no more"):
        own.fit(X, y)
    assert vars(own) == before


def test_labels_may_be_sparse(rows):
    X, y = rows
    model, labels = targets_of("labels", X, y)
    for cv in (3, 0.25):
        dense, sparse = (
            search_of(model, cv=cv).fit(X, form(labels)) for form in (np.array, sp.csr_matrix)
        )
        assert_same_model(sparse.best_estimator_, dense.best_estimator_)
        assert sp.issparse(sparse.predict(X))
