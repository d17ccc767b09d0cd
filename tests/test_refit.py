"""What `fit` finds on rows set aside: by more than noise, with a larger eps, of many on a part."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from comparison import assert_same_model
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import average_precision_score

from sk_adaptive import AdaptiveSGDClassifier, AdaptiveSGDRegressor
from sk_adaptive.kernel.optimizers import OPTIMIZERS
from sk_adaptive.training import refit, validation
from sk_adaptive.training.epochs import Convergence, FitOptions, NotFinite, Progress
from sk_adaptive.training.refit import Trial


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sp.random(2400, 60, density=0.1, random_state=0, format="csr")
    return X, X @ rng.normal(size=60) + 0.3 * rng.normal(size=2400)


@pytest.fixture
def many(rows, monkeypatch):
    """Rows that count as very many."""
    monkeypatch.setattr(validation, "MANY_ROWS", 1000)
    monkeypatch.setattr(validation, "ENOUGH_ROWS", 60)
    return rows


@pytest.fixture
def runs(monkeypatch):
    """The runs of each fit: their rows, their first rate, and the progress."""
    seen, real = [], refit.fit_epochs

    def spy(model, training, rows, *others):
        rate = model.learning_rate
        progress = real(model, training, rows, *others)
        seen.append((rows, rate, progress))
        return progress

    monkeypatch.setattr(refit, "fit_epochs", spy)
    return seen


# -- which run is better --


def progress_of(losses, scores=None):
    """A run whose best model has these losses of rows, or with another score."""
    scores = [-losses.mean()] if scores is None else scores
    row_losses = None if losses is None else losses / losses.size
    return Progress(None, validation_scores=scores, row_losses=row_losses)


def test_a_run_is_better_by_more_than_a_standard_error():
    rng = np.random.default_rng(0)
    losses = rng.gamma(1.0, size=400)
    noise = rng.normal(size=400)
    noise = (noise - noise.mean()) / noise.std()
    rival = progress_of(losses)
    for errors, is_better in ((1.1, True), (0.9, False), (0.0, False), (-1.1, False)):
        # the standard error of the mean of 400 numbers
        other = progress_of(losses - noise - errors / 20)
        assert refit._is_better(other, rival) == is_better
        # noise that is common to both is no noise of the difference
        other = progress_of(losses - errors / 20)
        assert refit._is_better(other, rival) == (errors > 0)


def test_scores_without_losses_of_rows_are_compared_as_they_are():
    for score, rival in ((0.8, 0.7), (0.7, 0.7), (0.6, 0.7)):
        one, other = (Progress(None, validation_scores=[0.1, each]) for each in (score, rival))
        assert refit._is_better(one, other) == (score > rival)


def run_with(scores):
    """A function that runs trials, which end with these scores of one epoch."""

    def run(trial, options):
        if trial not in scores:
            raise NotFinite
        return Progress(None, validation_scores=[scores[trial]], best_iteration=1)

    return run


def test_trials_are_tried_in_turn_and_the_better_one_goes_on():
    last = Trial(3.0, 100.0)
    first, second = Trial(3.0, 10.0, then=(last,)), Trial(3.0)
    start = Progress(None, validation_scores=[0.5], best_iteration=4)
    options = FitOptions(
        max_iter=9, tol=None, n_iter_no_change=5, shuffle=True, seed=0, adaptive=False, verbose=0
    )
    for scores, best in (
        ({first: 0.6, second: 0.9, last: 0.7}, last),
        ({first: 0.6, second: 0.9, last: 0.55}, first),
        ({first: 0.6, second: 0.9}, first),
        ({first: 0.4, second: 0.9, last: 0.99}, second),
        ({second: 0.4}, Trial()),
        ({}, Trial()),
    ):
        trial, progress = refit._best_of(
            start, (first, second), lambda trial: trial, run_with(scores), options
        )
        assert trial == best
        assert progress is start if best == Trial() else max(progress.validation_scores) > 0.5


def test_numbers_that_are_given_stay(rows):
    X, y = rows
    for parameters, free in (
        ({"eta0": 0.1}, set()),
        ({"eta0": "3*auto"}, set()),
        ({"eps": 0.5}, {1.0}),
        ({"eps": "2*auto"}, {1.0}),
        ({}, {0.01, 1.0, 10.0, 100.0}),
        ({"optimizer": "adam"}, {1.0, 100.0}),
    ):
        trials = refit.trials_for(AdaptiveSGDRegressor(**parameters))
        assert {trial.eps for trial in trials} == free
    model = AdaptiveSGDRegressor(eps=0.5, random_state=0).fit(X, y)
    assert model.eps_ == 0.5


def test_what_was_found_is_what_partial_fit_goes_on_with(rows):
    X, y = rows
    trial = Trial(3.0, 10.0)
    for optimizer in OPTIMIZERS:
        model = AdaptiveSGDRegressor(optimizer=optimizer, random_state=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refit, "_best_of", lambda first, *_: (trial, first))
            model.fit(X, y)
        automatic = clone(model).set_params(early_stopping=False).fit(X, y)
        eta0, eps = model.eta0_, model.eps_
        assert eta0 == pytest.approx(3 * automatic.eta0_)
        assert eps == pytest.approx(10 * automatic.eps_)
        # also where other parameters change
        model.set_params(alpha=1e-3).partial_fit(X[:9], y[:9])
        assert (model.eta0_, model.eps_) == (eta0, eps)


# -- when a run ends --


def test_small_losses_go_on_while_they_gain_a_share_of_themselves():
    for relative, ends_at in ((np.inf, 4), (0.01, 13)):
        convergence = Convergence(1e-2, 3, relative)
        value, n = 0.1, 0
        # a gain of 5 % an epoch, until nothing is gained any more
        while True:
            n += 1
            value *= 0.95 if n <= 10 else 1
            if convergence.is_stalled(value):
                break
        assert n == ends_at
    # large losses are those of tol
    for relative in (np.inf, 0.01):
        convergence = Convergence(1e-2, 2, relative)
        assert [convergence.is_stalled(5 - 0.009 * k) for k in range(4)] == [0, 0, 1, 1]


# -- rare classes --


def test_weighted_rare_rows_do_not_end_a_run_that_has_hardly_begun():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        entries = rng.random(220_000), rng.integers(3000, size=220_000)
        X = sp.csr_matrix((*entries, np.arange(0, 220_001, 20)), (11_000, 3000))
        raw = X @ rng.normal(size=3000)
        raw += 0.3 * raw.std() * rng.normal(size=raw.size)
        y = raw > np.quantile(raw, 0.88)
        precision = {}
        for make in (AdaptiveSGDClassifier, SGDClassifier):
            model = make(loss="log_loss", class_weight="balanced", random_state=seed)
            decision = model.fit(X[:8000], y[:8000]).decision_function(X[8000:])
            precision[make] = average_precision_score(y[8000:], decision)
        # it was .12 to .17 less
        assert precision[AdaptiveSGDClassifier] > precision[SGDClassifier] - 0.08


# -- very many rows --


@pytest.mark.parametrize("make", [AdaptiveSGDClassifier, AdaptiveSGDRegressor])
def test_of_many_rows_a_part_tells_the_rate_and_all_but_a_few_are_learned(many, runs, make):
    X, y = many
    y = y if make is AdaptiveSGDRegressor else y > 0.3
    model = make(random_state=0, sparse_update="masked").fit(X, y)
    *compared, (last, rate, _) = runs
    assert len(compared) > 1
    # few are set aside
    assert 0.9 * y.size < last.size < y.size
    for part, _, _ in compared:
        assert part.size == last.size // 8
        assert np.isin(part, last).all()
    # a run of its own finds the number of epochs, and ends early
    assert model.n_iter_ == len(model.validation_scores_)
    assert model.best_iteration_ == np.argmax(model.validation_scores_) + 1
    assert model.n_iter_ <= model.best_iteration_ + 1 or model.n_iter_ == 100
    assert model.t_ == 1 + model.best_iteration_ * last.size
    assert model.eta0_ == rate
    assert rate in [rate for _, rate, _ in compared]


def test_of_many_rows_the_model_is_that_of_a_fit_with_what_was_found(many, runs):
    X, y = many
    for optimizer in ("adagrad", "adam"):
        runs.clear()
        mode = {"optimizer": optimizer, "average": False, "shuffle": False}
        model = AdaptiveSGDRegressor(**mode, random_state=0)
        model.fit(X, y)
        learned, rate, _ = runs[-1]
        rest = np.setdiff1d(np.arange(y.size), learned)
        eps = f"{model._model.hyperparameters.scales.eps}*auto"
        again = clone(model).set_params(eta0=rate, eps=eps, max_iter=model.best_iteration_)
        again.set_params(tol=None, early_stopping=False)
        # rows of weight 0 are none
        weight = np.isin(np.arange(y.size), rest, invert=True).astype(float)
        again.fit(X, y, sample_weight=weight)
        assert_same_model(again, model)


def test_of_many_rows_nothing_depends_on_threads_and_all_is_repeatable(many):
    X, y = many
    y = np.digitize(y, [-0.5, 0, 0.5])
    for scoring in ("loss", "accuracy"):
        models = [
            AdaptiveSGDClassifier(scoring=scoring, n_jobs=n_jobs, random_state=0).fit(X, y)
            for n_jobs in (1, 3, 1)
        ]
        for model in models[1:]:
            assert_same_model(model, models[0])
            assert model.validation_scores_ == models[0].validation_scores_


def test_of_many_rows_what_is_asked_for_holds(many, runs):
    X, y = many
    # a number is not compared with others
    model = AdaptiveSGDRegressor(eta0=0.1, random_state=0).fit(X, y)
    assert len(runs) == 1 and model.eta0_ == 0.1
    # without refit, and with rows that are given, it is as with few
    for parameters, given in (({"refit": False}, {}), ({}, {"X_val": X[:99], "y_val": y[:99]})):
        runs.clear()
        model = AdaptiveSGDRegressor(random_state=0, **parameters).fit(X, y, **given)
        few = AdaptiveSGDRegressor(random_state=0, **parameters)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation, "MANY_ROWS", np.inf)
            assert_same_model(few.fit(X, y, **given), model)
        assert not runs
    # more patience is more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = AdaptiveSGDRegressor(n_iter_no_change=50, max_iter=40, random_state=0).fit(X, y)
    assert model.n_iter_ > 10 > AdaptiveSGDRegressor(random_state=0).fit(X, y).n_iter_
