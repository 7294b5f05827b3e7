"""The user's raw inputs and targets, before encoding; and their missing cells."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, SettingError, described, mapping, nearest
from downslope._numbers import refuse_complex, unmasked
from downslope._types import Columns
from downslope.networks.data._samples import sample, sample_names
from downslope.tables import Clock, Table, array_in, is_missing, read_table, table_suffixes


@dataclass(frozen=True, eq=False)
class RawData:
    """Inputs and targets, read but not encoded.

    Args:
        inputs: columns by name, numbers as float64 and text as objects, shape (rows,) each; or an array of numbers,
            shape (rows, features), (rows, height, width) or (rows, height, width, channels).
        targets: columns by name, shape (rows,) each: numbers as float64, text and truth values as objects.
        notes: sentences on what was read.
        clocks: how time is counted in the columns of dates among the inputs.
    """

    inputs: Columns | np.ndarray
    targets: Columns
    notes: tuple[str, ...] = field(default=())
    clocks: Mapping[str, Clock] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.targets.values())))

    def take(self, rows: np.ndarray) -> RawData:
        """Return some of the rows, by index or by mask."""
        inputs = self.inputs
        kept = inputs[rows] if isinstance(inputs, np.ndarray) else _rows_of(inputs, rows)
        return replace(self, inputs=kept, targets=_rows_of(self.targets, rows))

    def noting(self, *notes: str) -> RawData:
        """Return the data with further notes."""
        return replace(self, notes=self.notes + notes)


def _rows_of(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def raw_data(
    data: Any,
    target: str | Sequence[str] | None,
    drop: str | Sequence[str] = (),
    table: Mapping[str, Any] | None = None,
) -> RawData:
    """Return data as inputs and targets.

    Args:
        data: see `examples`.
        target: the column to predict, or several; None for a pair and for a sample.
        drop: columns to leave out.
        table: how a file is read, as `read_table` takes it.

    Raises:
        DataError: for data that cannot be read, and for columns that are not there.
    """
    notes: tuple[str, ...] = ()
    table = mapping("table", table, '{"decimal": "comma"}')
    # A name without the suffix of a table is that of a sample, unless a file is called so.
    if isinstance(data, str) and not os.path.isfile(data) and Path(data).suffix.lower() not in table_suffixes():
        shipped = sample(data)
        data, target, notes = shipped.data, shipped.target if target is None else target, (f"{shipped}.",)
    if target is not None and not isinstance(target, str) and (not is_table(data) or _is_column(target)):
        return _pair(data, target, drop)
    if is_table(data) and not (isinstance(data, tuple | list) and target is None):
        return _split(table_of(data, choices=table), target, drop).noting(*notes)
    if isinstance(data, tuple | list) and len(data) == 2:
        if target is not None:
            raise DataError("the pair already holds the targets", hint="leave the name of a target out")
        return _pair(data[0], data[1], drop).noting(*notes)
    raise DataError(
        "the targets are missing: data are a table and the name of its target, or a pair (inputs, targets)",
        hint=f'for example examples("houses.csv", "price"), examples((X, y)) or a sample: {", ".join(sample_names())}',
    )


def array_in_file(data: str | Path | Table, shape: tuple[int, ...]) -> np.ndarray:
    """Return the rows of a file of numbers as an array, shape (rows, *shape).

    Args:
        data: a file of NumPy, or any table, or one that was read.
        shape: of one row.

    Raises:
        DataError: if a row is not as many numbers.
    """
    name = "the table" if isinstance(data, Table) else Path(data).name
    if not isinstance(data, Table) and Path(data).suffix.lower() == ".npy":
        array = array_in(name, Path(data))
    else:
        table = read_table(data)
        words = [name for name, kind in table.kinds.items() if kind != "number"]
        if words:
            raise DataError(f"column {words[0]!r} does not hold numbers", hint="the network takes only numbers")
        array = np.stack(list(table.values()), axis=1)
    size = math.prod(shape)
    if array.ndim == 0 or math.prod(array.shape[1:]) != size:
        sides = " × ".join(map(str, shape))
        count = math.prod(array.shape[1:]) if array.ndim else 0
        raise DataError(f"a row has {count} numbers in {name}, and the network takes {sides}")
    return array.reshape(-1, *shape)


def is_table(data: Any) -> bool:
    """Tell whether data are columns with names."""
    named_fields = getattr(getattr(data, "dtype", None), "names", None) is not None
    rows = isinstance(data, list) and bool(data) and isinstance(data[0], Mapping)
    return (
        isinstance(data, str | Path | Mapping)
        or hasattr(data, "columns")
        or hasattr(data, "collect_schema")
        or named_fields
        or rows
    )


def _is_column(target: Any) -> bool:
    """Tell whether a target is a column itself, not a column's name."""
    return hasattr(target, "dtype") or hasattr(target, "columns") or isinstance(target, Mapping)


