"""The estimators inside scikit-learn's tools, and on real data."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr, get_tags

from fastmlp import MLPClassifier, MLPRegressor
from reference.problems import bits, ours, problem, theirs


def digits(dtype):
    X, y = load_digits(return_X_y=True)
    return train_test_split(X.astype(dtype), y, random_state=0)


def small(dtype, **params):
    params = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.02} | params
    params = {"max_iter": 5, "random_state": 0} | params
    return MLPClassifier(**params), *problem("multiclass", 120, dtype=dtype)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_digits_are_learnt(solver, dtype):
    X, X_test, y, y_test = digits(dtype)
    params = {"learning_rate_init": 0.02, "max_iter": 60, "random_state": 0}
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), solver=solver, **params))
    assert model.fit(X, y).score(X_test, y_test) > 0.95


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_diabetes_is_learnt(solver, dtype):
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(dtype), y / 100, random_state=0)
    params = {"learning_rate_init": 0.01, "max_iter": 100, "alpha": 30, "tol": 1e-3}
    model = MLPRegressor(hidden_layer_sizes=(5,), solver=solver, random_state=0, **params)
    model = make_pipeline(StandardScaler(), model)
    assert model.fit(X, y).score(X_test, y_test) > 0.3


def test_xor_is_learnt(dtype):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    y = [0, 1, 1, 0]
    model = MLPClassifier((8,), "tanh", solver="lbfgs", random_state=1).fit(X, y)
    assert model.score(X, y) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search(n_jobs, dtype):
    model, X, y = small(dtype)
    pipeline = make_pipeline(StandardScaler(), model)
    grid = {"mlpclassifier__alpha": [1e-4, 10], "mlpclassifier__solver": ["adam", "sgd"]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    refit = pipeline.set_params(**search.best_params_).fit(X, y)
    assert bits(refit[-1], X) == bits(search.best_estimator_[-1], X)


def test_grid_search_scores_do_not_depend_on_the_process(dtype):
    model, X, y = small(dtype)
    scores = [
        GridSearchCV(model, {"alpha": [0, 1]}, cv=3, n_jobs=n).fit(X, y).cv_results_ for n in (1, 2)
    ]
    for name in ("split0_test_score", "split1_test_score", "split2_test_score"):
        np.testing.assert_array_equal(scores[0][name], scores[1][name])


def test_stacking(dtype):
    model, X, y = small(dtype)
    members = [("mlp", model), ("linear", LogisticRegression())]
    stack = StackingClassifier(members, small(dtype, max_iter=60)[0], cv=3)
    assert stack.fit(X, y).score(X, y) > 0.5
    assert stack.predict_proba(X).shape == (len(X), 3)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(method, dtype):
    model, X, y = small(dtype, max_iter=40)
    model = CalibratedClassifierCV(model, method=method, cv=3).fit(X, y)
    assert model.score(X, y) > 0.5
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


def test_bagging_voting_multioutput_and_importance(dtype):
    model, X, y = small(dtype, max_iter=40)
    assert BaggingClassifier(model, 3, random_state=0).fit(X, y).score(X, y) > 0.5
    targets = np.column_stack([y, y == 0]).astype(int)
    assert MultiOutputClassifier(model).fit(X, targets).predict(X).shape == (len(X), 2)
    X, y = problem("squared", dtype=dtype)
    regressor = MLPRegressor(solver="lbfgs", max_iter=20, random_state=0)
    vote = VotingRegressor([("a", regressor), ("b", regressor)]).fit(X, y)
    np.testing.assert_allclose(vote.predict(X), regressor.fit(X, y).predict(X), rtol=1e-5)
    found = permutation_importance(regressor, X, y, n_repeats=2, random_state=0)
    assert found.importances_mean.max() > 0


def test_cross_validation_with_two_processes(dtype):
    model, X, y = small(dtype, max_iter=60)
    alone = cross_val_score(model, X, y, cv=3)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=3, n_jobs=2), alone)
    assert alone.mean() > 0.5


def test_sample_weight_is_routed(dtype):
    model, X, y = small(dtype)
    weights = np.linspace(0, 2, len(y))
    expected = bits(small(dtype)[0].fit(X, y, sample_weight=weights), X)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(model).fit(X, y, sample_weight=weights)
        search = GridSearchCV(model, {"alpha": [1e-4]}, cv=3)
        search.fit(X, y, sample_weight=weights)
    assert bits(pipeline[-1], X) == expected
    assert bits(search.best_estimator_, X) == expected


def test_partial_fit_request_is_there():
    with config_context(enable_metadata_routing=True):
        model = MLPClassifier().set_partial_fit_request(sample_weight=True, classes=True)
        requests = model.get_metadata_routing().partial_fit.requests
    assert requests == {"sample_weight": True, "classes": True}


def test_output_settings_do_not_matter(dtype):
    model, X, y = small(dtype)
    expected = bits(model.fit(X, y), X)
    with config_context(transform_output="pandas", assume_finite=True):
        assert bits(model.fit(X, y), X) == expected


@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_html_shows_our_documentation_link_and_not_sklearns(kind):
    for model in (ours(kind), ours(kind, max_iter=1).fit(*problem(kind))):
        page = estimator_html_repr(model)
        assert type(model).__name__ in page
        link = model._get_doc_link()
        assert link.startswith("http")
        assert "scikit-learn.org" not in link
        assert link in page


@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_tags_are_sklearns(kind):
    assert get_tags(ours(kind)) == get_tags(theirs(kind))
    assert get_tags(ours(kind)).input_tags.sparse
    assert is_classifier(ours(kind)) == (kind == "binary")
    assert is_regressor(ours(kind)) == (kind == "squared")


def test_a_subclass_with_its_own_parameter(dtype):
    class Wider(MLPClassifier):
        def __init__(self, width=8, *, max_iter=5, random_state=0):
            super().__init__(
                (width,),
                max_iter=max_iter,
                random_state=random_state,
                learning_rate_init=0.02,
            )
            self.width = width

    model, X, y = small(dtype)
    assert bits(Wider().fit(X, y), X) == bits(model.fit(X, y), X)
