"""
Unscaled features, and the diagonal canyon
==========================================

Columns come in units: square millimetres beside shares of one. A step of plain SGD changes what a
column contributes to the prediction by the *square* of its unit, so that large columns make it
diverge at a rate at which small ones don't learn. With a step size for each coefficient only the
unit itself is left, and ``normalize=True`` takes that away, too. This example shows how much that
helps on cells of 569 breast tumours, whose 30 measurements differ by a factor of 200,000 in scale,
and what it can't help against.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, NAMES, path_of, use_style
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from sk_adaptive import AdaptiveSGDClassifier

use_style()
warnings.filterwarnings("ignore", category=ConvergenceWarning)
data = load_breast_cancer()
standardised = StandardScaler().fit_transform(data.data)
scales = data.data.std(axis=0)
print(f"standard deviations from {scales.min():.2g} to {scales.max():.3g}")

# %%
# Columns in other units
# ----------------------
#
# Standardised columns are multiplied by factors between 10 :sup:`-s` and 10 :sup:`s`, drawn at
# random. The optimizers have the rate that ``eta0="auto"`` chooses, and columns as they are given
# (``normalize=False``). Beside them AdaGrad has its default, ``normalize="auto"``, or True.
# Plain SGD has a constant rate: the one that is best while the columns are standardised, and,
# drawn dotted, the best of eight for each spread, by the very loss that is drawn.

folds = StratifiedKFold(3, shuffle=True, random_state=0)


def loss_of(model, X):
    """The cross-validated log loss."""
    probability = cross_val_predict(model, X, data.target, cv=folds, method="predict_proba")
    return log_loss(data.target, probability)


def losses_of_plain_sgd(X):
    """Of the constant rates from 1e-8 to 0.1."""
    common = {"loss": "log_loss", "learning_rate": "constant", "max_iter": 100, "random_state": 0}
    return [loss_of(SGDClassifier(eta0=eta0, **common), X) for eta0 in 10.0 ** np.arange(-8, 0)]


models = {
    NAMES[optimizer]: AdaptiveSGDClassifier(optimizer=optimizer, normalize=False, random_state=0)
    for optimizer in ("adagrad", "rmsprop", "adam")
}
models["AdaGrad, normalize=True"] = AdaptiveSGDClassifier(normalize=True, random_state=0)
models["AdaGrad, the default"] = AdaptiveSGDClassifier(random_state=0)
colours = [COLOURS[name] for name in ("adagrad", "rmsprop", "adam", "accent", "adamw")]
spreads = np.array([0, 0.5, 1, 1.5, 2, 3])
losses = {name: [] for name in models}
losses_of_rates = []
for spread in spreads:
    rng = np.random.default_rng(0)
    X = standardised * 10 ** rng.uniform(-spread, spread, standardised.shape[1])
    losses_of_rates.append(losses_of_plain_sgd(X))
    for name, model in models.items():
        losses[name].append(loss_of(model, X))
losses_of_rates = np.array(losses_of_rates)
fixed = losses_of_rates[:, losses_of_rates[0].argmin()]
best = losses_of_rates.min(axis=1)

print(f"{'spread s':24}" + "".join(f"{spread:8}" for spread in spreads))
for name, values in {"plain SGD, one rate": fixed, "plain SGD, best rate": best, **losses}.items():
    print(f"{name:24}" + "".join(f"{value:8.3f}" for value in values))

figure, axis = plt.subplots(figsize=(8, 4.5))
axis.plot(spreads, fixed, "o-", color=COLOURS["sgd"], label="plain SGD, one rate")
axis.plot(spreads, best, "o:", color=COLOURS["sgd"], label="plain SGD, best rate by hindsight")
for (name, values), colour in zip(losses.items(), colours, strict=True):
    # the last falls on the one before
    style = "o--" if name == "AdaGrad, the default" else "o-"
    axis.plot(spreads, values, style, color=colour, label=name)
axis.set(
    xlabel="spread s of the units: from $10^{-s}$ to $10^{s}$", ylabel="log loss", yscale="log"
)
axis.legend()

# %%
# One rate for plain SGD is worth nothing once the units change. With a step size for each
# coefficient it is no matter of life and death any more, but not for nothing either: columns
# whose unit makes them small are learned late. With ``normalize=True`` each column is divided by
# the largest size it has had, and the curve is flat: the unit does not matter. But the place of
# zero does, and no division moves that. The default also centres columns that many rows have. The
# raw numbers, centred, and standardised:

of_adagrad = {
    "as given": "AdaGrad",
    "normalize=True": "AdaGrad, normalize=True",
    "default": "AdaGrad, the default",
}
print(f"{'log loss':14}" + "".join(f"{title:>16}" for title in of_adagrad))

for name, X in {
    "raw": data.data,
    "centred": data.data - data.data.mean(axis=0),
    "standardised": standardised,
}.items():
    print(f"{name:14}" + "".join(f"{loss_of(models[of], X):16.3f}" for of in of_adagrad.values()))

# %%
# The diagonal canyon
# -------------------
#
# A step size for each coefficient stretches space along its axes. A canyon that lies across them
# it can't see. Such canyons are common: any two *standardised* columns that are correlated make
# one, at 45 degrees. Here these are the radius and the area of the cells, with a correlation of
# 0.99. We explain the diagnosis by them and then by the same columns turned, so that the canyon
# has other angles to the axes: the same data and the same predictions, in other coordinates. As
# in :ref:`sphx_glr_auto_examples_plot_canyon.py` all rows are one batch, and ``eps`` is next to
# zero.

X = standardised[:, [0, 3]]
y = data.target - data.target.mean()
curvatures, axes_of_canyon = np.linalg.eigh(X.T @ X / len(y))
print(
    f"The correlation is {np.corrcoef(X.T)[0, 1]:.3f}, "
    f"the curvatures differ by a factor of {curvatures[1] / curvatures[0]:.0f}"
)


def turned(angle):
    """The columns in coordinates to which the floor of the canyon has this angle, in degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return X @ axes_of_canyon @ np.array([[c, s], [-s, c]])


