"""TableEncoder: from a user's table to the values and codes that a network reads."""

import numbers
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .categories import CategoryColumn
from .dates import DateColumn
from .numeric import NumberColumn, refuse_infinite
from .scaling import BLOCK, SCALINGS, RobustScale, Scaler
from .tables import open_table

CATEGORICAL = ("booleans", "strings", "strings and numbers")  # by "from_dtype"
# What a column of fit may hold at transform, since it is plainly the same data.
SAME = {
    "numbers": {"numbers", "booleans"},
    "booleans": {"numbers", "booleans"},
    "strings": {"strings"},
    "dates": {"dates"},
    "strings and numbers": {"strings", "numbers", "booleans", "strings and numbers"},
}
IDENTITY = RobustScale(1.0, 0.0, 0.0)  # of numbers that are read for their missing values only


@dataclass(frozen=True)
class Input:
    """What one group of units of a network's input layer is computed from.

    Attributes
    ----------
    kind : str
        "numeric": a real number, which may be embedded. "plain": a number that never is, such as a
        missing indicator. "one_hot": a code of a fixed table. "category": a code of a trained one.
    name : str
        Name of the original column.
    column : int
        Number of the original column.
    source : int
        Column of Samples.values (numeric, plain) or of Samples.codes (one_hot, category).
    n_levels : int
        Number of codes; 0 for numbers.
    """

    kind: str
    name: str
    column: int
    source: int
    n_levels: int


class Samples(NamedTuple):
    """Encoded rows of a table.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_values), float32 or float64
        Numbers, C-contiguous.
    codes : ndarray of shape (n_samples, n_codes), uint8, uint16 or int32
        Codes of categories, C-contiguous, in the smallest type that holds those of every column.
    """

    values: np.ndarray
    codes: np.ndarray

    @property
    def shape(self):
        """Shape of the numbers."""
        return self.values.shape


