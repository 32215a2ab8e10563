"""Bad input is refused with scikit-learn's errors and words, and changes nothing."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.model_selection import ShuffleSplit

from reference.problems import bits, ours, problem, sample_weights, theirs

N, F = 30, 4


def data(kind, dtype=np.float64):
    return problem(kind, N, F, dtype)


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[3] = value
    return array


# name -> (X, y, what fit gets more); each is bad in one way
def bad_fits(kind, dtype):
    X, y = data(kind, dtype)
    weights = np.ones(N)
    cases = {
        "X with NaN": (with_value(X, np.nan), y, {}),
        "X with infinity": (with_value(X, np.inf), y, {}),
        "float32 X with infinity": (with_value(X, -np.inf).astype("f4"), y, {}),
        "sparse X with NaN": (sparse.csr_array(with_value(X, np.nan)), y, {}),
        "X of one dimension": (X[:, 0], y, {}),
        "X of three dimensions": (X.reshape(N, 2, 2), y, {}),
        "X a scalar": (1.0, y, {}),
        "X of strings": (X.astype(str).astype(object) + "x", y, {}),
        "X complex": (X + 1j, y, {}),
        "X without rows": (X[:0], y[:0], {}),
        "X without columns": (X[:, :0], y, {}),
        "X None": (None, y, {}),
        "X and y of different lengths": (X, y[:-1], {}),
        "y None": (X, None, {}),
        "y of three dimensions": (X, np.ones((N, 2, 2)), {}),
        "y with NaN": (X, with_value(y, np.nan), {}),
        "y with infinity": (X, with_value(y, np.inf), {}),
        "y complex": (X, y + 1j, {}),
        "weights with NaN": (X, y, {"sample_weight": with_value(weights, np.nan)}),
        "weights with infinity": (X, y, {"sample_weight": with_value(weights, np.inf)}),
        "weights of another length": (X, y, {"sample_weight": weights[1:]}),
        "weights of two dimensions": (X, y, {"sample_weight": np.ones((N, 2))}),
        "weights of strings": (X, y, {"sample_weight": ["a"] * N}),
        "sparse X of integers with NaN": (
            sparse.csc_array(with_value(X, np.nan)),
            y,
            {"sample_weight": weights},
        ),
    }
    if kind == "binary":
        cases |= {
            "y continuous": (X, np.linspace(0, 1, N), {}),
            "y multiclass-multioutput": (X, np.column_stack([y, 2 * y + 1, y + 3]), {}),
            "y of mixed types": (X, np.array([1, "a"] * (N // 2), dtype=object), {}),
        }
    return cases


NAMES = [(kind, name) for kind in ("binary", "squared") for name in bad_fits(kind, "f8")]


def outcome(call, *args, **kwargs):
    """(type, message) of what it raises, ("", None) if nothing; and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(*args, **kwargs)
            raised = "", None
        except Exception as error:
            raised = type(error), str(error)
    return raised, [(w.category, str(w.message)) for w in caught]


def same_outcome(kind, act, **params):
    """`act(model)` ends alike with our model and scikit-learn's; returns how."""
    params = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 3} | params
    own, other = (outcome(act, make(kind, **params)) for make in (ours, theirs))
    assert own == other
    return own


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind, name", NAMES)
def test_bad_data_raises_what_sklearn_raises(kind, name, method, dtype):
    X, y, more = bad_fits(kind, dtype)[name]
    if (kind, method) == ("binary", "partial_fit"):
        more = more | {"classes": [0, 1]}
        if name in ("y None", "y with NaN", "y with infinity"):
            # scikit-learn looks at y before validating it and names it less well
            pair = ours(kind), theirs(kind)
            found = [outcome(m.partial_fit, X, y, **more)[0] for m in pair]
            assert found[0][0] is found[1][0] is ValueError
            return
    if (kind, method, name) == ("binary", "fit", "y continuous"):
        # scikit-learn prints all of y
        with pytest.raises(ValueError, match=r"Unknown label type: continuous\. Maybe you are"):
            ours(kind).fit(X, y)
        return
    raised, _ = same_outcome(kind, lambda m: getattr(m, method)(X, y, **more))
    assert raised[0] in (ValueError, TypeError)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind, name", NAMES)
