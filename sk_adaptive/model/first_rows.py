"""Whether the rows of a stream come again, as in a loop of passes over a few of them.

A loss of rows that have been learned is least at the largest rates. So rows that come again tell
nothing of rates, and whoever searches for one has to notice them.
"""

import numpy as np

# So many different rows, the first ones, are remembered.
N_FIRST = 64

# Of fewer it is not known whether they come again, or are alike.
LEAST_FIRST = N_FIRST // 2

# Among so few rows each is looked up by itself, which is quicker then.
FEW = 8

# In a second pass each row comes just once again. Rows drawn from a few, as clicks of few ids are,
# come again never, once and more often: at no time more than 37 % of them just once.
SHARE_ONCE = 2 / 3

# The key of a row, 0 where there is none yet; how often it has come again; the step before which it
# first has, and the weights of the models then.
FIRST_ROW = [("key", np.uint64), ("count", np.int64), ("step", np.int64)]


def first_row_dtype(n_models):
    return np.dtype([*FIRST_ROW, ("weights", np.float64, (n_models,))])


class Memory:
    """The first rows of a stream, by their keys.

    Parameters
    ----------
    first_rows : array of shape (N_FIRST,) and the type `first_row_dtype`
        Changed.
    """

    def __init__(self, first_rows):
        self.rows = first_rows
        keys = first_rows["key"].tolist()
        self._place_of = {key: place for place, key in enumerate(keys) if key}
        self._changes = []

    def hits(self, keys):
        """Find those of the next rows that are among the first ones, and remember others of them.

        Parameters
        ----------
        keys : uint64 ndarray
            Of the rows in their order.

        Yields
        ------
        position, place : int
            In `keys`, and in the rows remembered.
        """
        place_of, self._changes = self._place_of, []
        for position in self._positions(keys):
            key = int(keys[position])
            if key in place_of:
                yield position, place_of[key]
            elif len(place_of) < N_FIRST:
                self._changes.append((position, len(place_of), key))
                self.rows["key"][len(place_of)] = key
                place_of[key] = len(place_of)

    def _positions(self, keys):
        """The places of keys that are known, or may be remembered."""
        if keys.size <= FEW:
            return range(keys.size)
        known, room = self.rows["key"], N_FIRST - len(self._place_of)
        if room:
            different, first = np.unique(keys, return_index=True)
            first = np.sort(first[~np.isin(different, known)])[:room]
            known = np.concatenate([known, keys[first]])
        return np.flatnonzero(np.isin(keys, known)).tolist()

    def count(self, position, place):
        """Count a row that has come again."""
        self._changes.append((position, place, 0))
        self.rows["count"][place] += 1

    def forget(self, position):
        """Take back what rows from this position on have done, as they were not learned."""
        for changed, place, key in self._changes:
            if changed >= position and key:
                del self._place_of[key]
                self.rows["key"][place] = 0
            elif changed >= position:
                self.rows["count"][place] -= 1


def have_come_again(first_rows):
    """Whether the rows of now are those of before."""
    n = np.count_nonzero(first_rows["key"])
    return n >= LEAST_FIRST and np.count_nonzero(first_rows["count"] == 1) >= SHARE_ONCE * n


def weights_before(first_rows):
    """The weights that the models had before the rows came again.

    Some rows are like others, and have come again sooner than the pass has begun. When it has is
    told by the pace at which the later half of them came.
    """
    once = np.sort(first_rows[first_rows["count"] == 1], order="step")
    middle, last = once["step"][[once.size // 2, -1]]
    begin = np.searchsorted(once["step"], 2 * middle - last, side="right") - 1
    return once["weights"][max(begin, 0)]
