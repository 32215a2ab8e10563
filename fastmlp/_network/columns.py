"""Columns: how the columns of a table are embedded in units of the input layer."""

import functools
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import _core


@dataclass(frozen=True)
class Column:
    """One column of a table, embedded in units of the input layer.

    Each unit is multiplied by a trained scale (Holzmueller et al., 2024).

    Attributes
    ----------
    kind : str
        One of ``_core.EMBEDDINGS``; the formulas are in csrc/kernel_list.h.
    source : int
        Its column of the table's numbers or, for a category, of the table's codes.
    n_units : int
        Units that it becomes.
    n_terms : int, default=0
        Frequencies of "pbld", "plr" and "periodic".
    n_levels : int, default=0
        Levels of a category, whose codes are below it.
    constants : tuple of float, default=()
        What is not trained: the ``n_units + 1`` edges of the bins of "ple"; or the table of a
        category, (n_levels, n_units) in C order. A category without constants is trained.

    Raises
    ------
    ValueError
        If the numbers do not belong together.
    """

    kind: str
    source: int
    n_units: int = 1
    n_terms: int = 0
    n_levels: int = 0
    constants: tuple = ()

    def __post_init__(self):
        if self.kind not in _core.EMBEDDINGS:
            raise ValueError(f"kind must be one of {_core.EMBEDDINGS}, got {self.kind!r}")
        if not 0 < self.n_units <= _core.MAX_UNITS:
            raise ValueError(f"n_units must be 1 to {_core.MAX_UNITS}, got {self.n_units}")
        units = {"number": 1, "pbld": max(2, self.n_units), "periodic": 2 * self.n_terms}
        needed = {"ple": (self.n_units + 1,), "category": (0, self.n_levels * self.n_units)}
        periodic = self.kind in ("pbld", "plr", "periodic")
        if (
            self.n_units != units.get(self.kind, self.n_units)
            or len(self.constants) not in needed.get(self.kind, (0,))
            or (self.n_terms > 0) != periodic
            or (self.n_levels > 0) != (self.kind == "category")
        ):
            raise ValueError(f"the sizes of {self} do not belong together")
        edges = self.constants if self.kind == "ple" else ()
        if not all(low < high for low, high in pairwise(edges)):
            raise ValueError(f"the edges of bins must increase, got {edges}")

    @property
    def trained_shapes(self):
        """Shapes of its trained arrays except the scales: frequencies, phases, weights and biases,
        or the table of a category."""
        terms, units = (self.n_terms,), self.n_units
        if self.kind == "pbld":
            return (terms, terms, (self.n_terms, units - 1), (units - 1,))
        if self.kind == "plr":
            return (terms, (2 * self.n_terms, units), (units,))
        if self.kind == "periodic":
            return (terms,)
        if self.kind == "category" and not self.constants:
            return ((self.n_levels, units),)
        return ()


def n_units_of(columns):
    """Units of the input layer."""
    return sum(column.n_units for column in columns)


def embedding_shapes(columns):
    """Shapes of the arrays of a network's `embeddings_`: the scales of all units, then the other
    trained arrays, column by column."""
    return ((n_units_of(columns),), *(s for column in columns for s in column.trained_shapes))


_PLACES = {
    "pbld": ("frequencies", "phases", "weights", "biases"),
    "plr": ("frequencies", "weights", "biases"),
    "periodic": ("frequencies",),
    "category": ("weights",),
}


