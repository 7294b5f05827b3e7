"""Growing tables of numbers: rows are appended at a cost that does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from downslope._types import Columns


class GrowingColumns:
    """Columns of one length that rows are appended to.

    Each column is the beginning of a buffer with room to spare, so that a view of all rows copies nothing.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, columns: Columns) -> None:
        """Append rows; each time with the same columns, except that the first rows decide which these are."""
        if not self._rows:
            self._buffers = {name: np.array(column) for name, column in columns.items()}
            self._rows = _length(columns.values())
            return
        rows = self._rows + _length(columns.values())
        for name, column in columns.items():
            buffer = self._buffers[name] = _with_room(self._buffers[name], self._rows, rows)
            buffer[self._rows : rows] = column
        self._rows = rows

    def clear(self) -> None:
        """Forget all rows."""
        self._buffers, self._rows = {}, 0

    def since(self, first: int) -> dict[str, np.ndarray]:
        """Return the rows from `first` on, as views."""
        return {name: buffer[first : self._rows] for name, buffer in self._buffers.items()}

    @property
    def bytes(self) -> int:
        """The memory that all rows take."""
        return sum(column.nbytes for column in self.since(0).values())

    def last(self, name: str) -> np.ndarray:
        """Return the last entry of a column."""
        return self._buffers[name][self._rows - 1]

    def replace_last(self, name: str, value: float) -> None:
        """Replace the last entry of a column, here but not in the views of it."""
        self._buffers[name] = self._buffers[name][: self._rows].copy()
        self._buffers[name][-1] = value


class Measurements:
    """The evaluations of a training: one row a step at which anything was measured, NaN where a metric was not."""

    def __init__(self) -> None:
        self._steps = np.zeros(0, np.int64)
        self._columns: dict[str, np.ndarray] = {}
        self._rows = 0
        # By name: the lowest finite measurement, and how many finite ones came after it.
        self._best: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that was measured."""
        return tuple(self._columns)

    @property
    def last_step(self) -> int | None:
        """The step at which anything was measured last."""
        return int(self._steps[self._rows - 1]) if self._rows else None

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add what was measured at a step, which may lie before those of the last rows."""
        row = int(np.searchsorted(self._steps[: self._rows], step))
        if row == self._rows or self._steps[row] != step:
            self._insert(row, step)
        for name, value in metrics.items():
            if name not in self._columns:
                self._columns[name] = np.full(len(self._steps), np.nan)
            in_order = not np.any(np.isfinite(self._columns[name][row : self._rows]))
            self._columns[name][row] = value
            if not in_order:
                self._best.pop(name, None)
            elif name in self._best and np.isfinite(value):
                lowest, after = self._best[name]
                self._best[name] = (value, 0) if value < lowest else (lowest, after + 1)

    def since_best(self, name: str) -> int:
        """Return how many evaluations came after the lowest finite measurement of a name."""
        if name not in self._best:
            values = self._columns.get(name, np.zeros(0))[: self._rows]
            values = values[np.isfinite(values)]
            if not len(values):
                return 0
            best = int(np.argmin(values))
            self._best[name] = (float(values[best]), len(values) - 1 - best)
        return self._best[name][1]

    def columns(self, first: int = 0, names: Iterable[str] | None = None) -> Columns:
        """Return the rows from `first` on: `step`, and the metrics of these names, or of all."""
        rows = slice(first, self._rows)
        unknown = np.full(self._rows, np.nan)
        wanted = self.names if names is None else names
        metrics = {name: self._columns.get(name, unknown)[rows].copy() for name in wanted}
        return {"step": self._steps[rows].copy(), **metrics}

    def cut_after(self, step: int) -> None:
        """Remove the rows after a step."""
        self._rows = int(np.searchsorted(self._steps[: self._rows], step, side="right"))
        self._best.clear()

    def _insert(self, row: int, step: int) -> None:
        """Insert a row in which nothing was measured yet."""
        rows = self._rows
        self._steps = _with_room(self._steps, rows, rows + 1)
        self._steps[row + 1 : rows + 1] = self._steps[row:rows]
        self._steps[row] = step
        for name, column in self._columns.items():
            buffer = self._columns[name] = _with_room(column, rows, rows + 1)
            buffer[row + 1 : rows + 1] = buffer[row:rows]
            buffer[row] = np.nan
        self._rows = rows + 1


def _with_room(buffer: np.ndarray, used: int, rows: int) -> np.ndarray:
    """Return a buffer that has room for so many rows and begins with the used ones."""
    if rows <= len(buffer):
        return buffer
    # By half again, so that appending n rows copies at most 3n; the spare room takes no memory before it is written.
    grown = np.empty((max(rows, len(buffer) + len(buffer) // 2, 16), *buffer.shape[1:]), buffer.dtype)
    grown[:used] = buffer[:used]
    return grown


def _length(columns: Iterable[np.ndarray]) -> int:
    """Return the number of rows of columns."""
    return next((len(column) for column in columns), 0)
