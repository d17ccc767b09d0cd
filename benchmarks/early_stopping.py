"""Where early stopping stops, and how good the epoch is whose weights it returns.

Two ways to validate: on a tenth of the training rows held out at random, and on rows given as
X_val, here the last tenth of the training rows, which is what one has of a stream. For some
optimizers, with the automatic learning rate and a fourth of it, the default tol and a tenth of it:
the epoch of the least test log loss in the same run, if it went on; after which epoch it stops;
and which one it returns. 'regret' is how much more the test loss of that one is, in %.

With --out FOLDER, and matplotlib, there is a plot of the test loss after each epoch,
early_stopping.svg.
"""

import warnings
from pathlib import Path

import _data
import numpy as np
from _figures import COLOURS, pyplot, save
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier

METHODS = (("adagrad", "exact"), ("adam", "masked"), ("adam", "exact"))
MULTIPLES = (1.0, 0.25)
TOLS = (1.0, 0.1)  # times the default
WAYS = {"held out": COLOURS["ours"], "X_val": COLOURS["base"]}


def run(model, way, split, n_epochs):
    """The test loss after each epoch; for each tol where it stops and what it returns."""
    X, y = split.X_train, split.y_train
    rows, validation = slice(None), {}
    if way == "X_val":
        n_fit = X.shape[0] - X.shape[0] // 10
        rows, validation = slice(n_fit), {"X_val": X[n_fit:], "y_val": y[n_fit:]}
    losses = []

    def watch(model, *_):
        losses.append(log_loss(split.y_test, model.predict_proba(split.X_test)))
        return 0.0

    model.set_params(scoring=watch, tol=None, max_iter=n_epochs)
    model.fit(X[rows], y[rows], **validation)
    stops = []
    for factor in TOLS:
        model.set_params(scoring="loss", tol=factor * AdaptiveSGDClassifier().tol)
        model.fit(X[rows], y[rows], **validation)
        stops.append((model.tol, model.n_iter_, model.best_iteration_))
    return np.array(losses), stops


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to put the plot")
    parser.add_argument("--set", default="criteo80k", help="name of the data set")
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of convergence: it is in the table
    name, split = _data.load_split(arguments.set, arguments)
    print(f"{name}: {split.X_train.shape[0]} training rows, up to {arguments.epochs} epochs")
    cells = ("", "rate", "best epoch", "tol", "stops after", "returns", "its loss", "regret %")
    print(f"{cells[0]:24}" + "".join(f"{cell:>12}" for cell in cells[1:]))
    shown = []
    for optimizer, sparse_update in METHODS:
        parameters = {"optimizer": optimizer, "sparse_update": sparse_update}
        model = AdaptiveSGDClassifier(
            early_stopping=True, refit=False, random_state=0, **parameters
        )
        rate = _data.automatic_rate(model, split.X_train, split.y_train)
        for multiple in MULTIPLES:
            model.set_params(eta0=multiple * rate)
            title = f"{optimizer}, {sparse_update}, rate {multiple * rate:.3g}"
            for way in WAYS:
                losses, stops = run(model, way, split, arguments.epochs)
                shown.append((title, way, losses, stops))
                best = int(losses.argmin()) + 1
                for tol, n_iter, returned in stops:
                    loss = losses[returned - 1]
                    print(
                        f"{f'{optimizer}, {sparse_update}, {way}':24}{multiple * rate:12.3g}"
                        f"{best:12}{tol:12.3g}{n_iter:12}{returned:12}{loss:12.4f}"
                        f"{100 * (loss / losses.min() - 1):12.2f}",
                        flush=True,
                    )
    if arguments.out is not None:
        plot(name, shown, arguments.out / "early_stopping.svg")


def plot(name, shown, path):
    try:
        plt = pyplot()
    except ImportError as error:
        print(f"no plot: {error}")
        return
    titles = list(dict.fromkeys(title for title, *_ in shown))
    figure, axes = plt.subplots(
        len(MULTIPLES), len(METHODS), figsize=(9, 5.4), layout="constrained", squeeze=False
    )
    for title, axis in zip(titles, axes.T.ravel(), strict=True):
        for of, way, losses, stops in shown:
            if of != title:
                continue
            colour = WAYS[way]
            axis.plot(np.arange(1, losses.size + 1), losses, color=colour, linewidth=1)
            for (tol, n_iter, returned), fill in zip(stops, (colour, "none"), strict=True):
                axis.axvline(n_iter, color=colour, linestyle=":", linewidth=1)
                axis.plot(
                    *(returned, losses[returned - 1], "o"),
                    color=colour,
                    markerfacecolor=fill,
                    markersize=6 if fill == colour else 10,
                    zorder=3 if fill == colour else 2,
                    label=f"{way}, tol={tol:g}",
                )
        axis.set_title(title, fontsize=9)
        # of the first epochs, which may be far off, and of the last
        low = min(losses.min() for of, _, losses, _ in shown if of == title)
        axis.set_ylim(low - 0.005, low + 0.06)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"test log loss, {name}")
    axes[0, 0].legend()
    save(figure, path)
    print(f"# {path}")


if __name__ == "__main__":
    main()
