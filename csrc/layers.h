/* A layer's operations besides its product: dropout, normalization, skips. kernels.h includes this
 * file once for each type. */

/* ------------------------------------------------------------------------- dropout */

/* Threefry4x32 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011)
 * turns a key and a counter into four random words. 12 rounds are the fewest that pass BigCrush. */
#define ROTATE(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define MIX(a, b, n) x[a] += x[b], x[b] = ROTATE(x[b], n), x[b] ^= x[a]
#define EVEN(m, n) MIX(0, 1, m), MIX(2, 3, n)
#define ODD(m, n) MIX(0, 3, m), MIX(2, 1, n)
#define INJECT(r)                                                                                  \
    x[0] += key[(r) % 5], x[1] += key[((r) + 1) % 5], x[2] += key[((r) + 2) % 5],                  \
        x[3] += key[((r) + 3) % 5] + (r)
#define THREEFRY(name, words)                                                                      \
    INLINE void NAME(name)(words x[4], const uint32_t key[5]) {                                    \
        INJECT(0);                                                                                 \
        EVEN(10, 26), ODD(11, 21), EVEN(13, 27), ODD(23, 5);                                       \
        INJECT(1);                                                                                 \
        EVEN(6, 20), ODD(17, 11), EVEN(25, 10), ODD(18, 20);                                       \
        INJECT(2);                                                                                 \
        EVEN(10, 26), ODD(11, 21), EVEN(13, 27), ODD(23, 5);                                       \
        INJECT(3);                                                                                 \
    }
typedef uint32_t NAME(words) __attribute__((vector_size(64)));
THREEFRY(threefry, uint32_t)
THREEFRY(threefry_of_words, NAME(words))
#undef ROTATE
#undef MIX
#undef EVEN
#undef ODD
#undef INJECT
#undef THREEFRY

INLINE void NAME(noise_key)(const fastmlp_dropout *dropout, uint64_t step, uint32_t key[5]) {
    key[0] = dropout->key[0], key[1] = dropout->key[1];
    key[2] = (uint32_t)step, key[3] = dropout->layer ^ (uint32_t)(step >> 32 << 16);
    key[4] = 0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3];
}

/* 16 calls in parallel make 16 bits for each of NOISE units of a row. The first words of the 16
 * calls serve the first quarter of the units, their second words the next quarter, and so on. */
enum { NAME(NOISE) = 128 };
#define NOISE NAME(NOISE)

/* x times scale, in lanes whose number reaches the threshold; else 0 */
INLINE vec NAME(drop)(vec x, const uint16_t *numbers, ivec threshold, real scale) {
    typedef uint16_t halves __attribute__((vector_size(V * sizeof(uint16_t))));
    halves bits;
    __builtin_memcpy(&bits, numbers, sizeof bits);
    const ivec kept = __builtin_convertvector(bits, ivec) >= threshold;
    return (vec)((ivec)(x * scale) & kept);
}

static void NAME(dropout)(size_t m, size_t n, const intptr_t *rows, const fastmlp_dropout *dropout,
                          uint64_t step, void *h_, void *derivative_, size_t panel) {
    const ivec threshold = (ivec){0} + (NAME(signed_integer))dropout->threshold;
    const real scale = (real)dropout->scale;
    const NAME(words) lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint32_t key[5];
    NAME(noise_key)(dropout, step, key);
    for (size_t i = 0; i < m; i++)
        for (size_t unit = 0; unit < n; unit += NOISE) {
            const NAME(words) none = {0};
            NAME(words) words[4];
            words[0] = none + (uint32_t)rows[i],
            words[1] = none + (uint32_t)((uint64_t)rows[i] >> 32);
            words[2] = lanes + (uint32_t)(unit / 8), words[3] = none;
            NAME(threefry_of_words)(words, key);
            uint16_t numbers[NOISE];
            __builtin_memcpy(numbers, words, sizeof numbers);
            for (size_t lane = 0; lane < NOISE && unit + lane < n; lane += V) {
                const size_t at = (unit + lane) / V * panel + i * V;
                real *h = (real *)h_ + at, *derivative = (real *)derivative_ + at;
                store(h, NAME(drop)(load(h), numbers + lane, threshold, scale));
                if (derivative_)
                    store(derivative,
                          NAME(drop)(load(derivative), numbers + lane, threshold, scale));
            }
        }
}

static void NAME(dropout_csr)(size_t m, const fastmlp_csr *x, const intptr_t *rows,
                              const fastmlp_dropout *dropout, uint64_t step, void *out) {
    uint32_t key[5];
    NAME(noise_key)(dropout, step, key);
    for (size_t i = 0; i < m; i++)
        for (int64_t t = x->indptr[rows[i]]; t < x->indptr[rows[i] + 1]; t++) {
            const size_t unit = x->wide_indices ? (size_t)((const int64_t *)x->indices)[t]
                                                : (size_t)((const int32_t *)x->indices)[t];
            const size_t place = unit % NOISE, quarter = NOISE / 4;
            uint32_t words[4] = {(uint32_t)rows[i], (uint32_t)((uint64_t)rows[i] >> 32),
                                 (uint32_t)(unit / NOISE * 16 + place % quarter / 2), 0};
            NAME(threefry)(words, key);
            const uint32_t bits = words[place / quarter] >> 16 * (place % 2) & 0xFFFFu;
            const double factor = bits < dropout->threshold ? 0 : dropout->scale;
            if (x->double_data)
                ((double *)out)[t] = ((const double *)x->data)[t] * factor;
            else
                ((float *)out)[t] = (float)(((const float *)x->data)[t] * factor);
        }
}
#undef NOISE

