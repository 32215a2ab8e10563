"""The embeddings of a table's columns: formulas, derivatives, steps and bits."""

import itertools

import numpy as np
import pytest

from fastmlp import _core
from fastmlp._core import Dataset
from fastmlp._network import plan
from fastmlp._network.architecture import Architecture
from fastmlp._network.columns import Column, n_units_of
from fastmlp._network.network import Network
from fastmlp._network.parameters import network_parameters

EDGES = (-1.0, -0.3, 0.1, 0.5, 1.0)
TABLE = (0.5, -1.0, 2.0, 0.0, 1.5, 0.25)
COLUMNS = {
    "number": Column("number", 0),
    "pbld": Column("pbld", 1, 4, 6),
    "plr": Column("plr", 2, 3, 5),
    "periodic": Column("periodic", 3, 6, 3),
    "ple": Column("ple", 4, 4, constants=EDGES),
    "category": Column("category", 0, 3, n_levels=5),
    "fixed table": Column("category", 1, 2, n_levels=3, constants=TABLE),
    "many levels": Column("category", 2, 8, n_levels=300),
}
LEVELS = (5, 3, 300)
RATES = {
    **{"weights": [1.0, 0.5, 2.0], "biases": 0.1},
    **{"scales": 6.0, "embeddings": 0.5, "scale_decay": 3.0},
}


def table(n, dtype, codes_dtype=np.uint16):
    rng = np.random.RandomState(2)
    values = rng.standard_normal((n, 5)).astype(dtype)
    codes = np.stack([rng.randint(0, levels, n) for levels in LEVELS], axis=1)
    y = rng.standard_normal((n, 2)).astype(dtype)
    return values, codes.astype(codes_dtype), y


def read_by(columns, values, codes, y=None):
    """The arguments of a Dataset that has as many numbers and codes as the columns read."""
    numbers = [c.source + 1 for c in columns if c.kind != "category"]
    levels = [c.source + 1 for c in columns if c.kind == "category"]
    values = np.ascontiguousarray(values[:, : max(numbers, default=0)])
    return values, y, None, np.ascontiguousarray(codes[:, : max(levels, default=0)])


def build(columns, dtype=np.float64, hidden=(7, 7), **settings):
    """A Network of these columns, and the parameters that it holds."""
    names = {"normalization", "residual", "dropout"} & settings.keys()
    form = {name: settings.pop(name) for name in names}
    architecture = Architecture(
        (n_units_of(columns), *hidden, 2),
        ("tanh",) * len(hidden),
        loss="log_cosh",
        dtype=dtype,
        columns=tuple(columns),
        **form,
    )
    network = Network(architecture, **{"optimizer": "adamw", "seed": 5} | settings)
    rng = np.random.RandomState(1)
    lists = tuple(
        [rng.uniform(0.2, 0.8, shape).astype(dtype) for shape in shapes]
        for shapes in architecture.parameter_shapes
    )
    network.set_parameters(*lists)
    return network, lists


def step_settings(optimizer="adamw", **more):
    step = {"learning_rate": 0.02, "t": 0, "rates": RATES}
    if optimizer == "sgd":
        step |= {"momentum": 0.9, "nesterov": True}
    else:
        step |= {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1}
    return step | more


def units_of(column, scales, arrays, values, codes):
    """The units of a column, by the papers' formulas."""
    x = values[:, [column.source]] if column.kind != "category" else None
    if column.kind == "number":
        e = x
    elif column.kind == "pbld":
        frequencies, phases, weights, biases = arrays
        e = np.cos(2 * np.pi * x * frequencies + phases) @ weights + biases
        e = np.hstack([x, e])
    elif column.kind == "plr":
        frequencies, weights, biases = arrays
        v = 2 * np.pi * x * frequencies
        e = np.maximum(0, np.hstack([np.cos(v), np.sin(v)]) @ weights + biases)
    elif column.kind == "periodic":
        v = 2 * np.pi * x * arrays[0]
        e = np.hstack([np.cos(v), np.sin(v)])
    elif column.kind == "ple":
        low, high = np.array(column.constants[:-1]), np.array(column.constants[1:])
        e = (x - low) / (high - low)
        e[:, 1:] = np.maximum(0, e[:, 1:])
        e[:, :-1] = np.minimum(1, e[:, :-1])
    else:
        levels = arrays[0] if arrays else np.reshape(column.constants, (column.n_levels, -1))
        e = levels[codes[:, column.source].astype(int)]
    return scales * e


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("codes_dtype", [np.uint16, np.int32])
def test_formulas(name, codes_dtype, dtype):
    """Against NumPy: the units pass an identity layer."""
    column = COLUMNS[name]
    architecture = Architecture(
        (column.n_units, column.n_units), (), "identity", dtype=dtype, columns=(column,)
    )
    rng = np.random.RandomState(0)
    eye = [np.eye(column.n_units, dtype=dtype)], [np.zeros(column.n_units, dtype)]
    embeddings = [
        rng.standard_normal(shape).astype(dtype) for shape in architecture.parameter_shapes[-1]
    ]
    values, codes, _ = table(77, dtype, codes_dtype)
    dataset = Dataset(*read_by([column], values, codes))
    found, _ = _core.predict(dataset, network_parameters(architecture, (*eye, embeddings)), 1)
    arrays = [a.astype(np.float64) for a in embeddings]
    expected = units_of(column, arrays[0], arrays[1:], values.astype(np.float64), codes)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


