"""Textbook network 5b: XOR by a 2-3-1 network of sigmoids, trained on the squared error.

Full batch, learning rate 1, 1,000 steps. The published code mixes up the gradients of the two
layers. The gradient of the first layer is X.T @ delta_hidden, that of the second is
hidden.T @ delta_out; each has the shape of its weights.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is reached on purpose

X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])
net = MLPRegressor(
    hidden_layer_sizes=(3,),
    activation="logistic",
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=4 * 1.0,  # the article sums the gradient over 4 rows, fastmlp averages
    batch_size=4,
    alpha=0,
    init=lambda fan_in, fan_out, random_state: random_state.randn(fan_in, fan_out),
    max_iter=1_000,
    tol=0,
    n_iter_no_change=np.inf,
    random_state=0,
).fit(X, y)
for epoch in range(0, 1_000, 100):
    print(f"epoch {epoch:3}  mean squared error {2 * net.loss_curve_[epoch]:.4f}")
print("outputs", net.predict(X).round(3))
