from fastmlp._core.dataset cimport Dataset
from fastmlp._core.kernels cimport fastmlp_kernels
from fastmlp._core.network cimport Column, InputLayer, Layer, Run
from libc.stdint cimport uintptr_t


cdef extern from *:
    """
    #define FASTMLP_WORK_PER_THREAD 2e5 /* flops of a step that are worth a thread */
    """
    const double WORK_PER_THREAD "FASTMLP_WORK_PER_THREAD"


cdef class Columns:
    cdef InputLayer inputs
    cdef object kept                    # arrays that the struct points to
    cdef Py_ssize_t n_values, n_codes
    cdef list levels                    # number of levels of each column of codes

    cdef int check(self, Dataset dataset) except -1


cdef class Parameters:
    cdef Py_buffer *views               # one for each array, list by list
    cdef size_t n_views
    cdef readonly object architecture
    cdef int normalization
    cdef size_t n_lists
    cdef Layer *layers
    cdef char *packed
    cdef size_t n_layers
    cdef Columns columns                # or None

    cdef int lay_out(self, const fastmlp_kernels *k, bint in_place, bint sparse) except -1
    cdef size_t _pack(
        self, const fastmlp_kernels *k, bint in_place, bint sparse, char *memory) noexcept


cdef int team_size(
    double work, double work_per_thread, size_t n_rows, size_t mr, int n_threads) noexcept
cdef int set_form(Layer *layers, size_t n_layers, int normalization, architecture) except -1
cdef predict_samples(const Run *network, Dataset dataset, order, int n_threads, losses=*)
