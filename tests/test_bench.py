"""The bench: its peers train as scikit-learn does (one that did less would be no measure), a cliff
is seen where there is one, a step's phases are told, and the README's table shows what was
measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"
EPOCHS = 5


@pytest.fixture
def bench(monkeypatch):
    """bench/ can be imported from."""
    if not BENCH.exists():
        pytest.skip("bench/ is not beside tests/")
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.fixture(params=["torch", "jax", "skorch"])
def peer(request, bench):
    """Name of a peer that is installed."""
    import peers

    for module in peers.PEERS[request.param].modules:
        pytest.importorskip(module)
    return request.param


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["digits", "tab20", "reg8x500", "deep64", "matexp", "xor"])
def test_peer_learns_the_same(peer, name, dtype, monkeypatch):
    """A batch is the whole of X, so the order of the rows does not matter. The penalty is large:
    without it, epsilon would show, which PyTorch adds at another place."""
    import peers
    from workloads import BY_NAME

    monkeypatch.setattr(peers, "ALPHA", 10)
    workload = BY_NAME[name]
    X, y = workload.data(dtype)
    n_rows = min(50, workload.n_rows)
    workload = replace(workload, n_rows=n_rows, batch=n_rows)
    assert_same_weights(peer, workload, dtype, X[:n_rows], y[:n_rows], alpha=10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_features", [4, 400])
def test_peer_takes_as_many_steps(peer, n_features, dtype):
    """All rows are equal, so their order does not matter; the last batch is shorter."""
    from workloads import Workload

    workload = Workload("equal", 50, n_features, (5,), "regression", 20, "tanh", "")
    random_state = np.random.RandomState(0)
    X = np.tile(random_state.standard_normal(n_features).astype(dtype), (50, 1))
    assert_same_weights(peer, workload, dtype, X, np.full(50, 3, dtype), alpha=1e-4)


def assert_same_weights(peer, workload, dtype, X, y, alpha):
    import peers

    expected = workload.estimator("sklearn", EPOCHS, 1, alpha=alpha).fit(X, y)
    fitted = peers.PEERS[peer](workload, dtype, EPOCHS, 1)
    fitted.fit(*fitted.arrays(X, y))
    coefs, intercepts = peers.initial_weights(workload, dtype)
    before = [*coefs, *intercepts]
    learned = [*expected.coefs_, *expected.intercepts_]
    for start, reference, actual in zip(
        before, learned, [*fitted.coefs_, *fitted.intercepts_], strict=True
    ):
        assert actual.dtype == reference.dtype == dtype
        moved = np.linalg.norm(reference - start)
        assert moved > 1e-3
        assert np.linalg.norm(actual - reference) < 5e-3 * moved


def test_cliffs(bench):
    """A step up in cost is a cliff; a smaller shape that takes as long as a larger one is none."""
    from sweep import Shape, cliffs_among

    shapes = [Shape("float32", 1, width=width) for width in (1, 2, 15, 16, 17, 18)]
    times = {shape: 1e-3 + 1e-11 * shape.flops for shape in shapes}
    assert cliffs_among(shapes, times) == []
    times[shapes[4]] *= 2
    found = cliffs_among(shapes, times)
    assert [(cliff.width, neighbour.width) for cliff, neighbour, _ in found] == [(17, 16), (17, 18)]
    assert all(1.6 < ratio < 2.4 for *_, ratio in found)


def test_readme_table(bench):
    """A row for each workload; ratios of those that were measured."""
    import report

    def contender(best):
        return {"best": best, "ratio": best / 2, "gflops": 50.0}

    row = {"workload": "w", "n_rows": 1000, "n_features": 7, "hidden": [64, 64, 64], "batch": 200}
    row |= {"ceiling_gflops": 100.0}
    contenders = {"fastmlp": contender(2.0), "sklearn": contender(9.0)}
    result = {
        "rows": [
            {**row, "dtype": "float64", "contenders": contenders},
            {**row, "dtype": "float32", "contenders": {**contenders, "jax": contender(5.0)}},
        ]
    }
    head, _, line = (
        [cell.strip() for cell in text.strip("|").split("|")]
        for text in report.markdown(result).split("\n")
    )
    cells = dict(zip(head, line, strict=True))
    assert cells["rows x features"] == "1,000 x 7"
    assert cells["hidden"] == "64 x 3"
    assert cells["ms per epoch, float32"] == "2.00"
    assert cells["scikit-learn float64"] == "**4.5**"
    assert cells["JAX float32"] == "**2.5**"
    assert cells["GFLOP/s float32 (of FMA ceiling)"] == "50.0 (50 %)"
    assert not [name for name in head if "PyTorch" in name]


@pytest.mark.parametrize("name", ["digits", "matexp", "deep64", "xor"])
def test_step_phases(bench, name):
    """Every phase of a step takes time, all no more than the step, and the table names them."""
    import step
    from fastmlp import _core
    from workloads import BY_NAME, flops_per_row

    workload = replace(BY_NAME[name], n_rows=min(BY_NAME[name].n_rows, 1797))
    times = step.measure(workload, "float32", 1, seconds=0.01)
    assert times.threads == 1
    assert 0 < times.rows <= workload.batch
    assert all(seconds > 0 for seconds in times.phases.values())
    assert sum(times.phases.values()) < 1.001 * times.step
    flops = step.flops_of(workload, times.rows)
    assert sum(flops.values()) == pytest.approx(times.rows * flops_per_row(workload.layer_units))
    text = step.table(workload, "float32", times, ceiling=100)
    assert [line.split()[0] for line in text.split("\n")[2:-1]] == list(_core.PHASES)


def test_model_of_threads(bench):
    """Without costs between cores, n threads are n times as fast, as far as rows can be dealt out;
    with them less."""
    import step
    import threads
    from workloads import BY_NAME

    alone = step.Times(1, 256, 1.0, dict.fromkeys(["forward", "delta", "gradient", "step"], 0.25))

    def predict(name, n_threads, *costs):
        used, parts = threads.Model(BY_NAME[name], "float64", alone, *costs).predict(n_threads)
        return used, sum(parts.values())

    assert predict("tab100", 1, 1e-6, 1e-6, 1e-3) == (1, pytest.approx(1))
    assert predict("tab100", 8, 0, 0, 0) == (8, pytest.approx(1 / 8))
    assert predict("digits", 64, 0, 0, 0)[0] == 2  # shares of a batch of 200
    assert predict("tab100", 4, 0, 0, 0.01)[1] == pytest.approx(1 / 4 + 4 * 0.01)
    costs = [predict("tab100", n, 1e-8, 1e-8, 0)[1] - 1 / n for n in (2, 8)]
    assert costs[0] > costs[1] > 0
    assert all(cost >= 0 for cost in threads.line_costs(turns=3))
