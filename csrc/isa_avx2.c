/* The kernels for AVX2 and FMA. */
#include "fastmlp.h"

#include <float.h>

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define ISA_NAME "avx2"
#define VECTOR_BYTES 32

#define REAL float
#define REAL_IS_DOUBLE 0
#define NAME(x) fastmlp_avx2_float_##x
#define MR 4
#define NR 3
#include "kernels.h"

#define REAL double
#define REAL_IS_DOUBLE 1
#define NAME(x) fastmlp_avx2_double_##x
#define MR 4
#define NR 3
#include "kernels.h"

#ifdef __clang__
#pragma clang attribute pop
#endif

#endif
