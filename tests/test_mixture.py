"""eta0="search": in partial_fit rates side by side and their mean, in fit the best of three."""

import copy
import pickle
from itertools import pairwise

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from loss_targets import WITH_UNIT, targets_for
from modes import every_mode, every_optimizer
from sklearn.base import clone
from sklearn.datasets import make_regression

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.model import mixture as mixtures
from sk_adaptive.model.hyperparameters import hyperparameters_of
from sk_adaptive.model.model import Model
from sk_adaptive.model.settings import SETTING

pytestmark = [
    pytest.mark.filterwarnings("ignore:Maximum number of iteration reached"),
    pytest.mark.filterwarnings("ignore:The entries of these rows"),
]

ESTIMATORS = [AdaptiveSGDClassifier, AdaptiveSGDRegressor]


@pytest.fixture(scope="module")
def rows(zipf_rows):
    _, X, y = zipf_rows
    return X[:240], y[:240]


def first_call(estimator, y):
    is_classifier = isinstance(estimator, AdaptiveSGDClassifier)
    return {"classes": np.unique(y)} if is_classifier else {}


def learn(estimator, X, y, *, starts=(), weight=None, between=lambda model: model):
    """A model of all rows, in a call for each part, which `between` may replace meanwhile."""
    bounds = [0, *starts, X.shape[0]]
    named = first_call(estimator, y)
    for start, stop in pairwise(bounds):
        part = slice(start, stop)
        if weight is not None:
            named["sample_weight"] = weight[part]
        estimator = between(estimator.partial_fit(X[part], y[part], **named))
        named = {}
    return estimator


def assert_same_mixture(actual, expected):
    assert_same_model(actual, expected)
    np.testing.assert_array_equal(actual.mixture_weights_, expected.mixture_weights_)
    # a sum of the sums of the calls
    assert actual.progressive_loss_ == pytest.approx(expected.progressive_loss_, rel=1e-12)


# --- what the mean is ---


def before_the_first_step(estimator, X, y):
    """The mixture that the first call would train."""
    estimator._prepare(X, y, None, first_call(estimator, y).get("classes"))
    return estimator


def models_of(mixture, y):
    """Single models with the rates, memories and eps of a mixture that has not learned yet."""
    together = mixture._model
    models = []
    for k, rate in enumerate(mixture.mixture_rates_):
        model = clone(mixture).set_params(eta0=float(rate))
        if OPTIMIZERS[mixture.optimizer].forgets:
            model.set_params(rho=float(mixture.mixture_memories_[k]))
        if OPTIMIZERS[mixture.optimizer].decoupled:
            # a decay that does not follow the rate
            model.set_params(alpha=mixture.alpha / together.settings["rate"][k])
        scales = together.hyperparameters.scales
        # targets of one size have one share
        share = scales.shares[0] if scales.shares else 1.0
        model.set_params(
            eps=float(mixture.mixture_eps_[k].max())
            / share ** OPTIMIZERS[mixture.optimizer].eps_power
        )
        single = Model(
            hyperparameters_of(model, scales, rate),
            together.n_features,
            together.n_outputs,
            together.dtype,
            intercept=mixture.intercept_,
            columns=together.columns,
        )
        for name in ("classes_", "_label_format", "_target_shape", "n_features_in_"):
            if name in mixture.__dict__:
                setattr(model, name, getattr(mixture, name))
        model._sparse_coef = False
        model._adopt(single)
        models.append(model)
    return models


TARGETS = {
    "two classes": (AdaptiveSGDClassifier, lambda y: y),
    "softmax": (AdaptiveSGDClassifier, lambda y: np.arange(y.size) % 3),
    "one-vs-rest": (
        lambda **named: AdaptiveSGDClassifier(multi_class="ovr", **named),
        lambda y: np.arange(y.size) % 3,
    ),
    "numbers": (AdaptiveSGDRegressor, lambda y: 3.0 * y + np.arange(y.size) % 5),
    "two numbers": (
        AdaptiveSGDRegressor,
        # of one size: other rates are each target's own
        lambda y: np.column_stack(
            [y + np.arange(y.size) % 5.0, -(y + np.arange(y.size) % 5.0)[::-1]]
        ),
    ),
    "counts": (
        lambda **named: AdaptiveSGDRegressor("poisson", **named),
        lambda y: np.arange(y.size) % 3 + (y > 0),
    ),
}


