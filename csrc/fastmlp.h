/* The C interface of fastmlp: the lists, the structs that kernels read, and the kernel table. The
 * contract of every kernel is in kernel_list.h.
 *
 * Kernels use no Python, no OpenMP and no allocation, and they cannot fail, because their callers
 * have checked every size. Each body is written once (kernels.h) in `real` and `vec` and compiled
 * for float and double and for every ISA. All tables have the same type.
 *
 * Terms. `real` is the computing type, V the number of lanes in a vector of it. A panel is (rows,
 * V): one vector per row. A matrix (rows, columns) in panels is (panels, rows, V), with column j in
 * lane j % V of panel j / V and zeros in unused lanes; `x_panel` is the number of reals between
 * panels of x. A matrix in columns is (row panels, columns, V), with row r in lane r % V of row
 * panel r / V. m, n, k, mr and nr are BLIS's: a product is (m, k) times (k, n), its register tile
 * is mr rows by nr vectors.
 *
 * Every array in panels is aligned to a vector. The order of a sum over k depends on k only, so the
 * bits of an element depend neither on its neighbours nor on the thread that computes it.
 */
#ifndef FASTMLP_H
#define FASTMLP_H

#include <stddef.h>
#include <stdint.h>

/* The lists. From each are generated an enum, the entries of the kernel table, the names that
 * Python accepts, the parameters of tests and the rows of benches. A list calls X(c, name, ...) for
 * each entry, with the caller's c. */
/* X(c, activation, low, high, positive): the bounds of its outputs (infinite too if no check needs
 * the bound, as below elu's); whether losses of positive predictions take it. */
#define FASTMLP_ACTIVATIONS(X, c)                                                                  \
    X(c, identity, -INFINITY, INFINITY, 0)                                                         \
    X(c, logistic, 0, 1, 1)                                                                        \
    X(c, tanh, -1, 1, 0)                                                                           \
    X(c, relu, 0, INFINITY, 0)                                                                     \
    X(c, leaky_relu, -INFINITY, INFINITY, 0)                                                       \
    X(c, elu, -INFINITY, INFINITY, 0)                                                              \
    X(c, selu, -INFINITY, INFINITY, 0)                                                             \
    X(c, gelu, -INFINITY, INFINITY, 0)                                                             \
    X(c, silu, -INFINITY, INFINITY, 0)                                                             \
    X(c, mish, -INFINITY, INFINITY, 0)                                                             \
    X(c, softplus, 0, INFINITY, 1)                                                                 \
    X(c, softsign, -1, 1, 0)                                                                       \
    X(c, hard_tanh, -1, 1, 0)
#define FASTMLP_ELEMENTWISE_OUTPUTS(X, c) FASTMLP_ACTIVATIONS(X, c) X(c, exp, 0, INFINITY, 1)
#define FASTMLP_OUTPUTS(X, c) FASTMLP_ELEMENTWISE_OUTPUTS(X, c) X(c, softmax, 0, 1, 0)
/* X(c, loss, output activation that the loss's kernel applies, its targets). A loss of reals takes
 * other output activations too, through output_derivative; there the deviances replace poisson and
 * gamma. */
#define FASTMLP_LOSSES(X, c)                                                                       \
    X(c, squared_error, identity, reals)                                                           \
    X(c, absolute_error, identity, reals)                                                          \
    X(c, huber, identity, reals)                                                                   \
    X(c, log_cosh, identity, reals)                                                                \
    X(c, quantile, identity, reals)                                                                \
    X(c, poisson, exp, reals)                                                                      \
    X(c, poisson_deviance, identity, reals)                                                        \
    X(c, gamma, exp, reals)                                                                        \
    X(c, gamma_deviance, identity, reals)                                                          \
    X(c, log_loss, softmax, classes)                                                               \
    X(c, binary_log_loss, logistic, labels)                                                        \
    X(c, focal, softmax, classes)                                                                  \
    X(c, binary_focal, logistic, labels)                                                           \
    X(c, brier, softmax, classes)                                                                  \
    X(c, binary_brier, logistic, labels)                                                           \
    X(c, hinge, identity, classes)                                                                 \
    X(c, binary_hinge, identity, labels)
/* X(c, optimizer, arrays of state, whether it has weight decay, which of the estimators' parameters
 * momentum, nesterovs_momentum, beta_1, beta_2, epsilon and l1_ratio it takes) */
