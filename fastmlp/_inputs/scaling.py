"""Numbers on one scale: robust scaling with a smooth clip, or quantiles of a normal distribution.

The robust scaling is that of RealMLP (Holzmüller et al., 2024, arXiv:2407.04491): with the median m
and the quartiles q25 and q75 of a column,

    z = s (x - m),  s = 1 / (q75 - q25), or 2 / (max - min) if that is 0,
    f(z) = z / sqrt(1 + (z / 3)^2), which lies in (-3, 3).
"""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import QuantileTransformer

SCALINGS = ("robust", "quantile")
BLOCK = 1 << 15  # elements that are scaled at once: they stay in the cache
LARGEST = 1e18  # a z beyond it is clipped first: f(z) is 3, and z^2 is finite


@dataclass(frozen=True)
class RobustScale:
    """z = factor (unit x - center).

    The unit is a power of two, 1 unless the column holds numbers whose differences or whose inverse
    differences could be infinite.
    """

    unit: float
    center: float
    factor: float

    @classmethod
    def fit(cls, values, weights=None):
        """The scale of float64 values, none of them missing, with weights above 0. Quantiles are
        values that occur, so a weight of 2 means the same as a value twice."""
        unit = _unit(max(abs(values.min()), abs(values.max())))
        quantiles = np.quantile(
            values, [0, 0.25, 0.5, 0.75, 1], weights=weights, method="inverted_cdf"
        )
        return cls.of_quantiles(quantiles * unit, unit)

    @classmethod
    def fit_counts(cls, values, counts):
        """The same of values that occur so many times each: a few of them, in any order."""
        order = np.argsort(values)
        values, ends = np.asarray(values, np.float64)[order], np.cumsum(np.asarray(counts)[order])
        places = np.ceil(np.array([0, 0.25, 0.5, 0.75, 1]) * ends[-1])
        return cls.of_quantiles(values[np.searchsorted(ends, np.maximum(places, 1))])

    @classmethod
    def of_quantiles(cls, quantiles, unit=1.0):
        """The scale by minimum, quartiles and maximum of the values times `unit`."""
        low, q25, median, q75, high = map(float, quantiles)
        width = q75 - q25 if q75 > q25 else (high - low) / 2
        return cls(unit, median, min(1 / width, 1e300) if width > 1e-300 else 1e300 * (width > 0))

    def __call__(self, values):
        return smooth_clip((np.asarray(values) * self.unit - self.center) * self.factor)


def _unit(largest):
    """A power of two by which values up to `largest` become moderate; 1 if they are."""
    if largest == 0 or 1e-150 < largest < 1e150:
        return 1.0
    return float(np.ldexp(1.0, int(np.clip(-np.frexp(largest)[1], -1000, 1000))))


def smooth_clip(z):
    """f(z), computed in place."""
    np.clip(z, -LARGEST, LARGEST, out=z)
    divisor = z / 3
    divisor *= divisor
    divisor += 1
    z /= np.sqrt(divisor, out=divisor)
    return z


def quantile_map(values):
    """scikit-learn's map of float64 values to a normal distribution."""
    return QuantileTransformer(
        n_quantiles=min(1000, len(values)), output_distribution="normal", subsample=None
    ).fit(values[:, None])


def is_constant(values):
    """Whether there are no two different values."""
    return len(values) == 0 or values.min() == values.max()


class Scaler:
    """The scales of several columns of numbers, applied to blocks of rows.

    Parameters
    ----------
    scales : list of RobustScale or QuantileTransformer
    """

    def __init__(self, scales):
        robust = [s if isinstance(s, RobustScale) else RobustScale(1.0, 0.0, 1.0) for s in scales]
        self.units, self.centers, self.factors = (
            np.array([getattr(s, name) for s in robust], np.float64)
            for name in ("unit", "center", "factor")
        )
        self.has_units = bool((self.units != 1).any())
        self.maps = {j: s for j, s in enumerate(scales) if not isinstance(s, RobustScale)}

    def scale(self, block):
        """Scales a block of shape (n_rows, n_columns) in place; a missing value becomes 0.

        Returns the mask of missing values, or None if there are none.
        """
        missing = np.isnan(block)
        missing = missing if missing.any() else None
        mapped = {j: m.transform(block[:, j : j + 1])[:, 0] for j, m in self.maps.items()}
        if len(mapped) < block.shape[1]:
            if self.has_units:
                block *= self.units
            block -= self.centers
            with np.errstate(over="ignore"):
                block *= self.factors
            smooth_clip(block)
        for j, column in mapped.items():
            block[:, j] = column
        if missing is not None:
            block[missing] = 0
        return missing
