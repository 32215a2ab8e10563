"""Allowed values of the parameters of both estimators: each by itself, and in combination."""

import reprlib
import warnings
from collections.abc import Mapping, Set
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils.validation import _check_sample_weight

from .._core import ACTIVATIONS, DECAYING, NORMALIZATIONS, OPTIMIZER_SETTINGS, OPTIMIZERS
from .._network.initialization import INITIALIZATIONS
from .._training.monitor import RECORDS
from .._training.schedules import SCHEDULES

# Parameter -> allowed values, as scikit-learn's validate_parameter_constraints takes them.
CONSTRAINTS = {
    "hidden_layer_sizes": [
        "array-like",
        Interval(Integral, 1, None, closed="left"),
    ],
    "activation": [StrOptions(set(ACTIVATIONS)), "array-like"],
    "solver": [StrOptions({"lbfgs", *OPTIMIZERS})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [
        StrOptions({"auto"}),
        Interval(Integral, 1, None, closed="left"),
    ],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", *SCHEDULES}), callable],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [
        Interval(Real, 0, 1, closed="left"),
        HasMethods(["split", "get_n_splits"]),
    ],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "n_threads": [
        None,
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
    "loss_params": [dict, None],
    "weight_decay": [Interval(Real, 0, None, closed="left"), None],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "normalization": [StrOptions({*NORMALIZATIONS} - {None}), None],
    "residual": ["boolean"],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "clip_value": [Interval(Real, 0, None, closed="neither"), None],
    "warmup": [Interval(Real, 0, 1, closed="left")],
    "init": [StrOptions({"auto", *INITIALIZATIONS}), callable, tuple, list, HasMethods("fit")],
    "init_scale": [Interval(Real, 0, None, closed="neither")],
    "frozen_layers": ["array-like"],
    "stratify_validation": ["boolean", None],
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    "restore_best_weights": [StrOptions({"auto"}), "boolean"],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "average_weights": [StrOptions({"ema", "swa"}), None],
    "record": [set, list, tuple, None],
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
}


def check_together(est, schedule):
    """Refuse parameters that cannot be combined, whatever the data."""
    _check_record(est)
    _check_ensemble(est)
    _check_solver(est, schedule)


def _check_record(est):
    if est.record is not None and not all(name in RECORDS for name in est.record):
        raise InvalidParameterError(
            f"The 'record' parameter of {type(est).__name__} must be a set of names among"
            f" {{{', '.join(map(repr, sorted(RECORDS)))}}} or None. Got {est.record!r} instead."
        )
    if est.record and est.n_estimators > 1:
        raise ValueError(
            "record needs a single network, got n_estimators=%d; use record=None or n_estimators=1."
            % est.n_estimators
        )


def _check_ensemble(est):
    if est.n_estimators > 1 and est.solver not in OPTIMIZERS:
        raise ValueError(
            f"solver={est.solver!r} trains a single network, because its line search would"
            f" find one step size for all of them; got n_estimators={est.n_estimators}. Use"
            " n_estimators=1 or another solver."
        )


def _check_solver(est, schedule):
    """Refuse settings that make no sense with the solver."""
    solver, asked = est.solver, set()
    if schedule.has_end:
        asked.add("learning_rate")
    asked |= {name for name in ("l1_ratio", "warmup") if getattr(est, name) > 0}
    for name in ("max_norm", "clip_norm", "clip_value", "average_weights"):
        if getattr(est, name) is not None:
            asked.add(name)
    reason, refused = "", ()
    if solver == "lbfgs":
        reason, refused = "L-BFGS finds its steps by a line search", asked
    elif solver == "rprop":
        reason = "it chooses the size of its steps itself"
        refused = asked & {"l1_ratio", "learning_rate", "warmup"}
    elif "l1_ratio" not in OPTIMIZER_SETTINGS[solver]:
        reason, refused = "its steps do not shrink with the gradient", asked & {"l1_ratio"}
    if refused:
        name = min(refused)
        raise ValueError(
            f"{name}={getattr(est, name)!r} cannot be used with solver={solver!r}: {reason}. Use"
            f" another solver, or leave {name} at its default."
        )
    if solver == "lbfgs" and est.early_stopping:
        warnings.warn(
            "early_stopping=True has no effect with solver='lbfgs', as in scikit-learn: L-BFGS ends"
            " when its gradient is within tol, after max_iter iterations or after max_time seconds."
            " Use another solver to stop early."
        )
    if est.weight_decay is not None and solver not in DECAYING:
        raise ValueError(
            f"weight_decay is only for solver={' and '.join(map(repr, DECAYING))}, got"
            f" solver={solver!r}; use alpha instead."
        )
    if est.average_weights == "swa" and est.normalization == "batch":
        raise ValueError(
            "average_weights='swa' cannot be used with normalization='batch': the running"
            " statistics would not be those of the averaged weights. Use 'ema' instead."
        )
    if "learning_rate" in asked:
        schedule.factors(np.linspace(0, 1, 101))


def check_validation(est, X_val, y_val, sample_weight_val):
    """Refuse arguments and parameters that cannot be combined, before any work is done."""
    for name, value in (("y_val", y_val), ("sample_weight_val", sample_weight_val)):
        if X_val is None and value is not None:
            raise ValueError(f"{name} is provided, but X_val was not provided.")
    if X_val is not None and y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if est.stratify_validation:
        if not isinstance(est, ClassifierMixin):
            raise ValueError(
                "stratify_validation=True is for classifiers only, because a regressor has no"
                " classes; use None or False."
            )
        if hasattr(est.validation_fraction, "split"):
            raise ValueError(
                "stratify_validation=True needs a validation_fraction that is a number: a splitter"
                " chooses the rows itself."
            )


def check_order(est):
    """Refuse collections without order, or of more than the values."""
    for name in ("hidden_layer_sizes", "activation", "dropout"):
        if isinstance(value := getattr(est, name), (Set, Mapping)):
            raise ValueError(
                f"{name} must be a single value, or a list with one for each hidden layer, in"
                f" their order; got {value!r}."
            )


def warn_of_unused_scoring(est, X_val):
    """Warn if nothing is scored."""
    if est.scoring is None or X_val is not None:
        return
    if not est.early_stopping:
        warnings.warn(
            f"scoring={est.scoring!r} has no effect without a validation set: set"
            " early_stopping=True, or pass X_val and y_val to fit."
        )


def clipped_batch_size(solver, batch_size, n_samples):
    """Number of rows of a batch: `batch_size`, clipped with a warning to the number of samples.
    Raises ValueError if the solver needs the whole training set as one batch."""
    if solver == "rprop":
        if batch_size != "auto" and batch_size < n_samples:
            raise ValueError(
                "solver='rprop' compares the signs of successive gradients, which must be those of"
                f" the whole training set: batch_size must be 'auto' or at least {n_samples}, got"
                f" {batch_size}."
            )
        return n_samples
    if batch_size == "auto":
        return min(200, n_samples)
    if batch_size > n_samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
        )
    return min(int(batch_size), n_samples)


