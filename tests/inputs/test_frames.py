"""Tables of all libraries give the same bits; columns are found by name."""

import datetime
import pickle
from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastmlp._inputs.encoder import Input, TableEncoder

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

N = 60
RNG = np.random.default_rng(0)
WORDS = [None if i % 11 == 3 else "abcd"[(i + i // 5) % 4] for i in range(N)]
CITIES = [None if i % 13 == 5 else f"city {i % 12:02d}" for i in range(N)]
FLOATS = [None if i % 7 == 2 else float(v) for i, v in enumerate(RNG.normal(size=N))]
INTEGERS = [None if i % 9 == 1 else int(v) for i, v in enumerate(RNG.integers(0, 99, N))]
BOOLEANS = [None if i % 10 == 4 else i % 3 == 0 for i in range(N)]
DATES = [
    None if i % 8 == 6 else np.datetime64("2021-11-05T22:10", "us") + np.timedelta64(i * 1234, "m")
    for i in range(N)
]
DATA = {
    "word": WORDS,
    "city": CITIES,
    "float": FLOATS,
    "integer": INTEGERS,
    "boolean": BOOLEANS,
    "date": [None if d is None else d.item() for d in DATES],
    "duration": [None if d is None else (d - DATES[0]).item() for d in DATES],
    "constant": [7] * N,
    "empty": [None] * N,
}


def objects():
    array = np.empty((N, len(DATA)), object)
    for j, column in enumerate(DATA.values()):
        array[:, j] = column
    return array


def pandas_objects():
    return pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in DATA.items()})


def pandas_inferred():
    return pd.DataFrame(DATA)


def pandas_nullable():
    types = {"integer": "Int64", "float": "Float64", "boolean": "boolean", "word": "string"}
    return pandas_objects().astype(types)


def pandas_categorical():
    frame = pandas_inferred()
    frame["word"] = pd.Categorical(WORDS, categories=["z", "d", "c", "unused", "b", "a"])
    frame["city"] = frame["city"].astype("category")
    return frame


def pandas_arrow():
    return pa.table(DATA).to_pandas(types_mapper=pd.ArrowDtype)


def polars_strings():
    return pl.DataFrame(DATA)


def polars_categories():
    return pl.DataFrame(DATA).with_columns(
        pl.col("word").cast(pl.Enum(["d", "x", "c", "a", "b"])), pl.col("city").cast(pl.Categorical)
    )


def arrow():
    return pa.table(DATA)


def arrow_chunks():
    table = pa.table(DATA)
    words = pa.chunked_array([pa.array(WORDS[:20]), pa.array(WORDS[20:])])
    encoded = words.dictionary_encode()
    return pa.concat_tables([table[:17], table[17:]]).set_column(0, "word", encoded)


def lists():
    return [list(row) for row in zip(*DATA.values(), strict=True)]


NAMED = [
    *(pandas_objects, pandas_inferred, pandas_nullable, pandas_categorical, pandas_arrow),
    *(polars_strings, polars_categories, arrow, arrow_chunks),
]
ALL = [*NAMED, objects, lists]


def same(a, b):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def reference():
    return TableEncoder().fit_transform(objects())


@pytest.mark.parametrize("make", ALL)
def test_all_kinds_of_tables_give_the_same_bits(make, reference):
    X = make()
    encoder = TableEncoder()
    assert same(encoder.fit_transform(X), reference)
    assert same(encoder.transform(X), reference)
    assert same(TableEncoder().fit(X).transform(X), reference)


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("make", ALL)
def test_fit_on_one_kind_transforms_every_other(make, reference):
    encoder = TableEncoder().fit(make())
    for other in ALL:
        assert same(encoder.transform(other()), reference), other.__name__


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("make", NAMED)
def test_a_row_alone_has_the_bits_it_has_among_others(make, reference):
    X, encoder = make(), TableEncoder().fit(objects())
    for i in (0, 2, 6, 30):
        row = X.iloc[i : i + 1] if hasattr(X, "iloc") else X[i : i + 1]
        assert same(encoder.transform(row), [a[i : i + 1] for a in reference])


def test_the_inputs_of_a_table():
    encoder = TableEncoder().fit(pandas_inferred())
    samples = encoder.transform(pandas_inferred())
    assert encoder.inputs_[:5] == (
        Input("one_hot", "word", 0, 0, 6),
        Input("category", "city", 1, 1, 14),
        Input("numeric", "float", 2, 0, 0),
        Input("plain", "float", 2, 1, 0),
        Input("numeric", "integer", 3, 2, 0),
    )
    kinds = [i.kind for i in encoder.inputs_]
    assert samples.values.shape == (N, kinds.count("numeric") + kinds.count("plain"))
    assert samples.codes.shape == (N, 3) and samples.codes.dtype == np.uint8
    assert all(a.flags.c_contiguous for a in samples)
    assert {i.name for i in encoder.inputs_} == set(DATA) - {"constant", "empty"}
    assert set(encoder.tables_) == {i for i, k in enumerate(kinds) if k == "one_hot"}
    assert encoder.is_categorical_.tolist() == [True, True, False, False, True] + [False] * 4
    assert encoder.n_features_in_ == len(DATA) == len(encoder.columns_)
    assert list(encoder.feature_names_in_) == list(DATA)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [pandas_categorical, polars_categories, arrow])
