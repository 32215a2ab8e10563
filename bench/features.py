"""Time that each feature adds to a fit, relative to the same fit without the feature.

    python bench/features.py                       digits and tab100, both types, all cores
    python bench/features.py tab100 --dtype float32 --threads 1

Fits with and without a feature alternate in one process; the first of each does not count. The
percentage compares the medians of all other fits, so noise can make it negative. gelu is compared
with tanh, which takes about as much arithmetic; four networks trained in one call are compared with
four times one network.
"""

import argparse
import statistics
import time
import warnings
from dataclasses import replace

import machine
from fastmlp._core import NORMALIZATIONS, OPTIMIZERS
from workloads import BY_NAME

FEATURES = {  # parameters with the feature, and those of the fit that it is compared with
    # compared with adam; but rprop takes one step where the others take many
    **{name: ({"solver": name}, {}) for name in OPTIMIZERS if name not in ("adam", "rprop")},
    "gelu, compared with tanh": ({"activation": "gelu"}, {"activation": "tanh"}),
    "dropout": ({"dropout": 0.2}, {}),
    "input_dropout": ({"input_dropout": 0.1}, {}),
    **{f"{name} normalization": ({"normalization": name}, {}) for name in NORMALIZATIONS if name},
    "residual": ({"residual": True}, {}),
    "l1_ratio": ({"l1_ratio": 0.5}, {}),
    "max_norm": ({"max_norm": 3.0}, {}),
    "clip_norm": ({"clip_norm": 1.0}, {}),
    "clip_value": ({"clip_value": 0.1}, {}),
    "cosine, warmup": ({"learning_rate": "cosine", "warmup": 0.05}, {}),
    "ema": ({"average_weights": "ema"}, {}),
    "n_estimators=4": ({"n_estimators": 4}, {}),
}
NETWORKS = {"n_estimators=4": 4}  # number of networks, if more than one
MOST_ROWS = 20_000  # too large for the caches, but fast to train on


def measure(workload, dtype, n_threads, names, seconds):
    """Return {feature: percent added}; each is measured for about `seconds`."""
    workload = replace(workload, n_rows=min(workload.n_rows, MOST_ROWS))
    X, y = workload.data(dtype)

    def seconds_of(epochs, params):
        estimator = workload.estimator("fastmlp", epochs, n_threads).set_params(**params)
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
        return time.perf_counter() - begin

    epochs = max(1, int(0.2 / seconds_of(1, {})))
    added = {}
    for name in names:
        on, off = FEATURES[name]
        if "residual" in on and len(set(workload.hidden)) == len(workload.hidden):
            continue  # no layer is as wide as the one below
        turns, end = {"on": [], "off": []}, time.perf_counter() + seconds
        while len(turns["on"]) < 4 or time.perf_counter() < end:
            turns["on"].append(seconds_of(epochs, on))
            turns["off"].append(seconds_of(epochs, off))
        medians = {side: statistics.median(found[1:]) for side, found in turns.items()}
        added[name] = 100 * (medians["on"] / NETWORKS.get(name, 1) / medians["off"] - 1)
    return added


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=["digits", "tab100"])
    parser.add_argument("--dtype", choices=("float64", "float32"), nargs="+")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=list(FEATURES))
    parser.add_argument("--seconds", type=float, default=4.0, help="for each feature (4)")
    args = parser.parse_args()
    n_threads = args.threads or machine.n_cores()
    columns = {}
    for name in args.workloads:
        for dtype in args.dtype or ("float64", "float32"):
            columns[f"{name}, {dtype}"] = measure(
                BY_NAME[name], dtype, n_threads, args.features, args.seconds
            )
    env = machine.environment()
    print(
        f"Time that a feature adds to a fit, in percent. Measured on {env['date']}:"
        f" {env['processor']}, {n_threads} of {env['cores']} cores, commit {env['commit']}."
    )
    width = max(map(len, args.features))
    print(" " * width + "".join(f"{column:>18}" for column in columns))
    for feature in args.features:
        cells = [found.get(feature) for found in columns.values()]
        cells = [f"{'-':>18}" if cell is None else f"{cell:+17.0f}%" for cell in cells]
        print(f"{feature:{width}}{''.join(cells)}")


if __name__ == "__main__":
    main()
