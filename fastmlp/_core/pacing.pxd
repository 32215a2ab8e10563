# Pacing: whether the next slice of a pass is faster with the team or with one thread. The bits are
# the same. A team is slower if steps are tiny, or if other processes use its cores.
from libc.math cimport INFINITY

cdef extern from *:
    """
    #define FASTMLP_WORTH_A_TRIAL 2e-3  /* seconds of work, done and left */
    #define FASTMLP_SLOW_WAKING 5e-3    /* seconds */
    """
    const double WORTH_A_TRIAL "FASTMLP_WORTH_A_TRIAL"
    const double SLOW_WAKING "FASTMLP_SLOW_WAKING"


# All times in seconds.
cdef struct Pace:
    double team, lone                   # for a micro-batch, by the team and by one thread
    double next_trial                   # perf_counter's time when the slower is tried again
    double worked                       # total of all slices
    int trial                           # slices that are left of a trial
    bint try_team


cdef inline void begin_pacing(Pace *pace, bint with_team) noexcept:
    """Before any measurement: one thread begins unless steps are long, because a team has to wake
    up."""
    pace.team, pace.lone = 0 if with_team else INFINITY, INFINITY if with_team else 0


cdef inline bint choose_team(Pace *pace, double now, size_t n_left, int n_threads) noexcept:
    """Whether the next slice of a pass, of which n_left micro-batches are left, is for the team."""
    if n_threads == 1:
        return False
    if pace.worked > 0 and not pace.trial and now > pace.next_trial:
        if pace.worked + n_left * min(pace.team, pace.lone) > WORTH_A_TRIAL:
            pace.trial = 3  # slices: one to wake up, two to measure
            pace.try_team = pace.team > pace.lone
    return pace.try_team if pace.trial else pace.team <= pace.lone


cdef inline double followed(double before, double now) noexcept:
    """The updated time of a micro-batch: a measurement that is slower counts for a quarter."""
    return now if before == 0 or now < before else 0.75 * before + 0.25 * now


cdef inline size_t note_slice(
    Pace *pace, bint by_team, size_t n, double begin, double now, size_t at_once,
) noexcept:
    """Records how long a slice of n micro-batches took; returns how many the next should have."""
    cdef double elapsed = now - begin
    cdef bint first = pace.worked == 0
    pace.worked += elapsed
    if pace.trial == 3 and pace.try_team and elapsed > SLOW_WAKING + 2 * pace.lone * n:
        pace.trial = 1  # other processes use the cores: this slice is measurement enough
    if pace.trial == 3:
        pass
    elif by_team:
        pace.team = followed(pace.team, elapsed / n)
    else:
        pace.lone = followed(pace.lone, elapsed / n)
    if pace.trial:
        pace.trial -= 1
        pace.next_trial = begin + 60 * elapsed
    elif first and by_team:
        pace.next_trial = begin + 60 * elapsed
    elif elapsed > 0.05:
        return (at_once + 1) // 2
    elif elapsed < 0.0125:
        return at_once * 2
    return at_once
