"""Losses: values, derivatives and their properties."""

import re

import numpy as np
import pytest
from loss_targets import ADDITIVE, link_of, targets_for
from scipy.special import expit, log_softmax, logit
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.metrics import (
    hinge_loss,
    log_loss,
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
    mean_tweedie_deviance,
)

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES

PARAMETERS = {"epsilon": 0.3, "quantile": 0.8, "expectile": 0.8, "power": 1.3}
CASES = [("classification", name) for name in CLASSIFICATION_LOSSES]
CASES += [("regression", name) for name in REGRESSION_LOSSES]
every_loss = pytest.mark.parametrize(("kind", "name"), CASES)


def make(kind, name):
    spec = (CLASSIFICATION_LOSSES if kind == "classification" else REGRESSION_LOSSES)[name]
    return spec.make(*(PARAMETERS[parameter] for parameter in spec.parameters))


def targets_and_margins(kind, name, n=500, spread=3.0):
    rng = np.random.default_rng(0)
    margins = spread * rng.normal(size=n)
    if kind == "classification":
        return rng.choice([-1.0, 1.0], size=n), margins
    return targets_for(name, spread * rng.normal(size=n)), margins


@every_loss
def test_derivative_is_the_slope(kind, name):
    loss = make(kind, name)
    y, p = targets_and_margins(kind, name)
    value, gradient = loss(y, p)
    step = 1e-6
    (above, slope_above), (below, slope_below) = loss(y, p + step), loss(y, p - step)
    # a kink within the step has no slope, random points hardly meet one
    smooth = np.abs(slope_above - slope_below) < 1e-3 * (1 + np.abs(gradient))
    assert smooth.mean() > 0.99
    slope = (above - below) / (2 * step)
    np.testing.assert_allclose(gradient[smooth], slope[smooth], rtol=1e-6, atol=1e-6)
    assert np.any(gradient != 0) and np.any(value != 0)


@every_loss
def test_convex(kind, name):
    """The loss is nowhere below its tangents, at kinks neither."""
    loss = make(kind, name)
    y, p = targets_and_margins(kind, name, n=200)
    kinks = np.concatenate([sign * np.array([0, 0.3, 1]) + shift for sign in (-1, 1)
                            for shift in (0.0, 1.0, -1.0)])  # fmt: skip
    for target in np.unique(np.concatenate([y[:40], [1.0]])):
        points = np.concatenate([p, kinks, target + kinks])
        value, gradient = loss(np.full(points.size, target), points)
        tangents = value[:, np.newaxis] + gradient[:, np.newaxis] * (points - points[:, np.newaxis])
        room = 1e-12 * (1 + np.abs(tangents))
        assert np.all(value >= tangents - room)


@every_loss
def test_bounded_below_by_a_perfect_margin(kind, name):
    """Zero is the least value, but for losses that leave a constant of the target out."""
    loss = make(kind, name)
    y, p = targets_and_margins(kind, name)
    value, _ = loss(y, p)
    if kind == "regression" and name not in ADDITIVE:
        perfect = {"log": np.log, "logit": logit}[link_of(name)](y)
        assert np.all(value >= loss(y, perfect)[0])
        return
    assert np.all(value >= 0)
    perfect = 1e4 * y if name in ("log_loss", "hinge", "perceptron") else y
    np.testing.assert_allclose(loss(y, perfect)[0], 0, atol=1e-12)
    np.testing.assert_allclose(loss(y, perfect)[1], 0, atol=1e-12)


@every_loss
def test_finite_at_extreme_margins(kind, name):
    loss = make(kind, name)
    y = np.array([-1.0, 1.0]) if kind == "classification" else np.array([0.0, 1e-9, 0.5, 1.0, 1e4])
    if kind == "regression" and loss.requirement is not None:
        y = y[loss.are_valid(y)]
    y, p = (a.ravel() for a in np.meshgrid(y, [-1e4, -750, -40, 0, 40, 750, 1e4]))
    value, gradient = loss(y, p)
    if kind == "regression" and link_of(name) == "log":
        # an infinite mean, or one of 0, which the training loop refuses to learn from
        assert not np.any(np.isnan(gradient)) and not np.any(np.isnan(value))
        assert np.all(np.isfinite(gradient[np.abs(p) < 700]))
        return
    assert np.all(np.isfinite(value)) and np.all(np.isfinite(gradient))


