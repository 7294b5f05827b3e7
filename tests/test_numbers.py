"""Numbers lose nothing on their way in: an imaginary part, a mask, a size or a unit is an error that says where."""

from __future__ import annotations

import datetime
import fractions
import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest

import downslope as ds

GOOD = [1.0, 2.0, 3.0, 4.0]
RISING = [1.0, 2.0, 3.0, 4.5]
PAIRS = np.array([[1.0, 5.0], [2.0, 4.0], [3.0, 7.0], [4.0, 1.0]])

COLUMNS = {
    "list": [1, 2, 3j, 4],
    "complex128": np.array([1, 2, 3j, 4]),
    "complex64": np.array([1, 2, 3j, 4], np.complex64),
    "numpy scalars": [1.0, 2.0, np.complex128(3j), 4.0],
    "objects": np.array([1, 2, 3j, 4], object),
    "objects of numpy": np.array([1, 2, np.complex64(3j), 4], object),
    "pandas": pandas.Series([1, 2, 3j, 4]),
    "polars": polars.Series("x", [1, 2, 3j, 4], dtype=polars.Object),
    "jax": jnp.array([1, 2, 3j, 4]),
    "masked": np.ma.masked_array([9j, 2, 3j, 4], [True, False, False, False]),
    "arrays": [np.array(1.0), np.array(2.0), np.array(3j), np.array(4.0)],
}

DOORS: dict[str, Callable[[Any], object]] = {
    "fit": lambda column: ds.fit("y = a×x + b", {"x": column, "y": RISING}),
    "fit of a frame": lambda column: ds.fit("y = a×x + b", pandas.DataFrame({"x": list(column), "y": RISING})),
    "sigma": lambda column: ds.fit("y = a×x + b", {"x": GOOD, "y": RISING}, sigma=column),
    "weights": lambda column: ds.fit("y = a×x + b", {"x": GOOD, "y": RISING}, weights=column),
    "objective": lambda column: ds.objective("L(w) = mean((y - w×x)²)", {"x": column, "y": GOOD}),
    "examples": lambda column: ds.examples({"x": column, "y": RISING}, "y", task="numbers"),
    "target": lambda column: ds.examples({"x": GOOD, "y": column}, "y", task="numbers"),
    "targets": lambda column: ds.examples((PAIRS, column), task="numbers"),
    "inputs": lambda column: ds.examples((column, GOOD), task="numbers"),
}


@pytest.fixture(autouse=True)
def _no_warning() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("door", DOORS)
def test_a_complex_column_is_refused_with_its_first_row(door: str) -> None:
    for kind, column in COLUMNS.items():
        if kind == "masked" and door == "fit of a frame":
            continue  # a list of it has lost its mask already
        with pytest.raises(ds.DataError, match=r"row 3, column .*3j is complex") as refused:
            DOORS[door](column)
        assert "real part" in str(refused.value), kind


