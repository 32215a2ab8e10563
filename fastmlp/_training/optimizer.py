"""The state of an optimizer between epochs, calls and pickles."""

import numpy as np

from .._core import DECAYING
from .schedules import fade

DEFAULT_WEIGHT_DECAY = 0.01  # PyTorch's for AdamW


class OptimizerState:
    """The state that an optimizer keeps from one epoch, call or pickle to the next.

    Attributes
    ----------
    name : str
    setting : float
        The value of the parameter `learning_rate_init`.
    learning_rate_init : float
        The rate that `learning_rate` is derived from: the setting, or what a user has put in its
        place, as is done with scikit-learn's optimizers.
    base_rate : float
        What a schedule multiplies: `learning_rate_init`, or with SGD what scikit-learn's schedules
        have made of it.
    learning_rate : float
        With a schedule, the rate of the last step. Without one, the rate of the next step, except
        that Adam's is that of the last step, bias-corrected.
    t : int
        Steps taken so far.
    n_steps : int
        Steps of the whole training: ``max_iter`` epochs of them.
    epochs : int
        Whole epochs trained so far.
    offset : int
        What `t` lacks to be whole epochs of batches as the present ones.
    n_averaged : int
        Number of epochs whose weights "swa" has averaged.
    slots : list or None
        State of the optimizer (velocities, moments): for each slot, a tuple of lists of arrays
        shaped like the network's parameters. None stands for zeros.
    told : int or None
        The `max_iter` at which a schedule ended, once the user has been told.
    scheduled : bool
        Whether SGD's velocities are sums of gradients, as in PyTorch, or of moves, as in
        scikit-learn.
    averages, last : tuple of lists of ndarray, or None
        If weights are averaged: the averages, and the last weights, from which training continues.
    """

    def __init__(self, settings):
        self.name = settings.solver
        self._set_rate(settings)
        self.t = self.n_steps = self.epochs = self.n_averaged = self.offset = 0
        self.slots = self.averages = self.last = None
        self.scheduled = settings.schedule.is_active
        self.told = None

    def _set_rate(self, settings):
        self.setting = self.learning_rate_init = settings.learning_rate_init
        self.base_rate = self.learning_rate = float(settings.learning_rate_init)

    @classmethod
    def resumed(cls, state, settings, parameters):
        """The `state` of earlier calls, or a new one if it is None, of another optimizer (or copied
        from scikit-learn's MLP), or not of the shapes of the starting weights `parameters`."""
        if (
            not isinstance(state, cls)
            or state.name != settings.solver
            or not state.fits(parameters)
        ):
            return cls(settings)
        # The user may have set another rate: use it, and keep the momentum.
        if getattr(state, "setting", state.learning_rate_init) != settings.learning_rate_init:
            state._set_rate(settings)
        elif state.name != "sgd":
            state.base_rate = float(state.learning_rate_init)
        elif not state.scheduled:
            state.base_rate = float(state.learning_rate)
        state.setting = settings.learning_rate_init  # older pickles have none
        return state

    def fits(self, parameters):
        """Whether the slots have the shapes of these weights."""
        shapes, *others = (
            [[a.shape for a in arrays] for arrays in lists]
            for lists in (parameters, *(self.slots or ()))
        )
        return all(own == shapes[: len(own)] for own in others)

    def load_into(self, network, settings, parameters):
        """Copy the slots to a Network, in its type. If weights are averaged, and the starting
        weights `parameters` still equal the averages, copy the averages and the last weights."""

        def converted(parameters):
            return tuple([a.astype(network.dtype, copy=False) for a in p] for p in parameters)

        scheduled = settings.schedule.is_active
        if self.name == "sgd" and self.scheduled != scheduled and self.slots is not None:
            factor = self.base_rate if self.scheduled else 1 / self.base_rate
            self.slots = [tuple([factor * a for a in p] for p in slot) for slot in self.slots]
        self.scheduled = scheduled
        if self.slots is not None:
            network.set_optimizer_state([converted(slot) for slot in self.slots])
        present, kept = ([a for p in ps for a in p] for ps in (parameters, self.averages or ()))
        if kept and settings.average_weights and all(map(np.array_equal, kept, present)):
            network.set_averaged_weights(*converted(self.averages))
            network.set_parameters(*converted(self.last))
        else:
            self.n_averaged = 0

    def keep(self, network, parameters):
        """Copy the state from a Network after training. `parameters` only give the shapes."""
        self.slots = network.get_optimizer_state()
        self.averages = self.last = None
        if network.has_averaged_weights:
            self.averages, self.last = (
                tuple([np.empty(a.shape, network.dtype) for a in p] for p in parameters)
                for _ in range(2)
            )
            network.get_parameters(*self.averages)
            network.get_parameters(*self.last, averaged=False)

    def _rates(self, schedule, t, least=0.0):
        """The rates after `t` steps, an array, if at least a share `least` of the training is
        done."""
        t = t + getattr(self, "offset", 0)  # older pickles have none
        return self.base_rate * schedule.factors(np.clip(t / self.n_steps, least, 1))

    def step_settings(self, settings, n_epochs, n_batches, time_shares=(0.0, 0.0)):
        """The settings of the next epochs' steps, as Network.train takes them. `time_shares` are
        the shares of the time limit that will have passed before and after them: schedules are at
        least as far."""
        self.n_steps = settings.max_iter * n_batches
        # partial_fit may have had other numbers of batches: a schedule counts whole epochs
        self.offset = self.epochs * n_batches - self.t
        rate = self.base_rate
        if settings.schedule.is_active:
            n_steps = n_epochs * n_batches
            least = np.minimum(1, np.linspace(*time_shares, n_steps, endpoint=False))
            rate = self._rates(settings.schedule, self.t + np.arange(n_steps), least)
        step = {"learning_rate": rate, "t": self.t}
        if self.name == "sgd":
            step["momentum"] = float(settings.momentum)
            step["nesterov"] = bool(settings.nesterovs_momentum)
        else:
            for name in ("beta_1", "beta_2", "epsilon"):
                step[name] = float(getattr(settings, name))
        if self.name in DECAYING:
            decay = settings.weight_decay
            step["weight_decay"] = DEFAULT_WEIGHT_DECAY if decay is None else decay
        for name in ("l1_ratio", "clip_norm", "clip_value", "max_norm"):
            step[name] = getattr(settings, name)
        step["ema"] = settings.average_weights == "ema"
        if settings.rates is not None:
            step["rates"] = settings.rates
        if settings.fades:  # in the middle of the epoch, because it changes slowly
            share = max((self.epochs + 0.5) / settings.max_iter, np.mean(time_shares))
            factor = fade(min(1.0, share))
            step["dropout_factor"] = factor
            step["weight_decay"] = factor * step.get("weight_decay", 0.0)
        return step

    def average(self, settings, network, n_epochs):
        """Count whole epochs (with "swa" one, or none), and average the weights after them if they
        belong to the last quarter of the training."""
        self.epochs += n_epochs
        if (
            n_epochs
            and settings.average_weights == "swa"
            and self.epochs > 0.75 * settings.max_iter
        ):
            self.n_averaged += 1
            network.average(1 / self.n_averaged)

    def end_epoch(self, settings, n_samples_seen):
        """Set the learning rate from the samples (SGD) or the steps (Adam) seen so far."""
        if self.name == "sgd" and settings.learning_rate == "invscaling":
            initial = float(self.learning_rate_init)
            self.base_rate = initial / (n_samples_seen + 1) ** settings.power_t
        self.learning_rate = self.base_rate
        if settings.schedule.is_active and self.t:
            rates = self._rates(settings.schedule, np.array([self.t - 1]))
            self.learning_rate = float(rates[0])
        if self.name == "adam" and self.t:
            correction = np.sqrt(1 - settings.beta_2**self.t) / (1 - settings.beta_1**self.t)
            self.learning_rate = float(self.learning_rate * correction)

    def on_plateau(self, settings, message):
        """Lower the learning rate after a plateau, or return True if training should stop."""
        adaptive = self.name == "sgd" and settings.learning_rate == "adaptive"
        stop = not adaptive or self.base_rate <= 1e-6
        if not stop:
            self.base_rate /= 5.0
            self.learning_rate = self.base_rate
            message += " Setting learning rate to %f" % self.learning_rate
        elif adaptive:
            message += " Learning rate too small. Stopping."
        else:
            message += " Stopping."
        if settings.verbose:
            print(message)
        return stop
