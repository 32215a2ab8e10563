"""What optimizers remember between epochs, calls and pickles; learning rates."""

import numpy as np

SCHEDULES = ("cosine", "exponential", "step", "one_cycle", "coslog4")


class OptimizerState:
    """What "sgd" and "adam" remember from one epoch, call or pickle to the next.

    Attributes
    ----------
    name : {"sgd", "adam"}
    learning_rate_init : float
        The estimator's parameter that `learning_rate` was derived from.
    learning_rate : float
        SGD: the rate of the next step. Adam: the bias-corrected rate of the last one.
    t : int
        Steps taken so far.
    slots : list or None
        Velocities (SGD) or first and second moments (Adam): for each, a tuple of lists of arrays
        shaped like the network's parameters. None stands for zeros.
    """

    def __init__(self, est):
        self.name = est.solver
        self.learning_rate_init = est.learning_rate_init
        self.learning_rate = float(est.learning_rate_init)
        self.t = 0
        self.slots = None

    @classmethod
    def of(cls, est):
        """The state that `est` has kept from earlier calls, or else a new one."""
        state = getattr(est, "_optimizer", None)
        if state is None or state.name != est.solver:
            return cls(est)
        if state.learning_rate_init != est.learning_rate_init:
            # The user asked for another rate: follow, and keep the momentum.
            state.learning_rate_init = est.learning_rate_init
            state.learning_rate = float(est.learning_rate_init)
        return state

    def load_into(self, network):
        """Hand the slots to a Network, in its type."""
        if self.slots is not None:
            network.set_optimizer_state(
                [
                    tuple([a.astype(network.dtype, copy=False) for a in arrays] for arrays in slot)
                    for slot in self.slots
                ]
            )

    def step(self, est):
        """The settings of the next epoch's steps, as Network.train takes them."""
        if self.name == "sgd":
            return {
                "learning_rate": self.learning_rate,
                "momentum": float(est.momentum),
                "nesterov": bool(est.nesterovs_momentum),
            }
        return {
            "learning_rate_init": float(est.learning_rate_init),
            "beta_1": float(est.beta_1),
            "beta_2": float(est.beta_2),
            "epsilon": float(est.epsilon),
            "t": self.t,
        }

    def end_epoch(self, est):
        """Set the learning rate from the samples (SGD) or the steps (Adam) seen so far."""
        if self.name == "adam":
            correction = (
                np.sqrt(1 - est.beta_2**self.t) / (1 - est.beta_1**self.t) if self.t else 1.0
            )
            self.learning_rate = float(est.learning_rate_init * correction)
        elif est.learning_rate == "invscaling":
            self.learning_rate = float(est.learning_rate_init) / (est.t_ + 1) ** est.power_t

    def on_plateau(self, est, message):
        """Training has stalled: lower the learning rate, or return True to stop."""
        adaptive = self.name == "sgd" and est.learning_rate == "adaptive"
        stop = not adaptive or self.learning_rate <= 1e-6
        if not stop:
            self.learning_rate /= 5.0
            message += " Setting learning rate to %f" % self.learning_rate
        elif adaptive:
            message += " Learning rate too small. Stopping."
        else:
            message += " Stopping."
        if est.verbose:
            print(message)
        return stop
