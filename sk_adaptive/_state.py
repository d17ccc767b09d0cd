"""The state of a model: feature records, intercepts and the clock, as plain arrays.

A state is a dict of NumPy arrays, numbers and strings, so that whatever saves
estimators saves it:

``version``
    Of this layout.
``records``
    Structured array of shape (n_features,), see `record_dtype`.
``intercept``
    float64 array of shape (3, n_outputs): intercepts and their two moments.
``clock``
    Array of shape () and of the dtype `CLOCK`: ``t``, the steps done; ``learning_rate_sum``, the
    sum of their learning rates, which penalties are charged by; and ``average_start``, that sum
    when averaging began, infinity if it has not. The kernel writes to it as to the records.
``intercept_integral``
    float64 array of shape (n_outputs,): the intercepts times the learning rates since then, summed.
``eta0``
    The learning rate, as "auto" or "adaptive" have made it; 0 before "auto" has seen a row.
``scale``
    With normalize: array of shape (n_features,), the largest size that each feature has had.
    Weights and moments in the records are those of the features over their scale. It is 0
    before the first; a feature that has a weight by then counts as one of scale 1.
``mixture``
    Where the model is the mean of several side by side, whose outputs then follow one another:
    float64 array of shape (2, n_models), of their rates over ``eta0``, and of their weights. The
    weight 0 is that of a model that is out for good.
``settings``
    The other numbers that the records were written under, see `settings_of`.
``progressive_loss``
    float64 array: the weighted losses of rows, each before it was learned, summed, and
    the sum of their weights.

A state that can only predict, see `stripped`, has in place of ``records`` and ``scale``:

``n_features``
    Of the model.
``features``
    Integer array: the feature of each coefficient that is not zero, in ascending order.
``outputs``
    Integer array: its output.
``coef``
    float64 or float32 array: the coefficient itself.
"""

from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from ._serving import KeptCoefficients, check_entries, entries_of
from ._threads import LEAST_COEFFICIENTS, Threads, n_threads_of, parts_of
from .data._scan import copy_pieces
from .kernel.optimizers import OPTIMIZERS, kernel

VERSION = 5
CACHE_LINE = 64

CLOCK = np.dtype(
    [("t", np.int64), ("learning_rate_sum", np.float64), ("average_start", np.float64)]
)

# Those whose size does not follow the number of features.
SMALL_ARRAYS = ("clock", "intercept", "intercept_integral", "progressive_loss")
# What only some states have.
OPTIONAL_ARRAYS = ("scale", "mixture")

# With eta0="search" partial_fit learns with so many rates, each twice the one before. They are the
# automatic one times powers of 2, for the products with them to be exact.
N_RATES = 8
# What the least is the power of: where moments age, a single pass wants more.
LEAST_POWER, LEAST_POWER_AGED = -4, -2
# The models of so many start with equal weights, each larger one with half the weight of the one
# before: they spoil the mean of the first rows.
N_EQUAL = 5

# The settings that may be tuples, of a number for each output.
BY_OUTPUT = ("eps", "l1", "l2")

# What alpha="auto" is where everything is of the unit 1.
AUTOMATIC_ALPHA = 3e-7

# Of which a stripped state is made.
FEATURES_AT_ONCE = 1 << 14

# Steps are counted with 64 bits, of which the kernel needs some for itself.
LAST_STEP = 2**60 - 1


class Units(NamedTuple):
    """What is typical of the first rows: the units of X, of y and of the sample weights.

    Attributes
    ----------
    intercept : float
        The size of the constant feature that the intercept is the coefficient of.
    gradient : float
        Of one row's loss by a coefficient, before anything is learned; 0 where rows have not
        told it.
    coef : float
        The size of a coefficient that matters.
    rows_a_step : float
        Of the first batches.
    """

    intercept: float = 1.0
    gradient: float = 0.0
    coef: float = 1.0
    rows_a_step: float = 1.0


def units_of(settings):
    """The units that settings were made with."""
    names = ("intercept_scaling", "typical_gradient", "typical_coef", "rows_a_step")
    return Units(*(settings[name] for name in names))


