"""Training in several calls: what a warm start or a partial_fit takes over from the calls before
it, and what it measures anew. The table is in docs/training.md."""

import copy
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.model_selection import train_test_split

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor
from reference.problems import problem

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROUNDS = {"max_iter": 4, "warm_start": True, "early_stopping": True, "random_state": 0}
ROUNDS |= {"hidden_layer_sizes": (9,), "learning_rate_init": 0.01}


def weights(model):
    return np.concatenate([w.ravel() for w in [*model.coefs_, *model.intercepts_]])


# ------------------------------------------------------------------------------ early stopping


@pytest.mark.parametrize("max_iter", [1, 2, 5, 16])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared"])
def test_rounds_on_the_same_data_are_those_of_scikit_learn(kind, max_iter):
    """As auto-sklearn and others train: with the same split, scores are compared over calls. The
    first call draws weights before it splits, so its split is another one."""
    X, y = problem(kind, 150)
    name = "MLPRegressor" if kind == "squared" else "MLPClassifier"
    ours, theirs = (
        getattr(module, name)(**ROUNDS | {"max_iter": max_iter, "n_iter_no_change": 6})
        for module in (fastmlp, sklearn.neural_network)
    )
    for model in (ours, theirs):
        model.fit(X, y)
        model.best_validation_score_, model._no_improvement_count = -np.inf, 0
    for _ in range(12):
        ours.fit(X, y)
        theirs.fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(weights(ours), weights(theirs), atol=1e-9)
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=1e-9)
        np.testing.assert_allclose(ours.best_validation_score_, theirs.best_validation_score_)