FORMS = {
    "plain": {},
    "layer": {"normalization": "layer"},
    "batch": {"normalization": "batch"},
    "residual": {"residual": True},
    "dropout": {"dropout": (0.3, 0.2, 0.1)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*COLUMNS, "all"])
def test_derivatives(name, form):
    """Central differences of the loss by every parameter."""
    columns = [*COLUMNS.values()] if name == "all" else [COLUMNS[name]]
    network, lists = build(columns, **FORMS[form])
    values, codes, y = table(23, np.float64)
    dataset = Dataset(*read_by(columns, values, codes, y))
    rows = np.arange(23)

    def loss():
        network.set_parameters(*lists)
        return network.gradient(dataset, rows)[1]

    gradient, _, _ = network.gradient(dataset, rows)
    derivatives = network.architecture.views(gradient)[-1]
    rng = np.random.RandomState(3)
    for array, derivative in zip(lists[-1], derivatives, strict=True):
        flat, derivative, h = array.reshape(-1), derivative.reshape(-1), 1e-6
        present = np.flatnonzero(derivative)  # of 300 levels few occur
        for i in {*rng.choice(flat.size, min(12, flat.size)), *present[:12]}:
            middle = flat[i]
            flat[i] = middle + h
            above = loss()
            flat[i] = middle - h
            difference = (above - loss()) / (2 * h)
            flat[i] = middle
            assert derivative[i] == pytest.approx(difference, rel=2e-6, abs=2e-7)


def trained(dtype, n_threads=1, *, clip=None, fused=True, optimizer="adamw", form=None, n=400):
    """All bits of a network after two epochs: parameters, averages, optimizer state."""
    settings = FORMS[form] if form else {}
    network, _ = build(
        COLUMNS.values(),
        dtype,
        (17, 9),
        optimizer=optimizer,
        n_threads=n_threads,
        average=True,
        **settings,
    )
    values, codes, y = table(n, dtype)
    dataset = Dataset(values, y, np.linspace(0.1, 2, n), codes)
    order = np.random.RandomState(0).permutation(n).astype(np.intp)
    step = step_settings(optimizer, **clip or {})
    if fused:
        network.train(dataset, np.stack([order, order[::-1]]), 150, alpha=0.1, step=step)
    else:
        for epoch, batch in itertools.product([order, order[::-1]], range(0, n, 150)):
            rows = epoch[batch : batch + 150].copy()
            gradient, _, weight = network.gradient(
                dataset, rows, 150, t=step["t"], update_statistics=True
            )
            network.apply_step(gradient, dataset, 150, weight=weight, alpha=0.1, step=step)
            step["t"] += 1
    shapes = network.architecture.parameter_shapes
    found = [[[np.empty(s, network.dtype) for s in part] for part in shapes] for _ in range(2)]
    network.get_parameters(*found[0])
    network.get_parameters(*found[1], averaged=False)
    arrays = itertools.chain(*itertools.chain(*found, *network.get_optimizer_state()))
    return [a.tobytes() for a in arrays]


