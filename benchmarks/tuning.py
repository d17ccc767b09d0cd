"""Tuning: candidates trained side by side beside a fit for each candidate and fold.

1. `choice`: five rates and three strengths on five folds, with a fixed number of epochs that all
   candidates go through, so that GridSearchCV over the same grid makes the same fits. Its processor
   time is 1. Also GridSearchCV over SGDClassifier with 15 strengths, the same epochs and folds;
   and the search with its defaults for the number of epochs, which it finds, without and with
   giving up the hopeless candidates.
2. `pipelines`, with --data: the same grid for a classifier behind a TfidfVectorizer, which
   GridSearchCV fits anew for each candidate. Both find the number of epochs: GridSearchCV in each
   fit. Each search runs once, as GridSearchCV takes minutes.
3. `panel`, with --data: test loss of the defaults, of the search with its defaults, and
   of LogisticRegression or Ridge tuned over five strengths, see defaults.py; what the first two
   are above the peer, in percent; and the seconds of each. Means of --seeds.
4. `cost`: an epoch of 1 to 32 candidates side by side, over an epoch of one; of five strengths of
   the penalty among them, and without a penalty.

Generated rows: 'text' of 20,000 rows of 75 words, 'clicks' of 200,000 rows of 34 ones. Processor
time of one core, in turns; the median of the rounds counts.
"""

import time
import warnings
from pathlib import Path

import _data
import numpy as np
from _timing import in_turns, medians
from defaults import SETS, References, head, make, row, seeds_of
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training.side_by_side import SideBySide, clock_rate_of, groups_of
from sk_adaptive.training.start import start_of

RATES = (1 / 9, 1 / 3, 1, 3, 9)
STRENGTHS = (3e-7, 3e-6, 3e-5)
N_CANDIDATES = (1, 2, 4, 8, 16, 32)
FOLDS = 5
TEXTS = ("sms_spam", "r52", "20news")


