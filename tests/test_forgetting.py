"""Sums over occurrences that are forgotten, by `rho`: what the dense twins do not tell."""

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

FORGETTING = [name for name, spec in OPTIMIZERS.items() if spec.forgets]
forgetting = pytest.mark.parametrize("optimizer", FORGETTING)


def sums_of(model):
    """The textbook's sums of squared gradients."""
    return model.optimizer_state_[OPTIMIZERS[model.optimizer].moments[-1].name]


@forgetting
def test_a_part_of_the_sum_is_left_after_some_occurrences(optimizer):
    """After so many as the half-life has, a half of it, whatever happened between them."""
    rho, half_life = 0.99, 69
    X = sp.csr_matrix(np.eye(2)[[0] + [1] * 50 + [0] * half_life])
    # large at first, then next to nothing
    y = np.r_[1e4, np.full(50, 0.5), np.full(half_life, 1e-3)]
    model = AdaptiveSGDRegressor(
        optimizer=optimizer, rho=rho, eta0=1e-9, eps=1e-12, penalty=None, fit_intercept=False
    )
    model.partial_fit(X[:1], y[:1])
    before = sums_of(model)[0]
    model.partial_fit(X[1:], y[1:])
    assert sums_of(model)[0] == pytest.approx(before * rho**half_life, rel=1e-6)
    assert sums_of(model)[0] == pytest.approx(before / 2, rel=1e-2)


@forgetting
def test_a_row_without_a_gradient_is_no_occurrence(optimizer, zipf_rows):
    """Neither for one output nor beside another one that has a gradient."""
    X, y = zipf_rows[1][:300], zipf_rows[2][:300]
    both = np.column_stack([y > 0, X[:, 0].toarray().ravel() > 0]).astype(int)
    parameters = {"optimizer": optimizer, "rho": 0.9, "loss": "hinge", "eta0": 0.5, "eps": 1e-3}
    together = AdaptiveSGDClassifier(**parameters).partial_fit(X, both, classes=[0, 1])
    for k in range(2):
        alone = AdaptiveSGDClassifier(**parameters).partial_fit(X, both[:, k], classes=[0, 1])
        assert relative_difference(together.coef_[k], alone.coef_[0]) < 1e-12
    assert_same_model(
        AdaptiveSGDClassifier(**parameters).partial_fit(
            X, y, classes=[-1, 1], sample_weight=(y > 0) * 1.0
        ),
        AdaptiveSGDClassifier(**parameters).partial_fit(X[y > 0], y[y > 0], classes=[-1, 1]),
    )


@pytest.mark.parametrize("rho", [0.0, 1e-3, 0.9, 0.999])
@forgetting
def test_single_precision_follows(optimizer, rho, zipf_rows):
    _, X, y = zipf_rows
    models = [
        AdaptiveSGDClassifier(optimizer=optimizer, rho=rho, eta0=0.05, eps=1e-4, alpha=1e-3)
        for _ in range(2)
    ]
    for model, dtype in zip(models, (np.float32, np.float64), strict=True):
        model.partial_fit(X.astype(dtype), y, classes=[-1, 1])
    assert relative_difference(*map(weights_of, models)) < 1e-4


@forgetting
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_beside_one_of_another_size(optimizer, dtype):
    """With rho = 0 nothing is left of the sum, of which the next gradient may be any part."""
    sizes = np.array([1e9, 1e-9, 1e9, 1e-9, 1e-12], dtype)
    X = sp.csr_matrix(np.repeat(sizes[:, np.newaxis], 3, axis=1))
    for columns in (slice(1), slice(3)):
        y = np.ones((sizes.size, 3))[:, columns]
        model = AdaptiveSGDRegressor(
            optimizer=optimizer, rho=0.0, eta0=1e-12, eps=1e-30, loss="huber", epsilon=1e-3,
            fit_intercept=False, penalty=None, normalize=False,
        )  # fmt: skip
        model.partial_fit(X, y if y.shape[1] > 1 else y.ravel())
        # of the last gradient alone, which the loss bounds
        np.testing.assert_allclose(sums_of(model), (1e-3 * sizes[-1]) ** 2, rtol=1e-2, atol=1e-30)
        assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@forgetting
def test_to_forget_may_begin_and_end_in_the_midst(optimizer, penalty, zipf_rows):
    """Weights stay what they are, and what is learned next is learned with another memory."""
    X, y = zipf_rows[1][:600], zipf_rows[2][:600]
    model = AdaptiveSGDClassifier(
        optimizer=optimizer, penalty=penalty, alpha=1e-2, eta0=0.1, eps=1e-3
    )
    never = AdaptiveSGDClassifier(**model.get_params())
    never.partial_fit(X, y, classes=[-1, 1])
    none = X[:1] * 0
    for number, rho in enumerate((1.0, 0.9, 0.8, 1.0)):
        model.set_params(rho=rho)
        if number:
            before = weights_of(model)
            model.partial_fit(none, y[:1], sample_weight=[0.0])
            np.testing.assert_allclose(weights_of(model), before, rtol=1e-12, atol=1e-15)
        model.partial_fit(X[150 * number :][:150], y[150 * number :][:150], classes=[-1, 1])
    assert relative_difference(weights_of(model), weights_of(never)) > 1e-3


def test_a_late_feature_needs_not_outweigh_all_penalties_before_it():
    """What FTRL has forgotten of the steps, of a feature whose gradients begin to agree."""
    rng = np.random.default_rng(0)
    n_rows, change = 4000, 3000
    X = rng.normal(size=(n_rows, 2))
    y = X[:, 0] + np.where(np.arange(n_rows) < change, 0, 1) * X[:, 1]
    weights = []
    for rho in (1.0, 0.99):
        model = AdaptiveSGDRegressor(
            optimizer="ftrl", penalty="l1", alpha=0.3, rho=rho, eta0=0.3, eps=1e-3
        )
        model.partial_fit(X[:change], y[:change])
        assert model.coef_[1] == 0
        weights.append(model.partial_fit(X[change:], y[change:]).coef_[1])
    never, forgetting = weights
    assert abs(forgetting - 0.7) < 0.15
    assert never < 0.2
