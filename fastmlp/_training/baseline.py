"""Whether training has failed without an error, judged by the loss of a constant prediction."""

import warnings

import numpy as np
from scipy.special import xlogy
from sklearn.exceptions import ConvergenceWarning

from .._core import RANGES

GROWN = 100  # a loss that is so many times that of the first epoch has diverged
WORSE = 1.1  # times the loss of a constant prediction: plainly worse than it
MUCH_WORSE = 2  # the same of a training that may become better, or is meant to differ
NO_BETTER = 0.99  # the same: nothing has been learned
SAME = 1e-3  # standard deviations of y within which predictions are the same
MOVED = 1e-2  # largest weights; weights that changed by less have not been trained
FEW_ITERATIONS = 2  # of L-BFGS: so many hardly change the weights
ENOUGH_EPOCHS = 10  # after so many, training that has stalled should have beaten a constant
MANY_EPOCHS = 30  # after so many, any training should have
SAMPLE = 10_000  # rows on which the network is compared with a constant
POWERS = np.linspace(0, 2, 41)[:, np.newaxis]  # of the shares of classes, for the focal loss

# Losses of regressors as functions of prediction, target and settings.
_REGRESSION = {
    "squared_error": lambda f, y, s: (y - f) ** 2 / 2,
    "absolute_error": lambda f, y, s: np.abs(y - f),
    "huber": lambda f, y, s: np.where(
        np.abs(y - f) <= s.delta, (y - f) ** 2 / 2, s.delta * (np.abs(y - f) - s.delta / 2)
    ),
    "log_cosh": lambda f, y, s: np.logaddexp(y - f, f - y) - np.log(2),
    "quantile": lambda f, y, s: np.maximum(
        np.array(s.quantile) * (y - f), (np.array(s.quantile) - 1) * (y - f)
    ),
    "poisson": lambda f, y, s: xlogy(y, y / f) + f - y,
    "gamma": lambda f, y, s: np.log(f / y) + y / f - 1,
}


def constant_loss(architecture, y, sample_weight):
    """The least mean loss of predicting the same for every sample, without the penalty.

    For the losses that no mean or quantile minimizes, a close upper bound.

    Parameters
    ----------
    architecture : Architecture
    y : ndarray
        Targets as the kernel of its loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    float
    """
    loss, settings = architecture.loss, architecture.loss_settings
    if loss in _REGRESSION:
        return _constant_regression(architecture, y, sample_weight)
    if loss.startswith("binary_"):
        means = _mean(y, sample_weight)
        labels = [np.array([1 - mean, mean]) for mean in means]
        if loss == "binary_brier":  # one output for two classes
            return float(sum(_constant_class("brier", shares, settings) for shares in labels) / 2)
    else:
        counts = np.bincount(y, weights=sample_weight, minlength=architecture.units[-1])
        labels = [counts / counts.sum()]
    return float(sum(_constant_class(loss.removeprefix("binary_"), p, settings) for p in labels))


def _mean(values, weights):
    """The weighted mean. Tiny fits notice that np.average is slower than the method mean."""
    if weights is None:
        return values.mean(axis=0)
    return np.average(values, axis=0, weights=weights)


def _constant_class(loss, shares, settings):
    """The same for the shares of the classes."""
    if loss == "hinge":
        return min(1.0, 2 * (1 - shares.max()))
    if loss == "brier":
        return 0.5 * (1 - (shares**2).sum())
    if loss == "log_loss":
        shares = (1 - settings.smoothing) * shares + settings.smoothing / len(shares)
        return -xlogy(shares, shares).sum()
    shares = shares[shares > 0]
    predicted = shares**POWERS
    predicted /= predicted.sum(axis=1, keepdims=True)
    focal = (1 - predicted) ** settings.gamma * -np.log(predicted)
    return (shares * focal).sum(axis=1).min()


def _constant_regression(architecture, y, sample_weight):
    loss, settings = architecture.loss, architecture.loss_settings
    own = None if sample_weight is None else np.repeat(sample_weight[:, np.newaxis], y.shape[1], 1)
    candidates = [_mean(y, sample_weight)]
    if loss not in ("squared_error", "poisson", "gamma"):
        levels = settings.quantile if loss == "quantile" else [0.5]
        found = np.quantile(y, levels, axis=0, weights=own, method="inverted_cdf")
        candidates.append(np.diagonal(found) if len(levels) > 1 else found[0])
    losses = []
    for predicted in candidates:
        predicted = np.clip(predicted, *RANGES[architecture.out_activation])
        found = _REGRESSION[loss](predicted, y, settings)
        found = _mean(found, sample_weight)
        if loss not in ("poisson", "gamma"):
            # where y is constant, an error of a tenth is as good
            errors = [_REGRESSION[loss](0, e * predicted, settings) for e in (-0.1, 0.1)]
            found = np.maximum(found, np.minimum(*errors))
        losses.append(found.mean() if loss == "squared_error" else found.sum())
    return float(min(losses))


