"""NumberColumn: the scale of a column of numbers, and whether it has missing values."""

from dataclasses import dataclass

import numpy as np

from .scaling import RobustScale, is_constant, quantile_map


def fit_scale(values, scaling, weights=None):
    """The scale of float64 values, none of them missing, or None if they are constant. Quantile
    maps take no weights, because scikit-learn's do not."""
    if is_constant(values):
        return None
    return RobustScale.fit(values, weights) if scaling == "robust" else quantile_map(values)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers after fit.

    Attributes
    ----------
    name : str
        Its name.
    scales : tuple
        Its scale, or nothing if it was constant.
    has_missing : bool
        Whether values were missing in fit.
    n_samples_seen : int
        Number of values that were not missing.
    """

    name: str
    scales: tuple
    has_missing: bool
    n_samples_seen: int

    holds = "numbers"

    @classmethod
    def fit(cls, column, name, scaling, weights=None):
        values, mask = _numbers(column)
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        if mask is not None:
            missing |= mask
        present = values[~missing].astype(np.float64)
        refuse_infinite(present, name)
        scale = fit_scale(present, scaling, None if weights is None else weights[~missing])
        has_missing = bool(missing.any()) and len(present) > 0
        return cls(name, () if scale is None else (scale,), has_missing, len(present))

    def parts(self, column):
        """One array of numbers for each input, and the mask of missing values besides NaN."""
        values, mask = _numbers(column)
        return [values], mask


def _numbers(column):
    """Numbers of all rows, and the mask of those missing besides NaN, or None."""
    values, mask = column.by_row()
    if values.dtype.kind not in "biuf":  # all are missing, in a type that has no numbers
        return np.full(len(values), np.nan), None
    return values, mask


def refuse_infinite(values, name):
    """Raises a ValueError if a value is infinite."""
    if np.isinf(values).any():
        raise ValueError(
            f"Column {name!r} of X contains infinity or a value too large for dtype('float64'). "
            "Replace infinite values by NaN, which means missing."
        )
