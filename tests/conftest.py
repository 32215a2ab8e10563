"""Fixtures shared by the tests."""

import os

import numpy as np
import pytest

os.environ.setdefault("FASTMLP_TEAMS", "early")  # or most fits here would be over before


def pytest_configure(config):
    # Most fits here stop after a few epochs on purpose.
    config.addinivalue_line("filterwarnings", "ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)