CLIPS = {
    "plain": {},
    "clip_norm": {"clip_norm": 0.3},
    "clip_value": {"clip_value": 0.05},
    "all": {"clip_norm": 0.3, "clip_value": 0.05, "max_norm": 0.9, "ema": True},
}
WAYS = {"whole": {}, "micro-batches": {"WORKSPACE_BYTES": 0, "MAX_BYTES": 0}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("clip", CLIPS)
def test_bits_do_not_depend_on_threads(clip, way, dtype, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(plan, name, value)
    alone = trained(dtype, clip=CLIPS[clip])
    for n_threads in (2, 5):
        assert trained(dtype, n_threads, clip=CLIPS[clip]) == alone


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_gradient_and_step_apart(optimizer, clip, form, dtype):
    settings = {"clip": CLIPS[clip], "optimizer": optimizer, "form": form}
    assert trained(dtype, fused=False, **settings) == trained(dtype, 2, **settings)


def test_micro_batches_change_only_rounding(monkeypatch):
    whole = trained(np.dtype(np.float64))
    monkeypatch.setattr(plan, "WORKSPACE_BYTES", 0)
    monkeypatch.setattr(plan, "MAX_BYTES", 0)
    parts = trained(np.dtype(np.float64))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(np.frombuffer(one), np.frombuffer(other), rtol=1e-7, atol=1e-10)


def test_levels_that_do_not_occur_stay():
    """A step moves those rows of a table that occur in its batch, and no others."""
    network, _ = build([COLUMNS["many levels"]])
    _, codes, y = table(50, np.float64)
    dataset = Dataset(np.empty((50, 0)), y, codes=codes)  # no numbers
    for t, rows in enumerate([np.arange(20), np.arange(15, 40)]):
        before = network.copy_parameters()[-1][1]
        rows = rows.astype(np.intp)
        network.train(dataset, rows[np.newaxis], 50, alpha=0.0, step=step_settings(t=t))
        moved = (network.copy_parameters()[-1][1] != before).any(axis=1)
        assert {*np.flatnonzero(moved)} == {*codes[rows, 2]}


def test_rates_of_groups():
    """One step of SGD is proportional to the rate of its group."""
    values, codes, y = table(64, np.float64)
    dataset = Dataset(values, y, codes=codes)
    moves = []
    ones = {"weights": [1.0] * 3, "biases": 1.0, "scales": 1.0, "embeddings": 1.0}
    for rates in (ones, RATES):
        network, lists = build(COLUMNS.values(), optimizer="sgd")
        order = np.arange(64, dtype=np.intp)[np.newaxis]
        step = {"learning_rate": 0.01, "t": 0, "rates": rates}
        network.train(dataset, order, 64, alpha=0.0, step=step)
        now = network.copy_parameters()
        moves.append(
            [[b - a for a, b in zip(*pair, strict=True)] for pair in zip(lists, now, strict=True)]
        )
    (coefs, intercepts, embeddings), (coefs_2, intercepts_2, embeddings_2) = moves
    pairs = [(1.0, coefs[0], coefs_2[0]), (0.5, coefs[1], coefs_2[1]), (2.0, coefs[2], coefs_2[2])]
    pairs += [(0.1, *pair) for pair in zip(intercepts, intercepts_2, strict=True)]
    pairs += [(6.0, embeddings[0], embeddings_2[0])]
    pairs += [(0.5, *pair) for pair in zip(embeddings[1:], embeddings_2[1:], strict=True)]
    for factor, one, other in pairs:
        np.testing.assert_allclose(other, factor * one, rtol=1e-9, atol=1e-14)


def test_codes_out_of_range_are_refused():
    network, lists = build(COLUMNS.values())
    values, codes, y = table(10, np.float64)
    codes[3, 1] = 3
    dataset = Dataset(values, y, codes=codes)
    with pytest.raises(ValueError, match="column 1 of codes has other codes than its 3 levels"):
        network.gradient(dataset, np.arange(10))
    with pytest.raises(ValueError, match="column 1 of codes"):
        _core.predict(dataset, network_parameters(network.architecture, lists), 1)
    with pytest.raises(ValueError, match="needs codes"):
        network.gradient(Dataset(values, y), np.arange(10))


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "cosine"},
        {"kind": "number", "n_units": 2},
        {"kind": "pbld", "n_units": 1, "n_terms": 4},
        {"kind": "pbld", "n_units": 4},
        {"kind": "periodic", "n_units": 4, "n_terms": 4},
        {"kind": "ple", "n_units": 2, "constants": (0.0, 1.0)},
        {"kind": "ple", "n_units": 2, "constants": (0.0, 1.0, 1.0)},
        {"kind": "category", "n_units": 2},
        {"kind": "category", "n_units": 2, "n_levels": 3, "constants": (0.0,) * 4},
        {"kind": "plr", "n_units": 65, "n_terms": 4},
    ],
)
def test_impossible_columns_are_refused(settings):
    with pytest.raises(ValueError, match=r"belong together|must be|must increase"):
        Column(source=0, **settings)
