"""What the two estimators share: fit and partial_fit.

Between calls, `coefs_` and `intercepts_` are the only authoritative copy of the weights: ordinary
arrays of the estimator, which users and pickles may change.
"""

import copy
import functools
import warnings
from contextlib import contextmanager
from dataclasses import MISSING, fields
from numbers import Integral
from operator import index

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from .._core import OPTIMIZERS, OUT_ACTIVATIONS, Dataset
from .._network.architecture import PARAMETERS, Architecture
from .._network.columns import n_units_of
from .._network.ensemble import Ensemble, members, stacked
from .._network.initialization import initial_parameters
from .._network.network import Network
from .._network.threads import effective_n_threads
from .._training.history import History
from .._training.lbfgs import fit_lbfgs
from .._training.monitor import Monitor
from .._training.progress import TrainingRecord
from .._training.settings import Task, TrainingSettings
from .._training.stochastic import fit_stochastic
from .._training.validation import Validation, split
from .._version import __version__
from .advice import warn_of_other_scales, warn_of_scales, warn_of_weights
from .callers import is_own_call
from .constraints import (
    CONSTRAINTS,
    check_drawn,
    check_order,
    check_together,
    check_validation,
    checked_weights,
    clipped_batch_size,
    dropout_rates,
    frozen_layers,
    warn_of_unused_scoring,
)
from .hints import explain_tables, explains_arguments
from .parameters import ParameterChecks
from .prediction import X_CHECKS, Predictor, float_sparse
from .scoring import Scorer

# those that every estimator has as parameters
_SETTINGS = tuple(f.name for f in fields(TrainingSettings) if f.default is MISSING)
# Field of a TrainingRecord -> attribute of the estimator. Attributes that were not measured are
# missing, except that some are None after stochastic training.
_RECORD = {field.name: f"{field.name}_" for field in fields(TrainingRecord)}
_RECORD |= {name: f"_{name}" for name in ("no_improvement_count", "scored_by", "optimizer")}
_LEFT_BY_TRAINING = {*_RECORD.values(), "out_activation_"}
_NONE_IF_NOT_MEASURED = {
    *("best_loss", "best_validation_score", "validation_scores", "validation_loss_curve"),
    "scored_by",
}


