"""Times of fits, in turns and as processor time, which a busy machine disturbs least.

All models compared train on one core, so that on a machine at rest it is the time that passes.
"""

import time

import numpy as np

FEW, MORE = 1, 5


def seconds_of_fit(model, X, y, epochs):
    model.set_params(max_iter=epochs)
    begin = time.process_time()
    model.fit(X, y)
    return time.process_time() - begin


def seconds_of_pass(model, X, y):
    begin = time.process_time()
    model.partial_fit(X, y, classes=np.unique(y))
    return time.process_time() - begin


def pass_times(models, X, y, rounds):
    """Of each model the seconds of a pass over rows it has seen: minima of the rounds.

    The model is there already, so that allocating it, which takes long with many features, does
    not count.

    Returns
    -------
    dict of name -> seconds
    """
    for model in models.values():
        seconds_of_pass(model, X, y)
    taken = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            taken[name].append(seconds_of_pass(model, X, y))
    return {name: min(seconds) for name, seconds in taken.items()}


def times(models, X, y, rounds):
    """Of each model the seconds of an epoch and of a fit of MORE epochs: minima of the rounds.

    An epoch is the difference of fits of MORE and of FEW epochs, by the epochs between, so
    that what a call costs once does not count.

    Parameters
    ----------
    models : dict of name -> estimator with tol=None
    X, y : training rows
    rounds : int

    Returns
    -------
    dict of name -> (seconds of an epoch, seconds of the fit)
    """
    taken = {name: ([], []) for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            for epochs, seconds in zip((FEW, MORE), taken[name], strict=True):
                seconds.append(seconds_of_fit(model, X, y, epochs))
    return {
        name: ((min(more) - min(few)) / (MORE - FEW), min(more))
        for name, (few, more) in taken.items()
    }
