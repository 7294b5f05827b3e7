"""The result of a log's reader: numbers by name, each with the row of the file that it came from.

Columns of a log are rarely measured in every row, and NaN is a measurement. So a column is a list of rows and of
numbers; a row without a number is in neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from downslope._errors import DataError
from downslope.trace import TracePlan

_TORN = 3  # gaps of NaN between finite numbers, from which NaN is how a file writes that nothing was measured
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)
_WRAPPED = re.compile(rf"\s*(?:\w+\.)*\w+\(\s*\[?\s*({NUMBER.pattern})\s*[\].,)]", re.IGNORECASE)
_ABSENT = frozenset({"", "na", "n/a", "none", "null", "-", "--", "<na>"})


class LogColumn(NamedTuple):
    """A column of a log.

    Args:
        rows: the rows of the file in which it has a number, ascending.
        numbers: as many.
    """

    rows: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class Log:
    """The numbers of a log.

    Args:
        kind: what wrote it, in words.
        length: the rows of the file.
        columns: by the names that they have there.
        plan: what the log says was to be done.
        caveats: what of the file could not be read.
        axis: the column that counts the steps, where the format says which.
        means_of: steps that each row is the mean of; None where the log does not say.
        runs: the runs that the columns are of, where they are of several.
    """

    kind: str
    length: int
    columns: Mapping[str, LogColumn]
    plan: TracePlan = field(default_factory=TracePlan)
    caveats: tuple[str, ...] = ()
    axis: str | None = None
    means_of: int | None = None
    runs: tuple[str, ...] = ()


def columns_of(rows: Iterable[Mapping[str, float]]) -> tuple[int, dict[str, LogColumn]]:
    """Return the number of rows and the columns of rows that hold numbers by name.

    >>> length, columns = columns_of([{"loss": 2.0}, {"step": 5, "loss": 1.0}])
    >>> length, columns["step"].rows.tolist(), columns["loss"].numbers.tolist()
    (2, [1], [2.0, 1.0])
    """
    rows_by_name: dict[str, list[int]] = {}
    numbers: dict[str, list[float]] = {}
    length = 0
    for row in rows:
        for name, number in row.items():
            rows_by_name.setdefault(name, []).append(length)
            numbers.setdefault(name, []).append(number)
        length += 1
    return length, {
        name: LogColumn(np.array(where, dtype=np.int64), np.array(numbers[name], dtype=float))
        for name, where in rows_by_name.items()
    }


def as_number(cell: object) -> float | None:
    """Return a cell as a number: also `tensor(0.3, device='cuda:0')` and `47 %`; None for nothing and for words.

    >>> [as_number(cell) for cell in ("tensor(0.3, grad_fn=<NllLossBackward0>)", "47 %", "NaN", "", "two", 3)]
    [0.3, 0.47, nan, None, None, 3.0]
    """
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float):
        return float(cell) if abs(cell) < 1e308 or cell != cell or isinstance(cell, float) else None
    text = str(cell).strip()
    try:  # nearly every cell, and the fastest
        return float(text)
    except ValueError:
        pass
    if text.lower() in _ABSENT:
        return None
    wrapped = _WRAPPED.match(text)
    if wrapped:
        text = wrapped.group(1)
    share = text.endswith("%")
    text = text.rstrip("% ").strip("[]")
    if not NUMBER.fullmatch(text):
        return None
    return float(text) / 100 if share else float(text)


def without_gaps(column: LogColumn) -> LogColumn:
    """Return a column of a file that has no other way to leave a cell empty than NaN, without such cells.

    A loss that is NaN stays NaN. So NaN between finite numbers, again and again, was not measured; what follows the
    last finite number was, where it is longer than any gap before.
    """
    bad = np.isnan(column.numbers)
    finite = np.flatnonzero(~bad)
    if not len(finite) or not bad.any():
        return column
    gaps = np.diff(finite, prepend=-1) - 1
    if np.count_nonzero(gaps) < _TORN:
        return column
    ends = len(bad) - 1 - finite[-1]
    kept = ~bad
    if ends > gaps.max():
        kept[finite[-1] + 1 :] = True
    return LogColumn(column.rows[kept], column.numbers[kept])


def spread(lists: Mapping[str, Sequence[object]]) -> tuple[int, dict[str, LogColumn]]:
    """Return the number of rows and the columns of lists by name: shorter ones at even distances, as of epochs.

    >>> length, columns = spread({"loss": [4, 3, 2, 1], "val_loss": [3.5, 1.5]})
    >>> length, columns["val_loss"].rows.tolist()
    (4, [1, 3])
    """
    length = max(map(len, lists.values()), default=0)
    columns = {}
    for name, cells in lists.items():
        numbers = [as_number(cell) for cell in cells]
        known = [index for index, number in enumerate(numbers) if number is not None]
        if not known:
            continue
        # An evaluation comes at the end of the rows that it is of.
        rows = np.array([((index + 1) * length) // len(cells) - 1 for index in known], dtype=np.int64)
        columns[name] = LogColumn(rows, np.array([numbers[index] for index in known], dtype=float))
    return length, columns


def refusal(name: str, reason: str, hint: str | None = None) -> DataError:
    """Return the error for a file that is no log, or none that can be read."""
    return DataError(f"{name} {reason}", hint=hint)
