"""Compare the time of predictions with scikit-learn, PyTorch and ONNX Runtime.

    python bench/predict.py                    all cases, all installed libraries
    python bench/predict.py row --threads 1    the cases of that name, on one thread

All contenders use the same weights and take and return arrays: the probabilities of `predict_proba`
for a classifier, `predict` for a regressor. The script checks that their results agree.
scikit-learn and fastmlp validate X as usual. PyTorch evaluates an nn.Sequential in
`inference_mode`, ONNX Runtime a graph of Gemm, Relu and Softmax; both read X in place.

Each contender runs in a process of its own, with the same number of threads. The contenders take
turns, and all others are stopped while one works. A turn consists of enough calls to take about
--seconds, and its result is their mean. "adds" is the maximum memory that the calls add to a
process that holds X and has predicted a few rows.
"""

import argparse
import contextlib
import os
import sys
import time
import warnings
from functools import partial
from itertools import pairwise

import numpy as np

import machine
import peers
import report
from contender import Contender, compared, serve
from workloads import Workload

AGAINST = {"sklearn": (), "torch": ("torch",), "onnxruntime": ("onnxruntime", "onnx")}
SAMPLE = 3  # number of rows whose predictions are compared

NARROW = 64, (100,), "10", 200, "relu", ""
CASES = [
    (Workload("row", 1, *NARROW), "float64"),
    (Workload("row", 1, *NARROW), "float32"),
    (Workload("rows", 100_000, *NARROW), "float64"),
    (Workload("rows", 100_000, *NARROW), "float32"),
    (Workload("wide", 20_000, 784, (512, 512), "regression", 200, "relu", ""), "float32"),
]


def main():
    args = parse_arguments()
    chosen = [case for case in CASES if case[0].name in args.cases] if args.cases else CASES
    names = ["fastmlp", *(name for name in args.against if peers.is_installed(name, AGAINST[name]))]
    result = {"threads": args.threads, "repeat": args.repeat, "rows": []}
    result["environment"] = machine.environment(set(names) - {"fastmlp", "sklearn"})
    print(report.HEADER, flush=True)
    for workload, dtype in chosen:
        result["rows"].append(compare(workload, dtype, names, args))
        print(report.lines(result["rows"][-1]), flush=True)
    print("\n" + report.sentence(result))
    is_whole = chosen == CASES and names[1:] == list(AGAINST)
    report.write_json(result, "predict" if is_whole else "predict-partial")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = list(dict.fromkeys(workload.name for workload, _ in CASES))
    parser.add_argument("cases", nargs="*", metavar="case", help=f"from {', '.join(names)}")
    parser.add_argument("--threads", type=int, default=machine.n_cores(), help="default: all cores")
    parser.add_argument("--against", nargs="*", choices=list(AGAINST), default=list(AGAINST))
    parser.add_argument("--repeat", type=int, default=5, help="turns of each contender (5)")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="approximate time of a turn (0.3)"
    )
    args = parser.parse_args()
    if not set(args.cases) <= set(names):
        parser.error(f"unknown case; choose from {', '.join(names)}")
    return args


