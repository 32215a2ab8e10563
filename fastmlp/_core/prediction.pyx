# Predictions: `predict` makes all predictions of estimators; a network in training shares its
# second half, `predict_samples`.
import os

import numpy as np

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cython.parallel cimport parallel, threadid
from libc.stdint cimport intptr_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from fastmlp._core.dataset cimport Dataset, density, row_numbers
from fastmlp._core.forward cimport columns_of, forward_rows, loss_of_rows
from fastmlp._core.kernels cimport (
    FASTMLP_identity, FASTMLP_no_factor, FASTMLP_relu, FASTMLP_times_derivative,
    FASTMLP_where_positive, NO_NORMALIZATION, address, fastmlp_kernels, kernels_of_type,
)
from fastmlp._core.network cimport ROW_BLOCK, Column, Layer, Run, columns_bytes, in_units, least
from fastmlp._core.panels cimport aligned, is_narrow, pack, reserve
from fastmlp._core.team cimport (
    fastmlp_claim, fastmlp_flush_denormals, fastmlp_restore_denormals, fastmlp_set,
)

from fastmlp._core.kernels import ACTIVATIONS, EMBEDDINGS, N_LISTS, NORMALIZATIONS, OUTPUTS

cdef object NDARRAY = np.ndarray
# flops of a prediction that are worth a thread: more than in training, because no team is tried
cdef double PREDICTION_PER_THREAD = 1e7
cdef double PREDICT_AT_ONCE = 1e9   # flops of each thread between two checks for signals
cdef Py_ssize_t IN_PLACE_ROWS = 256  # weights are packed for more rows: saves a tenth at width 1024

if os.environ.get("FASTMLP_TEAMS", "") == "early":  # for tests: teams also for short work
    PREDICTION_PER_THREAD = WORK_PER_THREAD


cdef class Columns:
    """The embedded columns of a table, in the caller's memory.

    Parameters
    ----------
    columns : list of dict
        For each column: kind, one of ``EMBEDDINGS``; n_levels of a trained table, else 0; and what
        ``fastmlp_column`` and ``Column`` name: source, unit, n_units, n_terms, table_row; scales,
        frequencies, phases, weights, biases, at, count.
    parameters : ndarray
        All parameters, where the columns say; aligned.
    levels : list of int
        Number of levels of each column of codes.
    n_values : int
        Number of columns of numbers.
    """

    def __cinit__(self, columns, parameters, levels, n_values):
        cdef size_t i
        cdef Column *column
        self.n_values, self.n_codes, self.levels = n_values, len(levels), list(levels)
        self.kept = [parameters]
        self.inputs.n_columns = len(columns)
        self.inputs.columns = <Column *>PyMem_Calloc(max(1, len(columns)), sizeof(Column))
        if self.inputs.columns is NULL:
            raise MemoryError
        self.inputs.parameters = address(parameters)
        self.inputs.scale_rate = self.inputs.embedding_rate = 1
        for i, described in enumerate(columns):
            column = &self.inputs.columns[i]
            column.kind = EMBEDDINGS.index(described["kind"])
            column.at, column.count = described["at"], described["count"]
            column.n_levels = described["n_levels"]
            column.place = {
                "source": described["source"], "unit": described["unit"],
                "n_units": described["n_units"], "n_terms": described["n_terms"],
                "table_row": described["table_row"], "scales": described["scales"],
                "frequencies": described["frequencies"], "phases": described["phases"],
                "weights": described["weights"], "biases": described["biases"],
            }

    def __dealloc__(self):
        PyMem_Free(self.inputs.columns)

    cdef int check(self, Dataset dataset) except -1:
        """Checks that a data set is such a table, and that its codes are levels."""
        if dataset.codes is None:
            raise ValueError("this network reads tables: the data set needs codes")
        if dataset.X.shape[1] != self.n_values or dataset.codes.shape[1] != self.n_codes:
            raise ValueError(
                f"a table with {dataset.X.shape[1]} numbers and {dataset.codes.shape[1]} codes, but"
                f" the network reads {self.n_values} and {self.n_codes}")
        if dataset.X.itemsize != self.kept[0].itemsize:
            raise ValueError("the numbers of a table must be of the network's type")
        if dataset.checked is not self and len(dataset):
            last, first = dataset.codes.max(axis=0), dataset.codes.min(axis=0)
            for i in range(self.n_codes):
                if last[i] >= self.levels[i] or first[i] < 0:
                    raise ValueError(f"column {i} of codes has other codes than its"
                                     f" {self.levels[i]} levels")
            dataset.checked = self


