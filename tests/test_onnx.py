"""A model converted to ONNX predicts what the model predicts."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from loss_targets import targets_for
from modes import every_optimizer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

import sk_adaptive.onnx  # noqa: E402

sk_adaptive.onnx.register()

ROWS = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
DIRECTIONS = np.random.default_rng(1).normal(size=(4, 3))
LABELS = (ROWS @ DIRECTIONS > 0).astype(int)
ONE_OF_THREE = np.argmax(ROWS @ DIRECTIONS, axis=1)
TARGETS = {
    "binary": LABELS[:, 0],
    "strings": np.array(["no", "yes"])[LABELS[:, 0]],
    "booleans": LABELS[:, 0].astype(bool),
    "three classes": ONE_OF_THREE,
    "three strings": np.array(["red", "green", "blue"])[ONE_OF_THREE],
    "labels": LABELS,
    "sparse labels": sp.csr_matrix(LABELS),
}


def run(model, X, **options):
    """All outputs of the converted model."""
    options = {"zipmap": False, **options} if hasattr(model, "classes_") else None
    converted = skl2onnx.to_onnx(model, X[:1], options=options)
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


def trained(model, y, X=ROWS):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.set_params(max_iter=3, random_state=0).fit(X, y)


def expected_scores(model, X):
    """What stands where probabilities do: SGDClassifier's converter has both margins of two."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    margins = model.decision_function(X)
    return np.column_stack([-margins, margins]) if margins.ndim == 1 else margins


