"""The losses: their kernels are in test_kernels.py, here what networks and estimators do."""

import itertools
import json
import pickle
import warnings

import numpy as np
import pytest
from fastmlp._core import Dataset
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor, SGDClassifier
from sklearn.metrics import d2_pinball_score, r2_score, recall_score
from sklearn.utils.class_weight import compute_sample_weight

import fastmlp
import reference_losses
from fastmlp import _core
from fastmlp._losses import CLASSIFIER_LOSSES, POSITIVE, REGRESSOR_LOSSES
from fastmlp._network import Network
from naive import FORWARD, NaiveDataset, NaiveNetwork
from panels import LossSettings, tables
from problems import bits, ours, problem

TABLES = tables()
CONTAINERS = (np.asarray, sparse.csr_array)


def case(loss, n_outputs, n_samples=83, dtype=np.float64, seed=0):
    """X, and y as a Dataset takes it."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_samples, 6)).astype(dtype)
    y = {
        "classes": lambda: rng.randint(0, n_outputs, n_samples).astype(np.int32),
        "labels": lambda: rng.randint(0, 2, (n_samples, n_outputs)).astype(np.uint8),
        "reals": lambda: np.exp(rng.standard_normal((n_samples, n_outputs))).astype(dtype),
    }[_core.TARGETS[loss]]()
    return X, y


def parameters(units, dtype=np.float64, seed=1):
    rng = np.random.RandomState(seed)
    coefs = [rng.standard_normal(shape) / 2 for shape in itertools.pairwise(units)]
    intercepts = [rng.standard_normal(n) / 4 for n in units[1:]]
    return tuple([a.astype(dtype) for a in arrays] for arrays in (coefs, intercepts))


def network_of(loss, n_outputs, dtype=np.float64, hidden=(9,), **params):
    units = [6, *hidden, n_outputs]
    params = {"activations": ["tanh"] * len(hidden), "dtype": dtype} | params
    network, start = Network(units, loss=loss, **params), parameters(units, dtype)
    network.set_parameters(*start)
    return network, start


def loss_and_gradient(network, start, dataset):
    gradient = tuple([np.empty_like(a) for a in arrays] for arrays in start)
    return network.loss_and_gradient(dataset, 0.0, gradient), gradient


# poisson and gamma with outputs that are positive, the deviances' own case
FUSED = [loss for loss in _core.LOSSES if not loss.endswith("_deviance")]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_outputs", [1, 3, 20])
@pytest.mark.parametrize("loss", FUSED)
def test_evaluate_is_the_loss_and_the_prediction(loss, n_outputs, container, dtype):
    X, y = case(loss, n_outputs, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(X))
    dataset, every = Dataset(container(X), y, weights), np.arange(len(X))
    found = []
    for n_threads in (1, 3):
        network, start = network_of(loss, n_outputs, dtype, n_threads=n_threads)
        value, _ = loss_and_gradient(network, start, dataset)
        loss_found, outputs = network.evaluate(dataset, every)
        np.testing.assert_allclose(loss_found, value, rtol=1e-12)
        np.testing.assert_array_equal(outputs, network.predict(dataset, every))
        found.append(loss_found)
    assert found[0] == found[1]
    rows = np.random.RandomState(1).permutation(len(X))[:29]
    part = Dataset(container(X[rows]), y[rows], weights[rows])
    expected = loss_and_gradient(network, start, part)[0]
    np.testing.assert_allclose(network.evaluate(dataset, rows)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 20])
@pytest.mark.parametrize(
    "loss, out_activation", [*((loss, None) for loss in FUSED), ("gamma", "softplus")]
)
def test_training_has_the_same_bits_for_any_number_of_threads(loss, out_activation, n_outputs):
    X, y = case(loss, n_outputs)
    params = {"optimizer": "sgd", "out_activation": out_activation}
    step = {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}
    found = []
    for n_threads in (1, 2, 3):
        network, start = network_of(loss, n_outputs, n_threads=n_threads, **params)
        for batch_size in (32, 83):  # in shares of its rows, and not
            network.train(Dataset(X, y), np.arange(len(X)), batch_size, alpha=0.1, step=step)
        network.get_parameters(*start)
        found.append([a.tobytes() for arrays in start for a in arrays])
    assert found[0] == found[1] == found[2]


OUT_ACTIVATIONS = [*_core.ACTIVATIONS, "exp"]
SETTINGS = {
    "huber": [{"delta": 0.7}],
    "quantile": [{"quantile": [0.2, 0.7]}],
    "focal": [{"gamma": 0.5}, {"gamma": 2.0}],
    "binary_focal": [{"gamma": 0.5}, {"gamma": 2.0}],
    "log_loss": [{}, {"smoothing": 0.3}],
    "binary_log_loss": [{}, {"smoothing": 0.3}],
}
PAIRS = [
    (loss, params, out_activation)
    for loss in FUSED
    for params in SETTINGS.get(loss, [{}])
    for out_activation in (OUT_ACTIVATIONS if _core.TARGETS[loss] == "reals" else [None])
    if loss not in ("poisson", "gamma") or out_activation in POSITIVE
]


@pytest.mark.parametrize("loss, params, out_activation", PAIRS)
def test_gradient_is_the_slope_of_the_loss(loss, params, out_activation):
    """Central differences, over losses times output activations."""
    X, y = case(loss, 2, n_samples=23)
    network, start = network_of(loss, 2, loss_params=params, out_activation=out_activation)
    dataset = Dataset(X, y, np.random.RandomState(0).uniform(0, 2, len(X)))
    _, gradient = loss_and_gradient(network, start, dataset)
    h, times = 1e-5, 2 if loss == "squared_error" else 1  # its value is the mean over outputs
    for found, array in zip(itertools.chain(*gradient), itertools.chain(*start), strict=True):
        slope = np.empty(array.size)
        for i, w in enumerate(array.ravel().copy()):
            values = []
            for array.flat[i] in (w - h, w + h):
                network.set_parameters(*start)
                values.append(loss_and_gradient(network, start, dataset)[0])
            array.flat[i] = w
            slope[i] = times * (values[1] - values[0]) / (2 * h)
        scale = max(1e-3, np.abs(slope).max())
        np.testing.assert_allclose(found.ravel(), slope, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("loss, params, out_activation", PAIRS)
def test_loss_and_gradient_equal_the_naive_network(loss, params, out_activation, container, dtype):
    X, y = case(loss, 2, dtype=dtype)
    weights = np.random.RandomState(0).uniform(0, 2, len(X))
    params = {"loss_params": params, "out_activation": out_activation, "activations": ["tanh"]}
    network, start = network_of(loss, 2, dtype, **params)
    naive = NaiveNetwork([6, 9, 2], loss=loss, dtype=dtype, **params)
    naive.set_parameters(*start)
    found = loss_and_gradient(network, start, Dataset(container(X), y, weights))
    expected = loss_and_gradient(naive, start, NaiveDataset(container(X), y, weights))
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(found[0], expected[0], rtol=tolerance)
    for a, b in zip(itertools.chain(*found[1]), itertools.chain(*expected[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


REFERENCE = json.loads(reference_losses.PATH.read_text())


@pytest.mark.parametrize("i", range(len(reference_losses.CASES)))
def test_losses_are_pytorchs(i):
    """As it computed them once: the derivative by the outputs of a network without layers."""
    loss, params, out_activation = reference_losses.CASES[i]
    z, y = reference_losses.inputs(_core.TARGETS[loss])
    network = Network(
        [len(z), z.shape[1]],
        **{"activations": [], "loss": loss, "loss_params": params, "dtype": np.float64},
        out_activation=out_activation,
    )
    start = [z], [np.zeros(z.shape[1])]
    network.set_parameters(*start)
    value, (gradient, _) = loss_and_gradient(network, start, Dataset(np.eye(len(z)), y))
    times = z.shape[1] if loss == "squared_error" else 1
    assert REFERENCE[i]["loss"] == loss
    np.testing.assert_allclose(times * value, REFERENCE[i]["value"], rtol=1e-10)
    np.testing.assert_allclose(gradient[0], REFERENCE[i]["gradient"], rtol=1e-10, atol=1e-10)


def test_the_reference_is_what_pytorch_computes():
    pytest.importorskip("torch")
    for now, kept in zip(reference_losses.figures(_core.TARGETS), REFERENCE, strict=True):
        assert now["loss"] == kept["loss"]
        np.testing.assert_allclose(now["value"], kept["value"], rtol=1e-12)
        np.testing.assert_allclose(now["gradient"], kept["gradient"], rtol=1e-10, atol=1e-12)


def of_kernel(kernels, loss, z, y, **params):
    """Losses and slopes of single outputs z with targets y; of classes, of two outputs (z, 0)."""
    losses, slopes = [], []
    settings = LossSettings(params.get("delta", 1.0), params.get("gamma", 2.0), 0.0)
    levels = np.array([0.9])
    settings.levels, settings.smoothing = levels.ctypes.data, params.get("smoothing", 0.0)
    rows = np.zeros(1, np.intp)
    for value, target in zip(z, y, strict=True):
        n = 2 if _core.TARGETS[loss] == "classes" else 1
        columns = kernels.zeros(n, kernels.mr)
        columns[0] = value
        kind = {"classes": np.int32, "labels": np.uint8, "reals": kernels.dtype}
        target = np.full(1, target).astype(kind[_core.TARGETS[loss]])
        arguments = columns, kernels.mr, target, rows, None, settings
        losses.append(kernels.call("loss", 1, n, *arguments, entry=loss))
        slopes.append(columns[0, 0])
    return np.array(losses), np.array(slopes)


@pytest.mark.parametrize("kernels", TABLES, ids=repr)
@pytest.mark.parametrize("loss", _core.LOSSES)
def test_nan_shows(loss, kernels):
    value, slope = of_kernel(kernels, loss, [np.nan], [1])
    assert np.isnan(value).all()
    assert np.isnan(slope).all()


@pytest.mark.parametrize("kernels", TABLES, ids=repr)
@pytest.mark.parametrize(
    "params", [{}, {"gamma": 0.0}, {"gamma": 0.3}, {"smoothing": 0.1}], ids=str
)
@pytest.mark.parametrize("loss", _core.LOSSES)
def test_losses_are_numbers_far_out(loss, params, kernels):
    """Nothing is lost but what the type cannot hold, which is infinite and not NaN."""
    z = np.array([1e4, 800.0, 100.0, 40.0, 17.0, 1e-30, 0.0])
    z = z if loss.endswith("deviance") else np.concatenate([z, -z])
    for y in (0, 1):
        if y == 0 and "gamma" in loss:
            continue
        value, slope = of_kernel(kernels, loss, z, [y] * len(z), **params)
        assert not np.isnan(value).any()
        assert not np.isnan(slope).any()
        if _core.OUT_ACTIVATIONS[loss] != "exp":
            assert np.isfinite(value).all()
            assert np.isfinite(slope).all()
        assert (value >= -100 * np.finfo(kernels.dtype).eps * np.abs(z)).all()


@pytest.mark.parametrize("kernels", TABLES, ids=repr)
@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("loss", ["focal", "binary_focal"])
def test_focal_keeps_its_digits_where_the_class_is_nearly_certain(loss, gamma, kernels):
    """1 - p = e / (1 + e), e = exp(-z), long after 1 - p has rounded to zero."""
    z = np.array([5.0, 17.0, 25.0])
    truth = 0 if loss == "focal" else 1  # of classes, the first has z
    value, slope = of_kernel(kernels, loss, z, [truth] * 3, gamma=gamma)
    e = np.exp(-z)
    q, log_p = e / (1 + e), -np.log1p(e)
    rtol = 100 * np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(value, -(q**gamma) * log_p, rtol=rtol)
    expected = q**gamma * (gamma * (1 - q) * log_p - q)
    np.testing.assert_allclose(slope, expected, rtol=rtol)


@pytest.mark.parametrize("kernels", TABLES, ids=repr)
def test_log_cosh_keeps_its_digits_near_zero(kernels):
    d = np.logspace(-8, 4, 60).astype(kernels.dtype).astype(float)
    value, slope = of_kernel(kernels, "log_cosh", d, [0] * len(d))
    small = d < 1e-2
    d, value, slope = d.astype(np.longdouble), value, slope
    exact = np.where(small, d**2 / 2 - d**4 / 12, d + np.log1p(np.exp(-2 * d)) - np.log(2))
    rtol = 20 * np.finfo(kernels.dtype).eps
    np.testing.assert_allclose(value, exact.astype(float), rtol=max(rtol, 1e-9))
    np.testing.assert_allclose(slope, np.tanh(d).astype(float), rtol=rtol)


# --------------------------------------------------------------------------- estimators

CLASSIFIERS = list(itertools.product(CLASSIFIER_LOSSES, ("binary", "multiclass", "multilabel")))
REGRESSORS = [
    (loss, kind)
    for loss in REGRESSOR_LOSSES
    for kind in (("poisson", "poisson x2") if loss == "poisson" else ("squared", "squared x3"))
]
ESTIMATORS = [("MLPClassifier", *c) for c in CLASSIFIERS] + [
    ("MLPRegressor", *r) for r in REGRESSORS
]
SMALL = {"hidden_layer_sizes": (7,), "random_state": 0, "max_iter": 10, "learning_rate_init": 0.01}


def make(name, loss, **params):
    return getattr(fastmlp, name)(loss=loss, **SMALL | params)


def data(loss, kind, **params):
    X, y = problem(kind, **params)
    return X, np.exp(y) if loss == "gamma" else y


def outputs(model, X):
    for method in ("predict_proba", "decision_function", "predict"):
        if hasattr(model, method):
            return getattr(model, method)(X)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name, loss, kind", ESTIMATORS)
def test_a_weight_of_two_is_a_row_twice(name, loss, kind, solver):
    X, y = data(loss, kind)
    weights = np.arange(len(y)) % 3
    repeated = np.repeat(np.arange(len(y)), weights)
    params = {"solver": solver, "batch_size": 1000}
    a = make(name, loss, **params).fit(X, y, sample_weight=weights)
    b = make(name, loss, **params).fit(X[repeated], y[repeated])
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.loss_, b.loss_, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name, loss, kind", ESTIMATORS)
def test_every_loss_learns(name, loss, kind, solver, dtype):
    X, y = data(loss, kind, dtype=dtype)
    model = make(name, loss, solver=solver, max_iter=40, tol=0.0).fit(X, y)
    again = make(name, loss, solver=solver, max_iter=1).fit(X, y)
    assert model.loss_ < 0.95 * again.loss_
    assert outputs(model, X).dtype == dtype


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss, kind", CLASSIFIERS)
def test_class_weights_are_sample_weights(loss, kind, weighted):
    X, y = data(loss, kind)
    own = np.random.RandomState(0).uniform(0.5, 2, len(y)) if weighted else None
    named = {"binary": {0: 3.0, 1: 0.5}, "multiclass": {2: 4, 0: 0.0}}
    named["multilabel"] = [{1: 5.0}, {0: 2.0, 1: 0.1}, {}]
    for class_weight in (named[kind], "balanced"):
        weights = np.ones(len(y)) if own is None else own
        if class_weight != "balanced" or own is None:
            filled = class_weight
            if kind == "multiclass" and filled != "balanced":
                filled = {1: 1, **filled}
            if kind == "multilabel" and filled != "balanced":
                filled = [{0: 1, 1: 1, **column} for column in filled]
            expected = weights * compute_sample_weight(filled, y)
        else:  # samples count by their weights
            columns = y.reshape(len(y), -1).T
            counts = [np.bincount(column, weights=own) for column in columns]
            balanced = [(own.sum() / (len(n) * n))[c] for n, c in zip(counts, columns, strict=True)]
            expected = weights * np.prod(balanced, axis=0)
        a = make("MLPClassifier", loss, class_weight=class_weight).fit(X, y, own)
        b = make("MLPClassifier", loss).fit(X, y, expected)
        np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-10)


def test_class_weights_in_partial_fit_know_all_classes():
    """A batch need not have every class that has a weight."""
    X, y = problem("multiclass")
    first = y < 2
    a = make("MLPClassifier", "log_loss", class_weight={2: 3.0, 1: 2.0})
    b = make("MLPClassifier", "log_loss")
    for part in (first, ~first):
        a.partial_fit(X[part], y[part], classes=[0, 1, 2])
        b.partial_fit(X[part], y[part], np.array([1, 2, 3.0])[y[part]], classes=[0, 1, 2])
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=1e-12)


def test_class_weights_name_labels_of_any_type():
    X, y = problem("binary")
    labels = np.array(["no", "yes"])[y]
    a = make("MLPClassifier", "hinge", class_weight={"yes": 3}).fit(X, labels)
    b = make("MLPClassifier", "hinge", class_weight={1: 3}).fit(X, y)
    np.testing.assert_array_equal(a.predict(X) == "yes", b.predict(X))


def test_balanced_class_weights_find_a_rare_class():
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=5000) < 0.01).astype(int)
    X = rng.standard_normal((5000, 5)) + 1.2 * y[:, np.newaxis]
    params = {"hidden_layer_sizes": (10,), "max_iter": 20, "random_state": 0}
    recalls = [
        recall_score(y, fastmlp.MLPClassifier(class_weight=w, **params).fit(X, y).predict(X))
        for w in (None, "balanced")
    ]
    assert recalls[0] < 0.5
    assert recalls[1] > 0.8


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_hinge_has_decisions_and_no_probabilities(kind, dtype):
    X, y = problem(kind, n_samples=200, dtype=dtype)
    model = make("MLPClassifier", "hinge", max_iter=100).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    assert not hasattr(make("MLPClassifier", "log_loss"), "decision_function")
    with pytest.raises(AttributeError) as raised:
        model.predict_proba(X)
    assert "loss='hinge'" in str(raised.value.__cause__)
    values = model.decision_function(X)
    assert values.shape == ((200,) if kind == "binary" else (200, 3))
    raw = values.reshape(len(y), -1)
    predicted = values.argmax(axis=1) if kind == "multiclass" else values > 0
    np.testing.assert_array_equal(model.predict(X), predicted)
    assert (model.predict(X) == y).mean() > 0.75
    validation = model._validation_score(y if values.ndim == 2 else y[:, None], raw, None)
    assert validation == model.score(X, y)
    assert model.out_activation_ == "identity"


def test_decisions_can_be_calibrated():
    X, y = problem("binary", n_samples=200)
    model = CalibratedClassifierCV(make("MLPClassifier", "hinge", max_iter=100)).fit(X, y)
    assert model.score(X, y) > 0.75


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("loss", ["focal", "squared_error"])
def test_other_losses_give_probabilities(loss, kind):
    X, y = problem(kind, n_samples=200)
    model = make("MLPClassifier", loss, max_iter=100).fit(X, y)
    p = model.predict_proba(X)
    assert ((p >= 0) & (p <= 1)).all()
    if kind != "multilabel":
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert (model.predict(X) == y).mean() > 0.75


def test_label_smoothing_keeps_probabilities_from_the_ends():
    X, y = problem("multiclass")
    params = {"solver": "lbfgs", "max_iter": 500, "alpha": 0, "hidden_layer_sizes": (30,)}
    sure, unsure = (
        make("MLPClassifier", "log_loss", label_smoothing=s, **params).fit(X, y).predict_proba(X)
        for s in (0.0, 0.3)
    )
    assert sure.max(axis=1).mean() > 0.99
    np.testing.assert_allclose(unsure.max(axis=1), 0.8, atol=0.05)  # 1 - 0.3 + 0.3 / 3


@pytest.mark.parametrize("loss, glm", [("poisson", PoissonRegressor), ("gamma", GammaRegressor)])
def test_without_layers_it_is_the_generalized_linear_model(loss, glm):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 4)) / 3
    mean = np.exp(X @ [1.0, -0.5, 0.3, 0] + 0.4)
    y = rng.poisson(mean).astype(float) if loss == "poisson" else mean * rng.gamma(2, 0.5, 300)
    params = {"solver": "lbfgs", "alpha": 0, "tol": 1e-8, "hidden_layer_sizes": ()}
    model = make("MLPRegressor", loss, **params | {"max_iter": 500}).fit(X, y)
    expected = glm(alpha=0, tol=1e-9, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0][:, 0], expected.coef_, atol=1e-4)
    np.testing.assert_allclose(model.intercepts_[0], expected.intercept_, atol=1e-4)


@pytest.fixture(scope="module")
def intervals():
    """A model of three quantiles, and data that it has not seen."""
    rng = np.random.RandomState(0)
    X = rng.uniform(0, 1, (6000, 1))
    y = np.sin(4 * X[:, 0]) + (0.2 + X[:, 0]) * rng.standard_normal(6000)
    params = {"loss_params": {"quantile": [0.1, 0.5, 0.9]}, "max_iter": 40, "random_state": 0}
    model = fastmlp.MLPRegressor("quantile", (30,), learning_rate_init=0.01, **params)
    return model.fit(X[:3000], y[:3000]), X[3000:], y[3000:]


def test_quantiles_cover_what_they_should(intervals):
    model, X, y = intervals
    found = model.predict(X)
    assert found.shape == (3000, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    for part in (X[:, 0] < 0.5, X[:, 0] >= 0.5):
        coverage = (y[part, np.newaxis] < found[part]).mean(axis=0)
        np.testing.assert_allclose(coverage, [0.1, 0.5, 0.9], atol=0.05)


def test_score_of_several_quantiles_is_the_mean_over_them(intervals):
    model, X, y = intervals
    weights = np.random.RandomState(0).uniform(size=len(y))
    found = model.predict(X)
    for w in (None, weights):
        expected = [
            d2_pinball_score(y, found[:, i], sample_weight=w, alpha=level)
            for i, level in enumerate([0.1, 0.5, 0.9])
        ]
        np.testing.assert_allclose(model.score(X, y, w), np.mean(expected), rtol=1e-12)


def test_quantiles_do_not_cross_and_are_scored_so_while_training():
    """Far from the data the outputs may cross: predictions are in order."""
    X, y = problem("squared")
    params = {"loss_params": {"quantile": [0.4, 0.5, 0.6]}, "early_stopping": True, "max_iter": 2}
    model = make("MLPRegressor", "quantile", **params).fit(X, y)
    far = 50 * X
    raw = model._forward(far)
    assert (np.diff(raw, axis=1) < 0).any()
    np.testing.assert_array_equal(model.predict(far), np.sort(raw, axis=1))
    assert len(model.validation_scores_) == 2
    assert model.n_outputs_ == 3


def test_one_quantile_is_for_any_targets_and_scored_by_r2():
    X, y = problem("squared x3")
    model = make("MLPRegressor", "quantile", loss_params={"quantile": [0.3]}).fit(X, y)
    assert model.predict(X).shape == y.shape
    np.testing.assert_array_equal(model.predict(X), model._forward(X))
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize("out_activation", OUT_ACTIVATIONS)
def test_out_activation_is_that_of_the_predictions(out_activation):
    X, y = problem("squared")
    model = make("MLPRegressor", "squared_error", out_activation=out_activation).fit(X, y)
    assert model.out_activation_ == out_activation
    z = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    expected = FORWARD[out_activation](z + model.intercepts_[1])
    np.testing.assert_allclose(model.predict(X), expected.ravel(), rtol=1e-9, atol=1e-12)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


# (estimator, its parameters, kind of y) -> what the message says
REFUSED = [
    ("MLPRegressor", {"loss": "focal"}, "squared", "'loss' parameter of MLPRegressor must be"),
    ("MLPClassifier", {"loss": "huber"}, "binary", "'loss' parameter of MLPClassifier must be"),
    ("MLPClassifier", {"loss_params": {"gamma": 1}}, "binary", "loss='log_loss' takes none"),
    ("MLPClassifier", {"loss": "focal", "loss_params": {"delta": 1}}, "binary", "only 'gamma'"),
    ("MLPClassifier", {"loss": "focal", "loss_params": {"gamma": -1}}, "binary", r"\[0.0, inf\)"),
    ("MLPRegressor", {"loss": "huber", "loss_params": {"delta": 0}}, "squared", r"\(0.0, inf\)"),
    ("MLPRegressor", {"loss": "huber", "loss_params": {"delta": "a"}}, "squared", r"\(0.0, inf\)"),
    ("MLPRegressor", {"loss": "huber", "loss_params": {"gamma": 1}}, "squared", "only 'delta'"),
    ("MLPRegressor", {"loss_params": {"delta": 1}}, "squared", "loss='squared_error' takes none"),
    *(
        (
            "MLPRegressor",
            {"loss": "quantile", "loss_params": {"quantile": q}},
            "squared",
            "quantile",
        )
        for q in (0, 1, 1.5, "a", None, [], [0.5, 0.1], [0.1, 0.1], [0.5, 1], [[0.1, 0.5]], ["a"])
    ),
    (
        "MLPRegressor",
        {"loss": "quantile", "loss_params": {"quantile": [0.1, 0.9]}},
        "squared x3",
        "single target",
    ),
    *(
        ("MLPRegressor", {"loss": loss, "out_activation": name}, "positive", "positive predictions")
        for loss in ("poisson", "gamma")
        for name in sorted({*_core.ACTIVATIONS} - {*POSITIVE})
    ),
    ("MLPRegressor", {"out_activation": "softmax"}, "squared", "'out_activation' parameter"),
    ("MLPRegressor", {"loss": "poisson"}, "squared", "requires non-negative y"),
    ("MLPRegressor", {"loss": "gamma"}, "poisson", "requires strictly positive y"),
    *(
        ("MLPClassifier", {"loss": loss, "label_smoothing": 0.1}, "binary", "label_smoothing=0.1")
        for loss in ("focal", "squared_error", "hinge")
    ),
    ("MLPClassifier", {"label_smoothing": 1.0}, "binary", "'label_smoothing' parameter"),
    ("MLPClassifier", {"class_weight": {0: 1, 7: 1}}, "binary", r"\[7\], in class_weight"),
    ("MLPClassifier", {"class_weight": [{0: 1}]}, "binary", "for multilabel"),
    ("MLPClassifier", {"class_weight": {0: -1}}, "binary", "finite and >= 0"),
    ("MLPClassifier", {"class_weight": {0: "a"}}, "binary", "finite and >= 0"),
    ("MLPClassifier", {"class_weight": {0: 0, 1: 0}}, "binary", "no sample with a weight"),
    ("MLPClassifier", {"class_weight": "even"}, "binary", "'class_weight' parameter"),
    ("MLPClassifier", {"class_weight": {0: 1}}, "multilabel", "should be a list of dicts"),
    ("MLPClassifier", {"class_weight": [{0: 1}]}, "multilabel", r"Got 1 element\(s\)"),
    ("MLPClassifier", {"class_weight": [{2: 1}, {}, {}]}, "multilabel", r"\[2\], in class_weight"),
    ("MLPClassifier", {"class_weight": [1, 2, 3]}, "multilabel", "dicts only"),
]


@pytest.mark.parametrize("name, params, kind, message", REFUSED)
def test_what_makes_no_sense_is_refused(name, params, kind, message):
    X, y = problem("poisson" if kind == "positive" else kind)
    model = getattr(fastmlp, name)(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y + 1 if kind == "positive" else y)
    assert not hasattr(model, "coefs_")


def test_balanced_is_not_for_partial_fit():
    X, y = problem("binary")
    model = fastmlp.MLPClassifier(class_weight="balanced")
    with pytest.raises(AttributeError) as raised:
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="not supported for partial_fit") as theirs:
        SGDClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    assert str(raised.value.__cause__) == str(theirs.value)


@pytest.mark.parametrize("name", ["logistic", "tanh", "softplus"])
def test_targets_that_no_prediction_can_reach_are_told_of(name):
    X, y = problem("squared")
    model = fastmlp.MLPRegressor(hidden_layer_sizes=(3,), out_activation=name, max_iter=2)
    with pytest.warns(UserWarning, match=f"out_activation='{name}'"):
        model.fit(X, 3 * y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, (y - y.min()) / np.ptp(y))


def test_a_model_fitted_with_hinge_has_decisions_whatever_loss_is_set():
    X, y = problem("binary")
    model = fastmlp.MLPClassifier((3,), loss="hinge", max_iter=5, random_state=0).fit(X, y)
    decisions, labels = model.decision_function(X), model.predict(X)
    model.set_params(loss="log_loss")
    assert not hasattr(model, "predict_proba")
    np.testing.assert_array_equal(model.decision_function(X), decisions)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert not hasattr(model.fit(X, y), "decision_function")


@pytest.mark.parametrize("kind, loss", [("binary", "huber"), ("squared", "focal")])
def test_partial_fit_refuses_a_loss_that_there_is_not(kind, loss):
    """scikit-learn checks parameters in the first call only."""
    X, y = problem(kind)
    model = ours(kind, hidden_layer_sizes=(3,), max_iter=5, random_state=0).fit(X, y)
    before = bits(model, X)
    with pytest.raises(ValueError, match=f"loss must be one of .*; got '{loss}'"):
        model.set_params(loss=loss).partial_fit(X, y)
    assert bits(model, X) == before
