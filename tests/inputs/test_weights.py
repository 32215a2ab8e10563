"""Sample weights in the encoder: a weight of two is a row twice, of zero no row."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fastmlp._inputs.encoder import TableEncoder


def table(n=60):
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "number": rng.lognormal(size=n),
            "missing": np.where(rng.rand(n) < 0.3, np.nan, rng.normal(size=n)),
            "level": rng.choice(list("abc"), n),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.randint(0, 900, n), unit="D"),
        }
    )


def test_weights_are_repetitions():
    rows, weights = table(), np.random.RandomState(1).randint(0, 4, 60).astype(np.float64)
    repeated = rows.loc[np.repeat(rows.index, weights.astype(int))]
    one = TableEncoder(min_category_count=1).fit(rows, sample_weight=weights)
    other = TableEncoder(min_category_count=1).fit(repeated)
    for a, b in zip(one.columns_, other.columns_, strict=True):
        assert getattr(a, "scales", None) == getattr(b, "scales", None)
        assert getattr(a, "levels", None) == getattr(b, "levels", None)
    found, expected = one.transform(rows), other.transform(rows)
    np.testing.assert_array_equal(found.values, expected.values)


def test_rows_without_weight_teach_nothing():
    rows, weights = table(), np.ones(60)
    rows.loc[:9, "number"], rows.loc[:9, "level"] = 1e9, "unknown"
    weights[:10] = 0
    one = TableEncoder().fit(rows, sample_weight=weights)
    other = TableEncoder().fit(rows[10:])
    for found, expected in zip(one.transform(rows), other.transform(rows), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["arrays", "frames"])
def test_weights_of_another_length_are_refused(kind):
    X = np.zeros((5, 1)) if kind == "arrays" else pd.DataFrame({"x": range(5)})
    with pytest.raises(ValueError, match="sample_weight has 4 weights, but X has 5 samples"):
        TableEncoder().fit(X, sample_weight=np.ones(4))


def test_strings_that_all_differ_are_told():
    """Dates and numbers that were read as strings, names, identifiers."""
    days = pd.date_range("2024-01-01", periods=50).strftime("%Y-%m-%d")
    with pytest.warns(UserWarning, match=r"column 'day' holds another string.*to_datetime"):
        TableEncoder().fit(pd.DataFrame({"day": days, "x": range(50)}))
    some = days.where(np.arange(50) % 3 == 0, "2024-01-01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TableEncoder().fit(pd.DataFrame({"day": some, "x": range(50)}))
        TableEncoder().fit(pd.DataFrame({"day": days, "x": range(50)})[:8])