/* ------------------------------------------------------------------------- normalization */

#define VARIANCE_EPSILON R(1e-5)

INLINE vec NAME(inverse_deviation)(vec variance) {
    return broadcast(R(1)) / NAME(square_root)(variance + broadcast(VARIANCE_EPSILON));
}

static double NAME(moments)(size_t m, size_t n_panels, const intptr_t *rows, const double *weights,
                            const void *h_, size_t panel, void *moments) {
    real *mean = moments, *variance = mean + n_panels * V;
    double total = 0;
    for (size_t i = 0; i < m; i++)
        total += weights ? weights[rows[i]] : 1;
    /* Scale weights in double, because a weight may round to zero in float. */
    const double share = total > 0 ? 1 / total : 0;
    const real all = weights ? R(1) : (real)share;
    for (size_t p = 0; p < n_panels; p++) {
        const real *h = (const real *)h_ + p * panel;
        vec sum = {0}, squares = {0};
        for (size_t i = 0; i < m; i++)
            sum += (weights ? (real)(weights[rows[i]] * share) : R(1)) * load(h + i * V);
        sum *= all;
        for (size_t i = 0; i < m; i++) {
            const vec x = load(h + i * V) - sum;
            squares += (weights ? (real)(weights[rows[i]] * share) : R(1)) * (x * x);
        }
        store(mean + p * V, sum), store(variance + p * V, squares * all);
    }
    return total;
}

/* Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
 * variances" (1979) */
static void NAME(combine_moments)(size_t n, size_t n_panels, const double *weights,
                                  const void *parts_, void *moments) {
    const real *parts = parts_;
    real *mean = moments, *variance = mean + n_panels * V;
    double total = 0;
    for (size_t u = 0; u < n; u++)
        total += weights[u];
    const double share = total > 0 ? 1 / total : 0;
    for (size_t at = 0; at < n_panels * V; at += V) {
        vec sum = {0}, squares = {0};
        for (size_t u = 0; u < n; u++)
            sum += (real)(weights[u] * share) * load(parts + 2 * u * n_panels * V + at);
        for (size_t u = 0; u < n; u++) {
            const vec x = load(parts + 2 * u * n_panels * V + at) - sum;
            const vec own = load(parts + (2 * u + 1) * n_panels * V + at);
            squares += (real)(weights[u] * share) * (own + x * x);
        }
        store(mean + at, sum), store(variance + at, squares);
    }
}

static void NAME(running_average)(size_t count, double momentum, const void *now_, void *average_) {
    const real *now = now_;
    real *average = average_;
    for (size_t i = 0; i < count; i++)
        average[i] += (real)momentum * (now[i] - average[i]);
}

static void NAME(normalize)(size_t m, size_t n_panels, const void *mean_, const void *variance_,
                            const void *scale_, const void *shift_, void *x_, void *h_,
                            size_t panel) {
    for (size_t p = 0; p < n_panels; p++) {
        const vec mean = load((const real *)mean_ + p * V);
        const vec inverse = NAME(inverse_deviation)(load((const real *)variance_ + p * V));
        const vec scale = load((const real *)scale_ + p * V);
        const vec shift = load((const real *)shift_ + p * V);
        real *h = (real *)h_ + p * panel, *x = x_ ? (real *)x_ + p * panel : h;
        for (size_t i = 0; i < m; i++) {
            const vec normal = (load(h + i * V) - mean) * inverse;
            store(x + i * V, normal);
            store(h + i * V, normal * scale + shift);
        }
    }
}

static void NAME(normalization_sums)(size_t m, size_t n_panels, const void *d_, const void *x_,
                                     size_t panel, int accumulate, void *scale, void *shift) {
    for (size_t p = 0; p < n_panels; p++) {
        const real *d = (const real *)d_ + p * panel, *x = (const real *)x_ + p * panel;
        vec products = accumulate ? load((real *)scale + p * V) : (vec){0};
        vec sum = accumulate ? load((real *)shift + p * V) : (vec){0};
        for (size_t i = 0; i < m; i++) {
            const vec delta = load(d + i * V);
            products += delta * load(x + i * V);
            sum += delta;
        }
        store((real *)scale + p * V, products), store((real *)shift + p * V, sum);
    }
}

