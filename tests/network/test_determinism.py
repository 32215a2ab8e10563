"""Same bits for every number of threads, layout of X, batch and run."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reference.problems import CONTAINERS, KINDS, bits, ours, outputs, problem, sample_weights

SOLVERS = {
    "adam": {"max_iter": 3},
    "sgd": {"solver": "sgd", "max_iter": 3},
    "lbfgs": {"solver": "lbfgs", "max_iter": 6},
}
# (n_samples, n_features, hidden): small, and enough work for several threads
SIZES = [(61, 9, (7,)), (701, 53, (67, 35))]


def fitted(kind, size, dtype, container="dense", weighted=False, **params):
    n_samples, n_features, hidden = size
    X, y = problem(kind, n_samples, n_features, dtype)
    if kind.startswith("poisson"):
        params.setdefault("learning_rate_init", 1e-4)
    model = ours(kind, hidden_layer_sizes=hidden, random_state=0, **params)
    weights = sample_weights(len(y)) if weighted else None
    return model.fit(CONTAINERS[container](X), y, sample_weight=weights), X


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_for_every_number_of_threads(kind, size, solver, container, dtype):
    def run(n_threads):
        params = SOLVERS[solver] | {"n_threads": n_threads}
        model, X = fitted(kind, size, dtype, container, solver != "adam", **params)
        return bits(model, CONTAINERS[container](X))

    expected = run(1)
    for n_threads in (2, 3, 7):
        assert run(n_threads) == expected


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("batch_size", [1, 5, 61, 701])
def test_same_bits_for_every_batch_size_and_activation(activation, batch_size, dtype):
    """A big batch over few weights is cut along the batch, the other way round."""
    params = {"activation": activation, "batch_size": batch_size, "max_iter": 2}
    runs = [
        bits(*fitted("multiclass", (701, 7, (5,)), dtype, n_threads=n, **params))
        for n in (1, 2, 3, 7)
    ]
    assert runs[1:] == runs[:1] * 3


def test_same_bits_with_early_stopping_and_threads(dtype):
    params = {"early_stopping": True, "max_iter": 8}
    runs = [
        bits(*fitted("multiclass", SIZES[1], dtype, n_threads=n, **params)) for n in (1, 2, 3, 7)
    ]
    assert runs[1:] == runs[:1] * 3


@pytest.mark.parametrize("solver", SOLVERS)
def test_repeated_runs_give_the_same_bits(solver, dtype):
    params = SOLVERS[solver] | {"n_threads": 2}
    runs = [bits(*fitted("multiclass", SIZES[1], dtype, **params)) for _ in range(8)]
    assert runs[1:] == runs[:1] * 7


def test_threads_may_change_between_fit_and_partial_fit(dtype):
    runs = []
    for first, second in ((1, 1), (1, 3), (3, 1)):
        model, X = fitted("binary", SIZES[1], dtype, max_iter=2, n_threads=first)
        y = problem("binary", 701, 53)[1]
        model.set_params(n_threads=second).partial_fit(X, y)
        runs.append(bits(model, X))
    assert runs[1:] == runs[:1] * 2


def layouts(X, folder):
    """The values of X in every way that memory can hold them."""
    n, m = X.shape
    wide = np.full((2 * n, 3 * m), np.nan, X.dtype)
    wide[::2, 1::3] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    raw = np.zeros(X.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(X.dtype).reshape(X.shape)
    unaligned[...] = X
    mapped = np.memmap(folder / "X", X.dtype, "w+", shape=X.shape)
    mapped[...] = X
    mapped.flush()
    return {
        "F": np.asfortranarray(X),
        "strided": wide[::2, 1::3],
        "reversed": X[::-1, ::-1].copy()[::-1, ::-1],
        "read-only": read_only,
        "unaligned": unaligned,
        "memmap": np.memmap(folder / "X", X.dtype, "r", shape=X.shape),
        "transposed view": X.T.copy().T,
    }


@pytest.mark.parametrize("solver", SOLVERS)
def test_same_bits_for_every_layout_of_X(solver, dtype, tmp_path):
    X, y = problem("multiclass", dtype=dtype)
    params = SOLVERS[solver] | {"random_state": 0, "hidden_layer_sizes": (7,)}
    expected = bits(ours("multiclass", **params).fit(X, y), X)
    for name, other in layouts(X, tmp_path).items():
        np.testing.assert_array_equal(other, X)
        assert bits(ours("multiclass", **params).fit(other, y), other) == expected, name


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_predicted_alike_alone_and_in_any_batch(kind, container, size, dtype):
    model, X = fitted(kind, size, dtype, max_iter=2)
    X = CONTAINERS[container](X).tocsr() if container != "dense" else X
    expected = outputs(model, X)
    assert expected.dtype == dtype
    rng = np.random.RandomState(0)
    parts = [np.arange(i, i + 1) for i in (0, 1, 2, 17, 60)]
    parts += [np.arange(k) for k in (2, 3, 5, 7, 8, 11, 12, 13, 16, 17, 24, 31, 48)]
    parts += [rng.permutation(len(expected))[:k] for k in (4, 9, 33, len(expected))]
    for n_threads in (1, 3):
        model.set_params(n_threads=n_threads)
        for rows in parts:
            part = X[rows]
            part = part.tocsc() if container == "csc" else part
            assert outputs(model, part).tobytes() == expected[rows].tobytes(), rows


@pytest.mark.parametrize("hidden", [(), (1,), (16,), (17, 5), (100,), (3, 3, 3)], ids=str)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared"])
def test_row_alone_whatever_the_widths(kind, hidden, dtype):
    model, X = fitted(kind, (61, 9, hidden), dtype, max_iter=1)
    expected = outputs(model, X)
    alone = np.concatenate([outputs(model, X[i : i + 1]) for i in range(len(X))])
    assert alone.tobytes() == expected.tobytes()


def test_many_threads_may_predict_with_one_model(dtype):
    model, X = fitted("multiclass", SIZES[1], dtype, max_iter=2, n_threads=2)
    sizes = (1, 7, 64, 300, 701)
    expected = [outputs(model, X[:n]).tobytes() for n in sizes]

    def predict(turn):
        n = turn % len(sizes)
        return outputs(model, X[: sizes[n]]).tobytes() == expected[n]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(predict, range(400)))


def test_models_may_be_fitted_in_parallel_threads(dtype):
    def run(_):
        return bits(*fitted("multiclass", SIZES[1], dtype, max_iter=2, n_threads=2))

    expected = run(0)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(run, range(8)))


def test_the_global_random_state_is_left_alone_with_a_seed(dtype):
    np.random.seed(3)
    fitted("binary", SIZES[0], dtype, max_iter=2)
    after = np.random.randint(2**31)
    np.random.seed(3)
    assert np.random.randint(2**31) == after
