"""Architecture: a value that is checked once and says which parameters a network has."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from fastmlp import _core
from fastmlp._network.architecture import Architecture, LossSettings

PLAIN = Architecture([4, 5, 5, 3], ["tanh", "relu"], loss="log_loss")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"units": [4]}, "units must be"),
        ({"units": [4, 0, 5, 3]}, "units must be"),
        ({"activations": ["tanh"]}, "activations must be 2 of"),
        ({"activations": ["tanh", "softmax"]}, "activations must be 2 of"),
        ({"out_activation": "sigmoid"}, "out_activation"),
        ({"out_activation": "tanh"}, "'log_loss' does not go with 'tanh'"),
        ({"loss": "squared_error"}, "'squared_error' does not go with 'softmax'"),
        ({"loss": "mse"}, "loss must be one of"),
        ({"normalization": "group"}, "normalization must be one of"),
        ({"dropout": [0.1, 0.2]}, "dropout must be 3 rates"),
        ({"dropout": [0.1, 0.2, 1.0]}, "dropout must be 3 rates"),
        ({"dtype": np.float16}, "dtype must be"),
    ],
)
def test_what_is_no_network_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(PLAIN, **change)


def test_it_is_a_value():
    """Equal ones are equal and hash alike, whatever sequences they were made of; none changes."""
    other = Architecture((4, 5, 5, 3), ("tanh", "relu"), "softmax", "log_loss", dtype="f8")
    assert other == PLAIN and hash(other) == hash(PLAIN)
    assert replace(PLAIN, loss_settings=LossSettings(smoothing=0.1)) != PLAIN
    with pytest.raises(FrozenInstanceError):
        PLAIN.residual = True


def test_normalization_says_which_parameters_there_are():
    n_lists = {None: (2, 2), "layer": (4, 4), "batch": (6, 4)}
    for normalization in _core.NORMALIZATIONS:
        architecture = replace(PLAIN, normalization=normalization)
        shapes = architecture.parameter_shapes
        found = len(shapes), architecture.n_trained
        assert found == n_lists.get(normalization, found)
        assert len(architecture.parameter_names) == len(shapes)
        assert architecture.trained_shapes == shapes[: architecture.n_trained]
        assert shapes[:2] == (((4, 5), (5, 5), (5, 3)), ((5,), (5,), (3,)))
        assert all(part == ((5,), (5,)) for part in shapes[2:])


def test_parameters_are_held_to_the_architecture(dtype):
    """Lists too few or too many, too short, of another type or shape, or no lists at all."""
    architecture = replace(PLAIN, normalization="layer", dtype=dtype)
    lists = [[np.zeros(shape, dtype) for shape in part] for part in architecture.parameter_shapes]
    _core.Parameters(architecture, lists)
    other = np.float32 if dtype == np.float64 else np.float64
    for wrong in (
        lists[:2],
        [*lists, *lists[2:]],
        [lists[0], lists[1], lists[2], lists[3][:1]],
        [lists[0], lists[1], lists[2], None],
        [lists[0], lists[1], lists[2], [np.zeros(5, other)] * 2],
        [lists[0], lists[1], lists[2], [np.zeros(6, dtype)] * 2],
        [lists[0], lists[1], lists[2], [np.zeros((5, 1), dtype)] * 2],
        [[a.T for a in lists[0]], *lists[1:]],
    ):
        with pytest.raises(ValueError):
            _core.Parameters(architecture, wrong)