@contextmanager
def unchanged_on_error(estimator):
    """Undo every assignment to the estimator's attributes if the block fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _is_stochastic(estimator):
    if estimator.solver not in OPTIMIZERS:
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. %s is not stochastic."
            % estimator.solver
        )
    return True


class _BaseMLP(ParameterChecks, Predictor):
    """What the classifier and the regressor share.

    A subclass has the methods `_check_loss`, `_encode_y`, `_encode_y_val` and `_validation_score`,
    and the property `_training_loss`, known once y is encoded.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _doc_link_module = "fastmlp"
    _doc_link_template = "https://github.com/fastmlp/fastmlp"

    @explains_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
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

        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples of a validation set. It is measured after each epoch, with
            or without `early_stopping`, and nothing is split off X. In a
            pipeline, with metadata routing enabled and requested,
            ``Pipeline(..., transform_input=["X_val"])`` transforms it like X.

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
        >>> from fastmlp import MLPClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> clf = MLPClassifier((8,), max_iter=30, random_state=0)
        >>> clf = clf.fit(X, y, X_val=[[0.5], [2.5]], y_val=[0, 1])
        >>> len(clf.validation_loss_curve_), sorted(clf.history_)
        (30, ['learning_rate', 'loss', 'seconds', 'validation_loss', 'validation_score'])
        """
        return self._train(X, y, sample_weight, held_out=(X_val, y_val, sample_weight_val))

    def _begin(
        self, X, y, sample_weight, incremental=False, classes=None, held_out=(None, None, None)
    ):
        """Check all arguments and prepare the training; return its Task. If this raises, the
        estimator is left as it was."""
        with unchanged_on_error(self):
            check_validation(self, *held_out)
            if not incremental:
                warn_of_unused_scoring(self, held_out[0])
            settings = self._training_settings()
            check_together(self, settings.schedule)
            fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
            given, held = X, None if fresh else self._fitted()
            if fresh:
                self._forget_network()
            X, y, sample_weight = self._checked(X, y, sample_weight, reset=fresh)
            self._examine(X, y, sample_weight, fresh)
            dtype, labels = self._computing_dtype(X, held), y
            loss_settings = self._check_loss()
            y, n_outputs = self._encode_y(y, dtype, incremental, classes)
            sample_weight = self._weigh_classes(y, sample_weight)
            architecture, last_activation = self._new_architecture(
                X.shape[1], n_outputs, loss_settings, dtype, held
            )
            settings = self._adapted(settings, architecture, incremental, held_out[0])
            self._random_state = check_random_state(self.random_state)
            dataset = self._dataset(X, y, sample_weight)
            if fresh:
                parameters = self._draw_parameters(architecture, last_activation, dataset)
                self._shift_outputs(parameters, y, sample_weight)
            else:
                parameters = self._copy_parameters(architecture, held)
            record = self._read_record()
            order, validation, scorer = np.arange(len(y), dtype=np.intp), None, None
            stochastic = settings.solver in OPTIMIZERS
            if held_out[0] is not None:
                validation, scorer = self._given_validation(*held_out, record, dtype, n_outputs)
                self._compare(X, y, validation.dataset)
            elif stochastic and settings.early_stopping and not incremental:
                strata = self._strata(labels)
                order, rows = split(
                    *(self.validation_fraction, self._random_state, dataset, given, labels, strata)
                )
                validation, scorer = self._validation(record, dataset, rows, given, labels)
            if sample_weight is not None and sample_weight[order].sum() == 0:
                raise ValueError("The sample weights of the training set sum to zero.")
            network = self._new_network(architecture, parameters, settings)
            batch_size = self._batch_size(len(order))
            # allocate all memory that training needs, so that a lack of it is found here
            whole_gradient = not stochastic or self.clip_norm is not None
            network.prepare(dataset, batch_size, whole_gradient=whole_gradient)
            self.n_layers_, self.n_outputs_ = len(architecture.units), n_outputs
            self.out_activation_ = architecture.out_activation
            self._set_parameters(parameters)
            monitor = None
            if self.record:
                monitor = Monitor(self.record, dataset, order, network)
                monitor.measure(network)  # now, because Adam soon hides bad initial weights
            if scorer is not None:
                scorer()  # a scorer that cannot work here fails before training
            history = History(record.history, validation, monitor)
            record.history = history.measures
        return Task(settings, record, network, dataset, order, parameters, batch_size, history)

    def _train(self, X, y, sample_weight, incremental=False, **given):
        task = self._begin(X, y, sample_weight, incremental, **given)
        # From here on training writes to the new arrays, and no argument is refused.
        try:
            self._run(task, incremental)
        except KeyboardInterrupt:
            if not is_own_call():
                raise
            warnings.warn("Training interrupted by user.")
        finally:
            self._write_record(task.record)
        if not all(np.isfinite(a).all() for arrays in task.parameters for a in arrays):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large"
                " values and need to be preprocessed. Scale X and, for regression, y"
                " (StandardScaler), or reduce learning_rate_init."
            )
        return self

    def _run(self, task, incremental):
        if task.settings.solver in OPTIMIZERS:  # not self.solver, which a scorer may have changed
            fit_stochastic(task, self._random_state, incremental=incremental)
        else:
            fit_lbfgs(task)

    def _training_settings(self):
        return TrainingSettings(**{name: getattr(self, name) for name in _SETTINGS})

    def _adapted(self, settings, architecture, incremental, X_val):
        """The settings for this network and data."""
        return settings

    def _examine(self, X, y, sample_weight, fresh):
        """Look at checked training data before they are used."""
        if fresh:
            warn_of_scales(X, type(self).__name__)
        warn_of_weights(sample_weight, self.alpha)

    def _compare(self, X, y, validation):
        warn_of_other_scales(X, validation.X, "X")
        if isinstance(self, RegressorMixin):
            warn_of_other_scales(y, validation.y, "y")

    def _dataset(self, X, y=None, sample_weight=None):
        """The Dataset of checked samples."""
        return Dataset(X, y, sample_weight)

    def _columns(self):
        """The Columns that the network embeds, if samples are rows of a table."""
        return ()

    def _new_architecture(self, n_features, n_outputs, loss_settings, dtype, held):
        """The Architecture that the parameters describe, with the hidden layers of the weights
        `held`, if there are any; and the activation that sets the bounds of the output layer's
        initial weights."""
        hidden = self._hidden_units()
        if held is not None:
            hidden = self._held_units(held, hidden)
        columns = self._columns()
        units = [n_units_of(columns) if columns else n_features, *hidden, n_outputs]
        *activations, last_activation = self._activations(len(units) - 1)
        architecture = Architecture(
            units=units,
            activations=activations,
            out_activation=self._out_activation,
            loss=self._training_loss,
            loss_settings=loss_settings,
            normalization=self.normalization,
            residual=self.residual,
            dropout=dropout_rates(self, units),
            dtype=dtype,
            columns=columns,
        )
        return architecture, last_activation

    def _draw_parameters(self, architecture, last_activation, dataset):
        """Draw new weights, for one network after the other."""
        drawn = [
            self._draw_network(architecture, last_activation, dataset)
            for _ in range(self.n_estimators)
        ]
        check_drawn(self, drawn)
        return stacked(drawn) if self.n_estimators > 1 else drawn[0]

    def _draw_network(self, architecture, last_activation, dataset):
        """Draw new weights for one network."""
        return initial_parameters(
            architecture,
            self._random_state,
            self.init,
            self.init_scale,
            classes=getattr(self, "classes_", None),
            last_activation=last_activation,
            frozen_layers=frozen_layers(self, architecture.n_layers),
        )

    def _new_network(self, architecture, parameters, settings):
        """The Network or Ensemble to train, with its starting weights."""
        make, seed = Network, 0
        if self.n_estimators > 1:
            make = functools.partial(Ensemble, self.n_estimators)
        if architecture.dropout:
            seed = int.from_bytes(self._random_state.bytes(8), "little")
        network = make(
            architecture,
            optimizer=settings.solver if settings.solver in OPTIMIZERS else None,
            n_threads=effective_n_threads(self.n_threads),
            seed=seed,
            frozen_layers=frozen_layers(self, architecture.n_layers),
            average=settings.average_weights is not None,
        )
        network.set_parameters(*parameters)
        return network

    def _batch_size(self, n_samples):
        """Number of rows of a batch; all samples for L-BFGS."""
        batch_size = n_samples
        if self.solver in OPTIMIZERS:
            batch_size = clipped_batch_size(self.solver, self.batch_size, n_samples)
        if self.normalization == "batch" and batch_size == 1:
            raise ValueError(
                "normalization='batch' needs batches of more than one sample, got"
                f" batch_size={self.batch_size!r} and n_samples={n_samples}."
            )
        return batch_size

    def _checked(self, X, y, sample_weight, reset):
        """X as the engine reads it, y in one or two dimensions, and the weights."""
        numeric = isinstance(self, RegressorMixin)
        try:
            X, y = validate_data(
                self, X, y, reset=reset, multi_output=True, y_numeric=numeric, **X_CHECKS
            )
        except (TypeError, ValueError) as error:
            explain_tables(error)
            raise
        X = float_sparse(X)
        sample_weight = checked_weights(sample_weight, X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y, sample_weight

    @property
    def _out_activation(self):
        return OUT_ACTIVATIONS[self._training_loss]

    def _shift_outputs(self, parameters, y, sample_weight):
        """Change the intercepts of the outputs such that predictions begin near encoded y."""

    def _weigh_classes(self, y, sample_weight):
        """The sample weights, multiplied by the weights of the classes in the encoded y."""
        return sample_weight

    def _hidden_units(self):
        sizes = self.hidden_layer_sizes
        sizes = sizes if hasattr(sizes, "__iter__") else [sizes]
        check_order(self)
        if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
            raise ValueError(
                "hidden_layer_sizes must be an integer or a list with one for each hidden layer,"
                f" such as (100, 50); got {self.hidden_layer_sizes!r}."
            )
        sizes = [index(size) for size in sizes]
        if any(size <= 0 for size in sizes):
            raise ValueError("hidden_layer_sizes must be > 0, got %s." % sizes)
        return sizes

    def _held_units(self, held, asked):
        """Widths of the hidden layers of the current weights. Warns if others are asked for."""
        hidden = [*held[0].architecture.units[1:-1]]
        if hidden != asked:
            warnings.warn(
                f"The hidden layers of coefs_ have {hidden} units. Training continues with these,"
                f" although hidden_layer_sizes={self.hidden_layer_sizes!r}. To train other layers,"
                " call fit with warm_start=False."
            )
        return hidden

    def _computing_dtype(self, X, held):
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        if held is not None:
            return held[0].architecture.dtype
        return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)

    def _copy_parameters(self, architecture, held):
        """Copies of the current weights, from which training of this architecture continues."""
        found = held[0].architecture
        if found.normalization != self.normalization:
            raise ValueError(
                f"The weights are those of a network with normalization={found.normalization!r},"
                f" which neither warm_start nor partial_fit can change to {self.normalization!r}."
            )
        if len(held) != self.n_estimators:
            raise ValueError(
                f"The weights are those of {len(held)} networks, but"
                f" n_estimators={self.n_estimators}. Neither warm_start nor partial_fit can change"
                " their number."
            )
        if found.units != architecture.units:
            raise ValueError(
                f"coefs_ and intercepts_ have {found.units[-1]} outputs, but y asks for"
                f" {architecture.units[-1]}, which neither warm_start nor partial_fit can change."
            )
        return tuple(
            [np.array(a, dtype=architecture.dtype, order="C") for a in arrays]
            for arrays in self._parameter_lists()
        )

    def _reads_as_mlp(self):
        """Whether the outputs follow from `coefs_`, `intercepts_` and the activations as those of
        scikit-learn's MLP do. If not, the intercepts are in `biases_`, so that converters and other
        readers of MLPs fail instead of computing something else."""
        return self.normalization is None and not self.residual and self.n_estimators == 1

    def _was_more_than_mlp(self):
        """The same of an earlier version's pickle, with parameters that may have been set later."""
        coefs = vars(self).get("coefs_")
        listed = isinstance(coefs, (list, tuple)) and len(coefs)
        if "norm_scales_" in vars(self) or (listed and np.ndim(coefs[0]) > 2):
            return True
        plain = self.normalization is None and self.n_estimators == 1
        return plain and not self._reads_as_mlp()

    def _set_parameters(self, parameters):
        for name in (*PARAMETERS, "biases_"):
            vars(self).pop(name, None)
        names = [*PARAMETERS]
        if not self._reads_as_mlp():
            names[1] = "biases_"
        vars(self).update(zip(names, parameters, strict=False))

    @property
    def estimators_(self):
        """The fitted networks, each as an estimator. Only if `n_estimators` is
        greater than 1.

        Their predictions tell how far the networks agree. They share the
        arrays of this estimator, but have no record of the training.

        Examples
        --------
        >>> import numpy as np
        >>> from fastmlp import MLPRegressor
        >>> X = np.linspace(0, 1, 50)[:, np.newaxis]
        >>> params = {"hidden_layer_sizes": (8,), "solver": "sgd", "random_state": 0}
        >>> reg = MLPRegressor(n_estimators=3, **params).fit(X, X[:, 0])
        >>> predictions = [one.predict(X) for one in reg.estimators_]
        >>> bool(np.allclose(np.mean(predictions, axis=0), reg.predict(X)))
        True
        >>> np.std(predictions, axis=0).shape
        (50,)
        """
        check_is_fitted(self, "coefs_")
        if len(self._fitted()) == 1:
            raise AttributeError("estimators_ is for several networks: fit with n_estimators > 1.")
        networks = []
        for own in members(self._parameter_lists()):
            network = copy.copy(self)
            network.n_estimators = 1
            network._set_parameters(own)
            of_all = {*_RECORD.values(), "oof_prediction_", "best_iterations_"} - {"n_iter_", "t_"}
            for attribute in vars(network).keys() & of_all:
                del vars(network)[attribute]
            networks.append(network)
        return networks

    @contextmanager
    def _shown(self, network, record):
        """Within the block, the estimator has the record and the current weights of `network`."""
        self._write_record(record)
        kept = self._held_lists()  # these very lists, because training changes them
        now = [[np.empty_like(a) for a in arrays] for arrays in kept]
        network.get_parameters(*now)
        self._set_parameters(now)
        try:
            yield
        finally:
            self._set_parameters(kept)

    def _forget_network(self):
        """Drop what earlier calls, perhaps with another solver, have left besides the weights."""
        held = vars(self)
        for attribute in held.keys() & _LEFT_BY_TRAINING:
            del held[attribute]
        self.n_iter_ = self.t_ = 0

    def _read_record(self):
        """The record of earlier calls, or a new one."""
        held = vars(self)
        found = {name: held.get(attribute) for name, attribute in _RECORD.items()}
        found = {name: value for name, value in found.items() if value is not None}
        return TrainingRecord(**found)

    def _write_record(self, record):
        """Write the record to the attributes."""
        stochastic = record.optimizer is not None
        for name, attribute in _RECORD.items():
            value = getattr(record, name)
            if value is not None or (stochastic and name in _NONE_IF_NOT_MEASURED):
                setattr(self, attribute, value)

    def _strata(self, labels):
        """The classes by which the validation split is stratified, or None."""

    def _validation(self, record, dataset, rows, X, labels):
        """The Validation on rows of a dataset, and the Scorer that it calls, if any. `X` and
        `labels` are the data as the user gave them."""
        weights = None if dataset.sample_weight is None else dataset.sample_weight[rows]
        scorer = None
        if self.scoring == "loss":

            def score(network, loss, outputs):
                return -loss

        elif self.scoring is None:
            targets = dataset.y[rows]

            def score(network, loss, outputs):
                return self._validation_score(targets, outputs, weights)

        else:
            scorer = Scorer(self, X, labels, rows, weights)

            def score(network, loss, outputs):
                with self._shown(network, record):
                    return scorer()

        return Validation(dataset, rows, score), scorer

    def _given_validation(self, X, y, sample_weight, record, dtype, n_outputs):
        """The same for a validation set that the user gave."""
        given = X
        try:
            X, labels, sample_weight = self._checked(X, y, sample_weight, reset=False)
        except (TypeError, ValueError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"In X_val, y_val or sample_weight_val: {error}") from error
        dataset = self._dataset(X, self._encode_y_val(labels, dtype, n_outputs), sample_weight)
        rows = np.arange(len(dataset), dtype=np.intp)
        return self._validation(record, dataset, rows, given, labels)

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
        if "intercepts_" in state and "biases_" not in state and self._was_more_than_mlp():
            self.biases_ = vars(self).pop("intercepts_")  # a pickle of an earlier version