#define FASTMLP_OPTIMIZERS(X, c)                                                                   \
    X(c, sgd, 1, 0, "momentum nesterovs_momentum l1_ratio")                                        \
    X(c, adam, 2, 0, "beta_1 beta_2 epsilon l1_ratio")                                             \
    X(c, adamw, 2, 1, "beta_1 beta_2 epsilon l1_ratio")                                            \
    X(c, nadam, 2, 0, "beta_1 beta_2 epsilon l1_ratio")                                            \
    X(c, radam, 2, 0, "beta_1 beta_2 epsilon l1_ratio")                                            \
    X(c, rmsprop, 1, 0, "beta_2 epsilon l1_ratio")                                                 \
    X(c, adagrad, 1, 0, "epsilon l1_ratio")                                                        \
    X(c, lion, 1, 1, "beta_1 beta_2")                                                              \
    X(c, rprop, 2, 0, "")
/* X(c, normalization, vectors that are trained beside the bias, vectors of running statistics): a
 * vector has a number for each unit. The first ones stay within a row, and are kernels
 * (normalize_rows); batch normalization is a pass of its own. */
#define FASTMLP_ROW_NORMALIZATIONS(X, c) X(c, layer, 2, 0)
#define FASTMLP_NORMALIZATIONS(X, c)                                                               \
    FASTMLP_ROW_NORMALIZATIONS(X, c)                                                               \
    X(c, batch, 2, 2)                                                                              \
    X(c, none, 0, 0)
/* X(c, NumPy's name, C type) of arrays that samples are read from */
#define FASTMLP_SOURCES(X, c)                                                                      \
    X(c, float32, float)                                                                           \
    X(c, float64, double)                                                                          \
    X(c, bool, uint8_t)                                                                            \
    X(c, int8, int8_t)                                                                             \
    X(c, uint8, uint8_t)                                                                           \
    X(c, int16, int16_t)                                                                           \
    X(c, uint16, uint16_t)                                                                         \
    X(c, int32, int32_t)                                                                           \
    X(c, uint32, uint32_t)                                                                         \
    X(c, int64, int64_t)                                                                           \
    X(c, uint64, uint64_t)
/* X(c, embedding, what it reads of a row) of a table's column; the formulas are in kernel_list.h */
#define FASTMLP_EMBEDDINGS(X, c)                                                                   \
    X(c, number, numbers)                                                                          \
    X(c, pbld, numbers)                                                                            \
    X(c, plr, numbers)                                                                             \
    X(c, periodic, numbers)                                                                        \
    X(c, ple, numbers)                                                                             \
    X(c, category, codes)
#define FASTMLP_ISAS(X, c) X(c, avx512) X(c, avx2) X(c, generic) /* best first */

#define FASTMLP_ENUM(prefix, name, ...) prefix##name,
enum fastmlp_activation { FASTMLP_ACTIVATIONS(FASTMLP_ENUM, FASTMLP_) FASTMLP_N_ACTIVATIONS };
enum fastmlp_output { FASTMLP_OUTPUTS(FASTMLP_ENUM, FASTMLP_OUTPUT_) FASTMLP_N_OUTPUTS };
#define FASTMLP_N_ELEMENTWISE_OUTPUTS FASTMLP_N_OUTPUTS /* the entries of the others are NULL */
enum fastmlp_loss { FASTMLP_LOSSES(FASTMLP_ENUM, FASTMLP_) FASTMLP_N_LOSSES };
enum fastmlp_optimizer { FASTMLP_OPTIMIZERS(FASTMLP_ENUM, FASTMLP_) FASTMLP_N_OPTIMIZERS };
enum fastmlp_normalization {
    FASTMLP_NORMALIZATIONS(FASTMLP_ENUM, FASTMLP_NORMALIZATION_) FASTMLP_N_NORMALIZATIONS
};
#define FASTMLP_N_ROW_NORMALIZATIONS FASTMLP_NORMALIZATION_batch /* the first of the others */
enum fastmlp_source { FASTMLP_SOURCES(FASTMLP_ENUM, FASTMLP_) FASTMLP_N_SOURCES };
enum fastmlp_embedding {
    FASTMLP_EMBEDDINGS(FASTMLP_ENUM, FASTMLP_EMBEDDING_) FASTMLP_N_EMBEDDINGS
};
enum fastmlp_isa { FASTMLP_ISAS(FASTMLP_ENUM, FASTMLP_) FASTMLP_N_ISAS };

