"""The workloads of the benchmarks: their data, and the estimators that are compared on them.

All scripts of this folder use this list. By default X is drawn from a standard normal distribution
with ``RandomState(0)``, and the target is computed from ``z = X @ w / sqrt(n_features)``; `DATA`
lists the workloads with other data.
"""

import importlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

CONTENDERS = {"fastmlp": "fastmlp", "sklearn": "sklearn.neural_network"}


@dataclass(frozen=True)
class Workload:
    name: str
    n_rows: int
    n_features: int
    hidden: tuple
    target: str  # "binary", "regression", "matexp" or the number of classes
    batch: int
    activation: str
    source: str
    solver: str = "adam"
    fit_epochs: int | None = None  # if set, the time of a whole fit is reported, not of an epoch

    @property
    def is_regression(self):
        return self.target in ("regression", "matexp")

    @property
    def layer_units(self):
        n_outputs = {"binary": 1, "regression": 1, "matexp": 4}.get(self.target)
        return [self.n_features, *self.hidden, n_outputs or int(self.target)]

    @property
    def n_parameters(self):
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.layer_units))

    @property
    def epoch_flops(self):
        """Floating-point operations of the matrix products of one epoch; None if not counted."""
        if self.fit_epochs or self.name == "sparse":
            return None
        return self.n_rows * flops_per_row(self.layer_units)

    def data(self, dtype):
        """Return new arrays X (n_rows, n_features) and y; X and regression targets have `dtype`."""
        X, y = DATA.get(self.name, _standard_normal)(self, np.dtype(dtype))
        return X, y.astype(dtype, copy=False) if self.is_regression else y

    def estimator(self, contender, epochs, n_threads, **params):
        """Return an estimator of `contender` that trains for exactly `epochs` epochs."""
        module = importlib.import_module(CONTENDERS[contender])
        cls = module.MLPRegressor if self.is_regression else module.MLPClassifier
        if contender == "fastmlp":
            params["n_threads"] = n_threads
        estimator = cls(
            hidden_layer_sizes=self.hidden,
            activation=self.activation,
            solver=self.solver,
            batch_size=self.batch,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=np.inf,
            random_state=0,
            **params,
        )
        if self.name == "grid":
            from sklearn.model_selection import GridSearchCV

            grid = {
                "hidden_layer_sizes": [(50,), (100,)],
                "alpha": [1e-4, 1e-2],
                "learning_rate_init": [1e-3, 1e-2],
            }
            return GridSearchCV(estimator, grid, cv=3)
        return estimator


WORKLOADS = [
    Workload("digits", 1797, 64, (100,), "10", 200, "relu", "scikit-learn's default on its data"),
    Workload("tab20", 100_000, 20, (100,), "binary", 200, "relu", "the default, mid-size table"),
    Workload("reg8x500", 200_000, 8, (500,), "regression", 200, "relu", "skorch #1100"),
    Workload("tab100", 100_000, 100, (256, 256), "binary", 256, "relu", "a tuned tabular network"),
    Workload("mnist100", 60_000, 784, (100,), "10", 200, "relu", "scikit-learn's bench_mnist"),
    Workload("mnist512", 60_000, 784, (512, 512), "10", 256, "relu", "a wider network on MNIST"),
    Workload("big1024", 32_768, 512, (1024,) * 3, "10", 1024, "relu", "BLAS at its best"),
    Workload("deep64", 50_000, 32, (64,) * 6, "binary", 128, "tanh", "deep and narrow"),
    Workload(
        "sklearnex1104", 200_000, 8, (128, 32), "binary", 70, "relu", "scikit-learn-intelex #1104"
    ),
    Workload("matexp", 10_000, 4, (32, 16), "matexp", 10_000, "tanh", "SimpleChains.jl, 2x2 expm"),
    Workload("xor", 4, 2, (2,), "binary", 4, "logistic", "the textbook network"),
]
# Run only if named on the command line.
EXTRAS = [
    Workload("sparse", 20_000, 20_000, (100,), "20", 200, "relu", "CSR with 0.3 % of the values"),
    Workload("lbfgs", 1797, 64, (100,), "10", 200, "relu", "whole fit on digits", "lbfgs", 48),
    Workload(
        "grid", 1797, 64, (100,), "10", 200, "relu", "8 candidates x 3 folds on digits", "adam", 25
    ),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS + EXTRAS}


def flops_per_row(layer_units):
    """Count the floating-point operations of the matrix products of a training step, per row.

    Forward, gradient and delta products count two operations for each weight. The first layer
    needs no delta product, because its input has no delta.
    """
    products = [fan_in * fan_out for fan_in, fan_out in pairwise(layer_units)]
    return 6 * sum(products) - 2 * products[0]


def normal_matrix(random_state, n_rows, n_features, dtype):
    """Draw a standard normal (n_rows, n_features) in blocks of rows, to limit the peak memory."""
    X = np.empty((n_rows, n_features), dtype=dtype)
    block = max(1, 2**18 // n_features)
    for start in range(0, n_rows, block):
        rows = X[start : start + block]
        rows[:] = random_state.standard_normal(rows.shape)
    return X


def _standard_normal(workload, dtype):
    random_state = np.random.RandomState(0)
    X = normal_matrix(random_state, workload.n_rows, workload.n_features, dtype)
    if workload.target == "matexp":
        from scipy.linalg import expm

        return X, expm(X.reshape(-1, 2, 2)).reshape(-1, 4)
    n_columns = int(workload.target) if workload.target.isdigit() else 1
    w = random_state.standard_normal((workload.n_features, n_columns)).astype(dtype)
    z = X @ w / np.sqrt(workload.n_features)
    if workload.target == "regression":
        return X, z.ravel()
    return X, z.argmax(axis=1) if n_columns > 1 else (z.ravel() > 0).astype(int)


def _digits(workload, dtype):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(dtype), y


def _xor(workload, dtype):
    return np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype), np.array([0, 1, 1, 0])


def _sparse(workload, dtype):
    from scipy.sparse import csr_array

    random_state = np.random.RandomState(0)
    n_rows, n_features = workload.n_rows, workload.n_features
    row_length = round(0.003 * n_features)
    columns = random_state.randint(n_features, size=n_rows * row_length).astype(np.int32)
    values = random_state.standard_normal(len(columns)).astype(dtype)
    indptr = np.arange(0, len(columns) + 1, row_length, dtype=np.int32)
    X = csr_array((values, columns, indptr), shape=(n_rows, n_features))
    X.sum_duplicates()
    w = random_state.standard_normal((n_features, int(workload.target))).astype(dtype)
    return X, (X @ w).argmax(axis=1)


DATA = {"digits": _digits, "lbfgs": _digits, "grid": _digits, "xor": _xor, "sparse": _sparse}