static void NAME(normalize_delta)(size_t m, size_t n_panels, const intptr_t *rows,
                                  const double *weights, double total, const void *x_,
                                  const void *variance_, const void *scale_, const void *sums_,
                                  void *d_, size_t panel) {
    const real *sums = sums_;
    for (size_t p = 0; p < n_panels; p++) {
        const vec factor = NAME(inverse_deviation)(load((const real *)variance_ + p * V)) *
                           load((const real *)scale_ + p * V);
        const vec products = load(sums + p * V) * (real)(1 / total);
        const vec sum = load(sums + (n_panels + p) * V) * (real)(1 / total);
        const real *x = (const real *)x_ + p * panel;
        real *d = (real *)d_ + p * panel;
        for (size_t i = 0; i < m; i++) {
            const real weight = weights ? (real)weights[rows[i]] : R(1);
            store(d + i * V,
                  (load(d + i * V) - weight * (sum + load(x + i * V) * products)) * factor);
        }
    }
}

/* x in the lanes of panel p that hold one of the n units, else 0 */
INLINE vec NAME(known_lanes)(vec x, size_t p, size_t n) {
    if ((p + 1) * V <= n)
        return x;
    for (size_t lane = n - p * V; lane < V; lane++)
        x[lane] = 0;
    return x;
}

static void NAME(normalize_rows_layer)(size_t m, size_t n, const void *trained, void *x_,
                                       void *inverse_, void *h_, size_t panel) {
    const size_t n_panels = (n + V - 1) / V;
    const real *scale = trained, *shift = scale + n_panels * V;
    real *h = h_, *x = x_ ? x_ : h_, *inverse = inverse_;
    for (size_t i = 0; i < m; i += MR) {
        const size_t some = m - i < MR ? m - i : MR;
        vec sums[MR], squares[MR];
        for (size_t r = 0; r < MR; r++)
            sums[r] = squares[r] = (vec){0};
        for (size_t p = 0; p < n_panels; p++)
            for (size_t r = 0; r < some; r++)
                sums[r] += load(h + p * panel + (i + r) * V);
        const vec mean = NAME(sum_lanes)(sums) * (R(1) / (real)n);
        for (size_t p = 0; p < n_panels; p++)
            for (size_t r = 0; r < some; r++) {
                vec centred = load(h + p * panel + (i + r) * V) - mean[r];
                centred = NAME(known_lanes)(centred, p, n);
                squares[r] += centred * centred;
            }
        const vec variance = NAME(sum_lanes)(squares) * (R(1) / (real)n);
        const vec inverses = NAME(inverse_deviation)(variance);
        for (size_t r = 0; r < some && inverse; r++)
            inverse[i + r] = inverses[r];
        for (size_t p = 0; p < n_panels; p++)
            for (size_t r = 0; r < some; r++) {
                const size_t at = p * panel + (i + r) * V;
                const vec normal = NAME(known_lanes)((load(h + at) - mean[r]) * inverses[r], p, n);
                store(x + at, normal);
                store(h + at, normal * load(scale + p * V) + load(shift + p * V));
            }
    }
}

static void NAME(normalize_rows_delta_layer)(size_t m, size_t n, const void *trained,
                                             const void *x_, const void *inverse_, void *d_,
                                             size_t panel, int accumulate, void *sums_of_rows) {
    const size_t n_panels = (n + V - 1) / V;
    const real *scale = trained, *x = x_, *inverse = inverse_;
    real *d = d_, *scale_sums = sums_of_rows, *shift_sums = scale_sums + n_panels * V;
    NAME(normalization_sums)(m, n_panels, d, x, panel, accumulate, scale_sums, shift_sums);
    for (size_t i = 0; i < m; i += MR) {
        const size_t some = m - i < MR ? m - i : MR;
        vec sums[MR], products[MR];
        for (size_t r = 0; r < MR; r++)
            sums[r] = products[r] = (vec){0};
        for (size_t p = 0; p < n_panels; p++)
            for (size_t r = 0; r < some; r++) {
                const size_t at = p * panel + (i + r) * V;
                const vec g = load(d + at) * load(scale + p * V);
                sums[r] += g, products[r] += g * load(x + at);
            }
        const vec sum = NAME(sum_lanes)(sums) * (R(1) / (real)n);
        const vec product = NAME(sum_lanes)(products) * (R(1) / (real)n);
        for (size_t p = 0; p < n_panels; p++)
            for (size_t r = 0; r < some; r++) {
                const size_t at = p * panel + (i + r) * V;
                const vec g = load(d + at) * load(scale + p * V);
                const vec c = (g - sum[r] - load(x + at) * product[r]) * inverse[i + r];
                store(d + at, NAME(known_lanes)(c, p, n));
            }
    }
}
#undef VARIANCE_EPSILON

/* ------------------------------------------------------------------------- skips */

static void NAME(add)(size_t count, const void *x_, void *y_) {
    const real *x = x_;
    real *y = y_;
    for (size_t i = 0; i < count; i += V)
        store(y + i, load(y + i) + load(x + i));
}
static void NAME(multiply)(size_t count, const void *x_, void *y_) {
    const real *x = x_;
    real *y = y_;
    for (size_t i = 0; i < count; i += V)
        store(y + i, load(y + i) * load(x + i));
}
