"""The kernel tables through ctypes, and arrays in the kernels' layout.

A matrix (rows, columns) in panels is (panels, rows, V), column j in lane j % V of
panel j // V; in columns it is (row panels, columns, V), row r in lane r % V of row
panel r // V. See csrc/fastmlp.h.
"""

import ctypes

import numpy as np

from fastmlp import _core
from structures import Csr, Dropout, LossSettings, Step

__all__ = ["Csr", "Dropout", "Kernels", "LossSettings", "Step", "tables"]


def address(argument):
    if isinstance(argument, np.ndarray):
        return argument.ctypes.data
    if isinstance(argument, ctypes.Structure):
        return ctypes.addressof(argument)
    return argument


class Kernels:
    """The table of one ISA and type; table.forward(...) takes arrays where C takes pointers."""

    def __init__(self, isa, dtype):
        self.isa, self.dtype = isa, np.dtype(dtype)
        self.table = _core.kernel_table(isa, dtype)
        self.lanes, self.mr, self.nr = (self.table[n] for n in ("lanes", "mr", "nr"))

    def __repr__(self):
        return f"{self.isa}-{self.dtype}"

    def call(self, name, *arguments, entry=None):
        function = self.table[name] if entry is None else self.table[name][entry]
        return function(*map(address, arguments))

    def zeros(self, *shape):
        """An aligned array."""
        count = int(np.prod(shape))
        return _core.aligned_zeros(count, self.dtype).reshape(shape)

    def aligned(self, values):
        array = self.zeros(*np.shape(values))
        array[...] = values
        return array

    def panels(self, matrix, spare_rows=0):
        """matrix (rows, columns) as (panels, rows + spare_rows, V), with zeros elsewhere."""
        rows, columns = matrix.shape
        out = self.zeros(-(-columns // self.lanes), rows + spare_rows, self.lanes)
        for j in range(columns):
            out[j // self.lanes, :rows, j % self.lanes] = matrix[:, j]
        return out

    def from_panels(self, panels, rows, columns):
        count = panels.shape[0] * panels.shape[2]
        flat = panels.transpose(1, 0, 2).reshape(panels.shape[1], count)
        return flat[:rows, :columns]

    def columns(self, matrix):
        """matrix (rows, n) as (row panels, n, V)."""
        rows, n = matrix.shape
        out = self.zeros(-(-rows // self.lanes), n, self.lanes)
        for r in range(rows):
            out[r // self.lanes, :, r % self.lanes] = matrix[r]
        return out

    def from_columns(self, columns, rows):
        count = columns.shape[0] * columns.shape[2]
        return columns.transpose(0, 2, 1).reshape(count, columns.shape[1])[:rows]


def tables():
    return [Kernels(isa, d) for isa in _core.isas() for d in ("float32", "float64")]
