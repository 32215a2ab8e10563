/* Which kernel tables this processor can run. */
#include "fastmlp.h"

#ifdef __x86_64__
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