@pytest.mark.values("optimizer", "targets,batch_size")
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("targets", TARGETS)
@every_optimizer
def test_the_mean_is_that_of_models_by_themselves(rows, optimizer, targets, batch_size):
    """Weighted by the exponentials of their losses so far, of which a fixed share is handed out."""
    X, y = rows
    X, y = X[:42], TARGETS[targets][1](y[:42])
    parameters = {"optimizer": optimizer, "alpha": 1e-3, "batch_size": batch_size}
    mixture = TARGETS[targets][0](eta0="search", **parameters)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(y))
    before_the_first_step(mixture, X, y)
    models = models_of(mixture, y)
    training = mixture._prepare(X, y, weight, None)[0]
    rate = mixture._model.mixing_rate
    first = mixture.mixture_weights_
    unit, unit_of_first = 1.0, mixture._model.unit[0]
    shares, loss_sum = first, 0.0
    for start in range(0, len(y), batch_size):
        part = slice(start, start + batch_size)
        raw = np.array([model._raw_predictions(X[part])[0] for model in models])
        losses = [
            training.loss.row_losses(training.targets[part], of_model, np.empty((0, 0)))
            for of_model in [*raw, np.einsum("m,mnk->nk", shares, raw)]
        ]
        *of_models, of_mean = np.array(losses) @ weight[part]
        loss_sum += of_mean
        if targets == "one-vs-rest":
            # classes that have not occurred do not count
            known = np.unique(training.targets[: start + batch_size, 0]).astype(int)
            signs = np.where(training.targets[part] == known, 1.0, -1.0)
            of_models = [
                weight[part] @ training.loss(signs, of_model[:, known])[0].sum(axis=1)
                for of_model in raw
            ]
        for model in models:
            model.partial_fit(X[part], y[part], sample_weight=weight[part])
        # the mean of about the last sample weights
        unit += (weight[part].mean() - unit) / 256
        shares = shares * np.exp(-rate * unit_of_first / unit * np.array(of_models))
        shares = (1 - mixtures.SHARE) * shares / shares.sum() + mixtures.SHARE * first
    mixture.partial_fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(mixture.mixture_weights_, shares, rtol=1e-9)
    assert mixture.progressive_loss_ == pytest.approx(loss_sum / weight.sum(), rel=1e-10)
    for name in ("coef_", "intercept_", "effective_learning_rate_"):
        mean = sum(p * getattr(model, name) for p, model in zip(shares, models, strict=True))
        assert relative_difference(getattr(mixture, name), mean) < 1e-10, name
    for name, value in mixture.optimizer_state_.items():
        mean = sum(
            p * model.optimizer_state_[name] for p, model in zip(shares, models, strict=True)
        )
        assert relative_difference(value, mean) < 1e-9, name
    rates = [model.eta0 for model in models]
    np.testing.assert_allclose(mixture.mixture_rates_, rates)
    assert mixture.eta0_ == pytest.approx(np.dot(shares, rates))


