"""Read the Arrow streams that this library writes: columns of numbers, and lists of numbers of one length.

A stream is read with nothing in it trusted. Polars' reader allocates what the file declares and stops the process, or
panics, where that makes no sense. This reader knows the few messages and types that Polars writes for a trace, and
checks each declared length against the bytes that are there before it allocates anything.

The layout is that of the Arrow columnar format, version 1.0: messages of a marker, the size of the metadata, the
metadata as a flatbuffer, and a body. The numbers of the fields below are those of Arrow's Message.fbs and Schema.fbs.
"""

from __future__ import annotations

import functools
import io
import os
import struct
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

MARKER = b"\xff\xff\xff\xff"
END = MARKER + bytes(4)

_SMALL = 2**22  # bytes that are read at once
_LARGEST_METADATA = 2**22
_MOST_COLUMNS, _LONGEST_NAME = 10_000, 1_000
_SCHEMA, _ROWS = 1, 3  # message headers
_INTEGER, _FLOAT, _BOOLEAN, _FIXED_LIST = 2, 3, 6, 16  # types
_BYTE, _SHORT, _POSITION, _INT, _LONG = (struct.Struct(f"<{letter}") for letter in "BhHiq")
_OFFSET, _PAIR = struct.Struct("<I"), struct.Struct("<qq")
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
        """Return the least number of bytes that a number of rows takes."""
        numbers = rows * (1 if self.width is None else self.width)
        return (numbers + 7) // 8 if self.dtype == bool else numbers * self.dtype.itemsize


@dataclass(frozen=True)
class Batch:
    """A message with rows.

    Args:
        rows: the number of rows.
        starts: the position of the data of each column, in the body of the message or in the file.
    """

    rows: int
    starts: tuple[int, ...]

    def moved(self, start: int) -> Batch:
        """Return the batch with positions that begin further on."""
        return Batch(self.rows, tuple([start + position for position in self.starts]))


@dataclass(frozen=True)
class StreamLayout:
    """The positions of the columns of a stream in its file.

    Args:
        columns: the schema.
        batches: the messages with rows.
    """

    columns: tuple[Column, ...]
    batches: tuple[Batch, ...]

    @functools.cached_property
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
    known: tuple[bytes, Batch] | None = None
    for metadata, body in _messages(stream, length):
        # Most messages of a stream have equally many rows, and so the same metadata.
        if known is None or known[0] != metadata:
            kind = _kind(metadata)
            if kind == _SCHEMA and columns is None:
                columns = _columns(metadata)
                continue
            if kind != _ROWS or columns is None:
                raise StreamFormatError(f"a message of kind {kind} is out of order")
            known = metadata, _batch(metadata, columns, len(body))
        batches.append(known[1].moved(body.start))
    if columns is None:
        raise StreamFormatError("it holds no schema")
    return StreamLayout(columns, tuple(batches))


def read_columns(stream: BinaryIO, length: int) -> dict[str, np.ndarray]:
    """Read the columns in the first `length` bytes of a file, which must end with a message.

    Raises:
        StreamFormatError: if they are not a stream of this library, or if bytes are missing.
    """
    if length > _SMALL:
        layout = read_layout(stream, length)
        return {column.name: layout.read(stream, column.name) for column in layout.columns}
    stream.seek(0)
    content = stream.read(length)
    layout = read_layout(io.BytesIO(content), length)
    return {column.name: _taken(content, layout, index) for index, column in enumerate(layout.columns)}


def _taken(content: bytes, layout: StreamLayout, index: int) -> np.ndarray:
    """Return a column of a stream that was read whole; short streams have many small messages."""
    column = layout.columns[index]
    if column.dtype == bool:
        return layout.read(io.BytesIO(content), column.name)
    width = column.dtype.itemsize * (column.width or 1)
    starts = [(batch.starts[index], batch.rows * width) for batch in layout.batches]
    # A `bytearray`, since an array of bytes that cannot be changed could not be either.
    joined = bytearray().join([content[start : start + size] for start, size in starts])
    if len(joined) != layout.rows * width:
        raise StreamFormatError("bytes are missing")
    if not joined:
        return np.empty((layout.rows, *column.shape), column.dtype)
    return np.frombuffer(joined, column.dtype).reshape(layout.rows, *column.shape)


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


def _messages(stream: BinaryIO, length: int) -> Iterator[tuple[bytes, range]]:
    """Yield the metadata of each message and the positions of its body."""
    position, before, body = 0, b"", 0
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
        body = body if metadata == before else _root(metadata).number(3, _LONG)
        before = metadata
        if not 0 <= body <= length - start:
            raise StreamFormatError(f"the message at byte {position} declares {body} bytes of rows")
        yield metadata, range(start, start + body)
        position = start + body


def _kind(metadata: bytes) -> int:
    """Return the kind of a message."""
    return _root(metadata).number(1, _BYTE)


@functools.lru_cache(maxsize=64)
def _columns(metadata: bytes) -> tuple[Column, ...]:
    """Return the columns of a message with a schema; runs of one kind share theirs."""
    schema = _root(metadata).table(2)
    if schema.number(0, _SHORT) != 0:
        raise StreamFormatError("its numbers are big-endian")
    columns = tuple(_column(field) for field in schema.tables(1))
    names = {column.name for column in columns}
    if len(names) < len(columns):
        raise StreamFormatError("two columns have one name")
    return columns


def _column(field: _Table) -> Column:
    """Return the column that a field of a schema describes."""
    name, kind = field.text(0), field.number(2, _BYTE)
    if kind != _FIXED_LIST:
        return Column(name, _dtype(field), None)
    children, width = field.tables(5), field.table(3).number(0, _INT)
    if len(children) != 1 or width < 1:
        raise StreamFormatError("a column of lists lacks their length or type")
    return Column(name, _dtype(children[0]), width)


