"""How figures look: no background, and colours that are readable on white and on black."""

TEXT = "#787878"
# This package, what it is compared with, others.
COLOURS = {"ours": "#2f83c9", "base": "#d9595f", "peer": "#8b949e"}
# Okabe and Ito's, which colour-blind readers can tell apart; and more, for thin lines.
FEW = ("#2f83c9", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#9467bd")
MANY = ("#1b9e77", "#d95f02", "#8580c3", "#e7298a", "#66a61e", "#c99700", "#a6761d", "#808080")
STYLE = {
    "axes.edgecolor": TEXT,
    "axes.facecolor": "none",
    "axes.labelcolor": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
}


def pyplot():
    """matplotlib.pyplot in this style, for files."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    import matplotlib.pyplot as plt

    return plt


def save(figure, path):
    """An SVG, of the same bytes for the same figure; the figure is closed."""
    plt = pyplot()
    with plt.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
