"""Numbers, categories and dates: what becomes of their values."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.preprocessing import QuantileTransformer

from fastmlp._inputs.encoder import TableEncoder

pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(1)


def encode(X, after=None, **parameters):
    """Samples of a table (by default, that of fit) in float64, and the encoder."""
    encoder = TableEncoder(dtype=np.float64, **parameters)
    samples = encoder.fit_transform(X)
    return (samples if after is None else encoder.transform(after)), encoder


def frame(**columns):
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


def clip(z):
    return z / np.sqrt(1 + (z / 3) ** 2)


def robust(x, by=None):
    """The paper's scaling, written naively."""
    by = x if by is None else by
    q25, median, q75 = np.nanquantile(by, [0.25, 0.5, 0.75], method="inverted_cdf")
    width = np.nanmax(by) - np.nanmin(by)
    s = 1 / (q75 - q25) if q75 > q25 else 2 / width if width else 0
    return np.nan_to_num(clip(s * (x - median)))


# --- numbers


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_numbers_are_scaled_as_in_the_paper(dtype, rtol):
    X = np.column_stack([RNG.normal(5, 3, 2001), RNG.standard_cauchy(2001), RNG.poisson(0.1, 2001)])
    X = X.astype(np.float32)
    values = TableEncoder(dtype=dtype).fit_transform(X).values
    expected = np.column_stack([robust(c) for c in X.T.astype(np.float64)])
    assert values.dtype == dtype
    np.testing.assert_allclose(values, expected, rtol, atol=rtol)


@pytest.mark.parametrize("power", [-320, -310, -290, -170, 150, 200, 300, 307])
def test_the_size_of_numbers_does_not_matter(power):
    x = np.array([-9.0, -2.0, 0.5, 1.0, 3.0, 8.0]) * (10 if power == -320 else 1)
    with np.errstate(under="ignore"):
        big = np.array([float(f"{v}e{power}") for v in x])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (values, _), _ = encode(big[:, None])
    tolerance = 0.02 if power < -307 else 1e-12
    np.testing.assert_allclose(values[:, 0], robust(x), rtol=tolerance, atol=tolerance)


