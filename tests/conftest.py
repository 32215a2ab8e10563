"""Fixtures shared by the tests."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("FASTMLP_TEAMS", "early")  # or most fits here would be over before
sys.path.append(str(Path(__file__).resolve().parent.parent / "bench"))  # structures.py


def pytest_configure(config):
    # Most fits here stop after a few epochs on purpose.
    config.addinivalue_line("filterwarnings", "ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)
