"""Validation sets: given or split off, scored, stopped on; and those that are refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import (
    GroupKFold,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from reference.problems import CONTAINERS, KINDS, bits, ours, outputs, problem, sample_weights

N, N_VAL = 61, 19
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate_init": 0.01}


def two_sets(kind, dtype, container="dense"):
    """X, y to train on; X_val, y_val."""
    X, y = problem(kind, N + N_VAL, dtype=dtype)
    wrap = CONTAINERS[container]
    return wrap(X[:N]), y[:N], wrap(X[N:]), y[N:]


def small(kind, **params):
    params = SMALL | {"max_iter": 6} | params
    if kind.startswith("poisson"):
        params["learning_rate_init"] = 1e-3
    return ours(kind, **params)


def plain_loss(kind, model, X, y, weights):
    """The loss without penalty, from the predictions."""
    found = outputs(model, X).astype(float)
    if kind in ("binary", "multiclass"):
        found /= found.sum(axis=1, keepdims=True)  # one, but for a float32's rounding
        return log_loss(y, found, sample_weight=weights, labels=model.classes_)
    if kind == "multilabel":
        terms = -np.where(y == 1, np.log(found), np.log1p(-found)).sum(axis=1)
    elif kind.startswith("poisson"):
        ratio = np.divide(y, found, out=np.ones_like(found), where=y > 0)
        terms = y * np.log(ratio) - y + found
        terms = terms.sum(axis=1) if terms.ndim == 2 else terms
    else:
        terms = (y - found) ** 2 / 2
        terms = terms.mean(axis=1) if terms.ndim == 2 else terms
    return np.average(terms, weights=weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_given_set_is_measured_after_each_epoch(kind, container, weighted, dtype):
    """As the model of that epoch measures it afterwards; and it changes no bit of the training."""
    X, y, X_val, y_val = two_sets(kind, dtype, container)
    weights = sample_weights(N_VAL) if weighted else None
    more = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weights}
    model = small(kind).fit(X, y, **more)
    assert bits(model, X)[:-1] == bits(small(kind).fit(X, y), X)[:-1]
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.history_["validation_score"] == model.validation_scores_
    assert model.history_["validation_loss"] == model.validation_loss_curve_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert {type(x) for curve in model.history_.values() for x in curve} == {float}
    assert model.best_iteration_ == 1 + np.argmax(model.validation_scores_)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for epoch in (1, 4):
        then = small(kind, max_iter=epoch).fit(X, y)
        score = then.score(X_val, y_val, sample_weight=weights)
        assert model.validation_scores_[epoch - 1] == pytest.approx(score, rel=tolerance)
        loss = plain_loss(kind, then, X_val, y_val, weights)
        assert model.validation_loss_curve_[epoch - 1] == pytest.approx(loss, rel=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "squared x3"])
def test_a_given_set_is_as_good_as_the_same_split_off(kind, weighted, dtype):
    X, y = problem(kind, N + N_VAL, dtype=dtype)
    weights = sample_weights(len(y)) if weighted else None
    parts = [(None, None) if weights is None else (weights[:N], weights[N:])][0]
    params = {"early_stopping": True, "max_iter": 60, "tol": 0.02, "n_iter_no_change": 4}
    splitter = PredefinedSplit(np.r_[np.full(N, -1), np.zeros(N_VAL)])
    a = small(kind, validation_fraction=splitter, **params).fit(X, y, sample_weight=weights)
    b = small(kind, **params)
    b.fit(X[:N], y[:N], parts[0], X_val=X[N:], y_val=y[N:], sample_weight_val=parts[1])
    assert bits(a, X) == bits(b, X)
    assert a.n_iter_ < 60
    assert a.validation_loss_curve_ == b.validation_loss_curve_
    assert a.best_iteration_ == b.best_iteration_ > 0


@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss"])
def test_class_weights_count_in_a_set_that_is_split_off_and_not_in_a_given_one(scoring):
    X, y = problem("multiclass", N + N_VAL)
    class_weight = {0: 2.0, 1: 0.5, 2: 1.0}
    weights = np.array([2.0, 0.5, 1.0])[y]
    splitter = PredefinedSplit(np.r_[np.full(N, -1), np.zeros(N_VAL)])
    params = {"early_stopping": True, "scoring": scoring}
    split = params | {"validation_fraction": splitter}
    a = small("multiclass", class_weight=class_weight, **split).fit(X, y)
    b = small("multiclass", **split).fit(X, y, weights)
    assert bits(a, X) == bits(b, X)
    held_out = {"X_val": X[N:], "y_val": y[N:]}
    a = small("multiclass", class_weight=class_weight, **params).fit(X[:N], y[:N], **held_out)
    b = small("multiclass", **params).fit(X[:N], y[:N], weights[:N], **held_out)
    assert bits(a, X) == bits(b, X)
    weighted = {**held_out, "sample_weight_val": weights[N:]}
    b = small("multiclass", **params).fit(X[:N], y[:N], weights[:N], **weighted)
    assert a.validation_scores_ != b.validation_scores_


@pytest.mark.parametrize("container", ["csr", "csc"])
def test_one_set_may_be_sparse_and_the_other_dense(container, dtype):
    X, y, X_val, y_val = two_sets("multiclass", dtype)
    expected = small("multiclass").fit(X, y, X_val=X_val, y_val=y_val)
    wrap = CONTAINERS[container]
    for sets in ((X, wrap(X_val)), (wrap(X), X_val)):
        model = small("multiclass").fit(sets[0], y, X_val=sets[1], y_val=y_val)
        np.testing.assert_allclose(
            model.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-5
        )


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss"])
def test_the_same_bits_for_any_number_of_threads(scoring, container, dtype):
    X, y = problem("multiclass", 701, 53, dtype)
    X_val = CONTAINERS[container](X[500:])
    X = CONTAINERS[container](X[:500])
    params = {"hidden_layer_sizes": (67, 35), "early_stopping": True, "scoring": scoring}
    runs = []
    for n_threads in (1, 2, 3, 7):
        model = small("multiclass", n_threads=n_threads, **params)
        model.fit(X, y[:500], X_val=X_val, y_val=y[500:])
        runs.append([*bits(model, X), model.validation_loss_curve_, model.best_iteration_])
    assert runs[1:] == runs[:1] * 3


# ------------------------------------------------------------------------------ splits


class Splits:
    """A splitter that gives what it was made of."""

    def __init__(self, *splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        yield from self.splits

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.splits)


@pytest.mark.parametrize(
    "splitter",
    [
        TimeSeriesSplit(3),
        ShuffleSplit(2, test_size=0.3, random_state=1),
        PredefinedSplit(np.repeat([-1, 0], [40, 21])),
        Splits((list(range(30)), range(40, 61))),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_the_first_split_of_a_splitter(splitter, dtype):
    X, y = problem("multiclass", N, dtype=dtype)
    train, held_out = (np.asarray(rows) for rows in next(splitter.split(X, y)))
    params = {"early_stopping": True, "max_iter": 8}
    a = small("multiclass", validation_fraction=splitter, **params).fit(X, y)
    b = small("multiclass", **params)
    b.fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    assert bits(a, X) == bits(b, X)
    assert a.t_ == a.n_iter_ * len(train)


def test_a_splitter_is_given_what_the_user_gave():
    """One that knows a column, for example."""
    X, y = problem("binary", N)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    labels, seen = np.array(["no", "yes"])[y], []

    class ByColumn(Splits):
        def split(self, X, y=None, groups=None):
            seen.append((X, y))
            late = X["f0"].rank() > 40
            yield np.flatnonzero(~late), np.flatnonzero(late)

    small("binary", early_stopping=True, validation_fraction=ByColumn()).fit(frame, labels)
    assert seen[0][0] is frame
    np.testing.assert_array_equal(seen[0][1], labels)
    for X_type in (list, sparse.csr_array, sparse.coo_array):
        given = X.tolist() if X_type is list else X_type(X)
        params = {"early_stopping": True, "validation_fraction": TimeSeriesSplit(3)}
        small("binary", **params).fit(given, labels)


@pytest.mark.parametrize(
    "splitter, message",
    [
        (Splits(), "gives no split"),
        (Splits((np.arange(5), [])), "leaves no validation samples"),
        (Splits(([], np.arange(5))), "leaves no training samples"),
        (Splits((np.arange(5), [4, 5, 6])), "overlaps"),
        (Splits((np.arange(5), [60, 61])), "names rows that X lacks"),
        (Splits((np.arange(5), [-1, 7])), "names rows that X lacks"),
        (Splits((np.arange(5), [7])), "too small"),
        (GroupKFold(2), "'groups' parameter should not be None"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_split_that_cannot_be_used(splitter, message):
    X, y = problem("binary", N)
    model = small("binary").fit(X, y)
    before = bits(model, X)
    model.set_params(early_stopping=True, validation_fraction=splitter)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert bits(model, X) == before


def seen(kind, y, **params):
    """Labels of the validation set that a scorer is shown."""
    X, found = np.arange(2.0 * len(y)).reshape(-1, 2) / len(y), []

    def scorer(estimator, X, y):
        found.append(y)
        return 0.0

    small(kind, early_stopping=True, scoring=scorer, **params).fit(X, y)
    return found[0]


def test_validation_sets_keep_the_proportions_of_classes_if_asked_to():
    many, few = (np.repeat(labels, [80, 15, 5]) for labels in ([*"abc"], [*"aab"]))
    share = {"validation_fraction": 0.2}
    for random_state in range(3):
        params = share | {"random_state": random_state}
        assert sorted(seen("multiclass", many, stratify_validation=True, **params)) == [
            *("a" * 16),
            *("b" * 3),
            "c",
        ]
        for stratify in (None, True):
            found = seen("binary", few, stratify_validation=stratify, **params)
            assert sorted(found) == [*("a" * 19), "b"]
    for kind, y, stratify in (("multiclass", many, None), ("binary", few, False)):
        counts = [
            np.unique(
                seen(kind, y, stratify_validation=stratify, **share | {"random_state": i}),
                return_counts=True,
            )[1].tolist()
            for i in range(8)
        ]
        assert any(found != counts[0] for found in counts[1:])


def test_stratified_splits_are_train_test_splits():
    y = np.repeat([3, 5, 9], [30, 20, 11])
    found = seen("multiclass", y, stratify_validation=True, random_state=4)
    state = np.random.RandomState(4)
    for shape in ((2, 6), 6, (6, 3), 3):  # the first weights are drawn before
        state.uniform(size=shape)
    _, expected = train_test_split(y, test_size=0.1, random_state=state, stratify=y)
    np.testing.assert_array_equal(found, expected)


# ------------------------------------------------------------------------------ scoring


def test_the_loss_as_a_score(dtype):
    X, y, X_val, y_val = two_sets("multiclass", dtype)
    params = {"scoring": "loss", "early_stopping": True, "max_iter": 200, "tol": 1e-3}
    params |= {"learning_rate_init": 0.1, "n_iter_no_change": 5}
    model = small("multiclass", **params).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    best = int(np.argmin(model.validation_loss_curve_))
    assert model.best_iteration_ == best + 1 < model.n_iter_ < 200
    expected = model.validation_loss_curve_[best]
    assert plain_loss("multiclass", model, X_val, y_val, None) == pytest.approx(expected, rel=1e-5)


SCORERS = {
    "binary": ["roc_auc", "neg_log_loss", "accuracy", "f1"],
    "multiclass": ["neg_log_loss", "balanced_accuracy"],
    "squared x3": ["neg_mean_absolute_error", "r2"],
    "squared": ["neg_max_error", "neg_root_mean_squared_error"],
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "kind, scoring", [(kind, name) for kind, names in SCORERS.items() for name in names]
)
def test_scorers_see_the_weights_of_the_epoch(kind, scoring, early_stopping, dtype):
    X, y, X_val, y_val = two_sets(kind, dtype)
    weights = sample_weights(N_VAL)
    params = {"scoring": scoring, "early_stopping": early_stopping, "max_iter": 8}
    params |= {"restore_best_weights": early_stopping}
    model = small(kind, **params)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    scorer = get_scorer(scoring)
    takes = {} if scoring == "neg_max_error" else {"sample_weight": weights}
    for epoch in (1, 5):
        then = small(kind, max_iter=epoch).fit(X, y)
        expected = scorer(then, X_val, y_val, **takes)
        assert model.validation_scores_[epoch - 1] == pytest.approx(expected, rel=1e-6)
    kept = model.best_validation_score_ if early_stopping else model.validation_scores_[-1]
    assert scorer(model, X_val, y_val, **takes) == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize("given", [False, True])
def test_a_scorer_is_given_what_the_user_gave(given, recwarn):
    X, y = problem("binary", N + N_VAL)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    y = np.where(y == 1, "yes", "no")
    calls = []

    def scorer(estimator, X, y, sample_weight="none"):
        calls.append((X, y, sample_weight))
        assert list(X.columns) == list(estimator.feature_names_in_)
        return estimator.score(X, y)

    model = small("binary", scoring=scorer, early_stopping=not given)
    if given:
        val = {"X_val": frame[N:], "y_val": y[N:], "sample_weight_val": np.ones(N_VAL)}
        model.fit(frame[:N], y[:N], **val)
        pd.testing.assert_frame_equal(calls[0][0], frame[N:])
        np.testing.assert_array_equal(calls[0][2], np.ones(N_VAL))
    else:
        model.fit(frame, y)
        assert calls[0][2] == "none"
    assert set(calls[0][1]) <= {"yes", "no"}
    assert len(calls) == model.n_iter_ + 1  # and once before the training
    assert not [w for w in recwarn if "feature names" in str(w.message)]


@pytest.mark.parametrize("X_type", [list, sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_scorers_take_any_X(X_type):
    X, y = problem("binary", N)
    X = X.tolist() if X_type is list else X_type(X)
    model = small("binary", scoring="accuracy", early_stopping=True).fit(X, y)
    assert (
        model.validation_scores_
        == small("binary", early_stopping=True).fit(X, y).validation_scores_
    )


def test_scores_may_be_nan():
    X, y, X_val, y_val = two_sets("binary", np.float64)
    scores = iter([0.5, np.nan, 0.7, np.nan, np.nan, 0.6, np.nan])  # the first is the trial
    model = small("binary", scoring=lambda *_: next(scores), early_stopping=True)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert (model.best_iteration_, model.best_validation_score_) == (2, 0.7)
    then = small("binary", max_iter=2).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], then.coefs_[0])


def test_no_score_that_is_a_number_keeps_the_last_weights():
    """Not the first ones, which nobody has trained."""
    X, y, X_val, y_val = two_sets("binary", np.float64)
    model = small("binary", scoring=lambda *_: np.nan, early_stopping=True, max_iter=5)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_iteration_ == 0
    assert model.best_validation_score_ == -np.inf
    then = small("binary", max_iter=5).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], then.coefs_[0])


@pytest.mark.filterwarnings("ignore:overflow")
def test_training_that_diverges_is_refused_with_early_stopping_too():
    X, y, X_val, y_val = two_sets("squared", np.float64)
    model = small("squared", early_stopping=True, solver="sgd", max_iter=30)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, 1e100 * y, X_val=X_val, y_val=y_val)


def test_a_scorer_that_fails_says_that_it_is_the_scorer():
    X, y, X_val, y_val = two_sets("binary", np.float64)
    labels = np.array(["no", "yes"])
    model = small("binary", scoring="average_precision", early_stopping=True)
    with pytest.raises(ValueError, match="pos_label") as raised:
        model.fit(X, labels[y], X_val=X_val, y_val=labels[y_val])
    assert raised.value.__notes__ == [
        "scoring='average_precision' failed on the validation set.",
        "Say which label is the positive one, for example with scoring=make_scorer(f1_score,"
        " pos_label=...).",
    ]


def test_samples_that_a_split_leaves_out_are_told_of():
    X, y = problem("multiclass", N)
    with pytest.warns(UserWarning, match="has 16 samples to train on and 15 to validate on: the o"):
        small("multiclass", validation_fraction=TimeSeriesSplit(3), early_stopping=True).fit(X, y)


@pytest.mark.parametrize("restore", ["auto", False])
def test_scores_of_different_measures_are_not_compared(restore):
    """A warm start with another `scoring` begins to count anew."""
    X, y, X_val, y_val = two_sets("binary", np.float64)
    params = {"warm_start": True, "early_stopping": True, "restore_best_weights": restore}
    model = small("binary", learning_rate_init=1e-3, **params)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ > 0
    model.set_params(scoring="loss", max_iter=20, n_iter_no_change=5)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 20
    assert model.best_validation_score_ == max(model.validation_scores_[6:]) < 0
    assert model.best_iteration_ == 7 + np.argmax(model.validation_scores_[6:])


BAD_SCORERS = {
    "no number": (lambda *_: "good", "scoring must return a number, got 'good'"),
    "none": (lambda *_: None, "scoring must return a number, got None"),
    "fails": (lambda *_: 1 / 0, "division by zero"),
    "needs probabilities": ("neg_log_loss", "predict_proba"),
}


@pytest.mark.parametrize("name", BAD_SCORERS)
def test_a_scorer_that_cannot_work_is_refused_before_training(name):
    X, y, X_val, y_val = two_sets("squared", np.float64)
    model = small("squared").fit(X, y)
    before, attributes = bits(model, X), dict(vars(model))
    scoring, message = BAD_SCORERS[name]
    model.set_params(scoring=scoring)
    with pytest.raises((ValueError, ZeroDivisionError, AttributeError), match=message):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    assert bits(model, X) == before
    assert vars(model).keys() == attributes.keys()


# ------------------------------------------------------------------------------ best weights


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("restore", ["auto", True, False])
def test_which_weights_are_kept(restore, early_stopping, dtype):
    X, y, X_val, y_val = two_sets("binary", dtype)
    params = {"restore_best_weights": restore, "early_stopping": early_stopping}
    params |= {"max_iter": 25, "learning_rate_init": 0.3, "n_iter_no_change": 30}
    model = small("binary", **params).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_iteration_ < model.n_iter_ == 25  # else this would show nothing
    restored = early_stopping if restore == "auto" else restore
    kept = model.best_iteration_ if restored else 25
    then = small("binary", **params | {"max_iter": kept, "restore_best_weights": False})
    then.fit(X, y, X_val=X_val, y_val=y_val)
    assert [a.tobytes() for a in model.coefs_] == [a.tobytes() for a in then.coefs_]


def test_the_weights_of_the_smallest_training_loss(dtype):
    X, y = problem("squared", dtype=dtype)
    params = {"solver": "sgd", "learning_rate_init": 0.15, "batch_size": 8, "tol": 0}
    params |= {"max_iter": 30, "n_iter_no_change": 50}
    model = small("squared", restore_best_weights=True, **params).fit(X, y)
    assert model.best_iteration_ == 1 + np.argmin(model.loss_curve_) < 30
    assert model.best_loss_ == min(model.loss_curve_)
    params["max_iter"] = model.best_iteration_
    then = small("squared", **params).fit(X, y)
    assert [a.tobytes() for a in model.coefs_] == [a.tobytes() for a in then.coefs_]
    assert model.validation_scores_ is model.validation_loss_curve_ is None


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("average", ["ema", "swa"])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_what_is_measured_are_the_averaged_weights(scoring, average, early_stopping, dtype):
    X, y, X_val, y_val = two_sets("multiclass", dtype)
    params = {"average_weights": average, "scoring": scoring, "early_stopping": early_stopping}
    model = small("multiclass", max_iter=12, learning_rate_init=0.1, **params)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    kept = model.best_iteration_ - 1 if early_stopping else -1
    loss = plain_loss("multiclass", model, X_val, y_val, None)
    assert model.validation_loss_curve_[kept] == pytest.approx(loss, rel=1e-5)
    scorer = get_scorer(scoring or "accuracy")
    assert model.validation_scores_[kept] == pytest.approx(scorer(model, X_val, y_val), rel=1e-5)


# ------------------------------------------------------------------------------ given sets

REFUSED = {
    "no y_val": ({"y_val": None}, "X_val is provided, but y_val was not provided"),
    "no X_val": ({"X_val": None}, "y_val is provided, but X_val was not provided"),
    "weights alone": (
        {"X_val": None, "y_val": None, "sample_weight_val": np.ones(N_VAL)},
        "sample_weight_val is provided, but X_val was not provided",
    ),
    "narrow X_val": ({"X_val": np.ones((N_VAL, 2))}, "X has 2 features, but"),
    "X_val with NaN": ({"X_val": np.full((N_VAL, 9), np.nan)}, "contains NaN"),
    "short y_val": ({"y_val": [0, 1]}, "inconsistent numbers of samples"),
    "y_val with NaN": ({"y_val": np.full(N_VAL, np.nan)}, "contains NaN"),
    "no rows": ({"X_val": np.ones((0, 9)), "y_val": []}, "minimum of 1 is required"),
    "weights of another length": ({"sample_weight_val": [1, 2]}, "sample_weight.shape"),
    "no weight": ({"sample_weight_val": np.zeros(N_VAL)}, "at least one non-zero"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_validation_data_that_is_refused(kind, name, dtype):
    X, y, X_val, y_val = two_sets(kind, dtype)
    model = small(kind).fit(X, y)
    before, attributes = bits(model, X), vars(model).keys()
    changed, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **{"X_val": X_val, "y_val": y_val} | changed)
    assert bits(model, X) == before
    assert vars(model).keys() == attributes


@pytest.mark.parametrize(
    "kind, y_val, message",
    [
        ("binary", np.full(N_VAL, 7), "`y_val` has classes not in `self.classes_`"),
        ("multiclass", np.full(N_VAL, 3), "`y_val` has classes not in `self.classes_`"),
        ("multiclass", np.ones((N_VAL, 3), int), "not fitted with multilabel input"),
        ("multiclass", np.linspace(0, 1, N_VAL), "Unknown label type: continuous"),
        ("multilabel", np.ones((N_VAL, 2), int), "mismatch"),
        ("multilabel", np.arange(N_VAL) % 2, "y_val must be a multilabel indicator matrix"),
        ("squared", np.ones((N_VAL, 2)), "y_val has 2 outputs, but y has 1"),
        ("squared x3", np.ones(N_VAL), "y_val has 1 outputs, but y has 3"),
        ("poisson", -np.ones(N_VAL), "non-negative"),
    ],
)
def test_targets_that_do_not_fit(kind, y_val, message):
    X, y, X_val, _ = two_sets(kind, np.float64)
    with pytest.raises(ValueError, match=message):
        small(kind).fit(X, y, X_val=X_val, y_val=y_val)


def test_labels_that_are_missing_in_y_val():
    X, y, X_val, _ = two_sets("multiclass", np.float64)
    model = small("multiclass").fit(X, y, X_val=X_val, y_val=np.full(N_VAL, 1))
    assert len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize(
    "kind, params, message",
    [
        ("squared", {"stratify_validation": True}, "is for classifiers"),
        (
            "binary",
            {"stratify_validation": True, "validation_fraction": TimeSeriesSplit(3)},
            "a splitter chooses the rows",
        ),
        ("multilabel", {"stratify_validation": True}, "y is multilabel"),
    ],
)
def test_combinations_that_make_no_sense(kind, params, message):
    X, y = problem(kind)
    with pytest.raises(ValueError, match=message):
        small(kind, early_stopping=True, **params).fit(X, y)


def test_lbfgs_measures_a_given_set(dtype):
    """It does not stop on it: the curves are in the history."""
    X, y, X_val, y_val = two_sets("multiclass", dtype)
    model = small("multiclass", solver="lbfgs", max_iter=5).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.history_["validation_loss"]) == model.n_iter_ == model.best_iteration_
    last = plain_loss("multiclass", model, X_val, y_val, None)
    assert model.history_["validation_loss"][-1] == pytest.approx(last, rel=1e-4)
    assert model.history_["validation_score"][-1] == model.score(X_val, y_val)
    assert bits(model, X) == bits(small("multiclass", solver="lbfgs", max_iter=5).fit(X, y), X)


def test_a_pipeline_transforms_the_validation_set(dtype):
    X, y, X_val, y_val = two_sets("multiclass", dtype)
    X, X_val = 100 * X + 7, 100 * X_val + 7
    scaler = StandardScaler().fit(X)
    expected = small("multiclass", early_stopping=True)
    expected.fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    with config_context(enable_metadata_routing=True):
        model = small("multiclass", early_stopping=True)
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("mlp", model)], transform_input=["X_val"]
        )
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=None)
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    assert bits(pipeline[-1], scaler.transform(X)) == bits(expected, scaler.transform(X))


def test_frames_of_validation_data_are_checked():
    X, y, X_val, y_val = two_sets("squared", np.float64)
    names = [f"f{i}" for i in range(X.shape[1])]
    frame, other = pd.DataFrame(X, columns=names), pd.DataFrame(X_val, columns=names[::-1])
    with pytest.raises(ValueError, match="feature names"):
        small("squared").fit(frame, y, X_val=other, y_val=y_val)
    with pytest.warns(UserWarning, match="feature names"):
        small("squared").fit(frame, y, X_val=X_val, y_val=y_val)
