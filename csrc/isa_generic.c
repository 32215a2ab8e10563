/* The kernels for any processor: 16-byte vectors, which are SSE2 on x86-64 and NEON on aarch64. */
#include "fastmlp.h"

#include <float.h>

#define ISA_NAME "generic"
#define VECTOR_BYTES 16

#define REAL float
#define REAL_IS_DOUBLE 0
#define NAME(x) fastmlp_generic_float_##x
#define MR 4
#define NR 2
#include "kernels.h"

#define REAL double
#define REAL_IS_DOUBLE 1
#define NAME(x) fastmlp_generic_double_##x
#define MR 2
#define NR 4
#include "kernels.h"
