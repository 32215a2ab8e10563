/* The C interface of fastmlp: the lists, the kernel table, and the contract of every kernel.
 *
 * Kernels know no Python, no OpenMP and no allocation, and they cannot fail: whoever calls them has
 * checked every size. Each body is written once (kernels.h) in `real` and `vec` and compiled for
 * float and double and for every ISA; a table of pointers makes one type of all of them.
 *
 * Words. `real` is the computing type, V the lanes of a vector of it. A panel is (rows, V): rows
 * of one vector each. A matrix (rows, columns) in panels is (panels, rows, V), column j in lane
 * j % V of panel j / V, unused lanes zero; `x_panel` counts the reals between panels of x.
 * m, n, k, mr, nr are BLIS's words: the product is (m, k) times (k, n), its register tile mr rows
 * by nr vectors.
 *
 * Every array in panels is aligned to a vector. Sums run over k in an order that k alone fixes: an
 * element's bits depend neither on its neighbours nor on who computes it.
 */
#ifndef FASTMLP_H
#define FASTMLP_H

#include <stddef.h>
#include <stdint.h>

/* The lists. Each makes the enum, the table's entries, the names Python accepts, the tests and the
 * benches. */
#define FASTMLP_ACTIVATIONS(X)                                                                     \
    X(identity)                                                                                    \
    X(logistic)                                                                                    \
    X(tanh)                                                                                        \
    X(relu)                                                                                        \
    X(leaky_relu)                                                                                  \
    X(elu) X(selu) X(gelu) X(silu) X(mish) X(softplus) X(softsign) X(hard_tanh)
#define FASTMLP_OUTPUTS(X) FASTMLP_ACTIVATIONS(X) X(exp) X(softmax)
/* X(loss, the output activation that is in its kernel, its targets). Any other activation of reals
 * goes through output_slope; then the deviances stand for poisson and gamma. */
#define FASTMLP_LOSSES(X)                                                                          \
    X(squared_error, identity, reals)                                                              \
    X(absolute_error, identity, reals)                                                             \
    X(huber, identity, reals)                                                                      \
    X(log_cosh, identity, reals)                                                                   \
    X(quantile, identity, reals)                                                                   \
    X(poisson, exp, reals)                                                                         \
    X(poisson_deviance, identity, reals)                                                           \
    X(gamma, exp, reals)                                                                           \
    X(gamma_deviance, identity, reals)                                                             \
    X(log_loss, softmax, classes)                                                                  \
    X(binary_log_loss, logistic, labels)                                                           \
    X(focal, softmax, classes)                                                                     \
    X(binary_focal, logistic, labels)                                                              \
    X(brier, softmax, classes)                                                                     \
    X(binary_brier, logistic, labels)                                                              \
    X(hinge, identity, classes)                                                                    \
    X(binary_hinge, identity, labels)
#define FASTMLP_OPTIMIZERS(X) /* X(optimizer, arrays of state, whether it has weight decay) */     \
    X(sgd, 1, 0)                                                                                   \
    X(adam, 2, 0)                                                                                  \
    X(adamw, 2, 1)                                                                                 \
    X(nadam, 2, 0) X(radam, 2, 0) X(rmsprop, 1, 0) X(adagrad, 1, 0) X(lion, 1, 1) X(rprop, 2, 0)
#define FASTMLP_SOURCES(X) /* X(NumPy's name, C type) of the arrays that samples are read from */  \
    X(float32, float)                                                                              \
    X(float64, double)                                                                             \
    X(bool, uint8_t)                                                                               \
    X(int8, int8_t)                                                                                \
    X(uint8, uint8_t)                                                                              \
    X(int16, int16_t)                                                                              \
    X(uint16, uint16_t) X(int32, int32_t) X(uint32, uint32_t) X(int64, int64_t) X(uint64, uint64_t)
#define FASTMLP_ISAS(X) X(avx512) X(avx2) X(generic) /* best first */

#define FASTMLP_ENUM(name, ...) FASTMLP_##name,
enum fastmlp_activation { FASTMLP_ACTIVATIONS(FASTMLP_ENUM) FASTMLP_N_ACTIVATIONS };
#define FASTMLP_OUTPUT_ENUM(name) FASTMLP_OUTPUT_##name,
enum fastmlp_output { FASTMLP_OUTPUTS(FASTMLP_OUTPUT_ENUM) FASTMLP_N_OUTPUTS };
enum fastmlp_loss { FASTMLP_LOSSES(FASTMLP_ENUM) FASTMLP_N_LOSSES };
enum fastmlp_optimizer { FASTMLP_OPTIMIZERS(FASTMLP_ENUM) FASTMLP_N_OPTIMIZERS };
enum fastmlp_source { FASTMLP_SOURCES(FASTMLP_ENUM) FASTMLP_N_SOURCES };

