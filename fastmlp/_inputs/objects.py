"""Columns of Python objects: what they hold, and in what types NumPy has for it."""

import datetime
import decimal
import itertools
import numbers

import numpy as np

from .column import Column, seconds

BOOLEANS = (bool, np.bool_)
NUMBERS = (numbers.Real, decimal.Decimal, np.number)
FLOATS = {float, type(None)}
DATES = (datetime.date, np.datetime64)
DURATIONS = (datetime.timedelta, np.timedelta64)
READABLE = "a string or a number, a boolean, a date, a timedelta, or missing"


def is_missing(value):
    """Whether a scalar is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return not isinstance(value, str) and bool(value != value)


def read_objects(values, label):
    """The Column of a one-dimensional array of objects; `label` names it in messages."""
    rows = values.tolist()
    if {float} <= set(map(type, rows)) <= FLOATS:  # many distinct values: no dictionary of them
        return Column("numbers", values.astype(np.float64))
    try:
        index = dict.fromkeys(rows)
    except TypeError:
        index = None
    if index is None:
        kind = next(type(v).__name__ for v in rows if not is_hashable(v))
        raise_unreadable(label, kind)
    distinct = list(index)
    index = {value: code for code, value in enumerate(distinct)}
    codes = np.fromiter(map(index.__getitem__, rows), np.intp, len(rows))
    return read_distinct(distinct, codes, label, rows=rows)


def read_distinct(distinct, codes, label, *, rows=(), is_category=False):
    """The Column of codes for distinct objects, some of which may be missing.

    `rows` are the objects of all rows, if their types may be more than those of the distinct ones.
    """
    missing = np.fromiter(map(is_missing, distinct), bool, len(distinct))
    if missing.any():
        kept = np.append(np.where(missing, -1, np.cumsum(~missing) - 1), -1)
        codes = kept[codes]  # a code of -1 stays -1
        distinct = [value for value, gone in zip(distinct, missing, strict=True) if not gone]
    types = set(map(type, distinct))
    if any(meaning_of(kind) in ("booleans", "numbers") for kind in types):
        # True == 1 == 1.0, so which of them a dictionary keeps depends on the order of rows
        types.update(map(type, itertools.compress(rows, (codes >= 0).tolist())))
    holds = holding(types, label)
    zone = None
    if holds == "dates":
        values, zone = dates_of(distinct, label)
    elif holds == "durations":
        values, holds = seconds(np.array(distinct, "m8[ns]")), "numbers"
    elif holds == "numbers":
        values = numbers_of(distinct)
    else:
        values = np.empty(len(distinct), bool if holds == "booleans" else object)
        values[:] = [plain(value) for value in distinct]
    return Column(holds, values, codes, None, is_category, zone)


def holding(types, label):
    """What values of these types hold: one of HOLDINGS, or "durations"."""
    meanings = {kind: meaning_of(kind) for kind in types}
    for kind, meaning in meanings.items():
        if meaning == "complex":
            raise ValueError(f"Complex data not supported\n{label} holds complex numbers")
        if meaning is None:
            raise_unreadable(label, kind.__name__)
    found = set(meanings.values())
    if not found:
        return "nothing"
    if len(found) == 1:
        return found.pop()
    if found == {"booleans", "numbers"}:
        return "numbers"
    if found <= {"strings", "numbers", "booleans"}:
        return "strings and numbers"
    raise ValueError(f"{label} holds {' and '.join(sorted(found))}: convert it to one of the two.")


def meaning_of(kind):
    """What a value of a type is, or None if nothing can be learned of it."""
    for meaning, classes in (
        ("strings", str),
        ("booleans", BOOLEANS),
        ("durations", DURATIONS),  # before numbers: timedelta64 is an integer to NumPy
        ("complex", (np.complexfloating, complex)),
        ("numbers", NUMBERS),
        ("dates", DATES),
    ):
        if issubclass(kind, classes):
            return meaning
    return None


def numbers_of(distinct):
    """Numbers in the type that NumPy gives them, or in float64."""
    values = np.array(distinct) if distinct else np.zeros(0)
    if values.dtype.kind in "iuf" and values.dtype.itemsize <= 8:
        return values
    try:
        return np.array([float(value) for value in distinct])
    except OverflowError:  # of an integer beyond float64
        return np.array([float(decimal.Decimal(value)) for value in distinct])


def dates_of(distinct, label):
    """Local time of dates in microseconds, and their time zone."""
    zones = {str(zone) if (zone := getattr(v, "tzinfo", None)) else None for v in distinct}
    if len(zones) > 1:
        names = " and ".join(sorted(zone or "none" for zone in zones))
        raise ValueError(f"{label} holds dates of several time zones ({names}): convert to one.")
    local = [v.replace(tzinfo=None) if zones != {None} else v for v in distinct]
    return np.array([np.datetime64(v).astype("M8[us]") for v in local]), zones.pop()


def plain(value):
    """A level as a plain Python object, so that pickles need no other library."""
    return str(value) if isinstance(value, str) else getattr(value, "item", lambda: value)()


def is_hashable(value):
    """Whether a value can be looked up; most containers cannot."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def raise_unreadable(label, kind):
    """Refuses values of a type that says nothing to a network."""
    raise TypeError(
        f"{label} holds values of type {kind}, but every argument must be {READABLE}. "
        "Convert the column, or leave it out."
    )