cdef class Parameters:
    """Weights and biases in the caller's memory, for predictions.

    Parameters
    ----------
    architecture : Architecture
    lists : sequence of lists or tuples of ndarray
        One for each of ``architecture.parameter_names``, its arrays of the architecture's type and
        of the shapes in ``architecture.parameter_shapes``, with any strides.
    columns : Columns or None
        If the network reads a table.

    Raises
    ------
    ValueError
        If the arrays do not fit the architecture.
    """

    def __cinit__(self, architecture, lists, columns=None):
        cdef size_t i = 0, layer, number
        cdef tuple units = architecture.units
        cdef size_t n_layers = len(units) - 1
        self.architecture, self.columns = architecture, columns
        normalization, dtype = architecture.normalization, architecture.dtype
        self.normalization, self.n_lists = NO_NORMALIZATION, 2
        if normalization is not None:
            self.normalization = NORMALIZATIONS.index(normalization)
            self.n_lists = N_LISTS[normalization]
        cdef size_t n_lists = self.n_lists
        cdef size_t n_views = 2 * n_layers + (n_lists - 2) * (n_layers - 1)
        self.views = <Py_buffer *>PyMem_Calloc(n_views, sizeof(Py_buffer))
        self.layers = <Layer *>PyMem_Calloc(n_layers, sizeof(Layer))
        if self.views is NULL or self.layers is NULL:
            raise MemoryError
        self.n_layers, self.n_views = n_layers, n_views
        if <size_t>len(lists) != n_lists:
            raise ValueError(f"expected {n_lists} lists of arrays, got {len(lists)}")
        for number in range(n_lists):
            arrays = lists[number]
            if (not isinstance(arrays, (list, tuple))
                    or <size_t>len(arrays) != n_layers - (number > 1)):
                raise ValueError("parameters must be lists with one array for each layer")
            for layer in range(n_layers - (number > 1)):
                array = arrays[layer]
                if not isinstance(array, NDARRAY) or (
                        array.dtype is not dtype and array.dtype != dtype):
                    raise ValueError(f"parameters must be arrays of type {dtype}")
                PyObject_GetBuffer(array, &self.views[i], PyBUF_STRIDES)
                if not has_shape(
                        &self.views[i], units[layer] if number == 0 else -1, units[layer + 1]):
                    raise ValueError(f"an array has the wrong shape, {array.shape}")
                i += 1

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.n_views):
            PyBuffer_Release(&self.views[i])  # does nothing to a view that was never taken
        PyMem_Free(self.views)
        PyMem_Free(self.layers)
        PyMem_Free(self.packed)

    cdef int lay_out(self, const fastmlp_kernels *k, bint in_place, bint sparse) except -1:
        """Fills the layers. Packs the weights; with in_place, only those that cannot be read in
        place."""
        cdef size_t size = self._pack(k, in_place, sparse, NULL)
        PyMem_Free(self.packed)
        self.packed = <char *>PyMem_Calloc(size + 64, 1)
        if self.packed is NULL:
            raise MemoryError
        self._pack(k, in_place, sparse, aligned(self.packed))

    cdef size_t _pack(
        self, const fastmlp_kernels *k, bint in_place, bint sparse, char *memory,
    ) noexcept:
        cdef size_t vector = k.lanes * k.real_size, used = 0, i, j, n_columns, done, n_vectors
        cdef Py_buffer *view
        cdef ptrdiff_t row_stride, column_stride
        cdef const char *coef
        cdef Layer *layer
        cdef char *packed
        cdef bint lies
        for i in range(self.n_layers):
            layer = &self.layers[i]
            coef = <const char *>self.views[i].buf
            layer.fan_in, layer.fan_out = self.views[i].shape[0], self.views[i].shape[1]
            row_stride, column_stride = self.views[i].strides[0], self.views[i].strides[1]
            layer.narrow = is_narrow(i, self.n_layers, layer.fan_out, k.lanes)
            layer.panel_rows, n_columns = layer.fan_in, layer.fan_out
            if layer.narrow:
                layer.panel_rows, n_columns = layer.fan_out, layer.fan_in
                row_stride, column_stride = column_stride, row_stride
            layer.n_panels, done = in_units(n_columns, k.lanes), 0
            lies = (in_place and not layer.narrow and not (sparse and i == 0) and row_stride > 0
                    and column_stride == <ptrdiff_t>k.real_size
                    and row_stride % column_stride == 0 and <uintptr_t>coef % k.real_size == 0)
            if lies:
                layer.weights, layer.w_row = <char *>coef, row_stride // k.real_size
                layer.w_panel, done = k.lanes, n_columns // k.lanes
            else:
                layer.w_row, layer.w_panel = k.lanes, layer.panel_rows * k.lanes
            layer.ragged = NULL
            if done < layer.n_panels:
                packed = reserve(memory, &used, (layer.n_panels - done) * layer.panel_rows * vector)
                if memory is not NULL:
                    pack(coef + done * vector, row_stride, column_stride, layer.panel_rows,
                         n_columns - done * k.lanes, k, packed)
                if lies:
                    layer.ragged = packed
                else:
                    layer.weights = packed
            layer.n_bias = in_units(layer.fan_out, k.lanes) * k.lanes
            n_vectors = self.n_lists - 1 if i + 1 < self.n_layers else 1
            layer.bias = reserve(memory, &used, n_vectors * layer.n_bias * k.real_size)
            if memory is NULL:
                continue
            layer.mean = layer.bias + 3 * layer.n_bias * k.real_size
            layer.variance = layer.bias + 4 * layer.n_bias * k.real_size
            for j in range(n_vectors):  # bias, and what normalization has: scale, shift ...
                view = &self.views[self.n_layers + i + j * (self.n_layers - 1) + (j > 0)]
                pack(<const char *>view.buf, 0, view.strides[0], 1, layer.fan_out, k,
                     layer.bias + j * layer.n_bias * k.real_size)
        return used


