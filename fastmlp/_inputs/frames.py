"""Tables of any library: their columns by position, each read as a Column.

pandas, polars and pyarrow are reached through the methods of the user's object: none is imported.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from .column import Column, seconds
from .objects import raise_unreadable, read_distinct, read_objects

LIBRARIES = ("pandas", "polars", "pyarrow")


@dataclass(frozen=True)
class Table:
    """A user's table.

    Attributes
    ----------
    data : DataFrame, Table or ndarray of shape (n_samples, n_features)
        The table itself.
    library : str
        Whose it is: "pandas", "polars", "pyarrow" or "numpy".
    names : list
        Name of each column; "x0", "x1", ... of an array.
    shape : tuple
        (n_samples, n_features)
    """

    data: Any
    library: str
    names: list
    shape: tuple

    @property
    def is_matrix(self):
        """Whether the table is one array of numbers."""
        return self.library == "numpy" and self.data.dtype.kind in "iuf"

    def read(self, i):
        """Column i; raises ValueError or TypeError if it holds what no network can use."""
        label = f"Column {self.names[i]!r}"
        if self.library == "numpy":
            return read_array(self.data[:, i], label)
        if self.library == "pandas":
            return _read_pandas(self.data.iloc[:, i], label)
        if self.library == "polars":
            return _read_polars(self.data.to_series(i), label)
        return _read_arrow(self.data.column(i), label)


def library_of(X):
    """The library that a data frame is of, or None."""
    for kind in type(X).__mro__:
        root = kind.__module__.split(".")[0]
        if root in LIBRARIES and kind.__name__ in (
            "DataFrame",
            "LazyFrame",
            "Table",
            "RecordBatch",
        ):
            return root
    return None


def open_frame(X):
    """The Table of a data frame."""
    library = library_of(X)
    if library == "polars" and not hasattr(X, "to_series"):
        raise TypeError("X is a polars.LazyFrame: pass X.collect().")
    names = X.column_names if library == "pyarrow" else X.columns
    shape = (X.num_rows, X.num_columns) if library == "pyarrow" else X.shape
    return Table(X, library, list(names), tuple(shape))


def open_array(X):
    """The Table of a two-dimensional array."""
    return Table(X, "numpy", [f"x{i}" for i in range(X.shape[1])], X.shape)


def read_array(values, label, missing=None):
    """The Column of a one-dimensional array."""
    kind = values.dtype.kind
    if kind in "iuf":
        return Column("numbers", values, missing=missing)
    if kind == "b":
        return Column("booleans", values, missing=missing)
    if kind == "M":
        return Column("dates", values, missing=missing)
    if kind == "m":
        return Column("numbers", seconds(values), missing=missing)
    if kind == "c":
        raise ValueError(f"Complex data not supported\n{label} holds complex numbers")
    if kind in "OUT":
        return read_objects(values.astype(object, copy=False), label)
    return raise_unreadable(label, str(values.dtype))


def _read_pandas(series, label):
    """The Column of a pandas Series."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return read_array(series.to_numpy(), label)
    kind, name = dtype.kind, type(dtype).__name__
    if name == "CategoricalDtype":
        return _read_categories(
            series.cat.codes.to_numpy(), series.cat.categories.astype(object).tolist(), label
        )
    if name == "ArrowDtype":
        return _read_arrow(series.array.__arrow_array__(), label)
    if name == "StringDtype":
        codes, distinct = series.factorize()
        return read_distinct(list(distinct), codes, label)
    if name == "DatetimeTZDtype":
        values = series.dt.tz_localize(None).to_numpy()
        return Column("dates", values, time_zone=str(dtype.tz))
    if name == "PeriodDtype":
        return read_array(series.dt.to_timestamp().to_numpy(), label)
    if name == "SparseDtype":
        return _read_pandas(series.sparse.to_dense(), label)
    if kind in "biuf":  # nullable
        missing = series.isna().to_numpy()
        values = series.to_numpy(dtype=dtype.numpy_dtype, na_value=np.nan if kind == "f" else 0)
        return read_array(values, label, missing if kind != "f" and missing.any() else None)
    return raise_unreadable(label, str(dtype))


