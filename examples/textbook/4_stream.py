"""Textbook network 4: a 2-4-1 network of sigmoids on a stream of data, 100 new rows in each step.

Random inputs, random labels 0 and 1, 1,000 steps at learning rate 0.01. In the published code the
shapes do not match, and the delta of the hidden layer lacks the derivative of the sigmoid. Random
labels cannot be predicted: the best output is 1/2, with a mean squared error of 1/4.
"""

import numpy as np

from fastmlp import MLPClassifier

random = np.random.RandomState(0)
net = MLPClassifier(
    hidden_layer_sizes=(4,),
    activation="logistic",
    loss="squared_error",
    solver="sgd",
    momentum=0,
    learning_rate_init=100 * 0.01,  # the article sums over the 100 rows, fastmlp averages
    batch_size=100,
    alpha=0,
    init="normal",
    init_scale=1.0,
    random_state=0,
)
for step in range(1_000):
    X, y = random.uniform(size=(100, 2)), random.randint(0, 2, size=100)
    net.partial_fit(X, y, classes=[0, 1])
    if step % 100 == 0:
        print(f"step {step:3}  mean squared error {2 * net.loss_:.4f}")
print("outputs", net.predict_proba(X[:5])[:, 1].round(2))