def test_differences_beyond_the_largest_number_are_finite():
    x = np.array([[-1.7e308], [0.0], [1.7e308], [1e300], [5.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (values, _), _ = encode(x)
        (outlier, _), _ = encode(np.array([[1e-310], [2e-310], [0.0], [1.0]]), [[1e300], [-1e300]])
    assert np.isfinite(values).all()
    assert (np.argsort(values[:, 0], kind="stable") == np.argsort(x[:, 0], kind="stable")).all()
    np.testing.assert_allclose(outlier[:, 0], [3, -3])


def test_a_missing_number_is_the_median_and_has_an_indicator():
    x = np.array([3.0, np.nan, 1.0, 8.0, 4.0, np.nan])
    (values, codes), encoder = encode(np.column_stack([x, np.arange(6.0)]))
    assert [i.kind for i in encoder.inputs_] == ["numeric", "plain", "numeric"]
    np.testing.assert_allclose(values[:, 0], robust(x))
    assert values[:, 1].tolist() == [0, 1, 0, 0, 0, 1] and values[1, 0] == 0
    assert codes.shape == (6, 0)


def test_a_number_missing_only_at_transform_is_the_median_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (values, _), encoder = encode(np.arange(10.0)[:, None], [[np.nan], [9.0]])
    assert [i.kind for i in encoder.inputs_] == ["numeric"]
    assert values[0, 0] == 0 and values[1, 0] == clip(1)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, float("nan")])
def test_everything_that_means_missing_is_missing(missing):
    X = frame(
        number=pd.Series([1.5, missing, 2.5, 4.0], dtype=object),
        word=pd.Series(["a", missing, "b", "c"], dtype=object),
        boolean=pd.Series([True, missing, False, True], dtype=object),
    )
    (values, codes), encoder = encode(X, min_category_count=1)
    assert values[1].tolist() == [0, 1]
    assert codes[:, 0].tolist() == [0, 4, 1, 2] and codes[:, 1].tolist() == [1, 3, 0, 1]
    assert [s.holds for s in encoder.columns_] == ["numbers", "strings", "booleans"]


def test_constant_and_empty_columns_are_left_out():
    X = frame(
        zero=[0.0] * 5,
        empty=[np.nan] * 5,
        useful=[1.0, 2, 3, 4, 5],
        same=["x"] * 5,
        half=[2.0, np.nan, 2.0, 2.0, np.nan],
        none=pd.Series([None] * 5, dtype=object),
        ids=list("abcde"),
        nat=pd.Series([pd.NaT] * 5, dtype="M8[ns]"),
        day=pd.Series([pd.Timestamp("2020-01-01")] * 5),
    )
    (values, codes), encoder = encode(X)
    assert [(i.kind, i.name) for i in encoder.inputs_] == [("numeric", "useful"), ("plain", "half")]
    assert values[:, 1].tolist() == [0, 1, 0, 0, 1] and codes.shape == (5, 0)
    X["zero"], X["same"] = np.inf, 3.0  # not read, so nothing is wrong with them
    encoder.transform(X)


@pytest.mark.parametrize("X", [np.ones((4, 2)), frame(a=["x"] * 4, b=[None] * 4), np.ones((1, 3))])
def test_a_table_of_constants_has_one_input_of_zeros(X):
    (values, codes), encoder = encode(X)
    assert [(i.kind, i.column, i.source) for i in encoder.inputs_] == [("plain", 0, 0)]
    assert values.tolist() == [[0.0]] * len(X) and codes.shape == (len(X), 0)
    assert encoder.transform(X).values.tolist() == values.tolist()


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("as_frame", [False, True])
def test_infinity_is_refused_and_the_column_named(bad, as_frame):
    X = RNG.normal(size=(50, 3))
    wrong = X.copy()
    wrong[40, 1] = bad
    if as_frame:
        X, wrong = (pd.DataFrame(a, columns=["u", "v", "w"]) for a in (X, wrong))
    name = "'v'" if as_frame else "'x1'"
    for run in (TableEncoder().fit, TableEncoder().fit(X).transform):
        with pytest.raises(ValueError, match=f"Column {name} .*infinity.*Replace .* by NaN"):
            run(wrong)


def test_quantile_scaling_is_scikit_learns():
    X = RNG.exponential(size=(3000, 2))
    X[5, 1] = np.nan
    (values, _), encoder = encode(X, scaling="quantile")
    for j, source in ((0, 0), (1, 1)):
        map_ = QuantileTransformer(n_quantiles=1000, output_distribution="normal", subsample=None)
        expected = map_.fit_transform(X[:, [j]])[:, 0]
        np.testing.assert_array_equal(values[:, source], np.nan_to_num(expected))
    assert values[5, 1:].tolist() == [0, 1]
    again = encoder.transform(X[7:8])
    assert again.values.tobytes() == values[7:8].tobytes()


def test_integers_beyond_float64_and_decimals():
    from decimal import Decimal

    X = np.array([[2**70, Decimal("1.5")], [1, Decimal("2.5")], [3, None]], object)
    (values, _), encoder = encode(X)
    assert [i.kind for i in encoder.inputs_] == ["numeric", "numeric", "plain"]
    assert np.isfinite(values).all()
    with pytest.raises(ValueError, match="infinity"):
        encode(np.array([[10**400], [1], [2]], object))


def test_durations_are_seconds():
    X = frame(a=pd.to_timedelta([0, 5, 1, 90], unit="s"), b=[0.0, 5, 1, 90])
    (values, _), _ = encode(X)
    assert (values[:, 0] == values[:, 1]).all()


# --- categories


def scaled(column, counts):
    """A column of a one-hot table, scaled by the values of all training rows."""
    column = np.array(column, float)
    return robust(column, np.repeat(column, counts))


def test_a_binary_column_is_one_column_of_signs():
    (_, codes), encoder = encode(frame(a=["n"] * 6 + ["y"] * 4), frame(a=["y", "n", "?", None]))
    assert encoder.inputs_[0].kind == "one_hot" and encoder.inputs_[0].n_levels == 4
    assert codes[:, 0].tolist() == [1, 0, 2, 3]
    expected = scaled([-1, 1, 0, 0], [6, 4, 0, 0])
    np.testing.assert_allclose(encoder.tables_[0], expected[:, None])


def test_a_binary_column_with_missing_values_has_a_column_for_them():
    _, encoder = encode(frame(a=["n"] * 4 + ["y"] * 3 + [None] * 2))
    counts = [4, 3, 0, 2]
    expected = [scaled([-1, 1, 0, 0], counts), scaled([0, 0, 0, 1], counts)]
    np.testing.assert_allclose(encoder.tables_[0], np.transpose(expected))


@pytest.mark.parametrize("missing, rare", [(0, 0), (3, 0), (0, 1), (3, 2)])
def test_a_one_hot_table_has_columns_for_what_occurred(missing, rare):
    words = ["a"] * 9 + ["b"] * 4 + ["c"] * 2 + [f"r{i}" for i in range(rare)] + [None] * missing
    counts = [9, 4, 2, rare, missing]
    (_, codes), encoder = encode(frame(a=words), frame(a=["c", "b", "a", "new", None]))
    assert codes[:, 0].tolist() == [2, 1, 0, 3, 4]
    units = [0, 1, 2] + [3] * (rare > 0) + [4] * (missing > 0)
    expected = np.transpose([scaled(np.eye(5)[u], counts) for u in units])
    np.testing.assert_allclose(encoder.tables_[0], expected)
    assert encoder.columns_[0].counts.tolist() == counts


def test_few_levels_are_one_hot_and_more_are_trained():
    def kind(n_levels, **parameters):
        X = frame(a=[f"w{i % n_levels}" for i in range(200)])
        return encode(X, **parameters)[1].inputs_[0].kind

    assert kind(8) == "one_hot" and kind(9) == "category"
    assert kind(3, max_one_hot=2) == "category" and kind(2, max_one_hot=0) == "category"


def test_codes_of_a_trained_table():
    words = [f"w{i:02d}" for i in range(20)] * 2 + ["once", "single"]
    (_, codes), encoder = encode(frame(a=words), frame(a=["w03", "once", "never", None]))
    assert encoder.inputs_[0].n_levels == 21  # no missing value occurred: it is unknown
    assert codes[:, 0].tolist() == [3, 20, 20, 20] and not encoder.tables_
    (_, codes), encoder = encode(frame(a=[*words, None]), frame(a=["w03", "once", "never", None]))
    assert encoder.inputs_[0].n_levels == 22
    assert codes[:, 0].tolist() == [3, 20, 20, 21]
    assert encoder.columns_[0].counts.tolist() == [2] * 20 + [2, 1]


@pytest.mark.parametrize("n_levels, dtype", [(250, "u1"), (255, "u1"), (256, "u2"), (300, "u2")])
def test_codes_are_of_the_smallest_type(n_levels, dtype):
    X = frame(a=[f"w{i}" for i in range(n_levels)] * 2, b=["x", "y"] * n_levels)
    assert encode(X)[0].codes.dtype == dtype


def test_codes_of_more_than_65536_levels():
    (_, codes), encoder = encode(frame(a=[f"w{i}" for i in range(66000)] * 2))
    assert codes.dtype == np.int32 and encoder.inputs_[0].n_levels == 66001
    assert len(np.unique(codes)) == 66000


def test_rare_levels_share_one_and_the_threshold_counts():
    words = ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d"]
    for least, n_levels in ((1, 4), (2, 3), (3, 2), (4, 1)):
        (_, codes), encoder = encode(frame(a=words), min_category_count=least)
        assert len(encoder.columns_[0].levels) == n_levels
        assert codes.max() == min(n_levels, 3)


def test_mixed_objects():
    column = pd.Series([1, "a", None, True, "b", 2.0, "a", "b", 2], dtype=object)
    (_, codes), encoder = encode(frame(c=column))
    assert encoder.columns_[0].holds == "strings and numbers"
    assert encoder.columns_[0].levels == (1, 2, "a", "b")
    assert codes[:, 0].tolist() == [0, 2, 5, 0, 3, 1, 2, 3, 1]


def test_booleans_and_numbers_do_not_depend_on_the_order_of_rows():
    for rows in ([True, False, 1, 0], [1, 0, True, False], [False, 0, 1, True]):
        _, encoder = encode(frame(a=pd.Series(rows, dtype=object)))
        assert encoder.columns_[0].holds == "numbers"


@pytest.mark.parametrize("dtype", ["i8", "i1", "f4", "f8", "u2", "Int64", object, "category"])
def test_numbers_as_categories(dtype):
    rows = [3, 120, 3, 7, 120, 7, -0, 0] if dtype != "i1" else [3, 120, 3, 7, 120, 7, 0, 0]
    X = frame(a=pd.Series(rows).astype(dtype), b=np.arange(8.0))
    (_, codes), encoder = encode(X, categorical_features=["a"])
    assert encoder.columns_[0].levels == (0, 3, 7, 120)
    assert codes[:, 0].tolist() == [1, 3, 1, 2, 3, 2, 0, 0]
    after = frame(a=[7.0, 3.5, np.nan, 120.0], b=np.zeros(4))
    assert encoder.transform(after).codes[:, 0].tolist() == [2, 4, 5, 3]


def test_integers_of_a_wide_range_as_categories():
    rows = [2**62, -(2**62), 2**62 + 1, 5] * 2
    (_, codes), encoder = encode(frame(a=rows), categorical_features=[0])
    assert encoder.columns_[0].levels == (-(2**62), 5, 2**62, 2**62 + 1)
    assert codes[:, 0].tolist() == [2, 0, 3, 1] * 2


def test_intervals_and_dates_as_categories():
    numbers = np.arange(20.0)
    X = frame(
        a=pd.cut(numbers, 4),
        d=pd.Categorical(pd.to_datetime(["2020-01-01"] * 8 + ["2021-05-05"] * 12)),
    )
    (_, codes), encoder = encode(X)
    assert codes[:, 1].tolist() == [0] * 8 + [1] * 12 and len(set(codes[:, 0])) == 4
    assert b"pandas" not in pickle.dumps(encoder)


CASES = [
    ("from_dtype", [True, False, True]),
    (["word"], [True, False, False]),
    (["word", "number"], [True, True, False]),
    ([0, 1], [True, True, False]),
    (np.array([True, False, True]), [True, False, True]),
    ([True, True, True], [True, True, True]),
]


@pytest.mark.parametrize("given, expected", CASES, ids=str)
def test_which_columns_are_categories(given, expected):
    X = frame(word=["a", "b"] * 4, number=[1, 2, 3, 4] * 2, boolean=[True, False] * 4)
    encoder = TableEncoder(categorical_features=given).fit(X)
    assert encoder.is_categorical_.tolist() == expected
    kinds = {i.name: i.kind for i in encoder.inputs_}
    assert [kinds[n] == "one_hot" for n in ("word", "number", "boolean")] == expected


@pytest.mark.parametrize("given", [None, [], ["b"], [1], [False, True]])
def test_strings_that_are_not_listed_are_refused(given):
    X = frame(a=["x", "y"], b=[1, 2])
    with pytest.raises(ValueError, match="Column 'a' holds strings, but categorical_features"):
        TableEncoder(categorical_features=given).fit(X)
    X["a"] = [True, False]
    assert not TableEncoder(categorical_features=given).fit(X).is_categorical_[0]


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"categorical_features": ["c"]}, "'c' which is not a valid feature name"),
        ({"categorical_features": [2]}, r"integer indices should be in \[0, 1\]"),
        ({"categorical_features": [-1]}, r"integer indices should be in \[0, 1\]"),
        ({"categorical_features": [True]}, r"should have shape \(2,\)"),
        ({"categorical_features": 3.5}, "must be 'from_dtype', None, or a list"),
        ({"categorical_features": "a"}, "must be 'from_dtype', None, or a list"),
        ({"scaling": "log"}, "scaling must be one of"),
        ({"max_one_hot": -1}, "max_one_hot must be an integer of at least 0"),
        ({"min_category_count": 0}, "min_category_count must be an integer of at least 1"),
        ({"dtype": np.int32}, "dtype must be float32 or float64"),
    ],
)
def test_parameters_are_checked(parameters, words):
    with pytest.raises(ValueError, match=words):
        TableEncoder(**parameters).fit(frame(a=[1.0, 2.0], b=[2.0, 1.0]))


