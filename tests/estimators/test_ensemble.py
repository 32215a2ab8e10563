"""n_estimators: several networks in one fit, each as it would be alone, and their mean."""

import pickle
import signal
import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone

from fastmlp._core import NORMALIZATIONS, Dataset
from fastmlp._network import network as network_module
from fastmlp._network import plan
from fastmlp._network.ensemble import members, stacked
from fastmlp._network.network import train_together
from reference.build import new_ensemble, new_network
from reference.problems import (
    CONTAINERS,
    KINDS,
    NORMALIZED,
    bits,
    intercepts_of,
    ours,
    problem,
    sample_weights,
)

N = 3
PARAMS = {"hidden_layer_sizes": (7,), "random_state": 0, "max_iter": 5}
STEPS = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
    "adam": {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6},
}
# (rows, features, hidden layers, batch size): which way a network's batch is worked through
WAYS = {
    "tiny": (70, 5, (4,), 30),
    "row blocks": (70, 40, (64, 33), 30),
    "partial gradients": (900, 40, (64,), 400),
    "micro-batches": (300, 30, (50,), 300),
}


def parts(model):
    """Each network of a fitted ensemble as (coefs, intercepts)."""
    return members((model.coefs_, intercepts_of(model)))


def as_bytes(parameters):
    return [a.tobytes() for arrays in parameters for a in arrays]


def trained(make, start, dataset, orders, batch_size, solver):
    """What training in two calls leaves: parameters, optimizer state, losses."""
    network = make()
    network.set_parameters(*start)
    n_steps, losses = 0, []
    for piece in (orders[:2], orders[2:]):
        step = STEPS[solver] | {"t": n_steps}
        outcome = network.train(dataset, piece, batch_size, alpha=0.1, step=step)
        n_steps += outcome.n_steps
        losses.append(outcome.loss_sums)
    found = tuple([np.empty_like(a) for a in arrays] for arrays in start)
    network.get_parameters(*found)
    return found, network.get_optimizer_state(), np.concatenate(losses)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("solver", STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_each_network_is_trained_as_if_alone(way, solver, container, n_threads, dtype, monkeypatch):
    """Seven threads: more than networks, so that a large one has a team, and each has its turn."""
    n_rows, n_features, hidden, batch_size = WAYS[way]
    if way == "micro-batches":
        monkeypatch.setattr(plan, "WORKSPACE_BYTES", 0)
        monkeypatch.setattr(plan, "MAX_BYTES", 0)
        monkeypatch.setattr(plan, "PARTIAL_BYTES", 0)
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n_rows, n_features)).astype(dtype)
    y = rng.randint(0, 3, n_rows).astype(np.int32)
    weights = sample_weights(n_rows) if solver == "sgd" else None
    dataset = Dataset(CONTAINERS[container](X), y, weights)
    orders = np.array([rng.permutation(n_rows) for _ in range(5)], dtype=np.intp)
    units = [n_features, *hidden, 3]
    starts = [
        (
            [rng.standard_normal(s).astype(dtype) / 9 for s in pairwise(units)],
            [rng.standard_normal(n).astype(dtype) for n in units[1:]],
        )
        for _ in range(N)
    ]
    settings = {
        "activations": ["tanh"] * len(hidden),
        "loss": "log_loss",
        "dtype": dtype,
        "optimizer": solver,
        "n_threads": n_threads,
    }
    task = dataset, orders, batch_size, solver
    found = trained(lambda: new_ensemble(N, units, **settings), stacked(starts), *task)
    alone = [trained(lambda: new_network(units, **settings), start, *task) for start in starts]
    for i, (parameters, state, _) in enumerate(alone):
        assert as_bytes(members(found[0])[i]) == as_bytes(parameters)
        for slot, expected in zip(found[1], state, strict=True):
            assert as_bytes(members(slot)[i]) == as_bytes(expected)
    np.testing.assert_array_equal(found[2], np.mean([losses for *_, losses in alone], axis=0))


