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
    rows = (held_out for _, held_out in folds.split(np.zeros(labels.shape[0]), strata))
    return [held_out.astype(np.intp) for held_out in rows]


def check_weights(folds, sample_weight):
    """Refuse weights that leave a network nothing to be validated on."""
    if sample_weight is not None and not all(sample_weight[rows].any() for rows in folds):
        raise ValueError(
            "bagging=True validates each network on its own samples, but all samples of one have a"
            " weight of zero. Decrease n_estimators, or use another random_state."
        )


def fit_bagged(estimator, task, X, labels, folds):
    """Train the networks of a task, one after the other. If an exception ends it, the networks that
    were trained are left, or else the first as far as it was trained.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    task : Task
        Of an Ensemble, on all rows. Its record becomes that of the first network.
    X, labels : array-like
        The table and the targets, as a scorer gets them.
    folds : list of ndarray
        See `folds_of`.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Of each row, those of the network that it was held out from.
    records : list of TrainingRecord
    """
    networks, begin = task.network.networks, time.perf_counter()
    outputs = np.zeros((len(task.dataset), task.network.architecture.units[-1]), task.network.dtype)
    records = []
    try:
        for i, rows in enumerate(folds):
            settings = replace(task.settings, early_stopping=True)
            if settings.max_time is not None:
                left = settings.max_time - (time.perf_counter() - begin)
                settings = replace(settings, max_time=max(1e-3, left / (len(networks) - i)))
            record = task.record if i == 0 else TrainingRecord()
            _fit_member(estimator, task, i, rows, settings, record, X, labels)
            outputs[rows] = networks[i].predict(task.dataset, rows)
            records.append(record)
    finally:
        if len(records) < len(networks):
            for arrays in task.parameters:
                arrays[:] = [a[: max(1, len(records))] for a in arrays]
    return outputs, records


def _fit_member(estimator, task, i, rows, settings, record, X, labels):
    """Train network i of a task; validate it on `rows`."""
    network, own = task.network.networks[i], members(task.parameters)[i]
    one = copy.copy(estimator)  # what a scorer calls
    one.n_estimators = 1
    one._set_parameters(own)
    validation, _ = one._validation(record, task.dataset, rows, X, labels)
    history = History(record.history, validation, None)
    record.history = history.measures
    order = np.setdiff1d(np.arange(len(task.dataset), dtype=np.intp), rows)
    single = Task(
        *(settings, record, network, task.dataset, order),
        *(tuple([a.copy() for a in arrays] for arrays in own), one._batch_size(len(order))),
        history,
    )
    try:
        fit_stochastic(single, estimator._random_state)
    finally:
        _assign(own, single.parameters)
    network.set_parameters(*single.parameters)


def _assign(own, trained):
    """Copy parameters into others, which may be views of an ensemble's."""
    for arrays, others in zip(own, trained, strict=True):
        for array, values in zip(arrays, others, strict=True):
            array[...] = values


def refit(estimator, task, records):
    """Train anew on all rows, for the numbers of epochs that were best on the rows held out.

    Parameters
    ----------
    estimator : TabularClassifier or TabularRegressor
    task : Task
        That was trained. Its parameters become those of the new networks.
    records : list of TrainingRecord
        With bagging one for each network, otherwise one for all.
    """
    architecture = task.network.architecture
    drawn = estimator._draw_parameters(architecture, None, task.dataset)
    estimator._shift_outputs(drawn, task.dataset.y, task.dataset.sample_weight)
    network = estimator._new_network(architecture, drawn, task.settings)
    order = np.arange(len(task.dataset), dtype=np.intp)
    parts = [(network, drawn, task.parameters, records[0])]
    if task.settings.bagging:
        own = members(task.parameters)
        parts = zip(network.networks, members(drawn), own, records, strict=True)
    for part, start, own, former in parts:
        if former.best_iteration == 0:
            continue  # no score was a number
        settings = replace(
            task.settings,
            early_stopping=False,
            last_epoch=max(1, former.best_iteration),
            max_time=None,
        )
        if settings.schedule.has_end:  # at the time limit, it has ended before max_iter
            settings = replace(settings, max_iter=max(1, former.n_iter))
        record = TrainingRecord()
        history = History(record.history, None, None)
        record.history = history.measures
        start = tuple([a.copy() for a in arrays] for arrays in start)
        batch_size = estimator._batch_size(len(order))
        again = Task(settings, record, part, task.dataset, order.copy(), start, batch_size, history)
        fit_stochastic(again, estimator._random_state)
        _assign(own, again.parameters)
        if not task.settings.bagging:
            task.record.optimizer = record.optimizer
