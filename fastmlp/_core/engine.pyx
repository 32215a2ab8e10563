# The engine: the loops over one network's arrays.
import os
import time

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY
from libc.stdint cimport intptr_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastmlp._core.dataset cimport Dataset, Samples, density, row_numbers
from fastmlp._core.kernels cimport address
from fastmlp._core.network cimport N_CLOCK, Layer, Run, in_units, least
from fastmlp._core.pacing cimport Pace, begin_pacing, choose_team, note_slice
from fastmlp._core.passes cimport penalty_of
from fastmlp._core.prediction cimport WORK_PER_THREAD, predict_samples, team_size
from fastmlp._core.teams cimport run_networks, step_team
from fastmlp._core.workspace cimport Workspace

from fastmlp._core.kernels import LOSSES, TARGETS

PHASES = ("gather", "forward", "loss", "delta", "gradient", "step", "wait")  # as clocks tell them
cdef double LONG_STEP = 5e7         # flops of a step: from here on a fit begins with a team
cdef double FLOPS_AT_ONCE = 2e8     # flops between two checks for signals, at the beginning
cdef double WORK_OF_STEP = 5e4      # minimum cost of a step, in flops

if os.environ.get("FASTMLP_TEAMS", "") == "early":  # for tests: teams also for short work
    LONG_STEP = 0


