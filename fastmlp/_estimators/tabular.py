"""TabularClassifier and TabularRegressor: MLPs that read tables as they are."""

import copy
import warnings
from dataclasses import replace
from math import ceil
from numbers import Integral, Real

import numpy as np
from sklearn.metrics import log_loss
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, check_is_fitted

from .._core import Dataset
from .._inputs.encoder import TableEncoder
from .._inputs.scaling import SCALINGS
from .._network.architecture import Architecture
from .._network.conversion import converted_table, layer_widths
from .._network.ensemble import members
from .._network.initialization import initial_embeddings
from .._network.parameters import network_parameters
from .advice import warn_of_other_scales
from .bagging import check_folds, fit_bagged, refit
from .base import _BaseMLP
from .classifier import MLPClassifier
from .constraints import checked_weights, clipped_batch_size
from .docs import REGRESSOR_LOSS
from .embeddings import FREQUENCY_DEVIATION, NUMERIC_EMBEDDINGS, table_columns
from .losses import CLASSIFIER_LOSSES, check_name, loss_settings, needs_positive_predictions
from .regressor import MLPRegressor
from .tabular_docs import documented

# Factors of the learning rate, with which the standard parametrization trains as the neural tangent
# parametrization of Holzmueller et al. does: weights have 1 / sqrt(fan_in) besides.
BIAS_RATE, SCALE_RATE, EMBEDDING_RATE, SCALE_DECAY = 0.1, 6.0, 0.1, 36.0
SMALL = 40  # samples below which none are held out, and no units dropped
N_EPOCHS, FEW_FOR_REGRESSION = 64, 1500
# largest number of samples -> rows of a batch, as Holzmueller et al. choose them
BATCH_SIZES = ((1024, 64), (8192, 128), (30_000, 256), (100_000, 512), (np.inf, 1024))
# Parameters that describe how the network reads a table: those of the first fit stay in force.
KEPT = (
    *("categorical_features", "numeric_embedding", "numeric_scaling", "min_category_count"),
    "scale_targets",
)


def _holds_numbers(y):
    """Whether targets are dense and numeric, as those of a regressor must be."""
    return isinstance(y, np.ndarray) and y.dtype.kind in "fiub"


