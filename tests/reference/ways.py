"""The ways in which a batch is processed, and a network that is large enough for all of them."""

import itertools

import numpy as np

# the limits in _network/plan.py that select each way, for the network below and batches of 150
WAYS = {
    "partial gradients": {},
    "partial gradients in micro-batches": {"PARTIAL_MICRO_BATCH": 64},
    "row blocks": {"PARTIAL_BYTES": 0},
    "row blocks in micro-batches": {"PARTIAL_BYTES": 0, "WORKSPACE_BYTES": 2**15, "MIN_ROWS": 40},
}
LOSSES = {"log_loss": 5, "binary_log_loss": 1, "squared_error": 2}
N_SAMPLES, BATCH_SIZE = 330, 150


def case(loss, dtype):
    """layer_units, parameters, and the arguments of a Dataset: enough work for seven threads."""
    rng = np.random.RandomState(0)
    units = [53, 67, 35, LOSSES[loss]]
    coefs = [
        (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(dtype)
        for shape in itertools.pairwise(units)
    ]
    intercepts = [rng.uniform(-0.5, 0.5, n).astype(dtype) for n in units[1:]]
    X = rng.standard_normal((N_SAMPLES, units[0])).astype(dtype)
    if loss == "log_loss":
        y = rng.randint(0, units[-1], N_SAMPLES).astype(np.int32)
    elif loss == "binary_log_loss":
        y = rng.randint(0, 2, (N_SAMPLES, 1)).astype(np.uint8)
    else:
        y = rng.standard_normal((N_SAMPLES, units[-1])).astype(dtype)
    return units, coefs, intercepts, (X, y, rng.uniform(0.5, 2, N_SAMPLES))
