"""The tables, the chart and the files that bench/fit.py leaves."""

import json
import re

import machine

RESULTS = machine.ROOT / "bench" / "results"
README = machine.ROOT / "README.md"
NAMES = {"sklearn": "scikit-learn", "fastmlp": "fastmlp"}
MARKERS = "<!-- speed table: begin -->", "<!-- speed table: end -->"

HEADER = (
    f"{'workload':13} {'rows x features':>15} {'hidden':>14} {'batch':>6} {'type':7} "
    f"{'{against:>9}'} {'fastmlp':>9} {'ratio':>6} {'median':>6} {'GFLOP/s':>8} {'of FMA':>6} "
    f"{'X':>7} {'adds':>13}\n{'':59} {'ms':>9} {'ms':>9} {'':6} {'ratio':>6} {'':15} "
    f"{'MB':>7} {'MB':>13}"
)


def line(row):
    """A row of the result as a line for the terminal."""
    added = " / ".join(f"{added / 1e6:.1f}" for added in row["added_bytes"])
    return (
        f"{row['workload']:13} {shape(row):>15} {hidden(row):>14} {row['batch']:6} "
        f"{row['dtype']:7} {number(row['best'][0]):>9} {number(row['best'][1]):>9} "
        f"{row['ratio']:6.2f} {row['median_ratio']:6.2f} {number(row['gflops']):>8} "
        f"{share(row):>6} {row['X_bytes'] / 1e6:7.1f} {added:>13}"
    )


def sentence(result):
    """The machine and the versions, in words."""
    env = result["environment"]
    build = env.get("fastmlp") or {}
    cores = f"{result['threads']} of {env['cores']} cores"
    return (
        f"Measured on {env['date']}: {env['processor']}, {cores}, "
        f"fastmlp {build.get('version', '?')} ({build.get('isa', '?')}, "
        f"{build.get('compiler', 'unknown compiler')}, commit {env['commit']}), "
        f"scikit-learn {env['sklearn']}, NumPy {env['numpy']} "
        f"({env['blas'] or 'unknown BLAS'}), Python {env['python']}, {env['system']}. "
        f"Best of {result['repeat']} turns."
    )


def markdown(result):
    """The table for README.md: a row for each workload, both types side by side."""
    against = NAMES[result["against"]]
    dtypes = list(dict.fromkeys(row["dtype"] for row in result["rows"]))
    head = ["workload", "rows x features", "hidden", "batch"]
    for dtype in dtypes:
        head += [f"{against} {dtype}", f"fastmlp {dtype}", "times faster"]
    head += [f"GFLOP/s {dtypes[-1]} (of FMA ceiling)"]
    lines = [head, ["---"] * 4 + ["---:"] * (len(head) - 4)]
    for name in dict.fromkeys(row["workload"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["workload"] == name]
        cells = [name, shape(rows[0]), hidden(rows[0]), f"{rows[0]['batch']:,}"]
        for row in rows:
            cells += [number(row["best"][0]), number(row["best"][1]), f"**{row['ratio']:.1f}**"]
        lines.append([*cells, f"{number(rows[-1]['gflops'])} ({share(rows[-1])})"])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def update_readme(result):
    """Put sentence and table between the markers of README.md."""
    begin, end = MARKERS
    text = README.read_text()
    block = f"{begin}\nMilliseconds per epoch. {sentence(result)}\n\n{markdown(result)}\n{end}"
    text, found = re.subn(f"{begin}.*?{end}", lambda _: block, text, flags=re.DOTALL)
    if found != 1:
        raise SystemExit(f"README.md should hold one '{begin}' ... '{end}'")
    README.write_text(text)
    print("wrote the table into README.md")


def save(result, name):
    """Leave NAME.json and, where matplotlib is installed, NAME.png in bench/results."""
    path = write_json(result, name).with_suffix(".png")
    try:
        chart(result, path)
    except ImportError:
        print("no chart: matplotlib is not installed")
    else:
        print(f"wrote {path.relative_to(machine.ROOT)}")


def write_json(result, name):
    """Leave NAME.json in bench/results; its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwrote {path.relative_to(machine.ROOT)}")
    return path


def chart(result, path):
    """Bars: how many times faster than the other contender, a pair for each workload."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["workload"] for row in result["rows"]))
    dtypes = list(dict.fromkeys(row["dtype"] for row in result["rows"]))
    height = 0.8 / len(dtypes)
    fig, ax = plt.subplots(figsize=(7, 1.2 + 0.5 * len(names)), layout="constrained")
    for i, dtype in enumerate(dtypes):
        ratios = {row["workload"]: row["ratio"] for row in result["rows"] if row["dtype"] == dtype}
        places = [names.index(name) + (i - (len(dtypes) - 1) / 2) * height for name in ratios]
        bars = ax.barh(places, ratios.values(), height, label=dtype)
        ax.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.margins(x=0.1)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel(f"epochs in the time of one of {NAMES[result['against']]}'s (log scale)")
    env = result["environment"]
    ax.set_title(f"{env['processor']}, threads: {result['threads']}, {env['date']}", fontsize=9)
    ax.legend()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def shape(row):
    return f"{row['n_rows']:,} x {row['n_features']:,}"


def hidden(row):
    """(64, 64, 64) as '64 x 3', (256, 32) as '256, 32'."""
    units = row["hidden"]
    if len(units) > 2 and len(set(units)) == 1:
        return f"{units[0]} x {len(units)}"
    return ", ".join(map(str, units))


def share(row):
    if not (row["gflops"] and row["ceiling_gflops"]):
        return "-"
    return f"{100 * row['gflops'] / row['ceiling_gflops']:.0f} %"


def number(value):
    """Three significant digits, no exponent; '-' for None."""
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"
