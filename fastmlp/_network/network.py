"""Network: an Architecture with its parameters and optimizer state, in panels, for one call.

Between calls, ``coefs_`` and ``intercepts_`` are the only authoritative copy of the weights. A
Network is made from them at the start of a fit or a partial_fit, and is written back to them at its
end. So no copy becomes stale when a user or a pickle changes them.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _core
from .columns import InputLayer
from .layer import Layer
from .parameters import up_to
from .plan import Plan, epochs_at_once, plan_batch


@dataclass
class Outcome:
    """The result of a call of `train`.

    Attributes
    ----------
    n_steps : int
        Steps taken.
    loss_sums : list of float
        For each completed epoch, the sum over batches of loss times rows. Batches whose weights sum
        to zero take no step and add nothing.
    rest : (float, int)
        The same sum for an epoch that was not completed, and the number of rows in it.
    """

    n_steps: int = 0
    loss_sums: list = field(default_factory=list)
    rest: tuple = (0.0, 0)


_TYPES = (np.dtype(np.float32), np.dtype(np.float64))  # faster to compare with than np.float32


class Network:
    """One network in panels, as the compiled loops use it.

    Parameters
    ----------
    architecture : Architecture
    optimizer : str or None
        One of ``_core.OPTIMIZERS``; None if no steps will be taken.
    n_threads : int
        Maximum number of threads; fewer are used if the work is small.
    seed : int
        Seed of dropout's random numbers, below 2 ** 64.
    frozen_layers : sequence of int
        Layers that are not trained, from 0.
    average : bool
        Whether to allocate averages of the weights.

    Attributes
    ----------
    has_averaged_weights : bool
        Whether there are averages. If so, `get_parameters`, `predict` and `evaluate` use them.
    trained_layers : list of int
        Layers that are not frozen, in order.
    """

    def __init__(
        self, architecture, *, optimizer=None, n_threads=1, seed=0, frozen_layers=(), average=False
    ):
        self.architecture, self.dtype = architecture, architecture.dtype
        self.optimizer, self.n_threads, self.seed = optimizer, n_threads, seed
        self._lanes = _core.lanes(self.dtype)
        n_layers, n_trained = architecture.n_layers, architecture.n_trained
        n_running = _core.N_LISTS[architecture.normalization] - n_trained
        self._layers = [
            Layer(
                fan_in,
                fan_out,
                narrow=_core.is_narrow(i, n_layers, fan_out, self._lanes),
                lanes=self._lanes,
                dtype=self.dtype,
                n_vectors=n_trained - 1 if i + 1 < n_layers else 1,
                n_running=n_running if i + 1 < n_layers else 0,
            )
            for i, (fan_in, fan_out) in enumerate(architecture.coef_shapes)
        ]
        self._inputs = None
        if architecture.columns:
            self._inputs = InputLayer(architecture.columns, self.dtype)
        # what has parameters, in the order of the lists below
        self._parts = [*self._layers, self._inputs] if self._inputs else self._layers
        slots = 0 if optimizer is None else _core.OPTIMIZER_SLOTS[optimizer]
        self._states = [[part.new() for part in self._parts] for _ in range(slots)]
        self._frozen = [i in frozen_layers for i in range(n_layers)]
        self.trained_layers = [i for i in range(n_layers) if i not in frozen_layers]
        self._averaged_weights = [part.new() if average else None for part in self._parts]
        self.has_averaged_weights = False
        self._gradients = None
        self._engines = {}

    def _check_shapes(self, name, arrays, shapes, *, writable):
        if not isinstance(arrays, (list, tuple)) or len(arrays) != len(shapes):
            raise ValueError(f"{name} must be a list of {len(shapes)} arrays")
        for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
            fits = (
                isinstance(array, np.ndarray)
                and array.shape == shape
                and array.dtype in _TYPES
                and (array.flags.writeable or not writable)
            )
            if not fits:
                found = (
                    f"an array of shape {array.shape} and type {array.dtype}"
                    if isinstance(array, np.ndarray)
                    else f"{type(array).__name__}"
                )
                raise ValueError(
                    f"{name}[{i}] must be a float32 or float64 array of shape {shape}, got {found}"
                )

    def _check(self, parameters, shapes, name=None, writable=False):
        if len(parameters) != len(shapes):
            raise ValueError(f"{len(shapes)} lists of arrays expected, got {len(parameters)}")
        names = self.architecture.parameter_names if name is None else [name] * len(shapes)
        for part, arrays, expected in zip(names, parameters, shapes, strict=False):
            self._check_shapes(part, arrays, expected, writable=writable)

    def _by_layer(self, parameters):
        """Each layer with its arrays: coef, intercept, and those of normalization; then the input
        layer, if a table's columns are embedded, with its own."""
        if self._inputs:
            *parameters, embeddings = parameters
        for i, layer in enumerate(self._layers):
            yield layer, [arrays[i] for arrays in parameters if i < len(arrays)]
        if self._inputs:
            yield self._inputs, embeddings

    def set_parameters(self, *parameters):
        """Copy the parameters in.

        Parameters
        ----------
        *parameters : lists of ndarray
            Of the shapes in ``architecture.parameter_shapes``.

        Raises
        ------
        ValueError
            If an array is missing or has another shape, or is not of float32 or float64.
        """
        self._check(parameters, self.architecture.parameter_shapes)
        for layer, arrays in self._by_layer(parameters):
            layer.load(layer.parameters, *arrays)

    def get_parameters(self, *parameters, averaged=True):
        """Copy the parameters out, into the arrays given: their averages if weights are averaged,
        unless `averaged` is False."""
        self._check(parameters, self.architecture.parameter_shapes, writable=True)
        averaged = averaged and self.has_averaged_weights
        for average, (layer, arrays) in zip(
            self._averaged_weights, self._by_layer(parameters), strict=True
        ):
            layer.store(average if averaged else layer.parameters, *arrays)

    def copy_parameters(self):
        """The parameters as new arrays; see `get_parameters`."""
        parameters = tuple(
            [np.empty(shape, self.dtype) for shape in shapes]
            for shapes in self.architecture.parameter_shapes
        )
        self.get_parameters(*parameters)
        return parameters

    def set_averaged_weights(self, *parameters):
        """Copy averages of the weights in; see `set_parameters`."""
        self._check(parameters, self.architecture.parameter_shapes)
        for average, (layer, arrays) in zip(
            self._averaged_weights, self._by_layer(parameters), strict=True
        ):
            layer.load(average, *arrays)
        self.has_averaged_weights = True

    def average(self, share):
        """Move the averages towards the weights: ``average += share * (weights - average)``. The
        first averages are the weights themselves."""
        for part, average in zip(self._parts, self._averaged_weights, strict=True):
            if self.has_averaged_weights:
                average += self.dtype.type(share) * (part.parameters - average)
            else:
                average[...] = part.parameters
        self.has_averaged_weights = True

    def set_optimizer_state(self, slots):
        """Copy the optimizer's state in: for each slot a tuple of lists shaped like the trained
        parameters, which are all except running statistics (sgd: the velocity; adam: first and
        second moments)."""
        if len(slots) != len(self._states):
            raise ValueError(f"{self.optimizer} has {len(self._states)} slots, got {len(slots)}")
        for state, slot in zip(self._states, slots, strict=True):
            self._check(slot, self.architecture.trained_shapes, "optimizer state")
            for flat, (layer, arrays) in zip(state, self._by_layer(slot), strict=True):
                layer.load(flat, *arrays)

    def get_optimizer_state(self):
        """Return the optimizer's state as new arrays; see `set_optimizer_state`."""
        slots = []
        for state in self._states:
            slot = tuple(
                [np.empty(shape, self.dtype) for shape in shapes]
                for shapes in self.architecture.trained_shapes
            )
            for flat, (layer, arrays) in zip(state, self._by_layer(slot), strict=True):
                layer.store(flat, *arrays)
            slots.append(slot)
        return slots

    def _engine(self, dataset, batch_size, *, keep_gradient=False, in_one=False):
        plan = self._plan(batch_size, dataset.sparse)
        if in_one:  # the workspace keeps every row
            plan = Plan(0, batch_size, batch_size)
        micro = not plan.n_partials and plan.micro_batch_rows < batch_size
        key = (plan, keep_gradient or micro, dataset.sparse)
        if key not in self._engines:
            self._engines[key] = self._new_engine(*key)
        return self._engines[key]

    def _plan(self, batch_size, sparse):
        n_bytes = sum(part.parameters.nbytes for part in self._parts)
        return plan_batch(self.architecture, self._lanes, n_bytes, batch_size, sparse)

    def _new_engine(self, plan, keep_gradient, sparse, *, input_gradient=False):
        input_gradient = input_gradient or self._inputs is not None
        first_trained = self._frozen.index(False)
        for layer in self._layers[first_trained + 1 :]:  # training needs no deltas below
            if layer.transposed is None and not layer.narrow:
                layer.add_transposed()
        transposed = [layer.transposed for layer in self._layers]
        if input_gradient:
            for i, layer in enumerate(self._layers[: first_trained + 1]):
                if not layer.narrow:
                    transposed[i] = layer.new_transposed()
        if keep_gradient and self._gradients is None:
            self._gradients = [part.new() for part in self._parts]
        return _core.Engine(
            [
                {
                    "fan_in": layer.fan_in,
                    "fan_out": layer.fan_out,
                    "narrow": layer.narrow,
                    "n_vectors": layer.n_vectors,
                    "weights": layer.weights(layer.parameters),
                    "bias": layer.bias(layer.parameters),
                    "transposed": transposed[i],
                    "state": [state[i] for state in self._states],
                    "gradient": self._gradients[i] if keep_gradient else None,
                    "running_statistics": layer.running_statistics,
                    "averaged_weights": self._averaged_weights[i],
                    "frozen": self._frozen[i],
                }
                for i, layer in enumerate(self._layers)
            ],
            self.architecture,
            optimizer=self.optimizer,
            capacity=plan.capacity,
            n_partials=plan.n_partials,
            micro_batch_rows=plan.micro_batch_rows,
            n_threads=self.n_threads,
            sparse=sparse,
            seed=self.seed,
            input_gradient=input_gradient,
            columns=self._inputs and self._inputs.compiled(),
            column_arrays=self._inputs and self._column_arrays(keep_gradient),
        )

    def _column_arrays(self, keep_gradient):
        """The arrays of the input layer's gradient, averages and optimizer state."""
        return {
            "gradient": self._gradients[-1] if keep_gradient else self._inputs.new(),
            "averaged": self._averaged_weights[-1],
            "state": [state[-1] for state in self._states],
        }

    def prepare(self, dataset, batch_size, *, whole_gradient=False):
        """Allocate what training on batches of `batch_size` rows needs, so that a lack of memory is
        found before the work begins. With `whole_gradient`, also what `loss_and_gradient` and
        `clip_norm` need."""
        self._engine(dataset, batch_size, keep_gradient=whole_gradient)

    def epochs_at_once(self, n_rows, batch_size):
        """How many epochs one call of `train` should run: as many as take some milliseconds."""
        return epochs_at_once(self.architecture, n_rows, batch_size)

    def train(self, dataset, orders, batch_size, *, alpha, step, deadline=np.inf, outcome=None):
        """Run epochs over rows of the data set, with a step after each batch.

        Parameters
        ----------
        dataset : _core.Dataset
        orders : ndarray of shape (n_epochs, n_rows) or (n_rows,), dtype intp
            For each epoch the row numbers, in the order in which they are used.
        batch_size : int
            Rows of a batch; the last of an epoch may be shorter.
        alpha : float
            L2 penalty: ``alpha / 2 * sum(coefs_ ** 2)``, divided by the batch's sum of weights.
        step : dict
            learning_rate: a float, or an array with one for each step. t: number of steps taken
            before. Depending on the optimizer: momentum and nesterov; beta_1, beta_2 and epsilon;
            weight_decay. Optional: l1_ratio of `alpha`, clip_norm, clip_value, max_norm; and ema,
            to keep the exponential moving averages of the weights.
        deadline : float
            Time of `time.perf_counter` after which no step begins, except the first.
        outcome : Outcome or None
            Filled with the result, also if an exception ends the call.

        Returns
        -------
        Outcome
            `outcome`, or a new one.

        Raises
        ------
        KeyboardInterrupt
            Parameters and state are then those after the last completed step.
        """
        settings = {"alpha": alpha, "step": step, "deadline": deadline, "outcome": outcome}
        return train_together([self], dataset, orders, batch_size, **settings)

    def loss_and_gradient(self, dataset, alpha, gradient):
        """Loss of the whole data set, L2 penalty included, and its gradient: zero for layers that
        are frozen.

        Parameters
        ----------
        dataset : _core.Dataset
        alpha : float
        gradient : tuple of lists of ndarray
            Written to: shaped like the trained parameters.

        Returns
        -------
        float
        """
        self._check(gradient, self.architecture.trained_shapes, "gradient", writable=True)
        order = np.arange(len(dataset), dtype=np.intp)
        engine = self._engine(dataset, len(order), keep_gradient=True)
        loss, weight = engine.train_pass(
            dataset, order[np.newaxis], len(order), alpha=alpha, step={}, take_steps=False
        )
        squares = 0.0
        for flat, frozen, (layer, arrays) in zip(
            self._gradients, self._frozen, self._by_layer(gradient), strict=True
        ):
            if frozen:
                for array in arrays:
                    array[...] = 0
                continue
            weights = layer.weights(flat)
            parameters = layer.weights(layer.parameters)
            # not a dot product, because BLAS's result depends on its number of threads
            squares += float(np.einsum("prv,prv->", parameters, parameters, dtype=np.float64))
            weights += alpha * parameters
            flat /= weight
            layer.store(flat, *arrays)
        return (loss + 0.5 * alpha * squares) / weight

    def gradient(self, dataset, rows, batch_size=None, *, t=0, update_statistics=False):
        """Gradient of the loss over one batch, without penalty, as one flat vector.

        `apply_step` takes it; the two together are the step that `train` takes, bit for bit.

        Parameters
        ----------
        dataset : _core.Dataset
        rows : ndarray of shape (n_rows,), dtype intp
            Row numbers of the batch.
        batch_size : int, default=n_rows
            Rows of a whole batch, of which the last of an epoch may have fewer.
        t : int
            Steps taken before, on which dropout depends.
        update_statistics : bool
            Whether the running statistics of batch normalization follow this batch, as in a step.

        Returns
        -------
        gradient : ndarray of shape (architecture.n_trained_parameters,)
            Sum over the rows, each times its weight, in the order of ``architecture.views``, which
            does not depend on the instruction set. Zero for layers that are frozen.
        loss, weight : float
            Sums of the weighted losses, and of the weights.
        """
        batch_size = len(rows) if batch_size is None else batch_size
        engine = self._engine(dataset, batch_size, keep_gradient=True)
        loss, weight = engine.gradient(
            dataset, rows, batch_size, t=t, update_statistics=update_statistics
        )
        flat = np.zeros(self.architecture.n_trained_parameters, self.dtype)
        by_layer = self._by_layer(self.architecture.views(flat))
        for own, frozen, (layer, arrays) in zip(
            self._gradients, [*self._frozen, False][: len(self._parts)], by_layer, strict=True
        ):
            if not frozen:
                layer.store(own, *arrays)
        return flat, loss, weight

    def apply_step(self, gradient, dataset, batch_size, *, weight, alpha, step):
        """The optimizer's step by a gradient that `gradient` returned, or by a sum of several.

        Parameters
        ----------
        gradient : ndarray of shape (architecture.n_trained_parameters,)
        dataset, batch_size
            The same as for `gradient`: they determine how the work is divided.
        weight : float
            Sum of the weights of the batch's rows, greater than 0.
        alpha, step
            As `train` takes them.

        Returns
        -------
        float
            The penalty before the step. The loss is ``(loss + penalty) / weight``.
        """
        if gradient.shape != (self.architecture.n_trained_parameters,):
            raise ValueError(
                f"gradient must have {self.architecture.n_trained_parameters} elements, got shape"
                f" {gradient.shape}"
            )
        engine = self._engine(dataset, batch_size, keep_gradient=True)
        if step.get("ema") and not self.has_averaged_weights:
            self.average(1)
        by_layer = self._by_layer(self.architecture.views(gradient))
        for own, (layer, arrays) in zip(self._gradients, by_layer, strict=True):
            layer.load(own, *arrays)
        return engine.apply_step(dataset, batch_size, weight=weight, alpha=alpha, step=step)

    def input_gradient(self, dataset):
        """Derivative of the weighted sum of the rows' losses with respect to the inputs.

        Parameters
        ----------
        dataset : _core.Dataset
            With dense X.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the network's type.

        Raises
        ------
        ValueError
            If X is sparse.
        """
        if dataset.sparse:
            raise ValueError("input_gradient needs dense X, got a sparse matrix")
        rows = np.arange(len(dataset), dtype=np.intp)
        plan = self._plan(len(rows), False)
        # not kept, because training does not update its transposed weights
        engine = self._new_engine(plan, True, False, input_gradient=True)
        found = np.empty((len(rows), self.architecture.units[0]), self.dtype)
        engine.gradient(dataset, rows, len(rows), input_gradient=found)
        return found

    def trace(self, dataset):
        """What a step on the whole data set leaves in the workspace.

        Parameters
        ----------
        dataset : _core.Dataset

        Returns
        -------
        activations : list of ndarray of shape (n_samples, fan_out)
            Outputs of each hidden layer.
        deltas : list of ndarray of shape (n_samples, fan_out)
            For each layer, the derivatives of the weighted sum of the rows' losses with respect to
            the layer's pre-activations; zero below the first layer that is trained, because no
            deltas are computed there.
        """
        order = np.arange(len(dataset), dtype=np.intp)
        engine = self._engine(dataset, len(order), keep_gradient=True, in_one=True)
        engine.train_pass(
            dataset, order[np.newaxis], len(order), alpha=0.0, step={}, take_steps=False
        )
        activations, deltas = [], []
        for layer, arrays in zip(self._layers, engine.workspace, strict=True):
            for found, flat in zip((activations, deltas), arrays, strict=True):
                if layer.narrow:
                    rows = flat.reshape(-1, layer.fan_out, self._lanes).transpose(0, 2, 1)
                    rows = rows.reshape(-1, layer.fan_out)
                else:
                    rows = flat.reshape(layer.shape[0], -1, self._lanes).transpose(1, 0, 2)
                    rows = rows.reshape(-1, layer.n_bias)
                found.append(rows[: len(order), : layer.fan_out].copy())
        for unknown in deltas[: self._frozen.index(False)]:
            unknown[:] = 0
        return activations[:-1], deltas  # the last deltas have replaced the outputs

    def predict(self, dataset, rows):
        """Outputs of the network as trained so far, with the output activation applied.

        Parameters
        ----------
        dataset : _core.Dataset
        rows : ndarray of intp
            Row numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            Of the network's type.
        """
        rows = np.ascontiguousarray(rows, dtype=np.intp)
        engine = next(iter(self._engines.values()))  # all share this network
        return engine.predict(dataset, rows, self.has_averaged_weights)

    def hidden_outputs(self, dataset):
        """The outputs of each hidden layer for a data set, computed as in a prediction.

        Parameters
        ----------
        dataset : _core.Dataset

        Returns
        -------
        list of ndarray of shape (n_samples, fan_out)
        """
        parameters = self.copy_parameters()
        return [
            _core.predict(dataset, up_to(self.architecture, parameters, depth), self.n_threads)[0]
            for depth in range(1, self.architecture.n_layers)
        ]

    def evaluate(self, dataset, rows):
        """Loss and outputs of the network as trained so far, as `predict` computes them.

        Parameters
        ----------
        dataset : _core.Dataset
            With targets; its sample weights are used, if any.
        rows : ndarray of intp
            Row numbers.

        Returns
        -------
        loss : float
            Weighted mean over the rows, without penalty.
        outputs : ndarray of shape (n_rows, n_outputs)
        """
        rows = np.ascontiguousarray(rows, dtype=np.intp)
        engine = next(iter(self._engines.values()))
        loss, outputs = engine.evaluate(dataset, rows, self.has_averaged_weights)
        weights = dataset.sample_weight
        return loss / (len(rows) if weights is None else float(weights[rows].sum())), outputs


def train_together(
    networks, dataset, orders, batch_size, *, alpha, step, deadline=np.inf, outcome=None
):
    """Train networks of the same shape on the same batches at the same time.

    Parameters are those of `Network.train`. The losses of the outcome are means over the networks.
    """
    outcome = Outcome() if outcome is None else outcome
    orders = np.atleast_2d(orders)
    batch_size = min(int(batch_size), orders.shape[1])
    for network in networks:
        if step.get("ema") and not network.has_averaged_weights:
            network.average(1)
    keep_gradient = step.get("clip_norm") is not None
    engines = [
        network._engine(dataset, batch_size, keep_gradient=keep_gradient) for network in networks
    ]
    first, *others = engines
    try:
        first.train_pass(
            dataset,
            orders,
            batch_size,
            alpha=alpha,
            step=step,
            deadline=deadline,
            beside=others,
        )
    finally:
        outcome.n_steps, outcome.loss_sums = first.steps_taken, first.loss_sums
        outcome.rest = first.rest
        if others:
            outcome.loss_sums = np.mean([e.loss_sums for e in engines], axis=0).tolist()
            outcome.rest = float(np.mean([e.rest[0] for e in engines])), first.rest[1]
    return outcome
