"""Bad input, for every optimizer: a clear error, and the model stays what it was.

Each fault is given to a half-trained model, and where it needs no call before it, to a new
one. Rows that overflow after others have been learned are in test_training.py, damaged saved states
in test_online.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, own_attributes
from modes import every_optimizer

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

CLASSIFIER, REGRESSOR = AdaptiveSGDClassifier, AdaptiveSGDRegressor
BOTH = ("fit", "partial_fit")
ALL = (*BOTH, "predict")

N_ROWS, N_FEATURES = 60, 20
# a column that no row has: a feature without state
EMPTY = 5


@pytest.fixture(scope="module")
def rows():
    X = sp.random(N_ROWS, N_FEATURES, density=0.2, random_state=0, format="lil")
    X[:, EMPTY] = 0
    X[0, 0], X[11, 3] = 1.0, 1.0
    X = X.tocsr()
    X.sort_indices()
    return X, np.arange(N_ROWS) % 2


class Fault(NamedTuple):
    """A bad call.

    Attributes
    ----------
    make : callable
        Takes good X and y, and returns X, y and the other arguments of the call.
    message : str
        Pattern of the error's message.
    error : type
    methods : tuple of str
        In which it is a fault.
    estimators : tuple of types
    optimizers : tuple of str
    parameters : dict
        Set before the call.
    needs_model : bool
        Whether it is a fault only after a good call.
    """

    make: Callable
    message: str
    error: type = ValueError
    methods: tuple = BOTH
    estimators: tuple = (CLASSIFIER, REGRESSOR)
    optimizers: tuple = tuple(OPTIMIZERS)
    parameters: dict = {}
    needs_model: bool = False


# -- ways to make good input bad --


def of_X(change):
    return lambda X, y: (change(X), y, {})


def of_y(change):
    return lambda X, y: (X, change(y), {})


def with_argument(name, make):
    return lambda X, y: (X, y, {name: make(X, y)})


def unchanged(X, y):
    return X, y, {}


def part(name, change):
    """One of the arrays of the CSR matrix, as the function changes a copy."""

    def changed(X):
        X = X.copy()
        setattr(X, name, change(getattr(X, name).copy()))
        return X

    return of_X(changed)


def element(place, value):
    """One element of an array."""

    def changed(array):
        array[place] = value
        return array

    return changed


def weight(place, value):
    return with_argument("sample_weight", lambda X, y: element(place, value)(np.ones(len(y))))


def huge_entry(X):
    """In the first row, of a feature that has no weight yet: no margin is large."""
    X = X.tolil()
    X[0, EMPTY] = 1e300
    return X.tocsr()


def with_columns(X, n_features):
    """The same entries in a matrix that has more columns."""
    return sp.csr_matrix(
        (X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)),
        shape=(X.shape[0], n_features),
    )


def label(value, place=4):
    return of_y(lambda y: [value if row == place else int(one) for row, one in enumerate(y)])


FAULTS = {
    # -- X --
    "NaN in a row": Fault(part("data", element(30, np.nan)), "X contains NaN", methods=ALL),
    "infinity in a row": Fault(
        part("data", element(30, np.inf)), "X contains infinity", methods=ALL
    ),
    "minus infinity in a row": Fault(
        part("data", element(30, -np.inf)), "X contains infinity", methods=ALL
    ),
    "NaN in a dense row": Fault(
        of_X(lambda X: element((40, 3), np.nan)(X.toarray())), "X contains NaN", methods=ALL
    ),
    "None in a dense row": Fault(
        of_X(lambda X: element((40, 3), None)(X.toarray().astype(object))),
        "X contains NaN",
        methods=ALL,
    ),
    "no matrix": Fault(
        of_X(lambda X: X.toarray()[0]), "Expected 2D array, got 1D array", methods=ALL
    ),
    "three dimensions": Fault(
        of_X(lambda X: X.toarray()[np.newaxis]), "array with dim 3", methods=ALL
    ),
    "a number": Fault(of_X(lambda X: 3.0), "Expected 2D array, got scalar", methods=ALL),
    "None": Fault(of_X(lambda X: None), "Expected 2D array, got scalar", methods=ALL),
    "text": Fault(
        of_X(lambda X: ["a text"] * N_ROWS), "could not convert string to float: 'a te", methods=ALL
    ),
    "object array of text": Fault(
        of_X(lambda X: element((40, 3), "word")(X.toarray().astype(object))),
        "could not convert string to float: 'word'",
        methods=ALL,
    ),
    "dictionaries": Fault(
        of_X(lambda X: [{"a": 1}] * N_ROWS), "not 'dict'", TypeError, methods=ALL
    ),
    "complex numbers": Fault(of_X(lambda X: X * 1j), "Complex data not supported", methods=ALL),
    "lists of unlike length": Fault(
        of_X(lambda X: [[1.0, 2.0], [1.0]]), "inhomogeneous shape", methods=ALL
    ),
    "no rows": Fault(lambda X, y: (X[:0], y[:0], {}), r"0 sample\(s\)"),
    "no features": Fault(of_X(lambda X: X[:, :0]), r"0 feature\(s\)", methods=ALL),
    "fewer features": Fault(
        of_X(lambda X: X[:, 1:]),
        "X has 19 features, but .* is expecting 20",
        methods=("partial_fit", "predict"),
        needs_model=True,
    ),
    "more features": Fault(
        of_X(lambda X: sp.hstack([X, X], format="csr")),
        "X has 40 features, but .* is expecting 20",
        methods=("partial_fit", "predict"),
        needs_model=True,
    ),
    # -- X, a CSR matrix that is damaged --
    "column index behind the last": Fault(
        part("indices", element(-1, N_FEATURES)),
        "row 59 has the column index 20, of 20",
        methods=ALL,
    ),
    "column index far behind": Fault(
        part("indices", element(0, 2**31 - 1)), "row 0 has the column index 2147483647", methods=ALL
    ),
    "column index of 64 bits": Fault(
        part("indices", lambda indices: element(0, 2**40)(indices.astype(np.int64))),
        "row 0 has the column index 1099511627776",
        methods=ALL,
    ),
    "negative column index": Fault(
        part("indices", element(0, -1)), "row 0 has the column index -1", methods=ALL
    ),
    "float column indices": Fault(
        part("indices", lambda indices: indices + 0.5),
        "its indices and indptr must be integers",
        methods=ALL,
    ),
    "two-dimensional column indices": Fault(
        part("indices", np.atleast_2d), "its arrays must have one dimension", methods=ALL
    ),
    "two-dimensional data": Fault(
        part("data", np.atleast_2d), "its arrays must have one dimension", methods=ALL
    ),
    "data of text": Fault(
        part("data", lambda data: np.full(data.size, "word")),
        "could not convert string to float",
        methods=ALL,
    ),
    "indptr that does not begin at 0": Fault(
        part("indptr", element(0, 1)), "indptr does not rise from 0", methods=ALL
    ),
    "negative indptr": Fault(
        part("indptr", element(0, -1)), "indptr does not rise from 0", methods=ALL
    ),
    "indptr that falls": Fault(
        part("indptr", element(20, 0)), "indptr does not rise from 0", methods=ALL
    ),
    "indptr too short": Fault(
        part("indptr", lambda indptr: indptr[:-1]),
        "indptr does not rise from 0, row by row",
        methods=ALL,
    ),
    "indptr that points behind": Fault(
        part("indptr", element(-1, 10**6)), "indptr refers to more entries than it has", methods=ALL
    ),
    "float indptr": Fault(
        part("indptr", lambda indptr: indptr.astype(float)),
        "its indices and indptr must be integers",
        methods=ALL,
    ),
    "fewer data than indices": Fault(
        part("data", lambda data: data[:-1]),
        "indptr refers to more entries than it has",
        methods=ALL,
    ),
    "fewer indices than data": Fault(
        part("indices", lambda indices: indices[:-1]),
        "indptr refers to more entries than it has",
        methods=ALL,
    ),
    # -- y --
    "more rows in y": Fault(of_y(lambda y: np.append(y, 0)), "inconsistent numbers of samples"),
    "fewer rows in y": Fault(of_y(lambda y: y[1:]), "inconsistent numbers of samples"),
    "no y": Fault(of_y(lambda y: None), "requires y to be passed"),
    "y a number": Fault(of_y(lambda y: 1), "got scalar", TypeError),
    "y of three dimensions": Fault(of_y(lambda y: np.ones((len(y), 2, 2))), "array with dim 3"),
    "NaN in y": Fault(label(np.nan), "y contains NaN"),
    "infinity in y": Fault(label(np.inf), "y contains infinity"),
    "complex y": Fault(of_y(lambda y: y * 1j), "Complex data not supported"),
    "None in y": Fault(
        of_y(lambda y: element(4, None)(y.astype(object))),
        "y contains NaN",
        estimators=(REGRESSOR,),
    ),
    "None among classes": Fault(
        of_y(lambda y: element(4, None)(y.astype(object))),
        "Unknown label type",
        estimators=(CLASSIFIER,),
    ),
    "text as targets": Fault(
        of_y(lambda y: ["word"] * len(y)), "could not convert string", estimators=(REGRESSOR,)
    ),
    "targets of another shape": Fault(
        of_y(lambda y: np.column_stack([y, y])),
        r"y has the shape \(60, 2\), but y of the previous calls had the shape",
        methods=("partial_fit",),
        estimators=(REGRESSOR,),
        needs_model=True,
    ),
    "negative counts": Fault(
        label(-0.5),
        "'poisson' requires y >= 0; it is -0.5 at row 4",
        estimators=(REGRESSOR,),
        parameters={"loss": "poisson"},
    ),
    "continuous classes": Fault(
        of_y(lambda y: y + 0.5), "Unknown label type: continuous", estimators=(CLASSIFIER,)
    ),
    "several classes a row": Fault(
        of_y(lambda y: np.column_stack([y, y + 1])), "1d array", estimators=(CLASSIFIER,)
    ),
    "sparse column of classes": Fault(
        of_y(lambda y: sp.csr_matrix(y[:, np.newaxis])),
        r"A sparse y has a column for each label.* y.toarray\(\).ravel\(\)",
        estimators=(CLASSIFIER,),
    ),
    "labels after classes": Fault(
        of_y(lambda y: np.column_stack([y, 1 - y])),
        "y has several labels per row, but y of the previous calls had one class per row",
        methods=("partial_fit",),
        estimators=(CLASSIFIER,),
        needs_model=True,
    ),
    # -- classes --
    "a single class": Fault(
        of_y(np.ones_like), "greater than one; got 1", methods=("fit",), estimators=(CLASSIFIER,)
    ),
    "class not named before": Fault(
        label(2),
        "`y` has classes not in `self.classes_`",
        methods=("partial_fit",),
        estimators=(CLASSIFIER,),
    ),
    "other classes than in the first call": Fault(
        with_argument("classes", lambda X, y: [0, 1, 2]),
        "is not the same as on last call",
        methods=("partial_fit",),
        estimators=(CLASSIFIER,),
        needs_model=True,
    ),
    "classes of another kind": Fault(
        with_argument("classes", lambda X, y: 2),
        "Expected array-like",
        methods=("partial_fit",),
        estimators=(CLASSIFIER,),
    ),
    # -- weights --
    "NaN weight": Fault(weight(11, np.nan), "sample_weight contains NaN"),
    "infinite weight": Fault(weight(11, np.inf), "sample_weight contains infinity"),
    "negative weight": Fault(weight(11, -1.0), "`sample_weight`, the first at row 11"),
    "fewer weights": Fault(
        with_argument("sample_weight", lambda X, y: np.ones(len(y) - 1)), "sample_weight.shape"
    ),
    "two-dimensional weights": Fault(
        with_argument("sample_weight", lambda X, y: np.ones((len(y), 1))),
        "Sample weights must be 1D",
    ),
    "text as weights": Fault(
        with_argument("sample_weight", lambda X, y: ["heavy"] * len(y)), "to float: 'heavy'"
    ),
    "no row with weight": Fault(
        with_argument("sample_weight", lambda X, y: np.zeros(len(y))),
        "Sample weights must contain at least one non-zero",
        methods=("fit",),
    ),
    # -- where to start from --
    **{
        f"{name} {what}": Fault(
            with_argument(name, lambda X, y, value=value: value),
            f"{name} {message}",
            methods=("fit",),
        )
        for name in ("coef_init", "intercept_init")
        for what, value, message in [
            ("of another size", np.ones(3), "does not match dataset"),
            ("of text", ["word"], "is not an array of numbers"),
            ("of another size, sparse", sp.csr_matrix(np.ones(3)), "does not match dataset"),
        ]
    },
    "coef_init with NaN": Fault(
        with_argument("coef_init", lambda X, y: element(7, np.nan)(np.zeros(N_FEATURES))),
        "coef_init contains NaN or infinity",
        methods=("fit",),
    ),
    "intercept_init infinite": Fault(
        with_argument("intercept_init", lambda X, y: np.inf),
        "intercept_init contains NaN or infinity",
        methods=("fit",),
    ),
    # -- numbers so large that a step overflows --
    "huge entry": Fault(of_X(huge_entry), r"overflow occurred at .*row 0\b.*smaller eta0"),
    "huge weights": Fault(
        with_argument("sample_weight", lambda X, y: np.full(len(y), 1e300)),
        r"overflow occurred at .*row \d+\b",
    ),
    "huge targets": Fault(
        of_y(lambda y: np.where(y, 1e300, -1e300)),
        r"overflow occurred at .*row \d+\b",
        estimators=(REGRESSOR,),
        parameters={"eta0": 0.1},
    ),
    # -- parameters that do not fit together, or to the method or the data --
    "elastic net without l1_ratio": Fault(
        unchanged, "l1_ratio must be set", parameters={"penalty": "elasticnet", "l1_ratio": None}
    ),
    "decay that turns signs": Fault(
        unchanged,
        r"eta0 \* alpha must be less than 1",
        parameters={"eta0": 10.0, "alpha": 1.0},
        optimizers=tuple(name for name, spec in OPTIMIZERS.items() if spec.decoupled),
    ),
    "momentum that grows while idle": Fault(
        unchanged,
        r"needs beta_1 < sqrt\(beta_2\)",
        parameters={"beta_1": 0.9, "beta_2": 0.5},
        optimizers=tuple(name for name, spec in OPTIMIZERS.items() if "beta_1" in spec.parameters),
    ),
    "mean that never changes": Fault(
        unchanged,
        "rho must be less than 1",
        parameters={"rho": 1},
        optimizers=tuple(
            name
            for name, spec in OPTIMIZERS.items()
            if "rho" in [moment.memory for moment in spec.moments]
        ),
    ),
    "early stopping in partial_fit": Fault(
        unchanged,
        "early_stopping should be False",
        methods=("partial_fit",),
        parameters={"early_stopping": True},
    ),
    "warm start of another size": Fault(
        of_X(lambda X: X[:, 1:]),
        r"warm_start=True.*\(1, 20\).*\(1, 19\)",
        methods=("fit",),
        parameters={"warm_start": True},
        needs_model=True,
    ),
    "warm start with more classes": Fault(
        of_y(lambda y: np.arange(len(y)) % 3),
        r"warm_start=True.*\(1, 20\).*\(3, 20\)",
        methods=("fit",),
        estimators=(CLASSIFIER,),
        parameters={"warm_start": True},
        needs_model=True,
    ),
    "warm start with more targets": Fault(
        of_y(lambda y: np.column_stack([y, y, y])),
        r"warm_start=True.*\(1, 20\).*\(3, 20\)",
        methods=("fit",),
        estimators=(REGRESSOR,),
        parameters={"warm_start": True},
        needs_model=True,
    ),
    "schedule that the optimizer does not take": Fault(
        unchanged,
        "learning_rate must be 'constant' or 'adaptive' with optimizer=.* Got 'invscaling'",
        optimizers=tuple(
            name for name, spec in OPTIMIZERS.items() if "invscaling" not in spec.learning_rates
        ),
        parameters={"learning_rate": "invscaling"},
    ),
    "misspelt scorer": Fault(
        unchanged, "The 'scoring' parameter of .* 'acc'", parameters={"scoring": "acc"}
    ),
    # -- more than the kernel counts, and than any memory has --
    **{
        f"2^{bits} features": Fault(
            of_X(lambda X, bits=bits: with_columns(X, 2**bits)),
            rf"n_features={2**bits:,}, but 2,147,483,647 are the most",
            # a model that there is knows its number
            methods=("fit",),
        )
        for bits in (31, 60)
    },
    "2^31 - 1 features of 10,000 labels": Fault(
        lambda X, y: (with_columns(X, 2**31 - 1), np.eye(len(y), 10_000, dtype=int), {}),
        r"2,147,483,647 features.* \d+ bytes.*n_features",
        MemoryError,
        methods=("fit",),
        estimators=(CLASSIFIER,),
    ),
    "softmax of another loss": Fault(
        unchanged,
        "multi_class='multinomial' needs loss='log_loss'",
        estimators=(CLASSIFIER,),
        parameters={"multi_class": "multinomial", "loss": "hinge"},
    ),
    "balanced classes in partial_fit": Fault(
        unchanged,
        "'balanced' is not supported for partial_fit",
        methods=("partial_fit",),
        estimators=(CLASSIFIER,),
        parameters={"class_weight": "balanced"},
    ),
    **{
        f"class_weight of {what}": Fault(
            unchanged, message, estimators=(CLASSIFIER,), parameters={"class_weight": class_weight}
        )
        for what, class_weight, message in [
            ("NaN", {0: np.nan}, "class_weight must be finite and not negative"),
            ("infinity", {0: np.inf}, "class_weight must be finite and not negative"),
            ("less than zero", {0: -1.0}, "class_weight must be finite and not negative"),
            ("text", {0: "heavy"}, "could not convert string to float: 'heavy'"),
            ("other classes", {5: 2.0}, "are not in class_weight"),
        ]
    },
}

# Of each parameter values out of its range or of a wrong type.
BAD_VALUES = {
    "loss": ["no_loss", None, 1],
    "optimizer": ["sgd", None],
    "penalty": ["l3", 2],
    "alpha": [-1e-9, "1", np.nan, np.inf, None],
    "l1_ratio": [-0.1, 1.1, np.nan, "half"],
    "fit_intercept": [None, "yes"],
    "max_iter": [0, 1.5, None],
    "tol": [-1.0, np.nan, "small"],
    "shuffle": [None, "yes"],
    "batch_size": [0, 2.5, "all", None],
    "learning_rate": ["optimal", None, 0.1],
    "eta0": [0.0, -1.0, np.nan, np.inf, "large", None],
    "refit": ["yes", 2, None],
    "power_t": [-0.5, np.nan, np.inf, None],
    "rho": [1.1, -0.1, np.nan, "long"],
    "beta_1": [1.0, -0.1, np.nan, None],
    "beta_2": [0.0, 1.0, np.nan, None],
    "eps": [0.0, -1e-8, np.nan, np.inf, "tiny"],
    "sparse_update": ["lazy", None, True],
    "epsilon": [-0.1, np.nan, np.inf, None],
    "early_stopping": ["yes", None],
    "positive": ["yes", None],
    "bounds": [1.0, "wide"],
    "penalty_factor": [1.0, "heavy"],
    "scoring": [1.0, ["accuracy"], "acc", "Loss"],
    "validation_fraction": [0.0, 1.0, np.nan, None],
    "n_iter_no_change": [0, 1.5, None],
    "warm_start": ["no", None],
    "average": [-1, 1.5, "yes", None],
    "normalize": ["yes", None],
    "n_jobs": [1.5, "all"],
    "verbose": [-1, None],
    "random_state": ["seed", -1],
}
BAD_VALUES_OF_ONE = {
    CLASSIFIER: {
        "class_weight": ["heavy", 2.0],
        "multi_class": ["ovo", None],
        "majority_sampling": [0.0, 1.1, np.nan, "half"],
    },
    REGRESSOR: {
        "quantile": [0.0, 1.0, np.nan, None],
        "expectile": [0.0, 1.0, np.nan, None],
        "power": [0.9, 2.1, np.nan, None],
    },
}


def values_of(numbers):
    """Every number of a nested state, as bytes, by its place."""
    if isinstance(numbers, dict):
        return {name: values_of(value) for name, value in numbers.items()}
    if isinstance(numbers, np.ndarray) and numbers.dtype.names:
        return {name: values_of(numbers[name]) for name in numbers.dtype.names}
    # the bytes of objects are where they are in memory
    if isinstance(numbers, np.ndarray) and numbers.dtype != object:
        return numbers.dtype, numbers.shape, numbers.tobytes()
    return repr(numbers)


def attributes_of(model):
    """All that a model has learned, and its public attributes. It may have no mixture's."""
    public = [name for name in dir(model) if name.endswith("_") and not name.startswith("_")]
    return values_of(model.__getstate__()), [
        values_of(getattr(model, name, None)) for name in public
    ]


