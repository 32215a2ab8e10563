"""Who has called fit: the user's program, or a tool that fits many models."""

import sys

# Packages that call fit many times; and the modules of scikit-learn that call it once.
MANY = ("joblib", "optuna", "hyperopt", "skopt", "ray", "dask", "distributed", "mlxtend")
ONCE = ("base", "pipeline", "compose", "utils", "frozen")


def is_own_call():
    """Whether the fit that is running was called by the user's program, perhaps through a Pipeline
    or a TransformedTargetRegressor.

    If so, Ctrl-C ends this fit, and the program goes on with the weights reached so far, as in
    scikit-learn. If not, the fit is one of many, as in a grid search or a bagging ensemble, and
    Ctrl-C is to end them all.
    """
    frame = sys._getframe(1)
    while frame is not None:
        package, _, rest = frame.f_globals.get("__name__", "").partition(".")
        if package in MANY or (package == "sklearn" and rest.partition(".")[0] not in ONCE):
            return False
        frame = frame.f_back
    return True
