"""Time an epoch of training, beside scikit-learn, PyTorch, JAX and skorch.

    python bench/fit.py                            every workload, both types, all that is installed
    python bench/fit.py digits xor --threads 1     two of them, on one thread
    python bench/fit.py --against sklearn jax      beside these two only
    python bench/fit.py sparse lbfgs grid          extras, beside scikit-learn, run only when named
    python bench/fit.py --update-readme            and write the table into README.md

How it is measured
------------------
- Each contender has a process of its own, that makes the same data. They take turns, A B C A B C,
  and all others are stopped while one works. Best and median over the turns are reported; ratios
  are to fastmlp, best over best and median over median.
- What is timed is a whole `fit`: users wait for that. The time of an epoch is the time of the fit
  divided by its epochs, so validating X and making the weights are counted. All contenders fit the
  same number of epochs: as many as scikit-learn does in about --seconds, a slower one fewer. A turn
  of a faster one is several such fits, so that it lasts about half as long at least. Who is slow
  stops after two turns, once it has worked for twice --repeat times --seconds; the fit that finds
  out how slow is one of them.
- No stopping rule ends a fit: tol=0, n_iter_no_change=inf. What a workload does not
  name is scikit-learn's default. bench/peers.py tells how the others do the same. Their own arrays,
  made of X and y, and what JAX compiles are made before and not timed.
- All get X (and regression targets) of the same type: float64 against float64, float32 against
  float32.
- All run on --threads threads: fastmlp by `n_threads`, BLAS and OpenMP by their environment
  variables, PyTorch by `set_num_threads`, JAX by the cores that its process may use. NumPy's
  OpenBLAS picks its own kernels; the choice is recorded, and OPENBLAS_CORETYPE changes it.
- GFLOP/s count the matrix products only (`Workload.epoch_flops`). The ceiling is what this machine
  reaches with nothing but FMA instructions, on as many threads, measured between the turns.
- "adds" is the most memory that the fits add to a process that holds X and has fitted a tiny
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
            "--update-readme takes a whole run: every workload, both types, "
            f"against {', '.join(AGAINST)}, not --quick"
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
    parser.add_argument("--seconds", type=float, default=1, help="about so long a turn (1)")
    parser.add_argument("--quick", action="store_true", help="one short turn: does it run?")
    parser.add_argument("--update-readme", action="store_true", help="write README.md's table")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in BY_NAME]
    if unknown:
        parser.error(f"unknown workload {', '.join(unknown)}; there are: {', '.join(BY_NAME)}")
    return args


def compare(workload, dtype, names, args):
    """All contenders in turn on one workload: a row of the result."""
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
    """A contender at one workload. Turns are in seconds per epoch, or per fit of `fit_epochs`."""

    def __init__(self, name, workload, dtype, n_threads):
        super().__init__(__file__, name, workload.name, dtype, n_threads=n_threads)
        self.fit_epochs = workload.fit_epochs
        self.worked = 0  # seconds, in all turns

    def calibrate(self, seconds):
        """Find `speed`, seconds per epoch, from fits of 1, 4, 16 ... epochs."""
        self.epochs, took = 1, self._fit(1, 1)
        while took < seconds / 4 and self.epochs < MAX_EPOCHS:
            self.epochs *= 4
            took = self._fit(self.epochs, 1)
        self.speed = took / self.epochs

    def plan(self, seconds, reference_speed):
        """Set `epochs`, of a fit, and `fits`, of a turn."""
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
    """The child: make the data, then fit as often and as long as each order says."""
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
