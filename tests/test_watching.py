"""Early stopping, validation data, what stops a fit, callbacks, what is printed and routed."""

import copy
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from comparison import assert_same_model, own_attributes
from loss_targets import targets_for
from modes import every_optimizer
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training import validation

N_ROWS, N_VAL = 240, 80
ESTIMATORS = {"classifier": AdaptiveSGDClassifier, "regressor": AdaptiveSGDRegressor}
# Of each kind of target, an estimator that takes it.
KINDS = {
    "binary": "classifier",
    "classes": "classifier",
    "labels": "classifier",
    "number": "regressor",
    "numbers": "regressor",
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def rows(zipf_rows):
    """Sparse rows, and of each kind of target those of the rows."""
    X = zipf_rows[1][: N_ROWS + N_VAL]
    rng = np.random.default_rng(0)
    margins = X @ rng.normal(size=(X.shape[1], 3)) + rng.normal(size=(X.shape[0], 3))
    return X, {
        "binary": np.where(margins[:, 0] > 0, "yes", "no"),
        "classes": margins.argmax(axis=1),
        "labels": (margins > 0).astype(int),
        "number": margins[:, 0],
        "numbers": margins,
        "count": np.abs(margins[:, 0]).round(),
    }


@pytest.fixture(scope="module")
def parts(rows):
    """The same as training rows and validation rows."""
    X, targets = rows

    def make(kind):
        y = targets[kind].copy()
        return X[:N_ROWS], y[:N_ROWS], {"X_val": X[N_ROWS:], "y_val": y[N_ROWS:]}

    return make


def make(kind, **parameters):
    """An estimator whose weights are those of its last step, and of the columns as given."""
    fixed = {"average": False, "normalize": False, "random_state": 0}
    return ESTIMATORS[KINDS[kind]](**{**fixed, **parameters})


def quiet_fit(model, *arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*arguments, **named)


def scores_in_turn(*scores):
    """A scoring of which the n-th call returns the n-th score."""
    left = iter(scores)
    return lambda model, X, y: next(left)


def loss_before_learning(model, X, y, weight=None):
    """The mean loss of rows, as the kernel has it."""
    judge = copy.deepcopy(model).set_params(early_stopping=False, batch_size=X.shape[0])
    judge.reset_progressive_loss().partial_fit(X, y, sample_weight=weight)
    return judge.progressive_loss_


# --- the best epoch ---


@pytest.mark.parametrize("sparse_update", ["exact", "masked"])
@pytest.mark.parametrize(
    ("optimizer", "learning_rate"),
    [(name, schedule) for name, spec in OPTIMIZERS.items() for schedule in spec.learning_rates],
)
def test_it_ends_with_the_state_of_the_best_epoch(parts, optimizer, sparse_update, learning_rate):
    """So that whatever learns on goes on from there, also what nobody had seen by then."""
    X, y, validation = parts("classes")
    parameters = {
        "optimizer": optimizer,
        "sparse_update": sparse_update,
        "learning_rate": learning_rate,
        "penalty": "elasticnet",
        "alpha": 1e-3,
        "early_stopping": True,
        "n_iter_no_change": 2,
    }
    # the rate is divided after the fourth epoch, and after the sixth, the best
    scores = (1.0, 1.5, 1.5, 1.5, 2.0, 1.0, 1.0, 1.0, 1.0)
    model = make("classes", scoring=scores_in_turn(*scores), max_iter=9, tol=0.1, **parameters)
    # features to be learned later
    seen = X @ sp.diags_array(np.r_[0.0, 0.0, np.ones(X.shape[1] - 2)])
    quiet_fit(model, seen, y, **validation)
    assert model.validation_scores_ == list(scores[: model.n_iter_])
    best = {"adaptive": 5}.get(learning_rate, 2)
    assert model.best_iteration_ == best < model.n_iter_
    twin = make("classes", scoring=scores_in_turn(*scores), max_iter=best, tol=0.1, **parameters)
    quiet_fit(twin, seen, y, **validation)
    assert twin.best_iteration_ == twin.n_iter_ == best
    for _ in range(2):
        assert_same_model(model, twin)
        assert model.eta0_ == twin.eta0_
        for each in (model, twin):
            each.set_params(early_stopping=False).partial_fit(X, y)


@every_kind
@pytest.mark.parametrize("shuffle", [True, False])
def test_validation_changes_nothing_of_what_an_epoch_learns(parts, kind, shuffle):
    X, y, validation = parts(kind)
    model = make(kind, early_stopping=True, shuffle=shuffle, n_iter_no_change=3)
    model.fit(X, y, **validation)
    assert len(model.validation_scores_) == model.n_iter_ < model.max_iter
    assert model.best_iteration_ == 1 + np.argmax(model.validation_scores_)
    twin = make(kind, max_iter=model.n_iter_, tol=None, shuffle=shuffle).fit(X, y)
    assert model.loss_curve_ == twin.loss_curve_
    twin.set_params(max_iter=model.best_iteration_).fit(X, y)
    assert_same_model(model, twin)


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_held_out_are_rows_given(rows, kind, weighted):
    """Also for the automatic rate and the start."""
    X, targets = rows
    y = targets[kind]
    stratified = kind in ("binary", "classes")
    splitter = StratifiedShuffleSplit if stratified else ShuffleSplit
    train, held_out = next(splitter(test_size=0.2, random_state=0).split(X, y))
    weight, of_part = None, {}
    if weighted:
        weight = np.random.default_rng(0).integers(0, 3, len(y))
        of_part = {"sample_weight": weight[train], "sample_weight_val": weight[held_out]}
    for scoring in ("loss", None):
        parameters = {"scoring": scoring, "max_iter": 8, "tol": None, "early_stopping": True}
        model = make(kind, validation_fraction=0.2, refit=False, **parameters)
        model.fit(X, y, sample_weight=weight)
        given = make(kind, **parameters)
        given.fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out], **of_part)
        assert_same_model(model, given)
        assert model.validation_scores_ == given.validation_scores_
        assert model.best_iteration_ == given.best_iteration_


