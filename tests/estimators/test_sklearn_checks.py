"""scikit-learn's own checks of an estimator, on the instances it checks and more.

None is expected to fail. Two checks, of weights against repeated rows, are skipped where they would
ask for what cannot be: 1e-7 of float32, or that a row twice be treated as one row is by what goes
row by row. The tests at the end say what holds there.
"""

import warnings

import numpy as np
import pytest
import sklearn.neural_network
from scipy import sparse
from sklearn.preprocessing import scale
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import _regression_dataset, parametrize_with_checks

from fastmlp import MLPClassifier, MLPRegressor, _core
from fastmlp._estimators.losses import REGRESSOR_LOSSES
from reference.problems import ours, outputs, problem

# Compare two trainings to 1e-7.
REPEATED_ROWS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def instances(**dtype):
    return [
        MLPClassifier(max_iter=100, **dtype),
        MLPRegressor(max_iter=100, **dtype),
        MLPClassifier(solver="lbfgs", max_iter=30, **dtype),
        MLPRegressor(solver="sgd", tol=1e-2, random_state=42, **dtype),
    ]


def with_features():
    """Every feature that is off by default is on in one of them."""
    small, fast = {"hidden_layer_sizes": (16,), "max_iter": 60}, {"learning_rate_init": 0.01}
    two = {"hidden_layer_sizes": (16, 16), "max_iter": 60}
    return [
        MLPClassifier(
            **two,
            **{"loss": "focal", "loss_params": {"gamma": 1.0}, "class_weight": "balanced"},
            **{"activation": ["gelu", "mish"], "residual": True, "init": "he_uniform"},
            **{"solver": "adamw", "weight_decay": 0.1, "average_weights": "ema"},
        ),
        MLPClassifier(
            **small | {"max_iter": 25},
            **{"loss": "hinge", "activation": "silu", "solver": "nadam", "clip_norm": 1.0},
            **{"learning_rate": "cosine", "warmup": 0.1, "restore_best_weights": True},
            **fast,
        ),
        MLPClassifier(
            **small | {"learning_rate_init": 0.05},
            **{"label_smoothing": 0.1, "solver": "radam", "normalization": "batch"},
            **{"activation": "leaky_relu"},
        ),
        MLPClassifier(
            **two | fast,
            **{"loss": "squared_error", "solver": "rmsprop", "normalization": "layer"},
            **{"activation": ["elu", "softsign"], "record": ["gradients", "activations"]},
        ),
        MLPClassifier(
            **small | {"learning_rate_init": 0.3},
            **{"solver": "sgd", "learning_rate": "one_cycle", "dropout": 0.2},
            **{"input_dropout": 0.1, "init": "lecun_normal"},
        ),
        MLPClassifier(
            **two | {"hidden_layer_sizes": (32, 32)} | fast,
            **{"dropout": [0.3, 0.1], "normalization": "batch", "residual": True},
            **{"n_estimators": 2, "class_weight": "balanced"},
        ),
        MLPClassifier(
            **small | fast,
            **{"early_stopping": True, "scoring": "loss", "stratify_validation": True},
            **{"validation_fraction": 0.2, "max_time": 60.0},
        ),
        MLPClassifier(
            **small | fast,
            **{"solver": "lion", "beta_2": 0.99, "max_norm": 3.0, "init": "orthogonal"},
            **{"n_estimators": 2, "activation": "hard_tanh"},
        ),
        MLPRegressor(
            **{"loss": "quantile", "loss_params": {"quantile": [0.5]}, "solver": "adagrad"},
            **small | {"learning_rate_init": 0.1, "learning_rate": "step"},
        ),
        MLPRegressor(
            **small | fast | {"loss": "huber", "solver": "rprop", "activation": "softplus"},
            n_estimators=2,
        ),
        MLPRegressor(
            **{"loss": "log_cosh", "alpha": 0.01, "l1_ratio": 0.5, "clip_value": 1.0},
            **small | fast | {"learning_rate": "exponential"},
        ),
        MLPRegressor(
            **{"loss": "absolute_error", "out_activation": "selu", "average_weights": "swa"},
            **small | fast | {"init": "normal", "init_scale": 0.3, "activation": "selu"},
        ),
        MLPRegressor(
            **two | {"learning_rate_init": 0.05, "max_iter": 30, "n_iter_no_change": 30},
            **{"early_stopping": True, "scoring": "r2", "validation_fraction": 0.2},
            **{"frozen_layers": [0], "learning_rate": "coslog4"},
        ),
        MLPRegressor(
            "poisson", **small | {"max_iter": 20}, solver="lbfgs", out_activation="softplus"
        ),
        MLPRegressor("gamma", **small | {"max_iter": 20}, solver="lbfgs", record={"weights"}),
    ]


