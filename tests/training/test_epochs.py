"""Several epochs in one call of the core: the same run as one at a time."""

import signal
import warnings

import numpy as np
import pytest

from fastmlp._core import Dataset, shuffle
from fastmlp._network import network as network_module
from fastmlp._network import plan
from fastmlp._network.network import Outcome
from reference.build import new_network
from reference.problems import CONTAINERS, bits, ours, problem, sample_weights

BIT_GENERATORS = [np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64]
RECORD = ("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "_no_improvement_count")


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_shuffle_is_numpys(bit_generator):
    """Rows, draws, and what is left in the generator (PCG64 keeps half a draw)."""
    for n_rows in (*range(10), 63, 64, 65, 127, 128, 129, 1000, 65535, 65536, 65537, 100_003):
        a, b = (np.random.RandomState(bit_generator(n_rows)) for _ in range(2))
        order = np.arange(n_rows, dtype=np.intp)
        orders = np.empty((3, n_rows), dtype=np.intp)
        shuffle(a, order, orders)
        for found in orders:
            b.shuffle(order)
            np.testing.assert_array_equal(found, order)
        assert [a.randint(2**31) for _ in range(3)] == [b.randint(2**31) for _ in range(3)]
        assert a.normal() == b.normal()


def test_shuffle_goes_on_where_it_was():
    """The last order of one call is the first of the next, in the same array."""
    a, b = np.random.RandomState(0), np.random.RandomState(0)
    order, expected = np.arange(50, dtype=np.intp), np.arange(50, dtype=np.intp)
    orders = np.empty((4, 50), dtype=np.intp)
    for n_epochs in (1, 3, 2, 4, 1):
        shuffle(a, order, orders[:n_epochs])
        order = orders[n_epochs - 1]
        for _ in range(n_epochs):
            b.shuffle(expected)
        np.testing.assert_array_equal(order, expected)


def test_shuffle_draws_from_the_global_state():
    np.random.seed(3)
    X, y = problem("binary")
    params = {"hidden_layer_sizes": 3, "max_iter": 4}
    drawn = bits(ours("binary", **params).fit(X, y), X), np.random.uniform()
    state = np.random.RandomState(3)
    assert drawn == (bits(ours("binary", random_state=state, **params).fit(X, y), X), state.rand())


def one_at_a_time(monkeypatch):
    monkeypatch.setattr(plan, "CALL_WORK", 0)


def run(kind, X, y, weights=None, calls=1, **params):
    """All that a fit leaves: bits, record, optimizer state and random numbers."""
    state = np.random.RandomState(0)
    model = ours(kind, hidden_layer_sizes=(5,), random_state=state, **params)
    for _ in range(calls):
        model.fit(X, y, sample_weight=weights)
    slots = [a.tobytes() for slot in model._optimizer.slots for part in slot for a in part]
    kept = [slots, model._optimizer.t, model._optimizer.learning_rate]
    return bits(model, X) + [repr(getattr(model, name)) for name in RECORD] + kept + [state.rand()]


RULES = {
    "max_iter": {"max_iter": 100, "tol": 0, "n_iter_no_change": np.inf},
    "plateau": {"max_iter": 500, "tol": 1e-2, "n_iter_no_change": 3},
    "patience": {"max_iter": 500, "tol": 1e-3, "n_iter_no_change": 20},
    "early stopping": {"max_iter": 60, "tol": 1e-3, "early_stopping": True},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "max_iter": 400},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 30},
    "in order": {"shuffle": False, "max_iter": 40},
    "verbose": {"verbose": True, "max_iter": 13},
    "warm start": {"warm_start": True, "calls": 5, "tol": 1e-2, "max_iter": 9},
}


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("rule", RULES)
def test_the_record_is_that_of_single_epochs(rule, container, dtype, monkeypatch):
    kind = "multiclass"
    X, y = problem(kind, dtype=dtype)
    for weights in (None, sample_weights(len(y))):
        arguments = kind, CONTAINERS[container](X), y, weights
        params = {"batch_size": 16, "learning_rate_init": 0.02} | RULES[rule]
        found = run(*arguments, **params)
        with monkeypatch.context() as patch:
            one_at_a_time(patch)
            assert run(*arguments, **params) == found


