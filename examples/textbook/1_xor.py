"""Textbook network 1: XOR by a 2-2-1 network of sigmoids, trained on the squared error.

Full batch, learning rate 0.1, 10,000 epochs, normal weights. As published it stops at the first
update: biases of shape (1, n) do not take, in place, a gradient that was not summed over the rows.
And two hidden units are few: from many starts some rows of XOR are never told apart.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # that max_iter was reached, as it shall be

X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0.0, 1, 1, 0])
net = MLPRegressor(
    hidden_layer_sizes=(2,),
    activation="logistic",
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=4 * 0.1,  # the article sums the gradient of 4 rows, fastmlp takes the mean
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
net.set_params(random_state=0).fit(X, y)  # an unlucky start
print("from another start", net.predict(X).round(3))
