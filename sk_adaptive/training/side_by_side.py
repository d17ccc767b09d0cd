"""Models side by side: each is some of the outputs of one record, and all learn the same rows."""

from dataclasses import replace

import numpy as np

from ..data.columns import NO_COLUMNS
from ..model.hyperparameters import BY_OUTPUT
from ..model.model import Model
from ..model.records import record_dtype
from .averages import RunningMean, pieces_of
from .steps import Learned, TrainingFailure, learn, learn_all

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
    clock_rate : (float, float)
        See `Model`. Models of the same clock are what they are in any company.
    columns : array of the type `COLUMN`, default=none of them
        The columns that are centred and scaled in `training`.
    averages : bool, default=False
        Whether the weights of each model are to be a `RunningMean`.

    Attributes
    ----------
    members : int ndarray
        Those that are still learning.
    model : Model
        Whose outputs are those of the first member, then those of the second, and so on.
    mean : RunningMean or None
        Of its weights.
    losses : float64 ndarray
        The weighted losses of the rows that each member has learned last, summed.
    """

    def __init__(
        self,
        members,
        starts,
        training,
        features,
        scale,
        clock_rate,
        columns=NO_COLUMNS,
        averages=False,
    ):
        self.members = np.array(members)
        self._n_outputs = n_outputs = training.n_outputs
        self._features = features
        intercepts = [
            np.zeros(n_outputs) if start.intercept is None else start.intercept for start in starts
        ]
        self.model = Model(
            _joint_hyperparameters(starts, n_outputs),
            training.n_features,
            len(starts) * n_outputs,
            training.data.dtype,
            intercept=np.concatenate(intercepts),
            scale=scale,
            columns=columns,
        )
        self.mean = RunningMean(features, training.n_features) if averages else None
        self.model.clock_rate = clock_rate
        self.losses = np.zeros(self.members.size)

    def learn(self, training, rows, threads=None):
        """Learn these rows in this order, unless `threads` interrupt.

        Returns
        -------
        failed : list of int
            The members that a step would have made infinite. They are members no more. The others
            are what they would be without them.
        """
        failed = []
        self.losses = np.zeros(self.members.size)
        pieces = [rows] if self.mean is None else pieces_of(rows, training.batch_size)
        for piece in pieces:
            failed += self._learn(training, piece, threads)
            if self.mean is not None and self.members.size:
                self.mean.take_in(self.model)
        return failed

    def _learn(self, training, rows, threads):
        failed = []
        while rows.size and self.members.size:
            learned = Learned()
            try:
                learn(self.model, training, rows, learned, threads)
                self._add_losses(learned)
                break
            except TrainingFailure:
                self._add_losses(learned)
                rows = rows[learned.n_rows :]
                culprits = self._culprits(training, rows[: training.batch_size])
                failed += self.members[culprits].tolist()
                self._keep(np.setdiff1d(np.arange(self.members.size), culprits))
        return failed

    def _add_losses(self, learned):
        if learned.losses is not None:
            self.losses += learned.losses.reshape(-1, self._n_outputs).sum(axis=1)

    def penalties(self):
        """The penalty of each member."""
        penalties = self.model.penalties(self._features)
        return penalties.reshape(-1, self._n_outputs).sum(axis=1)

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
        self.members, self.losses = self.members[places], self.losses[places]
        if self.mean is not None:
            self.mean.keep(self._of(places))
        if places.size:
            self.model = self.model.part(self._of(places), self._features)
        else:
            self.model = None

    @property
    def weights(self):
        """What has the coefficients and intercepts of all members: the mean, or the model."""
        return self.model if self.mean is None else self.mean

    def model_of(self, place):
        """A copy of one of the models, with its mean weights where there are any."""
        outputs = self._of(np.array([place]))
        model = self.model.part(outputs, self._features)
        if self.mean is not None:
            self.mean.put_into(model, self.mean.kept(outputs))
        return model

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
            alone = self.model.part(outputs, features, compact=True)
            sizes.append(np.abs(alone.coefficients()).max())
            try:
                learn_all(alone, step, order)
            except TrainingFailure:
                culprits.append(place)
        # If by rounding none of them fails alone, the largest is next to.
        return culprits or [int(np.argmax(sizes))]


def groups_of(starts):
    """Which models can share a record: lists of places in `starts`.

    An optimizer refuses numbers by output whose effects it can't tell apart, as different decays
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
    try:
        # which the kernel refuses
        n_outputs = max(
            np.size(getattr(start.hyperparameters.by_output(), name))
            for start in starts
            for name in BY_OUTPUT
        )
        numbers = _joint_hyperparameters(starts, n_outputs)
        _ = Model(numbers, 1, len(starts) * n_outputs, np.float64).optimizer
    except ValueError:
        return False
    return True


def _joint_hyperparameters(starts, n_outputs):
    """The hyperparameters of all, of which some are numbers for each output."""
    of_all = [start.hyperparameters.by_output() for start in starts]
    return of_all[0].with_numbers(
        **{
            name: tuple(
                np.concatenate(
                    [np.broadcast_to(getattr(each, name), n_outputs) for each in of_all]
                ).tolist()
            )
            for name in BY_OUTPUT
        }
    )


def clock_rate_of(starts):
    """The clock of a group of models: see `Model`."""
    first = starts[0].hyperparameters.by_output()
    return float(np.ravel(first.eta0)[0]), float(np.ravel(first.l2)[0])


def bytes_of_records(starts, training, n_features):
    """What the records of so many features take, of models that share them."""
    n_outputs = len(starts) * training.n_outputs
    numbers = _joint_hyperparameters(starts, training.n_outputs)
    dtype = training.data.dtype
    return n_features * record_dtype(numbers, n_outputs, dtype, numbers.forgets).itemsize
