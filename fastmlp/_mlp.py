"""MLPClassifier and MLPRegressor: parameters, checks, labels, scikit-learn's interface.

The arithmetic is in _network, the training loops in _training. Between calls the only truth is
`coefs_` and `intercepts_`: ordinary arrays that belong to the estimator, which users and pickles
may change.
"""

import functools
import warnings
from contextlib import contextmanager
from numbers import Integral, Real
from operator import index

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from . import _docs
from ._core import (
    ACTIVATIONS,
    OPTIMIZERS,
    OUT_ACTIVATIONS,
    Dataset,
    Parameters,
    predict,
)
from ._network import Network, effective_n_threads
from ._training import clipped_batch_size, fit_lbfgs, fit_stochastic, initial_parameters
from ._version import __version__

# How X is checked: what the engine reads as it lies stays so, whatever its order and
# strides. Any other type becomes the first of the list, float64.
_INTEGERS = [kind + size for kind in "iu" for size in "1248"]
_X_DTYPES = [np.dtype(name) for name in ("f8", "f4", "?", *_INTEGERS)]
_X_CHECKS = {"accept_sparse": "csr", "dtype": _X_DTYPES}
_LOSSES = {out_activation: loss for loss, out_activation in OUT_ACTIVATIONS.items()}


@contextmanager
def _unchanged_on_error(estimator):
    """Undo every assignment to the estimator's attributes if the block fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _float_sparse(X):
    """Convert sparse integers and booleans, which the engine reads in dense X only."""
    if issparse(X) and X.dtype not in (np.float64, np.float32):
        return X.astype(np.float64)
    return X


def _checked_weights(sample_weight, X):
    """Check the weights as scikit-learn does; float64 of shape (n_samples,), or None."""
    if sample_weight is None:
        return None
    sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if not sample_weight.any():  # checked by scikit-learn itself from 1.9 on
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return np.require(sample_weight, requirements="CA")


def _plain_classes(y):
    """Classes of labels that scikit-learn's slow checks have nothing to say about; or else None."""
    if y.ndim == 1 and y.dtype.kind in "biu" and y.dtype.isnative:
        classes = np.unique(y)
        if 0 < 2 * len(classes) <= len(y):
            return classes
    return None


def _fitted_binarizer(y):
    """What ``LabelBinarizer().fit(y)`` returns."""
    binarizer, classes = LabelBinarizer(), _plain_classes(y)
    if classes is None:
        return binarizer.fit(y)
    binarizer.y_type_ = "multiclass" if len(classes) > 2 else "binary"
    binarizer.sparse_input_, binarizer.classes_ = False, classes
    return binarizer


def _is_stochastic(estimator):
    if estimator.solver not in OPTIMIZERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. %s is not stochastic."
            % estimator.solver
        )
    return True


