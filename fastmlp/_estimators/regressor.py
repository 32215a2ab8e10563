"""MLPRegressor: targets, their encoding and predictions; the rest is in base."""

import warnings
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from .._core import ACTIVATIONS, POSITIVE, RANGES
from . import docs
from .base import _BaseMLP, _is_stochastic
from .hints import explains_arguments
from .losses import (
    REGRESSOR_LOSSES,
    check_name,
    check_targets,
    loss_settings,
    needs_positive_predictions,
)


class MLPRegressor(RegressorMixin, _BaseMLP):
    __doc__ = f"""Multi-layer perceptron regressor.

    Minimizes half the squared error or another `loss`. A drop-in replacement for
    :class:`sklearn.neural_network.MLPRegressor`: parameters, attributes, random
    draws and stopping rules are the same.

    Parameters
    ----------
    {docs.REGRESSOR_LOSS}

    {docs.parameters(docs.REGRESSOR_PARAMETERS)}

    Attributes
    ----------
    {docs.ATTRIBUTES.format(score="R2 score")}

    See Also
    --------
    MLPClassifier : The same network for classification.

    References
    ----------
    {docs.REFERENCES}

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLPRegressor
    >>> X = np.linspace(0, 3, 50)[:, np.newaxis]
    >>> reg = MLPRegressor("squared_error", (20,), "tanh", solver="lbfgs",
    ...                    max_iter=500, random_state=0).fit(X, np.sin(X[:, 0]))
    >>> reg.predict([[np.pi / 2]]).round(1)
    array([1.])
    >>> reg.score(X, np.sin(X[:, 0])) > 0.99
    True
    """

    _parameter_constraints: dict = {
        **_BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSOR_LOSSES))],
        "out_activation": [StrOptions({"auto", "exp", *ACTIVATIONS})],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dtype="auto",
        n_threads=None,
        loss_params=None,
        out_activation="auto",
        weight_decay=None,
        l1_ratio=0.0,
        max_norm=None,
        dropout=0.0,
        input_dropout=0.0,
        normalization=None,
        residual=False,
        clip_norm=None,
        clip_value=None,
        warmup=0.0,
        init="auto",
        init_scale=0.05,
        frozen_layers=(),
        stratify_validation=None,
        scoring=None,
        restore_best_weights="auto",
        max_time=None,
        average_weights=None,
        record=None,
        n_estimators=1,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dtype = dtype
        self.n_threads = n_threads
        self.loss_params = loss_params
        self.out_activation = out_activation
        self.weight_decay = weight_decay
        self.l1_ratio = l1_ratio
        self.max_norm = max_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.normalization = normalization
        self.residual = residual
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.warmup = warmup
        self.init = init
        self.init_scale = init_scale
        self.frozen_layers = frozen_layers
        self.stratify_validation = stratify_validation
        self.scoring = scoring
        self.restore_best_weights = restore_best_weights
        self.max_time = max_time
        self.average_weights = average_weights
        self.record = record
        self.n_estimators = n_estimators

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # With such a large tol, SGD stops before it has learned much, as scikit-learn's does.
        loose = isinstance(self.tol, Real) and self.tol >= 0.01
        tags.regressor_tags.poor_score = self.solver == "sgd" and loose
        tags.target_tags.positive_only = needs_positive_predictions(self.loss)
        return tags

    @property
    def _training_loss(self):
        return self.loss

    @property
    def _out_activation(self):
        if self.out_activation != "auto":
            return self.out_activation
        # training that continues keeps what the network has
        held = getattr(self, "out_activation_", None)
        if held is None or (needs_positive_predictions(self.loss) and held not in POSITIVE):
            return super()._out_activation
        return held

    def _reads_as_mlp(self):
        # readers do not sort the levels of quantiles
        return super()._reads_as_mlp() and getattr(self, "_levels", None) is None

    def _shift_outputs(self, parameters, y, sample_weight):
        """With a log link, add log(mean of y) to the intercepts that were drawn, because the losses
        have almost no gradient where predictions are far too small or too large. Not for 'poisson'
        with ``init="auto"``, which is scikit-learn's start."""
        drawn = callable(self.init) or isinstance(self.init, str)
        as_scikit_learn = self.loss == "poisson" and self.init == "auto"
        if self._out_activation == "exp" and drawn and not as_scikit_learn:
            mean = np.average(y, axis=0, weights=sample_weight)
            parameters[1][-1] += np.log(np.where(mean > 0, mean, 1)).astype(y.dtype)

    def _implied_out_activation(self):
        return self._out_activation

    def _check_loss(self):
        """The settings of the loss. Raises ValueError if parameters cannot be combined."""
        check_name(self.loss, REGRESSOR_LOSSES)
        if needs_positive_predictions(self.loss) and self.out_activation not in ("auto", *POSITIVE):
            raise ValueError(
                f"loss={self.loss!r} needs positive predictions, which"
                f" out_activation={self.out_activation!r} does not ensure; choose from"
                f" {('auto', *POSITIVE)}."
            )
        settings = loss_settings(self.loss, self.loss_params)
        levels = settings.quantile
        self._levels = np.array(levels) if len(levels) > 1 else None
        return settings

    def _encode_y(self, y, dtype, incremental, classes):
        """Return the targets in the computing type, of shape (n, n_outputs); and n_outputs."""
        y = self._encoded(y, dtype)
        return y, y.shape[1]

    def _encode_y_val(self, y, dtype, n_outputs):
        """The targets of a validation set, as `_encode_y` returns them."""
        y = self._encoded(y, dtype)
        if y.shape[1] != n_outputs:
            raise ValueError(f"y_val has {y.shape[1]} outputs, but y has {n_outputs}.")
        return y

    def _encoded(self, y, dtype):
        if y.dtype.kind in "mM":
            raise ValueError(
                f"y must be numbers, got {y.dtype}. Convert it first, for example to"
                " (y - y.min()) / np.timedelta64(1, 'D')."
            )
        # y is checked again, because a number may be too large for float32
        if y.dtype.kind not in "fiub":  # refuses strings of digits
            y = check_array(y, dtype="numeric", ensure_2d=False, input_name="y", estimator=self)
        y = check_array(y, dtype=dtype, ensure_2d=False, input_name="y", estimator=self)
        check_targets(self.loss, y)
        low, high = RANGES[self._out_activation]
        if (y < low).any() or (y > high).any():
            warnings.warn(
                f"y has values outside of [{low:g}, {high:g}], the range of predictions with"
                f" out_activation={self._out_activation!r}."
            )
        y = y.reshape(len(y), -1)
        if self._levels is not None:
            if y.shape[1] > 1:
                raise ValueError(
                    "loss='quantile' with several levels needs a single target, got"
                    f" {y.shape[1]} targets."
                )
            y = np.repeat(y, len(self._levels), axis=1)
        return np.require(y, requirements="CA")

    def _sort_levels(self, output):
        """The outputs, sorted if there are several levels, so that quantiles do not cross."""
        several = getattr(self, "_levels", None) is not None  # older pickles lack it
        return np.sort(output, axis=1) if several else output

    def _validation_score(self, y, output, sample_weight):
        if len(y) < 2 or not np.isfinite(output).all():
            return np.nan
        output = self._sort_levels(output)
        if self._levels is not None:
            return self._levels_score(y[:, 0], output, sample_weight)
        return r2_score(y, output, sample_weight=sample_weight)

    def _levels_score(self, y, output, sample_weight):
        scores = [
            d2_pinball_score(y, output[:, i], sample_weight=sample_weight, alpha=level)
            for i, level in enumerate(self._levels)
        ]
        return float(np.mean(scores))

    @available_if(_is_stochastic)
    @explains_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch of mini-batches, continuing from the last call.

        Not available with ``solver='lbfgs'``. The epoch covers all of X, also with
        `early_stopping`: no validation set is split off.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to train on.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss; 1 if not given.

        Returns
        -------
        self : object
            The estimator, trained further.

        Raises
        ------
        ValueError
            As in `fit`.
        """
        return self._train(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predicted targets of the samples in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the network's floating point type; float64 of a
            :class:`TabularRegressor`. With several levels of the quantile loss,
            one output for each level, in increasing order.

        Examples
        --------
        >>> import numpy as np
        >>> from fastmlp import MLPRegressor
        >>> X = np.linspace(0, 1, 200)[:, np.newaxis]
        >>> y = X[:, 0] + np.random.RandomState(0).uniform(-1, 1, 200)
        >>> reg = MLPRegressor("quantile", (20,), loss_params={"quantile": [0.1, 0.9]},
        ...                    max_iter=500, random_state=0).fit(X, y)
        >>> interval = reg.predict(X)
        >>> interval.shape
        (200, 2)
        >>> inside = (interval[:, 0] < y) & (y < interval[:, 1])
        >>> bool(0.7 < inside.mean() < 0.9)
        True
        """
        output = self._sort_levels(self._forward(X))
        return output.ravel() if output.shape[1] == 1 else output

    def score(self, X, y, sample_weight=None):
        """R2 of the predictions, as for scikit-learn's regressors.

        With several levels of the quantile loss, the mean of
        :func:`sklearn.metrics.d2_pinball_score` over the levels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            At most 1; greater is better.
        """
        if getattr(self, "_levels", None) is None:
            return super().score(X, y, sample_weight)
        return self._levels_score(column_or_1d(y), self.predict(X), sample_weight)
