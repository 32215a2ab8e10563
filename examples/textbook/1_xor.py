"""Textbook network 1: XOR by a 2-2-1 network of sigmoids, trained on the squared error.

Full batch, learning rate 0.1, 10,000 epochs, initial weights from a normal distribution. The
published code fails at the first update: the gradient of the biases is not summed over the rows, so
it cannot be subtracted in place from biases of shape (1, n). Two hidden units are also very few:
from many initial weights, training never separates some rows of XOR.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is reached on purpose

X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])
net = MLPRegressor(
    hidden_layer_sizes=(2,),
    activation="logistic",
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=4 * 0.1,  # the article sums the gradient over 4 rows, fastmlp averages
    batch_size=4,
    alpha=0,
    init="normal",
    init_scale=1.0,
    max_iter=10_000,
    tol=0,
    n_iter_no_change=np.inf,
    random_state=10,
).fit(X, y)
for epoch in range(0, 10_000, 1_000):
    print(f"epoch {epoch:5}  mean squared error {2 * net.loss_curve_[epoch]:.4f}")  # loss_ is half
print("outputs", net.predict(X).round(3))
net.set_params(random_state=0).fit(X, y)  # unlucky initial weights
print("from other initial weights", net.predict(X).round(3))
