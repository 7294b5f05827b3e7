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

from downslope.watching.logs._log import Log, LogColumn, as_number, refusal, without_gaps
from downslope.watching.logs._names import parse

_DELIMITERS = (",", "\t", ";", "|")
_FEW = 0.5  # of the cells of a column that hold something: one with fewer numbers is text


def is_table(text: str) -> bool:
    """Tell whether a text begins with a header, and goes on with rows of as many cells, most of them numbers."""
    lines = [line for line in text[:8000].splitlines() if line.strip()][:6]
    if not lines:
        return False
    delimiter = _delimiter(lines)
    header = _split(lines[0], delimiter)
    if len(header) < 2 and delimiter is not None:
        return False
    names = [cell for cell in header if re.search(r"[A-Za-z]", cell)]
    if len(names) < max(len([cell for cell in header if cell]) * 0.6, 1) or any(
        as_number(cell) is not None for cell in header
    ):
        return False
    rows = [_split(line, delimiter) for line in lines[1:4]]
    if delimiter is None:  # words between blanks are a table only if all below them are numbers
        return all(len(row) == len(header) and all(as_number(cell) is not None for cell in row) for row in rows)
    return all(len(row) <= len(header) + 1 and any(as_number(cell) is not None for cell in row) for row in rows)


def read_table(name: str, text: str) -> Log:
    """Return the log of a table in plain text."""
    lines = text.splitlines()
    start = next((index for index, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if start is None:
        raise refusal(name, "is empty")
    delimiter = _delimiter(lines[start : start + 6])
    header = [cell.strip() for cell in _split(lines[start], delimiter)]
    rows = list(_rows(lines[start + 1 :], delimiter, header))
    if not rows and not any(parse(heading).quantity for heading in header):
        raise refusal(name, "has no rows of numbers")
    columns = {}
    for index, heading in enumerate(header):
        if not heading or heading in columns:
            continue
        cells = [row[index].strip() if index < len(row) else "" for row in rows]
        filled = [cell for cell in cells if cell]
        numbers = [as_number(cell) for cell in cells]
        known = [row for row, number in enumerate(numbers) if number is not None]
        if not known or len(known) < _FEW * len(filled):
            continue
        column = LogColumn(np.array(known, dtype=np.int64), np.array([numbers[row] for row in known], dtype=float))
        # A file that leaves cells empty means a NaN that it writes.
        columns[heading] = column if len(filled) < len(cells) else without_gaps(column)
    lightning = {"epoch", "step"} <= set(header)
    return Log("Lightning" if lightning else "a table", len(rows), columns)


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
        if any(cell.strip() for cell in row) and [cell.strip() for cell in row] != list(header):
            yield row
