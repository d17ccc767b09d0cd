"""dask-ml's wrappers around the estimators: what they do with SGDClassifier they do with ours.

The second half goes through what dask-ml's own tests of `Incremental` are about, and compares with
scikit-learn's estimator, as some combinations of versions of Dask and scikit-learn fail for any.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_optimizer
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

pytest.importorskip("dask_ml")

import dask
import dask.array
import dask.bag
import dask.dataframe
import dask_ml.feature_extraction.text
import dask_ml.metrics
import dask_ml.model_selection
from dask_ml.wrappers import Incremental, ParallelPostFit

CLASSIFIERS = [AdaptiveSGDClassifier, SGDClassifier]


@pytest.fixture(autouse=True)
def in_threads():
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    return X, (X[:, 0] > 0).astype(int)


def in_parts(X, y):
    return dask.array.from_array(X, (100, 5)), dask.array.from_array(y, 100)


def in_frames(X, y):
    return tuple(dask.dataframe.from_array(part) for part in in_parts(X, y))


FORMS = {"arrays": lambda X, y: (X, y), "parts": in_parts, "frames": in_frames}


def outcome(function, *arguments):
    """What a function returns, or the kind and the words of the error that it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), str(error)


def assert_as_well_as_with(peer, ours, function):
    """Of the two estimators; the function checks its own result. Returns whether it works.

    Ours may work where the other fails.
    """
    expected = outcome(function, peer)
    # whatever is wrong with ours, its own traceback tells
    actual = function(ours) if expected is None else outcome(function, ours)
    assert actual in (None, expected)
    return expected is None


# --- the models that result ---


@every_optimizer
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("form", FORMS)
def test_incremental_learns_one_part_after_the_other(rows, optimizer, method, form):
    """And copies to itself what is in `vars()`: of the attributes, those that are no read-outs."""
    X, y = rows
    given = FORMS[form](X, y)
    base = AdaptiveSGDClassifier(optimizer=optimizer, eta0=0.1, eps=1e-8, average=True)
    model = Incremental(base, shuffle_blocks=False)
    expected = clone(base)
    for _ in range(2):
        assert getattr(model, method)(*given, classes=[0, 1]) is model
        expected = clone(base) if method == "fit" else expected
        expected.partial_fit(X, y, classes=[0, 1])
    assert model.estimator is base
    assert not hasattr(base, "coef_")
    assert_same_model(model.estimator_, expected)
    assert set(dir(model.estimator_)) == set(dir(expected))
    np.testing.assert_array_equal(model.classes_, expected.classes_)
    assert model.n_features_in_ == 5
    assert not hasattr(model, "coef_")  # as docs/interoperability.md says
    predicted = model.predict(given[0])
    assert dask.is_dask_collection(predicted) == (form != "arrays")
    np.testing.assert_array_equal(np.asarray(predicted), expected.predict(X))
    # a frame's columns and an array's rows may add up in another order
    np.testing.assert_allclose(
        np.asarray(model.predict_proba(given[0])), expected.predict_proba(X), rtol=1e-12
    )
    assert model.score(*given) == expected.score(X, y)


def test_sparse_parts_are_learned_as_the_whole(rows):
    X, y = rows
    X = X * (X > 0.5)
    X_parts = dask.array.from_array(X, (100, 5)).map_blocks(sp.csr_matrix)
    base = AdaptiveSGDClassifier(eta0=0.1, eps=1e-8)
    model = Incremental(base, shuffle_blocks=False)
    model.fit(X_parts, dask.array.from_array(y, 100), classes=[0, 1])
    expected = clone(base).partial_fit(sp.csr_matrix(X), y, classes=[0, 1])
    assert_same_model(model.estimator_, expected)
    np.testing.assert_array_equal(model.predict(X_parts).compute(), expected.predict(X))


def test_predictions_and_searches_beside_one_another(rows):
    X, y = rows
    base = AdaptiveSGDClassifier(random_state=0, eta0=0.1, eps=1e-8)
    model = ParallelPostFit(clone(base)).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(in_parts(X, y)[0]).compute(), clone(base).fit(X, y).predict_proba(X)
    )
    search = dask_ml.model_selection.GridSearchCV(
        base, {"optimizer": list(OPTIMIZERS), "eta0": [0.01, 0.1]}, cv=2
    )
    search.fit(X, y)
    assert_same_model(search.best_estimator_, clone(search.best_estimator_).fit(X, y))


def test_on_workers_of_their_own(rows):
    """The model is sent to another process and back after each part."""
    distributed = pytest.importorskip("distributed")
    X, y = rows
    base = AdaptiveSGDClassifier(eta0=0.1, eps=1e-8)
    cluster = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with dask.config.set(scheduler=None), distributed.Client(**cluster):
        model = Incremental(base, scoring="accuracy", shuffle_blocks=False)
        model.fit(*in_parts(X, y), classes=[0, 1])
        score = model.score(*in_parts(X, y))
    expected = clone(base).partial_fit(X, y, classes=[0, 1])
    assert_same_model(model.estimator_, expected)
    assert score == expected.score(X, y)


