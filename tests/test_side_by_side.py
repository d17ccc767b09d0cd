"""Models that learn side by side: each is what it would be alone."""

from dataclasses import replace

import numpy as np
import pytest
from comparison import relative_difference
from modes import every_optimizer
from sklearn.model_selection import ParameterGrid

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training import side_by_side
from sk_adaptive.training.side_by_side import SideBySide, clock_rate_of, groups_of
from sk_adaptive.training.start import start_of

GRID = {"alpha": [0.0, 1e-2], "eta0": [0.01, 0.03, 0.1]}
FIXED = {"max_iter": 3, "tol": None, "random_state": 0}


@pytest.fixture(scope="module")
def rows(zipf_rows):
    _, X, y = zipf_rows
    return X[:300], y[:300]


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


@pytest.mark.pairs
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
    if kind == "classes":
        y = np.array(["a", "b", "c"])[(X.getnnz(axis=1) + (y > 0)) % 3]
    models, training, starts = pass_of(
        AdaptiveSGDClassifier, X, y, GRID, optimizer=optimizer, average=average, **parameters
    )
    features = np.arange(X.shape[1], dtype=np.int32)
    for places in groups_of(starts):
        of_group = [starts[place] for place in places]
        clock_rate = clock_rate_of(of_group)
        group = SideBySide(places, of_group, training, features, None, clock_rate)
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
    features = np.arange(X.shape[1], dtype=np.int32)
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
    features = np.arange(X.shape[1], dtype=np.int32)
    group = SideBySide([3, 4], starts, training, features, None, clock_rate_of(starts))
    learn(group, training, epochs=1)
    real, calls = side_by_side.learn, []

    def learn_rows(model, training, rows, learned, threads):
        calls.append(rows.size)
        if len(calls) == 1:
            raise side_by_side.TrainingFailure(int(rows[0]))
        return real(model, training, rows, learned, threads)

    monkeypatch.setattr(side_by_side, "learn", learn_rows)
    assert group.learn(training, np.arange(X.shape[0])) == [4]
    assert group.model.t == 2 * X.shape[0]


@every_optimizer
def test_losses_and_penalties_are_those_of_each_model(rows, optimizer):
    """The sum of both is the objective that a fit alone tells."""
    X, y = rows
    parameters = {"optimizer": optimizer, "penalty": "elasticnet", "batch_size": 4}
    models, training, starts = pass_of(AdaptiveSGDClassifier, X, y, GRID, **parameters)
    for places in groups_of(starts):
        of_group = [starts[place] for place in places]
        group = SideBySide(
            places, of_group, training, training.features(), None, clock_rate_of(of_group)
        )
        assert learn(group, training) == []
        objectives = group.losses / X.shape[0] + group.penalties()
        expected = [models[place].loss_curve_[-1] for place in places]
        np.testing.assert_allclose(objectives, expected, rtol=1e-10)