/* What a delta is multiplied by: nothing; relu's derivative, by where its output h is not zero; the
 * activation's derivative, which the forward pass has left where the delta goes. */
enum fastmlp_factor { FASTMLP_no_factor, FASTMLP_where_positive, FASTMLP_times_slope };

/* What dropout of one layer's outputs needs. */
typedef struct {
    uint32_t key[2];    /* of the random numbers */
    uint32_t layer;     /* a number of its own */
    uint32_t threshold; /* of 16 random bits: below it a unit is dropped */
    double scale;       /* of the others */
} fastmlp_dropout;

/* What a loss needs beside its arrays. */
typedef struct {
    double delta;         /* huber: where it turns from a square to a line */
    double gamma;         /* focal: exponent */
    double smoothing;     /* log_loss: share of a target that is spread over all classes */
    const double *levels; /* quantile: (n), of each output */
} fastmlp_loss_settings;

/* What all steps of an optimizer have in common. */
typedef struct {
    double alpha, l1_ratio, weight_decay; /* the penalties, of coefficients only */
    double momentum, beta_1, beta_2, epsilon;
    int nesterov;
    int scheduled; /* sgd's velocity adds up gradients, not moves: PyTorch's way where rates change */
} fastmlp_settings;

/* What one step needs beside its arrays. */
typedef struct {
    double scale, l2;     /* the gradient proper is scale (g + l2 w) */
    double learning_rate; /* with the optimizer's bias correction in it */
    double ahead;         /* nadam: the same, of the gradient itself */
    double adaptive;      /* radam: 0 before it can be rectified */
    double decay;         /* share of the weights that is subtracted */
    double threshold;     /* of the L1 penalty, times the optimizer's denominator */
    double l1_ratio;
    double look_ahead, own; /* sgd moves by look_ahead velocity - own learning_rate gradient */
    double momentum, beta_1, beta_2, epsilon;
} fastmlp_step;

/* Step number t (from 1) on a batch whose sample weights sum to `weight`. */
void fastmlp_prepare_step(int optimizer, const fastmlp_settings *settings, uint64_t t,
                          double learning_rate, double weight, fastmlp_step *step);

/* Rows of a CSR matrix; indices are int32 or int64, data float or double. */
typedef struct {
    const int64_t *indptr;
    const void *indices, *data;
    int wide_indices; /* int64 */
    int double_data;
} fastmlp_csr;

