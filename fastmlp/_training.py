"""Training: epochs with their schedules and stopping rule, and the bridge to SciPy's L-BFGS-B.

The functions here read the parameters of an estimator `est`, drive a Network, and keep the
estimator's record (`n_iter_`, `loss_`, `loss_curve_`, ...) up to date while they run. Weights are
handed over in `coefs` and `intercepts`, lists of arrays of shape (fan_in, fan_out) and (fan_out,),
one per layer: the start on entry, the trained weights on return, also when Ctrl-C ended it.
"""

import warnings
from itertools import pairwise

import numpy as np
import scipy
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.parallel import _get_threadpool_controller

from ._core import shuffle

# SciPy 1.15 rewrote L-BFGS-B without its printing, and deprecated the option.
_LBFGS_PRINTS = parse_version(scipy.__version__) < parse_version("1.15")


def initial_parameters(layer_units, activation, dtype, random_state):
    """Draw the weights that training starts from (Glorot and Bengio, 2010).

    Uniform in (-b, b) with b = sqrt(6 / (fan_in + fan_out)), 2 instead of 6 for the logistic
    activation; intercepts are drawn too. The order of the draws is scikit-learn's: each layer's
    coefficients, then its intercepts.

    Parameters
    ----------
    layer_units : list of int
        Widths of all layers, from the features to the outputs.
    activation : str
        Activation of the hidden layers.
    dtype : dtype
        Computing type of the network. The draws themselves are always float64.
    random_state : RandomState

    Returns
    -------
    coefs, intercepts : list of ndarray
    """
    factor = 2.0 if activation == "logistic" else 6.0
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(layer_units):
        bound = np.sqrt(factor / (fan_in + fan_out))
        coefs.append(
            random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False)
        )
        intercepts.append(random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
    return coefs, intercepts


class OptimizerState:
    """What "sgd" and "adam" remember from one epoch, call or pickle to the next.

    Attributes
    ----------
    name : {"sgd", "adam"}
    learning_rate_init : float
        The estimator's parameter that `learning_rate` was derived from.
    learning_rate : float
        SGD: the rate of the next step. Adam: the bias-corrected rate of the last one.
    t : int
        Steps taken so far.
    slots : list or None
        Velocities (SGD) or first and second moments (Adam): for each, a pair of lists of arrays
        shaped like `coefs_` and `intercepts_`. None stands for zeros.
    """

    def __init__(self, est):
        self.name = est.solver
        self.learning_rate_init = est.learning_rate_init
        self.learning_rate = float(est.learning_rate_init)
        self.t = 0
        self.slots = None

    @classmethod
    def of(cls, est):
        """The state that `est` has kept from earlier calls, or else a new one."""
        state = getattr(est, "_optimizer", None)
        if state is None or state.name != est.solver:
            return cls(est)
        if state.learning_rate_init != est.learning_rate_init:
            # The user asked for another rate: follow, and keep the momentum.
            state.learning_rate_init = est.learning_rate_init
            state.learning_rate = float(est.learning_rate_init)
        return state

    def load_into(self, network, dtype):
        """Hand the slots to a Network that computes in `dtype`."""
        if self.slots is not None:
            network.set_optimizer_state(
                [
                    tuple([a.astype(dtype, copy=False) for a in arrays] for arrays in slot)
                    for slot in self.slots
                ]
            )

    def step(self, est):
        """The settings of the next epoch's steps, as Network.train takes them."""
        if self.name == "sgd":
            return {
                "learning_rate": self.learning_rate,
                "momentum": float(est.momentum),
                "nesterov": bool(est.nesterovs_momentum),
            }
        return {
            "learning_rate_init": float(est.learning_rate_init),
            "beta_1": float(est.beta_1),
            "beta_2": float(est.beta_2),
            "epsilon": float(est.epsilon),
            "t": self.t,
        }

    def end_epoch(self, est):
        """Set the learning rate from the samples (SGD) or the steps (Adam) seen so far."""
        if self.name == "adam":
            correction = (
                np.sqrt(1 - est.beta_2**self.t) / (1 - est.beta_1**self.t) if self.t else 1.0
            )
            self.learning_rate = float(est.learning_rate_init * correction)
        elif est.learning_rate == "invscaling":
            self.learning_rate = float(est.learning_rate_init) / (est.t_ + 1) ** est.power_t

    def on_plateau(self, est, message):
        """Training has stalled: lower the learning rate, or return True to stop."""
        adaptive = self.name == "sgd" and est.learning_rate == "adaptive"
        stop = not adaptive or self.learning_rate <= 1e-6
        if not stop:
            self.learning_rate /= 5.0
            message += " Setting learning rate to %f" % self.learning_rate
        elif adaptive:
            message += " Learning rate too small. Stopping."
        else:
            message += " Stopping."
        if est.verbose:
            print(message)
        return stop


class Progress:
    """The stopping rule: count the epochs that did not improve by `tol`.

    Improvement is measured on the training loss, or on a validation score where `validate` is
    given. The counts and best values live on the estimator, so that warm starts and partial_fit go
    on from them.

    Parameters
    ----------
    est : estimator
    validate : callable or None
        Maps a Network to its validation score; greater is better, NaN is tolerated.
    """

    def __init__(self, est, validate):
        self.est = est
        self.validate = validate
        # A record under the other measure (or none, after L-BFGS) cannot be continued.
        if not hasattr(est, "loss_curve_"):
            est.loss_curve_ = []
            est._no_improvement_count = 0
        if validate is None:
            est.validation_scores_ = est.best_validation_score_ = None
            if getattr(est, "best_loss_", None) is None:
                est.best_loss_ = np.inf
        else:
            est.best_loss_ = None
            if getattr(est, "validation_scores_", None) is None:
                est.validation_scores_ = []
                est.best_validation_score_ = -np.inf

    @property
    def horizon(self):
        """Epochs before which there can be no plateau."""
        est = self.est
        return max(1, est.n_iter_no_change + 1 - est._no_improvement_count)

    def record(self, losses, n_samples, network):
        """Record epochs and judge them: a single one where there is a validation score or a line to
        print. Return True if it has the best validation score so far."""
        est = self.est
        est.n_iter_ += len(losses)
        est.t_ += len(losses) * n_samples
        est.loss_ = losses[-1]
        est.loss_curve_ += losses
        if est.verbose:
            print("Iteration %d, loss = %.8f" % (est.n_iter_, est.loss_))
        count = est._no_improvement_count
        if self.validate is None:
            for loss in losses:
                count = count + 1 if loss > est.best_loss_ - est.tol else 0
                if loss < est.best_loss_:
                    est.best_loss_ = loss
            best = False
        else:
            score = self.validate(network)
            est.validation_scores_.append(score)
            if est.verbose:
                print("Validation score: %f" % score)
            count = count + 1 if score < est.best_validation_score_ + est.tol else 0
            best = score > est.best_validation_score_
            if best:
                est.best_validation_score_ = score
        est._no_improvement_count = count
        return best

    @property
    def plateau(self):
        """The message about a plateau, or None where there is progress (or still patience)."""
        est = self.est
        if est._no_improvement_count <= est.n_iter_no_change:
            return None
        measure = "Training loss" if self.validate is None else "Validation score"
        return "%s did not improve more than tol=%f for %d consecutive epochs." % (
            measure,
            est.tol,
            est.n_iter_no_change,
        )


def clipped_batch_size(batch_size, n_samples):
    """Rows of a batch: the estimator's parameter, clipped to the samples with a warning."""
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
    coefs,
    intercepts,
    *,
    batch_size,
    validate=None,
    incremental=False,
):
    """Train with mini-batch SGD or Adam until the stopping rule, `max_iter` or Ctrl-C ends it.

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
    coefs, intercepts : list of ndarray
        Starting weights on entry; on return the last weights, or with `validate` the best ones.
    batch_size : int
        At most ``len(order)``.
    validate : callable or None
        Maps a Network to its validation score.
    incremental : bool
        One epoch only, with the optimizer state of the last call.
    """
    n_samples = len(order)
    optimizer = OptimizerState.of(est) if incremental else OptimizerState(est)
    optimizer.load_into(network, coefs[0].dtype)
    spare = (
        [[np.empty_like(a) for a in arrays] for arrays in (coefs, intercepts)] if validate else None
    )
    progress = Progress(est, validate)
    est._optimizer = optimizer
    est.n_iter_ = 0
    max_iter = 1 if incremental else est.max_iter
    # Where nothing is done between epochs, one call runs several of them.
    rate_changes = est.solver == "sgd" and est.learning_rate == "invscaling"
    at_once = 1
    if not (validate or est.verbose or rate_changes):
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
            network.n_steps, network.loss_sums = 0, []
            try:
                network.train(
                    dataset,
                    orders[:n_epochs],
                    batch_size,
                    alpha=float(est.alpha),
                    step=optimizer.step(est),
                )
            finally:
                optimizer.t += network.n_steps
                if network.loss_sums:
                    losses = [loss_sum / n_samples for loss_sum in network.loss_sums]
                    if progress.record(losses, n_samples, network):
                        network.get_parameters(*spare)  # whole, or not at all if Ctrl-C comes
                        coefs[:], intercepts[:], spare = *spare, [coefs[:], intercepts[:]]
                    optimizer.end_epoch(est)
            if message := progress.plateau:
                if optimizer.on_plateau(est, message):
                    break
                est._no_improvement_count = 0
        else:
            if not incremental:
                warnings.warn(
                    "Stochastic Optimizer: Maximum iterations (%d) reached and the optimization"
                    " hasn't converged yet." % est.max_iter,
                    ConvergenceWarning,
                )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.")
    finally:
        if validate is None:
            network.get_parameters(coefs, intercepts)
        optimizer.slots = network.get_optimizer_state()


