"""The compiled core: kernels, data sets, predictions, the engine. This file is its face."""

from fastmlp._core.dataset import Dataset, shuffle
from fastmlp._core.engine import PHASES, Engine
from fastmlp._core.kernels import (
    ACTIVATIONS,
    DECAYING,
    LOSSES,
    OPTIMIZER_SLOTS,
    OPTIMIZERS,
    OUT_ACTIVATIONS,
    OUTPUTS,
    SOURCES,
    TARGETS,
    aligned_zeros,
    compiler,
    fma_ceiling,
    isa,
    isas,
    kernel_table,
    lanes,
    max_threads,
    openmp,
)
from fastmlp._core.panels import from_panels, is_narrow, to_panels
from fastmlp._core.prediction import NORMALIZATIONS, Parameters, layer_units, predict

__all__ = [
    "ACTIVATIONS",
    "DECAYING",
    "LOSSES",
    "NORMALIZATIONS",
    "OPTIMIZERS",
    "OPTIMIZER_SLOTS",
    "OUTPUTS",
    "OUT_ACTIVATIONS",
    "PHASES",
    "SOURCES",
    "TARGETS",
    "Dataset",
    "Engine",
    "Parameters",
    "aligned_zeros",
    "compiler",
    "fma_ceiling",
    "from_panels",
    "is_narrow",
    "isa",
    "isas",
    "kernel_table",
    "lanes",
    "layer_units",
    "max_threads",
    "openmp",
    "predict",
    "shuffle",
    "to_panels",
]
