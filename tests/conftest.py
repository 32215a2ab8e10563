"""Fixtures shared by the tests, and the environment that they run in."""

import os
import sys
from pathlib import Path

# OpenMP and BLAS read these variables when they are loaded. Several test processes share the cores,
# so a waiting thread must not keep a core busy; and no product here is worth two threads of BLAS.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("FASTMLP_TEAMS", "early")  # otherwise most fits end before a team begins

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench"))  # structures.py


def pytest_configure(config):
    # Most fits here stop after a few epochs on purpose. This line is not in pyproject.toml, because
    # pytest would then import scikit-learn before the environment above is set.
    config.addinivalue_line("filterwarnings", "ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)
