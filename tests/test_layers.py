"""Dropout, normalization and skips: the kernels against NumPy, networks against the slope of their
loss, a plain forward pass and PyTorch."""

import itertools

import numpy as np
import pytest
from fastmlp._core import Dataset
from scipy import sparse

from fastmlp import MLPClassifier, MLPRegressor, _core, _network
from fastmlp._initialization import initial_parameters
from fastmlp._network import Network
from naive import FORWARD, dropout_factors, loss_value, threefry
from panels import Csr, Dropout
from problems import bits, ours, outputs, problem
from test_kernels import ACCUMULATE, WIDTHS, assert_near, draw, kernels, rows_around, wide

assert kernels  # a fixture

EPSILON = 1e-5


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


@pytest.mark.parametrize("keep", [False, True])
def test_normalize_rows(kernels, keep):
    for m, n in itertools.product(rows_around(kernels), WIDTHS):
        h, scale, shift = (draw(kernels, r, n, seed=r + 1) for r in (m, 1, 1))
        found, x, inverse = kernels.panels(h), kernels.panels(h), kernels.zeros(m + 1)
        kept = (x, inverse) if keep else (None, None)
        columns = kernels.panels(scale), kernels.panels(shift)
        kernels.call("normalize_rows", m, n, *columns, *kept, found, m * kernels.lanes)
        variance = wide(h).var(axis=1, keepdims=True) if m else np.ones((0, 1))
        inverses = 1 / np.sqrt(variance + EPSILON)
        normal = (wide(h) - wide(h).mean(axis=1, keepdims=True)) * inverses if m else h
        # a single unit is its own mean: what is left is a rounding times the root of 1 / EPSILON
        terms = 8 * n if n > 2 else 800
        expected = (normal * scale + shift).astype(float)
        assert_near(kernels, kernels.from_panels(found, m, n), expected, terms)
        if keep:
            assert_near(kernels, kernels.from_panels(x, m, n), normal.astype(float), terms)
            assert_near(kernels, inverse[:m], inverses[:, 0].astype(float), terms=320)
            padding = x.transpose(1, 0, 2).reshape(m, len(x) * kernels.lanes)[:, n:]
            assert (padding == 0).all()


def test_normalize_rows_delta(kernels):
    for m, n in itertools.product(rows_around(kernels), WIDTHS):
        d, x, scale = (draw(kernels, r, n, seed=s) for s, r in enumerate((m, m, 1)))
        inverse = np.exp(draw(kernels, m))
        found = kernels.panels(d)
        arrays = kernels.panels(scale), kernels.panels(x), kernels.aligned(inverse), found
        kernels.call("normalize_rows_delta", m, n, *arrays, m * kernels.lanes)
        g = wide(d) * scale
        expected = g - g.sum(axis=1, keepdims=True) / n
        expected = expected - x * (g * x).sum(axis=1, keepdims=True) / n
        expected = (expected * inverse[:, None]).astype(float)
        assert_near(kernels, kernels.from_panels(found, m, n), expected, terms=32 * n)
        padding = found.transpose(1, 0, 2).reshape(m, len(found) * kernels.lanes)[:, n:]
        assert (padding == 0).all()


def test_add_and_multiply(kernels):
    for count in (0, kernels.lanes, 5 * kernels.lanes):
        x, y = draw(kernels, count), draw(kernels, count, seed=1)
        found = kernels.aligned(y)
        kernels.call("add", count, kernels.aligned(x), found)
        np.testing.assert_array_equal(found, y + x)
        found = kernels.aligned(y)
        kernels.call("multiply", count, kernels.aligned(x), found)
        np.testing.assert_array_equal(found, y * x)


# ------------------------------------------------------------------------------ networks

UNITS = [6, 9, 9, 5]  # a skip where the second hidden layer keeps the first one's width


def network_case(loss, n_outputs, n_samples=23, dtype=np.float64, seed=0):
    """layer_units, X, y as a Dataset takes it, sample weights."""
    rng = np.random.RandomState(seed)
    units = [*UNITS, n_outputs]
    X = rng.standard_normal((n_samples, units[0])).astype(dtype)
    y = {
        "classes": lambda: rng.randint(0, n_outputs, n_samples).astype(np.int32),
        "labels": lambda: rng.randint(0, 2, (n_samples, n_outputs)).astype(np.uint8),
        "reals": lambda: np.exp(rng.standard_normal((n_samples, n_outputs))).astype(dtype),
    }[_core.TARGETS[loss]]()
    return units, X, y, rng.uniform(0.3, 2, n_samples)


