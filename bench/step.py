"""Where the time of a training step goes, by the clocks inside the loops.

    python bench/step.py                            digits, float64, all cores
    python bench/step.py tab100 mnist512 --threads 1 --dtype float32

A pass is some milliseconds of steps; the fastest counts. Microseconds are a step's, the mean over
the threads at work: a fit takes fewer threads than it may where it finds them faster. The products
are also given in GFLOP/s of all threads, and as a share of the FMA ceiling of as many.

gather takes in the rows of a batch. gradient includes, in small networks, the sum of the shares'
gradients. step includes the transposed copy of the weights. wait is what a thread waits for the
others at the two meetings of a step, the meeting itself included. Reading the clocks costs some
30 ns each time: little but for networks as small as xor.
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
from fastmlp._architecture import Architecture
from fastmlp._network import Network
from workloads import BY_NAME, WORKLOADS, flops_per_row

PASS_FLOPS = 1e9  # of a pass
STEP_FLOPS = 1e5  # what a step costs at least, as flops
MOST_ROWS = 20_000  # more than caches hold, if rows are long; soon made


@dataclass
class Times:
    """Of the fastest pass."""

    threads: int  # at work
    rows: float  # of a batch, the mean: the last of an epoch may be shorter
    step: float  # seconds
    phases: dict  # {name: seconds a step, mean over threads}


def network_of(workload, dtype, n_threads):
    """A Network with the workload's initial weights."""
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
    """The workload's data as its Network takes them."""
    X, y = workload.data(dtype)
    if workload.target.isdigit():
        return _core.Dataset(X, y.astype(np.int32))
    y = y.reshape(len(y), -1)
    return _core.Dataset(X, y.astype(np.uint8) if workload.target == "binary" else y)


def orders_of(workload):
    """(n_epochs, n_rows) row numbers: part of an epoch, or several, in new orders."""
    work = workload.batch * flops_per_row(workload.layer_units) + STEP_FLOPS
    n_rows = workload.batch * max(4, int(PASS_FLOPS / work))
    random_state = np.random.RandomState(0)
    orders = [
        random_state.permutation(workload.n_rows)[:n_rows]
        for _ in range(max(1, n_rows // workload.n_rows))
    ]
    return np.array(orders, dtype=np.intp)


def measure(workload, dtype, n_threads, seconds=1.0):
    """Times of a step of the workload on at most `n_threads` threads, in about `seconds`."""
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
        network.train(dataset, orders, workload.batch, alpha=peers.ALPHA, step=step)
        took = time.perf_counter() - begin
        step["t"] += network.n_steps
        # Now and then a fit tries another number of threads: such passes are mixed, and do not
        # count, unless there are no others.
        totals = clocks.sum(axis=1)
        working = totals > 0.9 * totals.max()
        is_mixed = np.any(totals[~working] > 0)
        if best is None:
            is_best = not is_mixed or time.perf_counter() > end
        else:
            is_best = not is_mixed and took < best.step * network.n_steps
        if is_best:
            mean = clocks[working].mean(axis=0) / network.n_steps
            phases = dict(zip(_core.PHASES, mean.tolist(), strict=True))
            rows = orders.size / network.n_steps
            best = Times(int(working.sum()), rows, took / network.n_steps, phases)
    return best


def flops_of(workload, n_rows):
    """{phase: floating-point operations of its products over `n_rows`}"""
    products = [2 * n_rows * fan_in * fan_out for fan_in, fan_out in pairwise(workload.layer_units)]
    return {"forward": sum(products), "delta": sum(products[1:]), "gradient": sum(products)}


def table(workload, dtype, times, ceiling):
    """The report on one workload, as text."""
    lines = [
        f"{workload.name}, {dtype}, batch {workload.batch:,}, threads at work: {times.threads}",
        f"{'':10}{'us a step':>10}{'share':>8}{'GFLOP/s':>9}{'of FMA':>8}",
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
    parser.add_argument("--seconds", type=float, default=1, help="for each table (1)")
    args = parser.parse_args()
    args.workloads = args.workloads or ["digits"]
    if not set(args.workloads) <= set(names):
        parser.error(f"there are: {', '.join(names)}")
    return args


if __name__ == "__main__":
    main()