class Layout:
    """Where the parameters of columns lie in one vector, in which each array begins at a multiple
    of the lanes of a vector, as does each row of a table.

    Parameters
    ----------
    columns : tuple of Column
    lanes : int
    dtype : numpy.dtype
    """

    def __init__(self, columns, lanes, dtype):
        self.columns, self.lanes, self.dtype = columns, lanes, dtype
        self._size, unit = 0, 0
        self._described = []
        self._arrays = []  # of each trained array except the scales: where, its shape, its row
        for column in columns:
            place = dict.fromkeys(("frequencies", "phases", "weights", "biases"), 0)
            place |= {"kind": column.kind, "source": column.source, "unit": unit}
            place |= {"n_units": column.n_units, "n_terms": column.n_terms}
            place |= {"table_row": self._padded(column.n_units), "n_levels": 0}
            place["scales"] = self._reserve(column.n_units)
            place["at"] = self._size
            for name, shape in zip(
                _PLACES.get(column.kind, ()), column.trained_shapes, strict=False
            ):
                place[name] = self._place(shape, column.kind)
            place["count"] = self._size - place["at"]
            if column.kind == "category" and not column.constants:
                place["n_levels"], place["count"] = column.n_levels, 0
            if column.constants:
                rows = (column.n_levels or 1) * place["table_row"]
                place["weights"] = self._reserve(max(rows, len(column.constants)))
            self._described.append(place)
            unit += column.n_units
        self._levels = {c.source: c.n_levels for c in columns if c.kind == "category"}
        self._numbers = {c.source for c in columns if c.kind != "category"}

    def _padded(self, count):
        return -(-count // self.lanes) * self.lanes

    def _reserve(self, count):
        at = self._size
        self._size += self._padded(count)
        return at

    def _place(self, shape, kind):
        row = self._padded(shape[-1]) if kind == "category" else None
        count = shape[0] * row if row else math.prod(shape)
        self._arrays.append((self._size, shape, row))
        return self._reserve(count)

    def new(self):
        """Zeros in this layout."""
        return _core.aligned_zeros(self._size, self.dtype)

    def _views(self, flat):
        """Views of the trained arrays, except that the scales are one for each column."""
        scales = [flat[p["scales"] : p["scales"] + p["n_units"]] for p in self._described]
        others = []
        for at, shape, row in self._arrays:
            if row:
                others.append(flat[at : at + shape[0] * row].reshape(-1, row)[:, : shape[1]])
            else:
                others.append(flat[at : at + math.prod(shape)].reshape(shape))
        return scales, others

    def load(self, flat, *arrays):
        """Copy arrays of `embedding_shapes` in, and the constants."""
        self._load_constants(flat)
        scales, others = self._views(flat)
        for place, described in zip(scales, self._described, strict=True):
            place[:] = arrays[0][described["unit"] :][: described["n_units"]]
        for place, array in zip(others, arrays[1:], strict=True):
            place[...] = array

    def _load_constants(self, flat):
        for column, place in zip(self.columns, self._described, strict=True):
            constants, at = np.array(column.constants), place["weights"]
            if column.constants and column.kind == "category":
                row = place["table_row"]
                table = flat[at : at + column.n_levels * row].reshape(-1, row)
                table[:, : column.n_units] = constants.reshape(column.n_levels, -1)
            elif column.constants:
                flat[at : at + len(constants)] = constants

    def store(self, flat, *arrays):
        """Copy arrays of `embedding_shapes` out."""
        scales, others = self._views(flat)
        for place, described in zip(scales, self._described, strict=True):
            arrays[0][described["unit"] :][: described["n_units"]] = place
        for place, array in zip(others, arrays[1:], strict=True):
            array[...] = place

    def compiled(self, flat):
        """The Columns of the compiled core, with their parameters in `flat`."""
        n_codes, n_values = max(self._levels, default=-1) + 1, max(self._numbers, default=-1) + 1
        levels = [self._levels.get(i, 2**31) for i in range(n_codes)]
        return _core.Columns(self._described, flat, levels, n_values)


@functools.lru_cache(maxsize=64)
def _layout(columns, lanes, dtype):
    """The Layout, cached because every prediction asks for it."""
    return Layout(columns, lanes, dtype)


class InputLayer:
    """The parameters of columns, with the methods of a Layer that move parameters."""

    def __init__(self, columns, dtype):
        self.layout = _layout(columns, _core.lanes(dtype), dtype)
        self.parameters = self.new()

    def new(self):
        return self.layout.new()

    def load(self, flat, *arrays):
        self.layout.load(flat, *arrays)

    def store(self, flat, *arrays):
        self.layout.store(flat, *arrays)

    def compiled(self):
        """The Columns of the compiled core."""
        return self.layout.compiled(self.parameters)
