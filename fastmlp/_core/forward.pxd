# Forward: rows through all layers, up to the loss and its derivative. backward.pxd has the reverse.
from fastmlp._core.embeddings cimport embed_rows
from fastmlp._core.kernels cimport (
    FASTMLP_identity, FASTMLP_times_derivative, NO_NORMALIZATION, fastmlp_csr, fastmlp_kernels,
)
from fastmlp._core.network cimport (
    FORWARD, GATHER, LOSS, Layer, Run, by_row, columns_bytes, in_units, least, relu_in_product,
    scale_of, shift_of,
)
from fastmlp._core.team cimport fastmlp_lap
from libc.stdint cimport intptr_t, uint64_t


cdef inline void gather_rows(
    const Run *run,
    const intptr_t *rows,       # IN  (m) row numbers
    size_t at,                  # first row of the workspace, a multiple of mr
    size_t m,
    uint64_t number,            # steps taken, for dropout
    double *clock,
) noexcept nogil:
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *first = &run.layers[0]
    cdef char *inputs = first.inputs + at * k.lanes * k.real_size
    cdef bint drop = first.deltas is not NULL and run.input_dropout.threshold > 0
    if run.samples.sparse:
        if drop:
            k.dropout_csr(
                m, &run.samples.csr, rows, &run.input_dropout, number, run.dropped)
        fastmlp_lap(clock, GATHER)
        return
    if run.inputs.n_columns:
        embed_rows(run, rows, m, inputs)
    else:
        k.gather[run.samples.source](
            m, first.fan_in, run.samples.x, rows, run.samples.row_stride,
            run.samples.column_stride, inputs, run.stride)
    if drop:
        k.dropout(
            m, first.fan_in, rows, &run.input_dropout, number, inputs, NULL, run.stride)
    fastmlp_lap(clock, GATHER)


cdef inline void multiply_rows(
    const Run *run, size_t l, const intptr_t *rows, size_t at, size_t m,
) noexcept nogil:
    """The product of m rows and layer l's weights, and relu if nothing else follows the product."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, n
    cdef fastmlp_csr csr
    if l == 0 and run.samples.sparse:
        csr = run.samples.csr
        if layer.deltas is not NULL and run.dropped is not NULL:
            csr.data = run.dropped
        k.forward_csr(
            m, layer.n_panels, &csr, rows, layer.weights, layer.fan_in * k.lanes, layer.bias,
            layer.outputs + at * vector, run.stride)
    elif layer.narrow:
        k.forward_narrow(
            at, in_units(m, k.mr) * k.mr, layer.fan_out, layer.fan_in, layer.inputs + at * vector,
            run.stride, layer.weights, layer.bias, layer.outputs)
    else:
        n = layer.n_panels - (layer.ragged is not NULL)
        k.forward(
            m, n, layer.fan_in, layer.inputs + at * vector, run.stride, layer.weights,
            layer.w_row, layer.w_panel, layer.bias, relu_in_product(run, l),
            layer.outputs + at * vector, run.stride)
        if layer.ragged is not NULL:
            k.forward(
                m, 1, layer.fan_in, layer.inputs + at * vector, run.stride, layer.ragged,
                k.lanes, 0, layer.bias + n * vector, relu_in_product(run, l),
                layer.outputs + (at * k.lanes + n * run.stride) * k.real_size, run.stride)


cdef inline void finish_rows(
    const Run *run, size_t l, const intptr_t *rows, size_t at, size_t m, uint64_t number,
    const char *moments,        # IN  (2, n_panels, V) the batch's, if it is normalized by them
) noexcept nogil:
    """Layer l's operations after its product: normalization, activation, dropout, skip. If the
    layer's factor is the derivative, stores that of activation and dropout where the deltas will be
    written."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, panels = layer.n_panels * vector, p, first
    cdef char *outputs = layer.outputs + at * vector
    cdef char *normalized = NULL
    cdef char *derivatives = NULL
    if layer.normalization != NO_NORMALIZATION:
        if layer.deltas is not NULL:
            normalized = layer.normalized + at * vector
        if by_row(layer):
            k.normalize_rows[layer.normalization](
                m, layer.fan_out, scale_of(run, layer), normalized,
                NULL if normalized is NULL else layer.inverse + at * k.real_size, outputs,
                run.stride)
        elif moments is not NULL:
            k.normalize(
                m, layer.n_panels, moments, moments + panels, scale_of(run, layer),
                shift_of(run, layer), normalized, outputs, run.stride)
        else:
            k.normalize(
                m, layer.n_panels, layer.mean, layer.variance, scale_of(run, layer),
                shift_of(run, layer), NULL, outputs, run.stride)
    if layer.deltas is not NULL and layer.factor == FASTMLP_times_derivative:
        derivatives = layer.deltas + at * vector
    if derivatives is not NULL or (
            layer.activation != FASTMLP_identity and not relu_in_product(run, l)):
        for p in range(layer.n_panels):
            first = p * run.stride * k.real_size
            if derivatives is NULL:
                k.activation[layer.activation](m * k.lanes, outputs + first)
            else:
                k.activation_derivative[layer.activation](
                    m * k.lanes, outputs + first, derivatives + first)
    if layer.dropout.threshold > 0 and layer.deltas is not NULL:
        k.dropout(m, layer.fan_out, rows, &layer.dropout, number, outputs, derivatives, run.stride)
    if layer.residual:
        for p in range(layer.n_panels):
            first = p * run.stride * k.real_size
            k.add(m * k.lanes, layer.inputs + at * vector + first, outputs + first)


