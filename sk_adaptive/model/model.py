"""A linear model that learns: records of the features, intercepts and the clock."""

from copy import copy
from functools import partial

import numpy as np
import scipy.sparse as sp

from .._threads import LEAST_COEFFICIENTS, Threads, n_threads_of, parts_of
from ..data.columns import NO_COLUMNS
from ..kernel.optimizers import kernel
from .hyperparameters import BY_OUTPUT
from .readout import product_of_entries
from .records import (
    allocate,
    copy_of,
    in_own_memory,
    is_own,
    new_clock,
    put_outputs,
    record_dtype,
    take_outputs,
)

# Finding the features of X costs about as much an entry as reading so many features out.
ENTRY_COST = 8


class Model:
    """Weights of a linear model, and what its optimizer remembers.

    Parameters
    ----------
    hyperparameters : Hyperparameters
    n_features, n_outputs : int
    dtype : float32 or float64
    coef : array of shape (n_outputs, n_features), default=None
        To start from.
    intercept : array of shape (n_outputs,), default=None
        To start from.
    scale : array of shape (n_features,), default=None
        Used with normalize only, and not copied.
    columns : array of the type `COLUMN`, default=none of them
        The columns that are centred and scaled before the model learns them.

    Attributes
    ----------
    records : structured array of shape (n_features,)
        See `record_dtype`.
    intercept : float64 array of shape (3, n_all_outputs)
        Intercepts and their two moments.
    clock : array of shape () and the type `CLOCK`
        Shared with the kernel, which has no other.
    intercept_integral : float64 array of shape (n_all_outputs,)
        The intercepts times the learning rates since averaging began, summed.
    progressive_loss : float64 array of shape (5,)
        Sums over rows, each before it was learned: of the weighted losses and of the weights; and
        of one output those of the kernel's `train`.
    scale : array of shape (n_features,) or None
        With normalize, the largest size that each feature has had. Weights and moments in the
        records are those of the features over their scale. It is 0 before the first; a feature
        that has a weight by then counts as one of scale 1.
    columns : array of the type `COLUMN`
        Weights and moments in the records, and intercepts, are those of the centred and scaled
        columns.
    clock_rate : (float, float) or None
        The rate and the strength of L2 whose learning-rate sum is the clock's. None: those of the
        first output.
    """

    # Arrays whose size does not follow the number of features, and the others.
    SMALL_ARRAYS = ("intercept", "clock", "intercept_integral", "progressive_loss", "columns")
    LARGE_ARRAYS = ("records", "scale")

    def __init__(
        self,
        hyperparameters,
        n_features,
        n_outputs,
        dtype,
        coef=None,
        intercept=None,
        scale=None,
        columns=NO_COLUMNS,
    ):
        n_all, dtype = self.n_models * n_outputs, np.dtype(dtype)
        if hyperparameters.controls is not None:
            hyperparameters.controls.check(n_features)
        self.hyperparameters = hyperparameters
        self.records = allocate(n_features, self.record_dtype(n_all, dtype))
        self.intercept = np.zeros((3, n_all))
        self.clock = new_clock()
        self.intercept_integral = np.zeros(n_all)
        self.progressive_loss = np.zeros(5)
        if hyperparameters.normalize and scale is None:
            scale = np.zeros(n_features, dtype)
        self.scale = scale if hyperparameters.normalize else None
        self.columns = columns
        self.clock_rate = None
        self._optimizer = None
        if coef is not None:
            self.optimizer.continue_as(self.optimizer, self._weights_for(coef))
        if intercept is not None:
            self.set_intercepts(intercept)

    # -- what it is like --

    @property
    def n_models(self):
        return 1

    def record_dtype(self, n_outputs, dtype):
        return record_dtype(self.hyperparameters, n_outputs, dtype, self.hyperparameters.forgets)

    @property
    def n_outputs(self):
        return self.intercept.shape[1] // self.n_models

    @property
    def n_features(self):
        return self.records.shape[0]

    @property
    def dtype(self):
        """float32 or float64."""
        moment = self.hyperparameters.spec.moments[0]
        return self.records.dtype.fields[moment.field][0].base

    @property
    def t(self):
        """Steps done."""
        return int(self.clock["t"])

    @property
    def learning_rate(self):
        """What eta0 has led to."""
        return self.hyperparameters.eta0

    def column_features(self):
        """The features that are centred and scaled."""
        return self.columns["feature"].astype(np.int32)

    def all_features(self):
        return np.arange(self.n_features, dtype=np.int32)

    # -- the kernel --

    @property
    def optimizer(self):
        """The kernel's optimizer on the arrays, kept as its tables take longer than a row."""
        if self._optimizer is None:
            self._optimizer = self._new_optimizer()
        return self._optimizer

    def _new_optimizer(self):
        self.own_arrays()
        numbers = self.by_output()
        controls = numbers.controls
        return getattr(kernel(self.dtype), numbers.spec.kernel_class)(
            self.records,
            self.intercept,
            self.clock,
            n_outputs=self.intercept.shape[1],
            eta0=numbers.eta0,
            power_t=numbers.power_t,
            l1=numbers.l1,
            l2=numbers.l2,
            exact=numbers.sparse_update == "exact",
            eps=numbers.eps,
            intercept_scaling=numbers.scales.intercept,
            average=numbers.average,
            intercept_integral=self.intercept_integral,
            clock_rate=self.clock_rate,
            controls=None if controls is None else controls.for_kernel(self.dtype),
            **numbers.parameters,
        )

    def own_arrays(self):
        """Copy the arrays that are in the memory of others, and records that are not aligned."""
        self.own_small_arrays()
        self.records = in_own_memory(self.records)
        if self.scale is not None and not is_own(self.scale):
            self.scale = self.scale.copy()

    def own_small_arrays(self):
        """Copy the small arrays that are in the memory of others."""
        for name in self.SMALL_ARRAYS:
            array = getattr(self, name)
            if not is_own(array):
                setattr(self, name, array.copy())

    def by_output(self):
        """The hyperparameters that the kernel is given."""
        return self.hyperparameters.by_output()

    # -- what it has learned --

    def coefficients(self, features=None, n_jobs=1):
        """Compute the weights as of now, or their averages, of these features or of all.

        Returns
        -------
        coef : ndarray of shape (n_outputs, n)
        """
        if features is None:
            features = self.all_features()
        out = self._read(features, n_jobs)
        if self.scale is not None:
            scale = self.scale[features]
            np.divide(out, scale, out=out, where=scale > 0)
        if self.columns.size:
            places, sizes = self._in_columns(features)
            out[:, places] = out[:, places] / sizes
        controls = self.hyperparameters.controls
        return out if controls is None else controls.clip(out, features)

    def _in_columns(self, features):
        """The places of those features that are columns, and the sizes of these."""
        own = self.columns["feature"]
        found = np.minimum(np.searchsorted(own, features), own.size - 1)
        places = np.flatnonzero(own[found] == features)
        return places, self.columns["size"][found[places]]

    def _read(self, features, n_jobs):
        """The weights of the features over their scales."""
        out = np.empty((self.intercept.shape[1], features.size), self.dtype)
        if out.size < LEAST_COEFFICIENTS:
            self.optimizer.weights(features, out)
            return out

        def read(optimizer, part):
            optimizer.weights(features[part], out[:, part])

        n_threads = n_threads_of(n_jobs)
        parts = parts_of(features.size, n_threads)
        # each with a working set of its own
        optimizers = [self.optimizer, *(self._new_optimizer() for _ in parts[1:])]
        with Threads(n_threads) as threads:
            threads.run([partial(read, *pair) for pair in zip(optimizers, parts, strict=True)])
        return out

    def sparse_coefficients(self):
        """The coefficients as a CSR matrix of shape (n_outputs, n_features)."""
        return sp.csr_matrix(self.coefficients())

    def intercepts(self, coef=None):
        """Compute the intercepts as of now, or their averages.

        Parameters
        ----------
        coef : array of shape (n_outputs, n_columns), default=None
            The coefficients of `columns`, if they are at hand.
        """
        span = self._span_of_average()
        own = self.mean(self.intercept_integral / span if span > 0 else self.intercept[0])
        return own - self._of_means(coef) if self.columns.size else own

    def _of_means(self, coef=None):
        """What the coefficients make of the means of the columns."""
        if coef is None:
            coef = self.coefficients(self.column_features())
        return (coef.astype(np.float64) * self.columns["mean"]).sum(axis=1)

    def mean(self, values):
        """The mean over models side by side, of an array whose first axis is that of outputs."""
        return values

    def _span_of_average(self):
        """The learning-rate sum that averages are over; 0 if averaging has not begun."""
        _, total, start = self.clock.item()
        return max(total - start, 0.0)

    def penalties(self, features):
        """What the weights of these features add to each output's objective.

        A decoupled decay adds nothing: it has no unit of the loss, and no objective.
        """
        if self.hyperparameters.spec.decoupled:
            return np.zeros(self.intercept.shape[1])
        return self.optimizer.penalties(features)

    def product(self, X):
        """A function that returns X @ coef.T; None where to read all coefficients is quicker.

        It does not look at the model any more.

        Parameters
        ----------
        X : CSR matrix
        """
        n_entries = int(X.indptr[-1])
        if n_entries >= X.shape[1] // ENTRY_COST:
            return None
        features = np.ascontiguousarray(X.indices[:n_entries], np.int32)
        return partial(product_of_entries, X, self.coefficients(features))

    # -- other models made of it --

    def copy(self):
        """Return a model that further steps do not change."""
        names = (*self.SMALL_ARRAYS, *self.LARGE_ARRAYS)
        arrays = {name: getattr(self, name) for name in names}
        return self.with_arrays(
            **{name: copy_of(array) for name, array in arrays.items() if array is not None}
        )

    def with_arrays(self, **arrays):
        """Return a model with these in place of its own arrays, which it has in common with it."""
        other = copy(self)
        other.__dict__.update(arrays, _optimizer=None)
        return other

    def set_intercepts(self, values):
        """Let the intercepts, of all models side by side, be these."""
        if self.columns.size:
            values = values + self._of_means()
        self.intercept[0] = np.tile(values, self.n_models)

    def with_intercepts(self, values):
        """Return this model with other intercepts."""
        # copies, as a memory-mapped model is read-only
        other = self.with_arrays(intercept=self.intercept.copy())
        other.set_intercepts(values)
        other.intercept_integral = self._span_of_average() * other.intercept[0]
        return other

    def with_coefficients(self, coef):
        """Return this model with other weights; moments and the clock stay what they are."""
        model = self
        if self.scale is not None:
            model = self.with_arrays(scale=self.scale.copy())
        other = model._successor(self.hyperparameters, model._weights_for(coef))
        # which the means of the columns would change
        return other.with_intercepts(self.intercepts()) if self.columns.size else other

    def _weights_for(self, coef):
        """What records hold of coefficients: C-ordered and writeable, as the kernel takes it."""
        if self.scale is not None:
            self.scale[(self.scale == 0) & coef.any(axis=0)] = 1
            coef = coef * self.scale
        if self.columns.size:
            coef = np.array(coef, np.float64)
            coef[:, self.columns["feature"]] *= self.columns["size"]
        return np.array(np.tile(coef, (self.n_models, 1)), self.dtype, order="C")

    def set_coefficients(self, coef):
        """Let the weights be these; moments and the clock stay what they are."""
        self.optimizer.continue_as(self.optimizer, self._weights_for(coef))

    def is_same_kind(self, hyperparameters):
        """Whether these treat gradients, idle coefficients, scales and rates as the model does.

        A search that has ended with one rate, as that of `fit` does, has found it.
        """
        begins_search = hyperparameters.rate_is == "search" != self.hyperparameters.rate_is
        return self.is_alike(hyperparameters) and not begins_search

    def is_alike(self, hyperparameters):
        """Whether these treat gradients, idle coefficients and scales as the model does."""
        return _kind_of(hyperparameters) == _kind_of(self.hyperparameters)

    def successor(self, hyperparameters):
        """Return the model as it goes on under other hyperparameters of the same kind.

        Weights, moments and the clock stay what they are, and what is pending is applied as it
        was due.
        """
        if hyperparameters == self.hyperparameters:
            return self
        return self._successor(hyperparameters, np.empty((0, 0), self.dtype))

    def _successor(self, hyperparameters, weights):
        other = self.empty(hyperparameters)
        other.intercept[...] = self.intercept
        other.progressive_loss[...] = self.progressive_loss
        if self.hyperparameters.average and 0 < hyperparameters.average <= self.t:
            other.clock["average_start"] = self.clock["average_start"]
            other.intercept_integral[...] = self.intercept_integral
        self.optimizer.continue_as(other.optimizer, weights)
        return other

    def empty(self, hyperparameters, n_outputs=None, **named):
        """A model of the same shape, or with so many outputs, before its first step."""
        return type(self)(
            hyperparameters,
            self.n_features,
            n_outputs or self.n_outputs,
            self.dtype,
            scale=self.scale,
            columns=self.columns,
            **named,
        )

    # -- parts by output --

    def part(self, outputs, features, compact=False):
        """Return a model of some of the outputs, which are bit for bit what they are here.

        Parameters
        ----------
        outputs : int ndarray
            Of all models side by side.
        features : int32 ndarray
            The features whose records are not those of a new model.
        compact : bool
            Whether these are the only features of the result, numbered in this order.
        """
        numbers = self.by_output()
        first = (float(np.ravel(value)[0]) for value in (numbers.eta0, numbers.l2))
        numbers = numbers.with_numbers(
            **{name: self._taken(getattr(numbers, name), outputs) for name in BY_OUTPUT},
            parameters={k: self._taken(v, outputs) for k, v in numbers.parameters.items()},
        )
        if compact and numbers.controls is not None:
            numbers = numbers.with_numbers(controls=numbers.controls.of(features))
        scale = self.scale
        part = Model(
            numbers,
            features.size if compact else self.n_features,
            outputs.size,
            self.dtype,
            scale=scale[features] if compact and scale is not None else scale,
            columns=NO_COLUMNS if compact else self.columns,
        )
        part.clock_rate = self.clock_rate or tuple(first)
        part.clock[...] = self.clock
        part.intercept[...] = self.intercept[:, outputs]
        part.intercept_integral[...] = self.intercept_integral[outputs]
        places = np.arange(features.size, dtype=np.int32) if compact else features
        take_outputs(self.records, part.records, outputs, features, places)
        return part

    def _taken(self, value, outputs):
        """A number for these outputs: one, if they agree."""
        values = np.broadcast_to(value, self.intercept.shape[1])[outputs].tolist()
        return values[0] if len(set(values)) == 1 else tuple(values)

    def put_intercepts(self, part, outputs):
        """Let intercepts of these outputs, and the clock, be what they have become in a part."""
        self.intercept[:, outputs] = part.intercept
        self.intercept_integral[outputs] = part.intercept_integral
        self.clock[...] = part.clock

    def put_records(self, part, outputs, features):
        """Let the records of `features` be, for these outputs, what they have become in a part."""
        put_outputs(self.records, part.records, outputs, features)


def _kind_of(hyperparameters):
    return hyperparameters.optimizer, hyperparameters.sparse_update, hyperparameters.normalize
