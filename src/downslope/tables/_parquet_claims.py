"""The sizes that a Parquet file declares, checked before it is read: a damaged one may declare any size."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

from downslope._errors import DataError

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


def check_claims(name: str, source: Path | bytes, *, whole: bool = True) -> None:
    """Raise if a Parquet file claims what cannot be.

    Args:
        name: of the file, for the error.
        source: its path, or its bytes.
        whole: whether all of it must fit into memory, or each row group by itself.

    Raises:
        DataError: if it claims more bytes than the file has, or more numbers than memory holds.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            wrong = _first_wrong(file, file.seek(0, os.SEEK_END), whole)
        except (IndexError, TypeError, KeyError, ValueError, AttributeError):
            wrong = "it is damaged"
    if wrong is not None:
        raise DataError(f"{name} is not a Parquet file that can be read: {wrong}")


def rows_of_groups(file: Path) -> tuple[int, ...]:
    """Return the rows of each row group of a file, after a check of its claims group by group.

    Raises:
        DataError: if it is no Parquet file that can be read.
    """
    check_claims(file.name, file, whole=False)
    with file.open("rb") as opened:
        footer = _footer(opened, opened.seek(0, os.SEEK_END))
        assert footer is not None
        return tuple(group[_GROUP_ROWS] for group in _Compact(footer).structure()[_GROUPS])


def _first_wrong(file: BinaryIO, size: int, whole: bool) -> str | None:
    """Return the first claim that cannot be, in words, or None."""
    footer = _footer(file, size)
    if footer is None:
        return "its end is missing"
    claims, memory = _Compact(footer).structure(), memory_of_machine()
    rows = [group[_GROUP_ROWS] for group in claims[_GROUPS]]
    if min(rows, default=0) < 0 or sum(rows) != claims[_ROWS]:
        return f"it claims {claims[_ROWS]} rows, and its parts claim {sum(rows)}"
    most = sum(rows) if whole else max(rows, default=0)
    numbers = most * max((len(group[_GROUP_COLUMNS]) for group in claims[_GROUPS]), default=0)
    if numbers * _CELL > memory:
        return f"it claims {most} rows, which need {numbers * _CELL / 2**30:.0f} GB of memory"
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


def memory_of_machine() -> int:
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
