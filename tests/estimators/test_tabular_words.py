"""Wrong calls of TabularClassifier and TabularRegressor, in words; and their arrays."""

import copy

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor, TabularClassifier, TabularRegressor
from fastmlp.inspection import trace_step

pd = pytest.importorskip("pandas")

TINY = {"hidden_layer_sizes": (16,), "max_iter": 4, "random_state": 0}
N = 60
RNG = np.random.RandomState(0)
FRAME = pd.DataFrame(
    {
        "number": RNG.normal(size=N),
        "word": RNG.choice(["x", "y", "z"], N),
        "many": [f"level {i % 20}" for i in range(N)],
        "code": RNG.randint(0, 5, N),
    }
)
SIGNAL = FRAME["number"].to_numpy() + (FRAME["word"] == "x")
LABELS = (SIGNAL > 0).astype(int)


def classifier(**params):
    return TabularClassifier(**TINY | params)


def regressor(**params):
    return TabularRegressor(**TINY | params)


def predictions(model):
    return getattr(model, "predict_proba", model.predict)(FRAME)


def same(a, b):
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


MODELS = {
    "classifier": classifier().fit(FRAME, LABELS),
    "regressor": regressor().fit(FRAME, SIGNAL),
    "networks": classifier(n_estimators=2).fit(FRAME, LABELS),
}


@pytest.fixture(params=MODELS)
def model(request):
    return copy.deepcopy(MODELS[request.param])


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"numeric_embedding": "PBLD"}, "'numeric_embedding'.*Got 'PBLD'.*Did you mean 'pbld'"),
        ({"numeric_embedding": "none"}, "'numeric_embedding'.*Did you mean None"),
        ({"numeric_embedding": 1}, "'numeric_embedding'.*'periodic', 'ple', 'plr'.*Got 1"),
        ({"numeric_scaling": "standard"}, "'numeric_scaling'.*'quantile', 'robust'"),
        ({"numeric_scaling": None}, "'numeric_scaling'.*Got None"),
        ({"min_category_count": 0}, r"'min_category_count'.*\[1, inf\).*Got 0"),
        ({"min_category_count": 1.5}, "'min_category_count'.*Got 1.5"),
        ({"categorical_features": "all"}, "'categorical_features'.*'from_dtype'.*Got 'all'"),
        ({"categorical_features": ["w"]}, "categorical_features.*'w'.*Names are .*'word'"),
        ({"categorical_features": [4]}, r"categorical_features.*\[0, 3\], got \[4\]"),
        ({"categorical_features": [True]}, r"categorical_features.*shape \(4,\), got: \(1,\)"),
        ({"categorical_features": {"word"}}, "categorical_features must be.*got {'word'}"),
        ({"categorical_features": None}, "'word' holds strings.*list it.*or convert it"),
        ({"categorical_features": ["word"]}, "'many' holds strings.*list it.*or convert it"),
        ({"dropout": [0.1, 0.2]}, "dropout must be.*of the 1 hidden layers"),
        ({"validation_fraction": 0.0}, "validation_fraction must be greater than 0"),
        ({"scoring": "auc"}, "'scoring'.*Did you mean 'roc_auc'"),
        ({"dtype": "f4"}, "'dtype'.*Did you mean 'float32'"),
        ({"n_estimators": 0}, "'n_estimators'.*Got 0"),
    ],
)
def test_wrong_values_are_explained_and_change_nothing(model, params, words):
    params = {"early_stopping": True} | params
    model.set_params(**params)
    before, expected = dict(vars(model)), predictions(model)
    with pytest.raises(ValueError, match=words):
        model.fit(FRAME, LABELS)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert same(predictions(model), expected)


def failing(model, X, y):
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("change", "X", "y", "given"),
    [
        ({}, FRAME.assign(number=np.inf), LABELS, {}),
        ({}, FRAME[["word"]], LABELS[:-1], {}),
        ({}, FRAME[["word"]], np.full(N, np.nan), {}),
        ({}, FRAME[["word"]], None, {}),
        ({}, FRAME[["word"]], LABELS, {"sample_weight": np.zeros(N)}),
        ({}, FRAME[["word"]], LABELS, {"sample_weight": -np.ones(N)}),
        ({}, FRAME[["word"]], LABELS, {"X_val": FRAME, "y_val": LABELS}),
        ({}, FRAME[["word"]], LABELS, {"X_val": FRAME[["word"]]}),
        ({"warm_start": True}, FRAME[["word"]], LABELS, {}),
        ({"warm_start": True}, FRAME.assign(word=1), LABELS, {}),
        ({"scoring": failing}, FRAME[["word"]], LABELS, {}),
        ({"loss_params": {"gamma": 1}}, FRAME[["word"]], LABELS, {}),
    ],
)
def test_a_refused_fit_changes_nothing(model, change, X, y, given):
    model.set_params(**change)
    before, expected = dict(vars(model)), predictions(model)
    with pytest.raises((ValueError, ZeroDivisionError)):
        model.fit(X, y, **given)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert same(predictions(model), expected)


