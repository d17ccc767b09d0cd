"""What examples share: how their figures look, paths of full batches, and the shipped messages."""

import gzip
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from matplotlib import cycler

from sk_adaptive import AdaptiveSGDRegressor

# Okabe and Ito's colours, which colour-blind readers can tell apart. Figures have no background,
# and all colours are readable on white and on black.
COLOURS = {
    "adagrad": "#2f83c9",
    "rmsprop": "#E69F00",
    "adam": "#009E73",
    "adamw": "#CC79A7",
    "ftrl": "#56B4E9",
    "sgd": "#8b949e",
    "accent": "#D55E00",
    "text": "#787878",
}
NAMES = {
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
    "ftrl": "FTRL-Proximal",
    "sgd": "plain SGD",
}


def use_style():
    """Let figures look alike."""
    of_text = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    of_no_colour = ("axes.facecolor", "figure.facecolor", "savefig.facecolor")
    plt.rcParams.update(
        dict.fromkeys(of_text, COLOURS["text"])
        | dict.fromkeys(of_no_colour, "none")
        | {
            "axes.prop_cycle": cycler(color=COLOURS.values()),
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 12,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 11,
            "grid.alpha": 0.3,
            "grid.color": COLOURS["text"],
            "legend.frameon": False,
            "legend.fontsize": 10,
            "lines.linewidth": 1.8,
        }
    )


def path_of(optimizer, eta0, X, y, n_steps):
    """Two coefficients of least squares before the first step and after each, on all rows."""
    path = np.zeros((n_steps + 1, 2))
    rows = sp.csr_matrix(X)  # which a call checks faster than an array
    model = AdaptiveSGDRegressor(
        optimizer=optimizer,
        eta0=eta0,
        eps=1e-8,
        batch_size=len(y),
        fit_intercept=False,
        penalty=None,
    )
    for step in range(n_steps):
        if optimizer == "sgd":
            path[step + 1] = path[step] - eta0 * X.T @ (X @ path[step] - y) / len(y)
        else:
            path[step + 1] = model.partial_fit(rows, y).coef_
    return path


def read_messages():
    """The texts of the SMS Spam Collection, and 1 for each that is spam."""
    path = Path(__file__).parent / "data" / "sms_spam.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t", 2) for line in file]
    return [row[2] for row in rows], np.array([int(row[1]) for row in rows])