def layer_units(coefs, intercepts):
    """(n_features, n_units, ..., n_outputs) by the lengths of the first coefs and of the
    intercepts. Whether the other coefs fit is left to Parameters."""
    cdef Py_ssize_t i
    units = [len(coefs[0])]
    for i in range(len(intercepts)):
        units.append(len(intercepts[i]))
    return tuple(units)


cdef bint has_shape(const Py_buffer *view, Py_ssize_t n_rows, Py_ssize_t n_columns) noexcept:
    # a matrix, or a vector if n_rows is -1
    if n_rows == -1:
        return view.ndim == 1 and view.shape[0] == n_columns
    return view.ndim == 2 and view.shape[0] == n_rows and view.shape[1] == n_columns


cdef int set_form(Layer *layers, size_t n_layers, int normalization, architecture) except -1:
    """Sets each hidden layer's activation, normalization, skip and factor of deltas. The output
    layer has none of them here, because the loss or the prediction applies its activation."""
    cdef size_t i
    cdef bint residual = architecture.residual
    cdef tuple activations = architecture.activations
    cdef Layer *layer
    for i in range(n_layers - 1):
        layers[i].activation = ACTIVATIONS.index(activations[i])
        layers[i].normalization = normalization
        layers[i].residual = residual and i > 0 and layers[i].fan_in == layers[i].fan_out
    layer = &layers[n_layers - 1]
    layer.activation, layer.factor = FASTMLP_identity, FASTMLP_no_factor
    layer.normalization, layer.residual = NO_NORMALIZATION, False
    for i in range(n_layers - 1):
        layer = &layers[i]
        if layer.dropout.threshold or layer.residual or layers[i + 1].residual:
            layer.factor = FASTMLP_times_derivative
        elif layer.activation == FASTMLP_identity:
            layer.factor = FASTMLP_no_factor
        elif layer.activation == FASTMLP_relu:
            layer.factor = FASTMLP_where_positive
        else:
            layer.factor = FASTMLP_times_derivative