def start(rows, estimator, optimizer):
    """A half-trained model."""
    X, y = rows
    first = {"classes": [0, 1]} if estimator is CLASSIFIER else {}
    model = estimator(optimizer=optimizer, penalty="elasticnet", alpha=1e-3)
    return model.partial_fit(X, y, **first)


def check_it_goes_on(model, twin, rows):
    """As if the bad call had not been."""
    X, y = rows
    for each in (model, twin):
        each.partial_fit(X[7:11], y[7:11])
    assert_same_model(model, twin)


@pytest.fixture(scope="module")
def pairs(rows):
    """A model and its twin, which has never seen a fault, for each kind of model.

    Whoever takes them puts them back if all went well.
    """

    class Pairs(dict):
        def take(self, *kind):
            return self.pop(kind, None) or (start(rows, *kind), start(rows, *kind))

    return Pairs()


def bad_call(model, method, fault, rows, first_call=False):
    X, y, named = fault.make(*rows)
    if method == "predict":
        model.predict(X)
        return
    if first_call and method == "partial_fit" and isinstance(model, CLASSIFIER):
        named = {"classes": [0, 1], **named}
    getattr(model, method)(X, y, **named)


@pytest.mark.values("name", "optimizer")
@pytest.mark.parametrize(
    ("name", "optimizer"),
    [(name, optimizer) for name, fault in FAULTS.items() for optimizer in fault.optimizers],
)
def test_a_fault_costs_nobody_a_model(rows, pairs, name, optimizer):
    fault = FAULTS[name]
    for estimator in fault.estimators:
        for method in fault.methods:
            model, twin = pairs.take(estimator, optimizer)
            good = {key: getattr(model, key) for key in fault.parameters}
            model.set_params(**fault.parameters)
            with pytest.raises(fault.error, match=fault.message):
                bad_call(model, method, fault, rows)
            model.set_params(**good)
            assert attributes_of(model) == attributes_of(twin)
            check_it_goes_on(model, twin, rows)
            pairs[estimator, optimizer] = model, twin


