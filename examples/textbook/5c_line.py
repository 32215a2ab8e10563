"""Textbook network 5c: "linear regression" with one sigmoid unit, 0 -> 0 and 1 -> 1; then 2 and 3?

1,000 steps from zero weights. The published code computes the squared error, which starts at 0.25.
The article says that it prints 0.693 first, but that is log 2, the cross-entropy of an output of
1/2. This script prints both. The result is not a line, because a sigmoid stays within (0, 1).
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastmlp import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is reached on purpose

X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
settings = {
    "hidden_layer_sizes": (),
    "solver": "sgd",
    "momentum": 0,
    "learning_rate_init": 0.4,
    "batch_size": 2,
    "alpha": 0,
    "init": ([np.zeros((1, 1))], [np.zeros(1)]),
    "max_iter": 1_000,
    "tol": 0,
    "n_iter_no_change": np.inf,
}
net = MLPClassifier(loss="log_loss", **settings).fit(X, y)
squared = MLPClassifier(loss="squared_error", **settings).fit(X, y)
for step in range(0, 1_000, 100):
    curves = net.loss_curve_[step], 2 * squared.loss_curve_[step]
    print("step {:3}  cross-entropy {:.3f}  mean squared error {:.3f}".format(step, *curves))
print("at 2 and 3:", net.predict_proba([[2.0], [3.0]])[:, 1].round(6))
