"""The ways of a prediction: X past scikit-learn's general checks or through them, weights read as
they lie or packed. The same bits, and the same refusals, by each."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.preprocessing import LabelBinarizer

from fastmlp import _core
from reference.child import output_of
from reference.problems import KINDS, ours, outputs, problem

N_SAMPLES = 300  # more than are predicted from weights as they lie
SHAPES = [(), (1,), (16,), (17, 5), (100,), (3, 3, 3), (64, 32)]


class Array(np.ndarray):
    """Not a plain array, so that it takes the general way."""


def fitted(kind, dtype, hidden=(17, 5), n_samples=N_SAMPLES, **params):
    X, y = problem(kind, n_samples, dtype=dtype)
    params = {"max_iter": 2, "random_state": 0, **params}
    if kind.startswith("poisson"):
        params["learning_rate_init"] = 1e-4
    return ours(kind, hidden_layer_sizes=hidden, **params).fit(X, y), X


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_past_the_checks_and_through_them(kind, dtype):
    model, X = fitted(kind, dtype)
    general = [X.tolist(), pd.DataFrame(X), X.view(Array), X.astype(X.dtype.newbyteorder())]
    assert model._is_plain(X)
    expected = outputs(model, X).tobytes()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        for other in general:
            assert not model._is_plain(other)
            assert outputs(model, other).tobytes() == expected
    wide = np.float64(X)
    assert model._is_plain(wide)
    assert outputs(model, wide).tobytes() == expected


@pytest.mark.parametrize("source", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_same_bits_of_integers(source, dtype):
    model, X = fitted("multiclass", dtype)
    X = np.abs(X * 9).astype(source)
    assert model._is_plain(X)
    assert outputs(model, X).tobytes() == outputs(model, X.astype(dtype)).tobytes()
    assert outputs(model, X).tobytes() == outputs(model, X.view(Array)).tobytes()


def layouts(coefs, folder):
    """Lists of the same weights, in every way that memory can hold them."""

    def strided(w):
        wide = np.full((2 * w.shape[0], 3 * w.shape[1]), np.nan, w.dtype)
        wide[::2, 1::3] = w
        return wide[::2, 1::3]

    def rows_apart(w):
        wide = np.full((w.shape[0], w.shape[1] + 3), np.nan, w.dtype)
        wide[:, 2:-1] = w
        return wide[:, 2:-1]

    def unaligned(w):
        raw = np.zeros(w.nbytes + 1, np.uint8)[1:].view(w.dtype).reshape(w.shape)
        raw[...] = w
        return raw

    def mapped(w):
        path = folder / str(len(list(folder.iterdir())))
        memory = np.memmap(path, w.dtype, "w+", shape=w.shape)
        memory[...] = w
        memory.flush()
        return np.memmap(path, w.dtype, "r", shape=w.shape)

    def backwards(w):
        return w[::-1, ::-1].copy()[::-1, ::-1]

    makers = [np.asfortranarray, strided, rows_apart, unaligned, mapped, backwards]
    return {make.__name__: [make(w) for w in coefs] for make in makers}


@pytest.mark.parametrize("hidden", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "squared x3"])
def test_same_bits_of_weights_in_every_layout(kind, hidden, dtype, tmp_path):
    model, X = fitted(kind, dtype, hidden)
    expected = outputs(model, X)
    coefs = model.coefs_
    for name, model.coefs_ in {"": coefs, **layouts(coefs, tmp_path)}.items():
        for n in (1, 2, 9, 40, 256, 257, N_SAMPLES):
            assert outputs(model, X[:n]).tobytes() == expected[:n].tobytes(), (name, n)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("n", [1, N_SAMPLES])
def test_no_weights_are_kept_between_calls(n, layout, dtype):
    model, X = fitted("squared x3", dtype)
    model.coefs_ = [layout(w) for w in model.coefs_]
    before = model.predict(X[:n])
    model.intercepts_[-1][...] += 1
    np.testing.assert_allclose(model.predict(X[:n]), before + 1, rtol=1e-4)
    model.coefs_[-1][...] = 0
    expected = np.tile(model.intercepts_[-1], (n, 1))
    np.testing.assert_array_equal(model.predict(X[:n]), expected)
    model.coefs_[0][:] = np.nan
    assert np.isnan(model.predict(X[:n])).all()


def refusal(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.type, str(caught.value)


def with_value(X, row, value):
    X = X.copy()
    X[row, -1] = value
    return X


BAD_INPUTS = {
    **{
        f"{value} in row {row}": lambda X, row=row, value=value: with_value(X, row, value)
        for value in (np.nan, np.inf, -np.inf)
        for row in (0, N_SAMPLES // 2, N_SAMPLES - 1)
    },
    "one row": lambda X: with_value(X[:1], 0, np.nan),
    "a feature less": lambda X: X[:, 1:],
    "a feature more": lambda X: np.hstack([X, X[:, :1]]),
    "no features": lambda X: X[:, :0],
    "no rows": lambda X: X[:0],
    "scalar": lambda X: X[0, 0].reshape(()),
    "1-D": lambda X: X[0],
    "3-D": lambda X: X[None],
    "complex": lambda X: X + 1j,
    "strings": lambda X: np.full(X.shape, "a"),
    "objects": lambda X: np.full(X.shape, None),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_both_ways_refuse_in_the_same_words(kind, name, dtype):
    model, X = fitted(kind, dtype, n_threads=3)
    bad = BAD_INPUTS[name](X)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            expected = refusal(lambda m=method: getattr(model, m)(bad.view(Array)))
            assert refusal(lambda m=method: getattr(model, m)(bad)) == expected


def test_finite_numbers_too_large_for_float32_are_not_refused():
    model, X = fitted("squared", np.float32)
    X = with_value(np.float64(X), 7, 1e300)
    found = model.predict(X)
    assert np.isfinite(found[:7]).all() and not np.isfinite(found[7])
    assert found.tobytes() == model.predict(X.view(Array)).tobytes()


def test_assume_finite_is_honoured(dtype):
    model, X = fitted("squared", dtype)
    expected = model.predict(X)
    with sklearn.config_context(assume_finite=True):
        found = model.predict(with_value(X, 7, np.nan))
    assert np.isnan(found[7])
    np.testing.assert_array_equal(np.delete(found, 7), np.delete(expected, 7))
    with pytest.raises(ValueError, match="NaN"):
        model.predict(with_value(X, 7, np.nan))


def test_arrays_without_the_names_of_the_fit_warn(dtype):
    X, y = problem("binary", dtype=dtype)
    model = ours("binary", max_iter=1).fit(pd.DataFrame(X).add_prefix("x"), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("labels", [[0, 1, 2], list("abc"), [False, True], ["no", "yes"], [7]])
@pytest.mark.parametrize("n", [1, N_SAMPLES])
def test_labels_are_those_of_scikit_learns_binarizer(labels, n, dtype):
    X, _ = problem("squared", N_SAMPLES, dtype=dtype)
    y = np.array(labels)[np.arange(N_SAMPLES) % len(labels)]
    model = ours("binary", hidden_layer_sizes=7, max_iter=30, random_state=0).fit(X, y)
    probabilities = model.predict_proba(X[:n])
    if probabilities.shape[1] == 2:
        probabilities = probabilities[:, 1]
    expected = LabelBinarizer().fit(y).inverse_transform(probabilities)
    found = model.predict(X[:n])
    assert found.dtype == expected.dtype and found.flags.writeable
    np.testing.assert_array_equal(found, expected)


TASKS = """
import os
import numpy as np
import fastmlp
model = fastmlp.MLPRegressor(hidden_layer_sizes=(700, 700), max_iter=1, n_threads=1)
model.fit(np.ones((4, 700)), np.arange(4.0)).set_params(n_threads=4)
found = []
for n in (1, 3000):
    before = len(os.listdir("/proc/self/task"))
    model.predict(np.ones((n, 700)))
    found.append(len(os.listdir("/proc/self/task")) > before)
print(*found)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads cannot be counted here")
@pytest.mark.skipif(not _core.openmp(), reason="built without OpenMP")
def test_one_row_starts_no_threads():
    """Whatever the network: it takes longer than the row."""
    assert output_of(TASKS) == "False True"


@pytest.mark.parametrize("kind", ["multiclass", "squared"])
def test_strings_are_no_numbers(kind):
    """Refused by predict in scikit-learn's words, also where they could be read as numbers."""
    model, X = fitted(kind, np.float64)
    for strings in (X[:3].astype(str), X[:3].astype(bytes)):
        with pytest.raises(ValueError, match="not compatible with arrays of bytes/strings"):
            model.predict(strings)


def test_targets_that_are_strings_are_refused():
    X, y = problem("squared", 20)
    with pytest.raises(ValueError, match="not compatible with arrays of bytes/strings"):
        ours("squared", max_iter=1).fit(X, y.astype(str))


def test_an_activation_that_there_is_not_is_named():
    model, X = fitted("multiclass", np.float64)
    with pytest.raises(ValueError, match=r"activation must be one of .* got 'foo'"):
        model.set_params(activation="foo").predict(X)