class _BaseMLP(BaseEstimator):
    """What the classifier and the regressor share.

    A subclass has the methods `_encode_y` and `_validation_score`, and the property
    `_training_loss`, known once y is encoded.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", *OPTIMIZERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "n_threads": [
            None,
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
        ],
    }

    _doc_link_module = "fastmlp"
    _doc_link_template = "https://github.com/fastmlp/fastmlp"

    @classmethod
    @functools.cache
    def _param_names(cls):
        return tuple(super()._get_param_names())  # from the signature, which takes a while to read

    @classmethod
    def _get_param_names(cls):
        return list(cls._param_names())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train on X and y, from new weights unless `warm_start` is set.

        A call that is refused because of its arguments leaves a fitted
        estimator as it was. Ctrl-C ends the training with a warning and keeps
        the weights reached so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to train on. Never copied as a whole if dense and numeric,
            or CSR of float32 or float64; CSC is converted.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: numbers for regression, class labels (or a multilabel
            indicator matrix) for classification.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss; 1 if not given.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters, and where training diverged to
            weights that are not finite.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight, incremental=False, classes=None):
        with _unchanged_on_error(self):
            if incremental and self.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True")
            fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
            numeric = isinstance(self, RegressorMixin)
            X, y = validate_data(
                self,
                X,
                y,
                reset=fresh,
                multi_output=True,
                y_numeric=numeric,
                **_X_CHECKS,
            )
            X = _float_sparse(X)
            sample_weight = _checked_weights(sample_weight, X)
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)

            dtype = self._computing_dtype(X, fresh)
            y, n_outputs = self._encode_y(y, dtype, incremental, classes)
            layer_units = [X.shape[1], *self._hidden_units(), n_outputs]
            loss = self._training_loss
            self._random_state = check_random_state(self.random_state)
            if fresh:
                coefs, intercepts = initial_parameters(
                    layer_units, self.activation, dtype, self._random_state
                )
                self._forget_training()
            else:
                coefs, intercepts = self._copy_parameters(layer_units, dtype)

            stochastic = self.solver in OPTIMIZERS
            dataset = Dataset(X, y, sample_weight)
            order, validate = np.arange(len(y), dtype=np.intp), None
            if stochastic and self.early_stopping:
                order, validate = self._split(dataset, y, sample_weight)
            if sample_weight is not None and sample_weight[order].sum() == 0:
                raise ValueError("The sample weights of the training set sum to zero.")
            network = Network(
                layer_units,
                activation=self.activation,
                loss=loss,
                dtype=dtype,
                optimizer=self.solver if stochastic else None,
                n_threads=effective_n_threads(self.n_threads),
            )
            network.set_parameters(coefs, intercepts)
            # all the memory that training will need, so that a lack of it is found here
            batch_size = len(order)
            if stochastic:
                batch_size = clipped_batch_size(self.batch_size, len(order))
            network.prepare(dataset, batch_size, whole_gradient=not stochastic)
            self.n_layers_, self.n_outputs_ = len(layer_units), n_outputs
            self.out_activation_ = OUT_ACTIVATIONS[loss]
            self.coefs_, self.intercepts_ = coefs, intercepts

        # From here on the training writes to the new arrays, and nothing is refused.
        task = self, network, dataset
        if stochastic:
            fit_stochastic(
                *task,
                order,
                coefs,
                intercepts,
                batch_size=batch_size,
                validate=validate,
                incremental=incremental,
            )
        else:
            fit_lbfgs(*task, coefs, intercepts)
        if not all(np.isfinite(a).all() for a in [*coefs, *intercepts]):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large"
                " values and need to be preprocessed."
            )
        return self

    def _hidden_units(self):
        sizes = self.hidden_layer_sizes
        sizes = [index(size) for size in (sizes if hasattr(sizes, "__iter__") else [sizes])]
        if any(size <= 0 for size in sizes):
            raise ValueError("hidden_layer_sizes must be > 0, got %s." % sizes)
        return sizes

    def _computing_dtype(self, X, fresh):
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        if not fresh:
            return self._parameters().dtype
        return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)

    def _parameters(self):
        """`coefs_` and `intercepts_`, for predictions.

        Users and pickles may have changed them: a ValueError says where they do not fit.
        """
        ends = self.n_features_in_, self.n_outputs_
        try:
            parameters = Parameters(self.coefs_, self.intercepts_)
        except ValueError:
            parameters = None
        if parameters is None or parameters.ends != ends:
            raise ValueError(
                "coefs_ and intercepts_ must be lists of arrays, all float32 or all float64, of"
                " shapes (fan_in, fan_out) and (fan_out,), that lead from n_features_in_=%s to"
                " n_outputs_=%s." % ends
            )
        return parameters

    def _copy_parameters(self, layer_units, dtype):
        """The present weights as a start for more training of a network of `layer_units`."""
        units = self._parameters().units
        if units != layer_units:
            raise ValueError(
                f"The fitted network has layers of {units} units, but the parameters and data ask"
                f" for {layer_units}. Neither warm_start nor partial_fit can change the layers."
            )
        return [
            [np.array(a, dtype=dtype, order="C") for a in arrays]
            for arrays in (self.coefs_, self.intercepts_)
        ]

    def _forget_training(self):
        """Drop the record of earlier calls, which another solver may have left."""
        for name in (
            "loss_",
            "best_loss_",
            "loss_curve_",
            "validation_scores_",
            "best_validation_score_",
            "_optimizer",
            "_no_improvement_count",
        ):
            vars(self).pop(name, None)
        self.n_iter_ = self.t_ = 0

    def _split(self, dataset, y, sample_weight):
        """Rows to train on, and a function that gives a Network's score on the others."""
        binary = isinstance(self, ClassifierMixin) and y.shape[1:] == (1,)
        train, held_out = train_test_split(
            np.arange(len(y), dtype=np.intp),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            # strings, as the message about a class with too few members shows them
            stratify=np.array(["False", "True"])[y.ravel()] if binary else None,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of"
                " your dataset."
            )
        y_held_out, weight_held_out = y[held_out], None
        if sample_weight is not None:
            weight_held_out = sample_weight[held_out]
            if weight_held_out.sum() == 0:
                raise ValueError(
                    "The sample weights for validation set are all zero, consider using a different"
                    " random state."
                )

        def validate(network):
            return self._validation_score(
                y_held_out, network.predict(dataset, held_out), weight_held_out
            )

        return train, validate

    def _is_plain(self, X):
        """Whether X needs no check but that it is finite: scikit-learn's are slow."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in _X_DTYPES
            and len(X) > 0
            and hasattr(self, "coefs_")
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and getattr(self, "feature_names_in_", None) is None
        )

    def _forward(self, X):
        """Output of the network for X, of shape (n_samples, n_outputs)."""
        plain = self._is_plain(X)
        if not plain:
            check_is_fitted(self)
            X = validate_data(self, X, reset=False, accept_sparse="csr")
            X = _float_sparse(X if X.dtype in _X_DTYPES else X.astype(np.float64))
        parameters = self._parameters()
        if self.activation not in ACTIVATIONS or self.out_activation_ not in _LOSSES:
            raise ValueError(
                f"Unknown activation={self.activation!r} or"
                f" out_activation_={self.out_activation_!r}."
            )
        output, finite = predict(
            Dataset(X),
            parameters,
            activation=self.activation,
            loss=_LOSSES[self.out_activation_],
            n_threads=effective_n_threads(self.n_threads),
        )
        if plain and not finite:
            # refused here, unless X is finite but in float32, or assumed to be finite
            validate_data(self, X, reset=False)
        return output

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self):
        return dict(super().__getstate__(), _fastmlp_version=__version__)

    def __setstate__(self, state):
        state = dict(state)
        version = state.pop("_fastmlp_version", "unknown")
        if version.split(".")[:2] != __version__.split(".")[:2]:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                )
            )
        super().__setstate__(state)


class MLPClassifier(ClassifierMixin, _BaseMLP):
    __doc__ = f"""Multi-layer perceptron classifier.

    Minimizes the log loss: of one logistic output for two classes, of a softmax
    over all classes for more, of one logistic output per label for multilabel
    targets. Takes the place of :class:`sklearn.neural_network.MLPClassifier`:
    parameters, attributes, random draws and stopping rules are the same.

    Parameters
    ----------
    {_docs.PARAMETERS}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; columns of the targets for multilabel.

    {_docs.ATTRIBUTES.format(score="Accuracy")}

    See Also
    --------
    MLPRegressor : The same network for regression.

    References
    ----------
    {_docs.REFERENCES}

    Examples
    --------
    >>> from fastmlp import MLPClassifier
    >>> from sklearn.datasets import make_moons
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> clf = MLPClassifier((20, 20), solver="lbfgs", random_state=0).fit(X, y)
    >>> clf.predict([[0.5, 1.0], [0.5, -0.5]])
    array([0, 1])
    >>> float(clf.score(X, y))
    1.0
    """

    def __init__(
        self,
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
    ):
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

    @property
    def _training_loss(self):
        return "log_loss" if self._label_binarizer.y_type_ == "multiclass" else "binary_log_loss"

    def _check_classes(self, y, incremental, classes):
        """Set the classes, or check that those of y are among them: scikit-learn's rules."""
        if incremental and _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = _fitted_binarizer(y)
            self.classes_ = self._label_binarizer.classes_
            return
        labels = _plain_classes(y)
        if labels is None:
            labels = unique_labels(y)
        if self.warm_start and set(labels) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous"
                f" call to fit. Previously got {self.classes_}, `y` has {labels}"
            )
        if len(np.setdiff1d(labels, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`."
                f" `self.classes_` has {self.classes_}. 'y' has {labels}."
            )

    def _encode_y(self, y, dtype, incremental, classes):
        """Return class numbers (int32), or 0/1 outputs (uint8) of shape (n, n_outputs)
        for binary and multilabel targets; and n_outputs."""
        self._check_classes(y, incremental, classes)
        kind = self._label_binarizer.y_type_
        if kind.startswith("multilabel"):
            y = np.ascontiguousarray(self._label_binarizer.transform(y).astype(bool)).view(np.uint8)
            return y, y.shape[1]
        if y.ndim != 1:
            raise ValueError("The object was not fitted with multilabel input.")
        # Every label is known by now, so this loses nothing; int64 and uint64 would meet as floats.
        y = np.searchsorted(self.classes_, y.astype(self.classes_.dtype, copy=False))
        if kind == "multiclass":
            return y.astype(np.int32), len(self.classes_)
        return y.astype(np.uint8).reshape(-1, 1), 1

    def _validation_score(self, y, output, sample_weight):
        if y.ndim == 1:
            correct = output.argmax(axis=1) == y
        else:
            correct = ((output > 0.5) == y).all(axis=1)
        return float(np.average(correct, weights=sample_weight))

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch of mini-batches, going on from the last call.

        Only with ``solver='sgd'`` or ``'adam'``, and without `early_stopping`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to train on.

        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels, or a multilabel indicator matrix.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss; 1 if not given.

        classes : array-like of shape (n_classes,), default=None
            All classes that any call will bring. Needed in the first call only.

        Returns
        -------
        self : object
            The estimator, trained further.

        Raises
        ------
        ValueError
            As in `fit`, and for labels that are not among `classes`.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> clf = MLPClassifier((4,), random_state=0)
        >>> clf = clf.partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1, 2])
        >>> clf.partial_fit([[2.0]], [2]).t_
        3
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X):
        """Class labels of the samples in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable class; for multilabel, 1 where the probability is
            above 0.5.
        """
        output, binarizer = self._forward(X), self._label_binarizer
        if binarizer.y_type_ == "multiclass":
            return binarizer.classes_.take(output.argmax(axis=1), mode="clip")
        if binarizer.y_type_ == "binary":
            return binarizer.classes_.take(output[:, 0] > 0.5, mode="clip")  # of one class, that
        return binarizer.inverse_transform(output)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, in the network's floating point type.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
        >>> clf = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
        >>> clf.predict_proba([[0.5], [2.5]]).round(2)
        array([[1., 0.],
               [0., 1.]])
        """
        output = self._forward(X)
        if output.shape[1] == 1:
            return np.concatenate([1 - output, output], axis=1)
        if self.out_activation_ == "logistic":
            # of several labels none is ever certain: within half an ulp of 0 or 1, not there
            info = np.finfo(output.dtype)
            np.clip(output, info.tiny, 1 - info.epsneg, out=output)
        return output

    def predict_log_proba(self, X):
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``, so -inf where a probability is 0.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _BaseMLP):
    __doc__ = f"""Multi-layer perceptron regressor.

    Minimizes half the squared error or half the Poisson deviance. Takes the
    place of :class:`sklearn.neural_network.MLPRegressor`: parameters,
    attributes, random draws and stopping rules are the same.

    Parameters
    ----------
    loss : {{'squared_error', 'poisson'}}, default='squared_error'
        Loss to minimize. The network's output is linear for 'squared_error'.
        For 'poisson' it is the exponential of a linear function, and y must not
        be negative.

    {_docs.PARAMETERS}

    Attributes
    ----------
    {_docs.ATTRIBUTES.format(score="R2 score")}

    See Also
    --------
    MLPClassifier : The same network for classification.

    References
    ----------
    {_docs.REFERENCES}

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
        "loss": [StrOptions({"squared_error", "poisson"})],
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # As scikit-learn's, SGD with a tolerance this loose stops before it has learned much.
        loose = isinstance(self.tol, Real) and self.tol >= 0.01
        tags.regressor_tags.poor_score = self.solver == "sgd" and loose
        return tags

    @property
    def _training_loss(self):
        return self.loss

    def _encode_y(self, y, dtype, incremental, classes):
        """Return the targets in the computing type, of shape (n, n_outputs); and n_outputs."""
        # again, because a number may be too large for float32
        if y.dtype.kind not in "fiub":  # strings of digits are no numbers
            y = check_array(y, dtype="numeric", ensure_2d=False, input_name="y", estimator=self)
        y = check_array(y, dtype=dtype, ensure_2d=False, input_name="y", estimator=self)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError("loss='poisson' requires non-negative y.")
        y = np.require(y.reshape(len(y), -1), requirements="CA")
        return y, y.shape[1]

    def _validation_score(self, y, output, sample_weight):
        if not np.isfinite(output).all():
            return np.nan
        return r2_score(y, output, sample_weight=sample_weight)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch of mini-batches, going on from the last call.

        Only with ``solver='sgd'`` or ``'adam'``, and without `early_stopping`.

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
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predicted targets of the samples in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the network's floating point type.
        """
        output = self._forward(X)
        return output.ravel() if output.shape[1] == 1 else output
