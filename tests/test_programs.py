"""Programs as people write them around scikit-learn's MLP: run with both packages, they end alike.

More of them: rounds of warm starts in training/test_rounds.py, federated averaging in
estimators/test_arrays.py, converters in test_converters.py.
"""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import log_loss

import fastmlp
from reference.problems import problem

BOTH = (sklearn.neural_network, fastmlp)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def same(program, atol=1e-9):
    """The results of the program with fastmlp, which are those with scikit-learn."""
    theirs, ours = (program(module) for module in BOTH)
    np.testing.assert_allclose(ours, theirs, atol=atol)
    return ours


class IterativeFit(BaseEstimator, ClassifierMixin):
    """As in AutoML systems: more epochs in each call, until patience or the budget has run out."""

    def __init__(self, module, budget=64):
        self.module, self.budget = module, budget

    def fit(self, X, y):
        module = sys.modules[self.module]
        self.estimator = module.MLPClassifier(
            (8,), max_iter=2, warm_start=True, n_iter_no_change=8, random_state=0, tol=1e-3
        )
        self.classes_, used = np.unique(y), 0
        while used < self.budget:
            self.estimator.fit(X, y)
            used += self.estimator.n_iter_
            if self.estimator._no_improvement_count > self.estimator.n_iter_no_change:
                break
            self.estimator.max_iter = min(2 * self.estimator.max_iter, self.budget - used or 1)
        self.used_ = used
        return self

    def predict_proba(self, X):
        return self.estimator.predict_proba(X)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_automl_in_rounds(kind):
    X, y = problem(kind, 150)

    def program(module):
        model = clone(IterativeFit(module.__name__)).fit(X, y)
        return np.append(model.predict_proba(X).ravel(), model.used_)

    same(program)


def test_early_stopping_by_hand():
    """A loop of partial_fit that keeps a copy of the best estimator."""
    X, y = problem("multiclass", 150)

    def program(module):
        model, best, lowest = module.MLPClassifier((8,), random_state=0), None, np.inf
        for _ in range(30):
            model.partial_fit(X[:100], y[:100], classes=[0, 1, 2])
            loss = log_loss(y[100:], model.predict_proba(X[100:]))
            if loss < lowest:
                lowest, best = loss, copy.deepcopy(model)
        return np.append(best.predict_proba(X).ravel(), lowest)

    same(program)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_a_learning_rate_that_is_changed_by_hand(learning_rate, solver):
    """In the optimizer, where scikit-learn reads it: Adam one name, SGD another."""
    X, y = problem("squared", 120)

    def program(module):
        model = module.MLPRegressor(hidden_layer_sizes=(8,), random_state=0, solver=solver)
        model.set_params(learning_rate_init=0.01, learning_rate=learning_rate)
        losses = []
        for epoch in range(20):
            losses.append(model.partial_fit(X, y).loss_)
            model._optimizer.learning_rate_init = 0.01 * 0.9**epoch
            if epoch % 3 == 0:
                model._optimizer.learning_rate = 0.02 * 0.9**epoch
        return losses

    same(program)


def test_a_learning_rate_that_is_changed_by_the_parameter():
    """Which scikit-learn does not read again."""
    X, y = problem("squared", 120)

    def program(module):
        model = module.MLPRegressor(hidden_layer_sizes=(8,), random_state=0)
        losses = []
        for epoch in range(20):
            model.learning_rate_init = 0.01 * 0.9**epoch
            if module is not fastmlp and epoch:
                model._optimizer.learning_rate_init = 0.01 * 0.9**epoch
            losses.append(model.partial_fit(X, y).loss_)
        return losses

    same(program)


@pytest.mark.parametrize("form", ["json", "npz"])
def test_weights_from_a_file(form, tmp_path):
    """Trained by one program, saved as plain arrays, used by another."""
    X, y = problem("multiclass", 100)
    trained = sklearn.neural_network.MLPClassifier((8, 4), max_iter=20, random_state=0).fit(X, y)
    path = tmp_path / f"weights.{form}"
    if form == "json":
        arrays = [[a.tolist() for a in trained.coefs_], [a.tolist() for a in trained.intercepts_]]
        path.write_text(json.dumps(arrays))
        coefs, intercepts = json.loads(path.read_text())
    else:
        np.savez(path, *trained.coefs_, *trained.intercepts_)
        with np.load(path) as file:
            arrays = list(file.values())
        coefs, intercepts = arrays[:3], arrays[3:]
    model = fastmlp.MLPClassifier()
    model.coefs_, model.intercepts_, model.classes_ = coefs, intercepts, trained.classes_
    np.testing.assert_allclose(model.predict_proba(X), trained.predict_proba(X), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), trained.predict(X))
    assert model.score(X, y) == trained.score(X, y)


def test_an_evolution_strategy():
    """Weights that are drawn, scored and averaged; the estimator only predicts."""
    X, y = problem("squared", 80)

    def program(module):
        rng = np.random.RandomState(0)
        model = module.MLPRegressor(hidden_layer_sizes=(6,), max_iter=1, random_state=0).fit(X, y)
        mean = np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)])
        shapes = [a.shape for a in (*model.coefs_, *model.intercepts_)]
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        for _ in range(20):
            drawn = mean + 0.1 * rng.standard_normal((16, mean.size))
            scores = []
            for vector in drawn:
                parts = np.split(vector, ends)
                arrays = [a.reshape(shape) for a, shape in zip(parts, shapes, strict=True)]
                model.coefs_, model.intercepts_ = arrays[:2], arrays[2:]
                scores.append(model.score(X, y))
            mean = drawn[np.argsort(scores)[-4:]].mean(axis=0)
        return [max(scores)]

    assert same(program)[0] > 0


def test_small_weights_set_to_zero():
    X, y = problem("binary", 100)

    def program(module):
        model = module.MLPClassifier((16,), max_iter=50, random_state=0).fit(X, y)
        for coef in model.coefs_:
            coef[np.abs(coef) < 0.2] = 0
        return np.append(model.predict_proba(X)[:, 1], model.score(X, y))

    same(program)


def test_a_subclass_with_a_method_of_its_own():
    X, y = problem("squared", 100)

    def program(module):
        class Clipped(module.MLPRegressor):
            def predict(self, X):
                return np.clip(super().predict(X), -0.5, 0.5)

            def fit(self, X, y):
                return super().fit(X, np.asarray(y) / 2)

        model = Clipped(hidden_layer_sizes=(6,), max_iter=20, random_state=0).fit(X, y)
        return clone(model).fit(X, y).predict(X)

    same(program)


def test_a_virtual_subclass():
    """README's line, in a process of its own because it changes scikit-learn's class."""
    program = """
import fastmlp, sklearn.neural_network as theirs
model = fastmlp.MLPClassifier()
print(isinstance(model, theirs.MLPClassifier))
theirs.MLPClassifier.register(fastmlp.MLPClassifier)
print(isinstance(model, theirs.MLPClassifier), isinstance(model, theirs.MLPRegressor))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"]


def test_mlflow_metrics_from_the_history():
    """README's line: a dict of floats for each epoch."""
    X, y = problem("multiclass", 60)
    model = fastmlp.MLPClassifier((5,), max_iter=3, early_stopping=True, random_state=0).fit(X, y)
    for epoch in range(model.n_iter_):
        metrics = {name: values[epoch] for name, values in model.history_.items()}
        assert metrics["loss"] == model.loss_curve_[epoch]
        assert all(isinstance(value, float) for value in metrics.values())
