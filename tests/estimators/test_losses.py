"""The losses of estimators: weights of classes, decisions, quantiles, outputs, refusals."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor, SGDClassifier
from sklearn.metrics import d2_pinball_score, r2_score, recall_score
from sklearn.utils.class_weight import compute_sample_weight

import fastmlp
from fastmlp import _core
from fastmlp._estimators.losses import CLASSIFIER_LOSSES, REGRESSOR_LOSSES
from reference.naive import FORWARD
from reference.problems import OUT_ACTIVATIONS, bits, ours, problem

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
        for name in sorted({*_core.ACTIVATIONS} - {*_core.POSITIVE})
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
