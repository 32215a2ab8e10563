"""Training follows scikit-learn's, from the same random_state, step by step."""

import itertools
import warnings

import numpy as np
import pytest

from reference.problems import CONTAINERS, KINDS, ours, outputs, problem, theirs
from reference.trajectories import SOLVERS, TOLERANCE, cell, differences

CELLS = list(itertools.product(SOLVERS, KINDS))


def assert_same_run(a, b, X):
    """Every fitted number of `a` is within TOLERANCE of scikit-learn's `b`."""
    off = {k: v for k, v in differences(a, b, X).items() if not v <= TOLERANCE}
    assert not off


def both(kind, **params):
    return ours(kind, **params), theirs(kind, **params)


@pytest.mark.parametrize("solver, kind", CELLS, ids=[f"{s}-{k}" for s, k in CELLS])
def test_float64_runs_follow_sklearn(solver, kind):
    off = {}
    for label, found in cell(solver, kind).items():
        worst = {k: v for k, v in found.items() if not v <= TOLERANCE}
        if worst:
            off[label] = worst
    assert not off


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_long_runs_stop_in_the_same_epoch(solver, kind):
    """The stopping rules and the adaptive schedule run to their end."""
    X, y = problem(kind)
    params = SOLVERS[solver] | {"max_iter": 150, "tol": 2e-3, "n_iter_no_change": 3}
    if solver == "lbfgs":
        params |= {"tol": 0.05}  # L-BFGS' tol bounds the gradient: stop early
    if kind.startswith("poisson"):
        params["learning_rate_init"] = params.get("learning_rate_init", 0.01) / 40
    a, b = both(kind, hidden_layer_sizes=(6,), random_state=3, **params)
    a.fit(X, y), b.fit(X, y)
    assert_same_run(a, b, X)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_stopping_rule_is_reached(early_stopping):
    X, y = problem("multiclass")
    params = {"early_stopping": early_stopping, "tol": 0.01, "random_state": 0}
    a, b = both("multiclass", max_iter=300, learning_rate_init=0.02, **params)
    a.fit(X, y), b.fit(X, y)
    assert b.n_iter_ < 300
    assert_same_run(a, b, X)


def test_adaptive_rate_falls_until_training_stops():
    X, y = problem("squared")
    params = {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1}
    params |= {"learning_rate_init": 0.1, "tol": 0.02, "max_iter": 300}
    a, b = both("squared", hidden_layer_sizes=(5,), random_state=0, **params)
    a.fit(X, y), b.fit(X, y)
    assert 20 < b.n_iter_ < 300
    assert_same_run(a, b, X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "sgd adaptive nesterov"])
def test_warm_start(solver, kind):
    """Two fits in a row, with another max_iter and other rows in the second."""
    X, y = problem(kind)
    params = SOLVERS[solver] | {"max_iter": 4, "random_state": 5, "warm_start": True}
    if kind.startswith("poisson"):
        params["learning_rate_init"] = 1e-3
    a, b = both(kind, hidden_layer_sizes=(6, 4), **params)
    for rows, max_iter in ((slice(None), 4), (slice(40), 3), (slice(None), 2)):
        for model in (a, b):
            model.set_params(max_iter=max_iter).fit(X[rows], y[rows])
        assert_same_run(a, b, X)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "lbfgs"])
def test_partial_fit_sequence(solver, kind, container):
    """Chunks of different sizes, weighted and not; optimizer state goes on."""
    X, y = problem(kind)
    params = SOLVERS[solver] | {"batch_size": 8, "random_state": 2}
    if kind.startswith("poisson"):
        params["learning_rate_init"] /= 40
    a, b = both(kind, hidden_layer_sizes=(6,), **params)
    first = {"classes": np.arange(3 if y.ndim == 1 else y.shape[1])}
    if kind == "binary":
        first = {"classes": [0, 1]}
    first = first if hasattr(a, "predict_proba") else {}
    X = CONTAINERS[container](X)
    for i, rows in enumerate((slice(0, 20), slice(20, 61), slice(0, 61), slice(5, 14))):
        weights = np.linspace(0.2, 2, len(y[rows])) if i % 2 else None
        chunk = np.arange(61)[rows]
        for model in (a, b):
            model.partial_fit(X[chunk], y[chunk], sample_weight=weights, **first)
        first = {}
        assert_same_run(a, b, X)


def test_partial_fit_after_fit_goes_on_from_its_optimizer_state():
    X, y = problem("multiclass")
    a, b = both("multiclass", hidden_layer_sizes=(6,), random_state=2, max_iter=3)
    for model in (a, b):
        model.fit(X, y)
        for _ in range(3):
            model.partial_fit(X[:30], y[:30])
    assert_same_run(a, b, X)


