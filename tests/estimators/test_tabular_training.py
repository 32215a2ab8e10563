"""Training of TabularClassifier and TabularRegressor: targets, losses, weights, validation sets."""

import contextlib
import io
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.model_selection import ShuffleSplit, TimeSeriesSplit

from fastmlp import TabularClassifier, TabularRegressor

pd = pytest.importorskip("pandas")

TINY = {"hidden_layer_sizes": (16,), "max_iter": 4, "random_state": 0}
N = 120
RNG = np.random.RandomState(0)
NUMBERS = RNG.normal(size=N)
FRAME = pd.DataFrame(
    {
        "number": np.where(np.arange(N) % 7 == 1, np.nan, NUMBERS),
        "word": RNG.choice(["x", "y", "z"], N),
        "many": [f"level {i % 30}" for i in range(N)],
        "date": pd.date_range("2020-01-01", periods=N),
    }
)
SIGNAL = NUMBERS + 2 * (FRAME["word"] == "x").to_numpy()
LABELS = np.where(SIGNAL > 0, "above", "below")
EMBEDDINGS = [None, "pbld", "plr", "periodic", "ple"]


def classifier(**params):
    return TabularClassifier(**TINY | params)


def regressor(**params):
    return TabularRegressor(**TINY | params)


def predictions(model, X=FRAME):
    return getattr(model, "predict_proba", model.predict)(X)


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("scaling", ["robust", "quantile"])
@pytest.mark.parametrize("params", [{}, {"n_estimators": 2}, {"hidden_layer_sizes": ()}])
def test_every_number_of_threads_gives_the_same_bits(embedding, scaling, params, dtype):
    params |= {"numeric_embedding": embedding, "numeric_scaling": scaling, "dtype": dtype.name}
    models = [classifier(**params, n_threads=n).fit(FRAME, LABELS) for n in (1, 2, 3)]
    first, *others = (predictions(model) for model in models)
    assert first.dtype == dtype
    assert all(same(first, other) for other in others)
    assert models[0].coefs_[0].dtype == models[0].embeddings_[0].dtype == dtype


def test_random_state_decides_everything():
    draw = np.random.RandomState
    assert same(*(predictions(regressor().fit(FRAME, SIGNAL)) for _ in range(2)))
    a, b = (regressor(random_state=draw(3)).fit(FRAME, SIGNAL) for _ in range(2))
    assert same(predictions(a), predictions(b))
    assert not same(predictions(a), predictions(regressor().fit(FRAME, SIGNAL)))


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y.tolist(),
        lambda y: pd.Series(y, index=range(1000, 1000 + N)),
        lambda y: pd.Series(y, dtype="Float64"),
        lambda y: pd.Series(y, dtype="double[pyarrow]"),
        lambda y: pytest.importorskip("polars").Series(y),
        lambda y: pytest.importorskip("pyarrow").chunked_array([y[:50], y[50:]]),
        lambda y: y.astype(object),
    ],
)
def test_targets_of_every_container(convert):
    expected = predictions(regressor().fit(FRAME, SIGNAL))
    assert same(predictions(regressor().fit(FRAME, convert(SIGNAL))), expected)


@pytest.mark.parametrize("kind", ["float32", "int64", "uint8", "bool"])
def test_targets_of_every_type(kind):
    y = (10 * np.maximum(SIGNAL, 0)).astype(kind)
    expected = predictions(regressor().fit(FRAME, y.astype(float)))
    assert same(predictions(regressor().fit(FRAME, y)), expected)
    labels = (y > 5).astype(kind)
    for given in (labels, pd.Series(labels), labels.astype(str)):
        model = classifier().fit(FRAME, given)
        assert model.classes_.tolist() == np.unique(given.tolist()).tolist()
        assert set(model.predict(FRAME)) <= set(given)


