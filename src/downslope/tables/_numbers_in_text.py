"""Numbers in users' notations: percentages, money, thousands, deviations, units; and missing values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from downslope._numbers import real
from downslope.tables._cells import ABSENT, ABSENT_RUN, BLANKS, CODES, COMPLEX, CURRENCIES, PLUS_MINUS
from downslope.tables._table import TableColumn

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
    """The user's choices for the cells.

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


def column_in_notation(cells: polars.Series, decimal: Decimal, rules: CellRules) -> tuple[TableColumn, str | None]:
    """Return a column whose cells are numbers in some notation: percentages, money, thousands; or words."""
    import polars

    facts: list[str] = []
    if cells.str.contains(COMPLEX).any():
        row = int(cells.str.contains(COMPLEX).fill_null(False).arg_max() or 0)
        message = f"row {row + 1}: {cells[row]} is complex, and a real number is needed"
        values = _objects(cells)
        return TableColumn("", values, "text", fault=(message, "take the real part, or the absolute value")), None
    below = cells.str.contains(r"^[<>≤≥]\s*[\d.,]").fill_null(False)
    cells, spreads = _without_spread(cells)
    facts += spreads
    beyond = cells.filter(below)
    text = polars.select(polars.when(below).then(None).otherwise(cells)).to_series()
    text = text.str.replace_all(r"[−–‒﹣－](\s*[\d.,])", "-$1")
    if text.str.contains(r"10\^?[⁻⁺]?[⁰¹²³⁴-⁹]+$").any():
        text = text.str.replace_many(list("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺"), list("0123456789-+"))
    behind = text.str.contains(_MINUS_BEHIND).fill_null(False)
    if behind.any():
        text = text.str.replace(_MINUS_BEHIND, "-$1")
        facts.append("{name}: 5- is read as −5")
    in_brackets = text.str.contains(_BRACKETED).fill_null(False)
    if in_brackets.any():
        text = text.str.replace(_BRACKETED, "-$1")
        facts.append("{name}: (5) is read as −5")
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
    text, unit = without_unit(text)
    text, group = _ungrouped(text, decimal, rules.thousands)
    text = text.str.replace(r"^([-+]?[\d.]+)\s*(?:[dD]|[×x·*]\s*10\s*\^?\s*)([-+]?\d+)$", "${1}e$2")
    text = text.str.replace(r"^([-+])\s+", "$1")
    numbers = text.cast(polars.Float64, strict=False)
    words = numbers.is_null() & cells.is_not_null() & ~below
    absent = words & (cells.str.to_lowercase().is_in([*ABSENT]) | cells.str.contains(ABSENT_RUN)).fill_null(False)
    if absent.any() and absent.sum() <= numbers.count():
        quoted = _quoted(cells.filter(absent))
        facts.append(f"{{name}}: {_counted(int(absent.sum()))} taken for missing ({quoted})")
        cells = polars.select(polars.when(absent).then(None).otherwise(cells)).to_series()
        words &= ~absent
    if words.any():
        return _mixed(cells, numbers, words, below), None
    if beyond.len():
        facts.append(f"{{name}}: {beyond.len()} beyond what can be measured, left out ({_quoted(beyond)})")
    if percent.any() or mille.any():
        factor = polars.select(polars.when(percent).then(100.0).when(mille).then(1000.0).otherwise(1.0)).to_series()
        numbers = numbers / factor
        facts.append(f"{{name}}: 10 {'%' if percent.any() else '‰'} is read as {0.1 if percent.any() else 0.01}")
    if signs:
        facts.append(f"{{name}}: amounts in {', '.join(signs)}, read without the sign")
    if unit:
        facts.append(f"{{name}}: the unit {unit} is in every cell")
    return replace(column_of_numbers(text, numbers, rules, facts), unit=unit), group