@pytest.mark.parametrize("n_threads", [1, 2, 7])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_layers_that_do_more_are_trained_as_if_alone(normalization, n_threads, dtype):
    """Each network has a dropout of its own."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((500, 40)).astype(dtype)
    dataset = Dataset(X, rng.standard_normal((500, 2)).astype(dtype))
    orders = np.array([rng.permutation(500) for _ in range(4)], dtype=np.intp)
    units = [40, 60, 60, 2]
    settings = {
        "activations": ["relu", "gelu"],
        "loss": "squared_error",
        "dtype": dtype,
        "optimizer": "adam",
        "n_threads": n_threads,
        "normalization": normalization,
        "residual": True,
        "dropout": [0.1, 0.5, 0.3],
    }
    shapes = new_network(units, **settings).architecture.parameter_shapes
    starts = [
        tuple([abs(rng.standard_normal(s)).astype(dtype) / 9 for s in part] for part in shapes)
        for _ in range(N)
    ]
    last = 2**64 - 1
    task = dataset, orders, 200, "adam"
    found = trained(lambda: new_ensemble(N, units, seed=last, **settings), stacked(starts), *task)
    for i, (start, seed) in enumerate(zip(starts, (last, 0, 1), strict=True)):
        parameters, state, _ = trained(
            lambda seed=seed: new_network(units, seed=seed, **settings), start, *task
        )
        assert as_bytes(members(found[0])[i]) == as_bytes(parameters)
        assert as_bytes(members(found[1][0])[i]) == as_bytes(state[0])


def test_an_ensemble_is_evaluated_by_its_means(dtype):
    rng = np.random.RandomState(0)
    dataset = Dataset(
        rng.standard_normal((30, 4)).astype(dtype), rng.randint(0, 3, 30).astype(np.int32)
    )
    settings = {"activations": ["tanh"], "loss": "log_loss", "dtype": dtype, "optimizer": "adam"}
    ensemble = new_ensemble(N, [4, 6, 3], **settings)
    ensemble.set_parameters(
        [rng.standard_normal((N, *shape)) for shape in ((4, 6), (6, 3))],
        [rng.standard_normal((N, units)) for units in (6, 3)],
    )
    ensemble.prepare(dataset, 30)
    rows = rng.permutation(30)[:17]
    loss, output = ensemble.evaluate(dataset, rows)
    alone = [network.evaluate(dataset, rows) for network in ensemble.networks]
    assert loss == pytest.approx(np.mean([single for single, _ in alone]), rel=1e-12)
    assert output.tobytes() == ensemble.predict(dataset, rows).tobytes()
    mean = np.mean([outputs for _, outputs in alone], axis=0)
    np.testing.assert_allclose(output, mean, rtol=np.finfo(dtype).eps * N)


LAYERS = {
    "dropout": {"dropout": 0.2, "input_dropout": 0.1},
    **{
        name: {"normalization": name, "residual": True, "activation": ["elu", "mish"]}
        for name in NORMALIZED
    },
}


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("kind", ["multilabel", "poisson"])
def test_estimators_with_layers_that_do_more(kind, layers, dtype):
    X, y = problem(kind, dtype=dtype)
    params = PARAMS | {"hidden_layer_sizes": (7, 7), "n_estimators": N} | LAYERS[layers]
    model = ours(kind, n_threads=1, **params).fit(X, y)
    assert bits(ours(kind, n_threads=3, **params).fit(X, y), X) == bits(model, X)
    before = bits(model, X)
    model.partial_fit(X, y)
    assert len(model.coefs_[0]) == N and bits(model, X) != before


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_network_is_that_of_a_fit_of_one(kind, container, dtype):
    """Where the order of the samples is no matter of chance."""
    X, y = problem(kind, dtype=dtype)
    X = CONTAINERS[container](X)
    model = ours(kind, n_estimators=N, shuffle=False, **PARAMS).fit(X, y)
    one = ours(kind, shuffle=False, **PARAMS).fit(X, y)
    assert as_bytes(parts(model)[0]) == as_bytes((one.coefs_, intercepts_of(one)))
    assert len({tuple(as_bytes(own)) for own in parts(model)}) == N
    assert all(a.dtype == dtype for a in model.coefs_ + intercepts_of(model))


STEP_SETTINGS = {
    "ema": {"average_weights": "ema", "learning_rate": "cosine", "warmup": 0.2},
    "swa": {"average_weights": "swa", "solver": "nadam", "normalization": "layer"},
    "clips": {"clip_norm": 0.01, "max_norm": 0.5, "l1_ratio": 0.5, "solver": "rmsprop"},
    "frozen": {"frozen_layers": [0], "solver": "adamw", "clip_value": 0.01},
    "one batch": {"solver": "rprop"},
}


@pytest.mark.parametrize("settings", STEP_SETTINGS)
def test_the_first_network_takes_the_steps_of_a_fit_of_one(settings, dtype):
    """Norms and averages are each network's own."""
    X, y = problem("multiclass", dtype=dtype)
    params = PARAMS | {"shuffle": False, "max_iter": 20} | STEP_SETTINGS[settings]
    model = ours("multiclass", n_estimators=N, **params).fit(X, y)
    one = ours("multiclass", **params).fit(X, y)
    for _ in range(2):
        assert as_bytes(parts(model)[0]) == as_bytes((one.coefs_, intercepts_of(one)))
        model.partial_fit(X, y)
        one.partial_fit(X, y)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_the_mean(kind, container, dtype):
    X, y = problem(kind, dtype=dtype)
    X = CONTAINERS[container](X)
    model = ours(kind, n_estimators=N, **PARAMS).fit(X, y)
    found, single = model._forward(X), []
    alone = clone(model).set_params(n_estimators=1).fit(X, y)
    for alone.coefs_, alone.intercepts_ in parts(model):
        single.append(alone._forward(X))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.mean(single, axis=0), rtol=np.finfo(dtype).eps * N)
    model.predict(X)
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(X)
        assert probabilities.min() >= 0 and probabilities.max() <= 1


