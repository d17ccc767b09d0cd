"""What the examples share: how their figures look, and the messages that come with them."""

import gzip
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cycler

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = {
    "adagrad": "#0072B2",
    "rmsprop": "#E69F00",
    "adam": "#009E73",
    "adamw": "#CC79A7",
    "sgd": "#595959",
    "accent": "#D55E00",
}
NAMES = {
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "plain SGD",
}


def use_style():
    """Let figures look alike."""
    plt.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=COLOURS.values()),
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 12,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 11,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "lines.linewidth": 1.8,
        }
    )


def read_messages():
    """The texts of the SMS Spam Collection, and 1 for each that is spam."""
    path = Path(__file__).parent / "data" / "sms_spam.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t", 2) for line in file]
    return [row[2] for row in rows], np.array([int(row[1]) for row in rows])
