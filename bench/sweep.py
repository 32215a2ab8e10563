"""Time the training of fastmlp over shapes, to check for cliffs and for the growth of the cost.

    python bench/sweep.py                      cliffs, then growth, both types
    python bench/sweep.py cliffs --dtype float32
    python bench/sweep.py growth --threads 1

Cliffs. One size of a network is varied over odd and round values. The cost of a shape is the time
of an epoch per floating-point operation of its matrix products (`flops_per_row`); it should not
jump between neighbours, which are the next smaller and the next larger value measured. A shape is a
cliff if its cost is more than 1.6 times that of a neighbour. If the neighbour is larger, a step of
the shape must also take 10 % longer than a step of the neighbour, because the fixed cost of a row
or a step is spread over fewer operations in the smaller shape.

Growth. The time of an epoch by threads, rows, features and width, and GFLOP/s by width next to the
FMA ceiling, as numbers and as a chart. The time should grow in proportion to the work.

Shapes are measured in turn, so that a slow period of the machine does not affect only one of them,
and the best turn counts. Shapes that look like a cliff, and their neighbours, are measured for as
many turns again, up to three times. A turn is one fit, with enough epochs that the cost of the rest
of the fit is negligible.
"""

import argparse
import functools
import os
import time
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import machine
import report
from fastmlp import MLPClassifier, MLPRegressor
from workloads import flops_per_row, normal_matrix

CLIFF = 1.6
MAX_EPOCHS = 2000


@dataclass(frozen=True)
class Shape:
    """The data and the network of a fit, with two hidden layers of equal width."""

    dtype: str
    threads: int
    rows: int = 2000
    features: int = 64
    width: int = 64
    classes: int = 10  # 0 for a regressor
    outputs: int = 1  # number of outputs of a regressor
    batch: int = 200

    @property
    def flops(self):
        units = [self.features, self.width, self.width, self.classes or self.outputs]
        return self.rows * flops_per_row(units)

    def fit(self, epochs):
        """Fit once and return the seconds per epoch."""
        X, y = data(self.rows, self.features, self.classes, self.outputs, self.dtype)
        estimator = (MLPClassifier if self.classes else MLPRegressor)(
            hidden_layer_sizes=(self.width, self.width),
            batch_size=self.batch,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=np.inf,
            random_state=0,
            n_threads=self.threads,
        )
        begin = time.perf_counter()
        estimator.fit(X, y)
        return (time.perf_counter() - begin) / epochs


@functools.lru_cache(maxsize=32)
def data(n_rows, n_features, n_classes, n_outputs, dtype):
    random_state = np.random.RandomState(0)
    X = normal_matrix(random_state, n_rows, n_features, dtype)
    if n_classes:
        return X, np.arange(n_rows) % n_classes
    y = random_state.standard_normal((n_rows, n_outputs)).astype(dtype)
    return X, y.ravel() if n_outputs == 1 else y


WIDTHS = [*range(1, 41), 48, 53, 56, 64, 96, 100, 104, 112, 120, 127, 128, 129, 136]
WIDTHS += [240, 256, 257, 272, 992, 1000, 1008, 1024]
CLIFFS = {  # field of Shape that is varied: its values, and other fields that differ from defaults
    "width": (WIDTHS, {}),
    "outputs": (range(1, 21), {"classes": 0}),
    "classes": (range(3, 21), {}),
    "batch": ([*range(1, 11), 12, 16, 32, 37, 40, 192, 200, 208, 256, 1000, 2000], {}),
    "features": ([*range(1, 10), 12, 16, 32, 64, 768, 784, 800, 4992, 5000, 5008], {}),
}
GROWTH = {
    "rows": ([1000, 4000, 16_000, 64_000, 256_000], {"features": 20, "classes": 2}),
    "features": ([4, 16, 64, 256, 1024, 4096], {"rows": 10_000}),
    "width": ([4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048], {}),
}
THREADS_WIDTHS = 16, 64, 256, 1024


def shapes_of(axis, values, fixed, dtype, threads):
    """Return {value: Shape} for the values of one axis."""
    base = Shape(dtype, threads, **fixed)
    return {
        value: replace(base, **{"width" if axis == "wide" else axis: value}) for value in values
    }


def measure(shapes, args, times):
    """Update the dict `times` with the best seconds per epoch of each Shape."""
    epochs = {}
    for shape in shapes:
        shape.fit(1)
        took = min(shape.fit(1), shape.fit(2))
        epochs[shape] = min(MAX_EPOCHS, max(1, round(args.seconds / took)))
    for _ in range(args.turns):
        for shape in shapes:
            times[shape] = min(shape.fit(epochs[shape]), times.get(shape, np.inf))


