"""Gradient and step apart, and the derivative by the inputs."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from fastmlp import _core
from fastmlp._core import Dataset
from fastmlp._network import plan
from reference.build import new_network
from reference.problems import NORMALIZED, sample_weights

UNITS = [11, 17, 17, 3]
BATCH = 150  # of 400 rows, so that the last batch is shorter
FORMS = {
    "plain": {},
    **{name: {"normalization": name, "residual": True} for name in NORMALIZED},
    "dropout": {"dropout": (0.1, 0.2, 0.3)},
    "frozen": {"normalization": "batch", "frozen_layers": (0,)},
    "narrow": {},
}
CLIPS = {
    "plain": {},
    "clip_norm": {"clip_norm": 0.3},
    "clip_value": {"clip_value": 0.05},
    "max_norm": {"max_norm": 0.9},
    "all": {"clip_norm": 0.3, "clip_value": 0.05, "max_norm": 0.9, "ema": True},
}
WAYS = {
    "partial gradients": {},
    "row blocks": {"PARTIAL_BYTES": 0},
    "micro-batches": {"PARTIAL_BYTES": 0, "WORKSPACE_BYTES": 0, "MAX_BYTES": 0},
}


def settings_of(optimizer):
    if optimizer == "sgd":
        return {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}
    return {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}


def case(form, dtype, container=np.asarray):
    rng = np.random.RandomState(0)
    units = UNITS[:-1] + [1] if form == "narrow" else UNITS
    X = container(rng.standard_normal((400, units[0])).astype(dtype))
    y = rng.standard_normal((400, units[-1])).astype(dtype)
    dataset = Dataset(X, y, sample_weights(400))
    order = rng.permutation(400).astype(np.intp)
    return units, dataset, order


def build(form, units, optimizer, dtype, n_threads=1, average=False, **more):
    network = new_network(
        units,
        **{"activations": ["tanh", "relu"], "loss": "huber", "dtype": dtype, "seed": 5},
        **{"optimizer": optimizer, "n_threads": n_threads, "average": average},
        **FORMS[form] | more,
    )
    rng = np.random.RandomState(1)
    start = [
        [rng.uniform(0.1, 0.5, shape).astype(dtype) for shape in shapes]
        for shapes in network.architecture.parameter_shapes
    ]
    network.set_parameters(*start)
    return network


def state_of(network):
    shapes = network.architecture.parameter_shapes
    found = [[[np.empty(s, network.dtype) for s in part] for part in shapes] for _ in range(2)]
    network.get_parameters(*found[0])
    network.get_parameters(*found[1], averaged=False)
    arrays = itertools.chain(*itertools.chain(*found, *network.get_optimizer_state()))
    return [a.tobytes() for a in arrays]


# Every optimizer meets every form, clip, way and kind of input; forms meet clips and ways.
STEPS = [
    (optimizer, form, clip, way)
    for i, optimizer in enumerate(_core.OPTIMIZERS)
    for j, form in enumerate(FORMS)
    for clip in (list(CLIPS)[(i + j) % len(CLIPS)], list(CLIPS)[(i + j + 2) % len(CLIPS)])
    for way in (list(WAYS)[(i + j + len(clip)) % len(WAYS)],)
]


@pytest.mark.parametrize("optimizer, form, clip, way", STEPS)
def test_gradient_and_step_are_the_fused_step(optimizer, form, clip, way, dtype, monkeypatch):
    """Bit by bit: parameters, averages, running statistics and the optimizer's state; and the
    loss."""
    for name, value in WAYS[way].items():
        monkeypatch.setattr(plan, name, value)
    container = sparse.csr_array if optimizer in ("adam", "lion") else np.asarray
    units, dataset, order = case(form, dtype, container)
    step, average = settings_of(optimizer) | CLIPS[clip], clip == "all"
    fused = build(form, units, optimizer, dtype, n_threads=2, average=average)
    outcome = fused.train(dataset, order, BATCH, alpha=0.3, step={**step, "t": 3})
    for n_threads in (1, 3):
        apart = build(form, units, optimizer, dtype, n_threads=n_threads, average=average)
        total, t = 0.0, 3
        for begin in range(0, 400, BATCH):
            rows = order[begin : begin + BATCH]
            gradient, loss, weight = apart.gradient(
                dataset, rows, BATCH, t=t, update_statistics=True
            )
            penalty = apart.apply_step(
                gradient, dataset, BATCH, weight=weight, alpha=0.3, step={**step, "t": t}
            )
            total += (loss + penalty) / weight * len(rows)
            t += 1
        assert state_of(apart) == state_of(fused)
        np.testing.assert_allclose(total, outcome.loss_sums[0], rtol=1e-14)


def test_a_flat_gradient_lies_alike_in_every_instruction_set(dtype):
    """List by list and array by array, each in C order: as `loss_and_gradient` has it."""
    units, dataset, order = case("layer", dtype)
    network = build("layer", units, None, dtype)
    flat, loss, weight = network.gradient(dataset, np.sort(order))
    views = network.architecture.views(flat)
    expected = [[np.empty(s, dtype) for s in part] for part in network.architecture.trained_shapes]
    mean = network.loss_and_gradient(dataset, 0.0, expected)
    np.testing.assert_allclose(loss / weight, mean, rtol=1e-12)
    for found, arrays in zip(views, expected, strict=True):
        for a, b in zip(found, arrays, strict=True):
            np.testing.assert_allclose(a / dtype.type(weight), b, rtol=1e-6)
    assert flat.size == sum(a.size for arrays in expected for a in arrays)


def test_gradients_of_parts_of_a_batch_add_up(dtype):
    """What distributed training does: sum the gradients of several parts, then take the step."""
    units, dataset, order = case("plain", dtype)
    whole, parts = (build("plain", units, "adam", dtype) for _ in range(2))
    step = settings_of("adam") | {"t": 0}
    whole.train(dataset, order, 400, alpha=0.1, step=step)
    found = [parts.gradient(dataset, order[i : i + 100], 400) for i in range(0, 400, 100)]
    gradient = sum(flat for flat, *_ in found)
    weight = sum(weight for *_, weight in found)
    parts.apply_step(gradient, dataset, 400, weight=weight, alpha=0.1, step=step)
    shapes = whole.architecture.parameter_shapes
    a, b = ([[np.empty(s, dtype) for s in part] for part in shapes] for _ in range(2))
    whole.get_parameters(*a)
    parts.get_parameters(*b)
    for x, y in zip(itertools.chain(*a), itertools.chain(*b), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-9 if dtype == np.float64 else 1e-3)


def test_what_fits_no_step_is_refused(dtype):
    units, dataset, order = case("plain", dtype)
    network = build("plain", units, "adam", dtype)
    flat, _, weight = network.gradient(dataset, order)
    step = settings_of("adam") | {"t": 0}
    for wrong in (flat[:-1], flat.reshape(1, -1)):
        with pytest.raises(ValueError, match="gradient must have"):
            network.apply_step(wrong, dataset, 400, weight=weight, alpha=0.0, step=step)
    for nothing in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="sum to more than 0"):
            network.apply_step(flat, dataset, 400, weight=nothing, alpha=0.0, step=step)
    with pytest.raises(ValueError, match="one batch"):
        network.gradient(dataset, order, 100)


INPUTS = list(itertools.product(_core.ACTIVATIONS, _core.NORMALIZATIONS, (False, True), list(WAYS)))


@pytest.mark.parametrize("activation, normalization, residual, way", INPUTS)
def test_the_derivative_by_the_inputs(activation, normalization, residual, way, monkeypatch):
    """Central differences over the inputs of three rows; all threads find the same bits. The output
    layer is narrow for half of the activations, on every instruction set that has narrow layers."""
    for name, value in WAYS[way].items():
        monkeypatch.setattr(plan, name, value)
    n, h, rows = (40, 1e-6, (0, 17, 39)) if normalization == "batch" else (300, 1e-6, (0, 170, 299))
    units = [5, 19, 19, 1 + len(activation) % 2 * 8]
    rng = np.random.RandomState(len(activation))
    X, y = rng.standard_normal((n, 5)), rng.standard_normal((n, units[-1]))
    weights = rng.uniform(0.5, 2, n)
    settings = {
        **{"activations": [activation] * 2, "loss": "log_cosh", "dtype": np.float64},
        **{"normalization": normalization, "residual": residual, "dropout": (0.1, 0.2, 0.0)},
        **{"seed": 3, "frozen_layers": (0, 1) if residual else ()},
    }
    networks = [new_network(units, n_threads=n_threads, **settings) for n_threads in (1, 3)]
    start = [
        [rng.uniform(-0.6, 0.6, shape) for shape in shapes]
        for shapes in networks[0].architecture.parameter_shapes
    ]
    for variances in start[5:6]:
        start[5] = [abs(v) + 0.5 for v in variances]
    for network in networks:
        network.set_parameters(*start)
    found, again = (network.input_gradient(Dataset(X, y, weights)) for network in networks)
    assert found.tobytes() == again.tobytes() and found.shape == X.shape

    def total(moved):
        _, loss, _ = networks[0].gradient(Dataset(moved, y, weights), np.arange(n, dtype=np.intp))
        return loss

    for row in rows:
        for feature in (0, 4):
            moved = [X.copy(), X.copy()]
            moved[0][row, feature] += h
            moved[1][row, feature] -= h
            slope = (total(moved[0]) - total(moved[1])) / (2 * h)
            np.testing.assert_allclose(found[row, feature], slope, rtol=1e-5, atol=1e-7)


def test_the_derivative_by_the_inputs_is_that_of_now(dtype):
    """Asked for between steps, with weights that training moves, in both types."""
    units, dataset, order = case("plain", dtype)
    network = build("plain", units, "sgd", dtype)
    before = network.input_gradient(dataset)
    network.train(dataset, order, BATCH, alpha=0.0, step=settings_of("sgd") | {"t": 0})
    after = network.input_gradient(dataset)
    other = build("plain", units, "sgd", dtype)
    parameters = [
        [np.empty(s, dtype) for s in part] for part in network.architecture.parameter_shapes
    ]
    network.get_parameters(*parameters)
    other.set_parameters(*parameters)
    assert after.dtype == dtype and (before != after).any()
    assert other.input_gradient(dataset).tobytes() == after.tobytes()
    with pytest.raises(ValueError, match="dense X"):
        X = sparse.csr_array(np.asarray(dataset.X))
        network.input_gradient(Dataset(X, dataset.y))
