"""OptimizerState by the name of its former module, so that pickles that name it can be read."""

from ._training.optimizer import OptimizerState

__all__ = ["OptimizerState"]
