"""Compare the time of a training epoch with scikit-learn, PyTorch, JAX and skorch.

    python bench/fit.py                          all workloads, both types, all installed libraries
    python bench/fit.py digits xor --threads 1   two workloads, on one thread
    python bench/fit.py --against sklearn jax    compared with these two only
    python bench/fit.py sparse lbfgs grid        extra workloads, run only if named; with
                                                 scikit-learn only
    python bench/fit.py --update-readme          also write the table into README.md

Method
------
- Each contender (fastmlp or another library) runs in a process of its own, which generates the same
  data. The contenders take turns (A B C A B C), and all others are stopped while one works. The
  best and the median over the turns are reported. Ratios are relative to fastmlp: best over best,
  and median over median.
- A whole `fit` is timed, because that is what users wait for. The time of an epoch is the time of
  the fit divided by its number of epochs, so it includes the validation of X and the initialization
  of the weights.
- All contenders fit the same number of epochs, the number that scikit-learn completes in about
  --seconds; a slower contender fits fewer. A turn of a faster contender consists of several such
  fits, so that it takes at least about half of --seconds. A slow contender stops after two turns if
  it has worked for twice --repeat times --seconds; the fit that calibrates its speed may count as
  one of them.
- No stopping rule ends a fit: tol=0, n_iter_no_change=inf. Parameters that a workload does not set
  have scikit-learn's defaults. bench/peers.py describes how the other libraries do the same. The
  conversion of X and y to arrays of another library, and compilation by JAX, are not timed.
- All contenders get X (and regression targets) of the same type: float64 is compared with float64,
  and float32 with float32.
- All run on --threads threads. `n_threads` sets their number for fastmlp, environment variables for
  BLAS and OpenMP, `set_num_threads` for PyTorch, and the cores that its process may use for JAX.
  NumPy's OpenBLAS selects its own kernels; the choice is recorded, and OPENBLAS_CORETYPE changes
  it.
- GFLOP/s count the matrix products only (`Workload.epoch_flops`). The ceiling is the rate of FMA
  instructions alone on this machine with the same number of threads, measured between the turns.
- "adds" is the maximum memory that the fits add to a process that holds X and has fitted a tiny
  network on 100 rows of it.
"""

import argparse
import contextlib
import os
import sys
import time
import warnings
from dataclasses import replace

import machine
import peers
import report
from contender import Contender, compared, serve
from workloads import BY_NAME, EXTRAS, WORKLOADS

AGAINST = {"sklearn": (), **{name: peer.modules for name, peer in peers.PEERS.items()}}
MAX_EPOCHS = 10_000


def main():
    args = parse_arguments()
    chosen = [BY_NAME[name] for name in args.workloads] or WORKLOADS
    if args.quick:
        args.seconds, args.repeat = 0.2, 1
    installed = [name for name in args.against if peers.is_installed(name, AGAINST[name])]
    is_whole = chosen == WORKLOADS and len(args.dtype) == 2 and not args.quick
    if args.update_readme and not (is_whole and installed == list(AGAINST)):
        sys.exit(
            "--update-readme needs a complete run: all workloads, both types, "
            f"against {', '.join(AGAINST)}, without --quick"
        )

    result = {"threads": args.threads, "repeat": args.repeat, "rows": []}
    result["environment"] = machine.environment(name for name in installed if name != "sklearn")
    print(report.HEADER, flush=True)
    for workload in chosen:
        against = ["sklearn"] if workload in EXTRAS else installed
        for dtype in args.dtype:
            row = compare(workload, dtype, ["fastmlp", *against], args)
            result["rows"].append(row)
            print(report.lines(row), flush=True)

    print("\n" + report.sentence(result))
    print("\n" + report.markdown(result))
    report.save(result, "fit" if is_whole else "fit-partial", report.ratio_chart)
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
    parser.add_argument(
        "--against", nargs="*", choices=AGAINST, default=list(AGAINST), help="default: all"
    )
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--repeat", type=int, default=3, help="turns of each contender (3)")
    parser.add_argument("--seconds", type=float, default=1, help="approximate time of a turn (1)")
    parser.add_argument("--quick", action="store_true", help="one short turn, to test the script")
    parser.add_argument("--update-readme", action="store_true", help="write README.md's table")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in BY_NAME]
    if unknown:
        parser.error(f"unknown workload {', '.join(unknown)}; choose from {', '.join(BY_NAME)}")
    return args