def test_one_estimator_is_no_ensemble(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", n_estimators=1, **PARAMS).fit(X, y)
    assert [a.shape for a in model.coefs_] == [(9, 7), (7, 3)]
    assert bits(model, X) == bits(ours("multiclass", **PARAMS).fit(X, y), X)


@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("n_networks", [2, 5])
def test_the_bits_do_not_depend_on_the_threads(n_networks, container, dtype):
    X, y = problem("multiclass", 701, 53, dtype)
    X = CONTAINERS[container](X)
    params = {"hidden_layer_sizes": (67, 35), "max_iter": 4, "early_stopping": True}
    runs = []
    for n_threads in (1, 2, 3, 7, 2):
        model = ours("multiclass", random_state=0, n_estimators=n_networks, **params)
        runs.append(bits(model.set_params(n_threads=n_threads).fit(X, y), X))
    assert runs[1:] == runs[:1] * 4


def test_the_loss_is_the_mean(dtype):
    X, y = problem("squared", dtype=dtype)
    model = ours("squared", n_estimators=2, shuffle=False, **PARAMS).fit(X, y)
    start = ours("squared", n_estimators=2, **PARAMS | {"max_iter": 1}).fit(X, y)
    assert len(model.loss_curve_) == 5 and model.loss_ == model.loss_curve_[-1]
    assert model.loss_curve_[0] == pytest.approx(start.loss_, rel=1e-5)
    one = ours("squared", shuffle=False, **PARAMS).fit(X, y)
    assert model.loss_curve_[0] != one.loss_curve_[0]


@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_early_stopping_judges_the_mean(kind, dtype):
    X, y = problem(kind, 200, dtype=dtype)
    params = PARAMS | {"max_iter": 60, "learning_rate_init": 0.05, "early_stopping": True}
    model = ours(kind, n_estimators=N, n_iter_no_change=5, **params).fit(X, y)
    assert model.n_iter_ < 60 and len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    # stopped at its best epoch, another fit has the weights that were kept
    best = int(np.argmax(model.validation_scores_)) + 1
    twin = ours(kind, n_estimators=N, **params | {"max_iter": best}).fit(X, y)
    assert bits(twin, X)[:-2] == bits(model, X)[:-2]


@pytest.mark.parametrize("solver", STEPS)
def test_it_goes_on_after_pickling(solver, dtype):
    """Parameters, optimizer state and the stopping rule's counts."""
    X, y = problem("multiclass", dtype=dtype)
    params = PARAMS | {"solver": solver, "max_iter": 2, "shuffle": False}
    model = ours("multiclass", n_estimators=N, **params).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert bits(copy, X) == bits(model, X)
    for m in (model, copy):
        m.partial_fit(X, y)
    assert bits(copy, X) == bits(model, X)
    # each network went on from where it was
    whole = ours("multiclass", n_estimators=N, **params | {"max_iter": 3}).fit(X, y)
    assert bits(whole, X)[:-2] == bits(model, X)[:-2]
    assert whole.loss_curve_ == model.loss_curve_
    assert clone(model).n_estimators == N and not hasattr(clone(model), "coefs_")


def test_partial_fit_from_the_start(dtype):
    X, y = problem("binary", dtype=dtype)
    params = PARAMS | {"shuffle": False}
    model = ours("binary", n_estimators=N, **params)
    one = ours("binary", **params)
    for m in (model, one):
        for _ in range(3):
            m.partial_fit(X, y, classes=[0, 1])
    assert as_bytes(parts(model)[0]) == as_bytes((one.coefs_, intercepts_of(one)))


def test_a_warm_start_keeps_the_networks_and_their_number(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", n_estimators=N, warm_start=True, **PARAMS).fit(X, y)
    before = model.coefs_[0].copy()
    model.set_params(learning_rate_init=1e-12, max_iter=1).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], before, atol=1e-6)
    for other in (1, 2, N + 1):
        expected = bits(model, X)
        with pytest.raises(
            ValueError, match=f"are those of {N} networks, but n_estimators={other}"
        ):
            model.set_params(n_estimators=other).fit(X, y)
        with pytest.raises(ValueError, match="their number"):
            model.partial_fit(X, y)
        assert bits(model, X) == expected  # the parameter is about the next fit
    model.set_params(n_estimators=2, warm_start=False).fit(X, y)
    assert len(model.coefs_[0]) == 2


