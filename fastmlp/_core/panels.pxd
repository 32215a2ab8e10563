from fastmlp._core.kernels cimport fastmlp_kernels
from fastmlp._core.network cimport in_units
from libc.stdint cimport uintptr_t


cpdef bint is_narrow(size_t i, size_t n_layers, size_t fan_out, size_t lanes) noexcept
cdef void pack(
    const char *matrix, ptrdiff_t row_stride, ptrdiff_t column_stride, size_t n_rows,
    size_t n_columns, const fastmlp_kernels *k, char *panels) noexcept


cdef inline char *aligned(char *memory) noexcept:
    """The first multiple of 64 bytes in a block that is 64 bytes larger than needed."""
    return memory + (64 - <uintptr_t>memory % 64) % 64


cdef inline char *reserve(char *memory, size_t *used, size_t size) noexcept:
    """Reserves the next `size` bytes of memory, aligned. With memory NULL, only counts them."""
    cdef size_t at = used[0]
    used[0] += in_units(size, 64) * 64
    return memory if memory is NULL else memory + at
