"""scikit-learn's own checks of an estimator; none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp import MLPClassifier, MLPRegressor


def instances(**dtype):
    return [
        MLPClassifier(max_iter=100, **dtype),
        MLPRegressor(max_iter=100, **dtype),
        MLPClassifier(solver="lbfgs", **dtype),
        MLPRegressor(solver="sgd", tol=1e-2, random_state=42, **dtype),
    ]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(instances() + instances(dtype="float32"))
def test_check_estimator(estimator, check):
    check(estimator)
