"""
Click-through: learning a stream
================================

Clicks on advertisements come as a stream: categories of up to a million values, most of them
rare, and customs that change. Each row is hashed to a fixed number of features, predicted and
then learned, once. The loss of these predictions, the progressive loss, is that of a model that
is always up to date. Beside it are models that learn in batches: one that learns the first
quarter well, and stays as it is; and one that learns all rows so far anew after each quarter.

The rows are generated in the shape of Criteo's by ``click_through.py``, the script beside this
one, which also reads files in Criteo's format or svmlight's. ``python plot_click_through.py
FILE`` draws the same for a file.
"""

import sys
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, use_style
from click_through import encoder, generate_rows, read_file
from sklearn.base import clone
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier

use_style()
N_ROWS, CHUNK, WINDOW = 40_000, 1000, 2500
streams = {
    "customs stay": ("categories", generate_rows(N_ROWS, drift=0, seed=0)),
    "customs change": ("categories", generate_rows(N_ROWS, drift=np.pi / 3, seed=0)),
}
if len(sys.argv) > 1:
    streams = {sys.argv[1]: read_file(Path(sys.argv[1]))}

# %%
# Learning
# --------
#
# ``partial_fit`` takes a thousand rows at a time, from which ``eta0="auto"`` finds the rate.
# SGDClassifier needs a rate that suits: 0.01 is the best of a few for these rows. The strength of
# the penalty of LogisticRegression is the best of three.

online_models = {
    "AdaGrad": (AdaptiveSGDClassifier(), COLOURS["adagrad"], "-"),
    "Adam, masked": (
        AdaptiveSGDClassifier(optimizer="adam", sparse_update="masked"),
        COLOURS["adam"],
        "-",
    ),
    "SGDClassifier, rate chosen": (
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0),
        COLOURS["sgd"],
        "-",
    ),
}
batch_model = LogisticRegression(C=0.03, solver="liblinear", tol=0.05)


def predict_then_learn(model, X, y):
    """The predicted probabilities of all rows, each before it was learned."""
    probability = np.full(len(y), 0.5)
    for start in range(0, len(y), CHUNK):
        rows = slice(start, start + CHUNK)
        if start:
            probability[rows] = model.predict_proba(X[rows])[:, 1]
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
    return probability


def predict_in_batches(X, y):
    """Those of a model that has learned the first quarter, and of one that learns each quarter."""
    once, anew = np.full((2, len(y)), np.nan)
    for end in len(y) * np.arange(1, 4) // 4:
        anew[end:] = batch_model.fit(X[:end], y[:end]).predict_proba(X[end:])[:, 1]
        if np.isnan(once).all():
            once[:] = anew
    return once, anew


results = {}
for title, (kind, stream) in streams.items():
    labels, rows = zip(*islice(stream, N_ROWS), strict=True)
    X = encoder(kind, 2**18)(rows)
    y = np.array(labels)
    probabilities = {
        name: predict_then_learn(clone(model), X, y) for name, (model, *_) in online_models.items()
    }
    once, anew = predict_in_batches(X, y)
    probabilities |= {"batch, once": once, "batch, each quarter": anew}
    results[title] = y, probabilities

# %%
# Loss
# ----
#
# Losses of clicks depend on how many there are. So each is divided by the loss of predicting the
# share of clicks in the same window of rows.

styles = {name: (colour, style) for name, (_, colour, style) in online_models.items()}
styles["batch, once"] = (COLOURS["accent"], "--")
styles["batch, each quarter"] = (COLOURS["accent"], "-")
figure, axes = plt.subplots(1, len(results), figsize=(10, 4.5), sharey=True, squeeze=False)
for axis, (title, (y, probabilities)) in zip(axes[0], results.items(), strict=True):
    starts = np.arange(0, len(y) - WINDOW + 1, WINDOW)
    print(f"{title}: {y.mean():.1%} clicks; relative log loss of the second half")
    for name, probability in probabilities.items():
        relative = []
        for start in starts:
            rows = slice(start, start + WINDOW)
            constant = np.full(WINDOW, y[rows].mean())
            known = not np.isnan(probability[start])
            loss = log_loss(y[rows], probability[rows]) if known else np.nan
            relative.append(loss / log_loss(y[rows], constant))
        colour, style = styles[name]
        axis.plot((starts + WINDOW / 2) / 1000, relative, style, color=colour, label=name)
        print(f"  {name:27}{np.mean(relative[len(starts) // 2 :]):.4f}")
    axis.axhline(1, color=COLOURS["text"], linewidth=0.8, linestyle=":")
    axis.set(title=title, xlabel="rows (thousands)")
axes[0, 0].set_ylabel("log loss relative to a constant's")
axes[0, 0].legend()

# %%
# Where customs stay, learning all rows anew is best, if only by a little, and at the cost of many
# passes. AdaGrad, with nothing tuned, comes next. Where they change, a model that was good once is
# soon no better than a constant, and one that treats all rows alike carries old customs along: all
# that learn the stream beat it, those that forget (masked Adam, and plain SGD with a rate that
# suits) by a little more than AdaGrad.
#
# Calibration
# -----------
#
# What is bid for an advertisement is the probability of a click times its worth: it has to be
# right, not only its order. Of the second half of the rows, ten groups of growing predictions,
# and the share of clicks in each.

figure, axes = plt.subplots(1, len(results), figsize=(10, 4.8), sharey=True, squeeze=False)
for axis, (title, (y, probabilities)) in zip(axes[0], results.items(), strict=True):
    half = len(y) // 2
    for name, probability in probabilities.items():
        if name == "batch, each quarter":
            continue
        share, predicted = calibration_curve(
            y[half:], probability[half:], n_bins=10, strategy="quantile"
        )
        colour, style = styles[name]
        axis.plot(predicted, share, "o" + style, color=colour, label=name, markersize=5)
        print(f"{title}, {name}: off by {np.abs(share - predicted).mean():.3f} on average")
    axis.plot([0, 0.6], [0, 0.6], color=COLOURS["text"], linewidth=0.8, linestyle=":")
    axis.set(
        title=title, xlabel="predicted probability", xlim=(0, 0.6), ylim=(0, 0.6), aspect="equal"
    )
axes[0, 0].set_ylabel("share of clicks")
axes[0, 0].legend(loc="upper left")

# %%
# The model that learned once gives the old answers. AdaGrad's predictions are right where customs
# stay, and nearly so where they change, as are those of plain SGD with a rate that suits. Masked
# Adam's are a little too timid: its automatic rate is meant for more than one pass.

plt.show()
