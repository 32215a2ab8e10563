"""The inputs of a training: its settings and its task."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np

from .history import History
from .progress import TrainingRecord
from .schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The parameters of an estimator that training depends on, with the same names.

    They are read once, when a fit begins; `_estimators/docs.py` describes them. Those with a
    default are set by the estimators of tables.
    """

    solver: str
    alpha: float
    max_iter: int
    max_fun: int
    max_time: float | None
    tol: float
    n_iter_no_change: float
    shuffle: bool
    verbose: bool | int
    learning_rate: str | Callable
    learning_rate_init: float
    power_t: float
    warmup: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float | None
    l1_ratio: float
    clip_norm: float | None
    clip_value: float | None
    max_norm: float | None
    early_stopping: bool
    scoring: str | Callable | None
    restore_best_weights: bool | str
    average_weights: str | None
    rates: dict | None = None  # factors of the learning rate; see Network.train
    fades: bool = False  # whether dropout and weight decay follow `fade`, and schedules end in time
    bagging: bool = False
    refit: bool = False
    last_epoch: int | None = None  # ends the training before the schedule ends

    @cached_property
    def schedule(self):
        """The Schedule of the learning rate."""
        return Schedule(self.learning_rate, self.warmup)

    def prints(self, n_iter):
        """Whether `verbose` asks for the lines of this epoch: the first, and every so many."""
        return self.verbose and (n_iter == 1 or n_iter % max(1, int(self.verbose)) == 0)

    def deadline(self):
        """Time of `time.perf_counter` at which a training that begins now must end."""
        return np.inf if self.max_time is None else perf_counter() + self.max_time


@dataclass(frozen=True, eq=False)
class Task:
    """What one call of fit or partial_fit trains.

    Attributes
    ----------
    settings : TrainingSettings
    record : TrainingRecord
        Kept up to date while the training runs, also when an exception ends it.
    network : Network or Ensemble
        Holds the starting weights.
    dataset : Dataset
        Training and validation rows.
    order : ndarray of shape (n_train,), dtype intp
        Rows to train on; may be shuffled in place. L-BFGS trains on every row.
    parameters : tuple of lists of ndarray
        As Network.set_parameters takes them: the starting weights before training; after it the
        last weights, or the best if they are restored.
    batch_size : int
        At most ``len(order)``.
    history : History
        Measures the network after each epoch. An iteration of L-BFGS counts as an epoch.
    """

    settings: TrainingSettings
    record: TrainingRecord
    network: object
    dataset: object
    order: np.ndarray
    parameters: tuple
    batch_size: int
    history: History
