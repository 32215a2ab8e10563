"""Training: epochs with their schedules and stopping rule, and the bridge to SciPy's L-BFGS-B.

The functions here read the parameters of an estimator `est`, drive a Network, and keep the
estimator's record (`n_iter_`, `loss_`, `loss_curve_`, ...) up to date while they run. Weights are
handed over in `parameters`, a tuple of lists of arrays as Network.set_parameters takes them: the
start on entry, the trained weights on return, also when Ctrl-C ended it.
"""

import warnings
from time import perf_counter

import numpy as np
import scipy
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.parallel import _get_threadpool_controller

from ._core import shuffle
from ._optimizer import OptimizerState, has_end, rising_share

# SciPy 1.15 rewrote L-BFGS-B without its printing, and deprecated the option.
_LBFGS_PRINTS = parse_version(scipy.__version__) < parse_version("1.15")


class Progress:
    """The record of the epochs and the stopping rule: count those that did not improve by `tol`.

    Improvement is measured on the validation score with `early_stopping`, else on the training
    loss. The best epoch is that of the greatest validation score where there is one, else of the
    smallest loss. The counts and best values live on the estimator, so that warm starts and
    partial_fit go on from them.

    Parameters
    ----------
    est : estimator
    history : History
    n_samples : int
        Rows of an epoch.
    """

    def __init__(self, est, history, n_samples):
        self.est, self.history, self.n_samples = est, history, n_samples
        self.validated = history.validation is not None
        self.by_score = self.validated and est.early_stopping
        # A record under the other measure (or none, after L-BFGS) cannot be continued.
        if not hasattr(est, "loss_curve_"):
            est.loss_curve_ = []
            est._no_improvement_count = 0
        if not self.validated:
            est.validation_scores_ = est.best_validation_score_ = None
            est.validation_loss_curve_ = None
        elif getattr(est, "validation_scores_", None) is None:
            est.validation_scores_, est.validation_loss_curve_ = [], []
            est.best_validation_score_ = -np.inf
        elif est._scored_by != est.scoring:
            est.best_validation_score_, est._no_improvement_count = -np.inf, 0
        est._scored_by = est.scoring
        if self.by_score:
            est.best_loss_ = None
        elif getattr(est, "best_loss_", None) is None:
            est.best_loss_ = np.inf
        if not hasattr(est, "best_iteration_"):
            est.best_iteration_ = 0

    @property
    def horizon(self):
        """Epochs before which there can be no plateau."""
        est = self.est
        return max(1, est.n_iter_no_change + 1 - est._no_improvement_count)

    def record(self, network, learning_rates):
        """Record and judge the epochs that the network has just run, at the rates given for each: a
        single one where there is more to do than to note the loss. Return True if the last is the
        best so far."""
        est, n_samples = self.est, self.n_samples
        losses = [loss_sum / n_samples for loss_sum in network.loss_sums]
        n_rows = len(losses) * n_samples
        if not losses and est.n_iter_ == 0 and network.rest[1]:  # `max_time` cut the first short
            loss_sum, n_rows = network.rest
            losses = [loss_sum / n_rows]
        if not losses:
            return False
        before = len(self.history)
        est.n_iter_ += len(losses)
        est.t_ += n_rows
        est.loss_ = losses[-1]
        est.loss_curve_ += losses
        if est.verbose:
            print("Iteration %d, loss = %.8f" % (est.n_iter_, est.loss_))
        validation_loss, score = self.history.add(losses, network, learning_rates[: len(losses)])
        best = 0  # the number among these epochs of the best so far
        count = est._no_improvement_count
        if not self.by_score:
            best_loss, tol = est.best_loss_, est.tol
            for i, loss in enumerate(losses, 1):
                count = count + 1 if loss > best_loss - tol else 0
                if loss < best_loss:
                    best_loss, best = loss, i
            est.best_loss_ = best_loss
        if self.validated:
            est.validation_loss_curve_.append(validation_loss)
            est.validation_scores_.append(score)
            if est.verbose:
                print("Validation score: %f" % score)
            if self.by_score:
                count = count + 1 if score < est.best_validation_score_ + est.tol else 0
            best = int(score > est.best_validation_score_)
            if best:
                est.best_validation_score_ = score
        est._no_improvement_count = count
        if best:
            est.best_iteration_ = before + best
        return best == len(losses)

    @property
    def plateau(self):
        """The message about a plateau, or None where there is progress (or still patience)."""
        est = self.est
        if est._no_improvement_count <= est.n_iter_no_change:
            return None
        measure = "Validation score" if self.by_score else "Training loss"
        return "%s did not improve more than tol=%f for %d consecutive epochs." % (
            measure,
            est.tol,
            est.n_iter_no_change,
        )


