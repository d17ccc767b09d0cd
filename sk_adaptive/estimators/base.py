"""What both estimators are: parameters, fit and raw predictions."""

from dataclasses import replace
from functools import cache
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import get_scorer_names
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from .._threads import n_threads_of, sparse_products
from ..data.check import check_offset, check_structure, in_precision, is_in_order, is_ready
from ..data.class_values import as_given
from ..data.columns import NO_COLUMNS, columns_of, standardised
from ..data.training_data import training_data
from ..kernel.optimizers import OPTIMIZERS
from ..model.controls import check_controls
from ..model.hyperparameters import divides_by_largest, hyperparameters_of, multiple_of
from ..model.model import Model
from ..training.epochs import FitOptions, fit_epochs, warn_of_few_epochs
from ..training.refit import Trial, find_and_refit, trials_for
from ..training.sampling import LARGEST_SEED, sampling_of
from ..training.start import (
    averages_last,
    least_gain,
    least_relative_gain,
    standardises,
    start_of,
    takes_from_rows,
)
from ..training.validation import check_validation_data, rows_to_learn
from .attributes import ModelAttributes, initial_values
from .callbacks import CallbackSupportMixin, begin_fit
from .locking import parameter_constraints, parameter_names
from .stream import PRECISIONS, LearnsStreams

# Where rows set aside are many, scores have little noise: how many times fewer epochs tell enough.
LESS_PATIENCE = 5


class Automatic(StrOptions):
    """'auto', and multiples of it: '3*auto'."""

    def __init__(self, *others):
        super().__init__({"auto", *others})

    def is_satisfied_by(self, val):
        if not isinstance(val, str):
            return False
        try:
            return val in self.options or multiple_of(val) is not None
        except ValueError:
            return False

    def __str__(self):
        return f"{super().__str__()} or a multiple such as '3*auto'"


class NameOfScorer(StrOptions):
    """'loss' and the names of scikit-learn's scorers, which are too many for a message."""

    def __init__(self):
        super().__init__({"loss", *get_scorer_names()})

    def __str__(self):
        return "'loss' or a name that sklearn.metrics.get_scorer_names() returns"


