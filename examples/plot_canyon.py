"""
The canyon
==========

A loss that is steep in one direction and flat in another is a canyon. One step size has to serve
both walls and floor: a large one throws the weights from wall to wall, a small one takes for ever
along the floor. The optimizers of this package give each coefficient a step of its own.

The canyon here is a real one: the progression of diabetes in 442 patients, explained by two
measurements in their own units, the body mass index and the logarithm of the triglycerides. The
first varies nine times as much as the second, so the loss curves almost a hundred times as much
along its coefficient as along the other.
"""

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, NAMES, path_of, use_style
from sklearn.datasets import load_diabetes

use_style()
data = load_diabetes(scaled=False)
columns = [data.feature_names.index(name) for name in ("s5", "bmi")]
X = data.data[:, columns] - data.data[:, columns].mean(axis=0)
y = data.target - data.target.mean()

hessian = X.T @ X / len(y)
optimum = np.linalg.solve(hessian, X.T @ y / len(y))


def excess(w):
    """The loss of coefficients of shape (..., 2) over that of the optimum."""
    away = w - optimum
    return np.einsum("...i,ij,...j", away, hessian, away) / 2


curvatures = np.linalg.eigvalsh(hessian)
print(f"The steepest direction curves {curvatures[1] / curvatures[0]:.0f} times the flattest.")

# %%
# All rows are one batch, so that the paths are those of the methods, without noise, and each call
# of ``partial_fit`` is one step, which ``path_of`` in ``_gallery.py`` takes. ``eps`` is next to
# zero, as in the textbook. For plain SGD a step is a line of NumPy. Each method has the best of a
# fine grid of rates: the one that is first to bring the loss to within 0.1 % of the way from start
# to optimum.

N_STEPS = 300


def steps_needed(path):
    """How many steps until the loss stays within 0.1 %."""
    away = np.flatnonzero(excess(path) > 1e-3 * excess(path[0]))
    return away[-1] + 1


largest = 2 / curvatures[1]  # beyond that plain SGD diverges
rates = {"sgd": largest * np.linspace(0.5, 0.98, 9)}
for optimizer in ("adagrad", "rmsprop", "adam"):
    rates[optimizer] = np.geomspace(0.3, 100, 11)

paths, needed = {}, {}
for optimizer, candidates in rates.items():
    tried = {eta0: path_of(optimizer, eta0, X, y, N_STEPS) for eta0 in candidates}
    best = min(tried, key=lambda eta0: steps_needed(tried[eta0]))
    paths[optimizer] = tried[best]
    needed[optimizer] = steps_needed(tried[best])
    print(f"{NAMES[optimizer]:10} rate {best:8.3g}: {needed[optimizer]:4} steps")

# %%
# The four paths
# --------------
#
# Plain SGD takes the steps that its steepest direction allows: it crosses the canyon again and
# again, and creeps along the floor. The first step of the others is as long for one coefficient
# as for the other, whatever the sizes of the gradients, so they leave diagonally. AdaGrad's best
# rate overshoots at once; what it has seen there makes its steps the right ones for both
# directions. RMSProp is careful, as its average still remembers the steep start. Adam's momentum
# carries it past the floor and back.
#
# Without noise one can go so fast. With one row at a time a smaller rate is best for all of them,
# and the differences are smaller.

figure, axes = plt.subplots(2, 2, figsize=(9, 7.2), sharex=True, sharey=True)
grid = np.stack(np.meshgrid(np.linspace(-8, 80, 200), np.linspace(-7, 36, 200)), axis=-1)
loss = excess(grid)
for axis, (optimizer, path) in zip(axes.flat, paths.items(), strict=True):
    axis.contourf(
        *np.moveaxis(grid, -1, 0),
        loss,
        10.0 ** np.arange(-1, 5, 0.5),
        cmap="Greys",
        norm="log",
        alpha=0.3,
    )
    axis.plot(*path.T, ".-", color=COLOURS[optimizer], markersize=5, linewidth=1.3)
    axis.plot(0, 0, "o", color=COLOURS["text"])
    axis.plot(*optimum, "*", color=COLOURS["text"], markersize=14)
    axis.set_title(f"{NAMES[optimizer]}: {needed[optimizer]} steps")
    axis.grid(False)
    axis.label_outer()
for axis in axes[1]:
    axis.set_xlabel("coefficient of the log triglycerides")
for axis in axes[:, 0]:
    axis.set_ylabel("coefficient of the\nbody mass index")

# %%
# The loss
# --------
#
# On a logarithmic scale the progress of plain SGD becomes a straight line: each step takes the
# same share of what is left, and the more elongated the canyon, the smaller the share. The dotted
# line is the 0.1 % that the rates were chosen for.

figure, axis = plt.subplots(figsize=(8, 4))
for optimizer, path in paths.items():
    gap = np.maximum(excess(path) / excess(path[0]), 1e-12)
    axis.semilogy(gap, color=COLOURS[optimizer], label=NAMES[optimizer])
axis.axhline(1e-3, color=COLOURS["text"], linewidth=0.8, linestyle=":")
axis.set(
    xlim=(0, N_STEPS),
    ylim=(1e-8, 1.5),
    xlabel="steps",
    ylabel="loss above the optimum's,\nshare of the start's",
)
axis.legend()
plt.show()
