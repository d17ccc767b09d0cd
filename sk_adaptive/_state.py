"""The state of a model: feature records, intercepts and the clock, as plain arrays.

A state is a dict of NumPy arrays, numbers and strings, so that whatever saves
estimators saves it:

``version``
    Of this layout.
``records``
    Structured array of shape (n_features,), see `record_dtype`.
``intercept``
    float64 array of shape (3, n_outputs): intercepts and their two moments.
``t``
    Steps done.
``learning_rate_sum``
    The sum of the learning rates of these steps, which penalties are charged by.
``average_start``
    That sum when averaging began; infinity if it has not.
``intercept_integral``
    float64 array of shape (n_outputs,): the intercepts times the learning rates since then, summed.
``eta0``
    The learning rate, as "auto" or "adaptive" have made it; 0 before "auto" has seen a row.
``scale``
    With normalize: array of shape (n_features,), the largest size that each feature has had.
    Weights and moments in the records are those of the features over their scale. It is 0
    before the first; a feature that has a weight by then counts as one of scale 1.
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

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from ._registry import OPTIMIZERS, kernel
from ._serving import KeptCoefficients, check_entries, entries_of

VERSION = 3
CACHE_LINE = 64

# Those whose size does not follow the number of features.
SMALL_ARRAYS = ("intercept", "intercept_integral", "progressive_loss")

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
            f"{size / 1e9:,.1f} GB. Hash to fewer features, as n_features of FeatureHasher and "
            "HashingVectorizer says; float32 rows, and optimizers with fewer moments, take fewer "
            "bytes."
        ) from None
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n * dtype.itemsize].view(dtype)


def new_state(settings, eta0, n_features, n_outputs, dtype, coef=None, intercept=None, scale=None):
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
    """
    state = {
        "version": VERSION,
        "records": allocate(n_features, record_dtype(settings, n_outputs, np.dtype(dtype))),
        "intercept": np.zeros((3, n_outputs)),
        "t": 0,
        "learning_rate_sum": 0.0,
        "average_start": np.inf,
        "intercept_integral": np.zeros(n_outputs),
        "eta0": eta0 if isinstance(eta0, tuple) else float(eta0),
        "settings": settings,
        "progressive_loss": np.zeros(2),
    }
    if settings["normalize"]:
        state["scale"] = np.zeros(n_features, dtype) if scale is None else scale
    if coef is not None:
        optimizer = make_optimizer(state)
        optimizer.continue_as(optimizer, np.array(_to_scale(coef, state), dtype, order="C"))
    if intercept is not None:
        state["intercept"][0] = intercept
    return state


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
    n_outputs, features = state["intercept"].shape[1], all_features(state)
    optimizer = make_optimizer(state)
    # a few at a time, as there may not be memory for all outputs of all features
    blocks = (
        coefficients(state, features[start : start + FEATURES_AT_ONCE], optimizer)
        for start in range(0, features.size, FEATURES_AT_ONCE)
    )
    kept = {name: value for name, value in state.items() if name not in ("records", "scale")}
    kept["intercept"] = np.vstack([intercepts(state), np.zeros((2, n_outputs))])
    kept["average_start"], kept["n_features"] = np.inf, features.size
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
    copies = {name: state[name].copy() for name in SMALL_ARRAYS if not _is_own(state[name])}
    return {**state, **copies}


