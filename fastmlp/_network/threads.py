"""The number of threads to use."""

import functools
import os

from joblib import cpu_count

from .. import _core

# The result does not depend on the number of threads, many more than cores are slow, and libgomp
# aborts the process if it cannot create one. OMP_NUM_THREADS may be that of another machine.
MOST_PER_CORE = 4

_forked = False


def _note_fork():
    """Remember the fork: OpenMP's threads do not survive it, and libgomp would wait for them."""
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@functools.cache
def _physical_cores():
    return cpu_count(only_physical_cores=True)


def effective_n_threads(n_threads):
    """The number of threads to use if the calling thread starts a team now.

    Parameters
    ----------
    n_threads : int or None
        None: OMP_NUM_THREADS if set, else the physical cores that this process may use (affinity
        and cgroup limits), in both cases no more than OpenMP's limit in the calling thread, which
        threadpoolctl sets. Negative: counted back from that number; -1 means all of them, -2 all
        but one. In a forked child the result is always 1, and it is never more than MOST_PER_CORE
        times the cores that this process may use.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If `n_threads` is zero.
    """
    if n_threads == 0:
        raise ValueError("n_threads must be None or an integer other than 0, got 0.")
    if _forked or not _core.openmp():
        return 1
    most = MOST_PER_CORE * _physical_cores()
    if n_threads is not None and n_threads > 0:
        return min(n_threads, most)
    available = min(_core.max_threads(), most)
    if not os.getenv("OMP_NUM_THREADS"):
        available = min(available, _physical_cores())
    return available if n_threads is None else max(1, available + n_threads + 1)
