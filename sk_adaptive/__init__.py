"""Linear models trained by stochastic gradient descent with a step size for each feature."""

from ._estimators import AdaptiveSGDClassifier, AdaptiveSGDRegressor

__all__ = ["AdaptiveSGDClassifier", "AdaptiveSGDRegressor"]
__version__ = "0.1.0"