class _TabularMLP(_BaseMLP):
    """What the two estimators of tables share.

    Parameters of the other estimators that these do not have are class attributes.
    """

    _parameter_constraints: dict = {
        **_BaseMLP._parameter_constraints,
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "numeric_embedding": [StrOptions(set(NUMERIC_EMBEDDINGS)), None],
        "numeric_scaling": [StrOptions(set(SCALINGS))],
        "min_category_count": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [*_BaseMLP._parameter_constraints["max_iter"], None],
        "bagging": ["boolean"],
        "refit": ["boolean"],
        "clip_predictions": ["boolean"],
        "scale_targets": ["boolean"],
    }
    solver, epsilon, init, init_scale = "adamw", 1e-8, "lecun_normal", 1.0
    alpha = l1_ratio = warmup = input_dropout = power_t = momentum = 0.0
    shuffle, nesterovs_momentum, residual, record = True, False, False, None
    max_fun, frozen_layers = 1, ()
    normalization = max_norm = average_weights = None
    restore_best_weights = "auto"

    def _training_settings(self):
        own = {"bagging": self.bagging, "refit": self.refit, "fades": True}
        return replace(super()._training_settings(), **own)

    def _adapted(self, settings, architecture, incremental, X_val):
        rates = {
            "weights": [fan_in**-0.5 for fan_in in architecture.units[:-1]],
            "biases": BIAS_RATE,
            "scales": SCALE_RATE,
            "embeddings": EMBEDDING_RATE,
            "scale_decay": SCALE_DECAY,
        }
        early_stopping = settings.early_stopping and not settings.bagging
        splits = settings.bagging or hasattr(self.validation_fraction, "split")
        if self._is_small and X_val is None and not splits:
            early_stopping = False
            if settings.early_stopping and self.scoring is not None and not incremental:
                warnings.warn(
                    f"scoring={self.scoring!r} has no effect, because no samples are held out with"
                    f" fewer than {SMALL}: pass X_val and y_val to fit."
                )
        max_iter = settings.max_iter or self._epochs(self._labels.shape[0])
        return replace(settings, rates=rates, early_stopping=early_stopping, max_iter=max_iter)

    def _epochs(self, n_samples):
        """The number of epochs for ``max_iter=None``."""
        return N_EPOCHS

    def _begin(self, X, y, sample_weight, incremental=False, **given):
        self._check_bagging(given.get("held_out", (None,))[0], incremental)
        task = super()._begin(X, y, sample_weight, incremental, **given)
        for name in ("oof_prediction_", "best_iterations_"):
            vars(self).pop(name, None)
        self._given = X
        return task

    def _check_bagging(self, X_val, incremental):
        if not self.bagging:
            return
        if self.n_estimators == 1 or incremental or self.warm_start or X_val is not None:
            raise ValueError(
                "bagging=True holds out other samples from each network, which needs"
                " n_estimators > 1, and neither X_val nor warm_start nor partial_fit; got"
                f" n_estimators={self.n_estimators}, warm_start={self.warm_start}"
                f"{', X_val' * (X_val is not None)}{', partial_fit' * incremental}."
            )

    def _run(self, task, incremental):
        X, labels = vars(self).pop("_given"), vars(self).pop("_labels")
        if not task.settings.bagging:
            super()._run(task, incremental)
            epochs = [task.record.best_iteration]
        else:
            outputs, records = fit_bagged(self, task, X, labels)
            self.oof_prediction_ = self._readable(outputs)
            epochs = self.best_iterations_ = [record.best_iteration for record in records]
        held_out = task.settings.bagging or len(task.order) < len(task.dataset)
        if task.settings.refit and held_out and not incremental:
            refit(self, task, epochs)

    def _checked(self, X, y, sample_weight, reset):
        """The Samples of a table, y in one or two dimensions, and the weights."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y"
                " is None."
            )
        y = _check_y(y, multi_output=True, y_numeric=isinstance(self, MLPRegressor), estimator=self)
        sample_weight = checked_weights(sample_weight, y)
        if self.bagging:
            check_folds(y.shape[0], self.n_estimators)
        if reset:
            self._encoder = TableEncoder(
                categorical_features=self.categorical_features,
                scaling=self.numeric_scaling,
                min_category_count=self.min_category_count,
                dtype=self._new_dtype(y.shape[0]),
            )
            samples = self._encoder.fit_transform(X, None, sample_weight, estimator=self)
            self._table_columns = table_columns(
                self._encoder, samples, sample_weight, self.numeric_embedding
            )
            self._kept = {name: getattr(self, name) for name in KEPT if hasattr(self, name)}
        else:
            dtype = None if self.dtype == "auto" else np.dtype(self.dtype)
            samples = self._encoder.transform(X, estimator=self, dtype=dtype)
        check_consistent_length(samples.values, y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._labels = y
        return samples, y, sample_weight

    def _examine(self, X, y, sample_weight, fresh):
        self._is_small = y.shape[0] < SMALL
        for name, value in self._kept.items():
            if not np.array_equal(getattr(self, name), value):
                warnings.warn(
                    f"Training continues with {name}={value!r}, although it is now"
                    f" {getattr(self, name)!r}. To change it, call fit with warm_start=False."
                )

    def _compare(self, X, y, validation):
        pass  # numbers are scaled here

    def _dataset(self, X, y=None, sample_weight=None):
        return Dataset(X.values, y, sample_weight, X.codes)

    def _columns(self):
        return self._table_columns

    def _new_dtype(self, n_samples):
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return np.dtype(np.float32 if n_samples >= SMALL else np.float64)

    def _computing_dtype(self, X, held):
        return X.values.dtype

    def _batch_size(self, n_samples):
        if self.batch_size != "auto":
            return clipped_batch_size(self.solver, self.batch_size, n_samples)
        sizes = (size for most, size in BATCH_SIZES if n_samples <= most)
        return min(n_samples, next(sizes))

    def _new_architecture(self, n_features, n_outputs, loss_settings, dtype, held):
        architecture, activation = super()._new_architecture(
            n_features, n_outputs, loss_settings, dtype, held
        )
        if self._is_small:
            architecture = replace(architecture, dropout=())
        return architecture, activation

    def _draw_network(self, architecture, last_activation, dataset):
        without = replace(architecture, columns=())
        drawn = super()._draw_network(without, last_activation, dataset)
        embeddings = initial_embeddings(
            architecture.columns, self._random_state, architecture.dtype, FREQUENCY_DEVIATION
        )
        return (*drawn, embeddings)

    def _reads_as_mlp(self):
        return False

    def _set_parameters(self, parameters):
        *layers, self.embeddings_ = parameters
        super()._set_parameters(tuple(layers))

    def _held_lists(self):
        return (*super()._held_lists(), vars(self)["embeddings_"])

    def _parameter_lists(self):
        """The same as arrays of one type, in which numbers are encoded from now on."""
        check_is_fitted(self, "coefs_")
        try:
            lists = converted_table(self._held_lists(), self._table_columns)
        except KeyError as error:
            raise AttributeError(
                f"{type(self).__name__!r} object must have coefs_, biases_ and embeddings_, but"
                f" {error} is missing"
            ) from None
        dtype = lists[0][0].dtype
        if self._encoder.dtype != dtype:
            self._encoder = copy.copy(self._encoder).set_params(dtype=dtype)
        return lists

    def _fitted(self):
        lists = self._parameter_lists()
        units = layer_widths(lists[:-1])
        architecture = Architecture(
            units,
            self._activations(len(units) - 1)[:-1],
            self.out_activation_,
            dtype=lists[0][0].dtype,
            columns=self._table_columns,
        )
        networks = [lists] if lists[0][0].ndim == 2 else members(lists)
        return [network_parameters(architecture, own) for own in networks]

    def _forward(self, X, depth=None):
        self._parameter_lists()  # sets the type of the samples
        samples = self._encoder.transform(X, estimator=self)
        return self._outputs(self._dataset(samples), depth)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags


@documented(
    """Classifier of tables: numbers, categories, dates and missing values.

    A multi-layer perceptron that takes a frame of pandas, polars or pyarrow, or an
    array, as it is, with the training of RealMLP (Holzmüller et al., 2024): robust
    scaling, embeddings of numbers and categories, trained scales of inputs, and
    the rates and schedules found there on many tables. Columns are found by name.""",
    """\
