"""Optimizers, penalties, clips, bounds, averages, frozen layers and schedules.

Steps against PyTorch's figures (optimizers.py), everything against NumPy (naive.py), in every way
that a batch is worked through, and with the same bits for any number of threads.
"""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp._core import DECAYING, NORMALIZATIONS, OPTIMIZER_SETTINGS, OPTIMIZERS, Dataset
from fastmlp._network import plan
from fastmlp._network.architecture import PARAMETERS, STARTS
from reference import optimizers, ways
from reference.build import new_network
from reference.naive import NaiveDataset, NaiveNetwork
from reference.problems import bits, ours, problem, sample_weights
from reference.trajectories import relative_difference

SCHEDULES = ("cosine", "exponential", "step", "one_cycle", "coslog4")


def start_from(model, X, y, coefs, intercepts):
    """The model, fitted from these weights."""
    max_iter = model.max_iter
    model.set_params(warm_start=True, max_iter=1).fit(X, y)
    model.coefs_ = [w.astype(model.coefs_[0].dtype) for w in coefs]
    model.intercepts_ = [b.astype(model.coefs_[0].dtype) for b in intercepts]
    return model.set_params(max_iter=max_iter).fit(X, y)


def weights_of(model):
    return np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)])


# ------------------------------------------------------------------------------ steps


@pytest.mark.parametrize("number, case", list(enumerate(optimizers.cases())), ids=str)
def test_steps_follow_the_stored_figures_of_pytorch(number, case, dtype):
    X, y, coefs, intercepts = optimizers.data()
    model = MLPClassifier(dtype=str(dtype), **optimizers.parameters(*case))
    found = weights_of(start_from(model, X, y, coefs, intercepts))
    tolerance = 1e-10 if dtype == np.float64 else 2e-6
    np.testing.assert_allclose(found, np.load(optimizers.FILE)[number], rtol=0, atol=tolerance)


@pytest.mark.parametrize("optimizer", optimizers.OPTIMIZERS)
def test_the_stored_figures_are_those_of_pytorch(optimizer):
    pytest.importorskip("torch")
    for case, stored in zip(optimizers.cases(), np.load(optimizers.FILE), strict=True):
        if case[0] == optimizer:
            found = optimizers.steps_of_torch(*case)
            np.testing.assert_allclose(found, stored, rtol=0, atol=1e-12)


def test_every_optimizer_has_figures():
    """But adam, whose epsilon is scikit-learn's; test_trajectory.py compares it with that."""
    assert {name.split()[0] for name in optimizers.OPTIMIZERS} == set(OPTIMIZERS) - {"adam"}


# ------------------------------------------------------------------------------ against NumPy

