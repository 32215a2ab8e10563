"""What the estimators say: refusals that name the parameter, the value and what to do."""

import os
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp._estimators import hints
from fastmlp._estimators.callers import is_own_call
from fastmlp._estimators.losses import REGRESSOR_LOSSES
from reference.problems import ours, problem

C, R = MLPClassifier, MLPRegressor

# parameters -> what the message has; for the classifier, or for the regressor if `loss` is first
VALUES = [
    (C, {"activation": "RELU"}, "Did you mean 'relu'?"),
    (C, {"activation": "sigmoid"}, "Did you mean 'logistic'?"),
    (C, {"activation": "swish"}, "Did you mean 'silu'?"),
    (C, {"activation": "LeakyReLU"}, "Did you mean 'leaky_relu'?"),
    (C, {"activation": ["sigmoid"]}, "got ['sigmoid']. Did you mean 'logistic'?"),
    (C, {"solver": "Adam"}, "Did you mean 'adam'?"),
    (C, {"solver": "L-BFGS"}, "Did you mean 'lbfgs'?"),
    (C, {"solver": "rmsprob"}, "Did you mean 'rmsprop'?"),
    (C, {"loss": "cross-entropy"}, "Did you mean 'log_loss'?"),
    (R, {"loss": "mse"}, "Did you mean 'squared_error'?"),
    (R, {"loss": "MAE"}, "Did you mean 'absolute_error'?"),
    (R, {"loss": (50,)}, "use hidden_layer_sizes=(50,)."),
    (C, {"init": "xavier"}, "Did you mean 'glorot_uniform'?"),
    (C, {"init": "he"}, "Did you mean 'he_normal'?"),
    (C, {"learning_rate": 0.1}, "use learning_rate_init=0.1."),
    (C, {"normalization": "BatchNorm"}, "Did you mean 'batch'?"),
    (C, {"scoring": "accuracy_"}, "Did you mean 'accuracy'?"),
    (C, {"hidden_layer_sizes": (10.0,)}, "hidden_layer_sizes must be an integer or a list"),
    (C, {"hidden_layer_sizes": True}, "got True."),
    (C, {"hidden_layer_sizes": ((3,),)}, "such as (100, 50); got ((3,),)."),
    (C, {"hidden_layer_sizes": {20, 50}}, "a list with one for each hidden layer, in their order"),
    (C, {"activation": {"relu": 1}}, "in their order; got {'relu': 1}"),
    (C, {"dropout": {0.1}}, "in their order"),
    (C, {"hidden_layer_sizes": "relu"}, "Use activation='relu'."),
    (R, {"hidden_layer_sizes": "tanh"}, "Use activation='tanh'."),
    (C, {"activation": "PReLU"}, "Did you mean 'leaky_relu'?"),
    (C, {"solver": "amsgrad"}, "Did you mean 'adam'?"),
    (C, {"solver": "rms_prop"}, "Did you mean 'rmsprop'?"),
    (C, {"loss": "CrossEntropyLoss"}, "Did you mean 'log_loss'?"),
    (C, {"loss": "BinaryCrossentropy"}, "Did you mean 'log_loss'?"),
    (C, {"loss": "hinge_loss"}, "Did you mean 'hinge'?"),
    (R, {"loss": "SmoothL1Loss"}, "Did you mean 'huber'?"),
    (R, {"loss": "MSELoss"}, "Did you mean 'squared_error'?"),
    (R, {"loss": "reg:squarederror"}, "Did you mean 'squared_error'?"),
    (C, {"init": "Kaiming-Uniform"}, "Did you mean 'he_uniform'?"),
    (C, {"learning_rate": np.float64(0.1)}, "use learning_rate_init=np.float64(0.1)."),
    (C, {"learning_rate": "CosineDecay"}, "Did you mean 'cosine'?"),
    (C, {"learning_rate": "1cycle"}, "Did you mean 'one_cycle'?"),
    (C, {"learning_rate_init": "constant"}, "learning_rate_init is a number"),
    (C, {"normalization": "none"}, "Did you mean None?"),
    (C, {"normalization": "BatchNormalization"}, "Did you mean 'batch'?"),
    (C, {"dtype": np.float32}, "Did you mean 'float32'?"),
    (C, {"dtype": "double"}, "Did you mean 'float64'?"),
    (C, {"frozen_layers": 0}, "Use frozen_layers=[0]."),
    (C, {"record": "weights"}, "Use record={'weights'}."),
    (C, {"record": {"loss"}}, "{'activations', 'gradients', 'weights'} or None. Got {'loss'}"),
    (C, {"scoring": "AUC"}, "sklearn.metrics.get_scorer_names(), a callable or None. Got 'AUC'"),
    (C, {"scoring": "auc"}, "Did you mean 'roc_auc'?"),
    (C, {"scoring": "f1_score"}, "Did you mean 'f1'?"),
    (C, {"scoring": "log-loss"}, "Did you mean 'neg_log_loss'?"),
    (R, {"scoring": "rmse"}, "Did you mean 'neg_root_mean_squared_error'?"),
    (R, {"scoring": "r2_score"}, "Did you mean 'r2'?"),
    (C, {"init": np.zeros}, "An example is init=lambda fan_in, fan_out, random_state:"),
]


