# Matrices in panels: copies into panels and back.
import numpy as np

from libc.string cimport memcpy

from fastmlp._core.kernels cimport address, fastmlp_kernels, is_double, kernels_of_type
from fastmlp._core.network cimport in_units, least


cpdef bint is_narrow(size_t i, size_t n_layers, size_t fan_out, size_t lanes) noexcept:
    """Whether layer i is an output layer with so few outputs that its weights lie along fan_in."""
    return 0 < i and i == n_layers - 1 and (fan_out == 1 or fan_out <= lanes // 4)


cdef void pack(
    const char *matrix,         # IN  (n_rows, n_columns) by byte strides
    ptrdiff_t row_stride, ptrdiff_t column_stride, size_t n_rows, size_t n_columns,
    const fastmlp_kernels *k,
    char *panels,               # OUT (n_columns / V, n_rows, V), unused lanes are not written
) noexcept:
    cdef size_t p, i, width, vector = k.lanes * k.real_size
    for p in range(in_units(n_columns, k.lanes)):
        width = least(k.lanes, n_columns - p * k.lanes)
        for i in range(n_rows):
            copy_reals(
                matrix + <ptrdiff_t>i * row_stride + <ptrdiff_t>(p * k.lanes) * column_stride,
                column_stride, panels, k.real_size, width, k.real_size)
            panels += vector


cdef inline void copy_reals(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride, size_t n,
    size_t real_size,
) noexcept:
    cdef size_t j
    if source_stride == target_stride == <ptrdiff_t>real_size:
        memcpy(target, source, n * real_size)
    elif real_size == 8:
        for j in range(n):
            memcpy(target + <ptrdiff_t>j * target_stride, source + <ptrdiff_t>j * source_stride, 8)
    else:
        for j in range(n):
            memcpy(target + <ptrdiff_t>j * target_stride, source + <ptrdiff_t>j * source_stride, 4)


cdef const fastmlp_kernels *kernels_of_panels(matrix, panels) except NULL:
    cdef const fastmlp_kernels *k = kernels_of_type(is_double(panels.dtype))
    n_rows, n_columns = matrix.shape
    if (panels.shape != (in_units(n_columns, k.lanes), n_rows, k.lanes)
            or panels.itemsize != <Py_ssize_t>k.real_size or not panels.flags.c_contiguous):
        raise ValueError(f"a matrix {matrix.shape} does not fit panels {panels.shape}")
    return k


def to_panels(matrix, panels):
    """Copies matrix (k, n) into panels (ceil(n / V), k, V). Unused lanes of the last panel keep
    their values."""
    cdef const fastmlp_kernels *k = kernels_of_panels(matrix, panels)
    matrix = matrix.astype(panels.dtype, copy=False)
    pack(address(matrix), matrix.strides[0], matrix.strides[1], matrix.shape[0], matrix.shape[1],
         k, address(panels))


def from_panels(panels, matrix):
    """Copies panels (ceil(n / V), k, V) into matrix (k, n)."""
    cdef const fastmlp_kernels *k = kernels_of_panels(matrix, panels)
    if matrix.dtype != panels.dtype:
        copy = np.empty(matrix.shape, panels.dtype)
        from_panels(panels, copy)
        matrix[...] = copy
        return
    cdef size_t n_rows = matrix.shape[0], n_columns = matrix.shape[1], p, i
    cdef ptrdiff_t row_stride = matrix.strides[0], column_stride = matrix.strides[1]
    cdef char *to = address(matrix)
    cdef const char *panel = address(panels)
    for p in range(in_units(n_columns, k.lanes)):
        for i in range(n_rows):
            copy_reals(
                panel, k.real_size,
                to + <ptrdiff_t>i * row_stride + <ptrdiff_t>(p * k.lanes) * column_stride,
                column_stride, least(k.lanes, n_columns - p * k.lanes), k.real_size)
            panel += k.lanes * k.real_size