@pytest.mark.values("name", "optimizer")
@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        (name, optimizer)
        for name, fault in FAULTS.items()
        for optimizer in fault.optimizers
        if not fault.needs_model
    ],
)
def test_a_fault_of_the_first_call_leaves_no_model(rows, name, optimizer):
    fault = FAULTS[name]
    for estimator in fault.estimators:
        for method in set(fault.methods) - {"predict"}:
            model = estimator(optimizer=optimizer, **fault.parameters)
            before = set(own_attributes(model))
            with pytest.raises(fault.error, match=fault.message):
                bad_call(model, method, fault, rows, first_call=True)
            assert set(own_attributes(model)) == before


@every_optimizer
@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR])
def test_bad_parameter_values_name_the_parameter(rows, pairs, estimator, optimizer):
    X, y = rows
    first = {"classes": [0, 1]} if estimator is CLASSIFIER else {}
    bad = {**BAD_VALUES, **BAD_VALUES_OF_ONE[estimator]}
    # none is forgotten
    assert set(estimator().get_params()) == set(bad)
    model, twin = pairs.take(estimator, optimizer)
    for name, values in bad.items():
        good = getattr(model, name)
        message = f"The {name!r} parameter of {estimator.__name__}"
        for value in values:
            model.set_params(**{name: value})
            with pytest.raises(ValueError, match=message):
                model.fit(X, y)
            with pytest.raises(ValueError, match=message):
                model.partial_fit(X, y)
            new = estimator(**{"optimizer": optimizer, name: value})
            with pytest.raises(ValueError, match=message):
                new.partial_fit(X, y, **first)
            assert set(own_attributes(new)) == set(new.get_params())
        model.set_params(**{name: good})
    with pytest.raises(ValueError, match="Invalid parameter 'momentum'"):
        model.set_params(momentum=0.9)
    assert attributes_of(model) == attributes_of(twin)
    check_it_goes_on(model, twin, rows)
    pairs[estimator, optimizer] = model, twin


