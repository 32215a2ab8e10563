"""A naive engine in plain NumPy: the reference that the compiled engine is compared with.

NaiveDataset and NaiveNetwork have the interface of fastmlp's Dataset and Network. Every formula is
written as in the papers and in scikit-learn, without regard to speed.
"""

from itertools import chain, pairwise

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, ndtr

from fastmlp._core import OUT_ACTIVATIONS
from fastmlp._network.network import Outcome


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


EPSILON = 1e-5  # added to the variance by normalization
MOMENTS = {  # normalization -> the mean and the variance that it normalizes by
    "batch": lambda z: (z.mean(axis=0), z.var(axis=0)),
    "layer": lambda z: (z.mean(axis=1, keepdims=True), z.var(axis=1, keepdims=True)),
}
SELU = 1.0507009873554805, 1.6732632423543772
FORWARD = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "exp": np.exp,
    "softmax": _softmax,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * ndtr(z),
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hard_tanh": lambda z: np.clip(z, -1, 1),
}


def _mish_slope(z):
    tanh = np.tanh(np.logaddexp(0, z))
    return tanh + z * (1 - tanh**2) * expit(z)


SLOPE = {  # derivative of the activation
    "identity": lambda z: np.ones_like(z),
    "logistic": lambda z: expit(z) * (1 - expit(z)),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0).astype(z.dtype),
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.exp(np.minimum(z, 0)),
    "selu": lambda z: SELU[0] * np.where(z > 0, 1, SELU[1] * np.exp(np.minimum(z, 0))),
    "gelu": lambda z: ndtr(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    "silu": lambda z: expit(z) * (1 + z * expit(-z)),
    "mish": _mish_slope,
    "softplus": expit,
    "softsign": lambda z: 1 / (1 + np.abs(z)) ** 2,
    "hard_tanh": lambda z: (np.abs(z) < 1).astype(z.dtype),
    "exp": np.exp,
}


def xlogy(x, y):
    """x log(y), and 0 where x is 0; takes longdouble too, unlike SciPy's."""
    return x * np.log(np.where(x == 0, 1, y))


def _cross_entropy(y, p):
    eps = np.finfo(p.dtype).eps
    return -xlogy(y, np.clip(p, eps, 1 - eps))


def _true(y, p):
    """Probability of the true answer, per class or label."""
    return np.where(y != 0, p, 1 - p)


def _hinge(y, z):
    rival = np.where(y != 0, -np.inf, z).max(axis=1)
    return np.maximum(0, 1 - ((y * z).sum(axis=1) - rival))


def _focal(p, gamma):
    return -((1 - p) ** gamma) * np.log(p)


def _pinball(y, p, quantile):
    quantile = np.asarray(quantile)
    return np.where(y > p, quantile * (y - p), (1 - quantile) * (p - y))


def _huber(y, p, delta):
    d = np.abs(y - p)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def _smoothed(y, smoothing, n_classes):
    return (1 - smoothing) * y + smoothing / n_classes


def row_losses(loss, y, p, *, delta=1.0, gamma=2.0, quantile=0.5, smoothing=0.0):
    """Loss of each row, from y and outputs p (n, n_outputs); y is one-hot for classes."""
    if loss.endswith("log_loss"):
        binary = loss == "binary_log_loss"
        y = _smoothed(y, smoothing, 2 if binary else p.shape[1])
        terms = _cross_entropy(y, p) + (_cross_entropy(1 - y, 1 - p) if binary else 0)
        return terms.sum(axis=1)
    if loss == "focal":
        return _focal((y * p).sum(axis=1), gamma)
    if loss == "hinge":
        return _hinge(y, p)
    return {
        "squared_error": lambda: (y - p) ** 2 / (2 * p.shape[1]),
        "absolute_error": lambda: np.abs(y - p),
        "huber": lambda: _huber(y, p, delta),
        "log_cosh": lambda: np.log(np.cosh(y - p)),
        "quantile": lambda: _pinball(y, p, quantile),
        "poisson": lambda: xlogy(y, y / p) - y + p,
        "gamma": lambda: y / p - np.log(y / p) - 1,
        "binary_focal": lambda: _focal(_true(y, p), gamma),
        "brier": lambda: (y - p) ** 2 / 2,
        "binary_brier": lambda: (y - p) ** 2 / 2,
        "binary_hinge": lambda: np.maximum(0, 1 - np.where(y != 0, p, -p)),
    }[loss.removesuffix("_deviance")]().sum(axis=1)


