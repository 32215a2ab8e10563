"""Bagging, refit and time limits of the estimators of tables."""

import itertools
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score

from fastmlp import TabularClassifier, TabularRegressor
from fastmlp._network.network import Network
from fastmlp._training import settings as training_settings
from fastmlp._training import stochastic
from fastmlp._training.schedules import SCHEDULES

SMALL = {"hidden_layer_sizes": (16,), "max_iter": 40, "random_state": 0}


def problem(regression, n=300):
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(list("xyz"), n)})
    y = table["a"] + (table["b"] == "x") + rng.normal(0, 0.1, n)
    if not regression:
        y = np.array(["low", "middle", "high"])[np.digitize(y, [0, 1])]
    return table, np.asarray(y)


@pytest.fixture(params=[False, True], ids=["classifier", "regressor"])
def case(request):
    cls = TabularRegressor if request.param else TabularClassifier
    return cls(**SMALL), *problem(request.param)


def probabilities(model, table):
    return getattr(model, "predict_proba", model.predict)(table)


def test_out_of_fold_predictions_are_those_of_the_other_networks(case):
    model, table, y = case
    model.set_params(n_estimators=4, bagging=True).fit(table, y)
    found = model.oof_prediction_
    assert len(found) == len(y)
    assert len(model.best_iterations_) == 4
    assert model.best_iteration_ == model.best_iterations_[0]
    by_network = np.array([probabilities(one, table) for one in model.estimators_])
    same = np.isclose(by_network, found, rtol=1e-5, atol=1e-6)
    same = same.all(axis=2) if same.ndim == 3 else same
    assert same.any(axis=0).all()
    assert (same.sum(axis=1) >= 75).all()  # a quarter of the rows each, and perhaps ties
    assert (same.sum(axis=1) < 150).all()
    if isinstance(model, TabularClassifier):
        assert accuracy_score(y, model.classes_[found.argmax(axis=1)]) > 0.8
    else:
        assert r2_score(y, found) > 0.8


def test_each_network_has_its_own_best_epoch(case):
    """The validation score of the first is that of the weights that were kept, on its fold."""
    model, table, y = case
    model.set_params(n_estimators=3, bagging=True).fit(table, y)
    first = probabilities(model.estimators_[0], table)
    rows = np.isclose(first, model.oof_prediction_, rtol=1e-5, atol=1e-6)
    rows = rows.all(axis=1) if rows.ndim == 2 else rows
    if isinstance(model, TabularClassifier):
        expected = -log_loss(y[rows], model.oof_prediction_[rows], labels=model.classes_)
    else:
        expected = r2_score(y[rows], model.oof_prediction_[rows])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("params", [{}, {"n_estimators": 3}, {"n_estimators": 3, "bagging": True}])
def test_refit_trains_on_all_rows(case, params):
    model, table, y = case
    model.set_params(**params).fit(table, y)
    again = clone(model).set_params(refit=True).fit(table, y)
    assert again.validation_scores_ == model.validation_scores_  # the first training is the same
    assert again.best_iteration_ == model.best_iteration_
    assert not np.array_equal(again.coefs_[0], model.coefs_[0])
    assert again.score(table, y) > 0.8


def test_refit_without_rows_held_out_changes_nothing(case):
    model, table, y = case
    model.set_params(early_stopping=False).fit(table, y)
    again = clone(model).set_params(refit=True).fit(table, y)
    np.testing.assert_array_equal(probabilities(again, table), probabilities(model, table))


@pytest.mark.parametrize("params", [{"refit": True}, {"n_estimators": 3, "bagging": True}])
def test_threads_do_not_change_bits(case, params):
    model, table, y = case
    one = clone(model).set_params(n_threads=1, **params).fit(table, y)
    two = clone(model).set_params(n_threads=2, **params).fit(table, y)
    np.testing.assert_array_equal(probabilities(one, table), probabilities(two, table))


