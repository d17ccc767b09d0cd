"""Offsets: numbers that are added to raw predictions and not learned."""

import numpy as np
import pytest
import scipy.sparse as sp
from loss_targets import ADDITIVE, link_of, targets_for
from modes import every_mode
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore:Maximum number of iteration")

N_ROWS = 400
FIXED = {"max_iter": 3, "tol": None, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    """Sparse rows, three targets of each that offsets are a part of, and these offsets."""
    rng = np.random.default_rng(0)
    X = sp.random(N_ROWS, 30, density=0.2, random_state=0, format="csr")
    offset = rng.normal(size=(N_ROWS, 3))
    y = X @ rng.normal(size=(30, 3)) + offset + 0.1 * rng.normal(size=(N_ROWS, 3))
    return X, y, offset


def assert_same(model, other, rtol=1e-7, by=0.0):
    """The same coefficients, and intercepts that differ by this number."""
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.intercept_, other.intercept_ + by, rtol=rtol, atol=rtol)


@every_mode
@pytest.mark.parametrize("parameters", [{}, {"batch_size": 7, "average": True}])
def test_an_offset_is_what_targets_are_shifted_by(rows, optimizer, sparse_update, parameters):
    X, y, offset = rows
    model = AdaptiveSGDRegressor(
        optimizer=optimizer, sparse_update=sparse_update, **{**FIXED, **parameters}
    )
    for targets, offsets in ((y[:, 0], offset[:, 0]), (y, offset)):
        beside = model.fit(X, targets, offset=offsets).coef_, model.intercept_
        np.testing.assert_allclose(
            model.predict(X, offset=offsets), model.predict(X) + offsets, rtol=1e-12
        )
        shifted = model.fit(X, targets - offsets)
        np.testing.assert_allclose(beside[0], shifted.coef_, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(beside[1], shifted.intercept_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("loss", ADDITIVE)
def test_shifted_targets_are_the_same_to_every_loss_that_sees_differences(rows, loss):
    X, y, offset = rows
    y, offset = np.round(512 * y[:, 0]) / 512, np.round(512 * offset[:, 0]) / 512
    for method in ("fit", "partial_fit"):
        # a narrow huber makes rounding grow
        models = [AdaptiveSGDRegressor(loss, epsilon=2.0, **FIXED) for _ in range(2)]
        getattr(models[0], method)(X, y, offset=offset)
        getattr(models[1], method)(X, y - offset)
        assert_same(*models, rtol=1e-6)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_a_constant_offset_is_a_part_of_the_intercept(rows, loss):
    """With all that is automatic, and stopping by itself."""
    X, y, _ = rows
    y = targets_for(loss, y)
    model = AdaptiveSGDRegressor(loss, epsilon=1.0, max_iter=20, random_state=0)
    for targets, constant in ((y[:, 0], 0.5), (y, [0.5, -2.0, 1.0])):
        other = AdaptiveSGDRegressor(loss, epsilon=1.0, max_iter=20, random_state=0)
        model.fit(X, targets)
        other.fit(X, targets, offset=np.broadcast_to(constant, targets.shape))
        assert other.n_iter_ == model.n_iter_
        assert_same(model, other, rtol=1e-6, by=constant)


@pytest.mark.parametrize("several", ["binary", "multinomial", "ovr", "labels"])
def test_a_constant_offset_of_classes_is_a_part_of_the_intercept(rows, several):
    X, y, _ = rows
    targets = {"binary": y[:, 0] > 1, "labels": (y > 1).astype(int)}.get(several, y.argmax(axis=1))
    multi_class = {"multi_class": several} if several in ("multinomial", "ovr") else {}
    constant = np.array([0.5, -0.75, 0.25])
    offset = np.full(N_ROWS, 0.5) if several == "binary" else np.tile(constant, (N_ROWS, 1))
    weight = np.random.default_rng(1).integers(0, 3, N_ROWS)
    named = {"class_weight": {0: 2.0, 1: 1.0, **({} if len(offset.shape) == 1 else {2: 0.5})}}
    if several in ("binary", "labels"):
        named["class_weight"] = {0: 2.0, 1: 1.0}
    model = AdaptiveSGDClassifier(**FIXED, **multi_class, **named)
    coef, intercept = model.fit(X, targets, sample_weight=weight).coef_, model.intercept_
    model.fit(X, targets, sample_weight=weight, offset=offset)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.intercept_ + offset[0], intercept, rtol=1e-6, atol=1e-7)
    proba = model.predict_proba(X, offset=offset)
    np.testing.assert_allclose(np.log(proba), model.predict_log_proba(X, offset=offset), atol=1e-6)
    raw = model.decision_function(X, offset=offset)
    np.testing.assert_allclose(raw, model.decision_function(X) + offset, rtol=1e-12)
    assert model.score(X, targets, offset=offset) == np.mean(
        (model.predict(X, offset=offset) == targets).reshape(N_ROWS, -1).all(axis=1)
    )


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_a_first_step_sees_the_offset(loss):
    """Its gradient is that of the loss at the offset."""
    for offset in (-1.5, 0.3):
        model = AdaptiveSGDClassifier(
            loss, optimizer="rmsprop", rho=0.0, eps=1e12, eta0=1e12, penalty=None,
            fit_intercept=False,
        )  # fmt: skip
        model.partial_fit([[1.0]], [1], classes=[0, 1], offset=[offset])
        spec = CLASSIFICATION_LOSSES[loss]
        _, gradient = spec.loss_of(model)(1.0, offset)
        np.testing.assert_allclose(model.coef_, -gradient, atol=1e-9)


@every_mode
def test_whole_calls_parts_and_forms_of_rows_agree(rows, optimizer, sparse_update):
    X, y, offset = rows
    classes = y.argmax(axis=1)
    mode = {"optimizer": optimizer, "sparse_update": sparse_update, "eta0": 0.1, "eps": 0.1}
    model = AdaptiveSGDClassifier(**mode)
    model.partial_fit(X, classes, classes=[0, 1, 2], offset=offset)
    parts = AdaptiveSGDClassifier(**mode)
    for part in (slice(0, 1), slice(1, 150), slice(150, N_ROWS)):
        parts.partial_fit(X[part], classes[part], classes=[0, 1, 2], offset=offset[part])
    np.testing.assert_array_equal(parts.coef_, model.coef_)
    dense = AdaptiveSGDClassifier(**mode)
    dense.partial_fit(X.toarray(), classes, classes=[0, 1, 2], offset=offset.tolist())
    np.testing.assert_array_equal(dense.coef_, model.coef_)
    # a row without weight is no row
    weight = np.r_[np.ones(300), np.zeros(N_ROWS - 300)]
    weighted = AdaptiveSGDClassifier(**mode).partial_fit(
        X, classes, classes=[0, 1, 2], sample_weight=weight, offset=offset
    )
    absent = AdaptiveSGDClassifier(**mode).partial_fit(
        X[:300], classes[:300], classes=[0, 1, 2], offset=offset[:300]
    )
    np.testing.assert_array_equal(weighted.coef_, absent.coef_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_models_side_by_side_and_threads_see_the_offset(rows, dtype, n_jobs):
    X, y, offset = rows
    X = sp.vstack([X] * 60).tocsr().astype(dtype)
    y, offset = np.tile(y, (60, 1)), np.tile(offset, (60, 1))
    models = [AdaptiveSGDRegressor(eta0="search", n_jobs=n_jobs) for _ in range(2)]
    models[0].partial_fit(X, y, offset=offset)
    models[1].partial_fit(X, y - offset)
    rtol = 1e-7 if dtype == np.float64 else 1e-2
    np.testing.assert_allclose(models[0].mixture_weights_, models[1].mixture_weights_, atol=rtol)
    assert_same(*models, rtol=rtol)
    if n_jobs == 2:
        alone = AdaptiveSGDRegressor(eta0="search").partial_fit(X, y, offset=offset)
        np.testing.assert_array_equal(models[0].coef_, alone.coef_)


@pytest.mark.parametrize("scoring", ["loss", "neg_mean_squared_error"])
def test_rows_that_are_not_learned_are_scored_with_their_offsets(rows, scoring):
    X, y, offset = rows
    X_val, y_val, offset_val = X[:100], y[:100, 0], 2 * offset[:100, 0]
    X, y, offset = X[100:], y[100:, 0], offset[100:, 0]
    parameters = {"early_stopping": True, "scoring": scoring, "random_state": 0, "max_iter": 20}
    model = AdaptiveSGDRegressor(**parameters)
    model.fit(X, y, X_val=X_val, y_val=y_val, offset=offset, offset_val=offset_val)
    shifted = AdaptiveSGDRegressor(**parameters)
    shifted.fit(X, y - offset, X_val=X_val, y_val=y_val - offset_val)
    np.testing.assert_allclose(model.validation_scores_, shifted.validation_scores_, rtol=1e-7)
    assert_same(model, shifted)
    # and those that are set aside
    assert_same(model.fit(X, y, offset=offset), shifted.fit(X, y - offset))
    np.testing.assert_allclose(model.validation_scores_, shifted.validation_scores_, rtol=1e-7)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("scoring", ["loss", "neg_mean_squared_error"])
def test_a_search_scores_with_offsets(rows, scoring, in_pipeline, routing):
    X, y, offset = rows
    y, offset = y[:, 0], offset[:, 0]
    model = AdaptiveSGDRegressor(max_iter=5, random_state=0)
    name = "offset"
    with config_context(enable_metadata_routing=routing):
        if routing:
            model.set_fit_request(offset=True)
        elif in_pipeline:
            name = "adaptivesgdregressor__offset"
        estimator = make_pipeline(MaxAbsScaler(), model) if in_pipeline else model
        grid = {"adaptivesgdregressor__alpha" if in_pipeline else "alpha": [1e-7, 1e-4]}
        search, shifted = (
            AdaptiveGridSearchCV(estimator, grid, scoring=scoring, cv=2) for _ in range(2)
        )
        search.fit(X, y, **{name: offset})
        shifted.fit(X, y - offset)
        if in_pipeline and routing:
            search.best_estimator_[-1].set_predict_request(offset=True)
        predicted = search.predict(X, offset=offset)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], shifted.cv_results_["mean_test_score"], rtol=1e-6
    )
    np.testing.assert_allclose(predicted - offset, shifted.predict(X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(predicted - offset, search.predict(X), rtol=1e-6, atol=1e-8)


def test_offsets_are_routed(rows):
    X, y, offset = rows
    y, offset = y[:, 0], offset[:, 0]
    with config_context(enable_metadata_routing=True):
        model = AdaptiveSGDRegressor(max_iter=10, random_state=0)
        model.set_fit_request(offset=True).set_score_request(offset=True)
        scores = cross_validate(model, X, y, params={"offset": offset}, cv=3)["test_score"]
        assert scores.min() > 0.9
        search = GridSearchCV(model, {"alpha": [1e-7, 1e-5]}, cv=3).fit(X, y, offset=offset)
        own = AdaptiveGridSearchCV(
            model.set_params(early_stopping=False), {"alpha": [1e-7, 1e-5]}, cv=3, scoring=None
        ).fit(X, y, offset=offset)
        assert search.best_score_ > 0.9 and own.best_score_ > 0.9
        assert own.score(X, y, offset=offset) > 0.9
        loss = AdaptiveGridSearchCV(model, cv=3).fit(X, y, offset=offset)
        assert loss.score(X, y, offset=offset) > 2 * loss.score(X, y)


def test_offsets_that_do_not_fit_are_refused(rows):
    X, y, offset = rows
    infinite = offset.copy()
    infinite[7, 1] = np.inf
    model = AdaptiveSGDRegressor(random_state=0).fit(X, y, offset=offset)
    before = model.coef_
    validation = {"X_val": X, "y_val": y}
    for named, message in (
        ({"offset": offset[:, 0]}, r"offset has the shape \(400,\).* must have the shape \(400, 3"),
        ({"offset": offset[:-1]}, r"offset has the shape \(399, 3\), but there are 400 row"),
        ({"offset": infinite}, r"offset must be finite; it is .* at row 7"),
        ({"offset": [["a"] * 3] * N_ROWS}, "offset is not an array of numbers"),
    ):
        for method in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=message):
                method(X, y, **named)
        with pytest.raises(ValueError, match=message):
            model.predict(X, **named)
    for named, message in (
        ({**validation, "offset": offset}, "offset_val was not provided"),
        ({**validation, "offset_val": offset}, "offset was not provided"),
        ({"offset_val": offset}, "offset_val is provided, but X_val and y_val were not"),
        (
            {**validation, "offset": offset, "offset_val": infinite},
            "_val: .*offset must be finite.* at row 7",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, **named)
    np.testing.assert_array_equal(model.coef_, before)


def test_means_beside_offsets_start_where_their_derivatives_add_up_to_0(rows):
    _, y, offset = rows
    for loss in REGRESSION_LOSSES:
        targets = targets_for(loss, y)
        instance = REGRESSION_LOSSES[loss].loss_of(AdaptiveSGDRegressor())
        if link_of(loss) == "identity":
            continue
        start = instance.fit_intercept_only(targets, 3 * offset)
        sums = instance(targets, start + 3 * offset)[1].sum(axis=0)
        sizes = np.abs(instance(targets, start + 3 * offset)[1]).sum(axis=0)
        # of the log loss nearly
        assert np.all(np.abs(sums) < (0.03 if link_of(loss) == "logit" else 1e-9) * sizes)
