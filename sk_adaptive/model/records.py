"""The records of the features, and the clock: their types, their memory, and copies of parts."""

import numpy as np

from ..data._scan import copy_pieces

CACHE_LINE = 64

# Features that are looked at at once.
TOUCHED_AT_ONCE = 1 << 14

# Steps done; the sum of their learning rates, by which penalties are charged; and that sum when
# averaging began, infinity if it has not.
CLOCK = np.dtype(
    [("t", np.int64), ("learning_rate_sum", np.float64), ("average_start", np.float64)]
)


def new_clock():
    """A clock before the first step."""
    return np.array((0, 0.0, np.inf), CLOCK)


def record_dtype(hyperparameters, n_outputs, dtype, forgets):
    """The record of one feature, padded so that it does not straddle cache lines.

    ``coef`` is the weight, for an exactly lazy momentum the carried one, unless the moments tell
    it; then come the optimizer's moments; ``inverse_metric``, unless a moment is that or it is
    1, and ``charged`` are there with a penalty, or if moments tell the weight and are forgotten
    ``forgotten``, the part of the learning-rate sum that is too; ``last_step`` where idle moments
    age, and with
    averages ``integral`` and ``integrated``: of the weight over the sum of the learning
    rates, and the sum that it goes up to.
    """
    spec = hyperparameters.spec
    penalised = np.any(hyperparameters.l1) or np.any(hyperparameters.l2)
    charged = penalised and not spec.weight_is_derived
    outputs = (n_outputs,)
    fields = []
    if hyperparameters.ages:
        # first, as it must be aligned to 8 bytes whatever precedes it
        fields.append(("last_step", np.int64))
    if not spec.weight_is_derived:
        fields.append(("coef", dtype, outputs))
    fields += [(moment.field, dtype, outputs) for moment in spec.moments]
    if forgets and penalised and spec.weight_is_derived:
        fields.append(("forgotten", dtype, outputs))
    if charged and spec.metric == "stored":
        fields.append(("inverse_metric", dtype, outputs))
    if charged:
        fields.append(("charged", dtype))
    packed = np.dtype(fields)
    names, size = [*packed.names], packed.itemsize
    formats = [packed.fields[name][0] for name in names]
    offsets = [packed.fields[name][1] for name in names]
    if hyperparameters.average:
        start = -(-size // 8) * 8
        names += ["integral", "integrated"]
        formats += [(np.float64, outputs), np.float64]
        offsets += [start, start + 8 * n_outputs]
        size = offsets[-1] + 8
    padded = 8
    while padded < size and padded < CACHE_LINE:
        padded *= 2
    if size > CACHE_LINE:
        padded = -(-size // CACHE_LINE) * CACHE_LINE
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": padded})


def allocate(n, dtype):
    """Allocate n zeroed records at a cache line; untouched pages cost no memory."""
    size = n * dtype.itemsize + CACHE_LINE
    try:
        buffer = np.zeros(size, np.uint8)
    except (MemoryError, ValueError, OverflowError):
        raise MemoryError(
            f"There is no memory for {n:,} features of {dtype.itemsize} bytes each, which are "
            f"{size / 1e9:,.1f} GB. Use fewer features (n_features of ColumnHasher and "
            "TextHasher), float32 rows, or an optimizer with fewer moments."
        ) from None
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n * dtype.itemsize].view(dtype)


def copy_of(array):
    """A copy; of records one in which the padding is zero, and not what the memory had before."""
    if array.dtype.names is None or not array.ndim:
        return array.copy()
    records = allocate(array.shape[0], array.dtype)
    records[...] = array
    return records


def is_own(array):
    """Whether nobody else sees what is written to it, as whoever maps the same file does."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return array.flags.writeable and owner.flags.owndata


def in_own_memory(records):
    """These records, or a copy of them at a cache line, as is needed after unpickling."""
    is_aligned = records.ctypes.data % CACHE_LINE == 0
    return records if is_aligned and is_own(records) else copy_of(records)


def touched(records):
    """The features whose records are not those of a new model."""
    features = []
    words = records.view(np.int64).reshape(records.shape[0], -1)
    for start in range(0, words.shape[0], TOUCHED_AT_ONCE):
        features.append(start + np.flatnonzero(words[start : start + TOUCHED_AT_ONCE].any(axis=1)))
    return np.concatenate(features).astype(np.int32)


def take_outputs(whole, part, outputs, features, places):
    """Copy some outputs of the records of `features` to the records at `places` of a part."""
    pieces = _pieces_of_outputs(whole.dtype, part.dtype, outputs, shared=True)
    copy_pieces(_bytes_of(whole), _bytes_of(part), features, places, pieces)


def put_outputs(whole, part, outputs, features):
    """Copy the records of `features` back from a part that has some of the outputs."""
    # What outputs share is the same in all parts, and only one of them writes it.
    pieces = _pieces_of_outputs(whole.dtype, part.dtype, outputs, shared=0 in outputs)
    pieces = np.ascontiguousarray(pieces[:, [1, 0, 2]])
    copy_pieces(_bytes_of(part), _bytes_of(whole), features, features, pieces)


def _pieces_of_outputs(whole, part, outputs, shared):
    """What `copy_pieces` copies from records with all outputs to those with some of them.

    With or without what all outputs of a record share.
    """
    breaks = np.flatnonzero(np.diff(outputs) != 1) + 1
    pieces = []
    for name in part.names:
        (field, begin), place = whole.fields[name][:2], part.fields[name][1]
        if not field.shape:
            if shared:
                pieces.append((begin, place, field.itemsize))
            continue
        size = field.base.itemsize
        for run in np.split(outputs, breaks):
            pieces.append((begin + size * run[0], place, size * run.size))
            place += size * run.size
    return np.array(pieces, np.int64)


def _bytes_of(records):
    return records.view(np.uint8).reshape(records.shape[0], -1)
