"""What the estimators of tables share: reading tables, and how they are trained."""

import copy
import warnings
from dataclasses import replace
from numbers import Integral

import numpy as np
from sklearn.base import RegressorMixin
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
from .._training.validation import Validation
from .bagging import check_folds, check_weights, fit_bagged, folds_of, refit
from .base import _BaseMLP, unchanged_on_error
from .constraints import checked_weights, clipped_batch_size
from .embeddings import FREQUENCY_DEVIATION, NUMERIC_EMBEDDINGS, table_columns
from .hints import explains_arguments

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

    @explains_arguments
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train on a table, from new weights unless `warm_start` is set.

        A call that is refused because of its arguments leaves a fitted
        estimator as it was. Ctrl-C ends the training with a warning and keeps
        the weights reached so far; of `bagging`, the networks trained by then.

        Parameters
        ----------
        X : DataFrame, Table or array-like of shape (n_samples, n_features)
            Samples to train on, of pandas, polars, pyarrow or NumPy.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: numbers for regression, class labels (or a multilabel
            indicator matrix) for classification.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss, and in medians and quartiles; 1
            if not given.

        X_val : DataFrame, Table or array-like of shape (n_val, n_features), default=None
            Samples of a validation set, with the columns of X. Nothing is then
            held out from X.

        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Its targets.

        sample_weight_val : array-like of shape (n_val,), default=None
            Weight of each of its samples in the validation loss and score.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If data or parameters are invalid, or if training diverges to
            weights that are not finite.

        Examples
        --------
        >>> import pandas as pd
        >>> from fastmlp import TabularRegressor
        >>> table = pd.DataFrame({"km": range(100), "fuel": ["gas", "diesel"] * 50})
        >>> reg = TabularRegressor(random_state=0).fit(table, 2 * table["km"])
        >>> len(reg.validation_scores_)
        128
        """
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return super().fit(X, y, sample_weight, **held_out)

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
        with unchanged_on_error(self):
            task = super()._begin(X, y, sample_weight, incremental, **given)
            if task.settings.bagging:  # not self.bagging, which a scorer may have changed
                self._folds = folds_of(self, self._labels, len(task.network.networks))
                check_weights(self._folds, task.dataset.sample_weight)
        for name in ("oof_prediction_", "best_iterations_"):
            vars(self).pop(name, None)
        self._given = X
        return task

    def _check_bagging(self, X_val, incremental):
        if self.refit and self.warm_start:
            raise ValueError(
                "refit=True trains new networks on all samples, which warm_start=True would begin"
                " with the former ones. Set one of them to False."
            )
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
            records = [task.record]
        else:
            folds = vars(self).pop("_folds")
            outputs, records = fit_bagged(self, task, X, labels, folds)
            self.oof_prediction_ = self._readable(outputs)
            self.best_iterations_ = [record.best_iteration for record in records]
        held_out = task.settings.bagging or len(task.order) < len(task.dataset)
        if task.settings.refit and held_out and not incremental:
            refit(self, task, records)

    def _validation(self, record, dataset, rows, X, labels):
        if self.scoring is None and self._scores_loss():
            return Validation(dataset, rows, lambda network, loss, outputs: -loss), None
        return super()._validation(record, dataset, rows, X, labels)

    def _checked(self, X, y, sample_weight, reset):
        """The Samples of a table, y in one or two dimensions, and the weights."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y"
                " is None."
            )
        y = _check_y(
            y, multi_output=True, y_numeric=isinstance(self, RegressorMixin), estimator=self
        )
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