def test_one_class_and_constant_targets():
    model = classifier().fit(FRAME, ["only"] * N)
    assert set(model.predict(FRAME)) == {"only"}
    assert (model.predict_proba(FRAME) == 1).all()
    for value in (0.0, 3.0, -1e12):
        for clip in (True, False):
            model = regressor(clip_predictions=clip).fit(FRAME, np.full(N, value))
            np.testing.assert_allclose(model.predict(FRAME), value, atol=10, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_the_size_of_targets_does_not_matter(scale):
    unit = 2.0 ** np.round(np.log2(scale))
    expected = predictions(regressor().fit(FRAME, SIGNAL))
    assert len(np.unique(expected)) > 10
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = predictions(regressor().fit(FRAME, SIGNAL * unit))
    np.testing.assert_allclose(found / unit, expected, rtol=1e-12)
    moved = predictions(regressor().fit(FRAME, SIGNAL + 1e9)) - 1e9
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_predictions_are_clipped_to_the_targets_or_not():
    y, middle = SIGNAL, np.argsort(SIGNAL)[len(SIGNAL) // 4 : -len(SIGNAL) // 4]
    wild = {"learning_rate_init": 1.0, "max_iter": 40, "hidden_layer_sizes": ()}
    clipped, free = (
        predictions(regressor(clip_predictions=clip, **wild).fit(FRAME.iloc[middle], y[middle]))
        for clip in (True, False)
    )
    y = y[middle]
    assert free.max() > y.max() or free.min() < y.min()
    assert same(clipped, np.clip(free, y.min(), y.max()))
    two = np.column_stack([y, 100 * y])
    found = predictions(regressor(**wild).fit(FRAME.iloc[middle], two))
    assert (found >= two.min(axis=0)).all()
    assert (found <= two.max(axis=0)).all()


def test_scale_targets():
    a, b = (regressor(scale_targets=s, clip_predictions=False) for s in (True, False))
    y = 1000 * SIGNAL + 5000
    assert np.abs(a.fit(FRAME, y).predict(FRAME) - y.mean()).max() < 5000
    assert np.abs(b.fit(FRAME, y).predict(FRAME)).max() < 1000  # too far away for 4 epochs


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "log_cosh"])
def test_losses(loss):
    y = 1e6 * SIGNAL
    model = regressor(loss=loss, max_iter=40, dropout=0.0).fit(FRAME, y)
    assert model.score(FRAME, y) > 0.5


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_losses_of_positive_targets(loss):
    y = 1000 * np.exp(SIGNAL)
    model = regressor(loss=loss, max_iter=40, dropout=0.0, clip_predictions=False).fit(FRAME, y)
    assert (model.predict(FRAME) > 0).all()
    assert model.score(FRAME, y) > 0.3
    with pytest.raises(ValueError, match=f"loss='{loss}' requires"):
        regressor(loss=loss).fit(FRAME, SIGNAL)
    with pytest.raises(ValueError, match=f"loss='{loss}' needs positive predictions"):
        regressor(loss=loss, out_activation="identity").fit(FRAME, y)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_several_quantiles(n_estimators):
    levels, y = [0.1, 0.5, 0.9], 1e6 * SIGNAL
    model = regressor(loss="quantile", loss_params={"quantile": levels}, max_iter=40)
    model.set_params(n_estimators=n_estimators).fit(FRAME, y)
    found = model.predict(FRAME)
    assert found.shape == (N, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    assert 0.2 < np.mean((found[:, 0] < y) & (y < found[:, 2])) <= 1
    assert np.isfinite(model.score(FRAME, y))
    with pytest.raises(ValueError, match="needs a single target, got 2 targets"):
        model.fit(FRAME, np.column_stack([y, y]))


@pytest.mark.parametrize("loss", ["hinge", "focal", "squared_error"])
def test_other_losses_need_no_other_label_smoothing(loss):
    """The default must not refuse them."""
    a = classifier(loss=loss).fit(FRAME, LABELS)
    b = classifier(loss=loss, label_smoothing=0.0).fit(FRAME, LABELS)
    assert same(a.coefs_[0], b.coefs_[0])
    assert set(a.predict(FRAME)) <= set(LABELS)
    smooth, plain = (classifier(label_smoothing=s).fit(FRAME, LABELS) for s in (0.3, 0.0))
    assert not same(smooth.coefs_[0], plain.coefs_[0])


def test_several_outputs():
    y = np.column_stack([SIGNAL, 1000 * SIGNAL, np.ones(N)])
    model = regressor(max_iter=40, dropout=0.0).fit(FRAME, y)
    found = model.predict(FRAME)
    assert found.shape == y.shape
    assert (found[:, 2] == 1).all()
    labels = (y[:, :2] > [0, 500]).astype(int)
    model = classifier().fit(FRAME, labels)
    assert model.predict(FRAME).shape == model.predict_proba(FRAME).shape == (N, 2)
    dense = model.predict_proba(FRAME)
    for convert in (sparse.csr_array, sparse.csc_matrix):
        assert same(predictions(classifier().fit(FRAME, convert(labels))), dense)
        with pytest.raises(TypeError, match=r"Sparse data was passed for y.*toarray"):
            regressor().fit(FRAME, convert(labels))
    three = np.where(SIGNAL > 1.5, "far", LABELS)
    assert classifier().fit(FRAME, three).predict_proba(FRAME).shape == (N, 3)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_weight_of_two_is_a_row_twice_and_zero_none(make, embedding):
    weights = np.arange(N) % 3
    rows = np.repeat(np.arange(N), weights)
    y = LABELS if make is classifier else SIGNAL
    params = {"numeric_embedding": embedding, "dtype": "float64", "batch_size": 1000}
    params |= {"early_stopping": False, "dropout": 0.0, "min_category_count": 1}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got `batch_size`")
        a = make(**params).fit(FRAME, y, sample_weight=weights)
        b = make(**params).fit(FRAME.iloc[rows], y[rows])
    np.testing.assert_allclose(predictions(a), predictions(b), rtol=1e-9)


def test_class_weight():
    shares = [
        (classifier(class_weight=w, max_iter=20).fit(FRAME, LABELS).predict(FRAME) == "above").sum()
        for w in ({"above": 20, "below": 1}, "balanced", {"above": 1, "below": 20})
    ]
    assert shares[0] > shares[1] > shares[2]


def test_several_networks():
    one = classifier().fit(FRAME, LABELS)
    model = classifier(n_estimators=3).fit(FRAME, LABELS)
    networks = model.estimators_
    mean = np.mean([predictions(network) for network in networks], axis=0)
    np.testing.assert_allclose(predictions(model), mean, rtol=1e-6)
    assert model.hidden_layer(FRAME).shape == (N, 48)
    assert same(model.hidden_layer(FRAME)[:, :16], networks[0].hidden_layer(FRAME))
    assert [a.shape for a in model.embeddings_] == [(3, *a.shape) for a in one.embeddings_]
    scored = classifier(n_estimators=2, scoring="roc_auc").fit(FRAME, LABELS)
    assert len(scored.validation_scores_) == 4


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("scoring", [None, "loss", "name", "callable"])
def test_the_epoch_of_the_best_score_is_kept(make, scoring):
    y = LABELS if make is classifier else 1000 * SIGNAL
    name = "accuracy" if make is classifier else "r2"
    scoring = {"name": name, "callable": lambda model, X, y: model.score(X, y)}.get(
        scoring, scoring
    )
    held_out = {"X_val": FRAME[:40], "y_val": y[:40]}
    model = make(scoring=scoring, max_iter=8).fit(FRAME[40:], y[40:], **held_out)
    assert model.best_validation_score_ == max(model.validation_scores_)
    if scoring not in (None, "loss"):
        assert model.score(FRAME[:40], y[:40]) == model.best_validation_score_
    short = make(scoring=scoring, max_iter=8, early_stopping=False)
    short.fit(FRAME[40:], y[40:], **held_out)
    assert short.validation_scores_ == model.validation_scores_
    assert make(early_stopping=False).fit(FRAME, y).validation_scores_ is None


def test_a_splitter_holds_out_rows():
    for splitter in (ShuffleSplit(1, random_state=0), TimeSeriesSplit(3)):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The first split")
            model = regressor(validation_fraction=splitter).fit(FRAME, SIGNAL)
            _, held_out = next(iter(splitter.split(FRAME, SIGNAL)))
            small = regressor(validation_fraction=splitter).fit(FRAME[:30], SIGNAL[:30])
        assert len(model.validation_scores_) == len(small.validation_scores_) == 4
        best = model.score(FRAME.iloc[held_out], SIGNAL[held_out])
        assert best >= max(model.validation_scores_) - 1e-6


def test_few_samples_are_all_trained_on():
    assert classifier().fit(FRAME[:39], LABELS[:39]).validation_scores_ is None
    assert classifier().fit(FRAME[:40], LABELS[:40]).validation_scores_ is not None
    with pytest.warns(UserWarning, match="scoring='r2' has no effect.*fewer than 40: pass X_val"):
        regressor(scoring="r2").fit(FRAME[:39], SIGNAL[:39])


def test_few_samples_with_a_validation_set_stop_early():
    held_out = {"X_val": FRAME[60:], "y_val": LABELS[60:]}
    model = classifier(max_iter=30, scoring="accuracy").fit(FRAME[:30], LABELS[:30], **held_out)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(FRAME[60:], LABELS[60:]) == model.best_validation_score_


def test_validation_targets_of_another_scale_are_told_as_they_are():
    with pytest.warns(UserWarning, match=r"from 9.99e\+08 to 1e\+09, against -1\.\d+ to 2\.\d+"):
        regressor().fit(FRAME, SIGNAL, X_val=FRAME, y_val=1e6 * SIGNAL.clip(-1, 1) / 2 + 9.995e8)
    for y_val in (np.column_stack([SIGNAL] * 3), SIGNAL):
        with pytest.raises(ValueError, match=r"y_val has \d outputs, but y has 2"):
            regressor().fit(FRAME, np.column_stack([SIGNAL] * 2), X_val=FRAME, y_val=y_val)


def test_warm_start_goes_on():
    model = classifier(warm_start=True, learning_rate="constant").fit(FRAME, LABELS)
    before, loss = [a.copy() for a in model.embeddings_], model.loss_
    model.fit(FRAME.assign(word="new", number=np.nan), LABELS).fit(FRAME, LABELS)
    assert model.loss_ < loss
    assert all(a.shape == b.shape for a, b in zip(before, model.embeddings_, strict=True))
    for name, value in (
        ("numeric_embedding", "plr"),
        ("numeric_scaling", "quantile"),
        ("categorical_features", ["word", "many"]),
        ("min_category_count", 9),
    ):
        changed = classifier(warm_start=True).fit(FRAME, LABELS).set_params(**{name: value})
        with pytest.warns(UserWarning, match=f"continues with {name}=.*although it is now"):
            changed.fit(FRAME, LABELS)
        with pytest.warns(UserWarning, match=f"continues with {name}=.*warm_start=False"):
            changed.partial_fit(FRAME, LABELS)
    changed = regressor(warm_start=True).fit(FRAME, SIGNAL).set_params(scale_targets=False)
    with pytest.warns(UserWarning, match="continues with scale_targets=True"):
        changed.fit(FRAME, SIGNAL)
    mask = np.array([False, True, True, False])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = classifier(warm_start=True, categorical_features=mask, scoring=None)
        model.fit(FRAME, LABELS).fit(FRAME, LABELS)


def test_warm_start_takes_the_type_and_the_number_of_samples_of_each_call():
    model = classifier(warm_start=True, dtype="float32").fit(FRAME, LABELS)
    model.set_params(dtype="float64").fit(FRAME, LABELS, X_val=FRAME[:9], y_val=LABELS[:9])
    assert model.coefs_[0].dtype == predictions(model).dtype == np.float64
    model.set_params(dtype="float32", scoring="accuracy").fit(FRAME, LABELS)
    assert model.coefs_[0].dtype == predictions(model).dtype == np.float32
    small = classifier(warm_start=True).fit(FRAME[:30], LABELS[:30])
    assert small.validation_scores_ is None
    assert len(small.fit(FRAME, LABELS).validation_scores_) == 4
    assert small.coefs_[0].dtype == np.float64


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_predictions_are_clipped_to_the_targets_of_all_calls(again):
    model = regressor(warm_start=True, learning_rate="constant", max_iter=20, dropout=0.0)
    model.fit(FRAME, SIGNAL)
    for _ in range(10):
        getattr(model, again)(FRAME, SIGNAL + 100)
    assert model.predict(FRAME).max() > SIGNAL.max() + 20
    assert model.predict(FRAME).max() <= SIGNAL.max() + 100


def test_losses_that_need_other_targets_after_a_warm_start():
    model = regressor(warm_start=True).fit(FRAME, np.exp(SIGNAL))
    model.set_params(loss="poisson", clip_predictions=False).fit(FRAME, np.exp(SIGNAL))
    assert (model.predict(FRAME) > 0).all()
    two = np.column_stack([SIGNAL] * 2)
    with pytest.raises(ValueError, match="neither warm_start nor partial_fit can change"):
        regressor(warm_start=True).fit(FRAME, SIGNAL).fit(FRAME, two)
    with pytest.raises(ValueError, match="neither warm_start nor partial_fit can change"):
        regressor(warm_start=True).fit(FRAME, two).fit(FRAME, SIGNAL)


def test_partial_fit():
    model = classifier(learning_rate="constant")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(FRAME, LABELS)
    model.partial_fit(FRAME[:60], LABELS[:60], classes=["above", "below", "other"])
    assert predictions(model).shape == (N, 3)
    before = model.coefs_[0].copy()
    model.partial_fit(FRAME[60:].assign(word="new", many=None, number=np.nan), LABELS[60:])
    assert not same(before, model.coefs_[0])
    assert model.t_ == N
    with pytest.raises(ValueError, match="yet now missing"):
        model.partial_fit(FRAME[["word"]], LABELS)
    model = regressor(learning_rate="constant").partial_fit(FRAME[:5], SIGNAL[:5])
    for _ in range(40):
        model.partial_fit(FRAME, SIGNAL)
    assert len(np.unique(model.predict(FRAME))) > 10


def test_max_time_and_verbose():
    start = time.perf_counter()
    model = classifier(max_time=0.2, max_iter=10**6, n_iter_no_change=np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(FRAME, LABELS)
    assert time.perf_counter() - start < 5
    assert model.n_iter_ < 10**6
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        regressor(verbose=True).fit(FRAME, SIGNAL)
    assert out.getvalue().count("Validation score") == out.getvalue().count("Iteration") == 4


@pytest.mark.parametrize("make", [classifier, regressor])
def test_ctrl_c_keeps_what_was_trained(make, monkeypatch):
    from fastmlp._estimators import base

    y, calls = LABELS if make is classifier else SIGNAL, []

    def scoring(model, X, y):
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return model.score(X, y)

    monkeypatch.setattr(base, "is_own_call", lambda: True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = make(max_iter=100, scoring=scoring).fit(FRAME, y)
    assert 0 < len(calls) < 10
    assert len(np.unique(predictions(model))) > 10


def test_advice_suits_tables():
    """Columns are scaled already."""
    y = np.tile([1.0, -1.0], N // 2)
    with pytest.warns(UserWarning, match="weights have hardly changed") as caught:
        regressor(max_iter=40, learning_rate_init=1e-9, early_stopping=False).fit(FRAME, y)
    (found,) = (str(w.message) for w in caught if "loss" in str(w.message))
    assert "Use a greater learning_rate_init=1e-09" in found
    assert "StandardScaler" not in found