def test_pickles_hold_all_that_is_needed(make, dtype):
    X, encoder = make(), TableEncoder(dtype=dtype).fit(make())
    text = pickle.dumps(encoder)
    assert not any(name in text for name in (b"pandas", b"polars", b"pyarrow"))
    again = pickle.loads(text).transform(X)
    assert again.values.dtype == dtype and same(again, encoder.transform(X))


@pytest.mark.parametrize("make", [pandas_inferred, polars_strings, arrow])
def test_columns_are_found_by_name(make, reference):
    X, names = make(), list(DATA)
    encoder, turned = TableEncoder().fit(X), names[::-1]
    select = getattr(X, "select", lambda names: X[names])
    assert same(encoder.transform(select(turned)), reference)
    with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- city"):
        encoder.transform(select([n for n in names if n != "city"]))
    fewer = TableEncoder().fit(select(names[1:]))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- word"):
        fewer.transform(X)


def test_repeated_names_work_by_position_or_are_refused():
    X = pd.DataFrame([[1.0, 5.0, 2.0], [2.0, 4.0, 3.0], [4.0, 3.0, 9.0]], columns=list("aba"))
    encoder = TableEncoder()
    assert same(encoder.fit_transform(X), TableEncoder().fit_transform(X.to_numpy()))
    assert same(encoder.transform(X), TableEncoder().fit_transform(X.to_numpy()))
    with pytest.raises(ValueError, match="several columns of the name 'a'"):
        encoder.transform(X.iloc[:, [1, 0, 2]])


def test_names_that_are_no_strings_are_not_kept():
    X = pd.DataFrame([[1.0, 5.0], [2.0, 4.0]])
    encoder = TableEncoder().fit(X)
    assert not hasattr(encoder, "feature_names_in_") and encoder.inputs_[1].name == "1"
    encoder.transform(X)
    with pytest.raises(ValueError, match="X has 1 features, but TableEncoder is expecting 2"):
        encoder.transform(X[[0]])
    with pytest.raises(TypeError, match="all input features have string names"):
        TableEncoder().fit(X.rename(columns={0: "a"}))
    TableEncoder().fit(pandas_inferred()).fit(X)


def test_a_table_without_names_after_one_with_names_warns():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 5.0]})
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        TableEncoder().fit(X).transform(X.to_numpy())
    with pytest.warns(UserWarning, match="X has feature names, but"):
        TableEncoder().fit(X.to_numpy()).transform(X)


