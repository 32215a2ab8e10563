"""The ways in which a batch is worked through: whole or in chunks, its gradient by blocks of
weights or by shares of rows. Each against NumPy, and with the same bits for every team."""

import numpy as np
import pytest

from fastmlp._core import Dataset
from fastmlp._network import plan
from reference.build import new_network
from reference.naive import NaiveDataset, NaiveNetwork
from reference.trajectories import relative_difference
from reference.ways import BATCH_SIZE, LOSSES, N_SAMPLES, WAYS, case

STEP = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "t": 0}


def trained(cls, dataset_cls, loss, dtype, **params):
    """Loss of an epoch, parameters after it, and the loss and gradient of all rows there."""
    units, coefs, intercepts, data = case(loss, dtype)
    activations = ["tanh"] * (len(units) - 2)
    network = cls(
        units, activations=activations, loss=loss, dtype=dtype, optimizer="adam", **params
    )
    network.set_parameters(coefs, intercepts)
    dataset = dataset_cls(*data)
    order = np.random.RandomState(1).permutation(N_SAMPLES).astype(np.intp)
    outcome = network.train(dataset, order, BATCH_SIZE, alpha=0.1, step=dict(STEP))
    found = [np.array(outcome.loss_sums)]
    for method in (network.get_parameters, lambda *g: network.loss_and_gradient(dataset, 0.1, g)):
        arrays = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
        result = method(*arrays)
        found += [*arrays[0], *arrays[1], np.float64(result or 0)]
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_way_agrees_with_numpy_and_with_itself(loss, way, dtype, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(plan, name, value)
    expected = trained(NaiveNetwork, NaiveDataset, loss, dtype)
    runs = [trained(new_network, Dataset, loss, dtype, n_threads=n) for n in (1, 2, 3, 7)]
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for a, b in zip(runs[0], expected, strict=True):
        assert relative_difference(a, b) < tolerance
    for run in runs[1:]:
        assert [a.tobytes() for a in run] == [a.tobytes() for a in runs[0]]


def test_the_limits_bring_the_ways_about(monkeypatch):
    """So that the test above cannot come to test one way four times."""
    found = {}
    for way, limits in WAYS.items():
        with monkeypatch.context() as patch:
            for name, value in limits.items():
                patch.setattr(plan, name, value)
            units = case("log_loss", np.float64)[0]
            network = new_network(
                units,
                activations=["tanh"] * (len(units) - 2),
                loss="log_loss",
                dtype=np.float64,
                optimizer="adam",
            )
            cut = network._plan(BATCH_SIZE, sparse=False)
            found[way] = (cut.n_partials > 0, cut.micro_batch_rows < BATCH_SIZE)
    assert found == {
        "partial gradients": (True, False),
        "partial gradients in micro-batches": (True, True),
        "row blocks": (False, False),
        "row blocks in micro-batches": (False, True),
    }
