"""majority_sampling, and what progressive attributes tell of clicks."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from modes import every_mode, every_optimizer
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier
from sk_adaptive.training.sampling import Sampling

pytestmark = [
    pytest.mark.filterwarnings("ignore:Maximum number of iteration reached"),
    pytest.mark.filterwarnings("ignore:The entries of these rows"),
]

# with nothing automatic, which all rows would tell
FIXED = {"eta0": 0.1, "eps": 1e-2, "alpha": 1e-4, "normalize": False}


@pytest.fixture(scope="module")
def clicks():
    """Rows and clicks, one of ten of which is positive."""
    rng = np.random.default_rng(0)
    X = sp.random(1500, 60, density=0.15, format="csr", random_state=0)
    margin = X @ rng.normal(size=60) * 2
    return X, (margin > np.quantile(margin, 0.9)).astype(int)


def is_learned(y, model):
    """Which rows of a stream a model has learned."""
    frequent, seed, n_rows = model._drawn
    assert n_rows == len(y)
    sampling = Sampling(model.majority_sampling, frequent, seed)
    rows = np.arange(len(y))

    class Training:
        targets = np.where(y > 0, 1.0, -1.0)[:, np.newaxis]

    return np.isin(rows, sampling.of(rows, Training, 0))


def stream(model, X, y, starts=(), between=lambda model: model, **named):
    for start, stop in pairwise((0, *starts, len(y))):
        parts = {name: values[start:stop] for name, values in named.items()}
        model = between(model.partial_fit(X[start:stop], y[start:stop], classes=[0, 1], **parts))
    return model


@pytest.mark.parametrize("batch_size", [1, 7])
@every_mode
def test_a_stream_learns_rows_that_weigh_what_they_stand_for(clicks, parameters, batch_size):
    X, y = clicks
    parameters = {**FIXED, **parameters, "batch_size": batch_size}
    for labels, frequent in ((y, 0), (1 - y, 1)):
        model = AdaptiveSGDClassifier(majority_sampling=0.2, random_state=0, **parameters)
        stream(model, X, labels)
        learned = is_learned(labels, model)
        assert learned[labels != frequent].all()
        assert 0.15 < learned[labels == frequent].mean() < 0.25
        weight = np.where(labels == frequent, 5.0, 1.0)[learned]
        expected = AdaptiveSGDClassifier(**parameters)
        # so that both have the intercept of all rows
        expected.fit_intercept = model.fit_intercept = False
        model.__dict__.pop("_model"), stream(model, X, labels)
        stream(expected, X[learned], labels[learned], sample_weight=weight)
        np.testing.assert_array_equal(model.coef_, expected.coef_)
        assert model.progressive_loss_ == pytest.approx(expected.progressive_loss_, rel=1e-12)


@every_optimizer
def test_split_saved_and_without_rows_of_weight_zero_it_is_the_whole(clicks, optimizer):
    X, y = clicks
    weight = np.random.default_rng(0).integers(3, size=len(y)).astype(float)
    parameters = {"optimizer": optimizer, "majority_sampling": 0.3, "random_state": 1, **FIXED}
    whole = stream(AdaptiveSGDClassifier(**parameters), X, y, sample_weight=weight)
    parts = stream(
        AdaptiveSGDClassifier(**parameters), X, y, (300, 301, 700),
        lambda model: pickle.loads(pickle.dumps(model)), sample_weight=weight,
    )  # fmt: skip
    assert_same_model(parts, whole)
    some = weight > 0
    without = stream(AdaptiveSGDClassifier(**parameters), X[some], y[some],
                     sample_weight=weight[some])  # fmt: skip
    assert_same_model(without, whole)


def test_a_row_that_fails_is_drawn_no_row(clicks):
    X, y = clicks
    parameters = {"majority_sampling": 0.3, "random_state": 1, **FIXED}
    bad = X.copy()
    row = 700 + int(np.argmax(y[700:]))
    bad.data[bad.indptr[row] : bad.indptr[row + 1]] = 1e308
    model = AdaptiveSGDClassifier(**parameters)
    stream(model, X[:200], y[:200])
    with pytest.raises(ValueError, match=f"row {row - 200}"):
        model.partial_fit(bad[200:], y[200:])
    model.partial_fit(X[row + 1 :], y[row + 1 :])
    others = np.arange(len(y)) != row
    assert_same_model(model, stream(AdaptiveSGDClassifier(**parameters), X[others], y[others]))


@every_optimizer
def test_fit_learns_another_sample_in_each_epoch(clicks, optimizer, kernel_calls):
    X, y = clicks
    epochs = []

    def note(call, optimizer, training, rows):
        epochs.append(np.sort(rows))
        return call(optimizer, training, rows)

    kernel_calls(note)
    parameters = {"optimizer": optimizer, "early_stopping": False, "max_iter": 5, "tol": None}
    models = [
        AdaptiveSGDClassifier(majority_sampling=share, random_state=0, **parameters).fit(X, y)
        for share in (0.2, None, 1.0)
    ]
    positive = np.flatnonzero(y)
    samples = epochs[:5]
    for sample in samples:
        assert np.isin(positive, sample).all()
        assert 0.25 < sample.size / len(y) < 0.31
    assert all((a.size, *a[:9]) != (b.size, *b[:9]) for a, b in pairwise(samples))
    # each row in about one of five
    assert np.unique(np.concatenate(samples)).size > 0.6 * len(y)
    # the objective is that of all rows, nearly
    np.testing.assert_allclose(models[0].loss_curve_, models[1].loss_curve_, rtol=0.3)
    assert_same_model(models[2], models[1])


def test_probabilities_stay_what_they_are(clicks):
    X, y = clicks
    losses, sums = [], []
    for share in (None, 0.25):
        model = AdaptiveSGDClassifier(majority_sampling=share, random_state=0).fit(X, y)
        probability = model.predict_proba(X)[:, 1]
        losses.append(log_loss(y, probability))
        sums.append(probability.sum() / y.sum())
    assert losses[1] < 1.3 * losses[0]
    assert 0.8 < sums[1] < 1.25


def test_a_search_samples_as_each_candidate_alone_does(clicks, kernel_calls):
    """By the rows of all folds, so not the same ones."""
    X, y = clicks
    sizes = []

    def note(call, optimizer, training, rows):
        sizes.append(len(rows) / len(y))
        return call(optimizer, training, rows)

    kernel_calls(note)
    model = AdaptiveSGDClassifier(
        majority_sampling=0.3, random_state=0, early_stopping=False, max_iter=4, tol=None
    )
    grid = {"eta0": [0.03, 0.3], "alpha": [1e-5, 1e-3]}
    named = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    ours = AdaptiveGridSearchCV(model, grid, **named).fit(X, y)
    # of half of the rows a tenth, and of the others three of ten
    assert len(sizes) == 2 * 4
    np.testing.assert_allclose(sizes, 0.5 * (0.1 + 0.9 * 0.3), rtol=0.1)
    theirs = GridSearchCV(model, grid, **named).fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=0.03
    )


def test_it_is_for_two_classes(clicks):
    X, y = clicks
    model = AdaptiveSGDClassifier(majority_sampling=0.5)
    for targets in (np.arange(len(y)) % 3, np.column_stack([y, 1 - y])):
        with pytest.raises(ValueError, match="majority_sampling is for two classes"):
            model.fit(X, targets)
        with pytest.raises(ValueError, match="majority_sampling is for two classes"):
            model.partial_fit(X, targets, classes=np.unique(targets) if targets.ndim == 1 else None)
        assert not hasattr(model, "coef_")


# --- calibration and normalized entropy ---


@pytest.mark.parametrize("eta0", [0.1, "search"])
@pytest.mark.parametrize("batch_size", [1, 7])
@every_optimizer
def test_progressive_attributes_are_those_of_the_predictions(clicks, optimizer, batch_size, eta0):
    X, y = clicks[0][:210], clicks[1][:210]
    weight = np.random.default_rng(0).integers(3, size=len(y)) + 0.5
    model = AdaptiveSGDClassifier(optimizer=optimizer, batch_size=batch_size, eta0=eta0)
    model.partial_fit(X[:70], y[:70], classes=[0, 1], sample_weight=weight[:70])
    model.reset_progressive_loss()
    assert np.isnan(model.progressive_calibration_)
    assert np.isnan(model.progressive_normalized_entropy_)
    probability = np.empty(len(y))
    for start in range(70, 210, batch_size):
        part = slice(start, start + batch_size)
        probability[part] = model.predict_proba(X[part])[:, 1]
        model.partial_fit(X[part], y[part], sample_weight=weight[part])
    y, p, weight = y[70:], probability[70:], weight[70:]
    share = np.average(y, weights=weight)
    constant = log_loss(y, np.full(len(y), share), sample_weight=weight)
    loss = log_loss(y, p, sample_weight=weight)
    assert model.progressive_calibration_ == pytest.approx(weight @ p / (weight @ y), rel=1e-6)
    assert model.progressive_normalized_entropy_ == pytest.approx(loss / constant, rel=1e-6)


def test_progressive_attributes_of_the_log_loss_of_two_classes_only(clicks):
    X, y = clicks
    hinge = AdaptiveSGDClassifier("hinge").partial_fit(X, y, classes=[0, 1])
    three = AdaptiveSGDClassifier().partial_fit(X, y, classes=[0, 1, 2])
    for model in (hinge, three, AdaptiveSGDClassifier()):
        assert not hasattr(model, "progressive_calibration_")
        assert not hasattr(model, "progressive_normalized_entropy_")
    model = AdaptiveSGDClassifier(max_iter=2, tol=None, early_stopping=False).fit(X, y)
    # of the first epoch
    assert 0.3 < model.progressive_calibration_ < 3
    assert 0.2 < model.progressive_normalized_entropy_ < 1.1
