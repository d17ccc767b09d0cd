"""One pass with nothing tuned: the progressive loss beside that of each rate, and of peers.

Each row is predicted and then learned, in a random order. The first table has the mean log loss
of these predictions: with eta0="auto"; with eta0="search"; with the best of the models that
"search" has side by side, each in a run of its own, and what "search" loses beside it; with river's
LogisticRegression; with Vowpal Wabbit's default rule, --coin and --ftrl, and "search" beside the
best of these. The second table has the loss of every model: its rate and eps as multiples of the
automatic ones, and its rho if that is not the default. The first call has 500 rows, which tell the
automatic rate.

"drift" are generated clicks whose weights are others from the middle on. There the losses are
those of the second half. In "gradual" the weights turn by a right angle. elec2, spam_stream and
vehicle_fraud are streams in their own order, which only the folder of data sets has.

Phishing and Bananas come with river, which has them behind a StandardScaler, too; beside that
stands normalize=True. A library that is not installed has a - in its column.

With --growing: microseconds a row of a stream whose classes appear one after the other, of a model
that is told all of them at the start, and of one with classes="grow". Coefficients of one-vs-rest
are compared, too: they are to be the same bits.

With --cost: nanoseconds an entry of one rate and of "search", on generated clicks and text, the
least of some turns, in processor time.
"""

import time
from itertools import pairwise, product

import _data
import numpy as np
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS

SETS = ("sms_spam", "mr", "clickbait", "adult", "frappe86k", "criteo80k")
OF_RIVER = ("Phishing", "Bananas")
ORDERED = ("elec2", "spam_stream", "vehicle_fraud")
FIRST_ROWS = 500
RULES = ("", "--coin", "--ftrl")


def drifting_clicks(quick, at_once=True):
    """Rows and labels; the weights change in the middle, at once, or turn all the time."""
    n_rows, n_features = (2000, 1 << 12) if quick else (80_000, 1 << 16)
    X, _ = _data.click_like(n_rows, n_features)
    rng = np.random.default_rng(1)
    weights = rng.normal(scale=2 / np.sqrt(34), size=(n_features, 2))
    margins = X @ weights
    turn = np.arange(n_rows) / n_rows
    angle = np.pi / 2 * (turn >= 0.5 if at_once else turn)
    margin = np.cos(angle) * margins[:, 0] + np.sin(angle) * margins[:, 1] - 0.5
    return X, (rng.random(n_rows) < 1 / (1 + np.exp(-margin))).astype(np.int64)


def rows_of_river(name):
    """Rows and labels in their order, or None where river is missing."""
    try:
        from river import datasets
    except ImportError:
        return None
    rows, labels = zip(*getattr(datasets, name)(), strict=True)
    names = sorted(rows[0])
    X = np.array([[row[column] for column in names] for row in rows], np.float64)
    return sp.csr_matrix(X), np.array(labels, np.int64)


# -- learners: the mean loss of the rows from a place on --


def ours(X, y, after, **parameters):
    """The mean loss, and the model. Infinite if a step would have overflowed."""
    model = AdaptiveSGDClassifier(**parameters)
    bounds = sorted({0, FIRST_ROWS, after, len(y)})
    for start, stop in pairwise(bounds):
        if start == after > 0:
            model.reset_progressive_loss()
        classes = {"classes": [0, 1]} if start == 0 else {}
        try:
            model.partial_fit(X[start:stop], y[start:stop], **classes)
        except ValueError:
            return np.inf, model
    return model.progressive_loss_, model


def loss_of(probability, label):
    probability = min(max(probability if label else 1 - probability, 1e-15), 1.0)
    return -np.log(probability)


def river(X, y, after, scaled=False):
    try:
        from river import linear_model, preprocessing
    except ImportError:
        return np.nan
    model = linear_model.LogisticRegression()
    if scaled:
        model = preprocessing.StandardScaler() | model
    losses = []
    for i, label in enumerate(y.tolist()):
        part = slice(X.indptr[i], X.indptr[i + 1])
        if scaled:
            # a StandardScaler has to see zeros
            row = dict(enumerate(X[i].toarray()[0].tolist()))
        else:
            row = dict(zip(X.indices[part].tolist(), X.data[part].tolist(), strict=True))
        losses.append(loss_of(model.predict_proba_one(row).get(True, 0.5), label))
        model.learn_one(row, bool(label))
    return np.mean(losses[after:])