def settings_of(estimator, units):
    """All that records depend on, but the learning rate.

    Parameters
    ----------
    estimator : AdaptiveSGD
    units : Units
        What ``eps=None`` and ``alpha="auto"`` are made from.
    """
    spec = OPTIMIZERS[estimator.optimizer]
    # where rows have not told it, any number will do: there has been no step yet
    gradient = units.gradient or 1.0
    eps = estimator.eps
    if eps is None:
        # of a feature that one row of a batch has
        gradient_of_step = gradient / units.rows_a_step
        eps = spec.eps[estimator.sparse_update] * gradient_of_step**spec.eps_power
    l1, l2 = _penalties_of(estimator, gradient, units.coef)
    settings = {
        "optimizer": estimator.optimizer,
        "sparse_update": estimator.sparse_update,
        "normalize": bool(estimator.normalize),
        "searches": estimator.eta0 == "search",
        "intercept_scaling": units.intercept,
        "typical_gradient": units.gradient,
        "typical_coef": units.coef,
        "rows_a_step": units.rows_a_step,
        "eps": float(eps),
        "l1": l1,
        "l2": l2,
        "power_t": float(estimator.power_t) if estimator.learning_rate == "invscaling" else 0.0,
        "average": min(int(estimator.average), LAST_STEP),
    }
    settings.update({name: float(getattr(estimator, name)) for name in spec.parameters})
    return settings


def _penalties_of(estimator, gradient, coef):
    """The strengths of L1 and L2."""
    if estimator.penalty is None:
        return 0.0, 0.0
    share = {"l2": 0.0, "l1": 1.0}.get(estimator.penalty, estimator.l1_ratio)
    if estimator.alpha != "auto":
        l1 = l2 = float(estimator.alpha)
    elif OPTIMIZERS[estimator.optimizer].decoupled:
        # A decay of the weights has no unit of the loss, but the inverse one of the rate.
        l1, l2 = AUTOMATIC_ALPHA, AUTOMATIC_ALPHA / coef
    else:
        # The penalty's gradient on a typical coefficient is a share of the loss's.
        l1, l2 = AUTOMATIC_ALPHA * gradient, AUTOMATIC_ALPHA * gradient / coef
    return float(l1 * share), float(l2 * (1 - share))


def record_dtype(settings, n_outputs, dtype):
    """The record of one feature, padded so that it does not straddle cache lines.

    ``coef`` is the weight, for an exactly lazy momentum the carried one, unless the moments tell
    it; then come the optimizer's moments; ``inverse_metric``, unless a moment is that or it is
    1, and ``charged`` are there with a penalty, ``last_step`` where idle moments age, and with
    averages ``integral`` and ``integrated``: of the weight over the sum of the learning
    rates, and the sum that it goes up to.
    """
    spec = OPTIMIZERS[settings["optimizer"]]
    penalised = np.any(settings["l1"]) or np.any(settings["l2"])
    charged = penalised and not spec.weight_is_derived
    outputs = (n_outputs,)
    fields = []
    if spec.ages and settings["sparse_update"] == "exact":
        # first, as it must be aligned to 8 bytes whatever precedes it
        fields.append(("last_step", np.int64))
    if not spec.weight_is_derived:
        fields.append(("coef", dtype, outputs))
    fields += [(moment.field, dtype, outputs) for moment in spec.moments]
    if charged and spec.metric == "stored":
        fields.append(("inverse_metric", dtype, outputs))
    if charged:
        fields.append(("charged", dtype))
    packed = np.dtype(fields)
    names, size = [*packed.names], packed.itemsize
    formats = [packed.fields[name][0] for name in names]
    offsets = [packed.fields[name][1] for name in names]
    if settings["average"]:
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
    """n zeroed records that begin at a cache line; untouched pages cost no memory."""
    size = n * dtype.itemsize + CACHE_LINE
    try:
        buffer = np.zeros(size, np.uint8)
    except (MemoryError, ValueError, OverflowError):
        raise MemoryError(
            f"There is no memory for {n:,} features of {dtype.itemsize} bytes each, which are "
            f"{size / 1e9:,.1f} GB. Use fewer features (n_features of FeatureHasher and "
            "HashingVectorizer), float32 rows, or an optimizer with fewer moments."
        ) from None
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n * dtype.itemsize].view(dtype)