cdef class Engine(Workspace):
    """The loops over one network's arrays in panels, which a Network has allocated.

    Parameters are those of Workspace.

    Attributes
    ----------
    steps_taken, loss_sums, rest
        What the last `train_pass` did; see there.
    """

    cdef double _rate
    cdef readonly list loss_sums
    cdef readonly size_t steps_taken
    cdef readonly tuple rest
    cdef Pace pace
    cdef object _clocks, _dropped       # alive for the run's pointers

    def __cinit__(self):
        memset(&self.pace, 0, sizeof(Pace))

    def _check(self, Dataset dataset):
        if self._columns is not None:
            self._columns.check(dataset)
        elif <size_t>dataset.n_features != self.layers[0].fan_in or dataset.codes is not None:
            raise ValueError(f"X has {dataset.n_features} features, but the network expects "
                             f"{self.layers[0].fan_in}")
        if dataset.sparse != (self.layers[0].inputs is NULL):
            raise ValueError("this engine was made for the other kind of X, sparse or dense")
        self._check_targets(dataset)

    def _check_optimizer(self):
        if not self.takes_steps:
            raise ValueError("this engine was made without an optimizer and cannot take steps")

    def _check_targets(self, Dataset dataset):
        cdef Layer *last = &self.layers[self.run.n_layers - 1]
        y, targets = dataset.y, TARGETS[LOSSES[self.run.loss]]
        if targets == "classes":
            fits = y is not None and y.ndim == 1 and <size_t>dataset.largest_class < last.fan_out
        else:
            dtype = np.float64 if self.run.kernels.real_size == 8 else np.float32
            fits = (y is not None and y.dtype == (np.uint8 if targets == "labels" else dtype)
                    and y.shape == (dataset.n_samples, last.fan_out))
        if not fits:
            raise ValueError("y does not fit this network's loss and outputs")

    cdef int _set_up(
        self, Dataset dataset, size_t n_epochs, size_t n_rows, size_t batch_size, double alpha,
        step,
    ) except -1:
        """Sets up a pass, except its rows, their weights, and the array of its losses."""
        cdef size_t lanes = self.run.kernels.lanes, n
        self.run.n_rows, self.run.batch_size = n_rows, batch_size
        self.run.n_batches = in_units(n_rows, batch_size)
        n = self.run.micro_batches_per_batch = in_units(batch_size, self._most_rows)
        self.run.micro_batch_rows = least(
            in_units(in_units(batch_size, n), lanes) * lanes, self._most_rows)
        if not self.run.n_partials and self.layers[0].gradient is NULL and n > 1:
            raise ValueError("a batch larger than the workspace needs gradient arrays")
        self.run.samples = dataset.samples
        self.run.dropped = NULL
        if dataset.sparse and self.run.input_dropout.threshold:
            values = dataset.kept[0]
            if self._dropped is None or self._dropped.nbytes != values.nbytes:
                self._dropped = np.empty_like(values)
            self.run.dropped = address(self._dropped)
        self._read_settings(alpha, n_epochs * self.run.n_batches, **step)

    def _read_settings(
        self, alpha, n_steps, *, learning_rate=0.0, t=0, momentum=0.0, nesterov=False, beta_1=0.0,
        beta_2=0.0, epsilon=0.0, weight_decay=0.0, l1_ratio=0.0, clip_norm=None, clip_value=None,
        max_norm=None, ema=False, dropout_factor=None, rates=None,
    ):
        self.run.settings = {
            "alpha": alpha, "l1_ratio": l1_ratio, "weight_decay": weight_decay,
            "momentum": momentum, "nesterov": nesterov, "beta_1": beta_1, "beta_2": beta_2,
            "epsilon": epsilon, "scheduled": isinstance(learning_rate, np.ndarray),
        }
        if dropout_factor is not None:
            self._set_dropout(dropout_factor)
        if rates is not None:
            self._set_rates(**rates)
        self.run.n_steps = self.run.first_step = t
        if isinstance(learning_rate, np.ndarray):
            if (learning_rate.dtype != np.float64 or not learning_rate.flags.c_contiguous
                    or learning_rate.ndim != 1 or len(learning_rate) < n_steps):
                raise ValueError("learning_rate must be a float64 vector with a rate for each step")
            self.run.rates, self.run.rate_stride = <const double *>address(learning_rate), 1
        else:
            self._rate = learning_rate
            self.run.rates, self.run.rate_stride = &self._rate, 0
        self.run.clip_norm = INFINITY if clip_norm is None else clip_norm
        self.run.clip_value = INFINITY if clip_value is None else clip_value
        self.run.max_norm = INFINITY if max_norm is None else max_norm
        self.run.average = ema
        if ema and self.averaged is NULL:
            raise ValueError("ema needs arrays of averaged weights")
        if clip_norm is not None and self.layers[0].gradient is NULL:
            raise ValueError("clip_norm needs gradient arrays")

    def _set_rates(self, *, weights, biases, scales=1.0, embeddings=1.0, scale_decay=0.0):
        """Sets the factors by which the learning rate is multiplied: one for the weights of each
        layer, one for all biases, one for the scales of the inputs, and one for the other
        parameters of columns. `scale_decay` multiplies the weight decay of the scales."""
        cdef size_t i
        for i in range(self.run.n_layers):
            self.layers[i].rate, self.layers[i].bias_rate = weights[i], biases
        self.run.inputs.scale_rate, self.run.inputs.embedding_rate = scales, embeddings
        self.run.inputs.scale_decay = scale_decay

    cdef double _work(self, Dataset dataset) except? -1:
        """Flops of a micro-batch."""
        cdef double n = <double>self.n_parameters
        if not dataset.sparse:
            return 6.0 * n * <double>self.run.micro_batch_rows
        return (6.0 * n * <double>self.run.n_rows
                / <double>(self.run.n_batches * self.run.micro_batches_per_batch)
                * density(dataset) + 20.0 * n)

    cdef int _team(self, double work) noexcept:
        """The largest team whose threads have enough work."""
        cdef int n_threads = team_size(
            work, WORK_PER_THREAD, self.run.micro_batch_rows, self.run.kernels.mr, self.n_threads)
        return min(n_threads, <int>self.run.n_partials) if self.run.n_partials else n_threads

    cdef int _set_rows(self, Dataset dataset, orders, size_t batch_size, batch_weights) except -1:
        """Sets the rows of the pass, (n_epochs, n_rows), checked before."""
        distinct = orders if orders.strides[0] else orders[:1]
        self.run.order = <const intptr_t *>address(distinct)
        self.run.order_stride = orders.shape[1] * (len(distinct) > 1)
        self.run.batch_weights = NULL
        if batch_weights is not None:
            self.run.batch_weights = <const double *>address(batch_weights)

    def train_pass(self, Dataset dataset, orders, size_t batch_size, *, double alpha, step,
                   bint take_steps=True, double deadline=INFINITY, beside=()):
        """A pass over the rows of each of `orders` (n_epochs, n_rows), in batches, with a step
        after each; without `take_steps`, only the gradient of a single batch.

        The engines `beside`, of networks of the same shape, make the same pass at the same time.

        Afterwards `steps_taken` counts the steps, and `loss_sums` holds, for each completed epoch,
        the sum over batches of loss times rows; `rest` is that sum for an epoch that was not
        completed, and its rows so far. After the deadline (of perf_counter) no batch begins, except
        the first. Without `take_steps`, returns the sums of the weighted losses and of the weights,
        and the layers' gradient arrays hold the weighted sum. Raises KeyboardInterrupt between
        micro-batches; parameters are then those after the last completed step, which is the same
        for all networks.
        """
        cdef Engine engine
        cdef size_t i, n_networks = 1 + len(beside)
        engines = (self, *beside)
        for engine in engines:
            engine.steps_taken, engine.loss_sums, engine.rest = 0, [], (0.0, 0)
            engine._check(dataset)
            if engine._columns is not None:  # what an interrupted pass, or a gradient, has left
                engine._kept[1]["gradient"][:] = 0
            if (engine._most_rows != self._most_rows
                    or engine.n_parameters != self.n_parameters):
                raise ValueError("networks side by side must have the same shape")
        if take_steps:
            self._check_optimizer()
        distinct = orders if orders.strides[0] else orders[:1]  # a view may repeat one
        if orders.ndim != 2 or not distinct.flags.c_contiguous:
            raise ValueError("orders must be a C-contiguous (n_epochs, n_rows) array")
        row_numbers(dataset, distinct.reshape(-1))
        cdef size_t n_epochs = len(orders), n_rows = orders.shape[1]
        if n_epochs == 0 or n_rows == 0 or batch_size == 0:
            raise ValueError("orders and batches must not be empty")
        batch_weights = None
        if dataset.sample_weight is not None:
            batch_weights = np.add.reduceat(
                dataset.sample_weight[orders], np.arange(0, n_rows, batch_size), axis=1)
        losses = np.zeros((n_networks, n_epochs))
        cdef Run **runs = <Run **>malloc(n_networks * sizeof(Run *))
        if runs is NULL:
            raise MemoryError
        try:
            for i, engine in enumerate(engines):
                engine._set_up(dataset, n_epochs, n_rows, batch_size, alpha, step)
                engine._set_rows(dataset, orders, batch_size, batch_weights)
                engine.run.take_steps = take_steps
                engine.run.losses = <double *>address(losses) + i * n_epochs
                runs[i] = &engine.run
            self._run_slices(dataset, runs, n_networks, n_epochs, deadline, engines, losses)
        finally:
            free(runs)
        if not take_steps:
            weight = n_rows if dataset.sample_weight is None else np.sum(batch_weights)
            return self.run.batch_loss, weight

    cdef int _run_slices(
        self, Dataset dataset, Run **runs, size_t n_networks, size_t n_epochs, double deadline,
        tuple engines, losses,
    ) except -1:
        """Runs the pass in slices of some tens of milliseconds; checks signals and the deadline
        after each; records what was done, also if it was interrupted."""
        cdef size_t n = self.run.micro_batches_per_batch, per_epoch = self.run.n_batches * n
        cdef size_t done = 0, end = n_epochs * per_epoch, stop, i
        cdef double work = self._work(dataset), begin
        cdef int n_threads = self._team(work)
        # A team trains each network; or one thread does, if a team has no more threads than these.
        cdef int n_lone = <int>min(n_networks, <size_t>self.n_threads)
        cdef bint side_by_side = 1 < n_networks and n_threads <= n_lone, by_team
        if side_by_side:
            n_threads = n_lone
        cdef size_t at_once = <size_t>max(
            1.0, FLOPS_AT_ONCE / max(work, WORK_OF_STEP) / n_networks)
        cdef uint64_t before = self.run.n_steps
        cdef Engine engine
        if self.pace.worked == 0:
            begin_pacing(&self.pace, work > LONG_STEP)
        try:
            while done < end:
                by_team = choose_team(&self.pace, time.perf_counter(), end - done, n_threads)
                stop = in_units(at_once, 8) if self.pace.trial or self.pace.worked == 0 else at_once
                stop = least(end, done + stop)
                begin = time.perf_counter()
                with nogil:
                    run_networks(
                        runs, n_networks, done, stop, n_threads if by_team else 1, side_by_side)
                at_once = note_slice(
                    &self.pace, by_team, stop - done, begin, time.perf_counter(), at_once)
                done = stop
                PyErr_CheckSignals()
                if time.perf_counter() > deadline:  # the current batch is finished
                    end = in_units(done, n) * n
        finally:
            stop = least(done % per_epoch // n * self.run.batch_size, self.run.n_rows)
            for i, engine in enumerate(engines):
                engine.steps_taken = engine.run.n_steps - before
                engine.loss_sums = losses[i, :done // per_epoch].tolist()
                if stop:
                    engine.rest = float(losses[i, done // per_epoch]), stop
                memset(&engine.run.samples, 0, sizeof(Samples))

    def gradient(self, Dataset dataset, order, size_t batch_size, *, t=0,
                 bint update_statistics=False, input_gradient=None):
        """Computes the gradient over the rows `order`, as the weighted sum over the rows, in the
        layers' gradient arrays.

        Parameters
        ----------
        dataset : Dataset
        order : ndarray of shape (n_rows,), dtype intp
        batch_size : int
            Rows of a full batch, at least n_rows; it determines the order of sums.
        t : int
            Steps taken before, for dropout.
        update_statistics : bool
            Whether the batch changes batch normalization's running statistics.
        input_gradient : ndarray of shape (n_rows, n_features) or None
            Filled with the derivatives by the inputs. Of the network's type, C-contiguous.

        Returns
        -------
        loss, weight : float
            Sums of the weighted losses and of the weights.
        """
        cdef size_t n_features = self.layers[0].fan_in
        if batch_size < <size_t>len(order):
            raise ValueError("the rows must be of one batch")
        if input_gradient is not None:
            if self.run.input_deltas is NULL:
                raise ValueError("this engine carries no deltas to the inputs")
            if (not input_gradient.flags.c_contiguous
                    or input_gradient.itemsize != <Py_ssize_t>self.run.kernels.real_size
                    or input_gradient.shape != (len(order), n_features)):
                raise ValueError(
                    "input_gradient must be (n_rows, n_features) of the network's type")
            self.run.input_gradient = address(input_gradient)
        elif self._columns is not None:
            self.run.input_gradient = NULL
        elif self.run.input_deltas is not NULL and self._columns is None:
            raise ValueError("this engine needs an array for the derivatives by the inputs")
        self.run.update_statistics = update_statistics
        try:
            return self.train_pass(
                dataset, order[np.newaxis], batch_size, alpha=0.0, step={"t": t}, take_steps=False)
        finally:
            self.run.update_statistics = False

    def apply_step(self, Dataset dataset, size_t batch_size, *, double weight, double alpha, step):
        """The optimizer's step by the sum in the layers' gradient arrays, of a batch whose weights
        sum to `weight`. Returns the penalty before the step; the loss is (loss + penalty) / weight.
        The data set only determines how the work is divided."""
        self._check_optimizer()
        if self.layers[0].gradient is NULL:
            raise ValueError("apply_step needs gradient arrays")
        if not weight > 0:
            raise ValueError(f"the weights of a batch must sum to more than 0, got {weight}")
        self._set_up(dataset, 1, batch_size, batch_size, alpha, step)
        cdef int n_threads = self._team(self._work(dataset))
        self.run.step_weight = weight
        with nogil:
            step_team(&self.run, n_threads)
        self.run.n_steps += 1
        memset(&self.run.samples, 0, sizeof(Samples))
        return penalty_of(&self.run)

    def start_clocks(self):
        """Makes `train_pass` measure, from now on, how each thread spends its time.

        Returns
        -------
        ndarray of shape (n_threads, n_phases)
            Seconds by the names of ``PHASES``; grows while passes run.
        """
        self._clocks = np.zeros((self.n_threads, N_CLOCK))
        self.run.clocks = <double *>address(self._clocks)
        return self._clocks[:, 1:]

    def predict(self, Dataset dataset, order, bint averaged=False):
        """Outputs (n_rows, n_outputs) of the rows `order`, with the averages of the weights
        if `averaged`."""
        if self._columns is not None:
            self._columns.check(dataset)
        cdef Run run = self.run
        if averaged:
            run.layers, run.inputs.parameters = self.averaged, self.run.inputs.averaged
        return predict_samples(&run, dataset, order, self.n_threads)[0]

    def evaluate(self, Dataset dataset, order, bint averaged=False):
        """Sum of the weighted losses of the rows `order`, and their outputs; see `predict`."""
        self._check_targets(dataset)
        if self._columns is not None:
            self._columns.check(dataset)
        cdef Run run = self.run
        if averaged:
            run.layers, run.inputs.parameters = self.averaged, self.run.inputs.averaged
        cdef size_t n = in_units(len(order), self.run.kernels.mr), i
        losses = np.zeros(n)
        outputs, _ = predict_samples(&run, dataset, order, self.n_threads, losses)
        cdef double *sums = <double *>address(losses)
        cdef double total = 0
        for i in range(n):
            total += sums[i]
        return total, outputs
