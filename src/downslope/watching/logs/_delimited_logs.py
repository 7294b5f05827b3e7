"""Logs as tables in plain text: Lightning's `metrics.csv`, Keras' CSVLogger, YOLO's `results.csv`, any other.

Lightning writes a row for each set of names that was logged at once, and leaves the other cells empty; Keras writes
`NA` there. Headers may be padded, cells may be the text of a tensor, and files that pandas wrote hold NaN for nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

import numpy as np

from downslope.watching.logs._layouts import MODES, ROWS, flat, is_long, named_by_run, rows_by_step
from downslope.watching.logs._log import Log, LogColumn, as_number, columns_of, refusal, without_gaps
from downslope.watching.logs._names import parse

_DELIMITERS = (",", "\t", ";", "|")
_RULE = re.compile(r"[\s|:+=-]+")
_TIME = re.compile(r"\d+(?::\d+)+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*%?\s*")
_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?\s*%?\s*")
_FIRST = 20  # rows that show whether a column says of which rows a number is
_FEW = 0.5  # of the cells of a column that hold something: one with fewer numbers is text


def is_table(text: str) -> bool:
    """Tell whether a text begins with a header, and goes on with rows of as many cells, most of them numbers."""
    lines = [line for line in _unframed(text[:8000].splitlines()) if line.strip() and not line.startswith("#")][:6]
    if not lines:
        return False
    delimiter = _delimiter(lines)
    header = _headings(lines[:2], delimiter)
    if len(header) < 2 and delimiter is not None:
        return False
    names = [cell for cell in header if re.search(r"[A-Za-z]", cell)]
    if len(names) < max(len([cell for cell in header if cell]) * 0.6, 1) or any(
        as_number(cell) is not None for cell in header
    ):
        return False
    rows = [_split(line, delimiter) for line in lines[1:4]]
    if delimiter is None:  # words between blanks are a table only if all below them are numbers, or times
        return all(len(row) == len(header) and all(_is_number_or_time(cell) for cell in row) for row in rows)
    return all(
        len(row) <= len(header) + 1 and any(as_number(_with_point(cell, delimiter)) is not None for cell in row)
        for row in rows
    )


def _unframed(lines: list[str]) -> list[str]:
    """Return the lines of a table without the frame that Markdown has around it, and below its header.

    >>> _unframed(["| epoch | loss |", "|---|:-:|", "| 1 | 0.5 |"])
    [' epoch | loss ', ' 1 | 0.5 ']
    """
    first = next((line.strip() for line in lines if line.strip()), "")
    if len(first) < 2 or not (first[0] == first[-1] == "|"):
        return lines
    return [line.strip().strip("|") for line in lines if not _RULE.fullmatch(line)]


def _headings(lines: Sequence[str], delimiter: str | None) -> list[str]:
    """Return the header of a table, the first of its lines: between blanks, it has as many cells as the next.

    >>> _headings(["Epoch  Train Loss  Val Loss", "    1        2.01      1.93"], None)
    ['Epoch', 'Train Loss', 'Val Loss']
    """
    header = _split(lines[0], delimiter)
    if delimiter is None and len(lines) > 1 and len(header) != len(lines[1].split()):
        apart = re.split(r"\s{2,}", lines[0].strip())
        return apart if len(apart) == len(lines[1].split()) else header
    return header


def _is_number_or_time(cell: str) -> bool:
    """Tell whether a cell is a number or a time such as `01:07`."""
    return as_number(cell) is not None or _TIME.fullmatch(cell) is not None


def read_table(name: str, text: str) -> Log:
    """Return the log of a table in plain text."""
    lines = _unframed(text.splitlines())
    start = next((index for index, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if start is None:
        raise refusal(name, "is empty")
    delimiter = _delimiter(lines[start : start + 6])
    header = [cell.strip() for cell in _headings(lines[start : start + 2], delimiter)]
    rows = list(_rows(lines[start + 1 :], delimiter, header))
    if not rows and not any(parse(heading).quantity for heading in header):
        raise refusal(name, "has no rows of numbers")
    if is_long(header):
        pairs = (zip(header, row, strict=False) for row in rows)
        cells_by_name = ({key: _with_point(cell, delimiter) for key, cell in row} for row in pairs)
        length, columns = columns_of(rows_by_step(name, cells_by_name))
        return Log("a table of measurements", length, columns)
    modes = [heading for heading in header if heading.lower() in MODES]
    if modes and any(
        row[header.index(modes[0])].strip().lower() in ROWS for row in rows[:_FIRST] if len(row) == len(header)
    ):
        mappings = ({key: _with_point(cell, delimiter) for key, cell in zip(header, row, strict=False)} for row in rows)
        length, columns = columns_of(map(flat, mappings))
        return Log("a table", length, columns)
    columns = {}
    for index, heading in enumerate(header):
        if heading and heading not in columns:
            column = _column([row[index].strip() if index < len(row) else "" for row in rows], delimiter)
            if column is not None:
                columns[heading] = column
    columns, runs = named_by_run(columns)
    lightning = {"epoch", "step"} <= set(header)
    return Log("Lightning" if lightning else "a table", len(rows), columns, runs=runs)


def _column(cells: list[str], delimiter: str | None) -> LogColumn | None:
    """Return the numbers of a column of text; None for one that holds other things."""
    try:  # most columns are full, and of plain numbers
        return without_gaps(LogColumn(np.arange(len(cells)), np.array([float(cell) for cell in cells])))
    except ValueError:
        pass
    filled = len(cells) - cells.count("")
    # A point in any cell says that commas are not decimal ones.
    decimal = delimiter != "," and not any("." in cell for cell in cells)
    numbers = [as_number(_with_point(cell, delimiter if decimal else ",")) if cell else None for cell in cells]
    known = [row for row, number in enumerate(numbers) if number is not None]
    if not known or len(known) < _FEW * filled:
        return None
    column = LogColumn(np.array(known, dtype=np.int64), np.array([numbers[row] for row in known], dtype=float))
    # A file that leaves cells empty means a NaN that it writes.
    return column if filled < len(cells) else without_gaps(column)


def _with_point(cell: str, delimiter: str | None) -> str:
    """Return a cell with a decimal point, and without marks between thousands.

    >>> _with_point("0,25 %", ";"), _with_point("12,500.5", ","), _with_point("a, b", ",")
    ('0.25 %', '12500.5', 'a, b')
    """
    if "," not in cell:
        return cell
    if delimiter != "," and _DECIMAL_COMMA.fullmatch(cell):
        return cell.replace(",", ".")
    return cell.replace(",", "") if _THOUSANDS.fullmatch(cell) else cell


def _delimiter(lines: Sequence[str]) -> str | None:
    """Return what separates the cells; None for blanks."""
    counts = {mark: min(line.count(mark) for line in lines[:2]) for mark in _DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else None


def _split(line: str, delimiter: str | None) -> list[str]:
    """Return the cells of a line."""
    if delimiter is None:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _rows(lines: Sequence[str], delimiter: str | None, header: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of cells; a header that is written again, as by a run that was resumed, is none."""
    if delimiter is None:
        cells: Iterator[list[str]] = (line.split() for line in lines)
    else:
        cells = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True)
    for row in cells:
        if not any(row) or not any(cell.strip() for cell in row):
            continue
        # Of a million rows few begin as the header does.
        if row[0].strip() != header[0] or [cell.strip() for cell in row] != list(header):
            yield row
