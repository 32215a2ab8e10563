"""Time every kernel for every ISA and type, and compare it with the ceiling of multiply-adds.

    python bench/kernels.py                       every kernel, every ISA of this machine
    python bench/kernels.py forward step --isa avx2

One thread, data in cache, best of many calls; the time of an empty call from Python is subtracted.
Products are reported in GFLOP/s, with their share of the ceiling; all other kernels in 10^9
elements per second, each read and written once. The contracts are in csrc/kernel_list.h. step.py
breaks down the time of a whole step.
"""

import argparse
import ctypes
import sys
import time

import numpy as np

import machine
import report
from fastmlp import _core
from structures import Csr, Dropout, LossSettings, Step

# A row block of a 256-wide hidden layer with 10 outputs, in a batch of 192; CSR rows of 64 values.
ROWS, WIDTH, OUTPUTS, BATCH = 64, 256, 10, 192
CSR_FEATURES, CSR_ROW = 2048, 64
COUNT = 16_384  # elements of elementwise kernels


class Case:
    """A call of one kernel: its arguments, and the flops or elements that it works on."""

    def __init__(self, function, args, *, flops=None, elements=None, in_place=None):
        self.function = function
        self.arrays = args  # kept alive
        self.args = [
            kind(arg.ctypes.data if isinstance(arg, np.ndarray) else arg)
            for kind, arg in zip(function.argtypes, args, strict=True)
        ]
        self.flops, self.work = flops, flops or elements
        self.in_place = in_place  # restored before each call, or values would diverge
        self.original = None if in_place is None else in_place.copy()

    def seconds(self, budget):
        """Seconds of the fastest call in about `budget` seconds."""
        best = float("inf")
        end = time.perf_counter() + budget
        while True:
            if self.in_place is not None:
                self.in_place[:] = self.original
            begin = time.perf_counter()
            self.function(*self.args)
            now = time.perf_counter()
            best = min(best, now - begin)
            if now > end:
                return best

    def rate(self, budget, empty):
        """10^9 flops or elements per second; None if the call takes as long as an empty one."""
        seconds = self.seconds(budget)
        return self.work / (seconds - empty) / 1e9 if seconds > 1.2 * empty else None


