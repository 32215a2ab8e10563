"""The same training in other libraries, each used in the fastest way that its users have.

A peer is made for a workload and is fitted like an estimator, but on the `arrays` of its library,
which are made once and not timed. Layers, initial weights, loss, L2 penalty and Adam are those of
scikit-learn's estimators. Each epoch visits all rows once, in a new order, and its last batch may
be shorter. `tests/test_bench.py` compares the trained weights, `coefs_` and `intercepts_`, with
those of scikit-learn.

torch   Eager mode with fused Adam. Batches are indexed from tensors that share the memory of X and
        y. `torch.set_num_threads` sets the number of threads.
jax     An epoch is one jitted call, a `lax.scan` over its batches. It is compiled when the peer is
        made, which is not timed. NumPy draws the order of rows, because `jax.random.permutation`
        takes longer. XLA starts a thread for each core that the process may use, so the process is
        bound to --threads cores.
skorch  NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor with fused Adam and the
        default DataLoader, without validation split and callbacks.
"""

import functools
import importlib.util
import os
from itertools import pairwise

import numpy as np

ALPHA, LEARNING_RATE = 1e-4, 1e-3  # scikit-learn's defaults
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def initial_weights(workload, dtype):
    """Return the initial coefs and intercepts of scikit-learn's estimators for random_state=0."""
    random_state = np.random.RandomState(0)
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(workload.layer_units):
        bound = np.sqrt((2 if workload.activation == "logistic" else 6) / (fan_in + fan_out))
        coefs.append(random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype))
        intercepts.append(random_state.uniform(-bound, bound, fan_out).astype(dtype))
    return coefs, intercepts


class Torch:
    modules = ("torch",)

    def __init__(self, workload, dtype, epochs, n_threads):
        import torch

        torch.set_num_threads(n_threads)
        self.workload, self.dtype, self.epochs = workload, dtype, epochs

    def arrays(self, X, y):
        import torch

        return torch.from_numpy(X), torch.from_numpy(targets(self.workload, y, self.dtype))

    def fit(self, X, y):
        import torch

        model = torch_model(self.workload, self.dtype)
        loss_of = torch_loss(self.workload)()
        optimizer = torch.optim.Adam(torch_groups(model, self.workload), LEARNING_RATE, fused=True)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X)).split(self.workload.batch):
                loss = loss_of(model(X[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.coefs_, self.intercepts_ = torch_weights(model)
        return self


class Skorch(Torch):
    modules = "skorch", "torch"

    def arrays(self, X, y):
        y = targets(self.workload, y, self.dtype)
        return X, y.ravel() if self.workload.target == "binary" else y

    def fit(self, X, y):
        import skorch
        import torch

        workload = self.workload
        net = skorch.NeuralNetClassifier
        if workload.is_regression:
            net = skorch.NeuralNetRegressor
        elif workload.target == "binary":
            net = skorch.NeuralNetBinaryClassifier
        n_layers = len(workload.layer_units) - 1
        fitted = net(
            torch_model(workload, self.dtype),
            criterion=torch_loss(workload),
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            optimizer__param_groups=[
                (f"{2 * i}.weight", {"weight_decay": ALPHA / workload.batch})
                for i in range(n_layers)
            ],
            lr=LEARNING_RATE,
            max_epochs=self.epochs,
            batch_size=workload.batch,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        ).fit(X, y)
        self.coefs_, self.intercepts_ = torch_weights(fitted.module_)
        return self


def targets(workload, y, dtype, integer=np.int64):
    """Return class numbers (n_rows,) for several classes, else reals (n_rows, n_outputs)."""
    if workload.target.isdigit():
        return y.astype(integer, copy=False)
    return y.astype(dtype, copy=False).reshape(len(y), -1)


def torch_model(workload, dtype):
    """Return an nn.Sequential with the initial weights and without output activation."""
    import torch

    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "logistic": torch.nn.Sigmoid}
    layers = []
    for coef, intercept in zip(*initial_weights(workload, dtype), strict=True):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, *coef.shape)
        linear.weight = torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(coef.T)))
        linear.bias = torch.nn.Parameter(torch.from_numpy(intercept))
        layers += [linear, activation[workload.activation]()]
    return torch.nn.Sequential(*layers[:-1])


def torch_weights(model):
    parameters = [parameter.detach().numpy() for parameter in model.parameters()]
    return [weight.T for weight in parameters[::2]], parameters[1::2]