def test_epochs_are_run_together(monkeypatch):
    """So that the test above compares two ways; and not beyond a plateau that may come."""
    X, y = problem("multiclass")
    train, calls = network_module.Network.train, []

    def counted(self, dataset, orders, *args, **params):
        calls.append(len(orders))
        train(self, dataset, orders, *args, **params)

    monkeypatch.setattr(network_module.Network, "train", counted)
    run("multiclass", X, y, max_iter=100, tol=0, n_iter_no_change=np.inf)
    assert calls == [100]
    calls.clear()
    run("multiclass", X, y, max_iter=100, tol=1e-9, n_iter_no_change=10)
    assert calls == [11] * 9 + [1]
    for params in ({"verbose": True}, {"early_stopping": True}):
        calls.clear()
        run("multiclass", X, y, max_iter=4, **params)
        assert calls == [1] * 4


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("way", ["row blocks", "partial gradients"])
def test_teams_run_epochs_together(way, n_threads, dtype):
    rng = np.random.RandomState(0)
    n_rows, batch_size = {"row blocks": (70, 30), "partial gradients": (900, 400)}[way]
    X = rng.standard_normal((n_rows, 40)).astype(dtype)
    dataset = Dataset(X, rng.randint(0, 3, n_rows).astype(np.int32))
    orders = np.array([rng.permutation(n_rows) for _ in range(5)], dtype=np.intp)
    coefs = [rng.standard_normal(shape).astype(dtype) / 9 for shape in ((40, 64), (64, 3))]
    intercepts = [np.zeros(64, dtype), np.zeros(3, dtype)]
    step = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "t": 0}
    runs = []
    for pieces in ([orders], [orders[:2], orders[2:]], list(orders)):
        network = new_network(
            [40, 64, 3],
            activations=["tanh"],
            loss="log_loss",
            dtype=dtype,
            optimizer="adam",
            n_threads=n_threads,
        )
        network.set_parameters(coefs, intercepts)
        steps, losses = 0, []
        for piece in pieces:
            outcome = network.train(dataset, piece, batch_size, alpha=0.1, step=step | {"t": steps})
            steps += outcome.n_steps
            losses += outcome.loss_sums
        found = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
        network.get_parameters(*found)
        runs.append([steps, losses, *[a.tobytes() for part in found for a in part]])
    assert runs[0] == runs[1] == runs[2]


def test_orders_that_cannot_be_read_are_refused():
    rng = np.random.RandomState(0)
    dataset = Dataset(rng.standard_normal((8, 3)), rng.standard_normal((8, 1)))
    network = new_network(
        [3, 2, 1], activations=["relu"], loss="squared_error", dtype="f8", optimizer="sgd"
    )
    orders = np.tile(np.arange(8, dtype=np.intp), (4, 1))
    beyond, before = orders.copy(), orders.copy()
    beyond[3, 7], before[3, 7] = 8, -1
    step = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}
    for wrong in (
        *(beyond, before, orders[:, ::2], orders[::2], orders.T, orders.astype(np.int16)),
        *(orders[:0], orders[:, :0], orders[None], orders.astype(float)),
    ):
        outcome = Outcome()
        with pytest.raises(ValueError):
            network.train(dataset, wrong, 4, alpha=0, step=step, outcome=outcome)
        assert outcome == Outcome(0, [], (0.0, 0))
    outcome = network.train(dataset, np.broadcast_to(orders[0], (4, 8)), 4, alpha=0, step=step)
    assert (outcome.n_steps, len(outcome.loss_sums)) == (8, 4)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_an_interrupt_between_the_epochs_of_a_call(monkeypatch, dtype):
    """Whole epochs are recorded, and weights and optimizer state belong to the last step."""
    X, y = problem("multiclass", dtype=dtype)
    params = {"hidden_layer_sizes": (5,), "random_state": 0, "tol": 0, "shuffle": False}
    model = ours("multiclass", max_iter=10**6, n_iter_no_change=np.inf, **params)
    monkeypatch.setattr(plan, "CALL_WORK", 1e11)  # one call, that takes many seconds
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, y)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert 0 < model.n_iter_ == len(model.loss_curve_) < 10**6
    assert model.t_ == len(X) * model.n_iter_
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.n_iter_ == model._optimizer.t  # one batch an epoch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = ours("multiclass", max_iter=model.n_iter_, n_iter_no_change=np.inf, **params)
        twin.fit(X, y)
    assert bits(twin, X) == bits(model, X)
