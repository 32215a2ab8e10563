"""The outputs of a fitted network for X."""

import functools
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted, validate_data

from .._core import ACTIVATIONS, Dataset, Parameters, layer_units, predict
from .._network.architecture import BY_N_LISTS, N_LISTS, PARAMETERS, Architecture
from .._network.conversion import converted, is_uniform, layer_widths
from .._network.ensemble import members
from .._network.parameters import up_to
from .._network.threads import effective_n_threads
from .hints import did_you_mean

# How X is checked: the engine reads these types in place, whatever the order and strides. X of any
# other type is converted to the first one of the list, float64.
_INTEGERS = [kind + size for kind in "iu" for size in "1248"]
X_DTYPES = [np.dtype(name) for name in ("f8", "f4", "?", *_INTEGERS)]
X_CHECKS = {"accept_sparse": "csr", "dtype": X_DTYPES}


@functools.lru_cache(maxsize=256)
def _fitted_architecture(units, activation, out_activation, normalization, residual, dtype):
    """The Architecture of a fitted network, or None if it is not valid. `activation` is one name or
    a tuple of names. Cached, because every prediction asks for one."""
    if min(units) < 1 or dtype not in (np.float32, np.float64):
        return None
    if isinstance(activation, str):
        activation = (activation,) * (len(units) - 2)
    return Architecture(
        units,
        activation,
        out_activation,
        normalization=normalization,
        residual=residual,
        dtype=dtype,
    )


def float_sparse(X):
    """Convert sparse integers and booleans, which the engine reads in dense X only."""
    if issparse(X) and X.dtype not in (np.float64, np.float32):
        return X.astype(np.float64)
    return X


def binarizer_of(classes, n_outputs):
    """A LabelBinarizer for this number of outputs, which tell the classes apart."""
    binarizer = LabelBinarizer().fit(classes)
    binarizer.y_type_ = "binary" if n_outputs == 1 else "multiclass"
    return binarizer


class DerivedBinarizer:
    """The `_label_binarizer` of a classifier that was never fitted: converters read it.

    It is made from `classes_` and the outputs whenever it is read, so it cannot become stale. A fit
    stores another one in the estimator, which hides it.
    """

    def __get__(self, estimator, owner):
        if estimator is None:
            return self
        held = vars(estimator)
        if "coefs_" not in held or held.get("classes_") is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute '_label_binarizer'")
        estimator._fitted()  # sets the number of outputs if that is missing
        if not estimator._is_multilabel():
            return binarizer_of(estimator.classes_, estimator.n_outputs_)
        binarizer = LabelBinarizer().fit(np.eye(estimator.n_outputs_, dtype=int))
        binarizer.classes_ = np.asarray(estimator.classes_)
        return binarizer


