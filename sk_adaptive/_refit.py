"""The number of epochs, and the rate, found on rows set aside; then all rows are learned."""

from dataclasses import replace

from ._training import NotFinite, fit_epochs

# Times the automatic rate. Once one of them is better, the others are not tried.
RATES = (3.0, 1 / 3)


def find_and_refit(
    state, new_state, training, rows, all_rows, features, settings, score, searches, task
):
    """Learn some of the rows to find the number of epochs, and then all.

    Parameters
    ----------
    state : dict
        Of the first run.
    new_state : callable
        Takes a learning rate and returns the state that another run starts from.
    training, features, settings, score
        See `fit_epochs`.
    rows, all_rows : int64 ndarrays
        Without and with those set aside.
    searches : bool
        Whether to try other rates, too.
    task : FitTask or None
        Told of the epochs of the first run and of the last.

    Returns
    -------
    Progress
        Of the model of all rows, with the scores of the run that its number of epochs is from.
        Where a callback has stopped the first run, that of its best epoch.
    """

    def run(state, settings, rows=rows, score=score, task=None):
        if settings.verbose:
            print(f"Learning {rows.size} rows at the rate {state['eta0']:.3g}")
        return fit_epochs(state, training, rows, features, settings, score, task)

    eta0 = state["eta0"]
    first = run(state, settings, task=task)
    if first.stopped_by == "callback":
        return first
    # the memory is needed for the next one
    first.state = state = None
    best_rate, best, scores = eta0, first, first.validation_scores
    # A rate that suits needs no more epochs: a larger one hurries, a smaller one is for what is
    # learned in a few.
    shorter = replace(
        settings,
        max_iter=min(settings.max_iter, first.best_iteration + 1),
        keeps_best=False,
        rival=scores,
    )
    for factor in RATES if searches else ():
        try:
            other = run(new_state(factor * eta0), shorter)
        except NotFinite:
            continue
        if max(other.validation_scores) > max(scores):
            best_rate, best = factor * eta0, other
            break
    # As many epochs as were best, whatever they do for the objective.
    repeat = replace(
        settings, max_iter=best.best_iteration, tol=None, divisions=tuple(best.divisions)
    )
    final = run(new_state(best_rate), repeat, all_rows, None, task)
    final.validation_scores = best.validation_scores
    if final.stopped_by != "callback":
        final.stopped_by = first.stopped_by
    final.is_unfinished = best is first and first.is_unfinished
    return final
