"""Warnings about data on which training fails without an error: inputs that are not scaled,
validation data that are not transformed like the training data, weights that sum to one.

Warnings about scales are ConvergenceWarnings, as scikit-learn's own advice to scale the data, so
that a filter for these also silences them. With scikit-learn's `assume_finite`, which is for data
that need no checks, there are none.
"""

import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning

SAMPLE = 8_000  # values that scales are judged by
HUGE = 1e4  # a value, or a ratio of the ranges of columns, that scaled inputs do not have
TINY = 1e-2  # the same for the largest value of all columns
FAR = 1e3  # the same for a column whose values differ little
MOVED = 10  # ranges between the centres, or ratio of the ranges, of two sets of one origin


def _bounds(array, inner=False):
    """Least and greatest value of each column, or with `inner` the bounds of the inner four fifths,
    in some SAMPLE values, in rows that are evenly spaced; None where scales make no sense: sparse
    arrays, and too few rows."""
    if issparse(array) or len(array) < 10 or array.dtype.kind not in "biuf":
        return None
    if get_config()["assume_finite"]:
        return None
    step = max(1, min(array.size // SAMPLE, len(array) // 10))
    columns = np.array(np.atleast_2d(array[::step].T), dtype=np.float64, order="C")
    if inner:
        return np.quantile(columns, (0.1, 0.9), axis=1)
    return columns.min(axis=1), columns.max(axis=1)


def warn_of_scales(X, name):
    """Warn if columns of X have plainly different scales, or huge or tiny values.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    name : str
        Name of the estimator's class.
    """
    bounds = _bounds(X)
    if bounds is None:
        return
    low, high = bounds
    with np.errstate(all="ignore"):  # what is not finite is refused elsewhere
        ranges = high - low
        largest = np.maximum(-low, high)
    huge, wide = largest.argmax(), ranges.argmax()
    # constant columns, and those that differ by rounding
    ranges[ranges <= 1e-8 * largest.max()] = np.inf
    narrow = ranges.argmin()
    if ranges[narrow] <= ranges[wide] / HUGE < np.inf:
        found = (
            f"columns with ranges from {ranges[narrow]:.2g} (column {narrow}) to"
            f" {ranges[wide]:.2g} (column {wide})"
        )
    elif largest[huge] >= HUGE:
        found = f"values as large as {largest[huge]:.2g} (column {huge})"
    elif (
        largest[huge] >= FAR
        and (far := (np.abs(low + high) / 2 > MOVED * ranges) & (largest >= FAR)).any()
    ):
        column = far.argmax()
        found = f"values from {low[column]:.4g} to {high[column]:.4g} (column {column}), far from 0"
    elif largest[huge] <= TINY and ranges.min() < np.inf:
        found = f"no value greater than {largest[huge]:.2g}"
    else:
        return
    warnings.warn(
        f"X has {found}. Neural networks train badly on such inputs: scale them, for example with"
        f" make_pipeline(StandardScaler(), {name}(...)).",
        ConvergenceWarning,
    )


def warn_of_other_scales(array, validation, name):
    """Warn if a validation set plainly has not been transformed like the training set.

    Parameters
    ----------
    array, validation : ndarray of shape (n_samples,) or (n_samples, n_columns)
    name : {"X", "y"}
    """
    own, other = _bounds(array, inner=True), _bounds(validation, inner=True)
    if own is None or other is None or own[0].shape != other[0].shape:
        return
    with np.errstate(all="ignore"):
        ranges = own[1] - own[0], other[1] - other[0]
        varied = (ranges[0] > 0) & (ranges[1] > 0)
        narrow, wide = np.minimum(*ranges), np.maximum(*ranges)
        shift = np.abs((own[0] + own[1]) - (other[0] + other[1])) / 2
        moved = (shift > MOVED * wide) | (wide > MOVED * narrow)
    if not varied.any() or moved[varied].mean() <= 0.5:
        return
    cure = {
        "X": "In a pipeline, X_val is not transformed like X unless the pipeline is told to: see"
        " X_val in the documentation of fit.",
        "y": "TransformedTargetRegressor transforms y but not y_val: pass y_val on the scale of"
        " the transformed y.",
    }[name]
    warnings.warn(
        f"{name}_val has another scale than {name} (most values from {other[0].min():.3g} to"
        f" {other[1].max():.3g}, against {own[0].min():.3g} to {own[1].max():.3g}), so validation"
        f" scores mean little. {cure}",
        ConvergenceWarning,
    )


def warn_of_weights(sample_weight, alpha):
    """Warn if small sample weights make the penalty many times stronger than `alpha` says.

    Parameters
    ----------
    sample_weight : ndarray of shape (n_samples,) or None
    alpha : float
    """
    if sample_weight is None or alpha == 0 or get_config()["assume_finite"]:
        return
    mean = sample_weight.mean()
    if mean < 0.1 and alpha / mean > 0.01:
        warnings.warn(
            f"The mean of sample_weight is {mean:.1g}. As in scikit-learn, the penalty is divided"
            f" by the sum of the weights, so alpha={alpha:g} acts like alpha={alpha / mean:.1g}"
            " with weights of 1. Multiply the weights by len(X) / sample_weight.sum(), or alpha"
            f" by {mean:.1g}."
        )
