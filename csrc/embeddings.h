/* The embeddings of a table's columns. kernels.h includes this file once for each type.
 *
 * A vector holds V rows here: e[u][r] is unit u of row r. Rows beyond the last one are computed too,
 * from zeros, and are not written. */

typedef real NAME(rows_of_units)[FASTMLP_MAX_UNITS * (VECTOR_BYTES / sizeof(REAL))];
#define FOR_ROWS for (size_t r = 0; r < V; r++)
#define TWO_PI R(6.283185307179586476925286766559)

/* sin(2 pi u) for |u| <= 1/2: folded to a quarter turn, then its Taylor series */
INLINE real NAME(sine_of_turn)(real u) {
    u = u > R(0.25) ? R(0.5) - u : u;
    u = u < R(-0.25) ? R(-0.5) - u : u;
    const real z = u * TWO_PI, s = z * z;
#if REAL_IS_DOUBLE
    real p = 1.0 / 51090942171709440000.0;
    p = p * s - 1.0 / 121645100408832000.0;
    p = p * s + 1.0 / 355687428096000.0;
    p = p * s - 1.0 / 1307674368000.0;
    p = p * s + 1.0 / 6227020800.0;
    p = p * s - 1.0 / 39916800.0;
#else
    real p = -1.0f / 39916800.0f;
#endif
    p = p * s + R(1.0 / 362880);
    p = p * s - R(1.0 / 5040);
    p = p * s + R(1.0 / 120);
    p = p * s - R(1.0 / 6);
    return z + z * (s * p);
}

/* cos(2 pi u), and sin(2 pi u) in *sine */
INLINE real NAME(cosine_of_turns)(real u, real *sine) {
    u -= (u + ROUNDER) - ROUNDER;
    const real ahead = u + R(0.25);
    *sine = NAME(sine_of_turn)(u);
    return NAME(sine_of_turn)(ahead > R(0.5) ? ahead - R(1) : ahead);
}

/* What V rows have in a column: numbers, or codes. */
typedef struct {
    real x[VECTOR_BYTES / sizeof(REAL)];
    size_t code[VECTOR_BYTES / sizeof(REAL)];
} NAME(cells);

INLINE void NAME(read_numbers)(size_t n, const fastmlp_column *column, const fastmlp_table *table,
                               const intptr_t *rows, NAME(cells) * cells) {
    const real *values = (const real *)table->values + column->source;
    FOR_ROWS cells->x[r] = r < n ? values[(size_t)rows[r] * table->n_values] : 0;
}

INLINE void NAME(read_codes)(size_t n, const fastmlp_column *column, const fastmlp_table *table,
                             const intptr_t *rows, NAME(cells) * cells) {
    for (size_t r = 0; r < n; r++) {
        const size_t at = (size_t)rows[r] * table->n_codes + column->source;
        switch (table->code_bytes) {
        case 1:
            cells->code[r] = ((const uint8_t *)table->codes)[at];
            break;
        case 2:
            cells->code[r] = ((const uint16_t *)table->codes)[at];
            break;
        default:
            cells->code[r] = (size_t)((const int32_t *)table->codes)[at];
        }
    }
    for (size_t r = n; r < V; r++)
        cells->code[r] = 0;
}

/* Each embedding has two functions: units computes e from the cells; sums adds the products of
 * deltas and derivatives to the sums, V rows apart, of its trained arrays. The formulas are in
 * kernel_list.h. */
#define UNITS(name)                                                                                \
    INLINE void NAME(name##_units)(const fastmlp_column *column, const real *p,                    \
                                   const NAME(cells) * cells, real *restrict e)
#define SUMS(name)                                                                                 \
    INLINE void NAME(name##_sums)(size_t n_rows, const fastmlp_column *column, const real *p,      \
                                  const NAME(cells) * cells, const real *e, const real *d,         \
                                  real *restrict sums, real *table_g)
