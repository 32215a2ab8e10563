# Gradients: of a block of weights over a micro-batch, or of all layers over a range of rows.
from fastmlp._core.backward cimport backward_rows
from fastmlp._core.forward cimport differentiate_rows, forward_rows
from fastmlp._core.kernels cimport fastmlp_csr, fastmlp_kernels
from fastmlp._core.network cimport (
    GRADIENT, Block, Layer, Run, least,
)
from fastmlp._core.team cimport fastmlp_lap
from libc.stdint cimport intptr_t, uint64_t
from libc.string cimport memset


# Where the gradient of a block is: in the layer's gradient, or else in a thread's scratch.
cdef struct Gradient:
    char *weights                       # (n_panels, n_rows, V)
    size_t panel                        # reals between its panels
    char *bias
    size_t vector                       # reals from bias to scale, and on to what follows


# Parameters of a block that are contiguous in memory: its rows of a panel of weights, or its part
# of the bias or of a vector that follows it. All loops over a block's parameters go through its
# spans.
cdef struct Span:
    size_t at                           # bytes from the layer's first weight, or in state, averages
    size_t count                        # reals, a multiple of V
    char *gradient
    bint penalized                      # true for weights, which have a transposed copy


cdef inline bint has_bias(const Layer *layer, const Block *block) noexcept nogil:
    """Whether the step on this block includes its panels' bias: if it is the first block of a
    panel, or of a narrow layer."""
    return block.row == 0 and not (layer.narrow and block.panel)


cdef inline size_t n_spans(const Layer *layer, const Block *block) noexcept nogil:
    return block.n_panels + (layer.n_vectors if has_bias(layer, block) else 0)


cdef inline Span span_of(
    const Run *run, const Block *block, const Gradient *gradient, size_t i,
) noexcept nogil:
    """Span i of a block: its panels, then bias and what follows it. gradient may be NULL."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t lanes = run.kernels.lanes, real_size = run.kernels.real_size, j
    cdef Span span
    span.penalized, span.gradient = i < block.n_panels, NULL
    if span.penalized:
        span.at = ((block.panel + i) * layer.panel_rows + block.row) * lanes * real_size
        span.count = block.n_rows * lanes
        if gradient is not NULL:
            span.gradient = gradient.weights + i * gradient.panel * real_size
    else:
        j = i - block.n_panels
        span.at = layer.n_panels * layer.panel_rows * lanes + j * layer.n_bias
        span.count = layer.n_bias
        if not layer.narrow:
            span.at += block.panel * lanes
            span.count = block.n_panels * lanes
        span.at *= real_size
        if gradient is not NULL:
            span.gradient = gradient.bias + j * gradient.vector * real_size
    return span


cdef inline Gradient place_gradient(
    const Run *run, const Block *block, char *scratch,
) noexcept nogil:
    """Where the gradient of a block goes."""
    cdef size_t lanes = run.kernels.lanes, vector = lanes * run.kernels.real_size
    cdef Layer *layer = &run.layers[block.layer]
    cdef Gradient g
    if layer.gradient is NULL:
        g.weights, g.panel = scratch, block.n_rows * lanes
        g.bias = scratch + block.n_panels * block.n_rows * vector
        g.vector = block.n_panels * lanes
    else:
        g.weights = layer.gradient + (block.panel * layer.panel_rows + block.row) * vector
        g.panel = layer.panel_rows * lanes
        g.bias = layer.gradient + layer.n_panels * layer.panel_rows * vector
        g.vector = layer.n_bias
        if not layer.narrow:
            g.bias += block.panel * vector
    return g


cdef inline void sum_csr_gradient(
    const Run *run, const Block *block, const intptr_t *rows, size_t m, bint add,
    const Gradient *g,
) noexcept nogil:
    """The gradient of a block of layer 0 over m rows of sparse X."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t vector = k.lanes * k.real_size, j
    cdef const char *deltas = (
        run.layers[0].deltas + block.panel * run.stride * k.real_size)
    cdef fastmlp_csr csr = run.samples.csr
    cdef char *panel
    if run.dropped is not NULL:
        csr.data = run.dropped
    for j in range(block.n_panels):
        panel = g.weights + j * g.panel * k.real_size
        if not add:
            memset(panel, 0, block.n_rows * vector)
        k.gradient_csr(m, &csr, rows, deltas + j * run.stride * k.real_size, panel)
    if block.row == 0:
        k.column_sums(block.n_panels, m, deltas, run.stride, add, g.bias)