def test_every_feature_is_checked():
    for cls in (MLPClassifier, MLPRegressor):
        theirs = getattr(sklearn.neural_network, cls.__name__)().get_params()
        on = {
            name
            for est in with_features()
            for name, value in est.get_params().items()
            if name not in cls().get_params() or value != cls().get_params()[name]
        }
        assert cls().get_params().keys() - theirs.keys() - {"dtype", "n_threads"} <= on
    assert {est.solver for est in with_features()} == {*_core.OPTIMIZERS, "lbfgs"}


def goes_by_rows(est):
    """What is held out, or left out, of a row twice is not what is of one row."""
    return bool(est.early_stopping or np.any(est.dropout) or est.input_dropout)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(instances() + instances(dtype="float32") + with_features())
def test_check_estimator(estimator, check):
    if getattr(check, "func", check).__name__ in REPEATED_ROWS:
        if estimator.dtype == "float32":
            pytest.skip("compares to 1e-7; done to float32's digits in a test of its own")
        if goes_by_rows(estimator):
            pytest.skip("a row twice is two rows to validation sets and to dropout")
    check(estimator)


def test_the_tag_poor_score_hides_nothing():
    """SGD with tol=1e-2 has it: on the checks' own data it stops where scikit-learn's stops."""
    X, y = _regression_dataset()
    y = scale(y)
    params = {"solver": "sgd", "tol": 1e-2, "random_state": 42}
    a = MLPRegressor(**params).fit(X, y)
    b = sklearn.neural_network.MLPRegressor(**params).fit(X, y)
    assert get_tags(a).regressor_tags.poor_score
    assert not get_tags(MLPRegressor(**params | {"tol": 1e-4})).regressor_tags.poor_score
    assert a.n_iter_ == b.n_iter_
    assert b.score(X, y) < 0.5
    np.testing.assert_allclose(a.score(X, y), b.score(X, y), rtol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared", "poisson"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_weight_of_two_is_a_row_twice_and_zero_none(kind, solver, container, dtype):
    """In one batch, to the digits of the type."""
    X, y = problem(kind, dtype=dtype)
    weights = np.arange(len(y)) % 3
    X = container(X)
    repeated = np.repeat(np.arange(len(y)), weights)
    params = {"hidden_layer_sizes": (7,), "random_state": 0, "max_iter": 10}
    params |= {"solver": solver, "batch_size": 1000, "learning_rate_init": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = ours(kind, **params).fit(X, y, sample_weight=weights)
        b = ours(kind, **params).fit(X[repeated], y[repeated])
    tolerance = 2e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.loss_, b.loss_, rtol=tolerance)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_rows_of_no_weight_take_nothing_from_dropout(kind, container, dtype):
    """What is dropped goes by a row's number: rows at the end that weigh nothing change nothing."""
    X, y = problem(kind, dtype=dtype)
    n = 50
    weights = np.linspace(0.5, 2, len(y)) * (np.arange(len(y)) < n)
    params = {"hidden_layer_sizes": (7, 5), "random_state": 0, "max_iter": 10, "shuffle": False}
    params |= {"batch_size": 1000, "dropout": 0.3, "input_dropout": 0.2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = ours(kind, **params).fit(container(X), y, sample_weight=weights)
        b = ours(kind, **params).fit(container(X[:n]), y[:n], sample_weight=weights[:n])
    tolerance = 2e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), rtol=0, atol=tolerance)


@pytest.mark.parametrize("scoring", [None, "loss", "accuracy"])
def test_a_validation_set_with_weights_is_the_one_with_rows_repeated(scoring):
    X, y = problem("binary", 90)
    weights = np.arange(30) % 3
    repeated = 60 + np.repeat(np.arange(30), weights)
    params = {"hidden_layer_sizes": (7,), "random_state": 0, "learning_rate_init": 0.1}
    params |= {"early_stopping": True, "scoring": scoring}
    a = ours("binary", **params)
    a.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:], sample_weight_val=weights)
    b = ours("binary", **params).fit(X[:60], y[:60], X_val=X[repeated], y_val=y[repeated])
    np.testing.assert_allclose(a.validation_loss_curve_, b.validation_loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(a.validation_scores_, b.validation_scores_, rtol=1e-9)
    assert a.n_iter_ < 200
    assert a.best_iteration_ == b.best_iteration_


def test_tags_say_what_y_may_be():
    for loss in REGRESSOR_LOSSES:
        positive = get_tags(MLPRegressor(loss)).target_tags.positive_only
        assert positive == (loss in ("poisson", "gamma"))
    stratified = {"early_stopping": True, "stratify_validation": True}
    for params, multilabel in (({}, True), (stratified, False)):
        assert get_tags(MLPClassifier(**params)).classifier_tags.multi_label == multilabel
