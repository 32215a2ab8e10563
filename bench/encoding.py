"""Times of encoding a table of 100,000 rows x 20 columns, by library and by part."""

import cProfile
import pstats
import time

import numpy as np
import pandas as pd
from sklearn.preprocessing import OrdinalEncoder

from fastmlp._inputs.encoder import TableEncoder

N = 100_000


def table():
    """10 columns of floats, 5 of few strings, 5 categorical ones of 20 to 220 levels."""
    rng = np.random.default_rng(0)
    columns = {f"number {i}": rng.normal(size=N) for i in range(10)}
    for i in range(5):
        words = np.array([f"word {k}" for k in range(5 + i)], dtype=object)
        columns[f"string {i}"] = words[rng.integers(0, len(words), N)]
    for i in range(5):
        words = np.array([f"level {k}" for k in range(20 + 50 * i)], dtype=object)
        columns[f"category {i}"] = pd.Categorical(words[rng.integers(0, len(words), N)])
    return pd.DataFrame(columns)


def tables():
    """The same data of every library that is installed."""
    frame = table()
    strings = [name for name in frame if name.startswith("string")]
    yield "pandas", frame
    yield "pandas, strings as objects", frame.astype(dict.fromkeys(strings, object))
    yield "NumPy, all as objects", frame.to_numpy(dtype=object)
    yield "NumPy, the floats in float32", frame.iloc[:, :10].to_numpy(np.float32)
    try:
        import pyarrow

        yield "pyarrow", pyarrow.Table.from_pandas(frame)
        import polars

        yield "polars", polars.from_arrow(pyarrow.Table.from_pandas(frame))
    except ImportError as error:
        print(error)


def best(run, X, repeats=5):
    """Seconds of the fastest of several runs on a table."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(X)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    for name, X in tables():
        encoder = TableEncoder().fit(X)
        times = [best(run, X) for run in (encoder.transform, encoder.fit_transform)]
        print(f"{name:30s} transform {times[0]:.3f} s   fit_transform {times[1]:.3f} s")
    X = table()
    encoder = TableEncoder().fit(X)
    for part in ("number", "string", "category"):
        some = X[[name for name in X if name.startswith(part)]]
        own = TableEncoder().fit(some)
        print(f"  pandas, only {part} columns: {best(own.transform, some):.3f} s")
    strings = X[[name for name in X if name.startswith("string")]]
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=2
    ).fit(strings)
    print(f"  the strings by OrdinalEncoder: {best(ordinal.transform, strings):.3f} s")
    with cProfile.Profile() as profile:
        encoder.transform(X)
    pstats.Stats(profile).sort_stats("tottime").print_stats(8)


if __name__ == "__main__":
    main()
