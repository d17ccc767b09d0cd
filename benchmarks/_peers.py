"""What is compared: this package and its peers, each behind `fit` and `probabilities`.

What a peer needs before it can begin (its own matrices, a file, parsed rows) is made off the clock
and remembered. That is in favour of the peers: this package and scikit-learn start from the CSR
matrix.
"""

import contextlib
import importlib
import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import _data
import _timing
import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS

ALPHA = 1e-6
BASE = "SGDClassifier"
# of a rate that suits the rows
FACTORS = (0.1, 0.3, 1, 3, 10)


def clock_of(n_threads):
    """What a fit on so many threads is timed by."""
    return time.process_time if n_threads == 1 else time.perf_counter


class Peer:
    """A model and the one parameter of it that is tuned.

    Attributes
    ----------
    grid : tuple
        The values that `fit` is tried with.
    precision : str
        Of its arithmetic.
    unit : str
        What it counts as an epoch.
    passes_alone : bool
        Whether the seconds of `fit` are those of its passes over the rows, and nothing else.
    least_rows, most_rows : int
        Fewer say nothing about the time of more; more take too much memory.
    ours : bool
        Whether it is this package.
    clock : callable
        What `fit` is timed by: processor time, or the time that passes if a second thread works.
    note : str
    """

    grid = ()
    precision = "float64"
    unit = "epoch"
    passes_alone = False
    least_rows = 1000
    most_rows = 10**9
    ours = False
    clock = staticmethod(time.process_time)
    note = ""

    @property
    def base(self):
        """Whose time its own is divided by: SGDClassifier's in the same precision."""
        return BASE if self.precision == "float64" else f"{BASE}, float32"

    def fit(self, X, y, epochs, value=None):
        """Train a new model; the seconds of it. Classes are 0, 1, ..."""
        raise NotImplementedError

    def probabilities(self, X):
        """Of class 1, by the model that is trained."""
        raise NotImplementedError


class OfLast:
    """A function that remembers what it made of the last matrix."""

    def __init__(self, function):
        self._function = function
        self._matrix = self._made = None

    def __call__(self, X, *rest):
        if self._matrix is not X:
            self._made = None
            self._made = self._function(X, *rest)
            self._matrix = X
        return self._made


# -- estimators --


class Estimator(Peer):
    """An estimator that takes its epochs as `max_iter`."""

    def __init__(self, estimator, parameter=None, grid=(), **attributes):
        self.estimator = estimator
        self.parameter = parameter
        self.grid = grid
        for name, value in attributes.items():
            setattr(self, name, value)

    def value_for(self, X, y, value):
        return value

    def fit(self, X, y, epochs, value=None):
        self._model = clone(self.estimator)
        if value is not None:
            self._model.set_params(**{self.parameter: self.value_for(X, y, value)})
        return _timing.seconds_of_fit(self._model, X, y, epochs, self.clock)

    def probabilities(self, X):
        return self._model.predict_proba(X)[:, 1]


class Adaptive(Estimator):
    """This package, at multiples of the learning rate that eta0="auto" would choose."""

    ours = True

    def __init__(self, precision="float64", **settings):
        estimator = AdaptiveSGDClassifier(alpha=ALPHA, tol=None, random_state=0, **settings)
        super().__init__(estimator, "eta0", FACTORS, precision=precision)

    def value_for(self, X, y, value):
        return value * _data.automatic_rate(self.estimator, X, y)


class MultipleOfEps(Estimator):
    """This package at multiples of the eps that eps="auto" would choose."""

    def value_for(self, X, y, value):
        return f"{value:g}*auto"


class InOrder(Estimator):
    """An estimator that does not shuffle, beside SGDClassifier that does not."""

    base = f"{BASE}, in order"


class ConstantRate(Estimator):
    """SGDClassifier at multiples of one over the mean squared norm of the rows."""

    def value_for(self, X, y, value):
        return value * X.shape[0] / np.square(X.data, dtype=np.float64).sum()


def sgd(**settings):
    settings = {"alpha": ALPHA, "loss": "log_loss", "tol": None, "random_state": 0} | settings
    return SGDClassifier(**settings)