cdef inline Gradient sum_gradient(
    const Run *run,
    const Block *block,
    const intptr_t *rows,       # IN  (m) row numbers of the micro-batch
    size_t m,
    bint add,                   # add to the gradient of the batch's earlier micro-batches
    size_t n_row_blocks,        # row blocks of the batch's first micro-batch
    char *scratch,
) noexcept nogil:
    """The gradient of one block over a micro-batch."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t j
    cdef Gradient g = place_gradient(run, block, scratch)
    if layer.narrow:
        k.gradient_narrow(
            block.n_rows, layer.fan_out, block.n_panels, m, layer.deltas,
            layer.inputs + block.panel * run.stride * k.real_size, run.stride, add, g.weights,
            g.panel)
        if block.panel == 0:
            k.column_sums_narrow(layer.fan_out, m, layer.deltas, add, g.bias)
        return g
    if block.layer == 0 and run.samples.sparse:
        sum_csr_gradient(run, block, rows, m, add, &g)
    else:
        k.gradient(
            block.n_rows, block.n_panels, m,
            layer.inputs + block.row // k.lanes * run.stride * k.real_size, run.stride,
            layer.deltas + block.panel * run.stride * k.real_size, run.stride, add, g.weights,
            g.panel, NULL if block.row else g.bias)
    if block.row == 0:
        # the row blocks' sums already include the batch's earlier micro-batches
        for j in range(layer.n_vectors - 1):
            k.sum_arrays(
                block.n_panels * k.lanes, n_row_blocks,
                layer.row_sums + (j * layer.n_bias + block.panel * k.lanes) * k.real_size,
                (layer.n_vectors - 1) * layer.n_bias, g.bias + (j + 1) * g.vector * k.real_size)
    return g


cdef inline void sum_layer_gradients(
    const Run *run, size_t at, size_t m, bint add, char *gradient,
) noexcept nogil:
    """The gradients of all layers over m rows of the workspace, in a partial gradient."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t vector = k.lanes * k.real_size, l
    cdef char *g
    cdef char *bias
    cdef char *deltas
    cdef Layer *layer
    for l in range(run.n_layers):
        layer = &run.layers[l]
        if layer.frozen:
            continue
        g = gradient + layer.gradient_at * k.real_size
        bias = g + layer.n_panels * layer.panel_rows * vector
        if layer.narrow:
            deltas = layer.deltas + at * layer.fan_out * k.real_size
            k.gradient_narrow(
                layer.fan_out, layer.fan_out, layer.n_panels, m, deltas,
                layer.inputs + at * vector, run.stride, add, g, layer.panel_rows * k.lanes)
            k.column_sums_narrow(layer.fan_out, m, deltas, add, bias)
        else:
            k.gradient(
                layer.fan_in, layer.n_panels, m, layer.inputs + at * vector, run.stride,
                layer.deltas + at * vector, run.stride, add, g, layer.panel_rows * k.lanes, bias)


cdef inline void add_partial(
    const Run *run,
    size_t i,                   # number of the partial gradient
    const intptr_t *rows,       # IN  (n_rows) row numbers of its range
    size_t n_rows,
    size_t at,                  # this thread's first row of the workspace
    bint add,
    uint64_t number,            # steps taken, for dropout
    double *losses,             # OUT (n_rows / mr)
    char *scratch,
    double *clock,
) noexcept nogil:
    """Carries a range of rows, a few at a time, through the network and back, and sums the gradient
    of all layers while they are in cache."""
    cdef size_t row = 0, m, size = run.partial_size * run.kernels.real_size
    cdef char *gradient = run.partial_gradients + i * size
    if n_rows == 0 and not add:
        memset(gradient, 0, size)
    while row < n_rows:
        m = least(n_rows - row, run.partial_rows)
        forward_rows(run, rows + row, at, m, number, clock)
        differentiate_rows(run, rows + row, at, m, losses + row // run.kernels.mr, scratch, clock)
        backward_rows(run, rows + row, at, m, 0, add, gradient, number, clock)
        sum_layer_gradients(run, at, m, add, gradient)
        fastmlp_lap(clock, GRADIENT)
        add = True
        row += m


cdef inline Gradient sum_partials(const Run *run, const Block *block, char *scratch) noexcept nogil:
    """The gradient of one block: the sum of its partial gradients, in their order."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef Gradient g = place_gradient(run, block, scratch)
    cdef char *partials = run.partial_gradients + layer.gradient_at * run.kernels.real_size
    cdef Span span
    cdef size_t i
    for i in range(n_spans(layer, block)):
        span = span_of(run, block, &g, i)
        run.kernels.sum_arrays(
            span.count, run.n_partials, partials + span.at, run.partial_size, span.gradient)
    return g
