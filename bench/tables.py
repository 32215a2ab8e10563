"""Compare TabularClassifier and TabularRegressor on real tables with RealMLP and boosted trees.

    python bench/tables.py                        all tables and installed contenders, 3 seeds
    python bench/tables.py churn ames --rows all  two tables, all of their training rows
    python bench/tables.py --against fastmlp catboost --seeds 1
    python bench/tables.py --again fastmlp        measure anew what is stored for one contender
    python bench/tables.py --costs                what threads, predictions and categories cost
    python bench/tables.py --update-readme        also write the table into README.md

`pip install '.[tables]'` installs the tables and the other libraries, but for ISLP, which has the
table bikeshare: `pip install --no-deps ISLP`. What is not installed is left out.

Method
------
- bench/tables_data.py describes the tables and their split, bench/tables_models.py how each
  contender is used. All get the same frames for training, validation and test. Nothing was tuned
  for a table.
- The training rows are limited to 2,048 (and the rows for validation to a third of that), or are
  all rows for training. The rows for the test are the same for both.
- The error is the fraction of wrong classes, or the root of the mean squared error. Classifiers
  have log loss and the area under the ROC curve besides.
- Each contender runs on one thread in a process of its own, which imports its library and fits a
  small table first. The contenders take turns, and all others are stopped while one works. The
  seconds are those of the processor, so they depend little on what else the machine does.
- A fit is what `bench/tables_models.py` does with a frame, preparation included; the prediction is
  that of the rows for the test, the best of 3.
- Reported are medians over the seeds. Geometric means are relative to RealMLP-TD, over the tables
  that both have.
- Every fit is stored in bench/results/tables.json at once, and not repeated by the next run: a long
  run can be split, and interrupted.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import time
import warnings

import machine
import peers
import report
import tables_costs
import tables_report
from contender import Contender, serve
from tables_data import BY_NAME, MADE, TABLES, splits
from tables_models import CONTENDERS

LIMITS = {"2048": 2048, "all": None}
SEEDS = 3


def main():
    args = parse_arguments()
    tables = [BY_NAME[name] for name in args.tables] or TABLES
    name = "tables"
    if args.quick:
        tables, args.rows, args.seeds, name = [MADE], ["all"], 1, "tables-partial"
        report.result_path(name).unlink(missing_ok=True)
    against = [] if args.costs else args.against
    against = [name for name in against if peers.is_installed(name, CONTENDERS[name][2:])]
    for table in tables:
        if not table.is_installed():
            print(f"without {table.name}: {table.package} is not installed", flush=True)
    tables = [table for table in tables if table.is_installed()]

    packages = {package for each in against for package in CONTENDERS[each][2:]}
    results = Results(name, packages - {"fastmlp", "sklearn"})
    results.forget(args.again)
    if args.costs:
        results.add_costs(tables_costs.measure(args.quick))
    else:
        measure(tables, against, args, results)
    result = results.load()
    print("\n" + tables_report.text(result))
    print("\n" + tables_report.markdown(result))
    report.save_chart(result, name, tables_report.chart)
    if args.update_readme:
        report.replace_block(tables_report.MARKERS, tables_report.block(result))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "tables",
        nargs="*",
        metavar="table",
        help=f"default: {' '.join(table.name for table in TABLES)}",
    )
    parser.add_argument(
        "--against",
        nargs="*",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        help="contenders, fastmlp among them; default: all",
    )
    parser.add_argument(
        "--rows", nargs="+", choices=LIMITS, default=list(LIMITS), help="training rows"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"number of seeds ({SEEDS})")
    parser.add_argument(
        "--again",
        nargs="+",
        choices=CONTENDERS,
        default=[],
        help="contenders whose stored fits are forgotten",
    )
    parser.add_argument("--costs", action="store_true", help="measure these instead")
    parser.add_argument("--quick", action="store_true", help="a made table, to test the script")
    parser.add_argument("--update-readme", action="store_true", help="write README.md's table")
    args = parser.parse_args()
    unknown = [name for name in args.tables if name not in BY_NAME]
    if unknown:
        parser.error(f"unknown table {', '.join(unknown)}; choose from {', '.join(BY_NAME)}")
    return args


class Results:
    """The result file, which is read and written anew with every fit."""

    def __init__(self, name, packages):
        self.name = name
        self.environment = machine.environment(sorted(packages))
        stored = self.load().get("environment", {}).get("processor")
        if stored not in (None, self.environment["processor"]):
            sys.exit(f"the stored fits are of another machine, {stored}: delete {self._path}")

    @property
    def _path(self):
        return report.result_path(self.name)

    def load(self):
        if not self._path.exists():
            return {"threads": 1, "fits": []}
        return json.loads(self._path.read_text())

    def forget(self, contenders):
        if contenders:
            result = self.load()
            fits = [fit for fit in result["fits"] if fit["contender"] not in contenders]
            self._write({**result, "fits": fits})

    def has(self, **key):
        return any(key.items() <= fit.items() for fit in self.load()["fits"])

    def add(self, fit):
        result = self.load()
        self._write({**result, "fits": [*result["fits"], fit]})

    def add_costs(self, costs):
        self._write({**self.load(), "costs": costs})

    def _write(self, result):
        """Write the file, a line for each fit."""
        known = result.get("environment", {})
        fits = ",\n".join(f"  {json.dumps(fit)}" for fit in result["fits"])
        others = {**result, "environment": {**known, **self.environment}, "fits": []}
        text = json.dumps(others, indent=1).replace('"fits": []', f'"fits": [\n{fits}\n ]')
        whole = self._path.with_suffix(".partial")
        whole.write_text(text + "\n")
        os.replace(whole, self._path)  # never half a file


def measure(tables, against, args, results):
    """Fit what is not stored: all tables and contenders with the first seed, then the next."""
    print(tables_report.HEADER, flush=True)
    limits = [LIMITS[name] for name in args.rows]
    with contextlib.ExitStack() as stack:
        running = {}
        for seed in range(args.seeds):
            for table in tables:
                for n_train in dict.fromkeys(len(splits(table, limit).y) for limit in limits):
                    for name in against:
                        key = {"table": table.name, "n_train": n_train}
                        key |= {"contender": name, "seed": seed}
                        if results.has(**key):
                            continue
                        if name not in running:
                            running[name] = stack.enter_context(
                                Contender(__file__, name, n_threads=1)
                            )
                            running[name].started()
                        measured = running[name].ask(key)
                        del measured["added_bytes"], measured["ceiling"]
                        measured["commit"] = results.environment["commit"]
                        results.add({**key, **measured})
                        print(tables_report.line({**key, **measured}), flush=True)


def fit_when_told(name, n_threads):
    """Run the child process: fit and predict the table that each order names."""
    assert n_threads == "1"
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    contender = CONTENDERS[name][0]
    with contextlib.redirect_stdout(sys.stderr):
        contender(splits(MADE), False, 0)

    def answer(order):
        table = BY_NAME[order["table"]]
        parts = splits(table, order["n_train"])
        with contextlib.redirect_stdout(sys.stderr):
            begin = time.process_time()
            predict = contender(parts, table.is_regression, order["seed"])
            fit_seconds = time.process_time() - begin
            predict_seconds = []
            for _ in range(3):
                begin = time.process_time()
                output = predict(parts.X_test)
                predict_seconds.append(time.process_time() - begin)
        return {
            "n_test": len(parts.y_test),
            "is_all": order["n_train"] == len(splits(table).y),
            "n_features": parts.X.shape[1],
            "fit_seconds": fit_seconds,
            "predict_seconds": min(predict_seconds),
            **scores(parts.y_test, output, table.is_regression),
            "added_bytes": 0,  # the tables would count more than the fits
            "ceiling": 0,
        }

    serve({}, answer)


def scores(y, output, is_regression):
    """Measure numbers, or the probabilities of classes, against the targets of the test."""
    import numpy as np
    from sklearn.metrics import log_loss, roc_auc_score

    if is_regression:
        return {"error": float(np.sqrt(np.mean((output - y) ** 2)))}
    output = np.asarray(output, float)
    output /= output.sum(axis=1, keepdims=True)
    is_binary = output.shape[1] == 2
    auc = roc_auc_score(y, output[:, 1] if is_binary else output, multi_class="ovr")
    return {
        "error": float(np.mean(output.argmax(axis=1) != y)),
        "auc": float(auc) if is_binary else None,  # of ten digits it is near 1 for everyone
        "log_loss": float(log_loss(y, output, labels=range(output.shape[1]))),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        fit_when_told(*sys.argv[2:])
    else:
        os.chdir(machine.ROOT)
        main()
