from fastmlp._core.network cimport Block, Layer, Run
from fastmlp._core.prediction cimport Columns
from libc.stdint cimport uint64_t


cdef class Workspace:
    cdef Run run
    cdef Layer *layers
    cdef Layer *averaged                # the same with averages for weights, or NULL
    cdef Block *blocks
    cdef object _kept                   # arrays that the structs above point to
    cdef readonly list workspace
    cdef readonly size_t n_parameters
    cdef size_t _most_rows
    cdef int n_threads
    cdef bint takes_steps               # whether there is an optimizer
    cdef Columns _columns
    cdef uint64_t _seed
    cdef tuple _dropout                 # rates as the architecture has them

    cdef char *_allocate(self, count, dtype) except? NULL
    cdef int _set_dropout(self, double factor) except -1
