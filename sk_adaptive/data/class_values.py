"""Values of classes: text is never the same as a number, and integers lose no digits.

NumPy makes text of the numbers beside text, and floats of a uint64 and an int64: different classes
would become one.
"""

import numpy as np


def as_given(y, name):
    """What a user passes as y or classes, in a form whose values scikit-learn does not change.

    It would make floats of the integers and booleans of data frames that know missing values, and
    NumPy takes zeros from the ends of text.
    """
    if type(y) in (list, tuple):
        refuse_mixture(y, name)
        if y and isinstance(y[0], str):
            return np.array(y, dtype=object)
    elif isinstance(y, np.ndarray) and y.dtype.kind == "T":
        return y.astype(object)
    elif hasattr(y, "isna"):
        missing = np.asarray(y.isna())
        if missing.any():
            raise ValueError(
                f"{name} contains NaN, or another value for what is missing, at position "
                f"{np.argwhere(missing)[0, 0]}."
            )
        dtypes = [y.dtype] if y.ndim == 1 else list(y.dtypes)
        dtypes = [getattr(dtype, "numpy_dtype", None) for dtype in dtypes]
        if dtypes and all(dtype is not None and dtype.kind in "biu" for dtype in dtypes):
            return y.astype(np.result_type(*dtypes))
    if getattr(getattr(y, "dtype", None), "kind", None) == "O":
        values = np.asarray(y)
        if is_text(values):
            refuse_mixture(values.ravel(), name)
    return y


def refuse_mixture(values, name):
    """Refuse a list of text and of something else."""
    if len({isinstance(value, str) for value in values}) > 1:
        first = isinstance(values[0], str)
        place = next(i for i, value in enumerate(values) if isinstance(value, str) != first)
        raise ValueError(
            f"{name} mixes text with what is no text: {values[0]!r} comes first, and "
            f"{values[place]!r} at position {place}."
        )


def words(values, name):
    """Python's strings, as columns of data frames have them, as NumPy's; other arrays as is."""
    if values.dtype.kind != "O" or not is_text(values):
        return values
    refuse_mixture(values.ravel(), name)
    as_numpy = values.astype(str)
    # which have no zeros at the end
    return as_numpy if (as_numpy == values).all() else values


def is_text(values):
    """Whether an array that `words` has accepted is of text."""
    kind = values.dtype.kind
    return kind == "U" or (kind == "O" and values.size > 0 and isinstance(values.flat[0], str))


def codes_of(values, classes):
    """The number of the class of each value, and whether there is one.

    Parameters
    ----------
    values, classes : arrays of classes
        The latter sorted. Objects are strings.

    Returns
    -------
    codes : int ndarray
        Any number where there is no class.
    known : bool ndarray
    """
    same = None
    if values.dtype.kind != classes.dtype.kind:
        values, same = _in_type_of(classes, values)
    # the first class that is not less; behind the last where all are
    codes = classes.searchsorted(values)
    known = classes.take(codes, mode="clip") == values
    return codes, known if same is None else known & same


def all_same(values, others):
    """Whether two arrays of the same shape have the same classes, one by one."""
    same = True
    if values.dtype.kind != others.dtype.kind:
        values, same = _in_type_of(others, values)
    return bool(np.all(same & (values == others)))


def _in_type_of(classes, values):
    """Values in the type of the classes, and which of them are the same in it."""
    kinds = {values.dtype.kind, classes.dtype.kind}
    if kinds <= set("UO"):
        return values, True
    if not kinds <= set("biuf"):
        return np.full(values.shape, classes[0]), False
    with np.errstate(invalid="ignore", over="ignore"):
        cast = values.astype(classes.dtype)
        back = cast.astype(values.dtype)
    return cast, (back == values) & ((cast < 0) == (values < 0))


def factors_of(class_weight, classes):
    """The factor of each class by a dict, whose keys are classes; 1 for those it does not name."""
    unnamed = [one for one in classes if one not in class_weight]
    # Other keys may be classes of other rows, unless a class has been misspelt.
    if unnamed and classes.size - len(unnamed) != len(class_weight):
        raise ValueError(
            f"The classes {np.array(unnamed)} are not in class_weight, whose keys are "
            f"{list(class_weight)}."
        )
    factors = np.array([class_weight.get(one, 1.0) for one in classes], dtype=np.float64)
    if not np.all((factors >= 0) & (factors < np.inf)):
        raise ValueError(f"class_weight must be finite and not negative. Got {factors}.")
    return factors
