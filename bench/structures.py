"""The structs of csrc/fastmlp.h that kernels read, as ctypes structures: for tests and benches."""

import ctypes
from ctypes import c_double, c_int, c_size_t, c_uint32, c_void_p


class Dropout(ctypes.Structure):
    """fastmlp_dropout"""

    _fields_ = [
        ("key", c_uint32 * 2),
        ("layer", c_uint32),
        ("threshold", c_uint32),
        ("scale", c_double),
    ]


class LossSettings(ctypes.Structure):
    """fastmlp_loss_settings"""

    _fields_ = [
        ("delta", c_double),
        ("gamma", c_double),
        ("smoothing", c_double),
        ("levels", c_void_p),
    ]


class Step(ctypes.Structure):
    """fastmlp_step"""

    _fields_ = [
        (name, c_double)
        for name in (
            *("scale", "l2", "learning_rate", "ahead", "adaptive", "decay", "threshold"),
            *("l1_ratio", "look_ahead", "own", "momentum", "beta_1", "beta_2", "epsilon"),
        )
    ]


class Csr(ctypes.Structure):
    """fastmlp_csr"""

    _fields_ = [
        ("indptr", c_void_p),
        ("indices", c_void_p),
        ("data", c_void_p),
        ("wide_indices", c_int),
        ("double_data", c_int),
    ]


class Table(ctypes.Structure):
    """fastmlp_table"""

    _fields_ = [
        ("values", c_void_p),
        ("codes", c_void_p),
        ("n_values", c_size_t),
        ("n_codes", c_size_t),
        ("code_bytes", c_int),
    ]


class Column(ctypes.Structure):
    """fastmlp_column"""

    _fields_ = [
        (name, c_size_t)
        for name in (
            *("source", "unit", "n_units", "n_terms", "table_row"),
            *("scales", "frequencies", "phases", "weights", "biases"),
        )
    ]