def test_names_of_categories_need_named_columns():
    with pytest.raises(ValueError, match="X has no names of columns"):
        TableEncoder(categorical_features=["x0"]).fit(np.eye(3))


def test_columns_of_an_array_may_be_categories():
    X = np.column_stack([np.arange(40) % 4, np.arange(40) / 7]).astype(np.float32)
    (values, codes), encoder = encode(X, categorical_features=[0])
    assert [i.kind for i in encoder.inputs_] == ["one_hot", "numeric"]
    assert codes[:, 0].tolist() == [0, 1, 2, 3] * 10
    np.testing.assert_allclose(values[:, 0], robust(X[:, 1].astype(np.float64)))


# --- dates


def test_dates_become_a_calendar():
    days = pd.to_datetime(
        ["2019-12-31T06:30", "2020-02-29T00:00", "2021-03-01T18:00", "2020-02-01T00:00"]
    )
    (values, _), encoder = encode(frame(d=days))
    assert encoder.columns_[0].kept == ("year", "month", "day", "weekday", "hour", "elapsed")
    raw = [
        days.year,
        days.month,
        days.day,
        days.day_of_week,
        days.hour + days.minute / 60,
        (days - pd.Timestamp("2019-12-31")) / pd.Timedelta(days=1),
    ]
    for j, part in enumerate(raw):
        np.testing.assert_allclose(values[:, j], robust(part.to_numpy().astype(float)), atol=1e-12)


