"""The kernel tables through ctypes, and arrays in the kernels' layout.

A matrix (rows, columns) in panels is (panels, rows, V), column j in lane j % V of
panel j // V; in columns it is (row panels, columns, V), row r in lane r % V of row
panel r // V. See csrc/fastmlp.h.
"""

import ctypes

import numpy as np

from fastmlp import _core

SIZE, POINTER, INT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
DOUBLE, STRIDE = ctypes.c_double, ctypes.c_ssize_t
MATRIX = (POINTER, SIZE)  # an array in panels and the reals between its panels

# kernel -> (what it returns, what it takes)
SIGNATURES = {
    "gather": (None, [SIZE, SIZE, POINTER, POINTER, STRIDE, STRIDE, *MATRIX]),
    "all_finite": (INT, [SIZE, SIZE, *MATRIX]),
    "forward": (None, [SIZE, SIZE, SIZE, *MATRIX, *MATRIX, SIZE, POINTER, INT, *MATRIX]),
    "forward_csr": (None, [SIZE, SIZE, POINTER, POINTER, *MATRIX, POINTER, *MATRIX]),
    "forward_narrow": (None, [SIZE] * 4 + [*MATRIX, POINTER, POINTER, POINTER]),
    "delta": (
        None,
        [SIZE, SIZE, SIZE, *MATRIX, POINTER, INT, POINTER, *MATRIX],
    ),
    "delta_narrow": (None, [SIZE] * 4 + [POINTER, POINTER, INT, POINTER, *MATRIX]),
    "gradient": (None, [SIZE, SIZE, SIZE, *MATRIX, *MATRIX, INT, *MATRIX, POINTER]),
    "gradient_narrow": (None, [SIZE] * 4 + [POINTER, *MATRIX, INT, *MATRIX]),
    "gradient_csr": (None, [SIZE, POINTER, POINTER, POINTER, POINTER]),
    "column_sums": (None, [SIZE, SIZE, *MATRIX, INT, POINTER]),
    "column_sums_narrow": (None, [SIZE, SIZE, POINTER, INT, POINTER]),
    "transpose": (None, [SIZE, SIZE, POINTER, POINTER]),
    "to_columns": (None, [SIZE, *MATRIX, POINTER]),
    "from_columns": (None, [SIZE, POINTER, *MATRIX]),
    "activation": (None, [SIZE, POINTER]),
    "slope": (None, [SIZE, POINTER, POINTER]),
    "output": (None, [SIZE, POINTER, SIZE]),
    "output_slope": (None, [SIZE, POINTER, SIZE, POINTER]),
    "chain": (None, [SIZE, POINTER, SIZE, POINTER]),
    "loss": (DOUBLE, [SIZE, SIZE, POINTER, SIZE, POINTER, POINTER, POINTER, POINTER]),
    "dropout": (
        None,
        [SIZE, SIZE, POINTER, POINTER, ctypes.c_uint64, POINTER, POINTER, SIZE],
    ),
    "dropout_csr": (None, [SIZE, POINTER, POINTER, POINTER, ctypes.c_uint64, POINTER]),
    "moments": (DOUBLE, [SIZE, SIZE, POINTER, POINTER, *MATRIX, POINTER]),
    "combine_moments": (None, [SIZE, SIZE, POINTER, POINTER, POINTER]),
    "running_average": (None, [SIZE, DOUBLE, POINTER, POINTER]),
    "normalize": (None, [SIZE, SIZE, *[POINTER] * 5, *MATRIX]),
    "normalization_sums": (None, [SIZE, SIZE, POINTER, *MATRIX, INT, POINTER, POINTER]),
    "normalize_delta": (
        None,
        [SIZE, SIZE, POINTER, POINTER, DOUBLE, *[POINTER] * 4, *MATRIX],
    ),
    "normalize_rows": (None, [SIZE, SIZE, *[POINTER] * 4, *MATRIX]),
    "normalize_rows_delta": (None, [SIZE, SIZE, *[POINTER] * 3, *MATRIX]),
    "add": (None, [SIZE, POINTER, POINTER]),
    "multiply": (None, [SIZE, POINTER, POINTER]),
    "step": (DOUBLE, [SIZE, POINTER, INT, POINTER, POINTER, POINTER, POINTER]),
    "gradient_squares": (DOUBLE, [SIZE, DOUBLE, DOUBLE, POINTER, POINTER]),
    "clip": (None, [SIZE, DOUBLE, DOUBLE, DOUBLE, POINTER, POINTER]),
    "bound": (INT, [SIZE, DOUBLE, POINTER]),
    "bound_narrow": (INT, [SIZE, SIZE, DOUBLE, POINTER]),
    "sum_arrays": (None, [SIZE, SIZE, POINTER, SIZE, POINTER]),
    "exponential": (None, [SIZE, POINTER]),
    "logarithm": (None, [SIZE, POINTER]),
    "multiply_adds": (DOUBLE, [SIZE, POINTER]),
}


class Dropout(ctypes.Structure):
    """fastmlp_dropout"""

    _fields_ = [
        ("key", ctypes.c_uint32 * 2),
        ("layer", ctypes.c_uint32),
        ("threshold", ctypes.c_uint32),
        ("scale", DOUBLE),
    ]


class LossSettings(ctypes.Structure):
    """fastmlp_loss_settings"""

    _fields_ = [("delta", DOUBLE), ("gamma", DOUBLE), ("smoothing", DOUBLE), ("levels", POINTER)]


class Step(ctypes.Structure):
    """fastmlp_step"""

    _fields_ = [
        (name, DOUBLE)
        for name in (
            *("scale", "l2", "learning_rate", "ahead", "adaptive", "decay", "threshold"),
            *("l1_ratio", "look_ahead", "own", "momentum", "beta_1", "beta_2", "epsilon"),
        )
    ]


class Csr(ctypes.Structure):
    """fastmlp_csr"""

    _fields_ = [
        ("indptr", POINTER),
        ("indices", POINTER),
        ("data", POINTER),
        ("wide_indices", INT),
        ("double_data", INT),
    ]


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
        returns, takes = SIGNATURES[name]
        pointer = self.table[name] if entry is None else self.table[name][entry]
        function = ctypes.CFUNCTYPE(returns, *takes)(pointer)
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
        """matrix (rows, columns) as (panels, rows + spare_rows, V), the rest NaN-free zero."""
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
