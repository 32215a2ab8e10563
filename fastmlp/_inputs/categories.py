"""CategoryColumn: the levels of a column of categories, and the code of each."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from .objects import is_missing
from .scaling import RobustScale

MANY = 20  # rows from which strings that differ are told


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories after fit.

    The code of a level is its place in `levels`. The next code is that of a rare or unknown level,
    and the one after it that of a missing value. In a trained table (`kind` "category") a missing
    value has a code of its own only if values were missing in fit; else it counts as unknown.

    Attributes
    ----------
    name : str
        Its name.
    holds : str
        What the levels are: "numbers", "booleans", "strings", "dates" or "strings and numbers".
    kind : str
        "one_hot", "category", or "constant" if all rows have the same code.
    levels : tuple
        Levels in order: numbers, then strings.
    counts : ndarray of int of shape (n_levels,)
        How often each code occurred in fit.
    time_zone : str
        Time zone of levels that are dates.
    """

    name: str
    holds: str
    kind: str
    levels: tuple
    counts: np.ndarray
    time_zone: str | None = None
    lookup: dict = field(default=None, repr=False, compare=False)

    @classmethod
    def fit(cls, column, name, max_one_hot, min_category_count):
        column = column.distinct()
        totals, n_missing = {}, 0
        occurrences = np.bincount(column.codes + 1, minlength=len(column.values) + 1).tolist()
        for level, count in zip(level_list(column), occurrences[1:], strict=True):
            if is_missing(level):
                n_missing += count
            elif count:
                totals[level] = totals.get(level, 0) + count
        n_missing += occurrences[0]
        kept = [level for level, count in totals.items() if count >= min_category_count]
        levels = tuple(sorted(kept, key=_order))
        n_rare = sum(totals.values()) - sum(totals[level] for level in levels)
        counts = np.array([*(totals[level] for level in levels), n_rare, n_missing])
        if np.count_nonzero(counts) <= 1:
            kind = "constant"
        elif len(levels) + (n_rare > 0) <= max_one_hot:
            kind = "one_hot"
        else:
            kind = "category"
            counts = counts if n_missing else counts[:-1]
        if column.holds == "strings" and n_rare > 0.5 * sum(totals.values()) >= MANY / 2:
            warnings.warn(
                f"Nearly every row of column {name!r} holds another string, so that it tells the"
                " network little. Convert dates by pandas.to_datetime, and numbers by"
                " astype(float); drop names and identifiers."
            )
        lookup = {level: code for code, level in enumerate(levels)}
        return cls(name, column.holds, kind, levels, counts, column.time_zone, lookup)

    @property
    def n_levels(self):
        """Number of codes."""
        return len(self.counts)

    def encode(self, column):
        """The code of each row of a Column."""
        column = column.distinct()
        n_kept = len(self.levels)
        last = self.n_levels - 1
        codes = [
            last if is_missing(level) else self.lookup.get(level, n_kept)
            for level in level_list(column)
        ]
        # the code -1, of a missing value, finds the last one
        return np.array([*codes, last])[column.codes]

    def table(self):
        """The values of a one-hot input for each code, float64 of shape (n_levels, n_units).

        Two codes that occurred are told apart by one column of -1 and 1, in which the others are 0.
        Else each code that occurred has a column in which it is 1 and the others are 0, except that
        two levels share one of -1 and 1. Every column is scaled as numbers are, by its values in
        the training rows.
        """
        occurred, n_kept = np.flatnonzero(self.counts), len(self.levels)
        one_hot = np.eye(self.n_levels)
        if len(occurred) == 2:
            columns = [one_hot[occurred[1]] - one_hot[occurred[0]]]
        elif n_kept == 2:
            columns = [one_hot[1] - one_hot[0], *(one_hot[code] for code in occurred[2:])]
        else:
            columns = [one_hot[code] for code in occurred]
        return np.column_stack([RobustScale.fit_counts(c, self.counts)(c) for c in columns])


def level_list(column):
    """The distinct values of a Column as plain Python objects."""
    if column.values.dtype.kind == "M":
        return column.values.astype("M8[us]").tolist()
    return column.values.tolist()


def _order(level):
    """Key by which levels are sorted: numbers before strings, each in their order."""
    if isinstance(level, str):
        return 1, 0, level
    return 0, level, ""
