# Batch normalization: a batch goes through the network layer by layer.
from fastmlp._core.backward cimport delta_rows, input_delta_rows
from fastmlp._core.forward cimport differentiate_rows, finish_rows, gather_rows, multiply_rows
from fastmlp._core.kernels cimport fastmlp_kernels
from fastmlp._core.network cimport (
    DELTA, FORWARD, ROW_BLOCK, WAIT, Layer, Run, boundary, in_units, scale_of,
)
from fastmlp._core.team cimport fastmlp_barrier, fastmlp_lap
from libc.stdint cimport intptr_t, uint64_t

cdef extern from *:
    """
    #define FASTMLP_RUNNING_MOMENTUM 0.1 /* PyTorch's */
    """
    const double RUNNING_MOMENTUM "FASTMLP_RUNNING_MOMENTUM"


# A thread's row blocks of a batch. Their boundaries do not depend on the number of threads, and
# every thread adds the sums of all row blocks for itself, in their order.
cdef struct RowBlocks:
    const intptr_t *order               # IN  (n_rows) row numbers of the batch
    size_t n_rows, n_blocks
    size_t first, stop                  # this thread's
    uint64_t number                     # steps taken, for dropout
    double weight                       # the batch's sum of weights
    int thread, n_threads
    double *clock


cdef inline bint takes_moments(const Run *run, size_t l) noexcept nogil:
    """Whether layer l is normalized by the batch's moments. A frozen layer is normalized by its
    running statistics."""
    return l + 1 < run.n_layers and not run.layers[l].frozen


cdef inline size_t rows_of_block(
    const Run *run, const RowBlocks *blocks, size_t block, size_t *row,
) noexcept nogil:
    """Where a row block begins, in row; returns how many rows it has."""
    row[0] = boundary(blocks.n_rows, run.kernels.mr, block, blocks.n_blocks)
    return boundary(blocks.n_rows, run.kernels.mr, block + 1, blocks.n_blocks) - row[0]


