"""scikit-learn's callbacks, since its release 1.9. Only here it matters that they may be missing.

With older ones estimators have no `set_callbacks`, and so no callbacks. There is no
`with_callbacks` here, as scikit-learn's decorator of `fit` does that, too: it takes the callbacks
down whatever happens.
"""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:
        """There is nothing to support."""


def begin_fit(estimator, max_iter, **data):
    """The task of a fit, or None where there is nobody to tell of it.

    Parameters
    ----------
    estimator : AdaptiveSGD
    max_iter : int or None
        None: the number of epochs is not known.
    **data
        What hooks may ask for: X, y and metadata, or functions that return them.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    return FitTask(estimator, data, estimator._init_callback_context(max_subtasks=max_iter))


class FitTask:
    """What callbacks are told of: a fit, and its epochs as subtasks.

    The estimator is at any time the model that it has become so far, so that hooks may look
    at its attributes; and a copy of it is one that further training does not change.
    """

    def __init__(self, estimator, data, context):
        self._estimator, self._data = estimator, data
        self._fit, self._epoch = context, None
        self._fit.call_on_fit_task_begin(estimator=estimator, **data)

    def begin_epoch(self, progress):
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._tell(self._epoch.call_on_fit_task_begin, progress)

    def end_epoch(self, progress):
        """Whether a callback wants this to have been the last epoch."""
        return bool(self._tell(self._epoch.call_on_fit_task_end, progress))

    def end(self, progress):
        self._tell(self._fit.call_on_fit_task_end, progress)

    def _tell(self, call, progress):
        self._estimator._become(progress)
        # the copy needs nothing that the estimator does not have
        return call(estimator=self._estimator, **self._data, reconstruction_attributes={})


def begin_search(estimator, refits, **data):
    """The task of a search, or None where there is nobody to tell of it."""
    return SearchTask(estimator, refits, data) if hasattr(estimator, "_skl_callbacks") else None


class SearchTask:
    """What callbacks are told of: a search, whose epochs have no model, and a fit after it."""

    def __init__(self, estimator, refits, data):
        self._estimator, self._data = estimator, data
        self._whole = estimator._init_callback_context(max_subtasks=2 if refits else 1)
        self._call(self._whole.call_on_fit_task_begin)
        self._search = self._group = self._epoch = None

    def begin_search(self, n_groups):
        self._search = self._begin(self._whole, "search", n_groups)

    def begin_group(self, max_iter):
        self._group = self._begin(self._search, "candidates", max_iter)

    def begin_epoch(self):
        self._epoch = self._begin(self._group, "epoch", 0)

    def end_epoch(self):
        """Whether a callback wants this to have been the last epoch of its candidates."""
        return bool(self._call(self._epoch.call_on_fit_task_end))

    def end_group(self):
        self._call(self._group.call_on_fit_task_end)

    def end_search(self):
        self._call(self._search.call_on_fit_task_end)

    @contextmanager
    def refit(self, best_estimator):
        """The task of learning all rows, whose epochs callbacks are told of that propagate."""
        context = self._whole.subcontext(task_name="refit")
        with context.propagate_callback_context(best_estimator):
            self._call(context.call_on_fit_task_begin)
            yield
        self._call(context.call_on_fit_task_end)

    def end(self):
        self._call(self._whole.call_on_fit_task_end)

    def _begin(self, parent, name, max_subtasks):
        context = parent.subcontext(task_name=name, max_subtasks=max_subtasks)
        self._call(context.call_on_fit_task_begin)
        return context

    def _call(self, call):
        return call(estimator=self._estimator, **self._data)