def vowpal_wabbit(X, y, after, rule):
    try:
        from vowpalwabbit import Workspace
    except ImportError:
        return np.nan
    # one place for each feature, and for the constant
    bits = int(X.shape[1]).bit_length() + 1
    workspace = Workspace(f"--loss_function logistic -b {bits} --quiet {rule}")
    loss_before = 0.0
    for i, label in enumerate(y.tolist()):
        if i == after:
            loss_before = workspace.get_sum_loss()
        part = slice(X.indptr[i], X.indptr[i + 1])
        entries = zip(X.indices[part].tolist(), X.data[part].tolist(), strict=True)
        workspace.learn(
            f"{2 * label - 1} | " + " ".join(f"{feature}:{value}" for feature, value in entries)
        )
    loss = (workspace.get_sum_loss() - loss_before) / (len(y) - after)
    workspace.finish()
    return loss


# -- tables --


def compare(name, X, y, after, optimizers, peers):
    """Print a line for each optimizer, and return the lines of the second table."""
    others = [river(X, y, after)] if peers else [np.nan]
    others += [vowpal_wabbit(X, y, after, rule) if peers else np.nan for rule in RULES]
    best_rule = np.nanmin(others[1:]) if peers and not np.isnan(others[1:]).all() else np.nan
    lines = []
    for optimizer in optimizers:
        automatic, _ = ours(X, y, after, optimizer=optimizer)
        search, model = ours(X, y, after, optimizer=optimizer, eta0="search")
        models = [
            {"eta0": float(rate), "eps": float(eps)}
            for rate, eps in zip(model.mixture_rates_, model.mixture_eps_, strict=True)
        ]
        if OPTIMIZERS[optimizer].forgets:
            for one, rho in zip(models, model.mixture_memories_, strict=True):
                one["rho"] = float(rho)
        # the smallest is a sixteenth of the automatic one, or a quarter
        eta0 = models[0]["eta0"] * (4 if OPTIMIZERS[optimizer].ages else 16)
        losses = [ours(X, y, after, optimizer=optimizer, **one)[0] for one in models]
        best = min(losses)
        print(
            f"{name:12} {optimizer:9}{automatic:9.4f}{search:9.4f}{best:9.4f}"
            f"{search / best - 1:+9.2%}"
            + "".join(f"{'-':>9}" if np.isnan(one) else f"{one:9.4f}" for one in others)
            + ("" if np.isnan(best_rule) else f"{search / best_rule - 1:+9.1%}"),
            flush=True,
        )
        lines.append(
            f"{name:12} {optimizer:9}"
            + " ".join(
                f"{label(one, eta0, model.eps_)}: {loss:.4f}"
                for one, loss in zip(models, losses, strict=True)
            )
        )
    return lines


def label(model, eta0, eps):
    """The rate and the eps of a model over the automatic ones, and its rho."""
    parts = [f"{model['eta0'] / eta0:g}"]
    if model["eps"] != eps:
        parts.append(f"eps {model['eps'] / eps:g}")
    if model.get("rho", 1.0) != 1.0:
        parts.append(f"rho {model['rho']:g}")
    return ", ".join(parts)


def growing(arguments):
    """What classes that appear later cost beside classes that are told at the start."""
    print(f"{'us a row':12}{'classes':>9}{'':3}{'eta0':>10} {'told':>9}{'grown':>9}{'ratio':>9}")
    for name in ("20news", "clinc150"):
        # words that two rows have
        name, X, y = _data.load_stream(name, arguments, ngram_range=(1, 1), min_df=2)
        classes, codes = np.unique(y, return_inverse=True)
        # each class begins at a time of its own
        times = codes / classes.size
        times += (1 - times) * np.random.default_rng(0).random(len(y))
        order = np.argsort(times, kind="stable")
        X, y = X[order], y[order]
        for multi_class, eta0 in product(("ovr", "auto"), (0.5, "auto")):
            parameters = {"multi_class": multi_class, "eta0": eta0}
            told, grown = np.inf, np.inf
            for _ in range(1 if arguments.quick else 2):
                models = [AdaptiveSGDClassifier(**parameters) for _ in range(2)]
                seconds = [0.0, 0.0]
                for start in range(0, len(y), FIRST_ROWS):
                    part = slice(start, start + FIRST_ROWS)
                    for k, named in enumerate((classes, "grow")):
                        begin = time.process_time()
                        models[k].partial_fit(X[part], y[part], classes=named)
                        seconds[k] += time.process_time() - begin
                told, grown = min(told, seconds[0]), min(grown, seconds[1])
            same = multi_class != "ovr" or (models[0].coef_ == models[1].coef_).all()
            print(
                f"{name:12}{classes.size:9}  {multi_class:5}{eta0:6} {1e6 * told / len(y):9.1f}"
                f"{1e6 * grown / len(y):9.1f}{grown / told:9.2f}{'' if same else '  NOT THE SAME'}",
                flush=True,
            )


