"""trace_step: one step of training, against NumPy, finite differences and partial_fit."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from fastmlp import MLPClassifier, MLPRegressor, _core
from fastmlp._estimators.losses import CLASSIFIER_LOSSES, REGRESSOR_LOSSES
from fastmlp.inspection import trace_step
from reference.naive import SLOPE, NaiveDataset, NaiveNetwork
from reference.problems import (
    ACTIVATIONS,
    CONTAINERS,
    KINDS,
    NORMALIZED,
    intercepts_of,
    ours,
    problem,
    sample_weights,
)
from reference.trajectories import relative_difference

HIDDEN = (7, 4)
SETTINGS = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    "adam": {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
}


def new(kind, solver="sgd", **params):
    return ours(
        kind,
        hidden_layer_sizes=HIDDEN,
        solver=solver,
        learning_rate_init=0.01,
        random_state=0,
        **params,
    )


def first_weights(estimator, X, y):
    """What training begins with: the weights of a fit that does not move them."""
    still = clone(estimator).set_params(max_iter=1, learning_rate_init=1e-300, alpha=0).fit(X, y)
    return still.coefs_, intercepts_of(still)


def close(found, expected, dtype):
    assert found.shape == expected.shape and found.dtype == dtype
    assert relative_difference(found, expected) < (1e-12 if dtype == np.float64 else 1e-4)


def encoded(kind, y):
    """y as the naive network takes it."""
    return y if kind == "multiclass" else y.reshape(len(y), -1)


@pytest.mark.parametrize(
    "container, weighted, solver",
    [("dense", False, "sgd"), ("dense", True, "adam"), ("csr", True, "sgd")],
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_what_numpy_computes(kind, activation, container, weighted, solver, dtype):
    X, y = problem(kind, n_samples=29, dtype=dtype)
    estimator = new(kind, solver, activation=activation, alpha=0.3)
    weights = sample_weights(len(y)) if weighted else None
    coefs, intercepts = first_weights(estimator, X, y)
    step = trace_step(estimator, CONTAINERS[container](X), y, weights)

    units = [X.shape[1], *(b.size for b in intercepts)]
    estimator.fit(X, y)
    naive = NaiveNetwork(
        units,
        activations=[activation] * len(HIDDEN),
        loss=estimator._training_loss,
        dtype=dtype,
        optimizer=solver,
    )
    naive.set_parameters(coefs, intercepts)
    dataset = NaiveDataset(X, encoded(kind, y), weights)
    gradients = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
    loss = naive.loss_and_gradient(dataset, 0.3, gradients)
    np.testing.assert_allclose(step.loss, loss, rtol=1e-12 if dtype == np.float64 else 1e-4)
    X, y, weights = dataset.rows(slice(None), dtype, units[-1])
    layers, zs = naive._forward(X)
    delta = (layers[-1] - y) * (1 if weights is None else weights[:, None])
    for i in reversed(range(len(coefs))):
        found = step.layers[i]
        close(found.z, layers[i] @ coefs[i] + intercepts[i], dtype)
        close(found.a, layers[i + 1], dtype)
        close(found.delta, delta, dtype)
        close(found.coef_gradient, gradients[0][i], dtype)
        close(found.intercept_gradient, gradients[1][i], dtype)
        delta = delta @ coefs[i].T
        if i:
            delta *= SLOPE[activation](zs[i - 1])
    naive.train(dataset, np.arange(len(y)), len(y), alpha=0.3, step=SETTINGS[solver])
    tolerance = 1e-12 if dtype == np.float64 else 1e-4  # of steps of about 0.01
    for i, layer in enumerate(step.layers):
        for found, now, then in (
            (layer.coef_update, naive.coefs[i], coefs[i]),
            (layer.intercept_update, naive.intercepts[i], intercepts[i]),
        ):
            np.testing.assert_allclose(found, now - then, rtol=0, atol=tolerance)


SLOPES = [
    *((kind, {"activation": "tanh"}) for kind in KINDS),
    *(("multiclass", {"activation": name}) for name in _core.ACTIVATIONS),
    *(
        (kind, {"loss": loss})
        for kind in ("binary", "multiclass")
        for loss in CLASSIFIER_LOSSES
        if loss != "log_loss"
    ),
    *(("squared", {"loss": loss}) for loss in REGRESSOR_LOSSES),
    ("squared x3", {"out_activation": "logistic"}),
    ("squared", {"loss": "quantile", "loss_params": {"quantile": [0.1, 0.5, 0.9]}}),
    ("squared", {"loss": "gamma", "out_activation": "softplus"}),
]


@pytest.mark.parametrize("kind, params", SLOPES, ids=str)
def test_delta_is_the_slope_of_a_samples_loss(kind, params):
    """In a batch of one row, an intercept moves the loss as that unit's z does."""
    X, y = problem(kind, n_samples=40)
    if kind == "squared" and params.get("loss") in ("poisson", "gamma"):
        y = np.exp(y)
    estimator = new(kind, alpha=0, max_iter=2).set_params(**params).fit(X, y)
    weights, h = sample_weights(len(y)) + 0.1, 1e-5
    found = trace_step(estimator, X, y, weights)
    # scikit-learn's squared error is the mean over outputs, its gradient that of the sum
    times = weights * (y.shape[1] if kind == "squared x3" else 1)
    for i, layer in enumerate(found.layers):
        for unit in range(layer.delta.shape[1]):
            row, losses = (0, 19)[unit % 2], []
            for moved in (h, -h):
                other = copy.deepcopy(estimator)
                intercepts_of(other)[i][unit] += moved
                losses.append(trace_step(other, X[row : row + 1], y[row : row + 1]).loss)
            slope = times[row] * (losses[0] - losses[1]) / (2 * h)
            np.testing.assert_allclose(layer.delta[row, unit], slope, rtol=1e-6, atol=1e-9)


