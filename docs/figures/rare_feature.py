"""The weight of a rare feature under Adam: by the textbook, lazy and exact, and masked.

The front page draws it. For the README, in a checkout:
`PYTHONPATH=tests python docs/figures/rare_feature.py docs/figures/rare_feature.svg`.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import reference  # the dense algorithms, of the tests
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier

N_ROWS, N_FEATURES, ETA0, EPS = 600, 30, 0.02, 1e-8
OCCURS = [20, 34, 150, 290, 300, 480]

rng = np.random.default_rng(3)
X = (rng.random((N_ROWS, N_FEATURES)) < 0.2).astype(float)
X[:, 0] = 0
X[OCCURS, 0] = 1
y = np.where(X @ rng.normal(size=N_FEATURES) + rng.normal(size=N_ROWS) > 0, 1, -1)
y[OCCURS] = [1, 1, -1, 1, 1, 1]
rows = sp.csr_matrix(X)

step = reference.adam(N_FEATURES + 1, N_FEATURES, eps=EPS, beta_1=0.9, beta_2=0.999)
textbook = [
    weights[0, 0]
    for weights in reference.train(
        step, X, y, "log_loss", lambda t: ETA0, record=range(1, N_ROWS + 1)
    )
]


def weight_after_each_row(sparse_update):
    model = AdaptiveSGDClassifier(
        optimizer="adam", penalty=None, eta0=ETA0, eps=EPS, sparse_update=sparse_update
    )
    weights = []
    for i in range(N_ROWS):
        model.partial_fit(rows[i], y[i : i + 1], classes=[-1, 1])
        weights.append(model.coef_[0, 0])
    return weights


exact, masked = weight_after_each_row("exact"), weight_after_each_row("masked")
assert np.allclose(exact, textbook, rtol=1e-10, atol=1e-12)

# no background, and colours that are readable on white and on black
GREY, BLUE, RED, TEXT = "#8b949e", "#2f83c9", "#d9595f", "#787878"
for name in ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"):
    plt.rcParams[name] = TEXT
for name in ("axes.facecolor", "figure.facecolor", "savefig.facecolor"):
    plt.rcParams[name] = "none"
figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
axes.plot(
    textbook, color=GREY, alpha=0.5, linewidth=7, label="textbook: every weight moves at every step"
)
axes.plot(exact, color=BLUE, linewidth=1.8, label="lazy and exact: the row's weights only")
axes.plot(masked, "--", color=RED, linewidth=1.8, label="masked, as torch's SparseAdam")
bottom = min(*exact, *masked) - 0.06
axes.plot(OCCURS, [bottom] * len(OCCURS), "|", color=TEXT, markersize=12, markeredgewidth=2)
axes.text(OCCURS[2] + 12, bottom, "a row has the feature", va="center", fontsize=9)
axes.set(xlabel="row", ylabel="weight", xlim=(0, N_ROWS))
axes.legend(frameon=False, loc="upper left")
axes.spines[["top", "right"]].set_visible(False)

if len(sys.argv) > 1:
    # the same bytes each time
    plt.rcParams["svg.hashsalt"] = "rare feature"
    figure.savefig(sys.argv[1], metadata={"Date": None, "Creator": None})
