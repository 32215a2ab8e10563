/* Elementary functions and activations. kernels.h includes this file once for each type. */

/* -------------------------------------------------------------------- elementary functions */

/* These are scalar and free of branches, so that the compiler vectorizes loops over them. */

#if REAL_IS_DOUBLE
#define ROUNDER 0x1.8p52 /* x + ROUNDER holds round(x) in its low bits */
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define LN2_HIGH 0x1.62e42feep-1 /* 32 bits: k * LN2_HIGH is exact */
#define LN2_LOW 0x1.a39ef35793c76p-33
#define EXP_LIMIT 800.0
#define TANH_LIMIT 44.0
#define EPSILON DBL_EPSILON
#define SMALLEST DBL_MIN /* the smallest number that is not flushed to zero */
#else
#define ROUNDER 0x1.8p23f
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define LN2_HIGH 0x1.63p-1f
#define LN2_LOW -0x1.bd0106p-13f
#define EXP_LIMIT 120.0f
#define TANH_LIMIT 20.0f
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
/* 2^k for an integer k such that 2^k is normal */
INLINE real NAME(power_of_two)(real k) {
    return NAME(from_bits)((NAME(bits)(k + ROUNDER) + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* Splits x = k ln 2 + r with |r| <= ln(2) / 2 and returns exp(r) - 1 - r by its Taylor series, to
 * degree 13 or 7: the error is under a tenth of an ulp. */
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
    /* two factors, because 2^k may be out of range although the result is not */
    const real half = (k * R(0.5) + ROUNDER) - ROUNDER;
    return p * NAME(power_of_two)(half) * NAME(power_of_two)(k - half);
}

/* tanh(|x|) = e / (e + 2) with e = exp(2|x|) - 1, which is accurate near zero */
INLINE real NAME(hyperbolic_tangent)(real x) {
    real y = R(__builtin_fabs(x)) * 2;
    y = y > TANH_LIMIT ? TANH_LIMIT : y;
    real k, r;
    const real tail = NAME(reduced_exp)(y, &k, &r);
    const real scale = NAME(power_of_two)(k);
    const real e = (scale * r + (scale - R(1))) + scale * tail;
    const real s = e + R(2), lost = e < R(2) ? e - (s - R(2)) : R(2) - (s - e), q = e / s;
    return R(__builtin_copysign(q - q * lost * (R(0.5) * (R(1) - q)), x)); /* (1 - q) / 2 = 1 / s */
}

/* exp(x) - 1 for x <= 0, accurate near zero */
INLINE real NAME(negative_expm1)(real x) {
    x = x < -TANH_LIMIT ? -TANH_LIMIT : x;
    real k, r;
    const real tail = NAME(reduced_exp)(x, &k, &r);
    const real scale = NAME(power_of_two)(k);
    return (scale * r + (scale - R(1))) + scale * tail;
}

INLINE real NAME(sigmoid)(real x) {
    const real e = NAME(exp)(-R(__builtin_fabs(x)));
    return (x < 0 ? e : R(1)) / (R(1) + e);
}

/* log(x) for x that is NaN, or positive, normal and finite. With x = 2^k m and sqrt(1/2) <= m <
 * sqrt(2), log(m) is the series of log((1 + s) / (1 - s)) in s = (m - 1) / (m + 1). */
INLINE real NAME(log)(real x) {
    const integer one = NAME(bits)(R(1)), low = NAME(bits)(R(0.70710678118654752));
    const integer offset = NAME(bits)(x) - low + one; /* has the exponent of x / sqrt(1/2) */
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

/* log(1 + x) for x > -1; the quotient corrects the rounding of 1 + x (Kahan). */
INLINE real NAME(log1p)(real x) {
    const real y = R(1) + x;
    return y == R(1) ? x : NAME(log)(y) * (x / (y - R(1)));
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

/* Each returns f(z) and sets derivative = f'(z). */

INLINE real NAME(identity)(real z, real *derivative) {
    *derivative = R(1);
    return z;
}
INLINE real NAME(logistic)(real z, real *derivative) {
    const real h = NAME(sigmoid)(z);
    *derivative = h * (R(1) - h);
    return h;
}
INLINE real NAME(tanh)(real z, real *derivative) {
    const real h = NAME(hyperbolic_tangent)(z);
    *derivative = R(1) - h * h;
    return h;
}
INLINE real NAME(relu)(real z, real *derivative) {
    *derivative = z > 0 ? R(1) : R(0);
    return z <= 0 ? R(0) : z;
}
INLINE real NAME(leaky_relu)(real z, real *derivative) {
    *derivative = z > 0 ? R(1) : R(0.01);
    return z * *derivative;
}
INLINE real NAME(elu)(real z, real *derivative) {
    const real e = NAME(negative_expm1)(z > 0 ? R(0) : z);
    *derivative = e + R(1);
    return z > 0 ? z : e;
}
INLINE real NAME(selu)(real z, real *derivative) {
    const real scale = R(1.0507009873554804934193349852946);
    const real alpha = scale * R(1.6732632423543772848170429916717);
    const real e = NAME(negative_expm1)(z > 0 ? R(0) : z);
    *derivative = z > 0 ? scale : alpha * (e + R(1));
    return z > 0 ? scale * z : alpha * e;
}

/* z times the normal distribution function, which is Hart's rational approximation 5666 (Computer
 * Approximations, 1968), accurate to 2e-16. */
INLINE real NAME(gelu)(real z, real *derivative) {
    real x = R(__builtin_fabs(z));
    x = x > TANH_LIMIT ? TANH_LIMIT : x; /* e is 0 there; p / q must not overflow */
    real p = R(0.03526249659989109), q = R(0.08838834764831844);
    p = p * x + R(0.7003830644436881);
    p = p * x + R(6.373962203531650);
    p = p * x + R(33.91286607838300);
    p = p * x + R(112.0792914978709);
    p = p * x + R(221.2135961699311);
    p = p * x + R(220.2068679123761);
    q = q * x + R(1.755667163182642);
    q = q * x + R(16.06417757920695);
    q = q * x + R(86.78073220294608);
    q = q * x + R(296.5642487796737);
    q = q * x + R(637.3336333788311);
    q = q * x + R(793.8265125199484);
    q = q * x + R(440.4137358247522);
    const real e = NAME(exp)(R(-0.5) * z * z), tail = e * (p / q);
    const real probability = z < 0 ? tail : R(1) - tail;
    const real near = z < 0 ? -x : x; /* z, except where e is 0: infinity times 0 is NaN */
    *derivative = probability + near * (e * R(0.39894228040143267794));
    return (z < 0 ? near : z) * probability;
}
INLINE real NAME(silu)(real z, real *derivative) {
    const real e = NAME(exp)(-R(__builtin_fabs(z))), reciprocal = R(1) / (R(1) + e);
    const real s = (z < 0 ? e : R(1)) * reciprocal, rest = (z < 0 ? R(1) : e) * reciprocal;
    real near = z > EXP_LIMIT ? EXP_LIMIT : z; /* as in gelu */
    near = near < -EXP_LIMIT ? -EXP_LIMIT : near;
    *derivative = s * (R(1) + near * rest);
    return (z < 0 ? near : z) * s;
}

/* z tanh(log(1 + e)) with e = exp(z); tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2), which is 1
 * long before n overflows. */
INLINE real NAME(mish)(real z, real *derivative) {
    real x = z > TANH_LIMIT / 2 ? TANH_LIMIT / 2 : z;
    x = x < -EXP_LIMIT ? -EXP_LIMIT : x;
    const real e = NAME(exp)(x), n = e * (e + R(2));
    const real reciprocal = R(1) / (n + R(2)), h = n * reciprocal;
    *derivative = h + x * R(4) * (n + R(1)) * reciprocal * reciprocal * (e / (R(1) + e));
    return (z < 0 ? x : z) * h;
}
INLINE real NAME(softplus)(real z, real *derivative) {
    const real e = NAME(exp)(-R(__builtin_fabs(z)));
    *derivative = (z < 0 ? e : R(1)) / (R(1) + e);
    return (z < 0 ? R(0) : z) + NAME(log1p)(e);
}
INLINE real NAME(softsign)(real z, real *derivative) {
    real near = z > R(1e30) ? R(1e30) : z; /* infinity times 0 would be NaN */
    near = near < R(-1e30) ? R(-1e30) : near;
    const real reciprocal = R(1) / (R(1) + R(__builtin_fabs(near)));
    *derivative = reciprocal * reciprocal;
    return near * reciprocal;
}
INLINE real NAME(hard_tanh)(real z, real *derivative) {
    *derivative = z > R(-1) && z < R(1) ? R(1) : R(0);
    return z > R(1) ? R(1) : z < R(-1) ? R(-1) : z;
}

#define ACTIVATION(c, name, ...)                                                                   \
    static void NAME(activation_##name)(size_t count, void *h_) {                                  \
        real *h = h_, unused;                                                                      \
        for (size_t i = 0; i < count; i++)                                                         \
            h[i] = NAME(name)(h[i], &unused);                                                      \
    }                                                                                              \
    static void NAME(activation_derivative_##name)(size_t count, void *h_, void *derivative_) {    \
        real *restrict h = h_;                                                                     \
        real *restrict derivative = derivative_;                                                   \
        for (size_t i = 0; i < count; i++) {                                                       \
            real s;                                                                                \
            h[i] = NAME(name)(h[i], &s);                                                           \
            derivative[i] = s;                                                                     \
        }                                                                                          \
    }
FASTMLP_ACTIVATIONS(ACTIVATION, _)
#undef ACTIVATION
