"""partial_fit: an epoch over what it is given; the optimizer's state over calls and pickles."""

import pickle

import numpy as np
import pytest

from fastmlp._core import OPTIMIZERS
from reference.problems import CONTAINERS, KINDS, bits, ours, problem


def small(kind, **params):
    params = {"hidden_layer_sizes": (6,), "random_state": 0, "shuffle": False} | params
    if kind.startswith("poisson"):
        params["learning_rate_init"] = 1e-3
    return ours(kind, **params)


def classes(kind):
    found = {"binary": [0, 1], "multiclass": [0, 1, 2], "multilabel": [0, 1, 2]}.get(kind)
    return {} if found is None else {"classes": found}


@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_the_epochs_of_a_fit(kind, solver, dtype):
    """Through a pickle each: nothing of the optimizer's state is lost."""
    X, y = problem(kind, dtype=dtype)
    model = small(kind, solver=solver)
    for _ in range(4):
        model = pickle.loads(pickle.dumps(model.partial_fit(X, y, **classes(kind))))
    whole = small(kind, solver=solver, max_iter=4, tol=0).fit(X, y)
    assert bits(model, X) == bits(whole, X)
    assert (model.n_iter_, model.t_) == (1, whole.t_)
    for name in ("loss", "learning_rate"):
        assert model.history_[name] == whole.history_[name]
    assert model.best_iteration_ == whole.best_iteration_


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", ["binary", "multilabel", "squared"])
def test_early_stopping_is_for_fit(kind, container, dtype):
    """scikit-learn refuses; here all rows are trained on, and the last weights kept."""
    X, y = problem(kind, dtype=dtype)
    X = CONTAINERS[container](X)
    params = {"early_stopping": True, "restore_best_weights": True, "scoring": "loss"}
    model, plain = small(kind, **params), small(kind)
    for rows in (slice(0, 30), slice(30, 61), slice(0, 61)):
        part = X.tocsr()[rows] if container != "dense" else X[rows]
        for m in (model, plain):
            m.partial_fit(part, y[rows], **classes(kind))
        assert bits(model, X) == bits(plain, X)
    assert model.t_ == 122
    assert model.validation_scores_ is None
    assert "validation_loss" not in model.history_


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_a_model_that_was_stopped_early_learns_on(kind, dtype):
    X, y = problem(kind, 200, dtype=dtype)
    model = small(kind, early_stopping=True, max_iter=15, learning_rate_init=0.02).fit(X, y)
    loss, n_scores = model.history_["validation_loss"][-1], model.n_iter_
    t = model._optimizer.t
    for _ in range(30):
        model.partial_fit(X, y)
    assert model._optimizer.t == t + 30
    assert model.loss_ < loss
    assert np.isfinite(model.history_["validation_loss"]).sum() == n_scores
    assert len(model.history_["loss"]) == n_scores + 30


def test_warm_starts_follow_partial_fit(dtype):
    """A fit begins with a new optimizer state and the weights as they are."""
    X, y = problem("multiclass", dtype=dtype)
    for early_stopping in (False, True):
        model = small("multiclass", warm_start=True, max_iter=3, early_stopping=early_stopping)
        model.partial_fit(X, y, classes=[0, 1, 2])
        weights = [w.copy() for w in model.coefs_], [b.copy() for b in model.intercepts_]
        twin = small("multiclass", max_iter=3, early_stopping=early_stopping, init=weights)
        state = np.random.RandomState(5)
        model.set_params(random_state=state).fit(X, y)
        twin.set_params(random_state=np.random.RandomState(5)).fit(X, y)
        assert bits(model, X)[:-2] == bits(twin, X)[:-2]


def test_labels_of_a_multilabel_y_must_be_of_the_first_width():
    X, y = problem("multilabel")
    model = small("multilabel").partial_fit(X, y, classes=[0, 1, 2])
    before = bits(model, X)
    with pytest.raises(ValueError):
        model.partial_fit(X, y[:, :2])
    assert bits(model, X) == before