def test_log_loss_keeps_its_precision():
    loss = make("classification", "log_loss")
    np.testing.assert_allclose(loss(1.0, 50.0)[0], np.exp(-50), rtol=1e-12)
    np.testing.assert_allclose(loss(1.0, 50.0)[1], -np.exp(-50), rtol=1e-12)
    np.testing.assert_allclose(loss(-1.0, 1e4), [1e4, 1.0])


def test_values_are_those_of_the_metrics():
    y, p = targets_and_margins("classification", None)
    values = {name: make("classification", name)(y, p)[0] for name in CLASSIFICATION_LOSSES}
    np.testing.assert_allclose(values["log_loss"].mean(), log_loss(y, 1 / (1 + np.exp(-p))))
    np.testing.assert_allclose(values["hinge"].mean(), hinge_loss(y, p))
    np.testing.assert_allclose(values["squared_hinge"], values["hinge"] ** 2)
    np.testing.assert_allclose(values["perceptron"], np.maximum(0, -y * p))

    y, p = targets_and_margins("regression", "squared_error")
    residual = np.abs(y - p)
    excess = np.maximum(0, residual - PARAMETERS["epsilon"])
    values = {name: make("regression", name)(y, p)[0] for name in REGRESSION_LOSSES}
    np.testing.assert_allclose(values["squared_error"].mean(), mean_squared_error(y, p) / 2)
    np.testing.assert_allclose(values["quantile"].mean(), mean_pinball_loss(y, p, alpha=0.8))
    np.testing.assert_allclose(values["epsilon_insensitive"], excess, atol=1e-15)
    np.testing.assert_allclose(values["squared_epsilon_insensitive"], excess**2, atol=1e-15)
    # of half a quantile there are two, and half of the absolute error
    half, _ = REGRESSION_LOSSES["quantile"].make(0.5)(y, p)
    np.testing.assert_allclose(half.mean(), mean_absolute_error(y, p) / 2)
    # huber: squared within epsilon, a tangent beyond
    near = residual <= PARAMETERS["epsilon"]
    assert near.any() and not near.all()
    np.testing.assert_allclose(values["huber"][near], residual[near] ** 2 / 2)
    np.testing.assert_allclose(values["huber"][~near], 0.3 * residual[~near] - 0.3**2 / 2)

    np.testing.assert_allclose(
        values["expectile"], np.where(y > p, 0.8, 0.2) * (y - p) ** 2, atol=1e-15
    )
    half, _ = REGRESSION_LOSSES["expectile"].make(0.5)(y, p)
    np.testing.assert_allclose(half, values["squared_error"], atol=1e-15)

    def deviance(loss):
        return 2 * (loss(y, p)[0] - loss(y, np.log(y))[0])

    y, p = targets_and_margins("regression", "poisson", spread=1.0)
    for name, metric in (("poisson", mean_poisson_deviance), ("gamma", mean_gamma_deviance)):
        loss = make("regression", name)
        np.testing.assert_allclose(deviance(loss).mean(), metric(y, np.exp(p)))
    for power in (1, 1.01, 1.5, 1.99, 2):
        loss = REGRESSION_LOSSES["tweedie"].make(power)
        expected = mean_tweedie_deviance(y, np.exp(p), power=power)
        np.testing.assert_allclose(deviance(loss).mean(), expected, rtol=1e-10)

    y, p = targets_and_margins("regression", "log_loss")
    values, derivatives = make("regression", "log_loss")(y, p)
    np.testing.assert_allclose(derivatives, expit(p) - y, atol=1e-12)
    of_class = make("classification", "log_loss")
    for mix, got in zip(range(2), (values, derivatives), strict=True):
        of_both = [of_class(sign, p)[mix] for sign in (1.0, -1.0)]
        np.testing.assert_allclose(got, y * of_both[0] + (1 - y) * of_both[1], atol=1e-13)