cdef inline void batch_normalized_forward(
    Run *run, const RowBlocks *blocks, char *scratch,
) noexcept nogil:
    """A batch forward, layer by layer, to the derivative of the loss. The threads pass a barrier at
    each layer that is normalized by the batch's moments."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t block, l, row, m, size
    cdef char *moments = NULL
    cdef const intptr_t *rows
    cdef Layer *layer
    for l in range(run.n_layers):
        layer = &run.layers[l]
        size = 2 * layer.n_bias * k.real_size
        for block in range(blocks.first, blocks.stop):
            m = rows_of_block(run, blocks, block, &row)
            rows = blocks.order + row
            if l == 0:
                gather_rows(run, rows, row, m, blocks.number, blocks.clock)
            else:
                finish_rows(run, l - 1, rows, row, m, blocks.number, moments)
            multiply_rows(run, l, rows, row, m)
            if takes_moments(run, l):
                run.row_block_weights[l * blocks.n_blocks + block] = k.moments(
                    m, layer.n_panels, rows, run.samples.sample_weight,
                    layer.outputs + row * k.lanes * k.real_size, run.stride,
                    layer.row_moments + block * size)
            elif l + 1 == run.n_layers:
                fastmlp_lap(blocks.clock, FORWARD)
                differentiate_rows(
                    run, rows, row, m, run.row_losses + row // k.mr, scratch, blocks.clock)
        fastmlp_lap(blocks.clock, FORWARD)
        moments = NULL
        if takes_moments(run, l):
            fastmlp_barrier(&run.arrived, &run.barriers, blocks.n_threads)
            fastmlp_lap(blocks.clock, WAIT)
            moments = layer.moments + <size_t>blocks.thread * size
            k.combine_moments(
                blocks.n_blocks, layer.n_panels, run.row_block_weights + l * blocks.n_blocks,
                layer.row_moments, moments)


cdef inline void batch_normalized_backward(Run *run, const RowBlocks *blocks) noexcept nogil:
    """The batch's deltas back through the layers. The threads pass a barrier at each layer that is
    normalized by the batch's moments."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t block, l, row, m, size, real = k.real_size
    cdef char *sums
    cdef char *deltas
    cdef char *normalized
    cdef Layer *layer
    for l in range(run.n_layers - 1, run.lowest_delta, -1):
        layer = &run.layers[l - 1]
        size = 2 * layer.n_bias * real
        for block in range(blocks.first, blocks.stop):
            m = rows_of_block(run, blocks, block, &row)
            delta_rows(run, l - 1, row, m)
            normalized = layer.normalized + row * k.lanes * real
            deltas = layer.deltas + row * k.lanes * real
            if layer.frozen:  # its statistics do not depend on the batch, so its sums stay zero
                k.normalize_delta(
                    m, layer.n_panels, blocks.order + row, NULL, 1, normalized, layer.variance,
                    scale_of(run, layer), layer.sums, deltas, run.stride)
            else:
                sums = layer.row_sums + block * size
                k.normalization_sums(
                    m, layer.n_panels, deltas, normalized, run.stride, False, sums,
                    sums + layer.n_bias * real)
        fastmlp_lap(blocks.clock, DELTA)
        if layer.frozen:
            continue
        fastmlp_barrier(&run.arrived, &run.barriers, blocks.n_threads)
        fastmlp_lap(blocks.clock, WAIT)
        sums = layer.sums + <size_t>blocks.thread * size
        k.sum_arrays(2 * layer.n_bias, blocks.n_blocks, layer.row_sums, 2 * layer.n_bias, sums)
        for block in range(blocks.first, blocks.stop):
            m = rows_of_block(run, blocks, block, &row)
            normalized = layer.normalized + row * k.lanes * real
            deltas = layer.deltas + row * k.lanes * real
            k.normalize_delta(
                m, layer.n_panels, blocks.order + row, run.samples.sample_weight, blocks.weight,
                normalized, layer.moments + <size_t>blocks.thread * size + layer.n_bias * real,
                scale_of(run, layer), sums, deltas, run.stride)
        fastmlp_lap(blocks.clock, DELTA)
    if run.input_deltas is not NULL:
        for block in range(blocks.first, blocks.stop):
            m = rows_of_block(run, blocks, block, &row)
            input_delta_rows(run, blocks.order + row, row, m, blocks.number)


cdef inline void batch_normalized_rows(
    Run *run,
    const intptr_t *order,      # IN  (n_rows) row numbers of the batch
    size_t n_rows,
    uint64_t number,
    double weight,              # the batch's sum of weights
    int thread,
    int n_threads,
    char *scratch,
    double *clock,
) noexcept nogil:
    """A batch forward and back, layer by layer, because each layer is normalized by moments of the
    whole batch."""
    cdef RowBlocks blocks
    blocks.order, blocks.n_rows, blocks.n_blocks = order, n_rows, in_units(n_rows, ROW_BLOCK)
    blocks.first = blocks.n_blocks * <size_t>thread // <size_t>n_threads
    blocks.stop = blocks.n_blocks * <size_t>(thread + 1) // <size_t>n_threads
    blocks.number, blocks.weight = number, weight
    blocks.thread, blocks.n_threads, blocks.clock = thread, n_threads, clock
    batch_normalized_forward(run, &blocks, scratch)
    batch_normalized_backward(run, &blocks)


cdef inline void update_statistics(const Run *run, double share) noexcept nogil:
    """Moves the running statistics towards the batch's moments; share: its rows / batch size."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer
    cdef size_t l
    for l in range(run.n_layers - 1):
        layer = &run.layers[l]
        if takes_moments(run, l):
            k.running_average(layer.n_bias, share * RUNNING_MOMENTUM, layer.moments, layer.mean)
            k.running_average(layer.n_bias, share * RUNNING_MOMENTUM,
                              layer.moments + layer.n_bias * k.real_size, layer.variance)
