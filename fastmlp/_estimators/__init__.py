"""The estimators: parameters, labels, targets, predictions."""
