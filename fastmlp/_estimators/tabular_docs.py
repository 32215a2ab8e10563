"""Docstrings of the estimators of tables."""

CLASSIFIER_DOC = """TODO"""
REGRESSOR_DOC = """TODO"""
