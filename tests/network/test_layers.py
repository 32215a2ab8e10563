"""Dropout, normalization and skips of a network: against the slope of its loss, a plain forward
pass and PyTorch."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from fastmlp import _core
from fastmlp._core import Dataset
from fastmlp._network import plan
from fastmlp._network.architecture import Architecture
from fastmlp._network.initialization import initial_parameters
from reference.build import new_network
from reference.naive import EPSILON, FORWARD, MOMENTS, dropout_factors, loss_value
from reference.networks import FUSED
from reference.problems import LAYER_FEATURES, bits, ours, outputs, problem

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
    activations = ["relu"] * (len(units) - 2)
    architecture = Architecture(units, activations, "identity", normalization=normalization)
    more = initial_parameters(architecture, rng)[2:]
    more = [[a + rng.uniform(-0.3, 0.3, a.shape) for a in arrays] for arrays in more]
    return tuple([a.astype(dtype) for a in arrays] for arrays in (coefs, intercepts, *more))


def slope_and_differences(loss, n_outputs, h, draws, directions=4, **settings):
    """Directional derivatives of the loss by the trained parameters: by the gradient, and by
    central differences over h and over half of it. Frozen layers stay where they are."""
    units, X, y, weights = network_case(loss, n_outputs, seed=draws)
    normalization, frozen = settings.get("normalization"), settings.get("frozen_layers", ())
    start = start_of(units, normalization, seed=draws + 1)
    network = new_network(units, loss=loss, dtype=np.float64, **settings)
    dataset = Dataset(X, y, weights)
    trained = start[: _core.N_TRAINED[normalization]]
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
FORMS = list(itertools.product(_core.NORMALIZATIONS, (False, True)))


# Any two of loss, activation and form meet: forms go round, two for each loss and activation.
SLOPES = [
    (loss, activation, *FORMS[(i + j) % len(FORMS)])
    for i, (loss, activation) in enumerate(itertools.product(FUSED, _core.ACTIVATIONS))
    for j in (0, 3)
]


@pytest.mark.parametrize("loss, activation, normalization, residual", SLOPES)
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
            mean, variance = MOMENTS[normalization](z)
            if normalization == "batch" and not training[i]:
                mean, variance = more[2][i], more[3][i]
            z = (z - mean) / np.sqrt(variance + EPSILON) * more[0][i]
            z += sum(shifts[i] for shifts in more[1 : _core.N_TRAINED[normalization] - 2])
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
    network = new_network(
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
    trained = start[: _core.N_TRAINED[normalization]]
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
    parameters = _core.Parameters(replace(network.architecture, dropout=()), start)
    for n_rows in (1, len(X)):
        some = Dataset(container(X[:n_rows]))
        found, _ = _core.predict(some, parameters, 1)
        np.testing.assert_allclose(found, expected[:n_rows], atol=10 * tolerance)


WAYS = {  # limits in _network/network.py, for batches of 200
    "partial gradients": {},
    "row blocks": {"PARTIAL_BYTES": 0},
    "row blocks in micro-batches": {"PARTIAL_BYTES": 0, "WORKSPACE_BYTES": 2**15, "MIN_ROWS": 40},
}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("feature", LAYER_FEATURES)
def test_bits_do_not_depend_on_threads(feature, way, container, dtype, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(plan, name, value)
    X, y = problem("multiclass", n_samples=450, n_features=30, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(y))
    params = {"hidden_layer_sizes": (40, 40), "max_iter": 3, "random_state": 0}
    found = [
        bits(
            ours("multiclass", n_threads=n, **params, **LAYER_FEATURES[feature]).fit(
                container(X), y, sample_weight=weights
            ),
            X,
        )
        for n in (1, 2, 3, 7)
    ]
    assert found[1:] == found[:1] * 3


@pytest.mark.parametrize("feature", LAYER_FEATURES)
def test_ways_agree(feature, monkeypatch):
    """Chunks, shares and blocks sum the same things in other orders; sparse X is the same X."""
    X, y = problem("multiclass", n_samples=450, n_features=30)
    params = {"hidden_layer_sizes": (40, 40), "max_iter": 3, "random_state": 0}
    found = []
    for way, container in itertools.product(WAYS, (np.asarray, sparse.csr_array)):
        with monkeypatch.context() as patch:
            for name, value in WAYS[way].items():
                patch.setattr(plan, name, value)
            model = ours("multiclass", **params, **LAYER_FEATURES[feature]).fit(container(X), y)
            found.append(outputs(model, X))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-11)


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_a_slice_of_a_pass_may_begin_within_a_batch(normalization, monkeypatch):
    """As it does where a chunk is work enough for one."""
    rng, units = np.random.RandomState(0), [300, 300, 300, 5]
    dataset = Dataset(rng.standard_normal((600, 300)), rng.standard_normal((600, 5)))
    start, found = start_of(units, normalization), []
    monkeypatch.setattr(plan, "MIN_ROWS", 32)
    for workspace in (2**30, 2**21):
        monkeypatch.setattr(plan, "WORKSPACE_BYTES", workspace)
        settings = {"loss": "squared_error", "dtype": np.float64, "normalization": normalization}
        network = new_network(units, activations=["tanh", "tanh"], **settings)
        network.set_parameters(*start)
        gradient = tuple([np.empty_like(a) for a in arrays] for arrays in start)
        network.loss_and_gradient(dataset, 0.0, gradient)
        found.append([a for arrays in gradient for a in arrays])
    for whole, in_chunks in zip(*found, strict=True):
        np.testing.assert_allclose(in_chunks, whole, atol=1e-12)


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


def test_frozen_layers_keep_their_running_averages(dtype):
    """And are normalized by them: in training as in prediction."""
    units, X, y, _ = network_case("squared_error", 3, dtype=dtype)
    start, order = start_of(units, "batch", dtype), np.arange(len(X))[np.newaxis]
    settings = {"normalization": "batch", "residual": True, "optimizer": "adam"}
    settings |= {"activations": ACTS, "loss": "squared_error", "dtype": dtype}
    for frozen in ([0], [1], [0, 1], [0, 1, 2], [2, 3]):
        network = new_network(units, frozen_layers=frozen, **settings)
        network.set_parameters(*start)
        dataset = Dataset(X, y)
        step = {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
        outcome = network.train(dataset, order, len(X), alpha=0.0, step=step)
        exact = [[a.astype(float) for a in arrays] for arrays in start]
        hidden = plain_forward(exact, X, ACTS, "batch", True, [i not in frozen for i in range(3)])
        loss = loss_value("squared_error", y, hidden)
        np.testing.assert_allclose(outcome.loss_sums[0] / len(X), loss, rtol=1e-4)
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
    network = new_network(
        units, activations=ACTS, loss="squared_error", dtype=np.float64, **settings
    )
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
