"""Models as dicts of arrays, numbers and strings, so that whatever saves estimators saves them."""

import numpy as np

from ..data.columns import COLUMN
from ..kernel.optimizers import OPTIMIZERS
from .first_rows import N_FIRST, first_row_dtype
from .hyperparameters import LAST_STEP, Hyperparameters
from .mixture import Mixture
from .model import Model
from .records import CLOCK
from .served import ServedModel
from .settings import SETTING

VERSION = 6


def to_dict(model):
    """A dict of a model, which shares its arrays.

    Parameters
    ----------
    model : Model, Mixture or ServedModel
    """
    saved = {"version": VERSION, "hyperparameters": model.hyperparameters.saved()}
    if isinstance(model, ServedModel):
        names = ("n_features", "features", "outputs", "coef", "intercept", "clock")
        names += ("progressive_loss",)
    else:
        names = (*model.SMALL_ARRAYS, *model.LARGE_ARRAYS)
        saved |= {"clock_rate": model.clock_rate} if model.clock_rate else {}
    arrays = {name: getattr(model, name) for name in names}
    return saved | {name: value for name, value in arrays.items() if value is not None}


def of_dict(saved, n_features):
    """The model of a dict, refused where the kernel, which follows records unchecked, might crash.

    Parameters
    ----------
    saved : dict
        As `to_dict` makes it.
    n_features : int
        The number of features that the estimator has.

    Raises
    ------
    ValueError
        If the model is of another version, or its parts do not fit together.
    """
    version = saved.get("version") if isinstance(saved, dict) else None
    if version != VERSION:
        raise ValueError(
            f"The saved model has a state of version {version!r}, but this release of sk_adaptive "
            f"reads version {VERSION} only: load it with the release that saved it, or train anew."
        )
    try:
        parts = {name: value for name, value in saved.items() if name != "version"}
        numbers = Hyperparameters.of_saved(parts.pop("hyperparameters"))
        return (_served if "coef" in parts else _learner)(numbers, parts, n_features)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"The saved state of the model is damaged: {error!r}.") from error


def _require(condition, what):
    if not condition:
        raise ValueError(f"The saved state of the model is damaged: {what}.")


def _require_arrays(parts, **expected):
    """Refuse what is no array of this type and shape."""
    for name, (dtype, shape) in expected.items():
        array = parts[name]
        _require(
            isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == shape,
            f"{name} is not an array of the shape {shape} and the type {dtype}",
        )


def _learner(numbers, parts, n_features):
    is_mixture = "settings" in parts
    model = object.__new__(Mixture if is_mixture else Model)
    model.__dict__.update(scale=None, clock_rate=None, _optimizer=None)
    model.__dict__.update(parts, hyperparameters=numbers)
    n_outputs = np.shape(model.intercept)[-1]
    _require(n_outputs > 0, "there is no intercept")
    _require_arrays(
        parts,
        intercept=(np.float64, (3, n_outputs)),
        intercept_integral=(np.float64, (n_outputs,)),
        clock=(CLOCK, ()),
        progressive_loss=(np.float64, (5,)),
    )
    if is_mixture:
        n_models = np.size(model.weights)
        each = np.float64, (n_models,)
        _require_arrays(
            parts,
            settings=(SETTING, (n_models,)),
            weights=each,
            unit=(np.float64, (2,)),
            first_rows=(first_row_dtype(n_models), (N_FIRST,)),
            pause=(np.int64, (2,)),
            occurred=(np.int64, (1 + n_outputs // n_models,)),
        )
        _require(n_outputs % n_models == 0, "its models have no equal numbers of outputs")
        count, outputs = parts["occurred"][0], parts["occurred"][1:]
        _require(
            0 <= count <= outputs.size and np.all((outputs >= 0) & (outputs < outputs.size)),
            "outputs are counted that it has not",
        )
        model.begin_mixing()
    _require(
        model.clock_rate is None or all(isinstance(rate, float) for rate in model.clock_rate),
        "the rate of its clock is no pair of numbers",
    )
    _require(numbers.optimizer in OPTIMIZERS, f"there is no optimizer {numbers.optimizer!r}")
    if numbers.controls is not None:
        _require_controls(numbers.controls, n_features)
    records = model.records
    expected = [model.record_dtype(n_outputs, np.dtype(dtype)) for dtype in ("f4", "f8")]
    dtype = expected[records.dtype == expected[1]]
    _require_arrays(parts, records=(dtype, (n_features,)))
    _require_arrays(parts, columns=(COLUMN, (np.size(parts["columns"]),)))
    features = model.columns["feature"]
    _require(
        np.all(np.diff(features) > 0) and np.all((features >= 0) & (features < n_features)),
        "its columns are not features in their order",
    )
    if numbers.normalize:
        _require_arrays(parts, scale=(model.dtype, (n_features,)))
    _require(0 <= model.t <= LAST_STEP, f"t is {model.t}, not a number of steps")
    if "last_step" in records.dtype.names:
        # the kernel looks up the powers of the steps since then in tables
        last_step = records["last_step"]
        _require(
            last_step.min() >= 0 and last_step.max() <= model.t, "a record is of a step to come"
        )
    # what is written to belongs to nobody else, as to another process that maps the same file
    model.own_small_arrays()
    return model


def _require_controls(controls, n_features):
    for array in controls.arrays():
        _require(
            isinstance(array, np.ndarray)
            and array.dtype == np.float64
            and array.shape in ((1,), (n_features,)),
            "bounds or factors are not one number, or one for each feature",
        )


def _served(numbers, parts, n_features):
    coef, n_outputs = parts["coef"], parts["intercept"].size
    _require(
        parts["n_features"] == n_features,
        f"it is of {parts['n_features']!r} features, but the model has {n_features}",
    )
    _require(coef.dtype in (np.float32, np.float64), "coef is no array of numbers")
    for name, size in (("features", n_features), ("outputs", n_outputs)):
        place = parts[name]
        _require(
            place.shape == coef.shape and coef.ndim == 1 and place.dtype.kind == "u",
            f"{name} are not one whole number a coefficient",
        )
        _require(not place.size or place.max() < size, f"{name} are beyond the model's")
    _require(np.all(np.diff(parts["features"].astype(np.int64)) >= 0), "features are not sorted")
    _require_arrays(
        parts,
        intercept=(np.float64, (n_outputs,)),
        clock=(CLOCK, ()),
        progressive_loss=(np.float64, (5,)),
    )
    entries = tuple(parts[name] for name in ("features", "outputs", "coef"))
    others = (parts[name] for name in ("intercept", "clock"))
    return ServedModel(numbers, n_features, entries, *others, parts["progressive_loss"].copy())