@every_optimizer
def test_names_of_features_that_changed(rows, optimizer):
    X, y = rows
    names = [f"x{i}" for i in range(N_FEATURES)]
    frame = pd.DataFrame(X.toarray(), columns=names)
    model, twin = (start((frame, y), CLASSIFIER, optimizer) for _ in range(2))
    for bad in (frame.iloc[:, ::-1], frame.rename(columns={"x3": "other"}), frame.iloc[:, 1:]):
        with pytest.raises(ValueError, match="feature names should match"):
            model.partial_fit(bad, y)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(bad)
    mixed = frame.set_axis([*names[:-1], 7], axis=1)
    for method in BOTH:
        with pytest.raises(TypeError, match="column name type"):
            getattr(model, method)(mixed, y)
    assert attributes_of(model) == attributes_of(twin)
    check_it_goes_on(model, twin, (frame, y))


@every_optimizer
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_numbers_beyond_single_precision(rows, optimizer):
    X, y = rows
    single = X.astype(np.float32), y
    model, twin = (start(single, CLASSIFIER, optimizer) for _ in range(2))
    bad = X.copy()
    bad.data[30] = 1e100
    with pytest.raises(ValueError, match="too large for dtype"):
        model.partial_fit(bad, y)
    assert attributes_of(model) == attributes_of(twin)
    check_it_goes_on(model, twin, single)


