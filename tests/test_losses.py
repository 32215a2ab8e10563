"""The losses: their kernels are in test_kernels.py, here what networks and estimators do."""

import itertools

import numpy as np
import pytest
from fastmlp._core import Dataset
from scipy import sparse

from fastmlp import _core
from fastmlp._network import Network

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
    network, start = Network(units, loss=loss, **params), parameters(units, dtype)
    network.set_parameters(*start)
    return network, start


def loss_and_gradient(network, start, dataset):
    gradient = tuple([np.empty_like(a) for a in arrays] for arrays in start)
    return network.loss_and_gradient(dataset, 0.0, gradient), gradient


# poisson and gamma with outputs that are positive, the deviances' own case
FUSED = [loss for loss in _core.LOSSES if not loss.endswith("_deviance")]


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
