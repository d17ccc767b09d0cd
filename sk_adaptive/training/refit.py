"""The rate, `eps` and the number of epochs, found on rows set aside; then all rows are learned."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..kernel.optimizers import OPTIMIZERS
from .epochs import NotFinite, fit_epochs

# By how many standard errors another run has to be better.
ERRORS = 1.0


@dataclass(frozen=True)
class Trial:
    """What a run takes, times the automatic numbers.

    Attributes
    ----------
    rate, eps : float
    then : tuple of Trial
        Those to go on with where this one is better.
    """

    rate: float = 1.0
    eps: float = 1.0
    then: tuple = ()


def trials_for(estimator):
    """What to try for an estimator, in this order, with what it has as a number left alone.

    With a larger eps the steps of frequent features do not shrink as soon, and those of rare ones
    are as long as before, or a third of that. With a smaller one those of rare features are longer.
    """
    if estimator.eta0 not in ("auto", "search"):
        return ()
    rates = (Trial(3.0, then=(Trial(9.0),)), Trial(1 / 3))
    if estimator.eps not in (None, "auto"):
        return rates
    if OPTIMIZERS[estimator.optimizer].eps_power == 1:
        return (Trial(30.0, 100.0), *rates)
    smoother = Trial(3.0, 100.0)
    return (Trial(3.0, 10.0, then=(smoother,)), smoother, *rates, Trial(1.0, 0.01))


def find_and_refit(model, new_model, training, plan, features, options, trials, task):
    """Learn some of the rows to find the number of epochs, and the rate, and then all.

    Parameters
    ----------
    model : Model
        Of the first run.
    new_model : callable
        Takes a `Trial` and returns the model that another run starts from.
    training, features, options
        See `fit_epochs`.
    plan : RowsToLearn
    trials : sequence of Trial
        For about as many epochs as the first run has found, and only until one is better.
    task : FitTask or None
        Told of the epochs of the first run and of the last, or where there is a sample of the last.

    Returns
    -------
    Progress
        Of the model of all rows, with the scores of the run that its number of epochs is from.
        Where a callback has stopped the first run, that of its best epoch. Where there is a sample,
        of the model of the best epoch, without the rows set aside.

    Raises
    ------
    NotFinite
        If the first of the rates leads to what is not finite.
    """

    def run(model, options, rows, score, task=None):
        if options.verbose:
            print(f"Learning {rows.size} rows at the rate {model.learning_rate:.3g}")
        return fit_epochs(model, training, rows, features, options, score, task)

    scouting = replace(options, keeps_model=False)
    if plan.sample is not None:
        # another eps is for fewer rows than all
        trials = [trial for trial in trials if trial.eps == 1]
        if trials:
            model = None
            rows, score = plan.sample
            first = run(new_model(Trial()), scouting, rows, score)
            trial, _ = _best_of(
                first, trials, new_model, partial(run, rows=rows, score=score), scouting
            )
            model = new_model(trial)
        return run(model, options, plan.rows, plan.score, task)
    # a callback may end it, and all
    first = run(model, replace(options, keeps_model=task is not None), plan.rows, plan.score, task)
    if first.stopped_by == "callback":
        return first
    # the memory is needed for the next one
    first.model = model = None
    trial, best = _best_of(
        first, trials, new_model, partial(run, rows=plan.rows, score=plan.score), scouting
    )
    # As many epochs as were best, whatever they do for the objective.
    repeat = replace(
        options, max_iter=best.best_iteration, tol=None, divisions=tuple(best.divisions)
    )
    final = run(new_model(trial), repeat, plan.all_rows, None, task)
    final.validation_scores = best.validation_scores
    # what ended the run of a trial does not count, as it was shorter
    if final.stopped_by != "callback":
        final.stopped_by = first.stopped_by
    final.is_unfinished = first.is_unfinished
    return final


def _best_of(first, trials, new_model, run, options):
    """Try other numbers than those of a first run.

    Returns
    -------
    trial : Trial
    progress : Progress
    """
    best_trial, best = Trial(), first
    # A rate that suits needs no more epochs: a larger one hurries, a smaller one is for what is
    # learned in a few.
    most = first.best_iteration + 1
    while trials:
        trial, *trials = trials
        max_iter = min(options.max_iter, most)
        shorter = replace(options, max_iter=max_iter, rival=best.validation_scores)
        try:
            other = run(new_model(trial), shorter)
        except NotFinite:
            continue
        if _is_better(other, best):
            best_trial, best, trials = trial, other, trial.then
            # which may be the slower ones
            most = other.best_iteration + options.n_iter_no_change
    return best_trial, best


def _is_better(progress, rival):
    """Whether the best score is better, and by more than what another choice of rows might make."""
    gain = max(progress.validation_scores) - max(rival.validation_scores)
    if not gain > 0 or progress.row_losses is None:
        return gain > 0
    gains = rival.row_losses - progress.row_losses
    return gain > ERRORS * np.sqrt(gains.size) * gains.std()
