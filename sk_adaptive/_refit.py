"""The number of epochs, and the rate, found on rows set aside; then all rows are learned."""

from dataclasses import replace

from ._training import NotFinite, fit_epochs

# Times the automatic rate, beside that itself.
RATES = (3.0, 1 / 3)


def find_and_refit(
    state, new_state, training, rows, all_rows, features, settings, score, eta0, task
):
    """Learn some of the rows to find the number of epochs, and the rate, and then all.

    Parameters
    ----------
    state : dict
        Of the first run.
    new_state : callable
        Takes a learning rate and returns the state that another run starts from.
    training, features, settings, score
        See `fit_epochs`.
    rows, all_rows : int64 ndarrays
        Without and with those set aside. None in place of the latter: the best of the runs
        without them is the result.
    eta0 : float or {"auto", "search"}
        "search" tries all rates, with as many epochs as each wants. "auto" tries the others for
        about as many epochs as the first run found, and only until one is better.
    task : FitTask or None
        Told of the epochs of the first run and of the last.

    Returns
    -------
    Progress
        Of the model of all rows, with the scores of the run that its number of epochs is from.
        Where a callback has stopped the first run, that of its best epoch.

    Raises
    ------
    NotFinite
        If each of the rates leads to what is not finite, or with "auto" the first one.
    """

    def run(state, settings, rows=rows, score=score, task=None):
        if settings.verbose:
            print(f"Learning {rows.size} rows at the rate {state['eta0']:.3g}")
        return fit_epochs(state, training, rows, features, settings, score, task)

    def first_run():
        # a callback may end it, and all
        needed = replace(settings, keeps_state=all_rows is None or task is not None)
        return run(state, needed, task=task)

    def other_run(rate, settings):
        return run(new_state(rate), settings)

    automatic = state["eta0"]
    if eta0 == "search":
        rate, best = _best_of_all(automatic, first_run, other_run, settings, all_rows is None)
    else:
        rates = RATES if eta0 == "auto" else ()
        rate, best = _first_that_gains(automatic, first_run, other_run, settings, rates)
    if best.stopped_by == "callback" or all_rows is None:
        return best
    # As many epochs as were best, whatever they do for the objective.
    repeat = replace(
        settings, max_iter=best.best_iteration, tol=None, divisions=tuple(best.divisions)
    )
    final = run(new_state(rate), repeat, all_rows, None, task)
    final.validation_scores = best.validation_scores
    if final.stopped_by != "callback":
        final.stopped_by = best.stopped_by
    final.is_unfinished = best.is_unfinished
    return final


def _first_that_gains(automatic, first_run, other_run, settings, rates):
    """The first run and its rate, or the first of the others that is better."""
    first = first_run()
    if first.stopped_by == "callback":
        return automatic, first
    # the memory is needed for the next one
    first.state = None
    # A rate that suits needs no more epochs: a larger one hurries, a smaller one is for what is
    # learned in a few.
    shorter = replace(
        settings,
        max_iter=min(settings.max_iter, first.best_iteration + 1),
        keeps_state=False,
        rival=first.validation_scores,
    )
    for factor in rates:
        try:
            other = other_run(factor * automatic, shorter)
        except NotFinite:
            continue
        if max(other.validation_scores) > max(first.validation_scores):
            # what ended it does not count, as it was shorter
            other.stopped_by, other.is_unfinished = first.stopped_by, False
            return factor * automatic, other
    return automatic, first


def _best_of_all(automatic, first_run, other_run, settings, keeps_state):
    """The best of the runs at all rates, and its rate."""
    best, failure = None, None
    for factor in (1.0, *RATES):
        rate = factor * automatic
        try:
            if factor == 1:
                progress = first_run()
                if progress.stopped_by == "callback":
                    return rate, progress
            else:
                progress = other_run(rate, replace(settings, keeps_state=keeps_state))
        except NotFinite as error:
            failure = failure or error
            continue
        if not keeps_state:
            # the memory is needed for the next one
            progress.state = None
        if best is None or max(progress.validation_scores) > max(best.validation_scores):
            best_rate, best = rate, progress
    if best is None:
        raise failure
    return best_rate, best
