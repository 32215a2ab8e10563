# What a team needs besides OpenMP's regions, as Cython sees it: csrc/team.h, denormals.h.
from libc.stdint cimport uint64_t

cdef extern from "denormals.h" nogil:
    uint64_t fastmlp_flush_denormals()
    void fastmlp_restore_denormals(uint64_t state)


cdef extern from "team.h" nogil:
    int FASTMLP_OPENMP
    void fastmlp_lap(double *clock, int phase) noexcept
    size_t fastmlp_claim(size_t *next) noexcept
    void fastmlp_set(bint *flag) noexcept
    void fastmlp_await(const unsigned *count, unsigned n) noexcept
    void fastmlp_count(unsigned *count, unsigned n) noexcept
    void fastmlp_barrier(int *arrived, unsigned *passed, int n) noexcept
    int fastmlp_team_size() noexcept
    int fastmlp_max_threads() noexcept