@pytest.mark.parametrize("scoring", ["loss", "neg_mean_absolute_error"])
def test_bagging_with_a_scorer(scoring):
    table, y = problem(True)
    model = TabularRegressor(**SMALL, n_estimators=2, bagging=True, scoring=scoring).fit(table, y)
    assert len(model.validation_scores_) == 40
    assert max(model.validation_scores_) == model.best_validation_score_ < 0


@pytest.mark.parametrize(
    ("params", "fit_params", "words"),
    [
        ({}, {}, "n_estimators=1"),
        ({"n_estimators": 3, "warm_start": True}, {}, "warm_start=True"),
        ({"n_estimators": 3}, {"X_val": True}, "X_val"),
        ({"n_estimators": 200}, {}, "needs 2 for each, 400 in all; got n_samples=300"),
    ],
)
def test_bagging_refuses_what_it_cannot_do(case, params, fit_params, words):
    model, table, y = case
    model.fit(table, y)
    before = probabilities(model, table)
    if fit_params:
        fit_params = {"X_val": table, "y_val": y}
    with pytest.raises(ValueError, match=words):
        model.set_params(bagging=True, **params).fit(table, y, **fit_params)
    model.set_params(bagging=False, n_estimators=1, warm_start=False)
    np.testing.assert_array_equal(probabilities(model, table), before)


