"""Model the time of a training step on T threads, and compare it with measurements.

    python bench/threads.py                         four workloads, both types
    python bench/threads.py digits --dtype float32 --threads 2 8 32

    step(T) = rows / T + weights / T + lines read * r + lines written * w + 2 barriers

rows and weights are the times of the two halves of a step, measured on one thread (see step.py).
The cache lines that move between cores are counted from the shape of the network (docs/threads.md
lists them). The costs r and w are measured between the first and the last core of this process,
minus the cost of a line that no other core has touched:

    r        reading a line that another core wrote
    w        writing a line that other cores have read
    barrier  for two threads, half of the time that threads wait in a step of two even halves, so
             it includes the wait for the slower thread; for T threads, T / 2 times that, because
             threads arrive one by one at one counter

T is 1, 2, 4, 8, 16, 64, or the values of --threads. Not modelled: the time of memory accesses and
the sharing of bandwidth and clock rate between cores; several threads that request the same line at
the same time; transfers of lines that overlap with computation.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import kernels
import machine
import report
import step
from fastmlp import _core
from workloads import BY_NAME, WORKLOADS, Workload, flops_per_row

LINE = 64  # bytes
SHARED_BYTES = 2**17  # written by one core and read by another; fits into their caches
WORK_PER_THREAD = 2e5  # as in _core/prediction.pxd

# Each thread computes one of two partial gradients, and half of the blocks of weights.
EVEN = Workload("even", 4096, 64, (64,), "binary", 128, "relu", "")


def line_costs(turns=100):
    """Measure (r, w) in seconds; zeros if there is one core, or if threads cannot be pinned."""
    if not hasattr(os, "sched_setaffinity") or machine.n_cores() < 2:
        return 0.0, 0.0
    cores = sorted(os.sched_getaffinity(0))
    count = SHARED_BYTES // 8
    table = _core.kernel_table(_core.isa(), "float64")
    source, shared = (_core.aligned_zeros(count, "float64") for _ in range(2))
    arguments = [count, 1, source, count, shared]
    write = kernels.Case(table["sum_arrays"], arguments, elements=count)
    lanes, sums = table["lanes"], _core.aligned_zeros(table["lanes"], "float64")
    arguments = [1, count // lanes, shared, count, 0, sums]
    read = kernels.Case(table["column_sums"], arguments, elements=count)

    def on_core(core):
        return ThreadPoolExecutor(1, initializer=os.sched_setaffinity, initargs=(0, {core}))

    def seconds(case):
        begin = time.perf_counter()
        case.function(*case.args)
        return time.perf_counter() - begin

    times = []
    with on_core(cores[0]) as writer, on_core(cores[-1]) as reader:
        for _ in range(turns):  # each twice: before the second, no other core accesses it
            turn = [writer.submit(seconds, write).result() for _ in range(2)]
            times.append(turn + [reader.submit(seconds, read).result() for _ in range(2)])
    written, own_written, read, own_read = np.median(times, axis=0) / (SHARED_BYTES / LINE)
    return max(0.0, read - own_read), max(0.0, written - own_written)


def barrier_cost(dtype, seconds):
    """Measure the seconds of a barrier of two threads; 0 if a fit uses only one."""
    times = step.measure(EVEN, dtype, 2, seconds)
    return times.phases["wait"] / 2 if times.threads == 2 else 0.0


class Model:
    """Time of a step of one workload on any number of threads.

    Parameters
    ----------
    workload : Workload
    dtype : {"float32", "float64"}
    alone : step.Times
        Measured on one thread.
    read, write : float
        Costs r and w of a cache line, in seconds.
    barrier : float
        Seconds of a barrier of two threads.

    Raises
    ------
    ValueError
        If a batch does not fit into one micro-batch.
    """

    def __init__(self, workload, dtype, alone, read, write, barrier):
        self.read, self.write, self.barrier = read, write, barrier
        network = step.network_of(workload, dtype, 1)
        self.n_rows = min(workload.batch, workload.n_rows)
        plan = network._plan(self.n_rows, False)
        self.n_partials = plan.n_partials
        if plan.micro_batch_rows < self.n_rows:
            raise ValueError("a batch in several micro-batches is not modelled")
        table = _core.kernel_table(_core.isa(), dtype)
        self.mr, real = table["mr"], np.dtype(dtype).itemsize
        work = self.n_rows * flops_per_row(workload.layer_units)
        self.most_threads = min(max(1, work // WORK_PER_THREAD), -(-self.n_rows // self.mr))
        if self.n_partials:
            self.most_threads = min(self.most_threads, self.n_partials)
        halves = dict(alone.phases)
        self.weights = halves.pop("step") + (0 if self.n_partials else halves.pop("gradient"))
        self.rows = sum(halves.values())
        # numbers of cache lines
        layers = network._layers
        self.layer_lines = np.array([layer.parameters.nbytes / LINE for layer in layers])
        self.copies = sum(
            layer.fan_in * layer.fan_out * real / LINE for layer in layers[1:] if not layer.narrow
        )
        self.inputs = self.n_rows * np.array([layer.fan_in for layer in layers]) * real / LINE
        self.deltas = self.n_rows * np.array([layer.fan_out for layer in layers]) * real / LINE

    def lines(self, n):
        """Count the lines that one of n threads reads from others, and those that it writes after
        others have read them."""
        if n == 1:
            return 0, 0
        away = 1 - 1 / n
        weights = self.layer_lines.sum()
        read = away * (weights + self.copies)
        written = (weights + self.copies) / n
        if self.n_partials:
            read += away * self.n_partials * weights / n
            written += away * self.n_partials * weights / n
        else:
            # a thread that works on a layer reads all of its inputs, and the deltas of its panels
            on_layer = np.maximum(1, n * self.layer_lines / weights)
            read += away * np.sum(on_layer * self.inputs + self.deltas) / n
            written += away * np.sum(self.inputs + self.deltas) / n
        return float(read), float(written)

    def predict(self, n_threads):
        """Return the threads that a fit would use, and {component: seconds} of its step."""
        n = int(min(n_threads, self.most_threads))
        units = self.n_partials or -(-self.n_rows // self.mr)
        read, written = self.lines(n)
        return n, {
            "compute": self.rows * -(-units // n) / units + self.weights / n,
            "lines": read * self.read + written * self.write,
            "barriers": n * self.barrier if n > 1 else 0.0,
        }


def main():
    args = parse_arguments()
    read, write = line_costs()
    result = {"environment": machine.environment(), "read_ns": 1e9 * read, "write_ns": 1e9 * write}
    result["barrier_us"], result["rows"] = {}, []
    print(f"reading a line: {1e9 * read:.2f} ns, writing a line: {1e9 * write:.2f} ns")
    for dtype in args.dtype:
        barrier = barrier_cost(dtype, args.seconds)
        result["barrier_us"][dtype] = 1e6 * barrier
        print(f"barrier of two threads, {dtype}: {1e6 * barrier:.2f} us")
    for name in args.workloads:
        for dtype in args.dtype:
            rows = scaling(BY_NAME[name], dtype, read, write, result["barrier_us"][dtype], args)
            result["rows"] += rows
    report.write_json(result, "threads" if args.is_whole else "threads-partial")


def scaling(workload, dtype, read, write, barrier_us, args):
    """Measure and print one workload; return the rows for JSON."""
    alone = step.measure(workload, dtype, 1, args.seconds)
    model = Model(workload, dtype, alone, read, write, 1e-6 * barrier_us)
    print(f"\n{workload.name}, {dtype}: us per step")
    print(f"{'threads':>8}{'used':>6}{'compute':>9}{'lines':>8}{'barrier':>8}{'model':>9}", end="")
    print(f"{'gain':>7}{'measured':>10}{'gain':>7}")
    rows = []
    for n_threads in args.threads:
        used, parts = model.predict(n_threads)
        seconds = sum(parts.values())
        line = f"{n_threads:8}{used:6}{report.number(1e6 * parts['compute']):>9}"
        line += "".join(f"{report.number(1e6 * parts[part]):>8}" for part in ("lines", "barriers"))
        line += f"{report.number(1e6 * seconds):>9}{alone.step / seconds:7.1f}"
        row = {"workload": workload.name, "dtype": dtype, "threads": n_threads, "used": used}
        row |= {"model_us": 1e6 * seconds, "measured_us": None}
        if n_threads <= machine.n_cores():
            times = alone if n_threads == 1 else step.measure(workload, dtype, used, args.seconds)
            row |= {"measured_us": 1e6 * times.step, "measured_used": times.threads}
            line += f"{report.number(1e6 * times.step):>10}{alone.step / times.step:7.2f}"
            line += (
                "  fewer threads: measured as faster, or cores were busy"
                if times.threads < used
                else ""
            )
        print(line, flush=True)
        rows.append(row)
    return rows


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="workload")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4, 8, 16, 64])
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--seconds", type=float, default=1, help="for each measurement (1)")
    args = parser.parse_args()
    args.is_whole = not args.workloads and len(args.dtype) == 2
    args.workloads = args.workloads or ["digits", "tab100", "mnist512", "big1024"]
    names = [workload.name for workload in WORKLOADS]
    if not set(args.workloads) <= set(names):
        parser.error(f"unknown workload; choose from {', '.join(names)}")
    return args


if __name__ == "__main__":
    main()
