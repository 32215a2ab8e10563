"""Small data sets, one for each kind of target, and the pairs of estimators
(ours, scikit-learn's) that the tests compare with each other."""

import numpy as np
import sklearn.neural_network
from scipy import sparse

import fastmlp
from fastmlp import _core

# kind of target -> (estimator, its parameters beyond the defaults)
KINDS = {
    "binary": ("MLPClassifier", {}),
    "multiclass": ("MLPClassifier", {}),
    "multilabel": ("MLPClassifier", {}),
    "squared": ("MLPRegressor", {}),
    "squared x3": ("MLPRegressor", {}),
    "poisson": ("MLPRegressor", {"loss": "poisson"}),
    "poisson x2": ("MLPRegressor", {"loss": "poisson"}),
}
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
OUT_ACTIVATIONS = (*_core.ACTIVATIONS, "exp")  # allowed in a regressor
CONTAINERS = {
    "dense": np.asarray,
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
}

NORMALIZED = [name for name in _core.NORMALIZATIONS if name]  # without None

# operations of layers besides their product
LAYER_FEATURES = {
    "dropout": {"dropout": (0.2, 0.3), "input_dropout": 0.1},
    **{name: {"normalization": name} for name in NORMALIZED},
    "residual": {"residual": True, "activation": ["relu", "silu"]},
    "frozen": {"normalization": "batch", "frozen_layers": [1]},
    "all": {
        **{"dropout": 0.2, "input_dropout": 0.1, "normalization": "batch"},
        **{"residual": True, "activation": ["mish", "relu"]},
    },
}


def problem(kind, n_samples=61, n_features=9, dtype=np.float64, seed=0):
    """X (n_samples, n_features), a third of it zero, and a learnable y."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_samples, n_features))
    X[rng.uniform(size=X.shape) < 0.35] = 0
    signal = X @ rng.standard_normal((n_features, 3)) / np.sqrt(n_features)
    signal += 0.3 * rng.standard_normal(signal.shape)
    y = {
        "binary": lambda: (signal[:, 0] > 0).astype(int),
        "multiclass": lambda: signal.argmax(axis=1),
        "multilabel": lambda: (signal > 0.2).astype(int),
        "squared": lambda: signal[:, 0],
        "squared x3": lambda: signal,
        "poisson": lambda: rng.poisson(np.exp(signal[:, 0] / 2)).astype(float),
        "poisson x2": lambda: rng.poisson(np.exp(signal[:, :2] / 2)).astype(float),
    }[kind]()
    return X.astype(dtype), y


def sample_weights(n_samples, seed=1):
    """Weights of which about one in eight is zero."""
    rng = np.random.RandomState(seed)
    return rng.uniform(0.1, 3, n_samples) * (rng.uniform(size=n_samples) > 0.12)


def ours(kind, **params):
    name, own = KINDS[kind]
    return getattr(fastmlp, name)(**own, **params)


def theirs(kind, **params):
    name, own = KINDS[kind]
    return getattr(sklearn.neural_network, name)(**own, **params)


def outputs(model, X):
    """The continuous predictions of the model: probabilities or values."""
    return getattr(model, "predict_proba", model.predict)(X)


def intercepts_of(model):
    """The intercepts: in `biases_` where the network is not a plain MLP."""
    return model.biases_ if hasattr(model, "biases_") else model.intercepts_


def bits(model, X):
    """All that a fit computed and what it predicts, as bytes."""
    arrays = [*model.coefs_, *intercepts_of(model), outputs(model, X)]
    curves = [getattr(model, "loss_curve_", None), model.loss_]
    scores = getattr(model, "validation_scores_", None)
    return [np.asarray(a).tobytes() for a in arrays] + [repr(curves), repr(scores)]
