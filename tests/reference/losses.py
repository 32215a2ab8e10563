"""Losses and their gradients as PyTorch computes them, kept in data/losses.json.

    python tests/reference/losses.py        writes the file; needs PyTorch

Each value is the mean over N rows of the loss of pre-activations z, summed over the outputs, in
float64. If PyTorch lacks a loss, its formula is written out here, and PyTorch differentiates it.
"""

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).parent / "data" / "losses.json"
N, N_OUTPUTS = 8, 3

# (the kernel, its settings, output activation if it is not the kernel's own)
CASES = [
    ("squared_error", {}, None),
    ("absolute_error", {}, None),
    ("huber", {"delta": 0.7}, None),
    ("log_cosh", {}, None),
    ("quantile", {"quantile": [0.1, 0.5, 0.9]}, None),
    ("poisson", {}, None),
    ("gamma", {}, None),
    ("log_loss", {}, None),
    ("log_loss", {"smoothing": 0.2}, None),
    ("binary_log_loss", {}, None),
    ("binary_log_loss", {"smoothing": 0.2}, None),
    *((f"{kind}focal", {"gamma": gamma}, None) for kind in ("", "binary_") for gamma in (0.5, 2.0)),
    ("brier", {}, None),
    ("binary_brier", {}, None),
    ("hinge", {}, None),
    ("binary_hinge", {}, None),
    ("squared_error", {}, "logistic"),
    ("huber", {"delta": 0.7}, "tanh"),
    ("absolute_error", {}, "gelu"),
    ("quantile", {"quantile": [0.1, 0.5, 0.9]}, "exp"),
    ("poisson", {}, "softplus"),
    ("gamma", {}, "softplus"),
]


def inputs(targets):
    """z (N, N_OUTPUTS) and y for losses with targets of this kind."""
    rng = np.random.RandomState(0)
    z = 2 * rng.standard_normal((N, N_OUTPUTS))
    return z, {
        "reals": np.exp(rng.standard_normal((N, N_OUTPUTS))),
        "classes": rng.randint(0, N_OUTPUTS, N).astype(np.int32),
        "labels": rng.randint(0, 2, (N, N_OUTPUTS)).astype(np.uint8),
    }[targets]


def torch_value_and_gradient(loss, params, out_activation, z, y):
    """The loss as a float, and its gradient with respect to z, (N, N_OUTPUTS)."""
    import torch
    from torch.nn import functional as F

    z = torch.tensor(z, requires_grad=True)
    if y.dtype == np.int32:
        y = torch.tensor(y.astype(np.int64))
        hot = F.one_hot(y, N_OUTPUTS).double()
    else:
        y = hot = torch.tensor(y.astype(np.float64))
    p = {
        None: lambda: z,
        "logistic": lambda: torch.sigmoid(z),
        "tanh": lambda: torch.tanh(z),
        "gelu": lambda: F.gelu(z),
        "exp": lambda: torch.exp(z),
        "softplus": lambda: F.softplus(z),
    }[out_activation]()
    smoothing = params.get("smoothing", 0.0)

    def focal(log_p):
        return -((1 - torch.exp(log_p)) ** params["gamma"]) * log_p

    def pinball():
        levels = torch.tensor(params["quantile"], dtype=torch.float64)
        return torch.maximum(levels * (y - p), (levels - 1) * (y - p))

    def poisson():
        log_input = out_activation is None
        value = F.poisson_nll_loss(p, y, log_input=log_input, eps=0, reduction="none")
        return value + torch.xlogy(y, y) - y

    def gamma():
        mean = torch.exp(z) if out_activation is None else p
        return torch.log(mean / y) + y / mean - 1

    def hinge():
        rival = torch.where(hot == 1, -torch.inf, z).max(dim=1).values
        return torch.relu(1 - (z * hot).sum(dim=1) + rival)

    total = {
        "squared_error": lambda: F.mse_loss(p, y, reduction="sum") / 2,
        "absolute_error": lambda: F.l1_loss(p, y, reduction="sum"),
        "huber": lambda: F.huber_loss(p, y, delta=params["delta"], reduction="sum"),
        "log_cosh": lambda: torch.log(torch.cosh(p - y)),
        "quantile": pinball,
        "poisson": poisson,
        "gamma": gamma,
        "log_loss": lambda: F.cross_entropy(z, y, label_smoothing=smoothing, reduction="sum"),
        "binary_log_loss": lambda: F.binary_cross_entropy_with_logits(
            z, y * (1 - smoothing) + smoothing / 2, reduction="sum"
        ),
        "focal": lambda: focal(-F.cross_entropy(z, y, reduction="none")),
        "binary_focal": lambda: focal(-F.binary_cross_entropy_with_logits(z, y, reduction="none")),
        "brier": lambda: (torch.softmax(z, dim=1) - hot) ** 2 / 2,
        "binary_brier": lambda: F.mse_loss(torch.sigmoid(z), y, reduction="sum") / 2,
        "hinge": hinge,
        "binary_hinge": lambda: torch.relu(1 - (2 * y - 1) * z),
    }[loss]().sum() / N
    total.backward()
    return total.item(), z.grad.numpy()


def figures(targets_of):
    """All cases as PyTorch computes them now, in the format of the file."""
    found = []
    for loss, params, out_activation in CASES:
        z, y = inputs(targets_of[loss])
        value, gradient = torch_value_and_gradient(loss, params, out_activation, z, y)
        found.append({"loss": loss, "value": value, "gradient": gradient.tolist()})
    return found


if __name__ == "__main__":
    from fastmlp._core import TARGETS

    PATH.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(figure) for figure in figures(TARGETS))
    PATH.write_text(f"[\n{lines}\n]\n")
