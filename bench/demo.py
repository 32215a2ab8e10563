"""Classify handwritten digits with scikit-learn's MLPClassifier and with fastmlp's.

Fits a pipeline that scales the pixels and trains a network, then runs a small grid search over such
pipelines. Both classifiers get the same parameters and the same seed, so they reach the same
accuracy. Prints seconds and accuracy, and saves the loss curves to digits_loss.png.
"""

import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastmlp import MLPClassifier

PICTURE = Path("digits_loss.png")
GRID = {
    "mlpclassifier__hidden_layer_sizes": [(50,), (100,)],
    "mlpclassifier__alpha": [1e-4, 1e-1],
}


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are enough here
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    print(f"digits: {len(split[0])} images of 8 x 8 pixels to train on, {len(split[1])} to test on")
    contenders = {"scikit-learn": SklearnMLPClassifier, "fastmlp": MLPClassifier}
    fits, searches = {}, {}
    for name, classifier in contenders.items():
        print(f"training with {name}", flush=True)
        classifier(max_iter=2).fit(X, y)  # starts the threads
        pipeline = make_pipeline(StandardScaler(), classifier(max_iter=40, random_state=0))
        fits[name] = timed_fit(pipeline, *split)
        searches[name] = timed_fit(GridSearchCV(pipeline, GRID, cv=3), *split)

    n_fits = 3 * 4 + 1
    print(f"\n{'':34}{'scikit-learn':>13}{'fastmlp':>10}{'ratio':>8}")
    for title, results in {"one fit": fits, f"grid search, {n_fits} fits": searches}.items():
        seconds = [results[name][1] for name in contenders]
        accuracies = [results[name][2] for name in contenders]
        print(f"{title:24}{'seconds':10}{seconds[0]:13.3f}{seconds[1]:10.3f}", end="")
        print(f"{seconds[0] / seconds[1]:8.1f}")
        print(f"{'':24}{'accuracy':10}{accuracies[0]:13.4f}{accuracies[1]:10.4f}")
    best = searches["fastmlp"][0].best_params_
    print("\nbest of the grid: " + ", ".join(f"{k.split('__')[1]}={v}" for k, v in best.items()))
    plot_loss_curves(fits)
    print(f"loss curves: {PICTURE.resolve()}")


def timed_fit(estimator, X_train, X_test, y_train, y_test):
    """Return the fitted estimator, the seconds of the fit, and its accuracy on the test images."""
    begin = time.perf_counter()
    estimator.fit(X_train, y_train)
    seconds = time.perf_counter() - begin
    return estimator, seconds, estimator.score(X_test, y_test)


def plot_loss_curves(fits):
    """Plot the training loss by epoch, where the two curves coincide, and by time."""
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
    by_epoch, by_time = axes
    for (name, (pipeline, seconds, _)), style in zip(fits.items(), ("-", "--"), strict=True):
        loss_curve = pipeline[-1].loss_curve_
        epochs = range(1, len(loss_curve) + 1)
        by_epoch.plot(epochs, loss_curve, style, label=name)
        by_time.plot([seconds * i / len(epochs) for i in epochs], loss_curve, style, label=name)
    by_epoch.set(xlabel="epoch", ylabel="training loss", yscale="log", title="digits")
    by_time.set(xlabel="seconds", title="by time")
    by_epoch.legend()
    fig.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
