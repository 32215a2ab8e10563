"""Programs that read scikit-learn's MLP by its attributes: they get what they would get from
scikit-learn's, or fail at once where a network computes something else."""

import json

import numpy as np
import pytest

from fastmlp import MLPClassifier, MLPRegressor
from reference.problems import problem

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

# networks that are not a plain MLP
NOT_PLAIN = {
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer"},
    "residual": {"residual": True, "hidden_layer_sizes": (6, 6)},
    "ensemble": {"n_estimators": 3},
    "hinge": {"loss": "hinge"},
    "levels": {"loss": "quantile", "loss_params": {"quantile": [0.1, 0.9]}},
}
# activations that these tools do not have
OTHER_ACTIVATIONS = {
    "gelu": {"activation": "gelu"},
    "by layer": {"activation": ["relu", "tanh"], "hidden_layer_sizes": (6, 6)},
}


def fitted(kind, **params):
    X, y = problem(kind, 80, dtype=np.float32)
    make = MLPRegressor if kind == "squared" else MLPClassifier
    model = make(**{"hidden_layer_sizes": (6,), "max_iter": 20, "random_state": 0} | params)
    return model.fit(X, y), X


def kind_of(name):
    return "squared" if name == "levels" else "binary"


def converted(model, X):
    """The model by skl2onnx's converters for scikit-learn's MLP, as a function of X."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from skl2onnx.operator_converters.multilayer_perceptron import (
        convert_sklearn_mlp_classifier,
        convert_sklearn_mlp_regressor,
    )

    update_registered_converter(
        *(MLPClassifier, "FastMLPClassifier", calculate_linear_classifier_output_shapes),
        convert_sklearn_mlp_classifier,
        options={
            **{"zipmap": [True, False, "columns"], "output_class_labels": [False, True]},
            **{"nocl": [True, False]},
        },
    )
    update_registered_converter(
        *(MLPRegressor, "FastMLPRegressor", calculate_linear_regressor_output_shapes),
        convert_sklearn_mlp_regressor,
    )
    options = {"zipmap": False} if isinstance(model, MLPClassifier) else {}
    graph = skl2onnx.to_onnx(
        *(model, [("X", FloatTensorType([None, X.shape[1]]))]),
        options={id(model): options} if options else None,
    )
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "squared"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_a_plain_mlp_is_converted_to_onnx(kind, activation):
    model, X = fitted(kind, activation=activation)
    outputs = converted(model, X)
    np.testing.assert_allclose(outputs[0].squeeze(), model.predict(X), rtol=1e-4, atol=1e-4)
    if kind != "squared":
        np.testing.assert_allclose(outputs[1], model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    "kind, fitted_before",
    [
        *(("binary", None), ("multiclass", None), ("multilabel", None), ("multilabel",) * 2),
        *(("binary", "multiclass"), ("multiclass", "binary")),
    ],
)
def test_weights_set_by_hand_are_converted_to_onnx(kind, fitted_before):
    """Into an estimator that was never fitted, or was fitted to other outputs; once it has
    predicted, what converters read is there."""
    source, X = fitted(kind)
    model = MLPClassifier() if fitted_before is None else fitted(fitted_before)[0]
    model.coefs_, model.intercepts_ = source.coefs_, source.intercepts_
    model.classes_, model.out_activation_ = source.classes_, source.out_activation_
    np.testing.assert_array_equal(model.predict(X), source.predict(X))
    labels, probabilities = converted(model, X)
    np.testing.assert_array_equal(labels, source.predict(X))
    np.testing.assert_allclose(probabilities, source.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("name", [*NOT_PLAIN, *OTHER_ACTIVATIONS])
def test_other_networks_are_not_misread_by_onnx(name):
    model, X = fitted(kind_of(name), **(NOT_PLAIN | OTHER_ACTIVATIONS)[name])
    with pytest.raises((AttributeError, KeyError, TypeError)):
        converted(model, X)


@pytest.mark.parametrize("name", [*NOT_PLAIN, *OTHER_ACTIVATIONS])
def test_other_networks_are_not_misread_by_emlearn(name):
    with np.errstate():  # emlearn sets NumPy to raise
        emlearn = pytest.importorskip("emlearn")
    model, _ = fitted(kind_of(name), **(NOT_PLAIN | OTHER_ACTIVATIONS)[name])
    with pytest.raises((AttributeError, TypeError, ValueError)):
        emlearn.convert(model).save(name="net")


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_home_made_readers_fail(name):
    """The names by which people write weights to JSON or C."""
    model, _ = fitted(kind_of(name), **NOT_PLAIN[name])
    with pytest.raises(AttributeError):
        json.dumps([[w.tolist() for w in model.coefs_], [b.tolist() for b in model.intercepts_]])
    with pytest.raises(AttributeError):
        np.savez("weights.npz", *model.coefs_, *model.intercepts_)
    assert [b.shape[-1] for b in model.biases_] == [w.shape[-1] for w in model.coefs_]


def test_the_names_follow_the_network():
    """A fit of another kind moves the intercepts; what a user sets is used."""
    X, y = problem("binary", 80)
    model = MLPClassifier((6, 6), max_iter=5, random_state=0).fit(X, y)
    assert not hasattr(model, "biases_")
    model.set_params(residual=True).fit(X, y)
    assert not hasattr(model, "intercepts_")
    before = model.predict_proba(X)
    model.intercepts_ = [b + 1 for b in model.biases_]
    assert (model.predict_proba(X) != before).all()
    model.partial_fit(X, y)
    assert not hasattr(model, "intercepts_")
    assert model.biases_[0].mean() > 0.5
    model.set_params(residual=False).fit(X, y)
    assert not hasattr(model, "biases_")