def dropout_rates(est, layer_units):
    """Check dropout, residual and normalization. Return the dropout rates of the inputs and of each
    hidden layer, or () if all are zero."""
    n_hidden_layers = len(layer_units) - 2
    rates = [est.dropout] * n_hidden_layers if isinstance(est.dropout, Real) else est.dropout
    rates = [est.input_dropout, *rates]
    if len(rates) != n_hidden_layers + 1 or not all(
        isinstance(rate, Real) and 0 <= rate < 1 for rate in rates
    ):
        raise ValueError(
            "dropout must be a number in [0, 1), or a list with one for each of the"
            f" {n_hidden_layers} hidden layers, got {est.dropout!r}."
        )
    if est.residual and not any(a == b for a, b in pairwise(layer_units[1:-1])):
        raise ValueError(
            "residual=True needs a hidden layer that is as wide as the one below it, got"
            f" hidden_layer_sizes={est.hidden_layer_sizes!r}."
        )
    if est.normalization is not None and n_hidden_layers == 0:
        raise ValueError(
            f"normalization={est.normalization!r} needs a hidden layer, got"
            f" hidden_layer_sizes={est.hidden_layer_sizes!r}; use normalization=None."
        )
    if est.solver == "lbfgs" and (any(rates) or est.normalization == "batch"):
        raise ValueError(
            "solver='lbfgs' needs a loss that is the same in every evaluation: it cannot be used"
            " with dropout, input_dropout or normalization='batch'."
        )
    return rates if any(rates) else ()


def frozen_layers(est, n_layers):
    """The layers that are not trained, from 0."""
    layers = np.asarray(est.frozen_layers)
    if layers.ndim != 1 or (len(layers) and layers.dtype.kind not in "iu"):
        raise ValueError(
            f"frozen_layers must be a list of layer numbers, got {est.frozen_layers!r}."
        )
    if not all(-n_layers <= i < n_layers for i in layers):
        raise ValueError(
            f"frozen_layers must be between {-n_layers} and {n_layers - 1}, because the network has"
            f" {n_layers} layers of weights; got {est.frozen_layers!r}."
        )
    frozen = {int(i) % n_layers for i in layers}
    if len(frozen) == n_layers:
        raise ValueError(
            f"frozen_layers must leave a layer to train, got {est.frozen_layers!r}, which names"
            f" all {n_layers} layers."
        )
    return frozen


def check_drawn(est, drawn):
    """Refuse networks with equal weights: on the same batches they would stay equal."""
    first, *others = (coefs for coefs, *_ in drawn)
    if others and all(all(map(np.array_equal, first, coefs)) for coefs in others):
        raise ValueError(
            "init gives all networks the same weights, so they would stay equal; got"
            f" n_estimators={est.n_estimators}. Use a random init, or n_estimators=1."
        )


def checked_weights(sample_weight, X):
    """Check the weights as scikit-learn does; return float64 (n_samples,), or None."""
    if sample_weight is None:
        return None
    try:
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    except (TypeError, ValueError) as error:
        if "weight" not in str(error):
            error.add_note(
                "sample_weight must be a number, or an array with one for each sample; got"
                f" {reprlib.repr(sample_weight)}."
            )
        raise
    if not sample_weight.any():  # scikit-learn checks this itself from 1.9 on
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.require(sample_weight, requirements="CA")
