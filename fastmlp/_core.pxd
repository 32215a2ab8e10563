# The C interface (csrc/fastmlp.h) as Cython sees it. See there for what each kernel does.
from libc.stdint cimport int64_t, intptr_t, uint32_t, uint64_t

cdef extern from "fastmlp.h" nogil:
    enum:
        FASTMLP_N_ACTIVATIONS
        FASTMLP_N_OUTPUTS
        FASTMLP_N_LOSSES
        FASTMLP_N_OPTIMIZERS
        FASTMLP_N_SOURCES
        FASTMLP_N_ISAS
        FASTMLP_identity
        FASTMLP_relu
        FASTMLP_no_factor
        FASTMLP_where_positive
        FASTMLP_times_derivative

    ctypedef struct fastmlp_dropout:
        uint32_t key[2]
        uint32_t layer, threshold
        double scale

    ctypedef struct fastmlp_loss_settings:
        double delta, gamma, smoothing
        const double *levels

    ctypedef struct fastmlp_settings:
        double alpha, l1_ratio, weight_decay, momentum, beta_1, beta_2, epsilon
        int nesterov, scheduled

    ctypedef struct fastmlp_step:
        double scale, l2

    void fastmlp_prepare_step(
        int optimizer, const fastmlp_settings *settings, uint64_t t, double learning_rate,
        double weight, fastmlp_step *step) noexcept nogil

    ctypedef struct fastmlp_csr:
        const int64_t *indptr
        const void *indices
        const void *data
        int wide_indices, double_data

    ctypedef struct fastmlp_kernels:
        const char *isa
        size_t real_size, lanes, mr, nr
        void (**gather)(
            size_t m, size_t n, const char *x, const intptr_t *rows, ptrdiff_t row_stride,
            ptrdiff_t column_stride, void *a, size_t a_panel) noexcept nogil
        void (*forward)(
            size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *w,
            size_t w_row, size_t w_panel, const void *bias, int relu, void *c,
            size_t c_panel) noexcept nogil
        void (*forward_csr)(
            size_t m, size_t n_panels, const fastmlp_csr *x, const intptr_t *rows, const void *w,
            size_t w_panel, const void *bias, void *c, size_t c_panel) noexcept nogil
        void (*forward_narrow)(
            size_t row, size_t m, size_t n, size_t k, const void *a, size_t a_panel,
            const void *w, const void *bias, void *z) noexcept nogil
        void (*delta)(
            size_t m, size_t n_panels, size_t k, const void *d, size_t d_panel, const void *wt,
            int factor, const void *h, void *c, size_t c_panel) noexcept nogil
        void (*delta_narrow)(
            size_t row, size_t m, size_t n_panels, size_t k, const void *d, const void *wt,
            int factor, const void *h, void *c, size_t c_panel) noexcept nogil
        void (*gradient)(
            size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *d,
            size_t d_panel, int accumulate, void *g, size_t g_panel, void *sums) noexcept nogil
        void (*gradient_narrow)(
            size_t m, size_t width, size_t n_panels, size_t k, const void *a, const void *d,
            size_t d_panel, int accumulate, void *g, size_t g_panel) noexcept nogil
        void (*gradient_csr)(
            size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d,
            void *g) noexcept nogil
        void (*column_sums)(
            size_t n_panels, size_t k, const void *d, size_t d_panel, int accumulate,
            void *g) noexcept nogil
        void (*column_sums_narrow)(
            size_t n, size_t k, const void *d, int accumulate, void *g) noexcept nogil
        void (*transpose)(size_t m, size_t n, const void *w, void *wt) noexcept nogil
        int (*all_finite)(size_t m, size_t n_panels, const void *a, size_t a_panel) noexcept nogil
        void (*to_columns)(size_t n, const void *c, size_t c_panel, void *z) noexcept nogil
        void (*from_columns)(size_t n, const void *z, void *c, size_t c_panel) noexcept nogil
        void (**activation)(size_t count, void *h) noexcept nogil
        void (**activation_derivative)(size_t count, void *h, void *derivative) noexcept nogil
        void (**output)(size_t n, void *z, size_t ldz) noexcept nogil
        void (**output_derivative)(
            size_t n, void *z, size_t ldz, void *derivatives) noexcept nogil
        void (*multiply_derivatives)(
            size_t n, void *z, size_t ldz, const void *derivatives) noexcept nogil
        double (**loss)(
            size_t m, size_t n, void *z, size_t ldz, const void *y, const intptr_t *rows,
            const double *weights, const fastmlp_loss_settings *settings) noexcept nogil
        double (**step)(
            size_t count, const fastmlp_step *step, int penalized, const void *g, void *w,
            void *state_1, void *state_2) noexcept nogil
        double (*gradient_squares)(
            size_t count, double scale, double l2, const void *g, const void *w) noexcept nogil
        void (*clip)(
            size_t count, double scale, double l2, double limit, void *g,
            const void *w) noexcept nogil
        bint (*bound)(size_t m, double max_norm, void *w) noexcept nogil
        bint (*bound_narrow)(size_t n_panels, size_t n, double max_norm, void *w) noexcept nogil
        void (*dropout)(
            size_t m, size_t n, const intptr_t *rows, const fastmlp_dropout *dropout, uint64_t step,
            void *h, void *derivative, size_t panel) noexcept nogil
        void (*dropout_csr)(
            size_t m, const fastmlp_csr *x, const intptr_t *rows, const fastmlp_dropout *dropout,
            uint64_t step, void *out) noexcept nogil
        double (*moments)(
            size_t m, size_t n_panels, const intptr_t *rows, const double *weights, const void *h,
            size_t panel, void *moments) noexcept nogil
        void (*combine_moments)(
            size_t n, size_t n_panels, const double *weights, const void *parts,
            void *moments) noexcept nogil
        void (*running_average)(
            size_t count, double momentum, const void *now, void *average) noexcept nogil
        void (*normalize)(
            size_t m, size_t n_panels, const void *mean, const void *variance, const void *scale,
            const void *shift, void *x, void *h, size_t panel) noexcept nogil
        void (*normalization_sums)(
            size_t m, size_t n_panels, const void *d, const void *x, size_t panel, int accumulate,
            void *scale, void *shift) noexcept nogil
        void (*normalize_delta)(
            size_t m, size_t n_panels, const intptr_t *rows, const double *weights, double total,
            const void *x, const void *variance, const void *scale, const void *sums, void *d,
            size_t panel) noexcept nogil
        void (*normalize_rows)(
            size_t m, size_t n, const void *scale, const void *shift, void *x, void *inverse,
            void *h, size_t panel) noexcept nogil
        void (*normalize_rows_delta)(
            size_t m, size_t n, const void *scale, const void *x, const void *inverse, void *d,
            size_t panel) noexcept nogil
        void (*add)(size_t count, const void *x, void *y) noexcept nogil
        void (*multiply)(size_t count, const void *x, void *y) noexcept nogil
        void (*sum_arrays)(
            size_t count, size_t n, const void *x, size_t distance, void *out) noexcept nogil
        double (*multiply_adds)(size_t n, void *sink) noexcept nogil

    const fastmlp_kernels *fastmlp_kernel_table(int isa, int is_double)