def test_a_refused_call_leaves_the_model_as_it_was(kind, name, method, dtype):
    X, y = data(kind, dtype)
    model = ours(kind, hidden_layer_sizes=(5,), random_state=0, max_iter=3).fit(X, y)
    before, attributes = bits(model, X), set(vars(model))
    twin = ours(kind, hidden_layer_sizes=(5,), random_state=0, max_iter=3).fit(X, y)
    bad_X, bad_y, more = bad_fits(kind, dtype)[name]
    with pytest.raises((ValueError, TypeError)):
        getattr(model, method)(bad_X, bad_y, **more)
    assert set(vars(model)) == attributes
    assert bits(model, X) == before
    expected = bits(twin.partial_fit(X, y), X)
    assert bits(model.partial_fit(X, y), X) == expected


REFUSED = [  # one for each place where parameters are looked at together
    {"record": {"norms"}},
    {"record": {"weights"}, "n_estimators": 2},
    {"solver": "lbfgs", "clip_norm": 1.0},
    {"solver": "rprop", "batch_size": 5},
    {"learning_rate": lambda t: -t},
    {"stratify_validation": True, "validation_fraction": ShuffleSplit(1)},
    {"label_smoothing": 0.1, "loss": "focal"},
    {"loss": "focal", "loss_params": {"gamma": -1}},
    {"class_weight": {7: 1}},
    {"activation": ["relu"]},
    {"dropout": [0.1]},
    {"residual": True},
    {"frozen_layers": [3]},
    {"scoring": "neg_log_loss", "loss": "hinge"},
    {"scoring": lambda *_: "good"},
    {"validation_fraction": 0.01},
    {"n_threads": 0},
]
REFUSED_FRESH = [{"init": ([], [])}, {"init": lambda *shape: np.ones(shape[:2]), "n_estimators": 2}]
REFUSED_WARM = [{"normalization": "layer"}, {"n_estimators": 2}]


@pytest.mark.parametrize(
    "warm_start, params",
    [
        *((warm_start, params) for warm_start in (False, True) for params in REFUSED),
        *((False, params) for params in REFUSED_FRESH),
        *((True, params) for params in REFUSED_WARM),
    ],
)
def test_parameters_that_are_refused_leave_the_model_as_it_was(warm_start, params):
    def fitted():
        names = vars(model).keys() - model.get_params().keys()
        return pickle.dumps({name: vars(model)[name] for name in sorted(names)})

    X, y = data("binary")
    settings = {"early_stopping": True, "warm_start": warm_start, "max_iter": 3}
    model = ours("binary", hidden_layer_sizes=(5, 6), random_state=0, **settings).fit(X, y)
    before = fitted()
    with pytest.raises((ValueError, AttributeError)):
        model.set_params(**params).fit(X, y)
    assert fitted() == before


@pytest.mark.parametrize("width", [1, F - 1, F + 1, 3 * F])
@pytest.mark.parametrize("kind", ["binary", "squared"])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "partial_fit", "score"])
def test_another_number_of_features(kind, width, method, dtype):
    if not hasattr(ours(kind), method):
        return  # only classifiers have predict_proba
    X, y = data(kind, dtype)
    wide = np.ones((N, width), dtype)
    arguments = (wide,) if method.startswith("predict") else (wide, y)
    for container in (np.asarray, sparse.csr_array, sparse.csc_array):
        call = (container(arguments[0]), *arguments[1:])
        raised, _ = same_outcome(kind, lambda m, c=call: getattr(m.fit(X, y), method)(*c))
        assert raised[0] is ValueError


