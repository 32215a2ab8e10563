"""Shapes, numbers and tolerances of the tests of kernels."""

import math
from functools import cache

import numpy as np

WIDTHS = (1, 2, 3, 7, 13, 17, 33, 61)  # one panel and several
ACCUMULATE = (0, 1)


def rows_around(kernels):
    """Numbers of rows: 0, 1, around the sizes of the register tile and of a vector, primes."""
    mr, lanes = kernels.mr, kernels.lanes
    return sorted({0, 1, mr - 1, mr, mr + 1, 2 * mr + 1, lanes, lanes + 1, 23, 37})


@cache
def normals(seed):
    """Cached, because seeding takes longer than most kernels."""
    return np.random.RandomState(seed).standard_normal(2**14)


def draw(kernels, *shape, seed=0):
    return normals(seed)[: math.prod(shape)].reshape(shape).astype(kernels.dtype)


def assert_near(kernels, found, expected, terms=1):
    """Compare to within a few rounding errors for each of the terms that were summed."""
    eps = np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(found, expected, rtol=8 * eps, atol=8 * eps * max(terms, 1))


def wide(array):
    return np.asarray(array, dtype=np.longdouble)