def test_lbfgs_trains_one(dtype):
    X, y = problem("squared", dtype=dtype)
    with pytest.raises(ValueError, match="'lbfgs' trains a single network"):
        ours("squared", solver="lbfgs", n_estimators=2).fit(X, y)
    for wrong in (0, -1, 2.0, "2", None):
        with pytest.raises(ValueError, match="'n_estimators' parameter"):
            ours("squared", n_estimators=wrong).fit(X, y)


def test_what_does_not_fit_is_refused(dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", n_estimators=N, **PARAMS).fit(X, y)
    coefs, intercepts = model.coefs_, intercepts_of(model)
    spoiled = [
        (coefs[:1], intercepts[:1]),
        (coefs[:1], intercepts),
        ([coefs[0], coefs[1][:2]], intercepts),
        ([a[:0] for a in coefs], [a[:0] for a in intercepts]),
        ([a[..., None] for a in coefs], intercepts),
        ([coefs[0][:, :5], coefs[1]], intercepts),
        (coefs, None),
        (coefs, [None, None]),
    ]
    for model.coefs_, model.intercepts_ in spoiled:
        with pytest.raises(
            ValueError, match=r"(coefs|intercepts|classes)_.* must |expecting 5 features"
        ):
            model.predict(X)
        with pytest.raises(
            ValueError, match=r"(coefs|intercepts)_.* (must|outputs)|expecting 5 features"
        ):
            model.partial_fit(X, y)


def test_networks_must_not_start_alike(dtype):
    X, y = problem("multiclass", dtype=dtype)
    one = ours("multiclass", **PARAMS).fit(X, y)
    for init in (
        one,
        (one.coefs_, intercepts_of(one)),
        lambda *shape_and_state: np.ones(shape_and_state[:2]),
    ):
        ours("multiclass", init=init, **PARAMS).fit(X, y)
        with pytest.raises(ValueError, match="all networks the same weights"):
            ours("multiclass", n_estimators=N, init=init, **PARAMS).fit(X, y)
    # another last layer is drawn for each
    X, y = problem("squared", dtype=dtype)
    params = PARAMS | {"max_iter": 1, "learning_rate_init": 1e-12}
    model = ours("squared", n_estimators=N, init=one, **params).fit(X, y)
    for i in range(N):
        np.testing.assert_allclose(model.coefs_[0][i], one.coefs_[0], atol=1e-6)
    assert len({a.tobytes() for a in model.coefs_[1]}) == N
    with pytest.raises(ValueError, match="init must be a single fitted network"):
        ours("squared", init=model, **PARAMS).fit(X, y)


def test_the_validation_set_judges_the_mean(dtype):
    X, y = problem("multiclass", 200, dtype=dtype)
    params = PARAMS | {"learning_rate_init": 0.1, "max_iter": 30, "restore_best_weights": True}
    model = ours("multiclass", n_estimators=N, **params)
    model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 30
    assert model.score(X[150:], y[150:]) == model.best_validation_score_


def test_networks_of_other_shapes_are_not_trained_together():
    rng = np.random.RandomState(0)
    dataset = Dataset(rng.standard_normal((8, 3)), rng.standard_normal((8, 1)))
    settings = {"activations": ["relu"], "loss": "squared_error", "dtype": "f8", "optimizer": "sgd"}
    a, b = new_network([3, 2, 1], **settings), new_network([3, 4, 1], **settings)
    order = np.arange(8, dtype=np.intp)
    with pytest.raises(ValueError, match="same shape"):
        train_together([a, b], dataset, order, 4, alpha=0, step=STEPS["sgd"])


def test_no_memory_leaves_the_old_model(monkeypatch, dtype):
    X, y = problem("squared", dtype=dtype)
    model = ours("squared", n_estimators=N, **PARAMS).fit(X, y)
    expected, made, engine = bits(model, X), [], network_module._core.Engine

    def no_memory_for_the_last(*args, **params):
        made.append(1)
        if len(made) == N:
            raise MemoryError
        return engine(*args, **params)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(network_module._core, "Engine", no_memory_for_the_last)
        model.fit(X, y)
    assert bits(model, X) == expected


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
@pytest.mark.parametrize("size", [(61, 9, (5,)), (701, 53, (300, 200))], ids=["small", "large"])
@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_an_interrupt_leaves_all_networks_at_the_same_step(n_threads, size, monkeypatch):
    n_samples, n_features, hidden = size
    X, y = problem("multiclass", n_samples, n_features)
    params = {"hidden_layer_sizes": hidden, "random_state": 0, "tol": 0, "shuffle": False}
    params |= {"n_iter_no_change": np.inf, "n_threads": n_threads, "n_estimators": N}
    model = ours("multiclass", max_iter=10**6, **params)
    monkeypatch.setattr(plan, "CALL_WORK", 1e11)  # one call, that takes many seconds
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, y)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert 0 < model._optimizer.t < 10**6
    assert model.n_iter_ == len(model.loss_curve_)
    # a twin's epochs, and then single batches as far as the interrupted one came
    batches = -(-n_samples // 200)
    epochs, rest = divmod(model._optimizer.t, batches)
    assert model.n_iter_ == max(epochs, 1)  # the first counts, even if cut short
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = ours("multiclass", **params | {"max_iter": model.n_iter_})
        if epochs:
            twin.fit(X, y)
    if rest:
        first = 200 * rest
        twin.set_params(batch_size=200).partial_fit(X[:first], y[:first], classes=np.unique(y))
    assert as_bytes((twin.coefs_, intercepts_of(twin))) == as_bytes(
        (model.coefs_, intercepts_of(model))
    )
    for a, b in zip(twin._optimizer.slots, model._optimizer.slots, strict=True):
        assert as_bytes(a) == as_bytes(b)


# ------------------------------------------------------------------------------ members


@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared"])
def test_the_members_are_estimators(kind, dtype):
    """Their mean is the ensemble's prediction; each predicts, pickles and trains on."""
    X, y = problem(kind, dtype=dtype)
    model = ours(kind, n_estimators=N, normalization="batch", **PARAMS).fit(X, y)
    found = model.estimators_
    assert len(found) == N and all(one.n_estimators == 1 for one in found)
    output = "predict" if kind == "squared" else "predict_proba"
    mean = np.mean([getattr(one, output)(X) for one in found], axis=0)
    np.testing.assert_allclose(mean, getattr(model, output)(X), rtol=1e-5)
    hidden = model.hidden_layer(X)
    assert hidden.shape == (len(X), N * model.coefs_[-1].shape[1])
    np.testing.assert_array_equal(hidden, np.hstack([one.hidden_layer(X) for one in found]))
    before = model.coefs_[0].copy()
    pickle.loads(pickle.dumps(found[1])).partial_fit(X, y).predict(X)
    found[0].partial_fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], before)
    single = ours(kind, **PARAMS)
    assert not hasattr(single, "estimators_")
    assert not hasattr(single.fit(X, y), "estimators_")