def table_of(data: Any, names: Sequence[str] | None = None, choices: Mapping[str, Any] | None = None) -> Table:
    """Return data as a table.

    Args:
        data: the path of a file, a frame, or a mapping of names to columns or, for a single row, to values.
        names: the columns that are wanted, of a frame or a mapping; None for all.
        choices: how a file is read, as `read_table` takes it.
    """
    if isinstance(data, str | Path | Table):
        return read_table(data, **(choices or {}))
    if not is_table(data):
        raise DataError(
            f"a table is a file, a mapping of columns or a frame, not {type(data).__name__}",
            hint="its columns need names" if names is None else f"name the columns: {', '.join(names)}",
        )
    if not isinstance(data, Mapping):
        return read_table(data, **(choices or {}))
    cells = {name: _cells(data[name]) for name in data if names is None or str(name) in names}
    return read_table(cells, **(choices or {})) if cells or names is None else Table(())


def _cells(values: Any) -> np.ndarray:
    """Return a column as an array, a single value as a column of one row."""
    try:
        return np.atleast_1d(unmasked(values))
    except ValueError:
        raise DataError("the rows of a column differ in shape") from None


def _pair(inputs: Any, targets: Any, drop: str | Sequence[str]) -> RawData:
    """Return a pair of inputs and targets as raw data."""
    target_table = table_of(targets if is_table(targets) else _named_targets(targets))
    read: Columns | np.ndarray
    clocks: Mapping[str, Clock] = {}
    if is_table(inputs):
        table = table_of(inputs)
        read = _without(table, _names(drop))
        clocks = clocks_of(table, read)
    else:
        read = array_of(inputs)
        if read.dtype == object:
            read = table_of({str(number): column for number, column in enumerate(read.T, start=1)})
            clocks = clocks_of(read, read)
        elif _names(drop):
            raise DataError("the columns of an array have no names to drop", hint="give a table, or X[:, kept]")
    rows = len(read) if isinstance(read, np.ndarray) else len(next(iter(read.values())))
    pair = RawData(read, _with_truths(target_table, list(target_table)), clocks=clocks)
    if rows != pair.rows:
        raise DataError(f"there are {rows} rows of inputs, but {pair.rows} of targets")
    return pair


def _named_targets(targets: Any) -> dict[str, np.ndarray]:
    """Return the columns of an array of targets by name."""
    array = _cells(targets)
    if array.ndim == 1:
        name = getattr(targets, "name", None)
        return {str(name) if name else "target": array}
    if array.ndim == 2 and array.shape[1] > 0:
        names = ["target"] if array.shape[1] == 1 else [f"target {number + 1}" for number in range(array.shape[1])]
        return dict(zip(names, array.T, strict=True))
    raise DataError(f"targets are one number or class per row, or several numbers, not an array of shape {array.shape}")


def array_of(inputs: Any) -> np.ndarray:
    """Return an array of inputs, shape (rows, features) or (rows, …) for images; as objects where it holds text.

    What a float32 holds exactly stays one, since images are large.

    Raises:
        DataError: for an array of another shape, and for complex numbers.
    """
    try:
        array = unmasked(inputs)
    except ValueError:
        raise DataError("the rows of inputs differ in length") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim not in {2, 3, 4} or 0 in array.shape:
        raise DataError(
            f"inputs are (rows, features), (rows, height, width) or (rows, height, width, channels), not {array.shape}"
        )
    if array.dtype.kind in "biuf":
        # Pixels come as uint8 or float32, which float32 holds exactly in half the memory of float64.
        small = array.dtype.itemsize <= 2 or array.dtype == np.float32
        return array.astype(np.float32 if small else np.float64)
    if array.ndim == 2 and array.dtype.kind in "OUS":
        return array.astype(object)
    if array.dtype.kind == "c" and np.imag(array).any():
        refuse_complex("inputs" if array.shape[1] > 1 else "1", array)
    raise DataError(f"inputs are numbers, not {array.dtype}")


def _split(table: Table, target: Any, drop: str | Sequence[str]) -> RawData:
    """Return a table as inputs and targets."""
    dropped = [table.name_of(name, "column to drop") for name in _names(drop, table)]
    kept = [name for name in table if name not in dropped]
    names = [table.name_of(name) for name in _names(target, table)]
    if not names:
        raise DataError("name the column to predict", hint=f"target= one of {', '.join(kept)}")
    _check_known(names, dict.fromkeys(kept, np.empty(0)), "column")
    inputs = {name: table[name] for name in kept if name not in names}
    if not inputs:
        raise DataError("no column is left to predict from")
    return RawData(inputs, _with_truths(table, names), table.notes_on(kept), clocks_of(table, inputs))


def clocks_of(table: Table, names: Iterable[str]) -> dict[str, Clock]:
    """Return the clocks of the columns of dates among some columns."""
    kept = set(names)
    return {c.name: c.clock for c in table.columns if c.clock is not None and c.name in kept}


def _with_truths(table: Table, names: Sequence[str]) -> Columns:
    """Return columns of targets whose truth values are true and false again, or yes and no, and None where missing.

    Numbers are what inputs need of them, and labels are what people read.
    """
    return {name: _truth_labels(table, name) if name in table.truths else table[name] for name in names}


