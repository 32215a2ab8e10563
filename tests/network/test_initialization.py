"""The first weights: drawn, given, or taken from another network."""

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp._core import N_LISTS, N_TRAINED
from fastmlp._network.architecture import PARAMETERS, Architecture
from fastmlp._network.columns import Column, embedding_shapes
from fastmlp._network.initialization import (
    INITIALIZATIONS,
    initial_embeddings,
    initial_parameters,
)
from reference.problems import NORMALIZED, bits, ours, problem

# fan_in, fan_out -> variance
VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
UNITS = [300, 200, 400]
RARE = 1e-9  # rate at which the learnt weights below differ from the first


def drawn(init, scale=0.05, units=UNITS, dtype="f8", activations=("relu", "relu")):
    *hidden, last = activations
    architecture = Architecture(units, hidden, "identity", dtype=dtype)
    state = np.random.RandomState(0)
    return initial_parameters(architecture, state, init, scale, last_activation=last)


def start(init, kind="multiclass", **params):
    """The first weights of a fit, but for a step that is too small to be seen."""
    X, y = problem(kind, dtype=params.pop("dtype", np.float64))
    params = {"solver": "sgd", "learning_rate_init": RARE, "max_iter": 1} | params
    model = ours(kind, init=init, random_state=0, **params).fit(X, y)
    return model.coefs_, model.intercepts_


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_distribution_of_each_strategy(name, dtype):
    family, _, kind = name.rpartition("_")
    coefs, intercepts = drawn(name, scale=0.3, dtype=dtype)
    assert not any(b.any() for b in intercepts)
    for w, shape in zip(coefs, [(300, 200), (200, 400)], strict=True):
        assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
        assert abs(w.mean()) < 0.01
        if name == "orthogonal":
            short = w if shape[0] >= shape[1] else w.T
            np.testing.assert_allclose(short.T @ short, np.eye(200), atol=10 * np.finfo(dtype).eps)
            continue
        variance = VARIANCES[family](*shape) if family else 0.3**2 / (3 if kind == "uniform" else 1)
        np.testing.assert_allclose(w.var(), variance, rtol=0.03)
        widest = np.abs(w).max() / np.sqrt(variance)
        assert widest <= np.sqrt(3) * (1 + 1e-6) if kind == "uniform" else widest > 3


def test_orthogonal_matrices_have_no_preferred_sign():
    """QR alone makes the diagonal of R negative, in LAPACK's way."""
    square = Architecture([6, 6], [], "identity")
    firsts = [
        initial_parameters(square, np.random.RandomState(seed), "orthogonal")[0][0][0, 0]
        for seed in range(60)
    ]
    assert 15 < np.sum(np.array(firsts) > 0) < 45


@pytest.mark.parametrize("activation", ["relu", "logistic", "tanh"])
def test_auto_is_sklearns(activation, dtype):
    units = [9, 7, 4, 3]
    found = drawn("auto", units=units, dtype=dtype, activations=[activation] * 3)
    state = np.random.RandomState(0)
    for w, b in zip(*found, strict=True):
        bound = np.sqrt((2 if activation == "logistic" else 6) / sum(w.shape))
        assert w.tobytes() == state.uniform(-bound, bound, w.shape).astype(dtype).tobytes()
        assert b.tobytes() == state.uniform(-bound, bound, b.shape).astype(dtype).tobytes()


def test_auto_goes_by_the_activation_of_each_layer():
    coefs, _ = start("auto", activation=["logistic", "tanh"], hidden_layer_sizes=(50, 40))
    for w, factor in zip(coefs, (2, 6, 6), strict=True):
        assert 0.9 < np.abs(w).max() / np.sqrt(factor / sum(w.shape)) <= 1