@every_mode
def test_averages_are_the_mean_of_averages_and_change_nothing_else(rows, parameters):
    X, y = rows
    parameters = {**parameters, "alpha": 1e-3}
    plain = learn(AdaptiveSGDClassifier(eta0="search", **parameters), X, y)
    mixture = AdaptiveSGDClassifier(eta0="search", average=40, **parameters)
    models = models_of(before_the_first_step(mixture, X, y), y)
    mixture.partial_fit(X, y)
    np.testing.assert_allclose(mixture.mixture_weights_, plain.mixture_weights_, rtol=1e-9)
    for model in models:
        model.partial_fit(X, y)
    for name in ("coef_", "intercept_"):
        expected = np.einsum(
            "m,m...", mixture.mixture_weights_, [getattr(model, name) for model in models]
        )
        assert relative_difference(getattr(mixture, name), expected) < 1e-9
        assert not np.allclose(getattr(plain, name), getattr(mixture, name), rtol=1e-3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_is_one_linear_model(rows, estimator):
    X, y = rows
    model = learn(estimator(eta0="search"), X, y)
    raw = model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)
    np.testing.assert_allclose(raw, X @ model.coef_.ravel() + model.intercept_)
    # a row of a wide matrix is predicted from the coefficients of its features only
    wide = sp.hstack([X, sp.csr_matrix((X.shape[0], 4000))], format="csr")
    model = learn(estimator(eta0="search"), wide, y)
    predict = getattr(model, "decision_function", model.predict)
    one_by_one = [predict(wide[i])[0] for i in range(5)]
    np.testing.assert_allclose(one_by_one, predict(wide[:5]), rtol=1e-12)
    assert sp.issparse(model.sparsify().coef_)
    weights = model.mixture_weights_
    assert weights.shape == model.mixture_rates_.shape == model.mixture_eps_.shape == (16,)
    assert weights.sum() == pytest.approx(1)
    assert not weights.flags.writeable


def test_many_features_are_read_in_parts(rows, monkeypatch):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(eta0="search"), X, y)
    whole = model.coef_
    monkeypatch.setattr(mixtures, "FEATURES_AT_ONCE", 7)
    np.testing.assert_array_equal(copy.deepcopy(model).coef_, whole)


def test_single_models_have_no_weights(rows):
    X, y = rows
    model = AdaptiveSGDClassifier(eta0=0.1)
    assert not hasattr(model, "mixture_weights_")
    learn(model, X, y)
    with pytest.raises(AttributeError, match="eta0='search'"):
        model.mixture_weights_  # noqa: B018
    assert not hasattr(model, "mixture_rates_")


# --- calls ---


@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_mode
def test_split_is_whole_also_when_saved_in_between(rows, parameters, dtype, batch_size):
    X, y = rows
    model = AdaptiveSGDClassifier(
        eta0="search", normalize=batch_size == 1, batch_size=batch_size, **parameters
    )
    X = X.astype(dtype)
    # both have the rows that tell the rate in the first call
    whole = learn(clone(model), X, y, starts=[100])
    saved = learn(
        clone(model),
        X,
        y,
        starts=[100, 105, 150],
        between=lambda model: pickle.loads(pickle.dumps(model)),
    )
    assert_same_mixture(saved, whole)
    assert whole.coef_.dtype == dtype
    assert whole.mixture_weights_.max() < 1


@every_mode
def test_rows_of_weight_zero_are_no_rows(rows, parameters):
    X, y = rows
    weight = np.random.default_rng(0).integers(3, size=len(y)).astype(float)
    model = AdaptiveSGDClassifier(eta0="search", **parameters)
    kept = weight > 0
    with_zeros = learn(clone(model), X, y, weight=weight)
    without = learn(clone(model), X[kept], y[kept], weight=weight[kept])
    assert_same_mixture(with_zeros, without)


def test_units_do_not_matter(rows):
    """Of the target, and of the sample weights."""
    X, y = rows
    y = X @ np.arange(X.shape[1]) + np.sin(np.arange(len(y)))
    model = learn(AdaptiveSGDRegressor(eta0="search"), X, y)
    in_other_unit = learn(AdaptiveSGDRegressor(eta0="search"), X, 1000 * y)
    np.testing.assert_allclose(in_other_unit.mixture_weights_, model.mixture_weights_, rtol=1e-6)
    np.testing.assert_allclose(in_other_unit.coef_, 1000 * model.coef_, rtol=1e-6)
    labels = rows[1]
    model = learn(AdaptiveSGDClassifier(eta0="search"), X, labels)
    heavy = learn(AdaptiveSGDClassifier(eta0="search"), X, labels, weight=np.full(len(y), 1000.0))
    np.testing.assert_allclose(heavy.mixture_weights_, model.mixture_weights_, rtol=1e-6)


