"""What the parameter `record` adds to `history_`, layer by layer."""

import warnings

import numpy as np

from .._core import RANGES, Dataset

PROBE_ROWS = 1000
RECORDS = ("gradients", "activations", "weights")
VANISHING, EXPLODING = 1e-3, 1e4  # see `Monitor`


class Monitor:
    """Measures gradients, activations and weights, and warns of gradients that vanish or explode.

    For the warning, the norm of each layer's gradient is divided by the root mean square length of
    the layer's inputs. The result is the size of the error that reaches the layer. (The gradients
    themselves need not shrink on the way back: if errors do, activations often shrink on the way
    forward, and their products stay alike; Glorot and Bengio, 2010.) Gradients vanish if less than
    a thousandth of the error at the last trained layer reaches the first, and explode if more than
    ten thousand times as much does, or if a norm is not finite (Pascanu, Mikolov and Bengio,
    2013).

    Parameters
    ----------
    names : iterable of str
        What to measure: some of `RECORDS`.
    dataset : Dataset
    rows : ndarray of intp
        Training rows, of which the first 1000 are used.
    network : Network
    """

    def __init__(self, names, dataset, rows, network):
        self.names, self.architecture = frozenset(names), network.architecture
        self.trained_layers = network.trained_layers
        rows = rows[:PROBE_ROWS]
        weights = dataset.sample_weight
        self.probe = Dataset(
            dataset.X[rows], dataset.y[rows], None if weights is None else weights[rows]
        )
        self.gradient = tuple(
            [np.empty(shape, network.dtype) for shape in shapes]
            for shapes in self.architecture.trained_shapes
        )
        self.warned = False

    def measure(self, network):
        """A list with an entry for each layer, by the names in `history_`."""
        found = {}
        if "weights" in self.names:
            found["weight_norms"] = _norms(network.copy_parameters()[0])
        if not self.names.isdisjoint({"gradients", "activations"}):
            outputs = network.hidden_outputs(self.probe)
        if "activations" in self.names:
            found |= self._idle_units(outputs)
        if "gradients" in self.names:
            network.loss_and_gradient(self.probe, 0.0, self.gradient)
            found["gradient_norms"] = _norms(self.gradient[0])
            if not self.warned and (text := self._complaint(found["gradient_norms"], outputs)):
                self.warned = True
                warnings.warn(text)
        return found

    def _idle_units(self, outputs):
        dead, saturated = [], []
        for name, output in zip(self.architecture.activations, outputs, strict=True):
            dead.append(float((output == output[0]).all(axis=0).mean()))
            low, high = RANGES[name]
            margin = 0.01 * (high - low)
            if not np.isfinite(margin):  # units saturate only between two bounds
                low, high, margin = -np.inf, np.inf, 0
            near = (output <= low + margin) | (output >= high - margin)
            saturated.append(float((near.mean(axis=0) > 0.5).mean()))
        return {"dead_units": dead, "saturated_units": saturated}

    def _complaint(self, norms, outputs):
        """The text of the warning, or None."""
        trained = self.trained_layers
        if not np.isfinite(norms).all():
            layer = int(np.argmin(np.isfinite(norms)))
            return f"The gradient of layer {layer} is not finite: gradients explode. " + CURE
        X = self.probe.X
        squares = X.multiply(X).sum() if self.probe.sparse else np.square(X, dtype=float).sum()
        lengths = [squares, *(np.square(h, dtype=float).sum() for h in outputs)]
        lengths = np.sqrt(np.array(lengths) / len(self.probe))
        if not lengths[1:].all():
            layer = int(np.argmin(lengths[1:]))
            return (
                f"Gradients vanish: all units of hidden layer {layer} are dead. Try a smaller"
                " learning_rate_init, or an activation other than relu."
            )
        errors = np.divide(norms, lengths, out=np.zeros(len(norms)), where=lengths > 0)
        if errors[trained[-1]] == 0:
            return None
        first, last = trained[0], trained[-1]
        share = errors[first] / errors[last]
        if share < VANISHING:
            return (
                f"Gradients vanish: the error that reaches layer {first} is {share:.0e} of that at"
                f" layer {last}. Try init='glorot_uniform' ('he_uniform' for the relu family),"
                " normalization='batch', residual=True, or another activation."
            )
        if share > EXPLODING:
            return (
                f"Gradients explode: the error that reaches layer {first} is {share:.0e} times that"
                f" at layer {last}. " + CURE
            )
        return None


CURE = (
    "Try init='glorot_uniform' ('he_uniform' for the relu family), normalization, clip_norm=1, or a"
    " smaller learning_rate_init."
)


def _norms(arrays):
    """Euclidean norm of each array; not by BLAS, whose sums depend on its number of threads."""
    return [float(np.sqrt(np.square(a, dtype=np.float64).sum())) for a in arrays]