@pytest.mark.parametrize("init", INITIALIZATIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_every_strategy_learns(init, solver, dtype):
    X, y = problem("multiclass", dtype=dtype)
    params = {"learning_rate_init": 0.02, "init_scale": 0.3, "max_iter": 60, "random_state": 0}
    model = ours("multiclass", init=init, solver=solver, **params).fit(X, y)
    assert model.score(X, y) > 0.9
    again = ours("multiclass", init=init, solver=solver, **params).fit(X, y)
    assert bits(again, X) == bits(model, X)


def test_a_callable(dtype):
    calls, kept = [], np.full((9, 4), 0.25)

    def init(fan_in, fan_out, random_state):
        calls.append((fan_in, fan_out, type(random_state).__name__))
        return kept if fan_in == 9 else np.full((fan_in, fan_out), 1.0 / fan_in).tolist()

    coefs, intercepts = start(init, hidden_layer_sizes=(4,), dtype=dtype)
    assert calls == [(9, 4, "RandomState"), (4, 3, "RandomState")]
    for w, value in zip(coefs, (0.25, 0.25), strict=True):
        assert w.dtype == dtype
        np.testing.assert_allclose(w, value, atol=1e-6)
    for b in intercepts:
        np.testing.assert_allclose(b, 0, atol=1e-6)
    assert (kept == 0.25).all()


@pytest.mark.parametrize("pair", [tuple, list])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(order, pair, dtype):
    rng = np.random.RandomState(1)
    given = (
        [rng.standard_normal(shape).astype(order=order, dtype="f8") for shape in ((9, 4), (4, 3))],
        [rng.standard_normal(4), rng.standard_normal(3)],
    )
    before = [a.copy() for part in given for a in part]
    coefs, intercepts = start(pair(given), hidden_layer_sizes=(4,), dtype=dtype)
    for found, expected in zip([*coefs, *intercepts], before, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for a, b in zip([a for part in given for a in part], before, strict=True):
        np.testing.assert_array_equal(a, b)  # training wrote to copies
        assert not any(np.shares_memory(a, w) for w in [*coefs, *intercepts])


@pytest.mark.parametrize("source", [MLPRegressor, sklearn.neural_network.MLPRegressor])
def test_layers_of_a_fitted_network(source, dtype):
    X, y = problem("squared", dtype=dtype)
    fitted = source(hidden_layer_sizes=(7, 5), max_iter=3, random_state=1).fit(X, y)
    coefs, intercepts = start(fitted, hidden_layer_sizes=(7, 5), dtype=dtype)
    auto = start("auto", hidden_layer_sizes=(7, 5), dtype=dtype)
    for i in range(2):
        np.testing.assert_allclose(coefs[i], fitted.coefs_[i], atol=1e-6)
        np.testing.assert_allclose(intercepts[i], fitted.intercepts_[i], atol=1e-6)
    np.testing.assert_allclose(coefs[2], auto[0][2], atol=1e-6)  # of three outputs, not one
    np.testing.assert_allclose(intercepts[2], auto[1][2], atol=1e-6)


def test_layers_of_other_shapes_are_drawn():
    X, y = problem("squared")
    fitted = MLPRegressor(hidden_layer_sizes=(7, 6, 4), max_iter=3, random_state=1).fit(X, y)
    coefs, _ = start(fitted, kind="squared", hidden_layer_sizes=(7, 5))
    auto, _ = start("auto", kind="squared", hidden_layer_sizes=(7, 5))
    np.testing.assert_allclose(coefs[0], fitted.coefs_[0], atol=1e-6)
    for i in (1, 2):
        np.testing.assert_allclose(coefs[i], auto[i], atol=1e-6)


def test_a_network_of_which_nothing_can_be_copied():
    X, y = problem("squared")
    fitted = MLPRegressor(hidden_layer_sizes=(7,), max_iter=3, random_state=1).fit(X, y)
    params = {"max_iter": 2, "random_state": 0}
    with pytest.warns(UserWarning, match="No layer of init has the shape"):
        model = MLPRegressor(hidden_layer_sizes=(6,), init=fitted, **params).fit(X, y)
    auto = MLPRegressor(hidden_layer_sizes=(6,), **params).fit(X, y)
    assert bits(model, X) == bits(auto, X)


def test_the_output_layer_is_that_of_its_classes():
    X, y = problem("multiclass")
    params = {"hidden_layer_sizes": (7,), "max_iter": 3, "learning_rate_init": 1e-300}
    fitted = MLPClassifier((7,), max_iter=3, random_state=1).fit(X, y)
    same = MLPClassifier(init=fitted, random_state=0, **params).fit(X, y)
    other = MLPClassifier(init=fitted, random_state=0, **params).fit(X, y + 1)
    auto = MLPClassifier(random_state=0, **params).fit(X, y)
    for model, source in ((same, fitted), (other, auto)):
        np.testing.assert_array_equal(model.coefs_[0], fitted.coefs_[0])
        np.testing.assert_array_equal(model.coefs_[1], source.coefs_[1])


@pytest.mark.parametrize("normalization", NORMALIZED)
def test_normalization_is_transferred(normalization, dtype):
    X, y = problem("multiclass", dtype=dtype)
    params = {"hidden_layer_sizes": (7, 5), "normalization": normalization, "random_state": 0}
    source = MLPClassifier(max_iter=20, learning_rate_init=0.02, **params).fit(X, y)
    model = MLPRegressor(init=source, solver="sgd", learning_rate_init=RARE, max_iter=1, **params)
    model.fit(X[:40], y[:40])
    for name in PARAMETERS[2 : N_TRAINED[normalization]]:
        for a, b in zip(getattr(model, name), getattr(source, name), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    if N_LISTS[normalization] == N_TRAINED[normalization]:  # no running statistics
        a, b = model.hidden_layer(X), source.hidden_layer(X)
        np.testing.assert_allclose(a, b, atol=1e-4)
    plain = MLPRegressor(init=source, **params | {"normalization": None}).fit(X, y)
    assert not hasattr(plain, "norm_scales_")


def test_ensembles_need_different_starts():
    X, y = problem("multiclass")
    ensemble = MLPClassifier((4,), n_estimators=3, max_iter=2).fit(X, y)
    assert ensemble.coefs_[0].shape == (3, 9, 4)
    with pytest.raises(ValueError, match="all networks the same weights"):
        MLPClassifier((4,), n_estimators=3, init=arrays()).fit(X, y)
    with pytest.raises(ValueError, match="a single fitted network"):
        MLPClassifier((4,), init=ensemble).fit(X, y)
    for init in ("he_normal", MLPClassifier((4,), max_iter=2).fit(X, y)):
        model = MLPClassifier((4, 5), n_estimators=2, init=init, max_iter=2).fit(X, y)
        assert model.coefs_[1][0].tobytes() != model.coefs_[1][1].tobytes()


def test_a_source_that_is_cloned_must_be_frozen():
    X, y = problem("multiclass")
    source = MLPClassifier((7,), max_iter=200, learning_rate_init=0.02, random_state=0).fit(X, y)
    params = {"solver": "sgd", "learning_rate_init": RARE, "max_iter": 1}
    model = MLPClassifier((7,), init=FrozenEstimator(source), **params)
    assert np.mean(cross_val_score(model, X, y, cv=3)) > 0.85
    with pytest.raises(ValueError, match="in a FrozenEstimator"):
        clone(MLPClassifier((7,), init=source)).fit(X, y)


def test_a_transferred_start_does_not_change_its_source():
    X, y = problem("multiclass")
    source = MLPClassifier((7,), max_iter=3, random_state=0).fit(X, y)
    before = bits(source, X)
    MLPClassifier((7,), init=source, max_iter=5).fit(X, y)
    assert bits(source, X) == before


def test_warm_starts_and_partial_fit_go_on_from_their_weights():
    X, y = problem("multiclass")
    for method in ("fit", "partial_fit"):
        model = ours("multiclass", max_iter=2, warm_start=True, random_state=0).fit(X, y)
        twin = ours("multiclass", max_iter=2, warm_start=True, random_state=0).fit(X, y)
        getattr(model.set_params(init="orthogonal"), method)(X, y)
        assert bits(getattr(twin, method)(X, y), X) == bits(model, X)


def arrays(coefs=((9, 4), (4, 3)), intercepts=(4, 3)):
    return [np.zeros(shape) for shape in coefs], [np.zeros(shape) for shape in intercepts]


REFUSED = {
    "unknown name": ("xavier", "'init' parameter of MLPClassifier must be"),
    "a number": (1, "'init' parameter of MLPClassifier must be"),
    "a list": ([1, 2], "must be a pair of lists"),
    "not fitted": (MLPClassifier(), "init must be a single fitted network"),
    "another estimator": (sklearn.linear_model.Ridge(), "init must be a single fitted network"),
    "a class": (MLPClassifier, "init must be a single fitted network"),
    "one list": (arrays()[:1], "must be a pair of lists"),
    "no lists": ((np.zeros((9, 4)), np.zeros(4)), "must be a pair of lists"),
    "a layer less": (arrays(coefs=((9, 4),)), "1 arrays of coefs, but the network has 2 layers"),
    "a layer more": (arrays(intercepts=(4, 3, 3)), "3 arrays of intercepts, but"),
    "wrong shape": (arrays(coefs=((4, 9), (4, 3))), r"coefs\[0\] must have shape \(9, 4\)"),
    "wrong width": (arrays(intercepts=(4, 4)), r"intercepts\[1\] must have shape \(3,\)"),
    "strings": (([["a"], ["b"]], arrays()[1]), r"coefs\[0\] must be an array of numbers"),
    "not finite": (([np.full((9, 4), np.nan), np.zeros((4, 3))], arrays()[1]), "must be finite"),
    "callable of another shape": (lambda *_: np.zeros(3), r"for layer 0 must have shape \(9, 4\)"),
    "callable of infinity": (lambda i, o, _: np.full((i, o), np.inf), "must be finite"),
    "callable of nothing": (lambda *_: None, "must have shape|must be an array of numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_starts_that_are_refused(name):
    X, y = problem("multiclass")
    model = MLPClassifier((4,), max_iter=2).fit(X, y)
    before = bits(model, X)
    init, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        model.set_params(init=init).fit(X, y)
    assert bits(model, X) == before


def test_embeddings(dtype):
    columns = (
        *(Column("pbld", i, 4, 200) for i in range(3)),
        Column("plr", 0, 8, 200),
        Column("category", 0, 8, n_levels=300),
        Column("number", 4),
    )
    drawn = initial_embeddings(columns, np.random.RandomState(0), dtype, deviation=0.1)
    assert [a.shape for a in drawn] == list(embedding_shapes(columns))
    assert {a.dtype for a in drawn} == {dtype}
    scales, frequencies, phases, weights, biases = drawn[:5]
    assert (scales == 1).all()
    assert frequencies.std() == pytest.approx(0.1, rel=0.2)
    assert -np.pi < phases.min() < -3 < 3 < phases.max() < np.pi
    assert max(np.abs(weights).max(), np.abs(biases).max()) <= 200**-0.5
    plr = drawn[13:16]
    assert 0.9 < np.abs(plr[1]).max() * 400**0.5 <= 1  # of cosines and sines
    assert drawn[16].std() == pytest.approx(1, rel=0.05)
