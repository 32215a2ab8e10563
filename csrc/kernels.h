/* The body of every kernel, written once. A stub (isa_*.c) includes it for float and for double
 * after it has defined
 *     REAL, REAL_IS_DOUBLE   the computing type
 *     NAME(x)                a name of its own for x in this ISA and type
 *     ISA_NAME, VECTOR_BYTES the width of a register
 *     MR, NR                 the register tile: MR rows (a power of two, at most V) by NR vectors
 * The contracts are in fastmlp.h.
 */
#ifndef FASTMLP_KERNELS_H
#define FASTMLP_KERNELS_H

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 9
#error "fastmlp needs GCC 9 or newer, or Clang"
#endif
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "fastmlp needs float and double arithmetic without excess precision (on x86: SSE2)"
#endif

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA(x) _Pragma(#x)

/* lane i of the first vector, lane i of the second, lane i + 1 of the first ... */
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
#else
typedef int32_t ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint32_t NAME(integer);
typedef int32_t NAME(signed_integer);
#endif
/* ------------------------------------------------------------------------- vectors */

INLINE vec NAME(load)(const real *x) { return *(const vec *)x; }
INLINE vec NAME(load_unaligned)(const real *x) { return *(const unaligned_vec *)x; }
INLINE void NAME(store)(real *x, vec v) { *(vec *)x = v; }
INLINE vec NAME(broadcast)(real x) { return x - (vec){0}; }
#define load NAME(load)
#define load_unaligned NAME(load_unaligned)
#define store NAME(store)
#define broadcast NAME(broadcast)

/* max(x, 0) that keeps NaN */
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

/* The sums over the lanes of MR vectors, in the first MR lanes. Each is made in the same order: lane
 * i and lane i + V / 2, and so on with half as many. */
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

#include "functions.h"

#include "products.h"

/* ------------------------------------------------------------------------- moving data */

/* n reals from n sources side by side, n a constant power of two */
#define MOVE(n, source, from, to)                                                                  \
    do {                                                                                           \
        typedef source sources __attribute__((vector_size((n) * sizeof(source))));                 \
        typedef real reals __attribute__((vector_size((n) * sizeof(real))));                       \
        sources values;                                                                            \
        __builtin_memcpy(&values, from, sizeof values);                                            \
        const reals converted = __builtin_convertvector(values, reals);                            \
        __builtin_memcpy(to, &converted, sizeof converted);                                        \
    } while (0)
#define MOVE_PART(n, source)                                                                       \
    if ((n) < V && left & (n)) {                                                                   \
        MOVE(n, source, from, to);                                                                 \
        from += (n) * sizeof(source), to += (n);                                                   \
    }

/* Rows come in random order: while one is moved, the one half a kilobyte later is fetched. */
INLINE void NAME(fetch)(const char *row, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch(row + at);
}

#define GATHER(c, name, source)                                                                    \
    static void NAME(gather_##name)(size_t m, size_t n, const char *x, const intptr_t *rows,       \
                                    ptrdiff_t row_stride, ptrdiff_t column_stride, void *a_,       \
                                    size_t a_panel) {                                              \
        const int contiguous = column_stride == (ptrdiff_t)sizeof(source);                         \
        const size_t ahead = contiguous ? 1 + 512 / (n * sizeof(source)) : 0;                      \
        for (size_t i = 0; i < ahead && i < m; i++)                                                \
            NAME(fetch)(x + rows[i] * row_stride, n * sizeof(source));                             \
        for (size_t i = 0; i < m; i++) {                                                           \
            const char *from = x + rows[i] * row_stride;                                           \
            real *to = (real *)a_ + i * V;                                                         \
            if (!contiguous) {                                                                     \
                for (size_t j = 0; j < n; j++, from += column_stride) {                            \
                    source value;                                                                  \
                    __builtin_memcpy(&value, from, sizeof value);                                  \
                    to[j / V * a_panel + j % V] = (real)value;                                     \
                }                                                                                  \
                continue;                                                                          \
            }                                                                                      \
            const char *later = x + rows[i + ahead < m ? i + ahead : i] * row_stride;              \
            size_t left = n;                                                                       \
            for (; left >= V; left -= V, from += V * sizeof(source), to += a_panel) {              \
                __builtin_prefetch(later);                                                         \
                later += V * sizeof(source);                                                       \
                MOVE(VECTOR_BYTES / sizeof(REAL), source, from, to);                               \
            }                                                                                      \
            __builtin_prefetch(later);                                                             \
            __builtin_prefetch(later + left * sizeof(source));                                     \
            MOVE_PART(8, source)                                                                   \
            MOVE_PART(4, source)                                                                   \
            MOVE_PART(2, source)                                                                   \
            MOVE_PART(1, source)                                                                   \
        }                                                                                          \
    }
FASTMLP_SOURCES(GATHER, _)
#undef GATHER
#undef MOVE
#undef MOVE_PART

/* x - x is zero, or NaN of a NaN or an infinity */
static int NAME(all_finite)(size_t m, size_t n_panels, const void *a_, size_t a_panel) {
    vec even = {0}, odd = {0};
    for (size_t p = 0; p < n_panels; p++) {
        const real *a = (const real *)a_ + p * a_panel;
        size_t i = 0;
        for (; i + 2 <= m; i += 2) {
            even += load(a + i * V) - load(a + i * V);
            odd += load(a + (i + 1) * V) - load(a + (i + 1) * V);
        }
        if (i < m)
            even += load(a + i * V) - load(a + i * V);
    }
    even += odd;
    real sum = 0;
    for (size_t lane = 0; lane < V; lane++)
        sum += even[lane];
    return sum == 0;
}

/* A full V x V block is transposed in registers: log2(V) rounds of a perfect shuffle. */
static void NAME(transpose)(size_t m, size_t n, const void *w_, void *wt_) {
    const real *restrict w = w_;
    real *restrict wt = wt_;
    if (m < V || n < V) {
        for (size_t j = 0; j < n; j++)
            for (size_t i = 0; i < m; i++)
                wt[j * V + i] = w[i * V + j];
        return;
    }
    vec x[VECTOR_BYTES / sizeof(REAL)], y[VECTOR_BYTES / sizeof(REAL)];
    UNROLL(16) for (size_t i = 0; i < V; i++) x[i] = load(w + i * V);
    UNROLL(4) for (size_t step = 1; step < V; step *= 2) {
        UNROLL(8) for (size_t i = 0; i < V / 2; i++) {
            y[2 * i] = INTERLEAVE_LOW(x[i], x[i + V / 2]);
            y[2 * i + 1] = INTERLEAVE_HIGH(x[i], x[i + V / 2]);
        }
        UNROLL(16) for (size_t i = 0; i < V; i++) x[i] = y[i];
    }
    UNROLL(16) for (size_t i = 0; i < V; i++) store(wt + i * V, x[i]);
}

static void NAME(to_columns)(size_t n, const void *c_, size_t c_panel, void *z_) {
    const real *c = c_;
    real *z = z_;
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * MR + i] = c[o / V * c_panel + i * V + o % V];
}