COLUMNS = {
    "words": [
        lambda: pd.Series(["b", None, "a", "b"], dtype=object),
        lambda: pd.Series(["b", None, "a", "b"], dtype="string"),
        lambda: pd.Series(["b", None, "a", "b"], dtype=pd.ArrowDtype(pa.string())),
        lambda: pl.Series(["b", None, "a", "b"]),
        lambda: pl.Series(["b", None, "a", "b"], dtype=pl.Object),
        lambda: pa.array(["b", None, "a", "b"], pa.large_string()),
        lambda: pa.array(["b", None, "a", "b"], pa.string_view()),
        lambda: pa.DictionaryArray.from_arrays([2, 1, 0, 2], ["a", None, "b"]),
        lambda: pa.DictionaryArray.from_arrays(pa.array([2, None, 0, 1]), ["a", "b", "b"]),
    ],
    "numbers": [
        lambda: pd.Series([1.5, np.nan, 2.5, 8.0], dtype="f4"),
        lambda: pd.Series(pd.arrays.SparseArray([1.5, np.nan, 2.5, 8.0])),
        lambda: pl.Series([1.5, None, 2.5, 8.0], dtype=pl.Float32),
        lambda: pl.Series([1.5, float("nan"), 2.5, 8.0]),
        lambda: pl.Series([1.5, None, 2.5, 8.0]).cast(pl.Decimal(10, 2)),
        lambda: pa.array([1.5, None, 2.5, 8.0], pa.float16()),
        lambda: pa.array([1.5, None, 2.5, 8.0]).cast(pa.decimal128(10, 2)),
        lambda: pd.Series([Decimal("1.5"), None, Decimal("2.5"), Decimal(8)], dtype=object),
        lambda: pd.Series([np.float32(1.5), pd.NA, 2.5, 8], dtype=object),
    ],
    "days": [
        lambda: pd.Series(np.array(["2020-01-05", "NaT", "2021-02-01", "2020-03-09"], "M8[s]")),
        lambda: pl.Series(DAYS),
        lambda: pa.array(DAYS),
        lambda: pa.array(DAYS, pa.date64()),
        lambda: pa.array(DAYS).cast(pa.timestamp("ns")),
        lambda: pd.Series(DAYS, dtype=object),
    ],
    "nothing": [
        lambda: pd.Series([None] * 4, dtype=object),
        lambda: pd.Series([None] * 4, dtype="category"),
        lambda: pd.Series([None] * 4, dtype="string"),
        lambda: pd.Series([None] * 4, dtype="Int64"),
        lambda: pd.Series([pd.NaT] * 4),
        lambda: pl.Series([None] * 4, dtype=pl.String),
        lambda: pl.Series([None] * 4, dtype=pl.Categorical),
        lambda: pl.Series([None] * 4, dtype=pl.Date),
        lambda: pl.Series([None] * 4, dtype=pl.Boolean),
        lambda: pl.Series([None] * 4),
        lambda: pa.array([None] * 4),
        lambda: pa.array([None] * 4, pa.string()),
        lambda: pa.array([None] * 4, pa.bool_()),
        lambda: pa.array([None] * 4, pa.string()).dictionary_encode(),
    ],
}
DAYS = [datetime.date(2020, 1, 5), None, datetime.date(2021, 2, 1), datetime.date(2020, 3, 9)]


def frame_of(column, names=("c",)):
    """A frame of the column's library that holds it under each name."""
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
    return make[type(column).__module__.split(".")[0]](dict.fromkeys(names, column))


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_every_type_that_hold_the_same(name):
    tables = [frame_of(make()) for make in COLUMNS[name]]
    expected = TableEncoder(min_category_count=1).fit_transform(tables[0])
    for fitted in tables:
        encoder = TableEncoder(min_category_count=1).fit(fitted)
        for i, other in enumerate(tables):
            assert same(encoder.transform(other), expected), i