#define UNUSED_SUMS                                                                                \
    (void)n_rows, (void)column, (void)p, (void)cells, (void)e, (void)d, (void)sums, (void)table_g
#define UNUSED(x) (void)(x)

UNITS(number) {
    UNUSED(column), UNUSED(p);
    FOR_ROWS e[r] = cells->x[r];
}
SUMS(number) { UNUSED_SUMS; }

UNITS(pbld) {
    const size_t n = column->n_units - 1;
    const real *w = p + column->weights, *bias = p + column->biases;
    FOR_ROWS e[r] = cells->x[r];
    for (size_t o = 0; o < n; o++)
        FOR_ROWS e[(1 + o) * V + r] = bias[o];
    for (size_t k = 0; k < column->n_terms; k++) {
        const real frequency = p[column->frequencies + k];
        const real phase = p[column->phases + k] / TWO_PI;
        real cosine[VECTOR_BYTES / sizeof(REAL)], sine;
        FOR_ROWS cosine[r] = NAME(cosine_of_turns)(frequency * cells->x[r] + phase, &sine);
        for (size_t o = 0; o < n; o++)
            FOR_ROWS e[(1 + o) * V + r] += w[k * n + o] * cosine[r];
    }
}
SUMS(pbld) {
    const size_t n = column->n_units - 1, terms = column->n_terms;
    const real *w = p + column->weights;
    real *frequencies = sums, *phases = frequencies + terms * V, *weights = phases + terms * V;
    real *biases = weights + terms * n * V;
    UNUSED(n_rows), UNUSED(e), UNUSED(table_g);
    for (size_t k = 0; k < terms; k++) {
        const real frequency = p[column->frequencies + k];
        const real phase = p[column->phases + k] / TWO_PI;
        real cosine[VECTOR_BYTES / sizeof(REAL)], sine[VECTOR_BYTES / sizeof(REAL)];
        real slope[VECTOR_BYTES / sizeof(REAL)] = {0};
        FOR_ROWS cosine[r] = NAME(cosine_of_turns)(frequency * cells->x[r] + phase, &sine[r]);
        for (size_t o = 0; o < n; o++)
            FOR_ROWS {
                const real delta = d[(1 + o) * V + r];
                weights[(k * n + o) * V + r] += delta * cosine[r];
                slope[r] += delta * w[k * n + o];
            }
        FOR_ROWS {
            phases[k * V + r] -= slope[r] * sine[r];
            frequencies[k * V + r] -= slope[r] * sine[r] * (TWO_PI * cells->x[r]);
        }
    }
    for (size_t o = 0; o < n; o++)
        FOR_ROWS biases[o * V + r] += d[(1 + o) * V + r];
}

UNITS(plr) {
    const size_t n = column->n_units, terms = column->n_terms;
    const real *w = p + column->weights, *bias = p + column->biases;
    for (size_t o = 0; o < n; o++)
        FOR_ROWS e[o * V + r] = bias[o];
    for (size_t k = 0; k < terms; k++) {
        const real frequency = p[column->frequencies + k];
        real cosine[VECTOR_BYTES / sizeof(REAL)], sine[VECTOR_BYTES / sizeof(REAL)];
        FOR_ROWS cosine[r] = NAME(cosine_of_turns)(frequency * cells->x[r], &sine[r]);
        for (size_t o = 0; o < n; o++)
            FOR_ROWS e[o * V + r] += w[k * n + o] * cosine[r] + w[(terms + k) * n + o] * sine[r];
    }
    for (size_t o = 0; o < n; o++)
        FOR_ROWS e[o * V + r] = e[o * V + r] <= 0 ? 0 : e[o * V + r];
}
SUMS(plr) {
    const size_t n = column->n_units, terms = column->n_terms;
    const real *w = p + column->weights;
    real *frequencies = sums, *weights = frequencies + terms * V;
    real *biases = weights + 2 * terms * n * V;
    UNUSED(n_rows), UNUSED(table_g);
    for (size_t k = 0; k < terms; k++) {
        const real frequency = p[column->frequencies + k];
        real cosine[VECTOR_BYTES / sizeof(REAL)], sine[VECTOR_BYTES / sizeof(REAL)];
        real slope[VECTOR_BYTES / sizeof(REAL)] = {0};
        FOR_ROWS cosine[r] = NAME(cosine_of_turns)(frequency * cells->x[r], &sine[r]);
        for (size_t o = 0; o < n; o++)
            FOR_ROWS {
                const real delta = e[o * V + r] > 0 ? d[o * V + r] : 0;
                weights[(k * n + o) * V + r] += delta * cosine[r];
                weights[((terms + k) * n + o) * V + r] += delta * sine[r];
                slope[r] += delta * (w[(terms + k) * n + o] * cosine[r] - w[k * n + o] * sine[r]);
            }
        FOR_ROWS frequencies[k * V + r] += slope[r] * (TWO_PI * cells->x[r]);
    }
    for (size_t o = 0; o < n; o++)
        FOR_ROWS biases[o * V + r] += e[o * V + r] > 0 ? d[o * V + r] : 0;
}

