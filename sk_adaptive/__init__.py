"""Linear models trained by stochastic gradient descent with a step size for each feature."""

from ._classifier import AdaptiveSGDClassifier
from ._regressor import AdaptiveSGDRegressor

__all__ = ["AdaptiveSGDClassifier", "AdaptiveSGDRegressor"]
__version__ = "0.1.0"
