"""Textbook network 5a: one step of a 2-3-1 network of sigmoids, worked by hand.

One row (0.1, 0.2), target 1, learning rate 0.1. The published arithmetic is wrong: z of the first
hidden unit is 0.1 * 0.1 + 0.2 * 0.4 + 0.1 = 0.19, not 0.15, and the sigmoid of 0.15 would be 0.537,
not 0.745. The output weights are not from the article; they continue its series of numbers.
"""

import numpy as np

from fastmlp import MLPRegressor
from fastmlp.inspection import trace_step

coefs = [np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), np.array([[0.7], [0.8], [0.9]])]
intercepts = [np.array([0.1, 0.2, 0.3]), np.array([0.4])]
net = MLPRegressor(
    hidden_layer_sizes=(3,),
    activation="logistic",
    out_activation="logistic",
    solver="sgd",
    momentum=0,
    learning_rate_init=0.1,
    alpha=0,
    init=(coefs, intercepts),
)
step = trace_step(net, [[0.1, 0.2]], [1.0])
print(step)
new = coefs[1] + step.layers[1].coef_update
print("output weights after the step", new.ravel().round(4))
