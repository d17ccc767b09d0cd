"""The estimators that search: what they choose is what separate fits would have chosen."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model, relative_difference
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sk_adaptive import (
    AdaptiveSGDClassifier,
    AdaptiveSGDClassifierCV,
    AdaptiveSGDRegressor,
    AdaptiveSGDRegressorCV,
    _search_cv,
)
from sk_adaptive._registry import OPTIMIZERS
from sk_adaptive._start import start_of
from sk_adaptive.training import side_by_side
from sk_adaptive.training.side_by_side import SideBySide, clock_rate_of, groups_of

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)

GRID = {"alpha": [0.0, 1e-2], "eta0": [0.01, 0.03, 0.1]}
FIXED = {"max_iter": 3, "tol": None, "random_state": 0}


@pytest.fixture(scope="module")
def rows(zipf_rows):
    _, X, y = zipf_rows
    return X[:300], y[:300]


def search_of(estimator=AdaptiveSGDClassifierCV, grid=GRID, **parameters):
    parameters = {**FIXED, "early_stopping": False, "cv": 3, **parameters}
    lists = {f"{name}s": values for name, values in grid.items()}
    return estimator(**lists, **parameters)


def grid_of(estimator=AdaptiveSGDClassifier, grid=GRID, cv=3, scoring="neg_log_loss", **parameters):
    model = estimator(early_stopping=False, **{**FIXED, **parameters})
    return GridSearchCV(model, grid, cv=cv, scoring=scoring)


def targets_of(kind, X, y):
    """The estimators and the targets of a kind."""
    if kind == "numbers":
        return AdaptiveSGDRegressorCV, AdaptiveSGDRegressor, X @ np.linspace(-1, 1, X.shape[1])
    if kind == "several numbers":
        weights = np.linspace(-1, 1, 2 * X.shape[1]).reshape(-1, 2)
        return AdaptiveSGDRegressorCV, AdaptiveSGDRegressor, X @ weights
    if kind == "classes":
        y = np.array(["a", "b", "c"])[(X.getnnz(axis=1) + (y > 0)) % 3]
    if kind == "labels":
        y = np.column_stack([y > 0, X.getnnz(axis=1) % 2]).astype(int)
    return AdaptiveSGDClassifierCV, AdaptiveSGDClassifier, y


# -- models side by side --


def pass_of(model_class, X, y, grid, **parameters):
    """Estimators of a grid, what they learn from, and their starts."""
    models = [
        model_class(early_stopping=False, **{**FIXED, **parameters}, **each)
        for each in ParameterGrid(grid)
    ]
    for model in models:
        model.fit(X, y)
    training = models[0]._training_data(models[0]._targets, X, y, None)
    rows = np.arange(X.shape[0])
    return models, training, [start_of(model, training, rows, one_pass=False) for model in models]


def learn(group, training, epochs=3):
    """Epochs in the order of a fit with FIXED; return who failed."""
    seed = np.random.RandomState(FIXED["random_state"]).randint(np.iinfo(np.int32).max)
    generator, order, failed = np.random.default_rng(seed), np.arange(training.n_rows), []
    for _ in range(epochs):
        generator.shuffle(order)
        failed += group.learn(training, order)
    return failed


def weights_of(model):
    return np.append(model.coefficients(), model.intercepts())


@every_optimizer
@pytest.mark.parametrize("average", [0, 150])
@pytest.mark.parametrize("kind", ["signs", "classes"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"batch_size": 7, "penalty": "l1"},
        {"penalty": "elasticnet", "sparse_update": "masked"},
        {"learning_rate": "invscaling", "power_t": 0.2},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
def test_each_setting_is_what_it_would_be_alone(rows, optimizer, average, kind, parameters):
    """Also of those that go on in a smaller record, whose first one is another."""
    if parameters.get("learning_rate", "constant") not in OPTIMIZERS[optimizer].learning_rates:
        pytest.skip(f"{optimizer} has no such schedule")
    X, y = rows
    _, model_class, y = targets_of(kind, X, y)
    models, training, starts = pass_of(
        model_class, X, y, GRID, optimizer=optimizer, average=average, **parameters
    )
    features = np.arange(X.shape[1])
    for places in groups_of(starts):
        of_group = [starts[place] for place in places]
        unit = clock_rate_of(of_group)
        group = SideBySide(places, of_group, training, features, None, unit)
        generator = np.random.RandomState(FIXED["random_state"])
        shuffle = np.random.default_rng(generator.randint(np.iinfo(np.int32).max)).shuffle
        order, kept = np.arange(X.shape[0]), places[1::2] or places
        for epoch in range(FIXED["max_iter"]):
            shuffle(order)
            assert group.learn(training, order) == []
            if epoch == 0:
                group.keep(kept)
        # one alone learns beside itself
        assert sorted(set(group.members)) == kept
        for number, place in enumerate(group.members):
            expected = np.append(models[place].coef_, models[place].intercept_)
            assert relative_difference(weights_of(group.model_of(number)), expected) < 1e-12


def test_settings_share_a_record_unless_their_decays_differ(rows):
    X, y = rows
    for optimizer, spec in OPTIMIZERS.items():
        _, _, starts = pass_of(AdaptiveSGDClassifier, X, y, GRID, optimizer=optimizer)
        groups = groups_of(starts)
        assert sorted(place for group in groups for place in group) == list(range(len(starts)))
        if not spec.decoupled:
            assert len(groups) == 1
        else:
            # those without a decay, and each of the others
            assert len(groups) == 1 + len(GRID["eta0"])


@every_optimizer
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_setting_that_overflows_hurts_no_other(rows, optimizer, batch_size):
    """The model without it is the same, bit for bit where the first one stays."""
    X, y = rows
    X = X.astype(np.float32)
    y = X @ np.linspace(-1, 1, X.shape[1], dtype=np.float32)
    model_class = AdaptiveSGDRegressor
    grid = {"eta0": [0.01, 0.03], "alpha": [0.0]}
    parameters = {"optimizer": optimizer, "batch_size": batch_size, "eps": 1e-3}
    models, training, starts = pass_of(model_class, X, y, grid, **parameters)
    wild = replace(starts[0], hyperparameters=starts[0].hyperparameters.with_numbers(eta0=1e25))
    features = np.arange(X.shape[1])
    group = SideBySide(
        [0, 7, 1], [starts[0], wild, starts[1]], training, features, None, clock_rate_of(starts)
    )
    assert learn(group, training) == [7]
    assert group.members.tolist() == [0, 1]
    for place, model in enumerate(models):
        expected = np.append(model.coef_, model.intercept_)
        assert relative_difference(weights_of(group.model_of(place)), expected) < 1e-5


def test_a_failure_that_nobody_repeats_alone_ends(rows, monkeypatch):
    """Rounding may let each pass alone what fails together: then the largest one has to go."""
    X, y = rows
    y = X @ np.linspace(-1, 1, X.shape[1])
    _, training, starts = pass_of(AdaptiveSGDRegressor, X, y, {"eta0": [0.01, 0.03]})
    features = np.arange(X.shape[1])
    group = SideBySide([3, 4], starts, training, features, None, clock_rate_of(starts))
    learn(group, training, epochs=1)
    real, calls = side_by_side.learn_all, []

    def train_rows(optimizer, training, rows, **named):
        calls.append(rows.size)
        if len(calls) == 1:
            raise side_by_side.TrainingFailure(int(rows[0]))
        return real(optimizer, training, rows, **named)

    monkeypatch.setattr(side_by_side, "learn_all", train_rows)
    assert group.learn(training, np.arange(X.shape[0])) == [4]
    assert group.model.t == 2 * X.shape[0]


# -- the choice --


@every_optimizer
@pytest.mark.parametrize("kind", ["signs", "classes", "labels", "numbers", "several numbers"])
def test_the_choice_is_that_of_a_grid_search(rows, optimizer, kind):
    X, y = rows
    search, model, y = targets_of(kind, X, y)
    scoring = None if kind == "labels" or "numbers" in kind else "neg_log_loss"
    own = search_of(search, optimizer=optimizer, scoring=scoring, cv=2).fit(X, y)
    grid = grid_of(model, optimizer=optimizer, scoring=scoring, cv=2).fit(X, y)
    assert own.best_params_ == grid.best_params_
    assert own.cv_results_["params"] == grid.cv_results_["params"]
    for name, values in grid.cv_results_.items():
        if name.endswith("test_score"):
            np.testing.assert_allclose(own.cv_results_[name], values, rtol=1e-8, atol=1e-10)
        if name.startswith("param_"):
            np.testing.assert_array_equal(own.cv_results_[name], values)
    assert_same_model(own, grid.best_estimator_)
    assert own.best_score_ == pytest.approx(grid.best_score_)
    assert own.best_iteration_ == own.n_iter_ == FIXED["max_iter"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"normalize": True},
        {"average": True},
        {"batch_size": 8, "fit_intercept": False},
        {"loss": "hinge", "penalty": "l1", "shuffle": False},
        {"eps": 0.1, "penalty": None},
        {"class_weight": {-1: 1.0, 1: 3.0}},
    ],
    ids=lambda parameters: "-".join(map(str, parameters)),
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_array])
def test_other_parameters_count_as_in_a_grid_search(rows, parameters, form):
    X, y = rows
    X = form(X.toarray())
    grid = {"eta0": GRID["eta0"]} if parameters.get("penalty", "l2") is None else GRID
    # weights belong to the scores of rows held out, which a grid search does not know
    scoring = "roc_auc" if "class_weight" not in parameters else make_scorer(_unweighted)
    own = search_of(grid=grid, scoring=scoring, **parameters).fit(X, y)
    expected = grid_of(grid=grid, scoring=scoring, **parameters).fit(X, y)
    assert own.best_params_ == expected.best_params_
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    assert_same_model(own, expected.best_estimator_)


def _unweighted(y_true, y_pred, sample_weight=None):
    return accuracy_score(y_true, y_pred)


def test_shares_of_l1_are_searched(rows):
    X, y = rows
    grid = {**GRID, "l1_ratio": [0.2, 0.9]}
    own = search_of(grid=grid, penalty="elasticnet").fit(X, y)
    expected = grid_of(grid=grid, penalty="elasticnet").fit(X, y)
    assert own.best_params_ == expected.best_params_
    assert own.cv_results_["params"] == expected.cv_results_["params"]
    assert_same_model(own, expected.best_estimator_)


@pytest.mark.parametrize("scoring", ["loss", "accuracy", None])
def test_the_epoch_is_the_best_of_all(rows, scoring):
    """As if each number of epochs had been a search of its own; of equal ones the first."""
    X, y = rows
    name = {"loss": "neg_log_loss"}.get(scoring, scoring)
    own = search_of(early_stopping=True, prune=False, scoring=scoring).fit(X, y)
    by_epoch = np.array(
        [
            grid_of(max_iter=epoch, scoring=name).fit(X, y).cv_results_["mean_test_score"]
            for epoch in range(1, 4)
        ]
    )
    np.testing.assert_allclose(own.cv_results_["mean_test_score"], by_epoch.max(axis=0))
    np.testing.assert_array_equal(own.cv_results_["n_iter"], by_epoch.argmax(axis=0) + 1)
    np.testing.assert_allclose(own.validation_scores_, by_epoch[:, own.best_index_])
    best = own.best_params_
    expected = AdaptiveSGDClassifier(**{**FIXED, "max_iter": own.best_iteration_}, **best)
    assert_same_model(own, expected.set_params(early_stopping=False).fit(X, y))


def test_a_setting_ends_where_its_mean_score_stalls(rows):
    X, y = rows
    whole = search_of(early_stopping=True, prune=False, max_iter=30).fit(X, y)
    assert set(whole.cv_results_["stopped_by"]) == {"max_iter"}
    parameters = {"early_stopping": True, "prune": False, "tol": 1e-3, "n_iter_no_change": 2}
    own = search_of(max_iter=30, **parameters).fit(X, y)
    stopped = own.cv_results_["stopped_by"] == "tol"
    assert stopped.any()
    assert np.all(own.cv_results_["n_iter"][stopped] < 30)
    # those that went on have lost nothing by it
    same = own.cv_results_["n_iter"] == whole.cv_results_["n_iter"]
    assert same.any()
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"][same], whole.cv_results_["mean_test_score"][same]
    )
    assert own.stopped_by_ == own.cv_results_["stopped_by"][own.best_index_]


def test_hopeless_settings_are_given_up_and_the_choice_stays(rows):
    X, y = rows
    grid = {"eta0": [1e-5, 0.1, 0.2], "alpha": [0.0, 1e-3]}
    parameters = {"grid": grid, "early_stopping": True, "max_iter": 12}
    whole = search_of(prune=False, **parameters).fit(X, y)
    own = search_of(**parameters).fit(X, y)
    pruned = own.cv_results_["stopped_by"] == "pruned"
    assert np.all(pruned[own.cv_results_["param_eta0"] == 1e-5])
    assert "pruned" not in whole.cv_results_["stopped_by"]
    assert own.best_params_ == whole.best_params_
    assert own.best_iteration_ == whole.best_iteration_
    assert_same_model(own, whole)


@pytest.mark.parametrize(
    ("means", "best", "hopeless"),
    [
        ([0.1, 0.2], 0.9, False),  # too early to say
        ([0.1, 0.2, 0.3], 0.65, True),  # 0.3 + 3 * 0.1 is less
        ([0.1, 0.2, 0.3], 0.55, False),
        ([0.5, 0.3, 0.2], 0.51, True),  # it does not even grow
        ([0.5, 0.3, 0.2], 0.5, False),
        ([0.0, 0.1, 0.4, 0.42, 0.44], 0.99, False),  # 0.44 + 5 * (0.44 - 0.1) / 3 = 1.007
        ([0.0, 0.3, 0.4, 0.42, 0.44], 0.68, True),  # only the second half counts: 0.67
    ],
)
def test_hopeless_is_what_would_not_come_up_going_on_as_steeply(means, best, hopeless):
    setting = _search_cv.Setting({}, None, [np.array([mean, mean]) for mean in means])
    assert setting.is_hopeless(best) == hopeless


# -- folds, weights, groups --


def test_folds_are_those_of_the_splitter(rows):
    X, y = rows
    groups = np.arange(X.shape[0]) // 10
    own = search_of(cv=GroupKFold(3)).fit(X, y, groups=groups)
    expected = grid_of(cv=GroupKFold(3)).fit(X, y, groups=groups)
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        search_of(cv=GroupKFold(3)).fit(X, y, groups=groups[1:])
    pairs = list(KFold(3).split(X))
    masks = [tuple(np.isin(np.arange(X.shape[0]), part) for part in pair) for pair in pairs]
    by_pairs, by_masks = (search_of(cv=cv).fit(X, y) for cv in (pairs, masks))
    assert by_pairs.n_splits_ == 3
    assert by_pairs.best_score_ == by_masks.best_score_
    assert_same_model(by_pairs, by_masks)


def test_a_share_is_one_fold_stratified(rows):
    X, y = rows
    own = search_of(cv=0.2).fit(X, y)
    assert own.n_splits_ == 1
    assert "split1_test_score" not in own.cv_results_
    # the split of a fit that sets rows aside, with the same seed
    best = AdaptiveSGDClassifier(
        **{**FIXED, **own.best_params_},
        early_stopping=True,
        validation_fraction=0.2,
        refit=False,
    ).fit(X, y)
    assert best.validation_scores_[-1] == pytest.approx(own.best_score_)


@pytest.mark.parametrize("kind", ["signs", "classes", "numbers"])
@pytest.mark.parametrize("scoring", ["loss", None])
def test_a_row_without_weight_is_no_row(rows, kind, scoring):
    X, y = rows
    search, _, y = targets_of(kind, X, y)
    weight = np.where(np.arange(X.shape[0]) % 4 == 1, 0.0, 1.5)
    kept = np.flatnonzero(weight)
    pairs = list(KFold(3).split(X))
    place = np.cumsum(weight > 0) - 1
    of_kept = [tuple(place[part[weight[part] > 0]] for part in pair) for pair in pairs]
    own = search_of(search, scoring=scoring, cv=pairs).fit(X, y, sample_weight=weight)
    expected = search_of(search, scoring=scoring, cv=of_kept)
    expected.fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-12
    )
    with pytest.raises(ValueError, match="at least one non-zero"):
        search_of(search).fit(X, y, sample_weight=np.zeros(X.shape[0]))


def test_balanced_weights_count_in_the_scores(rows):
    X, y = rows
    rare = np.where((y > 0) & (np.arange(y.size) % 3 == 0), 1, -1)
    own = search_of(class_weight="balanced", scoring="accuracy").fit(X, rare)
    weight = {label: rare.size / (2 * np.sum(rare == label)) for label in (-1, 1)}
    expected = search_of(class_weight=weight, scoring="accuracy").fit(X, rare)
    np.testing.assert_allclose(
        own.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    plain = search_of(scoring="accuracy").fit(X, rare)
    assert not np.allclose(own.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_names_and_functions_score_alike(rows):
    X, y = rows

    def area(model, X, y):
        assert model.coef_.shape == (1, X.shape[1])
        assert model.eta0_ in GRID["eta0"]
        raw = X @ model.coef_[0] + model.intercept_
        np.testing.assert_allclose(model.decision_function(X), raw)
        return accuracy_score(y, np.where(raw > 0, 1, -1))

    by_function, by_name = (search_of(scoring=s).fit(X, y) for s in (area, "accuracy"))
    np.testing.assert_array_equal(
        by_function.cv_results_["mean_test_score"], by_name.cv_results_["mean_test_score"]
    )


def test_a_class_that_a_fold_lacks_is_one_that_it_never_sees(rows):
    X, _ = rows
    y = np.arange(X.shape[0]) // 100
    own = search_of(cv=KFold(3)).fit(X, y)
    assert np.isfinite(own.cv_results_["mean_test_score"]).all()
    assert own.classes_.tolist() == [0, 1, 2]


def test_threads_change_nothing(rows):
    X, y = rows
    one, two = (search_of(early_stopping=True, n_jobs=n).fit(X, y) for n in (None, 2))
    assert_same_model(one, two)
    for name, values in one.cv_results_.items():
        assert np.array_equal(values, two.cv_results_[name]) or name == "params"


# -- automatic grids --


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@every_optimizer
def test_automatic_grids_are_around_the_automatic_setting(rows, optimizer, penalty):
    """With the automatic numbers written out the model is that of the defaults."""
    X, y = rows
    l1_ratios = [0.3, 0.7]
    own = AdaptiveSGDClassifierCV(
        **FIXED, optimizer=optimizer, penalty=penalty, l1_ratios=l1_ratios, cv=0.2
    ).fit(X, y)
    default = AdaptiveSGDClassifier(
        **FIXED, optimizer=optimizer, penalty=penalty, l1_ratio=0.3, early_stopping=False
    ).fit(X, y)
    parameters = [
        each for each in own.cv_results_["params"] if each.get("l1_ratio", 0.3) == l1_ratios[0]
    ]
    rates = np.unique([each["eta0"] for each in parameters])
    assert rates / default.eta0_ == pytest.approx(_search_cv.RATES)
    alphas = np.unique([each["alpha"] for each in parameters])
    assert alphas / alphas[0] == pytest.approx(_search_cv.STRENGTHS)
    if penalty != "elasticnet":
        by_number = clone(default).set_params(alpha=float(alphas[0]), eta0=default.eta0_)
        assert relative_difference(by_number.fit(X, y).coef_, default.coef_) < 1e-9
    with_second = [each for each in own.cv_results_["params"] if each.get("l1_ratio") == 0.7]
    assert len(with_second) == (len(parameters) if penalty == "elasticnet" else 0)


def test_units_of_the_rows_do_not_matter(rows):
    X, y = rows
    one, other = (AdaptiveSGDClassifierCV(**FIXED, cv=3).fit(X * unit, y) for unit in (1, 1e-3))
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"], rtol=1e-6
    )
    assert one.best_index_ == other.best_index_


# -- what fails --


def test_settings_that_fail_are_out_and_said(rows):
    X, y = rows
    X = X.astype(np.float32)
    y = X @ np.linspace(-1, 1, X.shape[1], dtype=np.float32)
    grid = {"alpha": [0.0], "eta0": [0.01, 1e30, 0.1]}
    with pytest.warns(FitFailedWarning, match="1 of 3 settings failed"):
        own = search_of(AdaptiveSGDRegressorCV, grid).fit(X, y)
    results = own.cv_results_
    assert results["stopped_by"].tolist() == ["max_iter", "failed", "max_iter"]
    assert np.isnan(results["mean_test_score"]).tolist() == [False, True, False]
    assert results["rank_test_score"].max() == results["rank_test_score"][1] == 3
    alone = search_of(AdaptiveSGDRegressorCV, {**grid, "eta0": [0.01, 0.1]}).fit(X, y)
    np.testing.assert_allclose(
        results["mean_test_score"][[0, 2]], alone.cv_results_["mean_test_score"], rtol=1e-5
    )
    before = pickle.dumps(own)
    with pytest.raises(ValueError, match="with every setting"):
        own.set_params(eta0s=[1e30]).fit(X, y)
    own.set_params(eta0s=grid["eta0"])
    assert_same_model(own, pickle.loads(before))


@pytest.mark.parametrize("optimizer", [name for name, spec in OPTIMIZERS.items() if spec.decoupled])
def test_a_decay_that_is_no_decay_fails_alone(rows, optimizer):
    X, y = rows
    grid = {"alpha": [0.0, 200.0], "eta0": [0.01]}
    with pytest.warns(FitFailedWarning, match="do not go together"):
        own = search_of(grid=grid, optimizer=optimizer).fit(X, y)
    assert own.best_params_ == {"alpha": 0.0, "eta0": 0.01}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta0s": [0.1, 0.0]}, "eta0s has a number that is out of bounds"),
        ({"eta0s": []}, "eta0s has to be a list of numbers"),
        ({"eta0s": [[0.1]]}, "eta0s has to be a list of numbers"),
        ({"eta0s": 0.1}, "'eta0s' parameter"),
        ({"alphas": [-1.0]}, "alphas has a number"),
        ({"alphas": [np.nan]}, "alphas has a number"),
        ({"alphas": ["much"]}, "alphas has to be a list"),
        ({"penalty": "elasticnet", "l1_ratios": [1.5]}, "l1_ratios has a number"),
        ({"cv": 1.5}, "'cv' parameter"),
        ({"cv": 1}, "'cv' parameter"),
        ({"learning_rate": "adaptive"}, "'learning_rate' parameter"),
        ({"scoring": "acuracy"}, "'scoring' parameter"),
        ({"prune": "yes"}, "'prune' parameter"),
    ],
)
def test_bad_parameters_are_refused_by_name(rows, parameters, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveSGDClassifierCV(**{"cv": 3, **parameters}).fit(*rows)


def test_memory_that_there_is_not_is_refused_with_the_figure(rows, monkeypatch):
    X, y = rows
    monkeypatch.setattr(_search_cv, "physical_memory", lambda: 1000)
    with pytest.raises(MemoryError, match=r"6 settings side by side in 3 fold\(s\) need 0.0 GB"):
        search_of().fit(X, y)
    monkeypatch.undo()
    assert _search_cv.physical_memory() > 1e8


@every_optimizer
def test_the_figure_is_what_the_records_take(rows, optimizer):
    X, y = rows
    models, training, _ = pass_of(AdaptiveSGDClassifier, X, y, GRID, optimizer=optimizer)
    part = np.arange(200), np.arange(200, 300)
    fold = _search_cv.Fold(
        models, X, y, training, *part, models[0]._fit_options(training, part[0], True), n_parts=2
    )
    fold.begin(np.arange(X.shape[1]))
    taken = sum(group.model.records.nbytes for group in fold._groups)
    assert fold.n_bytes(X.shape[1]) == taken > 0


# -- an estimator like the others --


@pytest.mark.parametrize("kind", ["signs", "classes", "labels", "numbers"])
def test_partial_fit_goes_on_from_the_model_of_all_rows(rows, kind):
    X, y = rows
    search, model, y = targets_of(kind, X, y)
    own = search_of(search).fit(X, y)
    parameters = {**FIXED, "early_stopping": False, **own.best_params_}
    expected = model(**parameters).fit(X, y)
    for estimator in (own, expected):
        estimator.partial_fit(X[:20], y[:20])
    assert_same_model(own, expected)
    copy = pickle.loads(pickle.dumps(own))
    for estimator in (own, copy):
        estimator.partial_fit(X[20:40], y[20:40])
    assert_same_model(own, copy)


def test_before_a_search_partial_fit_takes_what_is_automatic(rows):
    X, y = rows
    own, expected = AdaptiveSGDClassifierCV(), AdaptiveSGDClassifier()
    for estimator in (own, expected):
        estimator.partial_fit(X, y, classes=[-1, 1])
    assert_same_model(own, expected)


def test_without_refit_there_is_no_model(rows):
    X, y = rows
    own = search_of().fit(X, y)
    found = own.best_params_
    own.set_params(refit=False).fit(X, y)
    assert own.best_params_ == found
    with pytest.raises(NotFittedError):
        own.predict(X)
    assert not hasattr(own, "coef_")


def test_it_is_cloned_and_put_into_pipelines(rows):
    X, y = rows
    own = make_pipeline(MaxAbsScaler(), search_of()).fit(X, y)
    assert_same_model(clone(own).fit(X, y)[-1], own[-1])
    assert own.score(X, y) > 0.6
    assert clone(own[-1]).get_params() == own[-1].get_params()


def test_a_best_setting_that_has_not_ended_is_a_warning(rows):
    X, y = rows
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        search_of(early_stopping=True, max_iter=2, tol=1e-3).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search_of(early_stopping=True, max_iter=2).fit(X, y)


def test_verbose_prints_a_line_for_each_epoch(rows, capsys):
    X, y = rows
    search_of(verbose=1, early_stopping=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [f"Epoch {k} of 3" for k in (1, 2, 3)]
    assert "6 of 6 settings" in lines[0]


class Watch:
    """A callback that counts, and stops the search or the fit of all rows."""

    def __init__(self, stop_at=None):
        self.stop_at, self.names = stop_at, []

    def setup(self, estimator, context):
        self.names = []

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        path = "search" if context.parent is None else context.parent.task_name
        self.names.append((path, context.task_name))
        return self.names.count(self.stop_at) == 1 and self.names[-1] == self.stop_at


@pytest.mark.skipif(
    not hasattr(AdaptiveSGDClassifierCV, "set_callbacks"), reason="scikit-learn older than 1.9"
)
def test_callbacks_are_told_of_every_epoch_and_may_stop_both_parts(rows):
    X, y = rows
    watch = Watch()
    plain = search_of(early_stopping=True).fit(X, y)
    own = search_of(early_stopping=True).set_callbacks(watch).fit(X, y)
    assert_same_model(own, plain)
    assert watch.names.count(("search", "epoch")) == 3
    assert watch.names.count(("refit", "epoch")) == own.n_iter_
    for early_stopping in (True, False):
        own = search_of(early_stopping=early_stopping).set_callbacks(Watch(("search", "epoch")))
        own.fit(X, y)
        assert own.best_iteration_ == own.n_iter_ == 1
        assert own.stopped_by_ == "callback"
        assert np.isfinite(own.best_score_)
    own = search_of().set_callbacks(Watch(("refit", "epoch"))).fit(X, y)
    assert (own.n_iter_, own.stopped_by_) == (1, "callback")


def test_labels_may_be_sparse(rows):
    X, y = rows
    _, _, labels = targets_of("labels", X, y)
    for cv in (3, 0.25):
        dense, sparse = (
            search_of(cv=cv).fit(X, form(labels)) for form in (np.array, sp.csr_matrix)
        )
        assert_same_model(sparse, dense)
        assert sp.issparse(sparse.predict(X))


@pytest.mark.parametrize("search", [AdaptiveSGDClassifierCV, AdaptiveSGDRegressorCV])
def test_parameters_are_those_of_the_model_and_have_its_defaults(search):
    """But for what is searched, and what a search has no use for."""
    own, of_model = search().get_params(), search._base().get_params()
    replaced = {"alpha", "eta0", "l1_ratio", "validation_fraction", "warm_start"}
    assert set(of_model) - set(own) == replaced
    shared = set(of_model) & set(own) - {"early_stopping"}
    assert {name: own[name] for name in shared} == {name: of_model[name] for name in shared}


class Short(AdaptiveSGDClassifierCV):
    def __init__(self, eta0s):
        super().__init__(eta0s=eta0s, alphas=[1e-3], penalty="l1", cv=3, **FIXED)


def test_a_subclass_may_take_other_parameters(rows):
    X, y = rows
    own = Short([0.03, 0.1]).fit(X, y)
    best = AdaptiveSGDClassifier(penalty="l1", **{**FIXED, **own.best_params_})
    best.set_params(max_iter=own.best_iteration_, early_stopping=False)
    assert_same_model(own, best.fit(X, y))
    assert_same_model(clone(own).fit(X, y), own)