def loss_value(loss, y, p, sample_weight=None, **params):
    """Weighted mean of the loss over the rows."""
    return np.average(row_losses(loss, y, p, **params), weights=sample_weight)


def loss_slope(loss, y, p, *, delta=1.0, gamma=2.0, quantile=0.5, smoothing=0.0):
    """Derivative of the sum of the losses with respect to the pre-activations, from outputs p: the
    textbook's derivative with respect to p, times the Jacobian of the loss's output activation."""
    if loss.endswith("log_loss"):
        return p - _smoothed(y, smoothing, 2 if loss == "binary_log_loss" else p.shape[1])
    if loss in ("focal", "brier"):
        q = (y * p).sum(axis=1, keepdims=True)
        focal = gamma * (1 - q) ** (gamma - 1) * np.log(q) - (1 - q) ** gamma / q
        slope = y * focal if loss == "focal" else p - y
        return p * (slope - (p * slope).sum(axis=1, keepdims=True))
    if loss == "hinge":
        rivals = np.where(y != 0, -np.inf, p)
        active = _hinge(y, p) > 0
        return active[:, None] * ((rivals == rivals.max(axis=1, keepdims=True)) * 1.0 - y)
    if loss == "binary_focal":
        q, sign = _true(y, p), np.where(y != 0, 1, -1)
        return (
            sign * p * (1 - p) * (gamma * (1 - q) ** (gamma - 1) * np.log(q) - (1 - q) ** gamma / q)
        )
    d, sign = p - y, np.where(y != 0, 1, -1)
    return {
        "squared_error": lambda: d,
        "absolute_error": lambda: np.sign(d),
        "huber": lambda: np.clip(d, -delta, delta),
        "log_cosh": lambda: np.tanh(d),
        "quantile": lambda: (d > 0) * 1.0 - np.asarray(quantile) * (d != 0),
        "poisson": lambda: d,
        "poisson_deviance": lambda: 1 - y / p,
        "gamma": lambda: 1 - y / p,
        "gamma_deviance": lambda: (1 - y / p) / p,
        "binary_brier": lambda: d * p * (1 - p),
        "binary_hinge": lambda: -sign * (sign * p < 1),
    }[loss]()


THREEFRY = [(10, 26), (11, 21), (13, 27), (23, 5), (6, 20), (17, 11), (25, 10), (18, 20)]


