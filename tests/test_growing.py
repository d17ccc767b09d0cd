"""Classes and labels that appear while a stream is learned: classes="grow"."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from modes import every_mode, every_optimizer

from sk_adaptive import AdaptiveSGDClassifier

pytestmark = pytest.mark.filterwarnings("ignore:The entries of these rows")

N_CLASSES = 11
# The last ones appear within a call, and in the last row of one.
STARTS = (0, 30, 31, 90, 200, 320)


@pytest.fixture(scope="module")
def rows():
    """Rows whose classes appear one after the other, by names that are not in their order."""
    rng = np.random.default_rng(0)
    X = sp.random(320, 40, density=0.2, format="csr", random_state=0)
    y = (X @ rng.normal(size=(40, N_CLASSES))).argmax(axis=1)
    y = np.minimum(y, np.arange(320) // 30)
    y[199] = N_CLASSES - 1
    assert np.unique(y[:30]).size == 1
    return X, np.array([7, 3, 9, 1, 5, 0, 2, 4, 6, 8, 10])[y]


def learn(model, X, y, classes, *, between=lambda model: model, **named):
    for start, stop in pairwise(STARTS):
        parts = {name: values[start:stop] for name, values in named.items()}
        model = between(model.partial_fit(X[start:stop], y[start:stop], classes=classes, **parts))
    return model


def assert_same(grown, told, X):
    np.testing.assert_array_equal(grown.classes_, told.classes_)
    assert grown.t_ == told.t_
    for name in ("coef_", "intercept_", "effective_learning_rate_"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(told, name))
    for name, values in told.optimizer_state_.items():
        np.testing.assert_array_equal(grown.optimizer_state_[name], values)
    for name in ("eta0_", "eps_"):
        assert getattr(grown, name) == getattr(told, name)
    if hasattr(told, "mixture_weights_"):
        np.testing.assert_array_equal(grown.mixture_weights_, told.mixture_weights_)
    methods = ("decision_function", "predict")
    for method in (*methods, "predict_proba") if hasattr(told, "predict_proba") else methods:
        np.testing.assert_array_equal(getattr(grown, method)(X), getattr(told, method)(X))


def ovr(**parameters):
    return AdaptiveSGDClassifier(multi_class="ovr", **parameters)


@pytest.mark.pairs
@pytest.mark.parametrize("eta0", [0.1, "auto", "search"])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_mode
def test_it_is_the_model_that_was_told_all_classes(
    rows, parameters, dtype, penalty, batch_size, eta0
):
    X, y = rows[0].astype(dtype), rows[1]
    parameters = {**parameters, "penalty": penalty, "batch_size": batch_size, "eta0": eta0}
    told = learn(ovr(**parameters), X, y, np.arange(N_CLASSES))
    grown = learn(ovr(**parameters), X, y, "grow")
    assert_same(grown, told, X)
    # and a number of classes, whose names come later
    assert_same(learn(ovr(**parameters), X, y, ("grow", N_CLASSES)), told, X)


OTHERS = {
    "average": {"average": 40},
    "normalize": {"normalize": True},
    "standardize": {"normalize": "standardize", "eta0": "auto"},
    "no intercept": {"fit_intercept": False},
    "hinge": {"loss": "hinge", "eta0": "search"},
    "class weights": {"class_weight": {7: 2.0, 10: 3.0, 0: 0.5}},
    "threads": {"n_jobs": 2, "eta0": "search"},
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_whatever_else_is_asked_for(rows, others):
    X, y = rows
    told = ovr(**others)
    if "class_weight" in others:
        # which names all classes, or none that is not there
        told.set_params(
            class_weight={k: others["class_weight"].get(k, 1.0) for k in range(N_CLASSES)}
        )
    weight = np.random.default_rng(0).integers(3, size=len(y)) + 0.5
    told = learn(told, X, y, np.arange(N_CLASSES), sample_weight=weight)
    assert_same(learn(ovr(**others), X, y, "grow", sample_weight=weight), told, X)


@every_optimizer
def test_a_save_between_loses_nothing(rows, optimizer):
    X, y = rows
    parameters = {"optimizer": optimizer, "eta0": "search"}
    whole = learn(ovr(**parameters), X, y, "grow")

    def saved(model):
        model.predict(X), model.coef_
        return pickle.loads(pickle.dumps(model))

    assert_same(learn(ovr(**parameters), X, y, "grow", between=saved), whole, X)


@pytest.mark.parametrize("eta0", [0.1, "search"])
def test_a_call_that_fails_costs_nothing(rows, eta0):
    """Bad input leaves no class behind; a step that overflows leaves those before it."""
    X, y = rows
    grown = ovr(eta0=eta0).partial_fit(X[:100], y[:100], classes="grow")
    before = copy.deepcopy(grown)
    with pytest.raises(ValueError, match="Negative"):
        grown.partial_fit(X[100:200], y[100:200], sample_weight=np.full(100, -1.0))
    assert_same(grown, before, X)
    told = ovr(eta0=eta0).partial_fit(X[:100], y[:100], classes=np.arange(N_CLASSES))
    bad = X[100:200].copy()
    bad.data[bad.indptr[80] :] = 1e308
    for model in (grown, told):
        with pytest.raises(ValueError, match="row 80"):
            model.partial_fit(bad, y[100:200])
    known = np.searchsorted(told.classes_, grown.classes_)
    np.testing.assert_array_equal(grown.coef_, told.coef_[known])
    for model in (grown, told):
        model.partial_fit(X[200:], y[200:])
    assert_same(grown, told, X)


# --- the softmax ---


@every_optimizer
def test_the_softmax_of_so_many_classes(rows, optimizer):
    """With their number it is that of all of them; their order changes the rounding."""
    X, y = rows
    parameters = {"optimizer": optimizer, "eta0": 0.1}
    told = learn(AdaptiveSGDClassifier(**parameters), X, y, np.arange(N_CLASSES))
    grown = learn(AdaptiveSGDClassifier(**parameters), X, y, ("grow", N_CLASSES))
    np.testing.assert_allclose(grown.coef_, told.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grown.predict_proba(X), told.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("classes", ["grow", ("grow", N_CLASSES)])
def test_what_the_softmax_leaves_is_the_probability_of_a_new_class(rows, classes):
    X, y = rows
    model = AdaptiveSGDClassifier().partial_fit(X[:30], y[:30], classes=classes)
    assert model.classes_.tolist() == [7]
    assert set(model.predict(X)) == {7}
    model.partial_fit(X[30:90], y[30:90])
    rest = 1 - model.predict_proba(X).sum(axis=1)
    assert ((rest > 0) & (rest < 1)).all()
    np.testing.assert_allclose(
        np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12
    )
    # rows of classes without any feature of those before
    other = sp.hstack([sp.csr_matrix((50, 20)), sp.random(50, 20, 0.5, random_state=1)], "csr")
    known = sp.hstack([sp.random(400, 20, 0.5, random_state=2), sp.csr_matrix((400, 20))], "csr")
    labels = (np.arange(400) + known[:, 0].toarray().ravel() > 0) * 1
    model = AdaptiveSGDClassifier().partial_fit(known, labels * (known[:, 1].toarray().ravel() > 0),
                                                classes=classes)  # fmt: skip
    rest = [1 - model.predict_proba(part).sum(axis=1).mean() for part in (known, other)]
    assert rest[1] > 1.2 * rest[0]


# --- labels ---


@pytest.mark.parametrize("eta0", [0.1, "search"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_labels_are_new_columns(rows, eta0, form):
    X, y = rows
    Y = (y[:, np.newaxis] == np.array([7, 3, 9, 1, 5, 0, 2, 4, 6, 8, 10])) * 1
    Y[:, 1] |= Y[:, 2]
    told, grown = AdaptiveSGDClassifier(eta0=eta0), AdaptiveSGDClassifier(eta0=eta0)
    for (start, stop), n_labels in zip(pairwise(STARTS), (2, 2, 4, 11, 11), strict=True):
        told.partial_fit(X[start:stop], Y[start:stop])
        grown.partial_fit(X[start:stop], form(Y[start:stop, :n_labels]), classes="grow")
        assert grown.predict(X).shape == (X.shape[0], n_labels)
    for name in ("coef_", "intercept_", "classes_"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(told, name))
    np.testing.assert_array_equal(grown.predict_proba(X), told.predict_proba(X))
    predicted = grown.predict(X)
    assert sp.issparse(predicted) == (form is not np.asarray)
    with pytest.raises(ValueError, match="y has 5 labels, but 11"):
        grown.partial_fit(X[:9], Y[:9, :5])


def test_labels_by_name(rows):
    pd = pytest.importorskip("pandas")
    X, y = rows
    told, grown = AdaptiveSGDClassifier(), AdaptiveSGDClassifier()
    table = pd.DataFrame({"a": y % 2, "b": y % 3 == 1, "c": y % 5 == 2}).astype(int)
    told.partial_fit(X[:100], table[:100], classes=["a", "b", "c"])
    told.partial_fit(X[100:200], table[100:200])
    for part in (["b", "a"], ["c", "b", "a"]):
        names = table[part]
        rows_of_part = slice(0, 100) if part == ["b", "a"] else slice(100, 200)
        if part == ["b", "a"]:
            told = AdaptiveSGDClassifier().partial_fit(
                X[:100], table[:100].assign(c=0), classes=["a", "b", "c"]
            )
        grown.partial_fit(X[rows_of_part], names[rows_of_part], classes="grow")
    told.partial_fit(X[100:200], table[100:200])
    assert grown.classes_.tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(grown.coef_[[1, 0, 2]], told.coef_)
    # a label that a table lacks is 0
    for model, labels in ((told, table[200:].assign(b=0)), (grown, table[200:][["c", "a"]])):
        model.partial_fit(X[200:], labels)
    np.testing.assert_array_equal(grown.coef_[[1, 0, 2]], told.coef_)
    with pytest.raises(ValueError, match="4 columns without names"):
        grown.partial_fit(X[:5], np.zeros((5, 4), int))


# --- names, and what is refused ---


def test_names_of_any_length_and_numbers_of_other_types(rows):
    X, _ = rows
    for first, second in (
        (["b", "a"], ["longer", "a"]),
        ([2, 1], np.array([3.0, 1.0])),
        (np.array([True, True]), [True, False]),
        (np.array(["b", "a"], object), np.array(["c", "a"])),
    ):
        model = ovr().partial_fit(X[:2], first, classes="grow").partial_fit(X[2:4], second)
        assert model.classes_.tolist() == sorted({*np.ravel(first), *np.ravel(second)})
        assert model.classes_.dtype.kind == np.asarray(first).dtype.kind.replace("O", "U")
        assert set(model.predict(X)) <= set(model.classes_)
    with pytest.raises(ValueError, match="Text is never a number"):
        ovr().partial_fit(X[:2], [1, 2], classes="grow").partial_fit(X[:2], ["1", "3"])


def test_two_classes_have_one_decision(rows):
    X, y = rows
    model = ovr().partial_fit(X[:90], y[:90] == 3, classes="grow")
    decision = model.decision_function(X)
    assert decision.shape == (X.shape[0],)
    np.testing.assert_array_equal(decision > 0, model.predict(X))
    assert model.coef_.shape == (2, X.shape[1])


def test_weights_may_be_assigned_and_made_sparse(rows):
    X, y = rows
    model = learn(ovr(), X, y, "grow")
    raw, coef, intercept = model.decision_function(X), model.coef_, model.intercept_
    model.coef_, model.intercept_ = coef, intercept
    np.testing.assert_allclose(model.decision_function(X), raw, rtol=1e-12)
    model.coef_, model.intercept_ = 2 * coef, 2 * intercept
    np.testing.assert_allclose(model.decision_function(X), 2 * raw, rtol=1e-12)
    np.testing.assert_allclose(model.sparsify().coef_.toarray(), 2 * coef, rtol=1e-12)
    model.densify().partial_fit(X[:5], np.full(5, 99))
    assert model.coef_.shape[0] == N_CLASSES + 1
    stripped = copy.deepcopy(model).strip_optimizer()
    np.testing.assert_allclose(
        stripped.decision_function(X), model.decision_function(X), rtol=1e-12
    )
    assert stripped.coef_.shape == model.coef_.shape


def test_what_is_refused(rows):
    X, y = rows
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        ovr().partial_fit(X, y)
    told = ovr().partial_fit(X, y, classes=np.arange(N_CLASSES))
    for model in (told, ovr(max_iter=2, tol=None).fit(X, y)):
        with pytest.raises(ValueError, match="classes='grow' is for the first call"):
            model.partial_fit(X, y, classes="grow")
    with pytest.raises(ValueError, match="11 classes or labels, but there are to be 5"):
        ovr().partial_fit(X, y, classes=("grow", 5))
    model = ovr().partial_fit(X[:90], y[:90], classes=("grow", 5))
    with pytest.raises(ValueError, match="there are to be 5"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as on the first call"):
        model.partial_fit(X[:90], y[:90], classes="grow")
    with pytest.raises(ValueError, match="offset is not supported"):
        model.partial_fit(X[:90], y[:90], offset=np.ones(90))
    # a fit knows all classes again
    assert model.set_params(max_iter=2, tol=None).fit(X, y % 3).coef_.shape[0] == 3
