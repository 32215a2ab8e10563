"""Parameters that are changed while a fit runs: it has read them before it began."""

import threading

import numpy as np
import pytest

from fastmlp import MLPClassifier, TabularClassifier
from fastmlp._core import Dataset
from reference.build import new_network

rng = np.random.RandomState(0)
X = rng.standard_normal((100, 5))
y = (X[:, 0] > 0).astype(int)
CHANGES = [
    {"solver": "adam"},
    {"solver": "lbfgs"},
    {"solver": "sgd"},
    {"hidden_layer_sizes": (3,)},
    {"batch_size": 7, "dtype": "float32"},
    {"average_weights": "ema", "clip_norm": 1.0, "max_norm": 1.0},
    {"n_estimators": 3},
    {"early_stopping": True, "restore_best_weights": True},
    {"loss": "hinge"},
    {"n_threads": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change.items())))
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_by_a_scorer(solver, change):
    def scorer(estimator, X, y):
        estimator.set_params(**change)
        return 0.0

    params = {"hidden_layer_sizes": (8,), "solver": solver, "max_iter": 5, "random_state": 0}
    plain = MLPClassifier(**params, scoring=lambda estimator, X, y: 0.0)
    changed = MLPClassifier(**params, scoring=scorer)
    plain.fit(X, y, X_val=X, y_val=y)
    changed.fit(X, y, X_val=X, y_val=y)
    for one, other in zip(plain.coefs_, changed.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "change", [{"bagging": True}, {"refit": True}, {"n_estimators": 3}, {"max_iter": 1}]
)
def test_by_a_scorer_of_tables(change):
    def scorer(estimator, X, y):
        estimator.set_params(**change)
        return 0.0

    params = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    plain = TabularClassifier(**params, scoring=lambda estimator, X, y: 0.0).fit(X, y)
    changed = TabularClassifier(**params, scoring=scorer).fit(X, y)
    for one, other in zip(plain.coefs_, changed.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_by_another_thread():
    """Whatever is read when: no crash, and a model that predicts."""
    params = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
    model, stop = MLPClassifier(**params), threading.Event()

    def change():
        while not stop.is_set():
            for solver in ("lbfgs", "adam", "sgd"):
                model.set_params(solver=solver)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(60):
            model.fit(X, y)
            assert model.predict(X).shape == (100,)
    finally:
        stop.set()
        thread.join()


def test_no_step_without_an_optimizer():
    network = new_network([5, 4, 1], activations=["tanh"], loss="squared_error")
    dataset = Dataset(X, X[:, :1].copy())
    order = np.arange(100, dtype=np.intp)
    with pytest.raises(ValueError, match="without an optimizer"):
        network.train(dataset, order, 10, alpha=0.0, step={"learning_rate": 0.1})
    gradient, _, weight = network.gradient(dataset, order)
    with pytest.raises(ValueError, match="without an optimizer"):
        network.apply_step(
            gradient, dataset, 100, weight=weight, alpha=0.0, step={"learning_rate": 0.1}
        )
