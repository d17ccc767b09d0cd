"""What the defaults achieve with nothing tuned, on every development data set.

The test loss of each optimizer, of scikit-learn's SGD with its defaults and of
LogisticRegression or Ridge whose penalty is tuned by cross-validation over five strengths: log
loss for classification, 1 - R2 for regression, less is better for both. In brackets the epochs
done, of the first seed; ! where scikit-learn's SGD is better on one of them.

It needs the folder of the real data sets, any folder with a load.py of the same kind: generated
rows tell nothing about defaults.
"""

import json
import warnings
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import _data
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

REGRESSIONS = ("bike", "california", "ml100k", "loans", "kc_housing", "insteval")
SETS = (
    *("sms_spam", "mr", "clickbait", "trec6", "banking77", "adult", "frappe86k", "criteo80k"),
    *("bike", "california", "ml100k", "20news"),
    # on which the first release was not developed
    *("airline_tweets", "avazu_small", "loans", "kc_housing", "insteval"),
    *("r52", "webkb", "clinc150"),
)
# Their peers take minutes: their strength is chosen on one fold, and of the last two there is one
# seed.
ONE_FOLD = ("banking77", "criteo80k", "r52", "webkb", "20news", "clinc150")
ONE_SEED = ("20news", "clinc150")
QUICK = ("sms_spam", "trec6", "bike")
GRID = (0.01, 0.1, 1.0, 10.0, 100.0)
MULTIPLES = (1 / 9, 1 / 3, 1, 3, 9)
BATCHES = (1, 16, 256)
# How many times as large X or y is.
UNITS = (1e150, 1e3, 1, 1e-3, 1e-6, 1e-150)
PASSES = (1, 2, 3, 5)
LOSSES = ("log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron")

# What brings these columns back to the numbers that were counted or measured.
RAW_UNITS = {
    "california": (np.expm1, dict.fromkeys((522, 523, 524, 530, 531, 532), 1.0)),
    "adult": (
        np.array,
        {0: 100.0, 1: 100_000.0, 2: 5_000.0, 19: 16.0, 20: 1_000_000.0, 21: 100.0},
    ),
}


def combinations():
    """Each optimizer, exact and masked; for AdaGrad the two are one."""
    for name, spec in OPTIMIZERS.items():
        yield name, "exact"
        if spec.ages:
            yield name, "masked"


def short(optimizer, update):
    return optimizer + ("/m" if update == "masked" else "")


def make(name, **parameters):
    estimator = AdaptiveSGDRegressor if name in REGRESSIONS else AdaptiveSGDClassifier
    return estimator(**{"random_state": 0, **parameters})


def make_sgd(name, seed=0):
    if name in REGRESSIONS:
        return SGDRegressor(random_state=seed)
    return SGDClassifier(loss="log_loss", random_state=seed)


def test_loss(model, split):
    """After fitting; infinite where that overflows."""
    try:
        model.fit(split.X_train, split.y_train)
        return _data.loss_of(model, split.X_test, split.y_test)
    except ValueError:
        return np.inf


def peer_of(name):
    """The peer that is fitted to convergence, and the name of its strength."""
    if name in REGRESSIONS:
        return Ridge(), "alpha"
    return LogisticRegression(max_iter=100 if name in ONE_SEED else 300), "C"


def best_strength(name, split, n_jobs=-1):
    """Of the grid, by cross-validation."""
    peer, strength = peer_of(name)
    scoring = "r2" if name in REGRESSIONS else minus_log_loss
    folds = ShuffleSplit(1, test_size=0.2, random_state=0) if name in ONE_FOLD else 3
    search = GridSearchCV(
        peer, {strength: GRID}, scoring=scoring, cv=folds, n_jobs=n_jobs, refit=False
    )
    return search.fit(split.X_train, split.y_train).best_params_[strength]


def minus_log_loss(model, X, y):
    """Of rows whose class the model has seen."""
    known = np.isin(y, model.classes_)
    return -_data.loss_of(model, X[known], y[known])


