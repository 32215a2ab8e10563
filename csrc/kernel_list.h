/* Every kernel: its contract and its signature, written here only.
 *
 * Define two macros, then include this file; it undefines them at its end.
 *     KERNEL(returns, name, (arguments))         a kernel that exists once
 *     KERNELS(returns, name, LIST, (arguments))  a kernel that exists once for each entry of
 *                                                FASTMLP_LIST
 * From these, fastmlp.h makes the table's type, kernels.h each table, and names.h the signatures
 * from which Python makes ctypes functions. The body of a KERNEL is NAME(name), the bodies of
 * KERNELS are NAME(name_entry). fastmlp.h defines the terms.
 */

/* ------------------------------------------------------------------------- inputs */

/* a[p][i][v] = x[rows[i]][p V + v]: m samples of n features, from x with byte strides to panels.
 * Lanes beyond n are not written; they stay zero because nothing else writes them either. */
KERNELS(void, gather, SOURCES,
        (size_t m, size_t n, const char *x, const intptr_t *rows, ptrdiff_t row_stride,
         ptrdiff_t column_stride, void *a, size_t a_panel))

/* Returns 1 if a, (m, n panels) in panels, holds no NaN and no infinity, else 0. */
KERNEL(int, all_finite, (size_t m, size_t n_panels, const void *a, size_t a_panel))

/* ------------------------------------------------------------------------- embeddings */

/* Units of the input layer from a column of a table: m rows, in panels from the first row of a.
 * Unit u is scales[u] e[u]. With x the number of a row, f the frequencies, w (terms, n) the weights,
 * and b the biases:
 *     number    e = (x)
 *     pbld      e = (x, b + sum_k w[k] cos(2 pi f[k] x + phases[k])): periodic, biased, linear,
 *               densely connected (Holzmueller, Grinsztajn and Steinwart, 2024)
 *     plr       e = max(0, b + sum_k w[k] cos(2 pi f[k] x) + w[terms + k] sin(2 pi f[k] x))
 *     periodic  e = (cos(2 pi f x), sin(2 pi f x)) (both: Gorishniy, Rubachev and Babenko, 2022)
 *     ple       e[u] = (x - weights[u]) / (weights[u + 1] - weights[u]), which is between 0, except
 *               in the first unit, and 1, except in the last: the piecewise linear encoding of the
 *               same paper. The weights are the edges of the bins and are not trained.
 *     category  e = the row of weights, table_row apart, that the code selects */
KERNELS(void, embed, EMBEDDINGS,
        (size_t m, const fastmlp_column *column, const fastmlp_table *table, const intptr_t *rows,
         const void *parameters, void *a, size_t a_panel))

/* Adds the gradient over m rows with deltas d of the column's units to g, which lies like the
 * parameters. `sums` is scratch: V reals for each trained parameter, without those of a category's
 * table. The gradient of the table is added to table_g, which lies like the table, unless that is
 * NULL. */
KERNELS(void, embedding_gradient, EMBEDDINGS,
        (size_t m, const fastmlp_column *column, const fastmlp_table *table, const intptr_t *rows,
         const void *parameters, const void *d, size_t d_panel, void *sums, void *g, void *table_g))

/* ------------------------------------------------------------------------- products */

/* c = bias + a w, then c = max(c, 0) if relu. a is (m, k) and c (m, n panels) in panels, bias is
 * (n panels, V). w is either (n panels, k, V), with w_row = V and w_panel = k V; or the first
 * n_panels V columns of a row-major (k, n) matrix, with w_row = n and w_panel = V. A row-major w
 * need not be aligned. */
KERNEL(void, forward,
       (size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *w,
        size_t w_row, size_t w_panel, const void *bias, int relu, void *c, size_t c_panel))

/* c = bias + a w, where a is the CSR rows rows[0..m) of x and w_panel = k V. */
KERNEL(void, forward_csr,
       (size_t m, size_t n_panels, const fastmlp_csr *x, const intptr_t *rows, const void *w,
        size_t w_panel, const void *bias, void *c, size_t c_panel))

/* A narrow output layer, whose weights w (k panels, n, V) lie along fan_in: z = bias + a w^T, with
 * z in columns (row panels, n, V): row r is lane r % V of row panel r / V. The result goes to rows
 * row..row + m of z; a points to the first of its m rows. row and m are multiples of mr. */
KERNEL(void, forward_narrow,
       (size_t row, size_t m, size_t n, size_t k, const void *a, size_t a_panel, const void *w,
        const void *bias, void *z))

/* c = (d wt) times the factor (enum fastmlp_factor): d is (m, k) in panels, wt is (n panels, k, V),
 * h and c are (m, n panels) with c_panel reals between panels. In delta_narrow, d is in columns and
 * its m rows begin at `row`. */
