"""Learning a stream: what `partial_fit` of both estimators does."""

from dataclasses import replace
from functools import cache
from itertools import chain
from operator import attrgetter, is_

import numpy as np
from sklearn import get_config
from sklearn.utils import check_random_state

from .._threads import Threads, n_threads_of
from ..data.check import ROWS_OF_RATE
from ..data.columns import NO_COLUMNS, columns_of, standardised
from ..model.hyperparameters import divides_by_largest, hyperparameters_of, multiple_of
from ..model.mixture import ROWS_OF_SEARCH, Mixture, as_it_goes_on, kind_of_model
from ..model.served import ServedModel
from ..training.epochs import OVERFLOW_ADVICE
from ..training.parts import ModelInParts, can_share, is_enough
from ..training.sampling import LARGEST_SEED, sampling_of
from ..training.start import (
    check_decay,
    standardises,
    start_of,
    takes_from_rows,
    warn_of_other_scales,
)
from ..training.steps import Learned, TrainingFailure, learn_all
from .locking import parameter_names, unchanged_if_it_fails

# Of more outputs, or more weights, "auto" compares no rates: the records of eight models would take
# too much memory, 32 bytes for each weight and model with AdaGrad, 64 with Adam.
MOST_OUTPUTS = 256
MOST_WEIGHTS = 1 << 25

PRECISIONS = [np.float64, np.float32]


@cache
def _parameters_getter(estimator_class):
    return attrgetter(*parameter_names(estimator_class))