class References:
    """The losses of the peers, kept in a file where one is given, as they take longest.

    The strength of the penalty is that of the first seed.
    """

    def __init__(self, arguments):
        self._path = arguments.peers
        self._kept = {}
        if self._path is not None and self._path.exists():
            self._kept = json.loads(self._path.read_text())

    def of(self, name, seed, split):
        """Of the tuned model, and of scikit-learn's SGD."""
        if name not in self._kept:
            self._keep(name, best_strength(name, split))
        key = f"{name}/{seed}"
        if key not in self._kept:
            peer, strength = peer_of(name)
            peer.set_params(**{strength: self._kept[name]})
            losses = test_loss(peer, split), test_loss(make_sgd(name, seed), split)
            self._keep(key, losses)
        return self._kept[key]

    def _keep(self, key, value):
        self._kept[key] = value
        if self._path is not None:
            self._path.write_text(json.dumps(self._kept, indent=1))


def row(*cells, widths=(14, 10)):
    """Print a row of a Markdown table."""
    first, *others = (str(cell) for cell in cells)
    padded = [first.ljust(widths[0]), *(cell.rjust(widths[1]) for cell in others)]
    print("| " + " | ".join(padded) + " |", flush=True)


def head(*cells):
    row(*cells)
    print("|" + "---|" * len(cells))


def seeds_of(name, arguments):
    return (0,) if name in ONE_SEED else range(1 if arguments.quick else arguments.seeds)


# -- the panel --


def compare(arguments, chosen):
    """Every optimizer beside the peers."""
    references = References(arguments)
    names = [short(*one) for one in combinations()]
    head("loss", "tuned", "SGD", *names)
    excess, better = [], []
    for name in chosen:
        losses, epochs = [], [[] for _ in names]
        for seed in seeds_of(name, arguments):
            _, split = _data.load_split(name, arguments, seed)
            of_seed = list(references.of(name, seed, split))
            for k, (optimizer, update) in enumerate(combinations()):
                model = make(name, optimizer=optimizer, sparse_update=update, random_state=seed)
                of_seed.append(test_loss(model, split))
                epochs[k].append(model.n_iter_)
            losses.append(of_seed)
        losses = np.array(losses)
        excess.append(100 * (losses / losses[:, :1] - 1).mean(axis=0))
        mean = losses.mean(axis=0)
        # on each seed
        better.append((losses < losses[:, [1]]).all(axis=0))
        cells = [f"{loss:.4f}" for loss in mean[:2]]
        for k, loss in enumerate(mean[2:]):
            cells.append(f"{loss:.4f}{'' if better[-1][k + 2] else '!'} ({epochs[k][0]})")
        row(name, *cells)
    print("\nExcess over the tuned model, %\n")
    head("", "SGD", *names)
    excess = np.array(excess)[:, 1:]
    for name, values in zip(chosen, excess, strict=True):
        row(name, *(f"{value:+.1f}" for value in values))
    row("mean", *(f"{value:+.1f}" for value in excess.mean(axis=0)))
    row("median", *(f"{value:+.1f}" for value in np.median(excess, axis=0)))
    row("worst", *(f"{value:+.1f}" for value in excess.max(axis=0)))
    counts = np.array(better).sum(axis=0)[1:]
    row("beats SGD", *(f"{count}/{len(chosen)}" for count in counts))


# -- how the constants of the rules were chosen --


