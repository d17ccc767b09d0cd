"""Each kind of label in each call: what is the same class, and what never is.

Text is never the same as a number, however many classes there are. Numbers of any type are the
same class if they are equal as numbers, also above 2^53, where floats skip integers.
"""

import copy
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn.base import clone
from sklearn.metrics import accuracy_score, adjusted_rand_score, make_scorer

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor

N_ROWS = 80
FIRST, LATER = slice(0, N_ROWS // 2), slice(N_ROWS // 2, N_ROWS)
# where calls with some of the later rows begin and end, the first with a single one
PIECES = [*range(N_ROWS // 2, N_ROWS // 2 + 6), N_ROWS]


@pytest.fixture(scope="module")
def X():
    return sp.random(N_ROWS, 12, density=0.4, random_state=0, format="csr")


def new(**parameters):
    return AdaptiveSGDClassifier(**{"max_iter": 2, "tol": None, "random_state": 0, **parameters})


def codes(n_classes):
    return np.arange(N_ROWS) * 7 % n_classes


def words(code):
    """Text that is a number to whoever converts it, in the order of the numbers."""
    return np.char.zfill(np.asarray(code).astype(str), 2)


# How users have numbers and text; all take codes.
NUMBERS = {
    "int64": lambda code: code,
    "int8": lambda code: code.astype(np.int8),
    "uint64": lambda code: code.astype(np.uint64),
    "float64": lambda code: code.astype(float),
    "float32": lambda code: code.astype(np.float32),
    "list": lambda code: code.tolist(),
    "Int64": lambda code: pd.Series(code).astype("Int64"),
    "UInt16": lambda code: pd.Series(code).astype("UInt16"),
    "category": lambda code: pd.Series(code).astype("category"),
}
# of two classes
BOOLEANS = {
    "bool": lambda code: code > 0,
    "boolean": lambda code: pd.Series(code > 0).astype("boolean"),
    "list of bool": lambda code: (code > 0).tolist(),
}
TEXT = {
    "words": words,
    "objects": lambda code: words(code).astype(object),
    "list": lambda code: words(code).tolist(),
    "string": lambda code: pd.Series(words(code)).astype("string"),
    "category": lambda code: pd.Series(words(code)).astype("category"),
}
if hasattr(np.dtypes, "StringDType"):
    TEXT["StringDType"] = lambda code: words(code).astype(np.dtypes.StringDType())

FAMILIES = {
    **{("numbers", n_classes): NUMBERS for n_classes in (3, 20)},
    ("numbers", 2): {**NUMBERS, **BOOLEANS},
    **{("text", n_classes): TEXT for n_classes in (2, 3, 20)},
}


@pytest.mark.parametrize(
    ("n_classes", "kind"),
    [(family[1], kind) for family, kinds in FAMILIES.items() for kind in kinds.values()],
    ids=["-".join(map(str, (*family, kind))) for family in FAMILIES for kind in FAMILIES[family]],
)
def test_equal_labels_are_the_same_class_whatever_their_type(X, n_classes, kind):
    code = codes(n_classes)
    plain = words if kind in TEXT.values() else (lambda code: code)
    every = np.arange(n_classes)
    fitted = new().fit(X[FIRST], plain(code[FIRST]))
    streamed = new().partial_fit(X[FIRST], plain(code[FIRST]), classes=plain(every))
    # in a first call
    model = new().fit(X[FIRST], kind(code[FIRST]))
    assert_same_model(model, fitted)
    np.testing.assert_array_equal(model.classes_, fitted.classes_)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    # as all classes, beside labels of another type
    model = new().partial_fit(X[FIRST], plain(code[FIRST]), classes=kind(every))
    assert_same_model(model, streamed)
    model = new().partial_fit(X[FIRST], kind(code[FIRST]), classes=plain(every))
    assert_same_model(model, streamed)
    # in a later call
    for begun in (fitted, streamed):
        expected = copy.deepcopy(begun).partial_fit(X[LATER], plain(code[LATER]))
        model = copy.deepcopy(begun)
        model.partial_fit(X[LATER], kind(code[LATER]), classes=kind(every))
        assert_same_model(model, expected)
        model = copy.deepcopy(begun)
        for start, stop in pairwise(PIECES):
            model.partial_fit(X[start:stop], kind(code[start:stop]))
        assert_same_model(model, expected)
    # to be scored
    score = fitted.score(X[LATER], plain(code[LATER]))
    assert fitted.score(X[LATER], kind(code[LATER])) == score
    for scoring in ("loss", "accuracy"):
        scores = [
            new(early_stopping=True, scoring=scoring)
            .fit(X[FIRST], plain(code[FIRST]), X_val=X[LATER], y_val=y_val)
            .validation_scores_
            for y_val in (plain(code[LATER]), kind(code[LATER]))
        ]
        assert scores[0] == scores[1]


@pytest.mark.pairs("number", "n_classes", "text")
@pytest.mark.parametrize(
    ("n_classes", "number"),
    [(n_classes, kind) for n_classes in (2, 3, 20) for kind in FAMILIES["numbers", n_classes]],
)
@pytest.mark.parametrize("text", TEXT)
def test_text_is_never_a_number(X, text, n_classes, number):
    """Not even text that NumPy's conversion of numbers to text gives."""
    code = codes(n_classes)
    every = np.arange(n_classes)
    message = r"`y` has classes not in|not the same as on"
    number, text = FAMILIES["numbers", n_classes][number], TEXT[text]
    for one, other in ((number, text), (text, number)):
        y, others, classes = one(code), other(code), other(every)
        begun = new().partial_fit(X, y, classes=one(every))
        twin = copy.deepcopy(begun)
        with pytest.raises(ValueError, match=message):
            new().fit(X, y, X_val=X, y_val=others)
        for model, *arguments in [
            (new(), X, y, classes),
            (begun, X, others),
            (begun, X[0], other(code[:1])),
            (begun, X, y, classes),
        ]:
            with pytest.raises(ValueError, match=message):
                model.partial_fit(*arguments)
        assert_same_model(begun, twin)
        weights = dict.fromkeys(np.asarray(classes).tolist(), 2.0)
        for method, *named in (("fit",), ("partial_fit", one(every))):
            with pytest.raises(ValueError, match="are not in class_weight, whose keys are"):
                getattr(new(class_weight=weights), method)(X, y, *named)


# integers that are the same as floats
LARGE = {
    "int64": lambda code: code + 2**60,
    "uint64": lambda code: code.astype(np.uint64) + np.uint64(2**60),
    "list": lambda code: [int(one) + 2**60 for one in code],
    "Int64": lambda code: pd.Series(code + 2**60).astype("Int64"),
    "UInt64": lambda code: pd.Series(code + 2**60).astype("UInt64"),
    "category": lambda code: pd.Series(code + 2**60).astype("category"),
    "frame": lambda code: pd.DataFrame({"y": code + 2**60}).astype("Int64"),
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("n_classes", [2, 3, 20])
@pytest.mark.parametrize("kind", LARGE.values(), ids=LARGE)
def test_integers_are_compared_as_integers(X, kind, n_classes):
    code, every = codes(n_classes), np.arange(n_classes)
    expected = new().fit(X, code).partial_fit(X, code)
    streamed = new().partial_fit(X, code, classes=every).partial_fit(X, code)
    model = new().fit(X, kind(code))
    np.testing.assert_array_equal(model.classes_, LARGE["list"](every))
    for other in LARGE.values():
        assert_same_model(copy.deepcopy(model).partial_fit(X, other(code)), expected)
        begun = new().partial_fit(X, kind(code), classes=np.asarray(LARGE["uint64"](every)))
        assert_same_model(begun.partial_fit(X, other(code)), streamed)
    model.partial_fit(X, kind(code))
    hits = (model.predict(X) == LARGE["int64"](code)).mean()
    assert model.score(X, kind(code)) == hits < 1
    validated = new(early_stopping=True, scoring="accuracy")
    validated.fit(X, LARGE["int64"](code), X_val=X, y_val=kind(code))
    assert max(validated.validation_scores_) < 1
    # what is no class
    for stranger in (2**60 + n_classes, 2**60 - 1, -(2**60), 2.0**61):
        with pytest.raises(ValueError, match=r"`y` has classes not in"):
            model.partial_fit(X[0], [stranger])


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("kinds", [NUMBERS, TEXT, LARGE], ids=["numbers", "text", "large"])
def test_a_search_takes_labels_of_any_type(X, kinds):
    """Splits are stratified, and scorers compare, as for any other type."""
    code, results = codes(5), []
    plain = AdaptiveGridSearchCV(new(), {"eta0": [0.1, 1.0]}, cv=3)
    for kind in kinds.values():
        for scoring in ("loss", "accuracy", None):
            search = clone(plain).set_params(scoring=scoring).fit(X, kind(code))
            results.append((scoring, *search.cv_results_["mean_test_score"]))
            results.append((scoring, search.score(X, kind(code))))
    assert len(set(results)) == 6


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_the_sign_and_the_last_bit_of_a_number_count(X):
    """Of numbers whose bits are those of a class, or which a conversion makes one."""
    for classes, strangers in [
        (np.array([0, 2**64 - 1], np.uint64), [-1, 2**64 - 2, -1.0, 1.8446744073709552e19]),
        (np.array([-1, 0]), [2**64 - 1, 1.8446744073709552e19]),
        (np.array([2**53, 2**53 + 1]), [2**53 + 2, 2**53 - 1.0]),
        (np.array([0.0, 2.0**53]), [2**53 + 1, 1]),
        (np.array([False, True]), [2, -1, 2.0, 256]),
        (np.array([0, 1], np.int8), [256, 257, -256, 256.0]),
    ]:
        y = np.resize(classes, N_ROWS)
        model, twin = (new().partial_fit(X, y, classes=classes) for _ in range(2))
        for stranger in strangers:
            for wrap in (list, np.array):
                with pytest.raises(ValueError, match=r"`y` has classes not in|Unknown label type"):
                    model.partial_fit(X[0], wrap([stranger]))
            assert_same_model(model, twin)


MIXTURES = {
    "list": lambda code: ["no" if one else 0 for one in code],
    "tuple": lambda code: tuple("no" if one else 0 for one in code),
    "list with None": lambda code: ["no" if one else None for one in code],
    "objects": lambda code: np.array(["no" if one else 1 for one in code[::-1]], object),
    "column": lambda code: pd.Series(["no" if one else 1.5 for one in code[::-1]]),
    "missing words": lambda code: pd.Series(["no" if one else None for one in code]),
    "missing strings": lambda code: pd.Series([None, *words(code[1:])], dtype="string"),
    "missing integers": lambda code: pd.Series([None, *code[1:]], dtype="Int64"),
    "missing categories": lambda code: pd.Series([None, *words(code[1:])], dtype="category"),
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_text_beside_anything_else_is_refused(X, mixture):
    """Of which NumPy would make text, or scikit-learn an error that names nothing."""
    code = codes(2)
    model = new().partial_fit(X, words(code), classes=["00", "01"])
    twin = copy.deepcopy(model)
    message = r"(y|classes) (mixes text with|contains NaN, or).* position \d"
    for call in (
        lambda: new().fit(X, mixture(code)),
        lambda: new().partial_fit(X, code, classes=mixture(np.arange(2))),
        lambda: model.partial_fit(X, mixture(code)),
        lambda: model.partial_fit(X[:2], mixture(np.arange(2))),
        lambda: model.partial_fit(X, words(code), classes=mixture(np.arange(2))),
        lambda: model.fit(X, words(code), X_val=X, y_val=mixture(code)),
        lambda: AdaptiveGridSearchCV(new()).fit(X, mixture(code)),
    ):
        with pytest.raises(ValueError, match=message):
            call()
        assert_same_model(model, twin)


def test_words_keep_zeros_at_their_ends(X):
    """Which NumPy's text has not."""
    y = np.array(["a", "a\0"], object)[codes(2)]
    expected = new().fit(X, codes(2)).partial_fit(X, codes(2))
    model = new().fit(X, y).partial_fit(X, y)
    assert_same_model(model, expected)
    assert model.classes_.tolist() == ["a", "a\0"]
    streamed = new().partial_fit(X, y, classes=["a", "a\0"])
    assert_same_model(streamed, new().partial_fit(X, codes(2), classes=[0, 1]))
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(X[0], np.array(["a\0\0"], object))


# --- labels ---

LABELS = {
    "int64": lambda Y: Y,
    "bool": lambda Y: Y > 0,
    "uint64": lambda Y: Y.astype(np.uint64),
    "float32": lambda Y: Y.astype(np.float32),
    "list": lambda Y: Y.tolist(),
    "frame": pd.DataFrame,
    "frame of Int64": lambda Y: pd.DataFrame(Y).astype("Int64"),
    "frame of boolean": lambda Y: pd.DataFrame(Y).astype("boolean"),
    "CSR": sp.csr_matrix,
    "CSC array of bool": lambda Y: sp.csc_array(Y > 0),
}
NAMES = ["sports", "arts", "tech"]


def label_matrix():
    return np.random.default_rng(0).integers(2, size=(N_ROWS, 3))


@pytest.mark.parametrize("kind", LABELS.values(), ids=LABELS)
def test_labels_of_any_type(X, kind):
    Y = label_matrix()
    expected = new().fit(X, Y).partial_fit(X, Y)
    model = new().fit(X, kind(Y))
    for row in range(N_ROWS):
        model.partial_fit(X[row], kind(Y[row : row + 1]))
    assert_same_model(model, expected)
    begun = new().fit(X, Y)
    assert_same_model(begun.partial_fit(X, kind(Y)), expected)
    for scoring in ("loss", "accuracy"):
        scores = [
            new(early_stopping=True, scoring=scoring)
            .fit(X, Y, X_val=X, y_val=y_val)
            .validation_scores_
            for y_val in (Y, kind(Y))
        ]
        assert scores[0] == scores[1]


@pytest.mark.parametrize(
    "names",
    [NAMES, np.array(NAMES), pd.Series(NAMES), pd.Index(NAMES), (7, 2, 5), np.array([2.0, 7, 5])],
    ids=lambda names: type(names).__name__,
)
def test_names_of_labels_keep_their_order(X, names):
    Y = label_matrix()
    expected = new().partial_fit(X, Y).partial_fit(X, Y)
    model = new().partial_fit(X, Y, classes=names)
    np.testing.assert_array_equal(model.classes_, names)
    model.partial_fit(X[:9], Y[:9], classes=names)
    twin = copy.deepcopy(model)
    for others in (sorted(names), list(reversed(names)), list(names)[:2], [*names, names[0]]):
        if list(others) != list(names):
            with pytest.raises(ValueError, match=r"not the same as.*in their order"):
                model.partial_fit(X, Y, classes=others)
    assert_same_model(model, twin)
    model = new().partial_fit(X, Y, classes=names).partial_fit(X, Y, classes=list(names))
    assert_same_model(model, expected)


@pytest.mark.parametrize("classes", [[0, 1], ["sports"] * 3, NAMES[:2], [*NAMES, "more"], 3])
def test_classes_of_labels_are_the_names_of_all(X, classes):
    with pytest.raises(ValueError, match=r"needs no `classes`.*name for each of the 3 columns"):
        new().partial_fit(X, label_matrix(), classes=classes)
    # of two labels these are the names that they have anyway
    two = label_matrix()[:, :2]
    assert_same_model(new().partial_fit(X, two, classes=[0, 1]), new().partial_fit(X, two))


def test_a_sparse_column_is_no_label_matrix(X):
    y = sp.csr_matrix(codes(2)[:, np.newaxis])
    begun = new().partial_fit(X, codes(2), classes=[0, 1])
    for call in (
        lambda: new().fit(X, y),
        lambda: new().partial_fit(X, y),
        lambda: begun.partial_fit(X, y),
        lambda: new().fit(X, codes(2), X_val=X, y_val=y),
    ):
        with pytest.raises(ValueError, match=r"at least two of them; this one has a single column"):
            call()
    # and its advice helps
    assert_same_model(new().fit(X, y.toarray().ravel()), new().fit(X, codes(2)))


# --- class_weight ---


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_each_label_has_its_own_weights(X, method):
    Y = label_matrix()
    of_labels = [{0: 1.0, 1: 3.0}, {}, {1: 0.5}]
    parameters = {"eta0": 0.1, "eps": 1e-3, "alpha": 1e-3}
    model = getattr(new(class_weight=of_labels, **parameters), method)(X, Y)
    for k, of_label in enumerate(of_labels):
        named = {"classes": [0, 1]} if method == "partial_fit" else {}
        single = getattr(new(class_weight=of_label, **parameters), method)(X, Y[:, k], **named)
        np.testing.assert_allclose(model.coef_[k], single.coef_[0], rtol=1e-12)
    same = getattr(new(class_weight=of_labels[:1] * 3), method)(X, Y)
    assert_same_model(same, getattr(new(class_weight=of_labels[0]), method)(X, Y))


CLASS_WEIGHTS_OF_LABELS = {
    "of another key": ({0: 1.0, 1: 2.0, 2: 5.0}, r"0 or 1.*keys of class_weight, not \[2\]"),
    "of text": ({"1": 2.0}, r"keys of class_weight, not \['1'\]"),
    "by name": (dict.fromkeys(NAMES, 2.0), "keys of class_weight, not .*'sports'"),
    "too few": ([{1: 2.0}] * 2, "a list of 3 dicts, one for each label"),
    "another key in a list": ([{1: 2.0}, {2: 2.0}, {}], r"keys of class_weight, not \[2\]"),
    "negative in a list": ([{1: 2.0}, {1: -2.0}, {}], "finite and not negative"),
    "no dicts": ([1.0, 2.0, 3.0], "a list of 3 dicts, one for each label"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("class_weight", "message"), CLASS_WEIGHTS_OF_LABELS.values(), ids=CLASS_WEIGHTS_OF_LABELS
)
def test_keys_of_class_weight_are_what_labels_are(X, method, class_weight, message):
    Y = label_matrix()
    begun = new().partial_fit(X, Y)
    twin = copy.deepcopy(begun)
    for model in (new(), begun):
        with pytest.raises(ValueError, match=message):
            getattr(model.set_params(class_weight=class_weight), method)(X, Y)
    assert_same_model(begun, twin)


def test_class_weight_of_classes_is_no_list(X):
    for method, named in (("fit", {}), ("partial_fit", {"classes": [0, 1]})):
        with pytest.raises(ValueError, match=r"class_weight is a list.*one class per row"):
            getattr(new(class_weight=[{1: 2.0}]), method)(X, codes(2), **named)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_class_weight_of_words_that_are_numbers(X, n_classes):
    """Keys are words, as the classes are."""
    code, weights = codes(n_classes), {0: 1.0, 1: 4.0, 2: 0.5}
    weights = {key: weights[key] for key in range(n_classes)}
    of_words = {str(words(np.array([key]))[0]): value for key, value in weights.items()}
    expected = new(class_weight=weights).fit(X, code).partial_fit(X, code)
    model = new(class_weight=of_words).fit(X, words(code)).partial_fit(X, words(code))
    assert_same_model(model, expected)


# --- scoring ---


def hits(y, predictions):
    return float(np.mean(y == predictions))


def hits_of(estimator, X, y):
    return hits(y, estimator.predict(X))


def weighted_hits_of(estimator, X, y, sample_weight=None):
    return accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)


SCORERS = {
    "function": (hits_of, False, hits),
    "function of weights": (weighted_hits_of, True, accuracy_score),
    "make_scorer": (make_scorer(hits), False, hits),
    "make_scorer of weights": (make_scorer(accuracy_score), True, accuracy_score),
    "callable object": (partial(hits_of), False, hits),
    "name without weights": ("adjusted_rand_score", False, adjusted_rand_score),
    "name": ("accuracy", True, accuracy_score),
    "None": (None, True, accuracy_score),
}


@pytest.mark.parametrize("weights", ["sample_weight", "class_weight", "both"])
@pytest.mark.parametrize("name", SCORERS)
def test_scorers_get_the_weights_that_they_take(X, name, weights):
    scoring, takes_weights, metric = SCORERS[name]
    code = codes(3)
    factors = {0: 1.0, 1: 4.0, 2: 0.5}
    sample_weight = np.random.default_rng(0).uniform(1, 3, size=N_ROWS)
    if weights == "class_weight":
        sample_weight = np.ones(N_ROWS)
    model = new(early_stopping=True, scoring=scoring, refit=False, validation_fraction=0.3)
    if weights != "sample_weight":
        model.set_params(class_weight=factors)
    seen = []

    def recorded(estimator, X, y, sample_weight=None):
        seen[:] = y, estimator.predict(X), sample_weight
        return 0.0

    named = {} if weights == "class_weight" else {"sample_weight": sample_weight}
    model.fit(X, code, **named)
    # the rows set aside, and the weights that a scorer may have of them
    recorder = new(**model.get_params()).set_params(scoring=recorded).fit(X, code, **named)
    y, _, weight = seen
    assert recorder.n_iter_ == model.n_iter_
    expected = metric(y, seen[1], **({"sample_weight": weight} if takes_weights else {}))
    assert model.validation_scores_[-1] == pytest.approx(expected)
    if takes_weights:
        assert expected != pytest.approx(metric(y, seen[1]))
    # given rows have no class weights
    given = {"X_val": X, "y_val": code, "sample_weight_val": sample_weight}
    model.fit(X, code, **named, **given)
    of_given = {"sample_weight": sample_weight} if takes_weights else {}
    assert max(model.validation_scores_) == pytest.approx(
        metric(code, model.predict(X), **of_given)
    )


def test_a_regressor_s_scorer_without_weights(X):
    y = X @ np.arange(12.0)
    weight = np.random.default_rng(0).uniform(1, 3, size=N_ROWS)
    model = AdaptiveSGDRegressor(early_stopping=True, scoring="neg_max_error", max_iter=3, tol=None)
    scores = [
        model.fit(X[FIRST], y[FIRST], X_val=X[LATER], y_val=y[LATER], sample_weight_val=each)
        for each in (None, weight[LATER])
    ]
    assert len({tuple(each.validation_scores_) for each in scores}) == 1


@pytest.mark.parametrize("kind", {**NUMBERS, **BOOLEANS}.values(), ids={**NUMBERS, **BOOLEANS})
def test_numbers_to_predict_are_of_any_type(X, kind):
    """But text is none, and what is missing has a place."""
    y = codes(2 if kind in BOOLEANS.values() else 5)

    def regressor(**parameters):
        return AdaptiveSGDRegressor(max_iter=2, tol=None, random_state=0, **parameters)

    expected = regressor().fit(X[FIRST], y[FIRST]).partial_fit(X[LATER], y[LATER])
    model = regressor().fit(X[FIRST], kind(y[FIRST]))
    for row in range(N_ROWS // 2, N_ROWS):
        model.partial_fit(X[row], kind(y[row : row + 1]))
    assert_same_model(model, expected)
    scores = [
        regressor(early_stopping=True)
        .fit(X[FIRST], y[FIRST], X_val=X[LATER], y_val=y_val)
        .validation_scores_
        for y_val in (y[LATER], kind(y[LATER]))
    ]
    assert scores[0] == scores[1]
    for text in TEXT.values():
        with pytest.raises(ValueError, match="could not convert string to float"):
            model.partial_fit(X, text(np.char.add("x", words(y))))
    for name in ("missing integers", "missing strings"):
        with pytest.raises(ValueError, match=r"y contains NaN, or .* at position 0"):
            model.partial_fit(X, MIXTURES[name](y))
    assert_same_model(model, expected)