def compare(workload, dtype, names, args):
    """Measure all contenders in turn on one case and return a row of the result."""
    with contextlib.ExitStack() as stack:
        predictors = {}
        for name in names:
            number = CASES.index((workload, dtype))
            predictor = Contender(__file__, name, str(number), n_threads=args.threads)
            predictors[name] = stack.enter_context(predictor)
        started = {name: predictor.started() for name, predictor in predictors.items()}
        for name in names:
            sample, expected = started[name]["sample"], started["fastmlp"]["sample"]
            np.testing.assert_allclose(sample, expected, rtol=1e-4, err_msg=name)
        calls = {}
        for name, predictor in predictors.items():
            calls[name] = 1
            while (took := predictor.ask({"calls": calls[name]})["seconds"]) < args.seconds / 4:
                calls[name] *= 4
            calls[name] = max(1, round(args.seconds / took * calls[name]))
        for _ in range(args.repeat):
            for name, predictor in predictors.items():
                seconds = predictor.ask({"calls": calls[name]})["seconds"]
                predictor.turns.append(seconds / calls[name])

    is_row = workload.n_rows == 1
    flops = 2 * workload.n_rows * sum(a * b for a, b in pairwise(workload.layer_units))
    return {
        "workload": workload.name,
        "n_rows": workload.n_rows,
        "n_features": workload.n_features,
        "hidden": list(workload.hidden),
        "batch": workload.n_rows,
        "dtype": dtype,
        "unit": "us per call" if is_row else "ms per call",
        "ceiling_gflops": predictors["fastmlp"].ceiling,
        "X_bytes": started["fastmlp"]["X_bytes"],
        "contenders": compared(predictors, 1e6 if is_row else 1e3, flops),
    }


def predict_when_told(name, number, n_threads):
    """Run the child process: make the model and X, then predict as often as each order asks."""
    warnings.simplefilter("ignore")
    n_threads = int(n_threads)
    workload, dtype = CASES[int(number)]
    X, _ = workload.data(dtype)
    predict = MODELS[name](workload, dtype, n_threads)
    sample = predict(X[:SAMPLE])
    baseline = machine.memory()

    def answer(order):
        begin = time.perf_counter()
        for _ in range(order["calls"]):
            predict(X)
        seconds = time.perf_counter() - begin
        return {
            "seconds": seconds,
            "added_bytes": machine.peak_memory() - baseline,
            "ceiling": machine.fma_ceiling(dtype, n_threads) if name == "fastmlp" else 0,
        }

    serve({"sample": sample.ravel().tolist(), "X_bytes": X.nbytes}, answer)


def estimator_model(name, workload, dtype, n_threads):
    estimator = workload.estimator(name, 1, n_threads)
    n_classes = max(2, workload.layer_units[-1])
    X = np.zeros((10 * n_classes, workload.n_features), dtype)
    y = np.arange(len(X)) % n_classes
    estimator.fit(X, y.astype(dtype) if workload.is_regression else y)
    estimator.coefs_, estimator.intercepts_ = peers.initial_weights(workload, dtype)
    return estimator.predict if workload.is_regression else estimator.predict_proba


def torch_model(workload, dtype, n_threads):
    import torch

    torch.set_num_threads(n_threads)
    model = peers.torch_model(workload, dtype)
    if not workload.is_regression:
        model.append(torch.nn.Softmax(dim=1))

    def predict(X):
        with torch.inference_mode():
            return model(torch.from_numpy(X)).numpy()

    return predict


def onnxruntime_model(workload, dtype, n_threads):
    import onnxruntime
    from onnx import helper, numpy_helper

    nodes, arrays, z = [], [], "X"
    for i, weights in enumerate(zip(*peers.initial_weights(workload, dtype), strict=True)):
        if i:
            nodes.append(helper.make_node("Relu", [z], [f"a{i}"]))
            z = f"a{i}"
        names = f"coef{i}", f"intercept{i}"
        arrays += map(numpy_helper.from_array, weights, names)
        nodes.append(helper.make_node("Gemm", [z, *names], [f"z{i}"]))
        z = f"z{i}"
    if not workload.is_regression:
        nodes.append(helper.make_node("Softmax", [z], ["y"], axis=1))
        z = "y"
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    widths = {"X": workload.n_features, z: workload.layer_units[-1]}
    ends = [helper.make_tensor_value_info(end, kind, [None, widths[end]]) for end in widths]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], arrays)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda X: session.run(None, {"X": X})[0]


MODELS = {
    "fastmlp": partial(estimator_model, "fastmlp"),
    "sklearn": partial(estimator_model, "sklearn"),
    "torch": torch_model,
    "onnxruntime": onnxruntime_model,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        predict_when_told(*sys.argv[2:])
    else:
        os.chdir(machine.ROOT)
        main()
