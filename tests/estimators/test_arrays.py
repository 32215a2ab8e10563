"""The arrays are the model: weights that users put in place of those that training left, or into an
estimator that was never fitted."""

import copy
import itertools
import pickle
import warnings
from collections import deque

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import LabelBinarizer

import fastmlp
from fastmlp import MLPClassifier, MLPRegressor
from reference.problems import intercepts_of, ours, problem

N_FEATURES = 9
# kind of outputs -> estimator, number of outputs, output activation, classes
OUTPUTS = {
    "one": (MLPRegressor, 1, "identity", None),
    "three": (MLPRegressor, 3, "identity", None),
    "positive": (MLPRegressor, 1, "exp", None),
    "binary": (MLPClassifier, 1, "logistic", ["no", "yes"]),
    "multiclass": (MLPClassifier, 3, "softmax", ["a", "b", "c"]),
    "two of a softmax": (MLPClassifier, 2, "softmax", ["no", "yes"]),
    "labels": (MLPClassifier, 3, "logistic", [0, 1, 2]),
    "decision": (MLPClassifier, 1, "identity", [7, 5]),  # not sorted
    "decisions": (MLPClassifier, 3, "identity", [7, 5, 6]),
}


def weights(kind, seed=0, hidden=(6, 4)):
    rng = np.random.RandomState(seed)
    units = [N_FEATURES, *hidden, OUTPUTS[kind][1]]
    coefs = [rng.uniform(-1, 1, shape) for shape in itertools.pairwise(units)]
    return coefs, [rng.uniform(-1, 1, n) for n in units[1:]]


def filled(kind, **params):
    """An estimator that was never fitted, with weights and nothing else that follows from them."""
    make, _, out_activation, classes = OUTPUTS[kind]
    if out_activation == "identity" and classes:
        params["loss"] = "hinge"
    model = make(**params)
    model.coefs_, model.intercepts_ = weights(kind)
    if out_activation not in ("softmax",):
        model.out_activation_ = out_activation
    if classes is not None:
        model.classes_ = classes
    return model


def forward(kind, X):
    """The outputs of the network in plain NumPy."""
    (*coefs, last), (*intercepts, bias) = weights(kind)
    for coef, intercept in zip(coefs, intercepts, strict=True):
        X = np.maximum(X @ coef + intercept, 0)
    z = X @ last + bias
    exp = np.exp(z)
    return {
        "identity": z,
        "exp": exp,
        "logistic": 1 / (1 + np.exp(-z)),
        "softmax": exp / exp.sum(axis=1, keepdims=True),
    }[OUTPUTS[kind][2]]


def labels(kind, outputs):
    classes = OUTPUTS[kind][3]
    threshold = 0 if kind.startswith("decision") else 0.5
    if kind == "labels":
        return (outputs > 0.5).astype(int)
    if outputs.shape[1] == 1:
        return np.array(classes)[(outputs[:, 0] > threshold).astype(int)]
    return np.array(classes)[outputs.argmax(axis=1)]


@pytest.mark.parametrize("n_rows", [1, 61, 400])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_weights_in_an_estimator_that_was_never_fitted(kind, n_rows):
    X, _ = problem("squared", n_rows)
    outputs = forward(kind, X)
    for model in (filled(kind), pickle.loads(pickle.dumps(filled(kind)))):
        found = model.predict(X)
        if OUTPUTS[kind][3] is None:
            np.testing.assert_allclose(found.reshape(outputs.shape), outputs)
        else:
            np.testing.assert_array_equal(found, labels(kind, outputs))
            assert model.score(X, found) == 1
        assert (model.n_features_in_, model.n_outputs_) == (N_FEATURES, outputs.shape[1])
        assert model.n_layers_ == 4
        if hasattr(model, "predict_proba"):
            expected = outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])
            np.testing.assert_allclose(model.predict_proba(X), expected)
        elif OUTPUTS[kind][3] is not None:
            found = model.decision_function(X)
            np.testing.assert_allclose(found.reshape(outputs.shape), outputs)
        assert model.hidden_layer(X).shape == (n_rows, 4)
        with pytest.raises(ValueError, match="X has 5 features"):
            model.predict(X[:, :5])


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_training_goes_on_from_them(kind, method):
    """One small step of SGD moves the weights a little, and keeps their shapes."""
    X, _ = problem("squared", 40)
    params = {"solver": "sgd", "learning_rate_init": 1e-7, "alpha": 0.0, "max_iter": 1}
    model = filled(kind, hidden_layer_sizes=(6, 4), warm_start=True, random_state=0, **params)
    y = copy.deepcopy(model).predict(X)
    if OUTPUTS[kind][3] is None:
        y += 1
    elif kind != "labels":
        y[:3] = np.resize(OUTPUTS[kind][3], 3)  # every class
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        getattr(model, method)(X, y)
    before = itertools.chain(*weights(kind))
    for now, then in zip([*model.coefs_, *intercepts_of(model)], before, strict=True):
        assert now.shape == then.shape
        np.testing.assert_allclose(now, then, atol=1e-5)
    assert any((a != b).any() for a, b in zip(model.coefs_, weights(kind)[0], strict=True))
    assert model.out_activation_ == OUTPUTS[kind][2]


