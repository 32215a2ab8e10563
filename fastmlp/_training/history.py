"""The measures of each epoch: `history_`."""

from time import perf_counter

import numpy as np


class History:
    """Keeps an estimator's `history_`: a list for each measure, with an entry for each epoch.

    It continues over calls. All lists have the same length: a measure that was not taken in some
    epochs is NaN there.

    Parameters
    ----------
    measures : dict of str to list, or None
        Measures of earlier calls; updated in place. Where a user has changed them such that their
        lengths differ, NaN fills the earliest epochs.
    validation : Validation or None
    monitor : Monitor or None
    """

    def __init__(self, measures, validation=None, monitor=None):
        self.measures = measures if isinstance(measures, dict) else {}  # [] clears it, too
        self.validation, self.monitor = validation, monitor
        self.last = perf_counter()
        self.measures.setdefault("loss", [])
        for name, values in self.measures.items():
            self.measures[name] = [] if values is None else values
        n_epochs = max(map(len, self.measures.values()))
        for name, values in self.measures.items():
            if not isinstance(values, list) or len(values) < n_epochs:
                self.measures[name] = [np.nan] * (n_epochs - len(values)) + [*values]

    @property
    def measures_epochs(self):
        """Whether something is measured after each single epoch."""
        return self.validation is not None or self.monitor is not None

    def __len__(self):
        return len(self.measures["loss"])

    def add(self, losses, network, learning_rates=None):
        """Add epochs; only one if there is more to measure than the loss. Return the loss and the
        score on the validation set, NaN if there is none."""
        new = {"loss": losses}
        validation_loss = score = np.nan
        if self.validation is not None:
            validation_loss, score = self.validation.measure(network)
            new |= {"validation_loss": [validation_loss], "validation_score": [score]}
        if learning_rates is not None:
            new["learning_rate"] = learning_rates
        if self.monitor is not None:
            new |= {name: [found] for name, found in self.monitor.measure(network).items()}
        now = perf_counter()
        new["seconds"] = [(now - self.last) / len(losses)] * len(losses)
        self.last = now
        before = len(self)
        for name, values in new.items():
            self.measures.setdefault(name, [np.nan] * before).extend(values)
        if len(new) < len(self.measures):
            for name in self.measures.keys() - new.keys():
                self.measures[name] += [np.nan] * len(losses)
        return validation_loss, score
