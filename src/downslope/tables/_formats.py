"""The formats of tables: one record each, with its reader and its writer. Nothing else in the package lists suffixes.

To add a format write its reader, its writer or both here, and its record into `FORMATS`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from downslope._errors import DataError
from downslope._polars import guarded
from downslope.tables._parquet import check_claims

if TYPE_CHECKING:
    import polars

# Columns by name as they stand in the file: text for formats without types, polars' series for those with types.
RawColumns: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """A format of tables.

    Args:
        name: what it is called.
        suffixes: of its files' names, in lower case.
        read: from a name, for errors, and a path or the file's bytes to columns; None for a format that is not read.
        write: from a frame and a path; None for a format that is not written.
        has_types: whether a file says which columns are numbers.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[str, Path | bytes], RawColumns] | None
    write: Callable[[polars.DataFrame, Path], None] | None
    has_types: bool


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name; None for a suffix that is not known."""
    suffix = Path(name).suffix.lower()
    return next((known for known in FORMATS if suffix in known.suffixes), None)


def table_suffixes(use: Literal["read", "write"] = "read") -> tuple[str, ...]:
    """Return the suffixes of files that can be read, or written, as tables.

    >>> table_suffixes("read")
    ('.csv', '.txt', '.tsv', '.parquet', '.pq')
    """
    return tuple(suffix for known in FORMATS if getattr(known, use) for suffix in known.suffixes)


def readable_formats() -> str:
    """Return the formats that can be read, in words."""
    names = [f"{known.name} ({', '.join(known.suffixes)})" for known in FORMATS if known.read is not None]
    return f"{', '.join(names[:-1])} and {names[-1]} files can be read"


def read_csv(name: str, source: Path | bytes) -> RawColumns:
    """Return the columns of CSV: a line of names, then cells; separated by commas, semicolons or tabs."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        # Spreadsheet programs put a byte order mark in front of UTF-8.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name} is not text in UTF-8", hint="save it as CSV in UTF-8") from None
    lines = text.splitlines()
    if not lines or not text.strip():
        raise DataError(f"{name} is empty", hint="a table has a line of column names, then a line for each row")
    # The separator is the most frequent in the line of names; a comma wins no tie, as decimals have commas.
    delimiter = max("\t;,", key=lines[0].count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{name} cannot be read as CSV: {error}") from None
    names = [cell.strip() for cell in rows[0]]
    _check_names(name, names)
    if len(rows) == 1:
        raise DataError(f"{name} has column names but no rows")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise DataError(
                f"{name}, row {number}: {len(row)} cell{'s' * (len(row) != 1)} for {len(names)} names in the first "
                "line",
                hint="a decimal comma needs semicolons between the columns; write a point instead"
                if len(row) > len(names)
                else None,
            )
    return dict(zip(names, zip(*rows[1:], strict=True), strict=True))


def _check_names(table: str, names: list[str]) -> None:
    """Raise if the first line does not name the columns."""
    # Numbers in the first line are a row: such a file would lose it silently.
    if all(_is_number(name) for name in names):
        example = ",".join(("size", "price", "x", "y", "z")[: len(names)])
        raise DataError(f"{table} has no line of column names", hint=f"begin it with names, such as {example}")
    counts = Counter(names)
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{table}: column {number} has no name")
        if counts[name] > 1:
            raise DataError(f"{table}: there are {counts[name]} columns named {name!r}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_parquet(name: str, source: Path | bytes) -> RawColumns:
    """Return the columns of a Parquet file."""
    import polars

    with guarded(name, DataError, what="a Parquet file that can be read"):
        check_claims(name, source)
        frame = polars.read_parquet(io.BytesIO(source) if isinstance(source, bytes) else source)
        for column in frame.columns:
            frame[column].to_numpy()  # here, where a panic is caught
    return {column: frame[column] for column in frame.columns}


def _write_parquet(frame: polars.DataFrame, file: Path) -> None:
    frame.write_parquet(file)


FORMATS = (
    Format("CSV", (".csv", ".txt"), read_csv, lambda frame, file: frame.write_csv(file), has_types=False),
    # The reader tells the separator from the first line, whatever the suffix says.
    Format("TSV", (".tsv",), read_csv, lambda frame, file: frame.write_csv(file, separator="\t"), has_types=False),
    Format("Parquet", (".parquet", ".pq"), _read_parquet, _write_parquet, has_types=True),
    Format("JSON", (".json",), None, lambda frame, file: frame.write_json(file), has_types=True),
)