@pytest.mark.parametrize("make, params, words", VALUES)
def test_values(make, params, words):
    X, y = problem("binary")
    with pytest.raises((ValueError, TypeError)) as raised:
        make(**params).fit(X, y)
    assert words in str(raised.value)
    assert next(iter(params)) in str(raised.value)


@pytest.mark.parametrize("params", [{"activation": "what"}, {"alpha": -1}, {"n_threads": 0}])
def test_nothing_is_guessed_where_nothing_is_meant(params):
    X, y = problem("binary")
    with pytest.raises(ValueError, match=r"Got .* instead\.$"):
        C(**params).fit(X, y)


def test_options_are_listed_in_order():
    X, y = problem("binary")
    with pytest.raises(ValueError, match=r"\{'adagrad', 'adam', 'adamw', 'lbfgs', 'lion', 'nadam'"):
        C(solver="x").fit(X, y)


@pytest.mark.parametrize(
    "name, meant",
    [
        *(("epochs", "max_iter"), ("class_weights", "class_weight"), ("optimizer", "solver")),
        *(("lr", "learning_rate_init"), ("seed", "random_state"), ("patience", "n_iter_no_change")),
        *(("max_iters", "max_iter"), ("hidden_layer_size", "hidden_layer_sizes"), ("eps", "epsi")),
        *(
            ("beta1", "beta_1"),
            ("class_weigth", "class_weight"),
            ("eta0", "learning_rate_init"),
        ),
        *(("BatchNorm", "normalization='batch'"), ("reg_lambda", "alpha"), ("drop_out", "dropout")),
        *(
            ("activation_fn", "activation"),
            ("val_size", "validation_fraction"),
            ("gamma", "loss_p"),
        ),
    ],
)
def test_parameters_of_other_libraries(name, meant):
    with pytest.raises(TypeError, match=f"argument '{name}'. Did you mean {meant}"):
        C(**{name: 3})
    with pytest.raises(ValueError, match=rf"Invalid parameter '{name}' .*\. Did you mean {meant}"):
        C().set_params(**{name: 3})
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        C(nonsense=3)
    with pytest.raises(ValueError, match=r"Invalid parameter 'nonsense' .*\.$"):
        C().set_params(nonsense=3)


def test_every_hint_is_a_parameter_or_a_value():
    names = {*C().get_params(), *R().get_params()}
    assert {re.split("=| ", ours)[0] for ours in hints._PARAMETERS} <= names
    for name, table in hints._VALUES.items():
        for value in table:
            make = R if name == "loss" and value in REGRESSOR_LOSSES else C
            make(**{name: value})._validate_params()