def test_the_first_of_equal_scores_is_the_best(parts):
    X, y, validation = parts("binary")
    model = make("binary", early_stopping=True, max_iter=6, tol=None)
    model.set_params(scoring=scores_in_turn(1, 3, 2, 3, 3, 0)).fit(X, y, **validation)
    assert model.best_iteration_ == 2
    assert_same_model(model, make("binary", max_iter=2, tol=None).fit(X, y))


def test_without_validation_the_last_epoch_is_the_models(parts):
    X, y, _ = parts("binary")
    model = make("binary").fit(X, y)
    assert model.validation_scores_ is None
    assert model.best_iteration_ == model.n_iter_ == len(model.loss_curve_)


# --- the score ---


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_the_loss_of_a_classifier_is_that_of_training(parts, loss, multi_class, kind):
    X, y, validation = parts(kind)
    weight = np.random.default_rng(0).integers(0, 3, N_VAL)
    # the penalty does not count
    model = make(kind, loss=loss, multi_class=multi_class, alpha=0.1, early_stopping=True)
    model.set_params(max_iter=3, tol=None).fit(X, y, **validation, sample_weight_val=weight)
    expected = loss_before_learning(model, validation["X_val"], validation["y_val"], weight)
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("kind", ["number", "numbers"])
def test_the_loss_of_a_regressor_is_that_of_training(parts, loss, kind):
    X, y, validation = parts(kind)
    y = targets_for(loss, y)
    validation["y_val"] = targets_for(loss, validation["y_val"])
    model = make(kind, loss=loss, alpha=0.1, early_stopping=True, max_iter=3, tol=None)
    model.fit(X, y, **validation)
    expected = loss_before_learning(model, validation["X_val"], validation["y_val"])
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["binary", "classes"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_loss_is_the_log_loss_of_the_probabilities(parts, kind, dtype):
    X, y, validation = parts(kind)
    X, X_val, y_val = X.astype(dtype), validation["X_val"].toarray(), validation["y_val"]
    weight = np.random.default_rng(0).uniform(size=N_VAL)
    model = make(kind, early_stopping=True)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=weight)
    rtol = {np.float64: 1e-10, np.float32: 1e-5}[dtype]
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=rtol)


@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
def test_class_weights_belong_to_rows_held_out_and_not_to_rows_given(rows, kind, multi_class):
    X, targets = rows
    y = targets[kind]
    weights = {"binary": {"no": 3.0}, "classes": {1: 3.0}, "labels": {1: 3.0}}[kind]
    splitter = ShuffleSplit if kind == "labels" else StratifiedShuffleSplit
    train, held_out = next(splitter(test_size=0.1, random_state=0).split(X, y))
    model = make(kind, class_weight=weights, multi_class=multi_class, max_iter=3, tol=None)
    model.set_params(early_stopping=True, refit=False).fit(X, y)
    expected = loss_before_learning(model, X[held_out], y[held_out])
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)
    model.fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    plain = copy.deepcopy(model).set_params(class_weight=None)
    expected = loss_before_learning(plain, X[held_out], y[held_out])
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)


