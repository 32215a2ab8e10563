"""fastmlp: scikit-learn's multilayer perceptrons, compiled."""

from importlib import import_module

from ._version import __version__

try:
    from ._estimators.classifier import MLPClassifier
    from ._estimators.regressor import MLPRegressor
    from ._estimators.tabular import TabularClassifier, TabularRegressor
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("fastmlp._core."):
        raise
    raise ImportError(
        f"The compiled modules of fastmlp are not in {__path__[0]}. If this is a checkout, its"
        " folder hides the package that you have installed: change to another folder, or install"
        " the checkout with `pip install -e .`."
    ) from error

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "TabularClassifier",
    "TabularRegressor",
    "__version__",
    "show_config",
]


def show_config():
    """What this build is and what it chose on this machine.

    Returns
    -------
    dict
        ``version``; ``isa``, the instruction set in use (the environment variable ``FASTMLP_ISA``
        forces one), and ``isas_available``, best first; ``openmp``, the version date of OpenMP or
        0 without it; ``compiler``; ``n_threads``, what ``n_threads=None`` means in the calling
        thread now.

    Examples
    --------
    >>> import fastmlp
    >>> sorted(fastmlp.show_config())
    ['compiler', 'isa', 'isas_available', 'n_threads', 'openmp', 'version']
    """
    from . import _core
    from ._network.threads import effective_n_threads

    return {
        "version": __version__,
        "isa": _core.isa(),
        "isas_available": _core.isas(),
        "openmp": _core.openmp(),
        "compiler": _core.compiler(),
        "n_threads": effective_n_threads(None),
    }


def __getattr__(name):
    """Import `inspection` when it is first used."""
    if name == "inspection":
        return import_module("fastmlp.inspection")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
