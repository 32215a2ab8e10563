"""exp, log, tanh and the logistic function, in units in the last place."""

import numpy as np
import pytest

from reference.panels import tables

TABLES = tables()
# the logistic function ends with a sum and a division after exp
MAX_ULP = {"exp": 2, "log": 2, "tanh": 2, "logistic": 2.5}
# On some platforms long double is double: nothing to measure float64 against.
WIDE = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


@pytest.fixture(params=TABLES, ids=repr)
def kernels(request):
    if request.param.dtype == np.float64 and not WIDE:
        pytest.skip("long double is no wider than float64 here")
    return request.param


def logistic(x):
    return 1 / (1 + np.exp(-x))


# name -> (kernel, its entry, reference, range of x)
FUNCTIONS = {
    "exp": ("exponential", None, np.exp),
    "log": ("logarithm", None, np.log),
    "tanh": ("activation", "tanh", np.tanh),
    "logistic": ("activation", "logistic", logistic),
}


def apply(kernels, name, x):
    kernel, entry, _ = FUNCTIONS[name]
    padded = np.ones(-(-x.size // kernels.lanes) * kernels.lanes)
    padded[: x.size] = x
    array = kernels.aligned(padded)
    kernels.call(kernel, array.size, array, entry=entry)
    return array[: x.size]


def grid(kernels, name):
    """Dense where the function bends, and every power of two, in the type."""
    info = np.finfo(kernels.dtype)
    if name == "log":  # of positive, normal, finite numbers
        x = np.concatenate(
            [
                np.linspace(0.5, 2, 40_001),
                np.exp(np.linspace(np.log(float(info.tiny)), np.log(float(info.max)), 40_001)),
                1 + np.linspace(-1e-3, 1e-3, 10_001),
            ]
        )
        x = np.clip(x, float(info.tiny), float(info.max)).astype(kernels.dtype)
        return x
    # the last argument whose exponential is finite, whichever way log was rounded
    last = np.nextafter(np.log(info.max), kernels.dtype.type(0))
    edge = {"exp": float(last), "tanh": 25, "logistic": 40}[name]
    small = 2.0 ** np.arange(np.log2(float(info.tiny)), 4)
    x = np.concatenate(
        [
            np.linspace(-edge, edge, 100_001),
            np.linspace(-2, 2, 40_001),
            *(small, -small, [0.0]),
        ]
    )
    return x.astype(kernels.dtype)


def ulps(kernels, found, exact):
    """|found - exact| in units in the last place of the result, denormals included."""
    info = np.finfo(kernels.dtype)
    size = np.maximum(np.abs(exact), np.longdouble(info.tiny))
    unit = np.exp2(np.floor(np.log2(size))) * np.longdouble(info.eps)
    return np.abs(found.astype(np.longdouble) - exact) / unit


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_ulp(kernels, name):
    x = grid(kernels, name)
    exact = FUNCTIONS[name][2](x.astype(np.longdouble))
    error = ulps(kernels, apply(kernels, name, x), exact)
    worst = error.argmax()
    assert error[worst] <= MAX_ULP[name], f"{error[worst]} ulp at {x[worst]!r}"


def test_exp_of_denormal_results(kernels):
    """Down to the smallest number, and zero below it."""
    info = np.finfo(kernels.dtype)
    low, tiny = float(np.log(np.longdouble(info.smallest_subnormal))), float(info.tiny)
    x = np.linspace(low - 3, np.log(tiny), 1001).astype(kernels.dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert ulps(kernels, apply(kernels, "exp", x), exact).max() <= MAX_ULP["exp"]


ARGUMENTS = [np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38]
SPECIAL = {
    "exp": [np.inf, 0, 1, 1, np.inf, 0],
    "tanh": [1, -1, 0.0, -0.0, 1, -1],
    "logistic": [1, 0, 0.5, 0.5, 1, 0],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(kernels, name):
    expected = np.array(SPECIAL[name]).astype(kernels.dtype)
    found = apply(kernels, name, np.array(ARGUMENTS))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("name", ["exp", "tanh", "logistic"])
def test_nan_stays_nan(kernels, name):
    x = np.array([np.nan, 1.0, -np.nan, 2.0])
    np.testing.assert_array_equal(np.isnan(apply(kernels, name, x)), [True, False, True, False])


@pytest.mark.parametrize("name", ["tanh", "logistic", "exp"])
def test_denormal_arguments(kernels, name):
    smallest = np.finfo(kernels.dtype).smallest_subnormal
    x = np.array([1, 3, 1000, -1, -7], kernels.dtype) * smallest
    expected = {"tanh": x, "logistic": 0.5, "exp": 1.0}[name]
    np.testing.assert_array_equal(apply(kernels, name, x), np.broadcast_to(expected, x.shape))


@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_bounded_odd_and_nearly_monotonic(kernels, name):
    """Within [-1, 1] or [0, 1]; never falls by more than its error."""
    x = np.unique(grid(kernels, name))
    y = apply(kernels, name, x)
    assert (y <= 1).all()
    assert (y >= (0 if name == "logistic" else -1)).all()
    eps = np.finfo(kernels.dtype).eps
    assert (np.diff(y) >= -3 * eps * np.abs(y[1:])).all()
    if name == "tanh":
        np.testing.assert_array_equal(apply(kernels, name, -x), -y)
