"""Dropout, normalization and skips of an estimator: over batches, calls and predictions."""

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp._core import N_LISTS, N_TRAINED
from reference.naive import EPSILON
from reference.problems import (
    LAYER_FEATURES,
    NORMALIZED,
    bits,
    intercepts_of,
    ours,
    outputs,
    problem,
)


def test_batches_that_weigh_nothing_leave_the_noise_as_it_was():
    """What is dropped does not depend on how many epochs one call runs."""
    X, y = problem("multiclass", n_samples=60)
    weights = np.repeat([1.0, 0.0, 2.0], 20)
    params = {"hidden_layer_sizes": (9,), "batch_size": 20, "shuffle": False, "max_iter": 4}
    model = ours("multiclass", dropout=0.5, random_state=0, **params)
    together = bits(model.fit(X, y, sample_weight=weights), X)
    one_by_one = bits(model.set_params(verbose=True).fit(X, y, sample_weight=weights), X)
    assert one_by_one == together


@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_batch_normalization_folds_into_the_weights(kind):
    """At prediction it is a network without it."""
    X, y = problem(kind, n_samples=200)
    params = {"hidden_layer_sizes": (20, 10), "max_iter": 20, "random_state": 0}
    model = ours(kind, normalization="batch", **params).fit(X, y)
    assert all((v != 1).all() for v in model.norm_variances_)
    folded = ours(kind, **params).fit(X, y)
    for i, (coef, intercept) in enumerate(zip(model.coefs_, intercepts_of(model), strict=True)):
        scale, shift = 1, 0
        if i < 2:
            scale = model.norm_scales_[i] / np.sqrt(model.norm_variances_[i] + EPSILON)
            shift = model.norm_shifts_[i] - model.norm_means_[i] * scale
        folded.coefs_[i] = coef * scale
        folded.intercepts_[i] = intercept * scale + shift
    np.testing.assert_allclose(outputs(folded, X), outputs(model, X), rtol=1e-12, atol=1e-14)


def test_running_averages_follow_the_batches():
    X, y = problem("squared", n_samples=40)
    params = {"hidden_layer_sizes": (7,), "batch_size": 40, "shuffle": False, "max_iter": 1}
    model = ours("squared", normalization="batch", random_state=0, warm_start=True, **params)
    means, variances = np.zeros(7), np.ones(7)
    model.fit(X, y)
    start = ours("squared", normalization="batch", random_state=0, **params)
    start.set_params(learning_rate_init=1e-300).fit(X, y)  # as good as no step
    coef, intercept = start.coefs_[0], intercepts_of(start)[0]
    for _ in range(4):
        z = X @ coef + intercept
        means, variances = 0.9 * means + 0.1 * z.mean(axis=0), 0.9 * variances + 0.1 * z.var(axis=0)
        np.testing.assert_allclose(model.norm_means_[0], means, atol=1e-13)
        np.testing.assert_allclose(model.norm_variances_[0], variances, rtol=1e-12)
        coef, intercept = model.coefs_[0].copy(), intercepts_of(model)[0].copy()
        model.fit(X, y)


def test_a_short_batch_counts_less_in_the_running_averages():
    """By its share of the others' rows: moments of a few rows are far from all rows'."""
    X, y = problem("squared", n_samples=41)
    params = {"hidden_layer_sizes": (7,), "batch_size": 40, "shuffle": False, "max_iter": 1}
    params |= {"learning_rate_init": 1e-300, "random_state": 0}  # as good as no step
    model = ours("squared", normalization="batch", **params).fit(X, y)
    z = X @ model.coefs_[0] + intercepts_of(model)[0]
    variance = 0.9 + 0.1 * z[:40].var(axis=0)
    variance *= 1 - 0.1 / 40  # one row has none
    np.testing.assert_allclose(model.norm_variances_[0], variance, rtol=1e-12)
    mean = 0.1 * z[:40].mean(axis=0)
    mean += 0.1 / 40 * (z[40] - mean)
    np.testing.assert_allclose(model.norm_means_[0], mean, atol=1e-14)


def test_batch_normalization_of_one_row_is_refused():
    X, y = problem("binary")
    for params, rows in (({"batch_size": 1}, slice(None)), ({}, slice(1))):
        model = ours("binary", normalization="batch", hidden_layer_sizes=(5,), **params)
        with pytest.raises(ValueError, match="batches of more than one sample"):
            model.fit(X[rows], y[rows])
    model = ours("binary", normalization="batch", hidden_layer_sizes=(5,)).fit(X, y)
    before = bits(model, X)
    with pytest.raises(ValueError, match="n_samples=1"):
        model.partial_fit(X[:1], y[:1])
    assert bits(model, X) == before