typedef struct {
    const char *isa;
    size_t real_size, lanes, mr, nr;

    /* a[p][i][v] = x[rows[i]][p V + v]: m samples of n features from bytes `x` with byte strides.
     * Lanes beyond n are left as they are (zero, for nobody else writes them). */
    void (*gather[FASTMLP_N_SOURCES])(size_t m, size_t n, const char *x, const intptr_t *rows,
                                      ptrdiff_t row_stride, ptrdiff_t column_stride, void *a,
                                      size_t a_panel);

    /* Whether all of a, (m, n panels) in panels, is neither infinite nor NaN. */
    int (*all_finite)(size_t m, size_t n_panels, const void *a, size_t a_panel);

    /* c = bias + a w, with relu max(that, 0): a (m, k) and c (m, n panels) in panels, bias (n panels,
     * V), w (n panels, k, V) with w_row = V and w_panel = k V reals between its rows and panels; or
     * w (k, n) as it lies, the first n_panels V of its columns: w_row = n, w_panel = V, and it need
     * not be aligned. */
    void (*forward)(size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel,
                    const void *w, size_t w_row, size_t w_panel, const void *bias, int relu,
                    void *c, size_t c_panel);

    /* c = bias + a w with `a` the CSR rows rows[0..m) and w_panel = k V reals between panels. */
    void (*forward_csr)(size_t m, size_t n_panels, const fastmlp_csr *x, const intptr_t *rows,
                        const void *w, size_t w_panel, const void *bias, void *c, size_t c_panel);

    /* Narrow output layer, its weights (k panels, n, V) along fan_in: z = bias + a w^T, with z in
     * columns (row panels, n, V rows): row r in lane r % V of row panel r / V. The m rows begin
     * at `row`, a multiple of mr, of z; `a` points to that row already. m is a multiple of mr. */
    void (*forward_narrow)(size_t row, size_t m, size_t n, size_t k, const void *a, size_t a_panel,
                           const void *w, const void *bias, void *z);

    /* c = (d wt) times the factor: d (m, k) in panels, wt (n panels, k, V), h and c (m, n panels)
     * with the same distance between panels. `_narrow`: d in columns, beginning at `row`. */
    void (*delta)(size_t m, size_t n_panels, size_t k, const void *d, size_t d_panel,
                  const void *wt, int factor, const void *h, void *c, size_t c_panel);
    void (*delta_narrow)(size_t row, size_t m, size_t n_panels, size_t k, const void *d,
                         const void *wt, int factor, const void *h, void *c, size_t c_panel);

    /* g (+)= a^T d over k samples: g (n panels, m, V), and `sums` as column_sums has it, unless NULL.
     * a points to the first of m columns (inputs of the layer) of an array in panels; they may
     * cross panels, the first is lane 0 of one. `_narrow`: a is in columns (row panels, width, V
     * rows), of which the first m are used, and d is the activations. `_csr`: one panel, g
     * (features, V), g += x^T d. */
    void (*gradient)(size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel,
                     const void *d, size_t d_panel, int accumulate, void *g, size_t g_panel,
                     void *sums);
    void (*gradient_narrow)(size_t m, size_t width, size_t n_panels, size_t k, const void *a,
                            const void *d, size_t d_panel, int accumulate, void *g, size_t g_panel);
    void (*gradient_csr)(size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d,
                         void *g);

    /* Sums over k samples: g (n panels, V) (+)= d's rows; `_narrow`: g (n), d in columns. */
    void (*column_sums)(size_t n_panels, size_t k, const void *d, size_t d_panel, int accumulate,
                        void *g);
    void (*column_sums_narrow)(size_t n, size_t k, const void *d, int accumulate, void *g);

    /* w (m, V), rows of a panel, to wt: wt[j V + i] = w[i][j] for i < m <= V and j < n <= V. */
    void (*transpose)(size_t m, size_t n, const void *w, void *wt);

    /* (mr rows, n) from panels to columns (n, mr) and back. */
    void (*to_columns)(size_t n, const void *c, size_t c_panel, void *z);
    void (*from_columns)(size_t n, const void *z, void *c, size_t c_panel);

    /* Elementwise; count is a multiple of V. h = activation(h), and slope = activation'(h) of what h
     * was. */
    void (*activation[FASTMLP_N_ACTIVATIONS])(size_t count, void *h);
    void (*slope[FASTMLP_N_ACTIVATIONS])(size_t count, void *h, void *slope);

    /* Inverted dropout of m rows of n units of h, and of slope unless it is NULL. What is dropped
     * depends on the key, the step, the layer, the row's number and the unit alone. `_csr`: of the
     * values of CSR rows, into an array of their type that lies like the matrix's. */
    void (*dropout)(size_t m, size_t n, const intptr_t *rows, const fastmlp_dropout *dropout,
                    uint64_t step, void *h, void *slope, size_t panel);
    void (*dropout_csr)(size_t m, const fastmlp_csr *x, const intptr_t *rows,
                        const fastmlp_dropout *dropout, uint64_t step, void *out);

    /* Batch normalization. Moments (2, n panels, V) of m rows of h: their mean and variance, each row
     * weighted by weights[its number] (NULL: 1); returns the sum of weights. combine: the moments of
     * all from those of n parts and their weights. running_average: average += momentum (now -
     * average). */
    double (*moments)(size_t m, size_t n_panels, const intptr_t *rows, const double *weights,
                      const void *h, size_t panel, void *moments);
    void (*combine_moments)(size_t n, size_t n_panels, const double *weights, const void *parts,
                            void *moments);
    void (*running_average)(size_t count, double momentum, const void *now, void *average);
    /* x = (h - mean) / sqrt(variance + 1e-5) and h = scale x + shift, of (n panels, V) each; x may be
     * NULL. With d the derivative by that h: sums, of d x and d over rows, are the gradients of scale
     * and shift; normalize_delta makes of d the derivative by the h before, given these sums (2, n
     * panels, V) over the whole batch and its total weight. */
    void (*normalize)(size_t m, size_t n_panels, const void *mean, const void *variance,
                      const void *scale, const void *shift, void *x, void *h, size_t panel);
    void (*normalization_sums)(size_t m, size_t n_panels, const void *d, const void *x,
                               size_t panel, int accumulate, void *scale, void *shift);
    void (*normalize_delta)(size_t m, size_t n_panels, const intptr_t *rows, const double *weights,
                            double total, const void *x, const void *variance, const void *scale,
                            const void *sums, void *d, size_t panel);
    /* Layer normalization: the same with mean and variance over the n units of each row; `inverse`
     * (m) is 1 / sqrt(variance + 1e-5). x and inverse may be NULL. */
    void (*normalize_rows)(size_t m, size_t n, const void *scale, const void *shift, void *x,
                           void *inverse, void *h, size_t panel);
    void (*normalize_rows_delta)(size_t m, size_t n, const void *scale, const void *x,
                                 const void *inverse, void *d, size_t panel);

    /* y += x and y *= x; count is a multiple of V. */
    void (*add)(size_t count, const void *x, void *y);
    void (*multiply)(size_t count, const void *x, void *y);

    /* mr rows in columns, ldz reals between outputs. output: activation, in place. output_slope: the
     * same, and its derivative in `slopes` (n, mr); NULL for softmax. chain: z *= slopes. */
    void (*output[FASTMLP_N_OUTPUTS])(size_t n, void *z, size_t ldz);
    void (*output_slope[FASTMLP_N_OUTPUTS])(size_t n, void *z, size_t ldz, void *slopes);
    void (*chain)(size_t n, void *z, size_t ldz, const void *slopes);

    /* Of pre-activations z, mr rows in columns: returns the sum over the first m rows of weight *
     * loss, its own output activation applied, and z becomes that sum's derivative by z. y by the
     * targets: reals (n_samples, n), uint8 labels (n_samples, n), int32 classes (n_samples); sample
     * i is row rows[i] of it, and of weights (NULL: all one). Values are sums over the outputs, but
     * squared_error's, which is their mean (its derivative is the sum's), as in scikit-learn. */
    double (*loss[FASTMLP_N_LOSSES])(size_t m, size_t n, void *z, size_t ldz, const void *y,
                                     const intptr_t *rows, const double *weights,
                                     const fastmlp_loss_settings *settings);

    /* One step on `count` (a multiple of V) parameters, their summed gradient g and the optimizer's
     * state. Intercepts are not penalized: neither l2 nor decay nor threshold are theirs. Returns the
     * sum of (1 - l1_ratio) w^2 + 2 l1_ratio |w| before it: the penalty but for alpha / 2. */
    double (*step[FASTMLP_N_OPTIMIZERS])(size_t count, const fastmlp_step *step, int penalized,
                                         const void *g, void *w, void *state_1, void *state_2);

    /* The sum of squares of the gradient proper, and g = the gradient proper, each element within
     * -limit..limit. */
    double (*gradient_squares)(size_t count, double scale, double l2, const void *g, const void *w);
    void (*clip)(size_t count, double scale, double l2, double limit, void *g, const void *w);

    /* Scales down the columns of w (m, V) whose norm exceeds max_norm; `_narrow`: of w (n_panels, n,
     * V) the n rows, each over all panels. Returns whether any did. */
    int (*bound)(size_t m, double max_norm, void *w);
    int (*bound_narrow)(size_t n_panels, size_t n, double max_norm, void *w);

    /* out = x[0] + x[1] + ... of n arrays of `count` (a multiple of V) reals, `distance` apart. */
    void (*sum_arrays)(size_t count, size_t n, const void *x, size_t distance, void *out);

    /* elementwise math of the losses, for tests: exp and log of `count` reals in place */
    void (*exponential)(size_t count, void *x);
    void (*logarithm)(size_t count, void *x);

    /* n rounds of independent multiply-adds in registers; returns the number of flops (the ceiling
     * that speeds are compared with). */
    double (*multiply_adds)(size_t n, void *sink);
} fastmlp_kernels;

#define FASTMLP_DECLARE_ISA(name)                                                                  \
    extern const fastmlp_kernels fastmlp_##name##_float_kernels, fastmlp_##name##_double_kernels;
FASTMLP_ISAS(FASTMLP_DECLARE_ISA)

/* The table of an ISA (enum fastmlp_isa) and type; NULL where build or processor lack it. */
enum fastmlp_isa { FASTMLP_ISAS(FASTMLP_ENUM) FASTMLP_N_ISAS };
const fastmlp_kernels *fastmlp_kernel_table(int isa, int is_double);

/* Denormal numbers are flushed to zero inside the engine's threads, and the old state restored:
 * they cost a hundred times an ordinary number, and Adam's moments decay into them. */
uint64_t fastmlp_flush_denormals(void);
void fastmlp_restore_denormals(uint64_t state);

#endif