def test_parts_of_dates_that_are_constant_are_left_out():
    days = pd.Series(pd.date_range("2020-03-02", periods=20))
    days[3] = pd.NaT
    (values, _), encoder = encode(frame(d=days))
    assert encoder.columns_[0].kept == ("day", "weekday", "elapsed")
    assert [i.kind for i in encoder.inputs_] == ["numeric"] * 3 + ["plain"]
    assert values[3].tolist() == [0, 0, 0, 1]


def test_dates_before_1970_and_of_every_unit():
    days = np.array(["1969-12-31", "1800-02-28", "1970-01-01", "2300-07-04"], "M8[D]")
    first, encoder = encode(days[:, None])
    assert encoder.columns_[0].first == np.datetime64("1800-02-28")
    for unit in ("h", "s", "ms", "us"):
        assert (
            encode(days.astype(f"M8[{unit}]")[:, None])[0].values.tobytes()
            == first.values.tobytes()
        )
    assert encode(days.astype(object)[:, None])[0].values.tobytes() == first.values.tobytes()


def test_time_zones_are_local_times_and_must_be_those_of_fit():
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    naive = pd.Series(pd.date_range("2020-01-01 10:00", periods=40, freq="31h"))
    local = naive.dt.tz_localize("Europe/Berlin")
    expected, encoder = encode(frame(d=local))
    assert expected.values.tobytes() == encode(frame(d=naive))[0].values.tobytes()
    objects = frame(d=pd.Series(local.tolist(), dtype=object))
    for other in (
        pl.DataFrame({"d": local.tolist()}).with_columns(
            pl.col("d").dt.convert_time_zone("Europe/Berlin")
        ),
        pa.table({"d": local}),
        objects,
    ):
        assert encoder.transform(other).values.tobytes() == expected.values.tobytes()
    for other in (naive, local.dt.tz_convert("UTC")):
        with pytest.raises(ValueError, match="'d' held dates of time zone Europe/Berlin in fit"):
            encoder.transform(frame(d=other))


