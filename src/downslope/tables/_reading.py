"""Tables from and to files: the two verbs `read_table` and `write_table`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope._errors import DataError, SettingError, nearest
from downslope._files import reason, written
from downslope._types import Plain
from downslope.tables._formats import format_of, read_file, table_suffixes
from downslope.tables._raw_table import RawTable, ReadChoices, check_width, read_choices
from downslope.tables._sources import by_text, columns_of_source, entry_of, table_from
from downslope.tables._table import Table, TableColumn, checked_columns
from downslope.tables._text_columns import named, typed_columns

if TYPE_CHECKING:
    import polars

_SHIPPED = Path(__file__).parents[1] / "examples"


def read_table(source: Any, **choices: Any) -> Table:
    """Return a table.

    Args:
        source: the path of a file; a mapping of names to sequences; a frame of Polars, pandas or Arrow; an array of
            NumPy, or rows; or a file that is open for reading. The examples `houses.csv` and `coffee.csv` ship with the
            package and are read by their bare names.
        **choices: options that override automatic detection: `separator`, `decimal`, `thousands`,
            `names`, `units`, `skip`, `comment`, `encoding`, `sheet`, `index`, `dates`, `missing`.

    Raises:
        DataError: for a table that cannot be used, naming the row and the column.
        SettingError: for an unknown choice.

    >>> table = read_table({"size": [50, 100], "price": [100, 200], "sold": [True, False]})
    >>> table["price"]
    array([100., 200.])
    >>> table
    <Table of 2 rows: size: number, price: number, sold: truth>
    """
    said = read_choices(choices)
    if isinstance(source, Table):
        return source
    if isinstance(source, str | os.PathLike):
        path = _existing(_path(source))
        return _typed(path.name, _raw(path, said), said)
    # Frames of some libraries have a method `read` as well.
    if hasattr(source, "read") and not hasattr(source, "columns"):
        return _read_open(source, said)
    columns = columns_of_source(source)
    if columns is None:
        raise DataError(
            f"a table is a file, a mapping of columns or a frame, not {type(source).__name__}",
            hint='for example data="houses.csv" or data={"size": [50, 100], "price": [100, 200]}',
        )
    return table_from(columns, rules=said.cells)


def read_cells(file: str | Path, **choices: Any) -> Mapping[str, Any]:
    """Return the columns of a file unconverted: text for a format without types, else Polars series.

    Raises:
        DataError: for a file that cannot be read as a table.
    """
    raw = _raw(_existing(_path(file)), read_choices(choices))
    return {column.name: column for column in raw.columns}


def _raw(path: Path, choices: ReadChoices) -> RawTable:
    """Return the columns of a file unchanged."""
    try:
        return read_file(path.name, path, choices)
    except (OSError, MemoryError) as error:
        raise DataError(f"{path.name} cannot be read: {reason(error)}") from None


def _typed(name: str, raw: RawTable, choices: ReadChoices) -> Table:
    """Return the columns of a file as a table."""
    import polars

    check_width(name, len(raw.columns))
    entries = [entry_of(column.name, column, choices.cells) for column in raw.columns]
    numbers = raw.numbers or tuple(range(1, len(entries) + 1))
    units = raw.units or ("",) * len(entries)
    is_text = [isinstance(entry, polars.Series) for entry in entries]
    texts = [entry for entry in entries if isinstance(entry, polars.Series)]
    typed = typed_columns(texts, choices.cells, str(raw.read.get("separator", "")))
    read_texts = iter(typed.columns)
    columns: list[TableColumn] = []
    for entry, text, column, number, unit in zip(entries, is_text, raw.columns, numbers, units, strict=True):
        plain = next(read_texts) if text else entry
        assert isinstance(plain, TableColumn)
        columns.append(named(plain, column.name, number, unit))
    decided = [*raw.notes, *typed.notes]
    separator = raw.read.get("separator")
    if decided and separator not in (None, "", "comma"):
        decided.insert(0, "blanks between the columns" if separator == "blanks" else f"separator {separator}")
    notes = (f"{name}: {'; '.join(decided)}.",) if decided else ()
    read: Plain = {**raw.read, "decimal": typed.decimal, "thousands": typed.thousands} if texts else raw.read
    return Table(checked_columns(columns), name, read, notes, raw.lines)


def _path(file: Any) -> Path:
    """Return a file's path."""
    if not isinstance(file, str | os.PathLike):
        raise DataError(f"a file is named by text or a path, not by {type(file).__name__}")
    return Path(file)


def write_table(table: Any, file: str | Path, *, infer: bool = False) -> Path:
    """Write a table to a file, in the format of the file's suffix.

    Args:
        table: a `Table`, a mapping of names to columns, or a Polars frame.
        file: CSV, TSV, Parquet or JSON; its parents are created.
        infer: whether columns of text whose cells are all numbers are written as numbers, in a format with types.

    Raises:
        SettingError: for an unknown suffix.
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
    columns = None if is_frame else by_text(table, table)
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
        # By their stems: two short names of one suffix are alike by that alone.
        stems = {entry.stem: entry.name for entry in folder.iterdir() if entry.is_file()}
        close = stems.get(nearest(path.stem, stems) or "")
    except OSError as error:  # not permitted, or no name that the system accepts
        raise DataError(f"{path.name[:80]!r} cannot be read: {error.strerror or error}") from None
    raise DataError(f"there is no file {str(path)!r}", hint=f"did you mean {close}?" if close else None)


def _read_open(source: Any, choices: ReadChoices) -> Table:
    """Return the table in a file that is open, as text or as bytes; plain text where its name says nothing else."""
    name, content = Path(str(getattr(source, "name", "the table"))).name, source.read()
    data = content.encode() if isinstance(content, str) else content
    return _typed(name, read_file(name, data, choices), choices)


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
