"""Column: one column of a table, in one form for all libraries."""

from dataclasses import dataclass, replace

import numpy as np

DAY = np.timedelta64(1, "D")
# What a column may hold, in the words of messages.
HOLDINGS = ("numbers", "booleans", "strings", "dates", "strings and numbers", "nothing")


@dataclass(slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    holds : str
        One of `HOLDINGS`; "nothing" if every value is missing.
    values : ndarray
        The values. Their type is numeric for numbers, bool for booleans, datetime64 for dates, else
        object. NaN and NaT are missing values.
    codes : ndarray of int of shape (n_samples,), default=None
        The index in `values` of each row, or -1 for a missing value. If None, there is one value
        per row.
    missing : ndarray of bool of shape (n_samples,), default=None
        Rows whose value is missing, in addition to NaN and NaT.
    is_category : bool, default=False
        Whether the column's type says that its values are categories.
    time_zone : str, default=None
        Time zone of the dates, which are the local ones; None if they have none.
    """

    holds: str
    values: np.ndarray
    codes: np.ndarray | None = None
    missing: np.ndarray | None = None
    is_category: bool = False
    time_zone: str | None = None

    def by_row(self):
        """The values of all rows, and a mask of those missing besides NaN and NaT, or None."""
        if self.codes is None:
            return self.values, self.missing
        missing = self.codes < 0
        if len(self.values) == 0:
            return np.zeros(len(self.codes)), missing
        return self.values[self.codes], missing

    def take(self, rows):
        """The column of some rows."""
        missing = None if self.missing is None else self.missing[rows]
        if self.codes is None:
            return replace(self, values=self.values[rows], missing=missing)
        return replace(self, codes=self.codes[rows], missing=missing)

    def is_empty(self):
        """Whether all values are missing."""
        values, missing = self.by_row()
        if values.dtype.kind in "fM":
            missing = (values != values) | (False if missing is None else missing)
        return missing is not None and bool(missing.all())

    def distinct(self):
        """The same column with codes; values may be repeated, missing, or of no row."""
        if self.codes is not None:
            return self
        values, missing = self.values, self.missing
        if values.dtype == bool:
            values, codes = np.array([False, True]), values.astype(np.int8)
        else:
            values, codes = _distinct_numbers(values)
        if missing is not None:
            codes = np.where(missing, -1, codes)
        return Column(self.holds, values, codes, None, self.is_category, self.time_zone)


def _distinct_numbers(values):
    """Distinct numbers or dates, and the index of each row; a short range of integers is kept."""
    if values.dtype.kind in "iu" and len(values):
        wide = values if values.dtype.itemsize == 8 else values.astype(np.int64)
        low, length = wide.min(), int(wide.max()) - int(wide.min()) + 1
        if length <= max(1024, len(values)):
            return np.arange(length).astype(wide.dtype) + low, (wide - low).astype(np.intp)
    return np.unique(values, return_inverse=True)


def seconds(durations):
    """Seconds of timedelta64 of any unit, NaN for NaT: the same bits for each unit."""
    whole = durations.astype("m8[s]")
    rest = (durations - whole).astype("m8[ns]")
    result = whole.astype(np.int64) + rest.astype(np.int64) / 1e9
    return np.where(np.isnat(durations), np.nan, result)
