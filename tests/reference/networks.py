"""Small networks and the data that they are tested on: one for each kind of target."""

import itertools

import numpy as np
from scipy import sparse

from fastmlp import _core
from reference.problems import problem, sample_weights

LOSSES = {
    "binary": "binary_log_loss",
    "multiclass": "log_loss",
    "multilabel": "binary_log_loss",
    "squared": "squared_error",
    "squared x3": "squared_error",
    "poisson": "poisson",
    "poisson x2": "poisson",
}
HIDDEN = (7, 4)
# The deviances replace poisson and gamma if the output activation is not exp.
FUSED = [loss for loss in _core.LOSSES if not loss.endswith("_deviance")]


def targets(kind, y, dtype):
    """y as a Dataset takes it."""
    if kind == "multiclass":
        return y.astype(np.int32)
    y = y.reshape(len(y), -1)
    return y.astype(np.uint8 if "log_loss" in LOSSES[kind] else dtype)


def network_case(kind, activation, weighted, container, dtype, hidden=HIDDEN):
    """layer_units, parameters, and the arguments of a Dataset."""
    dtype = np.dtype(dtype)
    X, y = problem(kind, n_samples=23, dtype=dtype)
    n_outputs = 3 if kind == "multiclass" else y.reshape(len(y), -1).shape[1]
    units = [X.shape[1], *hidden, n_outputs]
    rng = np.random.RandomState(0)
    coefs = [
        (rng.uniform(-1, 1, (fan_in, fan_out)) / np.sqrt(fan_in)).astype(dtype)
        for fan_in, fan_out in itertools.pairwise(units)
    ]
    intercepts = [rng.uniform(-0.7, 0.7, n).astype(dtype) for n in units[1:]]
    X = sparse.csr_array(X) if container == "csr" else X
    weights = sample_weights(len(y)) if weighted else None
    return units, coefs, intercepts, (X, targets(kind, y, dtype), weights)


def build(cls, kind, activation, dtype, units, coefs, intercepts, **params):
    activations = [activation] * (len(units) - 2)
    network = cls(units, activations=activations, loss=LOSSES[kind], dtype=dtype, **params)
    network.set_parameters(coefs, intercepts)
    return network