/* The factor of a delta: 1; relu's derivative, which is 1 where its output h is not zero, else 0;
 * or the activation's derivative, which the forward pass has stored where the delta goes. */
enum fastmlp_factor { FASTMLP_no_factor, FASTMLP_where_positive, FASTMLP_times_derivative };

/* The dropout of one layer's outputs. */
typedef struct {
    uint32_t key[2];    /* key of the random numbers */
    uint32_t layer;     /* number of the layer */
    uint32_t threshold; /* a unit is dropped if its 16 random bits are below it */
    double scale;       /* factor of the units that are kept */
} fastmlp_dropout;

/* The settings of the losses. */
typedef struct {
    double delta;         /* huber: the error at which it changes from quadratic to linear */
    double gamma;         /* focal: exponent */
    double smoothing;     /* log_loss: share of a target that is spread over all classes */
    const double *levels; /* quantile: (n), the level of each output */
} fastmlp_loss_settings;

/* The settings of an optimizer. */
typedef struct {
    double alpha, l1_ratio, weight_decay; /* penalties on coefficients; intercepts have none */
    double momentum, beta_1, beta_2, epsilon;
    int nesterov;
    int scheduled; /* rates vary: sgd's velocity sums gradients, not moves, as in PyTorch */
} fastmlp_settings;

/* The coefficients of one step. */
typedef struct {
    double scale, l2;     /* the penalized gradient is scale (g + l2 w) */
    double learning_rate; /* includes the optimizer's bias correction */
    double ahead;         /* nadam: learning rate of the gradient itself */
    double adaptive;      /* radam: 1, or 0 while the variance cannot be rectified yet */
    double decay;         /* share of the weights that is subtracted */
    double threshold;     /* soft threshold of the L1 penalty, times the optimizer's denominator */
    double l1_ratio;
    double look_ahead, own; /* sgd moves by look_ahead velocity - own learning_rate gradient */
    double momentum, beta_1, beta_2, epsilon;
} fastmlp_step;

/* Computes the coefficients of step t (from 1) on a batch whose sample weights sum to `weight`. */
void fastmlp_prepare_step(int optimizer, const fastmlp_settings *settings, uint64_t t,
                          double learning_rate, double weight, fastmlp_step *step);

/* Multiplies the learning rate of a step, except where it multiplies the weight decay. */
void fastmlp_rescale_step(int optimizer, const fastmlp_settings *settings, double factor,
                          fastmlp_step *step);

/* A CSR matrix. */
typedef struct {
    const int64_t *indptr;
    const void *indices, *data;
    int wide_indices; /* whether indices are int64, else int32 */
    int double_data;  /* whether data is double, else float */
} fastmlp_csr;

/* The samples of a table: in each row its numbers, of the computing type, and its codes. */
typedef struct {
    const void *values; /* (n_samples, n_values) */
    const void *codes;  /* (n_samples, n_codes) uint8_t, uint16_t or int32_t */
    size_t n_values, n_codes;
    int code_bytes; /* 1, 2 or 4 */
} fastmlp_table;

/* A column of a table, embedded in units of the input layer. The last five say where in the
 * parameters its arrays begin, in reals; each begins at a multiple of V. */
typedef struct {
    size_t source;        /* its column in values or codes */
    size_t unit, n_units; /* its units: unit, unit + 1 ... */
    size_t n_terms;       /* frequencies */
    size_t table_row;     /* reals between two levels in a category's table */
    size_t scales, frequencies, phases, weights, biases;
} fastmlp_column;
#define FASTMLP_MAX_UNITS 64 /* the most units that one column may have */

/* The table of one ISA and type: its sizes, and a pointer to each kernel, or an array of pointers
 * with one for each entry of a list. */
typedef struct {
    const char *isa;
    size_t real_size, lanes, mr, nr;
#define KERNEL(returns, name, arguments) returns(*name) arguments;
#define KERNELS(returns, name, LIST, arguments) returns(*name[FASTMLP_N_##LIST]) arguments;
#include "kernel_list.h"
} fastmlp_kernels;

#define FASTMLP_DECLARE_ISA(c, name)                                                               \
    extern const fastmlp_kernels fastmlp_##name##_float_kernels, fastmlp_##name##_double_kernels;
FASTMLP_ISAS(FASTMLP_DECLARE_ISA, _)

/* The table of an ISA (enum fastmlp_isa) and type; NULL if the build or the processor lacks it. */
const fastmlp_kernels *fastmlp_kernel_table(int isa, int is_double);

#endif
