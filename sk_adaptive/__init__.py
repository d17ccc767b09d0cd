"""Linear models trained by stochastic gradient descent with a step size for each feature."""

from importlib.util import find_spec as _find_spec

if _find_spec("sk_adaptive._cyutility") is None:
    raise ImportError("sk_adaptive is not compiled: install it, and import it from elsewhere")

from .encoding import ColumnHasher, TextHasher
from .estimators.classifier import AdaptiveSGDClassifier
from .estimators.regressor import AdaptiveSGDRegressor
from .estimators.search import AdaptiveGridSearchCV

__all__ = [
    "AdaptiveGridSearchCV",
    "AdaptiveSGDClassifier",
    "AdaptiveSGDRegressor",
    "ColumnHasher",
    "TextHasher",
]
__version__ = "0.3.0"
