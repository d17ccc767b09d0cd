"""What an estimator shows of its state: coefficients, moments, rates; and how it is saved."""

from types import MappingProxyType

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from . import _state
from ._locking import lock_of
from ._serving import csr_of

# Optimizers that a thread was within when the process was forked. To free one might free a buffer
# that the thread was about to replace.
_abandoned = []


class StateAttributes(BaseEstimator):
    """The attributes that `_state` holds.

    Beside `_state` there is `_cache`, which is never saved: the kernel's optimizer on the state,
    the mixture, the coefficients read out last, and the parameters that the last call has checked.
    Threads take turns by `_lock`: whoever reads or changes the state or the cache holds it.
    """

    def _public_coef(self, coef):
        """coef_ from an array of shape (n_outputs, n_features)."""
        return coef

    @property
    def _lock(self):
        return lock_of(self)

    def _adopt(self, state):
        # both at once, as Ctrl-C can come between two statements
        self.__dict__.update(_state=state, _cache={})

    def _current_state(self, name):
        """The state; AttributeError, for the attribute of this name, before there is one."""
        if "_state" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._state

    def _whole_state(self, name):
        """The state with what the optimizer remembers; AttributeError without."""
        state = self._current_state(name)
        if not _state.can_learn(state):
            raise AttributeError(f"strip_optimizer() has left this model without {name!r}")
        return state

    def _optimizer(self):
        """The kernel's optimizer on the state, kept as its tables take longer than a row."""
        optimizer = self._cache.get("optimizer")
        if optimizer is None:
            optimizer = self._cache["optimizer"] = _state.make_optimizer(self._state)
        return optimizer

    def _end_step(self):
        """Make a whole model of one that a fork has copied in the midst of a step."""
        if "_state" in self.__dict__:
            state = self._current_state("_state")
            if "optimizer" in self._cache:
                _abandoned.append(self._cache["optimizer"])
            self._adopt(state)
            if _state.can_learn(state):
                _state.end_step(state)

    @property
    def coef_(self):
        with self._lock:
            state = self._current_state("coef_")
            if "coef" not in self._cache:
                if self._sparse_coef and not _state.can_learn(state):
                    coef = csr_of(state)
                else:
                    coef = _state.coefficients(
                        state, optimizer=self._optimizer(), n_jobs=self.n_jobs
                    )
                    coef = self._public_coef(coef)
                    coef = sp.csr_matrix(coef) if self._sparse_coef else coef
                self._cache["coef"] = _read_only(coef)
            return self._cache["coef"]

    @coef_.setter
    def coef_(self, value):
        with self._lock:
            state = self._current_state("coef_")
            shape = (_state.n_outputs_of(state), _state.n_features(state))
            coef = initial_values(value, shape, _state.precision(state), "coef_")
            self._adopt(_state.with_coefficients(state, coef))

    @property
    def intercept_(self):
        with self._lock:
            state = self._current_state("intercept_")
            return _read_only(_state.intercepts(state).astype(_state.precision(state)))

    @intercept_.setter
    def intercept_(self, value):
        with self._lock:
            state = self._current_state("intercept_")
            shape = (_state.n_outputs_of(state),)
            value = initial_values(value, shape, np.float64, "intercept_")
            self._adopt(_state.with_intercepts(state, value))

    @property
    def t_(self):
        with self._lock:
            return int(self._current_state("t_")["clock"]["t"]) + 1

    @property
    def eta0_(self):
        with self._lock:
            return _state.learning_rate(self._current_state("eta0_"))

    @property
    def mixture_weights_(self):
        return self._of_mixture("mixture_weights_")[1]

    @property
    def mixture_rates_(self):
        return self._of_mixture("mixture_rates_")[0]

    def _of_mixture(self, name):
        """The learning rates of the models side by side, and their weights: copies."""
        with self._lock:
            state = self._current_state(name)
            if "mixture" not in state:
                raise AttributeError(
                    f"{type(self).__name__!r} object has {name!r} after partial_fit with "
                    "eta0='search' only: it is a single model."
                )
            rates, weights = _state.rates_of_mixture(state), state["mixture"][1].copy()
            return _read_only(rates), _read_only(weights)

    @property
    def optimizer_state_(self):
        with self._lock:
            moments = _state.textbook_state(self._whole_state("optimizer_state_"))
        return MappingProxyType(
            {name: _read_only(self._public_coef(values)) for name, values in moments.items()}
        )

    @property
    def effective_learning_rate_(self):
        with self._lock:
            state = self._whole_state("effective_learning_rate_")
            return _read_only(self._public_coef(_state.effective_learning_rates(state)))

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
        """Start ``progressive_loss_`` anew, with the rows that `partial_fit` learns from now on.

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
            state = _state.with_numbers_of_its_own(attributes["_state"])
            attributes = {**attributes, "_state": state, "_cache": {}}
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
            state = self._current_state("_state")
            if _state.can_learn(state):
                state = _state.stripped(state)
            # all at once, as in `_adopt`
            self.__dict__.update(_state=state, _cache={}, _sparse_coef=True)
        return self

    def _set_sparse_coef(self, value):
        with self._lock:
            check_is_fitted(self)
            self._sparse_coef = value
            self._cache.pop("coef", None)
        return self


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