def torch_groups(model, workload):
    """Return parameter groups: the weights with the L2 penalty, the biases without."""
    parameters = list(model.parameters())
    return [
        {"params": parameters[::2], "weight_decay": ALPHA / workload.batch},
        {"params": parameters[1::2]},
    ]


def torch_loss(workload):
    """Return the class of the loss: a mean over rows, and half the sum over outputs for squares."""
    import torch

    class HalfSquares(torch.nn.Module):
        def forward(self, z, y):
            return torch.nn.functional.mse_loss(z, y) * (z.shape[1] / 2)

    if workload.is_regression:
        return HalfSquares
    return torch.nn.BCEWithLogitsLoss if workload.target == "binary" else torch.nn.CrossEntropyLoss


class Jax:
    modules = ("jax",)

    def __init__(self, workload, dtype, epochs, n_threads):
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", dtype == "float64")
        self.workload, self.dtype, self.epochs = workload, dtype, epochs
        self.epoch = compiled_epoch(workload, dtype)

    def arrays(self, X, y):
        import jax.numpy as jnp

        return jnp.asarray(X), jnp.asarray(targets(self.workload, y, self.dtype, np.int32))

    def fit(self, X, y):
        import jax

        state = jax_state(self.workload, self.dtype)
        random = np.random.default_rng(0)
        order = np.arange(len(X), dtype=np.int32)
        for _ in range(self.epochs):
            state = self.epoch(state, X, y, random.permutation(order))
        weights = jax.device_get(state[0])  # waits for the computation
        self.coefs_, self.intercepts_ = map(list, zip(*weights, strict=True))
        return self


@functools.cache
def compiled_epoch(workload, dtype):
    """Return the compiled function (state, X, y, order) -> state; see `jax_state`."""
    import jax
    import jax.numpy as jnp

    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh, "logistic": jax.nn.sigmoid}
    n_batches = workload.n_rows // workload.batch

    def loss_of(weights, X, y):
        z = X
        for i, (coef, intercept) in enumerate(weights):
            z = (activation[workload.activation](z) if i else z) @ coef + intercept
        if workload.is_regression:
            losses = ((z - y) ** 2).sum(axis=1) / 2
        elif workload.target == "binary":
            losses = jnp.logaddexp(0, z) - y * z
        else:
            losses = jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], 1)[:, 0]
        penalty = sum((coef**2).sum() for coef, _ in weights)
        return losses.mean() + ALPHA / 2 / len(X) * penalty

    def step(state, batch):
        weights, means, squares, t = state
        gradients = jax.grad(loss_of)(weights, *batch)
        t += 1
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        means = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, means, gradients)
        squares = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, squares, gradients)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, means, squares
        )
        return (weights, means, squares, t), None

    def epoch(state, X, y, order):
        def take(rows):
            return X[rows], y[rows]

        whole = n_batches * workload.batch
        batches, left = order[:whole].reshape(n_batches, workload.batch), order[whole:]
        if workload.n_features <= 100:  # narrow rows: reordering all of X at once is faster
            state, _ = jax.lax.scan(step, state, take(batches))
        else:
            state, _ = jax.lax.scan(lambda state, rows: step(state, take(rows)), state, batches)
        if len(left):
            state, _ = step(state, take(left))
        return state

    y_shape = (workload.n_rows,), "int32"
    if not workload.target.isdigit():
        y_shape = (workload.n_rows, workload.layer_units[-1]), dtype
    shapes = ((workload.n_rows, workload.n_features), dtype), y_shape, ((workload.n_rows,), "int32")
    arguments = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
    jitted = jax.jit(epoch, donate_argnums=0)
    return jitted.lower(jax_state(workload, dtype), *arguments).compile()


def jax_state(workload, dtype):
    """Return the state of Adam: [(coef, intercept)], two moments of that form, number of steps."""
    import jax
    import jax.numpy as jnp

    weights = zip(*initial_weights(workload, dtype), strict=True)
    weights = jax.tree.map(jnp.array, list(weights))
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    return weights, *zeros, jnp.zeros((), dtype)


PEERS = {"torch": Torch, "jax": Jax, "skorch": Skorch}


def is_installed(name, modules):
    """Return whether all of `modules` are installed, and print a line if not."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            print(f"without {name}: {module} is not installed", flush=True)
            return False
    return True