def test_data_that_have_moved_are_learned(dtype):
    """The best score on the former data says nothing about the scores on the present data."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((400, 2)).astype(dtype)
    y = -3 * X[:, 0] + 1 + rng.standard_normal(400)
    model = MLPRegressor(**ROUNDS | {"max_iter": 50}).fit(X, X[:, 0])
    assert model.best_validation_score_ > 0.9
    before = weights(model)
    model.fit(X, y)
    assert (weights(model) != before).any()
    assert model.score(X, y) > 0.8
    assert model.n_iter_ > 20
    # the greatest score of this call, on the validation set of this call
    assert model.best_validation_score_ == max(model.validation_scores_[-model.n_iter_ :])


def test_a_validation_set_of_its_own_in_each_round():
    """The best epoch is the best on the set of its round, and the weights move in each round."""
    X, y = problem("multiclass", 600)
    model = MLPClassifier(**ROUNDS | {"random_state": None, "max_iter": 8})
    sets = [train_test_split(X, y, test_size=30, random_state=i) for i in range(5)]
    for X_train, X_val, y_train, y_val in sets:
        before, score = 0, 0
        if hasattr(model, "coefs_"):
            before, score = weights(model), model.score(X_val, y_val)
        model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
        assert (weights(model) != before).any()
        scores = model.validation_scores_[-model.n_iter_ :]
        assert model.best_validation_score_ == pytest.approx(max(score, *scores))
        if max(scores) > score:
            assert model.score(X_val, y_val) == pytest.approx(max(scores))
    assert len(model.validation_scores_) > 5 * 2
    assert model.score(X, y) > 0.8


def test_patience_begins_anew_with_another_validation_set():
    X, y = problem("squared", 200)
    model = MLPRegressor(**ROUNDS | {"max_iter": 30, "n_iter_no_change": 3, "tol": 1e9})
    X_val, y_val = X[:50] + 0.1, y[:50]
    n_epochs = [model.fit(X, y, X_val=X_val, y_val=y_val).n_iter_ for _ in range(3)]
    assert n_epochs == [5, 1, 1]  # the first epoch and four without improvement; none is left
    assert model.fit(X, y, X_val=X_val[1:], y_val=y_val[1:]).n_iter_ == 4


def test_early_stopping_that_is_turned_on_later():
    X, y = problem("binary", 150)
    model = MLPClassifier(**ROUNDS | {"early_stopping": False}).fit(X, y)
    model.set_params(early_stopping=True).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_ == 4
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    model.set_params(early_stopping=False).fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_[-4:])


def test_a_score_that_is_no_number_keeps_the_last_weights():
    """Scores may become NaN in a later round; the weights are then those of its last epoch."""
    X, y = problem("squared", 150)
    found = []

    def scorer(estimator, X, y):
        found.append(weights(estimator))
        return np.nan if broken else 0.5

    broken = False
    model = MLPRegressor(**ROUNDS, scoring=scorer).fit(X, y)
    broken = True
    model.fit(X, y)
    np.testing.assert_array_equal(weights(model), found[-1])


# ------------------------------------------------------------------------------ the record


def delete(model, names):
    for name in names:
        vars(model).pop(name, None)


def make_none(model, names):
    vars(model).update(dict.fromkeys(names))


def make_arrays(model, names):
    for name in names:
        if isinstance(vars(model).get(name), list):
            setattr(model, name, np.array(getattr(model, name)))
    model.history_ = {name: np.array(values) for name, values in model.history_.items()}


def as_scikit_learns_users_do(model, names):
    model.loss_curve_, model.validation_scores_ = [], []
    model.validation_loss_curve_ = model.history_ = []
    model.best_loss_, model.best_validation_score_ = np.inf, -np.inf
    model._no_improvement_count = 0


def shorten(model, names):
    model.history_ = {"loss": model.history_["loss"][:1]}


RECORD = [
    *("loss_", "loss_curve_", "best_loss_", "best_iteration_", "validation_scores_"),
    *("validation_loss_curve_", "best_validation_score_", "history_", "n_iter_", "t_"),
    *("_no_improvement_count", "_optimizer", "_scored_by"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "edit", [delete, make_none, make_arrays, as_scikit_learns_users_do, shorten]
)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_record_that_was_edited_by_hand(solver, edit, early_stopping, method):
    X, y = problem("binary", 150)
    params = ROUNDS | {"solver": solver, "early_stopping": early_stopping, "max_iter": 3}
    model = MLPClassifier(**params).fit(X, y)
    edit(model, RECORD)
    if solver == "lbfgs":
        method = "fit"
    getattr(model, method)(X, y)
    model.set_params(solver="adam").fit(X, y)
    assert model.n_iter_ == 3 and len(model.loss_curve_) >= 3
    assert len({len(values) for values in model.history_.values()}) == 1
    assert model.history_["loss"][-3:] == model.loss_curve_[-3:]


# ------------------------------------------------------------------------------ partial_fit


@pytest.mark.parametrize("y", [[0, 1, 2, 3], ["a", "b", "c", "d"]])
def test_a_single_row_after_classes_were_named_under_warm_start(y):
    model = MLPClassifier((4,), warm_start=True, random_state=0)
    model.partial_fit([[0.0], [1.0]], y[:2], classes=y)
    before = weights(model)
    assert model.partial_fit([[3.0]], y[3:]).t_ == 3
    assert (weights(model) != before).any()
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit([[3.0]], [9] if y[0] == 0 else ["z"])


def test_a_stream_that_outlives_its_schedule_is_told_so():
    X, y = problem("squared")
    model = MLPRegressor(hidden_layer_sizes=(5,), learning_rate="cosine", max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            model.partial_fit(X, y)
    with pytest.warns(UserWarning, match=r"'cosine' ended after max_iter=3 epochs.* rate, 0\. "):
        model.partial_fit(X, y)
    before = weights(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(learning_rate="constant").partial_fit(X, y)
    assert (weights(model) != before).all()


@pytest.mark.parametrize("change", [{"learning_rate": "cosine"}, {"max_iter": 2}])
def test_a_schedule_that_a_change_of_parameters_ends_is_told(change):
    """More epochs were trained before than the schedule has."""
    X, y = problem("squared")
    params = {"learning_rate": "constant" if "learning_rate" in change else "cosine"}
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=4, **params)
    for _ in range(4):
        model.partial_fit(X, y)
    model.set_params(**change)
    with pytest.warns(UserWarning, match=r"'cosine' ended after max_iter=. epochs.* rate, 0\. "):
        model.partial_fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.deepcopy(model).partial_fit(X, y)
        before = weights(model)
        model.set_params(max_iter=20).partial_fit(X, y)  # as the warning says
    assert (weights(model) != before).any()


@pytest.mark.parametrize("sizes", [(40, 2, 2, 40, 40), (2, 40, 40, 2, 2)])
def test_a_schedule_counts_calls_of_any_size(sizes):
    """A schedule over `max_iter` calls does not depend on how many batches each has."""
    X, y = problem("squared", 400)
    model = MLPRegressor(hidden_layer_sizes=(5,), learning_rate="cosine", max_iter=5, batch_size=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for n in sizes:
            model.partial_fit(X[: 10 * n], y[: 10 * n])
            share = (model._optimizer.epochs - 1 / n) / 5  # before the last step
            expected = 0.001 * (1 + np.cos(np.pi * share)) / 2
            np.testing.assert_allclose(model.history_["learning_rate"][-1], expected, rtol=1e-6)


def test_data_that_have_moved_are_learned_without_a_validation_set():
    """Where scikit-learn stops after 11 epochs, because an old loss is better."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((200, 4))
    y = X[:, 0] + 0.1 * rng.standard_normal(200)
    params = {"hidden_layer_sizes": (9,), "learning_rate_init": 0.01, "random_state": 0}
    model = MLPRegressor(**params, warm_start=True).fit(X, y)
    model.fit(X, 5 * y + 3)
    assert model.n_iter_ > 11 and model.score(X, 5 * y + 3) > 0.9


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weights_of_other_shapes_have_no_best_loss_yet(solver, method):
    """More outputs: the loss is greater, but not so much that the data must be others."""
    X, y = problem("binary", 150)
    _, other = problem("multiclass", 150)
    params = {"hidden_layer_sizes": (9,), "learning_rate_init": 0.01, "random_state": 0}
    params |= {"solver": solver, "warm_start": True, "max_iter": 10}
    donor = MLPClassifier(**params | {"max_iter": 1}).fit(X, other)
    model = MLPClassifier(**params).fit(X, y)
    best = model.best_loss_
    model.coefs_, model.intercepts_, model.classes_ = donor.coefs_, donor.intercepts_, [0, 1, 2]
    getattr(model.set_params(max_iter=60), method)(X, other)
    assert best < model.loss_curve_[10] < 3 * best
    if method == "fit":
        assert model.n_iter_ == 60
    assert model._no_improvement_count == 0
    assert model.best_loss_ == min(model.loss_curve_[10:])