@pytest.mark.parametrize("cls", [TabularClassifier, TabularRegressor])
def test_wrong_names_of_parameters(cls):
    for name, meant in (
        ("cat_features", "categorical_features"),
        ("epochs", "max_iter"),
        ("lr", "learning_rate_init"),
        ("patience", "n_iter_no_change"),
    ):
        with pytest.raises(TypeError, match=f"'{name}'. Did you mean {meant}"):
            cls(**{name: 1})
        with pytest.raises(ValueError, match=f"'{name}'.*Did you mean {meant}"):
            cls().set_params(**{name: 1})
    with pytest.raises(TypeError, match="unexpected keyword argument 'solver'"):
        cls(solver="adam")
    with pytest.raises(TypeError, match="positional"):
        cls((100,))
    with pytest.raises(TypeError, match=r"eval_set.*X_val"):
        cls().fit(FRAME, LABELS, eval_set=[])


def test_methods_that_an_estimator_lacks():
    with pytest.raises(AttributeError, match="partial_fit"):
        classifier(class_weight="balanced").partial_fit(FRAME, LABELS)
    with pytest.raises(AttributeError, match="decision_function"):
        MODELS["classifier"].decision_function(FRAME)
    hinge = classifier(loss="hinge").fit(FRAME, LABELS)
    assert hinge.decision_function(FRAME).shape == (N,)
    with pytest.raises(AttributeError, match="predict_proba"):
        hinge.predict_proba(FRAME)
    with pytest.raises(AttributeError, match="n_estimators > 1"):
        _ = MODELS["classifier"].estimators_
    with pytest.raises(ValueError, match="there are 0 hidden layers"):
        classifier(hidden_layer_sizes=()).fit(FRAME, LABELS).hidden_layer(FRAME)
    for call in (regressor().predict, regressor().hidden_layer):
        with pytest.raises(ValueError, match="not fitted yet"):
            call(FRAME)


def test_readers_of_mlps_fail(model):
    """They would take X as the first layer's inputs."""
    assert not hasattr(model, "intercepts_")
    with pytest.raises(TypeError, match="takes an MLPClassifier or MLPRegressor, got Tabular"):
        trace_step(model, FRAME, LABELS)
    with pytest.raises(TypeError, match="takes an MLPClassifier or MLPRegressor, got Tabular"):
        trace_step(classifier(), FRAME, LABELS)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_converters_fail(make):
    X = RNG.normal(size=(N, 3)).astype(np.float32)
    model = make().fit(X, LABELS)
    skl2onnx = pytest.importorskip("skl2onnx")
    with pytest.raises(Exception, match="Tabular"):
        skl2onnx.to_onnx(model, X[:1])


CONVERSIONS = {
    "float64": lambda arrays: [np.float64(a) for a in arrays],
    "lists": lambda arrays: [a.tolist() for a in arrays],
    "Fortran": lambda arrays: [np.asfortranarray(a) for a in arrays],
    "a tuple": tuple,
    "read-only": lambda arrays: [
        np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape) for a in arrays
    ],
}
LISTS = ("coefs_", "biases_", "embeddings_")


@pytest.mark.parametrize("kind", CONVERSIONS)
@pytest.mark.parametrize("names", [LISTS, *((name,) for name in LISTS)])
def test_arrays_of_any_type_are_the_model(model, kind, names):
    expected, hidden = predictions(model), model.hidden_layer(FRAME)
    for name in names:
        setattr(model, name, CONVERSIONS[kind](getattr(model, name)))
    tolerance = 1e-5 if kind in ("float64", "lists") else 0
    np.testing.assert_allclose(predictions(model), expected, rtol=tolerance)
    np.testing.assert_allclose(model.hidden_layer(FRAME), hidden, rtol=1e-4, atol=tolerance)
    found = predictions(copy.deepcopy(model))
    assert same(found, predictions(model))
    model.set_params(warm_start=True).partial_fit(FRAME, LABELS)
    wide = kind in ("float64", "lists")
    assert model.coefs_[0].dtype == (np.float64 if wide else np.float32)