def new_state(
    settings,
    eta0,
    n_features,
    n_outputs,
    dtype,
    coef=None,
    intercept=None,
    scale=None,
    rates=None,
):
    """A state before the first step.

    Parameters
    ----------
    settings : dict
        Its ``eps``, ``l1`` and ``l2`` may be tuples, of a number for each output.
    eta0 : float or tuple of float
    n_features, n_outputs : int
    dtype : float32 or float64
    coef : array of shape (n_outputs, n_features), default=None
    intercept : array of shape (n_outputs,), default=None
    scale : array of shape (n_features,), default=None
        Used with normalize only, and not copied.
    rates : sequence of float, default=None
        Of the models of a mixture, over eta0. All of them start from coef and intercept.
    """
    n_models = 1 if rates is None else len(rates)
    n_outputs = n_models * n_outputs
    state = {
        "version": VERSION,
        "records": allocate(n_features, record_dtype(settings, n_outputs, np.dtype(dtype))),
        "intercept": np.zeros((3, n_outputs)),
        "clock": np.array((0, 0.0, np.inf), CLOCK),
        "intercept_integral": np.zeros(n_outputs),
        "eta0": eta0 if isinstance(eta0, tuple) else float(eta0),
        "settings": settings,
        "progressive_loss": np.zeros(2),
    }
    if settings["normalize"]:
        state["scale"] = np.zeros(n_features, dtype) if scale is None else scale
    if rates is not None:
        state["mixture"] = np.array([rates, first_weights(n_models)])
    if coef is not None:
        optimizer = make_optimizer(state)
        coef = np.tile(_to_scale(coef, state), (n_models, 1))
        optimizer.continue_as(optimizer, np.array(coef, dtype, order="C"))
    if intercept is not None:
        set_intercepts(state, intercept)
    return state


def first_weights(n_models):
    """Of the models of a mixture, before anything is learned."""
    weights = 2.0 ** np.minimum(0, N_EQUAL - 1 - np.arange(n_models))
    return weights / weights.sum()


def n_models_of(state):
    return state["mixture"].shape[1] if "mixture" in state else 1


def n_outputs_of(state):
    """Those of one model."""
    return state["intercept"].shape[1] // n_models_of(state)


def set_intercepts(state, values):
    """Let the intercepts, of all models, be these."""
    state["intercept"][0] = np.tile(values, n_models_of(state))


def _to_scale(coef, state):
    """Weights of features as weights of the features over their scale."""
    if "scale" not in state:
        return coef
    scale = state["scale"]
    scale[(scale == 0) & coef.any(axis=0)] = 1
    return coef * scale


def can_learn(state):
    """Whether it is a whole state, and not one that can only predict."""
    return "records" in state


def stripped(state):
    """What predictions need of this state: the coefficients that are not zero, and intercepts."""
    n_outputs, features = n_outputs_of(state), all_features(state)
    optimizer = make_optimizer(state)
    # a few at a time, as there may not be memory for all outputs of all features
    blocks = (
        coefficients(state, features[start : start + FEATURES_AT_ONCE], optimizer)
        for start in range(0, features.size, FEATURES_AT_ONCE)
    )
    left_out = ("records", *OPTIONAL_ARRAYS)
    kept = {name: value for name, value in state.items() if name not in left_out}
    # those of the mean
    kept["eta0"], kept["intercept_integral"] = learning_rate(state), np.zeros(n_outputs)
    kept["intercept"] = np.vstack([intercepts(state), np.zeros((2, n_outputs))])
    kept["clock"] = state["clock"].copy()
    kept["clock"]["average_start"], kept["n_features"] = np.inf, features.size
    return {**kept, **entries_of(blocks, features.size)}


def n_features(state):
    return state["records"].shape[0] if can_learn(state) else state["n_features"]


