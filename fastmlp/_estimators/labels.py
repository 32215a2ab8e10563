"""The classes in the targets of a classifier."""

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets


def plain_classes(y):
    """The classes in y if it needs none of scikit-learn's slow checks, otherwise None."""
    if y.ndim == 1 and y.dtype.kind in "biu" and y.dtype.isnative:
        classes = np.unique(y)
        if 0 < 2 * len(classes) <= len(y):
            return classes
    return None


def fitted_binarizer(y):
    """What ``LabelBinarizer().fit(y)`` returns."""
    binarizer, classes = LabelBinarizer(), plain_classes(y)
    if classes is None:
        try:
            return binarizer.fit(y)
        except ValueError:
            check_classification_targets(y)  # says of what type y is, and does not print all of it
            raise
        except TypeError as error:
            kinds = sorted({type(label).__name__ for label in y.ravel()})
            error.add_note(
                "The labels in y must all be strings or all be numbers, so that they can be sorted;"
                f" y has {kinds}. Convert them, for example with y.astype(str)."
            )
            raise
    binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
    binarizer.sparse_input_, binarizer.classes_ = False, classes
    return binarizer
