"""Types of the public interface, which `python -m mypy.stubtest sk_adaptive` holds against it.

Apart from the code: scikit-learn's decorators of methods hide annotations there.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self, TypeAlias, type_check_only

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = [
    "AdaptiveSGDClassifier",
    "AdaptiveSGDClassifierCV",
    "AdaptiveSGDRegressor",
    "AdaptiveSGDRegressorCV",
    "show_versions",
]
__version__: str

# Anything that has rows: an array, a data frame, a sparse matrix.
_Rows: TypeAlias = Any
_Targets: TypeAlias = Any
_Penalty: TypeAlias = Literal["l2", "l1", "elasticnet"] | None
_Schedule: TypeAlias = Literal["constant", "invscaling", "adaptive"]

@type_check_only
class _AdaptiveSGD(BaseEstimator):
    optimizer: str
    penalty: _Penalty
    alpha: float | Literal["auto"]
    l1_ratio: float | None
    fit_intercept: bool
    max_iter: int
    tol: float | None
    shuffle: bool
    batch_size: int
    learning_rate: _Schedule
    eta0: float | Literal["auto", "search"]
    power_t: float
    rho: float
    beta_1: float
    beta_2: float
    eps: float | None
    sparse_update: Literal["exact", "masked"]
    normalize: bool
    epsilon: float
    early_stopping: bool | Literal["auto"]
    scoring: str | Callable[..., float] | None
    refit: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    average: bool | int
    n_jobs: int | None
    verbose: int
    random_state: int | np.random.RandomState | None

    n_iter_: int
    best_iteration_: int
    stopped_by_: Literal["tol", "callback", "max_iter"]
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    @property
    def coef_(self) -> NDArray[np.floating] | sp.csr_matrix: ...
    @coef_.setter
    def coef_(self, value: ArrayLike | sp.csr_matrix) -> None: ...
    @property
    def intercept_(self) -> NDArray[np.floating]: ...
    @intercept_.setter
    def intercept_(self, value: ArrayLike) -> None: ...
    @property
    def t_(self) -> int: ...
    @property
    def eta0_(self) -> float: ...
    @property
    def mixture_weights_(self) -> NDArray[np.float64]: ...
    @property
    def mixture_rates_(self) -> NDArray[np.float64]: ...
    @property
    def eps_(self) -> float: ...
    @property
    def progressive_loss_(self) -> float: ...
    @property
    def optimizer_state_(self) -> Mapping[str, NDArray[np.float64]]: ...
    @property
    def effective_learning_rate_(self) -> NDArray[np.float64]: ...
    def reset_progressive_loss(self) -> Self: ...
    def sparsify(self) -> Self: ...
    def densify(self) -> Self: ...
    def strip_optimizer(self) -> Self: ...
    def fit(
        self,
        X: _Rows,
        y: _Targets,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: _Rows | None = None,
        y_val: _Targets | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self: ...

class AdaptiveSGDClassifier(ClassifierMixin, _AdaptiveSGD):
    loss: str
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    multi_class: Literal["auto", "multinomial", "ovr"]
    classes_: NDArray[Any]
    def __init__(
        self,
        loss: str = "log_loss",
        *,
        optimizer: str = "adagrad",
        penalty: _Penalty = "l2",
        alpha: float | Literal["auto"] = "auto",
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        batch_size: int = 1,
        learning_rate: _Schedule = "constant",
        eta0: float | Literal["auto", "search"] = "auto",
        power_t: float = 0.5,
        rho: float = 0.99,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float | None = None,
        sparse_update: Literal["exact", "masked"] = "exact",
        normalize: bool = False,
        epsilon: float = 0.1,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        multi_class: Literal["auto", "multinomial", "ovr"] = "auto",
        early_stopping: bool | Literal["auto"] = "auto",
        scoring: str | Callable[..., float] | None = "loss",
        refit: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def partial_fit(
        self,
        X: _Rows,
        y: _Targets,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self: ...
    def decision_function(self, X: _Rows) -> NDArray[np.floating]: ...
    def predict(self, X: _Rows) -> NDArray[Any] | sp.csr_matrix: ...
    def predict_proba(self, X: _Rows) -> NDArray[np.float64]: ...
    def predict_log_proba(self, X: _Rows) -> NDArray[np.float64]: ...

class AdaptiveSGDRegressor(RegressorMixin, _AdaptiveSGD):
    loss: str
    quantile: float
    def __init__(
        self,
        loss: str = "squared_error",
        *,
        optimizer: str = "adagrad",
        penalty: _Penalty = "l2",
        alpha: float | Literal["auto"] = "auto",
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = 3e-4,
        shuffle: bool = True,
        batch_size: int = 1,
        learning_rate: _Schedule = "constant",
        eta0: float | Literal["auto", "search"] = "auto",
        power_t: float = 0.5,
        rho: float = 0.99,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float | None = None,
        sparse_update: Literal["exact", "masked"] = "exact",
        normalize: bool = False,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        early_stopping: bool | Literal["auto"] = "auto",
        scoring: str | Callable[..., float] | None = "loss",
        refit: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        warm_start: bool = False,
        average: bool | int = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def partial_fit(
        self, X: _Rows, y: _Targets, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def predict(self, X: _Rows) -> NDArray[np.floating]: ...

class AdaptiveSGDClassifierCV(AdaptiveSGDClassifier):
    eta0s: ArrayLike | Literal["auto"]
    alphas: ArrayLike | Literal["auto"]
    l1_ratios: ArrayLike
    cv: Any
    n_jobs: int | None
    early_stopping: bool
    prune: bool
    cv_results_: dict[str, Any]
    best_params_: dict[str, float]
    best_score_: float
    best_index_: int
    n_splits_: int
    @property
    def eta0(self) -> float | Literal["auto"]: ...  # type: ignore[override]
    @property
    def alpha(self) -> float | Literal["auto"]: ...  # type: ignore[override]
    @property
    def l1_ratio(self) -> float | None: ...  # type: ignore[override]
    def __init__(
        self,
        loss: str = "log_loss",
        *,
        optimizer: str = "adagrad",
        penalty: _Penalty = "l2",
        eta0s: ArrayLike | Literal["auto"] = "auto",
        alphas: ArrayLike | Literal["auto"] = "auto",
        l1_ratios: ArrayLike = (0.15,),
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        batch_size: int = 1,
        learning_rate: Literal["constant", "invscaling"] = "constant",
        power_t: float = 0.5,
        rho: float = 0.99,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float | None = None,
        sparse_update: Literal["exact", "masked"] = "exact",
        normalize: bool = False,
        epsilon: float = 0.1,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        multi_class: Literal["auto", "multinomial", "ovr"] = "auto",
        cv: int | float | Iterable[Any] | Any | None = None,
        scoring: str | Callable[..., float] | None = "loss",
        refit: bool = True,
        n_jobs: int | None = None,
        early_stopping: bool = True,
        prune: bool = True,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(  # type: ignore[override]
        self,
        X: _Rows,
        y: _Targets,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self: ...

class AdaptiveSGDRegressorCV(AdaptiveSGDRegressor):
    eta0s: ArrayLike | Literal["auto"]
    alphas: ArrayLike | Literal["auto"]
    l1_ratios: ArrayLike
    cv: Any
    n_jobs: int | None
    early_stopping: bool
    prune: bool
    cv_results_: dict[str, Any]
    best_params_: dict[str, float]
    best_score_: float
    best_index_: int
    n_splits_: int
    @property
    def eta0(self) -> float | Literal["auto"]: ...  # type: ignore[override]
    @property
    def alpha(self) -> float | Literal["auto"]: ...  # type: ignore[override]
    @property
    def l1_ratio(self) -> float | None: ...  # type: ignore[override]
    def __init__(
        self,
        loss: str = "squared_error",
        *,
        optimizer: str = "adagrad",
        penalty: _Penalty = "l2",
        eta0s: ArrayLike | Literal["auto"] = "auto",
        alphas: ArrayLike | Literal["auto"] = "auto",
        l1_ratios: ArrayLike = (0.15,),
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float | None = 3e-4,
        shuffle: bool = True,
        batch_size: int = 1,
        learning_rate: Literal["constant", "invscaling"] = "constant",
        power_t: float = 0.5,
        rho: float = 0.99,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float | None = None,
        sparse_update: Literal["exact", "masked"] = "exact",
        normalize: bool = False,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        cv: int | float | Iterable[Any] | Any | None = None,
        scoring: str | Callable[..., float] | None = "loss",
        refit: bool = True,
        n_jobs: int | None = None,
        early_stopping: bool = True,
        prune: bool = True,
        n_iter_no_change: int = 5,
        average: bool | int = False,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None: ...
    def fit(  # type: ignore[override]
        self,
        X: _Rows,
        y: _Targets,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self: ...

def show_versions() -> None: ...
