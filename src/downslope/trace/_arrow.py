"""Read the Arrow streams that this library writes: columns of numbers, and lists of numbers of one length.

A stream is read with nothing in it trusted. Polars' reader allocates what the file declares and stops the process, or
panics, where that makes no sense. This reader knows the few messages and types that Polars writes for a trace, and
checks each declared length against the bytes that are there before it allocates anything.

The layout is that of the Arrow columnar format, version 1.0: messages of a marker, the size of the metadata, the
metadata as a flatbuffer, and a body. The numbers of the fields below are those of Arrow's Message.fbs and Schema.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

MARKER = b"\xff\xff\xff\xff"
END = MARKER + bytes(4)

_LARGEST_METADATA = 2**22
_MOST_COLUMNS, _LONGEST_NAME = 10_000, 1_000
_SCHEMA, _ROWS = 1, 3  # message headers
_INTEGER, _FLOAT, _BOOLEAN, _FIXED_LIST = 2, 3, 6, 16  # types
_FLOATS = {0: np.float16, 1: np.float32, 2: np.float64}


class StreamFormatError(ValueError):
    """A stream that is not one of this library's, or whose lengths contradict each other."""


class Column(NamedTuple):
    """A column of the schema.

    Args:
        name: its name.
        dtype: the type of its numbers.
        width: the numbers in each row; None for a plain column.
    """

    name: str
    dtype: np.dtype
    width: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return () if self.width is None else (self.width,)

    def size(self, rows: int) -> int:
        """Return the bytes that so many rows take at least."""
        numbers = rows * (1 if self.width is None else self.width)
        return (numbers + 7) // 8 if self.dtype == bool else numbers * self.dtype.itemsize


@dataclass(frozen=True)
class Batch:
    """A message with rows.

    Args:
        rows: the number of rows.
        starts: the position in the file of the data of each column.
    """

    rows: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class StreamLayout:
    """Where the columns of a stream lie in its file.

    Args:
        columns: the schema.
        batches: the messages with rows.
    """

    columns: tuple[Column, ...]
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(batch.rows for batch in self.batches)

    def read(self, stream: BinaryIO, name: str) -> np.ndarray:
        """Read a column from the file.

        Raises:
            StreamFormatError: if bytes are missing.
        """
        index = [column.name for column in self.columns].index(name)
        column, first = self.columns[index], 0
        array = np.empty((self.rows, *column.shape), column.dtype)
        for batch in self.batches:
            _fill(stream, batch.starts[index], column, array[first : first + batch.rows])
            first += batch.rows
        return array


def read_layout(stream: BinaryIO, length: int) -> StreamLayout:
    """Read the metadata of all messages in the first `length` bytes of a file.

    Raises:
        StreamFormatError: if anything that they declare does not lie within the file.
    """
    columns: tuple[Column, ...] | None = None
    batches: list[Batch] = []
    for header, body in _messages(stream, length):
        kind = header.number(1, "<B")
        if kind == _SCHEMA and columns is None:
            columns = _columns(header.table(2))
        elif kind == _ROWS and columns is not None:
            batches.append(_batch(header.table(2), columns, body))
        else:
            raise StreamFormatError(f"a message of kind {kind} is out of order")
    if columns is None:
        raise StreamFormatError("it holds no schema")
    return StreamLayout(columns, tuple(batches))


def read_columns(stream: BinaryIO, length: int) -> dict[str, np.ndarray]:
    """Read the columns in the first `length` bytes of a file, which must end with a message.

    Raises:
        StreamFormatError: if they are not a stream of this library, or if bytes are missing.
    """
    layout = read_layout(stream, length)
    return {column.name: layout.read(stream, column.name) for column in layout.columns}


def schema_size(whole: bytes) -> int:
    """Return the length of the first message of a stream, the schema, which has no body."""
    (size,) = struct.unpack_from("<i", whole, len(MARKER))
    return len(END) + size


def _fill(stream: BinaryIO, start: int, column: Column, target: np.ndarray) -> None:
    """Read the numbers of a column in one batch into an array."""
    if target.size == 0:
        return
    stream.seek(start)
    if column.dtype == bool:
        packed = np.frombuffer(stream.read(column.size(len(target))), np.uint8)
        bits = np.unpackbits(packed, count=target.size, bitorder="little")
        target[...] = bits.astype(bool).reshape(target.shape)
    elif stream.readinto(target) != target.nbytes:  # type: ignore[attr-defined]  # of a file, not of every BinaryIO
        raise StreamFormatError("bytes are missing")


def _messages(stream: BinaryIO, length: int) -> Iterator[tuple[_Table, range]]:
    """Yield the metadata of each message and the positions of its body."""
    position = 0
    while position < length:
        stream.seek(position)
        head = stream.read(len(END))
        if head == END:
            return
        if len(head) < len(END) or not head.startswith(MARKER):
            raise StreamFormatError(f"there is no message at byte {position}")
        (size,) = struct.unpack("<i", head[len(MARKER) :])
        start = position + len(END) + size
        if not 8 <= size <= _LARGEST_METADATA or start > length:
            raise StreamFormatError(f"the message at byte {position} declares {size} bytes of metadata")
        metadata = stream.read(size)
        if len(metadata) < size:
            raise StreamFormatError("bytes are missing")
        header = _root(metadata)
        body = header.number(3, "<q")
        if not 0 <= body <= length - start:
            raise StreamFormatError(f"the message at byte {position} declares {body} bytes of rows")
        yield header, range(start, start + body)
        position = start + body


