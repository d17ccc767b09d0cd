"""Targets that each loss of regression takes, for tests that loop over the registry."""

import numpy as np
from scipy.special import expit

from sk_adaptive.kernel.losses import REGRESSION_LOSSES


def link_of(loss):
    return REGRESSION_LOSSES[loss].make.link


# those whose targets have a unit, and of these those whose targets may be shifted
WITH_UNIT = [name for name in REGRESSION_LOSSES if link_of(name) != "logit"]
ADDITIVE = [name for name in REGRESSION_LOSSES if link_of(name) == "identity"]


def targets_for(loss, y):
    """These numbers as targets of the loss: as they are, positive, or as shares."""
    sizes = np.maximum(np.abs(y), 1e-6 * np.abs(y).mean())
    return {"identity": lambda: y, "log": lambda: sizes, "logit": lambda: expit(y)}[link_of(loss)]()