>>> import numpy as np
    >>> import pandas as pd
    >>> from fastmlp import TabularClassifier
    >>> rng = np.random.RandomState(0)
    >>> table = pd.DataFrame({"color": rng.choice(["red", "green", None], 300),
    ...                       "size": rng.lognormal(5, 1, 300)})
    >>> y = np.where((table["color"] == "red") & (table["size"] > 100), "buy", "leave")
    >>> clf = TabularClassifier(random_state=0).fit(table[:200], y[:200])
    >>> bool(clf.score(table[200:], y[200:]) > 0.95)
    True
    >>> clf.predict(pd.DataFrame({"size": [500.0], "color": ["red"]})).tolist()
    ['buy']""",
    attributes="""\
classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; for multilabel targets, the column numbers of y.

    """,
    score="The score",
)
class TabularClassifier(_TabularMLP, MLPClassifier):
    _parameter_constraints: dict = {
        **MLPClassifier._parameter_constraints,
        **_TabularMLP._parameter_constraints,
    }

    def __init__(
        self,
        *,
        categorical_features="from_dtype",
        numeric_embedding="pbld",
        numeric_scaling="robust",
        min_category_count=2,
        hidden_layer_sizes=(256, 256, 256),
        activation="selu",
        dropout=0.15,
        loss="log_loss",
        loss_params=None,
        label_smoothing=0.03,
        class_weight=None,
        learning_rate="coslog4",
        learning_rate_init=0.04,
        weight_decay=0.02,
        beta_1=0.9,
        beta_2=0.95,
        clip_norm=None,
        clip_value=None,
        batch_size="auto",
        max_iter=None,
        max_time=None,
        early_stopping=True,
        tol=1e-4,
        n_iter_no_change=10,
        validation_fraction=0.2,
        stratify_validation=None,
        scoring=None,
        n_estimators=1,
        bagging=False,
        refit=False,
        random_state=None,
        verbose=False,
        warm_start=False,
        dtype="auto",
        n_threads=None,
    ):
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.numeric_scaling = numeric_scaling
        self.min_category_count = min_category_count
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.loss = loss
        self.loss_params = loss_params
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.early_stopping = early_stopping
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.stratify_validation = stratify_validation
        self.scoring = scoring
        self.n_estimators = n_estimators
        self.bagging = bagging
        self.refit = refit
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_threads = n_threads

    def _check_loss(self):
        check_name(self.loss, CLASSIFIER_LOSSES)
        smoothing = self.label_smoothing if self.loss == "log_loss" else 0.0
        return loss_settings(self.loss, self.loss_params, smoothing=smoothing)

    def _strata(self, labels):
        fraction = self.validation_fraction
        given = self.stratify_validation is not None or not isinstance(fraction, Real)
        if given or labels.ndim > 1:
            return super()._strata(labels)
        counts, n_held_out = np.unique(labels, return_counts=True)[1], ceil(fraction * len(labels))
        fits = len(counts) <= min(n_held_out, len(labels) - n_held_out) and counts.min() > 1
        return labels if fits else None

    def _readable(self, output):
        """What predict_proba makes of outputs; decision values of the hinge loss as they are."""
        if output.shape[1] == 1 and self.out_activation_ == "logistic":
            return np.concatenate([1 - output, output], axis=1)
        return output

    def _validation_score(self, y, output, sample_weight):
        """Minus the log loss, without label smoothing, because the accuracy on few samples says
        little about the probabilities."""
        if self.loss != "log_loss" or self._is_multilabel():
            return super()._validation_score(y, output, sample_weight)
        if not np.isfinite(output).all():
            return np.nan
        output = output.astype(np.float64)
        if output.shape[1] == 1:
            output = np.hstack([1 - output, output])
        labels = np.arange(output.shape[1])
        output /= output.sum(axis=1, keepdims=True)
        return -log_loss(y.ravel(), output, sample_weight=sample_weight, labels=labels)


@documented(
    """Regressor of tables: numbers, categories, dates and missing values.

    A multi-layer perceptron that takes a frame of pandas, polars or pyarrow, or an
    array, as it is, with the training of RealMLP (Holzmüller et al., 2024): robust
    scaling, embeddings of numbers and categories, trained scales of inputs,
    standardized targets, and the rates and schedules found there on many tables.
    Columns are found by name.""",
    """\
