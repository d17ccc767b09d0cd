"""What is true of FTRL-Proximal beside what is true of every optimizer."""

import numpy as np
import pytest
import reference
import sklearn
from comparison import relative_difference, weights_of
from reference import TWINS
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.utils.fixes import parse_version

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor

NUMBERS = {"eta0": 0.1, "eps": 1e-3}
# The L1 penalty of LogisticRegression, which scikit-learn 1.8 names in another way.
IS_OLD = parse_version(sklearn.__version__) < parse_version("1.8")
L1 = {"penalty": "l1"} if IS_OLD else {"l1_ratio": 1.0}


@pytest.mark.parametrize("rho", [None, 0.97])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_without_a_penalty_it_is_adagrad(zipf_rows, batch_size, dtype, rho):
    _, X, y = zipf_rows
    parameters = {"penalty": None, "batch_size": batch_size, "rho": rho, **NUMBERS}
    models = []
    for optimizer in ("adagrad", "ftrl"):
        model = AdaptiveSGDClassifier(optimizer=optimizer, **parameters)
        model.partial_fit(X[:1000].astype(dtype), y[:1000], classes=[-1, 1])
        # another rate, in the midst
        model.set_params(eta0=0.02).partial_fit(X[1000:].astype(dtype), y[1000:])
        models.append(model)
    adagrad, ftrl = models
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert relative_difference(weights_of(ftrl), weights_of(adagrad)) < tolerance
    np.testing.assert_allclose(
        ftrl.optimizer_state_["n"],
        adagrad.optimizer_state_["sum_of_squared_gradients"],
        rtol=tolerance,
        atol=tolerance * NUMBERS["eps"],
    )


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_rate_that_is_divided_is_exact(zipf_rows, batch_size):
    """As "adaptive" does, with the penalty by the sum of the rates."""
    X, X_sparse, y = zipf_rows
    model = AdaptiveSGDClassifier(
        optimizer="ftrl",
        penalty="elasticnet",
        alpha=0.01,
        l1_ratio=0.3,
        batch_size=batch_size,
        **NUMBERS,
    )
    step = TWINS["ftrl"].dense(X.shape[1] + 1, X.shape[1], eps=1e-3, l1=0.003, l2=0.007)
    rows_a_rate = 70 * batch_size
    rates = [0.1, 0.02, 0.004]
    expected = reference.train(
        step,
        X[: 3 * rows_a_rate],
        y[: 3 * rows_a_rate],
        "log_loss",
        lambda t: rates[(t - 1) // 70],
        batch_size=batch_size,
    )[0]
    for number, rate in enumerate(rates):
        rows = slice(number * rows_a_rate, (number + 1) * rows_a_rate)
        model.set_params(eta0=rate).partial_fit(X_sparse[rows], y[rows], classes=[-1, 1])
    assert relative_difference(weights_of(model), expected) < 1e-10


def test_a_penalty_of_a_step_alone_is_vowpal_wabbits(zipf_rows):
    """The twin with the paper's penalty, which is one for good, step by step."""
    vowpalwabbit = pytest.importorskip("vowpalwabbit")
    X, _, y = (rows[:500] for rows in zipf_rows)
    eta, l1, l2 = 0.3, 0.7, 0.2
    peer = vowpalwabbit.Workspace(
        "--ftrl --loss_function logistic --noconstant --ftrl_beta 0 --quiet "
        f"--ftrl_alpha {eta} --l1 {l1} --l2 {l2}"
    )
    step = TWINS["ftrl"].dense(
        X.shape[1], X.shape[1], eps=1e-300, l1=l1, l2=l2, penalty_of_each_step=False
    )
    w = np.zeros(X.shape[1])
    losses = np.empty((2, len(y)))
    for t, (x, label) in enumerate(zip(X, y, strict=True), start=1):
        entries = " ".join(f"{feature}:{x[feature]!s}" for feature in np.flatnonzero(x))
        row = peer.parse(f"{label} | {entries}")
        peer.learn(row)
        margins = row.get_simplelabel_prediction(), x @ w
        peer.finish_example(row)
        losses[:, t - 1] = np.logaddexp(0, -label * np.array(margins))
        step(w, reference.DERIVATIVES["log_loss"](label, x @ w) * x, eta, t)
    progressive = losses.cumsum(axis=1) / np.arange(1, len(y) + 1)
    # it computes in single precision
    np.testing.assert_allclose(progressive[1], progressive[0], rtol=1e-5)
    assert 0 < np.count_nonzero(w) < np.count_nonzero(X.any(axis=0))


def check_zeros(coef, optimum):
    zero = optimum == 0
    assert 0 < zero.sum() < zero.size
    assert not coef[zero].any()
    # what is next to zero may be zero
    assert coef[np.abs(optimum) > 0.02].all()
    np.testing.assert_allclose(coef, optimum, atol=0.02)


def test_its_zeros_are_those_of_the_optimum():
    """Rows one at a time lead to them: no row pushes a weight off zero by itself."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 12)) * (rng.random((400, 12)) < 0.4)
    raw = X[:, :4] @ [1.0, -2.0, 0.5, 1.5] + 0.3 + rng.normal(size=400)
    fit = {
        "optimizer": "ftrl",
        "learning_rate": "adaptive",
        "tol": 1e-6,
        "max_iter": 2000,
        "early_stopping": False,
        "random_state": 0,
    }
    net = ElasticNet(alpha=0.05, l1_ratio=0.5, tol=1e-10, max_iter=10_000).fit(X, raw)
    ours = AdaptiveSGDRegressor(penalty="elasticnet", alpha=0.05, l1_ratio=0.5, **fit).fit(X, raw)
    check_zeros(ours.coef_, net.coef_)
    y = raw > 0
    # liblinear's intercept is penalised, but for its scaling
    peer = LogisticRegression(
        C=1 / (0.02 * 400), solver="liblinear", intercept_scaling=1e3, tol=1e-6, **L1
    ).fit(X, y)
    ours = AdaptiveSGDClassifier(penalty="l1", alpha=0.02, **fit).fit(X, y)
    check_zeros(ours.coef_, peer.coef_)


@pytest.mark.parametrize("estimator", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_it_keeps_fewer_coefficients_than_adagrad_at_the_same_objective(zipf_rows, estimator):
    """A row of its own pushes AdaGrad's weights off zero, whatever other rows have said."""
    _, X, y = zipf_rows
    fitted = [
        estimator(
            optimizer=optimizer, penalty="l1", alpha=0.02, random_state=0, early_stopping=False
        ).fit(X, y)
        for optimizer in ("adagrad", "ftrl")
    ]
    adagrad, ftrl = fitted
    kept = [np.count_nonzero(model.coef_) for model in fitted]
    assert 0 < kept[1] < kept[0]
    assert min(ftrl.loss_curve_) < 1.01 * min(adagrad.loss_curve_)
