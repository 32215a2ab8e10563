"""The weights that training starts from."""

from itertools import pairwise

import numpy as np

INITIALIZATIONS = (
    *(f"{name}_{kind}" for name in ("glorot", "he", "lecun") for kind in ("normal", "uniform")),
    *("orthogonal", "normal", "uniform"),
)


def initial_parameters(layer_units, activations, dtype, random_state):
    """Draw the weights that training starts from (Glorot and Bengio, 2010).

    Uniform in (-b, b) with b = sqrt(6 / (fan_in + fan_out)), 2 instead of 6 where the activation
    is logistic; intercepts are drawn too. The order of the draws is scikit-learn's: each layer's
    coefficients, then its intercepts.

    Parameters
    ----------
    layer_units : list of int
        Widths of all layers, from the features to the outputs.
    activations : sequence of str
        One a layer; of the output layer, in place of its own, the hidden layers'.
    dtype : dtype
        Computing type of the network. The draws themselves are always float64.
    random_state : RandomState

    Returns
    -------
    coefs, intercepts : list of ndarray
    """
    coefs, intercepts = [], []
    for (fan_in, fan_out), activation in zip(pairwise(layer_units), activations, strict=True):
        factor = 2.0 if activation == "logistic" else 6.0
        bound = np.sqrt(factor / (fan_in + fan_out))
        coefs.append(
            random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False)
        )
        intercepts.append(random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
    return coefs, intercepts


def normalization_parameters(layer_units, normalization, dtype):
    """What normalization begins with: scales of one and shifts of zero, and for 'batch' running
    means of zero and variances of one.

    Parameters
    ----------
    layer_units : list of int
        Widths of all layers, from the features to the outputs.
    normalization : {'batch', 'layer'} or None
    dtype : dtype

    Returns
    -------
    tuple of lists of ndarray of shape (units,), one array a hidden layer
        Empty without normalization.
    """
    starts = {None: (), "layer": (1, 0), "batch": (1, 0, 0, 1)}[normalization]
    return tuple([np.full(units, x, dtype) for units in layer_units[1:-1]] for x in starts)