def precision(state):
    """float32 or float64."""
    if not can_learn(state):
        return state["coef"].dtype
    moment = OPTIMIZERS[state["settings"]["optimizer"]].moments[0]
    return state["records"].dtype.fields[moment.field][0].base


def _is_own(array):
    """Whether nobody else sees what is written to it, as whoever maps the same file does."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return array.flags.writeable and owner.flags.owndata


def with_numbers_of_its_own(state):
    """This state, with copies of all small arrays that are in the memory of others."""
    names = [*SMALL_ARRAYS, *(["mixture"] if "mixture" in state else [])]
    copies = {name: state[name].copy() for name in names if not _is_own(state[name])}
    return {**state, **copies}


def make_optimizer(state):
    """The kernel's optimizer on this state, whose arrays it changes.

    Of a stripped state, what has its coefficients.
    """
    if not can_learn(state):
        return KeptCoefficients(state)
    records = state["records"]
    if records.ctypes.data % CACHE_LINE or not _is_own(records):
        # as after unpickling
        aligned = allocate(records.shape[0], records.dtype)
        aligned[...] = records
        state["records"] = records = aligned
    for name in (*SMALL_ARRAYS, *OPTIONAL_ARRAYS):
        if name in state and not _is_own(state[name]):
            state[name] = state[name].copy()
    state = side_by_side(state)
    settings = state["settings"]
    spec = OPTIMIZERS[settings["optimizer"]]
    return getattr(kernel(precision(state)), spec.kernel_class)(
        records,
        state["intercept"],
        state["clock"],
        n_outputs=state["intercept"].shape[1],
        eta0=state["eta0"],
        power_t=settings["power_t"],
        l1=settings["l1"],
        l2=settings["l2"],
        exact=settings["sparse_update"] == "exact",
        eps=settings["eps"],
        intercept_scaling=settings["intercept_scaling"],
        average=settings["average"],
        intercept_integral=state["intercept_integral"],
        clock_rate=state.get("unit"),
        **{name: settings[name] for name in spec.parameters},
    )


def side_by_side(state):
    """The models of a mixture, in the same arrays, with the numbers that differ by output.

    A state of one model is that itself.
    """
    if "mixture" not in state:
        return state
    settings = {**state["settings"]}
    if OPTIMIZERS[settings["optimizer"]].decoupled and state["eta0"]:
        # A decay of its own has the rate of eta0 in all models.
        multiples = _of_outputs(state, state["mixture"][0])
        settings |= {name: settings[name] / multiples for name in ("l1", "l2")}
    models = {**state, "settings": settings, "eta0": _of_outputs(state, rates_of_mixture(state))}
    del models["mixture"]
    return models


def _of_outputs(state, numbers):
    """What each model of a mixture has, for each of its outputs."""
    return np.repeat(numbers, n_outputs_of(state))


def rates_of_mixture(state):
    """The learning rate of each model."""
    # An infinite one times a gradient of 0 would be no number.
    with np.errstate(over="ignore"):
        return np.minimum(state["eta0"] * state["mixture"][0], np.finfo(precision(state)).max / 2)


def learning_rate(state):
    """What eta0 has led to; of a mixture the mean."""
    if "mixture" not in state:
        return state["eta0"]
    return float(rates_of_mixture(state) @ state["mixture"][1])


def _mean(state, values):
    """The mean over the models, of an array whose first axis is that of the outputs of all."""
    if "mixture" not in state:
        return values
    by_model = values.reshape(n_models_of(state), n_outputs_of(state), *values.shape[1:])
    # in turn, so that a part of the features gives the same, bit for bit
    total = np.zeros(by_model.shape[1:], values.dtype)
    for weight, of_model in zip(state["mixture"][1], by_model, strict=True):
        if weight > 0:
            total += weight.astype(values.dtype) * of_model
    return total


def end_step(state):
    """Let no record be of a step that the clock has not come to, as after half a step."""
    records = state["records"]
    t, total, _ = state["clock"].item()
    for name, clock in (("last_step", t), ("charged", total), ("integrated", total)):
        if name in records.dtype.names:
            field = records[name]
            now = field.dtype.type(clock)
            # few: the others' pages stay shared
            late = np.flatnonzero(field > now)
            field[late] = now
    if "mixture" in state:
        state["mixture"][1] /= state["mixture"][1].sum()


def of_outputs(state, outputs, features, compact=False):
    """The state of some of the outputs, bit for bit what they are beside the others.

    Parameters
    ----------
    state : dict
        Not a mixture, but see `side_by_side`.
    outputs : int ndarray
    features : int32 ndarray
        The features whose records are not those of a new state.
    compact : bool
        Whether these are the only features of the result, numbered in this order.
    """

    def taken(value):
        values = np.broadcast_to(value, state["intercept"].shape[1])[outputs].tolist()
        return values[0] if len(set(values)) == 1 else tuple(values)

    settings = {**state["settings"]}
    settings |= {name: taken(settings[name]) for name in BY_OUTPUT}
    scale = state.get("scale")
    part = new_state(
        settings,
        taken(state["eta0"]),
        features.size if compact else state["records"].shape[0],
        outputs.size,
        precision(state),
        scale=scale[features] if compact and scale is not None else scale,
    )
    part["unit"] = unit_of(state)
    part["clock"][...] = state["clock"]
    part["intercept"][...] = state["intercept"][:, outputs]
    part["intercept_integral"][...] = state["intercept_integral"][outputs]
    old, new = state["records"], part["records"]
    places = np.arange(features.size, dtype=np.int32) if compact else features
    pieces = _pieces_of_outputs(old.dtype, new.dtype, outputs)
    copy_pieces(_bytes_of(old), _bytes_of(new), features, places, pieces)
    return part


def put_intercepts(state, part, outputs):
    """Let the clock and the intercepts of these outputs be what they have become in a part."""
    state["clock"][...] = part["clock"]
    state["intercept"][:, outputs] = part["intercept"]
    state["intercept_integral"][outputs] = part["intercept_integral"]


def put_records(state, part, outputs, features):
    """The same of these features' records."""
    whole, records = state["records"], part["records"]
    # What outputs share is the same in all parts, and only one of them writes it.
    pieces = _pieces_of_outputs(whole.dtype, records.dtype, outputs, shared=0 in outputs)
    pieces = np.ascontiguousarray(pieces[:, [1, 0, 2]])
    copy_pieces(_bytes_of(records), _bytes_of(whole), features, features, pieces)