def _truth_labels(table: Table, name: str) -> np.ndarray:
    """Return a column of truth values as labels."""
    cells = table[name]  # raises for a column that cannot be used
    if table.column(name).words is not None:
        return table.column(name).labels
    return np.array([None if cell != cell else bool(cell) for cell in cells], dtype=object)


def _names(names: str | Sequence[str] | None, columns: Columns | None = None) -> list[str]:
    """Return names from a sequence, or from text that separates them by commas unless a column is called so."""
    if names is None:
        return []
    if isinstance(names, str):
        # A column may have a comma in its name.
        return [names] if names in (columns or {}) else [name.strip() for name in names.split(",") if name.strip()]
    return [str(name) for name in names] if isinstance(names, Iterable) else [str(names)]


def _without(columns: Columns, dropped: list[str]) -> Columns:
    """Return the columns less those that are dropped."""
    _check_known(dropped, columns, "column to drop")
    return {name: column for name, column in columns.items() if name not in dropped}


def _check_known(names: list[str], columns: Columns, what: str) -> None:
    """Raise for a name that no column has."""
    for name in names:
        if name not in columns:
            close = nearest(name, columns)
            raise DataError(
                f"there is no {what} {name!r}; the table has {', '.join(columns)}",
                hint=f"did you mean {close}?" if close else None,
            )


# Missing and infinite cells: refused, dropped with their rows, or filled.


WAYS = ("refuse", "drop", "mean")


def check_way(missing: str) -> None:
    """Raise for an unknown treatment of missing cells."""
    if missing not in WAYS:
        close = nearest(str(missing), WAYS)
        raise SettingError(
            f"missing is {', '.join(map(repr, WAYS[:-1]))} or {WAYS[-1]!r}, not {described(missing)}",
            hint=f"did you mean {close!r}?" if close else None,
        )


def treated(raw: RawData, missing: str) -> RawData:
    """Return raw data without the rows that cannot be used, with notes on missing cells.

    Args:
        raw: inputs and targets.
        missing: "refuse" raises; "drop" leaves out the rows with missing cells; "mean" leaves out only those whose
            target is missing. Other missing cells are filled at encoding, with means over the rows of training.

    Raises:
        DataError: for an infinite cell, for a missing one with "refuse", and where no row is left.
    """
    check_way(missing)
    inputs = _holes(_columns(raw.inputs))
    targets = _holes(raw.targets)
    for name, hole in (*inputs.items(), *targets.items()):
        if missing == "refuse":
            refuse_missing(name, hole)
        _refuse_empty(name, hole)
    wanted = [*targets.values()] if missing == "mean" else [*inputs.values(), *targets.values()]
    # Rows are dropped once for all columns, so that inputs and targets stay aligned.
    lost = np.zeros(raw.rows, dtype=bool)
    for hole in wanted:
        lost |= rows_of(hole)
    if lost.all():
        raise DataError("no row is complete: every one has a missing cell", hint='missing="mean" fills them in')
    kept = raw.take(~lost) if lost.any() else raw
    filled = {name: int(hole[~lost].sum()) for name, hole in inputs.items()}
    return kept.noting(*_notes(raw, kept, filled, missing))


def _holes(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return which cells are missing, for the columns where any is; raise for an infinite cell."""
    for name, column in columns.items():
        refuse_infinite(name, column)
    return {name: hole for name, column in columns.items() if (hole := missing_cells(column)).any()}


def _refuse_empty(name: str, hole: np.ndarray) -> None:
    """Raise for a column without any cell that is there."""
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
    """Raise for the first missing cell."""
    if hole.any():
        raise DataError(
            f"{first_cell(name, hole)} is missing ({int(hole.sum())} such in {_called(name)})",
            hint=hint or 'missing="drop" leaves these rows out; missing="mean" fills them in',
        )


def refuse_infinite(name: str, column: np.ndarray) -> None:
    """Raise for the first infinite cell."""
    if column.dtype != object and (infinite := np.isinf(column)).any():
        raise DataError(
            f"{first_cell(name, infinite)} is infinite ({int(infinite.sum())} such in {_called(name)})",
            hint="leave these rows out",
        )


def first_cell(name: str, cells: np.ndarray) -> str:
    """Return the name of the first marked cell, counted from 1; the column of an array by its number."""
    row, *rest = (int(index) + 1 for index in np.argwhere(cells)[0])
    if not rest:
        return f"row {row}, column {name}: the cell"
    return (
        f"row {row}, column {rest[0]}: the number" if len(rest) == 1 else f"row {row}, pixel {tuple(rest)}: the number"
    )


def _columns(inputs: Columns | np.ndarray) -> Mapping[str, np.ndarray]:
    """Return the inputs as columns; an array is one column without a name."""
    return {"": inputs} if isinstance(inputs, np.ndarray) else inputs


def _called(name: str) -> str:
    return f"column {name}" if name else "the inputs"


def _notes(raw: RawData, kept: RawData, filled: Mapping[str, int], missing: str) -> list[str]:
    """Return sentences on the treatment of missing cells."""
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
