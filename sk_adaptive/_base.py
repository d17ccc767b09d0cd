"""What both estimators are: parameters, attributes that the state holds, fit and partial_fit."""

import warnings
from abc import abstractmethod
from contextlib import contextmanager
from copy import copy
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _state
from ._input import check_structure, check_weights, kernel_matrix, natural_rate
from ._registry import OPTIMIZERS
from ._training import TrainingData, TrainingFailure, features_of, fit_epochs, train_rows

LARGEST_SEED = np.iinfo(np.int32).max

# Finding the features of X costs about as much an entry as reading so many features out.
ENTRY_COST = 8


@contextmanager
def unchanged_if_it_fails(estimator):
    """Take back all attributes if the block raises, so that bad input costs nobody a model."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


class AdaptiveSGD(BaseEstimator):
    """What the classifier and the regressor share."""

    _parameter_constraints: dict = {
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "eta0": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="neither")],
        "eps": [Interval(Real, 0, None, closed="neither"), None],
        "sparse_update": [StrOptions({"exact", "masked"})],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # -- what the classifier and the regressor define --

    _losses: dict

    @abstractmethod
    def _validate(self, X, y, dtype, reset):
        """X and y checked as scikit-learn does, X as an array or CSR matrix of a dtype given."""

    @abstractmethod
    def _encode(self, y):
        """Targets for the kernel, the number of outputs, and class weights or None.

        See `TrainingData`.
        """

    def _begin_fit(self, y):
        """Take from the validated targets of `fit` what `_encode` needs."""

    def _begin_partial_fit(self, y, classes, first_call):
        """Check the validated targets of `partial_fit` against those of the calls before."""

    def _starting_point(self, targets):
        """What eta0="auto" takes from targets of shape (n_rows, n_outputs).

        Intercepts to start from, or None, and the scale of what is to be learned.
        """
        return None, 1.0

    def _loss_of_start(self, training, rows):
        """What `tol` is a share of."""
        return 1.0

    @abstractmethod
    def _splitter(self, y):
        """The class of model_selection that sets rows aside for early stopping."""

    def _public_coef(self, coef):
        """coef_ from an array of shape (n_outputs, n_features)."""
        return coef

    def _make_loss(self):
        spec = self._losses[self.loss]
        return spec.make(*(getattr(self, name) for name in spec.parameters))

    # -- attributes that the state holds --

    def _require_state(self, name):
        if "_state" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._state

    @property
    def coef_(self):
        state = self._require_state("coef_")
        if "coef" not in self._cache:
            coef = self._public_coef(_state.coefficients(state))
            if self._sparse_coef:
                coef = sp.csr_matrix(coef)
            else:
                # It is a copy: writing to an element would change nothing. Assigning does.
                coef.flags.writeable = False
            self._cache["coef"] = coef
        return self._cache["coef"]

    @coef_.setter
    def coef_(self, value):
        state = self._require_state("coef_")
        value = value.toarray() if sp.issparse(value) else value
        shape = (state["intercept"].shape[1], state["records"].shape[0])
        coef = _initial_values(value, shape, _state.precision(state), "coef_")
        self._state = _state.with_coefficients(state, coef)
        self._cache = {}

    @property
    def intercept_(self):
        state = self._require_state("intercept_")
        return state["intercept"][0].astype(_state.precision(state))

    @intercept_.setter
    def intercept_(self, value):
        state = self._require_state("intercept_")
        # a copy, as a memory-mapped model is read-only
        intercept = state["intercept"].copy()
        intercept[0] = _initial_values(value, intercept[0].shape, np.float64, "intercept_")
        self._state = {**state, "intercept": intercept}

    def __getstate__(self):
        state = super().__getstate__()
        if "_cache" in state:
            state = {**state, "_cache": {}}
        return state

    def sparsify(self):
        """Make ``coef_`` a CSR matrix, which is smaller where most coefficients are zero.

        Training may go on; ``coef_`` stays sparse.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        self._sparse_coef = True
        self._cache = {}
        return self

    def densify(self):
        """Make ``coef_`` an array again, which it is unless `sparsify` was called.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        self._sparse_coef = False
        self._cache = {}
        return self

    # -- training --

    def _check_parameters(self):
        """What the constraints on single parameters can't say."""
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")

    def _start(self, training, rows):
        """eta0 as a number, and intercepts to start from or None, from these rows.

        Also refuses a decay of adamw that would turn the weights' signs.
        """
        if self.eta0 == "auto":
            spec = OPTIMIZERS[self.optimizer]
            rate = spec.rate if self.sparse_update == "exact" else spec.masked_rate
            # rows that all have no weight are better than no rows
            rows = rows if rows.size else np.arange(training.targets.shape[0], dtype=np.int64)
            intercept, scale = self._starting_point(training.targets[rows])
            eta0 = rate * scale * natural_rate(training.data, training.indptr, rows)
        else:
            intercept, eta0 = None, float(self.eta0)
        settings = _state.settings_of(self)
        if OPTIMIZERS[self.optimizer].decoupled and eta0 * settings["l2"] >= 1:
            raise ValueError(
                f"eta0 * alpha must be less than 1 with optimizer={self.optimizer!r}, as weights "
                f"are multiplied by 1 - eta0 * alpha. Got eta0={eta0!r}, alpha={self.alpha!r}."
            )
        return eta0, intercept

    def _training_data(self, matrix, encoded, weight):
        data, indices, indptr = matrix
        targets, n_outputs, class_weight = encoded
        targets = np.ascontiguousarray(targets, np.float64)
        return TrainingData(
            data=data,
            indices=indices,
            indptr=indptr,
            targets=targets if targets.ndim == 2 else targets[:, np.newaxis],
            sample_weight=np.empty(0) if weight is None else weight,
            class_weight=np.empty((0, 0)) if class_weight is None else class_weight,
            loss=self._make_loss(),
            n_outputs=n_outputs,
            batch_size=int(self.batch_size),
            fit_intercept=bool(self.fit_intercept),
        )

    def _fit(self, X, y, sample_weight, coef_init, intercept_init):
        """The whole of fit, but for the guard that takes back what fails."""
        self._check_parameters()
        previous = self.__dict__.get("_state") if self.warm_start else None
        X, y = self._validate(X, y, [np.float64, np.float32], reset=True)
        weight = check_weights(sample_weight, X)
        if weight is not None and not np.any(weight):
            raise ValueError("Sample weights must contain at least one non-zero number.")
        self._begin_fit(y)
        matrix = kernel_matrix(X, X.dtype)
        training = self._training_data(matrix, self._encode(y), weight)
        dtype, n_outputs, n_features = X.dtype, training.n_outputs, X.shape[1]
        # a row without weight is no row at all
        rows = _rows_with_weight(np.arange(X.shape[0], dtype=np.int64), weight)

        if previous is not None:
            if coef_init is None:
                coef_init = _state.coefficients(previous)
            if intercept_init is None:
                intercept_init = previous["intercept"][0]
        eta0, start = self._start(training, rows)
        if coef_init is None and intercept_init is None:
            intercept_init = start
        if coef_init is not None:
            coef_init = _initial_values(coef_init, (n_outputs, n_features), dtype, "coef_init")
        if intercept_init is not None:
            intercept_init = _initial_values(
                intercept_init, (n_outputs,), np.float64, "intercept_init"
            )
        state = _state.new_state(
            _state.settings_of(self),
            eta0,
            n_features,
            n_outputs,
            dtype,
            coef_init,
            intercept_init,
        )
        features = (
            features_of(training, n_features) if coef_init is None else _state.all_features(state)
        )

        tol, validation_score = self.tol, None
        if self.early_stopping:
            rows, held_out = self._split(y, weight)
            rows = _rows_with_weight(rows, weight)
            validation_score = self._validation_scorer(X, y, weight, held_out)
        elif tol is not None:
            tol *= self._loss_of_start(training, rows)
        progress = fit_epochs(
            state,
            training,
            rows,
            features,
            max_iter=self.max_iter,
            tol=tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            seed=check_random_state(self.random_state).randint(LARGEST_SEED),
            adaptive=self.learning_rate == "adaptive",
            verbose=self.verbose,
            validation_score=validation_score,
        )
        self._adopt(progress.state)
        self._sparse_coef = False
        self.n_iter_ = progress.n_iter
        self.loss_curve_ = progress.loss_curve
        if self.tol is not None and not progress.converged:
            warnings.warn(
                "Maximum number of iteration reached before convergence. "
                "Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
                # the caller of fit, which scikit-learn wraps
                stacklevel=4,
            )
        return self

    def _adopt(self, state):
        self._state = state
        self._cache = {}
        self.t_ = state["t"] + 1
        self.eta0_ = state["eta0"]

    def _split(self, y, weight):
        """Rows to train on and rows to validate on."""
        split = self._splitter(y)(
            test_size=self.validation_fraction, random_state=self.random_state
        )
        rows, held_out = next(split.split(np.zeros((y.shape[0], 1)), y))
        for part, what in ((rows, "training"), (held_out, "validation")):
            if weight is not None and not np.any(weight[part]):
                raise ValueError(
                    f"The sample weights for {what} set are all zero, consider using a "
                    "different random state."
                )
        return rows.astype(np.int64), held_out

    def _validation_scorer(self, X, y, weight, held_out):
        """A function of a state: the score on the rows held out."""
        judge = copy(self)
        judge._sparse_coef = False
        X_held_out, y_held_out = X[held_out], y[held_out]
        weight_held_out = None if weight is None else weight[held_out]

        def score(state):
            judge._adopt(state)
            return judge.score(X_held_out, y_held_out, weight_held_out)

        return score

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """What partial_fit does before it learns: nothing of it changes the model."""
        self._check_parameters()
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit")
        first_call = "_state" not in self.__dict__
        dtype = [np.float64, np.float32] if first_call else _state.precision(self._state)
        X, y = self._validate(X, y, dtype, reset=first_call)
        weight = check_weights(sample_weight, X)
        self._begin_partial_fit(y, classes, first_call)
        matrix = kernel_matrix(X, X.dtype)
        training = self._training_data(matrix, self._encode(y), weight)
        settings = _state.settings_of(self)
        rows = _rows_with_weight(np.arange(X.shape[0], dtype=np.int64), weight)
        if first_call:
            eta0, start = self._start(training, rows)
            state = _state.new_state(
                settings, eta0, X.shape[1], training.n_outputs, X.dtype, intercept=start
            )
            self._sparse_coef = False
        else:
            state = self._state
            # A rate that "auto" or "adaptive" has settled stays; a new number replaces it.
            eta0 = state["eta0"]
            if self.eta0 != "auto" and self.learning_rate != "adaptive":
                eta0, _ = self._start(training, rows)
            state = _state.with_settings(state, settings, eta0)
        return state, training, rows

    def _learn(self, state, training, rows):
        """Train on rows of a partial_fit: what was learned before a failure stays learned."""
        optimizer = _state.make_optimizer(state)
        try:
            train_rows(optimizer, training, rows)
        except TrainingFailure as failure:
            raise ValueError(
                f"Floating-point under-/overflow occurred at row {failure.row}. The rows before it "
                "have been learned, it has not. Scaling input data with MaxAbsScaler or "
                "StandardScaler, or a smaller eta0, might help."
            ) from None
        finally:
            _state.save_clock(state, optimizer)
            self._adopt(state)
            self.n_iter_ = 1
        return self

    # -- prediction --

    def _margins(self, X):
        """X @ coef_.T + intercept_, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        if sp.issparse(X):
            check_structure(X)
        if sp.issparse(X) and "coef" not in self._cache and X.nnz < X.shape[1] // ENTRY_COST:
            # A few rows between two steps: only their features are brought up to date.
            features, columns = np.unique(X.indices[: X.nnz], return_inverse=True)
            coef = _state.coefficients(self._state, features.astype(np.int64))
            shape = (X.shape[0], features.size)
            X = sp.csr_matrix((X.data[: X.nnz], columns, X.indptr), shape=shape)
        else:
            coef = self.coef_
            coef = coef if coef.ndim == 2 else coef[np.newaxis]
        return safe_sparse_dot(X, coef.T, dense_output=True) + self.intercept_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _rows_with_weight(rows, weight):
    return rows if weight is None else rows[weight[rows] > 0]


def _initial_values(value, shape, dtype, name):
    """A user's coefficients or intercepts in the state's shape."""
    value = np.asarray(value, dtype=dtype)
    if value.size == np.prod(shape) and (value.shape == shape or shape[0] == 1):
        value = value.reshape(shape)
    else:
        raise ValueError(f"Provided {name} does not match dataset.")
    if not np.all(np.isfinite(value)):
        raise ValueError(f"Provided {name} contains NaN or infinity.")
    return value