UNITS(periodic) {
    const size_t terms = column->n_terms;
    for (size_t k = 0; k < terms; k++) {
        const real frequency = p[column->frequencies + k];
        FOR_ROWS {
            real sine;
            e[k * V + r] = NAME(cosine_of_turns)(frequency * cells->x[r], &sine);
            e[(terms + k) * V + r] = sine;
        }
    }
}
SUMS(periodic) {
    const size_t terms = column->n_terms;
    UNUSED(n_rows), UNUSED(p), UNUSED(table_g);
    for (size_t k = 0; k < terms; k++)
        FOR_ROWS sums[k * V + r] +=
            (d[(terms + k) * V + r] * e[k * V + r] - d[k * V + r] * e[(terms + k) * V + r]) *
            (TWO_PI * cells->x[r]);
}

UNITS(ple) {
    const size_t n = column->n_units;
    const real *edges = p + column->weights;
    for (size_t o = 0; o < n; o++) {
        const real low = edges[o], width = edges[o + 1] - low;
        const real least = o ? R(0) : R(-__builtin_inf()),
                   most = o + 1 < n ? R(1) : R(__builtin_inf());
        FOR_ROWS {
            real share = (cells->x[r] - low) / width;
            share = share < least ? least : share;
            e[o * V + r] = share > most ? most : share;
        }
    }
}
SUMS(ple) { UNUSED_SUMS; }

UNITS(category) {
    const real *table = p + column->weights;
    for (size_t o = 0; o < column->n_units; o++)
        FOR_ROWS e[o * V + r] = table[cells->code[r] * column->table_row + o];
}
SUMS(category) {
    UNUSED(p), UNUSED(e), UNUSED(sums);
    for (size_t r = 0; table_g && r < n_rows; r++)
        for (size_t o = 0; o < column->n_units; o++)
            table_g[cells->code[r] * column->table_row + o] += d[o * V + r];
}

/* The arrays whose sums an embedding has, in their order, each with its length. */
typedef struct {
    size_t at, count;
} NAME(array);
INLINE size_t NAME(trained_arrays)(int kind, const fastmlp_column *column, NAME(array) arrays[4]) {
    const size_t terms = column->n_terms, n = column->n_units;
    switch ((enum fastmlp_embedding)kind) {
    case FASTMLP_EMBEDDING_pbld:
        arrays[0] = (NAME(array)){column->frequencies, terms};
        arrays[1] = (NAME(array)){column->phases, terms};
        arrays[2] = (NAME(array)){column->weights, terms * (n - 1)};
        arrays[3] = (NAME(array)){column->biases, n - 1};
        return 4;
    case FASTMLP_EMBEDDING_plr:
        arrays[0] = (NAME(array)){column->frequencies, terms};
        arrays[1] = (NAME(array)){column->weights, 2 * terms * n};
        arrays[2] = (NAME(array)){column->biases, n};
        return 3;
    case FASTMLP_EMBEDDING_periodic:
        arrays[0] = (NAME(array)){column->frequencies, terms};
        return 1;
    default:
        return 0;
    }
}

