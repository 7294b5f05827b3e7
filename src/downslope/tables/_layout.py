"""The layout of a table in plain text, read off its first lines: where names and rows stand, and what parts the cells.

A pure function from lines to a `TextLayout`. The rows themselves are parsed by Polars.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from downslope.tables._cells import Look, is_missing, is_rule, look

SAMPLE = 200  # lines from which the layout is read
SEPARATORS = {"tab": "\t", "semicolon": ";", "bar": "|", "comma": ",", "blanks": " "}
COMMENTS = ("#", "%", "//", "!")
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
_NUMBERS = re.compile(r"[-+\d.,;|'’\s]*\d[-+\d.,;|'’\s]*")
_MOST_ROWS_ABOVE = 3  # rows of text between the names and the numbers
_SEP_LINE = re.compile(r"[ ]*\"?sep=(.)\"?[ \r]*", re.IGNORECASE)


@dataclass(frozen=True)
class TextLayout:
    """Where the parts of a table stand in its lines.

    Args:
        separator: between two cells; a blank stands for any run of blanks and tabs.
        names: of the columns, "" for one without a name; () where no line has names.
        names_line: the line with the names, counted from 1; None where there is none.
        units: the unit of each column from a row of units; () where there is none.
        first_row: the line of the first row, counted from 1.
        width: how many cells a row has.
        has_row_names: whether the first cell of each row is its name, for which no name of a column stands.
        comments: the signs with which lines of comments begin; () where there are none.
        above: the lines between the names and the rows that are skipped, counted from 1.
        is_text: whether no row of the sample holds a number.
        group_line: the line above the names with which they are joined, as of merged cells; None where there is none.
    """

    separator: str
    names: tuple[str, ...]
    names_line: int | None
    units: tuple[str, ...]
    first_row: int
    width: int
    has_row_names: bool = False
    comments: tuple[str, ...] = ()
    above: tuple[int, ...] = ()
    is_text: bool = False
    group_line: int | None = None


@dataclass(frozen=True)
class _CellLine:
    """A line that is neither blank nor a comment, split into cells."""

    number: int
    cells: tuple[str, ...]

    @functools.cached_property
    def looks(self) -> tuple[Look, ...]:
        """What each cell looks like."""
        return tuple(look(cell) for cell in self.cells)

    @property
    def values(self) -> int:
        """How many cells are values."""
        return self.looks.count("value")

    @property
    def words(self) -> int:
        """How many cells are words."""
        return self.looks.count("word")

    @property
    def pieces(self) -> int:
        """How many cells look like two numbers, which another separator would part."""
        return sum(_NUMBERS.fullmatch(cell) is not None for cell in self.cells if look(cell) == "word")

    @property
    def is_row(self) -> bool:
        """Whether it may be a row: it holds a value, or nothing but missing cells."""
        return self.values > 0 or (self.words == 0 and not all(map(is_rule, filter(None, self.cells))))


@dataclass(frozen=True)
class LayoutChoices:
    """What the person says about the layout; None leaves it to be read off the lines.

    Args:
        separator: a name of `SEPARATORS`, or the sign itself.
        names: the line with the names, counted from 1; 0 where there is none.
        skip: how many lines to skip before anything is read.
        units: the line with the units, counted from 1; 0 where there is none.
        comment: the sign with which lines of comments begin; "none" where there are none.
    """

    separator: str | None = None
    names: int | None = None
    skip: int | None = None
    units: int | None = None
    comment: str | None = None


def split(line: str, separator: str) -> tuple[str, ...]:
    """Return the cells of a line, without quotes and blanks around them.

    >>> split('"Temp, inside" 2.5', " ")
    ('Temp, inside', '2.5')
    """
    if separator == " ":
        line, separator = blanks_as_tabs(line), "\t"
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=separator != "\t"), [])
    except csv.Error:
        cells = line.split(separator)
    return tuple(cell.strip() for cell in cells)


_QUOTED_OR_BLANKS = re.compile(r'("[^"]*")|[ \t]+')


def blanks_as_tabs(line: str) -> str:
    """Return a line with a tab for each run of blanks that no quotes enclose."""
    return _QUOTED_OR_BLANKS.sub(lambda match: match[1] or "\t", line.strip())


def layout(lines: Sequence[str], choices: LayoutChoices | None = None) -> TextLayout:
    """Return the layout of a table.

    Args:
        lines: the first lines of a file, without their ends.
        choices: what the person says about it.

    >>> read = layout(["a title", "", "x;y", "s;mV", "0,5;1", "1,0;2"])
    >>> read.separator, read.names, read.names_line, read.units, read.first_row
    (';', ('x', 'y'), 3, ('s', 'mV'), 5)
    """
    choices = choices or LayoutChoices()
    skip = choices.skip or 0
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if number > skip and line.strip()]
    separator = choices.separator
    if numbered and (match := _SEP_LINE.fullmatch(numbered[0][1])):
        separator = separator or match[1]
        numbered = numbered[1:]
    if separator is not None:
        separator = SEPARATORS.get(separator, separator)
    signs = COMMENTS if choices.comment is None else tuple(filter(None, [choices.comment.replace("none", "")]))
    sign = tuple(sign for sign in signs if any(is_comment(line, (sign,)) for _, line in numbered))
    kept = [(number, line) for number, line in numbered if not is_comment(line, sign)]
    comments = [(number, line) for number, line in numbered if is_comment(line, sign)]
    candidates = SEPARATORS.values() if separator is None else (separator,)
    # A header as wide as the rows tells "0,5 2,1" with blanks from one with commas; then the first in the list wins.
    # Several columns go before one, so that separators that never occur are tried only where no other makes any.
    occurring = [candidate for candidate in candidates if any(candidate in line for _, line in kept)]
    for group in (occurring, candidates):
        layouts = [_by_separator(kept, comments, sign, candidate, choices) for candidate in group]
        best = max(layouts, key=lambda scored: scored[0], default=None)
        if best is not None and best[0][0]:
            break
    assert best is not None  # there is always a candidate
    return best[1]


def is_comment(line: str, signs: tuple[str, ...]) -> bool:
    """Tell whether a line is a comment, not a row whose first cell is #N/A."""
    text = line.lstrip().lstrip('"')
    if not signs or not text.startswith(signs):
        return False
    return not is_missing(re.split(r"[\t;|,\s\"]", text, maxsplit=1)[0])


