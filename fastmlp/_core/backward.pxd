# Backward: deltas carried down through the layers, and to the inputs if requested.
from fastmlp._core.kernels cimport FASTMLP_no_factor, fastmlp_kernels
from fastmlp._core.network cimport (
    DELTA, Layer, Run, by_row, in_units, least, scale_of,
)
from fastmlp._core.team cimport fastmlp_lap
from libc.stdint cimport intptr_t, uint64_t
from libc.string cimport memcpy


cdef inline void delta_rows(const Run *run, size_t l, size_t at, size_t m) noexcept nogil:
    """Carries the deltas of m rows from layer l + 1 down to layer l, through its activation."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l + 1]
    cdef Layer *below = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, p, first
    cdef bint skip = layer.residual or below.residual
    cdef char *c = (below.upstream if skip else below.deltas) + at * vector
    cdef int factor = FASTMLP_no_factor if skip else below.factor
    if layer.narrow:
        k.delta_narrow(
            at, m, below.n_panels, layer.fan_out, layer.deltas, layer.transposed, factor,
            below.outputs + at * vector, c, run.stride)
    else:
        k.delta(
            m, below.n_panels, layer.fan_out, layer.deltas + at * vector, run.stride,
            layer.transposed, factor, below.outputs + at * vector, c, run.stride)
    if skip:
        for p in range(below.n_panels):
            first = p * run.stride * k.real_size + at * vector
            if layer.residual:
                k.add(m * k.lanes, layer.upstream + first, below.upstream + first)
            k.multiply(m * k.lanes, below.upstream + first, below.deltas + first)


cdef inline void input_delta_rows(
    const Run *run, const intptr_t *rows, size_t at, size_t m, uint64_t number,
) noexcept nogil:
    """Carries layer 0's deltas of m rows to the inputs, and stores them in run.input_gradient,
    unless it is NULL."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[0]
    cdef size_t n = layer.fan_in, real = k.real_size, p, i, width
    cdef char *c = run.input_deltas + at * k.lanes * real
    cdef char *out
    k.delta(
        m, in_units(n, k.lanes), layer.fan_out, layer.deltas + at * k.lanes * real, run.stride,
        layer.transposed, FASTMLP_no_factor, NULL, c, run.stride)
    if run.input_dropout.threshold > 0:
        k.dropout(m, n, rows, &run.input_dropout, number, c, NULL, run.stride)
    if run.input_gradient is NULL:
        return
    out = run.input_gradient + <size_t>(rows - run.order) * n * real
    for p in range(in_units(n, k.lanes)):
        width = least(k.lanes, n - p * k.lanes) * real
        for i in range(m):
            memcpy(out + (i * n + p * k.lanes) * real,
                   c + (p * run.stride + i * k.lanes) * real, width)


cdef inline void backward_rows(
    const Run *run,
    const intptr_t *rows,       # IN  (m) row numbers
    size_t at,
    size_t m,
    size_t block,               # number of the row block
    bint add,
    char *partial_gradient,     # that of the rows' range, or NULL
    uint64_t number,
    double *clock,
) noexcept nogil:
    """Carries the deltas of m rows from the last layer down to the lowest that needs them.

    The gradients of what normalization trains are summed on the way: in the partial gradient if
    there is one, else in the row block's sums.
    """
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer
    cdef size_t l, here = at * k.lanes * k.real_size
    cdef char *sums
    for l in range(run.n_layers - 1, run.lowest_delta, -1):
        delta_rows(run, l - 1, at, m)
        layer = &run.layers[l - 1]
        if by_row(layer):
            if partial_gradient is not NULL:
                sums = partial_gradient + k.real_size * (
                    layer.gradient_at + layer.n_panels * layer.panel_rows * k.lanes + layer.n_bias)
            else:
                sums = layer.row_sums + block * (layer.n_vectors - 1) * layer.n_bias * k.real_size
            k.normalize_rows_delta[layer.normalization](
                m, layer.fan_out, scale_of(run, layer), layer.normalized + here,
                layer.inverse + at * k.real_size, layer.deltas + here, run.stride, add, sums)
    if run.input_deltas is not NULL:
        input_delta_rows(run, rows, at, m, number)
    fastmlp_lap(clock, DELTA)
