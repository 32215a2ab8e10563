# Embeddings: the units of the input layer from a table's columns, their gradients and their steps.
#
# One thread works on a column at a time, over all rows of a micro-batch. Of a trained table, only
# the levels that occur in a batch take a step ("lazy", as torch.optim.SparseAdam): their gradients
# are set to zero afterwards, so that all gradients of tables are zero between batches.
from fastmlp._core.kernels cimport fastmlp_kernels, fastmlp_rescale_step, fastmlp_step
from fastmlp._core.network cimport Block, Column, InputLayer, Run, in_units
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, intptr_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memset


cdef inline bint is_column(const Run *run, const Block *block) noexcept nogil:
    """Whether a block is not of a layer's weights, but of a column's parameters."""
    return block.layer == run.n_layers


cdef inline void embed_rows(
    const Run *run, const intptr_t *rows, size_t m, char *units,
) noexcept nogil:
    """The units of m rows, in panels."""
    cdef const Column *column
    cdef size_t i
    for i in range(run.inputs.n_columns):
        column = &run.inputs.columns[i]
        run.kernels.embed[column.kind](
            m, &column.place, &run.samples.table, rows, run.inputs.parameters, units, run.stride)


cdef inline size_t code_of(const Run *run, const Column *column, intptr_t row) noexcept nogil:
    cdef size_t at = <size_t>row * run.samples.table.n_codes + column.place.source
    if run.samples.table.code_bytes == 1:
        return (<const uint8_t *>run.samples.table.codes)[at]
    if run.samples.table.code_bytes == 2:
        return (<const uint16_t *>run.samples.table.codes)[at]
    return <size_t>(<const int32_t *>run.samples.table.codes)[at]


cdef inline size_t vectors_of(const Run *run, size_t count) noexcept nogil:
    """Reals of an array of `count`, in whole vectors."""
    return in_units(count, run.kernels.lanes) * run.kernels.lanes


cdef inline void sum_column(
    const Run *run, const Block *block, const intptr_t *rows, size_t m, bint add, char *scratch,
) noexcept nogil:
    """The gradient of one column over a micro-batch."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef const Column *column = &run.inputs.columns[block.row]
    cdef char *g = run.inputs.gradient
    if not add:
        memset(g + column.place.scales * k.real_size, 0, column.place.n_units * k.real_size)
        memset(g + column.at * k.real_size, 0, column.count * k.real_size)
    k.embedding_gradient[column.kind](
        m, &column.place, &run.samples.table, rows, run.inputs.parameters, run.input_deltas,
        run.stride, scratch, g,
        NULL if column.n_levels == 0 else g + column.place.weights * k.real_size)


cdef inline double column_squares(
    const Run *run, const Block *block, const fastmlp_step *step,
) noexcept nogil:
    """Sum of squares of the gradient of one column."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef const Column *column = &run.inputs.columns[block.row]
    cdef const char *g = run.inputs.gradient
    cdef double squares = k.gradient_squares(
        vectors_of(run, column.place.n_units), step.scale, 0,
        g + column.place.scales * k.real_size, g)
    if column.count:
        squares += k.gradient_squares(
            column.count, step.scale, 0, g + column.at * k.real_size, g)
    if column.n_levels:
        squares += k.gradient_squares(
            column.n_levels * column.place.table_row, step.scale, 0,
            g + column.place.weights * k.real_size, g)
    return squares


cdef inline void step_span(
    const Run *run, const fastmlp_step *step, bint decays, size_t at, size_t count,
) noexcept nogil:
    """The optimizer's step on `count` parameters of the input layer, a multiple of V."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef const InputLayer *inputs = &run.inputs
    cdef char *g = inputs.gradient + at * k.real_size
    cdef char *state = NULL
    cdef fastmlp_step clipped = step[0]
    if run.clip_value < INFINITY:
        k.clip(count, step.scale, 0, run.clip_value, g, g)
        clipped.scale = 1
    if inputs.state[1] is not NULL:
        state = inputs.state[1] + at * k.real_size
    k.step[run.optimizer](
        count, &clipped, decays, g, inputs.parameters + at * k.real_size,
        inputs.state[0] + at * k.real_size, state)


cdef inline void step_level(
    const Run *run, const Column *column, const fastmlp_step *step, size_t level,
) noexcept nogil:
    """The step on one row of a table, unless its gradient is zero, which it is afterwards."""
    cdef size_t at = column.place.weights + level * column.place.table_row, i
    cdef size_t size = column.place.table_row * run.kernels.real_size
    cdef char *g = run.inputs.gradient + at * run.kernels.real_size
    for i in range(size // 8):
        if (<uint64_t *>g)[i]:
            step_span(run, step, False, at, column.place.table_row)
            memset(g, 0, size)
            return


cdef inline double average_share(const Run *run) noexcept nogil:
    """How far this step moves the moving averages towards the weights."""
    cdef double t = <double>run.n_steps + 1
    return 1 - min(0.999, (1 + t) / (10 + t))


cdef inline void average_column(
    const Run *run, const Column *column,
) noexcept nogil:
    """Moves the moving averages of one column's parameters towards them."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef const InputLayer *inputs = &run.inputs
    cdef size_t size = k.real_size
    cdef double share = average_share(run)
    k.running_average(
        vectors_of(run, column.place.n_units), share,
        inputs.parameters + column.place.scales * size,
        inputs.averaged + column.place.scales * size)
    if column.count:
        k.running_average(
            column.count, share, inputs.parameters + column.at * size,
            inputs.averaged + column.at * size)
    if column.n_levels:
        k.running_average(
            column.n_levels * column.place.table_row, share,
            inputs.parameters + column.place.weights * size,
            inputs.averaged + column.place.weights * size)


cdef inline void step_column(
    const Run *run,
    const Block *block,
    const fastmlp_step *step,
    const intptr_t *rows,       # IN  (n_rows) row numbers of the whole batch; NULL: all levels
    size_t n_rows,
) noexcept nogil:
    """The optimizer's step on the parameters of one column."""
    cdef const Column *column = &run.inputs.columns[block.row]
    cdef fastmlp_step own = step[0]
    cdef size_t i
    own.l2 = own.l1_ratio = own.threshold = 0
    fastmlp_rescale_step(run.optimizer, &run.settings, run.inputs.scale_rate, &own)
    own.decay *= run.inputs.scale_decay
    step_span(run, &own, True, column.place.scales, vectors_of(run, column.place.n_units))
    own = step[0]
    fastmlp_rescale_step(run.optimizer, &run.settings, run.inputs.embedding_rate, &own)
    if column.count:
        step_span(run, &own, False, column.at, column.count)
    if rows is NULL or column.n_levels <= n_rows:
        for i in range(column.n_levels):
            step_level(run, column, &own, i)
    else:
        for i in range(n_rows):
            step_level(run, column, &own, code_of(run, column, rows[i]))
    if run.average:
        average_column(run, column)
