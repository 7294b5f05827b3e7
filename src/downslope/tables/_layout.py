"""The layout of a table in plain text, from its first lines: the lines of names and rows, and the separator.

A pure function from lines to a `TextLayout`. The rows themselves are parsed by Polars.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from downslope.tables._cell_lines import CellLine, split, without_remark
from downslope.tables._cells import is_missing
from downslope.tables._headings import Names, names_above, names_in_comment, with_groups

SAMPLE = 200  # lines from which the layout is read
SEPARATORS = {"tab": "\t", "semicolon": ";", "bar": "|", "comma": ",", "blanks": " "}
COMMENTS = ("#", "%", "//", "!")
_FEWEST_SHORT = 2  # rows that end early, from which on that is a habit of the program that wrote them
_MOST_FULL = 5  # rows of which one ends early at least
_MOST_TRIMMED = 2  # cells that a row may lack
_SEP_LINE = re.compile(r"[ ]*\"?sep=(.)\"?[ \r]*", re.IGNORECASE)


@dataclass(frozen=True)
class TextLayout:
    """The positions of the parts of a table in its lines.

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
        may_end_early: whether rows may lack their last cells, separators included, as where a program trims lines.
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
    may_end_early: bool = False


@dataclass(frozen=True)
class LayoutChoices:
    """The user's choices of the layout; None for automatic detection.

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
    lines = [CellLine(number, split(without_remark(line, separator), separator)) for number, line in kept]
    return _laid_out(lines, separator, choices, signs, comments)


def layout_of_cells(rows: Sequence[Sequence[str]], choices: LayoutChoices | None = None) -> TextLayout:
    """Return the layout of the first rows of a sheet, whose cells are apart already.

    >>> layout_of_cells([("Cooling", ""), ("t", "T"), ("min", "°C"), ("0", "80"), ("1", "62")]).units
    ('min', '°C')
    """
    choices = choices or LayoutChoices()
    lines = [CellLine(number, tuple(row)) for number, row in enumerate(rows, start=1) if number > (choices.skip or 0)]
    return _laid_out(lines, "", choices)[1]


def _laid_out(
    lines: Sequence[CellLine],
    separator: str,
    choices: LayoutChoices,
    signs: tuple[str, ...] = (),
    comments: Sequence[tuple[int, str]] = (),
) -> tuple[tuple[float, ...], TextLayout]:
    """Return the layout of lines that are split into cells, and how good it is."""
    lines = _without_trailing([line for line in lines if any(line.cells)])
    lines, may_end_early = _completed(lines) if separator != " " else (lines, False)
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
        commented = names_in_comment(comments, separator, signs, width, rows[0].number)
        names, names_line = commented or (None, None)
    group_line = None
    if names is not None and choices.names is None:
        names, group_line = with_groups(lines, names, names_line)
    # One word above two columns of numbers is a title: as a name it would cost the first of them.
    if names is not None and choices.names is None and len(names) == 1 < width and rows[0].looks[0] != "word":
        names, names_line = None, None
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
        may_end_early=may_end_early,
    )
    fit = 0 if names is None else 2 if len(names) == width and not has_row_names else int(agrees)
    return (width > 1, score if agrees else score / 2, fit), result


def _without_trailing(lines: Sequence[CellLine]) -> list[CellLine]:
    """Return lines without the cells after trailing separators, which no row fills; some lines may lack them."""
    rows = [line for line in lines if line.is_row]
    width = max((_filled(line.cells) for line in rows), default=0)
    # A column that is empty in every row is one all the same if it has a name.
    named = (_names_so_many(line) for line in lines if not line.is_row)
    width = max(width, *(names for names in named if 2 * sum(len(row.cells) >= names for row in rows) > len(rows)), 0)
    return [
        line if len(line.cells) <= width else CellLine(line.number, line.cells[: max(width, _filled(line.cells))])
        for line in lines
    ]


def _names_so_many(line: CellLine) -> int:
    """Return the number of columns that a line may name: its words, one in each of its first cells."""
    filled = _filled(line.cells)
    return filled if line.words == filled else 0


def _completed(lines: Sequence[CellLine]) -> tuple[Sequence[CellLine], bool]:
    """Return lines whose rows have an empty cell for each that they lack at their end, and whether any did.

    Programs that trim their lines leave out the last cells where nothing is in them. A single row that ends early, as
    the last one of a logger that was switched off, is not completed: the reader refuses it.
    """
    rows = [line for line in lines if line.is_row]
    width = max((len(row.cells) for row in rows), default=0)
    first = next((index for index, line in enumerate(lines) if line.is_row), 0)
    heading = _names_so_many(lines[first - 1]) if first else 0
    short = [row for row in rows if len(row.cells) < heading]
    is_trimmed = len(short) >= _FEWEST_SHORT and len(short) * _MOST_FULL >= len(rows)
    if not is_trimmed or width > heading or min(len(row.cells) for row in short) < max(2, heading - _MOST_TRIMMED):
        return lines, False
    return [
        line
        if not line.is_row or len(line.cells) >= heading
        else CellLine(line.number, (*line.cells, *[""] * (heading - len(line.cells))))
        for line in lines
    ], True


def _filled(cells: Sequence[str]) -> int:
    """Return how many cells there are up to the last that is not empty."""
    return max((number for number, cell in enumerate(cells, start=1) if cell), default=0)


def _block(lines: Sequence[CellLine], choices: LayoutChoices) -> list[CellLine]:
    """Return the run of rows of one width that holds the most values, with those above that remarks part from it."""
    least = max(choices.names or 0, choices.units or 0)
    runs: list[list[CellLine]] = []
    run: list[CellLine] = []
    for line in (*lines, None):
        row = line if line is not None and line.is_row and line.number > least else None
        if row is not None and (not run or len(row.cells) == len(run[0].cells)):
            run.append(row)
            continue
        runs += [run] if run else []
        run = [] if row is None else [row]
    values = [sum(row.values for row in run) * (1.0 if len(run[0].cells) > 1 else 0.3) for run in runs]
    most = max(values, default=0)
    if most <= 0:
        return []
    index = max(number for number, value in enumerate(values) if value == most)
    block = runs[index]
    while index and _is_parted_by_remarks(runs[index - 1], block, lines):
        index -= 1
        block = runs[index] + block
    return _from_its_beginning(block, lines, least)


def _is_parted_by_remarks(above: list[CellLine], block: list[CellLine], lines: Sequence[CellLine]) -> bool:
    """Tell whether two runs are of one table: rows of one kind, and no names of another table between them.

    The reader refuses a remark between rows, or takes its cells for missing; rows would be lost if it began below.
    """
    between = [line for line in lines if above[-1].number < line.number < block[0].number]
    if not between or len(above[0].cells) != len(block[0].cells) or not _is_of_kind(above[-1], block[0]):
        return False
    heading = next((line.cells for line in reversed(lines) if line.number < above[0].number), ())
    if any(_names_another_table(line, len(block[0].cells), heading) for line in between):
        return False
    return len(above) > 1 or bool(heading)


def _is_of_kind(row: CellLine, other: CellLine) -> bool:
    return all(look == below or "missing" in (look, below) for look, below in zip(row.looks, other.looks, strict=True))


def _names_another_table(line: CellLine, width: int, heading: Sequence[str]) -> bool:
    """Tell whether a line between rows may name columns: as many different words, other than those of the first."""
    words = [cell for cell in line.cells if cell]
    return width - 1 <= len(words) == len({*words}) > 1 and line.words == len(words) and line.cells != heading


def _from_its_beginning(block: list[CellLine], lines: Sequence[CellLine], least: int) -> list[CellLine]:
    """Return a run of rows with those above that only a row of another width parts from it; the reader refuses that."""
    if not block:
        return block
    before = [line for line in lines if least < line.number < block[0].number]
    above: list[CellLine] = []
    for line in reversed(before):
        if not line.is_row:
            break
        above.insert(0, line)
    width = len(block[0].cells)
    while above and len(above[0].cells) != width:
        above.pop(0)
    return above + block


def _names(lines: Sequence[CellLine], block: list[CellLine], choices: LayoutChoices) -> Names:
    """Return the names and units of the columns, as the person says or as the lines show."""
    units = next((line.cells for line in lines if choices.units and line.number == choices.units), ())
    if choices.names is not None:
        names = next((line.cells for line in lines if line.number == choices.names), None)
        skipped = [line.number for line in lines if choices.names < line.number < block[0].number]
        return Names(names, choices.names or None, units, skipped, block)
    names = names_above(lines, block)
    return names._replace(units=units or names.units)


def _of_text(
    lines: Sequence[CellLine], separator: str, signs: tuple[str, ...], choices: LayoutChoices
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