def turned_path(optimizer, eta0, angle):
    """The coefficients step by step, and the step that brings the loss within 1 % for good."""
    columns = turned(angle)
    best = np.linalg.lstsq(columns, y)[0]
    path = path_of(optimizer, eta0, columns, y, n_steps=150)
    excess = np.sum(((path - best) @ columns.T) ** 2, axis=1)
    return path, np.flatnonzero(excess > 0.01 * excess[0])[-1] + 1


angles = (0, 10, 20, 30, 45)
rates = {
    "sgd": [1.9 / curvatures[1]],
    "adagrad": np.geomspace(0.1, 3, 7),
    "adam": np.geomspace(0.1, 1, 5),
}
runs = {}
for optimizer, candidates in rates.items():
    for angle in angles:
        tried = [turned_path(optimizer, eta0, angle) for eta0 in candidates]
        runs[optimizer, angle] = min(tried, key=lambda run: run[1])

print(f"{'angle':11}" + "".join(f"{angle:5}" for angle in angles))
needed = {name: [runs[name, angle][1] for angle in angles] for name in rates}
for name, steps in needed.items():
    print(f"{NAMES[name]:11}" + "".join(f"{step:5}" for step in steps) + " steps")

figure, axes = plt.subplots(1, 3, figsize=(12, 4.2))
for axis, angle in zip(axes, (0, 45), strict=False):
    columns = turned(angle)
    best = np.linalg.lstsq(columns, y)[0]
    path, steps = runs["adagrad", angle]
    centre, half = best / 2, 0.9 * np.linalg.norm(best)
    span = np.linspace(-half, half, 200)
    grid = np.stack(np.meshgrid(centre[0] + span, centre[1] + span), axis=-1)
    excess = np.sum(((grid - best) @ (columns.T @ columns / len(y))) * (grid - best), axis=-1)
    levels = excess.max() * 10.0 ** np.arange(-5, 0.5, 0.5)
    axis.contourf(
        *np.moveaxis(grid, -1, 0), excess, levels, cmap="Greys", norm="log", alpha=0.3, extend="min"
    )
    axis.plot(*path[: steps + 1].T, ".-", color=COLOURS["adagrad"], markersize=6, linewidth=1.3)
    axis.plot(0, 0, "o", color=COLOURS["text"])
    axis.plot(*best, "*", color=COLOURS["text"], markersize=14)
    axis.set(
        title=f"AdaGrad, {angle} degrees: {steps} steps",
        xlabel="first coefficient",
        ylabel="second coefficient",
        aspect="equal",
        xlim=grid[0, [0, -1], 0],
        ylim=grid[[0, -1], 0, 1],
    )
    axis.grid(False)
for name, steps in needed.items():
    axes[2].plot(angles, steps, "o-", color=COLOURS[name], label=NAMES[name])
axes[2].set(
    title="steps to within 1 %",
    xlabel="angle of the canyon to the axes (degrees)",
    ylabel="steps",
    ylim=(0, None),
    xticks=angles,
)
axes[2].legend()

# %%
# Along an axis the canyon is nothing for AdaGrad. Across the axes both coefficients get the same
# steps, and AdaGrad is slower than plain SGD, which does not know about axes. Adam crosses the
# canyon by its momentum, at any angle, not by its step sizes. What helps with AdaGrad is to turn
# the data, by :class:`~sklearn.decomposition.PCA`, or to leave out one of two columns that say
# the same.

plt.show()