def leave_one_out(arguments, chosen):
    """AdaGrad: constants chosen on all sets but one, judged on that one."""
    references = References(arguments)
    candidates = list(product((0.5, 1, 2), (0.01, 0.1, 1, 10)))
    print("excess over the tuned model, %, at multiples of the automatic eta0, eps\n")
    head("", *(f"{rate:g}, {eps:g}" for rate, eps in candidates))
    excess = []
    for name in chosen:
        values = []
        for seed in seeds_of(name, arguments):
            _, split = _data.load_split(name, arguments, seed)
            tuned, _ = references.of(name, seed, split)
            auto = automatic(name, split)
            losses = []
            for rate, eps in candidates:
                # eps as a number beside eta0 would leave the intercept and alpha their units
                with automatic_eps_times(eps):
                    model = make(name, random_state=seed, eta0=rate * auto.eta0_)
                    losses.append(test_loss(model, split))
            values.append(100 * (np.array(losses) / tuned - 1))
        excess.append(np.mean(values, axis=0))
        row(name, *(f"{value:+.1f}" for value in excess[-1]))
    excess = np.array(excess)
    row("mean", *(f"{value:+.1f}" for value in excess.mean(axis=0)))
    row("worst", *(f"{value:+.1f}" for value in excess.max(axis=0)))
    print("\nThe constants with the least mean on the other sets, and what they do on the one\n")
    head("left out", "eta0, eps", "excess, %", "default, %")
    default = candidates.index((1, 1))
    for k, name in enumerate(chosen):
        best = int(np.delete(excess, k, axis=0).mean(axis=0).argmin())
        rate, eps = candidates[best]
        cells = f"{rate:g}, {eps:g}", f"{excess[k, best]:+.1f}", f"{excess[k, default]:+.1f}"
        row(name, *cells)


@contextmanager
def automatic_eps_times(factor):
    """Let AdaGrad's automatic eps be so many times as large."""
    spec = OPTIMIZERS["adagrad"]
    OPTIMIZERS["adagrad"] = replace(
        spec, eps={update: factor * value for update, value in spec.eps.items()}
    )
    try:
        yield
    finally:
        OPTIMIZERS["adagrad"] = spec


def automatic(name, split, **parameters):
    """A model that has chosen eta0 and eps, after one epoch."""
    return make(name, **{"max_iter": 1, "tol": None, **parameters}).fit(
        split.X_train, split.y_train
    )


def multiples(arguments, chosen):
    """Every optimizer at multiples of the automatic rate."""
    head("loss", "", *(f"x {value:.3g}" for value in MULTIPLES))
    for name in chosen:
        _, split = _data.load_split(name, arguments)
        for optimizer, update in combinations():
            parameters = {"optimizer": optimizer, "sparse_update": update}
            auto = automatic(name, split, **parameters)
            cells = []
            for multiple in MULTIPLES:
                model = make(name, **parameters, eta0=multiple * auto.eta0_)
                loss = test_loss(model, split)
                cells.append(f"{loss:.4f} ({model.n_iter_})" if loss < np.inf else "overflow")
            row(name, short(optimizer, update), *cells)


def batches(arguments, chosen):
    """Every optimizer with mini-batches and the same automatic rate."""
    head("loss", "batch size", *(short(*one) for one in combinations()))
    for name, batch_size in product(chosen, BATCHES):
        _, split = _data.load_split(name, arguments)
        losses = [
            test_loss(
                make(name, optimizer=optimizer, sparse_update=update, batch_size=batch_size), split
            )
            for optimizer, update in combinations()
        ]
        row(name, batch_size, *(f"{loss:.4f}" for loss in losses))


def raw(arguments, chosen):
    """Numbers as they were measured, with and without normalize."""
    head("loss", "", "SGD", *(short(*one) for one in combinations()))
    for name in chosen:
        _, split = _data.load_split(name, arguments)
        kinds = [("as given", split)]
        if name in RAW_UNITS:
            kinds.append(
                (
                    "raw",
                    split._replace(
                        **{
                            key: in_raw_units(name, getattr(split, key))
                            for key in ("X_train", "X_test")
                        }
                    ),
                )
            )
        for (kind, rows), normalize in product(kinds, (False, True)):
            losses = [] if normalize else [test_loss(make_sgd(name), rows)]
            for optimizer, update in combinations():
                parameters = {"optimizer": optimizer, "sparse_update": update}
                losses.append(test_loss(make(name, normalize=normalize, **parameters), rows))
            cells = [f"{loss:.4g}" for loss in losses]
            row(name, *([f"{kind}, normalize", ""] if normalize else [kind]), *cells)


