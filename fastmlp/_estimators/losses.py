"""The losses by their names in the estimators: kernels and settings; and class weights."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    validate_parameter_constraints,
)

from .._network.architecture import LossSettings

CLASSIFIER_LOSSES = ("log_loss", "focal", "squared_error", "hinge")
REGRESSOR_LOSSES = (
    *("squared_error", "poisson", "gamma", "absolute_error", "huber"),
    *("log_cosh", "quantile"),
)
# losses that need positive predictions -> the condition on targets, in words and as a function
_POSITIVE_TARGETS = {
    "poisson": ("non-negative", lambda y: y >= 0),
    "gamma": ("strictly positive", lambda y: y > 0),
}

# loss -> the setting that `loss_params` may contain: name, default, constraints
_SETTINGS = {
    "focal": ("gamma", 2.0, [Interval(Real, 0, None, closed="left")]),
    "huber": ("delta", 1.0, [Interval(Real, 0, None, closed="neither")]),
    "quantile": ("quantile", 0.5, [Interval(Real, 0, 1, closed="neither"), "array-like"]),
}


def classifier_kernel(loss, multiclass):
    """The kernel of a classifier's loss: over all classes, or label by label."""
    kernel = "brier" if loss == "squared_error" else loss
    return kernel if multiclass else f"binary_{kernel}"


def check_name(loss, losses):
    # needed because partial_fit validates parameters in its first call only
    if loss not in losses:
        raise ValueError(f"loss must be one of {', '.join(losses)}; got {loss!r}.")


def needs_positive_predictions(loss):
    """Whether the loss is defined for positive predictions only."""
    return loss in _POSITIVE_TARGETS


def check_targets(loss, y):
    """Raise a ValueError if the loss is not defined for some of the targets, an ndarray."""
    if loss in _POSITIVE_TARGETS:
        words, fits = _POSITIVE_TARGETS[loss]
        if not fits(y).all():
            raise ValueError(f"loss={loss!r} requires {words} y.")


def loss_settings(loss, loss_params, **more):
    """The settings of a loss: `loss_params` and, from other parameters, `more`.

    Returns
    -------
    LossSettings

    Raises
    ------
    ValueError
        If `loss_params` has a name that the loss does not have.
    InvalidParameterError
        If a value is out of its range, or levels do not increase.
    """
    loss_params = loss_params or {}
    name, default, rules = _SETTINGS.get(loss, (None, None, None))
    unknown = [key for key in loss_params if key != name]
    if unknown:
        choices = "none" if name is None else f"only {name!r}"
        raise ValueError(f"loss_params has {unknown}, but loss={loss!r} takes {choices}.")
    if name is None:
        return LossSettings(**more)
    settings = {name: default, **loss_params}
    validate_parameter_constraints({name: rules}, settings, caller_name="loss_params")
    if name == "quantile":
        settings["quantile"] = _checked_levels(settings["quantile"])
    return LossSettings(**settings, **more)


def _checked_levels(quantile):
    try:
        levels = np.array(quantile, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError):
        levels = np.array([np.nan])
    inside = levels.ndim == 1 and levels.size and (0 < levels).all() and (levels < 1).all()
    if not inside or (np.diff(levels) <= 0).any():
        raise InvalidParameterError(
            "The 'quantile' parameter of loss_params must be a float in the range (0.0, 1.0) or a"
            f" list of them that increases. Got {quantile!r} instead."
        )
    return tuple(levels.tolist())


def class_weights(class_weight, y, classes, sample_weight):
    """Weight of each sample by its class, or by all of its labels (their product).

    Parameters
    ----------
    class_weight : dict, list of dict or 'balanced'
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Numbers of classes; 0 or 1 for labels.
    classes : ndarray
        Classes by their number; not used for labels.
    sample_weight : ndarray of shape (n_samples,) or None
        Samples are counted with it for 'balanced'.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If `class_weight` does not fit the classes or labels, or a weight is negative or not finite.
    """
    columns = [y] if y.ndim == 1 else y.T
    if y.ndim == 2:
        classes = np.arange(2)
    if class_weight == "balanced":
        per_column = [_balanced(column, len(classes), sample_weight) for column in columns]
    else:
        per_column = [_named(weights, classes) for weights in _dicts(class_weight, y)]
    return np.prod([w[c] for w, c in zip(per_column, columns, strict=True)], axis=0)


def _balanced(y, n_classes, sample_weight):
    counts = np.bincount(y, weights=sample_weight, minlength=n_classes)
    there = counts > 0
    weights = np.ones(n_classes)
    weights[there] = counts.sum() / (there.sum() * counts[there])
    return weights


def _dicts(class_weight, y):
    """One dict for each column of y; the messages are scikit-learn's."""
    if y.ndim == 1:
        if isinstance(class_weight, dict):
            return [class_weight]
        raise ValueError("A list as class_weight is for multilabel y; give a dict or 'balanced'.")
    if isinstance(class_weight, dict):
        raise ValueError(
            "For multi-output, class_weight should be a list of dicts, or the string 'balanced'."
        )
    if len(class_weight) != y.shape[1]:
        raise ValueError(
            "For multi-output, number of elements in class_weight should match number of outputs."
            f" Got {len(class_weight)} element(s) while having {y.shape[1]} outputs."
        )
    return class_weight


def _named(class_weight, classes):
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight must be a list of dicts only, got {class_weight!r} in it.")
    known = set(classes.tolist())
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise ValueError(f"The classes, {unknown}, in class_weight are not in y: it has {classes}.")
    weights = [class_weight.get(label, 1) for label in classes.tolist()]
    if not all(isinstance(w, Real) and 0 <= w < np.inf for w in weights):
        raise ValueError(f"Weights in class_weight must be finite and >= 0, got {class_weight}.")
    return np.array(weights, dtype=np.float64)