def test_partial_fit_refuses_bagging(case):
    model, table, y = case
    with pytest.raises(ValueError, match="partial_fit"):
        model.set_params(bagging=True, n_estimators=2).partial_fit(table, y)


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by half a second at each look, whatever the load of the machine."""
    begin, looks = time.perf_counter(), itertools.count()
    for module in (stochastic, training_settings):
        monkeypatch.setattr(module, "perf_counter", lambda: begin + 0.5 * next(looks))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("params", [{}, {"n_estimators": 2, "bagging": True}])
def test_the_schedule_ends_in_time(case, params):
    model, table, y = case
    model.set_params(max_iter=1_000_000, max_time=50, **params).fit(table, y)
    rates = model.history_["learning_rate"]
    assert 20 < len(rates) < 100
    assert rates[-1] < 0.1 * max(rates)  # the schedule has ended, and was not cut off


def test_the_time_limit_of_a_short_training_changes_nothing(case):
    model, table, y = case
    unlimited = clone(model).fit(table, y)
    limited = clone(model).set_params(max_time=1000).fit(table, y)
    np.testing.assert_array_equal(probabilities(limited, table), probabilities(unlimited, table))


@pytest.mark.parametrize("counts", [(200, 50, 50), (280, 10, 10), (298, 2, 0), (299, 1, 0)])
def test_every_class_is_held_out_where_it_can_be(counts):
    rng = np.random.RandomState(0)
    y = rng.permutation(np.repeat([0, 1, 2], counts))
    held_out = []

    def scorer(estimator, X, y):
        held_out.append(np.bincount(y, minlength=3))
        return 0.0

    model = TabularClassifier(**SMALL, scoring=scorer)
    model.set_params(max_iter=1).fit(rng.normal(size=(300, 2)), y)
    expected = np.array(counts) / 5
    assert np.abs(held_out[0] - expected).max() <= 1


@pytest.mark.parametrize("sparse", [False, True])
def test_bagging_of_labels(sparse):
    table, y = problem(False)
    Y = (y[:, np.newaxis] == np.unique(y)).astype(int)
    model = TabularClassifier(**SMALL, n_estimators=2, bagging=True)
    model.fit(table, csr_array(Y) if sparse else Y)
    assert model.oof_prediction_.shape == (300, 3)
    assert ((model.oof_prediction_ > 0.5) == Y).mean() > 0.8


def test_a_training_that_diverged_after_its_best_epoch_is_told():
    table, y = problem(False)
    model = TabularClassifier(**SMALL | {"hidden_layer_sizes": (64, 64, 64)})
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.set_params(learning_rate_init=100, max_iter=8, learning_rate="constant")
        model.fit(table, y)


@pytest.mark.parametrize("level", [0.1, 0.9])
def test_without_scoring_other_losses_are_scored_by_themselves(level):
    table, y = problem(True)
    params = {"loss": "quantile", "loss_params": {"quantile": level}}
    model = TabularRegressor(**SMALL, **params).fit(table, y)
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    assert (
        TabularRegressor(**SMALL, **params, scoring="loss").fit(table, y).coefs_[0][0, 0]
        == (model.coefs_[0][0, 0])
    )


@pytest.mark.parametrize("loss", ["hinge", "focal"])
def test_the_same_of_classifiers(loss):
    table, y = problem(False)
    model = TabularClassifier(**SMALL, loss=loss).fit(table, y)
    assert model.validation_scores_ == [-value for value in model.validation_loss_curve_]


def test_bagging_refuses_a_fold_without_weight(case):
    model, table, y = case
    model.set_params(n_estimators=4, bagging=True).fit(table, y)
    before = probabilities(model, table)
    with pytest.raises(ValueError, match="all samples of one have a weight of zero"):
        model.fit(table, y, sample_weight=np.arange(300) < 3)
    np.testing.assert_array_equal(probabilities(model, table), before)


@pytest.mark.parametrize(("n_calls", "n_left"), [(20, 1), (60, 1), (100, 2)])
def test_ctrl_c_keeps_the_networks_trained_so_far(n_calls, n_left):
    table, y = problem(True)
    calls = []

    def interrupted(estimator, X, y):
        calls.append(1)
        if len(calls) == n_calls:
            os.kill(os.getpid(), signal.SIGINT)
        return estimator.score(X, y)

    model = TabularRegressor(**SMALL, n_estimators=3, bagging=True, scoring=interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(table, y)
    assert len(model.coefs_[0]) == n_left
    assert model.score(table, y) > 0.8
    assert not hasattr(model, "oof_prediction_")


def test_refit_begins_near_large_targets():
    table, y = problem(True)
    y = 1e4 * np.exp(y)
    model = TabularRegressor(**{**SMALL, "max_iter": 8}, loss="poisson", refit=True).fit(table, y)
    assert model.predict(table).mean() == pytest.approx(y.mean(), rel=0.2)


@pytest.mark.usefixtures("clock")
def test_refit_has_the_schedule_of_the_time_limit(monkeypatch):
    table, y = problem(True)
    rates = []
    train = Network.train

    def spy(self, *args, step, **kwargs):
        rates.extend(step["learning_rate"])
        return train(self, *args, step=step, **kwargs)

    monkeypatch.setattr(Network, "train", spy)
    model = TabularRegressor(hidden_layer_sizes=(16,), max_iter=10**6, max_time=50, refit=True)
    model.fit(table, y)
    n_batches, n_steps = 5, 5 * model.best_iteration_  # of 64 of 300 rows
    shares = np.arange(n_steps) / (n_batches * model.n_iter_)
    expected = model.learning_rate_init * SCHEDULES["coslog4"](shares)
    np.testing.assert_allclose(rates[-n_steps:], expected)


def test_refit_and_warm_start_exclude_each_other(case):
    model, table, y = case
    with pytest.raises(ValueError, match="refit=True trains new networks"):
        model.set_params(refit=True, warm_start=True).fit(table, y)


def test_a_refit_network_goes_on_with_its_own_optimizer(case):
    model, table, y = case
    model.set_params(refit=True).fit(table, y)
    steps = -(-len(y) // 64) * model.best_iteration_
    assert model._optimizer.t == steps


@pytest.mark.filterwarnings("ignore:The validation score was not a number")
def test_refit_keeps_networks_that_no_score_has_judged(case):
    model, table, y = case
    model.set_params(scoring=lambda model, X, y: np.nan).fit(table, y)
    again = clone(model).set_params(refit=True).fit(table, y)
    np.testing.assert_array_equal(probabilities(again, table), probabilities(model, table))


def test_members_have_no_attributes_of_the_ensemble(case):
    model, table, y = case
    one = model.set_params(n_estimators=2, bagging=True).fit(table, y).estimators_[0]
    assert not {"oof_prediction_", "best_iterations_", "history_"} & vars(one).keys()
