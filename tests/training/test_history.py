"""The record of training, what `record` adds to it, and training that ends by the clock."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor
from fastmlp._core import Dataset
from fastmlp._network import network as network_module
from fastmlp._network import plan
from fastmlp._training import stochastic
from fastmlp._training.schedules import SCHEDULES
from reference.build import new_network
from reference.problems import (
    CONTAINERS,
    NORMALIZED,
    bits,
    intercepts_of,
    ours,
    outputs,
    problem,
    sample_weights,
)

ALWAYS = {"loss", "learning_rate", "seconds"}
VALIDATED = ALWAYS | {"validation_loss", "validation_score"}
RECORDED = {"gradient_norms", "weight_norms", "dead_units", "saturated_units"}
EVERYTHING = {"gradients", "activations", "weights"}


def small(kind="multiclass", **params):
    return ours(kind, **{"hidden_layer_sizes": (7, 5), "max_iter": 6, "random_state": 0} | params)


def lengths(model):
    return {name: len(values) for name, values in model.history_.items()}


# ------------------------------------------------------------------------------ history_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_what_is_noted_of_each_epoch(solver, early_stopping, dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = small(solver=solver, early_stopping=early_stopping).fit(X, y)
    assert lengths(model) == dict.fromkeys(VALIDATED if early_stopping else ALWAYS, model.n_iter_)
    assert model.history_["loss"] == model.loss_curve_
    assert model.history_["learning_rate"] == [model.learning_rate_init] * model.n_iter_
    assert min(model.history_["seconds"]) > 0
    if early_stopping:
        assert model.history_["validation_score"] == model.validation_scores_
        assert model.history_["validation_loss"] == model.validation_loss_curve_
    else:
        assert model.validation_loss_curve_ is None
        assert model.best_iteration_ == 1 + np.argmin(model.loss_curve_)


def test_epochs_run_at_once_leave_the_same_record(monkeypatch):
    X, y = problem("multiclass")
    together = small(max_iter=50, learning_rate_init=0.1, tol=0).fit(X, y)
    monkeypatch.setattr(plan, "CALL_WORK", 0)
    alone = small(max_iter=50, learning_rate_init=0.1, tol=0).fit(X, y)
    assert together.best_iteration_ == alone.best_iteration_ == 1 + np.argmin(alone.loss_curve_)
    for model in (together, alone):
        assert min(model.history_.pop("seconds")) > 0
    assert together.history_ == alone.history_


def test_the_learning_rate_of_each_epoch():
    X, y = problem("squared")
    params = {"solver": "sgd", "learning_rate_init": 0.1, "max_iter": 4}
    model = small("squared", learning_rate="invscaling", **params).fit(X, y)
    expected = [0.1, *(0.1 / (61 * epoch + 1) ** 0.5 for epoch in (1, 2, 3))]
    np.testing.assert_allclose(model.history_["learning_rate"], expected)
    params |= {"tol": 10, "n_iter_no_change": 1, "max_iter": 7}
    model = small("squared", learning_rate="adaptive", **params).fit(X, y)
    expected = np.repeat([0.1, 0.02, 0.004], [3, 2, 2])  # the first epoch is an improvement
    np.testing.assert_allclose(model.history_["learning_rate"], expected)


def test_lbfgs_notes_its_iterations(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = small(solver="lbfgs", max_iter=15).fit(X, y)
    assert lengths(model) == {"loss": 15, "seconds": 15}
    assert model.n_iter_ == model.best_iteration_ == 15
    assert model.history_["loss"][-1] == model.loss_
    assert model.history_["loss"] == sorted(model.history_["loss"], reverse=True)


def test_the_record_goes_on_over_calls(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = small(warm_start=True).fit(X, y)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    model.partial_fit(X, y)
    model = pickle.loads(pickle.dumps(model))
    model.set_params(record={"weights"}).fit(X, y)
    assert lengths(model) == dict.fromkeys(VALIDATED | {"weight_norms"}, 19)
    table = pd.DataFrame(model.history_)
    assert table["loss"].tolist() == model.loss_curve_
    for name, measured in {
        "validation_loss": range(6, 12),
        "validation_score": range(6, 12),
        "weight_norms": range(13, 19),
    }.items():
        assert table[name].notna().to_numpy().nonzero()[0].tolist() == list(measured)
    assert table["seconds"].notna().all()
    model.set_params(warm_start=False, record=None).fit(X, y)
    assert lengths(model) == dict.fromkeys(ALWAYS, 6)


def test_the_best_epoch_is_counted_over_warm_starts():
    X, y = problem("multiclass")
    model = small(warm_start=True, learning_rate_init=0.02).fit(X, y).fit(X, y)
    assert model.best_iteration_ == 12 == len(model.loss_curve_)
    model.set_params(solver="lbfgs", max_iter=3).fit(X, y)
    assert model.best_iteration_ == 15 == len(model.history_["loss"])


# ------------------------------------------------------------------------------ max_time


def wide(n_rows=4000, **params):
    """A network of which not one epoch fits the first slice of time."""
    params = {"hidden_layer_sizes": (100,), "batch_size": 200, "shuffle": False} | params
    X = np.random.RandomState(0).standard_normal((n_rows, 50))
    return small("squared", **params), X, X[:, 0] * X[:, 1]


@pytest.mark.parametrize("container", ["dense", "csr"])
def test_a_first_epoch_that_is_cut_short(container, dtype):
    """Whole steps are taken, and the model is that of so many rows."""
    model, X, y = wide(max_time=1e-9)
    X = CONTAINERS[container](X.astype(dtype))
    model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 1
    assert 200 <= model.t_ < 4000 and model.t_ % 200 == 0
    assert model._optimizer.t == model.t_ // 200
    twin = wide(max_iter=1)[0].fit(X[: model.t_], y[: model.t_])
    np.testing.assert_allclose(model.loss_, twin.loss_, rtol=1e-12)
    assert bits(model, X)[:-2] == bits(twin, X)[:-2]


def test_a_later_epoch_that_is_cut_short(monkeypatch, dtype):
    """Its steps count and its loss does not."""
    train, clock = network_module.Network.train, iter([0, np.inf])
    deadlines = iter([np.inf, -np.inf])

    def hurried(self, *args, **params):
        return train(self, *args, **params | {"deadline": next(deadlines)})

    monkeypatch.setattr(plan, "CALL_WORK", 0)
    monkeypatch.setattr(network_module.Network, "train", hurried)
    monkeypatch.setattr(stochastic, "perf_counter", lambda: next(clock))
    params = {"hidden_layer_sizes": (400,), "batch_size": 100, "dtype": dtype.name}
    model, X, y = wide(30_000, max_time=50, **params)
    model.fit(X, y)
    assert (model.n_iter_, model.t_, lengths(model)["loss"]) == (1, 30_000, 1)
    assert 300 < model._optimizer.t < 600
    monkeypatch.undo()
    twin = wide(max_iter=1, **params)[0].fit(X, y)
    assert twin.loss_ == model.loss_
    rest = (model._optimizer.t - 300) * 100
    twin.partial_fit(X[:rest], y[:rest])
    assert bits(model, X)[:-2] == bits(twin, X)[:-2]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_time_that_is_up_is_no_lack_of_convergence(early_stopping):
    model, X, y = wide(max_time=1e-9, early_stopping=early_stopping, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
        model.set_params(solver="lbfgs", early_stopping=False).fit(X, y)
    assert model.n_iter_ == lengths(model)["loss"] == 1
    assert np.isfinite(model.predict(X)).all()


def test_time_that_suffices_changes_nothing(dtype):
    X, y = problem("multiclass", dtype=dtype)
    for solver in ("adam", "sgd", "lbfgs"):
        model = small(solver=solver, max_time=1e6).fit(X, y)
        assert bits(model, X) == bits(small(solver=solver).fit(X, y), X)


def test_a_batch_in_chunks_is_finished(monkeypatch, dtype):
    monkeypatch.setattr(plan, "WORKSPACE_BYTES", 2**15)
    monkeypatch.setattr(plan, "MIN_ROWS", 40)
    monkeypatch.setattr(plan, "PARTIAL_BYTES", 0)
    X, y = problem("squared", 4000, 50, dtype)
    y = y[:, np.newaxis].astype(dtype)
    network = new_network(
        [50, 100, 1], activations=["tanh"], loss="squared_error", dtype=dtype, optimizer="sgd"
    )
    dataset, order = Dataset(X, y), np.arange(4000)
    outcome = network.train(
        dataset,
        np.array([order, order]),
        1500,
        alpha=0,
        step={"learning_rate": 0.1},
        deadline=-np.inf,
    )
    assert outcome.n_steps == 1
    assert outcome.loss_sums == [] and outcome.rest[1] == 1500 and outcome.rest[0] > 0


@pytest.mark.parametrize("value", [0, -1, "1"])
def test_times_that_are_refused(value):
    with pytest.raises(ValueError, match="'max_time' parameter"):
        small(max_time=value).fit(*problem("multiclass"))


# ------------------------------------------------------------------------------ record


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_what_is_recorded_of_each_layer(solver, container, dtype):
    """Of the last epoch, as its weights show it; of the first 1000 rows."""
    X, y = problem("multiclass", 1100, dtype=dtype)
    weights = sample_weights(len(y))
    params = {"solver": solver, "activation": ["relu", "tanh"], "init": "normal", "alpha": 3.0}
    params |= {"hidden_layer_sizes": (12, 9), "init_scale": 0.9}
    wrapped = CONTAINERS[container](X)
    model = small(record=EVERYTHING, **params).fit(wrapped, y, weights)
    plain = small(**params).fit(wrapped, y, weights)
    assert bits(model, X) == bits(plain, X)  # to look changes nothing
    assert lengths(model).keys() - lengths(plain).keys() == RECORDED
    last = {name: model.history_[name][-1] for name in RECORDED}
    tolerance = 1e-3 if dtype == np.float32 else 1e-10

    np.testing.assert_allclose(
        last["weight_norms"], [np.linalg.norm(w) for w in model.coefs_], rtol=tolerance
    )
    X, y, weights = X[:1000], y[:1000], weights[:1000]
    hidden = [model.hidden_layer(X, layer).astype(float) for layer in (0, 1)]
    delta = (model.predict_proba(X) - np.eye(3)[y]) * weights[:, np.newaxis] / weights.sum()
    norms = [np.linalg.norm(hidden[1].T @ delta)]
    delta = delta @ model.coefs_[2].T * (1 - hidden[1] ** 2)
    norms.insert(0, np.linalg.norm(hidden[0].T @ delta))
    delta = delta @ model.coefs_[1].T * (hidden[0] > 0)
    norms.insert(0, np.linalg.norm(X.T @ delta))
    np.testing.assert_allclose(last["gradient_norms"], norms, rtol=tolerance)
    assert last["dead_units"] == [np.mean((h == h[0]).all(axis=0)) for h in hidden]
    near = np.abs(hidden[1]) >= 0.98
    assert last["saturated_units"] == [0, np.mean(near.mean(axis=0) > 0.5)]
    assert 0 < last["saturated_units"][1] < 1


@pytest.mark.parametrize("name", ["gradients", "activations", "weights"])
def test_only_what_is_asked_for_is_recorded(name):
    X, y = problem("multiclass")
    model = small(record=[name]).fit(X, y)
    names = {"gradients": {"gradient_norms"}, "weights": {"weight_norms"}}
    names["activations"] = RECORDED - {"gradient_norms", "weight_norms"}
    assert lengths(model).keys() - ALWAYS == names[name]


def test_the_record_does_not_depend_on_threads(dtype):
    X, y = problem("multiclass", 701, 53, dtype)
    params = {"hidden_layer_sizes": (67, 35), "record": EVERYTHING, "early_stopping": True}
    runs = []
    for n_threads in (1, 2, 3, 7):
        model = small(n_threads=n_threads, **params).fit(X, y)
        model.history_.pop("seconds")
        runs.append([*bits(model, X), repr(model.history_)])
    assert runs[1:] == runs[:1] * 3


def test_a_linear_model_has_no_hidden_layers():
    X, y = problem("multiclass")
    model = small(record=EVERYTHING, hidden_layer_sizes=()).fit(X, y)
    assert model.history_["dead_units"] == [[]] * 6
    assert [len(norms) for norms in model.history_["gradient_norms"]] == [1] * 6


def complaints(record=("gradients",), activation="tanh", solver="adam", **params):
    """The warnings of a network of ten hidden layers."""
    X, y = problem("binary", 300, 6)
    params = {"hidden_layer_sizes": (64,) * 10, "max_iter": 2, "random_state": 0} | params
    model = ours("binary", activation=activation, solver=solver, record=record, **params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    found = [(w.category, str(w.message)) for w in caught if "Gradients" in str(w.message)]
    return model, found


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_vanishing_gradients_and_their_cure(solver):
    sick, warned = complaints(solver=solver, init="normal", init_scale=0.05)
    assert len(warned) == 1 and warned[0][0] is UserWarning
    assert warned[0][1].startswith("Gradients vanish: the error that reaches layer 0 is ")
    assert "init='glorot_uniform'" in warned[0][1]
    well, warned = complaints(solver=solver, init="glorot_uniform")
    assert not warned
    norms = [np.mean(model.history_["gradient_norms"][0]) for model in (sick, well)]
    assert norms[0] < norms[1] / 10


@pytest.mark.parametrize("init", ["he_uniform", "he_normal", "orthogonal"])
def test_cures_of_relu(init):
    assert complaints(activation="relu", init="normal")[1]
    assert not complaints(activation="relu", init=init)[1]


def test_exploding_gradients():
    for activation in ("relu", "identity"):
        _, warned = complaints(activation=activation, init="normal", init_scale=1.0)
        assert warned[0][1].startswith("Gradients explode: the error that reaches layer 0 is ")
        assert "clip_norm" in warned[0][1]


def test_frozen_layers_are_passed_over():
    """Theirs are zero, and nobody misses them."""
    sick = {"init": "normal", "init_scale": 0.05}
    model, warned = complaints(frozen_layers=[0, -1], **sick)
    norms = model.history_["gradient_norms"][-1]
    assert norms[0] == norms[-1] == 0 < min(norms[1:-1])
    assert "reaches layer 1 is " in warned[0][1] and "of that at layer 9. " in warned[0][1]
    assert not complaints(frozen_layers=range(10), **sick)[1]


def test_dead_units_stop_the_gradient():
    X, y = problem("binary")
    weights = [np.ones((9, 4)), np.ones((4, 1))], [np.full(4, -1e4), np.zeros(1)]
    model = ours("binary", hidden_layer_sizes=(4,), init=weights, max_iter=2)
    with pytest.warns(UserWarning, match="all units of hidden layer 0 are dead"):
        model.set_params(record=["gradients", "activations"]).fit(X, y)
    assert model.history_["dead_units"] == [[1.0], [1.0]]


def test_nothing_else_warns():
    assert not complaints(record=("weights", "activations"), init="normal")[1]
    assert not complaints(record=None, init="normal")[1]


@pytest.mark.parametrize("value", [{"norms"}, {"weights", "bias"}, ["gradient"], [["gradients"]]])
def test_records_that_do_not_exist(value):
    X, y = problem("multiclass")
    with pytest.raises(ValueError, match="'record' parameter of MLPClassifier must be a set"):
        small(record=value).fit(X, y)


# ------------------------------------------------------------------------------ hidden_layer


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared x3", "poisson"])
def test_outputs_of_hidden_layers(kind, container, dtype):
    X, y = problem(kind, dtype=dtype)
    model = small(kind, activation=["tanh", "relu"], learning_rate_init=1e-3).fit(X, y)
    wrapped = CONTAINERS[container](X)
    h = X
    for layer, function in enumerate((np.tanh, lambda z: np.maximum(z, 0))):
        h = function(h @ model.coefs_[layer] + intercepts_of(model)[layer])
        found = model.hidden_layer(wrapped, layer=layer)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, h, rtol=1e-4, atol=1e-6)
        assert found.tobytes() == model.hidden_layer(wrapped, layer=layer - 2).tobytes()
    top = found @ model.coefs_[2] + intercepts_of(model)[2]
    link = {"squared x3": lambda z: z, "poisson": lambda z: np.exp(z).ravel()}.get(kind)
    if link is not None:
        np.testing.assert_allclose(outputs(model, X), link(top), rtol=1e-4, atol=1e-5)


def test_the_last_hidden_layer_is_what_is_asked_for_by_default():
    X, y = problem("multiclass")
    model = small().fit(X, y)
    assert model.hidden_layer(X).shape == (61, 5)
    np.testing.assert_array_equal(model.hidden_layer(X), model.hidden_layer(X, 1))
    np.testing.assert_array_equal(model.hidden_layer(X[:1]), model.hidden_layer(X)[:1])


def test_hidden_layers_that_are_not_there():
    X, y = problem("multiclass")
    for layer in (2, -3):
        with pytest.raises(ValueError, match="there are 2 hidden layers"):
            small().fit(X, y).hidden_layer(X, layer)
    with pytest.raises(ValueError, match="there are 0 hidden layers"):
        small(hidden_layer_sizes=()).fit(X, y).hidden_layer(X)
    with pytest.raises(TypeError):
        small().fit(X, y).hidden_layer(X, 0.5)
    with pytest.raises(ValueError, match="not fitted yet"):
        small().hidden_layer(X)
    with pytest.raises(ValueError, match="contains NaN"):
        small().fit(X, y).hidden_layer(np.full_like(X, np.nan))


@pytest.mark.parametrize(
    "params",
    [*({"normalization": name} for name in NORMALIZED), {"residual": True}],
    ids=str,
)
def test_hidden_layers_of_networks_with_more_than_products(params, dtype):
    """What the rest of the network makes of them is the prediction."""
    X, y = problem("squared x3", dtype=dtype)
    params = params | {"hidden_layer_sizes": (6, 6), "dropout": 0.2}
    model = small("squared x3", **params).fit(X, y)
    top = model.hidden_layer(X) @ model.coefs_[2] + intercepts_of(model)[2]
    np.testing.assert_allclose(model.predict(X), top, rtol=1e-4, atol=1e-5)
    plain = small("squared x3", record=EVERYTHING, **params).fit(X, y)
    assert bits(plain, X) == bits(model, X)
    assert np.isfinite(plain.history_["gradient_norms"]).all()


def test_ensembles_have_a_record_but_no_inside(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = small(n_estimators=3, early_stopping=True, scoring="neg_log_loss").fit(X, y)
    assert lengths(model) == dict.fromkeys(VALIDATED, model.n_iter_)
    np.testing.assert_allclose(model.history_["loss"], model.loss_curve_)
    with pytest.raises(ValueError, match="single network"):
        small(n_estimators=2, record={"weights"}).fit(X, y)
    model, X, y = wide(max_time=1e-9, n_estimators=2)
    model.fit(X.astype(dtype), y)
    alone = wide(max_iter=1, n_estimators=2)[0].fit(X[: model.t_].astype(dtype), y[: model.t_])
    np.testing.assert_allclose(model.loss_, alone.loss_, rtol=1e-6)


def test_the_stopping_rule_waits_while_the_rate_rises():
    """A rate near zero brings no progress, and means nothing."""
    X, y = problem("squared")
    common = {"hidden_layer_sizes": (5,), "tol": 1e9, "n_iter_no_change": 3, "random_state": 0}
    plain = MLPRegressor(max_iter=100, **common).fit(X, y)
    assert plain.n_iter_ == 5
    rising = MLPRegressor(max_iter=100, **common, warmup=0.5).fit(X, y)
    assert 50 <= rising.n_iter_ <= 58
    every = MLPRegressor(max_iter=100, **common, warmup=0.5, early_stopping=True).fit(X, y)
    assert 50 <= every.n_iter_ <= 55


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda t: 1 - t])
def test_a_schedule_with_an_end_is_run_to_its_end(schedule, early_stopping):
    X, y = problem("squared")
    params = {"hidden_layer_sizes": (5,), "tol": 1e9, "n_iter_no_change": 3, "random_state": 0}
    params |= {"learning_rate": schedule, "early_stopping": early_stopping, "max_iter": 30}
    model = MLPRegressor(**params).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 30
    model.set_params(learning_rate="constant", warm_start=True).fit(X, y)
    assert model.n_iter_ > 3  # the epochs of the schedule do not count


def test_a_schedule_that_ran_to_its_end_is_not_warned_of():
    X, y = problem("squared")
    params = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPRegressor(learning_rate="cosine", **params).fit(X, y)
    for others in ({}, {"warmup": 0.2}):
        with pytest.warns(ConvergenceWarning):
            MLPRegressor(**params, **others).fit(X, y)


def test_an_average_that_never_began_is_told_of():
    X, y = problem("squared")
    params = {"hidden_layer_sizes": (5,), "tol": 1e9, "n_iter_no_change": 3, "random_state": 0}
    with pytest.warns(UserWarning, match="before the last quarter of max_iter=100"):
        MLPRegressor(max_iter=100, average_weights="swa", **params).fit(X, y)