def in_raw_units(name, X):
    function, columns = RAW_UNITS[name]
    X = X.tocsc(copy=True)
    for column, factor in columns.items():
        entries = slice(X.indptr[column], X.indptr[column + 1])
        X.data[entries] = factor * function(X.data[entries])
    return X.tocsr()


def units(arguments, chosen):
    """Every optimizer where X, y or the sample weights are in other units."""
    head("loss", "times", *(f"{unit:g}" for unit in UNITS))
    for name, (optimizer, update) in product(chosen, combinations()):
        _, split = _data.load_split(name, arguments)
        cells = []
        for unit in UNITS:
            rows = split._replace(X_train=unit * split.X_train, X_test=unit * split.X_test)
            cells.append(test_loss(make(name, optimizer=optimizer, sparse_update=update), rows))
        row(name, f"X, {short(optimizer, update)}", *(f"{loss:.4f}" for loss in cells))
        if name in REGRESSIONS:
            cells = []
            for unit in UNITS:
                model = make(name, optimizer=optimizer, sparse_update=update)
                model.fit(split.X_train, unit * split.y_train)
                predicted = model.predict(split.X_test) / unit
                cells.append(1 - r2_score(split.y_test, predicted))
            row(name, f"y, {short(optimizer, update)}", *(f"{loss:.4f}" for loss in cells))


def passes(arguments, chosen):
    """Every optimizer after few passes, at multiples of the rate that suits many."""
    head("loss", "passes", *(f"x {value:.3g}" for value in MULTIPLES))
    for name, (optimizer, update) in product(chosen, combinations()):
        _, split = _data.load_split(name, arguments)
        parameters = {"optimizer": optimizer, "sparse_update": update, "tol": None}
        auto = automatic(name, split, **parameters)
        for n_passes in PASSES:
            models = [
                make(name, max_iter=n_passes, **parameters, eta0=value * auto.eta0_)
                for value in MULTIPLES
            ]
            cells = [f"{test_loss(model, split):.4f}" for model in models]
            row(name, f"{n_passes}, {short(optimizer, update)}", *cells)


def losses(arguments, chosen):
    """Test accuracy by loss: SGD's defaults / AdaGrad / exact Adam."""
    head("accuracy", *LOSSES)
    for name in chosen:
        _, split = _data.load_split(name, arguments)
        cells = []
        for loss in LOSSES:
            models = [make_sgd(name).set_params(loss=loss), make(name, loss=loss)]
            models.append(make(name, loss=loss, optimizer="adam"))
            scores = [
                model.fit(split.X_train, split.y_train).score(split.X_test, split.y_test)
                for model in models
            ]
            cells.append(" / ".join(f"{score:.3f}" for score in scores))
        row(name, *cells)


KINDS = {
    "panel": (compare, SETS),
    "leave-one-out": (leave_one_out, SETS),
    "multiples": (multiples, SETS),
    "batches": (batches, ("sms_spam", "mr", "adult", "frappe86k", "bike", "california")),
    "losses": (losses, ("sms_spam", "mr", "clickbait", "adult", "trec6")),
    "units": (units, ("trec6", "bike", "california")),
    "passes": (passes, ("sms_spam", "mr", "adult", "criteo80k", "bike", "california")),
    "raw": (raw, ("california", "adult", "bike", "mr", "sms_spam", "trec6")),
}


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="+", help=f"names of data sets ({', '.join(SETS)})")
    parser.add_argument("--seeds", type=int, default=3, help="how many, of split and order")
    parser.add_argument(
        "--peers", type=Path, metavar="FILE", help="where the losses of the peers are kept"
    )
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="panel",
        help="; ".join(f"{name}: {function.__doc__}" for name, (function, _) in KINDS.items()),
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error(f"give the folder of the data by --data or {_data.FOLDER_VARIABLE}")
    function, sets = KINDS[arguments.kind]
    warnings.simplefilter("ignore")  # of convergence: the epochs are in the table
    function(arguments, arguments.sets or (QUICK if arguments.quick else sets))


if __name__ == "__main__":
    main()
