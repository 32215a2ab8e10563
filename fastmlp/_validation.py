"""Validation sets: the rows that are held out, and what a network is worth on them."""

import inspect
import warnings
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, indexable


class Validation:
    """Samples that are not trained on, and how a network is measured on them.

    Parameters
    ----------
    est : estimator
    dataset : Dataset
    rows : ndarray of intp
        Those of the dataset that are meant.
    X, y : array-like
        The same rows as the user gave them: what a scorer is given.
    sample_weight : ndarray of shape (n_rows,) or None
        Their weights in the score.
    """

    def __init__(self, est, dataset, rows, X, y, sample_weight):
        self.est, self.dataset, self.rows = est, dataset, rows
        self.sample_weight = sample_weight
        self.targets = dataset.y[rows]
        self.scorer = None
        if est.scoring not in (None, "loss"):
            self.scorer = check_scoring(est, est.scoring)
            whole, labels = indexable(X, y)
            self.X, self.y = _safe_indexing(whole, rows), _safe_indexing(labels, rows)
            self.weights = {}
            if sample_weight is not None and _takes_weights(self.scorer):
                self.weights = {"sample_weight": sample_weight}

    def score(self):
        """What the scorer says of the estimator as it is now."""
        try:
            score = self.scorer(self.est, self.X, self.y, **self.weights)
        except Exception as error:
            error.add_note(f"scoring={self.est.scoring!r} failed on the validation set.")
            raise
        if not isinstance(score, Real):
            raise ValueError(f"scoring must return a number, got {score!r}.")
        return float(score)

    def measure(self, network):
        """The loss without its penalty, and the score: greater is better, NaN is tolerated."""
        loss, outputs = network.evaluate(self.dataset, self.rows)
        if self.scorer is not None:
            with self.est._shown(network):
                return loss, self.score()
        if self.est.scoring == "loss":
            return loss, -loss
        return loss, self.est._validation_score(self.targets, outputs, self.sample_weight)


def _takes_weights(scorer):
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    return "sample_weight" in inspect.signature(scorer).parameters


def split(est, dataset, X, labels, binary):
    """Rows to train on and rows to validate on, as `validation_fraction` says.

    Parameters
    ----------
    est : estimator
    dataset : Dataset
    X : array-like
        As the user gave it: what a splitter is given.
    labels : ndarray
        Targets as the user gave them.
    binary : bool
        Whether they are of two classes.

    Returns
    -------
    train, held_out : ndarray of intp

    Raises
    ------
    ValueError
        If a set is empty, they overlap, classes are too small to be split, or all samples to
        validate on weigh nothing.
    """
    if hasattr(est.validation_fraction, "split"):
        train, held_out = _first_split(est.validation_fraction, X, labels)
    else:
        train, held_out = train_test_split(
            np.arange(len(dataset), dtype=np.intp),
            random_state=est._random_state,
            test_size=est.validation_fraction,
            stratify=_strata(est, labels, binary),
        )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of"
            " your dataset."
        )
    if dataset.sample_weight is not None and not dataset.sample_weight[held_out].any():
        raise ValueError(
            "The sample weights for validation set are all zero, consider using a different random"
            " state."
        )
    return train, held_out


def _strata(est, labels, binary):
    """The classes that keep their proportions, or None."""
    stratify = est.stratify_validation
    if stratify and labels.ndim > 1:
        raise ValueError(
            "stratify_validation=True needs a single class for each sample, but y is multilabel."
        )
    if stratify is None:
        stratify = binary
    if not stratify:
        return None
    if binary:  # strings, as the message about a class with too few members shows them
        return np.array(["False", "True"])[(labels != est.classes_[0]).astype(np.intp)]
    return labels


def _first_split(splitter, X, labels):
    """The first split of a cross-validation splitter."""
    try:
        train, held_out = next(iter(splitter.split(X, labels)))
    except StopIteration:
        raise ValueError("validation_fraction's splitter gives no split.") from None
    sets = [np.array(rows, dtype=np.intp, ndmin=1) for rows in (train, held_out)]
    for rows, name in zip(sets, ("training", "validation"), strict=True):
        if not len(rows):
            raise ValueError(f"The first split of validation_fraction leaves no {name} samples.")
        if rows.min() < 0 or rows.max() >= len(labels):
            raise ValueError("The first split of validation_fraction names rows that X lacks.")
    if len(np.intersect1d(*sets)):
        raise ValueError(
            "The first split of validation_fraction overlaps: samples are in both the training and"
            " the validation set."
        )
    if sum(map(len, sets)) < len(labels):
        warnings.warn(
            "The first split of validation_fraction has %d samples to train on and %d to validate"
            " on: the other %d are not used." % (*map(len, sets), len(labels) - sum(map(len, sets)))
        )
    return sets


def check(est, X_val, y_val, sample_weight_val):
    """Refuse what makes no sense together, before any work is done."""
    for name, value in (("y_val", y_val), ("sample_weight_val", sample_weight_val)):
        if X_val is None and value is not None:
            raise ValueError(f"{name} is provided, but X_val was not provided.")
    if X_val is not None and y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if est.stratify_validation:
        if not isinstance(est, ClassifierMixin):
            raise ValueError("stratify_validation=True is for classifiers: there are no classes.")
        if hasattr(est.validation_fraction, "split"):
            raise ValueError(
                "stratify_validation=True needs a validation_fraction that is a number: a splitter"
                " decides by itself."
            )