@pytest.mark.parametrize("normalization", NORMALIZED)
def test_a_weight_of_two_is_a_row_twice(normalization):
    """Also in the moments of a batch."""
    X, y = problem("multiclass")
    weights = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), weights)
    params = {"hidden_layer_sizes": (7, 7), "batch_size": 1000, "max_iter": 10, "random_state": 0}
    with pytest.warns(UserWarning, match="batch_size"):
        a = ours("multiclass", normalization=normalization, **params)
        a.fit(X, y, sample_weight=weights)
        b = ours("multiclass", normalization=normalization, **params).fit(X[rows], y[rows])
    np.testing.assert_allclose(outputs(a, X), outputs(b, X), atol=1e-10)


def test_rows_that_weigh_next_to_nothing(dtype):
    """As many as have moments of their own, of a weight that is no number to float32."""
    X, y = problem("multiclass", n_samples=200, dtype=dtype)
    params = {"hidden_layer_sizes": (7,), "shuffle": False, "max_iter": 3, "random_state": 0}
    found = []
    for light in (0.0, 1e-50):
        weights = np.repeat([light, 1.0], 100)
        model = ours("multiclass", normalization="batch", **params)
        found.append(outputs(model.fit(X, y, sample_weight=weights), X))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


@pytest.mark.parametrize("feature", LAYER_FEATURES)
@pytest.mark.parametrize("kind", ["binary", "multilabel", "squared x3"])
def test_partial_fit_and_warm_start_go_on(kind, feature, dtype):
    """Two epochs of partial_fit are two of fit, where the order of the rows is the same."""
    X, y = problem(kind, n_samples=90, dtype=dtype)
    params = {"hidden_layer_sizes": (12, 12), "shuffle": False, "random_state": 3, "max_iter": 2}
    fitted = ours(kind, **params, **LAYER_FEATURES[feature]).fit(X, y)
    classes = (
        {} if kind == "squared x3" else {"classes": np.unique(y) if y.ndim == 1 else [0, 1, 2]}
    )
    model = ours(kind, **params, **LAYER_FEATURES[feature]).partial_fit(X, y, **classes)
    before = outputs(model, X)
    model.partial_fit(X, y)
    if feature not in ("dropout", "all"):  # whose seed is drawn again
        np.testing.assert_array_equal(outputs(model, X), outputs(fitted, X))
    assert (outputs(model, X) != before).any()
    model.set_params(warm_start=True).fit(X, y)
    assert np.isfinite(outputs(model, X)).all()


@pytest.mark.parametrize(
    "params, message",
    [
        ({"dropout": [0.1]}, "one for each of the 2 hidden layers"),
        ({"dropout": [0.1, 1.0]}, "dropout must be"),
        ({"dropout": ["a", 0.1]}, "dropout must be"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"input_dropout": -0.1}, "'input_dropout' parameter"),
        ({"normalization": "group"}, "'normalization' parameter"),
        ({"normalization": "batch", "hidden_layer_sizes": ()}, "needs a hidden layer"),
        ({"residual": True, "hidden_layer_sizes": (5, 6)}, "as wide as"),
        ({"residual": True, "hidden_layer_sizes": (9,)}, "as wide as"),
        ({"activation": ["relu"]}, "one for each of the 2 hidden layers"),
        ({"activation": ["relu", "sine"]}, "activation must be one of identity, logistic"),
        ({"activation": ["relu", 3]}, "activation must be one of"),
        ({"solver": "lbfgs", "dropout": 0.1}, "solver='lbfgs' needs a loss"),
        ({"solver": "lbfgs", "input_dropout": 0.1}, "solver='lbfgs' needs a loss"),
        ({"solver": "lbfgs", "normalization": "batch"}, "solver='lbfgs' needs a loss"),
    ],
    ids=str,
)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_what_makes_no_sense_is_refused(cls, params, message):
    X, y = problem("binary")
    model = cls(**{"hidden_layer_sizes": (5, 5), "max_iter": 2} | params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_normalization_cannot_change_under_warm_start():
    X, y = problem("binary")
    model = ours("binary", hidden_layer_sizes=(5,), max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="normalization=None, which neither warm_start"):
        model.set_params(normalization="batch").fit(X, y)
    before = bits(model, X)
    model.set_params(warm_start=False).fit(X, y)
    assert bits(model, X) != before
    assert len(model.norm_means_) == 1
    model.set_params(normalization=None).fit(X, y)
    assert not hasattr(model, "norm_means_")


BY_ROW = [name for name in NORMALIZED if N_LISTS[name] == N_TRAINED[name]]


@pytest.mark.parametrize("normalization", BY_ROW)
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_normalization_by_row_and_skips_train_with_every_solver(solver, normalization):
    X, y = problem("multiclass", n_samples=200)
    params = {"hidden_layer_sizes": (20, 20), "normalization": normalization, "residual": True}
    params |= {"activation": ["gelu", "relu"], "max_iter": 100, "random_state": 0}
    model = ours("multiclass", solver=solver, learning_rate_init=0.03, **params).fit(X, y)
    assert model.score(X, y) > 0.9
