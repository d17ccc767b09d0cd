"""Models side by side: each is some of the outputs of one record, and all learn the same rows."""

from dataclasses import replace

import numpy as np

from . import _state
from ._learning import TrainingFailure
from ._team import train_rows

# The others go on in a record of their own once there are so few of them, as to copy it takes
# a part of an epoch's time.
SHARE_TO_SHRINK = 0.75


class SideBySide:
    """Models of one optimizer that learn the same rows, in the same order.

    Parameters
    ----------
    members : sequence of int
        Numbers that stand for the models.
    starts : sequence of Start
        Of each of them. They can share a record, see `groups_of`.
    training : TrainingData
    features : int32 ndarray
        The features that occur.
    scale : ndarray of shape (n_features,) or None
        With normalize, the sizes of the features.
    unit : (float, float)
        See the kernel's Optimizer. Models of the same unit are what they are in any company.

    Attributes
    ----------
    members : int ndarray
        Those that are still learning.
    state : dict
        Whose outputs are those of the first member, then those of the second, and so on.
    optimizer : Optimizer
        On this state.
    """

    def __init__(self, members, starts, training, features, scale, unit):
        self.members = np.array(members)
        self._n_outputs = n_outputs = training.n_outputs
        self._features = features
        intercepts = [
            np.zeros(n_outputs) if start.intercept is None else start.intercept for start in starts
        ]
        rates = tuple(np.repeat([start.eta0 for start in starts], n_outputs).tolist())
        state = _state.new_state(
            _joint_settings(starts, n_outputs),
            rates,
            training.n_features,
            len(rates),
            training.data.dtype,
            intercept=np.concatenate(intercepts),
            scale=scale,
        )
        self._become({**state, "unit": unit})

    def _become(self, state):
        self.state, self.optimizer = state, _state.make_optimizer(state)

    def learn(self, training, rows, threads=None):
        """Learn these rows in this order, unless `threads` interrupt.

        Returns
        -------
        failed : list of int
            The members that a step would have made infinite. They are members no more. The others
            are what they would be without them.
        """
        failed = []
        while rows.size and self.members.size:
            begin = int(self.state["clock"]["t"])
            try:
                train_rows(self.optimizer, training, rows, threads=threads)
                break
            except TrainingFailure:
                rows = rows[(int(self.state["clock"]["t"]) - begin) * training.batch_size :]
                culprits = self._culprits(training, rows[: training.batch_size])
                failed += self.members[culprits].tolist()
                self._keep(np.setdiff1d(np.arange(self.members.size), culprits))
        return failed

    def keep(self, members):
        """Leave the others out, if that saves enough."""
        kept = np.flatnonzero(np.isin(self.members, members))
        if kept.size <= SHARE_TO_SHRINK * self.members.size:
            self._keep(kept)

    def _keep(self, places):
        if places.size * self._n_outputs == 1:
            # A model with one output would go through another pass, which rounds differently. So
            # it learns beside itself.
            places = places.repeat(2)
        self.members = self.members[places]
        if places.size:
            self._become(_state.of_outputs(self.state, self._of(places), self._features))
        else:
            self.state = self.optimizer = None

    def state_of(self, place):
        """The state of one of them, a copy."""
        outputs = self._of(np.array([place]))
        return _state.of_outputs(self.state, outputs, self._features)

    def _of(self, places):
        """The outputs of these members."""
        return (places[:, np.newaxis] * self._n_outputs + np.arange(self._n_outputs)).ravel()

    def _culprits(self, training, rows):
        """The places of the members whose step on these rows would overflow."""
        step = training.part(rows)
        # one at least, as records are somewhere
        features = np.union1d(step.indices, np.zeros(1, np.int32))
        columns = np.searchsorted(features, step.indices).astype(np.int32)
        step = replace(step, indices=columns, n_features=features.size)
        order = np.arange(rows.size, dtype=np.int64)
        culprits, sizes = [], []
        for place in range(self.members.size):
            outputs = self._of(np.array([place]))
            alone = _state.of_outputs(self.state, outputs, features, compact=True)
            optimizer = _state.make_optimizer(alone)
            sizes.append(np.abs(_state.coefficients(alone, optimizer=optimizer)).max())
            try:
                train_rows(optimizer, step, order)
            except TrainingFailure:
                culprits.append(place)
        # If by rounding none of them fails alone, the largest is next to.
        return culprits or [int(np.argmax(sizes))]


def groups_of(starts):
    """Which models can share a record: lists of places in `starts`.

    An optimizer refuses settings by output whose effects it can't tell apart, as different decays
    of the weights. Then there are more groups than one.
    """
    everything = list(range(len(starts)))
    if _can_share(starts):
        return [everything]
    groups = []
    for place in everything:
        for group in groups:
            if _can_share([starts[other] for other in (*group, place)]):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def _can_share(starts):
    rates = tuple(start.eta0 for start in starts)
    try:
        _state.make_optimizer(
            _state.new_state(_joint_settings(starts, 1), rates, 1, len(rates), np.float64)
        )
    except ValueError:
        return False
    return True


def _joint_settings(starts, n_outputs):
    """The settings of all, of which some are numbers for each output."""
    by_output = {
        name: tuple(np.repeat([start.settings[name] for start in starts], n_outputs).tolist())
        for name in _state.BY_OUTPUT
    }
    return {**starts[0].settings, **by_output}


def unit_of(starts):
    """That of a group of models: see the kernel's Optimizer."""
    return float(starts[0].eta0), float(starts[0].settings["l2"])


def bytes_of_records(starts, training, n_features):
    """What the records of so many features take, of models that share them."""
    n_outputs = len(starts) * training.n_outputs
    settings = _joint_settings(starts, training.n_outputs)
    return n_features * _state.record_dtype(settings, n_outputs, training.data.dtype).itemsize
