/* Output activations and losses. kernels.h includes this file once for each type. */

/* ------------------------------------------------------------------------- output activations */

#define ACTIVATION_OUTPUT(c, name, ...)                                                            \
    static void NAME(output_##name)(size_t n, void *z_, size_t ldz) {                              \
        real unused;                                                                               \
        for (size_t o = 0; o < n; o++) {                                                           \
            real *z = (real *)z_ + o * ldz;                                                        \
            for (size_t i = 0; i < MR; i++)                                                        \
                z[i] = NAME(name)(z[i], &unused);                                                  \
        }                                                                                          \
    }                                                                                              \
    static void NAME(output_derivative_##name)(size_t n, void *z_, size_t ldz,                     \
                                               void *derivatives_) {                               \
        for (size_t o = 0; o < n; o++) {                                                           \
            real *restrict z = (real *)z_ + o * ldz;                                               \
            real *restrict derivatives = (real *)derivatives_ + o * MR;                            \
            for (size_t i = 0; i < MR; i++) {                                                      \
                real derivative;                                                                   \
                z[i] = NAME(name)(z[i], &derivative);                                              \
                derivatives[i] = derivative;                                                       \
            }                                                                                      \
        }                                                                                          \
    }
FASTMLP_ACTIVATIONS(ACTIVATION_OUTPUT, _)
#undef ACTIVATION_OUTPUT

static void NAME(output_exp)(size_t n, void *z_, size_t ldz) {
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            z[i] = NAME(exp)(z[i]);
    }
}
static void NAME(output_derivative_exp)(size_t n, void *z_, size_t ldz, void *derivatives) {
    NAME(output_exp)(n, z_, ldz);
    for (size_t o = 0; o < n; o++)
        __builtin_memcpy((real *)derivatives + o * MR, (real *)z_ + o * ldz, MR * sizeof(real));
}

/* Unless log_sum is NULL, it gets log(sum of exp(z)) for each row. */
INLINE void NAME(softmax)(size_t n, real *z, size_t ldz, real *log_sum) {
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
    if (log_sum)
        for (size_t i = 0; i < MR; i++)
            log_sum[i] = largest[i] + NAME(log)(sum[i]);
}
static void NAME(output_softmax)(size_t n, void *z, size_t ldz) { NAME(softmax)(n, z, ldz, NULL); }

static void NAME(multiply_derivatives)(size_t n, void *z_, size_t ldz, const void *derivatives_) {
    const real *derivatives = derivatives_;
    for (size_t o = 0; o < n; o++) {
        real *z = (real *)z_ + o * ldz;
        for (size_t i = 0; i < MR; i++)
            z[i] *= derivatives[o * MR + i];
    }
}

/* ------------------------------------------------------------------------- losses */

/* noinline: inlining a rarely called loss slows its caller. */
#define LOSS(name)                                                                                 \
    static __attribute__((noinline)) double NAME(loss_##name)(                                     \
        size_t m, size_t n, void *z_, size_t ldz, const void *y_, const intptr_t *rows,            \
        const double *weights, const fastmlp_loss_settings *settings)

/* Rows from m to MR are copies of the first row with weight zero. */
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

LOSS(squared_error) {
    (void)settings;
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

/* Smoothed targets give every class a share, so no logarithm may be clipped: the loss is computed
 * from z, not from probabilities. */
LOSS(smoothed_log_loss) {
    const int32_t *y = y_;
    real *z = z_;
    const real spread = (real)(settings->smoothing / (double)n), own = R(1 - settings->smoothing);
    intptr_t row[MR];
    real weight[MR], loss[MR], log_sum[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t i = 0; i < MR; i++)
        loss[i] = -own * z[(size_t)y[row[i]] * ldz + i];
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            loss[i] -= spread * z[o * ldz + i];
    NAME(softmax)(n, z, ldz, log_sum);
    for (size_t i = 0; i < MR; i++)
        loss[i] += log_sum[i], z[(size_t)y[row[i]] * ldz + i] -= own;
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * ldz + i] = (z[o * ldz + i] - spread) * weight[i];
    return NAME(total)(m, loss, weight);
}

