"""A fitted model is its arrays: pickled, copied, changed by hand or interrupted."""

import copy
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import clone

from reference.child import output_of
from reference.problems import ACTIVATIONS, KINDS, bits, ours, outputs, problem

SOLVERS = ["adam", "sgd"]
WAYS = [f"pickle {p}" for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
WAYS += ["deepcopy", "joblib", "joblib mmap", "joblib compressed", "cloudpickle"]


def travel(model, way, folder):
    """The model after a round trip."""
    if way.startswith("pickle"):
        return pickle.loads(pickle.dumps(model, protocol=int(way[-1])))
    if way == "cloudpickle":
        return pickle.loads(cloudpickle.dumps(model))
    if way == "deepcopy":
        return copy.deepcopy(model)
    compress = 3 if way == "joblib compressed" else 0
    joblib.dump(model, folder / "model", compress=compress)
    return joblib.load(folder / "model", mmap_mode="r" if way == "joblib mmap" else None)


def fitted(kind, dtype, **params):
    X, y = problem(kind, dtype=dtype)
    if kind.startswith("poisson"):
        params.setdefault("learning_rate_init", 1e-3)
    params = {"hidden_layer_sizes": (7, 4), "random_state": 0, "max_iter": 3} | params
    return ours(kind, **params).fit(X, y), X, y


def train_on(model, X, y):
    for _ in range(3):
        model.partial_fit(X[:40], y[:40])
    return bits(model, X)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_copy_learns_on_exactly_as_the_model_would(solver, way, dtype, tmp_path):
    model, X, y = fitted("multiclass", dtype, solver=solver)
    before = bits(model, X)
    other = travel(model, way, tmp_path)
    assert bits(other, X) == before
    after = train_on(other, X, y)
    assert after != before
    assert bits(model, X) == before  # the copy shares nothing with the model
    assert train_on(model, X, y) == after
    assert other.t_ == model.t_


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_survives_a_pickle(kind, dtype):
    model, X, y = fitted(kind, dtype)
    other = pickle.loads(pickle.dumps(model))
    assert bits(other, X) == bits(model, X)
    assert train_on(other, X, y) == train_on(model, X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_copy_warm_starts_as_the_model_would(solver, early_stopping, dtype):
    params = {"solver": solver, "warm_start": True, "early_stopping": early_stopping}
    model, X, y = fitted("binary", dtype, **params)
    other = pickle.loads(pickle.dumps(model))
    assert bits(other.fit(X, y), X) == bits(model.fit(X, y), X)


def test_training_from_a_pickle_moves_the_predictions(dtype):
    """Peers have trained one array and predicted from another after a load."""
    model, X, y = fitted("squared", dtype, max_iter=1, learning_rate_init=0.01)
    model = pickle.loads(pickle.dumps(model))
    error = np.mean((model.predict(X) - y) ** 2)
    for _ in range(200):
        model.partial_fit(X, y)
    assert np.mean((model.predict(X) - y) ** 2) < error / 4


def test_an_old_model_is_not_changed_by_later_training(dtype):
    """coefs_ handed out before a fit are not the arrays that the fit writes to."""
    model, X, y = fitted("binary", dtype)
    for method in ("partial_fit", "fit"):
        held = model.coefs_, [w.copy() for w in model.coefs_]
        getattr(model, method)(X, y)
        assert model.coefs_ is not held[0]
        for now, then in zip(*held, strict=True):
            np.testing.assert_array_equal(now, then)


def test_clone_of_a_fitted_model_is_unfitted(dtype):
    model, X, y = fitted("binary", dtype)
    assert not hasattr(clone(model), "coefs_")
    assert bits(clone(model).fit(X, y), X) == bits(model, X)


def test_a_pickle_holds_the_weights_and_two_moments(dtype):
    """Not several copies of them, and no workspace."""
    model, _, _ = fitted("squared", dtype, hidden_layer_sizes=(300, 300))
    weights = sum(w.nbytes for w in [*model.coefs_, *model.intercepts_])
    assert len(pickle.dumps(model)) < 3.1 * weights
    model, _, _ = fitted("squared", dtype, hidden_layer_sizes=(300, 300), solver="lbfgs")
    assert len(pickle.dumps(model)) < 1.1 * weights


@pytest.mark.parametrize("container", [list, tuple])
def test_changes_of_the_weights_count_at_once(container, dtype):
    model, X, y = fitted("squared", dtype)
    model.coefs_ = container(w.copy() for w in model.coefs_)
    model.predict(X)
    model.coefs_[-1][...] = 0
    model.intercepts_[-1][...] = 5
    np.testing.assert_array_equal(model.predict(X), np.full(len(X), 5, dtype))
    model.partial_fit(X, y)
    assert abs(model.intercepts_[-1][0] - 5) < 0.1
    model.coefs_[0][0, 0] = 2
    model.set_params(warm_start=True, max_iter=1, learning_rate_init=1e-6).fit(X, y)
    assert abs(model.coefs_[0][0, 0] - 2) < 1e-3


def test_weights_in_any_layout(dtype):
    model, X, y = fitted("squared", dtype)
    expected = bits(model, X)
    model.coefs_ = [np.asfortranarray(w) for w in model.coefs_]
    for w in [*model.coefs_, *model.intercepts_]:
        w.flags.writeable = False
    assert bits(model, X)[-3] == expected[-3]
    model.partial_fit(X, y)
    wide = [np.repeat(b, 2)[::2] for b in model.intercepts_]
    expected = model.predict(X)
    model.intercepts_ = wide
    np.testing.assert_array_equal(model.predict(X), expected)


def swap(arrays, i, new):
    return [*arrays[:i], new, *arrays[i + 1 :]]


# each makes coefs_ and intercepts_ into something they cannot be
BREAKS = {
    "coefs_ None": lambda c, b: (None, b),
    "coefs_ a string": lambda c, b: ("weights", b),
    "coefs_ an array": lambda c, b: (c[0], b),
    "no layer": lambda c, b: ([], []),
    "a layer less": lambda c, b: (c[:-1], b),
    "a layer less in both": lambda c, b: (c[:-1], b[:-1]),
    "a layer more": lambda c, b: ([*c, c[-1]], [*b, b[-1]]),
    "intercepts_ missing": lambda c, b: (c, b[:-1]),
    "wide first layer": lambda c, b: (swap(c, 0, np.vstack([c[0], c[0]])), b),
    "narrow first layer": lambda c, b: (swap(c, 0, c[0][:-1]), b),
    "layers that do not chain": lambda c, b: (swap(c, 1, c[1][:-1]), b),
    "transposed": lambda c, b: (swap(c, 0, c[0].T), b),
    "flat": lambda c, b: (swap(c, 1, c[1].ravel()), b),
    "three dimensions": lambda c, b: (swap(c, 1, c[1][None]), b),
    "scalar": lambda c, b: (swap(c, 1, c[1][0, 0]), b),
    "None": lambda c, b: (swap(c, 1, None), b),
    "complex": lambda c, b: (swap(c, 1, c[1] + 0j), b),
    "strings": lambda c, b: (swap(c, 1, c[1].astype(str)), b),
    "empty": lambda c, b: (swap(c, 1, c[1][:0]), b),
    "short intercept": lambda c, b: (c, swap(b, 0, b[0][:-1])),
    "long intercept": lambda c, b: (c, swap(b, 0, np.append(b[0], b[0]))),
    "intercept a column": lambda c, b: (c, swap(b, 0, b[0][:, None])),
    "intercept None": lambda c, b: (c, swap(b, -1 % len(b), None)),
    "other outputs": lambda c, b: (
        swap(c, 2, np.hstack([c[2], c[2]])),
        swap(b, 2, np.append(b[2], b[2])),
    ),
}

OTHER_OUTPUTS = ("other outputs", "a layer less in both")  # a regressor may have any number


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_broken_weights_are_an_error_never_a_crash(kind, name, dtype):
    model, X, y = fitted(kind, dtype)
    broken = BREAKS[name](model.coefs_, model.intercepts_)
    state = model.__getstate__()
    state["coefs_"], state["intercepts_"] = broken
    loaded = pickle.loads(pickle.dumps(model))
    loaded.__setstate__(state)
    model.coefs_, model.intercepts_ = broken
    for victim in (model, loaded):
        if kind == "multiclass" or name not in OTHER_OUTPUTS:
            with pytest.raises(ValueError):
                outputs(victim, X)
        with pytest.raises(ValueError):
            victim.partial_fit(X, y)
        with pytest.raises(ValueError):
            victim.set_params(warm_start=True).fit(X, y)


ODD_VALUES = [
    *(None, -1, 0, 10**9, 2.5, np.nan, "x", [], {}, np.zeros((2, 2)), np.zeros(0)),
    *(np.full(3, np.nan), [None], object),
]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_state_with_one_odd_value_never_crashes(solver, dtype):
    """Any Python exception will do; the process must live."""
    model, X, y = fitted("multiclass", dtype, solver=solver, warm_start=True)
    state = model.__getstate__()
    tried = 0
    for name in sorted(n for n in state if n.endswith("_") or n.startswith("_")):
        for value in ODD_VALUES:
            for call in ("predict", "partial_fit", "fit"):
                victim = copy.deepcopy(model)
                vars(victim)[name] = value
                more = () if call == "predict" else (y,)
                tried += 1
                try:
                    getattr(victim, call)(X, *more)
                except Exception:
                    continue
    assert tried > 300
    assert bits(model, X) == bits(fitted("multiclass", dtype, solver=solver)[0], X)


@pytest.mark.parametrize("solver", SOLVERS)
def test_optimizer_state_of_other_shapes_begins_anew(solver, dtype):
    """One network's moments under another's weights: weights that were replaced have none."""
    model, X, y = fitted("multiclass", dtype, solver=solver)
    other, _, _ = fitted("multiclass", dtype, solver=solver, hidden_layer_sizes=(9,))
    copy = pickle.loads(pickle.dumps(model))
    model._optimizer, copy._optimizer = other._optimizer, None
    assert bits(model.partial_fit(X, y), X) == bits(copy.partial_fit(X, y), X)


def test_weights_that_are_not_finite(dtype):
    """As in scikit-learn, they predict NaN, and training on from them fails."""
    for activation in ACTIVATIONS:
        model, X, y = fitted("squared", dtype, activation=activation)
        model.coefs_[0][...] = np.nan
        assert np.isnan(model.predict(X)).all()
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            model.partial_fit(X, y)


INTERRUPTED = """
import os, signal, threading, time, warnings
import numpy as np
from reference.problems import bits, ours, problem
def check(dtype, early_stopping):
    X, y = problem("multiclass", 20000, 60, dtype)
    params = dict(solver=SOLVER, tol=0, n_iter_no_change=10**6, max_iter=10**6)
    params |= dict(early_stopping=early_stopping, max_fun=10**8, n_threads=2)
    model = ours("multiclass", hidden_layer_sizes=(150, 100), random_state=0, **params)
    sent = []
    def interrupt():
        time.sleep(0.7)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    delay = time.monotonic() - sent[0]
    assert delay < 10, delay  # of a run without end; a loaded machine takes its time
    assert "Training interrupted by user." in [str(w.message) for w in caught]
    assert all(np.isfinite(w).all() for w in [*model.coefs_, *model.intercepts_])
    assert np.isfinite(model.predict_proba(X[:100])).all()
    if SOLVER != "lbfgs" and not model.early_stopping:
        steps = model.t_
        model.partial_fit(X, y)
        assert model.t_ == steps + len(X)
    small = X[:100], y[:100]
    model.set_params(max_iter=2)
    again = ours("multiclass").set_params(**model.get_params())
    assert bits(model.fit(*small), small[0]) == bits(again.fit(*small), small[0])
    print(dtype, early_stopping, "usable")
for dtype in ("float32", "float64"):
    for early_stopping in (False,) if SOLVER == "lbfgs" else (False, True):
        check(dtype, early_stopping)
"""


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_ctrl_c_warns_and_leaves_a_usable_model(solver):
    """In both types, and with early stopping, which L-BFGS does not have."""
    lines = output_of(f"SOLVER = {solver!r}\n{INTERRUPTED}").splitlines()
    assert len(lines) == (2 if solver == "lbfgs" else 4)
    assert all(line.endswith("usable") for line in lines)
