"""Linear models trained by stochastic gradient descent with a step size for each feature."""

from ._classifier import AdaptiveSGDClassifier
from ._regressor import AdaptiveSGDRegressor
from ._versions import show_versions
from .estimators.search import AdaptiveGridSearchCV

__all__ = [
    "AdaptiveGridSearchCV",
    "AdaptiveSGDClassifier",
    "AdaptiveSGDRegressor",
    "show_versions",
]
__version__ = "0.2.0"
