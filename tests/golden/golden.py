"""Hashes of some 300 fits, to show that a refactoring changes no bit.

    python tests/golden/golden.py before.json       write the hashes of this version
    python tests/golden/golden.py --against before.json

The script imports only the public API. Each instruction set of the machine runs in a process of its
own. Compare files of one machine and one compiler: others may round differently.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np

DTYPES = ("float32", "float64")


def data(dtype, n=173, n_features=7, seed=0):
    """X (n, n_features) of this type and a latent real target."""
    random = np.random.RandomState(seed)
    X = random.standard_normal((n, n_features)).astype(dtype)
    return X, X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.1 * random.standard_normal(n)


def targets(kind, latent):
    if kind == "classes":
        return np.digitize(latent, [-0.5, 0.5])
    if kind == "binary":
        return (latent > 0).astype(int)
    if kind == "labels":
        return np.stack([latent > 0, latent > 0.7, latent < -0.4], axis=1).astype(int)
    if kind == "outputs":
        return np.stack([latent, latent**2], axis=1)
    if kind == "positive":
        return np.exp(latent)
    if kind == "unit":
        return 1 / (1 + np.exp(-latent))
    return latent


def names(parameter):
    """What a parameter may be, in the order in which the docstring lists it."""
    from fastmlp import MLPClassifier

    options = MLPClassifier._parameter_constraints[parameter][0].options - {"lbfgs"}
    return sorted(options, key=lambda name: MLPClassifier.__doc__.index(f"- '{name}'"))


def plain_configurations():
    """Name, kind of targets, parameters; each runs in both types on 173 rows of 7 features."""
    small = {"hidden_layer_sizes": (9, 5), "max_iter": 4, "random_state": 1}
    for name in names("activation"):
        yield f"activation {name}", "classes", {**small, "activation": name}
        for out in (name, "exp") if name == "tanh" else (name,):
            parameters = {"out_activation": out, "solver": "sgd", "learning_rate_init": 1e-3}
            yield f"out_activation {out}", "unit", {**small, **parameters}
    for solver in names("solver"):
        own = {**small, "solver": solver}
        yield f"solver {solver}", "classes", own
        yield f"solver {solver} layer", "real", {**own, "normalization": "layer"}
        yield f"solver {solver} batch", "classes", {**own, "normalization": "batch"}
        yield f"solver {solver} clip_norm", "classes", {**own, "clip_norm": 0.05}
        yield f"solver {solver} clip_value", "real", {**own, "clip_value": 0.01, "max_norm": 0.9}
        both = {"clip_norm": 0.5, "max_norm": 0.8, "average_weights": "ema"}
        yield f"solver {solver} all", "labels", {**own, **both}
        yield f"solver {solver} l1", "classes", {**own, "l1_ratio": 0.5, "alpha": 0.1}
    for loss in ("log_loss", "focal", "squared_error", "hinge"):
        for kind in ("classes", "binary", "labels"):
            yield f"classifier {loss} {kind}", kind, {**small, "loss": loss}
    for loss in ("absolute_error", "huber", "log_cosh", "quantile", "squared_error"):
        yield f"regressor {loss}", "outputs", {**small, "loss": loss}
    for loss in ("poisson", "gamma"):
        yield f"regressor {loss}", "positive", {**small, "loss": loss}
        deviance = {"loss": loss, "out_activation": "softplus"}
        yield f"regressor {loss} softplus", "positive", {**small, **deviance}
    levels = {"loss": "quantile", "loss_params": {"quantile": [0.1, 0.5, 0.9]}}
    yield "regressor levels", "real", {**small, **levels}
    wide = {**small, "hidden_layer_sizes": (9, 9, 9), "activation": ["tanh", "relu", "gelu"]}
    for normalization in (None, *names("normalization")):
        for residual in (False, True):
            for dropout in (0.0, 0.3):
                parameters = {"normalization": normalization, "residual": residual}
                parameters |= {"dropout": dropout, "input_dropout": dropout / 2}
                name = f"form {normalization} {residual} {dropout}"
                yield name, "classes", {**wide, **parameters}
                yield f"{name} frozen", "real", {**wide, **parameters, "frozen_layers": [0, 2]}
    for schedule in ("cosine", "exponential", "step", "one_cycle", "coslog4"):
        yield f"schedule {schedule}", "classes", {**small, "learning_rate": schedule}
    for schedule in ("invscaling", "adaptive", "cosine"):
        parameters = {"solver": "sgd", "learning_rate": schedule, "max_iter": 15, "tol": 0.1}
        yield f"schedule sgd {schedule}", "real", {**small, **parameters, "n_iter_no_change": 2}
    yield "warmup", "classes", {**small, "warmup": 0.5}
    yield "swa", "classes", {**small, "average_weights": "swa", "max_iter": 8}
    yield "smoothing", "classes", {**small, "label_smoothing": 0.1}
    yield "balanced", "classes", {**small, "class_weight": "balanced"}
    yield "no shuffle", "classes", {**small, "shuffle": False, "max_iter": 60}
    yield "linear", "classes", {**small, "hidden_layer_sizes": ()}
    yield "one unit", "real", {**small, "hidden_layer_sizes": (1,)}
    yield "batch 32", "classes", {**small, "batch_size": 32}
    yield "sgd plain", "classes", {**small, "solver": "sgd", "nesterovs_momentum": False}
    for init in ("he_normal", "orthogonal", "lecun_uniform", "uniform"):
        yield f"init {init}", "classes", {**small, "init": init}
    for solver in ("adam", "sgd"):
        yield f"ensemble {solver}", "classes", {**small, "n_estimators": 3, "solver": solver}
    yield "ensemble real", "real", {**small, "n_estimators": 2, "dropout": 0.2}
    for activation in ("tanh", "relu", "gelu"):
        own = {**small, "solver": "lbfgs", "activation": activation, "max_iter": 8}
        yield f"lbfgs {activation}", "classes", own
        yield f"lbfgs {activation} real", "outputs", {**own, "frozen_layers": [0]}
    yield "lbfgs layer", "real", {**small, "solver": "lbfgs", "normalization": "layer"}
    early = {**small, "early_stopping": True, "max_iter": 12}
    yield "early stopping", "classes", early
    yield "early stopping loss", "real", {**early, "scoring": "loss", "stratify_validation": None}
    yield "early stopping scorer", "classes", {**early, "scoring": "neg_log_loss"}
    yield "early stopping batch", "classes", {**early, "normalization": "batch"}
    yield "restore", "binary", {**early, "stratify_validation": True, "restore_best_weights": False}
    record = {"record": {"gradients", "activations", "weights"}}
    yield "record", "classes", {**small, **record}
    yield "record layer", "classes", {**small, **record, "normalization": "layer"}


def fit(kind, parameters, X, y, sample_weight=None):
    from fastmlp import MLPClassifier, MLPRegressor

    make = MLPClassifier if kind in ("classes", "binary", "labels") else MLPRegressor
    if make is MLPRegressor and parameters.get("solver") == "rprop":
        parameters = {**parameters, "batch_size": "auto"}
    return make(n_threads=2, **parameters).fit(X, y, sample_weight)


def special_cases(dtype):
    """Name -> estimator and X: inputs, chunks, calls that a table of parameters cannot say."""
    import scipy.sparse as sp

    from fastmlp import MLPClassifier, MLPRegressor

    X, latent = data(dtype)
    y, real = targets("classes", latent), latent
    small = {"hidden_layer_sizes": (9, 5), "max_iter": 4, "random_state": 1, "n_threads": 2}
    sparse = sp.csr_matrix(np.where(np.abs(X) > 1, X, 0))
    for name in ("bool", "int8", "uint16", "int64", "float64"):
        typed = (4 * X).astype(name)
        yield f"input {name}", MLPClassifier(**small).fit(typed, y), typed
    turned = np.asfortranarray(X)[::-1]
    yield "input strides", MLPClassifier(**small).fit(turned, y), turned
    for more in ({}, {"normalization": "batch"}, {"normalization": "layer"}, {"dropout": 0.2}):
        name = f"sparse {more}"
        yield name, MLPClassifier(**small, input_dropout=0.1, **more).fit(sparse, y), sparse
    yield "sparse sgd", MLPRegressor(solver="sgd", **small).fit(sparse, real), sparse
    weights = np.random.RandomState(3).uniform(0, 2, len(y))
    for more in ({}, {"normalization": "batch"}, {"solver": "lbfgs"}, {"batch_size": 30}):
        yield f"weights {more}", MLPClassifier(**small, **more).fit(X, y, weights), X
    X_large, latent_large = data(dtype, 2500, 40)
    y_large = targets("classes", latent_large)
    wide = {**small, "hidden_layer_sizes": (300, 8), "batch_size": 2500, "max_iter": 2}
    for more in ({}, {"clip_norm": 0.01}, {"normalization": "layer"}, {"solver": "lbfgs"}):
        yield f"chunks {more}", MLPClassifier(**wide, **more).fit(X_large, y_large), X_large
    for batch in (64, 130, 500, 1500):
        for more in ({}, {"normalization": "layer", "residual": True}, {"clip_norm": 0.1}):
            network = {**small, "hidden_layer_sizes": (12, 12), "batch_size": batch}
            name = f"shares {batch} {more}"
            yield name, MLPClassifier(**network, **more).fit(X_large, y_large), X_large
    held = {"X_val": X[:40], "y_val": y[:40]}
    yield "X_val", MLPClassifier(**small).fit(X[40:], y[40:], **held), X
    for more in ({}, {"normalization": "batch"}, {"learning_rate": "cosine"}, {"n_estimators": 2}):
        model = MLPClassifier(**small, **more)
        for begin in range(0, 160, 40):
            model.partial_fit(X[begin : begin + 40], y[begin : begin + 40], classes=[0, 1, 2])
        yield f"partial_fit {more}", model, X
    for more in ({}, {"early_stopping": True}, {"average_weights": "ema"}, {"solver": "lbfgs"}):
        model = MLPRegressor(warm_start=True, **small, **more)
        yield f"warm_start {more}", model.fit(X, real).fit(X, real), X
    source = MLPClassifier(**small).fit(X, y)
    other = MLPClassifier(**small, init=source, frozen_layers=[0])
    yield "transfer", other.fit(X, np.digitize(latent, [0, 1])), X


def digest(model, X):
    parts = {}
    for name in ("coefs_", "intercepts_", "norm_scales_", "norm_shifts_", "norm_means_"):
        parts[name] = getattr(model, name, [])
    parts["norm_variances_"] = getattr(model, "norm_variances_", [])
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_"):
        parts[name] = [np.array(getattr(model, name, None) or [])]
    parts["scalars"] = [np.array([model.loss_, model.n_iter_, model.t_, model.best_iteration_])]
    history = {k: v for k, v in sorted(model.history_.items()) if k != "seconds"}
    parts["history_"] = [np.array(v, dtype=float) for v in history.values()]
    state = getattr(model, "_optimizer", None)
    if state is not None:
        parts["slots"] = [a for slot in state.slots for arrays in slot for a in arrays]
        parts["rate"] = [np.array([state.learning_rate, state.t])]
    parts["predictions"] = [getattr(model, "predict_proba", model.predict)(X)]
    parts["one row"] = [getattr(model, "predict_proba", model.predict)(X[:1])]
    if model.n_layers_ > 2 and model.coefs_[0].ndim == 2:
        parts["hidden_layer"] = [model.hidden_layer(X)]
    sha = hashlib.sha256()
    for name, arrays in parts.items():
        sha.update(name.encode())
        for array in arrays:
            array = np.asarray(array)
            sha.update(str((array.dtype, array.shape)).encode())
            sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def trace_digest(model, X, y):
    from fastmlp.inspection import trace_step

    return hashlib.sha256(repr(trace_step(model, X, y)).encode()).hexdigest()[:16]


def hashes():
    warnings.simplefilter("ignore")
    np.set_printoptions(floatmode="unique", threshold=10**6)
    found = {}
    for dtype in DTYPES:
        X, latent = data(dtype)
        for name, kind, parameters in plain_configurations():
            y = targets(kind, latent)
            try:
                model = fit(kind, parameters, X, y)
            except ValueError:
                if name.endswith("l1"):  # which some solvers refuse
                    continue
                raise
            found[f"{dtype} {name}"] = digest(model, X)
            traced = parameters.get("solver") != "lbfgs" and "ensemble" not in name
            if traced and name.startswith(("solver", "form", "regressor")):
                found[f"{dtype} {name} trace"] = trace_digest(model, X[:9], y[:9])
        for name, model, X_case in special_cases(dtype):
            found[f"{dtype} {name}"] = digest(model, X_case)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--against")
    parser.add_argument("--one", action="store_true", help="this process's instruction set only")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(hashes()))
        return 0
    from fastmlp import show_config

    found = {}
    for isa in show_config()["isas_available"]:
        environment = {**os.environ, "FASTMLP_ISA": isa, "FASTMLP_TEAMS": "early"}
        command = [sys.executable, __file__, "--one"]
        found[isa] = json.loads(subprocess.check_output(command, env=environment))
    if options.file:
        with open(options.file, "w") as file:
            json.dump(found, file, indent=1)
    n_hashes = sum(map(len, found.values()))
    if not options.against:
        print(f"{n_hashes} hashes of {', '.join(found)}")
        return 0
    with open(options.against) as file:
        before = json.load(file)
    changed = [
        f"{isa}: {name}"
        for isa, hashes in before.items()
        for name, value in hashes.items()
        if found.get(isa, {}).get(name) != value
    ]
    print(*changed[:40], sep="\n")
    print(f"{len(changed)} of {n_hashes} hashes changed")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