cdef int team_size(
    double work, double work_per_thread, size_t n_rows, size_t mr, int n_threads,
) noexcept:
    """One thread for every work_per_thread flops: less work costs more to distribute than to do."""
    cdef double most = min(work / work_per_thread, <double>in_units(n_rows, mr))
    return max(1, <int>min(<double>n_threads, most))


cdef size_t make_workspace(
    Run *run, const Run *network, int n_threads, bint sparse, char *memory,
) noexcept:
    """Places the run's own copy of the network's layers, arrays for their activations, and scratch
    in memory. Returns the number of bytes that it needs; with memory NULL, does nothing else."""
    cdef const fastmlp_kernels *k = network.kernels
    cdef size_t used = 0, capacity = <size_t>n_threads * run.row_block, i, size
    cdef Layer layer = network.layers[network.n_layers - 1]
    run.scratch_bytes = columns_bytes(network) * (1 if run.row_losses is NULL else 3)
    run.stride = (capacity + 1) * k.lanes
    run.layers = <Layer *>reserve(memory, &used, network.n_layers * sizeof(Layer))
    run.scratch = reserve(memory, &used, <size_t>n_threads * run.scratch_bytes)
    size = 0 if sparse else in_units(network.layers[0].fan_in, k.lanes) * run.stride
    layer.outputs = reserve(memory, &used, size * k.real_size)
    for i in range(network.n_layers):
        inputs, layer = layer.outputs, network.layers[i]
        layer.inputs = inputs
        size = capacity * layer.fan_out if layer.narrow else layer.n_panels * run.stride
        layer.outputs = reserve(memory, &used, size * k.real_size)
        layer.deltas = NULL
        if memory is not NULL:
            run.layers[i] = layer
    return used