def start_of(units, normalization, dtype=np.float64, seed=1):
    """Parameters of every kind, none where it begins."""
    rng = np.random.RandomState(seed)
    coefs = [rng.standard_normal(s) / np.sqrt(s[0]) for s in itertools.pairwise(units)]
    intercepts = [rng.standard_normal(n) / 2 for n in units[1:]]
    activations = ["relu"] * (len(units) - 1)
    more = initial_parameters(units, activations, dtype, rng, normalization=normalization)[2:]
    more = [[a + rng.uniform(-0.3, 0.3, a.shape) for a in arrays] for arrays in more]
    return tuple([a.astype(dtype) for a in arrays] for arrays in (coefs, intercepts, *more))


def slope_and_differences(loss, n_outputs, h, draws, directions=4, **settings):
    """Directional derivatives of the loss by the trained parameters: by the gradient, and by
    central differences over h and over half of it. Frozen layers stay where they are."""
    units, X, y, weights = network_case(loss, n_outputs, seed=draws)
    normalization, frozen = settings.get("normalization"), settings.get("frozen_layers", ())
    start = start_of(units, normalization, seed=draws + 1)
    network = Network(units, loss=loss, dtype=np.float64, **settings)
    dataset = Dataset(X, y, weights)
    trained = start[: 4 if normalization else 2]
    gradient = tuple([np.empty_like(a) for a in arrays] for arrays in trained)
    spare = tuple([np.empty_like(a) for a in arrays] for arrays in trained)
    network.set_parameters(*start)
    network.loss_and_gradient(dataset, 0.3, gradient)
    flat = [a.copy() for arrays in gradient for a in arrays]
    rng, found = np.random.RandomState(draws + 2), []
    times = n_outputs if loss == "squared_error" else 1  # a mean whose gradient is the sum's

    def loss_at(step, direction):
        pairs = zip([a for arrays in trained for a in arrays], direction, strict=True)
        moved = iter([a + step * d for a, d in pairs])
        parameters = [[next(moved) for _ in arrays] for arrays in trained]
        network.set_parameters(*parameters, *start[len(trained) :])
        squares = sum((a**2).sum() for i, a in enumerate(parameters[0]) if i not in frozen)
        penalty = squares * 0.15 / weights.sum()
        return times * network.loss_and_gradient(dataset, 0.0, spare) + penalty

    for _ in range(directions):
        direction = [
            rng.standard_normal(a.shape) * (i not in frozen)
            for arrays in trained
            for i, a in enumerate(arrays)
        ]
        slope = sum((a * d).sum() for a, d in zip(flat, direction, strict=True))
        by_h, by_half = (
            (loss_at(step, direction) - loss_at(-step, direction)) / (2 * step)
            for step in (h, h / 2)
        )
        found.append((slope, by_h, by_half))
    return np.array(found)


OUTPUTS_OF = {loss: 3 if targets != "labels" else 2 for loss, targets in _core.TARGETS.items()}
FUSED = [loss for loss in _core.LOSSES if not loss.endswith("_deviance")]
FORMS = list(itertools.product((None, "layer", "batch"), (False, True)))


@pytest.mark.parametrize("normalization, residual", FORMS)
@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
@pytest.mark.parametrize("loss", FUSED)
def test_gradient_is_the_slope_of_the_loss(loss, activation, normalization, residual):
    """With dropout, whose noise is the same in every evaluation."""
    settings = {
        "activations": [activation, "tanh", activation],
        "normalization": normalization,
        "residual": residual,
        "dropout": [0.2, 0.3, 0.0, 0.4],
        "seed": 5,
    }
    for draws in range(20):  # a kink between two points shows in differences that disagree
        found = slope_and_differences(loss, OUTPUTS_OF[loss], 2e-5, draws, **settings)
        slope, by_h, by_half = found.T
        scale = max(1, np.abs(by_half).max())
        if np.abs(by_h - by_half).max() < 3e-7 * scale:
            np.testing.assert_allclose(slope, (4 * by_half - by_h) / 3, atol=1e-6 * scale, rtol=0)
            return
    raise AssertionError("kinks everywhere")


