"""Tables: columns of numbers by name, from a file, a mapping or a frame."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, nearest
from downslope._types import Columns

_MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}
_NOTHING = {"NAType", "NaTType"}  # by name, since pandas is not installed with the package


def read_table(source: Any) -> Columns:
    """Return a table as float64 columns of one length.

    Args:
        source: the path of a CSV or Parquet file, a mapping of names to sequences, a Polars or pandas frame, or CSV
            that is open for reading. The example `houses.csv` ships with the package and is found by its bare name.

    Raises:
        DataError: for a table that cannot be used, naming the row and the column.

    >>> read_table({"size": [50, 100], "price": [100, 200]})["price"]
    array([100., 200.])
    """
    if isinstance(source, str | Path):
        return _read_file(Path(source))
    if hasattr(source, "read") and not hasattr(source, "columns"):
        return _read_open(source)
    if isinstance(source, Mapping):
        return _checked({str(name): _column(name, values) for name, values in source.items()})
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return _checked({str(name): _column(name, source[name]) for name in source.columns})
    raise DataError(
        f"a table is a file, a mapping of columns or a frame, not {type(source).__name__}",
        hint='for example data="houses.csv" or data={"size": [50, 100], "price": [100, 200]}',
    )


def _read_file(path: Path) -> Columns:
    """Return the columns of a CSV or Parquet file."""
    shipped = Path(__file__).parents[1] / "examples" / path.name
    if not path.exists() and path.parent == Path() and shipped.is_file():
        path = shipped
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        close = nearest(path.name, [entry.name for entry in folder.iterdir() if entry.is_file()])
        raise DataError(f"there is no file {str(path)!r}", hint=f"did you mean {close}?" if close else None)
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _read_parquet(path)
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        return _read_csv(path.name, path.read_bytes())
    raise DataError(
        f"cannot read {path.name!r} as a table", hint="CSV (.csv, .tsv, .txt) and Parquet files can be read"
    )


def _read_parquet(path: Path) -> Columns:
    """Return the columns of a Parquet file."""
    import polars

    try:
        frame = polars.read_parquet(path)
    except Exception as error:
        raise DataError(f"{path.name} is not a Parquet file that can be read: {error}") from None
    return _checked({name: _column(name, frame[name]) for name in frame.columns})


def _read_open(source: Any) -> Columns:
    """Return the columns of CSV that is open, as text or as bytes."""
    name, told = Path(str(getattr(source, "name", "the table"))).name, source.read()
    return _read_csv(name, told.encode() if isinstance(told, str) else told)


def _read_csv(name: str, data: bytes) -> Columns:
    """Return the columns of CSV: a line of names, then numbers; separated by commas, semicolons or tabs."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name} is not text in UTF-8", hint="save it as CSV in UTF-8") from None
    lines = text.splitlines()
    if not lines or not text.strip():
        raise DataError(f"{name} is empty", hint="a table has a line of column names, then a line for each row")
    delimiter = max("\t;,", key=lines[0].count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{name} cannot be read as CSV: {error}") from None
    names = [cell.strip() for cell in rows[0]]
    _check_names(name, names)
    if len(rows) == 1:
        raise DataError(f"{name} has column names but no rows")
    for place, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise DataError(
                f"{name}, row {place}: {len(row)} cell{'s' * (len(row) != 1)} for {len(names)} names in the first line",
                hint="a decimal comma needs semicolons between the columns; write a point instead"
                if len(row) > len(names)
                else None,
            )
    cells = zip(*rows[1:], strict=True)
    return _checked({title: _column(title, column) for title, column in zip(names, cells, strict=True)})


def _check_names(table: str, names: list[str]) -> None:
    """Raise if the first line does not name the columns."""
    if all(_is_number(name) for name in names):
        raise DataError(f"{table} has no line of column names", hint=f"begin it with names, such as {_example(names)}")
    counts = Counter(names)
    for place, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{table}: column {place} has no name")
        if counts[name] > 1:
            raise DataError(f"{table}: there are {counts[name]} columns named {name!r}")


def _example(names: list[str]) -> str:
    """Return a line of names for so many columns."""
    return ",".join(("size", "price", "x", "y", "z")[: len(names)])


def _column(name: Any, values: Any) -> np.ndarray:
    """Return a column as float64; columns of text stay as they are until they are needed."""
    plain = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    if plain.ndim != 1:
        raise DataError(f"column {name!r} must be one number a row, not an array of shape {plain.shape}")
    if plain.dtype.kind in "biuf":
        return plain.astype(np.float64)
    numbers = np.empty(len(plain))
    for place, cell in enumerate(plain):
        try:
            numbers[place] = math.nan if is_missing(cell) else float(cell)
        except (TypeError, ValueError):
            return np.asarray(plain, dtype=object)
    return numbers


def _checked(columns: Mapping[str, np.ndarray]) -> Columns:
    """Return the columns, after checking that there are some and that they are of one length."""
    if not columns:
        raise DataError("the table has no columns")
    lengths = {name: len(column) for name, column in columns.items()}
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != rows:
            raise DataError(f"column {name!r} has {length} rows, but {first!r} has {rows}")
    if rows == 0:
        raise DataError("the table has no rows")
    return dict(columns)


def check_numbers(columns: Columns, names: Sequence[str]) -> Columns:
    """Return the named columns, after checking that every cell of theirs is a finite number.

    Raises:
        DataError: naming the first row and column that is not, and how many there are.
    """
    for name in names:
        column = columns[name]
        if column.dtype == object:
            _refuse_text(name, column)
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            kind = "is missing" if np.isnan(column[bad[0]]) else "is infinite"
            raise DataError(
                f"row {bad[0] + 1}, column {name}: the number {kind} ({len(bad)} such in this column)",
                hint="fill these cells in, or leave their rows out",
            )
    return {name: columns[name] for name in names}


def _refuse_text(name: str, column: np.ndarray) -> None:
    """Raise at the first cell that is not a number."""
    for place, cell in enumerate(column, start=1):
        if not is_missing(cell) and not _is_number(cell):
            comma = isinstance(cell, str) and _is_number(cell.replace(",", "."))
            raise DataError(
                f"row {place}, column {name}: {str(cell)!r} is not a number",
                hint="write a decimal point instead of the comma" if comma else "a cell that is missing is left empty",
            )


def is_missing(cell: Any) -> bool:
    """Tell whether a cell holds nothing: none, not a number, pandas' NA and NaT, or a text such as "" and "?"."""
    if isinstance(cell, str):
        return cell.strip().lower() in _MISSING
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in _NOTHING


def _is_number(cell: Any) -> bool:
    """Tell whether a cell is the text of a number."""
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
