/* Copies samples into panels. kernels.h includes this file once for each type. */

/* Converts n contiguous sources to n reals; n is a constant power of two. */
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

/* Rows come in random order, so gather prefetches the row that it reads half a kilobyte later. */
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

/* x - x is 0 for finite x, else NaN. */
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
