"""The number of epochs, and the rate, found on rows set aside; then all rows are learned."""

from dataclasses import replace

from .epochs import NotFinite, fit_epochs

# Times the automatic rate, beside that itself.
RATES = (3.0, 1 / 3)


def find_and_refit(
    model, new_model, training, rows, all_rows, features, options, score, rates, task
):
    """Learn some of the rows to find the number of epochs, and the rate, and then all.

    Parameters
    ----------
    model : Model
        Of the first run.
    new_model : callable
        Takes a learning rate and returns the model that another run starts from.
    training, features, options, score
        See `fit_epochs`.
    rows, all_rows : int64 ndarrays
        Without and with those set aside.
    rates : sequence of float
        Other rates to try, times that of the first run: for about as many epochs as that found,
        and only until one is better.
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
        If the first of the rates leads to what is not finite.
    """

    def run(model, options, rows=rows, score=score, task=None):
        if options.verbose:
            print(f"Learning {rows.size} rows at the rate {model.learning_rate:.3g}")
        return fit_epochs(model, training, rows, features, options, score, task)

    rate = model.learning_rate
    # a callback may end it, and all
    first = run(model, replace(options, keeps_model=task is not None), task=task)
    if first.stopped_by == "callback":
        return first
    # the memory is needed for the next one
    first.model = model = None
    # A rate that suits needs no more epochs: a larger one hurries, a smaller one is for what is
    # learned in a few.
    shorter = replace(
        options,
        max_iter=min(options.max_iter, first.best_iteration + 1),
        keeps_model=False,
        rival=first.validation_scores,
    )
    best, best_rate = first, rate
    for factor in rates:
        try:
            other = run(new_model(factor * rate), shorter)
        except NotFinite:
            continue
        if max(other.validation_scores) > max(first.validation_scores):
            # what ended it does not count, as it was shorter
            other.stopped_by, other.is_unfinished = first.stopped_by, False
            best, best_rate = other, factor * rate
            break
    # As many epochs as were best, whatever they do for the objective.
    repeat = replace(
        options, max_iter=best.best_iteration, tol=None, divisions=tuple(best.divisions)
    )
    final = run(new_model(best_rate), repeat, all_rows, None, task)
    final.validation_scores = best.validation_scores
    if final.stopped_by != "callback":
        final.stopped_by = best.stopped_by
    final.is_unfinished = best.is_unfinished
    return final
