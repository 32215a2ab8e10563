# What a team of threads reads while it works: layers, blocks of weights, the run.
# Arrays in panels lie as csrc/fastmlp.h describes; V is the number of lanes of a vector.
from fastmlp._core.dataset cimport Samples
from fastmlp._core.kernels cimport (
    FASTMLP_where_positive, N_ROW_NORMALIZATIONS, NO_NORMALIZATION, fastmlp_column,
    fastmlp_dropout, fastmlp_kernels, fastmlp_loss_settings, fastmlp_settings,
)
from libc.stdint cimport intptr_t, uint64_t


cdef enum:
    ROW_BLOCK = 64          # rows carried through all layers at a time, while they are in cache
    ROW_PADDING = 64        # unused rows between two threads' rows in a panel, against prefetching
    WEIGHT_BLOCK = 16       # rows of a panel in a block of weights, a multiple of every V
    STAGES = 8              # stages of a slice, if each thread has a network to itself
    # phases that a thread's clock tells apart, after the time of the last lap
    GATHER = 1
    FORWARD = 2
    LOSS = 3
    DELTA = 4
    GRADIENT = 5
    STEP = 6
    WAIT = 7
    N_CLOCK = 8


cdef struct Layer:
    size_t fan_in, fan_out
    int activation                      # FASTMLP_ACTIVATIONS; the last layer's is the loss's
    int factor                          # factor of the deltas: FASTMLP_no_factor ...
    bint narrow                         # weights lie along fan_in, outputs in columns
    size_t n_panels, panel_rows         # panels of weights along fan_out; narrow: along fan_in
    char *weights                       # (n_panels, panel_rows, V)
    size_t w_row, w_panel               # reals between its rows and panels: V, panel_rows V;
    # or weights is a coef, read in place: fan_out, V; its last panel, if of fewer than V columns:
    char *ragged                        # (fan_in, V) or NULL
    char *bias                          # (n_panels, V); narrow: (fan_out), and zeros to n_bias
    size_t n_bias                       # reals in bias; what normalization trains follows it
    size_t n_vectors                    # vectors that are trained: the bias, and its followers
    char *transposed                    # (fan_in panels, fan_out, V); narrow: weights; or NULL
    bint frozen                         # not trained
    double rate, bias_rate              # factors of the learning rate: weights, and all others
    # arrays of weights, followed by bias and its followers, as in the layer's own weights
    char *state[2]                      # the optimizer's state
    char *averaged_weights              # exponential or stochastic average, or NULL
    char *gradient                      # or NULL: never needed as a whole
    size_t gradient_at                  # where it begins in a partial gradient, in reals
    char *inputs                        # (fan_in panels, capacity + 1, V)
    char *outputs                       # (fan_out panels, capacity + 1, V); narrow: columns
    char *deltas                        # as outputs; NULL in predictions
    fastmlp_dropout dropout             # threshold 0: none
    int normalization                   # FASTMLP_NORMALIZATIONS
    char *mean                          # (n_panels, V) batch normalization's running statistics
    char *variance
    char *normalized                    # as outputs: before scale and shift
    char *inverse                       # (capacity) what each row was multiplied by, if by_row
    char *moments                       # (n_threads, 2, n_panels, V) the batch's mean, variance
    char *sums                          # (n_threads, 2, n_panels, V) gradients of scale, shift
    char *row_moments                   # (row blocks, 2, n_panels, V) before they are combined
    char *row_sums                      # (row blocks, n_vectors - 1, n_panels, V) likewise
    bint residual                       # adds its inputs to its outputs
    char *upstream                      # as outputs: the derivative with respect to them, for skips


# A column of a table, embedded in units of the input layer.
cdef struct Column:
    int kind                            # FASTMLP_EMBEDDINGS
    fastmlp_column place
    size_t at, count                    # reals of its trained arrays, except scales and a table
    size_t n_levels                     # levels of a trained table; 0 if there is none


# The units of the input layer that a table's columns become; without columns, the units are X.
cdef struct InputLayer:
    Column *columns
    size_t n_columns
    # arrays that lie alike
    char *parameters
    char *gradient                      # a table's is zero between batches
    char *averaged
    char *state[2]
    double scale_rate, embedding_rate   # factors of the learning rate
    double scale_decay                  # factor of the weight decay


# A part of a layer's weights, of a size that does not depend on the number of threads.
cdef struct Block:
    size_t layer, panel, n_panels, row, n_rows  # or the layer is n_layers, and row a column
    double middle                       # cost of the blocks before it and of half of it


# Work that one thread takes first; others take what it has not begun.
cdef struct WorkRange:
    size_t next, stop
    char padding[112]                   # keeps two threads' ranges in different cache lines


