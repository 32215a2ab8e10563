"""Every quantity of one training step, layer by layer."""

import copy
from dataclasses import dataclass

import numpy as np

from .._core import Dataset, Parameters, predict
from .._estimators.base import _BaseMLP
from .._estimators.tabular import _TabularMLP

# The table shows an array with more rows or columns than this as a one-line summary.
_MOST_NUMBERS = 6

_NAMES = ("coef", "intercept", "scale", "shift")  # the trained parameters, in Network's order

# Settings of the traced step: nothing random, nothing averaged, nothing printed. Layers are frozen
# only for the step itself, because no deltas are computed below the first trained layer. With batch
# normalization they are frozen throughout, because it normalizes a frozen layer differently.
_ONE_PLAIN_STEP = {
    "batch_size": "auto",
    "warm_start": False,
    "shuffle": False,
    "early_stopping": False,
    "verbose": False,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "average_weights": None,
    "record": None,
    "max_time": None,
    "frozen_layers": (),
}


def _shown(array):
    """An array as the table shows it, in lines."""
    if max(array.shape) <= _MOST_NUMBERS:
        return ["".join(f"{value:>11.4g}" for value in row) for row in np.atleast_2d(array)]
    norm = np.linalg.norm(array)
    return [f"     norm {norm:.4g}, from {array.min():.4g} to {array.max():.4g}"]


@dataclass(frozen=True, eq=False)
class TracedLayer:
    """One layer in a training step; see `trace_step`.

    Attributes
    ----------
    activation : str
        The function f of ``a = f(z)``.
    z : ndarray of shape (n_samples, fan_out)
        Pre-activations ``a_below @ coef + intercept``; X is below the first layer.
    a : ndarray of shape (n_samples, fan_out)
        Activations ``f(z)``; in the last layer, the outputs. With normalization, f is applied to
        the normalized z; a residual layer adds ``a_below``.
    delta : ndarray of shape (n_samples, fan_out)
        Derivative of each sample's weighted loss with respect to its z. In a hidden layer
        ``delta_above @ coef_above.T * f'(z)``, propagated through normalization if there is any.
        With batch normalization, zero below the first layer that is trained.
    coef_gradient : ndarray of shape (fan_in, fan_out)
        ``(a_below.T @ delta + alpha * coef) / n_samples``; with sample weights, divided by their
        sum instead. It is not clipped, and without the L1 part of the penalty. With batch
        normalization, zero in frozen layers.
    intercept_gradient : ndarray of shape (fan_out,)
        ``delta.sum(axis=0) / n_samples``.
    scale_gradient, shift_gradient : ndarray of shape (fan_out,) or None
        Gradients of normalization's scale and shift.
    coef_update, intercept_update, scale_update, shift_update : ndarray or None
        What the optimizer's step adds to the parameters; zero if the layer is frozen.
    """

    activation: str
    z: np.ndarray
    a: np.ndarray
    delta: np.ndarray
    coef_gradient: np.ndarray
    intercept_gradient: np.ndarray
    scale_gradient: np.ndarray | None = None
    shift_gradient: np.ndarray | None = None
    coef_update: np.ndarray | None = None
    intercept_update: np.ndarray | None = None
    scale_update: np.ndarray | None = None
    shift_update: np.ndarray | None = None

    def __str__(self):
        fan_in, fan_out = self.coef_gradient.shape
        lines = [f"{fan_in} -> {fan_out}, {self.activation}"]
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                first, *rest = _shown(array)
                lines.append(f"  {name:<20}{array.shape!s:<10}{first}")
                lines += [" " * 32 + line for line in rest]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class TracedStep:
    """One training step, as `trace_step` returns it. ``print`` shows it as a table.

    Attributes
    ----------
    loss : float
        Loss of the batch before the step, including the penalty, as in `loss_curve_`.
    layers : tuple of TracedLayer
        From the first hidden layer to the output layer.
    """

    loss: float
    layers: tuple

    def __str__(self):
        layers = [f"layer {i}: {layer}" for i, layer in enumerate(self.layers)]
        return "\n\n".join([f"loss {self.loss:.6g}", *layers])


def _check(estimator):
    """Refuse estimators that do not take a single gradient step of a single network."""
    reason = None
    if estimator.solver == "lbfgs":
        reason = "solver='lbfgs' searches along lines instead"
    elif estimator.n_estimators > 1:
        reason = f"got n_estimators={estimator.n_estimators}, use n_estimators=1"
    if reason:
        raise ValueError(f"trace_step shows a gradient step of one network; {reason}.")


def _outputs(dataset, parameters, architecture):
    """Outputs computed from the inputs of the last layer. With batch normalization they differ from
    those of a prediction, which uses other moments."""
    lists = [arrays[-1:] for arrays in parameters[:2]]
    return predict(dataset, Parameters(architecture.last_layer(), lists), 1)[0]