def unit_of(state):
    """The rate and the strength of L2 that learning-rate sums are those of."""
    first = (np.ravel(value)[0] for value in (state["eta0"], state["settings"]["l2"]))
    return state.get("unit") or tuple(map(float, first))


def _pieces_of_outputs(old, new, outputs, shared=True):
    """What `copy_pieces` copies from records with all outputs to those with some of them.

    With or without what all outputs of a record share.
    """
    breaks = np.flatnonzero(np.diff(outputs) != 1) + 1
    pieces = []
    for name in new.names:
        (field, begin), place = old.fields[name][:2], new.fields[name][1]
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


def all_features(state):
    return np.arange(n_features(state), dtype=np.int32)


def coefficients(state, features=None, optimizer=None, n_jobs=1):
    """The weights of these features, or of all, as of now: of shape (n_outputs, n).

    Their averages, if there are any.
    """
    if features is None:
        features = all_features(state)
    optimizer = make_optimizer(state) if optimizer is None else optimizer
    n_all, dtype = state["intercept"].shape[1], precision(state)
    if "mixture" not in state:
        out = np.empty((n_all, features.size), dtype)
        if out.size < LEAST_COEFFICIENTS or not can_learn(state):
            optimizer.weights(features, out)
        else:
            _read_in_parallel(state, features, optimizer, out, n_threads_of(n_jobs))
    else:
        out = np.empty((n_outputs_of(state), features.size), dtype)
        # the weights of all models would take several times the memory
        for start in range(0, features.size, FEATURES_AT_ONCE):
            part = features[start : start + FEATURES_AT_ONCE]
            of_all = np.empty((n_all, part.size), dtype)
            optimizer.weights(part, of_all)
            out[:, start : start + part.size] = _mean(state, of_all)
    if "scale" in state:
        scale = state["scale"][features]
        np.divide(out, scale, out=out, where=scale > 0)
    return out


