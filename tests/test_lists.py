"""Every name of every list is described in the docstrings, and has a twin in NumPy."""

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor, _core
from fastmlp._estimators.losses import CLASSIFIER_LOSSES, REGRESSOR_LOSSES, classifier_kernel
from reference import naive
from reference.problems import NORMALIZED

SHARED = *_core.ACTIVATIONS, *_core.OPTIMIZERS, *NORMALIZED


@pytest.mark.parametrize(
    "estimator, names",
    [
        (MLPClassifier, (*SHARED, *CLASSIFIER_LOSSES)),
        (MLPRegressor, (*SHARED, *REGRESSOR_LOSSES)),
    ],
)
def test_every_name_is_described(estimator, names):
    for name in names:
        assert f"- '{name}'" in estimator.__doc__, name


def test_every_loss_is_reached():
    """By a name that the docstrings describe."""
    reached = {classifier_kernel(name, many) for name in CLASSIFIER_LOSSES for many in (0, 1)}
    reached |= {kernel for name in REGRESSOR_LOSSES for kernel in (name, f"{name}_deviance")}
    assert reached >= set(_core.LOSSES)


def test_activations_and_normalizations_have_twins():
    assert set(naive.FORWARD) == set(_core.OUTPUTS)
    assert set(naive.SLOPE) == set(_core.OUTPUTS) - {"softmax"}
    assert set(naive.MOMENTS) == set(NORMALIZED)


@pytest.mark.parametrize("loss", _core.LOSSES)
def test_losses_have_twins(loss):
    y = np.eye(2) + 0.5 * (_core.TARGETS[loss] == "reals")
    p = np.array([[0.7, 0.3], [0.4, 0.6]])
    assert np.isfinite(naive.row_losses(loss, y, p)).all()
    assert np.isfinite(naive.loss_slope(loss, y, p)).all()


@pytest.mark.parametrize("optimizer", _core.OPTIMIZERS)
def test_optimizers_have_twins(optimizer):
    """With as many arrays of state."""
    settings = {"rate": 0.1, "momentum": 0.9, "nesterov": True, "beta_1": 0.9, "beta_2": 0.99}
    slots = _core.OPTIMIZER_SLOTS[optimizer]
    state = [np.zeros(3)] * slots
    move, after, _ = naive.optimizer_step(optimizer, 1, np.ones(3), state, epsilon=0.1, **settings)
    assert (move < 0).all() and len(after) == slots == naive.N_SLOTS.get(optimizer, 2)
