"""Textbook network 2: a 2-4-1 network of sigmoids on 100 random rows with random targets in [0, 1].

Full batch, learning rate 0.01, 1,000 epochs, initial weights uniform in (-1, 1), biases zero. The
article shows a handwritten backward pass that is never called, because automatic differentiation
computes the gradients, and that would fail. The mean is all that can be learned from noise: the
error falls to about the variance of the targets, 1/12, and no further.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is reached on purpose

random = np.random.RandomState(0)
X, y = random.uniform(size=(100, 2)), random.uniform(size=100)
net = MLPRegressor(
    hidden_layer_sizes=(4,),
    activation="logistic",
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=2 * 0.01,  # the article's loss is the mean squared error, fastmlp's is half
    batch_size=100,
    alpha=0,
    init="uniform",
    init_scale=1.0,
    max_iter=1_000,
    tol=0,
    n_iter_no_change=np.inf,
    random_state=0,
).fit(X, y)
for epoch in range(0, 1_000, 100):
    print(f"epoch {epoch:4}  mean squared error {2 * net.loss_curve_[epoch]:.4f}")
print(f"variance of the targets {y.var():.4f}")