INLINE real NAME(sum_of_rows)(const real *x) {
    real sum = 0;
    FOR_ROWS sum += x[r];
    return sum;
}

#define EMBEDDING(c, name, read, ...)                                                              \
    static void NAME(embed_##name)(size_t m, const fastmlp_column *column,                         \
                                   const fastmlp_table *table, const intptr_t *rows,               \
                                   const void *p_, void *a_, size_t a_panel) {                     \
        const real *p = p_, *scale = p + column->scales;                                           \
        NAME(cells) cells;                                                                         \
        NAME(rows_of_units) e;                                                                     \
        for (size_t i = 0; i < m; i += V) {                                                        \
            const size_t n = m - i < V ? m - i : V;                                                \
            NAME(read_##read)(n, column, table, rows + i, &cells);                                 \
            NAME(name##_units)(column, p, &cells, e);                                              \
            for (size_t o = 0; o < column->n_units; o++) {                                         \
                const size_t unit = column->unit + o;                                              \
                real *a = (real *)a_ + unit / V * a_panel + i * V + unit % V;                      \
                for (size_t r = 0; r < n; r++)                                                     \
                    a[r * V] = scale[o] * e[o * V + r];                                            \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void NAME(embedding_gradient_##name)(                                                   \
        size_t m, const fastmlp_column *column, const fastmlp_table *table, const intptr_t *rows,  \
        const void *p_, const void *d_, size_t d_panel, void *sums_, void *g_, void *table_g_) {   \
        const real *p = p_, *scale = p + column->scales;                                           \
        real *g = g_, *sums = sums_, *own = sums + column->n_units * V;                            \
        NAME(array) arrays[4];                                                                     \
        const size_t n_arrays = NAME(trained_arrays)(FASTMLP_EMBEDDING_##name, column, arrays);    \
        size_t count = column->n_units;                                                            \
        for (size_t i = 0; i < n_arrays; i++)                                                      \
            count += arrays[i].count;                                                              \
        __builtin_memset(sums, 0, count * V * sizeof(real));                                       \
        NAME(cells) cells;                                                                         \
        NAME(rows_of_units) e, d;                                                                  \
        for (size_t i = 0; i < m; i += V) {                                                        \
            const size_t n = m - i < V ? m - i : V;                                                \
            NAME(read_##read)(n, column, table, rows + i, &cells);                                 \
            NAME(name##_units)(column, p, &cells, e);                                              \
            for (size_t o = 0; o < column->n_units; o++) {                                         \
                const size_t unit = column->unit + o;                                              \
                const real *delta = (const real *)d_ + unit / V * d_panel + i * V + unit % V;      \
                FOR_ROWS d[o * V + r] = r < n ? delta[r * V] : 0;                                  \
                FOR_ROWS {                                                                         \
                    sums[o * V + r] += d[o * V + r] * e[o * V + r];                                \
                    d[o * V + r] *= scale[o];                                                      \
                }                                                                                  \
            }                                                                                      \
            NAME(name##_sums)(n, column, p, &cells, e, d, own, table_g_);                          \
        }                                                                                          \
        for (size_t o = 0; o < column->n_units; o++)                                               \
            g[column->scales + o] += NAME(sum_of_rows)(sums + o * V);                              \
        for (size_t i = 0; i < n_arrays; own += arrays[i++].count * V)                             \
            for (size_t j = 0; j < arrays[i].count; j++)                                           \
                g[arrays[i].at + j] += NAME(sum_of_rows)(own + j * V);                             \
    }
FASTMLP_EMBEDDINGS(EMBEDDING, _)
#undef EMBEDDING
#undef FOR_ROWS
#undef UNUSED_SUMS
#undef SUMS
#undef TWO_PI
#undef UNITS
#undef UNUSED
