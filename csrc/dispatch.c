/* Which kernels this processor can run, and its switch for denormal numbers. */
#include "fastmlp.h"

#ifdef __x86_64__
#include <xmmintrin.h>
#define SUPPORTS_avx2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#define SUPPORTS_avx512                                                                            \
    (SUPPORTS_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&   \
     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
#define TABLE_avx2(type) &fastmlp_avx2_##type##_kernels
#define TABLE_avx512(type) &fastmlp_avx512_##type##_kernels
#else
#define SUPPORTS_avx2 0
#define SUPPORTS_avx512 0
#define TABLE_avx2(type) NULL
#define TABLE_avx512(type) NULL
#endif
#define SUPPORTS_generic 1
#define TABLE_generic(type) &fastmlp_generic_##type##_kernels

const fastmlp_kernels *fastmlp_kernel_table(int isa, int is_double) {
    switch (isa) {
#define CASE(c, name)                                                                              \
    case FASTMLP_##name:                                                                           \
        return !SUPPORTS_##name ? NULL : is_double ? TABLE_##name(double) : TABLE_##name(float);
        FASTMLP_ISAS(CASE, _)
    }
    return NULL;
}

#if defined(__x86_64__)
enum { FLUSH_TO_ZERO = 1 << 15, DENORMALS_ARE_ZERO = 1 << 6 };
uint64_t fastmlp_flush_denormals(void) {
    const unsigned state = _mm_getcsr();
    _mm_setcsr(state | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
    return state;
}
void fastmlp_restore_denormals(uint64_t state) { _mm_setcsr((unsigned)state); }
#elif defined(__aarch64__)
uint64_t fastmlp_flush_denormals(void) {
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (uint64_t)1 << 24));
    return state;
}
void fastmlp_restore_denormals(uint64_t state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
#else
uint64_t fastmlp_flush_denormals(void) { return 0; }
void fastmlp_restore_denormals(uint64_t state) { (void)state; }
#endif