def _by_separator(
    kept: Sequence[tuple[int, str]],
    comments: Sequence[tuple[int, str]],
    signs: tuple[str, ...],
    separator: str,
    choices: LayoutChoices,
) -> tuple[tuple[float, ...], TextLayout]:
    """Return the layout with a separator, and how good it is."""
    lines = [_CellLine(number, split(line, separator)) for number, line in kept]
    return _laid_out(lines, separator, choices, signs, comments)


def layout_of_cells(rows: Sequence[Sequence[str]], choices: LayoutChoices | None = None) -> TextLayout:
    """Return the layout of the first rows of a sheet, whose cells are apart already.

    >>> layout_of_cells([("Cooling", ""), ("t", "T"), ("min", "°C"), ("0", "80"), ("1", "62")]).units
    ('min', '°C')
    """
    choices = choices or LayoutChoices()
    lines = [_CellLine(number, tuple(row)) for number, row in enumerate(rows, start=1) if number > (choices.skip or 0)]
    return _laid_out(lines, "", choices)[1]


def _laid_out(
    lines: Sequence[_CellLine],
    separator: str,
    choices: LayoutChoices,
    signs: tuple[str, ...] = (),
    comments: Sequence[tuple[int, str]] = (),
) -> tuple[tuple[float, ...], TextLayout]:
    """Return the layout of lines that are split into cells, and how good it is."""
    lines = _without_trailing([line for line in lines if any(line.cells)])
    block = _block(lines, choices)
    if not block:
        return _of_text(lines, separator, signs, choices)
    width = len(block[0].cells)
    names, names_line, units, skipped, rows = _names(lines, block, choices)
    if names and len(rows) > 1 and all(cell in ("-", "–", "[-]", "(-)") for cell in rows[0].cells):
        # Columns without units, rather than a row without numbers.
        skipped, units, rows = [*skipped, rows[0].number], units or ("-",), rows[1:]
    score = sum(line.values - 0.5 * line.words - line.pieces for line in rows)
    if names is None and choices.names is None:
        commented = _names_in_comment(comments, separator, signs, width, rows[0].number)
        names, names_line = commented or (None, None)
    group_line = None
    if names is not None and choices.names is None:
        names, group_line = _with_groups(lines, names, names_line)
    # No name for a last column that is empty: a trailing separator, and no name of a row.
    has_row_names = names is not None and len(names) == width - 1 and any(line.cells[-1] for line in rows)
    if names is not None and not has_row_names:
        names = names if any(names[width:]) else (*names, *[""] * (width - len(names)))[:width]
    agrees = names is None or len(names) in (width, width - 1)
    result = TextLayout(
        separator,
        names or (),
        names_line,
        (*units, *[""] * (width - len(units)))[:width] if units else (),
        rows[0].number,
        width,
        has_row_names,
        signs,
        tuple(number for number in skipped if number != group_line),
        group_line=group_line,
    )
    fit = 0 if names is None else 2 if len(names) == width and not has_row_names else int(agrees)
    return (width > 1, score if agrees else score / 2, fit), result


