"""Tables from and to files: the two verbs `read_table` and `write_table`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope._errors import DataError, SettingError, nearest
from downslope._files import reason, written
from downslope.tables._formats import RawColumns, format_of, read_csv, readable_formats, table_suffixes
from downslope.tables._table import Table, table_from

if TYPE_CHECKING:
    import polars

_SHIPPED = Path(__file__).parents[1] / "examples"


def read_table(source: Any) -> Table:
    """Return a table.

    Args:
        source: the path of a CSV, TSV or Parquet file, a mapping of names to sequences, a Polars or pandas frame, or a
            file that is open for reading. The examples `houses.csv` and `coffee.csv` ship with the package and are
            read by their bare names.

    Raises:
        DataError: for a table that cannot be used, naming the row and the column.

    >>> table = read_table({"size": [50, 100], "price": [100, 200], "sold": [True, False]})
    >>> table["price"]
    array([100., 200.])
    >>> table
    <Table of 2 rows: size: number, price: number, sold: truth>
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | Path):
        return table_from(read_cells(source), Path(source).name)
    # Frames of some libraries have a method `read` as well.
    if hasattr(source, "read") and not hasattr(source, "columns"):
        return _read_open(source)
    if isinstance(source, Mapping):
        return table_from(_by_text(source, source))
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return table_from(_by_text(list(source.columns), source))
    raise DataError(
        f"a table is a file, a mapping of columns or a frame, not {type(source).__name__}",
        hint='for example data="houses.csv" or data={"size": [50, 100], "price": [100, 200]}',
    )


def read_cells(file: str | Path) -> RawColumns:
    """Return the columns of a file as they stand in it: text of a format without types, else Polars series.

    Raises:
        DataError: for a file that cannot be read as a table.
    """
    path = _existing(_path(file))
    file_format = format_of(path.name)
    if file_format is None or file_format.read is None:
        raise DataError(f"cannot read {path.name!r} as a table", hint=readable_formats())
    try:
        return file_format.read(path.name, path)
    except (OSError, MemoryError) as error:
        raise DataError(f"{path.name} cannot be read: {reason(error)}") from None


def _path(file: Any) -> Path:
    """Return a file's path."""
    if not isinstance(file, str | os.PathLike):
        raise DataError(f"a file is named by text or a path, not by {type(file).__name__}")
    return Path(file)


def write_table(table: Any, file: str | Path, *, infer: bool = False) -> Path:
    """Write a table into a file, in the format that the file's name ends in.

    Args:
        table: a `Table`, a mapping of names to columns, or a Polars frame.
        file: CSV, TSV, Parquet or JSON; its parents are made.
        infer: whether columns of text whose cells are all numbers are written as numbers, in a format with types.

    Raises:
        SettingError: for a name that ends in nothing that is known.
        DataError: for a file that cannot be written.
    """
    import polars

    target = _path(file)
    check_writable(target)
    file_format = format_of(target.name)
    assert file_format is not None
    assert file_format.write is not None
    # A frame keeps its types; other columns get theirs from their cells.
    is_frame = isinstance(table, polars.DataFrame)
    columns = None if is_frame else _by_text(table, table)
    frame = table if columns is None else polars.DataFrame([_series(name, columns[name]) for name in columns])
    with written(target, DataError) as partial:
        try:
            file_format.write(_inferred(frame) if infer and file_format.has_types else frame, partial)
        except polars.exceptions.PolarsError as error:  # cells that the format has no form for, such as lists in CSV
            raise DataError(f"{target} cannot be written: {error}") from None
    return target


def check_writable(file: Path) -> None:
    """Raise for a file whose name ends in no format that is written.

    Raises:
        SettingError: saying what it may end in.
    """
    suffixes = table_suffixes("write")
    if file.suffix.lower() not in suffixes:
        raise SettingError(
            f"cannot write a table into {file.name!r}",
            hint=f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}",
        )


def _existing(path: Path) -> Path:
    """Return the path of a file, one that ships where there is none of this bare name."""
    shipped = _SHIPPED / path.name
    try:
        is_file, is_known = path.is_file(), path.exists()
        if not is_known and path.parent == Path() and shipped.is_file():
            return shipped
        if is_file:
            return path
        folder = path.parent if path.parent.is_dir() else Path()
        close = nearest(path.name, [entry.name for entry in folder.iterdir() if entry.is_file()])
    except OSError as error:  # not permitted, or no name that the system accepts
        raise DataError(f"{path.name[:80]!r} cannot be read: {error.strerror or error}") from None
    raise DataError(f"there is no file {str(path)!r}", hint=f"did you mean {close}?" if close else None)


def _read_open(source: Any) -> Table:
    """Return the table in a file that is open, as text or as bytes; CSV where its name says nothing else."""
    name, content = Path(str(getattr(source, "name", "the table"))).name, source.read()
    file_format = format_of(name)
    # Standard input and strings have no suffix.
    read = read_csv if file_format is None or file_format.read is None else file_format.read
    return table_from(read(name, content.encode() if isinstance(content, str) else content), name)


def _by_text(names: Iterable[Any], columns: Any) -> dict[str, Any]:
    """Return columns by their names as text.

    Raises:
        DataError: if two names are the same as text: 1 and "1", or the same name twice.
    """
    first: dict[str, Any] = {}
    for name in names:
        if str(name) in first:
            hint = "rename one of them"
            raise DataError(f"two columns have the name {str(name)!r}: {first[str(name)]!r} and {name!r}", hint=hint)
        first[str(name)] = name
    return {text: columns[name] for text, name in first.items()}


def _series(name: str, column: Any) -> polars.Series:
    """Return a column as a series, an empty text of it as a missing cell."""
    import polars

    if isinstance(column, polars.Series):
        return column.alias(name)
    cells = column.tolist() if hasattr(column, "tolist") else list(column)
    return polars.Series(name, [None if isinstance(cell, str) and not cell else cell for cell in cells])


def _inferred(frame: polars.DataFrame) -> polars.DataFrame:
    """Return a frame with numbers where a column of text holds nothing else."""
    import polars

    def inferred(column: polars.Series) -> polars.Series:
        # Whole numbers first, so that they stay whole.
        for kind in (polars.Int64, polars.Float64) if column.dtype == polars.String else ():
            try:
                return column.cast(kind)
            except polars.exceptions.InvalidOperationError:
                continue
        return column

    return polars.DataFrame([inferred(column) for column in frame])
