"""Epochs of mini-batches through Network.train, against NumPy."""

import itertools

import numpy as np
import pytest

from fastmlp._core import Dataset
from reference.build import new_network
from reference.naive import NaiveDataset, NaiveNetwork
from reference.networks import HIDDEN, LOSSES, build, network_case
from reference.problems import ACTIVATIONS
from reference.trajectories import relative_difference

STEPS = {
    "sgd": {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True},
    "adam": {
        "learning_rate": 0.01,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "epsilon": 1e-6,
        "t": 0,
    },
}
BATCH_SIZES = (2, 5, 13, 16, 23)


def train(cls, dataset, case, kind, activation, dtype, optimizer, batch_size, **params):
    """Parameters, optimizer state and losses after three epochs in different orders."""
    units, coefs, intercepts, data = case
    arrays = dtype, units, coefs, intercepts
    network = build(cls, kind, activation, *arrays, optimizer=optimizer, **params)
    step, losses, rng = dict(STEPS[optimizer]), [], np.random.RandomState(0)
    if optimizer == "sgd" and kind.startswith("poisson"):
        step["learning_rate"] /= 50  # the exponential diverges otherwise
    for n_rows in (23, 22, 9):
        order = rng.permutation(len(data[1]))[:n_rows].astype(np.intp)
        outcome = network.train(dataset, order, batch_size, alpha=0.3, step=step)
        losses += outcome.loss_sums
        if optimizer == "adam":
            step["t"] += outcome.n_steps
    found = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
    network.get_parameters(*found)
    state = [array for slot in network.get_optimizer_state() for part in slot for array in part]
    return [*found[0], *found[1]], state, losses


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("optimizer", STEPS)
def test_batches_of_every_size(optimizer, kind, batch_size, dtype):
    """The last batch of an epoch is shorter: what the one before left must not count.

    Activations go round, so that each meets every network and every kind of input.
    """
    networks = itertools.product(((), (1,), HIDDEN, (33, 17)), ((False, "dense"), (True, "csr")))
    turn = list(LOSSES).index(kind) + BATCH_SIZES.index(batch_size)
    for i, (hidden, (weighted, container)) in enumerate(networks):
        activation = ACTIVATIONS[(turn + i + i // 4) % 4]
        case = network_case(kind, activation, weighted, container, dtype, hidden)
        arguments = case, kind, activation, dtype, optimizer, batch_size
        expected = train(NaiveNetwork, NaiveDataset(*case[3]), *arguments)
        for n_threads in (1, 3):
            found = train(new_network, Dataset(*case[3]), *arguments, n_threads=n_threads)
            tolerance = 1e-10 if dtype == np.float64 else 2e-3
            np.testing.assert_allclose(found[2], expected[2], rtol=tolerance)
            for name, a, b in zip(("parameters", "state"), found, expected, strict=False):
                worst = max(map(relative_difference, a, b))
                assert worst < tolerance, (name, activation, hidden, container, n_threads)
