"""Whether training has failed without an error, judged by the loss of a constant prediction."""

import warnings

import numpy as np
from scipy.special import xlogy
from sklearn.exceptions import ConvergenceWarning

GROWN = 100  # a loss that is so many times that of the first epoch has diverged
WORSE = 1.1  # times the loss of a constant prediction: worse than it, not just equal to it
MUCH_WORSE = 2  # the same of a training that went on to `max_iter`, and might have become better
ENOUGH_EPOCHS = 10  # after so many, training that has stalled should have beaten a constant
SAMPLE = 100_000  # targets by which the loss of a constant is estimated
MANY_EPOCHS = 30  # after so many, any training should have


def constant_loss(loss, y, sample_weight):
    """The least mean loss of predicting the same for every sample, without the penalty.

    Parameters
    ----------
    loss : str
        Name of a loss's kernel.
    y : ndarray
        Targets as the kernel takes them.
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    float or None
        None if the loss is not one of the log losses, 'squared_error', 'poisson' and 'gamma'.
    """
    if loss == "log_loss":
        counts = np.bincount(y, weights=sample_weight)
        shares = counts / counts.sum()
        return float(-xlogy(shares, shares).sum())
    if loss not in ("binary_log_loss", "squared_error", "poisson", "gamma"):
        return None
    mean = np.average(y, axis=0, weights=sample_weight)
    if loss == "binary_log_loss":
        return float(-(xlogy(mean, mean) + xlogy(1 - mean, 1 - mean)).sum())
    if (mean <= 0).any() and loss != "squared_error":
        return None
    losses = {
        "squared_error": lambda: (y - mean) ** 2 / 2,
        "poisson": lambda: xlogy(y, y / mean),
        "gamma": lambda: np.log(mean / y),
    }[loss]()
    found = np.average(losses, axis=0, weights=sample_weight)
    if loss != "squared_error":
        return float(found.sum())
    # where y is constant, an error of a tenth is as good
    return float(np.maximum(found, (0.1 * mean) ** 2 / 2).mean())


def warn_of_failure(task, losses, stalled):
    """Warn if training has diverged, or if its loss is worse than that of a constant prediction.

    Parameters
    ----------
    task : Task
        After training.
    losses : list of float
        Of the epochs of this call, up to the one whose weights were kept.
    stalled : bool
        Whether training has ended because it made no more progress.
    """
    architecture, settings, order = task.network.architecture, task.settings, task.order
    grown = len(task.history) <= len(losses) and losses and losses[-1] > GROWN * losses[0]
    enough = len(losses) >= (ENOUGH_EPOCHS if stalled else MANY_EPOCHS)
    weights = task.dataset.sample_weight
    # a constant has no such loss if dropout, smoothing or unequal batches are part of it
    comparable = not (
        architecture.dropout
        or architecture.loss_settings.smoothing
        or not architecture.loss_has_output
        or (weights is not None and task.batch_size < len(order))
    )
    if not grown and not (enough and comparable):
        return
    y = task.dataset.y
    rows = order[:: max(1, y.size // SAMPLE)]
    with np.errstate(all="ignore"):  # of values that are too large
        own = None if weights is None else weights[rows]
        constant = constant_loss(architecture.loss, y[rows], own)
        squares = sum(float(np.vdot(coef, coef)) for coef in task.parameters[0])
    if constant is not None and not constant > 0:
        return
    if grown and (constant is None or losses[-1] > constant):
        _warn(
            f"Training diverged: the loss grew from {losses[0]:.3g} to {losses[-1]:.3g}", settings
        )
        return
    if not (enough and comparable) or constant is None:
        return
    batch_weight = task.batch_size if own is None else weights.sum()
    penalty = 0.5 * settings.alpha * squares / max(batch_weight, np.finfo(float).tiny)
    if losses[-1] > (WORSE if stalled else MUCH_WORSE) * constant + penalty:
        _warn(
            f"The training loss, {losses[-1]:.3g}, is worse than {constant:.3g}, that of predicting"
            " the same for every sample: training has diverged, is stuck or was too short",
            settings,
        )


def _warn(message, settings):
    cure = "Scale the columns of X (StandardScaler) and, for regression, y"
    if settings.solver != "lbfgs":
        cure += f"; or reduce learning_rate_init={settings.learning_rate_init:g}"
    warnings.warn(f"{message}. {cure}.", ConvergenceWarning)