# --- what dask-ml's own tests of Incremental look at ---


def test_parameters_are_those_of_wrapper_and_estimator(rows):
    model = Incremental(AdaptiveSGDClassifier())
    assert model.get_params()["scoring"] is None
    assert model.get_params()["estimator__max_iter"] == AdaptiveSGDClassifier().max_iter
    model.set_params(scoring="accuracy", estimator__alpha=1e-3, estimator__max_iter=20)
    assert model.get_params()["scoring"] == "accuracy"
    model.fit(*in_parts(*rows), classes=[0, 1])
    assert (model.estimator_.alpha, model.estimator_.max_iter) == (1e-3, 20)


@pytest.mark.parametrize("form", ["arrays", "parts"])
def test_in_a_search(rows, form):
    given = FORMS[form](*rows)
    chosen = []
    for classifier in CLASSIFIERS:
        search = GridSearchCV(
            Incremental(classifier(random_state=0)), {"estimator__alpha": [1e-6, 10]}, cv=3
        )
        search.fit(*given, classes=[0, 1])
        chosen.append(search.best_params_)
    assert chosen == [{"estimator__alpha": 1e-6}] * 2


def test_a_metric_is_no_scorer(rows):
    model = Incremental(AdaptiveSGDClassifier(), scoring=dask_ml.metrics.accuracy_score)
    with pytest.raises(ValueError, match="metric function rather than a scorer"):
        model.fit(*in_parts(*rows), classes=[0, 1])


@pytest.mark.parametrize("scoring", ["accuracy", "neg_mean_squared_error", "r2", None])
def test_scores_of_a_classifier_by_name(rows, scoring):
    def works(classifier):
        model = Incremental(classifier(random_state=0), scoring=scoring)
        model.fit(*in_parts(*rows), classes=[0, 1])
        wrong = 1 - accuracy_score(rows[1], model.estimator_.predict(rows[0]))
        # neither of two classes that are as frequent is the mean: r2 is one less four times that
        low, high = (1 - 4.4 * wrong, 1 - 3.6 * wrong) if scoring == "r2" else (1 - wrong,) * 2
        shift = scoring == "neg_mean_squared_error"
        assert low - 1e-9 <= model.score(*in_parts(*rows)) + shift <= high + 1e-9

    works_at_all = assert_as_well_as_with(*CLASSIFIERS[::-1], works)
    assert works_at_all or scoring == "r2"


@pytest.mark.parametrize("pair", [CLASSIFIERS, [AdaptiveSGDRegressor, SGDRegressor]])
def test_scores_as_the_estimator_does_if_no_scorer_is_named(rows, pair):
    X, y = rows
    first = {"classes": [0, 1]} if pair is CLASSIFIERS else {}

    def works(estimator):
        model = Incremental(estimator(random_state=0)).fit(*in_parts(X, y), **first)
        assert model.score(*in_parts(X, y)) == pytest.approx(model.estimator_.score(X, y))

    assert assert_as_well_as_with(*pair[::-1], works) or pair is not CLASSIFIERS


def test_one_class_only():
    X, y = np.ones((10, 5)), np.ones(10)
    model = Incremental(AdaptiveSGDClassifier(), scoring="accuracy")
    model.partial_fit(X, y, classes=[0, 1])
    model.fit(X, y, classes=[0, 1])
    assert model.score(X, y) == 1
    assert model.score(dask.array.from_array(X, (2, 5)), dask.array.from_array(y, 2)) == 1


@pytest.mark.parametrize("container", ["list", "bag", "frame"])
def test_texts_through_a_pipeline(container):
    texts, y = ["a list", "of words", "for classification"] * 50, np.array([0, 0, 1] * 50)
    vectorizer = dask_ml.feature_extraction.text.HashingVectorizer()
    if container == "list":
        given, vectorizer = texts, HashingVectorizer()
    else:
        given, y = dask.bag.from_sequence(texts, npartitions=3), dask.array.from_array(y, 50)
    if container == "frame":
        given = given.to_dataframe(columns=["text"])["text"]

    def works(classifier):
        model = Incremental(classifier(), scoring="accuracy")
        pipeline = make_pipeline(vectorizer, model)
        pipeline.fit(given, y, incremental__classes=[0, 1])
        assert model.estimator_.coef_.shape == (1, vectorizer.n_features)
        np.testing.assert_array_equal(np.asarray(pipeline.predict(given))[:3], [0, 0, 1])

    assert assert_as_well_as_with(*CLASSIFIERS[::-1], works) or container == "frame"
