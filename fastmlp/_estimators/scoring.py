"""The score of an estimator on a validation set, as its parameter `scoring` defines it."""

import inspect
from numbers import Real

from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing, indexable


class Scorer:
    """Scores an estimator in its current state, with the scorer that `scoring` selects.

    Parameters
    ----------
    estimator : estimator
    X, y : array-like
        The data as the user gave them, which a scorer gets.
    rows : ndarray of intp
        Rows to score on.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of these rows.
    """

    def __init__(self, estimator, X, y, rows, sample_weight):
        self.estimator = estimator
        self.scorer = check_scoring(estimator, estimator.scoring)
        whole, labels = indexable(X, y)
        self.X, self.y = _safe_indexing(whole, rows), _safe_indexing(labels, rows)
        self.weights = {}
        if sample_weight is not None and _takes_weights(self.scorer):
            self.weights = {"sample_weight": sample_weight}

    def __call__(self):
        scoring = self.estimator.scoring
        try:
            score = self.scorer(self.estimator, self.X, self.y, **self.weights)
        except Exception as error:
            error.add_note(f"scoring={scoring!r} failed on the validation set.")
            if "pos_label" in str(error):
                error.add_note(
                    "Say which label is the positive one, for example with"
                    " scoring=make_scorer(f1_score, pos_label=...)."
                )
            raise
        if not isinstance(score, Real):
            raise ValueError(f"scoring must return a number, got {score!r}.")
        return float(score)


def _takes_weights(scorer):
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    return "sample_weight" in inspect.signature(scorer).parameters
