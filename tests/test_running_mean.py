"""average="auto": where `fit` scores other rows, weights are a mean over the run's last part."""

from copy import deepcopy
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn.base import clone
from sklearn.preprocessing import normalize

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training.averages import POWER, TIMES_AN_EPOCH, RunningMean
from sk_adaptive.training.steps import Learned

every_mode = pytest.mark.parametrize(
    ("optimizer", "sparse_update"), list(product(OPTIMIZERS, ("exact", "masked")))
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sp.random(800, 40, density=0.2, random_state=0, format="csr")
    y = X @ rng.normal(size=(40, 2)) + 0.3 * rng.normal(size=(800, 2))
    return X, y


def regressor(**parameters):
    fixed = {"early_stopping": True, "eta0": 0.1, "max_iter": 4, "random_state": 0}
    return AdaptiveSGDRegressor(**{**fixed, **parameters})


class Weights:
    """What `RunningMean` asks of a model in parts, with weights that are given."""

    batch_size = 3

    def __init__(self, coef):
        self._coef, self.sizes = coef, []

    def learn(self, order, learned):
        self.sizes.append(order.size)
        learned.losses, learned.n_rows = np.ones(1), order.size

    def coefficients(self, features):
        return self._coef[len(self.sizes) - 1][:, features].copy()

    def intercepts(self):
        return self._coef[len(self.sizes) - 1][:, 0]


def test_it_is_a_weighted_mean_of_what_was_taken_in():
    rng = np.random.default_rng(1)
    n_epochs, features = 3, np.array([0, 2, 3, 7])
    parts = Weights(rng.normal(size=(n_epochs * TIMES_AN_EPOCH, 2, 8)))
    mean = RunningMean(features, 8)
    for _ in range(n_epochs):
        learned = Learned()
        mean.learn(parts, np.arange(40), learned)
        assert learned.n_rows == 40
    # whole batches
    assert all(size % 3 == 0 for size in parts.sizes[: TIMES_AN_EPOCH - 1])
    n_taken = len(parts.sizes)
    # of each the share that it was given, and what the later ones left of it
    shares = np.array([(POWER + 1) / (k + POWER) for k in range(1, n_taken + 1)])
    left = np.append(np.cumprod(1 - shares[:0:-1])[::-1], 1)
    weights = shares * left
    np.testing.assert_allclose(weights.sum(), 1)
    assert weights[-n_taken // 3 :].sum() > 0.75
    expected = np.tensordot(weights, parts._coef[:n_taken], axes=1)
    np.testing.assert_allclose(mean.intercepts(), expected[:, 0])
    asked = np.array([1, 2, 7])
    np.testing.assert_allclose(mean.coefficients(asked)[:, 1:], expected[:, [2, 7]])
    # which is not among the features
    assert not mean.coefficients(asked)[:, 0].any()


@every_mode
def test_training_goes_on_from_the_mean(rows, optimizer, sparse_update):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "eta0": 0.01}
    model = regressor(**parameters).fit(X, y)
    last = regressor(**parameters, average=False).fit(X, y)
    assert not np.allclose(model.coef_, last.coef_)
    # moments and the clock are those of the run
    assert model.t_ == (X.shape[0]) * model.n_iter_ + 1
    assert model._model.hyperparameters.average == 0
    model.early_stopping = False
    by_hand = deepcopy(model)
    by_hand.coef_ = model.coef_
    assert_same_model(by_hand.partial_fit(X[:9], y[:9]), model.partial_fit(X[:9], y[:9]))


@every_mode
def test_scores_are_those_of_the_mean(rows, optimizer, sparse_update):
    X, y = rows
    parameters = {"optimizer": optimizer, "sparse_update": sparse_update, "eta0": 0.01}
    given = {"X_val": X[600:], "y_val": y[600:]}
    model = regressor(**parameters, n_iter_no_change=1).fit(X[:600], y[:600], **given)
    errors = ((model.predict(X[600:]) - y[600:]) ** 2).sum(axis=1)
    np.testing.assert_allclose(max(model.validation_scores_), -errors.mean() / 2, rtol=1e-6)


def test_scorers_see_the_mean(rows):
    X, y = rows
    given = {"X_val": X[600:], "y_val": y[600:]}
    model = regressor(scoring="r2", n_iter_no_change=1).fit(X[:600], y[:600], **given)
    assert model.score(X[600:], y[600:]) == pytest.approx(max(model.validation_scores_))


@pytest.mark.parametrize("parameters", [{"normalize": True}, {"batch_size": 7}, {"n_jobs": 2}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_of_the_last_steps_is_less(rows, parameters, dtype):
    X, y = rows
    X = X.astype(dtype)
    errors = []
    for average in ("auto", False):
        model = regressor(eta0=0.3, average=average, **parameters).fit(X[:600], y[:600])
        errors.append(((model.predict(X[600:]) - y[600:]) ** 2).mean())
        assert model.coef_.dtype == dtype
    assert errors[0] < errors[1]


def kinds(rows):
    X, y = rows
    text = normalize(abs(X))
    labels = (y[:, 0] > 0).astype(int)
    parameters = {"early_stopping": True, "random_state": 0, "max_iter": 4}
    classifier = AdaptiveSGDClassifier(**parameters)
    adam = AdaptiveSGDClassifier(optimizer="adam", **parameters)
    numbers = AdaptiveSGDRegressor(**parameters)
    return {
        "numbers of text": (numbers, text, y, True),
        "classes of a table": (classifier, X, labels, True),
        "classes of text": (classifier, text, labels, False),
        "classes of text, moments that age": (adam, text, labels, True),
        "adaptive": (clone(numbers).set_params(learning_rate="adaptive"), X, y, False),
        "nothing set aside": (clone(numbers).set_params(early_stopping=False), X, y, False),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "numbers of text",
        "classes of a table",
        "classes of text",
        "classes of text, moments that age",
        "adaptive",
        "nothing set aside",
    ],
)
def test_where_it_is_taken(rows, kind):
    model, X, y, averages = kinds(rows)[kind]
    model.fit(X, y)
    alone = clone(model).set_params(average=False).fit(X, y)
    assert np.array_equal(model.coef_, alone.coef_) != averages


def test_a_stream_has_none(rows):
    X, y = rows
    streams = [
        AdaptiveSGDRegressor(average=average).partial_fit(X, y) for average in ("auto", False)
    ]
    assert_same_model(*streams)
