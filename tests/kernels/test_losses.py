"""The kernels of losses far out, near zero and of NaN; elsewhere in test_kernels.py."""

import numpy as np
import pytest

from fastmlp import _core
from reference.panels import LossSettings


def of_kernel(kernels, loss, z, y, **params):
    """Losses and slopes of single outputs z with targets y; of classes, of two outputs (z, 0)."""
    losses, slopes = [], []
    settings = LossSettings(params.get("delta", 1.0), params.get("gamma", 2.0), 0.0)
    levels = np.array([0.9])
    settings.levels, settings.smoothing = levels.ctypes.data, params.get("smoothing", 0.0)
    rows = np.zeros(1, np.intp)
    for value, target in zip(z, y, strict=True):
        n = 2 if _core.TARGETS[loss] == "classes" else 1
        columns = kernels.zeros(n, kernels.mr)
        columns[0] = value
        kind = {"classes": np.int32, "labels": np.uint8, "reals": kernels.dtype}
        target = np.full(1, target).astype(kind[_core.TARGETS[loss]])
        arguments = columns, kernels.mr, target, rows, None, settings
        losses.append(kernels.call("loss", 1, n, *arguments, entry=loss))
        slopes.append(columns[0, 0])
    return np.array(losses), np.array(slopes)


@pytest.mark.parametrize("loss", _core.LOSSES)
def test_nan_shows(loss, kernels):
    value, slope = of_kernel(kernels, loss, [np.nan], [1])
    assert np.isnan(value).all()
    assert np.isnan(slope).all()


@pytest.mark.parametrize(
    "params", [{}, {"gamma": 0.0}, {"gamma": 0.3}, {"smoothing": 0.1}], ids=str
)
@pytest.mark.parametrize("loss", _core.LOSSES)
def test_losses_are_numbers_far_out(loss, params, kernels):
    """Nothing is lost but what the type cannot hold, which is infinite and not NaN."""
    z = np.array([1e4, 800.0, 100.0, 40.0, 17.0, 1e-30, 0.0])
    z = z if loss.endswith("deviance") else np.concatenate([z, -z])
    for y in (0, 1):
        if y == 0 and "gamma" in loss:
            continue
        value, slope = of_kernel(kernels, loss, z, [y] * len(z), **params)
        assert not np.isnan(value).any()
        assert not np.isnan(slope).any()
        if _core.OUT_ACTIVATIONS[loss] != "exp":
            assert np.isfinite(value).all()
            assert np.isfinite(slope).all()
        assert (value >= -100 * np.finfo(kernels.dtype).eps * np.abs(z)).all()


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("loss", ["focal", "binary_focal"])
def test_focal_keeps_its_digits_where_the_class_is_nearly_certain(loss, gamma, kernels):
    """1 - p = e / (1 + e), e = exp(-z), long after 1 - p has rounded to zero."""
    z = np.array([5.0, 17.0, 25.0])
    truth = 0 if loss == "focal" else 1  # of classes, the first has z
    value, slope = of_kernel(kernels, loss, z, [truth] * 3, gamma=gamma)
    e = np.exp(-z)
    q, log_p = e / (1 + e), -np.log1p(e)
    rtol = 100 * np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(value, -(q**gamma) * log_p, rtol=rtol)
    expected = q**gamma * (gamma * (1 - q) * log_p - q)
    np.testing.assert_allclose(slope, expected, rtol=rtol)


def test_log_cosh_keeps_its_digits_near_zero(kernels):
    d = np.logspace(-8, 4, 60).astype(kernels.dtype).astype(float)
    value, slope = of_kernel(kernels, "log_cosh", d, [0] * len(d))
    small = d < 1e-2
    d, value, slope = d.astype(np.longdouble), value, slope
    exact = np.where(small, d**2 / 2 - d**4 / 12, d + np.log1p(np.exp(-2 * d)) - np.log(2))
    rtol = 20 * np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(value, exact.astype(float), rtol=max(rtol, 1e-9))
    np.testing.assert_allclose(slope, np.tanh(d).astype(float), rtol=rtol)