def test_a_subclass_may_have_such_a_parameter():
    class Mine(MLPClassifier):
        def __init__(self, epochs=3):
            super().__init__(max_iter=epochs)
            self.epochs = epochs

    X, y = problem("binary")
    assert Mine(epochs=2).fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["eval_set", "validation_data", "sample_weights", "X_valid"])
@pytest.mark.parametrize("make", [C, R])
def test_arguments_of_other_libraries(make, name, method):
    X, y = problem("binary")
    with pytest.raises(TypeError, match=f"argument '{name}'. Did you mean"):
        getattr(make(), method)(X, y, **{name: y})
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        getattr(make(), method)(X, y, nonsense=y)


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"X_val": np.ones((5, 99))}, "X has 99 features"),
        ({"X_val": np.full((5, 9), np.nan)}, "X contains NaN"),
        ({"X_val": np.ones(2)}, "Expected 2D array"),
        ({"y_val": np.full(5, np.nan)}, "y contains NaN"),
        ({"y_val": np.ones(4)}, "inconsistent numbers of samples"),
        ({"sample_weight_val": np.ones(3)}, "sample_weight.shape == (3,)"),
        ({"sample_weight_val": np.zeros(5)}, "at least one non-zero number"),
    ],
)
@pytest.mark.parametrize("kind", ["binary", "squared"])
def test_refusals_of_a_validation_set_name_it(kind, bad, words):
    X, y = problem(kind)
    given = {"X_val": X[:5], "y_val": y[:5], **bad}
    with pytest.raises(ValueError, match=r"^In X_val, y_val or sample_weight_val: ") as raised:
        ours(kind).fit(X, y, **given)
    assert words in str(raised.value)


@pytest.mark.parametrize("weights", ["balanced", {0: 1, 1: 2}, ["a"] * 60, [[1], [2, 3]]])
def test_weights_that_are_no_numbers(weights):
    X, y = problem("binary")
    with pytest.raises((TypeError, ValueError)) as raised:
        C(max_iter=2).fit(X, y, weights)
    (note,) = raised.value.__notes__  # below scikit-learn's words
    assert note.startswith("sample_weight must be a number, or an array")


@pytest.mark.parametrize("label", [None, 3, b"b"])
def test_labels_of_several_types(label):
    X, _ = problem("binary")
    y = np.array(["a", label] * len(X), dtype=object)[: len(X)]
    with pytest.raises(TypeError) as raised:
        C(max_iter=2).fit(X, y)
    (note,) = raised.value.__notes__
    assert "The labels in y must all be strings" in note and "y has ['" in note


@pytest.mark.parametrize("layer", ["first", 1.0, None])
def test_a_hidden_layer_that_is_no_number(layer):
    X, y = problem("binary")
    model = C((3, 4), max_iter=2).fit(X, y)
    with pytest.raises(TypeError, match=r"layer must be an integer, .* got "):
        model.hidden_layer(X, layer)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared"])
def test_a_validation_fraction_that_leaves_nothing(kind, fraction):
    X, y = problem(kind)
    model = ours(kind, early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match="validation") as raised:
        model.fit(X, y)
    assert ". Adj" not in str(raised.value) or f"validation_fraction={fraction}" in str(
        raised.value
    )


def test_a_scoring_that_is_not_used():
    X, y = problem("binary")
    with pytest.warns(UserWarning, match="scoring='f1' has no effect without a validation set"):
        C(scoring="f1", max_iter=2).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        C(scoring="f1", max_iter=2, early_stopping=True).fit(X, y).partial_fit(X, y)
        C(scoring="f1", max_iter=2).fit(X, y, X_val=X, y_val=y).partial_fit(X, y)