def test_a_column_of_missing_values_only_at_transform():
    values = {
        "word": ["a", "b", "a", "b"],
        "number": [1, 2, 3, 4.5],
        "day": [DAYS[i] for i in (0, 2, 3, 3)],
    }
    encoder = TableEncoder().fit(pd.DataFrame(values))
    for make in COLUMNS["nothing"]:
        column = make()
        samples = encoder.transform(frame_of(column, values))
        assert not samples.values.any() and samples.codes.tolist() == [[3]] * 4


class Model(ClassifierMixin, BaseEstimator):
    """The least that an estimator must do about its table."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags

    def fit(self, X, y):
        self.encoder_ = TableEncoder(dtype=np.float64)
        samples = self.encoder_.fit_transform(X, estimator=self)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_consistent_length(samples.values, y)
        assert_all_finite(y)
        self.model_ = LogisticRegression().fit(np.hstack(samples), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        check_is_fitted(self)
        return self.model_.predict(np.hstack(self.encoder_.transform(X, estimator=self)))


@pytest.mark.filterwarnings("ignore")
def test_an_estimator_that_uses_it_passes_scikit_learns_checks():
    results = check_estimator(Model(), on_fail=None)
    assert len(results) > 40
    assert not [r["check_name"] for r in results if r["status"] == "failed"]


def test_an_estimator_is_told_its_features_and_named_in_messages():
    array, model = np.arange(6.0).reshape(3, 2), Model()
    frame = pd.DataFrame(array, columns=["a", "b"])
    encoder = TableEncoder().fit(frame, estimator=model)
    assert model.n_features_in_ == 2 and list(model.feature_names_in_) == ["a", "b"]
    assert "estimator" not in vars(encoder) and encoder.n_features_in_ == 2
    with pytest.warns(UserWarning, match="but Model was fitted with feature names"):
        encoder.transform(array, estimator=model)
    encoder.fit(array, estimator=model)
    assert not hasattr(model, "feature_names_in_") and not hasattr(encoder, "feature_names_in_")
    encoder.transform(array, estimator=model)
    with pytest.raises(ValueError, match="X has 3 features, but Model is expecting 2"):
        encoder.transform(np.ones((2, 3)), estimator=model)


@pytest.mark.parametrize(
    "X, error, words",
    [
        (np.zeros(3), ValueError, "Expected 2D array, got 1D array instead"),
        (pd.Series([1.0, 2.0]), ValueError, "Expected 2D array, got 1D array instead|Series"),
        (np.zeros((2, 2, 2)), ValueError, "Found array with dim 3"),
        (np.zeros((0, 2)), ValueError, "Found array with 0 sample"),
        (np.zeros((3, 0)), ValueError, "0 feature"),
        (pd.DataFrame({"a": []}), ValueError, r"Found array with 0 sample\(s\)"),
        (pd.DataFrame(index=[0, 1]), ValueError, r"Found array with 0 feature\(s\)"),
        (sparse.csr_array(np.eye(3)), TypeError, "Sparse data was passed"),
        (np.eye(3) * 1j, ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": [1j, 2]}), ValueError, "Complex data not supported"),
        (np.array([[1j, "a"], [2, "b"]], object), ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": [b"x", b"y"]}), TypeError, "'a' holds values of type bytes"),
        (np.array([[b"x"], [b"y"]]), TypeError, "'x0' holds values of type"),
        (pl.DataFrame({"a": [b"x"]}), TypeError, "'a' holds values of type polars.Binary"),
        (pl.DataFrame({"a": [[1]]}), TypeError, "'a' holds values of type polars.List"),
        (pa.table({"a": [[1]]}), TypeError, "'a' holds values of type pyarrow.list"),
        (pd.DataFrame({"a": [[1], [2]]}), TypeError, "'a' holds values of type list"),
        (np.array([[{}, 1]], object), TypeError, "argument must be .* string.* number"),
        (np.zeros(2, "f8,f8").reshape(2, 1), TypeError, "'x0' holds values of type"),
        (pl.LazyFrame({"a": [1]}), TypeError, "collect"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_in_words(X, error, words):
    with pytest.raises(error, match=words):
        TableEncoder().fit(X)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", "i1", "u1", "i4", "i8", "u8", ">f8"])
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_every_type_and_order(dtype, order):
    X = np.asarray(RNG.integers(0, 50, (30, 3)), dtype, order=order)
    expected = TableEncoder().fit_transform(X.astype(np.float64, order="C"))
    encoder = TableEncoder()
    assert same(encoder.fit_transform(X), expected) and same(encoder.transform(X[::1]), expected)
    assert [i.kind for i in encoder.inputs_] == ["numeric"] * 3
    assert same(encoder.fit_transform(X.tolist()), expected)


def test_an_array_of_booleans_holds_categories():
    X = np.arange(12).reshape(6, 2) % 3 == 0
    encoder = TableEncoder().fit(X)
    assert [i.kind for i in encoder.inputs_] == ["one_hot"] * 2
    frame = pd.DataFrame(X)
    assert same(encoder.transform(X), TableEncoder().fit_transform(frame))


def test_an_array_of_strings_holds_categories():
    X = np.array([["a", "1"], ["b", "2"], ["a", "2"], ["b", "1"]])
    assert same(TableEncoder().fit_transform(X), TableEncoder().fit_transform(pd.DataFrame(X)))
    encoder = TableEncoder().fit(X)
    with pytest.raises(ValueError, match="'x1' held strings in fit, but now holds numbers"):
        encoder.transform(np.array([["a", 1], ["b", 2]], object))


CHANGES = [
    ([1, 2, 3, 4], [1.0, 2.0, 4.0, 3.0], None, None),
    ([1.0, 2.5, 3.0, 4.0], [True, False, True, True], None, None),
    ([1, 2, 3, 4], ["1", "2", "3", "4"], None, "held numbers in fit, but now holds strings"),
    ([1, 2, 3, 4], [1, 2, None, None], None, None),
    ([1, 2, 3, 4], [None] * 4, None, None),
    (["a", "b"] * 2, [1, 2, 3, 4], None, "held strings in fit, but now holds numbers"),
    (["a", "b"] * 2, [None] * 4, None, None),
    (["a", "b"] * 2, ["a", 3, "b", 4], None, "now holds strings and numbers"),
    (["a", 1] * 2, [1, 2, 3, 4], None, None),
    ([1, 2, 1, 2], [1.0, 2.0, 2.0, 1.0], ["c"], None),
    ([1, 2, 1, 2], ["1", "2"] * 2, ["c"], "held numbers in fit, but now holds strings"),
    ([True, False] * 2, [1, 0, 0, 1], None, None),
    ([True, False] * 2, ["yes", "no"] * 2, None, "held booleans in fit, but now holds strings"),
    (list(pd.date_range("2020", periods=4)), [1, 2, 3, 4], None, "held dates in fit"),
    ([1, 2, 3, 4], list(pd.date_range("2020", periods=4)), None, "now holds dates"),
    ([7, 7, 7, 7], ["any", "thing"] * 2, None, None),  # not read at all
]


@pytest.mark.parametrize("kind", ["pandas", "object"])
@pytest.mark.parametrize("before, after, listed, words", CHANGES)
def test_a_column_of_another_type_is_converted_or_refused(before, after, listed, words, kind):
    dtype = object if kind == "object" else None
    other = [0.5, 1.5, 1.0, 4.0]
    frames = [pd.DataFrame({"b": other, "c": pd.Series(c, dtype=dtype)}) for c in (before, after)]
    encoder = TableEncoder(categorical_features=listed or "from_dtype").fit(frames[0])
    if words is None:
        encoder.transform(frames[1])
    else:
        with pytest.raises(ValueError, match=f"Column 'c' .*{words}"):
            encoder.transform(frames[1])