COMPARABLE_LOSSES = [
    (estimator, loss)
    for estimator, losses in zip(
        ESTIMATORS, (CLASSIFICATION_LOSSES, REGRESSION_LOSSES), strict=True
    )
    for loss in losses
    if loss != "perceptron"
]


@pytest.mark.parametrize(("estimator", "loss"), COMPARABLE_LOSSES)
def test_the_mean_loses_little_more_than_the_best_rate(zipf_rows, estimator, loss):
    """With losses of any unit: the logarithm of its first weight, and a few percent."""
    _, X, y = zipf_rows
    if estimator is AdaptiveSGDRegressor:
        y = 100 * np.abs(X @ np.sin(np.arange(X.shape[1])) + 0.1 * y)
        y = targets_for(loss, y if loss in WITH_UNIT else y / 50 - 2)
    parameters = {"epsilon": 1.0 if estimator is AdaptiveSGDRegressor else 0.1, "normalize": False}
    mixture = before_the_first_step(estimator(loss, eta0="search", **parameters), X, y)
    models = models_of(mixture, y)
    mixture._prepare(X, y, None, None)
    rate = mixture._model.mixing_rate
    costs = -np.log(mixture.mixture_weights_) / rate / len(y)
    losses = [model.partial_fit(X, y).progressive_loss_ for model in models]
    mixture.partial_fit(X, y)
    best = np.min(losses)
    assert mixture.progressive_loss_ < np.min(losses + costs) + 0.05 * abs(best)
    assert np.max(losses) > best + 0.1 * abs(best)


@pytest.mark.parametrize("parameters", [{"loss": "perceptron"}, {"loss": "huber", "epsilon": 0.0}])
def test_losses_that_no_prediction_minimises_do_not_tell_rates(rows, parameters):
    X, y = rows
    model = AdaptiveSGDClassifier(eta0="search", **parameters)
    with pytest.raises(ValueError, match=f"eta0='search'.*loss={parameters['loss']!r}"):
        learn(model, X, y)
    assert not hasattr(model, "coef_")


def test_a_rate_that_has_become_best_takes_over():
    """The rows change; the weights follow."""
    rng = np.random.default_rng(0)
    X = sp.random(6000, 30, density=0.2, format="csr", random_state=0)
    coef = rng.normal(size=30)
    y = np.where(X @ coef + 0.3 * rng.normal(size=6000) > 0, 1, -1)
    y[4000:] = rng.choice([-1, 1], size=2000)
    # whose steps do not become smaller; with one eps, models differ by the rate alone
    model = AdaptiveSGDClassifier(
        eta0="search", optimizer="rmsprop", sparse_update="masked", eps=0.1
    )
    before = learn(model, X[:4000], y[:4000]).eta0_
    # nothing can be learned any more: the less is learned the better
    assert model.partial_fit(X[4000:], y[4000:]).eta0_ < 0.7 * before


@every_mode
def test_what_is_given_is_not_searched(rows, parameters):
    """Models that would differ by it are left out; all of them have it."""
    X, y = rows
    spec = OPTIMIZERS[parameters["optimizer"]]
    parameters = {name: value for name, value in parameters.items() if name != "rho"}
    forgetting = {"rho": 0.95} if spec.forgets else {}
    for given in ({}, {"eps": 0.3}, forgetting, {"eps": 0.3, **forgetting}):
        model = learn(AdaptiveSGDClassifier(eta0="search", **given, **parameters), X[:40], y[:40])
        left_out = 4 * ("rho" in given) + (4 if spec.forgets else 8) * ("eps" in given)
        assert model.mixture_weights_.shape == (16 - left_out,)
        assert len(set(model.mixture_eps_)) == (1 if "eps" in given else 2 if spec.forgets else 3)
        if spec.forgets:
            assert set(model.mixture_memories_) == ({0.95} if "rho" in given else {0.9, 0.99, 1})
        # and what is given later holds for the models that there are
        model.set_params(eps=0.2, **forgetting).partial_fit(X[40:50], y[40:50])
        assert set(model.mixture_eps_) == {0.2}
        assert not forgetting or set(model.mixture_memories_) == {0.95}


