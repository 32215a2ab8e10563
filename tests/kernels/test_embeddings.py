"""The embeddings of a table's columns, against NumPy."""

import numpy as np
import pytest

from fastmlp._core import EMBEDDINGS
from structures import Column, Table

N_TERMS, N_LEVELS = 5, 4
UNITS = {"number": 1, "pbld": 4, "plr": 3, "periodic": 10, "ple": 6, "category": 3}
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}


def shapes_of(embedding):
    """Shapes of the parameters."""
    units = UNITS[embedding]
    return {"scales": (units,)} | {
        "number": {},
        "pbld": {
            **{"frequencies": (N_TERMS,), "phases": (N_TERMS,)},
            **{"weights": (N_TERMS, units - 1), "biases": (units - 1,)},
        },
        "plr": {
            **{"frequencies": (N_TERMS,), "weights": (2 * N_TERMS, units), "biases": (units,)},
        },
        "periodic": {"frequencies": (N_TERMS,)},
        "ple": {"weights": (units + 1,)},
        "category": {"weights": (N_LEVELS, units)},
    }[embedding]


def units_of(embedding, p, x, codes):
    """The units before they are scaled, and a function from deltas to the parameters' sums."""
    if embedding == "category":
        table = np.zeros_like(p["weights"])
        return p["weights"][codes], lambda d: {"weights": add_at(table, codes, d)}
    x = x[:, np.newaxis]
    if embedding == "number":
        return x, lambda d: {}
    if embedding == "ple":
        low, high = p["weights"][:-1], p["weights"][1:]
        e = (x - low) / (high - low)
        e[:, 1:] = np.maximum(0, e[:, 1:])
        e[:, :-1] = np.minimum(1, e[:, :-1])
        return e, lambda d: {}
    angle = 2 * np.pi * x * p["frequencies"] + p.get("phases", 0)
    cos, sin = np.cos(angle), np.sin(angle)
    if embedding == "periodic":

        def sums(d):
            slope = d[:, N_TERMS:] * cos - d[:, :N_TERMS] * sin
            return {"frequencies": (2 * np.pi * x * slope).sum(axis=0)}

        return np.hstack([cos, sin]), sums
    if embedding == "plr":
        both = np.hstack([cos, sin])
        z = both @ p["weights"] + p["biases"]

        def sums(d):
            d = d * (z > 0)
            to_cos, to_sin = np.hsplit(d @ p["weights"].T, 2)
            slope = 2 * np.pi * x * (to_sin * cos - to_cos * sin)
            return {
                "frequencies": slope.sum(axis=0),
                "weights": both.T @ d,
                "biases": d.sum(axis=0),
            }

        return np.maximum(0, z), sums

    def sums(d):
        d = d[:, 1:]
        slope = -(d @ p["weights"].T) * sin
        return {
            "frequencies": (2 * np.pi * x * slope).sum(axis=0),
            "phases": slope.sum(axis=0),
            "weights": cos.T @ d,
            "biases": d.sum(axis=0),
        }

    return np.hstack([x, cos @ p["weights"] + p["biases"]]), sums


def add_at(table, codes, d):
    np.add.at(table, codes, d)
    return table


def test_every_embedding_is_tested():
    assert set(UNITS) == set(EMBEDDINGS)


@pytest.mark.parametrize("codes_dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("unit", [0, 3, 14])
@pytest.mark.parametrize("m", [1, 7, 16, 37])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_embedding(kernels, embedding, m, unit, codes_dtype):
    rng = np.random.RandomState(m)
    real, units, lanes = kernels.dtype, UNITS[embedding], kernels.lanes
    tolerance = TOLERANCE[real.name]
    column, at, flat = Column(source=1, unit=unit, n_units=units, n_terms=N_TERMS), 0, []
    parameters = {}
    for name, shape in shapes_of(embedding).items():
        values = rng.uniform(0.3, 1.5, shape).astype(real)
        if embedding == "ple" and name == "weights":
            values = np.sort(values)
        parameters[name] = values.astype(np.float64)
        if embedding == "category" and name == "weights":
            column.table_row = -(-units // lanes) * lanes
            padded = np.zeros((N_LEVELS, column.table_row), real)
            padded[:, :units] = values
            values = padded
        setattr(column, name, at)
        flat.append(np.zeros(-(-values.size // lanes) * lanes, real))
        flat[-1][: values.size] = values.reshape(-1)
        at += flat[-1].size
    flat = kernels.aligned(np.concatenate(flat))
    numbers = rng.standard_normal((3 * m, 2)).astype(real)
    codes = rng.randint(0, N_LEVELS, (3 * m, 2)).astype(codes_dtype)
    rows = rng.permutation(3 * m)[:m].astype(np.intp)
    table = Table(numbers.ctypes.data, codes.ctypes.data, 2, 2, codes.itemsize)
    e, sums = units_of(
        embedding, parameters, numbers[rows, 1].astype(np.float64), codes[rows, 1].astype(int)
    )

    width = unit + units
    found = kernels.panels(np.full((m, width + 2), 7.0), 2)
    panel = (m + 2) * lanes
    reads = m, column, table, rows, flat
    kernels.call("embed", *reads, found, panel, entry=embedding)
    expected = np.full((m, width + 2), 7.0)
    expected[:, unit:width] = parameters["scales"] * e
    np.testing.assert_allclose(
        kernels.from_panels(found, m, width + 2), expected, rtol=tolerance, atol=10 * tolerance
    )

    deltas = rng.standard_normal((m, width)).astype(real)
    own = deltas[:, unit:].astype(np.float64)
    gradient = kernels.aligned(np.full(flat.size, 0.5))
    scratch = kernels.zeros(flat.size * lanes)
    trained = embedding == "category"
    table_gradient = gradient[column.weights :] if trained else None
    arguments = *reads, kernels.panels(deltas, 2), panel, scratch, gradient, table_gradient
    kernels.call("embedding_gradient", *arguments, entry=embedding)
    wanted = {"scales": (own * e).sum(axis=0)} | sums(own * parameters["scales"])
    for name, values in wanted.items():
        start, change = getattr(column, name), gradient - 0.5
        if trained and name == "weights":
            change = change[start:].reshape(N_LEVELS, -1)[:, :units].reshape(-1)
            start = 0
        got = change[start : start + values.size]
        limit = 40 * tolerance * (1 + np.abs(values).max())
        np.testing.assert_allclose(got, values.reshape(-1), rtol=40 * tolerance, atol=limit)
    written = sum(values.size for values in wanted.values())
    assert np.count_nonzero(gradient != 0.5) <= written
