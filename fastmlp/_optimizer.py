"""What optimizers remember between epochs, calls and pickles; learning rates."""

import numpy as np

from ._core import DECAYING


def _anneal(start, end, share):
    """From start to end in the shape of half a cosine, as share goes from 0 to 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


PEAK = 0.3  # where one_cycle has risen

# What learning_rate_init is multiplied by at a share t of the training; sources are in _docs.
SCHEDULES = {
    "cosine": lambda t: _anneal(1, 0, t),
    "exponential": lambda t: 0.01**t,
    "step": lambda t: np.where(t < 0.5, 1, np.where(t < 0.75, 0.1, 0.01)),
    "one_cycle": lambda t: np.where(
        t < PEAK, _anneal(1 / 25, 1, t / PEAK), _anneal(1, 1e-4 / 25, (t - PEAK) / (1 - PEAK))
    ),
    "coslog4": lambda t: (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t))) / 2,
}


def has_end(est):
    """Whether the rate follows a schedule that ends with the training."""
    return callable(est.learning_rate) or est.learning_rate in SCHEDULES


def is_scheduled(est):
    """Whether the rate depends on the share of the training that is done."""
    return has_end(est) or est.warmup > 0


def rising_share(est):
    """The share of the training in which the rate still rises: no plateau can be seen there."""
    return max(est.warmup, PEAK if est.learning_rate == "one_cycle" else 0)


def rate_factors(est, t):
    """What the learning rate is multiplied by.

    Parameters
    ----------
    est : estimator
    t : ndarray of float in [0, 1]
        Shares of the training that are done.

    Returns
    -------
    ndarray shaped like t

    Raises
    ------
    ValueError
        If a callable returns anything else than finite numbers, none of them negative.
    """
    factors = np.ones_like(t)
    if callable(est.learning_rate):
        found = np.asarray(est.learning_rate(t.copy()))
        fits = found.shape in ((), t.shape) and found.dtype.kind in "biuf"
        if not fits or not np.isfinite(found).all() or found.min(initial=0) < 0:
            raise ValueError(
                "A callable learning_rate must return an array of finite numbers that are not"
                f" negative, shaped like its argument: {t.shape}; got {found!r}."
            )
        factors = factors * found
    elif est.learning_rate in SCHEDULES:
        factors = SCHEDULES[est.learning_rate](t)
    if est.warmup > 0:
        factors = factors * np.minimum(1, t / est.warmup)
    return factors


class OptimizerState:
    """What an optimizer remembers from one epoch, call or pickle to the next.

    Attributes
    ----------
    name : str
    learning_rate_init : float
        The estimator's parameter that `learning_rate` was derived from.
    base_rate : float
        What a schedule multiplies: `learning_rate_init`, or with SGD what scikit-learn's schedules
        have made of it.
    learning_rate : float
        The rate of the last step where there is a schedule. Without: of the next one, but Adam's is
        that of the last one, bias-corrected.
    t : int
        Steps taken so far.
    n_steps : int
        Steps of the whole training: ``max_iter`` epochs of them.
    epochs : int
        Whole epochs trained so far.
    n_averaged : int
        Those of which "swa" has averaged the weights.
    slots : list or None
        State of the optimizer (velocities, moments): for each slot, a tuple of lists of arrays
        shaped like the network's parameters. None stands for zeros.
    scheduled : bool
        Whether SGD's velocities add up gradients, as PyTorch's, or moves, as scikit-learn's.
    averages, last : tuple of lists of ndarray, or None
        Where weights are averaged: the averages, and the weights that training goes on from.
    """

    def __init__(self, est):
        self.name = est.solver
        self.learning_rate_init = est.learning_rate_init
        self.base_rate = self.learning_rate = float(est.learning_rate_init)
        self.t = self.n_steps = self.epochs = self.n_averaged = 0
        self.slots = self.averages = self.last = None
        self.scheduled = is_scheduled(est)

    @classmethod
    def of(cls, est):
        """The state that `est` has kept from earlier calls, or else a new one."""
        state = getattr(est, "_optimizer", None)
        if state is None or state.name != est.solver:
            return cls(est)
        if state.learning_rate_init != est.learning_rate_init:
            # The user asked for another rate: follow, and keep the momentum.
            state.learning_rate_init = est.learning_rate_init
            state.base_rate = state.learning_rate = float(est.learning_rate_init)
        return state

    def load_into(self, network, est, parameters):
        """Hand the slots to a Network, in its type. Where weights are averaged, go on with both, if
        the estimator's `parameters` are still those averages."""

        def converted(parameters):
            return tuple([a.astype(network.dtype, copy=False) for a in p] for p in parameters)

        if self.name == "sgd" and self.scheduled != is_scheduled(est) and self.slots is not None:
            factor = self.base_rate if self.scheduled else 1 / self.base_rate
            self.slots = [tuple([factor * a for a in p] for p in slot) for slot in self.slots]
        self.scheduled = is_scheduled(est)
        if self.slots is not None:
            network.set_optimizer_state([converted(slot) for slot in self.slots])
        present, kept = ([a for p in ps for a in p] for ps in (parameters, self.averages or ()))
        if kept and est.average_weights and all(map(np.array_equal, kept, present)):
            network.set_averages(*converted(self.averages))
            network.set_parameters(*converted(self.last))
        else:
            self.n_averaged = 0

    def keep(self, network, parameters):
        """Take over what a Network has made of all this. `parameters` tells the shapes."""
        self.slots = network.get_optimizer_state()
        self.averages = self.last = None
        if network.averaged:
            self.averages, self.last = (
                tuple([np.empty(a.shape, network.dtype) for a in p] for p in parameters)
                for _ in range(2)
            )
            network.get_parameters(*self.averages)
            network.get_parameters(*self.last, averaged=False)

    def _rates(self, est, t):
        """Rates of the steps after `t` steps: an array."""
        return self.base_rate * rate_factors(est, np.minimum(1, t / self.n_steps))

    def step(self, est, n_epochs, n_batches):
        """The settings of the next epochs' steps, as Network.train takes them."""
        self.n_steps = est.max_iter * n_batches
        rate = self.base_rate
        if is_scheduled(est):
            rate = self._rates(est, self.t + np.arange(n_epochs * n_batches))
        settings = {"learning_rate": rate, "t": self.t}
        if self.name == "sgd":
            settings |= {"momentum": float(est.momentum), "nesterov": bool(est.nesterovs_momentum)}
        else:
            settings |= {name: float(getattr(est, name)) for name in ("beta_1", "beta_2")}
            settings["epsilon"] = float(est.epsilon)
        if self.name in DECAYING:
            settings["weight_decay"] = 0.01 if est.weight_decay is None else est.weight_decay
        settings |= {
            name: getattr(est, name) for name in ("l1_ratio", "clip_norm", "clip_value", "max_norm")
        }
        return settings | {"ema": est.average_weights == "ema"}

    def average(self, est, network, n_epochs):
        """After whole epochs (with "swa" one, or none): their weights go into the mean in the last
        quarter of the training."""
        self.epochs += n_epochs
        if n_epochs and est.average_weights == "swa" and self.epochs > 0.75 * est.max_iter:
            self.n_averaged += 1
            network.average(1 / self.n_averaged)

    def end_epoch(self, est):
        """Set the learning rate from the samples (SGD) or the steps (Adam) seen so far."""
        if self.name == "sgd" and est.learning_rate == "invscaling":
            self.base_rate = float(est.learning_rate_init) / (est.t_ + 1) ** est.power_t
        self.learning_rate = self.base_rate
        if is_scheduled(est) and self.t:
            self.learning_rate = float(self._rates(est, np.array([self.t - 1]))[0])
        if self.name == "adam" and self.t:
            correction = np.sqrt(1 - est.beta_2**self.t) / (1 - est.beta_1**self.t)
            self.learning_rate = float(self.learning_rate * correction)

    def on_plateau(self, est, message):
        """Training has stalled: lower the learning rate, or return True to stop."""
        adaptive = self.name == "sgd" and est.learning_rate == "adaptive"
        stop = not adaptive or self.base_rate <= 1e-6
        if not stop:
            self.base_rate /= 5.0
            self.learning_rate = self.base_rate
            message += " Setting learning rate to %f" % self.learning_rate
        elif adaptive:
            message += " Learning rate too small. Stopping."
        else:
            message += " Stopping."
        if est.verbose:
            print(message)
        return stop