def cliffs_among(shapes, times):
    """Return [(Shape, neighbour, ratio of costs)] of one axis; `shapes` is sorted by size."""
    step = {shape: times[shape] * shape.batch / shape.rows for shape in shapes}
    found = []
    for smaller, larger in pairwise(shapes):
        ratio = times[larger] / larger.flops / (times[smaller] / smaller.flops)
        if ratio > CLIFF:
            found.append((larger, smaller, ratio))
        elif 1 / ratio > CLIFF and step[smaller] > 1.1 * step[larger]:
            found.append((smaller, larger, 1 / ratio))
    return found


def find_cliffs(args, dtype):
    """Measure and print the cliffs; return the numbers for JSON."""
    axes = {axis: shapes_of(axis, *varied, dtype, args.threads) for axis, varied in CLIFFS.items()}
    times = {}
    measure([shape for shapes in axes.values() for shape in shapes.values()], args, times)
    for _ in range(3):  # a slow period of the machine looks like a cliff
        cliffs = [cliffs_among(shapes.values(), times) for shapes in axes.values()]
        measure({shape for found in cliffs for cliff in found for shape in cliff[:2]}, args, times)

    n_cliffs = 0
    for axis, shapes in axes.items():
        worst = {cliff: ratio for cliff, _, ratio in cliffs_among(shapes.values(), times)}
        n_cliffs += len(worst)
        print(f"\n{axis:9} {dtype}    us per epoch   ps per flop")
        for value, shape in shapes.items():
            note = f"  CLIFF: {worst[shape]:.1f} times a neighbour" if shape in worst else ""
            cost = 1e12 * times[shape] / shape.flops
            print(f"{value:9} {report.number(1e6 * times[shape]):>23} {cost:13.1f}{note}")
    print(f"\ncliffs, {dtype}: {n_cliffs or 'none'}", flush=True)
    return numbers(axes, times)


def grow(args, dtype):
    """Measure and print the growth; return the numbers for JSON."""
    axes = {axis: shapes_of(axis, *varied, dtype, args.threads) for axis, varied in GROWTH.items()}
    n_threads = sorted({*(2**i for i in range(10) if 2**i < args.threads), args.threads})
    for width in THREADS_WIDTHS:
        fixed = {"width": width, "rows": 8000 if width < 1024 else 2000}
        axes[f"threads, width {width}"] = shapes_of("threads", n_threads, fixed, dtype, 1)
    times = {}
    measure([shape for shapes in axes.values() for shape in shapes.values()], args, times)
    for axis, shapes in axes.items():
        print(f"\n{axis:20} {dtype}   ms per epoch  GFLOP/s")
        for value, shape in shapes.items():
            gflops = report.number(shape.flops / times[shape] / 1e9)
            print(f"{value:20} {report.number(1e3 * times[shape]):>22} {gflops:>8}", flush=True)
    return numbers(axes, times)


def numbers(axes, times):
    """Return {axis: [[value, seconds, flops]]} for JSON."""
    return {
        axis: [[value, times[shape], shape.flops] for value, shape in shapes.items()]
        for axis, shapes in axes.items()
    }


def main():
    args = parse_arguments()
    warnings.simplefilter("ignore")
    result = {"threads": args.threads, "environment": machine.environment()}
    ceilings = dict.fromkeys(args.dtype, 0)
    for what, sweep in (("cliffs", find_cliffs), ("growth", grow)):
        if what in args.what:
            result[what] = {}
            for dtype in args.dtype:
                result[what][dtype] = sweep(args, dtype)
                ceilings[dtype] = max(ceilings[dtype], machine.fma_ceiling(dtype, args.threads))
    result["ceiling_gflops"] = ceilings
    is_whole = len(args.what) == 2 and len(args.dtype) == 2
    draw = report.growth_chart if "growth" in result else None
    report.save(result, "sweep" if is_whole else "sweep-partial", draw)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    both = ["cliffs", "growth"]
    parser.add_argument("what", nargs="*", metavar="cliffs | growth", help="default: both")
    parser.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--turns", type=int, default=7, help="turns of each shape (7)")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="approximate time of a turn (0.05)"
    )
    args = parser.parse_args()
    args.what = args.what or both
    if not set(args.what) <= set(both):
        parser.error("choose from cliffs, growth")
    return args


if __name__ == "__main__":
    os.chdir(machine.ROOT)
    main()
