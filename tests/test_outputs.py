"""Several outputs: one pass gives what one model for each output gives."""

import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from comparison import relative_difference
from loss_targets import targets_for
from modes import every_form, every_mode, every_optimizer
from reference import TWINS, schedule_for
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS

N_CLASSES = 5


@pytest.fixture(scope="module")
def rows():
    """Sparse rows, the class and the real targets of each."""
    rng = np.random.default_rng(0)
    X = sp.random(300, 60, density=0.1, random_state=0, format="csr")
    targets = X @ rng.normal(size=(60, N_CLASSES)) + 0.3 * rng.normal(size=(300, N_CLASSES))
    return X, targets.argmax(axis=1), targets


@pytest.mark.pairs
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@pytest.mark.parametrize("batch_size", [1, 7])
@every_mode
def test_one_vs_rest_is_a_binary_model_for_each_class(
    rows, optimizer, sparse_update, batch_size, penalty
):
    X, y, _ = rows
    for loss in ("log_loss", "hinge"):
        parameters = {
            "loss": loss,
            "optimizer": optimizer,
            "sparse_update": sparse_update,
            "batch_size": batch_size,
            "penalty": penalty,
            "alpha": 0.01,
            "max_iter": 2,
            "tol": None,
            "random_state": 0,
        }
        model = AdaptiveSGDClassifier(multi_class="ovr", **parameters).fit(X, y)
        for k in range(N_CLASSES):
            binary = AdaptiveSGDClassifier(**parameters).fit(X, y == k)
            assert relative_difference(model.coef_[k], binary.coef_[0]) < 1e-12
            assert relative_difference(model.intercept_[k], binary.intercept_) < 1e-12


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_every_loss_trains_labels_and_classes_alike(rows, loss):
    X, y, _ = rows
    parameters = {"loss": loss, "max_iter": 2, "tol": None, "random_state": 0}
    classes = AdaptiveSGDClassifier(multi_class="ovr", **parameters).fit(X, y)
    indicator = np.eye(N_CLASSES, dtype=int)[y]
    for labels in (indicator, sp.csr_matrix(indicator), sp.csr_array(indicator)):
        model = AdaptiveSGDClassifier(**parameters).fit(X, labels)
        np.testing.assert_allclose(model.coef_, classes.coef_, rtol=1e-12)
        assert sp.issparse(model.predict(X)) == sp.issparse(labels)
        np.testing.assert_array_equal(model.classes_, np.arange(N_CLASSES))


@pytest.mark.values
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@every_optimizer
def test_targets_are_a_regression_each(rows, optimizer, loss):
    X, _, targets = rows
    targets = targets_for(loss, targets)
    parameters = {
        "loss": loss,
        "optimizer": optimizer,
        "eta0": 0.01,
        "eps": 1e-6,
        "max_iter": 2,
        "tol": None,
        "random_state": 0,
    }
    model = AdaptiveSGDRegressor(**parameters).fit(X, targets)
    assert model.predict(X).shape == targets.shape
    for k in range(N_CLASSES):
        single = AdaptiveSGDRegressor(**parameters).fit(X, targets[:, k])
        assert relative_difference(model.coef_[k], single.coef_) < 1e-12
        np.testing.assert_allclose(model.predict(X)[:, k], single.predict(X), rtol=1e-10)


@pytest.mark.pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_form
@every_optimizer
def test_an_output_learns_the_same_bits_beside_any_others(zipf_rows, parameters, dtype):
    """However many vectors the outputs take, and wherever in one an output is."""
    X = zipf_rows[1][:60].astype(dtype)
    # of every set of instructions more than the passes have in registers, or nearly as many
    targets = X @ np.random.default_rng(0).normal(size=(X.shape[1], 40))
    for penalty in ("l2", "elasticnet", None):
        for batch_size in (1, 7):
            model = AdaptiveSGDRegressor(
                penalty=penalty,
                batch_size=batch_size,
                alpha=0.01,
                eta0=0.1,
                eps=1e-6,
                max_iter=2,
                tol=None,
                random_state=0,
                **parameters,
            )
            together = clone(model).fit(X, targets)
            for outputs in (range(2), range(1, 6), range(30, 40), range(20), range(3, 33)):
                model.fit(X, targets[:, outputs])
                np.testing.assert_array_equal(model.coef_, together.coef_[outputs])
                np.testing.assert_array_equal(model.intercept_, together.intercept_[outputs])