def plain_forward(parameters, X, activations, normalization, residual, training, factors=None):
    """Outputs of the last layer's product; training: whether batch normalization is by the batch's
    moments, of all layers or of each; factors: dropout's, of the inputs and hidden layers."""
    coefs, intercepts, *more = parameters
    h = X if factors is None else X * factors[0]
    training = np.broadcast_to(training, len(activations))
    for i, activation in enumerate(activations):
        z = h @ coefs[i] + intercepts[i]
        if normalization:
            axis = 0 if normalization == "batch" else 1
            mean, variance = z.mean(axis, keepdims=True), z.var(axis, keepdims=True)
            if normalization == "batch" and not training[i]:
                mean, variance = more[2][i], more[3][i]
            z = (z - mean) / np.sqrt(variance + EPSILON) * more[0][i] + more[1][i]
        out = FORWARD[activation](z)
        if factors is not None:
            out = out * factors[i + 1]
        h = out + h if residual and i and h.shape == out.shape else out
    return h @ coefs[-1] + intercepts[-1]


ACTS = ["relu", "gelu", "elu"]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("normalization, residual", FORMS)
def test_loss_and_prediction_equal_a_plain_forward_pass(normalization, residual, container, dtype):
    """In training, with dropout, and in prediction, where it is off and batch normalization takes
    its running averages."""
    units, X, y, _ = network_case("squared_error", 3, dtype=dtype)
    start = start_of(units, normalization, dtype)
    rates, every = [0.2, 0.3, 0.0, 0.4], np.arange(len(X))
    settings = {"normalization": normalization, "residual": residual}
    network = Network(
        units,
        activations=ACTS,
        loss="squared_error",
        dtype=dtype,
        dropout=rates,
        seed=9,
        **settings,
    )
    network.set_parameters(*start)
    dataset = Dataset(container(X), y)
    trained = start[: 4 if normalization else 2]
    gradient = tuple([np.empty_like(a) for a in arrays] for arrays in trained)
    loss = network.loss_and_gradient(dataset, 0.0, gradient)
    factors = [
        dropout_factors(rate, every, n, layer=i, seed=9)
        for i, (rate, n) in enumerate(zip(rates, units, strict=False))
    ]
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    exact = [[a.astype(float) for a in arrays] for arrays in start]
    arguments = exact, X.astype(float), ACTS, normalization, residual
    expected = loss_value("squared_error", y, plain_forward(*arguments, True, factors))
    np.testing.assert_allclose(loss, expected, rtol=tolerance)
    expected = plain_forward(*arguments, False)
    np.testing.assert_allclose(network.predict(dataset, every), expected, atol=10 * tolerance)
    parameters = _core.Parameters(*start)
    for n_rows in (1, len(X)):
        some = Dataset(container(X[:n_rows]))
        found, _ = _core.predict(some, parameters, ACTS, "identity", residual, 1)
        np.testing.assert_allclose(found, expected[:n_rows], atol=10 * tolerance)


