# Data sets as the loops read them, and the order of their rows.
import numpy as np

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, intptr_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastmlp._core.kernels cimport address

from fastmlp._core.kernels import SOURCE_INDEX, SOURCES


cdef class Dataset:
    """Samples in the caller's memory. X is not copied, for any supported type and strides.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features) of a type in ``SOURCES``, or CSR matrix
        with float32 or float64 data and int32 or int64 indices
        If `codes` are given, X holds the numbers of a table's columns: C-contiguous, and of the
        network's type.
    y : None or ndarray, C-contiguous
        Targets of the kind that the loss takes (``TARGETS``): classes are int32 (n_samples,),
        labels uint8 (n_samples, n_outputs), reals of the network's type (n_samples, n_outputs).
    sample_weight : None or float64 ndarray of shape (n_samples,), C-contiguous
    codes : None or ndarray of shape (n_samples, n_codes) and type uint8, uint16 or int32
        The codes of a table's columns, C-contiguous. Not None for a table. The engine and the
        prediction check that they are levels of their columns.

    Raises
    ------
    ValueError
        If an array is not as described, or indices of a sparse matrix are out of range.
    """

    def __init__(self, X, y=None, sample_weight=None, codes=None):
        if len(X.shape) != 2:
            raise ValueError(f"X must have two dimensions, got shape {X.shape}")
        self.X, self.y, self.sample_weight, self.codes = X, y, sample_weight, codes
        self.n_samples, self.n_features = X.shape
        memset(&self.samples, 0, sizeof(Samples))
        if codes is not None:
            self._read_table()
        elif isinstance(X, np.ndarray):
            if X.dtype not in SOURCE_INDEX:
                raise ValueError(f"X must be of a type in {SOURCES}, got {X.dtype}")
            self.samples.source = SOURCE_INDEX[X.dtype]
            self.samples.x = address(X)
            self.samples.row_stride, self.samples.column_stride = X.strides
        else:
            self._read_csr(X)
        if y is not None:
            if not isinstance(y, np.ndarray) or not y.flags.c_contiguous or len(y) != len(self):
                raise ValueError("y must be a C-contiguous array of n_samples rows")
            self.samples.y = address(y)
            if y.ndim == 1 and y.size:
                self.largest_class = y.max()
                if y.dtype != np.int32 or y.min() < 0:
                    raise ValueError("classes must be int32 numbers, counted from zero")
        if sample_weight is not None:
            if (sample_weight.dtype != np.float64 or sample_weight.shape != (self.n_samples,)
                    or not sample_weight.flags.c_contiguous):
                raise ValueError("sample_weight must be a C-contiguous float64 (n_samples,) array")
            self.samples.sample_weight = <const double *>address(sample_weight)

    def _read_table(self):
        X, codes = self.X, self.codes
        if X.dtype not in (np.float32, np.float64) or not X.flags.c_contiguous:
            raise ValueError("the numbers of a table must be C-contiguous, float32 or float64")
        if (codes.dtype not in (np.uint8, np.uint16, np.int32) or not codes.flags.c_contiguous
                or codes.ndim != 2 or len(codes) != self.n_samples):
            raise ValueError("codes must be a C-contiguous matrix of uint8, uint16 or int32")
        self.samples.table.values, self.samples.table.n_values = address(X), X.shape[1]
        self.samples.table.codes, self.samples.table.n_codes = address(codes), codes.shape[1]
        self.samples.table.code_bytes = codes.itemsize

    def _read_csr(self, X):
        if getattr(X, "format", None) != "csr":
            raise ValueError(f"X must be an ndarray or a CSR matrix, got {type(X)}")
        data, indices = (np.require(part, requirements="CA") for part in (X.data, X.indices))
        indptr = np.require(X.indptr, np.int64, "CA")
        if data.dtype not in (np.float32, np.float64) or indices.dtype not in (np.int32, np.int64):
            raise ValueError("a CSR matrix must have float32 or float64 data and int32 or int64 "
                             f"indices, got {data.dtype} and {indices.dtype}")
        if (indptr.shape != (self.n_samples + 1,) or indptr[0] < 0 or np.any(np.diff(indptr) < 0)
                or indptr[-1] > min(len(data), len(indices))
                or (len(indices) and (indices.min() < 0 or indices.max() >= self.n_features))):
            raise ValueError("X is not a valid CSR matrix: its indices are out of range")
        self.kept = (data, indices, indptr)
        self.samples.sparse = True
        self.samples.csr.data, self.samples.csr.indices = address(data), address(indices)
        self.samples.csr.indptr = <const int64_t *>address(indptr)
        self.samples.csr.wide_indices = indices.dtype == np.int64
        self.samples.csr.double_data = data.dtype == np.float64

    @property
    def sparse(self):
        return self.samples.sparse

    def __len__(self):
        return self.n_samples