def trace_step(estimator, X, y, sample_weight=None):
    """Take one training step on a copy of an estimator, and return every quantity of the step.

    All of X is one batch. The compiled loops that `fit` runs carry it forward through the network
    and its error backward, and take the optimizer's step. Dropout is turned off, because with
    dropout each step uses a different, random part of the network.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Not changed. If it is fitted, the step starts from its weights and its optimizer's state,
        as `partial_fit` does; if not, from the weights that `fit` would begin with.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The batch.

    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Its targets. An unfitted classifier takes the classes from it.

    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample in the loss; 1 if not given.

    Returns
    -------
    TracedStep
        With ``loss`` and, for each layer, the arrays ``z``, ``a``, ``delta``, ``coef_gradient``,
        ``intercept_gradient``, ``coef_update`` and ``intercept_update``; see `TracedLayer`.

    Raises
    ------
    ValueError
        As in `fit`; and for ``solver="lbfgs"``, which takes no gradient steps, and for several
        networks in one estimator.

    References
    ----------
    Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323,
    1986.

    Examples
    --------
    The textbooks' network of two inputs, three hidden units and one output, all sigmoids, with
    the squared error ``(y - a) ** 2 / 2``. The first hidden unit's z is ``0.1 * 0.1 + 0.2 * 0.4 +
    0.1 = 0.19``:

    >>> import numpy as np
    >>> from fastmlp import MLPRegressor
    >>> from fastmlp.inspection import trace_step
    >>> coefs = [np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), np.array([[0.7], [0.8], [0.9]])]
    >>> intercepts = [np.array([0.1, 0.2, 0.3]), np.array([0.4])]
    >>> net = MLPRegressor("squared_error", (3,), "logistic", out_activation="logistic",
    ...                    solver="sgd", momentum=0, learning_rate_init=0.1, alpha=0,
    ...                    init=(coefs, intercepts))
    >>> step = trace_step(net, [[0.1, 0.2]], [1.0])
    >>> print(step)
    loss 0.0101269
    <BLANKLINE>
    layer 0: 2 -> 3, logistic
      z                   (1, 3)           0.19       0.32       0.45
      a                   (1, 3)         0.5474     0.5793     0.6106
      delta               (1, 3)      -0.003013  -0.003387  -0.003717
      coef_gradient       (2, 3)     -0.0003013 -0.0003387 -0.0003717
                                     -0.0006025 -0.0006774 -0.0007434
      intercept_gradient  (3,)        -0.003013  -0.003387  -0.003717
      coef_update         (2, 3)      3.013e-05  3.387e-05  3.717e-05
                                      6.025e-05  6.774e-05  7.434e-05
      intercept_update    (3,)        0.0003013  0.0003387  0.0003717
    <BLANKLINE>
    layer 1: 3 -> 1, logistic
      z                   (1, 1)          1.796
      a                   (1, 1)         0.8577
      delta               (1, 1)       -0.01737
      coef_gradient       (3, 1)      -0.009508
                                       -0.01006
                                       -0.01061
      intercept_gradient  (1,)         -0.01737
      coef_update         (3, 1)      0.0009508
                                       0.001006
                                       0.001061
      intercept_update    (1,)         0.001737
    """
    if not isinstance(estimator, _BaseMLP) or isinstance(estimator, _TabularMLP):
        raise TypeError(
            "trace_step takes an MLPClassifier or MLPRegressor, got"
            f" {type(estimator).__name__}. For a pipeline, pass its last step, and X as the steps"
            " before transform it."
        )
    estimator._validate_params()
    _check(estimator)
    model = copy.deepcopy(estimator).set_params(**_ONE_PLAIN_STEP)
    if model.normalization == "batch":
        model.set_params(frozen_layers=estimator.frozen_layers)
    task = model._begin(X, y, sample_weight, incremental=hasattr(estimator, "coefs_"))
    network, dataset, parameters = task.network, task.dataset, task.parameters
    architecture = network.architecture
    before = [[array.copy() for array in arrays] for arrays in parameters]
    gradients = [
        [np.empty_like(array) for array in arrays]
        for arrays in parameters[: architecture.n_trained]
    ]
    network.loss_and_gradient(dataset, model.alpha * (1.0 - model.l1_ratio), gradients)
    activations, deltas = network.trace(dataset)
    last_inputs = Dataset(activations[-1]) if activations else dataset
    activations.append(_outputs(last_inputs, before, architecture))

    model.set_params(batch_size=len(dataset), frozen_layers=estimator.frozen_layers)
    after = model._train(X, y, sample_weight, incremental=True)._parameter_lists()
    below, layers = dataset.X.astype(network.dtype), []
    for i, function in enumerate([*architecture.activations, architecture.out_activation]):
        changes = {}
        for name, then, now, gradient in zip(_NAMES, before, after, gradients, strict=False):
            if i < len(then):
                changes[f"{name}_gradient"] = gradient[i]
                changes[f"{name}_update"] = now[i] - then[i]
        z = below @ before[0][i] + before[1][i]
        layers.append(TracedLayer(function, z, activations[i], deltas[i], **changes))
        below = activations[i]
    return TracedStep(model.loss_, tuple(layers))
