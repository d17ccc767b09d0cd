"""Together with the rest of scikit-learn."""

import doctest
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_adaptive
from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive._registry import OPTIMIZERS

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@pytest.fixture(scope="module")
def messages():
    """Texts whose first letters tell their label more often than not."""
    rng = np.random.default_rng(0)
    common = [f"word{i}" for i in range(60)]
    labels = rng.integers(0, 2, size=240)
    texts = []
    for label in labels:
        telling = f"{'spam' if label else 'ham'}{rng.integers(5)}"
        words = [*rng.choice(common, size=6), telling if rng.random() < 0.8 else "nothing"]
        texts.append(" ".join(rng.permutation(words)))
    return texts, np.where(labels, "spam", "ham")


@pytest.fixture(scope="module")
def rows(messages):
    texts, labels = messages
    return TfidfVectorizer().fit_transform(texts), labels


def text_model(**parameters):
    classifier = AdaptiveSGDClassifier(max_iter=10, tol=None, random_state=0, **parameters)
    return make_pipeline(TfidfVectorizer(), classifier)


# Every optimizer beside what only some of them read.
GRID = [
    {
        "adaptivesgdclassifier__optimizer": list(OPTIMIZERS),
        "adaptivesgdclassifier__eta0": [0.1, "auto"],
    },
    {
        "adaptivesgdclassifier__optimizer": ["adam"],
        "adaptivesgdclassifier__beta_1": [0.0, 0.9],
        "adaptivesgdclassifier__alpha": [1e-6, 1e-2],
    },
    {
        "adaptivesgdclassifier__optimizer": ["rmsprop"],
        "adaptivesgdclassifier__rho": [0.9, 0.999],
    },
]


def test_grid_search_in_a_text_pipeline(messages):
    texts, labels = messages
    searches = [
        GridSearchCV(text_model(), GRID, cv=2, n_jobs=n_jobs, error_score="raise").fit(
            texts, labels
        )
        for n_jobs in (1, 2)
    ]
    scores = searches[0].cv_results_["mean_test_score"]
    assert searches[0].best_score_ > 0.75
    assert len(set(scores)) > 1
    # other processes find the same
    np.testing.assert_array_equal(scores, searches[1].cv_results_["mean_test_score"])
    again = pickle.loads(pickle.dumps(searches[0]))
    np.testing.assert_array_equal(again.predict(texts), searches[0].predict(texts))


@every_optimizer
def test_cross_validation(messages, optimizer):
    texts, labels = messages
    model = text_model(optimizer=optimizer)
    predicted = cross_val_predict(model, texts, labels, cv=3)
    accuracy = cross_val_score(model, texts, labels, cv=3).mean()
    np.testing.assert_allclose(np.mean(predicted == labels), accuracy)
    assert accuracy > 0.75
    probabilities = cross_val_predict(model, texts, labels, cv=3, method="predict_proba")
    np.testing.assert_array_equal(
        np.array(["ham", "spam"])[probabilities.argmax(axis=1)], predicted
    )


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_calibration(rows, loss):
    """Of a loss without probabilities, too."""
    X, y = rows
    base = AdaptiveSGDClassifier(loss=loss, random_state=0)
    model = CalibratedClassifierCV(base, method="sigmoid", cv=3).fit(X, y)
    probabilities = model.predict_proba(X)
    assert brier_score_loss(y, probabilities[:, 1], pos_label="spam") < 0.2


def test_selection_of_features(rows):
    X, y = rows
    base = AdaptiveSGDClassifier(penalty="l1", alpha=0.01, random_state=0)
    selector = SelectFromModel(base, threshold=1e-2).fit(X, y)
    kept = np.abs(selector.estimator_.coef_[0]) >= 1e-2
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(selector.get_support(), kept)
    assert selector.transform(X).shape == (X.shape[0], kept.sum())
    # sparse coefficients do as well
    selector = SelectFromModel(selector.estimator_.sparsify(), threshold=1e-2, prefit=True)
    assert selector.transform(X).shape == (X.shape[0], kept.sum())


@every_optimizer
def test_clone_is_untrained_and_trains_alike(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDClassifier(optimizer=optimizer, random_state=0, max_iter=3, tol=None)
    fitted = clone(model.fit(X, y))
    assert set(vars(fitted)) == set(model.get_params())
    assert_same_model(fitted.fit(X, y), model)


@every_optimizer
def test_meta_estimators_of_several_outputs(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "max_iter": 3, "tol": None, "random_state": 0}
    y = np.where(np.arange(len(y)) % 5 == 0, "other", y)
    meta = OneVsRestClassifier(AdaptiveSGDClassifier(**parameters)).fit(X, y)
    own = AdaptiveSGDClassifier(multi_class="ovr", **parameters).fit(X, y)
    np.testing.assert_allclose(meta.decision_function(X), own.decision_function(X), rtol=1e-8)
    np.testing.assert_array_equal(meta.predict(X), own.predict(X))
    indicator = (y[:, np.newaxis] == own.classes_).astype(int)
    meta = MultiOutputClassifier(AdaptiveSGDClassifier(**parameters)).fit(X, indicator)
    own = AdaptiveSGDClassifier(**parameters).fit(X, indicator)
    np.testing.assert_array_equal(meta.predict(X), own.predict(X))


def test_data_frames_through_a_pipeline():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    y = pd.Series(2 * X["a"] - X["c"] + 5, name="target")
    model = make_pipeline(
        StandardScaler(), AdaptiveSGDRegressor(learning_rate="adaptive", random_state=0)
    ).set_output(transform="pandas")
    model.fit(X, y)
    np.testing.assert_array_equal(model[-1].feature_names_in_, ["a", "b", "c"])
    assert model.score(X, y) > 0.99
    with pytest.raises(ValueError, match="feature names should match"):
        model[-1].predict(X[["c", "b", "a"]])


@every_optimizer
def test_a_stream_of_hashed_rows(optimizer):
    rng = np.random.default_rng(0)
    hasher = FeatureHasher(n_features=2**16, input_type="string", alternate_sign=False)
    model = AdaptiveSGDClassifier(optimizer=optimizer)
    accuracy = []
    for _ in range(20):
        clicked = rng.integers(0, 2, size=100)
        raw = [
            [f"ad={3 * click + rng.integers(3)}", f"site={rng.integers(1000)}"] for click in clicked
        ]
        X = hasher.transform(raw)
        if hasattr(model, "coef_"):
            accuracy.append(model.score(X, clicked))
        model.partial_fit(X, clicked, classes=[0, 1])
    assert np.mean(accuracy[-5:]) > 0.95
    assert model.coef_.shape == (1, 2**16)
    assert sp.issparse(model.sparsify().coef_)
    assert model.coef_.nnz < 1100


@pytest.mark.parametrize("name", sk_adaptive.__all__)
def test_examples_of_the_docstrings(name):
    public = getattr(sk_adaptive, name)
    tests = doctest.DocTestFinder().find(public, name, globs={})
    assert any(test.examples for test in tests)
    runner = doctest.DocTestRunner()
    for test in tests:
        assert runner.run(test).failed == 0


def test_examples_of_the_readme(capsys):
    readme = Path(__file__).parent.parent / "README.md"
    examples = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        exec(example, {})
    assert capsys.readouterr().out
