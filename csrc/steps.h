/* The optimizers' steps. kernels.h includes this file once for each type. */

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

/* x where the mask is set, y elsewhere */
INLINE vec NAME(choose)(ivec mask, vec x, vec y) {
    return (vec)((mask & (ivec)x) | (~mask & (ivec)y));
}

/* x clipped to -bound..bound; NaN stays NaN */
INLINE vec NAME(limit)(vec x, vec bound) {
    x = NAME(choose)((ivec)(x > bound), bound, x);
    return NAME(choose)((ivec)(x < -bound), -bound, x);
}

/* the signs of x: -1, 0 or 1; NaN stays NaN */
INLINE vec NAME(signs)(vec x) {
    x = NAME(choose)((ivec)(x > 0), broadcast(1), x);
    return NAME(choose)((ivec)(x < 0), broadcast(-1), x);
}

/* fastmlp_step in the computing type */
typedef struct {
    real scale, l2, rate, ahead, adaptive, decay, threshold;
    real momentum, look_ahead, own, keep_1, new_1, keep_2, new_2, epsilon;
} NAME(step);

INLINE NAME(step) NAME(convert)(const fastmlp_step *step, int penalized) {
    return (NAME(step)){
        .scale = (real)step->scale,
        .l2 = penalized ? (real)step->l2 : 0,
        .rate = (real)step->learning_rate,
        .ahead = (real)step->ahead,
        .adaptive = (real)step->adaptive,
        .decay = penalized ? (real)step->decay : 0,
        .threshold = (real)step->threshold,
        .momentum = (real)step->momentum,
        .look_ahead = (real)step->look_ahead,
        .own = (real)step->own,
        .keep_1 = (real)step->beta_1,
        .new_1 = (real)(1 - step->beta_1),
        .keep_2 = (real)step->beta_2,
        .new_2 = (real)(1 - step->beta_2),
        .epsilon = (real)(step->epsilon > SMALLEST ? step->epsilon : SMALLEST),
    };
}

/* Each optimizer's move: returns what is added to one vector of weights, given their gradient, and
 * stores the number that the move was divided by in `denominator`. */
#define MOVE(name)                                                                                 \
    INLINE vec NAME(name##_move)(const NAME(step) * s, vec gradient, real * state_1,               \
                                 real * state_2, vec * denominator)

MOVE(sgd) {
    (void)state_2;
    const vec move = s->rate * gradient, velocity = s->momentum * load(state_1) - move;
    store(state_1, velocity);
    *denominator = broadcast(1);
    return s->look_ahead * velocity - s->own * move;
}

INLINE vec NAME(update_moments)(const NAME(step) * s, vec gradient, real *m, real *v, vec *second) {
    const vec first = s->keep_1 * load(m) + s->new_1 * gradient;
    *second = s->keep_2 * load(v) + s->new_2 * (gradient * gradient);
    store(m, first), store(v, *second);
    return first;
}

/* Kingma and Ba, "Adam: a method for stochastic optimization" (2014) */
MOVE(adam) {
    vec second;
    const vec first = NAME(update_moments)(s, gradient, state_1, state_2, &second);
    *denominator = NAME(square_root)(second) + s->epsilon;
    return -(s->rate * first / *denominator);
}

/* Loshchilov and Hutter, "Decoupled weight decay regularization" (2019) */
MOVE(adamw) { return NAME(adam_move)(s, gradient, state_1, state_2, denominator); }

/* Dozat, "Incorporating Nesterov momentum into Adam" (2016) */
MOVE(nadam) {
    vec second;
    const vec first = NAME(update_moments)(s, gradient, state_1, state_2, &second);
    *denominator = NAME(square_root)(second) + s->epsilon;
    return -((s->rate * first + s->ahead * gradient) / *denominator);
}

/* Liu et al., "On the variance of the adaptive learning rate and beyond" (2020) */
MOVE(radam) {
    vec second;
    const vec first = NAME(update_moments)(s, gradient, state_1, state_2, &second);
    *denominator = s->adaptive * NAME(square_root)(second) + s->epsilon;
    return -(s->rate * first / *denominator);
}

/* Tieleman and Hinton, "Lecture 6.5 - RMSProp" (2012) */
MOVE(rmsprop) {
    (void)state_2;
    const vec squares = s->keep_2 * load(state_1) + s->new_2 * (gradient * gradient);
    store(state_1, squares);
    *denominator = NAME(square_root)(squares) + s->epsilon;
    return -(s->rate * gradient / *denominator);
}

/* Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011) */
MOVE(adagrad) {
    (void)state_2;
    const vec squares = load(state_1) + gradient * gradient;
    store(state_1, squares);
    *denominator = NAME(square_root)(squares) + s->epsilon;
    return -(s->rate * gradient / *denominator);
}

/* Chen et al., "Symbolic discovery of optimization algorithms" (2023) */
MOVE(lion) {
    (void)state_2;
    const vec momentum = load(state_1);
    const vec direction = NAME(signs)(s->keep_1 * momentum + s->new_1 * gradient);
    store(state_1, s->keep_2 * momentum + s->new_2 * gradient);
    *denominator = broadcast(1);
    return -(s->rate * direction);
}

/* Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
 * algorithm" (1993). state_1 is the last gradient, or zero after its sign has changed; state_2 is
 * the step size. A size of zero means the first step, whose size is the learning rate. */
