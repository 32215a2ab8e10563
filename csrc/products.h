/* The tile product and the kernels built on it: forward, delta, gradient. kernels.h includes this
 * file once for each type. */

/* ------------------------------------------------------------------- the tile product */

/* acc += a b over k, with a (m, k) and b (k, n vectors). Rows of b are V reals apart in panels, or
 * further apart in a row-major matrix. a is read in one of two directions:
 *     ALONG   k runs over the lanes of panels: row stride V, column stride 1, a new panel every V
 *     ACROSS  k runs over the rows of one panel: row stride 1, column stride V */
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

/* The size of the next group if n panels are left: at most NR, the last two groups nearly equal. */
INLINE size_t NAME(panel_group)(size_t n) { return n <= NR ? n : n < 2 * NR ? (n + 1) / 2 : NR; }

/* The number of rows that TILE takes when `left` rows are left. */
INLINE size_t NAME(tile_rows)(size_t left) {
    return left >= MR ? MR : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* Calls tile(m, n, ...) with constants m and n <= NR, where m <= MR is the largest power of two
 * that does not exceed the rows left. */
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
                          const void *w_, size_t w_row, size_t w_panel, const void *bias_, int relu,
                          void *c_, size_t c_panel) {
    const real *a = a_, *w = w_, *bias = bias_;
    real *c = c_;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i;
            TILE(left, n, NAME(forward_tile), k, a + i * V, a_panel, w + p * w_panel, w_row,
                 w_panel, bias + p * V, relu, c + p * c_panel + i * V, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
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

/* Computes n panels of one sample at once. They share its indices and values, and their independent
 * chains of multiply-adds hide memory latency. */
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
                              const void *w, size_t w_panel, const void *bias, void *c,
                              size_t c_panel) {
    CSR_CALL(x, forward_csr, m, n_panels, x, rows, w, w_panel, bias, c, c_panel);
}

static void NAME(gradient_csr)(size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d,
                               void *g) {
    CSR_CALL(x, gradient_csr, k, x, rows, d, g);
}
#undef CSR_CALL

/* ------------------------------------------------------------------------- delta */

INLINE void NAME(delta_tile)(const int m, const int n, const int direction, size_t k, const real *d,
                             size_t d_panel, const real *wt, int factor, const real *h, real *c,
                             size_t c_panel) {
    vec acc[MR][NR];
    FOR_TILE(m, n) acc[i][j] = (vec){0};
    NAME(product)(m, n, direction, k, d, d_panel, wt, V, k * V, acc);
    if (factor == FASTMLP_where_positive)
        FOR_TILE(m, n) {
            const vec output = load(h + (size_t)j * c_panel + (size_t)i * V);
            acc[i][j] = (vec)((ivec)acc[i][j] & (ivec)(output != (vec){0}));
        }
    else if (factor == FASTMLP_times_derivative)
        FOR_TILE(m, n) acc[i][j] *= load(c + (size_t)j * c_panel + (size_t)i * V);
    FOR_TILE(m, n) store(c + (size_t)j * c_panel + (size_t)i * V, acc[i][j]);
}

static void NAME(delta)(size_t m, size_t n_panels, size_t k, const void *d_, size_t d_panel,
                        const void *wt_, int factor, const void *h_, void *c_, size_t c_panel) {
    const real *d = d_, *wt = wt_, *h = h_;
    real *c = c_;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i, at = p * c_panel + i * V;
            TILE(left, n, NAME(delta_tile), ALONG, k, d + i * V, d_panel, wt + p * k * V, factor,
                 h + at, c + at, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
}

static void NAME(delta_narrow)(size_t row, size_t m, size_t n_panels, size_t k, const void *d_,
                               const void *wt_, int factor, const void *h_, void *c_,
                               size_t c_panel) {
    const real *d = d_, *wt = wt_, *h = h_;
    real *c = c_;
    for (size_t p = 0, n; p < n_panels; p += n) {
        n = NAME(panel_group)(n_panels - p);
        for (size_t i = 0; i < m;) {
            const size_t left = m - i, at = p * c_panel + i * V;
            const real *column = d + (row + i) / V * k * V + (row + i) % V;
            TILE(left, n, NAME(delta_tile), ACROSS, k, column, 0, wt + p * k * V, factor, h + at,
                 c + at, c_panel);
            i += NAME(tile_rows)(left);
        }
    }
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
        if (sums) /* here, because these panels of d are in the L1 cache */
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
