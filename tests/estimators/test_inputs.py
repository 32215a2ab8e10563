"""Every kind of X and y that scikit-learn takes, and how little memory it costs."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.preprocessing import LabelBinarizer

from fastmlp import MLPClassifier, _core
from fastmlp._estimators.labels import fitted_binarizer
from reference.problems import KINDS, bits, ours, outputs, problem, theirs

NUMBERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
# what the engine does not read itself becomes float64
OTHERS = ["f2", "g", ">f8", ">i4", "O"]
SOLVERS = ["adam", "sgd", "lbfgs"]


def whole_numbers(kind="multiclass", n_samples=61):
    """X of small whole numbers, exact in every type of two or more values."""
    X, y = problem(kind, n_samples)
    return np.clip(np.round(2 * X + 2), 0, 5), y


def fitted(kind, X, y, **params):
    params = {"hidden_layer_sizes": (7,), "random_state": 0, "max_iter": 4} | params
    return ours(kind, **params).fit(X, y)


@pytest.mark.parametrize("setting", ["auto", "float32", "float64"])
@pytest.mark.parametrize("source", NUMBERS + OTHERS)
def test_every_dtype_of_X_is_computed_in_the_type_asked_for(source, setting):
    X, y = whole_numbers()
    X = X > 2 if source == "?" else X
    other = X.astype(source)
    expected = {"auto": "f4" if source == "f4" else "f8"}.get(setting, setting)
    model = fitted("multiclass", other, y, dtype=setting)
    assert model.coefs_[0].dtype == model.intercepts_[0].dtype == expected
    assert outputs(model, other).dtype == expected
    reference = fitted("multiclass", X.astype(expected), y, dtype=setting)
    assert bits(model, other) == bits(reference, X.astype(expected))


@pytest.mark.parametrize("source", ["i4", "i8", "u4", "u8", "f8"])
def test_numbers_that_float32_cannot_hold_are_rounded_once(source):
    X, y = whole_numbers()
    X = (X * 12345678 + 3).astype(source)
    params = {"dtype": "float32", "learning_rate_init": 1e-9}
    model = fitted("multiclass", X, y, **params)
    reference = fitted("multiclass", X.astype("f4"), y, **params)
    assert bits(model, X) == bits(reference, X.astype("f4"))


def sparse_variants(X):
    """CSR and CSC of the values of X, in every state that SciPy allows."""
    csr, csc = sparse.csr_array(X), sparse.csc_array(X)
    found = {"csr": csr, "csc": csc, "matrix": sparse.csr_matrix(X)}
    for name, base in (("csr", csr), ("csc", csc)):
        wide = base.copy()
        wide.indices, wide.indptr = wide.indices.astype("i8"), wide.indptr.astype("i8")
        found[f"{name} int64"] = wide
    backwards = csr.copy()
    for start, stop in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        for part in (backwards.indices, backwards.data):
            part[start:stop] = part[start:stop][::-1].copy()
    backwards.has_sorted_indices = False
    found["unsorted"] = backwards
    columns = np.nonzero(np.ones_like(X))[1]
    found["explicit zeros"] = sparse.csr_array(
        (X.ravel(), columns, np.arange(0, X.size + 1, X.shape[1])), shape=X.shape
    )
    halves = np.repeat(X.ravel() / 2, 2).astype(X.dtype)
    found["duplicates"] = sparse.csr_array(
        (halves, np.repeat(columns, 2), np.arange(0, 2 * X.size + 1, 2 * X.shape[1])),
        shape=X.shape,
    )
    read_only = csr.copy()
    for part in (read_only.data, read_only.indices, read_only.indptr):
        part.flags.writeable = False
    found["read-only"] = read_only
    for name in ("coo", "lil", "dok", "bsr"):
        found[name] = csr.asformat(name)
    return found


VARIANTS = list(sparse_variants(np.ones((2, 2))))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_sparse_X_gives_what_the_dense_one_gives(name, solver, dtype):
    X, y = problem("multiclass", dtype=dtype)
    X[5:9] = 0  # rows without an entry
    X[:, 3] = 0
    other = sparse_variants(X)[name]
    kept = other.copy()
    np.testing.assert_array_equal(other.toarray(), X)
    dense, model = (fitted("multiclass", x, y, solver=solver, batch_size=16) for x in (X, other))
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    for a, b in zip(model.coefs_, dense.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    np.testing.assert_allclose(outputs(model, other), outputs(model, X), rtol=0, atol=tolerance)
    assert (other != kept).nnz == 0


def test_unaligned_parts_of_a_sparse_X(dtype):
    """C has no such numbers: they are copied."""
    X, y = problem("multiclass", dtype=dtype)
    aligned, X = sparse.csr_array(X), sparse.csr_array(X)
    for name in ("data", "indices", "indptr"):
        part = getattr(X, name)
        raw = np.zeros(part.nbytes + 1, np.uint8)[1:].view(part.dtype)
        raw[:] = part
        setattr(X, name, raw)
    assert not any(part.flags.aligned for part in (X.data, X.indices, X.indptr))
    assert all(part.flags.aligned for part in _core.Dataset(X).kept)
    assert bits(fitted("multiclass", X, y), X) == bits(fitted("multiclass", aligned, y), aligned)


@pytest.mark.parametrize("source", ["?", "i1", "i8", "u2"])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_sparse_X_of_integers(source, container):
    X, y = whole_numbers()
    X = (X > 2).astype(source)
    model = fitted("multiclass", container(X), y)
    reference = fitted("multiclass", container(X.astype("f8")), y)
    assert model.coefs_[0].dtype == np.float64
    assert bits(model, container(X)) == bits(reference, container(X))


@pytest.mark.parametrize("setting, source", [("float32", "f8"), ("float64", "f4")])
def test_sparse_X_in_the_other_type(setting, source):
    X, y = whole_numbers()
    other = sparse.csr_array(X.astype(source))
    model = fitted("multiclass", other, y, dtype=setting)
    assert model.coefs_[0].dtype == outputs(model, other).dtype == setting
    same = sparse.csr_array(X.astype(setting))
    assert bits(model, other) == bits(fitted("multiclass", same, y), same)


def test_a_sparse_X_without_any_entry(dtype):
    X, y = sparse.csr_array((30, 4), dtype=dtype), np.arange(30) % 3
    model = fitted("multiclass", X, y)
    expected = fitted("multiclass", X.toarray(), y)
    np.testing.assert_allclose(outputs(model, X), outputs(expected, X), rtol=1e-5)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_frames_and_their_feature_names(make, dtype):
    X, y = problem("binary", dtype=dtype)
    names = [f"x{i}" for i in range(X.shape[1])]
    frame = make({name: X[:, i] for i, name in enumerate(names)})
    model = fitted("binary", frame, y)
    assert list(model.feature_names_in_) == names
    assert model.n_features_in_ == X.shape[1]
    if make is pl.DataFrame:  # scikit-learn reads every polars frame as float64
        X = X.astype("f8")
    assert bits(model, frame) == bits(fitted("binary", X, y), X)


def test_frames_of_mixed_types_and_series_as_targets():
    X, y = whole_numbers("squared")
    columns = {f"x{i}": X[:, i] for i in range(X.shape[1])}
    columns["x0"] = columns["x0"].astype("i4")
    columns["x1"] = columns["x1"] > 2
    expected = np.column_stack([np.asarray(c, "f8") for c in columns.values()])
    reference = bits(fitted("squared", expected, y), expected)
    for make, series in ((pd.DataFrame, pd.Series), (pl.DataFrame, pl.Series)):
        frame = make(columns)
        assert bits(fitted("squared", frame, series(y)), frame) == reference


def test_lists_are_taken(dtype):
    X, y = whole_numbers("binary")
    model = fitted("binary", X.tolist(), y.tolist(), dtype=dtype.name)
    assert bits(model, X.tolist()) == bits(fitted("binary", X, y, dtype=dtype.name), X)


LABELS = {
    "str": np.array(["cat", "a dog", "bird"]),
    "object": np.array(["cat", "a dog", "bird"], dtype=object),
    "negative": np.array([-7, 0, 5]),
    "uint8": np.array([3, 200, 255], np.uint8),
    "float": np.array([1.0, 2.0, 30.0]),
    "int64 beyond float64": np.array([2**60, 2**60 + 1, 2**60 + 2]),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_labels_of_every_type(name, early_stopping, n_classes, dtype):
    X, codes = problem("multiclass", dtype=dtype)
    codes = codes % n_classes
    labels = np.sort(LABELS[name])[:n_classes]
    params = {"early_stopping": early_stopping, "validation_fraction": 0.2}
    model = fitted("multiclass", X, labels[codes], **params)
    reference = fitted("multiclass", X, codes, **params)
    np.testing.assert_array_equal(model.classes_, labels)
    known = theirs("multiclass", max_iter=1).fit(X, labels[codes]).classes_
    assert model.classes_.dtype == known.dtype
    assert bits(model, X) == bits(reference, X)
    predicted = model.predict(X)
    assert predicted.dtype == known.dtype
    np.testing.assert_array_equal(predicted, labels[reference.predict(X)])


@pytest.mark.parametrize("n_classes", [1, 2, 3, 50, 51, 100])
@pytest.mark.parametrize("source", ["?", "i1", "i2", "i8", "u1", "u8", "f4", "f8", "U", "O", ">i4"])
def test_the_binarizer_is_as_sklearn_fits_it(source, n_classes):
    """Plain integers do not go through its checks."""
    y = np.arange(100) % n_classes + (0 if source == "?" else 3)
    y = y.astype(source) if source != "O" else np.array([f"class {k}" for k in y], dtype=object)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = vars(fitted_binarizer(y))
        n_warnings = len(caught)
        expected = vars(LabelBinarizer().fit(y))
    assert len(caught) == 2 * n_warnings
    assert found.keys() == expected.keys()
    assert found["classes_"].dtype == expected["classes_"].dtype
    np.testing.assert_array_equal(found.pop("classes_"), expected.pop("classes_"))
    assert found == expected


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("labels", [[0, 1, 5], [0, 2], [-1, 0, 1], [0.0, 1.0, 0.5]], ids=repr)
def test_labels_that_are_not_known_are_sklearns_errors(labels, method):
    X, y = problem("multiclass")
    messages = []
    for make in (ours, theirs):
        model = make("multiclass", max_iter=1, warm_start=method == "fit").fit(X, y)
        if method == "partial_fit" and labels == [0, 2]:
            model.partial_fit(X, np.resize(labels, len(X)))
            continue
        with pytest.raises(ValueError) as error:
            getattr(model, method)(X, np.resize(labels, len(X)))
        messages.append(str(error.value))
    assert len(set(messages)) <= 1


def test_boolean_labels(dtype):
    X, y = problem("binary", dtype=dtype)
    model = fitted("binary", X, y.astype(bool))
    assert model.predict(X).dtype == bool
    assert bits(model, X) == bits(fitted("binary", X, y), X)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_multilabel_targets(container, dtype):
    X, y = problem("multilabel", dtype=dtype)
    model = fitted("multilabel", X, container(y), max_iter=200)
    assert outputs(model, X).shape == y.shape
    predicted = model.predict(X)
    predicted = predicted.toarray() if sparse.issparse(predicted) else predicted
    np.testing.assert_array_equal(predicted, outputs(model, X) > 0.5)
    assert (predicted == y).mean() > 0.7


@pytest.mark.parametrize("kind", ["squared", "squared x3", "poisson", "poisson x2"])
@pytest.mark.parametrize("source", ["i4", "f4", "f8", ">f8"])
def test_regression_targets_of_every_type_and_layout(kind, source, dtype):
    X, y = problem(kind, dtype=dtype)
    y = np.round(np.abs(4 * y))
    reference = bits(fitted(kind, X, y), X)
    wide = np.zeros((2 * len(y), *y.shape[1:]), source)
    wide[::2] = y
    for other in (y.astype(source), np.asfortranarray(y.astype(source)), wide[::2]):
        assert bits(fitted(kind, X, other), X) == reference
    assert outputs(fitted(kind, X, y), X).shape == y.shape


def test_a_column_of_targets_is_a_vector(dtype):
    for kind in ("binary", "squared"):
        X, y = problem(kind, dtype=dtype)
        with pytest.warns(UserWarning, match="column-vector"):
            model = fitted(kind, X, y.reshape(-1, 1))
        assert bits(model, X) == bits(fitted(kind, X, y), X)
        assert model.predict(X).ndim == 1


@pytest.mark.parametrize("source", ["i4", "f4", "f8", "list", "series", "read-only"])
def test_weights_of_every_type(source, dtype):
    X, y = problem("squared", dtype=dtype)
    weights = np.arange(len(y)) % 4
    other = {"list": weights.tolist(), "series": pd.Series(weights)}.get(source)
    if other is None:
        other = weights.astype("f8" if source == "read-only" else source)
        other.flags.writeable = source != "read-only"
    models = [
        ours("squared", random_state=0, max_iter=3).fit(X, y, sample_weight=w)
        for w in (other, weights.astype(float))
    ]
    assert bits(models[0], X) == bits(models[1], X)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_passed_in_is_changed(kind, solver, dtype):
    X, y = problem(kind, dtype=dtype)
    weights = np.linspace(0, 2, len(y))
    kept = [a.copy() for a in (X, y, weights)]
    params = {"learning_rate_init": 1e-4, "early_stopping": solver == "adam"}
    model = ours(kind, solver=solver, max_iter=3, **params)
    model.fit(X, y, sample_weight=weights)
    model.predict(X)
    for a, b in zip((X, y, weights), kept, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
@pytest.mark.parametrize("kind", ["binary", "squared", "squared x3"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_very_few_rows(kind, solver, n_samples, dtype):
    X, y = problem(kind, n_samples, 1, dtype)
    y = np.arange(n_samples) % 2 if kind == "binary" else y
    model = fitted(kind, X, y, solver=solver)
    assert np.isfinite(outputs(model, X)).all()
    assert len(outputs(model, X)) == n_samples


def peak_of(call):
    """Most memory that NumPy held during the call, beyond what it held before."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    call()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("source", ["f4", "f8", "u1", "i8"])