FEATURES = {
    "dropout": {"dropout": (0.2, 0.3), "input_dropout": 0.1},
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer"},
    "residual": {"residual": True, "activation": ["relu", "silu"]},
    "frozen": {"normalization": "batch", "frozen_layers": [1]},
    "all": {
        **{"dropout": 0.2, "input_dropout": 0.1, "normalization": "batch"},
        **{"residual": True, "activation": ["mish", "relu"]},
    },
}
WAYS = {  # limits in _network, for batches of 200
    "shares": {},
    "blocks": {"SHARE_BYTES": 0},
    "blocks in chunks": {"SHARE_BYTES": 0, "WORKSPACE_BYTES": 2**15, "MIN_ROWS": 40},
}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("feature", FEATURES)
def test_bits_do_not_depend_on_threads(feature, way, container, dtype, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(_network, name, value)
    X, y = problem("multiclass", n_samples=450, n_features=30, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(y))
    params = {"hidden_layer_sizes": (40, 40), "max_iter": 3, "random_state": 0}
    found = [
        bits(
            ours("multiclass", n_threads=n, **params, **FEATURES[feature]).fit(
                container(X), y, sample_weight=weights
            ),
            X,
        )
        for n in (1, 2, 3, 7)
    ]
    assert found[1:] == found[:1] * 3


@pytest.mark.parametrize("feature", FEATURES)
def test_ways_agree(feature, monkeypatch):
    """Chunks, shares and blocks sum the same things in other orders; sparse X is the same X."""
    X, y = problem("multiclass", n_samples=450, n_features=30)
    params = {"hidden_layer_sizes": (40, 40), "max_iter": 3, "random_state": 0}
    found = []
    for way, container in itertools.product(WAYS, (np.asarray, sparse.csr_array)):
        with monkeypatch.context() as patch:
            for name, value in WAYS[way].items():
                patch.setattr(_network, name, value)
            model = ours("multiclass", **params, **FEATURES[feature]).fit(container(X), y)
            found.append(outputs(model, X))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-11)


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_a_slice_of_a_pass_may_begin_within_a_batch(normalization, monkeypatch):
    """As it does where a chunk is work enough for one."""
    rng, units = np.random.RandomState(0), [300, 300, 300, 5]
    dataset = Dataset(rng.standard_normal((600, 300)), rng.standard_normal((600, 5)))
    start, found = start_of(units, normalization), []
    monkeypatch.setattr(_network, "MIN_ROWS", 32)
    for workspace in (2**30, 2**21):
        monkeypatch.setattr(_network, "WORKSPACE_BYTES", workspace)
        settings = {"loss": "squared_error", "dtype": np.float64, "normalization": normalization}
        network = Network(units, activations=["tanh", "tanh"], **settings)
        network.set_parameters(*start)
        gradient = tuple([np.empty_like(a) for a in arrays] for arrays in start)
        network.loss_and_gradient(dataset, 0.0, gradient)
        found.append([a for arrays in gradient for a in arrays])
    for whole, in_chunks in zip(*found, strict=True):
        np.testing.assert_allclose(in_chunks, whole, atol=1e-12)


def test_batches_that_weigh_nothing_leave_the_noise_as_it_was():
    """What is dropped does not depend on how many epochs one call runs."""
    X, y = problem("multiclass", n_samples=60)
    weights = np.repeat([1.0, 0.0, 2.0], 20)
    params = {"hidden_layer_sizes": (9,), "batch_size": 20, "shuffle": False, "max_iter": 4}
    model = ours("multiclass", dropout=0.5, random_state=0, **params)
    together = bits(model.fit(X, y, sample_weight=weights), X)
    one_by_one = bits(model.set_params(verbose=True).fit(X, y, sample_weight=weights), X)
    assert one_by_one == together


def test_dropout_drops_at_its_rate_and_keeps_the_mean():
    factors = dropout_factors(0.3, np.arange(2000), 500, layer=1)
    assert abs((factors == 0).mean() - 0.3) < 5 * np.sqrt(0.21 / factors.size)
    assert abs(factors.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / factors.size)
    # no unit and no row of its own luck, and none that goes with its neighbour
    assert abs((factors == 0).mean(axis=0) - 0.3).max() < 5 * np.sqrt(0.21 / 2000)
    assert abs((factors == 0).mean(axis=1) - 0.3).max() < 5 * np.sqrt(0.21 / 500)
    centred = (factors == 0) - 0.3
    pairs = centred[:, 1:] * centred[:, :-1]
    assert abs(pairs.mean()) < 5 * 0.21 / np.sqrt(pairs.size)
    other = dropout_factors(0.3, np.arange(2000), 500, layer=1, step=1)
    assert abs(((other == 0) & (factors == 0)).mean() - 0.09) < 5 * 0.3 / 1000