@pytest.mark.parametrize("kind", ["binary", "squared"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_predict_refuses_what_is_not_finite(kind, value, dtype):
    X, y = data(kind, dtype)
    for bad in (with_value(X, value), sparse.csr_array(with_value(X, value))):
        raised, _ = same_outcome(kind, lambda m, b=bad: m.fit(X, y).predict(b))
        assert raised[0] is ValueError


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predict_before_fit(method):
    raised, _ = same_outcome("binary", lambda m: getattr(m, method)(data("binary")[0]))
    assert raised[0].__name__ == "NotFittedError"


@pytest.mark.parametrize("method", ["predict", "partial_fit"])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_feature_names_that_differ(kind, method):
    X, y = data(kind)
    frame = pd.DataFrame(X, columns=list("abcd"))
    more = () if method == "predict" else (y,)
    for columns in ("abdc", "abcx"):
        other = pd.DataFrame(X, columns=list(columns))
        raised, _ = same_outcome(
            kind, lambda m, o=other: getattr(m.fit(frame, y), method)(o, *more)
        )
        assert raised[0] is ValueError
    _, warned = same_outcome(kind, lambda m: getattr(m.fit(frame, y), method)(X, *more))
    assert "feature names" in warned[-1][1]


def two_fits(m, *calls):
    for X, y, more in calls:
        m.partial_fit(X, y, **more)


@pytest.mark.parametrize(
    "second",
    [
        (["a", "z"], {}),
        (["a", "b"], {"classes": ["a", "c"]}),
        (["a", "b"], {"classes": ["a", "b", "c", "d"]}),
        ([[0, 1], [1, 0]], {}),
        ([0, 1], {}),
    ],
    ids=["unknown label", "other classes", "more classes", "multilabel", "numbers"],
)
def test_partial_fit_with_labels_that_do_not_fit(second):
    X, (y, more) = [[0.0], [1.0]], second
    first = X, ["a", "b"], {"classes": ["a", "b", "c"]}
    raised, _ = same_outcome("binary", lambda m: two_fits(m, first, (X, y, more)))
    assert raised[0] in (ValueError, TypeError)


def test_first_partial_fit_needs_classes_that_cover_y():
    X, y = data("binary")
    assert same_outcome("binary", lambda m: m.partial_fit(X, y))[0][0] is ValueError
    raised, _ = same_outcome("binary", lambda m: m.partial_fit(X, y, classes=[2]))
    assert raised[0] is ValueError


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 3], [0, 0, 0, 1, 1, 1], "aabbcc"])
def test_warm_start_with_other_classes(labels, solver):
    X = np.arange(6.0).reshape(-1, 1)
    first = np.array([0, 0, 1, 1, 2, 2])
    raised, _ = same_outcome(
        "multiclass",
        lambda m: m.fit(X, first).fit(X, np.array(list(labels))),
        warm_start=True,
        solver=solver,
    )
    assert raised[0] is ValueError