KERNEL(void, delta,
       (size_t m, size_t n_panels, size_t k, const void *d, size_t d_panel, const void *wt,
        int factor, const void *h, void *c, size_t c_panel))
KERNEL(void, delta_narrow,
       (size_t row, size_t m, size_t n_panels, size_t k, const void *d, const void *wt, int factor,
        const void *h, void *c, size_t c_panel))

/* g = a^T d over k samples, or g += a^T d if accumulate: g is (n panels, m, V). Unless sums is
 * NULL, it gets the column sums of d, as from column_sums. a points to the first of m columns
 * (inputs of the layer) of an array in panels: to lane 0 of a panel. The columns may continue in
 * later panels. */
KERNEL(void, gradient,
       (size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *d,
        size_t d_panel, int accumulate, void *g, size_t g_panel, void *sums))
/* The same for a narrow layer: a is its deltas in columns (row panels, width, V), of which the
 * first m are used, and d is its inputs. */
KERNEL(void, gradient_narrow,
       (size_t m, size_t width, size_t n_panels, size_t k, const void *a, const void *d,
        size_t d_panel, int accumulate, void *g, size_t g_panel))
/* g += x^T d for one panel: x is k CSR rows, d is (k, V), g is (features, V). */
KERNEL(void, gradient_csr,
       (size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d, void *g))

/* g = the sum of d's k rows, or g += it if accumulate: g is (n panels, V). In column_sums_narrow, d
 * is in columns and g is (n). */
KERNEL(void, column_sums,
       (size_t n_panels, size_t k, const void *d, size_t d_panel, int accumulate, void *g))
KERNEL(void, column_sums_narrow, (size_t n, size_t k, const void *d, int accumulate, void *g))

/* ------------------------------------------------------------------------- layouts */

/* wt[j V + i] = w[i V + j] for i < m <= V and j < n <= V: the transpose of m rows of a panel. */
KERNEL(void, transpose, (size_t m, size_t n, const void *w, void *wt))

/* mr rows of n columns, from panels to columns (n, mr) and back. from_columns also clears the
 * unused lanes of the last panel. */
KERNEL(void, to_columns, (size_t n, const void *c, size_t c_panel, void *z))
KERNEL(void, from_columns, (size_t n, const void *z, void *c, size_t c_panel))

/* ------------------------------------------------------------------------- activations */

/* h = f(h); activation_derivative also sets derivative = f'(h), taken at the old h. count is a
 * multiple of V. */
KERNELS(void, activation, ACTIVATIONS, (size_t count, void *h))
KERNELS(void, activation_derivative, ACTIVATIONS, (size_t count, void *h, void *derivative))

/* ------------------------------------------------------------------------- dropout */

/* Inverted dropout of h, m rows of n units in panels, and of derivative unless it is NULL. Whether
 * a unit is dropped depends on the key, the step, the layer, the row's number and the unit only. */
KERNEL(void, dropout,
       (size_t m, size_t n, const intptr_t *rows, const fastmlp_dropout *dropout, uint64_t step,
        void *h, void *derivative, size_t panel))
/* The same for the values of m CSR rows: out has the type and the layout of x->data. */
KERNEL(void, dropout_csr,
       (size_t m, const fastmlp_csr *x, const intptr_t *rows, const fastmlp_dropout *dropout,
        uint64_t step, void *out))

/* ------------------------------------------------------------------------- normalization */

/* Batch normalization: moments (2, n panels, V) are the mean and the variance of m rows of h, each
 * row weighted by weights[its number] (NULL: by 1). Returns the sum of the weights. */
KERNEL(double, moments,
       (size_t m, size_t n_panels, const intptr_t *rows, const double *weights, const void *h,
        size_t panel, void *moments))
/* The moments of all rows from those of n parts, parts (n, 2, n panels, V), and their weights. */
KERNEL(void, combine_moments,
       (size_t n, size_t n_panels, const double *weights, const void *parts, void *moments))
/* average += momentum (now - average) for count reals */
KERNEL(void, running_average, (size_t count, double momentum, const void *now, void *average))
/* x = (h - mean) / sqrt(variance + 1e-5), then h = scale x + shift: mean, variance, scale and shift
 * are (n panels, V). x may be NULL. */
KERNEL(void, normalize,
       (size_t m, size_t n_panels, const void *mean, const void *variance, const void *scale,
        const void *shift, void *x, void *h, size_t panel))
/* The gradients of scale and shift: the sums of d x and of d over m rows, where d is the loss's
 * derivative with respect to the normalized h. Added to what is there if accumulate. */
KERNEL(void, normalization_sums,
       (size_t m, size_t n_panels, const void *d, const void *x, size_t panel, int accumulate,
        void *scale, void *shift))
