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
#else
typedef int32_t ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint32_t NAME(integer);
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

/* ------------------------------------------------------------------- the tile product */

/* acc += a b over k: a's m rows at a row and a column stride, b's n vectors from n panels. b's rows
 * are V apart in panels, or further in a matrix that is read as it lies. Inputs are read along their
 * panel (ALONG: row stride V, column stride 1, a new panel every V columns: the product contracts
 * over lanes) or across it (ACROSS: row stride 1, column stride V: the product contracts over the
 * rows of one panel). */
enum { NAME(ALONG), NAME(ACROSS) };
#define ALONG NAME(ALONG)
#define ACROSS NAME(ACROSS)

INLINE void NAME(multiply_add)(const int m, const int n, const real *a, const size_t row_stride,
                               const real *b, size_t b_panel, vec acc[MR][NR]) {
    vec row[NR];
    UNROLL(8) for (int j = 0; j < n; j++) row[j] = load_unaligned(b + (size_t)j * b_panel);
    UNROLL(16) for (int i = 0; i < m; i++) {
        const vec scalar = broadcast(a[(size_t)i * row_stride]);
        UNROLL(8) for (int j = 0; j < n; j++) acc[i][j] += scalar * row[j];
    }
}

INLINE void NAME(product)(const int m, const int n, const int direction, size_t k, const real *a,
                          size_t a_panel, const real *b, size_t b_row, size_t b_panel,
                          vec acc[MR][NR]) {
    if (direction == ACROSS) {
        for (; k; k--, a += V, b += b_row)
            NAME(multiply_add)(m, n, a, 1, b, b_panel, acc);
        return;
    }
    for (; k >= V; k -= V, a += a_panel)
        ROLLED for (size_t lane = 0; lane < V; lane++, b += b_row)
            NAME(multiply_add)(m, n, a + lane, V, b, b_panel, acc);
    ROLLED for (size_t lane = 0; lane < k; lane++, b += b_row)
        NAME(multiply_add)(m, n, a + lane, V, b, b_panel, acc);
}

/* Cuts n panels into groups of at most NR, as even as can be at the end. */
INLINE size_t NAME(panel_group)(size_t n) { return n <= NR ? n : n < 2 * NR ? (n + 1) / 2 : NR; }

