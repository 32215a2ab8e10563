"""TabularClassifier and TabularRegressor: MLPs that read tables as they are."""

from math import ceil
from numbers import Real

import numpy as np
from sklearn.metrics import log_loss

from .advice import warn_of_other_scales
from .classifier import MLPClassifier
from .docs import REGRESSOR_LOSS
from .losses import CLASSIFIER_LOSSES, check_name, loss_settings, needs_positive_predictions
from .regressor import MLPRegressor
from .tabular_base import FEW_FOR_REGRESSION, N_EPOCHS, _TabularMLP
from .tabular_docs import documented


def _holds_numbers(y):
    """Whether targets are dense and numeric, as those of a regressor must be."""
    return isinstance(y, np.ndarray) and y.dtype.kind in "fiub"


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

    def _scores_loss(self):
        return self.loss != "log_loss" or self._is_multilabel()

    def _validation_score(self, y, output, sample_weight):
        """Minus the log loss, without label smoothing, because the accuracy on few samples says
        little about the probabilities."""
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

    def _scores_loss(self):
        return self.loss != "squared_error"

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