STEP = {"learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-3, "t": 0}
SGD = {"learning_rate": 0.01, "momentum": 0.8, "nesterov": True}
# whose steps have a size that does not follow from the gradient's
WITHOUT_L1 = [name for name in OPTIMIZERS if "l1_ratio" not in OPTIMIZER_SETTINGS[name]]
EVERYTHING = {"l1_ratio": 0.7, "clip_norm": 0.4, "clip_value": 0.05, "max_norm": 1.1, "ema": True}
FEATURES = {  # -> optimizer, its step, layers that are frozen
    **{name: (name, SGD if name == "sgd" else STEP, ()) for name in OPTIMIZERS},
    **{
        f"{name} l1": (name, (SGD if name == "sgd" else STEP) | {"l1_ratio": 0.7}, ())
        for name in OPTIMIZERS
        if name not in WITHOUT_L1
    },
    "decay": ("adamw", STEP | {"weight_decay": 2.0}, ()),
    "clip_norm": ("adam", STEP | {"clip_norm": 0.4}, ()),
    "clip_value": ("sgd", SGD | {"clip_value": 0.02}, ()),
    "max_norm": ("adam", STEP | {"max_norm": 1.1}, ()),
    "ema": ("adam", STEP | {"ema": True}, ()),
    "everything": ("adam", STEP | EVERYTHING, ()),
    "frozen first": ("adam", STEP, (0,)),
    "frozen last": ("sgd", SGD | EVERYTHING, (2,)),
    "frozen but one": ("adam", STEP | EVERYTHING, (0, 2)),
}


def trained(cls, dataset_cls, feature, loss, container, dtype, **params):
    """Losses of two epochs, weights, the optimizer's state and predictions after them."""
    units, coefs, intercepts, (X, y, weights) = ways.case(loss, dtype)
    optimizer, step, frozen = FEATURES[feature]
    network = cls(
        units,
        activations=["tanh"] * (len(units) - 2),
        loss=loss,
        dtype=dtype,
        optimizer=optimizer,
        frozen_layers=frozen,
        average=step.get("ema", False),
        **params,
    )
    network.set_parameters(coefs, intercepts)
    X = sparse.csr_array(X * (np.abs(X) > 0.8)) if container == "csr" else X
    dataset, found = dataset_cls(X, y, weights), []
    orders = [np.random.RandomState(i).permutation(ways.N_SAMPLES) for i in range(2)]
    outcome = network.train(dataset, np.array(orders), ways.BATCH_SIZE, alpha=2.0, step=dict(step))
    found += [np.array(outcome.loss_sums), network.predict(dataset, orders[0][:9].astype(np.intp))]
    arrays = [np.empty_like(c) for c in coefs], [np.empty_like(b) for b in intercepts]
    network.get_parameters(*arrays)
    for i in frozen:
        np.testing.assert_array_equal(arrays[0][i], coefs[i])
        np.testing.assert_array_equal(arrays[1][i], intercepts[i])
    found += [*arrays[0], *arrays[1]]
    return found + [a for slot in network.get_optimizer_state() for part in slot for a in part]


@pytest.mark.parametrize("loss", ["log_loss", "binary_log_loss"])
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_agrees_with_numpy_in_every_way(feature, loss, dtype, monkeypatch):
    every_way = {"csr": {}} | ways.WAYS
    if feature in OPTIMIZERS or feature.endswith("l1"):
        every_way = {"partial gradients": {}}
    # a sign may come out the other way where float32 rounds a gradient near zero
    signs = feature in WITHOUT_L1 and dtype == np.float32
    expected = {}
    for way, limits in every_way.items():
        for name, value in limits.items():
            monkeypatch.setattr(plan, name, value)
        container = "csr" if way == "csr" else "dense"
        case = feature, loss, container, dtype
        runs = [trained(new_network, Dataset, *case, n_threads=n) for n in (1, 2, 3)]
        for run in runs[1:]:
            assert [a.tobytes() for a in run] == [a.tobytes() for a in runs[0]]
        if container not in expected:
            expected[container] = trained(NaiveNetwork, NaiveDataset, *case)
        for a, b in zip(runs[0], expected[container], strict=True):
            tolerance = 1e-11 if dtype == np.float64 else 0.05 if signs else 1e-3
            assert relative_difference(a, b) < tolerance, way
        monkeypatch.undo()


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_norm_that_is_clipped_is_that_of_the_whole_gradient(
    normalization, container, n_threads, dtype
):
    """Of scales and shifts too. One step moves by the gradient, scaled, and within clip_value."""
    units, coefs, intercepts, (X, y, weights) = ways.case("log_loss", dtype)
    X = sparse.csr_array(X) if container == "csr" else X
    dataset, n = Dataset(X, y, weights), len(y)
    network = new_network(
        units,
        activations=["tanh", "relu"],
        loss="log_loss",
        dtype=dtype,
        optimizer="sgd",
        normalization=normalization,
        n_threads=n_threads,
        frozen_layers=(1,),
    )
    parameters = [coefs, intercepts]
    for value in STARTS.values():
        parameters.append([np.full(fan_out, value, dtype) for fan_out in units[1:-1]])
    parameters = parameters[: len(network.architecture.parameter_shapes)]
    network.set_parameters(*parameters)
    n_trained = network.architecture.n_trained
    gradient = [[np.empty_like(a) for a in arrays] for arrays in parameters[:n_trained]]
    network.loss_and_gradient(dataset, 0.3, gradient)
    norm = np.sqrt(sum((a.astype(float) ** 2).sum() for arrays in gradient for a in arrays))
    network.set_parameters(*parameters)
    step = {"learning_rate": 0.1, "clip_norm": 0.5 * norm, "clip_value": 0.02 * norm}
    network.train(dataset, np.arange(n, dtype=np.intp), n, alpha=0.3, step=step)
    moved = [[np.empty_like(a) for a in arrays] for arrays in parameters]
    network.get_parameters(*moved)
    scale = 0.5 * norm / (norm + 1e-6)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for new, old, slopes in zip(moved, parameters, gradient, strict=False):
        for i, (a, b, slope) in enumerate(zip(new, old, slopes, strict=True)):
            clipped = np.clip(scale * slope, -0.02 * norm, 0.02 * norm)
            np.testing.assert_allclose(a, b - 0.1 * clipped, rtol=0, atol=tolerance)
            if i == 1:
                np.testing.assert_array_equal(a, b)


AVERAGED = [
    (normalization, average)
    for normalization in NORMALIZATIONS
    for average in ("ema", "swa")
    if (normalization, average) != ("batch", "swa")
]


@pytest.mark.parametrize("normalization, average", AVERAGED)
def test_networks_of_an_ensemble_are_trained_as_alone(normalization, average, dtype):
    X, y = problem("multiclass", dtype=dtype)
    params = {"n_estimators": 3, "hidden_layer_sizes": (20,), "normalization": normalization}
    params |= {"clip_norm": 0.1, "max_norm": 0.8, "l1_ratio": 0.5, "alpha": 0.5}
    params |= {"average_weights": average, "random_state": 0, "max_iter": 4, "warmup": 0.2}
    runs = [ours("multiclass", n_threads=n, **params).fit(X, y) for n in (1, 2, 3)]
    assert bits(runs[0], X) == bits(runs[1], X) == bits(runs[2], X)
    alone = ours("multiclass", **params | {"n_estimators": 1, "warm_start": True})
    alone.set_params(max_iter=1).fit(X, y)
    together = ours("multiclass", **params | {"warm_start": True}).set_params(max_iter=1).fit(X, y)
    for name in ("coefs_", "biases_", *PARAMETERS[2:]):
        if hasattr(together, name):
            own = "intercepts_" if (name, normalization) == ("biases_", None) else name
            setattr(alone, own, [a[1].copy() for a in getattr(together, name)])
    for model in (alone, together):
        model.set_params(max_iter=4, shuffle=False).fit(X, y)
    for a, b in zip(alone.coefs_, together.coefs_, strict=True):
        np.testing.assert_array_equal(a, b[1])
    for model in (alone, together):
        model.partial_fit(X, y)
    for a, b in zip(alone.coefs_, together.coefs_, strict=True):
        np.testing.assert_array_equal(a, b[1])


# ------------------------------------------------------------------------------ between calls


@pytest.mark.parametrize("average", [None, "ema", "swa"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_partial_fit_goes_on_through_copies_and_pickles(optimizer, average, dtype):
    """Epoch by epoch it computes what a fit does, to the bit."""
    X, y = problem("multiclass", dtype=dtype)
    params = {"solver": optimizer, "batch_size": 61 if optimizer == "rprop" else 13, "max_iter": 5}
    if optimizer != "rprop":
        params |= {"learning_rate": "cosine", "warmup": 0.3}
    params |= {"shuffle": False, "random_state": 0, "hidden_layer_sizes": (7,), "tol": 0}
    params["average_weights"] = average
    whole = ours("multiclass", n_iter_no_change=np.inf, **params).fit(X, y)
    model = ours("multiclass", **params)
    for epoch in range(5):
        model.partial_fit(X, y, classes=[0, 1, 2])
        model = pickle.loads(pickle.dumps(model)) if epoch % 2 else copy.deepcopy(model)
    assert bits(model, X)[:-2] == bits(whole, X)[:-2]
    assert model._optimizer.t == whole._optimizer.t == (5 if optimizer == "rprop" else 25)
    assert model._optimizer.learning_rate == whole._optimizer.learning_rate


def test_a_change_of_the_weights_is_not_undone_by_what_was_averaged(dtype):
    X, y = problem("binary", dtype=dtype)
    model = ours("binary", average_weights="ema", random_state=0).partial_fit(X, y, classes=[0, 1])
    other = copy.deepcopy(model)
    other.coefs_[0][...] = 0
    other.set_params(learning_rate_init=1e-9).partial_fit(X, y)
    assert np.abs(other.coefs_[0]).max() < 1e-6
    model.set_params(learning_rate_init=1e-9).partial_fit(X, y)
    assert np.abs(model.coefs_[0]).max() > 0.1


def test_sgd_keeps_its_momentum_where_a_schedule_begins(dtype):
    """Of constant rate: the same steps as without."""
    X, y = problem("squared", dtype=dtype)
    params = {"solver": "sgd", "random_state": 0, "hidden_layer_sizes": (7,), "shuffle": False}
    plain, changed = (ours("squared", learning_rate_init=0.01, **params) for _ in range(2))
    for rate in ("constant", np.ones_like, "constant", "constant"):
        plain.partial_fit(X, y)
        changed.set_params(learning_rate=rate).partial_fit(X, y)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    assert relative_difference(weights_of(changed), weights_of(plain)) < tolerance


# ------------------------------------------------------------------------------ penalties


@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
@pytest.mark.parametrize(
    "solver, more",
    [
        ("sgd", {"momentum": 0.0, "nesterovs_momentum": False}),
        ("sgd", {"momentum": 0.9, "nesterovs_momentum": False}),
        ("sgd", {"momentum": 0.9}),
        ("adam", {"epsilon": 0.1}),
        ("nadam", {"epsilon": 0.1}),
        ("radam", {"epsilon": 0.1}),
        ("rmsprop", {"epsilon": 0.1}),
        ("adagrad", {"learning_rate_init": 0.5}),
    ],
)
def test_a_linear_network_comes_to_rest_at_the_elastic_net(solver, more, l1_ratio):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((50, 8))
    y = X[:, :3] @ [1.0, -0.5, 0.2] + 0.3 * rng.standard_normal(50) + 2
    expected = ElasticNet(0.2, l1_ratio=l1_ratio, tol=1e-12).fit(X, y)
    assert 0 < np.count_nonzero(expected.coef_) < 8
    params = {"learning_rate_init": 0.05, "max_iter": 8000, "batch_size": 50, "shuffle": False}
    params |= {"solver": solver, "alpha": 0.2 * 50, "l1_ratio": l1_ratio, "tol": 0} | more
    params |= {"hidden_layer_sizes": (), "n_iter_no_change": np.inf, "random_state": 0}
    model = MLPRegressor(**params).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0][:, 0], expected.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercepts_[0][0], expected.intercept_, atol=1e-6)
    np.testing.assert_array_equal(model.coefs_[0][:, 0] == 0, expected.coef_ == 0)
    w, residuals = expected.coef_, y - expected.predict(X)
    penalty = l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w**2).sum()
    np.testing.assert_allclose(model.loss_, (residuals**2).mean() / 2 + 0.2 * penalty, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_reach_exact_zeros_and_intercepts_do_not(container, weighted, dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", hidden_layer_sizes=(20,), alpha=20, l1_ratio=1, random_state=0)
    weights = sample_weights(len(y)) if weighted else None
    model.set_params(learning_rate_init=0.01).fit(container(X), y, sample_weight=weights)
    assert (model.coefs_[0] == 0).mean() > 0.5
    assert all((b != 0).all() for b in model.intercepts_)


def test_max_norm_holds_after_every_step(dtype):
    X, y = problem("binary", dtype=dtype)
    model = ours("binary", hidden_layer_sizes=(20, 7), max_norm=0.3, random_state=0, alpha=0)
    bound = 0.3 * (1 + 4 * np.finfo(dtype).eps)
    for _ in range(5):
        model.partial_fit(X, y, classes=[0, 1])
        norms = [np.linalg.norm(w, axis=0) for w in model.coefs_]
        assert all((n <= bound).all() for n in norms)
    assert all((n > 0.299).any() for n in norms)


# ------------------------------------------------------------------------------ frozen layers


@pytest.mark.parametrize("frozen", [(0,), (-1,), (1,), (0, 1), np.array([0, -1])], ids=str)
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adamw"])
def test_frozen_layers_do_not_move_by_a_bit(solver, frozen, dtype):
    X, y = problem("multiclass", dtype=dtype)
    model = ours("multiclass", solver=solver, hidden_layer_sizes=(7, 5), warm_start=True)
    model.set_params(max_iter=3, random_state=0, alpha=0.5).fit(X, y)
    before = copy.deepcopy(model)
    model.set_params(frozen_layers=frozen).fit(X, y)
    for i in range(3):
        kept = i in [j % 3 for j in frozen]
        for name in ("coefs_", "intercepts_"):
            assert np.array_equal(getattr(model, name)[i], getattr(before, name)[i]) == kept
    assert model.loss_ < before.loss_


def test_the_loss_has_no_penalty_of_frozen_layers(dtype):
    """With L-BFGS neither; and no gradient. In training, see "frozen first" above."""
    units, coefs, intercepts, data = ways.case("log_loss", dtype)
    found = []
    for cls, dataset in ((new_network, Dataset(*data)), (NaiveNetwork, NaiveDataset(*data))):
        network = cls(
            units, activations=["tanh"] * 2, loss="log_loss", dtype=dtype, frozen_layers=(0, 2)
        )
        network.set_parameters(coefs, intercepts)
        gradient = [np.ones_like(c) for c in coefs], [np.ones_like(b) for b in intercepts]
        loss = network.loss_and_gradient(dataset, 3.0, gradient)
        found.append([*gradient[0], *gradient[1], np.float64(loss)])
        assert not gradient[0][0].any()
        assert not gradient[1][2].any()
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for a, b in zip(*found, strict=True):
        assert relative_difference(a, b) < tolerance


@pytest.mark.parametrize("frozen", [(2,), (-3,), (0, 1), (0, -1, 1), (0.0,), [[0]], (True,)])
def test_frozen_layers_that_make_no_sense(frozen):
    X, y = problem("binary")
    with pytest.raises(ValueError, match="frozen_layers"):
        ours("binary", frozen_layers=frozen, hidden_layer_sizes=(3,)).fit(X, y)


# ------------------------------------------------------------------------------ averages


def path_of_weights(dtype, n_steps, **params):
    """Weights before the first of n steps and after each; and the estimator that takes them."""
    X, y = problem("binary", dtype=dtype)
    params |= {"batch_size": len(y), "shuffle": False, "random_state": 0, "tol": 0}
    params |= {"hidden_layer_sizes": (20,), "learning_rate_init": 0.02, "max_iter": n_steps}
    model, path = ours("binary", n_iter_no_change=np.inf, **params), []
    for rate in (1e-300, *[0.02] * n_steps):
        plain = copy.deepcopy(model).set_params(average_weights=None, learning_rate_init=rate)
        plain.set_params(max_iter=max(1, len(path)))
        path.append(weights_of(plain.fit(X, y)).astype(float))
    return np.array(path), model.fit(X, y)


def test_ema_is_the_moving_average_of_all_steps(dtype):
    path, model = path_of_weights(dtype, 15, average_weights="ema")
    expected = path[0]
    for t, weights in enumerate(path[1:], 1):
        decay = min(0.999, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * weights
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    assert relative_difference(weights_of(model), expected) < tolerance
    last = np.concatenate([a.ravel() for part in model._optimizer.last for a in part])
    assert relative_difference(last, path[-1]) < tolerance


@pytest.mark.parametrize("n_steps, n_averaged", [(1, 1), (3, 1), (4, 1), (15, 4)])
def test_swa_is_the_mean_of_the_last_quarter(n_steps, n_averaged, dtype):
    path, model = path_of_weights(dtype, n_steps, average_weights="swa")
    expected = path[-n_averaged:].mean(axis=0)
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    assert relative_difference(weights_of(model), expected) < tolerance


def test_swa_that_ends_early_keeps_the_last_weights():
    path, _ = path_of_weights(np.float64, 6)
    X, y = problem("binary")
    model = ours("binary", average_weights="swa", hidden_layer_sizes=(20,), random_state=0)
    model.set_params(batch_size=len(y), learning_rate_init=0.02, shuffle=False)
    model.set_params(tol=1e9, n_iter_no_change=4).fit(X, y)
    assert model.n_iter_ == 6
    np.testing.assert_array_equal(weights_of(model), path[-1])


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_validation_scores_are_those_of_the_averages(average, dtype):
    """Of the weights that are kept."""
    X, y = problem("binary", n_samples=400, dtype=dtype)
    params = {"average_weights": average, "early_stopping": True, "max_iter": 4, "random_state": 3}
    seen = []

    class Watched(MLPClassifier):
        def _validation_score(self, y, output, *args, **kwargs):
            seen.append((y, output))
            return super()._validation_score(y, output, *args, **kwargs)

    model = Watched((20,), learning_rate_init=0.01, validation_fraction=0.5, **params).fit(X, y)
    best = np.argmax(model.validation_scores_)
    found = model.predict_proba(X)[:, 1]
    assert set(seen[best][1][:, 0].tolist()) <= set(found.tolist())


# ------------------------------------------------------------------------------ schedules


def rates(n_steps, **params):
    """Rates of n single steps, as the optimizer tells them after each."""
    X, y = problem("squared")
    params |= {"hidden_layer_sizes": (3,), "solver": "sgd", "learning_rate_init": 0.2}
    model = MLPRegressor(max_iter=n_steps, **params)
    return [model.partial_fit(X, y)._optimizer.learning_rate for _ in range(n_steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_are_as_documented(schedule):
    t = np.arange(40) / 40
    up, down = (1 - np.cos(np.pi * t / 0.3)) / 2, (1 + np.cos(np.pi * (t - 0.3) / 0.7)) / 2
    factors = {
        "cosine": (1 + np.cos(np.pi * t)) / 2,
        "exponential": 0.01**t,
        "step": np.repeat([1, 0.1, 0.01], [20, 10, 10]),
        "one_cycle": np.where(t < 0.3, 0.04 + 0.96 * up, 1e-4 / 25 + (1 - 1e-4 / 25) * down),
        "coslog4": (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t))) / 2,
    }[schedule]
    np.testing.assert_allclose(rates(40, learning_rate=schedule), 0.2 * factors, atol=1e-15)
    ramp = np.minimum(1, np.arange(40) / 10)
    found = rates(40, learning_rate=schedule, warmup=0.25)
    np.testing.assert_allclose(found, 0.2 * factors * ramp, atol=1e-15)


@pytest.mark.parametrize("schedule", [*SCHEDULES[:4], "callable"])
def test_schedules_follow_pytorch(schedule):
    torch = pytest.importorskip("torch")
    n = 40
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)
    lr_scheduler = torch.optim.lr_scheduler
    scheduler = {
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, n),
        "exponential": lambda: lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / n)),
        "step": lambda: lr_scheduler.MultiStepLR(optimizer, [n // 2, 3 * n // 4]),
        # PyTorch's cycle ends at its last step, ours would at the one after it
        "one_cycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, 0.2, n + 1, pct_start=(0.3 * n + 1) / (n + 1), cycle_momentum=False
        ),
        "callable": lambda: lr_scheduler.LambdaLR(optimizer, lambda s: (1 - s / n) ** 2),
    }[schedule]()
    expected = []
    for _ in range(n):
        expected += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    ours = (lambda t: (1 - t) ** 2) if schedule == "callable" else schedule
    np.testing.assert_allclose(rates(n, learning_rate=ours), expected, rtol=1e-12)


