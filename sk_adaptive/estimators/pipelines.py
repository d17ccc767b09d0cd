"""Pipelines that end in an estimator of ours: what its transformers make of rows, once."""

import time
from contextlib import suppress

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline


def last_step_of(estimator):
    """The last step of a pipeline, also of one within, and its name as a parameter.

    Returns
    -------
    name : str
        Empty if the estimator is no pipeline.
    last : estimator
    """
    if not (isinstance(estimator, Pipeline) and estimator.steps):
        return "", estimator
    name, last = estimator.steps[-1]
    within, last = last_step_of(last)
    return f"{name}__{within}" if within else name, last


def with_last_step(pipeline, last):
    """A pipeline of the same, fitted, transformers and another last step."""
    if not isinstance(pipeline, Pipeline):
        return last
    copy = object.__new__(type(pipeline))
    copy.__dict__.update(pipeline.__dict__)
    name, within = pipeline.steps[-1]
    copy.steps = [*pipeline.steps[:-1], (name, with_last_step(within, last))]
    return copy


class Recorder(BaseEstimator):
    """A last step that learns nothing: it keeps what it is given.

    Parameters
    ----------
    estimator : estimator
        In whose place it is.

    Attributes
    ----------
    given_ : tuple
        X, y and the other arguments of `fit`.
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y=None, **fit_params):
        self.given_ = X, y, fit_params
        return self

    def predict(self, X):
        return X

    def get_metadata_routing(self):
        return self.estimator.get_metadata_routing()


class Remembering:
    """The transform of a fitted transformer, which remembers what it has made of some rows.

    Parameters
    ----------
    transform : callable
    known : list
        The rows, the very objects, whose transforms are remembered. These transforms are added, as
        the next transformer is to know them.
    """

    def __init__(self, transform, known):
        self._transform, self._known, self._results = transform, known, []

    def __call__(self, X, **params):
        for rows, result in self._results:
            if rows is X:
                return result
        result = self._transform(X, **params)
        if any(rows is X for rows in self._known):
            self._results.append((X, result))
            self._known.append(result)
        return result


def _remember(pipeline, known):
    """Let all transformers remember what they make of these rows."""
    for _, step in pipeline.steps[:-1]:
        # a step may be None or a string, or have no room for more attributes
        with suppress(AttributeError):
            step.transform = Remembering(step.transform, known)
    if isinstance(pipeline.steps[-1][1], Pipeline):
        _remember(pipeline.steps[-1][1], known)


class Transformed:
    """What the transformers of a pipeline make of rows to learn and of others.

    Parameters
    ----------
    pipeline : Pipeline
        Not fitted. Its transformers will be.
    X, y : rows to learn
    fit_params : dict
        Of the pipeline's `fit`.
    others : list of rows
        To be transformed only.

    Attributes
    ----------
    pipeline : Pipeline
        With a `Recorder` in the end. Its transformers remember these others.
    X, y, fit_params
        What the last step is to learn.
    rows : list
        The others as they were.
    others : list
        The others, transformed.
    fit_time, transform_time : float
        Seconds.
    """

    def __init__(self, pipeline, X, y, fit_params, others):
        begin = time.perf_counter()
        name, last = last_step_of(pipeline)
        pipeline.set_params(**{name: Recorder(last)})
        self.pipeline = pipeline.fit(X, y, **fit_params)
        self.fit_time = time.perf_counter() - begin
        self.X, self.y, self.fit_params = last_step_of(pipeline)[1].given_
        # The very objects that are remembered, also after another process has pickled them.
        self.rows = others
        _remember(pipeline, list(others))
        self.others = [pipeline.predict(rows) for rows in others]
        self.transform_time = time.perf_counter() - begin - self.fit_time