def test_float64_arrays_are_computed_in_float64():
    model = copy.deepcopy(MODELS["regressor"]).set_params(clip_predictions=False)
    for name in LISTS:
        setattr(model, name, [np.float64(a) for a in getattr(model, name)])
    before = model.predict(FRAME)
    for name in LISTS:
        array = getattr(model, name)[-1]
        at = tuple(np.unravel_index(array.size // 2, array.shape))
        kept, array[at] = array[at], array[at] + 1e-9
        change = np.abs(model.predict(FRAME) - before).max()
        assert 0 < change < 1e-6, name
        array[at] = kept


@pytest.mark.parametrize("name", LISTS)
def test_changes_in_place_are_used(model, name):
    before = predictions(model)
    getattr(model, name)[0][...] *= 3
    assert not np.allclose(predictions(model), before, rtol=1e-3)


def put(*names):
    """A function that gives a model these lists of another one."""
    return lambda model, other: vars(model).update({n: getattr(other, n) for n in names})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (put("coefs_", "biases_"), ValueError, r"coefs_\[0\] must have \d+ rows"),
        (put("coefs_"), ValueError, r"biases_\[0\] must have the shape"),
        (put("biases_"), ValueError, r"biases_\[0\] must have the shape"),
        (put("embeddings_"), ValueError, r"embeddings_ must have \d+ arrays"),
        (lambda m, o: m.coefs_.pop(), ValueError, "coefs_ has 1 arrays, so biases_ must have 1"),
        (lambda m, o: m.biases_.pop(), ValueError, "biases_ must have 2; it has 1"),
        (lambda m, o: m.embeddings_.pop(), ValueError, r"embeddings_ must have \d+ arrays"),
        (lambda m, o: m.embeddings_.append(1), ValueError, r"embeddings_ must have \d+ arrays"),
        (lambda m, o: m.embeddings_.__setitem__(0, 1.0), ValueError, r"embeddings_\[0\].*got \(\)"),
        (lambda m, o: m.embeddings_.__setitem__(1, np.ones(1)), ValueError, r"embeddings_\[1\]"),
        (lambda m, o: m.embeddings_.__setitem__(1, None), ValueError, "real numbers, got None"),
        (lambda m, o: m.embeddings_.__setitem__(1, ["a"]), ValueError, "real numbers, got"),
        (lambda m, o: setattr(m, "embeddings_", None), ValueError, "embeddings_ must be a list"),
        (lambda m, o: setattr(m, "biases_", 3), ValueError, "biases_ must be a list"),
        (lambda m, o: setattr(m, "coefs_", []), ValueError, "coefs_ must have an array for each"),
        (lambda m, o: delattr(m, "embeddings_"), AttributeError, "'embeddings_' is missing"),
        (lambda m, o: delattr(m, "biases_"), AttributeError, "'biases_' is missing"),
    ],
)
def test_arrays_that_do_not_fit_are_named(model, change, error, words):
    other = classifier(hidden_layer_sizes=(5,)).fit(FRAME[["word"]], LABELS)
    change(model, copy.deepcopy(other))
    for call in (predictions, lambda m: m.hidden_layer(FRAME)):
        with pytest.raises(error, match=words):
            call(model)
    with pytest.raises(error, match=words):
        model.partial_fit(FRAME, LABELS)


def test_other_hidden_layers_are_used(model):
    model.coefs_ = [model.coefs_[0][..., :8], model.coefs_[1][..., :8, :]]
    model.biases_[0] = model.biases_[0][..., :8]
    assert model.hidden_layer(FRAME).shape[1] in (8, 16)
    assert np.isfinite(predictions(model)).all()


def test_mlps_name_the_estimators_of_tables():
    pl = pytest.importorskip("polars")
    dates = FRAME.assign(date=pd.date_range("2020", periods=N))
    tables = [
        *(FRAME, FRAME.to_numpy(), FRAME[["word"]].astype("category"), pl.from_pandas(dates)),
        FRAME[["number"]].assign(number=np.nan),
        FRAME[["number"]].assign(number=pd.array([None] + [1] * (N - 1), dtype="Int64")),
        pd.DataFrame({"a": pd.Series([pd.NA, *range(N - 1)], dtype=object)}),
        pd.DataFrame({"a": [None, *range(N - 1)]}, dtype=object),
        pd.DataFrame({"a": dates["date"].dt.date, "b": 1.0}),
        dates[["date", "number"]],
    ]
    for X in tables:
        for make in (MLPClassifier, MLPRegressor):
            with pytest.raises((TypeError, ValueError)) as caught:
                make(max_iter=2).fit(X, LABELS)
            notes = " ".join(getattr(caught.value, "__notes__", []))
            assert "TabularClassifier" in notes, (type(X), caught.value)
    for X in ([[1], [2, 3]] * (N // 2), [[np.inf], [1]] * (N // 2), np.zeros((N, 2), complex)):
        with pytest.raises((TypeError, ValueError)) as caught:
            MLPClassifier(max_iter=2).fit(X, LABELS)
        assert "Tabular" not in " ".join(getattr(caught.value, "__notes__", []))
