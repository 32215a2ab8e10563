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
from fastmlp._estimators.losses import CLASSIFIER_LOSSES, REGRESSOR_LOSSES
from fastmlp._training.baseline import constant_loss
from reference.problems import ours, problem

C, R = MLPClassifier, MLPRegressor


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


@pytest.mark.parametrize("rounds", ["partial_fit", "warm_start"])
def test_rounds_that_diverged(rounds):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 5))
    params = {"solver": "sgd", "activation": "tanh", "random_state": 0, "warm_start": True}
    model = R("squared_error", (10,), max_iter=3, learning_rate_init=1e-3, **params)
    step = model.partial_fit if rounds == "partial_fit" else model.fit
    for y in (X[:, 0], 50 + 10 * X[:, 0]):  # new data are no divergence
        assert messages(lambda y=y: [step(X, y) for _ in range(5)]) == []
    model = R("squared_error", (10,), max_iter=3, learning_rate_init=3, momentum=0, **params)
    step = model.partial_fit if rounds == "partial_fit" else model.fit
    found = messages(lambda: [step(X, 30 * X[:, 0]) for _ in range(10)])
    diverged = [words for words in found if words.startswith("Training diverged")]
    assert len(diverged) == 1 if rounds == "partial_fit" else diverged


@pytest.mark.parametrize("data", [load_wine, load_breast_cancer])
def test_a_loss_that_is_stuck_where_outputs_are_saturated(data):
    X, y = data(return_X_y=True)
    model = MLPClassifier(activation="identity", solver="sgd", random_state=0)
    assert any(
        "that of predicting the same" in words for words in messages(lambda: model.fit(X, y))
    )
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


