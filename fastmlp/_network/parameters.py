"""The weights of a network in the caller's arrays, for predictions."""

import numpy as np

from .. import _core
from .columns import InputLayer


def network_parameters(architecture, lists):
    """The Parameters of the compiled core.

    Parameters
    ----------
    architecture : Architecture
    lists : sequence of lists of ndarray
        One for each of ``architecture.parameter_names``.

    Returns
    -------
    _core.Parameters
    """
    if not architecture.columns:
        return _core.Parameters(architecture, lists)
    inputs = InputLayer(architecture.columns, architecture.dtype)
    inputs.load(inputs.parameters, *lists[-1])
    return _core.Parameters(architecture, lists[:-1], inputs.compiled())


def up_to(architecture, parameters, depth):
    """The first `depth` hidden layers of a network, for predictions. The output layer is an
    identity that changes no bits.

    Parameters
    ----------
    architecture : Architecture
    parameters : tuple of lists of ndarray
        Of the whole network.
    depth : int

    Returns
    -------
    _core.Parameters
    """
    width, dtype = architecture.units[depth], architecture.dtype
    embeddings = parameters[-1:] if architecture.columns else ()
    coefs, intercepts, *normalization = parameters[: len(parameters) - len(embeddings)]
    lists = (
        [*coefs[:depth], np.eye(width, dtype=dtype)],
        [*intercepts[:depth], np.zeros(width, dtype)],
        *(arrays[:depth] for arrays in normalization),
        *embeddings,
    )
    return network_parameters(architecture.up_to(depth), lists)
