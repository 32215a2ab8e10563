"""Bagging: each network of an ensemble is trained on other rows, and validated on the rest. And
refitting: training again on all rows."""

import copy
import time
from dataclasses import replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, StratifiedKFold

from .._network.ensemble import members
from .._training.history import History
from .._training.progress import TrainingRecord
from .._training.settings import Task
from .._training.stochastic import fit_stochastic


def check_folds(n_samples, n_folds):
    """Refuse fewer samples than the folds need."""
    if n_samples < 2 * n_folds:
        raise ValueError(
            f"bagging=True validates each of n_estimators={n_folds} networks on its own samples and"
            f" needs 2 for each, {2 * n_folds} in all; got n_samples={n_samples}."
        )


def folds_of(estimator, labels, n_folds):
    """The rows that each network is validated on: every row once.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    labels : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    n_folds : int

    Returns
    -------
    list of ndarray of intp
    """
    splitter, strata = KFold, labels
    if is_classifier(estimator) and labels.ndim == 1:
        _, strata, counts = np.unique(labels, return_inverse=True, return_counts=True)
        splitter = StratifiedKFold if counts.min() >= n_folds else KFold
    folds = splitter(n_folds, shuffle=True, random_state=estimator._random_state)
    return [held_out for _, held_out in folds.split(np.zeros(labels.shape[0]), strata)]


def fit_bagged(estimator, task, X, labels):
    """Train the networks of a task, one after the other.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    task : Task
        Of an Ensemble, on all rows. Its record becomes that of the first network.
    X, labels : array-like
        The table and the targets, as a scorer gets them.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Of each row, those of the network that it was held out from.
    records : list of TrainingRecord
    """
    networks, begin = task.network.networks, time.perf_counter()
    outputs = np.zeros((len(task.dataset), task.network.architecture.units[-1]), task.network.dtype)
    records = []
    for i, held_out in enumerate(folds_of(estimator, labels, len(networks))):
        settings = replace(task.settings, early_stopping=True)
        if settings.max_time is not None:
            left = settings.max_time - (time.perf_counter() - begin)
            settings = replace(settings, max_time=max(1e-3, left / (len(networks) - i)))
        one = copy.copy(estimator)  # what a scorer calls
        one.n_estimators = 1
        own = members(task.parameters)[i]
        one._set_parameters(own)
        record = task.record if i == 0 else TrainingRecord()
        rows = held_out.astype(np.intp)
        validation, _ = one._validation(record, task.dataset, rows, X, labels)
        history = History(record.history, validation, None)
        record.history = history.measures
        order = np.setdiff1d(np.arange(len(task.dataset), dtype=np.intp), rows)
        single = Task(
            *(settings, record, networks[i], task.dataset, order),
            *(tuple([a.copy() for a in arrays] for arrays in own), one._batch_size(len(order))),
            history,
        )
        fit_stochastic(single, estimator._random_state)
        for arrays, trained in zip(own, single.parameters, strict=True):
            for array, values in zip(arrays, trained, strict=True):
                array[...] = values  # a view of the ensemble's
        networks[i].set_parameters(*single.parameters)
        outputs[rows] = networks[i].predict(task.dataset, rows)
        records.append(record)
    return outputs, records


def refit(estimator, task, epochs):
    """Train anew on all rows, for the numbers of epochs that were best on the rows held out.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    task : Task
        That was trained. Its parameters become those of the new networks.
    epochs : list of int
        With bagging one number for each network, otherwise one for all.
    """
    architecture = task.network.architecture
    drawn = estimator._draw_parameters(architecture, None, task.dataset)
    network = estimator._new_network(architecture, drawn, task.settings)
    order = np.arange(len(task.dataset), dtype=np.intp)
    parts = [(network, drawn, task.parameters, epochs[0])]
    if task.settings.bagging:
        parts = zip(network.networks, members(drawn), members(task.parameters), epochs, strict=True)
    for part, start, own, n_epochs in parts:
        settings = replace(
            task.settings, early_stopping=False, last_epoch=max(1, n_epochs), max_time=None
        )
        record = TrainingRecord()
        history = History(record.history, None, None)
        record.history = history.measures
        start = tuple([a.copy() for a in arrays] for arrays in start)
        batch_size = estimator._batch_size(len(order))
        again = Task(settings, record, part, task.dataset, order.copy(), start, batch_size, history)
        fit_stochastic(again, estimator._random_state)
        for arrays, trained in zip(own, again.parameters, strict=True):
            for array, values in zip(arrays, trained, strict=True):
                array[...] = values