def logistic(solver):
    # so little that only max_iter stops it; liblinear does not take a zero
    estimator = LogisticRegression(solver=solver, tol=1e-30, random_state=0)
    grid = (0.01, 0.1, 1, 10, 100)
    if solver == "saga":
        return Estimator(estimator, "C", grid)
    # what an iteration does with all features does not grow with the rows
    return Estimator(estimator, "C", grid, unit="iteration", least_rows=10**9)


def perceptron():
    """MLPClassifier without a hidden layer."""
    estimator = MLPClassifier((), tol=0.0, n_iter_no_change=10**6, random_state=0)
    return Estimator(estimator, "learning_rate_init", (0.001, 0.003, 0.01, 0.03, 0.1))


class Lightning(Estimator):
    def __init__(self):
        from lightning.classification import AdaGradClassifier

        class WithMaxIter(AdaGradClassifier):
            """Its epochs are called n_iter."""

            def set_params(self, max_iter=None, **parameters):
                if max_iter is not None:
                    parameters["n_iter"] = max_iter
                return super().set_params(**parameters)

        estimator = WithMaxIter(loss="log", alpha=ALPHA, random_state=0)
        super().__init__(estimator, "eta", (0.03, 0.1, 0.3, 1, 3))

    def probabilities(self, X):
        return expit(self._model.decision_function(X).ravel())


# -- torch --


class Torch(Peer):
    """EmbeddingBag as a linear model, with mini-batches that are cut before the clock starts."""

    precision = "float32"
    passes_alone = True

    def __init__(self, optimizer, batch_size):
        self._torch = importlib.import_module("torch")
        self._torch.set_num_threads(1)
        self._optimizer = optimizer
        self._batch_size = batch_size
        self.least_rows = 2 * batch_size
        adagrad = optimizer == "Adagrad"
        self.grid = (0.03, 0.1, 0.3, 1, 3) if adagrad else (0.001, 0.003, 0.01, 0.03, 0.1)
        self._batches = OfLast(self._make_batches)

    def _make_batches(self, X, y):
        order = np.random.default_rng(0).permutation(X.shape[0])
        y = np.asarray(y)[order]
        return [
            (*self._tensors(X[order[start : start + self._batch_size]]), self._target(part))
            for start in range(0, X.shape[0], self._batch_size)
            for part in [y[start : start + self._batch_size]]
        ]

    def _tensors(self, X):
        torch = self._torch
        return (
            torch.from_numpy(X.indices.astype(np.int64)),
            torch.from_numpy(X.indptr[:-1].astype(np.int64)),
            torch.from_numpy(X.data.astype(np.float32)),
        )

    def _target(self, y):
        return self._torch.from_numpy(y.astype(np.float32 if self._n_outputs == 1 else np.int64))

    def fit(self, X, y, epochs, value=None):
        torch = self._torch
        n_classes = int(np.max(y)) + 1
        self._n_outputs = 1 if n_classes == 2 else n_classes
        functional = torch.nn.functional
        loss_of = (
            functional.binary_cross_entropy_with_logits
            if self._n_outputs == 1
            else functional.cross_entropy
        )
        batches = self._batches(X, y)
        self._bag = torch.nn.EmbeddingBag.from_pretrained(
            torch.zeros(X.shape[1], self._n_outputs),
            freeze=False,
            mode="sum",
            sparse=self._optimizer != "Adam",
        )
        self._intercept = torch.zeros(self._n_outputs, requires_grad=True)
        rate = self.grid[2] if value is None else value
        # SparseAdam takes no dense gradients
        of_intercept = getattr(torch.optim, self._optimizer.removeprefix("Sparse"))
        optimizers = (
            getattr(torch.optim, self._optimizer)(self._bag.parameters(), lr=rate),
            of_intercept([self._intercept], lr=rate),
        )
        generator = np.random.default_rng(1)
        begin = self.clock()
        for _ in range(epochs):
            for k in generator.permutation(len(batches)):
                *row, target = batches[k]
                for optimizer in optimizers:
                    optimizer.zero_grad()
                score = self._score(*row)
                loss_of(score.squeeze(1) if self._n_outputs == 1 else score, target).backward()
                for optimizer in optimizers:
                    optimizer.step()
        return self.clock() - begin

    def _score(self, indices, offsets, data):
        return self._bag(indices, offsets, per_sample_weights=data) + self._intercept

    def probabilities(self, X):
        with self._torch.no_grad():
            return expit(self._score(*self._tensors(X)).squeeze(1).double().numpy())