@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_batch_normalization_folds_into_the_weights(kind):
    """At prediction it is a network without it."""
    X, y = problem(kind, n_samples=200)
    params = {"hidden_layer_sizes": (20, 10), "max_iter": 20, "random_state": 0}
    model = ours(kind, normalization="batch", **params).fit(X, y)
    assert all((v != 1).all() for v in model.norm_variances_)
    folded = ours(kind, **params).fit(X, y)
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        scale, shift = 1, 0
        if i < 2:
            scale = model.norm_scales_[i] / np.sqrt(model.norm_variances_[i] + EPSILON)
            shift = model.norm_shifts_[i] - model.norm_means_[i] * scale
        folded.coefs_[i] = coef * scale
        folded.intercepts_[i] = intercept * scale + shift
    np.testing.assert_allclose(outputs(folded, X), outputs(model, X), rtol=1e-12, atol=1e-14)


def test_running_averages_follow_the_batches():
    X, y = problem("squared", n_samples=40)
    params = {"hidden_layer_sizes": (7,), "batch_size": 40, "shuffle": False, "max_iter": 1}
    model = ours("squared", normalization="batch", random_state=0, warm_start=True, **params)
    means, variances = np.zeros(7), np.ones(7)
    model.fit(X, y)
    start = ours("squared", normalization="batch", random_state=0, **params)
    start.set_params(learning_rate_init=1e-300).fit(X, y)  # as good as no step
    coef, intercept = start.coefs_[0], start.intercepts_[0]
    for _ in range(4):
        z = X @ coef + intercept
        means, variances = 0.9 * means + 0.1 * z.mean(axis=0), 0.9 * variances + 0.1 * z.var(axis=0)
        np.testing.assert_allclose(model.norm_means_[0], means, atol=1e-13)
        np.testing.assert_allclose(model.norm_variances_[0], variances, rtol=1e-12)
        coef, intercept = model.coefs_[0].copy(), model.intercepts_[0].copy()
        model.fit(X, y)


def test_a_short_batch_counts_less_in_the_running_averages():
    """By its share of the others' rows: moments of a few rows are far from all rows'."""
    X, y = problem("squared", n_samples=41)
    params = {"hidden_layer_sizes": (7,), "batch_size": 40, "shuffle": False, "max_iter": 1}
    params |= {"learning_rate_init": 1e-300, "random_state": 0}  # as good as no step
    model = ours("squared", normalization="batch", **params).fit(X, y)
    z = X @ model.coefs_[0] + model.intercepts_[0]
    variance = 0.9 + 0.1 * z[:40].var(axis=0)
    variance *= 1 - 0.1 / 40  # one row has none
    np.testing.assert_allclose(model.norm_variances_[0], variance, rtol=1e-12)
    mean = 0.1 * z[:40].mean(axis=0)
    mean += 0.1 / 40 * (z[40] - mean)
    np.testing.assert_allclose(model.norm_means_[0], mean, atol=1e-14)


def test_batch_normalization_of_one_row_is_refused():
    X, y = problem("binary")
    for params, rows in (({"batch_size": 1}, slice(None)), ({}, slice(1))):
        model = ours("binary", normalization="batch", hidden_layer_sizes=(5,), **params)
        with pytest.raises(ValueError, match="batches of more than one sample"):
            model.fit(X[rows], y[rows])
    model = ours("binary", normalization="batch", hidden_layer_sizes=(5,)).fit(X, y)
    before = bits(model, X)
    with pytest.raises(ValueError, match="n_samples=1"):
        model.partial_fit(X[:1], y[:1])
    assert bits(model, X) == before


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_a_weight_of_two_is_a_row_twice(normalization):
    """Also in the moments of a batch."""
    X, y = problem("multiclass")
    weights = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), weights)
    params = {"hidden_layer_sizes": (7, 7), "batch_size": 1000, "max_iter": 10, "random_state": 0}
    with pytest.warns(UserWarning, match="batch_size"):
        a = ours("multiclass", normalization=normalization, **params)
        a.fit(X, y, sample_weight=weights)
        b = ours("multiclass", normalization=normalization, **params).fit(X[rows], y[rows])
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), atol=1e-10)