cdef double density(Dataset dataset):
    """Share of the values of a sparse X that are stored."""
    return dataset.X.nnz / max(1.0, <double>dataset.n_samples * <double>dataset.n_features)


cdef const intptr_t *row_numbers(Dataset dataset, order) except? NULL:
    """The row numbers in `order`, checked to be valid for the data set."""
    if order.dtype != np.intp or order.ndim != 1 or not order.flags.c_contiguous:
        raise ValueError("order must be a C-contiguous vector of intp")
    cdef const intptr_t *rows = <const intptr_t *>address(order)
    cdef size_t largest = 0, n_rows = len(order), i
    for i in range(n_rows):
        largest = max(largest, <size_t>rows[i])  # a negative number becomes a very large one
    if n_rows and largest >= <size_t>dataset.n_samples:
        raise ValueError("order names rows that X lacks")
    return rows


# NumPy's random bits: the public struct of numpy/random/bitgen.h, which the capsule of every
# BitGenerator holds.
ctypedef struct bitgen_t:
    void *state
    uint64_t (*next_uint64)(void *state) noexcept nogil
    uint32_t (*next_uint32)(void *state) noexcept nogil
    double (*next_double)(void *state) noexcept nogil
    uint64_t (*next_raw)(void *state) noexcept nogil


cdef void shuffle_rows(bitgen_t *bits, intptr_t *rows, size_t n) noexcept nogil:
    # Fisher and Yates, with the draws of NumPy's RandomState: bits below a mask until they fit.
    # Rejection is unpredictable, so draw without branching and swap in a second loop.
    cdef size_t partners[256]
    cdef size_t i = n - 1, last, drawn, mask, j
    cdef intptr_t row
    while i > 0:
        last, drawn = i, 0
        mask = i
        for j in range(6):
            mask |= mask >> (1 << j)
        while drawn < 256 and i > mask >> 1:
            if mask >> 16 >> 16:
                j = bits.next_uint64(bits.state) & mask
            else:
                j = bits.next_uint32(bits.state) & mask
            partners[drawn] = j
            drawn += j <= i
            i -= j <= i
        for j in range(drawn):
            row = rows[last - j]
            rows[last - j] = rows[partners[j]]
            rows[partners[j]] = row


def shuffle(random_state, order, orders):
    """Shuffles as `random_state.shuffle` does: `order` into the first of `orders`, and each of them
    into the next.

    Parameters
    ----------
    random_state : numpy.random.RandomState
    order : ndarray of shape (n_rows,), dtype intp
        May be one of `orders`.
    orders : ndarray of shape (n_epochs, n_rows), dtype intp, C-contiguous
        Written to.
    """
    bit_generator = random_state._bit_generator
    cdef bitgen_t *bits = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    if orders.ndim != 2 or orders.dtype != np.intp or not orders.flags.carray:
        raise ValueError("orders must be a C-contiguous, writable (n_epochs, n_rows) array of intp")
    cdef size_t epoch, n_epochs = orders.shape[0], n_rows = orders.shape[1]
    if n_epochs == 0 or n_rows == 0:
        return
    cdef intptr_t *rows = <intptr_t *>address(orders)
    if address(order) != <char *>rows:
        orders[0] = order
    with bit_generator.lock, nogil:
        for epoch in range(n_epochs):
            if epoch:
                memcpy(rows, rows - n_rows, n_rows * sizeof(intptr_t))
            shuffle_rows(bits, rows, n_rows)
            rows += n_rows