class Cases:
    """A Case for every kernel of the table except the ceiling, in `made`, by the kernels' names."""

    def __init__(self, table, dtype):
        self.table, self.dtype, self.made = table, dtype, {}
        self.lanes, self.mr = table["lanes"], table["mr"]
        self.random_state = np.random.RandomState(0)
        self.panels = WIDTH // self.lanes
        self.rows = self.random_state.permutation(1000)[:BATCH].astype(np.intp)
        reals = self.reals
        self.h, self.c = reals(ROWS, WIDTH), reals(ROWS, WIDTH)  # (panels, ROWS, V)
        self.w, self.bias = reals(WIDTH, WIDTH), reals(WIDTH)  # (panels, WIDTH, V), (panels, V)
        self.d = reals(BATCH, WIDTH)  # (panels, BATCH, V)
        self.z_batch = reals(BATCH, OUTPUTS)  # columns
        self.g = reals(WIDTH, WIDTH)
        self.block = ROWS * self.lanes  # reals between panels of a row block
        self.batch = BATCH * self.lanes
        self.csr, self.csr_arrays = self.csr_rows()
        self.add_products()
        self.add_csr()
        self.add_layout()
        self.add_elementwise()
        self.add_dropout()
        self.add_normalization()
        self.add_losses()
        self.add_steps()

    def reals(self, *shape, low=0.25, high=0.75):
        array = _core.aligned_zeros(int(np.prod(shape)), self.dtype)
        array[:] = self.random_state.uniform(low, high, array.size)
        return array

    def add(self, kernel, args, entry=None, **work):
        function = self.table[kernel][entry] if entry else self.table[kernel]
        self.made[f"{kernel} {entry}" if entry else kernel] = Case(function, args, **work)

    def csr_rows(self):
        """A Csr, and the arrays that must live as long as it is used."""
        random_state, dtype = self.random_state, self.dtype
        indptr = np.arange(0, 1001 * CSR_ROW, CSR_ROW, dtype=np.int64)
        indices = np.sort(random_state.randint(CSR_FEATURES, size=(1000, CSR_ROW)), axis=1)
        indices = indices.ravel().astype(np.int32)
        values = random_state.uniform(0.25, 0.75, indices.size).astype(dtype)
        pointers = [array.ctypes.data for array in (indptr, indices, values)]
        csr = Csr(*pointers, 0, int(np.dtype(dtype) == np.float64))
        return csr, [csr, indptr, indices, values]

    def add_products(self):
        """Dense products."""
        lanes, panels, h, c = self.lanes, self.panels, self.h, self.c
        w, bias, d, z_batch = self.w, self.bias, self.d, self.z_batch
        g, block, batch = self.g, self.block, self.batch
        add, reals = self.add, self.reals
        relu = 1  # true for forward; for delta, the factor FASTMLP_where_positive
        w_narrow, z = reals(WIDTH, OUTPUTS), reals(ROWS, OUTPUTS)  # (panels, OUTPUTS, V), columns
        a = reals(BATCH, WIDTH)  # (panels, BATCH, V)
        flops = 2 * ROWS * WIDTH * WIDTH
        strides = [lanes, WIDTH * lanes]
        forward = [ROWS, panels, WIDTH, h, block, w, *strides, bias, relu, c, block]
        add("forward", forward, flops=flops)
        add("delta", [ROWS, panels, WIDTH, h, block, w, relu, h, c, block], flops=flops)
        flops = 2 * BATCH * WIDTH * WIDTH
        gradient = [WIDTH, panels, BATCH, a, batch, d, batch, 0, g, WIDTH * lanes, None]
        add("gradient", gradient, flops=flops)
        flops = 2 * ROWS * WIDTH * OUTPUTS
        narrow = [0, ROWS, OUTPUTS, WIDTH, h, block, w_narrow, bias, z]
        add("forward_narrow", narrow, flops=flops)
        narrow = [0, ROWS, panels, OUTPUTS, z, w_narrow, relu, h, c, block]
        add("delta_narrow", narrow, flops=flops)
        narrow = [OUTPUTS, OUTPUTS, panels, BATCH, z_batch, d, batch, 0, g, OUTPUTS * lanes]
        add("gradient_narrow", narrow, flops=2 * BATCH * WIDTH * OUTPUTS)

    def add_csr(self):
        """Products of sparse rows."""
        lanes, panels, rows, c = self.lanes, self.panels, self.rows, self.c
        bias, d, block, csr = self.bias, self.d, self.block, self.csr
        csr_arrays = self.csr_arrays
        add, reals = self.add, self.reals
        x = ctypes.addressof(csr)
        w_csr = reals(WIDTH, CSR_FEATURES)
        forward = [ROWS, panels, x, rows, w_csr, CSR_FEATURES * lanes, bias, c, block]
        add("forward_csr", forward, flops=2 * ROWS * CSR_ROW * WIDTH)
        flops = 2 * BATCH * CSR_ROW * lanes
        add("gradient_csr", [BATCH, x, rows, d, reals(CSR_FEATURES, lanes)], flops=flops)
        for name in ("forward_csr", "gradient_csr"):
            self.made[name].arrays += csr_arrays

    def add_layout(self):
        """Copies of samples into panels, sums of columns, changes of layout."""
        lanes, mr, panels, random_state = self.lanes, self.mr, self.panels, self.random_state
        rows, h, c, w = self.rows, self.h, self.c, self.w
        bias, d, z_batch, g = self.bias, self.d, self.z_batch, self.g
        block, batch = self.block, self.batch
        add = self.add
        for source in _core.SOURCES:
            X = random_state.randint(2, size=(1000, WIDTH)).astype(source)
            gather = [ROWS, WIDTH, X, rows, *X.strides, c, block]
            add("gather", gather, source, elements=ROWS * WIDTH)
        add("all_finite", [ROWS, panels, c, block], elements=ROWS * WIDTH)
        add("column_sums", [panels, BATCH, d, batch, 0, bias], elements=BATCH * WIDTH)
        sums = [OUTPUTS, BATCH, z_batch, 0, bias]
        add("column_sums_narrow", sums, elements=BATCH * OUTPUTS)
        add("transpose", [lanes, lanes, w, g], elements=lanes * lanes)
        add("to_columns", [WIDTH, h, block, c], elements=mr * WIDTH)
        add("from_columns", [WIDTH, h, c, block], elements=mr * WIDTH)

    def add_elementwise(self):
        """Activations and other kernels over single elements."""
        add, reals = self.add, self.reals
        for name in _core.ACTIVATIONS:
            x = reals(COUNT, low=-2, high=2)
            add("activation", [COUNT, x], name, elements=COUNT, in_place=x)
            x = reals(COUNT, low=-2, high=2)
            add("activation_derivative", [COUNT, x, reals(COUNT)], name, elements=COUNT, in_place=x)
        for name in ("exponential", "logarithm"):
            x = reals(COUNT)
            add(name, [COUNT, x], elements=COUNT, in_place=x)
        add("sum_arrays", [COUNT, 2, reals(2, COUNT), COUNT, reals(COUNT)], elements=COUNT)
        for name in ("add", "multiply"):
            x = reals(COUNT)
            add(name, [COUNT, reals(COUNT), x], elements=COUNT, in_place=x)

    def add_dropout(self):
        """Dropout of dense and of sparse rows."""
        rows, block, csr, csr_arrays = self.rows, self.block, self.csr, self.csr_arrays
        add, reals = self.add, self.reals
        x_csr = ctypes.addressof(csr)
        elements = ROWS * WIDTH
        setting = Dropout((1, 2), 3, 6554, 65536 / (65536 - 6554))  # a tenth
        x = reals(ROWS, WIDTH)
        args = [ROWS, WIDTH, rows, ctypes.addressof(setting), 0, x, None, block]
        add("dropout", args, elements=elements, in_place=x)
        args = [ROWS, x_csr, rows, ctypes.addressof(setting), 0, csr_arrays[-1].copy()]
        add("dropout_csr", args, elements=ROWS * CSR_ROW)
        for name in ("dropout", "dropout_csr"):
            self.made[name].arrays += [setting, *csr_arrays]

    def add_normalization(self):
        """Batch normalization, and those within a row."""
        panels, rows, h, block = self.panels, self.rows, self.h, self.block
        add, reals = self.add, self.reals
        elements = ROWS * WIDTH
        scale, shift, moments = reals(WIDTH), reals(WIDTH), reals(2, WIDTH)
        normal, inverse = reals(ROWS, WIDTH), reals(ROWS)
        add("moments", [ROWS, panels, rows, None, h, block, moments], elements=elements)
        parts = [4, panels, np.full(4, 64.0), reals(4, 2, WIDTH), moments]
        add("combine_moments", parts, elements=4 * 2 * WIDTH)
        add("running_average", [COUNT, 0.1, reals(COUNT), reals(COUNT)], elements=COUNT)
        x = reals(ROWS, WIDTH)
        args = [ROWS, panels, scale, shift, scale, shift, normal, x, block]
        add("normalize", args, elements=elements, in_place=x)
        args = [ROWS, panels, h, normal, block, 0, scale, shift]
        add("normalization_sums", args, elements=elements)
        x = reals(ROWS, WIDTH)
        args = [ROWS, panels, rows, None, 64.0, normal, scale, shift, moments, x, block]
        add("normalize_delta", args, elements=elements, in_place=x)
        trained, sums = reals(2, WIDTH), reals(2, WIDTH)
        for name in self.table["normalize_rows"]:
            x = reals(ROWS, WIDTH)
            args = [ROWS, WIDTH, trained, normal, inverse, x, block]
            add("normalize_rows", args, name, elements=elements, in_place=x)
            x = reals(ROWS, WIDTH)
            args = [ROWS, WIDTH, trained, normal, inverse, x, block, 0, sums]
            add("normalize_rows_delta", args, name, elements=elements, in_place=x)

    def add_losses(self):
        """Losses and output activations."""
        mr, dtype, random_state, rows = self.mr, self.dtype, self.random_state, self.rows
        add, reals = self.add, self.reals
        n = 1024  # outputs: with 10, the call would take longer than the kernel
        targets = {
            "classes": random_state.randint(n, size=1000).astype(np.int32),
            "labels": random_state.randint(2, size=(1000, n)).astype(np.uint8),
            "reals": random_state.uniform(0.1, 1, size=(1000, n)).astype(dtype),
        }
        levels = np.full(n, 0.5)
        settings = LossSettings(1, 2, 0, levels.ctypes.data)
        for name in _core.LOSSES:
            x = reals(mr, n)
            args = [
                mr,
                n,
                x,
                mr,
                targets[_core.TARGETS[name]],
                rows,
                None,
                ctypes.addressof(settings),
            ]
            add("loss", args, name, elements=mr * n, in_place=x)
            self.made[f"loss {name}"].arrays += [settings, levels]
        for name in _core.OUTPUTS:
            x = reals(mr, n)
            add("output", [n, x, mr], name, elements=mr * n, in_place=x)
        for name in self.table["output_derivative"]:
            x = reals(mr, n)
            add("output_derivative", [n, x, mr, reals(mr, n)], name, elements=mr * n, in_place=x)
        x = reals(mr, n)
        add("multiply_derivatives", [n, x, mr, reals(mr, n)], elements=mr * n, in_place=x)

    def add_steps(self):
        """Steps of the optimizers, and what goes with them."""
        lanes = self.lanes
        add, reals = self.add, self.reals
        rates = {"learning_rate": 1e-3, "momentum": 0.9, "look_ahead": 0.9, "own": 1, "adaptive": 1}
        step = Step(scale=1 / BATCH, l2=1e-4, beta_1=0.9, beta_2=0.999, epsilon=1e-8, **rates)
        for name in _core.OPTIMIZERS:
            x = reals(COUNT)
            args = [COUNT, ctypes.addressof(step), 1, reals(COUNT), x, reals(COUNT), reals(COUNT)]
            add("step", args, name, elements=COUNT, in_place=x)
            self.made[f"step {name}"].arrays += [step]
        x = reals(COUNT)
        add("gradient_squares", [COUNT, 1e-2, 1e-4, x, reals(COUNT)], elements=COUNT)
        add("clip", [COUNT, 1.0, 1e-4, 0.5, x, reals(COUNT)], elements=COUNT, in_place=x)
        x = reals(COUNT)
        add("bound", [COUNT // lanes, 1.0, x], elements=COUNT, in_place=x)
        x = reals(COUNT)
        add("bound_narrow", [COUNT // lanes // 2, 2, 1.0, x], elements=COUNT, in_place=x)


def kernel_names(table):
    """The names of all kernels, as `Cases` makes them."""
    for kernel, entry in table.items():
        if isinstance(entry, dict):
            yield from (f"{kernel} {name}" for name in entry)
        elif kernel not in ("lanes", "mr", "nr", "multiply_adds"):
            yield kernel


def main():
    args = parse_arguments()
    columns = [(isa, dtype) for isa in args.isa for dtype in ("float32", "float64")]
    ceilings, rates, unmeasured = {}, {}, set()
    for isa, dtype in columns:
        table = _core.kernel_table(isa, dtype)
        made = Cases(table, dtype).made
        unmeasured |= set(kernel_names(table)) - set(made)
        empty = Case(table["exponential"], [0, np.zeros(8)]).seconds(0.05)
        ceiling = _core.fma_ceiling(isa, dtype, 1)
        for name, case in made.items():
            if any(name.startswith(start) for start in args.kernels):
                rate = case.rate(args.seconds, empty)
                rates.setdefault(name, (case.flops is not None, {}))[1][isa, dtype] = rate
        ceilings[isa, dtype] = max(ceiling, _core.fma_ceiling(isa, dtype, 1))

    print(f"{'':26}" + "".join(f"{isa:>16}{'':9}" for isa in args.isa))
    print(f"{'':26}" + "".join(f"{dtype[0] + dtype[-2:]:>8}{'':4}" for _, dtype in columns))
    print(f"{'GFLOP/s, % of ceiling':26}")
    print(line("ceiling", columns, ceilings))
    for name, (is_flops, rate) in rates.items():
        if is_flops:
            print(line(name, columns, rate, ceilings))
    print("10^9 elements per second")
    for name, (is_flops, rate) in rates.items():
        if not is_flops:
            print(line(name, columns, rate))
    is_whole = args.isa == _core.isas() and args.kernels == [""]
    result = {
        "environment": machine.environment(),
        "ceilings": {" ".join(column): value for column, value in ceilings.items()},
        "rates": {
            name: {" ".join(column): value for column, value in rate.items()}
            for name, (_, rate) in rates.items()
        },
    }
    report.write_json(result, "kernels" if is_whole else "kernels-partial")
    if unmeasured:
        sys.exit(f"not measured, because Cases lacks them: {', '.join(sorted(unmeasured))}")


def line(name, columns, rate, ceilings=None):
    cells = []
    for column in columns:
        value = rate[column]
        share = f"{100 * value / ceilings[column]:3.0f}%" if ceilings and value else f"{'':4}"
        cells.append(f"{report.number(value):>8}{share}")
    return f"{name:26}" + "".join(cells)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kernels", nargs="*", default=[""], help="beginnings of names (all)")
    parser.add_argument("--isa", nargs="+", choices=_core.isas(), default=_core.isas())
    parser.add_argument("--seconds", type=float, default=0.05, help="for each kernel (0.05)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
