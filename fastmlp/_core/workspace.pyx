# The workspace: the arrays that the loops over one network work on, and its blocks of weights.
import numpy as np

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastmlp._core.kernels cimport (
    BATCH_NORMALIZATION, NO_NORMALIZATION, address, fastmlp_dropout, fastmlp_kernels, is_double,
    kernels_of_type,
)
from fastmlp._core.network cimport (
    ROW_BLOCK, ROW_PADDING, WEIGHT_BLOCK, Block, Column, Layer, Run, WorkRange, columns_bytes,
    in_units,
)
from fastmlp._core.prediction cimport Columns, set_form

from fastmlp._core.kernels import (
    LOSSES, NORMALIZATIONS, OPTIMIZERS, OUT_ACTIVATIONS, OUTPUTS, aligned_zeros,
)


cdef int set_dropout(
    fastmlp_dropout *dropout, double rate, uint32_t layer, uint64_t seed,
) except -1:
    """Sets a rate, rounded to a multiple of 1 / 65536, because 16 random bits decide on a unit."""
    dropout.threshold = <uint32_t>min(65535.0, round(65536 * rate))
    dropout.scale = 65536 / (65536.0 - dropout.threshold)
    dropout.layer = layer
    dropout.key[0], dropout.key[1] = <uint32_t>seed, <uint32_t>(seed >> 32)