SPREAD = rf"\s*{PLUS_MINUS}\s*[\d.,]+(?:[eEdD][-+]?\d+)?"
_LAST_DIGITS = r"(\d)\(\d{1,3}\)"
_MINUS_BEHIND = rf"^(\d[\d.,'’ ]*[{CURRENCIES}]?)\s*[-−]$"  # as accounts write it
_BRACKETED = rf"^\(\s*([{CURRENCIES}]?\s*\d[\d.,'’ ]*[{CURRENCIES}%]?)\s*\)$"


def _without_spread(cells: polars.Series) -> tuple[polars.Series, list[str]]:
    """Return cells such as 1.23 ± 0.05 and 1.23(5) without the deviation, and sentences that say so."""
    facts = []
    for pattern, kept, example in ((SPREAD, "", "1.2 ± 0.3"), (_LAST_DIGITS, "$1", "1.2(3)")):
        if cells.str.contains(rf"[\d.,]{pattern}" if not kept else rf"^[-+]?[\d.,]*{pattern}").any():
            cells = cells.str.replace(pattern, kept)
            facts.append(f"{{name}}: {example} is read as 1.2, without the deviation")
    return cells, facts


WITH_UNIT = (
    r"^([-+]?[\d.,'’ ]*\d[.,]?(?:[eE][-+]?\d+)?)"
    r"(\s+[A-Za-zµμ°Ω][^\s\d]{0,11}|[A-Za-zµμ°Ω][A-Za-zµμΩ/°]{1,11})$"
)


def without_unit(text: polars.Series) -> tuple[polars.Series, str]:
    """Return numbers without the unit that every cell has, but for a bare 0; and the unit, "" where there is none."""
    units = text.str.extract(WITH_UNIT, 2).str.strip_chars()
    known = units.drop_nulls().unique()
    bare = text.str.contains(r"^0(?:[.,]0*)?$") & units.is_null()
    if len(known) != 1 or units.null_count() != text.null_count() + int(bare.sum() or 0):
        return text, ""
    return text.str.replace(WITH_UNIT, "$1"), str(known[0])


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


def column_of_numbers(
    cells: polars.Series, numbers: polars.Series, rules: CellRules, facts: Sequence[str]
) -> TableColumn:
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
    there = cells.drop_nulls()
    if len(there) > 1 and cells.str.contains(_DAYS_IN_DIGITS).all():
        lost = (_DAYS_AS_NUMBERS,)
    return replace(column, notes=(*facts, *column.notes, *lost))


_DAYS_IN_DIGITS = r"^(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"
_DAYS_AS_NUMBERS = "{name}: 20240105 is read as a number; write 2024-01-05 if it is a day"
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
    ends = {float(np.fmin.reduce(cells)), float(np.fmax.reduce(cells))}  # NaN only where every cell is missing
    suspects = [end for end in ends if any(math.isclose(end, each, rel_tol=1e-7) for each in _SENTINELS)]
    notes = []
    for suspect in sorted(suspects):
        rest = cells[np.isfinite(cells) & ~np.isin(cells, suspects)]
        if not len(rest):
            continue
        distance = max(suspect - rest.max(), rest.min() - suspect)
        if distance > max(np.ptp(rest), 0.5 * abs(suspect)):
            count = _counted(int((cells == suspect).sum()))
            notes.append(
                f"{{name}}: {count} {suspect:.10g}, far outside the rest; if that stands for missing, say "
                f"missing={suspect:.10g}"
            )
    return tuple(notes)


def _counted(cells: int) -> str:
    return "1 cell is" if cells == 1 else f"{cells} cells are"


def _quoted(cells: polars.Series) -> str:
    """Return the first different cells in quotes."""
    return ", ".join(map(repr, cells.unique(maintain_order=True).head(_MOST_QUOTED).to_list()))


def _objects(cells: polars.Series) -> np.ndarray:
    values = np.empty(len(cells), dtype=object)
    values[:] = cells.to_list()
    return values


def with_nan(numbers: np.ndarray, missing: np.ndarray) -> np.ndarray:
    return np.where(missing, np.nan, numbers)


def _number(text: Any) -> float | None:
    try:
        return real(text)
    except (TypeError, ValueError, OverflowError):
        return None