@pytest.mark.parametrize("class_weight", [{"no": 3.0}, "balanced"])
def test_scorers_get_the_class_weights_of_rows_held_out(rows, class_weight):
    X, targets = rows
    y = targets["binary"]
    shares = {label: np.mean(y == label) for label in ("no", "yes")}
    factors = {label: 1 / (2 * share) for label, share in shares.items()}
    factors = factors if class_weight == "balanced" else {"no": 3.0, "yes": 1.0}
    _, held_out = next(StratifiedShuffleSplit(test_size=0.1, random_state=0).split(X, y))
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    model = make("binary", class_weight=class_weight, early_stopping=True, scoring="accuracy")
    model.set_params(max_iter=3, tol=None, refit=False).fit(X, y, sample_weight=weight)
    weight *= [factors[label] for label in y]
    expected = accuracy_score(
        y[held_out], model.predict(X[held_out]), sample_weight=weight[held_out]
    )
    np.testing.assert_allclose(max(model.validation_scores_), expected)


@every_kind
def test_any_scorer_decides(parts, kind):
    X, y, validation = parts(kind)
    X_val, y_val = validation["X_val"], validation["y_val"]
    is_classifier = KINDS[kind] == "classifier"
    names = ("accuracy", "f1_macro") if is_classifier else ("r2", "neg_mean_absolute_error")
    scorers = {name: get_scorer(name) for name in names}
    scorers |= {None: lambda model, X, y: model.score(X, y), (lambda model, X, y: 1.0): None}
    for scoring, scorer in scorers.items():
        model = make(kind, scoring=scoring, early_stopping=True, max_iter=4, tol=None)
        model.fit(X, y, **validation)
        expected = 1.0 if scorer is None else scorer(model, X_val, y_val)
        assert model.validation_scores_[model.best_iteration_ - 1] == expected
        assert max(model.validation_scores_) == expected


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("scoring", ["loss", "weights", None])
def test_weight_zero_is_absent(parts, kind, scoring):
    X, y, validation = parts(kind)
    if scoring == "weights":
        # a scorer that knows of no weights but counts rows
        def scoring(model, X, y, sample_weight):
            return -len(y) - sum(sample_weight) - len(model.predict(X))

    weight = np.random.default_rng(0).integers(0, 2, N_VAL)
    used = weight > 0
    parameters = {"early_stopping": True, "scoring": scoring, "max_iter": 4, "tol": None}
    model = make(kind, **parameters).fit(X, y, **validation, sample_weight_val=weight)
    twin = make(kind, **parameters)
    validation = {name: values[used] for name, values in validation.items()}
    twin.fit(X, y, **validation, sample_weight_val=weight[used])
    assert_same_model(model, twin)
    assert model.validation_scores_ == twin.validation_scores_


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(parts, score):
    X, y, validation = parts("binary")
    model = make("binary").fit(X, y)
    before = copy.deepcopy(model)
    model.set_params(early_stopping=True, scoring=scores_in_turn(1.0, score))
    with pytest.raises(ValueError, match=rf"validation score is {score} after epoch #2"):
        model.fit(X, y, **validation)
    assert_same_model(model, before)
    assert model.loss_curve_ == before.loss_curve_


def test_a_scoring_without_a_number_is_refused(parts):
    X, y, validation = parts("binary")
    model = make("binary", early_stopping=True, scoring=lambda *_: "good")
    with pytest.raises(ValueError, match="scoring must return a number, got 'good'"):
        model.fit(X, y, **validation)
    with pytest.raises(ValueError, match="no_scorer"):
        model.set_params(scoring="no_scorer").fit(X, y, **validation)
    assert not hasattr(model, "coef_")


# --- validation data ---


