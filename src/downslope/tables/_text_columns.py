"""From columns of text to typed columns: numbers in users' notations, truth values, dates, missing cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope.tables._cells import BLANKS, CODES, CURRENCIES, MISSING, MISSING_RUN, PLUS_MINUS
from downslope.tables._clock import Clock, dates_in
from downslope.tables._numbers_in_text import (
    SPREAD,
    WITH_UNIT,
    CellRules,
    Decimal,
    column_in_notation,
    column_of_numbers,
    number_column,
    with_nan,
    without_unit,
)
from downslope.tables._table import TableColumn, unit_of

if TYPE_CHECKING:
    import polars


class Typed(NamedTuple):
    """Typed columns, the sign of their decimals, and sentences on the notation."""

    columns: tuple[TableColumn, ...]
    decimal: Decimal
    thousands: str | None
    notes: tuple[str, ...]


def typed_columns(series: Sequence[polars.Series], rules: CellRules, separator: str = "") -> Typed:
    """Return columns of text as typed columns; the sign of decimals is decided for all of them together.

    Args:
        series: of text, or of numbers, with their names.
        rules: what the person says about the cells.
        separator: the name of what stands between the columns; "" where nothing does.
    """
    import polars

    stripped = [_stripped(cells, rules) if cells.dtype == polars.String else cells for cells in series]
    evidence = [_evidence(cells) for cells in stripped]
    decimal = rules.decimal or _decimal(evidence, separator)
    columns, grouped, commas = [], [], False
    for number, (cells, seen) in enumerate(zip(stripped, evidence, strict=True), start=1):
        own = _own_decimal(seen, decimal) if rules.decimal is None else decimal
        column, group = _typed(cells, own, rules)
        grouped.append(group)
        commas |= own == "comma" and seen.commas and group != ","
        columns.append(named(column, cells.name, number))
    notes = ["decimal comma"] if commas else []
    thousands = next((group for group in grouped if group is not None), None)
    if thousands is not None:
        notes.append(f"thousands separated by {_called(thousands)}")
    return Typed(tuple(columns), "comma" if commas else decimal, thousands, tuple(notes))


def named(column: TableColumn, name: str, number: int, unit: str = "") -> TableColumn:
    """Return a column with its name, its number and its unit, and the name in its notes."""
    notes = [note.replace("{name}", name) for note in column.notes]
    if column.clock is not None and column.fault is None:
        notes.append(column.clock.sentence(name))
    fault = None if column.fault is None else (f"column {name}, {column.fault[0]}", column.fault[1])
    return replace(
        column,
        name=name,
        number=number,
        unit=unit or unit_of(name) or column.unit,
        notes=tuple(dict.fromkeys(notes)),
        fault=fault,
    )


def _called(group: str) -> str:
    return {",": "commas", ".": "points", " ": "blanks"}.get(group, "apostrophes")


def _stripped(cells: polars.Series, rules: CellRules) -> polars.Series:
    """Return text without blanks around it, null where it is missing."""
    import polars

    text = cells.str.strip_chars()
    if cells.head(1).str.contains('^="').any():  # as spreadsheets keep text that looks like a number
        text = text.str.replace(r'^="(.*)"$', "$1")
    lower = text.str.to_lowercase()
    missing = lower.is_in([*MISSING, *(word.strip().lower() for word in rules.missing)]) | lower.str.contains(
        MISSING_RUN
    )
    return polars.select(polars.when(missing).then(None).otherwise(text)).to_series().alias(cells.name)


class _Evidence(NamedTuple):
    """What the cells of a column show about commas and points; whether each has a comma, and any."""

    commas: bool = False
    each_comma: bool = False
    decimal_comma: bool = False
    decimal_point: bool = False


_SIGNED = rf"^[<>≤≥]?\s*[-+−]?\s*[{CURRENCIES}]?\s*[-+−]?"
_TAIL = rf"(?:[eEdD][-+]?\d+)?\s*[%‰{CURRENCIES}]?(?:{CODES})?$"
_GROUP = rf"[{BLANKS}'’]"


def _evidence(cells: polars.Series) -> _Evidence:
    """Return what the cells of a column show: a comma that cannot separate thousands is decimal, a point likewise."""
    import polars

    if cells.dtype != polars.String or not cells.str.contains("[,.]").any():
        return _Evidence()

    first = cells.drop_nulls().head(1)
    if first.str.contains(PLUS_MINUS).any():
        cells = cells.str.replace(SPREAD, "")
    if first.str.contains(WITH_UNIT).any():  # one look, as most files have a million numbers and no unit
        cells, _ = without_unit(cells)

    def decimals(sign: str, other: str) -> polars.Series:
        whole = rf"\d+|\d{{1,3}}(?:{_GROUP}\d{{3}})+|\d{{1,3}}(?:{other}\d{{3}})+|"
        is_decimal = cells.str.contains(rf"{_SIGNED}(?:{whole}){sign}\d*{_TAIL}")
        is_group = cells.str.contains(rf"{_SIGNED}[1-9]\d{{0,2}}{sign}\d{{3}}\s*(?:[{CURRENCIES}%]|{CODES})?$")
        return is_decimal & ~is_group

    there = cells.drop_nulls()
    commas = there.str.contains(",")
    # 1.234.567 shows that points separate thousands, and so that commas are decimal.
    return _Evidence(
        bool(commas.any()),
        bool(commas.all()),
        bool(decimals(",", r"\.").any() or there.str.contains(rf"{_SIGNED}\d{{1,3}}(?:\.\d{{3}}){{2,}}").any()),
        bool(decimals(r"\.", ",").any() or there.str.contains(rf"{_SIGNED}\d{{1,3}}(?:,\d{{2,3}}){{2,}}").any()),
    )


def _decimal(evidence: Iterable[_Evidence], separator: str) -> Decimal:
    """Return the sign of decimals in a file: the comma where some cell needs it and no column needs the point.

    Of 4,040 in every row nothing shows what it is. Semicolons between the columns do: they are there for the commas.
    """
    seen = list(evidence)
    has_comma = any(column.decimal_comma and not column.decimal_point for column in seen)
    has_point = any(column.decimal_point and not column.decimal_comma for column in seen)
    if separator == "semicolon" and not has_point and any(column.each_comma for column in seen):
        return "comma"
    return "comma" if has_comma and not has_point else "point"


def _own_decimal(seen: _Evidence, usual: Decimal) -> Decimal:
    """Return the sign of decimals in a column."""
    if seen.decimal_comma != seen.decimal_point:
        return "comma" if seen.decimal_comma else "point"
    return usual


def _typed(cells: polars.Series, decimal: Decimal, rules: CellRules) -> tuple[TableColumn, str | None]:
    """Return a column of stripped text by its kind, and the separator of its thousands."""
    import polars

    if cells.dtype != polars.String:
        return number_column(cells, rules), None
    there = cells.drop_nulls()
    truths = _truths(cells, there)
    if truths is not None:
        return truths, None
    # A point before three digits separates thousands where the comma is decimal.
    if decimal == "point" or not there.str.contains(r"[.,]").any():
        plain = cells.cast(polars.Float64, strict=False)
        if plain.null_count() == cells.null_count():
            return column_of_numbers(cells, plain, rules, ()), None
    dates = dates_in(cells, rules.dates)
    if dates is not None:
        return dated("", dates.instants, dates.is_time_of_day, dates.fault), None
    return column_in_notation(cells, decimal, rules)


# Words for false and true, those of a language together. Single letters name many things, so both must occur.
_TRUTHS = {
    ("false", "true"): 1,
    ("no", "yes"): 1,
    ("nein", "ja"): 1,
    ("non", "oui"): 1,
    ("falsch", "wahr"): 1,
    ("faux", "vrai"): 1,
    ("n", "y"): 2,
    ("f", "t"): 2,
}
_BEGIN_TRUTHS = frozenset(word for pair in _TRUTHS for word in pair)


def _truths(cells: polars.Series, there: polars.Series) -> TableColumn | None:
    """Return a column whose cells are words for true and false of one language; None for any other.

    Args:
        cells: stripped text, null where it is missing.
        there: the cells that are not missing.
    """
    import polars

    if not len(there) or str(there[0]).lower() not in _BEGIN_TRUTHS:
        return None
    spelt = there.unique(maintain_order=True).to_list()
    different = {str(word).lower() for word in spelt}
    pair = next((pair for pair, least in _TRUTHS.items() if different <= {*pair} and len(different) >= least), None)
    if pair is None:
        return None
    truths = (cells.str.to_lowercase() == pair[1]).cast(polars.Float64).to_numpy()
    column = TableColumn("", with_nan(truths, cells.is_null().to_numpy()), "truth")
    if pair == ("false", "true"):
        return column
    # As they are spelt first; one that does not occur as its partner is.
    own = {word.lower(): word for word in reversed(spelt)}
    like = next(iter(own.values()))
    shape = str.upper if like.isupper() else str.title if like.istitle() else str.lower
    no, yes = (own.get(word) or shape(word) for word in pair)
    return replace(column, words=(no, yes), notes=(f"{{name}}: {yes} is read as 1, {no} as 0",))


def dated(
    name: str, instants: np.ndarray, is_time_of_day: bool = False, fault: tuple[str, str | None] | None = None
) -> TableColumn:
    """Return a column of dates, counted in days since the first."""
    known = instants[~np.isnat(instants)]
    first = str(known[0]) if len(known) else "1970-01-01"
    clock = Clock(first, is_time_of_day=is_time_of_day)
    return TableColumn(name, clock.elapsed(instants), "date", clock=clock, instants=instants, fault=fault)