def clipped_batch_size(solver, batch_size, n_samples):
    """Rows of a batch: the estimator's parameter, clipped to the samples with a warning. Raises
    ValueError where the solver takes no batches."""
    if solver == "rprop":
        if batch_size != "auto" and batch_size < n_samples:
            raise ValueError(
                "solver='rprop' compares the signs of successive gradients, so each must be of the"
                f" whole training set: batch_size must be 'auto' or at least {n_samples}, got"
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


def fit_stochastic(
    est,
    network,
    dataset,
    order,
    parameters,
    history,
    *,
    batch_size,
    incremental=False,
):
    """Train with mini-batches until the stopping rule, `max_iter`, `max_time` or Ctrl-C ends it.

    One call of the network runs several epochs where nothing is done between them. Whatever else
    ends it (a warning made an error, a signal handler that raises), weights, optimizer state and
    counts are those after the last whole step.

    Parameters
    ----------
    est : estimator
    network : Network
        Holds the starting weights.
    dataset : Dataset
        Training and validation rows.
    order : ndarray of shape (n_train,), dtype intp
        Rows to train on; may be shuffled in place.
    parameters : tuple of lists of ndarray
        Starting weights on entry; on return the last weights, or the best if they are restored.
    history : History
        With what it measures after each epoch.
    batch_size : int
        At most ``len(order)``.
    incremental : bool
        One epoch only, with the optimizer state of the last call.
    """
    n_samples = len(order)
    optimizer = OptimizerState.of(est) if incremental else OptimizerState(est)
    optimizer.load_into(network, est, parameters)
    progress = Progress(est, history, n_samples)
    restore = not incremental and (
        progress.by_score if est.restore_best_weights == "auto" else est.restore_best_weights
    )
    spare = [[np.empty_like(a) for a in arrays] for arrays in parameters] if restore else None
    est._optimizer = optimizer
    est.n_iter_ = 0
    max_iter = 1 if incremental else est.max_iter
    deadline = _deadline(est)
    # Where nothing is done between epochs, one call runs several of them.
    rate_changes = est.solver == "sgd" and est.learning_rate == "invscaling"
    averages = est.average_weights == "swa"
    at_once, n_batches = 1, -(-n_samples // batch_size)
    if not (history.measures_epochs or restore or est.verbose or rate_changes or averages):
        at_once = min(max_iter, network.epochs_at_once(n_samples, batch_size))
    orders = order[np.newaxis]
    if at_once > 1:
        shape = at_once, n_samples
        orders = np.empty(shape, order.dtype) if est.shuffle else np.broadcast_to(order, shape)
    try:
        while est.n_iter_ < max_iter:
            n_epochs = min(at_once, progress.horizon, max_iter - est.n_iter_)
            if est.shuffle:
                # The draws and rows of sklearn.utils.shuffle(order), epoch by epoch.
                shuffle(est._random_state, order, orders[:n_epochs])
                order = orders[n_epochs - 1]
            step = optimizer.step(est, n_epochs, n_batches)
            rates = np.broadcast_to(step["learning_rate"], n_epochs * n_batches)
            network.n_steps, network.loss_sums, network.rest = 0, [], (0.0, 0)
            try:
                network.train(
                    dataset,
                    orders[:n_epochs],
                    batch_size,
                    alpha=float(est.alpha),
                    step=step,
                    deadline=deadline,
                )
            finally:
                optimizer.t += network.n_steps
                optimizer.average(est, network, len(network.loss_sums))
                if progress.record(network, rates[n_batches - 1 :: n_batches].tolist()) and restore:
                    network.get_parameters(*spare)  # whole, or not at all if Ctrl-C comes
                    for arrays, best in zip(parameters, spare, strict=True):
                        arrays[:], best[:] = best[:], arrays[:]
                optimizer.end_epoch(est)
            if perf_counter() > deadline:
                break
            if optimizer.t < rising_share(est) * optimizer.n_steps:
                est._no_improvement_count = 0
            if message := progress.plateau:
                if optimizer.on_plateau(est, message):
                    break
                est._no_improvement_count = 0
        else:
            # a schedule ends where it was planned to
            if not (incremental or has_end(est)):
                warnings.warn(
                    "Stochastic Optimizer: Maximum iterations (%d) reached and the optimization"
                    " hasn't converged yet." % est.max_iter,
                    ConvergenceWarning,
                )
        if averages and not (incremental or optimizer.n_averaged):
            warnings.warn(
                "Training ended before the last quarter of max_iter=%d, in which"
                " average_weights='swa' averages: the weights are the last ones." % est.max_iter
            )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.")
    finally:
        if not restore or est.best_iteration_ == 0:  # no epoch had a score that is a number
            network.get_parameters(*parameters)
        optimizer.keep(network, parameters)


def _deadline(est):
    """When training ends, as `perf_counter` tells the time."""
    return np.inf if est.max_time is None else perf_counter() + est.max_time


def _views(vector, parameters):
    """Views of a flat vector, shaped like the parameters."""
    ends = np.cumsum([a.size for arrays in parameters for a in arrays])
    parts = iter(np.split(vector, ends[:-1]))
    return tuple([next(parts).reshape(a.shape) for a in arrays] for arrays in parameters)


def fit_lbfgs(est, network, dataset, parameters, history):
    """Minimize the loss over all rows with SciPy's L-BFGS-B (Zhu, Byrd, Lu and Nocedal, 1997).

    SciPy's vectors are float64; the network computes in its own type, which `parameters` keep.

    Parameters
    ----------
    est : estimator
    network : Network
    dataset : Dataset
        Every row is trained on.
    parameters : tuple of lists of ndarray
        Starting weights on entry, trained weights on return.
    history : History
        An iteration is an epoch to it.
    """
    start = np.concatenate([a.ravel() for arrays in parameters for a in arrays])
    point, gradient = start.copy(), np.empty_like(start)
    current = _views(point, parameters)
    gradients = _views(gradient, parameters)
    accepted, loss = start, None
    deadline, late = _deadline(est), False
    est.n_iter_ = 0

    def loss_and_gradient(x):
        nonlocal loss
        point[:] = x
        network.set_parameters(*current)
        loss = network.loss_and_gradient(dataset, float(est.alpha), gradients)
        return loss, gradient.astype(np.float64)  # a copy: SciPy keeps it

    def accept(x):
        nonlocal accepted, late
        accepted = x.copy()
        est.loss_ = loss  # SciPy ends a line search at the point it accepts
        est.n_iter_ += 1
        history.add([loss], network)
        late = perf_counter() > deadline
        if late:
            raise StopIteration

    options = {"maxfun": est.max_fun, "maxiter": est.max_iter, "gtol": est.tol}
    if _LBFGS_PRINTS:
        options["iprint"] = 1 if est.verbose else -1
    # BLAS's threads turn for some 20 ms after each of SciPy's products, on the cores of our team;
    # and SciPy's sums would depend on how many there are.
    blas = _get_threadpool_controller().select(user_api="blas")
    try:
        with blas.limit(limits=1):
            result = scipy.optimize.minimize(
                loss_and_gradient,
                start,
                method="L-BFGS-B",
                jac=True,
                callback=accept,
                options=options,
            )
        if not late:
            accepted, est.loss_ = result.x, result.fun
            est.n_iter_ = min(result.nit, est.max_iter)
            _check_optimize_result("lbfgs", result, est.max_iter)  # warns, unless it converged
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.")
    finally:
        est.best_iteration_ = len(history)
        point[:] = accepted
        for arrays, views in zip(parameters, current, strict=True):
            for array, view in zip(arrays, views, strict=True):
                array[...] = view
