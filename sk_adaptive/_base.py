"""What both estimators are: parameters, attributes that the state holds, fit and partial_fit."""

import warnings
from abc import abstractmethod
from contextlib import contextmanager
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, metadata
from numbers import Integral, Real
from operator import attrgetter, is_
from threading import RLock
from types import MappingProxyType
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from . import _state
from ._callbacks import CallbackSupportMixin, begin_fit
from ._input import check_structure, check_weights, is_ready, kernel_matrix, typical_row
from ._registry import OPTIMIZERS
from ._training import (
    TrainingData,
    TrainingFailure,
    ValidationLoss,
    features_of,
    fit_epochs,
    part_of,
    train_rows,
)

# With more rows than these early_stopping="auto" sets some aside: enough to judge by, and those
# that are left learn as well.
MANY_ROWS = 20_000

# A typical gradient is taken to be in these bounds, for its square to be a float32.
GRADIENTS = 1e-18, 1e18

LARGEST_SEED = np.iinfo(np.int32).max

# Finding the features of X costs about as much an entry as reading so many features out.
ENTRY_COST = 8

PRECISIONS = [np.float64, np.float32]

# The lock of each estimator. Not an attribute: those are saved, copied and compared.
_locks = WeakKeyDictionary()


@contextmanager
def unchanged_if_it_fails(estimator):
    """Take back all attributes if the block raises, so that bad input costs nobody a model."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        now = estimator.__dict__
        # Parameters are not the block's to change, but another thread may have. All at once, as
        # Ctrl-C can come between two statements.
        names = _parameter_names(type(estimator))
        parameters = {name: now[name] for name in names if name in now}
        estimator.__dict__ = {**before, **parameters}
        raise


def one_at_a_time(fit):
    """Run `fit` under the estimator's lock, and take back what it did if it fails.

    The outermost decorator: what scikit-learn's does for callbacks belongs to it.
    """

    @wraps(fit)
    def locked_fit(estimator, *arguments, **named):
        with estimator._lock, unchanged_if_it_fails(estimator):
            return fit(estimator, *arguments, **named)

    return locked_fit


@cache
def _parameter_names(estimator_class):
    return tuple(estimator_class._get_param_names())


@cache
def _parameters_getter(estimator_class):
    return attrgetter(*_parameter_names(estimator_class))


@cache
def _documentation_url():
    """What pyproject.toml names under project.urls as Documentation; empty without it."""
    try:
        urls = metadata("sk-adaptive").get_all("Project-URL", [])
    except PackageNotFoundError:
        return ""
    return dict(url.split(", ", 1) for url in urls).get("Documentation", "").rstrip("/")


class AdaptiveSGD(CallbackSupportMixin, BaseEstimator):
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
        "normalize": ["boolean"],
        "average": ["boolean", Interval(Integral, 0, None, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # -- the link of the HTML representation, which is scikit-learn's unless it is told --

    _doc_link_module = "sk_adaptive"

    @property
    def _doc_link_template(self):
        url = _documentation_url()
        return url and f"{url}/generated/{{estimator_module}}.{{estimator_name}}.html"

    # -- what the classifier and the regressor define --

    _losses: dict

    @abstractmethod
    def _validate(self, X, y, dtype, reset):
        """X and y checked as scikit-learn does, X as an array or CSR matrix of a dtype given."""

    def _validate_arrays(self, X, y, **settings):
        return validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            # `kernel_matrix` sees to it in a pass that it makes anyway
            ensure_all_finite=not sp.issparse(X),
            **settings,
        )

    @abstractmethod
    def _ready_targets(self, y, n_rows):
        """What `_validate` would make of y, if that is known at a glance; else None."""

    @abstractmethod
    def _encode(self, y, class_weighted=True):
        """Targets for the kernel, the number of outputs, and class weights or None.

        See `TrainingData`.
        """

    def _begin_fit(self, y):
        """Take from the validated targets of `fit` what `_encode` needs."""

    def _check_validation_targets(self, y):
        """Refuse validated targets of `y_val` that the model could not predict."""

    def _weights_for_scorers(self, y, weight):
        """Sample weights, or None, with what else a row counts."""
        return weight

    def _begin_partial_fit(self, y, classes, first_call):
        """Check the validated targets of `partial_fit` against those of the calls before."""

    def _starting_point(self, targets):
        """What eta0="auto" takes from targets of shape (n_rows, n_outputs).

        Intercepts to start from, or None, and the scale of what is to be learned.
        """
        return None, 1.0

    @abstractmethod
    def _typical_derivative(self, training, rows):
        """How much the weighted loss of a row changes with its margin before anything is learned.

        Positive, or 0 if these rows teach nothing.
        """

    @abstractmethod
    def _loss_of_best_constant(self, training, rows):
        """The least weighted sum of the losses of these rows without coefficients."""

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

    # Beside `_state` there is `_cache`, which is never saved: the kernel's optimizer on the state,
    # the coefficients read out last, and the parameters that the last call has checked.
    # Threads take turns by `_lock`: whoever reads or changes the state or the cache holds it.

    @property
    def _lock(self):
        lock = _locks.get(self)
        return _locks.setdefault(self, RLock()) if lock is None else lock

    def _adopt(self, state):
        # both at once, as Ctrl-C can come between two statements
        self.__dict__.update(_state=state, _cache={})

    def _current_state(self, name):
        """The state; AttributeError, for the attribute of this name, before there is one."""
        if "_state" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if "optimizer" in self._cache:
            # a call that was interrupted may not have come to that
            _state.save_clock(self._state, self._cache["optimizer"])
        return self._state

    def _optimizer(self):
        """The kernel's optimizer on the state, kept as its tables take longer than a row."""
        optimizer = self._cache.get("optimizer")
        if optimizer is None:
            optimizer = self._cache["optimizer"] = _state.make_optimizer(self._state)
        return optimizer

    @property
    def coef_(self):
        with self._lock:
            state = self._current_state("coef_")
            if "coef" not in self._cache:
                coef = _state.coefficients(state, optimizer=self._optimizer())
                if self._sparse_coef:
                    coef = sp.csr_matrix(self._public_coef(coef))
                else:
                    # It is a copy: writing to an element would change nothing. Assigning does.
                    coef = self._read_only(coef)
                self._cache["coef"] = coef
            return self._cache["coef"]

    @coef_.setter
    def coef_(self, value):
        with self._lock:
            state = self._current_state("coef_")
            value = value.toarray() if sp.issparse(value) else value
            shape = (state["intercept"].shape[1], state["records"].shape[0])
            coef = _initial_values(value, shape, _state.precision(state), "coef_")
            self._adopt(_state.with_coefficients(state, coef))

    @property
    def intercept_(self):
        with self._lock:
            state = self._current_state("intercept_")
            return _state.intercepts(state).astype(_state.precision(state))

    @intercept_.setter
    def intercept_(self, value):
        with self._lock:
            state = self._current_state("intercept_")
            shape = (state["intercept"].shape[1],)
            value = _initial_values(value, shape, np.float64, "intercept_")
            self._adopt(_state.with_intercepts(state, value))

    @property
    def t_(self):
        with self._lock:
            return self._current_state("t_")["t"] + 1

    @property
    def eta0_(self):
        with self._lock:
            return self._current_state("eta0_")["eta0"]

    @property
    def optimizer_state_(self):
        with self._lock:
            moments = _state.textbook_state(self._current_state("optimizer_state_"))
        return MappingProxyType({name: self._read_only(values) for name, values in moments.items()})

    @property
    def effective_learning_rate_(self):
        with self._lock:
            state = self._current_state("effective_learning_rate_")
            return self._read_only(_state.effective_learning_rates(state))

    def _read_only(self, values):
        """An array of shape (n_outputs, n_features), in that of coef_."""
        values = self._public_coef(values)
        values.flags.writeable = False
        return values

    @property
    def eps_(self):
        with self._lock:
            return self._current_state("eps_")["settings"]["eps"]

    @property
    def progressive_loss_(self):
        with self._lock:
            state = self._current_state("progressive_loss_")
            loss_sum, weight_sum = state["progressive_loss"]
            return float(loss_sum / weight_sum) if weight_sum > 0 else np.nan

    def reset_progressive_loss(self):
        """Let ``progressive_loss_`` be of the rows that `partial_fit` learns from now on.

        Returns
        -------
        self : object
        """
        with self._lock:
            check_is_fitted(self)
            self._state["progressive_loss"] = np.zeros(2)
        return self

    def __sklearn_is_fitted__(self):
        return "_state" in self.__dict__

    def __getstate__(self):
        with self._lock:
            attributes = super().__getstate__()
            if "_state" in attributes:
                # A copy, as another thread may learn while this one writes it to disk.
                state = _state.snapshot(self._current_state("_state"))
                attributes = {**attributes, "_state": state}
                del attributes["_cache"]
            return attributes

    def __setstate__(self, attributes):
        if "_state" in attributes:
            _state.check(attributes["_state"], attributes.get("n_features_in_"))
            attributes = {**attributes, "_cache": {}}
        super().__setstate__(attributes)

    def sparsify(self):
        """Make ``coef_`` a CSR matrix, which is smaller where most coefficients are zero.

        Training may go on; ``coef_`` stays sparse.

        Returns
        -------
        self : object
        """
        return self._set_sparse_coef(True)

    def densify(self):
        """Make ``coef_`` an array again, which it is unless `sparsify` was called.

        Returns
        -------
        self : object
        """
        return self._set_sparse_coef(False)

    def _set_sparse_coef(self, value):
        with self._lock:
            check_is_fitted(self)
            self._sparse_coef = value
            self._cache.pop("coef", None)
        return self

    # -- training --

    def _check_parameters(self, for_fit):
        """What the constraints on single parameters can't say."""
        if not for_fit and self.early_stopping != "auto" and self.early_stopping:
            raise ValueError("early_stopping should be False or 'auto' with partial_fit")
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")

    def _start(self, training, rows):
        """What the rows tell: settings, eta0 as a number, and intercepts to start from or None.

        With normalize they have to be normalised.
        """
        if not rows.size:
            # the next call will tell
            eta0 = 0.0 if self.eta0 == "auto" else float(self.eta0)
            return _state.settings_of(self, 0.0), eta0, None
        largest, rate = typical_row(training.data, training.indptr, rows)
        # of a feature that one row of the batch has
        gradient = largest * self._typical_derivative(training, rows)
        gradient /= min(training.batch_size, rows.size)
        # 0 where these rows teach nothing: then the next call will tell
        gradient = float(np.clip(gradient, *GRADIENTS)) if gradient > 0 else 0.0
        settings = _state.settings_of(self, gradient)
        if self.eta0 == "auto":
            intercept, scale = self._starting_point(training.targets[rows])
            eta0 = rate * OPTIMIZERS[self.optimizer].rate[self.sparse_update] * scale
        else:
            intercept, eta0 = None, float(self.eta0)
        self._check_decay(settings, eta0)
        return settings, eta0, intercept

    def _check_decay(self, settings, eta0):
        """Refuse a decay of adamw that would turn the weights' signs."""
        if OPTIMIZERS[self.optimizer].decoupled and eta0 * settings["l2"] >= 1:
            raise ValueError(
                f"eta0 * alpha must be less than 1 with optimizer={self.optimizer!r}, as weights "
                f"are multiplied by 1 - eta0 * alpha. Got eta0={eta0!r}, alpha={self.alpha!r}."
            )

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

    def _fit(self, X, y, sample_weight, coef_init, intercept_init, validation_data):
        """The whole of fit, but for the guard that takes back what fails.

        `validation_data` are X_val, y_val and sample_weight_val.
        """
        self._check_parameters(for_fit=True)
        self._check_validation_data(*validation_data)
        warm = self.warm_start and "_state" in self.__dict__
        previous = self._current_state("_state") if warm else None
        given = X
        X, y = self._validate(X, y, PRECISIONS, reset=True)
        weight = check_weights(sample_weight, X)
        if weight is not None and not np.any(weight):
            raise ValueError("Sample weights must contain at least one non-zero number.")
        self._begin_fit(y)
        training = self._training_data(
            kernel_matrix(X, X.dtype, type(self).__name__), self._encode(y), weight
        )
        dtype, n_outputs, n_features = X.dtype, training.n_outputs, X.shape[1]
        rows, validation_score = np.arange(X.shape[0], dtype=np.int64), None
        if validation_data[0] is not None:
            validation_score = self._scorer_of_given_rows(*validation_data, dtype)
        elif self._stops_early(rows, weight):
            rows, held_out = self._split(y, weight)
            validation_score = self._scorer_of_held_out_rows(X, y, training, held_out)
        # a row without weight is no row at all
        rows = _rows_with_weight(rows, weight)

        scale = None
        if self.normalize:
            scale = np.zeros(n_features, dtype)
            training.normalised(rows, scale)  # finds the scales
            training = training.normalised(rows, scale)
        if previous is not None:
            if coef_init is None:
                coef_init = _state.coefficients(previous)
            if intercept_init is None:
                intercept_init = _state.intercepts(previous)
        settings, eta0, start = self._start(training, rows)
        if coef_init is None and intercept_init is None:
            intercept_init = start
        if coef_init is not None:
            coef_init = _initial_values(coef_init, (n_outputs, n_features), dtype, "coef_init")
        if intercept_init is not None:
            intercept_init = _initial_values(
                intercept_init, (n_outputs,), np.float64, "intercept_init"
            )
        state = _state.new_state(
            settings,
            eta0,
            n_features,
            n_outputs,
            dtype,
            coef_init,
            intercept_init,
            scale,
        )
        features = (
            features_of(training, n_features) if coef_init is None else _state.all_features(state)
        )

        # Hooks get the rows that are learned from, made when asked for, with their column names.
        seen = given if "feature_names_in_" in self.__dict__ else X
        some = rows.size < X.shape[0]
        task = begin_fit(
            self,
            self.max_iter,
            X=cache(lambda: _safe_indexing(seen, rows)) if some else seen,
            y=cache(lambda: y[rows]) if some else y,
            metadata=None if weight is None else cache(lambda: {"sample_weight": weight[rows]}),
        )
        progress = fit_epochs(
            state,
            training,
            rows,
            features,
            max_iter=self.max_iter,
            tol=self._least_gain(training, rows, validation_score is not None),
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            seed=check_random_state(self.random_state).randint(LARGEST_SEED),
            adaptive=self.learning_rate == "adaptive",
            verbose=self.verbose,
            validation_score=validation_score,
            task=task,
        )
        self._become(progress)
        if task is not None:
            task.end(progress)
        if self.tol is not None and self.stopped_by_ == "max_iter":
            warnings.warn(
                "Maximum number of iteration reached before convergence. "
                "Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
                # the caller of fit, which two decorators wrap
                stacklevel=5,
            )
        return self

    def _become(self, progress, optimizer=None):
        """Be the model of this progress, whose optimizer may be the one that goes on training."""
        scores = progress.validation_scores
        # all at once, as in `_adopt`
        self.__dict__.update(
            _state=progress.state,
            _cache={} if optimizer is None else {"optimizer": optimizer},
            _sparse_coef=False,
            n_iter_=progress.n_iter,
            # copies, as the run goes on with its own
            loss_curve_=list(progress.loss_curve),
            validation_scores_=None if scores is None else list(scores),
            best_iteration_=progress.best_iteration,
            stopped_by_=progress.stopped_by,
        )

    def _least_gain(self, training, rows, validated):
        """What an epoch has to gain: `tol` in the unit of what decides on stopping, or None."""
        if self.tol is None or (validated and self.scoring != "loss"):
            return self.tol
        loss = self._loss_of_best_constant(training, rows)
        if validated and training.sample_weight.size:
            # the validation loss is a mean by weight
            loss /= training.sample_weight[rows].sum()
        else:
            loss /= rows.size
        return self.tol * (loss if 0 < loss < np.inf else 1.0)

    # -- validation --

    def _stops_early(self, rows, weight):
        """Whether to set aside some of these rows."""
        if self.early_stopping == "auto":
            return self.tol is not None and _rows_with_weight(rows, weight).size > MANY_ROWS
        return self.early_stopping

    def _check_validation_data(self, X_val, y_val, sample_weight_val):
        if X_val is None and y_val is None:
            if sample_weight_val is not None:
                raise ValueError(
                    "sample_weight_val is provided, but X_val and y_val were not provided."
                )
            return
        if y_val is None:
            raise ValueError("X_val is provided, but y_val was not provided.")
        if X_val is None:
            raise ValueError("y_val is provided, but X_val was not provided.")
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val are passed to fit while at the same time early_stopping is False. "
                "When passing X_val and y_val to fit, early_stopping should be True or 'auto'."
            )

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
        return rows.astype(np.int64), _rows_with_weight(held_out, weight)

    def _scorer_of_held_out_rows(self, X, y, training, rows):
        """A function of a state and its optimizer: the score on these rows of the training data."""
        if self.scoring == "loss":
            return ValidationLoss(part_of(training, rows, X.shape[1]), X.shape[1])
        weight = training.sample_weight
        weight = self._weights_for_scorers(y, weight if weight.size else None)
        return self._scorer(X[rows], y[rows], None if weight is None else weight[rows])

    def _scorer_of_given_rows(self, X, y, sample_weight, dtype):
        """The same on rows of their own, to which no class weights belong."""
        try:
            X, y = self._validate(X, y, dtype, reset=False)
            self._check_validation_targets(y)
            targets, n_outputs, _ = self._encode(y, class_weighted=False)
            weight = check_weights(sample_weight, X)
            if weight is not None and not np.any(weight):
                raise ValueError("Sample weights must contain at least one non-zero number.")
            matrix = kernel_matrix(X, dtype, type(self).__name__)
        except ValueError as error:
            raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
        rows = _rows_with_weight(np.arange(X.shape[0]), weight)
        if self.scoring == "loss":
            validation = self._training_data(matrix, (targets, n_outputs, None), weight)
            return ValidationLoss(part_of(validation, rows, X.shape[1]), X.shape[1])
        return self._scorer(X[rows], y[rows], None if weight is None else weight[rows])

    def _scorer(self, X, y, sample_weight):
        scorer = check_scoring(self, self.scoring)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        # without a copy of the model that there may be; and X is an array by now
        judge = type(self).__new__(type(self))
        judge.__dict__.update(self.__dict__, _sparse_coef=False)
        judge.__dict__.pop("feature_names_in_", None)

        def score(state, optimizer):
            judge.__dict__.update(_state=state, _cache={"optimizer": optimizer})
            value = scorer(judge, X, y, **weights)
            if not isinstance(value, Real):
                raise ValueError(f"scoring must return a number, got {value!r} ({type(value)})")
            return float(value)

        return score

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """The whole of partial_fit."""
        with self._lock:
            with unchanged_if_it_fails(self):
                stopped = self._learn(*self._prepare(X, y, sample_weight, classes))
            try:
                if stopped is not None:
                    raise stopped
            finally:
                # Its traceback refers to this frame, and so to the rows: a cycle.
                del stopped
        return self

    def _prepare(self, X, y, sample_weight, classes):
        """The state that partial_fit trains, on what and on which rows."""
        first_call = "_state" not in self.__dict__
        # The same objects are the same values: they are immutable, or, as class_weight, looked
        # into at each call.
        parameters = _parameters_getter(type(self))(self)
        checked = None if first_call else self._cache.get("parameters")
        unchanged = checked is not None and all(map(is_, parameters, checked))
        if not unchanged:
            if not get_config()["skip_parameter_validation"]:
                self._validate_params()
            self._check_parameters(for_fit=False)
        if first_call:
            X, y = self._validate(X, y, PRECISIONS, reset=True)
        else:
            X, y = self._validate_again(X, y)
        weight = check_weights(sample_weight, X)
        self._begin_partial_fit(y, classes, first_call)
        matrix = kernel_matrix(X, X.dtype, type(self).__name__)
        training = self._training_data(matrix, self._encode(y), weight)
        rows = _rows_with_weight(np.arange(X.shape[0], dtype=np.int64), weight)
        if not first_call and training.n_outputs != self._state["intercept"].shape[1]:
            raise ValueError(
                f"y has {training.n_outputs} output(s), but the model has "
                f"{self._state['intercept'].shape[1]}."
            )
        if unchanged:
            return self._state, training, rows
        if first_call:
            settings, eta0, start = self._start_partial_fit(training, rows)
            state = _state.new_state(settings, eta0, X.shape[1], training.n_outputs, X.dtype)
            self._sparse_coef = False
        else:
            state, start = self._current_state("_state"), None
            known, eta0 = state["settings"]["typical_gradient"], state["eta0"]
            settings = _state.settings_of(self, known)
            if known and _state.is_same_kind(state, settings):
                # A rate that "auto" or "adaptive" has settled stays; a new number replaces it.
                if self.eta0 != "auto" and self.learning_rate != "adaptive":
                    eta0 = float(self.eta0)
                self._check_decay(settings, eta0)
            else:
                scale = state.get("scale")
                settings, eta0, start = self._start_partial_fit(training, rows, scale)
            state = _state.with_settings(state, settings, eta0)
        if start is not None and not state["intercept"].any():
            state["intercept"][0] = start
        if state is not self.__dict__.get("_state"):
            self._adopt(state)
        if settings["typical_gradient"]:
            self._cache["parameters"] = parameters
        return state, training, rows

    def _start_partial_fit(self, training, rows, scale=None):
        """`_start`, of rows that are not normalised yet, after those that had this scale."""
        if self.normalize:
            n_features, dtype = self.n_features_in_, training.data.dtype
            scale = np.zeros(n_features, dtype) if scale is None else scale.copy()
            training = training.normalised(rows, scale)
        return self._start(training, rows)

    def _validate_again(self, X, y):
        """X and y, validated, of a call that is not the first."""
        dtype = _state.precision(self._state)
        if self._is_ready(X, [dtype]):
            targets = self._ready_targets(y, X.shape[0])
            if targets is not None:
                return X, targets
        return self._validate(X, y, dtype, reset=False)

    def _is_ready(self, X, dtypes):
        # rows of a model that knows names have to have them, or get a warning
        return "feature_names_in_" not in self.__dict__ and is_ready(X, self.n_features_in_, dtypes)

    def _learn(self, state, training, rows):
        """Train on rows of a partial_fit.

        Returns what ended that early, if steps had been done by then: they stay done. The
        optimizer has done them on the arrays of the state, whatever happens next.
        """
        optimizer = self._optimizer()
        self._cache.pop("coef", None)
        self.n_iter_ = 1
        begin, stopped = optimizer.t, None
        scale, scale_before, raw = state.get("scale"), None, training
        try:
            if scale is not None:
                scale_before = scale[raw.indices]
                training = raw.normalised(rows, scale)
            train_rows(optimizer, training, rows, state["progressive_loss"])
        except TrainingFailure as failure:
            stopped = ValueError(
                f"Floating-point under-/overflow occurred at row {failure.row}. The rows before it "
                "have been learned, it has not. Scaling input data with MaxAbsScaler or "
                "StandardScaler, or a smaller eta0, might help."
            )
        except BaseException as exception:
            stopped = exception
        try:
            _state.save_clock(state, optimizer)
            if stopped is not None and scale_before is not None:
                # rows that were not learned leave no trace
                scale[raw.indices] = scale_before
                raw.normalised(rows[: (optimizer.t - begin) * raw.batch_size], scale)
            if stopped is not None and optimizer.t == begin:
                raise stopped
            return stopped
        finally:
            del stopped  # as its traceback refers to this frame

    # -- prediction --

    def _margins(self, X):
        """X @ coef_.T + intercept_, of shape (n_samples, n_outputs)."""
        return self._margins_with(X)[0]

    def _margins_with(self, X, *names):
        """The margins, and the attributes of these names that belong to the same model."""
        # What is read belongs to one model, of one moment; the product needs no lock.
        with self._lock:
            if "_state" not in self.__dict__:
                check_is_fitted(self)  # raises
            if not (self._is_ready(X, PRECISIONS) and np.isfinite(X.data).all()):
                X = validate_data(self, X, accept_sparse="csr", dtype=PRECISIONS, reset=False)
            if sp.issparse(X):
                check_structure(X)
            few = sp.issparse(X) and X.indptr[-1] < X.shape[1] // ENTRY_COST
            if few:
                features = X.indices[: int(X.indptr[-1])].astype(np.int64)
                coef = _state.coefficients(self._state, features, self._optimizer())
            else:
                coef = self.coef_
            intercept = self.intercept_
            attributes = [getattr(self, name) for name in names]
        if few:
            products = _products_of_few(X, coef)
        else:
            coef = coef if coef.ndim == 2 else coef[np.newaxis]
            products = safe_sparse_dot(X, coef.T, dense_output=True)
        return products + intercept, *attributes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _products_of_few(X, weights):
    """X @ coef.T, bit for bit, from the weights of each entry's feature, (n_outputs, n_entries)."""
    n_rows, n_entries = X.shape[0], weights.shape[1]
    data = X.data[:n_entries]
    if n_rows == 1:
        # in turn from the left, as a sparse product does
        sums = np.cumsum(weights * data, axis=1)
        return sums[:, -1:].T if n_entries else np.zeros((1, sums.shape[0]), sums.dtype)
    places = sp.csr_matrix((data, np.arange(n_entries), X.indptr), (n_rows, n_entries))
    return places @ weights.T


def _rows_with_weight(rows, weight):
    return rows if weight is None else rows[weight[rows] > 0]


def _initial_values(value, shape, dtype, name):
    """A user's coefficients or intercepts in the state's shape."""
    try:
        value = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError):
        raise ValueError(f"Provided {name} is not an array of numbers.") from None
    if value.size == np.prod(shape) and (value.shape == shape or shape[0] == 1):
        value = value.reshape(shape)
    else:
        raise ValueError(f"Provided {name} does not match dataset.")
    if not np.all(np.isfinite(value)):
        raise ValueError(f"Provided {name} contains NaN or infinity.")
    return value
