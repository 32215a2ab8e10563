/* The optimizers' steps. Included by kernels.h, once for each type. */

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
