"""Which table X is: its kind, its names, and whether they are those of fit."""

import numpy as np
from sklearn.utils.validation import validate_data

from .frames import library_of, open_array, open_frame

PLAIN = (int, float, np.integer, np.floating)  # what a list of lists may hold to be an array


def open_table(owner, X, *, reset):
    """The Table that X is, checked in scikit-learn's words on behalf of the estimator `owner`.

    If `reset`, n_features_in_ and feature_names_in_ of the owner are set, else X is checked against
    them. Returns the Table and, unless `reset`, the position in it of each column of fit.
    """
    if library_of(X) is None:
        if isinstance(X, (list, tuple)):
            X = _array_of_lists(X)
        X = validate_data(owner, X, reset=reset, dtype=None, ensure_all_finite=False)
        table = open_array(np.asarray(X))
        return table, range(table.shape[1])
    table = open_frame(X)
    for size, what in zip(table.shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what}(s) (shape={table.shape}) while a minimum of 1 is "
                f"required by {type(owner).__name__}."
            )
    if reset:
        _set_names(owner, table)
        return table, range(table.shape[1])
    return table, _places(owner, table)


def string_names(names):
    """Names of columns as an array, or None if they are no strings."""
    strings = [isinstance(name, str) for name in names]
    if any(strings) and not all(strings):
        types = sorted({type(name).__qualname__ for name in names})
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {types} as feature name / column name types. If you want feature names to "
            "be stored and validated, you must convert them all to strings, by using X.columns = "
            "X.columns.astype(str) for example."
        )
    return np.array(names, dtype=object) if all(strings) else None


def _set_names(owner, table):
    """Sets the attributes that describe the columns of the training table."""
    owner.n_features_in_ = table.shape[1]
    names = string_names(table.names)
    if names is not None:
        owner.feature_names_in_ = names
    elif hasattr(owner, "feature_names_in_"):
        del owner.feature_names_in_


def _places(owner, table):
    """The position in a frame of each column of fit."""
    names, fitted = string_names(table.names), getattr(owner, "feature_names_in_", None)
    if names is None or fitted is None:  # scikit-learn warns if one has names, and counts columns
        validate_data(owner, table.data, reset=False, skip_check_array=True)
        return range(table.shape[1])
    if list(names) == list(fitted):
        return range(table.shape[1])
    for these, where in ((list(names), "X"), (list(fitted), "The table passed to fit")):
        place = {name: i for i, name in enumerate(these)}
        if len(place) < len(these):
            repeated = next(name for i, name in enumerate(these) if place[name] != i)
            raise ValueError(
                f"{where} has several columns of the name {repeated!r}, so columns cannot be "
                "found by name. Pass the columns in the same order as in fit, or rename them."
            )
    place = {name: i for i, name in enumerate(names)}
    if set(place) != set(fitted):
        validate_data(owner, table.data, reset=False, skip_check_array=True)  # raises
    return [place[name] for name in fitted]


def _array_of_lists(X):
    """Lists of numbers unchanged; lists that hold anything else as an array of objects."""
    try:
        array = np.array(X, dtype=object)
    except ValueError:  # of unequal lengths: NumPy's words are those of scikit-learn
        return X
    if array.ndim != 2 or all(issubclass(kind, PLAIN) for kind in set(map(type, array.flat))):
        return X
    return array