cdef struct Run:
    const fastmlp_kernels *kernels
    Layer *layers
    size_t n_layers
    InputLayer inputs
    size_t lowest_delta                 # deltas are carried down to this layer
    int output, loss, optimizer
    bint fused_output                   # the loss's kernel applies the output activation
    fastmlp_loss_settings loss_settings
    Samples samples
    size_t stride                       # reals between panels of the workspace: (capacity + 1) V
    # small networks: the batch in n_partials ranges of rows, each with its own gradient; 0: none
    size_t n_partials, partial_rows     # rows carried at a time, each thread in its own part
    size_t thread_rows                  # from one thread's part to the next
    char *partial_gradients             # (n_partials, partial_size)
    size_t partial_size                 # reals, all layers' weights and biases
    # the pass: batches, each cut into micro-batches that fit the workspace
    fastmlp_dropout input_dropout
    char *dropped                       # sparse X: its values after dropout, in the matrix's type
    double *row_block_weights           # (n_layers, row blocks) sums of weights, for moments
    const intptr_t *order               # IN  (n_epochs, n_rows) row numbers into samples
    size_t order_stride                 # between epochs; 0: the same order in each
    size_t n_rows, n_batches, batch_size, micro_batch_rows, micro_batches_per_batch
    const double *batch_weights         # IN  (n_epochs, n_batches) sums of weights; NULL: all one
    bint take_steps
    bint update_statistics              # without steps: let running statistics follow the batch
    fastmlp_settings settings
    const double *rates                 # IN  learning rates of the pass's steps, rate_stride apart;
    size_t rate_stride                  # 0: one for all
    double clip_norm, clip_value, max_norm  # INFINITY: none
    bint average                        # keep the exponential moving averages of the weights
    uint64_t n_steps                    # taken so far
    uint64_t first_step                 # taken before the pass
    int normalization
    bint fixed_row_blocks               # they must not depend on the number of threads
    # the blocks of weights
    const Block *blocks
    size_t n_blocks
    double cost
    WorkRange *row_ranges               # (n_threads)
    WorkRange *block_ranges             # (n_threads)
    WorkRange *spare_ranges             # (n_threads) the same, for another round of the blocks
    double *squares                     # OUT (n_blocks) penalties before the step, by alpha / 2
    double *gradient_squares            # OUT (n_blocks) for clip_norm
    double *row_losses                  # OUT (micro_batch_rows / mr) sums of the losses of mr rows;
    #                                     predictions: (n_rows / mr), or NULL
    char *input_deltas                  # (fan_in panels, capacity + 1, V), or NULL: not wanted
    char *input_gradient                # OUT (n_rows, n_features), with input_deltas; or NULL
    char *scratch                       # (n_threads, scratch_bytes)
    size_t scratch_bytes
    double *clocks                      # OUT (n_threads, N_CLOCK), or NULL
    double batch_loss                   # sum over the micro-batches so far
    double *losses                      # OUT (n_epochs) sums over batches of loss * rows
    double step_weight                  # sum of the weights of the batch, for `apply_step`
    int arrived                         # threads at the present barrier, and barriers passed
    unsigned barriers
    unsigned stages                     # stages of a slice that are done, in ensembles
    # predictions
    size_t next_block                   # the first that no thread has taken
    size_t row_block                    # rows of a block
    char *predictions                   # OUT (n_rows, fan_out of the last layer), C order
    bint not_finite                     # OUT whether an input was NaN or infinite


cdef inline size_t least(size_t x, size_t y) noexcept nogil:
    return x if x < y else y


cdef inline size_t in_units(size_t n, size_t unit) noexcept nogil:
    """Number of units that hold n things."""
    return (n + unit - 1) // unit


cdef inline size_t boundary(size_t n, size_t unit, size_t i, size_t n_parts) noexcept nogil:
    """Where part i of n things begins, in whole units."""
    return least(n, in_units(n, unit) * i // n_parts * unit)


cdef inline bint by_row(const Layer *layer) noexcept nogil:
    """Whether a layer is normalized, and each row by itself."""
    return layer.normalization < N_ROW_NORMALIZATIONS


cdef inline size_t columns_bytes(const Run *run) noexcept nogil:
    """Bytes of mr rows of outputs in columns, in whole vectors."""
    cdef size_t fan_out = run.layers[run.n_layers - 1].fan_out
    return in_units(fan_out * run.kernels.mr * run.kernels.real_size, 64) * 64


cdef inline bint relu_in_product(const Run *run, size_t l) noexcept nogil:
    """Whether relu is applied to the product's tile in registers."""
    return (run.layers[l].factor == FASTMLP_where_positive
            and run.layers[l].normalization == NO_NORMALIZATION
            and not (l == 0 and run.samples.sparse))


cdef inline char *scale_of(const Run *run, const Layer *layer) noexcept nogil:
    """The first of what normalization trains."""
    return layer.bias + layer.n_bias * run.kernels.real_size


cdef inline char *shift_of(const Run *run, const Layer *layer) noexcept nogil:
    return layer.bias + 2 * layer.n_bias * run.kernels.real_size
