"""The kernels of dropout, normalization and skips against NumPy."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from fastmlp import _core
from reference.naive import EPSILON, MOMENTS, dropout_factors, threefry
from reference.panels import Csr, Dropout, tables
from reference.shapes import ACCUMULATE, WIDTHS, assert_near, draw, rows_around, wide


def test_threefry_gives_the_papers_numbers():
    """The known answers that Random123 comes with: of the twin that the kernel is held to."""
    answers = [
        ([0] * 4, [0] * 4, "9c6ca96a e17eae66 fc10ecd4 5256a7d8"),
        ([2**32 - 1] * 4, [2**32 - 1] * 4, "2a881696 57012287 f6c7446e a16a6732"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0, 0x082EFA98, 0xEC4E6C89],
            "59cd1dbb b8879579 86b5d00c ac8b6d84",
        ),
    ]
    for counter, key, expected in answers:
        assert " ".join(f"{word:08x}" for word in threefry(counter, key)) == expected


def dropout_of(rate, layer, seed):
    threshold = round(65536 * rate)
    key = (seed & 2**32 - 1, seed >> 32)
    return Dropout(key, layer, threshold, 65536 / (65536 - threshold))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.97])
def test_dropout(kernels, rate):
    seed, step = 0x0123456789ABCDEF, 7
    for m, n in itertools.product([*rows_around(kernels), 64, 65, 130], WIDTHS):
        rows = np.random.RandomState(m).permutation(2 * m + 1)[:m].astype(np.intp)
        h, slope = draw(kernels, m, n), draw(kernels, m, n, seed=1)
        factors = dropout_factors(rate, rows, n, layer=3, step=step, seed=seed)
        for wanted in (h, slope), (h, None):
            found = [None if x is None else kernels.panels(x, 2) for x in wanted]
            setting = dropout_of(rate, 3, seed)
            panel = (m + 2) * kernels.lanes
            kernels.call("dropout", m, n, rows, setting, step, *found, panel)
            for x, panels in zip(wanted, found, strict=True):
                if x is not None:
                    got = kernels.from_panels(panels, m, n)
                    assert_near(kernels, got, (wide(x) * factors).astype(float))
                    assert ((got == 0) == (factors == 0)).all()


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_dropout_csr(kernels, source, index):
    rng = np.random.RandomState(0)
    X = sparse.random_array((20, 40), density=0.4, rng=rng, format="csr").astype(source)
    parts = X.indptr.astype("i8"), X.indices.astype(index), X.data
    csr = Csr(*(p.ctypes.data for p in parts), index == "int64", source == "float64")
    rows, out = np.array([3, 17, 4], np.intp), np.full_like(X.data, 7)
    kernels.call("dropout_csr", 3, csr, rows, dropout_of(0.3, 0, 5), 2, out)
    found = X.copy()
    found.data[:] = out
    factors = dropout_factors(0.3, rows, 40, layer=0, step=2, seed=5)
    np.testing.assert_allclose(found.toarray()[rows], X.toarray()[rows] * factors, rtol=1e-6)
    others = np.setdiff1d(np.arange(20), rows)
    assert (found[others].data == 7).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_moments(kernels, weighted):
    """Of parts, and put together; also where the mean is far from zero."""
    for m, n in itertools.product((1, 2, 7, 37), (1, 7, 33)):
        rng = np.random.RandomState(m)
        rows = rng.permutation(3 * m)[: 2 * m].astype(np.intp)
        h = draw(kernels, 2 * m, n) + 10
        weights = rng.uniform(0.5, 2, 3 * m) if weighted else None
        w = np.ones(2 * m) if weights is None else weights[rows]
        panels = -(-n // kernels.lanes)
        parts, totals = kernels.zeros(2, 2, panels, kernels.lanes), np.zeros(2)
        for part in range(2):
            some = slice(part * m, (part + 1) * m)
            arguments = rows[some].copy(), weights, kernels.panels(h[some]), m * kernels.lanes
            totals[part] = kernels.call("moments", m, panels, *arguments, parts[part])
            mean = np.average(wide(h[some]), weights=w[some], axis=0)
            variance = np.average((wide(h[some]) - mean) ** 2, weights=w[some], axis=0)
            for found, expected in zip(parts[part], (mean, variance), strict=True):
                found = found.reshape(-1)[:n]
                assert_near(kernels, found, expected.astype(float), terms=40 * m)
            np.testing.assert_allclose(totals[part], w[some].sum())
        together = kernels.zeros(2, panels, kernels.lanes)
        kernels.call("combine_moments", 2, panels, totals, parts, together)
        mean = np.average(wide(h), weights=w, axis=0)
        variance = np.average((wide(h) - mean) ** 2, weights=w, axis=0)
        for found, expected in zip(together, (mean, variance), strict=True):
            assert_near(kernels, found.reshape(-1)[:n], expected.astype(float), terms=40)
            assert (found.reshape(-1)[n:] == 0).all()


def test_running_average(kernels):
    now, average = draw(kernels, 3 * kernels.lanes), draw(kernels, 3 * kernels.lanes, seed=1)
    found = kernels.aligned(average)
    kernels.call("running_average", now.size, 0.1, kernels.aligned(now), found)
    assert_near(kernels, found, 0.9 * average + 0.1 * now)


@pytest.mark.parametrize("keep", [False, True])
def test_normalize(kernels, keep):
    for m, n in itertools.product((0, 1, 7, 37), WIDTHS):
        h, mean, scale, shift = (draw(kernels, rows, n, seed=rows) for rows in (m, 1, 1, 1))
        variance = np.exp(draw(kernels, 1, n, seed=5))
        columns = [kernels.panels(a) for a in (mean, variance, scale, shift)]
        found, x = kernels.panels(h), kernels.panels(h)
        stride = m * kernels.lanes
        kernels.call("normalize", m, len(found), *columns, x if keep else None, found, stride)
        normal = (wide(h) - mean) / np.sqrt(wide(variance) + EPSILON)
        expected = (normal * scale + shift).astype(float)
        assert_near(kernels, kernels.from_panels(found, m, n), expected, terms=8)
        if keep:
            assert_near(kernels, kernels.from_panels(x, m, n), normal.astype(float), terms=8)


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_normalization_sums(kernels, accumulate):
    for m, n in itertools.product(rows_around(kernels), WIDTHS):
        d, x = draw(kernels, m, n), draw(kernels, m, n, seed=1)
        start = draw(kernels, 1, n, seed=2)
        scale, shift = kernels.panels(start), kernels.panels(2 * start)
        panels = kernels.panels(d), kernels.panels(x), m * kernels.lanes
        kernels.call("normalization_sums", m, len(scale), *panels, accumulate, scale, shift)
        for found, sums, begin in ((scale, wide(d) * x, start), (shift, wide(d), 2 * start)):
            expected = accumulate * wide(begin[0]) + sums.sum(axis=0)
            found = kernels.from_panels(found, 1, n)[0]
            assert_near(kernels, found, expected.astype(float), terms=8 * m)


@pytest.mark.parametrize("weighted", [False, True])
def test_normalize_delta(kernels, weighted):
    for m, n in itertools.product((1, 7, 37), WIDTHS):
        rng = np.random.RandomState(m)
        rows = rng.permutation(2 * m).astype(np.intp)[:m]
        weights = rng.uniform(0, 2, 2 * m) if weighted else None
        d, x = draw(kernels, m, n), draw(kernels, m, n, seed=1)
        variance = np.exp(draw(kernels, 1, n, seed=2))
        scale, products, sums = (draw(kernels, 1, n, seed=s) for s in (3, 4, 5))
        found, both = kernels.panels(d), np.stack([kernels.panels(products), kernels.panels(sums)])
        arrays = kernels.panels(x), kernels.panels(variance), kernels.panels(scale)
        arrays = (*arrays, kernels.aligned(both), found)
        counts = m, len(found), rows, weights, 5.5
        kernels.call("normalize_delta", *counts, *arrays, m * kernels.lanes)
        w = np.ones((m, 1)) if weights is None else weights[rows, None]
        expected = wide(d) - w / 5.5 * (wide(sums) + wide(x) * products)
        expected *= scale / np.sqrt(wide(variance) + EPSILON)
        assert_near(kernels, kernels.from_panels(found, m, n), expected.astype(float), terms=16)


BY_ROW = tables()[0].table["normalize_rows"]


def trained_vectors(kernels, kind, n):
    """Scale, and shift where there is one: (1, n) each, and in panels."""
    vectors = [draw(kernels, 1, n, seed=seed) for seed in range(2, _core.N_TRAINED[kind])]
    return vectors, kernels.aligned(np.stack([kernels.panels(vector) for vector in vectors]))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", BY_ROW)
def test_normalize_rows(kernels, kind, keep):
    for m, n in itertools.product(rows_around(kernels), WIDTHS):
        h, (vectors, trained) = draw(kernels, m, n, seed=m + 1), trained_vectors(kernels, kind, n)
        found, x, inverse = kernels.panels(h), kernels.panels(h), kernels.zeros(m + 1)
        kept = (x, inverse) if keep else (None, None)
        stride = m * kernels.lanes
        kernels.call("normalize_rows", m, n, trained, *kept, found, stride, entry=kind)
        mean, variance = MOMENTS[kind](wide(h))
        inverses = 1 / np.sqrt(variance + EPSILON)
        normal = (wide(h) - mean) * inverses
        # a single unit is its own mean: what is left is a rounding times the root of 1 / EPSILON
        terms = 8 * n if n > 2 else 800
        expected = (normal * vectors[0] + sum(vectors[1:])).astype(float)
        assert_near(kernels, kernels.from_panels(found, m, n), expected, terms)
        if keep:
            assert_near(kernels, kernels.from_panels(x, m, n), normal.astype(float), terms)
            assert_near(kernels, inverse[:m], inverses[:, 0].astype(float), terms=320)
            padding = x.transpose(1, 0, 2).reshape(m, len(x) * kernels.lanes)[:, n:]
            assert (padding == 0).all()


@pytest.mark.parametrize("accumulate", ACCUMULATE)
@pytest.mark.parametrize("kind", BY_ROW)
def test_normalize_rows_delta(kernels, kind, accumulate):
    for m, n in itertools.product(rows_around(kernels), WIDTHS):
        d, x = (draw(kernels, m, n, seed=seed) for seed in range(2))
        vectors, trained = trained_vectors(kernels, kind, n)
        inverse, sums, found = np.exp(draw(kernels, m)), kernels.aligned(trained), kernels.panels(d)
        arrays = trained, kernels.panels(x), kernels.aligned(inverse), found
        more = m * kernels.lanes, accumulate, sums
        kernels.call("normalize_rows_delta", m, n, *arrays, *more, entry=kind)
        g = wide(d) * vectors[0]
        expected = g - MOMENTS[kind](g)[0] - x * (g * x).mean(axis=1, keepdims=True)
        expected = (expected * inverse[:, None]).astype(float)
        assert_near(kernels, kernels.from_panels(found, m, n), expected, terms=32 * n)
        padding = found.transpose(1, 0, 2).reshape(m, len(found) * kernels.lanes)[:, n:]
        assert (padding == 0).all()
        for begin, summed, terms in zip(vectors, sums, (wide(d) * x, wide(d)), strict=False):
            expected = (accumulate * wide(begin[0]) + terms.sum(axis=0)).astype(float)
            assert_near(kernels, kernels.from_panels(summed, 1, n)[0], expected, terms=8 * m)


def test_add_and_multiply(kernels):
    for count in (0, kernels.lanes, 5 * kernels.lanes):
        x, y = draw(kernels, count), draw(kernels, count, seed=1)
        found = kernels.aligned(y)
        kernels.call("add", count, kernels.aligned(x), found)
        np.testing.assert_array_equal(found, y + x)
        found = kernels.aligned(y)
        kernels.call("multiply", count, kernels.aligned(x), found)
        np.testing.assert_array_equal(found, y * x)