@pytest.mark.parametrize("n_rows", [2, 61])
def test_classes_in_the_place_of_weights(n_rows):
    X, y = problem("binary")
    X, y = X[:n_rows], np.resize([0, 1], n_rows)
    model = C((3,))
    if n_rows > 2:
        with pytest.raises(ValueError, match=r"use partial_fit\(X, y, classes=\[0, 1\]\)|Use part"):
            model.partial_fit(X, y, [0, 1])
    model.partial_fit(X, y, classes=[0, 1])
    if n_rows > 2:
        with pytest.raises(ValueError, match="The third argument of partial_fit is sample_weight"):
            model.partial_fit(X, y, [0, 1])
    else:  # these are weights of two rows
        model.partial_fit(X, y, [0, 1])
    model.partial_fit(X, y, np.resize([0.0, 1.0], n_rows), [0, 1])
    model.partial_fit(X, y, np.full(n_rows, 0.5))


def test_early_stopping_has_no_effect_with_lbfgs():
    X, y = problem("binary")
    with pytest.warns(UserWarning, match="early_stopping=True has no effect with solver='lbfgs'"):
        C(solver="lbfgs", early_stopping=True, max_iter=3).fit(X, y)


# ------------------------------------------------------------------------------ lines


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("verbose", [False, True, 3, 100])
def test_lines(solver, verbose, capsys):
    """Of each epoch, as scikit-learn's; or of the first and every k-th."""
    X, y = problem("squared")
    model = ours("squared", solver=solver, verbose=verbose, max_iter=7, tol=0).fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "loss" in line]
    every = {False: [], True: range(1, 8), 3: [1, 3, 6], 100: [1]}[verbose]
    assert lines == [f"Iteration {i}, loss = {model.loss_curve_[i - 1]:.8f}" for i in every]
    assert model.loss_curve_ == model.history_["loss"]


# ------------------------------------------------------------------------------ Ctrl-C

PROGRAM = """
import os, signal, sys, threading, time, warnings
import numpy as np
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from fastmlp import MLPClassifier
rng = np.random.RandomState(0)
X = rng.standard_normal((8000, 30))
y = rng.randint(2, size=8000)
model = MLPClassifier((50,), solver=sys.argv[2], tol=0, n_iter_no_change=10**6, max_iter=10**6)
model.set_params(max_fun=10**6, batch_size=50 if sys.argv[2] == "adam" else "auto")
run = {
    "alone": lambda: model.fit(X, y),
    "pipeline": lambda: make_pipeline(StandardScaler(), model).fit(X, y),
    "search": lambda: GridSearchCV(model, {"alpha": [1e-4, 1e-3]}, cv=2).fit(X, y),
    "scores": lambda: cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=2),
    "bagging": lambda: BaggingClassifier(model, n_estimators=2).fit(X, y),
}[sys.argv[1]]
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        run()
        print("went on", any("interrupted" in str(w.message) for w in caught))
    except KeyboardInterrupt:
        print("ended")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "how, expected",
    [
        *(("alone", "went on True"), ("pipeline", "went on True")),
        *(("search", "ended"), ("scores", "ended"), ("bagging", "ended")),
    ],
)
def test_one_interrupt_ends_a_search_but_keeps_a_model(how, solver, expected):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, solver], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize(
    "caller, own",
    [
        *(("__main__", True), ("my_program.train", True), ("sklearn.pipeline", True)),
        *(("sklearn.compose._target", True), ("sklearn.model_selection._search", False)),
        *(("sklearn.ensemble._bagging", False), ("joblib.parallel", False)),
        *(("optuna.study", False), ("dask.local", False)),
    ],
)
def test_who_calls(caller, own):
    """By the names of the modules on the stack."""
    namespace = {"__name__": caller, "is_own_call": is_own_call}
    exec("def fit():\n    return is_own_call()", namespace)
    assert namespace["fit"]() is own


def test_warnings_about_convergence_are_of_that_kind():
    X, y = problem("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        C((3,), max_iter=1).fit(1e6 * X, y)
