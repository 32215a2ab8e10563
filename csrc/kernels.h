/* The bodies of all kernels, each written once, and the table. A stub (isa_*.c) includes this file
 * once for float and once for double, and before each defines
 *     REAL, REAL_IS_DOUBLE    the computing type
 *     NAME(x)                 x with a prefix that is unique to the ISA and type
 *     ISA_NAME, VECTOR_BYTES  the ISA and the width of its registers
 *     MR, NR                  the register tile: MR rows (a power of two, at most V) by NR vectors
 * The contracts are in kernel_list.h.
 */
#ifndef FASTMLP_KERNELS_H
#define FASTMLP_KERNELS_H

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 9
#error "fastmlp needs GCC 9 or newer, or Clang"
#endif
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "fastmlp needs float and double arithmetic without excess precision (on x86: SSE2)"
#endif

#endif

#include "vector.h"
#include "inputs.h"
#include "functions.h"
#include "products.h"
#include "losses.h"
#include "steps.h"
#include "layers.h"
#include "embeddings.h"

/* ------------------------------------------------------------------------- layouts */

/* Transposes a full V x V block in registers, by log2(V) rounds of a perfect shuffle. */
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

/* so that the next type can define them anew */
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
