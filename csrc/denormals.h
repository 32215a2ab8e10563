/* The CPU's switch for denormal numbers. The engine's threads flush them to zero while they work,
 * because an operation on a denormal can take a hundred times as long, and Adam's moments decay
 * into denormals. */
#ifndef FASTMLP_DENORMALS_H
#define FASTMLP_DENORMALS_H

#include <stdint.h>

/* fastmlp_flush_denormals returns the state that fastmlp_restore_denormals takes. */
#if defined(__x86_64__)
#include <xmmintrin.h>
enum { FASTMLP_FLUSH_TO_ZERO = 1 << 15, FASTMLP_DENORMALS_ARE_ZERO = 1 << 6 };
static inline uint64_t fastmlp_flush_denormals(void) {
    const unsigned state = _mm_getcsr();
    _mm_setcsr(state | FASTMLP_FLUSH_TO_ZERO | FASTMLP_DENORMALS_ARE_ZERO);
    return state;
}
static inline void fastmlp_restore_denormals(uint64_t state) { _mm_setcsr((unsigned)state); }
#elif defined(__aarch64__)
static inline uint64_t fastmlp_flush_denormals(void) {
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (uint64_t)1 << 24));
    return state;
}
static inline void fastmlp_restore_denormals(uint64_t state) {
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
}
#else
static inline uint64_t fastmlp_flush_denormals(void) { return 0; }
static inline void fastmlp_restore_denormals(uint64_t state) { (void)state; }
#endif

#endif