def _without_trailing(lines: Sequence[_CellLine]) -> list[_CellLine]:
    """Return lines without the cells after trailing separators, which no row fills; some lines may lack them."""
    width = max((_filled(line.cells) for line in lines if line.is_row), default=0)
    return [
        line if len(line.cells) <= width else _CellLine(line.number, line.cells[: max(width, _filled(line.cells))])
        for line in lines
    ]


def _filled(cells: Sequence[str]) -> int:
    """Return how many cells there are up to the last that is not empty."""
    return max((number for number, cell in enumerate(cells, start=1) if cell), default=0)


def _block(lines: Sequence[_CellLine], choices: LayoutChoices) -> list[_CellLine]:
    """Return the run of rows of one width that holds the most values."""
    least = max(choices.names or 0, choices.units or 0)
    best: list[_CellLine] = []
    most = 0.0
    run: list[_CellLine] = []
    for line in (*lines, None):
        row = line if line is not None and line.is_row and line.number > least else None
        if row is not None and (not run or len(row.cells) == len(run[0].cells)):
            run.append(row)
            continue
        values = sum(row.values for row in run) * (1.0 if run and len(run[0].cells) > 1 else 0.3)
        if values > 0 and values >= most:
            best, most = run, values
        run = [] if row is None else [row]
    return _from_its_beginning(best, lines, least)


def _from_its_beginning(block: list[_CellLine], lines: Sequence[_CellLine], least: int) -> list[_CellLine]:
    """Return a run of rows with those above that only a row of another width parts from it; the reader refuses that."""
    if not block:
        return block
    before = [line for line in lines if least < line.number < block[0].number]
    above: list[_CellLine] = []
    for line in reversed(before):
        if not line.is_row:
            break
        above.insert(0, line)
    width = len(block[0].cells)
    while above and len(above[0].cells) != width:
        above.pop(0)
    return above + block


