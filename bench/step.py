"""Break down the time of a training step by phase, with clocks inside the compiled loops.

    python bench/step.py                            digits, float64, all cores
    python bench/step.py tab100 mnist512 --threads 1 --dtype float32

A pass takes some milliseconds and contains many steps; the fastest pass is reported. Times are
microseconds per step, averaged over the threads at work, which are fewer than --threads if the fit
has measured that fewer are faster. Matrix products are also reported in GFLOP/s of all threads, and
as a fraction of the FMA ceiling of that number of threads.

Phases: gather reads the rows of a batch. gradient includes, in small networks, the sum of the
partial gradients. step includes the update of the transposed copy of the weights. wait is the time
that a thread spends at the two barriers of a step. Reading a clock takes about 30 ns, which matters
only for networks as small as xor.
"""

import argparse
import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import machine
import peers
import report
from fastmlp import _core
from fastmlp._network.architecture import Architecture
from fastmlp._network.network import Network
from workloads import BY_NAME, WORKLOADS, flops_per_row

PASS_FLOPS = 1e9  # work of a pass
STEP_FLOPS = 1e5  # minimum cost of a step, in flops
MOST_ROWS = 20_000  # too large for the caches if rows are long, but fast to generate


@dataclass
class Times:
    """Times of the fastest pass."""

    threads: int  # at work
    rows: float  # mean rows of a batch; the last batch of an epoch may be shorter
    step: float  # seconds
    phases: dict  # {name: seconds per step, mean over threads}


def network_of(workload, dtype, n_threads):
    """Return a Network with the initial weights of the workload."""
    if workload.target == "binary":
        loss = "binary_log_loss"
    else:
        loss = "log_loss" if workload.target.isdigit() else "squared_error"
    architecture = Architecture(
        workload.layer_units, [workload.activation] * len(workload.hidden), loss=loss, dtype=dtype
    )
    network = Network(architecture, optimizer="adam", n_threads=n_threads)
    network.set_parameters(*peers.initial_weights(workload, dtype))
    return network


def dataset_of(workload, dtype):
    """Return the data of the workload as a Dataset for its Network."""
    X, y = workload.data(dtype)
    if workload.target.isdigit():
        return _core.Dataset(X, y.astype(np.int32))
    y = y.reshape(len(y), -1)
    return _core.Dataset(X, y.astype(np.uint8) if workload.target == "binary" else y)


def orders_of(workload):
    """Return row numbers (n_epochs, n_rows) in random order: part of an epoch, or several."""
    work = workload.batch * flops_per_row(workload.layer_units) + STEP_FLOPS
    n_rows = workload.batch * max(4, int(PASS_FLOPS / work))
    random_state = np.random.RandomState(0)
    orders = [
        random_state.permutation(workload.n_rows)[:n_rows]
        for _ in range(max(1, n_rows // workload.n_rows))
    ]
    return np.array(orders, dtype=np.intp)


def measure(workload, dtype, n_threads, seconds=1.0):
    """Measure a step of the workload on at most `n_threads` threads for about `seconds`."""
    workload = replace(workload, n_rows=min(workload.n_rows, MOST_ROWS))
    network, dataset = network_of(workload, dtype, n_threads), dataset_of(workload, dtype)
    orders = orders_of(workload)
    clocks = network._engine(dataset, min(workload.batch, orders.shape[1])).start_clocks()
    step = {
        "learning_rate": peers.LEARNING_RATE,
        "beta_1": peers.BETA_1,
        "beta_2": peers.BETA_2,
        "epsilon": peers.EPSILON,
        "t": 0,
    }
    best = None
    end = time.perf_counter() + seconds
    while best is None or time.perf_counter() < end:
        clocks[:] = 0
        begin = time.perf_counter()
        outcome = network.train(dataset, orders, workload.batch, alpha=peers.ALPHA, step=step)
        took = time.perf_counter() - begin
        step["t"] += outcome.n_steps
        # From time to time a fit tries another number of threads. Passes with such a trial count
        # only if there are no others.
        totals = clocks.sum(axis=1)
        working = totals > 0.9 * totals.max()
        is_mixed = np.any(totals[~working] > 0)
        if best is None:
            is_best = not is_mixed or time.perf_counter() > end
        else:
            is_best = not is_mixed and took < best.step * outcome.n_steps
        if is_best:
            mean = clocks[working].mean(axis=0) / outcome.n_steps
            phases = dict(zip(_core.PHASES, mean.tolist(), strict=True))
            rows = orders.size / outcome.n_steps
            best = Times(int(working.sum()), rows, took / outcome.n_steps, phases)
    return best


def flops_of(workload, n_rows):
    """Return {phase: floating-point operations of its matrix products for `n_rows` rows}."""
    products = [2 * n_rows * fan_in * fan_out for fan_in, fan_out in pairwise(workload.layer_units)]
    return {"forward": sum(products), "delta": sum(products[1:]), "gradient": sum(products)}


def table(workload, dtype, times, ceiling):
    """Return the report on one workload as text."""
    lines = [
        f"{workload.name}, {dtype}, batch {workload.batch:,}, threads at work: {times.threads}",
        f"{'':10}{'us/step':>10}{'of step':>8}{'GFLOP/s':>9}{'of FMA':>8}",
    ]
    flops = flops_of(workload, times.rows)
    flops["a step"] = sum(flops.values())
    for name, seconds in {**times.phases, "a step": times.step}.items():
        line = f"{name:10}{report.number(1e6 * seconds):>10}{seconds / times.step:8.0%}"
        if flops.get(name) and seconds:
            gflops = flops[name] / seconds / 1e9
            line += f"{report.number(gflops):>9}{gflops / ceiling:8.0%}"
        lines.append(line)
    return "\n".join(lines)


def main():
    args = parse_arguments()
    for name in args.workloads:
        for dtype in args.dtype:
            times = measure(BY_NAME[name], dtype, args.threads, args.seconds)
            ceiling = machine.fma_ceiling(dtype, times.threads)
            print(table(BY_NAME[name], dtype, times, ceiling) + "\n", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("workloads", nargs="*", metavar="workload", help="default: digits")
    parser.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    parser.add_argument("--dtype", nargs="+", choices=["float64", "float32"], default=["float64"])
    parser.add_argument("--seconds", type=float, default=1, help="duration of each measurement (1)")
    args = parser.parse_args()
    args.workloads = args.workloads or ["digits"]
    if not set(args.workloads) <= set(names):
        parser.error(f"unknown workload; choose from {', '.join(names)}")
    return args


if __name__ == "__main__":
    main()
