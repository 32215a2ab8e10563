"""What was probably meant by a parameter, a value or an argument that does not exist."""

import functools
import inspect
import re
import warnings
from contextlib import suppress
from difflib import get_close_matches
from numbers import Real

import numpy as np

from .._core import ACTIVATIONS
from .._training.monitor import RECORDS
from .._training.schedules import SCHEDULES

# Names are compared without case and punctuation, see `_plain`.
# parameter -> its value here -> what people write
_VALUES = {
    "activation": {
        "logistic": "sigmoid",
        "identity": "linear none",
        "silu": "swish",
        "relu": "rectifier rectify rectifiedlinear",
        "leaky_relu": "lrelu prelu",
    },
    "solver": {
        "lbfgs": "bfgs lbfgsb",
        "rprop": "rprop-",
        "sgd": "momentum nesterov gradientdescent",
        "adam": "amsgrad",
    },
    "loss": {
        "squared_error": "mse l2 ls rmse squared_loss mean_squared_error brier gaussian regression",
        "absolute_error": "mae l1 lad mean_absolute_error",
        "quantile": "pinball",
        "huber": "smooth_l1",
        "log_loss": "cross_entropy categorical_crossentropy sparse_categorical_crossentropy"
        " binary_crossentropy bce bce_with_logits binary_logistic nll log logistic softmax deviance"
        " multi_softmax multi_softprob",
    },
    "init": {
        "glorot_uniform": "xavier xavier_uniform glorot",
        "glorot_normal": "xavier_normal",
        "he_normal": "he kaiming kaiming_normal",
        "he_uniform": "kaiming_uniform",
        "lecun_normal": "lecun",
        "normal": "random random_normal gaussian",
        "uniform": "random_uniform",
    },
    "learning_rate": {
        "cosine": "cosine_annealing cosine_decay",
        "one_cycle": "1cycle one_cycle_lr",
        "step": "step_decay step_lr",
        "exponential": "exponential_decay exp",
        "adaptive": "plateau reduce_on_plateau reduce_lr_on_plateau",
    },
    "normalization": {
        "batch": "batch_norm batch_normalization bn",
        "layer": "layer_norm layer_normalization ln",
    },
    "average_weights": {"swa": "mean average", "ema": "polyak exponential"},
    "scoring": {
        "roc_auc": "auc auroc",
        "accuracy": "acc",
        "average_precision": "ap pr_auc auprc",
        "matthews_corrcoef": "mcc",
        "r2": "r2_score",
        "neg_log_loss": "log_loss cross_entropy",
        "neg_brier_score": "brier",
        "neg_mean_squared_error": "mse mean_squared_error",
        "neg_root_mean_squared_error": "rmse root_mean_squared_error",
        "neg_mean_absolute_error": "mae mean_absolute_error",
        "neg_mean_absolute_percentage_error": "mape",
    },
}
# what to write here -> names of parameters in other libraries
_PARAMETERS = {
    "max_iter": "epoch epochs n_epoch n_epochs max_epoch max_epochs num_epochs n_iter iterations"
    " num_iterations",
    "class_weight": "classes_weight scale_pos_weight",
    "scoring": "metric metrics eval_metric",
    "hidden_layer_sizes": "num_layers n_layers layer_sizes hidden_layers hidden_units hidden_sizes"
    " layers units hidden hidden_dim hidden_size n_hidden",
    "learning_rate_init": "lr eta eta0 learning_rate_ optimizer__lr",
    "alpha": "l2 reg_lambda lambda weight_penalty l2_reg l2_regularization",
    "l1_ratio": "l1 reg_alpha",
    "solver": "optimizer optimiser optim",
    "random_state": "seed random_seed rng",
    "n_iter_no_change": "patience early_stopping_rounds stopping_rounds",
    "n_threads": "n_jobs num_threads nthread threads",
    "batch_size": "minibatch_size batch iterator_train__batch_size",
    "dropout": "dropout_rate p_dropout",
    "normalization='batch'": "batch_norm batch_normalization use_batch_norm",
    "normalization='layer'": "layer_norm layer_normalization",
    "loss": "objective criterion loss_function loss_fn",
    "init": "kernel_initializer initializer",
    "clip_norm": "max_grad_norm gradient_clip gradient_clip_val",
    "validation_fraction": "validation_split val_fraction validation_size val_size train_split",
    "activation": "activation_function activation_fn act nonlinearity act_fn",
    "out_activation": "output_activation final_activation",
    "epsilon": "eps",
    "nesterovs_momentum": "nesterov",
    "warmup": "warmup_steps warmup_ratio",
    "early_stopping": "early_stop",
    "verbose": "verbosity",
    "beta_1 and beta_2": "betas",
    "weight_decay": "decay",
    "learning_rate": "lr_scheduler scheduler schedule lr_schedule",
    "residual": "skip skip_connections residuals",
    "loss_params={'quantile': ...}": "quantile quantiles",
    "loss_params={'delta': ...}": "delta",
    "loss_params={'gamma': ...}": "gamma",
}
# what to write here -> names of arguments of fit in other libraries
_ARGUMENTS = {
    "X_val=..., y_val=... of fit": "eval_set validation_data valid_sets X_val y_val X_test y_test"
    " X_valid y_valid validation_set",
    "the constructor's max_iter": "epochs n_epochs",
    "the constructor's batch_size": "batch_size",
    "the constructor's verbose": "verbose",
    "the constructor's n_iter_no_change": "early_stopping_rounds callbacks",
    "the constructor's class_weight": "class_weight class_weights",
    "sample_weight": "weights weight sample_weights w",
    "sample_weight_val": "sample_weight_eval_set",
}