>>> import numpy as np
    >>> import pandas as pd
    >>> from fastmlp import TabularRegressor
    >>> rng = np.random.RandomState(0)
    >>> table = pd.DataFrame({"day": pd.date_range("2025-01-01", periods=400),
    ...                       "shop": rng.choice(["north", "south"], 400)})
    >>> weekend = table["day"].dt.weekday > 4
    >>> y = 1000 + 500 * weekend - 200 * (table["shop"] == "north") + rng.normal(0, 20, 400)
    >>> train, test = rng.permutation(400)[:300], np.arange(300, 400)
    >>> reg = TabularRegressor(random_state=0).fit(table.iloc[train], y.iloc[train])
    >>> bool(reg.score(table.iloc[test], y.iloc[test]) > 0.95)
    True""",
    loss=REGRESSOR_LOSS,
    score="The score",
)
class TabularRegressor(_TabularMLP, MLPRegressor):
    _parameter_constraints: dict = {
        **MLPRegressor._parameter_constraints,
        **_TabularMLP._parameter_constraints,
    }
    stratify_validation = None

    def __init__(
        self,
        *,
        categorical_features="from_dtype",
        numeric_embedding="pbld",
        numeric_scaling="robust",
        min_category_count=2,
        hidden_layer_sizes=(256, 256, 256),
        activation="mish",
        dropout=0.15,
        loss="squared_error",
        loss_params=None,
        out_activation="auto",
        scale_targets=True,
        clip_predictions=True,
        learning_rate="coslog4",
        learning_rate_init=0.2,
        weight_decay=0.02,
        beta_1=0.9,
        beta_2=0.95,
        clip_norm=None,
        clip_value=None,
        batch_size="auto",
        max_iter=None,
        max_time=None,
        early_stopping=True,
        tol=1e-4,
        n_iter_no_change=10,
        validation_fraction=0.2,
        scoring=None,
        n_estimators=1,
        bagging=False,
        refit=False,
        random_state=None,
        verbose=False,
        warm_start=False,
        dtype="auto",
        n_threads=None,
    ):
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.numeric_scaling = numeric_scaling
        self.min_category_count = min_category_count
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.loss = loss
        self.loss_params = loss_params
        self.out_activation = out_activation
        self.scale_targets = scale_targets
        self.clip_predictions = clip_predictions
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.early_stopping = early_stopping
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.n_estimators = n_estimators
        self.bagging = bagging
        self.refit = refit
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.dtype = dtype
        self.n_threads = n_threads

    def _epochs(self, n_samples):
        return N_EPOCHS if n_samples > FEW_FOR_REGRESSION else 2 * N_EPOCHS

    def _examine(self, X, y, sample_weight, fresh):
        super()._examine(X, y, sample_weight, fresh)
        if _holds_numbers(y):  # else refused later
            self._measure_targets(y.astype(np.float64).reshape(len(y), -1), sample_weight, fresh)

    def _measure_targets(self, y, weights, fresh):
        """Set mean, scale and range of the targets to train on; the range is that of all calls."""
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0]
        low, high = y.min(axis=0), y.max(axis=0)
        if not fresh and len(low) == len(self._target_mean):
            low, high = (
                np.minimum(low, self._target_range[0]),
                np.maximum(high, self._target_range[1]),
            )
        self._target_range = low, high
        # standardized targets would break other bounds of the predictions
        scalable = self._out_activation == "identity" and not needs_positive_predictions(self.loss)
        if fresh or not scalable:
            self._target_mean, self._target_scale = np.zeros(y.shape[1]), np.ones(y.shape[1])
        if fresh and scalable and self.scale_targets:
            # in units of a power of two, which changes no bits, no square is infinite or zero
            unit = np.ldexp(1.0, np.frexp(np.maximum(-low, high))[1] - 1)
            mean = np.average(y / unit, axis=0, weights=weights)
            variance = np.average((y / unit - mean) ** 2, axis=0, weights=weights)
            self._target_mean = mean * unit
            self._target_scale = np.where(variance > 0, np.sqrt(variance) * unit, 1.0)

    def _compare(self, X, y, validation):
        own, other = (a * self._target_scale + self._target_mean for a in (y, validation.y))
        warn_of_other_scales(own, other, "y")

    def _encoded(self, y, dtype):
        if _holds_numbers(y):
            columns = y.reshape(len(y), -1)
            if columns.shape[1] == len(self._target_mean):  # else refused later
                y = ((columns - self._target_mean) / self._target_scale).reshape(y.shape)
        return super()._encoded(y, dtype)

    def _forward(self, X, depth=None):
        output = super()._forward(X, depth)
        return output if depth is not None else self._unscaled(output)

    def _unscaled(self, output):
        """Outputs on the scale of the targets."""
        output = output * self._target_scale + self._target_mean
        return np.clip(output, *self._target_range) if self.clip_predictions else output

    def _readable(self, output):
        """What predict makes of outputs."""
        output = self._sort_levels(self._unscaled(output))
        return output.ravel() if output.shape[1] == 1 else output
