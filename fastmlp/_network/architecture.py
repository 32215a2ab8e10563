"""Architecture: the one value that describes a network."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from .._core import (
    ACTIVATIONS,
    LOSSES,
    N_LISTS,
    N_TRAINED,
    NORMALIZATIONS,
    OUT_ACTIVATIONS,
    OUTPUTS,
    TARGETS,
)
from .columns import embedding_shapes, n_units_of

# Names of the lists of parameters in the estimators, in the order in which functions take them. A
# network has the first so many of them, by its normalization (N_LISTS).
STARTS = {"norm_scales_": 1.0, "norm_shifts_": 0.0, "norm_means_": 0.0, "norm_variances_": 1.0}
PARAMETERS = ("coefs_", "intercepts_", *STARTS)
# The number of its lists says how a fitted network is normalized. A kind with as many lists as
# another would need a fitted attribute that tells the two apart.
BY_N_LISTS = {n_lists: normalization for normalization, n_lists in N_LISTS.items()}


@dataclass(frozen=True)
class LossSettings:
    """Constants of a loss.

    Attributes
    ----------
    delta : float, default=1.0
        Error at which the Huber loss changes from quadratic to linear.
    gamma : float, default=2.0
        Exponent of the focal loss.
    smoothing : float, default=0.0
        Share of each target of the log loss that is spread over all classes.
    quantile : tuple of float, default=(0.5,)
        Level of each output of the quantile loss; a single one holds for all outputs.
    """

    delta: float = 1.0
    gamma: float = 2.0
    smoothing: float = 0.0
    quantile: tuple = (0.5,)


@dataclass(frozen=True)
class Architecture:
    """What a network is: its layers, its loss and its computing type, checked once.

    A Network, predictions and inspection take it as a whole. Weights are not part of it.

    Attributes
    ----------
    units : tuple of int
        Widths of all layers: ``(n_features, *hidden_layer_sizes, n_outputs)``.
    activations : tuple of str
        Activation of each hidden layer, one of ``_core.ACTIVATIONS``.
    out_activation : str or None, default=None
        Output activation, one of ``_core.OUTPUTS``. None is replaced by the loss's own.
    loss : str or None, default=None
        One of ``_core.LOSSES``. None if the network only predicts.
    loss_settings : LossSettings
    normalization : str or None, default=None
        How the pre-activations of the hidden layers are normalized, one of
        ``_core.NORMALIZATIONS``.
    residual : bool, default=False
        Whether a hidden layer as wide as the one below it adds its inputs to its outputs.
    dropout : tuple of float, default=()
        Rates in [0, 1) of the inputs and of each hidden layer; empty for no dropout.
    dtype : numpy.dtype, default=float64
        Type of all arithmetic: float32 or float64.
    columns : tuple of Column, default=()
        If samples are rows of a table: its columns, whose units are the first of `units`.

    Raises
    ------
    ValueError
        If a value is out of its range, or values cannot be combined.
    """

    units: tuple
    activations: tuple
    out_activation: str | None = None
    loss: str | None = None
    loss_settings: LossSettings = field(default_factory=LossSettings)
    normalization: str | None = None
    residual: bool = False
    dropout: tuple = ()
    dtype: np.dtype = np.float64
    columns: tuple = ()

    def __post_init__(self):
        assign = object.__setattr__  # the dataclass is frozen
        assign(self, "units", tuple(map(int, self.units)))
        assign(self, "activations", tuple(self.activations))
        assign(self, "dropout", tuple(map(float, self.dropout)))
        assign(self, "dtype", np.dtype(self.dtype))
        if self.out_activation is None:
            assign(self, "out_activation", OUT_ACTIVATIONS[self.loss])
        self._check_layers()
        self._check_outputs()

    def _check_layers(self):
        if len(self.units) < 2 or min(self.units) < 1:
            raise ValueError(f"units must be two or more positive integers, got {self.units}")
        if self.columns and n_units_of(self.columns) != self.units[0]:
            raise ValueError(f"columns have {n_units_of(self.columns)} units, not {self.units[0]}")
        n_hidden = len(self.units) - 2
        unknown = [name for name in self.activations if name not in ACTIVATIONS]
        if len(self.activations) != n_hidden or unknown:
            raise ValueError(
                f"activations must be {n_hidden} of {ACTIVATIONS}, got {self.activations}"
            )
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {NORMALIZATIONS}, got {self.normalization!r}"
            )
        in_range = all(0 <= rate < 1 for rate in self.dropout)
        if self.dropout and (len(self.dropout) != n_hidden + 1 or not in_range):
            raise ValueError(f"dropout must be {n_hidden + 1} rates in [0, 1), got {self.dropout}")
        if self.dtype not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {self.dtype}")

    def _check_outputs(self):
        if self.out_activation not in OUTPUTS:
            raise ValueError(
                f"out_activation must be one of {OUTPUTS}, got {self.out_activation!r}"
            )
        if self.loss is None:
            return
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {LOSSES}, got {self.loss!r}")
        if not self.loss_has_output and (
            TARGETS[self.loss] != "reals" or self.out_activation == "softmax"
        ):
            raise ValueError(f"loss {self.loss!r} does not go with {self.out_activation!r} outputs")

    @property
    def n_layers(self):
        """Number of layers of weights."""
        return len(self.units) - 1

    @property
    def loss_has_output(self):
        """Whether the loss's kernel applies the output activation itself."""
        return self.out_activation == OUT_ACTIVATIONS[self.loss]

    @cached_property
    def coef_shapes(self):
        """(fan_in, fan_out) of each layer."""
        return tuple(pairwise(self.units))

    @property
    def parameter_names(self):
        """Names of the lists of parameters that this network has."""
        names = PARAMETERS[: N_LISTS[self.normalization]]
        return (*names, "embeddings_") if self.columns else names

    @cached_property
    def parameter_shapes(self):
        """Shapes of the parameters, a tuple with a tuple for each of `parameter_names`: one shape
        for each layer or, in the lists of normalization, for each hidden layer. Those of columns
        come last."""
        vectors = tuple([(units,) for units in self.units[1:]])
        hidden = (vectors[:-1],) * (N_LISTS[self.normalization] - 2)
        return (self.coef_shapes, vectors, *hidden, *self._embedding_shapes)

    @property
    def _embedding_shapes(self):
        return (embedding_shapes(self.columns),) if self.columns else ()

    @property
    def n_trained(self):
        """Number of lists of layers' parameters that are trained: all except running statistics,
        which are the last ones."""
        return N_TRAINED[self.normalization]

    @property
    def trained_shapes(self):
        """Shapes of the parameters that are trained; see `parameter_shapes`."""
        return (*self.parameter_shapes[: self.n_trained], *self._embedding_shapes)

    @property
    def n_trained_parameters(self):
        """Number of parameters that are trained: the length of a flat gradient."""
        return sum(math.prod(shape) for shapes in self.trained_shapes for shape in shapes)

    def views(self, flat):
        """Views of a vector of `n_trained_parameters` numbers: a tuple of lists of arrays of
        `trained_shapes`. List follows list and array follows array, each in C order, whatever the
        instruction set."""
        views, at = [], 0
        for shapes in self.trained_shapes:
            views.append([])
            for shape in shapes:
                size = math.prod(shape)
                views[-1].append(flat[at : at + size].reshape(shape))
                at += size
        return tuple(views)

    def up_to(self, depth):
        """The architecture of the first `depth` hidden layers, with a linear output layer that is
        as wide as the last of them."""
        return replace(
            self,
            units=(*self.units[: depth + 1], self.units[depth]),
            activations=self.activations[:depth],
            out_activation="identity",
            loss=None,
            dropout=(),
        )

    def last_layer(self):
        """The architecture of the output layer alone."""
        return replace(
            self,
            units=self.units[-2:],
            activations=(),
            normalization=None,
            loss=None,
            dropout=(),
            columns=(),
        )
