"""Textbook network 3: one sigmoid layer without hidden layers and without bias; the delta rule.

Each step adds X.T @ (error * s * (1 - s)) to the weights (full batch, learning rate 1), which is
gradient descent on the squared error. In the published network a column of ones in X replaces the
bias. Layers of fastmlp have biases, so X lacks that column here, and its weight is the intercept.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is reached on purpose

X, y = np.array([[0.0, 0], [1, 1], [1, 0], [0, 1]]), np.array([0.0, 1, 1, 0])
net = MLPRegressor(
    hidden_layer_sizes=(),
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=4 * 1.0,  # the delta rule sums over the 4 rows, fastmlp averages
    batch_size=4,
    alpha=0,
    init=([np.array([[-0.2], [0.4]])], [np.array([0.1])]),
    max_iter=10_000,
    tol=0,
    n_iter_no_change=np.inf,
).fit(X, y)
for epoch in (0, 10, 100, 1_000):
    print(f"epoch {epoch:4}  mean squared error {2 * net.loss_curve_[epoch]:.5f}")
print("weights", np.append(net.coefs_[0], net.intercepts_[0]).round(3))
print("outputs", net.predict(X).round(3))