@every_optimizer
def test_classes_of_the_first_call(rows, optimizer):
    X, y = rows
    model = CLASSIFIER(optimizer=optimizer)
    for classes, message in [
        (None, "classes must be passed on the first call"),
        ([1], "greater than one; got 1 class"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, np.ones_like(y), classes=classes)
        assert set(own_attributes(model)) == set(model.get_params())


@every_optimizer
@pytest.mark.parametrize("estimator", [CLASSIFIER, REGRESSOR])
def test_numbers_larger_than_there_is_anything_of(rows, estimator, optimizer):
    """A batch of more rows than there are is one of all rows, and so on: no number is too large."""
    X, y = rows
    first = {"classes": [0, 1]} if estimator is CLASSIFIER else {}
    for huge in (10**10, 2**31, 2**63, 2**70):
        models = {
            "all": estimator(optimizer=optimizer, batch_size=N_ROWS),
            "more": estimator(optimizer=optimizer, batch_size=huge),
        }
        for model in models.values():
            model.set_params(random_state=0, max_iter=3, tol=None)
            model.fit(X, y).partial_fit(X, y)
        assert_same_model(*models.values())
        for model in models.values():
            model.set_params(batch_size=N_ROWS if model is models["all"] else huge)
            model.fit(X[:30], y[:30]).partial_fit(X, y, sample_weight=np.arange(N_ROWS) % 3)
        assert_same_model(*models.values())
        for name in ("n_iter_no_change", "average"):
            model = estimator(optimizer=optimizer, random_state=0, max_iter=3, tol=None)
            expected = estimator(optimizer=optimizer, random_state=0, max_iter=3, tol=None)
            model.set_params(**{name: huge})
            assert_same_model(model.fit(X, y), expected.fit(X, y))
        model = estimator(optimizer=optimizer, max_iter=huge, random_state=0, tol=0.1)
        expected = estimator(optimizer=optimizer, max_iter=100, random_state=0, tol=0.1)
        assert_same_model(model.fit(X, y), expected.fit(X, y))
        new = estimator(optimizer=optimizer, batch_size=huge).partial_fit(X, y, **first)
        assert new.t_ == 2


@every_optimizer
def test_coefficients_of_a_sparsified_model_are_where_to_start_from(rows, optimizer):
    X, y = rows
    settings = {"optimizer": optimizer, "random_state": 0, "max_iter": 2, "tol": None}
    for estimator in (CLASSIFIER, REGRESSOR):
        before = estimator(penalty="l1", alpha=0.01, **settings).fit(X, y)
        coef = before.coef_
        expected = estimator(**settings).fit(X, y, coef_init=coef)
        sparse = before.sparsify().coef_
        assert sp.issparse(sparse)
        for form in (sp.csr_matrix, sp.csc_array, sp.coo_matrix):
            assert_same_model(estimator(**settings).fit(X, y, coef_init=form(sparse)), expected)


def test_messages_are_those_of_scikit_learn(rows):
    """Programs that look for them find them."""
    X, y = rows
    huge = huge_entry(X)
    weight = np.zeros(N_ROWS)
    for (model, method, arguments), message in [
        (
            (CLASSIFIER(), "fit", {"X": huge}),
            r"Floating-point under-/overflow occurred at epoch #.* Scaling input data with "
            r"StandardScaler or MinMaxScaler might help\.",
        ),
        (
            (CLASSIFIER(), "fit", {"sample_weight": weight}),
            "Sample weights must contain at least one non-zero number.",
        ),
        (
            (CLASSIFIER(early_stopping=True), "fit", {"sample_weight": weight}),
            "The sample weights for validation set are all zero, consider using a different "
            "random state.",
        ),
        (
            (CLASSIFIER(early_stopping=True), "partial_fit", {"classes": [0, 1]}),
            "early_stopping should be False with partial_fit",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(**{"X": X, "y": y, **arguments})