def test_a_scorer_that_fails_leaves_the_record_whole():
    X, y = problem("squared", 150)
    calls = []

    def scorer(estimator, X, y):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("enough")
        return 0.5

    model = MLPRegressor(**ROUNDS, scoring=scorer)
    with pytest.raises(RuntimeError):
        model.fit(X, y)
    assert len(model.loss_curve_) == len(model.validation_scores_) == len(model.history_["loss"])


def test_a_constant_rate_after_a_schedule_has_its_patience():
    X, y = problem("squared", 150)
    params = {"hidden_layer_sizes": (5,), "random_state": 0, "tol": 1e9, "warm_start": True}
    model = MLPRegressor(**params, learning_rate="cosine", max_iter=30).fit(X, y)
    assert model.set_params(learning_rate="constant").fit(X, y).n_iter_ > 5


def test_a_stream_keeps_its_best_loss():
    """As scikit-learn's: partial_fit on batches of very different losses forgets none."""
    X, y = problem("squared", 60)
    models = [
        make(hidden_layer_sizes=(5,), random_state=0)
        for make in (MLPRegressor, sklearn.neural_network.MLPRegressor)
    ]
    for scale in (1, 100, 1, 30):
        for model in models:
            model.partial_fit(X, scale * y)
    ours, theirs = models
    assert ours.best_loss_ == min(ours.loss_curve_)
    np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=1e-9)
    assert ours._no_improvement_count == theirs._no_improvement_count