cdef extern from "denormals.h" nogil:
    uint64_t fastmlp_flush_denormals()
    void fastmlp_restore_denormals(uint64_t state)


cdef extern from "team.h" nogil:
    int FASTMLP_OPENMP
    void fastmlp_lap(double *clock, int phase) noexcept
    size_t fastmlp_claim(size_t *next) noexcept
    void fastmlp_set(bint *flag) noexcept
    void fastmlp_await(const unsigned *count, unsigned n) noexcept
    void fastmlp_count(unsigned *count, unsigned n) noexcept
    void fastmlp_barrier(int *arrived, unsigned *passed, int n) noexcept
    int fastmlp_team_size() noexcept
    int fastmlp_max_threads() noexcept


cdef extern from "names.h":
    enum:
        FASTMLP_N_KERNELS

    ctypedef struct fastmlp_signature:
        const char *returns
        const char *name
        const char *arguments
        const char *list
        size_t offset

    const fastmlp_signature fastmlp_signatures[]
    const char *const fastmlp_activation_names[]
    const char *const fastmlp_output_names[]
    const char *const fastmlp_loss_names[]
    const int fastmlp_loss_outputs[]
    const char *const fastmlp_loss_targets[]
    const char *const fastmlp_optimizer_names[]
    const char *const fastmlp_source_names[]
    const char *const fastmlp_isa_names[]
    const int fastmlp_optimizer_slots[]
    const int fastmlp_optimizer_decays[]
    const char *FASTMLP_COMPILER


# NumPy's random bits: the public struct of numpy/random/bitgen.h, that every BitGenerator's capsule
# holds.
ctypedef struct bitgen_t:
    void *state
    uint64_t (*next_uint64)(void *state) noexcept nogil
    uint32_t (*next_uint32)(void *state) noexcept nogil
    double (*next_double)(void *state) noexcept nogil
    uint64_t (*next_raw)(void *state) noexcept nogil


# What a team of threads reads while it works. Arrays in panels as fastmlp.h describes them.
cdef struct Samples:
    bint sparse
    int source                          # FASTMLP_SOURCES
    const char *x                       # IN  dense: (n_samples, n_features) by byte strides
    ptrdiff_t row_stride, column_stride
    fastmlp_csr csr                     # IN  sparse
    const void *y                       # IN  as the loss's kernel wants it
    const double *weights               # IN  (n_samples) or NULL


