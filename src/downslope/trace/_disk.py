"""Files that survive a crash: files that are whole or absent, and streams that can be appended to.

A new file is written beside its target, flushed to disk and renamed, which is atomic. A stream is Arrow IPC: a message
with the names and types of the columns (the schema), then messages with rows (record batches), then an end mark. Polars
writes whole streams only, so of what it writes for new rows the schema and the end mark are cut off and the rest is
appended. The valid length in bytes is stored elsewhere: what follows it in the file is an incomplete write, ignored.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns

_NAMES, _TYPES = "names", "types"


def replace_file(target: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file beside its target, flush it to disk, and replace the target atomically."""
    beside = target.with_name(f".{target.name}.new")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    # Without the flush before it, the rename can reach the disk first: after a power cut the new name holds no data.
    os.replace(beside, target)
    sync_folder(target.parent)


def write_json(target: Path, value: Mapping[str, Any]) -> None:
    """Write JSON types atomically."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    replace_file(target, lambda file: file.write(text.encode()))


def write_arrays(target: Path, arrays: Columns) -> None:
    """Write named arrays of any non-object type, including bfloat16, atomically.

    Raises:
        TypeError: for an array of Python objects.
    """
    whole = [np.asarray(array) for array in arrays.values()]
    for name, array in zip(arrays, whole, strict=True):
        if array.dtype.hasobject:
            raise TypeError(f"{name} is an array of Python objects, which cannot be stored")
    # Names may contain a slash, which an archive would take for a folder, so the entries are numbered.
    entries: dict[str, Any] = {str(index): _native(array) for index, array in enumerate(whole)}
    entries[_NAMES] = np.array(list(arrays), dtype=str)
    entries[_TYPES] = np.array([str(array.dtype) for array in whole], dtype=str)
    replace_file(target, lambda file: np.savez(file, **entries))


def read_arrays(source: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file of `write_arrays`.

    Raises:
        TraceError: if the file is missing or damaged.
    """
    import zipfile

    import ml_dtypes  # noqa: F401  (NumPy knows bfloat16 by name only once this is loaded)

    if not source.is_file():
        raise TraceError(f"{source} is missing")
    try:
        with np.load(source, allow_pickle=False) as archive:
            names, types = archive[_NAMES].tolist(), archive[_TYPES].tolist()
            whole = [archive[str(index)].view(np.dtype(kind)) for index, kind in enumerate(types)]
        return dict(zip(names, whole, strict=True))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise TraceError(f"{source} is damaged: {type(error).__name__} {error}") from None


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, where the system supports it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _native(array: np.ndarray) -> np.ndarray:
    """Return the array, viewed as unsigned integers if NumPy's file format does not support its type."""
    return array.view(f"u{array.itemsize}") if np.dtype(array.dtype.str) != array.dtype else array


_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + bytes(4)


def aligned(columns: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    """Return columns as arrays with a number of rows; a single number is broadcast.

    Args:
        columns: arrays of shape (rows,) or (rows, width), or single numbers.
        rows: the number of rows.

    Raises:
        ValueError: if a column has another number of rows.
    """
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.ndim and len(array) != rows:
            raise ValueError(f"{name} has {len(array)} rows instead of {rows}")
    return {name: array if array.ndim else np.broadcast_to(array, (rows,)) for name, array in arrays.items()}


def stream_bytes(columns: Columns) -> bytes:
    """Encode columns as a complete stream; those of shape (rows, width) become fixed-size lists."""
    import polars

    # Arrow's reader does not support lists of length 0; a column of width 0 holds nothing anyway.
    table = {name: np.ascontiguousarray(column) for name, column in columns.items() if 0 not in column.shape[1:]}
    written = io.BytesIO()
    polars.DataFrame(table).write_ipc_stream(written)
    return written.getvalue()


def append_stream(file: Path, length: int, columns: Columns) -> int:
    """Write rows after the first `length` bytes of a stream, flush them to disk, and return the new length.

    Raises:
        TraceError: if the columns or their types differ from those of the stream.
    """
    whole = stream_bytes(columns)
    head = _head(whole)
    rows = whole[len(head) : -len(_END)]
    with file.open("r+b" if file.exists() else "w+b") as stream:
        if length and stream.read(len(head)) != head:
            hint = f"the new rows have {', '.join(f'{name} ({column.dtype})' for name, column in columns.items())}"
            raise TraceError(f"{file} holds other columns, or columns of other types", hint=hint)
        piece = rows if length else head + rows
        stream.truncate(length)  # removes an incomplete write
        stream.seek(length)
        stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return length + len(piece)


def cut_stream(file: Path, length: int) -> None:
    """Truncate a stream to its first `length` bytes; remove the file if that is 0."""
    if length == 0:
        file.unlink(missing_ok=True)
    elif file.stat().st_size > length:
        with file.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())


def read_stream(file: Path, length: int | None = None) -> dict[str, np.ndarray]:
    """Read the columns in the first `length` bytes of a stream, or in all of it.

    Raises:
        TraceError: if the stream is missing, shorter than that, or damaged.
    """
    import polars

    if not file.is_file():
        raise TraceError(f"{file} is missing")
    with file.open("rb") as stream:
        data = stream.read() if length is None else stream.read(length)
    if length is not None and len(data) < length:
        raise TraceError(f"{file} is torn: only {len(data)} of {length} bytes are there")
    try:
        frame = polars.read_ipc_stream(io.BytesIO(data + _END))
    except Exception as error:  # Polars raises its own exceptions for a damaged stream
        raise TraceError(f"{file} is torn or not an Arrow stream: {error}") from None
    return {name: frame[name].to_numpy() for name in frame.columns}


def _head(whole: bytes) -> bytes:
    """Return the first message of a stream, the schema, which has no body."""
    (size,) = struct.unpack_from("<i", whole, len(_CONTINUATION))
    if not (whole.startswith(_CONTINUATION) and whole.endswith(_END)):
        raise TraceError("this version of Polars writes Arrow streams that cannot be appended to")
    return whole[: len(_END) + size]
