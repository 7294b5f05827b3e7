"""Dates and times: read from text in the ways people write them, and counted as elapsed time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope._errors import DataError, nearest
from downslope.tables._cells import MONTH_NUMBERS

if TYPE_CHECKING:
    import polars

_SECONDS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 31556952.0 / 12,
    "year": 31556952.0,  # the mean year of the calendar
    "millisecond": 1e-3,
    "microsecond": 1e-6,
}
_SHORT = {
    **{"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day", "wk": "week"},
    **{"a": "year", "yr": "year", "ms": "millisecond", "us": "microsecond", "µs": "microsecond"},
}
_EPOCH = np.datetime64(0, "us")


@dataclass(frozen=True)
class Clock:
    """The clock of a column of dates: its origin and its unit.

    Args:
        first: the instant that is 0, in UTC and ISO 8601.
        unit: "second", "minute", "hour", "day", "week", "month" or "year".
        is_time_of_day: whether the column holds times of day alone, which begin at `first`.
    """

    first: str
    unit: str = "day"
    is_time_of_day: bool = False

    def elapsed(self, instants: np.ndarray) -> np.ndarray:
        """Return the time since the first instant in the clock's unit, shape (rows,); NaN where it is missing."""
        passed = instants - np.datetime64(self.first, "us")
        seconds = np.where(np.isnat(passed), np.nan, passed.astype(np.int64) / 1e6)
        return seconds / _SECONDS[self.unit]

    def sentence(self, name: str) -> str:
        """Return the sentence on the clock of a column, for a note."""
        first = str(np.datetime64(self.first, "s")).replace("T", " ").removesuffix(" 00:00:00")
        since = first.split(" ")[-1] if self.is_time_of_day else first
        return f"{name} counts {self.unit}s since {since}"


def time_unit(text: str) -> str | None:
    """Return the unit of time that a text names; None for any other text.

    >>> time_unit("hours"), time_unit("min"), time_unit("m")
    ('hour', 'minute', None)
    """
    plain = text.strip()
    name = _SHORT.get(plain, plain.lower())
    name = name[:-1] if name.endswith("s") and name[:-1] in _SECONDS else name
    return name if name in _SECONDS else None


def checked_time_unit(name: str, text: str) -> str:
    """Return the unit of time that a text names.

    Raises:
        DataError: for any other text.
    """
    unit = time_unit(text)
    if unit is None:
        close = nearest(text, _SECONDS)
        raise DataError(
            f"{name} holds dates, so its unit is one of time, not {text!r}",
            hint=f"did you mean {close}?" if close else f"units of time are {', '.join(_SECONDS)}",
        )
    return unit


# Parts of a date, as numbers.


