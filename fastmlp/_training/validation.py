"""Validation sets: the rows that are held out, and the score of a network on them."""

import warnings

import numpy as np
from sklearn.model_selection import train_test_split


class Validation:
    """Samples that are not trained on, and how a network is measured on them.

    Parameters
    ----------
    dataset : Dataset
    rows : ndarray of intp
        Rows of the dataset that belong to the validation set.
    score : callable of (network, loss, outputs)
        Returns the score of a network with this loss and these outputs on the rows: greater is
        better, NaN is tolerated.
    """

    def __init__(self, dataset, rows, score):
        self.dataset, self.rows, self.score = dataset, rows, score

    def measure(self, network):
        """The loss without its penalty, and the score."""
        loss, outputs = network.evaluate(self.dataset, self.rows)
        return loss, self.score(network, loss, outputs)


def split(validation_fraction, random_state, dataset, X, labels, strata):
    """Rows to train on and rows to validate on.

    Parameters
    ----------
    validation_fraction : float or cross-validation splitter
    random_state : RandomState
        Draws the rows of a fraction.
    dataset : Dataset
    X : array-like
        The data as the user gave them, which a splitter gets.
    labels : ndarray
        Targets as the user gave them.
    strata : ndarray or None
        Classes by which the split is stratified.

    Returns
    -------
    train, held_out : ndarray of intp

    Raises
    ------
    ValueError
        If a set is empty, the sets overlap, classes are too small to be split, or the weights of
        all validation samples are zero.
    """
    if hasattr(validation_fraction, "split"):
        train, held_out = _first_split(validation_fraction, X, labels)
    elif validation_fraction == 0:
        raise ValueError(
            "validation_fraction must be greater than 0 with early_stopping=True, got 0. Set it to"
            " the fraction of samples to validate on, or pass X_val and y_val to fit."
        )
    else:
        try:
            train, held_out = train_test_split(
                np.arange(len(dataset), dtype=np.intp),
                random_state=random_state,
                test_size=validation_fraction,
                stratify=strata,
            )
        except ValueError as error:
            found = str(error).rstrip(".")
            if strata is None or "class" not in found:
                raise ValueError(
                    f"{found}. early_stopping=True splits off validation_fraction="
                    f"{validation_fraction} of the samples; change it, or pass X_val and y_val to"
                    " fit."
                ) from error
            raise ValueError(
                f"{found}. early_stopping=True splits off a validation set with the proportions of"
                " the classes: set stratify_validation=False, or pass X_val and y_val to fit."
            ) from error
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
