"""The record of a training, and the stopping rule that judges it."""

from dataclasses import dataclass

import numpy as np


@dataclass
class TrainingRecord:
    """What training records, and what warm starts and partial_fit continue from.

    An estimator has an attribute for each field: its name is followed by an underscore, or, for the
    last three, preceded by one. None stands for what was not measured.

    Attributes
    ----------
    n_iter : int
        Epochs of this call, or iterations of L-BFGS.
    t : int
        Samples seen by all calls.
    loss : float or None
        Loss of the last epoch.
    loss_curve : list of float or None
        Loss of each epoch, or iteration of L-BFGS.
    best_loss : float or None
        Smallest loss of an epoch; None if epochs are judged by the validation score.
    best_iteration : int or None
        Number of the best epoch, counted over calls; 0 if no epoch had a score that is a number.
    validation_scores, validation_loss_curve : list of float, or None
    best_validation_score : float or None
    history : dict or None
        Measure -> list with an entry for each epoch; see `History`.
    no_improvement_count : int or None
        Number of consecutive epochs without an improvement by `tol`.
    scored_by : str, callable or None
        Value of the parameter `scoring` that the validation scores belong to.
    optimizer : OptimizerState or None
    """

    n_iter: int = 0
    t: int = 0
    loss: float | None = None
    loss_curve: list | None = None
    best_loss: float | None = None
    best_iteration: int | None = None
    validation_scores: list | None = None
    validation_loss_curve: list | None = None
    best_validation_score: float | None = None
    history: dict | None = None
    no_improvement_count: int | None = None
    scored_by: object = None
    optimizer: object = None


def as_list(values):
    """A list of the record: as it is, or made from what the user has put in its place."""
    return values if isinstance(values, list) else [] if values is None else [*values]


class Progress:
    """The stopping rule: count the epochs that did not improve by `tol`.

    Improvement is measured on the validation score with `early_stopping`, else on the training
    loss. The best epoch is the one with the greatest validation score where there is one, else with
    the smallest loss. Counts and best values are kept in the record, so warm starts and partial_fit
    continue from them.

    Scores on different validation sets cannot be compared. A warm start therefore first measures
    the weights that it begins with. If the record does not have their validation loss, the set is
    another one: the best score is then that of these weights, and the count begins anew.

    Parameters
    ----------
    settings : TrainingSettings
    record : TrainingRecord
    history : History
    n_samples : int
        Rows of an epoch.
    network : Network or Ensemble
        Holds the starting weights.
    incremental : bool
        Whether this is a partial_fit.
    """

    def __init__(self, settings, record, history, n_samples, network, incremental):
        self.settings, self.record = settings, record
        self.history, self.n_samples = history, n_samples
        self.validated = history.validation is not None
        self.by_score = self.validated and settings.early_stopping
        # The record lacks what was not measured, as after L-BFGS, and what the user has deleted.
        record.loss_curve = as_list(record.loss_curve)
        record.no_improvement_count = record.no_improvement_count or 0
        record.best_iteration = record.best_iteration or 0
        if self.validated:
            self._resume_scores(network)
        else:
            record.validation_scores = record.best_validation_score = None
            record.validation_loss_curve = None
        record.scored_by = settings.scoring
        # loss of the last epoch before a warm start
        self.former_loss = None if incremental else record.loss
        if self.by_score:
            record.best_loss = None
        elif record.best_loss is None:
            record.best_loss = np.inf

    def _resume_scores(self, network):
        """Continue from the scores of earlier calls if they were measured on this set."""
        record = self.record
        record.validation_scores = as_list(record.validation_scores)
        record.validation_loss_curve = as_list(record.validation_loss_curve)
        if record.best_validation_score is None:
            record.best_validation_score = -np.inf
        if record.best_validation_score == -np.inf:
            return
        loss, score = self.history.validation.measure(network)
        if record.scored_by != self.settings.scoring or loss not in record.validation_loss_curve:
            record.best_validation_score = -np.inf if np.isnan(score) else score
            if self.by_score:
                record.no_improvement_count = 0

    @property
    def horizon(self):
        """The number of epochs within which there can be no plateau."""
        if self.settings.schedule.has_end:
            return self.settings.max_iter
        return max(1, self.settings.n_iter_no_change + 1 - self.record.no_improvement_count)

    def add(self, outcome, network, learning_rates):
        """Record and judge epochs.

        Parameters
        ----------
        outcome : Outcome
            Result of `network.train`; of a single epoch if there is more to do than to record the
            loss.
        network : Network or Ensemble
            The network that validation and the monitor measure.
        learning_rates : list of float
            The rate at the end of each epoch.

        Returns
        -------
        bool
            Whether the last epoch is the best so far.
        """
        record, n_samples = self.record, self.n_samples
        losses = [loss_sum / n_samples for loss_sum in outcome.loss_sums]
        n_rows = len(losses) * n_samples
        if not losses and record.n_iter == 0 and outcome.rest[1]:
            loss_sum, n_rows = outcome.rest  # `max_time` cut the first epoch short
            losses = [loss_sum / n_rows]
        if not losses:
            return False
        before = len(self.history)
        # first, because a scorer may raise
        validation_loss, score = self.history.add(losses, network, learning_rates[: len(losses)])
        record.n_iter += len(losses)
        record.t += n_rows
        record.loss = losses[-1]
        record.loss_curve += losses
        if self.settings.prints(record.n_iter):
            print("Iteration %d, loss = %.8f" % (record.n_iter, record.loss))
        best = 0  # number, among these epochs, of the best epoch so far; 0: an earlier one
        if not self.by_score:
            best = self._judge_losses(losses)
        if self.validated:
            best = self._judge_score(validation_loss, score)
        if best:
            record.best_iteration = before + best
        return best == len(losses)

    def _judge_losses(self, losses):
        """Count the epochs without improvement; return the number of the best, from 1, or 0."""
        record, best = self.record, 0
        best_loss, count, tol = record.best_loss, record.no_improvement_count, self.settings.tol
        if self._is_another_problem(losses[0]):
            best_loss, count = np.inf, 0
        for i, loss in enumerate(losses, 1):
            count = count + 1 if loss > best_loss - tol else 0
            if loss < best_loss:
                best_loss, best = loss, i
        record.best_loss, record.no_improvement_count = best_loss, count
        return best

    def _is_another_problem(self, loss):
        """Whether the first loss of a warm start is so much greater than the last one before that
        data or weights must be others: the best loss then is none to compare with."""
        former, self.former_loss = self.former_loss, None
        return former is not None and loss > max(3 * former, former + 100 * self.settings.tol)

    def _judge_score(self, validation_loss, score):
        """The same for a single epoch, by its validation score."""
        record = self.record
        record.validation_loss_curve.append(validation_loss)
        record.validation_scores.append(score)
        if self.settings.prints(record.n_iter):
            print("Validation score: %f" % score)
        if self.by_score:
            stalled = score < record.best_validation_score + self.settings.tol
            record.no_improvement_count = record.no_improvement_count + 1 if stalled else 0
        if not score > record.best_validation_score:
            return 0
        record.best_validation_score = score
        return 1

    @property
    def plateau(self):
        """The message about a plateau, or None if the last improvement is recent enough."""
        patient = self.record.no_improvement_count <= self.settings.n_iter_no_change
        if patient or self.settings.schedule.has_end:
            return None
        measure = "Validation score" if self.by_score else "Training loss"
        return "%s did not improve more than tol=%f for %d consecutive epochs." % (
            measure,
            self.settings.tol,
            self.settings.n_iter_no_change,
        )
