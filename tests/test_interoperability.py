"""Together with the rest of scikit-learn, and with packages around it.

docs/interoperability.md names the tests. Those of optional packages are skipped without them.
"""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, own_attributes
from modes import every_optimizer
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import StackingClassifier, VotingClassifier, VotingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS


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


@pytest.mark.processes
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


@pytest.mark.processes
@pytest.mark.parametrize("kind", [RandomizedSearchCV, HalvingGridSearchCV])
def test_other_searches(messages, kind):
    """Of optimizers and their parameters, by two processes."""
    texts, labels = messages
    settings = {"cv": 2, "n_jobs": 2, "random_state": 0, "error_score": "raise"}
    if kind is RandomizedSearchCV:
        space = {
            "adaptivesgdclassifier__optimizer": list(OPTIMIZERS),
            "adaptivesgdclassifier__eta0": loguniform(1e-2, 1),
            "adaptivesgdclassifier__eps": loguniform(1e-10, 1e-2),
        }
        search = RandomizedSearchCV(text_model(), space, n_iter=6, **settings)
    else:
        search = HalvingGridSearchCV(text_model(), GRID, min_resources=100, **settings)
    search.fit(texts, labels)
    assert search.best_score_ > 0.7
    # what it reports is what a model with these parameters does
    again = clone(search.best_estimator_).fit(texts, labels)
    assert_same_model(again[-1], search.best_estimator_[-1])


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


def test_calibration_of_a_frozen_model(rows):
    """The model stays as it was; only the calibration learns."""
    X, y = rows
    base = AdaptiveSGDClassifier(loss="hinge", random_state=0).fit(X[:160], y[:160])
    before = pickle.loads(pickle.dumps(base))
    model = CalibratedClassifierCV(FrozenEstimator(base), cv=3).fit(X[160:], y[160:])
    assert_same_model(base, before)
    probabilities = model.predict_proba(X)[:, 1]
    assert brier_score_loss(y, probabilities, pos_label="spam") < 0.2
    # in the order of the model's margins
    order = np.argsort(base.decision_function(X))
    assert np.all(np.diff(probabilities[order]) >= 0)


def test_selection_of_features(rows):
    X, y = rows
    base = AdaptiveSGDClassifier(penalty="l1", alpha=0.01, random_state=0)
    selector = SelectFromModel(base, threshold=1e-2).fit(X, y)
    kept = np.abs(selector.estimator_.coef_[0]) >= 1e-2
    assert 0 < kept.sum() < kept.size
    np.testing.assert_array_equal(selector.get_support(), kept)
    assert selector.transform(X).shape == (X.shape[0], kept.sum())


def test_selection_of_features_by_sparse_coefficients(rows):
    pytest.importorskip("sklearn", "1.9", reason="older ones take dense coefficients only")
    X, y = rows
    model = AdaptiveSGDClassifier(penalty="l1", alpha=0.01, random_state=0).fit(X, y)
    dense, sparse = (
        SelectFromModel(form(), threshold=1e-2, prefit=True).transform(X)
        for form in (model.densify, model.sparsify)
    )
    assert 0 < sparse.shape[1] < X.shape[1]
    np.testing.assert_array_equal(sparse.toarray(), dense.toarray())


def test_permutation_importance():
    """What the target is made of matters, and what it is not made of does not."""
    X = np.random.default_rng(0).normal(size=(300, 3))
    model = AdaptiveSGDRegressor(learning_rate="adaptive", random_state=0)
    model.fit(X, 3 * X[:, 0] + X[:, 1])
    importances = permutation_importance(
        model, X, 3 * X[:, 0] + X[:, 1], n_repeats=3, random_state=0
    ).importances_mean
    assert importances[0] > importances[1] > 10 * abs(importances[2])


@every_optimizer
def test_clone_is_untrained_and_trains_alike(rows, optimizer):
    X, y = rows
    model = AdaptiveSGDClassifier(optimizer=optimizer, random_state=0, max_iter=3, tol=None)
    fitted = clone(model.fit(X, y))
    assert set(own_attributes(fitted)) == set(model.get_params())
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


@pytest.mark.parametrize("kind", [StackingClassifier, VotingClassifier])
def test_ensembles(rows, kind):
    X, y = rows
    members = [
        (optimizer, AdaptiveSGDClassifier(optimizer=optimizer, random_state=0))
        for optimizer in OPTIMIZERS
    ]
    settings = {"voting": "soft"} if kind is VotingClassifier else {"cv": 2}
    model = kind([*members, ("peer", LogisticRegression())], **settings).fit(X, y)
    assert model.score(X, y) > 0.8
    # each member is the model that it is alone
    member = clone(members[0][1]).fit(X, y == "spam")
    np.testing.assert_array_equal(
        model.estimators_[0].decision_function(X), member.decision_function(X)
    )


def test_an_ensemble_of_regressors():
    X = np.random.default_rng(0).normal(size=(200, 3))
    members = [
        (optimizer, AdaptiveSGDRegressor(optimizer=optimizer, random_state=0))
        for optimizer in OPTIMIZERS
    ]
    model = VotingRegressor(members).fit(X, X[:, 0])
    alone = [clone(member).fit(X, X[:, 0]).predict(X) for _, member in members]
    np.testing.assert_allclose(model.predict(X), np.mean(alone, axis=0))