cdef class Workspace:
    """The arrays that one network's loops work on, and how its weights are divided into blocks.

    Parameters
    ----------
    layers : list of dict
        For each layer: fan_in, fan_out, narrow, frozen; n_vectors: 1 for the bias, and how many
        vectors normalization trains; weights (n_panels, panel_rows, V), followed in memory by bias
        (n_vectors n_bias,); transposed: weights along fan_in, or None; gradient and
        averaged_weights: None or an array, and state: a list of arrays, with bias following
        weights; running_statistics: None, or mean and variance (2 n_bias,).
    architecture : Architecture
    optimizer : str or None
    capacity : int
        Rows of the workspace; with partial gradients, of each thread's part of it.
    n_partials : int
        Number of partial gradients of a batch, each over a range of its rows. 0: one thread sums
        the gradient of a block of weights over the whole batch.
    micro_batch_rows : int
        Maximum number of rows of a micro-batch.
    n_threads : int
        Maximum size of a team.
    sparse : bool
        Whether the first layer reads CSR rows.
    seed : int
        Seed of dropout's random numbers, below 2 ** 64.
    input_gradient : bool
        Whether passes carry the deltas to the inputs. Every wide layer then needs its transposed
        weights.
    columns : Columns or None
        If the network reads a table; n_partials is then 0, and input_gradient True.
    column_arrays : dict
        Arrays like the parameters of the columns: gradient; averaged, or None; state: a list.

    Attributes
    ----------
    workspace : list of (ndarray, ndarray)
        For each layer its outputs and its deltas, as they are after the last pass.
    """

    def __cinit__(self):
        memset(&self.run, 0, sizeof(Run))

    def __init__(self, layers, architecture, *, optimizer, capacity, n_partials, micro_batch_rows,
                 n_threads, sparse, seed=0, input_gradient=False, columns=None,
                 column_arrays=None):
        self._kept = [layers, column_arrays]
        self.run.kernels = kernels_of_type(is_double(architecture.dtype))
        self._choose_loss(architecture)
        self.takes_steps = optimizer is not None
        self.run.optimizer = OPTIMIZERS.index(optimizer) if self.takes_steps else 0
        self.run.normalization = NORMALIZATIONS.index(architecture.normalization)
        self.run.fixed_row_blocks = self.run.normalization != NO_NORMALIZATION
        self.n_threads, self._most_rows = n_threads, micro_batch_rows
        self._set_layers(layers)
        self._dropout, self._seed = architecture.dropout, seed
        self._set_dropout(1.0)
        if columns is not None:
            self._set_columns(columns, **column_arrays)
        set_form(self.layers, self.run.n_layers, self.run.normalization, architecture)
        if input_gradient:
            self.run.lowest_delta = 0
        self._make_workspace(capacity, n_partials, architecture.dtype, sparse, input_gradient)
        self._make_partials(n_partials, architecture.dtype)
        self._cut_blocks(sparse)
        self._make_ranges()
        self._add_averaged()
        cdef size_t scratch = self._scratch(sparse) * self.run.kernels.real_size
        self.run.scratch_bytes = (scratch + 127) // 64 * 64
        self.run.scratch = self._allocate(n_threads * self.run.scratch_bytes, np.uint8)

    def __dealloc__(self):
        free(self.layers)
        free(self.averaged)
        free(self.blocks)

    cdef int _set_dropout(self, double factor) except -1:
        cdef size_t i
        for i, rate in enumerate(self._dropout):
            set_dropout(&self.layers[i - 1].dropout if i else &self.run.input_dropout,
                        rate * factor, i, self._seed)

    def _set_columns(self, Columns columns, *, gradient, averaged, state):
        self._columns, self.run.inputs = columns, columns.inputs
        self.run.inputs.gradient = address(gradient)
        for slot, array in enumerate(state):
            self.run.inputs.state[slot] = address(array)
        if averaged is not None:
            self.run.inputs.averaged = address(averaged)

    def _choose_loss(self, architecture):
        loss, settings = architecture.loss, architecture.loss_settings
        self.run.output = OUTPUTS.index(architecture.out_activation)
        self.run.fused_output = architecture.loss_has_output
        if not self.run.fused_output and OUT_ACTIVATIONS[loss] != "identity":
            loss = f"{loss}_deviance"
        self.run.loss = LOSSES.index(loss)
        self.run.loss_settings.delta = settings.delta
        self.run.loss_settings.gamma = settings.gamma
        self.run.loss_settings.smoothing = settings.smoothing
        levels = np.full(architecture.units[-1], settings.quantile, dtype=np.float64)
        self.run.loss_settings.levels = <const double *>address(levels)
        self._kept.append(levels)

    def _set_layers(self, layers):
        cdef const fastmlp_kernels *k = self.run.kernels
        cdef Layer *layer
        cdef size_t i, n_layers = len(layers)
        self.run.n_layers, self.n_parameters = n_layers, 0
        self.layers = self.run.layers = <Layer *>malloc(n_layers * sizeof(Layer))
        if self.layers is NULL:
            raise MemoryError
        memset(self.layers, 0, n_layers * sizeof(Layer))
        for i, described in enumerate(layers):
            layer = &self.layers[i]
            layer.fan_in, layer.fan_out = described["fan_in"], described["fan_out"]
            layer.narrow, layer.frozen = described["narrow"], described["frozen"]
            layer.rate = layer.bias_rate = 1
            layer.n_panels, layer.panel_rows = described["weights"].shape[:2]
            layer.weights, layer.bias = address(described["weights"]), address(described["bias"])
            layer.w_row, layer.w_panel = k.lanes, layer.panel_rows * k.lanes
            if layer.bias != layer.weights + layer.n_panels * layer.w_panel * k.real_size:
                raise ValueError("a layer's bias must follow its weights in memory")
            layer.n_vectors = described["n_vectors"]
            layer.n_bias = described["bias"].size // layer.n_vectors
            if described["running_statistics"] is not None:
                layer.mean = address(described["running_statistics"])
                layer.variance = layer.mean + layer.n_bias * k.real_size
            if layer.narrow:
                layer.transposed = layer.weights
            elif described["transposed"] is not None:
                layer.transposed = address(described["transposed"])
            for slot, array in enumerate(described["state"]):
                layer.state[slot] = address(array)
            if described["gradient"] is not None:
                layer.gradient = address(described["gradient"])
            if described["averaged_weights"] is not None:
                layer.averaged_weights = address(described["averaged_weights"])
            self.run.lowest_delta += layer.frozen and self.run.lowest_delta == i
            self.n_parameters += (layer.fan_in + 1) * layer.fan_out

    cdef char *_allocate(self, count, dtype) except? NULL:
        array = aligned_zeros(count, dtype)
        self._kept.append(array)
        return address(array)

    def _add_averaged(self):
        cdef size_t i, weights, size = self.run.n_layers * sizeof(Layer)
        cdef Layer *layer
        if self.layers[0].averaged_weights is NULL:
            return
        self.averaged = <Layer *>malloc(size)
        if self.averaged is NULL:
            raise MemoryError
        memcpy(self.averaged, self.layers, size)
        for i in range(self.run.n_layers):
            layer = &self.averaged[i]
            weights = layer.n_panels * layer.w_panel * self.run.kernels.real_size
            layer.weights = layer.averaged_weights
            layer.bias = layer.averaged_weights + weights

    def _make_partials(self, n_partials, dtype):
        cdef size_t i
        self.run.n_partials = n_partials
        for i in range(self.run.n_layers):
            self.layers[i].gradient_at = self.run.partial_size
            self.run.partial_size += (
                self.layers[i].n_panels * self.layers[i].panel_rows * self.run.kernels.lanes
                + self.layers[i].n_vectors * self.layers[i].n_bias)
        if n_partials:
            self.run.partial_gradients = self._allocate(n_partials * self.run.partial_size, dtype)

    def _make_workspace(self, capacity, n_partials, dtype, sparse, input_gradient):
        cdef size_t i, lanes = self.run.kernels.lanes
        cdef size_t n_row_blocks = in_units(self._most_rows, ROW_BLOCK)
        cdef Layer *layer
        capacity = in_units(capacity, lanes) * lanes
        if n_partials:
            self.run.partial_rows = capacity
            self.run.thread_rows = capacity + ROW_PADDING
            capacity = self.n_threads * self.run.thread_rows
        self.run.stride = (capacity + 1) * lanes
        self.workspace = []
        for i in range(self.run.n_layers):
            layer = &self.layers[i]
            if i:
                layer.inputs = self.layers[i - 1].outputs
            elif not sparse:
                count = in_units(layer.fan_in, lanes) * self.run.stride
                layer.inputs = self._allocate(count, dtype)
                if input_gradient:
                    self.run.input_deltas = self._allocate(count, dtype)
            count = capacity * layer.fan_out if layer.narrow else layer.n_panels * self.run.stride
            layer.outputs = self._allocate(count, dtype)
            outputs = self._kept[-1]
            layer.deltas = layer.outputs
            if i + 1 < self.run.n_layers:
                layer.deltas = self._allocate(count, dtype)
            self.workspace.append((outputs, self._kept[-1]))
            if layer.residual or (i + 1 < self.run.n_layers and self.layers[i + 1].residual):
                layer.upstream = self._allocate(count, dtype)
            if layer.normalization != NO_NORMALIZATION:
                layer.normalized = self._allocate(count, dtype)
                layer.inverse = self._allocate(capacity, dtype)
                count = n_row_blocks * (layer.n_vectors - 1) * layer.n_bias
                layer.row_sums = self._allocate(count, dtype)
            if layer.normalization == BATCH_NORMALIZATION:
                layer.row_moments = self._allocate(n_row_blocks * 2 * layer.n_bias, dtype)
                layer.moments = self._allocate(self.n_threads * 2 * layer.n_bias, dtype)
                layer.sums = self._allocate(self.n_threads * 2 * layer.n_bias, dtype)
        self.run.row_losses = <double *>self._allocate(
            in_units(self._most_rows, self.run.kernels.mr), np.float64)
        self.run.row_block_weights = <double *>self._allocate(
            n_row_blocks * self.run.n_layers, np.float64)

    def _cut_blocks(self, sparse):
        """Divides the weights into blocks, by the network's shape only, because sums over blocks
        must not depend on the number of threads."""
        cdef const fastmlp_kernels *k = self.run.kernels
        cdef Layer *layer
        cdef const Column *column
        cdef size_t i
        blocks = []
        for i in range(self.run.n_layers):
            layer = &self.layers[i]
            if layer.frozen:
                continue
            # as wide as a tile; one panel wide if no tile computes the gradient
            no_tile = self.run.n_partials or (i == 0 and sparse)
            n_panels = 1 if no_tile else k.nr
            n_rows = 4 * WEIGHT_BLOCK if self.run.n_partials else WEIGHT_BLOCK
            if layer.narrow or (i == 0 and sparse):
                n_rows = layer.panel_rows
            for panel in range(0, layer.n_panels, n_panels):
                for row in range(0, layer.panel_rows, n_rows):
                    blocks.append((i, panel, min(n_panels, layer.n_panels - panel), row,
                                   min(n_rows, layer.panel_rows - row)))
        n_layers = self.run.n_layers
        for i in range(self.run.inputs.n_columns):
            blocks.append((n_layers, 0, 1, i, 1))
        self.blocks = <Block *>malloc(len(blocks) * sizeof(Block))
        if self.blocks is NULL:
            raise MemoryError
        cost = 0
        for i, (layer_index, panel, n_panels, row, n_rows) in enumerate(blocks):
            self.blocks[i].layer = layer_index
            self.blocks[i].panel, self.blocks[i].n_panels = panel, n_panels
            self.blocks[i].row, self.blocks[i].n_rows = row, n_rows
            work = n_panels * n_rows
            if layer_index == n_layers:
                column = &self.run.inputs.columns[row]
                work = in_units(
                    column.place.n_units + 10 * column.place.n_terms + column.count, k.lanes)
            self.blocks[i].middle = cost + work / 2
            cost += work
        self.run.blocks, self.run.n_blocks, self.run.cost = self.blocks, len(blocks), cost
        self.run.squares = <double *>self._allocate(self.run.n_blocks, np.float64)
        self.run.gradient_squares = <double *>self._allocate(self.run.n_blocks, np.float64)

    def _make_ranges(self):
        size = self.n_threads * sizeof(WorkRange)
        self.run.row_ranges = <WorkRange *>self._allocate(size, np.uint8)
        self.run.block_ranges = <WorkRange *>self._allocate(size, np.uint8)
        self.run.spare_ranges = <WorkRange *>self._allocate(size, np.uint8)

    def _scratch(self, sparse):
        """Reals that a thread needs: mr rows of outputs in columns, or a block's gradient."""
        cdef const fastmlp_kernels *k = self.run.kernels
        cdef Layer *layer
        cdef const Column *column
        cdef size_t i
        most = (1 if self.run.fused_output else 2) * columns_bytes(&self.run) // k.real_size
        for i in range(self.run.inputs.n_columns):
            column = &self.run.inputs.columns[i]
            most = max(most, (column.place.n_units + column.count) * k.lanes)
        for i in range(self.run.n_blocks - self.run.inputs.n_columns):  # those of layers
            layer = &self.layers[self.blocks[i].layer]
            rows = self.blocks[i].n_rows + layer.n_vectors
            if layer.gradient is NULL:
                most = max(most, self.blocks[i].n_panels * rows * k.lanes + layer.n_bias)
        return most