def test_weight_moves_to_short_memories_while_a_stream_changes():
    """Rows of frequent and rare categories, whose weights stay, wander, and stay again."""
    rng = np.random.default_rng(0)
    n_phase, n_columns, n_values = 8000, 20, 200
    shares = 1 / np.arange(1, n_values + 1) ** 1.2
    values = rng.choice(n_values, size=(3 * n_phase, n_columns), p=shares / shares.sum())
    columns = (values + n_values * np.arange(n_columns)).ravel()
    X = sp.csr_matrix((np.ones(columns.size), columns, np.arange(0, columns.size + 1, n_columns)))
    margins = X @ rng.normal(size=(X.shape[1], 2))
    angle = np.clip(np.arange(len(values)) - n_phase, 0, n_phase) * 2 * np.pi / 2500
    margin = np.cos(angle) * margins[:, 0] + np.sin(angle) * margins[:, 1]
    y = (rng.random(len(values)) < 1 / (1 + np.exp(-margin))).astype(int)
    model = AdaptiveSGDClassifier(eta0="search")
    forgetting = []
    for start in range(0, len(y), 500):
        model.partial_fit(X[start : start + 500], y[start : start + 500], classes=[0, 1])
        forgetting.append(model.mixture_weights_[model.mixture_memories_ < 1].sum())
    stays, wanders, stays_again = np.array_split(forgetting, 3)
    assert stays.max() < 0.05
    assert wanders.max() > 0.9
    assert stays_again[-1] < 0.05


# --- a rate that overflows ---


@pytest.fixture
def with_a_rate_too_large(monkeypatch):
    """Two of the models have rates so large that the first steps overflow."""
    real = mixtures.first_settings

    def settings_of_models(hyperparameters):
        settings = real(hyperparameters)
        settings["rate"][-2:] = 2.0 ** np.array([700, 900])
        return settings

    monkeypatch.setattr(mixtures, "first_settings", settings_of_models)


