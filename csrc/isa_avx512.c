/* The kernels for AVX-512 (F, DQ, BW, VL). */
#include "fastmlp.h"

#include <float.h>

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif

#define ISA_NAME "avx512"
#define VECTOR_BYTES 64

#define REAL float
#define REAL_IS_DOUBLE 0
#define NAME(x) fastmlp_avx512_float_##x
#define MR 8
#define NR 3
#include "kernels.h"

#define REAL double
#define REAL_IS_DOUBLE 1
#define NAME(x) fastmlp_avx512_double_##x
#define MR 8
#define NR 3
#include "kernels.h"

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif
