"""Makes fastmlp's networks from the keywords that the constructor of NaiveNetwork takes."""

from fastmlp._network.architecture import Architecture, LossSettings
from fastmlp._network.ensemble import Ensemble
from fastmlp._network.network import Network

LAYOUT = ("activations", "out_activation", "loss", "normalization", "residual", "dropout", "dtype")


def new_architecture(units, *, loss_params=None, **layout):
    params = dict(loss_params or {})
    if "quantile" in params:
        levels = params["quantile"]
        params["quantile"] = tuple(levels) if hasattr(levels, "__iter__") else (levels,)
    return Architecture(units, loss_settings=LossSettings(**params), **layout)


def _parted(settings):
    """The settings in two parts: keywords of an Architecture, and keywords of a Network."""
    layout = {k: v for k, v in settings.items() if k in (*LAYOUT, "loss_params")}
    return layout, {k: v for k, v in settings.items() if k not in layout}


def new_network(units, **settings):
    layout, others = _parted(settings)
    return Network(new_architecture(units, **layout), **others)


def new_ensemble(n_networks, units, **settings):
    layout, others = _parted(settings)
    return Ensemble(n_networks, new_architecture(units, **layout), **others)