def make_optimizer(state):
    """The kernel's optimizer on this state. It changes the arrays; `save_clock` the rest.

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
    for name in (*SMALL_ARRAYS, "scale"):
        if name in state and not _is_own(state[name]):
            state[name] = state[name].copy()
    settings = state["settings"]
    spec = OPTIMIZERS[settings["optimizer"]]
    return getattr(kernel(precision(state)), spec.kernel_class)(
        records,
        state["intercept"],
        n_outputs=state["intercept"].shape[1],
        t=state["t"],
        learning_rate_sum=state["learning_rate_sum"],
        eta0=state["eta0"],
        power_t=settings["power_t"],
        l1=settings["l1"],
        l2=settings["l2"],
        exact=settings["sparse_update"] == "exact",
        eps=settings["eps"],
        intercept_scaling=settings["intercept_scaling"],
        average=settings["average"],
        average_start=state["average_start"],
        intercept_integral=state["intercept_integral"],
        **{name: settings[name] for name in spec.parameters},
    )


def save_clock(state, optimizer):
    state["t"] = optimizer.t
    state["learning_rate_sum"] = optimizer.learning_rate_sum
    state["average_start"] = optimizer.average_start


def end_step(state):
    """Let no record be of a step that the clock has not come to, as after half a step."""
    records = state["records"]
    t, total = state["t"], state["learning_rate_sum"]
    for name, clock in (("last_step", t), ("charged", total), ("integrated", total)):
        if name in records.dtype.names:
            field = records[name]
            now = field.dtype.type(clock)
            # few: the others' pages stay shared
            late = np.flatnonzero(field > now)
            field[late] = now


def of_outputs(state, outputs, features, optimizer, compact=False):
    """The state of some of the outputs, as if they had been alone.

    Parameters
    ----------
    state : dict
    outputs : int ndarray
    features : int64 ndarray
        The features whose records are not those of a new state.
    optimizer : Optimizer
        Of the state.
    compact : bool
        Whether these are the only features of the result, numbered in this order.
    """

    def taken(value):
        values = np.broadcast_to(value, state["intercept"].shape[1])[outputs].tolist()
        return values[0] if len(set(values)) == 1 else tuple(values)

    settings = {**state["settings"]}
    settings |= {name: taken(settings[name]) for name in BY_OUTPUT}
    # Learning-rate sums are those of the first output, which may be another now.
    growth = optimizer.growth_of_sums()
    unit = growth[outputs[0]] / growth[0]
    n_features = features.size if compact else state["records"].shape[0]
    scale = state.get("scale")
    part = new_state(
        settings,
        taken(state["eta0"]),
        n_features,
        outputs.size,
        precision(state),
        scale=scale[features] if compact and scale is not None else scale,
    )
    part["t"] = optimizer.t
    part["learning_rate_sum"] = unit * optimizer.learning_rate_sum
    part["average_start"] = unit * optimizer.average_start
    part["intercept"][...] = state["intercept"][:, outputs]
    part["intercept_integral"][...] = unit * state["intercept_integral"][outputs]
    old, new = state["records"], part["records"]
    places = slice(None) if compact else features
    for name in new.dtype.names:
        values = old[name][features]
        values = values[:, outputs] if values.ndim == 2 else values
        if unit != 1 and name in ("charged", "integrated", "integral"):
            values = values * new.dtype[name].base.type(unit)
            if name != "integral":
                # no later than now, whatever rounding did
                now = values.dtype.type(part["learning_rate_sum"])
                values = np.minimum(values, now)
        new[name][places] = values
    return part


def all_features(state):
    return np.arange(n_features(state), dtype=np.int64)


def coefficients(state, features=None, optimizer=None):
    """The weights of these features, or of all, as of now: of shape (n_outputs, n).

    Their averages, if there are any.
    """
    if features is None:
        features = all_features(state)
    out = np.empty((state["intercept"].shape[1], features.size), precision(state))
    optimizer = make_optimizer(state) if optimizer is None else optimizer
    optimizer.weights(features, out)
    if "scale" in state:
        scale = state["scale"][features]
        np.divide(out, scale, out=out, where=scale > 0)
    return out


def intercepts(state):
    """The intercepts as of now, or their averages."""
    span = state["learning_rate_sum"] - state["average_start"]
    return state["intercept_integral"] / span if span > 0 else state["intercept"][0]


def textbook_state(state):
    """The moments of the textbook as of now, by name: float64 of shape (n_outputs, n_features)."""
    settings, records = state["settings"], state["records"]
    ages = "last_step" in records.dtype.names
    moments = {}
    for moment in OPTIMIZERS[settings["optimizer"]].moments:
        values = records[moment.field].T.astype(np.float64)
        values = moment.textbook(values, settings["eps"], state["eta0"])
        if ages:
            values *= settings[moment.memory] ** (state["t"] - records["last_step"])
        moments[moment.name] = values
    return moments


def effective_learning_rates(state):
    """What the last step multiplied a gradient by, or the first will: as `textbook_state`."""
    settings, t = state["settings"], state["t"]
    spec = OPTIMIZERS[settings["optimizer"]]
    *_, squares = textbook_state(state).values()
    parameters = {name: settings[name] for name in spec.parameters}
    rate = state["eta0"] / max(t, 1) ** settings["power_t"]
    return rate / spec.divisor(squares, settings["eps"], t, **parameters)


def is_same_kind(state, settings):
    """Whether these settings treat gradients, idle coefficients and scales as the state's do."""
    kind = ("optimizer", "sparse_update", "normalize")
    return all(settings[name] == state["settings"][name] for name in kind)