def test_rows_that_weigh_next_to_nothing(dtype):
    """As many as have moments of their own, of a weight that is no number to float32."""
    X, y = problem("multiclass", n_samples=200, dtype=dtype)
    params = {"hidden_layer_sizes": (7,), "shuffle": False, "max_iter": 3, "random_state": 0}
    found = []
    for light in (0.0, 1e-50):
        weights = np.repeat([light, 1.0], 100)
        model = ours("multiclass", normalization="batch", **params)
        found.append(outputs(model.fit(X, y, sample_weight=weights), X))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_frozen_layers_keep_their_running_averages(dtype):
    """And are normalized by them: in training as in prediction."""
    units, X, y, _ = network_case("squared_error", 3, dtype=dtype)
    start, order = start_of(units, "batch", dtype), np.arange(len(X))[np.newaxis]
    settings = {"normalization": "batch", "residual": True, "optimizer": "adam"}
    settings |= {"activations": ACTS, "loss": "squared_error", "dtype": dtype}
    for frozen in ([0], [1], [0, 1], [0, 1, 2], [2, 3]):
        network = Network(units, frozen_layers=frozen, **settings)
        network.set_parameters(*start)
        dataset = Dataset(X, y)
        step = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
        network.train(dataset, order, len(X), alpha=0.0, step=step)
        exact = [[a.astype(float) for a in arrays] for arrays in start]
        hidden = plain_forward(exact, X, ACTS, "batch", True, [i not in frozen for i in range(3)])
        loss = loss_value("squared_error", y, hidden)
        np.testing.assert_allclose(network.loss_sums[0] / len(X), loss, rtol=1e-4)
        after = start_of(units, "batch", dtype, seed=2)
        network.get_parameters(*after)
        for before, arrays in zip(start, after, strict=True):
            for i, (then, now) in enumerate(zip(before, arrays, strict=True)):
                assert (then == now).all() if i in frozen else (then != now).any()


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1, 2), (1, 3), (0, 2)], ids=str)
@pytest.mark.parametrize("residual", [False, True])
def test_gradient_through_frozen_layers_is_the_slope_of_the_loss(residual, frozen):
    """Batch normalization does not move with the batch there."""
    settings = {"activations": ["tanh", "gelu", "silu"], "normalization": "batch"}
    settings |= {"residual": residual, "frozen_layers": frozen}
    found = slope_and_differences("log_loss", 3, 1e-4, 0, **settings)
    slope, by_h, by_half = found.T
    np.testing.assert_allclose(slope, (4 * by_half - by_h) / 3, atol=1e-8)
    assert np.abs(slope).min() > 1e-4


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("kind", ["binary", "multilabel", "squared x3"])
def test_partial_fit_and_warm_start_go_on(kind, feature, dtype):
    """Two epochs of partial_fit are two of fit, where the order of the rows is the same."""
    X, y = problem(kind, n_samples=90, dtype=dtype)
    params = {"hidden_layer_sizes": (12, 12), "shuffle": False, "random_state": 3, "max_iter": 2}
    fitted = ours(kind, **params, **FEATURES[feature]).fit(X, y)
    classes = (
        {} if kind == "squared x3" else {"classes": np.unique(y) if y.ndim == 1 else [0, 1, 2]}
    )
    model = ours(kind, **params, **FEATURES[feature]).partial_fit(X, y, **classes)
    before = outputs(model, X)
    model.partial_fit(X, y)
    if feature not in ("dropout", "all"):  # whose seed is drawn again
        np.testing.assert_array_equal(outputs(model, X), outputs(fitted, X))
    assert (outputs(model, X) != before).any()
    model.set_params(warm_start=True).fit(X, y)
    assert np.isfinite(outputs(model, X)).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"dropout": [0.1]}, "one for each of the 2 hidden layers"),
        ({"dropout": [0.1, 1.0]}, "dropout must be"),
        ({"dropout": ["a", 0.1]}, "dropout must be"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"input_dropout": -0.1}, "'input_dropout' parameter"),
        ({"normalization": "group"}, "'normalization' parameter"),
        ({"normalization": "batch", "hidden_layer_sizes": ()}, "needs a hidden layer"),
        ({"residual": True, "hidden_layer_sizes": (5, 6)}, "as wide as"),
        ({"residual": True, "hidden_layer_sizes": (9,)}, "as wide as"),
        ({"activation": ["relu"]}, "one for each of the 2 hidden layers"),
        ({"activation": ["relu", "sine"]}, "activation must be one of identity, logistic"),
        ({"activation": ["relu", 3]}, "activation must be one of"),
        ({"solver": "lbfgs", "dropout": 0.1}, "solver='lbfgs' needs a loss"),
        ({"solver": "lbfgs", "input_dropout": 0.1}, "solver='lbfgs' needs a loss"),
        ({"solver": "lbfgs", "normalization": "batch"}, "solver='lbfgs' needs a loss"),
    ],
    ids=str,
)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_what_makes_no_sense_is_refused(cls, params, message):
    X, y = problem("binary")
    model = cls(**{"hidden_layer_sizes": (5, 5), "max_iter": 2} | params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_normalization_cannot_change_under_warm_start():
    X, y = problem("binary")
    model = ours("binary", hidden_layer_sizes=(5,), max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="normalization=None, which neither warm_start"):
        model.set_params(normalization="batch").fit(X, y)
    before = bits(model, X)
    model.set_params(warm_start=False).fit(X, y)
    assert bits(model, X) != before
    assert len(model.norm_means_) == 1
    model.set_params(normalization=None).fit(X, y)
    assert not hasattr(model, "norm_means_")


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_layer_normalization_and_skips_train_with_every_solver(solver):
    X, y = problem("multiclass", n_samples=200)
    params = {"hidden_layer_sizes": (20, 20), "normalization": "layer", "residual": True}
    params |= {"activation": ["gelu", "relu"], "max_iter": 100, "random_state": 0}
    model = ours("multiclass", solver=solver, learning_rate_init=0.03, **params).fit(X, y)
    assert model.score(X, y) > 0.9


def torch_network(torch, units, normalization, residual, activations):
    """The same network in PyTorch."""
    names = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "elu": torch.nn.functional.elu}

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            pairs = itertools.pairwise(units)
            self.linear = torch.nn.ModuleList([torch.nn.Linear(a, b) for a, b in pairs])
            norm = torch.nn.BatchNorm1d if normalization == "batch" else torch.nn.LayerNorm
            self.norm = torch.nn.ModuleList([norm(n) for n in units[1:-1] if normalization])

        def forward(self, h):
            for i, name in enumerate(activations):
                z = self.linear[i](h)
                out = names[name](self.norm[i](z) if normalization else z)
                h = out + h if residual and i and h.shape == out.shape else out
            return self.linear[-1](h)

    return Block().double()


