"""The formats of tables: one record each, with its reader and its writer. Nothing else in the package lists suffixes.

To add a format write its reader, its writer or both here, and its record into `FORMATS`.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

from downslope._errors import DataError
from downslope._files import guarded

if TYPE_CHECKING:
    import polars


# What a Parquet file claims of itself, checked before anything is read.


_MAGIC = b"PAR1"
_CELL = 8  # bytes of a number
_MOST_MEMORY = 1 << 40  # bytes, where the system does not say how many there are
_DEEPEST = 32
# Numbers of the fields that are looked at, by structure.
_ROWS, _GROUPS = 3, 4
_GROUP_COLUMNS, _GROUP_ROWS = 1, 3
_COLUMN_CLAIMS = 3
_VALUES, _STORED_BYTES, _PAGE_STARTS = 5, 7, (9, 10, 11)
_PAGE_SIZE, _PAGE_STORED, _PAGE_VALUES = 2, 3, 1
_DATA_PAGES, _DICTIONARY_PAGE = (5, 8), 7
_LENGTHS_IN_PAGE = (2, 3, 5, 6)  # of a data page of version 2: numbers of nulls and rows, bytes of levels
_HEADER_BYTES = (1 << 12, 1 << 16, 1 << 24)  # read for a page's header; statistics of long texts may stand in it


def check_claims(name: str, source: Path | bytes) -> None:
    """Raise if a Parquet file claims what cannot be.

    Args:
        name: of the file, for the error.
        source: its path, or its bytes.

    Raises:
        DataError: if it claims more bytes than the file has, or more numbers than memory holds.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            wrong = _first_wrong(file, file.seek(0, os.SEEK_END))
        except (IndexError, TypeError, KeyError, ValueError, AttributeError):
            wrong = "it is damaged"
    if wrong is not None:
        raise DataError(f"{name} is not a Parquet file that can be read: {wrong}")


def _first_wrong(file: BinaryIO, size: int) -> str | None:
    """Return the first claim that cannot be, in words, or None."""
    footer = _footer(file, size)
    if footer is None:
        return "its end is missing"
    claims, memory = _Compact(footer).structure(), _memory()
    rows = [group[_GROUP_ROWS] for group in claims[_GROUPS]]
    if min(rows, default=0) < 0 or sum(rows) != claims[_ROWS]:
        return f"it claims {claims[_ROWS]} rows, and its parts claim {sum(rows)}"
    numbers = sum(rows) * max((len(group[_GROUP_COLUMNS]) for group in claims[_GROUPS]), default=0)
    if numbers * _CELL > memory:
        return f"it claims {sum(rows)} rows, which need {numbers * _CELL / 2**30:.0f} GB of memory"
    for group in claims[_GROUPS]:
        for column in group[_GROUP_COLUMNS]:
            wrong = _first_wrong_in_column(file, size, memory, column[_COLUMN_CLAIMS])
            if wrong is not None:
                return wrong
    return None


def _footer(file: BinaryIO, size: int) -> bytes | None:
    """Return the structure at the end of a file; None if there is none."""
    if size < 12:
        return None
    file.seek(size - 8)
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - 12:
        return None
    file.seek(size - 8 - length)
    return file.read(length)


def _first_wrong_in_column(file: BinaryIO, size: int, memory: int, claims: dict[int, Any]) -> str | None:
    """Return the first claim of a column or a page of it that cannot be, or None."""
    values, stored = claims[_VALUES], claims[_STORED_BYTES]
    begins = [claims[field] for field in _PAGE_STARTS if claims.get(field)]  # 0 stands for a page that is not there
    if not 0 <= values * _CELL <= memory:
        return f"a column claims {values} values"
    if values == 0 and stored >= 0:
        return None
    begin, end = min(begins), min(begins) + stored
    if not 0 < begin <= max(begins) <= end <= size or stored < 0:
        return "a column claims bytes that are not there"
    left = values
    while begin < end and left > 0:
        header, length = _page_header(file, begin, end)
        begin += length + header[_PAGE_STORED]
        if not (header[_PAGE_STORED] >= 0 and begin <= end and 0 <= header[_PAGE_SIZE] <= memory):
            return "a page claims bytes that are not there"
        for kind in _DATA_PAGES:
            if kind in header:
                page = header[kind]
                left -= page[_PAGE_VALUES]
                lengths = [page[field] for field in _LENGTHS_IN_PAGE if kind == _DATA_PAGES[1] and field in page]
                if page[_PAGE_VALUES] < 0 or left < 0 or min(lengths, default=0) < 0:
                    return f"a page claims {page[_PAGE_VALUES]} values"
        if _DICTIONARY_PAGE in header and not 0 <= header[_DICTIONARY_PAGE][_PAGE_VALUES] <= header[_PAGE_SIZE]:
            return "a page claims more values than it has bytes"
    return None


def _page_header(file: BinaryIO, begin: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the header of a page, and its length in bytes."""
    for most in _HEADER_BYTES:
        file.seek(begin)
        compact = _Compact(file.read(min(most, end - begin)))
        try:
            return compact.structure(), compact.length
        except IndexError:
            if most >= end - begin:
                break
    raise ValueError("a page without a header")


def _memory() -> int:
    """Return the memory of this machine in bytes."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _MOST_MEMORY


class _Compact:
    """A reader of Thrift's compact encoding; the end of the data raises IndexError.

    Args:
        data: the encoded structure.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def length(self) -> int:
        """The number of bytes read."""
        return self._at

    def structure(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a structure by number."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._whole()
            fields[number] = kind == 1 if kind <= 2 else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        """Return a value of a type."""
        if kind <= 3:  # truths in a list, and bytes
            return self._byte()
        if kind <= 6:
            return self._whole()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._varint())
        if kind == 12:
            return self.structure(depth + 1)
        if kind not in (9, 10):
            raise ValueError("a type that Parquet does not use")
        head = self._byte()
        count, entry = head >> 4, head & 15
        count = self._varint() if count == 15 else count
        if count > len(self._data) - self._at:  # each entry takes a byte at least
            raise IndexError("longer than the data")
        return [self._value(entry, depth + 1) for _ in range(count)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")

    def _whole(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._data):
            raise IndexError


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
