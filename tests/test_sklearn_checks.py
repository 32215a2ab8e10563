"""scikit-learn's own checks of an estimator, on the instances it checks and more.

None is expected to fail. In float32 two checks cannot be run: they compare to 1e-7.
"""

import warnings

import numpy as np
import pytest
import sklearn.neural_network
from scipy import sparse
from sklearn.preprocessing import scale
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import _regression_dataset, parametrize_with_checks

from fastmlp import MLPClassifier, MLPRegressor
from problems import ours, outputs, problem

# Compare two trainings to 1e-7, a float32's rounding; see the test at the end.
BELOW_FLOAT32 = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def instances(**dtype):
    return [
        MLPClassifier(max_iter=100, **dtype),
        MLPRegressor(max_iter=100, **dtype),
        MLPClassifier(solver="lbfgs", **dtype),
        MLPRegressor(solver="sgd", tol=1e-2, random_state=42, **dtype),
        MLPClassifier(loss="focal", class_weight="balanced", max_iter=100, **dtype),
        MLPClassifier(loss="hinge", max_iter=100, **dtype),
        MLPRegressor(loss="huber", max_iter=100, **dtype),
    ]


def ensembles():
    return [
        MLPClassifier(n_estimators=3, max_iter=50),
        MLPRegressor(n_estimators=2, max_iter=100),
    ]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(instances() + instances(dtype="float32") + ensembles())
def test_check_estimator(estimator, check):
    name = getattr(check, "func", check).__name__
    if estimator.dtype == "float32" and name in BELOW_FLOAT32:
        pytest.skip("compares to 1e-7; done to float32's digits in a test of its own")
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
