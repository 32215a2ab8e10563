"""Training that would fail without an error gets a warning that says what to do, and training that
goes well gets none."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier, MLPRegressor
from reference.problems import ours, problem


def messages(fit):
    """The warnings of a fit, except that it reached `max_iter`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    return [str(w.message) for w in caught if "Maximum iterations" not in str(w.message)]


# ------------------------------------------------------------------------------ failed training


@pytest.mark.parametrize("rate", [1, 3, 10])
def test_training_that_diverged(rate):
    """The loss grows by orders of magnitude, or ends at a value worse than a constant's."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 5))
    params = {"hidden_layer_sizes": (10,), "activation": "tanh", "momentum": 0, "max_iter": 30}
    model = MLPRegressor(solver="sgd", learning_rate_init=rate, random_state=0, **params)
    (message,) = messages(lambda: model.fit(X, 30 * X[:, 0]))
    assert "reduce learning_rate_init=" in message and "StandardScaler" in message
    model.set_params(learning_rate_init=0.01)
    assert messages(lambda: model.fit(X, X[:, 0])) == []


@pytest.mark.parametrize("data", [load_wine, load_breast_cancer])
def test_a_loss_that_is_stuck_where_outputs_are_saturated(data):
    X, y = data(return_X_y=True)
    model = MLPClassifier(activation="identity", solver="sgd", random_state=0)
    assert any("worse than" in message for message in messages(lambda: model.fit(X, y)))
    X = StandardScaler().fit_transform(X)
    assert messages(lambda: model.fit(X, y)) == []


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "squared", "squared x3"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"dropout": 0.8}, {"alpha": 100}])
def test_training_that_does_as_well_as_it_can_is_not_warned_of(kind, weighted, params, dtype):
    """Targets that are noise leave nothing to learn except the constant."""
    X, y = problem(kind, 120, dtype=dtype)
    y = np.random.RandomState(1).permutation(y)
    weights = np.random.RandomState(2).uniform(0.2, 2, 120) if weighted else None
    model = ours(kind, hidden_layer_sizes=(4,), n_iter_no_change=3, random_state=0, **params)
    assert messages(lambda: model.fit(X, y, weights)) == []


@pytest.mark.parametrize(
    "loss", ["log_loss", "binary_log_loss", "squared_error", "poisson", "gamma"]
)
def test_the_loss_of_a_constant_is_the_least(loss):
    """By a network without weights: only intercepts are trained."""
    from fastmlp._training.baseline import constant_loss

    rng = np.random.RandomState(0)
    weights = rng.uniform(0.5, 2, 60)
    y = {
        "log_loss": lambda: rng.randint(3, size=60),
        "binary_log_loss": lambda: rng.randint(2, size=60),
        "squared_error": lambda: rng.standard_normal(60),
        "poisson": lambda: rng.poisson(2, 60).astype(float),
        "gamma": lambda: rng.gamma(2, 3, 60),
    }[loss]()
    params = {
        "hidden_layer_sizes": (),
        "solver": "lbfgs",
        "tol": 1e-10,
        "max_iter": 500,
        "alpha": 0,
    }
    model = MLPClassifier(**params) if "log" in loss else MLPRegressor(loss, **params)
    model.fit(np.zeros((60, 1)), y, weights)
    encoded = y.astype(np.int32) if loss == "log_loss" else y.reshape(-1, 1)
    np.testing.assert_allclose(constant_loss(loss, encoded, weights), model.loss_, rtol=1e-8)
    assert constant_loss("huber", encoded, weights) is None


# ------------------------------------------------------------------------------ log links


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0, 1e5])
@pytest.mark.parametrize("loss, init", [("gamma", "auto"), ("poisson", "glorot_uniform")])
def test_losses_with_a_log_link_begin_at_the_mean_of_y(loss, init, scale, dtype):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 4)).astype(dtype)
    y = scale * np.exp(X[:, 0] + 0.1 * rng.standard_normal(300))
    params = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "random_state": 0}
    model = MLPRegressor(loss, init=init, max_iter=1, learning_rate_init=1e-9, random_state=0)
    assert 0.2 < model.fit(X, y).predict(X).mean() / y.mean() < 5
    if scale >= 1 or loss == "gamma":
        assert MLPRegressor(loss, init=init, **params).fit(X, y).score(X, y) > 0.9


def test_poisson_from_init_auto_is_scikit_learns():
    import sklearn.neural_network

    X, y = problem("poisson")
    models = [
        make("poisson", (5,), max_iter=2, random_state=0).fit(X, y)
        for make in (MLPRegressor, sklearn.neural_network.MLPRegressor)
    ]
    np.testing.assert_allclose(models[0].intercepts_[-1], models[1].intercepts_[-1], rtol=1e-9)


# ------------------------------------------------------------------------------ scales


def spread(columns):
    rng = np.random.RandomState(0)
    return rng.standard_normal((200, len(columns))) * np.array(columns)


@pytest.mark.parametrize(
    "X, told",
    [
        (spread([1, 1e5]), "columns with ranges from"),
        (spread([1, 1e-5]), "columns with ranges from"),
        (spread([1e6]), "values as large as"),
        (spread([1, 1]) + [0, 1e5], "values as large as"),
        (spread([1, 100]), None),
        (np.c_[spread([1]), np.zeros(200)], None),
        (np.eye(200)[:, :20], None),
        (load_digits().data, None),
        (load_iris().data, None),
        (spread([1e6])[:5], None),
    ],
)
def test_inputs_that_are_not_scaled(X, told, dtype):
    y = np.arange(len(X)) % 2
    model = MLPClassifier((3,), max_iter=1, random_state=0)
    found = messages(lambda: model.fit(X.astype(dtype), y))
    assert len(found) == (told is not None)
    if told:
        assert (
            told in found[0] and "make_pipeline(StandardScaler(), MLPClassifier(...))" in found[0]
        )
        with sklearn.config_context(assume_finite=True):
            assert messages(lambda: model.fit(X, y)) == []
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert messages(lambda: model.partial_fit(X, y)) == []  # told once
    assert messages(lambda: model.fit(sparse.csr_array(X), y)) == []


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_validation_set_of_another_scale(early_stopping, dtype):
    X, y = problem("squared", 120, dtype=dtype)
    raw, X_val, y_val = 50 * X + 200, X[:40], y[:40]
    model = ours("squared", max_iter=2, early_stopping=early_stopping, random_state=0)
    assert messages(lambda: model.fit(X, y, X_val=X_val, y_val=y_val)) == []
    (found,) = messages(lambda: model.fit(X, y, X_val=raw[:40], y_val=y_val))
    assert found.startswith("X_val has another scale than X") and "X_val in the doc" in found
    model = TransformedTargetRegressor(model, transformer=StandardScaler())
    target = 1e4 + 1e3 * y
    (found,) = messages(lambda: model.fit(X, target, X_val=X_val, y_val=target[:40]))
    assert found.startswith("y_val has another scale than y")
    assert "TransformedTargetRegressor transforms y but not y_val" in found


# ------------------------------------------------------------------------------ weights


def test_weights_that_sum_to_one():
    X, y = problem("binary", 200)
    model = ours("binary", max_iter=2, random_state=0, alpha=1e-2)
    weights = np.full(200, 1 / 200)
    (found,) = messages(lambda: model.fit(X, y, weights))
    assert "alpha=0.01 acts like alpha=2" in found and "len(X) / sample_weight.sum()" in found
    for alpha, w in ((1e-2, 200 * weights), (0.0, weights), (1e-5, weights), (1e-2, None)):
        assert messages(lambda alpha=alpha, w=w: model.set_params(alpha=alpha).fit(X, y, w)) == []
    boosted = AdaBoostClassifier(ours("binary", solver="lbfgs", alpha=0.01), n_estimators=2)
    assert any("acts like" in message for message in messages(lambda: boosted.fit(X, y)))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_negative_weights_are_refused(kind, method):
    X, y = problem(kind)
    weights = np.ones(len(X))
    weights[3] = -0.1
    model = ours(kind, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        getattr(model, method)(X, y, weights)
    with pytest.raises(ValueError, match="Negative values in data"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=weights)


# ------------------------------------------------------------------------------ targets


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
@pytest.mark.parametrize("kind", ["M", "m"])
def test_dates_are_no_targets(kind, unit):
    import pandas as pd

    X, _ = problem("squared", 30)
    y = np.arange(30).astype(f"{kind}8[{unit}]")
    model = MLPRegressor(max_iter=2)
    for given in (y, pd.Series(y), y[:, np.newaxis]):
        for method in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match="y must be numbers, got"):
                method(X, given)
    with pytest.raises(ValueError, match="y must be numbers, got"):
        model.fit(X, np.arange(30.0), X_val=X, y_val=y)


@pytest.mark.filterwarnings("ignore:Number of classes in training fold")
def test_a_fold_with_one_class():
    """The columns of predict_proba are those of `classes_`, so that cross_val_predict works."""
    X, _ = problem("binary", 40)
    y = np.repeat(["a", "b"], 20)
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X[:20], y[:20])
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((40, 1)))
    assert (model.predict(X) == "a").all()
    first, last = np.arange(20), np.arange(20, 40)
    folds = [(first, last), (np.arange(40), first)]
    found = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    np.testing.assert_array_equal(found[20:], np.tile([1.0, 0.0], (20, 1)))


# ------------------------------------------------------------------------------ init


def test_frozen_layers_that_init_does_not_have():
    X, y = problem("multiclass", 80)
    params = {"max_iter": 2, "random_state": 0}
    source = MLPClassifier((6, 5), **params).fit(X, y)
    model = MLPClassifier((6, 7), init=source, frozen_layers=[0, 1], **params)
    (found,) = messages(lambda: model.fit(X, y))
    assert "frozen_layers names the layers [1]" in found and "[(6, 7)]" in found
    model.set_params(hidden_layer_sizes=(6, 5))
    assert messages(lambda: model.fit(X, y)) == []
    (found,) = messages(lambda: model.set_params(activation="tanh").fit(X, y))
    assert "hidden layer 0 has activation 'relu', this network's has 'tanh'" in found
    model.set_params(activation="relu", normalization="layer")
    (found,) = messages(lambda: model.fit(X, y))
    assert "init has normalization=None" in found


# ------------------------------------------------------------------------------ subclasses


def test_hooks_of_a_mixin_are_told_once():
    """Wherever the mixin stands; not those that scikit-learn itself defines."""

    class Mixin:
        def _backprop(self, *args):
            return None

    for bases in ((Mixin, MLPClassifier), (MLPClassifier, Mixin)):
        with pytest.warns(UserWarning, match="Mixin._backprop overrides a private method"):
            Mine = type("Mine", bases, {})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            type("Deeper", (Mine,), {})
            type("Both", (MLPClassifier, sklearn.neural_network.MLPClassifier), {})


@pytest.mark.parametrize("name", ["_init_coef", "_backprop", "_fit_stochastic", "_fit", "_predict"])
def test_a_subclass_that_overrides_what_is_not_called_is_told(name):
    with pytest.warns(UserWarning, match=f"Mine.{name} overrides a private method of scikit-learn"):
        Mine = type("Mine", (MLPClassifier,), {name: lambda self, *args: None})
    X, y = problem("binary", 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        Mine(max_iter=2).fit(X, y).predict(X)  # told once, where the class is made
        type("Other", (MLPRegressor,), {"predict": lambda self, X: 2 * super().predict(X)})