def test_a_schedule_ends_where_max_iter_does():
    """partial_fit may go on: with the rate of the end."""
    X, y = problem("squared")
    model = MLPRegressor(solver="sgd", learning_rate="exponential", max_iter=3)
    found = [model.partial_fit(X, y)._optimizer.learning_rate for _ in range(6)]
    np.testing.assert_allclose(found, 0.001 * 0.01 ** np.minimum(1, np.arange(6) / 3))


def test_epochs_in_one_call_take_the_rates_that_they_take_alone(dtype):
    """verbose makes a call of each epoch."""
    X, y = problem("multiclass", dtype=dtype)
    params = {"batch_size": 13, "max_iter": 20, "random_state": 0, "n_iter_no_change": 50}
    params |= {"learning_rate": "coslog4", "warmup": 0.2, "average_weights": "ema"}
    runs = [ours("multiclass", verbose=v, **params).fit(X, y) for v in (False, True)]
    assert bits(runs[0], X) == bits(runs[1], X)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda t: t - 0.5,
        lambda t: np.full_like(t, np.nan),
        lambda t: 1 / t,
        lambda t: t[:2],
        lambda t: "fast",
        lambda t: None,
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_callable_must_return_rates(schedule):
    X, y = problem("binary")
    model = ours("binary", learning_rate=schedule)
    with pytest.raises(ValueError, match="A callable learning_rate must return"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "solver, params, message",
    [
        *(
            ("lbfgs", params, "cannot be used with solver='lbfgs'")
            for params in (
                *({"clip_norm": 1.0}, {"clip_value": 1.0}, {"max_norm": 1.0}, {"warmup": 0.1}),
                *({"l1_ratio": 0.1}, {"average_weights": "ema"}, {"average_weights": "swa"}),
                *({"learning_rate": "cosine"}, {"learning_rate": np.ones_like}),
            )
        ),
        *((name, {"l1_ratio": 0.1}, f"cannot be used with solver='{name}'") for name in WITHOUT_L1),
        *(
            ("rprop", params, "cannot be used with solver='rprop'")
            for params in ({"warmup": 0.1}, {"learning_rate": "step"})
        ),
        ("rprop", {"batch_size": 10}, "batch_size must be 'auto' or at least 61, got 10"),
        ("adam", {"average_weights": "swa", "normalization": "batch"}, "running statistics"),
        *(
            (solver, {"weight_decay": 0.0}, "weight_decay is only for")
            for solver in ("lbfgs", *sorted(set(OPTIMIZERS) - set(DECAYING)))
        ),
    ],
)
def test_what_the_solver_cannot_do_is_refused(solver, params, message):
    X, y = problem("binary")
    model = ours("binary", solver=solver, **params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_rprop_takes_the_whole_training_set_as_a_batch(dtype):
    X, y = problem("binary", n_samples=300, dtype=dtype)
    params = {"solver": "rprop", "random_state": 0, "max_iter": 5}
    model = ours("binary", **params).fit(X, y)
    assert model._optimizer.t == 5
    assert bits(ours("binary", batch_size=300, **params).fit(X, y), X) == bits(model, X)
    half = {"early_stopping": True, "validation_fraction": 0.5}
    ours("binary", batch_size=150, **half, **params).fit(X, y)


@pytest.mark.parametrize("solver", sorted(set(OPTIMIZERS) - set(WITHOUT_L1)))
@pytest.mark.parametrize("params", [{}, {"clip_value": 1e300}, {"max_norm": 1e300}], ids=str)
def test_training_that_diverges_says_so(solver, params):
    X, y = problem("squared")
    params |= {"activation": "identity", "learning_rate_init": 1e200, "max_iter": 20}
    model = MLPRegressor(solver=solver, **params)
    with pytest.raises(ValueError, match="non-finite parameter weights"), np.errstate(all="ignore"):
        model.fit(X, y)
