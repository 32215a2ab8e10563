/* Vectors of the computing type: loads, stores, sums over lanes. kernels.h includes this file once
 * for each type. */
#ifndef FASTMLP_VECTOR_H
#define FASTMLP_VECTOR_H

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA(x) _Pragma(#x)

/* The shuffles that interleave the lower or the upper halves of two vectors, by number of lanes. */
#define LOW_2 0, 2
#define HIGH_2 1, 3
#define LOW_4 0, 4, 1, 5
#define HIGH_4 2, 6, 3, 7
#define LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#ifdef __clang__
#define UNROLL(n) PRAGMA(clang loop unroll(full))
#define ROLLED PRAGMA(clang loop unroll(disable))
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
#define UNROLL(n) PRAGMA(GCC unroll n)
#define ROLLED PRAGMA(GCC unroll 1)
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (ivec){__VA_ARGS__})
#endif

#endif

#define real REAL
#define vec NAME(vector)
#define unaligned_vec NAME(unaligned_vector)
#define ivec NAME(mask)
#define integer NAME(integer)
#define V ((size_t)(VECTOR_BYTES / sizeof(real)))

typedef real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef vec unaligned_vec __attribute__((aligned(sizeof(real))));
#if REAL_IS_DOUBLE
typedef int64_t ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint64_t NAME(integer);
typedef int64_t NAME(signed_integer);
#define SQUARE_ROOT __builtin_sqrt
#else
typedef int32_t ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint32_t NAME(integer);
typedef int32_t NAME(signed_integer);
#define SQUARE_ROOT __builtin_sqrtf
#endif

INLINE vec NAME(load)(const real *x) { return *(const vec *)x; }
INLINE vec NAME(load_unaligned)(const real *x) { return *(const unaligned_vec *)x; }
INLINE void NAME(store)(real *x, vec v) { *(vec *)x = v; }
INLINE vec NAME(broadcast)(real x) { return x - (vec){0}; }
#define load NAME(load)
#define load_unaligned NAME(load_unaligned)
#define store NAME(store)
#define broadcast NAME(broadcast)

/* max(x, 0), except that NaN stays NaN */
INLINE vec NAME(rectify)(vec x) { return (vec)((ivec)x & ~(ivec)(x < (vec){0})); }
#define rectify NAME(rectify)

#if REAL_IS_DOUBLE && VECTOR_BYTES == 16
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, LOW_2)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, HIGH_2)
#elif REAL_IS_DOUBLE && VECTOR_BYTES == 32 || VECTOR_BYTES == 16
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, LOW_4)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, HIGH_4)
#elif REAL_IS_DOUBLE || VECTOR_BYTES == 32
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, LOW_8)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, HIGH_8)
#else
#define INTERLEAVE_LOW(x, y) SHUFFLE(x, y, LOW_16)
#define INTERLEAVE_HIGH(x, y) SHUFFLE(x, y, HIGH_16)
#endif

/* Returns in lane i < MR the sum over the lanes of x[i]. Each sum has the same order: lane j is
 * added to lane j + V / 2, and so on with half as many lanes. */
INLINE vec NAME(sum_lanes)(vec x[MR]) {
    UNROLL(4)
    for (size_t folded = MR; folded < V; folded *= 2)
        UNROLL(16)
    for (size_t i = 0; i < MR; i++)
        x[i] = INTERLEAVE_LOW(x[i], x[i]) + INTERLEAVE_HIGH(x[i], x[i]);
    UNROLL(4)
    for (size_t n = MR / 2; n; n /= 2)
        UNROLL(8)
    for (size_t i = 0; i < n; i++)
        x[i] = INTERLEAVE_LOW(x[i], x[i + n]) + INTERLEAVE_HIGH(x[i], x[i + n]);
    return x[0];
}

INLINE vec NAME(square_root)(vec x) {
    UNROLL(16) for (size_t lane = 0; lane < V; lane++) x[lane] = SQUARE_ROOT(x[lane]);
    return x;
}

/* the sum over the lanes of x */
INLINE double NAME(sum)(vec x) {
    double sum = 0;
    for (size_t lane = 0; lane < V; lane++)
        sum += (double)x[lane];
    return sum;
}
