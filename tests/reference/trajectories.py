"""float64 fits compared with scikit-learn's from the same random_state.

`python -m reference.trajectories`, run in tests/, prints the largest relative difference of every
combination; test_trajectory.py compares the same numbers with the tolerance.

The relative difference of two arrays is max |a - b| / max |b|, where b is
scikit-learn's. Integers, lengths and labels must be equal.

L-BFGS runs are short: its curvature estimates divide small differences, so
rounding errors grow with every iteration. Two runs of scikit-learn itself, with
X scaled by 1 + 1e-15 in one of them, differ over the combinations below by
5e-12 after 8 iterations, 4e-9 after 20, 5e-7 after 40.
"""

import itertools
import sys
import warnings

import numpy as np

from reference.problems import (
    ACTIVATIONS,
    CONTAINERS,
    KINDS,
    ours,
    outputs,
    problem,
    sample_weights,
    theirs,
)

TOLERANCE = 1e-9
LBFGS_ITERATIONS = 8

SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs", "max_iter": LBFGS_ITERATIONS, "max_fun": 100},
} | {
    f"sgd {schedule} {name}": {
        "solver": "sgd",
        "learning_rate": schedule,
        # invscaling divides by the square root of the samples seen
        "learning_rate_init": 0.1 if schedule == "invscaling" else 0.03,
        **momentum,
    }
    for schedule in ("constant", "invscaling", "adaptive")
    for name, momentum in {
        "plain": {"momentum": 0.0},
        "momentum": {"momentum": 0.9, "nesterovs_momentum": False},
        "nesterov": {"momentum": 0.9, "nesterovs_momentum": True},
    }.items()
}
HIDDEN = ((7,), (17, 5), ())
BATCH_SIZES = ("auto", 16, 13, 1000)  # no number divides the 61 rows; the last is clipped
NUMBERS = (
    "coefs_",
    "intercepts_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)
EXACT = ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_")


def relative_difference(a, b):
    """max |a - b| / max |b| of two arrays; inf if they cannot be compared."""
    if a is None or b is None:
        return 0.0 if a is b else np.inf
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or not np.isfinite(a).all():
        return np.inf
    if not b.size:
        return 0.0
    return float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0))


def differences(a, b, X):
    """Name -> relative difference between two fitted models (b: scikit-learn's)."""
    found = {}
    for name in NUMBERS:
        if name == "loss_curve_" and not hasattr(b, name):
            continue  # of L-BFGS: only ours
        if hasattr(a, name) != hasattr(b, name):
            found[name] = np.inf
        elif name in ("coefs_", "intercepts_"):
            pairs = zip(getattr(a, name), getattr(b, name), strict=True)
            found[name] = max(relative_difference(p, q) for p, q in pairs)
        elif hasattr(b, name):
            found[name] = relative_difference(getattr(a, name), getattr(b, name))
    for name in EXACT:
        found[name] = 0.0 if getattr(a, name) == getattr(b, name) else np.inf
    found["outputs"] = relative_difference(outputs(a, X), outputs(b, X))
    if hasattr(b, "classes_"):
        found["predict"] = 0.0 if np.array_equal(a.predict(X), b.predict(X)) else np.inf
    return found


def turns(solver, kind):
    """(container, weighted, shuffle, early_stopping, activation, hidden, batch_size), 24 in a cell.

    All combinations of input, weights, shuffling and early stopping occur; for L-BFGS, those of
    input, weights and activation. The other values rotate, so that every pair of values of two
    columns occurs in each cell, and every triple of three columns in one of a solver's cells.
    """
    both, k = (False, True), list(KINDS).index(kind)
    if solver == "lbfgs":
        crossed = itertools.product(CONTAINERS, both, ACTIVATIONS)
        for i, (container, weighted, activation) in enumerate(crossed):
            yield container, weighted, True, False, activation, HIDDEN[(i // 2 + k) % 3], "auto"
        return
    for i, crossed in enumerate(itertools.product(CONTAINERS, both, both, both)):
        activation, hidden = ACTIVATIONS[(i + i // 4 + k) % 4], HIDDEN[(i // 3 + k) % 3]
        yield *crossed, activation, hidden, BATCH_SIZES[(i + i // 3 + i // 4 + k + k // 4) % 4]


def combinations(solver, kind):
    """The settings of one cell of the table: (label, parameters, fit arguments)."""
    start = 5 * list(KINDS).index(kind) + 7 * list(SOLVERS).index(solver)
    for turn, chosen in enumerate(turns(solver, kind), start + 1):
        container, weighted, shuffle, early_stopping, activation, hidden, batch_size = chosen
        params = {
            "activation": activation,
            "hidden_layer_sizes": hidden,
            "random_state": turn,
            "alpha": 0.05,
            "max_iter": 5,
            **SOLVERS[solver],
        }
        if solver != "lbfgs":
            params |= {
                "shuffle": shuffle,
                "early_stopping": early_stopping,
                "batch_size": batch_size,
                "validation_fraction": 0.2,
                # about every other epoch improves by less than this
                "tol": 0.01,
                "n_iter_no_change": 1,
            }
        if solver.startswith("sgd") and kind.startswith("poisson"):
            params["learning_rate_init"] /= 40  # the exponential diverges otherwise
        X, y = problem(kind, seed=turn % 5)
        weights = {"sample_weight": sample_weights(len(y))} if weighted else {}
        label = (
            f"{activation} {container} weighted={weighted} shuffle={shuffle} "
            f"early_stopping={early_stopping} hidden={hidden} "
            f"batch_size={batch_size} random_state={turn}"
        )
        yield label, params, (CONTAINERS[container](X), y, weights)


def cell(solver, kind):
    """label -> name -> relative difference, over one cell of the table."""
    found = {}
    for label, params, (X, y, weights) in combinations(solver, kind):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a = ours(kind, **params).fit(X, y, **weights)
            b = theirs(kind, **params).fit(X, y, **weights)
        found[label] = differences(a, b, X)
    return found


def main():
    worst, count = 0.0, 0
    print("Largest relative difference to scikit-learn, float64, over dense/CSR/CSC,")
    print("weighted or not, shuffled or not, with and without early stopping:\n")
    print(f"{'solver':25}{'target':12}" + "".join(f"{a:>10}" for a in ACTIVATIONS))
    for solver, kind in itertools.product(SOLVERS, KINDS):
        found = cell(solver, kind)
        row = [
            max(max(d.values()) for label, d in found.items() if label.startswith(activation))
            for activation in ACTIVATIONS
        ]
        count += len(found)
        worst = max(worst, *row)
        print(f"{solver:25}{kind:12}" + "".join(f"{r:10.1e}" for r in row), flush=True)
    print(f"\n{count} pairs of fits; largest difference {worst:.1e}")
    return worst > TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