def test_bad_validation_data_are_refused(parts):
    X, y, validation = parts("classes")
    X_val, y_val = validation.values()
    wrong = X_val.copy()
    wrong.data[5] = np.nan
    model = make("classes", early_stopping=True).fit(X, y)
    before = copy.deepcopy(model)
    for named, message in (
        ({"X_val": X_val}, "X_val is provided, but y_val was not"),
        ({"y_val": y_val}, "y_val is provided, but X_val was not"),
        ({"sample_weight_val": y_val}, "sample_weight_val is provided, but X_val and y_val"),
        ({"X_val": X_val[:, 1:], "y_val": y_val}, "_val: X has 39 features"),
        ({"X_val": X_val[1:], "y_val": y_val}, "_val: Found input variables with inconsistent"),
        ({"X_val": wrong, "y_val": y_val}, "_val: Input X contains NaN"),
        (
            {"X_val": X_val, "y_val": y_val + 1},
            r"_val: `y` has classes .*\[0 1 2\].* has \[1 2 3\]",
        ),
        ({"X_val": X_val, "y_val": np.eye(3)[y_val]}, "several labels per row"),
        ({**validation, "sample_weight_val": np.zeros(N_VAL)}, "at least one non-zero"),
        ({**validation, "sample_weight_val": -np.ones(N_VAL)}, "Negative values in data"),
        ({**validation, "sample_weight_val": np.ones(3)}, "_val: sample_weight.shape"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, **named)
        assert_same_model(model, before)
    with pytest.raises(ValueError, match="early_stopping is False"):
        model.set_params(early_stopping=False).fit(X, y, **validation)
    regressor = make("number", loss="poisson", early_stopping=True)
    with pytest.raises(ValueError, match=r"_val: .*requires y >= 0; it is -1 at row 4"):
        regressor.fit(X, y, X_val=X_val, y_val=np.where(np.arange(N_VAL) == 4, -1, 1))


@pytest.mark.parametrize("scoring", ["loss", None])
def test_column_names_are_checked_and_no_reason_to_warn(parts, scoring):
    X, y, validation = parts("binary")
    names = [f"column {k}" for k in range(X.shape[1])]
    X, X_val = (pd.DataFrame(part.toarray(), columns=names) for part in (X, validation["X_val"]))
    model = make("binary", early_stopping=True, scoring=scoring)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
        model.fit(X, y, X_val=X_val, y_val=validation["y_val"])
    with pytest.raises(ValueError, match="_val: The feature names should match"):
        model.fit(X, y, X_val=X_val[names[::-1]], y_val=validation["y_val"])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_given_rows_may_lack_classes(parts, n_classes):
    X, y, _ = parts("classes")
    y %= n_classes
    model = make("classes", early_stopping=True, class_weight="balanced")
    model.fit(X, y, X_val=X[y == 1], y_val=y[y == 1])
    expected = log_loss(y[y == 1], model.predict_proba(X[y == 1]), labels=model.classes_)
    np.testing.assert_allclose(max(model.validation_scores_), -expected)


# --- what stops it ---


def test_stopped_by(parts):
    X, y, validation = parts("binary")
    for parameters, named in (({}, {}), ({"early_stopping": True}, validation)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert make("binary", **parameters).fit(X, y, **named).stopped_by_ == "tol"
            model = make("binary", tol=None, max_iter=3, **parameters).fit(X, y, **named)
            assert model.stopped_by_ == "max_iter"
        with pytest.warns(ConvergenceWarning):
            make("binary", tol=0, max_iter=1, **parameters).fit(X, y, **named)


def is_stalled(scores, least_gain, patience=5):
    """Whether the last scores have no gain, and no earlier ones in a row."""
    idle, best = [], -np.inf
    for score in scores:
        idle.append(score < best + least_gain)
        best = max(best, score)
    ends = [all(idle[end - patience : end]) for end in range(patience, len(idle) + 1)]
    return ends == [False] * (len(ends) - 1) + [True]


def test_tol_is_a_gain_of_a_score(parts):
    X, y, validation = parts("binary")
    scores = np.append(np.linspace(0, 1, 11), np.full(20, 1.0))
    for tol, n_iter in ((0.05, 16), (0.15, 5 + 16), (0.6, 6)):
        model = make("binary", early_stopping=True, tol=tol, scoring=scores_in_turn(*scores))
        model.fit(X, y, **validation)
        assert is_stalled(model.validation_scores_, tol), n_iter


@every_kind
@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_tol_is_a_share_of_the_loss_of_the_best_constant(parts, kind, factor):
    """Found by models without features; whatever the unit of the weights."""
    X, y, validation = parts(kind)
    weight = factor * np.random.default_rng(0).uniform(0.5, 2, N_ROWS)
    weights = {"no": 2.0} if kind == "binary" else None
    more = {} if KINDS[kind] == "regressor" else {"class_weight": weights}
    if KINDS[kind] == "classifier":
        constant = make(kind, learning_rate="adaptive", tol=1e-7, max_iter=1000, **more)
        constant.fit(sp.csr_matrix((N_ROWS, 1)), y, sample_weight=weight)
    else:
        # the median is as good here, and no outlier moves it
        constant = make(kind, tol=None, max_iter=1, eta0=1e-300, eps=1.0)
        constant.fit(sp.csr_matrix((N_ROWS, 1)), y, intercept_init=np.median(y, axis=0))
    least_loss = loss_before_learning(constant, sp.csr_matrix((N_ROWS, 1)), y, weight)
    tol = 0.01
    model = make(kind, tol=tol, **more).fit(X, y, sample_weight=weight)
    gain = tol * least_loss * weight.mean()
    assert is_stalled(-np.array(model.loss_curve_), gain)
    model = make(kind, tol=tol, early_stopping=True, **more)
    model.fit(X, y, sample_weight=weight, **validation)
    assert is_stalled(model.validation_scores_, tol * least_loss)


# --- what is printed ---


def test_verbose_prints_a_line_for_each_epoch(parts, capsys):
    X, y, validation = parts("binary")
    make("binary").fit(X, y)
    assert capsys.readouterr().out == ""
    for parameters, named in (
        ({}, {}),
        ({"early_stopping": True}, validation),
        ({"learning_rate": "invscaling", "eta0": 0.5, "power_t": 0.3}, {}),
    ):
        model = make("binary", verbose=1, max_iter=200, **parameters).fit(X, y, **named)
        *lines, last = capsys.readouterr().out.splitlines()
        assert len(lines) == model.n_iter_
        for epoch, line in enumerate(lines, 1):
            steps = epoch * N_ROWS
            decay = steps**-0.3 if "power_t" in parameters else 1.0
            expected = [
                f"Epoch {epoch:3} of 200: learning rate {model.eta0_ * decay:.3g}",
                f"objective {model.loss_curve_[epoch - 1]:.6g}",
            ]
            if named:
                expected.append(f"validation score {model.validation_scores_[epoch - 1]:.6g}")
            assert line.startswith(", ".join(expected) + ", ")
            assert re.search(r", \d+\.\d\d s, at most \d+\.\d\d s left$", line)
        assert last.startswith(f"Stopped by tol after {model.n_iter_} epochs")
        assert last.endswith(f"The best epoch is {model.best_iteration_}")
    model.partial_fit(X, y)
    assert capsys.readouterr().out == ""


# --- routing ---


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requesting(kind="binary", **parameters):
    """A pipeline of which the last step alone asks for weights and validation data."""
    model = make(kind, early_stopping=True, max_iter=5, tol=None, **parameters)
    model.set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
    scaler = StandardScaler(with_mean=False).set_fit_request(sample_weight=False)
    return make_pipeline(scaler, model).set_params(transform_input=["X_val"])


@every_kind
def test_a_pipeline_routes_and_transforms(routing, parts, kind):
    X, y, validation = parts(kind)
    rng = np.random.default_rng(0)
    weights = {"sample_weight": rng.uniform(size=N_ROWS), "sample_weight_val": rng.uniform(size=80)}
    pipeline = requesting(kind).fit(X, y, **validation, **weights)
    scaler = StandardScaler(with_mean=False).fit(X)
    expected = clone(pipeline[-1]).fit(
        scaler.transform(X),
        y,
        X_val=scaler.transform(validation["X_val"]),
        y_val=validation["y_val"],
        **weights,
    )
    assert_same_model(pipeline[-1], expected)
    assert pipeline[-1].validation_scores_ == expected.validation_scores_


def test_a_search_routes_whole_validation_data_and_parts_of_the_weights(routing, parts):
    X, y, validation = parts("binary")
    weight = np.random.default_rng(0).uniform(size=N_ROWS)
    scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
    grid = {"adaptivesgdclassifier__alpha": [1e-4, 1e-2]}
    search = GridSearchCV(requesting(), grid, cv=3, scoring=scorer)
    search.fit(X, y, sample_weight=weight, **validation)
    pipeline = clone(search.best_estimator_).fit(X, y, sample_weight=weight, **validation)
    assert_same_model(search.best_estimator_[-1], pipeline[-1])
    scores = []
    for train, test in StratifiedKFold(3).split(X, y):
        pipeline.fit(X[train], y[train], sample_weight=weight[train], **validation)
        scores.append(scorer(pipeline, X[test], y[test], sample_weight=weight[test]))
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-12)


def test_without_routing_validation_data_are_passed_as_they_are(parts):
    X, y, validation = parts("binary")
    scaler = StandardScaler(with_mean=False).fit(X)
    X_val = scaler.transform(validation["X_val"])
    pipeline = make_pipeline(StandardScaler(with_mean=False), make("binary", early_stopping=True))
    named = {"adaptivesgdclassifier__X_val": X_val}
    named["adaptivesgdclassifier__y_val"] = validation["y_val"]
    pipeline.fit(X, y, **named)
    expected = make("binary", early_stopping=True)
    expected.fit(scaler.transform(X), y, X_val=X_val, y_val=validation["y_val"])
    assert_same_model(pipeline[-1], expected)
    search = GridSearchCV(pipeline, {"adaptivesgdclassifier__alpha": [expected.alpha]}, cv=3)
    assert_same_model(search.fit(X, y, **named).best_estimator_[-1], expected)


# --- callbacks ---

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None
needs_callbacks = pytest.mark.skipif(ProgressBar is None, reason="scikit-learn older than 1.9")


class Recorder:
    """A callback that writes down all calls, and may stop or raise at one of them."""

    def __init__(self, stop_after=None, fail_at=None):
        self.stop_after, self.fail_at = stop_after, fail_at
        self.calls, self.models, self.rows = [], [], []

    def _record(self, *call):
        self.calls.append(call)
        if call == self.fail_at:
            raise RuntimeError("the callback failed")

    def setup(self, estimator, context):
        self._record("setup")

    def teardown(self, estimator, context):
        self._record("teardown")

    def on_fit_task_begin(self, estimator, context):
        self._record("begin", context.task_name, context.task_id)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self._record("end", context.task_name, context.task_id)
        if context.task_name == "epoch":
            np.testing.assert_array_equal(estimator.coef_, fitted_estimator.coef_)
            self.models.append(fitted_estimator)
            self.rows.append((X, y, metadata))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    @staticmethod
    def expected(n_iter):
        """The calls of a fit."""
        epochs = [(what, "epoch", k) for k in range(n_iter) for what in ("begin", "end")]
        return [("setup",), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown",)]


@needs_callbacks
@every_optimizer
def test_a_callback_sees_the_model_of_each_epoch(parts, optimizer):
    X, y, validation = parts("classes")
    recorder = Recorder()
    model = make("classes", optimizer=optimizer, early_stopping=True).set_callbacks(recorder)
    model.fit(X, y, **validation)
    assert recorder.calls == Recorder.expected(model.n_iter_)
    assert len(recorder.models) == model.n_iter_
    for epoch, seen in enumerate(recorder.models, 1):
        twin = make("classes", optimizer=optimizer, max_iter=epoch, tol=None).fit(X, y)
        # also long after the epoch
        assert_same_model(seen, twin)
        assert seen.loss_curve_ == twin.loss_curve_
        assert seen.validation_scores_ == model.validation_scores_[:epoch]
        assert (seen.n_iter_, seen.stopped_by_) == (epoch, None)
        seen.set_params(early_stopping=False).partial_fit(X, y)
        assert_same_model(seen, twin.partial_fit(X, y))
    for X_seen, y_seen, metadata in recorder.rows:
        assert (X_seen != X).nnz == 0
        np.testing.assert_array_equal(y_seen, y)
        assert metadata is None
    without = make("classes", optimizer=optimizer, early_stopping=True).fit(X, y, **validation)
    assert_same_model(model, without)


@needs_callbacks
def test_a_callback_gets_the_rows_that_are_learned(rows):
    X, targets = rows
    y = targets["binary"]
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    train, _ = next(StratifiedShuffleSplit(test_size=0.1, random_state=0).split(X, y))
    train = train[weight[train] > 0]
    for given in (X, pd.DataFrame(X.toarray()).add_prefix("column ")):
        recorder = Recorder()
        model = make("binary", early_stopping=True, refit=False).set_callbacks(recorder)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(given, y, sample_weight=weight)
            for seen in recorder.models:
                seen.predict(recorder.rows[0][0])
        X_seen, y_seen, metadata = recorder.rows[-1]
        np.testing.assert_array_equal(sp.csr_matrix(X_seen).toarray(), X[train].toarray())
        np.testing.assert_array_equal(y_seen, y[train])
        np.testing.assert_array_equal(metadata["sample_weight"], weight[train])


@needs_callbacks
def test_of_very_many_rows_a_callback_sees_the_run_that_is_the_result(rows, monkeypatch):
    monkeypatch.setattr(validation, "MANY_ROWS", 10)
    monkeypatch.setattr(validation, "ENOUGH_ROWS", 20)
    X, y = rows[0], rows[1]["number"]
    for stop_after in (None, 1):
        recorder = Recorder(stop_after=stop_after)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = AdaptiveSGDRegressor(early_stopping=True, random_state=0)
            model.set_callbacks(recorder).fit(X, y)
        assert recorder.calls == Recorder.expected(model.n_iter_)
        assert len(model.validation_scores_) == model.n_iter_
        learned, _, _ = recorder.rows[0]
        assert 0.5 * y.size < learned.shape[0] < y.size
        assert model.t_ == 1 + model.best_iteration_ * learned.shape[0]
        if stop_after is not None:
            assert (model.n_iter_, model.stopped_by_) == (stop_after, "callback")


@needs_callbacks
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_a_callback_stops_it(parts, learning_rate):
    X, y, _ = parts("binary")
    parameters = {"learning_rate": learning_rate, "tol": 0}
    for stop_after in (1, 3):
        recorder = Recorder(stop_after=stop_after)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = make("binary", max_iter=3, **parameters).set_callbacks(recorder).fit(X, y)
        assert (model.n_iter_, model.stopped_by_) == (stop_after, "callback")
        assert recorder.calls == Recorder.expected(stop_after)
        twin = quiet_fit(make("binary", max_iter=stop_after, **parameters), X, y)
        assert_same_model(model, twin)


@needs_callbacks
def test_the_best_epoch_is_restored_after_a_callback_has_stopped_it(parts):
    X, y, validation = parts("binary")
    model = make("binary", early_stopping=True, scoring=scores_in_turn(1, 2, 1, 1))
    model.set_callbacks(Recorder(stop_after=4)).fit(X, y, **validation)
    assert (model.n_iter_, model.best_iteration_, model.stopped_by_) == (4, 2, "callback")
    assert_same_model(model, make("binary", max_iter=2, tol=None).fit(X, y))


@needs_callbacks
@pytest.mark.parametrize(
    "fail_at",
    [
        *[("setup",), ("teardown",), ("begin", "fit", 0), ("end", "fit", 0)],
        *[("begin", "epoch", 2), ("end", "epoch", 2)],
    ],
)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_callback_that_raises_leaves_the_model_as_it_was(parts, fail_at, fitted):
    X, y, validation = parts("binary")
    model = make("binary", early_stopping=True, warm_start=True)
    if fitted:
        model.fit(X, y)
    recorder = Recorder(fail_at=fail_at)
    model.set_callbacks(recorder)
    before = copy.deepcopy(model)
    with pytest.raises(RuntimeError, match="the callback failed"):
        model.fit(X, y, **validation)
    assert recorder.calls.count(("teardown",)) == 1
    assert own_attributes(model).keys() == own_attributes(before).keys()
    if fitted:
        assert_same_model(model, before)
        assert (model.n_iter_, model.loss_curve_) == (before.n_iter_, before.loss_curve_)
    recorder.fail_at = None
    before.set_callbacks()
    assert_same_model(model.fit(X, y, **validation), before.fit(X, y, **validation))


@needs_callbacks
def test_a_hook_may_use_the_model(parts):
    """Also copy and even train it: the rows it learns are learned as well."""
    X, y, _ = parts("binary")

    class Busy(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch":
                estimator.predict(X)
                assert_same_model(copy.deepcopy(estimator), estimator)
                estimator.partial_fit(X[:50], y[:50])

    parameters = {"optimizer": "adam", "shuffle": False, "max_iter": 3, "tol": None}
    model = make("binary", **parameters).set_callbacks(Busy()).fit(X, y)
    twin = make("binary", eta0=model.eta0_, **parameters)
    for _ in range(3):
        twin.partial_fit(X, y, classes=["no", "yes"])
        twin.partial_fit(X[:50], y[:50])
    assert_same_model(model, twin)


@needs_callbacks
def test_callbacks_are_kept_by_clones_and_pickles(parts):
    X, y, _ = parts("binary")
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = make("binary", max_iter=3, tol=None).set_callbacks(monitor)
    for each in (clone(model), model.fit(X, y), pickle.loads(pickle.dumps(model))):
        assert_same_model(each.fit(X, y), model)
    assert len(monitor.get_logs(select="all")) >= 3


@needs_callbacks
def test_fits_of_one_model_in_several_threads_take_turns(parts):
    X, y, _ = parts("binary")
    recorder = Recorder()
    model = make("binary", max_iter=20, tol=None).set_callbacks(recorder)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: model.fit(X, y), range(12)))
    assert recorder.calls == 12 * Recorder.expected(20)


def pipeline_of(**parameters):
    return make_pipeline(
        StandardScaler(with_mean=False), make("binary", max_iter=4, tol=None, **parameters)
    )


@needs_callbacks
def test_the_progress_bar_is_that_of_the_epochs(parts, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    X, y, _ = parts("binary")

    def bars(model, **parameters):
        model.set_callbacks(ProgressBar(**parameters)).fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        found = [line for line in lines if "AdaptiveSGDClassifier - fit" in line]
        assert all("100%" in line for line in found)
        return found

    (bar,) = bars(make("binary", max_iter=4, tol=None))
    assert bar.startswith("AdaptiveSGDClassifier - fit")
    (bar,) = bars(pipeline_of())
    assert "Pipeline - fit-final-estimator | AdaptiveSGDClassifier - fit #1" in bar
    grid = {"adaptivesgdclassifier__alpha": [1e-6, 1e-3]}
    search = GridSearchCV(pipeline_of(), grid, cv=3)
    # of each split and of the best parameters
    assert len(bars(search, max_propagation_depth=None)) == 2 * 3 + 1
    # by default it does not look so deep
    assert not bars(search)


@needs_callbacks
@pytest.mark.processes
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_scoring_monitor_records_every_epoch(parts, n_jobs):
    X, y, _ = parts("binary")

    def expected(alpha, rows=slice(None)):
        X_train, y_train = StandardScaler(with_mean=False).fit_transform(X[rows]), y[rows]
        models = [make("binary", alpha=alpha, max_iter=n, tol=None) for n in (1, 2, 3, 4)]
        models = [model.fit(X_train, y_train) for model in models]
        return [-log_loss(y_train, model.predict_proba(X_train)) for model in models]

    monitor = ScoringMonitor(scoring="neg_log_loss")
    pipeline = pipeline_of()
    pipeline[-1].set_callbacks(monitor)
    if n_jobs is None:
        pipeline.fit(X, y)
        scores = [row["neg_log_loss"] for row in monitor.get_logs().data]
        # that of the fit as a whole comes first
        wanted = expected(pipeline[-1].alpha)
        np.testing.assert_allclose(scores, [wanted[-1], *wanted])
    alphas = [1e-2, 1e-6]
    search = GridSearchCV(pipeline, {"adaptivesgdclassifier__alpha": alphas}, cv=3, n_jobs=n_jobs)
    search.fit(X, y)
    scores = {}
    for row in monitor.get_logs().data:
        if row["task_name"] == "epoch":
            scores.setdefault(row["parent_task_id_path"], []).append(row["neg_log_loss"])
    of_splits = [values for path, values in sorted(scores.items()) if len(path) == 4]
    (of_refit,) = (values for path, values in scores.items() if len(path) == 3)
    folds = [train for train, _ in StratifiedKFold(3).split(X, y)]
    wanted = [expected(alpha, train) for alpha in alphas for train in folds]
    np.testing.assert_allclose(of_splits, wanted)
    np.testing.assert_allclose(
        of_refit, expected(search.best_params_["adaptivesgdclassifier__alpha"])
    )


@pytest.mark.skipif(ProgressBar is not None, reason="scikit-learn 1.9 has them")
def test_without_callbacks_nothing_pretends_to_take_them():
    assert not hasattr(AdaptiveSGDClassifier(), "set_callbacks")


def test_scorers_of_ones_own_work(parts):
    X, y, validation = parts("binary")
    scorer = make_scorer(accuracy_score)
    model = make("binary", early_stopping=True, scoring=scorer, max_iter=5, tol=None)
    model.fit(X, y, **validation, sample_weight_val=np.arange(N_VAL))
    scores = model.validation_scores_
    assert len(scores) == 5
    assert all(isinstance(score, float) for score in scores)
    assert max(scores[: model.best_iteration_]) == max(scores)
    assert all(a < max(scores) for a, _ in pairwise(scores[: model.best_iteration_]))


@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_normalised_features_are_validated_as_they_are(parts, learning_rate):
    X, y, validation = parts("classes")
    X = X @ sp.diags_array(10.0 ** np.linspace(-3, 3, X.shape[1]))
    X_val = validation["X_val"] @ sp.diags_array(10.0 ** np.linspace(-3, 3, X.shape[1]))
    parameters = {"normalize": True, "early_stopping": True, "learning_rate": learning_rate}
    parameters |= {"tol": 0.1, "n_iter_no_change": 2}
    model = make("classes", max_iter=9, **parameters)
    quiet_fit(model, X, y, X_val=X_val, y_val=validation["y_val"])
    expected = log_loss(validation["y_val"], model.predict_proba(X_val))
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)
    twin = make("classes", max_iter=model.best_iteration_, **parameters)
    quiet_fit(twin, X, y, X_val=X_val, y_val=validation["y_val"])
    for _ in range(2):
        assert_same_model(model, twin)
        for each in (model, twin):
            each.set_params(early_stopping=False).partial_fit(3 * X, y)


@every_optimizer
def test_averages_are_validated(parts, optimizer):
    X, y, validation = parts("classes")
    model = make("classes", optimizer=optimizer, average=True, early_stopping=True)
    model.fit(X, y, **validation)
    expected = log_loss(validation["y_val"], model.predict_proba(validation["X_val"]))
    np.testing.assert_allclose(max(model.validation_scores_), -expected, rtol=1e-9)