def _read_in_parallel(state, features, optimizer, out, n_threads):
    def read(optimizer, part):
        optimizer.weights(features[part], out[:, part])

    parts = parts_of(features.size, n_threads)
    # each with a working set of its own
    optimizers = [optimizer, *(make_optimizer(state) for _ in parts[1:])]
    with Threads(n_threads) as threads:
        threads.run([partial(read, *pair) for pair in zip(optimizers, parts, strict=True)])


def span_of_average(state):
    """The learning-rate sum that averages are over; 0 if averaging has not begun."""
    _, total, start = state["clock"].item()
    return max(total - start, 0.0)


def intercepts(state):
    """The intercepts as of now, or their averages."""
    span = span_of_average(state)
    of_all = state["intercept_integral"] / span if span > 0 else state["intercept"][0]
    return _mean(state, of_all)


def textbook_state(state):
    """The moments of the textbook as of now, by name: float64 of shape (n_outputs, n_features).

    Of a mixture the means.
    """
    return {name: _mean(state, values) for name, values in _textbook_state(state).items()}


def _rates_of_outputs(state):
    """The learning rate eta0 of all outputs, or of each."""
    if "mixture" not in state:
        return state["eta0"]
    return _of_outputs(state, rates_of_mixture(state))[:, np.newaxis]


def _textbook_state(state):
    """The same of each model of a mixture."""
    settings, records = state["settings"], state["records"]
    ages = "last_step" in records.dtype.names
    moments = {}
    for moment in OPTIMIZERS[settings["optimizer"]].moments:
        values = records[moment.field].T.astype(np.float64)
        values = moment.textbook(values, settings["eps"], _rates_of_outputs(state))
        if ages:
            values *= settings[moment.memory] ** (state["clock"]["t"] - records["last_step"])
        moments[moment.name] = values
    return moments


def effective_learning_rates(state):
    """What the last step multiplied a gradient by, or the first will: as `textbook_state`."""
    settings, t = state["settings"], int(state["clock"]["t"])
    spec = OPTIMIZERS[settings["optimizer"]]
    *_, squares = _textbook_state(state).values()
    parameters = {name: settings[name] for name in spec.parameters}
    rate = _rates_of_outputs(state) / max(t, 1) ** settings["power_t"]
    return _mean(state, rate / spec.divisor(squares, settings["eps"], t, **parameters))


def is_same_kind(state, settings):
    """Whether these settings treat gradients, idle coefficients and scales as the state's do.

    And whether the number of models stays. A search that has ended with one rate, as that of fit
    does, has found it.
    """
    kind = ("optimizer", "sparse_update", "normalize")
    searched = state["settings"]["searches"]
    has_models = searched if settings["searches"] else "mixture" not in state
    return has_models and all(settings[name] == state["settings"][name] for name in kind)


def rates_of_models(settings):
    """Those that partial_fit starts with, see `new_state`."""
    if not settings["searches"]:
        return None
    least = LEAST_POWER_AGED if OPTIMIZERS[settings["optimizer"]].ages else LEAST_POWER
    return 2.0 ** np.arange(least, least + N_RATES)


def with_settings(state, settings, eta0):
    """This state as it goes on under other settings or another learning rate.

    Weights, moments and the clock stay what they are and what is pending is
    applied as it was due. Settings of another kind start anew from the weights, as partial_fit
    starts.
    """
    if settings == state["settings"] and eta0 == state["eta0"]:
        return state
    if not is_same_kind(state, settings):
        coef = coefficients(state)
        successor = new_state(
            settings,
            eta0,
            coef.shape[1],
            coef.shape[0],
            coef.dtype,
            coef,
            intercepts(state),
            state.get("scale"),
            rates_of_models(settings),
        )
        successor["progressive_loss"][...] = state["progressive_loss"]
        return successor
    return _successor(state, settings, eta0, np.empty((0, 0), precision(state)))