@pytest.mark.parametrize("class_weighted", [False, True])
@pytest.mark.parametrize("codes", [False, True])
@every_loss
def test_losses_of_rows_are_the_sums_over_outputs(kind, name, codes, class_weighted):
    n_rows, n_outputs = 50, 3
    rng = np.random.default_rng(0)
    p = rng.normal(size=(n_rows, n_outputs))
    if codes:
        targets = rng.integers(n_outputs, size=(n_rows, 1)).astype(float)
        each = np.where(targets == np.arange(n_outputs), 1.0, -1.0)
    else:
        each = targets = rng.choice([-1.0, 1.0], size=(n_rows, n_outputs))
    class_weight = rng.random((2, n_outputs)) if class_weighted else np.empty((0, 0))
    expected = make(kind, name)(each, p)[0]
    if class_weighted:
        expected = expected * np.where(each > 0, class_weight[1], class_weight[0])
    losses = make(kind, name).row_losses(targets, p, class_weight)
    np.testing.assert_allclose(losses, expected.sum(axis=1), rtol=1e-12)


def test_losses_of_rows_of_the_softmax():
    rng = np.random.default_rng(0)
    p, codes, class_weight = rng.normal(size=(50, 4)), rng.integers(4, size=50), rng.random((2, 4))
    loss = CLASSIFICATION_LOSSES["log_loss"].multinomial()
    expected = -log_softmax(p, axis=1)[np.arange(50), codes]
    targets = codes[:, np.newaxis].astype(float)
    np.testing.assert_allclose(loss.row_losses(targets, p, np.empty((0, 0))), expected, rtol=1e-12)
    weighted = loss.row_losses(targets, p, class_weight)
    np.testing.assert_allclose(weighted, expected * class_weight[1, codes], rtol=1e-12)


@every_loss
def test_the_best_constant_of_classes_is_as_good_as_any(kind, name):
    """To the few percent that a grid allows."""
    loss = make(kind, name)
    positive, negative = np.array([0.1, 3.0, 50.0]), np.array([20.0, 4.0, 50.0])
    least = loss.least_loss_of_constants(positive, negative, True)
    others = np.random.default_rng(0).uniform(-5, 5, size=2000)
    losses = np.outer(positive, loss(1.0, others)[0]) + np.outer(negative, loss(-1.0, others)[0])
    assert least <= 1.02 * losses.min(axis=1).sum()
    # and a constant it is: of 0 if there is no intercept
    zero = positive * loss(1.0, 0.0)[0] + negative * loss(-1.0, 0.0)[0]
    assert least <= loss.least_loss_of_constants(positive, negative, False) == zero.sum()


# In one step of plain SGD from zero weights, the weight is -eta0 times the gradient.
# SGDClassifier's squared_error and squared losses are defined alike, which shows here.


@pytest.mark.parametrize("name", CLASSIFICATION_LOSSES)
def test_gradients_are_those_of_sgd_classifier(name):
    loss = make("classification", name)
    for margin in (-2.0, -0.95, -0.2, 0.05, 0.75, 0.95, 3.0):
        for y in (-1, 1):
            peer = SGDClassifier(
                loss=name, epsilon=0.3, penalty=None, fit_intercept=False, shuffle=False,
                learning_rate="constant", eta0=1.0, max_iter=1, tol=None,
            )  # fmt: skip
            # the second row sees a margin of zero, and only tells that there are two classes
            peer.fit([[1.0], [0.0]], [y, -y], coef_init=[[margin]])
            assert_is_step(peer.coef_[0, 0] - margin, loss(y, margin)[1])


@pytest.mark.parametrize("name", sorted(set(ADDITIVE) & set(CLASSIFICATION_LOSSES)))
def test_gradients_are_those_of_sgd_regressor(name):
    loss = make("regression", name)
    for margin in (-2.0, -0.1, 0.2, 0.75, 3.0):
        for y in (-0.7, 0.0, 1.3):
            peer = SGDRegressor(
                loss=name, epsilon=0.3, penalty=None, fit_intercept=False, shuffle=False,
                learning_rate="constant", eta0=1.0, max_iter=1, tol=None,
            )  # fmt: skip
            peer.fit([[1.0]], [y], coef_init=[margin])
            assert_is_step(peer.coef_[0] - margin, loss(y, margin)[1])


def assert_is_step(step, gradient):
    np.testing.assert_allclose(step, -gradient, rtol=1e-12, atol=1e-12)


