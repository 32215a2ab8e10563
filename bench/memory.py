"""Compare the peak memory that a fit adds with a bound of 64 MB + 24 bytes per parameter.

    python bench/memory.py

X has shape (60,000, 784). Each row of the table is measured in a process of its own, which imports
the library, makes X, fits a tiny network on 100 rows (the baseline is the memory held after that),
and fits the network of interest on all rows for two epochs. Thus the parameters are counted, but X
and the imports are not. 1 MB is 10^6 bytes. The exit status is 1 if a fit of fastmlp adds more than
the bound.
"""

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import machine
from workloads import BY_NAME

HIDDEN = (100,), (512, 512)
X_DTYPES = "float32", "float64"
# estimator and its `dtype` setting
SETTINGS = (
    ("sklearn", None),
    ("fastmlp", "auto"),
    ("fastmlp", "float32"),
    ("fastmlp", "float64"),
)


def workload_of(hidden):
    return replace(BY_NAME["mnist100"], hidden=tuple(hidden))


def main():
    print("   hidden  X         MB   estimator dtype     adds MB  bound")
    is_within = True
    for hidden in HIDDEN:
        bound = 64e6 + 24 * workload_of(hidden).n_parameters
        for X_dtype in X_DTYPES:
            for contender, dtype in SETTINGS:
                X_bytes, added = measure(hidden, X_dtype, contender, dtype)
                is_over = contender == "fastmlp" and added > bound
                is_within &= not is_over
                print(
                    f"{', '.join(map(str, hidden)):>9}  {X_dtype:7}  {X_bytes / 1e6:5.0f}  "
                    f"{contender:9} {dtype or '-':8} {added / 1e6:8.1f} {bound / 1e6:6.1f}"
                    f"{'  OVER' if is_over else ''}",
                    flush=True,
                )
    return 0 if is_within else 1


def measure(*order):
    """Return the bytes of X and the bytes that the fit adds, measured in a child process."""
    command = [sys.executable, __file__, "--child", json.dumps(order)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout)


def fit(hidden, X_dtype, contender, dtype):
    """Run the child process."""
    warnings.simplefilter("ignore")
    workload = workload_of(hidden)
    X, y = workload.data(X_dtype)
    params = {} if dtype is None else {"dtype": dtype}
    tiny = replace(workload, hidden=(1,)).estimator(contender, 1, None, **params)
    tiny.fit(X[:100], y[:100])
    baseline = machine.memory()
    workload.estimator(contender, 2, None, **params).fit(X, y)
    print(json.dumps([X.nbytes, machine.peak_memory() - baseline]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        fit(*json.loads(sys.argv[2]))
    else:
        sys.exit(main())