def test_dates_and_others_in_one_column_are_refused():
    column = pd.Series([pd.Timestamp("2020"), "x"], dtype=object)
    with pytest.raises(ValueError, match="Column 'a' holds dates and strings"):
        TableEncoder().fit(frame(a=column))


def test_periods_are_dates():
    periods = pd.period_range("2020-01", periods=30, freq="M")
    expected = encode(frame(a=periods.to_timestamp()))[0]
    assert encode(frame(a=periods))[0].values.tobytes() == expected.values.tobytes()


@pytest.mark.parametrize("n_samples", [1, 63, 4096, 40000])
def test_blocks_of_rows_change_no_bits(n_samples):
    X = RNG.normal(size=(40000, 3))
    X[::7, 1] = np.nan
    encoder = TableEncoder().fit(X)
    whole, part = encoder.transform(X).values, encoder.transform(X[:n_samples]).values
    assert part.tobytes() == whole[:n_samples].tobytes()
    turned = encoder.transform(np.asfortranarray(X)).values
    assert turned.tobytes() == whole.tobytes()


def test_no_wide_copy_of_a_table_is_made():
    import tracemalloc

    X = RNG.normal(size=(50000, 40)).astype(np.float32)
    encoder = TableEncoder().fit(X)
    for run, limit in ((encoder.fit, 0.4), (encoder.transform, 1.4)):
        tracemalloc.start()
        run(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < limit * X.nbytes, (peak, X.nbytes)
