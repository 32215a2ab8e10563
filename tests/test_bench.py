"""The bench: its peers train as scikit-learn does (one that did less would be no measure), a cliff
is seen where there is one, a step's phases are told, and the README's tables show what was
measured."""

import json
import subprocess
import sys
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


def test_splits_of_tables(bench):
    """Every row is in one part; with few training rows, the test is the same."""
    import tables_data

    whole, few = (tables_data.splits(tables_data.MADE, limit) for limit in (None, 90))
    assert [len(part) for part in (whole.X, whole.X_val, whole.X_test)] == [240, 80, 80]
    assert [len(part) for part in (few.y, few.y_val, few.y_test)] == [90, 30, 80]
    assert few.X_test.equals(whole.X_test)
    assert few.X.equals(whole.X[:90])
    assert set(whole.X) == {"number", "other", "word"}
    numbers = np.concatenate([part["other"] for part in (whole.X, whole.X_val, whole.X_test)])
    assert len(np.unique(numbers)) == 400


@pytest.mark.parametrize(
    "name", ["fastmlp", "realmlp", "catboost", "lightgbm", "histgb", "sklearn"]
)
def test_models_of_tables(bench, name):
    """Each learns classes, and numbers of any scale, of a table with gaps and categories."""
    import tables_data
    import tables_models

    for package in tables_models.CONTENDERS[name][2:]:
        pytest.importorskip(package)
    fit = tables_models.CONTENDERS[name][0]
    parts = tables_data.splits(tables_data.MADE)
    probabilities = np.asarray(fit(parts, False, 0)(parts.X_test))
    assert probabilities.shape == (80, 2)
    assert np.mean(probabilities.argmax(axis=1) == parts.y_test) > 0.8
    parts = replace(parts, y=1e4 * parts.y, y_val=1e4 * parts.y_val)
    predicted = np.asarray(fit(parts, True, 0)(parts.X_test))
    assert predicted.shape == (80,)
    assert np.mean((predicted > 5e3) == parts.y_test) > 0.8


def test_bench_of_tables_runs(bench):
    """In quick mode, with what is always installed."""
    for options in (["--against", "fastmlp", "histgb"], ["--costs"]):
        run = subprocess.run(
            [sys.executable, BENCH / "tables.py", "--quick", *options],
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
    result = json.loads((BENCH / "results" / "tables-partial.json").read_text())
    assert result["environment"]["fastmlp"]["version"]
    assert all(value > 0 for value in result["costs"].values())


def test_report_of_tables(bench):
    """Medians over seeds, means over common tables, the lowest error in bold."""
    import tables_report

    def fit(table, contender, seed, error, **more):
        return {
            **{"table": table, "n_train": 2048, "is_all": False, "n_features": 7, "n_test": 1000},
            **{"contender": contender, "seed": seed, "error": error, "auc": None},
            **{"log_loss": None, "fit_seconds": 2.0, "predict_seconds": 0.5, **more},
        }

    churn = {"auc": 0.9, "log_loss": 0.2}
    fits = [fit("churn", "fastmlp", seed, error, **churn) for seed, error in enumerate((9.0, 2, 1))]
    fits += [fit("churn", "realmlp", 0, 8.0, **churn), fit("ames", "fastmlp", 0, 500.0)]
    fits += [fit("ames", "realmlp", 0, 500.0), fit("wage", "fastmlp", 0, 3.0)]
    tables = tables_report.medians({"fits": fits}, 2048)
    assert list(tables) == ["churn", "ames", "wage"]
    assert tables["churn"]["fastmlp"]["error"] == 2
    means = tables_report.summary(tables)
    assert means["fastmlp"]["ratio"] == pytest.approx(0.5)
    assert means["realmlp"]["ratio"] == 1
    assert means["fastmlp"]["auc"] == 0.9
    assert means["fastmlp"]["n_tables"] == 2
    assert tables_report.medians({"fits": fits}, None) == {}
    text = tables_report.markdown({"fits": fits})
    assert "2,048 training rows; one seed:" in text
    seeds = tables_report.seeds_of({"churn": tables["churn"]})
    assert seeds == "medians of 3 seeds (only RealMLP-TD 1)"
    assert "| churn, error | 2,048 x 7 | **2.00** | 8.00 |" in text
    assert "| wage, RMSE | 2,048 x 7 | **3.00** | - |" in text
    assert "| errors / RealMLP-TD |  | 0.500 | 1.00 |" in text
