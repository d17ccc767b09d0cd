"""scikit-learn's own checks of estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_adaptive import (
    AdaptiveSGDClassifier,
    AdaptiveSGDClassifierCV,
    AdaptiveSGDRegressor,
    AdaptiveSGDRegressorCV,
)
from sk_adaptive.kernel.optimizers import OPTIMIZERS

EXPECTED_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "a weight of 2 is not two steps, as in SGD"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [
        estimator(optimizer=optimizer, sparse_update=sparse_update, max_iter=20)
        for estimator in (AdaptiveSGDClassifier, AdaptiveSGDRegressor)
        for optimizer in OPTIMIZERS
        for sparse_update in ("exact", "masked")
    ]
    + [
        # few folds, as there are checks with few rows
        estimator(max_iter=10, cv=2, alphas=[1e-6, 1e-3])
        for estimator in (AdaptiveSGDClassifierCV, AdaptiveSGDRegressorCV)
    ]
    + [
        estimator(eta0="search", max_iter=20)
        for estimator in (AdaptiveSGDClassifier, AdaptiveSGDRegressor)
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
@pytest.mark.filterwarnings("ignore:Maximum number of iteration reached")
def test_estimator(estimator, check):
    check(estimator)
