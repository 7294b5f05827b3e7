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
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns
from downslope.trace._arrow import END, MARKER, schema_size
from downslope.trace._checksum import Extent, RunningChecksum, SealingFile, sealed_text, spread
from downslope.trace._read_files import LARGEST_JSON, NAMES, TYPES

if TYPE_CHECKING:
    import polars

_FEW_ROWS = 2**16
_FEWEST_ROWS = 16  # of a message, so that short traces are not mostly headers


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
    """Write JSON types atomically, with their checksum.

    Raises:
        TraceError: if they are more than any reader accepts.
    """
    # Lone halves of surrogate pairs, which a file's name may hold, have no UTF-8; readers leave them out.
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode(errors="replace")
    if len(text) > LARGEST_JSON - 100:
        raise TraceError(
            f"{target.name} would hold {len(text)} bytes, more than the {LARGEST_JSON} that are read again"
        )
    replace_file(target, lambda file: file.write(sealed_text(text)))


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
    entries = {str(index): _native(array) for index, array in enumerate(whole)}
    entries[NAMES] = np.array(list(arrays), dtype=str)
    entries[TYPES] = np.array([str(array.dtype) for array in whole], dtype=str)
    replace_file(target, lambda file: _write_archive(file, entries))


def _write_archive(file: BinaryIO, entries: Mapping[str, np.ndarray]) -> None:
    """Write arrays as NumPy's `savez` does, with the checksum of the file as the comment of the archive."""
    sealing = SealingFile(file)
    with zipfile.ZipFile(sealing, "w") as archive:  # type: ignore[call-overload]  # it needs no more than `write`
        for name, array in entries.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = SealingFile.BLANK
    sealing.seal()


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
    return _encoded(_frame(columns))


def _frame(columns: Columns) -> polars.DataFrame:
    """Return columns as a frame."""
    import polars

    # Arrow's reader does not support lists of length 0; a column of width 0 holds nothing anyway.
    return polars.DataFrame(
        {name: np.ascontiguousarray(column) for name, column in columns.items() if 0 not in column.shape[1:]}
    )


def _encoded(frame: polars.DataFrame) -> bytes:
    """Encode a frame as a complete stream."""
    written = io.BytesIO()
    frame.write_ipc_stream(written)
    return written.getvalue()


def write_stream(file: Path, columns: Columns) -> Extent:
    """Write a complete stream, and return how much of it counts: all, with checksums spread over the rows."""
    checksum = RunningChecksum()

    def write(opened: BinaryIO) -> None:
        nonlocal checksum
        for piece in _pieces(columns):
            opened.write(piece)
            checksum = checksum.after(piece)

    replace_file(file, write)
    return checksum.extent


def _pieces(columns: Columns) -> Iterator[bytes]:
    """Yield a complete stream in pieces that each end with a message of rows, the last with the end mark."""
    rows = len(next(iter(columns.values())))
    # Making a frame costs more than writing one; that of a long trace would be a copy of it in memory.
    whole = _frame(columns) if rows <= _FEW_ROWS else None
    for part in spread(rows, _FEWEST_ROWS):
        frame = _frame({name: column[part] for name, column in columns.items()}) if whole is None else whole[part]
        piece = _encoded(frame)
        first = 0 if part.start == 0 else len(_head(piece))
        yield piece[first:] if part.stop == rows else piece[first : -len(END)]


def append_stream(file: Path, written: RunningChecksum, columns: Columns) -> RunningChecksum:
    """Write rows after those of a stream that count, flush them to disk, and return the checksum over all.

    Raises:
        TraceError: if the columns or their types differ from those of the stream.
    """
    length, whole = written.extent.length, stream_bytes(columns)
    head = _head(whole)
    rows = whole[len(head) : -len(END)]
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
    return written.after(piece)


def cut_stream(file: Path, length: int) -> None:
    """Truncate a stream to its first `length` bytes; remove the file if that is 0."""
    if length == 0:
        file.unlink(missing_ok=True)
    elif file.stat().st_size > length:
        with file.open("r+b") as stream:
            stream.truncate(length)
            os.fsync(stream.fileno())


def _head(whole: bytes) -> bytes:
    """Return the first message of a stream, the schema, which has no body."""
    if not (whole.startswith(MARKER) and whole.endswith(END)):
        raise TraceError("this version of Polars writes Arrow streams that cannot be appended to")
    return whole[: schema_size(whole)]
