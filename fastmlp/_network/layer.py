"""Layer: the arrays of one layer in panels."""

import numpy as np

from .. import _core


class Layer:
    """One layer's arrays in panels.

    The weights of a wide layer are (fan_out panels, fan_in, V). An output layer with few outputs is
    narrow: its weights are (fan_in panels, fan_out, V), along fan_in, so that no lanes are wasted.
    """

    def __init__(self, fan_in, fan_out, *, narrow, lanes, dtype, n_vectors=1, n_running=0):
        self.fan_in, self.fan_out, self.narrow = fan_in, fan_out, narrow
        self.n_vectors = n_vectors  # the bias, and what normalization trains
        self.lanes, self.dtype = lanes, dtype
        rows, columns = (fan_out, fan_in) if narrow else (fan_in, fan_out)
        self.shape = (-(-columns // lanes), rows, lanes)
        self.n_bias = -(-fan_out // lanes) * lanes
        self.parameters = self.new()
        self.running_statistics = None  # mean and variance, of batch normalization
        if n_running:
            self.running_statistics = _core.aligned_zeros(n_running * self.n_bias, dtype)
        self.transposed = None  # a second copy of the weights, along fan_in, for the deltas

    def new(self):
        """Zeros in this layout: the weights, then the bias, and what normalization trains."""
        panels, rows, lanes = self.shape
        size = panels * rows * lanes + self.n_vectors * self.n_bias
        return _core.aligned_zeros(size, self.dtype)

    def weights(self, flat):
        return flat[: flat.size - self.n_vectors * self.n_bias].reshape(self.shape)

    def bias(self, flat):
        return flat[flat.size - self.n_vectors * self.n_bias :]

    def load(self, flat, coef, *vectors):
        _core.to_panels(coef.T if self.narrow else coef, self.weights(flat))
        places = [*self.bias(flat).reshape(self.n_vectors, self.n_bias)]
        if len(vectors) > self.n_vectors:
            places += [*self.running_statistics.reshape(-1, self.n_bias)]
        for place, vector in zip(places, vectors, strict=True):
            place[: self.fan_out] = vector
        if flat is self.parameters and self.transposed is not None:
            _core.to_panels(coef.T, self.transposed)

    def add_transposed(self):
        self.transposed = self.new_transposed()

    def new_transposed(self):
        """A copy of the weights as they are now, along fan_in: (fan_in panels, fan_out, lanes)."""
        panels = -(-self.fan_in // self.lanes)
        flat = _core.aligned_zeros(panels * self.fan_out * self.lanes, self.dtype)
        transposed = flat.reshape(panels, self.fan_out, self.lanes)
        coef = np.empty((self.fan_in, self.fan_out), dtype=self.dtype)
        _core.from_panels(self.weights(self.parameters), coef)
        _core.to_panels(coef.T, transposed)
        return transposed

    def store(self, flat, coef, *vectors):
        _core.from_panels(self.weights(flat), coef.T if self.narrow else coef)
        places = [*self.bias(flat).reshape(self.n_vectors, self.n_bias)]
        if len(vectors) > self.n_vectors:
            places += [*self.running_statistics.reshape(-1, self.n_bias)]
        for place, vector in zip(places, vectors, strict=True):
            vector[...] = place[: self.fan_out]
