"""The weights that training starts from."""

import warnings

import numpy as np
from sklearn.utils.parallel import _get_threadpool_controller

from .architecture import PARAMETERS, STARTS
from .columns import n_units_of
from .conversion import converted

# variance of the weights of one layer
VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
INITIALIZATIONS = (
    *(f"{name}_{kind}" for name in VARIANCES for kind in ("normal", "uniform")),
    *("orthogonal", "normal", "uniform"),
)


def initial_parameters(
    architecture,
    random_state,
    init="auto",
    scale=0.05,
    classes=None,
    last_activation="identity",
    frozen_layers=(),
):
    """The weights that training starts from, as new arrays.

    Parameters
    ----------
    architecture : Architecture
        The weights have its type; they are always drawn in float64.
    random_state : RandomState
    init : str, callable, tuple or estimator
        As the estimators' parameter of that name.
    scale : float
        Standard deviation of "normal", bound of "uniform".
    classes : ndarray or None
        Classes of the outputs.
    last_activation : str
        Activation that sets the bounds of the output layer with "auto"; scikit-learn takes that of
        the hidden layers.
    frozen_layers : set of int
        Layers that are not trained.

    Returns
    -------
    tuple of lists of ndarray
        One for each of ``architecture.parameter_names``.

    Raises
    ------
    ValueError
        If what `init` gives does not fit the layers, or is not finite.
    """
    shapes = architecture.coef_shapes
    if hasattr(init, "fit") or (isinstance(init, str) and init == "auto"):
        activations = *architecture.activations, last_activation
        parameters = _sklearns(shapes, activations, random_state)
    elif isinstance(init, (tuple, list)):
        parameters = _given(init, shapes)
    else:
        draw = init if callable(init) else _strategy(init, scale)
        coefs = [
            _checked(
                _drawn(draw, shape, random_state),
                shape,
                f"the weights that init drew for layer {i}",
            )
            for i, shape in enumerate(shapes)
        ]
        parameters = coefs, [np.zeros(fan_out) for _, fan_out in shapes]
    parameters = *parameters, *_normalization(architecture)
    if hasattr(init, "fit"):
        copied = _transfer(init, parameters, classes)
        _warn_of_transfer(init, architecture, copied, frozen_layers)
    return tuple(
        [np.array(a, dtype=architecture.dtype, order="C", copy=None) for a in arrays]
        for arrays in parameters
    )


def initial_embeddings(columns, random_state, dtype, deviation=0.1):
    """The initial arrays of `embeddings_`, as Holzmueller et al. (2024) draw them: scales are 1,
    frequencies normal with standard deviation `deviation`, phases uniform in (-pi, pi), weights and
    biases of an embedding uniform in (-b, b) with b = 1 / sqrt(fan_in), tables standard normal."""
    arrays = [np.ones(n_units_of(columns))]
    for column in columns:
        fan_in = column.n_terms * (2 if column.kind == "plr" else 1)
        for i, shape in enumerate(column.trained_shapes):
            if column.kind == "category":
                arrays.append(random_state.standard_normal(shape))
            elif i == 0:
                arrays.append(random_state.normal(0, deviation, shape))
            elif i == 1 and column.kind == "pbld":
                arrays.append(random_state.uniform(-np.pi, np.pi, shape))
            else:
                bound = 1 / np.sqrt(fan_in)
                arrays.append(random_state.uniform(-bound, bound, shape))
    return [np.array(a, dtype=dtype) for a in arrays]


def _sklearns(shapes, activations, random_state):
    """Uniform in (-b, b) with b = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), 2 instead
    of 6 if the activation is logistic; intercepts are drawn too. The order of the draws is
    scikit-learn's: each layer's coefficients, then its intercepts."""
    coefs, intercepts = [], []
    for (fan_in, fan_out), activation in zip(shapes, activations, strict=True):
        factor = 2.0 if activation == "logistic" else 6.0
        bound = np.sqrt(factor / (fan_in + fan_out))
        coefs.append(random_state.uniform(-bound, bound, (fan_in, fan_out)))
        intercepts.append(random_state.uniform(-bound, bound, fan_out))
    return coefs, intercepts


def _drawn(draw, shape, random_state):
    try:
        return draw(*shape, random_state)
    except TypeError as error:
        raise TypeError(
            f"init={draw!r} failed as init(fan_in, fan_out, random_state): {error}. An example is"
            " init=lambda fan_in, fan_out, random_state: np.zeros((fan_in, fan_out))."
        ) from error


def _strategy(name, scale):
    """The function ``draw(fan_in, fan_out, random_state)`` of the strategy `name`."""
    if name == "orthogonal":
        return _orthogonal
    family, _, kind = name.rpartition("_")

    def draw(fan_in, fan_out, random_state):
        if family:
            deviation = np.sqrt(VARIANCES[family](fan_in, fan_out))
            bound = np.sqrt(3) * deviation
        else:
            deviation = bound = scale
        if kind == "normal":
            return random_state.normal(0, deviation, (fan_in, fan_out))
        return random_state.uniform(-bound, bound, (fan_in, fan_out))

    return draw


