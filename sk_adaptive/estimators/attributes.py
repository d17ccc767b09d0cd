"""What an estimator shows of its model: coefficients, moments, rates; and how it is saved."""

from types import MappingProxyType

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..model.hyperparameters import Scales, hyperparameters_of
from ..model.mixture import Mixture
from ..model.model import Model
from ..model.readout import effective_learning_rates, textbook_moments
from ..model.saved import of_dict, to_dict
from ..model.served import ServedModel, served_model
from .locking import turn_of


class ModelAttributes(BaseEstimator):
    """The attributes that tell of `_model`.

    Beside `_model` there is `_cache`, which is never saved: the coefficients read out last, and
    the parameters that the last call has checked. Threads take turns by `_lock`: whoever reads or
    changes the model or the cache holds it.
    """

    # of classes that appear later the output of each
    _places = None

    @property
    def _lock(self):
        return turn_of(self)

    def _adopt(self, model):
        # both at once, as Ctrl-C can come between two statements
        self.__dict__.update(_model=model, _cache={})
        self.__dict__.pop("_assigned", None)

    def _assigned_before_fit(self, name):
        """What somebody has assigned to this attribute before there is a model; or None."""
        if "_model" in self.__dict__:
            return None
        return self.__dict__.get("_assigned", {}).get(name)

    def _assign_before_fit(self, name, value):
        try:
            value = value.toarray() if sp.issparse(value) else np.array(value, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"Provided {name} is not an array of numbers.") from None
        self._assigned = {**self.__dict__.get("_assigned", {}), name: value}

    def _model_of_assigned(self):
        """A model before the first step, of the coefficients and intercepts assigned before `fit`.

        Rows are still to tell what is automatic.
        """
        coef = np.atleast_2d(self._assigned_before_fit("coef_"))
        intercept = self._assigned_before_fit("intercept_")
        n_outputs, n_features = coef.shape
        if intercept is not None:
            intercept = initial_values(intercept, (n_outputs,), np.float64, "intercept_")
        coef = initial_values(coef, coef.shape, np.float64, "coef_")
        eta0 = 0.0 if isinstance(self.eta0, str) else self.eta0
        hyperparameters = hyperparameters_of(self, Scales(), eta0)
        return Model(hyperparameters, n_features, n_outputs, coef.dtype, coef, intercept)

    def _model_for(self, name):
        """The model; AttributeError, for the attribute of this name, before there is one."""
        if "_model" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._model

    def _learner_for(self, name):
        """The model with what the optimizer remembers; AttributeError without."""
        model = self._model_for(name)
        if isinstance(model, ServedModel):
            raise AttributeError(f"strip_optimizer() has left this model without {name!r}")
        return model

    @property
    def coef_(self):
        with self._lock:
            if (assigned := self._assigned_before_fit("coef_")) is not None:
                return assigned
            model = self._model_for("coef_")
            if "coef" not in self._cache:
                if self._sparse_coef:
                    coef = as_configured(self._of_classes(model.sparse_coefficients()))
                else:
                    coef = self._targets.as_shown(model.coefficients(n_jobs=self.n_jobs))
                self._cache["coef"] = _read_only(coef)
            return self._cache["coef"]

    def _of_classes(self, of_outputs):
        """The rows of an array or matrix that are shown, of one for each output."""
        return of_outputs if self._places is None else of_outputs[self._places]

    def _n_shown(self, model):
        """How many outputs of a model are shown."""
        return model.n_outputs if self._places is None else self._places.size

    def _coef_of_outputs(self):
        """The coefficients of all outputs, also of those that no class has taken yet."""
        return self.coef_ if self._places is None else self._model.coefficients()

    def _intercept_of_outputs(self):
        if self._places is None:
            return self.intercept_
        return self._model.intercepts().astype(self._model.dtype)

    @coef_.setter
    def coef_(self, value):
        with self._lock:
            if "_model" not in self.__dict__:
                self._assign_before_fit("coef_", value)
                return
            model = self._model_for("coef_")
            shape = self._n_shown(model), model.n_features
            value = initial_values(value, shape, model.dtype, "coef_")
            self._adopt(model.with_coefficients(self._beside_others(value, model.coefficients)))

    def _beside_others(self, values, of_all):
        """Values of classes, beside what outputs have that no class has taken yet."""
        if self._places is None:
            return values
        all_values = of_all()
        all_values[self._places] = values
        return all_values

    @property
    def intercept_(self):
        with self._lock:
            if (assigned := self._assigned_before_fit("intercept_")) is not None:
                return assigned
            model = self._model_for("intercept_")
            intercept = model.intercepts().astype(model.dtype)
            return _read_only(self._of_classes(intercept))

    @intercept_.setter
    def intercept_(self, value):
        with self._lock:
            if "_model" not in self.__dict__:
                self._assign_before_fit("intercept_", value)
                return
            model = self._model_for("intercept_")
            value = initial_values(value, (self._n_shown(model),), np.float64, "intercept_")
            self._adopt(model.with_intercepts(self._beside_others(value, model.intercepts)))

    @property
    def t_(self):
        with self._lock:
            return self._model_for("t_").t + 1

    @property
    def eta0_(self):
        with self._lock:
            return self._model_for("eta0_").learning_rate

    @property
    def mixture_weights_(self):
        with self._lock:
            return _read_only(self._mixture_for("mixture_weights_").weights.copy())

    @property
    def mixture_rates_(self):
        with self._lock:
            return _read_only(self._mixture_for("mixture_rates_").rates)

    @property
    def mixture_memories_(self):
        with self._lock:
            mixture = self._mixture_for("mixture_memories_")
            if "rho" not in mixture.hyperparameters.parameters:
                raise AttributeError(f"The optimizer {self.optimizer!r} has no rho.")
            return _read_only(mixture.memories)

    @property
    def mixture_eps_(self):
        with self._lock:
            return _read_only(self._mixture_for("mixture_eps_").eps.copy())

    def _mixture_for(self, name):
        """The model; AttributeError if it is not several side by side."""
        model = self._model_for(name)
        if not isinstance(model, Mixture):
            raise AttributeError(
                f"{type(self).__name__!r} object has {name!r} after partial_fit with "
                "eta0='search', or 'auto' that has not settled: it is a single model."
            )
        return model

    @property
    def optimizer_state_(self):
        with self._lock:
            moments = textbook_moments(self._learner_for("optimizer_state_"))
        return MappingProxyType(
            {name: _read_only(self._targets.as_shown(values)) for name, values in moments.items()}
        )

    @property
    def effective_learning_rate_(self):
        with self._lock:
            model = self._learner_for("effective_learning_rate_")
            return _read_only(self._targets.as_shown(effective_learning_rates(model)))

    @property
    def eps_(self):
        with self._lock:
            eps = self._model_for("eps_").hyperparameters.eps
            return _read_only(np.array(eps)) if isinstance(eps, tuple) else eps

    @property
    def progressive_loss_(self):
        with self._lock:
            loss_sum, weight_sum = self._model_for("progressive_loss_").progressive_loss[:2]
            return float(loss_sum / weight_sum) if weight_sum > 0 else np.nan

    def reset_progressive_loss(self):
        """Start ``progressive_loss_`` anew, with the rows that `partial_fit` learns from now on.

        Returns
        -------
        self : object
        """
        with self._lock:
            check_is_fitted(self)
            self._model.progressive_loss = np.zeros(5)
        return self

    def __sklearn_is_fitted__(self):
        return "_model" in self.__dict__

    def __getstate__(self):
        with self._lock:
            attributes = {
                name: value
                for name, value in super().__getstate__().items()
                if name not in ("_turn", "_cache")
            }
            if "_model" in attributes:
                # A copy, as another thread may learn while this one writes it to disk.
                attributes["_model"] = to_dict(self._model.copy())
            return attributes

    def __setstate__(self, attributes):
        if "_model" in attributes:
            model = of_dict(attributes["_model"], attributes.get("n_features_in_"))
            attributes = {**attributes, "_model": model, "_cache": {}}
        super().__setstate__(attributes)

    def sparsify(self):
        """Make ``coef_`` a CSR matrix, which is smaller where most coefficients are zero.

        Training can go on, and ``coef_`` stays sparse. The model itself, and what is saved of it,
        is as large as before: see `strip_optimizer`.

        Returns
        -------
        self : object
        """
        return self._set_sparse_coef(True)

    def densify(self):
        """Make ``coef_`` an array again, as it was before `sparsify`.

        Returns
        -------
        self : object
        """
        return self._set_sparse_coef(False)

    def strip_optimizer(self):
        """Leave what predictions need: the coefficients that are not zero, and the intercepts.

        The model predicts the same, is small, and is saved as such. It has no memory of the
        optimizer any more, so it can't learn on: `partial_fit` raises a `ValueError`, and there is
        no `optimizer_state_` and no `effective_learning_rate_`. `fit` trains anew, with
        ``warm_start=True`` from these coefficients. With `average` the averages are what is
        left. ``coef_`` becomes a CSR matrix, as by `sparsify`. There is no way back, so copy or
        save the model first if it is to learn on.

        Returns
        -------
        self : object

        Examples
        --------
        >>> import pickle
        >>> import scipy.sparse as sp
        >>> from sk_adaptive import AdaptiveSGDClassifier
        >>> X = sp.random(1000, 2**16, density=1e-3, format="csr", rng=0)
        >>> y = X[:, :2**15].sum(axis=1).A1 > X[:, 2**15:].sum(axis=1).A1
        >>> model = AdaptiveSGDClassifier(optimizer="ftrl", penalty="l1", alpha=1e-3).fit(X, y)
        >>> size, predictions = len(pickle.dumps(model)), model.predict(X)
        >>> model.strip_optimizer()  # doctest: +ELLIPSIS
        AdaptiveSGDClassifier(...)
        >>> len(pickle.dumps(model)) < size / 10, (model.predict(X) == predictions).all()
        (True, True)
        """
        with self._lock:
            check_is_fitted(self)
            model = self._model
            if not isinstance(model, ServedModel):
                model = served_model(model)
            # all at once, as in `_adopt`
            self.__dict__.update(_model=model, _cache={}, _sparse_coef=True)
        return self

    def _set_sparse_coef(self, value):
        with self._lock:
            check_is_fitted(self)
            self._sparse_coef = value
            self._cache.pop("coef", None)
        return self


def as_configured(matrix):
    """A CSR matrix, as a sparse array if scikit-learn's setting ``sparse_interface`` says so."""
    # since scikit-learn 1.9
    wants_array = get_config().get("sparse_interface") == "sparray"
    return sp.csr_array(matrix) if wants_array else matrix


def _read_only(values):
    """An array or CSR matrix that is a copy: to write to it would change nothing, and raises."""
    parts = (values.data, values.indices, values.indptr) if sp.issparse(values) else (values,)
    for part in parts:
        part.flags.writeable = False
    return values


def initial_values(value, shape, dtype, name):
    """A user's coefficients or intercepts in the state's shape."""
    try:
        value = value.toarray() if sp.issparse(value) else value
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
