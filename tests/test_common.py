"""scikit-learn's own checks of estimators."""

import pytest
from modes import every_form, every_optimizer
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor

EXPECTED_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a weight of 2 is not two steps, as in SGD"
    for kind in ("dense", "sparse")
}


def every_check(estimators):
    return parametrize_with_checks(
        estimators, expected_failed_checks=lambda estimator: EXPECTED_FAILURES
    )


@pytest.mark.values("estimator,check", "optimizer,sparse_update")
@every_form
@every_optimizer
@every_check([AdaptiveSGDClassifier(max_iter=20), AdaptiveSGDRegressor(max_iter=20)])
@pytest.mark.filterwarnings("ignore:Maximum number of iteration reached")
def test_estimator(estimator, check, optimizer, sparse_update):
    check(estimator.set_params(optimizer=optimizer, sparse_update=sparse_update))


@every_check(
    [
        # few folds, as there are checks with few rows; and scores that are to be above .5
        AdaptiveGridSearchCV(estimator, grid, scoring=None, cv=2, error_score="raise")
        for estimator, grid in (
            (AdaptiveSGDClassifier(max_iter=5, random_state=0), {"alpha": [1e-6, 1e-3]}),
            (
                Pipeline([("model", AdaptiveSGDRegressor(max_iter=5, random_state=0))]),
                {"model__alpha": [1e-6, 1e-3]},
            ),
        )
    ]
    + [
        estimator(eta0="search", max_iter=5)
        for estimator in (AdaptiveSGDClassifier, AdaptiveSGDRegressor)
    ]
)
@pytest.mark.filterwarnings("ignore:Maximum number of iteration reached")
def test_estimator_that_searches(estimator, check):
    check(estimator)
