"""What was given: the columns or the array of inputs and the columns of targets, read but not yet numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, nearest
from downslope._types import Columns
from downslope.networks.data._samples import sample, sample_names
from downslope.tables import is_missing, read_table

_FILES = {".csv", ".tsv", ".txt", ".parquet", ".pq"}


@dataclass(frozen=True, eq=False)
class Given:
    """What was given.

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

    def take(self, rows: np.ndarray) -> Given:
        """Return some of the rows, by place or by mask."""
        inputs = self.inputs
        kept = inputs[rows] if isinstance(inputs, np.ndarray) else _taken(inputs, rows)
        return replace(self, inputs=kept, targets=_taken(self.targets, rows))

    def noting(self, *notes: str) -> Given:
        """Return the same with more notes."""
        return replace(self, notes=self.notes + notes)


def _taken(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def given_of(data: Any, target: str | Sequence[str] | None, drop: str | Sequence[str] = ()) -> Given:
    """Return what was given, read.

    Args:
        data: see `examples`.
        target: the column that is to be predicted, or several; None for a pair and for a sample.
        drop: columns that are left out.

    Raises:
        DataError: for data that cannot be read, and for columns that are not there.
    """
    notes: tuple[str, ...] = ()
    if isinstance(data, str) and not Path(data).is_file() and Path(data).suffix.lower() not in _FILES:
        found = sample(data)
        data, target, notes = found.data, target or found.target, (f"{found}.",)
    if target is not None and not isinstance(target, str) and (not is_table(data) or _is_column(target)):
        return _pair(data, target, drop)
    if is_table(data):
        return _split(*table_of(data), target, drop).noting(*notes)
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
    """Tell whether a target is given itself, not by its name."""
    return hasattr(target, "dtype") or hasattr(target, "columns") or isinstance(target, Mapping)


def table_of(data: Any, names: Sequence[str] | None = None) -> tuple[Columns, frozenset[str]]:
    """Return a table's columns, and which of them hold truth values.

    Args:
        data: the path of a file, a frame, or a mapping of names to columns or, for a single row, to values.
        names: the columns that are wanted; None for all.
    """
    if isinstance(data, str | Path):
        columns = read_table(data)
        truths = _truths_of_file(Path(data), columns)
        return columns, truths
    if not is_table(data):
        raise DataError(
            f"a table is a file, a mapping of columns or a frame, not {type(data).__name__}",
            hint="its columns need names" if names is None else f"name the columns: {', '.join(names)}",
        )
    wanted = [
        name for name in (data if isinstance(data, Mapping) else data.columns) if names is None or str(name) in names
    ]
    cells = {str(name): _cells(data[name]) for name in wanted}
    truths = frozenset(name for name, column in cells.items() if _is_truth(column))
    return (read_table(cells) if cells or names is None else {}), truths


def _cells(values: Any) -> np.ndarray:
    """Return a column as it was given, a single value as a column of one row."""
    if hasattr(values, "to_numpy"):
        return values.to_numpy()
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError:
        raise DataError("the rows of a column are not of one shape") from None


def _is_truth(column: np.ndarray) -> bool:
    """Tell whether a column holds truth values."""
    if column.dtype != object:
        return column.dtype.kind == "b"
    return all(isinstance(cell, bool | np.bool_) or is_missing(cell) for cell in np.ravel(column))


def _truths_of_file(path: Path, columns: Columns) -> frozenset[str]:
    """Return the names of a Parquet file's columns of truth values; other files have no types."""
    if path.suffix.lower() not in {".parquet", ".pq"}:
        return frozenset()
    import polars

    schema = polars.read_parquet_schema(path)
    return frozenset(name for name in columns if schema[name] == polars.Boolean)


def _pair(inputs: Any, targets: Any, drop: str | Sequence[str]) -> Given:
    """Return a pair of inputs and targets, read."""
    columns, truths = table_of(targets if is_table(targets) else _named(targets))
    read: Columns | np.ndarray
    if is_table(inputs):
        read = _without(table_of(inputs)[0], _names(drop))
    else:
        read = array_of(inputs)
        if read.dtype == object:
            read = table_of({str(place + 1): column for place, column in enumerate(read.T)})[0]
        elif _names(drop):
            raise DataError("the columns of an array have no names to drop", hint="give a table, or X[:, kept]")
    rows = len(read) if isinstance(read, np.ndarray) else len(next(iter(read.values())))
    given = Given(read, _with_truths(columns, truths))
    if rows != given.rows:
        raise DataError(f"there are {rows} rows of inputs, but {given.rows} of targets")
    return given


def _named(targets: Any) -> dict[str, np.ndarray]:
    """Return the columns of an array of targets by name."""
    array = _cells(targets)
    if array.ndim == 1:
        name = getattr(targets, "name", None)
        return {str(name) if name else "target": array}
    if array.ndim == 2 and array.shape[1] > 0:
        names = ["target"] if array.shape[1] == 1 else [f"target {place + 1}" for place in range(array.shape[1])]
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


def _split(columns: Columns, truths: frozenset[str], target: Any, drop: str | Sequence[str]) -> Given:
    """Return a table as inputs and targets."""
    kept = _without(columns, _names(drop))
    names = _names(target, kept)
    if not names:
        raise DataError("which column is to be predicted?", hint=f"target= one of {', '.join(kept)}")
    _check_known(names, kept, "column")
    inputs = {name: column for name, column in kept.items() if name not in names}
    if not inputs:
        raise DataError("no column is left to predict from")
    return Given(inputs, _with_truths({name: kept[name] for name in names}, truths))


def _with_truths(columns: Columns, truths: frozenset[str]) -> Columns:
    """Return columns of targets whose truth values are true and false again, and nothing where they are missing."""
    return {
        name: np.array([None if cell != cell else bool(cell) for cell in column], dtype=object)
        if name in truths and column.dtype != object
        else column
        for name, column in columns.items()
    }


def _names(given: str | Sequence[str] | None, columns: Columns | None = None) -> list[str]:
    """Return names from a sequence, or from text that separates them by commas unless a column is called so."""
    if given is None:
        return []
    if isinstance(given, str):
        return [given] if given in (columns or {}) else [name.strip() for name in given.split(",") if name.strip()]
    return [str(name) for name in given] if isinstance(given, Iterable) else [str(given)]


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