def test_targets_are_encoded_for_the_outputs_that_are_there():
    """A gradient step raises the output of the class, whatever the order of `classes_`."""
    X, _ = problem("squared", 40)
    for kind in ("multiclass", "two of a softmax", "binary", "decisions"):
        classes = OUTPUTS[kind][3]
        for name in classes:
            params = {"random_state": 0, "learning_rate_init": 0.05}
            model = filled(kind, hidden_layer_sizes=(6, 4), **params)
            before = (copy.deepcopy(model).predict(X) == name).mean()
            for _ in range(50):
                model.partial_fit(X, np.full(40, name))
            assert (model.predict(X) == name).mean() >= max(0.9, before)


# ------------------------------------------------------------------------------ types


def rows(arrays):
    return [a.reshape(1, -1) if a.ndim == 1 else a for a in arrays]


def bfloat16(arrays):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    return [a.astype(ml_dtypes.bfloat16) for a in arrays]


FORMS = {
    "float16": lambda arrays: [a.astype(np.float16) for a in arrays],
    "float32": lambda arrays: [a.astype(np.float32) for a in arrays],
    "float128": lambda arrays: [a.astype(np.longdouble) for a in arrays],
    "big endian": lambda arrays: [a.astype(">f8") for a in arrays],
    "integers": lambda arrays: [np.round(4 * a).astype(np.int8) for a in arrays],
    "booleans": lambda arrays: [a > 0 for a in arrays],
    "mixed": lambda arrays: [a.astype(t) for a, t in zip(arrays, ["f4", "f8", "f2"], strict=True)],
    "rows": rows,
    "lists": lambda arrays: [a.tolist() for a in arrays],
    "a tuple": tuple,
    "an object array": lambda arrays: np.array([*arrays, None], dtype=object)[:-1],
    "objects": lambda arrays: [a.astype(object) for a in arrays],
    "Fortran": lambda arrays: [np.asfortranarray(a) for a in arrays],
    "strided": lambda arrays: [np.repeat(a, 2, axis=0)[::2] for a in arrays],
    "bfloat16": bfloat16,
    "a deque": deque,
    "a dict": lambda arrays: dict(enumerate(arrays)),
    "sparse": lambda arrays: [scipy.sparse.coo_array(a) for a in arrays],
    "masked": lambda arrays: [np.ma.array(a) for a in arrays],
}