class Predictor(BaseEstimator):
    """The part of an estimator that uses its fitted arrays."""

    def _activations(self, n_layers):
        """The activation of each hidden layer; the last one is repeated for the output."""
        activations = self.activation
        if isinstance(activations, str):
            if activations in ACTIVATIONS:
                return [activations] * n_layers
            activations = [activations]
        activations = [*activations, *activations[-1:]] or ["identity"]
        if len(activations) != n_layers or not all(name in ACTIVATIONS for name in activations):
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, or a list with one for each"
                f" of the {n_layers - 1} hidden layers, got {self.activation!r}."
                + "".join(
                    did_you_mean(name, ACTIVATIONS, "activation")
                    for name in dict.fromkeys(activations)
                    if name not in ACTIVATIONS
                )
            )
        return activations

    def _held_lists(self):
        """`coefs_`, `intercepts_` or `biases_`, and the lists of normalization, as they are."""
        held = vars(self)
        intercepts = held["intercepts_" if "intercepts_" in held else "biases_"]
        if "norm_scales_" not in held:  # faster than looking up every name
            return held["coefs_"], intercepts
        others = [held[name] for name in PARAMETERS[2:] if name in held]
        return (held["coefs_"], intercepts, *others)

    def _parameter_lists(self):
        """The same as arrays of one type, float32 or float64."""
        try:
            lists = self._held_lists()
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__!r} object must have both coefs_ and intercepts_, or neither"
            ) from None
        return lists if is_uniform(lists) else converted(lists)

    def _fitted(self):
        """The weights of each network, for predictions: a list of Parameters.

        Their architecture follows from the arrays, which users and pickles may have changed. Every
        prediction of a row calls this, so it looks things up once and calls little; what is not as
        training left it is left to `_adopted`.
        """
        held, normalization = vars(self), None
        try:
            coefs = held["coefs_"]
            if "norm_scales_" in held or "intercepts_" not in held:
                lists = self._held_lists()
                normalization = BY_N_LISTS.get(len(lists))
            else:
                lists = coefs, held["intercepts_"]
            first = coefs[0]
            if single := first.ndim == 2:
                units = layer_units(coefs, lists[1])
            else:
                units = (first.shape[-2], *[coef.shape[-1] for coef in coefs])
            fits = units[0] == held["n_features_in_"] and units[-1] == held["n_outputs_"]
            fits = fits and len(units) == len(coefs) + 1 == held["n_layers_"]
            dtype, out_activation = first.dtype, held["out_activation_"]
            fits = fits and out_activation is not None
        except (AttributeError, TypeError, ValueError, LookupError):
            fits = False
        if fits:
            activation = self.activation
            if not isinstance(activation, str) or activation not in ACTIVATIONS:
                activation = tuple(self._activations(len(coefs))[:-1])
            architecture = _fitted_architecture(
                units, activation, out_activation, normalization, self.residual, dtype
            )
            fits = architecture is not None
        if fits:
            try:
                if single:
                    return [Parameters(architecture, lists)]
                if networks := [Parameters(architecture, own) for own in members(lists)]:
                    return networks
            except (TypeError, ValueError, IndexError):
                pass
        return self._adopted(normalization)

    def _adopted(self, normalization):
        """The same where arrays are of other types or shapes than training left them, or were put
        into an estimator that was never fitted. Attributes that follow from them are set anew.

        Raises
        ------
        ValueError
            If the arrays do not make a network, or if attributes are missing that do not follow
            from them.
        """
        lists = self._parameter_lists()
        if len(lists) != N_LISTS[normalization] or (self.normalization and not normalization):
            raise ValueError(
                f"normalization={self.normalization!r} needs the lists"
                f" {PARAMETERS[2 : N_LISTS[self.normalization]]} beside coefs_, and no others."
            )
        units = layer_widths(lists)
        activations = self._activations(len(units) - 1)[:-1]
        if getattr(self, "n_features_in_", None) != units[0]:
            self.n_features_in_ = units[0]
            vars(self).pop("feature_names_in_", None)
        others = getattr(self, "n_outputs_", None) not in (None, units[-1])
        self.n_layers_, self.n_outputs_ = len(units), units[-1]
        missing = getattr(self, "out_activation_", None) is None
        if missing or (others and self._out_activation_is_stale()):
            self.out_activation_ = self._implied_out_activation()
        self._check_loss()  # sets what predictions need of it
        architecture = _fitted_architecture(
            units,
            tuple(activations),
            self.out_activation_,
            normalization,
            self.residual,
            lists[0][0].dtype,
        )
        networks = [lists] if lists[0][0].ndim == 2 else members(lists)
        return [Parameters(architecture, own) for own in networks]

    def _out_activation_is_stale(self):
        """Whether `out_activation_` is that of another number of outputs."""
        return False

    def _is_plain(self, X):
        """Whether X needs no check except that it is finite; scikit-learn's checks are slow."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in X_DTYPES
            and len(X) > 0
            and hasattr(self, "coefs_")
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and getattr(self, "feature_names_in_", None) is None
        )

    def _forward(self, X, depth=None):
        """Output of the network for X, of shape (n_samples, n_outputs); or, with `depth`, of the
        `depth`-th hidden layer."""
        plain = self._is_plain(X)
        if not plain:
            check_is_fitted(self, "coefs_")
            self._fitted()  # sets the number of features if that is missing
            X = validate_data(self, X, reset=False, accept_sparse="csr")
            X = float_sparse(X if X.dtype in X_DTYPES else X.astype(np.float64))
        output, finite = self._outputs(Dataset(X), depth)
        if plain and not finite:
            # raises, unless X is infinite in float32 only, or scikit-learn's assume_finite is set
            validate_data(self, X, reset=False)
        return output

    def _outputs(self, dataset, depth=None):
        """The outputs for a dataset, and whether the samples are finite in the computing type."""
        networks = self._fitted()
        if depth is not None:
            networks = [up_to(networks[0].architecture, self._parameter_lists(), depth)]
        # one row needs no team, and counting the cores is slow
        n_threads = 1 if len(dataset) == 1 else effective_n_threads(self.n_threads)
        output, finite = predict(dataset, networks[0], n_threads)
        for parameters in networks[1:]:
            output += predict(dataset, parameters, n_threads)[0]
        if len(networks) > 1:
            output /= len(networks)
        return output, finite

    def hidden_layer(self, X, layer=-1):
        """Outputs of the units of a hidden layer for the samples in X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        layer : int, default=-1
            Which hidden layer: 0 is the first, -1 the last.

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_units)
            Outputs of the layer as in a prediction, in the network's floating
            point type. With `n_estimators` greater than 1, those of one network
            after the other.

        Raises
        ------
        ValueError
            If there is no such hidden layer.

        See Also
        --------
        sklearn.preprocessing.FunctionTransformer : Makes it a step of a pipeline.

        Examples
        --------
        >>> from fastmlp import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> clf = MLPClassifier((8, 2), max_iter=5, random_state=0).fit(X, y)
        >>> clf.hidden_layer(X).shape
        (4, 2)
        >>> clf.hidden_layer(X, layer=0).shape
        (4, 8)

        As features of another model:

        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import FunctionTransformer
        >>> model = make_pipeline(FunctionTransformer(clf.hidden_layer), LogisticRegression())
        >>> model.fit(X, y).predict(X).shape
        (4,)
        """
        check_is_fitted(self, "coefs_")
        if len(self._fitted()) > 1:
            return np.hstack([one.hidden_layer(X, layer) for one in self.estimators_])
        n_hidden = len(self.coefs_) - 1
        if not isinstance(layer, Integral):
            raise TypeError(
                f"layer must be an integer, 0 for the first hidden layer; got {layer!r}."
            )
        if not -n_hidden <= layer < n_hidden:
            raise ValueError(f"layer={layer} is out of range: there are {n_hidden} hidden layers.")
        return self._forward(X, layer % n_hidden + 1)