def test_refit_starts_afresh():
    X, y = problem("binary")
    a, b = both("binary", hidden_layer_sizes=(6,), random_state=2, max_iter=3)
    for model in (a, b):
        model.fit(X, 1 - y)
        model.fit(X, y)
    assert_same_run(a, b, X)


@pytest.mark.parametrize("solver", ["adam", "sgd constant nesterov", "lbfgs"])
def test_random_state_instance_is_drawn_from_alike(solver):
    """A RandomState goes on between fits; both end at the same place in it."""
    X, y = problem("multiclass")
    states = np.random.RandomState(7), np.random.RandomState(7)
    params = SOLVERS[solver] | {"max_iter": 3, "hidden_layer_sizes": (5,)}
    a, b = both("multiclass", **params)
    for model, state in zip((a, b), states, strict=True):
        model.set_params(random_state=state)
        model.fit(X, y).fit(X, y)
    assert_same_run(a, b, X)
    assert states[0].randint(2**31) == states[1].randint(2**31)


@pytest.mark.parametrize("kind", ["binary", "squared", "squared x3"])
def test_validation_scores_use_the_weights(kind):
    X, y = problem(kind)
    weights = np.linspace(0.1, 5, len(y))
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 8}
    a, b = both(kind, random_state=0, hidden_layer_sizes=(6,), **params)
    unweighted = ours(kind, random_state=0, hidden_layer_sizes=(6,), **params)
    for model in (a, b):
        model.fit(X, y, sample_weight=weights)
    assert_same_run(a, b, X)
    assert a.validation_scores_ != unweighted.fit(X, y).validation_scores_


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_near_float64(kind, solver):
    """The same run in the other type: equal to a float32's digits."""
    X, y = problem(kind, dtype=np.float32)
    params = SOLVERS[solver] | {"max_iter": 3, "random_state": 1}
    if kind.startswith("poisson"):
        params["learning_rate_init"] = params.get("learning_rate_init", 0.01) / 40
    wide = ours(kind, hidden_layer_sizes=(7,), dtype="float64", **params).fit(X, y)
    for model in (
        ours(kind, hidden_layer_sizes=(7,), **params).fit(X, y),
        ours(kind, hidden_layer_sizes=(7,), dtype="float32", **params).fit(X.astype(np.float64), y),
    ):
        assert model.coefs_[0].dtype == np.float32
        assert model.n_iter_ == wide.n_iter_
        np.testing.assert_allclose(model.loss_, wide.loss_, rtol=2e-4)
        # L-BFGS and Adam (at its first steps: a sign) amplify rounding
        np.testing.assert_allclose(outputs(model, X), outputs(wide, X), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("solver", ["adam", "sgd constant nesterov"])
def test_verbose_prints_sklearns_lines(solver, capsys):
    X, y = problem("binary")
    lines = []
    for early_stopping in (False, True):
        params = {"early_stopping": early_stopping, "max_iter": 60, "tol": 0.02}
        for model in both("binary", random_state=0, verbose=True, **params):
            model.set_params(**SOLVERS[solver]).fit(X, y)
            lines.append(capsys.readouterr().out)
    assert "Iteration 1, loss = " in lines[0] and "Validation score: " in lines[2]
    assert "Stopping." in lines[0]
    assert lines[0] == lines[1]
    assert lines[2] == lines[3]


def test_verbose_prints_the_falling_rate(capsys):
    X, y = problem("squared")
    params = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05}
    params |= {"max_iter": 200, "n_iter_no_change": 2, "random_state": 0}
    lines = []
    for model in both("squared", verbose=True, **params):
        model.fit(X, y)
        lines.append(capsys.readouterr().out)
    assert "Setting learning rate to" in lines[0]
    assert "Learning rate too small." in lines[0]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "sgd constant plain"])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_convergence_warnings_are_sklearns(kind, solver):
    X, y = problem(kind)
    texts = []
    for model in both(kind, random_state=0, hidden_layer_sizes=(4,)):
        model.set_params(**SOLVERS[solver]).set_params(max_iter=3)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        texts.append([(w.category, str(w.message)) for w in caught])
    assert len(texts[0]) == 1
    assert texts[0] == texts[1]


def test_max_fun_bounds_the_calls_of_lbfgs():
    X, y = problem("squared")
    params = {"solver": "lbfgs", "max_fun": 6, "random_state": 0, "tol": 1e-9}
    a, b = both("squared", hidden_layer_sizes=(5,), **params)
    a.fit(X, y), b.fit(X, y)
    assert b.n_iter_ < 7
    assert_same_run(a, b, X)