# forms in which the numbers are the same
KEPT = ("lists", "rows", "an object array", "objects", "a deque", "a dict", "sparse")


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", ["coefs_", "intercepts_", "both"])
def test_arrays_of_any_form(form, which, fitted):
    """They predict and train as the same numbers in plain arrays do."""
    X, _ = problem("squared", 40)
    _, y = problem("multiclass", 40)
    y = np.array(["a", "b", "c"])[y]
    models = []
    for plain in (False, True):
        model = filled("multiclass", random_state=0, warm_start=True, max_iter=2)
        model.hidden_layer_sizes = (6, 4)
        if fitted:
            held = model.coefs_, model.intercepts_
            model = MLPClassifier((6, 4), random_state=0, warm_start=True, max_iter=2).fit(X, y)
            model.coefs_, model.intercepts_ = held
        for name in ("coefs_", "intercepts_") if which == "both" else [which]:
            arrays = FORMS[form](getattr(model, name))
            if plain and form in KEPT:
                arrays = getattr(model, name)
            elif plain:
                arrays = [np.array(a, dtype=np.float64) for a in arrays]
            setattr(model, name, arrays)
        models.append(model)
    given, plain = models
    held = given.coefs_
    # the same numbers, but computed in float32
    single = form in ("float16", "float32", "bfloat16") and which == "both"
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if single else {"rtol": 1e-9}
    np.testing.assert_allclose(given.predict_proba(X), plain.predict_proba(X), **tolerance)
    np.testing.assert_allclose(given.predict_proba(X[:1]), plain.predict_proba(X[:1]), **tolerance)
    assert given.coefs_ is held
    for model in models:
        model.partial_fit(X, y)
    np.testing.assert_allclose(given.predict_proba(X), plain.predict_proba(X), **tolerance)
    if form == "lists":
        given.coefs_ = FORMS[form](given.coefs_)
    for model in models:
        model.fit(X, y)
    np.testing.assert_allclose(given.predict_proba(X), plain.predict_proba(X), **tolerance)
    assert {a.dtype for a in given.coefs_} <= {np.dtype(np.float32), np.dtype(np.float64)}


@pytest.mark.parametrize("bias", [0, 0.5, np.float32(-1), np.array(2.0), [1], [[1.0]]])
@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("kind", ["multiclass", "one", "binary"])
def test_one_intercept_for_a_whole_layer(kind, layer, bias):
    """A number is that of each unit, as in scikit-learn, where it is broadcast."""
    X, _ = problem("squared", 40)
    found, expected = filled(kind), filled(kind)
    found.intercepts_[layer] = bias
    expected.intercepts_[layer] = np.full_like(expected.intercepts_[layer], np.ravel(bias)[0])
    for method in ("predict", "hidden_layer"):
        np.testing.assert_array_equal(getattr(found, method)(X), getattr(expected, method)(X))
    y = expected.predict(X)
    found.hidden_layer_sizes = expected.hidden_layer_sizes = (6, 4)
    found.random_state = expected.random_state = 0
    np.testing.assert_array_equal(
        found.partial_fit(X, y).coefs_[0], expected.partial_fit(X, y).coefs_[0]
    )


@pytest.mark.parametrize("form", [np.ravel, lambda a: a.ravel().tolist(), lambda a: a])
def test_a_linear_model_as_a_network(form):
    """One output may have a vector of coefficients and a number as its intercept."""
    X, y = problem("squared", 80)
    linear = LinearRegression().fit(X, y)
    model = MLPRegressor(hidden_layer_sizes=())
    model.coefs_, model.intercepts_ = [form(linear.coef_[:, np.newaxis])], [linear.intercept_]
    np.testing.assert_allclose(model.predict(X), linear.predict(X))
    assert model.partial_fit(X, y).coefs_[0].shape == (N_FEATURES, 1)


@pytest.mark.parametrize("form", ["fewer", "more", "two rows", "a column"])
def test_intercepts_of_another_length_are_refused(form):
    X, _ = problem("squared", 40)
    model = filled("multiclass")
    shape = {"fewer": 3, "more": 5, "two rows": (2, 2), "a column": (4, 1)}[form]
    model.intercepts_[1] = np.ones(shape)
    with pytest.raises(ValueError, match=r"intercepts_\[1\] must have the shape \(4,\), got"):
        model.predict(X)


def test_missing_numbers_are_refused():
    """None would become NaN."""
    X, _ = problem("squared", 40)
    for name in ("coefs_", "intercepts_"):
        for broken in (None, [None] * 4, np.array([[None] * 4] * 6)):
            model = filled("multiclass")
            getattr(model, name)[1] = broken
            with pytest.raises(ValueError, match=name + r"\[1\] must be an array of real numbers"):
                model.predict(X)


def test_weights_of_pytorch_are_to_be_transposed():
    X, _ = problem("squared", 40)
    model = filled("multiclass")
    model.coefs_ = [coef.T for coef in model.coefs_]
    with pytest.raises(ValueError, match=r"PyTorch's weights, of shape \(fan_out, fan_in\), trans"):
        model.predict(X)
    model = filled("multiclass")
    model.coefs_[1] = model.coefs_[1].T
    with pytest.raises(ValueError, match=r"must have the shape \(6, 'fan_out'\), got \(4, 6\)\.$"):
        model.predict(X)