# -- Vowpal Wabbit and xLearn, which read text --


def lines(X, labels):
    """The rows as text: the label and index:value pairs."""
    for row, label in enumerate(labels):
        part = slice(X.indptr[row], X.indptr[row + 1])
        pairs = zip(X.indices[part].tolist(), X.data[part].tolist(), strict=True)
        yield f"{label} " + " ".join(f"{index}:{value:.6g}" for index, value in pairs)


class WithFile(Peer):
    """A peer that learns from a file in a folder of its own."""

    precision = "float32"

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        self._file = OfLast(self._write)

    def _path(self, name):
        return str(Path(self._folder.name) / name)

    def _labels(self, y):
        return y

    def _write(self, X, y):
        # with it goes the cache that was made of the file before
        for old in Path(self._folder.name).iterdir():
            old.unlink()
        path = self._path("rows")
        with open(path, "w") as file:
            file.writelines(f"{line}\n" for line in lines(X, self._labels(y)))
        return path


def wabbit_labels(y):
    y = np.asarray(y)
    binary = np.max(y) < 2
    return [f"{label} |" for label in (2 * y - 1 if binary else y + 1)]


def wabbit_options(X, y, rate):
    bits = max(1, int(X.shape[1] - 1).bit_length())
    n_classes = int(np.max(y)) + 1
    options = ["--quiet", "-b", str(bits), "--loss_function", "logistic", "-l", str(rate)]
    return options + (["--oaa", str(n_classes)] if n_classes > 2 else [])


class VowpalWabbit(WithFile):
    """Passes over its cache file, of rows in the order they came."""

    grid = (0.05, 0.15, 0.5, 1.5, 5)
    clock = staticmethod(time.perf_counter)
    note = "its own update rule; not shuffled; a second thread reads the cache"

    def __init__(self):
        super().__init__()
        self._module = importlib.import_module("vowpalwabbit")
        self._strings = OfLast(lambda X: list(lines(X, ["|"] * X.shape[0])))

    def _labels(self, y):
        return wabbit_labels(y)

    def _write(self, X, y):
        path = super()._write(X, y)
        self._workspace(path, X, y, 1, 0.5).finish()
        return path

    def _workspace(self, path, X, y, epochs, rate):
        options = ["-d", path, "--cache_file", f"{path}.cache", "--passes", str(epochs)]
        options += ["--holdout_off", *wabbit_options(X, y, rate)]
        return self._module.Workspace(arg_list=options)

    def fit(self, X, y, epochs, value=None):
        path = self._file(X, y)
        begin = self.clock()
        self._model = self._workspace(path, X, y, epochs, self.grid[2] if value is None else value)
        return self.clock() - begin

    def probabilities(self, X):
        return expit(np.array([self._model.predict(line) for line in self._strings(X)]))


class VowpalWabbitInMemory(Peer):
    """Passes over rows that are parsed already, one call of `learn` each."""

    precision = "float32"
    passes_alone = True
    # 34 kB each
    most_rows = 20_000
    grid = VowpalWabbit.grid
    note = "its own update rule; the calls from Python count"

    def __init__(self):
        self._module = importlib.import_module("vowpalwabbit")
        self._examples = OfLast(self._parse)

    def _parse(self, X, y):
        self._parser = self._module.Workspace(arg_list=wabbit_options(X, y, 0.5))
        return [self._parser.example(line) for line in lines(X, wabbit_labels(y))]

    def fit(self, X, y, epochs, value=None):
        examples = self._examples(X, y)
        rate = self.grid[2] if value is None else value
        self._model = self._module.Workspace(arg_list=wabbit_options(X, y, rate))
        generator = np.random.default_rng(0)
        begin = self.clock()
        for _ in range(epochs):
            for row in generator.permutation(len(examples)):
                self._model.learn(examples[row])
        return self.clock() - begin


@contextlib.contextmanager
def silenced():
    """Nothing is printed, by C++ either."""
    with open(os.devnull, "w") as nowhere:
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


