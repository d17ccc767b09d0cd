"""Linear models trained by stochastic gradient descent with a step size for each feature."""

from ._classifier import AdaptiveSGDClassifier
from ._estimators_cv import AdaptiveSGDClassifierCV, AdaptiveSGDRegressorCV
from ._regressor import AdaptiveSGDRegressor
from ._versions import show_versions
from .encoding import ColumnHasher, TextHasher

__all__ = [
    "AdaptiveSGDClassifier",
    "AdaptiveSGDClassifierCV",
    "AdaptiveSGDRegressor",
    "AdaptiveSGDRegressorCV",
    "ColumnHasher",
    "TextHasher",
    "show_versions",
]
__version__ = "0.2.0"