@pytest.mark.parametrize("batch_size", [1, 5])
@every_mode
def test_a_rate_that_overflows_is_out_and_the_others_go_on(
    rows, with_a_rate_too_large, parameters, batch_size
):
    X, y = rows
    y = X @ np.arange(X.shape[1]) + np.sin(np.arange(len(y)))
    model = AdaptiveSGDRegressor(eta0="search", batch_size=batch_size, alpha=0, **parameters)
    whole = learn(clone(model), X, y, starts=[100])
    weights = whole.mixture_weights_
    assert list(weights[-2:]) == [0, 0]
    assert (weights[:-2] > 0).all()
    assert weights.sum() == pytest.approx(1)
    assert np.isfinite(whole.coef_).all()
    assert whole.t_ == -(-100 // batch_size) + -(-(len(y) - 100) // batch_size) + 1
    saved = learn(
        clone(model),
        X,
        y,
        starts=[100, 105, 150],
        between=lambda model: pickle.loads(pickle.dumps(model)),
    )
    assert_same_mixture(saved, whole)
    # nothing is left of them
    model = whole._model
    for name in ("coef", *(moment.field for moment in OPTIMIZERS[whole.optimizer].moments)):
        if name in model.records.dtype.names:
            assert not model.records[name][:, -2:].any()
    assert not model.intercept[:, -2:].any()


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_mode
def test_a_step_that_overflows_ends_its_model_only(
    rows, monkeypatch, parameters, dtype, fit_intercept
):
    """Not the loss, but the step itself: of coefficients, or of the intercept."""
    X, y = (rows[0] / 30).astype(dtype), rows[1]
    exponent = np.finfo(dtype).maxexp - 1
    rates = 2.0 ** np.array([0, 1, exponent - 60, exponent])
    settings = np.array([(rate, np.nan, 1.0, 1.0) for rate in rates], SETTING)
    monkeypatch.setattr(mixtures, "first_settings", lambda hyperparameters: settings)
    model = AdaptiveSGDClassifier(
        eta0="search", fit_intercept=fit_intercept, penalty=None, **parameters
    )
    model = learn(model, X, y)
    assert model.t_ == len(y) + 1
    assert np.isfinite(model.coef_).all()
    assert (model.mixture_weights_[:2] > 0).all()


@every_optimizer
def test_when_all_rates_overflow_the_row_is_named_and_those_before_stay(rows, optimizer):
    X, y = rows
    X = X.copy()
    parameters = {"eta0": "search", "optimizer": optimizer}
    before = learn(AdaptiveSGDRegressor(**parameters), X, y, starts=[100])
    bad = sp.csr_matrix(np.full((1, X.shape[1]), 1e300))
    together = sp.vstack([X[100:], bad, X[:5]], format="csr")
    targets = np.append(y[100:], y[:6])
    model = learn(AdaptiveSGDRegressor(**parameters), X[:100], y[:100])
    with pytest.raises(ValueError, match=f"row {X.shape[0] - 100}"):
        model.partial_fit(together, targets)
    assert_same_mixture(model, before)


# --- changes of parameters ---


@every_mode
def test_a_number_after_a_search_goes_on_from_the_mean(rows, parameters):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(eta0="search", **parameters), X, y)
    coef, intercept, loss = model.coef_, model.intercept_, model.progressive_loss_
    nothing = {"sample_weight": np.zeros(len(y))}
    model.set_params(eta0=0.125).partial_fit(X, y, **nothing)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=1e-12)
    assert model.progressive_loss_ == loss
    assert model.eta0_ == 0.125
    assert not hasattr(model, "mixture_weights_")
    # and back
    coef = model.partial_fit(X, y).coef_
    model.set_params(eta0="search").partial_fit(X, y, **nothing)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-12)
    assert np.ptp(model.mixture_weights_[:4]) == 0
    assert np.isfinite(model.partial_fit(X, y).coef_).all()


@every_mode
def test_another_penalty_keeps_the_weights_of_the_models(rows, parameters):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(eta0="search", **parameters), X, y)
    coef, weights, moments = model.coef_, model.mixture_weights_, model.optimizer_state_
    model.set_params(alpha=1e-3, penalty="elasticnet", average=True)
    model.partial_fit(X, y, sample_weight=np.zeros(len(y)))
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-10)
    np.testing.assert_array_equal(model.mixture_weights_, weights)
    # where the moments tell the weight, another has to give way
    kept = OPTIMIZERS[model.optimizer].moments
    for moment in kept[-1:] if OPTIMIZERS[model.optimizer].weight_is_derived else kept:
        now, before = model.optimizer_state_[moment.name], moments[moment.name]
        np.testing.assert_allclose(now, before, rtol=1e-10, atol=1e-300)


def test_another_loss_has_its_own_unit(rows):
    """What is kept between calls is of the parameters of now."""
    X, y = rows
    model, twin = (
        learn(AdaptiveSGDClassifier("squared_hinge", eta0="search"), X, y) for _ in range(2)
    )
    for one in (model, pickle.loads(pickle.dumps(twin))):
        # other targets, as known rows tell nothing of rates
        one.set_params(loss="log_loss").partial_fit(X[:50], -y[:50])
        twin = one
    assert_same_mixture(model, twin)
    unchanged = learn(AdaptiveSGDClassifier("squared_hinge", eta0="search"), X, y)
    unchanged.partial_fit(X[:50], -y[:50])
    assert not np.array_equal(unchanged.mixture_weights_, model.mixture_weights_)


@every_optimizer
def test_assigned_coefficients_are_those_of_all_models(rows, optimizer):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(eta0="search", optimizer=optimizer), X, y)
    weights = model.mixture_weights_
    model.coef_ = np.arange(X.shape[1])
    model.intercept_ = 0.5
    np.testing.assert_allclose(model.coef_, [np.arange(X.shape[1])], rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, [0.5])
    np.testing.assert_array_equal(model.mixture_weights_, weights)
    assert np.isfinite(model.partial_fit(X, y).coef_).all()


