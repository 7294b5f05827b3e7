"""Columns as Arrow IPC streams that can be appended to, and read while they are written.

A stream is one message that tells the columns and their types (the schema), then any number of messages with rows
(record batches), then a mark that it ends. Polars writes whole streams only; so of what it writes for a chunk of rows
the first message and the mark are cut off, and the rest goes behind what is there. What a stream holds is told by its
length in bytes, which is kept elsewhere: past it there may be a torn piece, which counts for nothing.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns

_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + bytes(4)


def aligned(columns: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Return columns as arrays of so many rows; a single number stands for every row.

    Args:
        columns: arrays of shape (rows,) or (rows, width), or single numbers.
        rows: how many rows there are.

    Raises:
        ValueError: if a column has another number of rows.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.ndim and len(array) != rows:
            raise ValueError(f"{name} has {len(array)} rows where there are {rows}")
    return {name: array if array.ndim else np.broadcast_to(array, (rows,)) for name, array in arrays.items()}


def stream_bytes(columns: Columns) -> bytes:
    """Return columns as a whole stream; those of shape (rows, width) as fixed-size lists along their rows."""
    import polars

    # Arrow's reader knows no list of no entries; a column of width 0 says nothing anyway.
    table = {name: np.ascontiguousarray(column) for name, column in columns.items() if 0 not in column.shape[1:]}
    written = io.BytesIO()
    polars.DataFrame(table).write_ipc_stream(written)
    return written.getvalue()


def append_stream(file: Path, length: int, columns: Columns) -> int:
    """Write rows behind the first `length` bytes of a stream, down to the disk, and return its new length.

    Raises:
        TraceError: if the stream holds other columns, or some of other types.
    """
    whole = stream_bytes(columns)
    head = _head(whole)
    rows = whole[len(head) : -len(_END)]
    with file.open("r+b" if file.exists() else "w+b") as stream:
        if length and stream.read(len(head)) != head:
            hint = f"it was given {', '.join(f'{name} ({column.dtype})' for name, column in columns.items())}"
            raise TraceError(f"{file} holds other columns, or some of other types", hint=hint)
        piece = rows if length else head + rows
        stream.truncate(length)
        stream.seek(length)
        stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return length + len(piece)


def cut_stream(file: Path, length: int) -> None:
    """Cut off what stands behind the first `length` bytes, and the file with it where that is nothing."""
    if length == 0:
        file.unlink(missing_ok=True)
    elif file.stat().st_size > length:
        with file.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())


def read_stream(file: Path, length: int | None = None) -> dict[str, np.ndarray]:
    """Return the columns in the first `length` bytes of a stream, or in all of it.

    Raises:
        TraceError: if the stream is missing, shorter than that, or torn.
    """
    import polars

    if not file.is_file():
        raise TraceError(f"{file} is missing")
    with file.open("rb") as stream:
        told = stream.read() if length is None else stream.read(length)
    if length is not None and len(told) < length:
        raise TraceError(f"{file} is torn: {len(told)} of {length} bytes are there")
    try:
        frame = polars.read_ipc_stream(io.BytesIO(told + _END))
    except Exception as error:  # Polars raises kinds of its own for a torn stream
        raise TraceError(f"{file} is torn or no Arrow stream: {error}") from None
    return {name: frame[name].to_numpy() for name in frame.columns}


def _head(whole: bytes) -> bytes:
    """Return the first message of a stream, which tells the columns and has no body."""
    (size,) = struct.unpack_from("<i", whole, len(_CONTINUATION))
    if not (whole.startswith(_CONTINUATION) and whole.endswith(_END)):
        raise TraceError("this version of Polars writes Arrow streams that cannot be appended to")
    return whole[: len(_END) + size]
