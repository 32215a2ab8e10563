"""The losses of networks: values and gradients against differences, NumPy and PyTorch."""

import itertools
import json

import numpy as np
import pytest
from scipy import sparse

from fastmlp import _core
from fastmlp._core import Dataset
from reference import losses
from reference.build import new_network
from reference.naive import NaiveDataset, NaiveNetwork
from reference.networks import FUSED
from reference.problems import OUT_ACTIVATIONS

CONTAINERS = (np.asarray, sparse.csr_array)


def case(loss, n_outputs, n_samples=83, dtype=np.float64, seed=0):
    """X, and y as a Dataset takes it."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_samples, 6)).astype(dtype)
    y = {
        "classes": lambda: rng.randint(0, n_outputs, n_samples).astype(np.int32),
        "labels": lambda: rng.randint(0, 2, (n_samples, n_outputs)).astype(np.uint8),
        "reals": lambda: np.exp(rng.standard_normal((n_samples, n_outputs))).astype(dtype),
    }[_core.TARGETS[loss]]()
    return X, y


def parameters(units, dtype=np.float64, seed=1):
    rng = np.random.RandomState(seed)
    coefs = [rng.standard_normal(shape) / 2 for shape in itertools.pairwise(units)]
    intercepts = [rng.standard_normal(n) / 4 for n in units[1:]]
    return tuple([a.astype(dtype) for a in arrays] for arrays in (coefs, intercepts))


def network_of(loss, n_outputs, dtype=np.float64, hidden=(9,), **params):
    units = [6, *hidden, n_outputs]
    params = {"activations": ["tanh"] * len(hidden), "dtype": dtype} | params
    network, start = new_network(units, loss=loss, **params), parameters(units, dtype)
    network.set_parameters(*start)
    return network, start


def loss_and_gradient(network, start, dataset):
    gradient = tuple([np.empty_like(a) for a in arrays] for arrays in start)
    return network.loss_and_gradient(dataset, 0.0, gradient), gradient


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_outputs", [1, 3, 20])
@pytest.mark.parametrize("loss", FUSED)
def test_evaluate_is_the_loss_and_the_prediction(loss, n_outputs, container, dtype):
    X, y = case(loss, n_outputs, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(X))
    dataset, every = Dataset(container(X), y, weights), np.arange(len(X))
    found = []
    for n_threads in (1, 3):
        network, start = network_of(loss, n_outputs, dtype, n_threads=n_threads)
        value, _ = loss_and_gradient(network, start, dataset)
        loss_found, outputs = network.evaluate(dataset, every)
        np.testing.assert_allclose(loss_found, value, rtol=1e-12)
        np.testing.assert_array_equal(outputs, network.predict(dataset, every))
        found.append(loss_found)
    assert found[0] == found[1]
    rows = np.random.RandomState(1).permutation(len(X))[:29]
    part = Dataset(container(X[rows]), y[rows], weights[rows])
    expected = loss_and_gradient(network, start, part)[0]
    np.testing.assert_allclose(network.evaluate(dataset, rows)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 20])
@pytest.mark.parametrize(
    "loss, out_activation", [*((loss, None) for loss in FUSED), ("gamma", "softplus")]
)
def test_training_has_the_same_bits_for_any_number_of_threads(loss, out_activation, n_outputs):
    X, y = case(loss, n_outputs)
    params = {"optimizer": "sgd", "out_activation": out_activation}
    step = {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}
    found = []
    for n_threads in (1, 2, 3):
        network, start = network_of(loss, n_outputs, n_threads=n_threads, **params)
        for batch_size in (32, 83):  # in shares of its rows, and not
            network.train(Dataset(X, y), np.arange(len(X)), batch_size, alpha=0.1, step=step)
        network.get_parameters(*start)
        found.append([a.tobytes() for arrays in start for a in arrays])
    assert found[0] == found[1] == found[2]


SETTINGS = {
    "huber": [{"delta": 0.7}],
    "quantile": [{"quantile": [0.2, 0.7]}],
    "focal": [{"gamma": 0.5}, {"gamma": 2.0}],
    "binary_focal": [{"gamma": 0.5}, {"gamma": 2.0}],
    "log_loss": [{}, {"smoothing": 0.3}],
    "binary_log_loss": [{}, {"smoothing": 0.3}],
}
PAIRS = [
    (loss, params, out_activation)
    for loss in FUSED
    for params in SETTINGS.get(loss, [{}])
    for out_activation in (OUT_ACTIVATIONS if _core.TARGETS[loss] == "reals" else [None])
    if loss not in ("poisson", "gamma") or out_activation in _core.POSITIVE
]


@pytest.mark.parametrize("loss, params, out_activation", PAIRS)
def test_gradient_is_the_slope_of_the_loss(loss, params, out_activation):
    """Central differences, over losses times output activations."""
    X, y = case(loss, 2, n_samples=23)
    network, start = network_of(loss, 2, loss_params=params, out_activation=out_activation)
    dataset = Dataset(X, y, np.random.RandomState(0).uniform(0, 2, len(X)))
    _, gradient = loss_and_gradient(network, start, dataset)
    h, times = 1e-5, 2 if loss == "squared_error" else 1  # its value is the mean over outputs
    for found, array in zip(itertools.chain(*gradient), itertools.chain(*start), strict=True):
        slope = np.empty(array.size)
        for i, w in enumerate(array.ravel().copy()):
            values = []
            for array.flat[i] in (w - h, w + h):
                network.set_parameters(*start)
                values.append(loss_and_gradient(network, start, dataset)[0])
            array.flat[i] = w
            slope[i] = times * (values[1] - values[0]) / (2 * h)
        scale = max(1e-3, np.abs(slope).max())
        np.testing.assert_allclose(found.ravel(), slope, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("loss, params, out_activation", PAIRS)
def test_loss_and_gradient_equal_the_naive_network(loss, params, out_activation, container, dtype):
    X, y = case(loss, 2, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(X))
    params = {"loss_params": params, "out_activation": out_activation, "activations": ["tanh"]}
    network, start = network_of(loss, 2, dtype, **params)
    naive = NaiveNetwork([6, 9, 2], loss=loss, dtype=dtype, **params)
    naive.set_parameters(*start)
    found = loss_and_gradient(network, start, Dataset(container(X), y, weights))
    expected = loss_and_gradient(naive, start, NaiveDataset(container(X), y, weights))
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(found[0], expected[0], rtol=tolerance)
    for a, b in zip(itertools.chain(*found[1]), itertools.chain(*expected[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


REFERENCE = json.loads(losses.PATH.read_text())


@pytest.mark.parametrize("i", range(len(losses.CASES)))
def test_losses_are_pytorchs(i):
    """As it computed them once: the derivative by the outputs of a network without layers."""
    loss, params, out_activation = losses.CASES[i]
    z, y = losses.inputs(_core.TARGETS[loss])
    network = new_network(
        [len(z), z.shape[1]],
        **{"activations": [], "loss": loss, "loss_params": params, "dtype": np.float64},
        out_activation=out_activation,
    )
    start = [z], [np.zeros(z.shape[1])]
    network.set_parameters(*start)
    value, (gradient, _) = loss_and_gradient(network, start, Dataset(np.eye(len(z)), y))
    times = z.shape[1] if loss == "squared_error" else 1
    assert REFERENCE[i]["loss"] == loss
    np.testing.assert_allclose(times * value, REFERENCE[i]["value"], rtol=1e-10)
    np.testing.assert_allclose(gradient[0], REFERENCE[i]["gradient"], rtol=1e-10, atol=1e-10)


def test_the_reference_is_what_pytorch_computes():
    pytest.importorskip("torch")
    for now, kept in zip(losses.figures(_core.TARGETS), REFERENCE, strict=True):
        assert now["loss"] == kept["loss"]
        np.testing.assert_allclose(now["value"], kept["value"], rtol=1e-12)
        np.testing.assert_allclose(now["gradient"], kept["gradient"], rtol=1e-10, atol=1e-12)
