"""The weights after twenty steps of every optimizer by PyTorch, kept in data/optimizers.npy.

`python tests/reference/optimizers.py` writes the file. test_optimizers.py compares the estimators
with the file, and the file with PyTorch if that is installed.
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "data" / "optimizers.npy"
HIDDEN, N_CLASSES, N_SAMPLES, BATCH_SIZE, N_STEPS, ALPHA = 5, 3, 60, 15, 20, 0.3
RATES = {"adagrad": 0.1, "lion": 0.01, "rprop": 0.01}  # others: 0.03
OPTIMIZERS = {  # name -> (class in PyTorch or below, its settings, our parameters)
    "sgd": ("SGD", {}, {"momentum": 0.0, "nesterovs_momentum": False}),
    "sgd momentum": ("SGD", {"momentum": 0.9}, {"nesterovs_momentum": False}),
    "sgd nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, {}),
    "adamw": ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.01}, {}),
    "adamw decay": ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 1.5}, {}),
    "nadam": ("NAdam", {"betas": (0.8, 0.95), "eps": 1e-3}, {}),
    "radam": ("RAdam", {"betas": (0.8, 0.95), "eps": 1e-3}, {}),
    "rmsprop": ("RMSprop", {"alpha": 0.95, "eps": 1e-3}, {}),
    "adagrad": ("Adagrad", {"eps": 1e-3}, {}),
    "lion": ("Lion", {"betas": (0.8, 0.95), "weight_decay": 0.01}, {}),
    "lion decay": ("Lion", {"betas": (0.8, 0.95), "weight_decay": 1.5}, {}),
    "rprop": ("Rprop", {}, {"batch_size": "auto"}),
}
VARIANTS = {
    "plain": {},
    "clip_norm": {"clip_norm": 0.05},
    "clip_value": {"clip_value": 0.01},
    "both clips": {"clip_norm": 0.1, "clip_value": 0.02},
    "cosine": {"learning_rate": "cosine"},
    "warmup": {"warmup": 0.5},
}


def cases():
    """All pairs (optimizer, variant); rprop has no schedules."""
    for name in OPTIMIZERS:
        for variant in VARIANTS:
            if name != "rprop" or variant not in ("cosine", "warmup"):
                yield name, variant


def data():
    """X (n_samples, 4), y, and the initial weights of a network of 4, HIDDEN, N_CLASSES units."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((N_SAMPLES, 4))
    y = (X @ rng.standard_normal((4, N_CLASSES))).argmax(axis=1)
    coefs = [rng.uniform(-1, 1, shape) for shape in ((4, HIDDEN), (HIDDEN, N_CLASSES))]
    return X, y, coefs, [rng.uniform(-1, 1, n) for n in (HIDDEN, N_CLASSES)]


def parameters(name, variant):
    """Parameters of an estimator that takes the same steps."""
    _, theirs, ours = OPTIMIZERS[name]
    beta_1, beta_2 = theirs.get("betas", (0.9, theirs.get("alpha", 0.999)))
    params = {
        "hidden_layer_sizes": (HIDDEN,),
        "activation": "tanh",
        "solver": name.split()[0],
        "learning_rate_init": RATES.get(name.split()[0], 0.03),
        "alpha": ALPHA,
        "batch_size": BATCH_SIZE,
        "max_iter": N_STEPS if name == "rprop" else N_STEPS // (N_SAMPLES // BATCH_SIZE),
        "shuffle": False,
        "tol": 0,
        "n_iter_no_change": np.inf,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": theirs.get("eps", 1e-8),
    }
    if theirs.get("weight_decay", 0.01) != 0.01:  # the default
        params["weight_decay"] = theirs["weight_decay"]
    return params | ours | VARIANTS[variant]


def lion(torch):
    """The algorithm of Chen et al. (2023), which PyTorch lacks."""

    class Lion(torch.optim.Optimizer):
        def __init__(self, params, lr, betas, weight_decay=0):
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                beta_1, beta_2 = group["betas"]
                for p in group["params"]:
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    update = (beta_1 * m + (1 - beta_1) * p.grad).sign()
                    p -= group["lr"] * (update + group["weight_decay"] * p)
                    self.state[p]["m"] = beta_2 * m + (1 - beta_2) * p.grad

    return Lion


def steps_of_torch(name, variant):
    """The weights after N_STEPS steps, all in one vector: coefficients first."""
    import torch

    torch.set_default_dtype(torch.float64)  # nadam keeps a product of scalars in this type
    X, y, coefs, intercepts = data()
    weights = [torch.tensor(w, requires_grad=True) for w in coefs]
    biases = [torch.tensor(b, requires_grad=True) for b in intercepts]
    X, y = torch.tensor(X), torch.tensor(y)
    cls, settings, _ = OPTIMIZERS[name]
    ours = parameters(name, variant)
    settings = {"lr": ours["learning_rate_init"]} | settings
    penalized = [{"params": weights}, {"params": biases, "weight_decay": 0}]
    if "weight_decay" not in settings:
        penalized = [*weights, *biases]
    make = lion(torch) if cls == "Lion" else getattr(torch.optim, cls)
    optimizer = make(penalized, **settings)
    schedule = None
    if variant == "cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_STEPS)
    if variant == "warmup":
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda s: min(1, s / (ours["warmup"] * N_STEPS))
        )
    batch_size = N_SAMPLES if name == "rprop" else BATCH_SIZE
    for i in range(N_STEPS):
        rows = slice(i * batch_size % N_SAMPLES, i * batch_size % N_SAMPLES + batch_size)
        hidden = torch.tanh(X[rows] @ weights[0] + biases[0])
        loss = torch.nn.functional.cross_entropy(hidden @ weights[1] + biases[1], y[rows])
        loss = loss + ALPHA / 2 * sum((w**2).sum() for w in weights) / batch_size
        optimizer.zero_grad()
        loss.backward()
        if "clip_norm" in ours:
            norm = torch.nn.utils.clip_grad_norm_([*weights, *biases], ours["clip_norm"])
            assert norm > ours["clip_norm"] or i
        if "clip_value" in ours:
            torch.nn.utils.clip_grad_value_([*weights, *biases], ours["clip_value"])
        optimizer.step()
        if schedule:
            schedule.step()
    return np.concatenate([a.detach().numpy().ravel() for a in (*weights, *biases)])


def main():
    np.save(FILE, [steps_of_torch(*case) for case in cases()])


if __name__ == "__main__":
    main()
