"""The result of a format's reader: columns as they are in the file, and how it was understood."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import DataError, SettingError, described, nearest
from downslope._types import Plain
from downslope.tables._cells import is_missing, is_total, look
from downslope.tables._layout import SEPARATORS, LayoutChoices, TextLayout
from downslope.tables._numbers_in_text import CellRules

if TYPE_CHECKING:
    import polars

_MOST_COLUMNS = 10_000  # each takes a millisecond to read
_UNNAMED = "Unnamed: "  # how pandas calls a column without a name when it writes it again


def footer_note(line: int, begin: str) -> str:
    """Return in words that what stands after the rows was left out, from a line on that begins with a cell."""
    name = f" ({begin})" if is_total(begin, among_values=True) else ""
    return f"text after the table left out, from line {line} on{name}"


@dataclass(frozen=True)
class RawTable:
    """Columns as they are in a file.

    Args:
        columns: of text, where the format has no types, or of numbers, dates and truths.
        numbers: where each column stands in the file, counted from 1; () for 1, 2, ….
        units: from a row of units, "" where there is none; () without such a row.
        lines: the line of each row, counted from 1; None where there are no lines.
        read: how the file was understood, as plain data.
        notes: what was decided that is not the usual, in words.
    """

    columns: tuple[polars.Series, ...]
    numbers: tuple[int, ...] = ()
    units: tuple[str, ...] = ()
    lines: np.ndarray | None = None
    read: Plain = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadChoices:
    """The user's choices for a table; None for automatic detection.

    Args:
        separator: between cells: comma, semicolon, tab, bar, blanks, or the sign itself.
        decimal: point or comma.
        thousands: the separator of thousands: `,`, `.`, `'`, a blank, or none.
        names: the line with the names, counted from 1; 0 or none where there is none.
        units: the line with the units; 0 or none where there is none.
        skip: how many lines to skip before anything is read.
        comment: the sign with which lines of comments begin; none where there are none.
        encoding: of the text: utf-8, cp1252, utf-16, …
        sheet: the name of the sheet, or its number, counted from 1.
        index: whether an unnamed first column that counts the rows is left aside.
        dates: day first or month first.
        missing: further spellings or numbers of missing cells.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    names: int | None = None
    units: int | None = None
    skip: int | None = None
    comment: str | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    index: bool | None = None
    dates: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def cells(self) -> CellRules:
        """The choices for the cells."""
        decimal = "comma" if self.decimal == "comma" else None if self.decimal is None else "point"
        return CellRules(decimal, self.thousands, self.missing, self.dates)

    @property
    def layout(self) -> LayoutChoices:
        """The choices for the lines."""
        return LayoutChoices(self.separator, self.names, self.skip, self.units, self.comment)


_NAMES = {"decimal": ("point", "comma"), "dates": ("day first", "month first")}
_SIGNS = {"decimal": {".": "point", ",": "comma"}, "dates": {"dmy": "day first", "mdy": "month first"}}
_THOUSANDS = {"comma": ",", "point": ".", "apostrophe": "'", "blank": " ", "blanks": " ", "none": "none"}


def read_choices(choices: Mapping[str, Any]) -> ReadChoices:
    """Return the user's choices for a table, checked.

    Raises:
        SettingError: for an unknown choice, or a value that it cannot have.
    """
    known = [choice.name for choice in fields(ReadChoices)]
    checked: dict[str, Any] = {}
    for name, value in choices.items():
        if name not in known:
            close = nearest(str(name), known)
            raise SettingError(
                f"a table has no choice {name!r}",
                hint=f"did you mean {close}?" if close else f"choices are {', '.join(known)}",
            )
        if value is not None:
            checked[name] = _checked(name, value)
    return ReadChoices(**checked)


def _checked(name: str, value: Any) -> Any:
    """Return the value of a choice."""
    text = str(value).strip()
    if name == "missing":
        several = value.tolist() if isinstance(value, np.ndarray) else value
        several = several if isinstance(several, list | tuple | set | frozenset) else [several]
        return tuple(str(entry).strip() for entry in several)
    if name in ("names", "units", "skip"):
        if text.lower() == "none" or value is False:
            return 0
        if not text.isdecimal():
            raise SettingError(f"{name} is a number of a line, or none, not {described(value)}")
        return int(text)
    if name == "index":
        if text.lower() not in ("true", "false", "keep", "drop"):
            raise SettingError(f"index is true or false, not {described(value)}")
        return text.lower() in ("true", "drop")
    if name in _NAMES:
        meant = _SIGNS[name].get(text.lower(), text.lower())
        if meant not in _NAMES[name]:
            raise SettingError(f"{name} is {' or '.join(_NAMES[name])}, not {described(value)}")
        return meant
    if name == "thousands":
        return _THOUSANDS.get(text.lower(), str(value))
    if name == "separator":
        sign = SEPARATORS.get(text.lower(), "\t" if value == "\\t" else str(value))
        if len(sign) != 1:
            raise SettingError(
                f"a separator is one sign, not {described(value)}", hint=f"or one of {', '.join(SEPARATORS)}"
            )
        return sign
    return value if name == "sheet" else text


