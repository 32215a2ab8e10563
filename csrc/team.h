/* What a team of threads needs besides OpenMP's regions: a barrier, counters to claim work and to
 * wait for each other, a clock. The only file here that uses OpenMP; kernels do not include it. */
#ifndef FASTMLP_TEAM_H
#define FASTMLP_TEAM_H

#include <stddef.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#define FASTMLP_OPENMP _OPENMP
static inline int fastmlp_team_size(void) { return omp_get_num_threads(); }
static inline int fastmlp_max_threads(void) { return omp_get_max_threads(); }
#else
#define FASTMLP_OPENMP 0
static inline int fastmlp_team_size(void) { return 1; }
static inline int fastmlp_max_threads(void) { return 1; }
#endif

#ifdef _WIN32
#include <windows.h>
static inline void fastmlp_sleep(void) { Sleep(0); }
#else
static inline void fastmlp_sleep(void) {
    struct timespec time = {0, 20000};
    nanosleep(&time, NULL);
}
#endif

#if defined(__x86_64__)
#define FASTMLP_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FASTMLP_PAUSE() __asm__ volatile("yield")
#else
#define FASTMLP_PAUSE() (void)0
#endif

/* Adds the seconds since the last lap to clock[phase]; clock[0] is the time of the last lap. Does
 * nothing if clock is NULL. */
static inline void fastmlp_lap(double *clock, int phase) {
    if (!clock)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double last = clock[0];
    clock[0] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    clock[phase] += phase ? clock[0] - last : 0;
}

/* Takes the next unit of work. */
static inline size_t fastmlp_claim(size_t *next) {
    return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
}

static inline void fastmlp_set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

/* Waits until another thread has set the count to n. Spins for about 50 us, then sleeps between
 * checks, because the other thread may need this core if another process has taken its own. */
static inline void fastmlp_await(const unsigned *count, unsigned n) {
    int spins = 2000;
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) != n) {
        if (spins-- > 0)
            FASTMLP_PAUSE();
        else
            fastmlp_sleep();
    }
}

/* Sets the count to n and publishes what this thread has written before. */
static inline void fastmlp_count(unsigned *count, unsigned n) {
    __atomic_store_n(count, n, __ATOMIC_RELEASE);
}

/* Waits until all n threads of a team have arrived. `passed` counts the barriers. OpenMP's own
 * barrier spins for milliseconds, which is far slower if another process has taken a core. */
static inline void fastmlp_barrier(int *arrived, unsigned *passed, int n) {
    if (n == 1)
        return;
    unsigned before = __atomic_load_n(passed, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(arrived, 1, __ATOMIC_ACQ_REL) == n) {
        __atomic_store_n(arrived, 0, __ATOMIC_RELAXED);
        fastmlp_count(passed, before + 1);
        return;
    }
    fastmlp_await(passed, before + 1);
}

#endif