def assert_same_labels(actual, expected):
    np.testing.assert_array_equal(actual, expected.toarray() if sp.issparse(expected) else expected)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_classifier(loss, target):
    model = trained(AdaptiveSGDClassifier(loss=loss), TARGETS[target])
    labels, scores = run(model, ROWS)
    assert_same_labels(labels, model.predict(ROWS))
    np.testing.assert_allclose(scores, expected_scores(model, ROWS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_one_against_the_rest(loss):
    """Far from the data, where all classes may say no, too."""
    model = trained(AdaptiveSGDClassifier(loss=loss, multi_class="ovr"), ONE_OF_THREE)
    model.intercept_ = model.intercept_ - 1.0
    X = np.vstack([ROWS, 100 * ROWS, np.zeros((1, 4), np.float32)])
    labels, scores = run(model, X)
    assert_same_labels(labels, model.predict(X))
    np.testing.assert_allclose(scores, model.predict_proba(X), rtol=1e-5, atol=1e-5)
    if loss == "modified_huber":
        no = np.all(model.decision_function(X) <= -1, axis=1)
        assert no.any()
        np.testing.assert_allclose(scores[no], 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("target", ["binary", "three classes", "labels"])
def test_margins(target):
    model = trained(AdaptiveSGDClassifier(), TARGETS[target])
    _, scores = run(model, ROWS, raw_scores=True)
    margins = model.decision_function(ROWS)
    if target == "binary":
        margins = np.column_stack([-margins, margins])
    np.testing.assert_allclose(scores, margins, rtol=1e-5, atol=1e-5)


def test_dictionaries_of_probabilities():
    """skl2onnx's default for classifiers."""
    model = trained(AdaptiveSGDClassifier(), TARGETS["strings"])
    _, scores = run(model, ROWS, zipmap=True)
    assert set(scores[0]) == {"no", "yes"}
    np.testing.assert_allclose(
        [score["yes"] for score in scores], model.predict_proba(ROWS)[:, 1], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_regressor(loss, several):
    targets = targets_for(loss, np.exp(0.5 * ROWS @ DIRECTIONS))
    model = trained(AdaptiveSGDRegressor(loss=loss), targets if several else targets[:, 0])
    (values,) = run(model, ROWS)
    expected = model.predict(ROWS).reshape(len(ROWS), -1)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [AdaptiveSGDClassifier(), AdaptiveSGDRegressor()])
def test_in_a_pipeline(model):
    X = 10 * ROWS + 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(StandardScaler(), model).fit(X, TARGETS["binary"])
    first, *scores = run(pipeline, X)
    expected = pipeline.predict(X)
    np.testing.assert_allclose(first.ravel(), expected, rtol=1e-5, atol=1e-5)
    if scores:
        np.testing.assert_allclose(scores[0], pipeline.predict_proba(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.bool_])
def test_other_rows(dtype):
    """In double precision to rounding; whole numbers and booleans become float32."""
    X = (3 * ROWS).astype(dtype)
    model = trained(AdaptiveSGDClassifier(), TARGETS["three classes"], X)
    labels, scores = run(model, X)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert_same_labels(labels, model.predict(X))
    np.testing.assert_allclose(scores, model.predict_proba(X), rtol=tolerance, atol=tolerance)


def test_sparse_coefficients():
    model = trained(AdaptiveSGDRegressor(penalty="l1", alpha=0.1), ROWS[:, 0])
    expected = run(model, ROWS)
    np.testing.assert_array_equal(run(model.sparsify(), ROWS), expected)


def test_what_is_refused():
    model = trained(AdaptiveSGDClassifier(), TARGETS["labels"])
    for options in ({"zipmap": True}, {"nocl": True}):
        with pytest.raises(ValueError, match="several labels per row"):
            run(model, ROWS, **options)
    with pytest.raises(NotFittedError):
        skl2onnx.to_onnx(AdaptiveSGDRegressor(), ROWS[:1])
    with pytest.raises(RuntimeError, match="String"):
        skl2onnx.convert_sklearn(
            trained(AdaptiveSGDRegressor(), ROWS[:, 0]),
            initial_types=[("X", skl2onnx.common.data_types.StringTensorType([None, 4]))],
        )


@every_optimizer
@pytest.mark.parametrize("kind", ["binary", "three classes", "labels"])
def test_features_without_a_weight_are_left_out(optimizer, kind):
    """So that the converted model is as small as its coefficients are few."""
    X = np.hstack([ROWS, np.zeros((len(ROWS), 5000), np.float32)])[:, ::-1].copy()
    model = trained(AdaptiveSGDClassifier(optimizer=optimizer), TARGETS[kind], X)
    expected = model.predict(X), model.predict_proba(X)
    for form in (model, model.strip_optimizer()):
        options = {"zipmap": False}
        converted = skl2onnx.to_onnx(form, X[:1], options=options).SerializeToString()
        assert len(converted) < 5000
        labels, scores = run(form, X)
        np.testing.assert_array_equal(labels, expected[0])
        np.testing.assert_allclose(scores, expected[1], rtol=1e-5, atol=1e-6)


def test_a_model_without_any_weight():
    model = AdaptiveSGDRegressor(penalty="l1", alpha=1e6)
    trained(model, TARGETS["binary"].astype(float))
    assert not model.coef_.any()
    for form in (model, model.strip_optimizer()):
        (predictions,) = run(form, ROWS)
        np.testing.assert_allclose(predictions.ravel(), form.predict(ROWS), rtol=1e-6)


@pytest.mark.parametrize("piped", [False, True])
def test_a_search_becomes_its_best_estimator(piped):
    for model, target in (
        (AdaptiveSGDClassifier(max_iter=3, tol=None), "three strings"),
        (AdaptiveSGDRegressor(max_iter=3, tol=None), "binary"),
    ):
        estimator = make_pipeline(StandardScaler(), model) if piped else model
        search = AdaptiveGridSearchCV(estimator, cv=0.2).fit(ROWS, TARGETS[target])
        actual, *_ = run(search, ROWS)
        expected = search.predict(ROWS)
        if target == "three strings":
            np.testing.assert_array_equal(actual, expected)
        else:
            np.testing.assert_allclose(actual.ravel(), expected, rtol=1e-5, atol=1e-5)