def test_frozen_layers_have_deltas_and_gradients_and_do_not_move():
    X, y = problem("multiclass")
    step = trace_step(new("multiclass", frozen_layers=[0]), X, y)
    free = trace_step(new("multiclass"), X, y)
    for i, (layer, other) in enumerate(zip(step.layers, free.layers, strict=True)):
        np.testing.assert_array_equal(layer.delta, other.delta)
        np.testing.assert_array_equal(layer.coef_gradient, other.coef_gradient)
        assert layer.coef_update.any() == layer.intercept_update.any() == (i > 0)


def test_frozen_batch_normalization_is_shown_as_it_trains():
    """By its running averages, so that gradients and updates belong together."""
    X, y = problem("multiclass")
    estimator = new("multiclass", frozen_layers=[0], normalization="batch", momentum=0)
    frozen, *trained = trace_step(estimator, X, y).layers
    assert not (frozen.delta.any() or frozen.coef_gradient.any() or frozen.coef_update.any())
    for layer in trained:
        np.testing.assert_allclose(layer.coef_update, -0.01 * layer.coef_gradient, atol=1e-15)
        assert layer.delta.any()


STEPS = [
    *({"solver": solver} for solver in _core.OPTIMIZERS),
    {"clip_norm": 1e-3},
    {"clip_value": 1e-4},
    {"max_norm": 0.5},
    {"l1_ratio": 0.5, "alpha": 1},
    {"learning_rate": "cosine", "warmup": 0.5},
    {"average_weights": "ema"},
    {"dropout": 0.5, "input_dropout": 0.2, "record": ["gradients"], "max_time": 100},
    {"early_stopping": True, "scoring": "loss"},
    {"class_weight": "balanced"},
]


@pytest.mark.parametrize("params", STEPS, ids=str)
def test_every_kind_of_step_is_that_of_training(params):
    """The first of a fit on the whole data set, without noise and averages."""
    X, y = problem("multiclass", n_samples=250)
    estimator = new("multiclass", shuffle=False).set_params(**params)
    if estimator.solver != "rprop":
        estimator.set_params(batch_size=250)
    step = trace_step(estimator.set_params(max_iter=20), X, y)
    still = clone(estimator).set_params(solver="sgd", batch_size="auto", max_norm=None)
    start = first_weights(still, X, y)
    plain = {"dropout": 0, "input_dropout": 0, "average_weights": None, "early_stopping": False}
    other = clone(estimator).set_params(**plain, max_iter=1, warmup=0, learning_rate="constant")
    other.fit(X, y)
    assert step.loss == other.loss_
    for i, layer in enumerate(step.layers):
        update = other.coefs_[i] - start[0][i]
        if "warmup" in params:
            assert update.any() and not layer.coef_update.any()  # it begins with nothing
        else:
            np.testing.assert_array_equal(layer.coef_update, update)


