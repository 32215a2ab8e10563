"""DateColumn: what a calendar says of a column of dates."""

from dataclasses import dataclass

import numpy as np

from .numeric import fit_scale

PARTS = ("year", "month", "day", "weekday", "hour", "elapsed")


def calendar(dates, first, parts=PARTS):
    """Arrays of the parts of dates, float64, NaN where a date is missing.

    Parameters
    ----------
    dates : ndarray of datetime64 of shape (n_samples,)
        Local times of any unit; the result does not depend on it.
    first : ndarray of datetime64[D] of shape ()
        The day from which elapsed days are counted.
    parts : sequence of str
        Of PARTS: year, month (1 to 12), day of the month, weekday (0 is Monday), hour (with its
        fraction), and days elapsed (with theirs).
    """
    missing = np.isnat(dates)
    dates = np.where(missing, first.astype(dates.dtype), dates)
    days = dates.astype("M8[D]")
    months, years = days.astype("M8[M]"), days.astype("M8[Y]")
    nanoseconds = (dates - days).astype("m8[ns]").astype(np.int64)
    compute = {
        "year": lambda: years.astype(np.int64) + 1970,
        "month": lambda: (months - years).astype(np.int64) + 1,
        "day": lambda: (days - months).astype(np.int64) + 1,
        "weekday": lambda: (days.astype(np.int64) + 3) % 7,
        "hour": lambda: nanoseconds / 3600e9,
        "elapsed": lambda: (days - first).astype(np.int64) + nanoseconds / 86400e9,
    }
    return [np.where(missing, np.nan, compute[part]()) for part in parts]


@dataclass(frozen=True)
class DateColumn:
    """A column of dates after fit.

    Attributes
    ----------
    name : str
        Its name.
    first : ndarray of datetime64[D] of shape ()
        The earliest day in fit.
    kept : tuple of str
        Those of PARTS that were not constant in fit.
    scales : tuple
        The scale of each of them.
    has_missing : bool
        Whether dates were missing in fit.
    time_zone : str
        Time zone of the dates; None if they have none.
    """

    name: str
    first: np.ndarray
    kept: tuple
    scales: tuple
    has_missing: bool
    time_zone: str | None

    holds = "dates"

    @classmethod
    def fit(cls, column, name, scaling, weights=None):
        dates, present = _dates(column)
        first = dates[present].min().astype("M8[D]")
        scales = {}
        for part, values in zip(PARTS, calendar(dates[present], first), strict=True):
            scale = fit_scale(values, scaling, None if weights is None else weights[present])
            if scale is not None:
                scales[part] = scale
        has_missing = not present.all()
        return cls(name, first, tuple(scales), (*scales.values(),), has_missing, column.time_zone)

    def parts(self, column):
        """One array of numbers for each input, and no mask: what is missing is NaN."""
        dates, _ = _dates(column)
        return calendar(dates, self.first, self.kept or PARTS[:1]), None


def _dates(column):
    """The dates of all rows, with NaT for the missing ones, and the mask of the others."""
    dates, mask = column.by_row()
    if dates.dtype.kind != "M":  # no date at all
        dates = np.full(len(dates), np.datetime64("NaT", "us"))
    elif mask is not None:
        dates = np.where(mask, np.datetime64("NaT"), dates)
    return dates, ~np.isnat(dates)
