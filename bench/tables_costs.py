"""What threads, predictions and categories cost TabularClassifier and TabularRegressor."""

import statistics
import time

import numpy as np

REPEATS = 5
N_LEVELS = 10_000


def measure(quick=False):
    """Return {what: value}; with `quick`, of small tables."""
    n_rows = 2000 if quick else 20_000
    return {
        "fit, wall time of 1 thread / of 2": threads_ratio(n_rows),
        f"predict {5 * n_rows:,} rows x 20 columns, seconds on 1 thread": predict_seconds(
            5 * n_rows, 1
        ),
        f"predict {5 * n_rows:,} rows x 20 columns, seconds on 2 threads": predict_seconds(
            5 * n_rows, 2
        ),
        f"fit, CPU time with a category of {N_LEVELS:,} values / with a number": category_ratio(
            n_rows
        ),
    }


def frame(n_rows, n_features):
    """Return a DataFrame whose last columns, a quarter, are of categories, and a target."""
    import pandas as pd

    rng = np.random.RandomState(0)
    n_categories = n_features // 4
    X = pd.DataFrame(
        {f"number {i}": rng.standard_normal(n_rows) for i in range(n_features - n_categories)}
    )
    for i in range(n_categories):
        levels = np.array([f"level {k}" for k in range(4 + 8 * i)])
        X[f"category {i}"] = pd.Categorical(levels[rng.randint(len(levels), size=n_rows)])
    return X, X["number 0"] * X["number 1"] + rng.standard_normal(n_rows)


def regressor(n_threads, epochs=4, **params):
    from fastmlp import TabularRegressor

    params |= {"max_iter": epochs, "n_threads": n_threads}
    return TabularRegressor(early_stopping=False, random_state=0, **params)


def threads_ratio(n_rows):
    """Return how much faster two threads are than one, the median of pairs."""
    X, y = frame(n_rows, 20)
    ratios = []
    for _ in range(REPEATS):
        seconds = []
        for n_threads in (1, 2):
            begin = time.perf_counter()
            regressor(n_threads, epochs=16).fit(X, y)
            seconds.append(time.perf_counter() - begin)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def predict_seconds(n_rows, n_threads):
    """Return the wall time of a prediction, the median of some."""
    X, y = frame(n_rows, 20)
    model = regressor(n_threads, epochs=1).fit(X[:1000], y[:1000])
    turns = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        model.predict(X)
        turns.append(time.perf_counter() - begin)
    return statistics.median(turns)


def category_ratio(n_rows):
    """Return the CPU time of a fit to one column of many categories, relative to that of a fit to
    one column of numbers, the median of pairs."""
    import pandas as pd

    rng = np.random.RandomState(0)
    codes = rng.randint(N_LEVELS, size=n_rows)
    y = rng.standard_normal(N_LEVELS)[codes] + rng.standard_normal(n_rows)
    number = pd.DataFrame({"x": rng.standard_normal(n_rows)})
    category = pd.DataFrame({"x": pd.Categorical([f"level {code}" for code in codes])})
    ratios = []
    for _ in range(REPEATS):
        seconds = []
        for X in (number, category):
            begin = time.process_time()
            regressor(1, min_category_count=1).fit(X, y)
            seconds.append(time.process_time() - begin)
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios)