def _orthogonal(fan_in, fan_out, random_state):
    """Uniformly distributed orthonormal columns, or rows if there are more columns than rows: Q of
    a normal matrix, with the signs of R's diagonal (Saxe, McClelland and Ganguli, 2014)."""
    tall = random_state.standard_normal((max(fan_in, fan_out), min(fan_in, fan_out)))
    with _get_threadpool_controller().limit(limits=1, user_api="blas"):  # fixes the bits
        q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if fan_in >= fan_out else q.T


def _given(init, shapes):
    """The arrays of a pair of lists."""
    if len(init) != 2 or any(not isinstance(part, (list, tuple)) for part in init):
        raise ValueError("init must be a pair of lists of arrays, (coefs, intercepts).")
    found = []
    intercept_shapes = [(fan_out,) for _, fan_out in shapes]
    for name, part, expected in zip(
        ("coefs", "intercepts"), init, (shapes, intercept_shapes), strict=True
    ):
        if len(part) != len(expected):
            raise ValueError(
                f"init has {len(part)} arrays of {name}, but the network has {len(expected)} layers"
                " of weights."
            )
        found.append(
            [
                _checked(array, shape, f"init's {name}[{i}]")
                for i, (array, shape) in enumerate(zip(part, expected, strict=True))
            ]
        )
    return found


def _normalization(architecture):
    """The initial parameters of normalization."""
    return tuple(
        [np.full(units, STARTS[name]) for units in architecture.units[1:-1]]
        for name in architecture.parameter_names[2:]
    )


def _transfer(source, parameters, classes):
    """Replace layers by those of a fitted network that have the same number and shape; the output
    layer only if it has the same classes. Return the numbers of these layers."""
    lists = [getattr(source, name, ()) for name in PARAMETERS]
    lists[1] = getattr(source, "intercepts_", getattr(source, "biases_", ()))
    lists = [arrays if isinstance(arrays, (list, tuple)) else () for arrays in lists]
    lists = converted(lists)
    coefs, intercepts = lists[:2]
    if not 0 < len(coefs) == len(intercepts) or any(np.ndim(coef) != 2 for coef in coefs):
        raise ValueError(
            "init must be a single fitted network, MLPClassifier or MLPRegressor (in a grid search,"
            f" wrapped in a FrozenEstimator); got {source!r}."
        )
    copied, n_layers = [], len(parameters[0])
    others = getattr(source, "classes_", classes)
    if classes is not None and not np.array_equal(others, classes):
        n_layers -= 1
    for i, (own, coef, intercept) in enumerate(zip(parameters[0], *lists[:2], strict=False)):
        if i == n_layers or coef.shape != own.shape or np.shape(intercept) != own.shape[1:]:
            continue
        copied.append(i)
        for name, arrays, given in zip(PARAMETERS, parameters, lists, strict=False):
            if i < min(len(arrays), len(given)):
                arrays[i] = _checked(given[i], arrays[i].shape, f"{name}[{i}] of init")
    return copied


def _warn_of_transfer(source, architecture, copied, frozen_layers):
    """Warn of layers that were expected from a fitted network but were not copied, and of copied
    ones whose outputs are not what they were there."""
    if not copied:
        warnings.warn(
            "No layer of init has the shape (and, if it is the output layer, the classes) of the"
            " layer with the same number, so all layers are drawn at random."
        )
    if random := sorted({*frozen_layers}.difference(copied)):
        warnings.warn(
            f"frozen_layers names the layers {random}, which init does not have in the shapes"
            f" {[architecture.coef_shapes[i] for i in random]}. They are drawn at random and will"
            " not be trained: take them out of frozen_layers, or make the layers equal those of"
            " init."
        )
    theirs = getattr(source, "activation", None)
    hidden = [i for i in copied if i < architecture.n_layers - 1]
    theirs = [theirs] * len(architecture.activations) if isinstance(theirs, str) else theirs
    for i in hidden if isinstance(theirs, (list, tuple)) else ():
        if i < len(theirs) and theirs[i] != (own := architecture.activations[i]):
            warnings.warn(
                f"init's hidden layer {i} has activation {theirs[i]!r}, this network's has {own!r}:"
                " its weights were trained for another function."
            )
            break
    for name, default in (("normalization", None), ("residual", False)):
        other, own = getattr(source, name, default), getattr(architecture, name)
        if hidden and other != own:
            warnings.warn(
                f"init has {name}={other!r}, this network {name}={own!r}: its weights were trained"
                " for another function."
            )


def _checked(array, shape, name):
    """A copy of `array`, checked to have this shape and finite numbers."""
    try:
        array = np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers.") from None
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite.")
    return array
