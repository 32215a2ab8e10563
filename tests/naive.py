"""The engine once more, in plain NumPy: the oracle that the compiled one is held to.

NaiveDataset and NaiveNetwork have the interface of fastmlp's Dataset and Network, and none of
their speed. Every formula is written as in the papers and in scikit-learn, every array made anew.
"""

from itertools import chain, pairwise

import numpy as np
from fastmlp._core import OUT_ACTIVATIONS
from scipy.sparse import issparse
from scipy.special import expit, ndtr


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


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
    """x log(y), 0 where x is; longdouble too, unlike SciPy's."""
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
    return np.where(y > p, quantile * (y - p), (1 - quantile) * (p - y))


def _huber(y, p, delta):
    d = np.abs(y - p)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def _smoothed(y, smoothing, n_classes):
    return (1 - smoothing) * y + smoothing / n_classes


def row_losses(loss, y, p, *, delta=1.0, gamma=2.0, quantile=0.5, smoothing=0.0):
    """Loss of each row, of y and outputs p (n, n_outputs), y one-hot for classes."""
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
    """Weighted mean over the rows."""
    return np.average(row_losses(loss, y, p, **params), weights=sample_weight)


def loss_slope(loss, y, p, *, delta=1.0, gamma=2.0, quantile=0.5, smoothing=0.0):
    """Derivative of the sum of the losses by the pre-activations, from outputs p: the textbook's
    derivative by p, times the Jacobian of the output activation where the loss has one."""
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
        "quantile": lambda: (d > 0) * (1 - quantile) - (d < 0) * quantile,
        "poisson": lambda: d,
        "poisson_deviance": lambda: 1 - y / p,
        "gamma": lambda: 1 - y / p,
        "gamma_deviance": lambda: (1 - y / p) / p,
        "binary_brier": lambda: d * p * (1 - p),
        "binary_hinge": lambda: -sign * (sign * p < 1),
    }[loss]()


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., 2011): counter (..., 4) and key (..., 2) of uint32."""
    c = [np.asarray(counter, np.uint64)[..., i] for i in range(4)]
    k = [np.asarray(key, np.uint64)[..., i] for i in range(2)]
    low = np.uint64(2**32 - 1)
    for _ in range(10):
        first, second = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [second >> 32 ^ c[1] ^ k[0], second & low, first >> 32 ^ c[3] ^ k[1], first & low]
        k = [k[0] + np.uint64(0x9E3779B9) & low, k[1] + np.uint64(0xBB67AE85) & low]
    return np.stack(c, axis=-1).astype(np.uint32)


def dropout_factors(rate, rows, n_units, *, layer, step=0, seed=0):
    """What dropout multiplies the outputs of rows (n,) and units by: 0 or 1 / (1 - rate)."""
    threshold = round(65536 * rate)
    counter = np.zeros((len(rows), -(-n_units // 8), 4), np.uint32)
    counter[..., 0], counter[..., 1] = rows[:, None], np.arange(counter.shape[1])
    counter[..., 2], counter[..., 3] = step, layer
    words = philox(counter, [seed & 2**32 - 1, seed >> 32])
    bits = np.stack([words & 0xFFFF, words >> 16], axis=-1).reshape(
        len(rows), 8 * counter.shape[1]
    )[:, :n_units]
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


class NaiveNetwork:
    """In place of fastmlp's Network; `slots` holds flat lists, coefficients first."""

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
    ):
        self.layer_units = list(layer_units)
        self.activations, own = activations, OUT_ACTIVATIONS[loss]
        self.loss, self.loss_params, self.optimizer = loss, loss_params or {}, optimizer
        self.out_activation = out_activation or own
        if self.out_activation != own and own != "identity":
            self.loss = f"{loss}_deviance"
        self.dtype, self.n_steps, self.loss_sums = np.dtype(dtype), 0, []
        self.coefs = [np.zeros(shape, dtype) for shape in pairwise(layer_units)]
        self.intercepts = [np.zeros(fan_out, dtype) for fan_out in layer_units[1:]]
        n_slots = {"sgd": 1, "adam": 2}.get(optimizer, 0)
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
        for out, a in zip([*coefs, *intercepts], self.coefs + self.intercepts, strict=True):
            out[...] = a

    def set_optimizer_state(self, slots):
        self.slots = [list(chain(*self._copied(*slot))) for slot in slots]

    def get_optimizer_state(self):
        n = len(self.coefs)
        return [self._copied(slot[:n], slot[n:]) for slot in self.slots]

    def _forward(self, X):
        """Inputs of every layer and the outputs; pre-activations of every layer."""
        layers, zs = [X], []
        for i, activation in enumerate(self.activations):
            zs.append(layers[-1] @ self.coefs[i] + self.intercepts[i])
            layers.append(FORWARD[activation](zs[-1]).astype(self.dtype))
        zs.append(layers[-1] @ self.coefs[-1] + self.intercepts[-1])
        layers.append(FORWARD[self.out_activation](zs[-1]))
        return layers, zs

    def _backprop(self, X, y, sample_weight, alpha):
        """Loss and gradients (coefficients first, then intercepts) of one batch."""
        layers, zs = self._forward(X)
        total = len(X) if sample_weight is None else sample_weight.sum()
        loss = loss_value(self.loss, y, layers[-1], sample_weight, **self.loss_params)
        loss += 0.5 * alpha * sum((w**2).sum() for w in self.coefs) / total
        delta = loss_slope(self.loss, y, layers[-1], **self.loss_params)
        if self.out_activation != OUT_ACTIVATIONS[self.loss]:
            delta = delta * SLOPE[self.out_activation](zs[-1])
        if sample_weight is not None:
            delta = delta * sample_weight[:, None]
        coef_grads, intercept_grads = [], []
        for i in reversed(range(len(self.coefs))):
            coef_grads.insert(0, (layers[i].T @ delta + alpha * self.coefs[i]) / total)
            intercept_grads.insert(0, delta.sum(axis=0) / total)
            if i:
                slope = SLOPE[self.activations[i - 1]](zs[i - 1])
                delta = (delta @ self.coefs[i].T * slope).astype(self.dtype)
        return loss, coef_grads, intercept_grads

    def _update(self, gradient, state, t, **step):
        """New state of one array (its entry in each slot), and what to add to the array."""
        if self.optimizer == "sgd":
            momentum, rate = step["momentum"], step["learning_rate"]
            v = momentum * state[0] - rate * gradient
            return [v], momentum * v - rate * gradient if step["nesterov"] else v
        beta_1, beta_2 = step["beta_1"], step["beta_2"]
        m = beta_1 * state[0] + (1 - beta_1) * gradient
        v = beta_2 * state[1] + (1 - beta_2) * gradient**2
        rate = step["learning_rate_init"] * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return [m, v], -rate * m / (np.sqrt(v) + step["epsilon"])

    def train(self, dataset, orders, batch_size, *, alpha, step):
        self.n_steps, self.loss_sums = 0, []
        for order in np.atleast_2d(orders):
            self.loss_sums.append(self._epoch(dataset, order, batch_size, alpha, step))

    def _epoch(self, dataset, order, batch_size, alpha, step):
        loss_sum = 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            X, y, sample_weight = dataset.rows(rows, self.dtype, self.layer_units[-1])
            if sample_weight is not None and sample_weight.sum() == 0:
                continue
            loss, coef_grads, intercept_grads = self._backprop(X, y, sample_weight, alpha)
            loss_sum += loss * len(rows)
            self.n_steps += 1
            settings = {**step, "t": step.get("t", 0) + self.n_steps}
            parameters = self.coefs + self.intercepts
            for i, gradient in enumerate(coef_grads + intercept_grads):
                state, update = self._update(gradient, [slot[i] for slot in self.slots], **settings)
                parameters[i] += update
                for slot, new in zip(self.slots, state, strict=True):
                    slot[i] = new
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
        return self._forward(X)[0][-1]
