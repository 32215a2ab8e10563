"""The constructor, its constraints and the methods' signatures are scikit-learn's."""

import inspect
import re

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import clone

import fastmlp
from reference.problems import ours, outputs, problem, theirs

NAMES = ("MLPClassifier", "MLPRegressor")
METHODS = (
    "fit",
    "partial_fit",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "score",
    "set_fit_request",
    "set_partial_fit_request",
    "set_score_request",
    "get_params",
    "set_params",
)
OWN = {  # names beyond scikit-learn's
    "MLPClassifier": {"decision_function", "estimators_", "hidden_layer"},
    "MLPRegressor": {"estimators_", "hidden_layer"},
}
KIND_OF = {"MLPClassifier": "binary", "MLPRegressor": "squared"}
PUBLIC = {
    *("best_loss_", "best_validation_score_", "coefs_", "intercepts_", "loss_"),
    *("loss_curve_", "n_features_in_", "n_iter_", "n_layers_", "n_outputs_"),
    *("out_activation_", "t_", "validation_scores_"),
}
OWN_ATTRIBUTES = {  # solver -> beyond scikit-learn's
    "adam": {"best_iteration_", "history_", "validation_loss_curve_"},
    "sgd": {"best_iteration_", "history_", "validation_loss_curve_"},
    "lbfgs": {"best_iteration_", "history_", "loss_curve_"},
}


def parameters(function):
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in found]


@pytest.mark.parametrize("name", NAMES)
def test_constructor_is_sklearns_and_keyword_only_parameters(name):
    own = parameters(getattr(fastmlp, name))
    other = parameters(getattr(sklearn.neural_network, name))
    assert own[: len(other)] == other
    assert {kind for _, kind, _ in own[len(other) :]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_methods_take_sklearns_arguments(name, method):
    pair = getattr(fastmlp, name), getattr(sklearn.neural_network, name)
    assert hasattr(pair[0], method) == hasattr(pair[1], method)
    if hasattr(pair[1], method):
        own, other = (parameters(getattr(cls, method)) for cls in pair)
        more = [parameter for parameter in own if parameter not in other]
        assert [parameter for parameter in own if parameter in other] == other
        assert method in ("fit", "set_fit_request") or not more
        assert {name for name, *_ in more} <= {"X_val", "y_val", "sample_weight_val"}
        assert {kind for _, kind, _ in more} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_sklearns(name):
    pair = getattr(fastmlp, name), getattr(sklearn.neural_network, name)
    own, other = ({n for n in dir(cls) if not n.startswith("_")} for cls in pair)
    assert own - other == OWN[name]
    assert other <= own


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "squared x3"])
def test_fitted_attributes_are_sklearns_and_our_own(kind, solver, early_stopping, dtype):
    X, y = problem(kind, dtype=dtype)
    params = {"solver": solver, "early_stopping": early_stopping, "max_iter": 3}
    params |= {"random_state": 0, "hidden_layer_sizes": (5,)}
    a, b = (make(kind, **params).fit(X, y) for make in (ours, theirs))
    own, other = ({n for n in vars(m) if n[-1] == "_" and n[0] != "_"} for m in (a, b))
    assert own == other | OWN_ATTRIBUTES[solver]
    assert other <= PUBLIC | {"classes_"}
    for name in sorted(other - {"coefs_", "intercepts_"}):
        # a float may be NumPy's or Python's
        kinds = [np.asarray(getattr(m, name)).dtype.kind for m in (a, b)]
        assert kinds[0] == kinds[1], name
    for name in ("coefs_", "intercepts_"):
        assert type(getattr(a, name)) is list
        shapes = [w.shape for w in getattr(b, name)]
        assert [w.shape for w in getattr(a, name)] == shapes
        assert all(w.dtype == dtype and w.flags.owndata for w in getattr(a, name))


def test_n_iter_no_change_of_infinity_never_stops():
    X, y = problem("binary")
    model = ours("binary", tol=1e9, n_iter_no_change=np.inf, max_iter=30).fit(X, y)
    assert model.n_iter_ == 30


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_is_there_for_stochastic_solvers_only(name, solver):
    """scikit-learn's regressor has it under L-BFGS too, by mistake."""
    model = getattr(fastmlp, name)(solver=solver)
    assert hasattr(model, "partial_fit") == (solver != "lbfgs")


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_under_lbfgs_says_why_it_is_missing(name):
    kind = KIND_OF[name]
    pair = ours(kind, solver="lbfgs"), theirs("binary", solver="lbfgs")
    texts = []
    for model in pair:
        with pytest.raises(AttributeError) as raised:
            model.partial_fit(*problem(kind))
        texts.append(str(raised.value.__cause__))
    assert texts[0] == texts[1]


