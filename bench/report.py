"""Write the tables, charts and result files of the benchmarks."""

import json
import re

import numpy as np

import machine

RESULTS = machine.ROOT / "bench" / "results"
README = machine.ROOT / "README.md"
NAMES = {
    "fastmlp": "fastmlp",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "jax": "JAX",
    "skorch": "skorch",
    "onnxruntime": "ONNX Runtime",
}
MARKERS = "<!-- speed table: begin -->", "<!-- speed table: end -->"
# Columns of ratios in the table for README.md: library and type
README_RATIOS = (
    ("sklearn", "float64"),
    ("sklearn", "float32"),
    ("torch", "float32"),
    ("jax", "float32"),
)

HEADER = (
    f"{'workload':13} {'type':7} {'contender':12} {'best':>9} {'median':>9} {'/ fastmlp':>10} "
    f"{'median':>7} {'GFLOP/s':>8} {'of FMA':>6} {'adds MB':>8}"
)


def lines(row):
    """Format a row of the result as lines for the terminal, one for each contender."""
    title = f"{row['workload']}: {shape(row)}, hidden {hidden(row)}, batch {row['batch']:,}"
    text = [f"{title}, {row['dtype']}, X {row['X_bytes'] / 1e6:.1f} MB, {row['unit']}"]
    for name, contender in row["contenders"].items():
        text.append(
            f"{row['workload']:13} {row['dtype']:7} {NAMES[name]:12} "
            f"{number(contender['best']):>9} {number(contender['median']):>9} "
            f"{contender['ratio']:10.2f} {contender['median_ratio']:7.2f} "
            f"{number(contender['gflops']):>8} {share(row, name):>6} "
            f"{contender['added_bytes'] / 1e6:8.1f}"
        )
    return "\n".join(text)


def sentence(result):
    """Return a sentence about the machine and the versions."""
    env = result["environment"]
    build = env["fastmlp"]
    peers = "".join(
        f"{NAMES[name]} {env[name]}, " for name in NAMES if name in env and name != "fastmlp"
    )
    return (
        f"Measured on {env['date']}: {env['processor']}, {result['threads']} of {env['cores']} "
        f"cores, fastmlp {build['version']} ({build['isa']}, {build['compiler']}, "
        f"commit {env['commit']}), {peers}NumPy {env['numpy']} ({env['blas'] or 'unknown BLAS'}), "
        f"Python {env['python']}, {env['system']}. Best of {result['repeat']} runs."
    )


def markdown(result):
    """Return the table for README.md: a row for each workload, both types side by side."""
    rows = {(row["workload"], row["dtype"]): row for row in result["rows"]}
    dtypes = list(dict.fromkeys(dtype for _, dtype in rows))
    measured = {(name, row["dtype"]) for row in rows.values() for name in row["contenders"]}
    ratios = [column for column in README_RATIOS if column in measured]
    head = ["workload", "rows x features", "hidden", "batch"]
    head += [f"ms per epoch, {dtype}" for dtype in dtypes]
    head += [f"{NAMES[name]} {dtype}" for name, dtype in ratios]
    head += [f"GFLOP/s {dtype} (of FMA ceiling)" for dtype in dtypes]
    table = [head, ["---"] * 4 + ["---:"] * (len(head) - 4)]
    for workload in dict.fromkeys(name for name, _ in rows):
        row = rows[workload, dtypes[0]]
        cells = [workload, shape(row), hidden(row), f"{row['batch']:,}"]
        cells += [
            number(rows[workload, dtype]["contenders"]["fastmlp"]["best"]) for dtype in dtypes
        ]
        for name, dtype in ratios:
            contender = rows[workload, dtype]["contenders"].get(name)
            cells.append(f"**{contender['ratio']:.1f}**" if contender else "-")
        for dtype in dtypes:
            row = rows[workload, dtype]
            gflops = number(row["contenders"]["fastmlp"]["gflops"])
            cells.append(f"{gflops} ({share(row, 'fastmlp')})")
        table.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table)


def update_readme(result):
    """Write the table of bench/fit.py into README.md."""
    replace_block(
        MARKERS,
        "Time per epoch of fastmlp in milliseconds, and the time of each other library "
        f"as a multiple of fastmlp's time with the same type. {sentence(result)}\n\n"
        f"{markdown(result)}",
    )


def replace_block(markers, block):
    """Replace what is between two markers of README.md."""
    begin, end = markers
    text, found = re.subn(
        f"{begin}.*?{end}",
        lambda _: f"{begin}\n{block}\n{end}",
        README.read_text(),
        flags=re.DOTALL,
    )
    if found != 1:
        raise SystemExit(f"README.md must contain exactly one '{begin}' ... '{end}'")
    README.write_text(text)
    print("wrote the table into README.md")


def save(result, name, draw):
    """Write NAME.json and, if matplotlib is installed, the figure from `draw` as NAME.png."""
    write_json(result, name)
    if draw is not None:
        save_chart(result, name, draw)