@pytest.mark.parametrize("normalization, residual", FORMS)
def test_training_follows_pytorch(normalization, residual):
    torch = pytest.importorskip("torch")
    units, X, y, _ = network_case("squared_error", 1, n_samples=60)
    start = start_of(units, normalization)
    settings = {"normalization": normalization, "residual": residual, "optimizer": "sgd"}
    network = Network(units, activations=ACTS, loss="squared_error", dtype=np.float64, **settings)
    network.set_parameters(*start)
    model = torch_network(torch, units, normalization, residual, ACTS)
    with torch.no_grad():
        for i, linear in enumerate(model.linear):
            linear.weight[:], linear.bias[:] = (
                torch.tensor(start[0][i].T.copy()),
                torch.tensor(start[1][i]),
            )
        for i, norm in enumerate(model.norm):
            norm.weight[:], norm.bias[:] = torch.tensor(start[2][i]), torch.tensor(start[3][i])
    descent = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    inputs, targets = torch.tensor(X), torch.tensor(y)
    for begin in [0, 20, 40] * 7:
        rows = slice(begin, begin + 20)
        descent.zero_grad()
        (0.5 * (model(inputs[rows]) - targets[rows]) ** 2).mean().backward()
        descent.step()
    order = np.arange(60, dtype=np.intp)
    step = {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}
    network.train(Dataset(X, y), np.stack([order] * 7), 20, alpha=0.0, step=step)
    found = start_of(units, normalization)
    network.get_parameters(*found)
    for i, linear in enumerate(model.linear):
        np.testing.assert_allclose(found[0][i], linear.weight.detach().numpy().T, atol=1e-10)
        np.testing.assert_allclose(found[1][i], linear.bias.detach().numpy(), atol=1e-10)
    for i, norm in enumerate(model.norm):
        np.testing.assert_allclose(found[2][i], norm.weight.detach().numpy(), atol=1e-10)
        np.testing.assert_allclose(found[3][i], norm.bias.detach().numpy(), atol=1e-10)
