"""What threads, predictions and categories cost TabularClassifier and TabularRegressor.

Wall times are the best of several turns, which other processes disturb least; the CPU times of a
category and a number are compared in pairs, of which the median is taken.
"""

import statistics
import time

import numpy as np

N_FEATURES = 20
N_LEVELS = 10_000


def measure(quick=False):
    """Return {what: value}; with `quick`, of small tables, once."""
    n_rows, repeats = (400, 1) if quick else (20_000, 7)
    one, two = fit_seconds(n_rows, repeats)
    alone, both = predict_seconds(5 * n_rows, repeats)
    predict = f"predict {5 * n_rows:,} rows x {N_FEATURES} columns, seconds"
    return {
        f"fit {n_rows:,} rows x {N_FEATURES} columns, 1 thread / 2 threads": one / two,
        f"{predict} on 1 thread": alone,
        f"{predict} on 2 threads": both,
        f"fit, a category of {N_LEVELS:,} values / a number": category_ratio(2 * n_rows, repeats),
    }


def frame(n_rows):
    """Return a DataFrame of N_FEATURES columns, the last quarter categories, and a target."""
    import pandas as pd

    rng = np.random.RandomState(0)
    n_categories = N_FEATURES // 4
    numbers = [f"number {i}" for i in range(N_FEATURES - n_categories)]
    X = pd.DataFrame({name: rng.standard_normal(n_rows) for name in numbers})
    for i in range(n_categories):
        levels = np.array([f"level {k}" for k in range(4 + 8 * i)])
        X[f"category {i}"] = pd.Categorical(levels[rng.randint(len(levels), size=n_rows)])
    return X, X["number 0"] * X["number 1"] + rng.standard_normal(n_rows)


def regressor(n_threads, epochs, **params):
    from fastmlp import TabularRegressor

    params |= {"max_iter": epochs, "n_threads": n_threads}
    return TabularRegressor(early_stopping=False, random_state=0, **params)


def fit_seconds(n_rows, repeats):
    """Return the wall times of a fit on one thread and on two, in turn."""
    X, y = frame(n_rows)
    turns = ([], [])
    for _ in range(repeats):
        for n_threads in (1, 2):
            model = regressor(n_threads, epochs=8)
            turns[n_threads - 1].append(seconds(model.fit, X, y))
    return [min(turn) for turn in turns]


def predict_seconds(n_rows, repeats):
    """Return the wall times of a prediction on one thread and on two, in turn."""
    X, y = frame(n_rows)
    model = regressor(1, epochs=1).fit(X[:1000], y[:1000])
    turns = ([], [])
    for _ in range(repeats):
        for n_threads in (1, 2):
            model.set_params(n_threads=n_threads)
            turns[n_threads - 1].append(seconds(model.predict, X))
    return [min(turn) for turn in turns]


def category_ratio(n_rows, repeats):
    """Return the CPU time of a fit to one column of many categories, relative to that of a fit to
    one column of numbers."""
    import pandas as pd

    rng = np.random.RandomState(0)
    codes = rng.randint(N_LEVELS, size=n_rows)
    y = rng.standard_normal(N_LEVELS)[codes] + rng.standard_normal(n_rows)
    number = pd.DataFrame({"x": rng.standard_normal(n_rows)})
    category = pd.DataFrame({"x": pd.Categorical([f"level {code}" for code in codes])})
    ratios = []
    for _ in range(repeats):
        times = []
        for X in (number, category):
            model = regressor(1, epochs=4, min_category_count=1)
            times.append(seconds(model.fit, X, y, clock=time.process_time))
        ratios.append(times[1] / times[0])
    return statistics.median(ratios)


def seconds(run, *args, clock=time.perf_counter):
    begin = clock()
    run(*args)
    return clock() - begin