class XLearn(WithFile):
    grid = (0.02, 0.06, 0.2, 0.6, 2)
    note = "float32 always; rows are normalised, as by default"

    def __init__(self, n_threads=1):
        super().__init__()
        self._n_threads = n_threads
        self.clock = clock_of(n_threads)
        # it aborts without
        os.environ.setdefault("USER", "nobody")
        self._module = importlib.import_module("xlearn")
        self._test_file = OfLast(self._write_test)

    def _write_test(self, X):
        path = self._path("test")
        # It reads labels, but does not use them. It crashes at a row without entries, and ignores
        # a feature that it has not learned.
        unknown = f" {X.shape[1]}:1"
        rows = zip(lines(X, np.zeros(X.shape[0], int)), X.getnnz(axis=1), strict=True)
        with open(path, "w") as file:
            file.writelines(f"{line}{'' if n else unknown}\n" for line, n in rows)
        shutil.rmtree(f"{path}.bin", ignore_errors=True)
        return path

    def fit(self, X, y, epochs, value=None):
        if np.max(y) > 1:
            raise ValueError("xLearn has two classes only")
        return self._train(self._file(X, y), epochs, self.grid[2] if value is None else value)

    def _write(self, X, y):
        path = super()._write(X, y)
        # it keeps a binary file of what it has read once
        self._train(path, 1, self.grid[2])
        return path

    def _train(self, path, epochs, rate):
        self._model = model = self._module.create_linear()
        settings = {"task": "binary", "opt": "adagrad", "lr": rate, "lambda": 0.0}
        settings |= {"epoch": epochs, "nthread": self._n_threads}
        with silenced():
            model.setTrain(path)
            model.setQuiet()
            begin = self.clock()
            model.fit(settings, self._path("model"))
            return self.clock() - begin

    def probabilities(self, X):
        with silenced():
            self._model.setTest(self._test_file(X))
            self._model.setSigmoid()
            self._model.predict(self._path("model"), self._path("probabilities"))
        return np.loadtxt(self._path("probabilities"))


# -- river --


class River(Peer):
    passes_alone = True
    grid = (0.03, 0.1, 0.3, 1, 3)
    note = "rows are dicts"

    def __init__(self):
        self._linear_model = importlib.import_module("river.linear_model")
        self._optim = importlib.import_module("river.optim")
        self._rows = OfLast(self._dicts)

    def _dicts(self, X):
        ends = zip(X.indptr[:-1], X.indptr[1:], strict=True)
        return [
            dict(zip(X.indices[begin:end].tolist(), X.data[begin:end].tolist(), strict=True))
            for begin, end in ends
        ]

    def fit(self, X, y, epochs, value=None):
        rows, targets = self._rows(X), np.asarray(y).tolist()
        optimizer = self._optim.AdaGrad(self.grid[2] if value is None else value)
        if max(targets) > 1:
            self._model = self._linear_model.SoftmaxRegression(optimizer)
        else:
            targets = [target == 1 for target in targets]
            self._model = self._linear_model.LogisticRegression(optimizer)
        generator = np.random.default_rng(0)
        begin = self.clock()
        for _ in range(epochs):
            for row in generator.permutation(len(rows)):
                self._model.learn_one(rows[row], targets[row])
        return self.clock() - begin

    def probabilities(self, X):
        return np.array([self._model.predict_proba_one(row)[True] for row in self._dicts(X)])


# -- all of them --

OURS = tuple(OPTIMIZERS)
MORE_PEERS = {
    "Snap ML": "SnapML",
    "Cyanure": "Cyanure",
    "liblinear, multicore": "LiblinearMulticore",
    "fastText": "FastText",
}


def _of_more_peers(kind, n_threads=1):
    # imported late, as it builds on this module
    return getattr(importlib.import_module("_more_peers"), kind)(n_threads)


PEERS = {
    **{name: lambda name=name: Adaptive(optimizer=name) for name in OURS},
    BASE: lambda: Estimator(sgd(), "alpha", (1e-7, 1e-6, 1e-5, 1e-4, 1e-3)),
    "LogisticRegression, saga": lambda: logistic("saga"),
    "LogisticRegression, liblinear": lambda: logistic("liblinear"),
    "LogisticRegression, lbfgs": lambda: logistic("lbfgs"),
    "MLPClassifier, no layer": perceptron,
    "Vowpal Wabbit, cache file": VowpalWabbit,
    "Vowpal Wabbit, in memory": VowpalWabbitInMemory,
    "xLearn, AdaGrad": XLearn,
    "lightning, AdaGrad": Lightning,
    **{
        f"torch {optimizer}, batch {size}": lambda optimizer=optimizer, size=size: Torch(
            optimizer, size
        )
        for optimizer in ("Adagrad", "SparseAdam")
        for size in (256, 4096)
    },
    "torch Adam, dense, batch 4096": lambda: Torch("Adam", 4096),
    "river, AdaGrad": River,
    **{name: partial(_of_more_peers, kind) for name, kind in MORE_PEERS.items()},
}