cdef struct Layer:
    size_t fan_in, fan_out
    int activation                      # FASTMLP_ACTIVATIONS; the last layer's is the loss's
    int factor                          # of the deltas: FASTMLP_no_factor ...
    bint narrow                         # weights lie along fan_in, outputs in columns
    size_t n_panels, panel_rows         # of weights, along fan_out; narrow: along fan_in
    char *weights                       # (n_panels, panel_rows, V)
    size_t w_row, w_panel               # reals between its rows and panels: V, panel_rows V;
    # or weights is a coef as it lies: fan_out, V; and its last panel, if of fewer columns than V:
    char *ragged                        # (fan_in, V) or NULL
    char *bias                          # (n_panels, V); narrow: (fan_out), and zeros to n_bias
    size_t n_bias                       # reals in bias; normalized: its scale and shift follow it
    char *transposed                    # (fan_in panels, fan_out, V); narrow: weights; or NULL
    bint frozen                         # never stepped on
    char *state[2]                      # as weights and bias, one after the other
    char *averaged                      # likewise, or NULL
    char *gradient                      # likewise; NULL: never wanted whole
    size_t gradient_at                  # where it begins in a share's gradient, in reals
    char *inputs                        # (fan_in panels, capacity + 1, V)
    char *outputs                       # (fan_out panels, capacity + 1, V); narrow: columns
    char *deltas                        # as outputs; NULL in predictions
    fastmlp_dropout dropout             # threshold 0: none
    int normalization                   # NO_NORMALIZATION ...
    char *mean                          # (n_panels, V) batch normalization's running averages
    char *variance
    char *normalized                    # as outputs: before scale and shift
    char *inverse                       # (capacity) layer normalization: 1 / deviation of each row
    char *moments                       # (n_threads, 2, n_panels, V) the batch's mean, variance
    char *sums                          # (n_threads, 2, n_panels, V) gradients of scale, shift
    char *row_moments                   # (row units, 2, n_panels, V) before they are combined
    char *row_sums                      # likewise
    bint residual                       # adds its inputs to its outputs
    char *upstream                      # as outputs: the derivative by them, if a skip needs it


# A part of a layer's weights, of a size that does not depend on the number of threads.
cdef struct Block:
    size_t layer, panel, n_panels, row, n_rows
    double middle                       # its place on the line of all blocks, in units of cost


# Units of work that one thread takes first; others take what it has not begun.
cdef struct Part:
    size_t next, stop
    char apart[112]                     # no other thread's part in the same cache lines


cdef struct Run:
    const fastmlp_kernels *kernels
    Layer *layers
    size_t n_layers
    size_t first_trained                # no delta goes below this layer
    int output, loss, optimizer
    bint chained                        # the output activation is not in the loss's kernel
    fastmlp_loss_settings loss_settings
    Samples samples
    size_t stride                       # reals between panels of the workspace: (capacity + 1) V
    # small networks: the batch in shares of rows, each with a gradient of its own; 0: none
    size_t n_shares, share_rows         # rows carried at a time, each thread in its own part
    size_t thread_rows                  # from one thread's part to the next
    char *share_gradients               # (n_shares, share_size)
    size_t share_size                   # reals, all layers' weights and biases
    # the pass: batches, each cut into chunks that fit the workspace
    fastmlp_dropout input_dropout
    char *dropped                       # sparse X: its values after dropout, in the matrix's type
    double *unit_weights                # (row units) sums of weights, for batch normalization
    const intptr_t *order               # IN  (n_epochs, n_rows) row numbers into samples
    size_t order_stride                 # between epochs; 0: the same order in each
    size_t n_rows, n_batches, batch_size, chunk_rows, chunks_per_batch
    const double *batch_weights         # IN  (n_epochs, n_batches) sums of weights; NULL: all one
    bint take_steps
    fastmlp_settings settings
    const double *rates                 # IN  learning rates of the pass's steps, rate_stride apart;
    size_t rate_stride                  # 0: one for all
    double clip_norm, clip_value, max_norm  # INFINITY: none
    bint average                        # keep the exponential moving averages of the weights
    uint64_t n_steps                    # taken so far
    uint64_t first_step                 # taken before the pass
    int normalization
    bint fixed_units                    # units of rows must not depend on the number of threads
    # the blocks of weights
    const Block *blocks
    size_t n_blocks
    double cost
    Part *row_parts                     # (n_threads)
    Part *block_parts                   # (n_threads)
    Part *later_parts                   # (n_threads) the same, for another round of the blocks
    double *squares                     # OUT (n_blocks) penalties before the step, by alpha / 2
    double *gradient_squares            # OUT (n_blocks) for clip_norm
    double *row_losses                  # OUT (chunk_rows / mr) sums of the losses of mr rows;
    #                                     predictions: (n_rows / mr), or NULL
    char *scratch                       # (n_threads, scratch_bytes)
    size_t scratch_bytes
    double *clocks                      # OUT (n_threads, N_CLOCK), or NULL
    double batch_loss                   # of the chunks so far
    double *losses                      # OUT (n_epochs) sums over batches of loss * rows
    int arrived                         # threads at the meeting under way, and meetings held
    unsigned meetings
    unsigned pieces                     # done of a slice, where one thread at a time is at it
    # predictions
    size_t next_block                   # the first that no thread has taken
    size_t row_block                    # rows of a block
    char *predictions                   # OUT (n_rows, fan_out of the last layer), C order
    bint not_finite                     # OUT whether an input was NaN or infinite