@pytest.mark.parametrize("hidden", [(), (7,), (8, 5), (9, 9, 9)])
def test_other_hidden_layers(hidden):
    """They replace those that were trained; the optimizer has nothing to remember of them."""
    X, y = problem("multiclass", 80)
    model = ours("multiclass", hidden_layer_sizes=(6,), random_state=0, max_iter=3).fit(X, y)
    model.partial_fit(X, y)
    model.coefs_, model.intercepts_ = weights("multiclass", hidden=hidden)
    model.predict(X)
    assert model.n_layers_ == len(hidden) + 2
    with pytest.warns(UserWarning, match=r"Training continues with these, although hidden_layer"):
        model.partial_fit(X, y)
    assert [coef.shape[1] for coef in model.coefs_] == [*hidden, 3]
    del model.best_loss_  # that of the former weights
    params = {"hidden_layer_sizes": hidden, "learning_rate_init": 0.02, "max_iter": 300}
    model.set_params(warm_start=True, **params).fit(X, y)
    assert model.score(X, y) > 0.8


def test_other_features_and_outputs():
    X, y = problem("squared", 80)
    model = ours("squared", hidden_layer_sizes=(6,), max_iter=3).fit(X, y)
    model.coefs_[0] = np.ones((4, 6))
    assert model.predict(X[:, :4]).shape == (80,)
    assert model.n_features_in_ == 4
    model.coefs_[1], model.intercepts_[1] = np.ones((6, 2)), np.zeros(2)
    assert model.predict(X[:, :4]).shape == (80, 2)
    with pytest.raises(ValueError, match="have 2 outputs, but y asks for 1"):
        model.partial_fit(X[:, :4], y)
    assert model.partial_fit(X[:, :4], np.c_[y, y]).n_outputs_ == 2


@pytest.mark.parametrize("classes", [None, ["a", "b"], ["a", "b", "c", "d"]])
def test_classes_that_do_not_fit_the_outputs(classes):
    X, _ = problem("squared")
    model = filled("multiclass")
    model.classes_ = classes
    if classes is None:
        del model.classes_
    with pytest.raises(ValueError, match="classes_ must have the labels of 3 classes"):
        model.predict(X)


@pytest.mark.parametrize(
    "classes", [{"a", "b", "c"}, {0: "a", 1: "b", 2: "c"}, "abc", [("a", 1), ("b", 2), ("c", 3)]]
)
def test_classes_that_have_no_order_or_are_no_labels(classes):
    """Not taken for three classes, although their length is 3."""
    X, _ = problem("squared", 40)
    model = filled("multiclass", hidden_layer_sizes=(6, 4))
    model.classes_ = classes
    with pytest.raises(ValueError, match="classes_ must have the labels of 3 classes, in a list"):
        model.predict(X)
    with pytest.raises(ValueError, match="classes_ must be a list of labels"):
        model.partial_fit(X, ["a", "b"] * 20)


def test_the_binarizer_follows_from_the_outputs():
    """scikit-learn's private attribute, which converters read, of an estimator never fitted."""
    assert not hasattr(MLPClassifier(), "_label_binarizer")
    assert not hasattr(MLPRegressor(), "_label_binarizer")
    model = MLPClassifier()
    for kind in ("labels", "multiclass", "two of a softmax", "binary", "labels"):
        model.coefs_, model.intercepts_ = weights(kind)
        model.out_activation_, model.classes_ = OUTPUTS[kind][2:]
        binarizer = model._label_binarizer
        assert [*binarizer.classes_] == OUTPUTS[kind][3]
        y_types = {"labels": "multilabel-indicator", "binary": "binary"}
        assert binarizer.y_type_ == y_types.get(kind, "multiclass")
        assert "_label_binarizer" not in vars(model)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "labels"])