# The same in float32, and without shuffling.
VARIANTS = {
    **{f"{name}, float32": lambda name=name: Adaptive("float32", optimizer=name) for name in OURS},
    f"{BASE}, float32": lambda: Estimator(sgd(), precision="float32"),
    "adagrad, in order": lambda: InOrder(Adaptive(shuffle=False).estimator),
    f"{BASE}, in order": lambda: InOrder(sgd(shuffle=False)),
}

# What is tuned to reach a log loss.
TUNED = {
    **{name: PEERS[name] for name in OURS},
    "adagrad, alpha": lambda: Estimator(
        PEERS["adagrad"]().estimator, "alpha", (1e-7, 1e-6, 1e-5, 1e-4, 1e-3), ours=True
    ),
    "adagrad, no penalty, eps": lambda: MultipleOfEps(
        Adaptive(penalty=None).estimator, "eps", (0.001, 0.01, 0.1, 1, 10), ours=True
    ),
    "adagrad, averaged": lambda: Adaptive(average="suffix"),
    "adam, masked": lambda: Adaptive(optimizer="adam", sparse_update="masked"),
    # as torch has it, with batches
    "adam, masked, no penalty, batch 256": lambda: Adaptive(
        optimizer="adam", sparse_update="masked", batch_size=256, penalty=None, eps=1e-8
    ),
    f"{BASE}, alpha": PEERS[BASE],
    f"{BASE}, constant rate": lambda: ConstantRate(
        sgd(learning_rate="constant", eta0=1.0), "eta0", FACTORS
    ),
    **{
        name: make
        for name, make in PEERS.items()
        if name not in (*OURS, BASE, "Vowpal Wabbit, in memory")
    },
    **{f"{name}, 2 threads": partial(_of_more_peers, kind, 2) for name, kind in MORE_PEERS.items()},
    "xLearn, AdaGrad, 2 threads": lambda: XLearn(2),
}


def _single_rows_of_estimator(name):
    def make(n_features):
        model = PEERS[name]().estimator
        classes = np.array([0, 1])
        return (
            lambda row: row,
            lambda row, target: model.partial_fit(row, [target], classes=classes),
            model.predict,
        )

    return make


def _single_rows_of_river(n_features):
    model = importlib.import_module("river.linear_model").LogisticRegression(
        importlib.import_module("river.optim").AdaGrad(0.1)
    )
    return (
        lambda row: dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)),
        model.learn_one,
        model.predict_one,
    )


def _single_rows_of_wabbit(n_features):
    bits = int(n_features - 1).bit_length()
    model = importlib.import_module("vowpalwabbit").Workspace(
        arg_list=["--quiet", "-b", str(bits), "--loss_function", "logistic"]
    )
    return (
        lambda row: next(lines(row, ["|"])),
        lambda text, target: model.learn(f"{2 * target - 1} {text}"),
        model.predict,
    )


# Of each a function of the number of features that returns what makes of a row of a CSR matrix
# what the model takes, and what learns and predicts it.
SINGLE_ROWS = {
    "adagrad": _single_rows_of_estimator("adagrad"),
    "adam": _single_rows_of_estimator("adam"),
    BASE: _single_rows_of_estimator(BASE),
    "river, AdaGrad": _single_rows_of_river,
    "Vowpal Wabbit, text": _single_rows_of_wabbit,
}


def available(factories):
    """What can be imported, and of the rest the reason why not.

    Parameters
    ----------
    factories : dict of name -> callable

    Returns
    -------
    peers : dict of name -> Peer
    missing : dict of name -> str
    """
    peers, missing = {}, {}
    for name, make in factories.items():
        try:
            peers[name] = make()
        # whatever a broken installation raises
        except Exception as error:
            missing[name] = reason(error)
    return peers, missing


def reason(error):
    """The error's name and the first sentence of what it says."""
    text = str(error).strip().partition("\n")[0].partition(". ")[0]
    return f"{type(error).__name__}: {text}"
