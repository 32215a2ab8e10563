"""The kernels of every instruction set of this machine, in both types."""

import pytest

from reference.panels import tables


@pytest.fixture(params=tables(), ids=repr)
def kernels(request):
    return request.param
