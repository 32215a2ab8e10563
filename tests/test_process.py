"""What fastmlp does to its process, and the process to it: threads, forks,
denormals, instruction sets."""

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import cpu_count
from threadpoolctl import threadpool_info, threadpool_limits

from fastmlp import _core
from fastmlp._network.network import Network
from fastmlp._network.threads import effective_n_threads
from reference.child import output_of, run_python
from reference.problems import bits, ours, outputs, problem

LARGE = (701, 53)

# Prints what may depend on a process's environment: the instruction set, how many threads n_threads
# means here and in scikit-learn, the float64 weights of a small fit, and hashes of fits by seven
# threads, with gradients of shares of the batch and of blocks of weights.
REPORT = """
import json
from hashlib import sha256
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from fastmlp import _core
from fastmlp._network.threads import effective_n_threads
from reference.problems import bits, ours, problem
found = {"isa": _core.isa()}
numbers = (None, 1, 2, 3, 7, -1, -2, -100)
found["threads"] = [effective_n_threads(n) for n in numbers]
found["sklearn's"] = [_openmp_effective_n_threads(n) for n in numbers]
X, y = problem("multiclass", 61, 9)
model = ours("multiclass", hidden_layer_sizes=(17, 5), random_state=0, max_iter=5).fit(X, y)
found["coefs"] = [w.ravel().tolist() for w in model.coefs_]
X, y = problem("multiclass", 701, 53)
found["teams"] = []
for hidden in ((67, 35), (300, 200)):
    model = ours("multiclass", hidden_layer_sizes=hidden, random_state=0, max_iter=2, n_threads=7)
    found["teams"].append(sha256(repr(bits(model.fit(X, y), X)).encode()).hexdigest())
print(json.dumps(found))
"""


def report(**environment):
    return json.loads(output_of(REPORT, **environment))


def fit_large(dtype, n_threads=2):
    X, y = problem("multiclass", *LARGE, dtype)
    params = {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (67, 35)}
    return ours("multiclass", n_threads=n_threads, **params).fit(X, y), X, y


def fit_and_predict_in_child(queue, dtype, model, X):
    queue.put(outputs(model, X).tobytes())
    queue.put(bits(fit_large(dtype)[0], X))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="this platform cannot fork",
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_forked_children_fit_and_predict_after_the_parent_did(dtype):
    """libgomp hangs in such a child for as long as one waits."""
    model, X, _ = fit_large(dtype)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [
        context.Process(target=fit_and_predict_in_child, args=(queue, dtype, model, X))
        for _ in range(2)
    ]
    try:
        for child in children:
            child.start()
        found = [queue.get(timeout=30) for _ in range(4)]
        for child in children:
            child.join(timeout=30)
            assert child.exitcode == 0
    finally:
        for child in children:
            child.kill()
    expected = [outputs(model, X).tobytes(), bits(model, X)]
    assert all(item in expected for item in found)
    assert bits(fit_large(dtype)[0], X) == expected[1]  # the parent still works


def limits():
    return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]


def test_thread_limits_of_the_process_are_left_alone(dtype):
    before = limits()
    model, X, y = fit_large(dtype, n_threads=3)
    model.predict(X)
    model.set_params(solver="lbfgs", max_iter=3).fit(X, y)
    assert limits() == before


def test_lbfgs_keeps_blas_to_one_thread(monkeypatch):
    found = set()

    def counted(*args):
        found.update(
            pool["num_threads"] for pool in threadpool_info() if "blas" in pool["user_api"]
        )
        return loss_and_gradient(*args)

    loss_and_gradient = Network.loss_and_gradient
    monkeypatch.setattr(Network, "loss_and_gradient", counted)
    with threadpool_limits(2):
        ours("binary", solver="lbfgs", max_iter=2).fit(*problem("binary"))
    assert found <= {1}


@pytest.mark.skipif(not _core.openmp(), reason="built without OpenMP: always one thread")
def test_thread_limits_of_the_caller_are_honoured():
    def limited(n):
        with threadpool_limits(n):
            return effective_n_threads(None)

    with threadpool_limits(1):
        assert effective_n_threads(None) == 1
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(limited, 1).result() == 1


@pytest.mark.skipif(not _core.openmp(), reason="built without OpenMP: always one thread")
@pytest.mark.parametrize("threads", [None, "1", "2", "5"])
def test_n_threads_means_what_it_means_in_sklearn(threads):
    found = report(OMP_NUM_THREADS=threads)
    assert found["threads"] == found["sklearn's"]
    first = found["threads"][0]
    assert first == int(threads) if threads else first >= 1


@pytest.mark.skipif(not _core.openmp(), reason="built without OpenMP: always one thread")
def test_many_more_threads_than_cores_are_not_started():
    """Not by a request, nor by an OMP_NUM_THREADS that is that of a container's host."""
    most = 4 * cpu_count(only_physical_cores=True)
    assert effective_n_threads(10**6) == most
    found = report(OMP_NUM_THREADS="1000")["threads"]
    assert max(found) <= most
    assert found[0] == most


