"""Cells that hold nothing or infinity: refused, left out with their rows, or filled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from downslope._errors import DataError, SettingError, nearest
from downslope._types import Columns
from downslope.networks.data._raw import RawData
from downslope.tables import is_missing

WAYS = ("refuse", "drop", "mean")


def check_way(missing: str) -> None:
    """Raise for a way to treat missing cells that is not known."""
    if missing not in WAYS:
        close = nearest(str(missing), WAYS)
        raise SettingError(
            f"missing is {', '.join(map(repr, WAYS[:-1]))} or {WAYS[-1]!r}, not {missing!r}",
            hint=f"did you mean {close!r}?" if close else None,
        )


def treated(raw: RawData, missing: str) -> RawData:
    """Return raw data without the rows that cannot be used, and with notes of what happens to missing cells.

    Args:
        raw: inputs and targets.
        missing: "refuse" raises; "drop" leaves out the rows with missing cells; "mean" leaves out only those whose
            target is missing. The other cells are filled when they are encoded, with means of the rows trained on.

    Raises:
        DataError: for an infinite cell, for a missing one if it is refused, and where nothing is left.
    """
    check_way(missing)
    inputs = _holes(_columns(raw.inputs))
    targets = _holes(raw.targets)
    for name, hole in (*inputs.items(), *targets.items()):
        if missing == "refuse":
            refuse_missing(name, hole)
        _refuse_empty(name, hole)
    wanted = [*targets.values()] if missing == "mean" else [*inputs.values(), *targets.values()]
    lost = np.zeros(raw.rows, dtype=bool)
    for hole in wanted:
        lost |= rows_of(hole)
    if lost.all():
        raise DataError("no row is complete: every one has a missing cell", hint='missing="mean" fills them in')
    kept = raw.take(~lost) if lost.any() else raw
    filled = {name: int(hole[~lost].sum()) for name, hole in inputs.items()}
    return kept.noting(*_notes(raw, kept, filled, missing))


def _holes(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return which cells are missing, of the columns where any is; none may be infinite."""
    for name, column in columns.items():
        refuse_infinite(name, column)
    return {name: hole for name, column in columns.items() if (hole := missing_cells(column)).any()}


def _refuse_empty(name: str, hole: np.ndarray) -> None:
    """Raise for a column of which every cell is missing."""
    if hole.ndim < 3 and (empty := np.atleast_1d(hole.all(axis=0))).any():
        which = name or int(np.argmax(empty)) + 1
        raise DataError(f"column {which}: every cell is missing", hint=f"drop={name!r} leaves it out" if name else None)


def missing_cells(column: np.ndarray) -> np.ndarray:
    """Return which cells are missing, of the column's shape."""
    if column.dtype == object:
        return np.array([is_missing(cell) for cell in column], dtype=bool)
    return np.isnan(column)


def rows_of(hole: np.ndarray) -> np.ndarray:
    """Return the rows that have any missing cell, shape (rows,)."""
    return np.logical_or.reduce(hole.reshape(len(hole), -1), axis=1)


def refuse_missing(name: str, hole: np.ndarray, hint: str | None = None) -> None:
    """Raise at the first cell that is missing, if there is one."""
    if hole.any():
        raise DataError(
            f"{place_of(name, hole)} is missing ({int(hole.sum())} such in {_called(name)})",
            hint=hint or 'missing="drop" leaves these rows out; missing="mean" fills them in',
        )


def refuse_infinite(name: str, column: np.ndarray) -> None:
    """Raise at the first cell that is infinite, if there is one."""
    if column.dtype != object and (infinite := np.isinf(column)).any():
        raise DataError(
            f"{place_of(name, infinite)} is infinite ({int(infinite.sum())} such in {_called(name)})",
            hint="leave these rows out",
        )


def place_of(name: str, cells: np.ndarray) -> str:
    """Return the first of the marked cells in words, counted from 1; an array's column by its number."""
    row, *rest = (int(place) + 1 for place in np.argwhere(cells)[0])
    if not rest:
        return f"row {row}, column {name}: the cell"
    return (
        f"row {row}, column {rest[0]}: the number" if len(rest) == 1 else f"row {row}, pixel {tuple(rest)}: the number"
    )


def _columns(inputs: Columns | np.ndarray) -> Mapping[str, np.ndarray]:
    """Return the inputs as columns; an array is one without a name."""
    return {"": inputs} if isinstance(inputs, np.ndarray) else inputs


def _called(name: str) -> str:
    return f"column {name}" if name else "the inputs"


def _notes(raw: RawData, kept: RawData, filled: Mapping[str, int], missing: str) -> list[str]:
    """Return what happens to missing cells, as sentences."""
    notes = []
    if kept.rows < raw.rows:
        what = "a missing target" if missing == "mean" else "missing cells"
        lost = raw.rows - kept.rows
        notes.append(f"Rows left out for {what}: {lost} of {raw.rows}; {kept.rows} remain.")
    for name, count in filled.items():
        if count:
            text = name and _columns(raw.inputs)[name].dtype == object
            done = "a category of their own" if text else "filled with the mean of the others"
            notes.append(f"{name or 'inputs'}: missing cells, {count} of them, are {done}.")
    return notes
