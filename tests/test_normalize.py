"""normalize=True: the unit of a column does not matter."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference, weights_of
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS

OPTIMIZER_MODES = [
    (name, mode)
    for name, spec in OPTIMIZERS.items()
    for mode in (("exact", "masked") if spec.ages else ("exact",))
]
every_optimizer = pytest.mark.parametrize(("optimizer", "sparse_update"), OPTIMIZER_MODES)
ROWS = 120


def rows(n_classes=2, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = sp.random(ROWS, 12, 0.4, "csr", dtype=dtype, random_state=rng)
    X.data = rng.normal(size=X.data.size).astype(dtype) * (1 + X.indices).astype(dtype)
    margins = X @ rng.normal(size=(12, n_classes))
    return X, margins.argmax(axis=1)


def units(X):
    """Powers of two, so that scaling rounds nothing."""
    return np.ldexp(1.0, np.arange(X.shape[1]) * 3 - 10).astype(X.dtype)


def in_units(X):
    return sp.csr_matrix(X.multiply(units(X)).astype(X.dtype))


def classifier(optimizer, sparse_update, **parameters):
    parameters = {"alpha": 1e-3, "random_state": 0, "max_iter": 3, "tol": None, **parameters}
    return AdaptiveSGDClassifier(
        optimizer=optimizer, sparse_update=sparse_update, normalize=True, **parameters
    )


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_units_do_not_matter(optimizer, sparse_update, dtype, n_classes):
    X, y = rows(n_classes, dtype)
    scaled = in_units(X)
    for learn in ("fit", "partial_fit"):
        one, other = (classifier(optimizer, sparse_update) for _ in range(2))
        options = {"classes": np.unique(y)} if learn == "partial_fit" else {}
        getattr(one, learn)(X, y, **options)
        getattr(other, learn)(scaled, y, **options)
        np.testing.assert_array_equal(other.coef_ * units(X), one.coef_)
        np.testing.assert_array_equal(other.intercept_, one.intercept_)


@every_optimizer
def test_fit_is_that_of_features_over_their_largest_size(optimizer, sparse_update):
    X, y = rows()
    model = classifier(optimizer, sparse_update).fit(X, y)
    pipeline = make_pipeline(
        MaxAbsScaler(), classifier(optimizer, sparse_update).set_params(normalize=False)
    ).fit(X, y)
    np.testing.assert_allclose(
        model.decision_function(X), pipeline.decision_function(X), rtol=1e-9, atol=1e-12
    )


@every_optimizer
def test_partial_fit_is_that_of_rows_over_the_largest_sizes_so_far(optimizer, sparse_update):
    X, y = rows()
    model = classifier(optimizer, sparse_update, eta0=0.1).partial_fit(X, y, classes=[0, 1])
    largest = np.maximum.accumulate(abs(X).toarray(), axis=0)
    so_far = sp.csr_matrix(X.toarray() / np.where(largest > 0, largest, 1))
    expected = classifier(optimizer, sparse_update, eta0=0.1).set_params(normalize=False)
    expected.partial_fit(so_far, y, classes=[0, 1])
    actual = np.append(model.coef_ * largest[-1], model.intercept_)
    assert relative_difference(actual, weights_of(expected)) < 1e-12


@every_optimizer
def test_split_is_whole_and_pickles_go_on(optimizer, sparse_update):
    X, y = rows()
    fixed = {"eta0": 0.1, "eps": 1e-6}
    whole = classifier(optimizer, sparse_update, **fixed).partial_fit(X, y, classes=[0, 1])
    model = classifier(optimizer, sparse_update, **fixed)
    for start in range(0, ROWS, 7):
        part = slice(start, start + 7)
        model.partial_fit(X[part], y[part], classes=[0, 1])
        model = pickle.loads(pickle.dumps(model))
    assert_same_model(model, whole)


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_rows_without_weight_are_absent(learn):
    X, y = rows()
    weight = (np.arange(ROWS) % 3 > 0).astype(float)
    X.data[X.indptr[0] : X.indptr[1]] *= 1e6  # the first row has none
    there = weight > 0
    options = {"classes": [0, 1]} if learn == "partial_fit" else {}
    one = getattr(classifier("adagrad", "exact", shuffle=False), learn)(
        X, y, sample_weight=weight, **options
    )
    other = getattr(classifier("adagrad", "exact", shuffle=False), learn)(
        X[there], y[there], **options
    )
    assert_same_model(one, other)


def test_a_row_that_fails_leaves_no_trace():
    X, y = rows()
    y = y.astype(float)
    parameters = {"normalize": True, "eta0": 0.1, "eps": 1e-6, "penalty": None}
    model = AdaptiveSGDRegressor(**parameters)
    y[50] = 1e308
    expected = AdaptiveSGDRegressor(**parameters)
    expected.partial_fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="row 50"):
        model.partial_fit(X, y)
    assert_same_model(model, expected)
    model.partial_fit(X[51:], y[51:])
    expected.partial_fit(X[51:], y[51:])
    assert_same_model(model, expected)


def test_coefficients_are_of_the_features_as_they_are():
    X, y = rows()
    model = classifier("adagrad", "exact").fit(X, y)
    coef = model.coef_.copy()
    model.coef_ = coef
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-15)
    again = classifier("adagrad", "exact", max_iter=1, eta0=1e-12, penalty=None)
    again.fit(X, y, coef_init=coef, intercept_init=model.intercept_)
    np.testing.assert_allclose(again.coef_, coef, rtol=1e-8)


def test_turning_it_on_and_off_goes_on_from_the_weights():
    X, y = rows()
    model = AdaptiveSGDClassifier(eta0=0.1).partial_fit(X, y, classes=[0, 1])
    coef = model.coef_
    for normalize in (True, False):
        model.set_params(normalize=normalize)
        # rows without weight learn nothing
        model.partial_fit(X, y, sample_weight=np.zeros(ROWS))
        np.testing.assert_allclose(model.coef_, coef, rtol=1e-15)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_optimizer_keeps_the_sizes_of_features(optimizer):
    X, y = rows()
    old = "adam" if optimizer == "adagrad" else "adagrad"
    X = X @ sp.diags(np.full(X.shape[1], 1000.0))
    model = classifier(old, "exact").partial_fit(X, y, classes=[0, 1])
    coef = model.coef_
    # a step so small that only other sizes could move a weight
    model.set_params(optimizer=optimizer, eta0=1e-12, penalty=None).partial_fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_least_numbers_make_no_infinite_coefficient(dtype):
    least = np.finfo(dtype).smallest_subnormal
    X, y = np.array([[least, 1], [3 * least, 1], [2 * least, 1]], dtype), [0, 1, 0]
    model = AdaptiveSGDClassifier(normalize=True, random_state=0)
    assert np.all(np.isfinite(model.fit(X, y).coef_))
    assert np.all(np.isfinite(model.partial_fit(X, y).coef_))


def test_a_column_of_another_unit_does_not_ruin_a_regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 5))
    y = X @ rng.normal(size=5)
    X[:, 2] *= 1000
    score = AdaptiveSGDRegressor(random_state=0, normalize=True).fit(X, y).score(X, y)
    as_given = AdaptiveSGDRegressor(random_state=0, normalize=False).fit(X, y)
    assert score > as_given.score(X, y) + 0.1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"scale": None}, "scale is not an array"),
        ({"scale": np.ones(11)}, "scale is not an array"),
        ({"scale": np.ones(12, np.float32)}, "scale is not an array"),
    ],
)
def test_damaged_scales_are_refused(damage, message):
    X, y = rows()
    saved = classifier("adagrad", "exact").fit(X, y).__getstate__()
    with pytest.raises(ValueError, match=message):
        AdaptiveSGDClassifier().__setstate__({**saved, "_model": {**saved["_model"], **damage}})