@pytest.mark.parametrize("setting", ["auto", "float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_X_is_never_copied_whole(setting, source, order, early_stopping):
    X = np.ones((6000, 200), source, order=order)
    X[::3] = 0
    y = np.arange(len(X)) % 2
    params = {"max_iter": 1, "batch_size": 50, "hidden_layer_sizes": (4,)}
    params |= {"early_stopping": early_stopping, "n_threads": 2}
    model = ours("binary", dtype=setting, **params)
    assert peak_of(lambda: model.fit(X[:200], y[:200])) > 0  # imports, caches
    one_byte_each = X.size
    assert peak_of(lambda: model.fit(X, y)) < one_byte_each
    assert peak_of(lambda: model.predict(X)) < one_byte_each


def test_a_sparse_X_is_not_made_dense():
    X = sparse.random_array((4000, 3000), density=0.001, format="csr", rng=0)
    y = np.arange(4000) % 2
    model = ours("binary", max_iter=1, hidden_layer_sizes=(4,), batch_size=50)
    assert peak_of(lambda: model.fit(X, y)) < X.shape[0] * X.shape[1]
    assert peak_of(lambda: model.predict(X)) < X.shape[0] * X.shape[1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_multilabel_targets_of_any_layout(solver, dtype):
    """A frame of labels is Fortran-contiguous."""
    X, y = problem("multilabel", dtype=dtype)
    params = {"hidden_layer_sizes": 7, "max_iter": 3, "random_state": 0, "solver": solver}
    expected = bits(MLPClassifier(**params).fit(X, y), X)
    strided = np.repeat(y, 2, axis=1)[:, ::2]
    frame = pd.DataFrame(np.asfortranarray(y))
    for layout in (np.asfortranarray(y), y.astype(float, order="F"), strided, frame, frame == 1):
        assert bits(MLPClassifier(**params).fit(X, layout), X) == expected
