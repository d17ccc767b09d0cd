"""Rows, targets and weights in the form in which the kernel learns from them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._scan import keys_of_rows, normalised, raise_scale
from .check import (
    NO_OFFSET,
    NOTHING,
    check_offset,
    check_weights,
    kernel_matrix,
    scan_arrays,
)

# Marking the feature of an entry takes about as long as an epoch's look at a feature. With so
# many entries a feature, hardly one of them never occurs.
ENTRIES_PER_FEATURE = 32

NO_WEIGHTS = np.empty(0)


@dataclass
class TrainingData:
    """What the kernel learns from.

    Attributes
    ----------
    data, indices, indptr : ndarrays of float32 or float64, int32 and int64
        Of a canonical CSR matrix without explicit zeros.
    n_features : int
    occurs : uint8 ndarray of a bit for each feature, or of none
        Set for the features that occur. Of none where that was not asked for, or where nearly
        all will occur.
    targets : float64 ndarray of shape (n_rows, n_outputs) or (n_rows, 1)
        Numbers, or -1 and 1, of each output; or for several outputs the number of the class.
    target_type : Targets
        What they are.
    sample_weight : float64 ndarray of shape (n_rows,) or (0,)
        Empty where all are 1.
    class_weight : float64 ndarray of shape (2, n_outputs) or (0, 0)
        Of outputs whose target is -1, and 1. Empty where all are 1.
    offset : float64 ndarray of shape (n_rows, n_outputs) or (0, 0)
        What is added to raw predictions. Empty where that is nothing.
    loss : Loss
    n_outputs, batch_size : int
    fit_intercept : bool
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int
    occurs: np.ndarray
    targets: np.ndarray
    target_type: Any
    sample_weight: np.ndarray
    class_weight: np.ndarray
    offset: np.ndarray
    loss: Any
    n_outputs: int
    batch_size: int
    fit_intercept: bool

    @property
    def shares(self):
        """Factors of the losses of several targets, or none."""
        numbers = self.target_type.is_number and self.class_weight.size
        return tuple(self.class_weight[0].tolist()) if numbers else ()

    @property
    def n_known(self):
        """See `Targets`."""
        return self.target_type.n_known

    @property
    def n_rows(self):
        return self.targets.shape[0]

    @property
    def weight_or_none(self):
        """The sample weights as scikit-learn passes them."""
        return self.sample_weight if self.sample_weight.size else None

    def with_weight(self, rows):
        """The rows among these that have a weight: a row without is no row at all."""
        return rows[self.sample_weight[rows] > 0] if self.sample_weight.size else rows

    def rows_with_weight(self):
        """All rows that have a weight, in their order."""
        return self.with_weight(np.arange(self.n_rows, dtype=np.int64))

    def in_shares(self, shares):
        """With these factors of the losses of several targets, or of none."""
        if not shares:
            return self
        return replace(self, class_weight=np.tile(np.array(shares, np.float64), (2, 1)))

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

    def keys(self, rows):
        """A number for each of these rows: the same for rows, with their targets, that are."""
        keys = np.empty(rows.size, np.uint64)
        bits = self.data.view(np.uint32 if self.data.itemsize == 4 else np.uint64)
        targets = self.targets.view(np.uint64)
        keys_of_rows(bits, self.indices, self.indptr, targets, rows, keys)
        return keys

    def rows_like(self, X):
        """The rows as an array or a matrix, whichever X is."""
        matrix = type(X) if sp.issparse(X) else sp.csr_matrix
        rows = matrix((self.data, self.indices, self.indptr), (self.n_rows, self.n_features))
        return rows if sp.issparse(X) else rows.toarray()

    def part(self, rows):
        """Training data of some of the rows."""
        shape = (self.n_rows, self.n_features)
        matrix = sp.csr_matrix((self.data, self.indices, self.indptr), shape=shape)[rows]
        return replace(
            self,
            data=matrix.data,
            indices=matrix.indices.astype(np.int32, copy=False),
            indptr=matrix.indptr.astype(np.int64),
            occurs=NOTHING,
            targets=self.targets[rows],
            sample_weight=self.sample_weight[rows] if self.sample_weight.size else NO_WEIGHTS,
            offset=self.offset_of(rows),
        )

    def offset_of(self, rows):
        """The offsets of these rows, or none."""
        return self.offset[rows] if self.offset.size else NO_OFFSET

    def of_outputs(self, first, last):
        """Training data of some of the outputs, of a loss that does not couple them."""
        class_weight = np.ascontiguousarray(self.class_weight[:, first:last])
        return replace(
            self,
            targets=self.target_type.of_outputs(self.targets, first, last),
            class_weight=class_weight,
            offset=np.ascontiguousarray(self.offset[:, first:last]),
            n_outputs=last - first,
        )

    def features(self):
        """The features that occur, or all where finding out would take longer."""
        occurs = self.occurs
        if not occurs.size:
            occurs = room_for_features(self.n_features, self.indices.size)
            if not occurs.size:
                return np.arange(self.n_features, dtype=np.int32)
            scan_arrays((self.data, self.indices, self.indptr), self.n_features, occurs)
        bits = np.unpackbits(occurs, count=self.n_features, bitorder="little")
        return np.flatnonzero(bits.view(bool)).astype(np.int32)


def room_for_features(n_features, n_entries):
    """Room for a bit for each feature, or none where nearly all will occur."""
    if n_features * ENTRIES_PER_FEATURE <= n_entries:
        return NOTHING
    try:
        return np.empty(-(-n_features // 8), np.uint8)
    except MemoryError:
        # then there is none for the records either, whose error tells the user what to do
        return NOTHING


def training_data(
    target_type,
    X,
    y,
    sample_weight,
    *,
    batch_size,
    fit_intercept,
    estimator_name=None,
    class_weighted=True,
    find_features=False,
    offset=None,
):
    """What the kernel learns from, of X and y that have been validated and checked.

    Parameters
    ----------
    target_type : Targets
    X, y : arrays or matrices
    sample_weight : array-like or None
    batch_size : int
    fit_intercept : bool
    estimator_name : str, default=None
        For the message about NaN.
    class_weighted : bool, default=True
        Whether `class_weight` applies.
    find_features : bool, default=False
        Whether `TrainingData.features` will be asked for.
    offset : array-like, default=None
        What is added to raw predictions.

    Raises
    ------
    ValueError
        If a number is not finite, a weight negative, or a target not one of the loss.
    """
    weight = check_weights(sample_weight, X)
    occurs = NOTHING
    if find_features:
        occurs = room_for_features(X.shape[1], X.nnz if sp.issparse(X) else X.size)
    data, indices, indptr = kernel_matrix(X, X.dtype, estimator_name, occurs)
    targets, class_weight = target_type.encode(y, class_weighted)
    return TrainingData(
        data=data,
        indices=indices,
        indptr=indptr,
        n_features=X.shape[1],
        occurs=occurs,
        targets=np.ascontiguousarray(targets, np.float64),
        target_type=target_type,
        sample_weight=NO_WEIGHTS if weight is None else weight,
        class_weight=class_weight,
        offset=check_offset(offset, X.shape[0], target_type.n_outputs),
        loss=target_type.loss,
        n_outputs=target_type.n_outputs,
        # more than there are is all, however many
        batch_size=min(int(batch_size), X.shape[0]),
        fit_intercept=bool(fit_intercept),
    )