cdef inline void forward_rows(
    const Run *run, const intptr_t *rows, size_t at, size_t m, uint64_t number, double *clock,
) noexcept nogil:
    """Gathers m rows and carries them to the last layer's pre-activations."""
    cdef size_t l
    gather_rows(run, rows, at, m, number, clock)
    for l in range(run.n_layers):
        multiply_rows(run, l, rows, at, m)
        if l + 1 < run.n_layers:
            finish_rows(run, l, rows, at, m, number, NULL)
    fastmlp_lap(clock, FORWARD)


cdef inline char *columns_of(const Run *run, size_t row, char *scratch, size_t *ldz) noexcept nogil:
    """The last layer's outputs of mr rows from `row`, in columns."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    if last.narrow:
        ldz[0] = k.lanes
        return last.outputs + (row // k.lanes * last.fan_out * k.lanes
                               + row % k.lanes) * k.real_size
    ldz[0] = k.mr
    k.to_columns(last.fan_out, last.outputs + row * k.lanes * k.real_size, run.stride, scratch)
    return scratch


cdef inline double loss_of_rows(
    const Run *run, size_t m, char *z, size_t ldz, const intptr_t *rows, char *derivatives,
) noexcept nogil:
    """Returns the sum of the losses of m rows of pre-activations z in columns; z becomes its
    derivative. `derivatives` (fan_out, mr) is scratch, used if the loss's kernel does not apply the
    output activation."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t fan_out = run.layers[run.n_layers - 1].fan_out
    if not run.fused_output:
        k.output_derivative[run.output](fan_out, z, ldz, derivatives)
    cdef double loss = k.loss[run.loss](
        m, fan_out, z, ldz, run.samples.y, rows, run.samples.sample_weight, &run.loss_settings)
    if not run.fused_output:
        k.multiply_derivatives(fan_out, z, ldz, derivatives)
    return loss


cdef inline void differentiate_rows(
    const Run *run,
    const intptr_t *rows,       # IN  (m) row numbers
    size_t at,
    size_t m,
    double *losses,             # OUT (m / mr)
    char *scratch,
    double *clock,
) noexcept nogil:
    """The loss of m rows, and its derivative by the last layer's pre-activations."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    cdef size_t vector = k.lanes * k.real_size, unit, i, ldz
    cdef char *z
    for unit in range(in_units(m, k.mr)):
        i = unit * k.mr
        z = columns_of(run, at + i, scratch, &ldz)
        losses[unit] = loss_of_rows(
            run, least(k.mr, m - i), z, ldz, rows + i, scratch + columns_bytes(run))
        if not last.narrow:
            k.from_columns(last.fan_out, z, last.outputs + (at + i) * vector, run.stride)
    fastmlp_lap(clock, LOSS)
