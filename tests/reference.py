"""The dense textbook algorithms, and what tests know of each optimizer: its `Twin`.

Plain NumPy, float64, written for comparison with the papers and not for
speed. `train` is the oracle that the lazy kernels are compared with.

An optimizer here is a function of (settings, number of coordinates) that returns
``step(w, g, eta, t)``, which changes w in place; g is dense. ``step.state`` has its moments by
name, and ``step.integral`` is the sum of the steps' weights times eta: what averages are
made of (while a weight flows, its mean over the flow). Coordinates
from ``n_penalised`` on (the intercepts) are not penalised. `factor` is what the penalty of each
coordinate is multiplied by, and `bounds` are the least and the largest number that each may be
after the gradient step.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from sk_adaptive.kernel.optimizers import OPTIMIZERS

FREE = -np.inf, np.inf

# Gauss's rule on [0, 1], a row for each node
NODES, SHARES = np.polynomial.legendre.leggauss(10)
NODES, SHARES = (1 + NODES[:, np.newaxis]) / 2, SHARES / 2


def flow(w, tau, l1, l2):
    """dw/dtau = -(l2 w + l1 sign w), stopped at zero, by its textbook solution."""
    if l2 == 0:
        return np.sign(w) * np.maximum(np.abs(w) - l1 * tau, 0)
    shrunk = (np.abs(w) + l1 / l2) * np.exp(-l2 * tau) - l1 / l2
    return np.sign(w) * np.maximum(shrunk, 0)


def integral_of_flow(w, eta, h, l1, l2):
    """h times the integral of the flow from w for the time eta / h; where h is infinite, eta w.

    By Gauss's rule, up to where the flow stops at zero.
    """
    flows = np.isfinite(h)
    h = np.where(flows, h, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        stop = np.log1p(l2 * np.abs(w) / l1) / l2 if l1 and l2 else np.abs(w) / np.float64(l1)
    span = np.where(w == 0, 0.0, np.minimum(eta / h, stop))
    return np.where(flows, h * span * (SHARES @ flow(w, span * NODES, l1, l2)), eta * w)


def adagrad(n, n_penalised, *, eps, rho=1.0, l1=0.0, l2=0.0, factor=1.0, bounds=FREE):
    G = np.zeros(n)
    integral = np.zeros(n)

    def step(w, g, eta, t):
        G[:] = np.where(g != 0, rho, 1) * G + g**2
        h = np.sqrt(G + eps)
        w[:] = np.clip(w - eta * g / h, *bounds)
        charged = (G > 0) & (np.arange(n) < n_penalised)
        integral[:] += integral_of_flow(w, eta, np.where(charged, h, np.inf), l1, l2)
        w[charged] = flow(w, factor * eta / h, l1, l2)[charged]

    step.state, step.integral = {"sum_of_squared_gradients": G}, integral
    return step


def rmsprop(n, n_penalised, *, eps, rho, l1=0.0, l2=0.0, factor=1.0, bounds=FREE):
    v, integral = np.zeros(n), np.zeros(n)
    h = np.full(n, np.inf)
    penalised = np.arange(n) < n_penalised

    def step(w, g, eta, t):
        v[:] = rho * v + (1 - rho) * g**2
        w[:] = np.clip(w - eta * g / (np.sqrt(v) + eps), *bounds)
        # the metric of a charge is that of the last gradient
        h[g != 0] = (np.sqrt(v) + eps)[g != 0]
        integral[:] += integral_of_flow(w, eta, np.where(penalised, h, np.inf), l1, l2)
        w[:n_penalised] = flow(w, factor * eta / h, l1, l2)[:n_penalised]

    step.state, step.integral = {"mean_squared_gradient": v}, integral
    return step


def adam(n, n_penalised, *, eps, beta_1, beta_2, bounds=FREE):
    """Without a penalty. With one: see `adam_composite` and `adam_charged`."""
    m = np.zeros(n)
    v = np.zeros(n)
    integral = np.zeros(n)

    def step(w, g, eta, t):
        m[:] = beta_1 * m + (1 - beta_1) * g
        v[:] = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        w[:] = np.clip(w - eta * m_hat / (np.sqrt(v_hat) + eps), *bounds)
        integral[:] += eta * w

    step.state, step.integral = {"first_moment": m, "second_moment": v}, integral
    return step


def adamw(n, n_penalised, *, eps, beta_1, beta_2, l1=0.0, l2=0.0, bounds=FREE):
    adam_step = adam(n, n_penalised, eps=eps, beta_1=beta_1, beta_2=beta_2, bounds=bounds)

    def step(w, g, eta, t):
        if l1 == 0:
            w[:n_penalised] *= 1 - eta * l2
        else:
            tau = -np.log1p(-eta * l2) / l2 if l2 else eta
            w[:n_penalised] = flow(w, tau, l1, l2)[:n_penalised]
        adam_step(w, g, eta, t)

    step.state, step.integral = adam_step.state, adam_step.integral
    return step


def adam_composite(n, n_penalised, *, eps, beta_1, beta_2, l1=0.0, l2=0.0):
    """Adam, then a proximal step in its metric: the charge where nothing is ever idle."""
    v = np.zeros(n)
    adam_step = adam(n, n_penalised, eps=eps, beta_1=beta_1, beta_2=beta_2)

    def step(w, g, eta, t):
        adam_step(w, g, eta, t)
        v[:] = beta_2 * v + (1 - beta_2) * g**2
        h = np.sqrt(v / (1 - beta_2**t)) + eps
        w[:n_penalised] = flow(w, eta / h, l1, l2)[:n_penalised]

    return step


def adam_charged(
    n, n_penalised, *, eps, beta_1, beta_2, rate, l1=0.0, l2=0.0, decoupled=False, factor=1.0
):
    """Adam whose idle coefficients are charged without their momentum tail.

    The tail of a coefficient is summed, from the rates to come (`rate(t)`). Decoupled:
    AdamW's decay in place of the metric, with the tail in the units of the present.
    """
    m, v, integral = np.zeros(n), np.zeros(n), np.zeros(n)
    h = np.full(n, np.inf)
    penalised = np.arange(n) < n_penalised
    # so many that the next term would be less than 1e-18 of the first
    n_terms = int(np.log(1e-18) / np.log(beta_1 / np.sqrt(beta_2))) + 1 if beta_1 > 0 else 1
    i = np.arange(1, n_terms + 1)[:, np.newaxis]
    to_come = np.zeros(n)

    def tail(t):
        later = t + i
        eta = np.broadcast_to(rate(later), later.shape)
        m_hat = m * (beta_1**i / (1 - beta_1**later))
        root = np.sqrt(v) * np.sqrt(beta_2**i / (1 - beta_2**later))
        terms = eta * m_hat / (root + eps)
        if decoupled:
            terms /= np.where(penalised, np.cumprod(1 - eta * l2, axis=0), 1)
        return terms.sum(axis=0)

    def step(w, g, eta, t):
        idle = (g == 0) & penalised
        carried = w - to_come
        m[:] = beta_1 * m + (1 - beta_1) * g
        v[:] = beta_2 * v + (1 - beta_2) * g**2
        metric = np.sqrt(v / (1 - beta_2**t)) + eps
        u = eta * m / (1 - beta_1**t) / metric
        to_come[:] = tail(t)
        if decoupled:
            tau = -np.log1p(-eta * l2) / l2 if l2 else eta
            moved = np.where(penalised, flow(w, tau, l1, l2), w) - u
            rested = flow(carried, tau, l1, l2) + to_come
            idle_integral = integral_of_flow(carried, tau, np.ones(n), l1, l2)
        else:
            tau = eta
            h[g != 0] = metric[g != 0]
            moved = np.where(penalised, flow(w - u, factor * eta / h, l1, l2), w - u)
            rested = flow(carried, factor * eta / h, l1, l2) + to_come
            idle_integral = integral_of_flow(carried, eta, h, l1, l2)
        w[:] = np.where(idle, rested, moved)
        integral[:] += np.where(idle, idle_integral + tau * to_come, tau * w)

    step.state, step.integral = {"first_moment": m, "second_moment": v}, integral
    return step


def ftrl(
    n,
    n_penalised,
    *,
    eps,
    rho=1.0,
    l1=0.0,
    l2=0.0,
    penalty_of_each_step=True,
    factor=1.0,
    bounds=FREE,
):
    """FTRL-Proximal, in units in which the rate may change: z is the paper's times eta.

    The penalty is that of each step, summed up, or as in the paper one for good. A gradient
    discounts all sums before it by rho.
    """
    z, squares, integral = np.zeros(n), np.zeros(n), np.zeros(n)
    state = {"z": np.zeros(n), "n": squares}
    penalised = np.arange(n) < n_penalised
    total, numbers = np.zeros(n), None

    def weights(charged):
        charged = penalised * factor * charged
        shrunk = np.sign(z) * np.maximum(np.abs(z) - l1 * charged, 0)
        return np.clip(-shrunk / (np.sqrt(squares + eps) + l2 * charged), *bounds)

    def step(w, g, eta, t):
        nonlocal total, numbers
        now = np.array(eps).tolist(), np.array(l1).tolist(), np.array(l2).tolist()
        if numbers not in (None, now):
            # other numbers leave the weights what they are
            room, slope = l1 * total * penalised, l2 * total * penalised
            kept = -w * (np.sqrt(squares + eps) + slope) - np.sign(w) * room
            z[:] = np.where(w == 0, np.clip(z, -room, room), kept)
        numbers = now
        kept = np.where(g != 0, rho, 1)
        sigma = np.sqrt(kept * squares + g**2 + eps) - kept * np.sqrt(squares + eps)
        z[:] = kept * z + eta * g - sigma * w
        squares[:] = kept * squares + g**2
        state["z"][:] = z / eta
        before = kept * total
        total = before + eta if penalty_of_each_step else np.full(n, eta)
        # the mean over the step, up to where a weight is 0
        span = np.full(n, eta)
        if np.any(l1):
            span[penalised] = np.clip(np.abs(z) / l1 - before, 0, eta)[penalised]
        integral[:] += span * (SHARES @ weights(before + span * NODES))
        w[:] = weights(total)

    step.state, step.integral = state, integral
    return step


def masked(
    rule,
    n,
    n_penalised,
    *,
    eps,
    l1=0.0,
    l2=0.0,
    has_momentum=False,
    decoupled=False,
    factor=1.0,
    bounds=FREE,
    **parameters,
):
    """Only coordinates with a gradient move, and their moments do not age while idle.

    The rule takes gradients, the coordinates that move, and t; it returns the metric and the
    direction of the step.
    """
    update, state = rule(n, eps, **parameters)
    h, integral = np.full(n, np.inf), np.zeros(n)
    always = np.arange(n) >= n_penalised

    def step(w, g, eta, t):
        live = (g != 0) | always
        tau = eta
        if decoupled:
            tau = -np.log1p(-eta * l2) / l2 if l2 else eta
            idle_integral = integral_of_flow(w, tau, np.ones(n), l1, l2)
            w[:n_penalised] = flow(w, factor * tau, l1, l2)[:n_penalised]
        metric, direction = update(g, live, t)
        w[live] -= eta * direction[live] / metric[live]
        w[:] = np.clip(w, *bounds)
        if not decoupled:
            h[g != 0] = metric[g != 0]
            idle_integral = integral_of_flow(w, eta, np.where(always, np.inf, h), l1, l2)
            w[:n_penalised] = flow(w, factor * eta / h, l1, l2)[:n_penalised]
        integral[:] += np.where(live, tau * w, idle_integral) if has_momentum else idle_integral

    step.state, step.integral = state, integral
    return step


def adagrad_rule(n, eps, rho):
    G = np.zeros(n)

    def update(g, live, t):
        G[:] = np.where(g != 0, rho, 1) * G + g**2
        return np.sqrt(G + eps), g

    return update, {"sum_of_squared_gradients": G}


def rmsprop_rule(n, eps, rho):
    v = np.zeros(n)

    def update(g, live, t):
        v[live] = rho * v[live] + (1 - rho) * g[live] ** 2
        return np.sqrt(v) + eps, g

    return update, {"mean_squared_gradient": v}


def adam_rule(n, eps, beta_1, beta_2):
    m, v = np.zeros(n), np.zeros(n)

    def update(g, live, t):
        m[live] = beta_1 * m[live] + (1 - beta_1) * g[live]
        v[live] = beta_2 * v[live] + (1 - beta_2) * g[live] ** 2
        return np.sqrt(v / (1 - beta_2**t)) + eps, m / (1 - beta_1**t)

    return update, {"first_moment": m, "second_moment": v}


# --- what tests know of each optimizer ---

ALL_PENALTIES = (None, "l2", "l1", "elasticnet")
# With a short memory rmsprop and adam are biased for rare features.
LONG_MEMORY = 1 - 1e-6


@dataclass(frozen=True)
class Twin:
    """What tests know of an optimizer beside its entry in the registry.

    Attributes
    ----------
    dense : callable
        The textbook, as described above.
    masked : callable
        The same with ``sparse_update="masked"``.
    metric : callable
        Takes the textbook's moments by name, t, eps and the optimizer's numbers; returns what the
        rate of a coefficient is divided by.
    penalties : tuple
        Those that `dense` has. The others are the package's own definition.
    charged : callable or None
        The step with any penalty and averages, where `dense` has not every penalty. It also takes
        the rate as a function of t.
    composite : callable or None
        The step with a proximal step in the metric where nothing is ever idle. None: `dense`.
    unbiased : dict
        Parameters with which training ends at the minimum of the objective.
    room : float
        How far from that it may end.
    moment_of_weight : str or None
        The moment that tells the weight, and so is another with other numbers and the same weight.
    rate_of_all_rows : float
        A rate for steps on all rows at once, with the parameters `unbiased`.
    torch : tuple or None
        The name of torch's class, its settings, and the same settings of `dense`. None where
        torch has no such optimizer.
    """

    dense: Callable
    masked: Callable
    metric: Callable
    torch: tuple | None = None
    penalties: tuple = ALL_PENALTIES
    charged: Callable | None = None
    composite: Callable | None = None
    unbiased: dict | None = None
    room: float = 1e-2
    rate_of_all_rows: float = 0.3
    moment_of_weight: str | None = None

    def step(self, n, n_penalised, *, rate, **numbers):
        """The dense step that has every penalty and averages."""
        if self.charged is None:
            return self.dense(n, n_penalised, **numbers)
        return self.charged(n, n_penalised, rate=rate, **numbers)


def _corrected_metric(state, t, eps, beta_1, beta_2):
    return np.sqrt(state["second_moment"] / (1 - beta_2**t)) + eps


_BETAS = {"beta_1": 0.9, "beta_2": 0.99, "eps": 1e-3}
_TORCH_BETAS = {"betas": (0.9, 0.99), "eps": 1e-3}

TWINS = {
    # torch adds AdaGrad's eps outside the root and the reference inside: they are the same where
    # eps is too small to change any sum of squares. It can't be 0, for coordinates without a
    # gradient so far.
    "adagrad": Twin(
        adagrad,
        partial(masked, adagrad_rule),
        lambda state, t, eps, rho: np.sqrt(state["sum_of_squared_gradients"] + eps),
        torch=("Adagrad", {"eps": 1e-300}, {"eps": 1e-300}),
        room=1e-3,
    ),
    "rmsprop": Twin(
        rmsprop,
        partial(masked, rmsprop_rule),
        lambda state, t, eps, rho: np.sqrt(state["mean_squared_gradient"]) + eps,
        torch=("RMSprop", {"alpha": 0.95, "eps": 1e-3}, {"rho": 0.95, "eps": 1e-3}),
        unbiased={"rho": LONG_MEMORY},
        # the mean of squares starts at 0 and is not corrected
        rate_of_all_rows=0.3 * np.sqrt(1 - LONG_MEMORY),
    ),
    "adam": Twin(
        adam,
        partial(masked, adam_rule, has_momentum=True),
        _corrected_metric,
        torch=("Adam", _TORCH_BETAS, _BETAS),
        penalties=(None,),
        charged=adam_charged,
        composite=adam_composite,
        unbiased={"beta_2": LONG_MEMORY},
    ),
    "adamw": Twin(
        adamw,
        partial(masked, adam_rule, has_momentum=True, decoupled=True),
        _corrected_metric,
        torch=("AdamW", {**_TORCH_BETAS, "weight_decay": 0.05}, {**_BETAS, "l2": 0.05}),
        penalties=(None, "l2"),
        charged=partial(adam_charged, decoupled=True),
    ),
    # nothing ages, so masked is exact
    "ftrl": Twin(
        ftrl,
        ftrl,
        lambda state, t, eps, rho: np.sqrt(state["n"] + eps),
        room=1e-3,
        moment_of_weight="z",
    ),
}


def schedule_for(optimizer, wanted="invscaling"):
    """This schedule, or a constant rate where the optimizer does not take it."""
    return wanted if wanted in OPTIMIZERS[optimizer].learning_rates else "constant"


def register_copy(name):
    """Add an optimizer under another name, by an entry and a twin; return that name."""
    copy = f"copy_of_{name}"
    OPTIMIZERS[copy], TWINS[copy] = OPTIMIZERS[name], TWINS[name]
    return copy


# For the suite over a copy, see test_copies.py: before any test has looped over the registry.
if "SK_ADAPTIVE_COPY" in os.environ:
    register_copy(os.environ["SK_ADAPTIVE_COPY"])


# --- losses: derivatives with respect to the raw prediction ---

DERIVATIVES = {
    "log_loss": lambda y, p: -y / (1 + np.exp(y * p)),
    "hinge": lambda y, p: -y * (y * p <= 1),
    "squared_error": lambda y, p: p - y,
}


def train(step, X, y, loss, rate, *, batch_size=1, n_models=1, record=()):
    """Mini-batch gradient descent over the rows of a dense X, once and in order.

    The coordinates are those of the coefficients, feature by feature and model by model, and
    then the intercepts: models of different settings are trained side by side if the step has
    arrays of settings. Returns an array of shape (n_models, n_features + 1), the intercept last;
    with ``record`` a list of these after the steps with these numbers.
    """
    n, d = X.shape
    w = np.zeros((d + 1) * n_models)
    X = np.hstack([X, np.ones((n, 1))])
    recorded = []
    for t, start in enumerate(range(0, n, batch_size), start=1):
        rows = slice(start, start + batch_size)
        raw = X[rows] @ w.reshape(d + 1, n_models)
        gradient = DERIVATIVES[loss](y[rows, np.newaxis], raw)
        step(w, (X[rows].T @ gradient / len(gradient)).ravel(), rate(t), t)
        if t in record:
            recorded.append(w.reshape(d + 1, n_models).T.copy())
    return recorded if record else w.reshape(d + 1, n_models).T


def train_softmax(step, X, classes, n_classes, rate, *, batch_size=1):
    """The same for the cross-entropy of the softmax.

    The coordinates are those of the coefficients, feature by feature and class by class, and
    then the intercepts. Returns arrays of shape (n_classes, n_features) and (n_classes,).
    """
    n, d = X.shape
    w = np.zeros((d + 1) * n_classes)
    X = np.hstack([X, np.ones((n, 1))])
    for t, start in enumerate(range(0, n, batch_size), start=1):
        rows = slice(start, start + batch_size)
        raw = X[rows] @ w.reshape(d + 1, n_classes)
        gradient = np.exp(raw - raw.max(axis=1, keepdims=True))
        gradient /= gradient.sum(axis=1, keepdims=True)
        gradient[np.arange(len(gradient)), classes[rows]] -= 1
        step(w, (X[rows].T @ gradient / len(gradient)).ravel(), rate(t), t)
    w = w.reshape(d + 1, n_classes)
    return w[:d].T, w[d]
