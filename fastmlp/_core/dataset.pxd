from fastmlp._core.kernels cimport fastmlp_csr, fastmlp_table
from libc.stdint cimport intptr_t


# Where the samples of a data set lie in memory.
cdef struct Samples:
    bint sparse
    int source                          # FASTMLP_SOURCES
    const char *x                       # IN  dense: (n_samples, n_features) by byte strides
    ptrdiff_t row_stride, column_stride
    fastmlp_csr csr                     # IN  sparse
    fastmlp_table table                 # IN  or numbers and codes of a table's columns
    const void *y                       # IN  as the loss's kernel takes it
    const double *sample_weight         # IN  (n_samples) or NULL


cdef class Dataset:
    cdef Samples samples
    cdef readonly object X, codes, y, sample_weight
    cdef readonly object kept           # a CSR matrix's arrays: data, indices, indptr
    cdef public object checked          # the Columns whose levels the codes were compared with
    cdef readonly Py_ssize_t n_samples, n_features, largest_class


cdef double density(Dataset dataset)
cdef const intptr_t *row_numbers(Dataset dataset, order) except? NULL
