"""Times of fits, in turns and as processor time, which a busy machine disturbs least.

All models compared train on one core, so that on a machine at rest it is the time that passes.
"""

import time
from functools import partial

import numpy as np

FEW, MORE = 1, 5


def seconds_of_fit(model, X, y, epochs, clock=time.process_time):
    model.set_params(max_iter=epochs)
    begin = clock()
    model.fit(X, y)
    return clock() - begin


def seconds_of_pass(model, X, y):
    begin = time.process_time()
    model.partial_fit(X, y, classes=np.unique(y))
    return time.process_time() - begin


def in_turns(measures, rounds):
    """What the measures return, each called once a round.

    Parameters
    ----------
    measures : dict of name -> callable
    rounds : int

    Returns
    -------
    dict of name -> list
    """
    taken = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            taken[name].append(measure())
    return taken


def medians(taken):
    """Of what `in_turns` returns, the medians of the rounds."""
    return {name: np.median(values, axis=0) for name, values in taken.items()}


def pass_times(models, X, y, rounds):
    """Of each model the seconds of a pass over rows it has seen: medians of the rounds.

    The model is there already, so that allocating it, which takes long with many features, does
    not count.

    Returns
    -------
    dict of name -> seconds
    """
    passes = {name: partial(seconds_of_pass, model, X, y) for name, model in models.items()}
    in_turns(passes, 1)
    return medians(in_turns(passes, rounds))


def epoch_and_fit(fit):
    """The seconds of an epoch and of a fit of MORE epochs.

    An epoch is the difference of fits of MORE and of FEW epochs, by the epochs between, so
    that what a call costs once does not count.

    Parameters
    ----------
    fit : callable
        Takes the number of epochs and returns the seconds.
    """
    few, more = fit(FEW), fit(MORE)
    return (more - few) / (MORE - FEW), more


def times(models, X, y, rounds):
    """Of each model the seconds of an epoch and of a fit, see `epoch_and_fit`: medians.

    Parameters
    ----------
    models : dict of name -> estimator with tol=None
    X, y : training rows
    rounds : int

    Returns
    -------
    dict of name -> (seconds of an epoch, seconds of the fit)
    """
    fits = {name: partial(seconds_of_fit, model, X, y) for name, model in models.items()}
    return medians(
        in_turns({name: partial(epoch_and_fit, fit) for name, fit in fits.items()}, rounds)
    )