def test_softmax_is_that_of_scipy():
    """The loss of several classes has no call of its own: the first step tells its gradient."""
    rng = np.random.default_rng(0)
    n_classes = 4
    for spread in (1.0, 1e4):
        margins = spread * rng.normal(size=n_classes)
        for label in range(n_classes):
            model = AdaptiveSGDClassifier(
                optimizer="rmsprop", penalty=None, rho=0.0, eps=1e12, eta0=1e12, batch_size=1,
                shuffle=False, max_iter=1, tol=None, fit_intercept=False,
            )  # fmt: skip
            rows = np.vstack([np.eye(1), np.zeros((n_classes - 1, 1))])
            others = [k for k in range(n_classes) if k != label]
            model.fit(rows, [label, *others], coef_init=margins[:, np.newaxis])
            expected = np.exp(log_softmax(margins))
            expected[label] -= 1
            # eps makes the divisor of the gradient a constant, eta0 takes it back
            step = model.coef_[:, 0] - margins
            np.testing.assert_allclose(step, -expected, atol=1e-10 * spread)
            # The other rows, with margins of zero, lose the logarithm of the number of classes.
            total = -log_softmax(margins)[label] + (n_classes - 1) * np.log(n_classes)
            np.testing.assert_allclose(model.loss_curve_[0], total / n_classes, rtol=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_intercept_alone_goes_to_the_statistic_of_its_loss(share):
    y = np.random.default_rng(0).gamma(2.0, size=2000)
    X = np.zeros((2000, 1))
    # from 0: with eps given, too, nothing is taken from the rows
    parameters = {
        "learning_rate": "invscaling",
        "eta0": 2.0,
        "eps": 0.1,
        "tol": None,
        "random_state": 0,
    }
    model = AdaptiveSGDRegressor(loss="quantile", quantile=share, **parameters).fit(X, y)
    assert abs(np.mean(y <= model.predict(X)) - share) < 0.01
    model = AdaptiveSGDRegressor(loss="expectile", expectile=share, **parameters).fit(X, y)
    residual = y - model.predict(X)
    above, below = residual[residual > 0].sum(), -residual[residual < 0].sum()
    np.testing.assert_allclose(below / (above + below), share, atol=0.01)
    for loss in ("poisson", "gamma", "tweedie"):
        model = AdaptiveSGDRegressor(loss=loss, **parameters).fit(X, y)
        np.testing.assert_allclose(model.predict(X), y.mean(), rtol=0.02)
    shares = y / y.max()
    model = AdaptiveSGDRegressor(loss="log_loss", **parameters).fit(X, shares)
    np.testing.assert_allclose(model.predict(X), shares.mean(), rtol=0.02)


def test_targets_of_0_and_1_are_learned_as_classes(zipf_rows):
    """By the same steps; with soft ones the probabilities of the classes go to them."""
    _, X, y = zipf_rows
    parameters = {"max_iter": 3, "tol": None, "early_stopping": False, "random_state": 0}
    classes = AdaptiveSGDClassifier(**parameters).fit(X, y > 0)
    numbers = AdaptiveSGDRegressor("log_loss", **parameters).fit(X, (y > 0).astype(float))
    assert (numbers.eta0_, numbers.eps_) == (classes.eta0_, classes.eps_)
    np.testing.assert_allclose(numbers.coef_, classes.coef_[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(numbers.predict(X), classes.predict_proba(X)[:, 1], atol=1e-8)
    truth = expit(X @ np.linspace(-1, 1, X.shape[1]) - 0.5)
    parameters |= {"learning_rate": "adaptive", "alpha": 0, "max_iter": 100, "tol": 1e-5}
    soft = AdaptiveSGDRegressor("log_loss", **parameters)
    np.testing.assert_allclose(soft.fit(X, truth).predict(X), truth, atol=0.01)


@pytest.mark.parametrize(
    ("loss", "power", "requirement", "bad"),
    [
        ("poisson", 1.5, "y >= 0", -0.5),
        ("gamma", 1.5, "y > 0", 0.0),
        ("tweedie", 1.5, "y >= 0", -0.5),
        ("tweedie", 2.0, "y > 0", 0.0),
        ("log_loss", 1.5, "0 <= y <= 1", 1.5),
    ],
)
def test_a_target_that_the_loss_is_not_for_is_refused_with_its_row(loss, power, requirement, bad):
    y = np.full(9, 0.5)
    model = AdaptiveSGDRegressor(loss, power=power).partial_fit(np.eye(9), y)
    before = model.coef_
    y[7] = bad
    message = re.escape(f"loss={loss!r} requires {requirement}; it is {bad} at row 7.")
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            method(np.eye(9), y)
        np.testing.assert_array_equal(model.coef_, before)
