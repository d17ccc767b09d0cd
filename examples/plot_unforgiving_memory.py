"""
The unforgiving memory
======================

AdaGrad divides each step by the root of the sum of *all* squared gradients that a coefficient has
ever had. On data that stay what they are this is its strength: steps shrink as they should, and
training converges. But it never forgives. RMSProp and Adam divide by an average that forgets, and
can learn anew. Three streams show the difference; each has the same rows for all. ``eps`` is next
to zero, so that the formulas are seen as they are. A fourth stream shows ``eta0="search"``, which
finds out how long to remember.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from _gallery import COLOURS, NAMES, use_style

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor

use_style()
OPTIMIZERS = ("adagrad", "rmsprop", "adam")
EPS = 1e-8


def follow(model, targets, weights):
    """The coefficient of the only feature, which is 1 in each row, after each row."""
    row = sp.csr_matrix([[1.0]])
    path = np.empty(len(targets))
    for step in range(len(targets)):
        now = slice(step, step + 1)
        model.partial_fit(row, targets[now], sample_weight=weights[now])
        path[step] = model.coef_[0]
    return path


# %%
# Large gradients for a hundred steps
# -----------------------------------
#
# One coefficient has to find the mean of a series. The first hundred values are wild, as of a
# sensor that is warming up: their standard deviation is 100. Then all is quiet and the mean is 5.
# For AdaGrad the sum of the squared gradients is about a million by then. What comes later hardly
# adds to it, so each of its steps is divided by a thousand, for ever.

rng = np.random.default_rng(0)
series = np.r_[rng.normal(0, 100, 100), rng.normal(5, 0.1, 1900)]
figure, axis = plt.subplots(figsize=(8, 4))
for optimizer in OPTIMIZERS:
    model = AdaptiveSGDRegressor(
        optimizer=optimizer, eta0=0.1, eps=EPS, fit_intercept=False, penalty=None
    )
    path = follow(model, series, np.ones(len(series)))
    axis.plot(path, color=COLOURS[optimizer], label=NAMES[optimizer])
    print(f"{NAMES[optimizer]:8} ends at {path[-1]:5.3f}")
axis.axvspan(0, 100, color=COLOURS["text"], alpha=0.2, linewidth=0)
axis.axhline(5, color=COLOURS["text"], linewidth=0.8, linestyle=":")
axis.set(xlabel="rows", ylabel="coefficient")
axis.legend()

# %%
# AdaGrad is still on its way when RMSProp, and Adam after the thousand steps that its memory is
# long, have found the mean, around which RMSProp trembles: constant rates have their price, too.
#
# A world that changes
# --------------------
#
# Clicks depend on five categories of a row, by weights that are drawn anew at some time. The loss
# is that of each row just before it was learned. AdaGrad has the rate that ``eta0="auto"`` gives
# it, the others, as we expect a change, three times theirs and a memory of a thousand rows.

RATES = {"adagrad": 0.4, "rmsprop": 0.003, "adam": 0.003}
N_COLUMNS, N_VALUES, WINDOW = 5, 20, 1000
before, after = rng.normal(size=(2, N_COLUMNS * N_VALUES))


def stream(n_rows, weights):
    """One-hot rows, clicks, and the mean loss of their true probabilities."""
    values = rng.integers(N_VALUES, size=(n_rows, N_COLUMNS)) + N_VALUES * np.arange(N_COLUMNS)
    indptr = np.arange(0, values.size + 1, N_COLUMNS)
    X = sp.csr_matrix((np.ones(values.size), values.ravel(), indptr), (n_rows, len(weights)))
    margin = X @ weights
    clicks = (rng.random(n_rows) < 1 / (1 + np.exp(-margin))).astype(int)
    return X, clicks, np.logaddexp(0, np.where(clicks, -margin, margin)).mean()


history = stream(1_000_000, before)
future = stream(60_000, after)


def losses_after(optimizer, n_before):
    """The progressive loss of each window from the change on."""
    rho = 0.999 if optimizer == "rmsprop" else None  # AdaGrad never forgets then
    model = AdaptiveSGDClassifier(optimizer=optimizer, eta0=RATES[optimizer], eps=EPS, rho=rho)
    model.partial_fit(history[0][:n_before], history[1][:n_before], classes=[0, 1])
    losses = []
    for start in range(0, len(future[1]), WINDOW):
        rows = slice(start, start + WINDOW)
        model.reset_progressive_loss().partial_fit(future[0][rows], future[1][rows])
        losses.append(model.progressive_loss_)
    return np.array(losses)


lengths = np.array([1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000])
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
print("rows before the change  " + "".join(f"{length:10,}" for length in lengths))
for optimizer in OPTIMIZERS:
    losses = [losses_after(optimizer, length) for length in lengths]
    price = [WINDOW * np.sum(curve - future[2]) for curve in losses]
    # two curves fall on each other
    width = 4 if optimizer == "rmsprop" else 1.8
    style = {"color": COLOURS[optimizer], "label": NAMES[optimizer], "linewidth": width}
    axes[0].plot(WINDOW * np.arange(len(losses[-1])), losses[-1], **style)
    axes[1].loglog(lengths, price, "o-", **style)
    print(f"price of the change, {NAMES[optimizer]:8}" + "".join(f"{p:9,.0f}" for p in price))
axes[0].axhline(future[2], color=COLOURS["text"], linewidth=0.8, linestyle=":")
axes[0].set(
    title="after a million rows", xlabel="rows since the change", ylabel="progressive log loss"
)
axes[1].set(
    title="price of the change",
    xlabel="rows before the change",
    ylabel="log loss above the attainable,\nsum of 60,000 rows",
)
axes[0].legend()

# %%
# The longer the world has stayed the same, the longer AdaGrad takes to see that it has changed:
# the price grows as the root of the time before. The price of the others stops growing: after
# 100,000 rows they have reached what weights they ever will, and their steps are what they always
# were. But up to some 30,000 rows AdaGrad is the best of the three, even with the change.
#
# To and fro
# ----------
#
# At a saddle, or between the walls of a valley, gradients point to and fro, and what counts is a
# small part that always points the same way. Here the loss is the absolute error of a target out
# of reach, now far above and now far below, and the rows have weights, so that the gradient is -1
# and 0.8 in turns: on average -0.1.

n_steps = 1000
odd = np.arange(n_steps) % 2 == 1
targets, weights = np.where(odd, -1e6, 1e6), np.where(odd, 0.8, 1.0)
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for optimizer in OPTIMIZERS:
    model = AdaptiveSGDRegressor(
        "epsilon_insensitive",
        epsilon=0,
        optimizer=optimizer,
        eta0=0.01,
        eps=EPS,
        fit_intercept=False,
        penalty=None,
    )
    path = follow(model, targets, weights)
    for axis, n_shown in zip(axes, (60, n_steps), strict=True):
        axis.plot(
            np.arange(1, n_shown + 1),
            path[:n_shown],
            color=COLOURS[optimizer],
            label=NAMES[optimizer],
        )
        axis.set(xlabel="steps", ylabel="coefficient")
    first, last = path[n_steps // 2 - 1], path[-1] - path[n_steps // 2 - 1]
    print(
        f"{NAMES[optimizer]:8} moves by {first:.3f} in the first half and {last:.3f} in the second"
    )
axes[0].set_title("the first 60 steps")
axes[1].set_title(f"all {n_steps:,}")
axes[1].legend()

# %%
# AdaGrad pays for every to and fro: its place grows as the root of the number of steps. That of
# RMSProp grows with the number itself. Adam's momentum averages the gradients before it moves, so
# that it hardly sways.
#
# Who does not know how long to remember
# --------------------------------------
#
# AdaGrad forgets, too, if its parameter ``rho`` is less than 1: each occurrence of a feature leaves
# that part of the sum. With ``eta0="search"`` models that never forget and models that do learn
# side by side, and count by what they have predicted. ``mixture_weights_`` has how much each model
# counts, and ``mixture_memories_`` its ``rho``. This stream changes twice. Clicks depend on twenty
# columns of categories, a few of which are frequent and most rare. Their weights stay for 40,000
# rows, wander for as many, and stay again. Beside it is a search that is told never to forget.

rng = np.random.default_rng(2)
N_PHASE, N_COLUMNS, N_VALUES = 40_000, 20, 200
shares = 1 / np.arange(1, N_VALUES + 1) ** 1.2
values = rng.choice(N_VALUES, size=(3 * N_PHASE, N_COLUMNS), p=shares / shares.sum())
columns = (values + N_VALUES * np.arange(N_COLUMNS)).ravel()
X = sp.csr_matrix((np.ones(columns.size), columns, np.arange(0, columns.size + 1, N_COLUMNS)))
margins = X @ rng.normal(size=(X.shape[1], 2))
angle = np.clip(np.arange(len(values)) - N_PHASE, 0, N_PHASE) * 2 * np.pi / 10_000
margin = np.cos(angle) * margins[:, 0] + np.sin(angle) * margins[:, 1]
clicks = (rng.random(len(values)) < 1 / (1 + np.exp(-margin))).astype(int)

search = AdaptiveSGDClassifier(eta0="search")
models = {"search": search, "never to forget": AdaptiveSGDClassifier(eta0="search", rho=1.0)}
losses, shares = {name: [] for name in models}, []
for start in range(0, len(clicks), WINDOW):
    rows = slice(start, start + WINDOW)
    for name, model in models.items():
        if start:
            model.reset_progressive_loss()
        model.partial_fit(X[rows], clicks[rows], classes=[0, 1])
        losses[name].append(model.progressive_loss_)
    memories = search.mixture_memories_
    shares.append([search.mixture_weights_[memories == rho].sum() for rho in (0.9, 0.99, 1)])

figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
ends = np.arange(WINDOW, len(clicks) + 1, WINDOW)
axes[0].stackplot(ends, np.transpose(shares), labels=("rho = 0.9", "rho = 0.99", "never forgets"))
axes[0].set(ylabel="share of the mean of all models")
axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
for name, optimizer in zip(models, ("adam", "adagrad"), strict=True):
    axes[1].plot(ends, losses[name], label=name, color=COLOURS[optimizer])
axes[1].set(xlabel="rows", ylabel="progressive log loss")
axes[1].legend(loc="upper left")
for phase, name in enumerate(("stays", "wanders", "stays again")):
    part = slice(phase * N_PHASE // WINDOW, (phase + 1) * N_PHASE // WINDOW)
    forgetting = 1 - np.array(shares)[part, -1].mean()
    print(
        f"{name:12} models that forget {forgetting:4.0%}; "
        + ", ".join(f"{name} {np.mean(loss[part]):.3f}" for name, loss in losses.items())
    )

# %%
# While the weights stay, models that never forget have all of the weight of the mean: they predict
# better then. While they wander, short memories take turns with large rates. Weight that moves
# to the models that forget tells of a change, with no test for it and no threshold. Soon after the
# second change they are out again.

plt.show()