def with_settings(state, settings, eta0):
    """This state as it goes on under other settings or another learning rate.

    Weights, moments and the clock stay what they are and what is pending is
    applied as it was due. Settings of another kind start anew from the weights.
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
    return _successor(state, state["settings"], state["eta0"], np.array(coef, order="C"))


def with_intercepts(state, value):
    """This state with other intercepts."""
    # copies, as a memory-mapped model is read-only
    intercept = state["intercept"].copy()
    intercept[0] = value
    span = max(state["learning_rate_sum"] - state["average_start"], 0.0)
    return {**state, "intercept": intercept, "intercept_integral": span * intercept[0]}


def _successor(state, settings, eta0, coef):
    n_outputs = state["intercept"].shape[1]
    n_features = state["records"].shape[0]
    successor = new_state(
        settings, eta0, n_features, n_outputs, precision(state), scale=state.get("scale")
    )
    successor["intercept"][...] = state["intercept"]
    successor["progressive_loss"][...] = state["progressive_loss"]
    if state["settings"]["average"] and 0 < settings["average"] <= state["t"]:
        successor["average_start"] = state["average_start"]
        successor["intercept_integral"][...] = state["intercept_integral"]
    optimizer = make_optimizer(successor)
    make_optimizer(state).continue_as(optimizer, coef)
    save_clock(successor, optimizer)
    return successor


def snapshot(state):
    """A copy, which further steps do not change."""
    return {name: _copy(value) for name, value in state.items()}


def _copy(value):
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
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
    names = {"intercept", "intercept_integral", "progressive_loss", "t"}
    names |= {"records"} if learns or "coef" not in state else {"n_features", "features", "outputs"}
    names |= {"learning_rate_sum", "average_start", "eta0", "settings"}
    missing = sorted(names - set(state))
    require(not missing, f"it lacks {missing}")
    settings, intercept = state["settings"], state["intercept"]
    require(isinstance(settings, dict), "its settings are no dict")
    optimizer = settings.get("optimizer")
    require(optimizer in OPTIMIZERS, f"its optimizer {optimizer!r} is not one of {[*OPTIMIZERS]}")
    numbers = {"intercept_scaling", "typical_gradient", "typical_coef", "rows_a_step", "eps"}
    numbers |= {"l1", "l2", "power_t", *OPTIMIZERS[optimizer].parameters}
    names = {"optimizer", "sparse_update", "normalize", "average", *numbers}
    missing = sorted(names - set(settings))
    require(not missing, f"its settings lack {missing}")
    require(
        settings["sparse_update"] in ("exact", "masked"),
        f"sparse_update is {settings['sparse_update']!r}",
    )
    for name in sorted(numbers):
        require(is_number(settings[name]), f"{name} is {settings[name]!r}")
    for name in ("learning_rate_sum", "eta0"):
        require(is_number(state[name]), f"{name} is {state[name]!r}")
    average, average_start = settings["average"], state["average_start"]
    require(
        isinstance(average, Integral) and 0 <= average <= LAST_STEP,
        f"average is {average!r}, not a step",
    )
    require(
        average_start == np.inf
        or (is_number(average_start) and average_start <= state["learning_rate_sum"]),
        f"average_start is {average_start!r}",
    )
    t = state["t"]
    require(isinstance(t, Integral) and 0 <= t <= LAST_STEP, f"t is {t!r}, not a number of steps")

    for name in SMALL_ARRAYS:
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
    require(isinstance(settings["normalize"], bool), f"normalize is {settings['normalize']!r}")
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