/* Turns d into the derivative with respect to h before normalization. sums (2, n panels, V) are
 * those of normalization_sums over the whole batch, total is the batch's weight. */
KERNEL(void, normalize_delta,
       (size_t m, size_t n_panels, const intptr_t *rows, const double *weights, double total,
        const void *x, const void *variance, const void *scale, const void *sums, void *d,
        size_t panel))

/* Normalization within each row of n units. trained (n vectors, n panels, V) is what it trains,
 * scale first. x is h before that is applied, inverse (m) what a row was multiplied by; both may be
 * NULL. Layer normalization is as normalize, with the mean and the variance of each row. */
KERNELS(void, normalize_rows, ROW_NORMALIZATIONS,
        (size_t m, size_t n, const void *trained, void *x, void *inverse, void *h, size_t panel))
/* Turns d into the derivative with respect to h before normalization, and leaves the gradients of
 * the trained vectors in sums, as normalization_sums does. */
KERNELS(void, normalize_rows_delta, ROW_NORMALIZATIONS,
        (size_t m, size_t n, const void *trained, const void *x, const void *inverse, void *d,
         size_t panel, int accumulate, void *sums))

/* ------------------------------------------------------------------------- elementwise */

/* y += x and y *= x; count is a multiple of V. */
KERNEL(void, add, (size_t count, const void *x, void *y))
KERNEL(void, multiply, (size_t count, const void *x, void *y))

/* ------------------------------------------------------------------------- outputs and losses */

/* The output activation of mr rows in columns, ldz reals between outputs, in place.
 * output_derivative also stores its derivatives (n, mr); it is NULL for softmax. */
KERNELS(void, output, OUTPUTS, (size_t n, void *z, size_t ldz))
KERNELS(void, output_derivative, ELEMENTWISE_OUTPUTS,
        (size_t n, void *z, size_t ldz, void *derivatives))
/* z *= derivatives (n, mr) */
KERNEL(void, multiply_derivatives, (size_t n, void *z, size_t ldz, const void *derivatives))

/* Returns the sum of weight * loss over the first m of mr rows in columns, and turns their
 * pre-activations z into that sum's derivative with respect to z; the loss applies its own output
 * activation. y depends on the loss's targets: reals (n_samples, n), uint8 labels (n_samples, n) or
 * int32 classes (n_samples). Row i has the targets y[rows[i]] and the weight weights[rows[i]]
 * (NULL: 1). A row's loss is the sum over its outputs, except that squared_error is their mean
 * (whereas its derivative is that of the sum), as in scikit-learn. */
KERNELS(double, loss, LOSSES,
        (size_t m, size_t n, void *z, size_t ldz, const void *y, const intptr_t *rows,
         const double *weights, const fastmlp_loss_settings *settings))

/* ------------------------------------------------------------------------- steps */

/* One optimizer step on `count` parameters (a multiple of V) with their summed gradient g and the
 * optimizer's state. Intercepts are not penalized: l2, decay and threshold do not apply to them.
 * Returns the sum of (1 - l1_ratio) w^2 + 2 l1_ratio |w| before the step, which is the penalty
 * divided by alpha / 2. */
KERNELS(double, step, OPTIMIZERS,
        (size_t count, const fastmlp_step *step, int penalized, const void *g, void *w,
         void *state_1, void *state_2))

/* The sum of squares of scale (g + l2 w), the batch's gradient with its penalty. */
KERNEL(double, gradient_squares,
       (size_t count, double scale, double l2, const void *g, const void *w))
/* g = scale (g + l2 w), each element clipped to -limit..limit */
KERNEL(void, clip, (size_t count, double scale, double l2, double limit, void *g, const void *w))

/* Scales down each column of w (m, V) whose norm exceeds max_norm. In bound_narrow, each of the n
 * rows of w (n_panels, n, V), over all panels. Returns whether any norm exceeded it. */
KERNEL(int, bound, (size_t m, double max_norm, void *w))
KERNEL(int, bound_narrow, (size_t n_panels, size_t n, double max_norm, void *w))

/* out = x[0] + x[1] + ..., added in this order: n arrays of `count` reals (a multiple of V),
 * `distance` reals apart. */
KERNEL(void, sum_arrays, (size_t count, size_t n, const void *x, size_t distance, void *out))

/* ------------------------------------------------------------------------- tests and benches */

/* The losses' exp and log of `count` reals, in place, for tests. */
KERNEL(void, exponential, (size_t count, void *x))
KERNEL(void, logarithm, (size_t count, void *x))

/* n rounds of independent multiply-adds in registers, whose speed is the ceiling for products.
 * Returns the number of flops. */
KERNEL(double, multiply_adds, (size_t n, void *sink))

#undef KERNEL
#undef KERNELS
