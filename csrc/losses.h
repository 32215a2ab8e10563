/* Output activations and losses. Included by kernels.h, once for each type. */

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
            z[i] = NAME(sigmoid)(z[i]);
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
            const real p = NAME(sigmoid)(z[i]), t = target[i];
            const real clipped = NAME(clip_probability)(p);
            loss[i] -= NAME(log)(t != 0 ? clipped : R(1) - clipped);
            z[i] = (p - t) * weight[i];
        }
    }
    return NAME(total)(m, loss, weight);
}
