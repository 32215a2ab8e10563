"""Every kernel of every ISA and both types against NumPy, at awkward shapes."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fastmlp import _core
from reference.naive import FORWARD, SLOPE, loss_slope, loss_value
from reference.panels import Csr, LossSettings, Step, tables
from reference.shapes import ACCUMULATE, WIDTHS, assert_near, draw, rows_around, wide

SOURCES = ["float32", "float64", "bool"]
SOURCES += [f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 32, 64)]


FACTORS = ("no_factor", "where_positive", "times_derivative")  # of a delta, as fastmlp.h has them


def factor_of(factor, h, slope):
    return {"no_factor": 1, "where_positive": h != 0, "times_derivative": slope}[factor]


def test_every_kernel_is_tested():
    """A new entry of the table needs a test here."""
    names = set(tables()[0].table) - {"lanes", "mr", "nr"}
    tests = Path(__file__).parent.glob("test_*.py")
    text = "".join(path.read_text() for path in tests)
    called = set(re.findall(r'kernels\.call\(\s*"(\w+)"', text))
    assert called >= names - {"exponential", "logarithm"}  # test_accuracy.py


def test_cython_declares_kernels_as_the_list_does():
    """The C compiler sees a wrong pointer in the copy, but not an int in place of a size_t."""
    root = Path(__file__).parents[2]
    text = re.sub(r"/\*.*?\*/", "", (root / "csrc" / "kernel_list.h").read_text(), flags=re.S)
    found = re.findall(r"KERNELS?\((\w+), (\w+),(?: \w+,)?\s*\(([^)]*)\)\)", text)
    kernels = {name: (returns, arguments.split()) for returns, name, arguments in found}
    assert set(kernels) == set(tables()[0].table) - {"lanes", "mr", "nr"}
    text = "".join(path.read_text() for path in (root / "fastmlp").rglob("*.pxd"))
    found = re.findall(r"(\w+) \(\*+(\w+)\)\(([^)]*)\)", text.replace("bint", "int"))
    declared = {name: (returns, arguments.split()) for returns, name, arguments in found}
    assert declared["forward"] == kernels["forward"]
    for name in set(declared) & set(kernels):
        assert declared[name] == kernels[name], name


def test_sizes_of_the_table(kernels):
    assert kernels.lanes * kernels.dtype.itemsize in (16, 32, 64)
    assert 1 <= kernels.mr <= kernels.lanes
    assert kernels.mr & (kernels.mr - 1) == 0
    assert 1 <= kernels.nr <= 4
    assert set(kernels.table["gather"]) == set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_gather(kernels, source):
    rng = np.random.RandomState(0)
    for m, n in itertools.product(rows_around(kernels), (1, 2, 5, 16, 17, 31, 70)):
        X = rng.uniform(0, 100, (2 * m + 3, n)).astype(source)
        rows = rng.randint(0, len(X), m).astype(np.intp)
        raw = np.zeros(X.nbytes + 1, np.uint8)
        unaligned = raw[1:].view(source).reshape(X.shape)
        unaligned[...] = X
        for other in (X, np.asfortranarray(X), X[::-1, ::-1], unaligned):
            a = kernels.zeros(-(-n // kernels.lanes), m, kernels.lanes)
            first = other.ctypes.data
            strides = other.strides
            kernels.call("gather", m, n, first, rows, *strides, a, m * kernels.lanes, entry=source)
            expected = kernels.panels(other[rows].astype(kernels.dtype))
            np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize("relu", [0, 1])
def test_forward(kernels, relu):
    for m, n, k in itertools.product(rows_around(kernels), WIDTHS, (0, 1, 2, 17, 40)):
        a, w, b = draw(kernels, m, k), draw(kernels, k, n, seed=1), draw(kernels, n)
        panels, weights = kernels.panels(a), kernels.panels(w)
        strides = kernels.lanes, k * kernels.lanes
        bias = kernels.panels(b[None])
        c = kernels.zeros(len(bias), m + 3, kernels.lanes)
        c[:, m:] = 7  # rows beyond m are somebody else's
        ends = m * kernels.lanes, (m + 3) * kernels.lanes
        before, after = (m, len(bias), k, panels, ends[0]), (bias, relu, c, ends[1])
        kernels.call("forward", *before, weights, *strides, *after)
        expected = wide(a) @ wide(w) + b
        expected = np.maximum(expected, 0) if relu else expected
        found = kernels.from_panels(c, m, n)
        assert_near(kernels, found, expected.astype(float), terms=8 * k)
        assert (c[:, m:] == 7).all()


@pytest.mark.parametrize("relu", [0, 1])
def test_forward_of_weights_as_they_lie(kernels, relu):
    """Same bits as of weights in panels, from any address and with any stride."""
    for m, n, k in itertools.product((1, 2, 7, 13), WIDTHS, (1, 17, 40)):
        a, w, b = draw(kernels, m, k), draw(kernels, k, n, seed=1), draw(kernels, n)
        wider = np.zeros((k, n + 4), kernels.dtype)[:, 1:]
        wider[:, :n] = w
        bias, found = kernels.panels(b[None]), []
        whole = n // kernels.lanes  # panels
        strides = kernels.lanes, k * kernels.lanes
        lies = [(x, x.strides[0] // x.itemsize, kernels.lanes) for x in (w, wider)]
        for weights in [(kernels.panels(w), *strides), *lies]:
            c = kernels.zeros(len(bias), m, kernels.lanes)
            stride = m * kernels.lanes
            before, after = (m, whole, k, kernels.panels(a), stride), (bias, relu, c, stride)
            kernels.call("forward", *before, *weights, *after)
            found.append(c.tobytes())
        assert found[1:] == found[:1] * 2


def test_all_finite(kernels):
    for m, n in itertools.product((1, 2, 7), WIDTHS):
        a = kernels.panels(draw(kernels, m, n), spare_rows=1)
        a[:, m] = np.nan  # somebody else's
        sizes = m, len(a), a, (m + 1) * kernels.lanes
        a[-1, m - 1, (n - 1) % kernels.lanes] = np.finfo(kernels.dtype).max
        assert kernels.call("all_finite", *sizes) == 1
        for value in (np.nan, np.inf, -np.inf):
            for i, j in ((0, 0), (m - 1, n - 1), (m // 2, n // 2)):
                bad = kernels.aligned(a)
                bad[j // kernels.lanes, i, j % kernels.lanes] = value
                assert kernels.call("all_finite", *sizes[:2], bad, sizes[3]) == 0


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_forward_and_gradient_csr(kernels, index, source):
    rng = np.random.RandomState(0)
    for m, n, k in itertools.product((0, 1, 2, 7, 13), (1, 5, 17, 40, 77, 130), (1, 11)):
        X = sparse.random_array((20, k), density=0.4, rng=rng, format="csr")
        X = X.astype(source)
        parts = X.indptr.astype("i8"), X.indices.astype(index), X.data
        csr = Csr(*(p.ctypes.data for p in parts), index == "int64", source == "float64")
        rows = rng.randint(0, 20, m).astype(np.intp)
        dense = X.toarray()[rows].astype(kernels.dtype)
        w, b = draw(kernels, k, n, seed=1), draw(kernels, n)
        weights, bias = kernels.panels(w), kernels.panels(b[None])
        stride = m * kernels.lanes
        c = kernels.zeros(len(bias), m, kernels.lanes)
        kernels.call(
            "forward_csr",
            *(m, len(bias), csr, rows, weights, k * kernels.lanes, bias, c, stride),
        )
        expected = wide(dense) @ wide(w) + b
        assert_near(kernels, kernels.from_panels(c, m, n), expected.astype(float), 8 * k)

        d = draw(kernels, m, min(n, kernels.lanes), seed=2)
        start = draw(kernels, k, d.shape[1], seed=3)
        g = kernels.panels(start)
        kernels.call("gradient_csr", m, csr, rows, kernels.panels(d), g)
        expected = (start + wide(dense).T @ wide(d)).astype(float)
        assert_near(kernels, kernels.from_panels(g, *start.shape), expected, 8 * m)


def test_forward_narrow(kernels):
    mr, lanes = kernels.mr, kernels.lanes
    for tiles, first, n, k in itertools.product((0, 1, 3, 5), (0, 1, 4), (1, 2, 3), WIDTHS):
        m, row = tiles * mr, first * mr
        a, w, b = draw(kernels, m, k), draw(kernels, k, n, seed=1), draw(kernels, n)
        along = kernels.panels(w.T)  # (k panels, n, V)
        z = kernels.zeros(-(-(row + m) // lanes), n, lanes)
        z[...] = 7
        kernels.call("forward_narrow", row, m, n, k, kernels.panels(a), m * lanes, along, b, z)
        found = kernels.from_columns(z, row + m)
        expected = (wide(a) @ wide(w) + b).astype(float)
        assert_near(kernels, found[row:], expected, 8 * k)
        assert (found[:row] == 7).all()


@pytest.mark.parametrize("factor", FACTORS)
def test_delta(kernels, factor):
    for m, n, k in itertools.product(rows_around(kernels), WIDTHS, (1, 2, 17, 40)):
        d, w = draw(kernels, m, k), draw(kernels, n, k, seed=1)
        h, s = np.maximum(draw(kernels, m, n, seed=2), 0), draw(kernels, m, n, seed=3)
        stride, c = m * kernels.lanes, kernels.panels(s)
        kernels.call(
            "delta",
            *(m, len(c), k, kernels.panels(d), stride, kernels.panels(w.T)),
            *(FACTORS.index(factor), kernels.panels(h), c, stride),
        )
        expected = (wide(d) @ wide(w).T * factor_of(factor, h, s)).astype(float)
        assert_near(kernels, kernels.from_panels(c, m, n), expected, 8 * k)


@pytest.mark.parametrize("factor", FACTORS)
def test_delta_narrow(kernels, factor):
    mr = kernels.mr
    shapes = itertools.product(rows_around(kernels), (0, 1, 3), WIDTHS, (1, 2, 3))
    for m, first, n, k in shapes:
        row = first * mr
        d, w = draw(kernels, row + m, k), draw(kernels, n, k, seed=1)
        h, s = np.maximum(draw(kernels, m, n, seed=2), 0), draw(kernels, m, n, seed=3)
        c = kernels.panels(s)
        kernels.call(
            "delta_narrow",
            *(row, m, len(c), k, kernels.columns(d), kernels.panels(w.T)),
            *(FACTORS.index(factor), kernels.panels(h), c, m * kernels.lanes),
        )
        expected = (wide(d[row:]) @ wide(w).T * factor_of(factor, h, s)).astype(float)
        assert_near(kernels, kernels.from_panels(c, m, n), expected, 8 * k)


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_gradient(kernels, accumulate):
    for m, n, k in itertools.product((1, 2, 7, 8, 9, 17, 33), WIDTHS, rows_around(kernels)):
        a, d = draw(kernels, k, m), draw(kernels, k, n, seed=1)
        start = draw(kernels, m, n, seed=2)
        g, sums = kernels.panels(start), kernels.panels(start[:1])
        kernels.call(
            "gradient",
            *(m, len(g), k, kernels.panels(a), k * kernels.lanes),
            *(kernels.panels(d), k * kernels.lanes, accumulate, g, m * kernels.lanes),
            sums if m % 2 else None,
        )
        expected = (accumulate * start + wide(a).T @ wide(d)).astype(float)
        assert_near(kernels, kernels.from_panels(g, m, n), expected, 8 * k)
        if m % 2:
            expected = (accumulate * start[:1] + wide(d).sum(axis=0)).astype(float)
            assert_near(kernels, kernels.from_panels(sums, 1, n), expected, 8 * k)


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_gradient_narrow(kernels, accumulate):
    shapes = itertools.product((1, 2, 3), (0, 2), WIDTHS, rows_around(kernels))
    for m, more, n, k in shapes:
        a, d = draw(kernels, k, m + more), draw(kernels, k, n, seed=1)
        start = draw(kernels, m, n, seed=2)
        g = kernels.panels(start)
        kernels.call(
            "gradient_narrow",
            *(m, m + more, len(g), k, kernels.columns(a)),
            *(kernels.panels(d), k * kernels.lanes, accumulate, g, m * kernels.lanes),
        )
        expected = (accumulate * start + wide(a[:, :m]).T @ wide(d)).astype(float)
        assert_near(kernels, kernels.from_panels(g, m, n), expected, 8 * k)


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_column_sums(kernels, accumulate):
    for k, n in itertools.product([*rows_around(kernels), 100], WIDTHS):
        d, start = draw(kernels, k, n), draw(kernels, 1, n, seed=1)
        expected = (accumulate * start[0] + wide(d).sum(axis=0)).astype(float)
        g = kernels.panels(start)
        kernels.call("column_sums", len(g), k, kernels.panels(d), k * kernels.lanes, accumulate, g)
        assert_near(kernels, kernels.from_panels(g, 1, n)[0], expected, 8 * k)
        g = kernels.aligned(start[0])
        kernels.call("column_sums_narrow", n, k, kernels.columns(d), accumulate, g)
        assert_near(kernels, g, expected, 8 * k)


def test_transpose(kernels):
    lanes = kernels.lanes
    for m, n in itertools.product(range(1, lanes + 1), repeat=2):
        w, wt = kernels.aligned(draw(kernels, m, lanes)), kernels.zeros(n, lanes)
        wt[:, m:] = 7
        kernels.call("transpose", m, n, w, wt)
        np.testing.assert_array_equal(wt[:, :m], w[:, :n].T)
        assert (wt[:, m:] == 7).all()


def test_to_and_from_columns(kernels):
    for n in (1, 2, *WIDTHS, kernels.lanes, kernels.lanes + 1):
        c = draw(kernels, kernels.mr, n)
        panels, stride = kernels.panels(c), kernels.mr * kernels.lanes
        z = kernels.zeros(n, kernels.mr)
        kernels.call("to_columns", n, panels, stride, z)
        np.testing.assert_array_equal(z, c.T)
        back = np.full_like(panels, 7)
        back = kernels.aligned(back)
        kernels.call("from_columns", n, z, back, stride)
        np.testing.assert_array_equal(back, panels)


@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_activation_and_derivative(kernels, activation):
    """Also far out, where the functions have long reached their asymptotes."""
    for panels in (0, 1, 3, 17, 300):
        count = panels * kernels.lanes
        z = draw(kernels, count) * np.logspace(-3, 2, count).astype(kernels.dtype)
        h, slope, same = kernels.aligned(z), kernels.zeros(count), kernels.aligned(z)
        kernels.call("activation_derivative", count, h, slope, entry=activation)
        kernels.call("activation", count, same, entry=activation)
        np.testing.assert_array_equal(h, same)
        exact = z.astype(float)
        assert_near(kernels, h, FORWARD[activation](exact))
        assert_near(kernels, slope, SLOPE[activation](exact))


@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_activations_keep_their_digits_below_zero(kernels, activation):
    """Where what they return is small: relative to it, not to one."""
    z = kernels.aligned(np.linspace(-6, -1e-3, 64 * kernels.lanes))
    h = kernels.aligned(z)
    kernels.call("activation", len(z), h, entry=activation)
    exact = z.astype(float)
    expected = {"softplus": np.log1p(np.exp(exact))}.get(activation, FORWARD[activation](exact))
    rtol = {"float32": 2e-6, "float64": 1e-9 if activation == "gelu" else 4e-15}
    np.testing.assert_allclose(h, expected, rtol=rtol[kernels.dtype.name])


@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_activations_beyond_all_measure(kernels, activation):
    """Of inputs that nobody has scaled: no NaN, and the slope of the asymptote."""
    z = kernels.aligned(np.zeros(64))
    z[:] = np.outer([-1, 1], np.logspace(1.5, 30, 32)).ravel()
    h, slope = kernels.aligned(z), kernels.zeros(len(z))
    kernels.call("activation_derivative", len(z), h, slope, entry=activation)
    exact, near = z.astype(float), 4 * np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(h, FORWARD[activation](exact), rtol=near, atol=1e-10)
    np.testing.assert_allclose(slope, SLOPE[activation](exact), rtol=near, atol=1e-10)


@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_activations_of_infinity(kernels, activation):
    """Where a pre-activation overflows: the limits of function and slope, and no NaN."""
    z = kernels.aligned(np.resize([-np.inf, np.inf], 2 * kernels.lanes))
    h, slope, far = kernels.aligned(z), kernels.zeros(len(z)), np.resize([-1e8, 1e8], len(z))
    kernels.call("activation_derivative", len(z), h, slope, entry=activation)
    expected = FORWARD[activation](far)
    expected = np.where(np.abs(expected) > 1e5, np.copysign(np.inf, expected), expected)
    np.testing.assert_allclose(h, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope, SLOPE[activation](far), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_nan_passes_through_activations(kernels, activation):
    """So that a network that diverged shows it."""
    h = kernels.aligned(np.full(kernels.lanes, np.nan))
    kernels.call("activation", kernels.lanes, h, entry=activation)
    assert np.isnan(h).all()


# loss -> settings, where the default is not all
LOSS_PARAMS = {
    "huber": [{"delta": 0.7}, {"delta": 3.0}],
    "focal": [{"gamma": gamma} for gamma in (0.0, 0.5, 1.0, 2.0)],
    "binary_focal": [{"gamma": gamma} for gamma in (0.0, 0.5, 1.0, 2.0)],
    "log_loss": [{}, {"smoothing": 0.3}],
    "binary_log_loss": [{}, {"smoothing": 0.3}],
    "quantile": [{"quantile": 0.1}],
}
LOSS_CASES = [
    (loss, params, weighted)
    for loss in _core.LOSSES
    for params in LOSS_PARAMS.get(loss, [{}])
    for weighted in (False, True)
]


def loss_settings(n, params):
    levels = np.full(n, params.get("quantile", 0.5))
    if n > 1:
        levels[1::2] = 0.8  # each output has its own
    settings = LossSettings(
        params.get("delta", 1.0), params.get("gamma", 2.0), params.get("smoothing", 0.0)
    )
    settings.levels = levels.ctypes.data
    return settings, levels


def loss_case(kernels, loss, m, n, weighted):
    """z (m, n), y as the kernel takes it and (m, n) as NumPy does, rows, weights."""
    rng = np.random.RandomState(m + 10 * n)
    n_samples = 2 * m + 3
    rows = rng.permutation(n_samples)[:m].astype(np.intp)
    z = (3 * rng.standard_normal((m, n))).astype(kernels.dtype)
    if _core.TARGETS[loss] == "classes":
        y = rng.randint(0, n, n_samples).astype(np.int32)
        targets = np.eye(n)[y[rows]]
    elif _core.TARGETS[loss] == "labels":
        y = rng.randint(0, 2, (n_samples, n)).astype(np.uint8)
        targets = y[rows].astype(float)
    else:
        y = np.abs(np.round(2 * rng.standard_normal((n_samples, n))))
        y += "gamma" in loss
        y = y.astype(kernels.dtype)
        targets = y[rows].astype(float)
    if loss.endswith("deviance"):
        z = np.exp(z)
    weights = rng.uniform(0, 3, n_samples) * (rng.uniform(size=n_samples) > 0.2)
    return z, y, targets, rows, weights if weighted else None


@pytest.mark.parametrize("loss, params, weighted", LOSS_CASES)
def test_loss_and_its_derivative(kernels, loss, params, weighted):
    mr = kernels.mr
    for m, n, gap in itertools.product(range(1, mr + 1), (1, 2, 3, 10, 17), (0, 5)):
        z, y, targets, rows, weights = loss_case(kernels, loss, m, n, weighted)
        ldz = mr + gap
        columns = kernels.zeros(n, ldz)
        columns[:, :m], columns[:, mr:] = z.T, 7
        settings, levels = loss_settings(n, params)
        own = {"quantile": levels} if loss == "quantile" else params
        arguments = columns, ldz, y, rows, weights, settings
        total = kernels.call("loss", m, n, *arguments, entry=loss)
        w = np.ones(m) if weights is None else weights[rows]
        p = FORWARD[_core.OUT_ACTIVATIONS[loss]](z.astype(np.longdouble))
        tolerance = 100 * np.finfo(kernels.dtype).eps
        if w.sum():
            # clips where the type clips
            eps = np.finfo(kernels.dtype).eps
            clipped = np.clip(p, eps, 1 - eps) if params == {} and "log_loss" in loss else p
            expected = w.sum() * loss_value(loss, targets, clipped, w, **own)
            np.testing.assert_allclose(total, float(expected), rtol=tolerance, atol=tolerance)
        if n > 1 or _core.TARGETS[loss] != "classes":  # of one class all is zero
            expected = loss_slope(loss, targets, p, **own) * w[:, None]
            scale = max(1, float(np.abs(expected).max()))
            np.testing.assert_allclose(
                columns[:, :m].T, expected.astype(float), rtol=tolerance, atol=tolerance * scale
            )
        else:
            np.testing.assert_allclose(columns[:, :m], 0, atol=tolerance)
        assert (columns[:, mr:] == 7).all()


@pytest.mark.parametrize("output", _core.OUTPUTS)
def test_output_and_its_derivative(kernels, output):
    mr = kernels.mr
    for n, gap in itertools.product((1, 2, 3, 10, 17), (0, 5)):
        z = 5 * draw(kernels, mr, n)
        columns = kernels.zeros(n, mr + gap)
        columns[:, :mr], columns[:, mr:] = z.T, 7
        again, slopes = kernels.aligned(columns), kernels.zeros(n, mr)
        kernels.call("output", n, columns, mr + gap, entry=output)
        expected = FORWARD[output](z.astype(float))
        rtol = 40 * np.finfo(kernels.dtype).eps
        np.testing.assert_allclose(columns[:, :mr].T, expected, rtol=rtol, atol=rtol)
        if output == "softmax":
            continue
        kernels.call("output_derivative", n, again, mr + gap, slopes, entry=output)
        np.testing.assert_array_equal(again, columns)
        assert_near(kernels, slopes.T, SLOPE[output](z.astype(float)), terms=expected.max())
        kernels.call("multiply_derivatives", n, again, mr + gap, slopes)
        np.testing.assert_array_equal(again[:, :mr], columns[:, :mr] * slopes)
        assert (again[:, mr:] == 7).all()


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_softmax_of_huge_numbers(kernels, size):
    """The largest is subtracted first."""
    z = np.array([[size, -size, 0], [size, size, size], [-size, -size, 0]])
    columns = kernels.zeros(3, kernels.mr)
    columns[:, : min(3, kernels.mr)] = z[: kernels.mr].T
    kernels.call("output", 3, columns, kernels.mr, entry="softmax")
    expected = np.array([[1, 0, 0], [1 / 3] * 3, [0, 0, 1]])[: kernels.mr]
    assert_near(kernels, columns[:, : len(expected)].T, expected)


def move(optimizer, s, gradient, first, second):
    """What the optimizer adds to the weights, what it has divided by, and its new state."""
    if optimizer == "sgd":
        velocity = s.momentum * first - s.learning_rate * gradient
        return s.look_ahead * velocity - s.own * s.learning_rate * gradient, 1, (velocity,)
    if optimizer == "lion":
        direction = np.sign(s.beta_1 * first + (1 - s.beta_1) * gradient)
        return -s.learning_rate * direction, 1, (s.beta_2 * first + (1 - s.beta_2) * gradient,)
    if optimizer == "rprop":
        turns = np.sign(gradient) * np.sign(first)
        size = np.where(second == 0, s.learning_rate, second)
        size = np.clip(size * np.array([0.5, 1, 1.2])[turns.astype(int) + 1], 1e-6, 50)
        gradient = np.where(turns < 0, 0, gradient)
        return -size * np.sign(gradient), 1, (gradient, size)
    if optimizer in ("rmsprop", "adagrad"):
        keep, new = (1, 1) if optimizer == "adagrad" else (s.beta_2, 1 - s.beta_2)
        squares = keep * np.abs(first) + new * gradient**2
        divisor = np.sqrt(squares) + s.epsilon
        return -s.learning_rate * gradient / divisor, divisor, (squares,)
    m = s.beta_1 * first + (1 - s.beta_1) * gradient
    v = s.beta_2 * second + (1 - s.beta_2) * gradient**2
    divisor = (s.adaptive if optimizer == "radam" else 1) * np.sqrt(v) + s.epsilon
    ahead = s.ahead * gradient if optimizer == "nadam" else 0
    return -(s.learning_rate * m + ahead) / divisor, divisor, (m, v)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
@pytest.mark.parametrize("penalized", [0, 1])
@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_step(kernels, optimizer, penalized, l1_ratio, momentum):
    step = Step(scale=0.05, l2=0.3, learning_rate=0.01, ahead=0.02, decay=0.1, threshold=0.5)
    step.momentum, step.look_ahead, step.own = momentum, momentum, 0.7
    step.adaptive, step.l1_ratio = float(momentum > 0), l1_ratio
    step.beta_1, step.beta_2, step.epsilon = 0.9, 0.99, 0.3
    for panels in (0, 1, 2, 5, 19):
        count = panels * kernels.lanes
        g, w, first = (draw(kernels, count, seed=s) for s in range(3))
        second = np.abs(draw(kernels, count, seed=3))
        second[:3] = 0
        if optimizer in ("rmsprop", "adagrad"):
            first = np.abs(first)
        arrays = [kernels.aligned(a) for a in (g, w, first, second)]
        penalty = kernels.call("step", count, step, penalized, *arrays, entry=optimizer)
        gradient = step.scale * (wide(g) + penalized * step.l2 * wide(w))
        moved, divisor, states = move(optimizer, step, gradient, wide(first), wide(second))
        moved += wide(w) * (1 - penalized * step.decay * (optimizer in _core.DECAYING))
        squares = (w.astype(float) ** 2).sum()
        if penalized and l1_ratio:
            threshold = step.threshold / divisor
            moved = np.sign(moved) * np.maximum(np.abs(moved) - threshold, 0)
            squares = (1 - l1_ratio) * squares + 2 * l1_ratio * np.abs(w).astype(float).sum()
            assert panels < 5 or (arrays[1] == 0).any()
        np.testing.assert_allclose(penalty, squares, rtol=1e-6)
        assert_near(kernels, arrays[1], moved.astype(float))
        for found, expected in zip(arrays[2:], states, strict=False):
            assert_near(kernels, found, expected.astype(float))
        np.testing.assert_array_equal(arrays[0], g)


@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_a_step_keeps_nan(kernels, optimizer):
    """So that training that has diverged is seen; and lanes without a weight stay zero."""
    step = Step(scale=1, learning_rate=0.1, threshold=0.1, l1_ratio=0.5, look_ahead=1, epsilon=1e-8)
    arrays = [kernels.zeros(kernels.lanes) for _ in range(4)]
    arrays[0][0] = np.nan
    kernels.call("step", kernels.lanes, step, 1, *arrays, entry=optimizer)
    assert np.isnan(arrays[1][0])
    assert (arrays[1][1:] == 0).all()


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_clips(kernels, l2):
    for panels in (0, 1, 2, 19):
        count = panels * kernels.lanes
        g, w = (kernels.aligned(draw(kernels, count, seed=s)) for s in range(2))
        gradient = 0.5 * (wide(g) + l2 * wide(w))
        squares = kernels.call("gradient_squares", count, 0.5, l2, g, w)
        np.testing.assert_allclose(squares, float((gradient**2).sum()), rtol=1e-6)
        g[: min(count, 1)] = np.nan
        kernels.call("clip", count, 0.5, l2, 0.25, g, w)
        assert_near(kernels, g[1:], np.clip(gradient[1:], -0.25, 0.25).astype(float))
        assert np.isnan(g[:1]).all()


def test_bound(kernels):
    for m, n in itertools.product((0, 1, 2, 17), (1, kernels.lanes - 1, kernels.lanes)):
        w = draw(kernels, m, n)
        norms = np.sqrt((wide(w) ** 2).sum(axis=0))
        for max_norm in (0.5 * norms.max(), 2 * norms.max()):
            expected = w * np.minimum(1, max_norm / np.where(norms > 0, norms, 1))
            panel = kernels.panels(w)
            found = kernels.call("bound", m, float(max_norm), panel)
            assert found == (max_norm < norms.max())
            assert_near(kernels, kernels.from_panels(panel, m, n), expected.astype(float))


def test_bound_narrow(kernels):
    for m, n in itertools.product((1, 2, kernels.lanes, 61), (1, 2, 3)):
        w = draw(kernels, m, n)
        norms = np.sqrt((wide(w) ** 2).sum(axis=0))
        for max_norm in (0.5 * norms.max(), 2 * norms.max()):
            expected = w * np.minimum(1, max_norm / norms)
            panels = kernels.panels(w.T)  # (panels, n, V)
            found = kernels.call("bound_narrow", len(panels), n, float(max_norm), panels)
            assert found == (max_norm < norms.max())
            assert_near(kernels, kernels.from_panels(panels, n, m).T, expected.astype(float))


@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_sum_arrays_adds_in_order(kernels, n):
    for panels in (0, 1, 5):
        count, distance = panels * kernels.lanes, (panels + 2) * kernels.lanes
        arrays, out = kernels.aligned(draw(kernels, n, distance)), kernels.zeros(distance)
        kernels.call("sum_arrays", count, n, arrays, distance, out)
        expected = np.zeros(distance, kernels.dtype)
        for array in arrays:
            expected[:count] += array[:count]
        np.testing.assert_array_equal(out, expected)


def test_multiply_adds_counts_its_flops(kernels):
    counts = [kernels.call("multiply_adds", n, kernels.zeros(64)) for n in (1, 10, 1000)]
    assert counts[0] >= 2 * kernels.lanes
    assert counts == [counts[0], 10 * counts[0], 1000 * counts[0]]


@pytest.mark.parametrize("relu", [0, 1])
def test_a_row_has_the_same_bits_alone_and_in_a_block(kernels, relu):
    """Whatever the tile that it falls into."""
    m, n, k = 37, 33, 29
    a, w = draw(kernels, m, k), kernels.panels(draw(kernels, k, n, seed=1))
    bias = kernels.panels(draw(kernels, 1, n))

    def forward(rows):
        c = kernels.zeros(len(bias), len(rows), kernels.lanes)
        stride = len(rows) * kernels.lanes
        panels = kernels.panels(rows)
        w_strides = kernels.lanes, k * kernels.lanes
        arguments = panels, stride, w, *w_strides, bias, relu, c, stride
        kernels.call("forward", len(rows), len(bias), k, *arguments)
        return kernels.from_panels(c, len(rows), n).copy()

    block = forward(a)
    for i in range(m):
        for j in (i + 1, i + 2, i + 3, i + 5):
            np.testing.assert_array_equal(forward(a[i:j]), block[i:j])
