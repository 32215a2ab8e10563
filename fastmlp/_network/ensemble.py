"""Ensemble: several networks of one shape, trained on the same batches."""

import numpy as np

from .network import Network, train_together


def members(parameters):
    """The parameters of each network of an ensemble.

    Parameters
    ----------
    parameters : tuple of lists of ndarray
        Each array with a first axis of n_networks.

    Returns
    -------
    list of tuples of lists of ndarray
        Views, of the shapes that a Network takes.
    """
    (n_networks,) = {len(a) for arrays in parameters for a in arrays}
    return [tuple([a[i] for a in arrays] for arrays in parameters) for i in range(n_networks)]


def stacked(parameters):
    """The inverse of `members`, as new arrays."""
    return tuple(
        [np.stack(arrays) for arrays in zip(*lists, strict=True)]
        for lists in zip(*parameters, strict=True)
    )


class Ensemble:
    """Networks of one shape, trained on the same batches, with the methods of a Network.

    Each gets the same bits as if it were trained alone. Arrays of parameters and of the optimizer's
    state have a first axis of n_networks; losses and outputs are the mean over the networks.

    Parameters
    ----------
    n_networks : int
    architecture, **settings
        See Network.
    """

    def __init__(self, n_networks, architecture, *, seed=0, **settings):
        self.networks = [
            Network(architecture, seed=(seed + i) % 2**64, **settings) for i in range(n_networks)
        ]
        self.architecture = architecture
        self.dtype = self.networks[0].dtype

    def set_parameters(self, *parameters):
        for network, own in zip(self.networks, members(parameters), strict=True):
            network.set_parameters(*own)

    def get_parameters(self, *parameters, **which):
        for network, own in zip(self.networks, members(parameters), strict=True):
            network.get_parameters(*own, **which)

    @property
    def has_averaged_weights(self):
        return self.networks[0].has_averaged_weights

    def set_averaged_weights(self, *parameters):
        for network, own in zip(self.networks, members(parameters), strict=True):
            network.set_averaged_weights(*own)

    def average(self, share):
        for network in self.networks:
            network.average(share)

    def set_optimizer_state(self, slots):
        for network, *own in zip(self.networks, *map(members, slots), strict=True):
            network.set_optimizer_state(own)

    def get_optimizer_state(self):
        states = [network.get_optimizer_state() for network in self.networks]
        return [stacked(slot) for slot in zip(*states, strict=True)]

    def prepare(self, dataset, batch_size, **settings):
        for network in self.networks:
            network.prepare(dataset, batch_size, **settings)

    def epochs_at_once(self, n_rows, batch_size):
        return self.networks[0].epochs_at_once(n_rows, batch_size)

    def train(self, dataset, orders, batch_size, **settings):
        return train_together(self.networks, dataset, orders, batch_size, **settings)

    def predict(self, dataset, rows):
        first, *others = self.networks
        output = first.predict(dataset, rows)
        for network in others:
            output += network.predict(dataset, rows)
        output /= len(self.networks)
        return output

    def evaluate(self, dataset, rows):
        loss, output = self.networks[0].evaluate(dataset, rows)
        for network in self.networks[1:]:
            more, outputs = network.evaluate(dataset, rows)
            loss += more
            output += outputs
        output /= len(self.networks)
        return loss / len(self.networks), output