@pytest.mark.parametrize("change", ["features", "outputs"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start_cannot_change_features_or_outputs(change, solver, dtype):
    """scikit-learn fails inside NumPy."""
    X, y = data("squared", dtype)
    model = ours("squared", hidden_layer_sizes=(5,), warm_start=True, solver=solver)
    before = bits(model.fit(X, y), X)
    call = {"features": (X[:, :2], y), "outputs": (X, np.c_[y, y])}
    with pytest.raises(ValueError):
        model.fit(*call[change])
    assert bits(model, X) == before


def test_one_class_is_learnt_as_sklearn_does(dtype):
    X, _ = data("binary", dtype)
    y = np.full(N, "only")
    raised, _ = same_outcome("binary", lambda m: m.fit(X, y).predict(X))
    assert raised[1] is None
    assert (ours("binary").fit(X, y).predict(X) == "only").all()


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_weights_that_are_all_zero_are_an_error(kind, solver, dtype):
    X, y = data(kind, dtype)
    with pytest.raises(ValueError, match="Sample weights must contain at least one"):
        ours(kind, solver=solver).fit(X, y, sample_weight=np.zeros(N))


@pytest.mark.parametrize("batch_size", [N + 1, 10**6])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_batch_size_above_n_warns_and_is_clipped(kind, batch_size, dtype):
    X, y = data(kind, dtype)
    _, warned = same_outcome(kind, lambda m: m.fit(X, y), batch_size=batch_size)
    assert "It is going to be clipped" in warned[0][1]
    with pytest.warns(UserWarning, match="clipped"):
        clipped = ours(kind, batch_size=batch_size, random_state=0, max_iter=3).fit(X, y)
    whole = ours(kind, batch_size=N, random_state=0, max_iter=3).fit(X, y)
    assert bits(clipped, X) == bits(whole, X)


@pytest.mark.parametrize("fraction", [0.01, 0.03, 0.99])
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_validation_set_too_small_or_too_large(kind, fraction):
    X, y = data(kind)
    params = {"early_stopping": True, "validation_fraction": fraction}
    raised, theirs_raised = (
        outcome(make(kind, **params, max_iter=3).fit, X, y)[0] for make in (ours, theirs)
    )
    assert raised[0] is theirs_raised[0] and (raised[0] is ValueError or fraction == 0.99)
    if raised[1]:
        assert raised[1].startswith(theirs_raised[1])


@pytest.mark.parametrize("fraction", [0, 0.0])
def test_a_validation_fraction_of_zero(fraction):
    X, y = data("binary")
    model = ours("binary", early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match="validation_fraction must be greater than 0 with early"):
        model.fit(X, y)


def test_a_class_too_rare_to_split():
    """scikit-learn's words, and what to do."""
    X, y = data("binary")
    y = (np.arange(N) == 3).astype(int)
    with pytest.raises(ValueError, match=r"only 1 member.* set stratify_validation=False, or pass"):
        ours("binary", early_stopping=True).fit(X, y)


def test_poisson_targets_must_not_be_negative(dtype):
    """scikit-learn documents it, does not check it, and trains on NaN losses."""
    X, y = data("poisson", dtype)
    y[3] = -1
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="non-negative"):
            getattr(ours("poisson"), method)(X, y)


def test_column_vector_y_warns(dtype):
    for kind in ("binary", "squared"):
        X, y = data(kind, dtype)
        _, warned = same_outcome(kind, lambda m, d=(X, y): m.fit(d[0], d[1][:, None]))
        assert warned[0][0].__name__ == "DataConversionWarning"


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_batch_whose_weights_are_all_zero_takes_no_step(solver, method, dtype):
    """scikit-learn divides by their sum; the model is then NaN."""
    X, y = data("squared", dtype)
    weights = sample_weights(N)
    weights[10:20] = 0
    params = {"batch_size": 10, "shuffle": False, "solver": solver, "max_iter": 4}
    models = [ours("squared", hidden_layer_sizes=(5,), random_state=0, **params) for _ in range(2)]
    rest = np.r_[0:10, 20:N]
    getattr(models[0], method)(X, y, sample_weight=weights)
    getattr(models[1], method)(X[rest], y[rest], sample_weight=weights[rest])
    for a, b in zip(models[0].coefs_, models[1].coefs_, strict=True):
        assert a.tobytes() == b.tobytes()
    assert np.isfinite(models[0].loss_)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "squared"])
def test_diverging_training_raises(kind, method, dtype):
    X, y = data(kind, dtype)
    big = np.finfo(dtype).max * np.abs(np.tanh(X))
    message = "Solver produced non-finite parameter weights"
    labels = {"binary": [0, 1], "multiclass": [0, 1, 2], "multilabel": [0, 1, 2]}
    partial = method == "partial_fit" and kind in labels
    more = {"classes": labels[kind]} if partial else {}
    model = ours(kind, random_state=0, max_iter=20, batch_size=5)
    with pytest.raises(ValueError, match=message):
        for _ in range(20):
            getattr(model, method)(big, y, **more)


def test_a_rate_that_is_too_large_diverges(dtype):
    X, y = data("squared", dtype)
    model = ours("squared", solver="sgd", learning_rate_init=1e6, max_iter=20)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, y)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # in the R2 score
def test_validation_scores_of_a_diverging_model_are_nan(dtype):
    """The weights of the best epoch are kept, as scikit-learn does."""
    X, y = problem("squared", 150, F, dtype)
    params = {"activation": "identity", "solver": "sgd", "learning_rate_init": 30}
    params |= {"early_stopping": True, "max_iter": 60, "random_state": 0}
    model = ours("squared", **params).fit(X, y)
    assert isinstance(model.validation_scores_[-1], float)
    assert np.isnan(model.validation_scores_[-1])
    assert all(np.isfinite(w).all() for w in model.coefs_)


@pytest.mark.parametrize("sizes", [(2**40,), (2**31, 2**31), (2**62, 4), (2**63 - 1,)])
def test_a_network_beyond_memory_is_an_error_not_a_crash(sizes, dtype):
    X, y = data("squared", dtype)
    with pytest.raises((MemoryError, ValueError, OverflowError)):
        ours("squared", hidden_layer_sizes=sizes).fit(X, y)