def test_rows_that_teach_nothing_leave_the_rates_open(rows):
    X, y = rows
    model = AdaptiveSGDClassifier(eta0="search")
    model.partial_fit(X, y, classes=[-1, 1], sample_weight=np.zeros(len(y)))
    first = model.mixture_weights_
    late = learn(AdaptiveSGDClassifier(eta0="search"), X, y)
    model.partial_fit(X, y)
    assert_same_mixture(model, late)
    assert not np.array_equal(model.mixture_weights_, first)


# --- saved states ---


@every_mode
def test_a_stripped_model_is_the_mean(rows, parameters):
    X, _ = rows
    model = learn(
        AdaptiveSGDClassifier(eta0="search", average=20, **parameters), X, np.arange(240) % 3
    )
    small = pickle.loads(pickle.dumps(copy.deepcopy(model).strip_optimizer()))
    np.testing.assert_array_equal(small.coef_.toarray(), model.coef_)
    np.testing.assert_array_equal(small.intercept_, model.intercept_)
    np.testing.assert_allclose(small.predict_proba(X), model.predict_proba(X), rtol=1e-12)
    assert small.eta0_ == model.eta0_
    assert not hasattr(small, "mixture_weights_")


@every_mode
def test_a_mapped_file_is_not_changed_and_goes_on(rows, parameters, tmp_path):
    X, y = rows
    model = learn(AdaptiveSGDClassifier(eta0="search", **parameters), X[:150], y[:150])
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    before = path.read_bytes()
    loaded = joblib.load(path, mmap_mode="r+")
    assert_same_mixture(loaded.partial_fit(X[150:], y[150:]), model.partial_fit(X[150:], y[150:]))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["settings", "weights"])
@pytest.mark.parametrize(
    "change", [lambda values: values[:3], lambda values: values.view(np.int64), list]
)
def test_a_damaged_mixture_is_refused(rows, name, change):
    X, y = rows
    saved = learn(AdaptiveSGDClassifier(eta0="search"), X, y).__getstate__()
    saved["_model"][name] = change(saved["_model"][name])
    with pytest.raises(ValueError, match=r"saved state.*(settings|weights|models)"):
        AdaptiveSGDClassifier().__setstate__(saved)


# --- fit ---


@pytest.fixture(scope="module")
def sets(zipf_rows):
    _, X, y = zipf_rows
    numbers = make_regression(400, 10, n_informative=5, noise=20, random_state=0)
    return {AdaptiveSGDClassifier: (X[:600], y[:600]), AdaptiveSGDRegressor: numbers}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@every_optimizer
def test_fit_finds_the_rate_as_with_auto(sets, estimator, optimizer):
    X, y = sets[estimator]
    parameters = {"optimizer": optimizer, "max_iter": 8, "random_state": 0}
    model, automatic = (estimator(eta0=eta0, **parameters).fit(X, y) for eta0 in ("search", "auto"))
    assert_same_model(model, automatic)
    assert model.validation_scores_ == automatic.validation_scores_
    # partial_fit goes on at this rate
    t = model.t_
    assert model.partial_fit(X[:50], y[:50]).eta0_ == automatic.eta0_
    assert model.t_ == t + 50


def test_a_fit_after_a_stream_starts_anew_or_from_its_mean(sets):
    X, y = sets[AdaptiveSGDClassifier]
    model = AdaptiveSGDClassifier(eta0="search", random_state=0, max_iter=2, tol=None)
    fresh = clone(model).fit(X, y)
    stream = learn(clone(model), X, y)
    coef, intercept = stream.coef_, stream.intercept_
    assert_same_model(copy.deepcopy(stream).fit(X, y), fresh)
    warm = stream.set_params(warm_start=True).fit(X, y)
    given = clone(model).fit(X, y, coef_init=coef, intercept_init=intercept)
    assert_same_model(warm, given)