@pytest.mark.skipif(_core.openmp(), reason="built with OpenMP")
@pytest.mark.parametrize("n_threads", [None, 1, 3, -1])
def test_without_openmp_everything_runs_on_one_thread(n_threads):
    assert effective_n_threads(n_threads) == 1


def test_zero_threads_are_an_error(dtype):
    with pytest.raises(ValueError, match="n_threads"):
        effective_n_threads(0)
    with pytest.raises(ValueError, match="n_threads"):
        fit_large(dtype, n_threads=0)


@pytest.mark.parametrize("n_threads", ["2", 1.5, [1]], ids=repr)
def test_n_threads_of_another_type_is_an_error(n_threads, dtype):
    with pytest.raises(ValueError, match="'n_threads' parameter of MLPClassifier"):
        fit_large(dtype, n_threads=n_threads)


def test_omp_num_threads_does_not_change_the_bits():
    runs = [report(OMP_NUM_THREADS=n)["coefs"] for n in (None, "1", "2", "5")]
    assert runs[1:] == runs[:1] * 3


@pytest.mark.parametrize("limit", ["1", "3"])
def test_fewer_threads_than_were_asked_for_do_not_change_the_bits(limit):
    """OpenMP may give a smaller team."""
    assert report(OMP_THREAD_LIMIT=limit)["teams"] == report()["teams"]


DENORMALS = """
import sys, threading
import numpy as np
smallest = {"float32": 1e-45, "float64": 5e-324}
def kept():
    # through an array: the processor multiplies, not the compiler
    return all((np.array([v], d) * np.array([1], d))[0] > 0 for d, v in smallest.items())
assert kept()
import fastmlp
assert kept(), "import"
from reference.problems import ours, problem
def fit(dtype):
    for kind in ("multiclass", "squared"):
        X, y = problem(kind, 701, 53, dtype)
        X *= 1e-38 if dtype == "float32" else 1e-300
        for solver in ("adam", "sgd", "lbfgs"):
            model = ours(kind, solver=solver, n_threads=2, max_iter=2, random_state=0)
            model.fit(X, y).predict(X)
            assert kept(), (solver, dtype)
def both():
    fit("float32"), fit("float64")
    done.append(1)
done = []
both()
worker = threading.Thread(target=both)
worker.start(), worker.join()
assert len(done) == 2
"""


def test_denormals_are_left_switched_on():
    """Neither import nor fit leaves flush-to-zero behind, in any thread."""
    output_of(DENORMALS)


@pytest.mark.parametrize("isa", _core.isas())
def test_every_isa_follows_the_same_trajectory(isa):
    here, forced = (np.concatenate(report(FASTMLP_ISA=name)["coefs"]) for name in (None, isa))
    np.testing.assert_allclose(forced, here, rtol=0, atol=1e-9)


@pytest.mark.parametrize("isa", _core.isas())
def test_the_forced_isa_is_the_one_used(isa):
    assert report(FASTMLP_ISA=isa)["isa"] == isa


def test_the_best_isa_is_chosen_and_generic_is_always_there():
    isas = _core.isas()
    assert isas[-1] == "generic"
    assert report(FASTMLP_ISA=None)["isa"] == isas[0]


def test_an_unknown_isa_names_the_available_ones():
    done = run_python("import fastmlp", FASTMLP_ISA="sse9")
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-1]
    assert "sse9" in message
    assert all(isa in message for isa in _core.isas())


def test_show_config_names_what_runs(capsys):
    import fastmlp

    printed = str(fastmlp.show_config()) + capsys.readouterr().out
    assert fastmlp.__version__ in printed
    assert all(isa in printed for isa in _core.isas())
    assert all(word in printed.lower() for word in ("openmp", "compiler", "threads"))


def test_fits_leave_no_file_or_thread_behind(dtype):
    """Twenty fits more do not open a file or keep a thread."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs /proc")

    def held():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    fit_large(dtype)
    before = held()
    for _ in range(20):
        fit_large(dtype)
    assert held() == before


@pytest.mark.parametrize("way", ["early", None])
def test_a_team_that_begins_late_makes_the_same_bits(way):
    """Long enough to be tried in the middle of the fit, and kept or not as the clock says."""
    code = """
import numpy as np
from fastmlp import MLPClassifier
X = np.random.RandomState(0).standard_normal((3000, 20))
y = (X @ np.arange(20) > 0).astype(int)
for n_threads in (2, 1):
    model = MLPClassifier((60,), max_iter=25, random_state=0, n_threads=n_threads).fit(X, y)
    print(model.loss_curve_, model.predict_proba(X).sum().hex(), model.coefs_[0].sum().hex())
"""
    team, alone = output_of(code, FASTMLP_TEAMS=way).splitlines()
    assert team == alone