@pytest.mark.parametrize("batch_size", [1, 7])
@every_optimizer
def test_softmax_is_exact(zipf_rows, optimizer, batch_size):
    X, X_sparse, _ = zipf_rows
    n_features = X.shape[1]
    weights = np.random.default_rng(1).normal(size=(n_features, 3))
    y = (X @ weights).argmax(axis=1)
    penalised = "l2" in TWINS[optimizer].penalties
    own = {
        name: {"rho": 0.99, "beta_1": 0.9, "beta_2": 0.999}[name]
        for name in OPTIMIZERS[optimizer].parameters
    }
    step = TWINS[optimizer].dense(
        3 * (n_features + 1), 3 * n_features, eps=1e-8, **own,
        **({"l2": 0.01} if penalised else {}),
    )  # fmt: skip
    schedule = schedule_for(optimizer)

    def rate(t):
        return 0.1 / t**0.5 if schedule == "invscaling" else 0.1

    coef, intercept = reference.train_softmax(step, X, y, 3, rate, batch_size=batch_size)
    model = AdaptiveSGDClassifier(
        optimizer=optimizer,
        penalty="l2" if penalised else None,
        alpha=0.01,
        eta0=0.1,
        learning_rate=schedule,
        batch_size=batch_size,
        eps=1e-8,
        **own,
    ).partial_fit(X_sparse, y, classes=[0, 1, 2])
    assert relative_difference(model.coef_, coef) < 1e-10
    assert relative_difference(model.intercept_, intercept) < 1e-10