INVALID = {
    "hidden_layer_sizes": ["a", 0, -1, 2.5, None, (5, 0), (5, -3)],
    "activation": ["sine", None, 1],
    "solver": ["newton", None],
    "alpha": [-1e-9, "a", None],
    "batch_size": [0, -5, 2.5, "all", None],
    "learning_rate": ["linear", 0.1],
    "learning_rate_init": [0, -1.0, "auto"],
    "power_t": [-0.5, "a"],
    "max_iter": [0, -1, 1.5, "a"],
    "shuffle": ["yes", 2.5, None],
    "random_state": ["a", -1, 1.5],
    "tol": [-1e-9, None],
    "verbose": [-1, "loud", None],
    "warm_start": ["no", 0.5, None],
    "momentum": [-0.1, 1.1, "a"],
    "nesterovs_momentum": ["a", 1.5, None],
    "early_stopping": ["a", 0.5, None],
    "validation_fraction": [-0.1, 1, 1.0, "a"],
    "beta_1": [-0.1, 1, "a"],
    "beta_2": [-0.1, 1.0, "a"],
    "epsilon": [0, -1e-8, "a"],
    "n_iter_no_change": [0, -1, 2.5, -np.inf, "a"],
    "max_fun": [0, -1, 1.5],
    "loss": ["absolute", None],
}
WIDER = {"activation", "solver", "learning_rate", "validation_fraction", "loss"}  # than there
INVALID_CASES = [(name, value) for name, values in INVALID.items() for value in values]


@pytest.mark.parametrize("name, value", INVALID_CASES)
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_invalid_values_are_refused_in_sklearns_words(kind, name, value):
    X, y = problem(kind)
    errors = []
    for make in (ours, theirs) if name in theirs(kind).get_params() else (ours,):
        with pytest.raises(ValueError) as raised:
            make(kind).set_params(**{name: value}).fit(X, y)
        errors.append(raised.value)
    assert type(errors[0]) is type(errors[-1])
    own, other = (str(error) for error in (errors[0], errors[-1]))
    if name in WIDER:  # the choices differ
        own, other = (text.split(" must be ")[0] for text in (own, other))
    # options are printed as a set, in any order
    assert sorted(re.split("[{, }]+", own)) == sorted(re.split("[{, }]+", other))
    assert name in own


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "name, value",
    [("dtype", v) for v in ("float16", None, np.float32, "double", 1)]
    + [("n_threads", v) for v in (0, 1.5, "2", [])],
    ids=repr,
)
def test_invalid_values_of_our_own_parameters(name, value, method):
    X, y = problem("squared")
    model = ours("squared", **{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of MLPRegressor must be"):
        getattr(model, method)(X, y)


@pytest.mark.parametrize(
    "sizes",
    [7, np.int64(7), (7,), [7], np.array([7]), (np.int32(7),), np.array([7], np.uint8)],
    ids=repr,
)
def test_hidden_layer_sizes_in_every_spelling(sizes, dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", hidden_layer_sizes=sizes, max_iter=2).fit(X, y)
    assert [w.shape for w in model.coefs_] == [(9, 7), (7, 3)]


@pytest.mark.parametrize("empty", [(), [], np.array([], int)], ids=repr)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_no_hidden_layer_is_a_linear_model(solver, empty, dtype):
    X, y = problem("squared", dtype=dtype)
    params = {"alpha": 0, "max_iter": 3000, "tol": 1e-7, "learning_rate_init": 0.02}
    params |= {"hidden_layer_sizes": empty, "solver": solver}
    model = ours("squared", random_state=0, **params)
    model.fit(X, y)
    assert len(model.coefs_) == 1
    design = np.column_stack([X, np.ones(len(X))]).astype(float)
    expected = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(model.predict(X), expected, atol=0.02)
    np.testing.assert_allclose(
        outputs(model, X), X @ model.coefs_[0].ravel() + model.intercepts_[0], rtol=1e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_clone_copies_every_parameter(name):
    cls = getattr(fastmlp, name)
    values = {"dtype": "float32", "n_threads": 2, "alpha": 0.5, "hidden_layer_sizes": [3]}
    copy = clone(cls(**values))
    assert {k: copy.get_params()[k] for k in values} == values
    assert not [n for n in vars(copy) if n.endswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_all_and_dir_show_the_public_names(name):
    assert name in fastmlp.__all__
    assert "show_config" in fastmlp.__all__
    assert isinstance(fastmlp.__version__, str)


def test_lists_of_parameter_names_belong_to_the_caller():
    """A subclass may extend what it gets from super()."""
    make = fastmlp.MLPClassifier
    expected = make().get_params().keys()
    make._get_param_names().clear()
    assert make().get_params().keys() == expected