def _read_polars(series, label):
    """The Column of a polars Series."""
    dtype = series.dtype
    name = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if name == "Null":
        return _nothing(len(series))
    if name in ("Categorical", "Enum"):
        return _read_polars_categories(series, label)
    if name == "String":
        distinct = series.drop_nulls().unique()
        codes = series.replace_strict(distinct, range(len(distinct)), default=-1)
        return read_distinct(distinct.to_list(), codes.to_numpy().astype(np.intp), label)
    if name == "Decimal":
        return read_array(series.cast(float).to_numpy(), label)
    if name == "Object":
        return read_objects(series.to_numpy(), label)
    if dtype.is_float():
        return read_array(series.to_numpy(), label)
    if name in ("Date", "Datetime"):
        zone = getattr(dtype, "time_zone", None)
        local = series.dt.replace_time_zone(None) if zone else series
        return Column("dates", local.to_numpy(), time_zone=zone)
    if name == "Duration":
        return read_array(series.to_numpy(), label)
    if dtype.is_integer() or name == "Boolean":
        missing = series.is_null().to_numpy() if series.null_count() else None
        filled = series.fill_null(False if name == "Boolean" else 0)
        return read_array(filled.to_numpy(), label, missing)
    return raise_unreadable(label, f"polars.{dtype}")


def _read_polars_categories(series, label):
    """The Column of a Categorical or an Enum, of which only categories that occur are read."""
    missing = series.is_null().to_numpy()
    physical = series.to_physical().fill_null(0).to_numpy()
    row = np.full(int(physical.max(initial=0)) + 1, -1)  # the last one of each category
    row[physical[~missing]] = np.flatnonzero(~missing)
    place = np.cumsum(row >= 0) - 1
    codes = np.where(missing, -1, place[physical])
    distinct = series.gather(row[row >= 0]).cast(str).to_list()
    return _read_categories(codes, distinct, label)


def _read_arrow(array, label):
    """The Column of a pyarrow Array or ChunkedArray."""
    pa = sys.modules["pyarrow"]
    types, kind = pa.types, array.type
    if types.is_null(kind):
        return _nothing(len(array))
    is_category = types.is_dictionary(kind)
    if str(kind) == "string_view":
        array = array.cast(pa.string())
    if is_category or types.is_string(array.type) or types.is_large_string(kind):
        array = array.dictionary_encode()
        if isinstance(array, pa.ChunkedArray):
            array = array.unify_dictionaries().combine_chunks()
            if isinstance(array, pa.ChunkedArray):  # of older versions: one chunk, or none
                array = array.chunk(0) if array.num_chunks else None
        if array is None or len(array) == 0:
            return _nothing(0)
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        distinct = array.dictionary.to_pylist()
        if is_category:
            return _read_categories(codes, distinct, label)
        return read_distinct(distinct, codes, label)
    if types.is_decimal(kind):
        array = array.cast(pa.float64())
    if types.is_floating(array.type):
        return read_array(_numpy(array), label)
    if types.is_date(kind):
        return read_array(_numpy(array.cast(pa.date32())), label)
    if types.is_timestamp(kind):
        if kind.tz is None:
            return Column("dates", _numpy(array))
        import pyarrow.compute

        return Column("dates", _numpy(pyarrow.compute.local_timestamp(array)), time_zone=kind.tz)
    if types.is_duration(kind):
        return read_array(_numpy(array), label)
    if types.is_integer(kind) or types.is_boolean(kind):
        missing = _numpy(array.is_null()) if array.null_count else None
        filled = array.fill_null(False if types.is_boolean(kind) else 0)
        return read_array(_numpy(filled), label, missing)
    return raise_unreadable(label, f"pyarrow.{kind}")


def _numpy(array):
    """An Arrow array, or a chunked one, as a NumPy array."""
    if hasattr(array, "num_chunks"):
        return array.to_numpy()
    return array.to_numpy(zero_copy_only=False)


def _read_categories(codes, distinct, label):
    """The Column of a categorical type, of which few rows need not read all categories."""
    if len(codes) < len(distinct):
        used, inverse = np.unique(codes, return_inverse=True)
        codes = np.where(codes < 0, -1, inverse - (used[0] < 0)) if len(codes) else codes
        distinct = [distinct[code] for code in used if code >= 0]
    # Of other types only intervals and periods can be told apart by their text.
    distinct = [
        str(value) if type(value).__name__ in ("Interval", "Period") else value
        for value in distinct
    ]
    return read_distinct(distinct, codes, label, is_category=True)


def _nothing(n_samples):
    """The Column of missing values only."""
    return Column("nothing", np.zeros(0, object), np.full(n_samples, -1))