LOSSES = [
    *((C, loss, n) for loss in ("log_loss", "focal", "squared_error", "hinge") for n in (2, 3)),
    *((R, "quantile", 1), (R, "quantile", 2)),
    *((R, loss, n) for loss in REGRESSOR_LOSSES if loss != "quantile" for n in (1, 2)),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("make, loss, n", LOSSES)
def test_the_loss_of_a_constant_is_the_least(make, loss, n, weighted):
    """By a network without weights, of which only intercepts are trained; `n` is the number of
    classes or outputs."""
    rng = np.random.RandomState(0)
    weights = rng.uniform(0.5, 2, 60) if weighted else None
    params = {"hidden_layer_sizes": (), "alpha": 0, "random_state": 0}
    if make is C:
        y = rng.choice(n, 60, p=[0.2, 0.8] if n == 2 else [0.5, 0.3, 0.2])
        params["label_smoothing"] = 0.2 if loss == "log_loss" else 0
    else:
        y = rng.poisson(3, (60, n)).astype(float) + (loss == "gamma")
        if loss == "quantile":
            y, params["loss_params"] = y[:, 0], {"quantile": [0.2, 0.9][:n]}
    task = make(loss=loss, **params)._begin(np.zeros((60, 1)), y, weights)
    least = constant_loss(task.network.architecture, task.dataset.y, task.dataset.sample_weight)
    params |= {"solver": "rprop", "tol": 0, "max_iter": 2000, "n_iter_no_change": 2000}
    found = make(loss=loss, **params).fit(np.zeros((60, 1)), y, weights).best_loss_
    assert found == pytest.approx(least, rel=0.02)
    assert least >= found - 1e-5


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("loss", CLASSIFIER_LOSSES)
def test_no_classifier_fails_silently(loss, kind):
    X, y = problem(kind, 120)
    params = {"loss": loss, "learning_rate_init": 1e3, "random_state": 0}
    assert messages(lambda: C((10,), solver="sgd", **params).fit(X, y)) != []
    assert messages(lambda: C((10,), loss=loss, random_state=0).fit(X, y)) == []


@pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
@pytest.mark.parametrize("scale, offset", [(1, 1e4), (1e4, 0)])
def test_no_regressor_fails_silently(loss, scale, offset):
    """Where it does not learn y of another scale."""
    X, y = problem("poisson", 120)
    y = scale * (y + 0.1) + offset
    model = R(loss, (10,), random_state=0)
    found = messages(lambda: model.fit(X, y))
    assert (found != []) == (model.score(X, y) < -0.1), (model.score(X, y), found)


@pytest.mark.parametrize(
    "params", [{"dropout": 0.2}, {"label_smoothing": 0.1}, {"class_weight": "balanced"}, {}]
)
def test_what_makes_losses_incomparable_hides_no_failure(params):
    X, y = problem("multiclass", 300)
    weights = np.random.RandomState(0).uniform(size=300)
    model = C((20,), learning_rate_init=100, random_state=0, **params)
    (found,) = messages(lambda: model.fit(X, y, weights))
    assert "is worse than" in found


@pytest.mark.parametrize("kind", ["binary", "squared"])
@pytest.mark.parametrize("params", [{"solver": "sgd"}, {}, {"learning_rate": "cosine"}])
def test_a_rate_that_is_too_low(kind, params):
    """Training ends as if it had converged."""
    X, y = problem(kind, 200)
    model = ours(kind, learning_rate_init=1e-9, random_state=0, **params)
    (found,) = messages(lambda: model.fit(X, y))
    assert "hardly changed" in found and "increase learning_rate_init=1e-09" in found
    model.set_params(early_stopping=True)
    assert len(messages(lambda: model.fit(X, y))) == 1


def test_a_rate_that_falls_too_fast():
    X, y = problem("binary", 400)
    model = C(solver="sgd", learning_rate="invscaling", random_state=0)
    (found,) = messages(lambda: model.fit(X, y))
    assert "hardly changed" in found


def test_a_tol_that_is_too_large_for_the_gradient():
    X, y = problem("squared", 200)
    model = R("squared_error", (10,), solver="lbfgs", init="normal", init_scale=1e-3)
    (found,) = messages(lambda: model.fit(X, 1e-3 * y))
    assert "hardly changed" in found and "for regression, y; or reduce tol=0.0001" in found


@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared"])
def test_a_network_that_predicts_the_same_for_every_sample(kind):
    """Gradients vanish in many logistic layers, and where all relu units are dead."""
    X, y = problem(kind, 200)
    model = ours(kind, hidden_layer_sizes=(20,) * 6, activation="logistic", random_state=0)
    (found,) = messages(lambda: model.fit(X, y))
    assert "which is what the network does" in found and "another activation" in found
    model.set_params(hidden_layer_sizes=(5,), activation="relu", learning_rate_init=0.01)
    model.set_params(init=lambda fan_in, fan_out, random_state: -np.ones((fan_in, fan_out)))
    (found,) = messages(lambda: model.fit(np.abs(X), y))
    assert "which is what the network does" in found


def test_a_loss_that_is_not_finite():
    X, y = problem("squared", 60)
    with np.errstate(all="ignore"):
        found = messages(lambda: R(max_iter=2).fit(X, 1e300 * y))
    assert any(words.startswith("Training diverged: the loss is inf") for words in found)


@pytest.mark.parametrize("n_rows", [1, 5])
def test_validation_scores_that_tell_nothing(n_rows):
    """R2 is not a number for one row, and 0 if targets are equal."""
    X, y = problem("squared", 200)
    y_val = np.full(n_rows, y.mean())
    model = R(early_stopping=True, random_state=0)
    (found,) = messages(lambda: model.fit(X, y, X_val=X[:n_rows], y_val=y_val))
    assert ("not a number in any epoch" if n_rows == 1 else "were all 0") in found
    assert "such as 'loss'" in found


def test_early_stopping_on_equal_targets_is_not_warned_of():
    """As in one of scikit-learn's own tests."""
    X, _ = problem("squared", 200)
    assert messages(lambda: R(early_stopping=True, random_state=0).fit(X, np.ones(200))) == []


def test_a_rare_class_that_accuracy_does_not_see():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((600, 5)), np.arange(600) % 20 == 0
    X[y] += 1
    model = C(early_stopping=True, random_state=0)
    (found,) = messages(lambda: model.fit(X, y))
    assert "Or use scoring='loss'" in found
    assert messages(lambda: model.set_params(scoring="loss", tol=0).fit(X, y)) == []


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


def test_years_and_tiny_values(dtype):
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((200, 3)), np.arange(200) % 2
    years = np.c_[X, rng.randint(1950, 2020, 200)]
    for bad, told in ((years, "from 195"), (1e-3 * X, "no value greater than 0.00")):
        model = C((3,), max_iter=1)
        (found,) = messages(lambda bad=bad, model=model: model.fit(bad.astype(dtype), y))
        assert told in found and "StandardScaler" in found
    for good in (X, np.c_[X, 7 + 0.01 * X], np.c_[X, np.full(200, 2000.0)], X > 0, 0 * X):
        assert messages(lambda good=good: C((3,), max_iter=1).fit(good.astype(dtype), y)) == []


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
    model = MLPClassifier((6, 6), init=MLPClassifier((6, 6), **params).fit(X, y), **params)
    assert messages(lambda: model.fit(X, y)) == []
    (found,) = messages(lambda: model.set_params(residual=True).fit(X, y))
    assert "init has residual=False, this network residual=True" in found


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
