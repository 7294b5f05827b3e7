"""From columns of text to typed columns: numbers in the notations people have, truths, dates, missing cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from downslope._numbers import real
from downslope.tables._cells import BLANKS, CODES, COMPLEX, CURRENCIES, MISSING, MISSING_RUN
from downslope.tables._clock import Clock, dates_in
from downslope.tables._table import TableColumn, unit_of

if TYPE_CHECKING:
    import polars

_EXACT = 2.0**53  # whole numbers above it have no float of their own
_SENTINELS = (
    *(-99.0, -999.0, -9999.0, -99999.0, -999999.0, -99.99, -999.9, -999.99, -9999.99, -8888.0, -888.0),
    *(999.0, 9999.0, 99999.0, 999999.0, 999.9, 999.99, 9999.9, 9999.99, 9.999e20, 1e20, -1e20, 1e30, -1e30, 1e31),
    *(1e34, -1e34, 1e35, 1e36, -1e36, 1e37, 1e38, 9.969209968386869e36, 32767.0, -32767.0, -32768.0, 65535.0),
    *(2147483647.0, -2147483648.0, -2147483647.0, -1.7976931348623157e308, 1.7976931348623157e308),
)
_MOST_QUOTED = 3
Decimal = Literal["point", "comma"]


@dataclass(frozen=True)
class CellRules:
    """What the person says about the cells.

    Args:
        decimal: "point" or "comma"; None to read it off the cells.
        thousands: the separator of thousands: ",", ".", "'", " " or "none"; None to read it off the cells.
        missing: further spellings and numbers that stand for a missing cell.
        dates: "day first" or "month first"; None to read it off the cells.
    """

    decimal: Decimal | None = None
    thousands: str | None = None
    missing: tuple[str, ...] = ()
    dates: str | None = None

    @property
    def missing_numbers(self) -> tuple[float, ...]:
        """The numbers among the spellings."""
        return tuple(number for text in self.missing if (number := _number(text)) is not None)


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
    if first.str.contains(_WITH_UNIT).any():  # one look, as most files have a million numbers and no unit
        cells, _ = _without_unit(cells)

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
            return _numbers(cells, plain, rules, ()), None
    dates = dates_in(cells, rules.dates)
    if dates is not None:
        return dated("", dates.instants, dates.is_time_of_day, dates.fault), None
    return _in_notation(cells, decimal, rules)


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
    column = TableColumn("", _with_nan(truths, cells.is_null().to_numpy()), "truth")
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


def _in_notation(cells: polars.Series, decimal: Decimal, rules: CellRules) -> tuple[TableColumn, str | None]:
    """Return a column whose cells are numbers in some notation: percentages, money, thousands; or words."""
    import polars

    facts: list[str] = []
    if cells.str.contains(COMPLEX).any():
        row = int(cells.str.contains(COMPLEX).fill_null(False).arg_max() or 0)
        message = f"row {row + 1}: {cells[row]} is complex, and a real number is needed"
        values = _objects(cells)
        return TableColumn("", values, "text", fault=(message, "take the real part, or the absolute value")), None
    below = cells.str.contains(r"^[<>≤≥]\s*[\d.,]").fill_null(False)
    beyond = cells.filter(below)
    text = polars.select(polars.when(below).then(None).otherwise(cells)).to_series()
    text = text.str.replace_all(r"[−–‒﹣－](\s*[\d.,])", "-$1")
    percent = text.str.contains(r"\d\s*%$").fill_null(False)
    mille = text.str.contains(r"\d\s*‰$").fill_null(False)
    text = text.str.replace(r"(\d)\s*[%‰]$", "$1")
    money = text.str.extract(rf"^[-+]?\s*([{CURRENCIES}]|(?:{CODES})\b)\s*[-+]?[\d.,]", 1).fill_null(
        text.str.extract(rf"[\d.,]\s*([{CURRENCIES}]|(?:{CODES}))$", 1)
    )
    signs = money.drop_nulls().unique().sort().to_list()
    if signs:
        text = text.str.replace(rf"^([-+]?)\s*(?:[{CURRENCIES}]|(?:{CODES})\b)\s*([-+]?[\d.,])", "$1$2")
        text = text.str.replace(rf"([\d.,])\s*(?:[{CURRENCIES}]|(?:{CODES}))$", "$1")
    text, unit = _without_unit(text)
    text, group = _ungrouped(text, decimal, rules.thousands)
    text = text.str.replace(r"^([-+]?[\d.]+)\s*(?:[dD]|[×x·*]\s*10\s*\^?\s*)([-+]?\d+)$", "${1}e$2")
    text = text.str.replace(r"^([-+])\s+", "$1")
    numbers = text.cast(polars.Float64, strict=False)
    words = numbers.is_null() & cells.is_not_null() & ~below
    if words.any():
        return _mixed(cells, numbers, words, below), None
    if beyond.len():
        quoted = ", ".join(map(repr, beyond.unique(maintain_order=True).head(_MOST_QUOTED).to_list()))
        facts.append(f"{{name}}: {beyond.len()} beyond what can be measured, left out ({quoted})")
    if percent.any() or mille.any():
        factor = polars.select(polars.when(percent).then(100.0).when(mille).then(1000.0).otherwise(1.0)).to_series()
        numbers = numbers / factor
        facts.append(f"{{name}}: 10 {'%' if percent.any() else '‰'} is read as {0.1 if percent.any() else 0.01}")
    if signs:
        facts.append(f"{{name}}: amounts in {', '.join(signs)}, read without the sign")
    if unit:
        facts.append(f"{{name}}: the unit {unit} stands in every cell")
    return replace(_numbers(text, numbers, rules, facts), unit=unit), group


_WITH_UNIT = (
    r"^([-+]?[\d.,'’ ]*\d[.,]?(?:[eE][-+]?\d+)?)"
    r"(\s+[A-Za-zµμ°Ω][^\s\d]{0,11}|[A-Za-zµμ°Ω][A-Za-zµμΩ/°]{1,11})$"
)


def _without_unit(text: polars.Series) -> tuple[polars.Series, str]:
    """Return numbers without the unit that every cell has, but for a bare 0; and the unit, "" where there is none."""
    units = text.str.extract(_WITH_UNIT, 2).str.strip_chars()
    known = units.drop_nulls().unique()
    bare = text.str.contains(r"^0(?:[.,]0*)?$") & units.is_null()
    if len(known) != 1 or units.null_count() != text.null_count() + int(bare.sum() or 0):
        return text, ""
    return text.str.replace(_WITH_UNIT, "$1"), str(known[0])


def _ungrouped(text: polars.Series, decimal: Decimal, thousands: str | None) -> tuple[polars.Series, str | None]:
    """Return numbers without separators of thousands and with a decimal point, and the separator."""
    import polars

    point, comma = ("." if decimal == "point" else ","), ("," if decimal == "point" else ".")
    escaped = {".": r"\.", ",": ","}
    groups = {comma: escaped[comma], "'": "['’]", " ": f"[{BLANKS}]"}
    if thousands is not None:
        groups = {sign: pattern for sign, pattern in groups.items() if sign == thousands}
    seen = None
    for sign, pattern in groups.items():
        # 12,34,567 is how India writes it.
        grouped = text.str.contains(
            rf"^[-+]?\s*(?:\d{{1,3}}(?:{pattern}\d{{3}})+|\d{{1,2}}(?:{pattern}\d{{2}})+{pattern}\d{{3}})"
            rf"(?:{escaped[point]}\d*)?(?:[eE][-+]?\d+)?$"
        ).fill_null(False)
        if grouped.any():
            seen = sign
            text = polars.select(
                polars.when(grouped).then(text.str.replace_all(pattern, "")).otherwise(text)
            ).to_series()
    if point == ",":
        text = text.str.replace(r"^([-+]?\s*\d*),(\d*)", "$1.$2")
    return text, seen


def _mixed(cells: polars.Series, numbers: polars.Series, words: polars.Series, below: polars.Series) -> TableColumn:
    """Return a column that holds words: text, with floats among it where most cells are numbers."""
    values = _objects(cells)
    if numbers.len() - numbers.null_count() > int(words.sum()):
        is_number = numbers.is_not_null().to_numpy()
        values[is_number] = numbers.drop_nulls().to_list()
        values[below.to_numpy()] = None
    return TableColumn("", values, "text")


def _numbers(cells: polars.Series, numbers: polars.Series, rules: CellRules, facts: Sequence[str]) -> TableColumn:
    """Return a column of numbers that were text."""
    column = number_column(numbers, rules)
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any() and (beyond := infinite & ~cells.str.contains(r"(?i)inf|∞").fill_null(False)).any():
        row = int(beyond.arg_max() or 0)
        message = f"row {row + 1}: the number is beyond the largest that a float holds, 1.8e308"
        return replace(column, fault=(message, None))
    high = np.nanmax(np.abs(column.cells)) if len(column.cells) and not np.isnan(column.cells).all() else 0.0
    lost = ()
    if high >= _EXACT and cells.str.contains(r"^[-+]?\d{16,}$").any():
        lost = (_LOST,)
    return replace(column, notes=(*facts, *column.notes, *lost))


_LOST = "{name}: whole numbers above 2⁵³ lose their last digits as floats"


def number_column(numbers: polars.Series, rules: CellRules) -> TableColumn:
    """Return a column of numbers or truths, with a note on numbers that may stand for missing cells.

    Args:
        numbers: of any numeric type, null where they are missing.
        rules: what the person says about the cells.
    """
    import polars

    notes = []
    if numbers.dtype == polars.Boolean:
        cells = numbers.cast(polars.Float64).to_numpy()
        return TableColumn(numbers.name, cells, "truth")
    if numbers.dtype.is_integer() and numbers.len() > numbers.null_count():
        largest = max(abs(int(numbers.max() or 0)), abs(int(numbers.min() or 0)))  # pyright: ignore[reportArgumentType]
        notes = [_LOST] if largest >= _EXACT else []
    cells = numbers.cast(polars.Float64, strict=False).to_numpy()
    stated = rules.missing_numbers
    if stated and np.isin(cells, stated).any():
        cells = np.where(np.isin(cells, stated), np.nan, cells)
    return TableColumn(numbers.name, cells, "number", notes=(*notes, *_sentinels(cells)))


def _sentinels(cells: np.ndarray) -> tuple[str, ...]:
    """Return a note on numbers far outside the rest by which instruments and archives mark missing cells."""
    if len(cells) < 3:
        return ()
    if np.isnan(cells).all():
        return ()
    ends = {float(np.nanmin(cells)), float(np.nanmax(cells))}
    suspects = [end for end in ends if any(math.isclose(end, each, rel_tol=1e-7) for each in _SENTINELS)]
    notes = []
    for suspect in sorted(suspects):
        rest = cells[np.isfinite(cells) & ~np.isin(cells, suspects)]
        if not len(rest):
            continue
        distance = max(suspect - rest.max(), rest.min() - suspect)
        if distance > max(np.ptp(rest), 0.5 * abs(suspect)):
            count = int((cells == suspect).sum())
            cells_are = "cells are" if count > 1 else "cell is"
            notes.append(
                f"{{name}}: {count} {cells_are} {suspect:.10g}, far outside the rest; if that stands for missing, say "
                f"missing={suspect:.10g}"
            )
    return tuple(notes)


def _objects(cells: polars.Series) -> np.ndarray:
    values = np.empty(len(cells), dtype=object)
    values[:] = cells.to_list()
    return values


def _with_nan(numbers: np.ndarray, missing: np.ndarray) -> np.ndarray:
    return np.where(missing, np.nan, numbers)


def _number(text: Any) -> float | None:
    try:
        return real(text)
    except (TypeError, ValueError, OverflowError):
        return None
