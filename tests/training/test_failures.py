"""What is left when something breaks in the middle: the old model, or the last whole step."""

import warnings

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp._network import network as network_module
from fastmlp._network.network import Network
from fastmlp._network.threads import _physical_cores, effective_n_threads
from reference.build import new_network
from reference.problems import bits, ours, problem


def weights(model):
    return [a.copy() for a in [*model.coefs_, *model.intercepts_]]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warning_made_an_error_leaves_the_trained_weights(solver, dtype):
    X, y = problem("multiclass", dtype=dtype)
    params = {"solver": solver, "max_iter": 5, "random_state": 0, "hidden_layer_sizes": 7}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = MLPClassifier(**params).fit(X, y)
    broken = MLPClassifier(**params)
    with warnings.catch_warnings(), pytest.raises(UserWarning):
        warnings.simplefilter("error")
        broken.fit(X, y)
    assert bits(broken, X) == bits(expected, X)
    assert (broken.n_iter_, broken.loss_) == (expected.n_iter_, expected.loss_)


def test_an_error_in_the_middle_leaves_the_last_whole_step(monkeypatch, dtype):
    """Weights, optimizer state and count of steps belong together afterwards."""
    X, y = problem("binary", dtype=dtype)
    train, epochs = Network.train, []

    def train_three_times(self, dataset, orders, *args, **params):
        if len(epochs) == 3:
            raise TimeoutError
        outcome = train(self, dataset, orders[:1], *args, **params)
        epochs.extend(outcome.loss_sums)

    model = MLPClassifier(7, random_state=0, shuffle=False)
    with monkeypatch.context() as patch, pytest.raises(TimeoutError):
        patch.setattr(Network, "train", train_three_times)
        model.fit(X, y)
    twin = MLPClassifier(7, random_state=0, shuffle=False, max_iter=3).fit(X, y)
    for _ in range(2):
        assert bits(model, X) == bits(twin, X)
        model.partial_fit(X, y)
        twin.partial_fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_memory_leaves_the_old_model(solver, early_stopping, monkeypatch, dtype):
    X, y = problem("squared", dtype=dtype)
    model = MLPRegressor(hidden_layer_sizes=7, max_iter=3, random_state=0).fit(X, y)
    before, state = weights(model), dict(vars(model))
    model.set_params(solver=solver, early_stopping=early_stopping)

    def no_memory(*args, **params):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(network_module._core, "Engine", no_memory)
        model.fit(X, y)
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert vars(model).keys() == state.keys()


def test_any_number_of_threads_may_be_asked_for():
    X, y = problem("binary")
    params = {"hidden_layer_sizes": 7, "max_iter": 2, "random_state": 0}
    many = MLPClassifier(**params, n_threads=10**10).fit(X, y)
    assert bits(many, X) == bits(MLPClassifier(**params, n_threads=1).fit(X, y), X)
    assert 1 <= effective_n_threads(10**10) <= max(64, 4 * _physical_cores())


@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_an_epsilon_below_the_type_is_no_division_by_zero(kind, dtype):
    X, y = problem(kind, dtype=dtype)
    X = np.hstack([X, np.zeros_like(X)])  # weights whose gradient is zero
    model = ours(kind, max_iter=3, alpha=0, epsilon=1e-320, random_state=0).fit(X, y)
    assert all(np.isfinite(a).all() for a in weights(model))


def test_sparse_features_need_no_workspace(dtype):
    """Nor the chunks, and the second gradient, that a lack of workspace brings."""
    network = new_network(
        [130_000, 10, 1], activations=["relu"], loss="squared_error", dtype=dtype, optimizer="adam"
    )
    assert network._plan(200, sparse=True)[2] >= 200
