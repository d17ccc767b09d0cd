"""Rows, targets and weights in the form in which the kernel learns from them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._input import check_weights, kernel_matrix
from ._scan import mark, normalised, raise_scale

# Marking the feature of an entry takes about as long as an epoch's look at a feature; with
# so many entries a feature, hardly one of them never occurs.
ENTRIES_PER_FEATURE = 32


@dataclass
class TrainingData:
    """What the kernel learns from.

    Attributes
    ----------
    data, indices, indptr : ndarrays
        Of a canonical CSR matrix without explicit zeros.
    n_features : int
    targets : float64 ndarray of shape (n_rows, n_outputs) or (n_rows, 1)
        Numbers, or -1 and 1, of each output; or for several outputs the number of the class.
    of_classes : bool
        Whether they are no numbers, but tell classes.
    sample_weight : float64 ndarray of shape (n_rows,) or (0,)
        Empty where all are 1.
    class_weight : float64 ndarray of shape (2, n_outputs) or (0, 0)
        Of outputs whose target is -1, and 1. Empty where all are 1.
    loss : Loss
    n_outputs, batch_size : int
    fit_intercept : bool
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int
    targets: np.ndarray
    of_classes: bool
    sample_weight: np.ndarray
    class_weight: np.ndarray
    loss: Any
    n_outputs: int
    batch_size: int
    fit_intercept: bool

    @property
    def n_rows(self):
        return self.targets.shape[0]

    @property
    def weight_or_none(self):
        """The sample weights as scikit-learn passes them."""
        return self.sample_weight if self.sample_weight.size else None

    def with_weight(self, rows):
        """Those of these rows that have a weight: a row without is no row at all."""
        return rows[self.sample_weight[rows] > 0] if self.sample_weight.size else rows

    def normalised(self, rows, scale):
        """With the entries of these rows over the sizes of their features so far, see `_scan`."""
        # those of other rows are never looked at
        out = np.zeros_like(self.data)
        normalised(self.data, self.indices, self.indptr, rows, scale, out)
        return replace(self, data=out)

    def scale_of(self, rows):
        """The largest size of each feature in these rows."""
        scale = np.zeros(self.n_features, self.data.dtype)
        raise_scale(self.data, self.indices, self.indptr, rows, scale)
        return scale

    def part(self, rows):
        """The same of some of the rows."""
        shape = (self.n_rows, self.n_features)
        matrix = sp.csr_matrix((self.data, self.indices, self.indptr), shape=shape)[rows]
        return replace(
            self,
            data=matrix.data,
            indices=matrix.indices,
            indptr=matrix.indptr,
            targets=self.targets[rows],
            sample_weight=self.sample_weight[rows] if self.sample_weight.size else np.empty(0),
        )

    def features(self):
        """The features that occur, or all where finding out would take longer."""
        if self.n_features * ENTRIES_PER_FEATURE <= self.indices.shape[0]:
            return np.arange(self.n_features, dtype=np.int64)
        occurs = np.zeros(self.n_features, np.uint8)
        mark(self.indices, occurs)
        return np.flatnonzero(occurs).astype(np.int64, copy=False)

    def weights_of_classes(self, rows):
        """For each output the weight of the rows whose target is 1, and of those with -1."""
        targets = self.targets[rows]
        weight = self.sample_weight[rows] if self.sample_weight.size else np.ones(rows.size)
        if self.classes_exclude_each_other:
            codes = targets[:, 0].astype(np.intp)
            positive = np.bincount(codes, weight, minlength=self.n_outputs)
        else:
            positive = weight @ (targets > 0)
        negative = weight.sum() - positive
        if self.class_weight.size:
            positive, negative = self.class_weight[::-1] * [positive, negative]
        return positive, negative

    @property
    def classes_exclude_each_other(self):
        """Whether a row has one of several classes, which its target is the number of."""
        return self.targets.shape[1] != self.n_outputs


def training_data(estimator, X, y, sample_weight, class_weighted=True):
    """What the kernel learns from, of X and y that scikit-learn has validated.

    Raises
    ------
    ValueError
        If a number is not finite, a weight negative, or a target not one of the loss.
    """
    weight = check_weights(sample_weight, X)
    data, indices, indptr = kernel_matrix(X, X.dtype, type(estimator).__name__)
    targets, n_outputs, class_weight = estimator._encode(y, class_weighted)
    targets = np.ascontiguousarray(targets, np.float64)
    return TrainingData(
        data=data,
        indices=indices,
        indptr=indptr,
        n_features=X.shape[1],
        targets=targets if targets.ndim == 2 else targets[:, np.newaxis],
        of_classes=estimator._learns_classes,
        sample_weight=np.empty(0) if weight is None else weight,
        class_weight=np.empty((0, 0)) if class_weight is None else class_weight,
        loss=estimator._make_loss(),
        n_outputs=n_outputs,
        batch_size=int(estimator.batch_size),
        fit_intercept=bool(estimator.fit_intercept),
    )
