"""scikit-learn's own tests of GridSearchCV, run on AdaptiveGridSearchCV.

`python tests/swapped_search.py` replaces GridSearchCV, and the estimators that its tests search by
ours. Their parameters stay: `C` is the inverse of a strength. It prints what `swapped_suites.py`
prints. docs/tuning.md has the tables.
"""

import importlib
import sys

import numpy as np
import sklearn.linear_model
import sklearn.model_selection
import sklearn.svm
import sklearn.tree
from swapped_suites import Record, run

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier, AdaptiveSGDRegressor

SUITE = "sklearn.model_selection.tests.test_search"

# Why a test fails, and which ones do.
REASONS = {
    "the estimator is one that only GridSearchCV trains, or there is no y": [
        "test_SearchCV_with_fit_params",
        "test_refit",
        "test_gridsearch_nd",
        "test_X_as_list",
        "test_y_as_list",
        "test_pandas_input",
        "test_unsupervised_grid_search",
        "test_gridsearch_no_predict",
        "test_search_cv_score_samples_method",
        "test_n_features_in",
        "test_search_cv_pairwise_property_equivalence_of_precomputed",
        "test_scalar_fit_param",
        "test_search_cv_using_minimal_compatible_estimator",
        "test_search_html_repr",
        "test_cv_results_dtype_issue_29074",
        "test_search_callbacks_no_propagation",
        "test_search_callbacks_propagation",
        "test_search_callbacks_receive_sample_weight",
        "test_search_callbacks_receive_search_instance",
        "test_search_callbacks_with_partial_fit_failures",
    ],
    "`cv_results_` has `n_iter` and `stopped_by`, too": [
        "test_grid_search_cv_results",
        "test_custom_run_search",
    ],
    "a further warning names the fold and the scorer of a score that is no number, and a search "
    "without any score is an error": [
        "test_searchcv_raise_warning_with_non_finite_score",
        "test_unsupported_sample_weight_scorer",
        "test_search_cv_results_none_param",
    ],
    "the models take no arguments of `fit` but sample weights": ["test_scalar_fit_param_compat"],
    "`verbose` prints a line for each epoch, not for each fit": ["test_search_cv_verbose_3"],
    "the test is of kernels, of scores that tie, or of an estimator without probabilities": [
        "test_grid_search_one_grid_point",
        "test_grid_search_precomputed_kernel",
        "test_search_cv_results_rank_tie_breaking",
        "test_predict_proba_disabled",
    ],
    "a weight of 2 is not two steps, as in SGD": ["test_search_cv_sample_weight_equivalence"],
}


class GridSearchCV(AdaptiveGridSearchCV):
    """With the default of `scoring` there, and a parameter that has no use here."""

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.pre_dispatch = pre_dispatch


class Peer:
    """An estimator of ours with parameters of a peer, of which C is the inverse of a strength."""

    @property
    def alpha(self):
        strength = getattr(self, "gamma", 1.0) * getattr(self, "degree", 1.0)
        return 1e-4 * strength / self.C if self.C else np.nan

    @alpha.setter
    def alpha(self, value):
        pass

    def _begin(self, **parameters):
        super().__init__(early_stopping=False)
        for name, value in parameters.items():
            setattr(self, name, value)


class SVC(Peer, AdaptiveSGDClassifier):
    def __init__(self, C=1.0, kernel="rbf", gamma=0.1, degree=3, probability=False, random_state=0):
        own = {"C": C, "kernel": kernel, "gamma": gamma, "degree": degree}
        self._begin(**own, probability=probability, random_state=random_state)


class LinearSVC(Peer, AdaptiveSGDClassifier):
    def __init__(self, C=1.0, random_state=0):
        self._begin(C=C, random_state=random_state)


class LogisticRegression(Peer, AdaptiveSGDClassifier):
    def __init__(self, C=1.0, max_iter=100, random_state=0):
        self._begin(C=C, max_iter=max_iter, random_state=random_state)


class Ridge(AdaptiveSGDRegressor):
    def __init__(self, alpha="auto", random_state=0):
        super().__init__(alpha=alpha, random_state=random_state, early_stopping=False)


class DecisionTreeClassifier(AdaptiveSGDClassifier):
    def __init__(self, max_depth=None, random_state=0):
        super().__init__(random_state=random_state, early_stopping=False)
        self.max_depth = max_depth


class DecisionTreeRegressor(AdaptiveSGDRegressor):
    def __init__(self, max_depth=None, random_state=0):
        super().__init__(random_state=random_state, early_stopping=False)
        self.max_depth = max_depth


class MockClassifier(AdaptiveSGDClassifier):
    """In place of the suite's class of this name, whose methods it gets."""

    def __init__(self, foo_param=0):
        super().__init__(random_state=0, early_stopping=False, max_iter=1, tol=None)
        self.foo_param = foo_param


class FailingClassifier(AdaptiveSGDClassifier):
    """In place of the suite's class of this name: one value of a parameter is refused."""

    FAILING_PARAMETER = 2

    def __init__(self, parameter=None):
        super().__init__(random_state=0, early_stopping=False, max_iter=1, tol=None)
        self.parameter = parameter

    def _check_parameters(self, for_fit):
        if self.parameter == self.FAILING_PARAMETER:
            raise ValueError("Failing classifier failed as required")

    def score(self, X=None, Y=None):
        return 0.0


class Swap(Record):
    """Replaces what the suite defines itself, once it is imported."""

    def pytest_collection_finish(self, session):
        suite = sys.modules[SUITE]
        for name in ("predict_proba", "predict_log_proba", "decision_function", "score"):
            setattr(MockClassifier, name, vars(suite.MockClassifier)[name])
        for name in ("transform", "inverse_transform"):
            setattr(MockClassifier, name, vars(suite.MockClassifier)[name])
        suite.MockClassifier, suite.FailingClassifier = MockClassifier, FailingClassifier


def main():
    # What the suite imports is to be built of scikit-learn's own estimators, and the suite of ours.
    importlib.import_module(SUITE)
    del sys.modules[SUITE]
    sklearn.model_selection.GridSearchCV = GridSearchCV
    sklearn.svm.SVC, sklearn.svm.LinearSVC = SVC, LinearSVC
    sklearn.linear_model.LogisticRegression = LogisticRegression
    sklearn.linear_model.SGDClassifier = AdaptiveSGDClassifier
    sklearn.linear_model.Ridge, sklearn.linear_model.LinearRegression = Ridge, Ridge
    sklearn.tree.DecisionTreeClassifier = DecisionTreeClassifier
    sklearn.tree.DecisionTreeRegressor = DecisionTreeRegressor
    return run([SUITE], REASONS, Swap())


if __name__ == "__main__":
    sys.exit(main())