def check_width(source: str, columns: int) -> None:
    """Raise for more columns than a table has.

    Raises:
        DataError: naming how many there are.
    """
    if columns > _MOST_COLUMNS:
        raise DataError(f"{source} has {columns} columns, and a table may have {_MOST_COLUMNS}")


def assembled(
    source: str,
    cells: Sequence[polars.Series],
    shape: TextLayout,
    lines: np.ndarray,
    choices: ReadChoices,
    said: Sequence[str] = (),
) -> RawTable:
    """Return the columns of a table in rows of cells: named, without those that are empty, and without an index.

    Args:
        source: the name of the file, for errors.
        cells: one series for each cell of a row.
        shape: where the parts of the table stand.
        lines: the line of each row.
        choices: what the person says about the table.
        said: what was decided before, in words.
    """
    notes = [*_skipped_words(shape), *said]
    names = [_visible(name) for name in shape.names] or [""] * len(cells)
    if len(names) > len(cells):
        raise DataError(
            f"{source}: {len(names)} names in line {shape.names_line}, but {len(cells)} cells in a row",
            hint="give the line that holds the names: table={'names': 3}",
        )
    if shape.has_row_names:
        names.insert(0, "")
    units = list(shape.units) or [""] * len(cells)
    kept: list[tuple[int, polars.Series, str]] = []
    called: list[str] = []
    for number, (name, column, unit) in enumerate(zip(names, cells, units, strict=True), start=1):
        is_unnamed = not name or name.startswith(_UNNAMED)
        if is_unnamed and _is_empty(column):
            continue
        is_index = shape.has_row_names or (is_unnamed and bool(shape.names) and choices.index is not False)
        if number == 1 and is_index and (shape.has_row_names or _counts(column)):
            notes.append("column 1 is an index, left aside")
            continue
        if is_unnamed:
            name = f"column_{number}"
            called.append(name)
        kept.append((number, column.alias(name), unit))
    if called:
        have = "the columns have no names" if len(called) == len(kept) else f"{len(called)} without a name"
        last = f" to {called[-1]}" if len(called) > 1 else ""
        notes.append(f"{have}: called {called[0]}{last}")
    read: dict[str, Any] = {
        "separator": next((name for name, sign in SEPARATORS.items() if sign == shape.separator), shape.separator),
        "names": shape.names_line,
        "first_row": shape.first_row,
        "skipped": list(shape.above),
        "units": {column.name: unit for _, column, unit in kept if unit},
        "comments": list(shape.comments),
    }
    return RawTable(
        tuple(column for _, column, _ in kept),
        tuple(number for number, _, _ in kept),
        tuple(unit for _, _, unit in kept),
        lines,
        read,
        tuple(notes),
    )


_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff\u00ad]")
_BLANK_SIGNS = re.compile("[\u00a0\u2007\u2009\u202f]")


def _visible(name: str) -> str:
    """Return a name as it is seen and can be typed: without signs of no width, and with plain blanks."""
    return name if name.isascii() else _BLANK_SIGNS.sub(" ", _INVISIBLE.sub("", name)).strip()


def _skipped_words(shape: TextLayout) -> list[str]:
    """Return which lines above the rows were skipped, in words."""
    words = []
    begin = shape.names_line if shape.names_line is not None else shape.first_row
    if begin > 1 and shape.names:
        both = f"lines {shape.group_line} and {begin}" if shape.group_line else f"line {begin}"
        words.append(f"names in {both}")
    elif begin > 1:
        words.append(f"rows from line {begin} on")
    if shape.above:
        numbers = " and ".join(map(str, shape.above))
        what = "units" if shape.units else "text"
        words.append(f"line{'s' if len(shape.above) > 1 else ''} {numbers} skipped ({what})")
    return words


def _is_empty(column: polars.Series) -> bool:
    return all(cell is None or not str(cell).strip() for cell in column.unique().head(50).to_list())


def _counts(column: polars.Series) -> bool:
    """Tell whether a column counts its rows from 0 or 1, or holds words."""
    import polars

    numbers = column.cast(polars.Float64, strict=False)
    if numbers.null_count():
        first = column.drop_nulls().head(50).to_list()
        return bool(first) and all(look(str(cell)) == "word" or is_missing(str(cell)) for cell in first)
    begin = numbers[0]
    return begin in (0, 1) and bool((numbers.to_numpy() == begin + np.arange(len(numbers))).all())


def with_notes(raw: RawTable, *notes: str) -> RawTable:
    """Return the columns with further notes."""
    return replace(raw, notes=(*raw.notes, *notes))
