"""The user's inputs and targets as they were read, before anything is encoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, nearest
from downslope._types import Columns
from downslope.networks.data._samples import sample, sample_names
from downslope.tables import Table, read_table, table_suffixes


@dataclass(frozen=True, eq=False)
class RawData:
    """Inputs and targets, read but not encoded.

    Args:
        inputs: columns by name, numbers as float64 and text as objects, shape (rows,) each; or an array of numbers,
            shape (rows, features), (rows, height, width) or (rows, height, width, channels).
        targets: columns by name, shape (rows,) each: numbers as float64, text and truth values as objects.
        notes: what was read, as sentences.
    """

    inputs: Columns | np.ndarray
    targets: Columns
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.targets.values())))

    def take(self, rows: np.ndarray) -> RawData:
        """Return some of the rows, by index or by mask."""
        inputs = self.inputs
        kept = inputs[rows] if isinstance(inputs, np.ndarray) else _rows_of(inputs, rows)
        return replace(self, inputs=kept, targets=_rows_of(self.targets, rows))

    def noting(self, *notes: str) -> RawData:
        """Return the same data with more notes."""
        return replace(self, notes=self.notes + notes)


def _rows_of(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def raw_data(data: Any, target: str | Sequence[str] | None, drop: str | Sequence[str] = ()) -> RawData:
    """Return data as inputs and targets.

    Args:
        data: see `examples`.
        target: the column to predict, or several; None for a pair and for a sample.
        drop: columns to leave out.

    Raises:
        DataError: for data that cannot be read, and for columns that are not there.
    """
    notes: tuple[str, ...] = ()
    if isinstance(data, str) and not Path(data).is_file() and Path(data).suffix.lower() not in table_suffixes():
        shipped = sample(data)
        data, target, notes = shipped.data, target or shipped.target, (f"{shipped}.",)
    if target is not None and not isinstance(target, str) and (not is_table(data) or _is_column(target)):
        return _pair(data, target, drop)
    if is_table(data):
        return _split(table_of(data), target, drop).noting(*notes)
    if isinstance(data, tuple | list) and len(data) == 2:
        if target is not None:
            raise DataError("the targets stand in the pair already", hint="leave the name of a target out")
        return _pair(data[0], data[1], drop).noting(*notes)
    raise DataError(
        "the targets are missing: data are a table and the name of its target, or a pair (inputs, targets)",
        hint=f'for example examples("houses.csv", "price"), examples((X, y)) or a sample: {", ".join(sample_names())}',
    )


def is_table(data: Any) -> bool:
    """Tell whether data are columns with names."""
    return isinstance(data, str | Path | Mapping) or hasattr(data, "columns")


def _is_column(target: Any) -> bool:
    """Tell whether a target is a column itself, not a column's name."""
    return hasattr(target, "dtype") or hasattr(target, "columns") or isinstance(target, Mapping)


def table_of(data: Any, names: Sequence[str] | None = None) -> Table:
    """Return data as a table.

    Args:
        data: the path of a file, a frame, or a mapping of names to columns or, for a single row, to values.
        names: the columns that are wanted, of a frame or a mapping; None for all.
    """
    if isinstance(data, str | Path | Table):
        return read_table(data)
    if not is_table(data):
        raise DataError(
            f"a table is a file, a mapping of columns or a frame, not {type(data).__name__}",
            hint="its columns need names" if names is None else f"name the columns: {', '.join(names)}",
        )
    known = data if isinstance(data, Mapping) else data.columns
    cells = {str(name): _cells(data[name]) for name in known if names is None or str(name) in names}
    return read_table(cells) if cells or names is None else Table({}, {})


def _cells(values: Any) -> np.ndarray:
    """Return a column as an array, a single value as a column of one row."""
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError:
        raise DataError("the rows of a column are not of one shape") from None


def _pair(inputs: Any, targets: Any, drop: str | Sequence[str]) -> RawData:
    """Return a pair of inputs and targets as raw data."""
    target_table = table_of(targets if is_table(targets) else _named_targets(targets))
    read: Columns | np.ndarray
    if is_table(inputs):
        read = _without(table_of(inputs), _names(drop))
    else:
        read = array_of(inputs)
        if read.dtype == object:
            read = table_of({str(number): column for number, column in enumerate(read.T, start=1)})
        elif _names(drop):
            raise DataError("the columns of an array have no names to drop", hint="give a table, or X[:, kept]")
    rows = len(read) if isinstance(read, np.ndarray) else len(next(iter(read.values())))
    pair = RawData(read, _with_truths(target_table, list(target_table)))
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
    raise DataError(f"targets are one number or class a row, or several numbers, not an array of shape {array.shape}")


def array_of(inputs: Any) -> np.ndarray:
    """Return an array of inputs, shape (rows, features) or (rows, …) for images; as objects where it holds text.

    What a float32 holds exactly stays one, since images are large.

    Raises:
        DataError: for an array of another shape, and for complex numbers.
    """
    try:
        array = inputs.to_numpy() if hasattr(inputs, "to_numpy") else np.asarray(inputs)
    except ValueError:
        raise DataError("the rows of inputs are not of one length") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim not in {2, 3, 4} or 0 in array.shape:
        raise DataError(
            f"inputs are (rows, features), (rows, height, width) or (rows, height, width, channels), not {array.shape}"
        )
    if array.dtype.kind in "biuf":
        small = array.dtype.itemsize <= 2 or array.dtype == np.float32
        return array.astype(np.float32 if small else np.float64)
    if array.ndim == 2 and array.dtype.kind in "OUS":
        return array.astype(object)
    raise DataError(f"inputs are numbers, not {array.dtype}")


def _split(table: Table, target: Any, drop: str | Sequence[str]) -> RawData:
    """Return a table as inputs and targets."""
    kept = _without(table, _names(drop))
    names = _names(target, kept)
    if not names:
        raise DataError("which column is to be predicted?", hint=f"target= one of {', '.join(kept)}")
    _check_known(names, kept, "column")
    inputs = {name: column for name, column in kept.items() if name not in names}
    if not inputs:
        raise DataError("no column is left to predict from")
    return RawData(inputs, _with_truths(table, names))


def _with_truths(table: Table, names: Sequence[str]) -> Columns:
    """Return columns of targets whose truth values are true and false again, and None where they are missing.

    Numbers are what inputs need of them, and labels are what people read.
    """
    truths = table.truths
    return {
        name: np.array([None if cell != cell else bool(cell) for cell in table[name]], dtype=object)
        if name in truths
        else table[name]
        for name in names
    }


def _names(names: str | Sequence[str] | None, columns: Columns | None = None) -> list[str]:
    """Return names from a sequence, or from text that separates them by commas unless a column is called so."""
    if names is None:
        return []
    if isinstance(names, str):
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