INLINE size_t NAME(tile_rows)(size_t left) {
    return left >= MR ? MR : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* Calls tile(m, n, ...) with constants: the largest power of two m <= MR that the rows left fill,
 * and n <= NR. */
#define TILE_ROWS(n, rows, tile, ...)                                                              \
    (MR > 4 && (rows) >= 8   ? tile((MR > 4 ? 8 : 1), n, __VA_ARGS__)                              \
     : MR > 2 && (rows) >= 4 ? tile((MR > 2 ? 4 : 1), n, __VA_ARGS__)                              \
     : (rows) >= 2           ? tile(2, n, __VA_ARGS__)                                             \
                             : tile(1, n, __VA_ARGS__))
#define TILE(rows, n, tile, ...)                                                                   \
    (NR > 3 && (n) == 4   ? TILE_ROWS((NR > 3 ? 4 : 1), rows, tile, __VA_ARGS__)                   \
     : NR > 2 && (n) == 3 ? TILE_ROWS((NR > 2 ? 3 : 1), rows, tile, __VA_ARGS__)                   \
     : (n) == 2           ? TILE_ROWS(2, rows, tile, __VA_ARGS__)                                  \
                          : TILE_ROWS(1, rows, tile, __VA_ARGS__))

#define FOR_TILE(m, n)                                                                             \
    UNROLL(16) for (int i = 0; i < (m); i++) UNROLL(8) for (int j = 0; j < (n); j++)

/* -------------------------------------------------------------------- elementary functions */

/* Scalar and free of branches, so that loops over a multiple of V elements become vector code. */

#if REAL_IS_DOUBLE
#define ROUNDER 0x1.8p52 /* x + ROUNDER holds round(x) in its low bits */
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define LN2_HIGH 0x1.62e42feep-1 /* 32 bits: k * LN2_HIGH is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33
#define EXP_LIMIT 800.0
#define TANH_LIMIT 44.0
#define SQUARE_ROOT __builtin_sqrt
#define EPSILON DBL_EPSILON
#define SMALLEST DBL_MIN /* that is not flushed to zero */
#else
#define ROUNDER 0x1.8p23f
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define LN2_HIGH 0x1.63p-1f
#define LN2_LOW -0x1.bd0106p-13f
#define EXP_LIMIT 120.0f
#define TANH_LIMIT 20.0f
#define SQUARE_ROOT __builtin_sqrtf
#define EPSILON FLT_EPSILON
#define SMALLEST FLT_MIN
#endif
#define R(x) ((real)(x))

INLINE integer NAME(bits)(real x) {
    integer i;
    __builtin_memcpy(&i, &x, sizeof i);
    return i;
}
INLINE real NAME(from_bits)(integer i) {
    real x;
    __builtin_memcpy(&x, &i, sizeof x);
    return x;
}
/* 2^k for a whole number k in the normal range */
INLINE real NAME(power_of_two)(real k) {
    return NAME(from_bits)((NAME(bits)(k + ROUNDER) + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* x = k ln 2 + r, |r| <= ln(2)/2; returns exp(r) - 1 - r by its Taylor series (to degree 13 or 7:
 * under a tenth of an ulp). */
INLINE real NAME(reduced_exp)(real x, real *k, real *r_) {
    *k = (x * R(1.4426950408889634) + ROUNDER) - ROUNDER;
    const real r = (x - *k * LN2_HIGH) - *k * LN2_LOW;
#if REAL_IS_DOUBLE
    real p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
#else
    real p = 1.0f / 5040;
#endif
    p = p * r + R(1.0 / 720);
    p = p * r + R(1.0 / 120);
    p = p * r + R(1.0 / 24);
    p = p * r + R(1.0 / 6);
    p = p * r + R(0.5);
    *r_ = r;
    return r * r * p;
}

INLINE real NAME(exp)(real x) {
    x = x > EXP_LIMIT ? EXP_LIMIT : x;
    x = x < -EXP_LIMIT ? -EXP_LIMIT : x;
    real k, r;
    const real tail = NAME(reduced_exp)(x, &k, &r);
    const real p = R(1) + (r + tail);
    /* two factors, for 2^k itself may be out of range where the result is not */
    const real half = (k * R(0.5) + ROUNDER) - ROUNDER;
    return p * NAME(power_of_two)(half) * NAME(power_of_two)(k - half);
}

/* tanh(x) = e / (e + 2) with e = exp(2|x|) - 1, which keeps its digits near zero */
INLINE real NAME(tanh)(real x) {
    real y = __builtin_fabs(x) * 2;
    y = y > TANH_LIMIT ? TANH_LIMIT : y;
    real k, r;
    const real tail = NAME(reduced_exp)(y, &k, &r);
    const real scale = NAME(power_of_two)(k);
    const real e = (scale * r + (scale - R(1))) + scale * tail;
    const real s = e + R(2), lost = e < R(2) ? e - (s - R(2)) : R(2) - (s - e), q = e / s;
    return __builtin_copysign(q - q * lost * (R(0.5) * (R(1) - q)), x); /* (1 - q) / 2 = 1 / s */
}

INLINE real NAME(logistic)(real x) {
    const real e = NAME(exp)(-R(__builtin_fabs(x)));
    return (x < 0 ? e : R(1)) / (R(1) + e);
}

/* log of NaN or of a positive, normal, finite x = 2^k m, sqrt(1/2) <= m < sqrt(2), by the series of
 * log((1 + s) / (1 - s)), s = (m - 1) / (m + 1) */
INLINE real NAME(log)(real x) {
    const integer one = NAME(bits)(R(1)), low = NAME(bits)(R(0.70710678118654752));
    const integer offset = NAME(bits)(x) - low + one; /* exponent: that of x / sqrt(1/2) */
    const integer exponent = (offset >> MANTISSA_BITS) & (2 * EXPONENT_BIAS + 1);
    const real k = NAME(from_bits)(exponent + NAME(bits)(ROUNDER)) - (ROUNDER + EXPONENT_BIAS);
    const real m = NAME(from_bits)(NAME(bits)(x) - ((exponent - EXPONENT_BIAS) << MANTISSA_BITS));
    const real f = m - R(1), s = f / (f + R(2)), z = s * s;
#if REAL_IS_DOUBLE
    real p = 2.0 / 21;
    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
#else
    real p = 2.0f / 11;
#endif
    p = p * z + R(2.0 / 9);
    p = p * z + R(2.0 / 7);
    p = p * z + R(2.0 / 5);
    p = p * z + R(2.0 / 3);
    const real half_square = R(0.5) * f * f;
    const real log = k * LN2_HIGH - ((half_square - (s * (half_square + p * z) + k * LN2_LOW)) - f);
    return x == x ? log : x;
}

static void NAME(exponential)(size_t count, void *x_) {
    real *x = x_;
    for (size_t i = 0; i < count; i++)
        x[i] = NAME(exp)(x[i]);
}
static void NAME(logarithm)(size_t count, void *x_) {
    real *x = x_;
    for (size_t i = 0; i < count; i++)
        x[i] = NAME(log)(x[i]);
}

/* ------------------------------------------------------------------------- activations */

static void NAME(identity_activation)(size_t count, void *h) { (void)count, (void)h; }
static void NAME(identity_derivative)(size_t count, const void *h, void *d) {
    (void)count, (void)h, (void)d;
}
static void NAME(logistic_activation)(size_t count, void *h_) {
    real *h = h_;
    for (size_t i = 0; i < count; i++)
        h[i] = NAME(logistic)(h[i]);
}
static void NAME(logistic_derivative)(size_t count, const void *h_, void *d_) {
    const real *restrict h = h_;
    real *restrict d = d_;
    for (size_t i = 0; i < count; i++)
        d[i] *= h[i] * (R(1) - h[i]);
}
static void NAME(tanh_activation)(size_t count, void *h_) {
    real *h = h_;
    for (size_t i = 0; i < count; i++)
        h[i] = NAME(tanh)(h[i]);
}
static void NAME(tanh_derivative)(size_t count, const void *h_, void *d_) {
    const real *restrict h = h_;
    real *restrict d = d_;
    for (size_t i = 0; i < count; i++)
        d[i] *= R(1) - h[i] * h[i];
}
static void NAME(relu_activation)(size_t count, void *h_) {
    real *h = h_;
    for (size_t i = 0; i < count; i += V)
        store(h + i, rectify(load(h + i)));
}
static void NAME(relu_derivative)(size_t count, const void *h_, void *d_) {
    const real *restrict h = h_;
    real *restrict d = d_;
    for (size_t i = 0; i < count; i += V)
        store(d + i, (vec)((ivec)load(d + i) & (ivec)(load(h + i) != (vec){0})));
}

extern const fastmlp_kernels NAME(kernels);

/* relu is applied where the tile leaves the registers; the others follow, a panel at a time */
static void NAME(activate)(size_t m, size_t n_panels, int activation, real *c, size_t c_panel) {
    if (activation == FASTMLP_identity || activation == FASTMLP_relu)
        return;
    for (size_t p = 0; p < n_panels; p++)
        NAME(kernels).activation[activation](m * V, c + p * c_panel);
}

/* ------------------------------------------------------------------------- forward */

INLINE void NAME(forward_tile)(const int m, const int n, size_t k, const real *a, size_t a_panel,
                               const real *w, size_t w_row, size_t w_panel, const real *bias,
                               int relu, real *c, size_t c_panel) {
    vec acc[MR][NR];
    FOR_TILE(m, n) acc[i][j] = load(bias + (size_t)j * V);
    NAME(product)(m, n, ALONG, k, a, a_panel, w, w_row, w_panel, acc);
    if (relu)
        FOR_TILE(m, n) acc[i][j] = rectify(acc[i][j]);
    FOR_TILE(m, n) store(c + (size_t)j * c_panel + (size_t)i * V, acc[i][j]);
}

static void NAME(forward)(size_t m, size_t n_panels, size_t k, const void *a_, size_t a_panel,
                          const void *w_, size_t w_row, size_t w_panel, const void *bias_,
                          int activation, void *c_, size_t c_panel) {
    const real *a = a_, *w = w_, *bias = bias_;
    real *c = c_;
    const int relu = activation == FASTMLP_relu;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i;
            TILE(left, n, NAME(forward_tile), k, a + i * V, a_panel, w + p * w_panel, w_row,
                 w_panel, bias + p * V, relu, c + p * c_panel + i * V, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
    NAME(activate)(m, n_panels, activation, c, c_panel);
}

static void NAME(forward_narrow)(size_t row, size_t m, size_t n, size_t k, const void *a_,
                                 size_t a_panel, const void *w_, const void *bias_, void *z_) {
    const real *a = a_, *w = w_, *bias = bias_;
    real *z = z_;
    const size_t k_panels = (k + V - 1) / V;
    for (size_t i = 0; i < m; i += MR) {
        real *column = z + (row + i) / V * n * V + (row + i) % V;
        for (size_t o = 0; o < n; o++) {
            vec acc[MR];
            UNROLL(16) for (size_t r = 0; r < MR; r++) acc[r] = (vec){0};
            for (size_t p = 0; p < k_panels; p++) {
                const vec weights = load(w + (p * n + o) * V);
                UNROLL(16)
                for (size_t r = 0; r < MR; r++)
                    acc[r] += weights * load(a + p * a_panel + (i + r) * V);
            }
            const vec sums = NAME(sum_lanes)(acc) + broadcast(bias[o]);
            __builtin_memcpy(column + o * V, &sums, MR * sizeof(real));
        }
    }
}

/* n panels of one sample's row at once: they share its indices and values, and a chain of
 * multiply-adds each hides the others' way from memory */
#define CSR_PANELS(n, row, ...)                                                                    \
    ((n) == 8   ? row(8, __VA_ARGS__)                                                              \
     : (n) == 4 ? row(4, __VA_ARGS__)                                                              \
     : (n) == 2 ? row(2, __VA_ARGS__)                                                              \
                : row(1, __VA_ARGS__))
#define CSR_KERNELS(suffix, index_type, data_type)                                                 \
    INLINE void NAME(forward_csr_row_##suffix)(                                                    \
        const int n, size_t count, const index_type *indices, const data_type *data,               \
        const real *w, size_t w_panel, const real *bias, real *c, size_t c_panel) {                \
        vec acc[8];                                                                                \
        UNROLL(8) for (int j = 0; j < n; j++) acc[j] = load(bias + (size_t)j * V);                 \
        for (size_t t = 0; t < count; t++) {                                                       \
            const real *row = w + (size_t)indices[t] * V;                                          \
            const vec scalar = broadcast((real)data[t]);                                           \
            UNROLL(8)                                                                              \
            for (int j = 0; j < n; j++)                                                            \
                acc[j] += scalar * load(row + (size_t)j * w_panel);                                \
        }                                                                                          \
        UNROLL(8) for (int j = 0; j < n; j++) store(c + (size_t)j * c_panel, acc[j]);              \
    }                                                                                              \
    static void NAME(forward_csr_##suffix)(size_t m, size_t n_panels, const fastmlp_csr *x,        \
                                           const intptr_t *rows, const real *w, size_t w_panel,    \
                                           const real *bias, real *c, size_t c_panel) {            \
        for (size_t i = 0; i < m; i++) {                                                           \
            const int64_t begin = x->indptr[rows[i]];                                              \
            const size_t count = (size_t)(x->indptr[rows[i] + 1] - begin);                         \
            const index_type *indices = (const index_type *)x->indices + begin;                    \
            const data_type *data = (const data_type *)x->data + begin;                            \
            for (size_t p = 0, n; p < n_panels; p += n) {                                          \
                const size_t left = n_panels - p;                                                  \
                n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;                             \
                CSR_PANELS(n, NAME(forward_csr_row_##suffix), count, indices, data,                \
                           w + p * w_panel, w_panel, bias + p * V, c + p * c_panel + i * V,        \
                           c_panel);                                                               \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void NAME(gradient_csr_##suffix)(size_t k, const fastmlp_csr *x, const intptr_t *rows,  \
                                            const real *restrict d, real *restrict g) {            \
        const index_type *indices = x->indices;                                                    \
        const data_type *data = x->data;                                                           \
        for (size_t r = 0; r < k; r++) {                                                           \
            const vec delta = load(d + r * V);                                                     \
            for (int64_t t = x->indptr[rows[r]]; t < x->indptr[rows[r] + 1]; t++) {                \
                real *row = g + (size_t)indices[t] * V;                                            \
                store(row, load(row) + broadcast((real)data[t]) * delta);                          \
            }                                                                                      \
        }                                                                                          \
    }
CSR_KERNELS(i4f4, int32_t, float)
CSR_KERNELS(i4f8, int32_t, double)
CSR_KERNELS(i8f4, int64_t, float)
CSR_KERNELS(i8f8, int64_t, double)
#undef CSR_KERNELS
#undef CSR_PANELS

#define CSR_CALL(x, kernel, ...)                                                                   \
    ((x)->wide_indices                                                                             \
         ? (x)->double_data ? NAME(kernel##_i8f8)(__VA_ARGS__) : NAME(kernel##_i8f4)(__VA_ARGS__)  \
     : (x)->double_data ? NAME(kernel##_i4f8)(__VA_ARGS__)                                         \
                        : NAME(kernel##_i4f4)(__VA_ARGS__))

static void NAME(forward_csr)(size_t m, size_t n_panels, const fastmlp_csr *x, const intptr_t *rows,
                              const void *w, size_t w_panel, const void *bias, int activation,
                              void *c, size_t c_panel) {
    CSR_CALL(x, forward_csr, m, n_panels, x, rows, w, w_panel, bias, c, c_panel);
    for (size_t p = 0; p < n_panels; p++)
        NAME(kernels).activation[activation](m * V, (real *)c + p * c_panel);
}

static void NAME(gradient_csr)(size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d,
                               void *g) {
    CSR_CALL(x, gradient_csr, k, x, rows, d, g);
}
#undef CSR_CALL

/* ------------------------------------------------------------------------- delta */

INLINE void NAME(delta_tile)(const int m, const int n, const int direction, size_t k, const real *d,
                             size_t d_panel, const real *wt, int relu, const real *h, real *c,
                             size_t c_panel) {
    vec acc[MR][NR];
    FOR_TILE(m, n) acc[i][j] = (vec){0};
    NAME(product)(m, n, direction, k, d, d_panel, wt, V, k * V, acc);
    if (relu)
        FOR_TILE(m, n) {
            const vec output = load(h + (size_t)j * c_panel + (size_t)i * V);
            acc[i][j] = (vec)((ivec)acc[i][j] & (ivec)(output != (vec){0}));
        }
    FOR_TILE(m, n) store(c + (size_t)j * c_panel + (size_t)i * V, acc[i][j]);
}

static void NAME(differentiate)(size_t m, size_t n_panels, int activation, const real *h, real *c,
                                size_t c_panel) {
    if (activation == FASTMLP_identity || activation == FASTMLP_relu)
        return;
    for (size_t p = 0; p < n_panels; p++)
        NAME(kernels).derivative[activation](m * V, h + p * c_panel, c + p * c_panel);
}

static void NAME(delta)(size_t m, size_t n_panels, size_t k, const void *d_, size_t d_panel,
                        const void *wt_, int activation, const void *h_, void *c_, size_t c_panel) {
    const real *d = d_, *wt = wt_, *h = h_;
    real *c = c_;
    const int relu = activation == FASTMLP_relu;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i, at = p * c_panel + i * V;
            TILE(left, n, NAME(delta_tile), ALONG, k, d + i * V, d_panel, wt + p * k * V, relu,
                 h + at, c + at, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
    NAME(differentiate)(m, n_panels, activation, h, c, c_panel);
}

static void NAME(delta_narrow)(size_t row, size_t m, size_t n_panels, size_t k, const void *d_,
                               const void *wt_, int activation, const void *h_, void *c_,
                               size_t c_panel) {
    const real *d = d_, *wt = wt_, *h = h_;
    real *c = c_;
    const int relu = activation == FASTMLP_relu;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i, at = p * c_panel + i * V;
            const real *column = d + (row + i) / V * k * V + (row + i) % V;
            TILE(left, n, NAME(delta_tile), ACROSS, k, column, 0, wt + p * k * V, relu, h + at,
                 c + at, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
    NAME(differentiate)(m, n_panels, activation, h, c, c_panel);
}

/* ------------------------------------------------------------------------- gradient */

INLINE void NAME(gradient_tile)(const int m, const int n, const int direction, size_t k,
                                const real *a, size_t a_panel, const real *d, size_t d_panel,
                                int accumulate, real *g, size_t g_panel) {
    vec acc[MR][NR];
    if (accumulate)
        FOR_TILE(m, n) acc[i][j] = load(g + (size_t)j * g_panel + (size_t)i * V);
    else
        FOR_TILE(m, n) acc[i][j] = (vec){0};
    NAME(product)(m, n, direction, k, a, a_panel, d, V, d_panel, acc);
    FOR_TILE(m, n) store(g + (size_t)j * g_panel + (size_t)i * V, acc[i][j]);
}

static void NAME(column_sums)(size_t n_panels, size_t k, const void *d_, size_t d_panel,
                              int accumulate, void *g_) {
    real *g = g_;
    for (size_t p = 0; p < n_panels; p++) {
        const real *d = (const real *)d_ + p * d_panel;
        vec even = accumulate ? load(g + p * V) : (vec){0}, odd = {0};
        size_t r = 0;
        for (; r + 2 <= k; r += 2)
            even += load(d + r * V), odd += load(d + (r + 1) * V);
        if (r < k)
            even += load(d + r * V);
        store(g + p * V, even + odd);
    }
}

static void NAME(gradient)(size_t m, size_t n_panels, size_t k, const void *a_, size_t a_panel,
                           const void *d_, size_t d_panel, int accumulate, void *g_, size_t g_panel,
                           void *sums) {
    const real *a = a_, *d = d_;
    real *g = g_;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i;
            TILE(left, n, NAME(gradient_tile), ACROSS, k, a + i / V * a_panel + i % V, 0,
                 d + p * d_panel, d_panel, accumulate, g + p * g_panel + i * V, g_panel);
            i += NAME(tile_rows)(left);
        }
        if (sums) /* while these panels of d are in the first cache */
            NAME(column_sums)(n, k, d + p * d_panel, d_panel, accumulate, (real *)sums + p * V);
    }
}

static void NAME(gradient_narrow)(size_t m, size_t width, size_t n_panels, size_t k, const void *a_,
                                  const void *d_, size_t d_panel, int accumulate, void *g_,
                                  size_t g_panel) {
    const real *a = a_, *d = d_;
    real *g = g_;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i;
            TILE(left, n, NAME(gradient_tile), ALONG, k, a + i * V, width * V, d + p * d_panel,
                 d_panel, accumulate, g + p * g_panel + i * V, g_panel);
            i += NAME(tile_rows)(left);
        }
    }
}

static void NAME(column_sums_narrow)(size_t n, size_t k, const void *d_, int accumulate, void *g_) {
    const real *d = d_;
    real *g = g_;
    for (size_t o = 0; o < n; o++) {
        real sum = accumulate ? g[o] : 0;
        vec sums = {0};
        for (size_t r = 0; r + V <= k; r += V)
            sums += load(d + r * n + o * V);
        for (size_t lane = 0; lane < V; lane++)
            sum += sums[lane];
        for (size_t lane = 0; lane < k % V; lane++)
            sum += d[(k - k % V) * n + o * V + lane];
        g[o] = sum;
    }
}

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

#define GATHER(name, source)                                                                       \
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
FASTMLP_SOURCES(GATHER)
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

/* ------------------------------------------------------------------------- outputs and losses */

static void NAME(identity_output)(size_t n, void *z, size_t ldz) { (void)n, (void)z, (void)ldz; }
static void NAME(exp_output)(size_t n, void *z_, size_t ldz) {
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            z[i] = NAME(exp)(z[i]);
    }
}
static void NAME(logistic_output)(size_t n, void *z_, size_t ldz) {
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            z[i] = NAME(logistic)(z[i]);
    }
}
static void NAME(softmax_output)(size_t n, void *z_, size_t ldz) {
    real *z = z_;
    real largest[MR], sum[MR];
    for (size_t i = 0; i < MR; i++)
        largest[i] = z[i], sum[i] = 0;
    for (size_t o = 1; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            largest[i] = z[o * ldz + i] > largest[i] ? z[o * ldz + i] : largest[i];
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++) {
            const real e = NAME(exp)(z[o * ldz + i] - largest[i]);
            z[o * ldz + i] = e;
            sum[i] += e;
        }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * ldz + i] /= sum[i];
}

/* Rows beyond m repeat the first with weight zero. */
INLINE void NAME(row_weights)(size_t m, const intptr_t *rows, const double *weights, intptr_t *row,
                              real *weight) {
    for (size_t i = 0; i < MR; i++) {
        row[i] = rows[i < m ? i : 0];
        weight[i] = i < m ? (weights ? (real)weights[row[i]] : R(1)) : R(0);
    }
}
INLINE double NAME(total)(size_t m, const real *loss, const real *weight) {
    double sum = 0;
    for (size_t i = 0; i < m; i++)
        sum += (double)loss[i] * (double)weight[i];
    return sum;
}

static double NAME(squared_error)(size_t m, size_t n, void *z_, size_t ldz, const void *y_,
                                  const intptr_t *rows, const double *weights) {
    const real *y = y_;
    intptr_t row[MR];
    real weight[MR], loss[MR] = {0}, target[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            target[i] = y[(size_t)row[i] * n + o];
        for (size_t i = 0; i < MR; i++) {
            const real d = z[i] - target[i];
            loss[i] += d * d;
            z[i] = d * weight[i];
        }
    }
    return 0.5 / (double)n * NAME(total)(m, loss, weight);
}

/* half the deviance, y log(y / exp(z)) - y + exp(z), with y log(y) = 0 at 0 */
static double NAME(poisson)(size_t m, size_t n, void *z_, size_t ldz, const void *y_,
                            const intptr_t *rows, const double *weights) {
    const real *y = y_;
    intptr_t row[MR];
    real weight[MR], loss[MR] = {0}, target[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            target[i] = y[(size_t)row[i] * n + o];
        for (size_t i = 0; i < MR; i++) {
            const real mean = NAME(exp)(z[i]), t = target[i];
            loss[i] += (t > 0 ? t * (NAME(log)(t) - z[i]) : R(0)) - t + mean;
            z[i] = (mean - t) * weight[i];
        }
    }
    return NAME(total)(m, loss, weight);
}

INLINE real NAME(clip_probability)(real p) {
    p = p < EPSILON ? EPSILON : p;
    return p > R(1) - EPSILON ? R(1) - EPSILON : p;
}

static double NAME(log_loss)(size_t m, size_t n, void *z_, size_t ldz, const void *y_,
                             const intptr_t *rows, const double *weights) {
    const int32_t *y = y_;
    real *z = z_;
    intptr_t row[MR];
    real weight[MR], loss[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    NAME(softmax_output)(n, z, ldz);
    for (size_t i = 0; i < MR; i++) {
        real *p = z + (size_t)y[row[i]] * ldz + i;
        loss[i] = NAME(clip_probability)(*p);
        *p -= R(1);
    }
    for (size_t i = 0; i < MR; i++)
        loss[i] = -NAME(log)(loss[i]);
    if (weights)
        for (size_t o = 0; o < n; o++)
            for (size_t i = 0; i < MR; i++)
                z[o * ldz + i] *= weight[i];
    return NAME(total)(m, loss, weight);
}

static double NAME(binary_log_loss)(size_t m, size_t n, void *z_, size_t ldz, const void *y_,
                                    const intptr_t *rows, const double *weights) {
    const uint8_t *y = y_;
    intptr_t row[MR];
    real weight[MR], loss[MR] = {0}, target[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            target[i] = y[(size_t)row[i] * n + o];
        for (size_t i = 0; i < MR; i++) {
            const real p = NAME(logistic)(z[i]), t = target[i];
            const real clipped = NAME(clip_probability)(p);
            loss[i] -= NAME(log)(t != 0 ? clipped : R(1) - clipped);
            z[i] = (p - t) * weight[i];
        }
    }
    return NAME(total)(m, loss, weight);
}

/* ------------------------------------------------------------------------- steps */

INLINE vec NAME(square_root)(vec x) {
    UNROLL(16) for (size_t lane = 0; lane < V; lane++) x[lane] = SQUARE_ROOT(x[lane]);
    return x;
}

INLINE double NAME(sum)(vec x) {
    double sum = 0;
    for (size_t lane = 0; lane < V; lane++)
        sum += (double)x[lane];
    return sum;
}

static void NAME(sum_arrays)(size_t count, size_t n, const void *x_, size_t distance, void *out_) {
    const real *x = x_;
    real *out = out_;
    for (size_t i = 0; i < count; i += V) {
        vec sum = load(x + i);
        for (size_t a = 1; a < n; a++)
            sum += load(x + a * distance + i);
        store(out + i, sum);
    }
}

static double NAME(sgd)(size_t count, const fastmlp_step *step, double l2, const void *g_, void *w_,
                        void *velocity_, void *unused) {
    (void)unused;
    const real *g = g_;
    real *w = w_, *velocity = velocity_;
    const real decay = (real)l2, scale = (real)step->scale, rate = (real)step->learning_rate,
               momentum = (real)step->momentum;
    const real look_ahead = step->nesterov != 0 ? momentum : 1, own = step->nesterov != 0 ? 1 : 0;
    vec squares = {0};
    for (size_t i = 0; i < count; i += V) {
        const vec x = load(w + i), move = rate * ((load(g + i) + decay * x) * scale);
        const vec speed = momentum * load(velocity + i) - move;
        store(velocity + i, speed);
        store(w + i, x + (look_ahead * speed - own * move));
        squares += x * x;
    }
    return NAME(sum)(squares);
}

/* Kingma and Ba, "Adam: a method for stochastic optimization" (2014) */
static double NAME(adam)(size_t count, const fastmlp_step *step, double l2, const void *g_,
                         void *w_, void *m_, void *v_) {
    const real *g = g_;
    real *w = w_, *m = m_, *v = v_;
    const real decay = (real)l2, scale = (real)step->scale, rate = (real)step->learning_rate,
               epsilon = (real)(step->epsilon > SMALLEST ? step->epsilon : SMALLEST);
    const real keep_m = (real)step->beta_1, new_m = (real)(1 - step->beta_1);
    const real keep_v = (real)step->beta_2, new_v = (real)(1 - step->beta_2);
    vec squares = {0};
    for (size_t i = 0; i < count; i += V) {
        const vec x = load(w + i), gradient = (load(g + i) + decay * x) * scale;
        const vec first = keep_m * load(m + i) + new_m * gradient;
        const vec second = keep_v * load(v + i) + new_v * (gradient * gradient);
        store(m + i, first), store(v + i, second);
        store(w + i, x - rate * first / (NAME(square_root)(second) + epsilon));
        squares += x * x;
    }
    return NAME(sum)(squares);
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

#define GATHER_ENTRY(name, type) [FASTMLP_##name] = NAME(gather_##name),
#define ACTIVATION_ENTRY(name) [FASTMLP_##name] = NAME(name##_activation),
#define DERIVATIVE_ENTRY(name) [FASTMLP_##name] = NAME(name##_derivative),
#define OUTPUT_ENTRY(name, output) [FASTMLP_##name] = NAME(output##_output),
#define LOSS_ENTRY(name, output) [FASTMLP_##name] = NAME(name),
#define STEP_ENTRY(name, slots) [FASTMLP_##name] = NAME(name),

const fastmlp_kernels NAME(kernels) = {
    .isa = ISA_NAME,
    .real_size = sizeof(real),
    .lanes = V,
    .mr = MR,
    .nr = NR,
    .gather = {FASTMLP_SOURCES(GATHER_ENTRY)},
    .all_finite = NAME(all_finite),
    .forward = NAME(forward),
    .forward_csr = NAME(forward_csr),
    .forward_narrow = NAME(forward_narrow),
    .delta = NAME(delta),
    .delta_narrow = NAME(delta_narrow),
    .gradient = NAME(gradient),
    .gradient_narrow = NAME(gradient_narrow),
    .gradient_csr = NAME(gradient_csr),
    .column_sums = NAME(column_sums),
    .column_sums_narrow = NAME(column_sums_narrow),
    .transpose = NAME(transpose),
    .to_columns = NAME(to_columns),
    .from_columns = NAME(from_columns),
    .activation = {FASTMLP_ACTIVATIONS(ACTIVATION_ENTRY)},
    .derivative = {FASTMLP_ACTIVATIONS(DERIVATIVE_ENTRY)},
    .output = {FASTMLP_LOSSES(OUTPUT_ENTRY)},
    .loss = {FASTMLP_LOSSES(LOSS_ENTRY)},
    .step = {FASTMLP_OPTIMIZERS(STEP_ENTRY)},
    .sum_arrays = NAME(sum_arrays),
    .exponential = NAME(exponential),
    .logarithm = NAME(logarithm),
    .multiply_adds = NAME(multiply_adds),
};

/* for the next type */
#undef ACROSS
#undef ACTIVATION_ENTRY
#undef ALONG
#undef CSR_CALL
#undef CSR_KERNELS
#undef CSR_PANELS
#undef DERIVATIVE_ENTRY
#undef EPSILON
#undef SMALLEST
#undef EXPONENT_BIAS
#undef EXP_LIMIT
#undef FOR_TILE
#undef GATHER_ENTRY
#undef INTERLEAVE_HIGH
#undef INTERLEAVE_LOW
#undef LN2_HIGH
#undef LN2_LOW
#undef LOSS_ENTRY
#undef MANTISSA_BITS
#undef OUTPUT_ENTRY
#undef R
#undef ROUNDER
#undef SQUARE_ROOT
#undef STEP_ENTRY
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