def test_classes_of_a_binarizer(kind):
    """scikit-learn's predict needs the binarizer only, so that is what people set."""
    X, _ = problem("squared", 40)
    classes = OUTPUTS[kind][3]
    fitted_to = np.eye(3, dtype=int) if kind == "labels" else classes
    models = []
    for module in (sklearn.neural_network, fastmlp):
        model = module.MLPClassifier((6, 4), random_state=0)
        model.coefs_, model.intercepts_ = weights(kind)
        model.n_layers_, model.n_outputs_, model.out_activation_ = 4, *OUTPUTS[kind][1:3]
        model._label_binarizer = LabelBinarizer().fit(fitted_to)
        models.append(model)
    theirs, ours = models
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
    if kind == "labels":
        del ours.out_activation_
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    else:
        assert [*ours.classes_] == classes
    ours.partial_fit(X, theirs.predict(X))


# the other two do not follow from the outputs
@pytest.mark.parametrize("kind", sorted(OUTPUTS.keys() - {"positive", "labels"}))
def test_an_output_activation_of_none_is_derived(kind):
    X, _ = problem("squared", 40)
    model = filled(kind)
    model.predict(X)
    expected = model.predict(X)
    model.out_activation_ = None
    np.testing.assert_array_equal(model.predict(X), expected)


def test_an_ensemble_of_weights_set_by_hand():
    X, y = problem("squared", 40)
    trained = MLPRegressor(hidden_layer_sizes=(6,), n_estimators=3, max_iter=3).fit(X, y)
    model = MLPRegressor(hidden_layer_sizes=(6,), n_estimators=3)
    model.coefs_ = [coef.tolist() for coef in trained.coefs_]
    model.biases_ = [bias[:, np.newaxis] for bias in trained.biases_]
    np.testing.assert_array_equal(model.predict(X), trained.predict(X))
    np.testing.assert_array_equal(model.hidden_layer(X), trained.hidden_layer(X))
    assert len(model.estimators_) == 3
    model.biases_ = [0, 0]
    assert np.isfinite(model.partial_fit(X, y).predict(X)).all()


# ------------------------------------------------------------------------------ beside scikit-learn


def test_weights_from_scikit_learn_with_what_its_users_set():
    """The attributes that people set on scikit-learn's estimators to use weights from a file."""
    X, y = problem("multiclass", 80)
    trained = sklearn.neural_network.MLPClassifier((6,), max_iter=5, random_state=0).fit(X, y)
    for module in (sklearn.neural_network, fastmlp):
        model = module.MLPClassifier((6,))
        model.coefs_, model.intercepts_ = trained.coefs_, trained.intercepts_
        model.n_layers_, model.n_outputs_, model.out_activation_ = 3, 3, "softmax"
        model.classes_, model._label_binarizer = np.arange(3), LabelBinarizer().fit(range(3))
        np.testing.assert_array_equal(model.predict(X), trained.predict(X))
        np.testing.assert_allclose(model.predict_proba(X), trained.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_all_attributes_of_scikit_learns_estimator(solver, method):
    """Its optimizer's state is not taken over, so only the moments are new."""
    X, y = problem("multiclass", 80)
    params = {"solver": solver, "max_iter": 5, "random_state": 0, "warm_start": True}
    theirs = sklearn.neural_network.MLPClassifier((6,), **params).fit(X, y)
    model = MLPClassifier()
    vars(model).update(copy.deepcopy(vars(theirs)))
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    for _ in range(3):
        getattr(model, method)(X, y)
        getattr(theirs, method)(X, y)
    tolerance = 1e-9 if method == "fit" else 0.02
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=tolerance)
    assert model.t_ == theirs.t_
    np.testing.assert_allclose(model.loss_curve_, theirs.loss_curve_, atol=tolerance)


def test_federated_averaging():
    """Clients train on their own rows from the mean of all weights, as with scikit-learn."""
    X, y = problem("multiclass", 300)
    scores = []
    for module in (sklearn.neural_network, fastmlp):
        params = {"hidden_layer_sizes": (8,), "random_state": 0, "learning_rate_init": 0.01}
        clients = [module.MLPClassifier(**params) for _ in range(3)]
        mean = None
        for _ in range(30):
            for i, client in enumerate(clients):
                if mean is not None:
                    client.coefs_, client.intercepts_ = ([w.copy() for w in ws] for ws in mean)
                client.partial_fit(X[i::3], y[i::3], classes=[0, 1, 2])
            mean = [
                [np.mean(ws, axis=0) for ws in zip(*held, strict=True)]
                for held in ([c.coefs_ for c in clients], [c.intercepts_ for c in clients])
            ]
        server = module.MLPClassifier(**params).partial_fit(X[:5], y[:5], classes=[0, 1, 2])
        server.coefs_, server.intercepts_ = mean
        scores.append(server.predict_proba(X))
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-9)