static void NAME(from_columns)(size_t n, const void *z_, void *c_, size_t c_panel) {
    const real *z = z_;
    real *c = c_;
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            c[o / V * c_panel + i * V + o % V] = z[o * MR + i];
    for (size_t o = n; o % V; o++)
        for (size_t i = 0; i < MR; i++)
            c[o / V * c_panel + i * V + o % V] = 0;
}

#include "losses.h"

#include "steps.h"

#include "layers.h"

/* ------------------------------------------------------------------------- the ceiling */

static double NAME(multiply_adds)(size_t n, void *sink) {
    vec acc[12];
    const vec scale = broadcast(R(0.999)), shift = broadcast(R(0.001));
    for (int i = 0; i < 12; i++)
        acc[i] = broadcast((real)i);
    for (size_t r = 0; r < n; r++)
        UNROLL(12) for (int i = 0; i < 12; i++) acc[i] = acc[i] * scale + shift;
    for (int i = 1; i < 12; i++)
        acc[0] += acc[i];
    store(sink, acc[0]);
    return 2.0 * 12.0 * (double)V * (double)n;
}

/* ------------------------------------------------------------------------- the table */

#define ENTRY(kernel, entry, ...) NAME(kernel##_##entry),
#define KERNEL(returns, name, arguments) .name = NAME(name),
#define KERNELS(returns, name, LIST, arguments) .name = {FASTMLP_##LIST(ENTRY, name)},

const fastmlp_kernels NAME(kernels) = {
    .isa = ISA_NAME,
    .real_size = sizeof(real),
    .lanes = V,
    .mr = MR,
    .nr = NR,
#include "kernel_list.h"
};

/* for the next type */
#undef ACROSS
#undef ALONG
#undef CSR_CALL
#undef CSR_KERNELS
#undef CSR_PANELS
#undef ENTRY
#undef EPSILON
#undef SMALLEST
#undef EXPONENT_BIAS
#undef EXP_LIMIT
#undef FOR_TILE
#undef INTERLEAVE_HIGH
#undef INTERLEAVE_LOW
#undef LN2_HIGH
#undef LN2_LOW
#undef LOSS
#undef MANTISSA_BITS
#undef R
#undef ROUNDER
#undef SEPARABLE
#undef SMALLEST_MEAN
#undef SQUARE_ROOT
#undef TANH_LIMIT
#undef TILE
#undef TILE_ROWS
#undef V
#undef broadcast
#undef integer
#undef ivec
#undef load
#undef load_unaligned
#undef real
#undef rectify
#undef store
#undef unaligned_vec
#undef vec
#undef REAL
#undef REAL_IS_DOUBLE
#undef NAME
#undef MR
#undef NR