def sets(quick):
    few = 20 if quick else 1
    yield "text", *_data.zipf_text(20_000 // few, 1 << 15)
    yield "clicks", *_data.click_like(200_000 // few, 1 << 18)


def searches(X, y, optimizer, epochs):
    """Estimators to fit, by name; the second one's time is 1."""
    fixed = {"optimizer": optimizer, "max_iter": epochs, "tol": None, "random_state": 0}
    rate = _data.automatic_rate(AdaptiveSGDClassifier(optimizer=optimizer), X, y)
    grid = {"eta0": [factor * rate for factor in RATES], "alpha": list(STRENGTHS)}
    alone = AdaptiveSGDClassifier(**fixed, early_stopping=False)
    finds = AdaptiveSGDClassifier(optimizer=optimizer, random_state=0)
    sgd = SGDClassifier(loss="log_loss", max_iter=epochs, tol=None, random_state=0)
    finding = AdaptiveGridSearchCV(finds, grid, cv=FOLDS)
    return {
        "all candidates side by side": AdaptiveGridSearchCV(alone, grid, cv=FOLDS),
        "GridSearchCV": GridSearchCV(alone, grid, cv=FOLDS, scoring="neg_log_loss"),
        "GridSearchCV of SGDClassifier": GridSearchCV(
            sgd, {"alpha": np.geomspace(1e-7, 1e-2, 15)}, cv=FOLDS, scoring="neg_log_loss"
        ),
        "epochs found, nobody given up": clone(finding).set_params(prune=False),
        "epochs found": finding,
    }


def seconds_of(search, X, y):
    begin = time.process_time()
    search.fit(X, y)
    return time.process_time() - begin


def compare_choice(name, X, y, optimizer, arguments):
    models = searches(X, y, optimizer, arguments.epochs)
    if not arguments.whole:
        for other in [*models][2:]:
            del models[other]
    measures = {each: lambda model=model: seconds_of(model, X, y) for each, model in models.items()}
    seconds = medians(in_turns(measures, arguments.rounds))
    own, expected = list(models.values())[:2]
    difference = np.abs(
        own.cv_results_["mean_test_score"] - expected.cv_results_["mean_test_score"]
    ).max()
    same = own.best_params_ == expected.best_params_
    print(
        f"# {name}, {optimizer}: {'the same' if same else 'ANOTHER'} choice as GridSearchCV; mean "
        f"scores differ by {difference:.0e}"
    )
    for each, model in models.items():
        iterations = model.best_estimator_.n_iter_
        row(
            name,
            optimizer,
            each,
            f"{seconds[each]:.2f}",
            f"{seconds[each] / seconds['GridSearchCV']:.2f}",
            f"{model.best_score_:.4f}",
            f"{iterations}",
        )


def compare_pipelines(name, arguments):
    """The search of a vectorizer and a classifier, beside GridSearchCV's."""
    X, y, _ = _data.load_texts(name, arguments)
    rate = _data.automatic_rate(AdaptiveSGDClassifier(), TfidfVectorizer().fit_transform(X), y)
    model = Pipeline(
        [("words", TfidfVectorizer()), ("linear", AdaptiveSGDClassifier(random_state=0))]
    )
    grid = {
        "linear__eta0": [factor * rate for factor in RATES],
        "linear__alpha": list(STRENGTHS),
    }
    own = AdaptiveGridSearchCV(model, grid, cv=FOLDS)
    seconds = [seconds_of(own, X, y)]
    if arguments.own:
        row(name, f"{seconds[0]:.2f}", "", "", f"{own.best_score_:.4f}", "")
        return
    peer = GridSearchCV(model, grid, cv=FOLDS, scoring=own.scorer_)
    seconds.append(seconds_of(peer, X, y))
    row(
        name,
        *(f"{value:.2f}" for value in seconds),
        f"{seconds[0] / seconds[1]:.3f}",
        *(f"{search.best_score_:.4f}" for search in (own, peer)),
    )


def panel(arguments):
    """The defaults and the search beside tuned peers."""
    references = References(arguments)
    head("", "peer", "default", "search", "default, %", "search, %", "default, s", "search, s")
    excess = []
    for name in arguments.sets or SETS:
        losses, seconds = [], []
        for seed in seeds_of(name, arguments):
            _, split = _data.load_split(name, arguments, seed)
            losses.append([references.of(name, seed, split)[0]])
            own = make(name, random_state=seed)
            models = own, AdaptiveGridSearchCV(clone(own))
            seconds.append([seconds_of(model, split.X_train, split.y_train) for model in models])
            losses[-1] += [_data.loss_of(model, split.X_test, split.y_test) for model in models]
        losses = np.array(losses)
        excess.append(100 * (losses[:, 1:] / losses[:, :1] - 1).mean(axis=0))
        row(
            name,
            *(f"{loss:.4f}" for loss in losses.mean(axis=0)),
            *(f"{value:+.1f}" for value in excess[-1]),
            *(f"{value:.2f}" for value in np.mean(seconds, axis=0)),
        )
    for what, value in (("mean", np.mean(excess, axis=0)), ("worst", np.max(excess, axis=0))):
        row(what, "", "", "", *(f"{each:+.1f}" for each in value), "", "")


def seconds_of_epoch(X, y, optimizer, rates, strengths):
    """Of a model of each rate and strength, side by side, that have seen the rows."""
    models = [
        AdaptiveSGDClassifier(optimizer=optimizer, eta0=rate, alpha=alpha, early_stopping=False)
        for rate, alpha in zip(rates, strengths, strict=True)
    ]
    for model in models:
        model._validate(X, y, [X.dtype], reset=True)
        model._find_targets(y)
    training = models[0]._training_data(models[0]._targets, X, y, None)
    rows = np.random.default_rng(0).permutation(X.shape[0])
    starts = [start_of(model, training, rows, one_pass=False) for model in models]
    groups = []
    for places in groups_of(starts):
        of_group = [starts[k] for k in places]
        groups.append(
            SideBySide(
                places, of_group, training, training.features(), None, clock_rate_of(of_group)
            )
        )

    def learn():
        begin = time.process_time()
        for group in groups:
            group.learn(training, rows)
        return time.process_time() - begin

    learn()
    return learn


def compare_cost(name, X, y, optimizer, arguments):
    rate = _data.automatic_rate(AdaptiveSGDClassifier(optimizer=optimizer), X, y)
    for what, strength in (("no penalty", 0.0), ("five strengths", 1e-6)):
        measures = {}
        for n in N_CANDIDATES[: 3 if arguments.quick else None]:
            rates = rate * np.geomspace(1, 2, n)
            strengths = strength * 3.0 ** (np.arange(n) % 5)
            measures[n] = seconds_of_epoch(X, y, optimizer, rates.tolist(), strengths.tolist())
        seconds = medians(in_turns(measures, arguments.rounds))
        row(
            name,
            optimizer,
            what,
            f"{1e9 * seconds[1] / X.nnz:.1f}",
            *(f"{seconds[n] / seconds[1]:.2f}" for n in seconds),
        )


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=("choice", "pipelines", "panel", "cost"))
    parser.add_argument("--sets", nargs="+", help="'text', 'clicks', or real ones for the panel")
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=["adagrad"])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3, help="of the panel")
    parser.add_argument(
        "--peers", type=Path, metavar="FILE", help="where the losses of the peers are kept"
    )
    parser.add_argument("--float32", action="store_true", help="rows, and so models, in float32")
    parser.add_argument(
        "--whole", action="store_true", help="beside SGDClassifier and epochs found"
    )
    parser.add_argument("--own", action="store_true", help="pipelines without GridSearchCV")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    warnings.simplefilter("ignore")  # of convergence
    parts = arguments.parts or ("choice", "cost")
    if {"panel", "pipelines"} & {*parts} and arguments.data is None:
        parser.error(f"give the folder of the data by --data or {_data.FOLDER_VARIABLE}")
    if "pipelines" in parts:
        head("texts", "own, s", "GridSearchCV, s", "ratio", "own score", "score")
        for name in arguments.sets or TEXTS:
            compare_pipelines(name, arguments)
    if "panel" in parts:
        panel(arguments)
    chosen = arguments.sets or ("text", "clicks")
    for part, compare in (("choice", compare_choice), ("cost", compare_cost)):
        if part not in parts:
            continue
        if part == "choice":
            head("", "optimizer", "", "seconds", "ratio", "score", "epochs")
        else:
            head("epochs of", "optimizer", "candidates", "ns a non-zero", *map(str, N_CANDIDATES))
        for name, X, y in sets(arguments.quick):
            if name in chosen:
                X = X.astype(np.float32) if arguments.float32 else X
                for optimizer in arguments.optimizers:
                    compare(name, X, y, optimizer, arguments)


if __name__ == "__main__":
    main()