def warn_of_divergence(settings, epoch, kept):
    """Warn of losses that were not finite after the epoch whose weights were kept."""
    _warn(
        f"Training diverged: from epoch {epoch} on, the loss was not finite. The weights of epoch"
        f" {kept} are kept, which are hardly trained. {_cure(settings)}"
    )


def warn_of_failure(task, losses, *, ended, moved, scores=()):
    """Warn if training has diverged, or if its predictions are no better than a constant.

    Parameters
    ----------
    task : Task
        After training.
    losses : list of float
        Of the epochs of this call, up to the one whose weights were kept.
    ended : bool
        Whether training has ended because it made no more progress, or with its schedule.
    moved : callable
        Returns whether the weights have changed visibly.
    scores : sequence of float
        Validation scores of this call if they ended it.
    """
    settings = task.settings
    if not losses or not all(np.isfinite(a).all() for arrays in task.parameters for a in arrays):
        return  # this is an error
    if scores and np.isnan(scores).all():
        _warn(
            "The validation score was not a number in any epoch, so early stopping could not judge"
            " them. Use another scoring, such as 'loss', or a larger validation set."
        )
    grown = losses[-1] > GROWN * losses[0]
    if not np.isfinite(losses[-1]):
        _warn(f"Training diverged: the loss is {losses[-1]:.3g}. {_cure(settings)}")
    elif grown or (settings.solver == "lbfgs" and ended) or enough(losses, ended, scores):
        with np.errstate(all="ignore"):  # of values that are too large
            _compare(task, losses, grown, ended, moved, scores)


def enough(losses, ended, scores):
    """Whether there were so many epochs that the network should be better than a constant."""
    return max(len(losses), len(scores)) >= (ENOUGH_EPOCHS if ended else MANY_EPOCHS)


def _compare(task, losses, grown, ended, moved, scores):
    """Compare the kept weights with a constant prediction on some rows, and warn."""
    settings, network, dataset = task.settings, task.network, task.dataset
    rows = task.order[:: -(-len(task.order) // SAMPLE)]
    weights = None if dataset.sample_weight is None else dataset.sample_weight[rows]
    y = dataset.y[rows]
    constant = constant_loss(task.network.architecture, y, weights)
    if scores and np.ptp(y, axis=0).max() == 0:
        return  # no score tells anything about equal targets
    # Without weights, the loss of the last epoch is an upper bound, except for its progress.
    if not constant > 0 or (weights is None and losses[-1] < 0.9 * constant):
        return
    keep = network.set_averaged_weights if network.has_averaged_weights else network.set_parameters
    keep(*task.parameters)
    loss, outputs = network.evaluate(dataset, rows)
    if not loss > NO_BETTER * constant:
        return
    worse = WORSE if ended and not (scores or network.architecture.dropout) else MUCH_WORSE
    if not ended and losses[-(len(losses) // 4)] - losses[-1] < (loss - constant) / 8:
        worse = WORSE  # at this pace it would take more than twice as many epochs again
    if grown:
        found = f"Training diverged: the loss grew from {losses[0]:.3g} to {loss:.3g}"
        _warn(f"{found}. {_cure(settings)}")
        return
    found = (
        f"The loss on the training set, {loss:.3g}, is no better than {constant:.3g}, that of"
        " predicting the same for every sample"
    )
    if len(scores) > 1 and len(set(scores)) == 1:
        _warn(
            f"{found}: early stopping compared epochs whose validation scores were all"
            f" {scores[0]:.3g}. Use another scoring, such as 'loss', or a larger validation set."
        )
    elif loss <= WORSE * constant and _same(outputs, y):
        found = f"{found}, which is what the network does. {_cure(settings)}"
        if not settings.rates:
            found += " If they are scaled, use fewer layers, another activation or a smaller alpha."
        _warn(found)
    elif not moved():
        _warn(f"{found}: the weights have hardly changed. {_cure(settings, moved=False)}")
    elif loss > worse * constant:
        found = found.replace("no better", "worse")
        found = f"{found}: training has diverged, is stuck or was too short. {_cure(settings)}"
        if scores and settings.scoring != "loss":
            found += " Or use scoring='loss', if early stopping has kept an epoch too early."
        _warn(found)


def _same(outputs, y):
    """Whether the network predicts the same for every sample."""
    if y.ndim == 1:
        y = y[:, np.newaxis] == np.arange(outputs.shape[1])
    return (np.ptp(outputs, axis=0) <= SAME * y.std(axis=0)).all()


def _cure(settings, moved=True):
    if settings.rates:  # of a table, whose columns are scaled
        change = "smaller" if moved else "greater"
        return (
            f"Use a {change} learning_rate_init={settings.learning_rate_init:g}, or fewer layers."
        )
    cure = "Scale the columns of X (StandardScaler) and, for regression, y"
    if settings.solver != "lbfgs":
        change = "reduce" if moved else "increase"
        cure += f"; or {change} learning_rate_init={settings.learning_rate_init:g}"
    elif not moved:
        cure += f"; or reduce tol={settings.tol:g}"
    return f"{cure}."


def _warn(message):
    warnings.warn(message, ConvergenceWarning)