def _views(vector, coefs, intercepts):
    """Views of a flat vector, shaped like the parameters: coefficients first, then intercepts."""
    arrays = [*coefs, *intercepts]
    ends = np.cumsum([a.size for a in arrays])
    views = [
        part.reshape(a.shape) for part, a in zip(np.split(vector, ends[:-1]), arrays, strict=True)
    ]
    return views[: len(coefs)], views[len(coefs) :]


def fit_lbfgs(est, network, dataset, coefs, intercepts):
    """Minimize the loss over all rows with SciPy's L-BFGS-B (Zhu, Byrd, Lu and Nocedal, 1997).

    SciPy's vectors are float64; the network computes in its own type, which `coefs` and
    `intercepts` keep.

    Parameters
    ----------
    est : estimator
    network : Network
    dataset : Dataset
        Every row is trained on.
    coefs, intercepts : list of ndarray
        Starting weights on entry, trained weights on return.
    """
    start = np.concatenate([a.ravel() for a in [*coefs, *intercepts]])
    point, gradient = start.copy(), np.empty_like(start)
    parameters = _views(point, coefs, intercepts)
    gradients = _views(gradient, coefs, intercepts)
    accepted, loss = start, None
    est.n_iter_ = 0

    def loss_and_gradient(x):
        nonlocal loss
        point[:] = x
        network.set_parameters(*parameters)
        loss = network.loss_and_gradient(dataset, float(est.alpha), gradients)
        return loss, gradient.astype(np.float64)  # a copy: SciPy keeps it

    def accept(x):
        nonlocal accepted
        accepted = x.copy()
        est.loss_ = loss  # SciPy ends a line search at the point it accepts
        est.n_iter_ += 1

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
        accepted, est.loss_ = result.x, result.fun
        est.n_iter_ = min(result.nit, est.max_iter)
        _check_optimize_result("lbfgs", result, est.max_iter)  # warns, unless it converged
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.")
    finally:
        point[:] = accepted
        views = [*parameters[0], *parameters[1]]
        for array, view in zip([*coefs, *intercepts], views, strict=True):
            array[...] = view
