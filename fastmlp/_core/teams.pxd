# Teams: the OpenMP regions of training. A team works on one network, or each of its threads on a
# network of its own.
from cython.parallel cimport parallel, threadid

from fastmlp._core.network cimport STAGES, Run, boundary, least
from fastmlp._core.passes cimport pass_micro_batches, step_by_gradient
from fastmlp._core.team cimport fastmlp_await, fastmlp_claim, fastmlp_count, fastmlp_team_size


cdef inline void run_team(Run *run, size_t begin, size_t end, int n_threads) noexcept nogil:
    """Micro-batches begin..end of a pass, by a team of threads."""
    # One thread needs no team, and must not make one: OpenMP hangs in a forked child.
    if n_threads == 1:
        pass_micro_batches(run, begin, end, 0, 1)
        return
    with parallel(num_threads=n_threads):
        pass_micro_batches(run, begin, end, threadid(), fastmlp_team_size())


cdef inline void step_team(Run *run, int n_threads) noexcept nogil:
    """A step by the gradient in the layers' gradient arrays, by a team of threads."""
    if n_threads == 1:
        step_by_gradient(run, 0, 1)
        return
    with parallel(num_threads=n_threads):
        step_by_gradient(run, threadid(), fastmlp_team_size())


cdef inline void pass_stages(
    Run **runs, size_t n_networks, size_t begin, size_t end, size_t n_stages, size_t *next_stage,
) noexcept nogil:
    """What one thread does if each thread has a network to itself: it takes the next stage of a
    slice of each network in turn, so that all networks advance alike, whichever thread is free."""
    cdef size_t i, stage, n = end - begin
    cdef Run *run
    while True:
        i = fastmlp_claim(next_stage)
        if i >= n_networks * n_stages:
            break
        run, stage = runs[i % n_networks], i // n_networks
        fastmlp_await(&run.stages, <unsigned>stage)  # another thread may still run the last one
        pass_micro_batches(
            run, begin + boundary(n, 1, stage, n_stages),
            begin + boundary(n, 1, stage + 1, n_stages), 0, 1)
        fastmlp_count(&run.stages, <unsigned>stage + 1)


cdef inline void run_networks(
    Run **runs,                 # (n_networks)
    size_t n_networks, size_t begin, size_t end, int n_threads, bint side_by_side,
) noexcept nogil:
    """Micro-batches begin..end of each network's pass: one network after the other with the team,
    or side by side, each thread with a network of its own."""
    cdef size_t i, n_stages = least(end - begin, STAGES), next_stage = 0
    if not side_by_side or n_threads == 1:
        for i in range(n_networks):
            run_team(runs[i], begin, end, n_threads)
        return
    for i in range(n_networks):
        runs[i].stages = 0
    with parallel(num_threads=n_threads):
        pass_stages(runs, n_networks, begin, end, n_stages, &next_stage)