def _columns(schema: _Table) -> tuple[Column, ...]:
    """Return the columns of a schema."""
    if schema.number(0, "<h") != 0:
        raise StreamFormatError("its numbers are big-endian")
    columns = tuple(_column(field) for field in schema.tables(1))
    names = {column.name for column in columns}
    if len(names) < len(columns):
        raise StreamFormatError("two columns have one name")
    return columns


def _column(field: _Table) -> Column:
    """Return the column that a field of a schema describes."""
    name, kind = field.text(0), field.number(2, "<B")
    if kind != _FIXED_LIST:
        return Column(name, _dtype(field), None)
    children, width = field.tables(5), field.table(3).number(0, "<i")
    if len(children) != 1 or width < 1:
        raise StreamFormatError("a column of lists lacks their length or type")
    return Column(name, _dtype(children[0]), width)


def _dtype(field: _Table) -> np.dtype:
    """Return the type of the numbers of a field."""
    kind = field.number(2, "<B")
    if kind == _BOOLEAN:
        return np.dtype(bool)
    if kind == _INTEGER and (bits := field.table(3).number(0, "<i")) in (8, 16, 32, 64):
        return np.dtype(f"{'i' if field.table(3).number(1, '<B') else 'u'}{bits // 8}")
    if kind == _FLOAT and (precision := field.table(3).number(0, "<h")) in _FLOATS:
        return np.dtype(_FLOATS[precision])
    raise StreamFormatError(f"a column is of type {kind}, which is no number")


def _batch(header: _Table, columns: tuple[Column, ...], body: range) -> Batch:
    """Return where the columns of a message with rows lie, after checks of all its lengths."""
    rows = header.number(0, "<q")
    nodes, buffers = header.pairs(1), header.pairs(2)
    if header.has(3) or not 0 <= rows <= 8 * len(body):
        raise StreamFormatError(f"a message declares {rows} rows in {len(body)} bytes")
    # A list column has a node and a buffer of its own, before those of its numbers.
    expected = [(rows, 0)] * (len(columns) + sum(column.width is not None for column in columns))
    index = 0
    for column in columns:
        index += column.width is not None
        expected[index] = (rows * (column.width or 1), 0)
        index += 1
    if nodes != expected or len(buffers) != len(nodes) + len(columns):
        raise StreamFormatError("a message with rows contradicts the schema, or rows are missing in it")
    return Batch(rows, tuple(_starts(columns, buffers, rows, body)))


def _starts(columns: tuple[Column, ...], buffers: list[tuple[int, int]], rows: int, body: range) -> Iterator[int]:
    """Yield the position of the data of each column; the buffers may not overlap, so that copies stay bounded."""
    end, index = 0, 0
    for column in columns:
        index += 1 if column.width is None else 2  # what marks missing numbers, of which there are none
        start, size = buffers[index]
        if start < end or size < column.size(rows) or start + size > len(body):
            raise StreamFormatError(f"the rows of {column.name} lie outside of their message")
        yield body.start + start
        end, index = start + size, index + 1


class _Table:
    """A table of a flatbuffer; every read is within the metadata.

    Args:
        data: the metadata.
        position: where the table begins.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._fields = position - self._read(position, "<i")
        self._size = self._read(self._fields, "<H")

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return self._offset(field) != 0

    def number(self, field: int, form: str) -> int:
        """Return the number in a field; 0, the default of all that are read here, where it is not there."""
        offset = self._offset(field)
        return self._read(self._position + offset, form) if offset else 0

    def table(self, field: int) -> _Table:
        """Return the table in a field."""
        return _Table(self._data, self._target(field))

    def tables(self, field: int) -> list[_Table]:
        """Return the tables of a list."""
        start, count = self._vector(field, 4)
        if count > _MOST_COLUMNS:
            raise StreamFormatError(f"it declares {count} columns")
        places = [start + 4 * index for index in range(count)]
        return [_Table(self._data, place + self._read(place, "<I")) for place in places]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """Return a list of pairs of numbers."""
        start, count = self._vector(field, 16)
        return [struct.unpack_from("<qq", self._data, start + 16 * index) for index in range(count)]

    def text(self, field: int) -> str:
        """Return a text."""
        start, count = self._vector(field, 1)
        if count > _LONGEST_NAME:
            raise StreamFormatError(f"the name of a column has {count} bytes")
        return self._data[start : start + count].decode()

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """Return the start and the number of the elements of a list, which all lie within the metadata."""
        position = self._target(field)
        count = self._read(position, "<I")
        if position + 4 + count * width > len(self._data):
            raise StreamFormatError("a list runs past the end of its message")
        return position + 4, count

    def _target(self, field: int) -> int:
        """Return the position to which a field refers."""
        offset = self._offset(field)
        if not offset:
            raise StreamFormatError(f"field {field} of a message is missing")
        return self._position + offset + self._read(self._position + offset, "<I")

    def _offset(self, field: int) -> int:
        """Return the position of a field in the table; 0 where it is not there."""
        entry = 4 + 2 * field
        return self._read(self._fields + entry, "<H") if entry + 2 <= self._size else 0

    def _read(self, position: int, form: str) -> int:
        """Return the number at a position."""
        if not 0 <= position <= len(self._data) - struct.calcsize(form):
            raise StreamFormatError("a field lies outside of its message")
        return struct.unpack_from(form, self._data, position)[0]


def _root(metadata: bytes) -> _Table:
    """Return the first table of a message."""
    return _Table(metadata, struct.unpack_from("<I", metadata)[0])