def compare(workload, dtype, names, args):
    """Measure all contenders in turn on one workload and return a row of the result."""
    with contextlib.ExitStack() as stack:
        fitters = {
            name: stack.enter_context(Fitter(name, workload, dtype, args.threads)) for name in names
        }
        for fitter in fitters.values():
            started = fitter.started()
        for fitter in fitters.values():
            fitter.calibrate(args.seconds)
        reference = fitters.get("sklearn") or max(fitters.values(), key=lambda fitter: fitter.speed)
        for fitter in fitters.values():
            fitter.plan(args.seconds, reference.speed)
        for _ in range(args.repeat):
            for fitter in fitters.values():
                fitter.take_turn(2 * args.repeat * args.seconds)

    return {
        "workload": workload.name,
        "n_rows": workload.n_rows,
        "n_features": workload.n_features,
        "hidden": list(workload.hidden),
        "batch": workload.batch,
        "dtype": dtype,
        "unit": "ms per fit" if workload.fit_epochs else "ms per epoch",
        "epochs": {name: fitter.epochs for name, fitter in fitters.items()},
        "ceiling_gflops": fitters["fastmlp"].ceiling,
        "X_bytes": started["X_bytes"],
        "contenders": compared(fitters, 1e3, workload.epoch_flops),
    }


class Fitter(Contender):
    """A contender on one workload. Turns are in seconds per epoch, or per fit of `fit_epochs`."""

    def __init__(self, name, workload, dtype, n_threads):
        super().__init__(__file__, name, workload.name, dtype, n_threads=n_threads)
        self.fit_epochs = workload.fit_epochs
        self.worked = 0  # seconds in all turns

    def calibrate(self, seconds):
        """Set `speed`, in seconds per epoch, from fits of 1, 4, 16 ... epochs."""
        self.epochs, took = 1, self._fit(1, 1)
        while took < seconds / 4 and self.epochs < MAX_EPOCHS:
            self.epochs *= 4
            took = self._fit(self.epochs, 1)
        self.speed = took / self.epochs

    def plan(self, seconds, reference_speed):
        """Set `epochs`, the number in a fit, and `fits`, the number in a turn."""
        calibrated = self.epochs
        slower = max(self.speed, reference_speed)
        self.epochs = self.fit_epochs or min(MAX_EPOCHS, max(1, int(seconds / slower)))
        self.fits = max(1, round(seconds / 2 / (self.speed * self.epochs)))
        if (self.epochs, self.fits) == (calibrated, 1):
            self._count(self.speed * self.epochs)

    def take_turn(self, enough):
        if len(self.turns) < 2 or self.worked < enough:
            self._count(self._fit(self.epochs, self.fits))

    def _count(self, took):
        self.worked += took * self.fits
        self.turns.append(took if self.fit_epochs else took / self.epochs)

    def _fit(self, epochs, fits):
        return self.ask({"epochs": epochs, "fits": fits})["seconds"]


def fit_when_told(name, workload_name, dtype, n_threads):
    """Run the child process: make the data, then fit as each order asks."""
    warnings.simplefilter("ignore")
    n_threads = int(n_threads)
    workload = BY_NAME[workload_name]

    is_peer = name in peers.PEERS

    def estimator(workload, epochs):
        if is_peer:
            return peers.PEERS[name](workload, dtype, epochs, n_threads)
        return workload.estimator(name, epochs, n_threads)

    X, y = workload.data(dtype)
    X_bytes = X.nbytes if hasattr(X, "nbytes") else X.data.nbytes + X.indices.nbytes
    tiny = replace(workload, n_rows=min(100, workload.n_rows), hidden=(1,))
    tiny = replace(tiny, batch=min(tiny.batch, tiny.n_rows))
    rows = X[: tiny.n_rows], y[: tiny.n_rows]
    warm = estimator(tiny, 1)
    warm.fit(*(warm.arrays(*rows) if is_peer else rows))
    compiled = estimator(workload, 1)  # JAX compiles here
    baseline = machine.memory()
    if is_peer:
        X, y = compiled.arrays(X, y)

    def answer(order):
        fitted = estimator(workload, order["epochs"])
        begin = time.perf_counter()
        for _ in range(order["fits"]):
            fitted.fit(X, y)
        seconds = (time.perf_counter() - begin) / order["fits"]
        return {
            "seconds": seconds,
            "added_bytes": machine.peak_memory() - baseline,
            "ceiling": machine.fma_ceiling(dtype, n_threads) if name == "fastmlp" else 0,
        }

    serve({"X_bytes": X_bytes}, answer)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        fit_when_told(*sys.argv[2:])
    else:
        os.chdir(machine.ROOT)
        main()