def _names(
    lines: Sequence[_CellLine], block: list[_CellLine], choices: LayoutChoices
) -> tuple[tuple[str, ...] | None, int | None, tuple[str, ...], list[int], list[_CellLine]]:
    """Return the names, their line, the units, the lines skipped between them and the rows, and the rows."""
    units: tuple[str, ...] = ()
    if choices.units:
        units = next((line.cells for line in lines if line.number == choices.units), ())
    if choices.names is not None:
        names = next((line.cells for line in lines if line.number == choices.names), None)
        skipped = [line.number for line in lines if choices.names < line.number < block[0].number]
        return names, choices.names or None, units, skipped, block
    if len(block) > 1 and _is_heading(block[0], block[1:]):
        return block[0].cells, block[0].number, units, [], block[1:]
    above = _text_above(lines, block)
    if not above:
        return None, None, units, [], block
    between: list[_CellLine] = []
    while (
        len(above) > 1
        and _is_units(above[-1])
        and len(above[-2].cells) >= len(above[-1].cells)
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
    return names, heading.number, units, numbers, block


def _with_groups(
    lines: Sequence[_CellLine], names: tuple[str, ...], names_line: int | None
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
        joined, line = _with_groups(lines, (names[0], *upper[1:]), above.number)
        return joined, line or above.number
    known = [name for name in names if name]
    if len(set(known)) == len(known):
        return names, None
    groups = [next((cell for cell in reversed(upper[: index + 1]) if cell), "") for index in range(len(names))]
    joined = tuple(f"{group} {name}".strip() if name else name for group, name in zip(groups, names, strict=True))
    filled = [name for name in joined if name]
    return (joined, above.number) if len(set(filled)) == len(filled) else (names, None)


def _explains(line: _CellLine, above: Sequence[_CellLine]) -> bool:
    """Tell whether a line holds sentences on the names above it, each a single word."""
    return (
        len(above) == 1
        and all(re.fullmatch(r"[^\W\d][\w.]*", cell) for cell in above[0].cells)
        and all(line.cells)
        and any(len(cell.split()) > 2 for cell in line.cells)
    )


def _names_index(cells: Sequence[str], above: Sequence[str]) -> bool:
    """Tell whether a line names but the first column, which has no name in the line above."""
    return len(cells) > 1 and bool(cells[0]) and not any(cells[1:]) and not above[0] and all(above[1 : len(cells)])


def _text_above(lines: Sequence[_CellLine], block: list[_CellLine]) -> list[_CellLine]:
    """Return the lines of text directly above the rows that may name columns, in order."""
    width = len(block[0].cells)
    before = [line for line in lines if line.number < block[0].number]
    above: list[_CellLine] = []
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


def _is_heading(line: _CellLine, rows: Sequence[_CellLine]) -> bool:
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


def _is_units(line: _CellLine) -> bool:
    """Tell whether a line may be one of units."""
    cells = [cell for cell in line.cells if cell]
    return bool(cells) and all(_UNIT.fullmatch(cell) for cell in cells)


def _clean_units(cells: Sequence[str]) -> tuple[str, ...]:
    units = (re.sub(r"^[\[(](.*)[\])]$", r"\1", cell).strip() for cell in cells)
    return tuple("" if unit in ("-", "–", "1") else unit for unit in units)


def _names_in_comment(
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
            if len(names) == width and all(look(name) == "word" for name in names):
                return names, number
    return None


def _of_text(
    lines: Sequence[_CellLine], separator: str, signs: tuple[str, ...], choices: LayoutChoices
) -> tuple[tuple[float, ...], TextLayout]:
    """Return the layout of a table without numbers: the first line has the names."""
    heading = next((line for line in lines if choices.names in (None, line.number)), None)
    rows = [line for line in lines if heading is None or line.number > heading.number]
    names = heading.cells if heading is not None and choices.names != 0 else ()
    width = len(rows[0].cells) if rows else len(names)
    same = sum(len(line.cells) == len(names) for line in rows)
    result = TextLayout(
        separator,
        names,
        heading.number if heading is not None and names else None,
        (),
        rows[0].number if rows else (heading.number + 1 if heading is not None else 1),
        width,
        comments=signs,
        is_text=True,
    )
    return (width > 1 and same == len(rows), 0.0, separator != " "), result