def test_softmax_minimises_what_logistic_regression_does(rows):
    X, y, _ = rows
    alpha = 0.01
    model = AdaptiveSGDClassifier(
        alpha=alpha, learning_rate="adaptive", max_iter=500, tol=1e-6, random_state=0
    ).fit(X, y)
    peer = LogisticRegression(C=1 / (alpha * X.shape[0]), tol=1e-8, max_iter=1000).fit(X, y)

    def objective(fitted):
        log_probability = fitted.predict_log_proba(X)[np.arange(len(y)), y]
        return -log_probability.mean() + alpha / 2 * np.sum(fitted.coef_**2)

    assert objective(model) < objective(peer) * 1.001


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_probabilities_at_extreme_margins(rows, multi_class, dtype):
    X, y, _ = rows
    X = X.astype(dtype)
    model = AdaptiveSGDClassifier(multi_class=multi_class, max_iter=5, tol=None).fit(X, y)
    for size in (1.0, 1e4):
        factor = size / np.abs(model.decision_function(X)).max()
        model.coef_ = model.coef_ * factor
        model.intercept_ = model.intercept_ * factor
        probabilities = model.predict_proba(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert np.all(probabilities >= 0)
        assert np.all(model.predict_log_proba(X) <= 0)
        # one-vs-rest, more than one class may be certain
        predicted = probabilities[np.arange(X.shape[0]), model.predict(X)]
        np.testing.assert_array_equal(predicted, probabilities.max(axis=1))


@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
def test_class_weight_of_the_softmax_is_a_row_weight_and_of_one_vs_rest_the_class_s(
    rows, multi_class
):
    X, y, _ = rows
    parameters = {"max_iter": 2, "tol": None, "random_state": 0, "multi_class": multi_class}
    if multi_class == "ovr":
        # which would be of the weights of all classes
        parameters.update(eps=1e-6, alpha=1e-4)
    weights = compute_class_weight("balanced", classes=np.arange(N_CLASSES), y=y)
    balanced = AdaptiveSGDClassifier(class_weight="balanced", **parameters).fit(X, y)
    by_dict = AdaptiveSGDClassifier(class_weight=dict(enumerate(weights)), **parameters).fit(X, y)
    np.testing.assert_array_equal(balanced.coef_, by_dict.coef_)
    if multi_class == "multinomial":
        expected = AdaptiveSGDClassifier(**parameters).fit(X, y, sample_weight=weights[y]).coef_
    else:
        expected = [
            AdaptiveSGDClassifier(class_weight={True: weights[k]}, **parameters)
            .fit(X, y == k)
            .coef_[0]
            for k in range(N_CLASSES)
        ]
    np.testing.assert_allclose(balanced.coef_, expected, rtol=1e-10, atol=1e-14)


def test_class_weight_of_labels(rows):
    X, y, _ = rows
    indicator = np.eye(N_CLASSES, dtype=int)[y]
    # eps and alpha would be of the weights of all labels
    parameters = {"max_iter": 2, "tol": None, "random_state": 0, "eps": 1e-6, "alpha": 1e-4}
    for class_weight in ("balanced", {0: 0.5, 1: 3.0}):
        model = AdaptiveSGDClassifier(class_weight=class_weight, **parameters).fit(X, indicator)
        for k in range(N_CLASSES):
            binary = AdaptiveSGDClassifier(class_weight=class_weight, **parameters)
            binary.fit(X, indicator[:, k])
            np.testing.assert_allclose(model.coef_[k], binary.coef_[0], rtol=1e-10, atol=1e-14)


def test_labels_that_never_occur_are_no_obstacle(rows):
    X, y, _ = rows
    indicator = np.eye(N_CLASSES + 1, dtype=int)[y]
    model = AdaptiveSGDClassifier(class_weight="balanced", max_iter=5, tol=None)
    assert not model.fit(X, indicator).predict(X)[:, N_CLASSES].any()


@pytest.mark.parametrize("kind", ["classes", "labels", "targets"])
@every_optimizer
def test_chunks_equal_the_whole_and_pickles_go_on(rows, optimizer, kind):
    X, y, targets = rows
    if kind == "targets":
        y, make, first = targets, AdaptiveSGDRegressor, {}
    elif kind == "labels":
        y, make, first = np.eye(N_CLASSES, dtype=int)[y], AdaptiveSGDClassifier, {}
    else:
        make, first = AdaptiveSGDClassifier, {"classes": np.arange(N_CLASSES)}
    parameters = {"optimizer": optimizer, "batch_size": 3, "eta0": 0.1, "eps": 1e-6}
    whole = make(**parameters).partial_fit(X, y, **first)
    chunks = make(**parameters)
    for start in range(0, 300, 60):
        chunks.partial_fit(X[start : start + 60], y[start : start + 60], **first)
        chunks.predict(X)
        chunks = pickle.loads(pickle.dumps(chunks))
    np.testing.assert_array_equal(chunks.coef_, whole.coef_)
    np.testing.assert_array_equal(chunks.intercept_, whole.intercept_)


def test_weight_zero_is_absent(rows):
    X, y, _ = rows
    weight = np.random.default_rng(0).integers(0, 2, size=300)
    present = weight > 0
    parameters = {"max_iter": 2, "tol": None, "shuffle": False, "eta0": 0.1}
    weighted = AdaptiveSGDClassifier(**parameters).fit(X, y, sample_weight=weight)
    absent = AdaptiveSGDClassifier(**parameters).fit(X[present], y[present])
    np.testing.assert_array_equal(weighted.coef_, absent.coef_)


def test_early_stopping_holds_rows_of_labels_and_targets_out(rows):
    X, y, targets = rows
    indicator = np.eye(N_CLASSES, dtype=int)[y]
    for model, target in (
        (AdaptiveSGDClassifier(), y),
        (AdaptiveSGDClassifier(), indicator),
        (AdaptiveSGDClassifier(), sp.csr_matrix(indicator)),
        (AdaptiveSGDRegressor(), targets),
    ):
        model.set_params(early_stopping=True, random_state=0).fit(X, target)
        assert 0 < model.n_iter_ < model.max_iter


def test_bad_targets_are_refused(rows):
    X, y, targets = rows
    indicator = np.eye(N_CLASSES, dtype=int)[y]
    classifier = AdaptiveSGDClassifier().partial_fit(X, y, classes=np.arange(N_CLASSES))
    before = classifier.coef_
    with pytest.raises(ValueError, match="several labels per row"):
        classifier.partial_fit(X, indicator)
    np.testing.assert_array_equal(classifier.coef_, before)
    labelled = AdaptiveSGDClassifier().partial_fit(X, indicator)
    with pytest.raises(ValueError, match=f"y has 3 labels, but {N_CLASSES} are expected"):
        labelled.partial_fit(X, indicator[:, :3])
    with pytest.raises(ValueError, match="multi_class='multinomial' needs loss='log_loss'"):
        AdaptiveSGDClassifier(loss="hinge", multi_class="multinomial").fit(X, y)
    with pytest.raises(ValueError, match="1d array"):
        AdaptiveSGDClassifier().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="indicator matrix"):
        AdaptiveSGDClassifier().fit(X, sp.csr_matrix(np.column_stack([y, y])))
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported"):
        AdaptiveSGDClassifier(class_weight="balanced").partial_fit(X, indicator)
    regressor = AdaptiveSGDRegressor().partial_fit(X, targets)
    with pytest.raises(ValueError, match="of the previous calls"):
        regressor.partial_fit(X, targets[:, :2])
    with pytest.raises(ValueError, match="at row 7"):
        bad = np.abs(targets)
        bad[7, 2] = -1
        AdaptiveSGDRegressor(loss="poisson").fit(X, bad)


