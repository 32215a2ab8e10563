# Updates: clipping, the optimizer's step on a block of weights, bounds and averages of weights.
from fastmlp._core.gradients cimport Gradient, Span, has_bias, n_spans, span_of
from fastmlp._core.embeddings cimport average_share
from fastmlp._core.kernels cimport fastmlp_kernels, fastmlp_rescale_step, fastmlp_step
from fastmlp._core.network cimport Block, Layer, Run, in_units, least
from libc.math cimport INFINITY
from libc.string cimport memset


cdef inline void clear_unused(
    const Run *run, const Block *block, const Gradient *g,
) noexcept nogil:
    """Sets those lanes of a narrow layer's gradient to zero that belong to no weight."""
    cdef size_t lanes = run.kernels.lanes, real_size = run.kernels.real_size, i, at
    cdef Layer *layer = &run.layers[block.layer]
    if layer.fan_in % lanes and block.panel + block.n_panels == layer.n_panels:
        # these lanes of the activations are f(0), which is not zero for every f (logistic: 1/2)
        for i in range(block.n_rows):
            at = (block.n_panels - 1) * g.panel + i * lanes + layer.fan_in % lanes
            memset(g.weights + at * real_size, 0, (lanes - layer.fan_in % lanes) * real_size)
    if has_bias(layer, block):
        memset(g.bias + layer.fan_out * real_size, 0, (layer.n_bias - layer.fan_out) * real_size)


cdef inline double block_squares(
    const Run *run, const Block *block, const fastmlp_step *step, const Gradient *g,
) noexcept nogil:
    """Sum of squares of the gradient of one block."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef double squares = 0
    cdef Span span
    cdef size_t i
    if layer.narrow:
        clear_unused(run, block, g)
    for i in range(n_spans(layer, block)):
        span = span_of(run, block, g, i)
        squares += run.kernels.gradient_squares(
            span.count, step.scale, step.l2 if span.penalized else 0, span.gradient,
            layer.weights + span.at)
    return squares


cdef inline void clip_block(
    const Run *run, const Block *block, const fastmlp_step *step, const Gradient *g,
) noexcept nogil:
    """Replaces a block's summed gradient by its scaled, penalized and clipped gradient."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef Span span
    cdef size_t i
    for i in range(n_spans(layer, block)):
        span = span_of(run, block, g, i)
        run.kernels.clip(
            span.count, step.scale, step.l2 if span.penalized else 0, run.clip_value,
            span.gradient, layer.weights + span.at)


cdef inline void transpose_rows(
    const Run *run, const Layer *layer, size_t panel, size_t row, size_t n_rows,
) noexcept nogil:
    """Copies rows of a panel of weights to the transposed copy."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t vector = k.lanes * k.real_size, v, i
    cdef size_t fan_out = least(k.lanes, layer.fan_out - panel * k.lanes)
    for v in range(in_units(n_rows, k.lanes)):
        i = row + v * k.lanes
        k.transpose(
            least(k.lanes, row + n_rows - i), fan_out,
            layer.weights + (panel * layer.panel_rows + i) * vector,
            layer.transposed + (i // k.lanes * layer.fan_out + panel * k.lanes) * vector)


cdef inline void step_block(
    const Run *run, const Block *block, const fastmlp_step *step, const Gradient *g,
) noexcept nogil:
    """The optimizer's step on one block, and on its transposed copy."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef double squares = 0, penalty
    cdef fastmlp_step clipped
    cdef fastmlp_step rescaled[2]
    cdef const fastmlp_step *steps[2]   # of the biases and other vectors, and of the weights
    cdef Span span
    cdef size_t i
    if layer.narrow:
        clear_unused(run, block, g)
    if run.clip_value < INFINITY:
        clip_block(run, block, step, g)
        clipped = step[0]
        clipped.scale, clipped.l2 = 1, 0
        step = &clipped
    steps[0] = steps[1] = step
    if layer.bias_rate != 1:
        rescaled[0], steps[0] = step[0], &rescaled[0]
        fastmlp_rescale_step(run.optimizer, &run.settings, layer.bias_rate, &rescaled[0])
    if layer.rate != 1:
        rescaled[1], steps[1] = step[0], &rescaled[1]
        fastmlp_rescale_step(run.optimizer, &run.settings, layer.rate, &rescaled[1])
    for i in range(n_spans(layer, block)):
        span = span_of(run, block, g, i)
        penalty = k.step[run.optimizer](
            span.count, steps[span.penalized], span.penalized, span.gradient,
            layer.weights + span.at, layer.state[0] + span.at,
            NULL if layer.state[1] is NULL else layer.state[1] + span.at)
        if span.penalized:
            squares += penalty
            if layer.transposed is not NULL and not layer.narrow:
                transpose_rows(run, layer, block.panel + i, block.row, block.n_rows)
    run.squares[block - run.blocks] = squares


cdef inline void average_block(const Run *run, const Block *block) noexcept nogil:
    """Moves the moving average of one block towards its weights after a step."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef double share = average_share(run)
    cdef Span span
    cdef size_t i
    for i in range(n_spans(layer, block)):
        span = span_of(run, block, NULL, i)
        run.kernels.running_average(
            span.count, share, layer.weights + span.at, layer.averaged_weights + span.at)


cdef inline Block whole_column(const Run *run, const Block *block) noexcept nogil:
    """All rows of the block's panels; in a narrow layer, the whole layer."""
    cdef Layer *layer = &run.layers[block.layer]
    cdef Block column = block[0]
    column.n_rows = layer.panel_rows
    if layer.narrow:
        column.n_panels = layer.n_panels
    return column


cdef inline void bound_units(const Run *run, const Block *column) noexcept nogil:
    """Scales down the incoming weights of a column's units if their norm exceeds max_norm."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[column.layer]
    cdef size_t panel_size = layer.panel_rows * k.lanes * k.real_size, p
    if layer.narrow:
        k.bound_narrow(layer.n_panels, layer.fan_out, run.max_norm, layer.weights)
        return
    for p in range(column.panel, column.panel + column.n_panels):
        if (k.bound(layer.panel_rows, run.max_norm, layer.weights + p * panel_size)
                and layer.transposed is not NULL):
            transpose_rows(run, layer, p, 0, layer.panel_rows)
