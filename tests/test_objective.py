"""Training minimises the objective: as far down as solvers that do nothing else."""

import numpy as np
import pytest
import scipy.sparse as sp
from loss_targets import link_of, targets_for
from reference import TWINS
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS

ALPHA = 0.01

# A decoupled penalty has another optimum, as each weight has its own step.
every_optimizer = pytest.mark.parametrize(
    "optimizer", [name for name, spec in OPTIMIZERS.items() if not spec.decoupled]
)


@pytest.fixture(scope="module")
def problem():
    """Sparse rows, some features of which are rare and some of no use; labels and targets."""
    rng = np.random.default_rng(0)
    n, d = 500, 30
    occurs = rng.random((n, d)) < 0.5 / np.sqrt(np.arange(1, d + 1))
    X = sp.csr_matrix(occurs * rng.normal(size=(n, d)))
    margins = X @ (rng.normal(size=d) * (rng.random(d) < 0.5)) + 1
    labels = np.where(margins + rng.normal(size=n) > 0, 1, -1)
    return X, labels, margins + 0.5 * rng.normal(size=n)


def trainer(estimator, optimizer, **parameters):
    defaults = {
        "optimizer": optimizer,
        "alpha": ALPHA,
        "learning_rate": "adaptive",
        "tol": 1e-5,
        "max_iter": 5000,
        # the optimum of all rows
        "early_stopping": False,
        "random_state": 0,
        **(TWINS[optimizer].unbiased or {}),
    }
    return estimator(**{**defaults, **parameters})


def penalty_of(model, alpha, l1_ratio):
    w = model.coef_
    return alpha * (l1_ratio * np.abs(w).sum() + (1 - l1_ratio) * np.sum(w**2) / 2)


def log_loss_objective(model, X, y):
    losses = np.logaddexp(0, -y * model.decision_function(X))
    return losses.mean() + penalty_of(model, ALPHA, 0)


def squared_objective(model, X, y, alpha=ALPHA, l1_ratio=0.0):
    return np.mean((model.predict(X) - y) ** 2) / 2 + penalty_of(model, alpha, l1_ratio)


@every_optimizer
def test_logistic_regression(problem, optimizer):
    X, y, _ = problem
    peer = LogisticRegression(C=1 / (ALPHA * X.shape[0]), tol=1e-10, max_iter=10_000).fit(X, y)
    best = log_loss_objective(peer, X, y)
    model = trainer(AdaptiveSGDClassifier, optimizer).fit(X, y)
    assert best - 1e-9 < log_loss_objective(model, X, y) < best * (1 + TWINS[optimizer].room)


def test_logistic_regression_by_a_decaying_step(problem):
    X, y, _ = problem
    peer = LogisticRegression(C=1 / (ALPHA * X.shape[0]), tol=1e-10, max_iter=10_000).fit(X, y)
    model = trainer(
        AdaptiveSGDClassifier, "adagrad", learning_rate="invscaling", eta0=2.0, tol=None,
        max_iter=500,
    ).fit(X, y)  # fmt: skip
    assert log_loss_objective(model, X, y) < log_loss_objective(peer, X, y) * 1.001


@every_optimizer
def test_ridge(problem, optimizer):
    X, _, y = problem
    peer = Ridge(alpha=ALPHA * X.shape[0], tol=1e-10).fit(X.toarray(), y)
    best = squared_objective(peer, X, y)
    model = trainer(AdaptiveSGDRegressor, optimizer).fit(X, y)
    assert best - 1e-9 < squared_objective(model, X, y) < best * (1 + TWINS[optimizer].room)


@pytest.mark.parametrize("alpha", [0.01, 0.1])
@every_optimizer
def test_elastic_net(problem, optimizer, alpha):
    X, _, y = problem
    peer = ElasticNet(alpha=alpha, l1_ratio=0.5, tol=1e-10, max_iter=100_000).fit(X, y)
    best = squared_objective(peer, X, y, alpha, 0.5)
    zero = peer.coef_ == 0
    assert 0 < zero.sum() < zero.size
    parameters = {"penalty": "elasticnet", "alpha": alpha, "l1_ratio": 0.5}
    model = trainer(AdaptiveSGDRegressor, optimizer, **parameters).fit(X, y)
    assert (
        best - 1e-9
        < squared_objective(model, X, y, alpha, 0.5)
        < best * (1 + TWINS[optimizer].room)
    )
    # A row of its own pushes a weight off zero, by no more than a small step.
    assert np.abs(model.coef_[zero]).max() < 1e-3 * np.abs(model.coef_).max()
    # The gradient of all rows doesn't: zeros are then exact. It is far below that of a row.
    model.set_params(batch_size=X.shape[0], tol=1e-7, eta0=TWINS[optimizer].rate_of_all_rows)
    # momentum overshoots for a while before it gains
    model.set_params(n_iter_no_change=20)
    model.fit(X, y)
    assert squared_objective(model, X, y, alpha, 0.5) < best * (1 + TWINS[optimizer].room)
    np.testing.assert_array_equal(model.coef_ == 0, zero)


CASES = [(AdaptiveSGDClassifier, name) for name in CLASSIFICATION_LOSSES]
CASES += [(AdaptiveSGDRegressor, name) for name in REGRESSION_LOSSES]


@pytest.mark.values
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("estimator", "name"), CASES)
def test_every_loss_goes_down_to_where_no_change_helps(problem, estimator, name, optimizer):
    X, labels, targets = problem
    if estimator is AdaptiveSGDClassifier:
        spec, y = CLASSIFICATION_LOSSES[name], labels
    else:
        spec = REGRESSION_LOSSES[name]
        y = np.exp(targets / 3) if link_of(name) == "log" else targets_for(name, targets)
    model = trainer(estimator, optimizer, loss=name, penalty=None, batch_size=10)
    if name in REGRESSION_LOSSES and link_of(name) == "log" and TWINS[optimizer].unbiased:
        # A long memory never forgets how far the first steps of the automatic rate go beyond.
        model.set_params(eta0=1e-4)
    model.fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    loss = spec.make(*(getattr(model, parameter) for parameter in spec.parameters))

    def mean_loss(coef, intercept):
        return loss(y, X @ coef + intercept)[0].mean()

    coef, intercept = model.coef_.ravel(), model.intercept_[0]
    reached = mean_loss(coef, intercept)
    # A perceptron is content with weights of zero, which separate nothing.
    if name != "perceptron":
        assert reached < mean_loss(np.zeros_like(coef), 0.0)
    rng = np.random.default_rng(0)
    others = [
        mean_loss(coef + size * rng.normal(size=coef.size), intercept + size * rng.normal())
        for size in (0.01, 0.1, 1)
        for _ in range(20)
    ]
    assert reached < min(others) + 0.01 * abs(reached) + 1e-3
