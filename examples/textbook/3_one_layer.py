"""Textbook network 3: one layer of a sigmoid, no hidden layer and no bias; the delta rule.

The weights move by X.T @ (error * s * (1 - s)), full batch, rate 1: gradient descent on the squared
error. Where such a network is shown, a column of ones in X does a bias's work. In fastmlp, layers
have biases: without that column it is the same network, and its intercept is that column's weight.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # that max_iter was reached, as it shall be

X, y = np.array([[0.0, 0], [1, 1], [1, 0], [0, 1]]), np.array([0.0, 1, 1, 0])
net = MLPRegressor(
    hidden_layer_sizes=(),
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=4 * 1.0,  # the delta rule sums over the 4 rows, fastmlp takes the mean
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
