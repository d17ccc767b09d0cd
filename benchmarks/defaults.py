"""What the defaults achieve with nothing tuned, on every development data set.

The test loss of each optimizer, of scikit-learn's SGD with its defaults and of
LogisticRegression or Ridge with its penalty tuned on a part of the training rows: log loss for
classification, 1 - R2 for regression, less is better for both. In brackets the epochs.

It needs the folder of the real data sets: generated rows tell nothing about defaults.
"""

import warnings

import _data
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import train_test_split

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive._registry import OPTIMIZERS

REGRESSIONS = ("bike", "california", "ml100k")
SETS = (
    *("sms_spam", "mr", "clickbait", "trec6", "banking77", "adult", "frappe86k", "criteo80k"),
    *REGRESSIONS,
)
QUICK = ("sms_spam", "trec6", "bike")
GRID = (0.01, 0.1, 1.0, 10.0, 100.0)
MULTIPLES = (1 / 9, 1 / 3, 1, 3, 9)


def tuned_linear_model(is_regression, X, y):
    """The peer that is fitted to convergence, with the best penalty of the grid."""
    X_fit, X_val, y_fit, y_val = train_test_split(
        X, y, test_size=0.2, random_state=0, stratify=None if is_regression else y
    )

    def make(value):
        if is_regression:
            return Ridge(alpha=value)
        return LogisticRegression(C=value, max_iter=300, tol=1e-6)

    losses = [_data.loss_of(make(value).fit(X_fit, y_fit), X_val, y_val) for value in GRID]
    return make(GRID[int(np.argmin(losses))]).fit(X, y)


def combinations():
    """Each optimizer, exact and masked; for AdaGrad the two are one."""
    for name, spec in OPTIMIZERS.items():
        yield name, "exact"
        if spec.forgets:
            yield name, "masked"


def show(cells, width=13):
    print(f"{cells[0]:11}" + "".join(f"{cell:>{width}}" for cell in cells[1:]), flush=True)


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="+", help=f"names of data sets ({', '.join(SETS)})")
    parser.add_argument(
        "--multiples",
        action="store_true",
        help="instead: the loss at 1/9, 1/3, 1, 3 and 9 times the automatic rate",
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error(f"give the folder of the data by --data or {_data.FOLDER_VARIABLE}")
    chosen = arguments.sets or (QUICK if arguments.quick else SETS)
    warnings.simplefilter("ignore")  # of convergence: the epochs are in the table
    (multiples if arguments.multiples else compare)(arguments, chosen)


def estimators(name):
    if name in REGRESSIONS:
        return AdaptiveSGDRegressor, SGDRegressor(random_state=0)
    return AdaptiveSGDClassifier, SGDClassifier(loss="log_loss", random_state=0)


def compare(arguments, chosen):
    short = [f"{name}{'/m' if update == 'masked' else ''}" for name, update in combinations()]
    show(["/m: masked", "tuned", "SGD", *short])
    excess = []
    for name in chosen:
        _, (X_train, y_train, X_test, y_test) = _data.load_split(name, arguments)
        make, sgd = estimators(name)
        sgd.fit(X_train, y_train)
        losses = [
            _data.loss_of(
                tuned_linear_model(name in REGRESSIONS, X_train, y_train), X_test, y_test
            ),
            _data.loss_of(sgd, X_test, y_test),
        ]
        epochs = [None, sgd.n_iter_]
        for optimizer, update in combinations():
            model = make(optimizer=optimizer, sparse_update=update, random_state=0)
            model.fit(X_train, y_train)
            losses.append(_data.loss_of(model, X_test, y_test))
            epochs.append(model.n_iter_)
        excess.append([100 * (loss / losses[0] - 1) for loss in losses])
        cells = [
            f"{loss:.4f}" + (f" ({n})" if n else "") for loss, n in zip(losses, epochs, strict=True)
        ]
        show([name, *cells])
    print("Excess over the tuned model, %")
    excess = np.array(excess)
    show(["mean", *(f"{value:+.1f}" for value in excess.mean(axis=0))])
    show(["median", *(f"{value:+.1f}" for value in np.median(excess, axis=0))])
    worst = excess.argmax(axis=0)
    show(["worst", *(f"{excess[row, k]:+.1f}" for k, row in enumerate(worst))])
    show(["on", *("" if k == 0 else chosen[row] for k, row in enumerate(worst))])
    better = (excess < excess[:, [1]]).sum(axis=0)
    show(["beats SGD", *(f"{count}/{len(chosen)}" for count in better)])


def multiples(arguments, chosen):
    print("Test loss at multiples of the automatic rate")
    show(["", "", "", *(f"x {value:.3g}" for value in MULTIPLES)])
    for name in chosen:
        _, (X_train, y_train, X_test, y_test) = _data.load_split(name, arguments)
        make, _ = estimators(name)
        for optimizer, update in combinations():
            parameters = {"optimizer": optimizer, "sparse_update": update, "random_state": 0}
            auto = make(**parameters).partial_fit(
                X_train,
                y_train,
                # no row has weight: it only chooses the rate and the start
                sample_weight=np.zeros(len(y_train)),
                **({} if name in REGRESSIONS else {"classes": np.unique(y_train)}),
            )
            cells = []
            for multiple in MULTIPLES:
                model = make(**parameters, eta0=multiple * auto.eta0_)
                try:
                    model.fit(X_train, y_train, intercept_init=auto.intercept_)
                    cells.append(f"{_data.loss_of(model, X_test, y_test):.4f} ({model.n_iter_})")
                except ValueError:
                    cells.append("overflow")
            show([name, optimizer, update, *cells])


if __name__ == "__main__":
    main()