MOVE(rprop) {
    const vec zero = {0}, before = load(state_1);
    const ivec same = ((gradient > zero) & (before > zero)) | ((gradient < zero) & (before < zero));
    const ivec turned =
        ((gradient > zero) & (before < zero)) | ((gradient < zero) & (before > zero));
    vec size = load(state_2);
    size = NAME(choose)((ivec)(size == zero), broadcast(s->rate), size);
    size *= NAME(choose)(same, broadcast((real)1.2), broadcast(1));
    size *= NAME(choose)(turned, broadcast((real)0.5), broadcast(1));
    size = NAME(choose)((ivec)(size < (real)1e-6), broadcast((real)1e-6), size);
    size = NAME(choose)((ivec)(size > 50), broadcast(50), size);
    gradient = NAME(choose)(turned, zero, gradient);
    store(state_1, gradient), store(state_2, size);
    *denominator = broadcast(1);
    return -(size * NAME(signs)(gradient));
}
#undef MOVE

/* The loop of all steps; optimizer, decays and proximal are compile-time constants. If proximal,
 * the proximal step of the L1 penalty follows the move (Yun, Lozano and Yang, "Adaptive proximal
 * gradient methods for structured neural networks", 2021). */
INLINE double NAME(step_loop)(int optimizer, int decays, int proximal, size_t count,
                              const fastmlp_step *step, int penalized, const real *g, real *w,
                              real *state_1, real *state_2) {
    const NAME(step) s = NAME(convert)(step, penalized);
    vec squares = {0}, sizes = {0};
    for (size_t i = 0; i < count; i += V) {
        const vec x = load(w + i), gradient = (load(g + i) + s.l2 * x) * s.scale;
        vec move, denominator;
        switch ((enum fastmlp_optimizer)optimizer) {
#define CASE(c, name, ...)                                                                         \
    case FASTMLP_##name:                                                                           \
        move = NAME(name##_move)(&s, gradient, state_1 + i, state_2 + i, &denominator);            \
        break;
            FASTMLP_OPTIMIZERS(CASE, _)
#undef CASE
        default:
            move = denominator = x; /* unreachable */
        }
        vec moved = x;
        if (decays)
            moved -= s.decay * x;
        moved += move;
        if (proximal) {
            moved -= NAME(limit)(moved, s.threshold / denominator);
            sizes += NAME(choose)((ivec)(x < 0), -x, x);
        }
        store(w + i, moved);
        squares += x * x;
    }
    if (!proximal)
        return NAME(sum)(squares);
    return (1 - step->l1_ratio) * NAME(sum)(squares) + 2 * step->l1_ratio * NAME(sum)(sizes);
}

#define STEP(c, name, slots, decays, ...)                                                          \
    static double NAME(step_##name)(size_t count, const fastmlp_step *step, int penalized,         \
                                    const void *g, void *w, void *state_1, void *state_2) {        \
        state_2 = slots > 1 ? state_2 : state_1;                                                   \
        if (penalized && step->l1_ratio > 0)                                                       \
            return NAME(step_loop)(FASTMLP_##name, decays, 1, count, step, penalized, g, w,        \
                                   state_1, state_2);                                              \
        return NAME(step_loop)(FASTMLP_##name, decays, 0, count, step, penalized, g, w, state_1,   \
                               state_2);                                                           \
    }
FASTMLP_OPTIMIZERS(STEP, _)
#undef STEP

/* ------------------------------------------------------------------------- clips and bounds */

static double NAME(gradient_squares)(size_t count, double scale_, double l2_, const void *g_,
                                     const void *w_) {
    const real *g = g_, *w = w_, scale = (real)scale_, l2 = (real)l2_;
    vec squares = {0};
    for (size_t i = 0; i < count; i += V) {
        const vec gradient = (load(g + i) + l2 * load(w + i)) * scale;
        squares += gradient * gradient;
    }
    return NAME(sum)(squares);
}

static void NAME(clip)(size_t count, double scale_, double l2_, double limit, void *g_,
                       const void *w_) {
    real *g = g_;
    const real *w = w_, scale = (real)scale_, l2 = (real)l2_;
    for (size_t i = 0; i < count; i += V)
        store(g + i, NAME(limit)((load(g + i) + l2 * load(w + i)) * scale, broadcast((real)limit)));
}

static int NAME(bound)(size_t m, double max_norm, void *w_) {
    real *w = w_;
    vec squares = {0};
    for (size_t i = 0; i < m; i++)
        squares += load(w + i * V) * load(w + i * V);
    const vec norms = NAME(square_root)(squares);
    vec factors = broadcast(1);
    int found = 0;
    for (size_t lane = 0; lane < V; lane++)
        if (norms[lane] > (real)max_norm)
            factors[lane] = (real)max_norm / norms[lane], found = 1;
    for (size_t i = 0; found && i < m; i++)
        store(w + i * V, factors * load(w + i * V));
    return found;
}

static int NAME(bound_narrow)(size_t n_panels, size_t n, double max_norm, void *w_) {
    int found = 0;
    for (size_t o = 0; o < n; o++) {
        real *w = (real *)w_ + o * V;
        vec squares = {0};
        for (size_t p = 0; p < n_panels; p++)
            squares += load(w + p * n * V) * load(w + p * n * V);
        const real norm = (real)__builtin_sqrt(NAME(sum)(squares)), factor = (real)max_norm / norm;
        if (!(norm > (real)max_norm))
            continue;
        for (size_t p = 0; p < n_panels; p++)
            store(w + p * n * V, factor * load(w + p * n * V));
        found = 1;
    }
    return found;
}