def test_durations_are_seconds() -> None:
    for column in (
        np.array([1000, 2000, 3000], "m8[ms]"),
        [datetime.timedelta(seconds=second) for second in (1, 2, 3)],
    ):
        np.testing.assert_array_equal(ds.read_table({"t": column})["t"], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("door", DOORS)
def test_a_masked_number_is_missing(door: str) -> None:
    """Whatever stands under the mask, the result is that of a cell that is missing."""
    plain = [1.0, 2.0, float("nan"), 4.0]
    masked = [
        np.ma.masked_array([1.0, 2.0, 1e6, 4.0], [False, False, True, False]),
        np.ma.masked_array([1, 2, 10**6, 4], [False, False, True, False]),
        [1.0, 2.0, np.ma.masked, 4.0],
    ]
    for column in masked:
        if door == "fit of a frame":
            continue
        results = []
        for values in (plain, column):
            try:
                results.append(str(DOORS[door](values)))
            except ds.DataError as error:
                results.append(str(error))
        assert results[0] == results[1]


def test_rows_of_masked_arrays_keep_their_masks() -> None:
    rows = [np.ma.masked_array([1.0, 5.0], [False, False]), np.ma.masked_array([2.0, 1e6], [False, True])]
    with pytest.raises(ds.DataError, match="row 2"):
        ds.examples((rows, [1.0, 2.5]), task="numbers")


@pytest.mark.parametrize("door", DOORS)
def test_what_is_beyond_a_float_or_no_number_is_an_error(door: str) -> None:
    others: list[Any] = [
        [1, 2, 10**400, 4],
        [1, 2, fractions.Fraction(10**400), 4],
        [1.0, [2.0], 3.0, 4.0],
    ]
    if door not in ("targets", "inputs"):  # records are a table, but no column
        others.append(np.array([(1.0,)] * 4, [("a", float)]))
    if door in ("sigma", "weights"):  # columns of tables may be durations, in seconds, and dates
        others += [np.array([1, 2, 3, 4], "m8[s]"), [datetime.timedelta(1)] * 4]
        others += [np.array(["2020-01-01"] * 4, "M8[D]"), [datetime.date(2020, 1, 1)] * 4]
    for column in others:
        with pytest.raises(ds.DataError):
            DOORS[door](column)


TABLE = {"x": GOOD, "y": RISING}
SINGLE: dict[str, Callable[[Any], object]] = {
    "start": lambda number: ds.plan("x²", {"x": number}, learning_rate=0.1),
    "start of a function": lambda number: ds.plan(lambda p: p["x"].sum() ** 2, {"x": number}, learning_rate=0.1),
    "bare start": lambda number: ds.plan("x²", number, learning_rate=0.1),
    "point": lambda number: ds.objective("x²")({"x": number}),
    "learning rate": lambda number: ds.plan("x²", 1.0, learning_rate=number),
    "steps": lambda number: ds.plan("x²", 1.0, learning_rate=0.1, steps=number),
    "tolerance": lambda number: ds.plan("x²", 1.0, learning_rate=0.1, tolerance=number),
    "momentum": lambda number: ds.plan("x²", 1.0, learning_rate=0.1, method="momentum", momentum=number),
    "start of a fit": lambda number: ds.fit("y = a×x + b", TABLE, start={"a": number, "b": 1.0}),
    "fixed": lambda number: ds.fit("y = a×x + b", TABLE, fixed={"a": number}),
    "bounds": lambda number: ds.fit("y = a×x + b", TABLE, bounds={"a": (number, 100.0)}),
    "sigma": lambda number: ds.fit("y = a×x + b", TABLE, sigma=number),
    "box": lambda number: ds.critical_points("x²", bounds={"x": (number, 9.0)}),
    "ranges": lambda number: ds.multistart("x²", bounds={"x": (number, 9.0)}, starts=2),
    "picture": lambda number: ds.draw.grid("x² + y²", bounds={"x": (number, 9.0), "y": (0.0, 1.0)}),
    "rates": lambda number: ds.sweep("x²", 1.0, learning_rates=[number, 0.1], steps=2),
}


@pytest.mark.parametrize("door", SINGLE)
def test_a_single_number_is_real_and_no_date(door: str) -> None:
    numbers = [1 + 2j, np.complex128(1 + 2j), np.array(1 + 2j), np.ma.masked, 10**400]
    numbers += [np.datetime64("2020-01-01"), np.timedelta64(5, "s"), datetime.date(2020, 1, 1)]
    for number in numbers:
        with pytest.raises(ds.DownslopeError):
            SINGLE[door](number)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ds.DataError):
        ds.read_table({1: GOOD, "1": RISING})
    frame = pandas.DataFrame([[1.0, 2.0, 3.0]] * 4, columns=["x", "x", "y"])
    table = ds.read_table(frame)
    np.testing.assert_array_equal(table["y"], [3.0] * 4)
    with pytest.raises(ds.DataError, match="2 columns have the name 'x'"):
        ds.fit("y = a×x", table)
    with pytest.raises(ds.DataError, match="two columns have the name '1': 1 and '1'"):
        ds.write_table({1: GOOD, "1": RISING}, "never.csv")