cdef void predict_rows(Run *run, size_t begin, size_t end, int thread) noexcept nogil:
    """What one thread of a team does: predicts blocks of rows until none is left."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    cdef char *scratch = run.scratch + <size_t>thread * run.scratch_bytes
    cdef uint64_t denormals = fastmlp_flush_denormals()
    cdef size_t at = <size_t>thread * run.row_block, vector = k.lanes * k.real_size
    cdef size_t row, m, unit, i, r, o, ldz
    cdef intptr_t numbers[ROW_BLOCK]
    cdef const intptr_t *rows = numbers
    cdef char *z
    cdef char *copy
    while True:
        row = begin + fastmlp_claim(&run.next_block) * run.row_block
        if row >= end:
            break
        m = least(end - row, run.row_block)
        if run.order is not NULL:
            rows = run.order + row
        else:
            for i in range(m):
                numbers[i] = <intptr_t>(row + i)
        forward_rows(run, rows, at, m, 0, NULL)
        if not run.samples.sparse and not k.all_finite(
                m, in_units(run.layers[0].fan_in, k.lanes), run.layers[0].inputs + at * vector,
                run.stride):
            fastmlp_set(&run.not_finite)
        for unit in range(in_units(m, k.mr)):
            i = unit * k.mr
            z = columns_of(run, at + i, scratch, &ldz)
            if run.row_losses is not NULL:
                copy = scratch + columns_bytes(run)
                for o in range(last.fan_out):
                    memcpy(copy + o * k.mr * k.real_size, z + o * ldz * k.real_size,
                           k.mr * k.real_size)
                run.row_losses[(row + i) // k.mr] = loss_of_rows(
                    run, least(k.mr, m - i), copy, k.mr, rows + i, copy + columns_bytes(run))
            k.output[run.output](last.fan_out, z, ldz)
            for r in range(least(k.mr, m - i)):
                for o in range(last.fan_out):
                    if k.real_size == 8:
                        (<uint64_t *>run.predictions)[(row + i + r) * last.fan_out + o] = (
                            <uint64_t *>z)[o * ldz + r]
                    else:
                        (<uint32_t *>run.predictions)[(row + i + r) * last.fan_out + o] = (
                            <uint32_t *>z)[o * ldz + r]
    fastmlp_restore_denormals(denormals)


cdef void predict_team(Run *run, size_t begin, size_t end, int n_threads) noexcept nogil:
    """Predictions of rows begin..end by a team of threads."""
    # One thread needs no team, and must not make one: OpenMP hangs in a forked child.
    if n_threads == 1:
        predict_rows(run, begin, end, 0)
        return
    with parallel(num_threads=n_threads):
        predict_rows(run, begin, end, threadid())


cdef predict_samples(const Run *network, Dataset dataset, order, int n_threads, losses=None):
    """Outputs (n_rows, n_outputs) of the rows `order`, or of all rows if it is None, and whether
    their inputs were finite. If losses is not None, it gets the sums of the weighted losses of
    every mr rows. Only kernels, layers and functions of `network` are read, so several threads may
    call this with one network."""
    cdef const fastmlp_kernels *k = network.kernels
    cdef size_t n_rows = dataset.n_samples, row = 0, i, end, at_once
    cdef size_t fan_out = network.layers[network.n_layers - 1].fan_out
    cdef double work = 0
    cdef Run run = network[0]
    cdef char *memory
    if network.inputs.n_columns == 0 and (
            dataset.codes is not None
            or <size_t>dataset.n_features != network.layers[0].fan_in):
        raise ValueError(f"X has {dataset.n_features} features, but the network is expecting "
                         f"{network.layers[0].fan_in} features as input.")
    run.order = NULL
    run.row_losses = NULL if losses is None else <double *>address(losses)
    if order is not None:
        run.order, n_rows = row_numbers(dataset, order), len(order)
    out = np.empty((n_rows, fan_out), np.float64 if k.real_size == 8 else np.float32)
    if n_rows == 0:
        return out, True
    for i in range(network.n_layers):
        work += 2.0 * <double>network.layers[i].fan_in * <double>network.layers[i].fan_out
    if dataset.sparse:
        work = max(1.0, work * density(dataset))
    n_threads = team_size(
        work * <double>n_rows, PREDICTION_PER_THREAD, n_rows, k.mr, n_threads)
    at_once = <size_t>max(<double>n_threads, n_threads * PREDICT_AT_ONCE / work / ROW_BLOCK)
    at_once *= ROW_BLOCK  # so that all blocks of rows begin at a multiple of mr
    run.samples, run.predictions, run.not_finite = dataset.samples, address(out), False
    run.row_block = least(ROW_BLOCK, in_units(in_units(n_rows, n_threads), k.lanes) * k.lanes)
    memory = <char *>PyMem_Calloc(make_workspace(&run, network, n_threads, dataset.sparse, NULL)
                                  + 64, 1)
    if memory is NULL:
        raise MemoryError
    try:
        make_workspace(&run, network, n_threads, dataset.sparse, aligned(memory))
        while row < n_rows:
            run.next_block, end = 0, least(n_rows, row + at_once)
            if work * <double>(end - row) < WORK_PER_THREAD:
                predict_team(&run, row, end, n_threads)  # too short to be worth releasing the GIL
            else:
                with nogil:
                    predict_team(&run, row, end, n_threads)
            PyErr_CheckSignals()
            row = end
    finally:
        PyMem_Free(memory)
    return out, not run.not_finite


def predict(Dataset dataset, Parameters parameters, int n_threads):
    """Outputs of all samples.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Of the architecture's type.
    finite : bool
        Whether a dense X had neither infinity nor NaN in that type.
    """
    cdef Run network
    architecture = parameters.architecture
    memset(&network, 0, sizeof(Run))
    network.kernels = kernels_of_type(parameters.views[0].itemsize == 8)
    network.output = OUTPUTS.index(architecture.out_activation)
    parameters.lay_out(network.kernels, dataset.n_samples <= IN_PLACE_ROWS, dataset.sparse)
    set_form(parameters.layers, parameters.n_layers, parameters.normalization, architecture)
    network.layers, network.n_layers = parameters.layers, parameters.n_layers
    if parameters.columns is not None:
        parameters.columns.check(dataset)
        network.inputs = parameters.columns.inputs
    return predict_samples(&network, dataset, None, n_threads)