class TableEncoder(BaseEstimator):
    """Encodes the columns of a table: numbers, categories, dates and missing values.

    Tables are arrays, lists of lists, and frames of pandas, polars and pyarrow. Each of them gives
    the same bits for the same data. Columns of objects are read as what they hold.

    - Numbers are scaled by median and quartiles and clipped smoothly (see `scaling`). A missing
      value becomes the median. If a column had missing values in fit, an indicator follows it.
    - Categories become codes. A level that occurred less than `min_category_count` times in fit, or
      never, is "rare"; a missing value is a level of its own.
    - Dates become year, month, day of the month, weekday, hour, and elapsed days.
    - Durations become seconds.

    Inputs that were constant in fit are left out.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Which columns are categories: those of a categorical type, of booleans or of strings; none;
        or those given by name, by number or by a boolean mask. Columns of an array of numbers are
        none by default.
    scaling : {"robust", "quantile"}, default="robust"
        How numbers are scaled. "quantile" maps them to a normal distribution, with scikit-learn's
        QuantileTransformer.
    max_one_hot : int, default=8
        The largest number of levels for which units are fixed ("one_hot") and not trained. All rare
        levels together count as one; missing values do not count.
    min_category_count : int, default=2
        How often a level must occur in fit to have a code of its own. Nothing can be learned of a
        level that occurs once, but many such levels teach what to predict for unknown ones.
    dtype : {np.float32, np.float64}, default=np.float32
        Type of the encoded numbers. They are computed in float64.

    Attributes
    ----------
    inputs_ : tuple of Input
        What the network reads, in the order of columns.
    tables_ : dict
        Index in `inputs_` of each one-hot input -> table of shape (n_levels, n_units), float64.
    columns_ : tuple of NumberColumn, CategoryColumn or DateColumn
        The state of each original column.
    is_categorical_ : ndarray of bool of shape (n_features_in_,)
        Which columns are categories.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Names of columns, if all of them are strings.
    """

    def __init__(
        self,
        *,
        categorical_features="from_dtype",
        scaling="robust",
        max_one_hot=8,
        min_category_count=2,
        dtype=np.float32,
    ):
        self.categorical_features = categorical_features
        self.scaling = scaling
        self.max_one_hot = max_one_hot
        self.min_category_count = min_category_count
        self.dtype = dtype

    def fit(self, X, y=None, sample_weight=None, *, estimator=None):
        """Learns scales and levels.

        Parameters
        ----------
        X : array-like, DataFrame or Table of shape (n_samples, n_features)
            The training table.
        y : ignored
        sample_weight : ndarray of shape (n_samples,), default=None
            Weights of the rows, 0 or greater. Medians and quartiles are weighted; what rows of
            weight 0 hold is not learned; levels are counted by rows.
        estimator : estimator, default=None
            On whose behalf X is checked: its name is in the messages, and its n_features_in_ and
            feature_names_in_ are set. If None, this encoder.

        Returns
        -------
        self : TableEncoder

        Raises
        ------
        ValueError, TypeError
            If X cannot be read; the message names the column.
        """
        self._fit(X, sample_weight, estimator)
        return self

    def fit_transform(self, X, y=None, sample_weight=None, *, estimator=None):
        """The same as fit and transform, but X is read once."""
        return self._encode(*self._fit(X, sample_weight, estimator))

    def transform(self, X, *, estimator=None, dtype=None):
        """The Samples of a table.

        Parameters
        ----------
        X : array-like, DataFrame or Table of shape (n_samples, n_features)
            A table of the columns of fit, in any order if both have names.
        estimator : estimator, default=None
            As in `fit`; it must have the attributes that are set there.
        dtype : {np.float32, np.float64}, default=None
            Type of the numbers; None for the parameter `dtype`.

        Returns
        -------
        samples : Samples

        Raises
        ------
        ValueError, TypeError
            If columns are missing, new, or of another type than in fit.
        """
        check_is_fitted(self)
        table, places = open_table(self if estimator is None else estimator, X, reset=False)
        columns = [
            None if _is_dropped(state) else self._checked(state, table.read(place))
            for state, place in zip(self.columns_, places, strict=True)
        ]
        return self._encode(table, columns, dtype)

    def _fit(self, X, sample_weight, estimator):
        """Fits; returns the table and its columns, as _encode takes them."""
        self._check_parameters()
        owner = self if estimator is None else estimator
        table, places = open_table(owner, X, reset=True)
        self.n_features_in_ = table.shape[1]
        if hasattr(owner, "feature_names_in_"):
            self.feature_names_in_ = owner.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        listed = self._listed(getattr(self, "feature_names_in_", None), table)
        columns, states, is_categorical = [], [], []
        for place in places:
            column, name = table.read(place), str(table.names[place])
            is_category = self._is_category(column, name, listed, place)
            state = self._fit_column(column, name, is_category, sample_weight)
            columns.append(None if _is_dropped(state) else column)
            states.append(state)
            is_categorical.append(is_category)
        self.columns_, self.is_categorical_ = tuple(states), np.array(is_categorical)
        self._set_inputs()
        return table, columns

    def _check_parameters(self):
        """Raises a ValueError if a parameter is not one of its allowed values."""
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling must be one of {SCALINGS}, got {self.scaling!r}.")
        for name, least in (("max_one_hot", 0), ("min_category_count", 1)):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}.")
        if np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {self.dtype!r}.")

    def _listed(self, names, table):
        """The mask of columns that `categorical_features` lists, or None for "from_dtype"."""
        given, n_features = self.categorical_features, table.shape[1]
        if isinstance(given, str) and given == "from_dtype":
            return None
        listed = np.zeros(n_features, bool)
        if given is None:
            return listed
        array = np.asarray(given)
        if array.size == 0:
            return listed
        if array.ndim != 1 or array.dtype.kind not in "biuUTO":
            raise ValueError(
                "categorical_features must be 'from_dtype', None, or a list of names, of column "
                f"numbers or of booleans, got {given!r}."
            )
        if array.dtype.kind == "b":
            if len(array) != n_features:
                raise ValueError(
                    "categorical_features set as a boolean mask should have shape "
                    f"({n_features},), got: {array.shape}."
                )
            return array
        if array.dtype.kind in "iu":
            if array.min() < 0 or array.max() >= n_features:
                raise ValueError(
                    "categorical_features set as integer indices should be in "
                    f"[0, {n_features - 1}], got {given!r}."
                )
            listed[array] = True
            return listed
        if names is None:
            raise ValueError(
                "categorical_features should be passed as integers or as a boolean mask when X "
                "has no names of columns."
            )
        unknown = [name for name in given if name not in set(names)]
        if unknown:
            raise ValueError(
                f"categorical_features has an item value {unknown[0]!r} which is not a valid "
                f"feature name of the training data. Names are {list(names)}."
            )
        return np.isin(names.astype(str), array.astype(str))

    def _is_category(self, column, name, listed, place):
        """Whether a column is one of categories."""
        if listed is None:
            return column.is_category or column.holds in CATEGORICAL
        if not listed[place] and column.holds.startswith("strings"):
            raise ValueError(
                f"Column {name!r} holds {column.holds}, but categorical_features="
                f"{self.categorical_features!r} does not list it: list it, set "
                "categorical_features='from_dtype', or convert it to numbers."
            )
        return bool(listed[place])

    def _fit_column(self, column, name, is_category, weights):
        """The state of a column."""
        if weights is not None:
            if len(weights) != len(column.by_row()[0]):
                raise ValueError(
                    f"sample_weight has {len(weights)} weights, but X has"
                    f" {len(column.by_row()[0])} samples."
                )
            column, weights = column.take(weights > 0), weights[weights > 0]
        if is_category:
            return CategoryColumn.fit(column, name, self.max_one_hot, self.min_category_count)
        if column.holds == "dates" and not column.is_empty():
            return DateColumn.fit(column, name, self.scaling, weights)
        return NumberColumn.fit(column, name, self.scaling, weights)

    def _set_inputs(self):
        """Derives what the columns' states say: inputs, tables, scales, and who reads what."""
        inputs, self.tables_ = [], {}
        parts, numeric, indicators, n_values, n_codes = [], [], [], 0, 0
        for place, state in enumerate(self.columns_):
            if _is_dropped(state):
                continue
            if isinstance(state, CategoryColumn):
                if state.kind == "one_hot":
                    self.tables_[len(inputs)] = state.table()
                inputs.append(Input(state.kind, state.name, place, n_codes, state.n_levels))
                n_codes += 1
                continue
            if state.has_missing:
                indicators.append((len(parts), n_values + len(state.scales)))
            for scale in state.scales:
                numeric.append((len(parts), n_values))
                inputs.append(Input("numeric", state.name, place, n_values, 0))
                parts.append((place, scale))
                n_values += 1
            if not state.scales:
                parts.append((place, IDENTITY))
            if state.has_missing:
                inputs.append(Input("plain", state.name, place, n_values, 0))
                n_values += 1
        if not inputs:  # every column is constant: a network needs an input all the same
            inputs.append(Input("plain", self.columns_[0].name, 0, 0, 0))
            n_values = 1
        self.inputs_ = tuple(inputs)
        self._n_values = n_values
        self._part_columns = [place for place, _ in parts]
        self._scaler = Scaler([scale for _, scale in parts])
        # pairs: column of a block of parts, column of Samples.values
        self._numeric = np.array(numeric, np.intp).reshape(-1, 2).T
        self._indicators = np.array(indicators, np.intp).reshape(-1, 2).T

    def _checked(self, state, column):
        """A column at transform, if it is of the type of fit."""
        if column.holds not in SAME[state.holds] and not column.is_empty():
            raise ValueError(
                f"Column {state.name!r} held {state.holds} in fit, but now holds {column.holds}. "
                f"Convert it to {state.holds}, or fit again."
            )
        zone = getattr(state, "time_zone", None)
        if column.holds == state.holds == "dates" and column.time_zone != zone:
            raise ValueError(
                f"Column {state.name!r} held dates of time zone {zone} in fit, but now of "
                f"{column.time_zone}. Convert them to the time zone of fit."
            )
        return column

    def _encode(self, table, columns, dtype=None):
        """The Samples of columns; those that are left out are None."""
        n_samples, coded = table.shape[0], []
        for state, column in zip(self.columns_, columns, strict=True):
            if isinstance(state, CategoryColumn) and column is not None:
                coded.append(state.encode(column))
        largest = max((item.n_levels for item in self.inputs_), default=0)
        small = np.uint8 if largest <= 1 << 8 else np.uint16
        codes = np.empty((n_samples, len(coded)), small if largest <= 1 << 16 else np.int32)
        for j, column_codes in enumerate(coded):
            codes[:, j] = column_codes
        return Samples(self._values(table, columns, dtype or self.dtype), codes)

    def _values(self, table, columns, dtype):
        """The scaled numbers and the indicators, a block of rows at a time."""
        out = np.zeros((table.shape[0], self._n_values), dtype)
        if not self._part_columns:
            return out
        arrays, masks = self._parts(columns) if not table.is_matrix else (None, {})
        n_parts = len(self._part_columns)
        whole = n_parts == out.shape[1] and self._numeric.shape[1] == n_parts
        n_rows = max(64, BLOCK // n_parts)
        for start in range(0, len(out), n_rows):
            rows = slice(start, min(start + n_rows, len(out)))
            block = np.empty((rows.stop - start, n_parts))
            if arrays is None:
                block[...] = table.data[rows][:, self._part_columns]
            else:
                for j, array in enumerate(arrays):
                    block[:, j] = array[rows]
            for j, mask in masks.items():
                block[mask[rows], j] = np.nan
            if np.isinf(block).any():
                bad = np.isinf(block).any(axis=0).argmax()
                refuse_infinite(block[:, bad], self.columns_[self._part_columns[bad]].name)
            missing = self._scaler.scale(block)
            if whole:
                out[rows] = block
                continue
            out[rows, self._numeric[1]] = block[:, self._numeric[0]]
            if missing is not None:
                out[rows, self._indicators[1]] = missing[:, self._indicators[0]]
        return out

    def _parts(self, columns):
        """The array of every part, and the masks of missing values besides NaN, by part."""
        arrays, masks = [], {}
        for state, column in zip(self.columns_, columns, strict=True):
            if column is None or isinstance(state, CategoryColumn):
                continue
            parts, mask = state.parts(column)
            if mask is not None:
                masks.update((len(arrays) + j, mask) for j in range(len(parts)))
            arrays += parts
        return arrays, masks


def _is_dropped(state):
    """Whether no input reads a column."""
    if isinstance(state, CategoryColumn):
        return state.kind == "constant"
    return not state.scales and not state.has_missing