def cost(arguments):
    """What the models of a search cost beside one, and beside eight rates alone."""
    clicks, text = (
        ((2000, 1 << 12), (1000, 1 << 12))
        if arguments.quick
        else (
            (100_000, 1 << 20),
            (30_000, 1 << 17),
        )
    )
    print(
        f"{'ns an entry':10}{'':18}{'one':>9}{'rates':>9}{'search':>9}{'of one':>9}{'of rates':>9}"
    )
    for name, (X, y) in (("clicks", _data.click_like(*clicks)), ("text", _data.zipf_text(*text))):
        for dtype, optimizer in product((np.float64, np.float32), arguments.optimizers):
            rows = X.astype(dtype)
            rho = 1.0 if OPTIMIZERS[optimizer].forgets else None
            models = [
                AdaptiveSGDClassifier(optimizer=optimizer, **parameters)
                for parameters in (
                    {"eta0": 0.1},
                    {"eta0": "search", "eps": 0.1, "rho": rho},
                    {"eta0": "search"},
                )
            ]
            seconds = [[] for _ in models]
            for turn in range(2 if arguments.quick else 6):
                for model, times in zip(models, seconds, strict=True):
                    if turn == 0:
                        model.partial_fit(rows[:FIRST_ROWS], y[:FIRST_ROWS], classes=[0, 1])
                    begin = time.process_time()
                    model.partial_fit(rows, y)
                    times.append(time.process_time() - begin)
            one, rates, several = (1e9 * min(times) / rows.nnz for times in seconds)
            print(
                f"{name:9}{np.dtype(dtype).name:10}{optimizer:9}{one:9.1f}{rates:9.1f}"
                f"{several:9.1f}{several / one:9.2f}{several / rates:9.2f}",
                flush=True,
            )


def main():
    parser = _data.parser(__doc__)
    parser.add_argument(
        "--sets", nargs="*", default=[*SETS, "drift", "gradual", *ORDERED, *OF_RIVER]
    )
    parser.add_argument("--optimizers", nargs="*", default=["adagrad"], choices=OPTIMIZERS)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the rows (0)")
    parser.add_argument("--no-peers", action="store_true", help="neither river nor Vowpal Wabbit")
    parser.add_argument("--cost", action="store_true", help="the time instead of the losses")
    parser.add_argument("--growing", action="store_true", help="classes that appear later")
    arguments = parser.parse_args()
    if arguments.growing:
        growing(arguments)
        return
    if arguments.cost:
        cost(arguments)
        return
    print(
        f"{'':22}{'auto':>9}{'search':>9}{'best':>9}{'':>9}{'river':>9}"
        f"{'VW':>9}{'--coin':>9}{'--ftrl':>9}{'of VW':>9}"
    )
    lines = []
    for name in arguments.sets:
        after, peers = 0, not arguments.no_peers
        if name in OF_RIVER:
            rows = rows_of_river(name)
            if rows is None:
                print(f"{name:12} missing")
                continue
            X, y = rows
        elif name in ORDERED:
            rows = _data.load_ordered(name, arguments)
            if rows is None:
                print(f"{name:12} missing")
                continue
            X, y = rows
        elif name in ("drift", "gradual"):
            X, y = drifting_clicks(arguments.quick, at_once=name == "drift")
            after = len(y) // 2 if name == "drift" else 0
        else:
            name, X, y = _data.load_stream(name, arguments, arguments.seed)
        lines += compare(name, X, y, after, arguments.optimizers, peers)
        if name in OF_RIVER:
            scaled, _ = ours(X, y, after, eta0="search", normalize=True)
            print(
                f"{'':12} normalize{'':9}{scaled:9.4f}{'':18}{river(X, y, after, True):9.4f} scaled"
            )
    print("\nthe loss of each model")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
