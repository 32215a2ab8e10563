"""The table and the chart of bench/tables.py."""

import statistics

import numpy as np

import report
from tables_data import BY_NAME, UNSEEN
from tables_models import NAMES

MARKERS = "<!-- tables: begin -->", "<!-- tables: end -->"
REFERENCE = "realmlp"
LIMIT = 2048
SIZES = {
    LIMIT: f"At most {LIMIT:,} training rows",
    None: f"All training rows, of the tables with more than {LIMIT:,}",
}

HEADER = (
    f"{'table':16} {'rows':>6} {'contender':21} {'seed':>4} {'error':>9} {'AUC':>6} "
    f"{'log loss':>8} {'fit s':>8} {'predict s':>9}"
)


def line(fit):
    """Format a fit for the terminal."""
    auc, log_loss = (cell(fit.get(name)) for name in ("auc", "log_loss"))
    return (
        f"{fit['table']:16} {fit['n_train']:6,} {NAMES[fit['contender']]:21} {fit['seed']:4} "
        f"{cell(fit['error']):>9} {auc:>6} {log_loss:>8} {fit['fit_seconds']:8.2f} "
        f"{fit['predict_seconds']:9.4f}"
    )


def cell(value):
    """Format a number to four digits; '-' for None."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value < 1 else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def medians(result, limit):
    """Return {table: {contender: medians over the seeds, as a fit}}, of at most `limit` training
    rows, or of all rows of the tables that have more than LIMIT.

    Contenders with fewer than half of the tables are left out.
    """
    groups = {}
    for fit in result["fits"]:
        if fit["n_train"] <= limit if limit else fit["is_all"] and fit["n_train"] > LIMIT:
            groups.setdefault(fit["table"], {}).setdefault(fit["contender"], []).append(fit)
    names = [name for name in NAMES if 2 * sum(name in of for of in groups.values()) >= len(groups)]
    return {
        table: {name: median(groups[table][name]) for name in names if name in groups[table]}
        for table in BY_NAME
        if not groups.get(table, {}).keys().isdisjoint(names)
    }


def median(fits):
    """Join the fits of several seeds."""
    joined = {"n_seeds": len(fits)}
    for name, value in fits[0].items():
        is_number = isinstance(value, float)
        joined[name] = statistics.median(fit[name] for fit in fits) if is_number else value
    return joined


def summary(tables, names=None):
    """Return {contender: means over the tables} of what `medians` returns; `names` limits it.

    All means are over the tables that every contender has: the geometric mean of the errors
    relative to RealMLP-TD, the means of AUC and log loss of two classes, the medians of the times.
    """
    contenders = [name for name in NAMES if any(name in of for of in tables.values())]
    tables = {
        table: of
        for table, of in tables.items()
        if len(of) == len(contenders) and (names is None or table in names)
    }
    means = {}
    for contender in contenders if tables else ():
        fits = {table: of[contender] for table, of in tables.items()}
        ratios = [
            np.log(max(fit["error"], 1e-3) / max(tables[table][REFERENCE]["error"], 1e-3))
            for table, fit in fits.items()
            if REFERENCE in tables[table]
        ]
        means[contender] = {
            "n_tables": len(fits),
            "ratio": float(np.exp(np.mean(ratios))) if ratios else None,
            **{name: mean(fits, name) for name in ("auc", "log_loss")},
            "fit_seconds": statistics.median(fit["fit_seconds"] for fit in fits.values()),
            "row_seconds": statistics.median(
                fit["predict_seconds"] / fit["n_test"] for fit in fits.values()
            ),
        }
    return means


def mean(fits, name):
    """Return the mean of a measure over the tables of two classes, which have an AUC."""
    values = [fit[name] for fit in fits.values() if fit.get("auc") is not None]
    return statistics.mean(values) if values else None


def text(result):
    """Format the means for the terminal."""
    lines = []
    for limit, title in SIZES.items():
        tables = medians(result, limit)
        if not tables:
            continue
        lines.append(
            f"{title}:\n{'':32} {'tables':>6} {'/ RealMLP-TD':>12} {'unseen':>7} {'AUC':>6} "
            f" {'log loss':>8} {'fit s':>8} {'ms / 1,000 rows':>15}"
        )
        unseen = summary(tables, UNSEEN)
        for name, of in summary(tables).items():
            lines.append(
                f"  {NAMES[name]:30} {of['n_tables']:6} {cell(of['ratio']):>12} "
                f"{cell(unseen.get(name, {}).get('ratio')):>7} "
                f"{cell(of['auc']):>6} {cell(of['log_loss']):>8} {of['fit_seconds']:8.2f} "
                f"{1e6 * of['row_seconds']:15.2f}"
            )
    for name, value in result.get("costs", {}).items():
        lines.append(f"{name}: {value:.3g}")
    return "\n".join(lines)


def markdown(result):
    """Return the tables for README.md, one for each number of training rows."""
    blocks = []
    for limit, title in SIZES.items():
        tables = medians(result, limit)
        if tables:
            blocks.append(f"{title}; {seeds_of(tables)}:\n\n{markdown_table(tables)}")
    return "\n\n".join(blocks)


def seeds_of(tables):
    """Say how many seeds each contender has on every one of the tables."""
    numbers = {}
    for of in tables.values():
        for name, fit in of.items():
            numbers[name] = min(fit["n_seeds"], numbers.get(name, fit["n_seeds"]))
    most = max(numbers.values())
    fewer = [f"{NAMES[name]} {n}" for name, n in numbers.items() if n < most]
    words = f"medians of {most} seeds" if most > 1 else "one seed"
    return words + (f" (only {', '.join(fewer)})" if fewer else "")


def markdown_table(tables):
    """Return a row for each table, with the lowest error in bold, and rows of means."""
    contenders = [name for name in NAMES if any(name in of for of in tables.values())]
    rows = [["table", "rows x columns", *(NAMES[name] for name in contenders)]]
    rows.append(["---", "---", *["---:"] * len(contenders)])
    for table, of in tables.items():
        first = next(iter(of.values()))
        unit = "RMSE" if BY_NAME[table].is_regression else "error"
        cells = [f"{table}, {unit}", f"{first['n_train']:,} x {first['n_features']}"]
        errors = [report.number(of[name]["error"]) if name in of else "-" for name in contenders]
        lowest = report.number(min(fit["error"] for fit in of.values()))
        cells += [f"**{error}**" if error == lowest else error for error in errors]
        rows.append(cells)
    means, unseen = summary(tables), summary(tables, UNSEEN)
    n_unseen = sum(table in UNSEEN for table in tables)
    measures = {
        "errors / RealMLP-TD": {name: of["ratio"] for name, of in means.items()},
        f"the same, last {n_unseen} tables": {name: of["ratio"] for name, of in unseen.items()},
        "AUC": {name: of["auc"] for name, of in means.items()},
        "log loss": {name: of["log_loss"] for name, of in means.items()},
        "fit, CPU s": {name: of["fit_seconds"] for name, of in means.items()},
        "predict 1,000 rows, CPU ms": {name: 1e6 * of["row_seconds"] for name, of in means.items()},
    }
    for title, values in measures.items():
        cells = [report.number(values.get(name)) for name in contenders]
        if any(value is not None for value in values.values()):
            rows.append([title, "", *cells])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def block(result):
    """Return what README.md says between the markers."""
    env = result["environment"]
    commits = {fit["commit"] for fit in result["fits"] if fit["contender"].startswith("fastmlp")}
    peers = ", ".join(
        f"{name} {env[name]}"
        for name in ("pytabkit", "torch", "catboost", "lightgbm")
        if name in env
    )
    return (
        "Error rates and root mean squared errors (RMSE) of the rows for the test; the lowest is "
        "bold. Below them, over the tables that all contenders have: the geometric mean of the "
        "errors relative to RealMLP-TD; means of AUC and log loss for two classes; medians of the "
        "CPU time on one thread. "
        f"Measured on {env['date']}: {env['processor']}, fastmlp {env['fastmlp']['version']} "
        f"({env['fastmlp']['isa']}, commit {' and '.join(sorted(commits))}), "
        f"{peers}, scikit-learn {env['sklearn']}, Python {env['python']}.\n\n"
        f"{markdown(result)}"
    )


def chart(result):
    """Draw errors and times relative to RealMLP-TD, for each table."""
    import matplotlib.pyplot as plt

    tables = medians(result, LIMIT)
    tables = {table: of for table, of in tables.items() if REFERENCE in of}
    fig, axes = plt.subplots(
        1, 2, figsize=(11, 1.5 + 0.35 * len(tables)), sharey=True, layout="constrained"
    )
    names = [name for name in NAMES if any(name in of for of in tables.values())]
    for ax, measure in zip(axes, ("error", "fit_seconds"), strict=True):
        for i, name in enumerate(names):
            own = name.startswith("fastmlp")
            points = [
                (of[name][measure] / (of[REFERENCE][measure] if measure == "error" else 1), place)
                for place, of in enumerate(tables.values())
                if name in of and of[REFERENCE][measure]
            ]
            ax.plot(
                *zip(*points, strict=True),
                "D" if own else "o",
                color=f"C{i}",
                alpha=0.8,
                label=NAMES[name],
            )
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("{x:g}" if measure == "error" else "")
        ax.tick_params(axis="x", which="minor", labelsize=7)
        ax.grid(axis="x", which="both", linewidth=0.3)
        ax.set_yticks(range(len(tables)), tables)
    axes[0].axvline(1, color="black", linewidth=0.8)
    axes[0].set_xlabel("error / RealMLP-TD's (log scale)")
    axes[1].set_xlabel("CPU seconds of a fit (log scale)")
    axes[0].invert_yaxis()
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    report.title(fig, result)
    return fig
