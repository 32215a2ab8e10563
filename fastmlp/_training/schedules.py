"""Learning rates over the course of a training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def _anneal(start, end, share):
    """From start to end in the shape of half a cosine, as share goes from 0 to 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


PEAK = 0.3  # the share of the training at which one_cycle reaches its greatest rate

# What learning_rate_init is multiplied by at a share t of the training; sources are in
# _estimators/docs.py.
SCHEDULES = {
    "cosine": lambda t: _anneal(1, 0, t),
    "exponential": lambda t: 0.01**t,
    "step": lambda t: np.where(t < 0.5, 1, np.where(t < 0.75, 0.1, 0.01)),
    "one_cycle": lambda t: np.where(
        t < PEAK, _anneal(1 / 25, 1, t / PEAK), _anneal(1, 1e-4 / 25, (t - PEAK) / (1 - PEAK))
    ),
    "coslog4": lambda t: (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t))) / 2,
}


def fade(t):
    """1 in the first half of the training, then half a cosine down to 0: "flat_cos" of Holzmueller
    et al. (2024)."""
    return 1.0 if t < 0.5 else float(_anneal(1, 0, 2 * t - 1))


@dataclass(frozen=True)
class Schedule:
    """How the learning rate depends on the share of the training that is done.

    Attributes
    ----------
    learning_rate : str or callable
        A key of `SCHEDULES`, a callable from shares to factors, or one of scikit-learn's names,
        which do not depend on the share.
    warmup : float
        Share of the training in which the rate rises linearly from zero; 0 for none.
    """

    learning_rate: str | Callable
    warmup: float

    @property
    def has_end(self):
        """Whether the rate follows a schedule that ends with the training."""
        return callable(self.learning_rate) or self.learning_rate in SCHEDULES

    @property
    def is_active(self):
        """Whether the rate depends on the share of the training that is done."""
        return self.has_end or self.warmup > 0

    def factors(self, t):
        """What the learning rate is multiplied by.

        Parameters
        ----------
        t : ndarray of float in [0, 1]
            Shares of the training that are done.

        Returns
        -------
        ndarray shaped like t

        Raises
        ------
        ValueError
            If a callable does not return finite, non-negative numbers.
        """
        factors = np.ones_like(t)
        if callable(self.learning_rate):
            try:
                found = np.asarray(self.learning_rate(t.copy()))
            except TypeError as error:
                raise TypeError(
                    f"learning_rate={self.learning_rate!r} failed as learning_rate(t), where t is"
                    f" an array of fractions of the training: {error}. An example is"
                    " learning_rate=lambda t: 1 - t."
                ) from error
            fits = found.shape in ((), t.shape) and found.dtype.kind in "biuf"
            if not fits or not np.isfinite(found).all() or found.min(initial=0) < 0:
                raise ValueError(
                    "A callable learning_rate must return an array of finite, non-negative numbers"
                    f" with the shape of its argument, {t.shape}; got {found!r}."
                )
            factors = factors * found
        elif self.learning_rate in SCHEDULES:
            factors = SCHEDULES[self.learning_rate](t)
        if self.warmup > 0:
            factors = factors * np.minimum(1, t / self.warmup)
        return factors