def test_a_target_matrix_of_one_column_stays_one(rows):
    X, _, targets = rows
    column = AdaptiveSGDRegressor(random_state=0).fit(X, targets[:, :1])
    flat = AdaptiveSGDRegressor(random_state=0).fit(X, targets[:, 0])
    assert column.coef_.shape == (1, 60) and column.predict(X).shape == (300, 1)
    assert flat.coef_.shape == (60,) and flat.predict(X).shape == (300,)
    np.testing.assert_array_equal(column.coef_[0], flat.coef_)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_optimizer
def test_huge_entries_are_learned_like_others(rows, optimizer, dtype):
    """Where a square may overflow, rows are learned by another path of the code."""
    X, y, _ = rows
    X = (1e15 * X).astype(dtype)
    parameters = {"optimizer": optimizer, "eta0": 1e-16, "max_iter": 2, "tol": None}
    parameters["random_state"] = 0
    model = AdaptiveSGDClassifier(multi_class="ovr", **parameters).fit(X, y)
    for k in range(N_CLASSES):
        binary = AdaptiveSGDClassifier(**parameters).fit(X, y == k)
        bound = 1e-12 if dtype == np.float64 else 1e-4
        assert relative_difference(model.coef_[k], binary.coef_[0]) < bound


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@every_optimizer
def test_a_step_that_overflows_changes_no_output(rows, optimizer, penalty, batch_size):
    X, _, targets = rows
    parameters = {"optimizer": optimizer, "penalty": penalty, "batch_size": batch_size}
    model, twin = (
        AdaptiveSGDRegressor(eta0=0.05, **parameters).partial_fit(X, targets) for _ in range(2)
    )
    hot, hot_targets = X[:80].copy(), targets[:80].copy()
    # one of the row's entries and one output: all others would be harmless
    hot.data[hot.indptr[55] - 1] = 1e200
    hot_targets[54, 2] = 1e200
    learned = 54 - 54 % batch_size
    with pytest.raises(ValueError, match=f"overflow occurred at row {learned}"):
        model.partial_fit(hot, hot_targets)
    twin.partial_fit(X[:learned], targets[:learned])
    for estimator in (model, twin):
        estimator.partial_fit(X, targets)
    np.testing.assert_array_equal(model.coef_, twin.coef_)
    np.testing.assert_array_equal(model.intercept_, twin.intercept_)