INLINE real NAME(clip_probability)(real p) {
    p = p < EPSILON ? EPSILON : p;
    return p > R(1) - EPSILON ? R(1) - EPSILON : p;
}

LOSS(log_loss) {
    if (settings->smoothing != 0)
        return NAME(loss_smoothed_log_loss)(m, n, z_, ldz, y_, rows, weights, settings);
    const int32_t *y = y_;
    real *z = z_;
    intptr_t row[MR];
    real weight[MR], loss[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    NAME(softmax)(n, z, ldz, NULL);
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

/* ------------------------------------------------------------------------- output by output */

/* Each NAME(name_of) returns the loss of one output z with target t and sets its derivative.
 * ROLLED, because GCC unrolls a short loop before it tries to vectorize it. */

#define SEPARABLE(name, type, setting_of_output)                                                   \
    LOSS(name) {                                                                                   \
        (void)settings;                                                                            \
        const type *y = y_;                                                                        \
        intptr_t row[MR];                                                                          \
        real weight[MR], loss[MR] = {0}, target[MR];                                               \
        NAME(row_weights)(m, rows, weights, row, weight);                                          \
        for (size_t o = 0; o < n; o++) {                                                           \
            real *z = (real *)z_ + o * ldz;                                                        \
            const real setting = (real)(setting_of_output);                                        \
            for (size_t i = 0; i < MR; i++)                                                        \
                target[i] = y[(size_t)row[i] * n + o];                                             \
            ROLLED for (size_t i = 0; i < MR; i++) {                                               \
                real derivative;                                                                   \
                loss[i] += NAME(name##_of)(z[i], target[i], setting, &derivative);                 \
                z[i] = derivative * weight[i];                                                     \
            }                                                                                      \
        }                                                                                          \
        return NAME(total)(m, loss, weight);                                                       \
    }

INLINE real NAME(sign)(real x) { return x > 0 ? R(1) : x < 0 ? R(-1) : x; }

INLINE real NAME(absolute_error_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    *derivative = NAME(sign)(z - t);
    return R(__builtin_fabs(z - t));
}
SEPARABLE(absolute_error, real, 0)

INLINE real NAME(huber_of)(real z, real t, real delta, real *derivative) {
    const real d = z - t, distance = R(__builtin_fabs(d));
    const real square = distance > delta ? delta : distance;
    *derivative = d > delta ? delta : d < -delta ? -delta : d;
    return square * (distance - R(0.5) * square);
}
SEPARABLE(huber, real, settings->delta)

/* log(cosh(d)) is -log(1 - tanh(d)^2) / 2 for |d| < 1. Beyond, where that is inaccurate, it is
 * |d| - log(2) + log(1 + exp(-2 |d|)). */
INLINE real NAME(log_cosh_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    const real d = z - t, distance = R(__builtin_fabs(d)), e = NAME(exp)(R(-2) * distance);
    const real tangent = NAME(hyperbolic_tangent)(d);
    const real log = NAME(log1p)(distance < R(1) ? -tangent * tangent : e);
    *derivative = tangent;
    return distance < R(1) ? R(-0.5) * log : distance - R(0.69314718055994531) + log;
}
SEPARABLE(log_cosh, real, 0)

INLINE real NAME(quantile_of)(real z, real t, real level, real *derivative) {
    const real d = z - t;
    *derivative = d > 0 ? R(1) - level : d < 0 ? -level : d;
    return d * *derivative;
}
SEPARABLE(quantile, real, settings->levels[o])

/* Half deviances: the first two losses take the mean, the next two take z with mean exp(z). At
 * t = 0, t log(t) is 0. Means are at least SMALLEST_MEAN, so that t / mean^2 is finite. */
#define SMALLEST_MEAN (REAL_IS_DOUBLE ? R(1e-100) : R(1e-12))
INLINE real NAME(poisson_deviance_of)(real mean, real t, real unused, real *derivative) {
    (void)unused;
    mean = mean < SMALLEST_MEAN ? SMALLEST_MEAN : mean;
    *derivative = R(1) - t / mean;
    return (t > 0 ? t * (NAME(log)(t) - NAME(log)(mean)) : R(0)) - t + mean;
}
SEPARABLE(poisson_deviance, real, 0)

INLINE real NAME(gamma_deviance_of)(real mean, real t, real unused, real *derivative) {
    (void)unused;
    mean = mean < SMALLEST_MEAN ? SMALLEST_MEAN : mean;
    *derivative = (R(1) - t / mean) / mean;
    return NAME(log)(mean) - NAME(log)(t) + t / mean - R(1);
}
SEPARABLE(gamma_deviance, real, 0)

INLINE real NAME(poisson_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    const real mean = NAME(exp)(z);
    *derivative = mean - t;
    return (t > 0 ? t * (NAME(log)(t) - z) : R(0)) - t + mean;
}
SEPARABLE(poisson, real, 0)

INLINE real NAME(gamma_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    const real ratio = t * NAME(exp)(-z);
    *derivative = R(1) - ratio;
    return z - NAME(log)(t) + ratio - R(1);
}
SEPARABLE(gamma, real, 0)

INLINE real NAME(smoothed_binary_log_loss_of)(real z, real t, real smoothing, real *derivative) {
    const real target = t * (R(1) - smoothing) + R(0.5) * smoothing;
    const real tail = NAME(log1p)(NAME(exp)(-R(__builtin_fabs(z))));
    *derivative = NAME(sigmoid)(z) - target;
    return (z < 0 ? R(0) : z) - target * z + tail;
}
SEPARABLE(smoothed_binary_log_loss, uint8_t, settings->smoothing)

/* q = 1 - p is computed from z, which is accurate near zero. */
INLINE real NAME(binary_focal_of)(real z, real t, real gamma, real *derivative) {
    const real sign = t != 0 ? R(1) : R(-1), s = sign * z, e = NAME(exp)(-R(__builtin_fabs(s)));
    const real p = (s < 0 ? e : R(1)) / (R(1) + e), q = (s < 0 ? R(1) : e) / (R(1) + e);
    const real log_p = (s < 0 ? s : R(0)) - NAME(log1p)(e);
    const real power = NAME(exp)(gamma * NAME(log)(q < SMALLEST ? SMALLEST : q));
    *derivative = sign * power * (gamma * p * log_p - q);
    return -power * log_p;
}
SEPARABLE(binary_focal, uint8_t, settings->gamma)

INLINE real NAME(binary_brier_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    const real p = NAME(sigmoid)(z), d = p - t;
    *derivative = d * p * (R(1) - p);
    return R(0.5) * d * d;
}
SEPARABLE(binary_brier, uint8_t, 0)

INLINE real NAME(binary_hinge_of)(real z, real t, real unused, real *derivative) {
    (void)unused;
    const real sign = t != 0 ? R(1) : R(-1), slack = R(1) - sign * z;
    *derivative = slack > 0 ? -sign : slack < 0 ? R(0) : slack;
    return slack < 0 ? R(0) : slack;
}
SEPARABLE(binary_hinge, uint8_t, 0)

LOSS(binary_log_loss) {
    if (settings->smoothing != 0)
        return NAME(loss_smoothed_binary_log_loss)(m, n, z_, ldz, y_, rows, weights, settings);
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

/* ------------------------------------------------------------------------- over all classes */

/* Lin et al., "Focal loss for dense object detection" (2017). rest = 1 - p is the sum of the other
 * probabilities, which is accurate near zero. With a = p dL/dp, dL/dz_j = a (1[j = y] - p_j); a
 * is 0 at p = 1 for any gamma > 0. */
LOSS(focal) {
    const int32_t *y = y_;
    real *z = z_;
    const real gamma = (real)settings->gamma;
    intptr_t row[MR];
    real weight[MR], loss[MR], log_sum[MR], p[MR], rest[MR] = {0}, a[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t i = 0; i < MR; i++)
        loss[i] = z[(size_t)y[row[i]] * ldz + i];
    NAME(softmax)(n, z, ldz, log_sum);
    for (size_t i = 0; i < MR; i++) {
        real *own = z + (size_t)y[row[i]] * ldz + i;
        p[i] = *own, *own = 0;
    }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            rest[i] += z[o * ldz + i];
    for (size_t i = 0; i < MR; i++) {
        const real q = rest[i] < SMALLEST ? SMALLEST : rest[i];
        const real near = NAME(log1p)(p[i] > R(0.5) ? -q : R(0));
        const real log_p = p[i] > R(0.5) ? near : loss[i] - log_sum[i];
        const real power = NAME(exp)(gamma * NAME(log)(q));
        a[i] = power * (gamma * p[i] * (log_p / q) - R(1)) * weight[i];
        loss[i] = -power * log_p;
    }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * ldz + i] *= -a[i];
    for (size_t i = 0; i < MR; i++)
        z[(size_t)y[row[i]] * ldz + i] = a[i] * rest[i];
    return NAME(total)(m, loss, weight);
}

/* Half the squared norm of d = p - 1[j = y]; dL/dz = p (d - p . d). */
LOSS(brier) {
    (void)settings;
    const int32_t *y = y_;
    real *z = z_;
    intptr_t row[MR];
    real weight[MR], loss[MR] = {0}, product[MR] = {0}, own[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    NAME(softmax)(n, z, ldz, NULL);
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            product[i] += z[o * ldz + i] * z[o * ldz + i];
    for (size_t i = 0; i < MR; i++) {
        const real p = own[i] = z[(size_t)y[row[i]] * ldz + i];
        loss[i] = R(0.5) * (product[i] - p * p + (R(1) - p) * (R(1) - p));
        product[i] -= p;
    }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * ldz + i] *= (z[o * ldz + i] - product[i]) * weight[i];
    for (size_t i = 0; i < MR; i++)
        z[(size_t)y[row[i]] * ldz + i] -= own[i] * weight[i];
    return NAME(total)(m, loss, weight);
}

/* Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector
 * machines" (2001): max(0, 1 - (z_y - the largest other z)) */
LOSS(hinge) {
    (void)settings;
    const int32_t *y = y_;
    real *z = z_;
    intptr_t row[MR];
    real weight[MR], loss[MR], largest[MR], own[MR];
    integer rival[MR];
    NAME(row_weights)(m, rows, weights, row, weight);
    for (size_t i = 0; i < MR; i++) {
        real *truth = z + (size_t)y[row[i]] * ldz + i;
        own[i] = *truth, *truth = -R(__builtin_inf());
        largest[i] = *truth, rival[i] = 0;
    }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++) {
            const real other = z[o * ldz + i];
            const int larger = other > largest[i] || other != other;
            largest[i] = larger ? other : largest[i];
            rival[i] = larger ? (integer)o : rival[i];
        }
    for (size_t i = 0; i < MR; i++) {
        const real slack = R(1) - (own[i] - largest[i]);
        loss[i] = slack < 0 ? R(0) : slack;
        own[i] = (slack > 0 ? R(1) : slack < 0 ? R(0) : slack) * weight[i];
    }
    for (size_t o = 0; o < n; o++)
        for (size_t i = 0; i < MR; i++)
            z[o * ldz + i] = rival[i] == (integer)o ? own[i] : R(0);
    for (size_t i = 0; i < MR; i++)
        z[(size_t)y[row[i]] * ldz + i] = -own[i];
    return NAME(total)(m, loss, weight);
}
