"""Time an epoch of training, beside scikit-learn.

    python bench/fit.py                            every workload, both types
    python bench/fit.py digits xor --threads 1     two of them, on one thread
    python bench/fit.py sparse lbfgs grid          extras, run only when named
    python bench/fit.py --update-readme            and write the table into README.md

How it is measured
------------------
- Each contender has a process of its own, that makes the same data. Both take turns, A B A B, and
  one is stopped while the other works. Best and median over the turns are reported; the ratio is
  best over best.
- What is timed is a whole `fit`: users wait for that. The time of an epoch is the time of the fit
  divided by its epochs, so validating X and making the weights are counted. Both contenders fit
  the same number of epochs: as many as the slower one does in about --seconds. A turn of the
  faster one is several such fits, so that it lasts about half as long at least.
- No stopping rule ends a fit: tol=0, n_iter_no_change=inf. What a workload does not
  name is scikit-learn's default.
- Both get X (and regression targets) of the same type: float64 against float64, float32 against
  float32.
- Both run on --threads threads: fastmlp by `n_threads`, BLAS by its environment variables. NumPy's
  OpenBLAS picks its own kernels; the choice is recorded, and OPENBLAS_CORETYPE changes it.
- GFLOP/s count the matrix products only (`Workload.epoch_flops`). The ceiling is what this machine
  reaches with nothing but FMA instructions, on as many threads, measured between the turns.
- "adds" is the most memory that the fits add to a process that holds X and has fitted a tiny
  network on 100 rows of it: scikit-learn's / fastmlp's.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import machine
import report
from workloads import BY_NAME, CONTENDERS, EXTRAS, WORKLOADS

MAX_EPOCHS = 10_000


def main():
    args = parse_arguments()
    chosen = [BY_NAME[name] for name in args.workloads] or WORKLOADS
    if args.quick:
        args.seconds, args.repeat = 0.2, 1
    is_whole = chosen == WORKLOADS and len(args.dtype) == 2 and not args.quick
    if args.update_readme and not is_whole:
        sys.exit("--update-readme takes a whole run: every workload, both types, not --quick")

    result = {"threads": args.threads, "repeat": args.repeat, "against": args.against, "rows": []}
    print(report.HEADER.format(against=args.against), flush=True)
    for workload in chosen:
        for dtype in args.dtype:
            row, result["environment"] = compare(workload, dtype, args)
            result["rows"].append(row)
            print(report.line(row), flush=True)

    print("\n" + report.sentence(result))
    print("\n" + report.markdown(result))
    report.save(result, "fit" if is_whole else "fit-partial")
    if args.update_readme:
        report.update_readme(result)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="workload",
        help=f"default: {' '.join(w.name for w in WORKLOADS)}; "
        f"more: {' '.join(w.name for w in EXTRAS)}",
    )
    parser.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    parser.add_argument("--against", choices=CONTENDERS, default="sklearn")
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--repeat", type=int, default=5, help="turns of each contender (5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="about so long a turn (1.5)")
    parser.add_argument("--quick", action="store_true", help="one short turn: does it run?")
    parser.add_argument("--update-readme", action="store_true", help="write README.md's table")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in BY_NAME]
    if unknown:
        parser.error(f"unknown workload {', '.join(unknown)}; there are: {', '.join(BY_NAME)}")
    return args


def compare(workload, dtype, args):
    """Both contenders in turn on one workload: a row of the result, and the environment."""
    with (
        Contender(args.against, workload, dtype, args.threads) as reference,
        Contender("fastmlp", workload, dtype, args.threads) as fastmlp,
    ):
        contenders = reference, fastmlp
        speeds = [contender.calibrate(args.seconds) for contender in contenders]  # s per epoch
        epochs = workload.fit_epochs or min(MAX_EPOCHS, max(1, int(args.seconds / max(speeds))))
        for _ in range(args.repeat):
            for contender, speed in zip(contenders, speeds, strict=True):
                fits = max(1, round(args.seconds / 2 / (speed * epochs)))
                contender.take_turn(epochs, fits)
        per_row = 1 if workload.fit_epochs else epochs
        best = [1e3 * min(contender.turns) / per_row for contender in contenders]
        median = [1e3 * statistics.median(contender.turns) / per_row for contender in contenders]
        flops = workload.epoch_flops
        row = {
            "workload": workload.name,
            "n_rows": workload.n_rows,
            "n_features": workload.n_features,
            "hidden": list(workload.hidden),
            "batch": workload.batch,
            "dtype": dtype,
            "epochs": epochs,
            "unit": "ms per fit" if workload.fit_epochs else "ms per epoch",
            "best": best,
            "median": median,
            "ratio": best[0] / best[1],
            "median_ratio": median[0] / median[1],
            "gflops": flops / best[1] / 1e6 if flops else None,
            "ceiling_gflops": fastmlp.ceiling,
            "X_bytes": fastmlp.started["X_bytes"],
            "added_bytes": [contender.added_bytes for contender in contenders],
        }
        return row, fastmlp.started["environment"]


class Contender:
    """A child process that fits when told to. Talks in lines of JSON."""

    def __init__(self, name, workload, dtype, n_threads):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name, workload.name, dtype, str(n_threads)],
            env=machine.threads_environment(n_threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started = self._answer()
        self.turns = []  # seconds per fit, one number a turn
        self.added_bytes = 0
        self.ceiling = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()

    def calibrate(self, seconds):
        """Seconds per epoch, from fits of 1, 4, 16 ... epochs."""
        epochs = 1
        while True:
            took = self._fit(epochs, 1)
            if took > seconds / 4 or epochs >= MAX_EPOCHS:
                return took / epochs
            epochs *= 4

    def take_turn(self, epochs, fits):
        self.turns.append(self._fit(epochs, fits))

    def _fit(self, epochs, fits):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps({"epochs": epochs, "fits": fits}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.process.send_signal(signal.SIGSTOP)  # its idle threads would go on turning
        self.added_bytes = answer["added_bytes"]
        if answer["ceiling"]:
            self.ceiling = max(answer["ceiling"], self.ceiling or 0)
        return answer["seconds"]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[2:])} failed")
        return json.loads(line)


def serve(name, workload_name, dtype, n_threads):
    """The child: make the data, then fit as often and as long as each line of stdin says."""
    warnings.simplefilter("ignore")
    n_threads = int(n_threads)
    workload = BY_NAME[workload_name]
    X, y = workload.data(dtype)
    X_bytes = X.nbytes if hasattr(X, "nbytes") else X.data.nbytes + X.indices.nbytes
    replace(workload, hidden=(1,)).estimator(name, 1, n_threads).fit(X[:100], y[:100])
    baseline = machine.memory()
    started = {"X_bytes": X_bytes, "environment": {**machine.environment(), **fastmlp_build(name)}}
    print(json.dumps(started), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        estimator = workload.estimator(name, order["epochs"], n_threads)
        begin = time.perf_counter()
        for _ in range(order["fits"]):
            estimator.fit(X, y)
        seconds = (time.perf_counter() - begin) / order["fits"]
        answer = {
            "seconds": seconds,
            "added_bytes": machine.peak_memory() - baseline,
            "ceiling": fma_ceiling(dtype, n_threads) if name == "fastmlp" else None,
        }
        print(json.dumps(answer), flush=True)


def fastmlp_build(name):
    """Version, ISA and compiler of the compiled package, for the environment."""
    if name != "fastmlp":
        return {}
    import fastmlp

    return {"fastmlp": fastmlp.show_config()}


def fma_ceiling(dtype, n_threads):
    """GFLOP/s of FMA instructions alone, on `n_threads` threads."""
    from fastmlp import _core

    return _core.fma_ceiling(_core.isa(), dtype, n_threads)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        os.chdir(machine.ROOT)
        main()
