"""MLPClassifier: labels, their encoding and predictions; the rest is in base."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from . import docs
from .base import _BaseMLP, _is_stochastic
from .hints import explains_arguments
from .labels import fitted_binarizer, plain_classes
from .losses import (
    CLASSIFIER_LOSSES,
    check_name,
    class_weights,
    classifier_kernel,
    loss_settings,
)
from .prediction import DerivedBinarizer, binarizer_of


def _is_incremental(estimator):
    if estimator.class_weight == "balanced":
        raise AttributeError(
            "class_weight 'balanced' is not supported for partial_fit. In order to use"
            " 'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y)."
            " In place of y you can use a large enough sample of the full training set target"
            " to properly estimate the class frequency distributions. Pass the resulting"
            " weights as the class_weight parameter."
        )
    return _is_stochastic(estimator)


PROBABILITIES = ("logistic", "softmax")  # the output activations that give them


def _gives_decisions(estimator):
    """Whether the outputs are decision values: as fitted or, before a fit, by `loss`."""
    fitted = getattr(estimator, "out_activation_", None)
    return estimator.loss == "hinge" if fitted is None else fitted not in PROBABILITIES


def _has_probabilities(estimator):
    if _gives_decisions(estimator):
        raise AttributeError(
            "probability estimates are not available for loss='hinge', or with an out_activation_"
            " other than 'logistic' and 'softmax', because the outputs are decision values; use"
            " decision_function, or train with loss='log_loss'."
        )
    return True


def _has_decision_function(estimator):
    if not _gives_decisions(estimator):
        raise AttributeError(
            "decision_function is only available for loss='hinge'. With"
            f" loss={estimator.loss!r}, use predict_proba."
        )
    return True


class MLPClassifier(ClassifierMixin, _BaseMLP):
    __doc__ = f"""Multi-layer perceptron classifier.

    Minimizes the log loss or another `loss`. The network has one logistic output
    for two classes, a softmax over all classes for more, and one logistic output
    per label for multilabel targets. A drop-in replacement for
    :class:`sklearn.neural_network.MLPClassifier`: parameters, attributes, random
    draws and stopping rules are the same.

    Parameters
    ----------
    {docs.parameters(docs.CLASSIFIER_PARAMETERS)}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted; for multilabel targets, the column numbers of y.

    {docs.ATTRIBUTES.format(score="Accuracy")}

    See Also
    --------
    MLPRegressor : The same network for regression.

    References
    ----------
    {docs.REFERENCES}

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

    _parameter_constraints: dict = {
        **_BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "loss": [StrOptions(set(CLASSIFIER_LOSSES))],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }
    _label_binarizer = DerivedBinarizer()

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
        class_weight=None,
        loss="log_loss",
        loss_params=None,
        label_smoothing=0.0,
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
        self.class_weight = class_weight
        self.loss = loss
        self.loss_params = loss_params
        self.label_smoothing = label_smoothing
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

    @property
    def _training_loss(self):
        return classifier_kernel(self.loss, self._label_binarizer.y_type_ == "multiclass")

    def _check_loss(self):
        """The settings of the loss. Raises ValueError if parameters cannot be combined."""
        check_name(self.loss, CLASSIFIER_LOSSES)
        if self.label_smoothing and self.loss != "log_loss":
            raise ValueError(
                f"label_smoothing={self.label_smoothing} is for loss='log_loss' only, got"
                f" loss={self.loss!r}."
            )
        return loss_settings(self.loss, self.loss_params, smoothing=self.label_smoothing)

    def _weigh_classes(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        numbers = y if self._label_binarizer.y_type_.startswith("multilabel") else y.ravel()
        weights = class_weights(self.class_weight, numbers, self.classes_, sample_weight)
        if sample_weight is not None:
            weights *= sample_weight
        if not weights.any():
            raise ValueError("class_weight leaves no sample with a weight other than zero.")
        return weights

    def _check_classes(self, y, incremental, classes):
        """Set the classes, or check that those of y are among them, by scikit-learn's rules."""
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if not fresh or incremental:
            self._held_classes()
        if incremental and _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        if not hasattr(self, "classes_") or (fresh and not incremental):
            self._label_binarizer = fitted_binarizer(y)
            self.classes_ = self._label_binarizer.classes_
            return
        if np.ndim(self.classes_) != 1:
            raise ValueError(f"classes_ must be a list of labels, got {self.classes_!r:.100}.")
        if not fresh:
            self._label_binarizer = self._held_binarizer(y)
        elif "_label_binarizer" not in vars(self):  # classes_ was set by hand
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else self.classes_)
        labels = plain_classes(y)
        if labels is None:
            labels = unique_labels(y)
        if self.warm_start and not incremental and set(labels) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous"
                f" call to fit. Previously got {self.classes_}, `y` has {labels}"
            )
        if len(np.setdiff1d(labels, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`."
                f" `self.classes_` has {self.classes_}. 'y' has {labels}."
            )

    def _held_binarizer(self, y):
        """A LabelBinarizer for the outputs that the current weights have."""
        if type_of_target(y).startswith("multilabel"):
            return LabelBinarizer().fit(y)
        return binarizer_of(self.classes_, self.n_outputs_)

    def _encode_y(self, y, dtype, incremental, classes):
        """Return the encoded targets and n_outputs. The targets are class numbers (int32) or, if y
        is binary or multilabel, 0/1 outputs (uint8) of shape (n, n_outputs)."""
        self._check_classes(y, incremental, classes)
        y = self._encoded(y)
        return y, len(self.classes_) if y.ndim == 1 else y.shape[1]

    def _encode_y_val(self, y, dtype, n_outputs):
        """The targets of a validation set, as `_encode_y` returns them."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            if y.ndim != 2:
                raise ValueError("y_val must be a multilabel indicator matrix, as y is.")
            return self._encoded(y)
        check_classification_targets(y)
        labels = unique_labels(y)
        if y.ndim == 1 and len(np.setdiff1d(labels, self.classes_)):
            raise ValueError(
                "`y_val` has classes not in `self.classes_`."
                f" `self.classes_` has {self.classes_}. 'y_val' has {labels}."
            )
        return self._encoded(y)

    def _encoded(self, y):
        kind = self._label_binarizer.y_type_
        if kind.startswith("multilabel"):
            return np.ascontiguousarray(self._label_binarizer.transform(y).astype(bool)).view(
                np.uint8
            )
        if y.ndim != 1:
            raise ValueError("The object was not fitted with multilabel input.")
        # Without the cast, int64 and uint64 would be compared as floats. It is exact, because every
        # label is a known class.
        classes, y = self.classes_, y.astype(self.classes_.dtype, copy=False)
        if classes is self._label_binarizer.classes_:
            y = np.searchsorted(classes, y)
        else:  # perhaps set by hand, in another order
            order = np.argsort(classes)
            y = order[np.searchsorted(classes, y, sorter=order)]
        return y.astype(np.int32) if kind == "multiclass" else y.astype(np.uint8).reshape(-1, 1)

    def _strata(self, labels):
        stratify, binary = self.stratify_validation, self._label_binarizer.y_type_ == "binary"
        if stratify and labels.ndim > 1:
            raise ValueError(
                "stratify_validation=True needs a single class for each sample, but y is"
                " multilabel; use None or False."
            )
        if stratify is None:
            stratify = binary
        if not stratify:
            return None
        if binary:  # strings, because scikit-learn's message about a rare class shows them
            return np.array(["False", "True"])[(labels != self.classes_[0]).astype(np.intp)]
        return labels

    @property
    def _threshold(self):
        """An output above it means the second class of a binary y, or a positive label."""
        return 0.5 if self.out_activation_ in PROBABILITIES else 0.0

    def _reads_as_mlp(self):
        # readers compare outputs with 0.5
        return super()._reads_as_mlp() and self.loss != "hinge"

    def _implied_out_activation(self):
        """The output activation of weights that were put in by hand."""
        if self.loss == "hinge":
            return "identity"
        return "logistic" if self.n_outputs_ == 1 or self._is_multilabel() else "softmax"

    def _out_activation_is_stale(self):
        single = self.n_outputs_ == 1
        stale = "softmax" if single else "logistic"
        return self.out_activation_ == stale and not self._is_multilabel()

    def _is_multilabel(self):
        """Whether each output is a label. Without a binarizer, because weights were put in by hand,
        this follows from the outputs: several logistic ones are labels, as in scikit-learn."""
        out_activation = getattr(self, "out_activation_", None)
        if out_activation == "softmax":
            return False
        try:
            binarizer = vars(self)["_label_binarizer"]
            if binarizer.y_type_ != "multilabel-indicator":
                return False
            classes = getattr(self, "classes_", binarizer.classes_)
            return np.array_equal(binarizer.classes_, classes)  # or they were set by hand
        except (KeyError, AttributeError):
            return self.n_outputs_ > 1 and out_activation == "logistic"

    def _held_classes(self):
        """`classes_`, an array if it is a list of labels. Without it, the classes of the binarizer,
        which people set because scikit-learn's predict reads only these; or None."""
        classes = vars(self).get("classes_")
        if type(classes) is np.ndarray:
            return classes
        if classes is None:
            classes = getattr(vars(self).get("_label_binarizer"), "classes_", None)
        if classes is not None and np.asarray(classes).ndim == 1:
            self.classes_ = classes = np.asarray(classes)
        return classes

    def _classes_of(self, output):
        """The labels of the classes that these outputs tell apart."""
        n_outputs, classes = output.shape[1], vars(self).get("classes_")
        if type(classes) is np.ndarray and classes.shape == (n_outputs,):
            return classes  # as training leaves them; the prediction of a row should be short
        classes = self._held_classes()
        n_classes = len(classes) if getattr(classes, "ndim", 0) == 1 else 0
        if n_classes == n_outputs or n_classes == 1 + n_outputs == 2:
            return classes
        raise ValueError(
            f"classes_ must have the labels of {max(2, n_outputs)} classes, in a list or a"
            f" one-dimensional array, because coefs_ has {n_outputs}"
            f" output{'s' if n_outputs > 1 else ''}; got {classes!r:.100}."
        )

    def _validation_score(self, y, output, sample_weight):
        if y.ndim == 1:
            correct = output.argmax(axis=1) == y
        else:
            correct = ((output > self._threshold) == y).all(axis=1)
        return float(np.average(correct, weights=sample_weight))

    @available_if(_is_incremental)
    @explains_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch of mini-batches, continuing from the last call.

        Not available with ``solver='lbfgs'``. The epoch covers all of X, also with
        `early_stopping`: no validation set is split off.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to train on.

        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels, or a multilabel indicator matrix.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample in the loss; 1 if not given.

        classes : array-like of shape (n_classes,), default=None
            All classes that may occur in any call. Only needed in the first call.

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
        if classes is None and sample_weight is not None:
            self._refuse_classes_as_weights(sample_weight, y)
        return self._train(X, y, sample_weight, incremental=True, classes=classes)

    def _refuse_classes_as_weights(self, sample_weight, y):
        """Refuse the classes as third argument of partial_fit, where they stood in other estimators
        and older versions of scikit-learn's MLP."""
        given = np.asarray(sample_weight)
        known = getattr(self, "classes_", None)
        if given.ndim != 1 or len(given) == len(y):
            return
        if known is None:
            same = np.array_equal(given, np.unique(given)) and np.isin(np.unique(y), given).all()
        else:
            same = np.array_equal(given, known)
        if same:
            raise ValueError(
                "The third argument of partial_fit is sample_weight, as in scikit-learn since"
                f" version 1.7, but got the classes, {sample_weight!r}. Use"
                f" partial_fit(X, y, classes={sample_weight!r})."
            )

    def predict(self, X):
        """Class labels of the samples in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable class; for multilabel targets, 1 for each label
            whose probability is above 0.5. With ``loss='hinge'``, the class of
            the greatest decision value; for two classes and for labels, the
            decision value is compared with 0.
        """
        output = self._forward(X)
        if output.shape[1] == 1:  # "clip" is for y with a single class
            chosen = output[:, 0] > self._threshold
            return self._classes_of(output).take(chosen, mode="clip")
        if self._is_multilabel():
            return (output > self._threshold).astype(int)
        return self._classes_of(output).take(output.argmax(axis=1), mode="clip")

    @available_if(_has_decision_function)
    def decision_function(self, X):
        """Values of the linear outputs. Only with ``loss='hinge'``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, a value above 0 means the second class; for more
            classes, the greatest value is that of the predicted class; for
            multilabel targets, a value above 0 means that the label is
            predicted. In the network's floating point type.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
        >>> clf = MLPClassifier((8,), loss="hinge", solver="lbfgs", random_state=0)
        >>> clf.fit(X, y).decision_function([[0.0], [3.0]]) > 0
        array([False,  True])
        """
        output = self._forward(X)
        return output.ravel() if output.shape[1] == 1 else output

    @available_if(_has_probabilities)
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
            if len(getattr(self, "classes_", "01")) == 1:
                return np.ones_like(output)
            return np.concatenate([1 - output, output], axis=1)
        if hasattr(self, "classes_"):
            self._classes_of(output)  # raises if there is another number of them
        if self.out_activation_ == "logistic":
            # the probability of a label is never exactly 0 or 1
            info = np.finfo(output.dtype)
            np.clip(output, info.tiny, 1 - info.epsneg, out=output)
        return output

    @available_if(_has_probabilities)
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
        tags.classifier_tags.multi_label = not (self.early_stopping and self.stratify_validation)
        return tags
