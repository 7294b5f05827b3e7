"""Lines of a table as cells: split by a separator, and what each cell looks like."""

from __future__ import annotations

import csv
import functools
import re
from dataclasses import dataclass

from downslope.tables._cells import Look, is_rule, look

_NUMBERS = re.compile(r"[-+\d.,;|'’\s]*\d[-+\d.,;|'’\s]*")


@dataclass(frozen=True)
class CellLine:
    """A line that is neither blank nor a comment, split into cells."""

    number: int
    cells: tuple[str, ...]

    @functools.cached_property
    def looks(self) -> tuple[Look, ...]:
        """The form of each cell."""
        return tuple(look(cell) for cell in self.cells)

    @property
    def values(self) -> int:
        """The number of cells that are values."""
        return self.looks.count("value")

    @property
    def words(self) -> int:
        """The number of cells that are words."""
        return self.looks.count("word")

    @property
    def pieces(self) -> int:
        """The number of cells that look like two numbers, which another separator would split."""
        return sum(_NUMBERS.fullmatch(cell) is not None for cell in self.cells if look(cell) == "word")

    @property
    def is_row(self) -> bool:
        """Whether it may be a row: it holds a value, or nothing but missing cells."""
        return self.values > 0 or (self.words == 0 and not all(map(is_rule, filter(None, self.cells))))


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


def without_remark(line: str, separator: str) -> str:
    """Return a line without the remark after # that follows a number in its last cell, as NumPy and gnuplot read it.

    >>> without_remark("1,2.5  # lamp off, again", ","), without_remark("1,lot 2 #5", ",")
    ('1,2.5', '1,lot 2 #5')
    """
    if "#" not in line or '"' in line:
        return line
    before = r"[ \t]" if separator == " " else re.escape(separator)
    match = re.search(rf"(?:^|{before})\s*[-+]?[\d.,]*\d[.]?(?:[eEdD][-+]?\d+)?(?=\s+#)", line)
    return line if match is None else line[: match.end()]
