"""scikit-learn's callbacks, since its release 1.9. Only here it matters that they may be missing.

With older ones estimators have no `set_callbacks`, and so no callbacks. There is no
`with_callbacks` here, as scikit-learn's decorator of `fit` does that, too: it takes the callbacks
down whatever happens.
"""

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


def begin_search(estimator, refits, max_iter, **data):
    """The same for a search and, where it `refits`, the fit of all rows after it."""
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    return SearchTask(estimator, refits, max_iter, data)


class SearchTask:
    """What callbacks are told of: a search, whose epochs have no model, and a fit after it."""

    def __init__(self, estimator, refits, max_iter, data):
        self._estimator, self._data = estimator, data
        self._whole = estimator._init_callback_context(max_subtasks=1 + refits)
        self._call(self._whole.call_on_fit_task_begin)
        self._search = self._whole.subcontext(task_name="search", max_subtasks=max_iter)
        self._call(self._search.call_on_fit_task_begin)
        self._epoch = None

    def begin_epoch(self):
        self._epoch = self._search.subcontext(task_name="epoch")
        self._call(self._epoch.call_on_fit_task_begin)

    def end_epoch(self):
        """Whether a callback wants this to have been the last epoch."""
        return bool(self._call(self._epoch.call_on_fit_task_end))

    def end_search(self):
        self._call(self._search.call_on_fit_task_end)

    def begin_refit(self, max_iter):
        """The task of the fit, as `begin_fit` returns it."""
        context = self._whole.subcontext(task_name="refit", max_subtasks=max_iter)
        return FitTask(self._estimator, self._data, context)

    def end(self):
        self._call(self._whole.call_on_fit_task_end)

    def _call(self, call):
        return call(estimator=self._estimator, **self._data)
