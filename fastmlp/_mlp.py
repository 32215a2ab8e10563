"""The estimators by the name of their former module, so that pickles that name it can be read."""

from ._estimators.classifier import MLPClassifier
from ._estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
