"""Time typical uses: grid searches, parallel processes, ensembles, tiny fits, the import.

    python bench/usage.py                 all measurements, compared with scikit-learn
    python bench/usage.py grid tiny       two of them

grid       GridSearchCV with n_jobs=1 and 2: many small fits (8 candidates x 3 folds of 25 epochs on
           digits) and few large ones (2 candidates x 2 folds of 12 epochs on data of shape
           20,000 x 100, hidden layers 256, 256); workers are started before the measurement
processes  the large network fitted by two processes at the same time, each on all cores, and by one
           process alone
ensemble   eight networks, 100 epochs each, on iris and on digits: in one call (n_estimators), in
           eight fits one after the other, and in joblib processes with one thread each, which are
           started before the measurement
tiny       10,000 epochs of XOR; a fit of one epoch on iris, in total and without the time of
           scikit-learn's check_X_y
import     `import fastmlp` after `import sklearn.neural_network`
size       the zipped package, which is about the size of its wheel

Each number is the best of --repeat runs, each in a process of its own; contenders alternate. All
use their default number of threads, except with joblib.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import machine
import report
from workloads import BY_NAME

CONTENDERS = "fastmlp", "sklearn"
LARGE = replace(BY_NAME["tab100"], n_rows=20_000)
LARGE_EPOCHS = 12
IRIS_FITS = 200
ENSEMBLE = 8


def main():
    args = parse_arguments()
    result = {"environment": machine.environment(), "threads": machine.n_cores(), "rows": []}
    print(f"{'':46} {'fastmlp':>9} {'scikit-learn':>12} {'ratio':>6}")
    for name in args.what:
        for title, unit, seconds in MEASURES[name](args.repeat):
            fastmlp, sklearn = (seconds.get(contender) for contender in CONTENDERS)
            ratio = f"{sklearn / fastmlp:6.1f}" if sklearn else ""
            cells = f"{report.number(fastmlp):>9} {report.number(sklearn):>12} {ratio}"
            print(f"{title + ', ' + unit:46} {cells}", flush=True)
            result["rows"].append({"what": title, "unit": unit, **seconds})
    whole = list(args.what) == list(MEASURES)
    report.write_json(result, "usage" if whole else "usage-partial")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="*", help=f"from {', '.join(MEASURES)}; default: all")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measurement (3)")
    args = parser.parse_args()
    args.what = args.what or list(MEASURES)
    if not set(args.what) <= set(MEASURES):
        parser.error(f"choose from {', '.join(MEASURES)}")
    return args


def grid(repeat):
    for size in ("small", "large"):
        for n_jobs in (1, 2):
            seconds = best_of(repeat, CONTENDERS, grid_seconds, size, n_jobs)
            yield f"grid search, {size} fits, n_jobs={n_jobs}", "s", seconds


def grid_seconds(contender, size, n_jobs):
    from joblib import Parallel, delayed
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    if size == "small":
        workload = BY_NAME["grid"]
        search = workload.estimator(contender, workload.fit_epochs, None)
    else:
        workload = LARGE
        network = workload.estimator(contender, LARGE_EPOCHS, None)
        search = GridSearchCV(network, {"alpha": [1e-4, 1e-2]}, cv=2)
    search.set_params(n_jobs=n_jobs)
    X, y = workload.data("float64")
    # Start all workers first, then import: a worker that is ready would take the tasks of others.
    Parallel(n_jobs)(delayed(time.sleep)(1) for _ in range(n_jobs))
    brief = clone(search.estimator).set_params(max_iter=1)
    GridSearchCV(brief, {}, cv=2, n_jobs=n_jobs).fit(X, y)
    return timed(search.fit, X, y)


def processes(repeat):
    for n_processes in (1, 2):
        best = dict.fromkeys(CONTENDERS, float("inf"))
        for _ in range(repeat):
            for contender in CONTENDERS:
                children = [Child(large_fit_seconds, contender) for _ in range(n_processes)]
                for child in children:
                    child.ready()
                for child in children:
                    child.go()
                took = max(child.answer() for child in children)
                best[contender] = min(best[contender], took)
        title = "two fits at once" if n_processes == 2 else "one fit alone"
        yield title, "s", best


def large_fit_seconds(contender):
    X, y = LARGE.data("float64")
    LARGE.estimator(contender, 1, None).fit(X, y)
    print("ready", flush=True)
    sys.stdin.readline()
    return timed(LARGE.estimator(contender, LARGE_EPOCHS, None).fit, X, y)


def ensemble(repeat):
    for data in ("iris", "digits"):
        for way in ("in one call", "in turn", "by joblib"):
            contenders = CONTENDERS if way != "in one call" else ["fastmlp"]
            seconds = best_of(repeat, contenders, ensemble_seconds, data, way)
            yield f"{ENSEMBLE} networks of {data}, {way}", "ms", milli(seconds)


def ensemble_seconds(contender, data, way):
    import sklearn.datasets
    from joblib import Parallel, delayed
    from sklearn.base import clone

    X, y = getattr(sklearn.datasets, f"load_{data}")(return_X_y=True)
    n_threads = 1 if way == "by joblib" else None
    network = replace(BY_NAME["digits"], batch="auto").estimator(contender, 100, n_threads)
    if way == "in one call":
        return timed(network.set_params(n_estimators=ENSEMBLE).fit, X, y)
    pool = Parallel(machine.n_cores() if way == "by joblib" else 1)
    pool(delayed(time.sleep)(1) for _ in range(pool.n_jobs))
    pool(delayed(network.fit)(X[:9], y[:9]) for _ in range(ENSEMBLE))
    networks = [clone(network).set_params(random_state=seed) for seed in range(ENSEMBLE)]
    return timed(pool, [delayed(network.fit)(X, y) for network in networks])


def tiny(repeat):
    yield "xor, 10,000 epochs", "ms", milli(best_of(repeat, CONTENDERS, xor_seconds))
    whole = best_of(repeat, CONTENDERS, iris_seconds)
    checks = best_of(repeat, ["check_X_y"], check_seconds)["check_X_y"]
    yield "iris, one epoch", "ms", milli(whole)
    beyond = {contender: seconds - checks for contender, seconds in whole.items()}
    yield "iris, one epoch, without check_X_y", "ms", milli(beyond)


def xor_seconds(contender):
    workload = BY_NAME["xor"]
    X, y = workload.data("float64")
    workload.estimator(contender, 10, None).fit(X, y)
    return timed(workload.estimator(contender, 10_000, None).fit, X, y)


def iris_seconds(contender):
    import importlib

    from sklearn.datasets import load_iris

    from workloads import CONTENDERS as MODULES

    X, y = load_iris(return_X_y=True)
    network = importlib.import_module(MODULES[contender]).MLPClassifier(max_iter=1)
    return min(timed(network.fit, X, y) for _ in range(IRIS_FITS))


def check_seconds(_):
    from sklearn.datasets import load_iris
    from sklearn.utils import check_X_y

    X, y = load_iris(return_X_y=True)
    return min(
        timed(check_X_y, X, y, accept_sparse=["csr", "csc"], multi_output=True)
        for _ in range(IRIS_FITS)
    )


def imports(repeat):
    seconds = best_of(repeat, ["fastmlp"], import_seconds)
    yield "import after sklearn.neural_network", "ms", milli(seconds)


def import_seconds(module):
    import sklearn.neural_network  # noqa: F401

    return timed(__import__, module)


def size(repeat):
    import fastmlp

    zipped = BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(Path(fastmlp.__file__).parent.rglob("*")):
            if path.suffix in (".py", ".so", ".pyd"):
                archive.write(path)
    yield "package, zipped", "MB", {"fastmlp": len(zipped.getvalue()) / 1e6}


MEASURES = {
    "grid": grid,
    "processes": processes,
    "ensemble": ensemble,
    "tiny": tiny,
    "import": imports,
    "size": size,
}


class Child:
    """A process that calls one of the functions above."""

    def __init__(self, function, *args):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", function.__name__, json.dumps(args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self):
        self.process.stdout.readline()

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def answer(self):
        out, _ = self.process.communicate()
        if self.process.returncode:
            raise SystemExit(f"{' '.join(self.process.args[2:])} failed")
        return json.loads(out)


def best_of(repeat, contenders, function, *args):
    """Return {contender: smallest answer} over `repeat` child processes for each."""
    answers = {contender: [] for contender in contenders}
    for _ in range(repeat):
        for contender in contenders:
            answers[contender].append(Child(function, contender, *args).answer())
    return {contender: min(seconds) for contender, seconds in answers.items()}


def milli(seconds):
    return {name: 1e3 * value for name, value in seconds.items()}


def timed(function, *args, **kwargs):
    begin = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - begin


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        warnings.simplefilter("ignore")
        print(json.dumps(globals()[sys.argv[2]](*json.loads(sys.argv[3]))))
    else:
        main()
