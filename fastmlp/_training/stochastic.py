"""Stochastic training: epochs of mini-batches, with their schedules and stopping rule."""

import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._core import shuffle
from .._network.network import Outcome
from .baseline import GROWN, MOVED, warn_of_divergence, warn_of_failure
from .optimizer import OptimizerState
from .progress import Progress


def fit_stochastic(task, random_state, *, incremental=False):
    """Train with mini-batches until the stopping rule, `max_iter` or `max_time` ends it.

    One call of the network runs several epochs if nothing is done between them. If an exception
    ends it (Ctrl-C, a warning turned into an error, a signal handler that raises), weights,
    optimizer state and counts are those after the last completed step.

    Parameters
    ----------
    task : Task
    random_state : RandomState
        Shuffles the rows.
    incremental : bool
        Whether to train for one epoch only, with the optimizer state of the last call.
    """
    training = _StochasticTraining(task, random_state, incremental)
    try:
        training.run()
        training.warn_if_unfinished()
    finally:
        training.hand_over()
    training.warn_of_failure()


class _StochasticTraining:
    """The state of a call of `fit_stochastic`, which has the same parameters."""

    def __init__(self, task, random_state, incremental):
        settings, record, network = task.settings, task.record, task.network
        n_samples = len(task.order)
        self.task, self.random_state, self.incremental = task, random_state, incremental
        former = record.optimizer
        if isinstance(former, OptimizerState) and not former.fits(task.parameters):
            # the best loss is that of a network with other layers
            record.best_loss, record.no_improvement_count = None, 0
        if incremental:
            self.optimizer = OptimizerState.resumed(record.optimizer, settings, task.parameters)
        else:
            self.optimizer = OptimizerState(settings)
        self.optimizer.load_into(network, settings, task.parameters)
        self.progress = Progress(settings, record, task.history, n_samples, network, incremental)
        restore = settings.restore_best_weights
        self.restore = not incremental and (
            self.progress.by_score if restore == "auto" else restore
        )
        self.ended = False  # whether the stopping rule or a schedule has ended the training
        self.start = [] if incremental else [np.array(a) for a in task.parameters[1]]
        self.has_best = False  # whether the task's parameters are those of the best epoch
        if self.restore:
            self.spare = [[np.empty_like(a) for a in arrays] for arrays in task.parameters]
        record.optimizer, record.n_iter = self.optimizer, 0
        self.max_iter = 1 if incremental else settings.last_epoch or settings.max_iter
        self.deadline = settings.deadline()
        self.n_batches = -(-n_samples // task.batch_size)
        self.at_once = self._epochs_at_once()
        self.orders = task.order[np.newaxis]
        if self.at_once > 1:
            shape = self.at_once, n_samples
            if settings.shuffle:
                self.orders = np.empty(shape, task.order.dtype)
            else:
                self.orders = np.broadcast_to(task.order, shape)

    def _epochs_at_once(self):
        """Maximum number of epochs in one call of the network: one if something is done between
        epochs."""
        task, settings = self.task, self.task.settings
        rate_changes = settings.solver == "sgd" and settings.learning_rate == "invscaling"
        averages = settings.average_weights == "swa"
        measures = task.history.measures_epochs or self.restore or settings.verbose
        if measures or rate_changes or averages or settings.fades:
            return 1
        found = task.network.epochs_at_once(len(task.order), task.batch_size)
        return min(self.max_iter, found)

    def run(self):
        """Train until a rule ends it."""
        settings, record, optimizer = self.task.settings, self.task.record, self.optimizer
        order = self.task.order
        self._warn_of_schedule()
        while record.n_iter < self.max_iter:
            n_epochs = min(self.at_once, self.progress.horizon, self.max_iter - record.n_iter)
            if settings.shuffle:
                # The draws and rows of sklearn.utils.shuffle(order), epoch by epoch.
                shuffle(self.random_state, order, self.orders[:n_epochs])
                order = self.orders[n_epochs - 1]
            self._run_epochs(n_epochs)
            if perf_counter() > self.deadline:
                break
            if settings.schedule.has_end or optimizer.t < settings.warmup * optimizer.n_steps:
                record.no_improvement_count = 0  # low rates bring no progress, and mean nothing
            if message := self.progress.plateau:
                if optimizer.on_plateau(settings, message):
                    self.ended = True
                    break
                record.no_improvement_count = 0
        else:
            self.ended = settings.schedule.has_end
            self._warn_of_max_iter()

    def _warn_of_schedule(self):
        """Warn, once, if partial_fit goes on where the schedule has ended."""
        settings, n_epochs = self.task.settings, self.task.settings.max_iter
        if not (self.incremental and settings.schedule.has_end):
            return
        told = getattr(self.optimizer, "told", None)  # older pickles have none
        if self.optimizer.epochs >= n_epochs != told:
            self.optimizer.told = n_epochs
            factor = float(settings.schedule.factors(np.ones(1))[0])
            warnings.warn(
                f"The schedule learning_rate={settings.learning_rate!r} ended after"
                f" max_iter={n_epochs} epochs of training. Later calls of partial_fit train with"
                f" its last rate, {factor * settings.learning_rate_init:g}. To train longer,"
                " increase max_iter, or set learning_rate='constant'."
            )

    def _time_shares(self, n_epochs):
        """The shares of `max_time` that will have passed before and after the next epochs, if
        schedules are to end in time."""
        settings, done = self.task.settings, self.task.record.n_iter
        if not settings.fades or settings.max_time is None or done == 0:
            return 0.0, 0.0
        passed = 1 - (self.deadline - perf_counter()) / settings.max_time
        return passed, passed * (1 + n_epochs / done)

    def _run_epochs(self, n_epochs):
        """Train on the first `n_epochs` of `orders`, and record what was done, also if an exception
        ends the training."""
        task, settings, optimizer = self.task, self.task.settings, self.optimizer
        step = optimizer.step_settings(
            settings, n_epochs, self.n_batches, self._time_shares(n_epochs)
        )
        rates = np.broadcast_to(step["learning_rate"], n_epochs * self.n_batches)
        outcome = Outcome()
        try:
            task.network.train(
                task.dataset,
                self.orders[:n_epochs],
                task.batch_size,
                alpha=float(settings.alpha),
                step=step,
                deadline=self.deadline,
                outcome=outcome,
            )
        finally:
            optimizer.t += outcome.n_steps
            optimizer.average(settings, task.network, len(outcome.loss_sums))
            last_rates = rates[self.n_batches - 1 :: self.n_batches].tolist()
            if self.progress.add(outcome, task.network, last_rates) and self.restore:
                # a copy first, so that Ctrl-C cannot leave the best weights half overwritten
                task.network.get_parameters(*self.spare)
                for arrays, best in zip(task.parameters, self.spare, strict=True):
                    arrays[:], best[:] = best[:], arrays[:]
                self.has_best = True
            optimizer.end_epoch(settings, task.record.t)

    def _warn_of_max_iter(self):
        settings = self.task.settings
        # a schedule that ends with the training is complete at max_iter
        if not (self.incremental or settings.schedule.has_end):
            warnings.warn(
                "Stochastic Optimizer: Maximum iterations (%d) reached and the optimization"
                " hasn't converged yet." % settings.max_iter,
                ConvergenceWarning,
            )

    def warn_if_unfinished(self):
        """Warn where "swa" has averaged nothing."""
        settings = self.task.settings
        averages = settings.average_weights == "swa"
        if averages and not (self.incremental or self.optimizer.n_averaged):
            warnings.warn(
                "Training ended before the last quarter of max_iter=%d, in which"
                " average_weights='swa' averages the weights; the last weights are kept."
                % settings.max_iter
            )

    def warn_of_failure(self):
        """Warn if the weights that are kept are worth nothing."""
        record, scores = self.task.record, ()
        losses = record.loss_curve
        if self.incremental:
            # Tell it once, where a second call is worse: other data would be learned.
            if len(losses) > 2 and losses[-1] > losses[-2] > GROWN * losses[0] >= losses[-3]:
                warn_of_failure(self.task, losses, ended=False, moved=lambda: True)
            return
        losses = losses[len(losses) - record.n_iter :]
        if self.progress.by_score:
            scores = record.validation_scores[len(record.validation_scores) - record.n_iter :]
        if self.has_best:
            kept = record.best_iteration - len(self.task.history) + len(losses)
            if np.isfinite(losses[:kept]).all() and not np.isfinite(losses).all():
                warn_of_divergence(self.task.settings, np.isfinite(losses).argmin() + 1, kept)
                return
            losses = losses[:kept]
        warn_of_failure(self.task, losses, ended=self.ended, moved=self._has_moved, scores=scores)

    def _has_moved(self):
        """Whether training has changed the weights visibly, judged by the intercepts."""
        last = self.spare if self.has_best else self.task.parameters
        pairs = zip(self.start, last[1], strict=True)
        change = max(np.abs(before - after).max() for before, after in pairs)
        return change > MOVED * max(np.abs(coef).max() for coef in last[0])

    def hand_over(self):
        """Leave the trained weights in the task's parameters, and the optimizer's state."""
        task = self.task
        task.network.get_parameters(*(self.spare if self.has_best else task.parameters))
        self.optimizer.keep(task.network, task.parameters)
