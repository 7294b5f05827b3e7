"""Tables in memory: frames, arrays, rows and iterators with the types that people keep in them."""

from __future__ import annotations

import csv
import dataclasses
import datetime
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import downslope as ds

X, Y = [0.0, 1.0, 2.5, 4.0], [1.0, 2.0, 3.5, 5.5]
Pair = namedtuple("Pair", "x y")  # as people write it


@dataclasses.dataclass
class Reading:
    """A row, as programs hold it."""

    x: float
    y: float


def _two_levels() -> pandas.DataFrame:
    index = pandas.MultiIndex.from_arrays([["a", "a", "b", "b"], X], names=["group", "x"])
    return pandas.DataFrame({"y": Y}, index=index)


@pytest.mark.parametrize(
    "source",
    [
        _two_levels,
        lambda: pandas.DataFrame(np.c_[X, Y, Y, Y], columns=["x", "y", "z", "z"]),
        lambda: [Pair(*row) for row in zip(X, Y, strict=True)],
        lambda: [Reading(*row) for row in zip(X, Y, strict=True)],
        lambda: ({"x": x, "y": y} for x, y in zip(X, Y, strict=True)),
        lambda: csv.DictReader(["x,y", *(f"{x},{y}" for x, y in zip(X, Y, strict=True))]),
        lambda: csv.reader(["x,y", *(f"{x},{y}" for x, y in zip(X, Y, strict=True))]),
        lambda: {"x": np.array(X)[:, None], "y": np.array(Y)[:, None]},
        lambda: np.array(
            [(x, y, (1, 2)) for x, y in zip(X, Y, strict=True)], [("x", "f8"), ("y", "f8"), ("v", "f4", (2,))]
        ),
    ],
)
def test_every_source_has_its_columns(source: Callable[[], Any]) -> None:
    table = ds.read_table(source())
    assert table["x"].tolist() == X
    assert table["y"].tolist() == Y
    assert ds.fit("y = a + b x", source())["b"] == pytest.approx(np.polyfit(X, Y, 1)[0])


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "source",
    [
        lambda: zip(X, Y, strict=True),
        lambda: (np.array(X), np.array(Y)),
        lambda: np.asmatrix(np.c_[X, Y]),  # pyright: ignore[reportDeprecated]
    ],
)
def test_sources_without_names(source: Callable[[], Any]) -> None:
    table = ds.read_table(source())
    assert (table["column_1"].tolist(), table["column_2"].tolist()) == (X, Y)


@pytest.mark.parametrize(
    "spans",
    [
        lambda: [datetime.timedelta(minutes=minute) for minute in (0, 5, 10)] + [None],
        lambda: np.array([0, 5, 10, "NaT"], "m8[m]"),
        lambda: pandas.to_timedelta([0, 300, 600, None], unit="s").to_series(),
        lambda: polars.Series([datetime.timedelta(minutes=minute) for minute in (0, 5, 10)] + [None]),
    ],
)
def test_spans_of_time_are_seconds(spans: Callable[[], Any]) -> None:
    table = ds.read_table({"t": spans(), "y": Y})
    np.testing.assert_array_equal(table["t"], [0, 300, 600, np.nan])
    assert table.units == {"t": "s"}
    assert table.notes_on(["t"]) == ("t counts seconds",)


def test_periods_are_their_first_days() -> None:
    months = pandas.period_range("2024-01", "2024-04", freq="M")
    assert ds.read_table(pandas.DataFrame({"month": months, "y": Y}))["month"].tolist() == [0, 31, 60, 91]
    assert ds.read_table(pandas.DataFrame({"y": Y}, index=months.rename("month")))["month"].tolist() == [0, 31, 60, 91]


def test_levels_of_names_are_joined() -> None:
    frame = pandas.DataFrame({("A", "x"): X, ("A", "y"): Y, ("B", ""): Y})
    assert list(ds.read_table(frame)) == ["A x", "A y", "B"]


def test_columns_that_cannot_be_used_are_refused_where_they_are() -> None:
    frame = pandas.DataFrame(np.c_[X, Y, Y], columns=["x", "y", "y"])
    with pytest.raises(ds.DataError, match="2 columns have the name 'y': columns 2 and 3"):
        ds.fit("y = a + b x", frame)
    with pytest.raises(ds.DataError, match=r"column 'y' must be one number per row, not an array of shape \(4, 2\)"):
        ds.fit("y = a + b x", {"x": X, "y": np.c_[Y, Y]})
    with pytest.raises(ds.DataError, match="one number per row"):
        ds.read_table({"y": np.c_[Y, Y]})


class ArrowTable:
    """A table of Arrow that Polars refuses as a whole: two of its columns have one name."""

    column_names = ("x", "y", "z", "z")
    num_rows = len(X)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise ValueError("column appears more than once")

    def column(self, number: int) -> polars.Series:
        return polars.Series((X, Y, Y, Y)[number])


def test_tables_of_arrow_are_read_column_by_column_where_they_must() -> None:
    table = ds.read_table(ArrowTable())
    assert (table["x"].tolist(), table["y"].tolist()) == (X, Y)
    with pytest.raises(ds.DataError, match="2 columns have the name 'z': columns 3 and 4"):
        table["z"]
