"""The gradient of every loss: against central differences and against NumPy."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from fastmlp._core import Dataset
from reference.build import new_network
from reference.naive import NaiveDataset, NaiveNetwork
from reference.networks import HIDDEN, LOSSES, build, network_case
from reference.problems import ACTIVATIONS
from reference.trajectories import relative_difference

CASES = list(itertools.product(LOSSES, ACTIVATIONS, (False, True), ("dense", "csr")))


def gradient(network, dataset, alpha, coefs, intercepts):
    found = [np.full_like(c, np.nan) for c in coefs], [np.full_like(b, np.nan) for b in intercepts]
    loss = network.loss_and_gradient(dataset, alpha, found)
    return loss, [*found[0], *found[1]]


def distance_to_kink(X, coefs, intercepts):
    """Smallest |pre-activation| of a relu network's hidden layers."""
    a, smallest = sparse.csr_array(X).toarray(), np.inf
    for w, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        z = a @ w + b
        smallest = min(smallest, np.abs(z).min())
        a = np.maximum(z, 0)
    return smallest


@pytest.mark.parametrize("kind, activation, weighted, container", CASES)
def test_gradient_is_the_slope_of_the_loss(kind, activation, weighted, container):
    """Half of the cases have a penalty: each value of a parameter with and without."""
    case = CASES.index((kind, activation, weighted, container))
    alpha = 0.3 * ((case + case // 2 + case // 4) % 2)
    dtype, h = np.float64, 1e-5
    units, coefs, intercepts, data = network_case(kind, activation, weighted, container, dtype)
    assert distance_to_kink(data[0], coefs, intercepts) > 10 * h
    dataset = Dataset(*data)
    network = build(new_network, kind, activation, dtype, units, coefs, intercepts)
    _, found = gradient(network, dataset, alpha, coefs, intercepts)

    # scikit-learn's squared error is the mean over outputs, its gradient that of
    # the sum; training follows it in both.
    times = units[-1] if LOSSES[kind] == "squared_error" else 1
    scale = len(data[1]) if data[2] is None else data[2].sum()
    spare = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]

    def loss_at(parameter, i, value):
        parameter.flat[i] = value
        network.set_parameters(coefs, intercepts)
        return network.loss_and_gradient(dataset, 0.0, spare)

    for j, parameter in enumerate([*coefs, *intercepts]):
        slope = np.empty(parameter.size)
        for i, w in enumerate(parameter.ravel().copy()):
            slope[i] = loss_at(parameter, i, w + h) - loss_at(parameter, i, w - h)
            parameter.flat[i] = w
        slope = times * slope.reshape(parameter.shape) / (2 * h)
        if parameter.ndim == 2:
            slope += alpha * parameter / scale
        np.testing.assert_allclose(found[j], slope, rtol=1e-6, atol=2e-9)


@pytest.mark.parametrize("hidden", [(), (1,), HIDDEN, (33, 17)], ids=str)
@pytest.mark.parametrize("kind, activation, weighted, container", CASES)
def test_loss_and_gradient_equal_the_naive_network(
    kind, activation, weighted, container, hidden, dtype
):
    units, coefs, intercepts, data = network_case(
        kind, activation, weighted, container, dtype, hidden
    )
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    pair = [
        build(cls, kind, activation, dtype, units, coefs, intercepts)
        for cls in (new_network, NaiveNetwork)
    ]
    sets = Dataset(*data), NaiveDataset(*data)
    (loss, found), (naive_loss, naive) = (
        gradient(n, d, 0.3, coefs, intercepts) for n, d in zip(pair, sets, strict=True)
    )
    np.testing.assert_allclose(loss, naive_loss, rtol=tolerance)
    for a, b in zip(found, naive, strict=True):
        assert a.dtype == dtype
        assert relative_difference(a, b) < tolerance


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("kind, activation, weighted, container", CASES)
def test_one_sgd_step_is_minus_rate_times_gradient(
    kind, activation, weighted, container, n_threads, dtype
):
    """The fused step moves by the gradient that loss_and_gradient gives."""
    units, coefs, intercepts, data = network_case(kind, activation, weighted, container, dtype)
    dataset, n = Dataset(*data), len(data[1])
    parameters = dtype, units, coefs, intercepts
    network = build(new_network, kind, activation, *parameters)
    loss, slope = gradient(network, dataset, 0.3, coefs, intercepts)

    network = build(
        new_network, kind, activation, *parameters, optimizer="sgd", n_threads=n_threads
    )
    step = {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    outcome = network.train(dataset, np.arange(n, dtype=np.intp), n, alpha=0.3, step=step)
    np.testing.assert_allclose(outcome.loss_sums, [n * loss], rtol=1e-5)
    moved = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
    network.get_parameters(*moved)
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    for new, old, g in zip([*moved[0], *moved[1]], [*coefs, *intercepts], slope, strict=True):
        np.testing.assert_allclose(new, old - 0.01 * g, rtol=0, atol=tolerance)
    assert outcome.n_steps == 1
