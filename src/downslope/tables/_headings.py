"""Which lines above the rows name the columns, and which hold their units."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from downslope.tables._cell_lines import CellLine, split
from downslope.tables._cells import is_rule, look

_SYMBOLS = (
    "s|ms|[uµμ]s|ns|ps|min|h|hr|d|day|wk|yr|a|m|cm|mm|km|nm|[uµμ]m|pm|Å|ft|in|mi|g|kg|mg|[uµμ]g|ng|pg|t|L|l|mL|ml|dL|[uµμ]L"
    "|mol|mmol|nmol|[uµμ]mol|pmol|M|mM|[uµμ]M|nM|K|mK|°C|°F|C|V|mV|kV|[uµμ]V|A|mA|[uµμ]A|nA|pA|W|mW|kW|MW|kWh|Wh|J|kJ|MJ|eV"
    "|meV|keV|MeV|GeV|cal|kcal|N|mN|kN|Pa|hPa|kPa|MPa|GPa|bar|mbar|atm|torr|Torr|psi|Hz|kHz|MHz|GHz|rad|mrad|deg|°|T|mT|G|Oe|emu"
    "|Ω|Ω|kΩ|ohm|F|pF|nF|H|mH|S|mS|lx|lm|cd|dB|dBm|ppm|ppb|IU|U|kDa|Da|OD|Bq|kBq|Gy|Sv|mph|rpm|mmHg|px|cps|cts|sr|au|dex|mag"
)
_WORDS = (
    r"arb\.? ?u(?:nits?)?\.?|a\.u\.|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|yrs?|years?"
    r"|volts?|amps?|counts?|grams?|met(?:er|re)s?"
    r"|kelvin|celsius|deg(?:rees?)?(?: ?[CFK])?|percent|TS|RN|smp|avg|min|max|std|tot|samp|none|date|time"
    r"|mm/dd/yyyy|dd/mm/yyyy"
)
_UNIT = re.compile(
    rf"(?:[\[(].*[\])]|[-–%‰1]|(?i:{_WORDS})|[\d^]*(?:{_SYMBOLS})(?:[\s·*/.^()]*(?:per\s)?(?:{_SYMBOLS}|[-⁻]?[\d²³¹⁴]+))*\)?)?"
)
_MOST_ROWS_ABOVE = 3  # rows of text between the names and the numbers
_YEARS = range(1850, 2151)  # that name columns


class Names(NamedTuple):
    """The names of the columns, None where there are none; their line, the units, the lines skipped, and the rows."""

    names: tuple[str, ...] | None
    line: int | None
    units: tuple[str, ...]
    skipped: list[int]
    rows: list[CellLine]


def names_above(lines: Sequence[CellLine], block: list[CellLine]) -> Names:
    """Return the names and units that stand above a run of rows, or in the first of them."""
    if len(block) > 1 and (_is_heading(block[0], block[1:]) or _has_numbers_as_names(block[0], block[1:])):
        return Names(block[0].cells, block[0].number, (), [], block[1:])
    above = _text_above(lines, block)
    if not above:
        return Names(None, None, (), [], block)
    units: tuple[str, ...] = ()
    between: list[CellLine] = []
    while (
        len(above) > 1
        and _is_units(above[-1])
        and len(above[-2].cells) >= len(above[-1].cells)
        and not _completes(above[-1].cells, above[-2].cells)
        and not _names_index(above[-1].cells, above[-2].cells)
    ):
        between.append(above.pop())
        if not units:
            units = _clean_units(between[-1].cells)
    heading = above[-1]
    # Long names between short names and units, as Origin writes them, or questions below the names of a survey.
    is_long = bool(between) or _explains(heading, above[-2:-1])
    if is_long and len(above) == 2 and len(above[0].cells) == len(heading.cells) and all(above[0].cells):
        between.append(heading)
        heading = above[0]
    names = heading.cells
    if len(names) == len(block[0].cells) + 1 and names[0].endswith(":"):  # "Data:   y   x"
        names = names[1:]
    numbers = sorted(line.number for line in between)
    return Names(names, heading.number, units, numbers, block)


def with_groups(
    lines: Sequence[CellLine], names: tuple[str, ...], names_line: int | None
) -> tuple[tuple[str, ...], int | None]:
    """Return names that would be ambiguous or absent with those of the line above, and that line.

    Above `Time, OD, OD` may stand `, A, B` or, where cells were merged, `, A, , B, `; and pandas writes the names of
    its index alone, below those of the columns.
    """
    above = next((line for line in reversed(lines) if line.number < (names_line or 0)), None)
    if above is None or len(above.cells) > len(names) or look((*above.cells, "")[0]) == "value":
        return names, None
    upper = (*above.cells, *[""] * (len(names) - len(above.cells)))
    if _names_index(names, upper):
        joined, line = with_groups(lines, (names[0], *upper[1:]), above.number)
        return joined, line or above.number
    known = [name for name in names if name]
    if len(set(known)) == len(known):
        return names, None
    groups = [next((cell for cell in reversed(upper[: index + 1]) if cell), "") for index in range(len(names))]
    joined = tuple(f"{group} {name}".strip() if name else name for group, name in zip(groups, names, strict=True))
    filled = [name for name in joined if name]
    return (joined, above.number) if len(set(filled)) == len(filled) else (names, None)


def _explains(line: CellLine, above: Sequence[CellLine]) -> bool:
    """Tell whether a line holds sentences on the names above it, each a single word."""
    return (
        len(above) == 1
        and all(re.fullmatch(r"[^\W\d][\w.]*", cell) for cell in above[0].cells)
        and all(line.cells)
        and any(len(cell.split()) > 2 for cell in line.cells)
    )


def _completes(cells: Sequence[str], above: Sequence[str]) -> bool:
    """Tell whether a line has words where the one above has none but before its first: that one has merged cells."""
    first = next((index for index, cell in enumerate(above) if cell), 0)
    return any(cell and not over for cell, over in zip(cells[first:], above[first:], strict=False))


def _names_index(cells: Sequence[str], above: Sequence[str]) -> bool:
    """Tell whether a line names but the first column, which has no name in the line above."""
    return len(cells) > 1 and bool(cells[0]) and not any(cells[1:]) and not above[0] and all(above[1 : len(cells)])


def _text_above(lines: Sequence[CellLine], block: list[CellLine]) -> list[CellLine]:
    """Return the lines of text directly above the rows that may name columns, in order."""
    width = len(block[0].cells)
    before = [line for line in lines if line.number < block[0].number]
    above: list[CellLine] = []
    below = block[0].number
    for line in reversed(before):
        cells = [cell for cell in line.cells if cell]
        if cells and all(map(is_rule, cells)):
            below = line.number
            continue
        # One name fewer than cells, an empty one more after a trailing separator, "Data:" in front.
        wide = len(line.cells) in (width - 1, width) or (
            len(line.cells) == width + 1 and (not line.cells[-1] or line.cells[0].endswith(":"))
        )
        is_heading = _is_heading(line, block)
        if not (wide and (line.values == 0 or is_heading)) or (
            above and line.number < below - 1 and not all(map(_is_units, above))
        ):
            break
        above.append(line)
        below = line.number
        if len(above) > _MOST_ROWS_ABOVE or (is_heading and line.values):
            break
    return above[::-1]


def _is_heading(line: CellLine, rows: Sequence[CellLine]) -> bool:
    """Tell whether a line names the columns: a word stands above values, or nothing above names of rows."""
    width = len(rows[0].cells)
    shift = width - len(line.cells) if len(line.cells) in (width, width - 1) else 0
    for index, cell in enumerate(line.cells[:width]):
        below = [row.looks[index + shift] for row in rows if index + shift < len(row.cells)]
        seen = line.looks[index]
        if seen == "word" and "value" in below and below.count("word") * 2 < len(below):
            return True
        if not cell and index == 0 and "missing" not in below and line.values + line.words >= width - 1:
            return True
    return False


def _has_numbers_as_names(line: CellLine, rows: Sequence[CellLine]) -> bool:
    """Tell whether a line names columns by numbers, such as `site, 2019, 2020, 2021` above names and values.

    The numbers are evenly spaced, as those of no row are, and each is outside the range of the column below it.
    """
    if line.looks[0] != "word" or {*line.looks[1:]} != {"value"} or len(rows) < 2:
        return False
    if line.cells[0] in {row.cells[0] for row in rows} or any(row.looks[0] != "word" for row in rows):
        return False
    names = _whole_numbers(line.cells[1:])
    below = [numbers for row in rows if (numbers := _decimals(row.cells[1:])) is not None]
    if names is None or not below or not _are_even(names) or any(map(_are_even, below)):
        return False
    are_years = len(names) > 1 and all(name in _YEARS for name in names)
    columns = zip(*below, strict=True)
    outside = all(not min(c) <= name <= max(c) for name, c in zip(names, columns, strict=True))
    return outside and (are_years or len(names) > 3)


def _whole_numbers(cells: Sequence[str]) -> list[float] | None:
    return [float(cell) for cell in cells] if all(re.fullmatch(r"\d{1,6}", cell) for cell in cells) else None


def _decimals(cells: Sequence[str]) -> list[float] | None:
    texts = [cell.replace(",", ".") for cell in cells]
    return [float(text) for text in texts] if all(re.fullmatch(r"[-+]?\d+\.?\d*", text) for text in texts) else None


def _are_even(numbers: Sequence[float]) -> bool:
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    return steps[:1] != [0.0] and all(step == steps[0] for step in steps)


def _is_units(line: CellLine) -> bool:
    """Tell whether a line may be one of units."""
    cells = [cell for cell in line.cells if cell]
    return bool(cells) and all(_UNIT.fullmatch(cell) for cell in cells)


def _clean_units(cells: Sequence[str]) -> tuple[str, ...]:
    units = (re.sub(r"^[\[(](.*)[\])]$", r"\1", cell).strip() for cell in cells)
    return tuple("" if unit in ("-", "–", "1") else unit for unit in units)


def names_in_comment(
    comments: Sequence[tuple[int, str]], separator: str, signs: tuple[str, ...], width: int, first_row: int
) -> tuple[tuple[str, ...], int] | None:
    """Return the names in the last comment above the rows, and its line, where they are as many as a row's cells."""
    before = [(number, line) for number, line in comments if number < first_row]
    for number, line in reversed(before[-1:]):
        sign = next(sign for sign in signs if line.strip().startswith(sign))
        # "# x,# y" are names that begin so themselves.
        text = line.strip() if sign in line.strip().lstrip(sign) else line.strip().lstrip(sign).strip()
        for candidate in (separator, ",", "\t", ";", " "):
            names = split(text, candidate)
            if names and names[0].endswith((":", "=")):  # "Columns: x y"; of "POINTS= (XY..XY)" nothing names a column
                names = names[1:]
            if len(names) == width and all(look(name) == "word" for name in names):
                return names, number
    return None
