"""What was probably meant by a parameter, a value or an argument that does not exist."""

import functools
import inspect
import re
import warnings
from difflib import get_close_matches

# parameter -> what people write -> its name here
VALUES = {
    "activation": {
        **{"sigmoid": "logistic", "linear": "identity", "none": "identity", "swish": "silu"},
        **{"leakyrelu": "leaky_relu", "hardtanh": "hard_tanh", "rectifier": "relu"},
    },
    "solver": {
        **{"l-bfgs": "lbfgs", "bfgs": "lbfgs", "lbfgs-b": "lbfgs", "rprop-": "rprop"},
        **{"momentum": "sgd", "nesterov": "sgd", "gradient_descent": "sgd"},
    },
    "loss": {
        **{"mse": "squared_error", "l2": "squared_error", "squared_loss": "squared_error"},
        **{"mean_squared_error": "squared_error", "mae": "absolute_error", "l1": "absolute_error"},
        **{"mean_absolute_error": "absolute_error", "pinball": "quantile", "logcosh": "log_cosh"},
        **{"smooth_l1": "huber", "cross_entropy": "log_loss", "crossentropy": "log_loss"},
        **{"categorical_crossentropy": "log_loss", "binary_crossentropy": "log_loss"},
        **{"bce": "log_loss", "nll": "log_loss", "logloss": "log_loss", "brier": "squared_error"},
    },
    "init": {
        **{
            "xavier": "glorot_uniform",
            "xavier_uniform": "glorot_uniform",
            "glorot": "glorot_uniform",
        },
        **{"xavier_normal": "glorot_normal", "he": "he_normal", "kaiming": "he_normal"},
        **{"kaiming_normal": "he_normal", "kaiming_uniform": "he_uniform", "lecun": "lecun_normal"},
    },
    "learning_rate": {
        **{"onecycle": "one_cycle", "cosine_annealing": "cosine", "step_decay": "step"},
        "exponential_decay": "exponential",
    },
    "normalization": {
        **{"batchnorm": "batch", "batch_norm": "batch", "batch_normalization": "batch"},
        **{"layernorm": "layer", "layer_norm": "layer", "layer_normalization": "layer"},
    },
    "average_weights": {"swa_weights": "swa", "polyak": "ema"},
}
# Names of parameters in other libraries -> what to write here.
PARAMETERS = {
    **dict.fromkeys(("epochs", "n_epochs", "max_epochs", "num_epochs", "n_iter"), "max_iter"),
    **dict.fromkeys(("class_weights", "classes_weight", "scale_pos_weight"), "class_weight"),
    **dict.fromkeys(("metric", "metrics", "eval_metric"), "scoring"),
    **dict.fromkeys(("num_layers", "n_layers", "layer_sizes"), "hidden_layer_sizes"),
    **dict.fromkeys(("lr", "eta", "eta0", "learning_rate_"), "learning_rate_init"),
    **dict.fromkeys(
        ("hidden_layers", "hidden_units", "hidden_sizes", "layers"), "hidden_layer_sizes"
    ),
    **dict.fromkeys(("l2", "reg_lambda", "weight_penalty"), "alpha"),
    **dict.fromkeys(("optimizer", "optim"), "solver"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    **dict.fromkeys(("patience", "early_stopping_rounds"), "n_iter_no_change"),
    **dict.fromkeys(("n_jobs", "num_threads", "nthread"), "n_threads"),
    **dict.fromkeys(("batchsize", "minibatch_size"), "batch_size"),
    **dict.fromkeys(("dropout_rate", "p_dropout"), "dropout"),
    **dict.fromkeys(("batch_norm", "batch_normalization"), "normalization='batch'"),
    **dict.fromkeys(("layer_norm", "layer_normalization"), "normalization='layer'"),
    **dict.fromkeys(("objective", "criterion"), "loss"),
    **dict.fromkeys(("kernel_initializer", "initializer"), "init"),
    **dict.fromkeys(("clipnorm", "max_grad_norm", "gradient_clip"), "clip_norm"),
    **dict.fromkeys(("validation_split", "val_fraction"), "validation_fraction"),
}
# Names of arguments of fit in other libraries -> what to write here.
ARGUMENTS = {
    **dict.fromkeys(("eval_set", "validation_data", "valid_sets"), "X_val=..., y_val=..."),
    **dict.fromkeys(("epochs", "n_epochs"), "the constructor's max_iter"),
    "batch_size": "the constructor's batch_size",
    "verbose": "the constructor's verbose",
    **dict.fromkeys(("early_stopping_rounds", "callbacks"), "the constructor's n_iter_no_change"),
    **dict.fromkeys(("weights", "sample_weights"), "sample_weight"),
    **dict.fromkeys(("class_weight", "class_weights"), "the constructor's class_weight"),
    "sample_weight_eval_set": "sample_weight_val",
}

# Private methods of scikit-learn's MLP that programs override -> what to use here instead.
HOOKS = {
    "_init_coef": "the parameter init, which may be a callable",
    "_initialize": "the parameter init, which may be a callable",
    "_backprop": "the parameters loss, dropout, normalization and clip_norm",
    "_compute_loss_grad": "the parameters loss and l1_ratio",
    "_loss_grad_lbfgs": "the parameter loss",
    "_forward_pass": "the parameters activation and residual, or hidden_layer",
    "_forward_pass_fast": "the parameters activation and residual, or hidden_layer",
    "_fit": "fit",
    "_fit_lbfgs": "the parameters max_iter, max_fun and max_time",
    "_fit_stochastic": "partial_fit in a loop of your own, X_val, or the parameter solver",
    "_update_no_improvement_count": "the parameters scoring, early_stopping and X_val of fit",
    "_score": "the parameter scoring",
    "_score_with_function": "the parameter scoring",
    "_validate_input": "fit, which may prepare X and y before it calls super().fit",
    "_predict": "predict",
    "_unpack": "coefs_ and intercepts_",
}


def warn_of_hooks(cls, owner):
    """Warn of methods of a new class that would be called in a subclass of scikit-learn's MLP.

    Parameters
    ----------
    cls : type
        A new subclass of `owner`. Its mixins are judged with it, scikit-learn's classes and what it
        inherits through `owner` are not.
    owner : type
    """
    known = {c for base in cls.__bases__ if issubclass(base, owner) for c in base.__mro__}
    for part in cls.__mro__:
        if part in known or part.__module__.startswith("sklearn."):
            continue
        for name in sorted(HOOKS.keys() & vars(part).keys()):
            warnings.warn(
                f"{part.__name__}.{name} overrides a private method of scikit-learn's MLP, which"
                f" fastmlp does not call. Use {HOOKS[name]} instead.",
                stacklevel=3,
            )


def sorted_options(message):
    """The message of an InvalidParameterError, with the options of each set in order."""

    def ordered(match):
        return "{" + ", ".join(sorted(match[1].split(", "))) + "}"

    return re.sub(r"\{('[^{}]*')\}", ordered, message)


def of_value(message, value, name):
    """A sentence to add to the message of an InvalidParameterError about the value of a parameter;
    empty if nothing helps."""
    if name == "learning_rate" and type(value) in (int, float):
        return f" learning_rate is the name of a schedule; use learning_rate_init={value!r}."
    if name == "loss" and "MLPRegressor" in message and isinstance(value, (int, list, tuple)):
        return (
            " The first parameter of MLPRegressor is loss, as in scikit-learn; use"
            f" hidden_layer_sizes={value!r}."
        )
    options = re.findall(r"'([^']*)'", message.partition("must be")[2].rpartition("Got")[0])
    return did_you_mean(value, options, name)


def did_you_mean(value, options, name):
    """A sentence that names the option which was probably meant; empty if there is none."""
    if not isinstance(value, str):
        return ""
    plain = value.lower().replace("-", "_").replace(" ", "_")
    name = "activation" if name == "out_activation" else name
    meant = VALUES.get(name, {}).get(plain) or VALUES.get(name, {}).get(plain.replace("_", ""))
    if meant not in options:
        meant = next(iter(get_close_matches(plain, options, 1, 0.7)), None)
    return f" Did you mean {meant!r}?" if meant else ""


def _refuse(owner, name, known):
    if meant := known.get(name):
        raise TypeError(
            f"{owner} got an unexpected keyword argument {name!r}. Did you mean {meant}?"
        ) from None


def check_parameters(cls, kwargs):
    """Raise a TypeError with a hint for a name that is a parameter of other libraries only."""
    for name in kwargs.keys() & PARAMETERS.keys():
        kinds = inspect.signature(cls.__init__).parameters
        if name not in kinds and all(p.kind != p.VAR_KEYWORD for p in kinds.values()):
            _refuse(f"{cls.__name__}()", name, PARAMETERS)


def explains_arguments(fit):
    """Decorator: a TypeError about an argument of other libraries' fit says what to use."""

    @functools.wraps(fit)
    def explained(self, *args, **kwargs):
        for name in kwargs.keys() & ARGUMENTS.keys():
            _refuse(f"{type(self).__name__}.{fit.__name__}()", name, ARGUMENTS)
        return fit(self, *args, **kwargs)

    return explained