def test_a_client_that_has_seen_fewer_classes():
    """The weights of all classes, and their labels, in an estimator fitted on two of them."""
    X, y = problem("multiclass", 90)
    whole = ours("multiclass", hidden_layer_sizes=(6,), max_iter=50, random_state=0).fit(X, y)
    client = ours("binary", hidden_layer_sizes=(6,), max_iter=2).fit(X[y > 0], y[y > 0])
    client.coefs_, client.intercepts_, client.classes_ = (
        whole.coefs_,
        whole.intercepts_,
        whole.classes_,
    )
    client.out_activation_ = "softmax"
    np.testing.assert_array_equal(client.predict(X), whole.predict(X))
    assert set(client.partial_fit(X, y).predict(X)) == {0, 1, 2}


# ------------------------------------------------------------------------------ what follows


@pytest.mark.parametrize("first, second", [("binary", "multiclass"), ("multiclass", "binary")])
def test_another_number_of_outputs_in_a_fitted_estimator(first, second):
    """The output activation follows: none is left over from the fit."""
    X, y = problem(first, 90)
    _, other_y = problem(second, 90)
    model = ours(first, hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, y)
    donor = ours(second, hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, other_y)
    model.coefs_, model.intercepts_, model.classes_ = (
        donor.coefs_,
        donor.intercepts_,
        donor.classes_,
    )
    np.testing.assert_allclose(model.predict_proba(X), donor.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), donor.predict(X))
    model.partial_fit(X, other_y)
    assert model.out_activation_ == donor.out_activation_


@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.arange(3)])
def test_labels_replaced_by_classes(names):
    """As many classes as there were labels: the classes or the softmax tell them apart."""
    X, y = problem("multilabel", 90)
    _, classes = problem("multiclass", 90)
    model = ours("multilabel", hidden_layer_sizes=(6,), max_iter=3).fit(X, y)
    donor = ours("multiclass", hidden_layer_sizes=(6,), max_iter=3).fit(X, names[classes])
    model.coefs_, model.intercepts_ = donor.coefs_, donor.intercepts_
    model.classes_, model.out_activation_ = donor.classes_, "softmax"
    np.testing.assert_array_equal(model.predict(X), donor.predict(X))


def test_normalization_without_its_arrays_is_refused():
    X, _ = problem("squared", 40)
    for normalization in ("layer", "batch"):
        model = filled("multiclass", normalization=normalization)
        with pytest.raises(ValueError, match=r"needs the lists \('norm_scales_', 'norm_shifts_'"):
            model.predict(X)


def test_quantiles_of_weights_set_by_hand():
    X, y = problem("squared", 80)
    params = {"loss": "quantile", "loss_params": {"quantile": [0.1, 0.5, 0.9]}}
    trained = MLPRegressor(**params, hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, y)
    model = MLPRegressor(**params)
    model.coefs_, model.biases_ = trained.coefs_, trained.biases_
    np.testing.assert_array_equal(model.predict(X), trained.predict(X))
    assert model.score(X, y) == trained.score(X, y)


def test_classes_set_before_the_first_partial_fit():
    X, y = problem("binary", 40)
    model = MLPClassifier((4,), random_state=0)
    model.classes_ = np.array([0, 1])
    assert set(model.partial_fit(X, y).predict(X)) <= {0, 1}


def test_init_from_weights_of_any_form():
    X, y = problem("multiclass", 80)
    source = ours("multiclass", hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(X, y)
    expected = MLPClassifier((6,), init=source, max_iter=2, random_state=0).fit(X, y)
    source.coefs_ = [w.tolist() for w in source.coefs_]
    source.intercepts_ = rows(source.intercepts_)
    found = MLPClassifier((6,), init=source, max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(found.coefs_[0], expected.coefs_[0])