def _dtype(field: _Table) -> np.dtype:
    """Return the type of the numbers of a field."""
    kind = field.number(2, _BYTE)
    if kind == _BOOLEAN:
        return np.dtype(bool)
    if kind == _INTEGER and (bits := field.table(3).number(0, _INT)) in (8, 16, 32, 64):
        return np.dtype(f"{'i' if field.table(3).number(1, _BYTE) else 'u'}{bits // 8}")
    if kind == _FLOAT and (precision := field.table(3).number(0, _SHORT)) in _FLOATS:
        return np.dtype(_FLOATS[precision])
    raise StreamFormatError(f"a column is of type {kind}, which is not a number")


@functools.lru_cache(maxsize=64)
def _batch(metadata: bytes, columns: tuple[Column, ...], body: int) -> Batch:
    """Return where the columns of a message with rows lie in its body, after checks of all its lengths."""
    header = _root(metadata).table(2)
    rows = header.number(0, _LONG)
    nodes, buffers = header.pairs(1), header.pairs(2)
    if header.has(3) or not 0 <= rows <= 8 * body:
        raise StreamFormatError(f"a message declares {rows} rows in {body} bytes")
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


def _starts(columns: tuple[Column, ...], buffers: list[tuple[int, int]], rows: int, body: int) -> Iterator[int]:
    """Yield the position of the data of each column; the buffers may not overlap, so that copies stay bounded."""
    end, index = 0, 0
    for column in columns:
        index += 1 if column.width is None else 2  # what marks missing numbers, of which there are none
        start, size = buffers[index]
        if start < end or size < column.size(rows) or start + size > body:
            raise StreamFormatError(f"the rows of {column.name} lie outside of their message")
        yield start
        end, index = start + size, index + 1


class _Table:
    """A table of a flatbuffer; every read is within the metadata.

    Args:
        data: the metadata.
        position: where the table begins.
    """

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._fields = position - self._read(position, _INT)
        self._size = self._read(self._fields, _POSITION)

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return self._offset(field) != 0

    def number(self, field: int, form: struct.Struct) -> int:
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
        positions = [start + 4 * index for index in range(count)]
        return [_Table(self._data, position + self._read(position, _OFFSET)) for position in positions]

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """Return a list of pairs of numbers."""
        start, count = self._vector(field, 16)
        return list(_PAIR.iter_unpack(self._data[start : start + 16 * count]))

    def text(self, field: int) -> str:
        """Return a text."""
        start, count = self._vector(field, 1)
        if count > _LONGEST_NAME:
            raise StreamFormatError(f"the name of a column has {count} bytes")
        return self._data[start : start + count].decode()

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """Return the start and the number of the elements of a list, which all lie within the metadata."""
        position = self._target(field)
        count = self._read(position, _OFFSET)
        if position + 4 + count * width > len(self._data):
            raise StreamFormatError("a list runs past the end of its message")
        return position + 4, count

    def _target(self, field: int) -> int:
        """Return the position to which a field refers."""
        offset = self._offset(field)
        if not offset:
            raise StreamFormatError(f"field {field} of a message is missing")
        return self._position + offset + self._read(self._position + offset, _OFFSET)

    def _offset(self, field: int) -> int:
        """Return the position of a field in the table; 0 where it is not there."""
        entry = 4 + 2 * field
        return self._read(self._fields + entry, _POSITION) if entry + 2 <= self._size else 0

    def _read(self, position: int, form: struct.Struct) -> int:
        """Return the number at a position."""
        if not 0 <= position <= len(self._data) - form.size:
            raise StreamFormatError("a field lies outside of its message")
        return form.unpack_from(self._data, position)[0]


def _root(metadata: bytes) -> _Table:
    """Return the first table of a message."""
    return _Table(metadata, _OFFSET.unpack_from(metadata)[0])


# Columns that stay on disk: those of a training too long for its record to be kept in memory.


class StoredColumns(Mapping[str, np.ndarray]):
    """The columns of a stream on disk, each read when it is used and forgotten when it no longer is.

    The file stays open, so that the columns can be read after another run has taken its name.

    Args:
        stream: the opened file; it may be closed afterwards.
        length: the bytes of it that count.
        without: names of columns to leave out.
        then: rows after these, which are not in the file.
    """

    def __init__(
        self, stream: BinaryIO, length: int, without: tuple[str, ...] = (), then: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._then = {name: column for name, column in (then or {}).items() if len(column)}
        self._stream = os.fdopen(os.dup(stream.fileno()), "rb")
        weakref.finalize(self, self._stream.close)
        self._reading = threading.Lock()  # the file has one position
        self._layout = read_layout(self._stream, length)
        self._names = tuple(column.name for column in self._layout.columns if column.name not in without)
        self._in_use: weakref.WeakValueDictionary[str, np.ndarray] = weakref.WeakValueDictionary()

    @property
    def is_all_on_disk(self) -> bool:
        """Whether there are no rows beyond those of the file."""
        return not self._then

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each column, without reading it."""
        shapes = {}
        for column in self._layout.columns:
            rows = self._layout.rows + len(self._then.get(column.name, ()))
            shapes[column.name] = (rows, *column.shape)
        return {name: shapes[name] for name in self._names}

    def pop(self, name: str, default: np.ndarray | None = None) -> np.ndarray | None:
        """Return a column, or the default, and leave it out from now on."""
        column = self.get(name, default)
        self._names = tuple(other for other in self._names if other != name)
        return column

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        column = self._in_use.get(name)
        if column is None:
            with self._reading:
                column = self._layout.read(self._stream, name)
            if self._then:
                column = np.concatenate([column, self._then[name]])
            self._in_use[name] = column
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # Mapping's own reads the column

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