def with_coefficients(state, coef):
    """This state with other weights; moments and the clock stay what they are."""
    if not can_learn(state):
        return {**state, **entries_of([coef], coef.shape[1])}
    if "scale" in state:
        state = {**state, "scale": state["scale"].copy()}
        coef = _to_scale(coef, state)
    # the kernel takes no read-only and no strided array, and coef_ itself is read-only
    of_all = np.array(np.tile(coef, (n_models_of(state), 1)), order="C")
    return _successor(state, state["settings"], state["eta0"], of_all)


def with_intercepts(state, value):
    """This state with other intercepts."""
    # copies, as a memory-mapped model is read-only
    state = {**state, "intercept": state["intercept"].copy()}
    set_intercepts(state, value)
    return {**state, "intercept_integral": span_of_average(state) * state["intercept"][0]}


def without_models(state, lost):
    """Take these models out of the mixture for good, in place: `lost` is a mask of them.

    Nothing of them is left, as if they had never learned.
    """
    weights = state["mixture"][1]
    left = np.where(lost, 0.0, weights)
    weights[...] = left / left.sum()
    outputs = np.repeat(lost, n_outputs_of(state))
    for name in ("intercept", "intercept_integral"):
        state[name][..., outputs] = 0
    records = state["records"]
    for name in records.dtype.names:
        field = records[name]
        # few: pages of features that have not occurred stay untouched
        for output in np.flatnonzero(outputs) if field.ndim == 2 else ():
            field[np.flatnonzero(field[:, output]), output] = 0


def _successor(state, settings, eta0, coef):
    n_features = state["records"].shape[0]
    mixture = state.get("mixture")
    successor = new_state(
        settings,
        eta0,
        n_features,
        n_outputs_of(state),
        precision(state),
        scale=state.get("scale"),
        rates=None if mixture is None else mixture[0],
    )
    if mixture is not None:
        successor["mixture"][...] = mixture
    successor["intercept"][...] = state["intercept"]
    successor["progressive_loss"][...] = state["progressive_loss"]
    if state["settings"]["average"] and 0 < settings["average"] <= state["clock"]["t"]:
        successor["clock"]["average_start"] = state["clock"]["average_start"]
        successor["intercept_integral"][...] = state["intercept_integral"]
    optimizer = make_optimizer(successor)
    make_optimizer(state).continue_as(optimizer, coef)
    return successor


def snapshot(state):
    """A copy, which further steps do not change."""
    return {name: _copy(value) for name, value in state.items()}


def _copy(value):
    if isinstance(value, np.ndarray) and value.dtype.names is not None and value.ndim:
        # copy() would leave in the padding of records what the memory had before
        records = allocate(value.shape[0], value.dtype)
        records[...] = value
        return records
    return value.copy() if isinstance(value, (np.ndarray, dict)) else value