class AdaptiveSGD(CallbackSupportMixin, LearnsStreams, ModelAttributes):
    """What the classifier and the regressor share."""

    _parameter_constraints: dict = {
        # a view of the registry, which may be added to
        "optimizer": [StrOptions(OPTIMIZERS.keys())],
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left"), Automatic()],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "eta0": [Interval(Real, 0, None, closed="neither"), Automatic("search")],
        "positive": ["boolean"],
        "bounds": [tuple, list, None],
        "penalty_factor": ["array-like", None],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="both"), None],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="neither")],
        "eps": [Interval(Real, 0, None, closed="neither"), Automatic(), None],
        "sparse_update": [StrOptions({"exact", "masked"})],
        "normalize": ["boolean", StrOptions({"auto", "standardize"})],
        "average": [
            "boolean",
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto", "suffix"}),
        ],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "scoring": [NameOfScorer(), callable, None],
        "refit": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # -- rows and targets; the classifier and the regressor define `_targets` and `_find_targets` --

    @property
    def _targets(self):
        """What the targets of the model are, and the loss: `Targets`."""
        raise NotImplementedError

    def _find_targets(self, y, classes=None, complete=True):
        """Let `_targets` be those of this first y; return it checked. See `find_classes`."""
        raise NotImplementedError

    def _find_targets_of_assigned(self, classes):
        """Let `_targets` be those of coefficients assigned before `fit`; False if not known yet."""
        raise NotImplementedError

    def _validate(self, X, y, dtype, reset):
        """X, as an array or CSR matrix of a dtype given, and y, as scikit-learn checks them."""
        X, y = validate_data(
            self,
            X,
            as_given(y, "y"),
            accept_sparse="csr",
            dtype=dtype,
            multi_output=True,
            # `kernel_matrix` sees to it in a pass that it makes anyway
            ensure_all_finite=not sp.issparse(X),
            reset=reset,
        )
        return in_precision(X, dtype), y

    def _training_data(self, targets, X, y, sample_weight, **named):
        """What the kernel learns from, of X and y that have been checked."""
        return training_data(
            targets,
            X,
            y,
            sample_weight,
            batch_size=self.batch_size,
            fit_intercept=self.fit_intercept,
            estimator_name=type(self).__name__,
            **named,
        )

    def _validation_data(self, targets, X, y, sample_weight, offset, dtype):
        """X_val and y_val checked, and what the kernel makes of them; None without."""
        if X is None:
            return None
        try:
            X, y = self._validate(X, y, [dtype], reset=False)
            y = targets.check(y)
            # no class weights belong to them
            validation = self._training_data(
                targets, X, y, sample_weight, class_weighted=False, offset=offset
            )
            if not validation.rows_with_weight().size:
                raise ValueError("Sample weights must contain at least one non-zero number.")
        except ValueError as error:
            raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
        return X, y, validation

    # -- training --

    def _validate_params(self):
        # BaseEstimator's leaves out what a subclass does not take as a parameter
        names = parameter_names(type(self))
        validate_parameter_constraints(
            parameter_constraints(type(self)),
            {name: getattr(self, name) for name in names},
            caller_name=type(self).__name__,
        )

    def _check_parameters(self, for_fit):
        """What the constraints on single parameters can't say."""
        if not for_fit and self.early_stopping != "auto" and self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit, or 'auto'")
        schedules = OPTIMIZERS[self.optimizer].learning_rates
        if self.learning_rate not in schedules:
            raise ValueError(
                f"learning_rate must be {' or '.join(map(repr, schedules))} with "
                f"optimizer={self.optimizer!r}. Got {self.learning_rate!r}."
            )
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")
        check_controls(self)
        means = [moment.memory for moment in OPTIMIZERS[self.optimizer].moments]
        if self.rho == 1 and "rho" in means:
            raise ValueError(
                f"rho must be less than 1 with optimizer={self.optimizer!r}: a mean that keeps all "
                "of itself would never change."
            )

    def _fit(self, X, y, sample_weight, offset, coef_init, intercept_init, validation_data):
        """The whole of fit, but for the guard that takes back what fails.

        `validation_data` are X_val, y_val, sample_weight_val and offset_val.
        """
        # -- prepare --
        self._check_parameters(for_fit=True)
        check_validation_data(self, *validation_data, offset)
        given = X
        X, y = self._validate(X, y, PRECISIONS, reset=True)
        y = self._find_targets(y)
        targets = self._targets
        targets.check_whole(y)
        training = self._training_data(
            targets, X, y, sample_weight, find_features=True, offset=offset
        )
        validation = self._validation_data(targets, *validation_data, X.dtype)
        if takes_from_rows(self):
            shares = targets.shares(training, training.rows_with_weight())
            training = training.in_shares(shares)
            if validation is not None:
                validation = (*validation[:2], validation[2].in_shares(shares))
        starts_anew = coef_init is None and not self._is_warm()
        plan = rows_to_learn(self, X, y, training, validation, self._judge(), starts_anew)
        learned, validated = plan.learned, plan.score is not None
        scale, raw = None, training
        if divides_by_largest(self):
            scale = training.scale_of(learned)
            training = training.normalised(learned, scale)
        columns = columns_of(training, learned) if standardises(self) else NO_COLUMNS
        training = standardised(training, columns)
        start = start_of(self, training, learned, one_pass=False)

        def new_model(trial):
            return self._model_to_fit(
                training, start, trial, scale, coef_init, intercept_init, columns
            )

        # before what else takes memory
        model = new_model(Trial())
        # A weight of a feature that does not occur is zero, unless it was so from the start.
        features = training.features() if starts_anew else None
        averages = averages_last(self, raw, learned, validated)
        options = self._fit_options(training, plan.rows, validated, averages)
        if plan.sample is not None:
            options = replace(options, n_iter_no_change=-(-self.n_iter_no_change // LESS_PATIENCE))
        sampling = sampling_of(self, training, learned, options.seed)
        if sampling is not None:
            options, training = replace(options, sampling=sampling), sampling.weighted(training)
        max_epochs = self.max_iter if plan.all_rows is None else None
        task = self._begin_task(given, X, y, training, learned, max_epochs)

        # -- train --
        if plan.compares:
            progress = find_and_refit(
                model, new_model, training, plan, features, options, trials_for(self), task
            )
        else:
            progress = fit_epochs(model, training, plan.rows, features, options, plan.score, task)

        # -- publish --
        self._become(progress)
        if task is not None:
            task.end(progress)
        if self.tol is not None and progress.is_unfinished:
            what = "score on the validation rows" if validated else "objective"
            warn_of_few_epochs(what, self.max_iter)
        return self

    def _is_warm(self):
        has_weights = "_model" in self.__dict__ or self._assigned_before_fit("coef_") is not None
        return self.warm_start and has_weights

    def _model_to_fit(self, training, start, trial, scale, coef, intercept, columns):
        """A model before the first step, of the user's weights, those of before, or the start's."""
        if self._is_warm() and (coef is None or intercept is None):
            previous = self.__dict__.get("_model") or self._model_of_assigned()
            _check_shape_of_before(previous, training, coef is None)
            coef = previous.coefficients() if coef is None else coef
            intercept = previous.intercepts() if intercept is None else intercept
        if coef is None and intercept is None:
            intercept = start.intercept
        n_features, n_outputs = training.n_features, training.n_outputs
        dtype = training.data.dtype
        if coef is not None:
            coef = initial_values(coef, (n_outputs, n_features), dtype, "coef_init")
        if intercept is not None:
            intercept = initial_values(intercept, (n_outputs,), np.float64, "intercept_init")
        told = start.hyperparameters
        hyperparameters = hyperparameters_of(
            self, told.scales._replace(eps=trial.eps), trial.rate * told.eta0
        )
        shape = n_features, n_outputs
        return Model(hyperparameters, *shape, dtype, coef, intercept, scale, columns)

    def _fit_options(self, training, rows, validated, averages):
        return FitOptions(
            max_iter=self.max_iter,
            tol=least_gain(self, training, rows, validated),
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            seed=check_random_state(self.random_state).randint(LARGEST_SEED),
            adaptive=self.learning_rate == "adaptive",
            verbose=self.verbose,
            n_threads=n_threads_of(self.n_jobs),
            averages=averages,
            relative_tol=least_relative_gain(self) if validated else np.inf,
        )

    def _begin_task(self, given, X, y, training, rows, max_epochs):
        """The task of callbacks. Hooks get the rows that are learned, made when asked for."""
        # with the names of their columns
        seen = given if "feature_names_in_" in self.__dict__ else X
        some = rows.size < X.shape[0]
        weight = training.weight_or_none
        return begin_fit(
            self,
            max_epochs,
            X=cache(lambda: _safe_indexing(seen, rows)) if some else seen,
            y=cache(lambda: y[rows]) if some else y,
            metadata=None if weight is None else cache(lambda: {"sample_weight": weight[rows]}),
        )

    def _judge(self):
        """A function that lends a model to an estimator like this one, for scorers to ask."""
        judge = type(self).__new__(type(self))
        # without a copy of the model that there may be; and X is an array by now
        judge.__dict__.update(self.__dict__, _sparse_coef=False)
        for name in ("feature_names_in_", "_turn"):
            judge.__dict__.pop(name, None)

        def with_model(model):
            judge._adopt(model)
            return judge

        return with_model

    def _become(self, progress):
        """Be the model of this progress, which may go on training."""
        scores = progress.validation_scores
        # all at once, as in `_adopt`
        self.__dict__.update(
            _model=progress.model,
            _cache={},
            _sparse_coef=False,
            n_iter_=progress.n_iter,
            # copies, as the run goes on with its own
            loss_curve_=list(progress.loss_curve),
            validation_scores_=None if scores is None else list(scores),
            best_iteration_=progress.best_iteration,
            stopped_by_=progress.stopped_by,
        )
        self.__dict__.pop("_assigned", None)

    # -- prediction --

    def _is_ready(self, X, dtypes):
        # rows of a model that knows names have to have them, or get a warning
        return "feature_names_in_" not in self.__dict__ and is_ready(X, self.n_features_in_, dtypes)

    def _begin_with_assigned(self, classes=None):
        """Be a model of the coefficients that were assigned before `fit`, where all is known of it.

        So do programs that learn one model in many places, and share its coefficients.
        """
        model = self._model_of_assigned()
        if self._find_targets_of_assigned(classes):
            self.n_features_in_ = model.n_features
            self._sparse_coef = False
            self._adopt(model)

    def _beside(self, offset):
        """An estimator like this one whose raw predictions have these offsets, for scorers to ask.

        They pass none. It is the estimator itself where there are none.
        """
        if offset is None or not np.size(offset):
            return self
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _offset=offset)
        return other

    def _raw_predictions(self, X, *names, offset=None):
        """X @ coef_.T + intercept_ + offset, and attributes of the same model of these names.

        Returns
        -------
        raw_predictions : ndarray of shape (n_samples, n_outputs)
        *attributes
        """
        # What is read belongs to one model, of one moment; the product needs no lock.
        with self._lock:
            if self._assigned_before_fit("coef_") is not None:
                self._begin_with_assigned()
            if "_model" not in self.__dict__:
                check_is_fitted(self)  # raises
            ready = self._is_ready(X, PRECISIONS)
            if not (ready and is_in_order(X)):
                if not (ready and np.isfinite(X.data).all()):
                    X = validate_data(self, X, accept_sparse="csr", dtype=PRECISIONS, reset=False)
                    X = in_precision(X, PRECISIONS)
                if sp.issparse(X):
                    check_structure(X)
            product = self._model.product(X) if sp.issparse(X) else None
            coef = self._coef_of_outputs() if product is None else None
            intercept = self._intercept_of_outputs()
            attributes = [getattr(self, name) for name in names]
        if product is not None:
            products = product()
        else:
            coef = coef if coef.ndim == 2 else coef[np.newaxis]
            if sp.issparse(X) and not sp.issparse(coef):
                products = sparse_products(X, coef, self.n_jobs)
            else:
                products = safe_sparse_dot(X, coef.T, dense_output=True)
        raw_predictions = products + intercept
        if offset is None:
            offset = self.__dict__.get("_offset")
        if offset is not None:
            raw_predictions = raw_predictions + check_offset(offset, *raw_predictions.shape)
        return raw_predictions, *attributes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check_shape_of_before(model, training, takes_coefficients):
    """Refuse the weights of a call on rows or targets of another kind."""
    before = model.n_outputs, model.n_features
    now = training.n_outputs, training.n_features
    if before[0] != now[0] or (takes_coefficients and before != now):
        raise ValueError(
            "warm_start=True starts from the coefficients of the previous call. They have the "
            f"shape {before}, but this X and y need {now}. Set warm_start=False to start anew."
        )