def threefry(counter, key, rounds=20):
    """Threefry4x32 (Salmon et al., 2011): counter (..., 4) and key (4) of uint32."""
    x = [np.asarray(counter, np.uint32)[..., i].copy() for i in range(4)]
    key = [np.uint32(k) for k in key]
    key.append(np.uint32(0x1BD11BDA) ^ key[0] ^ key[1] ^ key[2] ^ key[3])

    def inject(r):
        for i in range(4):
            x[i] = x[i] + key[(r + i) % 5]
        x[3] = x[3] + np.uint32(r)

    def mix(a, b, n):
        x[a] = x[a] + x[b]
        x[b] = (x[b] << np.uint32(n) | x[b] >> np.uint32(32 - n)) ^ x[a]

    with np.errstate(over="ignore"):  # scalars warn of overflow
        inject(0)
        for r in range(rounds):
            m, n = THREEFRY[r % 8]
            mix(0, 3 if r % 2 else 1, m)
            mix(2, 1 if r % 2 else 3, n)
            if r % 4 == 3:
                inject(r // 4 + 1)
    return np.stack(x, axis=-1)


def dropout_factors(rate, rows, n_units, *, layer, step=0, seed=0):
    """What dropout multiplies the outputs of rows (n,) and units by: 0 or 1 / (1 - rate)."""
    threshold, n_blocks = round(65536 * rate), -(-n_units // 128)
    counter = np.zeros((len(rows), n_blocks, 16, 4), np.uint32)
    counter[..., 0] = rows[:, None, None]
    counter[..., 2] = np.arange(16 * n_blocks).reshape(n_blocks, 16)
    words = threefry(counter, [seed & 2**32 - 1, seed >> 32, step, layer], rounds=12)
    words = words.swapaxes(-1, -2)  # (rows, blocks, word, call)
    bits = np.stack([words & 0xFFFF, words >> 16], axis=-1)
    bits = bits.reshape(len(rows), 128 * n_blocks)[:, :n_units]
    return np.where(bits < threshold, 0, 65536 / (65536 - threshold))


class NaiveDataset:
    """X: (n, n_features), dense or sparse; y, sample_weight: as fastmlp's Dataset takes them."""

    def __init__(self, X, y=None, sample_weight=None):
        self.X, self.y, self.sample_weight = X, y, sample_weight

    def rows(self, rows, dtype, n_outputs):
        """X (dense), y (one-hot) and sample_weight of these rows, in the computing type."""
        X, y, sample_weight = [
            None if a is None else a[rows] for a in (self.X, self.y, self.sample_weight)
        ]
        X = X.toarray() if issparse(X) else X
        if y is not None and y.ndim == 1:
            y = y[:, None] == np.arange(n_outputs)
        return [None if a is None else a.astype(dtype) for a in (X, y, sample_weight)]


N_SLOTS = {None: 0, "sgd": 1, "rmsprop": 1, "adagrad": 1, "lion": 1}  # else 2


def optimizer_step(optimizer, t, gradient, state, *, rate, epsilon=0, momentum=0, **settings):
    """Step t of an optimizer on one array, as in its paper (adam: as in scikit-learn).

    Returns the change of the array, the new state, and the distance by which this step would move
    the array if its gradient had been one in all steps so far: the reach of the L1 penalty.
    """
    if optimizer == "sgd":
        v = momentum * state[0] - rate * gradient
        move = momentum * v - rate * gradient if settings["nesterov"] else v
        return move, [v], rate * sum(momentum**i for i in range(t + settings["nesterov"]))
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    if optimizer == "lion":
        direction = np.sign(beta_1 * state[0] + (1 - beta_1) * gradient)
        return -rate * direction, [beta_2 * state[0] + (1 - beta_2) * gradient], 0
    if optimizer == "rprop":
        turns = np.sign(gradient * state[0])
        size = np.where(state[1] == 0, rate, state[1])
        size = np.clip(size * np.select([turns > 0, turns < 0], [1.2, 0.5], 1), 1e-6, 50)
        gradient = np.where(turns < 0, 0, gradient)
        return -size * np.sign(gradient), [gradient, size], 0
    if optimizer == "rmsprop":
        v = beta_2 * state[0] + (1 - beta_2) * gradient**2
        reach = rate / (np.sqrt(v) + epsilon)
        return -reach * gradient, [v], reach
    if optimizer == "adagrad":
        v = state[0] + gradient**2
        reach = rate / (np.sqrt(v) + epsilon)
        return -reach * gradient, [v], reach
    assert optimizer in ("adam", "adamw", "nadam", "radam"), optimizer
    m = beta_1 * state[0] + (1 - beta_1) * gradient
    v = beta_2 * state[1] + (1 - beta_2) * gradient**2
    first, second = m / (1 - beta_1**t), v / (1 - beta_2**t)
    reach = rate / (np.sqrt(second) + epsilon)
    if optimizer == "adam":
        reach = rate * np.sqrt(1 - beta_2**t) / (np.sqrt(v) + epsilon)
    if optimizer == "nadam":
        momenta = [beta_1 * (1 - 0.5 * 0.96 ** (0.004 * i)) for i in range(1, t + 2)]
        own = (1 - momenta[-2]) / (1 - np.prod(momenta[:-1]))
        past = momenta[-1] / (1 - np.prod(momenta))
        return -reach * (own * gradient + past * m), [m, v], reach * (own + past * (1 - beta_1**t))
    if optimizer == "radam":
        most = 2 / (1 - beta_2) - 1
        rho = most - 2 * t * beta_2**t / (1 - beta_2**t)
        reach = np.full_like(m, rate)
        if rho > 5:
            r = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
            reach = rate * np.sqrt(r * (1 - beta_2**t)) / (np.sqrt(v) + epsilon)
    return -reach * first, [m, v], reach


class NaiveNetwork:
    """Replaces fastmlp's Network. Each of `slots` is a flat list of arrays, coefficients first."""

    def __init__(
        self,
        layer_units,
        *,
        activations,
        loss,
        dtype,
        out_activation=None,
        loss_params=None,
        optimizer=None,
        n_threads=1,
        frozen_layers=(),
        average=False,
    ):
        self.layer_units = list(layer_units)
        self.activations, own = activations, OUT_ACTIVATIONS[loss]
        self.loss, self.loss_params, self.optimizer = loss, loss_params or {}, optimizer
        self.out_activation = out_activation or own
        if self.out_activation != own and own != "identity":
            self.loss = f"{loss}_deviance"
        self.dtype, self.n_steps = np.dtype(dtype), 0
        self.coefs = [np.zeros(shape, dtype) for shape in pairwise(layer_units)]
        self.intercepts = [np.zeros(fan_out, dtype) for fan_out in layer_units[1:]]
        self.frozen_layers, self.averages = frozen_layers, None
        n_slots = N_SLOTS.get(optimizer, 2)
        self.slots = [[a * 0 for a in self.coefs + self.intercepts] for _ in range(n_slots)]

    def _copied(self, coefs, intercepts):
        shapes = [*pairwise(self.layer_units)], [(fan_out,) for fan_out in self.layer_units[1:]]
        for arrays, expected in zip((coefs, intercepts), shapes, strict=True):
            if [a.shape for a in arrays] != expected or any(a.dtype != self.dtype for a in arrays):
                raise ValueError("wrong shape or dtype")
        return [a.copy() for a in coefs], [a.copy() for a in intercepts]

    def set_parameters(self, coefs, intercepts):
        self.coefs, self.intercepts = self._copied(coefs, intercepts)

    def get_parameters(self, coefs, intercepts):
        arrays = self.averages or self.coefs + self.intercepts
        for out, a in zip([*coefs, *intercepts], arrays, strict=True):
            out[...] = a

    def set_optimizer_state(self, slots):
        self.slots = [list(chain(*self._copied(*slot))) for slot in slots]

    def get_optimizer_state(self):
        n = len(self.coefs)
        return [self._copied(slot[:n], slot[n:]) for slot in self.slots]

    def _forward(self, X):
        """A list of the inputs of each layer and the outputs; a list of pre-activations."""
        layers, zs = [X], []
        for i, activation in enumerate(self.activations):
            zs.append(layers[-1] @ self.coefs[i] + self.intercepts[i])
            layers.append(FORWARD[activation](zs[-1]).astype(self.dtype))
        zs.append(layers[-1] @ self.coefs[-1] + self.intercepts[-1])
        layers.append(FORWARD[self.out_activation](zs[-1]))
        return layers, zs

    def _backprop(self, X, y, sample_weight, alpha, l1_ratio=0):
        """Loss and gradients (coefficients first, then intercepts) of one batch."""
        layers, zs = self._forward(X)
        total = len(X) if sample_weight is None else sample_weight.sum()
        loss = loss_value(self.loss, y, layers[-1], sample_weight, **self.loss_params)
        trained = [w for i, w in enumerate(self.coefs) if i not in self.frozen_layers]
        loss += 0.5 * alpha * (1 - l1_ratio) * sum((w**2).sum() for w in trained) / total
        loss += alpha * l1_ratio * sum(np.abs(w).sum() for w in trained) / total
        delta = loss_slope(self.loss, y, layers[-1], **self.loss_params)
        if self.out_activation != OUT_ACTIVATIONS[self.loss]:
            delta = delta * SLOPE[self.out_activation](zs[-1])
        if sample_weight is not None:
            delta = delta * sample_weight[:, None]
        coef_grads, intercept_grads = [], []
        for i in reversed(range(len(self.coefs))):
            l2 = alpha * (1 - l1_ratio)
            coef_grads.insert(0, (layers[i].T @ delta + l2 * self.coefs[i]) / total)
            intercept_grads.insert(0, delta.sum(axis=0) / total)
            if i in self.frozen_layers:
                coef_grads[0], intercept_grads[0] = 0 * coef_grads[0], 0 * intercept_grads[0]
            if i:
                slope = SLOPE[self.activations[i - 1]](zs[i - 1])
                delta = (delta @ self.coefs[i].T * slope).astype(self.dtype)
        return loss, coef_grads, intercept_grads

    def _step(self, gradients, l1, t, *, learning_rate, clip_norm=None, clip_value=None, **more):
        """Take step t; l1 is the coefficient of the L1 penalty, divided by the batch's weight."""
        norm = np.sqrt(sum((g.astype(float) ** 2).sum() for g in gradients))
        if clip_norm is not None:
            gradients = [g * min(1, clip_norm / (norm + 1e-6)) for g in gradients]
        if clip_value is not None:
            gradients = [np.clip(g, -clip_value, clip_value) for g in gradients]
        more = {"rate": learning_rate} | more
        decay, max_norm = more.pop("weight_decay", 0), more.pop("max_norm", None)
        ema = more.pop("ema", False)
        parameters = self.coefs + self.intercepts
        if ema and self.averages is None:
            self.averages = [w.copy() for w in parameters]
        for i, (w, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            if i % len(self.coefs) in self.frozen_layers:
                continue
            old = [slot[i] for slot in self.slots]
            move, state, reach = optimizer_step(self.optimizer, t, gradient, old, **more)
            for slot, new in zip(self.slots, state, strict=True):
                slot[i] = new.astype(self.dtype)
            is_coef = i < len(self.coefs)
            w += (move - learning_rate * decay * w * is_coef).astype(self.dtype)
            if is_coef and l1:
                w[...] = np.sign(w) * np.maximum(np.abs(w) - l1 * reach, 0)
            if is_coef and max_norm is not None:
                w *= np.minimum(1, max_norm / np.linalg.norm(w, axis=0)).astype(self.dtype)
        if ema:
            for average, w in zip(self.averages, parameters, strict=True):
                average += (1 - min(0.999, (1 + t) / (10 + t))) * (w - average)

    def train(self, dataset, orders, batch_size, *, alpha, step):
        self.n_steps, orders = 0, np.atleast_2d(orders)
        losses = [self._epoch(dataset, order, batch_size, alpha, step) for order in orders]
        return Outcome(self.n_steps, losses)

    def _epoch(self, dataset, order, batch_size, alpha, step):
        loss_sum = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            X, y, sample_weight = dataset.rows(rows, self.dtype, self.layer_units[-1])
            if sample_weight is not None and sample_weight.sum() == 0:
                continue
            settings = dict(step)
            t, l1_ratio = settings.pop("t", 0), settings.pop("l1_ratio", 0)
            loss, *gradients = self._backprop(X, y, sample_weight, alpha, l1_ratio)
            loss_sum += loss * len(rows)
            self.n_steps += 1
            total = len(rows) if sample_weight is None else sample_weight.sum()
            self._step(
                list(chain(*gradients)), alpha * l1_ratio / total, t + self.n_steps, **settings
            )
        return float(loss_sum)

    def loss_and_gradient(self, dataset, alpha, gradient):
        loss, *parts = self._backprop(
            *dataset.rows(slice(None), self.dtype, self.layer_units[-1]), alpha
        )
        for outs, arrays in zip(gradient, parts, strict=True):
            for out, a in zip(outs, arrays, strict=True):
                out[...] = a
        return float(loss)

    def predict(self, dataset, rows=None):
        rows = slice(None) if rows is None else rows
        X, *_ = dataset.rows(rows, self.dtype, self.layer_units[-1])
        coefs, intercepts, n = self.coefs, self.intercepts, len(self.coefs)
        if self.averages:
            self.coefs, self.intercepts = self.averages[:n], self.averages[n:]
        outputs = self._forward(X)[0][-1]
        self.coefs, self.intercepts = coefs, intercepts
        return outputs