class LearnsStreams:
    """What an estimator needs to learn rows once, in their order."""

    def _partial_fit(self, X, y, sample_weight, classes=None, offset=None):
        """The whole of partial_fit."""
        with self._lock:
            with unchanged_if_it_fails(self):
                stopped = self._learn(*self._prepare(X, y, sample_weight, classes, offset))
            try:
                if stopped is not None:
                    raise stopped
            finally:
                # Its traceback refers to this frame, and so to the rows: a cycle.
                del stopped
        return self

    def _prepare(self, X, y, sample_weight, classes, offset=None):
        """Make the model what the parameters of now ask for; return what to learn, and the rows."""
        if self._assigned_before_fit("coef_") is not None:
            self._begin_with_assigned(classes)
        first_call = "_model" not in self.__dict__
        if not first_call and isinstance(self._model, ServedModel):
            raise ValueError(
                f"This {type(self).__name__} can't learn on: strip_optimizer() has left it without "
                "what the optimizer remembers. Go on with a copy from before, or train anew by fit."
            )
        # The same objects are the same values: they are immutable, or, as class_weight, looked
        # into at each call.
        parameters = _parameters_getter(type(self))(self)
        checked = None if first_call else self._cache.get("parameters")
        unchanged = checked is not None and all(map(is_, parameters, checked))
        if not unchanged:
            if not get_config()["skip_parameter_validation"]:
                self._validate_params()
            self._check_parameters(for_fit=False)
        if self._places is not None or (first_call and classes is not None):
            y = self._named_labels(y, classes, first_call)
        if first_call:
            X, y = self._validate(X, y, PRECISIONS, reset=True)
            y = self._find_targets(y, classes, complete=False)
            targets = self._targets
        else:
            targets = self._targets
            X, y = self._validate_again(X, y, targets)
            if self._places is not None or classes is not None:
                self._find_new_classes(targets, y, classes)
                targets = self._targets
            if classes is not None:
                targets.check_classes(classes)
        if offset is not None:
            targets.check_offset()
        training = self._training_data(targets, X, y, sample_weight, offset=offset)
        rows = training.rows_with_weight()
        if not first_call:
            self._check_outputs(training)
        if not unchanged:
            compares = self._compares_rates(training)
            model = (self._first_model if first_call else self._next_model)(
                training, rows, compares
            )
            if model is not self.__dict__.get("_model"):
                self._adopt(model)
            if isinstance(model, Mixture):
                # the loss may be another
                model.weigh_by(training)
            # Until rows have taught something, each call looks again.
            if self._is_settled(model.hyperparameters):
                self._cache["parameters"] = parameters
        training = standardised(training, self._model.columns)
        training = training.in_shares(self._model.hyperparameters.scales.shares)
        if not first_call and self._model.t < ROWS_OF_RATE:
            warn_of_other_scales(self, training, rows, self._model.hyperparameters.scales)
        return training, rows

    def _named_labels(self, y, classes, first_call):
        """y with its columns in the order of the labels, where these have names."""
        return y

    def _find_new_classes(self, targets, y, classes):
        """Let `_targets`, and outputs of the model, be of what this y of a later call has, too."""

    def _compares_rates(self, training):
        """Whether rates are to be compared; a search is refused where losses can't tell them."""
        compares = training.target_type.compares_models(training)
        if self.eta0 == "search" and not compares:
            raise ValueError(
                "eta0='search' compares the losses of rates in partial_fit, and "
                f"loss={self.loss!r} is 0 for a model that predicts 0: set eta0 to 'auto' or "
                "a number."
            )
        n_outputs = training.n_outputs
        fits = n_outputs <= MOST_OUTPUTS and n_outputs * training.n_features <= MOST_WEIGHTS
        return compares and (self.eta0 == "search" or fits)

    def _is_settled(self, hyperparameters):
        """Whether rows have told what they are to tell."""
        return hyperparameters.scales.gradient > 0 or not takes_from_rows(self)

    def _check_outputs(self, training):
        n_outputs = self._model.n_outputs
        if training.n_outputs != n_outputs:
            raise ValueError(
                f"y has {training.n_outputs} output(s), but the model has {n_outputs}."
            )

    def _first_model(self, training, rows, compares):
        """The model before anything is learned."""
        columns = columns_of(training, rows) if standardises(self) else NO_COLUMNS
        start = self._start_partial_fit(standardised(training, columns), rows)
        self._sparse_coef = False
        kind = kind_of_model(start.hyperparameters, compares)
        shape = training.n_features, training.n_outputs
        model = kind(start.hyperparameters, *shape, training.data.dtype, columns=columns)
        return _with_intercept_of(start, model)

    def _next_model(self, training, rows, compares):
        """The model as it goes on after a change of parameters."""
        model = self._model
        before = model.hyperparameters
        ends_search = isinstance(model, Mixture) and before.rate_is == "auto"
        ends_search = ends_search and not (compares and self.eta0 in ("auto", "search"))
        if ends_search and model.is_alike(hyperparameters_of(self, before.scales, before.eta0)):
            model = model.settled()
            before = model.hyperparameters
        # A rate that rows or "adaptive" have settled stays; a new number replaces it.
        settled = isinstance(self.eta0, str) or self.learning_rate == "adaptive"
        multiple = multiple_of(self.eta0) or before.multiple
        eta0 = before.eta0 * (multiple / before.multiple) if settled else float(self.eta0)
        hyperparameters = hyperparameters_of(self, before.scales, eta0)
        if self._is_settled(hyperparameters) and model.is_same_kind(hyperparameters):
            check_decay(self, hyperparameters)
            return model.successor(hyperparameters)
        columns = model.columns
        if not model.t:
            columns = columns_of(training, rows) if standardises(self) else NO_COLUMNS
        start = self._start_partial_fit(standardised(training, columns), rows, model.scale)
        model = as_it_goes_on(model, start.hyperparameters, compares, columns)
        return _with_intercept_of(start, model)

    def _start_partial_fit(self, training, rows, scale=None):
        """The start on rows that are not normalised yet, after those that had this scale."""
        if divides_by_largest(self):
            n_features, dtype = training.n_features, training.data.dtype
            scale = np.zeros(n_features, dtype) if scale is None else scale.copy()
            training = training.normalised(rows, scale)
        if takes_from_rows(self):
            training = training.in_shares(training.target_type.shares(training, rows))
        return start_of(self, training, rows, one_pass=True)

    def _validate_again(self, X, y, targets):
        """X and y, checked, of a call that is not the first."""
        dtype = self._model.dtype
        if self._is_ready(X, [dtype]):
            ready = targets.ready(y, X.shape[0])
            if ready is not None:
                return X, ready
        X, y = self._validate(X, y, [dtype], reset=False)
        return X, targets.check(y)

    def _learn(self, training, rows):
        """Train the model on rows of a partial_fit.

        Returns what ended that early, if steps had been done by then: they stay done. The
        kernel has done them on the arrays of the model, whatever happens next.
        """
        model = self._model
        self._cache.pop("coef", None)
        self.n_iter_ = 1
        begin, stopped, given = model.t, None, rows
        if getattr(self, "majority_sampling", None) is not None:
            training, rows = self._sampled(training, rows)
        scale, scale_before, raw = model.scale, None, training
        try:
            if scale is not None:
                model.own_arrays()
                scale = model.scale
                scale_before = scale[raw.indices]
                training = raw.normalised(rows, scale)
            self._learn_watching(training, rows, raw)
        except TrainingFailure as failure:
            stopped = ValueError(
                f"Floating-point under-/overflow occurred at row {failure.row}. The rows before it "
                f"have been learned, it has not. {OVERFLOW_ADVICE}"
            )
        except BaseException as exception:
            stopped = exception
        try:
            if stopped is not None and scale_before is not None:
                # rows that were not learned leave no trace
                scale[raw.indices] = scale_before
                raw.normalised(rows[: (self._model.t - begin) * raw.batch_size], scale)
            if stopped is not None and self._model.t == begin:
                raise stopped
            if self._drawn is not None:
                self._count_drawn(given, rows[(self._model.t - begin) * raw.batch_size :])
            return stopped
        finally:
            del stopped  # as its traceback refers to this frame

    # of rows that are sampled: the frequent target, the seed, and how many rows have been given
    _drawn = None

    def _sampled(self, training, rows):
        """The rows to learn of these, and their weights: see `Sampling`."""
        seed = None if self._drawn is None else self._drawn[1]
        if seed is None:
            seed = check_random_state(self.random_state).randint(LARGEST_SEED)
        sampling = sampling_of(self, training, rows, seed)
        if self._drawn is None:
            self._drawn = sampling.frequent, seed, 0
        sampling = replace(sampling, frequent=self._drawn[0])
        numbers = self._drawn[2] + np.arange(rows.size)
        return sampling.weighted(training), sampling.of(rows, training, 0, numbers)

    def _count_drawn(self, given, left):
        """Go on drawing behind those of the rows given that are before those left."""
        n_done = int(np.searchsorted(given, left[0])) if left.size else given.size
        self._drawn = (*self._drawn[:2], self._drawn[2] + n_done)

    def _learn_watching(self, training, rows, raw):
        """Learn these rows, and see to it that a search for the rate ends when it should.

        `raw` are the rows before `normalize` has divided them by what is known by now.
        """
        model, batch_size = self._model, training.batch_size
        if not isinstance(model, Mixture):
            self._learn_on(training, rows)
            return
        settles, last = model.hyperparameters.rate_is == "auto", rows.size
        if settles:
            steps = -(-ROWS_OF_SEARCH // batch_size) - model.t
            last = min(last, max(0, steps) * batch_size)
        keys, done, before = raw.keys(rows[:last]), 0, None
        for position, act in chain(model.watch(keys, batch_size), [(last, None)]):
            begin = model.t
            try:
                self._learn_on(training, rows[done:position])
            except BaseException:
                # rows that were not learned leave no trace
                if before is not None and model.t == begin:
                    model.take_back(before)
                model.memory.forget(done + (model.t - begin) * batch_size)
                raise
            done = position
            if act is not None:
                before = model.what_acts_change()
                act()
            if settles and model.pause[0]:
                break
        if settles and (model.pause[0] or model.t * batch_size >= ROWS_OF_SEARCH):
            self._model = model.settled()
            self._learn_on(training, rows[done:])

    def _learn_on(self, training, rows):
        if rows.size and not self._learn_shared(training, rows):
            learn_all(self._model, training, rows, self._model.progressive_loss)

    def _learn_shared(self, training, rows):
        """Let threads learn rows of a partial_fit; False, and nothing done, if they can't."""
        model = self._model
        # known sooner than the number of threads, in a call that learns one row
        if not is_enough(training, rows.size, model.n_models):
            return False
        if isinstance(model, Mixture) and not model.complete:
            # models that are out learn no more
            return False
        with Threads(n_threads_of(self.n_jobs)) as threads:
            if not can_share(training, rows.size, threads, model.n_models):
                return False
            features, learned = training.features(), Learned()
            parts = ModelInParts(model, training, rows.size, features, threads, False)
            try:
                parts.learn(rows, learned)
            except TrainingFailure:
                # Each part has stopped elsewhere. Those that were to be learned are again.
                return False

            def become():
                parts.whole_by_this_thread()
                learned.add_to(model.progressive_loss, rows, training)

            # in a thread that Ctrl-C does not end in the middle of it
            threads.run_one(become)
        return True


def _with_intercept_of(start, model):
    if start.intercept is not None and not model.intercept.any():
        model.set_intercepts(start.intercept)
    return model