def save_chart(result, name, draw):
    """Write the figure from `draw` as NAME.png, if matplotlib is installed."""
    path = result_path(name).with_suffix(".png")
    try:
        import matplotlib
    except ImportError:
        print("no chart, because matplotlib is not installed")
        return
    matplotlib.use("Agg")
    draw(result).savefig(path, dpi=120)
    print(f"wrote {path.relative_to(machine.ROOT)}")


def result_path(name):
    """Return the path of NAME.json in bench/results, a folder that is there afterwards."""
    RESULTS.mkdir(exist_ok=True)
    return RESULTS / f"{name}.json"


def write_json(result, name):
    """Write NAME.json into bench/results and return its path."""
    path = result_path(name)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwrote {path.relative_to(machine.ROOT)}")
    return path


def ratio_chart(result):
    """Draw the time per epoch relative to fastmlp, for each workload and type."""
    import matplotlib.pyplot as plt

    workloads = list(dict.fromkeys(row["workload"] for row in result["rows"]))
    dtypes = list(dict.fromkeys(row["dtype"] for row in result["rows"]))
    fig, axes = plt.subplots(
        1,
        len(dtypes),
        figsize=(5 * len(dtypes), 1.5 + 0.4 * len(workloads)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, dtype in zip(axes[0], dtypes, strict=True):
        for name in [name for name in NAMES if name != "fastmlp"]:
            ratios = {
                row["workload"]: row["contenders"][name]["ratio"]
                for row in result["rows"]
                if row["dtype"] == dtype and name in row["contenders"]
            }
            places = [workloads.index(workload) for workload in ratios]
            if ratios:
                ax.plot(list(ratios.values()), places, "o", label=NAMES[name])
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(axis="x", which="both", linewidth=0.3)
        ax.set_yticks(range(len(workloads)), workloads)
        ax.set_xlabel("time of an epoch / fastmlp's (log scale)")
        ax.set_title(dtype)
    axes[0][0].invert_yaxis()
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper")
    title(fig, result)
    return fig


def growth_chart(result):
    """Draw time against threads, rows, features and width, and GFLOP/s against width."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    by_rows, by_features, by_width, by_threads, by_gflops, by_cost = axes.flat
    for dtype, style in zip(result["growth"], ("-", "--"), strict=False):
        growth = result["growth"][dtype]
        for ax, axis in ((by_rows, "rows"), (by_features, "features"), (by_width, "width")):
            values, seconds, _ = np.transpose(growth[axis])
            ax.plot(values, 1e3 * seconds, "o" + style, color="C0", label=dtype)
            ax.set(xlabel=axis)
        values, seconds, flops = np.transpose(growth["width"])
        by_gflops.plot(values, flops / seconds / 1e9, "o" + style, color="C0", label=dtype)
        ceiling = result["ceiling_gflops"][dtype]
        by_gflops.axhline(ceiling, ls=style, color="black", lw=0.8, label=f"ceiling, {dtype}")
        threads = [axis for axis in growth if axis.startswith("threads")]
        for i, axis in enumerate(threads):
            values, seconds, _ = np.transpose(growth[axis])
            label = axis.removeprefix("threads, ") if style == "-" else None
            by_threads.plot(values, 1e3 * seconds, "o" + style, color=f"C{i}", label=label)
        if "cliffs" in result:
            values, seconds, flops = np.transpose(result["cliffs"][dtype]["width"])
            by_cost.plot(values, 1e12 * seconds / flops, "." + style, color="C0", label=dtype)
    by_gflops.set(xlabel="width", ylabel="GFLOP/s")
    by_threads.set(xlabel="threads (dashed: float32)")
    by_cost.set(xlabel="width", ylabel="ps per flop")
    by_cost.set_visible("cliffs" in result)
    for ax in axes.flat:
        ax.set(xscale="log", yscale="log", ylabel=ax.get_ylabel() or "ms per epoch")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(linewidth=0.3)
    by_threads.set_xticks([value for value, *_ in growth[threads[0]]])
    by_threads.xaxis.set_minor_formatter("")
    for ax in axes.flat:
        ax.legend(fontsize=8, handlelength=3)
    title(fig, result)
    return fig


def title(fig, result):
    env = result["environment"]
    fig.suptitle(f"{env['processor']}, threads: {result['threads']}, {env['date']}", fontsize=9)


def shape(row):
    return f"{row['n_rows']:,} x {row['n_features']:,}"


def hidden(row):
    """Format (64, 64, 64) as '64 x 3' and (256, 32) as '256, 32'."""
    units = row["hidden"]
    if len(units) > 2 and len(set(units)) == 1:
        return f"{units[0]} x {len(units)}"
    return ", ".join(map(str, units))


def share(row, name):
    """Format a contender's fraction of the FMA ceiling in percent; '-' if unknown."""
    gflops = row["contenders"][name]["gflops"]
    if not (gflops and row["ceiling_gflops"]):
        return "-"
    return f"{100 * gflops / row['ceiling_gflops']:.0f} %"


def number(value):
    """Format a value to three significant digits without exponent; '-' for None."""
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