def test_weights_of_classes_are_those_of_samples():
    X, y = problem("multiclass")
    estimator, weights = new("multiclass"), {0: 1, 1: 2.5, 2: 4}
    step = trace_step(estimator.set_params(class_weight=weights), X, y)
    expected = trace_step(
        estimator.set_params(class_weight=None), X, y, [weights[label] for label in y]
    )
    for layer, other in zip(step.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(layer.delta, other.delta)
        np.testing.assert_array_equal(layer.coef_update, other.coef_update)


@pytest.mark.parametrize("solver", SETTINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_estimator_takes_the_step_that_partial_fit_takes(kind, solver, dtype):
    X, y = problem(kind, n_samples=150, dtype=dtype)
    estimator = new(kind, solver, alpha=0.1, max_iter=3).fit(X, y)
    state, batch = pickle.dumps(estimator), slice(0, 120)
    weights = sample_weights(120)
    step = trace_step(estimator, X[batch], y[batch], weights)
    assert pickle.dumps(estimator) == state, "the estimator was changed"
    then = [np.array(a) for a in (*estimator.coefs_, *intercepts_of(estimator))]
    estimator.set_params(shuffle=False).partial_fit(X[batch], y[batch], weights)
    assert estimator.loss_ == step.loss
    updates = [layer.coef_update for layer in step.layers]
    updates += [layer.intercept_update for layer in step.layers]
    for now, before, update in zip(
        (*estimator.coefs_, *intercepts_of(estimator)), then, updates, strict=True
    ):
        np.testing.assert_array_equal(now - before, update)


def test_an_unfitted_estimator_takes_the_first_step_of_fit():
    X, y = problem("binary")
    random_state = np.random.RandomState(3)
    estimator = new("binary", max_iter=1, shuffle=False).set_params(random_state=random_state)
    before = random_state.get_state()[1].copy()
    step = trace_step(estimator, X, y)
    assert not hasattr(estimator, "coefs_")
    assert (random_state.get_state()[1] == before).all(), "the generator was used"
    estimator.fit(X, y)
    assert estimator.loss_ == step.loss


@pytest.mark.parametrize("n_samples", [1, 5000])
def test_batches_of_any_size_are_one_batch(n_samples):
    """Beyond the shares and chunks that training would cut it into, and beyond batch_size."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((n_samples, 30)), rng.standard_normal((n_samples, 2))
    estimator = MLPRegressor(hidden_layer_sizes=(600, 20), random_state=0, batch_size=10)
    step = trace_step(estimator, X, y)
    below = X
    for layer in step.layers:
        np.testing.assert_allclose(
            layer.coef_gradient * n_samples, below.T @ layer.delta, rtol=0, atol=1e-2
        )
        np.testing.assert_allclose(layer.intercept_gradient, layer.delta.mean(axis=0), atol=1e-12)
        below = layer.a
    np.testing.assert_allclose(step.layers[-1].delta, below - y, rtol=1e-12)


def test_the_gradient_has_the_l2_part_of_the_penalty():
    X, y = problem("squared")
    estimator = new("squared", alpha=5.0, l1_ratio=0.3)
    (coef, *_), _ = first_weights(estimator, X, y)
    layer, *_ = trace_step(estimator, X, y).layers
    expected = (X.T @ layer.delta + 5.0 * 0.7 * coef) / len(y)
    np.testing.assert_allclose(layer.coef_gradient, expected, rtol=0, atol=1e-14)


def test_a_network_without_hidden_layers():
    X, y = problem("binary")
    (layer,) = trace_step(MLPClassifier(()), X, y).layers
    np.testing.assert_allclose(layer.delta, layer.a - y[:, None], atol=1e-15)


@pytest.mark.parametrize(
    "params, reason",
    [
        ({"solver": "lbfgs"}, "solver='lbfgs' searches along lines"),
        ({"n_estimators": 3}, "got n_estimators=3"),
    ],
)
def test_what_a_step_does_not_show_is_refused(params, reason):
    X, y = problem("binary")
    with pytest.raises(ValueError, match=reason):
        trace_step(MLPClassifier(**params), X, y)


def test_what_fit_refuses_is_refused():
    X, y = problem("binary")
    with pytest.raises(InvalidParameterError, match="'alpha' parameter"):
        trace_step(MLPClassifier(alpha=-1), X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        trace_step(MLPClassifier(), X, y[:-1])
    with pytest.raises(ValueError, match="6 features"):
        trace_step(MLPClassifier((3,), max_iter=1).fit(X, y), X[:, :6], y)
    with pytest.raises(TypeError, match="takes an MLPClassifier or MLPRegressor, got Pipeline"):
        trace_step(make_pipeline(StandardScaler(), MLPClassifier()), X, y)


def test_the_table_has_every_array_and_the_numbers_of_small_ones():
    X, y = problem("multiclass")
    estimator = new("multiclass", activation="tanh")
    step = trace_step(estimator, X, y)
    text = str(step)
    assert f"loss {step.loss:.6g}" in text
    for i, (fan_in, fan_out) in enumerate(pairwise([X.shape[1], *HIDDEN, 3])):
        name = "softmax" if i == 2 else "tanh"
        assert f"layer {i}: {fan_in} -> {fan_out}, {name}" in text
        assert str((fan_in, fan_out)) in text
    assert text.count("(61, 7)") == 3 and text.count("norm ") >= 9
    (line,) = [line for line in text.splitlines() if "intercept_gradient  (3,)" in line]
    shown = np.array(line.split()[2:], dtype=float)
    np.testing.assert_allclose(shown, step.layers[2].intercept_gradient, rtol=1e-3)


MORE_THAN_PRODUCTS = [
    *({"normalization": name} for name in NORMALIZED),
    {"residual": True},
    {"normalization": "batch", "residual": True},
]


@pytest.mark.parametrize("params", MORE_THAN_PRODUCTS, ids=str)
def test_normalization_and_residual_layers_are_shown(params):
    """Slopes of the batch's loss by what is trained, in every layer."""
    X, y = problem("multiclass", n_samples=40)
    weights, h = sample_weights(len(y)), 1e-5
    estimator = MLPClassifier(
        (5, 5, 4), "tanh", solver="sgd", alpha=0, max_iter=2, random_state=0, **params
    ).fit(X, y)
    step = trace_step(estimator, X, y, weights)
    below = X
    for i, layer in enumerate(step.layers):
        np.testing.assert_allclose(
            layer.coef_gradient, below.T @ layer.delta / weights.sum(), rtol=0, atol=1e-14
        )
        below = layer.a
        for name, attribute in [
            ("coef", "coefs_"),
            ("intercept", "biases_"),
            ("scale", "norm_scales_"),
            ("shift", "norm_shifts_"),
        ]:
            found = getattr(layer, f"{name}_gradient")
            if found is None:
                assert i >= len(getattr(estimator, attribute, []))
                continue
            assert getattr(layer, f"{name}_update").shape == found.shape
            for unit in range(0, found.size, 7):
                losses = []
                for moved in (h, -h):
                    other = copy.deepcopy(estimator)
                    getattr(other, attribute)[i].flat[unit] += moved
                    losses.append(trace_step(other, X, y, weights).loss)
                slope = (losses[0] - losses[1]) / (2 * h)
                np.testing.assert_allclose(found.flat[unit], slope, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(below.sum(axis=1), 1, rtol=1e-12)
    onehot = y[:, None] == np.arange(3)
    np.testing.assert_allclose(
        step.layers[-1].delta, weights[:, None] * (below - onehot), atol=1e-12
    )