def calendar(part: str, instants: np.ndarray) -> np.ndarray:
    """Return a part of dates as numbers, shape (rows,); NaN where they are missing."""
    days = instants.astype("datetime64[D]")
    numbers = {
        "year": lambda: instants.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month": lambda: instants.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        "day": lambda: (days - instants.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1,
        "dayofyear": lambda: (days - instants.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": lambda: (days.astype(np.int64) + 3) % 7 + 1,  # 1970-01-01 was a Thursday; Monday is 1
        "hour": lambda: (instants - days).astype("timedelta64[h]").astype(np.int64),
        "minute": lambda: (instants - days).astype("timedelta64[m]").astype(np.int64) % 60,
        "second": lambda: (instants - days).astype("timedelta64[s]").astype(np.int64) % 60,
    }[part]()
    return np.where(np.isnat(instants), np.nan, numbers.astype(np.float64))


# Dates from text.

# "Fri Jan  5 06:30:00 UTC 2024", as C and Unix write it: the year after the time of day.
_YEAR_LAST = (
    r"^(?:[A-Za-z]{3},?\s+)?([A-Za-z]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
    r"(?:\s+(?:UTC|GMT|Z))?\s+(\d{4})$"
)
_BASIC = r"^((?:19|20)\d{2})(\d{2})(\d{2})[T ](\d{2}):?(\d{2}):?(\d{2})"  # 20240105T063000Z

_TIME_PART = (
    r"(?:[T,\s]\s*|^)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp])?\.?(?:[Mm]\.?)?\s*"
    r"(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?$"
)
_WEEKDAY = r"^(?:[A-Za-z]{3,9},?\s+)?"
_END = r"(?:[T,\s].*)?$"
_YEAR_FIRST = rf"^(\d{{4}})[-/.](\d{{1,2}})(?:[-/.](\d{{1,2}}))?{_END}"
_NUMERIC = rf"^(\d{{1,2}})([-/.])(\d{{1,2}})[-/.](\d{{4}}|\d{{2}}){_END}"
_DAY_MONTH = rf"{_WEEKDAY}(\d{{1,2}})\.?[-/\s]?([A-Za-zäé]{{3}})[A-Za-zé]*\.?[-/,\s]*(\d{{4}}|\d{{2}}){_END}"
_MONTH_DAY = rf"{_WEEKDAY}([A-Za-zäé]{{3}})[A-Za-zé]*\.?\s(\d{{1,2}}),?\s(\d{{4}}){_END}"
# 03/2024, March 2024: the first of the month. Not 3.2024 and 3,2024, which are numbers.
_MONTH_YEAR = r"^(?:(\d{1,2})[-/]|([A-Za-zäé]{3})[A-Za-zé]*\.?[-/,\s]\s*)(\d{4})$"
_FIRST_OF_CENTURY = 69  # 69 to 99 are of the 20th century, as POSIX reads two digits


class Dates(NamedTuple):
    """Dates that were read: instants in UTC, whether they are times of day alone, or why they cannot be told."""

    instants: np.ndarray
    is_time_of_day: bool = False
    fault: tuple[str, str | None] | None = None


def dates_in(cells: polars.Series, order: str | None = None) -> Dates | None:
    """Return the dates that a column of text holds; None unless every cell that is there is a date.

    Args:
        cells: stripped text, null where it is missing.
        order: "day first" or "month first", where the person says it; None to read it off the cells.
    """
    import polars

    cells = cells.str.replace(_YEAR_LAST, "$1 $2, $4 $3").str.replace(_BASIC, "$1-$2-${3}T$4:$5:$6")
    there = cells.drop_nulls()
    if there.is_empty() or not re.search(r"\d[-/.:\s]?.*\d", there[0]) or not _may_be_date(there[0]):
        return None
    frame = cells.to_frame("t").lazy()
    column = polars.col("t")
    clock = _seconds_of_day(column)
    year_first = column.str.extract_groups(_YEAR_FIRST)
    numeric = column.str.extract_groups(_NUMERIC)
    day_month = column.str.extract_groups(_DAY_MONTH)
    month_day = column.str.extract_groups(_MONTH_DAY)
    month_year = column.str.extract_groups(_MONTH_YEAR)
    parts = frame.select(
        y=year_first,
        n=numeric,
        d=day_month,
        m=month_day,
        w=month_year,
        clock=clock,
        has_time=column.str.contains(r"\d:\d{2}"),
    ).collect()
    numeric_parts = parts["n"].struct.unnest()
    months = parts["w"].struct.unnest()
    first, second = (numeric_parts[name].cast(polars.Int64, strict=False) for name in ("1", "3"))
    fault = None
    dotted = bool((numeric_parts["2"] == ".").any())
    day_first = dotted if order is None else order == "day first"
    if order is None and not dotted and first.drop_nulls().len():
        # A part above 12 shows which of the two is the day.
        highs = (int(first.max() or 0) > 12, int(second.max() or 0) > 12)  # pyright: ignore[reportArgumentType]
        day_first = highs[0]
        if highs[0] == highs[1]:
            sample = str(there[0])
            fault = (
                f"{sample!r} can be day/month/year or month/day/year"
                + (", and the column holds both" if highs[0] else ", and no cell shows which"),
                'say which: table={"dates": "day first"} or table={"dates": "month first"}',
            )
    month, day = (second, first) if day_first else (first, second)
    days = _coalesced(
        _days(parts["y"], "1", "2", "3"),
        _joined(_four_digits(numeric_parts["4"]), month.cast(polars.String), day.cast(polars.String)),
        _days(parts["d"], "3", "2", "1"),
        _days(parts["m"], "3", "1", "2"),
        _joined(
            _four_digits(months["3"]), _coalesced(months["1"], months["2"]), months["3"].replace_strict({}, default="1")
        ),
    )
    seconds = parts["clock"]
    only_time = days.null_count() == len(days)
    if only_time:
        if seconds.null_count() != cells.null_count():
            return None
        wrapped = _rolled_over(seconds.to_numpy())
        return Dates(_EPOCH + wrapped, is_time_of_day=True)
    if days.null_count() != cells.null_count() and fault is None:
        return None
    if (parts["has_time"] & seconds.is_null()).any():
        return None
    instants = days.to_numpy().astype("datetime64[us]")
    passed = np.where(seconds.is_null().to_numpy(), 0.0, seconds.fill_null(0.0).to_numpy())
    return Dates(instants + np.round(passed * 1e6).astype("timedelta64[us]"), fault=fault)


def _may_be_date(cell: str) -> bool:
    patterns = (_YEAR_FIRST, _NUMERIC, _DAY_MONTH, _MONTH_DAY, _MONTH_YEAR, _TIME_PART)
    return any(re.search(pattern, cell) for pattern in patterns)


def _seconds_of_day(column: polars.Expr) -> polars.Expr:
    """Return the seconds since midnight in UTC of a time of day within a text."""
    import polars

    parts = column.str.extract_groups(_TIME_PART)
    whole = [parts.struct.field(str(i)).cast(polars.Float64, strict=False) for i in (1, 2, 3)]
    fraction = ("0." + parts.struct.field("4")).cast(polars.Float64, strict=False).fill_null(0.0)
    half = parts.struct.field("5").str.to_lowercase()
    hour = polars.when(half.is_null()).then(whole[0]).otherwise(whole[0] % 12 + (half == "p").cast(polars.Float64) * 12)
    zone = parts.struct.field("6").str.extract_groups(r"^([+-])(\d{2}):?(\d{2})?$")
    sign = polars.when(zone.struct.field("1") == "-").then(-1.0).otherwise(1.0)
    ahead = zone.struct.field("2").cast(polars.Float64).fill_null(0.0) * 3600 + (
        zone.struct.field("3").cast(polars.Float64).fill_null(0.0) * 60
    )
    return hour * 3600 + whole[1] * 60 + whole[2].fill_null(0.0) + fraction - sign * ahead


def _days(parts: polars.Series, year: str, month: str, day: str) -> polars.Series:
    """Return the days that groups of a pattern stand for; a missing day is the first of the month."""
    groups = parts.struct.unnest()
    return _joined(_four_digits(groups[year]), groups[month], groups[day].fill_null("1"))


def _four_digits(years: polars.Series) -> polars.Series:
    import polars

    numbers = years.cast(polars.Int64, strict=False)
    century = numbers.set(numbers < 100, None)
    short = numbers.set(numbers >= 100, None)
    full = polars.select(
        polars.coalesce(century, polars.when(short < _FIRST_OF_CENTURY).then(short + 2000).otherwise(short + 1900))
    ).to_series()
    return full.cast(polars.String)


def _joined(years: polars.Series, months: polars.Series, days: polars.Series) -> polars.Series:
    """Return days of the calendar; null where there is no such day."""
    import polars

    named = months.str.to_lowercase().replace({name: str(number) for name, number in MONTH_NUMBERS.items()})
    return polars.select(
        polars.concat_str([years.str.zfill(4), named.str.zfill(2), days.str.zfill(2)], separator="-").str.to_date(
            "%Y-%m-%d", strict=False
        )
    ).to_series()


def _coalesced(*columns: polars.Series) -> polars.Series:
    import polars

    return polars.select(polars.coalesce(*columns)).to_series()


def _rolled_over(seconds: np.ndarray) -> np.ndarray:
    """Return times of day as time that passes: a fall by half a day or more is midnight."""
    known = ~np.isnan(seconds)
    falls = np.zeros(len(seconds))
    falls[known] = np.concatenate([[0.0], np.cumsum(np.diff(seconds[known]) < -43200.0)])
    passed = np.where(known, seconds + falls * 86400.0, 0.0)
    return np.where(known, np.round(passed * 1e6).astype("timedelta64[us]"), np.timedelta64("NaT"))
