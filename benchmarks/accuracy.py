"""How well models predict after the same effort of tuning.

Each model has one parameter with a grid of a few values: the initial learning rate of the
adaptive optimizers, as factors of what eta0="auto" gives, or alpha at that rate; alpha, or the
constant learning rate, of SGDClassifier; C of LogisticRegression; the learning rate of an
MLPClassifier without hidden layers. A tenth of the training rows (on clicks, which are in the
order of time, the last ones) decides which value has the least log loss; the model then learns
all training rows and is judged on the test rows. "fit s" is the time of that fit, "all s" that
of all fits. All parameters that are not named are the defaults, so that each model stops by its
own rule.
"""

import time
import warnings
from dataclasses import dataclass
from typing import Any

import _data
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS

SETS = ["criteo80k", "20news", "banking77", "trec6"]
IN_ORDER_OF_TIME = {"criteo80k"}
FACTORS = (0.1, 0.3, 1, 3, 10)


@dataclass
class Candidate:
    """A model and the grid of one of its parameters. An eta0 may be relative to "auto"."""

    name: str
    model: Any
    parameter: str
    grid: tuple
    relative: bool = False

    def fit(self, value, X, y):
        model = clone(self.model)
        if self.relative:
            value = value * _data.automatic_rate(model, X, y)
        return model.set_params(**{self.parameter: value}).fit(X, y)


def candidates(n_classes, mlp_epochs):
    """All models for so many classes."""

    def adaptive(name, **settings):
        model = AdaptiveSGDClassifier(random_state=0, **settings)
        return Candidate(name, model, "eta0", FACTORS, relative=True)

    made = [adaptive("adagrad")]
    if n_classes > 2:
        made.append(adaptive("adagrad, ovr", multi_class="ovr"))
    for optimizer, spec in OPTIMIZERS.items():
        # for the others the two updates are one
        for update in ("exact", "masked") if spec.ages else ():
            made.append(
                adaptive(f"{optimizer}, {update}", optimizer=optimizer, sparse_update=update)
            )
    alphas = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
    made.append(Candidate("adagrad, alpha", AdaptiveSGDClassifier(random_state=0), "alpha", alphas))
    sgd = SGDClassifier(loss="log_loss", random_state=0)
    constant = clone(sgd).set_params(learning_rate="constant", alpha=1e-6)
    # the optimum of any other solver, sooner
    logistic = LogisticRegression(solver="newton-cg")
    made += [
        Candidate("SGDClassifier", sgd, "alpha", alphas),
        Candidate("SGD constant rate", constant, "eta0", (0.001, 0.01, 0.1, 1, 10)),
        Candidate("LogisticRegression", logistic, "C", (0.01, 0.1, 1, 10, 100)),
    ]
    if n_classes > 2 and mlp_epochs:
        mlp = MLPClassifier((), max_iter=mlp_epochs, random_state=0)
        made.append(Candidate("MLP, no layer", mlp, "learning_rate_init", (0.001, 0.01, 0.1)))
    return made


def validation_split(data, in_order):
    """Training rows without a tenth of them, and that tenth."""
    if in_order:
        rows = np.split(np.arange(len(data.y_train)), [len(data.y_train) * 9 // 10])
    else:
        rows = train_test_split(np.arange(len(data.y_train)), test_size=0.1, random_state=0)
    return _data.Split(*(part[half] for half in rows for part in (data.X_train, data.y_train)))


def judge(candidate, data, validation):
    """The value picked, test log loss, accuracy, the seconds of the last fit and of all."""
    begin = time.perf_counter()
    losses = {}
    for value in candidate.grid:
        model = candidate.fit(value, validation.X_train, validation.y_train)
        losses[value] = _data.loss_of(model, validation.X_test, validation.y_test)
    picked = min(losses, key=losses.get)
    last = time.perf_counter()
    model = candidate.fit(picked, data.X_train, data.y_train)
    end = time.perf_counter()
    loss = _data.loss_of(model, data.X_test, data.y_test)
    accuracy = accuracy_score(data.y_test, model.predict(data.X_test))
    return picked, loss, accuracy, model.n_iter_, end - last, end - begin


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="*", default=SETS, choices=SETS, help="only these sets")
    parser.add_argument(
        "--models", nargs="*", help="only models whose names begin with one of these"
    )
    parser.add_argument(
        "--mlp-epochs", type=int, default=15, help="epochs of MLPClassifier (15; 0: leave it out)"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = ["criteo80k", "trec6"] if arguments.quick else arguments.sets
    header = f"{'set':12}{'model':20}{'picked':>28}{'log loss':>10}{'accuracy':>10}"
    print(header + f"{'epochs':>8}{'fit s':>8}{'all s':>8}")
    for set_name in sets:
        name, data = _data.load_split(set_name, arguments)
        validation = validation_split(data, set_name in IN_ORDER_OF_TIME)
        for candidate in candidates(len(np.unique(data.y_train)), arguments.mlp_epochs):
            if arguments.models and not candidate.name.startswith(tuple(arguments.models)):
                continue
            if arguments.quick:
                candidate.grid = candidate.grid[1:3]
            picked, loss, accuracy, epochs, *seconds = judge(candidate, data, validation)
            relative = " x auto" if candidate.relative else ""
            print(
                f"{name:12}{candidate.name:20}{f'{candidate.parameter}={picked:g}{relative}':>28}"
                f"{loss:10.4f}{accuracy:10.4f}{np.max(epochs):8d}"
                + "".join(f"{value:8.1f}" for value in seconds),
                flush=True,
            )


if __name__ == "__main__":
    main()