# Errors about X that is a table of more than numbers.
_TABLES = (
    "Input X contains NaN|could not convert string to float|could not be promoted"
    "|float.. argument must be .* not '(NAType|NoneType|NaTType|Timestamp|Period|Interval|Decimal"
    "|datetime|date)"
)

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


def _plain(name):
    """A name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _by_plain_name(table):
    return {_plain(theirs): ours for ours, names in table.items() for theirs in names.split()}


VALUES = {name: _by_plain_name(table) for name, table in _VALUES.items()}
PARAMETERS = _by_plain_name(_PARAMETERS)
ARGUMENTS = _by_plain_name(_ARGUMENTS)


def _nearest(name, options, known=()):
    """The option that was probably meant by a name, or None.

    Parameters
    ----------
    name : str
    options : iterable of str
    known : dict
        What other libraries call them (see `_plain`) -> what to write here.
    """
    plain = _plain(name)
    if plain in known:
        return known[plain]
    by_plain = {_plain(option): option for option in options}
    short = re.sub("(loss|score)$", "", plain)
    for found in (plain, short):
        if found in by_plain:
            return by_plain[found]
        if found in known:
            return known[found]
    found = get_close_matches(plain, by_plain, 1, 0.7)
    return by_plain[found[0]] if found else None


def readable(message):
    """The message of an InvalidParameterError, with the options of each set in order, and without
    the names of all scorers."""

    def ordered(match):
        return "{" + ", ".join(sorted(match[1].split(", "))) + "}"

    if message.startswith("The 'scoring' parameter"):
        names = "'loss', a str among sklearn.metrics.get_scorer_names()"
        return re.sub(r"a str among \{[^{}]*\}", names, message)
    return re.sub(r"\{('[^{}]*')\}", ordered, message)


def of_value(error, value, name):
    """A sentence to add to the message of an InvalidParameterError about the value of a parameter;
    empty if nothing helps."""
    message = str(error)
    if name == "learning_rate" and isinstance(value, Real) and not isinstance(value, bool):
        return f" learning_rate is the name of a schedule; use learning_rate_init={value!r}."
    schedules = ("constant", "invscaling", "adaptive", *SCHEDULES)
    if name == "learning_rate_init" and isinstance(value, str) and value in schedules:
        return f" learning_rate_init is a number; use learning_rate={value!r}."
    if name == "loss" and "MLPRegressor" in message and isinstance(value, (int, list, tuple)):
        return (
            " The first parameter of MLPRegressor is loss, as in scikit-learn; use"
            f" hidden_layer_sizes={value!r}."
        )
    if name == "hidden_layer_sizes" and isinstance(value, str) and value in ACTIVATIONS:
        return f" Use activation={value!r}."
    if name == "frozen_layers" and isinstance(value, int) and not isinstance(value, bool):
        return f" Use frozen_layers=[{value}]."
    if name == "record" and isinstance(value, str) and value in RECORDS:
        return f" Use record={{{value!r}}}."
    if name == "dtype" and value is not None:
        with suppress(TypeError):
            value = np.dtype(value).name
    options = re.findall(r"'([^']*)'", message.partition("must be")[2].rpartition("Got")[0])
    if "None" in message and isinstance(value, str) and value.lower() in ("none", "null"):
        return " Did you mean None?"
    return did_you_mean(value, options, name)


def did_you_mean(value, options, name):
    """A sentence that names the option which was probably meant; empty if there is none."""
    if not isinstance(value, str):
        return ""
    name = "activation" if name == "out_activation" else name
    known = {k: ours for k, ours in VALUES.get(name, {}).items() if ours in options}
    meant = _nearest(value, options, known)
    return f" Did you mean {meant!r}?" if meant else ""


def of_parameter(cls, name):
    """The same for the name of a parameter."""
    names = _arguments(cls.__init__)
    known = {k: ours for k, ours in PARAMETERS.items() if re.split("=| ", ours)[0] in names}
    meant = _nearest(name, names, known)
    return f" Did you mean {meant}?" if meant else ""


@functools.lru_cache(maxsize=256)
def _arguments(function):
    """The arguments of a function by name; cached, because reading a signature is slow."""
    return inspect.signature(function).parameters


def check_parameters(cls, kwargs):
    """Raise a TypeError with a hint for a name that is no parameter of a class."""
    names = _arguments(cls.__init__)
    if kwargs.keys() <= names.keys() or any(p.kind == p.VAR_KEYWORD for p in names.values()):
        return
    for name in kwargs:
        if name not in names and (hint := of_parameter(cls, name)):
            raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {name!r}.{hint}")


def explains_arguments(fit):
    """Decorator: a TypeError about an argument that does not exist says what to use."""
    names = inspect.signature(fit).parameters

    @functools.wraps(fit)
    def explained(self, *args, **kwargs):
        if not kwargs.keys() <= names.keys():
            name = next(name for name in kwargs if name not in names)
            meant = ARGUMENTS.get(_plain(name))
            hint = f" Did you mean {meant}?" if meant else ""
            raise TypeError(
                f"{type(self).__name__}.{fit.__name__}() got an unexpected keyword argument"
                f" {name!r}.{hint}"
            )
        return fit(self, *args, **kwargs)

    return explained


def explain_tables(error):
    """Name the estimators of tables in an error about missing values or strings in X."""
    if re.search(_TABLES, str(error)):
        error.add_note(  # because the message is scikit-learn's, word for word
            "fastmlp.TabularClassifier and fastmlp.TabularRegressor read tables with missing"
            " values, strings and categories as they are."
        )