def check(state, n_features):
    """Refuse a saved state that the kernel could not trust: it follows records unchecked.

    Raises
    ------
    ValueError
        If the state is of another version, or its parts do not fit together.
    """
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise ValueError(
            f"The saved model has a state of version {version!r}, but this release of sk_adaptive "
            f"reads version {VERSION} only: load it with the release that saved it, or train anew."
        )

    def require(condition, what):
        if not condition:
            raise ValueError(f"The saved state of the model is damaged: {what}.")

    def is_number(value, least=0.0):
        return isinstance(value, Real) and least <= value < np.inf

    learns = can_learn(state)
    names = {"clock", "intercept", "intercept_integral", "progressive_loss", "eta0", "settings"}
    names |= {"records"} if learns or "coef" not in state else {"n_features", "features", "outputs"}
    missing = sorted(names - set(state))
    require(not missing, f"it lacks {missing}")
    settings, intercept = state["settings"], state["intercept"]
    require(isinstance(settings, dict), "its settings are no dict")
    optimizer = settings.get("optimizer")
    require(optimizer in OPTIMIZERS, f"its optimizer {optimizer!r} is not one of {[*OPTIMIZERS]}")
    numbers = {"intercept_scaling", "typical_gradient", "typical_coef", "rows_a_step", "eps"}
    numbers |= {"l1", "l2", "power_t", *OPTIMIZERS[optimizer].parameters}
    names = {"optimizer", "sparse_update", "normalize", "searches", "average", *numbers}
    missing = sorted(names - set(settings))
    require(not missing, f"its settings lack {missing}")
    require(
        settings["sparse_update"] in ("exact", "masked"),
        f"sparse_update is {settings['sparse_update']!r}",
    )
    for name in sorted(numbers):
        require(is_number(settings[name]), f"{name} is {settings[name]!r}")
    require(is_number(state["eta0"]), f"eta0 is {state['eta0']!r}")
    clock = state["clock"]
    require(
        isinstance(clock, np.ndarray) and clock.dtype == CLOCK and clock.shape == (),
        f"clock is {clock!r}",
    )
    t, total, average_start = clock.item()
    require(0 <= t <= LAST_STEP, f"t is {t!r}, not a number of steps")
    require(is_number(total), f"learning_rate_sum is {total!r}")
    average = settings["average"]
    require(
        isinstance(average, Integral) and 0 <= average <= LAST_STEP,
        f"average is {average!r}, not a step",
    )
    require(
        average_start == np.inf or (is_number(average_start) and average_start <= total),
        f"average_start is {average_start!r}",
    )
    for name in ("intercept", "intercept_integral", "progressive_loss"):
        value = state[name]
        require(
            isinstance(value, np.ndarray) and value.dtype == np.float64,
            f"{name} is not a float64 array",
        )
    require(
        intercept.ndim == 2 and intercept.shape[0] == 3 and intercept.shape[1] > 0,
        f"intercept has the shape {intercept.shape}, not (3, n_outputs)",
    )
    require(np.all(np.isfinite(intercept)), "intercept contains NaN or infinity")
    require(state["progressive_loss"].shape == (2,), "progressive_loss is not of two numbers")

    if not learns:
        check_entries(state, n_features, require)
        return
    records = state["records"]
    require(isinstance(records, np.ndarray), "records are no array")
    require(
        records.shape == (n_features,),
        f"records have the shape {records.shape}, but the model has {n_features} features",
    )
    expected = [
        record_dtype(settings, intercept.shape[1], np.dtype(dtype))
        for dtype in (np.float32, np.float64)
    ]
    require(
        records.dtype in expected,
        f"a record has the fields {records.dtype}, which are not those of {optimizer!r} with "
        f"these settings and {intercept.shape[1]} output(s)",
    )
    for name in ("normalize", "searches"):
        require(isinstance(settings[name], bool), f"{name} is {settings[name]!r}")
    if "mixture" in state:
        _check_mixture(state, require)
    if settings["normalize"]:
        scale = state.get("scale")
        require(
            isinstance(scale, np.ndarray)
            and scale.shape == records.shape
            and scale.dtype == precision(state),
            "its scales are not one number a feature",
        )
        require(np.all((scale >= 0) & (scale < np.inf)), "a scale is negative or not finite")
    integral = state["intercept_integral"]
    require(
        integral.shape == intercept.shape[1:] and np.all(np.isfinite(integral)),
        f"intercept_integral is {integral!r}, not a number for each output",
    )
    if "last_step" in records.dtype.names:
        # the kernel looks up the powers of the steps since then in tables
        last_step = records["last_step"]
        require(last_step.min() >= 0 and last_step.max() <= t, "a record is of a step to come")


def _check_mixture(state, require):
    mixture, n_all = state["mixture"], state["intercept"].shape[1]
    require(
        isinstance(mixture, np.ndarray)
        and mixture.dtype == np.float64
        and mixture.flags.c_contiguous
        and mixture.ndim == 2
        and mixture.shape[0] == 2
        and mixture.shape[1] > 1
        and n_all % mixture.shape[1] == 0,
        f"mixture is no array of two numbers for each of the models that have {n_all} output(s)",
    )
    rates, weights = mixture
    require(np.all((rates > 0) & (rates < np.inf)), "the rate of a model is not positive")
    require(
        np.all((weights >= 0) & (weights < np.inf)) and weights.any(),
        "the weights of the models are negative, not finite, or all 0",
    )