@every_optimizer
def test_columns_of_a_table(optimizer):
    """Categories as sparse columns beside scaled numbers, and one that was not seen before."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "site": rng.choice([f"site{i}" for i in range(30)], size=400),
            "price": rng.lognormal(size=400),
        }
    )
    bought = (table["site"].str[-1].astype(int) % 2) == (table["price"] > 1)
    bought |= table["site"].str[-1] == "4"
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["site"]),
        (StandardScaler(), ["price"]),
        sparse_threshold=1.0,
    )
    model = make_pipeline(columns, AdaptiveSGDClassifier(optimizer=optimizer, random_state=0))
    model.fit(table, bought)
    X = columns.transform(table)
    assert sp.issparse(X)
    names = columns.get_feature_names_out()
    assert model[-1].n_features_in_ == len(names)
    # a row of nothing but the intercept and the price
    new = pd.DataFrame({"site": ["elsewhere"], "price": [2.0]})
    price = columns.named_transformers_["standardscaler"].transform(new[["price"]])[0, 0]
    coef = dict(zip(names, model[-1].coef_[0], strict=True))
    np.testing.assert_allclose(
        model.decision_function(new),
        model[-1].intercept_ + coef["standardscaler__price"] * price,
    )
    assert coef["onehotencoder__site_site4"] > coef["onehotencoder__site_site5"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_through_a_pipeline(library):
    frames = pytest.importorskip(library)
    values = np.random.default_rng(0).normal(size=(300, 3))
    X = frames.DataFrame(dict(zip("abc", values.T, strict=True)))
    y = 2 * X["a"] - X["c"] + 5
    model = make_pipeline(
        StandardScaler(), AdaptiveSGDRegressor(learning_rate="adaptive", random_state=0)
    ).set_output(transform=library)
    model.fit(X, y)
    assert isinstance(model[0].transform(X), frames.DataFrame)
    np.testing.assert_array_equal(model[0].get_feature_names_out(), ["a", "b", "c"])
    np.testing.assert_array_equal(model[-1].feature_names_in_, ["a", "b", "c"])
    assert model.score(X, y) > 0.99
    with pytest.raises(ValueError, match="feature names should match"):
        model[-1].predict(X[["c", "b", "a"]])
    # the frame is its values
    alone, other = (AdaptiveSGDRegressor(random_state=0) for _ in range(2))
    assert_same_model(alone.fit(X, y), other.fit(values, y.to_numpy()))
    np.testing.assert_allclose(alone.predict(X), other.predict(values), rtol=1e-12)


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


def test_a_stream_of_hashed_texts(messages):
    """Words that nobody has seen before have a place already."""
    texts, labels = messages
    vectorizer = HashingVectorizer(n_features=2**14)
    model, other = (AdaptiveSGDClassifier(eta0=0.5, eps=1e-6) for _ in range(2))
    for begin in range(0, len(texts), 40):
        part = slice(begin, begin + 40)
        model.partial_fit(vectorizer.transform(texts[part]), labels[part], classes=["ham", "spam"])
    X = vectorizer.transform(texts)
    assert model.score(X, labels) > 0.75
    # the whole at once is the same
    assert_same_model(other.partial_fit(X, labels, classes=["ham", "spam"]), model)


# -- packages around scikit-learn --


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_shap_values_of_a_linear_model(form):
    """Without correlations they are coefficients times distances from the mean."""
    shap = pytest.importorskip("shap")
    rng = np.random.default_rng(0)
    # no more rows than the explainer takes its mean from
    X = rng.normal(size=(100, 4)) * (rng.random(size=(100, 4)) < 0.5)
    y = (X[:, 0] - X[:, 1] > 0).astype(int)
    for model, target in ((AdaptiveSGDClassifier(), y), (AdaptiveSGDRegressor(), X[:, 0] + 1)):
        model.set_params(random_state=0).fit(form(X), target)
        explainer = shap.LinearExplainer(model, form(X))
        values = explainer.shap_values(form(X))
        np.testing.assert_allclose(
            values, model.coef_.reshape(1, -1) * (X - X.mean(axis=0)), atol=1e-10
        )
        margins = getattr(model, "decision_function", model.predict)(X)
        np.testing.assert_allclose(values.sum(axis=1) + explainer.expected_value, margins)


# -- the representation in a notebook --


def test_html_representation_has_no_link_to_pages_that_do_not_know_it():
    assert "sk-estimator-doc-link" in estimator_html_repr(LogisticRegression())
    assert not re.search(
        r"<a[^>]*sk-estimator-doc-link", estimator_html_repr(AdaptiveSGDClassifier())
    )


# -- the table --

DOCUMENT = Path(__file__).parent.parent / "docs" / "interoperability.md"


def test_the_table_names_tests_that_exist():
    named = re.findall(r"`(?:(test_\w+)\.py::)?(test_\w+)`", DOCUMENT.read_text(encoding="utf-8"))
    assert len(named) >= 20
    for module, function in named:
        path = Path(__file__).with_name(f"{module}.py") if module else Path(__file__)
        assert f"\ndef {function}(" in path.read_text(encoding="utf-8"), f"{path.name}: {function}"
